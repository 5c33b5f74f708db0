"""European option prices and greeks, vectorised: Black-Scholes-Merton on a spot, Black-76 on a forward.

Units are the desk's (DOMAIN.md section 1). Where a future may trade below zero, `models.quant.bachelier` prices; what
may be exercised early belongs to `models.quant.american`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from models.quant.columns import Floats, columns

DAYS_PER_YEAR = 365.0


@dataclass(frozen=True, slots=True)
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
    return _greeks((spot, strike, t, vol, rate, dividend_yield), is_call, on_future=False)


def black76(
    forward: ArrayLike, strike: ArrayLike, t: ArrayLike, vol: ArrayLike, rate: ArrayLike, is_call: ArrayLike
) -> Greeks:
    """Black-76: delta and gamma are per 1.00 of the future; rho moves the discount alone. Else as `bsm`."""
    return _greeks((forward, strike, t, vol, rate, rate), is_call, on_future=True)


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
        deviation = np.asarray(vol, float) * np.sqrt(years)
    out: Floats = forward_price(forward, strike, deviation, is_call) * discount
    return out


def forward_price(forward: ArrayLike, strike: ArrayLike, deviation: ArrayLike, is_call: ArrayLike) -> Floats:
    """Undiscounted Black price; `deviation` = vol × √t ≥ 0. The wings keep their relative accuracy."""
    from models.quant.kernels import black

    shape, (f, k, dev), calls = columns((forward, strike, deviation), is_call)
    out = np.empty(calls.size)
    black.forward_prices(f, k, dev, calls, out)
    return out.reshape(shape)


def _greeks(numbers: tuple[ArrayLike, ...], is_call: ArrayLike, on_future: bool) -> Greeks:
    from models.quant.kernels import black

    shape, (s, k, t, v, r, q), calls = columns(numbers, is_call)
    out = np.empty((10, calls.size))
    black.greeks(s, k, t, v, r, q, calls, on_future, out)
    return Greeks(*out.reshape(10, *shape))
