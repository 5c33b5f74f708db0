"""The Limits page over a seeded store: limits per regime, overrides set and ended with a reason, what they lock in."""

from datetime import datetime
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import decide
from app.overriding import Overriding, dead_ends, rule_words
from database.store import Store
from models.appetite import Override
from models.quant.overrides import read_overrides
from tests.app.seed import EXPOSURE, seed
from tests.app.test_pages import Memory, button, memory, opened, words

__all__ = ["memory"]  # the fixture, used by name


def in_force(memory: Memory) -> list[Override]:
    return memory.do(lambda store, now: store.appetite.overrides(now))  # type: ignore[return-value]


def choose(app: AppTest, **fields: Any) -> AppTest:
    for name, value in fields.items():
        app.selectbox(key=f"over-{name}").set_value(value).run()
    return app


def test_the_limits_stand_in_a_table_per_regime_with_the_one_in_force_marked(memory: Memory) -> None:
    memory.do(seed)
    said = words(opened("settings"))
    for part in ("● Neutral", "Vega floor, per vol point", "−0.8 %", "−$8,000", "models/risk_regimes.toml"):
        assert part in said, part
    assert "cannot keep" not in said, "the default profile keeps what it promises"


def test_a_profile_that_contradicts_itself_is_shown_with_its_warnings(memory: Memory) -> None:
    memory.do(seed)
    app = opened("settings")
    app.get("button_group")[0].set_value("classic").run()
    said = words(app)
    assert "What this profile promises and cannot keep" in said and "theta target" in said
    assert "the desk runs on desk" in said


def test_an_override_is_set_in_one_click_and_stands_with_who_and_why(memory: Memory) -> None:
    memory.do(seed)
    app = choose(opened("settings"), underlying="SPY", rule="close_only")
    app.text_input(key="over-reason").set_value("dividend week").run()
    button(app, "set-override").click().run()
    said = words(app)
    assert "In force: SPY: only what closes a holding may trade (trader: dividend week)." in said
    assert "closings only" in said and "until it is ended" in said
    (row,) = in_force(memory)
    assert (row.subject, row.rule, row.value, row.reason, row.until) == ("SPY", "close_only", "", "dividend week", None)
    assert app.text_input(key="over-reason").value == ""


def test_a_multiplier_has_its_share_a_strategy_and_an_end(memory: Memory) -> None:
    memory.do(seed)
    app = choose(opened("settings"), strategy="short_strangle", rule="multiplier", lasts="a day")
    app.number_input(key="over-value").set_value(0.25).run()
    app.text_input(key="over-reason").set_value("thin market").run()
    button(app, "set-override").click().run()
    (row,) = in_force(memory)
    assert (row.subject, row.rule, row.value) == ("SPX family / short_strangle", "multiplier", "0.25")
    assert row.until is not None and (row.until - row.at).days == 1
    assert "sizes × 0.25" in words(app)


def test_without_a_reason_nothing_is_set_or_ended(memory: Memory) -> None:
    async def one(store: Store, now: datetime) -> None:
        await seed(store, now)
        await decide.set_override(store, "SPX", "none", "", None, "earnings", "ann", now)

    memory.do(one)
    app = opened("settings")
    button(app, "set-override").click().run()
    assert "Not set: reason is empty" in words(app)
    button(app, "end-1").click().run()
    assert "Not ended: say why it may loosen" in words(app)
    app.text_input(key="why-1").set_value("they are out").run()
    button(app, "end-1").click().run()
    said = words(app)
    assert "Override 1 has ended." in said and "No override is in force." in said
    assert in_force(memory) == []


async def test_an_override_that_ended_meanwhile_says_so(store: Store, now: datetime) -> None:
    await decide.set_override(store, "SPX", "none", "", None, "earnings", "ann", now)
    assert (await decide.end_override(store, 1, "ann", "over", now)).done
    late = await decide.end_override(store, 1, "bob", "over", now)
    assert not late.done and "not in force any more" in late.sentence


@pytest.mark.parametrize(
    ("subject", "rule", "value", "words"),
    [("spx", "none", "", "underlying"), ("SPX", "multiplier", "2", "only tightens"), ("SPX", "some", "", "rule")],
)
async def test_what_is_no_override_is_answered_by_field(
    store: Store, now: datetime, subject: str, rule: str, value: str, words: str
) -> None:
    outcome = await decide.set_override(store, subject, rule, value, None, "why not", "ann", now)
    assert not outcome.done and words in outcome.sentence


def test_a_row_that_cannot_be_read_is_drawn_as_trouble_and_can_be_ended(memory: Memory) -> None:
    async def spoilt(store: Store, now: datetime) -> None:
        await seed(store, now)
        async with store.writing() as session:
            session.add(Override(subject="SPX", rule="half", value="", by="x", reason="y", at=now))

    memory.do(spoilt)
    app = opened("settings")
    said = words(app)
    assert "An override cannot be read" in said and "override 1: rule 'half'" in said
    app.text_input(key="why-1").set_value("it says nothing").run()
    button(app, "end-1").click().run()
    assert "cannot be read" not in words(app)


def standing(*subjects: str, rule: str = "none") -> Overriding:
    rows = [Override(subject=s, rule=rule, value="", by="a", reason="b") for s in subjects]
    return Overriding(tuple(rows), read_overrides(rows), ("AAPL", "SPX"))


def test_a_breach_under_an_override_that_stops_even_closings_is_warned_of() -> None:
    (words,) = dead_ends(standing("AAPL"), EXPOSURE)
    assert "Delta is 118 % of its limit." in words and "Nothing of AAPL may trade" in words and "elsewhere" in words
    (words,) = dead_ends(standing("any"), EXPOSURE)
    assert "Nothing of AAPL and SPX may trade" in words and "nothing can cure it" in words
    assert dead_ends(standing("AAPL", rule="close_only"), EXPOSURE) == []
    assert dead_ends(standing("NVDA"), EXPOSURE) == [] and dead_ends(standing("AAPL"), {}) == []


def test_rules_are_spelled_short_and_an_unknown_one_as_it_is() -> None:
    assert [rule_words(rule) for rule in ("none", "close_only", "reduce_only")] == [
        "nothing at all", "closings only", "reductions only",
    ]  # fmt: skip
    assert (rule_words("multiplier", "0.5"), rule_words("multiplier"), rule_words("half")) == (
        "sizes × 0.5", "smaller sizes", "half",
    )  # fmt: skip
