"""The one way to ask another process for something: a signed row with a deadline, claimed once, answered in place."""

import hmac
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from database.audit import canonical, plain
from database.engine import Sessions
from database.keys import derived_key
from database.wake import Changes, Wake
from models.control import Request, RequestStatus

ENDED = (RequestStatus.DONE, RequestStatus.FAILED, RequestStatus.EXPIRED)
LONGEST_WAIT = 1.0


class Requests:
    """Asking and answering. Part of `store.control`."""

    sessions: Sessions
    wake: Wake
    key: bytes

    async def ask(
        self, kind: str, payload: dict[str, Any], by: str, now: datetime, deadline: datetime, target: str = "bridge"
    ) -> int:
        """Put the question; returns its id. Nobody answers after the deadline."""
        row = Request(kind=kind, target=target, payload=plain(payload), by=by, created_at=now, deadline=deadline)
        row.signature = self._signature(row)
        async with self.sessions.writing() as session:
            session.add(row)
        assert row.id is not None
        return row.id

    async def claim_requests(
        self, target: str, by: str, now: datetime, kinds: Collection[str] | None = None
    ) -> list[Request]:
        """Everything (or of `kinds`) asked of `target` and not yet claimed, oldest first; each is given out just once.

        What is past its deadline expires; what nobody with the key has signed fails.
        """
        waiting = _waiting(target, kinds)
        if not await self._anything(waiting):
            return []
        async with self.sessions.writing() as session:
            rows = list(await session.scalars(waiting.with_for_update(skip_locked=True)))
            return [row for row in rows if self._claim(row, by, now)]

    async def waiting_requests(self, target: str, kinds: Collection[str]) -> list[int]:
        """What `claim_requests` would look at, by number; nothing is claimed."""
        async with self.sessions.reading() as session:
            return list(await session.scalars(_waiting(target, kinds).with_only_columns(col(Request.id))))

    async def _anything(self, waiting: Any) -> bool:
        # Asked on every wake-up: a read first, so that looking does not itself wake everybody.
        async with self.sessions.reading() as session:
            return (await session.execute(waiting.with_only_columns(col(Request.id)).limit(1))).first() is not None

    def _claim(self, row: Request, by: str, now: datetime) -> bool:
        if row.deadline <= now:
            row.status, row.result = RequestStatus.EXPIRED, {"failure": "nobody took it before its deadline"}
            return False
        if not hmac.compare_digest(row.signature, self._signature(row)):
            row.status, row.result = RequestStatus.FAILED, {"failure": "its signature does not match; nothing was done"}
            return False
        row.status, row.claimed_by, row.claimed_at = RequestStatus.CLAIMED, by, now
        return True

    async def answer(self, id: int, result: dict[str, Any] | None = None, failure: str | None = None) -> None:
        """Answer a claimed request with a result or with why not (`result["failure"]`)."""
        status = RequestStatus.FAILED if failure is not None else RequestStatus.DONE
        body = {**(plain(result) or {}), **({"failure": failure} if failure is not None else {})}
        open_ = update(Request).where(col(Request.id) == id, col(Request.status) == RequestStatus.CLAIMED)
        async with self.sessions.writing() as session:
            await session.execute(open_.values(status=status, result=body))

    async def request(self, id: int) -> Request:
        """Raises LookupError when there is none."""
        async with self.sessions.reading() as session:
            row = await session.get(Request, id)
        if row is None:
            raise LookupError(f"there is no request {id}")
        return row

    async def await_answer(self, id: int, deadline: datetime) -> Request:
        """The request once it ended, or as it stands at `deadline`; an unclaimed one expires then."""
        changes = Changes(self.wake)
        row = await self.request(id)
        while row.status not in ENDED:
            left = (deadline - datetime.now(UTC)).total_seconds()
            if left <= 0:
                return await self._give_up(id)
            await changes.wait(min(left, LONGEST_WAIT))
            row = await self.request(id)
        return row

    async def _give_up(self, id: int) -> Request:
        late = update(Request).where(col(Request.id) == id, col(Request.status) == RequestStatus.ASKED)
        async with self.sessions.writing() as session:
            words = {"failure": "nobody answered in time"}
            await session.execute(late.values(status=RequestStatus.EXPIRED, result=words))
            return await _present(session, id)

    def _signature(self, row: Request) -> str:
        body = [row.kind, row.target, row.payload, row.by, row.created_at, row.deadline]
        return derived_key(derived_key(self.key, "request"), canonical(body).decode()).hex()


def _waiting(target: str, kinds: Collection[str] | None) -> Select[Any]:
    waiting = select(Request).where(col(Request.status) == RequestStatus.ASKED, col(Request.target) == target)
    return (waiting if kinds is None else waiting.where(col(Request.kind).in_(kinds))).order_by(col(Request.id))


async def _present(session: AsyncSession, id: int) -> Request:
    return (await session.scalars(select(Request).where(col(Request.id) == id))).one()
