"""Each named strategy by hand, at Cboe's rates, for one contract, two and three: initially and to be maintained."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from models.quant.margin import MarginBook, MarginEstimate, by_position, by_underlying, estimate_margin, trade_margin
from models.quant.margin_rules import CBOE, IBKR, StrategyRules
from models.quant.option import Contract, Right, SecType
from models.quant.terms import Holding
from tests.quant.quant_market import EXPIRIES, NOW, future, mark, market, option, stock

Legs = list[tuple[str, float, float, int]]  # (call, put or shares; strike; price; count)
SOON, LATER = EXPIRIES[1], EXPIRIES[3]


def xyz(right: str, strike: float, expiry: date = SOON, multiplier: float = 100.0) -> Contract:
    return Contract("XYZ", SecType.OPTION, "XYZ", multiplier, expiry, strike, Right(right))


def ask(legs: Legs, spot: float = 50.0, n: int = 1, rules: StrategyRules = CBOE) -> MarginEstimate:
    holdings, marks = [], {}
    for what, strike, price, count in legs:
        contract = stock("XYZ") if what == "S" else xyz(what, strike)
        marks[contract.identity] = mark(spot if what == "S" else price)
        holdings.append(Holding(contract, count * n))
    return estimate_margin(holdings, market(spots={"XYZ": spot}, marks=marks, surfaces={}), rules)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(
    ("legs", "spot", "initial", "maintenance"),
    [
        # spreads: the most they can owe
        ([("C", 45, 7, 1), ("C", 55, 1, -1)], 50, 0, 0),
        ([("C", 45, 7, -1), ("C", 55, 1, 1)], 50, 1000, 1000),
        ([("P", 45, 1, 1), ("P", 50, 3, -2), ("P", 55, 7, 1)], 50, 0, 0),  # long butterfly
        ([("P", 45, 1, -1), ("P", 50, 3, 2), ("P", 55, 7, -1)], 50, 500, 500),  # short butterfly
        ([("P", 38, 1, 1), ("P", 45, 2, -1), ("C", 55, 2, -1), ("C", 60, 1, 1)], 50, 700, 700),  # broken condor
        ([("C", 45, 6, 1), ("C", 55, 1, -1), ("P", 55, 6, 1), ("P", 45, 1, -1)], 50, 0, 0),  # long box
        ([("C", 45, 6, -1), ("C", 55, 1, 1), ("P", 55, 6, -1), ("P", 45, 1, 1)], 50, 1000, 1000),  # short box
        ([("C", 50, 3, -1), ("C", 55, 1, 2)], 50, 500, 500),  # backspread
        ([("C", 50, 3, 1), ("C", 55, 1, -2)], 50, 100 * (1 + 10 - 5), 600),  # one covered, one naked
        # naked: price + max(20 % − out of the money, 10 %)
        ([("C", 55, 1, -1)], 50, 600, 600),
        ([("P", 30, 0.5, -1)], 50, 350, 350),
        ([("P", 45, 1, -1), ("C", 55, 2, -1)], 50, 700 + 100, 800),  # call side 700, the put's value 100
        ([("P", 45, 1, -1), ("C", 55, 1, -1), ("C", 60, 0.4, 1)], 50, 600 + 100, 700),  # jade lizard: as a strangle
        # shares
        ([("S", 0, 0, 100)], 50, 2500, 1250),
        ([("S", 0, 0, -100)], 50, 2500, 1500),
        ([("S", 0, 0, 100), ("C", 55, 1, -1)], 50, 2500, 1250),
        ([("S", 0, 0, 100), ("C", 45, 6, -1)], 50, 2500, 0.25 * 4500 + 500),  # shares count for the strike
        ([("S", 0, 0, 100), ("C", 20, 30.5, -1)], 50, 3050, 0.25 * 2000 + 3000),
        ([("S", 0, 0, -100), ("P", 45, 1, -1)], 50, 2500, 1500),
        ([("S", 0, 0, -100), ("P", 55, 6, -1)], 50, 3000, 2000),
        ([("S", 0, 0, 100), ("P", 45, 1, 1)], 50, 2500, 450 + 500),  # 10 % of the strike and 5 out of the money
        ([("S", 0, 0, 100), ("P", 30, 0.1, 1)], 50, 2500, 1250),
        ([("S", 0, 0, -100), ("C", 55, 1, 1)], 50, 2500, 550 + 500),
        ([("S", 0, 0, 100), ("P", 45, 1, 1), ("C", 55, 1, -1)], 50, 2500, 950),  # collar
        ([("S", 0, 0, 100), ("P", 30, 0.1, 1), ("C", 48, 4, -1)], 50, 2500, 0.25 * 4800 + 200),
        ([("S", 0, 0, 100), ("P", 50, 3, 1), ("C", 50, 3, -1)], 50, 2500, 500),  # conversion
        ([("S", 0, 0, -100), ("C", 50, 3, 1), ("P", 50, 3, -1)], 50, 2500, 500),  # reversal
        ([("S", 0, 0, -100), ("C", 55, 1, 1), ("P", 55, 6, -1)], 50, 3000, 550 + 500),
    ],
)
def test_the_strategies_by_hand(legs: Legs, spot: float, initial: float, maintenance: float, n: int) -> None:
    e = ask(legs, spot, n)
    assert (e.initial, e.maintenance) == pytest.approx((n * initial, n * maintenance))


def test_condors_with_dear_wings_give_way_to_naked_shorts_where_that_asks_less() -> None:
    """A condor ten points wide asks 1000, its shorts as a strangle 700 and the other side's 200. Of two, both put
    sides and one call side share one loss of 1000, and a call for 700 stands alone.
    """
    legs: Legs = [("P", 40, 1, 1), ("P", 45, 2, -1), ("C", 55, 2, -1), ("C", 65, 1, 1)]
    assert ask(legs).initial == pytest.approx(900)
    assert ask(legs, n=2).initial == pytest.approx(1700)


def test_odd_lots_cover_nothing_alone_and_a_whole_one_together() -> None:
    beside = ask([("S", 0, 0, 150), ("C", 55, 1, -1)])
    assert (beside.initial, beside.maintenance) == pytest.approx((3750, 1875))
    two_of_three = ask([("S", 0, 0, 250), ("C", 55, 1, -3)])
    assert (two_of_three.initial, two_of_three.maintenance) == pytest.approx((6250 + 600, 3125 + 600))
    assert ask([("S", 0, 0, 50), ("C", 55, 1, -1)]).initial == pytest.approx(1250 + 600)
    assert ask([("S", 0, 0, 50), ("C", 55, 1, -1)], n=2).initial == pytest.approx(2500 + 600)


def test_calendars_and_diagonals_ask_the_strikes_difference_and_the_other_way_round_the_short_is_naked() -> None:
    view = market(spots={"XYZ": 50.0}, marks={}, surfaces={})
    for near, far, asked in ((50, 50, 0), (50, 55, 500), (55, 50, 0)):
        short, long = xyz("C", near), xyz("C", far, LATER)
        view = market(spots={"XYZ": 50.0}, surfaces={}, marks={short.identity: mark(2.0), long.identity: mark(3.0)})
        assert estimate_margin([Holding(short, -2), Holding(long, 2)], view).initial == pytest.approx(2 * asked)
        alone = estimate_margin([Holding(long, -2)], view).initial
        assert estimate_margin([Holding(short, 2), Holding(long, -2)], view).initial == pytest.approx(alone)


def test_shorts_of_two_expiries_do_not_share_one_loss() -> None:
    """The put of the first expiry and the call of the second can both be lost on."""
    legs = [
        (xyz("P", 45), -1), (xyz("P", 40, LATER), 1), (xyz("C", 55, LATER), -1), (xyz("C", 60, LATER), 1),
    ]  # fmt: skip
    view = market(spots={"XYZ": 50.0}, surfaces={}, marks={c.identity: mark(9.0) for c, _ in legs})
    assert estimate_margin([Holding(c, q) for c, q in legs], view).initial == pytest.approx(1000)


def test_contracts_of_another_size_cover_nothing() -> None:
    mini = xyz("C", 55, multiplier=10.0)
    big = replace(xyz("C", 50), trading_class="XYZ1")
    view = market(spots={"XYZ": 50.0}, surfaces={}, marks={mini.identity: mark(1.0), big.identity: mark(3.0)})
    assert estimate_margin([Holding(big, -1), Holding(mini, 10)], view).initial == pytest.approx(1300)


def test_an_option_of_more_than_nine_months_is_lent_a_quarter_unless_it_covers() -> None:
    far = NOW.date() + timedelta(days=540)
    long, short = xyz("C", 50, far), xyz("C", 55)
    view = market(spots={"XYZ": 50.0}, surfaces={}, marks={long.identity: mark(12.0), short.identity: mark(1.0)})
    assert estimate_margin([Holding(long, 2)], view).initial == pytest.approx(-600)
    assert estimate_margin([Holding(long, 2)], view, IBKR).initial == 0.0
    assert estimate_margin([Holding(long, 2), Holding(short, -1)], view).initial == pytest.approx(-300)
    near = xyz("C", 50, NOW.date() + timedelta(days=270))
    assert estimate_margin([Holding(near, 2)], market(surfaces={}, marks={near.identity: mark(9.0)})).initial == 0.0


def test_a_fund_covers_its_index_where_the_house_says_so() -> None:
    call = option(6100.0, "C")
    book = [Holding(call, -1), Holding(stock("SPY"), 1000)]
    view = market(marks={call.identity: mark(20.0)})
    assert estimate_margin(book, view).initial == pytest.approx(300_000)
    naked = 100 * (20 + 0.15 * 6000 - 100)
    assert estimate_margin(book, view, IBKR).initial == pytest.approx(300_000 + naked)
    assert estimate_margin([Holding(call, -2), Holding(stock("SPY"), 1999)], view).initial == pytest.approx(
        1999 * 300 + naked
    )


def test_an_account_is_the_sum_of_its_underlyings_and_of_its_positions() -> None:
    put, wing = option(5700.0), option(5600.0)
    book = [
        Holding(put, -2), Holding(wing, 1), Holding(stock("AAPL"), 100), Holding(stock("TSLA"), -10),
        Holding(future("ES", 50), 1),
    ]  # fmt: skip
    e = estimate_margin(book, market(marks={put.identity: mark(40.0), wing.identity: mark(30.0)}))
    per = by_underlying(e)
    assert list(per) == ["AAPL", "ES", "SPX", "TSLA"]
    assert per["AAPL"].initial == 10_000
    assert per["TSLA"].maintenance == 1200
    assert per["SPX"].initial == pytest.approx(10_000 + 100 * (40 + 900 - 300))
    positions = by_position(e)
    assert positions[put.identity] == per["SPX"]
    assert positions[wing.identity].initial == 0.0
    assert sum(x.initial for x in positions.values()) == pytest.approx(e.initial)
    assert sum(x.maintenance for x in per.values()) == pytest.approx(e.maintenance)


def test_a_trade_shows_the_account_before_it_the_change_and_the_account_after() -> None:
    put, wing = option(5700.0), option(5600.0)
    book = [Holding(put, -2), Holding(stock("AAPL"), 100)]
    view = market(marks={put.identity: mark(40.0), wing.identity: mark(30.0)})
    trade = trade_margin(book, [Holding(wing, 2)], view)
    assert trade.before.initial == pytest.approx(2 * 64_000 + 10_000)
    assert trade.after.initial == pytest.approx(2 * 10_000 + 10_000)
    assert trade.change.initial == pytest.approx(-2 * 54_000)
    alone = estimate_margin([*book, Holding(wing, 2)], view)
    assert (trade.after, trade.after.lines) == (alone, alone.lines)
    opened = trade_margin([], book, view)
    assert (opened.before.initial, opened.after.initial) == (0.0, pytest.approx(2 * 64_000 + 10_000))


def test_what_a_trade_does_not_touch_may_be_unknown() -> None:
    blind, put = xyz("P", 45), option(5700.0)
    book = MarginBook([Holding(blind, -1)], market(surfaces={}, marks={put.identity: mark(40.0)}))
    assert book.estimate().initial is None
    assert book.change([Holding(put, -1)]).initial == pytest.approx(64_000)
    assert book.trade([Holding(put, -1)]).after.missing == ("XYZ 02 Oct 26 45 put: no price",)


def test_a_quantity_that_is_no_number_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="quantity nan of XYZ"):
        estimate_margin([Holding(xyz("P", 45), float("nan"))], market())
