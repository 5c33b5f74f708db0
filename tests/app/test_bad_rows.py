"""What stands in the memory or a file and cannot be believed: shown with its reason, never sent."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from app import rulebook
from database.store import Store
from models.proposed_trade import Approval, ProposalStatus, ProposedTrade
from models.quant.option import Contract, SecType
from models.quant.structure import Action, Leg, legs_hash
from tests.app.seed import ACCOUNT, proposals, seed
from tests.app.test_pages import Memory, memory, opened, words

__all__ = ["memory"]  # the fixture, used by name

NOT_LEGS: tuple[Any, ...] = ("gibberish", [{"foo": 1}], {"legs": [1, 2]}, [], [None], 7)


def spoil(memory: Memory, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Every waiting proposal's legs become what `change` makes of them, behind the desk's back."""

    async def work(store: Store, now: datetime) -> None:
        await seed(store, now)
        for row in await store.proposals.pending(ACCOUNT, now):
            async with store.writing() as session:
                await session.execute(
                    update(ProposedTrade).where(ProposedTrade.id == row.id).values(legs_json=change(row.legs_json))  # type: ignore[arg-type]
                )

    memory.do(work)


@pytest.mark.parametrize("legs", NOT_LEGS, ids=repr)
def test_legs_that_are_not_legs_are_said_on_the_card_and_cannot_be_approved(memory: Memory, legs: Any) -> None:
    spoil(memory, lambda _: legs)
    app = opened("proposals")
    said = words(app)
    assert "Its legs cannot be read" in said and "could not be drawn" not in said
    assert app.button(key="approve").disabled


def test_legs_changed_since_the_proposal_are_not_the_proposal(memory: Memory) -> None:
    spoil(memory, lambda legs: [{**leg, "action": "SELL" if leg["action"] == "BUY" else "BUY"} for leg in legs])
    app = opened("proposals")
    assert "not the legs that were proposed" in words(app)
    assert app.button(key="approve").disabled


def test_nothing_of_a_spoiled_row_is_lost_or_signed(memory: Memory) -> None:
    spoil(memory, lambda _: "gibberish")
    opened("proposals")
    opened()

    async def look(store: Store, now: datetime) -> tuple[set[str], Approval | None]:
        rows = await store.proposals.pending(ACCOUNT, now)
        assert rows and rows[0].id is not None
        return {row.status for row in rows}, await store.proposals.approval_of(rows[0].id)

    assert memory.do(look) == ({ProposalStatus.PENDING}, None)


def test_a_hedge_without_strikes_is_a_card_like_any_other(memory: Memory) -> None:
    leg = Leg(Contract("MES", SecType.FUTURE, "MES", 5.0, datetime(2027, 3, 19).date()), Action.SELL, 1, mid=7500.0)  # noqa: DTZ001

    async def work(store: Store, now: datetime) -> None:
        await seed(store, now)
        row = proposals(now)[0]
        row.legs_json, row.legs_hash, row.strategy_name = [leg.to_json()], legs_hash([leg]), "Hedge future"
        for waiting in await store.proposals.pending(ACCOUNT, now):
            assert waiting.id is not None
            await store.proposals.reject(waiting.id, "ann", "timing", now)
        await store.proposals.add(row)

    memory.do(work)
    said = words(opened("proposals"))
    assert "Hedge future" in said and "could not be drawn" not in said


@pytest.mark.parametrize(
    ("spoilt", "named"),
    [
        (lambda text: text.replace("delta_cap", "delta_kap", 1), "delta_kap: unknown key"),
        (lambda text: text.replace("vega_floor = -", "vega_floor = ", 1), "vega_floor: 0.006 has the wrong sign"),
        (lambda text: text + "\n[[[", "is not TOML"),
    ],
)
@pytest.mark.parametrize("page", ["desk", "proposals"])
def test_limits_that_cannot_be_read_are_said_on_every_page(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, spoilt: Callable[[str], str], named: str
) -> None:
    memory.do(seed)
    path = tmp_path / "risk_regimes.toml"
    path.write_text(spoilt(rulebook.RULES_FILE.read_text()))
    monkeypatch.setattr(rulebook, "RULES_FILE", path)
    rulebook.book_of_file.cache_clear()
    try:
        said = words(opened(page))
    finally:
        rulebook.book_of_file.cache_clear()
    assert "The limits cannot be read" in said and named in said and "could not be drawn" not in said
