"""Moments and money come back as they went in, on both databases; what would lose something is refused."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.exc import StatementError
from sqlmodel import col

from database.store import Store
from models.book import AccountSnapshot
from models.control import Request
from models.market import MarketState
from tests.store_rows import ACCOUNT

INDIA = timezone(timedelta(hours=5, minutes=30))


def snapshot(at: datetime, money: Decimal | float | None) -> AccountSnapshot:
    return AccountSnapshot(account_id=ACCOUNT, at=at, desk_at=at, net_liquidation=money)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 20, 20, 30, 0, 123456, tzinfo=INDIA),
        datetime(2026, 3, 8, 7, 0, tzinfo=UTC),
        datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
async def test_a_moment_comes_back_aware_and_the_same(store: Store, moment: datetime) -> None:
    await store.book.write_account(snapshot(moment, None))
    found = await store.book.latest_account(ACCOUNT)
    assert found is not None
    assert found.at == moment
    assert found.at.utcoffset() == timedelta(0)


async def test_a_naive_moment_is_refused(store: Store) -> None:
    with pytest.raises(StatementError, match="naive datetime"):
        await store.book.write_account(snapshot(datetime(2026, 1, 1), None))  # noqa: DTZ001 – naive on purpose
    assert await store.book.latest_account(ACCOUNT) is None


MONEY = st.decimals(min_value=-(10**12), max_value=10**12, places=6, allow_nan=False, allow_infinity=False)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(MONEY, min_size=1, max_size=8))
async def test_money_is_exact_sums_and_sorts(store: Store, values: list[Decimal]) -> None:
    now = datetime.now(UTC)
    account = f"{ACCOUNT}-{now.timestamp()}-{len(values)}"
    async with store.writing() as session:
        for value in values:
            row = snapshot(now, value)
            row.account_id = account
            session.add(row)
    column = col(AccountSnapshot.net_liquidation)
    mine = col(AccountSnapshot.account_id) == account
    async with store.reading() as session:
        back = list(await session.scalars(select(column).where(mine).order_by(column)))
        total = (await session.execute(select(func.sum(column)).where(mine))).scalar_one()
    assert back == sorted(values)
    assert total == sum(values, Decimal())


async def test_money_from_a_float_is_what_the_float_prints(store: Store, now: datetime) -> None:
    await store.book.write_account(snapshot(now, 0.1 + 0.2))
    found = await store.book.latest_account(ACCOUNT)
    assert found is not None
    assert found.net_liquidation == Decimal("0.300000")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN")])
async def test_money_that_is_no_number_is_refused(store: Store, now: datetime, value: Decimal | float) -> None:
    with pytest.raises(StatementError, match="money must be finite"):
        await store.book.write_account(snapshot(now, value))


async def test_unknown_stays_unknown(store: Store, now: datetime) -> None:
    await store.book.write_account(snapshot(now, None))
    found = await store.book.latest_account(ACCOUNT)
    assert found is not None
    assert found.net_liquidation is None
    await store.market.write_states([MarketState(name="VIX", value=None, source="none", at=now, received_at=now)])
    assert (await store.market.states())["VIX"].value is None


async def test_documents_keep_their_numbers_and_nesting(store: Store, now: datetime) -> None:
    payload = {"z": [1, 2.5, None, True], "a": {"nested": "×−σ", "tiny": 1e-7, "wide": 12345678901234}}
    id = await store.control.ask("doctor", payload, "trader", now, now + timedelta(seconds=5))
    assert (await store.control.request(id)).payload == payload


async def test_a_wide_id_of_a_broker_fits(store: Store, now: datetime) -> None:
    async with store.writing() as session:
        session.add(
            Request(id=2**53, kind="doctor", payload={}, by="x", created_at=now, deadline=now)
        )  # fmt: skip
    assert (await store.control.request(2**53)).id == 2**53
