"""The supervisor: a dead child is started again with back-off, and everybody leaves when told or left alone."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.supervisor import LONGEST_WAIT, Child, back_off, supervise

ROOT = Path(__file__).resolve().parents[2]
STAYS = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).open('a').write(f'{os.getpid()}\\n'); sys.stdin.read()"
DIES = "import pathlib, sys; pathlib.Path(sys.argv[1]).open('a').write('x\\n'); sys.exit(3)"


async def until(met: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not met():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.02)


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_wait_doubles_to_a_minute() -> None:
    assert [back_off(n) for n in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert back_off(50) == LONGEST_WAIT


async def test_a_child_that_died_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.supervisor.FIRST_WAIT", 0.05)
    stop, seen = asyncio.Event(), tmp_path / "seen"
    running = asyncio.create_task(supervise([Child("mortal", ("-c", DIES, str(seen)))], stop))
    await until(lambda: len(lines(seen)) >= 3)
    stop.set()
    await running


async def test_all_children_leave_when_the_supervisor_is_told_to_stop(tmp_path: Path) -> None:
    stop, seen = asyncio.Event(), tmp_path / "seen"
    children = [Child(name, ("-c", STAYS, str(seen))) for name in ("one", "two")]
    running = asyncio.create_task(supervise(children, stop))
    await until(lambda: len(lines(seen)) == 2)
    pids = [int(line) for line in lines(seen)]
    stop.set()
    await running
    assert not any(alive(pid) for pid in pids)


async def staff(tmp_path: Path, *arguments: str, **env: str) -> asyncio.subprocess.Process:
    kept = {k: v for k, v in os.environ.items() if k not in ("MOCK_BREACH", "DATABASE_URL", "DESK_MODE")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agents", *arguments, cwd=ROOT, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**kept, "DESK_VAR": str(tmp_path / "var"), **env},
    )  # fmt: skip


async def test_thinkers_leave_with_zero_when_the_parents_pipe_closes(tmp_path: Path) -> None:
    process = await staff(tmp_path, "--thinkers", "--while-stdin")
    assert process.stdin is not None
    database = tmp_path / "var" / "demo.db"
    await until(database.exists)
    process.stdin.close()
    async with asyncio.timeout(30):
        assert await process.wait() == 0


async def test_thinkers_leave_with_zero_on_sigterm(tmp_path: Path) -> None:
    process = await staff(tmp_path, "--thinkers")
    await until((tmp_path / "var" / "demo.db").exists)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        assert await process.wait() == 0


async def test_a_wrong_variable_is_one_line_that_names_it_and_no_child_is_started(tmp_path: Path) -> None:
    process = await staff(tmp_path, VENUE_SPEED="fast")
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    assert process.returncode == 2
    assert b"VENUE_SPEED" in said and b"Traceback" not in said
