"""The engine room: who works, when they last spoke, their switches, what was asked of whom, alerts and the call log."""

from html import escape

import streamlit as st

from app import decide, grids, look
from app import format as fmt
from app.cockpit import Cockpit, cockpit_or_stop, live, machine_now
from app.decide import Outcome
from app.pulse import Pulse
from app.staff import others_at_work, staff_of
from app.status import State, agent_state, is_silent
from app.wording import misses_in_words
from models.control import Alert, Heartbeat, RequestKind
from models.settings import Staff

TONES = {State.OK: "gain", State.LATE: "warn", State.DOWN: "over", State.NO_DATA: "quiet"}


def body() -> None:
    cockpit = cockpit_or_stop()
    pulse = cockpit.pulse()
    _staff_process(cockpit)
    st.html(look.heading("Agents", "each writes one sentence per pass; ages in machine time"))
    if not pulse.heartbeats:
        st.html(look.empty("No agent has reported.", "The first heartbeats come within seconds of the staff's start."))
    for beat in pulse.heartbeats:
        _agent(cockpit, pulse, beat)
    left, right = st.columns([5, 7], gap="medium")
    with left:
        _alerts(cockpit, pulse)
        _asked(cockpit)
        _desk_facts(pulse)
        _surfaces(cockpit)
    with right:
        _log(cockpit)
        _keys()


def _staff_process(cockpit: Cockpit) -> None:
    """How our own child is, when we started one; a way to start it when nobody works."""
    if cockpit.settings.staff is not Staff.EMBEDDED:
        return
    staff = staff_of(cockpit)
    if staff.running or others_at_work(cockpit):
        return
    ended = staff.ended_with
    how = "It was not started." if ended is None else f"It ended with code {ended}. {staff.last_words()}"
    st.html(
        look.trouble(
            "The staff is not running", how, f"Start it here, or run `python -m agents`. Log: {staff.log_path}"
        )
    )
    st.button("Start the staff", key="start-staff", type="primary", on_click=staff.start)


def _agent(cockpit: Cockpit, pulse: Pulse, beat: Heartbeat) -> None:
    state = agent_state(beat, pulse.at)
    switch = pulse.switches.get(f"agent:{beat.agent}")
    word = switch.value if switch else "go"
    said = fmt.age(fmt.seconds_between(beat.at, pulse.at))
    due = _due(beat, pulse)
    took = "" if beat.seconds is None else f" · took {fmt.age(beat.seconds)}"
    name, line, deeds = st.columns([2, 7, 4], gap="small", vertical_alignment="center")
    name.html(
        f"<b>{escape(beat.agent.replace('_', ' '))}</b><br>{look.chip(state, TONES[state])}{look.chip(beat.state)}"
    )
    line.html(
        f'<div>{escape(beat.sentence)}</div><span class="n-sub n-num">{said} ago{due}{took} · pid {beat.pid}</span>'
    )
    with deeds, st.container(horizontal=True, gap="xsmall", horizontal_alignment="right"):
        st.segmented_control(
            beat.agent,
            ("go", "pause", "stop"),
            default=word if word in ("go", "pause", "stop") else None,
            key=f"steer-{beat.agent}",
            label_visibility="collapsed",
            on_change=_steer,
            args=(cockpit, beat.agent),
        )
        st.button("Run now", key=f"run-{beat.agent}", on_click=_run, args=(cockpit, beat.agent))


def _due(beat: Heartbeat, pulse: Pulse) -> str:
    if beat.next_at is None:
        return ""
    left = beat.next_at - pulse.at
    return f" · next in {fmt.countdown(left)}" if left.total_seconds() >= 1 else " · due now"


def _steer(cockpit: Cockpit, agent: str) -> None:
    word = st.session_state.get(f"steer-{agent}")
    if word is not None:
        cockpit.act(lambda store: decide.steer_agent(store, agent, word, cockpit.trader, machine_now()), agent)


def _run(cockpit: Cockpit, agent: str) -> None:
    _remember(cockpit.act(lambda store: decide.run_now(store, agent, cockpit.trader, machine_now()), agent))


def _alerts(cockpit: Cockpit, pulse: Pulse) -> None:
    st.html(look.heading("Alerts", "one cause, one line"))
    if not pulse.alerts:
        st.html(look.empty("No alert is firing.", "Alerts settle by themselves when their cause is gone."))
    for alert in pulse.alerts:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            st.html(_alert(alert), width="stretch")
            if alert.acknowledged_at is None:
                st.button(
                    "Acknowledge",
                    key=f"ack-{alert.id}",
                    type="tertiary",
                    on_click=_acknowledge,
                    args=(cockpit, alert.id),
                )
            if not is_silent(alert, pulse.at):
                st.button(
                    "Silence 1 h",
                    key=f"silence-{alert.id}",
                    type="tertiary",
                    on_click=_silence,
                    args=(cockpit, alert.id),
                    help="Its cause notifies nobody and asks for nothing for an hour; it stays in this list.",
                )


def _alert(alert: Alert) -> str:
    tone = {"red": "over", "yellow": "warn"}.get(alert.severity, "quiet")
    first, last = (fmt.eastern(at, seconds=False) for at in (alert.first_seen, alert.last_seen))
    seen = f"{first}–{last} ET · {alert.count}×"
    ack = f" · seen by {alert.acknowledged_by}" if alert.acknowledged_by else ""
    if alert.silenced_until is not None:
        ack += f" · silent until {fmt.eastern(alert.silenced_until, seconds=False)} ET"
    return (
        f'<div class="n-need"><span>{look.chip(alert.severity, tone)}</span><span>{escape(alert.title)} '
        f'<small>{escape(alert.body)} <span class="n-num">{escape(seen + ack)}</span></small></span></div>'
    )


def _acknowledge(cockpit: Cockpit, alert_id: int) -> None:
    cockpit.act(lambda store: decide.acknowledge(store, alert_id, cockpit.trader, machine_now()), "alerts")


def _silence(cockpit: Cockpit, alert_id: int) -> None:
    cockpit.act(lambda store: decide.silence(store, alert_id, cockpit.trader, machine_now()), "alerts")


KEYS = (
    ("1 – 8", "open a page"),
    ("J, K", "next, previous proposal"),
    ("Ctrl + Enter", "approve the open card"),
    ("X, S", "reject (choose the reason first), snooze"),
    ("Ctrl + Shift + H", "HALT"),
)


def _keys() -> None:
    st.html(look.heading("Keys", "they rest while you type in a field"))
    st.html(look.table(("Key", "Does"), [(escape(key), escape(deed)) for key, deed in KEYS], css="n-words"))


def _asked(cockpit: Cockpit) -> None:
    """What was asked from this page, and what came back."""
    st.html(look.heading("Asked of the staff", "from this tab; every request has a deadline"))
    with st.container(horizontal=True, gap="xsmall"):
        st.button(
            "Doctor",
            key="doctor",
            on_click=_ask_bridge,
            args=(cockpit, RequestKind.DOCTOR),
            help="The bridge examines its own connection.",
        )
        st.button(
            "Test notification",
            key="test-notification",
            on_click=_ask_bridge,
            args=(cockpit, RequestKind.TEST_NOTIFICATION),
            help="One notice to every channel of NOTIFY_URLS; the answer names the ones that did not take it.",
        )
    numbers: list[int] = st.session_state.get("asked", [])
    rows = []
    for number in reversed(numbers[-6:]):
        request = cockpit.ask(lambda store, number=number: store.control.request(number))
        words = ", ".join(f"{key} {value}" for key, value in (request.result or {}).items())
        late = request.status == "asked" and request.deadline < machine_now()
        state = "nobody took it in time" if late else request.status
        rows.append(
            (f"{number} · {escape(request.kind)} → {escape(request.target)}", escape(state), escape(words[:400]))
        )
    if rows:
        st.html(look.table(("Request", "State", "Answer"), rows, css="n-words"))


def _ask_bridge(cockpit: Cockpit, kind: RequestKind) -> None:
    _remember(cockpit.act(lambda store: decide.ask_bridge(store, kind, {}, cockpit.trader, machine_now()), str(kind)))


def _remember(outcome: Outcome) -> None:
    if outcome.request is not None:
        st.session_state["asked"] = [*st.session_state.get("asked", []), outcome.request]


def _desk_facts(pulse: Pulse) -> None:
    st.html(look.heading("This desk"))
    drift = (pulse.desk_at - pulse.at).total_seconds()
    facts = (
        ("Mode", pulse.desk.mode),
        ("Epoch", str(pulse.desk.epoch)),
        ("Venue", pulse.desk.venue_id or "n/a"),
        ("Desk time", f"{fmt.eastern_day(pulse.desk_at)} ET, rate {pulse.desk.clock_rate:g}"),
        ("Desk clock against UTC", f"{fmt.number(drift, 1, sign=True)} s"),
        ("Last look at the memory", f"{pulse.latency * 1000:.0f} ms"),
    )
    st.html(look.table(("Fact", "Value"), [(escape(name), escape(value)) for name, value in facts]))


def _surfaces(cockpit: Cockpit) -> None:
    """How far modelled prices were from the real quotes that came later, one line per underlying."""
    st.html(look.heading("Modelled prices", "against the real quotes that came later, counted by the streams"))
    days = cockpit.ask(lambda store: store.market.latest_misses())
    if not days:
        st.html(look.empty("Nothing was counted yet.", "The first counts come when a modelled contract is quoted."))
    for day in days:
        st.html(f'<p class="n-sub n-num">{escape(misses_in_words(day))}</p>')


def _log(cockpit: Cockpit) -> None:
    title, box = st.columns([6, 5], vertical_alignment="bottom")
    title.html(look.heading("Calls to counterparties", "newest first, ids masked"))
    wanted = box.text_input("Filter", key="log-filter", placeholder="call, code or word", label_visibility="collapsed")
    rows = cockpit.ask(lambda store: store.control.api_logs(200))
    frame = grids.log_frame(rows, wanted or "")
    if frame.empty:
        st.html(
            look.empty("No calls to show.", "Nothing was exchanged yet, or the filter matches none of the last 200.")
        )
        return
    st.dataframe(
        frame,
        hide_index=True,
        height=min(40 + 28 * len(frame), 420),
        row_height=28,
        placeholder="",
        key="log",
        alt="Calls to counterparties",
    )


live(body, "Ops")
