"""The two questions of the search: how each of many tickets sizes up, and which of all pairs of legs are the best.

A pair is refused as early as it can be: where it helps nothing, where no size of it can be cheaper than all that are
kept, where one unit takes the whole room of a row.
"""

import numpy as np
from numba import boolean, float64, int64, void
from numpy.typing import NDArray

from models.quant.kernels import layout, sizing
from models.quant.kernels.jit import kernel, part, quick
from models.quant.kernels.layout import DIFFERENT, EQUAL, Floats, Rows, Whole
from models.quant.kernels.margin import pair_bound
from models.quant.kernels.sizing import F1, F2, I1, I2, ROWS, add_up, scratch, settle


# ── two legs ─────────────────────────────────────────────────────────────────────────────────────────────────────
@quick
def _pair_taken(harm: Floats, a: int, p: float, b: int, q: float) -> tuple[float, int]:
    """(share of room taken where most is, its row); the search stops with the first block that takes all of one."""
    low, row = 0.0, 0
    for start in range(0, harm.shape[1], layout.BLOCK):
        least = 0.0
        for d in range(layout.BLOCK):
            least = min(least, p * harm[a, start + d] + q * harm[b, start + d])
        if least < low:
            low = least
            if low < -1.0 - sizing.NEAR:
                for d in range(layout.BLOCK):
                    if p * harm[a, start + d] + q * harm[b, start + d] <= low:
                        row = start + d
                break
    return low, row


@quick
def _pair_ways(ways: Floats, weights: Floats, a: int, p: float, b: int, q: float) -> tuple[float, float]:
    """(least share of a breach's excess that one unit can give, the most cure it can be)."""
    least, gain = np.inf, 0.0
    for k in range(layout.KINDS):
        share = p * ways[a, k] + q * ways[b, k]
        least = min(least, share)
        gain += weights[k] * max(share, 0.0)
    return least, gain


@part
def _pair_cost(facts: Floats, terms: Floats, a: int, p: int, b: int, q: int) -> float:
    """Trading one unit, and theta given up."""
    cost = p * facts[a, layout.BUY] if p > 0 else -p * facts[a, layout.SELL]
    cost += q * facts[b, layout.BUY] if q > 0 else -q * facts[b, layout.SELL]
    total: float = cost + terms[layout.DAYS] * max(-p * facts[a, layout.THETA] - q * facts[b, layout.THETA], 0.0)
    return total


@part
def _strikes(facts: Floats, a: int, b: int, how: int) -> bool:
    """Are the strikes of rows a and b as asked?"""
    gap: float = facts[b, layout.STRIKE] - facts[a, layout.STRIKE]
    if how == EQUAL:
        return gap == 0.0
    return gap != 0.0 if how == DIFFERENT else gap >= 0.0


@part
def _dearer(unit: float, part: float, full: float, least: float, gain: float) -> bool:
    """Can no size of a pair whose unit costs `unit` be cheaper than all that are kept?

    `part` is the dearest of them per cure, `full` the dearest full cure. A full cure needs 1 / `least` units at least,
    and no unit cures more than `gain`; partial cures count until there are full ones enough."""
    full_too_dear = least <= 0.0 or unit >= full * least
    return full_too_dear and (full < np.inf or unit >= part * gain)


@part
def _keep(
    keys: Floats, kept: Floats, heap: int, a: int, b: int, p: int, q: int, units: float, cost: float, cure: float
) -> None:
    """In place of the dearest of its heap, where it is cheaper. The dearest stands first."""
    key = cost / cure
    if key >= keys[heap, 0]:
        return
    slot, size = 0, keys.shape[1]
    while True:  # sift down: the children of a slot are never dearer than it
        child = 2 * slot + 1
        if child >= size:
            break
        if child + 1 < size and keys[heap, child + 1] > keys[heap, child]:
            child += 1
        if keys[heap, child] <= key:
            break
        keys[heap, slot] = keys[heap, child]
        for i in range(kept.shape[2]):
            kept[heap, slot, i] = kept[heap, child, i]
        slot = child
    keys[heap, slot] = key
    kept[heap, slot, 0], kept[heap, slot, 1], kept[heap, slot, 2], kept[heap, slot, 3] = a, b, p, q
    kept[heap, slot, 4], kept[heap, slot, 5], kept[heap, slot, 6] = units, cost, cure


# ── the two questions ────────────────────────────────────────────────────────────────────────────────────────────
@kernel(void(ROWS, I2, I2, F1, F1, F1, I1, F1, boolean[::1], F1, F1))
def tickets(
    rows: Rows, legs: Whole, ratios: Whole, most: Floats, wish: Floats, bound: Floats, answer: Whole, quantity: Floats,
    full: NDArray[np.bool_], cure: Floats, cost: Floats,
) -> None:  # fmt: skip
    """Every ticket (C): its answer, units, whether it cures all, cure and cost of all its units.

    `most` units that may be traded, negative for a closing (nothing but what is held limits it), 0: no such limit.
    """
    sums = scratch(rows)
    for c in range(legs.shape[0]):
        add_up(rows, legs[c], ratios[c], sums)
        lots = sizing.lots(rows.facts, rows.terms, legs[c], ratios[c], most[c], bound[c])
        answer[c], quantity[c], full[c], cure[c] = settle(rows, sums, lots, wish[c])
        cost[c] = sizing.cost(rows.facts, rows.terms, legs[c], ratios[c], quantity[c], bound[c])


@kernel(int64(ROWS, I2, I2, I1, F2, float64[:, :, ::1]))
def pairs(rows: Rows, spans: Whole, shapes: Whole, counts: Whole, keys: Floats, kept: Floats) -> int:
    """The best of every pair of two legs; how many there were.

    A line of `spans` (S, 4) is two stretches of rows, equal where a pair is of one stretch; a line of `shapes` (S, 4)
    is the ratios, the heap, and what the strikes must be. Heap h of `keys` (H, K) keeps the K least costs per cure of
    partial cures, heap h + 1 of full ones; `kept` (H, K, RECORD) what they are: rows, ratios, units, cost, cure.
    `counts` are the answers.
    """
    sums, legs, ratios = scratch(rows), np.empty(2, np.int64), np.empty(2, np.int64)
    # as names of their own: a tuple handed on a billion times is a tuple copied a billion times
    harm, ways, weights, facts, terms = rows.harm, rows.ways, rows.weights, rows.facts, rows.terms
    summed = rows.counted[0, layout.WAY] + rows.counted[1, layout.WAY] <= 0.0  # then `ways` bounds every cure
    looked = 0
    for s in range(spans.shape[0]):
        p, q, heap, strikes = shapes[s]
        ratios[0], ratios[1] = p, q
        same = spans[s, 0] == spans[s, 2]
        for a in range(spans[s, 0], spans[s, 1]):
            for b in range(a + 1 if same else spans[s, 2], spans[s, 3]):
                if strikes and not _strikes(facts, a, b, strikes):
                    continue
                looked += 1
                if summed:
                    least, gain = _pair_ways(ways, weights, a, p, b, q)
                    if gain <= sizing.LEAST_CURE * sizing.NEAR:
                        counts[layout.HELPLESS] += 1
                        continue
                    unit, full_price = _pair_cost(facts, terms, a, p, b, q), keys[heap + 1, 0] * terms[layout.TOTAL]
                    if _dearer(unit, keys[heap, 0], full_price, least, gain):
                        counts[layout.DEARER] += 1
                        continue
                share, row = _pair_taken(harm, a, p, b, q)
                if share < -1.0 - sizing.NEAR:
                    counts[layout.HARMFUL + row] += 1
                    continue
                legs[0], legs[1] = a, b
                add_up(rows, legs, ratios, sums)
                bound = pair_bound(a, p, b, q, rows.margin, rows.arrays)
                bound = 0.0 if bound != bound else bound  # unknown: the exact question decides
                lots = sizing.lots(rows.facts, rows.terms, legs, ratios, 0.0, bound)
                said, units, full, cure = settle(rows, sums, lots, 0.0)
                counts[said] += 1
                if said == layout.GOOD:
                    cost = sizing.cost(rows.facts, rows.terms, legs, ratios, units, bound)
                    _keep(keys, kept, heap + (1 if full else 0), a, b, p, q, units, cost, cure)
    return looked
