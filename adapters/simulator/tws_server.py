"""The TWS face of the venue: listens on loopback, keeps the clients apart, and beats the pulse that pushes changes.

Limits that IBKR counts per user (market-data lines, historical pacing, one what-if at a time) live here and are
shared by all clients; the message rate is each client's own.

Where it knowingly differs from IBKR: account updates come every few seconds instead of every three minutes; delayed
data is the present quote under the delayed types; every request is a line, also of a contract that has one already;
messages beyond the rate are refused, not served; conditional orders and algorithms but Adaptive are refused (387).
"""

import asyncio
import ipaddress
import logging
import time
from typing import TYPE_CHECKING

from adapters.simulator.tws_limits import HistoryPace, Lines, Rules
from adapters.simulator.tws_market_data import Board
from adapters.simulator.tws_orders import WhatIfLane
from adapters.simulator.tws_session import Session, greet
from adapters.simulator.types import OrderEvent

if TYPE_CHECKING:
    from adapters.simulator.venue import Venue

log = logging.getLogger(__name__)


class TwsServer:
    """A running TWS face. Made by `serve_tws`; `close` ends it and every client."""

    def __init__(self, venue: "Venue", rules: Rules, log_messages: bool) -> None:
        self.venue = venue
        self.rules = rules
        self.lines = Lines(rules.market_data_lines)
        self.history = HistoryPace(rules)
        self.what_ifs = WhatIfLane(rules)
        self.log: list[str] | None = [] if log_messages else None
        self.port = 0
        self._server: asyncio.Server | None = None
        self._pulse: asyncio.Task[None] | None = None
        self._sessions: dict[Session, asyncio.Task[None]] = {}
        self._left: dict[int, float] = {}  # client id → when its session ended
        self._idle_since: float | None = time.monotonic()

    @property
    def connected(self) -> int:
        """Clients that have said who they are."""
        return sum(session.link.client_id is not None for session in self._sessions)

    @property
    def idle_since(self) -> float | None:
        """time.monotonic() when the last client left (or the server began); None while anyone is connected."""
        return self._idle_since

    def note(self, message_id: str) -> None:
        """Remember a message id, when asked to."""
        if self.log is not None:
            self.log.append(message_id)

    def claim(self, client_id: int, session: Session) -> bool:
        """Whether a client id is free for this session: nobody holds it, and it did not leave a moment ago."""
        since = time.monotonic() - self._left.get(client_id, float("-inf"))
        if since < self.rules.reconnect_quiet:
            return False
        others = (s.link.client_id for s in self._sessions if s is not session and s.link.open)
        if client_id in others:
            return False
        self._idle_since = None
        return True

    async def start(self, host: str, port: int) -> None:
        self._server = await asyncio.start_server(self._accept, host, port)
        self.port = self._server.sockets[0].getsockname()[1]
        self.venue.exchange.listen(self._tell)
        self._pulse = asyncio.get_running_loop().create_task(self._beat())
        self._pulse.add_done_callback(self._pulse_ended)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            met = await greet(self, reader, writer)
            if met is None:
                return
            link, paced = met
            session = Session(self, reader, link, paced)
            self._sessions[session] = task
            try:
                await session.run()
            finally:
                del self._sessions[session]
                if link.client_id is not None:
                    self._left[link.client_id] = time.monotonic()
                if not self.connected:
                    self._idle_since = time.monotonic()
        except asyncio.CancelledError:
            pass  # the server closes; a cancelled connection handler would be logged as an error
        finally:
            writer.close()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.rules.tick_seconds)
            board, now = Board(self.venue.market), time.monotonic()
            for session in list(self._sessions):
                session.beat(board, now)

    def _pulse_ended(self, pulse: asyncio.Task[None]) -> None:
        if not pulse.cancelled() and pulse.exception() is not None:
            # Without its pulse the face would look alive and say nothing: clients must notice.
            log.critical("the venue's pulse failed", exc_info=pulse.exception())
            self.drop_clients()

    def _tell(self, event: OrderEvent) -> None:
        """An order's own client hears of it; everyone who listens to positions hears of a fill."""
        for session in list(self._sessions):
            if session.link.client_id is None or not session.link.open:
                continue
            if session.link.client_id == event.order.client_id:
                session.orders.event(event)
            if event.fill is not None and not event.fill.is_bag:
                session.account.filled()

    def drop_clients(self) -> None:
        """Cut every client off at once, as a TWS that dies."""
        for session in list(self._sessions):
            session.link.cut()

    async def close(self) -> None:
        """Stop listening, end every client, and wait for both."""
        if self._pulse is not None:
            self._pulse.cancel()
            await asyncio.gather(self._pulse, return_exceptions=True)
        self.venue.exchange.unlisten(self._tell)
        if self._server is not None:
            self._server.close()
        tasks = list(self._sessions.values())
        self.drop_clients()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()


async def serve_tws(
    venue: "Venue", host: str = "127.0.0.1", port: int = 0, *, rules: Rules | None = None, log_messages: bool = False
) -> TwsServer:
    """Open the TWS face of a venue on loopback and return it listening.

    Port 0 takes a free one (`.port` says which). Raises ValueError for an address that is not loopback, OSError when
    the port is taken.
    """
    if host != "localhost" and not _is_loopback(host):
        raise ValueError(f"the venue listens on loopback only, not on {host!r}: use 127.0.0.1")
    server = TwsServer(venue, rules or Rules(), log_messages)
    await server.start("127.0.0.1" if host == "localhost" else host, port)
    return server


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
