"""Overrides: what each rule leaves of a ticket, how several add up, and that none of them ever loosens."""

from dataclasses import dataclass
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.quant.overrides import (
    NO_OVERRIDES,
    OverrideError,
    Overrides,
    Rule,
    Subject,
    read_overrides,
    standing_of,
    subject_of,
)
from models.quant.regime_rules import Family


@dataclass
class Row:
    """As the memory keeps it."""

    subject: str
    rule: str = "none"
    value: str = ""
    by: str = "pat"
    reason: str = "earnings"
    id: int | None = 1


def overrides(*rows: Row) -> Overrides:
    return read_overrides(rows)


# ── the spelling ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("text", "subject"),
    [("SPX", Subject("SPX")), ("spx FAMILY", Subject("SPX family")), ("any", Subject("any")),
     ("SPX / short_strangle", Subject("SPX", Family.SHORT_STRANGLE)), ("SPY/any", Subject("SPY")),
     ("any / calendar", Subject("any", Family.CALENDAR)), (" BRK.B ", Subject("BRK.B"))],
)  # fmt: skip
def test_a_subject_is_read_from_its_spelling_and_spelled_as_it_is_read(text: str, subject: Subject) -> None:
    assert subject_of(text) == subject
    assert subject_of(str(subject)) == subject


@pytest.mark.parametrize(
    ("row", "words"),
    [(Row("spx"), "underlying 'spx'"), (Row(""), "underlying ''"), (Row("SPX / strangle"), "strategy 'strangle'"),
     (Row("SPX / calendar / SPY"), "strategy"), (Row("SPX / optimal"), "strategy 'optimal'"),
     (Row("SPX", "half"), "rule 'half'"), (Row("SPX", reason=" "), "reason"),
     (Row("SPX", "multiplier", ""), "value ''"), (Row("SPX", "multiplier", "half"), "not a number"),
     (Row("SPX", "multiplier", "1"), "only tightens"), (Row("SPX", "multiplier", "-0.1"), "only tightens"),
     (Row("SPX", "multiplier", "nan"), "not a number"), (Row("SPX", "multiplier", "1/0"), "not a number"),
     (Row("SPX", "none", "0.5"), "means nothing to none")],
)  # fmt: skip
def test_what_is_no_override_is_refused_by_field(row: Row, words: str) -> None:
    with pytest.raises(OverrideError, match=words.replace("'", ".")):
        standing_of(row)


# ── one override ─────────────────────────────────────────────────────────────────────────────────────────────────
TABLE = [  # rule, value, closes, reduces, asked, allowed
    ("none", "", False, False, 5, 0), ("none", "", False, True, 5, 0), ("none", "", True, True, 5, 0),
    ("close_only", "", False, False, 5, 0), ("close_only", "", False, True, 5, 0), ("close_only", "", True, True, 5, 5),
    ("close_only", "", True, False, 5, 5),
    ("reduce_only", "", False, False, 5, 0), ("reduce_only", "", False, True, 5, 5),
    ("reduce_only", "", True, True, 5, 5), ("reduce_only", "", True, False, 5, 0),
    ("multiplier", "0.5", False, False, 5, 2), ("multiplier", "0.5", False, True, 5, 2),
    ("multiplier", "0.5", True, True, 5, 5), ("multiplier", "0.5", False, False, 1, 0),
    ("multiplier", "0", False, False, 500, 0), ("multiplier", "0", True, True, 500, 500),
    ("multiplier", "0.29", False, False, 100, 29),  # in floats 0.29 × 100 is a hair below 29
    ("multiplier", "0.7", False, False, 10, 7), ("multiplier", "0.999", False, False, 1, 0),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "value", "closes", "reduces", "asked", "allowed"), TABLE)
def test_each_rule_leaves_what_its_words_say(
    rule: str, value: str, closes: bool, reduces: bool, asked: int, allowed: int
) -> None:
    got, reason = overrides(Row("SPX", rule, value)).cut(asked, Family.LONG_OPTION, "SPX", closes, reduces)
    assert got == allowed
    assert (reason is None) == (got == asked)
    assert reason is None or ("SPX" in reason and "pat: earnings" in reason)


def test_a_size_that_rounds_to_nothing_names_the_least_that_would_not() -> None:
    one = overrides(Row("SPX", "multiplier", "0.3"))
    got, reason = one.cut(3, Family.CALENDAR, "SPX", False, False)
    assert (got, "3 rounds down to nothing; 4 is the least" in (reason or "")) == (0, True)
    assert one.cut(4, Family.CALENDAR, "SPX", False, False)[0] == 1


WHOM = [  # subject, family, symbol, covered
    ("SPX", Family.CALENDAR, "SPX", True), ("SPX", Family.CALENDAR, "SPY", False), ("SPX", Family.CLOSE, "SPX", True),
    ("SPX family", Family.FUTURE, "MES", True), ("SPX family", Family.SHARES, "SPY", True),
    ("SPX family", Family.CALENDAR, "AAPL", False), ("any", Family.CALENDAR, "AAPL", True),
    ("any / calendar", Family.CALENDAR, "AAPL", True), ("any / calendar", Family.DIAGONAL, "AAPL", False),
    ("SPX / short_strangle", Family.SHORT_STRANGLE, "SPX", True),
    ("SPX / short_strangle", Family.CLOSE, "SPX", False),  # closing one is a closing
    ("SPX / short_strangle", Family.CUSTOM, "SPX", True),  # another wing is no way around it
    ("SPX / short_strangle", Family.COMBINATION, "SPX", True),
    ("SPX / short_strangle", Family.CUSTOM, "SPY", False), ("SPX / close", Family.CLOSE, "SPX", True),
]  # fmt: skip


@pytest.mark.parametrize(("subject", "family", "symbol", "covered"), WHOM)
def test_an_override_is_about_its_underlying_and_strategy_and_nobody_else(
    subject: str, family: Family, symbol: str, covered: bool
) -> None:
    got, _ = overrides(Row(subject)).cut(3, family, symbol, True, True)
    assert got == (0 if covered else 3)


# ── several ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_smallest_multiplier_counts_once_and_every_rule_must_be_obeyed() -> None:
    rows = (Row("SPX", "multiplier", "0.5"), Row("any / calendar", "multiplier", "0.4"), Row("SPX", "reduce_only"))
    both = overrides(*rows)
    assert both.cut(10, Family.CALENDAR, "SPX", False, True)[0] == 4, "not 10 × 0.5 × 0.4"
    assert both.cut(10, Family.DIAGONAL, "SPX", False, True)[0] == 5
    got, reason = both.cut(10, Family.CALENDAR, "SPX", False, False)
    assert got == 0 and "only what reduces risk" in (reason or "")
    assert overrides(*rows, *rows) != both
    assert overrides(*rows, *rows).cut(10, Family.CALENDAR, "SPX", False, True)[0] == 4, "said twice is said once"


ROWS = st.builds(
    Row,
    subject=st.sampled_from(["SPX", "SPX family", "any", "SPY", "any / calendar", "SPX / close", "SPX / roll"]),
    rule=st.sampled_from([rule.value for rule in Rule if rule is not Rule.MULTIPLIER]),
    id=st.integers(1, 9),
) | st.builds(
    Row,
    subject=st.sampled_from(["SPX", "SPX family", "any / calendar"]),
    rule=st.just("multiplier"),
    value=st.decimals(0, 1, places=3).filter(lambda m: m < 1).map(str),
    id=st.integers(1, 9),
)
TICKETS = st.tuples(
    st.integers(1, 500), st.sampled_from([Family.CALENDAR, Family.CLOSE, Family.ROLL, Family.CUSTOM]),
    st.sampled_from(["SPX", "SPY", "AAPL"]), st.booleans(), st.booleans(),
)  # fmt: skip


@given(st.lists(ROWS, max_size=4), ROWS, TICKETS)
def test_one_more_override_never_lets_more_through(
    rows: list[Row], more: Row, ticket: tuple[int, Family, str, bool, bool]
) -> None:
    before, after = overrides(*rows).cut(*ticket)[0], overrides(*rows, more).cut(*ticket)[0]
    assert 0 <= after <= before <= ticket[0]


@given(st.lists(ROWS, max_size=4), TICKETS)
def test_sizes_round_towards_zero_and_a_refusal_says_why(
    rows: list[Row], ticket: tuple[int, Family, str, bool, bool]
) -> None:
    asked, family, symbol, closes, reduces = ticket
    got, reason = overrides(*rows).cut(*ticket)
    assert (reason is None) == (got == asked)
    leave = overrides(*rows).allowed(family, symbol)
    if leave.stops(closes, reduces) is None and not closes:
        assert got <= leave.factor * asked < got + 1
    else:
        assert got in (0, asked)


@given(st.lists(ROWS, min_size=2, max_size=4, unique_by=lambda row: row.id), TICKETS)
def test_the_order_they_were_set_in_changes_neither_size_nor_words(
    rows: list[Row], ticket: tuple[int, Family, str, bool, bool]
) -> None:
    assert len({overrides(*order).cut(*ticket) for order in permutations(rows)}) == 1


@given(TICKETS)
def test_without_overrides_everything_passes_whole(ticket: tuple[int, Family, str, bool, bool]) -> None:
    assert NO_OVERRIDES.cut(*ticket) == (ticket[0], None)


# ── what cannot be read ──────────────────────────────────────────────────────────────────────────────────────────
def test_a_row_that_is_no_override_stops_new_risk_everywhere_and_lets_reducing_trades_go() -> None:
    broken = overrides(Row("SPX", "multiplier", "half", id=7), Row("SPY", "close_only"))
    got, reason = broken.cut(3, Family.CALENDAR, "AAPL", False, False)
    assert got == 0 and reason is not None and "override 7" in reason and "'half'" in reason
    assert broken.cut(3, Family.CALENDAR, "AAPL", False, True) == (3, None)
    assert broken.cut(3, Family.CLOSE, "AAPL", True, False) == (3, None)
    assert broken.cut(3, Family.CALENDAR, "SPY", False, True)[0] == 0, "the readable ones still hold"
