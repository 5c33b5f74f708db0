"""From everything that could be traded to the few that help: sizes solved against all rows at once, refusals counted.

Tickets of three and four legs, futures, shares, closings and rolls are laid out and sized one by one; every pair of
legs is walked by a kernel that keeps the best of each kind; the best are then tried with a third and a fourth leg.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.quant.board import Board
from models.quant.breach import BreachKind
from models.quant.combining import combine
from models.quant.kernels import layout
from models.quant.pair_space import best_pairs
from models.quant.regime_rules import Family
from models.quant.scoring import Floats, order_by_merit
from models.quant.search_table import Table
from models.quant.tickets import NO_CAP, Tickets, join

PER_FAMILY = 60  # kept of each family, full and partial cures apart
SEEDS, BEST, ROUNDS = 4, 12, 5  # of each kind, and of all, that are tried with another leg; and how often


@dataclass
class Refusals:
    """Why tickets were refused: reason → count, and the best refused one in words."""

    counts: Counter[str] = field(default_factory=Counter)
    example: str | None = None

    def add(self, reason: str, count: int = 1) -> None:
        if count:
            self.counts[reason] += int(count)

    def to_json(self) -> dict[str, object]:
        return {**dict(self.counts.most_common()), **({"example": self.example} if self.example else {})}


@dataclass(frozen=True)
class Sized:
    """Tickets that help, with how many: arrays over C. `cure` sums the excess removed, in units of each limit; `cost`
    in currency for all units, interest on the margin bound in it; `without_margin` is the rest."""

    tickets: Tickets
    quantity: Floats
    full: NDArray[np.bool_]
    cure: Floats
    cost: Floats
    without_margin: Floats

    def __len__(self) -> int:
        return len(self.quantity)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Sized":
        return Sized(self.tickets.take(rows), *(getattr(self, name)[rows] for name in _COLUMNS))

    @property
    def merit(self) -> NDArray[np.int64]:
        """Best first."""
        return order_by_merit(self.full, self.cost, self.cure, np.zeros(len(self)))


@dataclass(frozen=True)
class Found:
    """What a screening came to: the tickets that help, best of each family, and how many were looked at."""

    sized: Sized
    looked_at: int


def screen(
    singles: Tickets, board: Board, table: Table, families: Collection[Family], refusals: Refusals,
    close_share: float = 0.0,
) -> Found:  # fmt: skip
    """The best of each family among `singles`, every pair of the board, and pairs with a third and a fourth leg.

    `close_share` is the part of a holding that a broken cap without a row (margin, defined loss, vega share, VaR) asks
    to close; closings of that size are kept, and what they cure is found by exact valuation.
    """
    alone = best_of_each(size(singles, table, refusals, close_share), PER_FAMILY)
    pairs = best_pairs(board, table, families)
    _count(refusals, pairs.counts, table)
    both = best_of_each(size(pairs.tickets, table), PER_FAMILY)
    found, seeds, looked_at = [alone, both], gathered([both, alone]), len(singles) + pairs.looked_at
    for _ in range(ROUNDS if Family.COMBINATION in families else 0):
        wider = combine(board, table, _to_grow(seeds), Family.SHORT_STRANGLE in families)
        looked_at += wider.looked_at
        grown = size(wider.tickets, table)
        found.append(best_of_each(grown, PER_FAMILY))
        seeds = gathered([seeds, grown])
    return Found(gathered(found), looked_at)


def _to_grow(found: Sized) -> Tickets:
    """What is tried with another leg: the best of each kind, and the best of all with one of their legs taken away."""
    best = found.take(found.merit[:BEST])
    return join([best_of_each(found, SEEDS).tickets, best.tickets.without_one()])


def size(tickets: Tickets, table: Table, refusals: Refusals | None = None, close_share: float = 0.0) -> Sized:
    """Integer sizes (C,) solved from the breach; the helpless and the harmful are refused with their reason."""
    from models.quant.kernels import search

    count = len(tickets)
    most = np.where(tickets.most == NO_CAP, 0.0, tickets.most.astype(np.float64))
    wish = np.where(tickets.closes, np.ceil(close_share * most), 0.0)
    answer, quantity, full = np.empty(count, np.int64), np.empty(count), np.empty(count, np.bool_)
    cure, cost, bound = np.empty(count), np.empty(count), table.bound(tickets)
    search.tickets(
        table.rows, tickets.legs, tickets.ratios, np.where(tickets.closes, -most, most), wish, bound,
        answer, quantity, full, cure, cost,
    )  # fmt: skip
    unknown = ~table.all_known(tickets)
    if refusals is not None:
        refusals.add("an input is unknown", int(unknown.sum()))
        _count(refusals, np.bincount(answer[~unknown], minlength=layout.HARMFUL + len(table.kind_of)), table)
    good = (answer == layout.GOOD) & ~unknown
    charge = table.rows.terms[layout.CHARGE] * np.maximum(quantity * bound, 0.0)
    return Sized(tickets, quantity, full, cure, cost, cost - charge).take(good)


_COLUMNS = ("quantity", "full", "cure", "cost", "without_margin")


def gathered(parts: Sequence[Sized]) -> Sized:
    """All of them as one, each ticket once."""
    tickets = join([part.tickets for part in parts])
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS]
    return Sized(tickets, *columns).take(tickets.first_of_each())


def best_of_each(sized: Sized, count: int) -> Sized:
    """The `count` best of each family and number of legs, full and partial cures apart."""
    merit = sized.merit
    kind = np.column_stack([sized.tickets.family, (sized.tickets.legs >= 0).sum(axis=1), sized.full])[merit]
    chosen = [merit[(kind == one).all(axis=1)][:count] for one in np.unique(kind, axis=0)]
    return sized.take(np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64))


_DEEPENS = {
    BreachKind.VEGA: "would break or deepen vega",
    BreachKind.DELTA: "would break or deepen delta",
    BreachKind.GAMMA: "would break or deepen gamma",
    BreachKind.STRESS_NEAR: "would break or deepen the near stress loss",
    BreachKind.STRESS_WORST: "would break or deepen the worst stress loss",
    BreachKind.SHORT_NOTIONAL: "would break or deepen short option notional",
    BreachKind.CONTRACTS: "would break or deepen the number of contracts",
    BreachKind.EXCESS_LIQUIDITY: "would leave no excess liquidity after −10 % and +15 points",
}


def _count(refusals: Refusals, answers: NDArray[np.int64], table: Table) -> None:
    """One reason per refused ticket, from how often each answer was given."""
    refusals.add("helps no breach", int(answers[layout.HELPLESS]))
    refusals.add("one unit is over the capital or the contracts allowed", int(answers[layout.TOO_MUCH]))
    refusals.add("would not make the breaches smaller", int(answers[layout.TOO_LITTLE]))
    refusals.add("dearer than others of its kind", int(answers[layout.DEARER]))
    for kind, count in zip(table.kind_of, answers[layout.HARMFUL :], strict=True):
        refusals.add(_DEEPENS.get(kind, f"would break or deepen {kind}"), int(count))
