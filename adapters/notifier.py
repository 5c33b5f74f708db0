"""Notices to the person's own channels through apprise: one NOTIFY_URLS entry, one channel, each answered for by name.

An entry holds its channel's secret: answers and logs name its place in the list and its scheme, never the URL.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

import apprise

from adapters.base import Answer, Notice

NO_URLS = "no notification urls: set NOTIFY_URLS in .env"
_TYPES = {"red": apprise.NotifyType.FAILURE, "yellow": apprise.NotifyType.WARNING, "info": apprise.NotifyType.INFO}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}(?=://)")


@dataclass(frozen=True)
class Channel:
    """One entry of NOTIFY_URLS; `road` None: apprise knows no such channel."""

    name: str
    road: apprise.Apprise | None


class NotificationDispatcher:
    """Sends each notice once to every channel."""

    def __init__(self, urls: Sequence[str], deadline: float = 15.0) -> None:
        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its log lines repeat URLs, unreadable ones too
        self._deadline = deadline
        self._channels = tuple(_channel(place, url) for place, url in enumerate(urls, 1))

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Entries that are no channel, each named as NOTIFY_URLS lists it."""
        return tuple(channel.name for channel in self._channels if channel.road is None)

    async def send_alert(self, notice: Notice) -> Answer[str]:
        """Answers how many channels took it; failed, naming the entries, when there are none or one did not."""
        if not self._channels:
            return Answer.fail(NO_URLS)
        took = await asyncio.gather(*(self._send(channel, notice) for channel in self._channels))
        complaints = [complaint for complaint in took if complaint]
        if complaints:
            reached = len(took) - len(complaints)
            return Answer.fail(f"{'; '.join(complaints)}. {reached} of {len(took)} channels took the notice")
        return Answer.of(f"{len(took)} channels took it")

    async def _send(self, channel: Channel, notice: Notice) -> str | None:
        """What went wrong with this channel, None when it took the notice."""
        if channel.road is None:
            return f"{channel.name} is no channel that apprise knows; correct it in .env"
        try:
            sent = await asyncio.wait_for(
                channel.road.async_notify(
                    title=notice.title, body=notice.body or notice.title,
                    notify_type=_TYPES.get(notice.severity, apprise.NotifyType.INFO),
                ),
                self._deadline,
            )  # fmt: skip
        except TimeoutError:
            return f"{channel.name} did not answer within {self._deadline:g} s"
        return None if sent else f"{channel.name} did not take it"


def _channel(place: int, url: str) -> Channel:
    scheme = _SCHEME.match(url)
    name = f"NOTIFY_URLS entry {place} ({scheme.group() if scheme else 'no scheme'})"
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if not isinstance(service, apprise.NotifyBase):
        return Channel(name, None)
    road = apprise.Apprise()
    road.add(service)
    return Channel(name, road)
