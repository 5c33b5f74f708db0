"""Historical bars for one client, paced as IBKR paces them (162), and bars kept up to date."""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from adapters.simulator import tws_replies as reply
from adapters.simulator.tws_contracts import resolve
from adapters.simulator.tws_limits import HistoryPace
from adapters.simulator.tws_link import Link
from adapters.simulator.tws_requests import HeadTimestamp, HistoricalRequest
from adapters.simulator.types import RejectedByVenue, VenueBar

if TYPE_CHECKING:
    from adapters.simulator.venue import Venue

DAY_S = 86_400
SECONDS_OF = {"S": 1, "D": DAY_S, "W": 7 * DAY_S, "M": 30 * DAY_S, "Y": 365 * DAY_S}
BAR_SIZES = {
    **{f"{n} secs": n for n in (1, 5, 10, 15, 30)},
    "1 min": 60,
    **{f"{n} mins": 60 * n for n in (2, 3, 5, 10, 15, 20, 30)},
    "1 hour": 3600,
    **{f"{n} hours": 3600 * n for n in (2, 3, 4, 8)},
    "1 day": DAY_S,
    "1 week": 7 * DAY_S,
    "1 month": 30 * DAY_S,
}
KINDS = ("TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST")
UPDATE_SECONDS = 1.0


def duration_seconds(text: str) -> int:
    """`1 D`, `2 W`, `3600 S`, `6 M`, `1 Y` (a bare number is seconds); raises RejectedByVenue(321)."""
    found = re.fullmatch(r"\s*(\d+)\s*([SDWMY]?)\s*", text.upper())
    if not found or int(found[1]) == 0:
        raise RejectedByVenue(321, f"Error validating request: duration {text!r} is not like '1 D' or '3600 S'")
    return int(found[1]) * SECONDS_OF[found[2] or "S"]


def bar_seconds(text: str) -> int:
    """One of IBKR's bar sizes in seconds; raises RejectedByVenue(321)."""
    try:
        return BAR_SIZES[text.strip().lower()]
    except KeyError:
        raise RejectedByVenue(321, f"Error validating request: bar size {text!r} is unknown") from None


@dataclass
class _Kept:
    request: HistoricalRequest
    con_id: int
    bar_s: int
    sent: VenueBar | None
    due: float


class HistoryDesk:
    """Historical requests of one client, under the user's pace."""

    def __init__(self, link: Link, venue: "Venue", pace: HistoryPace) -> None:
        self._link = link
        self._venue = venue
        self._pace = pace
        self._kept: dict[int, _Kept] = {}

    def bars(self, request: HistoricalRequest, now: float) -> None:
        try:
            self._answer(request, now)
        except RejectedByVenue as refusal:
            self._link.error(request.req_id, refusal.code, refusal.text)

    def _answer(self, request: HistoricalRequest, now: float) -> None:
        if request.contract.is_bag:
            raise RejectedByVenue(321, "Error validating request: historical data of a BAG is not supported")
        if request.req_id in self._kept:
            raise RejectedByVenue(322, "Error processing request: Duplicate ticker id")
        what = request.what.upper()
        if what not in KINDS:
            raise RejectedByVenue(321, f"Error validating request: whatToShow {request.what!r} is unknown")
        duration_s, bar_s = duration_seconds(request.duration), bar_seconds(request.bar_size)
        end = self._venue.clock.now() if not request.end else reply.parse_moment(request.end)
        if end is None or (request.keep_up_to_date and request.end):
            raise RejectedByVenue(321, f"Error validating request: end {request.end!r} is not a time that fits")
        item = resolve(self._venue.market, request.contract)
        key = (item.con_id, request.contract.exchange, request.end, request.duration, request.bar_size, what)
        why = self._pace.refuse((*key, request.use_rth), now, 2 if what == "BID_ASK" else 1)
        if why:
            text = f"Historical Market Data Service error message:Historical data request pacing violation: {why}"
            raise RejectedByVenue(162, text)
        found = self._venue.market.bars(item.con_id, end, duration_s, bar_s, what, request.use_rth)
        if not found:
            where = f"{item.contract.symbol}@{request.contract.exchange or item.exchange} {what.title()}"
            text = f"Historical Market Data Service error message:HMDS query returned no data: {where}"
            raise RejectedByVenue(162, text)
        version, daily = self._link.version, bar_s >= DAY_S
        self._link.send(reply.bars(version, request.req_id, found, request.date_format, daily))
        if request.keep_up_to_date:
            self._kept[request.req_id] = _Kept(request, item.con_id, bar_s, found[-1], now + UPDATE_SECONDS)

    def cancel(self, req_id: int) -> None:
        if self._kept.pop(req_id, None) is not None:
            text = f"Historical Market Data Service error message:API historical data query cancelled: {req_id}"
            self._link.error(req_id, 162, text)

    def beat(self, now: float) -> None:
        """Send the latest bar of every kept request when it changed."""
        for req_id, kept in list(self._kept.items()):
            if now >= kept.due:
                kept.due = now + UPDATE_SECONDS
                self._update(req_id, kept)

    def _update(self, req_id: int, kept: _Kept) -> None:
        request, at = kept.request, self._venue.clock.now()
        span, what = max(2 * kept.bar_s, 120), request.what.upper()
        found = self._venue.market.bars(kept.con_id, at, span, kept.bar_s, what, request.use_rth)
        for fresh in found[-2:]:
            bar = _widened(fresh, kept.sent)
            if kept.sent is None or (bar.at >= kept.sent.at and bar != kept.sent):
                daily = kept.bar_s >= DAY_S
                self._link.send(reply.bar_update(self._link.version, req_id, bar, request.date_format, daily))
                kept.sent = bar

    def head(self, request: HeadTimestamp) -> None:
        """The earliest moment history is answered for: a year of daily bars back, as the venue makes its past."""
        try:
            item = resolve(self._venue.market, request.contract)
        except RejectedByVenue as refusal:
            self._link.error(request.req_id, refusal.code, refusal.text)
            return
        span = 365 * DAY_S
        found = self._venue.market.bars(item.con_id, self._venue.clock.now(), span, DAY_S, "TRADES", request.use_rth)
        if not found:
            text = "Historical Market Data Service error message:No head time stamp"
            self._link.error(request.req_id, 162, text)
            return
        self._link.send(reply.head_timestamp(self._link.version, request.req_id, found[0].at, request.date_format))


def _widened(bar: VenueBar, before: VenueBar | None) -> VenueBar:
    """A bar in progress with what was told of it already: its range and volume only grow."""
    if before is None or before.at != bar.at:
        return bar
    return replace(
        bar, open=before.open, high=max(bar.high, before.high), low=min(bar.low, before.low),
        volume=max(bar.volume, before.volume), count=max(bar.count, before.count),
    )  # fmt: skip
