"""The pairing of a group as a programme over whole contracts, laid out by place: what each variable and each row is.

Of n options, k other strategies and B spreads the variables are: shorts that stand naked (n), shorts that stand beside
a dearer one (n), units of the others (k), longs in each spread (B·n), and each spread's loss (B); what cannot be has no
room. Rows say that nothing is used twice; that each short which stands beside a dearer one has a naked one of its own
ranked before it; and that a short in no strategy is in the spread of its expiry: there the loss is at least what is
owed at every price, and of each right there are at least as many longs as shorts. The last rows bind nothing: how many
longs of a right a spread holds up to each strike is what the search decides best on.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.quant.kernels.branching import least
from models.quant.kernels.jit import kernel, part
from models.quant.kernels.margin import ALONE, CALL, ENDS, GROUP, SIZE, STRIKE, VALUE
from models.quant.kernels.simplex import BRANCHED, FREE, WHOLE, Floats, Whole

Flags = NDArray[np.bool_]

_CLOSE = 0.005  # currency that a proof may leave open
_TIDY = 1e-5  # currency for each long in a spread: one that changes nothing stays outside
_FINE = 1e4  # steps of the strikes' grid up to the dearest: on a finer one losses count as any number
_UNIT = 0.01  # of the dearest contract: costs are counted in it, since the search's tolerances are absolute


class _Group(NamedTuple):
    """What is paired: facts (n, FACTS), contracts held (n) without sign, `legs` (k, 2) of the other strategies; the
    `spread` (n) of each short or -1, and which `longs` (B, n) may be in each.
    """

    facts: Floats
    held: Floats
    legs: Whole
    spread: Whole
    longs: Flags


class _Rows(NamedTuple):
    """Variables (`most`, `kinds`) and the constraints written down so far: `filled` are they and their entries."""

    most: Floats
    kinds: Floats
    first: Whole
    places: Whole
    entries: Floats
    low: Floats
    row_kinds: Floats
    filled: Whole


@part
def _outlives(facts: Floats, quantity: Floats, j: int, i: int) -> bool:
    """Is `j` a long that may stand with short `i`?"""
    return bool(quantity[j] > 0.0 and facts[j, GROUP] == facts[i, GROUP] and facts[j, ENDS] >= facts[i, ENDS])


@part
def _spreads(facts: Floats, quantity: Floats) -> tuple[Whole, Flags]:
    """(the spread of each short or -1, which longs may be in each): one for each expiry of shorts that some long of
    their right outlives.
    """
    n = quantity.size
    spread, longs, count = np.full(n, -1), np.zeros((n, n), np.bool_), 0
    for i in range(n):
        if quantity[i] > 0.0 or spread[i] >= 0:
            continue
        covered = False
        for s in range(n):
            mate = quantity[s] < 0.0 and facts[s, GROUP] == facts[i, GROUP] and facts[s, ENDS] == facts[i, ENDS]
            spread[s] = count if mate else spread[s]
            longs[count, s] = _outlives(facts, quantity, s, i)
        for s in range(n):
            for j in range(n):
                covered |= spread[s] == count and longs[count, j] and facts[s, CALL] == facts[j, CALL]
        if covered:
            count += 1
        else:
            spread[spread == count] = -2
    return np.maximum(spread, -1), longs[:count]


@part
def _pays(fact: Floats, price: float) -> float:
    """Intrinsic value of one contract, currency."""
    gap = price - fact[STRIKE] if fact[CALL] > 0.0 else fact[STRIKE] - price
    return float(max(gap, 0.0) * fact[SIZE])


@part
def _grid(facts: Floats, members: Flags) -> float:
    """What divides every strike, in currency of one contract: losses are whole multiples of it. 0 is none."""
    grid, most = 0.0, 0.0
    for i in range(members.size):
        if members[i]:
            amount = 100.0 * facts[i, STRIKE] * facts[i, SIZE]
            cents = np.rint(amount)
            if abs(amount - cents) >= 1e-6:
                return 0.0
            most = max(most, cents)
            while cents > 0.0:
                grid, cents = cents, grid % cents if grid > 0.0 else 0.0
    return grid / 100.0 if most < _FINE * grid else 0.0


@part
def _put(rows: _Rows, row: Floats, low: float, branched: bool) -> None:
    """Write a row down and empty it: it is whole where all its numbers and variables are."""
    r, at = rows.filled
    odd = low != np.rint(low)
    for c in range(row.size):
        if row[c] != 0.0 and rows.most[c] > 0.0:
            rows.places[at], rows.entries[at] = c, row[c]
            odd = odd or row[c] != np.rint(row[c]) or rows.kinds[c] == FREE
            at += 1
        row[c] = 0.0
    rows.low[r], rows.first[r + 1] = low, at
    rows.row_kinds[r] = FREE if odd else BRANCHED if branched else WHOLE
    rows.filled[0], rows.filled[1] = r + 1, at


@part
def _take(group: _Group, row: Floats, i: int, times: float) -> None:
    """Add what one unit of each named strategy takes of option `i`."""
    n = group.held.size
    row[i] += times
    row[n + i] += times
    for e in range(group.legs.shape[0]):
        if group.legs[e, 0] == i or group.legs[e, 1] == i:
            row[2 * n + e] += times


@part
def _used_once(group: _Group, rows: _Rows, place: int) -> None:
    """No contract is used twice, and a short that fits no spread stands somewhere. `place`: of the first long."""
    n, row = group.held.size, np.zeros(rows.most.size)
    for i in range(n):
        _take(group, row, i, -1.0)
        for b in range(group.longs.shape[0]):
            row[place + b * n + i] = -1.0
        _put(rows, row, -group.held[i], False)
        if group.spread[i] == -1 and rows.most[i] > 0.0:
            _take(group, row, i, 1.0)
            _put(rows, row, group.held[i], False)


@part
def _ranks(group: _Group, rows: _Rows, order: Whole) -> None:
    """Up to every rank at least as many naked shorts of one right as shorts of the other stand beside them.

    That is enough for each to have its own, since whatever is naked before one is so before all that come later (Hall's
    theorem); only the last of a run without new naked ones needs its row.
    """
    facts, n = group.facts, group.held.size
    for call in (1.0, 0.0):
        sums, row = np.zeros(rows.most.size), np.zeros(rows.most.size)
        first, pending = True, False
        for p in range(order.size + 1):
            ends = p == order.size or (p > 0 and facts[order[p], GROUP] != facts[order[p - 1], GROUP])
            if pending and (ends or facts[order[p], CALL] != call):
                row[:] = sums
                _put(rows, row, 0.0, False)
                pending = False
            if ends:
                sums[:], first = 0.0, True
            if p == order.size:
                break
            i = order[p]
            if facts[i, CALL] != call:
                sums[i], first = 1.0, False
            elif first:
                rows.most[n + i] = 0.0  # nothing is ranked before it
            else:
                sums[n + i], pending = -1.0, True


@part
def _loss(group: _Group, rows: _Rows, b: int, place: int, loss: int, step: float, whole: bool) -> None:
    """A spread's loss, in steps, is at least what is owed at every price at which anything can be owed.

    A payoff bends upwards only at strikes of its longs, and with enough longs it does not fall at the far end: its
    least value is at a long's strike or at zero.
    """
    row = np.zeros(rows.most.size)
    for price in np.unique(np.where(group.longs[b], group.facts[:, STRIKE], 0.0)):
        owed = 0.0
        for i in range(group.held.size):
            pay = _pays(group.facts[i], price) / step
            pay = np.rint(pay) if whole else pay
            if group.spread[i] == b and pay > 0.0:
                _take(group, row, i, pay)
                owed += pay * group.held[i]
            elif group.longs[b, i]:
                row[place + i] = pay
        row[loss] = 1.0
        if owed > 0.0:
            _put(rows, row, owed, False)
        row[:] = 0.0


@part
def _enough(group: _Group, rows: _Rows, b: int, place: int) -> None:
    """Of each right at least as many longs as shorts."""
    row = np.zeros(rows.most.size)
    for call in (1.0, 0.0):
        shorts = 0.0
        for i in range(group.held.size):
            if group.facts[i, CALL] == call and group.spread[i] == b:
                _take(group, row, i, 1.0)
                shorts += group.held[i]
            elif group.facts[i, CALL] == call and group.longs[b, i]:
                row[place + i] = 1.0
        if shorts > 0.0:
            _put(rows, row, shorts, False)
        row[:] = 0.0


@part
def _up_to_each_strike(group: _Group, rows: _Rows, b: int, place: int) -> None:
    """How many longs of a right, the deepest first; a single one is a variable already."""
    strikes, row = group.facts[:, STRIKE], np.zeros(rows.most.size)
    for call in (1.0, 0.0):
        mine = group.longs[b] & (group.facts[:, CALL] == call)
        for strike in np.unique(strikes[mine]):
            count = 0
            for j in range(mine.size):
                if mine[j] and (strikes[j] <= strike if call > 0.0 else strikes[j] >= strike):
                    row[place + j] = 1.0
                    count += 1
            if count > 1:
                _put(rows, row, 0.0, True)
            row[:] = 0.0


@kernel("Tuple((f8,f8,i8))(f8[:,::1],f8[::1],i8[::1],i8[:,::1],f8[::1],f8[::1],f8,i8,f8[::1],i8[::1])")
def cheapest(
    facts: Floats,
    quantity: Floats,
    order: Whole,
    legs: Whole,
    costs: Floats,
    taken: Floats,
    shares: float,
    limit: int,
    x: Floats,
    spread: Whole,
) -> tuple[float, float, int]:
    """(what the cheapest pairing of a group asks, how low it could still be, in currency; nodes of the search).

    `facts` (n, FACTS) and the signed `quantity` (n) of its options; `order` of its shorts, group by group: those that
    may be strangles of each other, the dearest alone first. Of the other strategies: `legs` (k, 2), places among the
    options or -1, one contract each; `costs` (k) in currency and the shares `taken` (k) by one unit; `shares` are
    free. `x` is filled with the variables and needs room for as many spreads as there are shorts; `spread` (n) with
    the spread of each short or -1.
    """
    n, k = quantity.size, costs.size
    spread[:], longs = _spreads(facts, quantity)
    group = _Group(facts, np.abs(quantity), legs, spread, longs)
    spreads = longs.shape[0]
    place, losses = 2 * n + k, 2 * n + k + spreads * n
    width, room = losses + spreads, 2 + 4 * n + spreads * (3 * n + 3)
    all_whole = (quantity == np.rint(quantity)).all()
    unit = _UNIT * (facts[:, STRIKE] * facts[:, SIZE]).max()
    cost, most, kinds = np.zeros(width), np.zeros(width), np.full(width, BRANCHED if all_whole else FREE)
    rows = _Rows(
        most, kinds, np.zeros(room + 1, np.int64), np.empty(room * (n + width), np.int64), np.empty(room * (n + width)),
        np.empty(room), np.empty(room), np.zeros(2, np.int64),
    )  # fmt: skip
    x[:width] = 0.0
    for i in range(n):
        if quantity[i] < 0.0:
            cost[i], cost[n + i] = facts[i, ALONE], facts[i, VALUE]
            most[i] = most[n + i] = x[i] = -quantity[i]
    for e in range(k):
        cost[2 * n + e] = costs[e]
        most[2 * n + e] = min(group.held[legs[e, 0]], group.held[legs[e, 1]] if legs[e, 1] >= 0 else np.inf)
    _ranks(group, rows, order)
    for b in range(spreads):
        most[place + b * n : place + b * n + n] = np.where(longs[b], group.held, 0.0)
        grid = _grid(facts, longs[b] | (spread == b))
        cost[losses + b], most[losses + b] = grid if grid > 0.0 else unit, np.inf
        kinds[losses + b] = WHOLE if all_whole and grid > 0.0 else FREE
    _used_once(group, rows, place)
    if (taken > 0.0).any():
        row = np.zeros(width)
        row[2 * n : place] = -taken
        _put(rows, row, -shares, False)
    for b in range(spreads):
        at = place + b * n
        _loss(group, rows, b, at, losses + b, cost[losses + b], _grid(facts, longs[b] | (spread == b)) > 0.0)
        _enough(group, rows, b, at)
        if all_whole:
            _up_to_each_strike(group, rows, b, at)
    r, end = rows.filled
    constraints = (rows.first[: r + 1], rows.places[:end], rows.entries[:end], rows.low[:r], rows.row_kinds[:r])
    tidy = cost.copy()
    tidy[place:losses] = _TIDY
    _, under, nodes = least(constraints, tidy / unit, most, kinds, _CLOSE / unit, limit, x[:width])
    x[:width] = np.where(kinds > FREE, np.rint(x[:width]), x[:width])
    return (cost * x[:width]).sum(), under * unit, nodes
