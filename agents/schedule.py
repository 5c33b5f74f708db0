"""The desk's day as data: which agent works in which process, how often, how long one pass may take, on which lease.

`every` is the floor (a change in the store or a request runs an agent at once); 0 means again as soon as it is done;
a word names the Settings field that holds the seconds.
"""

from dataclasses import dataclass
from datetime import time

from models.settings import Settings

AFTER_CLOSE = time(17, 5)  # New York: the curb session of SPX options is over

BRIDGE, STREAMS, THINKERS = "bridge", "streams", "thinkers"


@dataclass(frozen=True)
class Duty:
    """One line of the day. Agents with the same lease live and move together (they share one connection)."""

    agent: str  # the module agents.<agent>, whose `work` is the pass
    process: str
    every: float | str
    deadline: float
    lease: str
    keeps_lease: bool = False
    what: str = ""

    def seconds(self, settings: Settings) -> float:
        return float(getattr(settings, self.every) if isinstance(self.every, str) else self.every)


DAY: tuple[Duty, ...] = (
    Duty("ibkr_bridge", BRIDGE, 0, 0, "bridge", True, "crosses decisions, keeps the account and the book"),
    Duty("greeks_streamer", STREAMS, 0, 30, "streams", True, "streams quotes, fits surfaces, keeps the desk clock"),
    Duty("market_watch", STREAMS, 3, 20, "streams", True, "VIX, VIX3M, VVIX, SPX and betas"),
    Duty(
        "trade_proposer", THINKERS, "proposer_interval", 120, "trade_proposer", False, "from a breach to three hedges"
    ),
    Duty("optimal_hedge", THINKERS, 60, 120, "optimal_hedge", False, "the best hedge of the whole chain beside them"),
    Duty(
        "closing_bell",
        THINKERS,
        60,
        60,
        "closing_bell",
        False,
        "expires what is due, keeps the score, tidies up",
    ),
)


def duties(process: str) -> tuple[Duty, ...]:
    return tuple(duty for duty in DAY if duty.process == process)


def duty_of(agent: str) -> Duty:
    """The line of one agent; raises KeyError naming those there are."""
    for duty in DAY:
        if duty.agent == agent:
            return duty
    raise KeyError(f"no agent is named {agent!r}; the day knows {', '.join(duty.agent for duty in DAY)}")
