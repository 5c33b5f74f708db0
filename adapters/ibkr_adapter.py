"""The Broker over two TWS sessions: one carries orders and questions about orders, the other everything else."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import ib_async
from ib_async.ib import StartupFetch
from ib_async.wrapper import RequestError

from adapters.base import (
    AccountValues,
    Answer,
    BrokerPosition,
    Fill,
    MarginImpact,
    NewOrder,
    NotConnected,
    OrderUpdate,
    PlacedOrder,
    SessionState,
)
from adapters.ibkr_ordering import FETCH as ORDER_FETCH
from adapters.ibkr_ordering import CallRecord, Ordering, ignore_call
from adapters.ibkr_orders import REFUSALS, margin_impact, wire_order
from adapters.ibkr_socket import ClockFit, Link, Qualifier, from_ib, number
from models.clock import DeskClock
from models.quant.option import Contract
from models.quant.structure import Action, Leg

ACCOUNT_FETCH = StartupFetch.POSITIONS | StartupFetch.SUB_ACCOUNT_UPDATES
WHAT_IFS_AT_ONCE = 4
"""Under way at most: whoever asks many leaves room for the one that a crossing waits for."""
CLOCK_EVERY = 7.3
"""Seconds between two looks at the broker's clock; not whole, so that each look bounds the offset elsewhere."""


@dataclass(frozen=True)
class Road:
    """How to reach the broker, and how long to wait for it (seconds)."""

    host: str
    port: int
    orders_client_id: int
    account_client_id: int
    account: str = ""
    clock_rate: float = 1.0
    follows_broker_clock: bool = False
    connect_deadline: float = 6.0
    query_deadline: float = 8.0
    submit_deadline: float = 5.0
    what_if_deadline: float = 10.0


def any_account(_accounts: tuple[str, ...]) -> str | None:
    return None


class IbkrBroker:
    """A brokerage account over the TWS socket. See `adapters.base.Broker` for what each method promises."""

    def __init__(self, road: Road, check: Callable[[tuple[str, ...]], str | None] = any_account) -> None:
        """`check` says why the connected accounts may not be used (the interlock), or None."""
        self._road = road
        self._check = check
        self._orders = Link(road.host, road.port, road.orders_client_id, "orders", max_requests=0)
        self._account = Link(road.host, road.port, road.account_client_id, "account")
        self._ordering = Ordering(self._orders, road.query_deadline, road.submit_deadline)
        self._qualifier = Qualifier(self._account, road.query_deadline)
        self._state = SessionState.LOGGED_OUT
        self._fit = ClockFit(road.clock_rate)
        self._what_ifs = asyncio.Semaphore(WHAT_IFS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._pnl: dict[str, Any] = {}
        self._on_call: Callable[[CallRecord], None] = ignore_call

    # ── session ──────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def state(self) -> SessionState:
        if self._state is SessionState.READY and not (self._orders.ready and self._account.ready):
            return SessionState.DEGRADED
        if self._state is SessionState.READY and self._ordering.severed:
            return SessionState.DEGRADED
        return self._state

    @property
    def clock(self) -> DeskClock:
        now = datetime.now(UTC)
        return self._fit.clock(now) if self._road.follows_broker_clock else DeskClock.utc(now)

    @property
    def drift_seconds(self) -> float:
        """How far the broker's clock is from UTC."""
        now = datetime.now(UTC)
        return self._fit.clock(now).drift_seconds(now)

    def listen_calls(self, on_call: Callable[[CallRecord], None]) -> None:
        """Hear every connect, submit, what-if and order error as a CallRecord."""
        self._on_call = self._ordering.on_call = on_call

    async def connect(self) -> None:
        """Open both sessions, orders last; raises NotConnected. A half-open broker is closed again."""
        self._end_session()
        self._state = SessionState.CONNECTING
        started = time.perf_counter()
        try:
            await self._account.open(ACCOUNT_FETCH, self._road.connect_deadline)
            self._state = SessionState.SYNCING
            refusal = self._check(tuple(self._account.ib.managedAccounts()))
            if refusal is not None:
                raise NotConnected(refusal)
            await self._follow_portfolio()
            await self._orders.open(ORDER_FETCH, self._road.connect_deadline)
            await self._sync_clock()
        except NotConnected as error:
            self._end_session()
            self._state = SessionState.LOGGED_OUT
            self._say("connect", "failed", started, text=str(error))
            raise
        self._qualifier.forget()
        self._ordering.begin()
        ib = self._account.ib
        self._pnl = {account: ib.reqPnL(account) for account in ib.managedAccounts()}
        self._spawn(self._end_when_lost(self._orders.lost, self._account.lost))
        self._spawn(self._keep_clock(ib))
        self._state = SessionState.READY
        self._say("connect", "ok", started, text=f"server {ib.client.serverVersion()}")

    async def close(self) -> None:
        self._end_session()
        self._state = SessionState.LOGGED_OUT
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await asyncio.sleep(0)

    def _end_session(self) -> None:
        self._orders.close()
        self._account.close()
        self._ordering.end()

    async def _end_when_lost(self, *losses: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(lost.wait()) for lost in losses]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if losses == (self._orders.lost, self._account.lost):  # else a newer session has begun meanwhile
            if self._state is SessionState.READY:
                self._state = SessionState.DEGRADED
            self._end_session()

    async def _follow_portfolio(self) -> None:
        """Market prices of what is held come with the account's updates; asked once the account is known to be ours."""
        ib = self._account.ib
        account = self._road.account or ib.managedAccounts()[0]
        answer = await self._account.ask(
            "account updates", lambda: ib.reqAccountUpdatesAsync(account), self._road.connect_deadline
        )
        if answer.failure is not None:
            raise NotConnected(answer.failure)

    async def _sync_clock(self) -> None:
        answer = await self._account.broker_second(self._road.query_deadline)
        if answer.data is None:
            raise NotConnected(f"the broker did not tell its time: {answer.failure}")
        self._fit.hear(answer.data, datetime.now(UTC))

    async def _keep_clock(self, ib: ib_async.IB) -> None:
        while ib.isConnected():
            await asyncio.sleep(CLOCK_EVERY)
            if self._account.ib is not ib:
                return
            answer = await self._account.broker_second(self._road.query_deadline)
            if answer.data is not None:
                self._fit.hear(answer.data, datetime.now(UTC))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _say(self, call: str, outcome: str, started: float, code: int | None = None, text: str = "") -> None:
        self._on_call(CallRecord(call, outcome, code, text, (time.perf_counter() - started) * 1000))

    # ── account ──────────────────────────────────────────────────────────────────────────────────────────────────
    async def accounts(self) -> Answer[tuple[str, ...]]:
        if not self._account.ready:
            return Answer.fail("accounts: the account connection is closed")
        return Answer.of(tuple(self._account.ib.managedAccounts()))

    async def account_values(self, account_id: str) -> Answer[AccountValues]:
        ib = self._account.ib

        async def fresh() -> None:
            request = ib.client.getReqId()
            done = ib.wrapper.startReq(request)
            ib.client.reqAccountUpdatesMulti(request, account_id, "", False)
            await done
            ib.client.cancelAccountUpdatesMulti(request)

        asked = await self._account.ask("account values", fresh, self._road.query_deadline)
        if asked.failure is not None:
            return Answer.fail(asked.failure)
        lines = [v for v in ib.accountValues(account_id) if not v.modelCode and v.currency in ("BASE", "", "USD")]
        lines.sort(key=lambda line: line.currency != "BASE")  # the dollar line is the last word
        values = {line.tag: number(line.value) for line in lines}
        pnl = self._pnl.get(account_id)
        return Answer.of(
            AccountValues(
                account_id=account_id,
                at=datetime.now(UTC),
                net_liquidation=values.get("NetLiquidation"),
                equity_with_loan=values.get("EquityWithLoanValue"),
                initial_margin=_first(values, "InitMarginReq", "FullInitMarginReq"),
                maintenance_margin=_first(values, "MaintMarginReq", "FullMaintMarginReq"),
                available_funds=_first(values, "AvailableFunds", "FullAvailableFunds"),
                excess_liquidity=_first(values, "ExcessLiquidity", "FullExcessLiquidity"),
                buying_power=values.get("BuyingPower"),
                cash=_first(values, "TotalCashValue", "TotalCashBalance", "CashBalance"),
                day_pnl=number(pnl.dailyPnL) if pnl else None,
                unrealized_pnl=_known(number(pnl.unrealizedPnL) if pnl else None, values.get("UnrealizedPnL")),
                realized_pnl=_known(number(pnl.realizedPnL) if pnl else None, values.get("RealizedPnL")),
            )
        )

    async def positions(self, account_id: str) -> Answer[tuple[BrokerPosition, ...]]:
        ib = self._account.ib
        answer = await self._account.ask("positions", lambda: ib.reqPositionsAsync(), self._road.query_deadline)
        if answer.failure is not None:
            return Answer.fail(answer.failure)
        prices = {item.contract.conId: number(item.marketPrice) for item in ib.portfolio(account_id)}
        latest = {p.contract.conId: p for p in answer.data or [] if p.account == account_id}
        try:
            held = tuple(
                BrokerPosition(
                    account_id=account_id,
                    contract=from_ib(p.contract),
                    con_id=con_id,
                    quantity=float(p.position),
                    average_cost=number(p.avgCost) or 0.0,
                    market_price=prices.get(con_id),
                )
                for con_id, p in latest.items()
                if p.position
            )
        except ValueError as error:
            return Answer.fail(f"positions: one cannot be read ({error})")
        return Answer.of(held)

    # ── pricing ──────────────────────────────────────────────────────────────────────────────────────────────────
    async def qualify(self, contracts: Sequence[Contract]) -> Answer[dict[Contract, int]]:
        return await self._qualifier.con_ids(list(contracts))

    async def simulate_margin_impact(
        self, account_id: str, legs: Sequence[Leg], quantity: int = 1, limit_price: float | None = None
    ) -> Answer[MarginImpact]:
        """The broker's preview of BUY of the combo, a few at once, and never on the connection that carries orders.
        Failed on a refusal, a loss or a missed deadline."""
        started = time.perf_counter()
        async with self._what_ifs:
            answer = await self._preview(account_id, tuple(legs), quantity, limit_price)
        self._say("what-if", "failed" if answer.failed else "ok", started, text=answer.failure or "")
        return answer

    async def _preview(
        self, account_id: str, legs: tuple[Leg, ...], quantity: int, limit: float | None
    ) -> Answer[MarginImpact]:
        known = await self._with_con_ids(legs)
        if known.data is None:
            return Answer.fail(f"what-if: {known.failure or 'no legs'}")
        kind = "MKT" if limit is None else "LMT"
        contract, raw = wire_order(NewOrder("", account_id, known.data, Action.BUY, quantity, kind, limit, "DAY"))
        raw.whatIf = True
        ib = self._account.ib
        if not self._account.ready:
            return Answer.fail("what-if: the account connection is closed")
        request = ib.client.getReqId()
        future = ib.wrapper.startReq(request, contract)

        def hear(about: int, code: int, text: str, _contract: Any) -> None:
            if about == request and code in REFUSALS and not future.done():
                future.set_exception(RequestError(about, code, text))  # ib_async takes some refusals for warnings

        ib.errorEvent += hear
        try:
            ib.client.placeOrder(request, contract, raw)
            state = await asyncio.wait_for(future, self._road.what_if_deadline)
        except TimeoutError:
            return Answer.fail(f"what-if: no answer within {self._road.what_if_deadline:g} s")
        except RequestError as error:
            return Answer.fail(f"what-if: {error.code}: {error.message}")
        except ConnectionError as error:
            return Answer.fail(f"what-if: the connection was lost ({error})")
        finally:
            ib.errorEvent -= hear
        if not isinstance(state, ib_async.OrderState):
            return Answer.fail("what-if: the broker gave no preview")
        return Answer.of(margin_impact(state, datetime.now(UTC)))

    async def _with_con_ids(self, legs: tuple[Leg, ...]) -> Answer[tuple[Leg, ...]]:
        """Legs with the broker's present conIds. A stored conId that names something else is a failure."""
        answer = await self.qualify([leg.contract for leg in legs])
        if answer.failure is not None:
            return Answer.fail(answer.failure)
        ids = answer.data or {}
        for leg in legs:
            if leg.contract not in ids:
                return Answer.fail(f"{leg.contract}: the broker lists no such contract")
            if leg.con_id not in (None, ids[leg.contract]):
                return Answer.fail(f"{leg.contract}: stored conId {leg.con_id} is now {ids[leg.contract]}; not traded")
        return Answer.of(tuple(replace(leg, con_id=ids[leg.contract]) for leg in legs))

    # ── orders: see Ordering ─────────────────────────────────────────────────────────────────────────────────────
    async def submit(self, order: NewOrder) -> PlacedOrder:
        return await self._ordering.submit(order)

    async def replace(self, order_ref: str, limit_price: float) -> PlacedOrder:
        return await self._ordering.replace(order_ref, limit_price)

    async def cancel(self, order_ref: str) -> None:
        await self._ordering.cancel(order_ref)

    async def open_orders(self) -> Answer[tuple[PlacedOrder, ...]]:
        return await self._ordering.open_orders()

    async def completed_orders(self) -> Answer[tuple[PlacedOrder, ...]]:
        return await self._ordering.completed_orders()

    async def executions(self) -> Answer[tuple[Fill, ...]]:
        return await self._ordering.executions()

    def updates(self) -> AsyncIterator[OrderUpdate]:
        return self._ordering.updates()


def _first(values: dict[str, float | None], *tags: str) -> float | None:
    return next((values[tag] for tag in tags if values.get(tag) is not None), None)


def _known(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
