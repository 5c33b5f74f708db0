"""European option prices and greeks, vectorised: Black-Scholes-Merton on a spot and Black-76 on a forward.

Units are the desk's (DOMAIN.md section 1). American options are priced here as European in this version of the desk:
near the money and without a large dividend before expiry the difference is small, deep in the money it is not.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.implied import implied_vol, implied_vol_forward

__all__ = ["Greeks", "black76", "bsm", "bsm_price", "forward_price", "implied_vol", "implied_vol_forward"]

Floats = NDArray[np.float64]
DAYS_PER_YEAR = 365.0
_BLOCK = 4096  # rows per pass: the working arrays stay in the second-level cache
_SQRT_HALF = math.sqrt(0.5)
_INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)


@dataclass(frozen=True)
class Greeks:
    """Per contract before multiplier, every field a float64 array of the broadcast shape; NaN is unknown.

    price in points · delta, gamma per 1.00 of the underlying · vega per vol point (.01) · theta per calendar day,
    carry-free (the decay of optionality alone) · carry per calendar day (what rate and dividend add: theta + carry is
    the whole time decay) · rho per 1 % of rate · vanna: delta per vol point · volga: vega per vol point ·
    charm: delta per calendar day that passes, carry included.
    """

    price: Floats
    delta: Floats
    gamma: Floats
    vega: Floats
    theta: Floats
    carry: Floats
    rho: Floats
    vanna: Floats
    volga: Floats
    charm: Floats


def bsm(
    spot: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
) -> Greeks:
    """Black-Scholes-Merton with continuous dividend yield; all inputs broadcast.

    `t` in years, `vol`, `rate` and `dividend_yield` annual fractions. Spot or strike not above zero, a negative time or
    volatility, and NaN give NaN. At t = 0 or vol = 0 the price is the discounted intrinsic value of the forward.
    Source: Haug, The Complete Guide to Option Pricing Formulas, 2nd ed., chapters 1 and 2.
    """
    return _greeks(spot, strike, t, vol, rate, dividend_yield, is_call, on_future=False)


def black76(
    forward: ArrayLike, strike: ArrayLike, t: ArrayLike, vol: ArrayLike, rate: ArrayLike, is_call: ArrayLike
) -> Greeks:
    """Black-76: delta and gamma are per 1.00 of the future; rho moves the discount alone. Else as `bsm`."""
    return _greeks(forward, strike, t, vol, rate, rate, is_call, on_future=True)


def bsm_price(
    spot: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
) -> Floats:
    """The price of `bsm` alone."""
    growth = np.asarray(rate, float) - np.asarray(dividend_yield, float)
    years = np.asarray(t, float)
    with np.errstate(all="ignore"):
        forward = np.asarray(spot, float) * np.exp(growth * years)
        discount = np.exp(-np.asarray(rate, float) * years)
    deviation = np.asarray(vol, float) * np.sqrt(np.maximum(years, 0.0))
    out: Floats = forward_price(forward, strike, deviation, is_call) * discount
    return out


def forward_price(forward: ArrayLike, strike: ArrayLike, deviation: ArrayLike, is_call: ArrayLike) -> Floats:
    """Undiscounted Black price; `deviation` = vol × √t ≥ 0.

    The out-of-the-money side is priced by scaled complementary error functions, which keep their relative accuracy in
    the wings, and the other side adds the intrinsic value (Jäckel, Let's Be Rational, 2015, section 2).
    """
    f, k, s, call = np.broadcast_arrays(
        np.asarray(forward, float), np.asarray(strike, float), np.asarray(deviation, float), np.asarray(is_call, bool)
    )
    out = np.empty(f.shape)
    flat, fr, kr, sr, cr = out.reshape(-1), f.ravel(), k.ravel(), s.ravel(), call.ravel()
    with np.errstate(all="ignore"):
        for i in range(0, flat.size, _BLOCK):
            rows = slice(i, i + _BLOCK)
            flat[rows] = _black(fr[rows], kr[rows], sr[rows], cr[rows])
    return out


def _black(f: Floats, k: Floats, s: Floats, call: NDArray[np.bool_]) -> Floats:
    from scipy.special import erfcx

    sign = np.where(call, 1.0, -1.0)
    x = -np.abs(np.log(f / k))
    h, half = x / s, 0.5 * s
    # e^{-(h²+t²)/2} · [erfcx(-(h+t)/√2) − erfcx(-(h−t)/√2)] / 2, in units of √(F·K)
    plain = np.sqrt(f * k) * 0.5 * np.exp(-0.5 * (h * h + half * half))
    otm = plain * (erfcx(-(h + half) * _SQRT_HALF) - erfcx(-(h - half) * _SQRT_HALF))
    wide = h + half > 5.0  # erfcx of a large negative number overflows; there the plain form has no cancellation
    if wide.any():
        from scipy.special import ndtr

        low, high = np.minimum(f[wide], k[wide]), np.maximum(f[wide], k[wide])
        otm[wide] = low * ndtr((h + half)[wide]) - high * ndtr((h - half)[wide])
    otm = np.where(s > 0, np.maximum(otm, 0.0), np.where(s == 0, 0.0, np.nan))
    price = otm + np.maximum(sign * (f - k), 0.0)
    return np.where((f > 0) & (k > 0), price, np.nan)


def _greeks(
    spot: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
    on_future: bool,
) -> Greeks:
    numbers = [np.asarray(v, dtype=np.float64) for v in (spot, strike, t, vol, rate, dividend_yield)]
    call = np.asarray(is_call, dtype=bool)
    shape = np.broadcast_shapes(*(v.shape for v in numbers), call.shape)
    columns = [np.broadcast_to(v, shape).ravel() for v in numbers]
    calls = np.broadcast_to(call, shape).ravel()
    out = np.empty((10, calls.size))
    with np.errstate(all="ignore"):
        for i in range(0, calls.size, _BLOCK):
            rows = slice(i, i + _BLOCK)
            s, k, years, v, r, q = (c[rows] for c in columns)
            _fill(out[:, rows], s, k, years, v, r, q, calls[rows], on_future)
    return Greeks(*(row.reshape(shape) for row in out))


def _fill(
    out: Floats,
    s: Floats,
    k: Floats,
    t: Floats,
    v: Floats,
    r: Floats,
    q: Floats,
    call: NDArray[np.bool_],
    on_future: bool,
) -> None:
    """Price and greeks of one block, in the field order of `Greeks`."""
    from scipy.special import ndtr

    sign = np.where(call, 1.0, -1.0)
    discount, growth = np.exp(-r * t), np.exp(-q * t)
    forward = s * growth / discount
    root = np.sqrt(t)
    deviation = v * root
    price = discount * _black(forward, k, deviation, call)
    x = np.log(forward / k)
    live = deviation > 0
    safe = np.where(live, deviation, 1.0)
    # without time or volatility the forward is certain: d1 and d2 are ±infinity, 0 exactly at the strike
    d1 = np.where(live, x / safe + 0.5 * safe, np.where(x == 0, 0.0, np.copysign(np.inf, x)))
    d2 = np.where(live, d1 - safe, d1)
    density = np.where(live, _INV_SQRT_2PI * np.exp(-0.5 * d1 * d1), 0.0)
    d1, d2 = np.where(live, d1, 0.0), np.where(live, d2, 0.0)
    sure = np.where(x == 0, 0.5, (sign * x > 0) * 1.0)
    n1 = np.where(live, ndtr(sign * d1), sure)
    n2 = np.where(live, ndtr(sign * d2), sure)
    vega = s * growth * density * root
    gamma = np.where(live, growth * density / (s * safe), 0.0)
    per_year = 1.0 / DAYS_PER_YEAR
    stock, bond = s * growth * n1, k * discount * n2
    drift = np.where(live, ((r - q) / np.where(live, v, 1.0) - d2 * np.where(live, 0.5 / np.where(t > 0, t, 1.0), 0.0)
                            * root) / np.where(t > 0, root, 1.0), 0.0)  # fmt: skip
    out[0] = price
    out[1] = sign * growth * n1
    out[2] = gamma
    out[3] = 0.01 * vega
    out[4] = -0.5 * np.where(live, vega * v / np.where(t > 0, t, 1.0), 0.0) * per_year
    out[5] = (r * price if on_future else sign * (q * stock - r * bond)) * per_year
    out[6] = 0.01 * (-t * price if on_future else sign * t * bond)
    out[7] = np.where(live, -0.01 * growth * density * d2 / np.where(live, v, 1.0), 0.0)
    out[8] = np.where(live, 1e-4 * vega * d1 * d2 / np.where(live, v, 1.0), 0.0)
    out[9] = (q * sign * growth * n1 - growth * density * drift) * per_year
    out[:, np.isnan(price) | ~(t >= 0) | ~(v >= 0)] = np.nan
