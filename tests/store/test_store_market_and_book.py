"""What the desk asks of the market, the book, the orders and the limits; the latest is found through an index."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from database.store import Store
from models.appetite import BreachRow, LimitsVersion, UniverseRow
from models.book import PORTFOLIO, BrokerPositionRow, PortfolioGreeks, Position
from models.market import Bar, ChainRow, DividendRow, GreekSnapshot, MarketState, SurfaceMisses
from models.order import Execution, WhatIf
from models.quant.structure import contract_from_json, contract_to_json
from tests.store_rows import ACCOUNT, order, proposal, put, quote

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


# ── market ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_latest_quote_wins_and_an_older_one_never_comes_back(store: Store, now: datetime) -> None:
    market = store.market
    await market.upsert_quotes([quote(6000, 10, 11, now, now), quote(5900, 5, None, now, now)])
    await market.upsert_quotes([quote(6000, 12, 13, now, now + SECOND), quote(6000, 14, 15, now, now + 2 * SECOND)])
    await market.upsert_quotes([quote(6000, 1, 2, now, now - SECOND)])
    found = await market.quotes([put(6000).identity, put(5900).identity, put(1).identity])
    assert {(q.bid, q.ask) for q in found.values()} == {(14, 15), (5, None)}
    assert contract_from_json(found[put(6000).identity].contract_json) == put(6000)
    many = [quote(1000 + n, n, n, now, now) for n in range(1200)]
    await market.upsert_quotes(many)
    assert len(await market.quotes([row.identity for row in many])) == 1200
    assert len(await market.quotes()) == 1202


async def test_hearing_greeks_or_bars_twice_adds_nothing(store: Store, now: datetime) -> None:
    for close in (1.0, 1.5):
        await store.market.add_greek_snapshots([GreekSnapshot(identity="x", at=now, source="own", iv=0.2)])
        bars = [
            Bar(symbol="SPX", timeframe="1D", at=now + n * MINUTE, open=1, high=2, low=0, close=close) for n in (0, 1)
        ]
        await store.market.add_bars(bars)
    assert [bar.close for bar in await store.market.bars("SPX", "1D")] == [1.5, 1.5]
    assert [bar.at for bar in await store.market.bars("SPX", "1D", limit=1)] == [now + MINUTE]
    async with store.reading() as session:
        assert (await session.execute(text("SELECT count(*) FROM greek_snapshots"))).scalar_one() == 1


async def test_named_numbers_keep_one_point_a_minute(store: Store, now: datetime) -> None:
    for n in range(5):
        at = now + n * 30 * SECOND
        await store.market.write_states(
            [MarketState(name="VIX", value=18.0 + n, source="broker", at=at, received_at=at)]
        )
    assert (await store.market.states())["VIX"].value == 22.0
    assert [row.value for row in await store.market.state_history("VIX", now)] == [18.0, 20.0, 22.0]


async def test_a_wish_stands_until_its_end_and_asking_again_moves_it(store: Store, now: datetime) -> None:
    market = store.market
    await market.want([put(6000), put(5900)], "proposal", "proposer", now + MINUTE)
    await market.want([put(6000)], "proposal", "proposer", now + 5 * MINUTE)
    await market.want([put(6000)], "held", "bridge", now + 5 * MINUTE)
    assert len(await market.subscriptions(now)) == 3
    standing = await market.subscriptions(now + 2 * MINUTE)
    assert {(s.identity, s.purpose) for s in standing} == {
        (put(6000).identity, "proposal"),
        (put(6000).identity, "held"),
    }
    await market.unwant("proposal", "proposer")
    await market.forget_wishes(now)
    assert [s.purpose for s in await market.subscriptions(now)] == ["held"]


async def test_a_chain_is_replaced_by_its_class(store: Store, now: datetime) -> None:
    for strikes in ([6000.0], [6000.0, 6005.0]):
        row = ChainRow(symbol="SPX", trading_class="SPXW", exchange="CBOE", multiplier=100, expirations=["2026-12-18"],
                       strikes=strikes, at=now)  # fmt: skip
        await store.market.write_chains([row])
    assert [row.strikes for row in await store.market.chains("SPX")] == [[6000.0, 6005.0]]
    assert await store.market.surface("SPX") is None


# ── book ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def greeks(snapshot: str, contract: str, at: datetime, account: str = ACCOUNT, **values: Any) -> PortfolioGreeks:
    return PortfolioGreeks(snapshot_id=snapshot, account_id=account, contract=contract, at=at, desk_at=at, **values)


async def test_the_newest_snapshot_is_whole_and_the_history_is_the_portfolio(store: Store, now: datetime) -> None:
    book = store.book
    for n in range(3):
        at = now + n * SECOND
        await book.write_greeks([greeks(f"s{n}", "a", at), greeks(f"s{n}", PORTFOLIO, at, vega=-1.0 * n)])
    await book.write_greeks([greeks("t0", PORTFOLIO, now, account="SIM9")])
    assert [(row.snapshot_id, row.contract) for row in await book.latest_greeks(ACCOUNT)] == [
        ("s2", PORTFOLIO),
        ("s2", "a"),
    ]
    assert [row.snapshot_id for row in await book.latest_greeks()] == ["s2", "s2", "t0"]
    assert [row.vega for row in await book.portfolio_history(ACCOUNT, now + SECOND)] == [-1.0, -2.0]
    assert await book.forget_position_greeks(now + 2 * SECOND) == 2
    assert len(await book.portfolio_history(ACCOUNT, now)) == 3
    assert await book.latest_greeks("nobody") == []


async def test_what_a_source_says_next_of_dividends_replaces_what_it_said_and_the_past_stays(
    store: Store, now: datetime
) -> None:
    today = now.date()

    def told(days: int, amount: float, source: str = "broker", symbol: str = "SPY") -> DividendRow:
        return DividendRow(symbol=symbol, ex_date=today + timedelta(days=days), amount=amount, source=source, at=now)

    market = store.market
    await market.write_dividends("SPY", "broker", [told(-90, 1.7)], today - timedelta(days=100))
    await market.write_dividends("SPY", "hand", [told(100, 1.9, "hand")], today)
    await market.write_dividends("AAPL", "broker", [told(5, 0.26, symbol="AAPL")], today)
    await market.write_dividends("SPY", "broker", [told(20, 1.8)], today)
    await market.write_dividends("SPY", "broker", [told(21, 1.85)], today)
    assert [row.amount for row in await market.dividends(["SPY", "MSFT"])] == [1.7, 1.85, 1.9]
    assert [row.symbol for row in await market.dividends(["SPY", "AAPL"])] == ["AAPL", "SPY", "SPY", "SPY"]
    await market.write_dividends("SPY", "broker", [], today)
    assert [row.amount for row in await market.dividends(["SPY"])] == [1.7, 1.9]


async def test_misses_are_kept_per_day_and_the_last_day_of_every_underlying_is_shown(
    store: Store, now: datetime
) -> None:
    def day(symbol: str, ago: int, count: int) -> SurfaceMisses:
        at = now - timedelta(days=ago)
        return SurfaceMisses(
            symbol=symbol, day=at.date(), points=[count], vol_points=[0], half_spreads=[0], since=at, at=at
        )

    assert await store.market.misses("SPX", now.date()) is None
    for row in (day("SPX", 2, 5), day("SPX", 1, 6), day("SPX", 1, 9), day("SPY", 3, 4)):
        await store.market.write_misses(row)
    assert [(row.symbol, row.points) for row in await store.market.latest_misses()] == [("SPX", [9]), ("SPY", [4])]
    kept = await store.market.misses("SPX", (now - timedelta(days=2)).date())
    assert kept is not None and kept.points == [5]


async def test_theirs_is_replaced_whole_and_ours_hides_what_is_flat(store: Store, now: datetime) -> None:
    def theirs(strike: float) -> BrokerPositionRow:
        contract = put(strike)
        return BrokerPositionRow(
            account_id=ACCOUNT, identity=contract.identity, contract_json=contract_to_json(contract), con_id=1,
            quantity=-5, average_cost=100.0, at=now,
        )  # fmt: skip

    await store.book.replace_broker_positions(ACCOUNT, [theirs(6000), theirs(5900)], now)
    await store.book.replace_broker_positions(ACCOUNT, [theirs(5900)], now + SECOND)
    assert [(row.identity, row.at) for row in await store.book.broker_positions()] == [
        (put(5900).identity, now + SECOND)
    ]
    await store.book.replace_broker_positions(ACCOUNT, [], now)
    assert await store.book.broker_positions(ACCOUNT) == []
    async with store.writing(durable=True) as session:
        for strike, quantity in ((6000, 0), (5900, -3)):
            contract = put(strike)
            session.add(
                Position(account_id=ACCOUNT, identity=contract.identity, contract_json=contract_to_json(contract),
                         quantity=quantity, baseline_at=now, updated_at=now)
            )  # fmt: skip
    assert [row.quantity for row in await store.book.positions(ACCOUNT)] == [-3]


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────
def executed(now: datetime, ref: str, identity: str, quantity: float = 1.0) -> Execution:
    return Execution(
        account_id=ACCOUNT, exec_id=f"{ref} {identity}", order_ref=ref, identity=identity, contract_json={}, con_id=1,
        side="BUY", quantity=quantity, price=20.0, at=now, recorded_at=now,
    )  # fmt: skip


async def test_in_flight_is_every_trade_that_may_yet_move_the_book(store: Store, now: datetime) -> None:
    approved = await store.proposals.add(proposal(now))
    row = await store.proposals.get(approved)
    assert row is not None
    await store.proposals.approve(approved, row.legs_hash, 2, 20.0, 20.5, "trader", now)
    async with store.writing(durable=True) as session:
        session.add_all(
            [order(now, f"ref-{status}", status, filled=1.0) for status in ("working", "unknown", "filled")]
        )
        session.add_all(
            executed(now, f"ref-{status}", leg["identity"])
            for status in ("working", "unknown", "filled")
            for leg in row.legs_json
        )
    flying = await store.orders.in_flight(ACCOUNT, now)
    assert [(f.status, f.quantity, f.order_ref) for f in flying] == [
        ("approved", 2.0, None), ("working", 2.0, "ref-working"), ("unknown", 2.0, "ref-unknown"),
    ]  # fmt: skip
    assert len(await store.orders.in_flight(ACCOUNT, now + 2 * MINUTE)) == 2
    assert await store.orders.in_flight("other", now) == []
    assert [o.order_ref for o in await store.orders.working(ACCOUNT)] == ["ref-working", "ref-unknown"]
    assert [o.order_ref for o in await store.orders.recent(1)] == ["ref-filled"]


async def test_a_fill_counts_as_in_flight_until_its_executions_are_in_the_book(store: Store, now: datetime) -> None:
    ended = order(now, "ref-ended", "filled", filled=3.0, done_at=now)
    async with store.writing(durable=True) as session:
        session.add_all([ended, order(now, "ref-works", "part_filled", filled=1.0)])
    flying = await store.orders.in_flight(ACCOUNT, now + SECOND)
    assert [(f.order_ref, f.quantity) for f in flying] == [("ref-ended", 3.0), ("ref-works", 3.0)]
    async with store.writing(durable=True) as session:
        for leg in ended.legs_json:
            session.add(executed(now, "ref-ended", leg["identity"], 3.0))
            session.add(executed(now, "ref-works", leg["identity"]))
    flying = await store.orders.in_flight(ACCOUNT, now + SECOND)
    assert [(f.order_ref, f.quantity) for f in flying] == [("ref-works", 2.0)]


async def test_the_newest_preview_of_the_same_legs_and_size_is_found(store: Store, now: datetime) -> None:
    for n in range(3):
        row = WhatIf(account_id=ACCOUNT, proposal_id=7, legs_hash="h", quantity=2, init_margin_change=100 * n,
                     at=now + n * SECOND)  # fmt: skip
        await store.orders.add_what_if(row)
    latest = await store.orders.latest_what_if("h", 2)
    assert latest is not None
    assert latest.init_margin_change == 200
    assert await store.orders.what_if_for(7) == latest
    assert await store.orders.latest_what_if("h", 3) is None


# ── appetite ─────────────────────────────────────────────────────────────────────────────────────────────────────
def breach(kind: str, now: datetime, value: float = -9.0) -> BreachRow:
    return BreachRow(account_id=ACCOUNT, kind=kind, value=value, limit=-5.0, distance=-4.0, regime="neutral_volatility",
                     profile="desk", since=now, last_seen=now)  # fmt: skip


async def test_a_breach_opens_once_is_refreshed_and_closes(store: Store, now: datetime) -> None:
    appetite = store.appetite
    new = await appetite.record_breaches(ACCOUNT, [breach("vega", now), breach("delta", now)], now)
    assert {row.kind for row in new} == {"vega", "delta"}
    assert await appetite.record_breaches(ACCOUNT, [breach("vega", now, -7.0)], now + MINUTE) == []
    (vega,) = await appetite.open_breaches(ACCOUNT)
    assert (vega.kind, vega.value, vega.since, vega.last_seen) == ("vega", -7.0, now, now + MINUTE)
    await appetite.record_breaches(ACCOUNT, [], now + 2 * MINUTE)
    assert await appetite.open_breaches() == []


async def test_a_breach_that_comes_back_before_it_healed_keeps_its_since(store: Store, now: datetime) -> None:
    appetite, heal = store.appetite, timedelta(seconds=60)

    async def look(kinds: str, seconds: float) -> list[str]:
        at = now + timedelta(seconds=seconds)
        new = await appetite.record_breaches(ACCOUNT, [breach(kind, at) for kind in kinds.split()], at, heal)
        return [row.kind for row in new]

    assert await look("vega delta", 0) == ["vega", "delta"]
    assert await look("delta", 10) == []
    assert [row.kind for row in await appetite.open_breaches(ACCOUNT)] == ["delta"], "it is over while it is not seen"
    assert await look("vega delta", 69) == [], "back within the minute: the same episode"
    vega = next(row for row in await appetite.open_breaches(ACCOUNT) if row.kind == "vega")
    assert (vega.since, vega.last_seen, vega.until) == (now, now + timedelta(seconds=69), None)
    assert await look("delta", 70) == [] and await look("delta", 100) == []
    assert await look("vega delta", 130) == ["vega"], "a whole minute without it: a new one"
    vega = next(row for row in await appetite.open_breaches(ACCOUNT) if row.kind == "vega")
    assert vega.since == now + timedelta(seconds=130)


async def test_limits_are_versions_with_who_and_why(store: Store, now: datetime) -> None:
    appetite = store.appetite
    assert await appetite.limits_in_force() is None
    for n in range(2):
        row = LimitsVersion(profile="desk", body={"n": n}, by="trader", reason="wider", at=now)
        await appetite.add_limits(row)
    found = await appetite.limits_in_force()
    assert found is not None
    assert found.body == {"n": 1}
    assert [entry.what for entry in await store.control.audit_tail(5)] == ["limits", "limits"]


async def test_seeding_the_universe_keeps_what_the_person_has(store: Store) -> None:
    await store.appetite.seed_universe([UniverseRow(symbol="SPX", sec_type="IND", hedge=True)])
    await store.appetite.seed_universe(
        [UniverseRow(symbol="SPX", sec_type="IND", hedge=False), UniverseRow(symbol="SPY", sec_type="STK")]
    )
    assert [(row.symbol, row.hedge) for row in await store.appetite.universe()] == [("SPX", True), ("SPY", False)]


# ── the plans ────────────────────────────────────────────────────────────────────────────────────────────────────
Ask = Callable[[Store, datetime], Awaitable[Any]]
LATEST: list[tuple[str, Ask]] = [
    ("account", lambda s, now: s.book.latest_account(ACCOUNT)),
    ("greeks", lambda s, now: s.book.latest_greeks(ACCOUNT)),
    ("greeks of all", lambda s, now: s.book.latest_greeks()),
    ("portfolio history", lambda s, now: s.book.portfolio_history(ACCOUNT, now)),
    ("quotes", lambda s, now: s.market.quotes([put(6000).identity])),
    ("states of old", lambda s, now: s.market.state_history("VIX", now)),
    ("bars", lambda s, now: s.market.bars("SPX", "1D")),
    ("pending", lambda s, now: s.proposals.pending(ACCOUNT, now)),
    ("recent orders", lambda s, now: s.orders.recent()),
    ("working", lambda s, now: s.orders.working(ACCOUNT)),
    ("what-if", lambda s, now: s.orders.latest_what_if("h", 1)),
    ("events", lambda s, now: s.orders.events("ref")),
    ("requests", lambda s, now: s.control.claim_requests("bridge", "b", now)),
    ("last check", lambda s, now: s.proposals.last_check(ACCOUNT)),
    ("call log", lambda s, now: s.control.api_logs(10)),
    ("audit", lambda s, now: s.control.audit_tail(10)),
]


@pytest.mark.parametrize(("name", "ask"), LATEST, ids=[name for name, _ in LATEST])
async def test_the_latest_is_found_through_an_index(store: Store, now: datetime, name: str, ask: Ask) -> None:
    asked: list[tuple[str, Any]] = []

    def hear(_c: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    engine = store._engines.reader.sync_engine
    event.listen(engine, "before_cursor_execute", hear)
    await ask(store, now)
    event.remove(engine, "before_cursor_execute", hear)
    assert asked
    for statement, parameters in asked:
        plan = await plan_of(store, statement, parameters)
        scanned = [line for line in plan if ("SCAN" in line and "USING" not in line) or "Seq Scan" in line]
        assert not scanned or _counts_down(statement, scanned), f"{name}: {scanned}"


def _counts_down(statement: str, scanned: list[str]) -> bool:
    """Newest first by id with a limit walks the table from its end: SQLite calls that a scan."""
    return "ORDER BY" in statement and ".id DESC" in statement and all("Seq Scan" not in line for line in scanned)


async def plan_of(store: Store, statement: str, parameters: Any) -> list[str]:
    async with store.reading() as session:
        connection = await session.connection()
        if store.dialect == "sqlite":
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            return [str(row[3]) for row in rows]
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        return [str(row[0]) for row in rows]
