"""The market moves, a limit breaks: how soon the memory knows, and that the breach itself wakes the proposer.

The venue is ours behind its TWS face, in front of it the real adapter; bridge, streams and proposer work in this
process as they do in their own.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from adapters.connect import open_broker
from adapters.simulator.control import obey
from adapters.simulator.tws_server import serve_tws
from adapters.simulator.venue import Venue, VenueConfig, open_venue
from agents import trade_proposer
from agents.desk import Desk, new_holder
from agents.runner import Rota, hire
from agents.schedule import STREAMS, duties, duty_of
from bridge.main import run
from database.store import Store
from models.appetite import BreachRow
from models.book import PORTFOLIO
from models.control import SwitchName
from models.proposed_trade import Check
from models.quant.warming import warm
from tests.agents.conftest import settings_in

T = TypeVar("T")
DETECTED_WITHIN = timedelta(seconds=60)
NEVER = "86400"  # seconds between the proposer's own checks: within this test only a reason can start one
WEDNESDAY_NOON = datetime(2026, 11, 18, 16, 0, tzinfo=UTC)
PUT = {"symbol": "SPX", "sec_type": "OPT", "trading_class": "SPXW", "dte": 45, "right": "P"}
BOOK = [{**PUT, "delta": 0.20, "quantity": -1}, {**PUT, "delta": 0.14, "quantity": 1}]


@dataclass
class Running:
    venue: Venue
    thinker: Desk

    @property
    def store(self) -> Store:
        return self.thinker.store


async def until(ask: Callable[[], Awaitable[T | None]], seconds: float, what: str, store: Store) -> T:
    """The first truthy answer, looked for whenever the memory changes; fails with what the staff last said."""
    loop, changes = asyncio.get_running_loop(), store.changes()
    give_up = loop.time() + seconds
    while loop.time() < give_up:
        answer = await ask()
        if answer:
            return answer
        await changes.wait(0.5)
    said = "; ".join(f"{beat.agent}: {beat.sentence}" for beat in await store.control.heartbeats())
    raise AssertionError(f"{what} did not happen within {seconds:g} s. {said}")


@pytest.fixture
async def running(sqlite_store: Store, tmp_path: Path) -> AsyncIterator[Running]:
    """A venue that stands still with one small put spread, and a staff whose proposer never checks by itself."""
    await asyncio.to_thread(warm)
    book = tmp_path / "book.json"
    book.write_text(json.dumps({"cash": 1_500_000, "positions": BOOK}))
    venue = open_venue(VenueConfig(seed=7, speed=0.0, book=book), WEDNESDAY_NOON)
    server = await serve_tws(venue)
    trading = asyncio.create_task(venue.run())
    settings = settings_in(tmp_path, IB_PORT=str(server.port), VENUE_SPEED="0", PROPOSER_INTERVAL=NEVER)
    now = datetime.now(UTC)
    for name in SwitchName:
        await sqlite_store.control.set_switch(name, "off", "test", "", now)
    stop = asyncio.Event()
    streams, thinker = (Desk(settings, sqlite_store, holder=new_holder()) for _ in range(2))
    rotas = [
        Rota(streams, [hire(duty, streams) for duty in duties(STREAMS)]),
        Rota(thinker, [hire(duty_of(trade_proposer.NAME), thinker)]),
    ]
    bridge = run(sqlite_store, await open_broker(settings), settings, stop)
    staff = [asyncio.create_task(work) for work in (bridge, *(rota.serve(stop) for rota in rotas))]
    yield Running(venue, thinker)
    stop.set()
    await asyncio.gather(*staff)
    await streams.close_feed()
    await server.close()
    trading.cancel()
    await asyncio.gather(trading, return_exceptions=True)


@pytest.mark.timeout(240)
async def test_a_breach_is_known_within_a_minute_of_the_move_that_caused_it_and_wakes_the_proposer_itself(
    running: Running,
) -> None:
    store, proposals = running.store, running.store.proposals

    async def quiet_check() -> Check | None:
        check = await proposals.last_check()
        return check if check is not None and running.thinker.keep(trade_proposer.Memory).complete else None

    async def broken_caps() -> list[BreachRow]:
        return [row for row in await store.appetite.open_breaches() if row.is_cap]

    async def answering_check() -> Check | None:
        return next((check for check in await proposals.checks(10) if check.breaches), None)

    quiet = await until(quiet_check, 60, "the first check", store)
    assert quiet.breaches == 0 and await broken_caps() == [], quiet.sentence
    before = await trade_proposer.watch(running.thinker)

    obey(running.venue, {"scenario": "crisis"})
    moved = datetime.now(UTC)

    rows = await until(broken_caps, DETECTED_WITHIN.total_seconds(), "the breach", store)
    first = min(row.since for row in rows)
    assert timedelta() <= first - moved <= DETECTED_WITHIN
    check = await until(answering_check, 60, "the check that answers it", store)
    assert check.at >= first, "it began because of the breach, not before it was known"
    assert check.at - first <= DETECTED_WITHIN
    assert check.regime == "crisis_mode" and check.desk_at is not None
    after = await trade_proposer.watch(running.thinker)
    assert {reason for reason in after if reason[0] != "breach"} == before, "nothing else gave a reason to check"  # type: ignore[index]
    assert len(await proposals.checks(10)) >= 2 and quiet.at < moved

    whole = next(row for row in await store.book.latest_greeks() if row.contract == PORTFOLIO).exposure or {}
    known = {line["kind"] for line in whole["use"] if None not in (line["value"], line["limit"], line["distance"])}
    assert {"delta", "gamma", "vega", "theta", "margin", "excess_liquidity", "stress_near", "stress_worst", "var_95",
            "short_notional", "defined_loss"} <= known  # fmt: skip
    assert {"theta_share", "strike_cluster"} & {line["kind"] for line in whole["use"] if line["warns"]}
    assert whole["applied"]["regime"] == "crisis_mode" and whole["partial"] is True
