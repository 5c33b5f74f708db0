"""Implied volatility: the volatility at which Black's formula returns a price, or unknown where it tells nothing.

A bracketed third-order iteration on Jäckel's transformed prices; where a step leaves its bracket the bracket is halved,
so every price that determines a volatility gets one.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_SQRT_HALF = math.sqrt(0.5)
_INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
_ROUNDS = 120
_WIDEST = 60.0  # vol × √t; the normalised price differs from its bound by less than a double can tell well before
_NOISE = 16 * np.finfo(float).eps


def implied_vol(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
) -> Floats:
    """Annual volatility fraction from a price on a spot; NaN = unknown (see `implied_vol_forward`)."""
    years = np.asarray(t, dtype=np.float64)
    discount = np.exp(-np.asarray(rate, dtype=np.float64) * years)
    forward = np.asarray(spot, dtype=np.float64) * np.exp(-np.asarray(dividend_yield, dtype=np.float64) * years)
    with np.errstate(all="ignore"):
        return implied_vol_forward(price, forward / discount, strike, years, discount, is_call)


def implied_vol_forward(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    discount: ArrayLike,
    is_call: ArrayLike,
) -> Floats:
    """Annual volatility fraction from a discounted price on a forward; all inputs broadcast.

    NaN where the price holds no information: time value not above the rounding of the price, price at or above its
    upper bound (the forward for a call, the strike for a put, discounted), no time left, or any input unknown.
    Source: Jäckel, By Implication (2006) and Let's Be Rational (2015): normalised price, objectives 1/ln b below the
    inflection and ln(bound − b) far above it.
    """
    p, f, k, years, d = np.broadcast_arrays(
        *(np.asarray(v, dtype=np.float64) for v in (price, forward, strike, t, discount))
    )
    call = np.asarray(is_call, dtype=bool)
    shape = np.broadcast_shapes(p.shape, call.shape)
    p, f, k, years, d = (np.broadcast_to(v, shape).ravel() for v in (p, f, k, years, d))
    call = np.broadcast_to(call, shape).ravel()
    out = np.full(p.size, np.nan)
    with np.errstate(all="ignore"):
        raw = p / d
        intrinsic = np.maximum(np.where(call, f - k, k - f), 0.0)
        beta = (raw - intrinsic) / np.sqrt(f * k)
        x = -np.abs(np.log(f / k))
        bound = np.exp(0.5 * x)
        known = (f > 0) & (k > 0) & (years > 0) & (d > 0) & np.isfinite(raw)
        known &= (raw - intrinsic > _NOISE * intrinsic) & (beta > 0) & (beta < bound * (1 - _NOISE))
        rows = np.flatnonzero(known)
        if rows.size:
            out[rows] = _deviation(beta[rows], x[rows]) / np.sqrt(years[rows])
    return out.reshape(shape)


def log_normalised(x: Floats, s: Floats) -> Floats:
    """ln of the normalised out-of-the-money price b(x, s), x ≤ 0: exact far below the smallest double."""
    from scipy.special import erfcx, ndtr

    h, half = x / s, 0.5 * s
    gap = erfcx(-(h + half) * _SQRT_HALF) - erfcx(-(h - half) * _SQRT_HALF)
    log_b: Floats = -0.5 * (h * h + half * half) + np.log(0.5 * gap)
    wide = h + half > 5.0
    if wide.any():
        xw = x[wide]
        top = np.exp(0.5 * xw) * ndtr((h + half)[wide]) - np.exp(-0.5 * xw) * ndtr((h - half)[wide])
        log_b[wide] = np.log(top)
    return log_b


def _headroom(x: Floats, s: Floats) -> Floats:
    """bound − b without cancellation: e^{x/2}·N(−h−t) + e^{−x/2}·N(h−t)."""
    from scipy.special import ndtr

    h, half = x / s, 0.5 * s
    up: Floats = np.exp(0.5 * x) * ndtr(-h - half) + np.exp(-0.5 * x) * ndtr(h - half)
    return up


def _deviation(beta: Floats, x: Floats) -> Floats:
    """vol × √t for normalised prices 0 < beta < e^{x/2}, x ≤ 0."""
    centre = np.sqrt(-2.0 * x)  # the inflection of b in s
    log_beta, bound = np.log(beta), np.exp(0.5 * x)
    at_centre = np.where(centre > 0, log_normalised(x, np.maximum(centre, 1e-8)), -np.inf)
    below = log_beta < at_centre
    above = ~below & (beta > 0.5 * bound)
    lo, hi = np.where(below, 0.0, centre), np.where(below, centre, _WIDEST)
    s = np.where(below, _low_guess(log_beta, at_centre, x), _high_guess(beta, x, centre))
    s = np.clip(s, lo + 1e-3 * (np.minimum(hi, 1.0) - lo) * below, hi)
    room = bound - beta
    out = np.full(beta.size, np.nan)
    rows = np.arange(beta.size)
    for _ in range(_ROUNDS):
        upper = above[rows]
        miss, newton, bend = _objective(x[rows], s, log_beta[rows], room[rows], below[rows], upper)
        hi, lo = np.where(miss > 0, s, hi), np.where(miss > 0, lo, s)
        step = newton / (1.0 + 0.5 * newton * bend)  # Halley
        new = s + step
        stray = ~((new >= lo) & (new <= hi))
        new = np.where(stray, 0.5 * (lo + hi), new)
        # the error after a third-order step is far below the step's cube
        done = (miss == 0) | (~stray & (np.abs(step) <= 2e-6 * s)) | (hi - lo <= 4e-16 * hi)
        out[rows[done]] = np.where(miss[done] == 0, s[done], new[done])
        keep = ~done
        if not keep.any():
            break
        rows, s, lo, hi = rows[keep], new[keep], lo[keep], hi[keep]
    return out


def _objective(
    x: Floats, s: Floats, log_beta: Floats, room: Floats, below: NDArray[np.bool_], above: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats]:
    """Signed miss (positive: s too large), the Newton step and f''/f' of the objective that suits each price."""
    u = log_normalised(x, s)
    log_slope = -0.5 * ((x / s) ** 2 + 0.25 * s * s) + math.log(_INV_SQRT_2PI)
    bend = x * x / (s * s * s) - 0.25 * s  # b''/b'
    du = np.exp(log_slope - u)  # b'/b
    ddu = du * bend - du * du
    # ln b − ln β in the middle; 1/ln b − 1/ln β below the inflection, nearly linear in s
    miss, newton, ratio = u - log_beta, -(u - log_beta) / du, ddu / du
    newton = np.where(below, (u * (log_beta - u)) / (log_beta * du), newton)
    ratio = np.where(below, ddu / du - 2.0 * du / u, ratio)
    if above.any():
        # ln(bound − b) − ln(bound − β): straight where b saturates
        gap = _headroom(x, s)
        dg = -np.exp(log_slope) / gap
        lg = np.log(gap / room)
        miss = np.where(above, -lg, miss)
        newton = np.where(above, -lg / dg, newton)
        ratio = np.where(above, bend - dg, ratio)
    return miss, newton, ratio


def _low_guess(log_beta: Floats, at_centre: Floats, x: Floats) -> Floats:
    """From b ≈ b_c·exp(−x²/2·(1/s² − 1/s_c²)) below the inflection s_c² = −2x."""
    inverse = 2.0 * np.maximum(at_centre - log_beta, 0.0) / np.maximum(x * x, 1e-300) - 0.5 / np.minimum(x, -1e-300)
    guess: Floats = 1.0 / np.sqrt(inverse)
    return guess


def _high_guess(beta: Floats, x: Floats, centre: Floats) -> Floats:
    """From b ≈ e^{x/2}·N(s/2) − e^{−x/2}·N(−s/2), exact at the money."""
    from scipy.special import ndtri

    share = np.clip((beta + np.exp(-0.5 * x)) / (np.exp(0.5 * x) + np.exp(-0.5 * x)), 0.5, 1.0 - 1e-16)
    guess: Floats = np.maximum(2.0 * ndtri(share), centre)
    return np.maximum(guess, 1e-8)
