"""Sizes found by trying: one ticket's rows after one unit, two units, three … until it cures or harms."""

from dataclasses import dataclass

import numpy as np

from models.quant.breach import NEAR_NOTHING, BreachKind
from models.quant.outlay import Prices
from models.quant.regime_rules import HedgeRules
from models.quant.room import SIDED, Room


@dataclass(frozen=True)
class Plain:
    """Units (0: none helps), whether they cure everything, the excess removed in units of each limit."""

    quantity: int
    full: bool
    cure: float


def rows_of(legs: list[int], ratios: list[int], prices: Prices, room: Room) -> np.ndarray:
    """What one unit adds to each row; the short notional leg by leg."""
    unit = (np.array(ratios, dtype=float) @ prices.measures[legs]) @ room.weights
    if BreachKind.SHORT_NOTIONAL in room.kinds:
        opened, freed = {True: 0.0, False: 0.0}, 0.0
        for row, ratio in zip(legs, ratios, strict=True):
            amount = ratio * prices.notional[row]
            if prices.held[row] < 0 < ratio:
                freed += amount
            else:
                opened[bool(prices.is_call[row])] -= amount
        change = freed - sum(max(side, 0.0) for side in opened.values())
        unit[room.kind == room.kinds.index(BreachKind.SHORT_NOTIONAL)] = change
    if BreachKind.CONTRACTS in room.kinds:
        closing = [prices.held[row] * ratio < 0 for row, ratio in zip(legs, ratios, strict=True)]
        change = sum(abs(r) if shut else -abs(r) for r, shut in zip(ratios, closing, strict=True))
        unit[room.kind == room.kinds.index(BreachKind.CONTRACTS)] = change
    return unit


def excess(left: np.ndarray, room: Room) -> np.ndarray:
    """The worst of each kind over its limit."""
    worst = np.zeros(len(room.kinds))
    for k in range(len(room.kinds)):
        worst[k] = max(0.0, *(-left[room.kind == k]))
    return np.where(worst > NEAR_NOTHING, worst, 0.0)


def harmed(before: np.ndarray, after: np.ndarray, room: Room) -> bool:
    """A kind deeper than it was; or a row of a two-sided kind that was whole and is broken."""
    was, now = excess(before, room), excess(after, room)
    sided = [k for k, kind in enumerate(room.kinds) if kind in SIDED]
    mine = np.isin(room.kind, sided)
    return bool((now > was + 1e-9 * room.scale.max()).any() or (mine & (before >= 0) & (after < -1e-7)).any())


def plain_size(
    legs: list[int], ratios: list[int], prices: Prices, room: Room, rules: HedgeRules, lots: int
) -> Plain:  # fmt: skip
    """The fewest units that bring every broken row inside, else to its limit; else the most that help harmlessly."""
    unit, left = rows_of(legs, ratios, prices, room), np.nan_to_num(room.left)
    broken = left < -NEAR_NOTHING
    total = float((excess(left, room) / _sizes(room)).sum())
    harmless = 0
    cured: dict[float, int] = {}
    for units in range(1, lots + 1):
        after = left + units * unit
        if harmed(left, after, room):
            break
        harmless = units
        for margin in (1 - rules.cure_to, 0.0):
            inside = (after[broken] >= margin * room.limit_size[broken] - 1e-6).all()
            if inside and not excess(after, room).any():
                cured.setdefault(margin, units)
    for margin in (1 - rules.cure_to, 0.0):
        if margin in cured:
            return Plain(cured[margin], True, total)
    helps = unit[broken] > 1e-9
    if not helps.any() or harmless < 1:
        return Plain(0, False, 0.0)
    target = -left[broken] + (1 - rules.cure_to) * room.limit_size[broken]
    units = int(min(harmless, np.ceil((target[helps] / unit[broken][helps]).max() - 1e-9)))
    cure = total - float((excess(left + units * unit, room) / _sizes(room)).sum())
    return Plain(units, False, cure) if cure > 1e-6 else Plain(0, False, 0.0)


def _sizes(room: Room) -> np.ndarray:
    return np.array([room.scale[room.kind == k].max() for k in range(len(room.kinds))])
