"""Two staffs on one memory, and a pass by hand beside either: who lives, who leaves, and what is said about it."""

import asyncio
import os
import socket
from datetime import timedelta

import pytest

from adapters.base import ConfigurationError
from agents import ibkr_bridge
from agents.borrowed import living_processes
from agents.command import run_command
from agents.desk import Desk
from agents.runner import OK, STOPPED, Agent, Report, Rota
from agents.schedule import BRIDGE, STREAMS, duties
from bridge.main import LeaseHeld
from models.control import Heartbeat

HERE = f"{socket.gethostname()}:{os.getpid()}:token"


async def spoke(desk: Desk, agent: str, pid: int = 1) -> None:
    await desk.store.control.beat(
        Heartbeat(agent=agent, state=OK, sentence="well", at=desk.machine_now(), host=socket.gethostname(), pid=pid)
    )


async def test_a_process_lives_when_its_agents_are_well_and_its_lease_is_held(desk: Desk) -> None:
    for process in (STREAMS, BRIDGE):
        for duty in duties(process):
            await spoke(desk, duty.agent)
            await desk.store.control.take_lease(duty.lease, HERE, desk.machine_now(), 30)
    assert await living_processes(desk) == {STREAMS, BRIDGE}


async def test_a_bridge_that_made_one_pass_and_left_does_not_live(desk: Desk) -> None:
    await spoke(desk, "ibkr_bridge")
    assert await living_processes(desk) == frozenset()


async def test_a_killed_process_does_not_live_although_its_lease_runs_on(desk: Desk) -> None:
    await spoke(desk, "ibkr_bridge")
    dead = f"{socket.gethostname()}:{2**22 + 1}:token"  # above the highest pid there can be
    await desk.store.control.take_lease("bridge", dead, desk.machine_now(), 30)
    assert await living_processes(desk) == frozenset()


async def test_a_staff_that_leaves_does_not_speak_for_the_one_that_stays(desk: Desk) -> None:
    async def never(_desk: Desk) -> Report:
        raise AssertionError("it was never its turn")

    await spoke(desk, "thinker", pid=1)
    await Rota(desk, [Agent("thinker", never, every=3600, deadline=5, lease="thinker")])._sign_off()
    assert [beat.state for beat in await desk.store.control.heartbeats()] == [OK]
    await spoke(desk, "thinker", pid=os.getpid())
    await Rota(desk, [Agent("thinker", never, every=3600, deadline=5, lease="thinker")])._sign_off()
    assert [beat.state for beat in await desk.store.control.heartbeats()] == [STOPPED]


def test_a_second_bridge_is_one_line_and_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    async def second() -> int:
        raise LeaseHeld("another bridge leads this database")

    assert run_command(second) == 2
    assert capsys.readouterr().err == "LeaseHeld: another bridge leads this database\n"


async def test_a_bridge_without_a_venue_says_why_where_the_cockpit_reads(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_broker(_settings: object) -> None:
        raise ConfigurationError("the venue cannot start: chain file short.csv: missing columns expiry")

    monkeypatch.setattr("adapters.connect.open_broker", no_broker)
    with pytest.raises(ConfigurationError):
        await ibkr_bridge.serve(desk, asyncio.Event())
    (beat,) = await desk.store.control.heartbeats()
    assert (beat.agent, beat.state) == ("ibkr_bridge", "failed") and "missing columns expiry" in beat.sentence


async def test_why_there_is_no_market_data_is_said_until_the_next_attempt(desk: Desk) -> None:
    async def no_data(_settings: object) -> None:
        raise ConfigurationError("state file venue.state.json cannot be read")

    desk.open_data = no_data  # type: ignore[assignment]
    began = desk.machine_now()
    desk.machine_now = lambda: began
    for _ in range(2):
        with pytest.raises(Exception, match=r"venue\.state\.json cannot be read"):
            await desk.feed()
    desk.machine_now = lambda: began + timedelta(seconds=6)
    with pytest.raises(ConfigurationError):
        await desk.feed()
