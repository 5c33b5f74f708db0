"""One life of the bridge: what its parts share, from the lease it holds to the references it has sent."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from adapters.base import Broker, Notice, Notifier
from bridge.database_manager import DatabaseManager
from bridge.notices import deliver
from database.errors import DatabaseError
from database.store import Store
from models.control import ApiLog
from models.settings import Settings, mask_account

log = logging.getLogger("bridge")

BROKER, SOURCE = "broker", "bridge"


def machine_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Life:
    """Shared by crossing, reconciliation, valuation and requests; `now` is machine time."""

    store: Store
    broker: Broker
    settings: Settings
    manager: DatabaseManager
    notifier: Notifier | None = None
    now: Callable[[], datetime] = machine_now
    first: bool = True
    """No other life has ever held the lease: only then is the broker not asked for a reference before the send."""
    accounts: tuple[str, ...] = ()
    sent: set[str] = field(default_factory=set)
    """References this life has written; every other one is of another life."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while connected and reconciled; cleared at any loss."""
    revalue: asyncio.Event = field(default_factory=asyncio.Event)
    """Asks the valuation for a pass at once."""

    _notices: set[asyncio.Task[None]] = field(default_factory=set)

    def desk_now(self) -> datetime:
        return self.broker.clock.at(self.now())

    async def alarm(self, cause: str, severity: str, title: str, body: str) -> None:
        """Raise an alert, and send it out when the cause is new; a slow channel holds up no crossing and no fill."""
        if await self.store.control.raise_alert(cause, severity, title, body, SOURCE, self.now()):
            task = asyncio.create_task(self._notify(Notice(severity, title, body, cause)))
            self._notices.add(task)
            task.add_done_callback(self._notices.discard)

    async def _notify(self, notice: Notice) -> None:
        try:
            await deliver(self.store, self.notifier, notice, SOURCE, self.now())
        except DatabaseError as error:
            log.warning("what became of notice %s could not be written: %s", notice.cause, error)

    async def finish(self) -> None:
        """Wait for the notices under way; each has its own deadline."""
        await asyncio.gather(*self._notices, return_exceptions=True)

    async def settle(self, cause: str) -> None:
        await self.store.control.settle_alert(cause, self.now())

    async def log_call(
        self, call: str, outcome: str, code: int | None = None, text: str = "", milliseconds: float | None = None
    ) -> None:
        """One exchange with the broker, account ids masked."""
        for account in self.accounts:
            text = text.replace(account, mask_account(account))
        row = ApiLog(
            at=self.now(), counterparty=BROKER, call=call, outcome=outcome, code=code, text=text[:500],
            milliseconds=milliseconds,
        )  # fmt: skip
        await self.store.control.log_call(row)
