"""What is not certain: lost connections, late and double answers, other lives; unknown until there is evidence."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.base import Fill
from adapters.simulator.types import FillStyle
from bridge.claims import Before, new_reference
from bridge.database_manager import DatabaseManager
from bridge.main import LeaseHeld, run
from bridge.reconcile import reset_between
from database.store import Store
from tests.bridge.conftest import Scene, eventually


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """One database is enough here: what differs between the two is crossed in test_bridge_crossing."""
    return f"sqlite:///{tmp_path}/desk.db"


async def locked(scene: Scene) -> bool:
    return bool(await scene.store.control.locks(scene.account))


async def unlocked(scene: Scene) -> bool:
    return not await locked(scene)


async def test_a_drop_before_the_ack_is_unknown_locks_the_family_and_is_resolved_as_absent(scene: Scene) -> None:
    await scene.open()
    scene.venue.exchange.set_fill_style(FillStyle.DROP_BEFORE_ACK)
    proposal = await scene.propose(scene.spread())
    await scene.approve(proposal)
    order = await scene.order_of(proposal, "unknown", "cancelled")
    assert await scene.order_of(proposal, "cancelled")
    told = [(event.event, event.to_status) for event in await scene.store.orders.events(order.order_ref)]
    assert ("lose", "unknown") in told
    assert ("absent", "cancelled") in told
    await eventually(lambda: unlocked(scene), "the lock to be freed")
    assert scene.at_venue(order.order_ref) == []  # never sent a second time
    whats = [entry.what for entry in await scene.store.control.audit_tail(50)]
    assert "lock" in whats
    assert "free" in whats


async def test_a_drop_after_the_ack_is_unknown_and_then_found_at_the_broker(scene: Scene) -> None:
    await scene.open()
    scene.venue.exchange.set_fill_style(FillStyle.DROP_AFTER_ACK)
    proposal = await scene.propose(scene.spread())
    await scene.approve(proposal)
    order = await scene.order_of(proposal, "filled")
    told = [event.to_status for event in await scene.store.orders.events(order.order_ref)]
    assert "unknown" in told
    assert len(scene.at_venue(order.order_ref)) == 1

    async def agree() -> bool:
        return await scene.our_positions() == scene.venue_positions() and await unlocked(scene)

    await eventually(agree, "the books to agree")


async def test_new_risk_waits_while_an_order_of_the_family_is_unknown(scene: Scene) -> None:
    scene.absence = type(scene.absence)(3, 600.0)
    await scene.open()
    scene.venue.exchange.set_fill_style(FillStyle.DROP_BEFORE_ACK)
    proposal = await scene.propose(scene.spread())
    await scene.approve(proposal)
    await scene.order_of(proposal, "unknown")
    await eventually(lambda: locked(scene), "the lock")
    scene.venue.exchange.set_fill_style(FillStyle.NORMAL)

    async def back() -> bool:
        answer = await scene.ask("doctor", {})
        return bool(answer.result and answer.result.get("checks", {}).get("session", {}).get("ok"))

    await eventually(back, "the session to come back")
    second = await scene.propose(scene.spread(), quantity=1)
    await scene.approve(second)
    refused = await scene.order_of(second, "refused")
    assert "lock" in refused.reason or "unknown" in refused.reason


@pytest.mark.parametrize("style", [FillStyle.ANSWER_TWICE, FillStyle.PARTIAL])
async def test_an_order_answered_twice_or_in_parts_is_counted_once(scene: Scene, style: FillStyle) -> None:
    await scene.open()
    scene.venue.exchange.set_fill_style(style, delay=0.2)
    proposal = await scene.propose(scene.spread(), quantity=2)
    await scene.approve(proposal)
    order = await scene.order_of(proposal, "filled")

    async def agree() -> bool:
        return await scene.our_positions() == scene.venue_positions()

    await eventually(agree, "the books to agree")
    assert order.filled == 2
    assert await unlocked(scene)


async def test_an_answer_that_comes_late_turns_unknown_into_what_it_says(scene: Scene) -> None:
    await scene.open(scene.new_broker(submit_deadline=0.15))
    scene.venue.exchange.set_fill_style(FillStyle.ANSWER_LATE, delay=0.6)
    proposal = await scene.propose(scene.spread(), quantity=1)
    await scene.approve(proposal)
    order = await scene.order_of(proposal, "filled")
    assert "unknown" in [event.to_status for event in await scene.store.orders.events(order.order_ref)]
    await eventually(lambda: unlocked(scene), "the lock to be freed")
    assert len(scene.at_venue(order.order_ref)) == 1


async def test_an_intent_of_another_life_is_never_sent(scene: Scene) -> None:
    proposal = await scene.propose(scene.spread())
    approval = await scene.approve(proposal)
    dead = DatabaseManager(scene.store, "a life that ended")
    claim = await dead.claim(approval.id or 0, Before({}, [], None), new_reference(), datetime.now(UTC))
    assert claim is not None
    assert claim.order is not None
    await scene.open()
    await scene.order_of(proposal, "cancelled")  # unknown, then proven absent
    told = [event.to_status for event in await scene.store.orders.events(claim.order.order_ref)]
    assert told == ["intended", "unknown", "cancelled"]
    assert scene.venue.exchange.orders() == []


async def test_a_life_that_ends_with_a_working_order_leaves_it_to_the_next(scene: Scene) -> None:
    await scene.open()
    scene.venue.exchange.set_fill_style(FillStyle.NEVER)
    proposal = await scene.propose(scene.spread(), quantity=1)
    await scene.approve(proposal)
    order = await scene.order_of(proposal, "working")
    await scene.close()
    scene.venue.exchange.set_fill_style(FillStyle.IMMEDIATE)
    scene.venue.exchange.set_fill_style(FillStyle.IMMEDIATE, order.order_ref)
    await scene.open()
    await scene.order_of(proposal, "filled")
    assert len(scene.at_venue(order.order_ref)) == 1

    async def agree() -> bool:
        return await scene.our_positions() == scene.venue_positions()

    await eventually(agree, "the books to agree")


async def test_a_difference_locks_its_family_and_frees_it_when_it_heals(scene: Scene) -> None:
    await scene.open()
    wrong = scene.held()[0]
    manager = DatabaseManager(scene.store, "somebody")
    before = (await scene.our_positions())[wrong.identity]
    await manager.rebase(scene.account, wrong, before + 1, "a test breaks the book", datetime.now(UTC))
    await eventually(lambda: locked(scene), "the lock")
    (lock,) = await scene.store.control.locks(scene.account)
    assert lock.family == "SPX"
    assert str(wrong) in lock.reason
    proposal = await scene.propose(scene.spread(), quantity=1)
    await scene.approve(proposal)
    refused = await scene.order_of(proposal, "refused")
    assert "lock" in refused.reason
    await manager.rebase(scene.account, wrong, before, "a test mends it", datetime.now(UTC))
    await eventually(lambda: unlocked(scene), "the lock to be freed")
    whats = [(entry.what, entry.subject) for entry in await scene.store.control.audit_tail(20)]
    assert ("lock", "family SPX") in whats
    assert ("free", "family SPX") in whats


async def test_an_execution_heard_twice_counts_once_and_a_correction_replaces_it(store: Store, scene: Scene) -> None:
    await scene.open()
    await scene.close()
    contract = scene.held()[0]
    manager = DatabaseManager(store, "a listener")
    before = (await scene.our_positions())[contract.identity]
    now = datetime.now(UTC)
    leg = scene.single()[0]
    fill = Fill(
        "aa.bb.01.01", "ref", scene.account, contract, leg.con_id or 0, leg.action, 3.0, 40.0, None, None, now, 1
    )
    assert (await manager.book(fill, datetime.now(UTC))).new
    assert not (await manager.book(fill, datetime.now(UTC))).changed
    assert (await scene.our_positions())[contract.identity] == before + 3
    priced = Fill(**{**vars(fill), "commission": 1.95})
    assert (await manager.book(priced, datetime.now(UTC))).priced
    corrected = Fill(**{**vars(fill), "exec_id": "aa.bb.01.02", "quantity": 2.0})
    assert (await manager.book(corrected, datetime.now(UTC))).corrected
    assert not (await manager.book(fill, datetime.now(UTC))).changed
    assert (await scene.our_positions())[contract.identity] == before + 2


async def test_a_second_bridge_is_told_that_another_leads(scene: Scene) -> None:
    await scene.open()
    with pytest.raises(LeaseHeld, match="another bridge leads"):
        await run(scene.store, scene.new_broker(client_id=31), scene.settings, asyncio.Event(), once=True)


async def test_one_pass_reconciles_values_and_ends(scene: Scene) -> None:
    sentence = await run(scene.store, scene.new_broker(), scene.settings, asyncio.Event(), once=True)
    assert "3 positions" in sentence
    assert await scene.our_positions() == scene.venue_positions()
    assert await scene.store.control.lease("bridge") is None
    assert {row.call for row in await scene.store.control.api_logs()} >= {"connect"}


def test_the_nightly_reset_is_seen_between_two_moments() -> None:
    noon, evening = datetime(2026, 11, 18, 17, tzinfo=UTC), datetime(2026, 11, 19, 4, 39, tzinfo=UTC)
    assert not reset_between(noon, evening)
    assert reset_between(noon, datetime(2026, 11, 19, 4, 41, tzinfo=UTC))
    assert reset_between(datetime(2026, 11, 19, 5, 4, tzinfo=UTC), datetime(2026, 11, 19, 6, tzinfo=UTC))
    assert not reset_between(datetime(2026, 11, 19, 5, 6, tzinfo=UTC), datetime(2026, 11, 19, 6, tzinfo=UTC))
