"""Total variance may not fall with time at equal moneyness: the non-decreasing variances nearest to the fitted ones.

Each moneyness is an isotonic regression over the expiries quoted there (pool adjacent violators; Barlow, Bartholomew,
Bremner and Brunk, Statistical Inference under Order Restrictions, 1972).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_FINEST = 0.003  # log-moneyness around the money within which the grid is even
GRID: Floats = _FINEST * np.sinh(np.linspace(np.arcsinh(-3.0 / _FINEST), np.arcsinh(1.5 / _FINEST), 181))


def increasing(w: Floats, error: Floats) -> Floats:
    """(expiries, moneyness) total variances in order of time, NaN where not quoted: the nearest that do not fall.

    `error` is how well each is known; what already does not fall comes back as it is.
    """
    out = w.copy()
    before = np.fmax.accumulate(w, axis=0)
    for column in np.flatnonzero((w < before).any(axis=0)):
        rows = np.flatnonzero(np.isfinite(w[:, column]))
        out[rows, column] = _pooled(w[rows, column], 1.0 / np.maximum(error[rows, column], 1e-12) ** 2)
    return out


def _pooled(values: Floats, weights: Floats) -> Floats:
    blocks: list[list[float]] = []  # mean, weight, how many
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, heavy, count = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + mean * heavy) / (last[1] + heavy)
            last[1] += heavy
            last[2] += count
    return np.repeat([b[0] for b in blocks], [int(b[2]) for b in blocks])
