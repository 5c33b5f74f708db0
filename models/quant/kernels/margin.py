"""The requirement of a ticket alone, a million times: what a handful of legs ask by their best pairing.

The rules are those of `margin_pairing`, written for few legs: every split of the shorts into spread and naked is tried.
Where shorts of several expiries meet, each long stands with the last expiry it outlives. A ticket of two legs has a
form of its own, for whoever tries every pair of contracts.
"""

import numpy as np
from numpy.typing import NDArray

from models.quant.kernels.jit import kernel, part

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

# columns of what is known per contract, currency; `models.quant.margin_bound.BoundTable` says what they mean
GROUP, CALL, STRIKE, ENDS, SIZE, ALONE, VALUE, BUYING, SELLING, SCALED = range(10)
FACTS = 10


@part
def _largest_loss(k: int, calls: Whole, strikes: Floats, counts: Floats) -> float:
    """Of `k` legs with signed counts, per unit of size: at zero and at the longs' strikes."""
    worst = 0.0
    for p in range(-1, k):
        if p >= 0 and counts[p] <= 0.0:
            continue
        price = 0.0 if p < 0 else strikes[p]
        paid = 0.0
        for i in range(k):
            gap = price - strikes[i] if calls[i] else strikes[i] - price
            paid += counts[i] * max(gap, 0.0)
        worst = max(worst, -paid)
    return worst


@part
def _naked(k: int, calls: Whole, left: Floats, alone: Floats, value: Floats) -> float:
    """Shorts that stand alone: calls against puts where that saves most."""
    total = 0.0
    for i in range(k):
        total += left[i] * alone[i]
    while True:
        best, a, b = 0.0, -1, -1
        for i in range(k):
            if left[i] <= 0.0 or not calls[i]:
                continue
            for j in range(k):
                if left[j] <= 0.0 or calls[j]:
                    continue
                saved = alone[j] - value[j] if alone[i] >= alone[j] else alone[i] - value[i]
                if saved > best:
                    best, a, b = saved, i, j
        if a < 0:
            return total
        pairs = min(left[a], left[b])
        total -= pairs * best
        left[a] -= pairs
        left[b] -= pairs


@part
def _fits(k: int, calls: Whole, held: Floats, counts: Floats, left: Floats) -> bool:
    """Are there longs enough of each right for the shorts in the spread? `left` becomes what stands alone."""
    spare_calls, spare_puts = 0.0, 0.0
    for i in range(k):
        left[i] = max(counts[i] - held[i], 0.0)
        if calls[i]:
            spare_calls += counts[i]
        else:
            spare_puts += counts[i]
    return spare_calls >= 0.0 and spare_puts >= 0.0


@part
def _next(k: int, held: Floats, counts: Floats) -> bool:
    """Another split of the shorts, counted up like an odometer; False after the last."""
    for i in range(k):
        if held[i] < 0.0 and counts[i] > held[i]:
            counts[i] -= 1.0
            return True
        counts[i] = max(held[i], 0.0)
    return False


@part
def _block(
    k: int,
    size: float,
    calls: Whole,
    strikes: Floats,
    held: Floats,
    alone: Floats,
    value: Floats,
    counts: Floats,
    left: Floats,
) -> float:
    """Shorts of one expiry and longs that outlive it: the best split of the shorts into spread and naked."""
    for i in range(k):
        counts[i] = max(held[i], 0.0)
    best = np.inf
    while True:
        if _fits(k, calls, held, counts, left):
            loss = size * _largest_loss(k, calls, strikes, counts)
            best = min(best, loss + _naked(k, calls, left, alone, value))
        if not _next(k, held, counts):
            return best


@part
def _members(k: int, of: int, ratio: Floats, ends: Floats, held: Floats) -> bool:
    """Fill `held` with the shorts that expire with leg `of` and the longs for which that is the last expiry they
    outlive; False when an earlier leg has done so.
    """
    mine = ends[of]
    for i in range(k):
        end = ends[i]
        if ratio[i] < 0.0 and end == mine and i < of:
            return False
        inside = end == mine if ratio[i] < 0.0 else end >= mine
        for j in range(k):
            if ratio[i] > 0.0 and ratio[j] < 0.0 and mine < ends[j] <= end:
                inside = False
        held[i] = ratio[i] if inside else 0.0
    return True


@part
def _paired(k: int, rows: Whole, numbers: Floats, calls: Whole, facts: Floats) -> float:
    """`k` option legs, their signed ratios in the first row of `numbers`; the other rows are for working in."""
    ratio, strikes, ends, held, cost, worth, counts, left = numbers
    bare, together = 0.0, k > 1
    for i in range(k):
        fact = facts[rows[i]]
        calls[i], strikes[i], ends[i], cost[i], worth[i] = (
            fact[CALL],
            fact[STRIKE],
            fact[ENDS],
            fact[ALONE],
            fact[VALUE],
        )
        together = together and fact[GROUP] == facts[rows[0], GROUP]
        bare += max(-ratio[i], 0.0) * cost[i] + worth[i] * 0.0  # unknown stays unknown
    if not together or not bare > 0.0:
        return bare
    total = 0.0
    for s in range(k):
        if ratio[s] < 0.0 and _members(k, s, ratio, ends, held):
            total += _block(k, facts[rows[0], SIZE], calls, strikes, held, cost, worth, counts, left)
    return total


@part
def _scan(legs: Whole, ratios: Whole, facts: Floats, arrays: Floats, profit: Floats) -> float:
    """Legs that are scanned, family by family: the worst scenario less the options' value, never below nothing."""
    total = 0.0
    for a in range(legs.size):
        if legs[a] < 0 or not facts[legs[a], SCALED] > 0.0:
            continue
        mine, fresh, worth = facts[legs[a], GROUP], True, 0.0
        profit[:] = 0.0
        for b in range(legs.size):
            row = legs[b]
            if row < 0 or not facts[row, SCALED] > 0.0 or facts[row, GROUP] != mine:
                continue
            fresh = fresh and b >= a
            worth += ratios[b] * facts[row, VALUE]
            for p in range(profit.size):
                profit[p] += ratios[b] * arrays[row, p]
        if fresh:
            total += _asked(facts[legs[a], SCALED], profit, worth)
    return total


@part
def _asked(scaled: float, profit: Floats, worth: float) -> float:
    risk, unknown = 0.0, 0.0
    for p in range(profit.size):
        risk = max(risk, -profit[p])
        unknown += profit[p] * 0.0
    asked = scaled * (risk + unknown - worth)
    return asked if asked > 0.0 or asked != asked else 0.0


@part
def pair_bound(i: int, ri: int, j: int, rj: int, facts: Floats, arrays: Floats) -> float:
    """What `tickets` asks of two legs, rows `i` and `j` with signed ratios; a ratio of 0 is no leg.

    The legs are of two contracts. Written out, since with one short there is one choice: how many the long covers.
    """
    total, first, second = 0.0, ri, rj
    if ri != 0:
        charge = facts[i, BUYING] if ri > 0 else facts[i, SELLING]
        if charge == charge:
            total, first = total + abs(ri) * charge, 0
    if rj != 0:
        charge = facts[j, BUYING] if rj > 0 else facts[j, SELLING]
        if charge == charge:
            total, second = total + abs(rj) * charge, 0
    if first == 0 and second == 0:
        return total
    scanned = facts[i, SCALED] > 0.0, facts[j, SCALED] > 0.0
    if first != 0 and second != 0 and facts[i, GROUP] == facts[j, GROUP] and scanned[0] == scanned[1]:
        if scanned[0]:
            return total + _scanned_pair(i, first, j, second, facts, arrays)
        return total + _option_pair(facts[i], float(first), facts[j], float(second))
    for row, ratio, scan in ((i, first, scanned[0]), (j, second, scanned[1])):
        if ratio != 0:
            total += _scanned_pair(row, ratio, row, 0, facts, arrays) if scan else _alone(facts[row], float(ratio))
    return total


@part
def _alone(fact: Floats, ratio: float) -> float:
    return float(max(-ratio, 0.0) * fact[ALONE] + fact[VALUE] * 0.0)  # unknown stays unknown


@part
def _option_pair(one: Floats, a: float, other: Floats, b: float) -> float:
    bare = _alone(one, a) + _alone(other, b)
    if not bare > 0.0:
        return bare
    apart = (one[CALL] > 0.0) != (other[CALL] > 0.0)
    if a < 0.0 and b < 0.0:
        if not apart or one[ENDS] != other[ENDS]:
            return bare
        lesser = other if one[ALONE] >= other[ALONE] else one
        return float(bare - min(-a, -b) * max(lesser[ALONE] - lesser[VALUE], 0.0))
    short, n, long, covers = (one, -a, other, b) if a < 0.0 else (other, -b, one, a)
    deeper = long[STRIKE] - short[STRIKE] if short[CALL] > 0.0 else short[STRIKE] - long[STRIKE]
    loss = short[SIZE] * max(deeper, 0.0)
    if apart or long[ENDS] < short[ENDS] or loss >= short[ALONE]:
        return bare
    covered = min(n, covers)
    return float(covered * loss + (n - covered) * short[ALONE])


@part
def _scanned_pair(i: int, ri: int, j: int, rj: int, facts: Floats, arrays: Floats) -> float:
    """Two legs of one family; a ratio of 0 is no leg."""
    risk, unknown = 0.0, 0.0
    for p in range(arrays.shape[1]):
        profit = ri * arrays[i, p] + (rj * arrays[j, p] if rj != 0 else 0.0)
        risk = max(risk, -profit)
        unknown += profit * 0.0
    worth = ri * facts[i, VALUE] + (rj * facts[j, VALUE] if rj != 0 else 0.0)
    asked = facts[i, SCALED] * (risk + unknown - worth)
    return asked if asked > 0.0 or asked != asked else 0.0


@kernel("void(i8[:,::1],i8[:,::1],f8[:,::1],f8[:,::1],f8[::1])")
def tickets(legs: Whole, ratios: Whole, facts: Floats, arrays: Floats, out: Floats) -> None:
    """Fill `out` (C) in currency per unit of each ticket; `legs` and `ratios` (C, as wide as the widest), -1 for none.

    `facts` (N, FACTS) and `arrays` (N, 16), profits of what is scanned, are per contract.
    """
    width = legs.shape[1]
    rows = np.empty(width, np.int64)
    calls = np.empty(width, np.int64)
    numbers = np.empty((8, width))
    profit = np.empty(arrays.shape[1])
    for c in range(legs.shape[0]):
        total, k, scanned = 0.0, 0, 0
        for column in range(width):
            row, ratio = legs[c, column], ratios[c, column]
            if row < 0 or ratio == 0:
                continue
            charge = facts[row, BUYING] if ratio > 0 else facts[row, SELLING]
            if charge == charge:
                total += abs(ratio) * charge
            elif facts[row, SCALED] > 0.0:
                scanned += 1
            else:
                rows[k] = row
                numbers[0, k] = ratio
                k += 1
        if scanned > 0:
            total += _scan(legs[c], ratios[c], facts, arrays, profit)
        if k > 0:
            total += _paired(k, rows, numbers, calls, facts)
        out[c] = total
