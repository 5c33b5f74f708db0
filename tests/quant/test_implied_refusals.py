"""Implied volatility at random terms and at extremes, and the reason that stands where there is none."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.quant.implied import NoVolatility, implied_vol, implied_vol_forward, why_no_vol
from models.quant.pricing import bsm_price, forward_price
from tests.quant import plain

REFUSALS = {
    NoVolatility.INPUT: [
        (math.nan, 100.0, 90.0, 0.5, 1.0), (5.0, math.nan, 90.0, 0.5, 1.0), (5.0, 100.0, math.inf, 0.5, 1.0),
        (5.0, 100.0, 90.0, math.nan, 1.0), (5.0, 100.0, 90.0, 0.5, 0.0), (5.0, 100.0, 90.0, 0.5, -1.0),
        (5.0, -37.63, 90.0, 0.5, 1.0), (5.0, 100.0, 0.0, 0.5, 1.0), (math.inf, 100.0, 90.0, 0.5, 1.0),
        (5.0, 100.0, 90.0, 0.5, math.nan),
    ],
    NoVolatility.EXPIRED: [(12.0, 100.0, 90.0, 0.0, 1.0), (12.0, 100.0, 90.0, -0.1, 1.0)],
    NoVolatility.BELOW: [
        (10.0, 100.0, 90.0, 0.5, 1.0), (9.9, 100.0, 90.0, 0.5, 1.0), (-1.0, 100.0, 90.0, 0.5, 1.0),
        (10.000000000000002, 100.0, 90.0, 0.5, 1.0), (0.0, 100.0, 110.0, 0.5, 1.0), (9.8, 100.0, 90.0, 0.5, 0.98),
    ],
    NoVolatility.ABOVE: [
        (100.0, 100.0, 90.0, 0.5, 1.0), (120.0, 100.0, 90.0, 0.5, 1.0), (98.0, 100.0, 90.0, 0.5, 0.98),
    ],
}  # fmt: skip


@pytest.mark.parametrize("reason", list(NoVolatility))
def test_every_refusal_of_a_call_is_unknown_and_has_its_reason(reason: NoVolatility) -> None:
    price, forward, strike, t, discount = np.array(REFUSALS[reason]).T
    assert np.isnan(implied_vol_forward(price, forward, strike, t, discount, True)).all()
    np.testing.assert_array_equal(why_no_vol(price, forward, strike, t, discount, True), reason.value)


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        (math.nan, NoVolatility.INPUT),
        (10.0, NoVolatility.BELOW),
        (0.0, NoVolatility.BELOW),
        (110.0, NoVolatility.ABOVE),
    ],
)
def test_every_refusal_of_a_put_has_its_reason_too(price: float, reason: NoVolatility) -> None:
    assert np.isnan(implied_vol_forward(price, 100.0, 110.0, 0.5, 1.0, False))
    assert why_no_vol(price, 100.0, 110.0, 0.5, 1.0, False) == reason.value


def test_a_volatility_has_no_reason_to_be_missing() -> None:
    assert why_no_vol([12.0, 5.0], 100.0, [90.0, 100.0], 0.5, 0.98, True).tolist() == ["", ""]


@given(
    st.floats(-50, 150), st.floats(1, 200), st.floats(1, 200), st.floats(-0.1, 3), st.floats(0.5, 1.2), st.booleans()
)
def test_a_reason_stands_exactly_where_no_volatility_does(
    price: float, forward: float, strike: float, t: float, discount: float, call: bool
) -> None:
    found = implied_vol_forward(price, forward, strike, t, discount, call)
    assert math.isnan(found) == (why_no_vol(price, forward, strike, t, discount, call) != "")


def extremes(seed: int, count: int) -> list[tuple[float, float, float, bool]]:
    """(strike, deviation, price, call) on a forward of 100: out of the money, down to prices of 1e-300."""
    rng = np.random.default_rng(seed)
    out = []
    while len(out) < count:
        deviation = float(np.exp(rng.uniform(np.log(1e-5), np.log(6.0))))
        strike = 100.0 * math.exp(float(rng.uniform(-30, 30)) * deviation)
        call = strike >= 100.0
        price = float(plain.exact_forward(100.0, strike, deviation, call))
        if 1e-290 < price < min(100.0, strike) * (1 - 1e-6):
            out.append((strike, deviation, price, call))
    return out


def test_extremes_drawn_at_random_are_found_to_1e_10() -> None:
    cases = extremes(20261125, 400)
    strike, deviation, price, call = (np.array(column) for column in zip(*cases, strict=True))
    found = implied_vol_forward(price, 100.0, strike, 1.0, 1.0, call)
    assert np.isfinite(found).all()
    assert np.max(np.abs(found / deviation - 1)) < 1e-10


@pytest.mark.parametrize("price", [5e-324, 1e-300, 1e-89, 1e-30, 1e-9, 0.0099, 0.0101, 1.0])
def test_at_the_money_any_price_however_small_is_a_volatility(price: float) -> None:
    with mpmath.workdps(60):
        expected = float(2 * mpmath.sqrt(2) * mpmath.erfinv(mpmath.mpf(price) / 100))
    assert float(implied_vol_forward(price, 100.0, 100.0, 1.0, 1.0, True)) == pytest.approx(expected, rel=1e-10)


def test_in_the_money_the_price_tells_less_and_no_digit_is_invented() -> None:
    """The other side of parity, rounded to a double as a quote is: the error is that of the time value."""
    for strike, deviation, _, call in extremes(5, 200):
        price = float(plain.exact_forward(100.0, strike, deviation, not call))
        intrinsic = abs(100.0 - strike)
        found = float(implied_vol_forward(price, 100.0, strike, 1.0, 1.0, not call))
        value = price - intrinsic
        if value <= 0:
            assert math.isnan(found)
            continue
        vega = 100.0 * float(mpmath.npdf(mpmath.log(100.0 / strike) / deviation + deviation / 2))
        rounding = 4 * np.spacing(price) / (vega * deviation) if vega > 0 else math.inf
        if rounding < 1e-3:
            assert found == pytest.approx(deviation, rel=1e-10 + rounding)


def test_twenty_thousand_random_prices_give_back_their_volatility() -> None:
    rng = np.random.default_rng(20261125)
    n = 20_000
    t, v = np.exp(rng.uniform(np.log(1 / 365), np.log(5), n)), np.exp(rng.uniform(np.log(0.02), np.log(3), n))
    s, r, q = rng.uniform(5, 7000, n), rng.uniform(-0.02, 0.15, n), rng.uniform(-0.03, 0.12, n)
    k = s * np.exp((r - q) * t + rng.uniform(-5, 5, n) * v * np.sqrt(t))
    call = k >= s * np.exp((r - q) * t)
    price = bsm_price(s, k, t, v, r, q, call)
    known = price < 0.99 * np.where(call, s * np.exp(-q * t), k * np.exp(-r * t))
    found = implied_vol(price, s, k, t, r, q, call)[known]
    assert np.isfinite(found).all()
    assert np.max(np.abs(found / v[known] - 1)) < 1e-10


@pytest.mark.parametrize("rate", [-0.02, 0.0, 0.15])
@pytest.mark.parametrize("call", [True, False])
def test_it_is_what_a_bracketed_search_on_the_textbook_finds(rate: float, call: bool) -> None:
    discount = math.exp(-0.7 * rate)
    for strike, vol in ((80.0, 0.15), (100.0, 0.4), (130.0, 0.9)):
        price = float(plain.black76(100.0, strike, 0.7, vol, rate, call)["price"])
        found = float(implied_vol_forward(price, 100.0, strike, 0.7, discount, call))
        assert found == pytest.approx(plain.implied_vol(price, 100.0, strike, 0.7, discount, call), rel=1e-9)


@given(st.floats(0.01, 2.0), st.floats(1e-3, 3.0), st.floats(1e-9, 0.5), st.booleans())
def test_a_dearer_option_has_more_volatility(strike: float, deviation: float, more: float, call: bool) -> None:
    cheap = float(forward_price(1.0, strike, deviation, call))
    room = (1.0 if call else strike) - cheap
    dear = cheap + more * room
    low, high = implied_vol_forward([cheap, dear], 1.0, strike, 1.0, 1.0, call)
    assert math.isnan(low) or math.isnan(high) or high >= low


def test_columns_of_every_layout_and_none_at_all() -> None:
    price = bsm_price(100.0, np.linspace(90, 110, 6), 0.5, 0.2, 0.0, 0.0, True)
    price.flags.writeable = False
    strike = np.repeat(np.linspace(90, 110, 6), 2)[::2]
    np.testing.assert_allclose(implied_vol(price, 100.0, strike, 0.5, 0.0, 0.0, True), 0.2, rtol=1e-12)
    assert implied_vol([], 100.0, 100.0, 0.5, 0.0, 0.0, True).shape == (0,)
    assert implied_vol(price[:, None], 100.0, strike, 0.5, 0.0, 0.0, True).shape == (6, 6)
    assert implied_vol(5.0, 100.0, 100.0, 0.5, 0.0, 0.0, True).shape == ()
