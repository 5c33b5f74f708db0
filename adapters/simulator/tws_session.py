"""One client from its hello to its end: frames read, message rate held, each request handed to its desk."""

import asyncio
import logging
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from adapters.simulator import tws_replies as reply
from adapters.simulator import tws_requests as ask
from adapters.simulator.tws_account import AccountDesk
from adapters.simulator.tws_contracts import ContractDesk
from adapters.simulator.tws_history import HistoryDesk
from adapters.simulator.tws_limits import MessageRate, Pace
from adapters.simulator.tws_link import Link
from adapters.simulator.tws_market_data import Board, QuoteDesk
from adapters.simulator.tws_order_wire import PlaceOrder, parse_place_order
from adapters.simulator.tws_orders import OrderDesk
from adapters.simulator.tws_reading import parse_request, request_id_of
from adapters.simulator.tws_wire import FRAME_LIMIT, HANDSHAKE, WireError, decode_payload, negotiate

if TYPE_CHECKING:
    from adapters.simulator.tws_server import TwsServer

log = logging.getLogger(__name__)
HELLO_SECONDS = 10.0
FARMS = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefnj"),
)
PLACE_ORDER = "3"
Handler = Callable[[Any], None]


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The body of the next frame; raises IncompleteReadError at the end, WireError for an impossible length."""
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    if not 0 < length <= FRAME_LIMIT:
        raise WireError(f"frame: length {length} is not one a client sends")
    return await reader.readexactly(length)


class Session:
    """A connected client and its desks. Ends when the socket does, or when the venue cuts it."""

    def __init__(self, server: "TwsServer", reader: asyncio.StreamReader, link: Link, paced: bool) -> None:
        self.server = server
        self.link = link
        self._reader = reader
        self._paced = paced
        venue, rules = server.venue, server.rules
        self._venue = venue
        self._rate = MessageRate(rules.messages_a_second, rules.rate_strikes)
        self.account = AccountDesk(link, venue, rules)
        self.contracts = ContractDesk(link, venue)
        self.quotes = QuoteDesk(link, venue, rules, server.lines)
        self.history = HistoryDesk(link, venue, server.history)
        self.orders = OrderDesk(link, venue, rules, server.what_ifs)
        self._handlers = self._table()
        self._plain = self._plain_table()

    def _table(self) -> dict[type, Handler]:
        return {
            ask.StartApi: self._start,
            ask.Unsupported: self._unsupported,
            ask.Plain: lambda request: self._plain[request.kind](request.req_id),
            ask.AccountUpdates: self.account.updates,
            ask.AccountMulti: self.account.multi,
            ask.AccountSummary: self.account.summary,
            ask.Pnl: self.account.pnl,
            ask.ContractDetails: self.contracts.details,
            ask.OptionParameters: self.contracts.option_parameters,
            ask.MarketRule: self.contracts.market_rule,
            ask.MarketDataType: lambda request: self.quotes.choose(request.kind),
            ask.MarketDataRequest: lambda r: self.quotes.open(r, Board(self._venue.market), time.monotonic()),
            ask.HistoricalRequest: lambda request: self.history.bars(request, time.monotonic()),
            ask.HeadTimestamp: self.history.head,
            ask.CancelOrder: self.orders.cancel,
            ask.CompletedOrders: self.orders.completed,
            ask.Executions: self.orders.executions,
            PlaceOrder: self.orders.place,
        }

    def _plain_table(self) -> dict[str, Callable[[int], None]]:
        return {
            "nothing": lambda _: None,
            "log_level": lambda _: None,
            "auto_open_orders": lambda _: None,  # nobody places orders by hand at this venue: there is none to bind
            "managed_accounts": lambda _: self.link.send(reply.managed_accounts([self._venue.account_id])),
            "next_id": lambda _: self._send_next_id(),
            "current_time": lambda _: self.link.send(reply.current_time(self._venue.clock.now())),
            "open_orders": lambda _: self.orders.open_orders(everyone=False),
            "all_open_orders": lambda _: self.orders.open_orders(everyone=True),
            "global_cancel": lambda _: self.orders.cancel_all(),
            "positions": lambda _: self.account.positions(),
            "cancel_positions": lambda _: self.account.cancel_positions(),
            "cancel_account_multi": self.account.cancel_multi,
            "cancel_summary": self.account.cancel_summary,
            "cancel_pnl": self.account.cancel_pnl,
            "cancel_market_data": self.quotes.cancel,
            "cancel_history": self.history.cancel,
        }

    # ── the conversation ─────────────────────────────────────────────────────────────────────────────────────────
    async def run(self) -> None:
        """Serve until the client leaves or is cut off."""
        try:
            while self.link.open:
                payload = await read_frame(self._reader)
                if self._paced:
                    await asyncio.sleep(self._rate.wait(time.monotonic()))
                if self._admitted():
                    self._serve(payload)
                    await self.link.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client left
        except WireError as error:
            log.warning("client %s cut off: %s", self.link.client_id, error)
        finally:
            self.quotes.end()
            await self.link.end()

    def _admitted(self) -> bool:
        """Hold the client to its rate: the excess is refused with error 100, and too much of it ends the session."""
        pace = self._rate.admit(time.monotonic())
        if pace in (Pace.TOLD, Pace.CUT_OFF):
            text = f"Max rate of messages per second has been exceeded:max={self._rate.rate}"
            self.link.error(-1, 100, text)
        if pace is Pace.CUT_OFF:
            self.link.finish()
        return pace is Pace.OK

    def _serve(self, payload: bytes) -> None:
        fields = decode_payload(payload)
        self.server.note(fields[0])
        try:
            if self.link.client_id is None and fields[0] != "71":
                raise WireError("the first message of a client is startApi")
            if fields[0] == PLACE_ORDER:
                request: object = parse_place_order(fields, self.link.version)
            else:
                request = parse_request(fields, self.link.version)
        except WireError as error:
            self.link.error(request_id_of(fields), 320, f"Error reading request. {error}")
            return
        self._handlers[type(request)](request)

    def _unsupported(self, request: ask.Unsupported) -> None:
        text = f"Error processing request: {request.name} is not supported by this venue"
        self.link.error(request.req_id, 322, text)

    def _start(self, request: ask.StartApi) -> None:
        if self.link.client_id is not None:
            return
        if not self.server.claim(request.client_id, self):
            self.link.error(
                -1, 326, "Unable to connect as the client id is already in use. Retry with a unique client id."
            )
            self.link.finish()
            return
        self.link.client_id = request.client_id
        self.link.send(reply.managed_accounts([self._venue.account_id]))
        self._send_next_id()
        for code, text in FARMS:
            self.link.error(-1, code, text)

    def _send_next_id(self) -> None:
        assert self.link.client_id is not None
        self.link.send(reply.next_valid_id(self._venue.exchange.next_order_id(self.link.client_id)))

    def beat(self, board: Board, now: float) -> None:
        """Push what changed since the last beat."""
        if self.link.client_id is not None and self.link.open:
            self.quotes.beat(board, now)
            self.history.beat(now)
            self.account.beat(now)


async def greet(
    server: "TwsServer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[Link, bool] | None:
    """Agree on a version; None when this is no client the venue has a layout for (it is closed without a word)."""
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            if await reader.readexactly(len(HANDSHAKE)) != HANDSHAKE:
                raise WireError("hello: no API prefix")
            agreed = negotiate((await read_frame(reader)).decode("ascii", "replace"))
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError, WireError) as error:
        log.info("a connection was no TWS client: %s", error)
        return None
    if agreed is None:
        log.info("a client of another age was turned away")
        return None
    version, options = agreed
    link = Link(writer, version)
    link.send(reply.hello(version, server.venue.clock.now()))
    return link, "+PACEAPI" in options
