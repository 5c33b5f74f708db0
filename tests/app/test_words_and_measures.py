"""Numbers, ages, limit bars, strikes and payoffs: the cockpit's pure functions against values worked out by hand."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from app import format as fmt
from app import look
from app.limits import Since, caution_lines, limit_lines, proposal_bars
from app.measures import BY_KEY, Use, after_value, use_after, uses_of
from app.payoff import payoff_of
from app.wording import contract_words, identity_words, leg_words, legs_in_a_line, strike_ruler
from models.appetite import BreachRow
from models.quant.option import Contract, Right, SecType
from models.quant.structure import Action, Leg
from tests.app.seed import BEFORE, EXPOSURE, use

NOW = datetime(2026, 8, 21, 14, 42, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "n/a"), (float("nan"), "n/a"), (float("inf"), "n/a"), (0, "$0"), (1234.6, "$1,235"),
        (-1234.4, "−$1,234"), (Decimal("-0.2"), "$0"), (True, "n/a"), ("12", "n/a"),
    ],
)  # fmt: skip
def test_money_is_signed_grouped_and_unknown_is_a_word(value: object, words: str) -> None:
    assert fmt.money(value) == words  # type: ignore[arg-type]


def test_a_price_says_where_it_came_from_and_how_old_it_is() -> None:
    assert fmt.sourced("real", 2.2) == "real · 2 s"
    assert fmt.sourced("modelled", None) == "modelled"
    assert fmt.sourced("unknown", 3.0) == "unknown"


def test_a_sign_is_asked_for_and_nothing_carries_none() -> None:
    assert fmt.money(212, sign=True) == "+$212"
    assert fmt.number(0.0, 2, sign=True) == "0.00"
    assert fmt.number(-0.001, 2) == "0.00"
    assert fmt.percent(1.164) == "116 %"
    assert fmt.debit_or_credit(-1.85) == "1.85 credit"
    assert fmt.debit_or_credit(4.2) == "4.20 debit"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "n/a"), (0.0, "0 s"), (0.42, "0.4 s"), (12, "12 s"), (200, "3 min"), (7200, "2 h"), (400000, "5 d")],
)
def test_an_age_has_one_unit(seconds: float | None, words: str) -> None:
    assert fmt.age(seconds) == words


def test_a_countdown_ends_in_the_word_expired() -> None:
    assert fmt.countdown(timedelta(seconds=250)) == "4 min 10 s"
    assert fmt.countdown(timedelta(seconds=45)) == "45 s"
    assert fmt.countdown(timedelta(hours=3, minutes=5)) == "3 h 05"
    assert fmt.countdown(timedelta(seconds=-1)) == "expired"


def test_moments_are_shown_in_new_york() -> None:
    assert fmt.eastern(datetime(2026, 8, 21, 14, 42, 7, tzinfo=UTC)) == "10:42:07"
    assert fmt.eastern(datetime(2026, 12, 21, 14, 42, 7, tzinfo=UTC)) == "09:42:07"


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_use_is_grey_below_eighty_amber_to_the_limit_and_red_above() -> None:
    assert look.use_colour(0.79) == look.QUIET
    assert look.use_colour(0.80) == look.WARNING
    assert look.use_colour(1.0) == look.WARNING
    assert look.use_colour(1.01) == look.OVER
    assert look.use_colour(0.2, is_cap=False) == look.QUIET
    assert look.use_colour(None) == look.QUIET


@pytest.mark.parametrize(
    ("key", "limit", "value", "use"),
    [
        ("spx_delta", 8000.0, -4000.0, 0.5),
        ("vega_weighted", -8000.0, -9360.0, 1.17),
        ("vega_weighted", -8000.0, 500.0, 0.0),
        ("gamma", -3500.0, -3500.0, 1.0),
        ("gamma", 140.0, -70.0, 0.5),  # the classic profile caps gamma of both signs
        ("theta", 600.0, 300.0, 0.5),
        ("margin", 0.8, 0.4, 0.5),
        ("stress_worst", 250_000.0, 125_000.0, 0.5),
        ("vega_weighted", 0.0, -5.0, None),
        ("vega_weighted", None, -5.0, None),
        ("spx_delta", 8000.0, None, None),
    ],
)
def test_the_use_after_a_trade_counts_as_the_breach_detection_does(
    key: str, limit: float | None, value: float | None, use: float | None
) -> None:
    found = use_after(Use(BY_KEY[key], 0.0, limit, None), value)
    assert found == pytest.approx(use) if use is not None else found is None


def test_scores_become_the_units_of_their_limits() -> None:
    assert after_value(BY_KEY["stress_worst"], 214_300.0, None) == 214_300.0
    assert after_value(BY_KEY["margin"], 400_000.0, 1_000_000.0) == 0.4
    assert after_value(BY_KEY["margin"], 400_000.0, None) is None
    assert after_value(BY_KEY["theta"], None, 1.0) is None


def test_an_unvalued_book_has_six_unknown_bars_with_a_reason() -> None:
    uses = uses_of({})
    assert len(uses) == 6
    assert all(use.use is None and use.value is None and use.why for use in uses.values())
    assert limit_lines({}, Since((), NOW)).count("n-bar-unknown") == 6
    assert caution_lines({}, Since((), NOW)) == ""


def passed(kind: str, minutes: int) -> BreachRow:
    at = NOW - timedelta(minutes=minutes)
    return BreachRow(account_id="SIM1", kind=kind, value=0, limit=0, distance=0, regime="", profile="", since=at,
                     last_seen=NOW)  # fmt: skip


def test_every_limit_says_its_use_its_distance_and_since_when() -> None:
    said = limit_lines(EXPOSURE, Since([passed("vega", 12), passed("delta", 3)], NOW))
    for part in (
        "−$9,360</b> / −$8,000", '<b class="n-over">117 %</b>', '<b class="n-over">$1,360 over</b>', "12 min",
        '<b class="n-over">$1,480 over</b>', "$790 left", "$88 short", "$ per day, target", "One-day VaR",
        "Excess after −10 %", "$492,400 left", "Vega share<small>AAPL · of the total", "54 % left",
        "$5.40 M</b> / $8.00 M",
    ):  # fmt: skip
        assert part in said, part
    assert "Theta share" not in said and said.index("BW delta") < said.index("Near stress"), "the six come first"


def test_what_is_only_watched_stands_apart_and_is_never_red() -> None:
    said = caution_lines(EXPOSURE, Since([passed("strike_cluster SPX", 47)], NOW))
    for part in ("SPX 30 Sep 26 · of what is earned", "17 % over", "SPX · $ short", "$1.87 M over", "47 min",
                 "$560 left"):  # fmt: skip
        assert part in said, part
    assert "n-over" not in said and look.OVER not in said


def test_contracts_are_counted_and_unknown_lines_say_so() -> None:
    rows = [use("contracts", "contracts", 61.0, 50.0, "x"), use("var_95", "$", None, 2000.0, "unknown"),
            {"kind": "of another version"}]  # fmt: skip
    said = limit_lines({"use": rows}, Since((), NOW))
    assert "61</b> / 50" in said and "11 over" in said
    assert "n/a</b> / $2,000" in said and "n-bar-unknown" in said


def test_the_proposal_draws_its_mark_on_the_same_six_bars() -> None:
    after = {**BEFORE, "spx_delta": 4000.0}
    drawn = proposal_bars(EXPOSURE, BEFORE, after)
    assert drawn.count('class="n-bar"') == 6
    assert drawn.count("n-mark") == 6
    assert "+$9,480 → <b>+$4,000</b>" in drawn
    assert "after the trade 50 %" in drawn


def test_a_bar_past_its_scale_is_clipped_and_says_so() -> None:
    assert "›" in look.bar(2.0)
    assert 'style="width:100.0%' in look.bar(7.0)
    assert "n-bar-unknown" in look.bar(None)


def test_what_comes_from_outside_is_escaped() -> None:
    assert "<b>" not in look.chip("<b>").removeprefix("<span")
    assert "<script>" not in look.trouble("<script>", "x", "y")


# ── words and payoffs ────────────────────────────────────────────────────────────────────────────────────────────
def put(strike: float, expiry: date = date(2026, 9, 30)) -> Contract:
    return Contract("SPX", SecType.OPTION, "SPXW", 100, expiry, strike, Right.PUT)


SPREAD = (
    Leg(put(6350), Action.BUY, bid=99, ask=101, mid=100.0, iv=0.17),
    Leg(put(6150), Action.SELL, bid=49, ask=51, mid=50.0, iv=0.19),
)


def test_legs_are_said_as_a_person_says_them() -> None:
    assert leg_words(SPREAD[0], 5) == "Buy 5 SPXW 30 Sep 26 6,350 put"
    assert contract_words(Contract("ES", SecType.FUTURE, "ES", 50, date(2026, 12, 18))) == "ES Dec 26 future"
    assert contract_words(Contract("AAPL", SecType.STOCK, "AAPL")) == "AAPL shares"
    assert identity_words(put(6350).identity) == "SPXW 30 Sep 26 6,350 put"
    assert identity_words("ES 202612") == "ES 202612"
    assert legs_in_a_line("nonsense").startswith("unreadable legs:")


def test_the_ruler_marks_each_strike_and_the_spot() -> None:
    drawn = strike_ruler(SPREAD, 5, 6451.25)
    assert "+5 6350P" in drawn
    assert "−5 6150P" in drawn
    assert "spot 6,451" in drawn
    assert strike_ruler((Leg(Contract("SPY", SecType.STOCK, "SPY"), Action.BUY),), 1, 645.0) == ""


@pytest.mark.parametrize("quantity", [1, 2])
def test_a_bear_put_spread_loses_its_debit_and_gains_the_width_less_it(quantity: int) -> None:
    at = datetime(2026, 8, 21, 14, 42, tzinfo=UTC)
    shape = payoff_of(SPREAD, quantity, 100, 50.0, 6451.25, at)
    assert shape.max_loss == -5_000 * quantity
    assert shape.max_gain == 15_000 * quantity
    assert shape.expiry is not None
    assert shape.break_evens == pytest.approx([6300.0])
    assert shape.now is not None
    assert shape.now[80] == pytest.approx(0.0, abs=1e-6)  # at spot today it is worth the present mid less the price


@pytest.mark.parametrize("quantity", [1, 2])
def test_a_naked_call_loses_without_limit_and_a_bought_one_gains_so(quantity: int) -> None:
    call = Leg(Contract("SPX", SecType.OPTION, "SPXW", 100, date(2026, 9, 30), 6500, Right.CALL), Action.BUY)
    at = datetime(2026, 8, 21, tzinfo=UTC)
    bought = payoff_of((call,), quantity, 100, 40.0, 6451.25, at)
    assert (bought.max_loss, bought.max_gain) == (-4_000.0 * quantity, math.inf)
    sold = payoff_of((replace(call, action=Action.SELL),), quantity, 100, -40.0, 6451.25, at)
    assert (sold.max_loss, sold.max_gain) == (-math.inf, 4_000.0 * quantity)
    assert sold.break_evens == (6540.0,)


def test_a_break_even_outside_the_picture_is_not_drawn() -> None:
    shape = payoff_of(SPREAD, 1, 100, 50.0, 4000.0, datetime(2026, 8, 21, tzinfo=UTC))
    assert shape.spots[-1] < 6300.0
    assert shape.break_evens == ()
    assert shape.max_gain == 15_000.0


def test_legs_of_different_days_are_drawn_at_the_first_expiry() -> None:
    calendar = (
        replace(SPREAD[0], contract=put(6350, date(2026, 10, 30))),
        replace(SPREAD[1], contract=put(6350)),
    )
    at = datetime(2026, 8, 21, tzinfo=UTC)
    shape = payoff_of(calendar, 2, 100, 50.0, 6451.25, at)
    assert shape.expiry is not None and shape.max_gain is not None
    assert "first expiry" in shape.why
    assert shape.spots[shape.expiry.index(max(shape.expiry))] == pytest.approx(6350.0, abs=25.0)
    near_money = 0.4 * 6350 * 0.17 * math.sqrt(30 / 365) - 50.0  # Brenner & Subrahmanyam's rule for the money
    assert shape.max_gain == pytest.approx(2 * 100 * near_money, rel=0.15)
    assert len(shape.break_evens) == 2
    unknown = payoff_of((replace(calendar[0], iv=None), calendar[1]), 1, 100, 50.0, 6451.25, at)
    assert (unknown.expiry, unknown.max_loss, unknown.max_gain) == (None, None, None)
    assert "is unknown" in unknown.why


def test_an_unknown_volatility_leaves_out_the_line_of_today() -> None:
    legs = (SPREAD[0], replace(SPREAD[1], iv=None))
    shape = payoff_of(legs, 1, 100, 50.0, 6451.25, datetime(2026, 8, 21, tzinfo=UTC))
    assert shape.now is None
    assert shape.expiry is not None
