"""The normal model at fifty digits, below zero, by bumping and back again; CL of 2020-04-20 settled at −37.63."""

import math
from datetime import date

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from models.quant.bachelier import bachelier, implied_normal_vol
from models.quant.beta import Beta
from models.quant.pricing import black76
from models.quant.scenario import revalue
from models.quant.terms import Holding, terms_of
from models.quant.vectors import vectorise
from tests.quant import plain
from tests.quant.quant_market import future, mark, market

CL = -37.63
forwards = st.floats(-100.0, 100.0)


def exact(f: float, k: float, t: float, v: float, r: float, call: bool) -> mpmath.mpf:
    with mpmath.workdps(50):
        f, k, t, v, r = (mpmath.mpf(x) for x in (f, k, t, v, r))
        dev = v * mpmath.sqrt(t)
        d = (1 if call else -1) * (f - k) / dev
        return mpmath.exp(-r * t) * dev * (d * mpmath.ncdf(d) + mpmath.npdf(d))


def test_random_prices_agree_with_fifty_digits() -> None:
    """An in-the-money price keeps fifteen digits, the wing loses those that its two parts share: 1e-15 of deviation."""
    rng = np.random.default_rng(20261125)
    for _ in range(300):
        f, k = rng.uniform(-100, 100, 2)
        t, v, r, call = rng.uniform(0.001, 3), rng.uniform(1, 150), rng.uniform(-0.02, 0.15), bool(rng.random() < 0.5)
        ours = float(bachelier(f, k, t, v, r, call).price)
        assert ours == pytest.approx(float(exact(f, k, t, v, r, call)), rel=1e-13, abs=2e-15 * (v + abs(f - k)))


@pytest.mark.parametrize("call", [True, False])
@pytest.mark.parametrize("strike", [-60.0, -37.63, -20.0, 0.0, 10.0])
def test_a_price_is_the_discounted_mean_of_what_is_paid(strike: float, call: bool) -> None:
    """Integrated over the normal distribution of the future at expiry."""
    t, v, r = 0.1, 80.0, 0.002
    dev, sign = v * math.sqrt(t), 1.0 if call else -1.0

    def paid(z: float) -> float:
        return max(sign * (CL + dev * z - strike), 0.0) * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)

    kink = (strike - CL) / dev
    mean = sum(quad(paid, low, high, epsabs=1e-12)[0] for low, high in ((-12.0, kink), (kink, 12.0)))
    ours = float(bachelier(CL, strike, t, v, r, call).price)
    assert ours == pytest.approx(math.exp(-r * t) * mean, rel=1e-9)


@given(forwards, forwards, st.floats(0.001, 3.0), st.floats(0.5, 150.0), st.floats(-0.02, 0.15))
def test_a_call_less_a_put_is_the_discounted_distance(f: float, k: float, t: float, v: float, r: float) -> None:
    call, put = bachelier(f, k, t, v, r, True), bachelier(f, k, t, v, r, False)
    discount = math.exp(-r * t)
    assert float(call.price - put.price) == pytest.approx(discount * (f - k), abs=1e-12)
    assert float(call.delta - put.delta) == pytest.approx(discount, rel=1e-13)
    # up and down are alike: a call as far above as a put below
    assert float(bachelier(f, 2 * f - k, t, v, r, False).price) == pytest.approx(float(call.price), rel=1e-9, abs=1e-12)


@given(st.floats(-60.0, 60.0), st.floats(-2.5, 2.5), st.floats(0.02, 3.0), st.floats(5.0, 150.0), st.booleans())
def test_greeks_are_what_bumping_finds(f: float, z: float, t: float, v: float, call: bool) -> None:
    r, dev = 0.03, v * math.sqrt(t)
    k = f + z * dev
    g = bachelier(f, k, t, v, r, call)

    def slope(field: str, place: int, step: float) -> float:
        up, down = [f, k, t, v, r], [f, k, t, v, r]
        up[place] += step
        down[place] -= step
        return float(getattr(bachelier(*up, call), field) - getattr(bachelier(*down, call), field)) / (2 * step)

    move, point, day = 1e-4 * dev, 1e-4 * v, 1e-4 * t
    checks = [
        ("delta", slope("price", 0, move), 1.0), ("gamma", slope("delta", 0, move), 1 / dev),
        ("vega", slope("price", 3, point), math.sqrt(t)), ("vanna", slope("delta", 3, point), 1 / v),
        ("volga", slope("vega", 3, point), math.sqrt(t) / v), ("charm", -slope("delta", 2, day) / 365, 1 / t / 365),
        ("rho", slope("price", 4, 1e-5) / 100, t * (dev + abs(f - k)) / 100),
    ]  # fmt: skip
    for name, found, size in checks:
        assert float(getattr(g, name)) == pytest.approx(found, abs=1e-6 * size), name
    decay = -slope("price", 2, day) / 365
    assert float(g.theta + g.carry) == pytest.approx(decay, abs=1e-6 * (dev + abs(f - k)) / t / 365)


def test_the_textbook_in_one_pass() -> None:
    rng = np.random.default_rng(4)
    f, k, t, v, r = (rng.uniform(a, b, 5000) for a, b in ((-100, 100), (-100, 100), (0.01, 3), (1, 150), (-0.02, 0.1)))
    calls = rng.random(5000) < 0.5
    np.testing.assert_allclose(bachelier(f, k, t, v, r, calls).price, plain.bachelier(f, k, t, v, r, calls), atol=1e-12)


@pytest.mark.parametrize(("t", "vol"), [(0.0, 80.0), (0.5, 0.0), (0.0, 0.0)])
def test_without_time_or_volatility_only_the_distance_is_left(t: float, vol: float) -> None:
    g = bachelier(CL, [-50.0, CL, 10.0], t, vol, 0.0, [[True], [False]])
    np.testing.assert_allclose(g.price, [[12.37, 0, 0], [0, 0, 47.63]], atol=1e-12)
    np.testing.assert_allclose(g.delta, [[1, 0.5, 0], [0, -0.5, -1]], atol=1e-15)
    for name in ("gamma", "vega", "theta", "vanna", "volga"):
        np.testing.assert_array_equal(getattr(g, name), 0.0)


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_an_unknown_input_in_any_place_is_unknown_in_all_ten_numbers(place: int, wrong: float) -> None:
    bad = [CL, -30.0, 0.1, 80.0, 0.01]
    bad[place] = wrong
    g = bachelier(*bad, True)
    assert all(math.isnan(getattr(g, name)) for name in plain.NAMES)


@pytest.mark.parametrize("bad", [(CL, -30.0, -0.1, 80.0, 0.01), (CL, -30.0, 0.1, -80.0, 0.01)])
def test_time_and_volatility_below_zero_are_refused(bad: tuple[float, ...]) -> None:
    assert math.isnan(bachelier(*bad, False).price)


def test_any_price_gives_its_normal_volatility_back_out_to_the_wings() -> None:
    """Prices at sixty digits, down to 1e-300: thirty-seven deviations from the money."""
    rng = np.random.default_rng(20261125)
    for _ in range(200):
        f, t, v = rng.uniform(-60, 60), rng.uniform(0.01, 3), rng.uniform(1, 150)
        call, z = bool(rng.random() < 0.5), rng.uniform(0, 36)
        k = f + (1 if call else -1) * z * v * math.sqrt(t)
        price = float(exact(f, k, t, v, 0.0, call))
        found = float(implied_normal_vol(price, f, k, t, 1.0, call))
        assert found == pytest.approx(v, rel=1e-9)


def test_at_the_money_and_in_it_the_volatility_comes_back_too() -> None:
    strike = np.array([CL, -45.0, -30.0])
    for call in (True, False):
        price = bachelier(CL, strike, 0.1, 80.0, 0.02, call).price
        found = implied_normal_vol(price, CL, strike, 0.1, math.exp(-0.002), call)
        np.testing.assert_allclose(found, 80.0, rtol=1e-10)


@pytest.mark.parametrize(
    ("price", "t", "discount", "why"),
    [
        (12.37, 0.1, 1.0, "its intrinsic value"), (5.0, 0.1, 1.0, "below it"), (20.0, 0.0, 1.0, "no time"),
        (math.nan, 0.1, 1.0, "no price"), (math.inf, 0.1, 1.0, "no bound"), (20.0, 0.1, 0.0, "no discount"),
        (20.0, math.nan, 1.0, "unknown time"),
    ],
)  # fmt: skip
def test_a_price_that_tells_nothing_has_no_normal_volatility(price: float, t: float, discount: float, why: str) -> None:
    assert np.isnan(implied_normal_vol(price, CL, -50.0, t, discount, True)), why


def test_blacks_formula_refuses_a_future_below_zero() -> None:
    assert all(math.isnan(getattr(black76(CL, 10.0, 0.1, 0.5, 0.0, True), name)) for name in plain.NAMES)


@pytest.mark.parametrize("quantity", [1, 2, -3])
def test_a_crude_future_below_zero_still_falls_when_the_market_does(quantity: int) -> None:
    oil = future("CL", 1000, date(2026, 10, 21))
    view = market(marks={oil.identity: mark(CL)}, betas={"CL": Beta(0.5, "IBKR")})
    terms = terms_of([oil], view)
    profit = quantity * revalue(terms, [-0.10, 0.0, 0.10], [0.0, 20.0, -5.0])
    np.testing.assert_allclose(profit, [[-quantity * 0.05 * 37630, 0.0, quantity * 0.05 * 37630]], atol=1e-9)
    row = vectorise([oil], view)
    assert quantity * row.spx_delta[0] == pytest.approx(quantity * 0.01 * 0.5 * 37630)
    assert row.value[0] == pytest.approx(-37630)
    assert row.known.all()
    assert Holding(oil, quantity).quantity == quantity
