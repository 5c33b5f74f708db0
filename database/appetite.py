"""How much risk the person wants: limits and their versions, overrides, the universe, and the breaches seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlmodel import col

from database.audit import Audit
from database.engine import Sessions
from database.ingest import add_once
from models.appetite import BreachRow, LimitsVersion, Override, UniverseRow
from models.quant.overrides import standing_of


@dataclass(frozen=True)
class Appetite:
    """Limits, overrides, universe and breaches. Moments are machine time."""

    sessions: Sessions
    chain: Audit

    async def limits_in_force(self) -> LimitsVersion | None:
        """The newest version; None means the file models/risk_regimes.toml."""
        async with self.sessions.reading() as session:
            return (
                await session.scalars(select(LimitsVersion).order_by(col(LimitsVersion.id).desc()).limit(1))
            ).first()

    async def add_limits(self, row: LimitsVersion) -> int:
        """A new version, in force at once; who and why go into the audit."""
        async with self.sessions.writing(durable=True) as session:
            session.add(row)
            await session.flush()
            assert row.id is not None
            detail = {"profile": row.profile, "reason": row.reason}
            await self.chain.append(session, row.by, "limits", f"limits {row.id}", detail, row.at)
            return row.id

    async def overrides(self, now: datetime) -> list[Override]:
        """Exceptions in force."""
        query = select(Override).where(or_(col(Override.until).is_(None), col(Override.until) > now))
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(Override.id))))

    async def set_override(self, row: Override) -> int:
        """In force at once, until its end or `end_override`. Raises OverrideError when it says nothing that holds."""
        standing = standing_of(row)
        async with self.sessions.writing(durable=True) as session:
            session.add(row)
            await session.flush()
            assert row.id is not None
            detail = {
                "subject": str(standing.subject), "rule": row.rule, "value": row.value, "reason": row.reason,
                "until": row.until,
            }  # fmt: skip
            await self.chain.append(session, row.by, "override", f"override {row.id}", detail, row.at)
            return row.id

    async def end_override(self, id: int, by: str, reason: str, now: datetime) -> bool:
        """It ends now, for a reason; False when it is not in force any more. The only way an override loosens."""
        standing = (col(Override.id) == id, or_(col(Override.until).is_(None), col(Override.until) > now))
        ended = update(Override).where(*standing).values(until=now).returning(col(Override.id))
        async with self.sessions.writing(durable=True) as session:
            if (await session.execute(ended)).first() is None:
                return False
            await self.chain.append(session, by, "override ended", f"override {id}", {"reason": reason}, now)
            return True

    async def universe(self) -> list[UniverseRow]:
        async with self.sessions.reading() as session:
            return list(await session.scalars(select(UniverseRow).order_by(col(UniverseRow.symbol))))

    async def seed_universe(self, rows: Sequence[UniverseRow]) -> None:
        """First values; symbols the person has already are left as they are."""
        if rows:
            async with self.sessions.writing() as session:
                await add_once(session, rows, ["symbol"])

    async def open_breaches(self, account: str | None = None) -> list[BreachRow]:
        """Limits passed now, longest first."""
        query = select(BreachRow).where(col(BreachRow.until).is_(None))
        if account is not None:
            query = query.where(col(BreachRow.account_id) == account)
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(BreachRow.since))))

    async def record_breaches(
        self, account: str, breaches: Sequence[BreachRow], now: datetime, heal: timedelta = timedelta()
    ) -> list[BreachRow]:
        """What this look found: new kinds open, known ones are refreshed, missing ones close. Returns the new ones.

        One that comes back within `heal` of its end never healed: the same row goes on, with its old `since`.
        """
        ended = or_(col(BreachRow.until).is_(None), col(BreachRow.until) > now - heal)
        standing = select(BreachRow).where(col(BreachRow.account_id) == account, ended).order_by(col(BreachRow.id))
        async with self.sessions.writing() as session:
            lately = {row.kind: row for row in await session.scalars(standing.with_for_update())}
            new: list[BreachRow] = []
            for breach in breaches:
                known = lately.pop(breach.kind, None)
                if known is None:
                    breach.since = breach.last_seen = now
                    session.add(breach)
                    new.append(breach)
                else:
                    _refresh(known, breach, now)
            for gone in lately.values():
                gone.until = gone.until or now
            return new


def _refresh(known: BreachRow, seen: BreachRow, now: datetime) -> None:
    for name in ("value", "limit", "distance", "use", "regime", "profile", "is_cap"):
        setattr(known, name, getattr(seen, name))
    known.last_seen, known.until = now, None
