"""Fills and what they do to our positions: each execution counts once, a corrected one replaces the one it corrects.

A position is its adopted baseline plus every execution recorded after it; hearing one twice changes nothing.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.book import Position
from models.control import DeskRow
from models.order import Execution

TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Booked:
    """What a fill was to us: new, a correction of one we had, or a commission we did not know yet."""

    new: bool = False
    corrected: bool = False
    priced: bool = False

    @property
    def changed(self) -> bool:
        return self.new or self.corrected or self.priced


async def book_fill(session: AsyncSession, fill: Execution) -> Booked:
    """Record a fill once and move the position; inside the caller's transaction. `fill` is not yet in the session."""
    # One fill at a time: the live word and the list that repeats it may come in the same moment.
    await session.execute(select(DeskRow).where(col(DeskRow.id) == 1).with_for_update())
    known = await _known(session, fill)
    if known is None:
        session.add(fill)
        await session.flush()
        await _count(session, fill, fill.quantity)
        return Booked(new=True)
    if fill.revision > known.revision:
        changed = fill.quantity - known.quantity
        known.exec_id, known.revision = fill.exec_id, fill.revision
        known.quantity, known.price = fill.quantity, fill.price
        known.commission = fill.commission if fill.commission is not None else known.commission
        await session.flush()
        await _count(session, fill, changed)
        return Booked(corrected=True)
    if known.commission is None and fill.commission is not None and fill.exec_id == known.exec_id:
        known.commission, known.realized_pnl = fill.commission, fill.realized_pnl
        return Booked(priced=True)
    return Booked()


def revision_of(exec_id: str) -> tuple[str, int]:
    """IBKR numbers corrections in the last part of an execution's id: (`a.b.c`, 2) of `a.b.c.02`."""
    stem, _, last = exec_id.rpartition(".")
    return (stem, int(last)) if stem and last.isdigit() else (exec_id, 0)


async def _known(session: AsyncSession, fill: Execution) -> Execution | None:
    """The same execution, or the revision of it that we hold; legs of one combo differ by contract."""
    stem, revision = revision_of(fill.exec_id)
    fill.revision = revision
    rows = await session.scalars(
        select(Execution)
        .where(
            col(Execution.account_id) == fill.account_id,
            col(Execution.con_id) == fill.con_id,
            col(Execution.side) == fill.side,
            col(Execution.exec_id).startswith(stem, autoescape=True),
        )
        .with_for_update()
    )
    return next((row for row in rows if revision_of(row.exec_id)[0] == stem), None)


async def _count(session: AsyncSession, fill: Execution, change: float) -> None:
    """Count the position anew from its baseline; `change` is the signless change of this fill's quantity."""
    own = (col(Position.account_id) == fill.account_id, col(Position.identity) == fill.identity)
    position = (await session.scalars(select(Position).where(*own).with_for_update())).first()
    if position is None:
        position = Position(
            account_id=fill.account_id, identity=fill.identity, contract_json=fill.contract_json, con_id=fill.con_id,
            baseline=0.0, quantity=0.0, baseline_at=fill.recorded_at - TICK, updated_at=fill.recorded_at,
        )  # fmt: skip
        session.add(position)
    since = await session.scalars(
        select(Execution).where(
            col(Execution.account_id) == fill.account_id,
            col(Execution.identity) == fill.identity,
            col(Execution.recorded_at) > position.baseline_at,
        )
    )
    before = position.quantity
    position.quantity = position.baseline + sum(_signed(row) for row in since)
    position.updated_at = fill.recorded_at
    multiplier = float(fill.contract_json.get("multiplier") or 1.0)
    position.average_cost = _average(position.average_cost, before, position.quantity, fill.price * multiplier)


def _signed(row: Execution) -> float:
    return row.quantity if row.side == "BUY" else -row.quantity


def _average(cost: float | None, before: float, after: float, paid: float) -> float | None:
    """Average cost per contract: weighted when the position grows, the fill's when it begins or turns, else kept."""
    if after == 0:
        return None
    if before == 0 or before * after < 0:
        return paid
    if abs(after) <= abs(before):
        return cost
    return None if cost is None else (cost * abs(before) + paid * (abs(after) - abs(before))) / abs(after)
