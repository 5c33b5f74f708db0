"""Which expiries and strikes are listed on a day, from the exchange calendar and the class layouts.

Option Fridays that are holidays move to the session before, as the exchange does it.
"""

from collections.abc import Iterable
from datetime import date, timedelta

from adapters.simulator.names import ClassLayout, StrikeBand
from models import calendar

FRIDAY = 4
QUARTERS = (3, 6, 9, 12)
MONTH_CODES = "FGHJKMNQUVXZ"


def third_friday(year: int, month: int) -> date:
    """The monthly expiry: third Friday, or the session before when that is a holiday."""
    first = date(year, month, 1)
    friday = first + timedelta(days=(FRIDAY - first.weekday()) % 7 + 14)
    return friday if calendar.is_trading_day(friday) else calendar.previous_trading_day(friday)


def months_from(day: date, count: int) -> list[tuple[int, int]]:
    """(year, month) of `day` and the following months."""
    index = day.year * 12 + day.month - 1
    return [divmod(index + i, 12) for i in range(count)]


def monthly_expiries(today: date, days: int) -> list[date]:
    found = [third_friday(year, month + 1) for year, month in months_from(today, days // 28 + 2)]
    return [day for day in found if 0 <= (day - today).days <= days]


def weekly_expiries(today: date, days: int) -> list[date]:
    first = today + timedelta(days=(FRIDAY - today.weekday()) % 7)
    fridays = (first + timedelta(days=i) for i in range(0, days + 1, 7))
    return [d if calendar.is_trading_day(d) else calendar.previous_trading_day(d) for d in fridays]


def month_ends(today: date, days: int) -> list[date]:
    """The last session of each month within `days`: Cboe lists SPXW there."""
    firsts = [date(year + month // 12, month % 12 + 1, 1) for year, month in
              ((y, m + 1) for y, m in months_from(today, days // 28 + 2))]  # fmt: skip
    found = [calendar.previous_trading_day(first) for first in firsts]
    return [day for day in found if 0 <= (day - today).days <= days]


def option_expiries(layout: ClassLayout, today: date) -> tuple[date, ...]:
    """Listed expiries of a class on `today`, ascending. AM monthlies leave the list on their settlement morning."""
    monthly = set(monthly_expiries(today, layout.monthly))
    if layout.trading_class == "SPX":
        return tuple(sorted(day for day in monthly if day > today))
    found = monthly | set(weekly_expiries(today, layout.weekly))
    found |= set(calendar.trading_days(today, today + timedelta(days=layout.daily))) if layout.daily else set()
    if layout.trading_class == "SPXW":
        found |= set(month_ends(today, layout.monthly))
    return tuple(sorted(day for day in found if day >= today))


def strikes(bands: Iterable[StrikeBand], spot: float) -> tuple[float, ...]:
    """The strike ladder around `spot`: fine near the money, coarse in the wings."""
    found: set[float] = set()
    for band in bands:
        low = int(spot * (1 - band.below) // band.step)
        high = int(spot * (1 + band.above) // band.step) + 1
        found |= {round(i * band.step, 3) for i in range(max(low, 1), high + 1)}
    return tuple(sorted(found))


def equity_future_expiries(today: date, count: int) -> list[date]:
    """Quarterly third Fridays still alive on `today`."""
    found = [
        third_friday(year, month + 1) for year, month in months_from(today, count * 3 + 4) if month + 1 in QUARTERS
    ]
    return [day for day in found if day >= today][:count]


def crude_expiries(today: date, count: int) -> list[date]:
    """Last trading days of CL: three sessions before the 25th of the month before the contract month."""
    found = []
    for year, month in months_from(today, count + 2):
        anchor = date(year, month + 1, 25)
        if not calendar.is_trading_day(anchor):
            anchor = calendar.previous_trading_day(anchor)
        last = anchor
        for _ in range(3):
            last = calendar.previous_trading_day(last)
        found.append(last)
    return [day for day in found if day >= today][:count]


def crude_month(last: date) -> date:
    """The first of the contract month of a CL future that trades last on `last`: the month after."""
    year, month = divmod(last.year * 12 + last.month, 12)
    return date(year, month + 1, 1)


def future_symbol(root: str, month: date) -> str:
    """The exchange's symbol of a contract month: CLZ6."""
    return f"{root}{MONTH_CODES[month.month - 1]}{month.year % 10}"
