"""Breaches against every vector of DOMAIN.md section 3, and the sentences of the limit bars."""

from dataclasses import replace

import pytest

from models.quant.breach import (
    MOCK_TERM,
    MOCK_VIX,
    BreachKind,
    detect_breaches,
    measure_use,
    mock_exposure,
    order_breaches,
    percent,
    smallest_hedge_lot,
    unknown_measures,
    worsened,
)
from models.quant.portfolio import Exposure
from models.quant.regime import Regime
from models.quant.scenario import SHOCK_CELL, STRESS_CELLS
from tests.quant.proposer_scene import book_of_rules

BOOK = book_of_rules()


def limits(vix: float = 18.0, term: float = 1.0, nlv: float | None = 100_000.0, profile: str = "classic"):
    return BOOK.limits(profile, BOOK.detect(vix, vix * term, 90, 0.1).regime, nlv, vix, term)


def exposure(**numbers: object) -> Exposure:
    calm: dict[str, object] = {
        "nlv": 100_000.0, "spx_delta": 0.0, "gamma": 0.0, "vega": 0.0, "vega_weighted": 0.0, "theta": 150.0,
        "margin_used": 20_000.0, "stress_near": 0.0, "stress_worst": 0.0, "worst_cell": None, "var_95": 0.0,
        "vega_shares": {}, "short_notional": 0.0, "defined_loss": 0.0,
    }  # fmt: skip
    return Exposure(**{**calm, **numbers})  # type: ignore[arg-type]


def kinds(found):
    return [b.kind.value for b in found]


def test_a_book_inside_every_limit_has_no_breach():
    assert detect_breaches(exposure(vega=-2000.0, spx_delta=500.0, gamma=80.0), limits()) == ()


@pytest.mark.parametrize(
    ("numbers", "vix", "kind", "distance"),
    [
        ({"vega": -8000.0}, 18, "vega", -3200),
        ({"theta": 50.0, "vega": -1.0}, 18, "theta", -70),
        ({"spx_delta": 1500.0}, 18, "delta", 300),
        ({"spx_delta": -1500.0}, 18, "delta", 300),
        ({"gamma": 200.0}, 18, "gamma", 60),
        ({"gamma": -200.0}, 18, "gamma", 60),
        ({"margin_used": 85_000.0}, 18, "margin", 0.05),
        ({"vega": -500.0}, 40, "vega", 500),
    ],
)
def test_a_classic_vector_breaches_once_with_its_distance(numbers, vix, kind, distance):
    (found,) = detect_breaches(exposure(**numbers), limits(vix))
    assert found.kind == kind
    assert found.distance == pytest.approx(distance)
    assert found.is_cap is (kind != "theta")


def test_in_a_crisis_no_vega_is_no_breach():
    assert detect_breaches(exposure(vega=0.0), limits(40)) == ()


def test_the_same_vega_breaches_at_vix_25_and_not_at_18():
    assert kinds(detect_breaches(exposure(vega=-4500.0, theta=500.0), limits(25))) == ["vega"]
    assert detect_breaches(exposure(vega=-4500.0), limits(18)) == ()


def test_at_a_net_liquidation_of_zero_the_fallback_is_breached():
    (found,) = detect_breaches(exposure(nlv=0.0, vega=-1500.0), limits(nlv=0.0))
    assert (found.kind, found.limit) == (BreachKind.VEGA, -1200)


def test_without_net_liquidation_nothing_is_judged_and_that_is_said():
    unknown = limits(nlv=None)
    assert detect_breaches(exposure(nlv=None, vega=-9e9), unknown) == ()
    assert unknown_measures(exposure(nlv=None), unknown) == ("net liquidation is unknown",)
    assert all(bar.breached is None for bar in measure_use(exposure(nlv=None), unknown) if bar.limit is None)


@pytest.mark.parametrize(
    "numbers",
    [{"vega": -4800.0}, {"spx_delta": 1200.0}, {"spx_delta": -1200.0}, {"gamma": 140.0}, {"theta": 120.0},
     {"margin_used": 80_000.0}],
)  # fmt: skip
def test_exactly_at_a_limit_is_no_breach(numbers):
    assert detect_breaches(exposure(**numbers), limits()) == ()


@pytest.mark.parametrize("vix", [12, 18, 22, 25, 30])
@pytest.mark.parametrize("nlv", [100_000.0, 123_456.78, 1e6])
def test_exactly_at_a_scaled_limit_is_no_breach_and_a_cent_past_it_is(vix, nlv):
    at = limits(vix, nlv=nlv, profile="desk")
    assert "vega" not in kinds(detect_breaches(exposure(nlv=nlv, vega_weighted=at.vega_floor), at))
    assert "vega" in kinds(detect_breaches(exposure(nlv=nlv, vega_weighted=at.vega_floor - 0.01), at))
    assert "gamma" not in kinds(detect_breaches(exposure(nlv=nlv, gamma=-at.gamma_cap), at))


def test_the_desk_limits_short_gamma_only_and_classic_both_signs():
    assert detect_breaches(exposure(gamma=5000.0), limits(profile="desk")) == ()
    (found,) = detect_breaches(exposure(gamma=-400.0), limits(profile="desk"))
    assert (found.kind, found.distance, found.limit) == (BreachKind.GAMMA, 50, -350)


def test_a_delta_smaller_than_half_the_smallest_hedge_lot_is_no_breach():
    crisis = limits(40)
    lot = smallest_hedge_lot(6000.0)
    assert lot == 300
    assert detect_breaches(exposure(spx_delta=150.0), crisis, lot) == ()
    (found,) = detect_breaches(exposure(spx_delta=151.0), crisis, lot)
    assert (found.kind, found.distance) == (BreachKind.DELTA, 151)


@pytest.mark.parametrize(
    ("numbers", "kind", "distance"),
    [
        ({"stress_near": 13_000.0}, "stress_near", 1000),
        ({"stress_worst": 26_000.0}, "stress_worst", 1000),
        ({"var_95": 2500.0}, "var_95", 500),
        ({"short_notional": 900_000.0}, "short_notional", 100_000),
        ({"defined_loss": 6000.0}, "defined_loss", 1000),
        ({"vega_shares": {"AAPL": 0.65, "SPX": 0.35}}, "vega_share", 0.05),
    ],
)
def test_the_desk_breaches_its_wider_limits_by_the_excess(numbers, kind, distance):
    (found,) = detect_breaches(exposure(**numbers), limits(profile="desk"))
    assert found.kind == kind
    assert found.distance == pytest.approx(distance)


@pytest.mark.parametrize(
    ("vix", "most"), [(12.0, 100), (18.0, 50), (25.0, 20), (40.0, 10)]
)  # fmt: skip
def test_classic_caps_the_number_of_contracts_and_the_desk_does_not(vix, most):
    regime = {12.0: Regime.LOW, 18.0: Regime.NEUTRAL, 25.0: Regime.HIGH, 40.0: Regime.CRISIS}[vix]
    at = BOOK.limits("classic", regime, 100_000.0, vix, 1.0)
    rich = {"theta": 1e4}
    assert detect_breaches(exposure(contracts=float(most), **rich), at) == ()
    (found,) = detect_breaches(exposure(contracts=most + 1.0, **rich), at)
    assert (found.kind, found.limit, found.distance, found.is_cap) == (BreachKind.CONTRACTS, most, 1.0, True)
    assert found.words == f"The number of contracts is {percent((most + 1) / most)} of its limit."
    assert "contracts" not in {bar.kind for bar in measure_use(exposure(contracts=5.0), limits(profile="desk"))}
    assert kinds(worsened(exposure(contracts=float(most)), exposure(contracts=most + 1.0), at)) == ["contracts"]


def test_excess_liquidity_after_the_shock_must_not_fall_below_zero():
    at = limits(profile="desk")
    fine = [0.0] * len(STRESS_CELLS)
    fine[SHOCK_CELL] = -80_000.0
    held = exposure(stress=tuple(fine), margin_used=20_000.0)
    assert detect_breaches(held, at) == (), "exactly at zero is no breach"
    bar = next(bar for bar in measure_use(held, at) if bar.kind is BreachKind.EXCESS_LIQUIDITY)
    assert (bar.value, bar.limit, bar.use, bar.breached) == (0.0, 0.0, 1.0, False)
    fine[SHOCK_CELL] = -92_000.0
    (found,) = detect_breaches(exposure(stress=tuple(fine), margin_used=20_000.0), at)
    assert (found.kind, found.value, found.distance, found.use) == ("excess_liquidity", -12_000.0, 12_000.0, 1.15)
    assert found.words == "Excess liquidity after −10 % and +15 points is −$12,000; the shock takes 115 % of it."
    assert found.severity == pytest.approx(0.12), "a limit of zero is measured by net liquidation"
    blind = next(bar for bar in measure_use(exposure(), at) if bar.kind is BreachKind.EXCESS_LIQUIDITY)
    assert (blind.value, blind.breached) == (None, None)


def test_every_line_carries_its_distance():
    at = limits(profile="desk")
    bars = {bar.kind: bar for bar in measure_use(exposure(gamma=-406.0, spx_delta=700.0, theta=30.0), at)}
    assert bars[BreachKind.GAMMA].distance == 56
    assert bars[BreachKind.DELTA].distance == -100
    assert bars[BreachKind.THETA].distance == -30
    assert bars[BreachKind.MARGIN].distance == pytest.approx(-0.6)


def test_the_spx_family_is_exempt_from_the_vega_share():
    assert detect_breaches(exposure(vega_shares={"SPX": 1.0}), limits(profile="desk")) == ()


def test_breaches_come_crisis_first_then_by_distance_over_limit():
    calm = detect_breaches(exposure(vega=-4900.0, spx_delta=5000.0, gamma=150.0), limits())
    assert kinds(calm) == ["delta", "gamma", "vega"]
    crisis = detect_breaches(exposure(vega=-10.0), limits(40))
    assert order_breaches((*calm, *crisis))[0].regime is Regime.CRISIS


def test_a_zero_limit_orders_by_distance_over_net_liquidation():
    found = detect_breaches(exposure(vega=-500.0, spx_delta=2000.0, gamma=15.0), limits(40))
    assert kinds(found) == ["gamma", "delta", "vega"]
    assert found[2].severity == pytest.approx(0.005)
    assert found[2].use is None


def test_a_theta_shortfall_is_no_cap_and_an_empty_book_has_none():
    (found,) = detect_breaches(exposure(theta=50.0, vega=-1.0), limits())
    assert not found.is_cap
    assert detect_breaches(exposure(theta=0.0), limits()) == ()


def test_an_unknown_number_is_neither_a_breach_nor_a_zero():
    hidden = exposure(vega_weighted=None, stress_worst=None)
    at = limits(profile="desk")
    assert detect_breaches(hidden, at) == ()
    bars = {bar.kind: bar for bar in measure_use(hidden, at)}
    assert (bars[BreachKind.VEGA].value, bars[BreachKind.VEGA].breached) == (None, None)
    assert "the worst stress loss is unknown" in unknown_measures(hidden, at)


def test_the_sentences_are_plain():
    at = limits(profile="desk")
    bars = {bar.kind: bar for bar in measure_use(exposure(gamma=-406.0, vega_weighted=-400.0, theta=30.0), at)}
    assert bars[BreachKind.GAMMA].words == "Short gamma is 116 % of its limit."
    assert bars[BreachKind.VEGA].words == "Short weighted vega is 50 % of its limit."
    assert bars[BreachKind.THETA].words == "Theta earns $30 a day of its $60 target."
    (crisis,) = detect_breaches(exposure(vega=-500.0), limits(40))
    assert crisis.words == "Short vega is −$500; in crisis none is allowed."
    assert bars[BreachKind.GAMMA].use == pytest.approx(1.16)


@pytest.mark.parametrize("profile", ["desk", "classic"])
def test_the_mock_vector_is_exactly_one_vega_breach_in_either_profile(profile):
    mock = mock_exposure()
    at = BOOK.limits(profile, Regime.NEUTRAL, mock.nlv, MOCK_VIX, MOCK_TERM)
    assert kinds(detect_breaches(mock, at)) == ["vega"]
    assert any("n/a (mock)" in reason for reason in mock.missing)


def test_worsened_names_what_is_created_or_deepened_and_never_theta():
    at = limits()
    before = exposure(vega=-8000.0)
    assert worsened(before, replace(before, vega=-7000.0), at) == ()
    assert kinds(worsened(before, replace(before, vega=-8001.0), at)) == ["vega"]
    assert kinds(worsened(before, replace(before, spx_delta=1300.0), at)) == ["delta"]
    assert worsened(before, replace(before, theta=-500.0), at) == ()


def test_covering_a_naked_short_is_not_a_new_breach():
    at = limits(profile="desk")
    before = exposure(short_notional=600_000.0)
    assert worsened(before, exposure(short_notional=0.0, defined_loss=9000.0), at) == ()
    assert kinds(worsened(exposure(), exposure(defined_loss=9000.0), at)) == ["defined_loss"]
