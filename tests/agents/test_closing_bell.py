"""The closing bell: what is due expires all day, and each desk day is tidied once, after its close."""

from datetime import UTC, date, datetime, timedelta

import pytest

from agents import closing_bell
from agents.desk import Desk
from models.clock import DeskClock
from models.proposed_trade import ProposedTrade

OPEN = datetime(2026, 8, 21, 18, 0, tzinfo=UTC)
CLOSED = datetime(2026, 8, 21, 21, 30, tzinfo=UTC)
SATURDAY = datetime(2026, 8, 22, 21, 30, tzinfo=UTC)


@pytest.mark.parametrize(("now", "day"), [(OPEN, None), (CLOSED, date(2026, 8, 21)), (SATURDAY, None)])
def test_a_day_is_over_after_the_curb_session_of_a_weekday(now: datetime, day: date | None) -> None:
    assert closing_bell.closed_day(now) == day


async def test_due_proposals_expire_and_a_closed_day_is_tidied_once(desk: Desk) -> None:
    now = datetime.now(UTC)
    await desk.store.proposals.add(
        ProposedTrade(
            account_id="SIM1", strategy_name="Long put", legs_json=[], legs_hash="x", quantity=1, limit_price=1.0,
            worst_price=1.0, created_at=now - timedelta(hours=1), expires_at=now - timedelta(minutes=1),
        )
    )  # fmt: skip
    await desk.store.control.set_clock(DeskClock(now, CLOSED, 0.0))
    first = await closing_bell.work(desk)
    assert first.rows == 1 and "1 proposals expired" in first.sentence and "tidied" in first.sentence
    second = await closing_bell.work(desk)
    assert second.rows == 0 and "tidied" not in second.sentence
    assert (await desk.store.proposals.recent())[0].status == "Expired"
