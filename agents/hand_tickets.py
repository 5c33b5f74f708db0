"""Tickets that the person types in the cockpit: claimed, checked, quoted for real, judged like any hedge, and proposed.

Whatever is wrong is answered in words, naming the field and the remedy; nothing that was typed goes unanswered.
"""

import asyncio
import logging
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from agents.accounts import CheckIncomplete, read_account
from agents.hedge_quotes import fresh_quotes, keep_quoted, with_quotes
from agents.hedge_rows import proposal_row, with_caveat
from agents.margin_previews import margins_under, what_if
from agents.proposer_engine import Account, CandidateGenerator, ProposerEngine, RiskRegimeLoader
from bridge.outlook import Outlook
from models.calendar import CalendarError, is_open, last_trade, next_session
from models.control import Request, RequestKind
from models.market import Quote
from models.proposed_trade import Origin
from models.quant.candidate import Candidate, Scene, Unfit
from models.quant.hand_judging import in_plain_numbers, refuse_failed, weigh_typed
from models.quant.hand_ticket import HandTicket, TicketError, check_listed, check_size, check_tick, read_ticket
from models.quant.option import Contract
from models.quant.product import NEW_YORK
from models.quant.regime_file import RegimeFileError
from models.quant.structure import LegsError
from models.quant.weighing import with_margin
from models.quote_facts import quote_fact

if TYPE_CHECKING:
    from agents.desk import Desk

log = logging.getLogger("nimble.hand_tickets")

ANSWERED_BY = "trade_proposer"
KINDS = (RequestKind.HAND_TICKET,)
PROPOSAL_LIFE = timedelta(minutes=15)
REFUSALS = (TicketError, Unfit, CheckIncomplete, RegimeFileError, LegsError, CalendarError)
ENDED_EARLY = "the pass was ended before the ticket was judged; send it again"


async def waiting(desk: "Desk") -> frozenset[object]:
    """The tickets nobody has claimed, as reasons to run at once."""
    numbers = await desk.store.control.waiting_requests(ANSWERED_BY, KINDS)
    return frozenset(("hand ticket", number) for number in numbers)


async def answer_waiting(desk: "Desk") -> int:
    """Answer every waiting ticket, all at once; how many there were."""
    claimed = await desk.store.control.claim_requests(ANSWERED_BY, desk.holder, desk.machine_now(), KINDS)
    await asyncio.gather(*(_answer(desk, request) for request in claimed))
    return len(claimed)


async def _answer(desk: "Desk", request: Request) -> None:
    assert request.id is not None
    control = desk.store.control
    try:
        result = await propose(desk, request)
    except REFUSALS as refusal:
        await control.answer(request.id, failure=str(refusal))
    except asyncio.CancelledError:
        await control.answer(request.id, failure=ENDED_EARLY)
        raise
    except Exception as error:  # one ticket's trouble must not end the check of the book that follows
        log.exception("hand ticket %s failed in an unforeseen way", request.id)
        await control.answer(request.id, failure=f"unforeseen: {type(error).__name__}: {error}")
    else:
        await control.answer(request.id, result=result)


async def propose(desk: "Desk", request: Request) -> dict[str, Any]:
    """From the request to a Pending proposal by hand; raises one of REFUSALS with the answer in words."""
    ticket = read_ticket(request.payload)
    account = await _account(desk, ticket)
    loader, asker = RiskRegimeLoader(desk.store, desk.settings), f"hand ticket {request.id}"
    await _check(desk, ticket, account, await loader.load(account, (), await desk.now(), desk.machine_now()))
    quotes = await _quoted(desk, ticket, asker)
    now = await desk.now()
    outlook = await loader.load(account, ticket.contracts, now, desk.machine_now())
    engine = ProposerEngine(account, outlook)
    scene = engine.rescene(ticket.contracts, outlook, quotes)
    facts = {c.identity: quote_fact(c, quotes[c.identity]) for c in ticket.contracts}
    found = with_quotes(await asyncio.to_thread(weigh_typed, scene, ticket, facts, now), quotes)
    found = await _with_the_brokers_margin(desk, account.account_id, found, scene)
    return await _write(desk, request, account, found, outlook, asker)


async def _account(desk: "Desk", ticket: HandTicket) -> Account:
    if ticket.account_id not in (await desk.store.control.desk()).account_ids:
        raise TicketError("account", "it is not one of this desk's; send the ticket from the cockpit of this desk")
    return await read_account(desk, ticket.account_id, desk.machine_now())


async def _check(desk: "Desk", ticket: HandTicket, account: Account, outlook: Outlook) -> None:
    """Listed, tradable now, not too large, on the tick. Raises TicketError."""
    check_size(ticket, outlook.appetite.hedges)
    linear = await CandidateGenerator(desk.store).linear(outlook.appetite.hedges)
    also = {contract.identity: contract for contract in (*linear, *account.contracts)}
    chains = await desk.store.market.chains()
    now = await desk.now()
    for place, contract in enumerate(ticket.contracts, 1):
        check_listed(contract, f"leg {place}", chains, also)
        check_open(contract, f"leg {place}", now)
    check_tick(ticket)


def check_open(contract: Contract, where: str, desk_now: datetime) -> None:
    """Raises TicketError when the contract cannot trade now, with when it can; CalendarError when nobody knows."""
    end = last_trade(contract)
    if end is not None and end <= desk_now:
        raise TicketError(f"{where}, expiry", f"{contract} no longer trades; choose a later one")
    if not is_open(contract, desk_now, regular_only=True):
        opens = next_session(contract, desk_now).start.astimezone(NEW_YORK)
        words = f"{contract.trading_class} is closed; it opens {opens:%a %d %b %H:%M} New York, send it then"
        raise TicketError(f"{where}, class", words)


async def _quoted(desk: "Desk", ticket: HandTicket, asker: str) -> dict[str, Quote]:
    quotes = await fresh_quotes(desk, ticket.contracts, asker)
    silent = [str(contract) for contract in ticket.contracts if contract.identity not in quotes]
    if silent:
        words = f"no two-sided quote came for {' and '.join(silent)}; choose a strike that is quoted, or send it again"
        raise TicketError("quotes", words)
    return quotes


async def _with_the_brokers_margin(desk: "Desk", account_id: str, found: Candidate, scene: Scene) -> Candidate:
    """Capital and margin judged on the broker's preview; where it gives none the estimate stands, marked so."""
    effect = await what_if(desk, account_id, found)
    judged = with_margin(found, effect, scene) if effect else found
    refuse_failed(judged.checks)
    return judged


async def _write(
    desk: "Desk", request: Request, account: Account, found: Candidate, outlook: Outlook, asker: str
) -> dict[str, Any]:
    created = desk.machine_now()
    expires = created + PROPOSAL_LIFE
    row = proposal_row(found, account.account_id, Origin.HAND, uuid.uuid4().hex, created, expires)
    surface = await desk.store.market.surface("SPX")
    row.justification = with_caveat(in_plain_numbers(found, request.by), outlook)
    row.regime, row.profile = outlook.regime.value, outlook.profile.value
    row.snapshot_id = surface.snapshot_id if surface else None
    number = await desk.store.proposals.add(row)
    await margins_under(desk, [number], [found])
    await keep_quoted(desk, asker, [found], expires)
    return {"proposal_id": number, "quantity": found.quantity, "said": _said(number, found)}


def _said(number: int, found: Candidate) -> str:
    cut = f", cut from {found.asked} by an override" if found.asked and found.asked > found.quantity else ""
    margin = "the broker's margin" if found.margin and found.margin.source == "broker" else "an estimated margin"
    return f"Proposal {number} is in the inbox: {found.strategy_name} × {found.quantity}{cut}, with {margin}."
