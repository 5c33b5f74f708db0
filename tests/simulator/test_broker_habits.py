"""Habits of the real broker that a client must cope with: listed days, contract months, ids, quiet spells, expiry."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from ib_async import IB, Future, Index, Option

from adapters.simulator.account import Holding
from adapters.simulator.settlement import settle_expired, settlement_values
from adapters.simulator.tws_history import _widened
from adapters.simulator.tws_limits import Rules
from adapters.simulator.tws_server import TwsServer, serve_tws
from adapters.simulator.types import RejectedByVenue, VenueBar
from adapters.simulator.venue import Venue
from models.quant.option import Contract, Right, SecType
from tests.still_venue import fresh_trading, future, held, option, still, ticket, to_time
from tests.tws_clients import connected, no_decoder_errors, until

QUICK = Rules(tick_seconds=0.02, account_seconds=0.05)
EVE, SETTLES = "20261217", "20261218"


@pytest.fixture(scope="module")
def opened() -> Venue:
    return still()


@pytest.fixture
async def server(opened: Venue) -> AsyncIterator[TwsServer]:
    fresh_trading(opened)
    served = await serve_tws(opened, rules=QUICK)
    with no_decoder_errors():
        yield served
        await served.close()


# ── what is listed under which day ───────────────────────────────────────────────────────────────────────────────
async def test_am_expirations_are_listed_under_their_last_trading_day(server: TwsServer):
    async with connected(server.port) as ib:
        index = Index("SPX", "CBOE")
        await ib.qualifyContractsAsync(index)
        chains = await ib.reqSecDefOptParamsAsync("SPX", "", "IND", index.conId)
        listed = {chain.tradingClass: chain.expirations for chain in chains if chain.exchange == "SMART"}
        assert EVE in listed["SPX"] and SETTLES not in listed["SPX"] and SETTLES in listed["SPXW"]
        asked = Option("SPX", EVE, 7500.0, "C", "SMART", tradingClass="SPX")
        (details,) = await ib.reqContractDetailsAsync(asked)
        assert details.contract is not None
        assert details.contract.lastTradeDateOrContractMonth == EVE and details.contractMonth == "202612"
        assert details.contract.localSymbol == "SPX   261218C07500000" and details.realExpirationDate == SETTLES
        assert (details.lastTradeTime, details.timeZoneId) == ("17:00:00", "US/Eastern")  # the eve's curb session ends


@pytest.mark.parametrize(("stated", "found"), [("202612", 1), (EVE, 1), (SETTLES, 0)])
async def test_an_am_option_is_found_by_month_or_last_day(server: TwsServer, stated: str, found: int):
    async with connected(server.port) as ib:
        told: list[int] = []
        ib.errorEvent += lambda req_id, code, text, contract: told.append(code)
        asked = Option("SPX", stated, 7500.0, "C", "SMART", tradingClass="SPX")
        assert len(await ib.reqContractDetailsAsync(asked)) == found
        assert told == [] if found else told == [200]


async def test_crude_is_asked_for_by_its_contract_month(server: TwsServer):
    async with connected(server.port) as ib:
        (december,) = await ib.reqContractDetailsAsync(Future("CL", "202612", "NYMEX"))
        assert december.contract is not None and december.contract.localSymbol == "CLZ6"
        assert (december.contract.lastTradeDateOrContractMonth, december.contractMonth) == ("20261120", "202612")
        (by_day,) = await ib.reqContractDetailsAsync(Future("CL", "20261221", "NYMEX"))
        assert by_day.contract is not None and (by_day.contract.localSymbol, by_day.contractMonth) == ("CLF7", "202701")


# ── a bar in progress ────────────────────────────────────────────────────────────────────────────────────────────
def test_a_bar_in_progress_only_widens():
    at = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
    before = VenueBar(at, 10.0, 12.0, 9.0, 11.0, 200.0, 10.5, 2)
    now = VenueBar(at, 10.5, 11.0, 10.0, 10.8, 100.0, 10.6, 1)
    assert _widened(now, before) == VenueBar(at, 10.0, 12.0, 9.0, 10.8, 200.0, 10.6, 2)
    next_bar = replace(now, at=datetime(2026, 11, 20, 17, 1, tzinfo=UTC))
    assert _widened(next_bar, before) is next_bar and _widened(now, None) is now


# ── sessions and ids ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_quick_reconnect_is_refused_when_the_rule_is_on(opened: Venue):
    fresh_trading(opened)
    server = await serve_tws(opened, rules=replace(QUICK, reconnect_quiet=60.0))
    try:
        async with connected(server.port, 5):
            assert server.connected == 1
        await until(lambda: server.connected == 0, "the client left")
        again, told = IB(), list[int]()
        again.errorEvent += lambda req_id, code, text, contract: told.append(code)
        with pytest.raises((TimeoutError, ConnectionError)):
            await again.connectAsync("127.0.0.1", server.port, clientId=5, timeout=0.5)
        assert told == [326]
        async with connected(server.port, 6):
            assert server.connected == 1
    finally:
        await server.close()


def test_an_order_id_below_one_used_is_a_duplicate(opened: Venue):
    exchange, _, _ = fresh_trading(opened)
    item = option(opened, 7200, "P")
    exchange.place(11, 7, ticket(item, "BUY", 1, 0.05))
    with pytest.raises(RejectedByVenue) as caught:
        exchange.place(11, 6, ticket(item, "BUY", 1, 0.05))
    assert caught.value.code == 103
    assert exchange.place(12, 6, ticket(item, "BUY", 1, 0.05)).order_id == 6


def test_a_held_order_names_the_moment_its_market_opens():
    venue = still()
    exchange, _, _ = fresh_trading(venue)
    to_time(venue, datetime(2026, 11, 20, 22, 30, tzinfo=UTC))
    held_back = {
        "2026-11-23 09:30:00": exchange.place(11, 1, ticket(option(venue, 7200, "P"), "BUY", 1, 0.05)),
        "2026-11-22 20:15:00": exchange.place(
            11, 2, ticket(option(venue, 7200, "P"), "BUY", 1, 0.05, outside_rth=True)
        ),
        "2026-11-22 18:00:00": exchange.place(11, 3, ticket(future(venue), "BUY", 1, 5000.0)),
    }
    for moment, order in held_back.items():
        warning = exchange.warning(order)
        assert warning is not None and warning[0] == 399 and f"{moment} US/Eastern" in warning[1]


# ── expiry ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_expiry_takes_the_position_away_without_an_execution():
    venue = still()
    exchange, _, _ = fresh_trading(venue, 100_000.0)
    expiring = option(venue, 7600, "P", expiry=date(2026, 11, 20))
    venue.account.ledger.holdings[expiring.con_id] = Holding(2, 5_000.0)
    server = await serve_tws(venue, rules=QUICK)
    try:
        async with connected(server.port) as ib:
            assert [(p.contract.conId, p.position) for p in ib.positions()] == [(expiring.con_id, 2.0)]
            to_time(venue, datetime(2026, 11, 20, 21, 0, tzinfo=UTC))
            await until(lambda: not ib.positions(), "the position went")
            assert ib.fills() == [] and ib.trades() == []
        assert not exchange.fills() and not held(venue)
    finally:
        await server.close()


def test_a_contract_that_expired_while_nobody_looked_settles_at_its_own_day():
    venue = still()
    fresh_trading(venue, 100_000.0)
    expiring = option(venue, 7600, "P", expiry=date(2026, 11, 20))
    venue.account.ledger.holdings[expiring.con_id] = Holding(1, 0.0)
    tuesday = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
    venue.market.advance(tuesday)
    friday = next(day for day in venue.market.history.since if day.day == date(2026, 11, 20))
    close = venue.market.price_of("SPX", friday.close)
    assert close != pytest.approx(venue.market.price_of("SPX"), abs=0.01)
    settle_expired(venue.account, tuesday)
    assert venue.account.ledger.cash == pytest.approx(100_000 + max(7600 - close, 0.0) * 100)


def test_am_options_settle_at_the_open_and_pm_at_the_close():
    venue = still()
    venue.market.advance(datetime(2026, 11, 24, 15, 30, tzinfo=UTC))
    friday = next(day for day in venue.market.history.since if day.day == date(2026, 11, 20))
    am, pm = (Contract("SPX", SecType.OPTION, cls, 100.0, friday.day, 7500.0, Right.PUT) for cls in ("SPX", "SPXW"))
    assert settlement_values(venue.market, am) is friday.open
    assert settlement_values(venue.market, pm) is friday.close
    assert settlement_values(venue.market, replace(pm, expiry=date(2020, 1, 3))) is None
