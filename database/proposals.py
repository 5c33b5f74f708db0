"""The inbox: what is proposed, what a person decided, and the signed word that lets a decision cross.

Every decision is one compare-and-set on id, status, legs and expiry; whoever comes second is told why in words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from sqlalchemy import ColumnElement, Select, Update, and_, case, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from database.audit import Audit
from database.engine import Sessions
from database.errors import DecisionRefused
from models.control import DeskRow
from models.proposed_trade import Approval, ApprovalStatement, Check, Origin, ProposalStatus, ProposedTrade
from models.quant.structure import Action

DESK = "desk"
"""Who decides when no person does: expiry and supersession."""


ROUNDING = 1e-9
"""Two prices closer than this are the same price."""


@dataclass(frozen=True)
class Proposals:
    """Proposed trades, approvals and checks. Moments are machine time."""

    sessions: Sessions
    chain: Audit
    key: bytes

    # ── writing them ─────────────────────────────────────────────────────────────────────────────────────────────
    async def replace_pending(
        self, account_id: str, origin: str, rows: Sequence[ProposedTrade], check: Check, now: datetime
    ) -> list[int]:
        """The end of a completed check, in one transaction: what is Pending and not snoozed of this account and
        origin becomes Superseded, the new rows and the check are inserted. Returns the new ids."""
        awake = or_(col(ProposedTrade.snoozed_until).is_(None), col(ProposedTrade.snoozed_until) <= now)
        old = (
            col(ProposedTrade.account_id) == account_id, col(ProposedTrade.origin) == origin,
            col(ProposedTrade.status) == ProposalStatus.PENDING, awake,
        )  # fmt: skip
        async with self.sessions.writing() as session:
            # Locked in the order of their ids, as every decision does: two transactions never wait for each other.
            ids = list(await session.scalars(_locked_ids(*old)))
            await session.execute(_ended(ids, ProposalStatus.SUPERSEDED, now, DESK, "a newer check replaced it"))
            session.add_all(rows)
            session.add(check)
            await session.flush()
            return [_id(row) for row in rows]

    async def add(self, row: ProposedTrade) -> int:
        async with self.sessions.writing() as session:
            session.add(row)
            await session.flush()
            return _id(row)

    async def measure(self, gaps: Mapping[int, float | None]) -> None:
        """Keep how far each proposal (id → share of the least possible cost, None unknown) is from the optimum."""
        async with self.sessions.writing() as session:
            for id in await session.scalars(_locked_ids(col(ProposedTrade.id).in_(gaps))):
                gap = update(ProposedTrade).where(col(ProposedTrade.id) == id).values(optimum_gap=gaps[id])
                await session.execute(gap.execution_options(synchronize_session=False))

    async def add_beside(self, row: ProposedTrade) -> int | None:
        """One more alternative of a breach set, while that is of the account's newest check and nobody has approved one
        of it; the new id, or None when it came too late."""
        newest = select(col(Check.breach_set_id)).where(col(Check.account_id) == row.account_id)
        taken = select(col(ProposedTrade.id)).where(
            col(ProposedTrade.breach_set_id) == row.breach_set_id, col(ProposedTrade.status) == ProposalStatus.APPROVED
        )
        async with self.sessions.writing() as session:
            await session.scalars(_locked_ids(col(ProposedTrade.breach_set_id) == row.breach_set_id))
            latest = (await session.scalars(newest.order_by(col(Check.id).desc()).limit(1))).first()
            if latest != row.breach_set_id or (await session.scalars(taken)).first() is not None:
                return None
            session.add(row)
            await session.flush()
            return _id(row)

    async def renew(self, rows: Sequence[tuple[int | None, ProposedTrade]], now: datetime) -> list[int]:
        """In one transaction: each row is inserted, and the Pending one before it (None: there was none) becomes
        Superseded. A row whose predecessor was decided or put to sleep meanwhile is not inserted. Returns the new ids.
        """
        before = {id for id, _ in rows if id is not None}
        awake = or_(col(ProposedTrade.snoozed_until).is_(None), col(ProposedTrade.snoozed_until) <= now)
        old = (col(ProposedTrade.id).in_(before), col(ProposedTrade.status) == ProposalStatus.PENDING, awake)
        async with self.sessions.writing() as session:
            ids = set(await session.scalars(_locked_ids(*old)))
            fresh = [row for id, row in rows if id is None or id in ids]
            await session.execute(_ended(sorted(ids), ProposalStatus.SUPERSEDED, now, DESK, "a newer look renewed it"))
            session.add_all(fresh)
            await session.flush()
            return [_id(row) for row in fresh]

    async def expire_due(self, now: datetime) -> int:
        """Pending rows past `expires_at` become Expired; how many."""
        due = (col(ProposedTrade.status) == ProposalStatus.PENDING, col(ProposedTrade.expires_at) <= now)
        async with self.sessions.reading() as session:
            if (await session.scalars(select(col(ProposedTrade.id)).where(*due).limit(1))).first() is None:
                return 0
        async with self.sessions.writing() as session:
            ids = list(await session.scalars(_locked_ids(*due)))
            await session.execute(_ended(ids, ProposalStatus.EXPIRED, now, DESK, "nobody decided in time"))
            return len(ids)

    async def expire_because(self, reasons: Mapping[int, str], now: datetime) -> list[int]:
        """Those of `reasons` (id → why) that are still Pending become Expired, each with its reason; returns them."""
        due = (col(ProposedTrade.id).in_(reasons), col(ProposedTrade.status) == ProposalStatus.PENDING)
        async with self.sessions.writing() as session:
            ids = list(await session.scalars(_locked_ids(*due)))
            for id in ids:
                await session.execute(_ended([id], ProposalStatus.EXPIRED, now, DESK, reasons[id]))
            return ids

    # ── reading them ─────────────────────────────────────────────────────────────────────────────────────────────
    async def pending(self, account_id: str | None, now: datetime, snoozed: bool = False) -> list[ProposedTrade]:
        """What awaits a decision: answers to a breach first, newest check first and by rank within it; with `snoozed`
        also what sleeps."""
        query = select(ProposedTrade).where(
            col(ProposedTrade.status) == ProposalStatus.PENDING, col(ProposedTrade.expires_at) > now
        )
        if account_id is not None:
            query = query.where(col(ProposedTrade.account_id) == account_id)
        if not snoozed:
            awake = or_(col(ProposedTrade.snoozed_until).is_(None), col(ProposedTrade.snoozed_until) <= now)
            query = query.where(awake)
        answers = case((col(ProposedTrade.origin) == Origin.HEDGE, 0), else_=1)
        order = (answers, col(ProposedTrade.created_at).desc(), col(ProposedTrade.id))
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(*order)))

    async def standing(self, account_id: str, origin: str, since: datetime) -> list[ProposedTrade]:
        """What is Pending of one origin, asleep or not, and what was Rejected of it since; newest first."""
        rejected = and_(
            col(ProposedTrade.status) == ProposalStatus.REJECTED, col(ProposedTrade.decided_at) >= since
        )  # fmt: skip
        query = select(ProposedTrade).where(
            col(ProposedTrade.account_id) == account_id,
            col(ProposedTrade.origin) == origin,
            or_(col(ProposedTrade.status) == ProposalStatus.PENDING, rejected),
        )
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(ProposedTrade.id).desc())))

    async def get(self, id: int) -> ProposedTrade | None:
        async with self.sessions.reading() as session:
            return await session.get(ProposedTrade, id)

    async def recent(self, limit: int = 50) -> list[ProposedTrade]:
        """Newest first, whatever became of them."""
        async with self.sessions.reading() as session:
            return list(
                await session.scalars(select(ProposedTrade).order_by(col(ProposedTrade.id).desc()).limit(limit))
            )

    async def approval_of(self, proposal_id: int) -> Approval | None:
        async with self.sessions.reading() as session:
            return (await session.scalars(select(Approval).where(col(Approval.proposal_id) == proposal_id))).first()

    async def last_check(self, account_id: str | None = None) -> Check | None:
        found = await self.checks(1, account_id)
        return found[0] if found else None

    async def checks(self, limit: int = 50, account_id: str | None = None) -> list[Check]:
        """Completed checks, newest first."""
        query = select(Check) if account_id is None else select(Check).where(col(Check.account_id) == account_id)
        async with self.sessions.reading() as session:
            return list(await session.scalars(query.order_by(col(Check.id).desc()).limit(limit)))

    # ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────────
    async def approve(
        self,
        id: int,
        legs_hash: str,
        quantity: int,
        limit_price: float,
        worst_price: float,
        by: str,
        now: datetime,
        good_for: float = 60.0,
        key: bytes | None = None,
    ) -> Approval:
        """Sign it: the bridge may cross exactly these legs, at most `quantity`, never past `worst_price` (debit
        positive), for `good_for` seconds. Siblings of its breach set are superseded, the audit is written, all in one
        durable transaction. Raises DecisionRefused; of two concurrent approvals exactly one succeeds.
        """
        async with self.sessions.writing(durable=True) as session:
            family = await self._family(session, id)
            proposal = family.get(id)
            _refuse_terms(id, proposal, quantity, limit_price, worst_price, good_for)
            taken = (
                update(ProposedTrade)
                .where(
                    col(ProposedTrade.id) == id,
                    col(ProposedTrade.status) == ProposalStatus.PENDING,
                    col(ProposedTrade.legs_hash) == legs_hash,
                    col(ProposedTrade.expires_at) > now,
                    col(ProposedTrade.origin) != Origin.MOCK,
                )
                .values(status=ProposalStatus.APPROVED, decided_at=now, decided_by=by)
                .returning(col(ProposedTrade.id))
                .execution_options(synchronize_session=False)
            )
            if len((await session.execute(taken)).all()) != 1:
                raise DecisionRefused(_why_not(id, proposal, legs_hash, now))
            assert proposal is not None
            desk = (await session.scalars(select(DeskRow).where(col(DeskRow.id) == 1))).one()
            statement = ApprovalStatement(
                proposal_id=id, legs_hash=legs_hash, action=Action.BUY, quantity=quantity, limit_price=limit_price,
                worst_price=worst_price, walk=proposal.walk, account_id=proposal.account_id, mode=desk.mode,
                epoch=desk.epoch, decided_by=by, decided_at=now, good_until=now + timedelta(seconds=good_for),
            )  # fmt: skip
            approval = _signed(statement, key or self.key)
            session.add(approval)
            siblings = [other for other, row in family.items() if other != id and row.status == ProposalStatus.PENDING]
            await session.execute(_ended(siblings, ProposalStatus.SUPERSEDED, now, by, f"proposal {id} was approved"))
            detail = {
                "legs_hash": legs_hash, "quantity": quantity, "limit_price": limit_price, "worst_price": worst_price,
                "good_until": statement.good_until, "superseded": siblings, "signature": approval.signature,
            }  # fmt: skip
            await self.chain.append(session, by, "approve", f"proposal {id}", detail, now)
            return approval

    async def reject(self, id: int, by: str, reason: str, now: datetime) -> None:
        """Raises DecisionRefused when it is no longer pending."""
        async with self.sessions.writing(durable=True) as session:
            taken = _ended([id], ProposalStatus.REJECTED, now, by, reason).returning(col(ProposedTrade.id))
            if not (await session.execute(taken)).all():
                raise DecisionRefused(_why_not(id, await session.get(ProposedTrade, id), None, None))
            await self.chain.append(session, by, "reject", f"proposal {id}", {"reason": reason}, now)

    async def snooze(self, id: int, until: datetime, by: str, now: datetime) -> None:
        """It sleeps until then and survives newer checks to its own expiry. Raises DecisionRefused."""
        pending = update(ProposedTrade).where(
            col(ProposedTrade.id) == id, col(ProposedTrade.status) == ProposalStatus.PENDING
        )
        async with self.sessions.writing(durable=True) as session:
            taken = pending.values(snoozed_until=until).returning(col(ProposedTrade.id))
            if not (await session.execute(taken)).all():
                raise DecisionRefused(_why_not(id, await session.get(ProposedTrade, id), None, None))
            await self.chain.append(session, by, "snooze", f"proposal {id}", {"until": until}, now)

    async def _family(self, session: AsyncSession, id: int) -> dict[int, ProposedTrade]:
        """The proposal and its siblings, locked in the order of their ids."""
        set_id = select(col(ProposedTrade.breach_set_id)).where(col(ProposedTrade.id) == id).scalar_subquery()
        related = or_(col(ProposedTrade.id) == id, col(ProposedTrade.breach_set_id) == set_id)
        rows = await session.scalars(
            select(ProposedTrade).where(related).order_by(col(ProposedTrade.id)).with_for_update()
        )
        return {_id(row): row for row in rows}


def _refuse_terms(
    id: int, proposal: ProposedTrade | None, quantity: int, limit_price: float, worst_price: float, good_for: float
) -> None:
    if proposal is None:
        raise DecisionRefused(f"there is no proposal {id}")
    if not 1 <= quantity <= proposal.quantity:
        raise DecisionRefused(f"quantity {quantity} is not between 1 and the {proposal.quantity} that were checked")
    if not limit_price <= worst_price + ROUNDING:
        raise DecisionRefused(f"the limit price {limit_price:g} is past the worst price {worst_price:g}")
    if worst_price > proposal.worst_price + ROUNDING:
        raise DecisionRefused(f"the worst price {worst_price:g} is past the {proposal.worst_price:g} that was checked")
    if not isfinite(limit_price + worst_price):
        raise DecisionRefused("a price must be a number")
    if not good_for > 0:
        raise DecisionRefused("an approval must be good for some seconds")


def _why_not(id: int, proposal: ProposedTrade | None, legs_hash: str | None, now: datetime | None) -> str:
    """Why a compare-and-set changed nothing, in words."""
    if proposal is None:
        return f"there is no proposal {id}"
    if proposal.origin == Origin.MOCK:
        return "a mock proposal can never be approved; it only shows how one looks"
    if proposal.status != ProposalStatus.PENDING:
        who = f" by {proposal.decided_by}" if proposal.decided_by else ""
        because = f": {proposal.decision_reason}" if proposal.decision_reason else ""
        return f"proposal {id} is already {proposal.status.lower()}{who}{because}"
    if legs_hash is not None and proposal.legs_hash != legs_hash:
        return "the legs are no longer those that were shown; look again"
    if now is not None and proposal.expires_at <= now:
        return f"proposal {id} expired at {proposal.expires_at:%H:%M:%S} UTC"
    return f"proposal {id} changed while you decided; look again"


def _ended(ids: Sequence[int], status: ProposalStatus, now: datetime, by: str, reason: str) -> Update:
    return (
        update(ProposedTrade)
        .where(col(ProposedTrade.id).in_(ids), col(ProposedTrade.status) == ProposalStatus.PENDING)
        .values(status=status, decided_at=now, decided_by=by, decision_reason=reason)
        .execution_options(synchronize_session=False)
    )


def _locked_ids(*where: ColumnElement[bool]) -> Select[Any]:
    return select(col(ProposedTrade.id)).where(*where).order_by(col(ProposedTrade.id)).with_for_update()


def _signed(statement: ApprovalStatement, key: bytes) -> Approval:
    return Approval(**vars(statement), signature=statement.sign(key))


def _id(row: ProposedTrade) -> int:
    assert row.id is not None
    return row.id
