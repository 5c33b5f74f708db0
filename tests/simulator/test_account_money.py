"""The account's arithmetic against numbers worked by hand: cost, profit, margin rules, what-ifs and expiry."""

from datetime import UTC, date, datetime

import pytest

from adapters.simulator.account import Holding, Ledger, account_id_of, apply_fill, commission
from adapters.simulator.margin import requirement
from adapters.simulator.settlement import settle_expired
from adapters.simulator.types import Instrument, RejectedByVenue
from adapters.simulator.venue import Venue
from models.quant.option import Contract, Right, SecType
from models.quant.structure import Action
from tests.still_venue import combo, fresh_trading, future, held, option, still, stock, ticket, to_time


@pytest.fixture(scope="module")
def opened() -> Venue:
    return still()


@pytest.fixture
def venue(opened: Venue) -> Venue:
    fresh_trading(opened, 500_000.0)
    return opened


def put(strike: float, symbol: str = "SPX", expiry: date = date(2026, 12, 18), right: Right = Right.PUT) -> Contract:
    return Contract(symbol, SecType.OPTION, symbol, 100.0, expiry, strike, right)


def call(strike: float, symbol: str = "SPX", expiry: date = date(2026, 12, 18)) -> Contract:
    return put(strike, symbol, expiry, Right.CALL)


# ── cost and profit ──────────────────────────────────────────────────────────────────────────────────────────────
def test_a_long_position_bought_twice_and_sold_in_parts(venue: Venue) -> None:
    item, ledger = option(venue, 7200, "P"), Ledger(100_000.0)
    apply_fill(ledger, item, 2, 10.0, 1.30)
    apply_fill(ledger, item, 2, 14.0, 1.30)
    holding = ledger.holdings[item.con_id]
    assert holding.quantity == 4 and holding.average_cost == pytest.approx((2000 + 2800 + 2.6) / 4)
    assert ledger.cash == pytest.approx(100_000 - 4800 - 2.6)
    realized = apply_fill(ledger, item, -1, 15.0, 0.65)
    assert realized == pytest.approx(1500 - 1200.65 - 0.65)
    assert holding.quantity == 3 and holding.average_cost == pytest.approx(1200.65)


def test_a_short_position_through_zero_and_out_the_other_side(venue: Venue) -> None:
    item, ledger = option(venue, 7200, "P"), Ledger(0.0)
    assert apply_fill(ledger, item, -2, 10.0, 1.30) is None
    holding = ledger.holdings[item.con_id]
    assert holding.average_cost == pytest.approx(1000 - 0.65) and ledger.cash == pytest.approx(2000 - 1.3)
    realized = apply_fill(ledger, item, 3, 8.0, 1.95)
    assert realized == pytest.approx((999.35 - 800) * 2 - 1.30)
    assert holding.quantity == 1 and holding.average_cost == pytest.approx(800.65)
    assert ledger.cash == pytest.approx(2000 - 1.3 - 2400 - 1.95)


def test_a_future_moves_cash_only_when_it_is_closed(venue: Venue) -> None:
    item, ledger = future(venue), Ledger(50_000.0)
    apply_fill(ledger, item, -2, 7500.0, 4.5)
    assert ledger.cash == 50_000.0
    realized = apply_fill(ledger, item, 2, 7490.0, 4.5)
    assert realized == pytest.approx(2 * 50 * 10 - 9.0) and ledger.cash == pytest.approx(50_000 + 1000 - 9)
    assert ledger.holdings[item.con_id].average_cost == 0.0


def test_fees_follow_the_kind(venue: Venue) -> None:
    assert commission(option(venue, 7200, "P").contract, 3) == pytest.approx(1.95)
    assert commission(future(venue).contract, 2) == pytest.approx(4.5)
    assert commission(stock(venue).contract, 10) == 1.0
    assert commission(stock(venue).contract, 1000) == pytest.approx(5.0)


def test_net_liquidation_is_cash_and_what_is_held(venue: Venue) -> None:
    long, short, es, spy = option(venue, 7200, "P"), option(venue, 7000, "P"), future(venue), stock(venue)
    account = venue.account
    for item, side, count in (
        (long, Action.BUY, 2),
        (short, Action.SELL, 1),
        (es, Action.BUY, 1),
        (spy, Action.BUY, 100),
    ):
        price = account.price(item)
        assert price is not None
        account.book(item, side, count, price, 0.0)
    margin = account.margin()
    mids = {i: account.price(i) or 0.0 for i in (long, short, spy)}
    options = 200 * mids[long] - 100 * mids[short]
    assert margin.net_liquidation == pytest.approx(500_000.0)
    assert margin.equity_with_loan == pytest.approx(500_000.0 - options)
    assert margin.gross_position_value == pytest.approx(200 * mids[long] + 100 * mids[short] + 100 * mids[spy])
    assert margin.unrealized_pnl == pytest.approx(0.0) and margin.realized_pnl == 0.0
    values = dict((tag, value) for tag, value, _ in account.values())
    assert float(values["NetLiquidation"]) == pytest.approx(500_000.0, abs=0.01)
    assert float(values["ExcessLiquidity"]) == pytest.approx(margin.excess_liquidity, abs=0.01)


def test_the_days_profit_counts_from_its_start_and_begins_anew() -> None:
    venue = still()
    fresh_trading(venue, 500_000.0)
    spy = stock(venue)
    venue.account.book(spy, Action.BUY, 1000, venue.account.price(spy) or 0.0, 0.0)
    venue.control({"move": {"spot_pct": 1.0}})
    first = venue.account.margin()
    assert first.day_pnl == pytest.approx(first.unrealized_pnl) and first.day_pnl > 7000
    venue.account.book(spy, Action.SELL, 1000, venue.account.price(spy) or 0.0, 0.0)
    assert venue.account.margin().realized_pnl == pytest.approx(first.unrealized_pnl)
    assert venue.account.position(spy.con_id).quantity == 0  # type: ignore[union-attr]
    to_time(venue, datetime(2026, 11, 23, 15, 0, tzinfo=UTC))
    second = venue.account.margin()
    assert (second.realized_pnl, second.day_pnl) == (0.0, pytest.approx(0.0))
    assert venue.account.positions() == []


def test_a_position_without_a_price_is_carried_at_its_cost_and_says_unknown(venue: Venue) -> None:
    item = option(venue, 7200, "P")
    venue.account.ledger.holdings[item.con_id] = Holding(2, 1234.0)
    asked = venue.account.price
    venue.account.price = lambda item: None  # type: ignore[method-assign]
    try:
        position = venue.account.positions()[0]
        assert position.market_price is None and position.market_value is None and position.unrealized_pnl is None
        assert venue.account.margin().net_liquidation == pytest.approx(500_000 + 2 * 1234.0)
    finally:
        venue.account.price = asked  # type: ignore[method-assign]


# ── margin rules ─────────────────────────────────────────────────────────────────────────────────────────────────
def asked(*held_: tuple[Contract, float], prices: dict[str, float] | None = None, spot: float = 7500.0) -> float:
    table = prices or {}
    return requirement(held_, lambda c: table.get(c.identity, 0.0), lambda symbol: spot).initial


def test_a_naked_index_put_costs_fifteen_per_cent_less_what_it_is_out_of_the_money() -> None:
    short = put(7400)
    # 60 + max(15 % × 7500 − 100, 10 % × 7400) = 60 + max(1025, 740)
    assert asked((short, -1), prices={short.identity: 60.0}) == pytest.approx(108_500)
    far = put(6500)
    # 10 + max(1125 − 1000, 650)
    assert asked((far, -2), prices={far.identity: 10.0}) == pytest.approx(2 * 66_000)


def test_a_naked_share_call_costs_twenty_per_cent() -> None:
    short = call(310, "AAPL")
    # 2 + max(20 % × 290 − 20, 10 % × 290) = 2 + max(38, 29)
    assert asked((short, -1), prices={short.identity: 2.0}, spot=290.0) == pytest.approx(4_000)


def test_a_spread_costs_its_width_and_a_debit_spread_nothing() -> None:
    assert asked((put(7400), -3), (put(7300), 3)) == pytest.approx(30_000)
    assert asked((put(7300), -3), (put(7400), 3)) == 0.0
    assert asked((call(7600), -1), (call(7700), 1)) == pytest.approx(10_000)


def test_a_long_leg_that_dies_first_covers_nothing() -> None:
    short = put(7400, expiry=date(2027, 1, 15))
    naked = asked((short, -1))
    assert asked((short, -1), (put(7300), 1)) == naked
    assert asked((put(7400), -1), (put(7300, expiry=date(2027, 1, 15)), 1)) == pytest.approx(10_000)


def test_an_iron_condor_asks_for_its_wider_side_only() -> None:
    condor = ((put(7300), -2), (put(7200), 2), (call(7700), -2), (call(7850), 2))
    assert asked(*condor) == pytest.approx(30_000)


def test_a_strangle_asks_for_the_dearer_side_and_the_others_price() -> None:
    low, high = put(7300), call(7700)
    prices = {low.identity: 50.0, high.identity: 40.0}
    # put 50 + max(1125 − 200, 730) = 975; call 40 + max(1125 − 200, 750) = 965
    assert asked((low, -1), (high, -1), prices=prices) == pytest.approx(97_500 + 4_000)


def test_shares_cover_calls_and_cost_half() -> None:
    shares = Contract("AAPL", SecType.STOCK, "AAPL")
    need = requirement([(shares, 200), (call(310, "AAPL"), -2)], lambda c: 2.0, lambda s: 290.0)
    assert need.initial == pytest.approx(29_000) and need.maintenance == pytest.approx(14_500)
    partly = requirement([(shares, 100), (call(310, "AAPL"), -2)], lambda c: 2.0, lambda s: 290.0)
    assert partly.initial == pytest.approx(14_500 + 4_000)


def test_futures_follow_the_table() -> None:
    es = Contract("ES", SecType.FUTURE, "ES", 50.0, date(2026, 12, 18))
    need = requirement([(es, -2)], lambda c: 0.0, lambda s: 0.0)
    assert (need.initial, need.maintenance) == (48_000.0, pytest.approx(43_200.0))


def test_long_options_need_no_margin() -> None:
    assert asked((put(7400), 10), (call(7600), 10)) == 0.0


# ── what-if ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_what_if_says_before_and_after_and_keeps_nothing(venue: Venue) -> None:
    long, short = option(venue, 7200, "P"), option(venue, 7000, "P")
    price = 15.0
    effect = venue.account.what_if(combo([(long, "SELL", 1), (short, "BUY", 1)], 3, -price))
    assert not held(venue) and effect.before == venue.account.margin()
    assert effect.after.initial_margin - effect.before.initial_margin == pytest.approx(60_000)
    assert effect.after.cash - effect.before.cash == pytest.approx(3 * 100 * price - effect.commission)
    assert effect.commission == pytest.approx(3.90) and effect.warning == ""


def test_premium_paid_shows_as_lost_equity_with_loan(venue: Venue) -> None:
    long = option(venue, 7200, "P")
    effect = venue.account.what_if(ticket(long, "BUY", 2, 70.0))
    assert effect.after.initial_margin == effect.before.initial_margin
    assert effect.after.equity_with_loan - effect.before.equity_with_loan == pytest.approx(-14_000 - 1.30)


def test_a_what_if_beyond_the_account_warns(venue: Venue) -> None:
    assert "INITIAL MARGIN" in venue.account.what_if(ticket(option(venue, 7400, "P"), "SELL", 60, 50.0)).warning


def test_a_what_if_of_nonsense_is_refused_as_the_order_would_be(venue: Venue) -> None:
    with pytest.raises(RejectedByVenue) as caught:
        venue.account.what_if(ticket(option(venue, 7400, "P"), "SELL", 1, 50.03))
    assert caught.value.code == 110


# ── expiry ───────────────────────────────────────────────────────────────────────────────────────────────────────
def _hold(venue: Venue, item: Instrument, quantity: float, cost: float) -> None:
    venue.account.ledger.holdings[item.con_id] = Holding(quantity, cost)


def test_index_options_settle_in_cash_at_four() -> None:
    venue = still()
    fresh_trading(venue, 100_000.0)
    today = date(2026, 11, 20)
    long, short = option(venue, 7600, "P", expiry=today), option(venue, 7300, "P", expiry=today)
    _hold(venue, long, 2, 5_000.0)
    _hold(venue, short, -2, 500.0)
    assert settle_expired(venue.account, venue.clock.now()) == []
    venue.market.advance(datetime(2026, 11, 20, 21, 0, tzinfo=UTC))
    spot = venue.market.price_of("SPX")
    told = settle_expired(venue.account, datetime(2026, 11, 20, 21, 0, tzinfo=UTC))
    assert len(told) == 2 and not held(venue)
    worth = max(7600 - spot, 0.0) * 200 - max(7300 - spot, 0.0) * 200
    assert venue.account.ledger.cash == pytest.approx(100_000 + worth)
    assert venue.account.ledger.realized_today == pytest.approx(worth - 10_000 + 1_000)


def test_share_options_become_shares() -> None:
    venue = still()
    fresh_trading(venue, 100_000.0)
    aapl = stock(venue, "AAPL")
    short_put = option(venue, 310.0, "P", "AAPL", date(2026, 11, 20))
    long_call = option(venue, 330.0, "C", "AAPL", date(2026, 11, 20))
    _hold(venue, short_put, -2, 1_500.0)
    _hold(venue, long_call, 1, 10.0)
    told = settle_expired(venue.account, datetime(2026, 11, 20, 21, 0, tzinfo=UTC))
    assert held(venue) == {aapl.con_id: 200}
    assert venue.account.ledger.cash == pytest.approx(100_000 - 200 * 310)
    assert any("assigned" in t for t in told) and any("settled at 0.00" in t for t in told)


def test_the_account_is_named_by_seed_and_state() -> None:
    assert account_id_of(7) == account_id_of(7) != account_id_of(8)
    assert account_id_of(7, "a") != account_id_of(7, "b")
    assert account_id_of(7).startswith("SIM") and len(account_id_of(7)) == 10
