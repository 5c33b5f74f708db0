"""Strategy-based margin: what the cheapest legal pairing of a book asks, before and after a trade.

Options and shares by Reg T and Cboe rule 10.3, futures and their options by a scan. It stands in where the broker's
what-if is not at hand and says so. Longs are paid in full; a spread asks the most it can owe; a naked short its value
plus a share of the underlying.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from models.quant.covering import Lot, cover
from models.quant.margin_book import Group, MarginLine, Prepared, Quantities
from models.quant.margin_rules import BROAD, CBOE, NARROW, RULES, Rule, StrategyRules
from models.quant.margin_scan import SCANNED
from models.quant.margin_strategies import Asked, naked_requirement
from models.quant.terms import Holding, MarketView

__all__ = [
    "BROAD", "CBOE", "NARROW", "RULES", "Asked", "MarginBook", "MarginEstimate", "MarginLine", "Rule", "ShortRisk",
    "TradeMargin", "by_position", "by_underlying", "estimate_margin", "margin_change", "naked_requirement",
    "short_risk", "trade_margin",
]  # fmt: skip

ESTIMATE = "estimate: strategy-based"


@dataclass(frozen=True)
class MarginEstimate:
    """Requirement in currency; None when a price it depends on is unknown (`missing` says which).

    The account's equity is taken to hold cash and shares, not options, as a margin account's does: opening a trade
    takes `initial` plus the premium paid, or less the premium received.
    """

    initial: float | None
    maintenance: float | None
    method: str = ESTIMATE
    missing: tuple[str, ...] = ()
    groups: tuple[Group, ...] = field(default=(), compare=False, repr=False)

    @cached_property
    def lines(self) -> tuple[MarginLine, ...]:
        """What the groups' requirements are made of; none where something is missing."""
        return () if self.missing else tuple(line for group in self.groups for line in group.lines)


@dataclass(frozen=True)
class TradeMargin:
    """An account's requirement before a trade, after it, and the difference."""

    before: MarginEstimate
    change: MarginEstimate
    after: MarginEstimate


@dataclass(frozen=True)
class ShortRisk:
    """`naked_notional`: spot × multiplier of uncovered shorts. `defined_loss`: the most any one expiry's covered shorts
    of one underlying can still lose from the present marks. Currency; None is unknown.
    """

    naked_notional: float | None
    defined_loss: float | None


class MarginBook:
    """A book at one market and house, asked many times: `change` re-asks only the groups a trade touches."""

    def __init__(self, holdings: Sequence[Holding], market: MarketView, rules: StrategyRules = CBOE) -> None:
        self._prepared = Prepared(market, rules)
        self._method = f"{ESTIMATE}, {rules.house}"
        self._groups = self._prepared.split(holdings)

    def estimate(self) -> MarginEstimate:
        return self._sum(self._groups)

    def change(self, added: Sequence[Holding]) -> MarginEstimate:
        """After minus before when `added` joins; None where what it touches is unknown. Its lines are those after."""
        after = self._prepared.joined(self._groups, added)
        return _difference(self._sum(self._touched(after)), self._sum(after))

    def changes(self, trades: Sequence[Sequence[Holding]]) -> list[MarginEstimate]:
        """`change` of each trade by itself; contracts that were never asked for are looked up together."""
        self._prepared.learn(h.contract for trade in trades for h in trade)
        return [self.change(trade) for trade in trades]

    def trade(self, added: Sequence[Holding]) -> TradeMargin:
        """Before, change and after of the whole account."""
        after = self._prepared.joined(self._groups, added)
        difference = _difference(self._sum(self._touched(after)), self._sum(after))
        return TradeMargin(self.estimate(), difference, self._sum({**self._groups, **after}))

    def _touched(self, after: Mapping[str, Quantities]) -> dict[str, Quantities]:
        return {name: self._groups.get(name, {}) for name in after}

    def _sum(self, groups: Mapping[str, Quantities]) -> MarginEstimate:
        return _total([self._prepared.ask(groups[name]) for name in sorted(groups)], self._method)


def estimate_margin(holdings: Sequence[Holding], market: MarketView, rules: StrategyRules = CBOE) -> MarginEstimate:
    """The least requirement of a book over all legal pairings."""
    return MarginBook(holdings, market, rules).estimate()


def margin_change(
    holdings: Sequence[Holding], added: Sequence[Holding], market: MarketView, rules: StrategyRules = CBOE
) -> MarginEstimate:
    """After minus before of the estimate when `added` joins the book; None where either is unknown."""
    return MarginBook(holdings, market, rules).change(added)


def trade_margin(
    holdings: Sequence[Holding], added: Sequence[Holding], market: MarketView, rules: StrategyRules = CBOE
) -> TradeMargin:
    """The account before `added`, the change, and the account after it."""
    return MarginBook(holdings, market, rules).trade(added)


def by_underlying(estimate: MarginEstimate) -> dict[str, Asked]:
    """Sums of the lines per underlying (a family of futures under its own name), in order of the names."""
    symbols = sorted({line.symbol for line in estimate.lines})
    return {s: _asked([x for x in estimate.lines if x.symbol == s]) for s in symbols}


def by_position(estimate: MarginEstimate) -> dict[str, Asked]:
    """Each line shared out over its short contracts (over all where none is short), by their number; by identity."""
    shared: dict[str, list[MarginLine]] = {}
    for line in estimate.lines:
        bearing = [lot for lot in line.lots if lot[1] < 0] or list(line.lots)
        whole = math.fsum(abs(n) for _, n in bearing)
        for contract, n in line.lots:
            part = abs(n) / whole if (contract, n) in bearing else 0.0
            shared.setdefault(contract.identity, []).append(
                MarginLine(line.what, line.initial * part, line.maintenance * part)
            )
    return {identity: _asked(lines) for identity, lines in shared.items()}


def short_risk(holdings: Sequence[Holding], spots: ArrayLike, values: ArrayLike | None = None) -> ShortRisk:
    """Naked notional and the largest defined loss of a book; `spots` and `values` (currency per contract) per holding.

    Without `values` a spread's loss is counted before the premium it brought.
    """
    spot = np.asarray(spots, dtype=np.float64)
    value = np.zeros(spot.size) if values is None else np.asarray(values, dtype=np.float64)
    groups = cover([Lot(h.contract, h.quantity, i) for i, h in enumerate(holdings)])
    notional = math.fsum(
        -lot.quantity * lot.contract.multiplier * spot[lot.row] for group in groups for lot in group.naked
    )
    losses = [
        max(spread.risk + math.fsum(lot.quantity * value[lot.row] for lot in spread.lots), 0.0)
        for group in groups
        for spread in group.spreads
    ]
    known = all(math.isfinite(x) for x in losses)
    return ShortRisk(notional if math.isfinite(notional) else None, (max(losses) if losses else 0.0) if known else None)


def _total(groups: Sequence[Group], method: str) -> MarginEstimate:
    if any(g.scanned for g in groups):
        method = f"{method}; {SCANNED}"
    gap = max((g.gap for g in groups), default=0.0)
    if gap > 0:
        method = f"{method}; the search for the best pairing was cut short, it may ask {gap:.1%} less"
    missing = tuple(reason for g in groups for reason in g.missing)
    if missing:
        return MarginEstimate(None, None, method, missing)
    initial = math.fsum(g.asked.initial for g in groups)
    return MarginEstimate(initial, math.fsum(g.asked.maintenance for g in groups), method, groups=tuple(groups))


def _asked(lines: Sequence[MarginLine]) -> Asked:
    return Asked(math.fsum(x.initial for x in lines), math.fsum(x.maintenance for x in lines))


def _difference(before: MarginEstimate, after: MarginEstimate) -> MarginEstimate:
    return MarginEstimate(
        _minus(after.initial, before.initial),
        _minus(after.maintenance, before.maintenance),
        max(before.method, after.method, key=len),
        tuple(dict.fromkeys((*before.missing, *after.missing))),
        after.groups,
    )


def _minus(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before
