"""A management proposal as the memory keeps it: the ticket, the rule behind it, and what a rejection silences."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from agents.hedge_rows import proposal_row
from models.proposed_trade import Origin, ProposalStatus, ProposedTrade
from models.quant.breach import money
from models.quant.candidate import Candidate
from models.quant.manage_rules import ManageRules
from models.quant.management import Exit, is_news

KEPT = "manage"
"""The part of a row's `scores` that is management's."""


@dataclass(frozen=True)
class Before:
    """The proposal that stands about an exit already, and what it said then. `day` is the desk day it was written."""

    row: ProposedTrade
    measure: float
    also: tuple[str, ...]
    day: str

    def silences(self, exit_: Exit, today: date, rules: ManageRules) -> bool:
        """A person said no to this today, and nothing has changed since."""
        rejected = self.row.status == ProposalStatus.REJECTED
        return rejected and self.day == today.isoformat() and not self._is_news(exit_, rules)

    def still_says_it(self, exit_: Exit, rules: ManageRules, now: datetime) -> bool:
        """Pending and asleep, or young and as true as when it was written; `now` is machine time."""
        if self.row.status != ProposalStatus.PENDING:
            return False
        if self.row.snoozed_until is not None and self.row.snoozed_until > now:
            return True
        young = self.row.expires_at - now > timedelta(minutes=rules.life_minutes) / 2
        return young and not self._is_news(exit_, rules)

    def _is_news(self, exit_: Exit, rules: ManageRules) -> bool:
        return is_news(exit_, self.measure, self.row.quantity, self.also, rules.material)


def key_of(row: ProposedTrade) -> tuple[str, str]:
    """What `Exit.key` was of the exit it proposes."""
    return str(_said(row).get("rule")), row.legs_hash


def standing_about(exit_: Exit, rows: Sequence[ProposedTrade]) -> Before | None:
    """The newest of `rows` (newest first) about the same rule and contracts."""
    row = next((row for row in rows if key_of(row) == exit_.key), None)
    if row is None:
        return None
    said = _said(row)
    also = tuple(str(rule) for rule in said.get("also") or ())
    measure = said.get("measure")
    return Before(row, float(measure) if isinstance(measure, int | float) else 0.0, also, str(said.get("day")))


def exit_row(
    exit_: Exit, found: Candidate, account_id: str, today: date, created: datetime, life: timedelta
) -> ProposedTrade:
    """The ticket; no sibling of anything, so that deciding it leaves every other proposal alone."""
    row = proposal_row(found, account_id, Origin.MANAGE, None, created, created + life)
    crossing = money(found.cost.half_spread + found.cost.fees)
    row.justification = f"{exit_.words} Closing it now takes {crossing} of spread and fees."
    row.scores = {**(row.scores or {}), KEPT: _kept(exit_, today)}
    return row


def _kept(exit_: Exit, today: date) -> dict[str, Any]:
    return {
        "rule": exit_.rule.value,
        "title": exit_.title,
        "urgency": exit_.urgency.value,
        "measure": exit_.measure,
        "facts": exit_.facts,
        "also": [rule.value for rule in exit_.also],
        "day": today.isoformat(),
    }


def _said(row: ProposedTrade) -> dict[str, Any]:
    said = (row.scores or {}).get(KEPT)
    return said if isinstance(said, dict) else {}
