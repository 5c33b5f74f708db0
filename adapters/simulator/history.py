"""The market's past: a seeded daily history that ends where the venue began, the days since, and today's minutes.

Index and variance are joint, so a history of SPX and VIX shows the correlation the dynamics have. Minutes of a past
day are a bridge from its open to its close inside its range: asked twice, the same bars come.
"""

import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np

from adapters.simulator.columns import Floats
from adapters.simulator.dynamics import LEVERAGE, PULL, VOL_OF_VOL
from adapters.simulator.names import INDEX, NAMES
from adapters.simulator.surface import level_of
from models import calendar

PAST_DAYS = 800
COLUMNS = len(NAMES) + 1  # every name's spot, then the index variance


@dataclass
class Day:
    """One finished session: open, high, low, close of every name and (last column) of the index variance."""

    day: date
    open: Floats
    high: Floats
    low: Floats
    close: Floats


@dataclass
class Today:
    """The session in progress: its first values, its extremes and one sample a minute since the venue opened."""

    day: date
    open: Floats
    high: Floats
    low: Floats
    samples: list[tuple[float, Floats]] = field(default_factory=list)
    close: Floats | None = None  # set when the regular session ends

    def see(self, at: float, values: Floats) -> None:
        self.high = np.maximum(self.high, values)
        self.low = np.minimum(self.low, values)
        if not self.samples or at - self.samples[-1][0] >= 60:
            self.samples.append((at, values.copy()))

    def finish(self, values: Floats) -> Day:
        close = values if self.close is None else self.close
        return Day(self.day, self.open, self.high, self.low, close.copy())


class History:
    """Daily table and minute bars. `anchor` holds the values of the close before the venue's first session."""

    def __init__(self, seed: int, anchor_day: date, anchor: Floats) -> None:
        self.seed = seed
        self.anchor_day = anchor_day
        self.anchor = anchor
        self.since: list[Day] = []
        self._past: list[Day] | None = None

    def days(self) -> list[Day]:
        """Every finished session, oldest first."""
        if self._past is None:
            self._past = _invent(self.seed, self.anchor_day, self.anchor)
        return self._past + self.since

    def previous_close(self) -> Floats:
        return self.since[-1].close if self.since else self.anchor

    def minutes(self, day: Day) -> tuple[Floats, Floats]:
        """(epoch seconds, values (n, COLUMNS)) at the end of each minute of a finished session."""
        span = calendar.regular_session(day.day)
        if span is None:
            return np.empty(0), np.empty((0, COLUMNS))
        count = int((span.end - span.start).total_seconds() // 60)
        times = span.start.timestamp() + 60.0 * np.arange(1, count + 1)
        return times, bridge(self.seed, day.day, day.open, day.close, count, day.low, day.high)


def bridge(seed: int, day: date, start: Floats, end: Floats, count: int, low: Floats, high: Floats) -> Floats:
    """Minute values from `start` to `end` (both rows of COLUMNS), never outside the day's range."""
    noise = np.random.default_rng([seed, day.toordinal()]).standard_normal((count, len(start)))
    noise[:, -1] = -0.85 * noise[:, 0] + 0.5 * noise[:, -1]
    for i, name in enumerate(NAMES[1:], start=1):
        share = min(name.beta * 0.13 / math.hypot(name.beta * 0.13, name.own_vol), 1.0)
        noise[:, i] = share * noise[:, 0] + math.sqrt(1 - share * share) * noise[:, i]
    walk = np.cumsum(noise, axis=0)
    fraction = (np.arange(1, count + 1) / count)[:, None]
    loop = (walk - fraction * walk[-1]) / math.sqrt(count)
    reach = np.maximum(np.log(high / low), 1e-6)
    path = np.exp(np.log(start) + fraction * np.log(end / start) + 0.6 * reach * loop)
    return np.asarray(np.clip(path, low, high))


def _invent(seed: int, anchor_day: date, anchor: Floats) -> list[Day]:
    """PAST_DAYS sessions that end with the anchor's closes."""
    days = list(calendar.trading_days(anchor_day - timedelta(days=int(PAST_DAYS * 1.46)), anchor_day))[-PAST_DAYS:]
    rng = np.random.default_rng([seed, 1])
    noise = rng.standard_normal((len(days), COLUMNS + 1))
    step = math.sqrt(1 / 252)
    rest = level_of(INDEX.smile, 17.0)
    level = np.empty(len(days))
    index = np.empty(len(days))
    present = rest
    for i in range(len(days)):
        index[i] = math.sqrt(present) * step * noise[i, 0] + 0.0003
        drift = PULL * (math.log(rest) - math.log(present)) / 252
        present = min(
            max(present * math.exp(-LEVERAGE * index[i] + VOL_OF_VOL * step * noise[i, -1] + drift), 0.005), 0.6
        )
        level[i] = present
    own = np.array([n.own_vol for n in NAMES]) * step * noise[:, : len(NAMES)]
    own[:, 0] = 0.0
    returns = np.array([n.beta for n in NAMES]) * index[:, None] + own
    logs = np.cumsum(returns, axis=0)
    closes = np.exp(logs - logs[-1]) * anchor[:-1]
    # The variance path is tilted so that it, too, ends at the anchor, the tilt fading into the past.
    fade = np.exp(-np.arange(len(days))[::-1] / 20)
    levels = level * np.exp(fade * math.log(anchor[-1] / level[-1]))
    table = np.column_stack([closes, levels])
    return [_shape(days[i], table[i - 1] if i else table[0], table[i], noise[i]) for i in range(len(days))]


def _shape(day: date, before: Floats, close: Floats, noise: Floats) -> Day:
    """A day's open and range from its two closes."""
    move = np.log(close / before)
    opening = before * np.exp(0.3 * move)
    wick = 0.004 * (0.5 + np.abs(noise[:COLUMNS])) + 0.2 * np.abs(move)
    high = np.maximum(opening, close) * np.exp(wick)
    low = np.minimum(opening, close) * np.exp(-wick)
    return Day(day, opening, high, low, close)


def first_today(history: History, day: date, now: datetime, values: Floats) -> Today:
    """The session the venue opens into: an invented morning from its open to the present values."""
    span = calendar.regular_session(day)
    opening = history.previous_close() * np.exp(0.4 * np.log(values / history.previous_close()))
    wick = np.exp(0.0015)
    high, low = np.maximum(opening, values) * wick, np.minimum(opening, values) / wick
    today = Today(day, opening, high, low)
    if span is not None and span.start < now:
        count = int(min((now - span.start).total_seconds(), (span.end - span.start).total_seconds()) // 60)
        if count > 0:
            morning = bridge(history.seed, day, opening, values, count, low, high)
            today.samples = [(span.start.timestamp() + 60.0 * (i + 1), morning[i]) for i in range(count)]
    return today


def day_start(day: date) -> datetime:
    span = calendar.regular_session(day)
    return span.start if span else datetime.combine(day, datetime.min.time(), UTC)
