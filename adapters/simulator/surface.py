"""The venue's volatility surface: a smile without static arbitrage for every expiry, and the VIX that follows from it.

SSVI (Gatheral & Jacquier, Arbitrage-free SVI volatility surfaces, 2014): total variance of log-moneyness k is
w = θ/2 · (1 + ρφk + √((φk + ρ)² + 1 − ρ²)) with φ = η/√θ, free of butterflies for η(1+|ρ|) ≤ 2 and of calendar
arbitrage because θ grows with time.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adapters.simulator.names import SmileShape

Floats = NDArray[np.float64]
LEAST_YEARS = 1.0 / (365 * 24 * 60)  # one minute: below this an option is its intrinsic value
VIX_YEARS = 30 / 365
VIX3M_YEARS = 93 / 365


def atm_variance(shape: SmileShape, level: ArrayLike, t: ArrayLike) -> Floats:
    """θ(t): total variance at the money when today's instantaneous variance is `level` (annual)."""
    years = np.maximum(np.asarray(t, float), LEAST_YEARS)
    far = shape.long_vol**2
    decay = -np.expm1(-shape.reversion * years) / shape.reversion
    return np.asarray(far * years + (np.asarray(level, float) - far) * decay)


def total_variance(theta: ArrayLike, k: ArrayLike, rho: ArrayLike, eta: ArrayLike) -> Floats:
    """w(k, θ) of the module's formula."""
    th, kk, r = np.asarray(theta, float), np.asarray(k, float), np.asarray(rho, float)
    phi = np.asarray(eta, float) / np.sqrt(th)
    return np.asarray(th / 2 * (1 + r * phi * kk + np.sqrt((phi * kk + r) ** 2 + 1 - r * r)))


def implied(shape: SmileShape, level: ArrayLike, k: ArrayLike, t: ArrayLike) -> Floats:
    """Implied volatility (annual fraction) at log-moneyness k of the forward and t years."""
    years = np.maximum(np.asarray(t, float), LEAST_YEARS)
    return np.asarray(np.sqrt(total_variance(atm_variance(shape, level, years), k, shape.rho, shape.eta) / years))


def strip_variance(shape: SmileShape, level: float, t: float) -> float:
    """Annual variance of the strip of out-of-the-money options, as Cboe computes VIX² (VIX white paper, formula 1)."""
    from models.quant.pricing import forward_price

    spread = 8 * np.sqrt(float(atm_variance(shape, level, t)))
    k = np.linspace(-spread, spread, 161)
    deviation = np.sqrt(total_variance(atm_variance(shape, level, t), k, shape.rho, shape.eta))
    out_of_money = forward_price(1.0, np.exp(k), deviation, k >= 0)
    return float(2 / t * np.trapezoid(out_of_money * np.exp(-k), k))


@lru_cache(maxsize=8)
def _vix_table(shape: SmileShape, t: float) -> tuple[Floats, Floats]:
    levels = np.exp(np.linspace(np.log(0.02**2), np.log(2.0**2), 120))
    return levels, np.array([100 * np.sqrt(strip_variance(shape, level, t)) for level in levels])


def vix_of(shape: SmileShape, level: float, t: float = VIX_YEARS) -> float:
    """The volatility index (points) of the surface at variance `level`."""
    levels, points = _vix_table(shape, t)
    return float(np.interp(level, levels, points))


def level_of(shape: SmileShape, vix: float) -> float:
    """The variance level at which the 30-day index stands at `vix` points."""
    levels, points = _vix_table(shape, VIX_YEARS)
    return float(np.interp(vix, points, levels))
