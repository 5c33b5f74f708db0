"""What a surface says in a few numbers: level, skew, term structure, expected moves, and where today's level ranks.

Deltas here are of the forward, undiscounted (Black's N(d1)); volatilities are annual fractions; unknown is NaN or None.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.pricing import DAYS_PER_YEAR, forward_price
from models.quant.surface import Slice, Surface

Floats = NDArray[np.float64]
STRADDLE_SHARE = 0.85
"""Of the straddle's price is the expected move by the traders' rule of thumb; the mean absolute move is all of it."""
LEAST_HISTORY = 126
"""Half a year of trading days: with fewer, a rank says more of the window than of the market."""
_FAR = 12.0  # standard deviations within which a strike of given delta is looked for
_HALVINGS = 60


class TermShape(StrEnum):
    CONTANGO = "contango"
    FLAT = "flat"
    BACKWARDATION = "backwardation"


@dataclass(frozen=True)
class Skew:
    """One expiry's smile in numbers, at ±delta: risk reversal = call − put, butterfly = their mean − at the money.

    `slope` is d vol / d ln(strike) at the money: −.6 loses .6 vol points per percent of strike.
    """

    atm: float
    call: float
    put: float
    slope: float

    @property
    def risk_reversal(self) -> float:
        return self.call - self.put

    @property
    def butterfly(self) -> float:
        return 0.5 * (self.call + self.put) - self.atm


@dataclass(frozen=True)
class ExpectedMove:
    """How far the underlying may go by an expiry, ± in its own points.

    `one_sigma` = forward × at-the-money vol × √t; `straddle` the at-the-money-forward straddle's price on the surface;
    `by_straddle` = STRADDLE_SHARE of it.
    """

    one_sigma: float
    straddle: float
    by_straddle: float


@dataclass(frozen=True)
class TermPoint:
    """One expiry of the term structure. `forward_vol`: of the time since the expiry before (today for the first), NaN
    where total variance falls or no time lies between.
    """

    trading_class: str
    expiry: date
    days: float
    atm: float
    forward_vol: float
    move: ExpectedMove


def atm_vol(s: Slice) -> float:
    """Volatility at the forward."""
    return float(s.iv(s.forward))


def strike_of_delta(s: Slice, delta: float, is_call: bool) -> float:
    """The strike whose forward delta on the smile has the size `delta` (0 to 1); NaN where the smile never gives it.

    Raises ValueError for a delta outside (0, 1).
    """
    if not 0.0 < delta < 1.0:
        raise ValueError(f"delta {delta} must lie between 0 and 1; give its size without a sign")
    from scipy.special import ndtri

    side = 1.0 if is_call else -1.0
    goal = float(ndtri(delta))  # side·d1 falls as the strike moves out

    def over(z: float) -> float:
        k = side * z * scale
        dev = math.sqrt(max(float(s.total_variance(np.array([k]))[0]), 0.0))
        return side * (-k / dev + 0.5 * dev) - goal if dev > 0 else math.nan

    scale = math.sqrt(s.t_years) * atm_vol(s)
    low, high = -_FAR, _FAR
    if not (over(low) > 0.0 > over(high)):
        return math.nan
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if over(middle) > 0.0 else (low, middle)
    return s.forward * math.exp(side * low * scale)


def skew(s: Slice, delta: float = 0.25) -> Skew:
    """The smile at ±`delta`."""
    w, slope, _ = s.shape(np.zeros(1))
    atm = math.sqrt(float(w[0]) / s.t_years)
    call, put = (float(s.iv(strike_of_delta(s, delta, is_call))) for is_call in (True, False))
    return Skew(atm, call, put, float(slope[0]) / (2.0 * atm * s.t_years))


def expected_move(s: Slice) -> ExpectedMove:
    """By this expiry, from its smile; the straddle is priced as European (at the money the difference is small)."""
    vol = atm_vol(s)
    dev = vol * math.sqrt(s.t_years)
    straddle = s.discount * float(forward_price(s.forward, s.forward, dev, [True, False]).sum())
    return ExpectedMove(s.forward * dev, straddle, STRADDLE_SHARE * straddle)


def term_structure(surface: Surface) -> tuple[TermPoint, ...]:
    """Every fitted expiry in order of time."""
    out: list[TermPoint] = []
    t, w = 0.0, 0.0
    for s in surface.slices:
        total = float(s.total_variance(np.zeros(1))[0])
        gained, passed = total - w, s.t_years - t
        forward_vol = math.sqrt(gained / passed) if gained >= 0.0 and passed > 0.0 else math.nan
        point = TermPoint(
            s.trading_class, s.expiry, s.t_years * DAYS_PER_YEAR, atm_vol(s), forward_vol, expected_move(s)
        )
        out.append(point)
        t, w = s.t_years, total
    return tuple(out)


def constant_maturity(surface: Surface, days: ArrayLike = 30.0) -> Floats:
    """At-the-money volatility at `days` from now, linear in total variance between expiries; NaN outside them."""
    t = np.asarray(days, dtype=np.float64) / DAYS_PER_YEAR
    if not surface.slices:
        return np.full(t.shape, math.nan)
    times = np.array([s.t_years for s in surface.slices])
    total = np.array([float(s.total_variance(np.zeros(1))[0]) for s in surface.slices])
    with np.errstate(divide="ignore", invalid="ignore"):
        out: Floats = np.sqrt(np.interp(t, times, total, left=math.nan, right=math.nan) / t)
    return out


def term_shape(surface: Surface, near: float = 30.0, far: float = 90.0, flat: float = 0.01) -> TermShape | None:
    """Contango: the far volatility is above the near by more than the share `flat` of it; None where one is unknown."""
    early, late = constant_maturity(surface, [near, far]).tolist()
    if not (early > 0 and late > 0):
        return None
    if abs(late / early - 1.0) <= flat:
        return TermShape.FLAT
    return TermShape.CONTANGO if late > early else TermShape.BACKWARDATION


def iv_rank(history: Sequence[float], now: float, least: int = LEAST_HISTORY) -> float | None:
    """(now − lowest) / (highest − lowest) of the days in `history`, 0 to 1 and beyond at a new extreme.

    None with fewer than `least` known days, without a known `now`, or where the history never moved.
    """
    known = _known(history, now, least)
    if known is None or known.max() == known.min():
        return None
    return float((now - known.min()) / (known.max() - known.min()))


def iv_percentile(history: Sequence[float], now: float, least: int = LEAST_HISTORY) -> float | None:
    """The share of days in `history` on which volatility was below `now`; None as for `iv_rank`."""
    known = _known(history, now, least)
    return None if known is None else float(np.mean(known < now))


def _known(history: Sequence[float], now: float, least: int) -> Floats | None:
    values = np.asarray(history, dtype=np.float64)
    values = values[np.isfinite(values)]
    return values if math.isfinite(now) and values.size >= max(least, 1) else None
