"""How a record did: returns by hand with money coming and going, falls, ratios and the intervals they deserve."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.quant.performance import (
    Flow,
    annual_return,
    annual_vol,
    drawdowns,
    hit_rate,
    max_drawdown,
    profit_factor,
    record,
    time_weighted_returns,
)
from models.quant.ratios import LEAST, SHARPE, SORTINO, bootstrapped, estimate, probabilistic_sharpe, sharpe_odds

START = datetime(2026, 1, 1, tzinfo=UTC)


def days(*numbers: float) -> list[datetime]:
    return [START + timedelta(days=n) for n in numbers]


# ── returns ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_flow_at_a_valuation_is_exact() -> None:
    """100 grows to 110 and 50 arrives (equity 160); then 10 % again: 176. Both periods earned exactly 10 %."""
    got = time_weighted_returns(days(0, 1, 2), [100.0, 160.0, 176.0], [Flow(days(1)[0], 50.0)])
    assert got == pytest.approx([0.10, 0.10])


def test_a_flow_between_valuations_counts_for_the_time_it_was_there() -> None:
    """Modified Dietz: (115 − 100 − 10) / (100 + 10·(30−10)/30) = 5 / 106.667; taking out mirrors putting in."""
    got = time_weighted_returns(days(0, 30), [100.0, 115.0], [Flow(days(10)[0], 10.0)])
    assert got == pytest.approx([5.0 / (100.0 + 10.0 * 20.0 / 30.0)])
    out = time_weighted_returns(days(0, 30), [100.0, 85.0], [Flow(days(15)[0], -20.0)])
    assert out == pytest.approx([5.0 / 90.0])


def test_capital_of_nothing_has_no_return() -> None:
    assert math.isnan(time_weighted_returns(days(0, 1), [0.0, 5.0])[0])


def test_valuations_out_of_order_and_flows_outside_are_refused() -> None:
    with pytest.raises(ValueError, match="times must rise"):
        time_weighted_returns(days(1, 0), [1.0, 2.0])
    with pytest.raises(ValueError, match="outside the valuations"):
        time_weighted_returns(days(0, 1), [1.0, 2.0], [Flow(days(2)[0], 1.0)])
    with pytest.raises(ValueError, match="at least 2"):
        time_weighted_returns(days(0), [1.0])
    with pytest.raises(ValueError, match="drop or fill"):
        record([0.1, math.nan], 252)


@given(st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(-400.0, 900.0)), min_size=1, max_size=20))
def test_money_moved_at_valuations_never_changes_the_returns(steps: list[tuple[float, float]]) -> None:
    equity, flows = [1e6], []
    for i, (earned, moved) in enumerate(steps):
        equity.append(equity[-1] * (1 + earned) + moved)
        flows.append(Flow(days(i + 1)[0], moved))
    got = time_weighted_returns(days(*range(len(equity))), equity, flows)
    assert got == pytest.approx([earned for earned, _ in steps], abs=1e-9)


# ── falls ────────────────────────────────────────────────────────────────────────────────────────────────────────
UPS_AND_DOWNS = [0.10, -0.20, -0.10, 0.25, 0.15, -0.05]
"""Wealth 1, 1.1, .88, .792, .99, 1.1385, 1.081575: the deepest fall is .792/1.1 − 1 = −28 %, three periods wide."""


def test_the_deepest_fall_has_its_depth_places_and_length() -> None:
    fall = max_drawdown(UPS_AND_DOWNS)
    assert fall.depth == pytest.approx(-0.28)
    assert (fall.peak, fall.trough, fall.recovered, fall.longest) == (1, 3, 5, 3)
    assert drawdowns(UPS_AND_DOWNS) == pytest.approx([0, 0, -0.2, -0.28, -0.1, 0, -0.05])


def test_a_fall_still_open_is_not_recovered_and_no_fall_is_nothing() -> None:
    still = max_drawdown([0.1, -0.5, 0.2, 0.1])
    assert (still.recovered, still.longest) == (None, 3)
    none = max_drawdown([0.1, 0.0, 0.2])
    assert (none.depth, none.peak, none.trough, none.recovered, none.longest) == (0.0, 0, 0, 0, 0)


def test_yearly_numbers_by_hand() -> None:
    assert annual_return([0.01] * 12, 12) == pytest.approx(1.01**12 - 1)
    assert annual_return([0.21], 0.5) == pytest.approx(0.1)
    assert annual_return([-1.0, 0.5], 12) == -1.0
    assert annual_return([], 12) is None
    assert annual_vol([0.01, 0.03], 4) == pytest.approx(math.sqrt(0.0002) * 2)
    assert annual_vol([0.01], 12) is None


def test_hits_and_the_profit_factor_by_hand() -> None:
    assert hit_rate([100.0, -50.0, 0.0, 25.0]) == pytest.approx(2 / 3)
    assert profit_factor([100.0, -50.0, 0.0, 25.0]) == 2.5
    assert profit_factor([1.0]) == math.inf
    assert (hit_rate([0.0]), profit_factor([])) == (None, None)


# ── reward per risk ──────────────────────────────────────────────────────────────────────────────────────────────
def three_point(mean: float, n: int = 24) -> np.ndarray:
    """Values mean ± √3 (one sixth each) and mean: deviation 1, skewness 0, kurtosis 3, as the normal's."""
    return mean + math.sqrt(3.0) * np.repeat([-1.0, 0.0, 0.0, 0.0, 0.0, 1.0], n // 6)


@pytest.mark.parametrize(("sharpe", "n", "error"), [(0.5, 24, 0.217), (1.0, 60, 0.158), (1.5, 12, 0.421)])
def test_the_error_of_a_sharpe_is_los(sharpe: float, n: int, error: float) -> None:
    """√((1 + SR²/2) / n), Lo, The Statistics of Sharpe Ratios (2002), equation 9 and table 1."""
    found = estimate(SHARPE, three_point(sharpe, n), 1.0)
    assert found.low is not None and found.high is not None
    assert (found.high - found.low) / 2 / 1.959964 == pytest.approx(error, abs=6e-4)


def test_the_error_of_a_sharpe_is_mertens_with_skew_and_tails() -> None:
    x = np.random.default_rng(1).gamma(2.0, 1.0, 500) - 1.5
    z = (x - x.mean()) / x.std()
    sr = x.mean() / x.std()
    mertens = math.sqrt((1 - (z**3).mean() * sr + ((z**4).mean() - 1) / 4 * sr**2) / 500)
    found = estimate(SHARPE, x, 252)
    assert found.value == pytest.approx(x.mean() / x.std(ddof=1) * math.sqrt(252))
    assert found.high is not None and found.value is not None
    assert (found.high - found.value) / 1.959964 / math.sqrt(252) == pytest.approx(mertens, rel=1e-6)


def test_the_error_of_a_sortino_is_what_samples_scatter() -> None:
    random = np.random.default_rng(2)
    draws = [estimate(SORTINO, random.normal(0.1, 1.0, 400), 1.0) for _ in range(400)]
    scatter = np.std([d.value for d in draws])
    told = np.mean([(d.high - d.low) / 2 / 1.959964 for d in draws])
    assert told == pytest.approx(scatter, rel=0.1)


def test_a_sortino_by_hand_counts_every_return_below_the_target() -> None:
    """Above .01: +.02 six times, −.01 six times: mean .005, downside √(.0001/2)."""
    found = estimate(SORTINO, [0.03, 0.0] * 6, 12, target=0.01)
    assert found.value == pytest.approx(0.005 / math.sqrt(0.00005) * math.sqrt(12))


def test_returns_that_lean_on_each_other_widen_the_interval() -> None:
    noise = np.random.default_rng(3).normal(0.05, 1.0, 600)
    leaning = noise.copy()
    for i in range(1, 600):
        leaning[i] += 0.5 * leaning[i - 1]

    def width(lags: int) -> float:
        found = estimate(SHARPE, leaning, 1.0, lags=lags)
        assert found.low is not None and found.high is not None
        return found.high - found.low

    # the long-run variance of an AR(1) is (1 + ρ)/(1 − ρ) = 3 times the plain one
    assert width(12) / width(0) == pytest.approx(math.sqrt(3.0), rel=0.15)
    wide = bootstrapped(SHARPE, leaning, 1.0, seed=4, block=20)
    assert wide.low is not None and wide.high is not None
    assert wide.high - wide.low == pytest.approx(width(12), rel=0.15)


def test_the_bootstrap_repeats_with_its_seed_and_agrees_where_returns_are_independent() -> None:
    x = np.random.default_rng(5).normal(0.1, 1.0, 500)
    once, again, other = (bootstrapped(SHARPE, x, 252, seed=seed, block=1) for seed in (6, 6, 7))
    assert once == again
    assert once != other
    plain = estimate(SHARPE, x, 252)
    assert (once.low, once.high) == pytest.approx((plain.low, plain.high), abs=0.1 * (plain.high - plain.low))
    assert bootstrapped(SORTINO, x, 252, seed=8).value == pytest.approx(estimate(SORTINO, x, 252).value)


def test_the_probabilistic_sharpe_is_its_authors() -> None:
    """Bailey & López de Prado (2012): .458 a month over 24 months is .982 by the normal law, .913 with its moments."""
    assert sharpe_odds(0.458, 24, 0.0, 3.0) == pytest.approx(0.982, abs=5e-4)
    assert sharpe_odds(0.458, 24, -2.448, 10.164) == pytest.approx(0.913, abs=5e-4)
    assert sharpe_odds(0.5, 24, 0.0, 3.0, benchmark=0.5) == 0.5
    odds = probabilistic_sharpe(three_point(0.5), benchmark=0.0)
    sample = 0.5 / math.sqrt(24 / 23)  # the sample deviation is a little more than 1
    assert odds == pytest.approx(sharpe_odds(sample, 24, 0.0, 3.0))


def test_too_little_or_too_still_is_unknown_with_the_reason() -> None:
    short = estimate(SHARPE, [0.1, 0.2], 12)
    assert (short.value, short.low, short.high, short.n) == (None, None, None, 2)
    assert short.why == f"2 returns; {LEAST} are the least that say anything"
    assert estimate(SHARPE, [0.01] * 30, 12).why == "the returns never vary"
    assert estimate(SORTINO, [0.01, 0.02] * 20, 12).why == "no return fell short"
    assert bootstrapped(SHARPE, [0.0] * 30, 12, seed=1).value is None
    assert probabilistic_sharpe([0.1]) is None


def test_a_whole_record_says_what_it_knows() -> None:
    found = record(UPS_AND_DOWNS * 3, 12)
    assert found.n == 18
    assert found.total_return == pytest.approx(1.081575**3 - 1)
    assert found.calmar is not None and found.drawdown is not None and found.annual_return is not None
    assert found.calmar == pytest.approx(found.annual_return / -found.drawdown.depth)
    assert found.hit_rate == 0.5
    assert found.profit_factor == pytest.approx(0.5 / 0.35)
    nothing = record([], 12)
    assert (nothing.total_return, nothing.drawdown, nothing.calmar, nothing.psr) == (None, None, None, None)
    assert nothing.sharpe.why
