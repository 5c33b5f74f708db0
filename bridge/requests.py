"""What the cockpit and the thinkers may ask the bridge for, each answered with a result or with why not, in words."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from adapters.base import AdapterError, BrokerRefused, NotConnected, Notice, UnknownOutcome
from bridge import doctor, flatten
from bridge.claims import on_tick
from bridge.crossing import PREVIEWED, Crossing
from bridge.facts import halt_file
from bridge.life import Life
from bridge.watchdog import Watchdog
from database.errors import DatabaseError
from models.control import Request, RequestKind
from models.order import Order
from models.quant.lifecycle import IN_FLIGHT, Instruction, InstructionEvent
from models.quant.structure import LegsError, legs_from_json

log = logging.getLogger("bridge.requests")


WHAT_IFS_AT_ONCE = 3
"""One fewer than the adapter sends: the preview that a crossing waits for finds a place free."""


class Unanswerable(ValueError):
    """The request cannot be done; its words go back to whoever asked."""


@dataclass
class Answering:
    """One per life: claims what waits and answers each request by itself, so that a slow one holds up no other."""

    life: Life
    crossing: Crossing
    watchdog: Watchdog

    def __post_init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._previews = asyncio.Semaphore(WHAT_IFS_AT_ONCE)
        self._answers: dict[str, Callable[[Request], Awaitable[dict[str, Any]]]] = {
            RequestKind.WHAT_IF: self._what_if,
            RequestKind.CANCEL: self._cancel,
            RequestKind.REPLACE: self._replace,
            RequestKind.FLATTEN: self._flatten,
            RequestKind.DOCTOR: self._doctor,
            RequestKind.TEST_NOTIFICATION: self._test_notification,
            RequestKind.RUN_NOW: self._run_now,
        }

    async def answer_waiting(self) -> int:
        """Start answering everything that waits; how many were claimed."""
        claimed = await self.life.store.control.claim_requests("bridge", self.life.manager.holder, self.life.now())
        for request in claimed:
            task = asyncio.create_task(self._answer(request), name=f"request {request.id}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(claimed)

    async def finish(self) -> None:
        """Wait for the answers under way."""
        while self._running:
            await asyncio.gather(*list(self._running), return_exceptions=True)

    async def _answer(self, request: Request) -> None:
        answer = self._answers.get(request.kind)
        try:
            if answer is None:
                raise Unanswerable(f"the bridge does not answer {request.kind!r}")
            result = await answer(request)
        except (Unanswerable, AdapterError, DatabaseError, LegsError, KeyError, TypeError, ValueError) as error:
            words = f"payload lacks {error}" if isinstance(error, KeyError) else str(error)
            await self._say(request, failure=words)
        except Exception as error:
            log.exception("request %s (%s) failed in an unforeseen way", request.id, request.kind)
            await self._say(request, failure=f"unforeseen: {type(error).__name__}: {error}")
        else:
            await self._say(request, result=result)

    async def _say(self, request: Request, result: dict[str, Any] | None = None, failure: str | None = None) -> None:
        assert request.id is not None
        try:
            await self.life.store.control.answer(request.id, result=result, failure=failure)
        except DatabaseError as error:  # whoever asked has a deadline; what was done stands in the order's time line
            log.warning("the answer to request %s could not be written: %s", request.id, error)

    # ── what-if ──────────────────────────────────────────────────────────────────────────────────────────────────
    async def _what_if(self, request: Request) -> dict[str, Any]:
        """payload: {proposal_id} or {account_id, legs, quantity, limit_price}; a fresh preview, also kept as a row."""
        self._need_session()
        ask = request.payload
        if "proposal_id" in ask and "legs" not in ask:
            proposal = await self.life.store.proposals.get(int(ask["proposal_id"]))
            if proposal is None:
                raise Unanswerable(f"there is no proposal {ask['proposal_id']}")
            ask = {"account_id": proposal.account_id, "legs": proposal.legs_json, "quantity": proposal.quantity,
                   "limit_price": proposal.limit_price, "proposal_id": proposal.id}  # fmt: skip
        legs = legs_from_json(ask["legs"])
        account = ask.get("account_id") or self.life.accounts[0]
        quantity, price = int(ask.get("quantity", 1)), ask.get("limit_price")
        async with self._previews:
            row = await self.crossing.preview(account, legs, quantity, price, ask.get("proposal_id"), at_once=True)
        if row.failure is not None:
            raise Unanswerable(row.failure)
        numbers = {name: getattr(row, name) for name in PREVIEWED}
        return {
            **{name: None if value is None else float(value) for name, value in numbers.items()},
            "id": row.id, "warning": row.warning, "at": row.at,
        }  # fmt: skip

    # ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────
    async def _order(self, request: Request) -> Order:
        order = await self.life.store.orders.get(str(request.payload["order_ref"]))
        if order is None:
            raise Unanswerable("there is no order with this reference")
        if Instruction(order.status) not in IN_FLIGHT:
            raise Unanswerable(f"the order is {order.status}; there is nothing to change")
        if order.status in (Instruction.UNKNOWN, Instruction.INTENDED, Instruction.SENT):
            raise Unanswerable(f"the order is {order.status}; it can be changed once the broker's word is known")
        self._need_session()
        return order

    async def _cancel(self, request: Request) -> dict[str, Any]:
        """payload: {order_ref}. Passes under HALT; the end itself comes from the broker."""
        order = await self._order(request)
        ref, manager = order.order_ref, self.life.manager
        asked = await manager.record(ref, InstructionEvent.ASK_CANCEL, self.life.now(), f"asked by {request.by}")
        if asked.illegal is not None:
            raise Unanswerable(asked.illegal)
        try:
            await self.life.broker.cancel(ref)
        except BrokerRefused as error:
            await self._look_again(ref, f"cancel refused: {error.code}: {error.text}")
            raise Unanswerable(f"the broker refused the cancel: {error.text}") from error
        except UnknownOutcome as error:
            raise Unanswerable(f"{error}; the order stays {Instruction.CANCEL_REQUESTED}") from error
        return {"order_ref": ref, "said": "the cancel is with the broker"}

    async def _replace(self, request: Request) -> dict[str, Any]:
        """payload: {order_ref, limit_price}, within the worst price signed. HALT stops it; unanswered is unknown."""
        order = await self._order(request)
        price = float(request.payload["limit_price"])
        limit = on_tick(legs_from_json(order.legs_json), price)
        if order.worst_price is not None and limit > order.worst_price + 1e-9:
            raise Unanswerable(f"{limit:g} is past the worst price {order.worst_price:g} that was signed")
        why_not = await self.life.manager.may_change(halt_file(self.life.settings.var_dir), self.life.now())
        if why_not is not None:
            raise Unanswerable(f"{why_not}: prices are not changed; a cancel passes")
        ref, now = order.order_ref, self.life.now
        words = f"to {limit:g}, asked by {request.by}"
        asked = await self.life.manager.record(ref, InstructionEvent.ASK_REPLACE, now(), words)
        if asked.illegal is not None:
            raise Unanswerable(asked.illegal)
        try:
            told = await self.life.broker.replace(ref, limit)
        except BrokerRefused as error:
            await self._look_again(ref, f"replace refused: {error.code}: {error.text}")
            raise Unanswerable(f"the broker refused the new price: {error.text}") from error
        except (UnknownOutcome, NotConnected) as error:
            step = await self.life.manager.record(ref, InstructionEvent.LOSE, now(), f"replace: {error}")
            await self.crossing.announce_unknown(step.order, f"replace: {error}")
            raise Unanswerable(f"the new price is unknown: {error}") from error
        await self.life.manager.record(ref, InstructionEvent.RESUME, now(), f"limit {limit:g}", limit_price=limit)
        await self.crossing.heard(told)
        return {"order_ref": ref, "limit_price": limit}

    async def _look_again(self, ref: str, words: str) -> None:
        """After a refused change the broker's lists say what the order is now."""
        for query in (self.life.broker.open_orders, self.life.broker.completed_orders):
            answer = await query()
            for told in answer.data or ():
                if told.order_ref == ref:
                    await self.life.manager.note(ref, "refused", words, self.life.now())
                    await self.crossing.heard(told, resume=True)
                    return

    def _need_session(self) -> None:
        if not self.life.ready.is_set():
            raise Unanswerable(f"no session with the broker: {self.watchdog.last_words}")

    # ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────────
    async def _flatten(self, request: Request) -> dict[str, Any]:
        """payload: {reason, account_id?} gives the plan and a token; with {token} beside them it makes proposals."""
        self._need_session()
        reason = str(request.payload.get("reason", "")).strip()
        if not reason:
            raise Unanswerable("flatten needs a reason")
        account = request.payload.get("account_id") or self.life.accounts[0]
        plan = await flatten.plan(self.life, account)
        token = flatten.token_of(self.life.store.key, account, reason, plan)
        body: dict[str, Any] = {"plan": [closing.to_json() for closing in plan], "token": token}
        given = request.payload.get("token")
        if given is None:
            return body
        if given != token:
            raise Unanswerable("the book or the reason changed since the plan was shown; look again")
        return {**body, "proposals": await flatten.propose(self.life, account, reason, request.by, plan)}

    async def _doctor(self, _request: Request) -> dict[str, Any]:
        return await doctor.examine(self.life, self.watchdog)

    async def _test_notification(self, request: Request) -> dict[str, Any]:
        if self.life.notifier is None:
            raise Unanswerable("no notification urls: set NOTIFY_URLS in .env and start the desk again")
        started = time.perf_counter()
        notice = Notice("info", "Test from the desk", f"asked by {request.by}", "test")
        answer = await self.life.notifier.send_alert(notice)
        if answer.failure is not None:
            raise Unanswerable(answer.failure)
        return {"said": answer.data, "milliseconds": (time.perf_counter() - started) * 1000}

    async def _run_now(self, _request: Request) -> dict[str, Any]:
        self.life.revalue.set()
        return {"said": "the book is valued again"}
