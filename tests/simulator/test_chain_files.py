"""Recorded chains: exactly what was recorded, unknown where the record is, and a round trip that loses nothing."""

import csv
import gzip
import io
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from adapters.simulator.chain import HEADER, REQUIRED, ChainFileError, read_chain, read_chains, write_chain
from adapters.simulator.recording import Recording
from adapters.simulator.take_record import record_market
from adapters.simulator.types import Instrument
from adapters.simulator.venue import Venue, VenueConfig, open_venue
from models.quant.product import expiry_instant, product_of
from tests.still_venue import NOON, still, to_time

SESSION = "2026-11-20"


def smile(strike: float, t: float) -> float:
    return 0.16 - 0.35 * math.log(strike / 7500) / math.sqrt(max(t, 0.02)) * 0.3


def row(expiry: date, right: str, strike: float, **change: object) -> dict[str, str]:
    """One plausible recorded option around 7500, rate 4 %, no dividend."""
    from models.quant.pricing import bsm_price
    from models.quant.product import settlement_minute, years_to

    from models.quant.product import Settlement  # isort: skip

    t = years_to(settlement_minute(expiry, Settlement.PM), datetime(2026, 11, 20, 20, 45, tzinfo=UTC))
    price = float(bsm_price(7500.0, strike, t, smile(strike, t), 0.04, 0.0, right == "C"))
    tick = 0.10 if price >= 3 else 0.05
    bid = max(math.floor((price - tick) / tick) * tick, 0.0)
    ask = math.ceil((price + tick) / tick) * tick
    cells: dict[str, object] = dict.fromkeys(HEADER, "0.0")
    cells |= {
        "session_date": SESSION, "ticker": "_SPX", "expiry": expiry.isoformat(), "right": right, "strike": f"{strike}",
        "option": f"SPXW{expiry:%y%m%d}{right}{round(strike * 1000):08d}", "bid": round(bid, 2), "ask": round(ask, 2),
        "last_trade_price": round(bid, 2), "volume": 12.0, "open_interest": 345.0, "iv": round(smile(strike, t), 4),
        "prev_day_close": round(price * 1.02, 2), "last_trade_time": "2026-11-20T15:44:00",
    }  # fmt: skip
    return {k: str(v) for k, v in (cells | change).items()}


EXPIRIES = [date(2026, 11, 30), date(2026, 12, 18), date(2027, 1, 15), date(2027, 2, 26)]


def rows() -> list[dict[str, str]]:
    return [row(e, r, float(k)) for e in EXPIRIES for k in range(6500, 8300, 50) for r in ("C", "P")]


def write(path: Path, content: list[dict[str, str]], header: tuple[str, ...] = HEADER) -> Path:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, header, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(content)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.fixture
def chain_file(tmp_path: Path) -> Path:
    return write(tmp_path / "2026-11-20.csv.gz", rows())


@pytest.fixture
def opened(chain_file: Path) -> Venue:
    return open_venue(VenueConfig(chains=(chain_file,)), NOON)


def recorded_items(venue: Venue) -> Iterator[tuple[Instrument, object]]:
    assert venue.market.recording is not None
    for item in venue.market.find(symbol="SPX", sec_type="OPT"):
        yield item, venue.market.recording.rows[f"OPT:{item.contract.identity}"]


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_missing_columns_are_named_with_the_file(tmp_path: Path) -> None:
    header = tuple(name for name in HEADER if name not in ("bid_size", "iv"))
    path = write(tmp_path / "short.csv", rows()[:2], header)
    with pytest.raises(ChainFileError, match=r"short\.csv: missing columns bid_size, iv"):
        read_chain(path)


@pytest.mark.parametrize("column", REQUIRED)
def test_each_required_column_is_required(tmp_path: Path, column: str) -> None:
    path = write(tmp_path / "c.csv", rows()[:1], tuple(n for n in HEADER if n != column))
    with pytest.raises(ChainFileError, match=f"missing column {column}"):
        read_chain(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bid": "abc"}, "column bid: 'abc' is not a number"),
        ({"ask": "nan"}, "column ask: 'nan' is not a number"),
        ({"bid": "9", "ask": "8"}, "no market"),
        ({"option": "SPXW"}, "not an OSI option symbol"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, change: dict[str, str], words: str) -> None:
    content = rows()[:3]
    content[1] |= change
    with pytest.raises(ChainFileError, match=rf"bad\.csv, line 3: .*{words}"):
        read_chain(write(tmp_path / "bad.csv", content))


def test_other_ways_to_be_no_chain(tmp_path: Path) -> None:
    with pytest.raises(ChainFileError, match="does not exist"):
        read_chain(tmp_path / "nowhere.csv")
    with pytest.raises(ChainFileError, match="holds no options"):
        read_chain(write(tmp_path / "empty.csv", []))
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(b"not gzip")
    with pytest.raises(ChainFileError, match=r"broken\.csv\.gz cannot be read"):
        read_chain(broken)
    mixed = [row(EXPIRIES[0], "C", 7500.0), row(EXPIRIES[0], "P", 7500.0, session_date="2026-11-19")]
    with pytest.raises(ChainFileError, match="mixes sessions"):
        read_chain(write(tmp_path / "mixed.csv", mixed))
    one = write(tmp_path / "one.csv", rows()[:2])
    with pytest.raises(ChainFileError, match="two chain files of one underlying"):
        read_chains([one, one])
    aapl = write(tmp_path / "aapl.csv", [row(EXPIRIES[0], "C", 7500.0, ticker="AAPL")])
    with pytest.raises(ChainFileError, match="SPX, SPY or both"):
        Recording(read_chains([aapl]), NOON)


def test_zero_means_unknown(tmp_path: Path) -> None:
    nought = dict.fromkeys(("bid", "ask", "iv", "last_trade_price", "prev_day_close"), "0.0")
    bare = {"bid": "0.0", "ask": "0.05", "bid_size": "0.0", "ask_size": "11.0"}
    content = [row(EXPIRIES[0], "C", 7500.0, **nought), row(EXPIRIES[0], "C", 8000.0, **bare)]
    nothing, offered = read_chain(write(tmp_path / "z.csv", content)).rows
    assert (nothing.bid, nothing.ask, nothing.mid, nothing.iv, nothing.last, nothing.close) == (None,) * 6
    assert (offered.bid, offered.ask, offered.bid_size, offered.ask_size) == (0.0, 0.05, None, 11.0)


# ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_recorded_market_opens_before_the_close_of_its_day_and_stands(opened: Venue) -> None:
    assert opened.clock.now() == datetime(2026, 11, 20, 20, 45, tzinfo=UTC) and opened.clock.speed == 0
    assert {i.contract.expiry for i in opened.market.find(symbol="SPX", sec_type="OPT")} == set(EXPIRIES)


def test_every_quote_is_exactly_the_recorded_one(opened: Venue) -> None:
    for item, record in recorded_items(opened):
        quote = opened.market.quote(item.con_id)
        assert quote is not None
        for name in ("bid", "ask", "bid_size", "ask_size", "last", "volume", "open_interest", "close"):
            assert getattr(quote, name) == getattr(record, name), (item.local_symbol, name)


def test_spot_rate_and_vix_come_out_of_the_quotes(opened: Venue) -> None:
    market = opened.market
    assert market.price_of("SPX") == pytest.approx(7500, rel=5e-4)
    assert market.recording is not None and market.recording.rate == pytest.approx(0.04, abs=0.004)
    assert 15 < market.price_of("VIX") < 20 and market.price_of("VIX3M") > 14
    assert market.price_of("SPY") == pytest.approx(750, rel=2e-3)
    es = market.quote(market.find(symbol="ES", sec_type="FUT")[0].con_id)
    assert es is not None and es.mid is not None and 7500 < es.mid < 7560


def test_the_models_volatility_is_the_recorded_one(opened: Venue) -> None:
    for item, record in recorded_items(opened):
        model = opened.market.model(item.con_id)
        if abs((item.contract.strike or 0) / 7500 - 1) < 0.05:
            assert model is not None and model.iv == pytest.approx(record.iv, abs=0.004)  # type: ignore[attr-defined]


def test_what_the_record_does_not_know_is_unknown_and_does_not_fill(tmp_path: Path) -> None:
    content = rows()
    for cells in content:
        if cells["expiry"] == "2026-12-18" and float(cells["strike"]) == 7000:
            cells |= {"bid": "0.0", "ask": "0.0", "iv": "0.0"}
    venue = open_venue(VenueConfig(chains=(write(tmp_path / "2026-11-20.csv", content),)), NOON)
    found = venue.market.find(symbol="SPX", sec_type="OPT", expiry="20261218", strike=7000)
    assert len(found) == 2
    for item in found:
        quote = venue.market.quote(item.con_id)
        assert quote is not None and quote.bid is None and quote.ask is None and quote.mid is None
        assert venue.market.model(item.con_id) is None


def test_a_move_revalues_at_sticky_strikes_and_unknown_stays_unknown(opened: Venue) -> None:
    put = opened.market.find(symbol="SPX", sec_type="OPT", expiry="20261218", strike=7200, right="P")[0]
    before, model = opened.market.quote(put.con_id), opened.market.model(put.con_id)
    opened.control({"move": {"spot_pct": -1.0}})
    after, moved = opened.market.quote(put.con_id), opened.market.model(put.con_id)
    assert before and after and model and moved and before.bid and after.bid and after.ask and before.ask
    assert moved.under_price == pytest.approx(model.under_price * 0.99)
    assert moved.iv == pytest.approx(model.iv, abs=1e-9), "the strike keeps its volatility"
    expected = model.delta * -0.01 * model.under_price + 0.5 * model.gamma * (0.01 * model.under_price) ** 2
    assert after.bid - before.bid == pytest.approx(expected, abs=0.6)
    tick = product_of(put.contract).tick(after.bid)
    assert abs(after.bid / tick - round(after.bid / tick)) < 1e-6 and after.ask > after.bid


def test_added_points_lift_every_volatility(opened: Venue) -> None:
    item = opened.market.find(symbol="SPX", sec_type="OPT", expiry="20270115", strike=7500, right="C")[0]
    before, vix = opened.market.model(item.con_id), opened.market.price_of("VIX")
    opened.control({"move": {"vol_points": 5}})
    after = opened.market.model(item.con_id)
    assert before and after and after.iv - before.iv == pytest.approx(0.05, abs=1e-6)
    assert opened.market.price_of("VIX") == pytest.approx(vix + 5, abs=1e-3)


def test_a_running_clock_does_not_touch_recorded_quotes(chain_file: Path) -> None:
    venue = open_venue(VenueConfig(chains=(chain_file,), speed=0.0), NOON)
    items = venue.market.find(symbol="SPX", sec_type="OPT")
    before = [(q.bid, q.ask) for q in venue.market.quotes([i.con_id for i in items]) if q]
    to_time(venue, datetime(2026, 11, 20, 20, 55, tzinfo=UTC))
    assert [(q.bid, q.ask) for q in venue.market.quotes([i.con_id for i in items]) if q] == before


def test_a_calm_scenario_leaves_a_record_alone_and_a_crash_does_not(chain_file: Path) -> None:
    calm = open_venue(VenueConfig(chains=(chain_file,), scenario="calm"), NOON)
    crash = open_venue(VenueConfig(chains=(chain_file,), scenario="crash"), NOON)
    assert crash.market.price_of("SPX") == pytest.approx(calm.market.price_of("SPX") * 0.97)


# ── recording ────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", ["mine.csv", "mine.csv.gz"])
def test_record_and_open_again_gives_the_same_quotes(tmp_path: Path, name: str) -> None:
    first = still(VenueConfig(seed=11))
    path = tmp_path / name
    count = record_market(first.market, path)
    again = open_venue(VenueConfig(seed=11, chains=(path,)), NOON)
    items = [i for i in first.market.find(symbol="SPX", sec_type="OPT") if expiry_instant(i.contract) > NOON]
    assert count == len(items) > 10_000
    for item in items:
        old, new = first.market.quote(item.con_id), again.market.quote(item.con_id)
        assert old is not None and new is not None
        assert (old.bid, old.ask, old.last, old.close) == (new.bid, new.ask, new.last, new.close), item.local_symbol
        assert (old.ask_size, old.volume, old.open_interest) == (new.ask_size, new.volume, new.open_interest)
    assert again.market.price_of("SPX") == pytest.approx(first.market.price_of("SPX"), rel=2e-4)
    assert again.market.price_of("VIX") == pytest.approx(first.market.price_of("VIX"), abs=0.6)


def test_recording_a_recording_changes_nothing(opened: Venue, tmp_path: Path) -> None:
    record_market(opened.market, tmp_path / "again.csv")
    first = {(r.trading_class, r.expiry, r.strike, r.right): r for r in read_chain(opened.config.chains[0]).rows}
    for r in read_chain(tmp_path / "again.csv").rows:
        old = first[r.trading_class, r.expiry, r.strike, r.right]
        assert (r.bid, r.ask, r.bid_size, r.ask_size, r.last, r.volume) == (
            old.bid, old.ask, old.bid_size, old.ask_size, old.last, old.volume)  # fmt: skip
        if abs(r.strike / 7500 - 1) < 0.04:
            assert r.iv == pytest.approx(old.iv, abs=0.01)


def test_spy_is_recorded_by_name(tmp_path: Path) -> None:
    venue = still()
    path = tmp_path / "spy.csv"
    record_market(venue.market, path)
    assert read_chain(path).symbol == "SPY"
    assert {r.trading_class for r in read_chain(path).rows} == {"SPY"}


def test_a_record_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def breaks() -> Iterator[object]:
        yield from ()
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        write_chain(tmp_path / "x.csv", date(2026, 11, 20), "SPX", breaks(), NOON)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


# ── the real record ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.recorded
def test_the_recorded_spx_chain_of_august_opens_as_it_was(recorded: Path) -> None:
    path = recorded / "options" / "cboe_spx" / "2026-08-21.csv.gz"
    venue = open_venue(VenueConfig(chains=(path,)), NOON)
    with gzip.open(path, "rt", newline="") as handle:
        wanted = {r["option"]: r for r in csv.DictReader(handle)}
    items = [i for i in venue.market.universe.all() if i.contract.symbol == "SPX" and i.contract.is_option]
    assert len(items) == len(wanted) == 30_320
    quotes = venue.market.quotes([i.con_id for i in items])
    unknown = 0
    for item, quote in zip(items, quotes, strict=True):
        record = wanted[item.local_symbol.replace(" ", "")]
        bid, ask = float(record["bid"]), float(record["ask"])
        assert quote is not None
        if ask == 0:
            unknown += 1
            assert quote.bid is None and quote.ask is None
        else:
            assert (quote.bid, quote.ask) == (bid, ask)
    assert unknown == 1_180
    close = 7674.37
    assert venue.market.price_of("SPX") == pytest.approx(close, rel=1e-3)
    assert 12 < venue.market.price_of("VIX") < 18 < venue.market.price_of("VIX3M") < 20


@pytest.mark.recorded
@pytest.mark.parametrize("day", ["2026-08-13", "2026-08-19"])
def test_spx_and_spy_open_together(recorded: Path, day: str) -> None:
    folder = recorded / "options"
    chains = tuple(folder / f"cboe_{s}" / f"{day}.csv.gz" for s in ("spx", "spy"))
    venue = open_venue(VenueConfig(chains=chains), NOON)
    assert venue.market.price_of("SPY") / venue.market.price_of("SPX") == pytest.approx(0.0998, abs=2e-4)
    for symbol in ("SPX", "SPY"):
        items = venue.market.find(symbol=symbol, sec_type="OPT")
        assert sum(model is not None for model in venue.market.models([i.con_id for i in items])) > 5_000
