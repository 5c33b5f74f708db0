"""The TWS face over the whole venue: its own market, exchange and account, with both clients at once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from ib_async import IB, ComboLeg, Contract, Index, LimitOrder, Option, Stock
from ibapi.contract import Contract as OfficialContract
from ibapi.order import Order as OfficialOrder

from adapters.simulator.tws_server import TwsServer, serve_tws
from adapters.simulator.types import FillStyle
from adapters.simulator.venue import Venue, VenueConfig, open_venue
from tests.tws_clients import OfficialClient, connected, no_decoder_errors, until

FRIDAY_NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    """A venue that stands still, in the middle of a session."""
    opened = open_venue(VenueConfig(seed=11, speed=0, state=tmp_path / "venue.json"), FRIDAY_NOON)
    running = asyncio.create_task(opened.run())
    yield opened
    opened.stop_requested = True
    await running


@pytest.fixture
async def server(venue: Venue) -> AsyncIterator[TwsServer]:
    opened = await serve_tws(venue)
    with no_decoder_errors():
        yield opened
    await opened.close()


async def near_puts(ib: IB, count: int) -> list[Contract]:
    """The SPXW puts of the expiry nearest to thirty days, nearest to the money first."""
    spx = Index("SPX", "CBOE", "USD")
    await ib.qualifyContractsAsync(spx)
    (ticker,) = await ib.reqTickersAsync(spx)
    chains = await ib.reqSecDefOptParamsAsync("SPX", "", "IND", spx.conId)
    listed = next(chain for chain in chains if chain.tradingClass == "SPXW" and chain.exchange == "SMART")
    day = min(listed.expirations, key=lambda text: abs((date.fromisoformat(text) - date(2026, 12, 20)).days))
    details = await ib.reqContractDetailsAsync(Option("SPX", day, right="P", exchange="SMART", tradingClass="SPXW"))
    found = sorted((d.contract for d in details), key=lambda c: abs(c.strike - ticker.last))
    assert found and all(c.conId for c in found)
    return found[:count]


async def test_the_desks_whole_conversation_runs_over_the_socket(server: TwsServer, venue: Venue):
    async with connected(server.port) as ib:
        assert ib.positions() and ib.portfolio()
        short, *_, long = sorted(await near_puts(ib, 5), key=lambda put: put.strike)
        bag = Contract(symbol="SPX", secType="BAG", exchange="SMART", currency="USD", comboLegs=[
            ComboLeg(long.conId, 1, "BUY", "SMART"), ComboLeg(short.conId, 1, "SELL", "SMART")])  # fmt: skip
        quoted = ib.reqMktData(bag)
        single = ib.reqMktData(long)
        await until(lambda: quoted.ask > 0 and single.modelGreeks, "quotes of combo and leg")
        assert single.modelGreeks is not None and -1 < single.modelGreeks.delta < 0
        order = LimitOrder("BUY", 2, quoted.ask, tif="DAY", orderRef="whole")
        preview = await asyncio.wait_for(ib.whatIfOrderAsync(bag, order), 20)
        assert float(preview.initMarginAfter) >= 0 and preview.commission == pytest.approx(2.6)
        trade = ib.placeOrder(bag, order)
        await until(lambda: trade.isDone() and len(trade.fills) == 3, "the combo's three executions")
        await until(
            lambda: sum(f.commissionReport.commission for f in trade.fills) == pytest.approx(2.6), "commissions"
        )
        assert trade.orderStatus.avgFillPrice == quoted.ask
        legs = [f.execution for f in trade.fills[1:]]
        assert legs[0].price - legs[1].price == pytest.approx(quoted.ask)
        await until(lambda: {p.contract.conId: p.position for p in ib.positions()}.get(long.conId), "the position")
    ours = [o for o in venue.exchange.orders() if o.ticket.order_ref == "whole"]
    assert len(ours) == 1 and ours[0].status == "Filled"


async def test_both_clients_see_one_account_and_each_its_own_orders(server: TwsServer, venue: Venue):
    async with connected(server.port) as ib:
        (put,) = await near_puts(ib, 1)
        mine = ib.placeOrder(put, LimitOrder("BUY", 1, 0.05, tif="GTC", orderRef="mine"))
        await until(lambda: mine.orderStatus.status == "Submitted", "my resting order")

        def official() -> None:
            client = OfficialClient()
            client.start(server.port, 21)
            try:
                ((order_id,),) = client.wait("nextValidId")
                client.reqPositions()
                client.wait("positionEnd")
                contract = OfficialContract()
                contract.conId, contract.exchange = put.conId, "SMART"
                client.reqMktData(1, contract, "", True, False, [])
                client.wait("tickSnapshotEnd")
                order = OfficialOrder()
                order.action, order.orderType, order.totalQuantity, order.tif = "BUY", "MKT", 1, "DAY"
                order.orderRef = "theirs"
                client.placeOrder(order_id, contract, order)
                client.wait("commissionReport")
                assert client.heard["orderStatus"][-1][1] == "Filled"
                client.reqAllOpenOrders()
                client.wait("openOrderEnd")
                assert "mine" in [order.orderRef for _, _, order, _ in client.heard["openOrder"]]
            finally:
                client.stop()

        await asyncio.to_thread(official)
        await until(lambda: {p.contract.conId: p.position for p in ib.positions()}.get(put.conId) == 1.0, "their fill")
        assert [t.order.orderRef for t in ib.trades()] == ["mine"]
        ib.cancelOrder(mine.order)
        await until(mine.isDone, "the cancel")


async def test_an_order_keeps_its_name_through_a_restart_of_the_venue(tmp_path: Path):
    config = VenueConfig(seed=11, speed=0, state=tmp_path / "venue.json")
    with no_decoder_errors():
        first = open_venue(config, FRIDAY_NOON)
        server = await serve_tws(first)
        async with connected(server.port) as ib:
            spy = Stock("SPY", "SMART", "USD")
            await ib.qualifyContractsAsync(spy)
            trade = ib.placeOrder(spy, LimitOrder("BUY", 3, 1.0, tif="GTC", orderRef="survivor"))
            await until(lambda: trade.orderStatus.permId, "the acknowledgement")
        await server.close()
        first.save()
        server = await serve_tws(open_venue(config, FRIDAY_NOON))
        async with connected(server.port) as again:
            (found,) = await again.reqOpenOrdersAsync()
            assert (found.order.orderRef, found.order.permId) == ("survivor", trade.order.permId)
            assert (found.contract.symbol, found.order.lmtPrice, found.order.tif) == ("SPY", 1.0, "GTC")
        await server.close()


@pytest.mark.parametrize("style", [FillStyle.DROP_AFTER_ACK, FillStyle.ANSWER_TWICE, FillStyle.ANSWER_LATE])
async def test_an_astray_answer_never_makes_two_orders(server: TwsServer, venue: Venue, style: FillStyle):
    async with connected(server.port) as ib:
        (put,) = await near_puts(ib, 1)
        venue.exchange.set_fill_style(style, "astray", delay=0.1)
        (ticker,) = await ib.reqTickersAsync(put)
        ib.placeOrder(put, LimitOrder("BUY", 1, ticker.ask, tif="DAY", orderRef="astray"))
        await until(lambda: any(f.order_ref == "astray" for f in venue.exchange.fills()), "the fill at the venue")
    async with connected(server.port, 8) as other:
        assert [f.execution.orderRef for f in other.fills()].count("astray") == 1
        assert [t.order.orderRef for t in await other.reqCompletedOrdersAsync(False)] == ["astray"]


async def test_the_recorded_moment_is_the_clients_present(server: TwsServer, venue: Venue):
    async with connected(server.port) as ib:
        assert await ib.reqCurrentTimeAsync() == venue.clock.now().replace(microsecond=0)
