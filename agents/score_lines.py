"""Which proposals the scorecard follows, and what became of each: run, decision, fill, breach and settlement."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from database.scorecard import FollowedLine
from models.appetite import BreachRow
from models.order import Order
from models.proposed_trade import ProposalStatus, ProposedTrade
from models.quant.advice import RULES, advice_of, episode_end, expired, level_at, settlement_price, settles_with
from models.quant.advice_words import FILL, OWN, TRADES
from models.quant.option import Contract
from models.quant.product import NEW_YORK, Settlement, expiry_instant, product_of
from models.quant.structure import LegsError, legs_from_json
from models.scorecard import Followed

if TYPE_CHECKING:
    from agents.desk import Desk
    from database.store import Store

DECIDED = (ProposalStatus.APPROVED, ProposalStatus.REJECTED)


async def adopt(desk: "Desk", live: Sequence[FollowedLine], machine: datetime) -> int:
    """Every proposal that is not followed yet continues its run or begins a line; how many there were."""
    store = desk.store
    fresh = await store.scorecard.unfollowed()
    if not fresh:
        return 0
    clock = await store.control.desk_clock(machine)
    spells = await breach_spells(store, [*fresh, *(line.proposal for line in live)])
    for proposal in fresh:
        assert proposal.id is not None
        run = await store.scorecard.last_run(proposal)
        if run is not None and continues(run, proposal, clock.at(proposal.created_at), spells):
            await store.scorecard.extend(run.id, proposal.id)
        else:
            await store.scorecard.add(_line(proposal, clock.at(proposal.created_at), machine))
    return len(fresh)


def continues(run: FollowedLine, proposal: ProposedTrade, desk_at: datetime, spells: Sequence[BreachRow]) -> bool:
    """Whether the same proposal again is the same advice: nobody decided on it and the breach it answers lasted.

    Where no breach is known the desk day tells: the same ticket tomorrow is advice anew.
    """
    if run.newest.status in DECIDED or run.followed.ended_at is not None:
        return False
    known, until = _breach_of(run.proposal, spells, proposal.created_at)
    if not known:
        return desk_at.astimezone(NEW_YORK).date() == run.followed.desk_at.astimezone(NEW_YORK).date()
    return until is None


def _line(proposal: ProposedTrade, desk_at: datetime, machine: datetime) -> Followed:
    assert proposal.id is not None
    line = Followed(
        proposal_id=proposal.id, last_proposal_id=proposal.id, desk_at=desk_at, outcome=proposal.status
    )  # fmt: skip
    try:
        advice_of(legs_from_json(proposal.legs_json), proposal.quantity, proposal.limit_price, proposal.scores)
    except LegsError as error:
        line.ended_at, line.verdict = machine, f"It cannot be followed: {error}."
    return line


# ── what became of it ────────────────────────────────────────────────────────────────────────────────────────────
async def hear(desk: "Desk", lines: Sequence[FollowedLine], now: datetime, machine: datetime) -> None:
    """Bring every line's decision, fill, breach and settled legs up to date; `now` is desk time."""
    store = desk.store
    spells = await breach_spells(store, [line.proposal for line in lines if line.followed.breach_until is None])
    changed = []
    for line in lines:
        before = line.followed.model_dump()
        line.followed.outcome = line.newest.status
        order = await _fill(store, line, machine) if line.newest.status == ProposalStatus.APPROVED else None
        if line.followed.breach_until is None:
            await _breach(store, line, spells, order, machine)
        await _settle(store, line, now)
        if line.followed.model_dump() != before:
            changed.append(line.followed)
    await store.scorecard.save(changed)


async def _fill(store: "Store", line: FollowedLine, machine: datetime) -> Order | None:
    followed = line.followed
    order = await store.orders.of_proposal(followed.last_proposal_id)
    if order is None:
        approval = await store.proposals.approval_of(followed.last_proposal_id)
        late = "nobody took it in time" if approval and approval.good_until < machine else ""
        followed.unfilled_reason = (approval.refused_reason if approval else None) or late
    elif order.filled and order.average_price is not None:
        paid = [fill.commission for fill in await store.orders.executions(order.order_ref)]
        known = [float(each) for each in paid if each is not None]
        followed.filled, followed.fill_price = round(order.filled), order.average_price
        followed.fill_fees = sum(known) if known and len(known) == len(paid) else None
        followed.unfilled_reason = ""
    else:
        followed.unfilled_reason = order.reason or order.status.replace("_", " ")
    return order


async def breach_spells(store: "Store", proposals: Iterable[ProposedTrade]) -> list[BreachRow]:
    """The breaches that stood when the oldest of these was made, or later."""
    asked = list(proposals)
    if not asked:
        return []
    accounts = {proposal.account_id for proposal in asked}
    return await store.scorecard.breach_spells(accounts, min(proposal.created_at for proposal in asked))


def _breach_of(proposal: ProposedTrade, spells: Sequence[BreachRow], now: datetime) -> tuple[bool, datetime | None]:
    """(known, end) of the breach a proposal answered, as far as machine time `now` tells."""
    told = proposal.scores or {}
    kinds = {*(told.get("cured") or ()), *(told.get("remaining") or ())}
    mine = [
        (row.since, row.until)
        for row in spells
        if row.account_id == proposal.account_id and row.kind.split(" ")[0] in kinds
    ]
    return episode_end(mine, proposal.created_at, now)


async def _breach(
    store: "Store", line: FollowedLine, spells: Sequence[BreachRow], order: Order | None, machine: datetime
) -> None:
    followed = line.followed
    followed.breach_known, followed.breach_until = _breach_of(line.proposal, spells, machine)
    if followed.breach_until is not None:
        refs = await store.scorecard.traded(line.proposal.account_id, line.proposal.created_at, followed.breach_until)
        own = {order.order_ref} if order else set()
        followed.breach_ended = OWN if not refs else FILL if refs <= own else TRADES


# ── settlement ───────────────────────────────────────────────────────────────────────────────────────────────────
async def _settle(store: "Store", line: FollowedLine, now: datetime) -> None:
    """Write down at how many points each leg ended, once its underlying's level at that minute is known."""
    settled = dict(line.followed.settlements)
    for leg in legs_from_json(line.proposal.legs_json):
        if leg.contract.identity in settled or not expired(leg.contract, now):
            continue
        level = await settlement_level(store, leg.contract, now)
        if level is not None:
            settled[leg.contract.identity] = settlement_price(leg.contract, level)
    line.followed.settlements = settled


async def settlement_level(store: "Store", contract: Contract, now: datetime) -> float | None:
    """What settles the contract: its level in the minutes around, else the finished day's open (AM) or close."""
    assert contract.expiry is not None
    name, factor = settles_with(contract)
    instant, around = expiry_instant(contract), timedelta(minutes=RULES.settle_minutes)
    seen = await store.scorecard.levels(name, instant - around, instant + around)
    level = level_at([(row.at, row.value) for row in seen], instant)
    if level is None and now.astimezone(NEW_YORK).date() > contract.expiry:
        days = await store.market.bars(name, "1D", RULES.follow_days + RULES.settle_wait_days)
        bar = next((bar for bar in days if bar.at.date() == contract.expiry), None)
        opens = product_of(contract).settlement is Settlement.AM
        level = None if bar is None else bar.open if opens else bar.close
    return None if level is None else level * factor
