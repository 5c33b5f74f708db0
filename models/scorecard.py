"""The scorecard: every proposal followed for its life, one row a desk day, whatever the person decided.

A run of the same proposal is one line: the same account, origin, legs and quantity while the breach it answers lasts
and nobody has decided on it. The first of the run stands for it; the newest says what became of it.
"""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from models.columns import UtcDateTime, id_type, json_type
from models.proposed_trade import ProposedTrade
from models.quant.advice import Advice, Cure, Fill, Worth, advice_of, decayed, expired, profit
from models.quant.advice_words import OWN, Story, days_between
from models.quant.structure import legs_from_json


class Followed(SQLModel, table=True):
    """One line of the scorecard. The advice itself stays with its proposal; moments are machine time but `desk_at`.

    A run's members are the proposals with ids from `proposal_id` to `last_proposal_id` of the same account, origin,
    legs and quantity.
    """

    __tablename__ = "followed_proposals"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    proposal_id: int = Field(unique=True, sa_type=id_type())
    last_proposal_id: int = Field(sa_type=id_type())
    times: int = 1
    desk_at: datetime = Field(sa_type=UtcDateTime)
    """Desk time at which the first of the run was proposed."""
    outcome: str
    """Status of the newest of the run: Pending until somebody or something ends it."""
    breach_known: bool = False
    """Whether the breach it answered was seen standing then."""
    breach_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    breach_ended: str | None = None
    """advice_words.OWN, FILL or TRADES."""
    filled: int = 0
    fill_price: float | None = None
    fill_fees: float | None = None
    unfilled_reason: str = ""
    settlements: dict[str, float] = Field(default_factory=dict, sa_type=json_type())
    """Identity → points its leg settled at; what is written here never changes."""
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    verdict: str = ""


class FollowedDay(SQLModel, table=True):
    """One line on one desk day, unique; rewritten until the day is closed, never after. NULL is unknown.

    Money in currency for the whole ticket. `at` is the desk time of the marks; a later look that sees no price leaves
    the last known ones of the day.
    """

    __tablename__ = "followed_days"
    __table_args__ = (UniqueConstraint("followed_id", "day"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    followed_id: int = Field(sa_type=id_type())
    day: date
    at: datetime = Field(sa_type=UtcDateTime)
    closed: bool = False
    value: float | None = None
    """Worth of the whole ticket, positive for an asset."""
    source: str = "unknown"
    profit: float | None = None
    """Since the proposal at its limit price, of a filled one at its fill, fees paid."""
    profit_mid: float | None = None
    """The same had it been filled at the middle."""
    theta: float | None = None
    decay: float | None = None
    """Value lost to time since the proposal; negative was earned."""
    spent: float | None = None
    """Realised cost: spread and fees paid to enter, and decay."""
    breach: float | None = None
    """Excess of the limits it answered without the ticket, in units of them, summed."""
    breach_with: float | None = None
    kept: float | None = None
    """Share of the promised cure it still delivers, as far as it is needed."""
    why: str = ""
    """What is unknown, in words."""


def advice_for(proposal: ProposedTrade, followed: Followed) -> Advice:
    """The proposal as the arithmetic follows it, or what it became. Raises LegsError when its legs cannot be read."""
    fill = None
    if followed.filled and followed.fill_price is not None:
        fill = Fill(followed.filled, followed.fill_price, followed.fill_fees)
    legs = legs_from_json(proposal.legs_json)
    return advice_of(legs, proposal.quantity, proposal.limit_price, proposal.scores, fill)


def story_of(proposal: ProposedTrade, followed: Followed, last: FollowedDay | None) -> Story:
    """A line as its sentence tells it, with its last day. Raises LegsError when its legs cannot be read."""
    advice = advice_for(proposal, followed)
    until = followed.breach_until
    return Story(
        outcome=followed.outcome,
        times=followed.times,
        filled=advice.filled,
        unfilled_reason=followed.unfilled_reason,
        entry_cost=advice.entry_cost,
        profit=last.profit if last else None,
        decay=last.decay if last else None,
        days=days_between(followed.desk_at, last.at) if last else None,
        over=followed.ended_at is not None,
        settled=last is not None and all(expired(leg.contract, last.at) for leg in advice.legs),
        answers=bool(advice.kinds),
        breach_known=followed.breach_known,
        breach_days=days_between(proposal.created_at, until) if until else None,
        breach_ended=followed.breach_ended or OWN,
        kept=last.kept if last else None,
        missing=last.why if last else "not looked at yet",
    )


def day_row(
    followed: Followed,
    advice: Advice,
    now: Worth,
    before: FollowedDay | None,
    day: date,
    at: datetime,
    breach: Cure | None = None,
    why: Sequence[str] = (),
) -> FollowedDay:
    """One line's day from what it is worth; `before` is its last day that knew its theta and decay."""
    assert followed.id is not None
    decay = _decay(followed, advice, before, now.theta, at)
    cost = advice.entry_cost
    return FollowedDay(
        followed_id=followed.id,
        day=day,
        at=at,
        value=now.value,
        source=now.source,
        profit=profit(advice, now.value, advice.entry),
        profit_mid=profit(advice, now.value, advice.mid),
        theta=now.theta,
        decay=decay,
        spent=None if cost is None or decay is None else cost + decay,
        breach=breach.without if breach else None,
        breach_with=breach.left if breach else None,
        kept=breach.kept(advice.promised) if breach else None,
        why="; ".join((*now.missing, *why)),
    )


def _decay(
    followed: Followed, advice: Advice, before: FollowedDay | None, theta: float | None, at: datetime
) -> float | None:
    if theta is None:
        return None
    if before is not None and before.theta is not None and before.decay is not None:
        return before.decay + decayed((before.at, before.theta), (at, theta))
    return None if advice.theta is None else decayed((followed.desk_at, advice.theta), (at, theta))
