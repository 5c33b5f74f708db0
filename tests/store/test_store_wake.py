"""Waiting for the memory to change, and the two doors: nothing lost, nothing half-written, trouble in plain words."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from database.errors import DatabaseUnavailable
from database.store import Store, open_store
from models.control import Lease, LockRow

LONG = 20.0


@pytest.fixture
async def other(store: Store, store_url: str, tmp_path: Path, now: datetime) -> AsyncIterator[Store]:
    """The same database as another process would open it."""
    opened = await open_store(store_url, mode="DEMO", var_dir=tmp_path / "var", now=now)
    yield opened
    await opened.close()


async def quiet(changes: Any) -> None:
    """Until nothing is left to notice; the first look may be a spurious one."""
    async with asyncio.timeout(LONG):
        while await changes.wait(0.1):
            pass


async def test_a_commit_elsewhere_wakes_whoever_waits(store: Store, other: Store, now: datetime) -> None:
    changes = store.changes()
    await quiet(changes)
    waiting = asyncio.create_task(changes.wait(LONG))
    await other.control.take_lease("bridge", "a", now, 10)
    assert await waiting is True


async def test_an_own_commit_wakes_once_and_not_twice(store: Store, now: datetime) -> None:
    changes = store.changes()
    await quiet(changes)
    await store.control.take_lease("bridge", "a", now, 10)
    assert await changes.wait(LONG) is True
    await quiet(changes)
    assert await changes.wait(0.05) is False


async def test_what_was_committed_while_nobody_waited_is_not_missed(store: Store, other: Store, now: datetime) -> None:
    changes = store.changes()
    await quiet(changes)
    await other.control.take_lease("bridge", "a", now, 10)
    assert await changes.wait(LONG) is True
    never_waited = store.changes()
    await other.control.take_lease("bridge", "a", now, 11)
    assert await never_waited.wait(LONG) is True


async def test_a_rollback_or_a_read_wakes_nobody(store: Store, other: Store, now: datetime) -> None:
    changes = store.changes()
    await quiet(changes)
    with pytest.raises(ZeroDivisionError):
        async with other.writing() as session:
            session.add(Lease(job="x", holder="y", until=now))
            await session.flush()
            raise ZeroDivisionError
    assert await other.control.lease("x") is None
    assert await changes.wait(0.2) is False


async def test_many_waiters_are_all_woken(store: Store, other: Store, now: datetime) -> None:
    waiters = [store.changes() for _ in range(5)]
    for changes in waiters:
        await quiet(changes)
    waiting = [asyncio.create_task(changes.wait(LONG)) for changes in waiters]
    await other.control.take_lease("bridge", "a", now, 10)
    assert await asyncio.gather(*waiting) == [True] * 5


async def test_waiting_costs_next_to_nothing(store: Store) -> None:
    changes = store.changes()
    await quiet(changes)
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    await changes.wait(1.0)
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    share = used / (time.monotonic() - began)
    assert share < 0.10, f"{share:.1%} of a core for waiting"


@pytest.mark.postgres
async def test_a_lost_listening_connection_is_noticed_and_made_again(
    postgres_url: str, tmp_path: Path, now: datetime
) -> None:
    store = await open_store(postgres_url, mode="DEMO", var_dir=tmp_path / "var", now=now)
    changes = store.changes()
    await quiet(changes)
    await cut_all_connections(store)
    assert await changes.wait(LONG) is True
    await quiet(changes)
    waiting = asyncio.create_task(changes.wait(LONG))
    await store.control.take_lease("bridge", "a", now, 10)
    assert await waiting is True
    await store.close()


@pytest.mark.postgres
async def test_a_socket_in_a_folder_serves_as_well_as_a_port(
    postgres_url: str, postgres_cluster: Any, tmp_path: Path, now: datetime
) -> None:
    name = postgres_url.rsplit("/", 1)[1]
    url = f"postgresql://postgres@/{name}?host={postgres_cluster.folder}&port={postgres_cluster.port}"
    store = await open_store(url, mode="DEMO", var_dir=tmp_path / "var", now=now)
    changes = store.changes()
    await quiet(changes)
    waiting = asyncio.create_task(changes.wait(LONG))
    await store.control.take_lease("bridge", "a", now, 10)
    assert await waiting is True
    await store.close()


# ── the two doors ────────────────────────────────────────────────────────────────────────────────────────────────
async def cut_all_connections(store: Store) -> None:
    query = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    async with store.reading() as session:
        await session.execute(text(query))


@pytest.mark.postgres
async def test_a_connection_that_dies_is_said_to_be_unavailable_and_the_next_one_works(
    postgres_url: str, tmp_path: Path, now: datetime
) -> None:
    store = await open_store(postgres_url, mode="DEMO", var_dir=tmp_path / "var", now=now)
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        async with store.writing() as session:
            session.add(Lease(job="x", holder="y", until=now))
            await session.flush()
            await cut_all_connections(store)
            await session.execute(select(Lease))
    assert await store.control.take_lease("x", "a", now, 10)
    await store.close()


async def test_a_transaction_inside_a_transaction_is_refused_at_once(store: Store, now: datetime) -> None:
    with pytest.raises(RuntimeError, match="already holds a writing transaction"):
        async with store.writing():
            await store.control.take_lease("x", "a", now, 10)
    assert await store.control.take_lease("x", "a", now, 10)


async def test_no_update_is_lost_between_four_writers(store: Store, other: Store, now: datetime) -> None:
    async with store.writing() as session:
        session.add(Lease(job="count", holder="x", slot=0, until=now))

    async def count(one: Store, durable: bool) -> None:
        for _ in range(25):
            async with one.writing(durable) as session:
                query = select(Lease).where(col(Lease.job) == "count").with_for_update()
                row = (await session.scalars(query)).one()
                row.slot += 1

    await asyncio.gather(*(count(one, durable) for one in (store, other) for durable in (False, True)))
    lease = await store.control.lease("count")
    assert lease is not None
    assert lease.slot == 100


async def test_a_cancelled_writer_leaves_nothing_and_blocks_nobody(store: Store, now: datetime) -> None:
    inside = asyncio.Event()

    async def never_ends() -> None:
        async with store.writing(durable=True) as session:
            session.add(LockRow(account_id="a", family="SPX", reason="half", since=now))
            await session.flush()
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(never_ends())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.control.locks() == []
    assert await store.control.take_lease("x", "a", now + timedelta(seconds=1), 10)


async def test_a_reader_sees_one_moment_and_writers_do_not_wait_for_it(
    store: Store, other: Store, now: datetime
) -> None:
    async with store.reading() as session:
        assert (await session.scalars(select(Lease))).all() == []
        assert await other.control.take_lease("x", "a", now, 10)
        assert (await session.scalars(select(Lease))).all() == []
    assert await store.control.lease("x") is not None


async def test_tidying_keeps_everything_and_works_beside_other_processes(
    store: Store, other: Store, now: datetime
) -> None:
    assert await other.control.take_lease("x", "a", now, 10)
    async with store.reading() as session:
        assert len((await session.scalars(select(Lease))).all()) == 1
    await store.tidy()
    lease = await other.control.lease("x")
    assert lease is not None
    assert await other.control.take_lease("y", "a", now, 10)
