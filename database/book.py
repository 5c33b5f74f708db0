"""The book as it is and was: positions ours and theirs, account money, greeks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from database.engine import Sessions
from models.book import PORTFOLIO, AccountSnapshot, BrokerPositionRow, PortfolioGreeks, Position


@dataclass(frozen=True)
class Book:
    """Positions, account snapshots and greeks. `at` is when we wrote it (machine time)."""

    sessions: Sessions

    async def positions(self, account: str | None = None) -> list[Position]:
        """Ours, without those that are flat."""
        query = select(Position).where(col(Position.quantity) != 0)
        if account is not None:
            query = query.where(col(Position.account_id) == account)
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(Position.identity))))

    async def broker_positions(self, account: str | None = None) -> list[BrokerPositionRow]:
        """Theirs: the broker's last full answer."""
        query = select(BrokerPositionRow)
        if account is not None:
            query = query.where(col(BrokerPositionRow.account_id) == account)
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(BrokerPositionRow.identity))))

    async def replace_broker_positions(self, account: str, rows: Sequence[BrokerPositionRow], now: datetime) -> None:
        """The broker's full answer replaces the one before it, whole; every row is dated `now`."""
        async with self.sessions.writing() as session:
            await session.execute(delete(BrokerPositionRow).where(col(BrokerPositionRow.account_id) == account))
            for row in rows:
                row.at = now
            session.add_all(rows)

    async def latest_account(self, account: str | None = None) -> AccountSnapshot | None:
        """The newest snapshot of an account; None asks for the newest of any."""
        query = select(AccountSnapshot).order_by(col(AccountSnapshot.id).desc())
        if account is not None:
            query = (
                select(AccountSnapshot)
                .where(col(AccountSnapshot.account_id) == account)
                .order_by(col(AccountSnapshot.at).desc())
            )
        async with self.sessions.reading() as session:
            return (await session.scalars(query.limit(1))).first()

    async def account_history(self, account: str, since: datetime) -> list[AccountSnapshot]:
        """Oldest first."""
        query = select(AccountSnapshot).where(
            col(AccountSnapshot.account_id) == account, col(AccountSnapshot.at) >= since
        )
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(AccountSnapshot.at))))

    async def write_account(self, row: AccountSnapshot) -> None:
        async with self.sessions.writing() as session:
            session.add(row)

    async def latest_greeks(self, account: str | None = None) -> list[PortfolioGreeks]:
        """All rows of the newest snapshot, PORTFOLIO first; None asks for the newest snapshot of every account."""
        async with self.sessions.reading() as session:
            accounts = [account] if account is not None else await _accounts(session)
            rows: list[PortfolioGreeks] = []
            for name in accounts:
                rows += await _newest_snapshot(session, name)
            return rows

    async def portfolio_history(self, account: str, since: datetime) -> list[PortfolioGreeks]:
        """PORTFOLIO rows, oldest first."""
        query = select(PortfolioGreeks).where(
            col(PortfolioGreeks.account_id) == account,
            col(PortfolioGreeks.contract) == PORTFOLIO,
            col(PortfolioGreeks.at) >= since,
        )
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(PortfolioGreeks.at))))

    async def write_greeks(self, rows: Sequence[PortfolioGreeks]) -> None:
        """One snapshot: the PORTFOLIO row and one per position, visible together or not at all."""
        async with self.sessions.writing() as session:
            session.add_all(rows)

    async def forget_position_greeks(self, before: datetime) -> int:
        """Drop per-position rows older than `before` (the PORTFOLIO rows stay as history); how many."""
        old = delete(PortfolioGreeks).where(
            col(PortfolioGreeks.contract) != PORTFOLIO, col(PortfolioGreeks.at) < before
        )
        async with self.sessions.writing() as session:
            return len((await session.execute(old.returning(col(PortfolioGreeks.id)))).all())


async def _accounts(session: AsyncSession) -> list[str]:
    """Accounts with greeks, found by skipping through the index: a DISTINCT would read the whole history."""
    found: list[str] = []
    column = col(PortfolioGreeks.account_id)
    name = (await session.execute(select(func.min(column)))).scalar_one()
    while name is not None:
        found.append(name)
        name = (await session.execute(select(func.min(column)).where(column > name))).scalar_one()
    return found


async def _newest_snapshot(session: AsyncSession, account: str) -> list[PortfolioGreeks]:
    newest = (
        select(col(PortfolioGreeks.snapshot_id))
        .where(col(PortfolioGreeks.account_id) == account, col(PortfolioGreeks.contract) == PORTFOLIO)
        .order_by(col(PortfolioGreeks.at).desc())
        .limit(1)
    )
    snapshot_id = (await session.execute(newest)).scalar_one_or_none()
    if snapshot_id is None:
        return []
    rows = await session.scalars(select(PortfolioGreeks).where(col(PortfolioGreeks.snapshot_id) == snapshot_id))
    return sorted(rows, key=lambda row: (row.contract != PORTFOLIO, row.contract))
