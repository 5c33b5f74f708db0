"""The kernels' elementary functions keep the errors that their docstrings state, against mpmath on seeded arguments."""

from collections.abc import Callable

import mpmath
import numba
import numpy as np
import pytest

from models.quant.kernels import special

Floats = np.ndarray
RNG = np.random.default_rng(20261125)
SIGNS = RNG.choice([-1.0, 1.0], 400)
EXPONENTS = np.concatenate([
    RNG.uniform(-707.9, 708.9, 900), RNG.uniform(-1, 1, 300), SIGNS * 10 ** RNG.uniform(-18, 0, 400), [0.0, 709.0],
])  # fmt: skip
POSITIVE = np.concatenate([
    np.exp(RNG.uniform(-700, 700, 800)), RNG.uniform(0.5, 2, 600), 1 + SIGNS * 10 ** RNG.uniform(-15, -1, 400),
    [2.3e-308, 1.7e308, 0.5, np.sqrt(0.5), np.nextafter(np.sqrt(0.5), 0), 2.0],
])  # fmt: skip
SCALES = np.concatenate([RNG.uniform(0, 6, 700), 10 ** RNG.uniform(-15, 8, 700), [0.0, 3.0, 3.5, 1e8]])
DEVIATIONS = np.concatenate([RNG.uniform(-37, 37, 800), RNG.uniform(-3, 3, 300), [0.0, -37.5]])


def over(function: Callable[[float], float]) -> Callable[[Floats], Floats]:
    """The compiled scalar function in a loop of its own, as a kernel would call it."""

    @numba.njit(error_model="numpy")
    def loop(x: Floats) -> Floats:
        out = np.empty(x.size)
        for i in range(x.size):
            out[i] = function(x[i])
        return out

    return loop  # type: ignore[no-any-return]


def over_pairs(function: Callable[[float, float], tuple[float, float]]) -> Callable[[Floats, Floats], Floats]:
    @numba.njit(error_model="numpy")
    def loop(x: Floats, y: Floats) -> Floats:
        out = np.empty((2, x.size))
        for i in range(x.size):
            out[0, i], out[1, i] = function(x[i], y[i])
        return out

    return loop  # type: ignore[no-any-return]


def exact_erfcx(x: mpmath.mpf) -> mpmath.mpf:
    """At large x the product of a huge and a tiny number leaves mpmath's range; its asymptotic series serves."""
    if x < 1e4:
        return mpmath.exp(x * x) * mpmath.erfc(x)
    return (1 - 1 / (2 * x * x) + 3 / (4 * x**4)) / (x * mpmath.sqrt(mpmath.pi))


def errors(found: Floats, arguments: Floats, truth: Callable[[mpmath.mpf], mpmath.mpf]) -> tuple[float, float]:
    """(worst error in units of the last place, worst relative error)."""
    with mpmath.workdps(40):
        ulps, relative = 0.0, 0.0
        for value, x in zip(found, arguments, strict=True):
            exact = truth(mpmath.mpf(float(x)))
            gap = abs(mpmath.mpf(float(value)) - exact)
            ulps = max(ulps, float(gap / np.spacing(abs(float(exact)))))
            relative = max(relative, float(gap / abs(exact)) if exact else 0.0)
        return ulps, relative


def test_exp_is_within_one_ulp() -> None:
    assert errors(over(special.exp)(EXPONENTS), EXPONENTS, mpmath.exp)[0] < 1.0


def test_exp_is_nothing_far_down_bounded_far_up_and_nothing_where_nothing_is_known() -> None:
    found = over(special.exp)(np.array([-708.0, -800.0, -np.inf, np.nan, 709.0, 710.0, np.inf]))
    np.testing.assert_array_equal(found[:4], 0.0)
    np.testing.assert_array_equal(found[4:], found[4])
    assert found[4] == pytest.approx(8.218407461554972e307, rel=1e-15)


def test_log_is_within_one_ulp_of_every_normal_number() -> None:
    assert errors(over(special.log)(POSITIVE), POSITIVE, mpmath.log)[0] < 1.0


def test_log_answers_a_finite_number_even_where_there_is_none() -> None:
    assert np.isfinite(over(special.log)(np.array([0.0, -0.0, -1.0, np.nan, np.inf, -np.inf, 5e-324]))).all()


def test_scaled_erfc_errs_below_2e_15() -> None:
    assert errors(over(special.erfcx)(SCALES), SCALES, exact_erfcx)[1] < 2e-15


def test_scaled_erfc_of_two_numbers_errs_below_2e_15_in_both() -> None:
    other = RNG.permutation(SCALES)
    first, second = over_pairs(special.erfcx_pair)(SCALES, other)
    assert errors(first, SCALES, exact_erfcx)[1] < 2e-15
    assert errors(second, other, exact_erfcx)[1] < 2e-15


def test_the_brief_pair_keeps_eleven_digits() -> None:
    other = RNG.permutation(SCALES)
    first, second = over_pairs(special.erfcx_pair_brief)(SCALES, other)
    assert errors(first, SCALES, exact_erfcx)[1] < 1e-11
    assert errors(second, other, exact_erfcx)[1] < 1e-11


@pytest.mark.parametrize("pair", [special.erfcx_pair, special.erfcx_pair_brief])
def test_an_unknown_makes_its_whole_pair_unknown(pair: Callable[[float, float], tuple[float, float]]) -> None:
    assert np.isnan(over_pairs(pair)(np.array([np.nan, 1.0]), np.array([1.0, np.nan]))).all()


def test_the_normal_distribution_keeps_its_digits_in_the_left_tail() -> None:
    """Near −37 the rounding of z² alone is 5e-14."""
    found = over(special.ndtr)(DEVIATIONS)
    assert errors(found, DEVIATIONS, mpmath.ncdf)[1] < 1e-13
    near = np.abs(DEVIATIONS) < 5
    assert errors(found[near], DEVIATIONS[near], mpmath.ncdf)[1] < 4e-15


def test_the_tail_is_the_smaller_side_of_the_distribution() -> None:
    found = over(special.tail)(DEVIATIONS)
    assert errors(found, DEVIATIONS, lambda z: mpmath.ncdf(-abs(z)))[1] < 1e-13
    np.testing.assert_array_equal(found, over(special.tail)(-DEVIATIONS))


def test_the_distribution_is_exact_at_its_ends_and_unknown_where_its_argument_is() -> None:
    ends = over(special.ndtr)(np.array([-40.0, 40.0, 0.0, np.nan]))
    np.testing.assert_array_equal(ends, [0.0, 1.0, 0.5, np.nan])
