"""Real TWS clients for tests: ib_async with its log watched for decoder errors, and IBKR's own ibapi on a thread."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from ib_async import IB
from ibapi.client import EClient
from ibapi.wrapper import EWrapper

DEADLINE = 20.0
DECODER_WORDS = ("Error handling fields", "Error for ", "unhandled value", "malformed value",
                 "No order found", "diff len fields")  # fmt: skip


class _Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def no_decoder_errors() -> Iterator[list[str]]:
    """Fails at the end when a client could not read something the venue sent; yields every error line logged."""
    keeper = _Keeper()
    names = ("ib_async", "ibapi")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).addHandler(keeper)
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield keeper.lines
    finally:
        for name in names:
            logging.getLogger(name).removeHandler(keeper)
            logging.getLogger(name).setLevel(before[name])
    broken = [line for line in keeper.lines if any(words in line for words in DECODER_WORDS)]
    assert not broken, broken


@asynccontextmanager
async def connected(port: int, client_id: int = 7, *, newest: int = 178, throttle: bool = False) -> AsyncIterator[IB]:
    """An ib_async client, synced, of the given newest version; its own throttle is off unless asked for."""
    ib = IB()
    ib.client.MaxClientVersion = newest
    if not throttle:
        ib.client.MaxRequests = 0
    await ib.connectAsync("127.0.0.1", port, clientId=client_id, timeout=DEADLINE, raiseSyncErrors=True)
    try:
        yield ib
    finally:
        ib.disconnect()


async def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until `condition` is truthy, and return its value; fails with `what` after the deadline."""
    end = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < end, f"never happened: {what}"
        await asyncio.sleep(0.01)
    return value


class OfficialClient(EWrapper, EClient):
    """IBKR's client of version 157, reading on its own thread; every callback is kept in `heard` by its name."""

    def __init__(self) -> None:
        EWrapper.__init__(self)
        EClient.__init__(self, self)
        self.heard: dict[str, list[tuple[Any, ...]]] = {}
        self.failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name in EWrapper.__dict__ and name not in ("logAnswer",):
            heard = object.__getattribute__(self, "heard")

            def keep(*args: Any) -> None:
                heard.setdefault(name, []).append(args)

            return keep
        return found

    def start(self, port: int, client_id: int) -> None:
        self.connect("127.0.0.1", port, client_id)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - whatever the decoder raised fails the test
            self.failure = error

    def stop(self) -> None:
        self.disconnect()
        if self._thread is not None:
            self._thread.join(DEADLINE)
        assert self.failure is None, self.failure

    def wait(self, name: str, count: int = 1) -> list[tuple[Any, ...]]:
        """Block until a callback was heard `count` times."""
        end = time.monotonic() + DEADLINE
        while len(self.heard.get(name, [])) < count:
            assert time.monotonic() < end, f"{name} not heard {count} times; heard {self.heard}"
            time.sleep(0.01)
        return self.heard[name]
