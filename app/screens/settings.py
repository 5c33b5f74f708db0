"""Limits and overrides: what the desk tolerates in each regime, and what the person allows less of, and why.

The limits are read only here; an override is set in one click, because it tightens, and ended with a reason.
"""

from collections.abc import Callable
from datetime import timedelta
from html import escape
from typing import Any

import streamlit as st

from app import decide, look
from app import format as fmt
from app.cockpit import Cockpit, cockpit_or_stop, live, machine_now
from app.limit_tables import allowed_words, limits_table
from app.overriding import Overriding, dead_ends, read_overriding, rule_words
from app.pulse import Pulse
from app.rulebook import rulebook
from models.appetite import Override
from models.quant.overrides import ANY, SPX_FAMILY, STRATEGIES, Rule
from models.quant.regime import RegimeBook
from models.quant.regime_rules import Profile, Regime

EVERY_STRATEGY = "every strategy"
LASTS: dict[str, timedelta | None] = {
    "until I end it": None,
    "one hour": timedelta(hours=1),
    "four hours": timedelta(hours=4),
    "a day": timedelta(days=1),
    "a week": timedelta(days=7),
}
state: Any = st.session_state


def body() -> None:
    cockpit = cockpit_or_stop()
    pulse = cockpit.pulse()
    seen = cockpit.ask(lambda store: read_overriding(store, machine_now()))
    left, right = st.columns([10, 11], gap="medium")
    with left:
        _standing(cockpit, pulse, seen)
        _new(cockpit, seen)
    with right:
        _limits(pulse, cockpit.ask(rulebook))


# ── overrides ────────────────────────────────────────────────────────────────────────────────────────────────────
def _standing(cockpit: Cockpit, pulse: Pulse, seen: Overriding) -> None:
    st.html(look.heading("Overrides in force", "they only tighten; approvals given before do not cross against them"))
    if seen.overrides.unreadable:
        remedy = "Until it is ended only reducing trades go. End it and set it anew."
        st.html(look.trouble("An override cannot be read", seen.overrides.unreadable, remedy))
    for words in dead_ends(seen, pulse.exposure):
        st.html(look.trouble("An override stands in the way of a cure", words, "End it, or let closings through."))
    if not seen.rows:
        why = "Sizes and strategies are as the limits allow. Set one below when an underlying should be left alone."
        st.html(look.empty("No override is in force.", why))
    for row in seen.rows:
        _row(cockpit, row)
    _say("overrides")


def _row(cockpit: Cockpit, row: Override) -> None:
    line, deed = st.columns([9, 2], gap="small", vertical_alignment="center")
    until = "until it is ended" if row.until is None else f"until {fmt.eastern_day(row.until)} ET"
    tone = "over" if row.rule == Rule.NONE else "warn"
    since = f"since {fmt.eastern_day(row.at)} ET by {row.by}, {until}"
    line.html(
        f"<div><b>{escape(row.subject)}</b> &nbsp;{look.chip(rule_words(row.rule, row.value), tone)}</div>"
        f'<div>{escape(row.reason)}</div><span class="n-sub n-num">{escape(since)}</span>'
    )
    with deed, st.popover("End…", key=f"ending-{row.id}"):
        st.text_input("Why may it loosen?", key=f"why-{row.id}")
        st.button("End it", key=f"end-{row.id}", on_click=_end, args=(cockpit, row.id))


def _end(cockpit: Cockpit, number: int) -> None:
    reason = str(state.get(f"why-{number}") or "")
    by = cockpit.trader
    cockpit.act(lambda store: decide.end_override(store, number, by, reason, machine_now()), "overrides")


def _new(cockpit: Cockpit, seen: Overriding) -> None:
    st.html(look.heading("Set an override", "in force at once"))
    whom, what, how = st.columns([4, 5, 4], gap="small")
    with whom:
        names = list(dict.fromkeys([SPX_FAMILY, *seen.symbols, ANY]))
        _pick("Underlying", names, "over-underlying", lambda name: "any underlying" if name == ANY else name)
    with what:
        _pick("Strategy", [EVERY_STRATEGY, *STRATEGIES], "over-strategy", lambda name: str(name).replace("_", " "))
    with how:
        rule = _pick("Allow", [Rule.CLOSE_ONLY, Rule.REDUCE_ONLY, Rule.MULTIPLIER, Rule.NONE], "over-rule", rule_words)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        if rule is Rule.MULTIPLIER:
            st.number_input(
                "Size ×", min_value=0.0, max_value=0.95, value=0.5, step=0.05, format="%.2f", key="over-value",
                width=120, persist_state="session",
            )  # fmt: skip
        st.selectbox("For", list(LASTS), key="over-lasts", width=150, persist_state="session")
        st.text_input(
            "Why", key="over-reason", width="stretch", persist_state="session", placeholder="goes into the audit"
        )
        st.button("Set it", key="set-override", type="primary", on_click=_set, args=(cockpit,))
    st.html(f'<span class="n-sub">{escape(MEANS[rule])}</span>')
    _say("override")


def _pick(label: str, options: list[Any], key: str, spelled: Callable[[Any], str]) -> Any:
    return st.selectbox(label, options, key=key, persist_state="session", format_func=spelled)


MEANS = {
    Rule.NONE: "Nothing trades there, not even a closing: a breach there cannot be cured while it stands.",
    Rule.CLOSE_ONLY: "Only tickets that only close what is held; a roll opens something and does not go.",
    Rule.REDUCE_ONLY: "Only tickets that harm no limit and close something, or make a breach smaller.",
    Rule.MULTIPLIER: "Sizes are multiplied and rounded towards zero; closings pass whole. The smallest counts, once.",
}


def _set(cockpit: Cockpit) -> None:
    # Every field is read here: a callback's arguments are those of the run before the last keystroke.
    underlying, strategy = state["over-underlying"], state["over-strategy"]
    subject = underlying if strategy == EVERY_STRATEGY else f"{underlying} / {strategy}"
    rule, lasts, reason = state["over-rule"], LASTS[state["over-lasts"]], str(state.get("over-reason") or "")
    value = f"{state.get('over-value') or 0:g}" if rule is Rule.MULTIPLIER else ""
    by, now = cockpit.trader, machine_now()
    outcome = cockpit.act(
        lambda store: decide.set_override(store, subject, rule, value, lasts, reason, by, now), "override"
    )
    if outcome.done:
        state["over-reason"] = ""  # the next one has its own


def _say(about: str) -> None:
    said = state.get(f"said:{about}")
    if said is not None:
        st.html(look.said(said.done, said.sentence))


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────
def _limits(pulse: Pulse, book: RegimeBook) -> None:
    in_force = str(pulse.exposure.get("profile") or Profile.DESK)
    st.html(look.heading("Limits per regime", f"from {book.source_name}; as fractions of net liquidation"))
    names = [profile.value for profile in Profile]
    if state.get("limits-profile") not in names:
        state["limits-profile"] = in_force
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        chosen = st.segmented_control(
            "Profile", names, key="limits-profile", required=True, label_visibility="collapsed", persist_state="session"
        )
        st.html(f'<span class="n-sub">the desk runs on {escape(in_force)}</span>', width="content")
    profile = Profile(chosen or in_force)
    now = str(pulse.exposure.get("regime") or Regime.UNKNOWN)
    regime = Regime(now) if now in tuple(Regime) else Regime.UNKNOWN
    applied = pulse.exposure.get("limits") if profile == in_force else None
    st.html(limits_table(book.profiles[profile], regime, applied or {}))
    st.html(f'<span class="n-sub">{escape(allowed_words(book.profiles[profile], regime))}</span>')
    warnings = book.warnings.get(profile, ())
    if warnings:
        st.html(look.heading("What this profile promises and cannot keep", f"{len(warnings)} warnings of the loader"))
        lines = "".join(f"<span>{escape(one[0].upper() + one[1:])}.</span>" for one in warnings)
        st.html(f'<div class="n-blocks" role="status">{lines}</div>')


live(body, "Limits")
