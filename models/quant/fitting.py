"""From quotes to slices: forward and discount of each expiry, its volatilities, SVI and its spline, in order of time.

Where the free smiles of two expiries cross at equal moneyness, both are drawn to the non-decreasing total variance
nearest to them, and the later one is then held above the earlier.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from models.quant.early_exercise import american_forward, american_vols
from models.quant.implied import implied_vol_forward
from models.quant.parity import Expiry, by_expiry, carried, discounts, parity_of
from models.quant.product import Style
from models.quant.smile import MIN_QUOTES, Svi, fit_svi
from models.quant.smile_calendar import GRID, increasing
from models.quant.smile_spline import Observed, fit_spline
from models.quant.surface import OptionQuote, Slice, Surface, tick_of

Floats = NDArray[np.float64]
_MAX_STRIKES = 120  # thinned evenly: a smile of five parameters learns nothing from the rest
_SVI_FLOOR = 0.01  # SVI is to be about right everywhere, wings too, and exact nowhere: that is the spline's part
_SPLINE_FLOOR = 0.0002  # the spline's own floor: mids are rounded to a tick
_CALENDAR_ROUNDS = 3
_CROSSING = 2e-4  # of total variance: what two expiries may cross by
_PIN = 0.0003  # volatility to which a smile is held where expiries would cross, or the share of its quotes' own error
_PIN_SHARE = 0.2
_TICKS = 0.5  # added to half a spread: a price of one tick may be worth much less
_TELLS = 0.25  # of a volatility: a quote that knows it less well tells nothing
_NEAR = 3.0  # standard deviations from the money inside which the smile is to be right; beyond, it may give
_KNOWN = 0.01  # quotes that know their volatility to within one point count in the fit error


@dataclass(frozen=True)
class _Smile:
    """One expiry on its way to a slice."""

    e: Expiry
    forward: float
    discount: float
    pairs: int
    strikes: Floats
    seen: Observed
    svi: Svi


def fit_slices(
    spot: float, at: datetime, quotes: Sequence[OptionQuote], rate: float, curve: Surface | None = None
) -> tuple[Slice, ...]:
    """The slices of `surface.fit_surface`."""
    smiles: list[_Smile] = []
    expiries = by_expiry(at, quotes)
    parities = [parity_of(e) for e in expiries]
    factors = [_lent(e, curve, d) for e, d in zip(expiries, discounts(expiries, parities, rate), strict=True)]
    found = [
        american_forward(e, p, spot, d) if e.style is Style.AMERICAN else p.forward(d)
        for e, p, d in zip(expiries, parities, factors, strict=True)
    ]
    times = [e.t for e in expiries]
    rates = [-math.log(d) / t for d, t in zip(factors, times, strict=True)]
    for e, p, discount, forward in zip(expiries, parities, factors, carried(spot, times, found, rates), strict=True):
        smile = _smile(e, spot, forward, discount, p.strikes.size, smiles[-1] if smiles else None)
        if smile is not None:
            smiles.append(smile)
    return _without_calendar_arbitrage(smiles, [_slice(s, s.seen) for s in smiles])


def _lent(e: Expiry, curve: Surface | None, own: float) -> float:
    """The discount of an expiry; an American one borrows it where there is a curve."""
    if curve is None or e.style is not Style.AMERICAN:
        return own
    discount = curve.discount((e.trading_class, e.expiry))
    return own if discount is None else discount


def _smile(e: Expiry, spot: float, forward: float, discount: float, pairs: int, before: _Smile | None) -> _Smile | None:
    strikes, vol, error = _volatilities(e, spot, forward, discount)
    if strikes.size < MIN_QUOTES:
        return None
    k = np.log(strikes / forward)
    thin = np.arange(k.size)
    if k.size > _MAX_STRIKES:
        thin = np.unique(np.linspace(0, k.size - 1, _MAX_STRIKES).round().astype(int))
    trust = np.hypot(error, _SVI_FLOOR)
    svi = fit_svi(k[thin], vol[thin], trust[thin], e.t, _svi_floor(before) if before is not None else None)
    return _Smile(e, forward, discount, pairs, strikes, Observed(k, vol, np.hypot(error, _SPLINE_FLOOR), e.t), svi)


def _volatilities(e: Expiry, spot: float, forward: float, discount: float) -> tuple[Floats, Floats, Floats]:
    """(strikes, volatility, its error) of the out-of-the-money side, or the other where only that is quoted."""
    right = e.strikes >= forward
    mid, half = np.where(right, e.call_mid, e.put_mid), np.where(right, e.call_half, e.put_half)
    twin_mid, twin_half = np.where(right, e.put_mid, e.call_mid), np.where(right, e.put_half, e.call_half)
    missing = np.isnan(mid)
    is_call = right ^ missing
    mid, half = np.where(missing, twin_mid, mid), np.where(missing, twin_half, half)
    if e.style is Style.AMERICAN:
        vol = american_vols(mid, spot, e.strikes, e.t, forward, discount, is_call)
    else:
        vol = implied_vol_forward(mid, forward, e.strikes, e.t, discount, is_call)
    k = np.log(e.strikes / forward)
    with np.errstate(all="ignore"):
        d1 = -k / (vol * math.sqrt(e.t)) + 0.5 * vol * math.sqrt(e.t)
        vega = discount * forward * math.sqrt(e.t / (2 * math.pi)) * np.exp(-0.5 * d1 * d1)
        error = (half + _TICKS * tick_of(e.trading_class)) / vega
    rows = np.flatnonzero(np.isfinite(vol) & np.isfinite(error) & (vol > 0.005) & (vol < 5.0) & (error < _TELLS * vol))
    return e.strikes[rows], vol[rows], error[rows]


def _slice(s: _Smile, seen: Observed) -> Slice:
    """The slice of a smile whose spline is fitted to `seen`."""
    out = Slice(
        s.e.trading_class, s.e.expiry, s.e.t, s.forward, s.discount, s.svi, 0.0, int(s.strikes.size), s.pairs,
        float(s.strikes[0]), float(s.strikes[-1]), fit_spline(seen, s.svi),
    )  # fmt: skip
    k, vol, error, t = s.seen.k, s.seen.vol, s.seen.error, s.seen.t
    miss = np.sqrt(np.maximum(out.total_variance(k), 0.0) / t) - vol
    z = k / (np.interp(0.0, k, vol) * math.sqrt(t))
    sharp = (error <= _KNOWN) & (np.abs(z) <= _NEAR)
    judged = miss[sharp] if sharp.any() else miss
    return replace(out, fit_error=float(np.sqrt(np.mean(judged**2))))


def _without_calendar_arbitrage(smiles: Sequence[_Smile], free: Sequence[Slice]) -> tuple[Slice, ...]:
    """Where expiries cross, each is drawn to what both can agree on, again until they no longer do, or hardly."""
    if not free:
        return ()
    out = list(free)
    before = np.array([_quoted_variance(s) for s in out])
    errors = np.array([np.interp(GRID, s.seen.k, 2.0 * s.seen.vol * s.seen.error * s.seen.t) for s in smiles])
    goals, now = np.full(before.shape, math.nan), before.copy()
    for _ in range(_CALENDAR_ROUNDS):
        agreed = increasing(now, errors)
        with np.errstate(invalid="ignore"):
            moved = np.abs(agreed - now) > _CROSSING * now
        if not moved.any():
            break
        goals[moved] = agreed[moved]
        for i in np.flatnonzero(moved.any(axis=1)).tolist():
            out[i] = _slice(smiles[i], _drawn(smiles[i].seen, before[i], goals[i]))
            now[i] = _quoted_variance(out[i])
    return tuple(out)


def _drawn(seen: Observed, free: Floats, goal: Floats) -> Observed:
    """The quotes moved as the smile has to move, from `free` to `goal` on GRID, and the goal itself; NaN leaves it."""
    moved = np.isfinite(goal)
    shift = np.interp(seen.k, GRID, np.where(moved, goal - free, 0.0))
    vol = np.sqrt(np.maximum(seen.vol**2 + shift / seen.t, 1e-8))
    k = np.r_[seen.k, GRID[moved]]
    order = np.argsort(k, kind="stable")
    pinned = np.r_[vol, np.sqrt(goal[moved] / seen.t)]
    pin = np.maximum(_PIN, _PIN_SHARE * np.interp(GRID[moved], seen.k, seen.error))
    error = np.r_[seen.error, pin]
    return Observed(k[order], pinned[order], error[order], seen.t)


def _quoted_variance(s: Slice) -> Floats:
    """Total variance on GRID; NaN beyond the quoted strikes."""
    low, high = math.log(s.lowest / s.forward), math.log(s.highest / s.forward)
    return np.where((low <= GRID) & (high >= GRID), s.total_variance(GRID), math.nan)


def _svi_floor(before: _Smile) -> Callable[[Floats], Floats]:
    low, high = before.seen.k[[0, -1]]

    def total_variance(k: Floats) -> Floats:
        return np.where((k >= low) & (k <= high), before.svi.total_variance(k), 0.0)

    return total_variance
