"""Implied volatility: the volatility at which Black's formula returns a price, or unknown where it tells nothing.

A vectorised pass serves the tradeable region and checks itself; what it does not vouch for is bracketed one by one, so
that every price that determines a volatility gets one (`models.quant.kernels.implied`).
"""

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.columns import Floats, columns

_NOISE = 16 * np.finfo(float).eps


class NoVolatility(StrEnum):
    """Why a price has no implied volatility."""

    INPUT = "an input is unknown or not positive"
    EXPIRED = "no time is left"
    BELOW = "the price is at or below its intrinsic value"
    ABOVE = "the price is at or above its upper bound"


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
    years, r = np.asarray(t, dtype=np.float64), np.asarray(rate, dtype=np.float64)
    with np.errstate(all="ignore"):
        discount = np.exp(-r * years)
        forward = np.asarray(spot, float) * np.exp((r - np.asarray(dividend_yield, float)) * years)
    return implied_vol_forward(price, forward, strike, years, discount, is_call)


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
    upper bound (the forward for a call, the strike for a put, discounted), no time left, or any input unknown;
    `why_no_vol` says which. Source: Jäckel, By Implication (2006) and Let's Be Rational (2015).
    """
    from models.quant.kernels import implied

    shape, (p, f, k, years, d), calls = columns((price, forward, strike, t, discount), is_call)
    out, left = np.empty(calls.size), np.empty(calls.size, dtype=np.bool_)
    if implied.fast(p, f, k, years, d, calls, out, left):
        implied.sure(p, f, k, years, d, calls, out, left)
    return out.reshape(shape)


def why_no_vol(
    price: ArrayLike, forward: ArrayLike, strike: ArrayLike, t: ArrayLike, discount: ArrayLike, is_call: ArrayLike
) -> NDArray[np.str_]:
    """The reason (`NoVolatility`) where `implied_vol_forward` answers NaN, an empty string where it answers."""
    shape, (p, f, k, years, d), calls = columns((price, forward, strike, t, discount), is_call)
    out = np.full(calls.size, "", dtype="<U64")
    with np.errstate(all="ignore"):
        raw = p / d
        intrinsic = np.maximum(np.where(calls, f - k, k - f), 0.0)
        value = raw - intrinsic
        out[value >= np.minimum(f, k) * (1.0 - _NOISE)] = NoVolatility.ABOVE
        out[value <= _NOISE * intrinsic] = NoVolatility.BELOW
        out[years <= 0] = NoVolatility.EXPIRED
        known = np.isfinite(raw) & np.isfinite(years) & (f > 0) & (k > 0) & (d > 0) & np.isfinite(f) & np.isfinite(k)
    out[~known] = NoVolatility.INPUT
    return out.reshape(shape)
