"""Walking a space of pairs: stretches of rows that meet, in given ratios, and the best of each heap that are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.kernels.layout import HARMFUL, RECORD
from models.quant.search_table import Table

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Kept:
    """P pairs that were kept: `rows` (P, 2) of the table walked, signed `ratios` (P, 2), and the `heap` (P,) of each;
    how many pairs were looked at, and `counts` of the kernel's answers."""

    rows: Whole
    ratios: Whole
    heap: Whole
    looked_at: int
    counts: Whole


def walk(table: Table, spans: Sequence[Sequence[int]], shapes: Sequence[Sequence[int]], heaps: int, size: int) -> Kept:
    """The `size` best of each heap. Spans and shapes (S, 4) as `kernels.search.pairs` describes them."""
    keys, kept = np.full((heaps, size), np.inf), np.zeros((heaps, size, RECORD))
    counts = np.zeros(HARMFUL + len(table.kind_of), np.int64)
    lines = np.array(spans, dtype=np.int64).reshape(-1, 4), np.array(shapes, dtype=np.int64).reshape(-1, 4)
    from models.quant.kernels import search

    looked_at = search.pairs(table.rows, *lines, counts, keys, kept)
    heap, slot = np.nonzero(np.isfinite(keys))
    found = kept[heap, slot].astype(np.int64)
    return Kept(found[:, :2], found[:, 2:4], heap, int(looked_at), counts)
