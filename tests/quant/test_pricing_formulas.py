"""Prices and greeks against numbers from outside the code: mpmath at fifty digits, finite differences, parity."""

import itertools
import math

import numpy as np
import pytest

from models.quant.pricing import black76, bsm, bsm_price, forward_price
from tests.quant.plain import exact

CASES = [
    (spot, strike, t, vol, rate, dividend, call)
    for spot, strike, t, vol, (rate, dividend), call in itertools.product(
        (100.0, 6000.0), (0.7, 0.97, 1.0, 1.3), (1 / 365, 0.12, 2.0), (0.08, 0.22, 1.2), ((0.04, 0.013), (-0.01, 0.0)),
        (True, False),
    )
]  # fmt: skip
CASES = [(s, s * k, t, v, r, q, c) for s, k, t, v, r, q, c in CASES]


def columns() -> list[np.ndarray]:
    return [np.array(column) for column in zip(*CASES, strict=True)]


@pytest.mark.parametrize(
    "name", ["price", "delta", "gamma", "vega", "theta", "carry", "rho", "vanna", "volga", "charm"]
)
def test_every_greek_agrees_with_mpmath_in_the_desks_units(name: str) -> None:
    ours = getattr(bsm(*columns()), name)
    truth = np.array([float(exact(*case)[name]) for case in CASES])
    visible = np.abs(truth) > 1e-12 * np.abs(truth).max()
    assert np.max(np.abs(ours - truth)[visible] / np.abs(truth)[visible]) < 2e-9
    assert np.max(np.abs(ours - truth)) < 1e-11 * np.abs(truth).max()


def test_price_keeps_eleven_digits_in_the_far_wings() -> None:
    strikes = np.array([2000.0, 3000.0, 4500.0, 9000.0, 12000.0])
    call = strikes > 6000
    ours = bsm_price(6000.0, strikes, 0.12, 0.22, 0.04, 0.013, call)
    truth = [
        float(exact(6000.0, k, 0.12, 0.22, 0.04, 0.013, bool(c))["price"]) for k, c in zip(strikes, call, strict=True)
    ]
    assert min(truth) < 1e-12
    np.testing.assert_allclose(ours, truth, rtol=1e-11)


def test_greeks_are_the_slopes_of_the_price() -> None:
    s, k, t, v, r, q, c = columns()
    steady = (t > 0.1) & (v < 1)
    s, k, t, v, r, q, c = (x[steady] for x in (s, k, t, v, r, q, c))
    g = bsm(s, k, t, v, r, q, c)

    def slope(field: str, up: tuple, down: tuple, width: np.ndarray | float) -> np.ndarray:
        return (getattr(bsm(*up), field) - getattr(bsm(*down), field)) / width

    h = 1e-5 * s
    scale = s.max()
    for field, result in (("price", g.delta), ("delta", g.gamma)):
        found = slope(field, (s + h, k, t, v, r, q, c), (s - h, k, t, v, r, q, c), 2 * h)
        np.testing.assert_allclose(found, result, rtol=2e-6, atol=1e-8)
    e = 1e-6
    for field, result in (("price", g.vega), ("delta", g.vanna), ("vega", g.volga)):
        found = slope(field, (s, k, t, v + e, r, q, c), (s, k, t, v - e, r, q, c), 2 * e * 100)
        np.testing.assert_allclose(found, result, rtol=1e-5, atol=1e-9 * scale)
    rho = slope("price", (s, k, t, v, r + e, q, c), (s, k, t, v, r - e, q, c), 2 * e * 100)
    np.testing.assert_allclose(rho, g.rho, rtol=1e-5, atol=1e-9 * scale)
    for field, result in (("price", g.theta + g.carry), ("delta", g.charm)):
        found = -slope(field, (s, k, t + e, v, r, q, c), (s, k, t - e, v, r, q, c), 2 * e * 365)
        np.testing.assert_allclose(found, result, rtol=1e-5, atol=1e-9 * scale)


def test_put_call_parity_holds_for_price_and_delta() -> None:
    s, k, t, v, r, q, _ = columns()
    calls, puts = bsm(s, k, t, v, r, q, True), bsm(s, k, t, v, r, q, False)
    np.testing.assert_allclose(
        calls.price - puts.price, s * np.exp(-q * t) - k * np.exp(-r * t), rtol=0, atol=1e-11 * 8000
    )
    np.testing.assert_allclose(calls.delta - puts.delta, np.exp(-q * t), rtol=1e-13)
    np.testing.assert_array_equal(calls.gamma, puts.gamma)
    np.testing.assert_array_equal(calls.vega, puts.vega)


def test_black76_is_bsm_on_a_forward_and_its_rho_moves_the_discount_alone() -> None:
    s, k, t, v, r, _, c = columns()
    ours, twin = black76(s, k, t, v, r, c), bsm(s, k, t, v, r, r, c)
    for name in ("price", "delta", "gamma", "vega", "theta", "vanna", "volga", "charm"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(twin, name))
    np.testing.assert_allclose(ours.rho, -t * ours.price / 100, rtol=1e-14)
    e = 1e-6
    later, sooner = black76(s, k, t + e, v, r, c).price, black76(s, k, t - e, v, r, c).price
    np.testing.assert_allclose(-(later - sooner) / (2 * e * 365), ours.theta + ours.carry, rtol=1e-3, atol=1e-5)


def test_at_the_settlement_minute_only_the_intrinsic_value_is_left() -> None:
    g = bsm(100.0, np.array([90.0, 100.0, 110.0]), 0.0, 0.2, 0.04, 0.0, True)
    np.testing.assert_array_equal(g.price, [10.0, 0.0, 0.0])
    np.testing.assert_allclose(g.delta, [1.0, 0.5, 0.0], rtol=1e-15)
    for name in ("gamma", "vega", "theta", "vanna", "volga"):
        np.testing.assert_array_equal(getattr(g, name), 0.0)


def test_without_volatility_the_forward_is_certain() -> None:
    g = bsm(100.0, 100.0, 1.0, 0.0, 0.05, 0.0, np.array([True, False]))
    np.testing.assert_allclose(g.price, [100 - 100 * math.exp(-0.05), 0.0], atol=1e-12)
    np.testing.assert_allclose(g.delta, [1.0, 0.0], rtol=1e-14)


IMPOSSIBLE = [
    (-5.0, 100.0, 0.1, 0.2),
    (100.0, 0.0, 0.1, 0.2),
    (100.0, 100.0, -0.1, 0.2),
    (100.0, 100.0, 0.1, -0.2),
    (math.nan, 100.0, 0.1, 0.2),
    (100.0, 100.0, 0.1, math.nan),
]


@pytest.mark.parametrize("bad", IMPOSSIBLE)
def test_impossible_inputs_are_unknown_in_every_number(bad: tuple[float, float, float, float]) -> None:
    g = bsm(*bad, 0.04, 0.0, True)
    assert all(np.isnan(getattr(g, name)) for name in g.__dataclass_fields__)


def test_inputs_broadcast_and_keep_their_shape() -> None:
    g = bsm(6000.0, np.linspace(5000, 7000, 5)[:, None], np.array([0.1, 0.2, 0.5]), 0.2, 0.04, 0.01, True)
    assert g.price.shape == g.charm.shape == (5, 3)
    assert bsm(100.0, 100.0, 0.5, 0.2, 0.0, 0.0, True).price.shape == ()
    long = forward_price(np.full(10_000, 100.0), 100.0, 0.1, True)
    assert np.unique(long).size == 1
