"""Adds two weeks of followed proposals to a seeded desk: taken, refused and superseded ones, priced along a made-up
path of SPX with the desk's own arithmetic.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from database.store import Store
from models.calendar import trading_days
from models.proposed_trade import Origin, ProposalStatus, ProposedTrade
from models.quant.advice import Cure, LegMark, expired, settlement_price, worth
from models.quant.advice_words import FILL, OWN, TRADES, verdict
from models.quant.option import Right
from models.quant.pricing import bsm
from models.quant.product import NEW_YORK, expiry_instant, years_to
from models.quant.structure import Action, Leg, QuoteSource, legs_hash
from models.scorecard import Followed, FollowedDay, advice_for, day_row, story_of
from tests.app.seed import ACCOUNT, DESK_NOON, option, volatility

FIRST = date(2026, 8, 6)
CLOSES = dict(
    zip(
        trading_days(FIRST, DESK_NOON.date()),
        (6512.0, 6498.5, 6471.2, 6488.0, 6440.3, 6402.8, 6371.5, 6395.0, 6412.4, 6433.1, 6420.7, 6451.25),
        strict=True,
    )
)
"""SPX at the close of each session; the last is now."""
SHORT = date(2026, 8, 19)
NEAR, FAR = date(2026, 9, 18), date(2026, 9, 30)


@dataclass(frozen=True)
class Told:
    """One followed proposal: made on the `day`-th session, legs as (side, strike, expiry, right)."""

    day: int
    name: str
    legs: tuple[tuple[str, float, date, str], ...]
    quantity: int
    status: ProposalStatus
    origin: Origin = Origin.HEDGE
    times: int = 1
    reason: str = ""
    over_after: int | None = None
    ended: str = OWN
    kinds: tuple[str, ...] = ("vega",)


PUT_SPREAD = (("BUY", 6450.0, NEAR, "P"), ("SELL", 6250.0, NEAR, "P"))
TOLD = (
    Told(0, "Bear put spread", PUT_SPREAD, 5, ProposalStatus.REJECTED, reason="price", over_after=2),
    Told(0, "Long put", (("BUY", 6200.0, FAR, "P"),), 3, ProposalStatus.SUPERSEDED, times=14, over_after=2),
    Told(1, "Long put", (("BUY", 6400.0, SHORT, "P"),), 4, ProposalStatus.REJECTED, reason="timing", over_after=6,
         kinds=("delta",)),
    Told(2, "Bear put spread", (("BUY", 6400.0, NEAR, "P"), ("SELL", 6200.0, NEAR, "P")), 6, ProposalStatus.APPROVED,
         over_after=1, ended=FILL),
    Told(3, "Put butterfly", (("BUY", 6350.0, FAR, "P"), ("SELL", 6250.0, FAR, "P"), ("SELL", 6240.0, FAR, "P"),
                              ("BUY", 6140.0, FAR, "P")), 8, ProposalStatus.SUPERSEDED, times=6, over_after=4),
    Told(4, "Buy back short put", (("BUY", 6100.0, NEAR, "P"),), 2, ProposalStatus.APPROVED, Origin.MANAGE, kinds=()),
    Told(5, "Call calendar", (("SELL", 6600.0, NEAR, "C"), ("BUY", 6600.0, FAR, "C")), 6, ProposalStatus.EXPIRED,
         over_after=3, ended=TRADES),
    Told(6, "Long put", (("BUY", 6100.0, NEAR, "P"),), 4, ProposalStatus.REJECTED, reason="too dear", times=3),
    Told(7, "Bear call spread", (("SELL", 6500.0, NEAR, "C"), ("BUY", 6600.0, NEAR, "C")), 4, ProposalStatus.SUPERSEDED,
         times=22, kinds=("delta",)),
    Told(8, "Buy back short put", (("BUY", 5900.0, NEAR, "P"),), 4, ProposalStatus.EXPIRED, Origin.MANAGE, kinds=()),
    Told(9, "Bear put spread", (("BUY", 6400.0, FAR, "P"), ("SELL", 6150.0, FAR, "P")), 5, ProposalStatus.REJECTED,
         reason="size", kinds=("vega", "delta")),
    Told(11, "Long put", (("BUY", 6200.0, FAR, "P"),), 4, ProposalStatus.SUPERSEDED, times=5),
)  # fmt: skip


def mark(leg: Leg, spot: float, at: datetime) -> LegMark:
    c = leg.contract
    assert c.strike is not None
    g = bsm(spot, c.strike, years_to(expiry_instant(c), at), volatility(c), 0.04, 0.013, c.right is Right.CALL)
    return LegMark(float(g.price), float(g.theta), QuoteSource.MODELLED)


def moment(day: date) -> datetime:
    """When the session was looked at last: its bell, today noon."""
    return DESK_NOON if day == DESK_NOON.date() else datetime.combine(day, time(17, 5), NEW_YORK)


async def follow(store: Store, now: datetime) -> None:
    """Every line with its days; those whose legs have all expired with their verdict."""
    for told in TOLD:
        row, line = _made(told, now)
        line.proposal_id = line.last_proposal_id = await store.proposals.add(row)
        await store.scorecard.add(line)
        mine = next(live for live in await store.scorecard.live() if live.followed.proposal_id == line.proposal_id)
        days = _days(told, row, mine.followed)
        await store.scorecard.write_days(days)
        if all(expired(leg.contract, days[-1].at) for leg in advice_for(row, mine.followed).legs):
            mine.followed.ended_at = now
            mine.followed.verdict = verdict(story_of(row, mine.followed, days[-1]))
            await store.scorecard.save([mine.followed])


def _made(told: Told, now: datetime) -> tuple[ProposedTrade, Followed]:
    sessions = list(CLOSES)
    day = sessions[told.day]
    desk_at = datetime.combine(day, time(10, 31), NEW_YORK)
    legs = [
        Leg(option("SPXW", expiry, strike, Right(right)), Action(side)) for side, strike, expiry, right in told.legs
    ]
    marks = [mark(leg, CLOSES[day] + 9.0, desk_at) for leg in legs]
    mid = round(sum(leg.signed_ratio * each.price for leg, each in zip(legs, marks, strict=True)), 2)
    half, fees = 0.3 + 0.15 * len(legs), 0.65 * len(legs) * told.quantity
    theta = 100 * told.quantity * sum(leg.signed_ratio * each.theta for leg, each in zip(legs, marks, strict=True))
    size, carry = 100 * told.quantity, max(-5 * theta, 0.0)
    scores: dict[str, Any] = {
        "cost": {"half_spread": half * size, "fees": fees, "theta": carry, "total": half * size + fees + carry},
        "cure": 0.21 if told.kinds else 0.0, "cured": list(told.kinds), "remaining": [], "mid": mid, "fitted_mid": mid,
        "change": {"theta": theta}, "rank": 1,
    }  # fmt: skip
    created = now - (DESK_NOON - desk_at)
    person = told.status in (ProposalStatus.APPROVED, ProposalStatus.REJECTED)
    row = ProposedTrade(
        account_id=ACCOUNT, strategy_name=told.name, legs_json=[leg.to_json() for leg in legs],
        legs_hash=legs_hash(legs), quantity=told.quantity, limit_price=round(mid + half, 2),
        worst_price=round(mid + 1.5 * half, 2), status=told.status, origin=told.origin, scores=scores,
        regime="neutral_volatility", profile="desk", created_at=created, expires_at=created + timedelta(minutes=15),
        decided_at=created + timedelta(minutes=4), decided_by="trader" if person else "desk",
        decision_reason=told.reason or None, justification="Short weighted vega is 117 % of its limit.",
    )  # fmt: skip
    filled = told.status == ProposalStatus.APPROVED
    line = Followed(
        proposal_id=0, last_proposal_id=0, times=told.times, desk_at=desk_at, outcome=told.status,
        breach_known=bool(told.kinds), breach_ended=told.ended if told.over_after else None,
        breach_until=created + timedelta(days=told.over_after) if told.over_after else None,
        filled=told.quantity if filled else 0, fill_price=round(mid + half / 2, 2) if filled else None,
        fill_fees=fees if filled else None,
    )  # fmt: skip
    return row, line


def _days(told: Told, row: ProposedTrade, line: Followed) -> list[FollowedDay]:
    advice, days = advice_for(row, line), list[FollowedDay]()
    for number, day in enumerate(list(CLOSES)[told.day :]):
        at, spot = moment(day), CLOSES[day]
        done = [leg.contract for leg in advice.legs if expired(leg.contract, at)]
        line.settlements |= {c.identity: settlement_price(c, CLOSES[c.expiry]) for c in done if c.expiry}
        marks = {leg.contract.identity: mark(leg, spot, at) for leg in advice.legs}
        over = told.over_after is not None and number >= told.over_after
        left = 0.0 if over or not told.kinds else 0.17 + 0.03 * (number % 3)
        cure = Cure(left, max(left - 0.21 + 0.012 * number, 0.0)) if told.kinds else Cure(None, None)
        if told.day == 6 and number == 2:  # a day without prices
            days.append(FollowedDay(followed_id=line.id or 0, day=day, at=at, why="no price of its legs", closed=True))
            continue
        before = next((one for one in reversed(days) if one.decay is not None), None)
        made = day_row(line, advice, worth(advice, marks, line.settlements, at), before, day, at, cure)
        made.closed = day != DESK_NOON.date()
        days.append(made)
        if len(done) == len(advice.legs):
            break
    return days
