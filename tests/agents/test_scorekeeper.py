"""The scorekeeper under a scripted clock: a rejected proposal followed to its expiry, runs, gaps, fills, bad rows."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from agents import closing_bell, score_look
from agents.desk import Desk
from agents.score_lines import adopt, hear
from agents.scorekeeper import Kept, keep_score
from database.scorecard import FollowedLine
from models.appetite import BreachRow
from models.book import AccountSnapshot, Position
from models.market import Bar, GreekSnapshot, MarketState, Quote
from models.order import Execution, Order
from models.proposed_trade import ProposalStatus, ProposedTrade
from models.quant.option import Contract, Right, SecType
from models.quant.structure import Action, Leg, contract_to_json, legs_hash
from models.scorecard import FollowedDay

ACCOUNT = "SIM1"
MONDAY = datetime(2026, 8, 17, 15, 0, tzinfo=UTC)  # 11:00 New York
FRIDAY = date(2026, 8, 21)
BELL = timedelta(hours=6, minutes=10)  # 17:10 New York
HIGH, LOW = (Contract("SPX", SecType.OPTION, "SPXW", 100, FRIDAY, strike, Right.PUT) for strike in (6400.0, 6300.0))
HELD = Contract("SPX", SecType.OPTION, "SPXW", 100, date(2026, 9, 18), 6200.0, Right.PUT)
LEGS = (Leg(HIGH, Action.BUY), Leg(LOW, Action.SELL))


class Script:
    """The clock and the market of one desk, moved by hand; machine and desk time are one."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.now = desk, MONDAY
        desk.machine_now = lambda: self.now

    async def at(self, moment: datetime, spx: float | None = 6450.0, **prices: float | None) -> None:
        """Time moves on; what is given is quoted half a point wide, what is not stays as old as it is."""
        self.now = moment
        market = self.desk.store.market
        if spx is not None:
            known = {"SPX": spx, "VIX": 18.0, "VIX3M": 19.0}
            await market.write_states([
                MarketState(name=n, value=v, source="venue", at=moment, received_at=moment) for n, v in known.items()
            ])  # fmt: skip
        quoted = {"high": HIGH, "low": LOW, "held": HELD}
        await market.upsert_quotes([
            Quote(identity=quoted[n].identity, contract_json=contract_to_json(quoted[n]), bid=p - 0.25, ask=p + 0.25,
                  source="real", at=moment, received_at=moment)
            for n, p in prices.items() if p is not None
        ])  # fmt: skip
        money = Decimal(1_000_000)
        await self.desk.store.book.write_account(
            AccountSnapshot(account_id=ACCOUNT, at=moment, desk_at=moment, net_liquidation=money,
                            maintenance_margin=money / 5, available_funds=money / 2)
        )  # fmt: skip

    async def look(self) -> str:
        self.desk.keep(Kept).looked = None
        return await keep_score(self.desk, self.now, closing_bell.closed_day(self.now))

    async def line(self) -> FollowedLine:
        return (await self.desk.store.scorecard.board())[0].line

    async def days(self) -> list[FollowedDay]:
        return await self.desk.store.scorecard.days_of((await self.line()).id)


def proposed(now: datetime, **more: Any) -> ProposedTrade:
    scores = {
        "cost": {"half_spread": 100.0, "fees": 5.2, "total": 140.0}, "cure": 0.2, "cured": ["vega"], "remaining": [],
        "fitted_mid": 19.5, "mid": 19.5, "change": {"theta": -40.0},
    }  # fmt: skip
    facts = {
        "account_id": ACCOUNT, "strategy_name": "Bear put spread", "legs_json": [leg.to_json() for leg in LEGS],
        "legs_hash": legs_hash(LEGS), "quantity": 2, "limit_price": 20.0, "worst_price": 21.0, "scores": scores,
        "created_at": now, "expires_at": now + timedelta(minutes=15),
    }  # fmt: skip
    return ProposedTrade(**{**facts, **more})


@pytest.fixture
async def script(desk: Desk) -> Script:
    """A book that is short 30 puts, its vega over the limit since an hour ago."""
    script = Script(desk)
    await script.at(MONDAY, high=40.0, low=20.5, held=60.0)
    async with desk.store.writing() as session:
        session.add(
            Position(account_id=ACCOUNT, identity=HELD.identity, contract_json=contract_to_json(HELD), quantity=-30.0,
                     baseline=-30.0, baseline_at=MONDAY, updated_at=MONDAY)
        )  # fmt: skip
    await breach(script, MONDAY - timedelta(hours=1))
    return script


async def breach(script: Script, now: datetime, stands: bool = True) -> None:
    row = BreachRow(account_id=ACCOUNT, kind="vega", value=-9000, limit=-8000, distance=-1000, profile="desk",
                    regime="neutral_volatility", since=now, last_seen=now)  # fmt: skip
    await script.desk.store.appetite.record_breaches(ACCOUNT, [row] if stands else [], now)


async def test_a_rejected_proposal_is_followed_to_its_expiry_and_judged(script: Script) -> None:
    store, number = script.desk.store, await script.desk.store.proposals.add(proposed(MONDAY))
    assert "1 proposals followed, 1 of them priced" in await script.look()
    await store.proposals.reject(number, "ann", "price", MONDAY + timedelta(minutes=2))
    quoted = [(52.0, 30.0), (58.0, 34.0), (70.0, 41.0)]  # the closes of Monday to Wednesday
    for day, (high, low) in enumerate(quoted):
        await script.at(MONDAY + timedelta(days=day) + BELL, high=high, low=low, held=60.0 + day)
        await script.look()
    await breach(script, MONDAY + timedelta(days=2, hours=1), stands=False)
    expiry = datetime(2026, 8, 21, 20, 0, tzinfo=UTC)
    await script.at(MONDAY + timedelta(days=3) + BELL, high=80.0, low=45.0, held=64.0)
    await script.look()
    await script.at(expiry, spx=6355.0)
    await script.at(expiry + timedelta(hours=1, minutes=10), spx=6390.0)
    assert "1 judged" in await script.look()

    rows = await script.days()
    assert [row.day for row in rows] == [date(2026, 8, 17 + n) for n in range(5)]
    assert all(row.closed for row in rows)
    # two spreads bought at 20.00: (22 − 20) · 200 − 5.20, …, settled at 6355: 6400 put 45, 6300 put 0
    assert [row.profit for row in rows] == [
        pytest.approx(x) for x in (394.8, 794.8, 1794.8, 2994.8, 4994.8)
    ]  # fmt: skip
    assert rows[0].profit_mid == pytest.approx(494.8)
    assert [row.value for row in rows][-1] == pytest.approx(9000.0)
    assert rows[0].theta is not None and rows[0].theta < 0 and rows[0].decay is not None
    assert rows[0].spent == pytest.approx(100 + 5.2 + rows[0].decay)
    assert rows[0].breach and rows[0].breach_with is not None and rows[0].breach_with < rows[0].breach
    assert rows[-1].theta == 0.0 and rows[-1].source == "real"
    line = await script.line()
    assert line.followed.settlements == {HIGH.identity: 45.0, LOW.identity: 0.0}
    assert line.followed.ended_at is not None
    assert line.followed.verdict.startswith(
        "Rejected. It would have cost $105 to enter and ended at +$4,995 after 4 days"
    )
    assert line.followed.verdict.endswith("the breach it answered closed by itself after 2 days.")
    await script.at(script.now + timedelta(days=3))
    assert await script.look() == "", "nothing is followed any more"
    assert len(await script.days()) == 5


async def test_the_same_proposal_every_five_minutes_is_one_line_until_a_person_decides(script: Script) -> None:
    store = script.desk.store
    for minutes in range(0, 60, 5):
        script.now = MONDAY + timedelta(minutes=minutes)
        await store.proposals.add(proposed(script.now))
        if minutes == 30:
            await store.proposals.add(proposed(script.now, quantity=3))
        await script.look()
    board = await store.scorecard.board()
    assert sorted((row.line.proposal.quantity, row.line.followed.times) for row in board) == [(2, 12), (3, 1)]
    last = next(row.line for row in board if row.line.proposal.quantity == 2).newest
    assert last.id is not None
    await store.proposals.reject(last.id, "ann", "price", script.now)
    await store.proposals.add(proposed(script.now))
    await script.look()
    found = [row.line for row in await store.scorecard.board() if row.line.proposal.quantity == 2]
    assert [(line.followed.times, line.followed.outcome) for line in found] == [(1, "Pending"), (12, "Rejected")]


async def test_the_same_proposal_for_another_breach_is_another_line(script: Script) -> None:
    store = script.desk.store
    await store.proposals.add(proposed(MONDAY))
    await script.look()
    await breach(script, MONDAY + timedelta(minutes=10), stands=False)
    await breach(script, MONDAY + timedelta(minutes=20))  # back within the quiet time: the same breach
    script.now = MONDAY + timedelta(minutes=25)
    await store.proposals.add(proposed(script.now))
    await script.look()
    assert [row.line.followed.times for row in await store.scorecard.board()] == [2]
    await breach(script, MONDAY + timedelta(minutes=30), stands=False)
    await breach(script, MONDAY + timedelta(hours=2))
    script.now = MONDAY + timedelta(hours=2, minutes=1)
    await store.proposals.add(proposed(script.now))
    await script.look()
    assert [row.line.followed.times for row in await store.scorecard.board()] == [1, 2]


async def test_without_a_known_breach_the_desk_day_tells_the_run(script: Script) -> None:
    store, plain = script.desk.store, {"origin": "manage", "scores": {}}
    for hours in (0, 2, 24):
        script.now = MONDAY + timedelta(hours=hours)
        await store.proposals.add(proposed(script.now, **plain))
        await script.look()
    assert [row.line.followed.times for row in await store.scorecard.board()] == [1, 2]


async def test_a_day_nobody_looked_at_is_unknown_but_for_what_was_recorded(script: Script) -> None:
    store = script.desk.store
    await store.proposals.add(proposed(MONDAY))
    await script.look()
    tuesday = MONDAY + timedelta(days=1)
    await store.market.add_greek_snapshots([
        GreekSnapshot(identity=leg.identity, at=tuesday, source="own", price=price, theta=-1.0)
        for leg, price in ((HIGH, 50.0), (LOW, 29.0))
    ])  # fmt: skip
    await script.at(MONDAY + timedelta(days=3), high=80.0, low=45.0, held=64.0)
    await script.look()
    rows = await script.days()
    assert [(row.day.day, row.closed, None if row.profit is None else round(row.profit, 2)) for row in rows] == [
        (17, True, -105.2), (18, True, 194.8), (19, True, None), (20, False, 2994.8),
    ]  # fmt: skip
    assert "no price of SPXW 21 Aug 26 6400 put" in rows[2].why and "nobody looked at this day" in rows[2].why
    assert rows[1].breach is None and rows[3].decay is not None


async def test_a_look_without_prices_leaves_what_the_day_knew_and_no_price_at_all_is_unknown(script: Script) -> None:
    await script.desk.store.proposals.add(proposed(MONDAY))
    await script.look()
    await script.at(MONDAY + BELL)
    await script.look()
    row = (await script.days())[0]
    assert row.closed and row.at == MONDAY and row.profit == pytest.approx(-105.2)
    await script.at(MONDAY + timedelta(days=1) + BELL)
    await script.look()
    row = (await script.days())[1]
    assert (row.closed, row.value, row.profit, row.source) == (True, None, None, "unknown")
    assert "no price" in row.why


async def test_what_settled_unseen_is_read_off_the_finished_days_bar(script: Script) -> None:
    await script.desk.store.proposals.add(proposed(MONDAY))
    await script.look()
    bar = {"open": 6500.0, "high": 6510.0, "low": 6340.0, "close": 6380.0}
    at = datetime(2026, 8, 21, tzinfo=UTC)
    await script.desk.store.market.add_bars([Bar(symbol="SPX", timeframe="1D", at=at, **bar)])
    await script.at(MONDAY + timedelta(days=7) + BELL)
    assert "1 judged" in await script.look()
    line = await script.line()
    assert line.followed.settlements == {HIGH.identity: 20.0, LOW.identity: 0.0}
    assert (await script.days())[-1].value == pytest.approx(4000.0)


async def test_a_settlement_nobody_knows_is_waited_for_and_then_told(script: Script) -> None:
    await script.desk.store.proposals.add(proposed(MONDAY))
    await script.look()
    for day in range(7, 11):
        await script.at(MONDAY + timedelta(days=day) + BELL)
        await script.look()
    line = await script.line()
    assert line.followed.ended_at is not None
    assert "ended at" not in line.followed.verdict and "−$105" in line.followed.verdict


async def test_an_approved_and_filled_one_is_judged_at_its_fill_against_the_book_without_it(script: Script) -> None:
    store = script.desk.store
    number = await store.proposals.add(proposed(MONDAY))
    await store.proposals.approve(number, legs_hash(LEGS), 1, 20.0, 20.5, "ann", MONDAY)
    await script.look()
    assert (await script.line()).followed.filled == 0
    async with store.writing() as session:
        session.add(
            Order(order_ref="r1", proposal_id=number, account_id=ACCOUNT, epoch=1, risk_family="SPX",
                  legs_json=[leg.to_json() for leg in LEGS], legs_hash=legs_hash(LEGS), action="BUY", quantity=1,
                  order_type="LMT", tif="DAY", status="filled", filled=1, average_price=19.8, created_at=MONDAY)
        )  # fmt: skip
        for contract, side in ((HIGH, "BUY"), (LOW, "SELL")):
            session.add(
                Execution(account_id=ACCOUNT, exec_id=side, order_ref="r1", identity=contract.identity,
                          contract_json=contract_to_json(contract), con_id=1, side=side, quantity=1, price=1.0,
                          commission=Decimal("1.10"), at=MONDAY, recorded_at=MONDAY + timedelta(minutes=1))
            )  # fmt: skip
            session.add(
                Position(account_id=ACCOUNT, identity=contract.identity, contract_json=contract_to_json(contract),
                         quantity=1.0 if side == "BUY" else -1.0, baseline_at=MONDAY, updated_at=MONDAY)
            )  # fmt: skip
    await breach(script, MONDAY + timedelta(minutes=5), stands=False)
    await script.at(MONDAY + timedelta(hours=1), high=42.0, low=20.5, held=60.0)
    await script.look()
    line, row = await script.line(), (await script.days())[0]
    assert (line.followed.filled, line.followed.fill_price, line.followed.fill_fees) == (1, 19.8, pytest.approx(2.2))
    assert row.profit == pytest.approx((21.5 - 19.8) * 100 - 2.2)
    assert row.profit_mid == pytest.approx((21.5 - 19.5) * 100 - 2.2)
    assert row.breach is not None and row.breach_with is not None and row.breach > row.breach_with
    assert (line.followed.outcome, line.followed.breach_ended) == ("Approved", "with its fill")


async def test_an_approval_that_came_to_nothing_says_why(script: Script) -> None:
    store = script.desk.store
    number = await store.proposals.add(proposed(MONDAY))
    await store.proposals.approve(number, legs_hash(LEGS), 1, 20.0, 20.5, "ann", MONDAY)
    script.now = MONDAY + timedelta(minutes=10)
    await adopt(script.desk, [], script.now)
    await hear(script.desk, await store.scorecard.live(), script.now, script.now)
    assert (await script.line()).followed.unfilled_reason == "nobody took it in time"


async def test_one_line_that_fails_is_unknown_with_its_reason_and_the_others_go_on(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = script.desk.store
    await store.proposals.add(proposed(MONDAY, quantity=5))
    await store.proposals.add(proposed(MONDAY))
    await store.proposals.add(proposed(MONDAY, legs_json=[{"identity": "x"}], legs_hash="bad"))
    honest = score_look.cure

    def moody(advice: Any, *rest: Any) -> Any:
        if advice.quantity == 5:
            raise ZeroDivisionError("a strange leg")
        return honest(advice, *rest)

    monkeypatch.setattr(score_look, "cure", moody)
    await script.look()
    board = {
        row.line.proposal.quantity: row
        for row in (await store.scorecard.board())
        if row.line.proposal.legs_hash != "bad"
    }
    assert board[5].last is not None and "could not be valued: a strange leg" in board[5].last.why
    assert board[2].last is not None and board[2].last.value is not None
    bad = next(row.line for row in await store.scorecard.board() if row.line.proposal.legs_hash == "bad")
    assert bad.followed.ended_at is not None and "cannot be followed" in bad.followed.verdict


async def test_it_looks_every_few_minutes_and_once_more_at_the_bell(script: Script) -> None:
    desk = script.desk
    await desk.store.proposals.add(proposed(MONDAY))
    assert "followed" in (await closing_bell.work(desk)).sentence
    script.now = MONDAY + timedelta(minutes=2)
    assert "followed" not in (await closing_bell.work(desk)).sentence
    await script.at(MONDAY + timedelta(minutes=6), high=42.0, low=20.5, held=60.0)
    assert "1 of them priced" in (await closing_bell.work(desk)).sentence
    assert not (await script.days())[0].closed
    await script.at(MONDAY + BELL, high=43.0, low=20.5, held=60.0)
    assert "0 judged" in (await closing_bell.work(desk)).sentence
    assert (await script.days())[0].closed
    script.now += timedelta(minutes=1)
    assert "followed" not in (await closing_bell.work(desk)).sentence
    assert (await desk.store.proposals.recent())[0].status == ProposalStatus.EXPIRED
    assert len(await script.days()) == 1
