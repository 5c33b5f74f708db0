"""A profit across the underlying's price, as points and the slopes beyond them: where it is nothing, most and least."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Profit = Callable[[Floats], Floats]
TOLERANCE = 1e-9
"""Crossings and extremes of a curve are solved to this fraction of the underlying's price."""
_ROUNDING = 1e-11


@dataclass(frozen=True)
class ProfitLine:
    """Profit `values` at ascending `nodes`; beyond them slopes `left` and `right` (profit per 1.00 of the underlying).

    `floor` is the lowest price there is (−inf: none). Without `curve` the profit is straight between nodes and every
    answer exact; with it the nodes only bracket what is then solved on the curve, so they must stand closer than two
    crossings.
    """

    nodes: Floats
    values: Floats
    floor: float
    left: float
    right: float
    curve: Profit | None = None

    def break_evens(self) -> tuple[float, ...]:
        """Crossings, points that touch nothing, and the edges of stretches where nothing is won or lost; ascending."""
        x, y = self.nodes, self.values
        signs = [self._sign(v) for v in y]
        before = self._sign(y[0] - self.left * self._far()) if self.floor == -math.inf else 0
        after = self._sign(y[-1] + self.right * self._far())
        around = [before, *signs, after]
        found = [float(x[i]) for i, sign in enumerate(signs) if sign == 0 and (around[i] or around[i + 2])]
        found += [self._crossing(i) for i, (a, b) in enumerate(pairwise(signs)) if a * b < 0]
        if signs[0] * before < 0:
            found.append(float(x[0] - y[0] / self.left))
        if signs[-1] * after < 0:
            found.append(float(x[-1] - y[-1] / self.right))
        return tuple(sorted(found))

    def gains(self, break_evens: Sequence[float]) -> tuple[tuple[float, float], ...]:
        """The open intervals between break-evens in which there is a profit; ±inf where one does not end."""
        ends = [self.floor, *(e for e in break_evens if e > self.floor), math.inf]
        return tuple((low, high) for low, high in pairwise(ends) if self._sign(self._at(self._inside(low, high))) > 0)

    def most(self) -> float:
        """The largest profit; inf when it grows without limit."""
        return math.inf if self.right > 0 or self._downhill() < 0 else self._extreme(1.0)

    def least(self) -> float:
        """The smallest profit, a loss below 0; −inf when it falls without limit."""
        return -math.inf if self.right < 0 or self._downhill() > 0 else -self._extreme(-1.0)

    def _downhill(self) -> float:
        """The slope that leads below every node; none where prices end at a floor."""
        return self.left if self.floor == -math.inf else 0.0

    def _sign(self, value: float) -> int:
        nothing = _ROUNDING * max(float(np.abs(self.values).max()), float(np.abs(self.nodes).max()))
        return 0 if abs(value) <= nothing else 1 if value > 0 else -1

    def _far(self) -> float:
        """A distance at which the outer slopes have had the last word."""
        slopes = [abs(s) for s in (self.left, self.right) if s]
        money, price = float(np.abs(self.values).max()), float(np.abs(self.nodes).max())
        return 2.0 * (money / min(slopes) if slopes else 0.0) + price + 1.0

    def _inside(self, low: float, high: float) -> float:
        if math.isinf(low) and math.isinf(high):
            return float(self.nodes[0])
        if math.isinf(high):
            return low + self._far()
        return high - self._far() if math.isinf(low) else 0.5 * (low + high)

    def _at(self, spot: float) -> float:
        x, y = self.nodes, self.values
        if spot > x[-1]:
            return float(y[-1] + self.right * (spot - x[-1]))
        if spot < x[0]:
            return float(y[0] + self.left * (spot - x[0]))
        return float(np.interp(spot, x, y)) if self.curve is None else _point(self.curve, spot)

    def _crossing(self, i: int) -> float:
        a, b, u, v = (float(n) for n in (*self.nodes[i : i + 2], *self.values[i : i + 2]))
        if self.curve is None:
            return a + (b - a) * u / (u - v)
        from scipy.optimize import brentq

        curve = self.curve
        return float(brentq(lambda s: _point(curve, s), a, b, xtol=TOLERANCE * max(abs(a), abs(b))))

    def _extreme(self, sign: float) -> float:
        """Largest of sign × profit at the nodes, refined between the neighbours of the best one on a curve."""
        values = sign * self.values
        i = int(np.argmax(values))
        if self.curve is None or not 0 < i < len(values) - 1:
            return float(values[i])
        from scipy.optimize import minimize_scalar

        curve, bounds = self.curve, (float(self.nodes[i - 1]), float(self.nodes[i + 1]))
        near = TOLERANCE * max(abs(b) for b in bounds)
        found = minimize_scalar(
            lambda s: -sign * _point(curve, s), bounds=bounds, method="bounded", options={"xatol": near}
        )
        return max(float(values[i]), -float(found.fun))


def _point(curve: Profit, spot: float) -> float:
    return float(curve(np.array([spot]))[0])
