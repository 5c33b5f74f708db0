"""On what each contract is priced: spot, forward, discount, time and volatility, gathered once into arrays.

The price's own volatility is used where the price is one to believe (out of the money, two-sided), the fitted
surface's where it is not; a contract with neither stays unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.quant.american import american_implied_vol, american_price
from models.quant.beta import Beta, beta_of
from models.quant.dividends import Dividend, escrowed
from models.quant.implied import implied_vol_forward
from models.quant.option import Contract, Right, SecType
from models.quant.pricing import forward_price
from models.quant.product import Style, dte, expiry_instant, is_spx_family, product_of, years_to
from models.quant.structure import QuoteSource
from models.quant.surface import Surface

Floats = NDArray[np.float64]
Quotes = Mapping[str, tuple[float | None, float | None]]
_NAN = float("nan")
SPX = "SPX"
_HALF_TICK = 0.005
_PARITY = 0.01  # of spot


@dataclass(frozen=True)
class Holding:
    """A signed quantity of one contract; average_cost per contract with multiplier, as the broker states it."""

    contract: Contract
    quantity: float
    average_cost: float | None = None


@dataclass(frozen=True)
class Mark:
    """A price as quoted (per share or point) and where it came from."""

    price: float
    source: QuoteSource
    at: datetime | None = None


@dataclass(frozen=True)
class MarketView:
    """All that pricing may know. Keys: symbols for spots, surfaces and betas; identities for marks. Absent = unknown.

    `rate` (annual, continuous) discounts where no surface tells the discount; `dividends` by symbol (years from now)
    tell the forward there.
    """

    now: datetime
    spx: float | None
    spots: Mapping[str, float] = field(default_factory=dict)
    marks: Mapping[str, Mark] = field(default_factory=dict)
    surfaces: Mapping[str, Surface] = field(default_factory=dict)
    betas: Mapping[str, Beta] = field(default_factory=dict)
    rate: float = 0.04
    dividends: Mapping[str, Sequence[Dividend]] = field(default_factory=dict)

    def spot(self, contract: Contract) -> float:
        """Price of what the contract moves with: a future and a share move with themselves; NaN unknown."""
        if not contract.is_option:
            own = self.marks.get(contract.identity)
            if own is not None:
                return own.price
            if contract.sec_type is SecType.FUTURE:
                return self._spot(contract.trading_class, self._spot(contract.symbol, _NAN))
        found = self._spot(contract.symbol, _NAN)
        if found == found:
            return found
        if contract.symbol in self.marks:
            return self.marks[contract.symbol].price
        surface = self.surfaces.get(contract.symbol)
        return _NAN if surface is None else surface.spot

    def _spot(self, symbol: str, otherwise: float) -> float:
        if symbol == SPX and self.spx is not None:
            return self.spx
        if symbol == "XSP" and self.spx is not None and symbol not in self.spots:
            return self.spx / 10  # by definition of the index
        return self.spots.get(symbol, otherwise)


@dataclass(frozen=True)
class Terms:
    """Arrays of one entry per contract; NaN is unknown. Linear contracts (futures, shares) carry NaN option terms.

    `carry` is forward / spot; `price` the mark or, without one, the model's; `model` the model's price at `vol`.
    `is_american`: exercised early where that pays.
    """

    contracts: tuple[Contract, ...]
    is_option: NDArray[np.bool_]
    is_call: NDArray[np.bool_]
    is_american: NDArray[np.bool_]
    multiplier: Floats
    spot: Floats
    beta: Floats
    betas: tuple[Beta, ...]
    strike: Floats
    t: Floats
    dte: Floats
    carry: Floats
    discount: Floats
    vol: Floats
    price: Floats
    model: Floats
    bid: Floats
    ask: Floats
    source: NDArray[np.str_]

    @property
    def vega_weight(self) -> Floats:
        """√(30 / max(DTE, 7)): a 30-day vol shift seen from this expiry (DOMAIN.md section 1)."""
        return np.sqrt(30.0 / np.maximum(self.dte, 7.0))

    @property
    def vol_unit(self) -> Floats:
        """Volatility change (fraction) per point of the 30-day shift."""
        return 0.01 * self.vega_weight

    @property
    def per_percent(self) -> Floats:
        """Points that the contract's own underlying moves per +1 % of SPX; a price below zero moves by its size."""
        return 0.01 * self.beta * np.abs(self.spot)

    @cached_property
    def rate(self) -> Floats:
        """Annual continuous rate of the discount; 0 at the settlement minute."""
        return _per_year(1.0 / self.discount, self.t)

    @cached_property
    def dividend_yield(self) -> Floats:
        """Annual continuous yield that the forward tells: rate less growth (the rate itself on a future)."""
        return self.rate - _per_year(self.carry, self.t)

    @cached_property
    def on_future(self) -> NDArray[np.bool_]:
        return np.array([c.sec_type is SecType.FUTURE_OPTION for c in self.contracts], dtype=bool)


def _per_year(factor: Floats, t: Floats) -> Floats:
    with np.errstate(all="ignore"):
        return np.where(t > 0, np.log(factor) / np.where(t > 0, t, 1.0), np.where(np.isnan(t), np.nan, 0.0))


def terms_of(contracts: Sequence[Contract], market: MarketView, quotes: Quotes | None = None) -> Terms:
    """Gather the terms of `contracts`. A two-sided quote in `quotes` is the mark; else the view's mark; else model."""
    bid, ask, mark, source = _marks(contracts, market, quotes)
    fitted = surface_terms(contracts, market)
    vol = _volatility(fitted, mark, bid <= 0)
    model = model_price(replace(fitted, vol=vol))
    price = np.where(np.isfinite(mark), mark, model)
    source[~np.isfinite(mark) & np.isfinite(price)] = QuoteSource.MODELLED.value
    source[~np.isfinite(price)] = QuoteSource.UNKNOWN.value
    return replace(fitted, vol=vol, price=price, model=model, bid=bid, ask=ask, source=source)


def surface_terms(contracts: Sequence[Contract], market: MarketView) -> Terms:
    """The terms with the surface's volatilities (0 at the settlement minute), whatever is marked; no prices yet."""
    n = len(contracts)
    strike = np.array([_NAN if c.strike is None else c.strike for c in contracts], dtype=float)
    spot, betas, nothing = _spots(contracts, market), _betas(contracts, market), np.full(n, _NAN)
    t, days, carry, discount, fitted = (np.full(n, _NAN) for _ in range(5))
    for rows in _groups(contracts):
        first = contracts[rows[0]]
        assert first.expiry is not None
        t[rows] = years_to(expiry_instant(first), market.now)
        days[rows] = dte(first.expiry, market.now)
        if not first.is_option:
            continue
        surface = market.surfaces.get(first.symbol)
        carry[rows], discount[rows] = _carry(first, surface, float(t[rows[0]]), float(spot[rows[0]]), market)
        if surface is not None:
            fitted[rows] = surface.iv(first, strike[rows])
    return Terms(
        contracts=tuple(contracts),
        is_option=np.array([c.is_option for c in contracts], dtype=bool),
        is_call=np.array([c.right is Right.CALL for c in contracts], dtype=bool),
        is_american=np.array([c.is_option and product_of(c).style is Style.AMERICAN for c in contracts], dtype=bool),
        multiplier=np.array([c.multiplier for c in contracts], dtype=float),
        spot=spot,
        beta=np.array([b.value for b in betas], dtype=float),
        betas=betas,
        strike=strike,
        t=t,
        dte=days,
        carry=carry,
        discount=discount,
        vol=np.where(t == 0, 0.0, fitted),
        price=nothing,
        model=nothing,
        bid=nothing,
        ask=nothing,
        source=np.full(n, QuoteSource.UNKNOWN.value, dtype="<U9"),
    )


def _spots(contracts: Sequence[Contract], market: MarketView) -> Floats:
    cache: dict[tuple[str, SecType, date | None], float] = {}
    out = np.empty(len(contracts))
    for i, c in enumerate(contracts):
        key = (c.symbol, c.sec_type, None if c.is_option else c.expiry)
        if key not in cache:
            cache[key] = market.spot(c)
        out[i] = cache[key]
    out[~(out != 0)] = _NAN
    return out


def _betas(contracts: Sequence[Contract], market: MarketView) -> tuple[Beta, ...]:
    cache: dict[tuple[str, str], Beta] = {}
    for c in contracts:
        key = (c.symbol, c.trading_class)
        if key not in cache:
            cache[key] = beta_of(c, market.betas)
    return tuple(cache[c.symbol, c.trading_class] for c in contracts)


def _groups(contracts: Sequence[Contract]) -> list[NDArray[np.intp]]:
    """Rows of contracts that share one expiry of one class: they share time, forward and discount."""
    found: dict[tuple[str, str, date, bool], list[int]] = {}
    for i, c in enumerate(contracts):
        if c.expiry is not None:
            found.setdefault((c.symbol, c.trading_class, c.expiry, c.is_option), []).append(i)
    return [np.array(rows) for rows in found.values()]


def _marks(
    contracts: Sequence[Contract], market: MarketView, quotes: Quotes | None
) -> tuple[Floats, Floats, Floats, NDArray[np.str_]]:
    n = len(contracts)
    bid, ask, mark = (np.full(n, _NAN) for _ in range(3))
    source = np.full(n, QuoteSource.UNKNOWN.value, dtype="<U9")
    for i, c in enumerate(contracts):
        known = market.marks.get(c.identity)
        if known is not None:
            mark[i], source[i] = known.price, known.source.value
        low, high = quotes.get(c.identity, (None, None)) if quotes else (None, None)
        bid[i], ask[i] = _NAN if low is None else low, _NAN if high is None else high
        if low is not None and high is not None and high > 0 and high >= low:
            mark[i] = 0.5 * (low + high)
            source[i] = known.source.value if known is not None else QuoteSource.REAL.value
    return bid, ask, mark, source


def _carry(
    contract: Contract, surface: Surface | None, t: float, spot: float, market: MarketView
) -> tuple[float, float]:
    """(forward / spot, discount) of an expiry: the surface's parity, else growth at the rate less known dividends.

    Without a surface of its own a contract borrows the discount of SPX's, and in the SPX family the growth too: SPY
    holds what the index holds. A future does not grow.
    """
    if t == 0:
        return 1.0, 1.0
    curve = surface or market.surfaces.get(SPX)
    forward, found = (curve.forward(contract), curve.discount(contract)) if curve is not None else (None, None)
    discount = float(np.exp(-market.rate * t)) if found is None else found
    if contract.sec_type is SecType.FUTURE_OPTION:
        return 1.0, discount
    known = market.dividends.get(contract.symbol, ())
    alike = surface is not None or (is_spx_family(contract) and not known)
    if alike and curve is not None and forward is not None and curve.spot > 0:
        return forward / curve.spot, discount
    rest = escrowed(spot, t, -np.log(discount) / t, known)
    return float(rest) / spot / discount, discount


def implied_vols(terms: Terms, price: Floats) -> Floats:
    """The volatility at which each contract's own style of exercise gives `price` (N,); NaN where it tells none."""
    out = implied_vol_forward(price, terms.spot * terms.carry, terms.strike, terms.t, terms.discount, terms.is_call)
    early = np.flatnonzero(terms.is_american & np.isfinite(price))
    if early.size:
        out[early] = american_implied_vol(
            price[early], terms.spot[early], terms.strike[early], terms.t[early], terms.rate[early],
            terms.dividend_yield[early], terms.is_call[early],
        )  # fmt: skip
    return out


def _volatility(fitted: Terms, mark: Floats, no_bid: NDArray[np.bool_]) -> Floats:
    """The volatility to reprice with: the mark's own where it tells one to believe, else the surface's."""
    implied, forward = implied_vols(fitted, _above_exercise(fitted, mark)), fitted.spot * fitted.carry
    with np.errstate(invalid="ignore"):
        in_the_money = np.where(fitted.is_call, forward > fitted.strike, fitted.strike > forward)
    # in the money the time value drowns in a wide quote, and half an offer without a bid is no price: there the
    # surface, fitted to two-sided quotes out of the money, knows better
    doubtful = in_the_money | no_bid
    first, second = np.where(doubtful, fitted.vol, implied), np.where(doubtful, implied, fitted.vol)
    vol = np.where(np.isfinite(first), first, second)
    return np.where(fitted.t == 0, 0.0, vol)  # at the settlement minute only the intrinsic value is left


def _above_exercise(terms: Terms, mark: Floats) -> Floats:
    """The marks, of American options at least half a tick above exercise: deep in the money a quote tells no more.

    Such an option keeps the greatest volatility at which it is still exercised. A mark far below is not believed.
    """
    with np.errstate(invalid="ignore"):
        exercise = np.where(terms.is_call, terms.spot - terms.strike, terms.strike - terms.spot) + _HALF_TICK
        near = terms.is_american & (mark < exercise) & (mark > exercise - _PARITY * terms.spot)
    return np.where(near, exercise, mark)


def model_price(terms: Terms) -> Floats:
    """Each contract's price at its own volatility, per share or point; a linear contract is its spot."""
    with np.errstate(invalid="ignore"):
        deviation = terms.vol * np.sqrt(terms.t)
        price = terms.discount * forward_price(terms.spot * terms.carry, terms.strike, deviation, terms.is_call)
    early = np.flatnonzero(terms.is_american)
    if early.size:
        price[early] = american_price(
            terms.spot[early], terms.strike[early], terms.t[early], terms.vol[early], terms.rate[early],
            terms.dividend_yield[early], terms.is_call[early],
        )  # fmt: skip
    return np.where(terms.is_option, price, terms.spot)
