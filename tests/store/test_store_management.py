"""Proposals of management in the memory: what stands, what renews what, and who comes second."""

from datetime import datetime, timedelta

from database.store import Store
from models.proposed_trade import Origin, ProposalStatus, ProposedTrade, origin_words
from tests.store_rows import ACCOUNT, check, proposal


def exit_of(now: datetime, **changes: object) -> ProposedTrade:
    return proposal(now, origin=Origin.MANAGE, breach_set_id=None, **changes)


async def status_of(store: Store, id: int) -> tuple[str, str | None]:
    row = await store.proposals.get(id)
    assert row is not None
    return row.status, row.decision_reason


async def test_what_stands_is_what_waits_asleep_or_not_and_what_was_rejected_lately(
    store: Store, now: datetime
) -> None:
    awake, asleep, refused, long_ago, gone = [await store.proposals.add(exit_of(now)) for _ in range(5)]
    await store.proposals.add(exit_of(now, account_id="SIM0000001"))
    await store.proposals.replace_pending(ACCOUNT, Origin.HEDGE, [proposal(now)], check(now), now)
    await store.proposals.snooze(asleep, now + timedelta(minutes=15), "trader", now)
    await store.proposals.reject(refused, "trader", "timing", now)
    await store.proposals.reject(long_ago, "trader", "timing", now - timedelta(days=3))
    await store.proposals.expire_because({gone: "its rule no longer asks for it"}, now)
    standing = await store.proposals.standing(ACCOUNT, Origin.MANAGE, now - timedelta(days=2))
    assert [row.id for row in standing] == [refused, asleep, awake]
    assert await status_of(store, gone) == (ProposalStatus.EXPIRED, "its rule no longer asks for it")


async def test_a_renewal_supersedes_its_predecessor_and_leaves_everything_else(store: Store, now: datetime) -> None:
    old, other = [await store.proposals.add(exit_of(now)) for _ in range(2)]
    (hedge,) = await store.proposals.replace_pending(ACCOUNT, Origin.HEDGE, [proposal(now)], check(now), now)
    renewed, first = await store.proposals.renew([(old, exit_of(now)), (None, exit_of(now))], now)
    assert await status_of(store, old) == (ProposalStatus.SUPERSEDED, "a newer look renewed it")
    for id in (other, hedge, renewed, first):
        assert (await status_of(store, id))[0] == ProposalStatus.PENDING


async def test_what_was_decided_or_put_to_sleep_meanwhile_is_not_renewed(store: Store, now: datetime) -> None:
    refused, asleep = [await store.proposals.add(exit_of(now)) for _ in range(2)]
    await store.proposals.reject(refused, "trader", "timing", now)
    await store.proposals.snooze(asleep, now + timedelta(minutes=15), "trader", now)
    assert await store.proposals.renew([(refused, exit_of(now)), (asleep, exit_of(now))], now) == []
    assert [row.id for row in await store.proposals.pending(ACCOUNT, now, snoozed=True)] == [asleep]
    later = now + timedelta(minutes=16)
    (renewed,) = await store.proposals.renew([(asleep, exit_of(now, expires_at=later + timedelta(minutes=5)))], later)
    assert [row.id for row in await store.proposals.pending(ACCOUNT, later)] == [renewed]


async def test_approving_one_exit_leaves_the_others_alone(store: Store, now: datetime) -> None:
    one, other = [await store.proposals.add(exit_of(now)) for _ in range(2)]
    row = await store.proposals.get(one)
    assert row is not None
    await store.proposals.approve(one, row.legs_hash, 2, 20.0, 20.5, "trader", now)
    assert (await status_of(store, other))[0] == ProposalStatus.PENDING


def test_a_card_names_its_origin_and_the_rule_behind_it(now: datetime) -> None:
    assert origin_words(proposal(now)) == "hedge"
    assert origin_words(exit_of(now)) == "manage" == origin_words(exit_of(now, scores={"manage": "?"}))
    assert origin_words(exit_of(now, scores={"manage": {"title": "21 days left"}})) == "manage: 21 days left"
