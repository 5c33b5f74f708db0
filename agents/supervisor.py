"""Keeps child processes alive: starts each, restarts a dead one with back-off, stops all of them cleanly.

Crossing, streaming and thinking never share a process, so that none can starve or crash another.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

log = logging.getLogger("nimble.supervisor")

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
HEALTHY_AFTER = 30.0  # a child that lived this long starts its back-off anew
GOODBYE = 12.0  # seconds a child gets between SIGTERM and SIGKILL


@dataclass(frozen=True)
class Child:
    """One process to keep alive; `command` follows the interpreter."""

    name: str
    command: tuple[str, ...]


def back_off(deaths: int) -> float:
    """Seconds to wait before the next start: 1, 2, 4 … 60."""
    return float(min(FIRST_WAIT * 2 ** max(deaths - 1, 0), LONGEST_WAIT))


async def supervise(children: Sequence[Child], stop: asyncio.Event) -> None:
    """Run all children until `stop` is set; then SIGTERM each, and SIGKILL what has not left in time."""
    await asyncio.gather(*(_keep_alive(child, stop) for child in children))


async def run_first(child: Child, stop: asyncio.Event) -> None:
    """Run a child to its end before the others start; what it could not do they will do for themselves."""
    process = await asyncio.create_subprocess_exec(sys.executable, *child.command, env=child_environment())
    if await _until_dead_or_stopped(process, stop):
        await _say_goodbye(child, process)
    elif process.returncode:
        log.warning("%s ended with %s", child.name, process.returncode)


async def _keep_alive(child: Child, stop: asyncio.Event) -> None:
    deaths = 0
    while not stop.is_set():
        started = time.monotonic()
        # The child's stdin is a pipe of ours: should we be killed outright, it closes and the child leaves too.
        process = await asyncio.create_subprocess_exec(
            sys.executable, *child.command, stdin=asyncio.subprocess.PIPE, env=child_environment()
        )
        log.info("%s runs as process %d", child.name, process.pid)
        if await _until_dead_or_stopped(process, stop):
            await _say_goodbye(child, process)
            return
        deaths = 1 if time.monotonic() - started > HEALTHY_AFTER else deaths + 1
        wait = back_off(deaths)
        log.warning("%s ended with %s; starting it again in %.0f s", child.name, process.returncode, wait)
        await _sleep_unless(stop, wait)


def child_environment() -> dict[str, str]:
    """Ours, with one arithmetic thread: a few small matrices do not repay the memory of a thread pool."""
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


async def _until_dead_or_stopped(process: asyncio.subprocess.Process, stop: asyncio.Event) -> bool:
    """True when `stop` came first."""
    dead, stopped = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
    await asyncio.wait({dead, stopped}, return_when=asyncio.FIRST_COMPLETED)
    came_first = stopped.done() and not dead.done()
    for task in (dead, stopped):
        task.cancel()
    await asyncio.gather(dead, stopped, return_exceptions=True)
    return came_first or stop.is_set()


async def _say_goodbye(child: Child, process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(GOODBYE):
            await process.wait()
    except TimeoutError:
        log.warning("%s did not leave within %.0f s and is killed", child.name, GOODBYE)
        process.kill()
        await process.wait()


async def _sleep_unless(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
