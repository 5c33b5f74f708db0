"""What the desk does around its proposals: a price that ran off, a regime that is unknown, a breach that flickers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agents import closing_bell, trade_proposer
from agents.desk import Desk
from agents.trade_proposer import Memory
from models.appetite import BreachRow
from models.market import Quote
from models.proposed_trade import Check, Origin, ProposedTrade
from models.quant.option import Contract
from models.quant.structure import Action, Leg, contract_to_json, legs_hash
from tests.agents.scripted_market import OptionMarket
from tests.agents.test_trade_proposer import ACCOUNT, bridge, hold, pending, put, short_vega, streams

__all__ = ["bridge", "streams"]  # fixtures, used by name


# ── a price that ran off ─────────────────────────────────────────────────────────────────────────────────────────
async def propose(desk: Desk, contract: Contract, mid: float, **more: object) -> int:
    now = datetime.now(UTC)
    leg = Leg(contract, Action.BUY, bid=mid - 0.1, ask=mid + 0.1, mid=mid)
    given: dict[str, object] = {
        "account_id": ACCOUNT, "strategy_name": "Long put", "legs_json": [leg.to_json()], "legs_hash": legs_hash([leg]),
        "quantity": 1, "limit_price": mid + 0.1, "worst_price": mid + 0.3, "created_at": now,
        "expires_at": now + timedelta(minutes=15),
    }  # fmt: skip
    return await desk.store.proposals.add(ProposedTrade(**{**given, **more}))


async def quote(desk: Desk, contract: Contract, mid: float, age: float = 1.0, source: str = "real") -> None:
    at = datetime.now(UTC) - timedelta(seconds=age)
    row = Quote(identity=contract.identity, contract_json=contract_to_json(contract), bid=mid - 0.1, ask=mid + 0.1,
                source=source, at=at, received_at=at)  # fmt: skip
    await desk.store.market.upsert_quotes([row])


async def status_of(desk: Desk, number: int) -> tuple[str, str | None]:
    row = await desk.store.proposals.get(number)
    assert row is not None
    return row.status, row.decision_reason


async def asked_to_run(desk: Desk) -> int:
    return len(await desk.store.control.claim_requests("trade_proposer", "test", datetime.now(UTC)))


async def test_a_proposal_expires_when_its_price_leaves_the_tolerance_and_the_proposer_is_asked_for_new_ones(
    desk: Desk, market: OptionMarket
) -> None:
    contract = put(market, 6100.0)
    number = await propose(desk, contract, 20.0)
    await quote(desk, contract, 21.0)  # 5 % of 20: exactly the tolerance
    await closing_bell.work(desk)
    assert await status_of(desk, number) == ("Pending", None)
    await quote(desk, contract, 21.05)
    report = await closing_bell.work(desk)
    assert await status_of(desk, number) == ("Expired", "the price moved 1.05 from 20.00 to 21.05, over 1.00")
    assert "1 proposals expired, 1 because their price ran off" in report.sentence
    assert await asked_to_run(desk) == 1
    await closing_bell.work(desk)
    assert await asked_to_run(desk) == 0, "once"


async def test_a_sleeping_proposal_drifts_too_and_only_a_hedge_asks_for_new_ones(
    desk: Desk, market: OptionMarket
) -> None:
    contract = put(market, 6100.0)
    number = await propose(desk, contract, 20.0, origin=Origin.IDEA)
    await desk.store.proposals.snooze(number, datetime.now(UTC) + timedelta(minutes=10), "pat", datetime.now(UTC))
    await quote(desk, contract, 30.0)
    await closing_bell.work(desk)
    assert (await status_of(desk, number))[0] == "Expired"
    assert await asked_to_run(desk) == 0


@pytest.mark.parametrize(
    ("mid", "age", "source"), [(30.0, 300.0, "real"), (30.0, 1.0, "modelled"), (None, 1.0, "real")]
)
async def test_a_price_that_is_not_known_now_has_not_drifted(
    desk: Desk, market: OptionMarket, mid: float | None, age: float, source: str
) -> None:
    contract = put(market, 6100.0)
    number = await propose(desk, contract, 20.0)
    if mid is not None:
        await quote(desk, contract, mid, age, source)
    await closing_bell.work(desk)
    assert (await status_of(desk, number))[0] == "Pending"


async def test_mock_rows_and_rows_that_cannot_be_read_are_left_to_their_own_expiry(
    desk: Desk, market: OptionMarket
) -> None:
    contract = put(market, 6100.0)
    mock = await propose(desk, contract, 20.0, origin=Origin.MOCK)
    broken = await propose(desk, contract, 20.0, legs_json=[{"identity": "?"}])
    await quote(desk, contract, 30.0)
    await closing_bell.work(desk)
    assert {(await status_of(desk, number))[0] for number in (mock, broken)} == {"Pending"}


# ── superseding only one's own kind ──────────────────────────────────────────────────────────────────────────────
async def test_a_completed_check_supersedes_only_waking_hedges_of_its_own_account(
    desk: Desk, market: OptionMarket
) -> None:
    contract, now = put(market, 6100.0), datetime.now(UTC)
    old = await propose(desk, contract, 20.0)
    asleep = await propose(desk, contract, 20.0)
    await desk.store.proposals.snooze(asleep, now + timedelta(minutes=10), "pat", now)
    others = [await propose(desk, contract, 20.0, origin=kind) for kind in (Origin.HAND, Origin.IDEA, Origin.MANAGE)]
    elsewhere = await propose(desk, contract, 20.0, account_id="SIM2")
    check = Check(account_id=ACCOUNT, at=now, regime="x", profile="desk", breaches=1, candidates=1, proposed=0,
                  seconds=0.1, sentence="x")  # fmt: skip
    await desk.store.proposals.replace_pending(ACCOUNT, Origin.HEDGE, [], check, now)
    assert (await status_of(desk, old))[0] == "Superseded"
    for number in (asleep, *others, elsewhere):
        assert (await status_of(desk, number))[0] == "Pending"


# ── a regime that is unknown ─────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def without_vix(market: OptionMarket) -> None:
    del market.prices["VIX"]


@pytest.mark.usefixtures("without_vix", "streams", "bridge")
async def test_without_vix_only_reducing_trades_are_proposed_against_the_tightest_limits_and_say_why(
    desk: Desk, market: OptionMarket
) -> None:
    await hold(desk, short_vega(market))
    report = await trade_proposer.work(desk)
    rows = await pending(desk)
    why = "The regime is unknown (VIX is unknown): only what reduces, against the tightest known limits."
    assert why in report.sentence
    check = await desk.store.proposals.last_check(ACCOUNT)
    assert check is not None and check.regime == "unknown" and check.breaches >= 1 and why in check.sentence
    assert rows, report.sentence
    held = {contract.identity for contract in short_vega(market)}
    for row in rows:
        assert row.regime == "unknown" and why in row.justification
        identities = {leg["identity"] for leg in row.legs_json}
        assert identities & held or all(leg["sec_type"] in ("FUT", "STK") for leg in row.legs_json), row.strategy_name
        assert row.scores is not None
        for name in ("vega_weighted", "gamma"):
            assert row.scores["after"][name] >= row.scores["before"][name] - 1e-6, "nothing is sold more of"


@pytest.mark.usefixtures("streams", "bridge")
async def test_a_partial_regime_is_named_in_the_checks_sentence(desk: Desk, market: OptionMarket) -> None:
    await hold(desk, {put(market, 6100.0): 1.0})
    report = await trade_proposer.work(desk)
    assert "The regime is partial (recession is unknown: its clause is skipped)." in report.sentence


# ── a breach that flickers ───────────────────────────────────────────────────────────────────────────────────────
async def test_a_breach_that_flickers_wakes_the_proposer_once_and_a_new_episode_wakes_it_again(
    desk: Desk, market: OptionMarket
) -> None:
    memory, start, heal = desk.keep(Memory), datetime.now(UTC), timedelta(seconds=60)
    memory.complete = True
    row = BreachRow(account_id=ACCOUNT, kind="vega", value=-9, limit=-5, distance=-4, regime="x", profile="desk",
                    since=start, last_seen=start)  # fmt: skip

    async def seen(breached: bool, seconds: float) -> bool:
        rows = [BreachRow(**row.model_dump(exclude={"id"}))] if breached else []
        await desk.store.appetite.record_breaches(ACCOUNT, rows, start + timedelta(seconds=seconds), heal)
        return ("breach", ACCOUNT, "vega") in await trade_proposer.watch(desk)

    assert await seen(True, 0)
    memory.answered[ACCOUNT] = frozenset({"vega"})  # a check answers it
    assert not await seen(True, 5)
    assert not await seen(False, 10)
    memory.answered[ACCOUNT] = frozenset()  # a check meanwhile finds nothing to answer
    assert not await seen(True, 15), "the same episode"
    assert not await seen(False, 20)
    assert await seen(True, 90), "a new one"


async def test_what_is_only_watched_never_wakes_the_proposer(desk: Desk, market: OptionMarket) -> None:
    desk.keep(Memory).complete = True
    now = datetime.now(UTC)
    before = await trade_proposer.watch(desk)
    row = BreachRow(account_id=ACCOUNT, kind="theta_share SPX 18 Sep 26", value=0.5, limit=0.3, distance=0.2,
                    regime="x", profile="desk", is_cap=False, since=now, last_seen=now)  # fmt: skip
    await desk.store.appetite.record_breaches(ACCOUNT, [row], now)
    assert await trade_proposer.watch(desk) == before


# ── by hand ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_pass_by_hand_ends_with_0_only_when_it_completed(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    from agents.command import one_pass

    assert await one_pass("closing_bell", desk) == 0
    assert await one_pass("trade_proposer", desk) == 1, "no account is known: it waits"
    await desk.store.control.set_switch("agent:closing_bell", "pause", "pat", "lunch", datetime.now(UTC))
    assert await one_pass("closing_bell", desk) == 1
    assert "paused by pat: lunch" in capsys.readouterr().out


@pytest.mark.parametrize("profile", ["desk", "classic"])
@pytest.mark.parametrize("word", ["TRUE", "1", "YES", "yes"])
async def test_the_mock_breach_is_one_vega_breach_in_either_profile_however_it_is_spelled(
    desk: Desk, profile: str, word: str
) -> None:
    from models.settings import read_settings

    said = read_settings({"MOCK_BREACH": word, "RISK_PROFILE": profile})
    mocked = replace(desk, settings=replace(desk.settings, mock_breach=said.mock_breach, risk_profile=profile))
    report = await trade_proposer.work(mocked)
    rows = [row for row in await desk.store.proposals.pending(None, datetime.now(UTC)) if row.profile == profile]
    assert 1 <= len(rows) <= 3, report.sentence
    check = await desk.store.proposals.last_check()
    assert check is not None and (check.breaches, check.profile) == (1, profile)
    assert {row.origin for row in rows} == {"mock"} and "Short" in check.sentence and "vega is" in check.sentence
