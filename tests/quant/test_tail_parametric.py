"""Parametric value at risk against its closed forms, quadrature of the moments, and simulation with a seed."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy.integrate import quad

from models.quant.beta import Beta
from models.quant.parametric import (
    FactorGreeks,
    ParametricTail,
    delta_gamma_vega,
    delta_normal,
    factor_greeks,
    joint_covariance,
)
from models.quant.scenario import history_pnl, revalue
from models.quant.tail import expected_shortfall, value_at_risk
from models.quant.terms import terms_of
from models.quant.vectors import vectorise
from tests.quant.quant_market import EXPIRIES, future, market, option, stock

COVARIANCE = np.array([[1.0, -1.3], [-1.3, 2.9]])
SHORT = FactorGreeks(np.array([[500.0, -800.0]]), np.array([[[-600.0, 100.0], [100.0, -20.0]]]))


def simulated(n: int) -> np.ndarray:
    return np.random.default_rng(20).multivariate_normal([0, 0], COVARIANCE, n)


def view() -> object:
    return market(betas={"TSLA": Beta(2.0, "IBKR"), "AAPL": Beta(1.2, "IBKR")})


# ── greeks in the two factors ───────────────────────────────────────────────────────────────────────────────────────
def test_slope_and_curve_are_the_bumps_of_the_repricing() -> None:
    contracts = [option(6000.0, "C"), option(5500.0, "P", EXPIRIES[2]), future("ES", 50), stock("TSLA")]
    terms = terms_of(contracts, view())  # type: ignore[arg-type]
    factors = factor_greeks(terms)
    h, k = 0.1, 0.1  # per cent, points

    def at(x: float, y: float) -> np.ndarray:
        return revalue(terms, [0.01 * x], [y])[:, 0]

    np.testing.assert_allclose(factors.gradient[:, 0], (at(h, 0) - at(-h, 0)) / (2 * h), rtol=1e-3)
    np.testing.assert_allclose(factors.gradient[:, 1], (at(0, k) - at(0, -k)) / (2 * k), rtol=1e-3, atol=1e-6)
    bend = [(at(h, 0) + at(-h, 0)) / h**2, (at(0, k) + at(0, -k)) / k**2]
    cross = (at(h, k) - at(h, -k) - at(-h, k) + at(-h, -k)) / (4 * h * k)
    np.testing.assert_allclose(factors.curvature[:, 0, 0], bend[0], rtol=5e-3, atol=1e-6)
    np.testing.assert_allclose(factors.curvature[:, 1, 1], bend[1], rtol=5e-3, atol=1e-2)
    np.testing.assert_allclose(factors.curvature[:, 0, 1], cross, rtol=5e-3, atol=1e-2)
    np.testing.assert_array_equal(factors.curvature[:, 0, 1], factors.curvature[:, 1, 0])


def test_slope_and_curve_are_the_desks_limited_numbers() -> None:
    contracts = [option(6000.0, "C"), option(5500.0), stock("SPY")]
    vectors, factors = vectorise(contracts, market()), factor_greeks(terms_of(contracts, market()))
    np.testing.assert_allclose(factors.gradient, np.column_stack([vectors.spx_delta, vectors.vega_weighted]))
    np.testing.assert_allclose(factors.curvature[:, 0, 0], vectors.gamma)


# ── the covariance ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_covariance_is_in_per_cent_and_points_by_hand() -> None:
    history = [(0.01, -2.0), (-0.02, 3.0)]
    np.testing.assert_allclose(joint_covariance(history), [[(1 + 4) / 2, (-2 - 6) / 2], [-4.0, (4 + 9) / 2]])
    # a decay of one half: weights 1/3 and 2/3
    np.testing.assert_allclose(joint_covariance(history, 0.5)[0, 0], (1 + 2 * 4) / 3)


# ── a linear book ───────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("quantity", [1, 2, -3])
def test_a_future_loses_z_deviations_of_its_notional(quantity: int) -> None:
    factors = factor_greeks(terms_of([future("ES", 50)], market()))
    tail = delta_normal(factors, [quantity], COVARIANCE, 0.95, 0.975)
    notional, normal = abs(quantity) * 50 * 6030, NormalDist()
    assert tail.var == pytest.approx(normal.inv_cdf(0.95) * 0.01 * notional)
    assert tail.shortfall == pytest.approx(normal.pdf(normal.inv_cdf(0.975)) / 0.025 * 0.01 * notional)
    assert (tail.mean, tail.skewness, tail.kurtosis) == (0.0, 0.0, 0.0)


def test_a_linear_book_of_mixed_underlyings_agrees_with_simulation() -> None:
    terms = terms_of([future("ES", 50), stock("TSLA"), stock("AAPL")], view())  # type: ignore[arg-type]
    q = np.array([-1.0, 300.0, 200.0])
    history = simulated(200_000) * (0.01, 1.0)
    profit = q @ history_pnl(terms, history)
    tail = delta_gamma_vega(factor_greeks(terms), q, joint_covariance(history), 0.95, 0.975)
    assert tail.var == pytest.approx(value_at_risk(profit, 0.95), rel=0.01)
    assert tail.shortfall == pytest.approx(expected_shortfall(profit, 0.975), rel=0.01)
    by_hand = abs(-50 * 6030 + 300 * 400 * 2 + 200 * 200 * 1.2) * 0.01
    assert tail.deviation == pytest.approx(by_hand * math.sqrt(joint_covariance(history)[0, 0]))


# ── a curved book ───────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("slope", "curve"),
    [((500, -800), (-600, 100, -20)), ((-1500, 300), (-600, 100, -20)), ((500, 800), (600, 100, 20))],
)
def test_the_moments_are_those_of_quadrature(slope: tuple[float, float], curve: tuple[float, float, float]) -> None:
    """Gauss-Hermite sums of a polynomial of degree 8 are exact; they know nothing of cumulants."""
    gradient, bend = np.array(slope, float), np.array([[curve[0], curve[1]], [curve[1], curve[2]]], float)
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    grid = np.array([(a, b) for a in nodes for b in nodes]) @ np.linalg.cholesky(COVARIANCE).T
    share = np.outer(weights, weights).ravel() / (2 * np.pi)
    profit = grid @ gradient + 0.5 * np.einsum("ni,ij,nj->n", grid, bend, grid)
    mean = share @ profit
    second, third, fourth = (share @ (profit - mean) ** n for n in (2, 3, 4))
    tail = delta_gamma_vega(FactorGreeks(gradient[None], bend[None]), [1], COVARIANCE, 0.95, 0.975)
    assert tail.mean == pytest.approx(mean, rel=1e-10)
    assert tail.deviation == pytest.approx(math.sqrt(second), rel=1e-10)
    assert tail.skewness == pytest.approx(third / second**1.5, rel=1e-10)
    assert tail.kurtosis == pytest.approx(fourth / second**2 - 3, rel=1e-9)


def test_a_short_book_agrees_with_the_simulation_of_its_curve() -> None:
    x = simulated(400_000)
    profit = x @ SHORT.gradient[0] + 0.5 * np.einsum("ni,ij,nj->n", x, SHORT.curvature[0], x)
    tail = delta_gamma_vega(SHORT, [1], COVARIANCE, 0.95, 0.975)
    assert tail.var == pytest.approx(value_at_risk(profit, 0.95), rel=0.01)
    assert tail.shortfall == pytest.approx(expected_shortfall(profit, 0.975), rel=0.02)
    flat = delta_normal(SHORT, [1], COVARIANCE, 0.95, 0.975)
    assert tail.var > 1.2 * flat.var and tail.shortfall > 1.5 * flat.shortfall


def test_shortfall_is_the_average_of_the_expanded_quantile() -> None:
    tail = delta_gamma_vega(SHORT, [1], COVARIANCE, 0.975, 0.975)
    average, _ = quad(lambda p: delta_gamma_vega(SHORT, [1], COVARIANCE, 1 - p, 0.975).var, 0, 0.025)
    assert tail.shortfall == pytest.approx(average / 0.025, rel=1e-5)
    assert tail.shortfall > tail.var


def test_a_book_of_short_options_agrees_with_its_full_repricing() -> None:
    terms = terms_of([option(5600.0, "P", EXPIRIES[2]), option(6400.0, "C", EXPIRIES[2])], market())
    q = np.array([-3.0, -2.0])
    history = simulated(20_000) * (0.01, 1.0)
    profit = q @ history_pnl(terms, history)
    tail = delta_gamma_vega(factor_greeks(terms), q, joint_covariance(history), 0.95, 0.975)
    assert tail.var == pytest.approx(value_at_risk(profit, 0.95), rel=0.04)
    assert tail.shortfall == pytest.approx(expected_shortfall(profit, 0.975), rel=0.06)


def book() -> tuple[FactorGreeks, np.ndarray]:
    contracts = [option(5600.0), option(6200.0, "C", EXPIRIES[2]), future("ES", 50), stock("TSLA")]
    return factor_greeks(terms_of(contracts, view())), np.array([-3.0, 2.0, 1.0, -50.0])  # type: ignore[arg-type]


@pytest.mark.parametrize("method", [delta_normal, delta_gamma_vega])
def test_what_positions_add_sums_to_the_figure_and_is_its_slope(method: object) -> None:
    factors, q = book()

    def tail(quantities: np.ndarray) -> ParametricTail:
        return method(factors, quantities, COVARIANCE, 0.95, 0.975)  # type: ignore[operator, no-any-return]

    whole = tail(q)
    assert whole.var_components.sum() == pytest.approx(whole.var)
    assert whole.shortfall_components.sum() == pytest.approx(whole.shortfall)
    for i in range(q.size):
        step = np.zeros(q.size)
        step[i] = 1e-5 * abs(q[i])
        up, down = tail(q + step), tail(q - step)
        assert (up.var - down.var) / (2 * step[i]) == pytest.approx(whole.var_components[i] / q[i], rel=1e-5)
        slope = (up.shortfall - down.shortfall) / (2 * step[i])
        assert slope == pytest.approx(whole.shortfall_components[i] / q[i], rel=1e-5)


@pytest.mark.parametrize("times", [0.5, 2.0, 3.0])
def test_the_figures_scale_with_the_book(times: float) -> None:
    factors, q = book()
    one, many = (delta_gamma_vega(factors, n * q, COVARIANCE, 0.95, 0.975) for n in (1.0, times))
    assert many.var == pytest.approx(times * one.var)
    assert many.shortfall == pytest.approx(times * one.shortfall)
    assert many.skewness == pytest.approx(one.skewness)


def test_shortfall_is_above_value_at_risk_on_random_books() -> None:
    rng = np.random.default_rng(9)
    known = 0
    for _ in range(300):
        bend = rng.normal(0, 300, (2, 2))
        factors = FactorGreeks(rng.normal(0, 800, (1, 2)), (bend + bend.T)[None])
        tail = delta_gamma_vega(factors, [1], COVARIANCE, 0.95, 0.95)
        if math.isfinite(tail.var):
            known += 1
            assert tail.shortfall >= tail.var
    assert known > 200


# ── unknown ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_book_that_gains_on_every_large_move_has_no_expansion() -> None:
    long = FactorGreeks(np.zeros((1, 2)), np.array([[[600.0, 0.0], [0.0, 0.0]]]))
    tail = delta_gamma_vega(long, [1], COVARIANCE, 0.95, 0.975)
    assert math.isnan(tail.var) and math.isnan(tail.shortfall)
    assert tail.skewness == pytest.approx(math.sqrt(8)) and tail.kurtosis == pytest.approx(12)
    assert math.isfinite(delta_gamma_vega(long, [-1], COVARIANCE, 0.95, 0.975).var)


def test_an_unknown_position_makes_the_tail_unknown_unless_it_is_not_held() -> None:
    factors = factor_greeks(terms_of([option(5600.0), stock("XYZ")], market()))
    tail = delta_gamma_vega(factors, [-1, 1], COVARIANCE, 0.95, 0.975)
    assert all(math.isnan(x) for x in (tail.var, tail.shortfall, tail.mean, tail.deviation, tail.skewness))
    alone = delta_gamma_vega(factors, [-1, 0], COVARIANCE, 0.95, 0.975)
    assert alone.var > 0 and alone.var_components[1] == 0.0


def test_nothing_held_loses_nothing() -> None:
    factors = factor_greeks(terms_of([future("ES", 50)], market()))
    tail = delta_normal(factors, [0], COVARIANCE, 0.95, 0.975)
    assert (tail.var, tail.shortfall, tail.deviation) == (0.0, 0.0, 0.0)


def test_bad_inputs_are_named() -> None:
    with pytest.raises(ValueError, match="covariance has shape"):
        delta_normal(SHORT, [1], [1.0, 2.0], 0.95, 0.975)
    with pytest.raises(ValueError, match="spx_vix_history has shape"):
        joint_covariance([0.01, 0.02])
    with pytest.raises(ValueError, match="level"):
        delta_normal(SHORT, [1], COVARIANCE, 95, 0.975)
