"""How the processes meet: the desk's identity and clock, switches, leases, heartbeats, locks, alerts, call log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from database.audit import Audit
from database.engine import Sessions
from database.errors import WrongDesk
from database.requests import Requests
from database.upsert import conditional, table_of, upsert, values_of
from database.wake import Wake
from models.clock import DeskClock
from models.control import Alert, ApiLog, AuditEntry, DeskRow, Heartbeat, Lease, LockRow, Switch
from models.settings import mask_account

FIRING, NORMAL = "firing", "normal"
SEVERITY_ORDER = ("red", "yellow", "info")


@dataclass(frozen=True)
class Control(Requests):
    """Everything the processes tell each other beside trades. All moments are machine time unless said otherwise."""

    sessions: Sessions
    chain: Audit
    wake: Wake
    key: bytes

    # ── the desk ─────────────────────────────────────────────────────────────────────────────────────────────────
    async def desk(self) -> DeskRow:
        """The one row that says whose memory this is."""
        async with self.sessions.reading() as session:
            return (await session.scalars(select(DeskRow).where(col(DeskRow.id) == 1))).one()

    async def bind_desk(self, account_ids: Sequence[str], venue_id: str | None) -> DeskRow:
        """Fix accounts and venue at the first connection; later ones must be the same. Raises WrongDesk."""
        async with self.sessions.writing(durable=True) as session:
            row = await _desk_locked(session)
            if row.account_ids and set(row.account_ids) != set(account_ids):
                raise WrongDesk(
                    f"this database belongs to account {_masked(row.account_ids)}, the broker offers "
                    f"{_masked(account_ids)}; use another DATABASE_URL for another account"
                )
            if row.venue_id and venue_id and row.venue_id != venue_id:
                raise WrongDesk(
                    f"this database belongs to venue {row.venue_id}, the broker is {venue_id}; "
                    "use another DATABASE_URL or reset the demo"
                )
            row.account_ids = list(row.account_ids or account_ids)
            row.venue_id = row.venue_id or venue_id
            return row

    async def set_clock(self, clock: DeskClock) -> None:
        """Publish desk time: every process computes it from this anchor and its own machine clock."""
        fresh = {
            "clock_machine_at": clock.machine_at, "clock_desk_at": clock.desk_at, "clock_rate": clock.rate,
        }  # fmt: skip
        async with self.sessions.writing() as session:
            await session.execute(update(DeskRow).where(col(DeskRow.id) == 1).values(**fresh))

    async def desk_clock(self, now: datetime) -> DeskClock:
        """The published clock, else UTC."""
        row = await self.desk()
        if row.clock_machine_at is None or row.clock_desk_at is None:
            return DeskClock.utc(now)
        return DeskClock(row.clock_machine_at, row.clock_desk_at, row.clock_rate)

    # ── switches ─────────────────────────────────────────────────────────────────────────────────────────────────
    async def switch(self, name: str) -> Switch | None:
        """A switch, or None when it was never set. halt and pause always exist: None for them is unreadable."""
        async with self.sessions.reading() as session:
            return await session.get(Switch, name)

    async def switches(self) -> dict[str, Switch]:
        async with self.sessions.reading() as session:
            return {row.name: row for row in await session.scalars(select(Switch))}

    async def set_switch(self, name: str, value: str, by: str, reason: str, now: datetime) -> None:
        """Set it and write the audit; the acknowledgement begins anew."""
        fresh = Switch(name=name, value=value, set_by=by, reason=reason, set_at=now, acknowledged_at=None)
        async with self.sessions.writing(durable=True) as session:
            await session.execute(upsert(self.sessions.dialect, Switch, ["name"]).values(**values_of(fresh)))
            await self.chain.append(session, by, "switch", name, {"value": value, "reason": reason}, now)

    async def acknowledge_switch(self, name: str, now: datetime) -> bool:
        """The bridge acts on the present setting from now on; True when nobody had said so before."""
        unheard = update(Switch).where(col(Switch.name) == name, col(Switch.acknowledged_at).is_(None))
        async with self.sessions.writing() as session:
            result = await session.execute(unheard.values(acknowledged_at=now).returning(col(Switch.name)))
            return result.first() is not None

    # ── heartbeats and leases ────────────────────────────────────────────────────────────────────────────────────
    async def beat(self, heartbeat: Heartbeat) -> None:
        """The last word of an agent, one row each."""
        async with self.sessions.writing() as session:
            await session.execute(upsert(self.sessions.dialect, Heartbeat, ["agent"]).values(**values_of(heartbeat)))

    async def heartbeats(self) -> list[Heartbeat]:
        async with self.sessions.reading() as session:
            return list(await session.scalars(select(Heartbeat).order_by(col(Heartbeat.agent))))

    async def take_lease(self, job: str, holder: str, now: datetime, seconds: float) -> bool:
        """Take a free or expired lease, or renew one's own; False when another holds it. `slot` counts the lives."""
        leases = table_of(Lease)
        until = now + timedelta(seconds=seconds)
        mine = leases.c.holder == holder
        fresh = {
            "holder": holder, "until": until, "slot": case((mine, leases.c.slot), else_=leases.c.slot + 1),
        }  # fmt: skip
        statement = conditional(self.sessions.dialect, Lease, ["job"], fresh, mine | (leases.c.until <= now))
        async with self.sessions.writing() as session:
            row = Lease(job=job, holder=holder, slot=1, until=until)
            result = await session.execute(statement.values(**values_of(row)).returning(leases.c.job))
            return result.first() is not None

    async def release_lease(self, job: str, holder: str) -> None:
        async with self.sessions.writing() as session:
            await session.execute(delete(Lease).where(col(Lease.job) == job, col(Lease.holder) == holder))

    async def lease(self, job: str) -> Lease | None:
        async with self.sessions.reading() as session:
            return await session.get(Lease, job)

    # ── alerts, call log, locks ──────────────────────────────────────────────────────────────────────────────────
    async def raise_alert(self, cause: str, severity: str, title: str, body: str, source: str, now: datetime) -> bool:
        """One cause, one row: counted when it fires again. True when it was not firing before and nobody silenced it:
        notify now."""
        async with self.sessions.writing() as session:
            row = (await session.scalars(select(Alert).where(col(Alert.cause) == cause).with_for_update())).first()
            if row is None:
                fresh = Alert(
                    cause=cause, severity=severity, state=FIRING, title=title, body=body, source=source,
                    first_seen=now, last_seen=now,
                )  # fmt: skip
                session.add(fresh)
                return True
            newly = row.state == NORMAL
            if newly:
                row.first_seen, row.acknowledged_by, row.acknowledged_at, row.count = now, None, None, 0
            row.state, row.severity, row.title, row.body, row.source = FIRING, severity, title, body, source
            row.last_seen, row.count = now, row.count + 1
            return newly and (row.silenced_until is None or row.silenced_until <= now)

    async def settle_alert(self, cause: str, now: datetime) -> bool:
        """The cause is gone; True when it was firing."""
        firing = update(Alert).where(col(Alert.cause) == cause, col(Alert.state) != NORMAL)
        async with self.sessions.writing() as session:
            result = await session.execute(firing.values(state=NORMAL, last_seen=now).returning(col(Alert.id)))
            return result.first() is not None

    async def alerts(self, settled: bool = False) -> list[Alert]:
        """Firing alerts, unacknowledged and gravest first; with `settled` also those that are over."""
        gravity = case(*[(col(Alert.severity) == name, rank) for rank, name in enumerate(SEVERITY_ORDER)], else_=9)
        query = select(Alert) if settled else select(Alert).where(col(Alert.state) != NORMAL)
        order = (col(Alert.acknowledged_at).is_not(None), gravity, col(Alert.last_seen).desc())
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(*order)))

    async def acknowledge_alert(self, id: int, by: str, now: datetime) -> None:
        async with self.sessions.writing() as session:
            seen = update(Alert).where(col(Alert.id) == id)
            await session.execute(seen.values(acknowledged_by=by, acknowledged_at=now))

    async def silence_alert(self, id: int, until: datetime, by: str, now: datetime) -> None:
        """Until then its cause neither notifies nor waits for the person; who asked for it is audited."""
        async with self.sessions.writing(durable=True) as session:
            await session.execute(update(Alert).where(col(Alert.id) == id).values(silenced_until=until))
            await self.chain.append(session, by, "silence", f"alert {id}", {"until": until}, now)

    async def log_call(self, row: ApiLog) -> None:
        """One exchange with a counterparty; the caller has masked ids and left secrets out."""
        async with self.sessions.writing() as session:
            session.add(row)

    async def api_logs(self, limit: int = 200) -> list[ApiLog]:
        async with self.sessions.reading() as session:
            return list(await session.scalars(select(ApiLog).order_by(col(ApiLog.id).desc()).limit(limit)))

    async def locks(self, account: str | None = None) -> list[LockRow]:
        """Locks not freed, oldest first."""
        query = select(LockRow).where(col(LockRow.freed_at).is_(None))
        if account is not None:
            query = query.where(col(LockRow.account_id) == account)
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(LockRow.id))))

    # ── audit ────────────────────────────────────────────────────────────────────────────────────────────────────
    async def audit(self, who: str, what: str, subject: str, detail: dict[str, Any], now: datetime) -> None:
        """One entry in its own durable transaction; inside another use `store.audit.append(session, …)`."""
        async with self.sessions.writing(durable=True) as session:
            await self.chain.append(session, who, what, subject, detail, now)

    async def audit_tail(self, limit: int = 100) -> list[AuditEntry]:
        return await self.chain.tail(limit)

    async def verify_audit(self) -> str | None:
        """What is wrong with the audit log in words, None when nothing is."""
        return await self.chain.verify()


async def _desk_locked(session: AsyncSession) -> DeskRow:
    return (await session.scalars(select(DeskRow).where(col(DeskRow.id) == 1).with_for_update())).one()


def _masked(account_ids: Sequence[str]) -> str:
    return ", ".join(mask_account(name) for name in account_ids) or "none"
