"""The search for one programme's cheapest ticket, order quantity by order quantity, with a bound for what is left.

A ticket is an order quantity times whole ratios up to three. A group of quantities is bound together by letting the
units be any number from the least of them up; when that bound is a ticket itself, or near, the group falls apart. The
group with the lowest bound is always worked on next, with a cutoff a little above its bound: so few columns stay in
play, and when the search stops early, what was proven so far still holds of the whole chain.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from models.quant.optimum_problem import FREE, Programme
from models.quant.structure import MAX_RATIO

Floats = NDArray[np.float64]
WIDEST_SPLIT = 3  # a group of so many quantities or fewer falls apart into single ones
NODES = 2000  # of one turn at first; a turn that ends undecided doubles the group's next
FIRST_RISE, MORE = 0.03, 1.5  # of the relaxation: the cutoff above a group's bound, and its growth
ROUNDS = ((100, 2500, True), (100, 2500, False), (300, 20_000, True))
"""How a first ticket is sought, one after the other while there is none: (among so many contracts nearest to the
relaxation, nodes of one look, is it the relaxation of that quantity or of all)."""
CLOSE_COLUMNS = 100  # drawn among the nearest to better a ticket
DRAWN_FROM = 600  # the nearest contracts from which as many are drawn to better a ticket
GIVE_UP = 4  # quantities in a row without a ticket
FAR, FARTHEST = 1.25, 12.0  # of the relaxation: the cutoff grows by so much while no ticket is below it, and to so much
ROWS_AT_ONCE = 6
NEAR = 1e-7
_ANY = 1e9  # more than any ticket costs
NAME, SIGN = 0, 1  # of a description in kernels.simplex


@dataclass
class Group:
    """Order quantities `low` to `high`; nothing among them costs less than `bound`, and `settled`: no more is known."""

    low: int
    high: int
    bound: float
    rise: float = FIRST_RISE
    nodes: int = NODES
    settled: bool = False
    reduced: Floats | None = None
    """Of the group's relaxation: reduced costs of one unit of each contract, and last what the relaxation costs."""

    def parts(self) -> list["Group"]:
        if self.high - self.low < WIDEST_SPLIT:
            return [Group(q, q, self.bound) for q in range(self.low, self.high + 1)]
        middle = max(int(np.sqrt(self.low * self.high)), self.low)
        return [Group(self.low, middle, self.bound), Group(middle + 1, self.high, self.bound)]


@dataclass(frozen=True)
class Found:
    """A ticket of the programme: contracts per column (J,), and its cost with margin at its floor."""

    amounts: Floats
    cost: float

    @property
    def quantity(self) -> int:
        return int(np.gcd.reduce(np.round(self.amounts).astype(np.int64)))


@dataclass
class Search:
    """One programme's search; `legs` is the most that one ticket may have, `most` the largest order quantity."""

    programme: Programme
    legs: int
    most: int
    groups: list[Group] = field(default_factory=list)
    active: NDArray[np.bool_] = field(init=False)
    whole: Group = field(init=False)
    _singles: dict[int, Group] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.active = ~self.programme.lazy
        self.whole = Group(1, self.most, 0.0)
        self._relax(self.whole)
        if np.isfinite(self.whole.bound):
            ranges = [(1, 1), (2, 2), (3, self.most)]
            self.groups = [Group(low, high, self.whole.bound) for low, high in ranges if low <= high <= self.most]

    @property
    def bound(self) -> float:
        """What no ticket of this programme costs less than; inf: there is none."""
        return min((group.bound for group in self.groups), default=np.inf)

    @property
    def stuck(self) -> bool:
        """Nothing more can be proven: the lowest group's cheapest ticket is known."""
        return not self.groups or min(self.groups, key=lambda g: g.bound).settled

    def nearby(self, ceiling: float, width: int, left: Callable[[], float]) -> Iterator[Found]:
        """Tickets among the contracts nearest to the relaxation, each quantity's cheapest below `ceiling`.

        Larger quantities are no more tried once some in a row gave nothing.
        """
        misses = 0
        for quantity in _quantities(self.most):
            found = self.close(quantity, ceiling, ROUNDS[width])
            misses = misses + 1 if found is None else 0
            if left() <= 0:
                return
            if found is not None:
                ceiling = min(ceiling, found.cost)
                yield found
            elif misses == GIVE_UP:
                return

    def close(
        self, quantity: int, ceiling: float, width: tuple[int, int, bool], without: frozenset[int] = frozenset()
    ) -> Found | None:
        """A ticket of that quantity below `ceiling` among the contracts nearest to the relaxation."""
        group = self._single(quantity, ceiling)
        if group is None or group.reduced is None:
            return None
        count, nodes, own = width
        nearest = group if own or self.whole.reduced is None else self.whole
        assert nearest.reduced is not None
        order = np.argsort(nearest.reduced[:-1], kind="stable")
        columns = np.sort(np.array([j for j in order if j not in without][:count], dtype=np.int64))
        return self._deepen(replace(group, nodes=nodes), columns, ceiling)

    def around(self, found: Found, quantity: int, ceiling: float, rng: np.random.Generator) -> Found | None:
        """A ticket of that quantity below `ceiling` among the legs of `found` and a draw of contracts not too dear."""
        group = self._single(quantity, ceiling)
        if group is None or group.reduced is None:
            return None
        near = np.argsort(group.reduced[:-1], kind="stable")[:DRAWN_FROM]
        near = near[quantity * group.reduced[near] < ceiling - group.reduced[-1]]
        drawn = rng.permutation(near)[:CLOSE_COLUMNS]
        return self._deepen(group, np.union1d(drawn, np.flatnonzero(found.amounts)), ceiling)

    def _single(self, quantity: int, ceiling: float) -> Group | None:
        if quantity not in self._singles:
            self._singles[quantity] = Group(quantity, quantity, 0.0, nodes=ROUNDS[0][1])
            self._relax(self._singles[quantity])
        group = self._singles[quantity]
        return group if group.bound < ceiling else None

    def _deepen(self, group: Group, columns: NDArray[np.int64], ceiling: float) -> Found | None:
        assert group.reduced is not None
        bottom = float(group.reduced[-1])
        cutoff, found = bottom * FAR + NEAR, None
        while found is None and cutoff < FARTHEST * FAR * bottom + 1.0:
            found, low = self._turn(group, min(cutoff, ceiling), columns)
            if not np.isfinite(low) or (found is None and cutoff >= ceiling):
                break
            cutoff = max(cutoff, low) * FAR
        return found

    def work(self, ceiling: float) -> Found | None:
        """One turn on the group with the lowest bound; a ticket below `ceiling` when one is found."""
        group = min(self.groups, key=lambda g: g.bound)
        if group.reduced is None:
            self._relax(group)
            return None
        cutoff = min(group.bound + max(group.rise * group.bound, NEAR), ceiling)
        columns = self._columns(group, cutoff)
        found, low = self._turn(group, cutoff, columns)
        every = len(columns) == len(self.programme.rows)
        group.bound = max(group.bound, low if every else min(low, cutoff))
        if found is None:
            undecided = group.bound < cutoff - NEAR
            group.nodes *= 2 if undecided else 1
            group.rise = max(group.rise / MORE, 0.01) if undecided else group.rise * MORE
            if group.bound >= ceiling - NEAR:
                group.settled = True
            return None
        if group.low < group.high:
            self.groups.remove(group)
            self.groups += group.parts()
            return None
        group.settled = group.bound >= found.cost - NEAR
        group.nodes *= 1 if group.settled else 2
        return found

    def _columns(self, group: Group, cutoff: float) -> NDArray[np.int64]:
        """Contracts of which one unit does not already cost more than the cutoff."""
        assert group.reduced is not None
        return np.flatnonzero(group.reduced[-1] + group.reduced[:-1] < cutoff)

    def _turn(self, group: Group, cutoff: float, columns: NDArray[np.int64]) -> tuple[Found | None, float]:
        """(the cheapest ticket of the group below `cutoff`, what nothing in it costs less than)."""
        from models.quant.kernels import hedging

        whole = group.low == group.high
        while True:
            kept, table, rows, described, units = self._dictionary(group, columns)
            if not np.isfinite(table[0, 0]):
                return None, np.inf
            if table[0, 0] >= cutoff:
                return None, float(table[0, 0])
            x = np.zeros(units + FREE)
            best, low, _ = hedging.cheapest(table, rows, described, cutoff, whole, self.legs, group.nodes, units, x)
            if best >= cutoff:
                return None, float(low)
            amounts = np.zeros(len(self.programme.rows))
            amounts[kept] = group.low * (np.round(x[:units]) if whole else x[:units])
            if not self._look(np.concatenate([amounts, x[units:]])):
                return Found(amounts, float(best)), float(low)

    def _dictionary(
        self, group: Group, columns: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], Floats, Floats, Floats, int]:
        """(columns kept, solved dictionary in units of the group's least quantity, how many units)."""
        p = self.programme
        top = float(np.ceil(MAX_RATIO * group.high / group.low - NEAR))
        most = np.minimum(np.floor(p.most[columns] / group.low), top)
        kept, most = columns[most >= 1], most[most >= 1]
        return (kept, *self._solved(kept, most, float(group.low), self.legs * top), len(kept))

    def _solved(
        self, kept: NDArray[np.int64], most: Floats, unit: float, units: float
    ) -> tuple[Floats, Floats, Floats]:
        from models.quant.kernels import hedging

        p, count = self.programme, len(kept)
        picked = np.concatenate([kept, np.arange(len(p.rows), len(p.rows) + FREE)])
        while True:
            matrix = p.matrix[np.ix_(self.active, picked)]
            matrix[:, :count] *= unit
            cost = p.cost[picked]
            cost[:count] *= unit
            few = np.concatenate([np.full(count, -1.0), np.zeros(FREE)])
            table, rows, columns = hedging.relaxed(
                np.vstack([matrix, few]), np.append(p.need[self.active], -units), cost,
                np.concatenate([most, np.full(FREE, np.inf)]), count,
            )  # fmt: skip
            if not np.isfinite(table[0, 0]):
                return table, rows, columns
            x = np.zeros(count + FREE)
            hedging.values(table, rows, columns, x)
            whole = np.zeros(len(p.rows) + FREE)
            whole[picked] = x
            whole[kept] *= unit
            if not self._look(whole):
                return table, rows, columns

    def _relax(self, group: Group) -> None:
        """Raise the group's bound to its relaxation, and keep what one unit of each contract costs above that."""
        kept, table, _, described, units = self._dictionary(group, np.arange(len(self.programme.rows)))
        group.bound = max(group.bound, float(table[0, 0]))
        if not np.isfinite(table[0, 0]):
            group.settled = True
            return
        reduced = np.full(len(self.programme.rows) + 1, np.inf)
        reduced[kept] = 0.0
        reduced[-1] = table[0, 0]
        for k in range(1, table.shape[1]):
            name = int(described[k, NAME])
            if 0 <= name < units and described[k, SIGN] > 0:
                reduced[kept[name]] = max(table[0, k], 0.0)
        group.reduced = reduced

    def _look(self, x: Floats) -> bool:
        """Take in the rows that `x` breaks most; False when it breaks none."""
        p = self.programme
        missing = np.where(self.active, 0.0, p.need - p.matrix @ x)
        worst = np.argsort(-missing)[:ROWS_AT_ONCE]
        worst = worst[missing[worst] > NEAR]
        self.active[worst] = True
        return bool(len(worst))


def _quantities(most: int) -> list[int]:
    """Order quantities to try first: one by one, then in steps of about a third."""
    found = [1]
    while found[-1] < most:
        found.append(max(found[-1] + 1, int(found[-1] * 1.34)))
    return [q for q in found if q <= most]
