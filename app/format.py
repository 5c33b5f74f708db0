"""Numbers, ages and moments as the desk writes them: signed, grouped, with a unit; unknown is the word n/a.

Everything returned is plain text; whoever puts it into HTML escapes it there.
"""

import math
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from models.quant.product import NEW_YORK

UNKNOWN = "n/a"
MINUS = "−"

Numeric = float | int | Decimal | None


def known(value: Any) -> float | None:
    """A finite float, or None: NaN, infinity, text and NULL are all unknown."""
    if value is None or isinstance(value, bool | str):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def number(value: Numeric, digits: int = 0, *, sign: bool = False) -> str:
    """`−1,234`, `+5.20` with sign; a value that rounds to nothing carries no sign."""
    amount = known(value)
    if amount is None:
        return UNKNOWN
    text = f"{abs(amount):,.{digits}f}"
    if not any(digit in "123456789" for digit in text):
        return text
    if amount < 0:
        return MINUS + text
    return f"+{text}" if sign else text


def money(value: Numeric, digits: int = 0, *, sign: bool = False) -> str:
    """`−$1,234`: the sign stands before the currency."""
    text = number(value, digits, sign=sign)
    if text == UNKNOWN:
        return text
    return f"{text[0]}${text[1:]}" if text[0] in (MINUS, "+") else f"${text}"


def large_money(value: Numeric) -> str:
    """As `money`, from a million on `$5.40 M`: a limit's size, not an account's cents."""
    amount = known(value)
    if amount is None or abs(amount) < 1e6:
        return money(amount)
    return f"{money(amount / 1e6, 2)} M"


def percent(fraction: Numeric, digits: int = 0, *, sign: bool = False) -> str:
    """A fraction as `96 %` (0.96)."""
    amount = known(fraction)
    return UNKNOWN if amount is None else f"{number(amount * 100, digits, sign=sign)} %"


def price(value: Numeric) -> str:
    """A quoted price with two decimals, debit positive."""
    return number(value, 2)


def debit_or_credit(combo_price: Numeric, digits: int = 2) -> str:
    """A combo's price per unit in words: debit positive inside, `1.85 credit` on screen."""
    amount = known(combo_price)
    if amount is None:
        return UNKNOWN
    word = "debit" if amount > 0 else "credit" if amount < 0 else "even"
    return f"{number(abs(amount), digits)} {word}"


def quantity(value: Numeric) -> str:
    amount = known(value)
    if amount is None:
        return UNKNOWN
    return number(amount, 0 if amount == int(amount) else 2, sign=True)


def seconds_between(then: datetime | None, now: datetime) -> float | None:
    return None if then is None else max((now - then).total_seconds(), 0.0)


def age(seconds: float | None) -> str:
    """`0 s`, `0.4 s`, `12 s`, `3 min`, `2 h`, `4 d`: one unit, never more precision than it deserves."""
    if seconds is None:
        return UNKNOWN
    if 0.05 <= seconds < 0.95:
        return f"{seconds:.1f} s"
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129600, 3600, "h")):
        if seconds < limit:
            return f"{round(seconds / size)} {unit}"
    return f"{round(seconds / 86400)} d"


def sourced(source: str, seconds: float | None) -> str:
    """Where a price came from and how old it is: `real · 2 s`, `modelled · 40 s`, `unknown`."""
    return source if seconds is None or source == "unknown" else f"{source} · {age(seconds)}"


def span(minutes: float) -> str:
    """`42 min`, `3 h 05`: how long until something, to the minute."""
    whole = max(int(minutes), 0)
    return f"{whole} min" if whole < 60 else f"{whole // 60} h {whole % 60:02d}"


def countdown(left: timedelta) -> str:
    """Time left as `4 min 10 s`, `45 s` or `expired`."""
    seconds = int(left.total_seconds())
    if seconds <= 0:
        return "expired"
    if seconds >= 3600:
        return span(seconds / 60)
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60:02d} s"


def eastern(moment: datetime | None, *, seconds: bool = True) -> str:
    """Exchange time on screen: `09:42:07`; the page says ET once."""
    if moment is None:
        return UNKNOWN
    return moment.astimezone(NEW_YORK).strftime("%H:%M:%S" if seconds else "%H:%M")


def eastern_day(moment: datetime | None) -> str:
    return UNKNOWN if moment is None else moment.astimezone(NEW_YORK).strftime("%a %d %b %H:%M")


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 proposal`, `3 proposals`."""
    return f"{count} {one if count == 1 else many or one + 's'}"
