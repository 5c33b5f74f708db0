"""The whole recorded SPX chain of 2026-08-21 and samples of it."""

import csv
import gzip
import itertools
from collections import defaultdict
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from models.quant.option import Contract, Right, SecType, parse_osi
from models.quant.pricing import black76
from models.quant.surface import OptionQuote, Surface, fit_surface

pytestmark = pytest.mark.recorded
CLOSE = datetime(2026, 8, 21, 20, 0, tzinfo=UTC)
SPOT = 7674.37


@cache
def chain(folder: Path) -> tuple[OptionQuote, ...]:
    out = []
    with gzip.open(folder / "options" / "cboe_spx" / "2026-08-21.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            trading_class, expiry, right, strike = parse_osi(row["option"])
            contract = Contract("SPX", SecType.OPTION, trading_class, 100, expiry, strike, right)
            out.append(OptionQuote(contract, float(row["bid"]) or None, float(row["ask"]) or None))
    return tuple(out)


@cache
def whole(folder: Path) -> Surface:
    return fit_surface("SPX", SPOT, CLOSE, chain(folder))


def near_the_money(quotes: list[OptionQuote], surface: Surface) -> tuple[np.ndarray, np.ndarray]:
    """Distance of fitted to quoted volatility in points, and the quotes' own uncertainty, where |delta| > .05."""
    from models.quant.pricing import implied_vol_forward

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


def test_the_hedging_window_fits_to_a_fifth_of_a_vol_point_near_the_money(recorded: Path) -> None:
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
        assert error < 0.20


def test_rates_and_forwards_are_smooth_and_sane(recorded: Path) -> None:
    surface = whole(recorded)
    rates = [-np.log(s.discount) / s.t_years for s in surface.slices if s.t_years > 0.02]
    assert 0.035 < min(rates) < max(rates) < 0.055
    for s in surface.slices:
        growth = np.log(s.forward / SPOT)
        assert -0.001 < growth < 0.05 * s.t_years + 0.001


def test_no_slice_has_a_negative_density_between_its_strikes(recorded: Path) -> None:
    for s in whole(recorded).slices:
        k = np.log(np.linspace(s.lowest, s.highest, 300) / s.forward)
        assert s.svi.butterfly(k).min() > -1e-6, s


def test_calendar_arbitrage_is_below_the_spread_within_the_hedging_window(recorded: Path) -> None:
    slices = [s for s in whole(recorded).slices if 20 <= (s.expiry - CLOSE.date()).days <= 65]
    for early, late in itertools.pairwise(slices):
        deviation = float(early.iv(early.forward)) * np.sqrt(early.t_years)
        k = np.linspace(-2, 1.5, 50) * deviation
        short = np.sqrt(early.svi.total_variance(k) / late.t_years) - np.sqrt(late.svi.total_variance(k) / late.t_years)
        assert short.max() < 0.001, (early.expiry, late.expiry)


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


def test_american_spy_takes_its_discount_from_the_rate_and_still_fits(recorded: Path) -> None:
    quotes = []
    with gzip.open(recorded / "options" / "cboe_spy" / "2026-08-21.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            trading_class, expiry, right, strike = parse_osi(row["option"])
            contract = Contract("SPY", SecType.OPTION, trading_class, 100, expiry, strike, right)
            quotes.append(OptionQuote(contract, float(row["bid"]) or None, float(row["ask"]) or None))
    surface = fit_surface("SPY", 765.72, CLOSE, quotes, rate=0.043)
    assert len(surface.slices) >= 30
    for s in surface.slices:
        assert s.discount == pytest.approx(np.exp(-0.043 * s.t_years))
        assert s.forward == pytest.approx(765.72 * np.exp(0.033 * s.t_years), rel=0.006)
        if s.t_years < 0.2:
            assert s.fit_error < 0.004
