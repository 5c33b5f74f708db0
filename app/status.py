"""How the desk is: four lights, the switches in words, what needs the person now, most urgent first. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from app import format as fmt
from app.measures import BY_KIND, value_text
from app.pulse import Pulse
from models.calendar import CalendarError, minutes_to_close, next_session, span_at
from models.control import Alert, Heartbeat, Switch
from models.quant.product import NEW_YORK, Hours


class State(StrEnum):
    OK = "OK"
    LATE = "LATE"
    DOWN = "DOWN"
    NO_DATA = "NO DATA"


@dataclass(frozen=True)
class Light:
    name: str
    state: State
    detail: str


BRIDGE, STREAMER, WATCH = "ibkr_bridge", "greeks_streamer", "market_watch"
LATE_AFTER, DOWN_AFTER = 8.0, 30.0
"""Seconds past an agent's own next time, beside a few of its usual passes, which it may be in the midst of."""
QUOTES_LATE, QUOTES_DOWN = 10.0, 60.0
DATABASE_LATE = 1.0


def lights(pulse: Pulse) -> tuple[Light, ...]:
    """Broker bridge, market data, database, workers; each OK, LATE, DOWN or NO DATA, never blank."""
    beats = {beat.agent: beat for beat in pulse.heartbeats}
    return (
        _agent_light("Bridge", beats.get(BRIDGE), pulse.at),
        _market_light(pulse, beats.get(STREAMER)),
        Light("DB", State.OK if pulse.latency < DATABASE_LATE else State.LATE, f"{pulse.latency * 1000:.0f} ms"),
        _workers_light(pulse),
    )


def agent_state(beat: Heartbeat | None, now: datetime) -> State:
    """An agent's state from its last word: failed or long overdue is DOWN, overdue or waiting for what it
    needs is LATE, silent is NO DATA."""
    if beat is None:
        return State.NO_DATA
    if beat.state in ("failed", "stopped"):
        return State.DOWN
    overdue = (now - max(beat.next_at or beat.at, beat.at)).total_seconds()
    took = beat.seconds or 0.0
    if overdue > DOWN_AFTER + 3 * took:
        return State.DOWN
    late = beat.state == "waiting" or overdue > LATE_AFTER + 2 * took
    return State.LATE if late else State.OK


def _agent_light(name: str, beat: Heartbeat | None, now: datetime) -> Light:
    state = agent_state(beat, now)
    if beat is None:
        return Light(name, state, "never heard")
    return Light(name, state, fmt.age(fmt.seconds_between(beat.at, now)))


def _market_light(pulse: Pulse, streamer: Heartbeat | None) -> Light:
    spx = pulse.market.get("SPX")
    if spx is None:
        return Light("Market data", State.NO_DATA, "no SPX yet")
    seconds = fmt.seconds_between(spx.received_at, pulse.at) or 0.0
    state = State.OK if seconds <= QUOTES_LATE else State.LATE if seconds <= QUOTES_DOWN else State.DOWN
    if state is State.OK and agent_state(streamer, pulse.at) is State.DOWN:
        state = State.LATE
    return Light("Market data", state, fmt.age(seconds))


def _workers_light(pulse: Pulse) -> Light:
    if not pulse.heartbeats:
        return Light("Workers", State.NO_DATA, "none has reported")
    states = [agent_state(beat, pulse.at) for beat in pulse.heartbeats]
    newest = max(beat.at for beat in pulse.heartbeats)
    age = fmt.age(fmt.seconds_between(newest, pulse.at))
    bad = sum(state is not State.OK for state in states)
    worst = State.DOWN if State.DOWN in states else State.LATE if State.LATE in states else State.OK
    return Light("Workers", worst, f"{bad} of {len(states)} not well" if bad else f"{len(states)} · {age}")


def acknowledgement(switch: Switch | None, now: datetime) -> str:
    """How long the bridge took to hear a switch, or how long it has been silent."""
    if switch is None:
        return ""
    if switch.acknowledged_at is None or switch.acknowledged_at < switch.set_at:
        return f"the bridge has not acknowledged for {fmt.age(fmt.seconds_between(switch.set_at, now))}"
    return f"bridge acknowledged in {(switch.acknowledged_at - switch.set_at).total_seconds():.1f} s"


def session_words(desk_at: datetime) -> str:
    """`09:42 ET · regular · 6 h 33 to close` for the index options' hours."""
    moment = desk_at.astimezone(NEW_YORK)
    clock = moment.strftime("%a %d %b · %H:%M:%S ET")
    try:
        span = span_at(Hours.CBOE_INDEX, desk_at)
        if span is None:
            opens = next_session(Hours.CBOE_INDEX, desk_at)
            return f"{clock} · closed · opens {fmt.eastern_day(opens.start)}"
        left = minutes_to_close(Hours.CBOE_INDEX, desk_at) or 0.0
        return f"{clock} · {span.kind} · {fmt.span(left)} to close"
    except CalendarError:
        return f"{clock} · session unknown"


@dataclass(frozen=True)
class Need:
    """One row of "needs you now": what, why, and the page where it is settled. Lower `rank` is more urgent."""

    rank: float
    tone: str
    word: str
    what: str
    why: str
    page: str


def needs(pulse: Pulse) -> tuple[Need, ...]:
    """What waits for the person: locks and unknown orders, breaches, proposals, alerts, stale or silent parts."""
    found = [*_order_needs(pulse), *_breach_needs(pulse), *_proposal_needs(pulse), *_expiry_needs(pulse)]
    found += _alert_needs(pulse)
    found += [
        Need(
            5 if light.state is State.DOWN else 8,
            "over" if light.state is State.DOWN else "warn",
            light.state,
            f"{light.name}: {light.detail}",
            _complaint(pulse) or "Ops shows who and why",
            "ops",
        )
        for light in lights(pulse)
        if light.state is not State.OK
    ]
    return tuple(sorted(found, key=lambda need: need.rank))


def _complaint(pulse: Pulse) -> str:
    """What the agent that failed last says, the bridge before all others; empty when none failed."""
    failed = [beat for beat in pulse.heartbeats if beat.state == "failed"]
    said = max(failed, key=lambda beat: (beat.agent == BRIDGE, beat.at), default=None)
    return "" if said is None else f"{said.agent.replace('_', ' ')}: {said.sentence}"


def _order_needs(pulse: Pulse) -> Iterable[Need]:
    for lock in pulse.locks:
        yield Need(0, "over", "lock", f"{lock.family} is locked", lock.reason, "orders")
    for order in pulse.working:
        if order.status == "unknown":
            why = order.reason or "the broker has not said what became of it"
            yield Need(0.5, "over", "unknown", f"Order {order.order_ref[:8]} in {order.risk_family}", why, "orders")


def _breach_needs(pulse: Pulse) -> Iterable[Need]:
    for row in pulse.exposure.get("use") or ():
        measure = BY_KIND.get(row.get("kind"))
        use = fmt.known(row.get("use"))
        if not row.get("breached") or not row.get("is_cap", True):
            continue
        name = measure.name if measure else str(row.get("kind")).replace("_", " ")
        value, limit = fmt.known(row.get("value")), fmt.known(row.get("limit"))
        if measure:
            figures = f"{value_text(measure, value)} against {value_text(measure, limit, sign=False)}"
        else:
            write = fmt.percent if row.get("unit") == "ratio" else fmt.money
            figures = f"{write(value)} against {write(limit)}"
        said = str(row.get("words") or f"{name} is past its limit.").rstrip(".")
        yield Need(1 - min(use or 0, 9) / 10, "over", "breach", said, figures, "proposals")


def _proposal_needs(pulse: Pulse) -> Iterable[Need]:
    cards = pulse.open_cards
    if not cards:
        return
    soonest = min(card.expires_at for card in cards)
    left = fmt.countdown(soonest - pulse.at)
    names = ", ".join(dict.fromkeys(card.strategy_name for card in cards))
    yield Need(
        2,
        "accent",
        "decide",
        f"{fmt.plural(len(cards), 'proposal')} to decide",
        f"{names} · first expires in {left}",
        "proposals",
    )


def _expiry_needs(pulse: Pulse) -> Iterable[Need]:
    """Short options that expire within a day."""
    edge = (pulse.desk_at + timedelta(days=1)).astimezone(NEW_YORK).date()
    soon = [row for row in pulse.positions if (row.quantity or 0) < 0 and _expires_by(row.contract, edge)]
    if soon:
        names = ", ".join(row.contract for row in soon[:3])
        yield Need(
            3,
            "warn",
            "expiry",
            f"{fmt.plural(len(soon), 'short option expires', 'short options expire')} within a day",
            names,
            "book",
        )


def _expires_by(identity: str, edge: object) -> bool:
    from models.quant.option import parse_osi

    try:
        return parse_osi(identity)[1] <= edge  # type: ignore[operator]
    except ValueError:
        return False


def is_silent(alert: Alert, now: datetime) -> bool:
    return alert.silenced_until is not None and alert.silenced_until > now


def waiting_alerts(pulse: Pulse) -> tuple[Alert, ...]:
    """Those that ask for the person: firing, neither acknowledged nor silenced."""
    unseen = (alert for alert in pulse.alerts if alert.state == "firing" and alert.acknowledged_at is None)
    return tuple(alert for alert in unseen if not is_silent(alert, pulse.at))


def _alert_needs(pulse: Pulse) -> Iterable[Need]:
    for alert in waiting_alerts(pulse):
        red = alert.severity == "red"
        yield Need(1.5 if red else 4, "over" if red else "warn", "alert", alert.title, alert.body, "ops")
