"""Does an order trade now, how much and at what price: the matching rules and the fill behaviours told for tests.

An arriving order trades at the quote. An order that was resting trades at its own limit when the market comes to it.
Nobody ever does better than the quote they met.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

from adapters.simulator.market import Market
from adapters.simulator.tickets import NEEDS_LIMIT, NEEDS_TRIGGER, OrderLeg, market_of
from adapters.simulator.types import FillStyle, VenueOrder
from models.quant.structure import Action

REPLENISH_SECONDS = 1.0  # machine time until a size that was taken is shown again


@dataclass
class Working:
    """What the exchange keeps beside a live order."""

    legs: tuple[OrderLeg, ...]
    good_day: date
    since: float  # machine time it was taken
    rested: bool = False  # stood in the book without crossing: trades at its own limit from then on
    triggered: bool = False
    parted: bool = False


@dataclass
class Shown:
    """How much of each side's shown size was taken lately. Keys are (con_id, is it the offer)."""

    ticks: Callable[[], float] = time.monotonic
    taken: dict[tuple[int, bool], tuple[float, float]] = field(default_factory=dict)

    def room(self, legs: Sequence[OrderLeg], action: Action, shown: float) -> float:
        """What is left of `shown` units of the whole ticket."""
        now, room = self.ticks(), shown
        for leg in legs:
            at, taken = self.taken.get((leg.item.con_id, leg.ratio * action.sign > 0), (0.0, 0.0))
            if now - at < REPLENISH_SECONDS:
                room = min(room, shown - taken // abs(leg.ratio))
        return max(room, 0.0)

    def take(self, legs: Sequence[OrderLeg], action: Action, quantity: float) -> None:
        now = self.ticks()
        for leg in legs:
            key = (leg.item.con_id, leg.ratio * action.sign > 0)
            at, taken = self.taken.get(key, (now, 0.0))
            fresh = now - at >= REPLENISH_SECONDS
            self.taken[key] = (now if fresh else at, (0.0 if fresh else taken) + quantity * abs(leg.ratio))


def match(
    order: VenueOrder, work: Working, market: Market, style: FillStyle, shown: Shown, waited: bool
) -> tuple[float, float] | None:
    """(quantity, price) that trades now; None when nothing does. `waited`: the told delay is over."""
    if style is FillStyle.NEVER or (style is FillStyle.DELAYED and not waited):
        return None
    if style in (FillStyle.IMMEDIATE, FillStyle.DELAYED, FillStyle.PARTIAL):
        return _told(order, work, market, style, waited)
    ticket = order.ticket
    now = market_of(work.legs, market)
    if ticket.order_type in NEEDS_TRIGGER and not _triggered(order, work, now.price(ticket.action)):
        return None
    limit = ticket.limit if ticket.order_type in NEEDS_LIMIT else None
    price = now.price(ticket.action) if limit is not None else now.natural(ticket.action)
    if price is None:
        return None
    if limit is not None and (price - limit) * ticket.action.sign > 1e-9:
        work.rested = True
        return None
    quantity = min(order.remaining, shown.room(work.legs, ticket.action, now.size(ticket.action)))
    if quantity < 1:
        return None
    return quantity, limit if limit is not None and work.rested else price


def _told(
    order: VenueOrder, work: Working, market: Market, style: FillStyle, waited: bool
) -> tuple[float, float] | None:
    """Fills that tests ask for, at the limit: the whole, or half now and the rest later."""
    limited = order.ticket.order_type in NEEDS_LIMIT
    price = order.ticket.limit if limited else market_of(work.legs, market).natural(order.ticket.action)
    if price is None:
        return None
    if style is not FillStyle.PARTIAL or waited:
        return order.remaining, price
    if work.parted or order.remaining < 2:
        return None
    work.parted = True
    return order.remaining // 2, price


def _triggered(order: VenueOrder, work: Working, price: float | None) -> bool:
    if price is not None and order.ticket.aux is not None and not work.triggered:
        work.triggered = (price - order.ticket.aux) * order.ticket.action.sign >= 0
    return work.triggered
