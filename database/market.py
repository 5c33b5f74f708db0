"""The market as the desk last saw it, and who wants to see what. Only the streams process writes market facts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlmodel import col

from database.engine import Sessions
from database.ingest import add_once, upsert_many
from models.market import (
    Bar,
    ChainRow,
    DividendRow,
    GreekSnapshot,
    MarketState,
    MarketStateHistory,
    Quote,
    Subscription,
    SurfaceMisses,
    SurfaceRow,
)
from models.quant.option import Contract
from models.quant.structure import contract_to_json

HISTORY_STEP = timedelta(minutes=1)
IDENTITIES_PER_QUERY = 500


@dataclass(frozen=True)
class Market:
    """Quotes, chains, surfaces, dividends, named numbers, wishes, bars. `at` is desk, `received_at` machine time."""

    sessions: Sessions

    # ── quotes ───────────────────────────────────────────────────────────────────────────────────────────────────
    async def quotes(self, identities: Iterable[str] | None = None) -> dict[str, Quote]:
        """Latest quotes by identity; without `identities` all of them."""
        async with self.sessions.reading() as session:
            if identities is None:
                return {row.identity: row for row in await session.scalars(select(Quote))}
            wanted = sorted(set(identities))
            found: dict[str, Quote] = {}
            for start in range(0, len(wanted), IDENTITIES_PER_QUERY):
                some = wanted[start : start + IDENTITIES_PER_QUERY]
                rows = await session.scalars(select(Quote).where(col(Quote.identity).in_(some)))
                found.update((row.identity, row) for row in rows)
            return found

    async def upsert_quotes(self, rows: Sequence[Quote]) -> None:
        """Latest per contract; an older `received_at` never replaces a newer one."""
        if rows:
            async with self.sessions.writing() as session:
                await upsert_many(session, rows, ["identity"], newer="received_at")

    async def add_greek_snapshots(self, rows: Sequence[GreekSnapshot]) -> None:
        """History; the same identity, moment and source a second time adds nothing."""
        if rows:
            async with self.sessions.writing() as session:
                await add_once(session, rows, ["identity", "at", "source"])

    # ── chains and surfaces ──────────────────────────────────────────────────────────────────────────────────────
    async def chains(self, symbol: str | None = None) -> list[ChainRow]:
        """The classes listed on one underlying, or on all of them, by class."""
        query = select(ChainRow) if symbol is None else select(ChainRow).where(col(ChainRow.symbol) == symbol)
        query = query.order_by(col(ChainRow.trading_class))
        async with self.sessions.reading() as session:
            return list(await session.scalars(query))

    async def write_chains(self, rows: Sequence[ChainRow]) -> None:
        if rows:
            async with self.sessions.writing() as session:
                await upsert_many(session, rows, ["symbol", "trading_class"])

    async def surface(self, symbol: str) -> SurfaceRow | None:
        async with self.sessions.reading() as session:
            return await session.get(SurfaceRow, symbol)

    async def surfaces(self) -> dict[str, SurfaceRow]:
        async with self.sessions.reading() as session:
            return {row.symbol: row for row in await session.scalars(select(SurfaceRow))}

    async def write_surface(self, row: SurfaceRow) -> None:
        async with self.sessions.writing() as session:
            await upsert_many(session, [row], ["symbol"], newer="received_at")

    async def misses(self, symbol: str, day: date) -> SurfaceMisses | None:
        """How far modelled prices were off on one exchange day; None when nothing was counted yet."""
        async with self.sessions.reading() as session:
            return await session.get(SurfaceMisses, (symbol, day))

    async def latest_misses(self) -> list[SurfaceMisses]:
        """The last day counted of every underlying, by symbol."""
        symbol, day = col(SurfaceMisses.symbol), col(SurfaceMisses.day)
        last = select(symbol, func.max(day).label("day")).group_by(symbol).subquery()
        query = select(SurfaceMisses).join(last, (symbol == last.c.symbol) & (day == last.c.day))
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(SurfaceMisses.symbol))))

    async def write_misses(self, row: SurfaceMisses) -> None:
        async with self.sessions.writing() as session:
            await upsert_many(session, [row], ["symbol", "day"])

    # ── dividends ────────────────────────────────────────────────────────────────────────────────────────────────
    async def dividends(self, symbols: Iterable[str]) -> list[DividendRow]:
        """Dividends told of these underlyings, by symbol and ex-date, those gone ex among them."""
        query = select(DividendRow).where(col(DividendRow.symbol).in_(sorted(set(symbols))))
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(DividendRow.symbol), col(DividendRow.ex_date))))

    async def write_dividends(self, symbol: str, source: str, rows: Sequence[DividendRow], today: date) -> None:
        """What one source says of one underlying from `today` on, in place of what it said before."""
        async with self.sessions.writing() as session:
            await session.execute(
                delete(DividendRow).where(
                    col(DividendRow.symbol) == symbol,
                    col(DividendRow.source) == source,
                    col(DividendRow.ex_date) >= today,
                )
            )
            if rows:
                await upsert_many(session, rows, ["symbol", "ex_date"])

    # ── named numbers ────────────────────────────────────────────────────────────────────────────────────────────
    async def states(self) -> dict[str, MarketState]:
        async with self.sessions.reading() as session:
            return {row.name: row for row in await session.scalars(select(MarketState))}

    async def write_states(self, rows: Sequence[MarketState]) -> None:
        """Latest per name; one point a minute of desk time is kept as history."""
        if not rows:
            return
        async with self.sessions.writing() as session:
            await upsert_many(session, rows, ["name"], newer="received_at")
            for row in rows:
                if row.value is None:
                    continue
                last = select(func.max(MarketStateHistory.at)).where(col(MarketStateHistory.name) == row.name)
                newest = (await session.execute(last)).scalar_one()
                if newest is None or abs(row.at - newest) >= HISTORY_STEP:
                    session.add(MarketStateHistory(name=row.name, value=row.value, at=row.at))

    async def state_history(self, name: str, since: datetime) -> list[MarketStateHistory]:
        """Oldest first; `since` is desk time."""
        query = select(MarketStateHistory).where(
            col(MarketStateHistory.name) == name, col(MarketStateHistory.at) >= since
        )
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(MarketStateHistory.at))))

    # ── wishes ───────────────────────────────────────────────────────────────────────────────────────────────────
    async def subscriptions(self, now: datetime) -> list[Subscription]:
        """Wishes still standing at machine time `now`."""
        query = select(Subscription).where(col(Subscription.until) > now).order_by(col(Subscription.id))
        async with self.sessions.reading() as session:
            return list(await session.scalars(query))

    async def want(self, contracts: Sequence[Contract], purpose: str, by: str, until: datetime) -> None:
        """Ask the streams for live quotes until then; asking again moves the end."""
        rows = [
            Subscription(
                identity=contract.identity, contract_json=contract_to_json(contract), purpose=purpose, wanted_by=by,
                until=until,
            )
            for contract in contracts
        ]  # fmt: skip
        if rows:
            async with self.sessions.writing() as session:
                await upsert_many(session, rows, ["identity", "purpose"])

    async def unwant(self, purpose: str, by: str) -> None:
        """Withdraw every wish of one asker for one purpose."""
        async with self.sessions.writing() as session:
            await session.execute(
                delete(Subscription).where(col(Subscription.purpose) == purpose, col(Subscription.wanted_by) == by)
            )

    async def forget_wishes(self, now: datetime) -> None:
        """Drop wishes that ended; the streams process calls it now and then."""
        async with self.sessions.writing() as session:
            await session.execute(delete(Subscription).where(col(Subscription.until) <= now))

    # ── bars ─────────────────────────────────────────────────────────────────────────────────────────────────────
    async def bars(self, symbol: str, timeframe: str, limit: int = 500) -> list[Bar]:
        """The newest `limit` bars, oldest first."""
        query = select(Bar).where(col(Bar.symbol) == symbol, col(Bar.timeframe) == timeframe)
        async with self.sessions.reading() as session:
            newest = list(await session.scalars(query.order_by(col(Bar.at).desc()).limit(limit)))
        return newest[::-1]

    async def add_bars(self, rows: Sequence[Bar]) -> None:
        """A bar heard again replaces itself: the last one of a day still moves."""
        if rows:
            async with self.sessions.writing() as session:
                await upsert_many(session, rows, ["symbol", "timeframe", "at"])
