"""What the scorecard remembers: the lines that are followed, their days, and the facts a look at them needs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Select, and_, func, or_, select, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from database.engine import Sessions
from database.upsert import table_of, upsert, values_of
from models.appetite import BreachRow
from models.market import GreekSnapshot, MarketStateHistory
from models.order import Execution
from models.proposed_trade import Origin, ProposedTrade
from models.scorecard import Followed, FollowedDay

LATE_IDS = 500
"""How far below the newest followed id a proposal may still turn up: transactions end out of order."""

AT_ONCE = 200
"""Proposals taken up in one look: a desk that was never followed must not hold up the bell."""

DAY_KEY = ("followed_id", "day")

Newest = aliased(ProposedTrade)
Lines = Select[Followed, ProposedTrade, ProposedTrade]


@dataclass(frozen=True)
class FollowedLine:
    """A line with the first and the newest proposal of its run."""

    followed: Followed
    proposal: ProposedTrade
    newest: ProposedTrade

    @property
    def id(self) -> int:
        assert self.followed.id is not None
        return self.followed.id


@dataclass(frozen=True)
class ScoredLine:
    """A line as the journal lists it: its last day with a known profit (else its last), and how many closes it saw."""

    line: FollowedLine
    last: FollowedDay | None
    closes: int


@dataclass(frozen=True)
class Scorecard:
    """Followed proposals and their days. Moments are machine time; days and their `at` are the desk's."""

    sessions: Sessions

    # ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────
    async def unfollowed(self) -> list[ProposedTrade]:
        """Proposals that belong to no run yet, oldest first and at most AT_ONCE; mocks are never followed."""
        first = aliased(ProposedTrade)
        newest = select(func.coalesce(func.max(col(Followed.last_proposal_id)), 0)).scalar_subquery()
        within = and_(
            col(first.account_id) == col(ProposedTrade.account_id),
            col(first.origin) == col(ProposedTrade.origin),
            col(first.legs_hash) == col(ProposedTrade.legs_hash),
            col(first.quantity) == col(ProposedTrade.quantity),
            col(ProposedTrade.id).between(col(Followed.proposal_id), col(Followed.last_proposal_id)),
        )
        run = select(col(Followed.id)).join(first, col(first.id) == col(Followed.proposal_id)).where(within).exists()
        query = select(ProposedTrade).where(
            col(ProposedTrade.id) > newest - LATE_IDS, col(ProposedTrade.origin) != Origin.MOCK, ~run
        )
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(ProposedTrade.id)).limit(AT_ONCE)))

    async def last_run(self, proposal: ProposedTrade) -> FollowedLine | None:
        """The newest line of the same account, origin, legs and quantity."""
        same = _lines().where(
            col(ProposedTrade.account_id) == proposal.account_id,
            col(ProposedTrade.origin) == proposal.origin,
            col(ProposedTrade.legs_hash) == proposal.legs_hash,
            col(ProposedTrade.quantity) == proposal.quantity,
        )
        found = await self._found(same.order_by(col(Followed.proposal_id).desc()).limit(1))
        return found[0] if found else None

    async def add(self, row: Followed) -> None:
        async with self.sessions.writing() as session:
            session.add(row)

    async def extend(self, followed_id: int, proposal_id: int) -> None:
        """One more of the same run."""
        more = {"last_proposal_id": proposal_id, "times": col(Followed.times) + 1}
        async with self.sessions.writing() as session:
            await session.execute(update(Followed).where(col(Followed.id) == followed_id).values(**more))

    async def live(self) -> list[FollowedLine]:
        """Lines whose life is not over, oldest first."""
        return await self._found(_lines().where(col(Followed.ended_at).is_(None)).order_by(col(Followed.id)))

    async def save(self, rows: Sequence[Followed]) -> None:
        """What changed on lines that were read before."""
        if rows:
            async with self.sessions.writing() as session:
                for row in rows:
                    await session.merge(row)

    # ── days ─────────────────────────────────────────────────────────────────────────────────────────────────────
    async def write_days(self, rows: Sequence[FollowedDay]) -> None:
        """A day is rewritten until it is closed; what is unknown now never replaces what was known that day."""
        days = table_of(FollowedDay)
        is_open = days.c.closed.is_(False)
        known, unknown = ([row for row in rows if (row.value is None) == missing] for missing in (False, True))
        async with self.sessions.writing() as session:
            connection = await session.connection()
            for some, replaceable in ((known, is_open), (unknown, and_(is_open, days.c.value.is_(None)))):
                if some:
                    statement = upsert(self.sessions.dialect, FollowedDay, DAY_KEY, where=replaceable)
                    await connection.execute(statement, [values_of(row) for row in some])

    async def close_days(self, until: date) -> None:
        """Every day up to `until` stands as it is from now on."""
        still_open = update(FollowedDay).where(col(FollowedDay.day) <= until, col(FollowedDay.closed).is_(False))
        async with self.sessions.writing() as session:
            await session.execute(still_open.values(closed=True))

    async def last_days(self) -> dict[int, date]:
        """The newest closed day of each live line that has one."""
        query = (
            select(col(FollowedDay.followed_id), func.max(col(FollowedDay.day)))
            .join(Followed, col(Followed.id) == col(FollowedDay.followed_id))
            .where(col(Followed.ended_at).is_(None), col(FollowedDay.closed).is_(True))
            .group_by(col(FollowedDay.followed_id))
        )
        async with self.sessions.reading() as session:
            return {followed: day for followed, day in (await session.execute(query)).all()}

    async def decay_until(self, day: date) -> dict[int, FollowedDay]:
        """Of each live line the last row before `day` that knows theta and decay."""
        known = (
            select(func.max(col(FollowedDay.id)).label("id"))
            .join(Followed, col(Followed.id) == col(FollowedDay.followed_id))
            .where(
                col(Followed.ended_at).is_(None), col(FollowedDay.day) < day,
                col(FollowedDay.theta).is_not(None), col(FollowedDay.decay).is_not(None),
            )
            .group_by(col(FollowedDay.followed_id))
        )  # fmt: skip
        query = select(FollowedDay).where(col(FollowedDay.id).in_(known))
        async with self.sessions.reading() as session:
            return {row.followed_id: row for row in await session.scalars(query)}

    async def days_of(self, followed_id: int) -> list[FollowedDay]:
        """Oldest first."""
        query = select(FollowedDay).where(col(FollowedDay.followed_id) == followed_id).order_by(col(FollowedDay.day))
        async with self.sessions.reading() as session:
            return list(await session.scalars(query))

    async def board(self, limit: int = 500) -> list[ScoredLine]:
        """The newest lines with where they stand, newest first."""
        lines = await self._found(_lines().order_by(col(Followed.id).desc()).limit(limit))
        some = select(col(Followed.id)).order_by(col(Followed.id).desc()).limit(limit)
        best = (col(FollowedDay.profit).is_(None), col(FollowedDay.day).desc())
        place = func.row_number().over(partition_by=col(FollowedDay.followed_id), order_by=best).label("place")
        ranked = select(col(FollowedDay.id), place).where(col(FollowedDay.followed_id).in_(some)).subquery()
        rows = select(FollowedDay).join(ranked, ranked.c.id == col(FollowedDay.id)).where(ranked.c.place == 1)
        closed = (
            select(col(FollowedDay.followed_id), func.count())
            .where(col(FollowedDay.closed).is_(True), col(FollowedDay.followed_id).in_(some))
            .group_by(col(FollowedDay.followed_id))
        )
        async with self.sessions.reading() as session:
            last = {row.followed_id: row for row in await session.scalars(rows)}
            closes: dict[int, int] = {followed: count for followed, count in (await session.execute(closed)).all()}
        return [ScoredLine(line, last.get(line.id), closes.get(line.id, 0)) for line in lines]

    # ── facts ────────────────────────────────────────────────────────────────────────────────────────────────────
    async def breach_spells(self, accounts: Iterable[str], since: datetime) -> list[BreachRow]:
        """Breaches that stood at `since` or began later, oldest first."""
        query = select(BreachRow).where(
            col(BreachRow.account_id).in_(list(accounts)),
            or_(col(BreachRow.until).is_(None), col(BreachRow.until) >= since),
        )
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(BreachRow.since))))

    async def traded(self, account: str, after: datetime, until: datetime) -> set[str]:
        """References of the orders that filled in between; a fill of nobody's order counts as the empty one."""
        query = select(col(Execution.order_ref)).where(
            col(Execution.account_id) == account,
            col(Execution.recorded_at) > after,
            col(Execution.recorded_at) <= until,
        )
        async with self.sessions.reading() as session:
            return set(await session.scalars(query.distinct()))

    async def levels(self, name: str, start: datetime, end: datetime) -> list[MarketStateHistory]:
        """A named number between two moments of desk time, oldest first."""
        query = select(MarketStateHistory).where(
            col(MarketStateHistory.name) == name, col(MarketStateHistory.at).between(start, end)
        )
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(MarketStateHistory.at))))

    async def closing_greeks(
        self, identities: Iterable[str], start: datetime, end: datetime
    ) -> dict[str, GreekSnapshot]:
        """Our own last record of each contract between two moments of desk time."""
        query = select(GreekSnapshot).where(
            col(GreekSnapshot.identity).in_(list(identities)),
            col(GreekSnapshot.source) == "own",
            col(GreekSnapshot.at).between(start, end),
        )
        async with self.sessions.reading() as session:
            return {row.identity: row for row in await session.scalars(query.order_by(col(GreekSnapshot.at)))}

    async def _found(self, query: Lines) -> list[FollowedLine]:
        async with self.sessions.reading() as session:
            rows = (await session.execute(query)).all()
            return [FollowedLine(followed, proposal, newest) for followed, proposal, newest in rows]


def _lines() -> Lines:
    return (
        select(Followed, ProposedTrade, Newest)
        .join(ProposedTrade, col(ProposedTrade.id) == col(Followed.proposal_id))
        .join(Newest, col(Newest.id) == col(Followed.last_proposal_id))
    )
