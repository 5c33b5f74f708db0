"""One client's connection as the desks of a session see it: agreed version, client id, and a way to answer.

Answers are written at once and never awaited; a client that does not read is cut off before it fills the memory.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from adapters.simulator import tws_replies as reply
from adapters.simulator.tws_order_replies import Fields
from adapters.simulator.tws_wire import encode_frame

log = logging.getLogger(__name__)
BACKLOG_LIMIT = 16 << 20
"""Bytes a client may leave unread before it is cut off."""
BUSY = 256 << 10
"""Bytes unread above which ticks wait: the next look sends the newer value instead."""


class Link:
    """The writing side of a client's socket. `client_id` is None until startApi."""

    def __init__(self, writer: asyncio.StreamWriter, version: int) -> None:
        self._writer = writer
        self.version = version
        self.client_id: int | None = None
        self.open = True
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        return self._unread() > BUSY

    def _unread(self) -> int:
        return self._writer.transport.get_write_buffer_size()

    def send(self, fields: Fields) -> None:
        """Write one message; after the link is cut this does nothing."""
        if not self.open:
            return
        self._writer.write(encode_frame(fields))
        if self._unread() > BACKLOG_LIMIT:
            log.warning("client %s does not read: %d bytes unread, cut off", self.client_id, self._unread())
            self.cut()

    def error(self, req_id: int, code: int, text: str) -> None:
        self.send(reply.error(self.version, req_id, code, text))

    async def drain(self) -> None:
        await self._writer.drain()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that takes turns with other clients; it ends with the link."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def finish(self) -> None:
        """Close after what was written has left."""
        self.open = False
        self._writer.close()

    def cut(self) -> None:
        """Close at once; what was not yet sent is lost, as when a TWS dies."""
        self.open = False
        self._writer.transport.abort()

    async def end(self) -> None:
        """Stop what was spawned and wait for it."""
        self.open = False
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
