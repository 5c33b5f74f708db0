"""When each product trades: exchange sessions from exchange_calendars, with the night and curb sessions as data.

exchange_calendars knows the regular days, holidays and early closes; it does not know Cboe's night and curb sessions
or Globex's daily break, so the timetables here add them (DOMAIN.md section 1a). Years are read once and kept as plain
values; the library is imported only when a year is first asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache

from models.quant.option import Contract
from models.quant.product import NEW_YORK, Hours, Product, Settlement, expiry_instant, product_of

HORIZON_DAYS = 14  # no exchange of ours was ever closed longer than this; a longer search is a broken calendar


class SpanKind(StrEnum):
    NIGHT = "night"
    REGULAR = "regular"
    CURB = "curb"


@dataclass(frozen=True)
class Span:
    """One stretch of trading of session `day`, from `start` up to but not including `end` (aware UTC)."""

    day: date
    kind: SpanKind
    start: datetime
    end: datetime

    def holds(self, now: datetime) -> bool:
        return self.start <= now < self.end


@dataclass(frozen=True)
class Timetable:
    """Hours of one family in New York time. `night` begins the evening before; `curb` ends the day.

    `close_lag` is how many minutes after the exchange's equity close the regular session ends (Cboe index: 15), on
    ordinary days and on early closes alike; the curb session is not held after an early close.
    """

    calendar: str
    opens: time
    close_lag: int = 0
    night: tuple[time, time] | None = None
    curb_end: time | None = None
    latest_close: time = time(16, 0)


TIMETABLES: Mapping[Hours, Timetable] = {
    Hours.EQUITY: Timetable("XNYS", time(9, 30)),
    Hours.CBOE_INDEX: Timetable("XNYS", time(9, 30), 15, (time(20, 15), time(9, 25)), time(17, 0)),
    Hours.GLOBEX: Timetable("CMES", time(9, 30), 0, (time(18, 0), time(9, 30)), None, time(17, 0)),
}

Traded = Contract | Product | Hours


class CalendarError(ValueError):
    """A day was asked for that no exchange calendar covers; the message names it."""


@lru_cache(maxsize=64)
def _year(calendar: str, year: int) -> Mapping[date, datetime]:
    """Regular close (aware UTC) of every session of a year."""
    import exchange_calendars

    try:
        book = exchange_calendars.get_calendar(calendar, start=f"{year}-01-01", end=f"{year}-12-31")
    except ValueError as error:
        raise CalendarError(f"no {calendar} calendar for {year}: {error}") from error
    closes = book.schedule["close"]
    return {
        stamp.date(): close.to_pydatetime().astimezone(UTC) for stamp, close in zip(closes.index, closes, strict=True)
    }


def hours_of(what: Traded) -> Hours:
    if isinstance(what, Hours):
        return what
    return (product_of(what) if isinstance(what, Contract) else what).hours


def is_trading_day(day: date, hours: Hours = Hours.EQUITY) -> bool:
    return day in _year(TIMETABLES[hours].calendar, day.year)


def trading_days(start: date, end: date, hours: Hours = Hours.EQUITY) -> tuple[date, ...]:
    """Session days from `start` to `end`, both included."""
    span = (start + timedelta(days=i) for i in range((end - start).days + 1))
    return tuple(day for day in span if is_trading_day(day, hours))


def next_trading_day(day: date, hours: Hours = Hours.EQUITY) -> date:
    """The first session day after `day`."""
    return _walk(day, 1, hours)


def previous_trading_day(day: date, hours: Hours = Hours.EQUITY) -> date:
    """The last session day before `day`."""
    return _walk(day, -1, hours)


def _walk(day: date, step: int, hours: Hours) -> date:
    for i in range(1, HORIZON_DAYS + 1):
        candidate = day + timedelta(days=i * step)
        if is_trading_day(candidate, hours):
            return candidate
    raise CalendarError(f"no session within {HORIZON_DAYS} days of {day}")


def _at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, NEW_YORK).astimezone(UTC)


@lru_cache(maxsize=4096)
def spans(hours: Hours, day: date) -> tuple[Span, ...]:
    """The stretches in which session `day` trades, in order; empty when the exchange is closed that day."""
    table = TIMETABLES[hours]
    listed = _year(table.calendar, day.year).get(day)
    if listed is None:
        return ()
    latest = _at(day, table.latest_close)
    early = listed < latest
    close = min(listed, latest) + timedelta(minutes=table.close_lag)
    found = [Span(day, SpanKind.REGULAR, _at(day, table.opens), close)]
    if table.night:
        evening, morning = table.night
        found.insert(0, Span(day, SpanKind.NIGHT, _at(day - timedelta(days=1), evening), _at(day, morning)))
    if table.curb_end and not early:
        found.append(Span(day, SpanKind.CURB, close, _at(day, table.curb_end)))
    return tuple(found)


def is_early_close(day: date, hours: Hours = Hours.EQUITY) -> bool:
    listed = _year(TIMETABLES[hours].calendar, day.year).get(day)
    return listed is not None and listed < _at(day, TIMETABLES[hours].latest_close)


def last_trade(contract: Contract) -> datetime | None:
    """The instant after which the contract no longer trades; None for what never expires.

    AM-settled options stop with the session before their expiry; everything else at its settlement minute.
    """
    if contract.expiry is None:
        return None
    hours, day = hours_of(contract), last_trade_day(contract)
    if day is not None and day != contract.expiry:
        return spans(hours, day)[-1].end
    return min(expiry_instant(contract), _close_of(contract.expiry, hours))


def last_trade_day(contract: Contract) -> date | None:
    """The session in which the contract trades last: the eve of settlement for AM-settled index options.

    The broker lists a contract under this day; its symbol carries the settlement date. None for what never expires.
    """
    if contract.expiry is None:
        return None
    product = product_of(contract)
    if product.settlement is Settlement.AM and product.hours is Hours.CBOE_INDEX:
        return previous_trading_day(contract.expiry, product.hours)
    return contract.expiry


def _close_of(day: date, hours: Hours) -> datetime:
    """The equity close of `day` (expiring index options stop then, without the extra quarter hour)."""
    listed = _year(TIMETABLES[hours].calendar, day.year).get(day)
    return listed if listed is not None else _at(day, TIMETABLES[hours].latest_close)


def span_at(what: Traded, now: datetime) -> Span | None:
    """The stretch of trading that holds `now`; None while closed or after the contract's last trade."""
    if isinstance(what, Contract):
        end = last_trade(what)
        if end is not None and now >= end:
            return None
    hours = hours_of(what)
    today = now.astimezone(NEW_YORK).date()
    for day in (today, today + timedelta(days=1)):
        for span in spans(hours, day):
            if span.holds(now):
                return span
    return None


def is_open(what: Traded, now: datetime, regular_only: bool = False) -> bool:
    """Does it trade at `now`? With `regular_only`, night and curb sessions count as closed."""
    span = span_at(what, now)
    return span is not None and (not regular_only or span.kind is SpanKind.REGULAR)


def session_of(what: Traded, now: datetime) -> date | None:
    """The session day `now` belongs to (Sunday evening belongs to Monday); None while closed."""
    span = span_at(what, now)
    return span.day if span else None


def minutes_to_close(what: Traded, now: datetime) -> float | None:
    """Minutes until the present stretch ends or the contract stops trading, whichever is first; None while closed."""
    span = span_at(what, now)
    if span is None:
        return None
    end = span.end
    if isinstance(what, Contract):
        stop = last_trade(what)
        end = min(end, stop) if stop is not None else end
    return (end - now).total_seconds() / 60


def next_session(what: Traded, now: datetime, regular_only: bool = True) -> Span:
    """The first stretch that begins after `now`; raises CalendarError when none is near."""
    hours = hours_of(what)
    today = now.astimezone(NEW_YORK).date()
    for i in range(HORIZON_DAYS + 2):
        for span in spans(hours, today + timedelta(days=i)):
            if span.start > now and (not regular_only or span.kind is SpanKind.REGULAR):
                return span
    raise CalendarError(f"{hours} has no session within {HORIZON_DAYS} days of {now}")


def regular_session(day: date, hours: Hours = Hours.EQUITY) -> Span | None:
    """The regular stretch of a session day; None when closed."""
    return next((span for span in spans(hours, day) if span.kind is SpanKind.REGULAR), None)


def is_over(day: date, now: datetime, hours: Hours = Hours.EQUITY) -> bool:
    """Whether the regular session of `day` has ended at `now`; a day without one is over when it begins."""
    today = now.astimezone(NEW_YORK).date()
    if day != today:
        return day < today
    regular = regular_session(day, hours)
    return regular is None or regular.end <= now


def latest_session_day(now: datetime, hours: Hours = Hours.EQUITY) -> date:
    """Today if its regular session has begun, else the last session day before."""
    today = now.astimezone(NEW_YORK).date()
    begun = regular_session(today, hours)
    return today if begun and begun.start <= now else previous_trading_day(today, hours)
