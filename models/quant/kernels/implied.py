"""Implied deviation (vol·√t) from normalised prices: a vector pass that checks itself, and a sure path for the rest.

The guess inverts the normal model and bends it to Black's (s/(1 + s²/24), good to a tenth of a per cent up to s = 3);
two fourth-order Householder steps on ln b finish it. What the check does not pass is bracketed on the objectives of
Jäckel (By Implication, 2006; Let's Be Rational, 2015).
"""

import math

import numpy as np
from numpy.typing import NDArray

from models.quant.kernels.jit import inlined, kernel, part
from models.quant.kernels.special import INV_SQRT_2PI, SQRT_HALF, erfcx, exp, log, ndtr

Floats = NDArray[np.float64]
_NOISE = 16 * 2.220446049250313e-16  # a time value below this share of the intrinsic is rounding
_LOW, _HIGH = 1e-3, 3.0  # where the vector pass is trusted
_SMALL_STEP = 1e-4  # a fourth-order step of this share leaves an error far below a double's
_LEAST_X = 1e-7
_WIDEST = 60.0  # the normalised price then differs from its bound by less than a double can tell
_ROUNDS = 120
_SQRT_2_PI = 0.7978845608028654
_STRAIGHT, _PI_12 = 1e-4, 0.2617993877991494
_NEAR = 0.02  # below this deviation the difference of two Mills ratios is expanded, else it cancels


@inlined
def guess(x: float, beta: float) -> float:
    """First value of s from x = |ln(F/K)| and the normalised out-of-the-money price, 0.1 % off for s ≤ 3."""
    y = max(x, _LEAST_X)
    half = exp(0.5 * y)
    z = log(1.0 + min((half - 1.0 / half) / beta, 1e300))
    bend = (0.15892331022907408 + z * (0.024445366225648336 + z * 0.001849548021406115)) / (
        1.0 + z * (0.14979102003810935 + z * (0.021035503585335253 + z * 0.000929159554424711))
    )
    s = y / (z * math.sqrt(bend))
    return 2.0 * s / (1.0 + math.sqrt(max(1.0 - s * s / 6.0, 0.0)))


@inlined
def step(x: float, s: float, log_beta: float) -> float:
    """Relative Householder step of fourth order towards ln b(x, s) = ln β."""
    per = 1.0 / s
    h = x * per
    inner, outer = h - 0.5 * s, h + 0.5 * s
    e_inner = erfcx(abs(inner) * SQRT_HALF)
    e_inner = e_inner if inner >= 0.0 else 2.0 * exp(0.5 * inner * inner) - e_inner
    gap = e_inner - erfcx(outer * SQRT_HALF)
    slope = 2.0 * INV_SQRT_2PI / gap  # b'/b
    miss = log(0.5 * gap) - 0.5 * (h * h + 0.25 * s * s) - log_beta
    bend = h * h * per - 0.25 * s  # b''/b'
    newton = -miss / slope
    second = bend - slope
    third = bend * bend - 3.0 * h * h * per * per - 0.25 - 3.0 * slope * bend + 2.0 * slope * slope
    return newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton / 6.0)) * per


@kernel("i8(f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],b1[::1],f8[::1],b1[::1])")
def fast(
    price: Floats,
    forward: Floats,
    strike: Floats,
    years: Floats,
    discount: Floats,
    calls: NDArray[np.bool_],
    out: Floats,
    left: NDArray[np.bool_],
) -> int:
    """Volatilities into `out`; `left` marks rows that hold information but did not pass the check; returns how many."""
    for i in range(calls.size):
        raw, f, k, t = price[i] / discount[i], forward[i], strike[i], years[i]
        gap = f - k if calls[i] else k - f
        intrinsic = max(gap, 0.0)
        value = raw - intrinsic
        scale = math.sqrt(f * k)
        beta = value / scale
        x = abs(log(f / k))
        known = (f > 0.0) & (k > 0.0) & (t > 0.0) & (discount[i] > 0.0) & (raw - raw + f - f + k - k + t - t == 0.0)
        told = known & (value > _NOISE * intrinsic) & (value < min(f, k) * (1.0 - _NOISE))
        log_beta = log(beta)
        s = guess(x, beta)
        s = s * (1.0 + step(x, s, log_beta))
        last = step(x, s, log_beta)
        s = s * (1.0 + last)
        sure = (s > _LOW) & (s < _HIGH) & (abs(last) < _SMALL_STEP) & (beta > 1e-300)
        out[i] = s / math.sqrt(t) if told & sure else np.nan
        left[i] = told & (sure ^ True)
    count = 0
    for i in range(calls.size):
        count += left[i]
    return count


@part
def _gap(x: float, s: float) -> float:
    """Y(h − s/2) − Y(h + s/2), Y(z) = e^{z²/2}·erfc(z/√2): 2b without its exponential."""
    h, half = x / s, 0.5 * s
    if s < _NEAR and h < 1e3:
        # Y' = zY − √(2/π), and each further derivative from the two before it: only odd ones are left
        y = erfcx(h * SQRT_HALF)
        y1 = _mills_slope(h)
        y2 = y + h * y1
        y3 = 2.0 * y1 + h * y2
        y4 = 3.0 * y2 + h * y3
        y5 = 4.0 * y3 + h * y4
        return -s * (y1 + half * half / 6.0 * (y3 + half * half / 20.0 * y5))
    inner, outer = h - half, h + half
    e_inner = erfcx(abs(inner) * SQRT_HALF)
    if inner < 0.0:
        e_inner = 2.0 * exp(0.5 * inner * inner) - e_inner
    return e_inner - erfcx(outer * SQRT_HALF)


@part
def _mills_slope(h: float) -> float:
    """Y'(h) = hY(h) − √(2/π) without cancellation: a continued fraction far out, the formula near."""
    if h < 4.0:
        return h * erfcx(h * SQRT_HALF) - _SQRT_2_PI
    # Y = √(2/π)/(h + 1/(h + 2/(h + …))), so hY − √(2/π) = −√(2/π)·c/(h + c) with c = 1/(h + 2/(h + …))
    c = 0.0
    for n in range(60, 0, -1):
        c = n / (h + c)
    return -_SQRT_2_PI * c / (h + c)


@part
def log_normalised(x: float, s: float) -> float:
    """ln b(x, s): exact far below the smallest double."""
    h, half = x / s, 0.5 * s
    if half - h > 5.0:
        return math.log(exp(-0.5 * x) * ndtr(half - h) - exp(0.5 * x) * ndtr(-half - h))
    return -0.5 * (h * h + half * half) + math.log(0.5 * _gap(x, s))


@part
def _bracketed(x: float, beta: float) -> float:
    """s for 0 < beta < e^{−x/2}, x ≥ 0: Halley's steps inside a bracket that halves where a step would leave it."""
    log_beta, bound = math.log(beta), math.exp(-0.5 * x)
    centre = math.sqrt(2.0 * x)  # the inflection of b in s
    below = centre > 0.0 and log_beta < log_normalised(x, max(centre, 1e-8))
    above = not below and beta > 0.5 * bound
    low, high = (0.0, centre) if below else (centre, _WIDEST)
    s = guess(x, max(beta, 1e-300))
    if not low < s < high:
        s = 0.5 * (low + high)
    for _ in range(_ROUNDS):
        u = log_normalised(x, s)
        log_slope = -0.5 * ((x / s) ** 2 + 0.25 * s * s) + math.log(INV_SQRT_2PI)
        bend = x * x / (s * s * s) - 0.25 * s
        slope = math.exp(log_slope - u)
        miss, newton, ratio = u - log_beta, -(u - log_beta) / slope, bend - slope
        if below:  # 1/ln b is nearly straight below the inflection
            newton = u * (log_beta - u) / (log_beta * slope)
            ratio = bend - slope - 2.0 * slope / u
        elif above:  # ln(bound − b) is straight where b saturates
            room = math.exp(-0.5 * x) * ndtr(x / s - 0.5 * s) + math.exp(0.5 * x) * ndtr(-x / s - 0.5 * s)
            dg = -math.exp(log_slope) / room
            behind = math.log(room / (bound - beta))
            miss, newton, ratio = -behind, -behind / dg, bend - dg
        if miss == 0.0:
            return s
        if miss > 0.0:
            high = s
        else:
            low = s
        move = newton / (1.0 + 0.5 * newton * ratio)
        new = s + move
        if not low <= new <= high:
            new = 0.5 * (low + high)
        elif abs(move) <= 2e-6 * s:  # the error after a third-order step is far below its cube
            return new
        if high - low <= 4e-16 * high:
            return new
        s = new
    return np.nan


@kernel("void(f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],b1[::1],f8[::1],b1[::1])")
def sure(
    price: Floats,
    forward: Floats,
    strike: Floats,
    years: Floats,
    discount: Floats,
    calls: NDArray[np.bool_],
    out: Floats,
    left: NDArray[np.bool_],
) -> None:
    """Finish the rows that `fast` left, one by one."""
    for i in range(calls.size):
        if left[i]:
            f, k = forward[i], strike[i]
            intrinsic = max(f - k if calls[i] else k - f, 0.0)
            beta = (price[i] / discount[i] - intrinsic) / math.sqrt(f * k)
            x = abs(math.log(f / k))
            # at the money b = erf(s/√8), whose inverse begins so: no bracket reaches down to 1e-300
            small = x == 0.0 and beta < _STRAIGHT
            s = beta * (1.0 + _PI_12 * beta * beta) / INV_SQRT_2PI if small else _bracketed(x, beta)
            out[i] = s / math.sqrt(years[i])
