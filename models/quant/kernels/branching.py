"""Linear programmes over whole numbers of some hundred variables: branch and cut on one dense dictionary a node.

The search asks for something cheaper than a cutoff a little above the relaxation, and raises it until there is
something: with a tight cutoff most variables are fixed by their reduced cost, and what it finds is the least. At every
node Gomory's mixed-integer cuts are added once, and the variable to branch on is the one whose two branches, solved for
a few steps, raise the bound most.

Sources: Nemhauser and Wolsey, Integer and Combinatorial Optimization, II.1 and II.4; Balas, Ceria, Cornuéjols and
Natraj, Gomory cuts revisited (1996); Achterberg, Koch and Martin, Branching rules revisited (2005).
"""

import numpy as np

from models.quant.kernels.jit import kernel, part
from models.quant.kernels.simplex import (
    BRANCHED,
    CUT,
    CUT_OFF,
    FIELDS,
    FREE,
    GAVE_UP,
    KIND,
    NEAR,
    NOTHING,
    ROOM,
    SIGN,
    SLACK,
    SOLVED,
    START,
    Floats,
    describe,
    dual,
    read,
    slim,
    tighten,
    turn_column,
)

_STEPS = 5000  # of one solution; a hundred are usual
_CUTS, _AT_ROOT = 6, 2  # cuts at a time, and how many times at the root; once elsewhere
_TRIED, _TRIAL = 3, 20  # variables tried at a node, steps for each branch
_OPEN = 400  # nodes: with more the newest goes first, which keeps them few
_FIRST, _RAISE = 0.003, 1.5  # of the relaxation: the first cutoff above it; the next is so many times further off

Node = tuple[Floats, Floats, Floats, float]  # table, rows, columns, what the branch adds to the bound


@part
def _fraction(table: Floats, rows: Floats, i: int, least: float) -> float:
    """Of a variable that should be whole; 0 where it is (or is nearer to it than `least`)."""
    if rows[i, KIND] == FREE:
        return 0.0
    fraction = table[i, 0] - np.floor(table[i, 0])
    return fraction if least < fraction < 1.0 - least else 0.0


@part
def _gomory(table: Floats, columns: Floats, i: int, fraction: float, cut: Floats) -> float:
    """Fill `cut` with the mixed-integer cut of row `i`: its worth, or 0 where its numbers are too far apart."""
    most, least, norm, rise = 0.0, np.inf, 0.0, np.inf
    cut[0] = -1.0
    for k in range(1, table.shape[1]):
        entry = -table[i, k]
        if columns[k, KIND] == FREE:
            entry = max(entry / fraction, -entry / (1.0 - fraction))
        else:
            entry -= np.floor(entry)
            entry = min(entry / fraction, (1.0 - entry) / (1.0 - fraction))
        if entry < NOTHING:
            entry = 0.0
        else:
            most, least, norm = max(most, entry), min(least, entry), norm + entry * entry
            rise = min(rise, max(table[0, k], 0.0) / entry)
        cut[k] = entry
    return 0.0 if most > 1e6 * least else 1.0 / np.sqrt(norm) + rise


@part
def _best(scores: Floats) -> int:
    """The place of the largest, which is then struck out; 0 where none is left."""
    found = 0
    for i in range(1, scores.size):
        if scores[i] > scores[found]:
            found = i
    scores[found] = 0.0
    return found


@part
def _add_cuts(table: Floats, rows: Floats, columns: Floats) -> int:
    """Write the best cuts into the spare rows; how many rows are filled."""
    m, n = table.shape[0] - _CUTS, table.shape[1]
    scores, cuts = np.zeros(m), np.empty((m, n))
    for i in range(1, m):
        fraction = _fraction(table, rows, i, 0.02)
        if fraction > 0.0:
            scores[i] = _gomory(table, columns, i, fraction, cuts[i])
    for c in range(m, m + _CUTS):
        i = _best(scores)
        if i == 0:
            return c
        for k in range(n):
            table[c, k] = cuts[i, k]
        describe(rows, c, CUT, np.inf, FREE)
    return int(m + _CUTS)


@part
def _worked(
    table: Floats, rows: Floats, columns: Floats, x: Floats, cutoff: float, turns: int
) -> tuple[int, Floats, Floats, Floats]:
    """A node solved, cut so many times and slimmed: (how it ended, table, rows, columns)."""
    ended = dual(table, rows, columns, cutoff, _STEPS)
    for _ in range(turns):
        if ended != SOLVED:
            break
        tighten(table, columns, cutoff)
        table, rows, columns = slim(table, rows, columns, x, False, _CUTS)
        filled = _add_cuts(table, rows, columns)
        table, rows = table[:filled], rows[:filled]
        ended = dual(table, rows, columns, cutoff, _STEPS)
    if ended == SOLVED:
        tighten(table, columns, cutoff)
        table, rows, columns = slim(table, rows, columns, x, True, 0)
    return ended, table, rows, columns


@part
def _scores(table: Floats, rows: Floats, columns: Floats) -> Floats:
    """By how much one step would raise the bound, down times up, for each variable that could be branched on."""
    scores = np.zeros(table.shape[0])
    for i in range(1, table.shape[0]):
        fraction = _fraction(table, rows, i, NEAR)
        if fraction == 0.0 or rows[i, KIND] != BRANCHED:
            continue
        down, up = np.inf, np.inf
        for k in range(1, table.shape[1]):
            entry, cost = table[i, k], max(table[0, k], 0.0)
            if entry > NOTHING:
                up = min(up, cost / entry)
            elif entry < -NOTHING:
                down = min(down, -cost / entry)
        scores[i] = _product(fraction * down, (1.0 - fraction) * up)
    return scores


@part
def _product(down: float, up: float) -> float:
    return max(min(down, 1e3), 1e-4) * max(min(up, 1e3), 1e-4)


@part
def _branch(table: Floats, rows: Floats, columns: Floats, i: int, up: float, cutoff: float) -> Node:
    """Row `i` at most the next whole number (`up` 0) or at least (1), a few steps on."""
    out, described, others = table.copy(), rows.copy(), columns.copy()
    floor = np.floor(table[i, 0])
    if up > 0.0:
        out[i, 0] -= floor + 1.0
        described[i, START] += described[i, SIGN] * (floor + 1.0)
        described[i, ROOM] -= floor + 1.0
    else:
        described[i, ROOM] = floor
    ended = dual(out, described, others, cutoff, _TRIAL)
    return out, described, others, np.inf if ended == CUT_OFF else out[0, 0] - table[0, 0]


@part
def _branches(table: Floats, rows: Floats, columns: Floats, cutoff: float) -> tuple[bool, Node, Node]:
    """(is anything not whole, the better branch, the other)."""
    scores = _scores(table, rows, columns)
    near = (table, rows, columns, 0.0)
    far = near
    best = 0.0
    for _ in range(_TRIED):
        i = _best(scores)
        if i == 0:
            break
        down = _branch(table, rows, columns, i, 0.0, cutoff)
        up = _branch(table, rows, columns, i, 1.0, cutoff)
        score = _product(down[3], up[3])
        if score > best:
            best = score
            near, far = (down, up) if down[3] <= up[3] else (up, down)
        if far[3] == np.inf:
            break
    return best > 0.0, near, far


@part
def _next(nodes: list[tuple[Floats, Floats, Floats, float, Floats]]) -> int:
    """Bring the node with the least bound to the end; while there are too many, leave the newest there."""
    last = len(nodes) - 1
    best = last
    if last < _OPEN:
        for q in range(last):
            if nodes[q][3] < nodes[best][3]:
                best = q
    nodes[best], nodes[last] = nodes[last], nodes[best]
    return last


@part
def _search(
    table: Floats, rows: Floats, columns: Floats, cutoff: float, close: float, limit: int, first: bool, found: Floats
) -> tuple[float, float, int]:
    """(the least below `cutoff`, or `cutoff`; how low anything could still be; nodes). `found` takes its values."""
    nodes = [(table, rows, columns, table[0, 0], np.zeros(found.size))]
    least, low, count = cutoff, np.inf, 0
    while len(nodes) > 0 and count < limit:
        _next(nodes)
        table, rows, columns, bound, x = nodes.pop()
        while bound < least - close:
            count += 1
            ended, table, rows, columns = _worked(table, rows, columns, x, least - close, _AT_ROOT if count == 1 else 1)
            if ended == GAVE_UP:
                low = min(low, table[0, 0])
            if ended != SOLVED:
                break
            open_, near, far = _branches(table, rows, columns, least - close)
            if not open_:
                least = table[0, 0]
                read(table, rows, columns, x, found)
                break
            bound = table[0, 0]
            if far[3] < np.inf:
                nodes.append((far[0], far[1], far[2], bound + far[3], x.copy()))
            table, rows, columns = near[0], near[1], near[2]
            bound += near[3]
        if first and least < cutoff:
            break
    for node in nodes:
        low = min(low, node[3])
    return least, min(low, least), count


@part
def _dictionary(
    matrix: Floats, low: Floats, cost: Floats, most: Floats, column_kinds: Floats, row_kinds: Floats
) -> tuple[Floats, Floats, Floats]:
    m, n = matrix.shape
    table, rows, columns = np.zeros((m + 1, n + 1)), np.empty((m + 1, FIELDS)), np.empty((n + 1, FIELDS))
    for i in range(m):
        describe(rows, i + 1, SLACK, np.inf, row_kinds[i])
        table[i + 1, 0] = -low[i]
        for j in range(n):
            table[i + 1, j + 1] = matrix[i, j]
    for j in range(n):
        describe(columns, j + 1, float(j), most[j], column_kinds[j])
        table[0, j + 1] = cost[j]
        if cost[j] < 0.0:
            turn_column(table, columns, j + 1)
    return table, rows, columns


@kernel("Tuple((f8,f8,i8))(f8[:,::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8,i8,f8[::1])")
def least(
    matrix: Floats,
    low: Floats,
    cost: Floats,
    most: Floats,
    column_kinds: Floats,
    row_kinds: Floats,
    close: float,
    limit: int,
    x: Floats,
) -> tuple[float, float, int]:
    """The least of cost·x where matrix·x ≥ low and 0 ≤ x ≤ most: (its value, how low it could still be, nodes).

    `x` enters as something allowed and leaves as the least. Kinds of columns and rows are FREE, WHOLE and BRANCHED; of
    a row they speak of matrix·x − low. BRANCHED is made whole; WHOLE must be so of itself where all the BRANCHED are.
    A column of negative cost needs a finite `most`. Where the two values agree nothing is less by more than `close`;
    after `limit` nodes they may not agree.
    """
    table, rows, columns = _dictionary(matrix, low, cost, most, column_kinds, row_kinds)
    ceiling = 0.0
    for j in range(x.size):
        ceiling += cost[j] * x[j]
    dual(table, rows, columns, np.inf, _STEPS)
    bottom, under, count = table[0, 0], -np.inf, 0
    rise = _FIRST * max(abs(bottom), 0.1 * (ceiling - bottom))
    while True:
        spent = count >= limit
        cutoff = ceiling if spent else min(bottom + rise, ceiling)
        best, sure, used = _search(
            table.copy(), rows.copy(), columns.copy(), cutoff, close, limit if spent else limit - count, spent, x
        )
        under, count, rise = max(under, sure), count + used, rise * _RAISE
        if spent or best < cutoff or cutoff == ceiling:
            return best, min(under, best), count
