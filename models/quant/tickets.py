"""Many tickets at once: legs as rows of one ContractVectors, signed ratios, and how many units may be traded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.regime_rules import Family

FAMILIES: tuple[Family, ...] = tuple(Family)
WIDEST = 6
"""Legs of one ticket at most."""
NO_CAP = 2**31 - 1


@dataclass(frozen=True)
class Tickets:
    """C tickets. `legs` (C, WIDEST) are rows, −1 for none; `ratios` (C, WIDEST) signed, 0 where there is no leg.

    `family` (C,) indexes FAMILIES; `most` (C,) is the largest quantity (what is held, for a closing); `closes` (C,)
    is True when every leg only reduces a holding.
    """

    legs: NDArray[np.int64]
    ratios: NDArray[np.int64]
    family: NDArray[np.int64]
    most: NDArray[np.int64]
    closes: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.family)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Tickets":
        return Tickets(self.legs[rows], self.ratios[rows], self.family[rows], self.most[rows], self.closes[rows])

    def add_up(self, per_contract: NDArray[np.float64]) -> NDArray[np.float64]:
        """Per unit of each ticket (C,) or (C, m), from numbers per contract (N,) or (N, m); NaN in a leg stays NaN."""
        total = np.zeros((len(self), *per_contract.shape[1:]))
        for column in range(WIDEST):
            rows, ratio = self.legs[:, column], self.ratios[:, column]
            used = rows >= 0
            if not used.any():
                continue
            shape = (-1, *([1] * (per_contract.ndim - 1)))
            total[used] += ratio[used].reshape(shape) * per_contract[rows[used]]
        return total

    def without_one(self) -> "Tickets":
        """Each ticket of three legs or more, once without each of its legs."""
        parts = []
        wide = self.take((self.legs >= 0).sum(axis=1) >= 3)
        for column in range(WIDEST):
            there = wide.take(wide.legs[:, column] >= 0)
            order = [c for c in range(WIDEST) if c != column] + [column]
            legs, ratios = there.legs[:, order].copy(), there.ratios[:, order].copy()
            legs[:, -1], ratios[:, -1] = -1, 0
            parts.append(Tickets(legs, ratios, there.family, there.most, there.closes))
        return join(parts)

    def first_of_each(self) -> NDArray[np.int64]:
        """Rows of the tickets without their repetitions: the same contracts in the same ratios, in any order."""
        order = np.argsort(self.legs, axis=1, kind="stable")
        legs, ratios = np.take_along_axis(self.legs, order, 1), np.take_along_axis(self.ratios, order, 1)
        _, first = np.unique(np.hstack([legs, ratios, self.closes[:, None]]), axis=0, return_index=True)
        rows: NDArray[np.int64] = np.sort(first)
        return rows

    def sizes(self) -> NDArray[np.int64]:
        """Contracts per unit (C,): the sum of ratios."""
        total: NDArray[np.int64] = np.abs(self.ratios).sum(axis=1)
        return total


def ticket_block(
    family: Family,
    legs: Sequence[NDArray[np.int64]],
    ratios: Sequence[int],
    most: NDArray[np.int64] | None = None,
    closes: bool = False,
) -> Tickets:
    """C tickets of one shape: the same signed ratios on the rows `legs[0][i], legs[1][i], …`."""
    count = len(legs[0])
    rows = np.full((count, WIDEST), -1, dtype=np.int64)
    signed = np.zeros((count, WIDEST), dtype=np.int64)
    for column, (leg, ratio) in enumerate(zip(legs, ratios, strict=True)):
        rows[:, column] = leg
        signed[:, column] = ratio
    code = np.full(count, FAMILIES.index(family), dtype=np.int64)
    cap = np.full(count, NO_CAP, dtype=np.int64) if most is None else most.astype(np.int64)
    return Tickets(rows, signed, code, cap, np.full(count, closes))


def tickets_of(legs: NDArray[np.int64], ratios: NDArray[np.int64], family: NDArray[np.int64]) -> Tickets:
    """Opening tickets from rows and signed ratios (C, L ≤ WIDEST), and indices into FAMILIES (C,)."""
    count, width = legs.shape
    rows = np.hstack([legs, np.full((count, WIDEST - width), -1, dtype=np.int64)])
    signed = np.hstack([ratios, np.zeros((count, WIDEST - width), dtype=np.int64)])
    return Tickets(rows, signed, family, np.full(count, NO_CAP, dtype=np.int64), np.zeros(count, dtype=np.bool_))


def join(blocks: Sequence[Tickets]) -> Tickets:
    kept = [block for block in blocks if len(block)]
    if not kept:
        empty = np.zeros(0, dtype=np.int64)
        return Tickets(
            np.zeros((0, WIDEST), np.int64), np.zeros((0, WIDEST), np.int64), empty, empty, np.zeros(0, bool)
        )
    return Tickets(
        np.concatenate([block.legs for block in kept]),
        np.concatenate([block.ratios for block in kept]),
        np.concatenate([block.family for block in kept]),
        np.concatenate([block.most for block in kept]),
        np.concatenate([block.closes for block in kept]),
    )
