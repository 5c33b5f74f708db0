"""SQLite (WAL, BEGIN IMMEDIATE) or Postgres from one DATABASE_URL, and the two doors to it: reading and writing.

Three engines per database: readers (plain BEGIN), the writer for streams, and the durable writer whose commits are
on disk when they return (approvals, claims, intents, audit).
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from database.errors import DatabaseUnavailable, NotDurable, UnreadableDatabase

BUSY_MILLISECONDS = 5000
WORTH_VACUUM = 0.25  # share of a file that is empty before giving it back repays the writing
WAKE_CHANNEL = "desk"
AFTER_COMMIT = "after_commit"
"""Key in `session.info` of a list of async callables that run once the transaction is committed."""


def driver_url(url: str) -> URL:
    """The desk's spelling (sqlite:///path, postgresql://…) with the async driver filled in."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UnreadableDatabase(
            "DATABASE_URL is not a URL; use sqlite:///var/desk.db or postgresql://user@host/name"
        ) from error
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    dialect = parsed.get_backend_name()
    if dialect not in drivers:
        raise UnreadableDatabase(f"DATABASE_URL begins with {dialect!r}; use sqlite:///… or postgresql://…")
    if dialect == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise UnreadableDatabase("DATABASE_URL names no file; processes meet in one: use sqlite:///var/desk.db")
    return parsed.set(drivername=drivers[dialect])


@dataclass(frozen=True)
class Engines:
    """The three engines of one database."""

    url: URL
    reader: AsyncEngine
    writer: AsyncEngine
    durable: AsyncEngine

    @property
    def dialect(self) -> str:
        return self.url.get_backend_name()

    @property
    def path(self) -> Path | None:
        """The file of an SQLite database, None on Postgres."""
        return Path(str(self.url.database)) if self.dialect == "sqlite" else None

    async def tidy(self) -> None:
        """Fold SQLite's write-ahead log into its file and give much empty space back; Postgres tends itself."""
        if self.path is None:
            return
        try:
            await asyncio.to_thread(_tidy_file, self.path)
        except sqlite3.Error as error:
            raise unavailable(error) from error

    async def close(self) -> None:
        for engine in (self.reader, self.writer, self.durable):
            await engine.dispose()


def _tidy_file(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000)
    try:
        connection.execute("PRAGMA optimize")
        pages, free = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
        if free > pages * WORTH_VACUUM:
            connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def open_engines(url: str) -> Engines:
    """Engines for a URL; nothing is connected yet."""
    parsed = driver_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Engines(
            parsed,
            reader=_sqlite(parsed, "BEGIN", "NORMAL", connections=4),
            writer=_sqlite(parsed, "BEGIN IMMEDIATE", "NORMAL", connections=1),
            durable=_sqlite(parsed, "BEGIN IMMEDIATE", "FULL", connections=1),
        )
    return Engines(
        parsed,
        # Like SQLite's readers: one snapshot for all statements of a read, and no writing.
        reader=_postgres(parsed, "on", connections=4).execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        ),
        writer=_postgres(parsed, "off", connections=3),
        durable=_postgres(parsed, "on", connections=2),
    )


def _sqlite(url: URL, begin: str, synchronous: str, connections: int) -> AsyncEngine:
    # isolation_level None hands BEGIN to us: the driver's own default loses updates silently (measured).
    engine = create_async_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        connect_args={"isolation_level": None, "timeout": BUSY_MILLISECONDS / 1000},
    )
    pragmas = {
        "busy_timeout": BUSY_MILLISECONDS,
        "journal_mode": "wal",
        "synchronous": {"NORMAL": 1, "FULL": 2}[synchronous],
        "foreign_keys": 1,
    }

    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for name, wanted in pragmas.items():
            cursor.execute(f"PRAGMA {name}={wanted}")
            cursor.execute(f"PRAGMA {name}")
            got = cursor.fetchone()[0]
            if str(got).lower() != str(wanted):
                raise NotDurable(
                    f"SQLite refused PRAGMA {name}={wanted} (it says {got}); is the file on a network disk?"
                )
        cursor.close()

    event.listen(engine.sync_engine, "connect", prepare)
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _postgres(url: URL, synchronous_commit: str, connections: int) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=connections,
        max_overflow=2,
        pool_pre_ping=True,
        connect_args={
            "timeout": 10,
            "server_settings": {"synchronous_commit": synchronous_commit, "timezone": "UTC"},
        },
    )


class Sessions:
    """The two doors. One store belongs to one event loop."""

    def __init__(self, engines: Engines, committed: Callable[[], None]) -> None:
        self.engines = engines
        self.dialect = engines.dialect
        self._committed = committed
        self._turn = asyncio.Lock()
        self._writing: set[asyncio.Task[Any] | None] = set()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A consistent read on one connection; writes nothing. Raises DatabaseUnavailable."""
        async with self._session(self.engines.reader) as session:
            yield session  # closing detaches the rows as they are; rolling back would expire them

    @asynccontextmanager
    async def writing(self, durable: bool = False) -> AsyncIterator[AsyncSession]:
        """One transaction, committed at the end of the block or not at all; whoever waits for changes is woken.

        `durable` returns only when the commit is on disk. Nesting in one task would wait for itself: RuntimeError.
        """
        task = asyncio.current_task()
        if task in self._writing:
            raise RuntimeError("this task already holds a writing transaction; pass its session on instead")
        self._writing.add(task)
        try:
            async with (
                self._in_turn(),
                self._session(self.engines.durable if durable else self.engines.writer) as session,
            ):
                yield session
                if self.dialect == "postgresql":
                    await session.execute(text(f"NOTIFY {WAKE_CHANNEL}"))
                await session.commit()
                after = session.info.get(AFTER_COMMIT, ())
        finally:
            self._writing.discard(task)
        self._committed()
        for callback in after:
            await callback()

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        # SQLite has one writer: queueing here is fair and instant, its busy handler sleeps up to 100 ms a try.
        if self.dialect == "sqlite":
            async with self._turn:
                yield
        else:
            yield

    @asynccontextmanager
    async def _session(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            try:
                await session.connection()  # BEGIN now: SQLite's writer takes its lock before the first read
            except (OSError, SQLAlchemyError) as error:
                raise unavailable(error) from error
            try:
                yield session
            except (IntegrityError, DataError, ProgrammingError):
                raise  # the question was wrong, not the connection
            except DBAPIError as error:
                raise unavailable(error) from error

    async def check_durable(self) -> None:
        """Read back that the durable writer forces its commits to disk; raises NotDurable."""
        question, good = (
            ("PRAGMA synchronous", ("2", "3"))
            if self.dialect == "sqlite"
            else ("SHOW synchronous_commit", ("on", "remote_write", "remote_apply"))
        )
        async with self._session(self.engines.durable) as session:
            answer = str((await session.execute(text(question))).scalar_one())
        if answer not in good:
            raise NotDurable(f"the durable writer answers {question} with {answer}; set it to {good[0]}")


def unavailable(error: BaseException) -> DatabaseUnavailable:
    """The error of a driver in the desk's words; never with a password."""
    cause = getattr(error, "orig", None) or error
    words = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    return DatabaseUnavailable(f"the database does not answer: {words}")


AfterCommit = Callable[[], Awaitable[None]]


def after_commit(session: AsyncSession, callback: AfterCommit) -> None:
    """Run `callback` once this transaction is on disk; not at all when it rolls back."""
    session.info.setdefault(AFTER_COMMIT, []).append(callback)
