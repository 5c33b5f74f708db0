"""Linear programmes over whole numbers of some hundred variables: branch and cut on one dense dictionary a node.

The search asks for something cheaper than a cutoff a little above the relaxation, and raises it until there is
something: with a tight cutoff most variables are fixed by their reduced cost, and what it finds is the least. At every
node Gomory's mixed-integer cuts are added once, and the variable to branch on is the one that promises to raise the
bound most: by one step and by what its branches did before. Until that is known, a few are tried.

Sources: Nemhauser and Wolsey, Integer and Combinatorial Optimization, II.1 and II.4; Balas, Ceria, Cornuéjols and
Natraj, Gomory cuts revisited (1996); Achterberg, Koch and Martin, Branching rules revisited (2005).
"""

import numpy as np

from models.quant.kernels.jit import part
from models.quant.kernels.simplex import (
    BRANCHED,
    CUT,
    CUT_OFF,
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
    Constraints,
    Floats,
    above_least,
    describe,
    dual,
    read,
    slim,
    solve,
    tighten,
    turn_column,
    with_rows,
)

_CUTS, _AT_ROOT = 6, 2  # cuts at a time, and how many times at the root; once elsewhere
_TRIED, _TRIAL = 3, 20  # variables tried at a node, steps for each branch
_KNOWN = 2.0  # times that a variable was branched on, after which no other is tried beside it
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
def _with_parts(
    constraints: Constraints, table: Floats, rows: Floats, columns: Floats, gone: Floats
) -> tuple[Floats, Floats]:
    """(table, rows) and below them the constraints to branch on that are not whole."""
    above, kinds = above_least(constraints, table, rows, columns, gone), constraints[4]
    for descriptions in (rows, columns):
        for i in range(1, descriptions.shape[0]):
            c = int(descriptions[i, NAME]) - gone.size
            if c >= 0:
                above[c] = 0.0
    wanted, count = np.empty(above.size, np.int64), 0
    for c in range(above.size):
        if kinds[c] == BRANCHED and abs(above[c] - np.rint(above[c])) > NEAR:
            wanted[count] = c
            count += 1
    return with_rows(constraints, wanted[:count], table, rows, columns, gone)


@part
def _gomory(table: Floats, columns: Floats, i: int, fraction: float, cut: Floats) -> float:
    """Fill `cut` with the mixed-integer cut of row `i`: its worth, or 0 where its numbers are too far apart."""
    most, least, norm, rise = 0.0, np.inf, 0.0, np.inf
    up, down = 1.0 / fraction, 1.0 / (1.0 - fraction)
    cut[0] = -1.0
    for k in range(1, table.shape[1]):
        entry = -table[i, k]
        if columns[k, KIND] == FREE:
            entry = max(entry * up, -entry * down)
        else:
            entry -= np.floor(entry)
            entry = min(entry * up, (1.0 - entry) * down)
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
def _with_cuts(
    constraints: Constraints, table: Floats, rows: Floats, columns: Floats, gone: Floats
) -> tuple[Floats, Floats]:
    """(table, rows) and below them the best cuts."""
    wide, described = _with_parts(constraints, table, rows, columns, gone)
    m, n = table.shape
    scores, cuts = np.zeros(wide.shape[0]), np.empty(wide.shape)
    for i in range(1, wide.shape[0]):
        fraction = _fraction(wide, described, i, 0.02)
        if fraction > 0.0:
            scores[i] = _gomory(wide, columns, i, fraction, cuts[i])
    out, named = np.empty((m + _CUTS, n)), np.empty((m + _CUTS, FIELDS))
    out[:m], named[:m] = table, rows
    for c in range(m, m + _CUTS):
        i = _best(scores)
        if i == 0:
            return out[:c], named[:c]
        out[c] = cuts[i]
        describe(named, c, CUT, np.inf, FREE)
    return out, named


@part
def _worked(
    constraints: Constraints,
    table: Floats,
    rows: Floats,
    columns: Floats,
    gone: Floats,
    cutoff: float,
    turns: int,
) -> tuple[int, Floats, Floats, Floats]:
    """A node solved, cut so many times and slimmed: (how it ended, table, rows, columns)."""
    ended, table, rows = solve(constraints, table, rows, columns, gone, cutoff)
    while ended == SOLVED:
        tighten(table, columns, cutoff)
        table, rows, columns = slim(table, rows, columns, gone)
        if turns == 0:
            break
        turns -= 1
        table, rows = _with_cuts(constraints, table, rows, columns, gone)
        ended, table, rows = solve(constraints, table, rows, columns, gone, cutoff)
    return ended, table, rows, columns


@part
def _scores(table: Floats, rows: Floats, columns: Floats, learnt: Floats) -> Floats:
    """By how much the bound would rise, down times up, for each variable that could be branched on."""
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
        past = _past(learnt, rows, i)
        down, up = max(down, past[0, 0] / max(past[0, 1], 1.0)), max(up, past[1, 0] / max(past[1, 1], 1.0))
        scores[i] = _product(fraction * down, (1.0 - fraction) * up)
    return scores


@part
def _past(learnt: Floats, rows: Floats, i: int) -> Floats:
    """Of the variable of row `i`: down and up, (sum of rises for each whole step, how often)."""
    past: Floats = learnt[int(rows[i, NAME])]
    return past if rows[i, SIGN] > 0.0 else past[::-1]


@part
def _product(down: float, up: float) -> float:
    return max(min(down, 1e3), 1e-4) * max(min(up, 1e3), 1e-4)


@part
def _branch(table: Floats, rows: Floats, columns: Floats, m: int, i: int, up: float, cutoff: float) -> Node:
    """Row `i` at most the next whole number (`up` 0) or at least (1), a few steps on. Of the rows from `m` on only that
    one is taken along.
    """
    extra = 1 if i >= m else 0
    out, described, others = np.empty((m + extra, table.shape[1])), np.empty((m + extra, FIELDS)), columns.copy()
    out[:m], described[:m] = table[:m], rows[:m]
    r = min(i, m)
    out[r], described[r] = table[i], rows[i]
    floor = np.floor(table[i, 0])
    if up > 0.0:
        out[r, 0] -= floor + 1.0
        described[r, START] += described[r, SIGN] * (floor + 1.0)
        described[r, ROOM] -= floor + 1.0
    else:
        described[r, ROOM] = floor
    ended = dual(out, described, others, cutoff, _TRIAL)
    return out, described, others, np.inf if ended == CUT_OFF else out[0, 0] - table[0, 0]


@part
def _branches(
    constraints: Constraints, table: Floats, rows: Floats, columns: Floats, gone: Floats, cutoff: float, learnt: Floats
) -> tuple[bool, Node, Node]:
    """(is anything not whole, the better branch, the other). `learnt` (variables and constraints, 2, 2) is added to."""
    wide, described = _with_parts(constraints, table, rows, columns, gone)
    scores = _scores(wide, described, columns, learnt)
    near = (table, rows, columns, 0.0)
    far = near
    best, room = 0.0, cutoff - table[0, 0]
    for _ in range(_TRIED):
        i = _best(scores)
        if i == 0:
            break
        down = _branch(wide, described, columns, table.shape[0], i, 0.0, cutoff)
        up = _branch(wide, described, columns, table.shape[0], i, 1.0, cutoff)
        past, fraction = _past(learnt, described, i), wide[i, 0] - np.floor(wide[i, 0])
        known = min(past[0, 1], past[1, 1]) >= _KNOWN
        past[0, 0] += min(down[3], room) / fraction
        past[1, 0] += min(up[3], room) / (1.0 - fraction)
        past[:, 1] += 1.0
        score = _product(down[3], up[3])
        if score > best:
            best = score
            near, far = (down, up) if down[3] <= up[3] else (up, down)
        if known or far[3] == np.inf:
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
    constraints: Constraints,
    table: Floats,
    rows: Floats,
    columns: Floats,
    cutoff: float,
    close: float,
    limit: int,
    first: bool,
    found: Floats,
    learnt: Floats,
) -> tuple[float, float, int]:
    """(the least below `cutoff`, or `cutoff`; how low anything could still be; nodes). `found` takes its values."""
    nodes = [(table, rows, columns, table[0, 0], np.zeros(found.size))]
    least, low, count = cutoff, np.inf, 0
    while len(nodes) > 0 and count < limit:
        _next(nodes)
        table, rows, columns, bound, gone = nodes.pop()
        while bound < least - close:
            count += 1
            turns = _AT_ROOT if count == 1 else 1
            ended, table, rows, columns = _worked(constraints, table, rows, columns, gone, least - close, turns)
            if ended == GAVE_UP:
                low = min(low, table[0, 0])
            if ended != SOLVED:
                break
            open_, near, far = _branches(constraints, table, rows, columns, gone, least - close, learnt)
            if not open_:
                least = table[0, 0]
                read(table, rows, columns, gone, found)
                break
            bound = table[0, 0]
            if far[3] < np.inf:
                nodes.append((far[0], far[1], far[2], bound + far[3], gone.copy()))
            table, rows, columns = near[0], near[1], near[2]
            bound += near[3]
        if first and least < cutoff:
            break
    for node in nodes:
        low = min(low, node[3])
    return least, min(low, least), count


@part
def least(
    constraints: Constraints, cost: Floats, most: Floats, kinds: Floats, close: float, limit: int, x: Floats
) -> tuple[float, float, int]:
    """The least of cost·x where entries·x ≥ low and 0 ≤ x ≤ most: (its value, how low it could still be, nodes).

    `constraints` are (first entry of each and the end, columns, entries, low, kinds). `x` enters as something allowed
    and leaves as the least. Kinds of columns and constraints are FREE, WHOLE and BRANCHED; of a constraint they speak
    of entries·x − low. BRANCHED is made whole; WHOLE must be so of itself where all the BRANCHED are. A column of
    negative cost needs a finite `most`. Where the two values agree nothing is less by more than `close`; after `limit`
    nodes they may not agree.
    """
    n = x.size
    table, rows, columns, gone = np.zeros((1, n + 1)), np.zeros((1, FIELDS)), np.zeros((n + 1, FIELDS)), np.zeros(n)
    ceiling = 0.0
    for j in range(n):
        describe(columns, j + 1, float(j), most[j], kinds[j])
        table[0, j + 1] = cost[j]
        if cost[j] < 0.0:
            turn_column(table, columns, j + 1)
        ceiling += cost[j] * x[j]
    table, rows, columns = slim(table, rows, columns, gone)
    _, table, rows = solve(constraints, table, rows, columns, gone, np.inf)
    learnt = np.zeros((n + constraints[3].size, 2, 2))
    bottom, under, count = table[0, 0], -np.inf, 0
    rise = _FIRST * max(abs(bottom), 0.1 * (ceiling - bottom))
    while True:
        spent = count >= limit
        cutoff = ceiling if spent else min(bottom + rise, ceiling)
        best, sure, used = _search(
            constraints, table.copy(), rows.copy(), columns.copy(), cutoff, close,
            limit if spent else limit - count, spent, x, learnt,
        )  # fmt: skip
        under, count, rise = max(under, sure), count + used, rise * _RAISE
        if spent or best < cutoff or cutoff == ceiling:
            return best, min(under, best), count
