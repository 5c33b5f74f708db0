"""A trade of the book as management sees it: what it brought, what it stands at, and where each contract is now."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from models.quant.exit_tests import most_earned, sells_premium
from models.quant.grouping import Group, groups_of
from models.quant.option import Contract
from models.quant.payoff import Part
from models.quant.product import dte
from models.quant.terms import Holding, MarketView, terms_of
from models.quant.vectors import contract_greeks


@dataclass(frozen=True)
class Sight:
    """One contract now, per share or point; None is unknown. `years` to settlement, 0 once it is over."""

    price: float | None
    spot: float | None
    vol: float | None
    delta: float | None
    years: float

    @property
    def sigma(self) -> float | None:
        """One standard deviation of the underlying to settlement, in its points, at the contract's own volatility."""
        if self.spot is None or self.vol is None:
            return None
        return abs(self.spot) * self.vol * math.sqrt(self.years)


@dataclass(frozen=True)
class Trade:
    """A group with its money in currency, None where a cost or a price is unknown.

    `costs` are average costs per contract with multiplier, as the broker states them: without a sign, and never zero.
    """

    group: Group
    sights: Mapping[Contract, Sight]
    costs: Mapping[Contract, float | None]
    now: datetime

    @property
    def shorts(self) -> tuple[Contract, ...]:
        return tuple(contract for contract, ratio in self.group.legs if ratio < 0)

    @cached_property
    def sells_premium(self) -> bool:
        """By its shape at expiry, whatever it cost; a calendar does not."""
        return self.group.one_expiry and sells_premium(self._parts)

    @property
    def days_left(self) -> int:
        """Calendar days to the first expiry; negative once past."""
        return min(dte(contract.expiry, self.now) for contract, _ in self.group.legs if contract.expiry)

    @property
    def is_over(self) -> bool:
        """A contract of it is past its settlement; what becomes of it is the bridge's to find out."""
        return any(self.sights[contract].years == 0 for contract, _ in self.group.legs)

    @property
    def credit(self) -> float | None:
        """Received less paid; negative for what was bought."""
        return self._sum({c: -cost if (cost := self.costs[c]) is not None else None for c, _ in self.group.legs})

    @property
    def profit(self) -> float | None:
        """What closing at the marks would leave of it all."""
        marks = {c: _times(self.sights[c].price, c.multiplier) for c, _ in self.group.legs}
        worth, credit = self._sum(marks), self.credit
        return None if worth is None or credit is None else worth + credit

    @property
    def most(self) -> float | None:
        """The most it can earn, of a trade of one expiry."""
        credit = self.credit
        return None if credit is None else most_earned(self._parts, credit)

    @property
    def without_cost(self) -> tuple[Contract, ...]:
        return tuple(contract for contract, _ in self.group.legs if self.costs[contract] is None)

    @property
    def without_price(self) -> tuple[Contract, ...]:
        return tuple(contract for contract, _ in self.group.legs if self.sights[contract].price is None)

    @property
    def _parts(self) -> tuple[Part, ...]:
        return tuple(Part(contract, amount) for contract, amount in self.group.amounts.items())

    def _sum(self, per_contract: Mapping[Contract, float | None]) -> float | None:
        """Σ amount × number per contract; None when one is unknown."""
        total = 0.0
        for contract, amount in self.group.amounts.items():
            number = per_contract[contract]
            if number is None:
                return None
            total += amount * number
        return total


def trades_of(holdings: Sequence[Holding], market: MarketView) -> tuple[Trade, ...]:
    """The option trades of a book, priced on `market`; the same whatever the order of the holdings."""
    groups = groups_of((holding.contract, holding.quantity) for holding in holdings)
    contracts = tuple(dict.fromkeys(contract for group in groups for contract, _ in group.legs))
    sights, costs = _sights(contracts, market), _costs(holdings)
    return tuple(Trade(group, sights, costs, market.now) for group in groups)


def _sights(contracts: Sequence[Contract], market: MarketView) -> dict[Contract, Sight]:
    if not contracts:
        return {}
    terms = terms_of(contracts, market)
    delta = contract_greeks(terms).delta
    columns = zip(contracts, terms.price, terms.spot, terms.vol, delta, terms.t, strict=True)
    return {c: Sight(_known(p), _known(s), _known(v), _known(d), float(t)) for c, p, s, v, d, t in columns}


def _costs(holdings: Sequence[Holding]) -> dict[Contract, float | None]:
    """Average cost by contract, weighted where one is held in several rows. A broker that does not know writes 0."""
    total: dict[Contract, float] = {}
    size: dict[Contract, float] = {}
    for holding in holdings:
        cost = holding.average_cost
        known = cost is not None and math.isfinite(cost) and cost > 0
        total[holding.contract] = total.get(holding.contract, 0.0) + (
            abs(holding.quantity) * cost if known and cost is not None else math.nan
        )
        size[holding.contract] = size.get(holding.contract, 0.0) + abs(holding.quantity)
    return {c: _known(total[c] / size[c]) if size[c] else None for c in total}


def _times(price: float | None, multiplier: float) -> float | None:
    return None if price is None else price * multiplier


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
