"""The one store of the desk: opening it (checked, migrated, of the right mode) and everything that can be asked.

Each noun's questions live in their own module; a store belongs to the event loop it was opened on.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from database.appetite import Appetite
from database.audit import Audit
from database.book import Book
from database.control import Control
from database.engine import Engines, Sessions, open_engines
from database.errors import UnusableFolder
from database.keys import approval_key
from database.market import Market
from database.migrations.apply import prepare
from database.orders import Orders
from database.proposals import Proposals
from database.scorecard import Scorecard
from database.wake import Changes, Wake


@dataclass(frozen=True)
class Store:
    """Everything the desk remembers."""

    mode: str
    var_dir: Path
    key: bytes
    """Signs approvals and requests; from var/approval.key."""
    audit: Audit
    control: Control
    proposals: Proposals
    orders: Orders
    book: Book
    market: Market
    appetite: Appetite
    scorecard: Scorecard
    _engines: Engines
    _sessions: Sessions
    _wake: Wake

    @property
    def dialect(self) -> str:
        """sqlite or postgresql."""
        return self._sessions.dialect

    def reading(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A consistent read; writes nothing."""
        return self._sessions.reading()

    def writing(self, durable: bool = False) -> AbstractAsyncContextManager[AsyncSession]:
        """One transaction; `durable` returns only when it is on disk. Nesting in one task raises RuntimeError."""
        return self._sessions.writing(durable)

    def changes(self) -> Changes:
        """A waiter that misses nothing committed from now on, by this or any other process."""
        return Changes(self._wake)

    async def tidy(self) -> None:
        """Housekeeping after the close; readers and writers may go on, a writer waits a moment."""
        await self._engines.tidy()

    async def close(self) -> None:
        await self._wake.close()
        await self._engines.close()


async def open_store(url: str, *, mode: str, var_dir: Path, now: datetime) -> Store:
    """Open, migrate and check the memory. Raises DatabaseError with the remedy in its words.

    A missing SQLite file is made (its folder only when it is `var_dir`); a Postgres database must exist.
    """
    try:
        var_dir.mkdir(parents=True, exist_ok=True, mode=0o700)  # noqa: ASYNC240 – once, at start
    except OSError as error:
        raise UnusableFolder(f"{var_dir} cannot be made ({error}); set DESK_VAR to a writable folder") from error
    key = approval_key(var_dir)
    engines = open_engines(url)
    wake = Wake(engines)
    sessions = Sessions(engines, wake.tell)
    try:
        await prepare(engines, str(mode), now)
        await sessions.check_durable()
        chain = Audit(sessions, key, var_dir)
        await chain.catch_up()
    except BaseException:
        await engines.close()
        raise
    return Store(
        mode=str(mode),
        var_dir=var_dir,
        key=key,
        audit=chain,
        control=Control(sessions, chain, wake, key),
        proposals=Proposals(sessions, chain, key),
        orders=Orders(sessions),
        book=Book(sessions),
        market=Market(sessions),
        appetite=Appetite(sessions, chain),
        scorecard=Scorecard(sessions),
        _engines=engines,
        _sessions=sessions,
        _wake=wake,
    )
