"""A bridge on a real wire: the venue in this process behind its TWS face, ib_async in front, a store beside it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from adapters.base import Broker, Notifier
from adapters.connect import account_check
from adapters.ibkr_adapter import IbkrBroker, Road
from adapters.simulator.tws_server import TwsServer, serve_tws
from adapters.simulator.types import FillStyle, VenueOrder
from adapters.simulator.venue import Venue, VenueConfig, open_venue
from bridge.main import run
from bridge.reconcile import AbsenceRule
from database.store import Store, open_store
from models.control import SwitchName
from models.market import MarketState, Quote
from models.order import Order
from models.proposed_trade import Approval, ProposedTrade
from models.quant.option import Contract, SecType
from models.quant.structure import Action, Leg, combo_price, contract_to_json, legs_hash
from models.settings import Settings

T = TypeVar("T")
BOOK = [
    {
        "symbol": "SPX",
        "sec_type": "OPT",
        "trading_class": "SPXW",
        "dte": 45,
        "right": "P",
        "delta": 0.25,
        "quantity": -10,
    },
    {
        "symbol": "SPX",
        "sec_type": "OPT",
        "trading_class": "SPXW",
        "dte": 45,
        "right": "P",
        "delta": 0.10,
        "quantity": 12,
    },
    {"symbol": "SPY", "sec_type": "STK", "quantity": 600},
]


async def eventually(ask: Callable[[], Awaitable[T]], what: str, seconds: float = 15.0) -> T:
    """The first truthy answer; fails saying what was waited for."""
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        answer = await ask()
        if answer:
            return answer
        await asyncio.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")


@dataclass
class Scene:
    """The venue, the store and one bridge life at a time; what a person and the streams would do is a method."""

    venue: Venue
    server: TwsServer
    store: Store
    settings: Settings
    absence: AbsenceRule = field(default_factory=lambda: AbsenceRule(3, 0.3))
    life: asyncio.Task[str] | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    broker: Broker | None = None
    notifier: Notifier | None = None

    # ── the bridge ───────────────────────────────────────────────────────────────────────────────────────────────
    def new_broker(self, submit_deadline: float = 1.0, client_id: int = 11) -> IbkrBroker:
        road = Road("127.0.0.1", self.server.port, client_id, client_id + 2, clock_rate=0.0, follows_broker_clock=True,
                    submit_deadline=submit_deadline, what_if_deadline=3.0)  # fmt: skip
        return IbkrBroker(road, account_check(self.settings))

    async def open(self, broker: Broker | None = None) -> None:
        """Start a life and wait until it has valued the book once."""
        self.stop = asyncio.Event()
        self.broker = broker or self.new_broker()
        before = await self._snapshot()
        self.life = asyncio.create_task(
            run(self.store, self.broker, self.settings, self.stop, delays=(0.05, 0.2), absence=self.absence,
                search_every=0.1, value_every=1.0, notifier=self.notifier)
        )  # fmt: skip

        async def valued() -> bool:
            if self.life is not None and self.life.done():
                self.life.result()
            return await self._snapshot() != before

        await eventually(valued, "the first valuation")

    async def _snapshot(self) -> str | None:
        rows = await self.store.book.latest_greeks(self.account)
        return rows[0].snapshot_id if rows else None

    async def close(self) -> None:
        if self.life is not None:
            self.stop.set()
            life, self.life = self.life, None
            await life

    # ── the market as the streams would write it ─────────────────────────────────────────────────────────────────
    @property
    def account(self) -> str:
        return self.venue.account_id

    def held(self) -> list[Contract]:
        found = [self.venue.market.instrument(p.con_id) for p in self.venue.account.positions()]
        return [item.contract for item in found if item is not None]

    async def publish(self, contracts: Sequence[Contract], at: datetime | None = None) -> None:
        """Quotes and named numbers of the venue, as of now (or as of desk time `at`)."""
        now, desk = datetime.now(UTC), at or self.venue.clock.now()
        await self.store.market.upsert_quotes(
            [self._quote(contract, desk, now) for contract in dict.fromkeys(contracts)]
        )
        spx = self._price(Contract("SPX", SecType.INDEX, "SPX"))
        numbers = {"SPX": spx, "VIX": 18.0, "VIX3M": 18.0, "VVIX": 95.0, "RECESSION": 0.1}
        await self.store.market.write_states(
            [
                MarketState(name=name, value=value, source="venue", at=desk, received_at=now)
                for name, value in numbers.items()
            ]
        )

    def _price(self, contract: Contract) -> float | None:
        quote = self.venue.market.quote(self.con_id(contract))
        return None if quote is None else (quote.mid if quote.mid is not None else quote.last)

    def _quote(self, contract: Contract, desk: datetime, now: datetime) -> Quote:
        con_id = self.con_id(contract)
        quote = self.venue.market.quote(con_id)
        assert quote is not None
        return Quote(
            identity=contract.identity, contract_json=contract_to_json(contract), con_id=con_id, bid=quote.bid,
            ask=quote.ask, bid_size=quote.bid_size, ask_size=quote.ask_size, last=quote.last, source="real", at=desk,
            received_at=now, open_interest=quote.open_interest,
        )  # fmt: skip

    def con_id(self, contract: Contract) -> int:
        found = self.venue.market.find(symbol=contract.symbol, sec_type=contract.sec_type.value)
        return next(item.con_id for item in found if item.contract == contract)

    # ── the person ───────────────────────────────────────────────────────────────────────────────────────────────
    def leg(self, contract: Contract, action: Action) -> Leg:
        con_id = self.con_id(contract)
        quote = self.venue.market.quote(con_id)
        assert quote is not None
        return Leg(contract, action, 1, con_id, quote.bid, quote.ask, quote.mid)

    def spread(self) -> tuple[Leg, ...]:
        """Closes part of the short put spread: buys the put that is short, sells the one that is long."""
        short, long = self.held()[0], self.held()[1]
        return (self.leg(short, Action.BUY), self.leg(long, Action.SELL))

    def single(self) -> tuple[Leg, ...]:
        return (self.leg(self.held()[0], Action.BUY),)

    async def propose(self, legs: tuple[Leg, ...], quantity: int = 2, **changes: Any) -> ProposedTrade:
        now = datetime.now(UTC)
        natural = combo_price(legs, "natural")
        assert natural is not None
        limit = round(natural + 0.2, 2)
        row = ProposedTrade(
            account_id=self.account, strategy_name="close the spread", legs_json=[leg.to_json() for leg in legs],
            legs_hash=legs_hash(legs), quantity=quantity, limit_price=limit, worst_price=limit + 0.5,
            justification="short vega", created_at=now, expires_at=now + timedelta(minutes=5), **changes,
        )  # fmt: skip
        row.id = await self.store.proposals.add(row)
        return row

    async def approve(self, row: ProposedTrade, good_for: float = 60.0) -> Approval:
        assert row.id is not None
        return await self.store.proposals.approve(
            row.id, row.legs_hash, row.quantity, row.limit_price, row.worst_price, "trader", datetime.now(UTC),
            good_for, self.store.key,
        )  # fmt: skip

    async def ask(self, kind: str, payload: dict[str, Any], seconds: float = 10.0) -> Any:
        now = datetime.now(UTC)
        deadline = now + timedelta(seconds=seconds)
        number = await self.store.control.ask(kind, payload, "trader", now, deadline)
        return await self.store.control.await_answer(number, deadline)

    # ── what became of it ────────────────────────────────────────────────────────────────────────────────────────
    async def order_of(self, proposal: ProposedTrade, *statuses: str, seconds: float = 15.0) -> Order:
        """The order a proposal became, once it is in one of `statuses`."""

        async def reached() -> Order | None:
            if self.life is not None and self.life.done():
                self.life.result()
            assert proposal.id is not None
            order = await self.store.orders.of_proposal(proposal.id)
            return order if order is not None and order.status in statuses else None

        try:
            found = await eventually(reached, f"order of {proposal.id} in {statuses}", seconds)
        except AssertionError as error:
            order = await self.store.orders.of_proposal(proposal.id or 0)
            raise AssertionError(
                f"{error}; it is {order.status if order else None}: {order.reason if order else ''}"
            ) from None
        assert found is not None
        return found

    def at_venue(self, order_ref: str) -> list[VenueOrder]:
        return [order for order in self.venue.exchange.orders() if order.ticket.order_ref == order_ref]

    def venue_positions(self) -> dict[str, float]:
        found = {}
        for position in self.venue.account.positions():
            item = self.venue.market.instrument(position.con_id)
            assert item is not None
            found[item.contract.identity] = position.quantity
        return found

    async def our_positions(self) -> dict[str, float]:
        return {row.identity: row.quantity for row in await self.store.book.positions(self.account)}


@pytest.fixture
async def scene(store: Store, tmp_path: Path) -> AsyncIterator[Scene]:
    """A venue that stands still with a small book, its TWS face, and an empty desk; no bridge yet."""
    book = tmp_path / "book.json"
    book.write_text(json.dumps({"cash": 1_500_000, "positions": BOOK}))
    venue = open_venue(VenueConfig(seed=7, speed=0.0, book=book), datetime(2026, 11, 18, 16, 0, tzinfo=UTC))
    server = await serve_tws(venue)
    running = asyncio.create_task(venue.run())
    settings = Settings(ib_port=server.port, var_dir=tmp_path / "var")
    made = Scene(venue, server, store, settings)
    now = datetime.now(UTC)
    for name in SwitchName:
        await store.control.set_switch(name, "off", "test", "", now)
    await made.publish(made.held())
    yield made
    await made.close()
    await server.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def sqlite_store(tmp_path: Path, now: datetime) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite:///{tmp_path}/desk.db", mode="DEMO", var_dir=tmp_path / "var", now=now)
    yield opened
    await opened.close()


__all__ = ["FillStyle", "Scene", "eventually", "replace"]
