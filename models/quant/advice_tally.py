"""Was the advice good? Hits, profit per cost and cure kept over many followed proposals, and what may be claimed.

Proposals of one day share their market, so a day counts once: the interval of a hit rate is that of its days, and where
it is wide nothing is claimed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import fmean

from models.quant.advice import RULES, AdviceRules

Z95 = 1.959964
"""Two-sided 95 % of the normal distribution."""


@dataclass(frozen=True)
class Line:
    """One followed proposal as it counts. `closes` seen since the proposal; money in currency, None unknown.

    `cost` is the whole cost promised (spread, fees, carry); `kept` as advice.Cure.kept tells it.
    """

    day: date
    origin: str
    strategy: str
    outcome: str
    closes: int
    profit: float | None
    cost: float | None
    kept: float | None


@dataclass(frozen=True)
class Tally:
    """Lines of one kind. `n` counted, on `days` days; `young` saw no close yet, of `unknown` no profit is known.

    `hit_rate`: share that made money after spread and fees, with its 95 % interval by days. `per_cost`: profit summed
    over cost summed, over the lines that know both (`n_cost`). `kept`: mean over `n_kept`. None: nothing to tell from.
    """

    name: str
    n: int
    days: int
    young: int
    unknown: int
    hits: int
    hit_rate: float | None
    low: float | None
    high: float | None
    profit: float | None
    per_cost: float | None
    n_cost: int
    kept: float | None
    n_kept: int
    claimed: bool

    @property
    def words(self) -> str:
        """What may be said of the hit rate."""
        if not self.n:
            return "nothing to judge yet"
        made = f"{self.hits} of {self.n} made money"
        if not self.claimed:
            return f"too few to say: {made}, on {self.days} day{'s' if self.days > 1 else ''}"
        assert self.low is not None and self.high is not None
        side = "more" if self.low > 0.5 else "less" if self.high < 0.5 else "about as"
        often = f"{side} often {'as' if side == 'about as' else 'than'} not"
        return f"{often}: {made}, 95 % between {self.low * 100:.0f} and {self.high * 100:.0f} %"


def tally(name: str, lines: Sequence[Line], rules: AdviceRules = RULES) -> Tally:
    """The lines as one; only those that have seen a close and whose profit is known are counted."""
    old = [line for line in lines if line.closes >= rules.judged_after]
    known = [(line, line.profit) for line in old if line.profit is not None]
    by_day: dict[date, list[bool]] = {}
    for line, profit in known:
        by_day.setdefault(line.day, []).append(profit > 0)
    rate = fmean(fmean(day) for day in by_day.values()) if by_day else None
    low, high = wilson(rate, len(by_day)) if rate is not None else (None, None)
    priced = [(profit, line.cost) for line, profit in known if line.cost is not None and line.cost > 0]
    cost = math.fsum(cost for _, cost in priced)
    kept = [line.kept for line in lines if line.kept is not None]
    return Tally(
        name=name,
        n=len(known),
        days=len(by_day),
        young=len(lines) - len(old),
        unknown=len(old) - len(known),
        hits=sum(profit > 0 for _, profit in known),
        hit_rate=rate,
        low=low,
        high=high,
        profit=math.fsum(profit for _, profit in known) if known else None,
        per_cost=math.fsum(profit for profit, _ in priced) / cost if priced else None,
        n_cost=len(priced),
        kept=fmean(kept) if kept else None,
        n_kept=len(kept),
        claimed=low is not None and high is not None and (high - low) / 2 <= rules.widest,
    )


def tallies(lines: Sequence[Line], by: Callable[[Line], str], rules: AdviceRules = RULES) -> tuple[Tally, ...]:
    """One tally per value of `by`, the largest first."""
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(by(line), []).append(line)
    found = [tally(name, members, rules) for name, members in groups.items()]
    return tuple(sorted(found, key=lambda one: (-one.n, -one.young, one.name)))


def wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share seen in n independent trials (Wilson 1927, J. Amer. Stat. Assoc. 22, 209)."""
    spread = Z95 * Z95 / n
    centre = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(centre - half, 0.0), min(centre + half, 1.0)
