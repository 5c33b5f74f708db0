"""The fitted surface gives back what made the quotes, says what it does not know, and carries no arbitrage."""

import json
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from models.quant.smile import Svi, fit_svi
from models.quant.surface import OptionQuote, Surface, fit_surface
from tests.quant.quant_market import DIVIDEND, EXPIRIES, NOW, RATE, SPOT, option, quoted, smile, surface

STRIKES = np.arange(5000.0, 6601.0, 50.0)


def test_a_clean_chain_comes_back_to_a_twentieth_of_a_vol_point() -> None:
    found = surface()
    assert [s.expiry for s in found.slices] == list(EXPIRIES)
    for s in found.slices:
        inside = np.array([k for k in STRIKES if s.lowest <= k <= s.highest])
        np.testing.assert_allclose(s.iv(inside), smile(inside, s.t_years), atol=0.0005)
        assert s.fit_error < 0.0005


def test_forward_and_discount_come_from_parity() -> None:
    for s in surface(half=0.2).slices:
        assert s.forward == pytest.approx(SPOT * np.exp((RATE - DIVIDEND) * s.t_years), abs=0.05)
        assert s.discount == pytest.approx(np.exp(-RATE * s.t_years), abs=1e-4)


def test_a_wrong_quote_moves_neither_forward_nor_smile() -> None:
    quotes = quoted(EXPIRIES[1], STRIKES, half=0.2)
    bad = [replace(q, bid=q.bid + 60, ask=q.ask + 60) if q.contract.strike == 6000 else q for q in quotes]  # type: ignore[operator]
    bad = [q if q.contract.right == "C" or q.contract.strike != 6000 else quotes[i] for i, q in enumerate(bad)]
    clean, dirty = (fit_surface("SPX", SPOT, NOW, q).slices[0] for q in (quotes, bad))
    assert dirty.forward == pytest.approx(clean.forward, abs=0.05)
    assert abs(float(dirty.iv(5600.0) - clean.iv(5600.0))) < 0.003


@pytest.mark.parametrize("n", [10, 14])
def test_a_sample_of_few_strikes_is_enough(n: int) -> None:
    strikes = np.round(np.linspace(5400, 6350, n) / 25) * 25
    quotes = []
    for expiry in EXPIRIES[1:]:
        for q in quoted(expiry, strikes, half=0.3):
            otm = (q.contract.right == "C") == (q.contract.strike >= SPOT)  # type: ignore[operator]
            if otm or abs(q.contract.strike - SPOT) < 120:  # type: ignore[operator]
                quotes.append(q)
    found = fit_surface("SPX", SPOT, NOW, quotes)
    assert len(found.slices) == 3
    for s in found.slices:
        np.testing.assert_allclose(s.iv(strikes), smile(strikes, s.t_years), atol=0.0015)
        assert s.forward == pytest.approx(SPOT * np.exp((RATE - DIVIDEND) * s.t_years), abs=0.5)


def test_unknown_zero_and_crossed_quotes_are_skipped() -> None:
    good = quoted(EXPIRIES[1], STRIKES, half=0.2)
    sides = [(None, 1.0), (1.0, None), (0.0, 5.0), (9.0, 2.0), (1.0, float("nan"))]
    junk = [OptionQuote(option(6700.0 + 50 * i, "C"), bid, ask) for i, (bid, ask) in enumerate(sides)]
    assert fit_surface("SPX", SPOT, NOW, [*junk, *good]) == fit_surface("SPX", SPOT, NOW, good)


def test_an_expiry_of_four_strikes_or_already_settled_gets_no_slice() -> None:
    few = quoted(EXPIRIES[1], STRIKES[14:18])
    past = [
        OptionQuote(replace(q.contract, expiry=date(2026, 8, 28)), q.bid, q.ask) for q in quoted(EXPIRIES[1], STRIKES)
    ]
    nothing = fit_surface("SPX", SPOT, NOW, [*few, *past])
    assert nothing.slices == ()
    assert nothing.fit_error is None
    assert nothing.forward(("SPXW", EXPIRIES[1])) is None
    assert np.isnan(nothing.iv(("SPXW", EXPIRIES[1]), [6000.0])).all()


def test_between_expiries_total_variance_is_interpolated_and_outside_it_is_unknown() -> None:
    found = surface()
    between = date(2026, 10, 9)
    iv = float(found.iv(("SPXW", between), 6000.0))
    early, late = (float(found.iv(("SPXW", e), 6000.0)) for e in EXPIRIES[1:3])
    assert min(early, late) - 0.002 < iv < max(early, late) + 0.002
    assert found.forward(("SPXW", between)) == pytest.approx(SPOT * np.exp((RATE - DIVIDEND) * (38.208 / 365)), abs=0.2)
    for outside in (date(2026, 9, 4), date(2027, 1, 15)):
        assert np.isnan(found.iv(("SPXW", outside), [5800.0, 6000.0])).all()
        assert found.forward(("SPXW", outside)) is not None
    assert np.isnan(found.iv(("SPXW", EXPIRIES[1]), [float("nan"), -5.0])).all()


def test_a_morning_settled_class_is_timed_to_its_own_minute() -> None:
    found = surface()
    am = found.iv(("SPX", EXPIRIES[1]), 6000.0)
    pm = found.iv(("SPXW", EXPIRIES[1]), 6000.0)
    assert not np.isnan(am)
    assert float(am) != float(pm)


def test_the_surface_survives_json() -> None:
    found = surface()
    again = Surface.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    assert all(s.spline is not None for s in again.slices)
    with pytest.raises(KeyError):
        Surface.from_json({"symbol": "SPX"})


def test_a_surface_written_before_there_were_splines_still_loads() -> None:
    old = surface().to_json()
    for item in old["slices"]:
        del item["spline"]
    loaded = Surface.from_json(json.loads(json.dumps(old)))
    for s in loaded.slices:
        assert s.spline is None
        np.testing.assert_array_equal(s.total_variance(np.array([0.05])), s.svi.total_variance(np.array([0.05])))


def test_a_slice_ages_at_the_same_volatilities_by_moneyness() -> None:
    s = surface().slices[1]
    later = s.aged(0.5 * s.t_years, 1.01 * s.forward)
    k = np.linspace(-0.1, 0.05, 7)
    np.testing.assert_allclose(later.iv(later.forward * np.exp(k)), s.iv(s.forward * np.exp(k)), rtol=1e-12)
    assert later.t_years == 0.5 * s.t_years


def test_no_slice_has_a_negative_density_or_undercuts_the_one_before() -> None:
    found = surface(half=0.3)
    k = np.linspace(-0.25, 0.12, 200)
    before = np.zeros(k.size)
    for s in found.slices:
        assert s.butterfly(k).min() > 0
        w = s.total_variance(k)
        assert (w - before).min() > -1e-6
        before = w


def test_quotes_with_butterfly_arbitrage_are_not_followed_into_it() -> None:
    k = np.linspace(-0.2, 0.1, 31)
    vol = np.where(np.abs(k) < 0.011, 0.35, 0.15)  # a spike at the money: its density would be negative beside it
    found = fit_svi(k, vol, np.full(k.size, 0.002), 0.1)
    assert found.butterfly(np.linspace(-0.3, 0.2, 400)).min() > -1e-3


def test_fitting_recovers_known_parameters() -> None:
    true = Svi(0.004, 0.1, -0.4, 0.01, 0.12)
    k = np.linspace(-0.4, 0.25, 60)
    found = fit_svi(k, np.sqrt(true.total_variance(k) / 0.25), np.full(k.size, 0.001), 0.25)
    np.testing.assert_allclose(found.total_variance(k), true.total_variance(k), rtol=2e-3)


def test_later_readings_keep_the_surfaces_own_time() -> None:
    found = surface()
    assert found.at == NOW
    assert found.slices[0].t_years == pytest.approx(
        (datetime(2026, 9, 11, 20, tzinfo=NOW.tzinfo) - NOW) / timedelta(days=365)
    )


def test_an_american_class_does_not_let_early_exercise_set_its_discount() -> None:
    as_spy = [
        OptionQuote(replace(q.contract, symbol="SPY", trading_class="SPY"), q.bid, q.ask)
        for q in quoted(EXPIRIES[2], STRIKES, half=0.2)
    ]
    (s,) = fit_surface("SPY", SPOT, NOW, as_spy, rate=0.05).slices
    assert s.discount == pytest.approx(np.exp(-0.05 * s.t_years))
    assert s.pairs == 12
