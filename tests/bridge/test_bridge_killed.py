"""The bridge's own process killed with signal 9 around claim, send, acknowledgement and fill: the venue never holds
more than one order per approval, and the next life brings our row to what the venue says.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.simulator.types import FillStyle, RejectedByVenue
from models.control import Lease
from models.proposed_trade import ProposedTrade
from models.settings import VARIABLES
from tests.bridge.conftest import Scene, eventually

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
"""Seconds for a process to do what it must; a busy machine starts one slowly."""


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """SQLite: both databases keep a commit alike; what is killed here is the process around it."""
    return f"sqlite:///{tmp_path}/desk.db"


@dataclass
class Lives:
    """`python -m bridge.main`, one process after the other on the same memory and venue."""

    scene: Scene
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None
    begun: int = field(default=0)

    async def begin(self) -> None:
        """Start a life and wait until it is ready and has valued the book."""
        await self._end_lease()
        clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        env = clean | {
            "IB_PORT": str(self.scene.server.port), "DATABASE_URL": f"sqlite:///{self.folder}/desk.db",
            "DESK_VAR": str(self.folder / "var"), "VENUE_SPEED": "0", "OPENBLAS_NUM_THREADS": "1",
        }  # fmt: skip
        self.begun += 1
        self.process = self._start(env)
        await eventually(self._beats, f"life {self.begun} to be ready", PATIENCE)

    def _start(self, env: dict[str, str]) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "bridge.main"]
        with (self.folder / f"bridge{self.begun}.log").open("wb") as log:
            return subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    async def _beats(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / f"bridge{self.begun}.log").read_text()
        beats = await self.scene.store.control.heartbeats()
        return any(beat.pid == self.process.pid and beat.state == "ok" for beat in beats)

    async def _end_lease(self) -> None:
        """The dead life's twelve seconds pass: its supervisor would wait for them."""
        async with self.scene.store.writing() as session:
            lease = await session.get(Lease, "bridge")
            if lease is not None:
                lease.until -= timedelta(seconds=12)

    def kill(self) -> None:
        """Signal 9, now; the kernel closes its sockets."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)

    async def dead(self) -> None:
        async def gone() -> bool:
            return self.process is None or self.process.poll() is not None

        await eventually(gone, "the process to be gone", PATIENCE)
        self.process = None

    async def leave(self) -> None:
        """A clean end."""
        if self.process is not None:
            self.process.terminate()
            await self.dead()


@pytest.fixture
def lives(scene: Scene, tmp_path: Path) -> Iterator[Lives]:
    made = Lives(scene, tmp_path)
    yield made
    if made.process is not None:
        made.kill()
        made.process.wait(10)


async def agreed(scene: Scene) -> None:
    """One order at most per reference and one reference per approval; the books agree; nothing stays locked."""

    async def agree() -> bool:
        locks = await scene.store.control.locks(scene.account)
        return scene.venue_positions() == await scene.our_positions() and not locks

    await eventually(agree, "the books to agree and the locks to be freed", PATIENCE)
    refs = [order.ticket.order_ref for order in scene.venue.exchange.orders()]
    ours = await scene.store.orders.recent(10)
    assert len(refs) <= 1
    assert len(ours) == 1
    assert set(refs) <= {ours[0].order_ref}
    assert await scene.store.control.verify_audit() is None


async def resolved_as_absent(scene: Scene, lives: Lives, proposal: ProposedTrade) -> None:
    """The next process calls it unknown and locks; a life with less patience than sixty seconds proves it absent."""
    await lives.begin()
    await scene.order_of(proposal, "unknown", seconds=PATIENCE)
    (lock,) = await scene.store.control.locks(scene.account)
    assert lock.family == "SPX"
    await lives.leave()
    await scene.open()
    order = await scene.order_of(proposal, "cancelled", seconds=PATIENCE)
    assert order.filled == 0
    assert scene.venue.exchange.orders() == []
    await agreed(scene)


async def approved(scene: Scene, **terms: Any) -> ProposedTrade:
    await scene.publish(scene.held())
    proposal = await scene.propose(scene.spread(), **terms)
    await scene.approve(proposal)
    return proposal


def killing(lives: Lives, real: Callable[..., Any], after: bool = False) -> Callable[..., Any]:
    """The venue's own method, with the process killed just before or after it answers."""

    def method(*arguments: Any) -> Any:
        if not after:
            lives.kill()
        answer = real(*arguments)
        if after:
            lives.kill()
        return answer

    return method


async def test_killed_before_the_claim_the_next_life_crosses_it_once(scene: Scene, lives: Lives) -> None:
    await lives.begin()
    lives.kill()
    await lives.dead()
    proposal = await approved(scene, quantity=1)
    await lives.begin()
    await scene.order_of(proposal, "filled", seconds=PATIENCE)
    await agreed(scene)
    assert len(scene.venue.exchange.orders()) == 1


async def test_killed_between_claim_and_send_it_is_never_sent(scene: Scene, lives: Lives) -> None:
    await lives.begin()
    account = scene.venue.account
    real, account.what_if = account.what_if, killing(lives, account.what_if)  # type: ignore[method-assign]
    proposal = await approved(scene)
    await lives.dead()
    account.what_if = real  # type: ignore[method-assign]
    order = await scene.store.orders.of_proposal(proposal.id or 0)
    assert order is not None
    assert order.status == "intended"
    await resolved_as_absent(scene, lives, proposal)


async def test_killed_after_the_send_of_an_order_that_never_arrives(scene: Scene, lives: Lives) -> None:
    await lives.begin()
    exchange = scene.venue.exchange
    real = exchange.place

    def lost(*_arguments: Any) -> Any:
        lives.kill()
        raise RejectedByVenue(201, "said to nobody: the connection is gone, and the venue has not taken it")

    exchange.place = lost  # type: ignore[method-assign]
    proposal = await approved(scene)
    await lives.dead()
    exchange.place = real  # type: ignore[method-assign]
    order = await scene.store.orders.of_proposal(proposal.id or 0)
    assert order is not None
    assert order.status == "sent"
    await resolved_as_absent(scene, lives, proposal)


@pytest.mark.parametrize("after", [False, True], ids=["before it is taken", "as it is taken"])
async def test_killed_between_send_and_ack_the_next_life_finds_it(scene: Scene, lives: Lives, after: bool) -> None:
    await lives.begin()
    exchange = scene.venue.exchange
    exchange.set_fill_style(FillStyle.ANSWER_LATE, delay=0.5)
    real, exchange.place = exchange.place, killing(lives, exchange.place, after)  # type: ignore[method-assign]
    proposal = await approved(scene)
    await lives.dead()
    exchange.place = real  # type: ignore[method-assign]
    exchange.set_fill_style(FillStyle.NORMAL)
    order = await scene.store.orders.of_proposal(proposal.id or 0)
    assert order is not None
    assert order.status == "sent"
    await lives.begin()
    await scene.order_of(proposal, "filled", seconds=PATIENCE)
    await agreed(scene)
    assert len(scene.at_venue(order.order_ref)) == 1


async def test_killed_between_two_fills_the_next_life_counts_each_once(scene: Scene, lives: Lives) -> None:
    await lives.begin()
    exchange = scene.venue.exchange
    exchange.set_fill_style(FillStyle.PARTIAL, delay=1.0)
    proposal = await approved(scene, quantity=2)

    async def begun() -> bool:
        return bool(exchange.fills())

    await eventually(begun, "the first fill", PATIENCE)
    lives.kill()
    await lives.dead()
    await lives.begin()
    order = await scene.order_of(proposal, "filled", seconds=PATIENCE)
    await agreed(scene)
    assert order.filled == 2
    assert len(scene.at_venue(order.order_ref)) == 1


@pytest.mark.parametrize("seconds", [0.02, 0.06, 0.12])
async def test_killed_at_any_moment_there_is_never_a_second_order(scene: Scene, lives: Lives, seconds: float) -> None:
    """Whatever the moment hits: waiting, intended, sent, working or filled. Only what must never happen is asserted."""
    await lives.begin()
    proposal = await approved(scene)
    await asyncio.sleep(seconds)
    lives.kill()
    await lives.dead()
    await lives.begin()
    order = await scene.order_of(proposal, "filled", "unknown", "refused", seconds=PATIENCE)
    if order.status == "unknown":
        await lives.leave()
        await scene.open()
        await scene.order_of(proposal, "filled", "cancelled", seconds=PATIENCE)
    await agreed(scene)
