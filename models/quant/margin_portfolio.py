"""Portfolio margin by the TIMS method: each class of underlyings is moved over ten points and its worst loss is asked.

Options are repriced at their own volatility by their style of exercise, American ones as American. Within a class all
gains count; between classes of one product group the house's share of them. Equity counts options at their market
value here: opening a trade takes the requirement alone, whatever the premium.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.margin_book import FUTURES, MarginLine, Prepared, netted
from models.quant.margin_houses import OCC, House
from models.quant.margin_rules import CBOE, StrategyRules
from models.quant.option import Contract
from models.quant.repricing import values_at
from models.quant.terms import Holding, MarketView, Terms, terms_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassMargin:
    """One class: worst loss over its points, the least charge, and what it asks alone (the greater); currency.

    `profits` (10) at `moves` of the underlying index, downwards first.
    """

    name: str
    product: str
    asked: float
    least: float
    moves: tuple[float, ...]
    profits: tuple[float, ...]
    lots: tuple[tuple[Contract, float], ...]

    @property
    def worst_move(self) -> float:
        return self.moves[int(np.argmin(self.profits))]


@dataclass(frozen=True)
class ProductMargin:
    """Classes that offset each other in part, and what they ask together."""

    name: str
    asked: float
    classes: tuple[ClassMargin, ...]


@dataclass(frozen=True)
class PortfolioMargin:
    """Requirement in currency; None when something it depends on is unknown (`missing` says which).

    `scanned` are futures and their options, which stand apart.
    """

    initial: float | None
    maintenance: float | None
    method: str
    products: tuple[ProductMargin, ...] = ()
    scanned: tuple[MarginLine, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class PortfolioTrade:
    """An account's portfolio margin before a trade and after it; the change is None where either is unknown."""

    before: PortfolioMargin
    after: PortfolioMargin

    @property
    def initial(self) -> float | None:
        return _minus(self.after.initial, self.before.initial)

    @property
    def maintenance(self) -> float | None:
        return _minus(self.after.maintenance, self.before.maintenance)


def portfolio_margin(
    holdings: Sequence[Holding],
    market: MarketView,
    house: House = OCC,
    futures: StrategyRules = CBOE,
) -> PortfolioMargin:
    """What the book asks; `futures` holds the scan ranges."""
    quantities = {c: q for c, q in netted(holdings).items() if q}
    apart = {c: q for c, q in quantities.items() if c.sec_type in FUTURES}
    lines, missing = _scanned(apart, market, futures)
    securities = {c: q for c, q in quantities.items() if c.sec_type not in FUTURES}
    terms = terms_of(list(securities), market)
    profits, unknown = _profits(terms, house)
    method = f"estimate: portfolio margin, {house.name}"
    missing = (*missing, *unknown)
    if missing:
        return PortfolioMargin(None, None, method, missing=missing)
    products = _products(securities, profits, house)
    risk = math.fsum(p.asked for p in products)
    return PortfolioMargin(
        house.initial * risk + math.fsum(x.initial for x in lines),
        risk + math.fsum(x.maintenance for x in lines),
        method,
        products,
        lines,
    )


def portfolio_trade(
    holdings: Sequence[Holding],
    added: Sequence[Holding],
    market: MarketView,
    house: House = OCC,
) -> PortfolioTrade:
    """The account before and after `added` joins."""
    before, after = (portfolio_margin(book, market, house) for book in (holdings, (*holdings, *added)))
    return PortfolioTrade(before, after)


def _scanned(
    quantities: Mapping[Contract, float], market: MarketView, rules: StrategyRules
) -> tuple[tuple[MarginLine, ...], tuple[str, ...]]:
    prepared = Prepared(market, rules)
    groups = [prepared.ask(group) for group in prepared.split([Holding(c, q) for c, q in quantities.items()]).values()]
    lines = tuple(line for group in groups for line in group.lines)
    return lines, tuple(reason for group in groups for reason in group.missing)


def _profits(terms: Terms, house: House) -> tuple[Floats, tuple[str, ...]]:
    """Profit of one long contract at each of its class's points (N, 10), currency; and what is unknown."""
    classes = [house.of(c.symbol) for c in terms.contracts]
    moves = np.array([[u.leverage * m for m in u.moves.points] for u in classes]).reshape(len(classes), 10)
    spots = terms.spot[:, None] * np.maximum(1.0 + moves, _LEAST)
    vols = terms.vol[:, None]
    then, now = values_at(terms, spots, np.broadcast_to(vols, spots.shape)), values_at(terms, terms.spot[:, None], vols)
    out: Floats = terms.multiplier[:, None] * (then - now)
    blind = ~np.isfinite(out).all(axis=1)
    return out, tuple(f"{terms.contracts[i]}: no price or volatility" for i in np.flatnonzero(blind))


_LEAST = 1e-4  # of the price is left when a geared fund's move would take it below nothing


def _products(quantities: Mapping[Contract, float], profits: Floats, house: House) -> tuple[ProductMargin, ...]:
    rows: dict[str, list[int]] = defaultdict(list)
    contracts = list(quantities)
    for i, c in enumerate(contracts):
        rows[house.of(c.symbol).name].append(i)
    groups: dict[str, list[ClassMargin]] = defaultdict(list)
    for name, mine in sorted(rows.items()):
        lots = tuple((contracts[i], quantities[contracts[i]]) for i in mine)
        found = _class(name, lots, profits[mine], house)
        groups[found.product or found.name].append(found)
    return tuple(_product(name, members, house) for name, members in sorted(groups.items()))


def _class(name: str, lots: tuple[tuple[Contract, float], ...], profits: Floats, house: House) -> ClassMargin:
    total = np.array([q for _, q in lots]) @ profits
    least = math.fsum(house.least * c.multiplier * abs(q) for c, q in lots if c.is_option)
    what = house.of(lots[0][0].symbol)
    asked = max(-float(total.min()), least, 0.0)
    return ClassMargin(name, what.product, asked, least, what.moves.points, tuple(float(x) for x in total), lots)


def _product(name: str, classes: Sequence[ClassMargin], house: House) -> ProductMargin:
    """At each point losses count in full and gains in part; never less than the least charges, nor more than apart.

    Without an offset every class asks for its own worst point.
    """
    apart = math.fsum(c.asked for c in classes)
    offset = house.offsets.get(name, 0.0)
    if offset == 0.0:
        return ProductMargin(name, apart, tuple(classes))
    profits = np.array([c.profits for c in classes])
    net = np.minimum(profits, 0.0).sum(axis=0) + offset * np.maximum(profits, 0.0).sum(axis=0)
    least = math.fsum(c.least for c in classes)
    return ProductMargin(name, min(max(-float(net.min()), least, 0.0), apart), tuple(classes))


def _minus(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before
