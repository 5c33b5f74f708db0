"""The fitted mid: what the surface says a contract is worth, and how far its quote stands from it.

The one answer that gates, costs and pages use. European classes are priced by Black's formula, American ones by their
exercise boundary; what the surface does not know stays unknown.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.early_exercise import american_prices, american_vols
from models.quant.implied import implied_vol_forward
from models.quant.option import Contract, Right
from models.quant.pricing import forward_price
from models.quant.product import Style, expiry_instant, product_of, years_to
from models.quant.surface import Surface
from models.quant.terms import MarketView

Floats = NDArray[np.float64]
_NAN = float("nan")


@dataclass(frozen=True)
class Distance:
    """A quote's mid less the fitted one, (N,) each: in price points, in its own half-spreads, in vol points (.01).

    NaN is unknown: a side is missing or crossed, the surface says nothing, or the mid holds no volatility.
    """

    points: Floats
    half_spreads: Floats
    vol_points: Floats


@dataclass(frozen=True)
class _Lot:
    """The contracts of one expiry of one class, and on what they are priced; `vol` by strike."""

    rows: NDArray[np.intp]
    spot: float
    t: float
    forward: float
    discount: float
    strike: Floats
    is_call: NDArray[np.bool_]
    vol: Floats
    style: Style

    def prices(self) -> Floats:
        if self.style is Style.AMERICAN:
            return american_prices(
                self.spot, self.strike, self.t, self.forward, self.discount, self.vol, self.is_call
            )  # fmt: skip
        out: Floats = self.discount * forward_price(
            self.forward, self.strike, self.vol * math.sqrt(self.t), self.is_call
        )
        return out

    def vols(self, price: Floats) -> Floats:
        if self.style is Style.AMERICAN:
            return american_vols(
                price, self.spot, self.strike, self.t, self.forward, self.discount, self.is_call
            )  # fmt: skip
        return implied_vol_forward(price, self.forward, self.strike, self.t, self.discount, self.is_call)


def fitted_mids(contracts: Sequence[Contract], market: MarketView) -> Floats:
    """(N,) the surface's prices in points at the view's spot and time; NaN for what is no option or has no surface.

    Marks and quotes play no part: a strike keeps the surface's volatility, and the forward moves with the spot.
    """
    out = np.full(len(contracts), _NAN)
    for lot in _lots(contracts, market):
        out[lot.rows] = lot.prices()
    return out


def distances(contracts: Sequence[Contract], market: MarketView, bid: ArrayLike, ask: ArrayLike) -> Distance:
    """How far two-sided quotes (N,) stand from the fitted mid, positive above it."""
    low, high = np.asarray(bid, dtype=np.float64), np.asarray(ask, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        two_sided = (low >= 0) & (high >= low) & (high > 0)
    mid, half = np.where(two_sided, 0.5 * (low + high), _NAN), np.where(two_sided, 0.5 * (high - low), _NAN)
    points, vol_points = np.full(len(contracts), _NAN), np.full(len(contracts), _NAN)
    for lot in _lots(contracts, market):
        points[lot.rows] = mid[lot.rows] - lot.prices()
        vol_points[lot.rows] = 100.0 * (lot.vols(mid[lot.rows]) - lot.vol)
    with np.errstate(divide="ignore", invalid="ignore"):
        half_spreads = np.where(half > 0, points / half, _NAN)
    return Distance(points, half_spreads, vol_points)


def _lots(contracts: Sequence[Contract], market: MarketView) -> list[_Lot]:
    groups: dict[tuple[str, str, str], list[int]] = {}
    for i, c in enumerate(contracts):
        if c.is_option:
            groups.setdefault((c.symbol, c.trading_class, str(c.expiry)), []).append(i)
    found = (_lot(contracts, np.array(rows), market) for rows in groups.values())
    return [lot for lot in found if lot is not None]


def _lot(contracts: Sequence[Contract], rows: NDArray[np.intp], market: MarketView) -> _Lot | None:
    first = contracts[rows[0]]
    surface: Surface | None = market.surfaces.get(first.symbol)
    spot, t = market.spot(first), years_to(expiry_instant(first), market.now)
    if surface is None or not spot > 0 or t == 0:
        return None
    forward, discount = surface.forward(first), surface.discount(first)
    if forward is None or discount is None:
        return None
    strike = np.array([contracts[i].strike for i in rows], dtype=np.float64)
    is_call = np.array([contracts[i].right is Right.CALL for i in rows], dtype=np.bool_)
    style = product_of(first).style or Style.EUROPEAN
    ahead = forward * spot / surface.spot
    return _Lot(rows, spot, t, ahead, discount, strike, is_call, surface.iv(first, strike), style)
