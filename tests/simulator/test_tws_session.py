"""Connecting, reading the account and the listings, and being held to the limits, with real ib_async clients."""

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest
from ib_async import IB, ComboLeg, Contract, ExecutionFilter, Future, Index, LimitOrder, Option, Stock

from adapters.simulator.tws_limits import Rules
from adapters.simulator.tws_server import TwsServer, serve_tws
from adapters.simulator.tws_wire import encode_frame
from adapters.simulator.types import OrderStatus, Ticket
from models.quant.structure import Action
from tests.small_venue import ACCOUNT, ES, NOON, SPX, SPY, SmallVenue, option_id
from tests.tws_clients import connected, no_decoder_errors, until

VERSIONS = pytest.mark.parametrize("newest", [157, 158, 159, 163, 164, 170, 174, 178])
QUICK = Rules(tick_seconds=0.02, account_seconds=0.02, pnl_seconds=0.02)


@pytest.fixture
def venue() -> SmallVenue:
    return SmallVenue()


@pytest.fixture
async def server(venue: SmallVenue) -> AsyncIterator[TwsServer]:
    opened = await serve_tws(venue, rules=QUICK, log_messages=True)
    with no_decoder_errors():
        yield opened
    await opened.close()


@VERSIONS
async def test_a_client_of_any_served_version_reads_the_whole_desk(server: TwsServer, newest: int):
    async with connected(server.port, newest=newest) as ib:
        assert ib.client.serverVersion() == newest
        assert ib.managedAccounts() == [ACCOUNT]
        assert {p.contract.conId: p.position for p in ib.positions()} == {SPY: 100.0, option_id(6000.0, "C"): -2.0}
        assert {item.contract.conId for item in ib.portfolio()} == {SPY, option_id(6000.0, "C")}
        summary = await ib.accountSummaryAsync()
        assert ("NetLiquidation", "1000000.00", "USD") in {(v.tag, v.value, v.currency) for v in summary}
        details = await ib.reqContractDetailsAsync(Option("SPX", "20261218", 6000.0, "C", "SMART", "", "USD"))
        assert [(d.contract.conId, d.underConId, d.lastTradeTime) for d in details] == [
            (option_id(6000.0, "C"), SPX, "16:00:00")
        ]
        assert await ib.reqCurrentTimeAsync() == NOON


async def test_contracts_are_qualified_listed_ambiguous_or_unknown(server: TwsServer):
    async with connected(server.port) as ib:
        spy, es, spx = Stock("SPY", "SMART", "USD"), Future("ES", "202612", "CME"), Index("SPX", "CBOE")
        await ib.qualifyContractsAsync(spy, es, spx)
        assert (spy.conId, es.conId, spx.conId) == (SPY, ES, SPX)
        assert (es.localSymbol, es.multiplier, spy.primaryExchange) == ("ESZ6", "50", "ARCA")
        assert await ib.qualifyContractsAsync(Stock("NOPE", "SMART", "USD")) == [None]
        assert await ib.qualifyContractsAsync(Stock("SPY", "LSE", "USD")) == [None]
        calls = await ib.reqContractDetailsAsync(Option("SPX", "20261218", 0.0, "CALL", "SMART"))
        assert {d.contract.strike for d in calls} == {5900.0, 5950.0, 6000.0, 6050.0, 6100.0}
        (by_id,) = await ib.reqContractDetailsAsync(Contract(conId=option_id(5950.0, "P")))
        assert (by_id.contract.right, by_id.contract.tradingClass, by_id.marketRuleIds) == ("P", "SPXW", "110,110")
        (chain, other) = await ib.reqSecDefOptParamsAsync("SPX", "", "IND", SPX)
        assert (chain.exchange, other.exchange, chain.tradingClass) == ("SMART", "CBOE", "SPXW")
        assert chain.strikes == [5900.0, 5950.0, 6000.0, 6050.0, 6100.0] and chain.expirations == [
            "20261218",
            "20270115",
        ]
        assert await ib.reqSecDefOptParamsAsync("SPY", "", "STK", SPY) == []
        rule = await ib.reqMarketRuleAsync(110)
        assert [(step.lowEdge, step.increment) for step in rule] == [(0.0, 0.05), (3.0, 0.1)]


async def test_money_and_positions_are_told_again_only_when_they_change(server: TwsServer, venue: SmallVenue):
    async with connected(server.port) as ib:
        told: list[str] = []
        ib.accountValueEvent += lambda value: told.append(value.tag)
        pnl, one = ib.reqPnL(ACCOUNT), ib.reqPnLSingle(ACCOUNT, "", SPY)
        await until(lambda: pnl.dailyPnL == 123.45 and one.position == 100.0, "profit and loss")
        assert one.value == pytest.approx(60_000.0)
        venue.market.prices[SPY] = (609.99, 610.01)
        await until(lambda: any(i.marketPrice == 610.0 for i in ib.portfolio()), "the portfolio at the new price")
        await until(lambda: one.value == pytest.approx(61_000.0), "the position's value at the new price")
        assert told == []  # the account's own values stood still
        ib.cancelPnL(ACCOUNT)
        ib.cancelPnLSingle(ACCOUNT, "", SPY)


async def test_a_position_without_a_price_is_unset_and_never_zero(server: TwsServer, venue: SmallVenue):
    venue.market.prices[SPY] = (None, None)
    async with connected(server.port) as ib:
        (spy,) = (item for item in ib.portfolio() if item.contract.conId == SPY)
        assert spy.marketPrice > 1e300 and spy.unrealizedPNL > 1e300


async def test_a_second_client_with_the_same_id_is_told_326_and_closed(server: TwsServer):
    async with connected(server.port, 5):
        other = IB()
        told: list[int] = []
        other.errorEvent += lambda req_id, code, text, contract: told.append(code)
        with pytest.raises((TimeoutError, ConnectionError)):
            await other.connectAsync("127.0.0.1", server.port, clientId=5, timeout=0.5)
        assert told == [326] and server.connected == 1
    await until(lambda: server.connected == 0, "the client left")
    async with connected(server.port, 5) as again:  # once it left, its id is free
        assert again.isConnected()


async def test_what_the_venue_does_not_serve_is_answered_and_the_session_goes_on(server: TwsServer):
    async with connected(server.port) as ib:
        told: list[tuple[int, str]] = []
        ib.errorEvent += lambda req_id, code, text, contract: told.append((code, text))
        assert not await ib.reqMatchingSymbolsAsync("SPX")
        ib.client.reqFamilyCodes()
        ib.client.cancelCalculateOptionPrice(3)
        ib.client.send(4711, 1)
        ib.client.send(1, 11)
        await until(lambda: len(told) == 4, "three refusals and a broken message")
        assert [code for code, _ in told] == [322, 322, 322, 320]
        assert "reqFamilyCodes is not supported" in told[1][1] and "ended before reqId" in told[3][1]
        assert await ib.reqCurrentTimeAsync() == NOON


async def test_more_than_fifty_messages_a_second_are_refused_and_then_the_client_is_cut_off(server: TwsServer):
    async with connected(server.port) as ib:
        told: list[int] = []
        ib.errorEvent += lambda req_id, code, text, contract: told.append(code)
        for _ in range(60):
            ib.client.reqIds(1)
        await until(lambda: 100 in told, "the refusal")
        assert ib.isConnected()
        for _ in range(200):
            ib.client.reqIds(1)
        await until(lambda: not ib.isConnected(), "the cut")
        assert told.count(100) == 3


async def test_ib_asyncs_own_throttle_keeps_within_the_rate(server: TwsServer):
    async with connected(server.port, throttle=True) as ib:
        told: list[int] = []
        ib.errorEvent += lambda req_id, code, text, contract: told.append(code)
        times = await asyncio.gather(*(ib.reqMarketRuleAsync(26) for _ in range(120)))
        assert len(times) == 120 and told == []


async def test_a_client_that_asked_to_be_paced_is_slowed_and_never_refused(server: TwsServer):
    ib = IB()
    ib.client.MaxRequests = 0
    ib.client.setConnectOptions("+PACEAPI")
    await ib.connectAsync("127.0.0.1", server.port, clientId=3, timeout=20, raiseSyncErrors=True)
    told: list[int] = []
    ib.errorEvent += lambda req_id, code, text, contract: told.append(code)
    for _ in range(80):
        ib.client.reqIds(1)
    assert await ib.reqCurrentTimeAsync() == NOON
    assert told == []
    ib.disconnect()


async def test_a_venue_that_drops_its_clients_is_noticed_and_takes_them_back(server: TwsServer):
    async with connected(server.port) as ib:
        server.drop_clients()
        await until(lambda: not ib.isConnected(), "the drop")
    await until(lambda: server.idle_since is not None, "nobody there")
    async with connected(server.port) as again:
        assert again.positions() and server.idle_since is None
    assert server.log is not None and "71" in server.log


async def test_only_loopback_is_served(venue: SmallVenue):
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org", ""):
        with pytest.raises(ValueError, match="loopback only"):
            await serve_tws(venue, host=host)


async def test_a_taken_port_is_an_os_error(server: TwsServer, venue: SmallVenue):
    with pytest.raises(OSError):
        await serve_tws(venue, port=server.port)


async def _raw(port: int, *chunks: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for chunk in chunks:
        writer.write(chunk)
    async with asyncio.timeout(20):
        answer = await reader.read(200)
        while answer and len(chunks) > 2 and (more := await reader.read(4096)):
            answer += more
    writer.close()
    return answer


@pytest.mark.parametrize(
    "hello",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"API\0\0\0\0\x09v100..156",
        b"API\0\xff\xff\xff\xff",
        b"API\0\0\0\0\x05hello",
    ],
)
async def test_what_is_no_client_is_closed_without_a_word(server: TwsServer, hello: bytes):
    assert await _raw(server.port, hello) == b""
    assert server.connected == 0


async def test_a_client_that_does_not_start_its_session_gets_nothing(server: TwsServer):
    hello = b"API\0" + b"\0\0\0\x09v157..178"
    answer = await _raw(server.port, hello, encode_frame([61, 1]))
    assert answer.split(b"\0")[0].endswith(b"178") or b"178" in answer
    broken = await _raw(server.port, hello, encode_frame([71, 2, 9, ""]), b"\xff\xff\xff\xff")
    assert ACCOUNT.encode() in broken  # served, then closed at the impossible length
    await until(lambda: server.connected == 0, "closed")


async def test_orders_of_another_face_are_listed_too(server: TwsServer, venue: SmallVenue):
    """An order no TWS client stated has no wire fields to echo: the ticket's are told."""
    ticket = Ticket(ACCOUNT, Action.BUY, 3, "LMT", "GTC", con_id=option_id(6000.0, "C"), limit=1.0, order_ref="portal")
    venue.exchange.place(99, 4, ticket)
    async with connected(server.port) as ib:
        (trade,) = await ib.reqAllOpenOrdersAsync()
        assert (trade.order.orderRef, trade.order.lmtPrice, trade.order.tif) == ("portal", 1.0, "GTC")
        assert trade.contract.conId == option_id(6000.0, "C") and trade.orderStatus.status == OrderStatus.SUBMITTED
        assert await ib.reqOpenOrdersAsync() == []


WORDS = ["", "0", "1", "-1", "3", "x", "SPX", "OPT", "BAG", "20261218", "20269999", "C", "SMART", "1e400", "nan",
         "6000", "1 D", "TRADES", "LMT", "2147483647", "–", "99999999999999999999"]  # fmt: skip


def _healthy_frames(ib: IB) -> list[list[str]]:
    """One good message of every kind, as ib_async words it."""
    said: list[str] = []
    send, ib.client.sendMsg = ib.client.sendMsg, said.append  # type: ignore[method-assign]
    c, spx = ib.client, Option("SPX", "20261218", 6000.0, "C", "SMART")
    legs = [ComboLeg(option_id(strike, "C"), 1, side, "SMART") for strike, side in ((6000.0, "BUY"), (6050.0, "SELL"))]
    bag = Contract(symbol="SPX", secType="BAG", exchange="SMART", comboLegs=legs)
    for contract in (spx, bag):
        c.reqMktData(600, contract, "101", False, False, [])
        c.reqHistoricalData(601, contract, "", "1 D", "1 min", "TRADES", True, 1, False, [])
        c.placeOrder(700, contract, LimitOrder("BUY", 1, 1.0, tif="DAY"))
        c.placeOrder(701, contract, LimitOrder("BUY", 1, 1.0, tif="DAY", whatIf=True))
    c.reqContractDetails(602, spx)
    c.reqHeadTimeStamp(603, spx, "TRADES", True, 1)
    c.reqSecDefOptParams(604, "SPX", "", "IND", SPX)
    c.reqExecutions(605, ExecutionFilter())
    c.reqAccountSummary(606, "All", "NetLiquidation")
    c.reqAccountUpdatesMulti(607, ACCOUNT, "", False)
    c.reqPositionsMulti(608, ACCOUNT, "")
    c.reqPnLSingle(609, ACCOUNT, "", SPY)
    c.reqPnL(610, ACCOUNT, "")
    for call in (c.cancelMktData, c.cancelHistoricalData, c.cancelOrder, c.cancelPnL, c.reqMarketRule, c.reqIds):
        call(600)
    for simple in (c.reqOpenOrders, c.reqAllOpenOrders, c.reqPositions, c.reqGlobalCancel, c.cancelPositions):
        simple()
    c.reqCompletedOrders(False)
    c.reqMarketDataType(3)
    ib.client.sendMsg = send  # type: ignore[method-assign]
    return [message.split("\0")[:-1] for message in said]


@pytest.mark.parametrize("newest", [157, 178])
async def test_no_gibberish_takes_the_venue_down(venue: SmallVenue, newest: int):
    """Whatever a client sends, it is answered or refused, and the next client is served."""
    server = await serve_tws(venue, rules=Rules(messages_a_second=1_000_000, tick_seconds=0.01))
    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
    random = Random(newest)
    async with connected(server.port, newest=newest) as ib:
        frames = _healthy_frames(ib)
        for n in range(4000):
            fields = list(random.choice(frames))
            for _ in range(random.choice([0, 1, 1, 2, 5])):
                fields[random.randrange(1, len(fields))] = random.choice(WORDS)
            if random.random() < 0.2:
                fields = fields[: random.randrange(1, len(fields) + 1)]
            ib.client.send(*fields)
            if n % 200 == 199:
                assert await ib.reqCurrentTimeAsync() == NOON
    async with connected(server.port, 8) as again:
        assert again.isConnected()
    await server.close()
    assert failures == []
