"""The chain laid out for building structures: which rows are usable, and where the next strike or expiry is.

A row is an index into one ContractVectors. Steps are fractions of spot and land on the nearest listed strike; −1 says
that nothing is listed near enough.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.option import SecType
from models.quant.portfolio import ContractVectors
from models.quant.regime_rules import HedgeRules

Rows = NDArray[np.int64]
_STRIDE = 1e7  # more than any strike: one ascending key for (group, strike)
_NEAR = 0.35  # a step may miss its target by this share of its own width


@dataclass(frozen=True)
class Board:
    """Usable rows and their grid. Arrays over all N rows of the vectors unless said otherwise.

    `rows` are the benchmark options in the window, sorted by group and strike; a group is one class, expiry and right.
    `held` is the signed quantity of the book; `twin` maps a group to the other right, `groups` lists (class, day).
    """

    rows: Rows
    futures: Rows
    shares: Rows
    held: NDArray[np.float64]
    known: NDArray[np.bool_]
    strike: NDArray[np.float64]
    spot: NDArray[np.float64]
    is_call: NDArray[np.bool_]
    is_option: NDArray[np.bool_]
    dte: NDArray[np.float64]
    klass: NDArray[np.int64]
    multiplier: NDArray[np.float64]
    group: NDArray[np.int64]
    keys: NDArray[np.float64]
    lookup: Mapping[tuple[int, bool], tuple[Rows, Rows]]
    """(class, is call) → (days to expiry ascending, their groups)."""

    def at(self, group: Rows, strike: NDArray[np.float64], slack: NDArray[np.float64]) -> Rows:
        """The row of each group (−1: none) whose strike is nearest and within `slack` points, else −1."""
        if not len(self.keys):
            return np.full(len(group), -1, dtype=np.int64)
        target = group * _STRIDE + strike
        after = np.clip(np.searchsorted(self.keys, target), 0, len(self.keys) - 1)
        before = np.maximum(after - 1, 0)
        nearer = np.where(np.abs(self.keys[before] - target) <= np.abs(self.keys[after] - target), before, after)
        good = (group >= 0) & (np.abs(self.keys[nearer] - target) <= slack + 1e-9)
        return np.where(good, self.rows[nearer], -1)

    def step(self, rows: Rows, width: float) -> Rows:
        """From each row `width` of spot along its own strikes; never the row itself."""
        points = width * self.spot[rows]
        found = self.at(self.group[rows], self.strike[rows] + points, _NEAR * np.abs(points))
        return np.where(found == rows, -1, found)

    def around(self, below: float, above: float) -> tuple[Rows, Rows]:
        """(puts, calls) of every class and expiry at spot × (1 + below) and spot × (1 + above)."""
        puts, calls = [], []
        for (klass, call), (dtes, groups) in self.lookup.items():
            twin = self.lookup.get((klass, not call))
            if call or twin is None:
                continue
            shared, mine, theirs = np.intersect1d(dtes, twin[0], return_indices=True)
            if not len(shared):
                continue
            spot = self.spot[self.rows[np.searchsorted(self.keys, groups[mine] * _STRIDE)]]
            slack = 0.25 * np.minimum(abs(below), abs(above)) * spot
            put = self.at(groups[mine], spot * (1 + below), slack)
            other = self.at(twin[1][theirs], spot * (1 + above), slack)
            both = (put >= 0) & (other >= 0)
            puts.append(put[both])
            calls.append(other[both])
        nothing = np.zeros(0, dtype=np.int64)
        return (np.concatenate(puts), np.concatenate(calls)) if puts else (nothing, nothing)


def board_of(
    vectors: ContractVectors, held: Mapping[str, float], rules: HedgeRules, fair: NDArray[np.bool_] | None = None
) -> Board:
    """Lay the vectors out. A row with an unknown number is never a leg; only benchmarks whose market is `fair` (N,)
    open anything. `held` is what may still be closed, signed, by identity."""
    contracts, known, options = vectors.contracts, vectors.known, vectors.is_option
    allowed = set(rules.benchmarks)
    benchmark = np.array([c.symbol in allowed or c.trading_class in allowed for c in contracts], dtype=bool)
    kinds = np.array([c.sec_type.value for c in contracts])
    names = {name: i for i, name in enumerate(sorted({c.trading_class for c in contracts}))}
    klass = np.array([names[c.trading_class] for c in contracts], dtype=np.int64)
    is_call, strike, spot = vectors.is_call, vectors.strike, vectors.spot
    dte = np.where(options, vectors.dte, np.nan)
    with np.errstate(invalid="ignore"):
        worth = vectors.value >= rules.least_price * vectors.multiplier
        window = (
            options
            & benchmark
            & known
            & worth
            & (True if fair is None else fair)
            & (dte >= rules.dte_min)
            & (dte <= rules.dte_max)
        )
    group, lookup = _groups(klass, is_call, dte, window)
    rows = np.flatnonzero(window)
    rows = rows[np.lexsort((strike[rows], group[rows]))]
    return Board(
        rows=rows,
        futures=np.flatnonzero(known & benchmark & (kinds == SecType.FUTURE.value)),
        shares=np.flatnonzero(known & benchmark & (kinds == SecType.STOCK.value)),
        held=np.array([held.get(c.identity, 0.0) for c in contracts], dtype=float),
        known=known,
        strike=strike,
        spot=spot,
        is_call=is_call,
        is_option=options,
        dte=dte,
        klass=klass,
        multiplier=vectors.multiplier,
        group=group,
        keys=group[rows] * _STRIDE + strike[rows],
        lookup=lookup,
    )


def _groups(
    klass: Rows, is_call: NDArray[np.bool_], dte: NDArray[np.float64], window: NDArray[np.bool_]
) -> tuple[Rows, dict[tuple[int, bool], tuple[Rows, Rows]]]:
    """A number for each (class, right, expiry) in the window, −1 elsewhere; and where each expiry's group is."""
    group = np.full(len(klass), -1, dtype=np.int64)
    triples = np.column_stack([klass, is_call, np.nan_to_num(dte, nan=-1.0)])[window]
    distinct, inverse = np.unique(triples, axis=0, return_inverse=True)
    group[window] = inverse.ravel()
    lookup: dict[tuple[int, bool], tuple[Rows, Rows]] = {}
    for owner in np.unique(distinct[:, :2], axis=0):
        mine = np.flatnonzero((distinct[:, :2] == owner).all(axis=1))
        lookup[(int(owner[0]), bool(owner[1]))] = (distinct[mine, 2], mine)
    return group, lookup
