"""For one pass run by hand: the staff that lives is used, the part that does not is lent for the length of the pass.

Streams and bridge then run as tasks of this process, on this process's desk; nothing of them outlives the pass.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from adapters.base import NotConnected
from agents import ibkr_bridge
from agents.desk import Desk, new_holder
from agents.runner import OK, Rota, hire, holder_is_dead
from agents.schedule import BRIDGE, STREAMS, duties
from models.book import PORTFOLIO

ALIVE_FOR = timedelta(seconds=15)  # machine time since the last heartbeat of an agent that counts as living
READY_WITHIN = 60.0  # seconds a lent staff may take to have a surface and a valued book
ENOUGH_EXPIRIES = 4  # fitted, of those the streams plan: two would do for a number, not for a smile in between
FRESH = timedelta(seconds=60)


@asynccontextmanager
async def lent_staff(desk: Desk) -> AsyncIterator[tuple[str, ...]]:
    """Yields the processes lent (none when the staff lives), once the store holds a surface and a valued book."""
    living = await living_processes(desk)
    stop = asyncio.Event()
    tasks: dict[str, asyncio.Task[None]] = {}
    began = desk.machine_now()
    for process, serve in SERVE.items():
        if process not in living:
            tasks[process] = asyncio.create_task(serve(desk, stop), name=process)
    try:
        await _until_ready(desk, tasks, began)
        yield tuple(tasks)
    finally:
        stop.set()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def _streams(desk: Desk, stop: asyncio.Event) -> None:
    lent = replace(desk, holder=new_holder())
    try:
        await Rota(lent, [hire(duty, lent) for duty in duties(STREAMS)]).serve(stop)
    finally:
        await lent.close_feed()


SERVE: dict[str, Callable[[Desk, asyncio.Event], Coroutine[None, None, None]]] = {
    STREAMS: _streams,
    BRIDGE: ibkr_bridge.serve,
}


async def living_processes(desk: Desk) -> frozenset[str]:
    """The processes whose every agent spoke lately, was well, and whose lease somebody alive still holds.

    The lease tells a bridge that made one pass by hand and left a moment ago from one that lives.
    """
    now = desk.machine_now()
    well = {b.agent for b in await desk.store.control.heartbeats() if b.state == OK and now - b.at <= ALIVE_FOR}
    leases = {duty.lease: await desk.store.control.lease(duty.lease) for process in SERVE for duty in duties(process)}
    held = {name for name, row in leases.items() if row and row.until > now and not holder_is_dead(row.holder)}
    return frozenset(
        process for process in SERVE if all(duty.agent in well and duty.lease in held for duty in duties(process))
    )


async def _until_ready(desk: Desk, tasks: dict[str, "asyncio.Task[None]"], began: datetime) -> None:
    """Wait for what a pass needs; raises NotConnected naming what never came, or the error that ended a lent task."""
    changes = desk.store.changes()
    loop = asyncio.get_running_loop()
    give_up = loop.time() + READY_WITHIN
    while missing := await what_is_missing(desk, began if tasks else desk.machine_now() - FRESH):
        for task in tasks.values():
            if task.done():
                task.result()
                raise NotConnected(f"{task.get_name()} left before {missing} was there")
        if loop.time() > give_up:
            words = "; ".join(b.sentence for b in await desk.store.control.heartbeats() if b.state != OK)
            raise NotConnected(f"no {missing} within {READY_WITHIN:g} s{': ' + words if words else ''}")
        await changes.wait(0.5)


async def what_is_missing(desk: Desk, since: datetime) -> str:
    """In words, what the store lacks since then (machine time); empty when a pass can begin."""
    surface = await desk.store.market.surface("SPX")
    if surface is None or surface.received_at < since:
        return "fitted SPX surface"
    if len(surface.surface_json["slices"]) < min(ENOUGH_EXPIRIES, await _planned(desk)):
        return f"SPX surface from {ENOUGH_EXPIRIES} expiries"
    states = await desk.store.market.states()
    if "VIX" not in states or states["VIX"].received_at < since:
        return "VIX"
    book = [row for row in await desk.store.book.latest_greeks() if row.contract == PORTFOLIO]
    if not book or book[0].at < since:
        return "valued book"
    if book[0].spx_delta is None:  # the first quotes of some positions are still on their way
        return "price of every position"
    return ""


async def _planned(desk: Desk) -> int:
    """How many expiries the streams mean to sample; as many as are enough while they have not said."""
    for beat in await desk.store.control.heartbeats():
        if beat.agent == "greeks_streamer" and beat.detail and beat.detail.get("planned"):
            return int(beat.detail["planned"])
    return ENOUGH_EXPIRIES
