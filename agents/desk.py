"""The one composition root of the staff: environment → settings → store, clock and (when first needed) the feed.

Whatever an agent touches it reaches through the Desk it is handed; nothing else reads the environment here.
"""

import asyncio
import os
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from adapters.base import AdapterError, MarketData, NotConnected
from models.settings import Settings, read_settings

if TYPE_CHECKING:
    from agents.feed import Feed
    from database.store import Store

T = TypeVar("T")


def machine_now() -> datetime:
    return datetime.now(UTC)


def new_holder() -> str:
    """This process as a lease knows it: host, pid and a token, so that a dead holder on this host can be told."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@dataclass
class Desk:
    """What an agent's pass is handed. `machine_now` dates leases and heartbeats; `now()` is desk time."""

    settings: Settings
    store: "Store"
    holder: str = field(default_factory=new_holder)
    machine_now: Callable[[], datetime] = machine_now
    open_data: Callable[[Settings], Awaitable[MarketData]] | None = None
    """Opens the market data adapter; None takes adapters.connect's (imported only when a stream is wanted)."""
    _kept: dict[type[Any], Any] = field(default_factory=dict, repr=False)
    _feed: "Feed | None" = field(default=None, repr=False)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _failures: int = 0
    _retry_at: datetime | None = None
    _why_none: str = "no market data"

    async def now(self) -> datetime:
        """Desk time: the broker's clock in DEMO, UTC elsewhere."""
        machine = self.machine_now()
        return (await self.store.control.desk_clock(machine)).at(machine)

    def keep(self, kind: type[T]) -> T:
        """What an agent remembers between its passes in this process; a restart forgets it, by design."""
        if kind not in self._kept:
            self._kept[kind] = kind()
        kept: T = self._kept[kind]
        return kept

    async def feed(self) -> "Feed":
        """The process's one market-data connection: opened when first asked for, opened anew when it was lost.

        Raises AdapterError; between attempts it backs off 5, 10, 20 … 120 s.
        """
        async with self._opening:
            if self._feed is not None and self._feed.alive:
                return self._feed
            await self.close_feed()
            now = self.machine_now()
            if self._retry_at is not None and now < self._retry_at:
                raise NotConnected(f"{self._why_none}; the next attempt is at {self._retry_at:%H:%M:%S} UTC")
            self._failures += 1
            self._retry_at = now + timedelta(seconds=min(5 * 2 ** (self._failures - 1), 120))
            try:
                self._feed = await self._open_feed()
            except AdapterError as error:
                self._why_none = f"no market data: {error}"
                raise
            self._failures, self._retry_at = 0, None
            return self._feed

    async def _open_feed(self) -> "Feed":
        from agents.feed import Feed  # with ib_async behind it: only the streams need it

        data = await (self.open_data or _market_data)(self.settings)
        try:
            await data.connect()
        except BaseException:
            await data.close()
            raise
        return Feed(data, self.machine_now)

    async def close_feed(self) -> None:
        if self._feed is not None:
            feed, self._feed = self._feed, None
            await feed.close()

    async def close(self) -> None:
        await self.close_feed()
        await self.store.close()


async def _market_data(settings: Settings) -> MarketData:
    from adapters.connect import open_market_data

    return await open_market_data(settings)


def environment() -> dict[str, str]:
    """The environment over `.env`."""
    from dotenv import dotenv_values

    return {**{name: value for name, value in dotenv_values(".env").items() if value is not None}, **os.environ}


def settings_from_environment() -> Settings:
    """Read once; raises SettingsError naming the variable and the remedy."""
    return read_settings(environment())


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    """The desk of one process, closed at the end. Raises DatabaseError with its remedy."""
    from database.store import open_store

    store = await open_store(settings.database_url, mode=settings.mode, var_dir=settings.var_dir, now=machine_now())
    desk = Desk(settings, store)
    try:
        yield desk
    finally:
        await desk.close()
