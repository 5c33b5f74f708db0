"""American classes on the surface: early exercise is taken out of parity and put back into prices."""

import math
from datetime import UTC, date, datetime

import numpy as np
import pytest

from models.quant.american import american_price
from models.quant.early_exercise import american_forward, american_prices, american_vols, yield_of
from models.quant.fitted import distances, fitted_mids
from models.quant.option import Contract, Right, SecType
from models.quant.parity import by_expiry, parity_of
from models.quant.pricing import bsm_price, forward_price
from models.quant.product import Style, expiry_instant, years_to
from models.quant.surface import OptionQuote, Surface, fit_surface
from models.quant.terms import MarketView
from tests.quant.quant_market import EXPIRIES, market, option, smile, stock, surface

NOW = datetime(2026, 9, 1, 15, 0, tzinfo=UTC)
SPOT = 765.0
STRIKES = np.arange(650.0, 871.0, 5.0)


def vol_at(strike: np.ndarray | float, forward: float, t: float) -> np.ndarray:
    k = np.log(np.asarray(strike) / forward) / math.sqrt(t)
    return 0.16 - 0.06 * k + 0.05 * k * k


def quoted(expiry: date, rate: float, dividend: float, half: float = 0.005) -> list[OptionQuote]:
    t = years_to(expiry_instant(contract(expiry, 700.0, Right.PUT)), NOW)
    forward = SPOT * math.exp((rate - dividend) * t)
    out = []
    for right in Right:
        price = american_price(SPOT, STRIKES, t, vol_at(STRIKES, forward, t), rate, dividend, right is Right.CALL)
        out += [
            OptionQuote(contract(expiry, float(k), right), float(p) - half, float(p) + half)
            for k, p in zip(STRIKES, price, strict=True)
            if p > 0.03
        ]
    return out


def contract(expiry: date, strike: float, right: Right, trading_class: str = "SPY") -> Contract:
    return Contract(trading_class, SecType.OPTION, trading_class, 100, expiry, strike, right)


@pytest.mark.parametrize("expiry", [date(2026, 9, 11), date(2026, 10, 16), date(2027, 3, 19), date(2027, 12, 17)])
@pytest.mark.parametrize(("rate", "dividend"), [(0.043, 0.012), (0.05, 0.0), (0.02, 0.05)])
def test_the_forward_and_the_smile_that_made_american_quotes_come_back(
    expiry: date, rate: float, dividend: float
) -> None:
    (s,) = fit_surface("SPY", SPOT, NOW, quoted(expiry, rate, dividend), rate).slices
    forward = SPOT * math.exp((rate - dividend) * s.t_years)
    assert s.style is Style.AMERICAN
    assert s.forward == pytest.approx(forward, abs=0.02)
    assert s.discount == pytest.approx(math.exp(-rate * s.t_years), rel=1e-12)
    inside = STRIKES[(s.lowest <= STRIKES) & (s.highest >= STRIKES)]
    np.testing.assert_allclose(s.iv(inside), vol_at(inside, forward, s.t_years), atol=0.0015)
    near = inside[np.abs(np.log(inside / forward)) < 0.1]
    np.testing.assert_allclose(s.iv(near), vol_at(near, forward, s.t_years), atol=0.0005)


def test_taken_as_european_the_same_quotes_would_have_another_forward() -> None:
    (e,) = by_expiry(NOW, quoted(date(2027, 12, 17), 0.05, 0.0))
    discount = math.exp(-0.05 * e.t)
    plain, true = parity_of(e).forward(discount), SPOT * math.exp(0.05 * e.t)
    assert plain - true < -2.0
    assert american_forward(e, parity_of(e), SPOT, discount) == pytest.approx(true, abs=0.02)


def test_call_and_put_of_a_strike_agree_on_their_volatility_at_the_forward_found() -> None:
    (e,) = by_expiry(NOW, quoted(date(2027, 3, 19), 0.043, 0.012))
    discount = math.exp(-0.043 * e.t)
    p = parity_of(e)
    forward = american_forward(e, p, SPOT, discount)
    args = (SPOT, p.strikes, e.t, forward, discount)
    calls = american_vols(e.call_mid[p.rows], *args, np.full(p.strikes.size, True))
    puts = american_vols(e.put_mid[p.rows], *args, np.full(p.strikes.size, False))
    np.testing.assert_allclose(calls, puts, atol=2e-4)


def test_the_discount_may_be_borrowed() -> None:
    curve = surface()  # SPX on the same days, at 4 %
    quotes = quoted(EXPIRIES[2], 0.04, 0.013)
    (s,) = fit_surface("SPY", SPOT, NOW, quotes, 0.09, curve).slices
    assert s.discount == pytest.approx(curve.discount(("SPXW", EXPIRIES[2])), rel=1e-9)
    assert s.forward == pytest.approx(SPOT * math.exp(0.027 * s.t_years), abs=0.03)


def test_an_expiry_whose_calls_and_puts_never_meet_takes_its_neighbours_growth() -> None:
    whole = quoted(date(2026, 10, 16), 0.043, 0.012)
    apart = [
        q
        for q in quoted(date(2026, 11, 20), 0.043, 0.012)
        if (q.contract.right is Right.CALL) == (q.contract.strike > SPOT)  # type: ignore[operator]
    ]
    first, second = fit_surface("SPY", SPOT, NOW, [*whole, *apart], 0.043).slices
    assert second.pairs == 0
    growth = math.log(first.forward / SPOT) / first.t_years
    assert second.forward == pytest.approx(SPOT * math.exp(growth * second.t_years), rel=1e-9)


def test_quarterly_futures_options_carry_no_growth() -> None:
    """On a future the yield is the rate: the forward is the future, exercise is worth something on both sides."""
    expiry, t, rate, future = date(2026, 12, 18), 0.0, 0.05, 6000.0
    quotes = []
    for strike in np.arange(5200.0, 6801.0, 50.0):
        for right in Right:
            c = Contract("ES", SecType.FUTURE_OPTION, "ES", 50, expiry, float(strike), right)
            t = years_to(expiry_instant(c), NOW)
            price = float(american_price(future, strike, t, 0.18, rate, rate, right is Right.CALL))
            quotes.append(OptionQuote(c, price - 0.125, price + 0.125))
    (s,) = fit_surface("ES", future, NOW, quotes, rate).slices
    assert s.style is Style.AMERICAN
    assert s.forward == pytest.approx(future, abs=0.05)
    np.testing.assert_allclose(s.iv(np.array([5500.0, 6000.0, 6500.0])), 0.18, atol=3e-4)
    assert yield_of(future, s.forward, t, rate) == pytest.approx(rate, abs=1e-4)


# ── the fitted mid ───────────────────────────────────────────────────────────────────────────────────────────────────
def spy_view(expiry: date = date(2027, 3, 19), **changes: object) -> tuple[MarketView, Surface]:
    fitted = fit_surface("SPY", SPOT, NOW, quoted(expiry, 0.043, 0.012), 0.043)
    facts: dict[str, object] = {"now": NOW, "spx": None, "spots": {"SPY": SPOT}, "surfaces": {"SPY": fitted}}
    return MarketView(**{**facts, **changes}), fitted  # type: ignore[arg-type]


def test_fitted_mids_are_the_prices_that_made_the_surface() -> None:
    found = surface()
    contracts = [option(float(k), right) for k in (5600, 5900, 6000, 6200) for right in "CP"]
    mids = fitted_mids(contracts, market(surfaces={"SPX": found}))
    for c, mid in zip(contracts, mids, strict=True):
        t = years_to(expiry_instant(c), NOW)
        price = bsm_price(6000.0, c.strike, t, smile(np.array(c.strike), t), 0.04, 0.013, c.right is Right.CALL)  # type: ignore[arg-type]
        assert mid == pytest.approx(float(price), abs=0.15)


@pytest.mark.parametrize("right", list(Right))
def test_american_mids_hold_the_premium_of_exercise(right: Right) -> None:
    view, fitted = spy_view()
    expiry = date(2027, 3, 19)
    contracts = [contract(expiry, float(k), right) for k in (650, 700, 765, 820, 860)]
    mids = fitted_mids(contracts, view)
    (s,) = fitted.slices
    strike = np.array([c.strike for c in contracts], dtype=float)
    european = s.discount * forward_price(
        s.forward, strike, s.iv(strike) * math.sqrt(s.t_years), right is Right.CALL
    )  # fmt: skip
    exercise = np.maximum(SPOT - strike if right is Right.CALL else strike - SPOT, 0.0)
    assert (mids >= european - 1e-6).all()
    assert (mids >= exercise - 1e-9).all()
    if right is Right.PUT:
        assert mids[-1] - european[-1] > 1.0
    t = years_to(expiry_instant(contracts[0]), NOW)
    np.testing.assert_allclose(
        mids, american_price(SPOT, strike, t, vol_at(strike, s.forward, t), 0.043, 0.012, right is Right.CALL), atol=0.1
    )


def test_the_distance_is_told_in_points_half_spreads_and_vol_points() -> None:
    view, fitted = spy_view()
    c = contract(date(2027, 3, 19), 780.0, Right.CALL)
    (mid,) = fitted_mids([c], view)
    (s,) = fitted.slices
    one_point = float(
        american_prices(
            SPOT, np.array([780.0]), s.t_years, s.forward, s.discount, s.iv([780.0]) + 0.01, np.array([True])
        )[0]
    )
    found = distances([c, c, c], view, [one_point - 0.5, mid - 0.2, mid - 0.3], [one_point + 0.5, mid + 0.2, mid + 0.1])
    np.testing.assert_allclose(found.points, [one_point - mid, 0.0, -0.1], atol=1e-9)
    np.testing.assert_allclose(found.half_spreads, [(one_point - mid) / 0.5, 0.0, -0.5], atol=1e-8)
    np.testing.assert_allclose(found.vol_points[:2], [1.0, 0.0], atol=1e-3)
    assert found.vol_points[2] < 0


def test_what_the_surface_does_not_know_has_no_fitted_mid() -> None:
    view, _ = spy_view()
    unknown = [
        stock("SPY"),
        contract(date(2028, 1, 21), 765.0, Right.CALL),  # beyond the last fitted expiry
        contract(date(2027, 3, 19), 765.0, Right.CALL, "AAPL"),
    ]
    assert np.isnan(fitted_mids(unknown, view)).all()
    assert np.isnan(fitted_mids(unknown[1:2], spy_view(spots={})[0])).all()
    assert fitted_mids([], view).shape == (0,)


@pytest.mark.parametrize(("bid", "ask"), [(math.nan, 5.0), (5.0, math.nan), (5.0, 4.0), (0.0, 0.0), (-1.0, 2.0)])
def test_a_one_sided_or_crossed_quote_has_no_distance(bid: float, ask: float) -> None:
    view, _ = spy_view()
    found = distances([contract(date(2027, 3, 19), 780.0, Right.CALL)], view, [bid], [ask])
    assert np.isnan([found.points[0], found.half_spreads[0], found.vol_points[0]]).all()


def test_the_fitted_mid_moves_with_the_spot_and_keeps_the_strikes_volatility() -> None:
    c = option(5900.0, "P")
    found = surface()
    at, up = (fitted_mids([c], market(spx=spx, surfaces={"SPX": found}))[0] for spx in (6000.0, 6060.0))
    t = years_to(expiry_instant(c), NOW)
    vol = found.iv(c, np.array([5900.0]))
    forward, discount = found.forward(c), found.discount(c)
    assert forward is not None
    assert discount is not None
    moved = discount * forward_price(1.01 * forward, 5900.0, vol * math.sqrt(t), False)
    assert up == pytest.approx(float(moved[0]), rel=1e-9)
    assert up < at
