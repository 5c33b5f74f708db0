"""What the kernels of the search are given, by name: columns, answers, rows. No compiler is needed to read it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

BLOCK, KINDS = 16, 8
FACTS = BUY, SELL, THETA, VALUE, NOTIONAL, HELD, CALL, STRIKE, SHARE = range(9)
"""Columns of `facts`: cost of buying and of selling one contract, theta per day, market value, notional of an option,
signed quantity that may still be closed, 1 for a call, strike, 1 for a share; money in currency."""
TERMS = DAYS, CHARGE, CAPITAL, CONTRACTS, MOST, MOST_SHARES, TOTAL, FUNDS, MARGIN = range(9)
"""`terms`: days of theta that count as cost, interest on margin over them, capital and contracts of one ticket, units
at most, the whole excess in units of the limits, capital of available funds and margin that one ticket may take."""
COUNTS = LEFT, ROOM, WAY, BARE, SIZE = range(5)
"""Columns of `counted`, whose rows are the short notional and the contracts held, which no sum over legs tells: what is
left, what may be taken, the way back (0: not broken), the way to the bare limit, the limit's size."""
GOOD, HELPLESS, TOO_MUCH, TOO_LITTLE, DEARER, HARMFUL = range(6)
"""Answers. HARMFUL + r: row r of `harm` binds before one unit; after its last come the rows of `counted`."""
ANY, EQUAL, DIFFERENT, ASCENDING = range(4)
"""What the strikes of a pair must be; ascending: the first not above the second."""
RECORD = 7
"""What is kept of a pair: rows, ratios, units, cost, cure."""


class Rows(NamedTuple):
    """N contracts against one room. `harm` (N, D), `help` and `bare` (N, B), `facts` (N, FACTS), `margin` (N, …) and
    `arrays` (N, 16) as `kernels.margin` takes them; `ways` (N, KINDS) shares of each broken kind's excess where it is
    worst, `weights` (KINDS,) what each excess weighs. `strict` (D,) times a share of room is a share of the room that
    leaves no breach behind; `slack` (D,) is the room in its own unit. R rows of the broken kinds: row r is of kind
    `kinds`, moves with column `places` of `harm` and has `left`; `sizes` are the limits' by kind.
    """

    harm: Floats
    help: Floats
    bare: Floats
    facts: Floats
    margin: Floats
    arrays: Floats
    ways: Floats
    weights: Floats
    terms: Floats
    counted: Floats
    strict: Floats
    slack: Floats
    kinds: Whole
    places: Whole
    left: Floats
    sizes: Floats
