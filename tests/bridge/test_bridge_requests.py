"""What may be asked of the bridge: each answered with a result or with why not, in words."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.base import Answer, Notice
from adapters.simulator.types import FillStyle, OrderStatus
from models.control import RequestKind, RequestStatus, SwitchName
from models.quant.structure import Action
from tests.bridge.conftest import Scene, eventually


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/desk.db"


async def test_a_what_if_of_a_proposal_is_answered_and_kept(scene: Scene) -> None:
    await scene.open()
    proposal = await scene.propose(scene.spread())
    answer = await scene.ask(RequestKind.WHAT_IF, {"proposal_id": proposal.id})
    assert answer.status == RequestStatus.DONE, answer.result
    kept = await scene.store.orders.what_if_for(proposal.id or 0)
    assert kept is not None
    assert float(kept.init_margin_change) == answer.result["init_margin_change"]
    assert kept.commission is not None


async def test_a_what_if_of_bare_legs_is_answered_too(scene: Scene) -> None:
    await scene.open()
    legs = [leg.to_json() for leg in scene.spread()]
    answer = await scene.ask(RequestKind.WHAT_IF, {"account_id": scene.account, "legs": legs, "quantity": 1})
    assert answer.status == RequestStatus.DONE, answer.result
    missing = await scene.ask(RequestKind.WHAT_IF, {"proposal_id": 9999})
    assert missing.result["failure"] == "there is no proposal 9999"


async def _working(scene: Scene, quantity: int = 1) -> str:
    scene.venue.exchange.set_fill_style(FillStyle.NEVER)
    proposal = await scene.propose(scene.spread(), quantity=quantity)
    await scene.approve(proposal)
    return (await scene.order_of(proposal, "working")).order_ref


async def test_a_working_order_is_replaced_in_place_within_its_terms_and_cancelled(scene: Scene) -> None:
    await scene.open()
    ref = await _working(scene)
    order = await scene.store.orders.get(ref)
    assert order is not None
    lower = round(order.limit_price - 1.0, 2)
    answer = await scene.ask(RequestKind.REPLACE, {"order_ref": ref, "limit_price": lower})
    assert answer.status == RequestStatus.DONE, answer.result
    changed = await scene.store.orders.get(ref)
    assert changed is not None
    assert (changed.revision, changed.limit_price) == (1, answer.result["limit_price"])
    assert [o.ticket.limit for o in scene.at_venue(ref)] == [changed.limit_price]

    beyond = await scene.ask(RequestKind.REPLACE, {"order_ref": ref, "limit_price": order.worst_price + 5})
    assert "worst price" in beyond.result["failure"]

    await scene.store.control.set_switch(SwitchName.HALT, "on", "trader", "stop", datetime.now(UTC))
    halted = await scene.ask(RequestKind.REPLACE, {"order_ref": ref, "limit_price": lower})
    assert "HALT" in halted.result["failure"]
    cancelled = await scene.ask(RequestKind.CANCEL, {"order_ref": ref})  # a cancel passes under HALT
    assert cancelled.status == RequestStatus.DONE, cancelled.result

    async def ended() -> bool:
        found = await scene.store.orders.get(ref)
        return found is not None and found.status == "cancelled"

    await eventually(ended, "the end of the order")
    assert [o.status for o in scene.at_venue(ref)] == [OrderStatus.CANCELLED]
    again = await scene.ask(RequestKind.CANCEL, {"order_ref": ref})
    assert "nothing to change" in again.result["failure"]


async def test_flatten_shows_a_plan_first_and_makes_proposals_only_with_its_token(scene: Scene) -> None:
    await scene.open()
    nothing = await scene.ask(RequestKind.FLATTEN, {})
    assert nothing.result["failure"] == "flatten needs a reason"
    plan = await scene.ask(RequestKind.FLATTEN, {"reason": "leaving the desk"})
    assert [line["action"] for line in plan.result["plan"]].count("SELL") == 2
    wrong = await scene.ask(RequestKind.FLATTEN, {"reason": "another", "token": plan.result["token"]})
    assert "look again" in wrong.result["failure"]
    done = await scene.ask(RequestKind.FLATTEN, {"reason": "leaving the desk", "token": plan.result["token"]})
    rows = [await scene.store.proposals.get(number) for number in done.result["proposals"]]
    assert {row.origin for row in rows if row} == {"hand"}
    assert sorted(row.quantity for row in rows if row) == [10, 12, 600]
    assert scene.venue.exchange.orders() == []
    for row in rows:
        assert row is not None
        leg = row.legs_json[0]
        assert leg["action"] == (Action.SELL if row.quantity != 10 else Action.BUY)


async def test_the_doctor_looks_at_everything(scene: Scene) -> None:
    await scene.open()
    answer = await scene.ask(RequestKind.DOCTOR, {})
    checks = answer.result["checks"]
    assert answer.result["ok"], checks
    assert {"session", "accounts", "clock", "lease", "halt", "locks", "unknown orders", "audit"} <= set(checks)
    assert scene.account not in str(checks)


async def test_a_test_notification_without_channels_says_so(scene: Scene) -> None:
    await scene.open()
    answer = await scene.ask(RequestKind.TEST_NOTIFICATION, {})
    assert answer.status == RequestStatus.FAILED
    assert "no notification urls: set NOTIFY_URLS" in answer.result["failure"]


class Pager:
    """A channel of five lines: it takes every notice, or none."""

    def __init__(self, failure: str | None = None) -> None:
        self.failure, self.took = failure, list[Notice]()

    async def send_alert(self, notice: Notice) -> Answer[str]:
        self.took.append(notice)
        return Answer.of("1 channels took it") if self.failure is None else Answer.fail(self.failure)


async def test_a_test_notification_reaches_the_channels_and_a_channels_refusal_comes_back_in_words(
    scene: Scene,
) -> None:
    pager = scene.notifier = Pager()
    await scene.open()
    answer = await scene.ask(RequestKind.TEST_NOTIFICATION, {})
    assert answer.status == RequestStatus.DONE and answer.result["said"] == "1 channels took it"
    assert [(notice.severity, notice.body) for notice in pager.took] == [("info", "asked by trader")]
    pager.failure = "NOTIFY_URLS entry 1 (tgram) did not take it"
    answer = await scene.ask(RequestKind.TEST_NOTIFICATION, {})
    assert answer.status == RequestStatus.FAILED and answer.result["failure"] == pager.failure


async def test_a_request_that_is_no_request_is_answered_in_words(scene: Scene) -> None:
    await scene.open()
    assert "does not answer" in (await scene.ask("dance", {})).result["failure"]
    assert "order_ref" in (await scene.ask(RequestKind.CANCEL, {})).result["failure"]
