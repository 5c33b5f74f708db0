"""The scorecard on both databases: runs that stay one line, days that are rewritten until closed, and the facts."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from database.store import Store
from models.appetite import BreachRow
from models.market import GreekSnapshot, MarketState
from models.order import Execution
from models.proposed_trade import Origin, ProposalStatus
from models.scorecard import Followed, FollowedDay
from tests.store_rows import ACCOUNT, proposal, put_spread

MONDAY = date(2026, 8, 24)


async def followed(store: Store, now: datetime, proposal_id: int, **more: object) -> int:
    facts = {"proposal_id": proposal_id, "last_proposal_id": proposal_id, "desk_at": now, "outcome": "Pending", **more}
    row = Followed(**facts)
    await store.scorecard.add(row)
    return next(line.id for line in await store.scorecard.live() if line.followed.proposal_id == proposal_id)


def day_of(line: int, now: datetime, day: date = MONDAY, **more: object) -> FollowedDay:
    return FollowedDay(**{"followed_id": line, "day": day, "at": now, **more})  # type: ignore[arg-type]


async def test_only_proposals_of_no_run_are_unfollowed_and_mocks_never_are(store: Store, now: datetime) -> None:
    first = await store.proposals.add(proposal(now))
    again = await store.proposals.add(proposal(now))
    other = await store.proposals.add(proposal(now, legs=put_spread(6000, 5800)))
    bigger = await store.proposals.add(proposal(now, quantity=3))
    await store.proposals.add(proposal(now, origin=Origin.MOCK))
    assert [row.id for row in await store.scorecard.unfollowed()] == [first, again, other, bigger]
    line = await followed(store, now, first)
    assert [row.id for row in await store.scorecard.unfollowed()] == [again, other, bigger]
    await store.scorecard.extend(line, bigger)  # a run reaches over ids of other trades without taking them
    assert [row.id for row in await store.scorecard.unfollowed()] == [other, bigger]


async def test_a_run_is_found_by_what_it_is_and_tells_its_first_and_newest(store: Store, now: datetime) -> None:
    first, again = [await store.proposals.add(proposal(now)) for _ in range(2)]
    line = await followed(store, now, first)
    await store.scorecard.extend(line, again)
    await store.proposals.reject(again, "ann", "price", now)
    run = await store.scorecard.last_run(proposal(now))
    assert run is not None and run.id == line and run.followed.times == 2
    assert (run.proposal.id, run.newest.id) == (first, again)
    assert (run.proposal.status, run.newest.status) == (ProposalStatus.PENDING, ProposalStatus.REJECTED)
    for another in (proposal(now, quantity=9), proposal(now, account_id="SIM2"), proposal(now, origin="hand")):
        assert await store.scorecard.last_run(another) is None


async def test_a_day_is_rewritten_until_it_is_closed_and_never_after(store: Store, now: datetime) -> None:
    line = await followed(store, now, await store.proposals.add(proposal(now)))
    later = now + timedelta(minutes=5)
    await store.scorecard.write_days([day_of(line, now, value=100.0, profit=-5.0)])
    await store.scorecard.write_days([day_of(line, later, value=120.0, profit=15.0)])
    await store.scorecard.write_days([day_of(line, later, why="no price")])
    rows = await store.scorecard.days_of(line)
    assert [(row.value, row.at, row.why) for row in rows] == [(120.0, later, "")], (
        "the last known price of the day stays"
    )
    await store.scorecard.close_days(MONDAY - timedelta(days=1))
    assert not (await store.scorecard.days_of(line))[0].closed
    await store.scorecard.close_days(MONDAY)
    await store.scorecard.write_days([day_of(line, later, value=999.0)])
    closed = (await store.scorecard.days_of(line))[0]
    assert (closed.closed, closed.value) == (True, 120.0)
    assert await store.scorecard.last_days() == {line: MONDAY}


async def test_a_day_that_was_unknown_takes_the_first_price_it_gets(store: Store, now: datetime) -> None:
    line = await followed(store, now, await store.proposals.add(proposal(now)))
    await store.scorecard.write_days([day_of(line, now, why="no price")])
    await store.scorecard.write_days([day_of(line, now, value=3.0)])
    assert [(row.value, row.why) for row in await store.scorecard.days_of(line)] == [(3.0, "")]


async def test_decay_goes_on_from_the_last_day_that_knew_it(store: Store, now: datetime) -> None:
    line = await followed(store, now, await store.proposals.add(proposal(now)))
    await store.scorecard.write_days([
        day_of(line, now, MONDAY, theta=-10.0, decay=1.0),
        day_of(line, now, MONDAY + timedelta(days=1), theta=-11.0, decay=2.0),
        day_of(line, now, MONDAY + timedelta(days=2)),
    ])  # fmt: skip
    found = await store.scorecard.decay_until(MONDAY + timedelta(days=2))
    assert found[line].decay == 2.0
    assert (await store.scorecard.decay_until(MONDAY + timedelta(days=1)))[line].decay == 1.0
    assert await store.scorecard.decay_until(MONDAY) == {}


async def test_the_board_shows_the_last_known_day_and_the_closes_newest_line_first(store: Store, now: datetime) -> None:
    one = await followed(store, now, await store.proposals.add(proposal(now)))
    two = await followed(store, now, await store.proposals.add(proposal(now, quantity=3)))
    three = await followed(store, now, await store.proposals.add(proposal(now, quantity=4)))
    tuesday = MONDAY + timedelta(days=1)
    await store.scorecard.write_days([
        day_of(one, now, value=1.0, profit=7.0), day_of(one, now, tuesday, why="no price"),
        day_of(two, now, why="nothing"), day_of(two, now, tuesday, why="still nothing"),
    ])  # fmt: skip
    await store.scorecard.close_days(tuesday)
    board = await store.scorecard.board()
    assert [row.line.id for row in board] == [three, two, one]
    assert [(row.last.why if row.last else None, row.closes) for row in board] == [
        (None, 0), ("still nothing", 2), ("", 2),
    ]  # fmt: skip
    assert board[2].last is not None and board[2].last.profit == 7.0
    assert len(await store.scorecard.board(limit=1)) == 1


async def test_a_line_that_ended_lives_no_more_but_stays_on_the_board(store: Store, now: datetime) -> None:
    line = await followed(store, now, await store.proposals.add(proposal(now)))
    live = (await store.scorecard.live())[0].followed
    live.ended_at, live.verdict, live.settlements = now, "Rejected.", {"SPXW  261218P06000000": 12.5}
    await store.scorecard.save([live])
    assert await store.scorecard.live() == []
    kept = (await store.scorecard.board())[0].line
    assert (kept.id, kept.followed.verdict, kept.followed.ended_at) == (line, "Rejected.", now)
    assert kept.followed.settlements == {"SPXW  261218P06000000": 12.5}


async def test_the_facts_of_breaches_fills_levels_and_prices(store: Store, now: datetime) -> None:
    breach = BreachRow(
        account_id=ACCOUNT, kind="vega", value=-9, limit=-8, distance=-1, regime="x", profile="desk", since=now,
        last_seen=now,
    )  # fmt: skip
    await store.appetite.record_breaches(ACCOUNT, [breach], now)
    await store.appetite.record_breaches(ACCOUNT, [], now + timedelta(minutes=2))
    early, late = now + timedelta(minutes=1), now + timedelta(minutes=3)
    assert [row.kind for row in await store.scorecard.breach_spells([ACCOUNT], early)] == ["vega"]
    assert await store.scorecard.breach_spells([ACCOUNT], late) == []
    assert await store.scorecard.breach_spells(["SIM2"], early) == []
    async with store.writing() as session:
        session.add(
            Execution(
                account_id=ACCOUNT, exec_id="1", order_ref="abc", identity="SPY", contract_json={}, con_id=1,
                side="BUY", quantity=1, price=1.0, commission=Decimal("0.65"), at=now, recorded_at=early,
            )
        )  # fmt: skip
    assert await store.scorecard.traded(ACCOUNT, now, late) == {"abc"}
    assert await store.scorecard.traded(ACCOUNT, early, late) == set()
    at = datetime(2026, 8, 24, 20, 0, tzinfo=UTC)
    await store.market.write_states(
        [MarketState(name="SPX", value=6001.0, source="venue", at=at, received_at=now)]
    )  # fmt: skip
    assert [row.value for row in await store.scorecard.levels("SPX", at, at)] == [6001.0]
    await store.market.add_greek_snapshots([
        GreekSnapshot(identity="X", at=at, source="own", price=1.0),
        GreekSnapshot(identity="X", at=at + timedelta(minutes=1), source="own", price=2.0),
        GreekSnapshot(identity="X", at=at + timedelta(minutes=1), source="vendor", price=9.0),
    ])  # fmt: skip
    found = await store.scorecard.closing_greeks(["X", "Y"], at, at + timedelta(hours=1))
    assert {name: row.price for name, row in found.items()} == {"X": 2.0}
