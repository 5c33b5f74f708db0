"""One look at every followed proposal: its legs at the market's prices, its breach at the book's, a row each."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from agents.holdings import book_holdings
from bridge.outlook import Observatory, Outlook, applied_before
from database.scorecard import FollowedLine
from models.quant.advice import (
    Advice,
    BookNow,
    Cure,
    LegMark,
    cure,
    lives,
    marks_of,
    worth,
)
from models.quant.breach import BreachKind, smallest_hedge_lot, unknown_measures
from models.quant.margin import MarginBook
from models.quant.margin_rules import IBKR
from models.quant.option import Contract
from models.quant.terms import Holding
from models.quant.vectors import vectorise
from models.scorecard import FollowedDay, advice_for, day_row

if TYPE_CHECKING:
    from agents.desk import Desk

log = logging.getLogger("nimble.agents")

MONEY_LIFE = timedelta(minutes=2)  # machine time; older money tells no limits


@dataclass(frozen=True)
class Look:
    """One account's market and book at one moment of desk time, and its lines' last days."""

    outlook: Outlook
    book: BookNow
    held: tuple[Holding, ...]
    marks: Mapping[str, LegMark]
    before: Mapping[int, FollowedDay]
    day: date
    now: datetime


@dataclass(frozen=True)
class Held:
    """What one account holds, and its money in currency where it is fresh; None is unknown."""

    holdings: tuple[Holding, ...]
    nlv: float | None
    maintenance: float | None

    @property
    def contracts(self) -> list[Contract]:
        return [holding.contract for holding in self.holdings]


async def look(
    desk: "Desk", lines: Sequence[FollowedLine], day: date, now: datetime, machine: datetime
) -> list[FollowedDay]:
    """Today's row of every line, all legs of an account priced together."""
    before, observatory = await desk.store.scorecard.decay_until(day), Observatory(desk.store, desk.settings)
    rows: list[FollowedDay] = []
    for account_id in sorted({line.proposal.account_id for line in lines}):
        mine = [line for line in lines if line.proposal.account_id == account_id]
        advised = [(line, advice_for(line.proposal, line.followed)) for line in mine]
        alive = [contract for _, advice in advised for contract in lives(advice.legs, now)]
        held, applied = await _held(desk, account_id, machine), await desk.store.book.latest_greeks(account_id)
        contracts = tuple(dict.fromkeys((*held.contracts, *alive)))
        outlook = await observatory.look(contracts, now, machine, applied_before(applied))
        # In a thread: stress cells of many contracts take a moment in which no heartbeat may wait.
        rows += await asyncio.to_thread(_rows, held, outlook, contracts, advised, before, day, now)
    return rows


async def _held(desk: "Desk", account_id: str, machine: datetime) -> Held:
    holdings, money = await book_holdings(desk.store, account_id), await desk.store.book.latest_account(account_id)
    if money is None or machine - money.at > MONEY_LIFE:
        return Held(holdings, None, None)
    nlv, used = money.net_liquidation, money.maintenance_margin
    return Held(holdings, None if nlv is None else float(nlv), None if used is None else float(used))


def _rows(
    held: Held,
    outlook: Outlook,
    contracts: Sequence[Contract],
    advised: Sequence[tuple[FollowedLine, Advice]],
    before: Mapping[int, FollowedDay],
    day: date,
    now: datetime,
) -> list[FollowedDay]:
    market = vectorise(contracts, outlook.view, spx_vix_history=outlook.history)
    book = BookNow(
        market,
        market.quantities({holding.contract.identity: holding.quantity for holding in held.holdings}),
        held.nlv,
        held.maintenance,
        outlook.limits(held.nlv),
        smallest_hedge_lot(outlook.view.spx),
    )
    seen = Look(outlook, book, held.holdings, marks_of(market), before, day, now)
    return [_row_or_reason(seen, line, advice) for line, advice in advised]


def _row_or_reason(seen: Look, line: FollowedLine, advice: Advice) -> FollowedDay:
    try:
        return _row(seen, line, advice)
    except Exception as error:  # noqa: BLE001 - one line that fails is unknown today with its reason; the others go on
        log.warning("followed proposal %s could not be valued: %s", line.followed.proposal_id, error)
        why = f"it could not be valued: {error}"[:300]
        return FollowedDay(followed_id=line.id, day=seen.day, at=seen.now, why=why)


def _row(seen: Look, line: FollowedLine, advice: Advice) -> FollowedDay:
    now = worth(advice, seen.marks, line.followed.settlements, seen.now)
    breach = cure(advice, seen.book, seen.now, _margin_change(seen, advice))
    before, why = seen.before.get(line.id), _unknown(seen, advice, breach)
    return day_row(line.followed, advice, now, before, seen.day, seen.now, breach, why)


def _unknown(seen: Look, advice: Advice, breach: Cure) -> tuple[str, ...]:
    """Why the breach cannot be told; nothing where it can, or none was answered."""
    if not advice.kinds or breach.taken is not None:
        return ()
    return unknown_measures(seen.book.exposure(), seen.book.limits)[:2]


def _margin_change(seen: Look, advice: Advice) -> float | None:
    """What the ticket adds to the maintenance margin of the book without it, where margin is what it answered."""
    if BreachKind.MARGIN not in advice.kinds:
        return 0.0
    ticket = [
        Holding(leg.contract, float(leg.signed_ratio * advice.quantity))
        for leg in advice.legs
        if leg.contract in lives(advice.legs, seen.now)
    ]
    if not advice.filled:
        return MarginBook(seen.held, seen.outlook.view, IBKR).change(ticket).maintenance
    less = [Holding(holding.contract, -holding.quantity) for holding in ticket]
    change = MarginBook(seen.held, seen.outlook.view, IBKR).change(less).maintenance
    return None if change is None else -change
