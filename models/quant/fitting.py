"""From quotes to slices: group by expiry, forward and discount off put-call parity, then the smile, in order of time.

A quote counts when both sides are known, the bid is above zero and the sides do not cross; the rest is unknown.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from models.quant.implied import implied_vol_forward
from models.quant.option import Right
from models.quant.product import Style, settlement_minute, years_to
from models.quant.smile import MIN_QUOTES, fit_svi
from models.quant.surface import OptionQuote, Slice, settlement_of, style_of

Floats = NDArray[np.float64]
_MAX_STRIKES = 120  # thinned evenly: a smile of five parameters learns nothing from the rest
_MAX_PAIRS = 40  # parity is read at the strikes nearest the money
_MAX_AMERICAN_PAIRS = 8  # farther out the premium of early exercise bends parity
_ERROR_FLOOR = 0.0010  # no mid is trusted to better than a tenth of a vol point
_NEAR = 3.0  # standard deviations from the money inside which the smile is to be right; beyond, it may give
_KNOWN = 0.01  # quotes that know their volatility to within one point count in the fit error
_RATE_ERROR = 0.004  # a slope of parity that leaves the rate less certain than this does not tell the discount
_RATE_BOUNDS = (-0.02, 0.20)


@dataclass(frozen=True)
class _Expiry:
    trading_class: str
    expiry: date
    t: float
    strikes: Floats
    call_mid: Floats
    call_half: Floats
    put_mid: Floats
    put_half: Floats


@dataclass(frozen=True)
class _Parity:
    """C − P = D·(F − K), read near the money. `rate_error` is the uncertainty of −ln D / t; infinite if unreadable."""

    rate: float
    rate_error: float
    strikes: Floats
    gap: Floats
    half: Floats


def fit_slices(spot: float, at: datetime, quotes: Sequence[OptionQuote], rate: float) -> tuple[Slice, ...]:
    expiries = _by_expiry(at, quotes)
    parities = [_parity(e) for e in expiries]
    discounts = _discounts(expiries, parities, rate)
    forwards = _forwards(spot, expiries, parities, discounts)
    slices: list[Slice] = []
    for e, p, discount, forward in zip(expiries, parities, discounts, forwards, strict=True):
        fitted = _smile(e, forward, discount, p.strikes.size, slices[-1] if slices else None)
        if fitted is not None:
            slices.append(fitted)
    return tuple(slices)


def _by_expiry(at: datetime, quotes: Sequence[OptionQuote]) -> list[_Expiry]:
    groups: dict[tuple[str, date], dict[float, list[float]]] = {}
    for quote in quotes:
        c, bid, ask = quote.contract, quote.bid, quote.ask
        if bid is None or ask is None or not 0 < bid <= ask < math.inf or c.expiry is None or c.strike is None:
            continue
        row = groups.setdefault((c.trading_class, c.expiry), {}).setdefault(c.strike, [math.nan] * 4)
        side = 0 if c.right is Right.CALL else 2
        row[side], row[side + 1] = 0.5 * (bid + ask), 0.5 * (ask - bid)
    out = []
    for (trading_class, expiry), rows in groups.items():
        t = years_to(settlement_minute(expiry, settlement_of(trading_class)), at)
        if t > 0:
            strikes = np.array(sorted(rows))
            table = np.array([rows[k] for k in strikes])
            out.append(_Expiry(trading_class, expiry, t, strikes, *table.T))
    return sorted(out, key=lambda e: (e.t, e.trading_class))


def _parity(e: _Expiry) -> _Parity:
    gap = e.call_mid - e.put_mid
    both = np.flatnonzero(np.isfinite(gap))
    american = style_of(e.trading_class) is Style.AMERICAN
    most = _MAX_AMERICAN_PAIRS if american else _MAX_PAIRS
    nearest = both[np.argsort(np.abs(gap[both]), kind="stable")[:most]]
    rows = np.sort(nearest)
    strikes, y, half = e.strikes[rows], gap[rows], (e.call_half + e.put_half)[rows]
    nothing = _Parity(math.nan, math.inf, strikes, y, half)
    if rows.size < 3 or american:
        return nothing
    centre = float(strikes.mean())
    slope, slope_error = _robust_slope(strikes - centre, y, half)
    if not slope < 0:
        return nothing
    rate = -math.log(-slope) / e.t
    error = slope_error / -slope / e.t
    if not _RATE_BOUNDS[0] <= rate <= _RATE_BOUNDS[1]:
        error = math.inf
    return _Parity(rate, error, strikes, y, half)


def _robust_slope(x: Floats, y: Floats, half: Floats) -> tuple[float, float]:
    """Weighted line with Huber's weights; the slope and its standard error (from the quotes' own spreads at least)."""
    base = 1.0 / np.maximum(half, 0.01) ** 2
    weight = base
    slope, spread = 0.0, 0.0
    for _ in range(6):
        total = weight.sum()
        mx, my = float(weight @ x) / total, float(weight @ y) / total
        sxx = float(weight @ (x - mx) ** 2)
        slope = float(weight @ ((x - mx) * (y - my))) / max(sxx, 1e-300)
        residual = (y - my - slope * (x - mx)) * np.sqrt(base)
        spread = 1.4826 * float(np.median(np.abs(residual)))
        weight = base / np.maximum(1.0, np.abs(residual) / max(2.0 * spread, 1e-9))
    # half a spread is about two standard deviations of a mid
    return slope, max(spread, 0.25) / math.sqrt(max(sxx, 1e-300))


def _discounts(expiries: list[_Expiry], parities: list[_Parity], rate: float) -> list[float]:
    """Each expiry's discount: its own parity and the neighbours', weighed by how well each knows the rate."""
    known = [(math.log(e.t), p) for e, p in zip(expiries, parities, strict=True) if p.rate_error <= _RATE_ERROR]
    if not known:
        return [math.exp(-rate * e.t) for e in expiries]
    times = np.array([t for t, _ in known])
    rates = np.array([p.rate for _, p in known])
    sure = 1.0 / np.array([max(p.rate_error, 1e-5) for _, p in known]) ** 2
    out = []
    for e in expiries:
        weight = sure * np.exp(-0.5 * ((times - math.log(e.t)) / 0.35) ** 2) + 1e-9 * sure
        out.append(math.exp(-float(weight @ rates) / float(weight.sum()) * e.t))
    return out


def _forwards(spot: float, expiries: list[_Expiry], parities: list[_Parity], discounts: list[float]) -> list[float]:
    """Each expiry's forward: the robust middle of K + (C − P)/D; without a pair, growth between the neighbours'."""
    found: list[float] = []
    for p, discount in zip(parities, discounts, strict=True):
        found.append(_centre(p.strikes + p.gap / discount, p.half) if p.strikes.size else math.nan)
    known = [(e.t, math.log(f / spot)) for e, f in zip(expiries, found, strict=True) if f > 0]
    out = []
    for e, f, discount in zip(expiries, found, discounts, strict=True):
        if f > 0:
            out.append(f)
        elif known:
            times, logs = [0.0, *(t for t, _ in known)], [0.0, *(g for _, g in known)]
            growth = logs[-1] * e.t / times[-1] if e.t > times[-1] else float(np.interp(e.t, times, logs))
            out.append(spot * math.exp(growth))
        else:
            out.append(spot / discount)
    return out


def _centre(values: Floats, half: Floats) -> float:
    """Weighted mean of the values near the weighted median: tight quotes decide, outliers do not."""
    weight = 1.0 / np.maximum(half, 0.01) ** 2
    order = np.argsort(values)
    cumulative = np.cumsum(weight[order])
    middle = float(values[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])])
    near = np.abs(values - middle) <= np.maximum(2.0 * half, 1e-9 * abs(middle))
    return float(np.average(values[near], weights=weight[near])) if near.any() else middle


def _smile(e: _Expiry, forward: float, discount: float, pairs: int, before: Slice | None) -> Slice | None:
    right = e.strikes >= forward
    mid, half = np.where(right, e.call_mid, e.put_mid), np.where(right, e.call_half, e.put_half)
    twin_mid, twin_half = np.where(right, e.put_mid, e.call_mid), np.where(right, e.put_half, e.call_half)
    missing = np.isnan(mid)
    is_call = right ^ missing
    mid, half = np.where(missing, twin_mid, mid), np.where(missing, twin_half, half)
    vol = implied_vol_forward(mid, forward, e.strikes, e.t, discount, is_call)
    k = np.log(e.strikes / forward)
    with np.errstate(all="ignore"):
        d1 = -k / (vol * math.sqrt(e.t)) + 0.5 * vol * math.sqrt(e.t)
        vega = discount * forward * math.sqrt(e.t / (2 * math.pi)) * np.exp(-0.5 * d1 * d1)
        error = half / vega
    rows = np.flatnonzero(np.isfinite(vol) & np.isfinite(error) & (vol > 0.005) & (vol < 5.0) & (error < 0.5 * vol))
    if rows.size < MIN_QUOTES:
        return None
    if rows.size > _MAX_STRIKES:
        rows = rows[np.unique(np.linspace(0, rows.size - 1, _MAX_STRIKES).round().astype(int))]
    k, vol, error = k[rows], vol[rows], error[rows]
    z = k / (np.interp(0.0, k, vol) * math.sqrt(e.t))
    trust = np.hypot(error, _ERROR_FLOOR * (1.0 + (z / _NEAR) ** 2))
    svi = fit_svi(k, vol, trust, e.t, _floor(before) if before is not None else None)
    miss = np.sqrt(np.maximum(svi.total_variance(k), 0.0) / e.t) - vol
    sharp = (error <= _KNOWN) & (np.abs(z) <= _NEAR)
    judged = miss[sharp] if sharp.any() else miss
    return Slice(
        e.trading_class, e.expiry, e.t, forward, discount, svi, float(np.sqrt(np.mean(judged**2))), int(rows.size),
        pairs, float(e.strikes[rows[0]]), float(e.strikes[rows[-1]]),
    )  # fmt: skip


def _floor(before: Slice) -> Callable[[Floats], Floats]:
    low, high = math.log(before.lowest / before.forward), math.log(before.highest / before.forward)

    def total_variance(k: Floats) -> Floats:
        return np.where((k >= low) & (k <= high), before.svi.total_variance(k), 0.0)

    return total_variance
