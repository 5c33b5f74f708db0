"""Trading hours as contract details state them: one week ahead, in New York time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from adapters.simulator.types import Instrument
from models import calendar
from models.calendar import Span, SpanKind
from models.quant.product import NEW_YORK, Hours, product_of

ZONE = "US/Eastern"
DAYS_AHEAD = 6


@dataclass(frozen=True)
class TradingFacts:
    """What contract details say of time. Hours are `YYYYMMDD:HHMM-YYYYMMDD:HHMM;…`, closed days `YYYYMMDD:CLOSED`."""

    time_zone: str
    trading_hours: str
    liquid_hours: str
    last_trade_time: str  # HH:MM:SS of the last trading day, empty for what never expires


def trading_facts(item: Instrument, now: datetime) -> TradingFacts:
    product = product_of(item.contract)
    today = now.astimezone(NEW_YORK).date()
    trading, liquid = _week(product.hours, today.toordinal())
    stop = calendar.last_trade(item.contract)
    last = "" if stop is None else f"{stop.astimezone(NEW_YORK):%H:%M:%S}"
    return TradingFacts(ZONE, trading, liquid, last)


@lru_cache(maxsize=64)
def _week(hours: Hours, ordinal: int) -> tuple[str, str]:
    first = datetime.fromordinal(ordinal).date()
    trading, liquid = [], []
    for i in range(DAYS_AHEAD):
        day = first + timedelta(days=i)
        parts = calendar.spans(hours, day)
        closed = f"{day:%Y%m%d}:CLOSED"
        trading.append(_text(parts) or closed)
        liquid.append(_text(p for p in parts if p.kind is SpanKind.REGULAR) or closed)
    return ";".join(trading), ";".join(liquid)


def _text(parts: Iterable[Span]) -> str:
    ends = ((p.start.astimezone(NEW_YORK), p.end.astimezone(NEW_YORK)) for p in parts)
    return ";".join(f"{start:%Y%m%d:%H%M}-{end:%Y%m%d:%H%M}" for start, end in ends)
