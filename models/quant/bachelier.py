"""Options on what may trade below zero: Bachelier's normal model on a forward, for futures such as CL in April 2020.

Volatility is in points per √year, so the model knows no floor at zero. Everything else is in the desk's units.
"""

import numpy as np
from numpy.typing import ArrayLike

from models.quant.columns import Floats, columns
from models.quant.pricing import DAYS_PER_YEAR, Greeks

_SQRT_2PI = float(np.sqrt(2.0 * np.pi))
_ROUNDS = 60
_NOISE = 16 * np.finfo(float).eps


def bachelier(
    forward: ArrayLike, strike: ArrayLike, t: ArrayLike, normal_vol: ArrayLike, rate: ArrayLike, is_call: ArrayLike
) -> Greeks:
    """Price and greeks per contract before multiplier; forward and strike may be negative, inputs broadcast.

    `normal_vol` in points per √year; vega, vanna and volga are per 1.00 of it (a vol point has no meaning here);
    delta and gamma per 1.00 of the future, rho moves the discount alone, theta is carry-free. NaN for a negative time
    or volatility or an unknown input. Source: Haug, The Complete Guide to Option Pricing Formulas, 2nd ed., 1.3.
    """
    from scipy.special import ndtr

    shape, (f, k, years, vol, r), calls = columns((forward, strike, t, normal_vol, rate), is_call)
    sign = np.where(calls, 1.0, -1.0)
    with np.errstate(all="ignore"):
        root, discount, gap = np.sqrt(years), np.exp(-r * years), f - k
        dev = vol * root
        live = dev > 0
        d = np.where(live, gap / np.where(live, dev, 1.0), np.where(gap == 0, 0.0, np.copysign(np.inf, gap)))
        density = np.where(live, np.exp(-0.5 * d * d) / _SQRT_2PI, 0.0)
        inside = np.where(live | (gap != 0), ndtr(sign * d), 0.5)
        price = discount * (sign * gap * inside + dev * density)
        near = np.where(live, d, 0.0)
        gamma = np.where(live, discount * density / np.where(live, dev, 1.0), 0.0)
        per_vol = np.where(live, 1.0 / np.where(live, vol, 1.0), 0.0)
        per_time = np.where(live, 0.5 / np.where(live, years, 1.0), 0.0)
        vega = discount * density * root
        table = np.stack([
            price,
            discount * sign * inside,
            gamma,
            vega,
            -0.5 * vol * vol * gamma / DAYS_PER_YEAR,
            r * price / DAYS_PER_YEAR,
            -0.01 * years * price,
            -discount * density * near * per_vol,
            vega * near * near * per_vol,
            (r * discount * sign * inside + discount * density * near * per_time) / DAYS_PER_YEAR,
        ])  # fmt: skip
    known = np.isfinite(f + k + years + vol + r) & (years >= 0) & (vol >= 0)
    table[:, ~known] = np.nan
    return Greeks(*table.reshape(10, *shape))


def implied_normal_vol(
    price: ArrayLike, forward: ArrayLike, strike: ArrayLike, t: ArrayLike, discount: ArrayLike, is_call: ArrayLike
) -> Floats:
    """Normal volatility (points per √year) from a discounted price; NaN where it holds no time value beyond rounding.

    The out-of-the-money price over the distance to the strike falls with d = distance / deviation alone, so one
    bracketed search in ln d serves every scale (Jäckel, Implied Normal Volatility, 2017).
    """
    from scipy.special import erfcx

    shape, (p, f, k, years, disc), calls = columns((price, forward, strike, t, discount), is_call)
    with np.errstate(all="ignore"):
        raw = p / disc
        gap = np.abs(f - k)
        intrinsic = np.maximum(np.where(calls, f - k, k - f), 0.0)
        value = raw - intrinsic
        rounding = np.where(intrinsic > 0, _NOISE * (np.abs(f) + np.abs(k)), 0.0)
        known = np.isfinite(raw + f + k) & (value > rounding) & (years > 0) & (disc > 0)
        target = np.log(value / gap)
        low, high = np.full(p.size, -30.0), np.full(p.size, 3.65)  # ln d: at its top the price is e^-742
        for _ in range(_ROUNDS):
            middle = 0.5 * (low + high)
            d = np.exp(middle)
            share = -0.5 * d * d + np.log((1.0 / d - 0.5 * _SQRT_2PI * erfcx(d / np.sqrt(2.0))) / _SQRT_2PI)
            above = share > target
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        deviation = np.where(gap > 1e-12 * value, gap / np.exp(0.5 * (low + high)), value * _SQRT_2PI)
        out = np.where(known, deviation / np.sqrt(years), np.nan)
    return out.reshape(shape)
