"""Orders and what became of them, as the desk asks for it. Only the bridge writes them (bridge.database_manager)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlmodel import col

from database.engine import Sessions
from models.order import Execution, Order, OrderEvent, TradeJournal, WhatIf
from models.proposed_trade import Approval, ProposedTrade
from models.quant.structure import Action, legs_from_json

WORKING = ("intended", "sent", "working", "part_filled", "cancel_requested", "replace_requested", "unknown")
"""Statuses in which an order may still move the book."""


BOOKING = timedelta(seconds=30)
"""How long an ended order whose executions are not all recorded still counts; after that the books tell."""


@dataclass(frozen=True)
class InFlight:
    """A trade that may yet move the book: legs per combo unit, and how many units are still open (worst case)."""

    legs_json: list[dict[str, Any]]
    action: str
    quantity: float
    status: str
    """approved (not claimed yet) or the order's status."""
    proposal_id: int | None
    order_ref: str | None
    since: datetime

    @property
    def amounts(self) -> dict[str, float]:
        """Signed contracts it may still bring, by identity; raises LegsError when its legs are not legs."""
        side = Action(self.action).sign * self.quantity
        return {leg.contract.identity: side * leg.signed_ratio for leg in legs_from_json(self.legs_json)}


@dataclass(frozen=True)
class Orders:
    """Orders, their time lines, fills, previews and the journal. Lists are newest first."""

    sessions: Sessions

    async def get(self, order_ref: str) -> Order | None:
        async with self.sessions.reading() as session:
            return (await session.scalars(select(Order).where(col(Order.order_ref) == order_ref))).first()

    async def of_proposal(self, proposal_id: int) -> Order | None:
        """The order that an approved proposal became."""
        query = select(Order).where(col(Order.proposal_id) == proposal_id).order_by(col(Order.id).desc()).limit(1)
        async with self.sessions.reading() as session:
            return (await session.scalars(query)).first()

    async def recent(self, limit: int = 100) -> list[Order]:
        return await self._rows(select(Order).order_by(col(Order.id).desc()).limit(limit))

    async def working(self, account_id: str | None = None) -> list[Order]:
        """Orders that may still move the book, unknown ones among them; oldest first."""
        query = select(Order).where(col(Order.status).in_(WORKING))
        if account_id is not None:
            query = query.where(col(Order.account_id) == account_id)
        return await self._rows(query.order_by(col(Order.id)))

    async def in_flight(self, account_id: str | None = None, now: datetime | None = None) -> list[InFlight]:
        """Approvals nobody has claimed (with `now`: those still good) and what orders have not brought into the book,
        in one consistent read. A fill counts as brought once its executions are recorded, not when it is announced."""
        unclaimed = select(Approval, ProposedTrade).where(
            col(Approval.proposal_id) == col(ProposedTrade.id),
            col(Approval.claimed_at).is_(None),
            col(Approval.refused_reason).is_(None),
        )
        moving: ColumnElement[bool] = col(Order.status).in_(WORKING)
        if now is not None:  # an order may be known to be filled a moment before its executions are
            moving = or_(moving, (col(Order.done_at) > now - BOOKING) & (col(Order.filled) > 0))
        orders = select(Order).where(moving)
        if account_id is not None:
            unclaimed = unclaimed.where(col(Approval.account_id) == account_id)
            orders = orders.where(col(Order.account_id) == account_id)
        if now is not None:
            unclaimed = unclaimed.where(col(Approval.good_until) > now)
        async with self.sessions.reading() as session:
            approved = (await session.execute(unclaimed.order_by(col(Approval.id)))).all()
            working = (await session.scalars(orders.order_by(col(Order.id)))).all()
            refs = [order.order_ref for order in working if order.filled > 0]
            fills = select(Execution).where(col(Execution.order_ref).in_(refs))
            booked: dict[tuple[str, str], float] = {}
            for fill in (await session.scalars(fills)) if refs else ():
                leg = (fill.order_ref, fill.identity)
                booked[leg] = booked.get(leg, 0.0) + fill.quantity
        flying = [_working(order, booked) for order in working]
        return [_approved(approval, proposal) for approval, proposal in approved] + [f for f in flying if f.quantity]

    async def events(self, order_ref: str) -> list[OrderEvent]:
        """One order's time line, oldest first."""
        return await self._rows(
            select(OrderEvent).where(col(OrderEvent.order_ref) == order_ref).order_by(col(OrderEvent.id))
        )

    async def executions(
        self, order_ref: str | None = None, since: datetime | None = None, limit: int = 500
    ) -> list[Execution]:
        query = select(Execution)
        if order_ref is not None:
            query = query.where(col(Execution.order_ref) == order_ref)
        if since is not None:
            query = query.where(col(Execution.at) >= since)
        return await self._rows(query.order_by(col(Execution.id).desc()).limit(limit))

    async def journal(self, limit: int = 100) -> list[TradeJournal]:
        return await self._rows(select(TradeJournal).order_by(col(TradeJournal.id).desc()).limit(limit))

    async def journal_of(self, order_ref: str) -> TradeJournal | None:
        rows = await self._rows(select(TradeJournal).where(col(TradeJournal.order_ref) == order_ref))
        return rows[0] if rows else None

    async def latest_what_if(self, legs_hash: str, quantity: int) -> WhatIf | None:
        query = select(WhatIf).where(col(WhatIf.legs_hash) == legs_hash, col(WhatIf.quantity) == quantity)
        rows = await self._rows(query.order_by(col(WhatIf.at).desc()).limit(1))
        return rows[0] if rows else None

    async def what_if_for(self, proposal_id: int) -> WhatIf | None:
        """The newest preview asked for this proposal."""
        query = select(WhatIf).where(col(WhatIf.proposal_id) == proposal_id)
        rows = await self._rows(query.order_by(col(WhatIf.id).desc()).limit(1))
        return rows[0] if rows else None

    async def add_what_if(self, row: WhatIf) -> int:
        async with self.sessions.writing() as session:
            session.add(row)
            await session.flush()
            assert row.id is not None
            return row.id

    async def _rows(self, query: Select[Any]) -> list[Any]:
        async with self.sessions.reading() as session:
            found: Sequence[Any] = (await session.scalars(query)).all()
            return list(found)


def _approved(approval: Approval, proposal: ProposedTrade) -> InFlight:
    return InFlight(
        legs_json=proposal.legs_json, action=approval.action, quantity=float(approval.quantity), status="approved",
        proposal_id=proposal.id, order_ref=None, since=approval.decided_at,
    )  # fmt: skip


def _working(order: Order, booked: Mapping[tuple[str, str], float]) -> InFlight:
    units = min(booked.get((order.order_ref, leg["identity"]), 0.0) / leg["ratio"] for leg in order.legs_json)
    most = order.quantity if order.status in WORKING else order.filled
    return InFlight(
        legs_json=order.legs_json, action=order.action, quantity=max(most - units, 0.0),
        status=order.status, proposal_id=order.proposal_id, order_ref=order.order_ref, since=order.created_at,
    )  # fmt: skip
