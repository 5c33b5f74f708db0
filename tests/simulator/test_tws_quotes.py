"""Market data and history as a client sees them: live, delayed, snapshots, combos, halts, and the lines running out."""

from collections.abc import AsyncIterator

import pytest
from ib_async import IB, ComboLeg, Contract, Future, Option, Stock

from adapters.simulator.tws_limits import Rules
from adapters.simulator.tws_server import TwsServer, serve_tws
from tests.small_venue import NOON, SPX, SPY, SmallVenue, option_id
from tests.tws_clients import connected, no_decoder_errors, until

CALL = option_id(6000.0, "C")
LOWER = option_id(5900.0, "C")
NOBODY = -1  # how ib_async shows a side without a quote
QUICK = Rules(tick_seconds=0.02, account_seconds=5.0, snapshot_patience=0.2, messages_a_second=1000)


def option(strike: float = 6000.0, right: str = "C") -> Option:
    return Option("SPX", "20261218", strike, right, "SMART", "100", "USD", conId=option_id(strike, right))


def spread() -> Contract:
    legs = [ComboLeg(LOWER, 1, "BUY", "SMART"), ComboLeg(CALL, 1, "SELL", "SMART")]
    return Contract(symbol="SPX", secType="BAG", exchange="SMART", currency="USD", comboLegs=legs)


@pytest.fixture
def venue() -> SmallVenue:
    return SmallVenue()


@pytest.fixture
async def server(venue: SmallVenue) -> AsyncIterator[TwsServer]:
    opened = await serve_tws(venue, rules=QUICK)
    with no_decoder_errors():
        yield opened
    await opened.close()


@pytest.fixture
async def ib(server: TwsServer) -> AsyncIterator[IB]:
    async with connected(server.port) as client:
        yield client


def codes(ib: IB) -> list[int]:
    told: list[int] = []
    ib.errorEvent += lambda req_id, code, text, contract: told.append(code)
    return told


@pytest.mark.parametrize("newest", [157, 163, 170, 178])
async def test_an_option_streams_quotes_and_model_greeks_at_every_version(server: TwsServer, newest: int):
    async with connected(server.port, newest=newest) as ib:
        ticker = ib.reqMktData(option(), "101,106")
        await until(lambda: ticker.modelGreeks and ticker.bid == ticker.bid, "bid and model")
        assert (ticker.bid, ticker.ask, ticker.bidSize, ticker.askSize) == (59.8, 60.2, 10.0, 12.0)
        assert (ticker.last, ticker.close, ticker.volume) == (60.0, 1.5, 100.0)
        greeks = ticker.modelGreeks
        assert greeks is not None
        assert (greeks.impliedVol, greeks.delta, greeks.gamma, greeks.vega) == (0.18, 0.5, 0.0012, 6.5)
        assert (greeks.theta, greeks.undPrice, greeks.optPrice) == (-1.9, 6000.0, 60.0)
        assert ticker.bidGreeks is not None and ticker.bidGreeks.impliedVol is None
        assert ticker.callOpenInterest == 4321.0 and ticker.marketDataType == 1
        ib.cancelMktData(ticker.contract)


async def test_only_changes_are_told(ib: IB, venue: SmallVenue):
    ticker = ib.reqMktData(option())
    await until(lambda: ticker.modelGreeks, "the first look")
    heard: list[tuple[int, float]] = []
    ib.pendingTickersEvent += lambda tickers: heard.extend((t.tickType, t.price) for k in tickers for t in k.ticks)
    venue.market.prices[CALL] = (59.9, 60.2)
    await until(lambda: heard, "the change")
    assert {kind for kind, _ in heard} == {1, 4}  # the bid, and the last that this venue puts in the middle
    assert ticker.bid == 59.9


async def test_a_side_nobody_quotes_is_unknown_and_a_model_can_go_away(ib: IB, venue: SmallVenue):
    ticker = ib.reqMktData(option())
    await until(lambda: ticker.modelGreeks, "the first look")
    venue.market.prices[CALL] = (None, 60.2)
    venue.market.no_model.add(CALL)
    await until(lambda: ticker.bid == NOBODY, "the bid gone")
    await until(lambda: ticker.modelGreeks.impliedVol is None, "the model gone")
    assert ticker.ask == 60.2


async def test_delayed_data_comes_under_its_own_types_and_says_so(ib: IB):
    told = codes(ib)
    ib.reqMarketDataType(3)
    ticker = ib.reqMktData(option())
    await until(lambda: ticker.modelGreeks, "delayed greeks")
    assert (ticker.marketDataType, ticker.bid, told) == (3, 59.8, [10167])
    ib.reqMarketDataType(2)
    frozen = ib.reqMktData(option(5900.0))
    await until(lambda: frozen.bid > 0, "frozen data")
    assert frozen.marketDataType == 2
    ib.reqMarketDataType(9)
    await until(lambda: 321 in told, "an unknown type refused")


async def test_snapshots_end_and_give_their_line_back(ib: IB, server: TwsServer):
    tickers = await ib.reqTickersAsync(*(option(k, r) for k in (5900.0, 6000.0) for r in "CP"))
    assert all(t.bid > 0 and t.modelGreeks.delta == 0.5 for t in tickers)
    (spx,) = await ib.reqTickersAsync(Contract(conId=SPX, exchange="CBOE"))
    assert spx.last == 6000.0 and spx.bid == NOBODY
    assert len(server.lines) == 0


async def test_a_snapshot_of_what_nobody_quotes_ends_when_its_patience_does(ib: IB, venue: SmallVenue):
    venue.market.prices[CALL] = (None, None)
    (ticker,) = await ib.reqTickersAsync(option())
    assert (ticker.bid, ticker.ask) == (NOBODY, NOBODY)


async def test_a_combo_is_quoted_as_the_exchange_would_trade_it(ib: IB, venue: SmallVenue):
    ticker = ib.reqMktData(spread())
    await until(lambda: ticker.bid == ticker.bid, "the combo's quote")
    # natural 79.6 to 80.4, tightened by half: the sides cross over for the sold leg
    assert (ticker.bid, ticker.ask) == pytest.approx((79.8, 80.2))
    assert (ticker.bidSize, ticker.askSize) == (10.0, 10.0)
    venue.market.prices[CALL] = (None, 60.2)  # one side unknown: the combo has no market
    await until(lambda: (ticker.bid, ticker.ask) == (NOBODY, NOBODY), "no market")


async def test_a_halt_and_the_thirty_day_volatility_are_told(ib: IB, venue: SmallVenue):
    ticker = ib.reqMktData(Contract(conId=SPX, exchange="CBOE"), "106")
    await until(lambda: ticker.impliedVolatility == 0.18, "the volatility of the nearest call")
    venue.market.halted = True
    await until(lambda: ticker.halted == 1.0, "the halt")


async def test_the_hundred_and_first_line_of_the_user_is_refused_whichever_client_asks(server: TwsServer, ib: IB):
    told = codes(ib)
    async with connected(server.port, 8) as other:
        for n in range(100):  # ib_async keeps one line per contract: go below it
            client = (ib if n % 2 else other).client
            client.reqMktData(500 + n, Contract(conId=SPY, exchange="SMART"), "", False, False, [])
        await until(lambda: len(server.lines) == 100, "a hundred lines")
        ib.client.reqMktData(900, Contract(conId=SPX, exchange="CBOE"), "", True, False, [])  # a snapshot counts
        await until(lambda: told, "the refusal")
        assert told == [101]
    await until(lambda: len(server.lines) == 50, "the other client's lines came back when it left")
    ib.client.cancelMktData(501)
    await until(lambda: len(server.lines) == 49, "a cancelled line came back")


async def test_what_cannot_be_subscribed_says_why(ib: IB):
    told: list[tuple[int, int]] = []
    ib.errorEvent += lambda req_id, code, text, contract: told.append((req_id, code))
    spy = Contract(conId=SPY, exchange="SMART")
    for req_id, contract, generic, snapshot in (
        (500, Contract(conId=77), "", False),
        (501, Contract(symbol="SPX", secType="OPT", exchange="SMART"), "", False),
        (502, spy, "abc", False),
        (503, spy, "106", True),
        (504, Contract(symbol="SPX", secType="BAG", exchange="SMART"), "", False),
        (505, spy, "", False),
        (505, spy, "", False),
    ):
        ib.client.reqMktData(req_id, contract, generic, snapshot, False, [])
    ib.client.cancelMktData(999)
    await until(lambda: len(told) == 7, "seven refusals")
    assert told == [(500, 200), (501, 200), (502, 321), (503, 321), (504, 321), (505, 322), (999, 300)]


# ── history ──────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("newest", [157, 178])
async def test_bars_come_with_their_times_and_stay_up_to_date(server: TwsServer, venue: SmallVenue, newest: int):
    async with connected(server.port, newest=newest) as ib:
        spy = Stock("SPY", "SMART", "USD")
        bars = await ib.reqHistoricalDataAsync(spy, "", "1 D", "1 min", "TRADES", True, 2, True)
        assert [bar.volume for bar in bars] == [1000.0] * 5 and bars[-1].close == pytest.approx(601.49)
        assert (NOON - bars[-1].date).total_seconds() == 60
        venue.market.prices[SPY] = (610.0, 610.1)
        await until(lambda: bars[-1].close == pytest.approx(611.5), "the last bar at the new price")
        ib.cancelHistoricalData(bars)
        daily = await ib.reqHistoricalDataAsync(spy, "", "5 D", "1 day", "TRADES", True, 1)
        assert [f"{bar.date:%Y%m%d}" for bar in daily][-1] == "20261119"
        head = await ib.reqHeadTimeStampAsync(spy, "TRADES", True, 2)
        assert head is not None


async def test_history_is_paced_and_wrong_requests_are_named(ib: IB):
    told: list[tuple[int, str]] = []
    ib.errorEvent += lambda req_id, code, text, contract: told.append((code, text))
    spy, es = Stock("SPY", "SMART", "USD"), Future("ES", "20261218", "CME")

    async def ask(contract: Contract, duration: str = "1 D", size: str = "1 min", what: str = "TRADES") -> object:
        return await ib.reqHistoricalDataAsync(contract, "", duration, size, what, True)

    assert await ask(spy) and not await ask(spy)
    assert told[-1][0] == 162 and "pacing violation: identical" in told[-1][1]
    assert not await ask(es)
    assert told[-1][0] == 162 and "no data: ES@CME" in told[-1][1]
    for wrong in ({"duration": "1 fortnight"}, {"size": "7 mins"}, {"what": "GOSSIP"}):
        ib.client.reqHistoricalData(
            4000 + len(told), spy, "", wrong.get("duration", "1 D"), wrong.get("size", "1 min"),
            wrong.get("what", "TRADES"), True, 1, False, [],
        )  # fmt: skip
        count = len(told)
        await until(lambda count=count: len(told) > count, "the refusal")
        assert told[-1][0] == 321 and str(next(iter(wrong.values()))) in told[-1][1]
