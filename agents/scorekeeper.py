"""Follows every proposal for its life, whatever was decided: a look every few minutes, one row a desk day, a verdict.

A step of the closing bell. Marks are the store's quotes, else the surface's prices; a day nobody looked at is unknown
but for what was recorded of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from agents.schedule import AFTER_CLOSE
from agents.score_lines import adopt, hear
from agents.score_look import look
from database.scorecard import FollowedLine
from models.calendar import is_trading_day, trading_days
from models.quant.advice import RULES, LegMark, expired, lives, worth
from models.quant.advice_words import days_between, verdict
from models.quant.product import NEW_YORK, expiry_instant
from models.quant.structure import QuoteSource
from models.scorecard import FollowedDay, advice_for, day_row, story_of

if TYPE_CHECKING:
    from agents.desk import Desk


@dataclass
class Kept:
    """When this process looked last (machine time), and the last desk day it closed."""

    looked: datetime | None = None
    closed: date | None = None


async def keep_score(desk: "Desk", now: datetime, bell: date | None) -> str:
    """Look at every followed proposal when it is time, in a sentence; empty when it is not.

    `now` is desk time, `bell` the desk day that is over: it is looked at once more, closed, and never rewritten.
    """
    kept, machine = desk.keep(Kept), desk.machine_now()
    closing = bell is not None and bell != kept.closed
    often = timedelta(minutes=RULES.update_minutes)
    if not closing and kept.looked is not None and machine - kept.looked < often:
        return ""
    kept.looked = machine
    scorecard, today = desk.store.scorecard, desk_day(now)
    await adopt(desk, await scorecard.live(), machine)
    lines = await scorecard.live()
    await hear(desk, lines, now, machine)
    await _close_the_past(desk, lines, today)
    priced = 0
    if is_trading_day(today) and (closing or bell is None):
        rows = await look(desk, lines, today, now, machine)
        await scorecard.write_days(rows)
        priced = sum(row.value is not None for row in rows)
    words = f"{len(lines)} proposals followed, {priced} of them priced"
    if closing and bell is not None:
        await scorecard.close_days(bell)
        words += f", {await _judge(desk, lines, now, machine)} judged"
        kept.closed = bell
    return words if lines else ""


def desk_day(now: datetime) -> date:
    return now.astimezone(NEW_YORK).date()


def _bell_of(day: date) -> datetime:
    return datetime.combine(day, AFTER_CLOSE, NEW_YORK)


# ── days nobody looked at ────────────────────────────────────────────────────────────────────────────────────────
async def _close_the_past(desk: "Desk", lines: Sequence[FollowedLine], today: date) -> None:
    """Earlier days stand as they are; a session that has no row gets one of what was recorded, else unknown."""
    scorecard, yesterday = desk.store.scorecard, today - timedelta(days=1)
    await scorecard.close_days(yesterday)
    last = await scorecard.last_days()
    for line in lines:
        begin = last[line.id] + timedelta(days=1) if line.id in last else first_day(line.followed.desk_at)
        missed = trading_days(begin, yesterday)
        if missed:
            await scorecard.write_days([await _recorded(desk, line, day) for day in missed])
    await scorecard.close_days(yesterday)


def first_day(desk_at: datetime) -> date:
    """The first desk day whose close a proposal made at `desk_at` can see."""
    local = desk_at.astimezone(NEW_YORK)
    return local.date() + timedelta(days=int(local.time() >= AFTER_CLOSE))


async def _recorded(desk: "Desk", line: FollowedLine, day: date) -> FollowedDay:
    """A missed day from the last prices recorded on it, and legs that had settled; its breach is not known any more."""
    bell, advice = _bell_of(day), advice_for(line.proposal, line.followed)
    alive = [contract.identity for contract in lives(advice.legs, bell)]
    start = datetime.combine(day, time.min, NEW_YORK)
    greeks = await desk.store.scorecard.closing_greeks(alive, start, bell)
    marks = {
        name: LegMark(row.price, math.nan if row.theta is None else row.theta, QuoteSource.MODELLED)
        for name, row in greeks.items()
        if row.price is not None
    }
    worthy = worth(advice, marks, line.followed.settlements, bell)
    return day_row(line.followed, advice, worthy, None, day, bell, why=["nobody looked at this day"])


# ── the end of its life ──────────────────────────────────────────────────────────────────────────────────────────
async def _judge(desk: "Desk", lines: Sequence[FollowedLine], now: datetime, machine: datetime) -> int:
    """Lines whose life is over get their verdict, for good; how many."""
    ended = [line for line in lines if is_over(line, now)]
    for line in ended:
        days = await desk.store.scorecard.days_of(line.id)
        known = [day for day in days if day.profit is not None]
        line.followed.ended_at = machine
        line.followed.verdict = verdict(story_of(line.proposal, line.followed, (known or days or [None])[-1]))
    await desk.store.scorecard.save([line.followed for line in ended])
    return len(ended)


def is_over(line: FollowedLine, now: datetime) -> bool:
    """All legs settled (or their settlement waited for in vain), or followed long enough."""
    if days_between(line.followed.desk_at, now) >= RULES.follow_days:
        return True
    legs = advice_for(line.proposal, line.followed).legs
    if not all(expired(leg.contract, now) for leg in legs):
        return False
    waited = min(days_between(expiry_instant(leg.contract), now) for leg in legs)
    unknown = {leg.contract.identity for leg in legs} - set(line.followed.settlements)
    return not unknown or waited >= RULES.settle_wait_days
