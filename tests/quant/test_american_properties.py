"""What must hold for any American option, its greeks by bumping, and its implied volatility."""

import math

import numpy as np
import pytest

from models.quant.american import FAST, FINE, american, american_implied_vol, american_on_future, american_price
from models.quant.pricing import black76, bsm, bsm_price
from tests.quant import plain
from tests.quant.american_terms import REFINED, Terms, extreme, ordinary, two_boundaries

ALL = [ordinary(1, 1500), extreme(2, 1500)]


def slack(a: Terms) -> np.ndarray:
    """What FINE may err, in price."""
    found: np.ndarray = 1e-6 * np.maximum(a.spot, a.strike)
    return found


def intrinsic(a: Terms) -> np.ndarray:
    return np.maximum(np.where(a.is_call, a.spot - a.strike, a.strike - a.spot), 0.0)


@pytest.mark.parametrize("a", ALL)
def test_it_is_worth_its_exercise_and_the_european_option_at_least(a: Terms) -> None:
    price = american_price(*a)
    assert np.all(price >= intrinsic(a) - 1e-13)
    assert np.all(price >= bsm_price(*a) - slack(a))
    assert np.all(price <= np.where(a.is_call, a.spot * np.exp(np.maximum(-a.dividend_yield * a.t, 0)),
                                    a.strike * np.exp(np.maximum(-a.rate * a.t, 0))) + slack(a))  # fmt: skip


@pytest.mark.parametrize("a", ALL)
def test_it_follows_spot_strike_volatility_and_time(a: Terms) -> None:
    way, here = np.where(a.is_call, 1.0, -1.0), american_price(*a)
    assert np.all(way * (american_price(*a._replace(spot=1.01 * a.spot)) - here) >= -slack(a))
    assert np.all(way * (american_price(*a._replace(strike=1.01 * a.strike)) - here) <= slack(a))
    assert np.all(american_price(*a._replace(vol=1.05 * a.vol)) >= here - slack(a))
    assert np.all(american_price(*a._replace(t=1.1 * a.t)) >= here - slack(a))


@pytest.mark.parametrize("a", ALL)
def test_butterflies_cost_something_and_a_move_gains_no_more_than_itself(a: Terms) -> None:
    low, middle, high = (american_price(*a._replace(strike=a.strike * x)) for x in (0.97, 1.0, 1.03))
    assert np.all(low - 2 * middle + high >= -4 * slack(a))
    assert np.all(np.abs(high - low) <= 0.06 * a.strike * np.exp(np.maximum(-a.rate * a.t, 0)) + 2 * slack(a))


@pytest.mark.parametrize("a", ALL)
def test_a_call_is_a_put_with_everything_exchanged(a: Terms) -> None:
    twin = Terms(a.strike, a.spot, a.t, a.vol, a.dividend_yield, a.rate, ~a.is_call)
    np.testing.assert_allclose(american_price(*twin), american_price(*a), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("rate", "dividend_yield", "call"), [
    (0.0, 0.0, True), (0.05, 0.0, True), (0.05, -0.03, True), (0.0, -0.02, True),
    (0.0, 0.0, False), (0.0, 0.04, False), (-0.01, 0.0, False), (-0.01, 0.04, False), (-0.02, -0.02, False),
])  # fmt: skip
def test_where_waiting_costs_nothing_it_is_the_european_option(rate: float, dividend_yield: float, call: bool) -> None:
    strike = np.array([60.0, 90.0, 100.0, 110.0, 160.0])
    for t, vol in ((1 / 365, 0.1), (0.5, 0.25), (3.0, 0.9)):
        ours = american_price(100.0, strike, t, vol, rate, dividend_yield, call)
        # exercised at once it is worth no less
        european = np.maximum(bsm_price(100.0, strike, t, vol, rate, dividend_yield, call), 0.0)
        np.testing.assert_allclose(ours, european, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("rate", "dividend_yield", "call"), [(-0.01, -0.02, False), (-0.02, -0.01, True)])
def test_two_exercise_boundaries_are_refused_in_every_number(rate: float, dividend_yield: float, call: bool) -> None:
    a = Terms(*(np.array([x]) for x in (100.0, 95.0, 1.0, 0.2, rate, dividend_yield)), np.array([call]))
    assert two_boundaries(a).all()
    assert np.isnan(american_price(*a)).all()
    g = american(*a)
    assert all(np.isnan(getattr(g, name)).all() for name in plain.NAMES)
    assert np.isnan(american_implied_vol(9.0, 100.0, 95.0, 1.0, rate, dividend_yield, call))
    assert np.isfinite(american_price(*a._replace(is_call=~a.is_call))).all()


def test_next_to_two_boundaries_every_greek_is_still_known() -> None:
    g = american(100.0, 95.0, 1.0, 0.2, [0.0, 5e-5], -0.01, False)
    assert all(np.isfinite(getattr(g, name)).all() for name in plain.NAMES)


def test_without_time_it_is_its_exercise_value() -> None:
    strike = np.array([90.0, 100.0, 110.0])
    g = american(100.0, strike, 0.0, 0.2, 0.05, 0.02, np.array([[True], [False]]))
    np.testing.assert_allclose(g.price, [[10.0, 0.0, 0.0], [0.0, 0.0, 10.0]], atol=1e-13)
    np.testing.assert_allclose(g.delta[:, [0, 2]], [[1.0, 0.0], [0.0, -1.0]], atol=1e-9)
    for name in ("gamma", "vega", "theta", "vanna", "volga"):
        np.testing.assert_array_equal(getattr(g, name), 0.0)


def test_without_volatility_it_is_exercised_at_the_best_moment_of_a_certain_path() -> None:
    """Searched by brute force over ten thousand moments."""
    moments = np.linspace(0.0, 2.0, 10_001)
    rng = np.random.default_rng(3)
    for _ in range(60):
        r, q = rng.uniform(-0.1, 0.15, 2)
        strike, call = float(rng.uniform(70, 130)), bool(rng.random() < 0.5)
        path = 100.0 * np.exp(-q * moments) - strike * np.exp(-r * moments)
        best = max(float((path if call else -path).max()), 0.0)
        assert float(american_price(100.0, strike, 2.0, 0.0, r, q, call)) == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, -0.1, 0.0])
def test_a_senseless_input_in_any_place_is_unknown_in_all_ten_numbers(place: int, wrong: float) -> None:
    bad = [100.0, 95.0, 0.3, 0.2, 0.03, 0.01]
    bad[place] = wrong
    expected = (wrong <= 0 if place < 2 else wrong < 0 if place < 4 else False) or not math.isfinite(wrong)
    for call in (True, False):
        g = american(*bad, call)
        known = [math.isfinite(getattr(g, name)) for name in plain.NAMES]
        assert known == [not expected] * 10
        assert math.isnan(float(american_price(*bad, call))) == expected


# Greeks


def slopes(a: Terms) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Greek → (what bumping a price of the refined scheme finds, the size it is measured by)."""

    def bumped(field: str, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        here = getattr(a, field)
        return tuple(american_price(*a._replace(**{field: here + way * step}), REFINED) for way in (1, -1))  # type: ignore[return-value]

    dev = a.vol * np.sqrt(a.t)
    move, point, day, basis = 2e-3 * a.spot * dev, 1e-3 * a.vol, 1e-3 * a.t, np.full(a.t.size, 1e-5)
    (up, down), middle = bumped("spot", move), american_price(*a, REFINED)
    dear, cheap = bumped("vol", point)
    late, soon = bumped("t", day)
    high, low = bumped("rate", basis)
    return {
        "delta": ((up - down) / (2 * move), np.ones(a.t.size)),
        "gamma": ((up - 2 * middle + down) / move**2, 1 / (a.spot * dev)),
        "vega": ((dear - cheap) / (2 * point) / 100, a.spot * np.sqrt(a.t) / 100),
        "decay": (-(late - soon) / (2 * day) / 365, a.spot * dev / a.t / 365),
        "rho": ((high - low) / (2 * basis) / 100, np.maximum(a.spot, a.strike) * a.t / 100),
    }


@pytest.mark.parametrize(("a", "worst"), [(ordinary(5, 600), 0.01), (extreme(6, 600), 0.05)])
def test_greeks_are_what_bumping_the_refined_price_finds(a: Terms, worst: float) -> None:
    """Sharp almost everywhere; beside the boundary the curvature jumps from its value to none, and a bump straddles."""
    a = a.where(a.vol * np.sqrt(a.t) > 0.01)
    g = american(*a)
    held = american_price(*a) > intrinsic(a) + slack(a)
    near = held & (np.abs(g.delta) < 0.9)
    for name, (found, size) in slopes(a).items():
        ours = g.theta + g.carry if name == "decay" else getattr(g, name)
        error = np.abs(ours - found) / size
        if name == "rho":  # a hundredth of a per cent up and down is no small move of a rate of none
            error = np.where(np.abs(a.rate) > 0.01, error, 0.0)
        assert np.quantile(error, 0.95) < 3e-4, name
        assert np.quantile(error[near], 0.999) < worst, name


def test_where_exercise_is_due_the_option_is_the_share_and_nothing_else() -> None:
    g = american(100.0, [160.0, 250.0], 0.5, 0.2, 0.08, 0.01, False)
    np.testing.assert_allclose(g.price, [60.0, 150.0], rtol=1e-14)
    np.testing.assert_array_equal(g.delta, -1.0)
    call = american(100.0, [60.0, 40.0], 0.5, 0.2, 0.01, 0.08, True)
    np.testing.assert_allclose(call.price, [40.0, 60.0], rtol=1e-14)
    np.testing.assert_allclose(call.delta, 1.0, rtol=1e-14)
    for name in plain.NAMES[2:]:
        np.testing.assert_array_equal(getattr(g, name), 0.0)
        np.testing.assert_array_equal(getattr(call, name), 0.0)


def test_where_it_is_never_exercised_its_greeks_are_the_european_ones() -> None:
    strike = np.array([30.0, 80.0, 100.0, 120.0, 300.0])
    for terms, call in (
        ((100.0, strike, 0.5, 0.25, 0.05, 0.0), True),
        ((100.0, strike, 0.5, 0.25, -0.01, 0.02), False),
    ):
        ours, european = american(*terms, call), bsm(*terms, call)
        for name in plain.NAMES:
            size = np.abs(getattr(european, name)).max()
            np.testing.assert_allclose(getattr(ours, name), getattr(european, name), atol=2e-5 * size, err_msg=name)


def test_a_deep_option_that_is_held_still_carries() -> None:
    """Its curvature is below the smallest double, its strike still earns no interest."""
    g = american(10.0, 1000.0, 1 / 365, 0.1, -0.01, 0.0, False)
    assert float(g.gamma) == 0.0
    assert float(g.carry) == pytest.approx(-0.01 * 1000 / 365, rel=1e-4)


def test_on_a_future_the_yield_is_the_rate_and_rho_holds_the_future() -> None:
    strike = np.array([90.0, 100.0, 110.0])
    calls = np.array([True, True, False])
    on_future = american_on_future(100.0, strike, 0.5, 0.25, 0.05, calls)
    twin = american(100.0, strike, 0.5, 0.25, 0.05, 0.05, calls)
    for name in set(plain.NAMES) - {"rho"}:
        np.testing.assert_allclose(getattr(on_future, name), getattr(twin, name), rtol=1e-12)
    up, down = (american_price(100.0, strike, 0.5, 0.25, r, r, calls, REFINED) for r in (0.0505, 0.0495))
    np.testing.assert_allclose(on_future.rho, (up - down) / (2 * 0.0005) / 100, rtol=1e-4)
    assert np.all(on_future.price > black76(100.0, strike, 0.5, 0.25, 0.05, calls).price)


def test_greeks_of_every_layout_are_the_same() -> None:
    spot = np.linspace(80.0, 120.0, 6).reshape(2, 3)
    locked = spot.copy()
    locked.flags.writeable = False
    expected = american(spot, 100.0, 0.5, 0.2, 0.03, 0.01, False, FAST)
    for view in (locked, np.asfortranarray(spot), np.repeat(spot, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(american(view, 100.0, 0.5, 0.2, 0.03, 0.01, False, FAST).charm, expected.charm)
    assert american([], 100.0, 0.5, 0.2, 0.03, 0.01, False).price.shape == (0,)
    assert american_price(100.0, 100.0, 0.5, 0.2, 0.03, 0.01, False).shape == ()


# Implied volatility


@pytest.mark.parametrize("accuracy", [FAST, FINE])
def test_a_price_that_tells_gives_its_volatility_back(accuracy: object) -> None:
    a = ordinary(9, 800)
    price = american_price(*a, accuracy)
    # what one rounding of the price is worth in volatility
    told = american(*a).vega * 100 * a.vol > 1e-4 * a.spot
    found = american_implied_vol(price, a.spot, a.strike, a.t, a.rate, a.dividend_yield, a.is_call, accuracy)
    assert told.mean() > 0.5
    np.testing.assert_allclose(found[told], a.vol[told], rtol=1e-6)


def test_every_volatility_it_finds_gives_the_price_back() -> None:
    a = extreme(10, 800)
    price = american_price(*a)
    found = american_implied_vol(price, a.spot, a.strike, a.t, a.rate, a.dividend_yield, a.is_call)
    known = np.isfinite(found)
    assert known.mean() > 0.4
    again = american_price(*a._replace(vol=np.where(known, found, 0.2)))
    assert np.max(np.abs(again - price)[known] / np.maximum(a.spot, a.strike)[known]) < 1e-9


@pytest.mark.parametrize(
    ("price", "terms", "call", "why"),
    [
        (10.0, (100.0, 110.0, 0.5, 0.05, 0.01), False, "its exercise value"),
        (9.0, (100.0, 110.0, 0.5, 0.05, 0.01), False, "below its exercise value"),
        (0.0, (100.0, 90.0, 0.5, 0.05, 0.01), False, "nothing"),
        (111.0, (100.0, 110.0, 0.5, 0.05, 0.01), False, "dearer than the strike"),
        (100.0, (100.0, 90.0, 0.5, 0.05, 0.01), True, "dearer than the share"),
        (12.0, (100.0, 110.0, 0.0, 0.05, 0.01), False, "no time left"),
        (math.nan, (100.0, 110.0, 0.5, 0.05, 0.01), False, "no price"),
        (12.0, (math.nan, 110.0, 0.5, 0.05, 0.01), False, "no spot"),
        (12.0, (100.0, -1.0, 0.5, 0.05, 0.01), False, "no strike"),
        (12.0, (100.0, 110.0, 0.5, math.inf, 0.01), False, "no rate"),
        (12.2, (100.0, 90.0, 0.5, 0.05, 0.0), True, "less than waiting is worth for certain"),
    ],
)
def test_a_price_that_tells_nothing_has_no_volatility(
    price: float, terms: tuple[float, ...], call: bool, why: str
) -> None:
    assert np.isnan(american_implied_vol(price, *terms, call)), why
