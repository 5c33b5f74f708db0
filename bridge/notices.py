"""Carries a notice to the person's own channels; what cannot leave the house is an alert itself, never a failure."""

from datetime import datetime

from adapters.base import Notice, Notifier
from database.store import Store

NO_CHANNEL, UNDELIVERED = "channels", "notifier"
HOW_TO_ADD = (
    "Alerts stay in this cockpit. To be told elsewhere set NOTIFY_URLS in .env, one URL a channel and a space between "
    "them: tgram://bottoken/chat, mailto://user:password@host, slack://… and a hundred more of apprise; start the desk "
    "again and press Test notification on Ops."
)


async def deliver(store: Store, notifier: Notifier | None, notice: Notice, source: str, now: datetime) -> None:
    """To every channel; without one the person is told once how to add it."""
    control = store.control
    if notifier is None:
        if NO_CHANNEL not in {alert.cause for alert in await control.alerts()}:
            await control.raise_alert(NO_CHANNEL, "yellow", "No channel carries notices", HOW_TO_ADD, source, now)
        return
    answer = await notifier.send_alert(notice)
    if answer.failed:
        title, why = "A notice could not be delivered", answer.failure or ""
        await control.raise_alert(UNDELIVERED, "yellow", title, why, source, now)
    else:
        await control.settle_alert(UNDELIVERED, now)


async def channels_are_known(store: Store, now: datetime) -> None:
    """NOTIFY_URLS is set: the warning that it was not is over."""
    await store.control.settle_alert(NO_CHANNEL, now)
