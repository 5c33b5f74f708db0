"""What a ticket is called, and what it does, in the words of the desk."""

from collections.abc import Mapping, Sequence

from models.quant.option import Right
from models.quant.regime_rules import Family
from models.quant.structure import Action, Leg

_PLAIN = {
    Family.CALENDAR: "Calendar spread",
    Family.DIAGONAL: "Diagonal spread",
    Family.IRON_CONDOR: "Iron condor",
    Family.REVERSE_CONDOR: "Reverse iron condor",
    Family.LONG_STRANGLE: "Long strangle",
    Family.SHORT_STRANGLE: "Short strangle",
    Family.JADE_LIZARD: "Jade lizard",
}


def strategy_name(family: Family, legs: Sequence[Leg]) -> str:
    """The field's name: `Bear put spread`, `Long put`, `Close short strangle`, `Sell MES`."""
    first = legs[0]
    if family is Family.CLOSE:
        return _closing(legs)
    if family is Family.ROLL:
        return f"Roll short {_right(first)}"
    if family in (Family.FUTURE, Family.SHARES):
        return f"{first.action.value.capitalize()} {first.contract.trading_class}"
    if family is Family.LONG_OPTION:
        return f"Long {_right(first)}"
    if family in (Family.DEBIT_SPREAD, Family.CREDIT_SPREAD):
        return _vertical(family, legs)
    if family is Family.BACKSPREAD:
        return f"{_right(first).capitalize()} backspread"
    if family is Family.BUTTERFLY:
        return f"{'Long' if first.action is Action.BUY else 'Short'} {_right(first)} butterfly"
    return _PLAIN[family]


def _right(leg: Leg) -> str:
    return "call" if leg.contract.right is Right.CALL else "put"


def _vertical(family: Family, legs: Sequence[Leg]) -> str:
    """Debit calls and credit puts are bullish, the other two bearish."""
    right = _right(legs[0])
    bull = (right == "call") == (family is Family.DEBIT_SPREAD)
    return f"{'Bull' if bull else 'Bear'} {right} spread"


def _closing(legs: Sequence[Leg]) -> str:
    if len(legs) == 1:
        leg = legs[0]
        was = "short" if leg.action is Action.BUY else "long"
        thing = _right(leg) if leg.contract.is_option else leg.contract.trading_class
        return f"Close {was} {thing}"
    rights = {leg.contract.right for leg in legs}
    sides = {leg.action for leg in legs}
    one_expiry = len({leg.contract.expiry for leg in legs}) == 1
    if len(legs) == 2 and len(rights) == 2 and len(sides) == 1 and one_expiry:
        return f"Close {'short' if legs[0].action is Action.BUY else 'long'} strangle"
    if len(legs) == 2 and len(rights) == 1 and len(sides) == 2:
        return f"Close {_right(legs[0])} {'spread' if one_expiry else 'calendar'}"
    if len(legs) == 4 and len(rights) == 2 and len(sides) == 2 and one_expiry:
        return "Close iron condor"
    return f"Close {len(legs)} legs"


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
