"""A bridge of a few lines for tests of the cockpit: it beats, acknowledges switches and answers margin previews."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from database.store import Store, open_store
from models.control import Heartbeat, RequestKind, SwitchName
from tests.app.seed import preview

BEAT = 0.2


async def serve(store: Store, stop: threading.Event) -> None:
    """Until stopped: what a living bridge does for an open page, without a broker."""
    while not stop.is_set():
        now = datetime.now(UTC)
        beat = Heartbeat(
            agent="ibkr_bridge",
            state="ok",
            sentence="the fake bridge is here",
            at=now,
            next_at=now + timedelta(seconds=1),
            seconds=0.01,
            rows=0,
            host="test",
            pid=1,
        )
        await store.control.beat(beat)
        for name in SwitchName:
            await store.control.acknowledge_switch(name, now)
        for request in await store.control.claim_requests("bridge", "fake", now):
            assert request.id is not None
            if request.kind == RequestKind.WHAT_IF:
                number = int(request.payload["proposal_id"])
                row = await store.proposals.get(number)
                if row is not None:
                    await preview(store, number, row, now)
            await store.control.answer(request.id, result={"said": "done"})
        await asyncio.sleep(BEAT)


async def _run(url: str, var_dir: Path, stop: threading.Event) -> None:
    store = await open_store(url, mode="DEMO", var_dir=var_dir, now=datetime.now(UTC))
    try:
        await serve(store, stop)
    finally:
        await store.close()


class FakeStaff:
    """Runs `serve` in a thread of its own between `with` and its end."""

    def __init__(self, url: str, var_dir: Path) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(_run(url, var_dir, self._stop)), daemon=True)

    def __enter__(self) -> "FakeStaff":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
