"""How processes meet: leases, switches, requests, alerts, heartbeats, the clock; and the audit of all of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from database.errors import DatabaseUnavailable
from database.store import Store, open_store
from models.clock import DeskClock
from models.control import ApiLog, Heartbeat, RequestStatus


@pytest.fixture
async def other(store: Store, store_url: str, tmp_path: Path, now: datetime) -> AsyncIterator[Store]:
    """The same database as another process would open it."""
    opened = await open_store(store_url, mode="DEMO", var_dir=tmp_path / "var", now=now)
    yield opened
    await opened.close()


# ── leases ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_lease_has_one_holder_until_it_lapses_or_is_given_back(store: Store, now: datetime) -> None:
    control = store.control
    assert await control.take_lease("bridge", "a", now, 10)
    assert not await control.take_lease("bridge", "b", now + timedelta(seconds=9), 10)
    assert await control.take_lease("bridge", "a", now + timedelta(seconds=9), 10)
    assert not await control.take_lease("bridge", "b", now + timedelta(seconds=18), 10)
    assert await control.take_lease("bridge", "b", now + timedelta(seconds=19), 10)
    lease = await control.lease("bridge")
    assert lease is not None
    assert (lease.holder, lease.slot) == ("b", 2)
    await control.release_lease("bridge", "a")
    assert await control.lease("bridge") is not None
    await control.release_lease("bridge", "b")
    assert await control.lease("bridge") is None


async def test_a_race_for_a_lease_has_one_winner_each_time(store: Store, other: Store, now: datetime) -> None:
    for n in range(20):
        took = await asyncio.gather(
            *(one.control.take_lease(f"job {n}", f"holder {i}", now, 10) for i, one in enumerate((store, other) * 3))
        )
        assert sum(took) == 1


# ── switches, clock, heartbeats ──────────────────────────────────────────────────────────────────────────────────
async def test_a_switch_is_audited_and_its_acknowledgement_begins_anew(store: Store, now: datetime) -> None:
    control = store.control
    await control.set_switch("halt", "on", "trader", "it smells", now)
    assert await control.acknowledge_switch("halt", now + timedelta(seconds=1))
    assert not await control.acknowledge_switch("halt", now + timedelta(seconds=2))
    halt = await control.switch("halt")
    assert halt is not None
    assert (halt.value, halt.reason, halt.acknowledged_at) == ("on", "it smells", now + timedelta(seconds=1))
    await control.set_switch("halt", "off", "trader", "aired", now)
    halt = await control.switch("halt")
    assert halt is not None
    assert halt.acknowledged_at is None
    assert [entry.detail["value"] for entry in await control.audit_tail(5)] == ["off", "on"]
    assert await control.switch("agent:nobody") is None


async def test_desk_time_is_utc_until_somebody_publishes_another(store: Store, now: datetime) -> None:
    assert (await store.control.desk_clock(now)).at(now) == now
    venue = datetime(2026, 8, 21, 15, 0, tzinfo=UTC)
    await store.control.set_clock(DeskClock(now, venue, 60.0))
    clock = await store.control.desk_clock(now)
    assert clock.at(now + timedelta(seconds=2)) == venue + timedelta(minutes=2)


async def test_a_heartbeat_is_the_last_word_of_its_agent(store: Store, now: datetime) -> None:
    await store.control.beat(Heartbeat(agent="proposer", state="failed", sentence="no VIX", at=now))
    await store.control.beat(Heartbeat(agent="proposer", state="ok", sentence="three hedges", at=now, rows=3))
    assert [(b.agent, b.state, b.rows) for b in await store.control.heartbeats()] == [("proposer", "ok", 3)]


async def test_the_call_log_is_read_newest_first(store: Store, now: datetime) -> None:
    for n in range(3):
        await store.control.log_call(ApiLog(at=now, counterparty="ibkr", call=f"call {n}", outcome="ok"))
    assert [row.call for row in await store.control.api_logs(2)] == ["call 2", "call 1"]


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_request_is_given_out_once_and_its_answer_wakes_the_asker(
    store: Store, other: Store, now: datetime
) -> None:
    deadline = datetime.now(UTC) + timedelta(seconds=30)
    id = await store.control.ask("what_if", {"proposal_id": 5}, "trader", now, deadline)
    waiting = asyncio.create_task(store.control.await_answer(id, deadline))
    given = await asyncio.gather(*(one.control.claim_requests("bridge", "b", now) for one in (store, other, other)))
    assert sorted(len(some) for some in given) == [0, 0, 1]
    assert await other.control.claim_requests("proposer", "p", now) == []
    await other.control.answer(id, {"init_margin_change": 1500.0})
    row = await waiting
    assert (row.status, row.result) == (RequestStatus.DONE, {"init_margin_change": 1500.0})


async def test_an_answerer_takes_only_its_own_kind_and_leaves_the_rest_waiting(store: Store, now: datetime) -> None:
    deadline, control = now + timedelta(seconds=30), store.control
    run = await control.ask("run_now", {}, "trader", now, deadline, target="trade_proposer")
    ticket = await control.ask("hand_ticket", {"legs": []}, "trader", now, deadline, target="trade_proposer")
    assert await control.waiting_requests("trade_proposer", ("hand_ticket",)) == [ticket]
    assert [row.id for row in await control.claim_requests("trade_proposer", "runner", now, ("run_now",))] == [run]
    assert await control.waiting_requests("trade_proposer", ("hand_ticket", "run_now")) == [ticket]
    assert [row.id for row in await control.claim_requests("trade_proposer", "p", now, ("hand_ticket",))] == [ticket]
    assert await control.waiting_requests("trade_proposer", ("hand_ticket",)) == []


async def test_a_refusal_carries_its_reason(store: Store, now: datetime) -> None:
    id = await store.control.ask("cancel", {"order_ref": "x"}, "trader", now, now + timedelta(seconds=30))
    await store.control.claim_requests("bridge", "b", now)
    await store.control.answer(id, failure="no such order")
    row = await store.control.request(id)
    assert (row.status, row.result) == ("failed", {"failure": "no such order"})


async def test_nobody_does_what_was_asked_for_too_long_ago(store: Store, now: datetime) -> None:
    id = await store.control.ask("flatten", {}, "trader", now, now + timedelta(seconds=1))
    assert await store.control.claim_requests("bridge", "b", now + timedelta(seconds=1)) == []
    assert (await store.control.request(id)).status == "expired"
    late = await store.control.ask("doctor", {}, "trader", now, now)
    assert (await store.control.await_answer(late, now)).status == "expired"
    assert await store.control.claim_requests("bridge", "b", now - timedelta(seconds=9)) == []


async def test_a_request_that_was_not_signed_by_the_desk_is_not_carried_out(store: Store, now: datetime) -> None:
    id = await store.control.ask("cancel", {"order_ref": "mine"}, "trader", now, now + timedelta(seconds=30))
    async with store.writing() as session:
        await session.execute(text("UPDATE requests SET kind = 'flatten'"))
    assert await store.control.claim_requests("bridge", "b", now) == []
    row = await store.control.request(id)
    assert row.status == "failed"
    assert row.result is not None
    assert "signature does not match" in row.result["failure"]


# ── alerts ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_one_cause_alerts_once_until_it_settles(store: Store, now: datetime) -> None:
    control = store.control
    assert await control.raise_alert("breach:vega", "yellow", "vega", "over", "proposer", now)
    assert not await control.raise_alert("breach:vega", "red", "vega", "further over", "proposer", now)
    assert await control.raise_alert("feed", "yellow", "feed", "stale", "streams", now + timedelta(seconds=1))
    first, second = await control.alerts()
    assert (first.cause, first.severity, first.count) == ("breach:vega", "red", 2)
    assert second.cause == "feed"
    assert first.id is not None
    await control.acknowledge_alert(first.id, "trader", now)
    assert [row.cause for row in await control.alerts()] == ["feed", "breach:vega"]
    assert await control.settle_alert("breach:vega", now)
    assert not await control.settle_alert("breach:vega", now)
    assert [row.cause for row in await control.alerts()] == ["feed"]
    assert len(await control.alerts(settled=True)) == 2
    assert await control.raise_alert("breach:vega", "yellow", "vega", "again", "proposer", now)
    again = next(row for row in await control.alerts() if row.cause == "breach:vega")
    assert (again.acknowledged_by, again.count) == (None, 1)


# ── audit ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def write_three(store: Store, now: datetime) -> None:
    for n, detail in enumerate(({"n": 1e20, "m": 0.1, "z": None}, {"deep": [{"b": 1, "a": 2.50}]}, {"at": now})):
        await store.control.audit("trader", "did", f"thing {n}", detail, now)


async def test_the_chain_holds_and_the_file_beside_it_says_the_same(
    store: Store, tmp_path: Path, now: datetime
) -> None:
    await write_three(store, now)
    assert await store.control.verify_audit() is None
    lines = [json.loads(line) for line in (tmp_path / "var" / "audit.log").read_text().splitlines()]
    assert [line["subject"] for line in lines] == ["thing 0", "thing 1", "thing 2"]
    assert lines[1]["previous"] == lines[0]["digest"]


@pytest.mark.parametrize(
    ("tampering", "words"),
    [
        ("UPDATE audit_log SET who = 'nobody' WHERE subject = 'thing 1'", "was changed after it was written"),
        ("UPDATE audit_log SET detail = '{\"n\": 7}' WHERE subject = 'thing 0'", "was changed after it was written"),
        ("DELETE FROM audit_log WHERE subject = 'thing 1'", "does not follow the one before it"),
        ("DELETE FROM audit_log WHERE subject = 'thing 0'", "does not follow the one before it"),
        ("DELETE FROM audit_log WHERE subject = 'thing 2'", "ends at 2 entries, its head row says 3"),
        ("DELETE FROM audit_head", "head row of the audit chain is missing"),
    ],
)
async def test_tampering_with_the_chain_is_found(store: Store, now: datetime, tampering: str, words: str) -> None:
    await write_three(store, now)
    async with store.writing() as session:
        await session.execute(text(tampering))
    assert words in (await store.control.verify_audit() or "")


async def test_cutting_the_end_off_chain_and_head_contradicts_the_file(store: Store, now: datetime) -> None:
    await write_three(store, now)
    async with store.writing() as session:
        await session.execute(
            text(
                "UPDATE audit_head SET entries = 2, digest = (SELECT previous FROM audit_log WHERE subject = 'thing 2')"
            )
        )
        await session.execute(text("DELETE FROM audit_log WHERE subject = 'thing 2'"))
    assert "which the database does not hold so" in (await store.control.verify_audit() or "")


async def test_an_audit_file_that_was_edited_or_shortened_is_found(store: Store, tmp_path: Path, now: datetime) -> None:
    await write_three(store, now)
    path = tmp_path / "var" / "audit.log"
    whole = path.read_text()
    path.write_text(whole.split("\n", 1)[1])
    assert "holds 2 of 3 entries" in (await store.control.verify_audit() or "")
    path.write_text("not json\n")
    assert "is not an audit line" in (await store.control.verify_audit() or "")
    path.unlink()
    assert "is missing" in (await store.control.verify_audit() or "")
    path.write_text(whole)
    assert await store.control.verify_audit() is None


async def test_a_file_that_fell_behind_is_caught_up_at_the_next_entry(
    store: Store, tmp_path: Path, now: datetime
) -> None:
    await write_three(store, now)
    path = tmp_path / "var" / "audit.log"
    path.write_text(path.read_text().split("\n", 1)[0] + "\n")
    await store.control.audit("trader", "did", "thing 3", {}, now)
    assert await store.control.verify_audit() is None


async def test_a_line_torn_off_by_a_crash_is_written_again(store: Store, tmp_path: Path, now: datetime) -> None:
    await write_three(store, now)
    path = tmp_path / "var" / "audit.log"
    path.write_text(path.read_text()[:-20])
    await store.control.audit("trader", "did", "thing 3", {}, now)
    assert await store.control.verify_audit() is None
    assert path.read_text().count("\n") == 4


async def test_a_commit_whose_mirror_cannot_be_written_does_not_look_like_a_failure(
    store: Store, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    @asynccontextmanager
    async def gone() -> AsyncIterator[None]:
        raise DatabaseUnavailable("the line broke after the commit")
        yield

    monkeypatch.setattr(store.audit, "_sessions", SimpleNamespace(reading=gone))
    await store.control.audit("trader", "did", "thing 0", {}, now)
    monkeypatch.undo()
    assert len(await store.control.audit_tail(10)) == 1


async def test_a_transaction_that_rolls_back_leaves_no_trace_in_chain_or_file(
    store: Store, tmp_path: Path, now: datetime
) -> None:
    await write_three(store, now)
    with pytest.raises(ZeroDivisionError):
        async with store.writing(durable=True) as session:
            await store.audit.append(session, "trader", "did", "nothing", {}, now)
            raise ZeroDivisionError
    assert await store.control.verify_audit() is None
    assert "nothing" not in (tmp_path / "var" / "audit.log").read_text()


async def test_entries_written_at_once_by_two_desks_form_one_chain(store: Store, other: Store, now: datetime) -> None:
    await asyncio.gather(*(one.control.audit("x", "did", f"{n}", {}, now) for n in range(10) for one in (store, other)))
    assert await store.control.verify_audit() is None
    assert len(await store.control.audit_tail(50)) == 20
