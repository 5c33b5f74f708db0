"""A quarter of an hour before the close: what the night or the weekend could cost each account, and who must be told.

A step of the closing bell, once a session; on a half day it comes as much earlier as the close does.
"""

import asyncio
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from adapters.base import Notice
from agents.accounts import CheckIncomplete, read_account
from agents.notices import alert
from agents.proposer_engine import RiskRegimeLoader
from bridge.outlook import Observatory
from models.calendar import next_session, regular_session
from models.quant.gap import GapLook, look_over_gap
from models.quant.product import NEW_YORK, Hours

if TYPE_CHECKING:
    from agents.desk import Desk

SOURCE = "overnight"
TITLE = "Before the close: the gap ahead"


@dataclass
class Looked:
    """The session days whose gap this process looked at, and whose past alarms it called off, last."""

    ahead: date | None = None
    settled: date | None = None


async def look_overnight(desk: "Desk", now: datetime) -> str:
    """The look when it is due, in a sentence; empty when it is not. `now` is desk time.

    While an account's money is unknown the sentence says so, and the next pass looks again until the close.
    """
    today = now.astimezone(NEW_YORK).date()
    session, looked = regular_session(today, Hours.EQUITY), desk.keep(Looked)
    if session is None or not session.holds(now):
        return ""
    accounts = (await desk.store.control.desk()).account_ids
    if looked.settled != today:
        for account_id in accounts:
            await desk.store.control.settle_alert(_cause(account_id), desk.machine_now())
        looked.settled = today
    rule = (await Observatory(desk.store, desk.settings).appetite()).manage.gap
    if not rule.on or looked.ahead == today or session.end - now > timedelta(minutes=rule.minutes_before_close):
        return ""
    opens = next_session(Hours.EQUITY, session.end).start
    try:
        said = [await _look(desk, account_id, now, opens) for account_id in accounts]
    except CheckIncomplete as unknown:
        return f"the gap ahead is not judged yet: {unknown}"
    looked.ahead = today
    return "; ".join(said)


async def _look(desk: "Desk", account_id: str, now: datetime, opens: datetime) -> str:
    machine = desk.machine_now()
    account = await read_account(desk, account_id, machine)
    outlook = await RiskRegimeLoader(desk.store, desk.settings).load(account, (), now, machine)
    limits, rule = outlook.limits(account.nlv), outlook.appetite.manage.gap
    found = await asyncio.to_thread(look_over_gap, account.held, outlook.view, limits, rule, opens)
    await _tell(desk, account_id, found)
    return found.sentence


async def _tell(desk: "Desk", account_id: str, found: GapLook) -> None:
    if not found.trouble:
        return
    words = f"{'; '.join(found.trouble)}. All in all: {found.sentence}."
    body = words[0].upper() + words[1:]
    await alert(desk, Notice("yellow", TITLE, body, cause=_cause(account_id)), SOURCE)


def _cause(account_id: str) -> str:
    return f"gap:{account_id}"
