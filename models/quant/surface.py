"""The fitted volatility surface of one underlying: forward and discount by put-call parity, one smile per expiry.

A smile is SVI and what a spline adds to it. The volatilities of American classes are American ones: their price needs
`models.quant.fitted`. What lies outside the fitted expiries is unknown, never guessed.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.option import Contract, SecType
from models.quant.product import PRODUCTS, Product, Settlement, Style, settlement_minute, years_to
from models.quant.smile import Svi, durrleman
from models.quant.smile_spline import Spline

Floats = NDArray[np.float64]
Key = Contract | tuple[str, date]


@dataclass(frozen=True)
class OptionQuote:
    """One option's quote; None, zero and crossed sides are unknown and skipped by the fit."""

    contract: Contract
    bid: float | None
    ask: float | None


@dataclass(frozen=True)
class Slice:
    """One expiry of one class. `t_years` at the surface's time; `fit_error` root mean square in volatility (.001 =
    .1 vol point) over the quotes within three standard deviations of the money that know their volatility to within
    one point; `pairs` strikes used for parity; beyond `lowest` and `highest` the smile is extrapolated.
    """

    trading_class: str
    expiry: date
    t_years: float
    forward: float
    discount: float
    svi: Svi
    fit_error: float
    quotes: int
    pairs: int
    lowest: float
    highest: float
    spline: Spline | None = None

    @property
    def style(self) -> Style:
        """How its options are exercised: what a price at its volatilities must be computed with."""
        return style_of(self.trading_class)

    @property
    def rate(self) -> float:
        """Annual continuous rate of its discount."""
        return -math.log(self.discount) / self.t_years

    def total_variance(self, k: Floats) -> Floats:
        """vol² × t at log-moneyness k = ln(strike / forward)."""
        w = self.svi.total_variance(k)
        return w if self.spline is None else w + self.spline.total_variance(k)

    def shape(self, k: Floats) -> tuple[Floats, Floats, Floats]:
        """Total variance and its first two derivatives in k."""
        w, slope, bend = self.svi.shape(k)
        if self.spline is None:
            return w, slope, bend
        more = self.spline.shape(k)
        return w + more[0], slope + more[1], bend + more[2]

    def butterfly(self, k: Floats) -> Floats:
        """Durrleman's g(k): the implied density has its sign; negative anywhere is butterfly arbitrage."""
        return durrleman(k, *self.shape(k))

    def iv(self, strikes: ArrayLike) -> Floats:
        """Annual volatility (fraction) at absolute strikes; NaN where a strike is not positive."""
        with np.errstate(all="ignore"):
            k = np.log(np.asarray(strikes, dtype=np.float64) / self.forward)
            out: Floats = np.sqrt(self.total_variance(k) / self.t_years)
        return out

    def aged(self, t_years: float, forward: float) -> "Slice":
        """The same volatilities at the same moneyness with another time left and another forward."""
        share = t_years / self.t_years
        svi = replace(self.svi, a=self.svi.a * share, b=self.svi.b * share)
        spline = self.spline and replace(self.spline, weights=tuple(c * share for c in self.spline.weights))
        return replace(self, t_years=t_years, forward=forward, svi=svi, spline=spline)


@dataclass(frozen=True)
class Surface:
    """Slices in order of time. A key is an option contract or (trading class, expiry)."""

    symbol: str
    at: datetime
    spot: float
    slices: tuple[Slice, ...]

    def slice_of(self, key: Key) -> Slice | None:
        """The fitted slice of exactly this class and expiry."""
        return self._index.get(_class_and_expiry(key))

    def iv(self, key: Key, strikes: ArrayLike) -> Floats:
        """Volatility at absolute strikes, linear in total variance between fitted expiries at equal log-moneyness.

        NaN before the first and after the last fitted expiry, and where a strike is unknown.
        """
        k = np.asarray(strikes, dtype=np.float64)
        exact = self.slice_of(key)
        if exact is not None:
            return exact.iv(k)
        t, forward = self._years(key), self.forward(key)
        between = self._between(t)
        if between is None or forward is None:
            return np.full(k.shape, math.nan)
        early, late = between
        share = (t - early.t_years) / (late.t_years - early.t_years)
        with np.errstate(all="ignore"):
            x = np.log(k / forward)
            w = (1.0 - share) * early.total_variance(x) + share * late.total_variance(x)
            out: Floats = np.sqrt(w / t)
        return out

    def forward(self, key: Key) -> float | None:
        """Forward price at an expiry; between slices and beyond them the growth rate is carried on. None: no slices."""
        exact = self.slice_of(key)
        if exact is not None:
            return exact.forward
        growth = self._carried(self._years(key), lambda s: math.log(s.forward / self.spot))
        return None if growth is None else self.spot * math.exp(growth)

    def discount(self, key: Key) -> float | None:
        """Discount factor at an expiry, interpolated like the forward."""
        exact = self.slice_of(key)
        if exact is not None:
            return exact.discount
        log = self._carried(self._years(key), lambda s: math.log(s.discount))
        return None if log is None else math.exp(log)

    @property
    def quotes_used(self) -> int:
        return sum(s.quotes for s in self.slices)

    @property
    def fit_error(self) -> float | None:
        """Root mean square over all quotes of all slices; None without slices."""
        if not self.slices:
            return None
        return math.sqrt(sum(s.fit_error**2 * s.quotes for s in self.slices) / max(self.quotes_used, 1))

    def to_json(self) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "at": self.at.isoformat(),
            "spot": self.spot,
            "slices": [{**asdict(s), "expiry": s.expiry.isoformat()} for s in self.slices],
        }

    @staticmethod
    def from_json(raw: dict[str, Any]) -> "Surface":
        """The surface `to_json` wrote; raises KeyError, TypeError or ValueError on anything else.

        Slices written before there were splines have none.
        """
        slices = tuple(_slice_from(item) for item in raw["slices"])
        return Surface(str(raw["symbol"]), datetime.fromisoformat(raw["at"]), float(raw["spot"]), slices)

    @cached_property
    def _index(self) -> dict[tuple[str, date], Slice]:
        return {(s.trading_class, s.expiry): s for s in self.slices}

    def _years(self, key: Key) -> float:
        trading_class, expiry = _class_and_expiry(key)
        return years_to(settlement_minute(expiry, settlement_of(trading_class)), self.at)

    def _between(self, t: float) -> tuple[Slice, Slice] | None:
        for early, late in zip(self.slices, self.slices[1:], strict=False):
            if early.t_years <= t <= late.t_years and late.t_years > early.t_years:
                return early, late
        return None

    def _carried(self, t: float, log_of: Any) -> float | None:
        if not self.slices:
            return None
        times = [0.0, *(s.t_years for s in self.slices)]
        logs = [0.0, *(float(log_of(s)) for s in self.slices)]
        if t > times[-1]:
            return logs[-1] * t / times[-1]
        return float(np.interp(t, times, logs))


def _slice_from(item: dict[str, Any]) -> Slice:
    spline = item.get("spline")
    if spline is not None:
        spline = Spline(**{**spline, "weights": tuple(spline["weights"])})
    expiry, svi = date.fromisoformat(item["expiry"]), Svi(**item["svi"])
    return Slice(**{**item, "expiry": expiry, "svi": svi, "spline": spline})


def settlement_of(trading_class: str) -> Settlement:
    """How an option class settles; a class outside the product table is a US equity option: PM."""
    product = _option_product(trading_class)
    return Settlement.PM if product is None or product.settlement is None else product.settlement


def style_of(trading_class: str) -> Style:
    """How an option class is exercised; a class outside the product table is a US equity option: American."""
    product = _option_product(trading_class)
    return Style.AMERICAN if product is None or product.style is None else product.style


def tick_of(trading_class: str) -> float:
    """The smallest price step of an option class; a class outside the product table is quoted in cents."""
    product = _option_product(trading_class)
    return 0.01 if product is None else product.ticks[0][1]


def _option_product(trading_class: str) -> Product | None:
    return PRODUCTS.get((trading_class, SecType.OPTION)) or PRODUCTS.get((trading_class, SecType.FUTURE_OPTION))


def _class_and_expiry(key: Key) -> tuple[str, date]:
    if not isinstance(key, Contract):
        return key
    if key.expiry is None:
        raise ValueError(f"{key} has no expiry and no place on a surface")
    return key.trading_class, key.expiry


def fit_surface(
    symbol: str,
    spot: float,
    at: datetime,
    quotes: Sequence[OptionQuote],
    rate: float = 0.04,
    curve: Surface | None = None,
) -> Surface:
    """Fit forwards, discounts and smiles to the quotes of one underlying.

    Expiries with fewer than five usable strikes, or already settled, get no slice. American classes do not tell their
    discount: it is `curve`'s (another underlying's surface of about this time, SPX for SPY) or, without one, that of
    `rate` (annual, continuous), which also serves where no expiry's quotes determine it. See `models.quant.fitting`.
    """
    from models.quant.fitting import fit_slices  # it needs Slice from here

    return Surface(symbol, at, spot, fit_slices(spot, at, quotes, rate, curve))
