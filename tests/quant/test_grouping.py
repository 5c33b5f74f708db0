"""Single positions as whole trades: what is recognised, what is split, and that nothing is lost or counted twice."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.quant.grouping import Group, groups_of
from models.quant.option import Contract, Right, SecType
from tests.quant.proposer_scene import MES, SPY, TODAY, option


def p(strike: float, days: int = 30, cls: str = "SPXW") -> Contract:
    return option(strike, days, "P", cls)


def c(strike: float, days: int = 30, cls: str = "SPXW") -> Contract:
    return option(strike, days, "C", cls)


def named(held: dict[Contract, float]) -> dict[str, int]:
    """Name → units, several groups of one name added up."""
    found: Counter[str] = Counter()
    for group in groups_of(held.items()):
        found[group.name] += group.quantity
    return dict(found)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({p(5600): -1}, {"Short put": 1}),
        ({p(5600): -2, c(6400): -2}, {"Short strangle": 2}),
        ({p(6000): -2, c(6000): -2}, {"Short straddle": 2}),
        ({p(5600): -2, c(6400): -1}, {"Short ratio strangle": 1}),
        ({p(5600): -3, c(6400): -2}, {"Short strangle": 2, "Short put": 1}),
        ({p(5600): -1, p(5500): 1}, {"Bull put spread": 1}),
        ({p(5500): 1, p(5600): -1, c(6400): -1, c(6500): 1}, {"Iron condor": 1}),
        ({p(5500): 3, p(5600): -3, c(6400): -2, c(6500): 2}, {"Iron condor": 2, "Bull put spread": 1}),
        ({p(5600): -1, c(6400): -1, c(6500): 1}, {"Jade lizard": 1}),
        # a strangle and a condor of one expiry: six legs
        (
            {p(5400): -4, c(6600): -4, p(5500): 2, p(5600): -2, c(6400): -2, c(6500): 2},
            {"Iron condor": 2, "Short strangle": 4},
        ),
        # what was bought is no part of what was sold
        ({p(5600): 5, c(6400): -10, c(6450): -3}, {"Long put": 5, "Short call": 13}),
        # calendars are found before anything of one expiry is taken for a strangle
        ({p(6000): -2, p(6000, 60): 2, c(6000): -2, c(6000, 60): 2}, {"Long put calendar": 2, "Long call calendar": 2}),
        ({p(6000): -2, p(6000, 60): 1}, {"Short put": 2, "Long put": 1}),
        ({p(6000): -2, p(5900, 60): 2}, {"Short put": 2, "Long put": 2}),
        # but a condor stays a condor beside a long of its short strike
        (
            {p(5500): 1, p(5600): -1, c(6400): -1, c(6500): 1, p(5600, 60): 1},
            {"Iron condor": 1, "Long put": 1},
        ),
        # classes and expiries are never mixed, shares and futures are nobody's legs
        ({p(5600): -1, c(6400, 37): -1}, {"Short put": 1, "Short call": 1}),
        ({p(5600): -1, c(6400, cls="SPX"): -1}, {"Short put": 1, "Short call": 1}),
        ({SPY: 100, MES: -3}, {}),
        ({p(5600): -0.5}, {}),
        ({}, {}),
    ],
)
def test_positions_are_read_as_the_trades_they_were(held: dict[Contract, float], expected: dict[str, int]) -> None:
    assert named(held) == expected


def test_a_group_says_what_it_is() -> None:
    (group,) = groups_of({p(5600): -2, c(6400): -2}.items())
    assert str(group) == "Short strangle ×2 in SPXW 20 Sep 26 6400 call and 20 Sep 26 5600 put"
    assert group.one_expiry and group.amounts == {p(5600): -2, c(6400): -2}


CONTRACTS = [
    Contract("SPX", SecType.OPTION, cls, 100, TODAY + timedelta(days=days), strike, right)
    for cls in ("SPXW", "SPX")
    for days in (7, 30, 60)
    for strike in (5500.0, 5600.0, 6000.0, 6400.0, 6500.0)
    for right in Right
]
BOOKS = st.dictionaries(st.sampled_from(CONTRACTS), st.integers(-6, 6).filter(bool), max_size=14)


@given(BOOKS)
def test_every_contract_belongs_to_exactly_one_group(held: dict[Contract, int]) -> None:
    total: Counter[Contract] = Counter()
    for group in groups_of(held.items()):
        assert group.quantity >= 1
        for contract, amount in group.amounts.items():
            assert amount * held[contract] > 0, "a group only holds what the book holds"
            total[contract] += amount
    assert dict(total) == held


@given(BOOKS, st.randoms(use_true_random=False))
def test_the_order_of_positions_changes_nothing(held: dict[Contract, int], random) -> None:  # type: ignore[no-untyped-def]
    rows = list(held.items())
    random.shuffle(rows)
    assert groups_of(rows) == groups_of(held.items())


@given(BOOKS)
def test_twice_the_book_is_the_same_trades_twice(held: dict[Contract, int]) -> None:
    def doubled(group: Group) -> Group:
        return Group(group.name, group.legs, 2 * group.quantity)

    assert groups_of({k: 2 * n for k, n in held.items()}.items()) == tuple(map(doubled, groups_of(held.items())))
