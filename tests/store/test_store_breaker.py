"""Streams when the memory does not answer: closed, open, half-open, and the buffer that loses nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from database.circuit_breaker import BUFFER_NAME, BreakerState, DBCircuitBreaker
from database.errors import DatabaseUnavailable
from database.market import Market
from database.store import Store
from models.market import Bar, ChainRow, GreekSnapshot, MarketState, Quote, SurfaceRow
from tests.store_rows import quote

SECOND = timedelta(seconds=1)


class Flaky(Market):
    """The real market whose database can be switched off."""

    down = False
    written: list[str] = []  # noqa: RUF012 – replaced per test

    async def upsert_quotes(self, rows: Sequence[Quote]) -> None:
        if Flaky.down:
            raise DatabaseUnavailable("the database does not answer: switched off")
        Flaky.written.append(f"{rows[0].bid:g}")
        await super().upsert_quotes(rows)


@pytest.fixture
def market(store: Store) -> Flaky:
    Flaky.down, Flaky.written = False, []
    return Flaky(store.market.sessions)


def breaker_of(market: Market, tmp_path: Path, **changes: Any) -> DBCircuitBreaker:
    return DBCircuitBreaker(market, tmp_path / "var", failures=2, retry_after=5 * SECOND, **changes)


async def test_it_opens_after_failures_rests_and_replays_in_order(market: Flaky, tmp_path: Path, now: datetime) -> None:
    breaker = breaker_of(market, tmp_path)
    assert await breaker.write([quote(6000, 1, 2, now, now)], now)
    Flaky.down = True
    for n in (2, 3, 4):
        assert not await breaker.write([quote(6000, n, n + 1, now, now + n * SECOND)], now + n * SECOND)
    assert breaker.state is BreakerState.OPEN
    Flaky.down = False
    assert not await breaker.write([quote(6000, 5, 6, now, now + 5 * SECOND)], now + 5 * SECOND)
    assert Flaky.written == ["1"]
    assert await breaker.write([quote(6000, 9, 10, now, now + 9 * SECOND)], now + 9 * SECOND)
    assert breaker.state is BreakerState.CLOSED
    assert Flaky.written == ["1", "2", "3", "4", "5", "9"]
    assert breaker.buffered_bytes == 0
    (stored,) = (await market.quotes()).values()
    assert (stored.bid, stored.received_at) == (9, now + 9 * SECOND)


async def test_half_open_that_fails_rests_again(market: Flaky, tmp_path: Path, now: datetime) -> None:
    breaker = breaker_of(market, tmp_path)
    Flaky.down = True
    for n in range(2):
        await breaker.write([quote(6000, n, 9, now, now)], now)
    assert not await breaker.drain(now + 6 * SECOND)
    assert breaker.state is BreakerState.OPEN
    Flaky.down = False
    assert not await breaker.drain(now + 10 * SECOND)
    assert await breaker.drain(now + 11 * SECOND)
    assert Flaky.written == ["0", "1"]


async def test_what_a_former_life_kept_is_replayed_first(market: Flaky, tmp_path: Path, now: datetime) -> None:
    Flaky.down = True
    await breaker_of(market, tmp_path).write([quote(6000, 1, 2, now, now)], now)
    Flaky.down = False
    await breaker_of(market, tmp_path).write([quote(6000, 2, 3, now, now + SECOND)], now)
    assert Flaky.written == ["1", "2"]


async def test_a_replay_after_a_crash_changes_nothing(market: Flaky, tmp_path: Path, now: datetime) -> None:
    breaker = breaker_of(market, tmp_path)
    Flaky.down = True
    await breaker.write([quote(6000, 1, 2, now, now)], now)
    buffered = (tmp_path / "var" / BUFFER_NAME).read_bytes()
    Flaky.down = False
    await breaker.drain(now)
    await breaker.write([quote(6000, 7, 8, now, now + SECOND)], now)
    (tmp_path / "var" / BUFFER_NAME).write_bytes(buffered)
    await breaker.drain(now)
    (stored,) = (await market.quotes()).values()
    assert stored.bid == 7


async def test_a_line_torn_by_a_crash_takes_no_other_with_it(market: Flaky, tmp_path: Path, now: datetime) -> None:
    breaker = breaker_of(market, tmp_path)
    Flaky.down = True
    await breaker.write([quote(6000, 1, 2, now, now)], now)
    path = tmp_path / "var" / BUFFER_NAME
    path.write_bytes(path.read_bytes() + b'{"kind": "quo')
    await breaker.write([quote(6000, 2, 3, now, now)], now)
    Flaky.down = False
    assert await breaker.drain(now + 10 * SECOND)
    assert Flaky.written == ["1", "2"]


async def test_a_full_buffer_says_what_it_dropped(market: Flaky, tmp_path: Path, now: datetime) -> None:
    breaker = breaker_of(market, tmp_path, max_bytes=1)
    Flaky.down = True
    for n in range(3):
        await breaker.write([quote(6000, n, 9, now, now)], now)
    assert breaker.dropped == 2


async def test_every_kind_of_stream_row_survives_the_buffer(market: Flaky, tmp_path: Path, now: datetime) -> None:
    rows = [
        quote(6000, 1.25, None, now, now),
        GreekSnapshot(identity="x", at=now, source="own", iv=0.21),
        MarketState(name="VIX", value=18.5, source="broker", at=now, received_at=now),
        ChainRow(symbol="SPX", trading_class="SPXW", exchange="CBOE", multiplier=100, expirations=["2026-12-18"],
                 strikes=[6000.0], at=now),
        SurfaceRow(symbol="SPX", snapshot_id="s", surface_json={"a": [1.5]}, quotes_used=5, at=now, received_at=now),
        Bar(symbol="SPX", timeframe="1D", at=now, open=1, high=2, low=0.5, close=1.5),
    ]  # fmt: skip
    breaker = breaker_of(market, tmp_path)
    Flaky.down = True
    for row in rows:
        breaker.state, breaker._opened_at = BreakerState.OPEN, now
        await breaker.write([row], now)
    Flaky.down = False
    assert await breaker.drain(now + 10 * SECOND)
    assert breaker.dropped == 0
    (stored,) = (await market.quotes()).values()
    assert (stored.bid, stored.ask, stored.at) == (1.25, None, now)
    assert (await market.states())["VIX"].value == 18.5
    assert (await market.chains("SPX"))[0].strikes == [6000.0]
    assert (await market.surfaces())["SPX"].surface_json == {"a": [1.5]}
    assert [bar.close for bar in await market.bars("SPX", "1D")] == [1.5]
