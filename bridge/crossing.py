"""From an approval to the market, exactly once (DOMAIN.md section 7): claim, intend, ask every gate, fence, one send.

Whatever is not certain becomes unknown. Nothing here ever sends twice, and nothing is sent that was not written first.
"""

import asyncio
import logging
import time
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from adapters.base import (
    AdapterError,
    BrokerRefused,
    ContractMismatch,
    MarginImpact,
    NewOrder,
    NotConnected,
    PlacedOrder,
    SessionState,
    UnknownOutcome,
    WireStatus,
)
from bridge.claims import Before, Claim, Step, new_reference
from bridge.facts import FactFinder, Ticket, halt_file
from bridge.life import Life
from database.errors import DatabaseError
from models.book import PORTFOLIO
from models.market import Quote
from models.order import Order, WhatIf
from models.proposed_trade import Approval, ProposedTrade
from models.quant.breach import only_warns
from models.quant.gates import ask_gates, refusal
from models.quant.lifecycle import DONE, Instruction, InstructionEvent
from models.quant.regime import RegimeFileError
from models.quant.structure import Action, Leg, LegsError, combo_price, legs_from_json, legs_hash

log = logging.getLogger("bridge.crossing")

FRESH_PREVIEW = timedelta(seconds=3)
"""A stored what-if younger than this is not asked again."""

EVENT_OF = {
    WireStatus.WORKING: InstructionEvent.ACKNOWLEDGE,
    WireStatus.PART_FILLED: InstructionEvent.PART_FILL,
    WireStatus.FILLED: InstructionEvent.FILL,
    WireStatus.CANCELLED: InstructionEvent.CANCEL,
    WireStatus.REJECTED: InstructionEvent.REJECT,
    WireStatus.UNKNOWN: InstructionEvent.LOSE,
}


class Crossing:
    """Crosses approvals one at a time and keeps the orders' time lines."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._facts = FactFinder(life.store, life.broker, life.settings)
        self._turn = asyncio.Lock()
        self._tidied = True

    async def cross_waiting(self) -> int:
        """Cross every approval that waits; how many were taken. Only while the session is ready."""
        taken = 0
        async with self._turn:
            await self._tidy()
            self._tidied = False
            for approval, proposal in await self._life.manager.waiting_approvals():
                if not self._life.ready.is_set():
                    break
                taken += await self._cross(approval, proposal)
            self._tidied = True
        return taken

    async def finish(self) -> None:
        """Wait for the crossing under way."""
        async with self._turn:
            return

    async def _tidy(self) -> None:
        """After a crossing that the memory cut short: what had not left is refused, what may have left is unknown."""
        if self._tidied:
            return
        for order in await self._life.store.orders.working():
            if order.order_ref not in self._life.sent:
                continue
            if order.status == Instruction.INTENDED:
                await self._record(order.order_ref, InstructionEvent.REFUSE, "the memory failed before it left")
            elif order.status == Instruction.SENT:
                await self._lose(order, "the memory failed around the send")
            elif order.status == Instruction.UNKNOWN:
                await self.announce_unknown(order, order.reason)  # its lock may be what could not be written

    # ── one approval ─────────────────────────────────────────────────────────────────────────────────────────────
    async def _cross(self, approval: Approval, proposal: ProposedTrade | None) -> bool:
        life = self._life
        assert approval.id is not None
        before = await self._before(approval, proposal)
        reference = new_reference()
        life.sent.add(reference)  # first: a claim that was written but whose answer was lost is still of this life
        claim = await life.manager.claim(approval.id, before, reference, life.now())
        if claim is None:
            return False
        if claim.order is None:
            await self._void(claim)
            return True
        reason, legs = await self._why_not(claim)
        if reason is None and not self._in_session:
            reason = "the session with the broker was lost before it could leave"
        if reason is None:
            reason = await life.manager.pass_fence(reference, lambda: halt_file(life.settings.var_dir), life.now)
        if reason is not None:
            await life.manager.record(claim.order.order_ref, InstructionEvent.REFUSE, life.now(), reason)
            log.info("order %s refused: %s", claim.order.order_ref[:8], reason)
            return True
        await self._send(claim.order, legs)
        return True

    @property
    def _in_session(self) -> bool:
        """Connected, reconciled, and the broker itself reachable: only then may anything leave."""
        return self._life.ready.is_set() and self._life.broker.state is SessionState.READY

    async def _before(self, approval: Approval, proposal: ProposedTrade | None) -> Before:
        """The book and the ticket's mid as they are at the claim, for the journal."""
        life = self._life
        rows = await life.store.book.latest_greeks(approval.account_id)
        greeks: dict[str, Any] = {}
        if rows and rows[0].contract == PORTFOLIO:
            greeks = {name: getattr(rows[0], name) for name in GREEKS} | {"snapshot_id": rows[0].snapshot_id}
            greeks["exposure"] = (rows[0].exposure or {}).get("exposure")
        breaches = await life.store.appetite.open_breaches(approval.account_id)
        named = [
            {"kind": b.kind, "value": b.value, "limit": b.limit, "distance": b.distance}
            for b in breaches
            if not only_warns(b.kind)
        ]
        return Before(greeks, named, await self._mid(proposal))

    async def _mid(self, proposal: ProposedTrade | None) -> float | None:
        if proposal is None:
            return None
        try:
            legs = legs_from_json(proposal.legs_json)
        except LegsError:
            return None
        quotes: dict[str, Quote] = await self._life.store.market.quotes(leg.contract.identity for leg in legs)
        present = combo_price(Ticket(_NO_CLAIM, legs, quotes).priced, "mid")
        return present if present is not None else combo_price(legs, "mid")

    async def _void(self, claim: Claim) -> None:
        """An approval that is not believed: a forged one is an alarm, a late one only a fact."""
        title = f"Approval of proposal {claim.approval.proposal_id} refused"
        forged = "signature" in (claim.refusal or "")
        await self._life.alarm(
            f"approval:{claim.approval.id}", "red" if forged else "yellow", title, claim.refusal or ""
        )

    async def _why_not(self, claim: Claim) -> tuple[str | None, tuple[Leg, ...]]:
        """Every gate, asked again with fresh facts; the legs come back with the broker's present conIds."""
        life = self._life
        assert claim.order is not None
        try:
            legs = await self._qualified(claim.legs)
            order = claim.order
            taken, preview = await asyncio.gather(  # two sessions, asked at once
                self._reference_is_free(order.order_ref),
                self.preview(order.account_id, legs, order.quantity, order.limit_price, order.proposal_id),
            )
            if taken is not None:
                return taken, ()
            # Last, so that nothing slow stands between what the gates saw and the send.
            facts = await self._facts.gather(claim, order.order_ref, preview, life.now())
            return refusal(ask_gates(facts)), legs
        except (AdapterError, DatabaseError, RegimeFileError, LegsError, ValueError) as error:
            return f"the gates could not be asked: {error}", ()
        except Exception as error:  # nothing has left: a refusal in words is worth more than a bridge that dies
            log.exception("the gates of %s failed in an unforeseen way", claim.order.order_ref[:8])
            return f"the gates could not be asked: {type(error).__name__}: {error}", ()

    async def _qualified(self, legs: tuple[Leg, ...]) -> tuple[Leg, ...]:
        answer = await self._life.broker.qualify([leg.contract for leg in legs])
        if answer.failure is not None:
            raise NotConnected(answer.failure)
        ids = answer.data or {}
        for leg in legs:
            found = ids.get(leg.contract)
            if found is None:
                raise ContractMismatch(f"the broker lists no {leg.contract}")
            if leg.con_id is not None and leg.con_id != found:
                raise ContractMismatch(f"{leg.contract} was conId {leg.con_id} and is now {found}")
        return tuple(replace(leg, con_id=ids[leg.contract]) for leg in legs)

    async def _reference_is_free(self, order_ref: str) -> str | None:
        """In any life but the first the broker is asked for the reference before the send; no answer, no send."""
        if self._life.first:
            return None
        for query in (self._life.broker.open_orders, self._life.broker.completed_orders):
            answer = await query()
            if answer.failure is not None:
                return f"the broker could not be asked for the reference: {answer.failure}"
            if any(order.order_ref == order_ref for order in answer.data or ()):
                return "the broker already holds an order with this reference"
        return None

    # ── the one send ─────────────────────────────────────────────────────────────────────────────────────────────
    async def _send(self, order: Order, legs: tuple[Leg, ...]) -> None:
        life = self._life
        try:
            told = await life.broker.submit(wire_form(order, legs))
        except BrokerRefused as error:
            await self._record(order.order_ref, InstructionEvent.REJECT, f"{error.code}: {error.text}")
        except (NotConnected, ContractMismatch) as error:
            # The adapter knows that nothing left, but the order is marked sent: let the broker's lists say it too.
            await self._lose(order, f"not sent: {error}")
        except UnknownOutcome as error:
            await self._lose(order, str(error))
        except Exception as error:
            log.exception("submit of %s failed in an unforeseen way", order.order_ref[:8])
            await self._lose(order, f"unforeseen: {type(error).__name__}: {error}")
        else:
            await self.heard(told, answers_send=True)

    async def _record(
        self, order_ref: str, event: InstructionEvent, text: str, told: PlacedOrder | None = None
    ) -> Step:
        return await self._life.manager.record(order_ref, event, self._life.now(), text, told)

    async def _lose(self, order: Order, why: str) -> None:
        """Unknown: the family is locked and shown red until there is evidence."""
        await self._record(order.order_ref, InstructionEvent.LOSE, why)
        await self.announce_unknown(order, why)

    async def announce_unknown(self, order: Order, why: str) -> None:
        cause = unknown_cause(order.order_ref)
        await self._life.manager.lock(order.account_id, order.risk_family, cause, why, self._life.now())
        title = f"Order {order.order_ref[:8]} has an unknown outcome; {order.risk_family} is locked"
        await self._life.alarm(cause, "red", title, why)

    # ── what the broker says afterwards ──────────────────────────────────────────────────────────────────────────
    async def heard(self, told: PlacedOrder, resume: bool = False, answers_send: bool = False) -> None:
        """The broker's word about one of our orders; a reference that is not ours is somebody else's order.

        The answer to a send may be overtaken by the fill that followed it: then it says nothing any more.
        """
        life = self._life
        known = await life.store.orders.get(told.order_ref) if told.order_ref else None
        if known is None:
            return
        event = EVENT_OF[told.status]
        requested = (Instruction.CANCEL_REQUESTED, Instruction.REPLACE_REQUESTED)
        if resume and event is InstructionEvent.ACKNOWLEDGE and known.status in requested:
            event = InstructionEvent.RESUME
        step = await self._record(told.order_ref, event, told.text, told)
        if step.illegal is not None:
            if not answers_send:
                await self.contradicted(known, told, step.illegal)
            return
        if step.changed and known.status in DONE and known.acked_at is None:
            await self._reappeared(known, told, f"it was {known.status}, and no broker had ever acknowledged it")
        if step.changed and step.order.status == Instruction.UNKNOWN:
            await self.announce_unknown(step.order, told.text or "the broker's word proves nothing")
        elif step.changed and known.status == Instruction.UNKNOWN:
            await self.resolved(step.order, f"found at the broker: {told.status.value}")
        if step.changed:
            life.revalue.set()

    async def contradicted(self, known: Order, told: PlacedOrder, illegal: str) -> None:
        """An ended order lives? The word may be older than the end we know: only a fresh list is believed."""
        answer = await self._life.broker.open_orders()
        if any(order.order_ref == told.order_ref for order in answer.data or ()):
            await self._reappeared(known, told, illegal)

    async def _reappeared(self, known: Order, told: PlacedOrder, because: str) -> None:
        life = self._life
        why = f"the broker says {told.status.value}: {because}"
        await life.manager.lock(known.account_id, known.risk_family, "reappeared", why, life.now())
        await life.alarm(f"reappeared:{told.order_ref}", "red", "An ended order lives at the broker", why)

    async def resolved(self, order: Order, because: str) -> None:
        cause = unknown_cause(order.order_ref)
        await self._life.manager.free(order.account_id, order.risk_family, cause, because, self._life.now())
        await self._life.settle(cause)

    # ── what-ifs ─────────────────────────────────────────────────────────────────────────────────────────────────
    async def preview(
        self,
        account_id: str,
        legs: tuple[Leg, ...],
        quantity: int,
        limit_price: float | None,
        proposal_id: int | None,
        at_once: bool = False,
    ) -> WhatIf:
        """The broker's margin preview, the stored one when it is a few seconds young; kept as a row either way."""
        life, name = self._life, legs_hash(legs)
        if not at_once:
            stored = await life.store.orders.latest_what_if(name, quantity)
            young = stored is not None and life.now() - stored.at <= FRESH_PREVIEW
            if stored is not None and young and stored.account_id == account_id and stored.failure is None:
                return stored
        started = time.perf_counter()
        answer = await life.broker.simulate_margin_impact(account_id, legs, quantity, limit_price)
        log.debug("what-if answered in %.0f ms", (time.perf_counter() - started) * 1000)
        row = what_if_row(answer.data, answer.failure, life.now())
        row.account_id, row.proposal_id, row.legs_hash, row.quantity = account_id, proposal_id, name, quantity
        await life.store.orders.add_what_if(row)
        return row


GREEKS = ("spx_delta", "gamma", "vega", "vega_weighted", "theta", "market_value")


UNKNOWN_CAUSE = "unknown order "


def unknown_cause(order_ref: str) -> str:
    """Why a family is locked and an alert fires while this order's outcome is unknown."""
    return f"{UNKNOWN_CAUSE}{order_ref[:8]}"


def wire_form(order: Order, legs: tuple[Leg, ...]) -> NewOrder:
    """What leaves: the written order with the broker's present conIds, and nothing decided here."""
    return NewOrder(
        order_ref=order.order_ref,
        account_id=order.account_id,
        legs=legs,
        action=Action(order.action),
        quantity=order.quantity,
        order_type=order.order_type,
        limit_price=order.limit_price,
        tif=order.tif,
    )


def what_if_row(impact: MarginImpact | None, failure: str | None, at: datetime) -> WhatIf:
    """A preview as a row; the caller names the ticket. NULL where the broker left a number unset."""
    row = WhatIf(account_id="", legs_hash="", quantity=0, at=at, failure=failure)
    if impact is not None:
        row.warning = impact.warning
        for name in PREVIEWED:
            value = getattr(impact, name)
            setattr(row, name, None if value is None else Decimal(str(value)))
    return row


PREVIEWED = (
    "init_margin_before", "init_margin_change", "init_margin_after", "maint_margin_before", "maint_margin_change",
    "maint_margin_after", "equity_before", "equity_change", "equity_after", "commission",
)  # fmt: skip
_NO_CLAIM: Any = None
