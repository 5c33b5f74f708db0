"""Market-data lines of one client: what a quote says as ticks, and the lines that tell only what changed.

Every request is one of the user's lines (error 101 beyond the most), a snapshot until it ended. Delayed types carry
the present quote under the delayed tick types: the venue keeps no fifteen-minute-old book.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from adapters.simulator import tws_replies as reply
from adapters.simulator.dividends import dividends_of
from adapters.simulator.tickets import OrderLeg, market_of
from adapters.simulator.tws_contracts import listed, resolve, resolve_bag
from adapters.simulator.tws_limits import Lines, Rules
from adapters.simulator.tws_link import Link
from adapters.simulator.tws_order_replies import Fields
from adapters.simulator.tws_requests import MarketDataRequest, WireLeg
from adapters.simulator.types import Instrument, ModelGreeks, RejectedByVenue, VenueQuote
from models.quant.option import SecType
from models.quant.product import NEW_YORK, product_of

if TYPE_CHECKING:
    from adapters.simulator.market import Market
    from adapters.simulator.venue import Venue

BID_SIZE, BID, ASK, ASK_SIZE, LAST, LAST_SIZE, HIGH, LOW, VOLUME, CLOSE = range(10)
BID_GREEKS, ASK_GREEKS, MODEL_GREEKS = 10, 11, 13
OPEN, IMPLIED_VOL, CALL_INTEREST, PUT_INTEREST, LAST_TIME, HALTED, DIVIDENDS = 14, 24, 27, 28, 45, 49, 59
DELAYED = {
    BID_SIZE: 69, BID: 66, ASK: 67, ASK_SIZE: 70, LAST: 68, LAST_SIZE: 71, HIGH: 72, LOW: 73, VOLUME: 74, CLOSE: 75,
    BID_GREEKS: 80, ASK_GREEKS: 81, MODEL_GREEKS: 83, OPEN: 76, LAST_TIME: 88, HALTED: 90,
}  # fmt: skip
NO_PRICE = (-1.0, 0.0)  # IBKR's "nobody quotes": price -1, size 0
USUAL_SIZE = 25.0
NOT_COMPUTED = "not computed"
SIZE_OF = {BID: BID_SIZE, ASK: ASK_SIZE, LAST: LAST_SIZE}

Ticks = dict[int, object]
"""Tick type → what it says now: (price, size), a number, a text or ModelGreeks."""


class Board:
    """Quotes and models as of one beat, asked of the market once however many clients look."""

    def __init__(self, market: "Market") -> None:
        self._market = market
        self._quotes: dict[int, VenueQuote | None] = {}
        self._models: dict[int, ModelGreeks | None] = {}

    def quote(self, con_id: int) -> VenueQuote | None:
        if con_id not in self._quotes:
            self._quotes[con_id] = self._market.quote(con_id)
        return self._quotes[con_id]

    def model(self, con_id: int) -> ModelGreeks | None:
        if con_id not in self._models:
            self._models[con_id] = self._market.model(con_id)
        return self._models[con_id]


def _priced(price: float | None, size: float | None) -> tuple[float, float]:
    """A known price needs a size above zero, or clients read it as "nobody quotes"; an unknown size, which is all that
    a chain recorded after hours has, says a usual one."""
    return NO_PRICE if price is None else (price, size or USUAL_SIZE)


def quote_ticks(quote: VenueQuote) -> Ticks:
    """What a quote says, under the live tick types; what is unknown says nothing (bid and ask: nobody quotes)."""
    ticks: Ticks = {
        BID: _priced(quote.bid, quote.bid_size),
        ASK: _priced(quote.ask, quote.ask_size),
        HALTED: 1.0 if quote.halted else 0.0,
    }
    if quote.last is not None:
        ticks[LAST] = (quote.last, quote.last_size or 0.0)
    for kind, price in ((HIGH, quote.high), (LOW, quote.low), (CLOSE, quote.close), (OPEN, quote.open)):
        if price is not None:
            ticks[kind] = (price, 0.0)
    if quote.volume is not None:
        ticks[VOLUME] = quote.volume
    return ticks


def combo_quote(market: "Market", legs: Sequence[WireLeg], at: datetime) -> VenueQuote | None:
    """A BAG's top of book, debit positive for the buyer: exactly where the exchange would trade it."""
    parts = []
    for leg in legs:
        item = market.instrument(leg.con_id)
        if item is None:
            return None
        parts.append(OrderLeg(item, leg.ratio if leg.action == "BUY" else -leg.ratio))
    found = market_of(tuple(parts), market)
    return VenueQuote(
        found.bid, found.ask, found.bid_size, found.ask_size, None, None, None, None, None, None, None, at
    )


def tick_fields(req_id: int, kind: int, now: object, before: object, delayed: bool) -> Fields:
    """One tick as a message: a price with its size, or the size alone when the price stood still."""
    wire = DELAYED.get(kind, kind) if delayed else kind
    if isinstance(now, tuple):
        price, size = now
        if kind in SIZE_OF and isinstance(before, tuple) and before[0] == price and size:
            return reply.tick_size(req_id, DELAYED[SIZE_OF[kind]] if delayed else SIZE_OF[kind], size)
        return reply.tick_price(req_id, wire, price, size)
    if kind in (VOLUME, CALL_INTEREST, PUT_INTEREST):
        assert isinstance(now, float)
        return reply.tick_size(req_id, wire, now)
    if kind == MODEL_GREEKS:
        return reply.tick_greeks(req_id, wire, now if isinstance(now, ModelGreeks) else None)
    if isinstance(now, float):
        return reply.tick_generic(req_id, wire, now)
    return reply.tick_string(req_id, wire, str(now))


@dataclass
class _Line:
    req_id: int
    request: MarketDataRequest
    item: Instrument | None  # None for a BAG
    delayed: bool
    until: float  # a snapshot's patience; infinite for a stream
    sent: Ticks = field(default_factory=dict)

    @property
    def is_option(self) -> bool:
        return self.item is not None and self.item.contract.is_option


class QuoteDesk:
    """The market-data lines of one client."""

    def __init__(self, link: Link, venue: "Venue", rules: Rules, lines: Lines) -> None:
        self._link = link
        self._market = venue.market
        self._clock = venue.clock
        self._rules = rules
        self._user_lines = lines
        self._lines: dict[int, _Line] = {}
        self.kind = 1

    def choose(self, kind: int) -> None:
        """1 live, 2 frozen, 3 delayed, 4 delayed frozen: from the next request on."""
        if kind not in (1, 2, 3, 4):
            self._link.error(-1, 321, f"Error validating request: market data type {kind} is unknown")
            return
        self.kind = kind

    def open(self, request: MarketDataRequest, board: Board, now: float) -> None:
        """Start a line, or say why not: 200 unknown, 101 too many, 321 wrong, 322 the id is in use."""
        req_id = request.req_id
        try:
            self._check(request)
            item = self._resolve(request)
        except RejectedByVenue as refusal:
            self._link.error(req_id, refusal.code, refusal.text)
            return
        if not self._user_lines.take((id(self), req_id)):
            self._link.error(req_id, 101, "Max number of tickers has been reached")
            return
        delayed = self.kind in (3, 4)
        patience = now + self._rules.snapshot_patience if request.snapshot else float("inf")
        line = self._lines[req_id] = _Line(req_id, request, item, delayed, patience)
        if delayed:
            text = "Requested market data is not subscribed. Displaying delayed market data."
            self._link.error(req_id, 10167, text)
        self._link.send(reply.market_data_type(req_id, self.kind))
        tick = item.min_tick if item else self._combo_tick(request)
        self._link.send(reply.tick_parameters(req_id, tick, "9c0001", 3))
        if line.is_option and not request.snapshot:
            for side in (BID_GREEKS, ASK_GREEKS):  # the venue computes the model only
                self._link.send(reply.tick_greeks(req_id, DELAYED[side] if delayed else side, None))
        self._tell(line, board, now)

    def _check(self, request: MarketDataRequest) -> None:
        if request.req_id in self._lines:
            raise RejectedByVenue(322, "Error processing request: Duplicate ticker id")
        if not all(part.split(":")[0].isdecimal() for part in request.generic):
            raise RejectedByVenue(321, f"Error validating request: incorrect generic ticks {','.join(request.generic)}")
        if request.snapshot and request.generic:
            text = "Error validating request: Snapshot market data subscription is not applicable to generic ticks"
            raise RejectedByVenue(321, text)

    def _resolve(self, request: MarketDataRequest) -> Instrument | None:
        if request.contract.is_bag:
            resolve_bag(self._market, request.contract)
            return None
        return resolve(self._market, request.contract)

    def _combo_tick(self, request: MarketDataRequest) -> float:
        legs = (listed(self._market, leg.con_id) for leg in request.contract.legs)
        return max(product_of(leg.contract).combo_tick for leg in legs)

    def cancel(self, req_id: int) -> None:
        if req_id not in self._lines:
            self._link.error(req_id, 300, f"Can't find EId with tickerId:{req_id}")
            return
        self._close(req_id)

    def _close(self, req_id: int) -> None:
        del self._lines[req_id]
        self._user_lines.give_back((id(self), req_id))

    def end(self) -> None:
        """Give every line back: the client is gone."""
        for req_id in list(self._lines):
            self._close(req_id)

    def beat(self, board: Board, now: float) -> None:
        """Tell what changed on every line; a client that still reads the last beat waits for the next."""
        if self._link.busy:
            return
        for line in list(self._lines.values()):
            self._tell(line, board, now)

    def _tell(self, line: _Line, board: Board, now: float) -> None:
        quote = self._quote(line, board)
        ticks = quote_ticks(quote) if quote else {}
        self._add_extras(line, ticks, board, quote)
        for kind, value in ticks.items():
            before = line.sent.get(kind)
            if before != value:
                self._link.send(tick_fields(line.req_id, kind, value, before, line.delayed))
                line.sent[kind] = value
                if kind == LAST and quote is not None:
                    stamp = str(int(quote.at.timestamp()))
                    self._link.send(tick_fields(line.req_id, LAST_TIME, stamp, None, line.delayed))
        if line.request.snapshot and (now >= line.until or _complete(ticks, line.is_option)):
            self._link.send(reply.ended(57, line.req_id))
            self._close(line.req_id)

    def _quote(self, line: _Line, board: Board) -> VenueQuote | None:
        if line.item is not None:
            return board.quote(line.item.con_id)
        return combo_quote(self._market, line.request.contract.legs, self._clock.now())

    def _add_extras(self, line: _Line, ticks: Ticks, board: Board, quote: VenueQuote | None) -> None:
        if line.item is None:
            return
        if line.is_option:
            model = board.model(line.item.con_id)
            if model is not None or MODEL_GREEKS in line.sent:
                ticks[MODEL_GREEKS] = model or NOT_COMPUTED
            if "101" in line.request.generic and quote is not None and quote.open_interest is not None:
                is_call = line.item.contract.right == "C"
                ticks[CALL_INTEREST if is_call else PUT_INTEREST] = float(quote.open_interest)
            return
        if "106" in line.request.generic:
            volatility = near_volatility(self._market, line.item, board.quote, board.model)
            if volatility is not None:
                ticks[IMPLIED_VOL] = round(volatility, 6)
        if "456" in line.request.generic and line.item.contract.sec_type is SecType.STOCK:
            ticks[DIVIDENDS] = _dividends(line.item.contract.symbol, self._clock.now())


def _dividends(symbol: str, now: datetime) -> str:
    """IBKR's text: past twelve months, next twelve months, next ex-date, next amount; empty where there is none."""
    told = dividends_of(symbol, now.astimezone(NEW_YORK).date())
    if told is None:
        return ",,,"
    return f"{told.a_year:g},{told.a_year:g},{told.next_ex:%Y%m%d},{told.next_amount:g}"


def _complete(ticks: Ticks, is_option: bool) -> bool:
    """Whether a snapshot has all it waits for: both sides (or a last, for what nobody quotes) and an option's model."""
    quoted = ticks.get(BID, NO_PRICE) != NO_PRICE and ticks.get(ASK, NO_PRICE) != NO_PRICE
    if is_option:
        return quoted and MODEL_GREEKS in ticks
    return quoted or LAST in ticks


def near_volatility(
    market: "Market",
    item: Instrument,
    quote_of: Callable[[int], VenueQuote | None],
    model_of: Callable[[int], ModelGreeks | None],
) -> float | None:
    """An underlying's thirty-day implied volatility: the model's at the listed call nearest to spot and 30 days."""
    quote = quote_of(item.con_id)
    spot = None if quote is None else (quote.last if quote.last is not None else quote.mid)
    if spot is None or quote is None:
        return None
    chains = market.chains(item.contract.symbol, item.con_id, item.contract.sec_type.value, "")
    expiries = {day for chain in chains for day in chain.expirations}
    day = min(expiries, key=lambda text: abs(_days(text, quote) - 30), default=None)
    if day is None:
        return None
    calls = market.find(symbol=item.contract.symbol, sec_type="OPT", expiry=day, right="C")
    nearest = min(calls, key=lambda call: abs((call.contract.strike or 0.0) - spot), default=None)
    model = None if nearest is None else model_of(nearest.con_id)
    return None if model is None else model.iv


def _days(text: str, quote: VenueQuote) -> int:
    return (date.fromisoformat(text) - quote.at.date()).days
