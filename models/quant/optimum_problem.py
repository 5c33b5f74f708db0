"""One class's cheapest cure as a linear programme over its contracts, relaxed so that no allowed ticket is left out.

A column is one contract bought or sold. The set is the structured search's and more: rows of the window whose market is
fair, and what the book holds, closed and never past that. While the regime is unknown nothing opens. What shapes a
regime allows is asked by what they can do: opened shorts stand alone only where short strangles or jade lizards may;
where any spread may, every opened short needs a long of its right that does not expire first, or a short bought back;
elsewhere a short bought back. Margin enters by its floor, never above the real rise; short notional by the least that
can stay uncovered; what no line can tell (defined loss, vega shares, value at risk) is left to the exact valuation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.quant.aftermath import closable, scene_room
from models.quant.board import board_of
from models.quant.breach import NEAR_NOTHING, BreachKind
from models.quant.candidate import Scene
from models.quant.margin_floor import MOVES, MarginFloor
from models.quant.outlay import Prices, fair_quotes, prices_of
from models.quant.regime_rules import Family, Regime
from models.quant.room import Room
from models.quant.structure import MAX_RATIO

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

BARE_SHORTS = {Family.SHORT_STRANGLE, Family.JADE_LIZARD}
COVERED_SHORTS = {
    Family.DEBIT_SPREAD, Family.CREDIT_SPREAD, Family.CALENDAR, Family.DIAGONAL, Family.BACKSPREAD, Family.BUTTERFLY,
    Family.IRON_CONDOR, Family.REVERSE_CONDOR, Family.COMBINATION,
}  # fmt: skip
THETA, MARGIN, CHARGED, NAKED_PUTS, NAKED_CALLS = range(5)
"""The free columns after the contracts, in currency: theta given up over the cost horizon · margin floor after the
trade · its rise · short notional of either right that nothing covers."""
FREE = 5


@dataclass(frozen=True)
class Programme:
    """cost · x → least, matrix · x ≥ need, x ≥ 0. The first J columns are contracts, the FREE last are not whole.

    `rows` (J,) of the vectors and `signs` (J,) say what each column trades, `most` (J,) how much. `lazy` (K,): rows
    that seldom bind. `aim` (K,): what a broken row is asked beyond its bare limit. `closes`: every column reduces.
    """

    klass: str
    rows: Rows
    signs: Floats
    most: Floats
    cost: Floats
    matrix: Floats
    need: Floats
    lazy: NDArray[np.bool_]
    aim: Floats
    closes: bool

    @property
    def bare(self) -> "Programme":
        """The same where every breach is cured to its limit and no further."""
        return replace(self, need=self.need - self.aim, aim=np.zeros_like(self.aim))

    def same_columns(self, other: "Programme") -> bool:
        """Do the columns of both trade the same contracts?"""
        return np.array_equal(self.rows, other.rows) and np.array_equal(self.signs, other.signs)


def programmes(scene: Scene, floors: Sequence[MarginFloor] = (), covered: bool = False) -> list[Programme]:
    """One programme for each class of options and one for closing in it; `floors` of the symbols where known.

    `covered`: only openings whose shorts are covered, whatever the regime allows: they hardly raise margin. Raises
    ValueError when the limits are unknown.
    """
    room, prices = scene_room(scene), prices_of(scene)
    board = board_of(scene.vectors, closable(scene.held, scene.in_flight), scene.hedges, fair_quotes(scene))
    v = scene.vectors
    window = np.zeros(len(v), dtype=bool)
    window[board.rows] = scene.limits.regime is not Regime.UNKNOWN
    held = (prices.held != 0) & v.known & v.is_option
    found = []
    for code in np.unique(board.klass[window | held]):
        mine = board.klass == code
        parts = _Parts(scene, room, prices, floors, held & mine, covered)
        if (held & mine).any() and not covered:
            found.append(parts.programme(np.zeros(len(v), dtype=bool)))
        if (window & mine).any() and not (covered and narrow_anyway(scene)):
            found.append(parts.programme(window & mine))
    return found


def narrow_anyway(scene: Scene) -> bool:
    """The regime lets no short stand alone, and no position's loss is limited: covered is what is allowed."""
    return not BARE_SHORTS & set(scene.limits.families) and scene.limits.defined_loss is None


@dataclass
class _Parts:
    scene: Scene
    room: Room
    prices: Prices
    floors: Sequence[MarginFloor]
    held: NDArray[np.bool_]
    covered: bool

    def programme(self, window: NDArray[np.bool_]) -> Programme:
        scene, room, prices, v = self.scene, self.room, self.prices, self.scene.vectors
        rows, signs, most = self._columns(window)
        moving = np.abs(room.weights).sum(axis=0) > 0
        broken = room.left < -NEAR_NOTHING
        need = np.where(broken, -room.left, -room.slack)
        aim = np.where(broken, (1 - scene.hedges.cure_to) * room.limit_size, 0.0)
        caps = (signs[:, None] * (prices.measures[rows] @ room.weights)).T
        greeks = np.array([kind in (BreachKind.VEGA, BreachKind.DELTA, BreachKind.GAMMA) for kind in room.kinds])
        own = _Rows(len(rows))
        own.add(scene.hedges.cost_days * signs * prices.theta[rows], 0.0, {THETA: 1.0})
        self._margin(own, rows, signs)
        self._notional(own, rows, signs)
        self._count(own, rows, signs)
        if window.any():
            self._opening(own, rows, signs)
        side = np.where(signs > 0, prices.buying[rows], prices.selling[rows])
        free = np.zeros(FREE)
        free[[THETA, CHARGED]] = 1.0, scene.hedges.cost_days / 365 * scene.hedges.margin_rate
        matrix = np.vstack([np.hstack([caps[moving], np.zeros((int(moving.sum()), FREE))]), *own.rows])
        size = np.abs(matrix[:, : len(rows)]).max(axis=1, initial=0.0)
        size = np.where(size > 0, size, np.abs(matrix).max(axis=1))
        size = np.where(size > 0, size, 1.0)
        needs = np.concatenate([(need + aim)[moving], own.need])
        aims = np.concatenate([aim[moving], own.aim])
        return Programme(
            klass=v.contracts[rows[0]].trading_class,
            rows=rows,
            signs=signs,
            most=most,
            cost=np.concatenate([side + prices.fee[rows], free]),
            matrix=matrix / size[:, None],
            need=needs / size,
            lazy=np.concatenate([~greeks[room.kind][moving] & ~broken[moving], own.lazy]),
            aim=aims / size,
            closes=not window.any(),
        )

    def _columns(self, window: NDArray[np.bool_]) -> tuple[Rows, Floats, Floats]:
        """(rows, signs, most): holdings closed, and what the window lets open."""
        held, most = self.prices.held, float(MAX_RATIO * self.scene.hedges.max_quantity)
        parts = []
        for sign in (1.0, -1.0):
            closing = np.flatnonzero(self.held & (held * sign < 0))
            opening = np.flatnonzero(window & (held * sign >= 0))
            parts += [(closing, sign, np.floor(np.abs(held[closing]))), (opening, sign, np.full(len(opening), most))]
        return (
            np.concatenate([rows for rows, _, _ in parts]),
            np.concatenate([np.full(len(rows), sign) for rows, sign, _ in parts]),
            np.concatenate([top for _, _, top in parts]),
        )

    def _margin(self, own: "_Rows", rows: Rows, signs: Floats) -> None:
        """The floor after the trade, its rise, and what the capital and margin gates leave room for."""
        scene = self.scene
        floor = next((floor for floor in self.floors if np.isfinite(floor.long[:, rows]).all()), None)
        if floor is None or scene.mock:
            return
        for asked, added in zip(floor.asked, floor.added(rows, signs), strict=True):
            own.add(-added, asked, {MARGIN: 1.0}, lazy=True)
        own.add(None, -floor.before, {MARGIN: -1.0, CHARGED: 1.0})
        used, limits = scene.exposure.margin_used, scene.limits
        if used is not None and limits.nlv is not None and limits.nlv > 0:
            left = max(limits.margin_max * limits.nlv - used, 0.0)
            own.add(None, -(floor.before + left), {MARGIN: -1.0})
        funds = scene.gates.capital_share * max(scene.available_funds or 0.0, 0.0)
        own.add(-signs * self.prices.value[rows], -(floor.before + funds), {MARGIN: -1.0})

    def _notional(self, own: "_Rows", rows: Rows, signs: Floats) -> None:
        """The least short notional that can stay uncovered: per right, the shorts that outnumber the longs, of all or
        of those that last until some day, since nothing covers what outlives it."""
        scene, v = self.scene, self.scene.vectors
        cap, now = scene.limits.short_notional, scene.exposure.short_notional
        if cap is None or now is None or scene.mock:
            return
        symbol = v.contracts[rows[0]].symbol
        same = np.array([c.symbol == symbol for c in v.contracts])
        shares = sum(q * v.spot[v.index[name]] for name, q in scene.held.items() if name == symbol)
        book = v.quantities(dict(scene.held))
        for call, column in ((False, NAKED_PUTS), (True, NAKED_CALLS)):
            side = same & v.is_option & (v.is_call == call)
            for first in np.unique(v.dte[side]):
                late = side & (v.dte >= first)
                net = float((self.prices.notional * book)[late & (book != 0)].sum())
                net += max(shares if call else -shares, 0.0)
                lasting = np.where(late[rows], signs * self.prices.notional[rows], 0.0)
                own.add(lasting, -net, {column: 1.0}, lazy=bool(first > v.dte[side].min()))
        aim = (1 - scene.hedges.cure_to) * cap if now > cap + NEAR_NOTHING else 0.0
        own.add(None, aim - cap, {NAKED_PUTS: -1.0, NAKED_CALLS: -1.0}, aim=aim)

    def _count(self, own: "_Rows", rows: Rows, signs: Floats) -> None:
        """Contracts of the whole book: what opens counts, what closes frees."""
        cap, now = self.scene.limits.contracts, self.scene.exposure.contracts
        if cap is None or now is None or self.scene.mock:
            return
        closes = self.prices.held[rows] * signs < 0
        aim = (1 - self.scene.hedges.cure_to) * cap if now > cap else 0.0
        own.add(np.where(closes, 1.0, -1.0), now - cap + aim, {}, aim=aim)

    def _opening(self, own: "_Rows", rows: Rows, signs: Floats) -> None:
        limits, v = self.scene.limits, self.scene.vectors
        if limits.contracts is not None:
            own.add(np.full(len(rows), -1.0), -float(limits.contracts), {})
        if limits.position_capital is not None:
            own.add(-signs * self.prices.value[rows], -limits.position_capital, {})
        if self.covered:
            self._tame(own, rows, signs)
        elif BARE_SHORTS & set(limits.families):
            return
        held = self.prices.held[rows]
        back = (held < 0) & (signs > 0)
        opened = ~back & ~((held > 0) & (signs < 0))
        spreads = bool(COVERED_SHORTS & set(limits.families))
        for call in (False, True):
            side = v.is_call[rows] == call
            covers = side & (opened | back) & (spreads | (signs < 0) | back)
            for first in np.unique(v.dte[rows][side & opened & (signs < 0)]):
                late = covers & (back | (v.dte[rows] >= first))
                own.add(np.where(late, signs, 0.0), 0.0, {}, lazy=bool(first > v.dte[rows][side].min()))

    def _tame(self, own: "_Rows", rows: Rows, signs: Floats) -> None:
        """The ticket alone loses at no price more than one position may; roughly what the limit on it asks."""
        cap, v = self.scene.limits.defined_loss, self.scene.vectors
        for move in MOVES if cap is not None else ():
            points = move * v.spot[rows] - v.strike[rows]
            pays = np.maximum(np.where(v.is_call[rows], points, -points), 0.0) * v.multiplier[rows]
            own.add(signs * (pays - self.prices.value[rows]), -(cap or 0.0), {})


class _Rows:
    """Rows of the programme beside the caps, as they are said one by one."""

    def __init__(self, columns: int) -> None:
        self.rows: list[Floats] = []
        self.need: list[float] = []
        self.lazy: list[bool] = []
        self.aim: list[float] = []
        self._columns = columns

    def add(
        self, contracts: Floats | None, need: float, free: dict[int, float], lazy: bool = False, aim: float = 0.0
    ) -> None:
        row = np.zeros(self._columns + FREE)
        if contracts is not None:
            row[: self._columns] = contracts
        for column, entry in free.items():
            row[self._columns + column] = entry
        self.rows.append(row[None, :])
        self.need.append(float(need))
        self.lazy.append(lazy)
        self.aim.append(aim)
