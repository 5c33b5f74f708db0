"""Our book against the broker's: adopts it once, merges what was missed, resolves unknowns, locks what differs, frees
what heals. The bridge is not ready before this has passed.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import TypeVar

from adapters.base import Answer, BrokerPosition, Fill, NotConnected, PlacedOrder, WireStatus
from bridge.claims import family_of
from bridge.crossing import UNKNOWN_CAUSE, Crossing, unknown_cause
from bridge.life import Life
from bridge.settling import Difference, explain
from models.book import Position
from models.order import Order
from models.quant.lifecycle import DONE, Instruction, InstructionEvent
from models.quant.option import Contract
from models.quant.product import NEW_YORK
from models.quant.structure import contract_from_json

T = TypeVar("T")
MISMATCH = "mismatch"
RESET_STARTS, RESET_ENDS = time(23, 40), time(0, 5)
"""IBKR's nightly reset, New York: what was there before it may be missing from the lists after it."""


@dataclass(frozen=True)
class AbsenceRule:
    """When not finding an order is evidence: so many successful looks over so many seconds."""

    looks: int = 3
    seconds: float = 60.0


@dataclass
class _Search:
    """The looks for one unknown order so far."""

    first: datetime
    looks: int = 0


@dataclass(frozen=True)
class BrokerLists:
    """The three lists in which a reference can be found, all answered."""

    open: tuple[PlacedOrder, ...]
    completed: tuple[PlacedOrder, ...]
    fills: tuple[Fill, ...]

    def order(self, order_ref: str) -> PlacedOrder | None:
        return next((o for o in (*self.open, *self.completed) if o.order_ref == order_ref), None)

    def has_fills(self, order_ref: str) -> bool:
        return any(fill.order_ref == order_ref for fill in self.fills)


@dataclass
class Reconciler:
    """One per life. `absence` says when not finding an order counts."""

    life: Life
    crossing: Crossing
    absence: AbsenceRule = field(default_factory=AbsenceRule)
    patience: int = 3
    """How often a difference is looked at again before it is believed: a fill may be under way."""
    between: float = 0.2
    _searches: dict[str, _Search] = field(default_factory=dict)

    async def pass_(self) -> str:
        """The whole reconciliation of start and reconnect, in a sentence.

        Raises NotConnected when a query failed (not ready), WrongDesk when the database belongs to other accounts.
        """
        lists = await self.lists()
        await self._book_all(lists.fills)
        if (await self.life.store.control.desk()).account_ids:
            await self.life.store.control.bind_desk(self.life.accounts, None)  # the same accounts, or WrongDesk
        else:
            await self._adopt()
        await self._orders(lists)
        await self.search_unknown(lists)
        broken = 0
        for account in self.life.accounts:
            broken += len(await self.compare(account, await self._positions(account)))
        return f"reconciled with {len(self.life.accounts)} account(s), {broken} difference(s)"

    async def lists(self) -> BrokerLists:
        broker = self.life.broker
        return BrokerLists(
            _sure(await broker.open_orders()), _sure(await broker.completed_orders()), _sure(await broker.executions())
        )

    async def _positions(self, account: str) -> tuple[BrokerPosition, ...]:
        return _sure(await self.life.broker.positions(account))

    # ── adopting ─────────────────────────────────────────────────────────────────────────────────────────────────
    async def _adopt(self) -> None:
        """First open: the broker's book becomes our baseline, taken between two equal looks at the executions."""
        life = self.life
        for account in life.accounts:
            while True:
                seen = {fill.exec_id for fill in _sure(await life.broker.executions())}
                held = await self._positions(account)
                fills = _sure(await life.broker.executions())
                await self._book_all(fills)  # those before the baseline are kept, and not counted again
                if {fill.exec_id for fill in fills} == seen:
                    break
            await life.manager.adopt(account, held, life.now())
        await life.store.control.bind_desk(life.accounts, None)

    # ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────
    async def _book_all(self, fills: Sequence[Fill]) -> None:
        for fill in fills:
            if fill.account_id in self.life.accounts:
                await self.book(fill)

    async def book(self, fill: Fill) -> None:
        """One execution, heard live or read from the list; the second time it changes nothing."""
        booked = await self.life.manager.book(fill, self.life.now())
        if booked.changed:
            self.life.revalue.set()

    async def _orders(self, lists: BrokerLists) -> None:
        """What became of orders while nobody listened; intents of another life become unknown, never sent."""
        manager = self.life.manager
        orphans = await manager.orders_of_other_lives(frozenset(self.life.sent), self.life.now())
        for order in orphans:
            if order.status == Instruction.UNKNOWN:
                await self.crossing.announce_unknown(order, order.reason)
        for order in await self.life.store.orders.working():
            told = lists.order(order.order_ref)
            if told is not None:
                await self.crossing.heard(told, resume=True)
            elif order.status not in (Instruction.UNKNOWN, Instruction.INTENDED):
                text = "in none of the broker's lists after a reconnect"
                step = await manager.record(order.order_ref, InstructionEvent.LOSE, self.life.now(), text)
                await self.crossing.announce_unknown(step.order, text)
        for told in lists.open:  # an ended order that lives after all: abandoned, or believed never to have arrived
            known = await self.life.store.orders.get(told.order_ref)
            if known is not None and known.status in DONE:
                await self.crossing.contradicted(known, told, f"our row says {known.status}")

    async def search_unknown(self, lists: BrokerLists | None = None) -> None:
        """Look for every unknown order in the three lists; absence counts only by the rule."""
        unknown = [o for o in await self.life.store.orders.working() if o.status == Instruction.UNKNOWN]
        await self._free_resolved(unknown)
        for gone in set(self._searches) - {order.order_ref for order in unknown}:
            self._searches.pop(gone)
        if not unknown:
            return
        lists = lists if lists is not None else await self.lists()
        await self._book_all(lists.fills)
        for order in unknown:
            told = lists.order(order.order_ref)
            if told is not None and told.status is not WireStatus.UNKNOWN:
                await self.crossing.heard(told)
            elif lists.has_fills(order.order_ref):
                await self.crossing.heard(_from_fills(order, lists.fills))
            else:
                await self._absent(order)

    async def _free_resolved(self, unknown: Sequence[Order]) -> None:
        """A life that ended between an order's evidence and the freeing of its lock leaves the lock to us."""
        causes = {unknown_cause(order.order_ref) for order in unknown}
        for lock in await self.life.store.control.locks():
            cause, _, _ = lock.reason.partition(":")
            if cause.startswith(UNKNOWN_CAUSE) and cause not in causes:
                now, because = self.life.now(), "its order is no longer unknown"
                await self.life.manager.free(lock.account_id, lock.family, cause, because, now)
                await self.life.settle(cause)

    async def _absent(self, order: Order) -> None:
        now = self.life.now()
        search = self._searches.setdefault(order.order_ref, _Search(now))
        search.looks += 1
        since = order.sent_at or order.created_at
        if search.looks < self.absence.looks or (now - search.first).total_seconds() < self.absence.seconds:
            return
        clock = self.life.broker.clock  # the reset is the broker's: its hours are judged by its clock
        if reset_between(clock.at(since), clock.at(now)):
            return  # the broker may have forgotten: a person decides
        because = f"{search.looks} looks over {(now - search.first).total_seconds():.0f} s found it nowhere"
        text = f"never reached the broker: {because}"
        step = await self.life.manager.record(order.order_ref, InstructionEvent.ABSENT, now, text)
        await self.crossing.resolved(step.order, because)
        self._searches.pop(order.order_ref, None)

    # ── positions ────────────────────────────────────────────────────────────────────────────────────────────────
    async def compare(self, account: str, theirs: Sequence[BrokerPosition]) -> tuple[Difference, ...]:
        """Ours against theirs. A difference that stays locks its family; one that went frees it; both are told."""
        differences = await self._differences(account, theirs)
        for _ in range(self.patience):
            if not differences:
                break
            await asyncio.sleep(self.between)
            await self._book_all(_sure(await self.life.broker.executions()))
            differences = await self._differences(account, await self._positions(account))
        if differences:
            differences = await self._settle_events(account, differences)
        await self._lock_and_free(account, differences)
        return differences

    async def _differences(self, account: str, theirs: Sequence[BrokerPosition]) -> tuple[Difference, ...]:
        ours = {row.identity: row for row in await self.life.store.book.positions(account)}
        held = {position.contract.identity: position for position in theirs}
        found = []
        for identity in sorted({*ours, *held}):
            mine, broker = ours.get(identity), held.get(identity)
            have = mine.quantity if mine else 0.0
            told = broker.quantity if broker else 0.0
            if abs(have - told) > 1e-9:
                found.append(Difference(_contract(mine, broker), have, told))
        return tuple(found)

    async def _settle_events(self, account: str, differences: tuple[Difference, ...]) -> tuple[Difference, ...]:
        """Expiry, assignment and cash settlement are events of the book, not mismatches."""
        explained = explain(differences, self.life.desk_now())
        for difference, why in explained.items():
            await self.life.manager.rebase(account, difference.contract, difference.theirs, why, self.life.now())
        return tuple(d for d in differences if d not in explained)

    async def _lock_and_free(self, account: str, differences: tuple[Difference, ...]) -> None:
        life = self.life
        broken: dict[str, list[str]] = {}
        for d in differences:
            words = f"{d.contract}: ours {d.ours:g}, the broker's {d.theirs:g}"
            broken.setdefault(family_of(d.contract), []).append(words)
        for family, lines in broken.items():
            why = "; ".join(lines)
            if await life.manager.lock(account, family, MISMATCH, why, life.now()):
                title = f"{family} is locked: our book and the broker's differ"
                await life.alarm(f"{MISMATCH}:{family}", "red", title, why)
        for lock in await life.store.control.locks(account):
            healed = lock.reason.startswith(f"{MISMATCH}:") and lock.family not in broken
            if healed and await life.manager.free(account, lock.family, MISMATCH, "the books agree again", life.now()):
                await life.settle(f"{MISMATCH}:{lock.family}")


def reset_between(start: datetime, end: datetime) -> bool:
    """Whether IBKR's nightly reset (23:40 to 00:05 New York) lies, even in part, between two desk moments."""
    day = start.astimezone(NEW_YORK).date() - timedelta(days=1)
    while day <= end.astimezone(NEW_YORK).date():
        opens = datetime.combine(day, RESET_STARTS, NEW_YORK)
        shuts = datetime.combine(day + timedelta(days=1), RESET_ENDS, NEW_YORK)
        if opens <= end and start <= shuts:
            return True
        day += timedelta(days=1)
    return False


def _from_fills(order: Order, fills: Sequence[Fill]) -> PlacedOrder:
    """An order that only its executions prove: filled as far as its least filled leg."""
    own: dict[str, float] = {}
    for fill in fills:
        if fill.order_ref == order.order_ref:
            own[fill.contract.identity] = own.get(fill.contract.identity, 0.0) + fill.quantity
    units = min(own.get(leg["identity"], 0.0) / leg["ratio"] for leg in order.legs_json)
    whole = units >= order.quantity - 1e-9
    return PlacedOrder(
        order_ref=order.order_ref,
        account_id=order.account_id,
        status=WireStatus.FILLED if whole else WireStatus.PART_FILLED,
        filled=units,
        remaining=max(order.quantity - units, 0.0),
        average_price=None,
        limit_price=order.limit_price,
        perm_id=None,
        order_id=None,
        text="known by its executions",
    )


def _contract(mine: Position | None, broker: BrokerPosition | None) -> Contract:
    return broker.contract if broker else contract_from_json(mine.contract_json if mine else {})


def _sure(answer: Answer[tuple[T, ...]]) -> tuple[T, ...]:
    """Data or empty; a failed answer is no knowledge and ends the pass."""
    if answer.failure is not None:
        raise NotConnected(answer.failure)
    return answer.data or ()
