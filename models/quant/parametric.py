"""Parametric value at risk: the book as a slope and a curve in SPX and 30-day volatility, and these jointly normal.

Quick and smooth where full repricing of past days is slow and rough; blind to what a second-order curve cannot tell.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.tail import Tail, age_weights, tail_probability
from models.quant.terms import Terms
from models.quant.vectors import contract_greeks

Floats = NDArray[np.float64]
_FARTHEST = -5.0  # deviations: beyond it lies less than one day in a million


@dataclass(frozen=True)
class FactorGreeks:
    """What N contracts do per one contract long, in currency, in x = (SPX move in per cent, 30-day vol in points).

    gradient (N, 2): spx_delta and weighted vega · curvature (N, 2, 2): gamma, vanna and volga of the same moves.
    Profit ≈ gradient·x + ½ x·curvature·x. NaN is unknown.
    """

    gradient: Floats
    curvature: Floats


@dataclass(frozen=True)
class ParametricTail(Tail):
    """A tail with the moments of the profit: mean and deviation in currency, skewness, excess kurtosis.

    All figures NaN: a position is unknown, or the moments lie where the expansion contradicts itself (its quantile
    falls where the probability rises); then only past days or a simulation can tell.
    """

    mean: float
    deviation: float
    skewness: float
    kurtosis: float


def factor_greeks(terms: Terms) -> FactorGreeks:
    """Slope and curve of each contract in the two factors, from the greeks at the terms' own spot and volatility."""
    greeks, m = contract_greeks(terms), terms.multiplier
    per_percent = terms.per_percent
    per_point = np.where(terms.is_option, terms.vega_weight, 1.0)
    cross = m * greeks.vanna * per_percent * per_point
    gamma, volga = m * greeks.gamma * per_percent**2, m * greeks.volga * per_point**2
    return FactorGreeks(
        np.stack([m * greeks.delta * per_percent, m * greeks.vega * per_point], axis=-1),
        np.stack([np.stack([gamma, cross], axis=-1), np.stack([cross, volga], axis=-1)], axis=-1),
    )


def joint_covariance(spx_vix_history: ArrayLike, decay: float = 1.0) -> Floats:
    """Covariance (2, 2) of a day's (SPX move in per cent, VIX change in points), zero mean.

    `spx_vix_history` (D, 2): SPX simple return as a fraction, VIX change in points, oldest first. Each day counts
    `decay` times the next: 1 counts all alike, .94 is RiskMetrics' (Technical Document, 4th ed., section 5.2).
    """
    days = np.asarray(spx_vix_history, dtype=np.float64)
    if days.ndim != 2 or days.shape[1] != 2 or not days.shape[0]:
        raise ValueError(f"spx_vix_history has shape {days.shape}; it must be (days, 2): SPX return, VIX change")
    moves = days * (100.0, 1.0)
    out: Floats = (moves * age_weights(days.shape[0], decay)[:, None]).T @ moves
    return out


def delta_normal(
    factors: FactorGreeks, quantities: ArrayLike, covariance: ArrayLike, var_level: float, shortfall_level: float
) -> ParametricTail:
    """The tail of the slopes alone, profit normal: VaR = z·√(δ'Σδ) (RiskMetrics Technical Document, section 1.2).

    `quantities` (N) signed, `covariance` (2, 2) as of `joint_covariance`: the horizon is the covariance's.
    """
    flat = FactorGreeks(factors.gradient, np.zeros_like(factors.curvature))
    return delta_gamma_vega(flat, quantities, covariance, var_level, shortfall_level)


def delta_gamma_vega(
    factors: FactorGreeks, quantities: ArrayLike, covariance: ArrayLike, var_level: float, shortfall_level: float
) -> ParametricTail:
    """The tail of slopes and curves: exact cumulants of a quadratic form of normals, Cornish-Fisher quantile.

    κ1 = ½tr(ΓΣ), κ2 = δ'Σδ + ½tr((ΓΣ)²), κ3 = 3δ'ΣΓΣδ + tr((ΓΣ)³), κ4 = 12δ'Σ(ΓΣ)²δ + 3tr((ΓΣ)⁴) (Jaschke, The
    Cornish-Fisher expansion in the context of delta-gamma-normal approximations, 2002). Shortfall is the average of
    the expanded quantile over the tail (Maillard, A user's guide to the Cornish-Fisher expansion, 2012).
    """
    q, sigma = np.asarray(quantities, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    if sigma.shape != (2, 2):
        raise ValueError(f"covariance has shape {sigma.shape}; it must be (2, 2): SPX per cent, vol points")
    held = q != 0
    slopes = np.zeros((4, q.size))
    slopes[:, held] = _cumulant_slopes(
        factors.gradient[held] * q[held, None], factors.curvature[held] * q[held, None, None], sigma
    )
    shape = _Shape.of(slopes)
    var = shape.loss(_quantile(tail_probability(var_level)))
    shortfall = shape.loss(_tail_average(tail_probability(shortfall_level)))
    return ParametricTail(
        float(var.sum()), float(shortfall.sum()), var, shortfall,
        shape.mean, shape.deviation, shape.skewness, shape.kurtosis,
    )  # fmt: skip


def _cumulant_slopes(gradient: Floats, curvature: Floats, sigma: Floats) -> Floats:
    """What each position adds to r·κ_r, r = 1 to 4, shape (4, N): the cumulants are homogeneous of degree r."""
    slope, curve = gradient.sum(axis=0), curvature.sum(axis=0)
    power, powers, paths = sigma, [], []
    for _ in range(4):
        powers.append(power)  # Σ(ΓΣ)^j
        paths.append(power @ slope)
        power = power @ curve @ sigma
    out = np.empty((4, gradient.shape[0]))
    for r in range(1, 5):
        weight = powers[r - 1] + sum(np.outer(paths[j], paths[r - 3 - j]) for j in range(r - 2))
        along = 2.0 * gradient @ paths[r - 2] if r > 1 else 0.0
        out[r - 1] = 0.5 * math.factorial(r) * (np.einsum("nij,ij->n", curvature, weight) + along)
    return out


@dataclass(frozen=True)
class _Expansion:
    """A figure of the standardised profit as base + skew·s + kurt·k + square·s², for the tail left of the normal z."""

    z: float
    base: float
    skew: float
    kurt: float
    square: float


def _quantile(tail: float) -> _Expansion:
    from scipy.special import ndtri

    z = float(ndtri(tail))
    return _Expansion(z, z, (z * z - 1.0) / 6.0, (z**3 - 3.0 * z) / 24.0, -(2.0 * z**3 - 5.0 * z) / 36.0)


def _tail_average(tail: float) -> _Expansion:
    """The mean of `_quantile` over all probabilities below `tail`."""
    from scipy.special import ndtri

    z = float(ndtri(tail))
    mills = -math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) / tail
    return _Expansion(z, mills, mills * z / 6.0, mills * (z * z - 1.0) / 24.0, mills * (1.0 - 2.0 * z * z) / 36.0)


@dataclass(frozen=True)
class _Shape:
    """The first four moments of the profit and, per position, what it adds to each cumulant (4, N)."""

    slopes: Floats
    mean: float
    deviation: float
    skewness: float
    kurtosis: float

    @classmethod
    def of(cls, slopes: Floats) -> "_Shape":
        k1, k2, k3, k4 = slopes.sum(axis=1) / (1.0, 2.0, 3.0, 4.0)
        if not k2 > 0:  # nothing moves, or nothing is known
            flat = 0.0 if k2 == 0 else math.nan
            return cls(slopes, float(k1), flat, flat, flat)
        return cls(slopes, float(k1), math.sqrt(k2), float(k3 / k2**1.5), float(k4 / k2**2))

    def loss(self, e: _Expansion) -> Floats:
        """The figure by position, shape (N,), as losses; NaN where the expansion does not hold."""
        if not self.deviation > 0:
            return -self.slopes[0] if self.deviation == 0 else np.full(self.slopes.shape[1], np.nan)
        if not self.rises(e.z):
            return np.full(self.slopes.shape[1], np.nan)
        s, k, variance = self.skewness, self.kurtosis, self.deviation**2
        by_scale = self.slopes[1] / variance
        by_skewness = self.slopes[2] / self.deviation**3 - 1.5 * s * by_scale
        by_kurtosis = self.slopes[3] / variance**2 - 2.0 * k * by_scale
        level = e.base + e.skew * s + e.kurt * k + e.square * s * s
        moved = 0.5 * level * by_scale + (e.skew + 2.0 * e.square * s) * by_skewness + e.kurt * by_kurtosis
        out: Floats = -(self.slopes[0] + self.deviation * moved)
        return out

    def rises(self, z: float) -> bool:
        """Whether the expanded quantile rises with the probability all the way from the farthest tail to z."""
        s, k = self.skewness, self.kurtosis
        a, b, c = k / 8.0 - s * s / 6.0, s / 3.0, 1.0 - k / 8.0 + 5.0 * s * s / 36.0
        turn = -b / (2.0 * a) if a > 0 else z
        places = (z, min(z, _FARTHEST), min(max(turn, _FARTHEST), z))
        return all(a * x * x + b * x + c >= 0.0 for x in places)
