"""The search for the optimum in a process of its own: niced, fed by a pipe, and gone when that pipe closes.

A pass of the proposer never waits for it. The parent asks with everything the search may look at and hears better and
better answers; past the deadline the process is killed and the last answer stands. Both ends are ours, so that the
pipe may carry pickles.
"""

import asyncio
import os
import pickle
import queue
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from agents.proposer_engine import Account, ProposerEngine
from agents.supervisor import child_environment
from bridge.outlook import Outlook
from models.market import Quote
from models.quant.aftermath import closable, only_closes
from models.quant.candidate import Candidate, Scene, Unfit
from models.quant.linear_hedges import cures
from models.quant.margin_floor import MarginFloor, margin_floor
from models.quant.margin_rules import IBKR
from models.quant.optimum import Optimum, optimum
from models.quant.option import Contract
from models.quant.shapes import family_of
from models.quant.structure import Leg
from models.quant.weighing import judge

NICE = 15
GRACE = 10.0  # seconds beyond the search's own, for what is read, priced and compiled before it
GAP_BETWEEN = 0.5  # seconds: an answer is told no more often, but for the last
CHILD = "from agents.optimum_process import main; main()"  # no -m: what it pickles must be this module's own
_SIZE = struct.Struct(">Q")


@dataclass(frozen=True)
class Ticket:
    """A proposal to be measured: what is traded, whatever it is called."""

    legs: tuple[Leg, ...]
    quantity: int


@dataclass(frozen=True)
class Question:
    """One account's book and market, what could be traded, and the proposals to measure. `seconds` for the search."""

    account: Account
    outlook: Outlook
    tradable: tuple[Contract, ...]
    quotes: Mapping[str, Quote]
    tickets: tuple[Ticket, ...]
    seconds: float


@dataclass(frozen=True)
class Answer:
    """`gaps` of the tickets in their order (None: not to be measured), `costs` on the same prices (None: it does not
    stand). `bound` in currency; `gap` of the optimum's own; `final`: no better one will come."""

    hedge: Candidate | None
    bound: float
    gap: float | None
    gaps: tuple[float | None, ...]
    costs: tuple[float | None, ...]
    words: str
    seconds: float
    final: bool


# ── the child ───────────────────────────────────────────────────────────────────────────────────────────────────
def answers(question: Question, now: float, clock: Callable[[], float]) -> Iterator[Answer]:
    """Better and better answers, the last of them final; `now` is when the question came, by the same clock."""
    engine = ProposerEngine(question.account, question.outlook)
    scene = engine.whole_scene(question.tradable, question.quotes)
    tickets = [_judged(scene, ticket) for ticket in question.tickets]
    known = [hedge for hedge in tickets if hedge is not None]
    ends, told, last = now + question.seconds, -1.0, None
    for found in optimum(scene, floors(scene, question), lambda: ends - clock(), known):
        last = found
        if clock() - told >= GAP_BETWEEN:
            told = clock()
            yield _answer(scene, found, tickets, clock() - now, final=False)
    if last is not None:
        yield _answer(scene, last, tickets, clock() - now, final=True)


def floors(scene: Scene, question: Question) -> list[MarginFloor]:
    """Of every underlying whose options may be traded."""
    symbols = dict.fromkeys(c.symbol for c in scene.vectors.contracts if c.is_option)
    found = (
        margin_floor(scene.vectors.contracts, symbol, question.account.held, question.outlook.view, IBKR)
        for symbol in symbols
    )
    return [floor for floor in found if floor is not None]


def _judged(scene: Scene, ticket: Ticket) -> Candidate | None:
    """The ticket valued on the search's own prices; None when it does not stand there."""
    can_close = closable(scene.held, scene.in_flight)
    family = family_of(ticket.legs, ticket.quantity, can_close)
    try:
        return judge(scene, ticket.legs, ticket.quantity, family, only_closes(ticket.legs, ticket.quantity, can_close))
    except Unfit:
        return None


def _answer(scene: Scene, found: Optimum, tickets: list[Candidate | None], seconds: float, final: bool) -> Answer:
    return Answer(
        hedge=found.hedge,
        bound=found.bound,
        gap=found.gap,
        gaps=tuple(None if hedge is None else found.distance(scene, hedge) for hedge in tickets),
        costs=tuple(None if hedge is None or not cures(hedge) else hedge.cost.total for hedge in tickets),
        words=found.words,
        seconds=seconds,
        final=final,
    )


def serve(questions: BinaryIO, replies: BinaryIO) -> None:
    """Answer one question after the other; a newer one ends the search for an older. Never returns."""
    waiting: queue.Queue[tuple[float, Question]] = queue.Queue()
    threading.Thread(target=_listen, args=(questions, waiting), daemon=True, name="questions").start()
    while True:
        came, question = waiting.get()
        for answer in answers(question, came, time.monotonic):
            _send(replies, answer)
            if not waiting.empty():
                break


def _listen(questions: BinaryIO, waiting: "queue.Queue[tuple[float, Question]]") -> None:
    """The end of the pipe is the end of the parent: leave at once, whatever is being computed."""
    while True:
        head = questions.read(_SIZE.size)
        if len(head) < _SIZE.size:
            os._exit(0)
        body = questions.read(_SIZE.unpack(head)[0])
        waiting.put((time.monotonic(), pickle.loads(body)))  # noqa: S301 - our own parent's words


def _send(pipe: BinaryIO, what: object) -> None:
    body = pickle.dumps(what)
    pipe.write(_SIZE.pack(len(body)) + body)
    pipe.flush()


def main() -> None:
    os.nice(NICE)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints here must not be taken for an answer
    serve(os.fdopen(0, "rb", closefd=False), replies)


# ── the parent ──────────────────────────────────────────────────────────────────────────────────────────────────
class Calculator:
    """The child as its parent knows it: started when first asked, kept for the next question, killed when late."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def ask(self, question: Question) -> Answer | None:
        """The last answer given in time; None when there was none. Cancelled, it kills the child."""
        last: Answer | None = None
        done = False
        try:
            async with asyncio.timeout(question.seconds + GRACE):
                process = await self._running()
                assert process.stdin is not None and process.stdout is not None
                body = pickle.dumps(question)
                process.stdin.write(_SIZE.pack(len(body)) + body)
                await process.stdin.drain()
                while last is None or not last.final:
                    head = await process.stdout.readexactly(_SIZE.size)
                    last = pickle.loads(await process.stdout.readexactly(_SIZE.unpack(head)[0]))  # noqa: S301 - our child
                done = True
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            pass  # late, or it died: what it said so far stands
        finally:
            if not done:
                await self.close()
        return last

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CHILD, env=child_environment(),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
        return self._process
