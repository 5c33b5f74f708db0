"""Which family of tickets a set of legs is, told from the legs and the book alone: nobody's label is believed."""

from collections.abc import Mapping, Sequence

from models.quant.aftermath import only_closes
from models.quant.option import SecType
from models.quant.regime_rules import Family
from models.quant.strategies import recognised
from models.quant.structure import Action, Leg

SHAPES: tuple[tuple[str, str, Family], ...] = (
    # (the name begins with, and has the word, family): the first line that fits decides
    ("", "calendar", Family.CALENDAR),
    ("", "diagonal", Family.DIAGONAL),
    ("", "backspread", Family.BACKSPREAD),
    ("short", "ladder", Family.BACKSPREAD),
    ("", "lizard", Family.JADE_LIZARD),
    ("reverse", "iron", Family.REVERSE_CONDOR),
    ("", "iron", Family.IRON_CONDOR),
    ("short", "condor", Family.REVERSE_CONDOR),
    ("long", "condor", Family.IRON_CONDOR),
    ("", "butterfly", Family.BUTTERFLY),
    ("", "christmas tree", Family.BUTTERFLY),
    ("bull", "call spread", Family.DEBIT_SPREAD),
    ("bear", "put spread", Family.DEBIT_SPREAD),
    ("bear", "call spread", Family.CREDIT_SPREAD),
    ("bull", "put spread", Family.CREDIT_SPREAD),
    *(("long", word, Family.LONG_STRANGLE) for word in ("straddle", "strangle", "guts", "strip", "strap")),
    # bare shorts: whoever forbids short strangles does not mean one leg of them
    *(("short", word, Family.SHORT_STRANGLE) for word in ("straddle", "strangle", "guts", "strip", "strap")),
    ("", "ratio spread", Family.SHORT_STRANGLE),
    ("long", "ladder", Family.SHORT_STRANGLE),
    ("long call", "", Family.LONG_OPTION),
    ("long put", "", Family.LONG_OPTION),
    ("short call", "", Family.SHORT_STRANGLE),
    ("short put", "", Family.SHORT_STRANGLE),
)


def family_of(legs: Sequence[Leg], quantity: int, can_close: Mapping[str, float]) -> Family:
    """The family of a ticket. `can_close` is what may still be closed, signed, by identity (`aftermath.closable`).

    Closing and rolling come before any shape; COMBINATION is what no name describes.
    """
    if only_closes(legs, quantity, can_close):
        return Family.CLOSE
    if _rolls(legs, quantity, can_close):
        return Family.ROLL
    if len(legs) == 1 and not legs[0].contract.is_option:
        return Family.SHARES if legs[0].contract.sec_type is SecType.STOCK else Family.FUTURE
    return shape_of(legs)


def shape_of(legs: Sequence[Leg]) -> Family:
    """The family that the legs' name belongs to, whatever is held."""
    name = (recognised((leg.contract, leg.signed_ratio) for leg in legs) or "").lower()
    fits = (family for start, word, family in SHAPES if name.startswith(start) and word in name)
    return next(fits, Family.COMBINATION) if name else Family.COMBINATION


def _rolls(legs: Sequence[Leg], quantity: int, can_close: Mapping[str, float]) -> bool:
    """A short bought back and another of its class and right sold that is not held long."""
    if {leg.action for leg in legs} != set(Action) or len(legs) != 2:
        return False
    bought, sold = sorted(legs, key=lambda leg: leg.action)
    same = (bought.contract.trading_class, bought.contract.right) == (sold.contract.trading_class, sold.contract.right)
    return (
        same
        and bought.contract.is_option
        and only_closes((bought,), quantity, can_close)
        and can_close.get(sold.contract.identity, 0.0) <= 0
    )
