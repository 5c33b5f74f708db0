"""The yardstick beside the proposer: after each completed check, how far its hedges are from the best of all tickets.

The search runs in a process of its own. Its answer is kept with the proposals of that check; where it is clearly
cheaper than the best of them, it is quoted, judged and previewed like any other and proposed beside them.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from agents.accounts import CheckIncomplete, read_account
from agents.command import agent_command
from agents.hedge_quotes import fresh_quotes, keep_quoted, legs_of, recent_quotes, with_quotes
from agents.hedge_rows import proposal_row, with_caveat
from agents.margin_previews import margins_under, previewed
from agents.optimum_process import Answer, Calculator, Question, Ticket
from agents.proposer_engine import Account, CandidateGenerator, ProposerEngine, RiskRegimeLoader
from agents.runner import Report
from bridge.outlook import Outlook
from models.proposed_trade import Check, Origin, ProposedTrade
from models.quant.candidate import Candidate
from models.quant.linear_hedges import cures
from models.quant.structure import Leg, leg_from_json

if TYPE_CHECKING:
    from agents.desk import Desk

NAME = "optimal_hedge"
FRESH = timedelta(minutes=2)  # machine time: the market of an older check is no longer the one it was made on
LIFE = timedelta(minutes=15)


@dataclass
class Memory:
    """The check that was measured last, by account, and the process that measures."""

    measured: dict[str, int | None] = field(default_factory=dict)
    calculator: Calculator = field(default_factory=Calculator)


async def work(desk: "Desk") -> Report:
    """Measure the newest check of every account that has not been measured yet."""
    memory = desk.keep(Memory)
    sentences = []
    for account_id in (await desk.store.control.desk()).account_ids:
        check = await desk.store.proposals.last_check(account_id)
        if check is None or memory.measured.get(account_id) == check.id:
            continue
        memory.measured[account_id] = check.id
        if check.breaches and desk.machine_now() - check.at <= FRESH and not desk.settings.mock_breach:
            try:
                sentences.append(await measure(desk, check, memory.calculator))
            except CheckIncomplete as wait:
                sentences.append(f"Not measured: {wait}.")
    return Report(" ".join(sentences) or "No new check to measure.", rows=len(sentences))


async def watch(desk: "Desk") -> frozenset[object]:
    """The newest check of each account: another one is a reason to measure."""
    accounts = (await desk.store.control.desk()).account_ids
    checks = [await desk.store.proposals.last_check(account_id) for account_id in accounts]
    return frozenset(("check", check.id) for check in checks if check is not None)


async def measure(desk: "Desk", check: Check, calculator: Calculator) -> str:
    """One check against the optimum, as a sentence. Raises CheckIncomplete when the account's money is unknown."""
    now, machine = await desk.now(), desk.machine_now()
    loader, generator = RiskRegimeLoader(desk.store, desk.settings), CandidateGenerator(desk.store)
    account = await read_account(desk, check.account_id, machine)
    hedges = (await loader.load(account, (), now, machine)).appetite.hedges
    if not hedges.optimum_seconds:
        return "The search for the optimum is off."
    linear = await generator.linear(hedges)
    outlook = await loader.load(account, linear, now, machine)
    tradable = (*linear, *await generator.options(hedges, outlook.view.spx, now))
    rows = await proposed(desk, check)
    answer = await calculator.ask(
        Question(
            account, outlook, tradable, await recent_quotes(desk, machine),
            tuple(Ticket(_legs(row), row.quantity) for row in rows), hedges.optimum_seconds,
        )
    )  # fmt: skip
    if answer is None:
        return "The search for the optimum gave no answer in time."
    await desk.store.proposals.measure({row.id: gap for row, gap in zip(rows, answer.gaps, strict=True) if row.id})
    more = ""
    if answer.hedge is not None and _clearly_cheaper(answer.hedge.cost.total, answer.costs, hedges.optimum_margin):
        more = await propose_beside(desk, check, account, loader, answer.hedge, rows)
    return f"{sentence_of(answer)}{more}"


async def proposed(desk: "Desk", check: Check) -> list[ProposedTrade]:
    """The hedges of the check that are still pending, asleep or not, the best first."""
    rows = await desk.store.proposals.pending(check.account_id, desk.machine_now(), snoozed=True)
    return sorted((row for row in rows if row.breach_set_id == check.breach_set_id), key=lambda row: row.id or 0)


def _legs(row: ProposedTrade) -> tuple[Leg, ...]:
    return tuple(leg_from_json(leg, place) for place, leg in enumerate(row.legs_json))


def _clearly_cheaper(cost: float, others: Sequence[float | None], margin: float) -> bool:
    """Cheaper than every known full cure by the margin; with none to compare, it is the only one."""
    return all(cost < (1 - margin) * other for other in others if other is not None)


def sentence_of(answer: Answer) -> str:
    best = next((gap for gap in answer.gaps if gap is not None), None)
    standing = "" if best is None else f"The best proposal costs at most {best:.0%} more than the least possible. "
    return f"{standing}Optimum: {answer.words} ({answer.seconds:.0f} s)."


async def propose_beside(
    desk: "Desk", check: Check, account: Account, loader: RiskRegimeLoader, hedge: Candidate,
    rows: Sequence[ProposedTrade],
) -> str:  # fmt: skip
    """The optimum on real quotes and with the broker's margin, as one more alternative; what became of it, in words."""
    legs = legs_of([hedge])
    asker = f"{NAME}:{account.account_id}"
    quotes = await fresh_quotes(desk, legs, asker)
    now, machine = await desk.now(), desk.machine_now()
    outlook = await loader.load(account, legs, now, machine)
    engine = ProposerEngine(account, outlook)
    scene = engine.rescene(legs, outlook, quotes)
    judged = engine.judge(scene, [hedge], quotes, now)
    standing = [with_quotes(candidate, quotes) for candidate in judged.candidates]
    chosen, refused = await previewed(desk, account.account_id, standing, scene)
    if not chosen:
        why = next((reason for _, reason in refused), next(iter(judged.refused.values()), "it has no quotes"))
        return f" It is not proposed: {why}."
    if not cures(chosen[0]) or not _clearly_cheaper(chosen[0].cost.total, _costs(rows), scene.hedges.optimum_margin):
        return " On real quotes it is no longer clearly cheaper."
    row = _row(chosen[0], check, outlook, rows, machine)
    number = await desk.store.proposals.add_beside(row)
    if number is None:
        return " A newer check or an approval came before it."
    await margins_under(desk, [number], chosen[:1])
    await keep_quoted(desk, asker, chosen[:1], row.expires_at)
    return f" Proposed beside them: {chosen[0].words}"


def _costs(rows: Sequence[ProposedTrade]) -> list[float | None]:
    """What the full cures among the proposals cost, as they were judged."""
    return [row.scores["cost"]["total"] for row in rows if row.scores and not row.scores["remaining"]]


def _row(
    hedge: Candidate, check: Check, outlook: Outlook, rows: Sequence[ProposedTrade], machine: datetime
) -> ProposedTrade:
    expires = max((row.expires_at for row in rows), default=machine + LIFE)
    row = proposal_row(hedge, check.account_id, Origin.HEDGE, check.breach_set_id or "", machine, expires)
    row.regime, row.profile, row.snapshot_id = (
        check.regime,
        check.profile,
        next((one.snapshot_id for one in rows), None),
    )
    row.strategy_name = "Optimal hedge"
    row.justification = with_caveat(row.justification, outlook)
    return row


if __name__ == "__main__":
    sys.exit(agent_command(NAME))
