"""The pairing of a group as a linear programme over whole contracts.

Columns are units of each named strategy, then contracts of each spread's longs, spread after spread, then each spread's
loss. Rows say that nothing is used twice; that each short which stands beside a dearer one has a naked one of its own
ranked before it; and that a short in no strategy is in the spread of its expiry: there the loss is at least what is
owed at every price, and of each right there are at least as many longs as shorts. The last rows bind nothing: how many
longs of a right a spread holds up to each strike is what the search decides best on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.margin_strategies import BESIDE, NAKED, Held, Strategy

Floats = NDArray[np.float64]
_NODES = 2000  # of the search, a quarter of a millisecond each: a structured book of sixty legs needs some fifty
_CLOSE = 0.005  # currency that a proof may leave open
_TIDY = 1e-5  # currency for each long in a spread: one that changes nothing stays outside
_FINE = 1e4  # steps of the strikes' grid up to the dearest: on a finer one losses count as any number


@dataclass(frozen=True)
class Spread:
    """The shorts of one expiry and the longs that may stand with them, by place, and the prices that matter.

    `grid` divides every strike of theirs, in currency of one contract: losses are whole multiples of it. 0 is none.
    """

    shorts: list[int]
    longs: list[int]
    pays: Floats  # (prices, all options): intrinsic value of one contract, currency
    grid: float


@dataclass(frozen=True)
class Programme:
    """Least cost·x where matrix·x ≥ low and 0 ≤ x ≤ most. Costs are in parts of `unit`; the kinds are the kernel's."""

    matrix: Floats
    low: Floats
    cost: Floats
    most: Floats
    column_kinds: Floats
    row_kinds: Floats
    unit: float

    def least(self, start: Floats) -> tuple[Floats, float]:
        """(x, how low in currency it could be at best); `start` is something allowed."""
        from models.quant.kernels.branching import least

        x, kinds = start.copy(), (self.column_kinds, self.row_kinds)
        _, under, _ = least(self.matrix, self.low, self.cost, self.most, *kinds, _CLOSE / self.unit, _NODES, x)
        return np.where(self.column_kinds > 0.0, np.rint(x), x), under * self.unit


def spreads(options: Sequence[Held]) -> list[Spread]:
    """One for each expiry of shorts that some long of their right outlives."""
    found = []
    for symbol, size, ends in sorted({(o.contract.symbol, o.size, o.ends) for o in options if o.quantity < 0}):
        same = [i for i, o in enumerate(options) if o.contract.symbol == symbol and o.size == size]
        shorts = [i for i in same if options[i].quantity < 0 and options[i].ends == ends]
        longs = [i for i in same if options[i].quantity > 0 and options[i].ends >= ends]
        if {options[i].is_call for i in shorts} & {options[i].is_call for i in longs}:
            strikes = np.array([options[i].strike for i in (*shorts, *longs)])
            found.append(Spread(shorts, longs, _worst(options, longs), _grid(strikes * size)))
    return found


def _worst(options: Sequence[Held], longs: Sequence[int]) -> Floats:
    """What each option pays where a spread may lose most.

    A payoff bends upwards only at strikes of its longs, and with enough longs it does not fall at the far end: its
    least value is at a long's strike or at zero.
    """
    strike, size = np.array([o.strike for o in options]), np.array([o.size for o in options])
    call = np.array([o.is_call for o in options])
    gap = np.unique([0.0, *strike[longs]])[:, None] - strike
    pays: Floats = np.maximum(np.where(call, gap, -gap), 0.0) * size
    return pays


def _grid(amounts: Floats) -> float:
    cents = np.rint(100.0 * amounts)
    grid = float(np.gcd.reduce(cents.astype(np.int64)))
    fits = np.abs(100.0 * amounts - cents).max() < 1e-6 and cents.max() < _FINE * grid
    return grid / 100.0 if fits else 0.0


@dataclass(frozen=True)
class _Frame:
    """What the rows are made from; `uses` (options, columns): contracts that one unit of a column takes."""

    options: Sequence[Held]
    named: Sequence[Strategy]
    pairs: Sequence[Spread]
    held: Floats
    uses: Floats
    first: list[int]  # column of each spread's first long, and then of the first loss

    @property
    def columns(self) -> int:
        return int(self.uses.shape[1])

    def longs(self, p: int) -> NDArray[np.int64]:
        return np.arange(self.first[p], self.first[p + 1])


def programme(
    options: Sequence[Held],
    named: Sequence[Strategy],
    asked: Sequence[float],
    ranks: Sequence[Sequence[int]],
    pairs: Sequence[Spread],
    shares: float,
) -> Programme:
    """`asked` in currency for one unit of each of `named`; `ranks` of the shorts; `shares` that are free."""
    frame = _frame(options, named, pairs)
    # one per cent of the dearest contract: the search's tolerances are absolute
    unit = 0.01 * max(o.strike * o.size for o in options)
    steps = np.array([pair.grid or unit for pair in pairs])
    blocks = [*_used_once(frame, shares), *_beside(frame, ranks)]
    for p, pair in enumerate(pairs):
        blocks += [_loss(frame, p, steps[p]), *_enough(frame, pair, p)]
    free = [row for p, pair in enumerate(pairs) for row in _up_to_each_strike(frame, pair, p)]
    matrix = np.vstack([*(rows for rows, _ in blocks), np.array(free).reshape(-1, frame.columns)])
    low = np.concatenate([*(least for _, least in blocks), np.zeros(len(free))])
    tidy = np.full(frame.first[-1] - len(named), _TIDY)
    cost = np.concatenate([asked, tidy, steps]) / unit
    most = np.where(frame.uses > 0.0, frame.held[:, None] / np.maximum(frame.uses, 1.0), np.inf).min(axis=0)
    return Programme(matrix, low, cost, most, *_kinds(frame, matrix, low, len(free)), unit)


def _frame(options: Sequence[Held], named: Sequence[Strategy], pairs: Sequence[Spread]) -> _Frame:
    first = [int(x) for x in np.cumsum([len(named), *(len(pair.longs) for pair in pairs)])]
    uses = np.zeros((len(options), first[-1] + len(pairs)))
    for column, strategy in enumerate(named):
        for i, n in strategy.legs:
            uses[i, column] = n
    for p, pair in enumerate(pairs):
        uses[pair.longs, np.arange(first[p], first[p + 1])] = 1.0
    return _Frame(options, named, pairs, np.array([abs(o.quantity) for o in options]), uses, first)


def _used_once(frame: _Frame, shares: float) -> Iterator[tuple[Floats, Floats]]:
    """No contract and no share is used twice, and a short that fits no spread stands somewhere."""
    shared = (frame.uses > 0.0).sum(axis=1) > 1  # one column alone is bounded as it is
    yield -frame.uses[shared], -frame.held[shared]
    spread = {i for pair in frame.pairs for i in pair.shorts}
    outside = [i for i, o in enumerate(frame.options) if o.quantity < 0 and i not in spread]
    yield frame.uses[outside], frame.held[outside]
    taken = np.zeros((1, frame.columns))
    taken[0, : len(frame.named)] = [-s.shares for s in frame.named]
    if taken.any():
        yield taken, np.array([-shares])


def _beside(frame: _Frame, ranks: Sequence[Sequence[int]]) -> Iterator[tuple[Floats, Floats]]:
    """Up to every rank at least as many naked shorts of one right as shorts of the other stand beside them.

    That is enough for each to have its own, since whatever is naked before one is so before all that come later (Hall's
    theorem); only the last of a run without new naked ones needs its row.
    """
    naked = {s.legs[0][0]: column for column, s in enumerate(frame.named) if s.what == NAKED}
    beside = {s.legs[0][0]: column for column, s in enumerate(frame.named) if s.what == BESIDE}
    for rank in ranks:
        for call in (True, False):
            row, pending = np.zeros(frame.columns), False
            for i in rank:
                if frame.options[i].is_call == call:
                    if i in beside:
                        row[beside[i]], pending = -1.0, True
                    continue
                if pending:
                    yield row[None].copy(), np.zeros(1)
                row[naked[i]], pending = 1.0, False
            if pending:
                yield row[None], np.zeros(1)


def _loss(frame: _Frame, p: int, step: float) -> tuple[Floats, Floats]:
    """A spread's loss, in steps, is at least what is owed at every price at which anything can be owed."""
    pair = frame.pairs[p]
    pays = pair.pays / step
    pays = np.rint(pays) if pair.grid else pays
    owed = pays[:, pair.shorts] @ frame.held[pair.shorts]
    pays, owed = pays[owed > 0.0], owed[owed > 0.0]
    rows = pays[:, pair.shorts] @ frame.uses[pair.shorts]
    rows[:, frame.longs(p)] += pays[:, pair.longs]
    rows[:, frame.first[-1] + p] = 1.0
    return rows, owed


def _enough(frame: _Frame, pair: Spread, p: int) -> Iterator[tuple[Floats, Floats]]:
    """Of each right at least as many longs as shorts."""
    for call in (True, False):
        shorts = [i for i in pair.shorts if frame.options[i].is_call == call]
        row = frame.uses[shorts].sum(axis=0)
        row[frame.longs(p)] += [frame.options[i].is_call == call for i in pair.longs]
        if shorts:
            yield row[None], frame.held[shorts].sum(keepdims=True)


def _up_to_each_strike(frame: _Frame, pair: Spread, p: int) -> Iterator[Floats]:
    """How many longs of a right, the deepest first; a single one is a column already."""
    columns = dict(zip(pair.longs, frame.longs(p), strict=True))
    for call in (True, False):
        side = 1.0 if call else -1.0
        mine = sorted((side * frame.options[i].strike, i) for i in pair.longs if frame.options[i].is_call == call)
        for k in range(2, len(mine) + 1):
            if k == len(mine) or mine[k][0] != mine[k - 1][0]:
                row = np.zeros(frame.columns)
                row[[columns[i] for _, i in mine[:k]]] = 1.0
                yield row


def _kinds(frame: _Frame, matrix: Floats, low: Floats, free: int) -> tuple[Floats, Floats]:
    """Of columns and rows. With odd lots nothing is whole."""
    from models.quant.kernels.simplex import BRANCHED, FREE, WHOLE

    if (frame.held != np.rint(frame.held)).any():
        return np.full(matrix.shape[1], FREE), np.full(matrix.shape[0], FREE)
    columns = np.full(matrix.shape[1], BRANCHED)
    columns[frame.first[-1] :] = [WHOLE if pair.grid else FREE for pair in frame.pairs]
    odd = (matrix != np.rint(matrix)).any(axis=1) | (low != np.rint(low)) | matrix[:, columns == FREE].any(axis=1)
    rows = np.where(odd, FREE, WHOLE)
    rows[matrix.shape[0] - free :] = BRANCHED
    return columns, rows
