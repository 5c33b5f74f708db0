"""The exchange: takes orders, matches them against the quotes, cancels, modifies and rejects with IBKR's codes.

`place` only takes the order; matching happens in `step`, so an acknowledgement always leaves before a fill. Every
change is kept (`on_change`) before anybody is told of it.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime

from adapters.simulator.account import Account, commission, insufficient
from adapters.simulator.market import Market
from adapters.simulator.matching import Shown, Working, match
from adapters.simulator.tickets import (
    OrderLeg,
    check,
    executions_of,
    leg_prices,
    legs_of,
    regular_only,
    trades_now,
)
from adapters.simulator.types import (
    FillStyle,
    Instrument,
    Listener,
    OrderEvent,
    OrderStatus,
    RejectedByVenue,
    Ticket,
    VenueFill,
    VenueOrder,
)
from adapters.simulator.universe import BAG_CON_ID
from models import calendar
from models.quant.product import NEW_YORK
from models.quant.structure import Action

KEPT_DONE = 500  # finished orders remembered
OPENING = (OrderStatus.PENDING_SUBMIT, OrderStatus.PRE_SUBMITTED, OrderStatus.SUBMITTED)


class Exchange:
    """All orders of all clients. `clock` gives venue time; `ticks` machine seconds for delays."""

    def __init__(
        self, market: Market, account: Account, now: Callable[[], datetime],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.market = market
        self.account = account
        self.fill_style = FillStyle.NORMAL
        self.fill_delay = 1.0
        self.on_change: Callable[[], None] = lambda: None
        self.on_activity: Callable[[], None] = lambda: None
        self._now = now
        self._ticks = ticks
        self._orders: dict[int, VenueOrder] = {}
        self._by_client: dict[tuple[int, int], int] = {}
        self._working: dict[int, Working] = {}
        self._fills: list[VenueFill] = []
        self._styles: dict[str, FillStyle] = {}
        self._listeners: list[Listener] = []
        self._shown = Shown(ticks)
        self._next_perm = 1_000_000_001
        self._next_exec = 1

    # ── what clients ask ───────────────────────────────────────────────────────────────────────────────────────
    def place(self, client_id: int, order_id: int, ticket: Ticket) -> VenueOrder:
        """Take a new order, or modify the live one of the same name. Raises RejectedByVenue.

        Codes: 200 no such contract, 201 rejected (margin, expired, …), 103 duplicate id, 104 modify of a filled order,
        105 modify that differs, 110 price off its tick, 321 and 387 unusable terms, 434 size.
        """
        known = self._by_client.get((client_id, order_id))
        if known is not None:
            return self._modify(self._orders[known], ticket)
        if order_id < self.next_order_id(client_id):
            raise RejectedByVenue(103, "Duplicate order id")
        legs = check(ticket, self.market, self.account.account_id, self._now())
        if self.style_of(ticket.order_ref) is FillStyle.REJECT:
            raise RejectedByVenue(201, "Order rejected - reason: the venue was told to reject it")
        self._check_margin(ticket, legs)
        order = VenueOrder(
            self._next_perm, client_id, order_id, replace(ticket, account=self.account.account_id),
            OrderStatus.PRE_SUBMITTED, placed_at=self._now(),
        )  # fmt: skip
        self._next_perm += 1
        self._orders[order.perm_id] = order
        self._by_client[client_id, order_id] = order.perm_id
        self._working[order.perm_id] = Working(legs, self._good_day(legs), self._ticks())
        self._settle_status(order, self._working[order.perm_id])
        self._forget_old()
        self.on_change()
        self.on_activity()
        return order

    def _modify(self, order: VenueOrder, ticket: Ticket) -> VenueOrder:
        if order.status is OrderStatus.FILLED:
            raise RejectedByVenue(104, "Cannot modify a filled order.")
        if order.status.is_done:
            raise RejectedByVenue(103, "Duplicate order id")
        old = order.ticket
        if (old.con_id, old.legs, old.action) != (ticket.con_id, ticket.legs, ticket.action):
            raise RejectedByVenue(105, "Order being modified does not match original order")
        if ticket.quantity <= order.filled:
            raise RejectedByVenue(104, "Cannot modify a filled order.")
        legs = check(ticket, self.market, self.account.account_id, self._now())
        self._check_margin(replace(ticket, quantity=ticket.quantity - order.filled), legs)
        order.ticket = replace(ticket, account=old.account, order_ref=ticket.order_ref or old.order_ref)
        work = self._working[order.perm_id]
        work.rested = False
        self._settle_status(order, work)
        self.on_change()
        self._tell(OrderEvent(order))
        self.on_activity()
        return order

    def cancel(self, client_id: int, order_id: int) -> None:
        """Cancel one order. Raises RejectedByVenue 10147 unknown, 161 filled, 10148 already over."""
        perm_id = self._by_client.get((client_id, order_id))
        if perm_id is None:
            raise RejectedByVenue(10147, f"OrderId {order_id} that needs to be cancelled is not found.")
        order = self._orders[perm_id]
        if order.status is OrderStatus.FILLED:
            raise RejectedByVenue(
                161, f"Cancel attempted when order is not in a cancellable state. Order permId = {perm_id}"
            )
        if order.status.is_done:
            raise RejectedByVenue(
                10148, f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {order.status}."
            )
        self._end(order, OrderStatus.CANCELLED, "")

    def cancel_all(self) -> None:
        for perm_id in list(self._working):
            self._end(self._orders[perm_id], OrderStatus.CANCELLED, "global cancel")

    def orders(self) -> list[VenueOrder]:
        """Every remembered order, oldest first, finished ones too."""
        return list(self._orders.values())

    def open_orders(self) -> list[VenueOrder]:
        return [o for o in self._orders.values() if not o.status.is_done]

    def order(self, perm_id: int) -> VenueOrder | None:
        return self._orders.get(perm_id)

    def find_order(self, client_id: int, order_id: int) -> VenueOrder | None:
        return self._orders.get(self._by_client.get((client_id, order_id), 0))

    def fills(self) -> list[VenueFill]:
        """Executions remembered, oldest first; combo prints are marked `is_bag`."""
        return list(self._fills)

    def next_order_id(self, client_id: int) -> int:
        """One above every id the client has used."""
        return max((o for c, o in self._by_client if c == client_id), default=0) + 1

    def warning(self, order: VenueOrder) -> tuple[int, str] | None:
        """IBKR's warning 399 while the order waits for its market to open; None otherwise."""
        work = self._working.get(order.perm_id)
        if work is None or order.status is not OrderStatus.PRE_SUBMITTED or order.why_held != "closed":
            return None
        contract = work.legs[0].item.contract
        opening = calendar.next_session(contract, self._now(), regular_only(order.ticket, contract)).start
        side = f"{order.ticket.action} {order.ticket.quantity:g} {contract.symbol}"
        return 399, (
            f"Order Message:\n{side}\nWarning: your order will not be placed at the exchange until "
            f"{opening.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S} US/Eastern"
        )

    # ── styles and listeners ───────────────────────────────────────────────────────────────────────────────────
    def set_fill_style(self, style: FillStyle, order_ref: str = "", delay: float | None = None) -> None:
        """Behaviour of one order reference, or of every order when `order_ref` is empty."""
        if order_ref:
            self._styles[order_ref] = style
        else:
            self.fill_style = style
        if delay is not None:
            self.fill_delay = delay
        self.on_activity()

    def style_of(self, order_ref: str) -> FillStyle:
        return self._styles.get(order_ref, self.fill_style)

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def unlisten(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    def _tell(self, event: OrderEvent) -> None:
        for listener in list(self._listeners):
            listener(event)

    # ── matching ───────────────────────────────────────────────────────────────────────────────────────────────
    def step(self) -> None:
        """Match every live order once against the market as it is now."""
        for perm_id, work in list(self._working.items()):
            order = self._orders[perm_id]
            if not order.status.is_done:
                self._step_order(order, work)

    def _step_order(self, order: VenueOrder, work: Working) -> None:
        if self._day_over(order, work):
            self._end(order, OrderStatus.CANCELLED, "the day is over")
            return
        before = order.status
        self._settle_status(order, work)
        if order.status is not before:
            self.on_change()
            self._tell(OrderEvent(order))
        if order.status is not OrderStatus.SUBMITTED:
            return
        waited = self._ticks() - work.since >= self.fill_delay
        found = match(order, work, self.market, self.style_of(order.ticket.order_ref), self._shown, waited)
        if found is not None:
            self._fill(order, work, *found)
        if order.ticket.tif == "IOC" and not order.status.is_done:
            self._end(order, OrderStatus.CANCELLED, "immediate or cancel")

    def _fill(self, order: VenueOrder, work: Working, quantity: float, price: float) -> None:
        prices = leg_prices(work.legs, self.market, price)
        if prices is None:
            return
        self._shown.take(work.legs, order.ticket.action, quantity)
        order.average = (order.average * order.filled + price * quantity) / (order.filled + quantity)
        order.filled += quantity
        order.last_price = price
        if order.remaining <= 0:
            order.status = OrderStatus.FILLED
            order.done_at = self._now()
            self._working.pop(order.perm_id, None)
        fills = self._book_fills(order, work, quantity, price, prices)
        order.fills.extend(fills)
        self._fills.extend(fills)
        self.on_change()
        for fill in fills:
            self._tell(OrderEvent(order, fill))
        self._after_fill(order)

    def _book_fills(
        self, order: VenueOrder, work: Working, quantity: float, price: float, prices: list[float]
    ) -> list[VenueFill]:
        number = self._next_exec
        self._next_exec += 1
        found = []
        if len(work.legs) > 1:
            found.append(self._print(order, number, 1, None, order.ticket.action, quantity, price, 0.0, None))
        for i, (leg, leg_price) in enumerate(zip(work.legs, prices, strict=True), start=1 + len(found)):
            side = Action.BUY if leg.ratio * order.ticket.action.sign > 0 else Action.SELL
            count = quantity * abs(leg.ratio)
            fee = commission(leg.item.contract, count)
            realized = self.account.book(leg.item, side, count, leg_price, fee)
            found.append(self._print(order, number, i, leg.item, side, count, leg_price, fee, realized))
        return found

    def _print(
        self, order: VenueOrder, number: int, part: int, item: Instrument | None, side: Action, quantity: float,
        price: float, fee: float, realized: float | None,
    ) -> VenueFill:  # fmt: skip
        bag = item is None
        whole = bag or not order.ticket.legs
        cumulative, average = (order.filled, order.average) if whole else (quantity, price)
        return VenueFill(
            f"{order.perm_id:08x}.{number:08x}.{part:02d}.01", order.perm_id, order.order_id, order.client_id,
            BAG_CON_ID if item is None else item.con_id, bag, order.ticket.account, self._now(), side, quantity, price,
            cumulative, average, order.ticket.order_ref, fee, realized, "CBOE" if item is None else item.exchange,
        )  # fmt: skip

    # ── the life of an order ───────────────────────────────────────────────────────────────────────────────────
    def _settle_status(self, order: VenueOrder, work: Working) -> None:
        """Submitted when it may trade now, else PreSubmitted with the reason it is held."""
        held = self._held(order, work)
        order.why_held = held
        order.status = OrderStatus.PRE_SUBMITTED if held else OrderStatus.SUBMITTED

    def _held(self, order: VenueOrder, work: Working) -> str:
        ticket = order.ticket
        if not ticket.transmit and not self._transmitted(order):
            return "transmit"
        if ticket.parent_id:
            parent = self.find_order(order.client_id, ticket.parent_id)
            if parent is not None and parent.status is not OrderStatus.FILLED:
                return "child"
        return "" if trades_now(ticket, work.legs, self._now()) else "closed"

    def _transmitted(self, order: VenueOrder) -> bool:
        """An order held back leaves when a child of its family is sent with transmit on."""
        family = order.ticket.parent_id or order.order_id
        return any(
            o.ticket.transmit for o in self._orders.values()
            if o.client_id == order.client_id and family in (o.order_id, o.ticket.parent_id)
        )  # fmt: skip

    def _after_fill(self, order: VenueOrder) -> None:
        """One cancels all: the rest of its group ends with the first fill."""
        group = order.ticket.oca_group
        for perm_id in list(self._working):
            other = self._orders[perm_id]
            if group and other is not order and other.ticket.oca_group == group:
                self._end(other, OrderStatus.CANCELLED, "one cancels all")

    def _end(self, order: VenueOrder, status: OrderStatus, reason: str) -> None:
        order.status = status
        order.done_at = self._now()
        order.why_held = ""
        self._working.pop(order.perm_id, None)
        self.on_change()
        self._tell(OrderEvent(order, None, 202, f"Order Canceled - reason:{reason}"))
        for perm_id in list(self._working):
            child = self._orders[perm_id]
            if child.client_id == order.client_id and child.ticket.parent_id == order.order_id:
                self._end(child, OrderStatus.CANCELLED, "its parent was cancelled")

    def _good_day(self, legs: tuple[OrderLeg, ...]) -> date:
        contract = legs[0].item.contract
        day = calendar.session_of(contract, self._now())
        return day if day is not None else calendar.next_session(contract, self._now(), regular_only=False).day

    def _day_over(self, order: VenueOrder, work: Working) -> bool:
        now = self._now()
        stops = [s for leg in work.legs if (s := calendar.last_trade(leg.item.contract)) is not None]
        if stops and now >= min(stops):
            return True
        if order.ticket.tif == "GTC":
            return False
        hours = calendar.hours_of(work.legs[0].item.contract)
        parts = calendar.spans(hours, work.good_day)
        return not parts or now >= parts[-1].end

    # ── money ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _check_margin(self, ticket: Ticket, legs: tuple[OrderLeg, ...]) -> None:
        effect = self.account.effect_of(executions_of(ticket, legs, self.market))
        worse = effect.after.available_funds < effect.before.available_funds - effect.commission - 1e-6
        if effect.after.available_funds < 0 and worse:
            raise RejectedByVenue(201, f"Order rejected - reason:{insufficient(effect.after)}")

    # ── remembering ────────────────────────────────────────────────────────────────────────────────────────────
    def _forget_old(self) -> None:
        done = [o for o in self._orders.values() if o.status.is_done]
        for order in done[:-KEPT_DONE]:
            del self._orders[order.perm_id]
            self._by_client.pop((order.client_id, order.order_id), None)
        kept = set(self._orders)
        self._fills = [f for f in self._fills if f.perm_id in kept]

    def counters(self) -> tuple[int, int]:
        return self._next_perm, self._next_exec

    def restore(self, orders: list[VenueOrder], fills: list[VenueFill], counters: tuple[int, int]) -> None:
        """Take back what a state file remembered; live orders go on working."""
        self._next_perm, self._next_exec = counters
        self._fills = list(fills)
        for order in orders:
            self._orders[order.perm_id] = order
            self._by_client[order.client_id, order.order_id] = order.perm_id
            order.fills = [f for f in fills if f.perm_id == order.perm_id]
            if not order.status.is_done:
                legs = legs_of(order.ticket, self.market)
                self._working[order.perm_id] = Working(legs, self._good_day(legs), self._ticks(), rested=True)
