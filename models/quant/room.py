"""How much room is left under each cap, and how much of it one unit of a ticket takes: all of it linear.

A cap is one or more rows `left + quantity x per_unit ≥ 0` (delta has two rows, a stress limit one per cell), so the
quantities that cure, and those that harm nothing, are intervals that are solved and never guessed. Orders in flight
count at their worst, row by row: filled where a fill hurts, unfilled where it would help.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.breach import NEAR_NOTHING, BreachKind, money, name_of
from models.quant.limits import Limits
from models.quant.scenario import NEAR_CELLS, SHOCK_CELL, STRESS_CELLS

Floats = NDArray[np.float64]

DELTA, GAMMA, VEGA, THETA = range(4)
STRESS = slice(4, 4 + len(STRESS_CELLS))
TAIL = STRESS.stop
WIDTH = TAIL + 1
"""Columns of a measure array: spx_delta, gamma, vega as the profile measures it, theta, the stress cells' P&L, and the
mean P&L of the past days about the book's value at risk."""


SIDED = (BreachKind.DELTA, BreachKind.GAMMA)
"""Kinds whose rows are two sides of one number: curing one side may not break the other."""


@dataclass(frozen=True)
class Room:
    """The rows of one book against one set of limits. Arrays over K rows; `left` NaN: unknown, only reducing passes.

    `weights` (WIDTH, K) turns a ticket's measures into what it adds to each row; `scale` is the limit's size (net
    liquidation where the limit is zero), by which excesses of different kinds are compared; `kind` indexes `kinds`.
    """

    kinds: tuple[BreachKind, ...]
    kind: NDArray[np.int64]
    left: Floats
    scale: Floats
    weights: Floats
    limits: Limits

    @property
    def excess(self) -> Floats:
        """Excess over each kind's cap now (n_kinds,), 0 where there is none or it is unknown."""
        worst = np.zeros(len(self.kinds))
        np.maximum.at(worst, self.kind, np.nan_to_num(-self.left, nan=0.0))
        return np.where(worst > NEAR_NOTHING, worst, 0.0)

    def relative(self, excess: Floats) -> Floats:
        """Excesses (…, n_kinds) in units of their limits."""
        sizes = np.ones(len(self.kinds))
        sizes[self.kind] = self.scale
        shares: Floats = excess / sizes
        return shares

    @property
    def slack(self) -> Floats:
        """What each row (K,) may still lose without harm: down to zero, a broken row as far as its kind already is.

        An unbroken stress cell may go as far as the worst one; the other side of delta or gamma may not.
        """
        spread = np.array([kind not in SIDED for kind in self.kinds])[self.kind]
        left: Floats = np.nan_to_num(self.left, nan=0.0)
        allowed = np.where(spread | (left < -NEAR_NOTHING), self.excess[self.kind], 0.0)
        return np.maximum(left + allowed, 0.0)

    @property
    def limit_size(self) -> Floats:
        """The limit's own size per row: 0 where the limit is zero, so that nothing can land inside it."""
        limit = np.array([_limit_of(self.limits, kind) for kind in self.kinds])
        return limit[self.kind] if len(self.kind) else np.zeros(0)


def room_of(
    measures: Floats,
    limits: Limits,
    smallest_lot: float,
    in_flight: Sequence[Floats] = (),
    margin: float | None = None,
    with_stress: bool = True,
    with_theta: bool = False,
    short_notional: float | None = None,
    contracts: float | None = None,
    with_tail: bool = False,
) -> Room:
    """Room of a book with `measures` (WIDTH,) under `limits`; raises ValueError when the limits are unknown.

    `in_flight` are the measures of each order that may still fill, whole. `margin` is the maintenance margin in
    currency; with it the excess liquidity after −10 % / +15 points must not fall below zero either. `with_stress`
    False leaves the grid out (an aggregate vector has none); `with_theta` adds the theta target like a cap, for the
    pass that has no cap to cure; `with_tail` a row for the value at risk, whose measure is a slope: what it promises
    has to be valued exactly. `short_notional` and `contracts` of the book add rows that no measure moves: what a
    ticket does to them depends on what is held, and the search counts it.
    """
    if limits.vega_floor is None or limits.delta_cap is None or limits.gamma_cap is None or limits.nlv is None:
        raise ValueError(f"no room can be measured: {', '.join(limits.missing)}")
    delta = max(limits.delta_cap, smallest_lot / 2)
    rows = [
        _row(BreachKind.VEGA, -limits.vega_floor, VEGA, 1.0),
        _row(BreachKind.DELTA, delta, DELTA, -1.0),
        _row(BreachKind.DELTA, delta, DELTA, 1.0),
        _row(BreachKind.GAMMA, limits.gamma_cap, GAMMA, 1.0),
    ]
    if limits.gamma_both:
        rows.append(_row(BreachKind.GAMMA, limits.gamma_cap, GAMMA, -1.0))
    if with_theta:
        rows.append(_row(BreachKind.THETA, -(limits.theta_target or 0.0), THETA, 1.0))
    if with_stress:
        rows += _stress_rows(limits, margin)
    if with_tail and limits.var_95 is not None and np.isfinite(measures[TAIL]):
        rows.append(_row(BreachKind.VAR, limits.var_95, TAIL, 1.0))
    if short_notional is not None and limits.short_notional is not None:
        rows.append((BreachKind.SHORT_NOTIONAL, limits.short_notional - short_notional, np.zeros(WIDTH)))
    if contracts is not None and limits.contracts is not None:
        rows.append((BreachKind.CONTRACTS, limits.contracts - contracts, np.zeros(WIDTH)))
    return _assemble(rows, measures, limits, in_flight)


_Row = tuple[BreachKind, float, Floats]
"""Kind, size of the room of an empty book, and the weights of the measures."""


def _row(kind: BreachKind, size: float, column: int, sign: float) -> _Row:
    weight = np.zeros(WIDTH)
    weight[column] = sign
    return kind, size, weight


def _stress_rows(limits: Limits, margin: float | None) -> list[_Row]:
    """One row per cell and stress limit, and the liquidity that must be left after the shock."""
    near = [(BreachKind.STRESS_NEAR, limits.stress_near, int(cell)) for cell in np.flatnonzero(NEAR_CELLS)]
    worst = [(BreachKind.STRESS_WORST, limits.stress_worst, cell) for cell in range(STRESS.stop - STRESS.start)]
    rows = [_row(kind, size, STRESS.start + cell, 1.0) for kind, size, cell in (*near, *worst) if size is not None]
    if margin is not None:
        rows.append(_row(BreachKind.EXCESS_LIQUIDITY, (limits.nlv or 0.0) - margin, STRESS.start + SHOCK_CELL, 1.0))
    return rows


def _assemble(rows: list[_Row], measures: Floats, limits: Limits, in_flight: Sequence[Floats]) -> Room:
    kinds = tuple(dict.fromkeys(kind for kind, _, _ in rows))
    weights = np.column_stack([weight for _, _, weight in rows])
    sizes = np.array([size for _, size, _ in rows])
    left = sizes + _apply(measures, weights)
    for order in in_flight:
        left = left + np.minimum(_apply(order, weights), 0.0)
    scale = np.array([_limit_of(limits, kind) for kind, _, _ in rows])
    scale = np.where(scale > 0, scale, max(limits.nlv or 0.0, 1.0))
    kind = np.array([kinds.index(k) for k, _, _ in rows], dtype=np.int64)
    return Room(kinds, kind, left, scale, weights, limits)


def _apply(measures: Floats, weights: Floats) -> Floats:
    """`measures @ weights`, where an unknown measure spoils only the rows that use it."""
    known = np.nan_to_num(measures, nan=0.0) @ weights
    spoiled = np.abs(weights[np.isnan(measures)]).sum(axis=0) > 0
    return np.where(spoiled, np.nan, known)


def _limit_of(limits: Limits, kind: BreachKind) -> float:
    """The size of a cap, positive; what excesses of that kind are measured against."""
    sizes = {
        BreachKind.VEGA: -(limits.vega_floor or 0.0),
        BreachKind.DELTA: limits.delta_cap,
        BreachKind.GAMMA: limits.gamma_cap,
        BreachKind.STRESS_NEAR: limits.stress_near,
        BreachKind.STRESS_WORST: limits.stress_worst,
        BreachKind.THETA: limits.theta_target,
        BreachKind.VAR: limits.var_95,
        BreachKind.CONTRACTS: limits.contracts,
        BreachKind.SHORT_NOTIONAL: limits.short_notional,
    }
    return sizes.get(kind) or 0.0


@dataclass(frozen=True)
class TicketRoom:
    """One ticket against the room of its book: the fact that the limits gate judges, plain numbers only.

    Rows as in `Room`: `left` before (orders in flight at their worst), `per_unit` added by one unit; None is unknown.
    `closes` when every leg only reduces what is held and not already being closed. `also` are caps found broken or
    deepened by an exact re-valuation (notional, shares, VaR, defined loss), in words.
    """

    kinds: tuple[BreachKind, ...]
    left: tuple[float | None, ...]
    per_unit: tuple[float | None, ...]
    limits: Limits
    closes: bool = False
    also: tuple[str, ...] = ()

    def most(self, quantity: int) -> int:
        """The most units up to `quantity` that create or deepen no breach of a cap; 0 when something is unknown."""
        return min(quantity, min((self._most_of(kind) for kind in set(self.kinds)), default=quantity))

    def _rows(self, kind: BreachKind) -> list[tuple[float | None, float | None]]:
        return [(left, unit) for k, left, unit in zip(self.kinds, self.left, self.per_unit, strict=True) if k is kind]

    def _most_of(self, kind: BreachKind) -> int:
        rows = self._rows(kind)
        allowed = max(0.0, *(-left for left, _ in rows if left is not None), 0.0)
        sided = kind in SIDED
        most = 10**9
        for left, unit in rows:
            if unit is None:
                return 0
            if unit < -1e-9:
                slack = 0.0 if left is None else left + (allowed if not sided or left < -NEAR_NOTHING else 0.0)
                most = min(most, int(max(slack, 0.0) / -unit + 1e-9))
        return most

    def excess(self, kind: BreachKind, quantity: int) -> float:
        known = [-(left + quantity * unit) for left, unit in self._rows(kind) if left is not None and unit is not None]
        return max(0.0, *known, 0.0)

    def reduces(self, quantity: int) -> bool:
        """True when nothing is harmed and the ticket closes what is held or makes a breach of a cap smaller."""
        if self.also or self.most(quantity) < quantity:
            return False
        shrinks = any(self.excess(k, quantity) < self.excess(k, 0) - NEAR_NOTHING for k in set(self.kinds))
        return self.closes or shrinks

    def words(self, quantity: int) -> str:
        """Why `quantity` is too many: the first kind that binds, before and after."""
        if self.also:
            return "; ".join(self.also)
        kind = min(set(self.kinds), key=self._most_of)
        name = name_of(kind, -1.0, self.limits)
        if any(unit is None for _, unit in self._rows(kind)):
            return f"{name} after the trade is unknown"
        if all(left is None for left, _ in self._rows(kind)):
            return f"{name} is unknown and the trade would raise it"
        before, after = self.excess(kind, 0), self.excess(kind, quantity)
        if before > NEAR_NOTHING:
            return f"{name} is {money(before)} over its limit and would be {money(after)} over it"
        return f"{name} would be {money(after)} over its limit"


def ticket_room(room: Room, measures: Floats, closes: bool = False, also: Sequence[str] = ()) -> TicketRoom:
    """The gate's fact from a room and the measures (WIDTH,) of one unit of the ticket."""
    unit = _apply(measures, room.weights)

    def plain(values: Floats) -> tuple[float | None, ...]:
        return tuple(None if np.isnan(v) else float(v) for v in values)

    return TicketRoom(
        tuple(room.kinds[i] for i in room.kind), plain(room.left), plain(unit), room.limits, closes, tuple(also)
    )
