"""The stress grid, scenario matrices and payoff curves are full repricings on shocked spot and shocked volatility."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from models.quant.beta import Beta
from models.quant.portfolio import Holding, expose, vectorise
from models.quant.pricing import bsm_price
from models.quant.product import expiry_instant, years_to
from models.quant.scenario import (
    NEAR_CELLS,
    STRESS_CELLS,
    STRESS_SPOTS,
    STRESS_VOLS,
    scenario_pnl,
)
from tests.quant.quant_market import EXPIRIES, NOW, SPOT, future, mark, market, option, stock


def test_the_grid_is_the_one_of_the_rules() -> None:
    assert STRESS_SPOTS == (-0.20, -0.15, -0.10, -0.07, -0.05, -0.03, -0.01, 0, 0.01, 0.03, 0.05, 0.07, 0.10)
    assert STRESS_VOLS == (-3, 0, 5, 10, 15, 25, 40)
    assert len(STRESS_CELLS) == 91
    assert int(NEAR_CELLS.sum()) == 11 * 5


@pytest.mark.parametrize(
    ("strike", "right", "expiry"), [(5700.0, "P", EXPIRIES[0]), (6200.0, "C", EXPIRIES[2]), (6500.0, "P", EXPIRIES[3])]
)
@pytest.mark.parametrize("quantity", [1, -2])
def test_every_cell_is_the_option_priced_again(strike: float, right: str, expiry: date, quantity: int) -> None:
    view, c = market(), option(strike, right, expiry)
    v = vectorise([c], view)
    t, surface = years_to(expiry_instant(c), NOW), view.surfaces["SPX"]
    rate = -np.log(surface.discount(c)) / t  # type: ignore[arg-type]
    q = rate - np.log(surface.forward(c) / SPOT) / t  # type: ignore[operator]
    days = (expiry - NOW.date()).days
    e = expose([Holding(c, quantity)], view, 1e6, 1e5)
    assert e.stress is not None
    base = float(bsm_price(SPOT, strike, t, v.iv[0], rate, q, right == "C"))
    for (spot, points), profit in zip(STRESS_CELLS, e.stress, strict=True):
        vol = max(v.iv[0] + points / 100 * np.sqrt(30 / max(days, 7)), 0.01)
        there = float(bsm_price(SPOT * (1 + spot), strike, t, vol, rate, q, right == "C"))
        assert profit == pytest.approx(quantity * 100 * (there - base), rel=1e-9, abs=1e-5)


def test_nothing_moves_nothing() -> None:
    v = vectorise([option(5500.0), option(6100.0, "C"), stock("AAPL"), future("ES", 50)], market())
    np.testing.assert_allclose(v.stress[:, STRESS_CELLS.index((0.0, 0.0))], 0.0, atol=1e-5)


def test_volatility_never_goes_below_its_floor() -> None:
    calm = option(6000.0, "C")
    view = market(marks={calm.identity: mark(25.0)}, surfaces={})
    v = vectorise([calm], view)
    assert v.iv[0] < 0.04
    down, level = (v.stress[0, STRESS_CELLS.index((0.0, p))] for p in (-3.0, 0.0))
    assert level == pytest.approx(0.0, abs=1e-6)
    assert -2500 < down < 0


def test_shares_and_futures_move_by_beta_and_ignore_volatility() -> None:
    tesla, es = stock("TSLA"), future("ES", 50)
    v = vectorise([tesla, es], market(betas={"TSLA": Beta(2.0, "IBKR")}))
    for i, (spot, _) in enumerate(STRESS_CELLS):
        assert v.stress[0, i] == pytest.approx(2 * spot * 400)
        assert v.stress[1, i] == pytest.approx(spot * 6030 * 50)


def test_a_high_beta_cannot_take_a_price_below_zero() -> None:
    v = vectorise([stock("TSLA")], market(betas={"TSLA": Beta(8.0, "IBKR")}))
    assert v.stress.min() == pytest.approx(-0.99 * 400)


def test_the_near_loss_looks_at_its_cells_only_and_losses_are_positive() -> None:
    e = expose([Holding(option(5500.0), -1)], market(), 1e6, 1e5)
    assert e.stress is not None
    cells = dict(zip(STRESS_CELLS, e.stress, strict=True))
    assert e.worst_cell == (-0.20, 40.0)
    assert e.stress_worst == pytest.approx(-cells[-0.20, 40.0])
    assert e.stress_near == pytest.approx(-cells[-0.10, 15.0])
    assert e.stress_worst > e.stress_near > 0  # type: ignore[operator]


def test_a_bought_strangle_at_the_extremes_loses_only_where_nothing_happens() -> None:
    e = expose([Holding(option(6000.0, "P"), 1), Holding(option(6000.0, "C"), 1)], market(), 1e6, 1e5)
    assert e.worst_cell is not None
    assert e.worst_cell[1] == -3.0
    assert abs(e.worst_cell[0]) <= 0.01


def test_thirty_point_shift_is_felt_more_by_the_near_expiry() -> None:
    near, far = option(6000.0, "C", EXPIRIES[0]), option(6000.0, "C", EXPIRIES[3])
    v = vectorise([near, far], market())
    i = STRESS_CELLS.index((0.0, 5.0))
    per_vega = v.stress[:, i] / v.vega
    assert per_vega[0] == pytest.approx(5 * np.sqrt(30 / 10), rel=0.01)
    assert per_vega[1] == pytest.approx(5 * np.sqrt(30 / 80), rel=0.01)


def test_the_scenario_matrix_agrees_with_the_grid_and_passes_time() -> None:
    holdings, view = [Holding(option(5700.0), -1), Holding(option(5500.0), 1)], market()
    matrix = scenario_pnl(holdings, view, STRESS_SPOTS, STRESS_VOLS, (0.0, 5.0))
    assert matrix.shape == (13, 7, 2)
    stress = expose(holdings, view, None, None).stress
    np.testing.assert_allclose(matrix[:, :, 0].ravel(), stress, atol=1e-9)
    assert matrix[7, 1, 1] > 0  # a short spread gains with five quiet days


def test_time_past_expiry_leaves_the_intrinsic_value() -> None:
    holdings, view = [Holding(option(5700.0), 1)], market()
    value = expose(holdings, view, None, None).market_value
    matrix = scenario_pnl(holdings, view, (-0.10, 0.0), (0.0,), (400.0,))
    assert matrix[0, 0, 0] == pytest.approx(100 * 300 - value, abs=1e-6)  # type: ignore[operator]
    assert matrix[1, 0, 0] == pytest.approx(-value, abs=1e-6)  # type: ignore[operator]


def test_unknown_contracts_make_a_scenario_unknown_and_nothing_held_is_nothing() -> None:
    blind = replace(option(5700.0), symbol="XYZ", trading_class="XYZ")
    assert np.isnan(scenario_pnl([Holding(blind, 1)], market(), (0.0,), (0.0,))).all()
    np.testing.assert_array_equal(scenario_pnl([], market(), (0.0, 0.1), (0.0,)), np.zeros((2, 1, 1)))
