"""A linear programme of bounded variables as a dictionary, solved by the dual simplex method with bound flipping.

Row i says: basic variable i = table[i, 0] + Σ table[i, j] · t[j] over nonbasic variables t[j] that stand at 0. Row 0 is
the objective, and its entries are never negative, so that table[0, 0] is a lower bound at every moment. What a t means
is in its description: the variable itself is START + SIGN · t, and t lies between 0 and ROOM.

Sources: Chvátal, Linear Programming, chapters 3, 8 and 10; Maros, Computational Techniques of the Simplex Method, 10.
"""

import numpy as np
from numpy.typing import NDArray

from models.quant.kernels.jit import part

Floats = NDArray[np.float64]

NAME, SIGN, START, ROOM, KIND = 0, 1, 2, 3, 4
FIELDS = 5
SLACK, CUT = -1.0, -2.0  # names of what is no variable of the programme
FREE, WHOLE, BRANCHED = 0.0, 1.0, 2.0  # kinds: any number; a whole one; a whole one to branch on
SOLVED, CUT_OFF, GAVE_UP = 0, 1, 2

NOTHING = 1e-9  # an entry this small is no pivot
NEAR = 1e-7  # a variable may be so far outside its bounds
_FAR = 1e4  # a bound further off than this would only bring rounding


@part
def describe(descriptions: Floats, i: int, name: float, room: float, kind: float) -> None:
    """A variable counted from 0."""
    descriptions[i, NAME], descriptions[i, SIGN], descriptions[i, START] = name, 1.0, 0.0
    descriptions[i, ROOM], descriptions[i, KIND] = room, kind


@part
def turn_row(table: Floats, rows: Floats, i: int) -> None:
    """Count a basic variable from its other bound."""
    room = rows[i, ROOM]
    for k in range(table.shape[1]):
        table[i, k] = -table[i, k]
    table[i, 0] += room
    rows[i, START] += rows[i, SIGN] * room
    rows[i, SIGN] = -rows[i, SIGN]


@part
def turn_column(table: Floats, columns: Floats, j: int) -> None:
    """Move a nonbasic variable to its other bound."""
    room = columns[j, ROOM]
    for i in range(table.shape[0]):
        table[i, 0] += table[i, j] * room
        table[i, j] = -table[i, j]
    columns[j, START] += columns[j, SIGN] * room
    columns[j, SIGN] = -columns[j, SIGN]


@part
def _pivot(table: Floats, rows: Floats, columns: Floats, r: int, j: int) -> None:
    n = table.shape[1]
    inverse = 1.0 / table[r, j]
    for k in range(n):
        table[r, k] *= -inverse
    table[r, j] = inverse
    for i in range(table.shape[0]):
        factor = table[i, j]
        if i != r and factor != 0.0:
            table[i, j] = 0.0
            for k in range(n):
                table[i, k] += factor * table[r, k]
    for k in range(FIELDS):
        rows[r, k], columns[j, k] = columns[j, k], rows[r, k]


@part
def _leaving(table: Floats, rows: Floats) -> int:
    """The row furthest outside its bounds for its length; 0 where all are inside."""
    worst, found = 0.0, 0
    for i in range(1, table.shape[0]):
        outside = max(-table[i, 0], table[i, 0] - rows[i, ROOM])
        if outside > NEAR:
            norm = 1.0
            for k in range(1, table.shape[1]):
                norm += table[i, k] * table[i, k]
            if outside * outside > worst * norm:
                worst, found = outside * outside / norm, i
    return found


@part
def _entering(table: Floats, columns: Floats, r: int) -> int:
    """The column that lifts row `r` at the least cost; 0 where none can. Among equals the largest pivot."""
    least, size, found = np.inf, 0.0, 0
    for k in range(1, table.shape[1]):
        entry = table[r, k]
        if entry > NOTHING and columns[k, ROOM] > 0.0:
            cost = max(table[0, k], 0.0) / entry
            if cost < least - 1e-12 or (cost <= least + 1e-12 and entry > size):
                least, size, found = cost, entry, k
    return found


@part
def dual(table: Floats, rows: Floats, columns: Floats, cutoff: float, steps: int) -> int:
    """SOLVED; CUT_OFF: nothing is below `cutoff`, or nothing at all; GAVE_UP after so many steps: a bound, no more."""
    for _ in range(steps):
        if table[0, 0] >= cutoff:
            return CUT_OFF
        r = _leaving(table, rows)
        if r == 0:
            return SOLVED
        if table[r, 0] > 0.0:
            turn_row(table, rows, r)
        j = _entering(table, columns, r)
        while j > 0 and table[r, 0] + table[r, j] * columns[j, ROOM] < -NEAR:
            turn_column(table, columns, j)
            j = _entering(table, columns, r)
        if j == 0:
            return CUT_OFF
        _pivot(table, rows, columns, r, j)
    return GAVE_UP


@part
def tighten(table: Floats, columns: Floats, cutoff: float) -> None:
    """Take from each nonbasic variable the room in which everything costs more than `cutoff`."""
    gap = cutoff - table[0, 0]
    for k in range(1, table.shape[1]):
        cost = table[0, k]
        if cost * columns[k, ROOM] > gap and cost * _FAR > gap:
            room = gap / cost
            if columns[k, KIND] != FREE:
                room = np.floor(room + NEAR)
            columns[k, ROOM] = min(columns[k, ROOM], room)


@part
def _idle(table: Floats, rows: Floats, columns: Floats, i: int) -> bool:
    """Can a row go? A cut that does not bind, a whole variable that nothing moves, or a row that the bounds of the
    others keep inside its own. (A cut may go later: what leans on it counts as not kept.)
    """
    if rows[i, NAME] == CUT:
        return bool(rows[i, ROOM] == np.inf)
    least, moves = table[i, 0], False
    for k in range(1, table.shape[1]):
        entry, room = table[i, k], columns[k, ROOM]
        if room > 0.0 and abs(entry) > NOTHING:
            moves = True
            if entry < 0.0 or columns[k, NAME] == CUT:
                least -= abs(entry) * room
    if rows[i, KIND] == BRANCHED:
        return not moves and bool(abs(table[i, 0] - np.rint(table[i, 0])) < NEAR)
    return bool(rows[i, ROOM] == np.inf and least >= -NEAR)


@part
def slim(
    table: Floats, rows: Floats, columns: Floats, x: Floats, rows_too: bool, spare: int
) -> tuple[Floats, Floats, Floats]:
    """(table, rows, columns) without fixed columns and, if asked, without idle rows: their values go to `x`. `spare`
    rows below are left to fill.
    """
    kept_rows, m = np.empty(table.shape[0], np.int64), 0
    kept_columns, n = np.empty(table.shape[1], np.int64), 0
    for k in range(table.shape[1]):
        if k == 0 or columns[k, ROOM] > 0.0:
            kept_columns[n] = k
            n += 1
        elif columns[k, NAME] >= 0.0:
            x[int(columns[k, NAME])] = columns[k, START]
    for i in range(table.shape[0]):
        if i == 0 or not rows_too or not _idle(table, rows, columns, i):
            kept_rows[m] = i
            m += 1
        elif rows[i, NAME] >= 0.0:
            x[int(rows[i, NAME])] = rows[i, START] + rows[i, SIGN] * table[i, 0]
    out = np.empty((m + spare, n))
    for i in range(m):
        for k in range(n):
            out[i, k] = table[kept_rows[i], kept_columns[k]]
    return out, _picked(rows, kept_rows, m, spare), _picked(columns, kept_columns, n, 0)


@part
def _picked(descriptions: Floats, kept: NDArray[np.int64], count: int, spare: int) -> Floats:
    out = np.empty((count + spare, FIELDS))
    for i in range(count):
        for k in range(FIELDS):
            out[i, k] = descriptions[kept[i], k]
    return out


@part
def read(table: Floats, rows: Floats, columns: Floats, gone: Floats, x: Floats) -> None:
    """The variables' values into `x`: those of `gone` for what is no longer in the table."""
    for v in range(x.size):
        x[v] = gone[v]
    for i in range(1, table.shape[0]):
        if rows[i, NAME] >= 0.0:
            x[int(rows[i, NAME])] = rows[i, START] + rows[i, SIGN] * table[i, 0]
    for k in range(1, table.shape[1]):
        if columns[k, NAME] >= 0.0:
            x[int(columns[k, NAME])] = columns[k, START]
