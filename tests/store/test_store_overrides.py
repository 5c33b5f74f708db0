"""Overrides in the memory: in force until their end, ended once by a person with a reason, both in the audit."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from database.store import Store
from models.appetite import Override
from models.quant.overrides import OverrideError, read_overrides
from models.quant.regime_rules import Family

MINUTE = timedelta(minutes=1)


def override(now: datetime, **changes: Any) -> Override:
    values = {"subject": "SPX", "rule": "close_only", "value": "", "by": "pat", "reason": "before the Fed", "at": now}
    return Override(**{**values, **changes})


async def test_an_override_is_in_force_at_once_and_until_its_end(store: Store, now: datetime) -> None:
    appetite = store.appetite
    await appetite.set_override(override(now))
    await appetite.set_override(override(now, subject="SPY", until=now + MINUTE))
    assert [row.subject for row in await appetite.overrides(now)] == ["SPX", "SPY"]
    assert [row.subject for row in await appetite.overrides(now + MINUTE)] == ["SPX"], "at its end it is over"


async def test_ending_one_takes_a_reason_once_and_leaves_the_others(store: Store, now: datetime) -> None:
    appetite = store.appetite
    first = await appetite.set_override(override(now))
    await appetite.set_override(override(now, rule="multiplier", value="0.5"))
    ends = await asyncio.gather(*(appetite.end_override(first, who, "it is over", now) for who in ("ann", "bob")))
    assert sorted(ends) == [False, True]
    assert [row.rule for row in await appetite.overrides(now)] == ["multiplier"]
    assert not await appetite.end_override(4711, "ann", "never was", now)
    ended, _, set_first = await store.control.audit_tail(10)
    assert (ended.what, ended.subject, ended.detail) == (
        "override ended", f"override {first}", {"reason": "it is over"},
    )  # fmt: skip
    assert (set_first.who, set_first.what) == ("pat", "override")
    assert set_first.detail["rule"] == "close_only" and set_first.detail["reason"] == "before the Fed"
    assert await store.control.verify_audit() is None


@pytest.mark.parametrize(
    "changes", [{"subject": "spx"}, {"rule": "half"}, {"rule": "multiplier", "value": "1.5"}, {"reason": ""}]
)
async def test_what_is_no_override_is_never_written(store: Store, now: datetime, changes: dict[str, str]) -> None:
    with pytest.raises(OverrideError):
        await store.appetite.set_override(override(now, **changes))
    assert await store.appetite.overrides(now) == []


async def test_a_row_spoiled_behind_the_desks_back_is_read_as_a_stop_to_new_risk(store: Store, now: datetime) -> None:
    async with store.writing() as session:
        session.add(override(now, rule="multiplier", value="half"))
    read = read_overrides(await store.appetite.overrides(now))
    assert read.cut(2, Family.CALENDAR, "SPX", False, False)[0] == 0
    assert read.cut(2, Family.CLOSE, "SPX", True, True) == (2, None)
