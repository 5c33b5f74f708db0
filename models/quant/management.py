"""When what is held should be closed: each rule of `[manage]` asked of each trade in the book.

Only closings are advised. A trade gets one exit at a time, of its gravest rule, so that no two of them close the same
contracts; where a number is unknown nothing is advised, and it is named.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.quant.exit_findings import Ask, Days, Finding, Rule, Unknown, Urgency
from models.quant.exits_of_shorts import ex_date, near_expiry, tested
from models.quant.exits_of_trades import days_left, loss, profit
from models.quant.manage_rules import ManageRules
from models.quant.option import Contract
from models.quant.structure import Action, Leg, legs_hash
from models.quant.terms import Holding, MarketView
from models.quant.trades import Trade, trades_of

__all__ = ["Days", "Exit", "Managed", "Rule", "Unjudged", "Urgency", "is_news", "manage_book"]

ASKED: tuple[Ask, ...] = (ex_date, near_expiry, loss, tested, days_left, profit)
"""In the order of Rule."""


@dataclass(frozen=True)
class Exit:
    """One closing that a rule asks for. `legs` carry the closing sides, ratios in lowest terms; `quantity` units.

    `title` is the rule's word for the card (`21 days left`), `words` the whole reason with the numbers it rests on,
    `measure` the one number a person who said no wants to see moved; `also` are the lesser rules that ask for the
    trade's end as well.
    """

    rule: Rule
    urgency: Urgency
    trade: str
    title: str
    words: str
    legs: tuple[Leg, ...]
    quantity: int
    facts: dict[str, float]
    measure: float
    also: tuple[Rule, ...] = ()

    @property
    def key(self) -> tuple[Rule, str]:
        """The same rule about the same contracts."""
        return self.rule, legs_hash(self.legs)

    @property
    def contracts(self) -> tuple[Contract, ...]:
        return tuple(leg.contract for leg in self.legs)


@dataclass(frozen=True)
class Unjudged:
    """A trade that a rule could not be asked of, and why in words."""

    words: str
    contracts: tuple[Contract, ...]


@dataclass(frozen=True)
class Managed:
    """A book as the rules see it; the gravest exits first."""

    exits: tuple[Exit, ...]
    unjudged: tuple[Unjudged, ...]


def manage_book(holdings: Sequence[Holding], market: MarketView, rules: ManageRules, days: Days) -> Managed:
    """What the rules ask of a book; the same whatever the order of the holdings."""
    exits: list[Exit] = []
    unjudged: list[Unjudged] = []
    for trade in trades_of(holdings, market):
        if trade.is_over:
            continue
        answers = [ask(trade, market, rules, days) for ask in ASKED]
        found = [answer for answer in answers if isinstance(answer, Finding)]
        unknown = dict.fromkeys(answer.words for answer in answers if isinstance(answer, Unknown))
        if found:
            exits.append(_exit(trade, found[0], found[1:]))
        if unknown:
            words = f"{trade.group}: {'; '.join(unknown)}."
            unjudged.append(Unjudged(words, tuple(contract for contract, _ in trade.group.legs)))
    return Managed(tuple(sorted(exits, key=lambda one: list(Rule).index(one.rule))), tuple(unjudged))


def is_news(now: Exit, measure: float, quantity: int, also: Iterable[str], material: float) -> bool:
    """Whether an exit says more than it did: another size, another rule beside it, or a measure that has moved."""
    more = {rule.value for rule in now.also} - set(also)
    return now.quantity != quantity or bool(more) or abs(now.measure - measure) >= material


def _exit(trade: Trade, finding: Finding, lesser: Sequence[Finding]) -> Exit:
    ratios = {contract: ratio for contract, ratio in trade.group.legs if contract in finding.closes}
    common = math.gcd(*ratios.values())
    legs = tuple(
        Leg(contract, Action.BUY if ratio < 0 else Action.SELL, abs(ratio) // common)
        for contract, ratio in ratios.items()
    )
    besides = f" Also: {', '.join(one.title for one in lesser)}." if lesser else ""
    return Exit(
        rule=finding.rule,
        urgency=finding.urgency,
        trade=str(trade.group),
        title=finding.title,
        words=f"{trade.group}: {finding.words}{besides}",
        legs=legs,
        quantity=trade.group.quantity * common,
        facts=finding.facts,
        measure=finding.measure,
        also=tuple(one.rule for one in lesser),
    )
