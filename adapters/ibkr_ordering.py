"""The session that carries orders: one send each, certainty or its absence, and the broker's lists as the judge.

It is not throttled by ib_async, whose queue is emptied on disconnect: an order could look pending and never have left.
Few messages ever travel here, each sent the moment it is asked for.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import ib_async
from ib_async.ib import StartupFetch

from adapters.base import (
    Answer,
    BrokerRefused,
    Fill,
    NewOrder,
    NotConnected,
    OrderUpdate,
    PlacedOrder,
    UnknownOutcome,
    WireStatus,
)
from adapters.ibkr_orders import CANCELLED_CODE, REFUSALS, RESTORED, SEVERED, fill_of, placed, wire_limit, wire_order
from adapters.ibkr_socket import Link
from models.quant.option import Contract

FETCH = StartupFetch.ORDERS_OPEN | StartupFetch.EXECUTIONS


@dataclass(frozen=True)
class CallRecord:
    """One exchange with the broker, for `api_logs`."""

    call: str
    outcome: str
    code: int | None = None
    text: str = ""
    milliseconds: float | None = None


def ignore_call(_record: CallRecord) -> None:
    return None


class Ordering:
    """Orders over one session under the one fixed client id. Nothing here is ever sent twice."""

    def __init__(self, link: Link, query_deadline: float, submit_deadline: float) -> None:
        self.link = link
        self.on_call: Callable[[CallRecord], None] = ignore_call
        self._query_deadline = query_deadline
        self._submit_deadline = submit_deadline
        self._listeners: set[asyncio.Queue[OrderUpdate | None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._submitting: set[str] = set()
        self._sent: dict[int, Contract] = {}
        self._open = False
        self.severed = False
        """The other end of the socket has itself lost the broker; nothing is sent into that."""

    def begin(self) -> None:
        """Listen to the session just opened."""
        ib = self.link.ib
        ib.orderStatusEvent.connect(self._moved, keep_ref=True)
        ib.openOrderEvent.connect(self._moved, keep_ref=True)
        ib.execDetailsEvent.connect(self._filled, keep_ref=True)
        ib.commissionReportEvent.connect(self._commission_told, keep_ref=True)
        ib.errorEvent.connect(self._error_told, keep_ref=True)
        self._open, self.severed = True, False

    def end(self) -> None:
        """The session is over: every iterator of updates ends."""
        self._open = False
        for queue in list(self._listeners):
            queue.put_nowait(None)
        for task in list(self._tasks):
            task.cancel()

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────
    async def submit(self, order: NewOrder) -> PlacedOrder:
        """Send once. NotConnected and ContractMismatch mean that nothing left; UnknownOutcome that it may have."""
        started = time.perf_counter()
        contract, raw = wire_order(order)
        if not self.link.ready:
            raise NotConnected("submit: the orders connection is closed; nothing was sent")
        if self.severed:
            raise NotConnected("submit: the broker's own line is down (1100); nothing was sent")
        self._submitting.add(order.order_ref)
        self._sent |= {leg.con_id: leg.contract for leg in order.legs if leg.con_id is not None}
        try:
            answer = await self._until_certain(
                lambda ib: ib.placeOrder(contract, raw), order.order_ref, lambda trade: not doubtful(trade)
            )
        except BrokerRefused as error:
            self._say("submit", "refused", started, error.code, error.text)
            raise
        except (UnknownOutcome, NotConnected) as error:
            self._say("submit", "unknown", started, text=str(error))
            raise
        finally:
            self._submitting.discard(order.order_ref)
        self._say("submit", "ok", started, text=answer.status.value)
        return answer

    async def replace(self, order_ref: str, limit_price: float) -> PlacedOrder:
        """Modify in place; only an echo that carries the new limit is an acknowledgement."""
        trade = await self._working(order_ref)
        before = trade.order.lmtPrice
        wanted = wire_limit(trade.order, trade.contract, limit_price)
        started = time.perf_counter()

        def send(ib: ib_async.IB) -> ib_async.Trade:
            trade.order.lmtPrice = wanted
            return ib.placeOrder(trade.contract, trade.order)

        def echoed(told: ib_async.Trade) -> bool:
            if error_made(told):
                return False
            return told.order.lmtPrice == wanted and (told.log[-1].message in ("Modified", "Modify") or told.isDone())

        try:
            answer = await self._until_certain(send, order_ref, echoed)
        except BrokerRefused as error:
            trade.order.lmtPrice = before
            self._say("replace", "refused", started, error.code, error.text)
            raise
        except (UnknownOutcome, NotConnected) as error:
            self._say("replace", "unknown", started, text=str(error))
            raise
        self._say("replace", "ok", started)
        return answer

    async def cancel(self, order_ref: str) -> None:
        """Ask for the end of one order and wait for the broker's first word about it; the end comes as an update."""
        trade = await self._working(order_ref)
        started = time.perf_counter()
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ib = self.link.ib

        def moved(told: ib_async.Trade) -> None:
            if told is trade and not answered.done() and not error_made(told):
                answered.set_result(None)

        def refused(about: int, code: int, text: str, _contract: Any) -> None:
            if about != trade.order.orderId or answered.done():
                return
            if code == CANCELLED_CODE:
                answered.set_result(None)
            else:
                answered.set_exception(BrokerRefused(code, text))

        ib.cancelOrder(trade.order)  # ib_async tells its own PendingCancel at once; only what comes after counts
        ib.orderStatusEvent += moved
        ib.errorEvent += refused
        try:
            await asyncio.wait_for(answered, self._submit_deadline)
        except TimeoutError as error:
            self._say("cancel", "unknown", started)
            raise UnknownOutcome("cancel sent, but no answer in time") from error
        except BrokerRefused as error:
            self._say("cancel", "refused", started, error.code, error.text)
            raise
        finally:
            ib.orderStatusEvent -= moved
            ib.errorEvent -= refused
        self._say("cancel", "ok", started)

    async def _until_certain(
        self, send: Callable[[ib_async.IB], ib_async.Trade], ref: str, proves: Callable[[ib_async.Trade], bool]
    ) -> PlacedOrder:
        """Send and wait for an acknowledgement, a refusal, or the end of certainty."""
        link, ib = self.link, self.link.ib
        verdict: asyncio.Future[PlacedOrder] = asyncio.get_running_loop().create_future()
        doubts: list[str] = []
        sent: list[ib_async.Trade] = []

        def told(trade: ib_async.Trade) -> None:
            if sent and trade.order.orderRef == ref and not verdict.done() and proves(trade):
                verdict.set_result(placed(trade))

        def refused(about: int, code: int, text: str, _contract: Any) -> None:
            if not sent or about != sent[0].order.orderId or verdict.done():
                return
            if code in REFUSALS:
                verdict.set_exception(BrokerRefused(code, text))
            else:
                doubts.append(f"{code}: {text}")

        ib.openOrderEvent += told
        ib.orderStatusEvent += told
        ib.errorEvent += refused
        lost = asyncio.ensure_future(link.lost.wait())
        try:
            sent.append(send(ib))
            either: set[asyncio.Future[Any]] = {verdict, lost}
            await asyncio.wait(either, timeout=self._submit_deadline, return_when=asyncio.FIRST_COMPLETED)
        except ConnectionError as error:  # ib_async found the session closed before it wrote a byte
            raise NotConnected(f"the orders connection is closed; nothing was sent ({error})") from error
        finally:
            lost.cancel()
            ib.openOrderEvent -= told
            ib.orderStatusEvent -= told
            ib.errorEvent -= refused
        if verdict.done():
            return verdict.result()
        if not doubts and sent[0].orderStatus.status == INACTIVE:
            doubts.append("0: the broker holds it inactive")
        if doubts and link.ready:
            return await self._ask_after_doubt(ref, doubts[-1])
        why = "no answer in time" if link.ready else "the connection was lost before an answer"
        raise UnknownOutcome(f"sent, but {why}" + (f"; last words {doubts[-1]}" if doubts else ""))

    async def _ask_after_doubt(self, ref: str, words: str) -> PlacedOrder:
        """An unlisted code came on the order: whatever ib_async made of it, the broker's own lists decide."""
        found = await self.find(ref)
        if found.data is None:
            raise UnknownOutcome(f"{words}; asked: {found.failure or 'no list holds the reference'}")
        if found.data.status in (WireStatus.REJECTED, WireStatus.CANCELLED) and found.data.filled == 0:
            code, _, text = words.partition(": ")
            raise BrokerRefused(int(code), text)
        return replace(found.data, text=words)

    async def _working(self, order_ref: str) -> ib_async.Trade:
        """The live order of a reference, asked from the broker when it is not at hand."""
        if not self.link.ready:
            raise NotConnected("the orders connection is closed; nothing was sent")
        for ask_first in (False, True):
            if ask_first:
                answer = await self.open_orders()
                if answer.failure is not None:
                    raise NotConnected(answer.failure)
            for trade in self.link.ib.trades():
                if trade.order.orderRef == order_ref and not trade.isDone():
                    return trade
        raise BrokerRefused(10147, "the broker holds no working order with this reference")

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────
    async def find(self, order_ref: str) -> Answer[PlacedOrder]:
        """The order of a reference in the broker's open, then completed list; empty when neither holds it."""
        for query in (self.open_orders, self.completed_orders):
            answer = await query()
            if answer.failure is not None:
                return Answer.fail(answer.failure)
            for order in answer.data or ():
                if order.order_ref == order_ref:
                    return Answer.of(order)
        return Answer()

    async def open_orders(self) -> Answer[tuple[PlacedOrder, ...]]:
        ib = self.link.ib
        answer = await self.link.ask("open orders", lambda: ib.reqAllOpenOrdersAsync(), self._query_deadline)
        if answer.failure is not None:
            return Answer.fail(answer.failure)
        return Answer.of(tuple(placed(trade, still_open=True) for trade in answer.data or []))

    async def completed_orders(self) -> Answer[tuple[PlacedOrder, ...]]:
        ib = self.link.ib
        answer = await self.link.ask(
            "completed orders", lambda: ib.reqCompletedOrdersAsync(False), self._query_deadline
        )
        if answer.failure is not None:
            return Answer.fail(answer.failure)
        return Answer.of(tuple(placed(trade) for trade in answer.data or []))

    async def executions(self) -> Answer[tuple[Fill, ...]]:
        ib = self.link.ib
        answer = await self.link.ask("executions", lambda: ib.reqExecutionsAsync(), self._query_deadline)
        if answer.failure is not None:
            return Answer.fail(answer.failure)
        heard = [ib.wrapper.fills.get(raw.execution.execId, raw) for raw in answer.data or []]
        for _ in range(10):  # commissions follow the end mark; those that do not come in time stay unknown
            if all(raw.commissionReport.execId for raw in heard):
                break
            await asyncio.sleep(0.02)
        try:
            fills = [fill_of(raw, self._sent) for raw in heard]
        except ValueError as error:
            return Answer.fail(f"executions: one cannot be read ({error})")
        return Answer.of(tuple(fill for fill in fills if fill is not None))

    # ── hearing ──────────────────────────────────────────────────────────────────────────────────────────────────
    def updates(self) -> AsyncIterator[OrderUpdate]:
        """Updates from this call on (not from the first `async for` step); ends when the session is lost."""
        queue: asyncio.Queue[OrderUpdate | None] = asyncio.Queue()
        self._listeners.add(queue)
        if not self._open:
            queue.put_nowait(None)
        return self._drain(queue)

    async def _drain(self, queue: "asyncio.Queue[OrderUpdate | None]") -> AsyncIterator[OrderUpdate]:
        try:
            while (update := await queue.get()) is not None:
                yield update
        finally:
            self._listeners.discard(queue)

    def _tell(self, update: OrderUpdate) -> None:
        for queue in list(self._listeners):
            queue.put_nowait(update)

    def _moved(self, trade: ib_async.Trade) -> None:
        if trade.order.whatIf or not trade.order.orderRef:
            return
        if not doubtful(trade):
            self._tell(OrderUpdate(order=placed(trade)))
        elif trade.orderStatus.status in ("Cancelled", INACTIVE) and trade.order.orderRef not in self._submitting:
            task = asyncio.get_running_loop().create_task(self._ask_the_truth(trade))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask_the_truth(self, trade: ib_async.Trade) -> None:
        """A code or a status proves nothing about an order; tell what the broker's lists say instead."""
        found = await self.find(trade.order.orderRef)
        told = placed(trade)
        truth = found.data if found.data is not None else replace(told, status=WireStatus.UNKNOWN)
        self._tell(OrderUpdate(order=replace(truth, text=told.text)))

    def _filled(self, _trade: ib_async.Trade, raw: ib_async.Fill) -> None:
        try:
            fill = fill_of(raw, self._sent)
        except ValueError as error:  # an unread fill must not pass unheard: the session ends and is reconciled
            self.on_call(CallRecord("error", "fill", text=f"a fill cannot be read: {error}"))
            self.link.close()
            return
        if fill is not None:
            self._tell(OrderUpdate(fill=fill))

    def _commission_told(self, trade: ib_async.Trade, raw: ib_async.Fill, _report: Any) -> None:
        self._filled(trade, raw)

    def _error_told(self, about: int, code: int, text: str, _contract: Any) -> None:
        if code in SEVERED:
            self.severed = True
        elif code in RESTORED and self.severed:
            self.link.close()  # what happened meanwhile was not heard: connect anew and reconcile
        if about > 0 and code != CANCELLED_CODE:
            self.on_call(CallRecord("error", "order", code, text))

    def _say(self, call: str, outcome: str, started: float, code: int | None = None, text: str = "") -> None:
        self.on_call(CallRecord(call, outcome, code, text, (time.perf_counter() - started) * 1000))


INACTIVE = "Inactive"


def doubtful(trade: ib_async.Trade) -> bool:
    """Whether the present status proves nothing: made by ib_async itself, or Inactive without a refusal, which IBKR
    also says of orders that it will work later."""
    refused = any(entry.errorCode in REFUSALS for entry in trade.log)
    return error_made(trade) or (trade.orderStatus.status == INACTIVE and not refused)


def error_made(trade: ib_async.Trade) -> bool:
    """Whether ib_async itself set the present status after an error code other than "cancelled"."""
    last = trade.log[-1] if trade.log else None
    return bool(
        last is not None
        and last.errorCode not in (0, CANCELLED_CODE)
        and trade.orderStatus.status in ("Cancelled", "ValidationError")
    )
