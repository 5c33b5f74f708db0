"""What the Limits page knows of overrides: those in force, whom one could be about, and which breach they lock in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from database.store import Store
from models.appetite import Override
from models.quant.overrides import FAMILY_SYMBOLS, Overrides, Rule, read_overrides
from models.quant.regime_rules import Family
from models.quant.structure import contract_from_json


@dataclass(frozen=True)
class Overriding:
    """The overrides in force, as rows and as read; `held` are the symbols of the book, `symbols` all to choose of."""

    rows: tuple[Override, ...]
    overrides: Overrides
    held: tuple[str, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*sorted(FAMILY_SYMBOLS), *self.held)))


async def read_overriding(store: Store, now: datetime) -> Overriding:
    rows = await store.appetite.overrides(now)
    positions = await store.book.positions()
    held = sorted({contract_from_json(row.contract_json).symbol for row in positions})
    return Overriding(tuple(rows), read_overrides(rows), tuple(held))


def dead_ends(seen: Overriding, exposure: Mapping[str, Any]) -> list[str]:
    """In words: breaches of caps while an override stops even closings, and whether anything is left to cure them."""
    uses = [use for use in exposure.get("use") or () if use.get("breached") and use.get("is_cap", True)]
    stopped = [symbol for symbol in seen.held if _nothing_trades(seen.overrides, symbol)]
    if not uses or not stopped:
        return []
    elsewhere = any(not _nothing_trades(seen.overrides, symbol) for symbol in seen.symbols)
    end = "whatever cures it must be traded elsewhere" if elsewhere else "nothing can cure it while that stands"
    broken = " ".join(str(use.get("words")) for use in uses)
    return [f"{broken} Nothing of {' and '.join(stopped)} may trade, not even a closing: {end}."]


def _nothing_trades(overrides: Overrides, symbol: str) -> bool:
    return any(one.rule is Rule.NONE for one in overrides.allowed(Family.CLOSE, symbol).standing)


SPELLED = {Rule.NONE: "nothing at all", Rule.CLOSE_ONLY: "closings only", Rule.REDUCE_ONLY: "reductions only"}


def rule_words(rule: str, value: str = "") -> str:
    """`closings only`, `sizes × 0.5`: short, as a chip or an option says it; an unknown rule as it is written."""
    if rule == Rule.MULTIPLIER:
        return f"sizes × {value}" if value else "smaller sizes"
    return SPELLED.get(Rule(rule), rule) if rule in tuple(Rule) else rule
