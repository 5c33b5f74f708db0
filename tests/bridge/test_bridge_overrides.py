"""An approval does not cross against an override that was set after it; what the override allows still crosses."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.appetite import Override
from models.quant.structure import Action
from tests.bridge.conftest import Scene


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/desk.db"


async def overridden(scene: Scene, **rule: Any) -> None:
    row = {"subject": "SPX", "value": "", "by": "pat", "reason": "before the Fed", "at": datetime.now(UTC), **rule}
    await scene.store.appetite.set_override(Override(**row))


REFUSED = [
    ("closing", 2, {"rule": "none"}, "override: SPX: nothing trades, not even a closing (pat: before the Fed)"),
    ("opening", 1, {"rule": "close_only"}, "only what closes a holding"),
    ("opening", 2, {"rule": "multiplier", "value": "0.5"}, "SPX: sizes × 0.5 (pat: before the Fed): 1 of 2"),
    ("opening", 1, {"subject": "any / long_option", "rule": "none"}, "any / long_option: nothing trades"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "quantity", "rule", "words"), REFUSED)
async def test_an_approval_given_before_an_override_does_not_cross_against_it(
    scene: Scene, what: str, quantity: int, rule: dict[str, str], words: str
) -> None:
    legs = scene.spread() if what == "closing" else (scene.leg(scene.held()[1], Action.BUY),)
    proposal = await scene.propose(legs, quantity)
    await scene.approve(proposal)
    await overridden(scene, **rule)
    await scene.open()
    order = await scene.order_of(proposal, "refused")
    assert words in order.reason
    assert not scene.at_venue(order.order_ref)


async def test_a_spoiled_override_lets_no_new_risk_cross(scene: Scene) -> None:
    proposal = await scene.propose((scene.leg(scene.held()[0], Action.SELL),), 1)
    await scene.approve(proposal)
    async with scene.store.writing() as session:
        row = {"subject": "everything", "rule": "none", "value": "", "by": "pat", "reason": "?"}
        session.add(Override(**row, at=datetime.now(UTC)))
    await scene.open()
    order = await scene.order_of(proposal, "refused")
    assert "overrides cannot be read (override 1: underlying 'everything'" in order.reason


@pytest.mark.parametrize("rule", [{"rule": "close_only"}, {"rule": "multiplier", "value": "0.1"}])
async def test_a_closing_crosses_under_what_only_stops_or_shrinks_new_risk(scene: Scene, rule: dict[str, str]) -> None:
    proposal = await scene.propose(scene.spread(), 2)
    await scene.approve(proposal)
    await overridden(scene, **rule)
    await scene.open()
    assert await scene.order_of(proposal, "filled", "working", "part_filled")


async def test_a_size_that_was_cut_before_it_was_shown_is_not_cut_again(scene: Scene) -> None:
    await overridden(scene, rule="multiplier", value="0.5")
    proposal = await scene.propose((scene.leg(scene.held()[1], Action.BUY),), 1, scores={"asked": 2})
    await scene.approve(proposal)
    await scene.open()
    assert await scene.order_of(proposal, "filled", "working", "part_filled")
