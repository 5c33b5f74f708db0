"""Notices to the person's own channels through apprise; without channels every notice answers failed, in words."""

import asyncio
import logging

import apprise

from adapters.base import Answer, Notice

NO_URLS = "no notification urls"
_TYPES = {"red": apprise.NotifyType.FAILURE, "yellow": apprise.NotifyType.WARNING, "info": apprise.NotifyType.INFO}


class NotificationDispatcher:
    """Sends each notice once to every channel. A channel's URL holds its secret and is never repeated in an answer."""

    def __init__(self, urls: tuple[str, ...], deadline: float = 15.0) -> None:
        self._deadline = deadline
        self._channels = apprise.Apprise()
        self._count = sum(1 for url in urls if self._channels.add(url))
        self._unreadable = len(urls) - self._count

    async def send_alert(self, notice: Notice) -> Answer[str]:
        """Answers how many channels took it; failed when there are none or one refused."""
        if self._count == 0:
            why = NO_URLS if not self._unreadable else f"none of the {self._unreadable} NOTIFY_URLS can be read"
            return Answer.fail(why)
        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its log lines repeat URLs
        try:
            sent = await asyncio.wait_for(
                self._channels.async_notify(
                    title=notice.title, body=notice.body or notice.title,
                    notify_type=_TYPES.get(notice.severity, apprise.NotifyType.INFO),
                ),
                self._deadline,
            )  # fmt: skip
        except TimeoutError:
            return Answer.fail(f"the channels did not answer within {self._deadline:g} s")
        if not sent:
            return Answer.fail(f"at least one of {self._count} channels did not take the notice")
        return Answer.of(f"{self._count} channels took it")
