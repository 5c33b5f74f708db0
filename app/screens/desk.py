"""Home: what needs the person now, how the book stands against its limits, and what the staff last said."""

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from app import charts, grids, limits, look
from app import format as fmt
from app.cockpit import Cockpit, cockpit_or_stop, live, want_page
from app.pulse import Pulse
from app.status import Need, agent_state, needs
from models.order import Execution


def body() -> None:
    cockpit = cockpit_or_stop()
    pulse = cockpit.pulse()
    left, right = st.columns(2, gap="medium")
    with left:
        _needs(needs(pulse), pulse)
        _day(cockpit, pulse)
        _markets(pulse)
    with right:
        _limits(pulse)
    left, right = st.columns([7, 5], gap="medium")
    with left:
        _book(cockpit, pulse)
    with right:
        _staff(pulse)


def _limits(pulse: Pulse) -> None:
    """Every limit with its use, distance and since when; what is only watched stands apart."""
    exposure, since = pulse.exposure, limits.Since(pulse.breaches, pulse.at)
    regime = str(exposure.get("regime") or "unknown regime").replace("_", " ")
    partial = " (partial)" if exposure.get("partial") else ""
    profile = exposure.get("profile") or "n/a"
    st.html(look.heading("Book against its limits", f"{regime}{partial} · profile {profile}"))
    if notes := _regime_notes(exposure):
        st.html(notes)
    with st.container(border=True):
        st.html(limits.limit_lines(exposure, since))
    watched, contradictions = limits.caution_lines(exposure, since), exposure.get("warnings") or ()
    if watched or contradictions:
        st.html(look.heading("Warnings", "watched only: they refuse nothing and alert nobody"))
    if watched:
        with st.container(border=True):
            st.html(watched)
    if contradictions:
        said = "".join(f"<span>{escape(str(words))}.</span>" for words in contradictions)
        st.html(f'<div class="n-blocks"><b>Profile {escape(str(profile))} contradicts itself</b>{said}</div>')


def _regime_notes(exposure: Mapping[str, Any]) -> str:
    """What the regime does not know, and what follows from it; empty when nothing is missing."""
    notes = "; ".join(str(note) for note in exposure.get("notes") or ())
    flagged = (exposure.get("limits") or {}).get("flagged") or ()
    if flagged:
        words = f"{notes}. The tightest known limits are in force; only trades that reduce are proposed."
        return f'<div class="n-blocks" role="status"><span>{escape(words)}</span></div>'
    return f'<span class="n-sub">{escape(notes)}</span>' if notes else ""


def _needs(found: tuple[Need, ...], pulse: Pulse) -> None:
    st.html(look.heading("Needs you now", f"as of {fmt.eastern(pulse.desk_at)} ET"))
    if not found:
        st.html(
            look.empty("Nothing waits for you.", "No breach, no proposal, no alert; every part of the desk answers.")
        )
        return
    for index, need in enumerate(found[:8]):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            st.html(_need(need), width="stretch")
            path = f"screens/{need.page}.py"
            st.button("Open", key=f"need-{index}", type="tertiary", on_click=want_page, args=(path,))


def _need(need: Need) -> str:
    return (
        f'<div class="n-need"><span>{look.chip(need.word, need.tone)}</span>'
        f"<span>{escape(need.what)} <small>{escape(need.why)}</small></span></div>"
    )


def _day(cockpit: Cockpit, pulse: Pulse) -> None:
    account = pulse.account
    money = [
        ("Day", account.day_pnl if account else None),
        ("Unrealised", account.unrealized_pnl if account else None),
        ("Realised", account.realized_pnl if account else None),
    ]
    words = " · ".join(f"{name} {fmt.money(value, sign=True)}" for name, value in money)
    st.html(look.heading("BW delta through the day", f"$ per +1 % SPX · P&L: {words}"))
    line = cockpit.history().lines.get("spx_delta", ())
    if len(line) < 2:
        st.html(look.empty("No line yet.", "The bridge values the book every few seconds; two valuations draw a line."))
        return
    fills: list[Execution] = cockpit.ask(lambda store: store.orders.executions(since=line[0][0], limit=100))
    limit = fmt.known((pulse.exposure.get("limits") or {}).get("delta_cap"))
    st.plotly_chart(
        charts.through_the_day(line, limit=limit, fills=[fill.at for fill in fills]),
        key="day-delta",
        theme=None,
        config=charts.CONFIG,
        alt="Beta-weighted delta through the day against its limit, fills marked",
    )


def _book(cockpit: Cockpit, pulse: Pulse) -> None:
    rows = sorted(pulse.positions, key=grids.risk_of, reverse=True)[:10]
    st.html(look.heading("Largest risks", f"10 of {len(pulse.positions)} positions · all on Book"))
    if not rows:
        st.html(
            look.empty(
                "No positions are valued.", "Either the account is flat or the bridge has not written a valuation."
            )
        )
        return
    positions = cockpit.ask(lambda store: store.book.positions(pulse.account_id))
    wanted = {row.contract for row in rows}
    records = grids.book_rows(rows, [p for p in positions if p.identity in wanted], pulse.desk_at)
    head = ("Contract", "Qty", "DTE", "Mark", "BW Δ $/1 %", "Vega $/pt w.", "Γ Δ$/1 %", "Θ $/day")
    st.html(look.table(head, [_book_row(record) for record in records]))


def _book_row(record: dict[str, object]) -> tuple[str, ...]:
    name = escape(str(record["Contract"]))
    if record["Why unknown"]:
        name += f' <span title="{escape(str(record["Why unknown"]))}">{look.chip("unknown", "warn")}</span>'
    days = record["DTE"]
    return (
        name,
        fmt.quantity(fmt.known(record["Qty"])),
        "" if days is None else str(days),
        fmt.price(fmt.known(record["Mark"])),
        *(fmt.number(fmt.known(record[key]), sign=True) for key in ("BW delta", "Vega w.", "Gamma", "Theta")),
    )


def _markets(pulse: Pulse) -> None:
    st.html(look.heading("Market", "change on the day before"))
    known = [pulse.market[name] for name in ("SPX", "VIX", "VIX3M", "VVIX") if name in pulse.market]
    if not known:
        st.html(look.empty("No market data.", "The market watch has not reported; see Ops."))
        return
    rows = []
    for state in known:
        change = None if state.value is None or not state.previous_close else state.value / state.previous_close - 1
        age = fmt.age(fmt.seconds_between(state.received_at, pulse.at))
        rows.append(
            (
                escape(state.name),
                fmt.number(state.value, 2),
                fmt.percent(change, 2, sign=True),
                escape(state.source),
                age,
            )
        )
    st.html(look.table(("Index", "Level", "Day", "Source", "Age"), rows))


def _staff(pulse: Pulse) -> None:
    st.html(look.heading("What the staff last said"))
    if not pulse.heartbeats:
        st.html(
            look.empty("Nobody has reported.", "The staff is starting, or not running; Ops says which and starts it.")
        )
        return
    rows = [
        (
            escape(beat.agent.replace("_", " ")),
            f"{escape(beat.sentence)}",
            f'<span class="n-num n-mute">{fmt.age(fmt.seconds_between(beat.at, pulse.at))}</span>'
            + ("" if agent_state(beat, pulse.at) == "OK" else look.chip(agent_state(beat, pulse.at), "over")),
        )
        for beat in pulse.heartbeats
    ]
    st.html(look.table(("Agent", "Sentence", "Age"), rows, css="n-words"))


live(body, "Desk")
