"""A followed ticket day by day: profit against hand-made numbers, settlement, decay, and the breach it would cure."""

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.quant.advice import (
    RULES,
    Advice,
    BookNow,
    Cure,
    Fill,
    LegMark,
    advice_of,
    cure,
    decayed,
    episode_end,
    level_at,
    lives,
    marks_of,
    profit,
    settlement_price,
    settles_with,
    worth,
)
from models.quant.breach import smallest_hedge_lot
from models.quant.option import Contract, Right, SecType
from models.quant.proposing import propose
from models.quant.structure import Action, Leg, LegsError, QuoteSource
from tests.quant.proposer_scene import ES, MES, SPX, SPY, option, scene_of, short_strangles

NOW = datetime(2026, 8, 21, 15, 0, tzinfo=UTC)
HIGH, LOW = option(6000, 28, "P"), option(5900, 28, "P")
DEBIT = (Leg(HIGH, Action.BUY), Leg(LOW, Action.SELL))
CREDIT = (Leg(HIGH, Action.SELL), Leg(LOW, Action.BUY))
SCORES: dict[str, Any] = {
    "cost": {"half_spread": 50.0, "fees": 2.6, "theta": 30.0, "margin": None, "total": 82.6},
    "cure": 0.4, "cured": ["vega"], "remaining": ["delta"], "fitted_mid": 19.5, "mid": 19.4,
    "change": {"theta": -12.0},
}  # fmt: skip


def mark(price: float, theta: float = 0.0, source: QuoteSource = QuoteSource.REAL) -> LegMark:
    return LegMark(price, theta, source)


def marks(high: float, low: float, **more: Any) -> dict[str, LegMark]:
    return {HIGH.identity: mark(high, **more), LOW.identity: mark(low, **more)}


def told(legs: tuple[Leg, ...], quantity: int, limit: float, **scores: Any) -> Advice:
    return advice_of(legs, quantity, limit, {**SCORES, **scores})


@pytest.mark.parametrize(
    ("legs", "quantity", "limit", "mid", "fees", "value", "at_limit", "at_mid"),
    [  # 6000 put at 30, 5900 put at 12: the spread is worth 18 points
        (DEBIT, 1, 20.0, 19.5, 2.6, 1800.0, -202.6, -152.6),
        (DEBIT, 2, 20.0, 19.5, 5.2, 3600.0, -405.2, -305.2),
        (CREDIT, 1, -19.0, -19.5, 2.6, -1800.0, 97.4, 147.4),
        (CREDIT, 2, -19.0, -19.5, 5.2, -3600.0, 194.8, 294.8),
        ((Leg(HIGH, Action.BUY),), 2, 28.0, 27.8, 1.3, 6000.0, 398.7, 438.7),
        ((Leg(HIGH, Action.SELL),), 1, -28.0, -28.2, 0.65, -3000.0, -200.65, -180.65),
        ((Leg(HIGH, Action.BUY), Leg(LOW, Action.SELL, 2)), 1, 7.0, 6.0, 1.95, 600.0, -101.95, -1.95),
    ],
)
def test_profit_is_worth_less_price_less_fees(
    legs: tuple[Leg, ...], quantity: int, limit: float, mid: float, fees: float, value: float, at_limit: float,
    at_mid: float,
) -> None:  # fmt: skip
    advice = told(legs, quantity, limit, fitted_mid=mid, cost={"fees": fees})
    now = worth(advice, marks(30.0, 12.0), {}, NOW)
    assert now.value == pytest.approx(value)
    assert profit(advice, now.value, advice.entry) == pytest.approx(at_limit)
    assert profit(advice, now.value, advice.mid) == pytest.approx(at_mid)
    assert advice.entry_cost == pytest.approx((limit - mid) * quantity * 100 + fees)


def test_futures_and_shares_count_with_their_own_multiplier() -> None:
    for contract, quantity, value, gain in ((MES, 2, 60100.0, 100.0), (ES, 1, 300500.0, 500.0), (SPY, 100, 601e3, 1e3)):
        entry = 6000.0
        advice = told((Leg(contract, Action.BUY),), quantity, entry, cost={"fees": 0.0})
        now = worth(advice, {contract.identity: mark(6010.0)}, {}, NOW)
        assert (now.value, profit(advice, now.value, entry)) == (value, gain)


def test_a_filled_one_is_judged_at_its_fill_its_size_and_its_commission() -> None:
    advice = advice_of(DEBIT, 4, 20.0, {**SCORES, "cost": {"fees": 10.4}}, Fill(2, 19.8, None))
    assert (advice.filled, advice.quantity, advice.entry, advice.fees) == (True, 2, 19.8, 5.2)
    assert (advice.theta, advice.promised) == (-6.0, 0.2)
    paid = advice_of(DEBIT, 4, 20.0, SCORES, Fill(2, 19.8, 6.1))
    assert paid.fees == 6.1
    assert paid.entry_cost == pytest.approx((19.8 - 19.5) * 200 + 6.1)
    assert profit(paid, 3600.0, paid.entry) == pytest.approx(3600 - 3960 - 6.1)


def test_what_the_proposal_did_not_tell_stays_unknown() -> None:
    bare = advice_of(DEBIT, 1, 20.0, None)
    assert (bare.mid, bare.fees, bare.theta, bare.promised, bare.kinds) == (None, None, None, None, ())
    assert bare.entry_cost is None and profit(bare, 1800.0, bare.entry) is None
    odd = advice_of(DEBIT, 1, 20.0, {"cost": {"fees": math.nan}, "fitted_mid": None, "mid": "x", "cure": True})
    assert (odd.fees, odd.mid, odd.promised) == (None, None, None)
    assert told(DEBIT, 1, 20.0).kinds == ("vega", "delta")
    assert told(DEBIT, 1, 20.0, fitted_mid=None).mid == 19.4
    with pytest.raises(LegsError, match="different multipliers"):
        advice_of((Leg(HIGH, Action.BUY), Leg(MES, Action.SELL)), 1, 20.0, SCORES)


def test_one_leg_without_a_price_makes_the_day_unknown_by_name() -> None:
    advice = told(DEBIT, 1, 20.0)
    now = worth(advice, {HIGH.identity: mark(30.0)}, {}, NOW)
    assert (now.value, now.theta, now.source) == (None, None, "unknown")
    assert now.missing == ("no price of SPXW 18 Sep 26 5900 put",)
    assert profit(advice, now.value, advice.entry) is None


def test_the_source_is_that_of_the_weakest_mark() -> None:
    mixed = {HIGH.identity: mark(30.0), LOW.identity: mark(12.0, source=QuoteSource.MODELLED)}
    assert worth(told(DEBIT, 1, 20.0), mixed, {}, NOW).source == "modelled"
    assert worth(told(DEBIT, 1, 20.0), marks(30.0, 12.0), {}, NOW).source == "real"


# ── expiry ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_leg_past_its_settlement_minute_is_worth_what_it_settled_at_and_nothing_else() -> None:
    advice, over = told(DEBIT, 2, 20.0), datetime(2026, 9, 18, 20, 0, tzinfo=UTC)
    assert lives(advice.legs, over - timedelta(minutes=1)) == (HIGH, LOW)
    assert lives(advice.legs, over) == ()
    settled = {HIGH.identity: settlement_price(HIGH, 5950.0), LOW.identity: settlement_price(LOW, 5950.0)}
    assert settled == {HIGH.identity: 50.0, LOW.identity: 0.0}
    now = worth(advice, marks(1.0, 2.0, theta=-3.0), settled, over)
    assert (now.value, now.theta, now.source) == (10_000.0, 0.0, "real")
    unknown = worth(advice, marks(1.0, 2.0), {HIGH.identity: 50.0}, over)
    assert unknown.value is None and unknown.missing == ("no settlement of SPXW 18 Sep 26 5900 put",)


def test_a_calendar_goes_on_with_the_leg_that_lives() -> None:
    later = option(6000, 56, "P")
    legs = (Leg(HIGH, Action.SELL), Leg(later, Action.BUY))
    over = datetime(2026, 9, 21, 15, 0, tzinfo=UTC)
    now = worth(told(legs, 1, 25.0), {later.identity: mark(70.0, -1.5)}, {HIGH.identity: 40.0}, over)
    assert now.value == pytest.approx(100 * (70 - 40)) and now.theta == pytest.approx(-150.0)


@pytest.mark.parametrize(
    ("contract", "level", "points"),
    [(option(6000, 28, "P"), 5950.0, 50.0), (option(6000, 28, "P"), 6050.0, 0.0), (option(6000, 28, "C"), 6050.0, 50.0),
     (option(6000, 28, "C"), 6000.0, 0.0), (MES, 6012.25, 6012.25)],
)  # fmt: skip
def test_options_end_at_intrinsic_and_futures_at_the_level(contract: Contract, level: float, points: float) -> None:
    assert settlement_price(contract, level) == points


def test_the_family_settles_with_the_index_and_what_is_delivered_with_itself() -> None:
    day = date(2026, 9, 18)
    xsp = Contract("XSP", SecType.OPTION, "XSP", 100, day, 600, Right.PUT)
    spy = Contract("SPY", SecType.OPTION, "SPY", 100, day, 600, Right.PUT)
    weekly = Contract("ES", SecType.FUTURE_OPTION, "EW3", 50, day, 6000, Right.PUT)
    aapl = Contract("AAPL", SecType.OPTION, "AAPL", 100, day, 220, Right.PUT)
    assert (
        settles_with(HIGH) == ("SPX", 1.0) and settles_with(xsp) == ("SPX", 0.1) and settles_with(MES) == ("SPX", 1.0)
    )
    assert [settles_with(c)[0] for c in (spy, weekly, aapl, SPY)] == ["SPY", "ES", "AAPL", "SPY"]


def test_a_level_counts_as_the_settlement_only_when_seen_close_to_the_minute() -> None:
    at = datetime(2026, 9, 18, 20, 0, tzinfo=UTC)
    points = [
        (at - timedelta(minutes=3), 5951.0),
        (at + timedelta(minutes=1), 5950.0),
        (at + timedelta(hours=1), 5900.0),
    ]
    assert level_at(points, at) == 5950.0
    assert level_at(points[2:], at) is None and level_at([], at) is None


# ── decay ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_decay_over_days_is_the_mean_theta_of_both_ends_times_the_days() -> None:
    assert decayed((NOW, -100.0), (NOW + timedelta(days=3), -120.0)) == pytest.approx(330.0)
    assert decayed((NOW, 50.0), (NOW + timedelta(hours=12), 70.0)) == pytest.approx(-30.0)


# ── properties ───────────────────────────────────────────────────────────────────────────────────────────────────
prices = st.floats(0, 500)


@given(high=prices, low=prices, limit=st.floats(-100, 100), quantity=st.integers(1, 40))
def test_profit_is_linear_in_quantity(high: float, low: float, limit: float, quantity: int) -> None:
    def made(units: int) -> float:
        advice = told(DEBIT, units, limit, cost={"fees": 2.6 * units})
        found = profit(advice, worth(advice, marks(high, low), {}, NOW).value, limit)
        assert found is not None
        return found

    assert made(quantity) == pytest.approx(quantity * made(1), rel=1e-9, abs=1e-6)


@given(numbers=st.lists(prices, min_size=4, max_size=4), order=st.permutations(range(4)))
def test_the_order_of_legs_changes_nothing(numbers: list[float], order: list[int]) -> None:
    contracts = [option(k, 28, r) for k, r in ((5600, "P"), (5800, "P"), (6200, "C"), (6400, "C"))]
    sides = (Action.BUY, Action.SELL, Action.SELL, Action.BUY)
    legs = [Leg(c, side) for c, side in zip(contracts, sides, strict=True)]
    known = {c.identity: mark(p, -p) for c, p in zip(contracts, numbers, strict=True)}
    one, other = (told(tuple(some), 2, -5.0) for some in (legs, [legs[i] for i in order]))
    first, second = worth(one, known, {}, NOW), worth(other, known, {}, NOW)
    assert first.value == pytest.approx(second.value, abs=1e-6) and first.theta == pytest.approx(second.theta, abs=1e-6)


@given(bad=st.sampled_from([math.nan, math.inf, -math.inf]), which=st.sampled_from([HIGH, LOW]))
def test_an_unknown_price_is_never_nought(bad: float, which: Contract) -> None:
    now = worth(told(DEBIT, 1, 20.0), {**marks(30.0, 12.0), which.identity: mark(bad)}, {}, NOW)
    assert now.value is None and len(now.missing) == 1


# ── the breach ───────────────────────────────────────────────────────────────────────────────────────────────────
def book_of(held: dict[Contract, float], **more: Any) -> BookNow:
    scene = scene_of(held, **more)
    amounts = {c.identity: q for c, q in held.items()}
    v = scene.vectors
    return BookNow(v, v.quantities(amounts), 1_000_000.0, 200_000.0, scene.limits, smallest_hedge_lot(SPX))


SMALL = tuple(option(float(k), d, r) for d in (37, 44) for k in range(5000, 6600, 50) for r in "PC")


def test_at_the_proposal_the_cure_is_the_one_the_proposer_promised() -> None:
    held = short_strangles(12)
    scene = scene_of(held, contracts=SMALL)
    found = propose(scene, keep=3).ranked
    assert found
    for candidate in found:
        advice = advice_of(candidate.legs, candidate.quantity, candidate.limit_price, candidate.scores())
        today = cure(advice, book_of(held, contracts=SMALL), NOW)
        assert today.taken == pytest.approx(candidate.cure, rel=1e-6)
        assert today.kept(advice.promised) == pytest.approx(1.0)


def test_a_filled_one_is_compared_with_the_book_without_it() -> None:
    held, hedge = short_strangles(12), option(5500, 37, "P")
    scores = {**SCORES, "cured": ["vega"], "remaining": []}
    legs = (Leg(hedge, Action.BUY),)
    before = cure(advice_of(legs, 6, 30.0, scores), book_of(held, contracts=SMALL), NOW)
    filled = advice_of(legs, 6, 30.0, scores, Fill(6, 29.5, 4.0))
    after = cure(filled, book_of({**held, hedge: 6.0}, contracts=SMALL), NOW)
    assert (after.without, after.left) == (pytest.approx(before.without), pytest.approx(before.left))
    assert before.taken is not None and before.taken > 0


def test_a_dead_ticket_cures_nothing_and_an_unknown_book_tells_nothing() -> None:
    held = short_strangles(12)
    gone = told((Leg(option(5500, -1, "P"), Action.BUY),), 6, 30.0, cured=["vega"], remaining=[])
    today = cure(gone, book_of(held, contracts=SMALL), NOW)
    assert today.taken == 0.0 and today.without
    strange = book_of(held, contracts=SMALL)
    strange.market.vega_weighted[strange.market.index[option(5600, 44, "P").identity]] = np.nan
    assert cure(gone, strange, NOW).without is None
    assert cure(told(DEBIT, 1, 20.0, cured=[], remaining=[]), strange, NOW) == Cure(None, None)


def test_margin_counts_only_with_what_the_ticket_does_to_it() -> None:
    held = {option(5500, 37, "P"): 1.0}
    book = book_of(held, contracts=SMALL)
    tight = BookNow(book.market, book.quantities, 1_000_000.0, 880_000.0, book.limits, book.smallest_lot)
    advice = told((Leg(option(5500, 37, "P"), Action.SELL),), 1, -30.0, cured=["margin"], remaining=[])
    assert cure(advice, tight, NOW, None).taken is None
    freed = cure(advice, tight, NOW, -40_000.0)
    assert (freed.without, freed.left) == (pytest.approx(0.1), pytest.approx(0.05))


def test_kept_is_the_share_of_the_promise_that_is_still_needed() -> None:
    assert Cure(0.5, 0.3).kept(0.4) == pytest.approx(0.5)
    assert Cure(0.1, 0.0).kept(0.4) == pytest.approx(1.0), "the breach has shrunk; the rest of it would be cured whole"
    assert Cure(0.5, 0.6).kept(0.4) == pytest.approx(-0.25)
    assert Cure(0.0, 0.0).kept(0.4) is None and Cure(None, None).kept(0.4) is None and Cure(0.5, 0.3).kept(None) is None


def test_marks_are_points_of_the_rows() -> None:
    scene = scene_of({}, contracts=(HIGH, MES))
    found = marks_of(scene.vectors)
    assert found[MES.identity].price == pytest.approx(6000.0)
    assert found[HIGH.identity].price * 100 == pytest.approx(float(scene.vectors.value[0]))


# ── how long the breach lasted ───────────────────────────────────────────────────────────────────────────────────
def minutes(*pairs: tuple[int, int | None]) -> list[tuple[datetime, datetime | None]]:
    return [(NOW + timedelta(minutes=a), None if b is None else NOW + timedelta(minutes=b)) for a, b in pairs]


@pytest.mark.parametrize(
    ("spells", "now", "answer"),
    [
        ([], 100, (False, None)),
        (minutes((5, None)), 100, (False, None)),
        (minutes((-60, None)), 100, (True, None)),
        (minutes((-60, 20)), 40, (True, None)),
        (minutes((-60, 20)), 51, (True, 20)),
        (minutes((-60, 20), (45, 60)), 200, (True, 60)),
        (minutes((-60, 20), (45, None)), 200, (True, None)),
        (minutes((-60, 20), (55, None)), 200, (True, 20)),
        (minutes((-60, 20), (-10, 90)), 200, (True, 90)),
        (minutes((-90, -80), (-60, 20)), 200, (True, 20)),
    ],
)
def test_a_breach_is_over_when_it_stayed_away_for_the_quiet_time(
    spells: list[tuple[datetime, datetime | None]], now: int, answer: tuple[bool, int | None]
) -> None:
    known, until = episode_end(spells, NOW, NOW + timedelta(minutes=now))
    assert RULES.quiet_minutes == 30
    assert (known, None if until is None else (until - NOW).total_seconds() / 60) == answer
