"""Contracts as columns of numbers: what one long contract adds to every limited quantity, in currency.

With these, the after-trade truth of thousands of candidates is a matrix product of quantities and columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.american import american, american_on_future
from models.quant.beta import SPX_FAMILY
from models.quant.option import Contract
from models.quant.pricing import Greeks, black76, bsm
from models.quant.scenario import history_pnl, stress_vectors
from models.quant.terms import MarketView, Quotes, Terms, terms_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ContractVectors:
    """N contracts, each row PER ONE CONTRACT LONG in currency; NaN is unknown.

    value, bid, ask: price × multiplier (`value` is the mark, else the model's). spx_delta per +1 % SPX · gamma per
    further +1 % · vega per vol point · vega_weighted × √(30 / max(DTE, 7)) · theta per calendar day, carry-free ·
    stress (N, 91) in the order of scenario.STRESS_CELLS · history (N, D) profit per past day, None when no history.
    multiplier, iv (fraction), dte (days), spot, beta, strike are plain facts; source is structure.QuoteSource's value.
    """

    contracts: tuple[Contract, ...]
    value: Floats
    bid: Floats
    ask: Floats
    spx_delta: Floats
    gamma: Floats
    vega: Floats
    vega_weighted: Floats
    theta: Floats
    stress: Floats
    multiplier: Floats
    iv: Floats
    dte: Floats
    spot: Floats
    beta: Floats
    strike: Floats
    is_option: NDArray[np.bool_]
    is_call: NDArray[np.bool_]
    source: NDArray[np.str_]
    beta_source: tuple[str, ...]
    history: Floats | None = None

    def __len__(self) -> int:
        return len(self.contracts)

    @cached_property
    def index(self) -> dict[str, int]:
        """Row by identity."""
        return {c.identity: i for i, c in enumerate(self.contracts)}

    @cached_property
    def group(self) -> NDArray[np.str_]:
        """Underlying group per row for the vega share: the SPX family is one, everything else its symbol."""
        return np.array([group_of(c) for c in self.contracts], dtype=np.str_)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """True where every limited number of the row is known."""
        columns = (self.value, self.spx_delta, self.gamma, self.vega_weighted, self.theta)
        table = np.column_stack((*columns, self.stress))
        return np.array(np.isfinite(table).all(axis=1), dtype=np.bool_)

    def take(self, rows: ArrayLike) -> "ContractVectors":
        """The same columns for a choice of rows (positions or a boolean mask)."""
        picked = np.asarray(rows)
        places = np.flatnonzero(picked) if picked.dtype == bool else picked.astype(np.intp)
        chosen: dict[str, Any] = {}
        for f in fields(self):
            column = getattr(self, f.name)
            if isinstance(column, tuple):
                chosen[f.name] = tuple(column[i] for i in places)
            else:
                chosen[f.name] = None if column is None else column[places]
        return ContractVectors(**chosen)

    def quantities(self, amounts: dict[str, float]) -> Floats:
        """A vector of quantities from identities; raises KeyError for a contract that has no row."""
        out = np.zeros(len(self))
        for identity, amount in amounts.items():
            out[self.index[identity]] += amount
        return out


SPX_GROUP = "SPX"


def group_of(contract: Contract) -> str:
    """SPX for its whole family, else the symbol of the underlying."""
    return SPX_GROUP if contract.symbol in SPX_FAMILY else contract.symbol


def vectorise(
    contracts: Sequence[Contract],
    market: MarketView,
    quotes: Quotes | None = None,
    spx_vix_history: ArrayLike | None = None,
) -> ContractVectors:
    """Price `contracts` once. `quotes` maps identities to (bid, ask) per share; without one the surface prices.

    With `spx_vix_history` (days × 2, see scenario.history_pnl) the rows carry each day's profit too, for the VaR.
    """
    terms = terms_of(contracts, market, quotes)
    greeks = contract_greeks(terms)
    m, option = terms.multiplier, terms.is_option
    per_percent = terms.per_percent
    vega = m * greeks.vega
    return ContractVectors(
        contracts=terms.contracts,
        value=m * terms.price,
        bid=m * terms.bid,
        ask=m * terms.ask,
        spx_delta=m * greeks.delta * per_percent,
        gamma=m * greeks.gamma * per_percent**2,
        vega=vega,
        vega_weighted=np.where(option, vega * terms.vega_weight, vega),
        theta=m * greeks.theta,
        stress=stress_vectors(terms),
        multiplier=m,
        iv=terms.vol,
        dte=terms.dte,
        spot=terms.spot,
        beta=terms.beta,
        strike=terms.strike,
        is_option=option,
        is_call=terms.is_call,
        source=terms.source,
        beta_source=tuple(b.source for b in terms.betas),
        history=None if spx_vix_history is None else history_pnl(terms, spx_vix_history),
    )


def contract_greeks(terms: Terms) -> Greeks:
    """Greeks per contract before multiplier, delta and gamma per 1.00 of the spot; linear contracts have delta 1.

    The forward moves with the spot at the yield it implies now; on a future rho moves the discount alone. American
    options are priced with their exercise boundary. An expired option has its intrinsic delta.
    """
    one, none = np.where(np.isfinite(terms.spot), 1.0, np.nan), np.where(np.isfinite(terms.spot), 0.0, np.nan)
    table = np.stack([terms.spot, one, *([none] * 8)])
    for early, future in ((False, False), (False, True), (True, False), (True, True)):
        rows = np.flatnonzero(terms.is_option & (terms.is_american == early) & (terms.on_future == future))
        if rows.size:
            found = _option_greeks(terms, rows, early, future)
            table[:, rows] = [getattr(found, f.name) for f in fields(Greeks)]
    return Greeks(*table)


def _option_greeks(terms: Terms, rows: NDArray[np.intp], early: bool, future: bool) -> Greeks:
    spot, strike, t, vol, rate = (x[rows] for x in (terms.spot, terms.strike, terms.t, terms.vol, terms.rate))
    calls, yields = terms.is_call[rows], terms.dividend_yield[rows]
    if future:
        return (american_on_future if early else black76)(spot, strike, t, vol, rate, calls)
    return (american if early else bsm)(spot, strike, t, vol, rate, yields, calls)
