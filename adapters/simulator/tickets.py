"""Reading an order: is it one the venue can take, what is it worth now, and how does a combo's price fall on its legs.

A combo's market is tighter than the sum of its legs by a fixed share, as complex books are: its offer stands
COMBO_TIGHTNESS of the way back from the natural price to the mid. Nothing else improves a price.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.simulator.market import Market
from adapters.simulator.types import Instrument, RejectedByVenue, Ticket, VenueQuote
from models import calendar
from models.quant.option import Contract, SecType
from models.quant.product import Hours, Product, Toward, product_of, round_to_tick
from models.quant.structure import MAX_LEGS, Action

COMBO_TIGHTNESS = 0.5  # share of the half-spread a combo's market saves against its legs
UNKNOWN_SIZE = 50.0  # contracts taken as shown where a size is unknown
ORDER_TYPES = ("LMT", "MKT", "STP", "STP LMT")
TIFS = ("DAY", "GTC", "IOC")
NEEDS_LIMIT = ("LMT", "STP LMT")
NEEDS_TRIGGER = ("STP", "STP LMT")


@dataclass(frozen=True)
class OrderLeg:
    """One instrument of an order with its signed ratio, as seen by a BUYER of the ticket."""

    item: Instrument
    ratio: int


@dataclass(frozen=True)
class TicketMarket:
    """A ticket's own market (debit positive): where it can be bought and sold, and how much of it."""

    bid: float | None
    ask: float | None
    natural_bid: float | None
    natural_ask: float | None
    bid_size: float
    ask_size: float

    def price(self, action: Action) -> float | None:
        return self.ask if action is Action.BUY else self.bid

    def natural(self, action: Action) -> float | None:
        return self.natural_ask if action is Action.BUY else self.natural_bid

    def size(self, action: Action) -> float:
        return self.ask_size if action is Action.BUY else self.bid_size


def legs_of(ticket: Ticket, market: Market) -> tuple[OrderLeg, ...]:
    """The instruments of a ticket; raises RejectedByVenue 200 for what is not listed."""
    wanted = [(leg.con_id, leg.action.sign * leg.ratio) for leg in ticket.legs] or [(ticket.con_id, 1)]
    found = []
    for con_id, ratio in wanted:
        item = market.instrument(con_id)
        if item is None:
            raise RejectedByVenue(200, "No security definition has been found for the request")
        found.append(OrderLeg(item, ratio))
    return tuple(found)


def product_of_ticket(legs: Sequence[OrderLeg]) -> Product:
    return product_of(legs[0].item.contract)


def tick_of(legs: Sequence[OrderLeg], price: float) -> float:
    product = product_of_ticket(legs)
    return product.combo_tick if len(legs) > 1 else product.tick(price)


def check(ticket: Ticket, market: Market, account_id: str, now: datetime) -> tuple[OrderLeg, ...]:
    """The legs of an acceptable ticket; raises RejectedByVenue with IBKR's code for any other."""
    if ticket.account not in ("", account_id):
        raise RejectedByVenue(321, f"Error validating request: Invalid account code '{ticket.account}'")
    legs = legs_of(ticket, market)
    _check_terms(ticket)
    _check_legs(ticket, legs, now)
    for price in (ticket.limit if ticket.order_type in NEEDS_LIMIT else None, ticket.aux):
        if price is not None and ticket.order_type != "MKT" and not on_tick(price, tick_of(legs, price)):
            raise RejectedByVenue(110, "The price does not conform to the minimum price variation for this contract.")
    return legs


def _check_terms(ticket: Ticket) -> None:
    if ticket.order_type not in ORDER_TYPES:
        raise RejectedByVenue(387, f"Unsupported order type {ticket.order_type} for this exchange and security type.")
    if ticket.tif not in TIFS:
        raise RejectedByVenue(
            201, f"Order rejected - reason: Invalid time in force {ticket.tif!r}; use {', '.join(TIFS)}"
        )
    if not ticket.quantity > 0 or ticket.quantity != int(ticket.quantity):
        raise RejectedByVenue(434, "The order size cannot be zero or fractional.")
    if ticket.order_type in NEEDS_LIMIT and (ticket.limit is None or not math.isfinite(ticket.limit)):
        raise RejectedByVenue(321, "Error validating request: a limit order needs a limit price")
    if ticket.order_type in NEEDS_TRIGGER and (ticket.aux is None or not math.isfinite(ticket.aux)):
        raise RejectedByVenue(321, "Error validating request: a stop order needs its stop price")


def _check_legs(ticket: Ticket, legs: Sequence[OrderLeg], now: datetime) -> None:
    if len(legs) > MAX_LEGS:
        raise RejectedByVenue(201, f"Order rejected - reason: a combination may have at most {MAX_LEGS} legs")
    if len({leg.item.con_id for leg in legs}) != len(legs):
        raise RejectedByVenue(201, "Order rejected - reason: a combination names one contract twice")
    if len({(leg.item.contract.symbol, leg.item.contract.multiplier) for leg in legs}) > 1:
        raise RejectedByVenue(201, "Order rejected - reason: combination legs of different underlyings or sizes")
    if any(leg.item.contract.sec_type is SecType.INDEX for leg in legs):
        raise RejectedByVenue(201, "Order rejected - reason: an index cannot be traded")
    for leg in legs:
        stop = calendar.last_trade(leg.item.contract)
        if stop is not None and now >= stop:
            raise RejectedByVenue(201, f"Order rejected - reason: {leg.item.local_symbol.strip()} no longer trades")
    single_negative = len(legs) == 1 and ticket.order_type in NEEDS_LIMIT and (ticket.limit or 0.0) <= 0
    if single_negative and legs[0].item.contract.symbol != "CL":
        raise RejectedByVenue(201, "Order rejected - reason: the limit price must be above zero")


def on_tick(price: float, tick: float) -> bool:
    return abs(round_to_tick(price, tick) - price) < 1e-6


def trades_now(ticket: Ticket, legs: Sequence[OrderLeg], now: datetime) -> bool:
    """Do all legs trade now, in the hours the order asks for?"""
    return all(
        calendar.is_open(leg.item.contract, now, regular_only=regular_only(ticket, leg.item.contract)) for leg in legs
    )


def regular_only(ticket: Ticket, contract: Contract) -> bool:
    """Index options and shares trade outside regular hours only when the order says so; futures always do."""
    return not ticket.outside_rth and product_of(contract).hours is not Hours.GLOBEX


def market_of(legs: Sequence[OrderLeg], market: Market) -> TicketMarket:
    """The ticket's market now; sides with an unknown leg are unknown."""
    quotes = market.quotes([leg.item.con_id for leg in legs])
    buy = _side([(leg.ratio, q) for leg, q in zip(legs, quotes, strict=True)])
    sell = _side([(-leg.ratio, q) for leg, q in zip(legs, quotes, strict=True)])
    if len(legs) == 1:
        ask, bid = buy[0], None if sell[0] is None else -sell[0]
        return TicketMarket(bid, ask, bid, ask, sell[1], buy[1])
    natural_ask, natural_bid = buy[0], None if sell[0] is None else -sell[0]
    if natural_ask is None or natural_bid is None:
        return TicketMarket(None, None, natural_bid, natural_ask, sell[1], buy[1])
    half = (natural_ask - natural_bid) / 2 * (1 - COMBO_TIGHTNESS)
    mid = (natural_ask + natural_bid) / 2
    tick = product_of_ticket(legs).combo_tick
    ask = round_to_tick(round(mid + half, 6), tick, Toward.UP)
    bid = round_to_tick(round(mid - half, 6), tick, Toward.DOWN)
    return TicketMarket(bid, ask, natural_bid, natural_ask, sell[1], buy[1])


def _side(legs: Sequence[tuple[int, VenueQuote | None]]) -> tuple[float | None, float]:
    """(cost of taking every leg at its far side, how many units its sizes allow)."""
    cost, size = 0.0, math.inf
    for ratio, quote in legs:
        price = None if quote is None else (quote.ask if ratio > 0 else quote.bid)
        if quote is None or price is None or quote.halted:
            return None, 0.0
        shown = quote.ask_size if ratio > 0 else quote.bid_size
        cost += ratio * price
        size = min(size, (UNKNOWN_SIZE if shown is None else shown) // abs(ratio))
    return cost, size


def leg_prices(legs: Sequence[OrderLeg], market: Market, price: float) -> list[float] | None:
    """Prices of the legs that add up to the ticket's `price`: at their mids, the difference on the dearest leg.

    None when a leg has no price at all.
    """
    mids = []
    for leg, quote in zip(legs, market.quotes([leg.item.con_id for leg in legs]), strict=True):
        mid = quote.mid if quote is not None else None
        if mid is None:
            model = market.model(leg.item.con_id)
            mid = model.price if model else None
        if mid is None:
            return None
        mids.append(mid)
    gap = price - sum(leg.ratio * mid for leg, mid in zip(legs, mids, strict=True))
    dearest = max(range(len(legs)), key=lambda i: (abs(legs[i].ratio) == 1, mids[i]))
    mids[dearest] += gap / legs[dearest].ratio
    return [round(mid, 6) for mid in mids]


def executions_of(ticket: Ticket, legs: Sequence[OrderLeg], market: Market) -> list[tuple[Instrument, float, float]]:
    """(instrument, signed quantity, price) of the whole ticket at its limit, else at the natural price.

    Raises RejectedByVenue 201 when a leg has no price at all.
    """
    limited = ticket.order_type in NEEDS_LIMIT
    price = ticket.limit if limited else market_of(legs, market).natural(ticket.action)
    prices = leg_prices(legs, market, price) if price is not None else None
    if prices is None:
        raise RejectedByVenue(201, "Order rejected - reason: no market to price it against")
    sign = ticket.action.sign * ticket.quantity
    return [(leg.item, sign * leg.ratio, p) for leg, p in zip(legs, prices, strict=True)]
