"""Sessions, nights, curbs, holidays and early closes, against the exchanges' published calendars."""

from datetime import UTC, date, datetime

import pytest

from models import calendar
from models.calendar import CalendarError, SpanKind
from models.quant.option import Contract, Right, SecType
from models.quant.product import NEW_YORK, Hours


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def spxw(expiry: date, cls: str = "SPXW") -> Contract:
    return Contract("SPX", SecType.OPTION, cls, 100, expiry, 7000, Right.PUT)


@pytest.mark.parametrize(
    ("hours", "moment", "expected"),
    [
        (Hours.EQUITY, "2026-11-20 09:29:59", False),
        (Hours.EQUITY, "2026-11-20 09:30:00", True),
        (Hours.EQUITY, "2026-11-20 15:59:59", True),
        (Hours.EQUITY, "2026-11-20 16:00:00", False),
        (Hours.CBOE_INDEX, "2026-11-20 16:14:59", True),
        (Hours.CBOE_INDEX, "2026-11-20 16:30:00", True),  # curb
        (Hours.CBOE_INDEX, "2026-11-20 17:00:00", False),
        (Hours.CBOE_INDEX, "2026-11-20 20:30:00", False),  # Friday evening: no session tomorrow
        (Hours.CBOE_INDEX, "2026-11-22 20:15:00", True),  # Sunday evening belongs to Monday
        (Hours.CBOE_INDEX, "2026-11-23 09:27:00", False),  # between night and opening
        (Hours.GLOBEX, "2026-11-22 17:59:59", False),
        (Hours.GLOBEX, "2026-11-22 18:00:00", True),
        (Hours.GLOBEX, "2026-11-23 17:30:00", False),
        (Hours.GLOBEX, "2026-11-23 18:30:00", True),
        (Hours.EQUITY, "2026-11-26 12:00:00", False),  # Thanksgiving
        (Hours.GLOBEX, "2026-11-26 12:30:00", True),  # futures trade that morning
        (Hours.EQUITY, "2026-11-27 13:00:00", False),  # early close
        (Hours.CBOE_INDEX, "2026-11-27 13:10:00", True),
        (Hours.CBOE_INDEX, "2026-11-27 13:15:00", False),
        (Hours.CBOE_INDEX, "2026-11-27 16:30:00", False),  # no curb after an early close
        (Hours.EQUITY, "2026-07-03 12:00:00", False),  # Independence Day observed
    ],
)
def test_each_exchange_is_open_when_it_says(hours: Hours, moment: str, expected: bool) -> None:
    assert calendar.is_open(hours, new_york(moment)) is expected


def test_regular_only_leaves_out_night_and_curb() -> None:
    assert not calendar.is_open(Hours.CBOE_INDEX, new_york("2026-11-20 16:30"), regular_only=True)
    assert calendar.is_open(Hours.CBOE_INDEX, new_york("2026-11-20 12:00"), regular_only=True)


def test_an_evening_belongs_to_the_next_session() -> None:
    assert calendar.session_of(Hours.CBOE_INDEX, new_york("2026-11-22 21:00")) == date(2026, 11, 23)
    assert calendar.session_of(Hours.EQUITY, new_york("2026-11-22 21:00")) is None


def test_an_expiring_weekly_stops_at_four_and_its_neighbour_goes_on() -> None:
    moment = new_york("2026-11-20 16:05")
    assert not calendar.is_open(spxw(date(2026, 11, 20)), moment)
    assert calendar.is_open(spxw(date(2026, 11, 23)), moment)


def test_an_am_settled_monthly_last_trades_the_day_before() -> None:
    monthly = spxw(date(2026, 11, 20), "SPX")
    assert calendar.is_open(monthly, new_york("2026-11-19 15:00"))
    assert not calendar.is_open(monthly, new_york("2026-11-20 09:45"))


def test_minutes_to_close_count_to_whatever_ends_first() -> None:
    at = new_york("2026-11-20 15:00")
    assert calendar.minutes_to_close(Hours.EQUITY, at) == 60
    assert calendar.minutes_to_close(Hours.CBOE_INDEX, at) == 75
    assert calendar.minutes_to_close(spxw(date(2026, 11, 20)), at) == 60
    assert calendar.minutes_to_close(Hours.EQUITY, new_york("2026-11-21 12:00")) is None


def test_the_next_session_skips_weekends_and_holidays() -> None:
    after = calendar.next_session(Hours.EQUITY, new_york("2026-11-25 17:00"))
    assert (after.day, after.kind) == (date(2026, 11, 27), SpanKind.REGULAR)
    assert after.end == new_york("2026-11-27 13:00")


def test_daylight_saving_keeps_new_york_hours() -> None:
    winter, summer = calendar.regular_session(date(2026, 3, 6)), calendar.regular_session(date(2026, 3, 9))
    assert winter is not None and summer is not None
    assert (winter.start.hour, summer.start.hour) == (14, 13)


def test_trading_days_and_neighbours() -> None:
    assert len(calendar.trading_days(date(2026, 1, 1), date(2026, 12, 31))) == 251
    assert calendar.next_trading_day(date(2026, 11, 25)) == date(2026, 11, 27)
    assert calendar.previous_trading_day(date(2026, 11, 27)) == date(2026, 11, 25)
    assert calendar.is_early_close(date(2026, 12, 24)) and not calendar.is_early_close(date(2026, 12, 23))


def test_the_latest_session_day_is_today_only_once_it_has_begun() -> None:
    assert calendar.latest_session_day(new_york("2026-11-20 09:00")) == date(2026, 11, 19)
    assert calendar.latest_session_day(new_york("2026-11-20 09:30")) == date(2026, 11, 20)
    assert calendar.latest_session_day(new_york("2026-11-22 12:00")) == date(2026, 11, 20)


def test_a_year_no_calendar_covers_is_named() -> None:
    with pytest.raises(CalendarError, match="2400"):
        calendar.is_trading_day(date(2400, 1, 5))


def test_spans_never_overlap_over_a_year() -> None:
    for hours in Hours:
        ends = None
        for day in calendar.trading_days(date(2026, 1, 1), date(2026, 12, 31), hours):
            for span in calendar.spans(hours, day):
                assert span.start < span.end
                assert ends is None or span.start >= ends
                ends = span.end


@pytest.mark.parametrize(
    ("expiry", "cls", "expected"),
    [
        (date(2026, 12, 18), "SPX", date(2026, 12, 17)),
        (date(2026, 12, 18), "SPXW", date(2026, 12, 18)),
        (date(2027, 6, 17), "SPX", date(2027, 6, 16)),  # Juneteenth observed on the third Friday
        (date(2026, 11, 27), "SPX", date(2026, 11, 25)),  # Thanksgiving lies between
    ],
)
def test_am_options_trade_last_on_the_session_before_settlement(expiry: date, cls: str, expected: date) -> None:
    assert calendar.last_trade_day(spxw(expiry, cls)) == expected


def test_what_never_expires_has_no_last_trading_day() -> None:
    assert calendar.last_trade_day(Contract("SPX", SecType.INDEX, "SPX")) is None
