"""Quarterly cash dividends of the venue's shares: amounts from each name's yield, on the third Friday of its months.

SPY goes ex in March, June, September and December, as the real fund does.
"""

import zlib
from dataclasses import dataclass
from datetime import date

from adapters.simulator.listing import third_friday
from adapters.simulator.names import INDEX, SHARES, SPY_RATIO

MONTHS_APART = 3
SPY = "SPY"


@dataclass(frozen=True)
class ShareDividends:
    """Per share: what twelve months pay, and the next payment with its ex-date."""

    a_year: float
    next_ex: date
    next_amount: float


def dividends_of(symbol: str, today: date) -> ShareDividends | None:
    """What a share pays; None for one that pays nothing. `today` is New York's: on its ex-date a share has paid."""
    amount = _amount(symbol)
    if amount <= 0:
        return None
    days = (third_friday(today.year + year, month) for year in (0, 1) for month in _months(symbol))
    return ShareDividends(round(4 * amount, 2), next(day for day in days if day > today), amount)


def _amount(symbol: str) -> float:
    if symbol == SPY:
        return round(INDEX.spot * SPY_RATIO * INDEX.dividend / 4, 2)
    name = next((share for share in SHARES if share.symbol == symbol), None)
    return 0.0 if name is None else round(name.spot * name.dividend / 4, 2)


def _months(symbol: str) -> tuple[int, ...]:
    last = MONTHS_APART if symbol == SPY else 1 + zlib.crc32(symbol.encode()) % MONTHS_APART
    return tuple(range(last, 13, MONTHS_APART))
