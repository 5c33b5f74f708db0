"""The whole staff in its own processes against the real venue: to proposals, through a death, to the end."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from database.store import Store, open_store
from models.proposed_trade import Origin, origin_words
from models.settings import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


async def eventually(ask: Callable[[], Awaitable[T | None]], seconds: float, what: str) -> T:
    loop = asyncio.get_running_loop()
    give_up = loop.time() + seconds
    while loop.time() < give_up:
        answer = await ask()
        if answer:
            return answer
        await asyncio.sleep(0.2)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")


async def start(folder: Path, *command: str) -> asyncio.subprocess.Process:
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, cwd=ROOT, env={**kept, "DESK_VAR": str(folder)}, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    """The desk's own var; the venue started in it ends with the test."""
    yield tmp_path
    note = tmp_path / "venue.json"
    if note.exists():
        os.kill(json.loads(note.read_text())["pid"], signal.SIGTERM)


async def opened(folder: Path) -> Store:
    return await open_store(f"sqlite:///{folder}/demo.db", mode="DEMO", var_dir=folder, now=datetime.now(UTC))


async def pid_of(store: Store, agent: str) -> int | None:
    beats = {beat.agent: beat for beat in await store.control.heartbeats() if beat.state == "ok"}
    return beats[agent].pid if agent in beats else None


@pytest.mark.timeout(300)
async def test_one_pass_by_hand_lends_itself_a_staff_and_leaves_real_proposals(folder: Path) -> None:
    process = await start(folder, "agents.trade_proposer", "--run-once")
    async with asyncio.timeout(150):
        said, _ = await process.communicate()
    words = said.decode()
    assert process.returncode == 0, words
    assert "trades looked at" in words and "Traceback" not in words
    store = await opened(folder)
    try:
        check = await store.proposals.last_check()
        rows = await store.proposals.pending(None, datetime.now(UTC))
        assert check is not None and check.proposed == sum(row.origin == Origin.HEDGE for row in rows)
        exits = [row for row in rows if row.origin == Origin.MANAGE]
        assert exits and all(origin_words(row) in words for row in exits), "the venue's first book has what to manage"
        for row in rows:
            assert row.strategy_name in words and row.justification in words
            assert {leg["source"] for leg in row.legs_json} == {"real"}
        for lease in ("streams", "bridge", "trade_proposer"):
            assert await store.control.lease(lease) is None, f"{lease} was lent and not given back"
    finally:
        await store.close()


@pytest.mark.timeout(300)
async def test_the_staff_proposes_survives_a_death_serves_a_pass_by_hand_and_leaves_when_left(folder: Path) -> None:
    staff = await start(folder, "agents", "--while-stdin")
    assert staff.stdin is not None and staff.stdout is not None
    reading = asyncio.create_task(staff.stdout.read())
    try:

        async def database_made() -> bool:
            return (folder / "demo.db").exists()

        await eventually(database_made, 30, "the database")
        store = await opened(folder)

        async def checked() -> bool:
            return await store.proposals.last_check() is not None

        await eventually(checked, 120, "the first check")
        first = await pid_of(store, "closing_bell")
        assert first is not None
        os.kill(first, signal.SIGKILL)

        async def back() -> bool:
            return await pid_of(store, "closing_bell") not in (None, first)

        await eventually(back, 60, "the thinkers' return")
        venue = (folder / "venue.json").read_text()
        by_hand = await start(folder, "agents.trade_proposer", "--run-once")
        async with asyncio.timeout(120):
            said, _ = await by_hand.communicate()
        assert by_hand.returncode == 0, said.decode()
        assert (folder / "venue.json").read_text() == venue
        pids = [await pid_of(store, agent) for agent in ("greeks_streamer", "ibkr_bridge", "closing_bell")]
        await store.close()
    finally:
        staff.stdin.close()
        async with asyncio.timeout(40):
            code = await staff.wait()
    assert code == 0, (await reading).decode()
    for pid in pids:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
