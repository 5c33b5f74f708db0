"""Deciding over a real store: what blocks Approve and why, and that of two decisions exactly one counts."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app import blocking, decide, rulebook
from app.decide import Shown
from database.store import Store
from models.clock import DeskClock
from models.control import RequestKind, SwitchName
from models.market import Quote
from models.order import WhatIf
from models.proposed_trade import Origin, ProposalStatus, ProposedTrade
from tests.app.seed import DESK_NOON, lock_a_family, preview, proposals, seed

GOOD = 60.0


@pytest.fixture
async def desk(store: Store, now: datetime) -> Store:
    await seed(store, now)
    return store


async def first(store: Store, now: datetime) -> ProposedTrade:
    return (await store.proposals.pending(None, now))[0]


async def reasons(store: Store, proposal: ProposedTrade, now: datetime) -> tuple[str, ...]:
    assert proposal.id is not None
    card = await blocking.read_card(store, proposal.id, now)
    assert card is not None
    return blocking.blocks(card)


async def fresh_preview(store: Store, proposal: ProposedTrade, now: datetime) -> None:
    assert proposal.id is not None
    await preview(store, proposal.id, proposal, now)


async def test_a_good_proposal_is_not_blocked_and_approving_signs_what_was_shown(desk: Store, now: datetime) -> None:
    proposal = await first(desk, now)
    assert await reasons(desk, proposal, now) == ()
    outcome = await decide.approve(desk, Shown.of(proposal), "ann", now, GOOD)
    assert outcome.done, outcome.sentence
    approval = await desk.proposals.approval_of(Shown.of(proposal).proposal_id)
    assert approval is not None
    assert approval.statement().verify(desk.key, approval.signature)
    assert (approval.quantity, approval.limit_price) == (proposal.quantity, proposal.limit_price)
    assert await desk.proposals.pending(None, now) == []  # the siblings are superseded with it


async def test_two_clicks_at_once_sign_once_and_the_second_is_told(desk: Store, now: datetime) -> None:
    shown = Shown.of(await first(desk, now))
    outcomes = await asyncio.gather(*(decide.approve(desk, shown, who, now, GOOD) for who in ("ann", "bob")))
    assert sorted(one.done for one in outcomes) == [False, True]
    assert "lready approved" in next(one.sentence for one in outcomes if not one.done)


async def test_a_stale_card_of_other_legs_is_refused(desk: Store, now: datetime) -> None:
    proposal = await first(desk, now)
    shown = Shown(
        Shown.of(proposal).proposal_id, "other", proposal.quantity, proposal.limit_price, proposal.worst_price
    )
    outcome = await decide.approve(desk, shown, "ann", now, GOOD)
    assert not outcome.done
    assert "legs are no longer" in outcome.sentence


async def test_halt_blocks_with_who_and_why_and_release_takes_the_word_and_a_reason(desk: Store, now: datetime) -> None:
    proposal = await first(desk, now)
    await decide.halt(desk, "ann", "fat finger", now)
    said = await reasons(desk, proposal, now)
    assert "HALT is on" in said[0]
    assert "ann: fat finger" in said[0]
    assert not (await decide.release(desk, "ann", "release", "fine", now)).done
    assert not (await decide.release(desk, "ann", "RELEASE", "  ", now)).done
    assert (await decide.release(desk, "ann", "RELEASE", "looked at it", now)).done
    assert await reasons(desk, proposal, now) == ()


async def test_a_halt_file_blocks_like_the_switch(desk: Store, now: datetime) -> None:
    (desk.var_dir / blocking.HALT_FILE).touch()
    assert "file HALT" in (await reasons(desk, await first(desk, now), now))[0]


async def test_an_old_preview_blocks_until_a_new_one_is_there(desk: Store, now: datetime) -> None:
    proposal = await first(desk, now)
    later = now + timedelta(seconds=40)
    assert any("margin preview is 42 s old" in reason for reason in await reasons(desk, proposal, later))
    await fresh_preview(desk, proposal, later)
    assert await reasons(desk, proposal, later) == ()


async def test_a_preview_the_broker_refused_blocks_with_its_words(desk: Store, now: datetime) -> None:
    proposal = await first(desk, now)
    failed = WhatIf(
        account_id=proposal.account_id, proposal_id=proposal.id, legs_hash=proposal.legs_hash, quantity=5, at=now,
        failure="201: not enough equity",
    )  # fmt: skip
    await desk.orders.add_what_if(failed)
    assert any("not enough equity" in reason for reason in await reasons(desk, proposal, now))


async def test_no_preview_yet_says_that_it_was_asked_for(desk: Store, now: datetime) -> None:
    row = proposals(now)[0]
    row.id = await desk.proposals.add(row)
    assert await reasons(desk, row, now) == ("Waiting for the broker's margin preview; the desk has asked for it.",)


async def test_a_drifted_price_blocks_with_both_prices(desk: Store, now: datetime) -> None:
    proposal = await first(desk, now)
    leg = proposal.legs_json[0]
    await _quote(desk, leg, leg["bid"] + 6, leg["ask"] + 6, now)
    assert any("price moved" in reason for reason in await reasons(desk, proposal, now))


async def test_a_missing_side_of_a_quote_blocks_and_names_the_leg(desk: Store, now: datetime) -> None:
    proposal = await first(desk, now)
    await _quote(desk, proposal.legs_json[0], None, 95.0, now)
    assert any("SPXW 30 Sep 26 6,350 put is one-sided" in reason for reason in await reasons(desk, proposal, now))


async def _quote(store: Store, leg: dict[str, object], bid: float | None, ask: float | None, now: datetime) -> None:
    row = Quote(
        identity=str(leg["identity"]), contract_json=leg, bid=bid, ask=ask, source="real", under_price=6451.0,
        at=DESK_NOON, received_at=now, bid_size=40, ask_size=35,
    )  # fmt: skip
    await store.market.upsert_quotes([row])


async def test_a_closed_market_blocks_and_says_when_it_opens(desk: Store, now: datetime) -> None:
    proposal = await first(desk, now)
    await desk.control.set_clock(DeskClock(now, DESK_NOON.replace(hour=22), 0.0))
    assert "SPXW is closed; it opens Mon 24 Aug 09:30 ET." in await reasons(desk, proposal, now)


async def test_an_expired_proposal_is_final(desk: Store, now: datetime) -> None:
    proposal = await first(desk, now)
    said = await reasons(desk, proposal, now + timedelta(hours=1))
    assert len(said) == 1
    assert said[0].startswith("It expired")


async def test_a_mock_proposal_can_never_be_approved(desk: Store, now: datetime) -> None:
    row = proposals(now)[0]
    row.origin = Origin.MOCK
    row.id = await desk.proposals.add(row)
    assert "mock proposal can never be approved" in (await reasons(desk, row, now))[0]
    assert not (await decide.approve(desk, Shown.of(row), "ann", now, GOOD)).done


async def test_legs_that_are_not_legs_are_shown_with_the_field_and_never_sent(desk: Store, now: datetime) -> None:
    row = proposals(now)[0]
    row.legs_json = [{**row.legs_json[0], "ratio": 9}]
    row.id = await desk.proposals.add(row)
    assert "ratio 9" in (await reasons(desk, row, now))[0]
    assert not (await decide.approve(desk, Shown.of(row), "ann", now, GOOD)).done


async def test_a_locked_family_blocks(desk: Store, now: datetime) -> None:
    await lock_a_family(desk, now)
    assert any("SPX is locked" in reason for reason in await reasons(desk, await first(desk, now), now))


async def test_pause_blocks_only_what_raises_a_risk(desk: Store, now: datetime) -> None:
    reducing, _, raising = await desk.proposals.pending(None, now)
    await decide.pause(desk, True, "ann", now)
    assert await reasons(desk, reducing, now) == ()
    assert any("New risk is paused" in reason for reason in await reasons(desk, raising, now))


async def test_a_check_that_refused_is_written_on_the_card(desk: Store, now: datetime) -> None:
    row = proposals(now)[0]
    assert row.scores is not None
    row.scores = {**row.scores, "checks": [{"name": "spread", "outcome": "refuse", "reason": "3.00 wide"}]}
    row.id = await desk.proposals.add(row)
    assert any("spread: 3.00 wide" in reason for reason in await reasons(desk, row, now))


def test_two_steps_are_asked_only_of_real_money_that_raises_a_risk(now: datetime) -> None:
    reducing, _, raising = proposals(now)
    assert not blocking.needs_two_steps(raising, real_money=False)
    assert not blocking.needs_two_steps(reducing, real_money=True)
    assert blocking.needs_two_steps(raising, real_money=True)
    reducing.scores = None
    assert blocking.needs_two_steps(reducing, real_money=True)  # unknown counts as rising


async def test_a_rejection_needs_one_of_the_reasons(desk: Store, now: datetime) -> None:
    proposal = await first(desk, now)
    assert proposal.id is not None
    assert not (await decide.reject(desk, proposal.id, "ann", None, now)).done
    assert (await decide.reject(desk, proposal.id, "ann", "timing", now)).done
    late = await decide.reject(desk, proposal.id, "bob", "size", now)
    assert not late.done
    assert "already rejected by ann" in late.sentence
    again = await desk.proposals.get(proposal.id)
    assert again is not None
    assert (again.status, again.decision_reason) == (ProposalStatus.REJECTED, "timing")


async def test_a_snoozed_card_sleeps_and_still_expires_on_time(desk: Store, now: datetime) -> None:
    proposal = await first(desk, now)
    assert proposal.id is not None
    assert (await decide.snooze(desk, proposal.id, "ann", now)).done
    assert proposal.id not in [row.id for row in await desk.proposals.pending(None, now)]
    assert proposal.id in [row.id for row in await desk.proposals.pending(None, now + decide.SNOOZE)]


async def test_an_open_card_asks_for_quotes_and_a_preview(desk: Store, now: datetime) -> None:
    proposal = await first(desk, now)
    number = await decide.keep_card_fresh(desk, proposal, "ann", now)
    asked = await desk.control.request(number)
    assert (asked.kind, asked.payload) == (RequestKind.WHAT_IF, {"proposal_id": proposal.id})
    wished = {row.identity for row in await desk.market.subscriptions(now) if row.purpose == "proposal"}
    assert wished == {leg["identity"] for leg in proposal.legs_json}


def test_a_preview_is_asked_for_again_after_twenty_seconds(now: datetime) -> None:
    assert decide.what_if_is_due(None, None, now)
    assert not decide.what_if_is_due(None, now - timedelta(seconds=19), now)
    assert decide.what_if_is_due(None, now - timedelta(seconds=20), now)


async def test_agents_are_steered_by_three_words_only(desk: Store, now: datetime) -> None:
    assert (await decide.steer_agent(desk, "trade_proposer", "pause", "ann", now)).done
    assert not (await decide.steer_agent(desk, "trade_proposer", "dance", "ann", now)).done
    assert (await desk.control.switches())["agent:trade_proposer"].value == "pause"
    await decide.run_now(desk, "trade_proposer", "ann", now)
    assert len(await desk.control.claim_requests("trade_proposer", "x", now)) == 1


async def test_switches_are_audited_with_who_and_why(desk: Store, now: datetime) -> None:
    await decide.halt(desk, "ann", "", now)
    entry = (await desk.control.audit_tail(1))[0]
    assert (entry.who, entry.what, entry.subject) == ("ann", "switch", SwitchName.HALT)


def test_the_rules_come_from_the_desks_own_file() -> None:
    assert rulebook.RULES_FILE.name == "risk_regimes.toml"
    assert rulebook.book_of_file().gates.what_if_age == 30.0
    assert datetime(2026, 8, 21, tzinfo=UTC) < DESK_NOON
