"""Orders of one client: placing, modifying, cancelling, listing, and telling what becomes of them.

The exchange decides; this desk translates. A what-if takes its turn with the other what-ifs of the user. The fill
styles that lose, double or delay an answer are made here, because they are properties of the wire.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from adapters.simulator import tws_order_replies as order_reply
from adapters.simulator import tws_replies as reply
from adapters.simulator.tws_contracts import BAG_CON_ID, legs_text, listed, resolve, resolve_bag, wire_contract
from adapters.simulator.tws_limits import Rules
from adapters.simulator.tws_link import Link
from adapters.simulator.tws_order_replies import Fields, OrderLine, OrderState
from adapters.simulator.tws_order_wire import PlaceOrder
from adapters.simulator.tws_requests import CancelOrder, CompletedOrders, Executions, WireContract
from adapters.simulator.tws_tickets import echo_of, restated, ticket_of
from adapters.simulator.tws_wire import WireError
from adapters.simulator.types import (
    FillStyle,
    MarginState,
    OrderEvent,
    OrderStatus,
    RejectedByVenue,
    Ticket,
    VenueFill,
    VenueOrder,
)
from models.quant.structure import Action

if TYPE_CHECKING:
    from adapters.simulator.venue import Venue

EXECUTIONS_REACH = timedelta(days=1)  # IBKR gives executions and completed orders of one day


class WhatIfLane:
    """The user's what-ifs, one at a time in the order they came; beyond the queue's end they are refused (322).

    IBKR answers one preview at a time too; how long its own queue is, is not documented.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._turn = asyncio.Lock()
        self._queued = self._joined = 0

    def join(self) -> int | None:
        """Take a place in the queue: its number from 1, or None when it is full. Who joined must take its `turn`."""
        if self._queued >= self._rules.what_ifs_waiting:
            return None
        self._queued += 1
        self._joined += 1
        return self._joined

    def leave(self) -> None:
        """Give the place back without an answer."""
        self._queued -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the venue's attention, and leave the queue when done with it."""
        try:
            async with self._turn:
                await asyncio.sleep(self._rules.what_if_seconds)
                yield
        finally:
            self.leave()


class OrderDesk:
    """What one client does with orders, and what the exchange tells it."""

    def __init__(self, link: Link, venue: "Venue", rules: Rules, lane: WhatIfLane) -> None:
        self._link = link
        self._venue = venue
        self._rules = rules
        self._lane = lane
        self._placing: dict[int, PlaceOrder] = {}
        self._told: dict[int, tuple[object, ...]] = {}
        self._told_count = 0

    # ── placing ──────────────────────────────────────────────────────────────────────────────────────────────────
    def place(self, place: PlaceOrder) -> None:
        """placeOrder: a what-if, a new order, or a change of one that lives."""
        try:
            contract, ticket = self._understand(place)
            if place.flag("whatIf"):
                self._queue_what_if(place, contract, ticket)
            else:
                self._send_to_exchange(place, ticket)
        except RejectedByVenue as refusal:
            self._refuse(place.order_id, refusal)
        except WireError as error:
            self._link.error(place.order_id, 320, f"Error reading request. {error}")

    def _refuse(self, order_id: int, refusal: RejectedByVenue) -> None:
        bare = refusal.code == 201 and not refusal.text.startswith("Order rejected")
        self._link.error(order_id, refusal.code, f"Order rejected - reason:{refusal.text}" if bare else refusal.text)

    def _understand(self, place: PlaceOrder) -> tuple[WireContract, Ticket]:
        """The contract resolved and the order as the venue's ticket; raises RejectedByVenue or WireError."""
        if place["account"] not in ("", self._venue.account_id):
            raise RejectedByVenue(321, "Error validating request: invalid account code")
        if place.contract.is_bag:
            contract, con_id = resolve_bag(self._venue.market, place.contract), 0
        else:
            item = resolve(self._venue.market, place.contract)
            contract, con_id = wire_contract(item, place.contract.exchange), item.con_id
        return contract, ticket_of(place, contract, con_id, self._venue.account_id)

    def _send_to_exchange(self, place: PlaceOrder, ticket: Ticket) -> None:
        client_id = self._link.client_id
        assert client_id is not None
        style = self._style(ticket)
        if style is FillStyle.DROP_BEFORE_ACK:
            self._link.cut()
            return
        if style is FillStyle.DROP_AFTER_ACK:
            self._link.cut()  # the order is taken, but no answer leaves any more
        self._placing[place.order_id] = place
        told = self._told_count
        try:
            order = self._venue.exchange.place(client_id, place.order_id, ticket)
        finally:
            del self._placing[place.order_id]
        order.wire = restated(place, ticket).kept()
        if not place["tif"] and self._rules.announce_tif:
            self._link.error(place.order_id, 10349, "Order TIF was set to DAY based on order preset.")
        if self._told_count == told and not order.status.is_done:
            self._told.pop(order.perm_id, None)  # taken without a word: the client still gets its acknowledgement
            self.event(OrderEvent(order))
        warning = self._venue.exchange.warning(order)
        if warning is not None:
            self._link.error(place.order_id, *warning)

    def _style(self, ticket: Ticket) -> FillStyle:
        return self._venue.exchange.style_of(ticket.order_ref)

    # ── what-if ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _queue_what_if(self, place: PlaceOrder, contract: WireContract, ticket: Ticket) -> None:
        number = self._lane.join()
        if number is None:
            raise RejectedByVenue(322, "Error processing request: too many what-if orders are waiting")
        if number in self._rules.what_ifs_lost:
            self._lane.leave()
            return
        self._link.spawn(self._what_if(place, contract, ticket, number in self._rules.what_ifs_unset))

    async def _what_if(self, place: PlaceOrder, contract: WireContract, ticket: Ticket, unset: bool) -> None:
        async with self._lane.turn():
            try:
                answer = self._venue.account.what_if(ticket)
            except RejectedByVenue as refusal:
                self._refuse(place.order_id, refusal)
                return
        assert self._link.client_id is not None
        line = OrderLine(restated(place, ticket), contract, self._link.client_id, 0, legs_text(contract))
        money = (_margins(answer.before), _margins(answer.after))
        state = order_reply.what_if_state(*money, answer.commission, "USD", answer.warning, unset)
        self._link.send(order_reply.open_order(self._link.version, line, state))

    # ── cancelling ───────────────────────────────────────────────────────────────────────────────────────────────
    def cancel(self, request: CancelOrder) -> None:
        assert self._link.client_id is not None
        try:
            self._venue.exchange.cancel(self._link.client_id, request.order_id)
        except RejectedByVenue as refusal:
            self._link.error(request.order_id, refusal.code, refusal.text)

    def cancel_all(self) -> None:
        """reqGlobalCancel: every client's orders, as at IBKR."""
        self._venue.exchange.cancel_all()

    # ── listing ──────────────────────────────────────────────────────────────────────────────────────────────────
    def open_orders(self, *, everyone: bool) -> None:
        for order in self._venue.exchange.orders():
            if not order.status.is_done and (everyone or order.client_id == self._link.client_id):
                self._tell_order(order, again=True)
        self._link.send(reply.ended(53))

    def completed(self, _: CompletedOrders) -> None:
        since = self._venue.clock.now() - EXECUTIONS_REACH
        for order in self._venue.exchange.orders():
            if order.status.is_done and (order.done_at is None or order.done_at >= since):
                at = order.done_at or self._venue.clock.now()
                when = reply.login_time(self._link.version, at)
                words = f"Filled Size: {order.filled:g}" if order.status is OrderStatus.FILLED else order.status.value
                fields = order_reply.completed_order(
                    self._link.version, self._line(order), order.status.value, order.filled, when, words
                )
                self._link.send(fields)
        self._link.send([102])

    def executions(self, request: Executions) -> None:
        """Fills of the last day that pass the filter, each with its commission, then the end."""
        for fill in self._filtered(request):
            self._tell_fill(request.req_id, fill)
        self._link.send(reply.ended(55, request.req_id))

    def _filtered(self, request: Executions) -> Iterable[VenueFill]:
        since = reply.parse_moment(request.time) or self._venue.clock.now() - EXECUTIONS_REACH
        for fill in self._venue.exchange.fills():
            if fill.at < since or not self._passes(fill, request):
                continue
            yield fill

    def _passes(self, fill: VenueFill, request: Executions) -> bool:
        """Client id 0 filters nothing, as at IBKR."""
        contract = self._fill_contract(fill, self._venue.exchange.order(fill.perm_id))
        side = "BUY" if request.side[:1].upper() == "B" else "SELL"
        return (
            request.client_id in (0, fill.client_id)
            and request.account in ("", fill.account)
            and request.symbol in ("", contract.symbol)
            and request.sec_type in ("", contract.sec_type)
            and request.exchange in ("", "SMART", fill.exchange)
            and (not request.side or side == fill.side.value)
        )

    # ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────
    def event(self, event: OrderEvent) -> None:
        """Tell this client what happened to an order of its own, in the manner its fill style demands."""
        style = self._style(event.order.ticket)
        if style is FillStyle.ANSWER_LATE:
            asyncio.get_running_loop().call_later(self._venue.exchange.fill_delay, self._tell_event, event)
            self._told_count += 1
            return
        self._tell_event(event)
        if style is FillStyle.ANSWER_TWICE:
            self._told.pop(event.order.perm_id, None)
            self._tell_event(event)

    def _tell_event(self, event: OrderEvent) -> None:
        order, fill = event.order, event.fill
        if fill is not None:
            self._send(self._execution(-1, fill))
        code = event.error_code or (202 if order.status is OrderStatus.CANCELLED else 0)
        if code:
            self._told_count += 1
            self._link.error(order.order_id, code, event.error_text or "Order Canceled - reason:")
        self._tell_order(order)
        if fill is not None:
            self._send(order_reply.commission_report(fill.exec_id, fill.commission, "USD", fill.realized_pnl))

    def _send(self, fields: Fields) -> None:
        self._told_count += 1
        self._link.send(fields)

    def _tell_order(self, order: VenueOrder, *, again: bool = False) -> None:
        """openOrder and orderStatus; not again while nothing changed, unless a list was asked for."""
        facts = (order.status, order.filled, order.average, order.ticket, order.why_held)
        if not again and self._told.get(order.perm_id) == facts:
            return
        self._told[order.perm_id] = facts
        line = self._line(order)
        commission = sum(fill.commission for fill in order.fills)
        state = OrderState(order.status.value, commission=commission or None, currency="USD" if commission else "")
        self._send(order_reply.open_order(self._link.version, line, state))
        status = order_reply.order_status(
            line, order.status.value, order.filled, order.remaining, order.average, order.last_price, order.why_held
        )
        self._send(status)

    def _tell_fill(self, req_id: int, fill: VenueFill) -> None:
        self._send(self._execution(req_id, fill))
        self._send(order_reply.commission_report(fill.exec_id, fill.commission, "USD", fill.realized_pnl))

    def _execution(self, req_id: int, fill: VenueFill) -> Fields:
        contract = self._fill_contract(fill, self._venue.exchange.order(fill.perm_id))
        line = order_reply.ExecutionLine(
            fill.order_id,
            fill.client_id,
            fill.perm_id,
            contract,
            fill.exec_id,
            fill.at,
            fill.account,
            fill.exchange,
            "BOT" if fill.side is Action.BUY else "SLD",
            fill.quantity,
            fill.price,
            fill.cumulative,
            fill.average,
            fill.order_ref,
        )
        return order_reply.execution(self._link.version, req_id, line, reply.login_time(self._link.version, fill.at))

    def _fill_contract(self, fill: VenueFill, order: VenueOrder | None) -> WireContract:
        if not fill.is_bag:
            return wire_contract(listed(self._venue.market, fill.con_id), fill.exchange)
        return self._line(order).contract if order else WireContract(con_id=BAG_CON_ID, sec_type="BAG")

    def _line(self, order: VenueOrder) -> OrderLine:
        """The order as the client stated it, with what the venue's ticket says now."""
        place = self._placing.get(order.order_id) if order.client_id == self._link.client_id else None
        if place is None:
            place = PlaceOrder.recall(order.wire) if order.wire else echo_of(order, self._venue.market)
        place = restated(place, order.ticket)
        if place.contract.is_bag:
            contract = resolve_bag(self._venue.market, place.contract)
        else:
            item = listed(self._venue.market, order.ticket.con_id)
            contract = wire_contract(item, place.contract.exchange)
        return OrderLine(place, contract, order.client_id, order.perm_id, legs_text(contract))


def _margins(state: MarginState) -> tuple[float, float, float]:
    return state.initial_margin, state.maintenance_margin, state.equity_with_loan
