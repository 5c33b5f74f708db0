"""From every ticket to the few that help: sizes solved against all rows at once, refusals counted by their reason.

Two passes over the same arithmetic: first the greeks and the stress cells that are already broken, on everything;
then the whole stress grid on the best of each family.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.quant.breach import BreachKind
from models.quant.regime_rules import HedgeRules
from models.quant.room import STRESS, Room
from models.quant.scoring import Floats, order_by_merit, theta_given_up, trading_cost
from models.quant.tickets import NO_CAP, Tickets

BROKEN_CELLS = 12  # the deepest broken stress rows that the first pass looks at
PER_FAMILY = 150  # kept of each family, full and partial cures apart, for the second pass


@dataclass
class Refusals:
    """Why tickets were refused: reason → count, and the best refused one in words."""

    counts: Counter[str] = field(default_factory=Counter)
    example: str | None = None

    def add(self, reason: str, count: int = 1) -> None:
        if count:
            self.counts[reason] += int(count)

    def to_json(self) -> dict[str, object]:
        return {**dict(self.counts.most_common()), **({"example": self.example} if self.example else {})}


@dataclass(frozen=True)
class Sized:
    """Tickets that help, with how many: arrays over C. `cure` sums the excess removed, in units of each limit."""

    tickets: Tickets
    quantity: Floats
    full: NDArray[np.bool_]
    cure: Floats
    cost: Floats

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Sized":
        return Sized(
            self.tickets.take(rows), self.quantity[rows], self.full[rows], self.cure[rows], self.cost[rows]
        )  # fmt: skip


@dataclass(frozen=True)
class Prices:
    """Per contract in currency (N,), but `measures` (N, WIDTH). `notional` is spot × multiplier of an option, `held`
    the quantity that may still be closed; buying and selling are half-spreads."""

    measures: Floats
    value: Floats
    theta: Floats
    buying: Floats
    selling: Floats
    fee: Floats
    notional: Floats
    held: Floats
    is_call: NDArray[np.bool_]
    is_share: NDArray[np.bool_]


def screen(
    tickets: Tickets, prices: Prices, room: Room, rules: HedgeRules, refusals: Refusals, close_share: float = 0.0
) -> Sized:
    """The tickets that cure or partly cure without harming any cap, the best of each family, sized.

    `close_share` is the part of a holding that a broken cap without a row (margin, defined loss, vega share, VaR) asks
    to close; closings of that size are kept, and what they cure is found by exact valuation.
    """
    first = room.rows(_first_rows(room))
    sized = size(tickets, prices, first, rules, refusals, close_share)
    merit = order_by_merit(sized.full, sized.cost, sized.cure, np.zeros(len(sized.cost)))
    kept = sized.take(_best_of_each(sized, merit))
    return size(kept.tickets, prices, room, rules, refusals, close_share)


def _first_rows(room: Room) -> NDArray[np.bool_]:
    """Every row without a stress cell, and the deepest broken cells."""
    cells = np.abs(room.weights[STRESS]).sum(axis=0) > 0
    deepest = np.argsort(np.where(cells & (room.left < 0), room.left, 0.0))[:BROKEN_CELLS]
    keep: NDArray[np.bool_] = ~cells
    keep[deepest[room.left[deepest] < 0]] = True
    return keep


def _best_of_each(sized: Sized, merit: NDArray[np.int64]) -> NDArray[np.int64]:
    chosen = []
    family = sized.tickets.family[merit]
    for code in np.unique(family):
        mine = merit[family == code]
        chosen += [mine[sized.full[mine]][:PER_FAMILY], mine[~sized.full[mine]][:PER_FAMILY]]
    return np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)


def size(
    tickets: Tickets, prices: Prices, room: Room, rules: HedgeRules, refusals: Refusals, close_share: float = 0.0
) -> Sized:
    """Integer sizes (C,) solved from the breach, the helpless and the harmful refused with their reason."""
    used = np.abs(room.weights).sum(axis=1) > 0
    unit = tickets.add_up(prices.measures[:, used])
    per_unit = _with_notional(unit @ room.weights[used], tickets, prices, room)
    unknown = np.asarray(np.isnan(per_unit).any(axis=1), dtype=np.bool_)
    harmless = np.floor(room.harmless(per_unit) + 1e-9)
    lots = caps(tickets, prices, room, rules)
    need, best = room.needed(per_unit, rules.cure_to)
    exact, _ = room.needed(per_unit, 1.0)
    if close_share > 0:
        wish = np.where(tickets.closes, np.ceil(close_share * tickets.most), 0.0)
        best = np.maximum(best, wish)
        need, exact = np.maximum(need, wish), np.maximum(exact, wish)
    most = np.minimum(harmless, lots)
    inside, bare = _whole(need), _whole(exact)
    wanted = np.where(inside <= most, inside, np.where(bare <= most, most, np.inf))
    full = np.isfinite(wanted) & (wanted >= 1)
    quantity = np.where(full, np.where(np.isfinite(wanted), wanted, 0.0), np.minimum(most, np.ceil(best - 1e-9)))
    quantity = np.where(unknown, 0.0, quantity)
    excess = room.relative(room.excess_after(per_unit, quantity))
    removed = room.relative(room.excess) - excess
    cure = removed.sum(axis=1)
    helps = (cure > 1e-6) | (tickets.closes & (close_share > 0))
    good: NDArray[np.bool_] = (quantity >= 1) & helps & ~(removed < -1e-9).any(axis=1)
    _count(refusals, room, per_unit, unknown, best, harmless, lots, good)
    theta = tickets.add_up(prices.theta)
    cost = quantity * trading_cost(tickets, prices.buying, prices.selling, prices.fee)
    cost = cost + theta_given_up(quantity * theta, rules)
    return Sized(tickets, quantity, full & good, cure, cost).take(good)


def _with_notional(per_unit: Floats, tickets: Tickets, prices: Prices, room: Room) -> Floats:
    """Fills the short-notional row: shorts bought back free it, shorts opened and not covered in the ticket take it."""
    if BreachKind.SHORT_NOTIONAL not in room.kinds:
        return per_unit
    opened: dict[bool, Floats] = {right: np.zeros(len(tickets)) for right in (True, False)}
    freed = np.zeros(len(tickets))
    for column in range(tickets.legs.shape[1]):
        rows, ratio = tickets.legs[:, column], tickets.ratios[:, column].astype(np.float64)
        amount = np.where(rows >= 0, ratio * prices.notional[rows], 0.0)
        closing = (prices.held[rows] < 0) & (ratio > 0)
        freed += np.where(closing, amount, 0.0)
        for right in opened:
            opened[right] += np.where(~closing & (prices.is_call[rows] == right), -amount, 0.0)
    taken = sum(np.maximum(side, 0.0) for side in opened.values())
    row = room.kind == room.kinds.index(BreachKind.SHORT_NOTIONAL)
    return np.where(row[None, :], (freed - taken)[:, None], per_unit)


def _whole(units: Floats) -> Floats:
    """The fewest whole units, at least one; inf where no number does."""
    return np.where(np.isnan(units), np.inf, np.maximum(np.ceil(units - 1e-9), 1.0))


def caps(tickets: Tickets, prices: Prices, room: Room, rules: HedgeRules) -> Floats:
    """The most units (C,) for reasons other than risk: what is held, the profile's contracts, capital per position."""
    most = np.where(prices.is_share[tickets.legs[:, 0]], float(rules.max_shares), float(rules.max_quantity))
    lots = np.where(tickets.most == NO_CAP, most, tickets.most.astype(np.float64))
    if room.limits.contracts is not None:
        lots = np.where(tickets.closes, lots, np.minimum(lots, room.limits.contracts // np.maximum(tickets.sizes(), 1)))
    if room.limits.position_capital is not None:
        debit = tickets.add_up(prices.value)
        with np.errstate(divide="ignore", invalid="ignore"):
            affordable = np.where(debit > 0, np.floor(room.limits.position_capital / debit), np.inf)
        lots = np.where(tickets.closes | prices.is_share[tickets.legs[:, 0]], lots, np.minimum(lots, affordable))
    return lots


_DEEPENS = {
    BreachKind.VEGA: "would break or deepen vega",
    BreachKind.DELTA: "would break or deepen delta",
    BreachKind.GAMMA: "would break or deepen gamma",
    BreachKind.STRESS_NEAR: "would break or deepen the near stress loss",
    BreachKind.STRESS_WORST: "would break or deepen the worst stress loss",
    BreachKind.SHORT_NOTIONAL: "would break or deepen short option notional",
    BreachKind.EXCESS_LIQUIDITY: "would leave no excess liquidity after −10 % and +15 points",
}


def _count(
    refusals: Refusals, room: Room, per_unit: Floats, unknown: NDArray[np.bool_], best: Floats, harmless: Floats,
    lots: Floats, good: NDArray[np.bool_],
) -> None:  # fmt: skip
    """One reason per refused ticket: unknown, helps nothing, harms a cap, too dear or too many, too small an effect."""
    left = ~good
    refusals.add("an input is unknown", int((left & unknown).sum()))
    left &= ~unknown
    refusals.add("helps no breach", int((left & (best <= 0)).sum()))
    left &= best > 0
    harmful = left & (harmless < 1)
    if harmful.any():
        first = np.argmin((room.slack[None, :] + np.minimum(per_unit[harmful], 0.0)) / room.scale[None, :], axis=1)
        for kind, count in Counter(room.kinds[room.kind[row]] for row in first).items():
            refusals.add(_DEEPENS.get(kind, f"would break or deepen {kind}"), count)
    left &= ~harmful
    refusals.add("one unit is over the capital or the contracts allowed", int((left & (lots < 1)).sum()))
    refusals.add("would not make the breaches smaller", int((left & (lots >= 1)).sum()))
