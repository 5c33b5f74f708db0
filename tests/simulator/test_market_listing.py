"""What is listed and how it is found, hours in contract details, new days, and the market's past."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from adapters.simulator import listing
from adapters.simulator.universe import BAG_CON_ID, Universe, demo_listings, register_options, register_underlyings
from adapters.simulator.venue import Venue, VenueConfig
from models import calendar
from models.quant.option import Right
from tests.still_venue import NOON, future, option, still, stock, to_time

TODAY = date(2026, 11, 20)


@pytest.fixture(scope="module")
def venue() -> Venue:
    return still()


def test_monthlies_are_third_fridays_or_the_session_before() -> None:
    assert listing.third_friday(2026, 12) == date(2026, 12, 18)
    assert listing.third_friday(2027, 6) == date(2027, 6, 17)  # the 18th is Juneteenth observed


def test_weekly_expiries_are_sessions(venue: Venue) -> None:
    expiries = {i.contract.expiry for i in venue.market.find(symbol="SPX", sec_type="OPT", trading_class="SPXW")}
    assert all(day is not None and calendar.is_trading_day(day) for day in expiries)
    daily = set(calendar.trading_days(TODAY, TODAY + timedelta(days=35)))
    assert daily <= expiries
    assert date(2026, 12, 31) in expiries and max(d for d in expiries if d) >= date(2027, 3, 19)


def test_the_desks_whole_list_is_there(venue: Venue) -> None:
    market = venue.market
    for symbol in ("SPX", "VIX", "VIX3M", "VVIX"):
        assert len(market.find(symbol=symbol, sec_type="IND")) == 1
    shares = [i for i in market.find(sec_type="STK") if i.contract.symbol != "SPY"]
    assert len(shares) == 12
    assert all(market.find(symbol=s.contract.symbol, sec_type="OPT") for s in shares)
    assert [i.local_symbol for i in market.find(symbol="ES")] == ["ESZ6", "ESH7", "ESM7", "ESU7"]
    assert [i.contract.multiplier for i in market.find(symbol="MES")] == [5.0] * 4
    assert [i.local_symbol for i in market.find(symbol="CL")][:2] == ["CLZ6", "CLF7"]


def test_crude_stops_three_sessions_before_the_twenty_fifth() -> None:
    assert listing.crude_expiries(date(2026, 11, 1), 2) == [date(2026, 11, 20), date(2026, 12, 21)]


def test_the_same_contract_has_the_same_number_in_another_run(venue: Venue) -> None:
    other = Universe()
    register_underlyings(other)
    spots = {s: venue.market.price_of(s) for s in venue.market.spot_symbols()}
    for item in demo_listings(TODAY, spots):
        register_options(other, item)
    same = {i.contract.identity: i.con_id for i in other.all() if i.contract.is_option}
    mine = {i.contract.identity: i.con_id for i in venue.market.universe.all() if i.contract.is_option}
    assert {name: mine.get(name) for name in same} == same
    assert len(set(mine.values())) == len(mine) and BAG_CON_ID not in mine.values()


@pytest.mark.parametrize("right", ["P", "PUT"])
def test_find_filters_the_way_clients_ask(venue: Venue, right: str) -> None:
    found = venue.market.find(symbol="SPX", sec_type="OPT", expiry="20261218", strike=7000, right=right, currency="USD")
    assert {i.contract.trading_class for i in found} == {"SPXW"}
    monthly = venue.market.find(symbol="SPX", sec_type="OPT", expiry=date(2026, 12, 18), strike=7000, right=right)
    assert {i.contract.trading_class for i in monthly} == {"SPX", "SPXW"}, "a date is the settlement date"
    item = found[0]
    assert venue.market.find(con_id=item.con_id) == [item]
    assert venue.market.find(local_symbol=item.local_symbol.replace(" ", ""), sec_type="OPT") == [item]
    assert venue.market.find(symbol="ES", sec_type="FUT", expiry="202612") == [future(venue)]
    assert venue.market.find(symbol="NOPE") == [] and venue.market.find(symbol="SPX", sec_type="BOND") == []


def test_an_unknown_filter_is_an_error(venue: Venue) -> None:
    with pytest.raises(TypeError, match="colour"):
        venue.market.find(colour="red")


def test_chains_answer_by_class_with_strikes_of_living_expiries(venue: Venue) -> None:
    under = venue.market.find(symbol="SPX", sec_type="IND")[0]
    chains = venue.market.chains("SPX", under.con_id, "IND", "")
    assert {(c.exchange, c.trading_class) for c in chains} == {
        (e, c) for e in ("SMART", "CBOE") for c in ("SPX", "SPXW")
    }
    assert all(c.under_con_id == under.con_id and c.multiplier == "100" for c in chains)
    assert all(exp >= "20261120" for c in chains for exp in c.expirations)
    assert venue.market.chains("SPX", stock(venue).con_id) == []
    assert venue.market.chains("ES") == []


def test_contract_details_tell_hours_and_market_rules(venue: Venue) -> None:
    facts = venue.market.details(option(venue, 7000, "P").con_id)
    assert facts.time_zone == "US/Eastern"
    assert "20261120:0930-20261120:1615" in facts.trading_hours and "20261121:CLOSED" in facts.trading_hours
    assert "20261119:2015" not in facts.liquid_hours and facts.last_trade_time == "16:00:00"
    assert venue.market.market_rule(110) == ((0.0, 0.05), (3.0, 0.10))
    assert venue.market.market_rule(9999) == ()
    assert option(venue, 7000, "P").market_rule_id == 110 and future(venue).min_tick == 0.25


def test_a_new_day_lists_its_expiry_and_forgets_none() -> None:
    venue = still(VenueConfig(seed=2))
    last = datetime(2026, 12, 28, 16, 0, tzinfo=UTC)
    kept = option(venue, 7500, "C", expiry=date(2026, 11, 23))
    to_time(venue, last)
    assert venue.market.today.day == date(2026, 12, 28)
    assert venue.market.find(symbol="SPX", trading_class="SPXW", sec_type="OPT", expiry="20270201")
    assert kept not in venue.market.find(symbol="SPX", sec_type="OPT", strike=7500, right="C")
    assert venue.market.instrument(kept.con_id) is kept
    days = [d.day for d in venue.market.history.since]
    assert days == list(calendar.trading_days(TODAY, date(2026, 12, 24)))


# ── the past ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_daily_bars_end_where_the_market_is(venue: Venue) -> None:
    spx = venue.market.find(symbol="SPX", sec_type="IND")[0]
    bars = venue.market.bars(spx.con_id, None, 2 * 365 * 86400.0, 86400.0)
    assert 495 <= len(bars) <= 506
    assert bars[-1].close == pytest.approx(venue.market.price_of("SPX"), abs=0.01)
    assert all(b.low <= min(b.open, b.close) and b.high >= max(b.open, b.close) for b in bars)
    quote = venue.market.quote(spx.con_id)
    assert quote is not None and quote.close == pytest.approx(bars[-2].close, abs=0.01)


def test_index_and_vix_history_is_joint(venue: Venue) -> None:
    def closes(symbol: str) -> np.ndarray:
        con_id = venue.market.find(symbol=symbol, sec_type="IND")[0].con_id
        return np.array([b.close for b in venue.market.bars(con_id, None, 2 * 365 * 86400.0, 86400.0)])

    spx, vix = np.diff(np.log(closes("SPX"))), np.diff(closes("VIX"))
    assert np.corrcoef(spx, vix)[0, 1] < -0.5
    assert closes("VIX").min() > 8 and closes("VIX").max() < 80


def test_minute_bars_join_today_and_yesterday_and_come_again_the_same(venue: Venue) -> None:
    es = future(venue)
    bars = venue.market.bars(es.con_id, None, 86400.0, 300.0)
    assert bars == venue.market.bars(es.con_id, None, 86400.0, 300.0)
    assert len({b.at for b in bars}) == len(bars) and [b.at for b in bars] == sorted(b.at for b in bars)
    assert {b.at.date() for b in bars} == {date(2026, 11, 19), date(2026, 11, 20)}
    quote = venue.market.quote(es.con_id)
    assert quote is not None and abs(bars[-1].close - (quote.mid or 0)) < 1


def test_bars_of_an_option_are_its_own(venue: Venue) -> None:
    call, put = option(venue, 7500, "C"), option(venue, 7500, "P")
    up = venue.market.bars(call.con_id, None, 10 * 86400.0, 86400.0)
    down = venue.market.bars(put.con_id, None, 10 * 86400.0, 86400.0)
    moves = np.diff([b.close for b in up]) * np.diff([b.close for b in down])
    assert (moves < 0).sum() >= len(moves) - 2
    model = venue.market.model(call.con_id)
    assert model is not None and up[-1].close == pytest.approx(model.price, abs=1e-3)


def test_weeks_and_months_hold_their_days(venue: Venue) -> None:
    spy = stock(venue).con_id
    days = venue.market.bars(spy, None, 90 * 86400.0, 86400.0)
    weeks = venue.market.bars(spy, None, 90 * 86400.0, 7 * 86400.0)
    months = venue.market.bars(spy, None, 90 * 86400.0, 30 * 86400.0)
    assert len(weeks) in (13, 14) and len(months) == 4
    assert max(b.high for b in days) == max(b.high for b in weeks) == max(b.high for b in months)


def test_bars_of_nothing_are_none_and_of_an_unknown_kind_refused(venue: Venue) -> None:
    assert venue.market.bars(1, None, 86400.0, 60.0) == []
    with pytest.raises(ValueError, match="FEE_RATE"):
        venue.market.bars(stock(venue).con_id, None, 86400.0, 60.0, "FEE_RATE")


def test_bars_up_to_a_past_moment_end_there(venue: Venue) -> None:
    bars = venue.market.bars(stock(venue).con_id, NOON - timedelta(days=7), 86400.0, 3600.0)
    assert bars and all(b.at < NOON - timedelta(days=7) for b in bars)


def test_rights_come_in_pairs(venue: Venue) -> None:
    items = venue.market.find(symbol="AAPL", sec_type="OPT")
    calls = {(i.contract.expiry, i.contract.strike) for i in items if i.contract.right is Right.CALL}
    assert calls == {(i.contract.expiry, i.contract.strike) for i in items if i.contract.right is Right.PUT}
