"""What became of advice, in one or two sentences with its numbers: what it cost, where it stands, what it cured."""

import math
from dataclasses import dataclass
from datetime import datetime

from models.quant.advice import DAY_SECONDS
from models.quant.breach import money, percent
from models.quant.lifecycle import Decision

OWN, FILL, TRADES = "by itself", "with its fill", "with another trade"
"""How a breach ended: until its end nothing was traded, the advice alone was, or something else was."""


@dataclass(frozen=True)
class Story:
    """One followed proposal so far. Money in currency for the whole ticket; None is unknown.

    `days` since the proposal at the last known value, `over` when its life is over. `breach_days` until its breach
    ended, None while it stands (`breach_known` False: nobody knows); `kept` as advice.Cure.kept tells it.
    """

    outcome: str
    times: int = 1
    filled: bool = False
    unfilled_reason: str = ""
    entry_cost: float | None = None
    profit: float | None = None
    decay: float | None = None
    days: float | None = None
    over: bool = False
    settled: bool = False
    answers: bool = True
    breach_known: bool = True
    breach_days: float | None = None
    breach_ended: str = OWN
    kept: float | None = None
    missing: str = ""


def verdict(story: Story) -> str:
    """`Rejected. It would have cost $212 to enter and stood at +$340 after 5 days; the breach it answered closed by
    itself after 2 days.`"""
    return f"{_fate(story)} {_money(story)}{_breach(story)}."


def _fate(s: Story) -> str:
    word = "Not decided yet" if s.outcome == Decision.PENDING else s.outcome
    if s.outcome == Decision.APPROVED:
        word = "Approved and filled" if s.filled else f"Approved, not filled{_because(s.unfilled_reason)}"
    return f"{word}; proposed {s.times} times." if s.times > 1 else f"{word}."


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _money(s: Story) -> str:
    cost = "What entering it costs is unknown" if s.entry_cost is None else _entering(s)
    if s.profit is None or s.days is None:
        return f"{cost}; what it {'was' if s.over else 'is'} worth is unknown{_because(s.missing)}"
    stood = "ended at" if s.settled else "stood at" if s.over else "stands at"
    joined = "; it" if s.entry_cost is None else " and"
    return f"{cost}{joined} {stood} {gain(s.profit)} after {days(s.days)}{_of_which(s)}"


def _entering(s: Story) -> str:
    assert s.entry_cost is not None
    if s.entry_cost < 0:
        entered = "was entered" if s.filled else "would have been entered"
        return f"It {entered} {money(-s.entry_cost)} better than the mid"
    return f"It {'cost' if s.filled else 'would have cost'} {money(s.entry_cost)} to enter"


def _of_which(s: Story) -> str:
    if s.decay is None or round(s.decay) == 0:
        return ""
    return f" ({money(s.decay)} of decay paid)" if s.decay > 0 else f" ({money(-s.decay)} of decay earned)"


def _breach(s: Story) -> str:
    if not s.answers:
        return ""
    if not s.breach_known:
        return "; when the breach it answered ended is unknown"
    if s.breach_days is not None:
        return f"; the breach it answered closed {s.breach_ended} after {days(s.breach_days)}"
    if s.kept is None:
        return "; the breach it answered still stands"
    return f"; the breach it answered still stands, and {_would(s)}"


def _would(s: Story) -> str:
    assert s.kept is not None
    if s.kept < 0:
        return "it now deepens it" if s.filled else "it would now deepen it"
    return f"it {'keeps' if s.filled else 'would keep'} {percent(s.kept)} of the cure it promised"


def gain(value: float) -> str:
    """`+$340`, `−$120`, `$0`."""
    text = money(value)
    return f"+{text}" if value > 0 and text != "$0" else text


def days(count: float) -> str:
    """Days as a person counts them: `5 days`, `1 day`, `3 hours`, `20 minutes`."""
    for size, unit in ((1.0, "day"), (1 / 24, "hour")):
        if count >= size * 0.95:
            whole = max(round(count / size), 1)
            return f"{whole} {unit}{'' if whole == 1 else 's'}"
    minutes = max(math.ceil(count * 1440), 1)
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def days_between(then: datetime, now: datetime) -> float:
    return max((now - then).total_seconds(), 0.0) / DAY_SECONDS
