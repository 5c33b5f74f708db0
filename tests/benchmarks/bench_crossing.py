"""From the person's click to the broker's acknowledgement, through a real bridge process, on both databases.

The clock starts before the approval is signed and stops when the venue has acknowledged the order: everything between
is in it, the wake-up, the claim, the gates, two durable commits and the wire.
"""

import asyncio
import json
import statistics
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from database.store import Store, open_store
from models.order import Order
from models.proposed_trade import Origin, ProposedTrade
from models.quant.product import product_of, round_to_tick
from models.quant.structure import Action, Leg, QuoteSource, contract_from_json, legs_hash
from tests.benchmarks.report import Row
from tests.conftest import Cluster, _binaries
from tests.desk_run import DeskRun, eventually

APPROVALS = 12
# Far inside every limit, so that no gate has a reason to refuse a buy-back.
BOOK = {"cash": 50_000_000, "positions": [{"symbol": "SPX", "sec_type": "OPT", "trading_class": "SPXW", "dte": 45,
        "right": "P", "delta": 0.15, "quantity": -40}]}  # fmt: skip


async def ready(url: str, folder: Path) -> bool:
    """The book is valued and its short options are quoted."""
    store = await open_store(url, mode="DEMO", var_dir=folder, now=datetime.now(UTC))
    try:
        rows = await store.book.latest_greeks(None)
        return bool(rows) and rows[0].exposure is not None and await closing_leg(store) is not None
    finally:
        await store.close()


async def closing_leg(store: Store) -> tuple[str, Leg] | None:
    """An account and a leg that buys back one contract of its largest short option, quoted just now."""
    shorts = [row for row in await store.book.positions() if row.quantity < 0]
    quotes = await store.market.quotes([row.identity for row in shorts])
    desk_now = (await store.control.desk_clock(datetime.now(UTC))).at(datetime.now(UTC))
    for row in sorted(shorts, key=lambda row: row.quantity):
        quote = quotes.get(row.identity)
        if quote and quote.ask and quote.bid and desk_now - quote.at < timedelta(seconds=2):
            contract = contract_from_json(row.contract_json)
            mid = (quote.bid + quote.ask) / 2
            leg = Leg(
                contract, Action.BUY, 1, quote.con_id, quote.bid, quote.ask, mid, source=QuoteSource(quote.source)
            )
            return row.account_id, leg
    return None


async def one(store: Store) -> float | None:
    """Seconds from the click to the acknowledgement of one order; None when no quote was fresh just then."""
    found = await closing_leg(store)
    if found is None:
        return None
    account_id, leg = found
    now = datetime.now(UTC)
    limit = round_to_tick(leg.ask or 0.0, product_of(leg.contract).tick(leg.ask or 0.0))
    row = ProposedTrade(
        account_id=account_id, strategy_name="bench", legs_json=[leg.to_json()], legs_hash=legs_hash([leg]), quantity=1,
        limit_price=limit, worst_price=limit + 1, origin=Origin.HAND, created_at=now,
        expires_at=now + timedelta(minutes=5),
    )  # fmt: skip
    number = await store.proposals.add(row)
    clicked = datetime.now(UTC)
    await store.proposals.approve(
        number, row.legs_hash, 1, row.limit_price, row.worst_price, "bench", clicked, 60.0, store.key
    )
    order = await acknowledged(store, number)
    waited = (order.created_at - clicked).total_seconds()
    assert order.acked_at is not None, f"{order.status} {waited:.2f} s after the click: {order.reason}"
    return (order.acked_at - clicked).total_seconds()


async def acknowledged(store: Store, proposal_id: int) -> Order:
    changes = store.changes()
    for _ in range(400):
        order = await store.orders.of_proposal(proposal_id)
        if order is not None and (order.acked_at or order.done_at):
            return order
        approval = await store.proposals.approval_of(proposal_id)
        assert approval is None or not approval.refused_reason, approval and approval.refused_reason
        await changes.wait(0.05)
    raise AssertionError("the bridge did not cross the approval")


async def latencies(url: str, folder: Path) -> list[float]:
    store = await open_store(url, mode="DEMO", var_dir=folder, now=datetime.now(UTC))
    try:
        taken: list[float] = []
        for _ in range(4 * APPROVALS):
            seconds = await one(store)
            if seconds is not None:
                taken.append(seconds)
            if len(taken) == APPROVALS:
                return taken
            await asyncio.sleep(0.7)
        raise AssertionError(f"only {len(taken)} of {APPROVALS} approvals met a fresh quote")
    finally:
        await store.close()


def of(name: str, url: str, folder: Path) -> Row:
    book = folder.with_suffix(".json")
    book.write_text(json.dumps(BOOK))
    with DeskRun(folder, url, {"VENUE_BOOK": str(book)}) as run:
        run.start_staff()
        eventually(lambda: asyncio.run(ready(url, folder)), 90, f"a valued book\n{run.log('staff')}", 1)
        taken = asyncio.run(latencies(url, folder))
    median = 1000 * statistics.median(taken)
    print(f"{name}: {', '.join(f'{1000 * seconds:.0f}' for seconds in taken)} ms")
    return Row(f"approval to order at the venue, {name}, median of {APPROVALS}", median, "ms", goal=250.0)


def measure() -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="desk-bench-", ignore_cleanup_errors=True) as name:
        rows.append(of("SQLite", f"sqlite:///{name}/desk.db", Path(name) / "lite"))
        binaries = _binaries()
        if binaries is None:
            print("no Postgres here: its latency is not measured")
            return rows
        cluster = Cluster(binaries)
        try:
            cluster.start()
            rows.append(of("Postgres", cluster.fresh(), Path(name) / "postgres"))
        finally:
            cluster.stop()
    return rows
