"""The look over the night: the jump against the limits, what expires, what cannot be priced, and half known books."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.quant.gap import GapLook, look_over_gap
from models.quant.option import Contract, Right, SecType
from models.quant.regime import Profile, Regime
from models.quant.structure import QuoteSource
from models.quant.terms import Holding, Mark, MarketView
from tests.quant.proposer_scene import MES, SPX, TODAY, book_of_rules, option
from tests.quant.test_management import fair

RULE = book_of_rules().manage.gap
FRIDAY = datetime(2026, 8, 21, 19, 45, tzinfo=UTC)
MONDAY = datetime(2026, 8, 24, 13, 30, tzinfo=UTC)


def look(
    held: Mapping[Contract, float], nlv: float | None = 1_000_000, unpriced: tuple[Contract, ...] = (),
    opens: datetime = MONDAY, profile: Profile = Profile.DESK,
) -> GapLook:  # fmt: skip
    marks = {
        c.identity: Mark(fair(c, SPX, FRIDAY), QuoteSource.REAL) for c in held if c.is_option and c not in unpriced
    }
    view = MarketView(now=FRIDAY, spx=SPX, spots={"MES": SPX}, marks=marks, rate=0.0)
    limits = book_of_rules().limits(profile, Regime.NEUTRAL, nlv, 18.0, 1.0)
    return look_over_gap([Holding(c, q) for c, q in held.items()], view, limits, RULE, opens)


@pytest.mark.parametrize("units", [1, 2])
def test_a_future_loses_the_jump_and_no_theta(units: int) -> None:
    found = look({MES: units})
    assert found.usual == pytest.approx(units * 5 * SPX * 0.03) and found.severe == pytest.approx(units * 1500)
    assert found.carry == pytest.approx(0.0) and found.trouble == ()
    assert "every position is priced" in found.sentence and "over 3 days" in found.sentence


@pytest.mark.parametrize(("lots", "over"), [(33, False), (34, True)])
def test_a_usual_jump_is_held_against_the_daily_loss_limit(lots: int, over: bool) -> None:
    """33 MES lose 29,700 of the 30,000 that 3 % of a million allow."""
    trouble = look({MES: -lots}).trouble
    assert bool(trouble) is over and all("over the daily loss limit of $30,000" in words for words in trouble)


def test_exactly_at_a_limit_is_not_over_it() -> None:
    assert look({MES: 40}, nlv=40 * 900 / 0.03).trouble == ()


def test_a_severe_jump_is_held_against_the_near_stress_limit() -> None:
    """One option that costs little within 3 % and a fortune within 5 %: sold beyond the usual jump."""
    found = look({option(5760, 7, "P"): -20.0})
    assert found.usual is not None and found.severe is not None and found.severe > 2 * found.usual
    assert any("a jump of 5 %" in words and "near stress limit" in words for words in found.trouble)
    assert look({option(5760, 7, "P"): -20.0}, profile=Profile.CLASSIC).trouble == found.trouble[:1], "it has none"


def test_standing_still_earns_the_theta_of_the_closed_days() -> None:
    put = option(5600, 30, "P")
    night = look({put: -1}, opens=datetime(2026, 8, 22, 13, 30, tzinfo=UTC))
    weekend = look({put: -1})
    assert night.carry is not None and weekend.carry is not None
    assert 0 < night.carry < weekend.carry and "over the night" in night.sentence


@pytest.mark.parametrize(
    ("strike", "days", "quantity", "listed", "in_reach"),
    [
        (6000, 3, -1, True, True),  # Monday, at the money
        (5700, 3, -1, True, True),  # exactly 5 % away
        (5695, 3, -1, True, False),
        (6000, 0, -1, True, True),  # today's, a quarter of an hour before the end
        (6000, 4, -1, False, False),
        (6000, 3, 1, False, False),
    ],
)
def test_shorts_that_expire_by_the_next_open_are_named_and_alarm_within_a_severe_jump(
    strike: float, days: int, quantity: float, listed: bool, in_reach: bool
) -> None:
    found = look({option(strike, days, "P"): quantity}, nlv=100_000_000)
    assert bool(found.expiring) is listed and bool(found.trouble) is in_reach
    assert ("no short expires by Mon 24 Aug" in found.sentence) is not listed


def test_a_position_without_a_price_makes_every_loss_unknown_and_is_named() -> None:
    lost = Contract("ZZZ", SecType.OPTION, "ZZZ", 100, TODAY + timedelta(days=30), 50.0, Right.PUT)
    found = look({MES: 1, lost: -1}, unpriced=(lost,))
    assert (found.usual, found.severe, found.carry) == (None, None, None)
    assert "price of ZZZ unknown" in found.trouble[0] and "not priced: 1" in found.sentence


def test_an_unknown_net_liquidation_is_trouble_and_an_empty_book_is_none() -> None:
    assert "net liquidation is unknown" in look({MES: 1}, nlv=None).trouble[0]
    empty = look({})
    assert empty.trouble == () and empty.usual == 0.0 and empty.carry == 0.0


HELD = st.dictionaries(
    st.sampled_from([option(k, d, r) for k in (5700.0, 6000.0, 6300.0) for d in (3, 30) for r in "PC"] + [MES]),
    st.integers(-5, 5).filter(bool),
    max_size=6,
)


@settings(max_examples=30)
@given(HELD)
def test_no_loss_is_negative_twice_the_book_loses_twice_and_order_changes_nothing(held: dict[Contract, int]) -> None:
    found = look(held)
    assert found.usual is not None and found.severe is not None
    assert found.usual >= 0 and found.severe >= 0
    assert (
        replace(look(dict(reversed(held.items()))), usual=found.usual, severe=found.severe, carry=found.carry) == found
    )
    twice = look({c: 2 * n for c, n in held.items()})
    assert twice.usual == pytest.approx(2 * found.usual, abs=1e-6)
    assert twice.severe == pytest.approx(2 * found.severe, abs=1e-6)
