"""The first margin estimate: which shorts are covered, what the naked ones ask, and where it says it does not know."""

from dataclasses import replace
from datetime import date

import pytest

from models.quant.covering import Lot, cover
from models.quant.margin import BROAD, NARROW, Rule, estimate_margin, margin_change, naked_requirement, short_risk
from models.quant.portfolio import Holding
from tests.quant.quant_market import EXPIRIES, SPOT, future, mark, market, option, stock


def test_a_naked_index_put_asks_its_value_and_fifteen_per_cent_less_the_distance() -> None:
    put = option(5700.0)
    for quantity in (-1, -2):
        e = estimate_margin([Holding(put, quantity)], market(marks={put.identity: mark(40.0)}))
        assert e.initial == e.maintenance == pytest.approx(-quantity * 100 * (40 + 0.15 * SPOT - 300))
    far = option(5000.0)
    e = estimate_margin([Holding(far, -1)], market(marks={far.identity: mark(2.0)}))
    assert e.initial == pytest.approx(100 * (2 + 0.10 * 5000))  # the floor is a share of a put's strike
    assert naked_requirement(100, 140, 1, True, NARROW) == pytest.approx(11)  # and of a call's underlying
    assert naked_requirement(100, 100, 1, True, BROAD) == pytest.approx(16)
    assert naked_requirement(100, 100, 1, True, Rule(0.15, 0.10, 3.0)) == pytest.approx(46)


@pytest.mark.parametrize("quantity", [1, 2])
def test_verticals_ask_their_width_or_nothing(quantity: int) -> None:
    low, high = option(5600.0), option(5700.0)
    credit = estimate_margin([Holding(high, -quantity), Holding(low, quantity)], market())
    debit = estimate_margin([Holding(high, quantity), Holding(low, -quantity)], market())
    assert credit.initial == quantity * 10_000
    assert debit.initial == 0.0


def test_an_iron_condor_asks_for_one_side_only() -> None:
    legs = [
        Holding(option(5500.0), 1),
        Holding(option(5600.0), -1),
        Holding(option(6300.0, "C"), -1),
        Holding(option(6400.0, "C"), 1),
    ]
    assert estimate_margin(legs, market()).initial == 10_000


def test_a_long_that_expires_first_covers_nothing() -> None:
    short, sooner = option(5700.0, "P", EXPIRIES[2]), option(5600.0, "P", EXPIRIES[1])
    alone = estimate_margin([Holding(short, -1)], market()).initial
    assert estimate_margin([Holding(short, -1), Holding(sooner, 1)], market()).initial == pytest.approx(alone)
    later = option(5600.0, "P", EXPIRIES[3])
    assert estimate_margin([Holding(short, -1), Holding(later, 1)], market()).initial == 10_000


def test_a_strangle_asks_the_greater_side_and_the_others_value() -> None:
    put, call = option(5700.0), option(6200.0, "C")
    view = market(marks={put.identity: mark(40.0), call.identity: mark(20.0)})
    greater = 100 * max(40 + 0.15 * SPOT - 300, 20 + 0.15 * SPOT - 200)
    assert estimate_margin([Holding(put, -1), Holding(call, -1)], view).initial == pytest.approx(greater + 4000)
    more = estimate_margin([Holding(put, -2), Holding(call, -1)], view).initial
    assert more == pytest.approx(greater + 4000 + 100 * (40 + 0.15 * SPOT - 300))


def test_shares_cover_a_call_and_ask_half() -> None:
    call = replace(option(210.0, "C"), symbol="AAPL", trading_class="AAPL")
    view = market(marks={call.identity: mark(3.0), "AAPL": mark(200.0)})
    e = estimate_margin([Holding(call, -1), Holding(stock("AAPL"), 100)], view)
    assert (e.initial, e.maintenance) == (10_000.0, 5_000.0)
    two = estimate_margin([Holding(call, -2), Holding(stock("AAPL"), 100)], view)
    assert two.initial == pytest.approx(10_000 + 100 * (3 + 0.2 * 200 - 10))
    short = estimate_margin([Holding(stock("AAPL"), -100)], view)
    assert (short.initial, short.maintenance) == (10_000.0, 6_000.0)


def test_one_long_covers_one_short() -> None:
    short, long = option(5700.0), option(5600.0)
    (group,) = cover([Lot(short, -3, 0), Lot(long, 1, 1)])
    assert [lot.quantity for lot in group.naked] == [-2]
    assert group.spreads[0].risk == 10_000
    (group,) = cover([Lot(short, -1, 0), Lot(long, 3, 1)])
    assert group.naked == ()
    assert [lot.quantity for lot in group.loose] == [2]


def test_different_underlyings_and_multipliers_do_not_cover_each_other() -> None:
    short = option(5700.0)
    spy = replace(option(570.0), symbol="SPY", trading_class="SPY")
    groups = cover([Lot(short, -1, 0), Lot(spy, 10, 1)])
    assert [g.symbol for g in groups] == ["SPX", "SPY"]
    assert len(groups[0].naked) == 1


def test_futures_are_net_per_root_and_an_unlisted_root_is_unknown() -> None:
    es, later = future("ES", 50), future("ES", 50, date(2027, 3, 19))
    one = estimate_margin([Holding(es, 1)], market())
    spread = estimate_margin([Holding(es, 2), Holding(later, -1)], market())
    assert one.initial == spread.initial
    assert one.initial > one.maintenance > 0  # type: ignore[operator]
    unknown = estimate_margin([Holding(future("ZZ", 10), 1)], market())
    assert (unknown.initial, unknown.maintenance) == (None, None)
    assert "ZZ" in unknown.missing[0]


def test_a_short_futures_option_asks_by_the_future() -> None:
    """Of the future's move against it, what the option follows, and its value: less than the future and a value."""
    from models.quant.option import Contract, Right, SecType

    put = Contract("ES", SecType.FUTURE_OPTION, "EW3", 50, date(2026, 9, 18), 5800.0, Right.PUT)
    e = estimate_margin([Holding(put, -1)], market(marks={put.identity: mark(20.0)}))
    margin = estimate_margin([Holding(future("ES", 50), 1)], market()).maintenance
    assert margin is not None and e.maintenance is not None
    # a whole move down, 440 points, leaves the put 210 in the money: at least that, at most the move
    assert 210 * 50 < e.maintenance < 20 * 50 + margin


def test_an_unknown_price_makes_the_estimate_unknown_and_names_it() -> None:
    blind = replace(option(5700.0), symbol="XYZ", trading_class="XYZ")
    e = estimate_margin([Holding(blind, -1), Holding(option(5700.0), -1)], market())
    assert (e.initial, e.maintenance) == (None, None)
    assert "XYZ" in e.missing[0]
    change = margin_change([Holding(option(5700.0), -1)], [Holding(blind, -1)], market())
    assert change.initial is None
    assert change.missing


def test_margin_change_is_after_minus_before() -> None:
    book, wing = [Holding(option(5700.0), -1)], Holding(option(5600.0), 1)
    before = estimate_margin(book, market()).initial
    change = margin_change(book, [wing], market())
    assert before is not None and change.initial is not None
    assert change.initial == pytest.approx(10_000 - before)
    closing = margin_change(book, [Holding(option(5700.0), 1)], market())
    assert closing.initial == pytest.approx(-before)
    assert estimate_margin([], market()).initial == 0.0


def test_short_risk_is_unknown_without_a_price_of_the_underlying() -> None:
    assert short_risk([Holding(option(5700.0), -1)], [float("nan")]).naked_notional is None
    assert short_risk([Holding(option(5700.0), -1)], [SPOT]).naked_notional == pytest.approx(100 * SPOT)
