"""ib_async against the venue's TWS face: account, contracts, what-ifs, quotes, orders, and a lost session."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from adapters.base import (
    Answer,
    Broker,
    BrokerRefused,
    MarginImpact,
    MarketData,
    NewOrder,
    NotConnected,
    Notice,
    Notifier,
    OrderUpdate,
    SessionState,
    Tick,
    UnknownOutcome,
    WireStatus,
)
from adapters.ibkr_adapter import IbkrBroker, Road
from adapters.ibkr_market import IbkrMarketData
from adapters.notifier import NO_URLS, NotificationDispatcher
from adapters.simulator.tws_limits import Rules
from adapters.simulator.tws_server import TwsServer, serve_tws
from adapters.simulator.types import FillStyle
from adapters.simulator.venue import Venue, VenueConfig, open_venue
from models.quant.option import Contract, SecType
from models.quant.structure import Action, Leg

MORNING = datetime(2026, 11, 18, 16, 0, tzinfo=UTC)


@pytest.fixture
async def wired() -> AsyncIterator[tuple[Venue, TwsServer]]:
    venue = open_venue(VenueConfig(seed=7, speed=0.0), MORNING)
    server = await serve_tws(venue)
    running = asyncio.create_task(venue.run())
    yield venue, server
    await server.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def broker(wired: tuple[Venue, TwsServer]) -> AsyncIterator[IbkrBroker]:
    made = IbkrBroker(road(wired[1]))
    await made.connect()
    yield made
    await made.close()


def road(server: TwsServer, client_id: int = 11, submit_deadline: float = 1.0) -> Road:
    return Road("127.0.0.1", server.port, client_id, client_id + 2, clock_rate=0.0, follows_broker_clock=True,
                submit_deadline=submit_deadline, what_if_deadline=3.0)  # fmt: skip


def held(venue: Venue) -> list[tuple[int, Contract]]:
    found = [(p.con_id, venue.market.instrument(p.con_id)) for p in venue.account.positions()]
    return [(con_id, item.contract) for con_id, item in found if item is not None]


def single(venue: Venue, ref: str, limit: float) -> NewOrder:
    con_id, contract = held(venue)[0]
    return NewOrder(ref, venue.account_id, (Leg(contract, Action.BUY, 1, con_id),), Action.BUY, 1, "LMT", limit, "DAY")


async def test_the_account_and_its_positions_are_the_venues(wired: tuple[Venue, TwsServer], broker: IbkrBroker) -> None:
    venue = wired[0]
    assert isinstance(broker, Broker)
    assert (await broker.accounts()).data == (venue.account_id,)
    values = (await broker.account_values(venue.account_id)).data
    truth = venue.account.margin()
    assert values is not None
    assert values.net_liquidation == pytest.approx(truth.net_liquidation, abs=1)
    assert values.maintenance_margin == pytest.approx(truth.maintenance_margin, abs=1)
    assert values.available_funds == pytest.approx(truth.available_funds, abs=1)
    positions = (await broker.positions(venue.account_id)).data or ()
    assert {(p.contract, p.quantity) for p in positions} == {
        (contract, next(q.quantity for q in venue.account.positions() if q.con_id == con_id))
        for con_id, contract in held(venue)
    }


async def test_every_held_contract_is_found_again_by_its_identity(
    wired: tuple[Venue, TwsServer], broker: IbkrBroker
) -> None:
    contracts = dict((contract, con_id) for con_id, contract in held(wired[0]))
    assert (await broker.qualify(list(contracts))).data == contracts
    nobody = Contract("NOBODY", SecType.STOCK, "NOBODY")
    answer = await broker.qualify([nobody])
    assert not answer.failed
    assert answer.data == {}


async def test_what_ifs_answer_one_at_a_time_and_a_wrong_con_id_fails(
    wired: tuple[Venue, TwsServer], broker: IbkrBroker
) -> None:
    venue = wired[0]
    (one, bought), (two, sold) = held(venue)[0], held(venue)[1]
    legs = (Leg(bought, Action.BUY, 1, one), Leg(sold, Action.SELL, 1, two))
    answers = await asyncio.gather(*(broker.simulate_margin_impact(venue.account_id, legs, n) for n in (1, 2, 3)))
    assert all(answer.data is not None and answer.data.init_margin_change is not None for answer in answers), answers
    wrong = await broker.simulate_margin_impact(venue.account_id, (Leg(bought, Action.BUY, 1, 42),), 1)
    assert "conId" in (wrong.failure or "")


async def test_an_order_is_acknowledged_replaced_and_cancelled(
    wired: tuple[Venue, TwsServer], broker: IbkrBroker
) -> None:
    venue = wired[0]
    updates = broker.updates()
    placed = await broker.submit(single(venue, "ref-1", 1.0))
    assert placed.status is WireStatus.WORKING
    assert [order.order_ref for order in (await broker.open_orders()).data or ()] == ["ref-1"]
    assert (await broker.replace("ref-1", 1.1)).limit_price == 1.1
    await broker.cancel("ref-1")
    async with asyncio.timeout(5):
        async for update in updates:
            if update.order is not None and update.order.status is WireStatus.CANCELLED:
                break
    with pytest.raises(BrokerRefused):
        await broker.cancel("ref-1")
    assert [order.status for order in (await broker.completed_orders()).data or ()] == [WireStatus.CANCELLED]


async def test_a_price_off_the_tick_is_refused_in_the_brokers_words(
    wired: tuple[Venue, TwsServer], broker: IbkrBroker
) -> None:
    with pytest.raises(BrokerRefused, match="110"):
        await broker.submit(single(wired[0], "ref-2", 41.03))


async def test_a_fill_comes_with_its_commission_and_again_in_the_list(
    wired: tuple[Venue, TwsServer], broker: IbkrBroker
) -> None:
    venue = wired[0]
    updates = broker.updates()
    quote = venue.market.quote(held(venue)[0][0])
    assert quote is not None
    assert quote.ask is not None
    await broker.submit(single(venue, "ref-3", quote.ask))
    heard: list[OrderUpdate] = []
    async with asyncio.timeout(10):
        async for update in updates:
            heard.append(update)
            if update.fill is not None and update.fill.commission is not None:
                break
    listed = (await broker.executions()).data or ()
    assert [fill.exec_id for fill in listed] == [heard[-1].fill.exec_id]  # type: ignore[union-attr]
    assert listed[0].order_ref == "ref-3"
    assert listed[0].commission == heard[-1].fill.commission  # type: ignore[union-attr]


async def test_a_lost_session_ends_the_updates_and_fails_queries_instead_of_emptying_them(
    wired: tuple[Venue, TwsServer], broker: IbkrBroker
) -> None:
    venue = wired[0]
    updates = broker.updates()
    venue.exchange.set_fill_style(FillStyle.DROP_AFTER_ACK)
    with pytest.raises(UnknownOutcome, match="lost before an answer"):
        await broker.submit(single(venue, "ref-4", 1.0))
    async with asyncio.timeout(5):
        assert all(update.fill is None for update in [update async for update in updates])
    assert broker.state is not SessionState.READY
    for answer in (await broker.open_orders(), await broker.positions(venue.account_id), await broker.executions()):
        assert answer.failed
    with pytest.raises(NotConnected):
        await broker.submit(single(venue, "ref-5", 1.0))
    await broker.connect()
    assert [order.order_ref for order in (await broker.open_orders()).data or ()] == ["ref-4"]


async def test_nobody_there_is_told_with_the_remedy() -> None:
    with pytest.raises(NotConnected, match="is TWS, the gateway or the venue running"):
        await IbkrBroker(Road("127.0.0.1", 1, 11, 13, connect_deadline=1.0)).connect()


async def test_a_client_id_in_use_is_named(wired: tuple[Venue, TwsServer], broker: IbkrBroker) -> None:
    second = IbkrBroker(Road("127.0.0.1", wired[1].port, 11, 15, connect_deadline=1.0))
    with pytest.raises(NotConnected, match="326"):
        await second.connect()
    assert broker.state is SessionState.READY


async def test_wrong_accounts_are_refused_at_the_door(wired: tuple[Venue, TwsServer]) -> None:
    refusing = IbkrBroker(road(wired[1]), lambda accounts: "wrong account: not these")
    with pytest.raises(NotConnected, match="wrong account"):
        await refusing.connect()


async def test_quotes_chains_futures_and_bars(wired: tuple[Venue, TwsServer]) -> None:
    venue, server = wired
    data = IbkrMarketData(road(server), 12)
    assert isinstance(data, MarketData)
    await data.connect()
    try:
        contracts = [contract for _, contract in held(venue)[:3]]
        assert (await data.subscribe(contracts)).data == tuple(contracts)
        seen: dict[str, float | None] = {}
        for _ in range(100):
            seen |= {tick.contract.identity: tick.bid for tick in data.ticks()}
            if len(seen) == 3:
                break
            await asyncio.sleep(0.05)
        truth = {c.identity: venue.market.quote(con_id).bid for con_id, c in held(venue)[:3]}  # type: ignore[union-attr]
        assert seen == truth
        assert (await data.subscribe(contracts[:1])).data == tuple(contracts[:1])
        looked = (await data.snapshot(contracts[:2])).data or ()
        assert {tick.contract for tick in looked} == set(contracts[:2])
        classes = {listing.trading_class: listing for listing in (await data.chain("SPX")).data or ()}
        assert {"SPX", "SPXW"} <= set(classes)
        for contract in contracts:
            assert str(contract.expiry) in classes[contract.trading_class].expirations
        futures = (await data.futures("ES")).data or ()
        assert futures
        assert list(futures) == sorted(futures, key=lambda c: c.expiry)  # type: ignore[arg-type, return-value]
        bars = (await data.bars(Contract("SPX", SecType.INDEX, "SPX"), "30 D", "1 day")).data or ()
        assert len(bars) >= 10
    finally:
        await data.close()


async def test_open_interest_comes_with_an_options_quote_and_dividends_with_a_shares(
    wired: tuple[Venue, TwsServer],
) -> None:
    venue, server = wired
    data = IbkrMarketData(road(server), 12)
    await data.connect()
    try:
        assert data.lines == 100
        con_id, option = next((c, x) for c, x in held(venue) if x.is_option)
        spy, index = Contract("SPY", SecType.STOCK, "SPY"), Contract("SPX", SecType.INDEX, "SPX")
        assert data.dividends(spy) is None
        assert (await data.subscribe([option, spy, index])).data == (option, spy, index)
        seen: dict[Contract, Tick] = {}
        async with asyncio.timeout(5):
            while data.dividends(spy) is None or seen.get(option) is None or seen[option].open_interest is None:
                seen |= {tick.contract: tick for tick in data.ticks()}
                await asyncio.sleep(0.05)
        assert seen[option].open_interest == venue.market.quote(con_id).open_interest  # type: ignore[union-attr]
        told = data.dividends(spy)
        assert told is not None and told.next_amount is not None and told.next_year is not None
        assert told.next_ex == date(2026, 12, 18), "the third Friday of December"
        assert 1.0 < told.next_amount < 3.0 and told.next_year == pytest.approx(4 * told.next_amount, abs=0.01)
        assert data.dividends(option) is None and data.dividends(index) is None
    finally:
        await data.close()


async def test_five_what_ifs_end_in_time_though_one_is_never_answered_and_one_is_half_empty() -> None:
    """Each answer takes two and a half seconds of the venue, one after the other, as IBKR gives them."""
    venue = open_venue(VenueConfig(seed=7, speed=0.0), MORNING)
    rules = Rules(what_if_seconds=2.5, what_ifs_lost=frozenset({3}), what_ifs_unset=frozenset({2}))
    server = await serve_tws(venue, rules=rules)
    running = asyncio.create_task(venue.run())
    broker = IbkrBroker(replace(road(server), what_if_deadline=10.0))
    await broker.connect()
    try:
        con_id, contract = held(venue)[0]
        legs, loop = (Leg(contract, Action.BUY, 1, con_id),), asyncio.get_running_loop()
        began = loop.time()

        async def ask(quantity: int) -> tuple[Answer[MarginImpact], float]:
            answer = await broker.simulate_margin_impact(venue.account_id, legs, quantity)
            return answer, loop.time() - began

        asked = asyncio.gather(*(ask(n) for n in (1, 2, 3, 4, 5)))
        placed = await broker.submit(single(venue, "ref-first", 1.0))
        assert placed.status is WireStatus.WORKING and not asked.done(), "an order waits for no preview"
        answers = [answer for answer, _ in await asked]
        ended = [after for _, after in await asked]
        assert max(ended) <= 15.0, ended
        silent = [answer for answer in answers if answer.failed]
        assert len(silent) == 1 and "no answer within 10 s" in (silent[0].failure or "")
        given = [answer.data for answer in answers if answer.data is not None]
        unset = [impact for impact in given if impact.equity_change is None]
        assert len(given) == 4 and len(unset) == 1
        assert unset[0].init_margin_change is not None and unset[0].capital_impact is None
        assert unset[0].maint_margin_change is None and unset[0].commission is None
        assert all(impact.capital_impact is not None for impact in given if impact is not unset[0])
    finally:
        await broker.close()
        await server.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_notice_without_channels_answers_failed() -> None:
    dispatcher = NotificationDispatcher(())
    assert isinstance(dispatcher, Notifier)
    assert (await dispatcher.send_alert(Notice("red", "title", "body"))).failure == NO_URLS
