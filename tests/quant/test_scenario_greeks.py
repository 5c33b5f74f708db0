"""Greeks in every cell are the slopes of the matrix's own profits, for every kind of contract."""

from dataclasses import replace

import numpy as np
import pytest

from models.quant.beta import Beta
from models.quant.option import Contract, Right, SecType
from models.quant.portfolio import expose
from models.quant.scenario import book_terms, matrix_pnl
from models.quant.scenario_greeks import matrix_of, scenario_matrix
from models.quant.terms import Holding, MarketView
from tests.quant.quant_market import EXPIRIES, future, mark, market, option, stock

SPOTS, VOLS, DAYS = (-0.10, -0.02, 0.0, 0.03), (-2.0, 0.0, 10.0), (0.0, 5.0)
NVDA_PUT = Contract("NVDA", SecType.OPTION, "NVDA", 100, EXPIRIES[2], 190.0, Right.PUT)
NVDA_CALL = replace(NVDA_PUT, strike=180.0, right=Right.CALL)
ES_PUT = Contract("ES", SecType.FUTURE_OPTION, "ES", 50, EXPIRIES[2], 6100.0, Right.PUT)
VIEW: MarketView = market(
    spots={"SPX": 6000.0, "ES": 6030.0, "NVDA": 185.0},
    marks={NVDA_PUT.identity: mark(9.4), NVDA_CALL.identity: mark(11.0), ES_PUT.identity: mark(170.0),
           "NVDA": mark(185.0)},
    betas={"NVDA": Beta(1.8, "IBKR")},
)  # fmt: skip
KINDS = {
    "European index": [Holding(option(5900.0), -2), Holding(option(6200.0, "C", EXPIRIES[3]), 1)],
    "American equity": [Holding(NVDA_PUT, -3), Holding(NVDA_CALL, 1)],
    "American on a future": [Holding(ES_PUT, 2)],
    "linear": [Holding(stock("NVDA"), 100), Holding(future("ES", 50), -1)],
}
KINDS["mixed"] = [holding for book in KINDS.values() for holding in book]


@pytest.mark.parametrize("kind", KINDS)
def test_greeks_of_a_cell_are_the_slopes_of_the_profit_there(kind: str) -> None:
    terms, q = book_terms(KINDS[kind], VIEW)
    found = matrix_of(terms, q, SPOTS, VOLS, DAYS)
    assert found.pnl.shape == found.theta.shape == (4, 3, 2)
    h = 1e-4  # of SPX: a cell's move is of today's SPX, its delta of the price there
    up, down = (matrix_pnl(terms, q, [s + way * h for s in SPOTS], VOLS, DAYS) for way in (1, -1))
    slope = (up - down) / (2 * h)
    assert np.isfinite(slope).all()
    if np.unique(terms.beta).size == 1:  # one beta: the price there is 1 + β·move of today's
        there = (1 + terms.beta[0] * np.array(SPOTS))[:, None, None]
        np.testing.assert_allclose(found.spx_delta, 0.01 * slope * there, rtol=2e-4, atol=0.1)
    e = 1e-3
    high, low = (matrix_pnl(terms, q, SPOTS, [v + way * e for v in VOLS], DAYS) for way in (1, -1))
    np.testing.assert_allclose(found.vega_weighted, (high - low) / (2 * e), rtol=2e-4, atol=0.02)


def test_the_cell_where_nothing_moved_is_todays_exposure() -> None:
    book = KINDS["mixed"]
    here, now = scenario_matrix(book, VIEW, (0.0,), (0.0,)), expose(book, VIEW, 1e6, 1e5)
    for name in ("spx_delta", "gamma", "vega", "vega_weighted", "theta"):
        assert float(getattr(here, name)[0, 0, 0]) == pytest.approx(getattr(now, name), rel=2e-5, abs=0.02), name


def test_an_unknown_contract_makes_every_cell_unknown_and_nothing_held_is_nothing() -> None:
    blind = replace(option(5700.0), symbol="XYZ", trading_class="XYZ")
    for book in ([Holding(blind, 1)], [Holding(replace(NVDA_PUT, symbol="XYZ", trading_class="XYZ"), 1)]):
        found = scenario_matrix(book, VIEW, SPOTS, VOLS)
        assert np.isnan(found.gamma).all()
        assert np.isnan(found.pnl).all()
    assert not scenario_matrix([], VIEW, SPOTS, VOLS).vega.any()


def test_past_expiry_only_an_intrinsic_delta_is_left() -> None:
    book = [Holding(NVDA_PUT, 1), Holding(option(6100.0), 1)]
    late = scenario_matrix(book, VIEW, (-0.2, 0.2), (0.0,), (400.0,))
    assert late.gamma.max() == late.vega.max() == late.theta.min() == 0.0
    down = -100 * 185 * 1.8 * 0.01 * (1 - 1.8 * 0.2) - 100 * 6000 * 0.01 * 0.8
    np.testing.assert_allclose(late.spx_delta[:, 0, 0], [down, 0.0], rtol=1e-12)
