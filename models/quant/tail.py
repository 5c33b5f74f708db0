"""Value at risk and expected shortfall from past days: how much the book of today would have lost on the worst of them.

Every figure is a weighted sum of days, so that it splits exactly into positions. Losses are positive.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_DUST = 1e-9  # rounding of a level times a number of days, not a day


@dataclass(frozen=True)
class Tail:
    """Losses (positive; negative: even there the book gains) in currency at given levels; NaN is unknown.

    The components, shape (N,), are what each position adds: they sum to the figure (Euler; Tasche, Risk contributions
    and performance measurement, 1999). Over the position's quantity they are its marginal figure.
    """

    var: float
    shortfall: float
    var_components: Floats
    shortfall_components: Floats


def historical_tail(
    profits: ArrayLike, var_level: float, shortfall_level: float, weights: ArrayLike | None = None
) -> Tail:
    """The tail of a book from the profits of its positions on past days, shape (N, D), quantities included.

    `weights` (D,) per day (see `age_weights`); None counts all days alike. One unknown profit makes all unknown.
    """
    table = np.asarray(profits, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"profits has shape {table.shape}; it must be (positions, days)")
    book = table.sum(axis=0)
    at_var = _loss(table, var_weights(book, var_level, weights))
    beyond = _loss(table, shortfall_weights(book, shortfall_level, weights))
    return Tail(float(at_var.sum()), float(beyond.sum()), at_var, beyond)


def value_at_risk(profit: ArrayLike, level: float, weights: ArrayLike | None = None) -> float:
    """Loss in currency that a day exceeds with probability 1 − level, from the book's profit per day (D,)."""
    days = _days(profit)
    return float(_loss(days, var_weights(days, level, weights)))


def expected_shortfall(profit: ArrayLike, level: float, weights: ArrayLike | None = None) -> float:
    """Average loss in currency of the worst 1 − level of the days, from the book's profit per day (D,)."""
    days = _days(profit)
    return float(_loss(days, shortfall_weights(days, level, weights)))


def var_weights(profit: ArrayLike, level: float, weights: ArrayLike | None = None) -> Floats:
    """Weight of each day in the value at risk, shape (D,), sum 1; NaN when a day is unknown or there is none.

    All days alike: the quantile between the two neighbouring order statistics (Hyndman & Fan, Sample quantiles in
    statistical packages, 1996, type 7). Weighted days: the day on which the weight of the worst reaches 1 − level
    (Boudoukh, Richardson & Whitelaw, The best of both worlds, 1998; Hull, Options, Futures and Other Derivatives,
    section 22.3).
    """
    days, tail = _days(profit), tail_probability(level)
    if not _known(days):
        return np.full(days.size, np.nan)
    order, out = np.argsort(days, kind="stable"), np.zeros(days.size)
    if weights is not None:
        reached = np.cumsum(_shares(weights, days.size)[order])
        out[order[int(np.searchsorted(reached, tail - _DUST))]] = 1.0
        return out
    place = (days.size - 1) * tail
    below = min(int(place), days.size - 1)
    out[order[below]] = 1.0 - (place - below)
    out[order[min(below + 1, days.size - 1)]] += place - below
    return out


def shortfall_weights(profit: ArrayLike, level: float, weights: ArrayLike | None = None) -> Floats:
    """Weight of each day in the expected shortfall, shape (D,), sum 1; NaN when a day is unknown or there is none.

    The worst 1 − level of all weight, the last day in part: coherent for any number of days (Acerbi & Tasche, On the
    coherence of expected shortfall, 2002, equation 4.12).
    """
    days, tail = _days(profit), tail_probability(level)
    if not _known(days):
        return np.full(days.size, np.nan)
    order, out = np.argsort(days, kind="stable"), np.zeros(days.size)
    share = np.full(days.size, 1.0 / days.size) if weights is None else _shares(weights, days.size)
    reached = np.minimum(np.cumsum(share[order]), tail)
    taken = np.diff(reached, prepend=0.0)
    out[order] = taken / taken.sum()
    return out


def whole_days(level: float, days: int) -> float:
    """The level whose tail is a whole number of `days`, rounded up, at least one: .975 of 500 days leaves 13."""
    return 1.0 - max(1, math.ceil(days * tail_probability(level) - _DUST)) / days


def quantile_interval(profit: ArrayLike, level: float, confidence: float) -> tuple[float, float]:
    """(low, high) of the loss at `level`: two order statistics that hold it with at least `confidence`, equal tails.

    Free of any distribution: the number of days beyond the true quantile is binomial (David & Nagaraja, Order
    Statistics, 3rd ed., section 7.1). A side is NaN when the days are too few to bound it, both when a day is unknown.
    """
    from scipy.stats import binom

    days, tail = np.sort(_days(profit)), tail_probability(level)
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence}; it must lie between 0 and 1")
    if not _known(days):
        return math.nan, math.nan
    beyond, n = 0.5 * (1.0 - confidence), days.size
    below = binom.cdf(np.arange(n + 1), n, tail)
    # the r-th worst day lies past the quantile with probability P(fewer than r days beyond it)
    worst = int(np.searchsorted(below, beyond, side="right"))
    mildest = int(np.searchsorted(below, 1.0 - beyond, side="left")) + 1
    high = -float(days[worst - 1]) if worst >= 1 else math.nan
    low = -float(days[mildest - 1]) if mildest <= n else math.nan
    return low, high


def age_weights(days: int, decay: float) -> Floats:
    """Weights (D,), oldest day first, sum 1: each day counts `decay` times the next (Boudoukh et al., 1998)."""
    _check_decay(decay)
    weights = decay ** np.arange(days - 1, -1, -1.0)
    out: Floats = weights / weights.sum()
    return out


def volatility_scaled(moves: ArrayLike, decay: float) -> Floats:
    """Past moves as they would be at today's volatility, shape as given: (D,) or (D, factors), oldest first.

    Each move × volatility of the coming day / volatility of its own day, both exponentially weighted, zero mean, begun
    with the mean square of all days (Hull & White, Incorporating volatility updating into the historical simulation
    method, 1998; RiskMetrics). Scale SPX and VIX moves before repricing; a factor that never moved stays as it is.
    """
    _check_decay(decay)
    table = np.asarray(moves, dtype=np.float64)
    variance = np.empty((table.shape[0] + 1, *table.shape[1:]))
    variance[0] = np.mean(table**2, axis=0)
    for day, square in enumerate(table**2):
        variance[day + 1] = decay * variance[day] + (1.0 - decay) * square
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.sqrt(variance[-1] / variance[:-1])
    return table * np.where(variance[:-1] == 0.0, 1.0, ratio)


def _days(profit: ArrayLike) -> Floats:
    days = np.asarray(profit, dtype=np.float64)
    if days.ndim != 1:
        raise ValueError(f"profit has shape {days.shape}; it must be (days,), the book's profit on each")
    return days


def _loss(profits: Floats, weights: Floats) -> Floats:
    """Loss over weighted days, the last axis of `profits`; without a day it is unknown."""
    return -(profits @ weights) if weights.size else np.full(profits.shape[:-1], np.nan)


def _known(days: Floats) -> bool:
    return days.size > 0 and bool(np.isfinite(days).all())


def tail_probability(level: float) -> float:
    """1 − level; raises ValueError when the level is no fraction from one half to below one."""
    if not 0.5 <= level < 1.0:
        raise ValueError(f"level is {level}; it must be a fraction from 0.5 to below 1, such as 0.95")
    return 1.0 - level


def _check_decay(decay: float) -> None:
    if not 0.0 < decay <= 1.0:
        raise ValueError(f"decay is {decay}; it must be above 0 and at most 1, such as 0.94")


def _shares(weights: ArrayLike, days: int) -> Floats:
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (days,):
        raise ValueError(f"weights has shape {given.shape}; it must be ({days},), one per day")
    if not np.isfinite(given).all() or (given < 0).any() or not given.sum() > 0:
        raise ValueError("weights must be finite, none negative, and not all zero")
    out: Floats = given / given.sum()
    return out
