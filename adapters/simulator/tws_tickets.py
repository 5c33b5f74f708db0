"""Between an order as a client states it and the venue's ticket: one way when placed, the other when echoed."""

from dataclasses import replace
from typing import TYPE_CHECKING

from adapters.simulator.tws_contracts import listed
from adapters.simulator.tws_order_wire import PlaceOrder
from adapters.simulator.tws_requests import WireContract, WireLeg
from adapters.simulator.tws_wire import field_text
from adapters.simulator.types import RejectedByVenue, Ticket, TicketLeg, VenueOrder
from models.quant.structure import Action

if TYPE_CHECKING:
    from adapters.simulator.market import Market

ORDER_TYPES = {"LMT": "LMT", "MKT": "MKT", "STP": "STP", "STP LMT": "STP LMT", "STPLMT": "STP LMT"}
TIMES_IN_FORCE = ("DAY", "GTC", "IOC")
SIDES = {"BUY": Action.BUY, "SELL": Action.SELL, "SSHORT": Action.SELL}


def ticket_of(place: PlaceOrder, contract: WireContract, con_id: int, account: str) -> Ticket:
    """The venue's ticket; raises RejectedByVenue with IBKR's code for what the venue does not trade."""
    quantity = place.number("totalQuantity") or 0.0
    if quantity <= 0:
        raise RejectedByVenue(434, "The order size cannot be zero.")
    if place["orderType"].upper() not in ORDER_TYPES:
        raise RejectedByVenue(387, "Unsupported order type for this exchange and security type.")
    if place["action"].upper() not in SIDES:
        raise RejectedByVenue(321, f"Error validating request: action {place['action']!r} is no side")
    tif = place["tif"].upper() or "DAY"
    if tif not in TIMES_IN_FORCE:
        raise RejectedByVenue(10052, f"Invalid time in force: {place['tif']}")
    if place.conditions or place["algoStrategy"] not in ("", "Adaptive"):
        raise RejectedByVenue(387, "Unsupported order attribute: conditions and algorithms other than Adaptive")
    return Ticket(
        account=place["account"] or account,
        action=SIDES[place["action"].upper()],
        quantity=quantity,
        order_type=ORDER_TYPES[place["orderType"].upper()],
        tif=tif,
        con_id=con_id,
        legs=tuple(TicketLeg(leg.con_id, leg.ratio, SIDES[leg.action], leg.exchange) for leg in contract.legs),
        limit=place.number("lmtPrice"),
        aux=place.number("auxPrice"),
        order_ref=place["orderRef"],
        transmit=place["transmit"] != "0",
        parent_id=int(place.number("parentId") or 0),
        outside_rth=place.flag("outsideRth"),
        oca_group=place["ocaGroup"],
        good_till=place["goodTillDate"],
    )


def restated(place: PlaceOrder, ticket: Ticket) -> PlaceOrder:
    """The client's order with what the venue's ticket says now: a modified price, the account and TIF it filled in."""
    said = {
        "account": ticket.account,
        "action": ticket.action.value,
        "totalQuantity": field_text(ticket.quantity),
        "orderType": ticket.order_type,
        "lmtPrice": field_text(ticket.limit),
        "auxPrice": field_text(ticket.aux),
        "tif": ticket.tif,
        "orderRef": ticket.order_ref,
    }
    return replace(place, fields={**place.fields, **said})


def echo_of(order: VenueOrder, market: "Market") -> PlaceOrder:
    """An order no TWS client stated (another face placed it): what the ticket knows, the rest unset."""
    ticket = order.ticket
    fields = {
        "ocaGroup": ticket.oca_group,
        "parentId": str(ticket.parent_id),
        "transmit": field_text(ticket.transmit),
        "outsideRth": field_text(ticket.outside_rth),
        "goodTillDate": ticket.good_till,
        "origin": "0",
    }
    if not ticket.legs:
        return restated(PlaceOrder(order.order_id, WireContract(con_id=ticket.con_id), fields), ticket)
    symbol = listed(market, ticket.legs[0].con_id).contract.symbol
    legs = tuple(WireLeg(leg.con_id, leg.ratio, leg.action.value, leg.exchange) for leg in ticket.legs)
    contract = WireContract(symbol=symbol, sec_type="BAG", exchange="SMART", currency="USD", legs=legs)
    return restated(PlaceOrder(order.order_id, contract, fields), ticket)
