"""What one expiry's smile has that five parameters cannot say: a cubic spline added to SVI's total variance.

It lives on y = asinh(k / scale), whose even steps are fine at the money and wide in the wings, and goes on straight
beyond its ends. The fit is penalised least squares (Eilers and Marx, Flexible smoothing with B-splines, 1996) under the
constraints of no arbitrage, linearised until they hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.smile import Svi, durrleman

Floats = NDArray[np.float64]
MIN_QUOTES = 8
_STEP = 0.25  # of y: a quarter of a standard deviation at the money
_BEND = 0.01  # how much volatility the second difference of the weights may take, one standard deviation of the prior
_SIZE = 0.1  # the same for the weights themselves: they are pulled to nothing where no quote speaks
_DOUBT = 3.0  # a quote this many of its errors off the smile counts half
_TRUST_ROUNDS = 5
_ROUNDS = 10
_CHECKS_PER_STEP = 14
_MARGIN = 1e-2  # g is kept above this at the checks, so that it is above zero between them
_SHARES = (1.0, 0.9, 0.75, 0.5, 0.25)  # of what is asked for, tried where no round ends without arbitrage
_SIDES = np.array([-1.0, 1.0])
_NUDGE = 1e-5
_ROUNDING = 1e-9
_INSIDE = 0.98  # of the slope a tail may have
_LEAST = 0.1  # of SVI's total variance is left
_STRAIGHT = np.array([2.0, -1.0])


@dataclass(frozen=True)
class Spline:
    """Cubic B-spline in asinh(k / scale), one weight (total variance) per knot at low + j·step, straight beyond."""

    scale: float
    low: float
    step: float
    weights: tuple[float, ...]

    def total_variance(self, k: Floats) -> Floats:
        """What it adds at log-moneyness k."""
        out: Floats = self._parts(k, 0)[0] @ np.array(self.weights)
        return out.reshape(np.shape(k))

    def shape(self, k: Floats) -> tuple[Floats, Floats, Floats]:
        """What it adds to total variance and to its first two derivatives in k."""
        w, slope, bend = (b @ np.array(self.weights) for b in self._parts(k, 2))
        return w, slope, bend

    def _parts(self, k: Floats, orders: int) -> list[Floats]:
        return basis(np.ravel(k), self.scale, self.low, self.step, len(self.weights), orders)


@dataclass(frozen=True)
class Observed:
    """Volatilities at ascending log-moneyness, each known to within `error` (fractions), at time t (years)."""

    k: Floats
    vol: Floats
    error: Floats
    t: float


def basis(k: Floats, scale: float, low: float, step: float, n: int, orders: int) -> list[Floats]:
    """(len(k), n) values of the spline's parts, then of their derivatives in k up to `orders` (0 or 2)."""
    at = (np.arcsinh(k / scale) - low) / step
    u = np.clip(at, 0.0, n - 1.0)
    v = u[:, None] - np.arange(-1, n + 1)
    a = np.abs(v)
    near, far = np.maximum(1.0 - a, 0.0), np.maximum(2.0 - a, 0.0)
    near2, far2 = near * near, far * far
    first = _folded(np.sign(v) * (2.0 * near2 - 0.5 * far2)) / step
    out = [_folded(far2 * far / 6.0 - near2 * near * (2.0 / 3.0)) + first * ((at - u) * step)[:, None]]
    if orders:
        square = k * k + scale * scale
        rate, turn = 1.0 / np.sqrt(square), -k / square**1.5  # dy/dk and d²y/dk²
        second = _folded(far - 4.0 * near) * (at == u)[:, None] / step**2
        out += [first * rate[:, None], second * (rate**2)[:, None] + first * turn[:, None]]
    return out


def _folded(parts: Floats) -> Floats:
    """The parts beyond both ends laid on the outermost two so that the sum has no bend there."""
    out = parts[:, 1:-1].copy()
    out[:, :2] += parts[:, :1] * _STRAIGHT
    out[:, -2:] += parts[:, -1:] * _STRAIGHT[::-1]
    return out


def fit_spline(seen: Observed, svi: Svi) -> Spline | None:
    """The correction of `svi` that the quotes ask for, free of butterflies where it was quoted.

    Quotes that no smooth smile passes lose their say. None where too few quotes are known, or where nothing but SVI
    itself is free of arbitrage.
    """
    if seen.k.size < MIN_QUOTES:
        return None
    grid = _grid_of(seen, svi)
    root, free = _least_squares(seen, svi, grid)
    x = _constrained(grid, svi, root, free)
    return None if x is None else grid.spline(x)


@dataclass(frozen=True)
class _Grid:
    """Where the knots stand, a unit of volatility in total variance at each, and where arbitrage is looked for."""

    scale: float
    low: float
    step: float
    unit: Floats
    checks: Floats
    ends: list[int]  # the checks at the first and the last quote

    def at(self, k: Floats, orders: int = 0) -> list[Floats]:
        return [b * self.unit for b in basis(k, self.scale, self.low, self.step, self.unit.size, orders)]

    def spline(self, x: Floats) -> Spline:
        return Spline(self.scale, self.low, self.step, tuple(float(c) for c in x * self.unit))


def _grid_of(seen: Observed, svi: Svi) -> _Grid:
    scale = float(np.sqrt(svi.total_variance(np.zeros(1))[0]))
    low, high = np.arcsinh(seen.k[[0, -1]] / scale)
    n = max(int(np.ceil((high - low) / _STEP)) + 1, 4)
    step = float(high - low) / (n - 1)
    knots = scale * np.sinh(low + step * np.arange(n))
    unit = 2.0 * np.sqrt(np.maximum(svi.total_variance(knots), 1e-12) * seen.t)
    checks = scale * np.sinh(np.linspace(low - 2 * step, high + 2 * step, _CHECKS_PER_STEP * (n + 3) + 1))
    # beyond the quotes nothing is promised where SVI has no density of its own
    w, slope, bend = svi.shape(checks)
    sound = (w > 0.0) & (durrleman(checks, np.maximum(w, 1e-12), slope, bend) > 2.0 * _MARGIN)
    quoted = (checks >= seen.k[0] - _ROUNDING) & (checks <= seen.k[-1] + _ROUNDING)
    checks = checks[quoted | sound]
    ends = [int(np.argmin(np.abs(checks - seen.k[i]))) for i in (0, -1)]
    return _Grid(scale, float(low), step, unit, checks, ends)


def _least_squares(seen: Observed, svi: Svi, grid: _Grid) -> tuple[Floats, Floats]:
    """The Cholesky root of the normal matrix of data and prior, and the solution; x is in volatility."""
    per_vol = 2.0 * seen.vol * seen.t
    rows = grid.at(seen.k)[0] / (per_vol * seen.error)[:, None]
    miss = (seen.vol**2 * seen.t - svi.total_variance(seen.k)) / (per_vol * seen.error)
    n = grid.unit.size
    bend = np.diff(np.eye(n), 2, axis=0) / _BEND
    prior = bend.T @ bend + np.eye(n) / _SIZE**2
    trust, x = np.ones(seen.k.size), np.zeros(n)
    for _ in range(_TRUST_ROUNDS):
        matrix = rows.T @ (rows * trust[:, None]) + prior
        x[:] = np.linalg.solve(matrix, rows.T @ (trust * miss))
        off = np.abs(rows @ x - miss)
        spread = max(1.4826 * float(np.median(off)), 1.0 / _DOUBT)
        trust = 1.0 / (1.0 + (off / (_DOUBT * spread)) ** 2)
    return np.asarray(np.linalg.cholesky(matrix), dtype=np.float64), x


def _constrained(grid: _Grid, svi: Svi, root: Floats, free: Floats) -> Floats | None:
    """The nearest x to the free one without arbitrage; what is not linear in it is linearised anew until that holds."""
    k, base, rows = grid.checks, svi.shape(grid.checks), grid.at(grid.checks, 2)
    x = free
    for _ in range(_ROUNDS):
        w, slope, bend = (b + r @ x for b, r in zip(base, rows, strict=True))
        if _sound(k, (w, slope, bend), grid.ends, 0.5 * _MARGIN):
            return x
        w = np.maximum(w, _LEAST * base[0])
        g = durrleman(k, w, slope, bend)
        lead = 1.0 - 0.5 * k * slope / w
        by_w = lead * k * slope / w**2 + 0.25 * slope**2 / w**2
        by_slope = -lead * k / w - 0.5 * slope * (1.0 / w + 0.25)
        turn = by_w[:, None] * rows[0] + by_slope[:, None] * rows[1] + 0.5 * rows[2]
        tail, short = _tails(k, w, slope, [r[grid.ends] for r in rows], grid.ends)
        held = np.vstack((turn, rows[0] / base[0][:, None], tail))
        bounds = np.r_[_MARGIN - g + turn @ x, np.full(k.size, _LEAST - 1.0), short + tail @ x]
        found = least_distance(root, free, held, bounds)
        x = 0.5 * x if found is None else found  # nearer to SVI itself the linear picture is truer
    for share in _SHARES:
        shape = [b + share * (r @ x) for b, r in zip(base, rows, strict=True)]
        if _sound(k, shape, grid.ends, 0.0):
            return share * x
    return None


def _sound(k: Floats, shape: Sequence[Floats], ends: list[int], margin: float) -> bool:
    """Variance is positive, no density below zero, and none of it missing beyond the quotes."""
    w, slope, bend = shape
    if w.min() <= 0.0 or durrleman(k, w, slope, bend).min() < margin:
        return False
    return bool(np.all(_SIDES * slope[ends] <= steepest(k[ends], w[ends])))


def _tails(k: Floats, w: Floats, slope: Floats, rows: Sequence[Floats], ends: list[int]) -> tuple[Floats, Floats]:
    """What `steepest` asks at the first and last quote, linear in x: (rows, how much each has to gain)."""
    k, w, slope = k[ends], w[ends], slope[ends]
    most = steepest(k, w)
    turn = (steepest(k, w * (1.0 + _NUDGE)) - most) / (_NUDGE * w)
    tail = turn[:, None] * rows[0] - _SIDES[:, None] * rows[1]
    return tail, _SIDES * slope - _INSIDE * most


def steepest(k: Floats, w: Floats) -> Floats:
    """(left end, right end): how fast total variance w may rise outward for puts to rise and calls to fall with strike.

    From dC/dK = −N(d2) + φ(d2)·w' / 2√w (Gatheral, The Volatility Surface, 2006, chapter 1), N/φ as Mills' ratio.
    """
    from scipy.special import erfcx

    root = np.sqrt(w)
    d2 = -k / root - 0.5 * root
    out: Floats = 2.0 * root * np.sqrt(0.5 * np.pi) * erfcx(-_SIDES * d2 / np.sqrt(2.0))
    return out


def least_distance(root: Floats, free: Floats, rows: Floats, least: Floats) -> Floats | None:
    """The x nearest to `free` in the metric root·rootᵀ with rows·x ≥ least; None where no x is found.

    Source: Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23 (least distance programming).
    """
    from scipy.linalg import solve_triangular
    from scipy.optimize import nnls

    turned = solve_triangular(root, rows.T, lower=True)
    size = np.maximum(np.sqrt((turned**2).sum(axis=0)), 1e-300)
    stacked = np.vstack((turned, least - rows @ free)) / size
    goal = np.zeros(stacked.shape[0])
    goal[-1] = 1.0
    try:
        u, _ = nnls(stacked, goal, maxiter=20 * stacked.shape[1])
    except RuntimeError:  # it gave up: no better known than infeasible
        return None
    rest = stacked @ u - goal
    if rest[-1] > -1e-12:
        return None
    out: Floats = free + solve_triangular(root.T, -rest[:-1] / rest[-1], lower=False)
    return out
