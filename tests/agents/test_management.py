"""Management on a real store and a scripted market: how an exit is proposed, renewed, silenced, and goes again."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import update

from adapters.base import Tick
from agents import management, market_watch, trade_proposer
from agents.accounts import read_account
from agents.desk import Desk
from agents.hedge_rows import table
from agents.proposer_engine import RiskRegimeLoader
from models.book import Position
from models.calendar import is_trading_day, previous_trading_day
from models.clock import DeskClock
from models.market import DividendRow
from models.proposed_trade import ProposalStatus, ProposedTrade, origin_words
from models.quant.option import Contract, Right, SecType
from models.quant.pricing import black76
from models.quant.product import NEW_YORK, expiry_instant, years_to
from models.quant.structure import contract_to_json
from tests.agents.scripted_market import RATE, SPOT, OptionMarket, index, quoted, smile
from tests.agents.test_trade_proposer import ACCOUNT, account_is, bridge, streams

__all__ = ["bridge", "streams"]  # fixtures, used by name
LATE_MORNING = time(11, 0)  # New York


class EveMarket(OptionMarket):
    """The scripted market on the last session before a Friday's expiry, whenever the test runs."""

    def __init__(self) -> None:
        super().__init__()
        self.friday = next(day for day in self.expiries[1:] if is_trading_day(day))
        eve = previous_trading_day(self.friday)
        self.started = DeskClock(datetime.now(UTC), datetime.combine(eve, LATE_MORNING, NEW_YORK).astimezone(UTC), 1.0)

    @property
    def clock(self) -> DeskClock:
        return self.started

    def tick_of(self, contract: Contract) -> Tick | None:
        now = self.clock.at(datetime.now(UTC))
        if contract.symbol != "SPX" or contract.strike is None:
            told = self.prices.get(contract.identity)
            return None if told is None else replace(told, at=now)
        t, vol = years_to(expiry_instant(contract), now), smile(contract.strike)
        price = black76(SPOT, contract.strike, t, vol, RATE, contract.right is Right.CALL).price
        return replace(quoted(contract, round(float(price), 2), half=0.05, vendor_iv=vol), at=now)


@pytest.fixture
def market(desk: Desk) -> EveMarket:
    data = EveMarket()

    async def open_data(_settings: object) -> EveMarket:
        return data

    desk.open_data = open_data
    return data


def option(market: EveMarket, strike: float, weeks: int, right: Right = Right.PUT) -> Contract:
    """Of the Friday so many weeks after the one that expires tomorrow."""
    expiry = market.friday + timedelta(weeks=weeks)
    return Contract("SPX", SecType.OPTION, "SPXW", 100, expiry, strike, right)


def strangle(market: EveMarket) -> list[Contract]:
    """22 days to go in three weeks' time: three weeks after tomorrow."""
    return [option(market, 6000.0, 2), option(market, 6700.0, 2, Right.CALL)]


async def hold(
    desk: Desk, contracts: Sequence[Contract], quantity: float = -1, received: float | None = 20.0
) -> None:  # fmt: skip
    now = datetime.now(UTC)
    await desk.store.control.bind_desk([ACCOUNT], "scripted")
    async with desk.store.writing() as session:
        for contract in contracts:
            session.add(
                Position(
                    account_id=ACCOUNT, identity=contract.identity, contract_json=contract_to_json(contract),
                    baseline=quantity, quantity=quantity, baseline_at=now, updated_at=now,
                    average_cost=None if received is None else received * contract.multiplier,
                )
            )  # fmt: skip
    await account_is(desk, 5_000_000)
    changes, wanted = desk.store.changes(), [contract.identity for contract in contracts]
    async with asyncio.timeout(20):
        while len(await desk.store.market.quotes(wanted)) < len(wanted):
            await changes.wait(0.5)


async def until_spx_is(desk: Desk, level: float) -> None:
    changes = desk.store.changes()
    async with asyncio.timeout(20):
        while (await desk.store.market.states())["SPX"].value != level:
            await market_watch.work(desk)
            await changes.wait(0.5)


async def held_is(desk: Desk, quantity: float) -> None:
    async with desk.store.writing() as session:
        await session.execute(update(Position).values(quantity=quantity))


async def pending(desk: Desk) -> list[ProposedTrade]:
    return await desk.store.proposals.pending(ACCOUNT, datetime.now(UTC), snoozed=True)


async def ended(desk: Desk, status: ProposalStatus) -> list[ProposedTrade]:
    return [row for row in await desk.store.proposals.recent() if row.status == status]


async def look(desk: Desk) -> str:
    """One look of management alone, as the proposer hands it the account, whose money the bridge has just written."""
    await account_is(desk, 5_000_000)
    account = await read_account(desk, ACCOUNT, desk.machine_now())
    outlook = await RiskRegimeLoader(desk.store, desk.settings).load(account, (), await desk.now(), desk.machine_now())
    return await management.manage(desk, account, outlook)


async def only_row(desk: Desk) -> ProposedTrade:
    (row,) = await pending(desk)
    return row


# ── into the inbox ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("streams", "bridge")
async def test_a_pass_without_a_breach_proposes_to_close_the_strangle_that_has_few_days_left(
    desk: Desk, market: EveMarket
) -> None:
    await hold(desk, strangle(market), -2)
    report = await trade_proposer.work(desk)
    row = await only_row(desk)
    assert (row.origin, row.strategy_name, row.quantity) == ("manage", "Close short strangle", 2), report.sentence
    assert origin_words(row) == "manage: 15 days left" and "15 days left" in report.sentence
    assert {(leg["action"], leg["ratio"]) for leg in row.legs_json} == {("BUY", 1)}
    assert all(leg["source"] == "real" and leg["con_id"] and leg["quoted_at"] for leg in row.legs_json)
    assert row.breach_set_id is None and row.expires_at - row.created_at == timedelta(minutes=30)
    assert "short premium is closed at 21" in row.justification and "on $8,000 received" in row.justification
    assert row.scores is not None and row.scores["before"] and row.scores["after"]["spx_delta"] is not None
    assert not [check for check in row.scores["checks"] if check["outcome"] == "refuse"]
    assert row.regime == "neutral_volatility" and row.profile == "desk" and row.snapshot_id
    check = await desk.store.proposals.last_check(ACCOUNT)
    assert check is not None and check.proposed == 0
    assert "manage: 15 days left · Short strangle ×2" in table(check, [row])


@pytest.mark.usefixtures("streams")
async def test_the_same_exit_is_not_proposed_twice_and_is_renewed_when_half_its_life_is_over(
    desk: Desk, market: EveMarket
) -> None:
    await hold(desk, strangle(market))
    await look(desk)
    first = await only_row(desk)
    assert await look(desk) == "" and (await only_row(desk)).id == first.id
    async with desk.store.writing() as session:
        soon = datetime.now(UTC) + timedelta(minutes=10)
        await session.execute(update(ProposedTrade).values(expires_at=soon))
    await look(desk)
    second = await only_row(desk)
    assert second.id != first.id and second.legs_hash == first.legs_hash
    (old,) = await ended(desk, ProposalStatus.SUPERSEDED)
    assert old.id == first.id and old.decision_reason == "a newer look renewed it"


@pytest.mark.usefixtures("streams")
async def test_another_size_is_news_and_renews_it_at_once(desk: Desk, market: EveMarket) -> None:
    await hold(desk, strangle(market), -2)
    await look(desk)
    await held_is(desk, -3)
    await look(desk)
    assert (await only_row(desk)).quantity == 3


@pytest.mark.usefixtures("streams")
async def test_what_a_person_rejected_keeps_quiet_that_day_until_something_changes(
    desk: Desk, market: EveMarket
) -> None:
    await hold(desk, strangle(market), -2)
    await look(desk)
    row = await only_row(desk)
    assert row.id is not None
    await desk.store.proposals.reject(row.id, "pat", "timing", datetime.now(UTC))
    assert await look(desk) == "" and await pending(desk) == []
    await held_is(desk, -1)
    await look(desk)
    assert (await only_row(desk)).quantity == 1


@pytest.mark.usefixtures("streams")
async def test_a_rejection_is_forgotten_the_next_desk_day(desk: Desk, market: EveMarket) -> None:
    await hold(desk, strangle(market))
    await look(desk)
    row = await only_row(desk)
    assert row.id is not None and row.scores is not None
    await desk.store.proposals.reject(row.id, "pat", "timing", datetime.now(UTC))
    yesterday = {**row.scores, "manage": {**row.scores["manage"], "day": "2020-01-02"}}
    async with desk.store.writing() as session:
        await session.execute(update(ProposedTrade).values(scores=yesterday))
    await look(desk)
    assert len(await pending(desk)) == 1


@pytest.mark.usefixtures("streams")
async def test_a_snoozed_exit_sleeps_and_no_second_one_is_written_beside_it(desk: Desk, market: EveMarket) -> None:
    await hold(desk, strangle(market))
    await look(desk)
    row = await only_row(desk)
    assert row.id is not None
    now = datetime.now(UTC)
    await desk.store.proposals.snooze(row.id, now + timedelta(minutes=15), "pat", now)
    await held_is(desk, -3)
    assert await look(desk) == "" and (await only_row(desk)).id == row.id


@pytest.mark.usefixtures("streams")
async def test_an_exit_expires_with_its_reason_when_the_trade_is_gone_asleep_or_not(
    desk: Desk, market: EveMarket
) -> None:
    await hold(desk, strangle(market))
    await look(desk)
    row = await only_row(desk)
    assert row.id is not None
    now = datetime.now(UTC)
    await desk.store.proposals.snooze(row.id, now + timedelta(minutes=15), "pat", now)
    await held_is(desk, 0)
    await look(desk)
    assert await pending(desk) == []
    (gone,) = await ended(desk, ProposalStatus.EXPIRED)
    assert gone.decision_reason == "its rule no longer asks for it"


@pytest.mark.usefixtures("streams")
async def test_a_graver_rule_takes_a_trade_over_and_never_stands_beside_the_lesser(
    desk: Desk, market: EveMarket
) -> None:
    await hold(desk, strangle(market), -2)
    await look(desk)
    assert origin_words(await only_row(desk)) == "manage: 15 days left"
    async with desk.store.writing() as session:
        await session.execute(update(Position).values(average_cost=1.0))  # what it stands at is a hundred times that
    await look(desk)
    row = await only_row(desk)
    assert origin_words(row).startswith("manage: loss of ") and "Also: 15 days left." in row.justification
    (gone,) = await ended(desk, ProposalStatus.EXPIRED)
    assert gone.decision_reason == f"a graver rule took over: {origin_words(row).removeprefix('manage: ')}"


@pytest.mark.usefixtures("streams")
async def test_an_approved_exit_is_in_flight_and_not_proposed_again(desk: Desk, market: EveMarket) -> None:
    await hold(desk, strangle(market), -2)
    await look(desk)
    row = await only_row(desk)
    assert row.id is not None
    await desk.store.proposals.approve(
        row.id, row.legs_hash, 2, row.limit_price, row.worst_price, "pat", datetime.now(UTC)
    )
    assert await look(desk) == "" and await pending(desk) == []


@pytest.mark.usefixtures("streams", "bridge")
async def test_a_hedge_check_supersedes_no_management_proposal(desk: Desk, market: EveMarket) -> None:
    await hold(desk, strangle(market))
    await trade_proposer.work(desk)
    first = await only_row(desk)
    await trade_proposer.work(desk)
    assert (await only_row(desk)).id == first.id


# ── what it says instead ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("streams", "bridge")
async def test_an_unknown_cost_is_said_in_the_heartbeat_and_proposes_nothing(desk: Desk, market: EveMarket) -> None:
    await hold(desk, [option(market, 5900.0, 6)], received=None)
    report = await trade_proposer.work(desk)
    assert await pending(desk) == [] and "is unknown, so its profit and loss are not judged" in report.sentence


@pytest.mark.usefixtures("streams", "bridge")
async def test_management_that_fails_fails_no_pass(
    desk: Desk, market: EveMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    await hold(desk, strangle(market))
    monkeypatch.setattr(management, "manage_book", broken)
    report = await trade_proposer.work(desk)
    assert "Management failed" in report.sentence and "a defect" in report.sentence
    assert await desk.store.proposals.last_check(ACCOUNT) is not None


# ── what cannot wait ─────────────────────────────────────────────────────────────────────────────────────────────
async def alerts(desk: Desk) -> list[str]:
    return [row.body for row in await desk.store.control.alerts() if row.source == management.NAME]


@pytest.mark.usefixtures("streams")
async def test_a_short_near_the_money_the_day_before_its_expiry_alerts_once_until_it_is_closed(
    desk: Desk, market: EveMarket
) -> None:
    await hold(desk, [option(market, 6375.0, 0)])
    await look(desk)
    row = await only_row(desk)
    assert origin_words(row).startswith("manage: T−1, ")
    (body,) = await alerts(desk)
    assert "trades for 1 more session" in body
    await look(desk)
    (again,) = [row for row in await desk.store.control.alerts() if row.source == management.NAME]
    assert again.count == 2
    market.prices["SPX"] = index("SPX", 9000.0)
    await until_spx_is(desk, 9000.0)
    await look(desk)
    assert await pending(desk) == [] and len(await alerts(desk)) == 1, "it may come back within the day"
    await held_is(desk, 0)
    await look(desk)
    assert await alerts(desk) == [] and await pending(desk) == []


@pytest.mark.usefixtures("streams")
async def test_a_close_that_no_gate_lets_through_still_alerts_and_says_why(desk: Desk, market: EveMarket) -> None:
    wide = Contract("SPY", SecType.OPTION, "SPY", 100, market.friday, 640.0, Right.CALL)
    market.prices[wide.identity] = quoted(wide, 3.0, half=2.0)
    await hold(desk, [wide], received=2.5)
    said = await look(desk)
    assert await pending(desk) == [] and "has no ticket: spread" in said
    (body,) = await alerts(desk)
    assert "No ticket to close it now: spread" in body


@pytest.mark.usefixtures("streams")
async def test_a_short_call_below_the_dividend_is_closed_on_the_eve_of_the_ex_date(
    desk: Desk, market: EveMarket
) -> None:
    call = Contract("SPY", SecType.OPTION, "SPY", 100, market.friday + timedelta(weeks=4), 600.0, Right.CALL)
    market.prices[call.identity] = quoted(call, 41.2, half=0.1)
    await hold(desk, [call], -2, received=30.0)
    told = dividend("SPY", market.friday, 1.75)
    await desk.store.market.write_dividends("SPY", "test", [told], market.friday - timedelta(days=1))
    await look(desk)
    row = await only_row(desk)
    assert origin_words(row) == "manage: ex-dividend next session" and row.quantity == 2
    assert "goes ex $1.75" in row.justification and len(await alerts(desk)) == 1


def dividend(symbol: str, ex_date: date, amount: float) -> DividendRow:
    return DividendRow(symbol=symbol, ex_date=ex_date, amount=amount, source="test", at=datetime.now(UTC))
