"""The requirement of a ticket alone, a million times: what at most four legs ask by their best pairing.

The rules are those of `margin_pairing`, written for a handful of legs: every split of the shorts into spread and naked
is tried. Where shorts of several expiries meet, each long stands with the last expiry it outlives.
"""

import numpy as np
from numpy.typing import NDArray

from models.quant.kernels.jit import kernel, part

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


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
def _members(k: int, of: int, rows: Whole, ratio: Floats, ends: Floats, held: Floats) -> bool:
    """Fill `held` with the shorts that expire with leg `of` and the longs for which that is the last expiry they
    outlive; False when an earlier leg has done so.
    """
    mine = ends[rows[of]]
    for i in range(k):
        end = ends[rows[i]]
        if ratio[i] < 0.0 and end == mine and i < of:
            return False
        inside = end == mine if ratio[i] < 0.0 else end >= mine
        for j in range(k):
            if ratio[i] > 0.0 and ratio[j] < 0.0 and mine < ends[rows[j]] <= end:
                inside = False
        held[i] = ratio[i] if inside else 0.0
    return True


@part
def _paired(
    k: int,
    rows: Whole,
    numbers: Floats,
    calls: Whole,
    group: Whole,
    call: NDArray[np.bool_],
    strike: Floats,
    ends: Floats,
    size: Floats,
    alone: Floats,
    value: Floats,
) -> float:
    """`k` option legs, their signed ratios in the first row of `numbers`; the other rows are for working in."""
    ratio, strikes, held, cost, worth, counts, left = numbers
    bare, together = 0.0, k > 1
    for i in range(k):
        row = rows[i]
        calls[i], strikes[i], cost[i], worth[i] = call[row], strike[row], alone[row], value[row]
        together = together and group[row] == group[rows[0]]
        bare += max(-ratio[i], 0.0) * cost[i] + worth[i] * 0.0  # unknown stays unknown
    if not together or not bare > 0.0:
        return bare
    total = 0.0
    for s in range(k):
        if ratio[s] < 0.0 and _members(k, s, rows, ratio, ends, held):
            total += _block(k, size[rows[0]], calls, strikes, held, cost, worth, counts, left)
    return total


@part
def _scan(
    legs: Whole,
    ratios: Whole,
    group: Whole,
    value: Floats,
    arrays: Floats,
    scaled: Floats,
    profit: Floats,
) -> float:
    """Legs that are scanned, family by family: the worst scenario less the options' value, never below nothing."""
    total = 0.0
    for a in range(legs.size):
        if legs[a] < 0 or not scaled[legs[a]] > 0.0:
            continue
        mine, fresh, worth = group[legs[a]], True, 0.0
        profit[:] = 0.0
        for b in range(legs.size):
            row = legs[b]
            if row < 0 or not scaled[row] > 0.0 or group[row] != mine:
                continue
            fresh = fresh and b >= a
            worth += ratios[b] * value[row]
            for p in range(profit.size):
                profit[p] += ratios[b] * arrays[row, p]
        if fresh:
            risk, unknown = 0.0, 0.0
            for p in range(profit.size):
                risk = max(risk, -profit[p])
                unknown += profit[p] * 0.0
            risk += unknown
            asked = scaled[legs[a]] * (risk - worth)
            total += asked if asked > 0.0 or asked != asked else 0.0
    return total


@kernel(
    "void(i8[:,::1],i8[:,::1],i8[::1],b1[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],"
    "f8[:,::1],f8[::1],f8[::1])"
)
def tickets(
    legs: Whole,
    ratios: Whole,
    group: Whole,
    call: NDArray[np.bool_],
    strike: Floats,
    ends: Floats,
    size: Floats,
    alone: Floats,
    value: Floats,
    buying: Floats,
    selling: Floats,
    arrays: Floats,
    scaled: Floats,
    out: Floats,
) -> None:
    """Fill `out` (C) in currency per unit of each ticket.

    Per contract (N): `group` tells what may pair (options) or is scanned together (futures, where `scaled`, initial
    over maintenance, is above 0); `buying` and `selling` are charges for legs that pair with nothing, NaN for the rest.
    """
    width = legs.shape[1]
    rows = np.empty(width, np.int64)
    calls = np.empty(width, np.int64)
    numbers = np.empty((7, width))
    profit = np.empty(arrays.shape[1])
    for c in range(legs.shape[0]):
        total, k, scanned = 0.0, 0, 0
        for column in range(width):
            row, ratio = legs[c, column], ratios[c, column]
            if row < 0 or ratio == 0:
                continue
            charge = buying[row] if ratio > 0 else selling[row]
            if charge == charge:
                total += abs(ratio) * charge
            elif scaled[row] > 0.0:
                scanned += 1
            else:
                rows[k] = row
                numbers[0, k] = ratio
                k += 1
        if scanned > 0:
            total += _scan(legs[c], ratios[c], group, value, arrays, scaled, profit)
        if k > 0:
            total += _paired(k, rows, numbers, calls, group, call, strike, ends, size, alone, value)
        out[c] = total
