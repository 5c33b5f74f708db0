"""A trade typed by hand: legs at the left, what it is and does at the right, and the way into the inbox.

It passes the same gates as any hedge. What was typed stays in the form whatever the answer is.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from html import escape
from typing import Any

import streamlit as st

from app import decide, look
from app import format as fmt
from app.cockpit import Cockpit, cockpit_or_stop, live, machine_now, want_page
from app.decide import Outcome
from app.ticket_form import form, typed_legs, typed_terms
from app.ticket_summary import summary
from app.ticketing import Desk, Draft, draft_of, read_desk, standing_words
from database.store import Store
from models.control import Request, RequestStatus

EVERY = 3.0
ENDED = (RequestStatus.DONE, RequestStatus.FAILED, RequestStatus.EXPIRED)
KEPT = "The form is as you left it: change what was named and send it again."
NO_CHAIN = "No chain is listed yet; the streams write it within a minute of their start. Ops shows whether they run."
state: Any = st.session_state


def body() -> None:
    cockpit = cockpit_or_stop()
    desk = cockpit.ask(lambda store: read_desk(store, machine_now()))
    left, right = st.columns([11, 10], gap="medium")
    if not desk.instruments:
        left.html(look.heading("Ticket") + look.empty("Nothing to trade is known.", NO_CHAIN))
        right.html(look.heading("What it is and does", "n/a until a leg is chosen"))
        return
    with left:
        form(desk)
    state["seen-desk"] = desk
    # The fields are read in this thread: the store's own has no session.
    draft = cockpit.ask(_drafting(desk))
    _keep_quoted(cockpit, draft)
    with left:
        request = _asked(cockpit)
        _send(cockpit, desk, draft)
        _answer(cockpit, request)
    with right:
        summary(desk, draft)


def _drafting(desk: Desk) -> Callable[[Store], Awaitable[Draft]]:
    """The ticket as the fields say now, to be put on the newest quotes."""
    legs, terms = typed_legs(desk), typed_terms()

    async def draft(store: Store) -> Draft:
        return draft_of(desk, legs, *terms, await store.market.quotes([leg.contract.identity for leg in legs]))

    return draft


def _keep_quoted(cockpit: Cockpit, draft: Draft) -> None:
    """An open ticket wishes for live quotes of its legs: at once when they change, else every 20 s."""
    names = [leg.contract.identity for leg in draft.legs]
    asked, at = state.get("ticket-wished", ((), None))
    now = machine_now()
    if asked != names or at is None or now - at >= timedelta(seconds=decide.WHAT_IF_EVERY):
        state["ticket-wished"] = names, now
        cockpit.ask(lambda store: decide.keep_ticket_quoted(store, [leg.contract for leg in draft.legs], now))


def _send(cockpit: Cockpit, desk: Desk, draft: Draft) -> None:
    st.button(
        "Send to the inbox",
        key="send-ticket",
        type="primary",
        shortcut="Ctrl+Enter",
        on_click=_sent,
        args=(cockpit,),
        disabled=draft.ticket is None or _waits(),
        help="The proposer judges it like any hedge; you approve it in the inbox.",
    )
    words = (draft.trouble,) if draft.trouble else tuple(f"Override: {one}." for one in standing_words(desk, draft))
    if words:
        lines = "".join(f"<span>{escape(one)}</span>" for one in words)
        st.html(f'<div class="n-blocks" role="status">{lines}</div>')


def _sent(cockpit: Cockpit) -> None:
    # The fields are read here, not in args: a callback's arguments are those of the run before the last keystroke.
    if _waits():
        return
    drafting, by = _drafting(state["seen-desk"]), cockpit.trader

    async def send(store: Store) -> Outcome:
        draft = await drafting(store)
        if draft.ticket is None:
            return Outcome(False, f"Not sent. {draft.trouble}")
        return await decide.send_ticket(store, draft.ticket, by, machine_now())

    outcome = cockpit.act(send, "ticket")
    state["asked-ticket"], state["answered-ticket"] = outcome.request, False


def _waits() -> bool:
    """One ticket at a time from a tab: a second press while one is being judged sends nothing."""
    return state.get("asked-ticket") is not None and not state.get("answered-ticket")


def _asked(cockpit: Cockpit) -> Request | None:
    """The last ticket sent from this tab; once it is answered, or nobody can answer any more, the next may go."""
    number = state.get("asked-ticket")
    if number is None:
        return None
    request: Request = cockpit.ask(lambda store: store.control.request(number))
    state["answered-ticket"] = request.status in ENDED or _late(request)
    return request


def _late(request: Request) -> bool:
    return request.status not in ENDED and request.deadline < machine_now()


def _answer(cockpit: Cockpit, request: Request | None) -> None:
    """What became of it."""
    said = state.get("said:ticket")
    if request is None:
        if said is not None:
            st.html(look.said(said.done, said.sentence))
        return
    result = request.result or {}
    if request.status == RequestStatus.DONE:
        st.html(look.said(True, str(result.get("said"))))
        st.button("Open the inbox", key="open-inbox", on_click=want_page, args=("screens/proposals.py",))
    elif _late(request):
        st.html(look.trouble(f"Nobody answered ticket {request.id} in time", _proposer_words(cockpit), KEPT))
    elif request.status in ENDED:
        why = str(result.get("failure")).rstrip(".")
        st.html(look.trouble(f"Ticket {request.id} was not proposed", f"{why[0].upper()}{why[1:]}.", KEPT))
    else:
        word = "being judged on real quotes" if request.status == RequestStatus.CLAIMED else "waiting for the proposer"
        age = fmt.age(fmt.seconds_between(request.created_at, machine_now()))
        st.html(f'<div class="n-said">◌ Ticket {request.id} is {word}, sent {age} ago.</div>')


def _proposer_words(cockpit: Cockpit) -> str:
    beat = next((one for one in cockpit.pulse().heartbeats if one.agent == decide.PROPOSER), None)
    if beat is None:
        return "The trade proposer has not reported; Ops shows whether the staff runs."
    return f"The trade proposer is {beat.state}: {beat.sentence}"


live(body, "Ticket", EVERY)
