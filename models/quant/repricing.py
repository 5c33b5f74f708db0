"""What contracts are worth at other prices of their underlying, by each contract's own style of exercise.

Margin asks for single points far from the market, where early exercise of a put is most of its value.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.quant.pricing import DAYS_PER_YEAR, bsm_price
from models.quant.product import Style, product_of
from models.quant.terms import Terms

Floats = NDArray[np.float64]
Pricer = Callable[[Floats, Floats, Floats, Floats, Floats, Floats, NDArray[np.bool_]], Floats]
"""(spot, strike, t in years, vol, rate, dividend_yield, is_call) → price per share; arrays of one shape."""

_EUROPEAN: Pricer = bsm_price
_NARROWEST, _WIDEST, _HALVINGS = 1e-3, 4.0, 48


def american_pricer(
    spot: Floats, strike: Floats, t: Floats, vol: Floats, rate: Floats, yields: Floats, is_call: NDArray[np.bool_]
) -> Floats:
    """The desk's own American price, to 1e-5 of spot."""
    from models.quant.american import FAST, american_price

    return american_price(spot, strike, t, vol, rate, yields, is_call, FAST)


def style_vols(terms: Terms, american: Pricer = american_pricer) -> Floats:
    """Volatility (N,) that gives each price back by the contract's style; the European one where none does."""
    out = terms.vol.copy()
    rows = np.flatnonzero(_early(terms) & np.isfinite(terms.price) & (terms.t > 0) & np.isfinite(terms.vol))
    if not rows.size:
        return out
    low, high = np.full(rows.size, _NARROWEST), np.full(rows.size, _WIDEST)
    target = terms.price[rows]
    least, most = (_american(terms, rows, terms.spot[rows], v, terms.t[rows], american) for v in (low, high))
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        below = _american(terms, rows, terms.spot[rows], middle, terms.t[rows], american) < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    inside = (target > least) & (target < most)
    out[rows[inside]] = 0.5 * (low + high)[inside]
    return out


def values_at(
    terms: Terms,
    spots: Floats,
    vols: Floats,
    days: float = 0.0,
    american: Pricer = american_pricer,
) -> Floats:
    """Prices per share, shape of `spots` and `vols` (N, P), `days` calendar days on; linear contracts are their spot.

    NaN where a term is unknown.
    """
    t, strike = terms.t[:, None], terms.strike[:, None]
    left = np.maximum(t - days / DAYS_PER_YEAR, 0.0)
    rate, yields = (x[:, None] for x in _rates(terms))
    call = np.broadcast_to(terms.is_call[:, None], spots.shape)
    out: Floats = np.where(terms.is_option[:, None], np.nan, spots)
    early = _early(terms)
    for chosen, pricer in ((terms.is_option & ~early, _EUROPEAN), (early, american)):
        rows = np.flatnonzero(chosen)
        if rows.size:
            s, k, time, v, r, q = (
                np.broadcast_to(x, spots.shape)[rows] for x in (spots, strike, left, vols, rate, yields)
            )
            out[rows] = pricer(s, k, time, v, r, q, call[rows])
    return out


def _american(terms: Terms, rows: NDArray[np.intp], spots: Floats, vols: Floats, t: Floats, pricer: Pricer) -> Floats:
    rate, yields = _rates(terms)
    return pricer(spots, terms.strike[rows], t, vols, rate[rows], yields[rows], terms.is_call[rows])


def _early(terms: Terms) -> NDArray[np.bool_]:
    return np.array([c.is_option and product_of(c).style is Style.AMERICAN for c in terms.contracts], dtype=bool)


def _rates(terms: Terms) -> tuple[Floats, Floats]:
    """(rate, dividend yield), annual and continuous, as discount and forward say; 0 where no time is left."""
    alive = terms.t > 0
    years = np.where(alive, terms.t, 1.0)
    rate = np.where(alive, -np.log(terms.discount) / years, 0.0)
    return rate, np.where(alive, rate - np.log(terms.carry) / years, 0.0)
