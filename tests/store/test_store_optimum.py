"""The optimum in the memory: how far each proposal is from it, and itself as one more alternative."""

from datetime import datetime

from database.store import Store
from models.proposed_trade import Origin, ProposalStatus, ProposedTrade
from tests.store_rows import ACCOUNT, check, proposal


async def gap_of(store: Store, id: int) -> float | None:
    row = await store.proposals.get(id)
    assert row is not None
    return row.optimum_gap


async def proposed(store: Store, now: datetime, set_id: str, count: int = 2) -> list[int]:
    rows = [proposal(now, breach_set_id=set_id) for _ in range(count)]
    done = check(now)
    done.breach_set_id = set_id
    return await store.proposals.replace_pending(ACCOUNT, Origin.HEDGE, rows, done, now)


def beside(now: datetime, set_id: str) -> ProposedTrade:
    return proposal(now, breach_set_id=set_id, strategy_name="Optimal hedge")


async def test_each_proposal_keeps_its_own_gap_and_unknown_stays_unknown(store: Store, now: datetime) -> None:
    first, second = await proposed(store, now, "one")
    await store.proposals.measure({first: 0.25, second: None, 999_999: 0.1})
    assert (await gap_of(store, first), await gap_of(store, second)) == (0.25, None)
    await store.proposals.measure({second: 0.5})
    assert (await gap_of(store, first), await gap_of(store, second)) == (0.25, 0.5)


async def test_a_sibling_joins_the_set_of_the_newest_check_and_is_superseded_with_it(
    store: Store, now: datetime
) -> None:
    first, second = await proposed(store, now, "one")
    third = await store.proposals.add_beside(beside(now, "one"))
    assert third is not None
    row = await store.proposals.get(first)
    assert row is not None
    await store.proposals.approve(first, row.legs_hash, 1, row.limit_price, row.worst_price, "pat", now)
    for id in (second, third):
        other = await store.proposals.get(id)
        assert other is not None and other.status == ProposalStatus.SUPERSEDED


async def test_it_comes_too_late_after_an_approval_or_a_newer_check(store: Store, now: datetime) -> None:
    (first,) = await proposed(store, now, "one", 1)
    row = await store.proposals.get(first)
    assert row is not None
    await store.proposals.approve(first, row.legs_hash, 1, row.limit_price, row.worst_price, "pat", now)
    assert await store.proposals.add_beside(beside(now, "one")) is None
    await proposed(store, now, "two", 1)
    assert await store.proposals.add_beside(beside(now, "one")) is None
    assert await store.proposals.add_beside(beside(now, "two")) is not None


async def test_where_nothing_was_proposed_it_may_still_stand_alone(store: Store, now: datetime) -> None:
    await proposed(store, now, "none", 0)
    assert await store.proposals.add_beside(beside(now, "none")) is not None
