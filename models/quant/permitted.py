"""What the person's overrides leave of a search: which families on which underlyings may be built at all, and how many.

The search need not look at what nobody may trade; sizes are cut where a candidate is weighed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.candidate import Candidate, Scene
from models.quant.regime_rules import Family
from models.quant.screening import Refusals, Sized
from models.quant.shapes import shape_of
from models.quant.tickets import FAMILIES

OVERRIDDEN = "override"
"""What a refusal by an override is counted under."""


@dataclass(frozen=True)
class Permitted:
    """`families` that may still be built, which rows (N,) of the vectors may open anything, and how many families on
    one underlying are stopped."""

    families: tuple[Family, ...]
    opens: NDArray[np.bool_]
    stopped: int


def permitted(scene: Scene, families: Sequence[Family], reduces: bool) -> Permitted:
    """`reduces`: what is searched for makes a breach of a cap smaller."""
    symbols = np.array([c.symbol for c in scene.vectors.contracts])
    stopped = {(f, s): stops(scene, f, s, f is Family.CLOSE, reduces) for f in families for s in np.unique(symbols)}
    left = tuple(f for f in families if not all(stopped[f, s] for s in np.unique(symbols)))
    barred = [s for s in np.unique(symbols) if all(stopped[f, s] for f in families if f is not Family.CLOSE)]
    return Permitted(left, np.asarray(~np.isin(symbols, barred), dtype=np.bool_), sum(stopped.values()))


def stops(scene: Scene, family: Family, symbol: str, closes: bool, reduces: bool) -> bool:
    return scene.overrides.allowed(family, symbol).stops(closes, reduces) is not None


def drop_stopped(scene: Scene, sized: Sized, refusals: Refusals, reduces: bool) -> Sized:
    """Without the tickets of a family that is stopped on their underlying; they are counted."""
    if scene.overrides.standing or scene.overrides.unreadable:
        symbols = [scene.vectors.contracts[row].symbol for row in sized.tickets.legs[:, 0]]
        keep = np.array([
            not stops(scene, FAMILIES[int(code)], symbol, bool(closes), reduces)
            for code, symbol, closes in zip(sized.tickets.family, symbols, sized.tickets.closes, strict=True)
        ], dtype=np.bool_)  # fmt: skip
        refusals.add(OVERRIDDEN, int((~keep).sum()))
        return sized.take(keep)
    return sized


def left_of(scene: Scene, candidate: Candidate, reduces: bool) -> tuple[int, str | None]:
    """(units that may trade, why not all). A ticket without a name is told from its legs, as the bridge tells it."""
    family = shape_of(candidate.legs) if candidate.family in (Family.COMBINATION, Family.OPTIMAL) else candidate.family
    symbol = candidate.legs[0].contract.symbol
    return scene.overrides.cut(candidate.quantity, family, symbol, candidate.closes, reduces)
