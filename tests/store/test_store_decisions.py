"""Decisions: one compare-and-set, signed, audited, siblings superseded; of two at once exactly one succeeds."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from database.errors import DecisionRefused
from database.store import Store, open_store
from models.proposed_trade import Approval, ProposalStatus
from models.quant.structure import legs_from_json, legs_hash
from tests.store_rows import ACCOUNT, check, proposal, put_spread

ROOT = Path(__file__).resolve().parents[2]


async def propose(store: Store, now: datetime, count: int = 3, **changes: Any) -> list[int]:
    rows = [proposal(now, **changes) for _ in range(count)]
    return await store.proposals.replace_pending(ACCOUNT, "hedge", rows, check(now), now)


async def approve(store: Store, id: int, now: datetime, **changes: Any) -> Approval:
    row = await store.proposals.get(id)
    terms: dict[str, Any] = {
        "legs_hash": row.legs_hash if row else "", "quantity": 2, "limit_price": 20.0, "worst_price": 20.5,
        "by": "trader", "now": now, "good_for": 60.0, "key": store.key,
    }  # fmt: skip
    return await store.proposals.approve(id, **{**terms, **changes})


async def statuses(store: Store) -> dict[int | None, str]:
    return {row.id: row.status for row in await store.proposals.recent(100)}


async def test_an_approval_is_signed_and_says_exactly_what_may_cross_and_until_when(
    store: Store, now: datetime
) -> None:
    first, second, third = await propose(store, now)
    given = await approve(store, second, now)
    stored = await store.proposals.approval_of(second)
    assert stored is not None
    assert stored == given
    statement = stored.statement()
    assert statement.verify(store.key, stored.signature)
    assert (statement.mode, statement.epoch, statement.action) == ("DEMO", 1, "BUY")
    assert statement.good_until == now + timedelta(seconds=60)
    assert statement.walk == {"start": 20.0, "step": 0.1, "interval": 5, "max_age": 60}
    for forged in (replace(statement, quantity=20), replace(statement, good_until=now + timedelta(days=1))):
        assert not forged.verify(store.key, stored.signature)
    assert not statement.verify(b"another key", stored.signature)
    assert await statuses(store) == {first: "Superseded", second: "Approved", third: "Superseded"}
    entry = (await store.control.audit_tail(1))[0]
    assert (entry.who, entry.what, entry.subject) == ("trader", "approve", f"proposal {second}")
    assert entry.detail["superseded"] == [first, third]
    assert await store.control.verify_audit() is None


@pytest.mark.parametrize(
    ("row_changes", "terms", "words"),
    [
        ({"origin": "mock"}, {}, "mock proposal can never be approved"),
        ({}, {"legs_hash": "other"}, "legs are no longer those that were shown"),
        ({"expires_at": -1}, {}, "expired at"),
        ({"expires_at": 0}, {}, "expired at"),
        ({"status": ProposalStatus.REJECTED, "decided_by": "trader"}, {}, "already rejected by trader"),
        ({}, {"quantity": 3}, "not between 1 and the 2 that were checked"),
        ({}, {"quantity": 0}, "not between 1 and the 2"),
        ({}, {"worst_price": 20.6}, "past the 20.5 that was checked"),
        ({}, {"limit_price": 20.5, "worst_price": 20.4}, "past the worst price"),
        ({}, {"limit_price": float("nan")}, "past the worst price"),
        ({}, {"limit_price": float("-inf")}, "must be a number"),
        ({}, {"good_for": 0.0}, "good for some seconds"),
    ],
)
async def test_an_approval_that_does_not_fit_is_refused_in_words_and_changes_nothing(
    store: Store, now: datetime, row_changes: dict[str, Any], terms: dict[str, Any], words: str
) -> None:
    if "expires_at" in row_changes:
        row_changes = {"expires_at": now + timedelta(seconds=row_changes["expires_at"])}
    id = await store.proposals.add(proposal(now, **row_changes))
    before = await store.proposals.get(id)
    with pytest.raises(DecisionRefused, match=words):
        await approve(store, id, now, **terms)
    assert await store.proposals.get(id) == before
    assert await store.proposals.approval_of(id) is None
    assert await store.control.audit_tail(5) == []


async def test_a_proposal_that_does_not_exist_is_refused(store: Store, now: datetime) -> None:
    with pytest.raises(DecisionRefused, match="there is no proposal 77"):
        await approve(store, 77, now)


async def test_of_two_approvals_at_once_exactly_one_succeeds(
    store: Store, store_url: str, tmp_path: Path, now: datetime
) -> None:
    other = await open_store(store_url, mode="DEMO", var_dir=tmp_path / "var", now=now)
    for _ in range(10):
        id = await store.proposals.add(proposal(now, breach_set_id=None))
        attempts = [approve(one, id, now, by=f"{n}") for n, one in enumerate((store, other, store, other))]
        results = await asyncio.gather(*attempts, return_exceptions=True)
        refused = [r for r in results if isinstance(r, DecisionRefused)]
        assert len([r for r in results if isinstance(r, Approval)]) == 1
        assert len(refused) == 3
        assert all(f"proposal {id} is already approved by" in error.reason for error in refused)
    await other.close()
    assert await store.control.verify_audit() is None


async def test_two_siblings_approved_at_once_give_one_approval(
    store: Store, store_url: str, tmp_path: Path, now: datetime
) -> None:
    other = await open_store(store_url, mode="DEMO", var_dir=tmp_path / "var", now=now)
    for n in range(10):
        first, second, third = await propose(store, now, breach_set_id=f"set-{n}")
        results = await asyncio.gather(
            approve(store, third, now), approve(other, first, now), approve(store, second, now), return_exceptions=True
        )
        assert sorted(type(r).__name__ for r in results) == ["Approval", "DecisionRefused", "DecisionRefused"]
    await other.close()
    async with store.reading() as session:
        assert (await session.execute(select(func.count()).select_from(Approval))).scalar_one() == 10


APPROVER = """
import asyncio, json, sys
from datetime import datetime
from pathlib import Path
from database.errors import DecisionRefused
from database.store import open_store

async def main(url, var, ids, legs_hash, at):
    now = datetime.fromisoformat(at)
    store = await open_store(url, mode="DEMO", var_dir=Path(var), now=now)
    print("ready", flush=True)
    sys.stdin.readline()
    won = []
    for id in json.loads(ids):
        try:
            await store.proposals.approve(id, legs_hash, 2, 20.0, 20.5, "child", now)
            won.append(id)
        except DecisionRefused as refused:
            assert "already approved" in refused.reason, refused.reason
    print(json.dumps(won), flush=True)
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_four_processes_racing_for_the_same_proposals_win_each_exactly_once(
    store: Store, store_url: str, tmp_path: Path, now: datetime
) -> None:
    ids = [await store.proposals.add(proposal(now, breach_set_id=None)) for _ in range(25)]
    legs = proposal(now).legs_hash
    arguments = [store_url, str(tmp_path / "var"), json.dumps(ids), legs, now.isoformat()]

    def race() -> list[list[int]]:
        children = [
            subprocess.Popen(
                [sys.executable, "-c", APPROVER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                cwd=ROOT, env={"PATH": os.environ["PATH"]},
            )
            for _ in range(4)
        ]  # fmt: skip
        for child in children:
            assert child.stdout
            assert child.stdout.readline() == "ready\n"
        answers = [child.communicate("go\n", timeout=60)[0] for child in children]
        return [json.loads(answer) for answer in answers]

    won = await asyncio.to_thread(race)
    assert sorted(id for one in won for id in one) == ids
    assert await store.control.verify_audit() is None
    assert len(await store.control.audit_tail(100)) == 25


async def test_a_completed_check_replaces_what_was_pending_but_not_what_sleeps_or_is_by_hand(
    store: Store, now: datetime
) -> None:
    slept, old = await propose(store, now, count=2)
    by_hand = await store.proposals.add(proposal(now, origin="hand"))
    elsewhere = await store.proposals.add(proposal(now, account_id="SIM7777777"))
    await store.proposals.snooze(slept, now + timedelta(minutes=2), "trader", now)
    later = now + timedelta(seconds=10)
    (new,) = await propose(store, later, count=1)
    found = await statuses(store)
    assert found == {slept: "Pending", old: "Superseded", by_hand: "Pending", elsewhere: "Pending", new: "Pending"}
    assert [row.id for row in await store.proposals.pending(ACCOUNT, later)] == [new, by_hand]
    assert {row.id for row in await store.proposals.pending(ACCOUNT, later, snoozed=True)} == {new, by_hand, slept}
    awake = now + timedelta(minutes=3)
    assert slept in {row.id for row in await store.proposals.pending(None, awake)}
    last = await store.proposals.last_check(ACCOUNT)
    assert last is not None
    assert (last.at, last.refused) == (later, {"spread": 97})


async def test_a_check_is_written_whole_or_not_at_all(store: Store, now: datetime) -> None:
    (old,) = await propose(store, now, count=1)
    broken = proposal(now)
    broken.created_at = datetime(2026, 1, 1)  # noqa: DTZ001 – naive on purpose
    with pytest.raises(Exception, match="naive datetime"):
        await store.proposals.replace_pending(ACCOUNT, "hedge", [proposal(now), broken], check(now), now)
    assert await statuses(store) == {old: "Pending"}
    assert len(await store.proposals.checks(10)) == 1


async def test_what_nobody_decided_expires_and_says_so(store: Store, now: datetime) -> None:
    (id,) = await propose(store, now, count=1)
    assert await store.proposals.expire_due(now + timedelta(minutes=4)) == 0
    assert await store.proposals.expire_due(now + timedelta(minutes=5)) == 1
    row = await store.proposals.get(id)
    assert row is not None
    assert (row.status, row.decision_reason) == ("Expired", "nobody decided in time")


async def test_a_rejection_keeps_its_reason_and_cannot_be_taken_twice(store: Store, now: datetime) -> None:
    (id,) = await propose(store, now, count=1)
    await store.proposals.reject(id, "trader", "too wide", now)
    with pytest.raises(DecisionRefused, match="already rejected by trader: too wide"):
        await store.proposals.reject(id, "trader", "again", now)
    with pytest.raises(DecisionRefused, match="already rejected"):
        await store.proposals.snooze(id, now + timedelta(minutes=1), "trader", now)
    row = await store.proposals.get(id)
    assert row is not None
    assert (row.status, row.decided_by, row.decision_reason, row.decided_at) == ("Rejected", "trader", "too wide", now)


async def test_legs_come_back_as_they_were_proposed(store: Store, now: datetime) -> None:
    id = await store.proposals.add(proposal(now))
    row = await store.proposals.get(id)
    assert row is not None
    assert legs_from_json(row.legs_json) == put_spread()
    assert legs_hash(legs_from_json(row.legs_json)) == row.legs_hash
