"""Commands to a running venue: scenarios, moves, the clock's speed, fill behaviours, recording.

A command is a JSON object; each key is one order and they are obeyed in the order of COMMANDS.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.simulator.names import INDEX
from adapters.simulator.scenarios import scenario_of
from adapters.simulator.surface import level_of
from adapters.simulator.take_record import record_market
from adapters.simulator.types import FillStyle

if TYPE_CHECKING:
    from adapters.simulator.venue import Venue


class ControlError(ValueError):
    """A command the venue does not know or cannot obey; the message says which and what it would take."""


def obey(venue: "Venue", command: Mapping[str, Any]) -> str:
    """Obey every part of a command; raises ControlError before anything is done when a key is unknown."""
    if not isinstance(command, Mapping) or not command:
        raise ControlError(f"a command is a JSON object with any of {', '.join(COMMANDS)}")
    unknown = set(command) - set(COMMANDS)
    if unknown:
        raise ControlError(f"unknown command {', '.join(sorted(unknown))}; there are {', '.join(COMMANDS)}")
    return "; ".join(act(venue, command[name]) for name, act in COMMANDS.items() if name in command)


def _speed(venue: "Venue", value: Any) -> str:
    venue.clock.set_speed(_number("speed", value))
    venue.market.standing = venue.clock.speed == 0
    return f"speed {venue.clock.speed:g}"


def _clock(venue: "Venue", value: Any) -> str:
    at = datetime.fromisoformat(str(value))
    if at.tzinfo is None:
        raise ControlError(f"clock {value!r} has no time zone")
    venue.clock.jump_to(at)
    return f"clock {venue.clock.now():%Y-%m-%d %H:%M:%S} UTC"


def _scenario(venue: "Venue", value: Any) -> str:
    scenario = scenario_of(str(value))
    venue.market.command(scenario)
    return scenario.words


def _move(venue: "Venue", value: Any) -> str:
    """{"spot_pct": −3, "vol_points": 5, "seconds": 0}: the index by per cent, VIX by points."""
    if not isinstance(value, Mapping) or set(value) - {"spot_pct", "vol_points", "seconds"}:
        raise ControlError('move takes {"spot_pct": number, "vol_points": number, "seconds": number}')
    numbers = {name: _number(name, value.get(name, 0.0)) for name in ("spot_pct", "vol_points", "seconds")}
    factors = venue.market.factors
    vix = max(factors.vix + numbers["vol_points"], 5.0)
    log_level = math.log(level_of(INDEX.smile, vix) / factors.level)
    seconds = 0.0 if venue.market.standing else numbers["seconds"]
    factors.shift(math.log1p(numbers["spot_pct"] / 100), log_level, seconds)
    return f"moved {numbers['spot_pct']:+g} %, {numbers['vol_points']:+g} points"


def _fill_style(venue: "Venue", value: Any) -> str:
    """ "never", or {"style": "partial", "order_ref": "…", "delay": 0.5}."""
    raw = value if isinstance(value, Mapping) else {"style": value}
    try:
        style = FillStyle(str(raw.get("style")))
    except ValueError as error:
        raise ControlError(f"no fill style {raw.get('style')!r}; there are {', '.join(FillStyle)}") from error
    delay = raw.get("delay")
    reference = str(raw.get("order_ref", ""))
    venue.exchange.set_fill_style(style, reference, None if delay is None else _number("delay", delay))
    return f"fills {style}" + (f" for {reference}" if reference else "")


def _record(venue: "Venue", value: Any) -> str:
    count = record_market(venue.market, Path(str(value)))
    return f"{count} options recorded in {value}"


def _drop_clients(venue: "Venue", _value: Any) -> str:
    venue.drop_clients()
    return "every client was dropped"


def _stop(venue: "Venue", _value: Any) -> str:
    venue.request_stop()
    return "stopping"


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ControlError(f"{name} {value!r} is not a number")
    return float(value)


COMMANDS: dict[str, Callable[["Venue", Any], str]] = {
    "speed": _speed,
    "clock": _clock,
    "scenario": _scenario,
    "move": _move,
    "fill_style": _fill_style,
    "record": _record,
    "drop_clients": _drop_clients,
    "stop": _stop,
}
