"""One pass under switch, lease and deadline, and the rota that wakes agents at once."""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from agents.desk import Desk
from agents.runner import FAILED, OK, PAUSED, STANDBY, STOPPED, Agent, Report, Rota, holder_is_dead, run_pass
from agents.schedule import DAY, STREAMS, THINKERS, duties, duty_of
from models.control import Heartbeat, RequestKind


def agent(pass_: Callable[[Desk], Awaitable[Report]], **more: object) -> Agent:
    given: dict[str, object] = {"every": 3600.0, "deadline": 5.0, "lease": "tester", **more}
    return Agent(name="tester", pass_=pass_, **given)  # type: ignore[arg-type]


async def says_hello(_desk: Desk) -> Report:
    return Report("hello", rows=3, detail={"lines": 7})


async def beat_of(desk: Desk, name: str = "tester") -> Heartbeat | None:
    return next((b for b in await desk.store.control.heartbeats() if b.agent == name), None)


async def eventually(ask: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not await ask():  # noqa: ASYNC110 - what is waited for lies in a database, not in an Event
            await asyncio.sleep(0.02)


async def test_a_pass_leaves_its_sentence_and_its_numbers_as_the_heartbeat(desk: Desk) -> None:
    await run_pass(agent(says_hello), desk)
    beat = await beat_of(desk)
    assert beat is not None
    assert (beat.state, beat.sentence, beat.rows, beat.detail, beat.pid) == (OK, "hello", 3, {"lines": 7}, os.getpid())
    assert await desk.store.control.lease("tester") is None, "a lease of one pass ends with it"


async def test_a_failing_pass_leaves_its_error_as_the_heartbeat(desk: Desk) -> None:
    async def fails(_desk: Desk) -> Report:
        raise ValueError("the VIX has gone missing")

    assert (await run_pass(agent(fails), desk)).state == FAILED
    beat = await beat_of(desk)
    assert beat is not None and beat.state == FAILED and "the VIX has gone missing" in beat.sentence
    assert await desk.store.control.lease("tester") is None


async def test_a_pass_beyond_its_deadline_is_ended_and_says_so(desk: Desk) -> None:
    ended = asyncio.Event()

    async def hangs(_desk: Desk) -> Report:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return Report("never")

    beat = await run_pass(agent(hangs, deadline=0.05), desk)
    assert beat.state == FAILED and "within 0.05 s" in beat.sentence and ended.is_set()


@pytest.mark.parametrize(("switch", "state"), [("pause", PAUSED), ("stop", STOPPED), ("gibberish", STOPPED)])
async def test_a_switched_off_agent_does_not_run_and_says_who_switched_it(desk: Desk, switch: str, state: str) -> None:
    await desk.store.control.set_switch("agent:tester", switch, "pat", "lunch", datetime.now(UTC))

    async def must_not_run(_desk: Desk) -> Report:
        raise AssertionError("it ran")

    beat = await run_pass(agent(must_not_run), desk)
    assert beat.state == state and "pat" in beat.sentence and "lunch" in beat.sentence


async def test_switching_back_to_go_lets_it_run_again(desk: Desk) -> None:
    for value, state in (("pause", PAUSED), ("go", OK)):
        await desk.store.control.set_switch("agent:tester", value, "pat", "", datetime.now(UTC))
        assert (await run_pass(agent(says_hello), desk)).state == state


async def test_an_agent_whose_lease_a_living_process_holds_stands_by_and_keeps_quiet(desk: Desk) -> None:
    other = f"elsewhere:{os.getpid()}:abc"
    await desk.store.control.take_lease("tester", other, datetime.now(UTC), 60)
    assert (await run_pass(agent(says_hello), desk)).state == STANDBY
    assert await beat_of(desk) is None, "the heartbeat belongs to who works"


async def test_the_lease_of_a_process_that_died_on_this_host_is_taken_over_at_once(desk: Desk) -> None:
    gone = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
    await gone.wait()
    dead = f"{socket.gethostname()}:{gone.pid}:abc"
    assert holder_is_dead(dead) and not holder_is_dead(desk.holder) and not holder_is_dead("elsewhere:1:x")
    await desk.store.control.take_lease("tester", dead, datetime.now(UTC), 3600)
    assert (await run_pass(agent(says_hello), desk)).state == OK


async def serve_until(rota: Rota, reached: Callable[[], Awaitable[bool]]) -> None:
    stop = asyncio.Event()
    serving = asyncio.create_task(rota.serve(stop))
    try:
        await eventually(reached)
    finally:
        stop.set()
        await serving


async def test_the_rota_runs_everybody_at_once_and_signs_off_when_it_stops(desk: Desk) -> None:
    runs: list[datetime] = []

    async def counts(_desk: Desk) -> Report:
        runs.append(datetime.now(UTC))
        return Report("counted")

    async def ran() -> bool:
        return len(runs) >= 1

    await serve_until(Rota(desk, [agent(counts, keeps_lease=True)]), ran)
    beat = await beat_of(desk)
    assert beat is not None and beat.state == STOPPED
    assert await desk.store.control.lease("tester") is None


async def test_a_request_to_run_now_runs_an_agent_long_before_its_interval(desk: Desk) -> None:
    runs: list[datetime] = []

    async def counts(_desk: Desk) -> Report:
        runs.append(datetime.now(UTC))
        return Report("counted")

    asked: list[int] = []

    async def ran_again() -> bool:
        now = datetime.now(UTC)
        if runs and not asked:
            control = desk.store.control
            asked.append(await control.ask(RequestKind.RUN_NOW, {}, "pat", now, now + timedelta(seconds=30), "tester"))
        return len(runs) >= 2

    await serve_until(Rota(desk, [agent(counts)]), ran_again)
    assert (await desk.store.control.request(asked[0])).status == "done"


async def test_a_new_reason_wakes_an_agent_and_one_that_is_gone_does_not(desk: Desk) -> None:
    runs, reasons = [], {"breach", "missing"}

    async def counts(_desk: Desk) -> Report:
        runs.append(1)
        return Report("counted")

    async def watch(_desk: Desk) -> frozenset[object]:
        return frozenset(reasons)

    async def woke() -> bool:
        reasons.discard("missing")
        if len(runs) == 1:
            reasons.add("another breach")
            await desk.store.control.beat(Heartbeat(agent="other", state="ok", sentence="", at=datetime.now(UTC)))
        return len(runs) >= 2

    await serve_until(Rota(desk, [agent(counts, watches=watch)]), woke)
    assert len(runs) == 2


async def test_a_failing_pass_keeps_its_schedule(desk: Desk) -> None:
    runs: list[int] = []

    async def fails_first(_desk: Desk) -> Report:
        runs.append(1)
        if len(runs) == 1:
            raise ValueError("once")
        return Report("mended")

    async def mended() -> bool:
        beat = await beat_of(desk)
        return beat is not None and beat.sentence == "mended"

    await serve_until(Rota(desk, [agent(fails_first, every=1.0)]), mended)


async def test_an_agent_without_an_interval_goes_again_as_soon_as_it_is_done(desk: Desk) -> None:
    runs: list[int] = []

    async def counts(_desk: Desk) -> Report:
        runs.append(1)
        return Report("counted")

    async def many() -> bool:
        return len(runs) >= 5

    await serve_until(Rota(desk, [agent(counts, every=0.0, keeps_lease=True)]), many)


def test_the_day_names_every_agent_once_and_keeps_streaming_and_thinking_apart() -> None:
    names = [duty.agent for duty in DAY]
    assert len(set(names)) == len(names)
    assert not {d.lease for d in duties(STREAMS)} & {d.lease for d in duties(THINKERS)}
    with pytest.raises(KeyError, match="greeks_streamer"):
        duty_of("nobody")
