"""The venue as a whole: its clock, its memory, its commands and its starting books."""

import asyncio
import contextlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.simulator.book import DEMO_BOOK, BookError, read_book
from adapters.simulator.clock import VenueClock, opening_time
from adapters.simulator.control import ControlError
from adapters.simulator.state import StateError
from adapters.simulator.types import FillStyle, OrderStatus
from adapters.simulator.venue import Venue, VenueConfig, open_venue
from models.quant.option import SecType
from models.quant.product import NEW_YORK
from tests.still_venue import NOON, Hand, combo, fill_now, future, held, later, option, still, stock, ticket


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


# ── clock ────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("machine", "persisted", "opens"),
    [
        ("2026-11-20 12:00", None, "2026-11-20 12:00"),  # the market is open: now
        ("2026-11-20 15:45", None, "2026-11-20 10:30"),  # hardly any day left: this morning
        ("2026-11-20 22:00", None, "2026-11-20 10:30"),
        ("2026-11-22 12:00", None, "2026-11-20 10:30"),  # Sunday
        ("2026-11-26 12:00", None, "2026-11-25 10:30"),  # Thanksgiving
        ("2026-11-20 06:00", None, "2026-11-19 10:30"),
        ("2026-11-20 22:00", "2026-11-20 14:00", "2026-11-20 14:00"),  # never backwards
        ("2026-11-20 22:00", "2026-11-20 16:10", "2026-11-23 10:30"),
        ("2026-11-22 12:00", "2026-11-23 08:00", "2026-11-23 10:30"),
        ("2026-11-20 12:00", "2026-11-19 15:00", "2026-11-20 12:00"),
    ],
)
def test_a_venue_opens_in_a_session_whatever_the_hour(machine: str, persisted: str | None, opens: str) -> None:
    kept = new_york(persisted) if persisted else None
    assert opening_time(new_york(machine), kept) == new_york(opens)


def test_the_clock_runs_at_its_speed_and_never_back() -> None:
    hand = Hand()
    clock = VenueClock(NOON, 60.0, hand)
    hand.at += 2
    assert clock.now() == NOON + timedelta(minutes=2)
    clock.set_speed(0)
    hand.at += 100
    assert clock.now() == NOON + timedelta(minutes=2)
    with pytest.raises(ValueError, match="never goes backwards"):
        clock.jump_to(NOON)
    with pytest.raises(ValueError, match="turn the clock back"):
        clock.set_speed(-1)


# ── memory ───────────────────────────────────────────────────────────────────────────────────────────────────────
def config(folder: Path, **more: object) -> VenueConfig:
    return VenueConfig(state=folder / "state.json", speed=0.0, **more)  # type: ignore[arg-type]


def test_everything_outlives_the_process(tmp_path: Path) -> None:
    first = open_venue(config(tmp_path), NOON)
    put = option(first, 7200, "P")
    low = option(first, 7000, "P")
    quote = first.market.quote(put.con_id)
    assert quote and quote.ask and quote.bid
    filled = fill_now(first.exchange, ticket(put, "BUY", 2, quote.ask))
    bag = fill_now(first.exchange, combo([(put, "BUY", 1), (low, "SELL", 1)], 1, None))
    waiting = fill_now(first.exchange, ticket(put, "BUY", 1, quote.bid, tif="GTC", order_ref="waits"))
    waiting.wire = {"echo": "me"}
    later(first, minutes=20)
    first.control({"scenario": "halted"})
    before = first.snapshot()

    again = open_venue(config(tmp_path), NOON)  # the first was never closed: as after a kill
    assert again.snapshot() == before
    assert again.account_id == first.account_id and again.clock.now() == first.clock.now()
    assert held(again) == held(first) and again.account.margin() == first.account.margin()
    assert [o.status for o in again.exchange.orders()] == [filled.status, bag.status, OrderStatus.SUBMITTED]
    kept = again.exchange.find_order(11, waiting.order_id)
    assert kept is not None and kept.ticket == waiting.ticket and kept.wire == {"echo": "me"}
    assert again.exchange.fills() == first.exchange.fills()
    assert again.exchange.next_order_id(11) == waiting.order_id + 1
    again.control({"scenario": "resume"})
    again.exchange.place(11, waiting.order_id, ticket(put, "BUY", 1, quote.ask + 20, tif="GTC", order_ref="waits"))
    again.exchange.step()
    assert kept.status is OrderStatus.FILLED
    assert len({f.exec_id for f in again.exchange.fills()}) == len(again.exchange.fills())


def test_an_order_is_on_disk_when_it_is_acknowledged_and_a_fill_when_it_is_told(tmp_path: Path) -> None:
    venue = open_venue(config(tmp_path), NOON)
    path = tmp_path / "state.json"
    spy = stock(venue)
    seen: list[int] = []
    venue.exchange.listen(lambda event: seen.append(len(json.loads(path.read_text())["fills"])))
    venue.exchange.place(11, 1, ticket(spy, "BUY", 5))
    assert [o["status"] for o in json.loads(path.read_text())["orders"]] == ["Submitted"]
    venue.exchange.step()
    assert seen == [1]


def test_the_clock_of_a_state_never_goes_back(tmp_path: Path) -> None:
    first = open_venue(config(tmp_path), NOON)
    later(first, hours=2)
    first.save()
    assert open_venue(config(tmp_path), NOON).clock.now() == NOON + timedelta(hours=2)


def test_a_state_of_another_market_is_refused_by_name(tmp_path: Path) -> None:
    open_venue(config(tmp_path), NOON)
    with pytest.raises(StateError, match=r"state\.json belongs to a venue with seed 7 and no chain"):
        open_venue(config(tmp_path, seed=8), NOON)


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 99}'])
def test_a_state_that_is_none_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(StateError, match=r"state\.json.*move it away"):
        open_venue(config(tmp_path), NOON)
    assert path.read_text() == text


def test_a_scenario_happens_once_not_at_every_restart(tmp_path: Path) -> None:
    start = open_venue(config(tmp_path), NOON).market.price_of("SPX")
    crash = open_venue(config(tmp_path, scenario="gap"), NOON).market.price_of("SPX")
    again = open_venue(config(tmp_path, scenario="gap"), NOON).market.price_of("SPX")
    assert crash == pytest.approx(start * 0.96) and again == crash


def test_positions_that_are_no_longer_listed_come_back(tmp_path: Path) -> None:
    first = open_venue(config(tmp_path), NOON)
    gone = option(first, 7500, "C", expiry=datetime(2026, 11, 20).date())  # noqa: DTZ001
    fill_now(first.exchange, ticket(gone, "BUY", 1))
    later(first, days=3)
    again = open_venue(config(tmp_path), NOON)
    fills = [f for f in again.exchange.fills() if f.con_id == gone.con_id]
    assert len(fills) == 1 and again.market.instrument(gone.con_id) is not None


# ── running and commands ─────────────────────────────────────────────────────────────────────────────────────────
async def test_a_running_venue_fills_at_once_and_stops_when_told(tmp_path: Path) -> None:
    venue = open_venue(config(tmp_path), NOON)
    running = asyncio.create_task(venue.run())
    filled = asyncio.Event()
    venue.exchange.listen(lambda event: filled.set() if event.fill else None)
    venue.exchange.place(11, 1, ticket(stock(venue), "BUY", 5))
    async with asyncio.timeout(20):
        await filled.wait()
        venue.request_stop()
        await running


async def _appears(path: Path) -> None:
    async with asyncio.timeout(20):
        while not path.exists():  # noqa: ASYNC110, ASYNC240 — a file has no event to wait for
            await asyncio.sleep(0.02)


async def test_a_command_dropped_beside_the_state_file_is_obeyed_and_answered(tmp_path: Path) -> None:
    venue = open_venue(config(tmp_path), NOON)
    running = asyncio.create_task(venue.run())
    answer = tmp_path / "state.control.answer.json"
    try:
        for command, key, words in (
            ({"move": {"spot_pct": -3}}, "done", "moved -3 %"),
            ({"boom": 1}, "refused", "unknown command boom"),
        ):
            before = venue.market.price_of("SPX")
            part = tmp_path / "part"
            part.write_text(json.dumps(command))
            part.rename(tmp_path / "state.control.json")
            await _appears(answer)
            assert words in json.loads(answer.read_text())[key]
            answer.unlink()
        assert venue.market.price_of("SPX") == before
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def test_commands_say_what_they_did_and_refuse_what_they_do_not_know(tmp_path: Path) -> None:
    venue = open_venue(config(tmp_path), NOON)
    assert venue.control({"speed": 5, "scenario": "halted"}) == "speed 5; the feed stops"
    assert venue.control({"fill_style": "never"}) == "fills never"
    assert venue.exchange.fill_style is FillStyle.NEVER
    assert venue.control({"fill_style": {"style": "reject", "order_ref": "x"}}) == "fills reject for x"
    assert "options recorded" in venue.control({"record": str(tmp_path / "spx.csv")})
    dropped: list[bool] = []
    venue.drop_clients = lambda: dropped.append(True)
    venue.control({"drop_clients": True, "clock": (NOON + timedelta(hours=1)).isoformat()})
    assert dropped and venue.clock.now() >= NOON + timedelta(hours=1)
    for wrong in ({}, {"speed": "fast"}, {"move": {"up": 1}}, {"fill_style": "x"}, {"clock": "2030-01-01T00:00:00"}):
        with pytest.raises(ControlError):
            venue.control(wrong)


# ── books ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_demo_book_is_worth_one_and_a_half_million_and_within_its_margin() -> None:
    venue = still()
    money = venue.account.margin()
    assert money.net_liquidation == pytest.approx(1_500_000, abs=1_000)
    assert money.maintenance_margin < 0.8 * money.net_liquidation and money.excess_liquidity > 0
    assert 12 <= len(held(venue)) <= 20 and len(held(venue)) == len(DEMO_BOOK)


def test_a_book_file_is_found_by_what_it_describes(tmp_path: Path) -> None:
    book = tmp_path / "book.json"
    spx = {"symbol": "SPX", "sec_type": "OPT"}
    dear = {"expiry": "2026-12-18", "strike": 7600, "average_price": 50.0}
    book.write_text(json.dumps([
        {**spx, "trading_class": "SPXW", "dte": 28, "right": "P", "delta": -0.25, "quantity": -3},
        {**spx, "trading_class": "SPX", "right": "C", "quantity": 2, **dear},
        {"symbol": "SPY", "sec_type": "OPT", "dte": 28, "right": "P", "moneyness": 0.95, "quantity": -1},
        {"symbol": "ES", "sec_type": "FUT", "quantity": -1},
        {"symbol": "AAPL", "sec_type": "STK", "quantity": 100},
    ]))  # fmt: skip
    venue = open_venue(VenueConfig(book=book, speed=0.0), NOON)
    by_name = {venue.market.universe[c].contract: q for c, q in held(venue).items()}
    assert sorted(by_name.values()) == [-3, -1, -1, 2, 100]
    put = next(c for c, q in by_name.items() if q == -3)
    model = venue.market.model(venue.market.universe.of(put).con_id)  # type: ignore[union-attr]
    assert put.expiry == datetime(2026, 12, 18).date() and model and model.delta == pytest.approx(-0.25, abs=0.01)  # noqa: DTZ001
    call = next(c for c, q in by_name.items() if q == 2)
    assert call.trading_class == "SPX"
    cost = venue.account.ledger.holdings[venue.market.universe.of(call).con_id].average_cost  # type: ignore[union-attr]
    assert cost == 5_000.0
    assert held(venue)[future(venue).con_id] == -1
    assert {c.sec_type for c in by_name} == {SecType.OPTION, SecType.FUTURE, SecType.STOCK}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ('{"cash": 5}', "expected a list"),
        ("[5]", "position 1: expected an object"),
        ('[{"symbol": "SPX", "sec_type": "OPT"}]', "position 1: field quantity is missing"),
        ('[{"symbol": "SPX", "sec_type": "OPTION", "quantity": 1}]', "position 1"),
        ('[{"symbol": "SPX", "sec_type": "STK", "quantity": "1"}]', "'1' is not a number"),
        ('[{"symbol": "SPX", "sec_type": "OPT", "quantity": 1, "strik": 5}]', "unknown field strik"),
    ],
)
def test_a_bad_book_is_named_by_file_and_position(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "book.json"
    path.write_text(content)
    with pytest.raises(BookError, match=rf"book\.json.*{words}"):
        read_book(path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"symbol": "NOPE", "sec_type": "STK"}, "nothing is listed for NOPE"),
        ({"symbol": "SPX", "sec_type": "OPT", "dte": 30, "strike": 7500}, "right is missing"),
        ({"symbol": "SPX", "sec_type": "OPT", "dte": 30, "right": "P"}, "give strike, delta or moneyness"),
        (
            {"symbol": "SPX", "sec_type": "OPT", "expiry": "2026-12-25", "right": "P", "strike": 7000},
            "2026-12-25 is not",
        ),
        (
            {"symbol": "SPX", "sec_type": "OPT", "expiry": "2026-12-18", "right": "P", "strike": 7001},
            "strike 7001 is not",
        ),
    ],
)
def test_a_book_that_asks_for_what_is_not_listed_says_so(tmp_path: Path, line: dict[str, object], words: str) -> None:
    path = tmp_path / "book.json"
    path.write_text(json.dumps([line | {"quantity": 1}]))
    with pytest.raises(BookError, match=words):
        open_venue(VenueConfig(book=path), NOON)


def breaches(venue: Venue) -> dict[str, float]:
    """Limits of the desk profile that are broken, with how far they are used, priced by the desk's own arithmetic."""
    from models.quant.beta import beta_of
    from models.quant.breach import measure_use
    from models.quant.portfolio import Holding, Mark, MarketView, expose
    from models.quant.regime import detect, load_regimes
    from models.quant.structure import QuoteSource
    from tests.conftest import ROOT

    market = venue.market
    positions = venue.account.positions()
    contracts = [market.universe[p.con_id].contract for p in positions]
    marks = {
        c.identity: Mark(p.market_price, QuoteSource.REAL)
        for c, p in zip(contracts, positions, strict=True)
        if p.market_price
    }
    spots = {s: market.price_of(s) for s in market.spot_symbols()}
    view = MarketView(
        market.now, market.price_of("SPX"), spots, marks, {}, {c.symbol: beta_of(c, {}) for c in contracts}
    )
    money = venue.account.margin()
    held_ = [Holding(c, p.quantity) for c, p in zip(contracts, positions, strict=True)]
    exposure = expose(held_, view, money.net_liquidation, money.maintenance_margin)
    book = load_regimes((ROOT / "models" / "risk_regimes.toml").read_text(), "risk_regimes.toml")
    vix, far, vvix = (market.price_of(s) for s in ("VIX", "VIX3M", "VVIX"))
    regime = detect(vix, far, vvix, None, book.detection).regime
    limits = book.limits("desk", regime, money.net_liquidation, vix, far / vix)
    return {u.kind.value: u.use or 0.0 for u in measure_use(exposure, limits) if u.breached}


@pytest.mark.parametrize("seed", [7, 1, 42])
def test_the_demo_book_breaches_weighted_vega_and_delta_under_the_desk_profile(seed: int) -> None:
    found = breaches(still(VenueConfig(seed=seed)))
    assert {"vega", "delta"} <= set(found) <= {"vega", "delta", "theta", "stress_near"}
    assert 1.03 < found["vega"] < 1.5 and 1.03 < found["delta"] < 1.6
    assert found.get("stress_near", 1.0) < 1.1
