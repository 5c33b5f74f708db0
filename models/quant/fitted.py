"""The fitted mid: what the surface says a contract is worth, and how far its quote stands from it.

The one answer that gates, costs and pages use. European classes are priced by Black's formula, American ones by their
exercise boundary; what the surface does not know stays unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.option import Contract
from models.quant.terms import MarketView, Terms, implied_vols, model_price, surface_terms

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Distance:
    """A quote's mid less the fitted one, (N,) each: in price points, in its own half-spreads, in vol points (.01).

    NaN is unknown: a side is missing or crossed, the surface says nothing, or the mid holds no volatility.
    """

    points: Floats
    half_spreads: Floats
    vol_points: Floats


def fitted_mids(contracts: Sequence[Contract], market: MarketView) -> Floats:
    """(N,) the surface's prices in points at the view's spot and time; NaN for what is no option or has no surface.

    Marks and quotes play no part: a strike keeps the surface's volatility, and the forward moves with the spot.
    """
    return _mids(surface_terms(contracts, market))


def distances(contracts: Sequence[Contract], market: MarketView, bid: ArrayLike, ask: ArrayLike) -> Distance:
    """How far two-sided quotes (N,) stand from the fitted mid, positive above it."""
    low, high = np.asarray(bid, dtype=np.float64), np.asarray(ask, dtype=np.float64)
    terms = surface_terms(contracts, market)
    with np.errstate(divide="ignore", invalid="ignore"):
        two_sided = (low >= 0) & (high >= low) & (high > 0)
        mid, half = np.where(two_sided, 0.5 * (low + high), np.nan), 0.5 * (high - low)
        points = mid - _mids(terms)
        half_spreads = np.where(half > 0, points / half, np.nan)
    return Distance(points, half_spreads, 100.0 * (implied_vols(terms, mid) - terms.vol))


def _mids(terms: Terms) -> Floats:
    return np.where(terms.is_option, model_price(terms), np.nan)
