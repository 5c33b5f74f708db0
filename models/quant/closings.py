"""What the book can close or roll: one holding, two that belong together, a whole structure, or a short moved on."""

from itertools import combinations

import numpy as np

from models.quant.board import Board, Rows
from models.quant.regime_rules import Family, HedgeRules
from models.quant.tickets import Tickets, join, ticket_block

PAIR_RATIOS = (np.array([1, 1]), np.array([2, 1]), np.array([1, 2]))
"""Two holdings closed one for one, or two for one: two breaches can then be cured by one ticket."""


def closings(board: Board) -> Tickets:
    """Single holdings, pairs of one class, and structures of three or four legs of one expiry and size."""
    held = np.flatnonzero((board.held != 0) & board.known)
    groups: list[tuple[int, ...]] = [(int(row),) for row in held]
    for same in _by_class(board, held):
        groups += list(combinations(same, 2))
    groups += _structures(board, held)
    blocks = []
    for rows in groups:
        legs = [np.array([row]) for row in rows]
        signs = -np.sign(board.held[list(rows)])
        for parts in PAIR_RATIOS if len(rows) == 2 else (np.ones(len(rows)),):
            most = int(np.floor(np.abs(board.held[list(rows)]) / parts).min())
            if most >= 1:
                ratios = [int(ratio) for ratio in signs * parts]
                blocks.append(ticket_block(Family.CLOSE, legs, ratios, np.array([most]), closes=True))
    return join(blocks)


def _by_class(board: Board, held: Rows) -> list[list[int]]:
    """Held options that could be one combo: the same class and multiplier, at most thirty, the largest risk first."""
    options = held[board.is_option[held]]
    groups: dict[tuple[int, float], list[int]] = {}
    for row in options[np.argsort(-np.abs(board.held[options]), kind="stable")]:
        groups.setdefault((int(board.klass[row]), float(board.multiplier[row])), []).append(int(row))
    return [rows[:30] for rows in groups.values()]


def _structures(board: Board, held: Rows) -> list[tuple[int, ...]]:
    """Three or four legs of one class and expiry with the same absolute quantity: condors, butterflies, lizards."""
    groups: dict[tuple[int, float, float], list[int]] = {}
    for row in held[board.is_option[held]]:
        key = (int(board.klass[row]), float(board.dte[row]), float(abs(board.held[row])))
        groups.setdefault(key, []).append(int(row))
    found: list[tuple[int, ...]] = []
    for rows in groups.values():
        for count in (3, 4):
            found += list(combinations(rows[:8], count))
    return found


def rolls(board: Board, rules: HedgeRules) -> Tickets:
    """Buy a short back and sell any other of its class and right that expires with it or later, one for one or one for
    two; what the book is long of is closed and not rolled into."""
    shorts = np.flatnonzero((board.held <= -1) & board.known & board.is_option & np.isfinite(board.spot))
    blocks = []
    for short in shorts:
        size = float(np.floor(-board.held[short]))
        rows = board.rows
        same = (board.klass[rows] == board.klass[short]) & (board.is_call[rows] == board.is_call[short])
        later = board.dte[rows] >= board.dte[short] - 1e-9
        targets = rows[same & later & (rows != short) & (board.held[rows] <= 0)]
        back = np.full(len(targets), short)
        for bought in (1, 2):
            if size >= bought:
                most = np.full(len(targets), size // bought)
                blocks.append(ticket_block(Family.ROLL, [back, targets], [bought, -1], most))
    return join(blocks)
