"""Historical value at risk and expected shortfall against published examples, brute force and their own axioms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.quant.scenario import history_pnl
from models.quant.tail import (
    age_weights,
    expected_shortfall,
    historical_tail,
    quantile_interval,
    value_at_risk,
    volatility_scaled,
    whole_days,
)
from models.quant.terms import terms_of
from tests.quant.quant_market import future, market, option, stock

days = st.integers(2, 60)
profits = days.flatmap(
    lambda n: arrays(np.float64, n, elements=st.floats(-1e6, 1e6, allow_subnormal=False, allow_nan=False))
)
levels = st.sampled_from([0.6, 0.9, 0.95, 0.975, 0.99])


def hull() -> np.ndarray:
    """The worst days of Hull, Options, Futures and Other Derivatives, table 22.4: 500 days, oldest first."""
    losses = {494: 477_841, 339: 345_435, 349: 282_204, 329: 277_041, 487: 253_385, 227: 217_974, 131: 205_256}
    out = np.full(500, -1000.0)
    for day, loss in losses.items():
        out[day - 1] = loss
    return -out


def test_hulls_example_of_aged_weights() -> None:
    weights = age_weights(500, 0.995)
    assert weights[493] == pytest.approx(0.00528, abs=5e-6)
    assert value_at_risk(hull(), 0.99, weights) == 282_204
    assert expected_shortfall(hull(), 0.99, weights) == pytest.approx(400_914, abs=0.5)


def test_hulls_example_of_days_that_count_alike() -> None:
    assert expected_shortfall(hull(), 0.99) == pytest.approx((477_841 + 345_435 + 282_204 + 277_041 + 253_385) / 5)
    # Hull takes the fifth worst day, 253,385; the quantile proper lies just below it
    assert value_at_risk(hull(), 0.99) == pytest.approx(253_385 - 0.99 * (253_385 - 217_974))


@given(profits, levels)
def test_value_at_risk_is_the_interpolated_quantile(profit: np.ndarray, level: float) -> None:
    assert value_at_risk(profit, level) == pytest.approx(-float(np.quantile(profit, 1 - level)), rel=1e-9, abs=1e-6)


@given(profits, levels)
def test_shortfall_is_the_least_of_rockafellar_and_uryasev(profit: np.ndarray, level: float) -> None:
    """ES = min over c of c + E[loss above c] / (1 − level), and the minimum lies on a day."""
    losses = -profit
    candidates = [c + np.maximum(losses - c, 0).mean() / (1 - level) for c in losses]
    assert expected_shortfall(profit, level) == pytest.approx(min(candidates), rel=1e-9, abs=1e-5)


@given(profits, levels, st.sampled_from([None, 0.9, 0.99]))
def test_shortfall_is_never_below_value_at_risk(profit: np.ndarray, level: float, decay: float | None) -> None:
    weights = None if decay is None else age_weights(profit.size, decay)
    var, shortfall = value_at_risk(profit, level, weights), expected_shortfall(profit, level, weights)
    assert shortfall >= var - 1e-6 * (1 + abs(var))


@given(profits, levels, st.floats(0.01, 100), st.floats(-1e4, 1e4))
def test_both_scale_with_the_book_and_move_with_cash(p: np.ndarray, level: float, times: float, cash: float) -> None:
    for measure in (value_at_risk, expected_shortfall):
        expected = times * measure(p, level) - cash
        assert measure(times * p + cash, level) == pytest.approx(expected, rel=1e-9, abs=1e-4)


@given(days.flatmap(lambda n: arrays(np.float64, (2, n), elements=st.floats(-1e6, 1e6))), levels)
def test_the_shortfall_of_two_books_together_is_not_above_their_sum(pair: np.ndarray, level: float) -> None:
    apart = expected_shortfall(pair[0], level) + expected_shortfall(pair[1], level)
    assert expected_shortfall(pair.sum(axis=0), level) <= apart + 1e-5


def test_value_at_risk_can_punish_spreading_and_shortfall_cannot() -> None:
    """Two short wings that each lose on one day in 25, never the same: each alone hides below the 95 % line."""
    one, other = np.ones(100), np.ones(100)
    one[:4], other[4:8] = -100.0, -100.0
    assert value_at_risk(one, 0.95) == value_at_risk(other, 0.95) == -1.0
    assert value_at_risk(one + other, 0.95) == 99.0
    assert expected_shortfall(one + other, 0.95) <= expected_shortfall(one, 0.95) + expected_shortfall(other, 0.95)


# ── positions ───────────────────────────────────────────────────────────────────────────────────────────────────────
def moves(n: int = 500) -> np.ndarray:
    spx = np.random.default_rng(7).standard_t(4, n) * 0.008
    return np.column_stack([spx, -110 * spx + np.random.default_rng(8).normal(0, 0.7, n)])


@pytest.mark.parametrize("weights", [None, age_weights(500, 0.98)])
@pytest.mark.parametrize("quantity", [1, 2, -3])
def test_what_positions_add_sums_to_the_figure_and_is_its_slope(quantity: int, weights: np.ndarray | None) -> None:
    contracts = [option(6100.0, "C"), option(5600.0), future("ES", 50), stock("AAPL")]
    rows = history_pnl(terms_of(contracts, market()), moves())
    q = np.array([quantity, -2.0, 1.0, 100.0])
    tail = historical_tail(q[:, None] * rows, 0.95, 0.975, weights)
    assert tail.var == pytest.approx(value_at_risk(q @ rows, 0.95, weights))
    assert tail.shortfall == pytest.approx(expected_shortfall(q @ rows, 0.975, weights))
    assert tail.var_components.sum() == pytest.approx(tail.var)
    assert tail.shortfall_components.sum() == pytest.approx(tail.shortfall)
    for i in range(4):
        step = np.zeros(4)
        step[i] = 1e-6 * abs(q[i])
        for measure, level, parts in (
            (value_at_risk, 0.95, tail.var_components), (expected_shortfall, 0.975, tail.shortfall_components),
        ):  # fmt: skip
            up, down = measure((q + step) @ rows, level, weights), measure((q - step) @ rows, level, weights)
            assert (up - down) / (2 * step[i]) == pytest.approx(parts[i] / q[i], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("quantity", [1, 2, -3])
def test_a_future_loses_its_notional_times_the_quantile(quantity: int) -> None:
    history = moves()
    rows = history_pnl(terms_of([future("ES", 50)], market()), history)
    tail = historical_tail(quantity * rows, 0.99, 0.99)
    side = np.sort(np.sign(quantity) * history[:, 0])
    assert tail.var == pytest.approx(-np.quantile(side, 0.01) * abs(quantity) * 50 * 6030)
    assert tail.shortfall == pytest.approx(-side[:5].mean() * abs(quantity) * 50 * 6030)


def test_one_unknown_position_makes_the_tail_unknown_and_no_days_do_too() -> None:
    table = np.array([[1.0, -2.0, 3.0], [1.0, math.nan, 2.0]])
    tail = historical_tail(table, 0.95, 0.975)
    assert math.isnan(tail.var) and math.isnan(tail.shortfall)
    assert math.isnan(value_at_risk([], 0.95)) and math.isnan(expected_shortfall([], 0.95))
    assert math.isnan(historical_tail(np.empty((2, 0)), 0.95, 0.975).var)
    assert all(math.isnan(x) for x in quantile_interval([], 0.95, 0.9))
    assert historical_tail(np.empty((0, 9)), 0.95, 0.975).var == 0.0


# ── weights, scaling, confidence ────────────────────────────────────────────────────────────────────────────────────
def test_a_tail_of_whole_days_is_their_plain_mean() -> None:
    profit = np.random.default_rng(1).normal(0, 1, 500)
    assert expected_shortfall(profit, whole_days(0.975, 500)) == pytest.approx(-np.sort(profit)[:13].mean(), rel=1e-12)
    assert whole_days(0.975, 1000) == pytest.approx(0.975)  # 25 days: the rounding of 1 − .975 adds none
    assert whole_days(0.99, 10) == pytest.approx(0.9)


def test_days_without_decay_count_alike_and_weights_fall_with_age() -> None:
    np.testing.assert_allclose(age_weights(4, 1.0), 0.25)
    weights = age_weights(100, 0.97)
    np.testing.assert_allclose(weights[:-1] / weights[1:], 0.97)
    assert weights.sum() == pytest.approx(1.0)


def test_past_moves_are_scaled_to_the_volatility_of_today_by_hand() -> None:
    # seed (1 + 1 + 4) / 3 = 2; then 1.5, 1.25 and 2.625 for the coming day
    expected = [math.sqrt(2.625 / 2), -math.sqrt(2.625 / 1.5), 2 * math.sqrt(2.625 / 1.25)]
    np.testing.assert_allclose(volatility_scaled([1.0, -1.0, 2.0], 0.5), expected)
    both = volatility_scaled([[1.0, 10.0], [-1.0, 10.0], [2.0, -10.0]], 0.5)
    np.testing.assert_allclose(both[:, 0], expected)
    np.testing.assert_allclose(both[:, 1], [10.0, 10.0, -10.0])  # always as volatile: nothing to scale
    np.testing.assert_array_equal(volatility_scaled([0.0, 0.0], 0.9), [0.0, 0.0])


def test_a_calm_past_before_a_wild_present_is_not_taken_at_face_value() -> None:
    rng = np.random.default_rng(5)
    history = np.concatenate([rng.normal(0, 0.005, 450), rng.normal(0, 0.02, 50)])
    assert value_at_risk(volatility_scaled(history, 0.94), 0.95) == pytest.approx(1.645 * 0.02, rel=0.25)
    assert value_at_risk(history, 0.95) < 0.5 * 1.645 * 0.02


def test_the_textbook_interval_of_a_median_of_twenty() -> None:
    """The 6th and the 15th of 20 hold the median with 95.9 % (David & Nagaraja, section 7.1)."""
    profit = np.random.default_rng(2).permutation(np.arange(1.0, 21.0))
    assert quantile_interval(profit, 0.5, 0.95) == (-15.0, -6.0)


@pytest.mark.parametrize(("n", "level", "confidence"), [(500, 0.95, 0.9), (250, 0.95, 0.95), (1000, 0.99, 0.9)])
def test_the_interval_holds_the_true_quantile_as_often_as_it_says(n: int, level: float, confidence: float) -> None:
    """Days as uniform numbers: the true loss is known, the share of intervals around it is counted."""
    rng, held = np.random.default_rng(11), 0
    for _ in range(600):
        low, high = quantile_interval(rng.random(n), level, confidence)
        held += low <= -(1 - level) <= high
    assert held / 600 >= confidence - 0.02
    assert held / 600 <= confidence + 0.06


def test_too_few_days_cannot_bound_the_loss_from_above() -> None:
    low, high = quantile_interval(np.arange(100.0), 0.99, 0.95)
    assert math.isnan(high)
    assert low == -3.0  # 98.2 % sure that at most three days in a hundred lie beyond: the fourth does not


@pytest.mark.parametrize("level", [0.0, 0.05, 1.0, 95.0, math.nan])
def test_a_level_is_a_fraction_of_the_days_kept(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        value_at_risk([1.0, 2.0], level)


def test_bad_inputs_are_named() -> None:
    with pytest.raises(ValueError, match=r"profits has shape \(3,\)"):
        historical_tail([1.0, 2.0, 3.0], 0.95, 0.975)
    with pytest.raises(ValueError, match="profit has shape"):
        value_at_risk([[1.0]], 0.95)
    with pytest.raises(ValueError, match=r"weights has shape \(1,\)"):
        value_at_risk([1.0, 2.0], 0.95, [1.0])
    with pytest.raises(ValueError, match="none negative"):
        value_at_risk([1.0, 2.0], 0.95, [1.0, -1.0])
    with pytest.raises(ValueError, match="decay"):
        age_weights(10, 0.0)
    with pytest.raises(ValueError, match="decay"):
        volatility_scaled([1.0], 1.5)
    with pytest.raises(ValueError, match="confidence"):
        quantile_interval([1.0], 0.95, 95)
