"""One more leg: the best tickets so far, each tried with every contract of its class, so that three and four legs are
searched where two are good already.

A ticket acts here as one more contract: its columns are its legs', and the walk over pairs is the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.quant.board import Board
from models.quant.kernels.layout import BUY, FACTS, SELL, THETA, VALUE
from models.quant.margin_bound import nothing_bound
from models.quant.regime_rules import Family
from models.quant.search_table import Table
from models.quant.tickets import FAMILIES, NO_CAP, Tickets, join, tickets_of
from models.quant.walking import walk

Whole = NDArray[np.int64]

KEPT = 96  # of what comes of them, full and partial cures apart
LEGS = 4
"""The most legs that every venue takes as one ticket."""
RATIOS = (-3, -2, -1, 1, 2, 3)


@dataclass(frozen=True)
class Wider:
    tickets: Tickets
    looked_at: int


def combine(board: Board, table: Table, seeds: Tickets, naked: bool) -> Wider:
    """The best of `seeds` with one leg more. Without `naked` only what a long covers is sold."""
    found = [_of_class(board, table, seeds.take(rows), naked) for rows in _by_class(board, seeds)]
    return Wider(join([one.tickets for one in found]), sum(one.looked_at for one in found))


def _by_class(board: Board, seeds: Tickets) -> Iterator[Whole]:
    """The seeds that can take a leg more, by their class; only options combine."""
    first = seeds.legs[:, 0]
    fits = (
        board.is_option[first]
        & (seeds.most == NO_CAP)
        & ((seeds.legs >= 0).sum(axis=1) < LEGS)
        & (board.group[first] >= 0)
    )
    chosen = np.flatnonzero(fits)
    for klass in np.unique(board.klass[first[chosen]]):
        yield chosen[board.klass[first[chosen]] == klass]


def _of_class(board: Board, table: Table, seeds: Tickets, naked: bool) -> Wider:
    rows = board.rows[board.klass[board.rows] == board.klass[seeds.legs[0, 0]]]
    starts = np.flatnonzero(np.diff(board.group[rows], prepend=-1))
    spans, shapes = [], []
    for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
        most = np.full(len(seeds), len(RATIOS)) if naked else _spare(board, seeds, int(rows[start]))
        for seed in range(len(seeds)):
            for ratio in RATIOS:
                if -ratio <= most[seed]:
                    spans.append([seed, seed + 1, len(seeds) + start, len(seeds) + stop])
                    shapes.append([1, ratio, 0, 0])
    found = walk(_beside(seeds, table, rows), spans, shapes, 2, KEPT)
    grown, added = seeds.take(found.rows[:, 0]), rows[found.rows[:, 1] - len(seeds)]
    return Wider(_joined(grown, added, found.ratios[:, 1]), found.looked_at)


def _spare(board: Board, seeds: Tickets, row: int) -> NDArray[np.int64]:
    """Longs of each seed (C,) that would cover a short of row's right and expiry and cover nothing yet."""
    used = seeds.legs >= 0
    same = used & (board.is_call[seeds.legs] == board.is_call[row])
    outlives = board.dte[seeds.legs] >= board.dte[row]
    longs = np.where(same & outlives & (seeds.ratios > 0), seeds.ratios, 0).sum(axis=1)
    shorts = np.where(same & (seeds.ratios < 0), -seeds.ratios, 0).sum(axis=1)
    spare: NDArray[np.int64] = longs - shorts
    return spare


def _beside(seeds: Tickets, table: Table, places: Whole) -> Table:
    """A table whose first rows are the seeds, each as if it were one contract, and the others `places`."""
    others = table.take(places)
    sums = {name: seeds.add_up(getattr(table.rows, name)) for name in ("harm", "help", "bare", "ways")}
    sums["facts"] = _seed_facts(seeds, table.rows.facts)
    both = {name: np.vstack([mine, getattr(others.rows, name)]) for name, mine in sums.items()}
    # margin does not add up: it is asked of the whole when the ticket is sized
    nothing = nothing_bound(len(seeds) + len(places))
    known = np.concatenate([np.ones(len(seeds), dtype=bool), others.known])
    return replace(others, rows=others.rows._replace(**both, margin=nothing.facts, arrays=nothing.arrays), known=known)


def _seed_facts(seeds: Tickets, facts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Only what is summed: a seed is bought as a whole, and its notional is asked leg by leg when it is sized."""
    out = np.zeros((len(seeds), len(FACTS)))
    paid = np.where(seeds.ratios > 0, facts[seeds.legs, BUY], facts[seeds.legs, SELL])
    out[:, BUY] = (np.abs(seeds.ratios) * paid).sum(axis=1)
    out[:, THETA], out[:, VALUE] = seeds.add_up(facts[:, THETA]), seeds.add_up(facts[:, VALUE])
    return out


def _joined(seeds: Tickets, rows: Whole, ratios: Whole) -> Tickets:
    """The seeds (C,) with one leg more each; a leg that the seed has already, or that undoes it, is none."""
    fresh = (seeds.legs != rows[:, None]).all(axis=1)
    seeds, rows, ratios = seeds.take(fresh), rows[fresh], ratios[fresh]
    legs, signed = seeds.legs.copy(), seeds.ratios.copy()
    place = (legs >= 0).sum(axis=1)
    each = np.arange(len(legs))
    legs[each, place], signed[each, place] = rows, ratios
    signed = signed // np.gcd.reduce(signed, axis=1)[:, None]
    return tickets_of(legs, signed, np.full(len(legs), FAMILIES.index(Family.COMBINATION)))
