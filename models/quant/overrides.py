"""A person's exceptions: less than the limits would allow, on one underlying, of one strategy, or of both together.

A subject is spelled `UNDERLYING`, `UNDERLYING / strategy` or `any / strategy`. The underlying is a symbol (SPX, SPY,
MES), `SPX family` for all that moves with the index, or `any`; the strategy is a family of tickets (short_strangle,
calendar; close for closings). A strategy is the ticket's own: closing a strangle is `close`, not `short_strangle`.
An override only tightens. Of several that apply every one must be obeyed, and the smallest multiplier counts once, so
that saying the same thing twice changes nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import floor
from typing import Protocol

from models.quant.product import PRODUCTS
from models.quant.regime_rules import Family

ANY, SPX_FAMILY = "any", "SPX family"
FAMILY_SYMBOLS = frozenset(product.symbol for product in PRODUCTS.values() if product.in_spx_family)
NAMELESS = frozenset({Family.COMBINATION, Family.CUSTOM, Family.OPTIMAL})
"""Tickets without a shape of their own. They fall under every strategy: another wing is no way around an override."""
STRATEGIES = tuple(family for family in Family if family not in (Family.CUSTOM, Family.OPTIMAL))
"""What an override can name: the families that legs alone can tell (`shapes.family_of`)."""
_SYMBOL = re.compile(r"[A-Z][A-Z0-9.]{0,11}")
_WHOLE = Fraction(1)


class Rule(StrEnum):
    """What an override allows, the tightest first."""

    NONE = "none"  # nothing trades, not even a closing: a breach there cannot be cured
    CLOSE_ONLY = "close_only"  # only tickets that only close what is held
    REDUCE_ONLY = "reduce_only"  # only tickets that harm no cap and close, or shrink a breach of one
    MULTIPLIER = "multiplier"  # sizes × m, rounded towards zero; what only closes passes whole

    @property
    def words(self) -> str:
        return {
            Rule.NONE: "nothing trades, not even a closing",
            Rule.CLOSE_ONLY: "only what closes a holding may trade",
            Rule.REDUCE_ONLY: "only what reduces risk may trade",
            Rule.MULTIPLIER: "sizes are multiplied",
        }[self]


_TIGHTEST_FIRST = tuple(Rule)


class OverrideError(ValueError):
    """What was written is no override; the message names the field and the remedy."""


@dataclass(frozen=True)
class Subject:
    """Whom an override is about. `underlying` is a symbol, SPX_FAMILY or ANY; `strategy` None is every strategy."""

    underlying: str
    strategy: Family | None = None

    def covers(self, family: Family, symbol: str) -> bool:
        here = self.underlying in (ANY, symbol) or (self.underlying == SPX_FAMILY and symbol in FAMILY_SYMBOLS)
        return here and (self.strategy in (None, family) or family in NAMELESS)

    def __str__(self) -> str:
        return self.underlying if self.strategy is None else f"{self.underlying} / {self.strategy}"


def subject_of(text: str) -> Subject:
    """The subject of its spelling; raises OverrideError."""
    underlying, slash, strategy = (part.strip() for part in text.partition("/"))
    named = {ANY: ANY, SPX_FAMILY.lower(): SPX_FAMILY}.get(underlying.lower(), underlying)
    if named not in (ANY, SPX_FAMILY) and not _SYMBOL.fullmatch(named):
        raise OverrideError(f"underlying {underlying!r} is no symbol in capitals, nor {SPX_FAMILY!r}, nor {ANY!r}")
    if not slash or strategy.lower() == ANY:
        return Subject(named)
    if strategy not in STRATEGIES:
        raise OverrideError(f"strategy {strategy!r} is none of {', '.join(STRATEGIES)}")
    return Subject(named, Family(strategy))


class Row(Protocol):
    """An override as the memory keeps it."""

    id: int | None
    subject: str
    rule: str
    value: str
    by: str
    reason: str


@dataclass(frozen=True)
class Standing:
    """One override in force. `factor` is the share of a size that may trade, 1 for every rule but the multiplier."""

    subject: Subject
    rule: Rule
    factor: Fraction
    by: str
    reason: str
    number: int = 0

    @property
    def words(self) -> str:
        rule = f"sizes × {float(self.factor):g}" if self.rule is Rule.MULTIPLIER else self.rule.words
        return f"{self.subject}: {rule} ({self.by}: {self.reason})"

    def stops(self, closes: bool, reduces: bool) -> bool:
        if self.rule is Rule.NONE:
            return True
        if self.rule is Rule.CLOSE_ONLY:
            return not closes
        return self.rule is Rule.REDUCE_ONLY and not reduces


def standing_of(row: Row) -> Standing:
    """What a row says; raises OverrideError naming the field."""
    if row.rule not in tuple(Rule):
        raise OverrideError(f"rule {row.rule!r} is none of {', '.join(Rule)}")
    rule = Rule(row.rule)
    if not row.reason.strip():
        raise OverrideError("reason is empty; say why, it goes into the audit")
    if rule is not Rule.MULTIPLIER and row.value.strip():
        raise OverrideError(f"value {row.value!r} means nothing to {rule}; leave it empty")
    factor = _factor(row.value) if rule is Rule.MULTIPLIER else _WHOLE
    return Standing(subject_of(row.subject), rule, factor, row.by, row.reason.strip(), row.id or 0)


def _factor(value: str) -> Fraction:
    """The multiplier as it was written: 0.7 is seven tenths, whatever a float makes of it."""
    try:
        factor = Fraction(value.strip())
    except (ValueError, ZeroDivisionError) as error:
        raise OverrideError(f"value {value!r} is not a number; write a share such as 0.5") from error
    if not 0 <= factor < 1:
        raise OverrideError(f"value {value!r} must be at least 0 and below 1: an override only tightens")
    return factor


@dataclass(frozen=True)
class Leave:
    """What the overrides that apply leave of one kind of ticket."""

    standing: tuple[Standing, ...] = ()
    unreadable: str = ""

    @property
    def factor(self) -> Fraction:
        """The share of a size that may trade when the ticket does more than close."""
        return min((one.factor for one in self.standing), default=_WHOLE)

    def stops(self, closes: bool, reduces: bool) -> str | None:
        """Why no such ticket may go at any size, or None."""
        for one in self.standing:
            if one.stops(closes, reduces):
                return one.words
        if self.unreadable and not (closes or reduces):
            return f"the overrides cannot be read ({self.unreadable}): only reducing trades may go"
        return None


@dataclass(frozen=True)
class Overrides:
    """Every override in force. `unreadable` says why one of them, or all, cannot be read: then nothing adds risk."""

    standing: tuple[Standing, ...] = ()
    unreadable: str = ""

    def allowed(self, family: Family, symbol: str) -> Leave:
        """What is left of tickets of `family` on `symbol`, the tightest first whatever order they were set in."""
        mine = (one for one in self.standing if one.subject.covers(family, symbol))
        order = sorted(mine, key=lambda one: (_TIGHTEST_FIRST.index(one.rule), one.factor, one.number, one.words))
        return Leave(tuple(order), self.unreadable)

    def cut(self, quantity: int, family: Family, symbol: str, closes: bool, reduces: bool) -> tuple[int, str | None]:
        """How many of `quantity` may trade, and why not all: (quantity, None) passes whole, (0, reason) refuses.

        `closes`: every leg only reduces a holding; `reduces`: `TicketRoom.reduces`. `quantity` is the size before any
        override: cutting twice would be tighter than what was set.
        """
        leave = self.allowed(family, symbol)
        stopped = leave.stops(closes, reduces)
        if stopped is not None:
            return 0, stopped
        if closes or leave.factor == _WHOLE:
            return quantity, None
        rest = floor(quantity * leave.factor)
        binding = next(one for one in leave.standing if one.factor == leave.factor)
        if rest == 0:
            least = f"; {-floor(-1 / leave.factor)} is the least that leaves one" if leave.factor else ""
            return 0, f"{binding.words}: {quantity} rounds down to nothing{least}"
        return (rest, f"{binding.words}: {rest} of {quantity}") if rest < quantity else (quantity, None)


NO_OVERRIDES = Overrides()


def read_overrides(rows: Iterable[Row]) -> Overrides:
    """The overrides in force. A row that is none does not vanish: it is named, and until it ends nothing adds risk."""
    standing: list[Standing] = []
    broken: list[str] = []
    for row in rows:
        try:
            standing.append(standing_of(row))
        except OverrideError as error:
            broken.append(f"override {row.id}: {error}")
    return Overrides(tuple(standing), "; ".join(broken))
