"""How many of a ticket cure the book, harm nothing, and what that costs: the parts that every search is made of.

Each contract carries, per row of the room, the share of what is left that one long contract gives or takes (`harm`,
−1: all of it) and the share of a breach's way back that it gives (`help`, `bare`). A ticket's shares are sums of its
legs', and its size a quotient: the fewest units that give every breach its whole way, the most that take no room
entirely. Rows come in blocks of sixteen, padded with what never binds, so that the compiler sees vectors.
"""

from typing import NamedTuple

import numpy as np
from numba import float64, int64, types

from models.quant.kernels.jit import part, quick
from models.quant.kernels.layout import (
    BARE,
    BUY,
    CALL,
    CAPITAL,
    CHARGE,
    CONTRACTS,
    DAYS,
    FUNDS,
    GOOD,
    HARMFUL,
    HELD,
    HELPLESS,
    LEFT,
    MARGIN,
    MOST,
    MOST_SHARES,
    NOTIONAL,
    ROOM,
    SELL,
    SHARE,
    SIZE,
    THETA,
    TOO_LITTLE,
    TOO_MUCH,
    TOTAL,
    VALUE,
    WAY,
    Floats,
    Rows,
    Whole,
)  # fmt: skip

NEAR, NOTHING, LEAST_CURE, FAR = 1e-9, 1e-12, 1e-6, 1e15


class Scratch(NamedTuple):
    """One ticket's sums: shares of room, of the ways back, changes of what is counted, the worst of each kind."""

    taken: Floats
    given: Floats
    bare: Floats
    change: Floats
    worst: Floats


F1, F2, I1, I2 = float64[::1], float64[:, ::1], int64[::1], int64[:, ::1]
ROWS = types.NamedTuple((*[F2] * 7, F1, F1, F2, F1, F1, I1, I1, F1, F1), Rows)
"""Types of numba's for the kernels' signatures."""


# ── sums over the legs ───────────────────────────────────────────────────────────────────────────────────────────
@quick
def _sum(table: Floats, legs: Whole, ratios: Whole, out: Floats) -> None:
    for d in range(table.shape[1]):
        out[d] = 0.0
    for leg in range(legs.size):
        if legs[leg] >= 0:
            for d in range(table.shape[1]):
                out[d] += ratios[leg] * table[legs[leg], d]


@quick
def _range(shares: Floats) -> tuple[float, float]:
    """(least, most but at least 0)."""
    low, high = np.inf, 0.0
    for d in range(shares.size):
        low, high = min(low, shares[d]), max(high, shares[d])
    return low, high


@quick
def _binding(taken: Floats, strict: Floats) -> tuple[float, float]:
    """Share of the room that binds first: harming nothing, and leaving no breach behind."""
    low, clean = 0.0, 0.0
    for d in range(taken.size):
        low, clean = min(low, taken[d]), min(clean, taken[d] * strict[d])
    return low, clean


@part
def _count(facts: Floats, legs: Whole, ratios: Whole, change: Floats) -> None:
    """What one unit frees, negative: takes, of the short notional and of the contracts. Buying a short back frees both;
    shorts that are opened take notional unless longs of their right and ticket cover them."""
    calls, puts, freed, contracts = 0.0, 0.0, 0.0, 0.0
    for leg in range(legs.size):
        row = legs[leg]
        if row < 0:
            continue
        amount = ratios[leg] * facts[row, NOTIONAL]
        closes = facts[row, HELD] * ratios[leg] < 0.0
        if facts[row, SHARE] == 0.0:
            contracts += abs(ratios[leg]) if closes else -abs(ratios[leg])
        if closes and ratios[leg] > 0:
            freed += amount
        elif facts[row, CALL] > 0.0:
            calls -= amount
        else:
            puts -= amount
    change[0] = freed - max(calls, 0.0) - max(puts, 0.0)
    change[1] = contracts


@part
def add_up(rows: Rows, legs: Whole, ratios: Whole, sums: Scratch) -> None:
    _sum(rows.harm, legs, ratios, sums.taken)
    _sum(rows.help, legs, ratios, sums.given)
    _sum(rows.bare, legs, ratios, sums.bare)
    _count(rows.facts, legs, ratios, sums.change)


@part
def scratch(rows: Rows) -> Scratch:
    return Scratch(
        np.empty(rows.harm.shape[1]), np.empty(rows.help.shape[1]), np.empty(rows.bare.shape[1]), np.empty(2),
        np.empty(rows.sizes.size),
    )  # fmt: skip


# ── what the sums say ────────────────────────────────────────────────────────────────────────────────────────────
@part
def lots(facts: Floats, terms: Floats, legs: Whole, ratios: Whole, most: float, bound: float) -> float:
    """Units at most for reasons other than risk: what is held (`most`, negative for a closing, which nothing else
    limits), contracts and capital of one ticket, and by the margin `bound` of one unit the funds and margin left."""
    share = facts[legs[0], SHARE] > 0.0
    if most < 0.0:
        return -most
    if most == 0.0:
        most = terms[MOST_SHARES] if share else terms[MOST]
    size, debit = 0.0, 0.0
    for leg in range(legs.size):
        if legs[leg] >= 0:
            size += abs(ratios[leg])
            debit += ratios[leg] * facts[legs[leg], VALUE]
    most = min(most, np.floor(terms[CONTRACTS] / size))
    if debit > 0.0 and not share:
        most = min(most, np.floor(terms[CAPITAL] / debit))
    if bound > 0.0:
        most = min(most, np.floor(terms[MARGIN] / bound))
        if bound + debit > 0.0:
            most = min(most, np.floor(terms[FUNDS] / (bound + debit)))
    return most


@part
def cost(facts: Floats, terms: Floats, legs: Whole, ratios: Whole, units: float, bound: float) -> float:
    """Of all units: trading, theta given up, and interest on the margin they can add at most."""
    trade, theta = 0.0, 0.0
    for leg in range(legs.size):
        row, ratio = legs[leg], ratios[leg]
        if row >= 0:
            trade += ratio * facts[row, BUY] if ratio > 0 else -ratio * facts[row, SELL]
            theta += ratio * facts[row, THETA]
    total: float = units * trade + terms[DAYS] * max(-units * theta, 0.0) + terms[CHARGE] * max(units * bound, 0.0)
    return total


@part
def _whole(least: float) -> float:
    """The fewest whole units when one unit gives `least` of the way."""
    return max(np.ceil(1.0 / least - NEAR), 1.0) if least > NOTHING else FAR


@part
def _units(share: float) -> float:
    """The most whole units when one takes `share` (negative) of the room."""
    return np.floor(-1.0 / share + NEAR) if share < -NOTHING else FAR


@part
def _least(given: Floats, high: float) -> float:
    """The least share that helps at all: it asks the most units."""
    least = high
    for share in given:
        if NOTHING < share < least:
            least = share
    return least


@part
def _counted_ways(counted: Floats, change: Floats, way: int, low: float, high: float) -> tuple[float, float]:
    """`low` and `high` with the shares of what is counted, of the way inside (WAY) or to the limit (BARE)."""
    for row in range(change.size):
        if counted[row, WAY] > 0.0:
            share = change[row] / counted[row, way]
            low, high = min(low, share), max(high, share)
    return low, high


@part
def _row(taken: Floats, change: Floats, counted: Floats, share: float) -> int:
    """The row that takes `share`, those of `counted` after the others."""
    for d in range(taken.size):
        if taken[d] == share:
            return d
    return int(taken.size) + (0 if change[0] / counted[0, ROOM] == share else 1)


@part
def _excess(rows: Rows, sums: Scratch, quantity: float) -> float:
    """What stays over the limits after `quantity` units, each kind that is broken now in units of its limit."""
    for kind in range(rows.sizes.size):
        sums.worst[kind] = 0.0
    for r in range(rows.places.size):
        d = rows.places[r]
        over = -(rows.left[r] + quantity * sums.taken[d] * rows.slack[d])
        sums.worst[rows.kinds[r]] = max(sums.worst[rows.kinds[r]], over)
    total = 0.0
    for kind in range(rows.sizes.size):
        total += sums.worst[kind] / rows.sizes[kind]
    for row in range(sums.change.size):
        over = -(rows.counted[row, LEFT] + quantity * sums.change[row])
        total += max(over, 0.0) / rows.counted[row, SIZE]
    return total


@part
def settle(rows: Rows, sums: Scratch, lots: float, wish: float) -> tuple[int, float, bool, float]:
    """(answer, units, whether every breach is cured, cure) of a ticket that was added up. `lots` are the units at most,
    `wish` those that a limit without a row asks a closing for."""
    low, high = _range(sums.given)
    low, high = _counted_ways(rows.counted, sums.change, WAY, low, high)
    if high <= NOTHING and wish <= 0.0:
        return HELPLESS, 0.0, False, 0.0
    harm, clean = _binding(sums.taken, rows.strict)
    for row in range(sums.change.size):
        own = sums.change[row] / rows.counted[row, ROOM]
        harm, clean = min(harm, own), min(clean, own)
    if harm < -1.0 - NEAR:
        return HARMFUL + _row(sums.taken, sums.change, rows.counted, harm), 0.0, False, 0.0
    most, cured = min(_units(harm), lots), min(_units(clean), lots)
    if most < 1.0:
        return TOO_MUCH, 0.0, False, 0.0
    need = max(_whole(low), wish)
    if need > cured:
        low = _counted_ways(rows.counted, sums.change, BARE, _range(sums.bare)[0], 0.0)[0]
        need = max(_whole(low), wish)
    if need <= cured:
        return GOOD, need, True, rows.terms[TOTAL]
    quantity = min(most, max(_whole(_least(sums.given, high)), wish))
    cure = rows.terms[TOTAL] - _excess(rows, sums, quantity)
    if cure <= LEAST_CURE and wish <= 0.0:
        return TOO_LITTLE, 0.0, False, 0.0
    return GOOD, quantity, False, cure
