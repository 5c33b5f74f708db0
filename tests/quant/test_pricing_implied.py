"""Implied volatility finds what the price determines and says unknown where the price says nothing."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.quant.implied import implied_vol, implied_vol_forward
from models.quant.pricing import bsm_price, forward_price


def test_the_tradeable_region_comes_back_to_the_last_digits() -> None:
    spot, vol = 6000.0, np.array([0.08, 0.15, 0.3, 0.6, 1.2])[:, None, None]
    t = np.array([1 / 365, 0.08, 0.5, 2.0])[:, None]
    z = np.linspace(-3, 3, 13)
    strike = spot * np.exp(z * vol * np.sqrt(t))
    price = bsm_price(spot, strike, t, vol, 0.0, 0.0, strike > spot)
    found = implied_vol(price, spot, strike, t, 0.0, 0.0, strike > spot)
    np.testing.assert_allclose(found, np.broadcast_to(vol, found.shape), rtol=1e-12)


def test_rates_and_dividends_are_taken_out_before_solving() -> None:
    price = bsm_price(6000.0, [5000.0, 6000.0, 7000.0], 0.5, 0.25, 0.05, 0.013, [False, True, True])
    found = implied_vol(price, 6000.0, [5000.0, 6000.0, 7000.0], 0.5, 0.05, 0.013, [False, True, True])
    np.testing.assert_allclose(found, 0.25, rtol=1e-12)


@settings(deadline=None, max_examples=400)
@given(x=st.floats(-8, 8), deviation=st.floats(1e-4, 12), call=st.booleans())
def test_every_price_with_information_gives_back_its_own_price(x: float, deviation: float, call: bool) -> None:
    strike = 100 * math.exp(x)
    price = float(forward_price(100.0, strike, deviation, call))
    found = float(implied_vol_forward(price, 100.0, strike, 1.0, 1.0, call))
    if math.isnan(found):
        intrinsic = max((100.0 - strike) if call else (strike - 100.0), 0.0)
        bound = 100.0 if call else strike
        assert price - intrinsic <= 1e-14 * max(intrinsic, 1e-290) or price >= bound * (1 - 1e-14)
        return
    again = float(forward_price(100.0, strike, found, call))
    # the rounding of ln(F/K) alone moves the price by about eps/deviation of itself
    assert again == pytest.approx(price, rel=max(1e-11, 64 * 2.2e-16 / deviation), abs=1e-300)


@pytest.mark.parametrize(
    ("strike", "deviation"), [(400.0, 0.05), (130.0, 0.012), (25.0, 0.06), (100.0, 1e-7), (100.5, 9.0), (1e4, 0.3)]
)
def test_extremes_agree_with_the_price_at_fifty_digits(strike: float, deviation: float) -> None:
    with mpmath.workdps(60):
        f, k, s = mpmath.mpf(100), mpmath.mpf(strike), mpmath.mpf(deviation)
        sign = 1 if k >= f else -1
        d1 = mpmath.log(f / k) / s + s / 2
        price = float(sign * (f * mpmath.ncdf(sign * d1) - k * mpmath.ncdf(sign * (d1 - s))))
    if price < 1e-300:
        pytest.skip("below the smallest double")
    found = float(implied_vol_forward(price, 100.0, strike, 1.0, 1.0, sign > 0))
    assert found == pytest.approx(deviation, rel=1e-10)


@pytest.mark.parametrize(
    ("price", "strike", "t", "call", "why"),
    [
        (0.0, 120.0, 0.1, True, "no price above nothing"),
        (20.0, 80.0, 0.1, True, "exactly intrinsic"),
        (19.9, 80.0, 0.1, True, "below intrinsic"),
        (100.0, 120.0, 0.1, True, "as dear as the underlying"),
        (120.0, 120.0, 0.1, False, "as dear as the strike"),
        (5.0, 100.0, 0.0, True, "no time left"),
        (math.nan, 100.0, 0.1, True, "no price"),
        (-1.0, 100.0, 0.1, True, "a negative price"),
        (math.inf, 100.0, 0.1, True, "an infinite price"),
        (20.000000000000004, 80.0, 0.1, True, "time value is the rounding of the price"),
    ],
)
def test_a_price_without_information_is_unknown(price: float, strike: float, t: float, call: bool, why: str) -> None:
    assert np.isnan(implied_vol_forward(price, 100.0, strike, t, 1.0, call)), why
