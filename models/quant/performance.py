"""How a record did: returns without the money that came and went, growth, drawdown, hits, and reward per risk.

Returns are simple, one per period, as fractions. What a record cannot tell is unknown.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.ratios import SHARPE, SORTINO, Estimate, estimate, probabilistic_sharpe, series

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Flow:
    """Money that came in (positive) or went out, not earned by trading."""

    at: datetime
    amount: float


@dataclass(frozen=True)
class Drawdown:
    """The deepest fall from a peak. `depth` ≤ 0 as a fraction of the peak; `peak`, `trough` and `recovered` count
    periods from the start (0: before the first return), `recovered` None while still under water; `longest` is the
    most periods in a row below an earlier peak, in whichever fall.
    """

    depth: float
    peak: int
    trough: int
    recovered: int | None
    longest: int


@dataclass(frozen=True)
class Record:
    """All of it for one series of returns; None is unknown. `psr`: probability that the true Sharpe is above 0."""

    n: int
    total_return: float | None
    annual_return: float | None
    annual_vol: float | None
    drawdown: Drawdown | None
    calmar: float | None
    sharpe: Estimate
    sortino: Estimate
    psr: float | None
    hit_rate: float | None
    profit_factor: float | None


def time_weighted_returns(times: Sequence[datetime], equity: ArrayLike, flows: Sequence[Flow] = ()) -> Floats:
    """Returns between n + 1 valuations, shape (n,), as if no money had come or gone.

    Exact where flows happen at valuations (equity at a moment includes the flows up to and at it); a flow between two
    valuations is weighted by the part of the period it was there (modified Dietz; GIPS 2020, 2.A.28). NaN where the
    capital is not above zero. Raises ValueError for times out of order or flows outside them.
    """
    values = np.asarray(equity, dtype=np.float64)
    if values.shape != (len(times),) or len(times) < 2:
        raise ValueError(f"equity has shape {values.shape} for {len(times)} times; give one value per time, at least 2")
    if any(b <= a for a, b in pairwise(times)):
        raise ValueError("times must rise; sort the valuations and keep one per moment")
    outside = next((f for f in flows if not times[0] < f.at <= times[-1]), None)
    if outside is not None:
        raise ValueError(f"flow at {outside.at} is outside the valuations; add one before and one after it")
    out = np.empty(len(times) - 1)
    for i, (start, end) in enumerate(pairwise(times)):
        inside = [(f.amount, (end - f.at) / (end - start)) for f in flows if start < f.at <= end]
        capital = values[i] + sum(amount * share for amount, share in inside)
        gain = values[i + 1] - values[i] - sum(amount for amount, _ in inside)
        out[i] = gain / capital if capital > 0 else math.nan
    return out


def wealth(returns: ArrayLike) -> Floats:
    """Growth of 1.00, shape (n + 1,), the start included."""
    return np.concatenate(([1.0], np.cumprod(1.0 + series(returns))))


def drawdowns(returns: ArrayLike) -> Floats:
    """Wealth below its highest so far, as fractions ≤ 0, shape (n + 1,), the start included."""
    w = wealth(returns)
    out: Floats = w / np.maximum.accumulate(w) - 1.0
    return out


def max_drawdown(returns: ArrayLike) -> Drawdown:
    under = drawdowns(returns)
    trough = int(np.argmin(under))
    dry = np.flatnonzero(under == 0.0)
    peak = int(dry[dry <= trough][-1])
    after = dry[dry > trough]
    recovered = trough if under[trough] == 0.0 else int(after[0]) if after.size else None
    longest = int(np.diff(np.append(dry, under.size)).max()) - 1
    return Drawdown(float(under[trough]), peak, trough, recovered, longest)


def annual_return(returns: ArrayLike, periods_per_year: float) -> float | None:
    """Compound yearly growth; None without returns, −1 once everything was lost."""
    r = series(returns)
    if not r.size:
        return None
    end = float(wealth(r)[-1])
    return end ** (periods_per_year / r.size) - 1.0 if end > 0 else -1.0


def annual_vol(returns: ArrayLike, periods_per_year: float) -> float | None:
    r = series(returns)
    return float(r.std(ddof=1)) * math.sqrt(periods_per_year) if r.size > 1 else None


def hit_rate(profits: ArrayLike) -> float | None:
    """Share of winners among what won or lost (returns or profits of trades); None when nothing did either."""
    p = series(profits)
    decided = int(np.count_nonzero(p))
    return int(np.count_nonzero(p > 0)) / decided if decided else None


def profit_factor(profits: ArrayLike) -> float | None:
    """Sum won over sum lost; inf when nothing was lost, None when nothing was won or lost."""
    p = series(profits)
    won, lost = float(p[p > 0].sum()), float(-p[p < 0].sum())
    if lost == 0:
        return math.inf if won else None
    return won / lost


def record(returns: ArrayLike, periods_per_year: float, target: ArrayLike = 0.0, lags: int = 0) -> Record:
    """Everything about one series of returns; intervals at 95 %."""
    r = series(returns)
    yearly = annual_return(r, periods_per_year)
    fall = max_drawdown(r) if r.size else None
    return Record(
        n=r.size,
        total_return=float(wealth(r)[-1]) - 1.0 if r.size else None,
        annual_return=yearly,
        annual_vol=annual_vol(r, periods_per_year),
        drawdown=fall,
        calmar=None if yearly is None or fall is None or fall.depth == 0 else yearly / -fall.depth,
        sharpe=estimate(SHARPE, r, periods_per_year, target, lags=lags),
        sortino=estimate(SORTINO, r, periods_per_year, target, lags=lags),
        psr=probabilistic_sharpe(r, target=target),
        hit_rate=hit_rate(r),
        profit_factor=profit_factor(r),
    )
