"""Where the profit between two moments came from: each greek its line, trades and fees theirs, and what none explains.

Greeks are those of the first moment, to second order in price and volatility. The lines of a position always add up to
its actual profit; a large residual says that the move was too large for its greeks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.option import Contract
from models.quant.pricing import DAYS_PER_YEAR, Greeks
from models.quant.terms import Holding, MarketView, Terms, terms_of
from models.quant.vectors import contract_greeks

Floats = NDArray[np.float64]

LINES = (
    "delta", "gamma", "vega", "theta", "carry", "rho", "dividend", "vanna", "volga", "charm", "quote", "residual",
    "trades", "fees",
)  # fmt: skip
"""delta to charm: the greek × the contract's own move of price, volatility, days and rate · carry: what rate and
dividend add with time · rho: the rate, at the same yield · dividend: the yield that the forward implies (dividends,
borrow) · quote: the mark moved against the model at its own volatility · residual:
repricing less all of these · trades: fills of the period, from fill price to mark · fees: negative."""


@dataclass(frozen=True)
class Fill:
    """A trade within the period: signed quantity, price per share or point, fees in currency (a cost is positive)."""

    contract: Contract
    quantity: float
    price: float
    fees: float | None = 0.0
    """None: not told yet."""


@dataclass(frozen=True)
class Attribution:
    """N positions in currency; NaN is unknown and `missing` names the position and what is unknown.

    lines (N, 14) in the order of LINES · actual (N,): change of market value less what was paid for trades, and fees ·
    market_delta (N,): the part of the delta line that beta × the SPX move explains, NaN without an SPX move.
    """

    contracts: tuple[Contract, ...]
    lines: Floats
    actual: Floats
    market_delta: Floats
    missing: tuple[str, ...]

    def line(self, name: str) -> Floats:
        """One line by position, shape (N,)."""
        return self.lines[:, LINES.index(name)]

    @property
    def specific_delta(self) -> Floats:
        """The part of the delta line that is the underlying's own, beyond its beta."""
        return self.line("delta") - self.market_delta

    def book(self) -> dict[str, float | None]:
        """Sums over all positions by line, and `actual`; None when a position is unknown."""
        return self._sums(np.ones(len(self.contracts), dtype=bool))

    def by_underlying(self) -> dict[str, dict[str, float | None]]:
        """`book` for each underlying symbol, in order of the symbols."""
        symbols = np.array([c.symbol for c in self.contracts], dtype=np.str_)
        return {str(s): self._sums(symbols == s) for s in np.unique(symbols)}

    def _sums(self, rows: NDArray[np.bool_]) -> dict[str, float | None]:
        table = np.column_stack((self.lines, self.actual))[rows]
        sums = (float(x) for x in table.sum(axis=0))
        return {n: x if math.isfinite(x) else None for n, x in zip((*LINES, "actual"), sums, strict=True)}


def attribute_book(
    holdings: Sequence[Holding], before: MarketView, after: MarketView, fills: Sequence[Fill] = ()
) -> Attribution:
    """The profit from `before` to `after` of what was held at `before` and of `fills` since, one row per contract."""
    start: dict[Contract, float] = {}
    for contract, quantity in [(h.contract, h.quantity) for h in holdings] + [(f.contract, 0.0) for f in fills]:
        start[contract] = start.get(contract, 0.0) + quantity
    spx_move = math.nan if not before.spx or not after.spx else after.spx / before.spx - 1.0
    contracts = list(start)
    return attribute(terms_of(contracts, before), terms_of(contracts, after), list(start.values()), fills, spx_move)


def attribute(
    before: Terms, after: Terms, quantities: ArrayLike, fills: Sequence[Fill] = (), spx_move: float = math.nan
) -> Attribution:
    """The profit of `quantities` (N, signed, held at `before`) and of `fills` since, between two gathered terms.

    Both terms list the same contracts in the same order, fills only these; else ValueError. `spx_move` is a fraction.
    An option that settled in between keeps its volatility, so that its whole decay is theta, gamma and residual.
    Source of the split: a Taylor series around the first moment (Hull, Options, Futures and Other Derivatives,
    section 19.9, with the cross terms of Haug, The Complete Guide to Option Pricing Formulas, 2nd ed., chapter 2).
    """
    q = np.asarray(quantities, dtype=np.float64)
    if before.contracts != after.contracts or q.shape != (len(before.contracts),):
        raise ValueError("before, after and quantities must list the same contracts in the same order")
    traded, paid, fees = _traded(before.contracts, fills)
    m, spot_move = before.multiplier, after.spot - before.spot
    with np.errstate(all="ignore"):
        greeks = contract_greeks(before)
        explained = q * m * _explained(before, after, greeks, spot_move)
        quote = q * m * ((after.price - after.model) - (before.price - before.model))
        held = q * m * (after.price - before.price)
        trades = m * (np.where(traded == 0, 0.0, traded * after.price) - paid)
        market = q * m * greeks.delta * 100.0 * before.per_percent * spx_move
    explained[:, q == 0], quote[q == 0], held[q == 0], market[q == 0] = 0.0, 0.0, 0.0, 0.0
    residual = held - explained.sum(axis=0) - quote
    lines = np.column_stack([*explained, quote, residual, trades, -fees])
    # by cash, so that a position closed in the period needs no price at its end
    left = np.where(q + traded == 0, 0.0, (q + traded) * m * after.price)
    actual = left - np.where(q == 0, 0.0, q * m * before.price) - m * paid - fees
    return Attribution(before.contracts, lines, actual, market, _missing(before, after, q, lines))


def _traded(contracts: tuple[Contract, ...], fills: Sequence[Fill]) -> tuple[Floats, Floats, Floats]:
    """Quantity, quantity × price, and fees of the fills by contract."""
    row = {c: i for i, c in enumerate(contracts)}
    traded, paid, fees = (np.zeros(len(contracts)) for _ in range(3))
    for fill in fills:
        if fill.contract not in row:
            raise ValueError(f"a fill of {fill.contract} has no row in the terms; gather terms for it too")
        i = row[fill.contract]
        traded[i] += fill.quantity
        paid[i] += fill.quantity * fill.price
        fees[i] += math.nan if fill.fees is None else fill.fees
    return traded, paid, fees


def _explained(before: Terms, after: Terms, g: Greeks, spot_move: Floats) -> Floats:
    """Profit per share or point by greek, shape (10, N) in the order of LINES; a linear contract has delta alone."""
    lasts = before.is_option & (after.t > 0)
    days = DAYS_PER_YEAR * (before.t - after.t)
    points = np.where(lasts, 100.0 * (after.vol - before.vol), 0.0)
    rate = np.where(lasts, after.rate - before.rate, 0.0)
    dividend = np.where(lasts & ~before.on_future, after.dividend_yield - before.dividend_yield, 0.0)
    lines = np.stack([
        g.delta * spot_move,
        0.5 * g.gamma * spot_move**2,
        g.vega * points,
        g.theta * days,
        g.carry * days,
        g.rho * 100.0 * rate,
        -g.delta * before.spot * before.t * dividend,
        g.vanna * spot_move * points,
        0.5 * g.volga * points**2,
        g.charm * spot_move * days,
    ])  # fmt: skip
    lines[1:, ~before.is_option] = 0.0
    return lines


def _missing(before: Terms, after: Terms, q: Floats, lines: Floats) -> tuple[str, ...]:
    reasons = []
    for i in np.flatnonzero(~np.isfinite(lines).all(axis=1)):
        blanks = [
            f"{word} {when}"
            for when, terms in (("before", before), ("after", after))
            for word, column in (("spot", terms.spot), ("volatility", terms.vol), ("price", terms.price))
            if not math.isfinite(column[i]) and (terms.is_option[i] or word != "volatility")
            and (q[i] or when == "after")
        ]  # fmt: skip
        if math.isnan(lines[i, LINES.index("fees")]):
            blanks.append("fee of a fill")
        reasons.append(f"{before.contracts[i]}: unknown {', '.join(blanks) or 'rate or forward'}")
    return tuple(reasons)
