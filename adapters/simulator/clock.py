"""The venue's own clock: it runs at any speed or stands still, opens inside a session, and never goes backwards."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from datetime import time as day_time

from models import calendar
from models.quant.product import NEW_YORK, Hours

MORNING = day_time(10, 30)  # where a demo opens when the real market is closed: past the opening, a day ahead
LEAST_LEFT = 30.0  # minutes of session a demo opened now must still have, else it opens in the morning


class VenueClock:
    """Venue time = anchor + speed x machine time passed. Speed 0 stands still; `jump_to` moves only forwards."""

    def __init__(self, at: datetime, speed: float = 1.0, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._anchor = at
        self._since = ticks()
        self._speed = speed

    @property
    def speed(self) -> float:
        return self._speed

    def now(self) -> datetime:
        """Venue time, aware UTC."""
        return self._anchor + timedelta(seconds=(self._ticks() - self._since) * self._speed)

    def set_speed(self, speed: float) -> None:
        """Run at `speed` venue seconds per machine second from here on; ValueError when negative."""
        if speed < 0:
            raise ValueError(f"speed {speed:g} would turn the clock back; use 0 to stand still")
        self._anchor, self._since, self._speed = self.now(), self._ticks(), speed

    def jump_to(self, at: datetime) -> None:
        """Move forwards to `at`; ValueError when it lies in the past."""
        if at < self.now():
            raise ValueError(f"venue time never goes backwards: it is {self.now():%Y-%m-%d %H:%M:%S} UTC already")
        self._anchor, self._since = at, self._ticks()


def opening_time(machine_now: datetime, persisted: datetime | None = None) -> datetime:
    """Where a venue's clock starts: now if the market is open, else 10:30 New York of the latest session.

    Never before `persisted` (the clock a state file left behind): that moment itself while it is in a session,
    else 10:30 of the next one.
    """
    start = _session_moment(machine_now)
    if persisted is None or persisted < start:
        return start
    left = calendar.minutes_to_close(Hours.EQUITY, persisted)
    if left is not None and left > 1:
        return persisted
    today = persisted.astimezone(NEW_YORK).date()
    morning = at_new_york(today, MORNING)
    if calendar.is_trading_day(today) and morning >= persisted:
        return morning
    return at_new_york(calendar.next_trading_day(today), MORNING)


def _session_moment(now: datetime) -> datetime:
    left = calendar.minutes_to_close(Hours.EQUITY, now)
    if left is not None and left >= LEAST_LEFT:
        return now
    return at_new_york(calendar.latest_session_day(now), MORNING)


def at_new_york(day: date, at: day_time) -> datetime:
    """A New York wall-clock time as aware UTC."""
    return datetime.combine(day, at, NEW_YORK).astimezone(UTC)
