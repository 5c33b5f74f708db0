"""Tickets that are laid out one by one: futures, shares, single options, structures of three and four legs, closings
and rolls. The pairs of two legs are too many to lay out; `pair_space` walks them.

A ticket is up to four legs on rows of one ContractVectors. Nothing is priced or judged here; the arrays only say what
could be traded, so that hundreds of thousands can be judged at once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from models.quant.board import Board, Rows
from models.quant.closings import closings, rolls
from models.quant.regime_rules import Family, HedgeRules
from models.quant.tickets import Tickets, join, ticket_block

__all__ = ["Tickets", "generate"]

Maker = Callable[[Board, HedgeRules], Tickets]


@dataclass(frozen=True)
class _Pair:
    """Put and call rows of one class and expiry at distances from spot, in steps of `HedgeRules.distances`."""

    puts: Rows
    calls: Rows


def generate(
    board: Board,
    rules: HedgeRules,
    families: Iterable[Family],
) -> Tickets:
    """All tickets of the allowed families that are laid out here.

    Only rows whose value and greeks are known, whose class is a benchmark and whose DTE is in the window open anything;
    closing and rolling what the book holds is possible on every known row.
    """
    allowed = set(families)
    blocks = [make(board, rules) for family, make in MAKERS.items() if family in allowed]
    if Family.CLOSE in allowed:
        blocks.append(closings(board))
    if Family.ROLL in allowed:
        blocks.append(rolls(board, rules))
    return join(blocks)


def _linear(board: Board, rows: Rows, family: Family) -> Tickets:
    """Futures and shares, both ways; what would only undo a holding is left to the closings."""
    both = [(rows, 1), (rows, -1)]
    return join([
        ticket_block(family, [some[board.held[some] * sign >= 0]], [sign]) for some, sign in both
    ])  # fmt: skip


def futures(board: Board, _rules: HedgeRules) -> Tickets:
    return _linear(board, board.futures, Family.FUTURE)


def shares(board: Board, _rules: HedgeRules) -> Tickets:
    return _linear(board, board.shares, Family.SHARES)


def long_options(board: Board, _rules: HedgeRules) -> Tickets:
    rows = board.rows[board.held[board.rows] >= 0]
    return ticket_block(Family.LONG_OPTION, [rows], [1])


def butterflies(board: Board, rules: HedgeRules) -> Tickets:
    """Long wings and short body, and the reverse; the body near the strike the row stands on."""
    blocks = []
    for width in rules.widths[:4]:
        low, high = board.step(board.rows, -width), board.step(board.rows, width)
        good = (low >= 0) & (high >= 0)
        legs = [low[good], board.rows[good], high[good]]
        blocks += [ticket_block(Family.BUTTERFLY, legs, signs) for signs in ([1, -2, 1], [-1, 2, -1])]
    return join(blocks)


def _pairs(board: Board, rules: HedgeRules) -> Iterable[_Pair]:
    """Out-of-the-money puts and calls of the same class and expiry, at most one step apart in distance."""
    for i, below in enumerate(rules.distances):
        for above in rules.distances[max(i - 1, 0) : i + 2]:
            puts, calls = board.around(-below, above)
            yield _Pair(puts, calls)


def _condors(board: Board, rules: HedgeRules, family: Family, sign: int) -> Tickets:
    blocks = []
    for pair in _pairs(board, rules):
        for width in rules.widths[1:4]:
            low, high = board.step(pair.puts, -width), board.step(pair.calls, width)
            good = (low >= 0) & (high >= 0)
            legs = [low[good], pair.puts[good], pair.calls[good], high[good]]
            blocks.append(ticket_block(family, legs, [sign, -sign, -sign, sign]))
    return join(blocks)


def iron_condors(board: Board, rules: HedgeRules) -> Tickets:
    return _condors(board, rules, Family.IRON_CONDOR, 1)


def reverse_condors(board: Board, rules: HedgeRules) -> Tickets:
    return _condors(board, rules, Family.REVERSE_CONDOR, -1)


def jade_lizards(board: Board, rules: HedgeRules) -> Tickets:
    """A short put and a short call spread."""
    blocks = []
    for pair in _pairs(board, rules):
        high = board.step(pair.calls, rules.widths[1])
        good = high >= 0
        legs = [pair.puts[good], pair.calls[good], high[good]]
        blocks.append(ticket_block(Family.JADE_LIZARD, legs, [-1, -1, 1]))
    return join(blocks)


MAKERS: dict[Family, Maker] = {
    Family.FUTURE: futures,
    Family.SHARES: shares,
    Family.LONG_OPTION: long_options,
    Family.BUTTERFLY: butterflies,
    Family.IRON_CONDOR: iron_condors,
    Family.REVERSE_CONDOR: reverse_condors,
    Family.JADE_LIZARD: jade_lizards,
}
