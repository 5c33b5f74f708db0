"""What stands on every page: mode strip, lights, clock, pages, the HALT and pause switches, and the six numbers.

One fragment redraws it every few seconds. It is the one place that asks which mode the desk is in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

import streamlit as st

from app import decide, look
from app import format as fmt
from app.cockpit import SHELL_EVERY, Cockpit, boundary, go_where_wanted, machine_now, remedy_of, want_page
from app.decide import Outcome
from app.measures import Kpi, kpis, oldest
from app.pulse import History, Pulse
from app.status import Light, State, acknowledgement, lights, session_words, waiting_alerts
from database.errors import DatabaseError
from models.control import SwitchName
from models.settings import Mode, Settings, mask_account

NAME = "Nimble"


@dataclass(frozen=True)
class Place:
    """One page of the cockpit: its file, its name, the key that opens it."""

    path: str
    title: str
    key: str
    page: Any = None


def shell(cockpit: Cockpit, places: Sequence[Place], here: str) -> None:
    """Draw the shell now and every few seconds from now on; `here` is the title of the page below it."""

    @st.fragment(run_every=SHELL_EVERY, key="shell")
    def tick() -> None:
        go_where_wanted()
        with st.container(key="shell"), boundary("The shell"):
            _draw(cockpit, places, here)

    tick()


def _draw(cockpit: Cockpit, places: Sequence[Place], here: str) -> None:
    try:
        pulse = cockpit.pulse()
    except DatabaseError as error:
        st.html(_strip(cockpit.settings, None))
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            _navigate(places, here, {})
            st.space("stretch")
            st.html(_lights((Light("DB", State.DOWN, "no answer"),)), width="content")
        st.html(look.trouble("The memory did not answer", str(error), remedy_of(error)))
        return
    st.set_page_config(page_title=f"{mode_word(cockpit.settings, pulse)} · {NAME}")
    st.html(_strip(cockpit.settings, pulse))
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", wrap=False):
        with st.container(horizontal=True, gap="xxsmall", width="content", wrap=False, key="nav"):
            _navigate(places, here, _counts(pulse))
        st.space("stretch")
        st.html(_lights(lights(pulse)), width="content")
        st.space("small")
        _switches(cockpit, pulse)
    st.html(six_numbers(kpis(pulse), _history_or_none(cockpit)))


def _history_or_none(cockpit: Cockpit) -> History:
    try:
        return cockpit.history()
    except DatabaseError:
        return History({})


# ── the strip ────────────────────────────────────────────────────────────────────────────────────────────────────
def mode_word(settings: Settings, pulse: Pulse | None) -> str:
    """The word of the strip and of the browser's title: HALTED before everything else."""
    return "HALTED" if pulse is not None and pulse.halted else str(settings.mode)


def title_of(cockpit: Cockpit) -> str:
    """`DEMO · Nimble`: the mode's word also stands in the browser's tab."""
    try:
        return f"{mode_word(cockpit.settings, cockpit.pulse())} · {NAME}"
    except DatabaseError:
        return f"{cockpit.settings.mode} · {NAME}"


def orders_reach(settings: Settings, pulse: Pulse | None) -> str:
    """Whether an approval made now would leave the house, and to whom."""
    if pulse is None:
        return "unknown"
    if pulse.halted:
        return "no · HALT is on"
    if settings.mode is Mode.DEMO:
        return "yes · simulated venue"
    if settings.mode is Mode.LIVE and not settings.trading_enabled:
        return "no · TRADING_ENABLED is off"
    return "yes · paper money" if settings.mode is Mode.PAPER else "yes · real money"


def _strip(settings: Settings, pulse: Pulse | None) -> str:
    word = mode_word(settings, pulse)
    account = pulse.account_id if pulse else None
    halted = f"<span>{escape(settings.mode)}</span>" if word == "HALTED" else ""
    heard = ""
    if pulse is not None and pulse.halted:
        heard = f"<b>{escape(acknowledgement(pulse.switches.get(SwitchName.HALT), pulse.at))}</b>"
    said = _said(pulse)
    clock = session_words(pulse.desk_at) if pulse else "desk time unknown"
    return (
        f'<div class="n-strip n-strip-{word.lower()}"><span class="n-mode">{escape(word)}</span>{halted}'
        f'<span class="n-acct">{escape(mask_account(account) if account else "no account yet")}</span>'
        f"<span>Orders reach broker: <b>{escape(orders_reach(settings, pulse))}</b></span>{heard}{said}"
        f'<span class="n-right">{_badges(pulse) if pulse else ""}'
        f'<span class="n-clock">{escape(clock)}</span></span></div>'
    )


SAID_FOR = 8.0
"""Seconds the last deed's sentence stands in the strip; never a toast, which would lie over HALT."""


def _said(pulse: Pulse | None) -> str:
    said: Outcome | None = st.session_state.get("said")
    at: datetime | None = st.session_state.get("said-at")
    if said is None or at is None or pulse is None or pulse.halted or (pulse.at - at).total_seconds() > SAID_FOR:
        return ""
    return f'<span class="n-echo {"n-gain" if said.done else "n-loss"}">{escape(said.sentence)}</span>'


# ── pages, badges, switches ──────────────────────────────────────────────────────────────────────────────────────
def _counts(pulse: Pulse) -> dict[str, int]:
    return {"Proposals": len(pulse.open_cards), "Orders": len(pulse.working)}


def _navigate(places: Sequence[Place], here: str, counts: dict[str, int]) -> None:
    for place in places:
        count = counts.get(place.title, 0)
        label = f"{place.title} ({count})" if count else place.title
        kind = "secondary" if place.title == here else "tertiary"
        st.button(label, key=f"go-{place.title}", type=kind, shortcut=place.key, on_click=want_page, args=(place.path,))


def _lights(shown: Sequence[Light]) -> str:
    dots = "".join(look.light(one.name, one.state, one.detail) for one in shown)
    return f'<span class="n-lights">{dots}</span>'


def _badges(pulse: Pulse) -> str:
    """What waits and how old the oldest fact is; the counts also stand on the pages' own buttons."""
    firing = waiting_alerts(pulse)
    aged = oldest(pulse)
    chips = [
        look.chip(fmt.plural(len(pulse.open_cards), "proposal"), "accent" if pulse.open_cards else "quiet"),
        look.chip(f"{len(pulse.working)} working", "gain" if pulse.working else "quiet"),
        look.chip(fmt.plural(len(firing), "alert"), "over" if firing else "quiet"),
        look.chip(f"oldest: {aged[0]} {fmt.age(aged[1])}" if aged else "oldest: no data", _age_tone(aged)),
    ]
    if pulse.paused:
        chips.insert(0, look.chip("new risk paused", "warn"))
    return f"<span>{''.join(chips)}</span>"


def _age_tone(aged: tuple[str, float] | None) -> str:
    if aged is None or aged[1] > 60:
        return "over"
    return "warn" if aged[1] > 30 else "quiet"


def _switches(cockpit: Cockpit, pulse: Pulse) -> None:
    by = cockpit.trader
    if pulse.paused:
        st.button(
            "Resume", key="pause", on_click=cockpit.act, args=(_pausing(False, by),), help="Let new risk go again."
        )
    else:
        st.button(
            "Pause",
            key="pause",
            on_click=cockpit.act,
            args=(_pausing(True, by),),
            help="No new risk from now on. Reducing trades still go; nothing that rests is touched.",
        )
    if not pulse.halted:
        st.button(
            "HALT",
            key="halt",
            type="primary",
            shortcut="Ctrl+Shift+H",
            on_click=cockpit.act,
            args=(lambda store: decide.halt(store, by, "HALT pressed", machine_now()),),
            help="Stops every new send at once. Resting orders stay; cancels pass.",
        )
        return
    with st.popover("Release HALT…", key="release"), st.form("release-form", border=False):
        st.html(f'<span class="n-sub">{escape(acknowledgement(pulse.switches.get(SwitchName.HALT), pulse.at))}</span>')
        st.text_input(f"Type {decide.RELEASE_WORD}", key="release-word", autocomplete="off")
        st.text_input("Why is it safe again?", key="release-reason")
        st.form_submit_button("Release", on_click=_release, args=(cockpit,))


def _pausing(on: bool, by: str) -> Any:
    return lambda store: decide.pause(store, on, by, machine_now())


def _release(cockpit: Cockpit) -> None:
    # Read here, not in args: a callback's arguments are those of the run before the typing.
    word, reason = st.session_state.get("release-word", ""), st.session_state.get("release-reason", "")
    cockpit.act(lambda store: decide.release(store, cockpit.trader, word, reason, machine_now()))


# ── the six numbers ──────────────────────────────────────────────────────────────────────────────────────────────
def six_numbers(numbers: Sequence[Kpi], history: History) -> str:
    return f'<div class="n-kpis">{"".join(_kpi(one, history.values(one.line)) for one in numbers)}</div>'


def _kpi(one: Kpi, line: Sequence[float]) -> str:
    words = f"{one.name} {one.text}: {fmt.percent(one.use)} of its limit" if one.use is not None else one.name
    under = f'<span class="{look.signed_class(one.tone)}">{escape(one.under)}</span>' if one.tone else escape(one.under)
    used = fmt.percent(one.use) if one.use is not None else ""
    why = f" · {one.why}" if one.why and one.text == fmt.UNKNOWN else ""
    return (
        f'<div class="n-kpi{" n-old" if one.old else ""}" title="{escape(one.formula)}">'
        f'<div class="n-top"><span>{escape(one.name)} <small>{escape(one.unit)}</small></span>'
        f"<span>{fmt.age(one.age) if one.age is not None else 'no data'}</span></div>"
        f'<div class="n-mid"><b>{escape(one.text)}</b>{look.spark(line)}</div>'
        f"{look.bar(one.use, is_cap=one.is_cap, words=words)}"
        f'<div class="n-under"><span>{under}{escape(why)}</span><span>{used}</span></div></div>'
    )
