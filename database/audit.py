"""Who did what when: a keyed hash chain whose head row is locked on write, mirrored line by line to var/audit.log.

Changing, removing or inserting an entry breaks the chain; cutting off its end contradicts the head row and the file.
"""

import asyncio
import fcntl
import hashlib
import hmac
import json
import logging
import os
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from database.engine import Sessions, after_commit
from database.errors import DatabaseError
from database.keys import derived_key
from models.control import AuditEntry, AuditHead

log = logging.getLogger(__name__)

FIRST = "0" * 64
MIRROR_NAME = "audit.log"


def plain(value: Any) -> Any:
    """A value as JSON that reads back the same from SQLite and from JSONB; NaN becomes the word."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value + 0.0 if value - value == 0.0 else str(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value)


def canonical(value: Any) -> bytes:
    """One spelling for one value. JSONB forgets key order and whether 1e20 was a float: so does this."""
    return json.dumps(_spelled(plain(value)), sort_keys=True, separators=(",", ":")).encode()


def _spelled(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        whole = isinstance(value, int) or value.is_integer()
        return f"#{int(value)}" if whole else f"#{value!r}"
    if isinstance(value, dict):
        return {key: _spelled(item) for key, item in value.items()}
    return [_spelled(item) for item in value]


def digest_of(key: bytes, previous: str, entry: AuditEntry) -> str:
    """HMAC-SHA256 over the previous digest and everything this entry says."""
    body = [previous, entry.at, entry.who, entry.what, entry.subject, entry.detail]
    return hmac.new(key, canonical(body), hashlib.sha256).hexdigest()


class Audit:
    """The chain and its mirror file."""

    def __init__(self, sessions: Sessions, key: bytes, var_dir: Path) -> None:
        self._sessions = sessions
        self._key = derived_key(key, "audit")
        self._mirror = var_dir / MIRROR_NAME

    async def append(
        self, session: AsyncSession, who: str, what: str, subject: str, detail: dict[str, Any], now: datetime
    ) -> AuditEntry:
        """One more link, inside the caller's (durable) transaction; the file gets its line after the commit."""
        head = (await session.execute(select(AuditHead).where(col(AuditHead.id) == 1).with_for_update())).scalar_one()
        entry = AuditEntry(
            at=now, who=who, what=what, subject=subject, detail=plain(detail), previous=head.digest, digest=""
        )
        entry.digest = digest_of(self._key, head.digest, entry)
        head.digest, head.entries = entry.digest, head.entries + 1
        session.add(entry)
        await session.flush()
        if "mirrored" not in session.info:
            session.info["mirrored"] = True
            after_commit(session, self.catch_up)
        return entry

    async def tail(self, limit: int) -> list[AuditEntry]:
        """The newest entries, newest first."""
        async with self._sessions.reading() as session:
            return list(await session.scalars(select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(limit)))

    async def catch_up(self) -> None:
        """Bring the file to the end of the chain; what fails is logged and caught up later, never raised: the caller's
        transaction is on disk, and must not look as if it were not."""
        try:
            last = await asyncio.to_thread(last_mirrored, self._mirror)
            async with self._sessions.reading() as session:
                entries = await session.scalars(
                    select(AuditEntry).where(col(AuditEntry.id) > last).order_by(col(AuditEntry.id))
                )
                lines = [(entry.id or 0, _line(entry)) for entry in entries]
            await asyncio.to_thread(append_lines, self._mirror, lines)
        except (OSError, ValueError, DatabaseError):
            log.exception("the audit file %s is behind the chain", self._mirror)

    async def verify(self) -> str | None:
        """What is wrong with the chain or its file, in words; None when all is well."""
        async with self._sessions.reading() as session:
            entries = list(await session.scalars(select(AuditEntry).order_by(col(AuditEntry.id))))
            head = await session.get(AuditHead, 1)
            count = (await session.execute(select(func.count()).select_from(AuditEntry))).scalar_one()
        if head is None:
            return "the head row of the audit chain is missing"
        broken = await asyncio.to_thread(self._broken_link, entries)
        if broken:
            return broken
        if head.entries != count or head.digest != (entries[-1].digest if entries else FIRST):
            return f"the audit chain ends at {count} entries, its head row says {head.entries}"
        return await asyncio.to_thread(self._mirror_differs, entries)

    def _broken_link(self, entries: Sequence[AuditEntry]) -> str | None:
        previous = FIRST
        for entry in entries:
            if entry.previous != previous:
                return f"audit entry {entry.id} does not follow the one before it: entries were removed or inserted"
            if not hmac.compare_digest(entry.digest, digest_of(self._key, previous, entry)):
                return f"audit entry {entry.id} ({entry.what} by {entry.who}) was changed after it was written"
            previous = entry.digest
        return None

    def _mirror_differs(self, entries: Sequence[AuditEntry]) -> str | None:
        if not self._mirror.exists():
            return None if not entries else f"{self._mirror} is missing"
        known = {entry.id: entry.digest for entry in entries}
        seen = 0
        for number, line in enumerate(self._mirror.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                written = json.loads(line)
                identity, digest = written["id"], written["digest"]
            except (ValueError, KeyError, TypeError):
                return f"{self._mirror} line {number} is not an audit line"
            if known.get(identity) != digest:
                return f"{self._mirror} line {number} holds entry {identity}, which the database does not hold so"
            seen += 1
        if seen != len(entries):
            return f"{self._mirror} holds {seen} of {len(entries)} entries"
        return None


def _line(entry: AuditEntry) -> str:
    body = {
        "id": entry.id, "at": entry.at.isoformat(), "who": entry.who, "what": entry.what, "subject": entry.subject,
        "detail": plain(entry.detail), "previous": entry.previous, "digest": entry.digest,
    }  # fmt: skip
    return json.dumps(body, sort_keys=True)


def last_mirrored(path: Path) -> int:
    """Id on the file's last whole line, 0 without one. Raises ValueError when that is not an audit line."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1_000_000))
        lines = file.read().split(b"\n")[:-1]  # what no newline ends was torn off by a crash
    return int(json.loads(lines[-1])["id"]) if lines else 0


def _cut_torn_line(file: BinaryIO) -> None:
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - 1_000_000)
    file.seek(start)
    tail = file.read()
    if tail and not tail.endswith(b"\n"):
        file.truncate(start + tail.rfind(b"\n") + 1)


def append_lines(path: Path, lines: Sequence[tuple[int, str]]) -> None:
    """Append (id, line) pairs that the file does not hold yet, in order and on disk; processes take turns.

    A line that a crash tore off is cut away first: its entry is in the chain and is written again.
    """
    with path.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _cut_torn_line(file)
        last = last_mirrored(path)
        fresh = b"".join(line.encode() + b"\n" for identity, line in lines if identity > last)
        file.write(fresh)
        file.flush()
        os.fsync(file.fileno())
