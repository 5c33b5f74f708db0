"""What must stop a crossing, and what must not stop the bridge: late fences, lost lines, lost claims, a day's loss."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.base import AccountValues, Answer
from adapters.ibkr_adapter import IbkrBroker
from adapters.simulator.types import FillStyle
from bridge.account import loses_too_much
from bridge.claims import BRIDGE, Before, new_reference
from bridge.crossing import unknown_cause
from bridge.database_manager import DatabaseManager
from bridge.facts import FactFinder
from database.errors import DatabaseUnavailable
from models.control import RequestKind, SwitchName
from models.order import Order
from models.quant.lifecycle import InstructionEvent
from models.quant.structure import Action
from models.settings import mask_account
from tests.bridge.conftest import Scene, eventually


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/desk.db"


def never() -> bool:
    return False


async def test_the_fence_reads_the_approvals_end_the_lease_and_the_file_at_the_last_moment(scene: Scene) -> None:
    proposal = await scene.propose(scene.spread())
    approval = await scene.approve(proposal)
    now = datetime.now(UTC)
    manager = DatabaseManager(scene.store, "this life")
    claim = await manager.claim(approval.id or 0, Before({}, [], None), new_reference(), now)
    assert claim is not None
    assert claim.order is not None
    ref = claim.order.order_ref
    assert await manager.pass_fence(ref, never, lambda: now) == "this bridge no longer holds the lease"
    await scene.store.control.take_lease(BRIDGE, "this life", now, 600)
    late = now + timedelta(seconds=61)
    assert "approval ended" in (await manager.pass_fence(ref, never, lambda: late) or "")
    assert await manager.pass_fence(ref, lambda: True, lambda: now) == "HALT is on"
    assert await manager.pass_fence(ref, never, lambda: now) is None
    assert "already sent" in (await manager.pass_fence(ref, never, lambda: now) or "")


async def test_a_claim_whose_answer_was_lost_is_refused_and_never_sent(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.open()
    real, lost = DatabaseManager.claim, []

    async def forgetful(self: DatabaseManager, *arguments: Any) -> Any:
        answer = await real(self, *arguments)
        if answer is not None and not lost:
            lost.append(answer)
            raise DatabaseUnavailable("the line to the database broke after the commit")
        return answer

    monkeypatch.setattr(DatabaseManager, "claim", forgetful)
    proposal = await scene.propose(scene.spread())
    await scene.approve(proposal)
    order = await scene.order_of(proposal, "refused")
    assert "before it left" in order.reason
    second = await scene.propose(scene.spread(), quantity=1)
    await scene.approve(second)
    filled = await scene.order_of(second, "filled")
    assert [o.ticket.order_ref for o in scene.venue.exchange.orders()] == [filled.order_ref]


async def test_an_unforeseen_error_in_the_gates_refuses_and_the_bridge_lives_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.open()
    with monkeypatch.context() as broken:

        async def gather(*_arguments: Any) -> Any:
            raise KeyError("something nobody thought of")

        broken.setattr(FactFinder, "gather", gather)
        proposal = await scene.propose(scene.spread())
        await scene.approve(proposal)
        refused = await scene.order_of(proposal, "refused")
    assert "KeyError" in refused.reason
    second = await scene.propose(scene.spread(), quantity=1)
    await scene.approve(second)
    await scene.order_of(second, "filled")


async def test_nothing_is_sent_while_the_broker_has_lost_its_own_line(scene: Scene) -> None:
    await scene.open()

    def say(code: int, text: str) -> None:
        for session in list(scene.server._sessions):
            if session.link.client_id == 11:
                session.link.error(-1, code, text)

    say(1100, "Connectivity between IBKR and Trader Workstation has been lost.")

    async def degraded() -> bool:
        return scene.broker is not None and scene.broker.state == "degraded"

    await eventually(degraded, "the broker to be called degraded")
    proposal = await scene.propose(scene.spread())
    await scene.approve(proposal)
    refused = await scene.order_of(proposal, "refused")
    assert "session with the broker was lost" in refused.reason
    say(1102, "Connectivity between IBKR and Trader Workstation has been restored - data maintained.")

    async def ready() -> bool:
        answer = await scene.ask(RequestKind.DOCTOR, {})
        return bool(answer.result and answer.result.get("checks", {}).get("session", {}).get("ok"))

    await eventually(ready, "a new, reconciled session")
    second = await scene.propose(scene.spread(), quantity=1)
    await scene.approve(second)
    await scene.order_of(second, "filled")


async def _working(scene: Scene) -> Order:
    scene.venue.exchange.set_fill_style(FillStyle.NEVER)
    proposal = await scene.propose(scene.spread(), quantity=1)
    await scene.approve(proposal)
    return await scene.order_of(proposal, "working")


async def test_an_abandoned_order_that_lives_at_the_broker_locks_and_alarms_at_the_next_start(scene: Scene) -> None:
    await scene.open()
    order = await _working(scene)
    await scene.close()
    manager = DatabaseManager(scene.store, "the person")
    await manager.record(order.order_ref, InstructionEvent.LOSE, datetime.now(UTC), "lost")
    await manager.record(order.order_ref, InstructionEvent.ABANDON, datetime.now(UTC), "given up")
    await scene.open()

    async def alarmed() -> bool:
        locks = await scene.store.control.locks(scene.account)
        alerts = await scene.store.control.alerts()
        return any(lock.reason.startswith("reappeared") for lock in locks) and any(
            alert.cause == f"reappeared:{order.order_ref}" and alert.severity == "red" for alert in alerts
        )

    await eventually(alarmed, "the lock and the alarm")
    assert len(scene.at_venue(order.order_ref)) == 1


async def test_the_limit_of_an_unanswered_replace_is_what_the_broker_works(scene: Scene) -> None:
    await scene.open()
    order = await _working(scene)
    (held,) = scene.at_venue(order.order_ref)
    assert order.limit_price == held.ticket.limit  # the row says what left, on the tick
    manager = DatabaseManager(scene.store, "a life")
    await manager.record(order.order_ref, InstructionEvent.ASK_REPLACE, datetime.now(UTC), "lower")
    scene.venue.exchange.place(held.client_id, held.order_id, replace(held.ticket, limit=held.ticket.limit - 1.0))
    await manager.record(order.order_ref, InstructionEvent.LOSE, datetime.now(UTC), "no answer")

    async def known() -> Order | None:
        row = await scene.store.orders.get(order.order_ref)
        return row if row is not None and row.status == "working" else None

    found = await eventually(known, "the order to be found")
    assert found is not None
    assert (found.limit_price, found.revision) == (pytest.approx(order.limit_price - 1.0), 1)


async def test_a_second_replace_waits_for_the_first_and_the_lease_is_needed(scene: Scene) -> None:
    await scene.open()
    order = await _working(scene)
    manager = DatabaseManager(scene.store, "another life")
    assert "lease" in (await manager.may_change(False, datetime.now(UTC)) or "")
    await manager.record(order.order_ref, InstructionEvent.ASK_REPLACE, datetime.now(UTC), "under way")
    ask = {"order_ref": order.order_ref, "limit_price": order.limit_price - 1}
    answer = await scene.ask(RequestKind.REPLACE, ask)
    assert "not possible from replace_requested" in answer.result["failure"]
    assert [o.ticket.limit for o in scene.at_venue(order.order_ref)] == [order.limit_price]


async def test_the_lock_of_an_unknown_that_another_life_resolved_is_freed(scene: Scene) -> None:
    manager = DatabaseManager(scene.store, "a life that ended")
    await manager.lock(scene.account, "SPX", unknown_cause("0" * 32), "left by a crash", datetime.now(UTC))
    await scene.open()
    assert await scene.store.control.locks(scene.account) == []


# ── the day's loss ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("day_pnl", "limit", "over"),
    [(-30_001.0, 30_000.0, True), (-30_000.0, 30_000.0, False), (30_001.0, 30_000.0, False), (None, 30_000.0, False),
     (-1e9, None, False)],
)  # fmt: skip
def test_a_days_loss_is_over_its_limit_only_beyond_it_and_only_when_known(
    day_pnl: float | None, limit: float | None, over: bool
) -> None:
    assert loses_too_much(day_pnl, limit) is over


class LosingBroker(IbkrBroker):
    """The real one, on a day that lost this share of net liquidation."""

    share = 0.0

    async def account_values(self, account_id: str) -> Answer[AccountValues]:
        answer = await super().account_values(account_id)
        assert answer.data is not None
        assert answer.data.net_liquidation is not None
        return Answer.of(replace(answer.data, day_pnl=-self.share * answer.data.net_liquidation))


def _until(scene: Scene, value: str) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        switch = await scene.store.control.switch(SwitchName.PAUSE)
        return switch is not None and switch.value == value

    return reached


async def test_a_day_that_loses_too_much_pauses_once_and_only_the_person_releases_it(scene: Scene) -> None:
    plain = scene.new_broker()
    broker = LosingBroker(plain._road)
    broker.share = 0.029
    await scene.open(broker)
    assert await _until(scene, "off")()
    broker.share = 0.031
    await eventually(_until(scene, "on"), "the pause")

    async def alarmed() -> bool:
        return any(alert.cause.startswith("daily loss") for alert in await scene.store.control.alerts())

    await eventually(alarmed, "the alert")
    (alert,) = [a for a in await scene.store.control.alerts() if a.cause.startswith("daily loss")]
    assert alert.severity == "red"
    assert mask_account(scene.account) in alert.cause
    assert scene.account not in alert.cause + alert.body
    entries = [(e.who, e.what, e.subject) for e in await scene.store.control.audit_tail(20)]
    assert ("bridge", "switch", "pause") in entries

    proposal = await scene.propose((scene.leg(scene.held()[0], Action.SELL),), quantity=1)  # more of what is short
    await scene.approve(proposal)
    refused = await scene.order_of(proposal, "refused")
    assert "paused" in refused.reason

    await scene.store.control.set_switch(SwitchName.PAUSE, "off", "trader", "I know", datetime.now(UTC))
    before = await scene._snapshot()

    async def valued_twice() -> bool:
        return not await alarmed() and await scene._snapshot() != before

    await eventually(valued_twice, "the alert to settle and the next valuation")
    await scene.ask(RequestKind.RUN_NOW, {})
    assert await _until(scene, "off")()
