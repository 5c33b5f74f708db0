"""The person's decisions as functions over the store. Each deed ends in one sentence; a decision that came too late is
a sentence too, never an exception.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app import format as fmt
from app.blocking import blocks, read_card
from app.wording import legs_or_reason
from database.errors import DecisionRefused
from database.store import Store
from models.appetite import Override
from models.control import RequestKind, SwitchName
from models.order import WhatIf
from models.proposed_trade import ProposedTrade
from models.quant.hand_ticket import HandTicket
from models.quant.option import Contract
from models.quant.overrides import OverrideError, standing_of

WHAT_IF_EVERY = 20.0
SNOOZE = timedelta(minutes=15)
SILENCE = timedelta(hours=1)
REJECT_REASONS = ("price", "size", "timing", "do not like the risk", "prefer another", "other")
RELEASE_WORD = "RELEASE"
TICKET_ANSWERED_WITHIN = timedelta(seconds=120)
PROPOSER = "trade_proposer"
BRIDGE, BRIDGE_AGENT = "bridge", "ibkr_bridge"
"""Requests go to the bridge by its room's name; it beats under its agent's."""


@dataclass(frozen=True)
class Outcome:
    """What a deed came to, in one sentence; `done` False means nothing changed."""

    done: bool
    sentence: str
    request: int | None = None
    """The number of the request it became, when it is for somebody else to answer."""


@dataclass(frozen=True)
class Shown:
    """The terms as they stood on the card when it was drawn: what the person saw is what is signed."""

    proposal_id: int
    legs_hash: str
    quantity: int
    limit_price: float
    worst_price: float

    @staticmethod
    def of(proposal: ProposedTrade) -> "Shown":
        assert proposal.id is not None
        return Shown(proposal.id, proposal.legs_hash, proposal.quantity, proposal.limit_price, proposal.worst_price)


async def approve(store: Store, shown: Shown, by: str, now: datetime, good_for: float) -> Outcome:
    """Sign exactly what was shown. Everything is asked again here; of two clicks one is told it was second."""
    card = await read_card(store, shown.proposal_id, now)
    if card is None:
        return Outcome(False, f"There is no proposal {shown.proposal_id} any more.")
    reasons = blocks(card)
    if reasons:
        return Outcome(False, f"Not approved. {reasons[0]}")
    try:
        approval = await store.proposals.approve(
            shown.proposal_id, shown.legs_hash, shown.quantity, shown.limit_price, shown.worst_price, by, now, good_for
        )
    except DecisionRefused as refused:
        return Outcome(False, f"Not approved: {refused.reason}.")
    until = fmt.eastern(approval.good_until)
    return Outcome(
        True,
        f"Approved. The bridge may cross it until {until} ET, never past {fmt.debit_or_credit(shown.worst_price)}.",
    )


async def reject(store: Store, proposal_id: int, by: str, reason: str | None, now: datetime) -> Outcome:
    """A rejection teaches only with a reason; the chips are a browser's promise and asked again here."""
    if reason not in REJECT_REASONS:
        return Outcome(False, "Not rejected: choose the reason chip first.")
    try:
        await store.proposals.reject(proposal_id, by, reason, now)
    except DecisionRefused as refused:
        return Outcome(False, f"Not rejected: {refused.reason}.")
    return Outcome(True, f"Rejected: {reason}.")


async def snooze(store: Store, proposal_id: int, by: str, now: datetime) -> Outcome:
    """It sleeps a quarter of an hour, newer checks leave it alone, and it still expires when it expires."""
    try:
        await store.proposals.snooze(proposal_id, now + SNOOZE, by, now)
    except DecisionRefused as refused:
        return Outcome(False, f"Not snoozed: {refused.reason}.")
    return Outcome(True, f"Snoozed until {fmt.eastern(now + SNOOZE, seconds=False)} ET.")


async def halt(store: Store, by: str, reason: str, now: datetime) -> Outcome:
    """Stop every new send at once; resting orders stay. One click, no question asked."""
    await store.control.set_switch(SwitchName.HALT, "on", by, reason or "HALT pressed", now)
    return Outcome(True, "HALT is set. The bridge reads it before each send.")


async def release(store: Store, by: str, word: str, reason: str, now: datetime) -> Outcome:
    """Releasing takes the typed word and a reason: it is the only switch that lets orders out again."""
    if word.strip() != RELEASE_WORD:
        return Outcome(False, f"Not released: type {RELEASE_WORD} in capitals.")
    if not reason.strip():
        return Outcome(False, "Not released: say why; it goes into the audit.")
    await store.control.set_switch(SwitchName.HALT, "off", by, reason.strip(), now)
    return Outcome(True, "HALT is released.")


async def pause(store: Store, on: bool, by: str, now: datetime) -> Outcome:
    """No new risk; reducing trades still go."""
    await store.control.set_switch(SwitchName.PAUSE, "on" if on else "off", by, "cockpit", now)
    return Outcome(True, "New risk is paused; reducing trades still go." if on else "New risk may go again.")


async def steer_agent(store: Store, agent: str, word: str, by: str, now: datetime) -> Outcome:
    """An agent's own switch: go, pause or stop."""
    if word not in ("go", "pause", "stop"):
        return Outcome(False, f"{word} is not go, pause or stop.")
    await store.control.set_switch(f"agent:{agent}", word, by, "cockpit", now)
    return Outcome(True, f"{agent}: {word}.")


async def run_now(store: Store, agent: str, by: str, now: datetime) -> Outcome:
    """Ask an agent for a pass at once."""
    target = BRIDGE if agent == BRIDGE_AGENT else agent
    number = await store.control.ask(RequestKind.RUN_NOW, {}, by, now, now + timedelta(seconds=60), target=target)
    return Outcome(True, f"{agent} was asked to run now.", number)


async def keep_card_fresh(store: Store, proposal: ProposedTrade, by: str, now: datetime) -> int:
    """What an open card asks for every 20 s: live quotes of its legs and a new margin preview; the request's id."""
    legs, _ = legs_or_reason(proposal.legs_json)
    until = now + timedelta(seconds=3 * WHAT_IF_EVERY)
    await store.market.want([leg.contract for leg in legs], "proposal", f"card {proposal.id}", until)
    deadline = now + timedelta(seconds=WHAT_IF_EVERY)
    return await store.control.ask(RequestKind.WHAT_IF, {"proposal_id": proposal.id}, by, now, deadline)


async def ask_bridge(store: Store, kind: RequestKind, payload: dict[str, Any], by: str, now: datetime) -> Outcome:
    """Cancel, doctor and the like: a signed request with a minute to be taken."""
    number = await store.control.ask(kind, payload, by, now, now + timedelta(seconds=60))
    return Outcome(True, f"Request {number} ({kind}) is with the bridge.", number)


async def acknowledge(store: Store, alert_id: int, by: str, now: datetime) -> Outcome:
    await store.control.acknowledge_alert(alert_id, by, now)
    return Outcome(True, "Alert acknowledged.")


async def silence(store: Store, alert_id: int, by: str, now: datetime) -> Outcome:
    """For an hour its cause notifies nobody and asks for nothing; it still stands in the list."""
    await store.control.silence_alert(alert_id, now + SILENCE, by, now)
    return Outcome(True, f"Silent until {fmt.eastern(now + SILENCE, seconds=False)} ET.")


def what_if_is_due(what_if: WhatIf | None, asked_at: datetime | None, now: datetime) -> bool:
    """An open card asks every 20 s: neither the last answer nor the last question may be younger."""
    moments = [moment for moment in (what_if.at if what_if else None, asked_at) if moment is not None]
    return not moments or (now - max(moments)).total_seconds() >= WHAT_IF_EVERY


# ── tickets by hand, and overrides ───────────────────────────────────────────────────────────────────────────────
async def send_ticket(store: Store, ticket: HandTicket, by: str, now: datetime) -> Outcome:
    """Ask the proposer to judge it and put it into the inbox; the answer comes to the request."""
    number = await store.control.ask(
        RequestKind.HAND_TICKET, ticket.to_json(), by, now, now + TICKET_ANSWERED_WITHIN, target=PROPOSER
    )
    return Outcome(True, f"Ticket {number} is with the proposer.", number)


async def keep_ticket_quoted(store: Store, contracts: Sequence[Contract], now: datetime) -> None:
    """What the open Ticket page wishes for: live quotes of the legs as they stand."""
    await store.market.want(contracts, "proposal", "ticket page", now + timedelta(seconds=3 * WHAT_IF_EVERY))


async def set_override(
    store: Store, subject: str, rule: str, value: str, lasts: timedelta | None, reason: str, by: str, now: datetime
) -> Outcome:
    """One click: it only tightens. Approvals given before it do not cross against it."""
    until = None if lasts is None else now + lasts
    row = Override(
        subject=subject, rule=rule, value=value, by=by, reason=reason.strip(), at=now, until=until
    )  # fmt: skip
    try:
        await store.appetite.set_override(row)
        words = standing_of(row).words
    except OverrideError as error:
        return Outcome(False, f"Not set: {error}.")
    return Outcome(True, f"In force: {words}.")


async def end_override(store: Store, number: int, by: str, reason: str, now: datetime) -> Outcome:
    """Ending one loosens, so it takes a reason; it goes into the audit."""
    if not reason.strip():
        return Outcome(False, "Not ended: say why it may loosen; it goes into the audit.")
    if not await store.appetite.end_override(number, by, reason.strip(), now):
        return Outcome(False, f"Override {number} is not in force any more.")
    return Outcome(True, f"Override {number} has ended.")
