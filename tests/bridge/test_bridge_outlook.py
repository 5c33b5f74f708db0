"""What the desk remembers of its regime: tight at once, loose only by closes that came after, through blind moments."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bridge.outlook import Applied, Observatory, Outlook, applied_before, closes_of, joint_days
from database.store import Store
from models.book import PORTFOLIO, PortfolioGreeks
from models.market import Bar, MarketState
from models.quant.regime_rules import Regime
from models.settings import Settings

MONDAY_NOON = datetime(2026, 8, 17, 16, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/desk.db"


def bar(name: str, day: date, close: float) -> Bar:
    at = datetime.combine(day, datetime.min.time(), UTC)
    return Bar(symbol=name, timeframe="1D", at=at, open=close, high=close, low=close, close=close)


@dataclass
class Days:
    """Looks at the market of one moment after another, remembering what each look applied."""

    store: Store
    before: Applied | None = None
    seen: list[Outlook] = field(default_factory=list)

    async def look(self, desk_now: datetime, vix: float | None, vvix: float = 95.0) -> Regime:
        now = datetime.now(UTC)
        levels = {"SPX": 6400.0, "VIX": vix, "VIX3M": 22.0, "VVIX": vvix}
        states = [
            MarketState(name=name, value=value, source="test", at=desk_now, received_at=now)
            for name, value in levels.items()
        ]
        await self.store.market.write_states(states)
        # a new observatory: nothing but the row of the last valuation carries the memory on
        found = await Observatory(self.store, Settings()).look([], desk_now, now, self.before)
        self.before = found.applied
        self.seen.append(found)
        return found.regime

    async def close(self, day: date, vix: float, vvix: float = 95.0) -> None:
        levels = {"SPX": 6400.0, "VIX": vix, "VIX3M": 22.0, "VVIX": vvix}
        await self.store.market.add_bars([bar(name, day, level) for name, level in levels.items()])


@pytest.fixture
def days(store: Store) -> Days:
    return Days(store)


async def test_a_spike_within_a_day_stays_tight_until_two_closes_after_it_lie_inside(days: Days) -> None:
    for n in (4, 3):
        await days.close((MONDAY_NOON - n * DAY).date(), 18.0)
    assert await days.look(MONDAY_NOON, 18.0) is Regime.NEUTRAL
    assert await days.look(MONDAY_NOON + timedelta(minutes=1), 22.5) is Regime.HIGH
    assert await days.look(MONDAY_NOON + timedelta(minutes=2), 21.0) is Regime.HIGH, "the closes before it do not count"
    await days.close(MONDAY_NOON.date(), 20.0)
    assert await days.look(MONDAY_NOON + timedelta(minutes=3), 20.0) is Regime.HIGH, "today's bar is no close yet"
    assert await days.look(MONDAY_NOON + DAY, 20.0) is Regime.HIGH, "one close is not two"
    await days.close((MONDAY_NOON + DAY).date(), 21.0)
    assert await days.look(MONDAY_NOON + 2 * DAY, 20.0) is Regime.NEUTRAL
    assert days.before is not None and days.before.since == MONDAY_NOON + 2 * DAY


async def test_a_moment_without_vix_is_unknown_and_does_not_forget_what_was_applied(days: Days) -> None:
    assert await days.look(MONDAY_NOON, 23.0) is Regime.HIGH
    assert await days.look(MONDAY_NOON + timedelta(minutes=1), None) is Regime.UNKNOWN
    assert days.before == Applied(Regime.HIGH, MONDAY_NOON)
    assert await days.look(MONDAY_NOON + timedelta(minutes=2), 20.0) is Regime.HIGH
    limits = days.seen[1].limits(1e6)
    assert limits.known and limits.vega_floor == 0 and limits.flagged, "the tightest known, and it says so"


async def test_a_spike_of_vvix_is_loosened_by_its_own_closes_too(days: Days) -> None:
    assert await days.look(MONDAY_NOON, 18.0, vvix=151.0) is Regime.CRISIS
    for n in range(2):
        await days.close((MONDAY_NOON + n * DAY).date(), 18.0, vvix=155.0)
    assert await days.look(MONDAY_NOON + 2 * DAY, 18.0) is Regime.CRISIS
    for n in (2, 3):
        await days.close((MONDAY_NOON + n * DAY).date(), 18.0, vvix=120.0)
    assert await days.look(MONDAY_NOON + 4 * DAY, 18.0) is Regime.NEUTRAL


def test_the_newest_valuation_says_what_was_applied_and_older_rows_say_nothing() -> None:
    at = MONDAY_NOON
    row = PortfolioGreeks(snapshot_id="s", account_id="SIM1", contract=PORTFOLIO, at=at, desk_at=at, exposure={})
    assert applied_before([]) is None and applied_before([row]) is None
    row.exposure = {"applied": Applied(Regime.HIGH, at).to_json()}
    assert applied_before([row]) == Applied(Regime.HIGH, at)


def test_closes_are_days_that_both_indices_have() -> None:
    monday, tuesday = MONDAY_NOON.date(), (MONDAY_NOON + DAY).date()
    vix, spx = [bar("VIX", monday, 18.0), bar("VIX", tuesday, 19.0)], [bar("SPX", monday, 100.0)]
    assert [day for day, _ in closes_of(vix, [bar("VIX3M", tuesday, 20.0)])] == [tuesday]
    assert joint_days(spx, vix) is None
    assert joint_days([*spx, bar("SPX", tuesday, 101.0)], vix) == (pytest.approx((0.01, 1.0)),)
