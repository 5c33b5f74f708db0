"""What contracts are worth at other prices of their underlying, by each contract's own style of exercise.

Margin asks for single points far from the market, where early exercise of a put is most of its value.
"""

import numpy as np
from numpy.typing import NDArray

from models.quant.american import FAST, american_price
from models.quant.pricing import DAYS_PER_YEAR, bsm_price
from models.quant.terms import Terms

Floats = NDArray[np.float64]


def values_at(terms: Terms, spots: Floats, vols: Floats, days: float = 0.0) -> Floats:
    """Prices per share, shape of `spots` and `vols` (N, P), `days` calendar days on; linear contracts are their spot.

    American options to 1e-5 of spot. NaN where a term is unknown.
    """
    left = np.maximum(terms.t - days / DAYS_PER_YEAR, 0.0)
    out: Floats = np.where(terms.is_option[:, None], np.nan, spots)
    for early in (False, True):
        rows = np.flatnonzero(terms.is_option & (terms.is_american == early))
        if rows.size:
            strike, t, rate, yields, calls = (
                x[rows, None] for x in (terms.strike, left, terms.rate, terms.dividend_yield, terms.is_call)
            )
            s, v = spots[rows], vols[rows]
            out[rows] = (
                american_price(s, strike, t, v, rate, yields, calls, FAST)
                if early
                else bsm_price(s, strike, t, v, rate, yields, calls)
            )
    return out
