"""The look over the gap: when it comes, on half days too, what it says, whom it tells, and when that is over."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete

from agents import closing_bell
from agents.desk import Desk
from agents.overnight import SOURCE, look_overnight
from models.book import AccountSnapshot
from models.clock import DeskClock
from models.market import MarketState, Quote
from models.quant.option import Contract, SecType
from models.quant.structure import contract_to_json
from tests.agents.test_trade_proposer import account_is, hold

FRIDAY = datetime(2026, 8, 21, tzinfo=UTC)
AFTER_THANKSGIVING = datetime(2026, 11, 27, tzinfo=UTC)  # half a day: the close is at 13:00 New York
MES = Contract("MES", SecType.FUTURE, "MES", 5, FRIDAY.date() + timedelta(days=120))


async def a_book_of(desk: Desk, futures: float) -> None:
    """Long MES at 6,000 with a million: 34 of them lose more than 3 % of it in a usual jump."""
    await hold(desk, {MES: futures})
    now = datetime.now(UTC)
    quote = Quote(
        identity=MES.identity, contract_json=contract_to_json(MES), bid=5999.75, ask=6000.25, source="real", at=now,
        received_at=now,
    )  # fmt: skip
    await desk.store.market.upsert_quotes([quote])
    await desk.store.market.write_states(
        [MarketState(name=n, value=v, source="test", at=now, received_at=now) for n, v in levels().items()]
    )


def levels() -> dict[str, float]:
    return {"SPX": 6000.0, "VIX": 18.0, "VIX3M": 19.0}


async def causes(desk: Desk) -> list[str]:
    return [row.cause for row in await desk.store.control.alerts() if row.source == SOURCE]


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (FRIDAY + timedelta(hours=19, minutes=44), False),
        (FRIDAY + timedelta(hours=19, minutes=45), True),
        (FRIDAY + timedelta(hours=19, minutes=59), True),
        (FRIDAY + timedelta(hours=20), False),
        (FRIDAY + timedelta(days=1, hours=19, minutes=50), False),
        (AFTER_THANKSGIVING + timedelta(hours=17, minutes=44), False),
        (AFTER_THANKSGIVING + timedelta(hours=17, minutes=45), True),
        (AFTER_THANKSGIVING + timedelta(hours=20, minutes=45), False),
    ],
)
async def test_it_comes_a_quarter_of_an_hour_before_the_close(desk: Desk, now: datetime, due: bool) -> None:
    await a_book_of(desk, 1.0)
    said = await look_overnight(desk, now)
    assert bool(said) is due
    if due:
        assert "every position is priced" in said and "over 3 days" in said and await causes(desk) == []


async def test_a_jump_over_the_limit_is_told_once_and_called_off_with_the_next_session(desk: Desk) -> None:
    await a_book_of(desk, 34.0)
    friday = FRIDAY + timedelta(hours=19, minutes=45)
    assert "102 % of the daily loss limit" in await look_overnight(desk, friday)
    assert await look_overnight(desk, friday + timedelta(minutes=1)) == "", "once a session"
    (alert,) = [row for row in await desk.store.control.alerts() if row.source == SOURCE]
    assert "A jump of 3 % would cost $30,600, over the daily loss limit of $30,000." in alert.body and alert.count == 1
    assert await look_overnight(desk, friday + timedelta(days=2, hours=18)) == ""  # Monday morning
    assert await causes(desk) == []


async def test_a_position_without_a_price_is_told(desk: Desk) -> None:
    await hold(desk, {MES: 1.0})
    assert "not priced: 1" in await look_overnight(desk, FRIDAY + timedelta(hours=19, minutes=50))
    (alert,) = [row for row in await desk.store.control.alerts() if row.source == SOURCE]
    assert "price of MES unknown" in alert.body


async def test_while_the_money_is_unknown_it_says_so_and_looks_again(desk: Desk) -> None:
    await a_book_of(desk, 34.0)
    async with desk.store.writing() as session:
        await session.execute(delete(AccountSnapshot))
    now = FRIDAY + timedelta(hours=19, minutes=45)
    assert "not judged yet" in await look_overnight(desk, now) and await causes(desk) == []
    await account_is(desk, 1_000_000)
    assert "daily loss limit" in await look_overnight(desk, now) and len(await causes(desk)) == 1


async def test_the_closing_bell_rings_it(desk: Desk) -> None:
    await a_book_of(desk, 1.0)
    await desk.store.control.set_clock(DeskClock(datetime.now(UTC), FRIDAY + timedelta(hours=19, minutes=45), 0.0))
    assert "standing still" in (await closing_bell.work(desk)).sentence
