"""What the right to exercise early is worth in a quote, so that American classes tell their forward and smile too.

Parity holds for European options alone. The premium of early exercise is taken out of each pair at the volatility of
its own out-of-the-money side, under a yield that carries the spot to the forward; the forward found is the one at
which call and put of a strike imply the same volatility. A dividend that falls within the expiry is spread over it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from models.quant.parity import Expiry, Parity
from models.quant.pricing import forward_price

Floats = NDArray[np.float64]
_ROUNDS = 8
_CLOSE = 1e-7  # of the forward


def yield_of(spot: float, forward: float, t: float, rate: float) -> float:
    """The continuous yield (annual) under which `spot` grows to `forward`."""
    return rate - math.log(forward / spot) / t


def american_forward(e: Expiry, p: Parity, spot: float, discount: float) -> float:
    """The forward of an American expiry; NaN without a pair of call and put at one strike."""
    forward = p.forward(discount)
    for _ in range(_ROUNDS):
        if not forward > 0:
            return math.nan
        found = p.forward(discount, _premium(e, p, spot, forward, discount))
        if not found > 0 or abs(found - forward) <= _CLOSE * forward:
            return found
        forward = found
    return forward


def american_vols(
    price: Floats, spot: float, strike: Floats, t: float, forward: float, discount: float, is_call: NDArray[np.bool_]
) -> Floats:
    """Volatilities of American prices on one expiry; NaN where a price tells none."""
    from models.quant.american import FAST, american_implied_vol

    rate = -math.log(discount) / t
    return american_implied_vol(price, spot, strike, t, rate, yield_of(spot, forward, t, rate), is_call, FAST)


def american_prices(
    spot: float, strike: Floats, t: float, forward: float, discount: float, vol: Floats, is_call: NDArray[np.bool_]
) -> Floats:
    """Prices of American options on one expiry whose forward and discount are known."""
    from models.quant.american import american_price

    rate = -math.log(discount) / t
    return american_price(spot, strike, t, vol, rate, yield_of(spot, forward, t, rate), is_call)


def _premium(e: Expiry, p: Parity, spot: float, forward: float, discount: float) -> Floats:
    """Early-exercise premium of the call less that of the put, per pair."""
    call = p.strikes >= forward
    mid = np.where(call, e.call_mid[p.rows], e.put_mid[p.rows])
    vol = american_vols(mid, spot, p.strikes, e.t, forward, discount, call)
    side = np.array([True, False])[:, None]
    worth = american_prices(spot, p.strikes, e.t, forward, discount, vol, side)
    with np.errstate(invalid="ignore"):
        bare = discount * forward_price(forward, p.strikes, vol * math.sqrt(e.t), side)
    premium = np.maximum(worth - bare, 0.0)
    out: Floats = premium[0] - premium[1]
    return out
