"""How likely a profit is: digitals along the smile against prices at high precision, and chances that add to one."""

import math
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp

from models.quant.payoff import Carry, Part, outcome
from models.quant.product import expiry_instant, years_to
from models.quant.terminal import Terminal, expected_profit, probability_of_profit, probability_of_touch
from tests.quant.quant_market import EXPIRIES, surface
from tests.quant.quant_market import option as spx
from tests.quant.test_payoff import LEFT, LEGS, build, paid, parts

INF, NAN = math.inf, math.nan
FLAT = Terminal(forward=100.0, years=0.25, vol=0.2)


def skewed(strikes: np.ndarray) -> np.ndarray:
    return 0.2 - 0.1 * np.log(np.asarray(strikes) / 100.0)


def call(strike: mp.mpf, vol: mp.mpf) -> mp.mpf:
    """Undiscounted Black-76 on a forward of 100 with a quarter of a year."""
    s = vol / 2
    d1 = mp.log(100 / strike) / s + s / 2
    return 100 * mp.ncdf(d1) - strike * mp.ncdf(d1 - s)


def test_a_sold_put_profits_above_its_break_even() -> None:
    """100 put sold for 3: d2 at 97 is (ln(100/97) − .005)/.1 = .2546, N = .6005 (tables: .5987 at .25)."""
    chance = probability_of_profit(outcome(parts("-1P100"), -300.0), FLAT)
    assert chance == pytest.approx(0.6005, abs=5e-5)


@pytest.mark.parametrize("level", [60.0, 90.0, 100.0, 103.0, 150.0])
def test_a_digital_is_the_slope_of_calls_along_the_smile(level: float) -> None:
    def along(k: mp.mpf) -> mp.mpf:
        return call(k, mp.mpf("0.2") - mp.mpf("0.1") * mp.log(k / 100))

    with mp.workdps(30):
        slope = 1 + mp.diff(along, mp.mpf(level))
    assert Terminal(100.0, 0.25, skewed).below([level])[0] == pytest.approx(float(slope), abs=1e-11)


def test_a_fitted_smile_gives_a_distribution_with_its_forward() -> None:
    fitted, contract = surface(), spx(6000.0)
    forward = fitted.forward(contract)
    assert forward is not None
    t = years_to(expiry_instant(contract), fitted.at)
    terminal = Terminal(forward, t, partial(fitted.iv, contract))
    levels = np.linspace(10.0, 12_000.0, 40_001)
    below = terminal.below(levels)
    assert (np.diff(below) > -1e-9).all()
    mean = float(np.trapezoid(1.0 - below, levels)) + 10.0
    assert mean == pytest.approx(forward, rel=2e-5)
    tilt = float(terminal.below([forward])[0]) - float(Terminal(forward, t, 0.16).below([forward])[0])
    assert tilt < -0.02  # a downward skew keeps more than half of the chances above the forward
    assert EXPIRIES[1] == contract.expiry


@given(LEGS, st.integers(-300, 300), st.booleans())
def test_a_trade_and_its_other_side_share_all_the_chances(
    legs: list[tuple[str, float, int]], price: int, smile: bool
) -> None:
    terminal = Terminal(100.0, 0.25, skewed if smile else 0.3)
    held, cost = build(legs), 25.0 * price
    other = [replace(p, quantity=-p.quantity) for p in held]
    ours, theirs = outcome(held, cost), outcome(other, -cost)
    a, b = probability_of_profit(ours, terminal), probability_of_profit(theirs, terminal)
    assert a is not None and b is not None
    assert 0.0 <= a <= 1.0 + 1e-12
    zero = [(x, y) for x, y in pairwise(ours.break_evens) if _nothing(held, cost, x, y)]
    idle = sum(terminal.between(x, y) for x, y in zero) + _idle_ends(held, cost, ours.break_evens, terminal)
    assert a + b + idle == pytest.approx(1.0, abs=1e-9)


def _nothing(held: list[Part], cost: float, low: float, high: float) -> bool:
    return abs(paid(held, 0.5 * (low + high)) - cost) < 1e-6


def _idle_ends(held: list[Part], cost: float, edges: tuple[float, ...], terminal: Terminal) -> float:
    first, last = (edges[0], edges[-1]) if edges else (2000.0, 2000.0)
    total = terminal.between(0.0, first) if _nothing(held, cost, 0.0, first) and first > 0 else 0.0
    return total + (terminal.between(last, INF) if _nothing(held, cost, last, last + 2000.0) else 0.0)


@pytest.mark.parametrize("quantity", [1, 2, -3])
def test_the_expected_profit_is_the_payoff_integrated_over_the_density(quantity: int) -> None:
    held = parts("+1P90 -1P95 -2C105 +1C115 +100U", quantity)
    cost = quantity * 9_800.0
    with mp.workdps(20):

        def weighed(z: mp.mpf) -> mp.mpf:
            s = 100 * mp.exp(mp.mpf("0.1") * z - mp.mpf("0.005"))
            pay = max(90 - s, 0) - max(95 - s, 0) - 2 * max(s - 105, 0) + max(s - 115, 0) + s
            return pay * mp.npdf(z)

        kinks = [(mp.log(k / mp.mpf(100)) + mp.mpf("0.005")) * 10 for k in (90, 95, 105, 115)]
        mean = float(mp.quad(weighed, [-12, *kinks, 12]))
    assert expected_profit(held, cost, FLAT) == pytest.approx(quantity * 100 * mean - cost, abs=1e-6)


@pytest.mark.parametrize("quantity", [1, 2, -3])
def test_what_lives_on_is_expected_at_both_times_variance(quantity: int) -> None:
    """Lognormal upon lognormal is lognormal: the later call's mean value is Black's at .2²·¼ + .25²·τ, discounted τ."""
    held = parts("-1C100 +1C105b", quantity, iv=0.25)
    carry = Carry(0.04, 0.013)
    deviation = math.sqrt(0.2**2 * 0.25 + 0.25**2 * LEFT)
    forward = 100.0 * math.exp((0.04 - 0.013) * LEFT)
    d1 = math.log(forward / 105.0) / deviation + deviation / 2
    later = math.exp(-0.04 * LEFT) * float(forward * mp.ncdf(d1) - 105 * mp.ncdf(d1 - deviation))
    near = float(call(mp.mpf(100), mp.mpf("0.2")))
    found = expected_profit(held, 0.0, FLAT, carry)
    assert found == pytest.approx(quantity * 100 * (later - near), abs=abs(quantity) * 1e-6)


def test_without_time_the_forward_is_certain() -> None:
    sure = Terminal(100.0, 0.0, 0.2)
    assert sure.below([99.0, 100.0, 101.0]).tolist() == [0.0, 0.0, 1.0]
    assert probability_of_profit(outcome(parts("-1P100"), -300.0), sure) == 1.0
    assert expected_profit(parts("-1P110"), -300.0, sure) == pytest.approx(-700.0)


@pytest.mark.parametrize(
    "terminal",
    [Terminal(100.0, 0.25, NAN), Terminal(NAN, 0.25, 0.2), Terminal(-37.63, 0.25, 0.2), Terminal(100.0, NAN, 0.2)],
)
def test_what_is_unknown_stays_unknown(terminal: Terminal) -> None:
    assert probability_of_profit(outcome(parts("-1P100"), -300.0), terminal) is None
    assert probability_of_profit(outcome(parts("+1C90 -1P90 -1C110 +1P110"), 1_900.0), terminal) is None
    assert expected_profit(parts("-1P100"), -300.0, terminal) is None


def test_a_payoff_that_is_unknown_has_no_chance() -> None:
    held = parts("-1C100 +1C100b")
    assert probability_of_profit(outcome(held, 100.0), FLAT) is None
    assert expected_profit(held, 100.0, FLAT) is None


def test_the_chances_of_a_level_end_at_nothing_and_everything() -> None:
    assert FLAT.below([-5.0, 0.0, INF]).tolist() == [0.0, 0.0, 1.0]
    assert math.isnan(FLAT.below(NAN))
    assert FLAT.between(-INF, INF) == 1.0


@pytest.mark.parametrize(("level", "growth"), [(110.0, 0.0), (92.0, 0.0), (110.0, 0.05), (95.0, -0.1)])
def test_a_touch_agrees_with_paths_walked_at_random(level: float, growth: float) -> None:
    """Fine steps miss a few touches: Broadie, Glasserman & Kou (1997) move the level by .5826·σ·√dt."""
    steps, walks, vol = 512, 20_000, 0.3
    dt = 0.25 / steps
    moves = np.random.default_rng(11).standard_normal((walks, steps)) * vol * math.sqrt(dt)
    path = np.cumsum(moves + (growth - vol * vol / 2) * dt, axis=1)
    seen = math.log(level / 100.0) - math.copysign(0.5826 * vol * math.sqrt(dt), level - 100.0)
    touched = (path >= seen).any(axis=1) if level > 100 else (path <= seen).any(axis=1)
    assert probability_of_touch(100.0, level, 0.25, vol, growth) == pytest.approx(touched.mean(), abs=0.01)


def test_a_touch_is_about_twice_the_chance_of_ending_beyond() -> None:
    beyond = 1.0 - float(FLAT.below([110.0])[0])
    assert 1.8 * beyond < probability_of_touch(100.0, 110.0, 0.25, 0.2) < 2.3 * beyond
    assert probability_of_touch(100.0, 100.0, 0.25, 0.2) == 1.0
    assert probability_of_touch(100.0, 110.0, 0.0, 0.2) == 0.0
    assert probability_of_touch(100.0, 101.0, 1.0, 0.0, growth=0.02) == 1.0
    assert math.isnan(probability_of_touch(100.0, 110.0, 0.25, NAN))
