"""What a ticket is called, and what it does, in the words of the desk: a structure's name, the action around it."""

from collections.abc import Mapping, Sequence

from models.quant.option import Contract, Right
from models.quant.regime_rules import Family
from models.quant.strategies import recognised, structure_name
from models.quant.structure import Leg, reversed_legs


def strategy_name(family: Family, legs: Sequence[Leg]) -> str:
    """The field's name: `Bear put spread`, `Long put`, `Close short strangle`, `Roll short put`, `Sell MES`."""
    first = legs[0]
    if family is Family.CLOSE:
        return _closing(legs)
    if family is Family.ROLL:
        return f"Roll short {'call' if first.contract.right is Right.CALL else 'put'}"
    if family in (Family.FUTURE, Family.SHARES):
        return f"{first.action.value.capitalize()} {first.contract.trading_class}"
    return structure_name(_amounts(legs))


def _closing(legs: Sequence[Leg]) -> str:
    """What is closed is the legs turned round."""
    held = recognised(_amounts(reversed_legs(legs)))
    return f"Close {len(legs)} legs" if held is None else f"Close {held[0].lower()}{held[1:]}"


def _amounts(legs: Sequence[Leg]) -> list[tuple[Contract, float]]:
    return [(leg.contract, leg.signed_ratio) for leg in legs]


def legs_in_words(legs: Sequence[Leg], quantity: int) -> str:
    """`buy 2 SPXW 18 Sep 26 6000 put, sell 2 SPXW 18 Sep 26 5900 put`."""
    return ", ".join(f"{leg.action.value.lower()} {leg.ratio * quantity} {leg.contract}" for leg in legs)


def doing(family: Family, legs: Sequence[Leg], quantity: int, held: Mapping[str, float]) -> str:
    """The trade as the subject of a sentence: `Closing 1 of 5 SPXW 18 Sep 26 6000 put`."""
    if family is Family.CLOSE:
        parts = [
            f"{leg.ratio * quantity} of {abs(held.get(leg.contract.identity, 0.0)):g} {leg.contract}" for leg in legs
        ]
        return "Closing " + " and ".join(parts)
    return f"{strategy_name(family, legs)} × {quantity}: {legs_in_words(legs, quantity)}"
