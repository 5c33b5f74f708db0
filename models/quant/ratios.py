"""Reward per risk and how far it can be believed: Sharpe and Sortino ratios with confidence, and the odds of skill.

Returns are simple, one per period, as fractions; ratios are annualised by √(periods per year). What a record is too
short or too still to tell is unknown, with the reason.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
LEAST = 12
"""Fewer returns than this say nothing about a ratio: its 95 % interval is wider than ±.56 per period."""
_DRAWS = 1_000_000


@dataclass(frozen=True)
class Estimate:
    """A ratio and the interval that holds the true one with the confidence asked for; None unknown, `why` says so."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    why: str = ""


@dataclass(frozen=True)
class Ratio:
    """A ratio of mean to risk, per period; `influence` (n,) is what each return adds to it (mean 0), the delta method's
    gradient: its standard deviation over √n is the ratio's standard error.
    """

    of: Callable[[Floats], Floats]
    influence: Callable[[Floats], Floats]


def _sharpe(x: Floats) -> Floats:
    """Over the last axis; the sample deviation (n − 1)."""
    with np.errstate(all="ignore"):
        out: Floats = x.mean(axis=-1) / x.std(axis=-1, ddof=1)
    return out


def _sharpe_influence(x: Floats) -> Floats:
    z = (x - x.mean()) / x.std()
    out: Floats = z - 0.5 * (x.mean() / x.std()) * (z * z - 1.0)
    return out


def _sortino(x: Floats) -> Floats:
    """Over the last axis; the downside deviation counts all n returns, those above the target as 0."""
    with np.errstate(all="ignore"):
        out: Floats = x.mean(axis=-1) / np.sqrt(np.mean(np.minimum(x, 0.0) ** 2, axis=-1))
    return out


def _sortino_influence(x: Floats) -> Floats:
    down = np.minimum(x, 0.0) ** 2
    d = math.sqrt(float(down.mean()))
    out: Floats = (x - x.mean()) / d - 0.5 * x.mean() / d**3 * (down - down.mean())
    return out


SHARPE, SORTINO = Ratio(_sharpe, _sharpe_influence), Ratio(_sortino, _sortino_influence)


def estimate(
    ratio: Ratio,
    returns: ArrayLike,
    periods_per_year: float,
    target: ArrayLike = 0.0,
    confidence: float = 0.95,
    lags: int = 0,
) -> Estimate:
    """SHARPE or SORTINO of returns above `target` (per period: the risk-free rate, the least acceptable return).

    The interval is the normal one of the delta method: for SHARPE it is Mertens' (2002) with skewness and kurtosis,
    and Lo's (2002) √((1 + SR²/2) / n) for normal returns. `lags` > 0 lets returns depend on so many before them
    (Newey-West weights; Lo's GMM estimator).
    """
    x = series(returns) - np.asarray(target, dtype=np.float64)
    why = _silent(ratio, x)
    if why:
        return Estimate(None, None, None, x.size, why)
    from scipy.special import ndtri

    value = float(ratio.of(x))
    half = float(ndtri(0.5 + 0.5 * confidence)) * _standard_error(ratio.influence(x), lags)
    year = math.sqrt(periods_per_year)
    return Estimate(value * year, (value - half) * year, (value + half) * year, x.size)


def _standard_error(influence: Floats, lags: int) -> float:
    n = influence.size
    covariances = [float(influence[k:] @ influence[: n - k]) / n for k in range(min(lags, n - 1) + 1)]
    weights = [1.0, *(2.0 * (1.0 - k / (lags + 1)) for k in range(1, len(covariances)))]
    return math.sqrt(max(sum(w * c for w, c in zip(weights, covariances, strict=True)), 0.0) / n)


def bootstrapped(
    ratio: Ratio,
    returns: ArrayLike,
    periods_per_year: float,
    seed: int,
    target: ArrayLike = 0.0,
    confidence: float = 0.95,
    samples: int = 2000,
    block: float | None = None,
) -> Estimate:
    """As `estimate`, with the percentile interval of the stationary bootstrap (Politis & Romano, 1994).

    `block` is the mean length of the stretches drawn together, n^(1/3) by default, 1 for independent returns; the same
    `seed` gives the same interval.
    """
    x = series(returns) - np.asarray(target, dtype=np.float64)
    why = _silent(ratio, x)
    if why:
        return Estimate(None, None, None, x.size, why)
    random, n = np.random.default_rng(seed), x.size
    chance = 1.0 / max(n ** (1.0 / 3.0) if block is None else block, 1.0)
    at_once = max(_DRAWS // n, 1)
    sizes = [min(at_once, samples - done) for done in range(0, samples, at_once)]
    drawn = np.concatenate([ratio.of(x[_stretches(random, size, n, chance)]) for size in sizes])
    # a draw without a shortfall has an infinite Sortino: ranked, never averaged
    tail, year = 0.5 * (1.0 - confidence), math.sqrt(periods_per_year)
    low, high = np.quantile(drawn[~np.isnan(drawn)], (tail, 1.0 - tail), method="inverted_cdf") * year
    return Estimate(float(ratio.of(x)) * year, float(low), float(high), n)


def _stretches(random: np.random.Generator, samples: int, n: int, chance: float) -> NDArray[np.intp]:
    """Rows of places 0 … n − 1, shape (samples, n), that run on around the end and start afresh with `chance`."""
    fresh = random.integers(0, n, (samples, n))
    begins = random.random((samples, n)) < chance
    begins[:, 0] = True
    since = np.maximum.accumulate(np.where(begins, np.arange(n), 0), axis=1)
    return (np.take_along_axis(fresh, since, axis=1) + np.arange(n) - since) % n


def probabilistic_sharpe(
    returns: ArrayLike, benchmark: float = 0.0, periods_per_year: float = 1.0, target: ArrayLike = 0.0
) -> float | None:
    """Probability that the true annual Sharpe ratio is above `benchmark` (annual), from one record; None unknown."""
    x = series(returns) - np.asarray(target, dtype=np.float64)
    if _silent(SHARPE, x):
        return None
    z = (x - x.mean()) / x.std()
    per_period = benchmark / math.sqrt(periods_per_year)
    return sharpe_odds(float(_sharpe(x)), x.size, float(np.mean(z**3)), float(np.mean(z**4)), per_period)


def sharpe_odds(sharpe: float, n: int, skew: float, kurtosis: float, benchmark: float = 0.0) -> float | None:
    """The probabilistic Sharpe ratio from per-period numbers; `kurtosis` is 3 for the normal distribution.

    Φ((SR − SR*)·√(n − 1) / √(1 − γ3·SR + (γ4 − 1)/4·SR²)) (Bailey & López de Prado, The Sharpe Ratio Efficient
    Frontier, 2012). None where the sample moments leave no spread.
    """
    from scipy.special import ndtr

    spread = 1.0 - skew * sharpe + 0.25 * (kurtosis - 1.0) * sharpe * sharpe
    return float(ndtr((sharpe - benchmark) * math.sqrt((n - 1) / spread))) if spread > 0 else None


def _silent(ratio: Ratio, x: Floats) -> str:
    """Why the record tells nothing, or nothing."""
    if x.size < LEAST:
        return f"{x.size} returns; {LEAST} are the least that say anything"
    if not np.isfinite(ratio.of(x)) or float(np.ptp(x)) <= 1e-12 * float(np.abs(x).max()):
        return "no return fell short" if ratio is SORTINO and float(x.min()) >= 0 else "the returns never vary"
    return ""


def series(numbers: ArrayLike) -> Floats:
    """Returns as one row of numbers; raises ValueError for anything else."""
    out = np.asarray(numbers, dtype=np.float64)
    if out.ndim != 1 or not np.isfinite(out).all():
        raise ValueError(f"returns of shape {out.shape} must be one row of numbers; drop or fill the unknown ones")
    return out
