"""The regime and the limits against every vector of DOMAIN.md section 2."""

import pytest

from models.quant.regime import Close, Profile, Regime, tighter
from tests.quant.proposer_scene import book_of_rules

BOOK = book_of_rules()
LOW, NEUTRAL, HIGH, CRISIS = Regime.LOW, Regime.NEUTRAL, Regime.HIGH, Regime.CRISIS


@pytest.mark.parametrize(
    ("vix", "vix3m", "vvix", "recession", "regime"),
    [
        (35.0, 35.0, 100, 0.1, HIGH),
        (35.01, 35.0, 100, 0.1, CRISIS),
        (18.0, 18.0, 150, 0.1, NEUTRAL),
        (18.0, 18.0, 150.1, 0.1, CRISIS),
        (22.0, 22.0, 100, 0.1, NEUTRAL),
        (22.01, 22.01, 100, 0.1, HIGH),
        (18.0, 18.0, 100, 0.40, NEUTRAL),
        (18.0, 18.0, 100, 0.41, HIGH),
        (15.0, 18.0, 100, 0.1, NEUTRAL),
        (14.99, 17.0, 100, 0.1, LOW),
        (12.0, 13.8, 100, 0.1, LOW),
        (10.0, 11.0, 100, 0.1, NEUTRAL),
        (12.0, 12.0, 100, 0.1, NEUTRAL),
        (40.0, 34.0, 100, 0.9, CRISIS),
    ],
)
def test_a_regime_follows_the_strict_thresholds_highest_priority_first(vix, vix3m, vvix, recession, regime):
    assert BOOK.detect(vix, vix3m, vvix, recession).regime is regime


@pytest.mark.parametrize(
    ("vix", "vix3m"), [(None, 18.0), (18.0, None), (None, None), (float("nan"), 18.0), (0.0, 18.0)]
)
def test_without_vix_or_vix3m_the_regime_is_unknown_and_says_why(vix, vix3m):
    reading = BOOK.detect(vix, vix3m, 100, 0.1)
    assert reading.regime is Regime.UNKNOWN
    assert reading.notes


def test_a_missing_optional_input_skips_its_clause_and_marks_the_regime_partial():
    reading = BOOK.detect(18.0, 18.0, None, None)
    assert (reading.regime, reading.partial) == (NEUTRAL, True)
    assert not BOOK.detect(18.0, 18.0, 100, 0.1).partial


@pytest.mark.parametrize(
    ("vix", "term", "vega", "delta", "gamma"),
    [
        (18, 1.0, -4800, 1200, 140),
        (22, 1.0, -4080, 1020, 119),
        (22.01, 1.0, -5100, 255, 51),
        (25, 1.0, -4200, 210, 42),
        (30, 1.0, -3000, 150, 30),
        (35, 0.92, -900, 45, 9),
        (12, 1.15, -3300, 1980, 115.5),
        (40, 0.85, 0, 0, 4),
    ],
)
def test_classic_limits_of_a_hundred_thousand_are_the_ancestors_vectors(vix, term, vega, delta, gamma):
    regime = BOOK.detect(vix, vix * term, 100, 0.1).regime
    limits = BOOK.limits(Profile.CLASSIC, regime, 100_000, vix, term)
    assert (limits.vega_floor, limits.delta_cap, limits.gamma_cap) == (vega, delta, gamma)


@pytest.mark.parametrize(
    ("regime", "theta", "vega", "delta", "gamma", "near", "worst", "var", "share", "notional"),
    [
        (LOW, 400, -6000, 10_000, 3000, 120_000, 250_000, 20_000, 0.70, 8e6),
        (NEUTRAL, 600, -8000, 8000, 3500, 120_000, 250_000, 20_000, 0.60, 8e6),
        (HIGH, 800, -6000, 5000, 2000, 100_000, 200_000, 10_000, 0.50, 6e6),
        (CRISIS, 0, 0, 2000, 800, 60_000, 120_000, 5000, 0.40, 4e6),
    ],
)
def test_desk_limits_of_a_million_are_the_table(regime, theta, vega, delta, gamma, near, worst, var, share, notional):
    limits = BOOK.limits("desk", regime, 1e6, 18, 1.0)
    found = (limits.theta_target, limits.vega_floor, limits.delta_cap, limits.gamma_cap, limits.stress_near)
    assert found == (theta, vega, delta, gamma, near)
    assert (limits.stress_worst, limits.var_95, limits.vega_share, limits.short_notional) == (
        worst,
        var,
        share,
        notional,
    )
    assert limits.defined_loss == 50_000
    assert not limits.gamma_both


@pytest.mark.parametrize(
    ("vix", "factor"), [(10, 1), (19.99, 1), (20, 0.85), (24.99, 0.85), (25, 0.7), (30, 0.5), (34.99, 0.5), (35, 0.25)]
)
def test_the_vix_scaler_steps_at_its_thresholds_and_leaves_theta_alone(vix, factor):
    limits = BOOK.limits("desk", NEUTRAL, 1e6, vix, 1.0)
    assert limits.vega_floor == pytest.approx(-8000 * factor)
    assert limits.theta_target == 600


@pytest.mark.parametrize(("term", "factor"), [(1.2, 1.1), (1.1, 1.1), (1.0, 1), (0.95, 0.8), (0.9, 0.6), (0.89, 0.4)])
def test_the_term_scaler_steps_at_its_thresholds_in_both_profiles(term, factor):
    assert BOOK.limits("desk", NEUTRAL, 1e6, 18, term).delta_cap == pytest.approx(8000 * factor)
    assert BOOK.limits("classic", NEUTRAL, 1e5, 18, term).delta_cap == pytest.approx(1200 * factor)


@pytest.mark.parametrize(
    ("regime", "theta", "vega", "delta", "gamma"),
    [(LOW, 18, -750, 450, 26), (NEUTRAL, 30, -1200, 300, 35), (HIGH, 60, -1500, 75, 15), (CRISIS, 0, 0, 0, 10)],
)
def test_classic_falls_back_to_absolute_limits_at_exactly_zero_and_scales_them(regime, theta, vega, delta, gamma):
    limits = BOOK.limits("classic", regime, 0.0, 18, 1.0)
    assert (limits.theta_target, limits.vega_floor, limits.delta_cap, limits.gamma_cap) == (theta, vega, delta, gamma)
    assert BOOK.limits("classic", regime, 0.0, 30, 1.0).delta_cap == delta * 0.5


def test_an_unknown_net_liquidation_makes_every_limit_unknown():
    limits = BOOK.limits("classic", NEUTRAL, None, 18, 1.0)
    assert not limits.known
    assert limits.vega_floor is None
    assert limits.delta_cap is None


def test_a_negative_net_liquidation_allows_nothing():
    limits = BOOK.limits("desk", NEUTRAL, -5000.0, 18, 1.0)
    assert (limits.vega_floor, limits.delta_cap, limits.stress_near) == (0, 0, 0)


def test_an_unknown_regime_uses_the_tightest_known_limits_and_flags_it():
    limits = BOOK.limits("desk", Regime.UNKNOWN, 1e6, None, None)
    assert (limits.vega_floor, limits.delta_cap, limits.stress_worst) == (0, 200, 120_000)
    assert len(limits.flagged) == 3
    assert "long_option" not in limits.families


def test_recession_tightens_the_caps_only():
    reading = BOOK.detect(12.0, 13.8, 100, 0.5)
    assert (reading.regime, reading.without_recession) == (HIGH, LOW)
    limits = BOOK.limits("classic", reading.regime, 1e5, 12, 1.0, reading.without_recession)
    assert (limits.theta_target, limits.vega_floor, limits.delta_cap, limits.gamma_cap) == (72, -3000, 300, 60)


# ── the applied regime ──────────────────────────────────────────────────────────────────────────────────────────
def reading(vix, vix3m=None, vvix=90.0):
    return BOOK.detect(vix, vix3m or vix, vvix, 0.1)


@pytest.mark.parametrize(
    ("previous", "now", "closes", "expected"),
    [
        (NEUTRAL, 23.0, [18, 18], HIGH),  # tightens at once
        (LOW, 36.0, [12, 12], CRISIS),
        (HIGH, 20.0, [], HIGH),  # nothing known of the closes
        (HIGH, 20.0, [20.0], HIGH),  # one close is not two
        (HIGH, 20.0, [21.5, 20.0], HIGH),  # one of them only half a point inside
        (HIGH, 20.0, [21.0, 21.0], NEUTRAL),  # exactly one point inside
        (HIGH, 20.0, [30, 21.0, 20.0], NEUTRAL),  # only the last two count
        (CRISIS, 20.0, [34.0, 30.0], HIGH),  # as far as the closes allow
        (CRISIS, 20.0, [20.0, 20.0], NEUTRAL),
        (NEUTRAL, 20.0, [30.0, 30.0], NEUTRAL),  # closes never tighten
        (None, 20.0, [], NEUTRAL),
        (Regime.UNKNOWN, 20.0, [], NEUTRAL),
    ],
)
def test_the_applied_regime_tightens_at_once_and_loosens_after_two_closes_inside(previous, now, closes, expected):
    days = [Close(float(close), float(close)) for close in closes]
    assert BOOK.applied(previous, reading(now), days) is expected


def test_low_volatility_is_reached_only_by_closes_one_point_below_its_band():
    now = reading(13.0, 15.0)
    assert BOOK.applied(NEUTRAL, now, [Close(14.2, 16.5), Close(13.5, 15.5)]) is NEUTRAL
    assert BOOK.applied(NEUTRAL, now, [Close(13.9, 16.5), Close(13.5, 15.5)]) is LOW


def test_unknown_now_is_unknown_whatever_was():
    assert BOOK.applied(HIGH, BOOK.detect(None, 18.0), []) is Regime.UNKNOWN


def test_the_tighter_of_two_regimes_is_symmetric():
    assert tighter(LOW, HIGH) is tighter(HIGH, LOW) is HIGH
