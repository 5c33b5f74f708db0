"""The streams against scripted market data and a real store: states, quotes, surface, lines, clock and recovery."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from adapters.base import CashDividends, NotConnected, SessionState
from agents import greeks_streamer, market_watch
from agents.desk import Desk
from agents.subscriptions import PROPOSAL
from bridge.outlook import Observatory
from models.book import BrokerPositionRow
from models.quant.option import Contract, Right, SecType
from models.quant.product import NEW_YORK
from models.quant.structure import contract_to_json
from models.quant.surface import Surface
from models.quant.surface_misses import within
from tests.agents.scripted_market import SPOT, OptionMarket, smile


async def hold(desk: Desk, contract: Contract, quantity: float = -2) -> None:
    now = datetime.now(UTC)
    row = BrokerPositionRow(
        account_id="SIM1", identity=contract.identity, contract_json=contract_to_json(contract), con_id=1,
        quantity=quantity, average_cost=100.0, at=now,
    )  # fmt: skip
    await desk.store.book.replace_broker_positions("SIM1", [row], now)


async def test_market_watch_writes_the_indices_the_futures_and_the_betas_of_what_is_held(
    desk: Desk, market: OptionMarket
) -> None:
    await hold(desk, Contract("AAPL", SecType.STOCK, "AAPL"))
    report = await market_watch.work(desk)
    states = await desk.store.market.states()
    assert {name: states[name].value for name in ("VIX", "VIX3M", "VVIX", "SPX")} == {
        "VIX": 18.0, "VIX3M": 19.0, "VVIX": 95.0, "SPX": SPOT,
    }  # fmt: skip
    assert states["VIX"].previous_close == 19.0 and states["VIX"].source == "real"
    assert states["SPY"].value == pytest.approx(640.0)
    assert states["beta:AAPL"].flag == "from the static table" and states["beta:AAPL"].value == 1.2
    assert any(name.startswith("MES ") for name in states)
    assert "VIX 18.00" in report.sentence
    assert [bar.close for bar in await desk.store.market.bars("VIX", "1D")] == [18.0, 18.0, 18.0]
    assert [h.value for h in await desk.store.market.state_history("VIX", datetime.now(UTC) - timedelta(hours=1))]


async def test_an_index_the_broker_does_not_quote_is_unknown_and_not_zero(
    desk: Desk, market: OptionMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market_watch, "FIRST_LOOK", 0.1)
    del market.prices["VIX3M"]
    report = await market_watch.work(desk)
    state = (await desk.store.market.states())["VIX3M"]
    assert state.value is None and state.flag == "the broker has not quoted it"
    assert "unknown: VIX3M" in report.sentence


async def turns(desk: Desk, count: int) -> greeks_streamer.Report:
    for _ in range(count):
        report = await greeks_streamer.work(desk)
    return report


async def test_the_first_turn_gives_a_surface_across_the_whole_window(desk: Desk, market: OptionMarket) -> None:
    report = await turns(desk, 1)
    row = await desk.store.market.surface("SPX")
    assert row is not None and row.quotes_used > 20
    surface = Surface.from_json(row.surface_json)
    now = datetime.now(UTC)
    inside = [d for d in market.expiries if 30 <= (d - now.astimezone(NEW_YORK).date()).days <= 60]
    for expiry in inside:
        strikes = [5800.0, 6400.0, 6800.0]
        assert surface.iv(("SPXW", expiry), strikes) == pytest.approx([smile(k) for k in strikes], abs=0.004)
    assert report.detail is not None and report.detail["lines"] <= 90


async def test_after_a_round_every_planned_expiry_has_its_own_smile_and_never_more_than_ninety_lines(
    desk: Desk, market: OptionMarket
) -> None:
    await market_watch.work(desk)
    report = await turns(desk, 4)
    assert report.detail is not None
    assert report.detail["slices"] == report.detail["planned"] >= 6
    assert max(len(lines) for lines in market.subscribed) <= 90
    quotes = await desk.store.market.quotes()
    assert sum(q.contract_json["sec_type"] == "OPT" for q in quotes.values()) > 80
    assert quotes["SPX"].last == SPOT


async def test_held_contracts_their_underlyings_and_proposal_legs_are_streamed(
    desk: Desk, market: OptionMarket
) -> None:
    apple = Contract("AAPL", SecType.OPTION, "AAPL", 100, market.expiries[2], 230.0, Right.PUT)
    await hold(desk, apple)
    leg = Contract("SPX", SecType.OPTION, "SPXW", 100, market.expiries[5], 6125.0, Right.PUT)
    await desk.store.market.want([leg], PROPOSAL, "trade_proposer", datetime.now(UTC) + timedelta(minutes=1))
    await turns(desk, 1)
    streamed = {c.identity for c in market.subscribed[-1]}
    assert {apple.identity, "AAPL", leg.identity} <= streamed
    quote = (await desk.store.market.quotes([leg.identity]))[leg.identity]
    assert quote.bid is not None and quote.source == "real" and quote.vendor_iv == pytest.approx(smile(6125.0))


async def test_a_source_without_a_line_limit_streams_every_listed_option_of_the_window(
    desk: Desk, market: OptionMarket
) -> None:
    market.lines = None
    report = await turns(desk, 1)
    assert report.detail is not None
    assert report.detail["slices"] == report.detail["planned"] >= 6
    streamed = {c for c in market.subscribed[-1] if c.is_option}
    days = [d for d in market.expiries if 30 <= (d - datetime.now(UTC).astimezone(NEW_YORK).date()).days <= 60]
    for day in days:
        listed = (await market.listed("SPX", "SPXW", day)).data or ()
        assert streamed >= set(listed)
    row = await desk.store.market.surface("SPX")
    assert row is not None and row.quotes_used > 500


async def test_a_source_with_fewer_lines_gets_no_more_than_it_carries(desk: Desk, market: OptionMarket) -> None:
    market.lines = 60
    await turns(desk, 3)
    assert max(len(lines) for lines in market.subscribed) <= 50, "ten are left for snapshots"


async def test_what_was_modelled_and_then_quoted_is_counted_by_the_size_of_the_miss(
    desk: Desk, market: OptionMarket
) -> None:
    counted = []
    for _ in range(12):  # opening takes two expiries a turn; from then on strikes never quoted are quoted
        await turns(desk, 1)
        counted = await desk.store.market.latest_misses()
        if counted and sum(counted[0].points) >= 20:
            break
    (row,) = counted
    assert row.symbol == "SPX" and sum(row.points) >= 20
    assert sum(row.points) >= sum(row.vol_points) and sum(row.points) >= sum(row.half_spreads)
    median = within(row.points, 0.5)
    assert median is not None and median < 0.5, "the market is one smooth smile"
    assert row.since <= row.at


async def test_the_next_dividend_of_a_streamed_share_is_kept_and_replaced_by_what_is_told_next(
    desk: Desk, market: OptionMarket
) -> None:
    ex = datetime.now(UTC).date() + timedelta(days=20)
    market.told_dividends["SPY"] = CashDividends(7.1, 7.4, ex, 1.85)
    await market_watch.work(desk)
    (row,) = await desk.store.market.dividends(["SPY"])
    assert (row.ex_date, row.amount, row.source) == (ex, 1.85, "broker")
    market.told_dividends["SPY"] = CashDividends(7.1, 7.4, ex + timedelta(days=1), 1.9)
    await market_watch.work(desk)
    (row,) = await desk.store.market.dividends(["SPY"])
    assert (row.ex_date, row.amount) == (ex + timedelta(days=1), 1.9)
    now = datetime.now(UTC)
    share = Contract("SPY", SecType.STOCK, "SPY")
    view = (await Observatory(desk.store, desk.settings).look([share], now, now, None)).view
    (ahead,) = view.dividends["SPY"]
    assert ahead.amount == 1.9 and 20 / 365 < ahead.years < 22.5 / 365
    market.told_dividends["SPY"] = CashDividends(7.1, None, None, None)
    await market_watch.work(desk)
    assert await desk.store.market.dividends(["SPY"]) == []


async def test_open_interest_once_told_stays_with_later_ticks(desk: Desk, market: OptionMarket) -> None:
    spy = Contract("SPY", SecType.STOCK, "SPY")
    feed = await desk.feed()
    market.prices["SPY"] = replace(market.prices["SPY"], open_interest=77.0)
    await feed.want("market", [spy])
    feed.pump()
    market.prices["SPY"] = replace(market.prices["SPY"], open_interest=None, bid=1.0)
    await market.subscribe([spy])
    feed.pump()
    tick = feed.tick(spy)
    assert tick is not None and (tick.bid, tick.open_interest) == (1.0, 77.0)


async def test_the_vendors_greeks_and_our_own_of_what_is_held_are_kept_side_by_side(
    desk: Desk, market: OptionMarket
) -> None:
    held = Contract("SPX", SecType.OPTION, "SPXW", 100, market.expiries[5], 6125.0, Right.PUT)
    await hold(desk, held)
    await market_watch.work(desk)
    await turns(desk, 1)
    feed = await desk.feed()
    vendor = feed.tick(held)
    assert vendor is not None and vendor.vendor_delta is not None
    outlook = await Observatory(desk.store, desk.settings).look([held], datetime.now(UTC), datetime.now(UTC), None)
    (own,) = greeks_streamer.own_greeks([held], outlook.view)
    assert own.delta == pytest.approx(vendor.vendor_delta, abs=0.01) and own.iv == pytest.approx(smile(6125), abs=0.002)


async def test_the_desk_clock_is_the_brokers(desk: Desk, market: OptionMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.clock import DeskClock

    sunday = datetime(2026, 8, 23, 15, tzinfo=UTC)
    stands = DeskClock(datetime.now(UTC), sunday, 0.0)
    monkeypatch.setattr(OptionMarket, "clock", property(lambda self: stands))
    await greeks_streamer.work(desk)
    assert await desk.now() == sunday


async def test_a_lost_session_is_opened_anew_and_an_unreachable_broker_backs_off(
    desk: Desk, market: OptionMarket
) -> None:
    await turns(desk, 1)
    market.state = SessionState.DEGRADED
    await turns(desk, 1)
    assert market.state is SessionState.READY
    market.state, market.refuse_connection = SessionState.DEGRADED, True
    with pytest.raises(NotConnected, match="start the venue"):
        await desk.feed()
    with pytest.raises(NotConnected, match="next attempt"):
        await desk.feed()


async def test_an_unchanged_quote_of_a_live_line_is_confirmed_but_not_when_the_feed_went_silent(
    desk: Desk, market: OptionMarket
) -> None:
    feed = await desk.feed()
    spy = Contract("SPY", SecType.STOCK, "SPY")
    await feed.want("market", [spy])
    feed.pump()
    began = datetime.now(UTC)
    later = began + timedelta(seconds=2.5)
    feed.machine_now = lambda: later
    assert [t.contract for t in feed.unchanged(later, timedelta(seconds=2))] == [spy]
    much_later = began + timedelta(seconds=60)
    feed.machine_now = lambda: much_later
    assert feed.unchanged(much_later, timedelta(seconds=2)) == []


async def test_a_halted_line_is_not_confirmed(desk: Desk, market: OptionMarket) -> None:
    market.prices["SPY"] = replace(market.prices["SPY"], halted=True)
    feed = await desk.feed()
    await feed.want("market", [Contract("SPY", SecType.STOCK, "SPY")])
    feed.pump()
    later = datetime.now(UTC) + timedelta(seconds=2.5)
    feed.machine_now = lambda: later
    assert feed.unchanged(later, timedelta(seconds=2)) == []
