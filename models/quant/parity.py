"""From quotes to forward and discount of each expiry: put-call parity near the money, where no one quote decides.

A quote counts when both sides are known, the bid is above zero and the sides do not cross; the rest is unknown.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from models.quant.option import Right
from models.quant.product import Style, settlement_minute, years_to
from models.quant.surface import OptionQuote, settlement_of, style_of

Floats = NDArray[np.float64]
_MAX_PAIRS = 40  # parity is read at the strikes nearest the money
_MAX_AMERICAN_PAIRS = 12  # farther out the premium of early exercise weighs more than what the pair tells
_RATE_ERROR = 0.004  # a slope of parity that leaves the rate less certain than this does not tell the discount
_RATE_BOUNDS = (-0.02, 0.20)


@dataclass(frozen=True)
class Expiry:
    """The two-sided quotes of one expiry of one class: mid and half-spread by strike, ascending; NaN is unknown."""

    trading_class: str
    expiry: date
    t: float
    strikes: Floats
    call_mid: Floats
    call_half: Floats
    put_mid: Floats
    put_half: Floats

    @property
    def style(self) -> Style:
        return style_of(self.trading_class)


@dataclass(frozen=True)
class Parity:
    """C − P = D·(F − K) at the strikes nearest the money: `rows` of the expiry, the gap C − P and its half-spread.

    `rate_error` is the uncertainty of `rate` = −ln D / t; infinite where parity does not tell it.
    """

    rows: NDArray[np.intp]
    strikes: Floats
    gap: Floats
    half: Floats
    rate: float = math.nan
    rate_error: float = math.inf

    def forward(self, discount: float, premium: Floats | float = 0.0) -> float:
        """The robust middle of K + (C − P)/D; `premium` is what early exercise adds to C − P. NaN without a pair."""
        if not self.strikes.size:
            return math.nan
        return _centre(self.strikes + (self.gap - premium) / discount, self.half)


def by_expiry(at: datetime, quotes: Sequence[OptionQuote]) -> list[Expiry]:
    """Everything not yet settled at `at`, in order of time."""
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
            out.append(Expiry(trading_class, expiry, t, strikes, *table.T))
    return sorted(out, key=lambda e: (e.t, e.trading_class))


def parity_of(e: Expiry) -> Parity:
    """What the expiry's pairs tell. An American class tells no rate: early exercise bends the slope."""
    gap = e.call_mid - e.put_mid
    both = np.flatnonzero(np.isfinite(gap))
    american = e.style is Style.AMERICAN
    most = _MAX_AMERICAN_PAIRS if american else _MAX_PAIRS
    rows = np.sort(both[np.argsort(np.abs(gap[both]), kind="stable")[:most]])
    strikes, y, half = e.strikes[rows], gap[rows], (e.call_half + e.put_half)[rows]
    if rows.size < 3 or american:
        return Parity(rows, strikes, y, half)
    slope, slope_error = _robust_slope(strikes - float(strikes.mean()), y, half)
    if not slope < 0:
        return Parity(rows, strikes, y, half)
    rate = -math.log(-slope) / e.t
    known = _RATE_BOUNDS[0] <= rate <= _RATE_BOUNDS[1]
    return Parity(rows, strikes, y, half, rate, slope_error / -slope / e.t if known else math.inf)


def discounts(expiries: Sequence[Expiry], parities: Sequence[Parity], rate: float) -> list[float]:
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


def carried(spot: float, times: Sequence[float], found: Sequence[float], rates: Sequence[float]) -> list[float]:
    """The forwards found; where there is none, growth between the neighbours', or at the rate without any."""
    known = [(t, math.log(f / spot)) for t, f in zip(times, found, strict=True) if f > 0]
    out = []
    for t, f, rate in zip(times, found, rates, strict=True):
        if f > 0:
            out.append(f)
        elif known:
            at, logs = [0.0, *(t for t, _ in known)], [0.0, *(g for _, g in known)]
            growth = logs[-1] * t / at[-1] if t > at[-1] else float(np.interp(t, at, logs))
            out.append(spot * math.exp(growth))
        else:
            out.append(spot * math.exp(rate * t))
    return out


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


def _centre(values: Floats, half: Floats) -> float:
    """Weighted mean of the values near the weighted median: tight quotes decide, outliers do not."""
    known = np.isfinite(values)
    values, half = values[known], half[known]
    if not values.size:
        return math.nan
    weight = 1.0 / np.maximum(half, 0.01) ** 2
    order = np.argsort(values)
    cumulative = np.cumsum(weight[order])
    middle = float(values[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])])
    near = np.abs(values - middle) <= np.maximum(2.0 * half, 1e-9 * abs(middle))
    return float(np.average(values[near], weights=weight[near])) if near.any() else middle
