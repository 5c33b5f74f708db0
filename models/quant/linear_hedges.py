"""Cures with futures or shares alone: one leg, so that the fewest units are solved and nothing need be searched."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.quant.aftermath import scene_room
from models.quant.board import board_of
from models.quant.breach import NEAR_NOTHING
from models.quant.candidate import Candidate, Scene, Unfit
from models.quant.gates import refusal
from models.quant.option import SecType
from models.quant.outlay import Prices, prices_of
from models.quant.regime_rules import Family
from models.quant.structure import Action, Leg
from models.quant.weighing import judge

Floats = NDArray[np.float64]
_NOTHING = 1e-9


def linear_hedges(scene: Scene) -> list[Candidate]:
    """Futures and shares, either way, in the fewest units that cure fully: the cheapest of each, as cost rises with
    units; those that land inside, and those that land on the limits."""
    room, prices = scene_room(scene), prices_of(scene)
    board = board_of(scene.vectors, {}, scene.hedges)
    moving = np.abs(room.weights).sum(axis=0) > 0
    aim = (1 - scene.hedges.cure_to) * room.limit_size[moving]
    left, slack = room.left[moving], room.slack[moving]
    found: list[Candidate] = []
    for row in (*board.futures, *board.shares):
        for sign in (1, -1):
            unit = sign * (prices.measures[row] @ room.weights[:, moving])
            closes = prices.held[row] * sign < 0
            most = min(_most(scene, prices, int(row), closes), _until(slack, unit))
            for quantity in sorted({_from(left - extra, unit) for extra in (aim, 0.0 * aim)}):
                if 1 <= quantity <= most:
                    hedge = _linear(scene, int(row), sign, int(quantity), bool(closes))
                    found += [hedge] if hedge is not None else []
    return found


def _most(scene: Scene, prices: Prices, row: int, closes: bool) -> float:
    if closes:
        return float(abs(prices.held[row]))
    return float(scene.hedges.max_shares if prices.is_share[row] else scene.hedges.max_quantity)


def _until(slack: Floats, unit: Floats) -> float:
    """How many units take no row further than its slack."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(unit < -_NOTHING, slack / -unit, np.inf).min(initial=np.inf)) + _NOTHING


def _from(left: Floats, unit: Floats) -> float:
    """From how many units on every broken row is cured; inf: some row never is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.where(unit > _NOTHING, -left / unit, np.inf)[left < -NEAR_NOTHING]
    return float(np.ceil(needed.max(initial=0.0) - _NOTHING))


def _linear(scene: Scene, row: int, sign: int, quantity: int, closes: bool) -> Candidate | None:
    contract = scene.vectors.contracts[row]
    opens = Family.SHARES if contract.sec_type is SecType.STOCK else Family.FUTURE
    leg = Leg(contract=contract, action=Action.BUY if sign > 0 else Action.SELL)
    return stands(scene, [leg], quantity, Family.CLOSE if closes else opens, closes)


def stands(scene: Scene, legs: Sequence[Leg], quantity: int, family: Family, closes: bool) -> Candidate | None:
    """The exact valuation of a ticket; None when it is no full cure or a gate refuses it."""
    try:
        hedge = judge(scene, legs, quantity, family, closes)
    except Unfit:
        return None
    return hedge if cures(hedge) and refusal(hedge.checks) is None else None


def cures(hedge: Candidate) -> bool:
    """Every broken cap is cured. That no other is broken or deepened is a matter of the valuation, which knows that
    covering a naked short may make its loss a defined one."""
    return bool(hedge.cured) and not hedge.remaining
