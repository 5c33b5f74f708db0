"""Waiting for the memory to change: LISTEN/NOTIFY on Postgres, PRAGMA data_version on SQLite, both plus our own
commits at once.

A wake-up says "look again", never what changed; a spurious one costs a look, a lost one would cost a trade.
"""

import asyncio
import contextlib
import logging
import sqlite3
from typing import Any

from database.engine import WAKE_CHANNEL, Engines

log = logging.getLogger(__name__)

POLL_SECONDS = 0.015
RELISTEN_SECONDS = 1.0


class Wake:
    """One per store. Counts what it noticed; every `Changes` compares the count with the one it last saw."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._count = 0
        self._event = asyncio.Event()
        self._waiters = 0
        self._watch: asyncio.Task[None] | None = None
        self._probe: sqlite3.Connection | None = None
        self._version: int | None = None

    @property
    def count(self) -> int:
        return self._count

    def tell(self) -> None:
        """Something was committed: everybody waiting looks again."""
        self._count += 1
        self._event.set()
        self._event = asyncio.Event()
        if self._probe is not None:
            self._version = self._read_version()  # our own commit: do not wake twice for it

    async def wait(self, seen: int, timeout: float) -> bool:  # noqa: ASYNC109
        """True as soon as the count has passed `seen`, False after `timeout` seconds."""
        if self._count != seen:
            return True
        self._waiters += 1
        if self._watch is None or self._watch.done():
            watch = self._poll if self._engines.dialect == "sqlite" else self._listen
            self._watch = asyncio.create_task(watch(), name="wake")
        event = self._event
        try:
            await asyncio.wait_for(event.wait(), timeout)
            return True
        except TimeoutError:
            return False
        finally:
            self._waiters -= 1

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        if self._probe is not None:
            self._probe.close()
            self._probe = None

    # ── SQLite ───────────────────────────────────────────────────────────────────────────────────────────────────
    async def _poll(self) -> None:
        # data_version is a look at shared memory (microseconds), so it runs on the loop itself; idle without waiters.
        while self._waiters:
            version = self._read_version()
            if version != self._version:
                self._version = version
                self.tell()
            await asyncio.sleep(POLL_SECONDS)

    def _read_version(self) -> int | None:
        try:
            if self._probe is None:
                self._probe = sqlite3.connect(str(self._engines.path), isolation_level=None, timeout=0)
            row: tuple[int] = self._probe.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return None  # locked for a moment: differs from any number, so the waiter looks for itself
        return row[0]

    # ── Postgres ─────────────────────────────────────────────────────────────────────────────────────────────────
    async def _listen(self) -> None:
        while self._waiters:
            try:
                await self._hear()
            except (OSError, TimeoutError, _driver_errors()) as error:
                log.warning(
                    "not listening for changes (%s); looking every %.0f s", type(error).__name__, RELISTEN_SECONDS
                )
                self.tell()
                await asyncio.sleep(RELISTEN_SECONDS)

    async def _hear(self) -> None:
        import asyncpg

        lost = asyncio.Event()
        arguments = self._engines.reader.dialect.create_connect_args(self._engines.url)[1]
        connection: Any = await asyncpg.connect(
            **{key: value for key, value in arguments.items() if not key.startswith(("prepared_", "async_"))},
            timeout=10,
        )
        try:
            connection.add_termination_listener(lambda *_: lost.set())
            await connection.add_listener(WAKE_CHANNEL, lambda *_: self.tell())
            self.tell()  # what was committed before we listened was not heard
            await lost.wait()
        finally:
            connection.terminate()
        raise OSError("the listening connection was closed")


def _driver_errors() -> type[Exception]:
    import asyncpg

    errors: type[Exception] = asyncpg.PostgresError
    return errors


class Changes:
    """One waiter's place: nothing committed after its creation or its last wake-up is missed."""

    def __init__(self, wake: Wake) -> None:
        self._wake = wake
        self._seen = wake.count

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 – the deadline is part of the question
        """True when something may have changed since the last call, False when `timeout` seconds passed quietly."""
        changed = await self._wake.wait(self._seen, timeout)
        self._seen = self._wake.count
        return changed
