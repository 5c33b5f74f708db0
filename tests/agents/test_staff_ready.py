"""While a staff compiles the arithmetic it holds a lease, so that a cockpit opened meanwhile brings no other."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents import __main__ as staff
from agents.supervisor import Child
from app.staff import LEASES, staff_is_alive
from database.store import open_store
from models.control import STAFF_LEASE
from models.settings import read_settings


async def test_a_staff_that_makes_itself_ready_counts_as_at_work_and_then_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings({"DATABASE_URL": f"sqlite:///{tmp_path}/desk.db", "DESK_VAR": str(tmp_path)})
    gate = tmp_path / "compiled"
    patient = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.02)"
    monkeypatch.setattr(staff, "KERNELS", Child("kernels", ("-c", patient)))
    monkeypatch.setattr(staff, "READY_LEASE", 3.0)
    ready = asyncio.create_task(staff.make_ready(settings, asyncio.Event()))
    store = await open_store(settings.database_url, mode=settings.mode, var_dir=tmp_path, now=datetime.now(UTC))
    try:
        async with asyncio.timeout(30):
            while await store.control.lease(STAFF_LEASE) is None:
                await store.changes().wait(0.05)
        first = await store.control.lease(STAFF_LEASE)
        assert staff_is_alive([], [first], datetime.now(UTC))
        assert STAFF_LEASE in LEASES
        async with asyncio.timeout(30):  # it is renewed for as long as it takes
            while (now := await store.control.lease(STAFF_LEASE)) is None or first is None or now.until == first.until:
                await store.changes().wait(0.05)
        gate.touch()
        async with asyncio.timeout(30):
            await ready
        assert await store.control.lease(STAFF_LEASE) is None
    finally:
        gate.touch()
        await ready
        await store.close()
