"""Historical bars of anything listed, repriced from the history of the names that drive it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from adapters.simulator.columns import Floats
from adapters.simulator.history import Day
from adapters.simulator.types import Instrument, VenueBar
from models import calendar
from models.quant.option import SecType

if TYPE_CHECKING:
    from adapters.simulator.market import Market

DAY_SECONDS = 86400.0


def make_bars(market: "Market", item: Instrument, end: datetime, duration_s: float, bar_s: float) -> list[VenueBar]:
    """Bars of `bar_s` seconds covering `duration_s` seconds up to `end`; daily and longer bars are dated by session."""
    start = end.timestamp() - duration_s
    if bar_s >= DAY_SECONDS:
        return _daily(market, item, start, end.timestamp(), bar_s)
    times, values = _minutes(market, start, end.timestamp())
    if not len(times):
        return []
    prices = price_path(market, item, times, values)
    slots = np.floor((times - 1e-6) / bar_s)
    edges = np.flatnonzero(np.diff(slots)) + 1
    found = []
    for part in np.split(np.arange(len(times)), edges):
        row = prices[part]
        before = prices[part[0] - 1] if part[0] > 0 else row[0]
        opening = before if part[0] > 0 and times[part[0]] - times[part[0] - 1] < 120 else row[0]
        at = datetime.fromtimestamp(slots[part[0]] * bar_s, UTC)
        found.append(_bar(at, opening, max(opening, row.max()), min(opening, row.min()), row[-1], len(part)))
    return [bar for bar in found if np.isfinite(bar.close)]


def _minutes(market: "Market", start: float, end: float) -> tuple[Floats, Floats]:
    parts = []
    for day in market.history.days():
        span = calendar.regular_session(day.day)
        if span is not None and span.end.timestamp() > start and span.start.timestamp() < end:
            parts.append(market.history.minutes(day))
    if market.today.samples:
        samples = market.today.samples
        parts.append((np.array([s[0] for s in samples]), np.array([s[1] for s in samples])))
        parts.append((np.array([market.factors.at]), market.values()[None, :]))
    if not parts:
        return np.empty(0), np.empty((0, 0))
    times = np.concatenate([p[0] for p in parts])
    keep = (times > start) & (times <= end)
    return times[keep], np.concatenate([p[1] for p in parts])[keep]


def _daily(market: "Market", item: Instrument, start: float, end: float, bar_s: float) -> list[VenueBar]:
    live = market.today
    today = Day(live.day, live.open, live.high, live.low, market.values())
    days = [d for d in (*market.history.days(), today) if start < _stamp(d) <= end + DAY_SECONDS]
    if not days:
        return []
    times = np.minimum([_stamp(d) for d in days], market.factors.at)  # today's close is its price now
    paths = [price_path(market, item, times, np.array([getattr(d, n) for d in days]))
             for n in ("open", "high", "low", "close")]  # fmt: skip
    stacked = np.array(paths)  # puts and VIX move against the index: the extremes are taken over all four
    high, low = stacked.max(axis=0), stacked.min(axis=0)
    slots = _calendar_slots([d.day.toordinal() for d in days], bar_s)
    found = []
    for part in np.split(np.arange(len(days)), np.flatnonzero(np.diff(slots)) + 1):
        at = datetime.combine(days[part[0]].day, datetime.min.time(), UTC)
        found.append(
            _bar(at, stacked[0][part[0]], high[part].max(), low[part].min(), stacked[3][part[-1]], 390 * len(part))
        )
    return [bar for bar in found if np.isfinite(bar.close)]


def _calendar_slots(ordinals: list[int], bar_s: float) -> Floats:
    days = np.array(ordinals)
    if bar_s >= 28 * DAY_SECONDS:
        return np.array([datetime.fromordinal(o).year * 12 + datetime.fromordinal(o).month for o in ordinals])
    return np.asarray((days - 1) // 7 if bar_s >= 7 * DAY_SECONDS else days)


def _stamp(day: Day) -> float:
    span = calendar.regular_session(day.day)
    return span.end.timestamp() if span else 0.0


def price_path(market: "Market", item: Instrument, times: Floats, values: Floats) -> Floats:
    """Prices of an instrument for rows of history (n, names + variance) at epoch seconds `times`."""
    contract = item.contract
    if contract.is_option:
        return _option_path(market, item, times, values)
    if contract.sec_type is SecType.FUTURE:
        root = "CL" if contract.symbol == "CL" else "SPX"
        return np.array([
            market.future_price(item, market.price_of(root, row), datetime.fromtimestamp(t, UTC))
            for t, row in zip(times, values, strict=True)
        ])  # fmt: skip
    return np.array([market.price_of(contract.symbol, row) for row in values])


def _option_path(market: "Market", item: Instrument, times: Floats, values: Floats) -> Floats:
    columns = market.columns
    rows = np.full(len(times), columns.row_of[item.con_id])
    spot = values[np.arange(len(times)), columns.driver[rows]] * columns.scale[rows]
    t = columns.years(rows, times)
    iv = columns.model_iv(rows, spot, values[:, -1], t)
    if columns.recorded[rows[0]]:
        iv = np.full(len(times), columns.own_iv[rows[0]] + market.factors.points)
    return columns.price_at(rows, spot, iv, t).price


def _bar(at: datetime, opening: float, high: float, low: float, close: float, count: int) -> VenueBar:
    o, h, lo, c = (round(float(v), 4) for v in (opening, high, low, close))
    return VenueBar(at, o, h, lo, c, float(count * 100), round((o + h + lo + c) / 4, 4), count)
