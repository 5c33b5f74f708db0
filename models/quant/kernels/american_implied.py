"""The volatility at which an American option is worth its price: secant steps inside a bracket.

The first step uses the European vega, which differs from the American one only by what early exercise adds.
"""

import math

import numba
import numpy as np

from models.quant.kernels.american import Room, Scheme, room_for
from models.quant.kernels.exercise import COLUMN, FLAGS, SCHEME, Flags, Floats, certain, contract, senseless
from models.quant.kernels.jit import kernel, part
from models.quant.kernels.special import INV_SQRT_2PI, exp, log

_LEAST, _MOST = 1e-4, 20.0
_ROUNDS = 200
_CLOSE = 1e-10
_TOLD = 1e-12  # of the larger of spot and strike: less time value than this is rounding


@part
def european_vega(s: float, k: float, t: float, v: float, r: float, q: float) -> float:
    dev = v * math.sqrt(t)
    d1 = (log(s / k) + (r - q) * t) / dev + 0.5 * dev
    return s * exp(-q * t) * INV_SQRT_2PI * exp(-0.5 * d1 * d1) * math.sqrt(t)


@part
def least_price(s: float, k: float, t: float, r: float, q: float, call: bool) -> float:
    """What the option is worth without volatility."""
    return s * certain(k / s, t, q, r) if call else k * certain(s / k, t, r, q)


@part
def volatility(
    scheme: Scheme, room: Room, price: float, s: float, k: float, t: float, r: float, q: float, call: bool
) -> float:
    """NaN where the price tells no volatility between .01 and 2000 per cent, or where there are two boundaries."""
    floor = least_price(s, k, t, r, q, call)
    if not (price - floor > _TOLD * max(s, k) and t > 0.0):
        return np.nan
    low, high = _LEAST, _MOST
    # at the money the time value is about .4·s·v·√t; anywhere else the bracket takes over
    v = min(
        max(2.5 * (price - floor) / (min(s, k) * math.sqrt(t)) + abs(math.log(s / k)) / (3.0 * math.sqrt(t)), 0.02), 3.0
    )
    before, miss_before = np.nan, np.nan
    for turn in range(_ROUNDS):
        miss = contract(scheme, room, s, k, t, v, r, q, call)[0] - price
        if miss == 0.0 or miss != miss:
            return v if miss == 0.0 else np.nan
        if miss > 0.0:
            high = v
        else:
            low = v
        slope = european_vega(s, k, t, v, r, q)
        if before == before and miss != miss_before:
            slope = (miss - miss_before) / (v - before)
        new = v - miss / slope if slope > 0.0 else np.nan
        # where exercise is due the price is flat and a secant creeps: every third step halves a wide bracket
        if not low < new < high or (turn % 3 == 2 and high > 1.5 * low and turn > 6):
            new = math.sqrt(low * high)
        if abs(new - v) <= _CLOSE * v or high - low <= _CLOSE * low:
            return new if 1.01 * _LEAST < new < 0.99 * _MOST else np.nan
        before, miss_before, v = v, miss, new
    return np.nan


@kernel(numba.void(SCHEME, COLUMN, COLUMN, COLUMN, COLUMN, COLUMN, COLUMN, FLAGS, COLUMN))
def volatilities(
    scheme: Scheme, price: Floats, spot: Floats, strike: Floats, years: Floats, rates: Floats, yields: Floats,
    calls: Flags, out: Floats,
) -> None:  # fmt: skip
    """Implied volatilities into `out`; NaN is unknown."""
    room = room_for(scheme)
    for i in range(calls.size):
        s, k, t, r, q = spot[i], strike[i], years[i], rates[i], yields[i]
        out[i] = np.nan
        if not senseless(s, k, t, price[i], r, q):
            out[i] = volatility(scheme, room, price[i], s, k, t, r, q, calls[i])
