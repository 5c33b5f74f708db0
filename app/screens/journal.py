"""Was the advice good? Every proposal, also the rejected and superseded ones, and what it would have been worth."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from app import advice as view
from app import charts, look
from app import format as fmt
from app.advice import Entry
from app.cockpit import Cockpit, cockpit_or_stop, live, want_page
from app.pulse import Pulse
from models.proposed_trade import ProposalStatus
from models.quant.advice import RULES
from models.quant.advice_tally import tally
from models.scorecard import FollowedDay

EVERY = 10.0
"""Seconds between two looks: the staff writes every few minutes."""
NEWEST = 500


def body() -> None:
    cockpit = cockpit_or_stop()
    entries = [view.entry_of(row) for row in cockpit.ask(lambda store: store.scorecard.board(NEWEST))]
    st.html(
        look.heading(
            "Was the advice good?",
            f"every proposal, whatever was decided, by marks for {RULES.follow_days} days or to its expiry; "
            "profit from its limit price (or its fill), fees paid",
        )
    )
    if not entries:
        _nothing(cockpit, cockpit.pulse())
        return
    shown = _filtered(entries)
    whole = tally("all", [entry.counts for entry in shown])
    st.html(view.answer(whole))
    st.html(view.numbers(whole))
    left, right = st.columns([8, 5], gap="medium")
    with left:
        _table(shown)
        _record(shown)
    with right:
        _one(cockpit, _opened(shown))


def _nothing(cockpit: Cockpit, pulse: Pulse) -> None:
    """Why nothing is followed yet, and what comes next."""
    waiting = cockpit.ask(lambda store: store.proposals.recent(1))
    if waiting:
        why = "The closing bell takes new proposals up within a minute; Ops shows when it last ran."
        st.html(look.empty("No proposal is followed yet.", why))
        return
    beat = next((row for row in pulse.heartbeats if row.agent == "trade_proposer"), None)
    said = f"The trade proposer last said: “{beat.sentence}”" if beat else "The trade proposer has not run yet."
    why = f"None was ever made. {said} From the first one on, each is followed here, taken or not."
    st.html(look.empty("No proposals to judge.", why))


# ── filters ──────────────────────────────────────────────────────────────────────────────────────────────────────
def _filtered(entries: Sequence[Entry]) -> list[Entry]:
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        outcome = _pills("Became", [entry.outcome for entry in entries], "journal-outcome")
        origin = _pills("Origin", [entry.origin for entry in entries], "journal-origin")
    return [
        entry for entry in entries if outcome in (None, entry.outcome) and origin in (None, entry.origin)
    ]  # fmt: skip


def _pills(label: str, values: Sequence[str], key: str) -> str | None:
    counts = {value: values.count(value) for value in sorted(set(values))}
    return st.pills(
        label, list(counts), format_func=lambda value: f"{value} {counts.get(value, 0)}", key=key,
        label_visibility="collapsed",
    )  # fmt: skip


def _record(entries: Sequence[Entry]) -> None:
    st.html(look.heading("The record", "lines that saw a close; + those too young; dim: too few days to claim it"))
    by = st.segmented_control(
        "Split by", list(view.SPLITS), default="outcome", key="journal-split", label_visibility="collapsed",
        format_func=lambda name: f"by {name}", required=True,
    )  # fmt: skip
    st.html(view.split_table(entries, by or "outcome"))


# ── the table and the line that is open ──────────────────────────────────────────────────────────────────────────
def _table(entries: Sequence[Entry]) -> None:
    st.html(look.heading("Followed proposals", f"{fmt.plural(len(entries), 'line')}, newest first · click a row"))
    st.session_state["journal-shown"] = [entry.id for entry in entries]
    st.dataframe(
        view.coloured(view.frame_of(entries)),
        hide_index=True,
        column_config=view.columns(),
        height=min(40 + 30 * max(len(entries), 1), 400),
        row_height=30,
        placeholder=fmt.UNKNOWN,
        key="journal-table",
        selection_mode="single-row",
        on_select=_select,
        alt="Followed proposals with what they would have been worth",
    )


def _select() -> None:
    # The rows as they were when clicked: a newer look may have put another one on top.
    chosen = st.session_state["journal-table"]["selection"]["rows"]
    shown = st.session_state.get("journal-shown", [])
    if chosen and chosen[0] < len(shown):
        st.session_state["journal-line"] = shown[chosen[0]]


def _opened(entries: Sequence[Entry]) -> Entry | None:
    """The line that was clicked, else the newest that saw a close, else the newest."""
    wanted = st.session_state.get("journal-line")
    clicked = (entry for entry in entries if entry.id == wanted)
    old = (entry for entry in entries if entry.row.closes >= RULES.judged_after)
    return next(clicked, None) or next(old, None) or next(iter(entries), None)


def _one(cockpit: Cockpit, entry: Entry | None) -> None:
    if entry is None:
        st.html(look.empty("No line fits the filter.", "Take a chip away to see the others."))
        return
    line = entry.row.line
    with st.container(border=True):
        st.html(view.head(entry))
        days = cockpit.ask(lambda store: store.scorecard.days_of(entry.id))
        _picture(entry, days)
        st.html(view.facts(entry))
        with st.container(horizontal=True, gap="small"):
            st.button("Open the proposal", key="journal-card", on_click=_to_card, args=(line.newest.id,))
            if entry.outcome == ProposalStatus.APPROVED:
                st.button("Open its order", key="journal-order", on_click=want_page, args=("screens/orders.py",))


def _to_card(proposal_id: int | None) -> None:
    st.session_state["card-wanted"] = proposal_id
    want_page("screens/proposals.py")


def _picture(entry: Entry, days: Sequence[FollowedDay]) -> None:
    if not any(day.profit is not None for day in days):
        why = next((day.why for day in reversed(days) if day.why), "it is looked at every few minutes")
        st.html(look.empty("No value yet.", f"{why[0].upper()}{why[1:]}."))
        return
    followed, proposal = entry.row.line.followed, entry.row.line.proposal
    paid = entry.advice.entry_cost if entry.advice else None
    fees = entry.advice.fees if entry.advice else None
    until = followed.breach_until
    st.plotly_chart(
        charts.advice_days(
            _line(days, "profit", (followed.desk_at, None if paid is None else -paid)),
            _line(days, "profit_mid", (followed.desk_at, None if fees is None else -fees)),
            _line(days, "breach"),
            _line(days, "breach_with"),
            over=None if until is None else followed.desk_at + (until - proposal.created_at),
        ),
        key=f"journal-{entry.id}",
        theme=None,
        config=charts.CONFIG,
        alt=f"Profit of {entry.title} since it was proposed, and how far over its limits the book was on the same days",
    )


def _line(days: Sequence[FollowedDay], name: str, *before: tuple[datetime, float | None]) -> list[tuple[datetime, Any]]:
    return [*before, *((day.at, getattr(day, name)) for day in days)]


live(body, "Journal", EVERY)
