"""Looks after what is held: the exits that the rules of management ask for, as proposals in the inbox.

Runs in the proposer's pass after each account's check. An exit is quoted, weighed and gated like any ticket; it has its
own expiry, is renewed in place, keeps quiet when a person said no, and goes when its reason goes.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from adapters.base import Notice
from agents.exit_rows import Before, exit_row, key_of, standing_about
from agents.hedge_quotes import fresh_quotes, keep_quoted, with_quotes
from agents.notices import alert
from agents.proposer_engine import Account, ProposerEngine, RiskRegimeLoader, amounts
from bridge.outlook import Outlook
from models.calendar import last_trade_day, next_trading_day, trading_days
from models.market import Quote
from models.proposed_trade import Origin, ProposalStatus, ProposedTrade
from models.quant.aftermath import closable
from models.quant.candidate import Candidate, Unfit
from models.quant.hand_judging import refuse_failed, weigh_typed
from models.quant.hand_ticket import HandTicket
from models.quant.manage_rules import ManageRules
from models.quant.management import Days, Exit, Managed, Urgency, manage_book
from models.quant.option import Contract
from models.quant.product import NEW_YORK
from models.quant.regime_rules import Regime
from models.quant.terms import Holding
from models.quote_facts import quote_fact

if TYPE_CHECKING:
    from agents.desk import Desk

NAME = "management"
LOOK_BACK = timedelta(days=2)  # machine time: a desk day, whatever clock the desk runs on, is not longer
MOST_SAID = 4  # trades named in the heartbeat

log = logging.getLogger("nimble.agents")


@dataclass(frozen=True)
class Care:
    """What one look at a book came to: what the rules ask, and of what was due the tickets or why there is none."""

    account_id: str
    outlook: Outlook
    days: Days
    held: tuple[Holding, ...]
    managed: Managed
    priced: tuple[tuple[Exit, Candidate], ...] = ()
    refused: tuple[tuple[Exit, str], ...] = ()


async def manage(desk: "Desk", account: Account, outlook: Outlook) -> str:
    """One account's exits, in a sentence that is empty when there is nothing to say. Never fails a pass."""
    try:
        care = await look_after(desk, account, outlook)
    except Exception as error:  # the check before it stands; the sentence says what did not work
        log.warning("management failed: %s", error, exc_info=log.isEnabledFor(logging.DEBUG))
        return f"Management failed and is tried again at the next check: {type(error).__name__}: {error}."[:300]
    return sentence_of(care)


async def look_after(desk: "Desk", account: Account, outlook: Outlook) -> Care:
    """Ask the rules, price what is new or old, write, and tell what cannot wait."""
    rules, machine = outlook.appetite.manage, desk.machine_now()
    days, held = days_around(account.contracts, await desk.now(), rules), still_held(account)
    managed = await asyncio.to_thread(manage_book, held, outlook.view, rules, days)
    care = Care(account.account_id, outlook, days, held, managed)
    rows = await desk.store.proposals.standing(account.account_id, Origin.MANAGE, machine - LOOK_BACK)
    due = [exit_ for exit_ in managed.exits if _is_due(standing_about(exit_, rows), exit_, days, rules, machine)]
    if due:
        care = await price(desk, account, care, due)
    await record(desk, care, rows)
    await tell(desk, care)
    return care


def still_held(account: Account) -> tuple[Holding, ...]:
    """The holdings less what orders in flight already close of them."""
    left = closable(amounts(account.held), [amounts(order) for order in account.in_flight])
    return tuple(
        Holding(h.contract, left[h.contract.identity], h.average_cost)
        for h in account.held
        if h.contract.identity in left
    )


def days_around(contracts: Iterable[Contract], now: datetime, rules: ManageRules) -> Days:
    """The sessions that the rules ask of, on the desk's day; raises CalendarError where no calendar tells."""
    today = now.astimezone(NEW_YORK).date()
    nearest = 2 * int(rules.near_expiry.sessions[-1]) + 7  # calendar days: weekends and a week of holidays between
    left = {}
    for contract in contracts:
        last = last_trade_day(contract) if contract.is_option else None
        if last is not None and (last - today).days <= nearest:
            left[contract.identity] = len(trading_days(today + timedelta(days=1), last))
    return Days(today, next_trading_day(today), left)


def _is_due(before: Before | None, exit_: Exit, days: Days, rules: ManageRules, machine: datetime) -> bool:
    """Whether a proposal is to be written: nothing stands about it, or what stands says something else."""
    if before is None:
        return True
    return not (before.silences(exit_, days.today, rules) or before.still_says_it(exit_, rules, machine))


# ── pricing ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def price(desk: "Desk", account: Account, care: Care, due: Sequence[Exit]) -> Care:
    """The rules asked again on the legs' real quotes, and those of `due` that still stand, weighed and gated."""
    legs = tuple(dict.fromkeys(contract for exit_ in due for contract in exit_.contracts))
    quotes = await fresh_quotes(desk, legs, asker(account.account_id))
    now = await desk.now()
    outlook = await RiskRegimeLoader(desk.store, desk.settings).load(account, legs, now, desk.machine_now())
    keys = {exit_.key for exit_ in due}
    return await asyncio.to_thread(_priced, account, replace(care, outlook=outlook), keys, legs, quotes, now)


def _priced(
    account: Account, care: Care, keys: Collection[object], legs: Sequence[Contract], quotes: Mapping[str, Quote],
    now: datetime,
) -> Care:  # fmt: skip
    managed = manage_book(care.held, care.outlook.view, care.outlook.appetite.manage, care.days)
    scene = ProposerEngine(account, care.outlook).rescene(legs, care.outlook, quotes)
    facts = {c.identity: quote_fact(c, quotes[c.identity]) for c in legs if c.identity in quotes}
    priced: list[tuple[Exit, Candidate]] = []
    refused: list[tuple[Exit, str]] = []
    for exit_ in managed.exits:
        if exit_.key not in keys:
            continue
        try:
            found = weigh_typed(scene, HandTicket(care.account_id, exit_.legs, exit_.quantity, None), facts, now)
            refuse_failed(found.checks)
            priced.append((exit_, with_quotes(found, quotes)))
        except Unfit as unfit:
            refused.append((exit_, str(unfit)))
    return replace(care, managed=managed, priced=tuple(priced), refused=tuple(refused))


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def record(desk: "Desk", care: Care, rows: Sequence[ProposedTrade]) -> None:
    """What was priced goes into the inbox, in place of what stood about it; what is asked for no longer expires."""
    pending = [row for row in rows if row.status == ProposalStatus.PENDING]
    if not (care.priced or pending):
        return
    created, surface = desk.machine_now(), await desk.store.market.surface("SPX")
    life = timedelta(minutes=care.outlook.appetite.manage.life_minutes)
    written = []
    for exit_, found in care.priced:
        row = exit_row(exit_, found, care.account_id, care.days.today, created, life)
        row.regime, row.profile = care.outlook.regime.value, care.outlook.profile.value
        row.snapshot_id = surface.snapshot_id if surface else None
        before = standing_about(exit_, pending)
        written.append((before.row.id if before else None, row))
    if written:
        await desk.store.proposals.renew(written, created)
    gone = _gone(care.managed, pending)
    if gone:
        await desk.store.proposals.expire_because(gone, created)
    if care.priced:
        await keep_quoted(desk, asker(care.account_id), [found for _, found in care.priced], created + life)


def _gone(managed: Managed, pending: Sequence[ProposedTrade]) -> dict[int, str]:
    """Ids of proposals whose reason went, with the words; a trade that cannot be judged now keeps its own till then."""
    asked = {exit_.key for exit_ in managed.exits}
    doubtful = {contract.identity for trade in managed.unjudged for contract in trade.contracts}
    found = {}
    for row in pending:
        legs = {str(leg.get("identity")) for leg in row.legs_json}
        if row.id is not None and key_of(row) not in asked and not legs & doubtful:
            found[row.id] = _why_gone(managed, legs)
    return found


def _why_gone(managed: Managed, legs: set[str]) -> str:
    """Another rule may have taken the trade over."""
    heir = next((e for e in managed.exits if legs & {contract.identity for contract in e.contracts}), None)
    return "its rule no longer asks for it" if heir is None else f"a graver rule took over: {heir.title}"


def asker(account_id: str) -> str:
    return f"{NAME}:{account_id}"


# ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────
TITLE = "An expiry needs care today"


async def tell(desk: "Desk", care: Care) -> None:
    """One alert per exit that cannot wait for tomorrow. It stands for the desk day while its contracts are held: a
    market that moves to and fro over the line of a rule tells the person once."""
    severity = "red" if care.outlook.regime is Regime.CRISIS else "yellow"
    refused = {exit_.key: why for exit_, why in care.refused}
    for exit_ in care.managed.exits:
        if exit_.urgency is Urgency.NOW:
            no_ticket = f" No ticket to close it now: {refused[exit_.key]}." if exit_.key in refused else ""
            cause = f"{_today(care)}{exit_.rule}:{'+'.join(sorted(c.identity for c in exit_.contracts))}"
            await alert(desk, Notice(severity, TITLE, f"{exit_.words}{no_ticket}", cause=cause), NAME)
    held = {holding.contract.identity for holding in care.held}
    for row in await desk.store.control.alerts():
        if row.cause.startswith(f"{NAME}:{care.account_id}:"):
            about = row.cause.removeprefix(_today(care)).partition(":")[2].split("+")
            if not (row.cause.startswith(_today(care)) and held.issuperset(about)):
                await desk.store.control.settle_alert(row.cause, desk.machine_now())


def _today(care: Care) -> str:
    """How the causes of today's alerts begin: account and desk day."""
    return f"{NAME}:{care.account_id}:{care.days.today.isoformat()}:"


def sentence_of(care: Care) -> str:
    """What was proposed, what could not be, and what cannot be judged; empty when there is nothing of it."""
    parts = [f"Proposed to close {exit_.trade}: {exit_.title}." for exit_, _ in care.priced]
    parts += [f"{exit_.trade} should close ({exit_.title}) but has no ticket: {why}." for exit_, why in care.refused]
    parts += [trade.words for trade in care.managed.unjudged]
    more = f" And {len(parts) - MOST_SAID} more." if len(parts) > MOST_SAID else ""
    return " ".join(parts[:MOST_SAID]) + more
