"""The transactions only the bridge makes: claim, intend, fence, record, lock. Each is one commit that is on disk.

An order exists here before it exists anywhere else; what the broker says of it is appended, never overwritten.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from adapters.base import BrokerPosition, Fill, PlacedOrder
from bridge.claims import BRIDGE, Before, Claim, Step, intent
from database.fills import Booked, book_fill
from database.store import Store
from models.book import Position
from models.control import DeskRow, Lease, LockRow, Switch, SwitchName
from models.order import Execution, Order, OrderEvent, TradeJournal
from models.proposed_trade import Approval, ProposedTrade
from models.quant.lifecycle import DONE, IllegalStep, Instruction, InstructionEvent, hear
from models.quant.option import Contract
from models.quant.structure import Action, Leg, LegsError, contract_to_json, legs_from_json, legs_hash


class DatabaseManager:
    """Owned by one bridge life, named by `holder`."""

    def __init__(self, store: Store, holder: str) -> None:
        self.store = store
        self.holder = holder

    # ── claim and intend ─────────────────────────────────────────────────────────────────────────────────────────
    async def waiting_approvals(self) -> list[tuple[Approval, ProposedTrade | None]]:
        """Approvals nobody has claimed, oldest first; a plain look that writes nothing."""
        query = (
            select(Approval, ProposedTrade)
            .outerjoin(ProposedTrade, col(ProposedTrade.id) == col(Approval.proposal_id))
            .where(col(Approval.claimed_at).is_(None), col(Approval.refused_reason).is_(None))
            .order_by(col(Approval.id))
        )
        async with self.store.reading() as session:
            return [(approval, proposal) for approval, proposal in (await session.execute(query)).all()]

    async def claim(self, approval_id: int, before: Before, order_ref: str, now: datetime) -> Claim | None:
        """Take the approval and write its intent under `order_ref`, or why not, in one durable commit. None: another
        was first."""
        async with self.store.writing(durable=True) as session:
            free = select(Approval).where(
                col(Approval.id) == approval_id,
                col(Approval.claimed_at).is_(None),
                col(Approval.refused_reason).is_(None),
            )
            approval = (await session.scalars(free.with_for_update(skip_locked=True))).first()
            if approval is None:
                return None
            approval.claimed_by, approval.claimed_at = self.holder, now
            proposal = await session.get(ProposedTrade, approval.proposal_id)
            desk = (await session.scalars(select(DeskRow).where(col(DeskRow.id) == 1))).one()
            legs, refusal = self._believe(approval, proposal, desk, now)
            if refusal is not None:
                approval.refused_reason = refusal
                await self._audit(session, "refuse", f"approval {approval.id}", {"reason": refusal}, now)
                return Claim(approval, proposal, None, refusal=refusal)
            order = intent(approval, legs, before, order_ref, now)
            session.add(order)
            await session.flush()
            detail = {"greeks_before": before.greeks, "breaches_before": before.breaches, "mid": before.mid}
            session.add(_event(order, "intend", None, order.status, now, f"claimed by {self.holder}", detail))
            subject = f"order {order.order_ref}"
            await self._audit(session, "intend", subject, {"proposal": approval.proposal_id}, now)
            return Claim(approval, proposal, order, legs)

    def _believe(
        self, approval: Approval, proposal: ProposedTrade | None, desk: DeskRow, now: datetime
    ) -> tuple[tuple[Leg, ...], str | None]:
        """The legs to trade, or why this approval is void. The signature comes first: nothing else is trusted."""
        if not approval.statement().verify(self.store.key, approval.signature):
            return (), "the approval's signature does not match what it says; nothing was sent"
        if proposal is None:
            return (), f"there is no proposal {approval.proposal_id}"
        reasons = (
            (approval.mode != desk.mode, f"it was approved in {approval.mode}, this desk is {desk.mode}"),
            (approval.epoch != desk.epoch, f"it was approved in epoch {approval.epoch}, this is {desk.epoch}"),
            (approval.good_until <= now, f"it was good until {approval.good_until:%H:%M:%S} UTC and came too late"),
            (approval.account_id != proposal.account_id, "it names another account than its proposal"),
            (approval.quantity < 1, f"its quantity is {approval.quantity}"),
            (not isfinite(approval.limit_price + approval.worst_price), "its price is not a number"),
            (approval.action != Action.BUY, "a ticket is bought as its legs say; this one asks to sell it"),
        )
        for void, reason in reasons:
            if void:
                return (), f"approval void: {reason}"
        try:
            legs = legs_from_json(proposal.legs_json)
        except LegsError as error:
            return (), f"approval void: {error}"
        if legs_hash(legs) != approval.legs_hash:
            return (), "approval void: the proposal's legs are not those that were approved"
        return legs, None

    # ── the fence ────────────────────────────────────────────────────────────────────────────────────────────────
    async def pass_fence(self, order_ref: str, halted: Callable[[], bool], clock: Callable[[], datetime]) -> str | None:
        """The last look before the send, in the commit that marks it sent: lease, halt, the approval's end, and that
        it is still only intended. Returns why it may not leave, or None when it may, once.

        `clock` is read, and `halted` (the file) asked, under the lock: waiting for it may take seconds.
        """
        async with self.store.writing(durable=True) as session:
            order = await _locked(session, order_ref)
            now = clock()
            reason = await self._fence(session, order, halted(), now)
            if reason is None:
                order.status, order.sent_at = Instruction.SENT, now
                session.add(_event(order, "send", Instruction.INTENDED, order.status, now))
            return reason

    async def _fence(self, session: AsyncSession, order: Order, halted: bool, now: datetime) -> str | None:
        if order.status != Instruction.INTENDED:
            return f"it is already {order.status}"
        approval = await session.get(Approval, order.approval_id)
        if approval is None or approval.good_until <= now:
            return "its approval ended before it could leave"
        return await self._brakes(session, halted, now)

    async def _brakes(self, session: AsyncSession, halted: bool, now: datetime) -> str | None:
        lease = await session.get(Lease, BRIDGE)
        if lease is None or lease.holder != self.holder or lease.until <= now:
            return "this bridge no longer holds the lease"
        halt = await session.get(Switch, SwitchName.HALT)
        if halted or halt is None or halt.value != "off":
            return "HALT is on"
        return None

    async def may_change(self, halted: bool, now: datetime) -> str | None:
        """Why a resting order's price may not be changed now: the lease went, or HALT is on."""
        async with self.store.reading() as session:
            return await self._brakes(session, halted, now)

    # ── what became of it ────────────────────────────────────────────────────────────────────────────────────────
    async def record(
        self,
        order_ref: str,
        event: InstructionEvent,
        now: datetime,
        text: str = "",
        told: PlacedOrder | None = None,
        limit_price: float | None = None,
    ) -> Step:
        """Append what happened and move the order along its lifecycle. A word that changes nothing writes nothing."""
        async with self.store.reading() as session:
            order = (await session.scalars(select(Order).where(col(Order.order_ref) == order_ref))).one()
        if _says_nothing_new(order, event, told):
            return Step(order, changed=False)
        async with self.store.writing(durable=True) as session:
            order = await _locked(session, order_ref)
            if _says_nothing_new(order, event, told):
                return Step(order, changed=False)
            try:
                path = hear(Instruction(order.status), event)
            except IllegalStep as error:
                return Step(order, changed=False, illegal=str(error))
            if order.status == Instruction.UNKNOWN and told is not None:
                _believe_limit(order, told)
            for state in path:
                session.add(_event(order, event.value, order.status, state, now, text))
                order.status = state
            _fill_in(order, event, now, text, told)
            if limit_price is not None:
                order.limit_price, order.revision = limit_price, order.revision + 1
            if order.status in DONE or event in (InstructionEvent.LOSE, InstructionEvent.ABSENT):
                detail = {"event": event.value, "status": order.status, "text": text}
                await self._audit(session, "order", f"order {order_ref}", detail, now)
            return Step(order, changed=True)

    async def note(self, order_ref: str, event: str, text: str, now: datetime) -> None:
        """A line on the order's time line that moves nothing."""
        async with self.store.writing() as session:
            order = await _locked(session, order_ref)
            session.add(_event(order, event, order.status, order.status, now, text))

    async def orders_of_other_lives(self, mine: frozenset[str], now: datetime) -> list[Order]:
        """Orders still open that this life did not send. An intent or a send without an answer becomes unknown."""
        theirs = [order for order in await self.store.orders.working() if order.order_ref not in mine]
        found = []
        for order in theirs:
            if order.status in (Instruction.INTENDED, Instruction.SENT):
                text = "found at start: another life of the bridge left it so; it is never sent again"
                found.append((await self.record(order.order_ref, InstructionEvent.LOSE, now, text)).order)
            else:
                found.append(order)
        return found

    # ── locks ────────────────────────────────────────────────────────────────────────────────────────────────────
    async def lock(self, account_id: str, family: str, cause: str, why: str, now: datetime) -> bool:
        """Lock a family for one cause; True when it was not locked for it before."""
        if await self._open_locks(account_id, family, cause):
            return False
        async with self.store.writing(durable=True) as session:
            session.add(LockRow(account_id=account_id, family=family, reason=f"{cause}: {why}", since=now))
            await self._audit(session, "lock", f"family {family}", {"cause": cause, "why": why}, now)
        return True

    async def free(self, account_id: str, family: str, cause: str, because: str, now: datetime) -> bool:
        """Free the lock of one cause; True when there was one."""
        if not await self._open_locks(account_id, family, cause):
            return False
        async with self.store.writing(durable=True) as session:
            for row in await session.scalars(_locks(account_id, family, cause).with_for_update()):
                row.freed_at, row.freed_because = now, because
            await self._audit(session, "free", f"family {family}", {"cause": cause, "because": because}, now)
        return True

    async def _open_locks(self, account_id: str, family: str, cause: str) -> Sequence[LockRow]:
        async with self.store.reading() as session:
            return (await session.scalars(_locks(account_id, family, cause))).all()

    # ── the book ─────────────────────────────────────────────────────────────────────────────────────────────────
    async def adopt(self, account_id: str, held: Sequence[BrokerPosition], now: datetime) -> None:
        """The broker's positions become our baseline: first open only, while the desk is bound to no account."""
        async with self.store.writing(durable=True) as session:
            for old in await session.scalars(select(Position).where(col(Position.account_id) == account_id)):
                await session.delete(old)
            await session.flush()
            session.add_all(
                Position(
                    account_id=account_id,
                    identity=position.contract.identity,
                    contract_json=contract_to_json(position.contract),
                    con_id=position.con_id,
                    baseline=position.quantity,
                    quantity=position.quantity,
                    average_cost=position.average_cost,
                    baseline_at=now,
                    updated_at=now,
                )
                for position in held
            )
            detail = {"positions": {position.contract.identity: position.quantity for position in held}}
            await self._audit(session, "adopt", "positions", detail, now)

    async def book(self, fill: Fill, now: datetime) -> Booked:
        """Record an execution once and move the position, in one commit; the order's time line gets its line."""
        async with self.store.writing(durable=True) as session:
            row = Execution(
                account_id=fill.account_id,
                exec_id=fill.exec_id,
                order_ref=fill.order_ref,
                identity=fill.contract.identity,
                contract_json=contract_to_json(fill.contract),
                con_id=fill.con_id,
                side=fill.side.value,
                quantity=fill.quantity,
                price=fill.price,
                commission=None if fill.commission is None else Decimal(str(fill.commission)),
                realized_pnl=None if fill.realized_pnl is None else Decimal(str(fill.realized_pnl)),
                at=fill.at,
                recorded_at=now,
            )
            booked = await book_fill(session, row)
            order = (await session.scalars(select(Order).where(col(Order.order_ref) == fill.order_ref))).first()
            if order is not None and (booked.new or booked.corrected):
                words = f"{fill.side.value} {fill.quantity:g} {fill.contract} at {fill.price:g}"
                kind = "execution" if booked.new else "correction"
                session.add(_event(order, kind, order.status, order.status, now, words, {"exec_id": fill.exec_id}))
            return booked

    async def rebase(self, account_id: str, contract: Contract, quantity: float, why: str, now: datetime) -> None:
        """An event outside trading (expiry, assignment, settlement) moved the position: a new baseline, audited."""
        identity = contract.identity
        async with self.store.writing(durable=True) as session:
            row = (await session.scalars(_position(account_id, identity).with_for_update())).first()
            if row is None:
                row = Position(
                    account_id=account_id, identity=identity, contract_json=contract_to_json(contract), quantity=0.0,
                    baseline_at=now, updated_at=now,
                )  # fmt: skip
                session.add(row)
            detail = {"from": row.quantity, "to": quantity, "why": why}
            row.baseline, row.quantity, row.baseline_at, row.updated_at = quantity, quantity, now, now
            await self._audit(session, "rebase", identity, detail, now)

    # ── the journal ──────────────────────────────────────────────────────────────────────────────────────────────
    async def unjournalled(self) -> list[Order]:
        """Ended orders that traded and have no finished journal row yet."""
        finished = select(col(TradeJournal.order_ref)).where(col(TradeJournal.greeks_after).is_not(None))
        query = select(Order).where(
            col(Order.status).in_([state.value for state in DONE]),
            col(Order.filled) > 0,
            col(Order.order_ref).not_in(finished),
        )
        async with self.store.reading() as session:
            return list(await session.scalars(query.order_by(col(Order.id))))

    async def write_journal(self, row: TradeJournal, now: datetime) -> None:
        """The finished journal row of an order; a second one changes nothing."""
        async with self.store.writing(durable=True) as session:
            known = select(TradeJournal).where(col(TradeJournal.order_ref) == row.order_ref)
            if (await session.scalars(known)).first() is not None:
                return
            session.add(row)
            await self._audit(session, "journal", f"order {row.order_ref}", {"proposal": row.proposal_id}, now)

    async def _audit(
        self, session: AsyncSession, what: str, subject: str, detail: dict[str, Any], now: datetime
    ) -> None:
        await self.store.audit.append(session, BRIDGE, what, subject, detail, now)


def _event(
    order: Order, event: str, old: str | None, new: str, now: datetime, text: str = "",
    detail: dict[str, Any] | None = None,
) -> OrderEvent:  # fmt: skip
    return OrderEvent(
        order_ref=order.order_ref, at=now, event=event, from_status=old, to_status=new, text=text, detail=detail
    )


def _says_nothing_new(order: Order, event: InstructionEvent, told: PlacedOrder | None) -> bool:
    """Brokers repeat themselves: the same state with the same fill is not an event."""
    if told is None:
        return False
    state = Instruction(order.status)
    same_fill = told.filled == order.filled
    repeats = {
        InstructionEvent.ACKNOWLEDGE: state is not Instruction.UNKNOWN and state is not Instruction.SENT,
        InstructionEvent.PART_FILL: same_fill and state is not Instruction.UNKNOWN,
        InstructionEvent.FILL: same_fill and state in DONE,
        InstructionEvent.CANCEL: same_fill and state is Instruction.CANCELLED,
        InstructionEvent.REJECT: state is Instruction.REJECTED,
        InstructionEvent.LOSE: state is Instruction.UNKNOWN,
    }
    if event is InstructionEvent.ACKNOWLEDGE and state in DONE:
        return False
    return repeats.get(event, False)


def _believe_limit(order: Order, told: PlacedOrder) -> None:
    """A modify whose answer was lost may have reached the broker: the limit it works is the order's limit."""
    if told.limit_price is not None and told.limit_price != order.limit_price:
        order.limit_price, order.revision = told.limit_price, order.revision + 1


def _fill_in(order: Order, event: InstructionEvent, now: datetime, text: str, told: PlacedOrder | None) -> None:
    if told is not None:
        order.filled = max(order.filled, told.filled)
        order.average_price = told.average_price if told.average_price is not None else order.average_price
        order.perm_id = told.perm_id or order.perm_id
        order.broker_order_id = told.order_id or order.broker_order_id
        order.acked_at = order.acked_at or now
    if order.status in DONE and order.done_at is None:
        order.done_at = now
    if text:
        order.reason = text
    elif event is InstructionEvent.ACKNOWLEDGE:
        order.reason = ""


async def _locked(session: AsyncSession, order_ref: str) -> Order:
    return (await session.scalars(select(Order).where(col(Order.order_ref) == order_ref).with_for_update())).one()


def _locks(account_id: str, family: str, cause: str) -> Any:
    return select(LockRow).where(
        col(LockRow.account_id) == account_id,
        col(LockRow.family) == family,
        col(LockRow.freed_at).is_(None),
        col(LockRow.reason).startswith(f"{cause}:", autoescape=True),
    )


def _position(account_id: str, identity: str) -> Any:
    return select(Position).where(col(Position.account_id) == account_id, col(Position.identity) == identity)
