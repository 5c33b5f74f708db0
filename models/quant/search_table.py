"""The room of a book and the contracts' columns as the search wants them: shares of room, shares of a way back.

Rows of the room that move together are one row here with the tightest of their rooms; the rows that bind most often
stand first, so that a ticket is refused early.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.quant.breach import NEAR_NOTHING, BreachKind
from models.quant.kernels.layout import BLOCK, COUNTS, FACTS, KINDS, TERMS, Rows
from models.quant.margin_bound import BoundTable, margin_bound, nothing_bound
from models.quant.outlay import NO_MARGIN, MarginTerms, Prices
from models.quant.regime_rules import HedgeRules
from models.quant.room import Room
from models.quant.tickets import NO_CAP, Tickets

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
PER_CONTRACT = ("harm", "help", "bare", "facts", "margin", "arrays", "ways")
COUNTED = (BreachKind.SHORT_NOTIONAL, BreachKind.CONTRACTS)
_LEAST_ROOM = 1e-12  # of a limit: no room at all, without a division by zero


@dataclass(frozen=True)
class Table:
    """`rows` for the kernels; which contracts (N,) have every number; which kind each row of `harm`, then of `counted`,
    refuses for."""

    rows: Rows
    known: NDArray[np.bool_]
    kind_of: tuple[BreachKind, ...]

    def take(self, places: Whole) -> "Table":
        """The same book with a choice of contracts, in that order."""
        chosen = {name: np.ascontiguousarray(getattr(self.rows, name)[places]) for name in PER_CONTRACT}
        return replace(self, rows=self.rows._replace(**chosen), known=self.known[places])

    def all_known(self, tickets: Tickets) -> NDArray[np.bool_]:
        """Is every number of every leg known (C,)?"""
        return np.asarray((self.known[tickets.legs] | (tickets.legs < 0)).all(axis=1), dtype=np.bool_)

    def bound(self, tickets: Tickets) -> Floats:
        """What one unit can add to margin at most (C,); 0 for what closes or rolls, which is bound so loosely that only
        the exact question tells."""
        opens = tickets.most == NO_CAP
        out = np.zeros(len(tickets))
        table = BoundTable(self.rows.margin, self.rows.arrays)
        out[opens] = np.nan_to_num(margin_bound(tickets.take(opens), table), nan=0.0)
        return out


def table_of(prices: Prices, room: Room, rules: HedgeRules, margin: MarginTerms = NO_MARGIN) -> Table:
    """The table of every contract of `prices` against `room`. Contracts with an unknown number are not `known`."""
    moves = np.abs(room.weights).sum(axis=0) > 0
    weights, where = np.unique(room.weights[:, moves], axis=1, return_inverse=True)
    inside, bare = _ways(room, rules.cure_to)
    least, left, kind = _LEAST_ROOM * room.scale, room.left[moves], room.kind[moves]
    slack, row_of = _tightest(np.maximum(room.slack, least)[moves], where.ravel(), weights.shape[1])
    clean, _ = _tightest(np.where(left > 0, np.maximum(left, least[moves]), np.inf), where.ravel(), len(slack))
    measures = prices.measures @ weights
    known = np.asarray(np.isfinite(measures).all(axis=1), dtype=np.bool_)
    measures = np.where(known[:, None], measures, 0.0)
    order = np.argsort(-(np.abs(measures).mean(axis=0) / slack), kind="stable")
    facts, bounds = _facts(prices), nothing_bound(len(measures)) if margin.bounds is None else margin.bounds
    given, barely = _help(measures, where.ravel(), inside[moves], bare[moves])
    ways, weighs = _worst_ways(measures[:, where.ravel()], left, kind, room)
    rows = Rows(
        harm=_padded((measures / slack)[:, order]),
        help=_padded(given, repeat=True),
        bare=_padded(barely, repeat=True),
        facts=facts,
        margin=bounds.facts,
        arrays=bounds.arrays,
        ways=ways,
        weights=weighs,
        terms=_terms(room, rules, margin),
        counted=np.array([_counted(room, one, inside, bare) for one in COUNTED]),
        strict=_padded((slack / np.minimum(clean, slack))[order][None, :])[0],
        slack=_padded(slack[order][None, :])[0],
        **_broken_rows(room, moves, np.argsort(order, kind="stable")[where.ravel()]),
    )
    spare = [room.kinds[0]] * (-len(order) % BLOCK)
    return Table(
        rows,
        known & np.asarray(np.isfinite(facts).all(axis=1), dtype=np.bool_),
        (*(room.kinds[kind[row_of[d]]] for d in order), *spare, *COUNTED),
    )


def _broken_rows(room: Room, moves: NDArray[np.bool_], place: Whole) -> dict[str, NDArray[Any]]:
    """The rows of the kinds that are broken now: where each is found in `harm`, what it has left, of which size."""
    left, kind = room.left[moves], room.kind[moves]
    broken = np.unique(kind[room.excess[kind] > 0])
    within = np.isin(kind, broken)
    return {
        "kinds": np.searchsorted(broken, kind[within]),
        "places": np.ascontiguousarray(place[within]),
        "left": np.ascontiguousarray(np.nan_to_num(left[within], nan=0.0)),
        "sizes": np.array([room.scale[room.kind == k].max() for k in broken], dtype=np.float64),
    }


def _tightest(slack: Floats, where: Whole, count: int) -> tuple[Floats, Whole]:
    """(least room, its row) of the rows that move together."""
    least, row_of = np.full(count, np.inf), np.zeros(count, dtype=np.int64)
    for row, d in enumerate(where):
        if slack[row] < least[d]:
            least[d], row_of[d] = slack[row], row
    return least, row_of


def _ways(room: Room, cure_to: float) -> tuple[Floats, Floats]:
    """Per row, how far to go to land inside its limit and to its limit exactly; 0 where nothing is broken."""
    bare = np.where(room.left < -NEAR_NOTHING, -room.left, 0.0)
    return np.where(bare > 0, bare + (1 - cure_to) * room.limit_size, 0.0), bare


def _help(measures: Floats, where: Whole, inside: Floats, bare: Floats) -> tuple[Floats, Floats]:
    """Shares of the way back per contract, for the rows that are broken; of rows that move together the farthest."""
    farthest = {d: max(inside[where == d]) for d in np.unique(where[inside > 0])}
    nearest = {d: max(bare[where == d]) for d in farthest}
    columns = list(farthest)
    moved = measures[:, columns]
    return moved / np.array(list(farthest.values())), moved / np.array(list(nearest.values()))


def _worst_ways(moved: Floats, left: Floats, kind: Whole, room: Room) -> tuple[Floats, Floats]:
    """Shares of each broken kind's excess that one contract gives in the row where it is worst (N, KINDS), and what
    each excess weighs. No ticket makes an excess smaller by more than it improves that row: that bounds its cure.
    """
    mine = {k: np.flatnonzero(kind == k) for k in np.unique(kind[left < -NEAR_NOTHING])}
    worst = {k: int(rows[np.argmin(left[rows])]) for k, rows in mine.items()}
    shares = [moved[:, row] / -left[row] for row in worst.values()] or [np.zeros(len(moved))]
    weights = [-left[row] / room.scale[room.kind == k].max() for k, row in worst.items()] or [0.0]
    spare = KINDS - len(shares)
    ways = np.column_stack([*shares, *[shares[0]] * spare])
    return np.ascontiguousarray(ways), np.array([*weights, *[0.0] * spare])


def _padded(table: Floats, repeat: bool = False) -> Floats:
    """Columns up to a whole block: of zeros, which never bind, or of the first again, which changes no extreme."""
    missing = -table.shape[1] % BLOCK
    filler = table[:, :1].repeat(missing, axis=1) if repeat else np.zeros((len(table), missing))
    return np.ascontiguousarray(np.hstack([table, filler]) if table.shape[1] else table)


def _facts(prices: Prices) -> Floats:
    columns = {
        "buy": prices.buying + prices.fee, "sell": prices.selling + prices.fee, "theta": prices.theta,
        "value": np.where(prices.notional > 0, prices.value, 0.0), "notional": prices.notional, "held": prices.held,
        "call": prices.is_call, "strike": prices.strike, "share": prices.is_share,
    }  # fmt: skip
    assert len(columns) == len(FACTS)
    return np.ascontiguousarray(np.column_stack([np.asarray(c, dtype=np.float64) for c in columns.values()]))


def _terms(room: Room, rules: HedgeRules, margin: MarginTerms) -> Floats:
    limits = room.limits
    terms = {
        "days": rules.cost_days,
        "charge": rules.cost_days / 365 * rules.margin_rate,
        "capital": np.inf if limits.position_capital is None else limits.position_capital,
        "contracts": np.inf if limits.contracts is None else limits.contracts,
        "most": rules.max_quantity,
        "most_shares": rules.max_shares,
        "total": float(room.relative(room.excess).sum()),
        "funds": margin.capital,
        "margin": margin.margin,
    }
    assert len(terms) == len(TERMS)
    return np.array(list(terms.values()), dtype=np.float64)


def _counted(room: Room, kind: BreachKind, inside: Floats, bare: Floats) -> list[float]:
    """A kind that no measure moves, in the order of COUNTS; without a limit on it nothing binds."""
    if kind not in room.kinds:
        return [np.inf, np.inf, 0.0, 0.0, 1.0]
    row = int(np.flatnonzero(room.kind == room.kinds.index(kind))[0])
    size, left = float(room.scale[row]), float(np.nan_to_num(room.left[row]))
    counts = [left, max(float(room.slack[row]), _LEAST_ROOM * size), float(inside[row]), float(bare[row]), size]
    assert len(counts) == len(COUNTS)
    return counts
