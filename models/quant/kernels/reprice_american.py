"""American options repriced in many cells: one exercise boundary for all spots and dates that share a volatility."""

import numba
import numpy as np

from models.quant.kernels.american import Room, Scheme, boundary, room_for, two_sides
from models.quant.kernels.exercise import (
    COLUMN,
    DOUBLE,
    FLAGS,
    LEAST_DEV,
    LEAST_RATE,
    NEVER,
    SCHEME,
    Flags,
    Floats,
    certain,
    european,
    exercise_kind,
)
from models.quant.kernels.jit import kernel, part
from models.quant.kernels.reprice import CUBE, TABLE, is_known, spread_cells
from models.quant.kernels.special import exp


@part
def place_at(scheme: Scheme, room: Room, ratio: float) -> float:
    """Interpolate h to the ends of a shorter time, `ratio` = √(shorter/whole), into `room.past`; returns h there.

    Barycentric, on the Chebyshev points and the origin, where h vanishes (Berrut and Trefethen, 2004).
    """
    nodes, h, sines, past = scheme.nodes, room.h, scheme.ends[0], room.past
    n = nodes.size
    last = 0.0
    for j in range(past.size + 1):
        at = ratio * np.sqrt(sines[j]) if j < past.size else ratio
        above, below = 0.0, 0.5 / (at if at > 1e-15 else 1e-15)
        sign = -1.0
        for i in range(n):
            gap = at - nodes[i]
            weight = (0.5 if i == n - 1 else 1.0) * sign / (gap if abs(gap) > 1e-15 else 1e-15)
            above += weight * h[i] * h[i]
            below += weight
            sign = -sign
        found = np.sqrt(max(above / below, 0.0))
        if j < past.size:
            past[j] = found
        else:
            last = found
    return last


@part
def premium_value(
    scheme: Scheme, room: Room, log_x: float, m: float, tau: float, vol: float, r: float, q: float
) -> float:
    """`exercise.premium` without its slopes."""
    left, root, weight = scheme.ends[1], scheme.ends[2], scheme.ends[3]
    worth, past = room.parts[0], room.past
    far, whole = np.log(m) - log_x, vol * np.sqrt(tau)
    for j in range(past.size):
        dev, dt = whole * root[j], tau * left[j]
        d2 = (far + past[j] + (r - q) * dt) / dev - 0.5 * dev
        n2, n1, _, _ = two_sides(-d2, -d2 - dev)
        worth[j] = weight[j] * (r * exp(-r * dt) * n2 - q * exp(-q * dt) * m * n1)
    value = 0.0
    for j in range(past.size):
        value += worth[j]
    return tau * value


@part
def _same_vol(
    scheme: Scheme, room: Room, s: float, k: float, t: float, vol: float, r: float, q: float, call: bool,
    left: Floats, factor: Floats, start: int, stop: int, out: Floats,
) -> None:  # fmt: skip
    """Cells `start` to `stop`, which share a volatility, on every date; `r`, `q` of the put that it is or becomes."""
    kind = exercise_kind(r, q)
    rate = max(r, LEAST_RATE) if kind != NEVER else r
    solved = kind != NEVER and kind != DOUBLE and vol * np.sqrt(t) > LEAST_DEV
    log_x = boundary(scheme, room, t, vol, rate, q) if solved else 0.0
    for d in range(left.size):
        tau = left[d]
        flat = not vol * np.sqrt(tau) > LEAST_DEV
        h = place_at(scheme, room, np.sqrt(tau / t)) if solved and not flat else 0.0
        for c in range(start, stop):
            moved = s * factor[c]
            m, scale = (k / moved, moved) if call else (moved / k, k)
            if flat:
                value = certain(m, tau, r, q)
            elif kind == DOUBLE:
                value = np.nan
            elif kind == NEVER:
                value = european(m, tau, vol, r, q)[0]
            elif np.log(m) <= log_x - h:
                value = 1.0 - m
            else:
                value = european(m, tau, vol, rate, q)[0]
                value = max(value + premium_value(scheme, room, log_x, m, tau, vol, rate, q), 1.0 - m)
            out[d, c] = scale * value


@kernel(numba.void(SCHEME, *((COLUMN,) * 8), FLAGS, TABLE, COLUMN, COLUMN, CUBE))
def american_each(
    scheme: Scheme, spot: Floats, beta: Floats, strike: Floats, years: Floats, rates: Floats, yields: Floats,
    vols: Floats, unit: Floats, calls: Flags, left: Floats, moves: Floats, points: Floats, out: Floats,
) -> None:  # fmt: skip
    """Prices (n, D, C) as `reprice.european_each`; cells of one volatility should stand together."""
    room, cells = room_for(scheme), np.empty((4, moves.size))
    factor, vol = cells[0], cells[2]
    for i in range(calls.size):
        if not is_known(spot[i], beta[i], strike[i], years[i], rates[i], yields[i], vols[i], unit[i]):
            out[i] = np.nan
            continue
        spread_cells(beta[i], vols[i], unit[i], moves, points, cells)
        r, q = (yields[i], rates[i]) if calls[i] else (rates[i], yields[i])
        start = 0
        while start < moves.size:
            stop = start + 1
            while stop < moves.size and vol[stop] == vol[start]:
                stop += 1
            _same_vol(
                scheme, room, spot[i], strike[i], years[i], vol[start], r, q, calls[i], left[:, i], factor, start,
                stop, out[i],
            )  # fmt: skip
            start = stop
