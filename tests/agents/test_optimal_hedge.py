"""The optimum beside the proposer: in a process of its own, a yardstick, and proposed where it is clearly cheaper."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents import optimal_hedge, trade_proposer
from agents.accounts import read_account
from agents.desk import Desk
from agents.optimal_hedge import Memory
from agents.optimum_process import Answer, Calculator, Question, Ticket
from agents.proposer_engine import CandidateGenerator, ProposerEngine, RiskRegimeLoader
from models.proposed_trade import Check, Origin
from models.quant.candidate import Candidate
from models.quant.regime_rules import Family
from models.quant.structure import Action, Leg
from tests.agents.scripted_market import OptionMarket
from tests.agents.test_trade_proposer import ACCOUNT, bridge, hold, pending, put, short_vega, streams

__all__ = ["bridge", "streams"]  # fixtures, used by name


@pytest.fixture
async def calculator() -> AsyncIterator[Calculator]:
    one = Calculator()
    yield one
    await one.close()


async def question_of(desk: Desk, seconds: float, *tickets: Ticket) -> Question:
    now, machine = await desk.now(), desk.machine_now()
    loader, generator = RiskRegimeLoader(desk.store, desk.settings), CandidateGenerator(desk.store)
    account = await read_account(desk, ACCOUNT, machine)
    outlook = await loader.load(account, (), now, machine)
    options = await generator.options(outlook.appetite.hedges, outlook.view.spx, now)
    return Question(account, outlook, options, {}, tickets, seconds)


def alive(pid: int) -> bool:
    """A process that ended and is not yet reaped counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int, within: float = 10.0) -> bool:
    ends = time.monotonic() + within
    while alive(pid) and time.monotonic() < ends:  # noqa: ASYNC110 - of another process there is no event
        await asyncio.sleep(0.05)
    return not alive(pid)


@pytest.mark.usefixtures("streams")
async def test_it_answers_with_a_bound_and_a_gap_for_each_ticket_in_a_process_that_is_kept(
    desk: Desk, market: OptionMarket, calculator: Calculator
) -> None:
    await hold(desk, short_vega(market))
    short = put(market, 6100.0)
    closing = Ticket((Leg(short, Action.BUY),), 19)
    helpless = Ticket((Leg(short, Action.BUY),), 1)
    answer = await calculator.ask(await question_of(desk, 6.0, closing, helpless))
    assert isinstance(answer, Answer) and answer.final
    assert 0 < answer.bound < float("inf") and answer.words
    assert answer.gaps[0] is None or answer.gaps[0] >= 0
    assert answer.gaps[1] is None, "in part is no cure"
    first = calculator.pid
    again = await calculator.ask(await question_of(desk, 1.0))
    assert again is not None and calculator.pid == first


@pytest.mark.usefixtures("streams")
async def test_the_loop_goes_on_while_it_searches_and_a_stop_ends_it_at_once(
    desk: Desk, market: OptionMarket, calculator: Calculator
) -> None:
    await hold(desk, short_vega(market))
    task = asyncio.create_task(calculator.ask(await question_of(desk, 120.0)))
    longest, looks = 0.0, 0
    while calculator.pid is None or looks < 40:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        longest, looks = max(longest, time.monotonic() - before), looks + 1
    pid = calculator.pid
    assert pid is not None and longest < 1.0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert calculator.pid is None and await gone(pid)


@pytest.mark.usefixtures("streams")
async def test_past_its_deadline_it_is_killed_and_its_last_word_stands(
    desk: Desk, market: OptionMarket, calculator: Calculator, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hold(desk, short_vega(market))
    monkeypatch.setattr("agents.optimum_process.GRACE", -119.9)
    assert await calculator.ask(await question_of(desk, 120.0)) is None
    assert calculator.pid is None


@pytest.mark.usefixtures("streams")
async def test_a_child_that_died_is_no_answer_and_the_next_question_starts_another(
    desk: Desk, market: OptionMarket, calculator: Calculator
) -> None:
    await hold(desk, short_vega(market))
    task = asyncio.create_task(calculator.ask(await question_of(desk, 120.0)))
    while calculator.pid is None:  # noqa: ASYNC110 - it is started by the task beside us
        await asyncio.sleep(0.01)
    os.kill(calculator.pid, signal.SIGKILL)
    await task
    assert await calculator.ask(await question_of(desk, 1.0)) is not None


def test_it_dies_with_its_parent_even_when_that_is_killed_outright(tmp_path: Path) -> None:
    script = (
        "import asyncio, os, sys\n"
        "from agents.optimum_process import Calculator\n"
        "async def main():\n"
        "    process = await Calculator()._running()\n"
        "    print(process.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        assert alive(child)
        parent.kill()
        parent.wait()
        assert asyncio.run(gone(child, 60.0))
    finally:
        parent.stdout.close()
        if alive(child):
            os.kill(child, signal.SIGKILL)


# ── the agent ────────────────────────────────────────────────────────────────────────────────────────────────────
class Told:
    """A calculator that says what it is told, and what it was asked."""

    def __init__(self, answer: Answer | None) -> None:
        self.answer, self.asked = answer, list[Question]()

    async def ask(self, question: Question) -> Answer | None:
        self.asked.append(question)
        return self.answer


def says(desk: Desk, **answer: object) -> Told:
    given: dict[str, object] = {
        "hedge": None, "bound": 100.0, "gap": None, "gaps": (), "costs": (), "words": "none", "seconds": 1.0,
        "final": True,
    }  # fmt: skip
    told = Told(Answer(**{**given, **answer}))  # type: ignore[arg-type]
    desk.keep(Memory).calculator = told  # type: ignore[assignment]
    return told


async def a_check(desk: Desk, breaches: int = 1, age: float = 0.0) -> None:
    now = datetime.now(UTC) - timedelta(seconds=age)
    check = Check(account_id=ACCOUNT, at=now, regime="x", profile="desk", breaches=breaches, candidates=1, proposed=0,
                  seconds=0.1, sentence="before", breach_set_id="one")  # fmt: skip
    await desk.store.proposals.replace_pending(ACCOUNT, Origin.HEDGE, [], check, now)


@pytest.mark.usefixtures("streams", "bridge")
async def test_each_check_is_measured_once_and_its_proposals_keep_their_gaps(desk: Desk, market: OptionMarket) -> None:
    await hold(desk, short_vega(market))
    before = await optimal_hedge.watch(desk)
    await trade_proposer.work(desk)
    assert await optimal_hedge.watch(desk) - before, "a new check is a reason"
    rows = sorted(await pending(desk), key=lambda row: row.id or 0)
    told = says(desk, gaps=tuple(0.1 * (i + 1) for i in range(len(rows))), costs=(50.0,) * len(rows), words="well")
    report = await optimal_hedge.work(desk)
    assert "10%" in report.sentence and "well" in report.sentence
    assert [ticket.quantity for ticket in told.asked[0].tickets] == [row.quantity for row in rows]
    kept = sorted(await pending(desk), key=lambda row: row.id or 0)
    assert [row.optimum_gap for row in kept] == pytest.approx([0.1 * (i + 1) for i in range(len(rows))])
    assert "No new check" in (await optimal_hedge.work(desk)).sentence and len(told.asked) == 1


@pytest.mark.usefixtures("streams", "bridge")
async def test_a_clearly_cheaper_optimum_is_quoted_judged_and_proposed_beside_them(
    desk: Desk, market: OptionMarket
) -> None:
    await hold(desk, short_vega(market))
    await trade_proposer.work(desk)
    rows = sorted(await pending(desk), key=lambda row: row.id or 0)
    hedge = await best_of_chain(desk)
    says(desk, hedge=hedge, costs=(10 * hedge.cost.total,), gaps=(None,) * len(rows))
    async with desk.store.writing() as session:  # what stands is dear, so that the optimum must win
        for row in rows:
            kept = await session.merge(row)
            scores = dict(kept.scores or {})
            kept.scores = {**scores, "cost": {**scores["cost"], "total": 1e9}}
    report = await optimal_hedge.work(desk)
    now = await pending(desk)
    (fourth,) = [row for row in now if row.id not in {one.id for one in rows}]
    assert "Proposed beside them" in report.sentence
    assert fourth.strategy_name == "Optimal hedge" and fourth.breach_set_id == rows[0].breach_set_id
    assert fourth.margin_source == "broker" and all(leg["source"] == "real" for leg in fourth.legs_json)


async def best_of_chain(desk: Desk) -> Candidate:
    """A hedge of the chain as the search would hand it over."""
    question = await question_of(desk, 1.0)
    engine = ProposerEngine(question.account, question.outlook)
    ranked = engine.propose(question.tradable).ranked
    full = next(hedge for hedge in ranked if hedge.full)
    return replace(full, family=full.family if full.closes else Family.OPTIMAL)


@pytest.mark.usefixtures("streams", "bridge")
async def test_an_optimum_that_is_hardly_cheaper_is_only_a_yardstick(desk: Desk, market: OptionMarket) -> None:
    await hold(desk, short_vega(market))
    says(desk)
    await trade_proposer.work(desk)
    before = {row.id for row in await pending(desk)}
    hedge = await best_of_chain(desk)
    says(desk, hedge=hedge, costs=(1.05 * hedge.cost.total,), gaps=(None,) * len(before))
    report = await optimal_hedge.work(desk)
    assert {row.id for row in await pending(desk)} == before and "Proposed" not in report.sentence


@pytest.mark.usefixtures("streams", "bridge")
@pytest.mark.parametrize(("breaches", "age"), [(0, 0.0), (1, 600.0)])
async def test_a_check_without_breaches_or_of_another_market_is_not_measured(
    desk: Desk, market: OptionMarket, breaches: int, age: float
) -> None:
    await hold(desk, short_vega(market))
    told = says(desk)
    await a_check(desk, breaches, age)
    assert "No new check" in (await optimal_hedge.work(desk)).sentence
    assert told.asked == []


@pytest.mark.usefixtures("streams", "bridge")
async def test_a_search_without_an_answer_says_so(desk: Desk, market: OptionMarket) -> None:
    await hold(desk, short_vega(market))
    says(desk)
    desk.keep(Memory).calculator = Told(None)  # type: ignore[assignment]
    await a_check(desk)
    assert "gave no answer in time" in (await optimal_hedge.work(desk)).sentence
