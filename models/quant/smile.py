"""One expiry's smile: raw SVI total variance fitted to quoted volatilities, without butterfly or calendar arbitrage.

w(k) = a + b·(ρ·(k − m) + √((k − m)² + σ²)), k = ln(strike / forward), w = vol² × t (Gatheral, 2004). For given m and σ
the rest is a small least-squares problem with box bounds (Zeliade, Quasi-explicit calibration of SVI, 2009), solved for
a whole grid of (m, σ) at once; the grid closes in on the best one that carries no arbitrage.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MIN_QUOTES = 5
_GRID = 11
_ZOOMS = 7
_SHRINK = 0.45
_CHECKS = 33
_PENALTY = 1e3
_CALENDAR = 20.0  # weight of a squared relative shortfall below the expiry before, against the squared relative misfit


@dataclass(frozen=True)
class Svi:
    """Raw SVI parameters of total variance."""

    a: float
    b: float
    rho: float
    m: float
    sigma: float

    def total_variance(self, k: Floats) -> Floats:
        y = k - self.m
        out: Floats = self.a + self.b * (self.rho * y + np.sqrt(y * y + self.sigma * self.sigma))
        return out

    def shape(self, k: Floats) -> tuple[Floats, Floats, Floats]:
        """Total variance and its first two derivatives in k."""
        y = k - self.m
        root = np.sqrt(y * y + self.sigma * self.sigma)
        w = self.a + self.b * (self.rho * y + root)
        return w, self.b * (self.rho + y / root), self.b * self.sigma**2 / root**3

    def butterfly(self, k: Floats) -> Floats:
        """Durrleman's g(k): the implied density has its sign; negative anywhere is butterfly arbitrage."""
        return durrleman(k, *self.shape(k))


def durrleman(k: Floats, w: Floats, slope: Floats, bend: Floats) -> Floats:
    """g = (1 − k·w'/2w)² − w'²/4·(1/w + 1/4) + w''/2 (Gatheral & Jacquier, 2014, equation 2.1)."""
    lead = 1.0 - 0.5 * k * slope / w
    out: Floats = lead * lead - 0.25 * slope * slope * (1.0 / w + 0.25) + 0.5 * bend
    return out


def fit_svi(k: Floats, vol: Floats, error: Floats, t: float, floor: Callable[[Floats], Floats] | None = None) -> Svi:
    """Fit to volatilities at log-moneyness `k`, each known to within `error` (fractions), at least MIN_QUOTES of them.

    `floor(k)` is the total variance of the expiry before, which this one may not undercut (calendar arbitrage), and 0
    where that expiry was not quoted.
    """
    order = np.argsort(k)
    k, vol, error = k[order], vol[order], error[order]
    w = vol * vol * t
    weight = (0.5 / (vol * t * error)) ** 2
    weight /= weight.sum()
    scale = float(np.sqrt(np.interp(0.0, k, w)))
    reach = np.linspace(k[0] - 0.5 * scale, k[-1] + 0.5 * scale, _CHECKS)
    inside = (reach >= k[0]) & (reach <= k[-1])
    under = np.where(inside, floor(reach), 0.0) if floor is not None else np.zeros(reach.size)
    tolerance = 1.0 / float(np.sum(weight * w * w))

    centre_m, half_m = 0.0, max(float(np.abs(k).max()), 3.0 * scale)
    centre_s, half_s = float(np.log(2.0 * scale)), float(np.log(25.0))
    best: tuple[float, Svi] | None = None
    for _ in range(_ZOOMS):
        m, s = (
            grid.ravel()
            for grid in np.meshgrid(
                centre_m + half_m * np.linspace(-1, 1, _GRID),
                np.exp(centre_s + half_s * np.linspace(-1, 1, _GRID)),
                indexing="ij",
            )
        )
        a, u, v, misfit = _inner(k, w, weight, m, s)
        cost = misfit * tolerance + _arbitrage(reach, under, a, u, v, m, s)
        i = int(np.argmin(cost))
        if best is None or cost[i] < best[0]:
            best = float(cost[i]), _svi(a[i], u[i], v[i], m[i], s[i])
            centre_m, centre_s = float(m[i]), float(np.log(s[i]))
            row, column = divmod(i, _GRID)
            # a best on the rim of the grid may have a better neighbour beyond: move there before closing in
            half_m *= 1.0 if row in (0, _GRID - 1) else _SHRINK
            half_s *= 1.0 if column in (0, _GRID - 1) else _SHRINK
        else:
            half_m, half_s = half_m * _SHRINK, half_s * _SHRINK
    assert best is not None
    return best[1]


def _svi(a: float, u: float, v: float, m: float, s: float) -> Svi:
    b = 0.5 * (u + v) / s
    return Svi(float(a), float(b), float((u - v) / (u + v)) if u + v > 0 else 0.0, float(m), float(s))


def _inner(k: Floats, w: Floats, weight: Floats, m: Floats, s: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Best a, u, v per (m, σ) of w = a + u·(z + y)/2 + v·(z − y)/2, y = (k − m)/σ, z = √(y² + 1), 0 ≤ u, v ≤ 2σ.

    u and v are the right and left wing's slope times σ; a slope above 2 is butterfly arbitrage (Lee, 2004).
    """
    y = (k - m[:, None]) / s[:, None]
    z = np.sqrt(y * y + 1.0)
    p, q = 0.5 * (z + y), 0.5 * (z - y)
    mean_p, mean_q, mean_w = p @ weight, q @ weight, float(w @ weight)
    pc, qc, wc = p - mean_p[:, None], q - mean_q[:, None], w - mean_w
    pp, qq, pq = (pc * pc) @ weight, (qc * qc) @ weight, (pc * qc) @ weight
    pw, qw = pc @ (weight * wc), qc @ (weight * wc)
    top = 2.0 * s
    det = np.maximum(pp * qq - pq * pq, 1e-300)
    tries = [((pw * qq - qw * pq) / det, (qw * pp - pw * pq) / det)]
    for edge in (np.zeros_like(top), top):
        tries.append((edge, np.clip((qw - edge * pq) / np.maximum(qq, 1e-300), 0.0, top)))
        tries.append((np.clip((pw - edge * pq) / np.maximum(pp, 1e-300), 0.0, top), edge))
    us, vs = np.array([u for u, _ in tries]), np.array([v for _, v in tries])
    rest = us * us * pp + vs * vs * qq + 2 * us * vs * pq - 2 * us * pw - 2 * vs * qw + float(weight @ (wc * wc))
    rest[0, (us[0] < 0) | (vs[0] < 0) | (us[0] > top) | (vs[0] > top)] = np.inf
    pick = np.argmin(rest, axis=0)
    columns = np.arange(m.size)
    u, v, misfit = us[pick, columns], vs[pick, columns], rest[pick, columns]
    return mean_w - u * mean_p - v * mean_q, u, v, misfit


def _arbitrage(reach: Floats, under: Floats, a: Floats, u: Floats, v: Floats, m: Floats, s: Floats) -> Floats:
    """Cost of negative variance, of a negative density and of undercutting the expiry before, per candidate."""
    y = (reach - m[:, None]) / s[:, None]
    z = np.sqrt(y * y + 1.0)
    c, d = 0.5 * (u + v), 0.5 * (u - v)
    w = a[:, None] + d[:, None] * y + c[:, None] * z
    tiny = np.maximum(w, 1e-12)
    g = durrleman(reach, tiny, (d[:, None] + c[:, None] * y / z) / s[:, None], c[:, None] / (z**3 * (s * s)[:, None]))
    short = np.maximum(under - w, 0.0) / np.maximum(under, 1e-12)
    cost: Floats = _CALENDAR * np.mean(short * short, axis=1) + _PENALTY * (
        np.mean(np.maximum(-g, 0.0), axis=1) + np.max(np.maximum(1e-10 - w, 0.0), axis=1) / 1e-6
    )
    return cost
