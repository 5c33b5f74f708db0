"""`python -m bridge.main`: one life of the bridge, from the lease to a clean end. `--run-once` makes one whole pass.

Exits: 0 done · 2 a setting or the regime file · 3 no broker · 4 wrong account or mode · 5 the memory · 6 another
bridge leads.
"""

import argparse
import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from adapters.base import AdapterError, Broker, ConfigurationError, NotConnected, Notifier
from bridge.claims import BRIDGE
from bridge.crossing import Crossing
from bridge.database_manager import DatabaseManager
from bridge.facts import halt_file
from bridge.life import Life, machine_now
from bridge.reconcile import AbsenceRule, Reconciler
from bridge.requests import Answering
from bridge.valuation import Valuation
from bridge.watchdog import DELAYS, Watchdog
from database.errors import DatabaseError, WrongDesk
from database.store import Store, open_store
from models.control import Heartbeat
from models.quant.regime import RegimeFileError
from models.quant.warming import warm
from models.settings import Settings, SettingsError, read_settings

log = logging.getLogger("bridge")

AGENT = "ibkr_bridge"
LEASE_SECONDS = 12.0
VALUE_EVERY = 5.0
VALUE_AT_LEAST_APART = 0.3
LOOK_EVERY = 1.0
CALLS_KEPT = 2000
"""Exchanges with the broker that wait for a memory that does not answer; older ones are dropped."""
BREATH = 0.02
"""Seconds between two looks at the memory when it changes all the time."""


class LeaseHeld(Exception):
    """Another bridge leads this database; the message says which and until when."""


async def run(
    store: Store,
    broker: Broker,
    settings: Settings,
    stop: asyncio.Event,
    *,
    once: bool = False,
    notifier: Notifier | None = None,
    delays: tuple[float, ...] = DELAYS,
    absence: AbsenceRule | None = None,
    search_every: float = 10.0,
    value_every: float = VALUE_EVERY,
) -> str:
    """Live until `stop` is set (with `once`: one pass), then release the lease and close the broker.

    Raises LeaseHeld, NotConnected (the first connection failed), WrongDesk (accounts of another desk), DatabaseError.
    Answers the sentence of its last pass. A session lost later is won back with growing delays.
    """
    holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    life = Life(store, broker, settings, DatabaseManager(store, holder), notifier)
    await asyncio.to_thread(warm)  # before the lease, which nobody renews meanwhile
    await _lead(life)
    crossing = Crossing(life)
    reconciler = Reconciler(life, crossing, absence or AbsenceRule())
    watchdog = Watchdog(life, crossing, reconciler, delays, search_every)
    valuation = Valuation(life, reconciler)
    parts = _Parts(life, crossing, watchdog, valuation, Answering(life, crossing, watchdog), value_every)
    parts.listen_calls()
    try:
        updates = await watchdog.begin()
        sentence = await parts.once() if once else await parts.live(updates, stop)
    except AdapterError as error:
        await parts.beat("failed", str(error))
        raise
    finally:
        life.ready.clear()
        await crossing.finish()
        await parts.answering.finish()
        await broker.close()
        await life.finish()
        await _leave(life, parts)
    return sentence


async def _leave(life: Life, parts: "_Parts") -> None:
    """The last words and the lease; a memory that does not answer lets the lease run out by itself."""
    try:
        await parts.write_calls()
        await life.store.control.release_lease(BRIDGE, life.manager.holder)
    except DatabaseError as error:
        log.warning("the memory did not answer at the end: %s", error)


async def _lead(life: Life) -> None:
    now, control = life.now(), life.store.control
    holder = life.manager.holder
    if not await control.take_lease(BRIDGE, holder, now, LEASE_SECONDS):
        lease = await control.lease(BRIDGE)
        who = f"{lease.holder} until {lease.until:%H:%M:%S} UTC" if lease else "somebody"
        raise LeaseHeld(f"another bridge leads this database: {who}; stop it or wait for its lease to end")
    # A released lease leaves no row: whether others lived before is also told by the orders they left.
    lease = await control.lease(BRIDGE)
    life.first = lease is not None and lease.slot == 1 and not await life.store.orders.recent(1)


class _Parts:
    """The loops of one life. Each one ends the life when it fails in a way nobody foresaw."""

    def __init__(
        self, life: Life, crossing: Crossing, watchdog: Watchdog, valuation: Valuation, answering: Answering,
        value_every: float,
    ) -> None:  # fmt: skip
        self.life, self.crossing, self.watchdog = life, crossing, watchdog
        self.valuation, self.answering, self.value_every = valuation, answering, value_every
        self._calls: deque[Any] = deque(maxlen=CALLS_KEPT)
        self._sentence = "started"

    def listen_calls(self) -> None:
        listen = getattr(self.life.broker, "listen_calls", None)
        if listen is not None:  # a broker that keeps a record of its calls
            listen(self._calls.append)

    async def write_calls(self) -> None:
        while self._calls:
            call = self._calls.popleft()
            await self.life.log_call(call.call, call.outcome, call.code, call.text, call.milliseconds)

    async def beat(self, state: str, sentence: str, seconds: float | None = None) -> None:
        now = self.life.now()
        await self.life.store.control.beat(
            Heartbeat(
                agent=AGENT, state=state, sentence=sentence, at=now, seconds=seconds, host=socket.gethostname(),
                pid=os.getpid(), detail={"session": self.watchdog.state.value, "ready": self.life.ready.is_set()},
            )
        )  # fmt: skip

    async def once(self) -> str:
        """Switches, requests, approvals and one valuation."""
        await self._look_at_switches()
        await self.answering.answer_waiting()
        crossed = await self.crossing.cross_waiting()
        await self.answering.finish()
        sentence = f"{self.watchdog.last_words}; {crossed} approval(s) crossed; {await self.valuation.pass_()}"
        await self.beat("ok", sentence)
        return sentence

    async def live(self, updates: Any, stop: asyncio.Event) -> str:
        work: list[Coroutine[Any, Any, None]] = [
            self.watchdog.keep(updates, stop),
            self._on_change(stop, self._look_at_switches),
            self._on_change(stop, self._cross),
            self._on_change(stop, self._answer),
            self._value(stop),
            self._renew(stop),
        ]
        tasks = [asyncio.create_task(part) for part in work]
        ended = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            stop.set()
            self.life.revalue.set()
            ended.cancel()
            await asyncio.gather(*tasks, ended, return_exceptions=True)
        await self.beat("stopped", "stopped in good order")
        return self._sentence

    async def _on_change(self, stop: asyncio.Event, look: Callable[[], Awaitable[object]]) -> None:
        """Look now, and whenever the memory may have changed, at least once a second."""
        changes = self.life.store.changes()
        while not stop.is_set():
            try:
                await look()
            except DatabaseError as error:
                log.warning("the memory did not answer: %s", error)
                await asyncio.sleep(LOOK_EVERY)
            await asyncio.sleep(BREATH)
            await changes.wait(LOOK_EVERY)

    async def _cross(self) -> None:
        if self.life.ready.is_set():
            await self.crossing.cross_waiting()

    async def _answer(self) -> None:
        await self.answering.answer_waiting()

    async def _look_at_switches(self) -> None:
        """Say that a switch was heard; every send reads HALT again by itself."""
        control = self.life.store.control
        for name, switch in (await control.switches()).items():
            if switch.acknowledged_at is None and not name.startswith("agent:"):
                await control.acknowledge_switch(name, self.life.now())
        if halt_file(self.life.settings.var_dir):
            body = "nothing is sent while it exists; remove it to go on"
            if not any(alert.cause == "halt file" for alert in await control.alerts()):
                await self.life.alarm("halt file", "red", "The file var/HALT halts the desk", body)
        elif any(alert.cause == "halt file" for alert in await control.alerts()):
            await self.life.settle("halt file")

    async def _value(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.life.revalue.clear()
            try:
                if self.life.ready.is_set():
                    await self._value_once()
                else:
                    await self.beat("failed", f"no session: {self.watchdog.last_words}")
                await self.write_calls()
            except DatabaseError as error:
                log.warning("the memory did not answer: %s", error)
            await asyncio.sleep(VALUE_AT_LEAST_APART)
            await _either(self.life.revalue, stop, self.value_every)

    async def _value_once(self) -> None:
        started = time.perf_counter()
        try:
            self._sentence = await self.valuation.pass_()
        except (AdapterError, DatabaseError, RegimeFileError, ValueError) as error:
            log.warning("valuation failed: %s", error)
            await self.beat("failed", f"valuation: {error}", time.perf_counter() - started)
        except Exception as error:  # cancels and fills matter more than a value: the life goes on and says it
            log.exception("valuation failed in an unforeseen way")
            await self.beat("failed", f"valuation: {type(error).__name__}: {error}", time.perf_counter() - started)
        else:
            await self.beat("ok", self._sentence, time.perf_counter() - started)

    async def _renew(self, stop: asyncio.Event) -> None:
        """Keep the lease; a life that lost it ends at once."""
        while not stop.is_set():
            await _either(stop, stop, LEASE_SECONDS / 3)
            if stop.is_set():
                return
            try:
                mine = await self.life.store.control.take_lease(
                    BRIDGE, self.life.manager.holder, self.life.now(), LEASE_SECONDS
                )
            except DatabaseError as error:  # the fence reads the lease again before every send
                log.warning("the lease could not be renewed: %s", error)
                continue
            if not mine:
                raise LeaseHeld("the lease went to another bridge; this one ends")


async def _either(one: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    """Return when either is set or the seconds passed."""
    waits = [asyncio.create_task(event.wait()) for event in {one, other}]
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────
async def _command(settings: Settings, once: bool) -> str:
    from adapters.connect import open_broker, open_notifier

    store = await open_store(
        settings.database_url, mode=settings.mode.value, var_dir=settings.var_dir, now=machine_now()
    )
    try:
        broker = await open_broker(settings)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, stop.set)
        return await run(store, broker, settings, stop, once=once, notifier=open_notifier(settings))
    finally:
        await store.close()


def main(arguments: list[str] | None = None) -> int:
    """Exit code of the command; every failure is one sentence on standard error."""
    parser = argparse.ArgumentParser(prog="python -m bridge.main", description="Crosses decisions to the broker.")
    parser.add_argument("--run-once", action="store_true", help="one pass: reconcile, answer, cross, value; then end")
    once = parser.parse_args(arguments).run_once
    try:
        from dotenv import dotenv_values

        said = {name: value for name, value in dotenv_values(".env").items() if value is not None}
        settings = read_settings({**said, **os.environ})
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(name)s %(levelname)s %(message)s")
        logging.getLogger("ib_async").setLevel(logging.CRITICAL)  # it logs whole account ids
        sys.stdout.write(asyncio.run(_command(settings, once)) + "\n")
    except (SettingsError, ConfigurationError, RegimeFileError) as error:
        return _fail(2, error)
    except LeaseHeld as error:
        return _fail(6, error)
    except WrongDesk as error:
        return _fail(4, error)
    except DatabaseError as error:
        return _fail(5, error)
    except NotConnected as error:
        return _fail(4 if str(error).startswith("wrong account") else 3, error)
    except AdapterError as error:
        return _fail(3, error)
    return 0


def _fail(code: int, error: Exception) -> int:
    sys.stderr.write(f"bridge: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
