"""The cheapest full cure of a book's broken caps in one ticket, and the bound that nothing cheaper exists below.

What stands is always valued exactly, with the real margin effect and every gate; the bound is of a relaxation that
leaves no allowed ticket out, so that the truth lies between the two. A ticket counts as a cure when every broken cap
lands inside its limit by the rules' margin, or, where the chain cannot, on the limit itself.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.aftermath import scene_room
from models.quant.breach import NEAR_NOTHING, BreachKind, detect_breaches
from models.quant.candidate import Candidate, Scene
from models.quant.linear_hedges import cures, linear_hedges, stands
from models.quant.margin_floor import MarginFloor
from models.quant.optimum_problem import Programme, programmes
from models.quant.optimum_search import ROUNDS, Found, Search
from models.quant.outlay import prices_of
from models.quant.regime_rules import Family
from models.quant.structure import Action, Leg
from models.quant.tickets import WIDEST

Floats = NDArray[np.float64]
MEASURED = {
    BreachKind.VEGA, BreachKind.DELTA, BreachKind.GAMMA, BreachKind.STRESS_NEAR, BreachKind.STRESS_WORST,
    BreachKind.SHORT_NOTIONAL, BreachKind.CONTRACTS,
}  # fmt: skip
"""Caps with a row of their own; the others are only asked of what is found, and the bound does not know them."""
OTHERS = 6  # legs without which a ticket that does not stand up to exact valuation is tried again
POLISH_FROM, PROOF_FROM = 0.6, 0.35  # of the time that is left: first tickets until then, the best bettered until then
DRAWS, LAST_DRAWS = 40, 400  # in a row that better nothing, and the best ticket is left as it is
_CENT = 0.01


@dataclass(frozen=True)
class Optimum:
    """`hedge` is the best that stands, None while there is none; `bound` (currency) is what no full cure costs less
    than, inf: there is none, proven. `bare_bound` is the same for cures that only reach the limits. `inside`: `bound`
    is of cures that land inside, as the rules want them; where no ticket can both are of bare ones.
    """

    hedge: Candidate | None
    bound: float
    bare_bound: float
    inside: bool
    measurable: bool
    """False where a cap is broken that no line measures: then the bound is far below what a cure must cost."""

    @property
    def gap(self) -> float | None:
        """How much dearer than the bound the best is, as a share of it; None while unknown."""
        return _over(self.hedge.cost.total, self.bound) if self.hedge is not None and self.measurable else None

    @property
    def words(self) -> str:
        if self.bound == np.inf:
            return "proven: no full cure exists in one ticket"
        if not self.measurable:
            return "a cap is broken that no line measures; there is no yardstick"
        if self.hedge is None:
            return f"no full cure found; none costs less than {self.bound:,.2f}"
        gap = self.gap
        return f"{self.hedge.cost.total:,.2f}, at most {gap:.1%} over the least" if gap is not None else "unknown"

    def distance(self, scene: Scene, hedge: Candidate) -> float | None:
        """How much dearer than the least possible `hedge` is at most, as a share of it: what `optimum_gap` keeps.

        None where that means nothing: it cures only in part, or lies outside what was searched.
        """
        if not cures(hedge) or not self.measurable:
            return None
        return _over(hedge.cost.total, self.bound if not self.inside or lands_inside(scene, hedge) else self.bare_bound)


def _over(cost: float, bound: float) -> float | None:
    if not np.isfinite(bound) or bound < _CENT or cost < bound - _CENT:
        return None
    return cost / bound - 1


def lands_inside(scene: Scene, hedge: Candidate) -> bool:
    """True when every row broken before lands inside its limit by the rules' margin."""
    room, prices = scene_room(scene), prices_of(scene)
    total = sum(
        leg.signed_ratio * hedge.quantity * prices.measures[scene.vectors.index[leg.contract.identity]]
        for leg in hedge.legs
    )
    broken = room.left < -NEAR_NOTHING
    left = room.left + np.asarray(total) @ room.weights
    moved = np.abs(room.weights).sum(axis=0) > 0
    aim = (1 - scene.hedges.cure_to) * room.limit_size
    return bool((left >= aim - NEAR_NOTHING)[broken & moved].all())


def optimum(
    scene: Scene,
    floors: Sequence[MarginFloor],
    left: Callable[[], float],
    known: Iterable[Candidate] = (),
    near: float | None = None,
) -> Iterator[Optimum]:
    """Better and better answers; the last is final. `left` tells the seconds that remain, asked between turns.

    `known` are hedges already weighed on this scene: nothing dearer is looked for. `near` is the gap that is narrow
    enough, else the rules'. Raises ValueError when the limits are unknown.
    """
    enough = scene.hedges.optimum_near if near is None else near
    ready, most = programmes(scene, floors), scene.hedges.max_quantity
    straight = linear_hedges(scene)
    standing = [hedge for hedge in (*known, *straight) if cures(hedge)]
    inside = [hedge for hedge in standing if lands_inside(scene, hedge)]
    bare = [Search(programme.bare, WIDEST, most) for programme in ready]
    bare_bound = _least([*map(_bound, bare), *map(_total, straight)])
    exact = _least([hedge.cost.total for hedge in straight if hedge in inside])
    measurable = _measurable(scene)
    covered = [Search(programme, WIDEST, most) for programme in programmes(scene, floors, covered=True)]
    work = _Work(scene, [Search(p, WIDEST, most) for p in ready], covered, _cheapest(inside), enough)
    for _ in work.run(left):
        yield Optimum(work.hedge, min(work.bound, exact), bare_bound, True, measurable)
    if np.isfinite(min(work.bound, exact)) or left() <= 0:
        return
    work, exact = _Work(scene, bare, [], _cheapest(standing), enough), _least(map(_total, straight))
    for _ in work.run(left):
        bound = min(work.bound, exact)
        yield Optimum(work.hedge, bound, bound, False, measurable)


def _measurable(scene: Scene) -> bool:
    """Is every broken cap one that a line measures?"""
    broken = detect_breaches(scene.exposure, scene.limits, scene.smallest_lot)
    return all(breach.kind in MEASURED for breach in broken if breach.is_cap)


def _least(costs: Iterable[float]) -> float:
    return min(costs, default=np.inf)


def _cheapest(hedges: Iterable[Candidate]) -> Candidate | None:
    return min(hedges, key=_total, default=None)


def _total(hedge: Candidate) -> float:
    return hedge.cost.total


def _bound(search: Search) -> float:
    return search.bound


def _less(left: Callable[[], float], kept: float) -> Callable[[], float]:
    """The seconds that remain, but for those kept for later."""
    return lambda: left() - kept


@dataclass
class _Work:
    """Searches side by side against the best hedge that stands so far; `first` are narrower, only to find tickets."""

    scene: Scene
    searches: list[Search]
    first: list[Search]
    hedge: Candidate | None
    near: float
    best: tuple[Search, Found] | None = None

    @property
    def bound(self) -> float:
        """Nothing unproven is cheaper, and nothing is cheaper than what is known to be the least."""
        return min((s.bound for s in self.searches), default=np.inf)

    @property
    def ceiling(self) -> float:
        return np.inf if self.hedge is None else self.hedge.cost.total

    def run(self, left: Callable[[], float]) -> Iterator[None]:
        """One turn at a time; what is nearest to the relaxations first."""
        yield
        whole = left()
        searches = [*sorted(self.first, key=_bound), *sorted(self.searches, key=_bound)]
        until = POLISH_FROM * whole
        for width in range(len(ROUNDS)):
            for search in searches if width == 0 or self.best is None else ():
                if search.bound < self.ceiling and left() > until:
                    self._nearby(search, width, _less(left, until))
                    yield
        yield from self._polish(_less(left, PROOF_FROM * whole), DRAWS)
        yield from self._prove(left)
        yield from self._polish(left, LAST_DRAWS)

    def _prove(self, left: Callable[[], float]) -> Iterator[None]:
        """Raise the lowest bound, turn by turn, until it is near enough or a ticket's own: then no turn could."""
        while left() > 0 and self.bound < self._target():
            search = min((s for s in self.searches if not s.stuck), key=_bound, default=None)
            if search is None or search.bound > self.bound + _CENT:
                return
            found = search.work(self._target())
            if found is not None:
                self._take(search, found, left)
            yield

    def _polish(self, left: Callable[[], float], draws: int) -> Iterator[None]:
        """Better the best ticket found here: its legs among others drawn at random, the same for the same book."""
        rng, misses = np.random.default_rng((len(self.scene.vectors), draws)), 0
        while self.best is not None and left() > 0 and self.bound < self._target() and misses < draws:
            (search, found), before = self.best, self.hedge
            quantity = max(found.quantity + int(rng.integers(-1, 2)), 1)
            like = [s for s in (*self.first, *self.searches) if s.programme.same_columns(search.programme)]
            search = like[int(rng.integers(len(like)))]
            other = search.around(found, quantity, self.ceiling, rng)
            if other is not None:
                self._try(search, other)
            misses = misses + 1 if self.hedge is before else 0
            yield

    def _target(self) -> float:
        """Where the bound is near enough."""
        return self.ceiling / (1 + self.near)

    def _nearby(self, search: Search, width: int, left: Callable[[], float]) -> None:
        """First tickets; one that does not stand is tried again without one of its legs."""
        for found in search.nearby(self.ceiling, width, left):
            if left() <= 0:
                return
            self._take(search, found, left)

    def _take(self, search: Search, found: Found, left: Callable[[], float]) -> None:
        """Keep it if it stands; otherwise look for a like one without one of its legs."""
        if self._try(search, found):
            return
        for leg in np.flatnonzero(found.amounts)[:OTHERS]:
            if left() <= 0:
                return
            other = search.close(found.quantity, self.ceiling, ROUNDS[0], frozenset([int(leg)]))
            if other is not None:
                self._try(search, other)

    def _try(self, search: Search, found: Found) -> bool:
        """Values a ticket exactly; True when it stands, and then it is kept if it is the cheapest."""
        hedge = valued(self.scene, search.programme, found)
        if hedge is None:
            return False
        if hedge.cost.total < self.ceiling:
            self.hedge, self.best = hedge, (search, found)
        return True


def valued(scene: Scene, programme: Programme, found: Found) -> Candidate | None:
    """The exact valuation of contracts per column; None when it is no full cure or a gate refuses it."""
    used = np.flatnonzero(found.amounts)
    if not len(used):
        return None
    whole = np.round(found.amounts[used]).astype(np.int64)
    quantity = found.quantity
    legs = [
        Leg(
            contract=scene.vectors.contracts[programme.rows[j]],
            action=Action.BUY if programme.signs[j] > 0 else Action.SELL,
            ratio=int(n // quantity),
        )
        for j, n in zip(used, whole, strict=True)
    ]
    twice = len({leg.contract.identity for leg in legs}) < len(legs)
    if twice or quantity > scene.hedges.max_quantity:
        return None
    return stands(scene, legs, quantity, Family.CLOSE if programme.closes else Family.OPTIMAL, programme.closes)
