"""Differences between two books that are events and not mistakes: expiry, cash settlement, exercise and assignment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from models.quant.option import Contract, Right, SecType
from models.quant.product import Style, expiry_instant, product_of


@dataclass(frozen=True)
class Difference:
    """One contract on which the books differ; signed quantities."""

    contract: Contract
    ours: float
    theirs: float

    @property
    def change(self) -> float:
        """What the broker has more than we."""
        return self.theirs - self.ours


def explain(differences: Sequence[Difference], desk_now: datetime) -> dict[Difference, str]:
    """Each difference that an event explains, with its words.

    An option past its settlement minute that the broker no longer holds has expired. American options that went
    together with exactly the shares they deliver were exercised or assigned (a long put or short call delivers shares).
    """
    found: dict[Difference, str] = {}
    for difference in differences:
        if _ended(difference, desk_now):
            found[difference] = "expired or settled in cash"
    for shares in differences:
        if shares.contract.sec_type is not SecType.STOCK:
            continue
        gone = [d for d in differences if _delivers(d, shares.contract)]
        delivered = sum(_shares_of(d) for d in gone)
        if gone and abs(delivered - shares.change) < 1e-9:
            found |= {d: "exercised or assigned" for d in (*gone, shares)}
    return found


def _ended(difference: Difference, desk_now: datetime) -> bool:
    contract = difference.contract
    dated = contract.is_option or contract.sec_type is SecType.FUTURE
    return dated and difference.theirs == 0 and expiry_instant(contract) <= desk_now


def _delivers(difference: Difference, shares: Contract) -> bool:
    contract = difference.contract
    return (
        contract.sec_type is SecType.OPTION
        and contract.symbol == shares.symbol
        and product_of(contract).style is Style.AMERICAN
        and abs(difference.theirs) < abs(difference.ours)
        and difference.theirs * difference.ours >= 0
    )


def _shares_of(difference: Difference) -> float:
    """Shares that come (positive) or go when the contracts that went were exercised or assigned."""
    went = difference.ours - difference.theirs
    sign = 1.0 if difference.contract.right is Right.CALL else -1.0
    return sign * went * difference.contract.multiplier
