"""The inbox: the queue at the left, the open card at the right. A decision is one compare-and-set in a callback."""

from collections.abc import Iterable
from html import escape

import streamlit as st

from app import blocking, decide, look
from app import card as view
from app import format as fmt
from app.blocking import Card
from app.cockpit import Cockpit, cockpit_or_stop, live, machine_now
from app.decide import Outcome, Shown
from app.pulse import Pulse
from app.reasons import reasons_line
from models.proposed_trade import Check, Origin, ProposalStatus, ProposedTrade, origin_words
from models.settings import Mode

EVERY = 3.0


def body() -> None:
    cockpit = cockpit_or_stop()
    pulse = cockpit.pulse()
    cards = list(pulse.open_cards)
    chosen = _chosen(cards)
    left, right = st.columns([5, 19], gap="medium")
    with left:
        _queue(cards, chosen, pulse)
        _recent(cockpit)
    with right:
        if chosen is None:
            _nothing(cockpit, pulse)
        else:
            _card(cockpit, pulse, chosen)


def _chosen(cards: list[ProposedTrade]) -> int | None:
    """The open card: once shown it stays, whatever newer checks write, so that no click lands on another trade."""
    if st.session_state.get("card") is None and cards:
        _open(cards[0].id)
    opened: int | None = st.session_state.get("card")
    return opened


def _open(proposal_id: int | None) -> None:
    st.session_state["card"] = proposal_id


def _step(ids: list[int | None], chosen: int | None, by: int) -> None:
    if ids:
        place = ids.index(chosen) + by if chosen in ids else 0
        _open(ids[min(max(place, 0), len(ids) - 1)])


# ── the queue ────────────────────────────────────────────────────────────────────────────────────────────────────
def _queue(cards: list[ProposedTrade], chosen: int | None, pulse: Pulse) -> None:
    st.html(look.heading("Inbox", fmt.plural(len(cards), "proposal")))
    ids = [card.id for card in cards]
    with st.container(key="queue", gap="xsmall"):
        for card in cards:
            terms = f"{fmt.debit_or_credit(card.limit_price)} · {fmt.countdown(card.expires_at - pulse.at)} left"
            if card.origin == Origin.MANAGE:
                terms += f" · {origin_words(card)}"
            st.button(
                f"**{card.strategy_name} ×{card.quantity}**  \n:gray[{terms}]",
                key=f"open-{card.id}",
                type="secondary" if card.id == chosen else "tertiary",
                width="stretch",
                on_click=_open,
                args=(card.id,),
            )
    said = st.session_state.get("said:queue")
    if said is not None and said.done:
        _say("queue")
    asleep = len(pulse.pending) - len(cards)
    if asleep:
        st.html(f'<span class="n-sub">{fmt.plural(asleep, "card")} asleep</span>')
    if len(cards) > 1:
        with st.container(horizontal=True, gap="xsmall"):
            st.button("Next", key="next", type="tertiary", shortcut="J", on_click=_step, args=(ids, chosen, 1))
            st.button("Back", key="previous", type="tertiary", shortcut="K", on_click=_step, args=(ids, chosen, -1))


def _recent(cockpit: Cockpit) -> None:
    rows = [
        row for row in cockpit.ask(lambda store: store.proposals.recent(12)) if row.status != ProposalStatus.PENDING
    ]
    st.html(look.heading("How the last ones ended"))
    if not rows:
        st.html('<span class="n-sub">None has been decided yet.</span>')
    lines = [
        (
            escape(f"{row.strategy_name} ×{row.quantity}"),
            f'<span title="{escape(row.decision_reason or "")}">{escape(row.status.lower())}</span>',
            fmt.eastern(row.decided_at, seconds=False),
        )
        for row in rows[:6]
    ]
    if lines:
        st.html(look.table(("Proposal", "Ended", "ET"), lines))


def _nothing(cockpit: Cockpit, pulse: Pulse) -> None:
    """Why the inbox is empty and what can be done about it."""
    check: Check | None = cockpit.ask(lambda store: store.proposals.last_check(pulse.account_id))
    if check is None:
        st.html(
            look.empty(
                "No proposals.", "The trade proposer has not completed a check yet. It runs by itself; Ops shows when."
            )
        )
    else:
        refused = ", ".join(f"{why} {count}" for why, count in check.refused.items() if isinstance(count, int))
        found = f"{check.sentence}. Refused: {refused}." if refused else f"{check.sentence}."
        at = fmt.eastern(check.desk_at or check.at)
        when = f"Last check {at} ET, {check.candidates:,} candidates in {check.seconds:.1f} s. "
        st.html(look.empty("No proposals.", when + found))
        example = check.refused.get("example")
        if example:
            st.html(look.empty("The best one that was refused", str(example)))
    _say("run")
    st.button("Run a check now", key="run-proposer", on_click=_run_proposer, args=(cockpit,))


def _run_proposer(cockpit: Cockpit) -> None:
    cockpit.act(lambda store: decide.run_now(store, "trade_proposer", cockpit.trader, machine_now()), "run")


# ── the card ─────────────────────────────────────────────────────────────────────────────────────────────────────
def _card(cockpit: Cockpit, pulse: Pulse, proposal_id: int) -> None:
    card = cockpit.ask(lambda store: blocking.read_card(store, proposal_id, machine_now()))
    if card is None:
        st.html(look.empty("This proposal is gone.", "Choose another from the inbox."))
        st.button("Back to the inbox", on_click=_open, args=(None,))
        return
    renewed = _renewal(card.proposal, pulse.open_cards)
    if renewed is not None:
        _open(renewed)
        card = cockpit.ask(lambda store: blocking.read_card(store, renewed, machine_now())) or card
    if card.legs_trouble:
        _unreadable(cockpit, card, pulse)
        return
    _keep_preview_fresh(cockpit, card)
    title, strikes = st.columns([7, 5], gap="medium", vertical_alignment="bottom")
    title.html(view.head(card))
    strikes.html(view.ruler(card) or "&nbsp;")  # a hedge in futures or shares has no strikes
    st.html(view.rationale(card.proposal))
    st.html(view.price_line(card))
    st.html(reasons_line(card.proposal))
    if card.proposal.status == ProposalStatus.PENDING:
        _actions(cockpit, card)
    else:
        _ended(card, pulse)
        _reasons(blocking.blocks(card))
    shape = view.payoff(card)
    left, right = st.columns([7, 5], gap="medium")
    with left:
        with st.container(border=True):
            st.html(look.heading("Limits: now, and after this trade", "thin line: the limit · bright mark: after"))
            st.html(view.bars(card, pulse))
        st.html(look.heading("Before, change, after", _margin_note(card)))
        st.html(view.change_table(card, pulse.account, shape))
    with right:
        st.html(look.heading("Payoff", "$, whole trade; shaded: one standard deviation to expiry"))
        view.draw_payoff(card, shape)
        st.html(look.heading("Checks at the proposal", "the bridge asks every one again"))
        st.html(view.checks(card))


def _unreadable(cockpit: Cockpit, card: Card, pulse: Pulse) -> None:
    """A row whose legs are not legs: what is wrong with it, and the way out of the inbox; it can never be sent."""
    st.html(view.head(card))
    remedy = "Nothing of it can be sent. Reject it; the next check writes new proposals."
    st.html(look.trouble("Its legs cannot be read", card.legs_trouble, remedy))
    if card.proposal.status == ProposalStatus.PENDING:
        _actions(cockpit, card)
    else:
        _ended(card, pulse)


def _ended(card: Card, pulse: Pulse) -> None:
    """What became of a decided card, and the way to the next one."""
    _say(str(card.proposal.id))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(view.afterwards(card), width="content")
        newest = next((row.id for row in pulse.open_cards), None)
        if newest is not None:
            st.button("Open the next proposal", key="newest", on_click=_open, args=(newest,))


def _renewal(shown: ProposedTrade, waiting: Iterable[ProposedTrade]) -> int | None:
    """The same trade as a newer check wrote it takes the place of the one it superseded, unless its worst price got
    worse: a click that is on its way may only meet what the person has read, or better."""
    if shown.status != ProposalStatus.SUPERSEDED:
        return None
    same = (shown.account_id, shown.legs_hash, shown.quantity)
    twins = (row for row in waiting if (row.account_id, row.legs_hash, row.quantity) == same and row.id != shown.id)
    return next((row.id for row in twins if row.worst_price <= shown.worst_price), None)


def _margin_note(card: Card) -> str:
    if card.what_if is None:
        return "margin: the broker has not answered yet"
    if card.what_if.failure:
        return f"margin preview failed: {card.what_if.failure}"
    return f"margin: the broker's preview, {fmt.age(card.what_if_age)} old"


def _keep_preview_fresh(cockpit: Cockpit, card: Card) -> None:
    """An open card asks the bridge for a new margin preview every 20 s, as long as it can still be approved."""
    waits = card.proposal.status == ProposalStatus.PENDING and card.proposal.origin != Origin.MOCK
    if not waits or card.legs_trouble or card.proposal.expires_at <= card.at:
        return
    key = f"asked:{card.proposal.id}"
    if decide.what_if_is_due(card.what_if, st.session_state.get(key), card.at):
        st.session_state[key] = card.at
        cockpit.ask(lambda store: decide.keep_card_fresh(store, card.proposal, cockpit.trader, card.at))


# ── the decision ─────────────────────────────────────────────────────────────────────────────────────────────────
def _actions(cockpit: Cockpit, card: Card) -> None:
    reasons = blocking.blocks(card)
    two_steps = blocking.needs_two_steps(card.proposal, cockpit.settings.mode is Mode.LIVE)
    armed = st.session_state.get("armed") == card.proposal.id
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="decision"):
        if two_steps and not armed:
            st.button(
                "Approve…",
                key="arm",
                type="primary",
                disabled=bool(reasons),
                shortcut="Ctrl+Enter",
                on_click=_arm,
                args=(card.proposal.id,),
                help="Live money and a risk rises: it asks once more.",
            )
        else:
            label = f"Confirm: {fmt.debit_or_credit(card.proposal.limit_price)}" if armed else "Approve"
            st.button(
                label,
                key="approve",
                type="primary",
                disabled=bool(reasons),
                shortcut="Ctrl+Enter",
                on_click=_approve,
                args=(cockpit, Shown.of(card.proposal)),
            )
        if armed:
            st.button("Not now", key="disarm", on_click=_arm, args=(None,))
        st.button("Snooze", key="snooze", shortcut="S", on_click=_snooze, args=(cockpit, card.proposal.id))
        st.pills("Reject because", decide.REJECT_REASONS, key=f"why-{card.proposal.id}", label_visibility="collapsed")
        st.button("Reject", key="reject", shortcut="X", on_click=_reject, args=(cockpit, card.proposal.id))
    _say(str(card.proposal.id))
    _reasons(reasons)


def _reasons(reasons: tuple[str, ...]) -> None:
    """Why Approve is not offered, written out."""
    if reasons:
        lines = "".join(f"<span>{escape(reason)}</span>" for reason in reasons)
        st.html(f'<div class="n-blocks" role="status">{lines}</div>')


def _say(about: str) -> None:
    """What the last deed about this card came to; it stays until the next one."""
    said = st.session_state.get(f"said:{about}")
    if said is not None:
        st.html(look.said(said.done, said.sentence))


def _arm(proposal_id: int | None) -> None:
    st.session_state["armed"] = proposal_id


def _approve(cockpit: Cockpit, shown: Shown) -> None:
    _arm(None)
    good_for = cockpit.settings.approval_good_seconds
    cockpit.act(
        lambda store: decide.approve(store, shown, cockpit.trader, machine_now(), good_for), str(shown.proposal_id)
    )
    _open(shown.proposal_id)


def _reject(cockpit: Cockpit, proposal_id: int) -> None:
    # The chip is read here, not passed: a callback's arguments are those of the run before.
    reason, by = st.session_state.get(f"why-{proposal_id}"), cockpit.trader
    about = str(proposal_id)
    _leave(cockpit.act(lambda store: decide.reject(store, proposal_id, by, reason, machine_now()), about))


def _snooze(cockpit: Cockpit, proposal_id: int) -> None:
    by, about = cockpit.trader, str(proposal_id)
    _leave(cockpit.act(lambda store: decide.snooze(store, proposal_id, by, machine_now()), about))


def _leave(outcome: Outcome) -> None:
    """A card that was put away makes room for the next; what became of it is said at the queue."""
    st.session_state["said:queue"] = outcome
    if outcome.done:
        _open(None)


if st.session_state.get("arrived"):
    _open(st.session_state.pop("card-wanted", None))
    st.session_state.pop("said:queue", None)
live(body, "Proposals", EVERY)
