"""The floor under a trade's margin: never above the exact change, whatever the book holds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.quant.margin import MarginBook
from models.quant.margin_floor import MarginFloor, margin_floor
from models.quant.margin_rules import CBOE, IBKR
from models.quant.option import Contract
from models.quant.terms import Holding
from tests.quant.quant_market import EXPIRIES, option, stock
from tests.quant.test_margin_bound import FAR, OPTIONS, VIEW, count

Lots = dict[Contract, int]


def floor_of(book: Lots) -> MarginFloor | None:
    return margin_floor(OPTIONS, "SPX", [Holding(c, q) for c, q in book.items()], VIEW, IBKR)


def rise(book: Lots, trade: Lots) -> float:
    change = MarginBook([Holding(c, q) for c, q in book.items()], VIEW, IBKR).change(
        [Holding(c, q) for c, q in trade.items()]
    )
    assert change.initial is not None and change.maintenance is not None
    return min(change.initial, change.maintenance)


def amounts(trade: Lots) -> np.ndarray:
    return np.array([float(trade.get(c, 0)) for c in OPTIONS])


lots = st.dictionaries(st.sampled_from(OPTIONS), count, max_size=7)


@given(lots, st.dictionaries(st.sampled_from(OPTIONS), count, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_no_trade_raises_margin_by_less_than_the_floor(book: Lots, trade: Lots) -> None:
    floor = floor_of(book)
    assert floor is not None
    assert floor.of(amounts(trade)) <= rise(book, trade) + 1e-6


@given(lots, st.sampled_from(OPTIONS), st.sampled_from([1.0, -1.0]))
@settings(max_examples=40, deadline=None)
def test_one_more_of_a_column_adds_what_the_cuts_say(book: Lots, contract: Contract, sign: float) -> None:
    floor = floor_of(book)
    assert floor is not None
    row = OPTIONS.index(contract)
    unit = np.where(np.arange(len(OPTIONS)) == row, sign, 0.0)
    added = floor.added(np.array([row]), np.array([sign]))[:, 0]
    assert floor.of(unit) == (floor.asked + added - floor.before).max()


def test_a_naked_short_in_an_empty_book_is_asked_whole() -> None:
    floor = floor_of({})
    assert floor is not None
    put = option(5700.0, "P")
    exact = rise({}, {put: -1})
    assert exact > 0.9 * exact > 0
    assert floor.of(amounts({put: -1})) > 0.9 * exact


def test_a_vertical_is_asked_its_width_and_no_naked_requirement() -> None:
    floor = floor_of({})
    assert floor is not None
    spread = {option(5900.0, "P"): -1, option(5700.0, "P"): 1}
    assert 0 < floor.of(amounts(spread)) <= rise({}, spread) + 1e-6 <= 20_000.01


def test_a_long_that_expires_first_covers_nothing() -> None:
    floor = floor_of({})
    assert floor is not None
    crossed = {option(5900.0, "P", EXPIRIES[1]): -1, option(5900.0, "P", EXPIRIES[0]): 1}
    assert floor.of(amounts(crossed)) > 40_000


def test_there_is_no_floor_where_shares_pair_or_options_are_lent_on() -> None:
    spy = [Holding(stock("SPY"), 100)]
    mine = [option(600.0, symbol="SPY", trading_class="SPY")]
    assert margin_floor(mine, "SPY", spy, VIEW, IBKR) is None
    assert margin_floor([*OPTIONS, FAR], "SPX", [], VIEW, CBOE) is None
    assert margin_floor(OPTIONS, "QQQ", [], VIEW, IBKR) is None
