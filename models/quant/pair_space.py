"""Every pair of two legs that the chain allows: which stretches of the board meet, in which ratios, under which name.

A vertical, a calendar, a strangle are two rows and a ratio; the shapes are data, the pairs are walked by a kernel.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.board import Board
from models.quant.kernels.layout import ANY, ASCENDING, DIFFERENT, EQUAL
from models.quant.regime_rules import Family
from models.quant.search_table import Table
from models.quant.tickets import FAMILIES, Tickets, tickets_of
from models.quant.walking import walk

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """Signed ratios of the first and second leg. The first is the lower strike, the nearer expiry, or the put."""

    family: Family
    ratios: tuple[int, int]
    strikes: int = ANY


VERTICALS = {
    True: (
        Shape(Family.DEBIT_SPREAD, (1, -1)),
        Shape(Family.CREDIT_SPREAD, (-1, 1)),
        *(Shape(Family.BACKSPREAD, ratios) for ratios in ((-1, 2), (-1, 3), (-2, 3))),
    ),
    False: (
        Shape(Family.DEBIT_SPREAD, (-1, 1)),
        Shape(Family.CREDIT_SPREAD, (1, -1)),
        *(Shape(Family.BACKSPREAD, ratios) for ratios in ((2, -1), (3, -1), (3, -2))),
    ),
}
"""Two strikes of one expiry and right, by whether they are calls; a backspread sells fewer near the money."""
CALENDARS = (
    Shape(Family.CALENDAR, (-1, 1), EQUAL),
    *(Shape(Family.DIAGONAL, ratios, DIFFERENT) for ratios in ((-1, 1), (-1, 2), (-2, 3))),
)
"""Two expiries of one right: the near one sold, the far one bought."""
STRANGLES = (
    *(Shape(Family.LONG_STRANGLE, ratios, ASCENDING) for ratios in ((1, 1), (1, 2), (2, 1))),
    Shape(Family.SHORT_STRANGLE, (-1, -1), ASCENDING),
)
"""A put and a call of one expiry."""


HEAP = 64  # kept of each family, full and partial cures apart


@dataclass(frozen=True)
class BestPairs:
    """The best pairs as tickets on the rows of the vectors, how many were looked at, refusals by answer."""

    tickets: Tickets
    looked_at: int
    counts: Whole


def best_pairs(board: Board, table: Table, families: Collection[Family]) -> BestPairs:
    """Walk every pair of the allowed families; `table` has a row for every contract."""
    spans, shapes = [], []
    for first, second, shape in _meetings(board):
        if shape.family in families:
            spans.append([*_stretch(board, first), *_stretch(board, second)])
            shapes.append([*shape.ratios, 2 * FAMILIES.index(shape.family), shape.strikes])
    found = walk(table.take(board.rows), spans, shapes, 2 * len(FAMILIES), HEAP)
    return BestPairs(tickets_of(board.rows[found.rows], found.ratios, found.heap // 2), found.looked_at, found.counts)


def _meetings(board: Board) -> Iterator[tuple[int, int, Shape]]:
    """(group, group, shape): a group is one class, expiry and right."""
    for (klass, call), (days, groups) in board.lookup.items():
        for place, group in enumerate(groups):
            yield from ((int(group), int(group), shape) for shape in VERTICALS[call])
            for later in groups[place + 1 :]:
                yield from ((int(group), int(later), shape) for shape in CALENDARS)
        twin = board.lookup.get((klass, True))
        if not call and twin is not None:
            _, mine, theirs = np.intersect1d(days, twin[0], return_indices=True)
            for put, other in zip(groups[mine], twin[1][theirs], strict=True):
                yield from ((int(put), int(other), shape) for shape in STRANGLES)


def _stretch(board: Board, group: int) -> tuple[int, int]:
    """First and last + 1 place of the group in `board.rows`."""
    of = board.group[board.rows]
    return int(np.searchsorted(of, group)), int(np.searchsorted(of, group, side="right"))
