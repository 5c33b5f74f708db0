"""IBKR's own client (ibapi 9.81, version 157, blocking, on threads) works against the venue just as well."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from ibapi.contract import ComboLeg, Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order

from adapters.simulator.tws_limits import Rules
from adapters.simulator.tws_server import TwsServer, serve_tws
from tests.small_venue import ACCOUNT, SPX, SPY, SmallVenue, option_id
from tests.tws_clients import OfficialClient, no_decoder_errors

CALL, LOWER = option_id(6000.0, "C"), option_id(5900.0, "C")


def option() -> Contract:
    contract = Contract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = "SPX", "OPT", "SMART", "USD"
    contract.lastTradeDateOrContractMonth, contract.strike, contract.right = "20261218", 6000.0, "C"
    contract.tradingClass = "SPXW"
    return contract


def spread() -> Contract:
    contract = Contract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = "SPX", "BAG", "SMART", "USD"
    contract.comboLegs = []
    for con_id, action in ((LOWER, "BUY"), (CALL, "SELL")):
        leg = ComboLeg()
        leg.conId, leg.ratio, leg.action, leg.exchange = con_id, 1, action, "SMART"
        contract.comboLegs.append(leg)
    return contract


def limit(price: float, quantity: float = 1, **more: Any) -> Order:
    order = Order()
    order.action, order.orderType, order.totalQuantity, order.lmtPrice = "BUY", "LMT", quantity, price
    order.tif, order.orderRef = "DAY", "official"
    for name, value in more.items():
        setattr(order, name, value)
    return order


@pytest.fixture
def venue() -> SmallVenue:
    return SmallVenue()


@pytest.fixture
async def server(venue: SmallVenue) -> AsyncIterator[TwsServer]:
    opened = await serve_tws(venue, rules=Rules(tick_seconds=0.02, account_seconds=0.05, pnl_seconds=0.05))
    with no_decoder_errors():
        yield opened
    await opened.close()


Talk = Callable[[Callable[[OfficialClient], None]], Any]


@pytest.fixture
def talk(server: TwsServer) -> Talk:
    """Run a blocking conversation on another thread while the venue serves on this one."""

    async def run(conversation: Callable[[OfficialClient], None]) -> None:
        def whole() -> None:
            client = OfficialClient()
            client.start(server.port, 21)
            try:
                client.wait("nextValidId")
                conversation(client)
            finally:
                client.stop()

        await asyncio.to_thread(whole)

    return run


async def test_it_reads_account_positions_and_money(talk: Talk):
    def conversation(client: OfficialClient) -> None:
        assert client.serverVersion() == 157
        assert client.wait("managedAccounts") == [(ACCOUNT,)]
        client.reqPositions()
        client.wait("positionEnd")
        assert {(c.conId, quantity, cost) for _, c, quantity, cost in client.heard["position"]} == {
            (SPY, 100.0, 500.0), (CALL, -2.0, 500.0),
        }  # fmt: skip
        client.reqAccountUpdates(True, ACCOUNT)
        client.wait("accountDownloadEnd")
        assert ("NetLiquidation", "1000000.00", "USD", ACCOUNT) in client.heard["updateAccountValue"]
        assert len(client.heard["updatePortfolio"]) == 2
        client.reqAccountSummary(3, "All", "NetLiquidation")
        client.wait("accountSummaryEnd")
        assert client.heard["accountSummary"] == [(3, ACCOUNT, "NetLiquidation", "1000000.00", "USD")]
        client.reqAccountUpdatesMulti(4, ACCOUNT, "", False)
        client.wait("accountUpdateMultiEnd")
        client.reqPositionsMulti(5, ACCOUNT, "")
        client.wait("positionMultiEnd")
        assert len(client.heard["positionMulti"]) == 2
        client.reqPnL(6, ACCOUNT, "")
        assert client.wait("pnl")[0] == (6, 123.45, 10.0, 0.0)
        client.reqPnLSingle(7, ACCOUNT, "", SPY)
        assert client.wait("pnlSingle")[0][:2] == (7, 100)
        client.reqCurrentTime()
        assert datetime.fromtimestamp(client.wait("currentTime")[0][0], UTC).year == 2026

    await talk(conversation)


async def test_it_reads_contracts_chains_and_rules(talk: Talk):
    def conversation(client: OfficialClient) -> None:
        client.reqContractDetails(1, option())
        client.wait("contractDetailsEnd")
        ((_, details),) = client.heard["contractDetails"]
        assert (details.contract.conId, details.underConId, details.lastTradeTime) == (CALL, SPX, "16:00:00")
        assert (details.contract.lastTradeDateOrContractMonth, details.marketRuleIds) == ("20261218", "110,110")
        unknown = option()
        unknown.symbol = "NOPE"
        client.reqContractDetails(2, unknown)
        client.wait("error", 4)
        assert client.heard["error"][-1][:2] == (2, 200)
        client.reqSecDefOptParams(3, "SPX", "", "IND", SPX)
        client.wait("securityDefinitionOptionParameterEnd")
        exchange, under, cls, _, expiries, strikes = client.heard["securityDefinitionOptionParameter"][0][1:]
        assert (exchange, under, cls, len(expiries), 6000.0 in strikes) == ("SMART", SPX, "SPXW", 2, True)
        client.reqMarketRule(110)
        assert len(client.wait("marketRule")[0][1]) == 2
        client.reqFamilyCodes()
        client.wait("error", 5)
        assert client.heard["error"][-1][1] == 322

    await talk(conversation)


async def test_it_reads_quotes_greeks_and_history(talk: Talk):
    def conversation(client: OfficialClient) -> None:
        client.reqMktData(1, option(), "101", False, False, [])
        client.wait("tickOptionComputation", 3)
        assert client.heard["tickOptionComputation"][-1] == (1, 13, 0, 0.18, 0.5, 60.0, 0.0, 0.0012, 6.5, -1.9, 6000.0)
        prices = {kind: price for _, kind, price, _ in client.heard["tickPrice"]}
        assert (prices[1], prices[2]) == (59.8, 60.2)
        assert (1, 27, 4321) in client.heard["tickSize"]
        client.cancelMktData(1)
        client.reqMarketDataType(3)
        client.reqMktData(2, spread(), "", True, False, [])
        client.wait("tickSnapshotEnd")
        delayed = {kind: price for req_id, kind, price, _ in client.heard["tickPrice"] if req_id == 2}
        assert (delayed[66], delayed[67]) == (79.8, 80.2)
        spy = Contract()
        spy.conId, spy.exchange = SPY, "SMART"
        client.reqHistoricalData(3, spy, "", "1 D", "1 min", "TRADES", 1, 1, True, [])
        client.wait("historicalDataEnd")
        assert len(client.heard["historicalData"]) == 5 and client.heard["historicalData"][0][1].volume == 1000
        client.reqHeadTimeStamp(4, spy, "TRADES", 1, 1)
        client.wait("headTimestamp")

    await talk(conversation)


async def test_it_places_an_order_and_hears_of_its_fill(talk: Talk, venue: SmallVenue):
    def conversation(client: OfficialClient) -> None:
        ((order_id,),) = client.wait("nextValidId")
        client.placeOrder(order_id, option(), limit(61.0, 2))
        client.wait("commissionReport")
        (_, contract, execution) = client.heard["execDetails"][0]
        assert (contract.conId, execution.shares, execution.price, execution.side) == (CALL, 2.0, 60.2, "BOT")
        assert (execution.orderRef, execution.orderId, execution.clientId) == ("official", order_id, 21)
        status = client.heard["orderStatus"][-1]
        assert (status[1], status[2], status[3], status[4]) == ("Filled", 2.0, 0.0, 60.2)
        client.placeOrder(order_id + 1, spread(), limit(81.0, 1))
        client.wait("commissionReport", 4)
        assert [e.side for _, c, e in client.heard["execDetails"][1:]] == ["BOT", "BOT", "SLD"]
        client.reqExecutions(9, ExecutionFilter())
        client.wait("execDetailsEnd")
        assert len([1 for req_id, *_ in client.heard["execDetails"] if req_id == 9]) == 4
        client.reqCompletedOrders(True)
        client.wait("completedOrdersEnd")
        assert [state.status for _, _, state in client.heard["completedOrder"]] == ["Filled", "Filled"]

    await talk(conversation)
    assert len(venue.exchange.orders()) == 2


async def test_it_previews_changes_lists_and_cancels(talk: Talk):
    def conversation(client: OfficialClient) -> None:
        ((order_id,),) = client.wait("nextValidId")
        client.placeOrder(order_id, option(), limit(61.0, whatIf=True))
        (_, _, order, state) = client.wait("openOrder")[0]
        assert (order.whatIf, state.initMarginChange, state.commission) == (True, "2000.00", 0.65)
        client.placeOrder(order_id + 1, option(), limit(1.0))
        client.wait("orderStatus")
        client.placeOrder(order_id + 1, option(), limit(2.0))
        client.wait("orderStatus", 2)
        assert client.heard["openOrder"][-1][2].lmtPrice == 2.0
        client.reqOpenOrders()
        client.wait("openOrderEnd")
        client.reqAllOpenOrders()
        client.wait("openOrderEnd", 2)
        client.cancelOrder(order_id + 1)
        client.wait("orderStatus", 5)
        assert client.heard["orderStatus"][-1][1] == "Cancelled"
        assert (order_id + 1, 202) in {(req_id, code) for req_id, code, _ in client.heard["error"]}
        client.reqGlobalCancel()
        client.reqIds(1)
        client.wait("nextValidId", 2)
        assert client.heard["nextValidId"][-1] == (order_id + 2,)

    await talk(conversation)


async def test_a_second_one_with_the_same_id_hears_326(talk: Talk, server: TwsServer):
    def conversation(client: OfficialClient) -> None:
        other = OfficialClient()
        other.start(server.port, 21)
        other.wait("error")
        assert other.heard["error"][0][1] == 326
        other.stop()

    await talk(conversation)
