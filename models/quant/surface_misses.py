"""How far modelled prices were from the real quotes that came later: misses counted by size, and what share was within.

Counts per size keep a day of them in a few numbers, from which the median and any other share can be read.
"""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import ArrayLike

EDGES = (0.0, *(0.001 * 1.15**i for i in range(100)))
"""Bin i holds sizes from EDGES[i] up to the next edge; the last has no end. Points, vol points or half-spreads."""


def count_misses(distances: ArrayLike) -> list[int]:
    """How many of the distances, whatever their sign, fall into each bin; NaN is unknown and not counted."""
    sizes = np.abs(np.asarray(distances, dtype=np.float64))
    bins = np.searchsorted(EDGES, sizes[np.isfinite(sizes)], side="right") - 1
    return [int(n) for n in np.bincount(bins, minlength=len(EDGES))]


def add_counts(a: Sequence[int], b: Sequence[int]) -> list[int]:
    return [x + y for x, y in zip(a, b, strict=True)]


def within(counts: Sequence[int], share: float) -> float | None:
    """The size that `share` (0–1) of the misses do not pass, evenly spread within a bin; None while there are none.

    A share that ends in the last bin has no size to name and answers that bin's beginning.
    """
    total = sum(counts)
    if total == 0:
        return None
    wanted = share * total
    for i, reached in enumerate(accumulate(counts)):
        if counts[i] and reached >= wanted:
            if i + 1 == len(EDGES):
                return EDGES[i]
            return EDGES[i] + (EDGES[i + 1] - EDGES[i]) * (1.0 - (reached - wanted) / counts[i])
    return EDGES[-1]
