"""The sentence a followed proposal ends with, and what many of them together may claim."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from models.quant.advice_tally import Line, tallies, tally, wilson
from models.quant.advice_words import FILL, TRADES, Story, days, gain, verdict

REJECTED = Story(
    "Rejected", entry_cost=212.0, profit=340.0, days=5.0, over=True, breach_days=2.0, decay=0.0
)  # fmt: skip


WOULD = "It would have cost $212 to enter and"
STANDS = "the breach it answered still stands, and it"


@pytest.mark.parametrize(
    ("story", "sentence"),
    [
        (
            REJECTED,
            f"Rejected. {WOULD} stood at +$340 after 5 days; the breach it answered closed by itself after 2 days.",
        ),
        (
            replace(REJECTED, over=False, breach_days=None, kept=0.8, decay=96.0),
            f"Rejected. {WOULD} stands at +$340 after 5 days ($96 of decay paid); {STANDS} would keep 80 % of the cure "
            "it promised.",
        ),
        (
            replace(REJECTED, outcome="Approved", filled=True, settled=True, profit=-1240.0, decay=-30.0,
                    breach_days=0.1, breach_ended=FILL),
            "Approved and filled. It cost $212 to enter and ended at −$1,240 after 5 days ($30 of decay earned); the "
            "breach it answered closed with its fill after 2 hours.",
        ),
        (
            replace(REJECTED, outcome="Approved", unfilled_reason="drift", breach_ended=TRADES, breach_days=1.0),
            f"Approved, not filled (drift). {WOULD} stood at +$340 after 5 days; the breach it answered closed with "
            "another trade after 1 day.",
        ),
        (
            replace(REJECTED, outcome="Superseded", times=12, answers=False, entry_cost=-40.0),
            "Superseded; proposed 12 times. It would have been entered $40 better than the mid and stood at +$340 "
            "after 5 days.",
        ),
        (
            replace(REJECTED, outcome="Pending", profit=None, over=False, missing="no price of ES", breach_known=False),
            "Not decided yet. It would have cost $212 to enter; what it is worth is unknown (no price of ES); when the "
            "breach it answered ended is unknown.",
        ),
        (
            replace(REJECTED, outcome="Expired", entry_cost=None, breach_days=None, kept=-0.2),
            "Expired. What entering it costs is unknown; it stood at +$340 after 5 days; "
            f"{STANDS} would now deepen it.",
        ),
    ],
)  # fmt: skip
def test_the_verdict_says_the_fate_the_money_and_the_breach(story: Story, sentence: str) -> None:
    assert verdict(story) == sentence


def test_days_and_gains_read_as_a_person_says_them() -> None:
    assert [days(d) for d in (5.2, 1.0, 0.96, 0.5, 1 / 24, 0.01, 0.0)] == [
        "5 days", "1 day", "1 day", "12 hours", "1 hour", "15 minutes", "1 minute",
    ]  # fmt: skip
    assert [gain(v) for v in (340.0, -120.0, 0.0, 0.001)] == ["+$340", "−$120", "$0", "+$0.00"]


# ── the record ───────────────────────────────────────────────────────────────────────────────────────────────────
MONDAY = date(2026, 8, 3)


def line(day: int = 0, profit: float | None = 100.0, **more: object) -> Line:
    facts: dict[str, object] = {
        "origin": "hedge", "strategy": "Long put", "outcome": "Rejected", "closes": 3, "cost": 50.0, "kept": None,
    }  # fmt: skip
    return Line(day=MONDAY + timedelta(days=day), profit=profit, **{**facts, **more})  # type: ignore[arg-type]


def test_what_is_young_or_unknown_is_counted_apart_and_never_as_a_miss() -> None:
    found = tally("all", [line(), line(profit=-60.0), line(closes=0), line(profit=None)])
    assert (found.n, found.hits, found.young, found.unknown, found.days) == (2, 1, 1, 1, 1)
    assert (found.hit_rate, found.profit) == (0.5, 40.0)
    empty = tally("none", [])
    assert (empty.n, empty.hit_rate, empty.per_cost, empty.kept) == (0, None, None, None)
    assert empty.words == "nothing to judge yet"


def test_profit_per_cost_is_sum_over_sum_of_those_that_know_both() -> None:
    found = tally("all", [line(), line(profit=-20.0, cost=30.0), line(profit=999.0, cost=None), line(cost=0.0)])
    assert found.per_cost == pytest.approx(80 / 80) and found.n_cost == 2 and found.n == 4


def test_cure_kept_is_the_mean_of_those_that_know_it() -> None:
    found = tally("all", [line(kept=0.5), line(kept=1.0), line()])
    assert (found.kept, found.n_kept) == (0.75, 2)


def test_a_hundred_lines_of_one_day_claim_nothing_and_enough_days_do() -> None:
    crowd = tally("one day", [line(0) for _ in range(100)])
    assert not crowd.claimed and crowd.words == "too few to say: 100 of 100 made money, on 1 day"
    steady = tally("days", [line(day) for day in range(8)])
    assert steady.claimed and steady.words.startswith("more often than not: 8 of 8 made money, 95 % between 68 and 100")
    even = tally("days", [line(day, 100.0 if day % 2 else -100.0) for day in range(14)])
    assert even.claimed and even.words.startswith("about as often as not: 7 of 14")
    bad = tally("days", [line(day, -1.0) for day in range(9)])
    assert bad.words.startswith("less often than not: 0 of 9")


def test_a_day_counts_once_whatever_it_held() -> None:
    lopsided = [line(0) for _ in range(98)] + [line(1, -5.0), line(2, -5.0)]
    assert tally("all", lopsided).hit_rate == pytest.approx(1 / 3)


def test_tallies_split_by_what_is_asked_the_largest_first() -> None:
    rows = [line(), line(outcome="Approved"), line(outcome="Approved"), line(outcome="Expired", closes=0)]
    assert [(t.name, t.n) for t in tallies(rows, lambda each: each.outcome)] == [
        ("Approved", 2), ("Rejected", 1), ("Expired", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(("hits", "n"), [(10, 20), (15, 20), (0, 10), (12, 12), (1, 1)])
def test_the_interval_is_scipys(hits: int, n: int) -> None:
    theirs = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits / n, n) == (pytest.approx(theirs.low, abs=1e-6), pytest.approx(theirs.high, abs=1e-6))


@given(share=st.floats(0, 1), n=st.integers(1, 500))
def test_the_interval_holds_the_share_and_narrows_with_more_days(share: float, n: int) -> None:
    low, high = wilson(share, n)
    assert 0 <= low <= share + 1e-12 and share - 1e-12 <= high <= 1
    wider = wilson(share, 4 * n)
    assert wider[1] - wider[0] < high - low
