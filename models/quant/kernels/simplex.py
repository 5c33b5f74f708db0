"""A linear programme of bounded variables as a dictionary, solved by the dual simplex method with bound flipping.

Row i says: basic variable i = table[i, 0] + Σ table[i, j] · t[j] over nonbasic variables t[j] that stand at 0. Row 0 is
the objective, and its entries are never negative, so that table[0, 0] is a lower bound at every moment. What a t means
is in its description: the variable itself is START + SIGN · t, and t lies between 0 and ROOM. The variables are those
of the programme, then for each of its constraints what is above the least it allows. A constraint has a row only from
when it is broken until it holds by itself: most never have one, and the table stays small enough for the nearest cache.

Sources: Chvátal, Linear Programming, chapters 3, 8 and 10; Maros, Computational Techniques of the Simplex Method, 10.
"""

import numpy as np
from numpy.typing import NDArray

from models.quant.kernels.jit import part

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Constraints = tuple[Whole, Whole, Floats, Floats, Floats]  # first entry of each, columns, entries, least, kinds

NAME, SIGN, START, ROOM, KIND = 0, 1, 2, 3, 4
FIELDS = 5
CUT = -1.0  # the name of what is no variable of the programme and none of its constraints
FREE, WHOLE, BRANCHED = 0.0, 1.0, 2.0  # kinds: any number; a whole one; a whole one to branch on
SOLVED, CUT_OFF, GAVE_UP = 0, 1, 2

NOTHING = 1e-9  # an entry this small is no pivot
NEAR = 1e-7  # a variable may be so far outside its bounds
_BROKEN = 1e-6  # a constraint without a row may be so far below its least
_FAR = 1e4  # a bound further off than this would only bring rounding
_STEPS = 5000  # of one solution; a hundred are usual
_AT_ONCE = 8  # constraints that get their rows together


@part
def describe(descriptions: Floats, i: int, name: float, room: float, kind: float) -> None:
    """A variable counted from 0."""
    descriptions[i, NAME], descriptions[i, SIGN], descriptions[i, START] = name, 1.0, 0.0
    descriptions[i, ROOM], descriptions[i, KIND] = room, kind


@part
def _turn_row(table: Floats, rows: Floats, i: int) -> None:
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
    """SOLVED; CUT_OFF: nothing is below `cutoff`, or nothing at all; GAVE_UP after so many steps: a bound, no more.

    Constraints without a row are not looked at.
    """
    for _ in range(steps):
        if table[0, 0] >= cutoff:
            return CUT_OFF
        r = _leaving(table, rows)
        if r == 0:
            return SOLVED
        if table[r, 0] > 0.0:
            _turn_row(table, rows, r)
        j = _entering(table, columns, r)
        while j > 0 and table[r, 0] + table[r, j] * columns[j, ROOM] < -NEAR:
            turn_column(table, columns, j)
            j = _entering(table, columns, r)
        if j == 0:
            return CUT_OFF
        _pivot(table, rows, columns, r, j)
    return GAVE_UP


@part
def solve(
    constraints: Constraints, table: Floats, rows: Floats, columns: Floats, gone: Floats, cutoff: float
) -> tuple[int, Floats, Floats]:
    """(as `dual`, table, rows) with every constraint kept: those that are broken get their rows, a few at a time."""
    while True:
        ended = dual(table, rows, columns, cutoff, _STEPS)
        if ended != SOLVED:
            return ended, table, rows
        above = above_least(constraints, table, rows, columns, gone)
        broken, count = np.empty(_AT_ONCE, np.int64), 0
        while count < _AT_ONCE:
            worst = int(np.argmin(above))
            if above[worst] >= -_BROKEN:
                break
            broken[count], above[worst] = worst, 0.0
            count += 1
        if count == 0:
            return ended, table, rows
        table, rows = with_rows(constraints, broken[:count], table, rows, columns, gone)


@part
def above_least(constraints: Constraints, table: Floats, rows: Floats, columns: Floats, gone: Floats) -> Floats:
    """By how much each constraint is kept."""
    first, places, entries, low, _ = constraints
    x, out = np.empty(gone.size), np.empty(low.size)
    read(table, rows, columns, gone, x)
    for i in range(low.size):
        total = -low[i]
        for q in range(first[i], first[i + 1]):
            total += entries[q] * x[places[q]]
        out[i] = total
    return out


@part
def with_rows(
    constraints: Constraints, wanted: Whole, table: Floats, rows: Floats, columns: Floats, gone: Floats
) -> tuple[Floats, Floats]:
    """(table, rows) and below them those of some constraints."""
    first, places, entries, low, kinds = constraints
    m, n = table.shape
    out, described = np.empty((m + wanted.size, n)), np.empty((m + wanted.size, FIELDS))
    out[:m], described[:m] = table, rows
    where = _where(rows, columns, gone.size)
    for r in range(m, m + wanted.size):
        c = wanted[r - m]
        row = out[r]
        row[:] = 0.0
        row[0] = -low[c]
        for q in range(first[c], first[c + 1]):
            v, entry = places[q], entries[q]
            p = where[v]
            if p > 0:
                row[0] += entry * rows[p, START]
                factor = entry * rows[p, SIGN]
                for k in range(n):
                    row[k] += factor * table[p, k]
            elif p < 0:
                row[0] += entry * columns[-p, START]
                row[-p] += entry * columns[-p, SIGN]
            else:
                row[0] += entry * gone[v]
        describe(described, r, float(gone.size + c), np.inf, kinds[c])
    return out, described


@part
def _where(rows: Floats, columns: Floats, variables: int) -> Whole:
    """The row of each variable, or minus its column; 0 where it has left the table."""
    found = np.zeros(variables, np.int64)
    for i in range(1, rows.shape[0]):
        if 0.0 <= rows[i, NAME] < variables:
            found[int(rows[i, NAME])] = i
    for k in range(1, columns.shape[0]):
        if 0.0 <= columns[k, NAME] < variables:
            found[int(columns[k, NAME])] = -k
    return found


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
def _needed(table: Floats, rows: Floats, columns: Floats, i: int, variables: int) -> bool:
    """Not a cut or a constraint that holds by itself (branches bind only what is BRANCHED), nor a whole variable that
    nothing moves."""
    name, kind = rows[i, NAME], rows[i, KIND]
    if name == CUT:
        return False
    if name >= variables:
        return bool(kind == BRANCHED and (rows[i, ROOM] < np.inf or rows[i, START] != 0.0))
    if kind != BRANCHED or abs(table[i, 0] - np.rint(table[i, 0])) >= NEAR:
        return True
    moves = False
    for k in range(1, table.shape[1]):
        moves = moves or (columns[k, ROOM] > 0.0 and abs(table[i, k]) > NOTHING)
    return moves


@part
def slim(table: Floats, rows: Floats, columns: Floats, gone: Floats) -> tuple[Floats, Floats, Floats]:
    """(table, rows, columns) without fixed columns and rows that are not needed: their values go to `gone`."""
    kept_rows, m = np.zeros(table.shape[0], np.int64), 1
    kept_columns, n = np.zeros(table.shape[1], np.int64), 1
    for k in range(1, table.shape[1]):
        if columns[k, ROOM] > 0.0:
            kept_columns[n] = k
            n += 1
        elif 0.0 <= columns[k, NAME] < gone.size:
            gone[int(columns[k, NAME])] = columns[k, START]
    for i in range(1, table.shape[0]):
        if _needed(table, rows, columns, i, gone.size):
            kept_rows[m] = i
            m += 1
        elif 0.0 <= rows[i, NAME] < gone.size:
            gone[int(rows[i, NAME])] = rows[i, START] + rows[i, SIGN] * table[i, 0]
    out = np.empty((m, n))
    for i in range(m):
        row = table[kept_rows[i]]
        for k in range(n):
            out[i, k] = row[kept_columns[k]]
    return out, rows[kept_rows[:m]], columns[kept_columns[:n]]


@part
def read(table: Floats, rows: Floats, columns: Floats, gone: Floats, x: Floats) -> None:
    """The variables' values into `x`: those of `gone` for what is no longer in the table."""
    for v in range(x.size):
        x[v] = gone[v]
    for i in range(1, table.shape[0]):
        if 0.0 <= rows[i, NAME] < x.size:
            x[int(rows[i, NAME])] = rows[i, START] + rows[i, SIGN] * table[i, 0]
    for k in range(1, table.shape[1]):
        if 0.0 <= columns[k, NAME] < x.size:
            x[int(columns[k, NAME])] = columns[k, START]
