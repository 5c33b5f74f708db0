"""Contracts repriced in many cells at once: each cell a joint move of spot and volatility, with days passed or not.

A cell costs one exponential and one pair of scaled error functions; everything that depends on the contract or on the
cell alone is taken out of the inner loop.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from models.quant.floors import LEAST_FACTOR, LEAST_VOL
from models.quant.kernels.jit import inlined, kernel, part
from models.quant.kernels.special import SQRT_HALF, erfcx_pair_brief, exp, log

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
COLUMN, FLAGS = numba.float64[::1], numba.bool_[::1]
TABLE, CUBE = numba.float64[:, ::1], numba.float64[:, :, ::1]
_FAR = 1e8
_LEAST_DEV = 1e-12  # without time left a vanishing deviation gives the intrinsic value through the same formula


@part
def spread_cells(beta: float, vol: float, unit: float, moves: Floats, points: Floats, cells: Floats) -> None:
    """Fill `cells` (4, C): spot factor, its logarithm, volatility, and its reciprocal."""
    factor, log_factor, vols, per = cells[0], cells[1], cells[2], cells[3]
    least = min(vol, LEAST_VOL)
    for c in range(moves.size):
        factor[c] = max(1.0 + beta * moves[c], LEAST_FACTOR)
        log_factor[c] = log(factor[c])
        vols[c] = max(vol + points[c] * unit, least)
        per[c] = 1.0 / max(vols[c], _LEAST_DEV)


@part
def is_known(
    spot: float, beta: float, strike: float, years: float, carry: float, discount: float, vol: float, unit: float
) -> bool:
    """Branch-free arithmetic would swallow NaN, so a row with an unknown term is told apart before it begins."""
    known = spot + beta + strike + years + carry + discount + vol + unit
    return known - known == 0.0 and spot > 0.0 and strike > 0.0


@inlined
def cell_price(
    forward: float, strike: float, discount: float, x: float, per_dev: float, dev: float, call: bool
) -> float:
    """Discounted price at the cell's `forward`; `x` = ln(forward / strike). As `black.otm_price`, to eleven digits."""
    a, b = forward * discount, strike * discount
    h = min(abs(x) * per_dev, _FAR)
    inner, outer = h - 0.5 * dev, h + 0.5 * dev
    e_inner, e_outer = erfcx_pair_brief(abs(inner) * SQRT_HALF, outer * SQRT_HALF)
    low = min(a, b)
    # the nearer side's bell belongs to the smaller of forward and strike
    half = 0.5 * low * exp(-0.5 * inner * inner)
    otm = half * (e_inner - e_outer) if inner >= 0.0 else low - half * (e_inner + e_outer)
    return otm + max(a - b if call else b - a, 0.0)


@kernel(numba.void(*((COLUMN,) * 8), FLAGS, TABLE, COLUMN, COLUMN, CUBE))
def european_each(
    spot: Floats, beta: Floats, strike: Floats, years: Floats, carry: Floats, discount: Floats, vols: Floats,
    unit: Floats, calls: Flags, left: Floats, moves: Floats, points: Floats, out: Floats,
) -> None:  # fmt: skip
    """Prices (n, D, C) of n options in C cells on D dates, `left` (D, n) years to go; NaN where a term is unknown."""
    cells = np.empty((4, moves.size))
    factor, log_factor, vol, per = cells[0], cells[1], cells[2], cells[3]
    for i in range(calls.size):
        if not is_known(spot[i], beta[i], strike[i], years[i], carry[i], discount[i], vols[i], unit[i]):
            out[i] = np.nan
            continue
        spread_cells(beta[i], vols[i], unit[i], moves, points, cells)
        k, call = strike[i], calls[i]
        for d in range(left.shape[0]):
            share = left[d, i] / years[i] if years[i] > 0.0 else 0.0
            forward, disc = spot[i] * carry[i] ** share, discount[i] ** share
            x, root = np.log(forward / k), max(np.sqrt(left[d, i]), _LEAST_DEV)
            per_root, row = 1.0 / root, out[i, d]
            for c in range(moves.size):
                row[c] = cell_price(
                    forward * factor[c], k, disc, x + log_factor[c], per[c] * per_root, vol[c] * root, call
                )


@kernel(numba.void(*((COLUMN,) * 8), FLAGS, TABLE, COLUMN, COLUMN, COLUMN, TABLE))
def european_sum(
    spot: Floats, beta: Floats, strike: Floats, years: Floats, carry: Floats, discount: Floats, vols: Floats,
    unit: Floats, calls: Flags, left: Floats, weight: Floats, moves: Floats, points: Floats, out: Floats,
) -> None:  # fmt: skip
    """Add `weight` × price of every option to `out` (D, C); `left` (D, n) years to go on each of D dates."""
    cells = np.empty((4, moves.size))
    factor, log_factor, vol, per = cells[0], cells[1], cells[2], cells[3]
    for i in range(calls.size):
        if not is_known(spot[i], beta[i], strike[i], years[i], carry[i], discount[i], vols[i], unit[i]):
            out[:] = np.nan
            return
        spread_cells(beta[i], vols[i], unit[i], moves, points, cells)
        k, call, w = strike[i], calls[i], weight[i]
        for d in range(left.shape[0]):
            share = left[d, i] / years[i] if years[i] > 0.0 else 0.0
            forward, disc = spot[i] * carry[i] ** share, discount[i] ** share
            x, root = np.log(forward / k), max(np.sqrt(left[d, i]), _LEAST_DEV)
            per_root, row = 1.0 / root, out[d]
            for c in range(moves.size):
                row[c] += w * cell_price(
                    forward * factor[c], k, disc, x + log_factor[c], per[c] * per_root, vol[c] * root, call
                )
