"""Exact valuation of what the search found: the best of each family on the whole exposure and the exact margin.

The search is linear and bounds the margin; here every number is asked again, and whoever does not stand up is counted.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.quant.candidate import Candidate, Scene, Unfit
from models.quant.gates import refusal
from models.quant.outlay import Prices
from models.quant.permitted import OVERRIDDEN, drop_stopped, left_of
from models.quant.portfolio import Holding
from models.quant.regime_rules import Family
from models.quant.room import STRESS
from models.quant.scoring import margin_cost, order_by_merit
from models.quant.screening import Refusals, Sized
from models.quant.shapes import shape_of
from models.quant.tickets import FAMILIES
from models.quant.weighing import weigh

EXACT = 200  # of the best, whose margin is asked exactly where the search has only its bound
TRIES = 200  # exact valuations at most in one pass
PER_FAMILY = 6  # kept of one family before re-quoting
FAILURES = 12  # of one family in a row of merit: its next ones fail for the same reason


def rank(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Full cures first, then cost per unit of cure, ties by the smaller worst stress loss."""
    if not candidates:
        return ()
    order = order_by_merit(
        np.array([c.full for c in candidates]),
        np.array([c.cost.total for c in candidates]),
        np.array([c.cure for c in candidates]),
        np.array([-(c.after["stress_worst"] or 0.0) for c in candidates]),
    )
    return tuple(replace(candidates[i], rank=place) for place, i in enumerate(order, 1))


def choose(
    scene: Scene,
    found: Sized,
    prices: Prices,
    refusals: Refusals,
    keep: int,
    reduces: bool,
    families: Collection[Family],
) -> tuple[Candidate, ...]:
    """Exact valuation of the best, in order of merit, a few of each family, until `keep` stand; best first.

    `reduces`: what is found makes a breach of a cap smaller, and does not only serve the theta target.
    """
    found = drop_stopped(scene, found, refusals, reduces)
    kept: list[Candidate] = []
    per_family: Counter[int] = Counter()
    failed: Counter[int] = Counter()
    found = _with_exact_margin(scene, found, _merit(scene, found, prices)[:EXACT])
    merit = _merit(scene, found, prices)
    closing = found.tickets.family[merit] == FAMILIES.index(Family.CLOSE)
    # closings first: giving back what the book holds is always an alternative, whatever else is cheaper
    for row in (*merit[closing], *merit[~closing]):
        code = int(found.tickets.family[row])
        if len(kept) == keep or per_family.total() + failed.total() == TRIES:
            break
        if per_family[code] >= PER_FAMILY or failed[code] >= FAILURES:
            continue
        try:
            candidate = _named(weigh_allowed(scene, found, int(row), prices, reduces), families)
        except Unfit as unfit:
            _refuse(refusals, scene, found, int(row), unfit.reason, str(unfit))
            failed[code] += 1
            continue
        blocked = refusal(candidate.checks)
        if blocked:
            _refuse(refusals, scene, found, int(row), blocked.split(":")[0], blocked)
            failed[code] += 1
            continue
        if candidate.cure <= 0:
            refusals.add("would not make the breaches smaller")
            failed[code] += 1
            continue
        kept.append(candidate)
        per_family[code] += 1
    return rank(kept)


def _named(candidate: Candidate, families: Collection[Family]) -> Candidate:
    """A combination that has a name is of that name's family, and needs the regime's leave like any other of it."""
    shape = shape_of(candidate.legs) if candidate.family is Family.COMBINATION else Family.CUSTOM
    if shape is Family.CUSTOM:
        return candidate
    if shape not in families:
        name = candidate.strategy_name.lower()
        raise Unfit("a kind that the regime does not allow", f"a {name} is not among what the regime allows")
    return replace(candidate, family=shape)


def weigh_allowed(scene: Scene, found: Sized, row: int, prices: Prices, reduces: bool) -> Candidate:
    """The ticket in the size that overrides leave of it; raises Unfit. `reduces`: it makes a cap's breach smaller."""
    asked = int(found.quantity[row])
    whole = replace(weigh(scene, found.tickets, row, asked, prices), asked=asked)
    quantity, reason = left_of(scene, whole, reduces)
    if quantity < 1:
        raise Unfit(OVERRIDDEN, f"{OVERRIDDEN}: {reason}")
    return whole if quantity == asked else replace(weigh(scene, found.tickets, row, quantity, prices), asked=asked)


def _with_exact_margin(scene: Scene, found: Sized, rows: NDArray[np.int64]) -> Sized:
    """The cost of `rows` with interest on what they add to margin, instead of on the most they can add."""
    if scene.margin_of is None:
        return found
    contracts, tickets = scene.vectors.contracts, found.tickets
    cost = found.cost.copy()
    for row in rows:
        legs = zip(tickets.legs[row], tickets.ratios[row] * found.quantity[row], strict=True)
        effect = scene.margin_of([Holding(contracts[i], float(n)) for i, n in legs if i >= 0])
        if effect is not None and effect.maintenance is not None:
            cost[row] = found.without_margin[row] + (margin_cost(effect.maintenance, scene.hedges) or 0.0)
    return replace(found, cost=cost)


def _refuse(refusals: Refusals, scene: Scene, found: Sized, row: int, reason: str, words: str) -> None:
    """Counts it, and keeps the first, which is the best refused one, as the example."""
    refusals.add(reason)
    if refusals.example is None:
        family = FAMILIES[int(found.tickets.family[row])].value.replace("_", " ")
        legs = [scene.vectors.contracts[i] for i in found.tickets.legs[row] if i >= 0]
        refusals.example = f"{family} × {found.quantity[row]:.0f} on {', '.join(map(str, legs))}: {words}"


def _merit(scene: Scene, found: Sized, prices: Prices) -> NDArray[np.int64]:
    """Best first, with the worst cell of the book after each as the tie-break; the same price twice is kept once."""
    if not len(found.tickets):
        return np.zeros(0, dtype=np.int64)
    if scene.exposure.stress is None:
        worst = np.zeros(len(found.tickets))
    else:
        grid = found.tickets.add_up(prices.measures[:, STRESS]) * found.quantity[:, None]
        worst = (np.asarray(scene.exposure.stress)[None, :] + grid).min(axis=1)
    return order_by_merit(found.full, found.cost, found.cure, worst)
