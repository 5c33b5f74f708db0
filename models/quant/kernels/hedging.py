"""The cheapest ticket of at most so many legs: branch and bound on one dense dictionary a node.

Variables are units of contracts bought or sold, none or from 1 to their most; free ones stand beside them. Whole units
make the problem of one order quantity; units that may be any number from 1 up make a bound for many quantities at once.
A ticket is a variable at 1 or more; when as many are forced up as there may be legs, all others are fixed at none.

The caller raises the cutoff from the relaxation, so that most columns are fixed by their reduced cost at the root.
Sources: Nemhauser and Wolsey, Integer and Combinatorial Optimization, II.4; de Farias, Johnson and Nemhauser, Branch-
and-cut for combinatorial optimization problems without auxiliary binary variables (2001).
"""

import numpy as np
from numpy.typing import NDArray

from models.quant.kernels.jit import kernel, part
from models.quant.kernels.simplex import (
    BRANCHED,
    CUT,
    FIELDS,
    FREE,
    GAVE_UP,
    KIND,
    NAME,
    NEAR,
    NOTHING,
    ROOM,
    SIGN,
    SOLVED,
    START,
    Floats,
    describe,
    dual,
    read,
    tighten,
    turn_column,
)

_STEPS = 2000  # of one solution; some dozens are usual
_TRIED, _TRIAL = 3, 15  # variables tried at a node, steps for each branch
ENOUGH, DEAD, OPEN = -1, -2, 0  # as many legs as allowed; more, and none can go; something to branch on

Flags = NDArray[np.bool_]


@part
def _value(rows: Floats, i: int, t: float) -> float:
    return float(rows[i, START] + rows[i, SIGN] * t)


@part
def _at_least(table: Floats, rows: Floats, i: int, low: float) -> None:
    """Bound the variable of a row from below, counting it from there or up to there."""
    if rows[i, SIGN] > 0.0:
        shift = low - rows[i, START]
        table[i, 0] -= shift
        rows[i, START] = low
        rows[i, ROOM] -= shift
    else:
        rows[i, ROOM] = rows[i, START] - low


@part
def _at_most(table: Floats, rows: Floats, i: int, high: float) -> None:
    if rows[i, SIGN] < 0.0:
        shift = rows[i, START] - high
        table[i, 0] -= shift
        rows[i, START] = high
        rows[i, ROOM] -= shift
    else:
        rows[i, ROOM] = high - rows[i, START]


@part
def _close(table: Floats, rows: Floats, columns: Floats, forced: Flags) -> None:
    """Fix at none every unit that is not forced."""
    for k in range(1, table.shape[1]):
        if columns[k, KIND] == BRANCHED and not forced[int(columns[k, NAME])]:
            if columns[k, SIGN] < 0.0:
                turn_column(table, columns, k)
            columns[k, ROOM] = 0.0
    for i in range(1, table.shape[0]):
        if rows[i, KIND] == BRANCHED and not forced[int(rows[i, NAME])]:
            _at_most(table, rows, i, 0.0)


@part
def _open(value: float, whole: bool) -> bool:
    """Must this number of units be branched on?"""
    if value < NEAR or (not whole and value > 1.0 - NEAR):
        return False
    return bool(abs(value - np.rint(value)) > NEAR)


@part
def _scores(table: Floats, rows: Floats, columns: Floats, whole: bool) -> Floats:
    """By how much one step would raise the bound, down times up, for each variable that must be branched on."""
    scores = np.zeros(table.shape[0])
    for i in range(1, table.shape[0]):
        if rows[i, KIND] != BRANCHED or not _open(_value(rows, i, table[i, 0]), whole):
            continue
        fraction = table[i, 0] - np.floor(table[i, 0])
        down, up = 1e9, 1e9
        for k in range(1, table.shape[1]):
            entry, cost = table[i, k], max(table[0, k], 0.0)
            if columns[k, ROOM] > 0.0:
                if entry > NOTHING:
                    up = min(up, cost / entry)
                elif entry < -NOTHING:
                    down = min(down, -cost / entry)
        scores[i] = max(fraction * down, 1e-6) * max((1.0 - fraction) * up, 1e-6)
    return scores


@part
def _surplus_leg(
    table: Floats, rows: Floats, columns: Floats, gone: Floats, units: int, forced: Flags, legs: int
) -> int:
    """Where more variables than legs are up: the name of the smallest that is not forced, DEAD where all are; ENOUGH
    where legs suffice."""
    count, least, found = 0, np.inf, -1
    for v in range(units):
        count += 1 if gone[v] > NEAR else 0
    for i in range(1, table.shape[0]):
        if rows[i, KIND] == BRANCHED and _value(rows, i, table[i, 0]) > NEAR:
            count += 1
            value = _value(rows, i, table[i, 0])
            if not forced[int(rows[i, NAME])] and value < least:
                least, found = value, int(rows[i, NAME])
    for k in range(1, table.shape[1]):
        if columns[k, KIND] == BRANCHED and columns[k, START] > NEAR:
            count += 1
            if not forced[int(columns[k, NAME])] and columns[k, START] < least:
                least, found = columns[k, START], int(columns[k, NAME])
    if count <= legs:
        return ENOUGH
    return found if found >= 0 else DEAD


@part
def _drop(table: Floats, rows: Floats, columns: Floats, name: int) -> None:
    """Fix one variable at none."""
    for k in range(1, table.shape[1]):
        if columns[k, NAME] == name:
            if columns[k, SIGN] < 0.0:
                turn_column(table, columns, k)
            columns[k, ROOM] = 0.0
    for i in range(1, table.shape[0]):
        if rows[i, NAME] == name:
            _at_most(table, rows, i, 0.0)


Node = tuple[Floats, Floats, Floats, float, Floats, Flags]
"""Table, rows, columns, a bound, values of what is no longer in the table, and which variables are forced up."""


@part
def _child(node: Node, name: int, up: bool, bound_at: float, legs: int, cutoff: float) -> Node:
    """The node with one variable at most (at least, `up`) a whole number, solved for a few steps."""
    table, rows, columns, forced = node[0].copy(), node[1].copy(), node[2].copy(), node[5].copy()
    for i in range(1, table.shape[0]):
        if rows[i, NAME] == name:
            if up:
                _at_least(table, rows, i, bound_at)
            else:
                _at_most(table, rows, i, bound_at)
    if up and not forced[name]:
        forced[name] = True
        if forced.sum() == legs:
            _close(table, rows, columns, forced)
    ended = dual(table, rows, columns, cutoff, _TRIAL)
    bound = np.inf if ended == 1 else max(table[0, 0], node[3])
    return table, rows, columns, bound, node[4].copy(), forced


@part
def _settled(table: Floats, rows: Floats, columns: Floats, i: int) -> bool:
    """A whole unit that nothing moves, or a limit that the bounds of the others keep."""
    least, moves = table[i, 0], False
    for k in range(1, table.shape[1]):
        entry, room = table[i, k], columns[k, ROOM]
        if room > 0.0 and abs(entry) > NOTHING:
            moves = True
            if entry < 0.0:
                least += entry * room
    if rows[i, KIND] == BRANCHED:
        return not moves and bool(abs(table[i, 0] - np.rint(table[i, 0])) < NEAR)
    return bool(rows[i, ROOM] == np.inf and least >= -NEAR and rows[i, NAME] == CUT)


@part
def _slim(table: Floats, rows: Floats, columns: Floats, gone: Floats) -> tuple[Floats, Floats, Floats]:
    """(table, rows, columns) without fixed columns and settled rows: their values go to `gone`."""
    kept_rows, m = np.zeros(table.shape[0], np.int64), 1
    kept_columns, n = np.zeros(table.shape[1], np.int64), 1
    for k in range(1, table.shape[1]):
        if columns[k, ROOM] > 0.0:
            kept_columns[n] = k
            n += 1
        elif columns[k, NAME] >= 0.0:
            gone[int(columns[k, NAME])] = columns[k, START]
    for i in range(1, table.shape[0]):
        if not _settled(table, rows, columns, i):
            kept_rows[m] = i
            m += 1
        elif rows[i, NAME] >= 0.0:
            gone[int(rows[i, NAME])] = _value(rows, i, table[i, 0])
    out = np.empty((m, n))
    for i in range(m):
        row = table[kept_rows[i]]
        for k in range(n):
            out[i, k] = row[kept_columns[k]]
    return out, rows[kept_rows[:m]], columns[kept_columns[:n]]


@part
def _split(node: Node, whole: bool, legs: int, cutoff: float) -> tuple[bool, Node, Node]:
    """(is anything open, the branch to follow, the other)."""
    table, rows = node[0], node[1]
    scores = _scores(table, rows, node[2], whole)
    near, far, best = node, node, -1.0
    for _ in range(_TRIED):
        i = int(np.argmax(scores))
        if scores[i] <= 0.0:
            break
        scores[i] = 0.0
        name, floor = int(rows[i, NAME]), np.floor(_value(rows, i, table[i, 0]))
        down = _child(node, name, False, floor, legs, cutoff)
        up = _child(node, name, True, floor + 1.0, legs, cutoff)
        score = min(down[3], up[3])
        if score > best:
            best = score
            near, far = (down, up) if down[3] < up[3] else (up, down)
        if far[3] == np.inf:
            break
    return best >= 0.0, near, far


@part
def _split_legs(node: Node, name: int, legs: int) -> tuple[Node, Node]:
    """Without that leg, or with it forced up."""
    table, rows, columns = node[0].copy(), node[1].copy(), node[2].copy()
    _drop(table, rows, columns, name)
    without = (table, rows, columns, node[3], node[4].copy(), node[5].copy())
    forced = node[5].copy()
    forced[name] = True
    table, rows, columns = node[0].copy(), node[1].copy(), node[2].copy()
    for i in range(1, table.shape[0]):
        if rows[i, NAME] == name:
            _at_least(table, rows, i, 1.0)
    if forced.sum() == legs:
        _close(table, rows, columns, forced)
    return without, (table, rows, columns, node[3], node[4].copy(), forced)


@part
def _worked(node: Node, cutoff: float) -> tuple[int, Node]:
    """(how it ended, the node solved, its dear columns fixed and what is settled gone)."""
    table, rows, columns, _, gone, forced = node
    ended = dual(table, rows, columns, cutoff, _STEPS)
    if ended == SOLVED:
        tighten(table, columns, cutoff)
        table, rows, columns = _slim(table, rows, columns, gone)
    return ended, (table, rows, columns, table[0, 0], gone, forced)


@part
def _branches(node: Node, whole: bool, legs: int, units: int, cutoff: float) -> tuple[int, Node, Node]:
    """(OPEN, ENOUGH or DEAD; the branch to follow; the other)."""
    open_, near, far = _split(node, whole, legs, cutoff)
    if open_:
        return OPEN, near, far
    extra = _surplus_leg(node[0], node[1], node[2], node[4], units, node[5], legs)
    if extra < 0:
        return extra, node, node
    near, far = _split_legs(node, extra, legs)
    return OPEN, near, far


@kernel("Tuple((f8,f8,i8))(f8[:,::1],f8[:,::1],f8[:,::1],f8,b1,i8,i8,i8,f8[::1])")
def cheapest(
    table: Floats, rows: Floats, columns: Floats, cutoff: float, whole: bool, legs: int, limit: int, units: int,
    x: Floats,
) -> tuple[float, float, int]:  # fmt: skip
    """From a solved dictionary: (the least below `cutoff`, else `cutoff`; what nothing is below; nodes looked at).

    `x` takes the values of the least; its first `units` are branched on. After `limit` nodes, or once something is
    found without `whole`, the search stops; the second number is then what everything still open costs at least.
    """
    nodes = [(table.copy(), rows.copy(), columns.copy(), table[0, 0], np.zeros(x.size), np.zeros(x.size, np.bool_))]
    least, low, count = cutoff, np.inf, 0
    while len(nodes) > 0 and count < limit and (whole or least == cutoff):
        node = nodes.pop()
        while node[3] < least:
            if count >= limit:
                low = min(low, node[3])
                break
            count += 1
            ended, node = _worked(node, least)
            if ended == GAVE_UP:
                low = min(low, node[3])
            if ended != SOLVED:
                break
            state, near, far = _branches(node, whole, legs, units, least)
            if state == ENOUGH:
                least = node[3]
                read(node[0], node[1], node[2], node[4], x)
            if state != OPEN:
                break
            if far[3] < least:
                nodes.append(far)
            node = near
    for node in nodes:
        low = min(low, node[3])
    return least, min(low, least), count


@kernel("Tuple((f8[:,::1],f8[:,::1],f8[:,::1]))(f8[:,::1],f8[::1],f8[::1],f8[::1],i8)")
def relaxed(matrix: Floats, low: Floats, cost: Floats, most: Floats, units: int) -> tuple[Floats, Floats, Floats]:
    """The solved dictionary of cost·x → least, matrix·x ≥ low, 0 ≤ x ≤ most; the first `units` are to be branched on.

    No cost may be negative. Where nothing is allowed the corner of the table is infinite.
    """
    m, n = matrix.shape
    table, rows, columns = np.zeros((m + 1, n + 1)), np.empty((m + 1, FIELDS)), np.empty((n + 1, FIELDS))
    for i in range(m):
        describe(rows, i + 1, CUT, np.inf, FREE)
        table[i + 1, 0] = -low[i]
        table[i + 1, 1:] = matrix[i]
    for j in range(n):
        describe(columns, j + 1, float(j), most[j], BRANCHED if j < units else FREE)
        table[0, j + 1] = cost[j]
    if dual(table, rows, columns, np.inf, 10 * _STEPS) != SOLVED:
        table[0, 0] = np.inf
    return table, rows, columns


@kernel("void(f8[:,::1],f8[:,::1],f8[:,::1],f8[::1])")
def values(table: Floats, rows: Floats, columns: Floats, x: Floats) -> None:
    """The variables of a dictionary from which nothing has gone, into `x`."""
    read(table, rows, columns, np.zeros(x.size), x)
