"""American options over ex-dates: against published values, against the boundary method, and by bumping."""

from dataclasses import replace

import numpy as np
import pytest

from models.quant.american import american
from models.quant.dividends import Dividend, american_with_dividends
from models.quant.pricing import bsm_price
from models.quant.terms import terms_of
from tests.quant.quant_market import mark, market, option

TERMS = {"strike": 82.0, "t": 1 / 3, "vol": 0.30, "rate": 0.06, "is_call": True}


def price(spot: float = 80.0, dividends: tuple[Dividend, ...] = (Dividend(0.25, 4.0),), **changes: float) -> float:
    return float(american_with_dividends(spot=spot, dividends=dividends, **{**TERMS, **changes}).price)


@pytest.mark.parametrize(
    ("spot", "vol", "published"),
    [(80.0, 0.30, 4.3860)],
)
def test_a_call_over_one_dividend_is_roll_geske_and_whaleys(spot: float, vol: float, published: float) -> None:
    """Haug, The Complete Guide to Option Pricing Formulas, 2nd ed., section 9.2: S 80, X 82, t .25, T .3333, D 4."""
    assert price(spot, vol=vol) == pytest.approx(published, abs=1e-4)


def test_a_call_is_exercised_on_the_eve_of_a_dividend_and_otherwise_kept() -> None:
    assert price(140.0) == pytest.approx(140 - 82 * np.exp(-0.06 * 0.25), abs=2e-3)  # deep in: certain on the eve
    small = Dividend(0.25, 0.10)  # less than the interest on the strike: nobody exercises
    escrow = 80 - 0.10 * np.exp(-0.06 * 0.25)
    european = float(bsm_price(escrow, 82.0, 1 / 3, 0.30, 0.06, 0.0, True))
    assert price(dividends=(small,)) == pytest.approx(european, abs=1e-3)


@pytest.mark.parametrize("call", [True, False])
@pytest.mark.parametrize("dividend_yield", [0.0, 0.02, 0.08])
def test_without_dividends_it_is_the_boundary_method(call: bool, dividend_yield: float) -> None:
    ours = american_with_dividends(100.0, [90.0, 100.0, 110.0], 1.0, 0.25, 0.05, [], call, dividend_yield)
    exact = american(100.0, [90.0, 100.0, 110.0], 1.0, 0.25, 0.05, dividend_yield, call)
    np.testing.assert_allclose(ours.price, exact.price, atol=2e-3)
    for name, within in (("delta", 1e-4), ("gamma", 2e-5), ("vega", 2e-4), ("theta", 1e-5), ("rho", 2e-4),
                         ("carry", 1e-5), ("vanna", 1e-4), ("charm", 2e-6)):  # fmt: skip
        np.testing.assert_allclose(getattr(ours, name), getattr(exact, name), atol=within, err_msg=name)


def test_greeks_are_the_slopes_of_the_price_and_a_day_is_theta_and_carry() -> None:
    g = american_with_dividends(spot=80.0, dividends=[Dividend(0.25, 4.0)], **TERMS)
    assert float(g.delta) == pytest.approx((price(80.4) - price(79.6)) / 0.8, abs=2e-4)
    assert float(g.vega) == pytest.approx((price(vol=0.31) - price(vol=0.29)) / 2, abs=1e-4)
    day = 1 / 365
    later = price(dividends=(Dividend(0.25 - day, 4.0),), t=1 / 3 - day)
    assert float(g.theta + g.carry) == pytest.approx(later - price(), abs=3e-4)


def test_two_regions_of_exercise_are_found_as_well_as_one() -> None:
    """Yield < rate < 0: worth more than the European option or exercise at once; the boundary method refuses it."""
    found = float(american_with_dividends(100.0, 110.0, 1.0, 0.2, -0.01, [], False, -0.04).price)
    assert found > float(bsm_price(100.0, 110.0, 1.0, 0.2, -0.01, -0.04, False)) + 0.01
    assert found > 10.0
    assert np.isnan(american(100.0, 110.0, 1.0, 0.2, -0.01, -0.04, False).price)


def test_dividends_worth_more_than_the_spot_and_senseless_terms_are_unknown() -> None:
    assert np.isnan(price(dividends=(Dividend(0.1, 90.0),)))
    assert np.isnan(price(vol=0.0))
    assert np.isnan(price(float("nan")))
    with pytest.raises(ValueError, match="amount"):
        Dividend(0.1, -1.0)


def test_a_dividend_after_expiry_or_already_paid_changes_nothing() -> None:
    bare = price(dividends=())
    assert price(dividends=(Dividend(0.5, 4.0), Dividend(-0.1, 4.0))) == pytest.approx(bare, abs=1e-12)


def test_known_dividends_tell_the_forward_where_no_surface_does() -> None:
    call = replace(option(210.0, "C"), symbol="AAPL", trading_class="AAPL")
    view = market(marks={"AAPL": mark(200.0), call.identity: mark(8.0)}, surfaces={})
    plain = terms_of([call], view)
    paid = terms_of([call], replace(view, dividends={"AAPL": (Dividend(0.02, 1.0), Dividend(5.0, 1.0))}))
    assert plain.dividend_yield[0] == pytest.approx(0.0, abs=1e-12)
    rest = 200 - np.exp(-view.rate * 0.02)
    assert paid.carry[0] == pytest.approx(rest / 200 * np.exp(view.rate * paid.t[0]), rel=1e-12)
    assert paid.vol[0] > plain.vol[0]  # the same price of a call on a lower forward
