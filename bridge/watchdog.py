"""Keeps the session: connect, reconcile, listen until it is lost, wait longer each time, and never call itself ready
before the books agreed. The nightly reset is an expected state, not an alarm.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, time

from adapters.base import AdapterError, NotConnected, OrderUpdate, SessionState
from bridge.crossing import Crossing
from bridge.life import Life
from bridge.reconcile import Reconciler, reset_between
from database.errors import DatabaseError, WrongDesk
from models.quant.product import NEW_YORK
from models.settings import mask_account

log = logging.getLogger("bridge.watchdog")

DELAYS = (5.0, 10.0, 20.0, 40.0, 80.0, 120.0)
"""Seconds before each new attempt; the last one for all that follow. A quick reconnect is refused (326)."""
ALARM_AFTER = 3
"""Failed attempts in a row before a person is called."""
LOGIN_DAY, LOGIN_FROM, LOGIN_TO = 6, time(1, 0), time(1, 30)
"""Weekly re-login, Sunday New York."""
DRIFT_SECONDS = 2.0


def expected_outage(now: datetime) -> bool:
    """Whether the broker is expected to be away at desk time `now`: nightly reset or weekly re-login."""
    local = now.astimezone(NEW_YORK)
    weekly = local.weekday() == LOGIN_DAY and LOGIN_FROM <= local.time() < LOGIN_TO
    return weekly or reset_between(now, now)


@dataclass
class Watchdog:
    """One per life."""

    life: Life
    crossing: Crossing
    reconciler: Reconciler
    delays: tuple[float, ...] = DELAYS
    search_every: float = 10.0
    failures: int = 0
    last_words: str = "not connected yet"
    _lost: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def state(self) -> SessionState:
        """What the session is, in the words of the light: an expected outage is named as such."""
        state = self.life.broker.state
        if state is SessionState.READY and not self.life.ready.is_set():
            return SessionState.SYNCING
        away = state in (SessionState.DEGRADED, SessionState.LOGGED_OUT, SessionState.CONNECTING)
        return SessionState.NIGHTLY_RESET if away and expected_outage(self.life.desk_now()) else state

    async def begin(self) -> AsyncIterator[OrderUpdate]:
        """Connect and reconcile; the updates from the first moment of the session on.

        Raises NotConnected with the reason and the remedy, WrongDesk when the accounts are not this database's.
        """
        life = self.life
        await life.broker.connect()
        updates = life.broker.updates()  # before the first question, so that nothing falls between
        life.accounts = await self._accounts()
        self.last_words = await self.reconciler.pass_()
        await self._check_drift()
        life.ready.set()
        life.revalue.set()
        await life.settle("session")
        log.info("%s", self.last_words)
        return updates

    async def _accounts(self) -> tuple[str, ...]:
        answer = await self.life.broker.accounts()
        offered, wanted = answer.data or (), self.life.settings.ib_account
        if not offered:
            raise NotConnected(answer.failure or "the broker offers no account")
        if wanted and wanted not in offered:
            shown = ", ".join(mask_account(account) for account in offered)
            raise WrongDesk(f"IB_ACCOUNT {mask_account(wanted)} is not offered; the broker has {shown}")
        return (wanted,) if wanted else tuple(offered)

    async def _check_drift(self) -> None:
        """The broker's clock against ours; in the demo the desk follows the venue's and there is nothing to compare."""
        follows = abs(self.life.broker.clock.drift_seconds(self.life.now())) > DRIFT_SECONDS
        drift = self.life.broker.drift_seconds
        if abs(drift) > DRIFT_SECONDS and not follows:
            body = f"the broker's clock is {drift:+.1f} s from UTC; set this machine's clock"
            await self.life.alarm("clock drift", "red", "The machine's clock is wrong", body)
        else:
            await self.life.settle("clock drift")

    async def keep(self, updates: AsyncIterator[OrderUpdate], stop: asyncio.Event) -> None:
        """Listen; at every loss back off, reconnect and reconcile, until `stop`. Raises WrongDesk."""
        while not stop.is_set():
            await self._listen(updates, stop)
            if stop.is_set():
                return
            self.last_words = "the session was lost"
            await self.life.log_call("session", "lost")
            again = await self._reconnect(stop)
            if again is None:
                return
            updates = again

    async def _reconnect(self, stop: asyncio.Event) -> AsyncIterator[OrderUpdate] | None:
        while not stop.is_set():
            delay = self.delays[min(self.failures, len(self.delays) - 1)]
            if await _waited(stop, delay):
                return None
            try:
                updates = await self.begin()
            except WrongDesk:
                raise
            except (AdapterError, DatabaseError) as error:
                self.failures += 1
                self.last_words = str(error)
                await self.life.broker.close()
                if self.failures >= ALARM_AFTER and not expected_outage(self.life.desk_now()):
                    title = f"No session with the broker after {self.failures} attempts"
                    await self.life.alarm("session", "red", title, self.last_words)
            else:
                self.failures = 0
                return updates
        return None

    async def _listen(self, updates: AsyncIterator[OrderUpdate], stop: asyncio.Event) -> None:
        """Hear updates and search for unknown orders until the session ends or `stop` is set.

        At a stop the crossing under way is finished first, and what was heard is written down; nothing is cut short.
        """
        over = asyncio.Event()
        hearing = asyncio.create_task(self._hear(updates))
        searching = asyncio.create_task(self._search(over))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((hearing, stopping), return_when=asyncio.FIRST_COMPLETED)
            self.life.ready.clear()
            if stop.is_set():
                await self.crossing.finish()
                await self.life.broker.close()
        finally:
            over.set()
            stopping.cancel()
        await asyncio.gather(hearing, searching)

    async def _hear(self, updates: AsyncIterator[OrderUpdate]) -> None:
        try:
            async for update in updates:
                if update.fill is not None and update.fill.account_id in self.life.accounts:
                    await self.reconciler.book(update.fill)
                if update.order is not None:
                    await self.crossing.heard(update.order)
        except (AdapterError, DatabaseError) as error:  # a word was lost: only a new reconciliation can tell
            log.warning("listening ended: %s", error)
            await self.life.broker.close()

    async def _search(self, over: asyncio.Event) -> None:
        while not await _waited(over, self.search_every):
            try:
                await self.reconciler.search_unknown()
            except (AdapterError, DatabaseError) as error:
                log.warning("the search for unknown orders failed: %s", error)


async def _waited(stop: asyncio.Event, seconds: float) -> bool:
    """True when `stop` came before the seconds passed."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
