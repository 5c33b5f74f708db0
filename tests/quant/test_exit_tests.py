"""The truth tables of management: every question at its edge, from both sides of it, for calls and puts."""

from datetime import date

import pytest

from models.quant.exit_tests import (
    days_are_few,
    is_called_away,
    is_ex_eve,
    is_near,
    is_tested,
    loss_is_reached,
    most_earned,
    profit_is_taken,
    room_to,
    sells_premium,
)
from models.quant.option import Contract, Right
from models.quant.payoff import Part
from tests.quant.proposer_scene import option

CALL, PUT = Right.CALL, Right.PUT


@pytest.mark.parametrize(
    ("profit", "most", "share", "taken"),
    [
        (150.0, 300.0, 0.5, True),  # exactly half
        (149.99, 300.0, 0.5, False),
        (150.01, 300.0, 0.5, True),
        (300 * 0.1 + 300 * 0.2 + 300 * 0.2, 300.0, 0.5, True),  # half, but for what floats lose
        (300.0, 300.0, 1.0, True),
        (-150.0, 300.0, 0.5, False),
        (0.0, 0.0, 0.5, False),  # what can earn nothing is never done
        (10.0, -5.0, 0.5, False),
        (1e9, float("inf"), 0.5, False),
    ],
)
def test_a_profit_is_taken_at_its_share_of_the_most(profit: float, most: float, share: float, taken: bool) -> None:
    assert profit_is_taken(profit, most, share) is taken


@pytest.mark.parametrize(
    ("profit", "credit", "multiple", "reached"),
    [
        (-600.0, 300.0, 2.0, True),  # exactly twice the credit: the price is three times what was received
        (-599.99, 300.0, 2.0, False),
        (-601.0, 300.0, 2.0, True),
        (600.0, 300.0, 2.0, False),
        (-600.0, 0.0, 2.0, False),
        (-600.0, -300.0, 2.0, False),  # paid for
    ],
)
def test_a_loss_is_reached_at_its_multiple_of_the_credit(
    profit: float, credit: float, multiple: float, reached: bool
) -> None:
    assert loss_is_reached(profit, credit, multiple) is reached


@pytest.mark.parametrize(("days", "few"), [(22, False), (21, True), (20, True), (0, True), (-1, False)])
def test_days_are_few_from_the_rules_day_to_the_last(days: int, few: bool) -> None:
    assert days_are_few(days, 21) is few


@pytest.mark.parametrize(
    ("right", "spot", "delta", "tested"),
    [
        (PUT, 6000.01, None, False),
        (PUT, 6000.0, None, True),  # touched
        (PUT, 5999.0, -0.2, True),  # through it, whatever the delta
        (PUT, 6100.0, -0.4999, False),
        (PUT, 6100.0, -0.50, True),
        (CALL, 5999.99, None, False),
        (CALL, 6000.0, None, True),
        (CALL, 6001.0, 0.2, True),
        (CALL, 5900.0, 0.4999, False),
        (CALL, 5900.0, 0.50, True),
    ],
)
def test_a_strike_is_tested_when_touched_or_by_its_delta(
    right: Right, spot: float, delta: float | None, tested: bool
) -> None:
    assert is_tested(room_to(6000.0, right, spot), delta, 0.5) is tested


@pytest.mark.parametrize(
    ("right", "spot", "sigma", "near"),
    [
        (PUT, 6060.0, 60.0, True),  # exactly one standard deviation
        (PUT, 6060.01, 60.0, False),
        (PUT, 6000.0, None, True),  # touched: no volatility is needed
        (PUT, 5000.0, 60.0, True),  # far through is nearer still
        (PUT, 6001.0, None, None),
        (CALL, 5940.0, 60.0, True),
        (CALL, 5939.99, 60.0, False),
        (CALL, 6000.0, None, True),
        (CALL, 7000.0, 60.0, True),
        (CALL, 5999.0, None, None),
    ],
)
def test_a_short_is_near_within_its_deviations_and_unknown_without_a_volatility(
    right: Right, spot: float, sigma: float | None, near: bool | None
) -> None:
    assert is_near(room_to(6000.0, right, spot), sigma, 1.0) is near


@pytest.mark.parametrize(
    ("extrinsic", "dividend", "room", "called"),
    [
        (1.74, 1.75, -10.0, True),
        (1.75, 1.75, -10.0, False),  # worth exactly the dividend: nothing is gained
        (-0.02, 1.75, -10.0, True),  # quoted below exercise
        (0.05, 1.75, 0.0, False),  # at the money nobody exercises
        (0.05, 1.75, 5.0, False),
        (0.00, 0.0, -10.0, False),
    ],
)
def test_a_call_is_called_away_below_the_dividend_and_in_the_money(
    extrinsic: float, dividend: float, room: float, called: bool
) -> None:
    assert is_called_away(extrinsic, dividend, room) is called


@pytest.mark.parametrize(
    ("ex_day", "eve"),
    [
        (date(2026, 9, 18), False),  # today: who wanted the dividend has exercised
        (date(2026, 9, 19), True),
        (date(2026, 9, 21), True),  # Friday is the eve of a Monday
        (date(2026, 9, 22), False),
    ],
)
def test_the_eve_of_an_ex_date_is_the_session_before_it(ex_day: date, eve: bool) -> None:
    assert is_ex_eve(ex_day, date(2026, 9, 18), date(2026, 9, 21)) is eve


def p(strike: float) -> Contract:
    return option(strike, 30, "P")


def c(strike: float) -> Contract:
    return option(strike, 30, "C")


SOLD = {
    "short put": {p(5600): -1},
    "short call": {c(6400): -1},
    "strangle": {p(5600): -1, c(6400): -1},
    "two straddles": {p(6000): -2, c(6000): -2},
    "bull put spread": {p(5600): -1, p(5500): 1},
    "bear call spread": {c(6400): -1, c(6500): 1},
    "iron condor": {p(5500): 1, p(5600): -1, c(6400): -1, c(6500): 1},
    "iron butterfly": {p(5900): 1, p(6000): -1, c(6000): -1, c(6100): 1},
    "put ratio spread": {p(5600): 1, p(5500): -2},
    "jade lizard": {p(5600): -1, c(6400): -1, c(6500): 1},
}
BOUGHT = {
    "long put": {p(5600): 1},
    "long strangle": {p(5600): 1, c(6400): 1},
    "bear put spread": {p(5600): 1, p(5500): -1},
    "bull call spread": {c(6400): 1, c(6500): -1},
    "call backspread": {c(6400): -1, c(6500): 2},
    "put backspread": {p(5600): -1, p(5500): 2},
    "long butterfly": {c(6300): 1, c(6400): -2, c(6500): 1},
    "reverse iron condor": {p(5500): -1, p(5600): 1, c(6400): 1, c(6500): -1},
    "long risk reversal": {p(5600): -1, c(6400): 1},
    "short risk reversal": {p(5600): 1, c(6400): -1},
}


def parts(held: dict[Contract, int], units: int = 1) -> tuple[Part, ...]:
    return tuple(Part(contract, units * n) for contract, n in held.items())


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("name", SOLD)
def test_what_was_sold_sells_premium(name: str, units: int) -> None:
    assert sells_premium(parts(SOLD[name], units))


@pytest.mark.parametrize("name", BOUGHT)
def test_what_was_bought_and_what_takes_a_side_does_not(name: str) -> None:
    assert not sells_premium(parts(BOUGHT[name]))


@pytest.mark.parametrize(
    ("name", "units", "credit", "most"),
    [
        ("short put", 1, 300.0, 300.0),
        ("short put", 2, 600.0, 600.0),
        ("strangle", 2, 900.0, 900.0),
        ("iron condor", 1, 250.0, 250.0),
        ("put ratio spread", 1, 100.0, 10_100.0),  # the credit and the whole width, at the short strike
    ],
)
def test_the_most_it_earns_is_the_credit_and_what_it_can_be_worth(
    name: str, units: int, credit: float, most: float
) -> None:
    assert most_earned(parts(SOLD[name], units), credit) == pytest.approx(most)
