"""The whole recorded SPX and SPY chains, and samples of them."""

import itertools
from collections import defaultdict
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from models.quant.fitted import distances
from models.quant.implied import implied_vol_forward
from models.quant.option import Right
from models.quant.pricing import black76, forward_price
from models.quant.surface import OptionQuote, Surface, fit_surface
from models.quant.surface_measures import constant_maturity
from models.quant.terms import MarketView
from models.quant.volatility_index import strips_of, volatility_index
from tests.quant.recorded_chains import DAYS, RATE, close_of, underlying
from tests.quant.recorded_chains import chain as chain_of
from tests.quant.recorded_chains import surface as surface_of

pytestmark = pytest.mark.recorded
LAST = DAYS[-1]
CLOSE = close_of(LAST)
SPOT = 7674.37
BOTH = [(symbol, day) for symbol in ("SPX", "SPY") for day in DAYS]


def chain(folder: Path) -> tuple[OptionQuote, ...]:
    return chain_of(folder, "SPX", LAST)


def whole(folder: Path) -> Surface:
    return surface_of(folder, "SPX", LAST)


def near_the_money(quotes: list[OptionQuote], surface: Surface) -> tuple[np.ndarray, np.ndarray]:
    """Distance of fitted to quoted volatility in points, and the quotes' own uncertainty, where |delta| > .05."""
    s = surface.slice_of(quotes[0].contract)
    assert s is not None
    k = np.array([q.contract.strike for q in quotes], dtype=float)
    call = np.array([q.contract.right is Right.CALL for q in quotes])
    bid, ask = (
        np.array([x or np.nan for x in side], dtype=float)
        for side in zip(*((q.bid, q.ask) for q in quotes), strict=True)
    )
    iv = implied_vol_forward((bid + ask) / 2, s.forward, k, s.t_years, s.discount, call)
    delta = np.abs(black76(s.forward, k, s.t_years, s.iv(k), 0.0, call).delta)
    rows = (call == (k >= s.forward)) & (delta > 0.05) & np.isfinite(iv)
    return 100 * (s.iv(k) - iv)[rows], rows


def test_every_expiry_but_the_expired_is_fitted(recorded: Path) -> None:
    surface = whole(recorded)
    listed = {(q.contract.trading_class, q.contract.expiry) for q in chain(recorded)}
    fitted = {(s.trading_class, s.expiry) for s in surface.slices}
    assert listed - fitted == {("SPX", date(2026, 8, 21)), ("SPXW", date(2026, 8, 21))}


def test_the_hedging_window_fits_to_three_hundredths_of_a_vol_point_near_the_money(recorded: Path) -> None:
    by_expiry = defaultdict(list)
    for q in chain(recorded):
        by_expiry[q.contract.trading_class, q.contract.expiry].append(q)
    for s in whole(recorded).slices:
        if not 25 <= (s.expiry - CLOSE.date()).days <= 65:
            continue
        miss, _ = near_the_money(by_expiry[s.trading_class, s.expiry], whole(recorded))
        assert miss.size > 20
        error = float(np.sqrt(np.mean(miss**2)))
        print(f"{s.trading_class} {s.expiry}: {error:.3f} vol points near the money, reported {100 * s.fit_error:.3f}")
        assert error < 0.03


def test_rates_and_forwards_are_smooth_and_sane(recorded: Path) -> None:
    surface = whole(recorded)
    rates = [-np.log(s.discount) / s.t_years for s in surface.slices if s.t_years > 0.02]
    assert 0.035 < min(rates) < max(rates) < 0.055
    for s in surface.slices:
        growth = np.log(s.forward / SPOT)
        assert -0.001 < growth < 0.05 * s.t_years + 0.001


@pytest.mark.parametrize(("symbol", "day"), BOTH)
def test_no_smile_has_a_negative_density_between_its_strikes(recorded: Path, symbol: str, day: date) -> None:
    for s in surface_of(recorded, symbol, day).slices:
        k = np.log(np.linspace(s.lowest, s.highest, 400) / s.forward)
        assert s.butterfly(k).min() > 0, s
        calls = forward_price(1.0, np.exp(k), np.sqrt(s.total_variance(k)), True)
        assert (np.diff(calls) < 0).all(), s
        assert (np.diff(forward_price(1.0, np.exp(k), np.sqrt(s.total_variance(k)), False)) > 0).all(), s


@pytest.mark.parametrize(("symbol", "day"), BOTH)
def test_total_variance_does_not_fall_with_time_but_in_the_last_quotes(recorded: Path, symbol: str, day: date) -> None:
    """Within three standard deviations two expiries cross by less than .02 vol points; beyond, where a quote is worth a
    tick or two, by less than the tick."""
    near = far = 0.0
    for early, late in itertools.pairwise(surface_of(recorded, symbol, day).slices):
        low = max(np.log(s.lowest / s.forward) for s in (early, late))
        high = min(np.log(s.highest / s.forward) for s in (early, late))
        k = np.linspace(low, high, 200)
        before, after = early.total_variance(k), late.total_variance(k)
        inside = np.abs(k) < 3 * np.sqrt(early.total_variance(np.zeros(1)))
        crossing = np.sqrt(before / late.t_years) - np.sqrt(after / late.t_years)
        price = [forward_price(early.forward, early.forward * np.exp(k), np.sqrt(w), k > 0) for w in (before, after)]
        near = max(near, float(crossing[inside].max(initial=0.0)))
        far = max(far, float((price[0] - price[1]).max()))
    print(f"{symbol} {day}: crossing {100 * near:.4f} vol points within 3 sd, {far:.4f} points of price anywhere")
    assert near < 0.0002
    assert far < (0.05 if symbol == "SPX" else 0.01)


@pytest.mark.parametrize(("symbol", "day"), BOTH)
def test_the_fitted_mid_lies_inside_the_quote(recorded: Path, symbol: str, day: date) -> None:
    """Of the two-sided out-of-the-money quotes of every fitted expiry, American ones priced as American."""
    fitted = surface_of(recorded, symbol, day)
    view = MarketView(close_of(day), None, {symbol: fitted.spot}, surfaces={symbol: fitted})
    quotes, far = [], []
    for q in chain_of(recorded, symbol, day):
        s = fitted.slice_of(q.contract)
        if s is None or not q.bid or not q.ask or (q.contract.right is Right.CALL) != (q.contract.strike >= s.forward):
            continue
        quotes.append(q)
        far.append(abs(np.log(q.contract.strike / s.forward)) > 2.5 * float(s.iv(s.forward)) * s.t_years**0.5)
    bid, ask = np.array([q.bid for q in quotes]), np.array([q.ask for q in quotes])
    off = distances([q.contract for q in quotes], view, bid, ask)
    half = 0.5 * (ask - bid)
    inside, near = np.abs(off.points) <= half + 1e-9, ~np.array(far)
    print(f"{symbol} {day}: {inside.mean():.4f} of {inside.size} inside, {inside[near].mean():.4f} within 2.5 sd")
    assert inside.mean() > (0.99 if symbol == "SPX" else 0.96)
    assert inside[near].mean() > (0.998 if symbol == "SPX" else 0.985)
    assert fitted.fit_error is not None
    assert fitted.fit_error < 0.0008


def test_fourteen_strikes_an_expiry_price_the_rest(recorded: Path) -> None:
    full = whole(recorded)
    pairs: dict[tuple[str, date], dict[float, dict[Right, OptionQuote]]] = defaultdict(lambda: defaultdict(dict))
    for q in chain(recorded):
        if q.bid and q.ask:
            pairs[q.contract.trading_class, q.contract.expiry][q.contract.strike][q.contract.right] = q  # type: ignore[index]
    keys = [
        (s.trading_class, s.expiry)
        for s in full.slices
        if s.trading_class == "SPXW" and 15 <= (s.expiry - CLOSE.date()).days <= 65
    ][::3]
    sample = []
    for key in keys:
        s = full.slice_of(key)
        assert s is not None
        both = np.array(sorted(k for k, v in pairs[key].items() if len(v) == 2))
        for z in np.linspace(-3, 2, 14):
            k = both[np.argmin(np.abs(np.log(both / s.forward) / (float(s.iv(s.forward)) * s.t_years**0.5) - z))]
            sides = list(Right) if abs(z) < 0.8 else [Right.CALL if k > s.forward else Right.PUT]
            sample += [pairs[key][float(k)][right] for right in sides]
    found = fit_surface("SPX", SPOT, CLOSE, sample)
    assert len(found.slices) == len(keys) >= 5
    for s in found.slices:
        f = full.slice_of((s.trading_class, s.expiry))
        assert f is not None
        assert s.forward == pytest.approx(f.forward, abs=0.5)
        k = f.forward * np.exp(np.linspace(-2.5, 1.8, 40) * float(f.iv(f.forward)) * f.t_years**0.5)
        assert np.sqrt(np.mean((s.iv(k) - f.iv(k)) ** 2)) < 0.0025


@pytest.mark.parametrize("day", DAYS)
def test_the_forward_of_american_spy_grows_as_that_of_european_spx(recorded: Path, day: date) -> None:
    """Both hold the same shares; a quarter's dividend, .25 %, falls on a day in one and on every day in the other."""
    spx, spy = surface_of(recorded, "SPX", day), surface_of(recorded, "SPY", day)
    assert len(spy.slices) >= 30
    worst = 0.0
    for s in spy.slices:
        if s.t_years > 1.1:
            continue
        forward = spx.forward(("SPXW", s.expiry))
        assert forward is not None
        worst = max(worst, abs(s.forward / spy.spot / (forward / spx.spot) - 1))
        assert s.discount == pytest.approx(spx.discount(("SPXW", s.expiry)))
    print(f"{day}: growth of SPY and SPX differs by at most {1e4 * worst:.1f} basis points over 13 months")
    assert worst < 0.0025


@pytest.mark.parametrize("day", DAYS)
def test_thirty_days_of_volatility_are_the_vendors_iv30(recorded: Path, day: date) -> None:
    for symbol, within in (("SPX", 0.15), ("SPY", 0.40)):  # theirs leaves the ex-date of September inside the month
        ours, theirs = (
            100 * float(constant_maturity(surface_of(recorded, symbol, day))),
            underlying(recorded, symbol, day),
        )
        print(f"{symbol} {day}: 30-day {ours:.2f}, the vendor's iv30 {theirs['iv30']:.2f}")
        assert ours == pytest.approx(theirs["iv30"], abs=within)


@pytest.mark.parametrize("day", DAYS)
def test_the_strip_of_quotes_and_the_strip_of_the_smile_have_one_variance(recorded: Path, day: date) -> None:
    """No VIX is recorded for these days; the smile's own strip is the check: 2/t·∫ price/K² dK, discount left out."""
    strips = strips_of(chain_of(recorded, "SPX", day), close_of(day), RATE)
    assert len(strips) >= 2
    for strip in strips:
        s = surface_of(recorded, "SPX", day).slice_of((strip.trading_class, strip.expiry))
        assert s is not None
        k = np.linspace(np.log(s.lowest / s.forward), np.log(s.highest / s.forward), 4001)
        price = forward_price(1.0, np.exp(k), np.sqrt(s.total_variance(k)), k > 0)
        own = 100 * float(np.sqrt(2 / s.t_years * np.trapezoid(price * np.exp(-k), k)))
        assert 100 * np.sqrt(strip.variance) == pytest.approx(own, abs=0.05)
    index = volatility_index(chain_of(recorded, "SPX", day), close_of(day), RATE)
    assert index is not None
    print(f"{day}: volatility index {index:.2f}")
    assert 13 < index < 17
