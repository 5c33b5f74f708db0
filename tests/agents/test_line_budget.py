"""The broker's lines: never more than ninety, everybody in turn, and a sample that shows the smile."""

import itertools
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agents.subscriptions import (
    HELD,
    LINES_PER_EXPIRY,
    MARKET,
    PROPOSAL,
    SAMPLE,
    Budget,
    Listing,
    allot,
    sample_contracts,
    sample_expiries,
)
from models.quant.option import Contract, Right, SecType

NOW = datetime(2026, 8, 21, 15, 0, tzinfo=UTC)


def share(number: int) -> Contract:
    return Contract(f"S{number}", SecType.STOCK, f"S{number}")


wish = st.lists(st.integers(0, 200).map(share), max_size=130)


@given(market=wish, held=wish, proposal=wish, sample=wish, turn=st.integers(0, 1000))
def test_no_wishes_ever_take_more_than_the_total_and_no_line_is_taken_twice(
    market: list[Contract], held: list[Contract], proposal: list[Contract], sample: list[Contract], turn: int
) -> None:
    lines = allot({MARKET: market, HELD: held, PROPOSAL: proposal, SAMPLE: sample}, turn)
    assert len(lines) <= Budget().total
    assert len(set(lines)) == len(lines)
    assert set(lines) <= {*market, *held, *proposal, *sample}


def test_a_small_book_leaves_room_for_everybody() -> None:
    wishes = {
        MARKET: [share(i) for i in range(7)],
        HELD: [share(i) for i in range(10, 30)],
        SAMPLE: [share(i) for i in range(100, 140)],
    }
    lines = allot(wishes, 0)
    assert set(wishes[MARKET] + wishes[HELD]) <= set(lines)
    assert sum(c in lines for c in wishes[SAMPLE]) == 35


def test_proposal_legs_are_served_before_the_sample_gives_way() -> None:
    wishes = {
        PROPOSAL: [share(i) for i in range(40)],
        HELD: [share(i) for i in range(100, 160)],
        SAMPLE: [share(i) for i in range(200, 235)],
    }
    lines = allot(wishes, 0)
    assert set(wishes[PROPOSAL]) <= set(lines)
    assert sum(c in lines for c in wishes[HELD]) == 50
    assert not any(c in lines for c in wishes[SAMPLE])


def test_held_overflow_is_quoted_in_turn() -> None:
    held = [share(i) for i in range(120)]
    seen: set[Contract] = set()
    for turn in range(3):
        seen |= set(allot({HELD: held}, turn))
    assert seen == set(held)


# ── the sample ───────────────────────────────────────────────────────────────────────────────────────────────────
FRIDAYS = tuple(date(2026, 8, 28) + timedelta(days=7 * i) for i in range(16))
SPXW = Listing("SPX", "SPXW", 100, FRIDAYS, tuple(float(k) for k in range(3000, 9005, 5)))
SPX = Listing(
    "SPX", "SPX", 100, (date(2026, 9, 18), date(2026, 10, 16)), tuple(float(k) for k in range(3000, 9025, 25))
)


def test_the_sample_spans_the_window_and_one_expiry_beyond_each_end() -> None:
    points = sample_expiries([SPXW, SPX], NOW)
    days = sorted((expiry - date(2026, 8, 21)).days for _, expiry in points)
    assert days[0] < 30 and days[-1] > 60
    assert {28, 35, 42, 49, 56, 63} <= set(days)


def test_the_first_two_expiries_sampled_are_the_outermost() -> None:
    points = sample_expiries([SPXW, SPX], NOW)
    days = [(expiry - date(2026, 8, 21)).days for _, expiry in points]
    assert {min(days), max(days)} == set(days[:2])


def test_held_expiries_are_sampled_too_wherever_they_lie() -> None:
    far = FRIDAYS[-1]
    assert ("SPXW", far) in sample_expiries([SPXW, SPX], NOW, held=[("SPXW", far)])
    assert ("SPXW", far) not in sample_expiries([SPXW, SPX], NOW)


def test_a_daily_chain_is_thinned_to_the_most_expiries() -> None:
    daily = Listing("SPX", "SPXW", 100, tuple(date(2026, 8, 22) + timedelta(days=i) for i in range(90)), SPXW.strikes)
    points = sample_expiries([daily], NOW, most=12)
    assert len(points) == 12
    days = sorted((expiry - date(2026, 8, 21)).days for _, expiry in points)
    assert days[0] == 29 and days[-1] == 61
    assert max(b - a for a, b in itertools.pairwise(days)) <= 4


def test_an_expiry_already_settled_is_not_sampled() -> None:
    after = datetime(2026, 9, 18, 20, 30, tzinfo=UTC)
    assert all(expiry > date(2026, 9, 18) for _, expiry in sample_expiries([SPXW, SPX], after))


def test_a_source_without_a_limit_has_no_budget_and_one_with_few_lines_leaves_some_for_snapshots() -> None:
    crowd = [share(number) for number in range(2000)]
    assert len(allot({SAMPLE: crowd}, 0, Budget.within(None))) == len(crowd)
    assert Budget.within(100) == Budget()
    assert len(allot({SAMPLE: crowd}, 0, Budget.within(30))) == 20
    assert allot({SAMPLE: crowd}, 0, Budget.within(5)) == ()


def test_one_expiry_shows_pairs_at_the_money_and_both_wings_within_its_lines() -> None:
    contracts = sample_contracts(SPXW, date(2026, 10, 2), 6412.0, 0.17, NOW)
    assert len(contracts) == LINES_PER_EXPIRY <= 17
    calls = {c.strike for c in contracts if c.right is Right.CALL}
    puts = {c.strike for c in contracts if c.right is Right.PUT}
    pairs = calls & puts
    assert len(pairs) == 3 and all(abs(k - 6412) < 150 for k in pairs if k)
    assert min(k for k in puts if k) < 6412 * 0.85
    assert max(k for k in calls if k) > 6412 * 1.08
    assert all(k and k % 25 == 0 for k in puts | calls), "round strikes are the ones every expiry lists"


def test_strikes_known_to_be_unlisted_are_replaced() -> None:
    first = sample_contracts(SPXW, date(2026, 10, 2), 6412.0, 0.17, NOW)
    gone = frozenset(c.identity for c in first[:4])
    second = sample_contracts(SPXW, date(2026, 10, 2), 6412.0, 0.17, NOW, gone)
    assert len(second) == len(first) and not gone & {c.identity for c in second}
