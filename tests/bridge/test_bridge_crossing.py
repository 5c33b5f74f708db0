"""From an approval to fills, positions and the journal: over the real wire, on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta

from adapters.simulator.types import FillStyle
from models.control import SwitchName
from models.proposed_trade import ProposalStatus
from models.quant.structure import Action
from tests.bridge.conftest import Scene, eventually


async def test_an_approved_combo_crosses_once_fills_and_is_journalled(scene: Scene) -> None:
    await scene.open()
    before = scene.venue_positions()
    proposal = await scene.propose(scene.spread(), quantity=2)
    await scene.approve(proposal)
    order = await scene.order_of(proposal, "filled")
    assert len(scene.at_venue(order.order_ref)) == 1
    assert len(order.order_ref) == 32
    short, long = (leg["identity"] for leg in proposal.legs_json)

    async def journalled() -> object:
        return await scene.store.orders.journal_of(order.order_ref)

    row = await eventually(journalled, "the journal row")
    ours = await scene.our_positions()
    assert ours == scene.venue_positions()
    assert ours[short] == before[short] + 2
    assert ours[long] == before[long] - 2
    assert row.greeks_before["vega_weighted"] < row.greeks_after["vega_weighted"]
    assert row.commission is not None
    assert row.commission > 0
    assert row.average_price <= order.limit_price
    assert row.slippage == row.average_price - order.mid_at_approval
    told = [event.event for event in await scene.store.orders.events(order.order_ref)]
    assert told[:2] == ["intend", "send"]
    assert "fill" in told
    assert await scene.store.control.verify_audit() is None


async def test_a_single_leg_crosses_and_its_order_at_the_venue_is_a_plain_day_limit(scene: Scene) -> None:
    await scene.open()
    proposal = await scene.propose(scene.single(), quantity=1)
    await scene.approve(proposal)
    order = await scene.order_of(proposal, "filled")
    (placed,) = scene.at_venue(order.order_ref)
    assert (placed.ticket.legs, placed.ticket.tif, placed.ticket.order_type) == ((), "DAY", "LMT")
    assert placed.ticket.account == scene.account
    assert placed.ticket.limit <= proposal.worst_price


async def test_a_single_leg_to_sell_leaves_as_a_sell_at_the_price_received(scene: Scene) -> None:
    await scene.open()
    leg = scene.leg(scene.held()[2], Action.SELL)  # shares: less delta
    proposal = await scene.propose((leg,), quantity=100)
    assert proposal.limit_price < 0  # debit positive: the desk receives
    await scene.approve(proposal)
    order = await scene.order_of(proposal, "filled", "refused")
    assert order.status == "filled", order.reason
    (placed,) = scene.at_venue(order.order_ref)
    assert placed.ticket.action is Action.SELL
    assert placed.ticket.limit >= -proposal.worst_price
    assert order.average_price < 0


async def test_two_approvals_of_siblings_at_once_make_one_order(scene: Scene) -> None:
    await scene.open()
    rows = [await scene.propose(scene.spread(), quantity=1, breach_set_id="set-1") for _ in range(2)]
    answers = await asyncio.gather(*(scene.approve(row) for row in rows), return_exceptions=True)
    assert sorted(isinstance(answer, Exception) for answer in answers) == [False, True]
    won = rows[[isinstance(answer, Exception) for answer in answers].index(False)]
    order = await scene.order_of(won, "filled")
    assert [o.ticket.order_ref for o in scene.venue.exchange.orders()] == [order.order_ref]


async def test_two_approvals_in_the_same_moment_cross_one_after_the_other(scene: Scene) -> None:
    await scene.open()
    rows = [await scene.propose(scene.spread(), quantity=1) for _ in range(2)]
    await asyncio.gather(*(scene.approve(row) for row in rows))
    for row in rows:
        order = await scene.order_of(row, "filled")
        assert len(scene.at_venue(order.order_ref)) == 1

    async def agree() -> bool:
        return scene.venue_positions() == await scene.our_positions()

    await eventually(agree, "the books to agree")


async def test_halt_blocks_the_send_and_is_acknowledged(scene: Scene) -> None:
    await scene.open()
    await scene.store.control.set_switch(SwitchName.HALT, "on", "trader", "looks wrong", datetime.now(UTC))

    async def heard() -> bool:
        switch = await scene.store.control.switch(SwitchName.HALT)
        return switch is not None and switch.acknowledged_at is not None

    await eventually(heard, "the acknowledgement", 2.0)
    proposal = await scene.propose(scene.spread())
    await scene.approve(proposal)
    order = await scene.order_of(proposal, "refused")
    assert "halt" in order.reason.lower()
    assert scene.venue.exchange.orders() == []


async def test_the_halt_file_blocks_too(scene: Scene) -> None:
    await scene.open()
    (scene.settings.var_dir / "HALT").touch()
    proposal = await scene.propose(scene.spread())
    await scene.approve(proposal)
    order = await scene.order_of(proposal, "refused")
    assert "var/HALT" in order.reason
    assert scene.venue.exchange.orders() == []


async def test_an_approval_past_its_good_until_is_refused_with_the_reason(scene: Scene) -> None:
    proposal = await scene.propose(scene.spread())
    approval = await scene.approve(proposal, good_for=0.001)
    await scene.open()

    async def refused() -> str | None:
        stored = await scene.store.proposals.approval_of(proposal.id or 0)
        return stored.refused_reason if stored else None

    reason = await eventually(refused, "the refusal")
    assert "too late" in reason
    assert await scene.store.orders.of_proposal(approval.proposal_id) is None
    assert scene.venue.exchange.orders() == []


async def test_an_approval_that_was_tampered_with_is_refused_and_alarms(scene: Scene) -> None:
    proposal = await scene.propose(scene.spread())
    approval = await scene.approve(proposal)
    async with scene.store.writing() as session:
        stored = await session.merge(approval)
        stored.quantity = 9
    await scene.open()

    async def alarmed() -> bool:
        return any(a.severity == "red" and a.cause.startswith("approval:") for a in await scene.store.control.alerts())

    await eventually(alarmed, "the red alert")
    assert await scene.store.orders.of_proposal(approval.proposal_id) is None
    assert scene.venue.exchange.orders() == []


async def test_legs_changed_after_the_approval_are_refused(scene: Scene) -> None:
    proposal = await scene.propose(scene.spread())
    approval = await scene.approve(proposal)
    async with scene.store.writing() as session:
        stored = await session.merge(await _again(scene, approval.proposal_id))
        stored.legs_json = [{**leg, "ratio": 2} if i == 0 else leg for i, leg in enumerate(stored.legs_json)]
    await scene.open()

    async def refused() -> str | None:
        known = await scene.store.proposals.approval_of(approval.proposal_id)
        return known.refused_reason if known else None

    assert "legs" in (await eventually(refused, "the refusal"))
    assert scene.venue.exchange.orders() == []


async def _again(scene: Scene, proposal_id: int) -> object:
    return await scene.store.proposals.get(proposal_id)


async def test_a_stale_quote_is_refused(scene: Scene) -> None:
    await scene.open()
    await scene.publish(scene.held(), at=scene.venue.clock.now() - timedelta(seconds=9))
    proposal = await scene.propose(scene.spread())
    await scene.approve(proposal)
    order = await scene.order_of(proposal, "refused")
    assert "quote age" in order.reason
    assert scene.venue.exchange.orders() == []


async def test_a_trade_that_deepens_a_breach_is_refused(scene: Scene) -> None:
    await scene.open()
    leg = scene.leg(scene.held()[0], Action.SELL)
    proposal = await scene.propose((leg,), quantity=40)
    await scene.approve(proposal)
    order = await scene.order_of(proposal, "refused")
    assert "limits after the trade" in order.reason
    assert scene.venue.exchange.orders() == []


async def test_a_refusal_of_the_broker_is_kept_in_its_words(scene: Scene) -> None:
    await scene.open()
    scene.venue.exchange.set_fill_style(FillStyle.REJECT)
    proposal = await scene.propose(scene.spread())
    await scene.approve(proposal)
    order = await scene.order_of(proposal, "rejected")
    assert order.reason.startswith("201:")
    assert "told to reject" in order.reason
    assert (await scene.store.proposals.get(proposal.id or 0)).status == ProposalStatus.APPROVED
