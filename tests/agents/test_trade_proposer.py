"""The proposer on a real store: a scripted market, a bridge of ten lines, and every way a check can end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from agents import greeks_streamer, market_watch, trade_proposer
from agents.desk import Desk
from agents.hedge_quotes import within_lines
from agents.proposer_engine import ProposerEngine, RiskRegimeLoader
from agents.trade_proposer import CheckIncomplete, Memory
from models.appetite import BreachRow
from models.book import AccountSnapshot, Position
from models.order import WhatIf
from models.proposed_trade import Approval, Check, Origin, ProposedTrade
from models.quant.option import Contract, Right, SecType
from models.quant.product import NEW_YORK
from models.quant.structure import Action, Leg, contract_to_json, leg_from_json, legs_hash
from tests.agents.scripted_market import OptionMarket

ACCOUNT = "SIM1"


def put(market: OptionMarket, strike: float, days: int = 40) -> Contract:
    now = datetime.now(UTC).astimezone(NEW_YORK).date()
    expiry: date = min(market.expiries, key=lambda day: abs((day - now).days - days))
    return Contract("SPX", SecType.OPTION, "SPXW", 100, expiry, strike, Right.PUT)


async def hold(desk: Desk, positions: dict[Contract, float], nlv: float = 1_000_000) -> None:
    now = datetime.now(UTC)
    await desk.store.control.bind_desk([ACCOUNT], "scripted")
    async with desk.store.writing() as session:
        for contract, quantity in positions.items():
            session.add(
                Position(
                    account_id=ACCOUNT, identity=contract.identity, contract_json=contract_to_json(contract),
                    baseline=quantity, quantity=quantity, baseline_at=now, updated_at=now,
                )
            )  # fmt: skip
    await account_is(desk, nlv)


async def account_is(desk: Desk, nlv: float, at: datetime | None = None) -> None:
    at = at or datetime.now(UTC)
    money = Decimal(nlv)
    await desk.store.book.write_account(
        AccountSnapshot(
            account_id=ACCOUNT, at=at, desk_at=at, net_liquidation=money, maintenance_margin=money / 10,
            available_funds=money / 2,
        )
    )  # fmt: skip


@pytest.fixture
async def streams(desk: Desk, market: OptionMarket) -> AsyncIterator[None]:
    """Market watch once, then the streamer turn after turn until the test is over."""
    await market_watch.work(desk)

    async def keep_streaming() -> None:
        while True:
            await greeks_streamer.work(desk)

    for _ in range(3):
        await greeks_streamer.work(desk)
    task = asyncio.create_task(keep_streaming())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class Bridge:
    """Answers what-ifs as a bridge would: a row in what_ifs, then the request done. `initial` None: it stays silent."""

    def __init__(self, desk: Desk, initial: float | None = 0.0) -> None:
        self.desk, self.initial = desk, initial
        self.asked: list[str] = []

    async def serve(self) -> None:
        changes = self.desk.store.changes()
        while True:
            for request in await self.desk.store.control.claim_requests("bridge", "fake", datetime.now(UTC)):
                assert request.id is not None
                legs = [leg_from_json(raw) for raw in request.payload["legs"]]
                self.asked.append(legs_hash(legs))
                if self.initial is None:
                    await self.desk.store.control.answer(request.id, failure="the broker did not answer")
                    continue
                row = WhatIf(
                    account_id=ACCOUNT, legs_hash=legs_hash(legs), quantity=request.payload["quantity"],
                    init_margin_change=Decimal(self.initial), maint_margin_change=Decimal(self.initial),
                    equity_change=Decimal(-100), at=datetime.now(UTC),
                )  # fmt: skip
                await self.desk.store.orders.add_what_if(row)
                await self.desk.store.control.answer(request.id, result={"init_margin_change": self.initial})
            await changes.wait(0.2)


@pytest.fixture
async def bridge(desk: Desk) -> AsyncIterator[Bridge]:
    fake = Bridge(desk)
    task = asyncio.create_task(fake.serve())
    yield fake
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def pending(desk: Desk) -> list[ProposedTrade]:
    return await desk.store.proposals.pending(ACCOUNT, datetime.now(UTC))


def short_vega(market: OptionMarket) -> dict[Contract, float]:
    return {put(market, 6100.0): -20.0, put(market, 5600.0): 10.0}


@pytest.mark.usefixtures("streams")
async def test_a_breach_becomes_up_to_three_different_hedges_on_real_quotes_with_the_brokers_margin(
    desk: Desk, market: OptionMarket, bridge: Bridge
) -> None:
    await hold(desk, short_vega(market))
    report = await trade_proposer.work(desk)
    rows = await pending(desk)
    assert 1 <= len(rows) <= 3, report.sentence
    assert len({row.legs_hash for row in rows}) == len(rows) and len({row.breach_set_id for row in rows}) == 1
    for row in rows:
        assert row.origin == "hedge" and row.margin_source == "broker" and row.margin_impact == Decimal(100)
        assert row.legs_hash in bridge.asked
        assert all(leg["source"] == "real" and leg["quoted_at"] and leg["con_id"] for leg in row.legs_json)
        assert row.scores is not None and row.scores["before"] and row.scores["after"] and row.scores["checks"]
        margins = row.scores["margins"]
        assert margins["broker"]["at"] and margins["broker"]["initial"] is not None
        assert margins["estimate"]["initial"] is not None and margins["estimate"]["at"] is None
        assert row.regime == "neutral_volatility" and row.profile == "desk" and row.snapshot_id
        assert row.expires_at - row.created_at == trade_proposer.PROPOSAL_LIFE
        assert row.id is not None
        assert (await desk.store.orders.what_if_for(row.id)) is not None, "its card opens with the preview"
    assert "%" in rows[0].justification and "$" in rows[0].justification
    check = await desk.store.proposals.last_check(ACCOUNT)
    assert check is not None and check.proposed == len(rows) and check.breaches >= 1 and check.candidates > 1000
    wished = {row.identity for row in await desk.store.market.subscriptions(datetime.now(UTC) + timedelta(minutes=10))}
    assert wished == {leg["identity"] for row in rows for leg in row.legs_json}, "they stay quoted while approvable"


@pytest.mark.usefixtures("streams")
async def test_when_the_broker_gives_no_margin_the_estimate_stands_and_says_so(
    desk: Desk, market: OptionMarket, bridge: Bridge
) -> None:
    bridge.initial = None
    await hold(desk, short_vega(market))
    await trade_proposer.work(desk)
    rows = await pending(desk)
    assert rows and {row.margin_source for row in rows} <= {"estimate", "unknown"}


@pytest.mark.usefixtures("streams")
async def test_a_margin_beyond_the_accounts_funds_refuses_with_its_reason_and_alerts(
    desk: Desk, market: OptionMarket, bridge: Bridge
) -> None:
    bridge.initial = 900_000.0
    await hold(desk, short_vega(market))
    await trade_proposer.work(desk)
    check = await desk.store.proposals.last_check(ACCOUNT)
    assert check is not None and check.refused["not with the broker's margin"] >= 1
    assert not {row.legs_hash for row in await pending(desk)} & set(bridge.asked)
    if check.proposed == 0:
        assert "no-hedge:SIM1" in {alert.cause for alert in await desk.store.control.alerts()}


@pytest.mark.usefixtures("streams", "bridge")
async def test_when_the_breach_is_over_pending_hedges_are_superseded_and_the_check_says_so(
    desk: Desk, market: OptionMarket
) -> None:
    await hold(desk, {put(market, 6100.0): 1.0})
    now = datetime.now(UTC)
    old = stale_proposal(put(market, 6100.0), now)
    check = Check(account_id=ACCOUNT, at=now, regime="x", profile="desk", breaches=1, candidates=1, proposed=1,
                  seconds=0.1, sentence="before")  # fmt: skip
    await desk.store.proposals.replace_pending(ACCOUNT, Origin.HEDGE, [old], check, now)
    assert len(await pending(desk)) == 1
    report = await trade_proposer.work(desk)
    assert await pending(desk) == []
    last = await desk.store.proposals.last_check(ACCOUNT)
    assert last is not None and last.breaches == 0 and last.sentence == report.sentence
    assert "no cap is passed" in report.sentence.lower() or "nothing to hedge" in report.sentence


def stale_proposal(contract: Contract, now: datetime) -> ProposedTrade:
    leg = Leg(contract, Action.BUY)
    return ProposedTrade(
        account_id=ACCOUNT, strategy_name="Long put", legs_json=[leg.to_json()], legs_hash=legs_hash([leg]),
        quantity=1, limit_price=1.0, worst_price=1.1, created_at=now, expires_at=now + timedelta(minutes=15),
    )  # fmt: skip


@pytest.mark.usefixtures("streams")
async def test_an_incomplete_check_supersedes_nothing_and_names_what_is_unknown(
    desk: Desk, market: OptionMarket
) -> None:
    nameless = Contract("ZZZ", SecType.OPTION, "ZZZ", 100, market.expiries[5], 50.0, Right.PUT)
    await hold(desk, {nameless: -1.0})
    now = datetime.now(UTC)
    await desk.store.proposals.add(stale_proposal(put(market, 6100.0), now))
    with pytest.raises(CheckIncomplete, match="ZZZ"):
        await trade_proposer.work(desk)
    assert len(await pending(desk)) == 1 and await desk.store.proposals.last_check(ACCOUNT) is None


async def test_money_that_is_old_is_not_known_money(desk: Desk, market: OptionMarket) -> None:
    await hold(desk, short_vega(market))
    async with desk.store.writing() as session:
        from sqlalchemy import update

        await session.execute(update(AccountSnapshot).values(at=datetime.now(UTC) - timedelta(minutes=5)))
    with pytest.raises(CheckIncomplete, match="money is unknown"):
        await trade_proposer.work(desk)


async def test_without_an_account_there_is_no_check(desk: Desk) -> None:
    with pytest.raises(CheckIncomplete, match="no account"):
        await trade_proposer.work(desk)


async def test_a_new_breach_and_arriving_data_change_what_the_proposer_watches(
    desk: Desk, market: OptionMarket
) -> None:
    first = await trade_proposer.watch(desk)
    await market_watch.work(desk)
    for _ in range(4):
        await greeks_streamer.work(desk)
    second = await trade_proposer.watch(desk)
    assert second - first, "a surface arrived that the last check had to do without"
    desk.keep(Memory).complete = True
    third = await trade_proposer.watch(desk)
    now = datetime.now(UTC)
    breach = BreachRow(account_id=ACCOUNT, kind="vega", value=-9, limit=-5, distance=-4, regime="x", profile="desk",
                       since=now, last_seen=now)  # fmt: skip
    await desk.store.appetite.record_breaches(ACCOUNT, [breach], now)
    assert await trade_proposer.watch(desk) - third
    desk.keep(Memory).answered[ACCOUNT] = frozenset({"vega"})
    assert await trade_proposer.watch(desk) == third, "the last check has answered it"


@pytest.mark.usefixtures("streams")
async def test_orders_in_flight_are_part_of_the_scene(desk: Desk, market: OptionMarket) -> None:
    await hold(desk, short_vega(market))
    leg = Leg(put(market, 6100.0), Action.BUY)
    row = stale_proposal(put(market, 6100.0), datetime.now(UTC))
    row.quantity = 7
    number = await desk.store.proposals.add(row)
    await desk.store.proposals.approve(number, legs_hash([leg]), 7, 1.0, 1.1, "pat", datetime.now(UTC))
    account = await trade_proposer.read_account(desk, ACCOUNT, datetime.now(UTC))
    assert [[(h.contract, h.quantity) for h in order] for order in account.in_flight] == [[(leg.contract, 7.0)]]
    loader = RiskRegimeLoader(desk.store, desk.settings)
    outlook = await loader.load(account, (), await desk.now(), datetime.now(UTC))
    engine = ProposerEngine(account, outlook)
    from models.quant.vectors import vectorise

    scene = engine.scene(vectorise(account.contracts, outlook.view))
    assert scene.in_flight == ({leg.contract.identity: 7.0},)


@pytest.mark.usefixtures("streams", "bridge")
async def test_a_breach_that_an_order_in_flight_cures_is_not_hedged_a_second_time(
    desk: Desk, market: OptionMarket
) -> None:
    short = put(market, 6100.0)
    await hold(desk, {short: -20.0})
    row = stale_proposal(short, datetime.now(UTC))
    row.quantity = 20
    number = await desk.store.proposals.add(row)
    await desk.store.proposals.approve(number, row.legs_hash, 20, 1.0, 1.1, "pat", datetime.now(UTC))
    report = await trade_proposer.work(desk)
    assert await pending(desk) == [] and "in flight" in report.sentence
    assert "no-hedge:SIM1" not in {alert.cause for alert in await desk.store.control.alerts()}


@pytest.mark.usefixtures("streams", "bridge")
async def test_a_book_that_changes_during_the_look_is_looked_at_again(
    desk: Desk, market: OptionMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hold(desk, short_vega(market))
    looks: list[int] = []
    honest = trade_proposer.look

    async def look_while_it_fills(desk: Desk, account_id: str) -> trade_proposer.Finding:
        finding = await honest(desk, account_id)
        looks.append(1)
        if len(looks) == 1:
            await hold(desk, {put(market, 6100.0, days=47): 1.0})
        return finding

    monkeypatch.setattr(trade_proposer, "look", look_while_it_fills)
    await trade_proposer.work(desk)
    assert len(looks) == 2 and len(await desk.store.proposals.checks()) == 1


async def test_an_order_that_ended_wakes_the_proposer_and_an_approval_alone_does_not(
    desk: Desk, market: OptionMarket
) -> None:
    desk.keep(Memory).complete = True
    row = stale_proposal(put(market, 6100.0), datetime.now(UTC))
    number = await desk.store.proposals.add(row)
    before = await trade_proposer.watch(desk)
    await desk.store.proposals.approve(number, row.legs_hash, 1, 1.0, 1.1, "pat", datetime.now(UTC))
    assert await trade_proposer.watch(desk) == before
    async with desk.store.writing() as session:
        from sqlalchemy import update

        await session.execute(update(Approval).values(refused_reason="a gate said no"))
    assert await trade_proposer.watch(desk) != before


def test_only_as_many_candidates_are_quoted_as_their_legs_find_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ticket:
        def __init__(self, *numbers: int) -> None:
            self.legs = [Leg(Contract(f"S{n}", SecType.STOCK, f"S{n}"), Action.BUY) for n in numbers]

    tickets = [Ticket(1, 2), Ticket(2, 3), Ticket(4, 5, 6), Ticket(1, 3)]
    assert within_lines(tickets, most=4) == (tickets[0], tickets[1], tickets[3])  # type: ignore[arg-type, comparison-overlap]
