"""A real venue for tests: Friday 20 November 2026, 12:00 New York, the clock in the test's hand."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from adapters.simulator.account import Ledger
from adapters.simulator.exchange import Exchange
from adapters.simulator.types import Instrument, OrderEvent, Ticket, TicketLeg, VenueOrder
from adapters.simulator.venue import Venue, VenueConfig, open_venue
from models.quant.structure import Action

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
EXPIRY = date(2026, 12, 18)


class Hand:
    """Machine seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def still(config: VenueConfig | None = None) -> Venue:
    """A venue that stands still at noon."""
    return open_venue(replace(config or VenueConfig(), speed=0.0), NOON)


def to_time(venue: Venue, at: datetime) -> None:
    """Jump the venue's clock forwards and step everything."""
    venue.clock.jump_to(at)
    venue.advance()


def later(venue: Venue, **span: float) -> None:
    to_time(venue, venue.clock.now() + timedelta(**span))


def fresh_trading(venue: Venue, cash: float = 1_000_000.0) -> tuple[Exchange, list[OrderEvent], Hand]:
    """An empty account and an empty exchange on the venue's market, what it tells, and its machine clock."""
    hand = Hand()
    venue.account.ledger = Ledger(cash)
    venue.account.begin_day(venue.market.today.day)
    exchange = Exchange(venue.market, venue.account, venue.clock.now, hand)
    told: list[OrderEvent] = []
    exchange.listen(told.append)
    venue.exchange = exchange
    return exchange, told, hand


def option(venue: Venue, strike: float, right: str, cls: str = "SPXW", expiry: date = EXPIRY) -> Instrument:
    symbol = "SPX" if cls == "SPXW" else cls
    wanted = {"symbol": symbol, "trading_class": cls, "expiry": expiry, "strike": strike, "right": right}
    return venue.market.find(sec_type="OPT", **wanted)[0]


def stock(venue: Venue, symbol: str = "SPY") -> Instrument:
    return venue.market.find(symbol=symbol, sec_type="STK")[0]


def future(venue: Venue, root: str = "ES") -> Instrument:
    return venue.market.find(symbol=root, sec_type="FUT")[0]


def ticket(item: Instrument, action: str, quantity: float, limit: float | None = None, **more: object) -> Ticket:
    kind = "MKT" if limit is None else "LMT"
    base = Ticket("", Action(action), quantity, kind, "DAY", con_id=item.con_id, limit=limit, order_ref="ref")
    return replace(base, **more)  # type: ignore[arg-type]


def combo(legs: list[tuple[Instrument, str, int]], quantity: float, limit: float | None, action: str = "BUY") -> Ticket:
    parts = tuple(TicketLeg(item.con_id, ratio, Action(side)) for item, side, ratio in legs)
    kind = "MKT" if limit is None else "LMT"
    return Ticket("", Action(action), quantity, kind, "DAY", legs=parts, limit=limit, order_ref="combo")


def held(venue: Venue) -> dict[int, float]:
    return {c: h.quantity for c, h in venue.account.ledger.holdings.items() if h.quantity}


def fill_now(exchange: Exchange, order_ticket: Ticket, client: int = 11) -> VenueOrder:
    order = exchange.place(client, exchange.next_order_id(client), order_ticket)
    exchange.step()
    return order
