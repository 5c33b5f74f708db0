"""Known cash dividends against the worked example of the textbook, and what is refused."""

import math

import numpy as np
import pytest

from models.quant.american import american_price
from models.quant.dividends import Dividend, escrowed, implied_yield
from models.quant.implied import implied_vol
from models.quant.pricing import bsm, bsm_price
from tests.quant import plain

HULL = [Dividend(2 / 12, 0.50), Dividend(5 / 12, 0.50)]
"""Hull, Options, Futures and Other Derivatives, 9th ed., example 15.9: S 40, K 40, r 9 %, vol 30 %, six months."""


def test_hulls_example_to_its_printed_digits() -> None:
    rest = escrowed(40.0, 0.5, 0.09, HULL)
    assert 40.0 - float(rest) == pytest.approx(0.9742, abs=1e-4)
    assert float(bsm_price(rest, 40.0, 0.5, 0.30, 0.09, 0.0, True)) == pytest.approx(3.67, abs=5e-3)


@pytest.mark.parametrize("quantity", [1, 2, -3])
@pytest.mark.parametrize("call", [True, False])
def test_the_rest_is_computed_by_hand_and_a_position_is_a_multiple(quantity: int, call: bool) -> None:
    by_hand = 40 - 0.5 * math.exp(-0.09 / 6) - 0.5 * math.exp(-0.09 * 5 / 12)
    expected = quantity * 100 * float(plain.bsm(by_hand, 40.0, 0.5, 0.3, 0.09, 0.0, call)["price"])
    ours = quantity * 100 * float(bsm_price(escrowed(40.0, 0.5, 0.09, HULL), 40.0, 0.5, 0.3, 0.09, 0.0, call))
    assert ours == pytest.approx(expected, rel=1e-12)


def test_only_dividends_after_now_and_up_to_expiry_count() -> None:
    stream = [Dividend(-0.1, 9.0), Dividend(0.0, 9.0), Dividend(0.25, 1.0), Dividend(0.5, 2.0), Dividend(0.75, 4.0)]
    rest = escrowed(100.0, np.array([0.1, 0.25, 0.5, 1.0]), 0.0, stream)
    np.testing.assert_allclose(rest, [100.0, 99.0, 97.0, 93.0])


def test_parity_holds_on_the_rest() -> None:
    rest = escrowed(40.0, 0.5, 0.09, HULL)
    call, put = (float(bsm_price(rest, 38.0, 0.5, 0.3, 0.09, 0.0, c)) for c in (True, False))
    dividends = sum(d.amount * math.exp(-0.09 * d.years) for d in HULL)
    assert call - put == pytest.approx(40.0 - dividends - 38.0 * math.exp(-0.045), rel=1e-12)


def test_the_implied_yield_grows_the_spot_to_the_same_forward() -> None:
    q = implied_yield(40.0, 0.5, 0.09, HULL)
    rest = escrowed(40.0, 0.5, 0.09, HULL)
    assert 40.0 * math.exp((0.09 - float(q)) * 0.5) == pytest.approx(float(rest) * math.exp(0.045), rel=1e-14)
    ours = bsm(40.0, 40.0, 0.5, 0.3, 0.09, q, True).price
    assert float(ours) == pytest.approx(float(bsm_price(rest, 40.0, 0.5, 0.3, 0.09, 0.0, True)), rel=1e-12)
    assert float(american_price(40.0, 40.0, 0.5, 0.3, 0.09, q, True)) > float(ours)
    assert float(implied_yield(40.0, 0.0, 0.09, HULL)) == 0.0
    assert float(implied_yield(40.0, 0.5, 0.09, [])) == 0.0


def test_volatility_is_implied_on_the_rest() -> None:
    rest = escrowed(40.0, 0.5, 0.09, HULL)
    assert float(implied_vol(3.6712, rest, 40.0, 0.5, 0.09, 0.0, True)) == pytest.approx(0.30, abs=1e-4)


def test_dividends_worth_more_than_the_share_are_refused_as_unknown() -> None:
    rest = escrowed([40.0, 100.0], 0.5, 0.0, [Dividend(0.1, 40.0)])
    np.testing.assert_array_equal(np.isnan(rest), [True, False])
    assert np.isnan(implied_yield(40.0, 0.5, 0.0, [Dividend(0.1, 40.0)]))
    assert np.isnan(bsm_price(rest, 40.0, 0.5, 0.3, 0.0, 0.0, True)).tolist() == [True, False]


def test_an_unknown_spot_stays_unknown() -> None:
    assert np.isnan(escrowed(math.nan, 0.5, 0.09, HULL))
    assert np.isnan(escrowed(40.0, 0.5, math.nan, HULL))


@pytest.mark.parametrize(("years", "amount"), [(0.1, -1.0), (math.nan, 1.0), (0.1, math.nan), (0.1, math.inf)])
def test_a_senseless_dividend_is_refused_by_name(years: float, amount: float) -> None:
    with pytest.raises(ValueError, match="years and amount must be finite and the amount not negative"):
        Dividend(years, amount)
