"""Before the night or the weekend: what a jump of the market would cost by the next open, and what expires till then.

Everything is repriced at the jump with the closed days gone by, so theta is in it. A usual jump is held against the
daily loss limit, a severe one against the near stress limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from models.quant.breach import NEAR_NOTHING, money, percent
from models.quant.limits import Limits
from models.quant.manage_rules import GapRule
from models.quant.option import Contract
from models.quant.portfolio import Holding, MarketView, position_greeks
from models.quant.product import NEW_YORK
from models.quant.scenario import scenario_pnl

NAMED = 3  # contracts named in a sentence


@dataclass(frozen=True)
class GapLook:
    """`usual` and `severe` are the worst losses of those jumps, positive, in currency; `carry` is what the closed days
    bring when nothing moves; None is unknown. `trouble` says what is off, in words; empty when nothing is."""

    usual: float | None
    severe: float | None
    carry: float | None
    expiring: tuple[Contract, ...]
    unpriced: tuple[str, ...]
    sentence: str
    trouble: tuple[str, ...]


def look_over_gap(
    held: Sequence[Holding], market: MarketView, limits: Limits, rule: GapRule, opens: datetime
) -> GapLook:
    """The look from `market.now` to the next open; the same whatever the order of `held`."""
    spots, vols = _moves(rule)
    unpriced = tuple(sorted({why for p in position_greeks(held, market) for why in p.missing}))
    days = (opens - market.now) / timedelta(days=1)
    profit = scenario_pnl(held, market, spots, vols, [days])[:, :, 0]
    usual = _worst(profit[[spots.index(-rule.usual), spots.index(rule.usual)]])
    severe = _worst(profit[[spots.index(-rule.severe), spots.index(rule.severe)]])
    carry = _known(float(profit[spots.index(0.0), vols.index(0.0)]))
    expiring = _expiring(held, market, opens)
    trouble = (
        *_over(usual, rule.usual, limits.daily_loss, "the daily loss limit"),
        *_over(severe, rule.severe, limits.stress_near, "the near stress limit"),
        *_in_reach(expiring, market, rule.severe, opens),
        *_cannot_be_priced(unpriced),
        *(f"{why}, so no loss can be held against it" for why in limits.missing),
    )
    sentence = _sentence(rule, limits, opens, (usual, severe, carry), expiring, market, unpriced)
    return GapLook(usual, severe, carry, expiring, unpriced, sentence, trouble)


def _moves(rule: GapRule) -> tuple[list[float], list[float]]:
    spots = {0.0, -rule.usual, rule.usual, -rule.severe, rule.severe}
    return sorted(spots), sorted({0.0, *rule.vol_points})


def _worst(profit: NDArray[np.float64]) -> float | None:
    loss = _known(-float(profit.min()))
    return None if loss is None else max(loss, 0.0)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _expiring(held: Sequence[Holding], market: MarketView, opens: datetime) -> tuple[Contract, ...]:
    """Shorts that settle by the day of the next open, today's among them."""
    last = opens.astimezone(NEW_YORK).date()
    shorts = {h.contract for h in held if h.quantity < 0 and h.contract.is_option}
    today = market.now.astimezone(NEW_YORK).date()
    soon = (c for c in shorts if c.expiry is not None and today <= c.expiry <= last)
    return tuple(sorted(soon, key=lambda c: (c.expiry, c.identity)))


def _over(loss: float | None, jump: float, limit: float | None, name: str) -> tuple[str, ...]:
    if loss is None or limit is None or loss <= limit + NEAR_NOTHING:
        return ()
    return (f"a jump of {percent(jump)} would cost {money(loss)}, over {name} of {money(limit)}",)


def _in_reach(expiring: Sequence[Contract], market: MarketView, jump: float, opens: datetime) -> tuple[str, ...]:
    """Expiring shorts that a severe jump brings to their strike; one whose underlying is unknown counts."""
    near = [c for c in expiring if not abs((c.strike or 0.0) - market.spot(c)) > jump * abs(market.spot(c))]
    if not near:
        return ()
    return (
        f"{_named(near)} {'expires' if len(near) == 1 else 'expire'} by {_day(opens)} within a {percent(jump)} jump",
    )


def _cannot_be_priced(unpriced: Sequence[str]) -> tuple[str, ...]:
    if not unpriced:
        return ()
    more = f" and {len(unpriced) - NAMED} more" if len(unpriced) > NAMED else ""
    return (f"what a jump would cost is unknown: {'; '.join(unpriced[:NAMED])}{more}",)


def _sentence(
    rule: GapRule, limits: Limits, opens: datetime, losses: tuple[float | None, float | None, float | None],
    expiring: Sequence[Contract], market: MarketView, unpriced: Sequence[str],
) -> str:  # fmt: skip
    usual, severe, carry = losses
    days = (opens.astimezone(NEW_YORK).date() - market.now.astimezone(NEW_YORK).date()).days
    gap = "the night" if days == 1 else f"{days} days"
    costs = (
        f"a jump of {percent(rule.usual)} over {gap} costs {_against(usual, limits.daily_loss, 'daily loss limit')}",
        f"one of {percent(rule.severe)} {_against(severe, limits.stress_near, 'near stress limit')}",
        f"standing still brings {'an unknown sum' if carry is None else money(carry)}",
    )
    shorts = f"no short expires by {_day(opens)}" if not expiring else f"expiring by {_day(opens)}: {_named(expiring)}"
    priced = "every position is priced" if not unpriced else f"not priced: {len(unpriced)}"
    return f"{', '.join(costs)}; {shorts}; {priced}"


def _against(loss: float | None, limit: float | None, name: str) -> str:
    if loss is None:
        return "an unknown sum"
    share = f" ({percent(loss / limit)} of the {name})" if limit else ""
    return f"at most {money(loss)}{share}"


def _named(contracts: Sequence[Contract]) -> str:
    more = f" and {len(contracts) - NAMED} more" if len(contracts) > NAMED else ""
    return f"short {', '.join(str(c) for c in contracts[:NAMED])}{more}"


def _day(opens: datetime) -> str:
    return f"{opens.astimezone(NEW_YORK):%a %d %b}"
