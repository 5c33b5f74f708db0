"""The journal row of an ended order: the greeks before (taken at the claim) and after (once its fills are valued)."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

from bridge.life import Life
from database.audit import plain
from models.book import PortfolioGreeks
from models.order import Execution, Order, OrderEvent, TradeJournal
from models.quant.breach import Breach

PATIENCE = timedelta(seconds=20)
"""How long a row waits for the broker's commissions (later they are unknown), and hurries the valuation meanwhile."""

GREEKS = ("spx_delta", "gamma", "vega", "vega_weighted", "theta", "market_value")


async def write_due(life: Life, account: str, after: PortfolioGreeks, breaches: Sequence[Breach]) -> int:
    """Write the row of every ended order whose fills `after` already values; how many were written."""
    written = 0
    for order in await life.manager.unjournalled():
        if order.account_id != account:
            continue
        fills = await life.store.orders.executions(order.order_ref, limit=10_000)
        recent = order.done_at is not None and life.now() - order.done_at < PATIENCE
        told = all(fill.commission is not None for fill in fills)
        valued = _complete(order, fills) and all(fill.recorded_at < after.at for fill in fills)
        if not valued or (recent and not told):
            if recent:  # what never comes must not keep the bridge valuing without a pause
                life.revalue.set()
            continue
        events = await life.store.orders.events(order.order_ref)
        proposal = await life.store.proposals.get(order.proposal_id) if order.proposal_id else None
        row = journal_row(order, fills, events, after, breaches)
        row.strategy_name = proposal.strategy_name if proposal else ""
        row.why = proposal.justification if proposal else ""
        row.at = life.now()
        await life.manager.write_journal(row, life.now())
        written += 1
    return written


def journal_row(
    order: Order,
    fills: Sequence[Execution],
    events: Sequence[OrderEvent],
    after: PortfolioGreeks,
    breaches: Sequence[Breach],
) -> TradeJournal:
    """The row of `order`; the caller adds the proposal's words and the moment."""
    claimed: dict[str, Any] = next((event.detail for event in events if event.event == "intend" and event.detail), {})
    average = order.average_price if order.average_price is not None else average_of(order, fills)
    mid = order.mid_at_approval
    commissions = [fill.commission for fill in fills]
    known = [commission for commission in commissions if commission is not None]
    return TradeJournal(
        order_ref=order.order_ref,
        proposal_id=order.proposal_id,
        account_id=order.account_id,
        at=after.at,
        greeks_before=claimed.get("greeks_before") or {},
        greeks_after=plain({name: getattr(after, name) for name in GREEKS} | {
            "snapshot_id": after.snapshot_id, "exposure": (after.exposure or {}).get("exposure"),
        }),
        breaches_before=claimed.get("breaches_before") or [],
        breaches_after=plain([asdict(breach) for breach in breaches]),
        average_price=average,
        slippage=None if average is None or mid is None else average - mid,
        commission=sum(known, Decimal(0)) if len(known) == len(commissions) else None,
        note="" if order.filled >= order.quantity else f"{order.filled:g} of {order.quantity}, then {order.status}",
    )  # fmt: skip


def average_of(order: Order, fills: Sequence[Execution]) -> float | None:
    """Average price per combo unit, debit positive, from the leg fills; None when a leg has none."""
    total = 0.0
    for leg in order.legs_json:
        own = [fill for fill in fills if fill.identity == leg["identity"]]
        quantity = sum(fill.quantity for fill in own)
        if quantity <= 0:
            return None
        price = sum(fill.price * fill.quantity for fill in own) / quantity
        total += price * leg["ratio"] * (1 if leg["action"] == "BUY" else -1)
    return total


def _complete(order: Order, fills: Sequence[Execution]) -> bool:
    """Whether the fills we hold account for everything the order says it filled."""
    for leg in order.legs_json:
        got = sum(fill.quantity for fill in fills if fill.identity == leg["identity"])
        if got < order.filled * leg["ratio"] - 1e-9:
            return False
    return True
