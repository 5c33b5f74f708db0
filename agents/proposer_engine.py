"""From the store's facts to hedges: the appetite loaded, breaches found, candidates generated, the best judged again.

Thin over models.quant: every decision is made there on frozen values; here the values are read and handed over.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np

from bridge.outlook import Observatory, Outlook, applied_before
from models.market import ChainRow, Quote
from models.quant.breach import Breach, detect_breaches, smallest_hedge_lot
from models.quant.fitted import fitted_mids
from models.quant.limits import Limits
from models.quant.margin import MarginBook
from models.quant.margin_bound import bound_table
from models.quant.margin_rules import IBKR
from models.quant.option import Contract, Right, SecType
from models.quant.portfolio import Exposure, exposure_from
from models.quant.product import dte
from models.quant.proposing import Candidate, MarginEffect, Proposals, Scene, propose, requote
from models.quant.regime_rules import HedgeRules
from models.quant.structure import contract_from_json
from models.quant.terms import Holding
from models.quant.vectors import ContractVectors, vectorise
from models.quote_facts import quote_fact
from models.settings import Settings

if TYPE_CHECKING:
    from database.store import Store

KEPT = 30  # structures whose legs may be quoted for real before three are proposed
REACH = (0.6, 1.25)  # strikes of the chain as shares of spot; beyond them nothing is worth its market's width


@dataclass(frozen=True)
class Account:
    """One account as the pass begins: what it holds, what is on its way, and its money (None is unknown)."""

    account_id: str
    held: tuple[Holding, ...]
    in_flight: tuple[tuple[Holding, ...], ...]
    nlv: float | None
    maintenance_margin: float | None
    available_funds: float | None

    @property
    def contracts(self) -> tuple[Contract, ...]:
        flying = (holding for order in self.in_flight for holding in order)
        return tuple(dict.fromkeys(holding.contract for holding in (*self.held, *flying)))


def nobody(account_id: str) -> Account:
    """An account that holds nothing and whose money is unknown."""
    return Account(account_id, (), (), None, None, None)


@dataclass(frozen=True)
class Judged:
    """What the requote left: hedges on real quotes, and why each of the others went."""

    candidates: tuple[Candidate, ...]
    refused: Mapping[str, str]
    """Strategy with legs in words → reason."""


class RiskRegimeLoader:
    """The appetite in force, the regime it is applied in, and the market to price on."""

    def __init__(self, store: "Store", settings: Settings) -> None:
        self._store = store
        self._observatory = Observatory(store, settings)

    async def load(self, account: Account, more: Iterable[Contract], desk_now: datetime, machine: datetime) -> Outlook:
        """Raises RegimeFileError when the appetite cannot be read."""
        contracts = dict.fromkeys((*account.contracts, *more))
        before = applied_before(await self._store.book.latest_greeks(account.account_id))
        return await self._observatory.look(contracts, desk_now, machine, before)


class BreachDetector:
    """The book as if everything in flight had filled or not, against its limits."""

    def __init__(self, outlook: Outlook, account: Account) -> None:
        self.limits: Limits = outlook.limits(account.nlv)
        self.smallest_lot = smallest_hedge_lot(outlook.view.spx)
        self._outlook, self._account = outlook, account

    def exposure(self) -> Exposure:
        """Of what is held, with the value at risk where past days are known."""
        contracts = [holding.contract for holding in self._account.held]
        vectors = vectorise(contracts, self._outlook.view, spx_vix_history=self._outlook.history)
        quantities = [holding.quantity for holding in self._account.held]
        return exposure_from(vectors, quantities, self._account.nlv, self._account.maintenance_margin)

    def cured_in_flight(self, breaches: Sequence[Breach]) -> bool:
        """True when caps are broken now and none would be once everything in flight has filled."""
        flying = [holding for order in self._account.in_flight for holding in order]
        if not flying or not any(breach.is_cap for breach in breaches):
            return False
        vectors = vectorise(self._account.contracts, self._outlook.view, spx_vix_history=self._outlook.history)
        book = vectors.quantities(amounts((*self._account.held, *flying)))
        after = exposure_from(vectors, book, self._account.nlv, self._account.maintenance_margin)
        known = after.spx_delta is not None and after.stress_worst is not None
        return known and not any(breach.is_cap for breach in self.detect(after))

    def detect(self, exposure: Exposure) -> tuple[Breach, ...]:
        return detect_breaches(exposure, self.limits, self.smallest_lot)


class CandidateGenerator:
    """What could be traded: the listed chain of the benchmarks in the window, and hedge futures and shares."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    async def options(self, hedges: HedgeRules, spot: float | None, desk_now: datetime) -> tuple[Contract, ...]:
        """Options that may open a hedge: those of the window that are known to be listed."""
        rows = [row for row in await self._store.market.chains("SPX") if is_benchmark(row, hedges)]
        if spot is None:
            return ()
        return tuple(c for row in rows for c in listed(row, hedges, spot, desk_now))

    async def linear(self, hedges: HedgeRules) -> tuple[Contract, ...]:
        """The futures and shares of the allowlist that the market watch quotes."""
        names = await self._store.market.states()
        quotes = await self._store.market.quotes(names)
        contracts = (contract_from_json(quote.contract_json) for quote in quotes.values())
        kinds = (SecType.FUTURE, SecType.STOCK)
        return tuple(c for c in contracts if c.sec_type in kinds and c.symbol in hedges.benchmarks)


def is_benchmark(row: ChainRow, hedges: HedgeRules) -> bool:
    return row.symbol in hedges.benchmarks or row.trading_class in hedges.benchmarks


def listed(row: ChainRow, hedges: HedgeRules, spot: float, desk_now: datetime) -> Iterable[Contract]:
    """One class's options in the window that exist and lie within reach of the spot."""
    for name, rights in row.listed.items():
        day = date.fromisoformat(name)
        if not hedges.dte_min <= dte(day, desk_now) <= hedges.dte_max:
            continue
        for right, strikes in rights.items():
            for strike in strikes:
                if REACH[0] * spot <= strike <= REACH[1] * spot:
                    yield Contract(
                        row.symbol, SecType.OPTION, row.trading_class, row.multiplier, day, strike, Right(right)
                    )


class ProposerEngine:
    """One account's pass: a scene on the modelled chain, then the same judgement on real quotes."""

    def __init__(self, account: Account, outlook: Outlook) -> None:
        self.account, self.outlook = account, outlook
        self.detector = BreachDetector(outlook, account)

    def propose(self, tradable: Sequence[Contract], quotes: Mapping[str, Quote] | None = None) -> Proposals:
        """The best of the whole chain, on the real quotes there are and the surface elsewhere."""
        return propose(self.whole_scene(tradable, quotes or {}), keep=KEPT)

    def whole_scene(self, tradable: Sequence[Contract], quotes: Mapping[str, Quote]) -> Scene:
        """The scene of the book and everything that could be traded."""
        return self._quoted_scene(tuple(dict.fromkeys((*self.account.contracts, *tradable))), quotes)

    def rescene(self, legs: Iterable[Contract], outlook: Outlook, quotes: Mapping[str, Quote]) -> Scene:
        """The scene of only the book and these legs, on real quotes, with everything a limit may look at."""
        self.outlook = outlook
        self.detector = BreachDetector(outlook, self.account)
        return self._quoted_scene(tuple(dict.fromkeys((*self.account.contracts, *legs))), quotes)

    def _quoted_scene(self, contracts: Sequence[Contract], quotes: Mapping[str, Quote]) -> Scene:
        view = self.outlook.view
        sides = {identity: (quote.bid, quote.ask) for identity, quote in quotes.items()}
        vectors = vectorise(contracts, view, sides, self.outlook.history)
        return replace(self.scene(vectors), fitted=fitted_mids(contracts, view))

    def scene(self, vectors: ContractVectors) -> Scene:
        account, outlook = self.account, self.outlook
        self._margin = MarginBook(account.held, outlook.view, IBKR)
        held = amounts(account.held)
        exposure = exposure_from(vectors, vectors.quantities(held), account.nlv, account.maintenance_margin)
        return Scene(
            vectors=vectors,
            exposure=exposure,
            limits=self.detector.limits,
            hedges=outlook.appetite.hedges,
            gates=outlook.appetite.gates,
            spx=outlook.view.spx,
            held=held,
            in_flight=tuple(amounts(order) for order in account.in_flight),
            smallest_lot=self.detector.smallest_lot,
            available_funds=account.available_funds,
            margin_of=self.estimate,
            bounds=bound_table(vectors.contracts, account.held, outlook.view, IBKR),
            overrides=outlook.overrides,
        )

    def estimate(self, added: Sequence[Holding]) -> MarginEffect | None:
        """Our own margin estimate, marked so; None when a price it needs is unknown."""
        change = self._margin.change(added)
        if change.initial is None:
            return None
        return MarginEffect(change.initial, change.maintenance, source="estimate")

    def judge(self, scene: Scene, found: Sequence[Candidate], quotes: Mapping[str, Quote], now: datetime) -> Judged:
        """Every candidate again on its legs' real quotes; `now` is desk time."""
        facts = {name: quote_fact(contract_from_json(q.contract_json), q) for name, q in quotes.items()}
        kept: list[Candidate] = []
        refused: dict[str, str] = {}
        for candidate in found:
            answer = requote(scene, refitted(candidate, scene), facts, now)
            if isinstance(answer, str):
                refused[in_words(candidate)] = answer
            else:
                kept.append(answer)
        return Judged(tuple(kept), refused)


def refitted(candidate: Candidate, scene: Scene) -> Candidate:
    """The candidate's fitted prices at the market of now: it was found on an older surface and spot."""
    if scene.fitted is None:
        return candidate
    points = [float(scene.fitted[scene.vectors.index[leg.contract.identity]]) for leg in candidate.legs]
    return replace(candidate, fitted=tuple(point if np.isfinite(point) else None for point in points))


def amounts(holdings: Iterable[Holding]) -> dict[str, float]:
    found: dict[str, float] = {}
    for holding in holdings:
        found[holding.contract.identity] = found.get(holding.contract.identity, 0.0) + holding.quantity
    return found


def in_words(candidate: Candidate) -> str:
    legs = ", ".join(f"{leg.action.value.lower()} {leg.ratio} {leg.contract}" for leg in candidate.legs)
    return f"{candidate.strategy_name} ({legs})"
