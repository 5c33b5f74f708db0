"""How a rule of management answers about one trade: what it found, in words with the numbers it rests on, or what it
lacks. The rules themselves are in `exits_of_trades` and `exits_of_shorts`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from models.quant.manage_rules import ManageRules
from models.quant.option import Contract
from models.quant.terms import MarketView
from models.quant.trades import Trade


class Rule(StrEnum):
    """The rules, gravest first."""

    EX_DATE = "ex_date"
    NEAR_EXPIRY = "near_expiry"
    LOSS = "loss"
    TESTED = "tested"
    DAYS_LEFT = "days_left"
    PROFIT = "profit"


class Urgency(StrEnum):
    NOW = "now"  # before today's close: the person is told
    SOON = "soon"
    CALM = "calm"


@dataclass(frozen=True)
class Days:
    """The exchange's days around now. `left`: sessions after today in which a contract (by identity) still trades, 0 on
    its last; contracts that trade for longer than any rule asks may be absent."""

    today: date
    next_session: date
    left: Mapping[str, int]


@dataclass(frozen=True)
class Finding:
    """A rule that asks for an end of `closes`; see `management.Exit`."""

    rule: Rule
    urgency: Urgency
    title: str
    words: str
    facts: dict[str, float]
    measure: float
    closes: tuple[Contract, ...]


@dataclass(frozen=True)
class Unknown:
    """A rule that could not be asked, and what it lacks."""

    words: str


Answer = Finding | Unknown | None
Ask = Callable[[Trade, MarketView, ManageRules, Days], Answer]


def listed(contracts: Sequence[Contract]) -> str:
    return " and ".join(str(contract) for contract in contracts)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
