"""Streams keep flowing when the memory does not answer: DBCircuitBreaker and the durable JSONL buffer behind it.

Closed: batches are written at once. Open: they go to the buffer, in order, on disk. Half-open: after a pause the
buffer is replayed in order; success closes, failure opens again. Replaying twice changes nothing, so a crash between
the two is harmless. Decisions never pass here: what cannot be written durably is not done.
"""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

from database.errors import DatabaseUnavailable
from database.market import Market
from models.market import Bar, ChainRow, GreekSnapshot, MarketState, Quote, SurfaceRow

log = logging.getLogger(__name__)

BUFFER_NAME = "stream_buffer.jsonl"


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class DBCircuitBreaker:
    """One per streams process. `now` is machine time."""

    def __init__(
        self,
        market: Market,
        var_dir: Path,
        failures: int = 3,
        retry_after: timedelta = timedelta(seconds=5),
        max_bytes: int = 64_000_000,
    ) -> None:
        self.state = BreakerState.CLOSED
        self.dropped = 0
        """Batches that found the buffer full, or that no database would take."""
        self._writers = _writers(market)
        self._kinds = {model: kind for kind, (model, _) in self._writers.items()}
        self._buffer = var_dir / BUFFER_NAME
        self._allowed_failures = failures
        self._retry_after = retry_after
        self._max_bytes = max_bytes
        self._failed = 0
        self._opened_at: datetime | None = None
        self._turn = asyncio.Lock()

    @property
    def buffered_bytes(self) -> int:
        """How much waits on disk."""
        return self._buffer.stat().st_size if self._buffer.exists() else 0

    async def write(self, rows: Sequence[SQLModel], now: datetime) -> bool:
        """Write a batch of one kind of row, or keep it for later; True when it is in the database now."""
        if not rows:
            return True
        kind = self._kinds[type(rows[0])]
        async with self._turn:
            if self._resting(now):
                await self._keep(kind, rows)
                return False
            if self.buffered_bytes:
                await self._keep(kind, rows)  # behind what waits already: order is kept
                return await self._drain(now)
            return await self._try(kind, rows, now)

    async def drain(self, now: datetime) -> bool:
        """Replay what waits, if it is time; True when nothing waits any more."""
        async with self._turn:
            if not self.buffered_bytes:
                return True
            return False if self._resting(now) else await self._drain(now)

    def _resting(self, now: datetime) -> bool:
        return (
            self.state is BreakerState.OPEN
            and self._opened_at is not None
            and now - self._opened_at < self._retry_after
        )

    async def _try(self, kind: str, rows: Sequence[SQLModel], now: datetime) -> bool:
        try:
            await self._writers[kind][1](rows)
        except DatabaseUnavailable as error:
            await self._keep(kind, rows)
            self._failure(now, error)
            return False
        self._success()
        return True

    async def _drain(self, now: datetime) -> bool:
        if self.state is BreakerState.OPEN:
            self.state = BreakerState.HALF_OPEN
        batches = await asyncio.to_thread(_read_batches, self._buffer)
        for done, (kind, raw) in enumerate(batches):
            try:
                await self._replay(kind, raw)
            except DatabaseUnavailable as error:
                await asyncio.to_thread(_rewrite, self._buffer, batches[done:])
                self._failure(now, error)
                return False
        await asyncio.to_thread(self._buffer.unlink)
        self._success()
        return True

    async def _replay(self, kind: str, raw: list[dict[str, Any]]) -> None:
        try:
            model, write = self._writers[kind]
            await write([model.model_validate(item) for item in raw])
        except (KeyError, ValueError, SQLAlchemyError):
            self.dropped += 1  # a batch that no healthy database takes must not hold up the rest
            log.exception("a buffered batch of %s was refused and dropped", kind)

    def _failure(self, now: datetime, error: DatabaseUnavailable) -> None:
        self._failed += 1
        if self.state is BreakerState.HALF_OPEN or self._failed >= self._allowed_failures:
            if self.state is not BreakerState.OPEN:
                log.warning("streams are buffered to %s: %s", self._buffer, error)
            self.state, self._opened_at = BreakerState.OPEN, now

    def _success(self) -> None:
        self.state, self._failed, self._opened_at = BreakerState.CLOSED, 0, None

    async def _keep(self, kind: str, rows: Sequence[SQLModel]) -> None:
        if self.buffered_bytes >= self._max_bytes:
            self.dropped += 1
            return
        line = _line(kind, [row.model_dump(mode="json") for row in rows])
        await asyncio.to_thread(_append, self._buffer, line)


Writer = Callable[[Sequence[Any]], Awaitable[None]]


def _writers(market: Market) -> dict[str, tuple[type[SQLModel], Writer]]:
    async def surfaces(rows: Sequence[SurfaceRow]) -> None:
        for row in rows:
            await market.write_surface(row)

    return {
        "quotes": (Quote, market.upsert_quotes),
        "greek_snapshots": (GreekSnapshot, market.add_greek_snapshots),
        "states": (MarketState, market.write_states),
        "chains": (ChainRow, market.write_chains),
        "surfaces": (SurfaceRow, surfaces),
        "bars": (Bar, market.add_bars),
    }


def _line(kind: str, rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"kind": kind, "rows": rows}, separators=(",", ":")).encode() + b"\n"


def _append(path: Path, line: bytes) -> None:
    with path.open("ab+") as file:
        if file.tell() and not _ends_whole(file):
            file.write(b"\n")  # a crash tore the last line; it must not take this one with it
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _ends_whole(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _read_batches(path: Path) -> list[tuple[str, list[dict[str, Any]]]]:
    batches = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            body = json.loads(line)
            batches.append((body["kind"], body["rows"]))
        except (ValueError, KeyError, TypeError):
            log.warning("%s line %d was torn by a crash and is skipped", path, number)
    return batches


def _rewrite(path: Path, batches: Sequence[tuple[str, list[dict[str, Any]]]]) -> None:
    draft = path.with_suffix(".part")
    with draft.open("wb") as file:
        file.writelines(_line(kind, rows) for kind, rows in batches)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
