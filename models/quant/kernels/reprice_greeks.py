"""Greeks of American options in many cells: delta, gamma and theta off one boundary, vega off a second beside it."""

import math

import numba
import numpy as np

from models.quant.kernels.american import Room, Scheme, boundary, room_for
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
    european,
    exercise_kind,
    put,
)
from models.quant.kernels.jit import kernel, part
from models.quant.kernels.reprice import TABLE, is_known, spread_cells
from models.quant.kernels.reprice_american import place_at

_BUMP = 1e-5  # of volatility, one-sided: a hundred-thousandth of vega is off
_BLOCK = numba.float64[:, :, :, ::1]


@part
def _unit(
    scheme: Scheme, room: Room, kind: int, log_x: float, h: float, m: float, tau: float, vol: float, r: float, q: float
) -> tuple[float, float, float]:
    """(value, slope, curvature) of the put of strike 1 whose boundary lies in `room`; h < 0: only intrinsic is left."""
    if h < 0.0:
        return max(1.0 - m, 0.0), -1.0 if m < 1.0 else 0.0, 0.0
    if kind == DOUBLE:
        return np.nan, np.nan, np.nan
    if kind == NEVER:
        return european(m, tau, vol, r, q)
    return put(scheme, room, log_x, log_x - h, m, tau, vol, r, q)


@part
def _sided(
    scheme: Scheme, room: Room, kind: int, log_x: float, h: float,
    s: float, k: float, tau: float, vol: float, r: float, q: float, call: bool,
) -> tuple[float, float, float]:  # fmt: skip
    """(price, delta, gamma); `r` and `q` of the put that it is or becomes."""
    if call:
        m = k / s
        value, slope, bend = _unit(scheme, room, kind, log_x, h, m, tau, vol, r, q)
        return s * value, value - m * slope, m * m * bend / s
    value, slope, bend = _unit(scheme, room, kind, log_x, h, s / k, tau, vol, r, q)
    return k * value, slope, bend / k


@kernel(numba.void(SCHEME, *((COLUMN,) * 8), FLAGS, TABLE, COLUMN, COLUMN, _BLOCK))
def american_greeks(
    scheme: Scheme, spot: Floats, beta: Floats, strike: Floats, years: Floats, rates: Floats, yields: Floats,
    vols: Floats, unit: Floats, calls: Flags, left: Floats, moves: Floats, points: Floats, out: Floats,
) -> None:  # fmt: skip
    """Delta, gamma, vega per vol point and carry-free theta per year into `out` (4, n, D, C); NaN unknown."""
    room, beside, cells = room_for(scheme), room_for(scheme), np.empty((4, moves.size))
    for i in range(calls.size):
        if not is_known(spot[i], beta[i], strike[i], years[i], rates[i], yields[i], vols[i], unit[i]):
            out[:, i] = np.nan
            continue
        spread_cells(beta[i], vols[i], unit[i], moves, points, cells)
        factor, vol = cells[0], cells[2]
        r, q = (yields[i], rates[i]) if calls[i] else (rates[i], yields[i])
        kind = exercise_kind(r, q)
        rate = max(r, LEAST_RATE) if kind != NEVER else r
        start = 0
        while start < moves.size:
            stop = start + 1
            while stop < moves.size and vol[stop] == vol[start]:
                stop += 1
            v, t = vol[start], years[i]
            solved = kind != NEVER and kind != DOUBLE and v * math.sqrt(t) > LEAST_DEV
            log_x = boundary(scheme, room, t, v, rate, q) if solved else 0.0
            log_x = boundary(scheme, beside, t, v + _BUMP, rate, q) if solved else log_x
            for d in range(left.shape[0]):
                tau = left[d, i]
                h = 0.0 if v * math.sqrt(tau) > LEAST_DEV else -1.0
                h_beside = h
                if solved and h == 0.0:
                    h = place_at(scheme, room, math.sqrt(tau / t))
                    h_beside = place_at(scheme, beside, math.sqrt(tau / t))
                for c in range(start, stop):
                    s = spot[i] * factor[c]
                    now, delta, gamma = _sided(
                        scheme, room, kind, log_x, h, s, strike[i], tau, v, rate, q, calls[i]
                    )  # fmt: skip
                    up, _, _ = _sided(
                        scheme, beside, kind, log_x, h_beside, s, strike[i], tau, v + _BUMP, rate, q, calls[i]
                    )  # fmt: skip
                    out[0, i, d, c], out[1, i, d, c] = delta, gamma
                    out[2, i, d, c] = 0.01 * (up - now) / _BUMP
                    out[3, i, d, c] = -0.5 * v * v * s * s * gamma
            start = stop
