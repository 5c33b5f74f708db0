"""The spline on top of SVI: its algebra, what it recovers, what it refuses to follow, and the order of expiries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.quant.pricing import forward_price
from models.quant.smile import Svi, durrleman, fit_svi
from models.quant.smile_calendar import increasing
from models.quant.smile_spline import Observed, Spline, fit_spline, least_distance, steepest

T = 0.1
BASE = Svi(0.0008, 0.02, -0.5, 0.01, 0.05)
WAVY = Spline(0.06, -2.0, 0.5, (0.0, 1e-4, -2e-4, 3e-4, 1e-4, -1e-4, 2e-4, 0.0, 1e-4))


def w_shape(k: np.ndarray) -> np.ndarray:
    """A smile with a hump at the money, as before an announcement: no SVI has it."""
    return 0.20 - 0.3 * k + 1.2 * k * k + 0.012 * np.exp(-0.5 * (k / 0.02) ** 2)


def observed(n: int = 80, error: float = 0.001) -> Observed:
    k = np.linspace(-0.25, 0.15, n)
    return Observed(k, w_shape(k), np.full(n, error), T)


def fitted(seen: Observed) -> tuple[Svi, Spline | None]:
    svi = fit_svi(seen.k, seen.vol, np.hypot(seen.error, 0.01), seen.t)
    return svi, fit_spline(seen, svi)


def vol_of(svi: Svi, spline: Spline | None, k: np.ndarray) -> np.ndarray:
    return np.sqrt((svi.total_variance(k) + (spline.total_variance(k) if spline else 0.0)) / T)


@pytest.mark.parametrize("shaped", [BASE, WAVY], ids=["svi", "spline"])
def test_slopes_are_those_of_the_curve(shaped: Svi | Spline) -> None:
    k, step = np.linspace(-0.4, 0.4, 41), 1e-4
    w, slope, bend = shaped.shape(k)
    up, down = shaped.total_variance(k + step), shaped.total_variance(k - step)
    np.testing.assert_allclose(w, shaped.total_variance(k), rtol=1e-12)
    np.testing.assert_allclose(slope, (up - down) / (2 * step), atol=2e-6)
    inside = np.abs(np.arcsinh(k / 0.06)) < 1.9  # the bend jumps where the spline goes straight on
    np.testing.assert_allclose(bend[inside], ((up - 2 * w + down) / step**2)[inside], rtol=2e-2, atol=2e-3)


def test_a_spline_goes_straight_on_beyond_its_ends() -> None:
    y = np.array([-3.0, -2.5, -2.0, 2.0, 2.5, 3.0])
    w = WAVY.total_variance(WAVY.scale * np.sinh(y))
    assert w[0] - w[1] == pytest.approx(w[1] - w[2])
    assert w[5] - w[4] == pytest.approx(w[4] - w[3])


def test_a_hump_that_no_svi_has_is_recovered() -> None:
    seen = observed()
    svi, spline = fitted(seen)
    k = np.linspace(-0.24, 0.14, 200)
    assert np.abs(vol_of(svi, None, k) - w_shape(k)).max() > 0.004
    assert np.abs(vol_of(svi, spline, k) - w_shape(k)).max() < 0.0006


def test_strikes_left_out_are_found_between_the_others() -> None:
    seen = observed(80)
    half = Observed(seen.k[::2], seen.vol[::2], seen.error[::2], T)
    svi, spline = fitted(half)
    assert np.abs(vol_of(svi, spline, seen.k) - seen.vol).max() < 0.0015


def test_one_wrong_quote_among_many_has_no_say() -> None:
    seen = observed()
    vol = seen.vol.copy()
    vol[40] += 0.08
    svi, spline = fitted(Observed(seen.k, vol, seen.error, T))
    clean = fitted(seen)
    k = seen.k
    assert np.abs(vol_of(svi, spline, k) - vol_of(*clean, k)).max() < 0.0025


def test_too_few_quotes_leave_svi_alone() -> None:
    seen = observed(7)
    assert fitted(seen)[1] is None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-0.03, 0.03), min_size=30, max_size=30), st.floats(0.05, 0.6), st.floats(0.005, 2.0))
def test_no_quotes_bring_it_to_arbitrage(noise: list[float], level: float, t: float) -> None:
    """Density, tails and variance stay positive over the quoted strikes, whatever is quoted."""
    deviation = level * np.sqrt(t)
    k = np.linspace(-4, 3, 30) * deviation
    vol = level * (1 - 0.2 * k / deviation * 0.5) + np.array(noise) * level * 5
    vol = np.maximum(vol, 0.2 * level)
    seen = Observed(k, vol, np.full(30, 0.002), t)
    svi = fit_svi(k, vol, np.hypot(seen.error, 0.01), t)
    spline = fit_spline(seen, svi)
    if spline is None:
        return
    fine = np.linspace(k[0], k[-1], 500)
    shape = [a + b for a, b in zip(svi.shape(fine), spline.shape(fine), strict=True)]
    assert shape[0].min() > 0
    assert durrleman(fine, *shape).min() > -2e-3
    calls = forward_price(1.0, np.exp(fine), np.sqrt(shape[0]), True)
    assert (np.diff(calls) < 1e-9).all()


def test_the_steepest_slope_is_where_the_tail_loses_its_last_weight() -> None:
    """At the bound a call's price stands still as the strike moves."""
    w = np.array([0.02, 0.03])
    k = np.array([-0.3, 0.25])
    bound, step = steepest(k, w), 1e-5
    for side, right in ((0, False), (1, True)):
        slope = bound[side] * (1 if right else -1)
        ends = [
            float(forward_price(1.0, np.exp(k[side] + x), np.sqrt(w[side] + slope * x), right)) for x in (-step, step)
        ]
        assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(0.0, abs=1e-6)


def test_least_distance_finds_the_corner() -> None:
    """min x² + y² with x ≥ 1 and x + y ≥ 3: the point (1.5, 1.5); with x ≥ 2 as well, (2, 1)."""
    root, free = np.eye(2), np.zeros(2)
    rows = np.array([[1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(least_distance(root, free, rows, np.array([1.0, 3.0])), [1.5, 1.5], atol=1e-12)  # type: ignore[arg-type]
    np.testing.assert_allclose(least_distance(root, free, rows, np.array([2.0, 3.0])), [2.0, 1.0], atol=1e-12)  # type: ignore[arg-type]
    against = np.array([[1.0, 0.0], [-1.0, 0.0]])
    assert least_distance(root, free, against, np.array([1.0, 1.0])) is None


def test_pooling_by_hand_and_by_weight() -> None:
    w = np.array([[1.0], [3.0], [2.0], [4.0]])
    np.testing.assert_allclose(increasing(w, np.ones((4, 1))).ravel(), [1.0, 2.5, 2.5, 4.0])
    sure = np.array([[1.0], [1.0], [0.5], [1.0]])  # known twice as well counts four times
    np.testing.assert_allclose(increasing(w, sure).ravel(), [1.0, 2.2, 2.2, 4.0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.just(float("nan")), st.floats(0.001, 1.0)), min_size=1, max_size=12))
def test_what_is_pooled_rises_keeps_its_holes_and_its_mean(values: list[float]) -> None:
    w = np.array(values)[:, None]
    found = increasing(w, np.ones_like(w)).ravel()
    known = np.isfinite(w.ravel())
    np.testing.assert_array_equal(np.isfinite(found), known)
    assert (np.diff(found[known]) >= -1e-12).all()
    if known.any():
        assert found[known].mean() == pytest.approx(w.ravel()[known].mean())
