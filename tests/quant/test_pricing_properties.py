"""European prices and greeks at random terms: against fifty digits, against plain numpy, and as properties."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.quant.pricing import black76, bsm, bsm_price, forward_price
from tests.quant import plain

EPS = float(np.finfo(float).eps)
MINUTE = 1 / (365 * 24 * 60)
Terms = tuple[float, float, float, float, float, float]

spots = st.floats(5.0, 7000.0)
moneyness = st.floats(-6.0, 6.0)
years = st.floats(MINUTE, 5.0)
vols = st.floats(0.01, 3.0)
rates = st.floats(-0.02, 0.15)
yields = st.floats(-0.03, 0.12)


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    """(spot, strike, t, vol, rate, yield), the strike up to six deviations from the money."""
    s, z, t, v, r, q = (draw(x) for x in (spots, moneyness, years, vols, rates, yields))
    return s, s * math.exp(z * v * math.sqrt(t)), t, v, r, q


def random_terms(seed: int, count: int) -> tuple[np.ndarray, ...]:
    """Columns of terms and a flag: a minute to five years, vol 1 to 300 %, rates −2 to 15 %, nine deviations wide."""
    rng = np.random.default_rng(seed)

    def even_in_log(low: float, high: float) -> np.ndarray:
        return np.exp(rng.uniform(np.log(low), np.log(high), count))

    t, v, s = even_in_log(MINUTE, 5.0), even_in_log(0.01, 3.0), even_in_log(5.0, 7000.0)
    r, q = rng.uniform(-0.02, 0.15, count), rng.uniform(-0.03, 0.12, count)
    k = s * np.exp(rng.uniform(-9, 9, count) * v * np.sqrt(t))
    at_forward = rng.random(count) < 0.1
    return s, np.where(at_forward, s * np.exp((r - q) * t), k), t, v, r, q, rng.random(count) < 0.5


def sizes(s, k, t, v, r, q, call) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
    """What a greek that is a difference of parts, or passes through zero, is measured by: the size of its parts."""
    dev = v * np.sqrt(t)
    d1 = (np.log(s / k) + (r - q) * t) / dev + 0.5 * dev
    d2 = d1 - dev
    g = plain.bsm(s, k, t, v, r, q, call)
    dense = g["gamma"] * s * dev
    return {
        "vanna": dense * (1 + np.abs(d2)) / v / 100,
        "volga": g["vega"] * (1 + np.abs(d1)) * (1 + np.abs(d2)) / v / 100,
        "carry": np.abs(q * s * g["delta"] / 365) + np.abs(r * g["rho"] / t * 100 / 365),
        "charm": (np.abs(q * g["delta"]) + dense * (np.abs(r - q) / dev + (1 + np.abs(d2)) / (2 * t))) / 365,
    }


def conditions(s, k, t, v, r, q) -> np.ndarray:  # type: ignore[no-untyped-def]
    """By how much one rounding of an input is magnified: the elasticity, in its worst place."""
    dev = v * np.sqrt(t)
    d1 = (np.log(s / k) + (r - q) * t) / dev + 0.5 * dev
    found: np.ndarray = 1 + (1 + np.abs(d1) + np.abs(d1 - dev)) / dev
    return found


@pytest.mark.parametrize("seed", [20261125, 7])
def test_prices_and_greeks_agree_with_fifty_digits_drawn_at_random(seed: int) -> None:
    """Within 2e-12 from one per cent of deviation on; below, within sixteen roundings of an input."""
    *numbers, calls = random_terms(seed, 300)
    rows = list(zip(*numbers, calls, strict=True))
    truth = [plain.exact(*(float(x) for x in row[:6]), bool(row[6])) for row in rows]
    ours, scale = bsm(*numbers, calls), sizes(*numbers, calls)
    deviation, rounding = numbers[3] * np.sqrt(numbers[2]), 16 * EPS * conditions(*numbers)
    for name in plain.NAMES:
        exact = np.array([one[name] for one in truth])
        error = np.abs(getattr(ours, name) - exact) / np.maximum(
            np.maximum(np.abs(exact), scale.get(name, 0.0)), 1e-290
        )
        assert np.all(error <= rounding), name
        assert error[deviation > 0.01].max() < 2e-12, name


def test_fifty_thousand_random_rows_are_those_of_the_textbook() -> None:
    """Plain formulas cancel in the wings, where the kernel does not: what they agree on is measured by spot or size."""
    *numbers, calls = random_terms(3, 50_000)
    s, k, t, v, r, _ = numbers
    wide = v * np.sqrt(t) > 1e-3
    ours, scale = bsm(*numbers, calls), sizes(*numbers, calls)
    theirs, future = plain.bsm(*numbers, calls), plain.black76(s, k, t, v, r, calls)
    lots = {"price": s + k, "delta": 1.0 + s * 0, "rho": k * t / 100}
    for name in plain.NAMES:
        size = np.maximum(np.abs(theirs[name]), scale[name] if name in scale else lots.get(name, 0.0))
        gap = np.abs(getattr(ours, name) - theirs[name])
        assert np.all((gap <= 1e-9 * size) | ~wide | (size < 1e-280)), name
        assert np.isfinite(getattr(ours, name)).all()
    found = black76(s, k, t, v, r, calls)
    for name in ("price", "carry", "rho"):
        np.testing.assert_allclose(getattr(found, name), future[name], rtol=1e-9, atol=1e-12 * 7000)


@given(terms())
def test_a_call_less_a_put_is_the_forward_less_the_strike(a: Terms) -> None:
    s, k, t, _, r, q = a
    call, put = bsm(*a, True), bsm(*a, False)
    forward, strike = s * math.exp(-q * t), k * math.exp(-r * t)
    assert float(call.price - put.price) == pytest.approx(forward - strike, abs=8 * EPS * (forward + strike))
    assert float(call.delta - put.delta) == pytest.approx(math.exp(-q * t), rel=1e-14)
    assert float(call.rho - put.rho) == pytest.approx(t * strike / 100, rel=1e-13)
    assert (call.gamma, call.vega, call.theta) == (put.gamma, put.vega, put.theta)


@given(terms(), st.booleans())
def test_a_price_lies_between_its_intrinsic_value_and_its_bound(a: Terms, call: bool) -> None:
    s, k, t, _, r, q = a
    forward, strike = s * math.exp(-q * t), k * math.exp(-r * t)
    price = float(bsm(*a, call).price)
    assert price >= max((forward - strike) if call else (strike - forward), 0.0) * (1 - 4 * EPS)
    assert price <= (forward if call else strike) * (1 + 4 * EPS)


@given(terms(), st.booleans(), st.floats(1e-6, 0.5))
def test_prices_follow_spot_strike_and_volatility(a: Terms, call: bool, step: float) -> None:
    s, k, t, v, r, q = a
    way, slack = (1.0 if call else -1.0), 16 * EPS * (s + k)
    here = float(bsm(*a, call).price)
    assert way * (float(bsm(s * (1 + step), k, t, v, r, q, call).price) - here) >= -slack
    assert way * (float(bsm(s, k * (1 + step), t, v, r, q, call).price) - here) <= slack
    assert float(bsm(s, k, t, v * (1 + step), r, q, call).price) - here >= -slack


@given(terms(), st.booleans(), st.floats(1e-4, 0.3))
def test_butterflies_cost_something_and_verticals_at_most_their_width(a: Terms, call: bool, step: float) -> None:
    s, k, t, v, r, q = a
    low, middle, high = bsm(s, k * np.array([1 - step, 1.0, 1 + step]), t, v, r, q, call).price
    slack = 16 * EPS * (s + k)
    assert low - 2 * middle + high >= -slack
    assert abs(high - low) <= 2 * step * k * math.exp(-r * t) + slack


@given(terms(), st.booleans(), st.floats(1.0, 4.0))
def test_without_rates_more_time_is_worth_more(a: Terms, call: bool, longer: float) -> None:
    s, k, t, v, _, _ = a
    later = bsm(s, k, t * longer, v, 0.0, 0.0, call).price
    assert later >= bsm(s, k, t, v, 0.0, 0.0, call).price - 16 * EPS * (s + k)


@given(terms(), st.booleans(), st.floats(0.01, 100.0))
def test_prices_are_homogeneous_in_spot_and_strike(a: Terms, call: bool, unit: float) -> None:
    s, k, t, v, r, q = a
    here, there = bsm(*a, call), bsm(s * unit, k * unit, t, v, r, q, call)
    rounding = 16 * EPS * float(conditions(*a))
    for name, power in (("price", 1), ("delta", 0), ("gamma", -1), ("vega", 1), ("theta", 1)):
        expected = float(getattr(here, name)) * unit**power
        assert float(getattr(there, name)) == pytest.approx(expected, rel=rounding, abs=1e-280)


@given(terms())
def test_a_call_is_a_put_with_everything_exchanged(a: Terms) -> None:
    """McDonald and Schroder: a call on the stock in cash is a put on cash in the stock."""
    s, k, t, v, r, q = a
    rounding = 16 * EPS * float(conditions(*a))
    assert float(bsm(*a, True).price) == pytest.approx(float(bsm(k, s, t, v, q, r, False).price), rel=rounding)


@settings(max_examples=150)
@given(terms(), st.booleans())
def test_greeks_are_what_bumping_finds(a: Terms, call: bool) -> None:
    s, k, t, v, _, _ = a
    dev = v * math.sqrt(t)
    assume(dev > 0.005)
    assume(abs(math.log(s / k)) < 4 * dev)
    g = bsm(*a, call)

    def bump(field: str, place: int, step: float) -> float:
        up, down = list(a), list(a)
        up[place] += step
        down[place] -= step
        return float(getattr(bsm(*up, call), field) - getattr(bsm(*down, call), field)) / (2 * step)

    move, point, day, basis = 1e-4 * dev * s, 1e-4 * v, 1e-4 * t, 1e-4 * min(dev / t, 1.0)
    unit = s + k
    checks = [
        ("delta", bump("price", 0, move), 1.0), ("gamma", bump("delta", 0, move), 1 / (s * dev)),
        ("vega", bump("price", 3, point) / 100, unit * math.sqrt(t) / 100),
        ("vanna", bump("delta", 3, point) / 100, 1 / (100 * v)),
        ("volga", bump("vega", 3, point) / 100, unit * math.sqrt(t) / v / 1e4),
        ("rho", bump("price", 4, basis) / 100, unit * t / 100),
        ("charm", -bump("delta", 2, day) / 365, (1 / t + 0.2 * math.sqrt(1 / t) / v) / 365),
    ]  # fmt: skip
    for name, found, size in checks:
        assert float(getattr(g, name)) == pytest.approx(found, abs=2e-5 * size), name
    decay = -bump("price", 2, day) / 365
    assert float(g.theta + g.carry) == pytest.approx(decay, abs=2e-5 * unit * (v / math.sqrt(t) + 0.2) / 365)


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, -0.1])
def test_a_senseless_input_in_any_place_is_unknown_in_all_ten_numbers(place: int, wrong: float) -> None:
    fine = [100.0, 95.0, 0.3, 0.2, 0.03, 0.01]
    bad = list(fine)
    bad[place] = wrong
    expected = place < 4 or not math.isfinite(wrong)
    for found in (bsm(*bad, True), bsm(*bad, False)):
        assert all(math.isnan(getattr(found, name)) == expected for name in plain.NAMES)
    assert math.isnan(float(bsm_price(*bad, True))) == expected
    if place != 5:
        assert math.isnan(float(black76(*bad[:5], True).price)) == expected


@pytest.mark.parametrize("place", [0, 1])
def test_nothing_is_no_spot_and_no_strike(place: int) -> None:
    bad = [100.0, 95.0, 0.3, 0.2, 0.03, 0.01]
    bad[place] = 0.0
    assert all(math.isnan(getattr(bsm(*bad, True), name)) for name in plain.NAMES)


def test_an_unknown_row_leaves_its_neighbours_alone() -> None:
    vol = np.array([0.2, np.nan, 0.2, -1.0, 0.2, 0.2, 0.2, 0.2, 0.2])
    found = bsm(100.0, 100.0, 0.5, vol, 0.03, 0.01, True).charm
    np.testing.assert_array_equal(np.isnan(found), [0, 1, 0, 1, 0, 0, 0, 0, 0])
    assert np.unique(found[np.isfinite(found)]).size == 1


def test_inputs_of_every_layout_give_the_same_numbers() -> None:
    table = np.linspace(80.0, 120.0, 24).reshape(4, 6)
    expected = bsm(table.copy(), 100.0, 0.5, 0.2, 0.03, 0.01, True)
    locked = table.copy()
    locked.flags.writeable = False
    for view in (locked, np.asfortranarray(table), np.repeat(table, 2, axis=1)[:, ::2], table.astype(np.float32)):
        for name in plain.NAMES:
            found = getattr(bsm(view, 100.0, 0.5, 0.2, 0.03, 0.01, True), name)
            assert found.shape == (4, 6)
            np.testing.assert_allclose(found, getattr(expected, name), rtol=1e-12 if view.dtype == float else 1e-3)
    flags = np.array([True, False])[:, None, None]
    assert bsm(table, 100.0, 0.5, 0.2, 0.03, 0.01, flags).price.shape == (2, 4, 6)
    assert bsm(np.empty(0), 100.0, 0.5, 0.2, 0.03, 0.01, True).price.shape == (0,)
    assert bsm(np.array(100.0), 100.0, 0.5, 0.2, 0.03, 0.01, np.bool_(True)).delta.shape == ()
    with pytest.raises(ValueError, match="broadcast"):
        bsm(np.ones(3), np.ones(4), 0.5, 0.2, 0.03, 0.01, True)


def test_integers_and_lists_are_numbers_too() -> None:
    assert bsm([100, 101], 100, 1, 0.2, 0, 0, [True, False]).price.dtype == np.float64


def test_the_undiscounted_price_takes_a_deviation_of_any_size() -> None:
    deviation = np.array([0.0, 1e-300, 1e-8, 0.1, 8.0, 50.0, 1e6])
    call, put = forward_price(100.0, 90.0, deviation, True), forward_price(100.0, 90.0, deviation, False)
    np.testing.assert_allclose(call - put, 10.0, rtol=1e-14, atol=1e-13)
    np.testing.assert_array_equal(call[:2], 10.0)
    np.testing.assert_allclose(call[-2:], 100.0, rtol=1e-14)
    assert np.all(np.diff(call) >= 0)
