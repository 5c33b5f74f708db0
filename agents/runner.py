"""One agent, one pass: the switch is read, the lease taken, the pass run, the heartbeat written either way.

The staff of a process is a handful of agents under one in-memory APScheduler; the schedule itself is agents.schedule.
"""

import asyncio
import importlib
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from agents.desk import Desk
from agents.schedule import Duty
from models.control import Heartbeat, RequestKind

log = logging.getLogger("nimble.agents")

GO = "go"  # the switch an agent runs on; pause and stop hold it, anything unreadable stops it
OK, WAITING, FAILED, PAUSED, STOPPED, STANDBY = "ok", "waiting", "failed", "paused", "stopped", "standby"


class NotYet(Exception):
    """What the pass needs is not known yet. No failure: the heartbeat says what it waits for, the schedule goes on."""


LEASE_GRACE = 10.0  # seconds a lease outlives its pass's deadline, so that a slow commit does not lose it
RETRY_AFTER = 5.0  # seconds until an agent without an interval tries again after a failed pass
BREATH = timedelta(milliseconds=50)
LOOK_EVERY = 0.5  # seconds between looks at requests and changes: the store is asked, not hammered


@dataclass(frozen=True)
class Report:
    """What a pass says: one sentence for the person, a count and numbers for the operations page."""

    sentence: str
    rows: int | None = None
    detail: dict[str, Any] | None = None


Pass = Callable[[Desk], Awaitable[Report]]
Watch = Callable[[Desk], Awaitable[frozenset[object]]]


@dataclass(frozen=True)
class Agent:
    """One member of the staff. `watches` answers the reasons to run: a new one runs it at once."""

    name: str
    pass_: Pass
    every: float
    deadline: float
    lease: str
    keeps_lease: bool = False
    watches: Watch | None = None


def hire(duty: Duty, desk: Desk) -> Agent:
    """The agent of one line of the day; its module is imported only now."""
    module = importlib.import_module(f"agents.{duty.agent}")
    return Agent(
        name=duty.agent,
        pass_=module.work,
        every=duty.seconds(desk.settings),
        deadline=duty.deadline,
        lease=duty.lease,
        keeps_lease=duty.keeps_lease,
        watches=getattr(module, "watch", None),
    )


# ── one pass ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def run_pass(agent: Agent, desk: Desk) -> Heartbeat:
    """Run one pass if the switch says go and the lease is ours; the heartbeat returned is the one written."""
    control = desk.store.control
    row = await control.switch(f"agent:{agent.name}")
    if row is not None and row.value != GO:
        state = PAUSED if row.value == "pause" else STOPPED
        because = f": {row.reason}" if row.reason else ""
        return await _beat(agent, desk, state, Report(f"{state} by {row.set_by}{because}"), 0.0)
    if not await take_lease(agent, desk):
        return _heartbeat(agent, desk, STANDBY, Report("another process holds the lease"), 0.0)
    started = time.monotonic()
    try:
        state, report = await _timed(agent, desk)
    finally:
        if not agent.keeps_lease:
            await control.release_lease(agent.lease, desk.holder)
    return await _beat(agent, desk, state, report, time.monotonic() - started)


async def _timed(agent: Agent, desk: Desk) -> tuple[str, Report]:
    try:
        async with asyncio.timeout(agent.deadline):
            return OK, await agent.pass_(desk)
    except TimeoutError:
        return FAILED, Report(f"the pass did not finish within {agent.deadline:g} s and was ended")
    except NotYet as wait:
        return WAITING, Report(f"waiting: {wait}"[:500])
    except Exception as error:  # whatever ends a pass becomes its heartbeat; the schedule goes on
        log.warning("%s failed: %s", agent.name, error, exc_info=log.isEnabledFor(logging.DEBUG))
        return FAILED, Report(f"{type(error).__name__}: {error}"[:500])


async def take_lease(agent: Agent, desk: Desk) -> bool:
    """Take or renew the lease; one whose holder died on this host is taken over without waiting for its end."""
    control, seconds = desk.store.control, agent.deadline + LEASE_GRACE
    if await control.take_lease(agent.lease, desk.holder, desk.machine_now(), seconds):
        return True
    held = await control.lease(agent.lease)
    if held is None or not holder_is_dead(held.holder):
        return False
    log.info("lease %s was held by a process that died; taking over", agent.lease)
    await control.release_lease(agent.lease, held.holder)
    return bool(await control.take_lease(agent.lease, desk.holder, desk.machine_now(), seconds))


def holder_is_dead(holder: str) -> bool:
    """True only when the holder named a process of this host that is no more; anybody else is believed alive."""
    host, _, rest = holder.partition(":")
    pid = rest.partition(":")[0]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _heartbeat(agent: Agent, desk: Desk, state: str, report: Report, seconds: float) -> Heartbeat:
    now = desk.machine_now()
    return Heartbeat(
        agent=agent.name,
        state=state,
        sentence=report.sentence,
        at=now,
        next_at=now + timedelta(seconds=agent.every),
        seconds=seconds,
        rows=report.rows,
        host=socket.gethostname(),
        pid=os.getpid(),
        detail=report.detail,
    )


async def _beat(agent: Agent, desk: Desk, state: str, report: Report, seconds: float) -> Heartbeat:
    beat = _heartbeat(agent, desk, state, report, seconds)
    said = beat.model_copy()
    await desk.store.control.beat(beat)
    return said


# ── the staff of one process ─────────────────────────────────────────────────────────────────────────────────────
class Rota:
    """Agents under one AsyncIOScheduler: the interval is the floor, a change or a request runs an agent at once."""

    def __init__(self, desk: Desk, agents: Sequence[Agent]) -> None:
        # Imported here: a --run-once needs no scheduler.
        from apscheduler.schedulers.asyncio import AsyncIOScheduler
        from apscheduler.triggers.interval import IntervalTrigger

        self.desk, self.agents = desk, tuple(agents)
        self.scheduler = AsyncIOScheduler(timezone="UTC")
        self._running: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._stopping = False
        self._seen: dict[str, frozenset[object]] = {}
        for agent in self.agents:
            trigger = IntervalTrigger(seconds=agent.every or RETRY_AFTER, timezone="UTC")
            self.scheduler.add_job(
                self._turn, trigger, [agent], id=agent.name, max_instances=1, coalesce=True, misfire_grace_time=None
            )

    async def serve(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; passes under way are finished or, after a few seconds, ended."""
        self.scheduler.start()
        for agent in self.agents:
            self.wake(agent.name)
        looking = asyncio.create_task(self._look())
        try:
            await stop.wait()
        finally:
            self._stopping = True
            looking.cancel()
            self.scheduler.pause()
            await self._drain()
            self.scheduler.shutdown(wait=False)
            await self._sign_off()

    def wake(self, name: str) -> None:
        """Run this agent now, or again as soon as its present pass is done."""
        if self._stopping:
            return
        if name in self._running:
            self._again.add(name)
        else:  # a breath later: a turn that just ended still counts as running until the scheduler has heard of it
            self.scheduler.modify_job(name, next_run_time=self.desk.machine_now() + BREATH)

    async def _turn(self, agent: Agent) -> None:
        task = asyncio.current_task()
        if self._stopping or task is None:
            return
        self._running[agent.name] = task
        try:
            while await self._pass_of(agent):
                self._again.discard(agent.name)
        except asyncio.CancelledError:
            if not self._stopping:  # else ended by _drain: the pass had its moment
                raise
        finally:
            del self._running[agent.name]

    async def _pass_of(self, agent: Agent) -> bool:
        """One pass; True when the next is due at once: it was asked for meanwhile, or the agent never rests."""
        try:
            state = (await run_pass(agent, self.desk)).state
        except Exception as error:  # noqa: BLE001 - the store itself failed: said in the log, tried again on schedule
            log.error("%s could not reach the store: %s", agent.name, error)
            return False
        return not self._stopping and (agent.name in self._again or (agent.every == 0 and state == OK))

    async def _look(self) -> None:
        """Wake agents that were asked for or whose watched rows changed."""
        changes = self.desk.store.changes()
        while True:
            changed = await changes.wait(5.0) if self._seen else True  # the first look is what there was at the start
            if changed:
                try:
                    for agent in self.agents:
                        await self._look_for(agent)
                except Exception as error:  # noqa: BLE001 - a look that failed is repeated; the interval still runs
                    log.warning("looking for work failed: %s", error)
            await asyncio.sleep(LOOK_EVERY)

    async def _look_for(self, agent: Agent) -> None:
        control = self.desk.store.control
        now, kinds = self.desk.machine_now(), (RequestKind.RUN_NOW,)  # what else is asked the agent claims itself
        asked = await control.claim_requests(agent.name, self.desk.holder, now, kinds)
        for request in asked:
            assert request.id is not None
            await control.answer(request.id, result={"sentence": f"{agent.name} was told to run now"})
        if asked or await self._has_reason(agent):
            self.wake(agent.name)

    async def _has_reason(self, agent: Agent) -> bool:
        """A reason to run that was not there before. While a pass is under way nothing counts as seen: what it answers
        is no reason any more when it is over, and what it does not answer still is."""
        known = self._seen.get(agent.name)
        if known is not None and agent.name in self._running:
            return False
        reasons = await agent.watches(self.desk) if agent.watches else frozenset()
        self._seen[agent.name] = reasons
        return known is not None and bool(reasons - known)

    async def _drain(self, seconds: float = 5.0) -> None:
        """APScheduler's own shutdown cancels running coroutines; these get a moment to end by themselves."""
        running = list(self._running.values())
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _sign_off(self) -> None:
        """Say that we left, each agent whose last word was ours; another staff's may go on."""
        control = self.desk.store.control
        us = socket.gethostname(), os.getpid()
        spoke = {beat.agent for beat in await control.heartbeats() if (beat.host, beat.pid) == us}
        for agent in self.agents:
            if agent.name in spoke:
                await _beat(agent, self.desk, STOPPED, Report("the staff has left"), 0.0)
        for lease in {agent.lease for agent in self.agents}:
            await control.release_lease(lease, self.desk.holder)
