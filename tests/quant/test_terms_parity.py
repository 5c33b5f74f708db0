"""American options at parity are priced as exercised, not unknown; SPX's curve serves its family and the dollar."""

import numpy as np
import pytest

from models.quant.option import Contract, Right, SecType
from models.quant.portfolio import expose, vectorise
from models.quant.product import Settlement, Style, product_of
from models.quant.scenario_greeks import scenario_matrix
from models.quant.terms import Holding, terms_of
from tests.quant.quant_market import EXPIRIES, SPOT, mark, market, option

DEEP = Contract("SPY", SecType.OPTION, "SPY", 100, EXPIRIES[2], 700.0, Right.PUT)  # SPY at 600


@pytest.mark.parametrize("price", [99.0, 99.95, 100.0, 100.004])
def test_a_mark_at_or_below_exercise_tells_the_greatest_volatility_that_exercises(price: float) -> None:
    v = vectorise([DEEP], market(marks={DEEP.identity: mark(price)}))
    assert v.known.all()
    assert v.value[0] == pytest.approx(100 * price)
    assert v.spx_delta[0] == pytest.approx(-600, rel=0.01)
    just_above = vectorise([DEEP], market(marks={DEEP.identity: mark(100.005)}))
    assert v.iv[0] == pytest.approx(just_above.iv[0])


def test_a_book_with_a_leg_at_parity_stays_known_and_a_mark_far_below_is_not_believed() -> None:
    short = Holding(option(5800.0), -2)
    book = expose([short, Holding(DEEP, 1)], market(marks={DEEP.identity: mark(99.95)}), 1e6, 1e5)
    assert None not in (book.spx_delta, book.gamma, book.stress_worst)
    wrong = expose([short, Holding(DEEP, 1)], market(marks={DEEP.identity: mark(80.0)}), 1e6, 1e5)
    assert wrong.spx_delta is None


def test_without_a_surface_of_its_own_spy_grows_as_spx_does_and_a_stock_borrows_the_discount() -> None:
    view = market()
    index, spy = terms_of([option(6000.0, "C", EXPIRIES[2])], view), terms_of([DEEP], view)
    np.testing.assert_allclose(spy.carry, index.carry, rtol=1e-9)
    np.testing.assert_allclose(spy.discount, index.discount, rtol=1e-9)
    call = Contract("AAPL", SecType.OPTION, "AAPL", 100, EXPIRIES[2], 200.0, Right.CALL)
    stock = terms_of([call], view)
    np.testing.assert_allclose(stock.discount, index.discount, rtol=1e-9)
    np.testing.assert_allclose(stock.carry, 1 / stock.discount, rtol=1e-12)


def test_an_unknown_cell_is_unknown_in_every_greek() -> None:
    view = market(marks={DEEP.identity: mark(101.0)})
    for book in ([Holding(DEEP, -3)], [Holding(option(5800.0), 1)]):
        found = scenario_matrix(book, view, (0.0, -0.1), (0.0, float("nan")))
        for name in ("pnl", "spx_delta", "gamma", "vega", "theta"):
            cells = getattr(found, name)
            assert np.isnan(cells[:, 1]).all(), name
            assert np.isfinite(cells[:, 0]).all(), name


@pytest.mark.parametrize("trading_class", ["E1A", "E3C", "E5D", "EW5", "EW"])
def test_weekly_and_month_end_es_options_are_european_and_settle_in_the_afternoon(trading_class: str) -> None:
    contract = Contract("ES", SecType.FUTURE_OPTION, trading_class, 50, EXPIRIES[1], SPOT, Right.PUT)
    product = product_of(contract)
    assert (product.style, product.settlement, product.in_spx_family) == (Style.EUROPEAN, Settlement.PM, True)
    assert (
        product_of(Contract("ES", SecType.FUTURE_OPTION, "ES", 50, EXPIRIES[1], SPOT, Right.PUT)).style
        is Style.AMERICAN
    )
