"""What a trade pays at its first expiry: worked examples from the field, lines checked by brute force, calendars."""

import csv
import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp

from models.quant.option import Contract, Right, SecType
from models.quant.payoff import Carry, Part, first_expiry, lives_on, lowest_price, outcome, parts_of, worth
from models.quant.product import expiry_instant, years_to
from models.quant.profit_line import ProfitLine
from models.quant.structure import Action, Leg
from tests.quant.test_strategies_names import FAR, NEAR, SHARES, future, legs_of, option, read

INF = math.inf


def parts(words: str, quantity: float = 1.0, iv: float | None = None) -> list[Part]:
    return [Part(contract, n * quantity, iv) for contract, n in legs_of(words)]


@pytest.mark.parametrize(
    ("legs", "price", "break_evens", "most", "least"),
    [
        # UPS 60-65-75-80 iron condor for .65 (Passarelli, Trading Option Greeks, exhibit 10.3)
        ("+1P60 -1P65 -1C75 +1C80", -0.65, [64.35, 75.65], 0.65, -4.35),
        # Option Alpha, podcast 136: 94/95 and 105/106 for .50
        ("+1P94 -1P95 -1C105 +1C106", -0.50, [94.50, 105.50], 0.50, -0.50),
        # tastytrade, Know Your Options: 196/204 strangle for 1.15, the straddle at 200 for 4.00
        ("-1P196 -1C204", -1.15, [194.85, 205.15], 1.15, -INF),
        ("-1P200 -1C200", -4.00, [196.0, 204.0], 4.00, -INF),
        # Robinhood, level 3: 90/100/110 iron butterfly for 5.00
        ("+1P90 -1P100 -1C100 +1C110", -5.00, [95.0, 105.0], 5.00, -5.00),
        # Fidelity: short Christmas tree variation with calls for 3.35
        ("-2C95 +3C100 -1C110", -3.35, [96.675, 106.65], 3.35, -6.65),
        # astrategy.org: 50/54/56 call Christmas tree for 1.00
        ("+1C50 -3C54 +2C56", 1.00, [51.0, 55.5], 3.00, -1.00),
        # by hand
        ("+1C100", 3.0, [103.0], INF, -3.0),
        ("+1P100", 3.0, [97.0], 97.0, -3.0),
        ("-1P100", -3.0, [97.0], 3.0, -97.0),
        ("-1C100 +2C110", 1.0, [121.0], INF, -11.0),
        ("-1C100 +2C110", -1.0, [101.0, 119.0], INF, -9.0),
        ("-1P95 -1C105 +1C110", -5.5, [89.5], 5.5, -89.5),  # a jade lizard cannot lose above
        ("+1C90 -1P90 -1C110 +1P110", 19.0, [], 1.0, 1.0),  # a box earns its discount everywhere
        ("-1P90 +1C110", 0.0, [90.0, 110.0], INF, -90.0),  # nothing between the strikes: both edges
    ],
)
@pytest.mark.parametrize("quantity", [1, 2, -3])
def test_worked_examples(
    legs: str, price: float, break_evens: list[float], most: float, least: float, quantity: int
) -> None:
    found = outcome(parts(legs, quantity), price * quantity * 100)
    money = quantity * 100
    ends = (most * money, least * money)
    assert found.exact
    assert found.break_evens == pytest.approx(break_evens, abs=1e-9)
    assert found.max_profit == pytest.approx(max(ends), abs=1e-6)
    assert found.max_loss == pytest.approx(min(ends), abs=1e-6)


def test_cboe_prints_what_a_debit_can_lose(recorded: Path) -> None:
    asked = {"long vertical call IBM": 41_300.0, "long straddle IBM": 48_600.0}  # its note: 48,500 is a rounding
    with (recorded / "vectors" / "margin_cboe_2007.csv").open() as rows:
        for row in csv.DictReader(rows):
            if row["case"] in asked:
                legs = row["legs"].split(";")
                price = [float(leg.split("px=")[1].split()[0]) for leg in legs]
                held = [Part(*read(leg)) for leg in legs]
                cost = sum(p.size * x for p, x in zip(held, price, strict=True))
                assert outcome(held, cost).max_loss == pytest.approx(-asked.pop(row["case"]))
    assert not asked


def test_shares_join_options() -> None:
    covered = outcome(parts("+100U -1C105"), 100 * 100.0 - 2.0 * 100)
    assert covered.break_evens == pytest.approx([98.0])
    assert (covered.max_profit, covered.max_loss) == pytest.approx((700.0, -9_800.0))
    assert covered.slopes == (100.0, 0.0)
    collar = outcome(parts("+100U +1P95 -1C105"), 10_000.0)
    assert (collar.max_profit, collar.max_loss, collar.break_evens) == (500.0, -500.0, (100.0,))
    assert collar.gains == ((100.0, INF),)


def test_oil_may_fall_below_nothing_and_shares_may_not() -> None:
    """On 2020-04-20 the May contract settled at −37.63; bought at 18.27 the evening before it lost 55.90 a barrel."""
    oil = Contract("CL", SecType.FUTURE, "CL", 1000, date(2020, 5, 19))
    bought = Part(oil, 1)
    found = outcome([bought], 18_270.0)
    assert (found.max_profit, found.max_loss, found.break_evens) == (INF, -INF, (18.27,))
    assert worth([bought], [-37.63], None)[0] - 18_270.0 == pytest.approx(-55_900.0)
    put = Contract("CL", SecType.FUTURE_OPTION, "LO", 1000, date(2020, 4, 16), 5.0, Right.PUT)
    sold = outcome([Part(put, -1)], -500.0)
    assert (sold.max_loss, sold.break_evens, sold.gains) == (-INF, (4.5,), ((4.5, INF),))
    hedged = outcome([Part(put, 1), bought], 19_000.0)
    assert (hedged.max_loss, hedged.slopes) == (-14_000.0, (0.0, 1000.0))
    under = Contract("CL", SecType.FUTURE_OPTION, "LO", 1000, date(2020, 4, 16), -10.0, Right.PUT)
    assert outcome([Part(under, -3)], -3_000.0).break_evens == pytest.approx((-11.0,))
    assert [lowest_price(c) for c in (SHARES, future("ES", 12), oil, put)] == [0.0, 0.0, -INF, -INF]


def test_bad_input_is_refused_with_its_remedy() -> None:
    with pytest.raises(ValueError, match="at least one"):
        outcome([], 0.0)
    with pytest.raises(ValueError, match="ES and XYZ"):
        outcome([Part(SHARES, 1), Part(future("ES", 12), 1)], 0.0)
    with pytest.raises(ValueError, match="cost nan"):
        outcome(parts("+1C100"), math.nan)
    with pytest.raises(ValueError, match="quantity inf"):
        Part(SHARES, INF)


def test_legs_become_parts_with_their_sign_and_size() -> None:
    leg = Leg(option(100, "P"), Action.SELL, 2, iv=0.3)
    (part,) = parts_of([leg], 3)
    assert (part.quantity, part.size, part.iv) == (-6, -600.0, 0.3)


STRIKES = st.integers(1, 40).map(lambda k: 5.0 * k)
LEGS = st.lists(st.tuples(st.sampled_from("CPU"), STRIKES, st.sampled_from([-3, -2, -1, 1, 2])), min_size=1, max_size=6)


def build(legs: list[tuple[str, float, int]]) -> list[Part]:
    return [Part(SHARES, 100.0 * n) if kind == "U" else Part(option(k, kind), n) for kind, k, n in legs]


def paid(held: list[Part], spot: float) -> float:
    """Straight from the definition, one contract at a time."""
    total = 0.0
    for part in held:
        strike = part.contract.strike
        if strike is None:
            total += part.quantity * spot
        else:
            total += part.quantity * 100 * max(spot - strike if part.contract.right == "C" else strike - spot, 0.0)
    return total


@given(LEGS, st.integers(-300, 300))
def test_lines_are_bounded_and_crossed_where_they_say(legs: list[tuple[str, float, int]], price: int) -> None:
    held, cost = build(legs), 25.0 * price
    found = outcome(held, cost)
    assert found.max_profit is not None and found.max_loss is not None
    for spot in found.break_evens:
        assert spot >= 0
        assert paid(held, spot) - cost == pytest.approx(0.0, abs=1e-6)
    grid = np.linspace(0.0, 1000.0, 4001)  # every strike is on it
    profit = np.array([paid(held, s) for s in grid]) - cost
    assert profit.max() <= found.max_profit + 1e-6
    assert profit.min() >= found.max_loss - 1e-6
    if math.isfinite(found.max_profit):
        assert profit.max() == pytest.approx(found.max_profit)
    if math.isfinite(found.max_loss):
        assert profit.min() == pytest.approx(found.max_loss)
    inside = np.zeros(grid.size, dtype=bool)
    for low, high in found.gains:
        inside |= (grid > low) & (grid < high)
    away = np.abs(profit) > 1e-6
    at_floor = grid == 0.0  # intervals are open at the lowest price
    np.testing.assert_array_equal(inside[away & ~at_floor], (profit > 0)[away & ~at_floor])


@given(LEGS, st.integers(-300, 300))
def test_the_other_side_wins_what_this_one_loses(legs: list[tuple[str, float, int]], price: int) -> None:
    held, cost = build(legs), 25.0 * price
    ours = outcome(held, cost)
    theirs = outcome([replace(p, quantity=-p.quantity) for p in held], -cost)
    assert theirs.break_evens == pytest.approx(ours.break_evens)
    assert (theirs.max_profit, theirs.max_loss) == (-ours.max_loss, -ours.max_profit)


# ── legs that live on ────────────────────────────────────────────────────────────────────────────────────────────
CALENDAR = "-1C100 +1C100b"
LEFT = years_to(expiry_instant(option(100, "C", FAR)), expiry_instant(option(100, "C", NEAR)))


def exact_call(spot: float, strike: float, years: float, vol: float, rate: float, income: float) -> float:
    with mp.workdps(30):
        s, k, t, v, r, q = (mp.mpf(x) for x in (spot, strike, years, vol, rate, income))
        d1 = (mp.log(s / k) + (r - q + v * v / 2) * t) / (v * mp.sqrt(t))
        return float(s * mp.exp(-q * t) * mp.ncdf(d1) - k * mp.exp(-r * t) * mp.ncdf(d1 - v * mp.sqrt(t)))


@pytest.mark.parametrize("carry", [Carry(), Carry(0.04, 0.013)])
@pytest.mark.parametrize("quantity", [1, 2, -3])
def test_a_calendar_pays_most_at_its_strike_and_breaks_even_beside_it(carry: Carry, quantity: int) -> None:
    held, cost = parts(CALENDAR, quantity, iv=0.2), 1.5 * quantity * 100

    def by_hand(spot: float) -> float:
        later = exact_call(spot, 100, LEFT, 0.2, carry.rate, carry.dividend_yield)
        return quantity * 100 * (later - max(spot - 100, 0.0)) - cost

    found = outcome(held, cost, carry)
    assert not found.exact
    assert lives_on(held) == (held[1],)
    assert len(found.break_evens) == 2
    for spot in found.break_evens:
        assert by_hand(spot) == pytest.approx(0.0, abs=1e-5)
    peak = found.max_profit if quantity > 0 else found.max_loss
    assert peak == pytest.approx(by_hand(100.0))
    trough = found.max_loss if quantity > 0 else found.max_profit
    assert trough is not None and math.isfinite(trough)
    if carry == Carry():
        assert trough == pytest.approx(-cost, abs=0.01)


def test_a_smooth_extreme_is_found_between_the_searched_points() -> None:
    """A strangle that lives on under a future sold: the most is at no strike."""
    held = [*parts("-1C100", iv=0.2), *parts("+1C90b +1C110b", iv=0.3)]
    found = outcome(held, 1500.0)
    assert found.max_loss is not None
    grid = np.linspace(20.0, 220.0, 400_001)
    dense = worth(held, grid, first_expiry(held)) - 1500.0
    assert found.max_loss <= dense.min() + 1e-9
    assert found.max_loss == pytest.approx(dense.min(), abs=1e-6)
    assert found.max_profit == INF


def test_a_diagonal_short_of_a_call_loses_without_limit_and_a_covered_one_does_not() -> None:
    bare = outcome(parts("-2C105 +1C100b", iv=0.2), 100.0)
    assert bare.max_loss == -INF
    covered = outcome(parts("-1C105 +1C100b", iv=0.2), 700.0)
    assert covered.max_loss == pytest.approx(-700.0, abs=0.01)


def test_an_unknown_volatility_is_asked_only_of_what_lives_on() -> None:
    near, later = parts(CALENDAR, iv=None)
    found = outcome([near, later], 150.0)
    assert (found.max_profit, found.max_loss, found.break_evens) == (None, None, ())
    assert "XYZ 20 Nov 26 100 call" in found.why
    assert outcome([near, replace(later, iv=0.2)], 150.0).max_profit is not None
    assert np.isnan(worth([later], [100.0], first_expiry([near, later]))).all()


def test_a_calendar_on_oil_has_a_value_below_nothing() -> None:
    def oil(month: int) -> Contract:
        return Contract("CL", SecType.FUTURE_OPTION, "LO", 1000, date(2026, month, 16), 20.0, Right.PUT)

    held = [Part(oil(4), -1, 0.8), Part(oil(6), 1, 0.8)]
    value = worth(held, [-37.63, 0.0, 20.0], first_expiry(held))
    assert value[:2] == pytest.approx([0.0, 0.0], abs=1e-9)  # both certain, without rates worth the same
    assert value[2] > 2_000
    found = outcome(held, 1_000.0)
    assert len(found.break_evens) == 2
    assert found.max_loss == pytest.approx(-1_000.0, abs=0.1)


def test_a_line_may_touch_nothing_without_crossing_it() -> None:
    touching = ProfitLine(np.array([0.0, 10.0, 20.0]), np.array([5.0, 0.0, 5.0]), 0.0, -0.5, 0.5)
    assert touching.break_evens() == (10.0,)
    assert touching.gains((10.0,)) == ((0.0, 10.0), (10.0, INF))
    assert (touching.least(), touching.most()) == (0.0, INF)
