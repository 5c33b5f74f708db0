"""Orders over the wire: fills, combos, partial fills, rejects, what-ifs, changes, cancels, answers gone astray."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from ib_async import IB, ComboLeg, Contract, ExecutionFilter, LimitOrder, MarketOrder, Option, Order, TagValue

from adapters.simulator.tws_limits import Rules
from adapters.simulator.tws_server import TwsServer, serve_tws
from adapters.simulator.types import FillStyle
from tests.small_venue import ACCOUNT, SmallVenue, option_id
from tests.tws_clients import connected, no_decoder_errors, until

CALL, LOWER = option_id(6000.0, "C"), option_id(5900.0, "C")
QUICK = Rules(tick_seconds=0.02)


def call() -> Option:
    return Option("SPX", "20261218", 6000.0, "C", "SMART", "100", "USD")


def spread() -> Contract:
    legs = [ComboLeg(LOWER, 1, "BUY", "SMART"), ComboLeg(CALL, 2, "SELL", "SMART")]
    return Contract(symbol="SPX", secType="BAG", exchange="SMART", currency="USD", comboLegs=legs)


def buy(price: float, quantity: float = 1, ref: str = "ref-1", **more: object) -> Order:
    return LimitOrder("BUY", quantity, price, tif="DAY", orderRef=ref, **more)


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


@pytest.mark.parametrize("newest", [157, 163, 170, 178])
async def test_an_option_order_fills_at_every_version(server: TwsServer, newest: int):
    async with connected(server.port, newest=newest) as ib:
        trade = ib.placeOrder(call(), buy(61.0, 2))
        await until(trade.isDone, "the fill")
        await until(lambda: trade.fills[0].commissionReport.commission, "the commission")
        (fill,) = trade.fills
        assert trade.orderStatus.status == "Filled" and trade.orderStatus.avgFillPrice == 60.2
        assert (fill.execution.side, fill.execution.shares, fill.execution.price) == ("BOT", 2.0, 60.2)
        assert (fill.execution.orderRef, fill.execution.acctNumber) == ("ref-1", ACCOUNT)
        assert fill.commissionReport.commission == pytest.approx(1.3)
        assert [entry.status for entry in trade.log if entry.status][:2] == ["PendingSubmit", "Submitted"]
        await until(lambda: [p.position for p in ib.positions() if p.contract.conId == CALL] == [], "the short closed")


async def test_a_market_order_fills_at_the_touch(ib: IB):
    trade = ib.placeOrder(call(), MarketOrder("SELL", 1, tif="DAY"))
    await until(trade.isDone, "the fill")
    assert trade.orderStatus.avgFillPrice == 59.8


async def test_a_combo_fills_as_a_whole_and_leg_by_leg(ib: IB, venue: SmallVenue):
    order = buy(25.0, 2, "combo", algoStrategy="Adaptive", algoParams=[TagValue("adaptivePriority", "Normal")])
    order.smartComboRoutingParams = [TagValue("NonGuaranteed", "0")]
    trade = ib.placeOrder(spread(), order)
    await until(lambda: trade.isDone() and len(trade.fills) == 3, "three executions")
    told = [(f.contract.secType, f.contract.conId, f.execution.side, f.execution.shares) for f in trade.fills]
    assert told == [("BAG", 28812380, "BOT", 2.0), ("OPT", LOWER, "BOT", 2.0), ("OPT", CALL, "SLD", 4.0)]
    assert {f.execution.orderRef for f in trade.fills} == {"combo"}
    assert venue.account.held[CALL] == -6.0
    position = {p.contract.conId: p.position for p in ib.positions()}
    await until(lambda: {p.contract.conId: p.position for p in ib.positions()} != position or True, "positions")
    await until(lambda: {p.contract.conId: p.position for p in ib.positions()}.get(LOWER) == 2.0, "the long leg")


async def test_a_partial_fill_is_told_and_the_rest_follows(ib: IB, venue: SmallVenue):
    venue.exchange.fill_style = FillStyle.PARTIAL
    trade = ib.placeOrder(call(), buy(61.0, 4))
    await until(lambda: trade.filled() == 2.0, "the first half")
    assert (trade.orderStatus.status, trade.orderStatus.remaining) == ("Submitted", 2.0)
    venue.exchange.fill(venue.exchange.orders()[0], 2.0)
    await until(trade.isDone, "the rest")
    assert [f.execution.cumQty for f in trade.fills] == [2.0, 4.0]


async def test_an_order_rests_is_changed_is_listed_and_is_cancelled(ib: IB, server: TwsServer):
    trade = ib.placeOrder(call(), buy(1.0, 3))
    await until(lambda: trade.orderStatus.status == "Submitted", "the acknowledgement")
    trade.order.lmtPrice = 2.0
    assert ib.placeOrder(trade.contract, trade.order) is trade
    await until(lambda: any(entry.message == "Modified" for entry in trade.log), "the change acknowledged")
    (listed,) = await ib.reqOpenOrdersAsync()
    assert (listed.order.lmtPrice, listed.order.totalQuantity, listed.order.permId) == (2.0, 3.0, 900_000)
    async with connected(server.port, 8) as other:
        assert [t.order.orderRef for t in await other.reqAllOpenOrdersAsync()] == ["ref-1"]
        assert await other.reqOpenOrdersAsync() == []
    told: list[int] = []
    ib.errorEvent += lambda req_id, code, text, contract: told.append(code)
    ib.cancelOrder(trade.order)
    await until(trade.isDone, "the cancel")
    assert trade.orderStatus.status == "Cancelled" and told == [202]
    ib.client.cancelOrder(4711)
    await until(lambda: told[-1] == 10147, "nothing to cancel")


async def test_a_global_cancel_takes_every_clients_orders(ib: IB, server: TwsServer):
    mine = ib.placeOrder(call(), buy(1.0))
    async with connected(server.port, 8) as other:
        theirs = other.placeOrder(call(), buy(1.0))
        await until(lambda: mine.orderStatus.permId and theirs.orderStatus.permId, "both resting")
        other.reqGlobalCancel()
        await until(lambda: mine.isDone() and theirs.isDone(), "both cancelled")


@pytest.mark.parametrize(
    ("order", "contract", "code"),
    [
        (buy(1.01), call(), 110),
        (buy(1.0), Option("SPX", "20261218", 1.0, "C", "SMART"), 200),
        (LimitOrder("BUY", 1, 1.0, tif="FOK"), call(), 10052),
        (LimitOrder("BUY", 0, 1.0, tif="DAY"), call(), 434),
        (Order(action="BUY", totalQuantity=1, orderType="PEG MID", tif="DAY"), call(), 387),
        (LimitOrder("BUY", 1, 1.0, tif="DAY", account="U999"), call(), 321),
        (buy(1.0), Contract(symbol="SPX", secType="BAG", exchange="SMART"), 321),
        (buy(1.0), Contract(symbol="SPX", secType="BAG", exchange="SMART",
                            comboLegs=[ComboLeg(77, 1, "BUY", "SMART")]), 200),
        (buy(1.0, algoStrategy="Twap", algoParams=[]), call(), 387),
    ],
)  # fmt: skip
async def test_what_the_venue_will_not_take_is_refused_with_ibkrs_code(
    ib: IB, venue: SmallVenue, order, contract, code
):
    told: list[int] = []
    ib.errorEvent += lambda req_id, code, text, contract: told.append(code)
    ib.placeOrder(contract, order)
    await until(lambda: told, "the refusal")
    assert told == [code] and venue.exchange.orders() == []


async def test_a_reject_and_a_change_of_what_is_done_are_errors(ib: IB, venue: SmallVenue):
    venue.exchange.fill_style = FillStyle.REJECT
    trade = ib.placeOrder(call(), buy(61.0))
    await until(trade.isDone, "the reject")
    assert trade.orderStatus.status == "Cancelled"
    assert "Error 201" in trade.log[-1].message and "Order rejected - reason:no buying power" in trade.log[-1].message
    venue.exchange.fill_style = FillStyle.NORMAL
    done = ib.placeOrder(call(), buy(61.0))
    await until(done.isDone, "the fill")
    told: list[int] = []
    ib.errorEvent += lambda req_id, code, text, contract: told.append(code)
    ib.client.placeOrder(done.order.orderId, call(), buy(62.0))
    await until(lambda: told, "the refusal")
    assert told == [104]


async def test_trailing_fields_nobody_knows_are_an_error_and_no_order(ib: IB, venue: SmallVenue):
    told: list[tuple[int, int, str]] = []
    ib.errorEvent += lambda req_id, code, text, contract: told.append((req_id, code, text))
    send = ib.client.send
    ib.client.send = lambda *fields, **more: send(*fields, "tomorrow's field", **more)  # type: ignore[method-assign]
    ib.client.placeOrder(50, call(), buy(61.0))
    await until(lambda: told, "the refusal")
    assert told[0][:2] == (50, 320) and "1 unread fields" in told[0][2]
    assert venue.exchange.orders() == []


# ── what-if ──────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("newest", [157, 178])
async def test_a_what_if_tells_margin_before_change_and_after_and_places_nothing(
    server: TwsServer, venue: SmallVenue, newest: int
):
    async with connected(server.port, newest=newest) as ib:
        for contract in (call(), spread()):
            state = await asyncio.wait_for(ib.whatIfOrderAsync(contract, buy(61.0, 2)), 20)
            assert (state.initMarginBefore, state.initMarginChange, state.initMarginAfter) == (
                "100000.00", "4000.00", "104000.00",
            )  # fmt: skip
            assert (state.maintMarginChange, state.equityWithLoanAfter) == ("0.00", "900000.00")
            assert (state.commission, state.commissionCurrency) == (pytest.approx(1.3), "USD")
        assert venue.exchange.orders() == [] and await ib.reqOpenOrdersAsync() == []


async def test_what_ifs_take_turns_over_all_clients_and_too_many_are_refused(venue: SmallVenue):
    server = await serve_tws(venue, rules=Rules(what_if_seconds=0.02, what_ifs_waiting=4))
    order: list[str] = []
    ask = venue.account.what_if

    def watched(ticket):
        order.append(ticket.order_ref)
        return ask(ticket)

    venue.account.what_if = watched  # type: ignore[method-assign]
    with no_decoder_errors():
        async with connected(server.port) as ib, connected(server.port, 8) as other:
            told: list[int] = []
            ib.errorEvent += lambda req_id, code, text, contract: told.append(code)
            first = [ib.whatIfOrderAsync(call(), buy(61.0, ref=f"a{n}")) for n in range(3)]
            answers = await asyncio.wait_for(asyncio.gather(*first), 20)
            assert all(a.initMarginChange == "2000.00" for a in answers) and order == ["a0", "a1", "a2"]
            both = [client.whatIfOrderAsync(call(), buy(61.0)) for client in (ib, other)]
            await asyncio.wait_for(asyncio.gather(*both), 20)
            many = [ib.whatIfOrderAsync(call(), buy(61.0)) for _ in range(6)]
            results = await asyncio.wait_for(asyncio.gather(*many), 20)
            assert told == [322, 322] and sum(bool(r) for r in results) == 4
    await server.close()


# ── coming back ──────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("newest", [157, 163, 170, 178])
async def test_a_second_client_reads_fills_and_completed_orders(server: TwsServer, newest: int):
    async with connected(server.port) as ib:
        single, combo = ib.placeOrder(call(), buy(61.0, ref="one")), ib.placeOrder(spread(), buy(25.0, ref="two"))
        rest = ib.placeOrder(call(), buy(1.0, ref="three"))
        await until(lambda: single.isDone() and combo.isDone() and rest.orderStatus.permId, "two fills and a rest")
        ib.cancelOrder(rest.order)
        await until(rest.isDone, "the cancel")
    async with connected(server.port, 8, newest=newest) as again:
        assert len(again.fills()) == 4
        assert all(f.commissionReport.execId for f in again.fills())
        done = {t.order.orderRef: t for t in await again.reqCompletedOrdersAsync(False)}
        assert {ref: t.orderStatus.status for ref, t in done.items()} == {
            "one": "Filled", "two": "Filled", "three": "Cancelled",
        }  # fmt: skip
        assert [leg.ratio for leg in done["two"].contract.comboLegs] == [1, 2]
        assert done["one"].order.filledQuantity == 1.0 and done["one"].order.permId == single.order.permId
        legs = await again.reqExecutionsAsync(ExecutionFilter(symbol="SPX", secType="OPT", side="SELL"))
        assert [f.contract.conId for f in legs] == [CALL]
        assert await again.reqExecutionsAsync(ExecutionFilter(clientId=99)) == []
        assert await again.reqExecutionsAsync(ExecutionFilter(time="20261120 13:00:00 US/Eastern")) == []


async def test_order_ids_go_on_where_the_client_left(server: TwsServer):
    async with connected(server.port) as ib:
        trade = ib.placeOrder(call(), buy(61.0))
        await until(trade.isDone, "the fill")
        used = trade.order.orderId
    async with connected(server.port) as again:
        assert again.client.getReqId() > used


# ── answers that go astray ───────────────────────────────────────────────────────────────────────────────────────
async def test_a_drop_before_the_ack_leaves_no_order(ib: IB, venue: SmallVenue):
    venue.exchange.fill_style = FillStyle.DROP_BEFORE_ACK
    ib.placeOrder(call(), buy(61.0))
    await until(lambda: not ib.isConnected(), "the drop")
    assert venue.exchange.orders() == []


async def test_a_drop_after_the_ack_leaves_an_order_the_client_never_heard_of(
    ib: IB, venue: SmallVenue, server: TwsServer
):
    venue.exchange.fill_style = FillStyle.DROP_AFTER_ACK
    heard: list[str] = []
    trade = ib.placeOrder(call(), buy(1.0, ref="lost"))
    trade.statusEvent += lambda t: heard.append(t.orderStatus.status)
    await until(lambda: not ib.isConnected(), "the drop")
    assert heard == [] and [o.ticket.order_ref for o in venue.exchange.orders()] == ["lost"]
    venue.exchange.fill_style = FillStyle.NORMAL
    async with connected(server.port) as again:  # only the reference leads back to it
        (found,) = await again.reqOpenOrdersAsync()
        assert (found.order.orderRef, found.order.lmtPrice, found.orderStatus.status) == ("lost", 1.0, "Submitted")


async def test_an_answer_told_twice_counts_once(ib: IB, venue: SmallVenue):
    venue.exchange.fill_style = FillStyle.ANSWER_TWICE
    executions: list[str] = []
    ib.client.decoder.wrapper = ib.wrapper
    trade = ib.placeOrder(call(), buy(61.0))
    ib.execDetailsEvent += lambda t, fill: executions.append(fill.execution.execId)
    await until(trade.isDone, "the fill")
    assert await ib.reqCurrentTimeAsync()
    assert trade.filled() == 1.0 and len(set(executions)) == 1 and len(venue.exchange.orders()) == 1


async def test_an_answer_comes_late_and_still_comes(ib: IB, venue: SmallVenue):
    venue.exchange.fill_style = FillStyle.ANSWER_LATE
    trade = ib.placeOrder(call(), buy(61.0))
    await until(lambda: venue.exchange.orders(), "the order taken")
    assert trade.orderStatus.status == "PendingSubmit"
    await until(trade.isDone, "the late answer")
    assert trade.filled() == 1.0


async def test_a_missing_time_in_force_can_be_announced_as_ibkr_does(venue: SmallVenue):
    server = await serve_tws(venue, rules=Rules(announce_tif=True))
    with no_decoder_errors():
        async with connected(server.port) as ib:
            told: list[int] = []
            ib.errorEvent += lambda req_id, code, text, contract: told.append(code)
            ib.placeOrder(call(), LimitOrder("BUY", 1, 1.0))
            await until(lambda: told, "the announcement")
            assert told == [10349] and venue.exchange.orders()[0].ticket.tif == "DAY"
    await server.close()
