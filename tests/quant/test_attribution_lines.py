"""Where the profit came from: every line against mpmath, the sum against cash, the residual against its order."""

import math
from dataclasses import replace
from datetime import timedelta
from functools import cache

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.quant.attribution import LINES, Attribution, Fill, attribute, attribute_book
from models.quant.beta import Beta
from models.quant.option import Contract
from models.quant.pricing import forward_price
from models.quant.terms import Holding, Terms, terms_of
from tests.quant.quant_market import EXPIRIES, NOW, SPOT, future, mark, market, option, stock

CALL, PUT, ES, TSLA = option(6100.0, "C", EXPIRIES[2]), option(5600.0), future("ES", 50), stock("TSLA")
BETAS = {"TSLA": Beta(2.0, "IBKR")}


def moved(
    terms: Terms, spot: object = 0.0, points: object = 0.0, days: float = 0.0, rate: object = 0.0, growth: object = 0.0
) -> Terms:
    """The same contracts after moves: spot as a fraction, volatility in points, rate and growth in per cent a year."""
    t = np.maximum(terms.t - days / 365, 0.0)
    share = t / terms.t
    there, vol = terms.spot * (1 + np.asarray(spot)), terms.vol + 0.01 * np.asarray(points)
    carry = terms.carry**share * np.exp(0.01 * np.asarray(growth) * t)
    discount = terms.discount**share * np.exp(-0.01 * np.asarray(rate) * t)
    price = discount * forward_price(there * carry, terms.strike, vol * np.sqrt(t), terms.is_call)
    price = np.where(terms.is_option, price, there)
    return replace(terms, spot=there, vol=vol, t=t, carry=carry, discount=discount, price=price, model=price)


@cache
def gathered(*contracts: Contract) -> Terms:
    """Terms at the model's own price: what is marked otherwise is another line."""
    terms = terms_of(contracts, market(betas=BETAS))
    return replace(terms, price=terms.model)


def total(a: Attribution) -> np.ndarray:
    return a.lines.sum(axis=1)


# ── one option, line by line ────────────────────────────────────────────────────────────────────────────────────────
def price_of(terms: Terms, i: int):  # type: ignore[no-untyped-def]
    """Price of contract i in mpmath by spot, volatility, days gone, rate and growth (annual fractions)."""
    t0, strike = mpmath.mpf(terms.t[i]), mpmath.mpf(terms.strike[i])
    sign = 1 if terms.is_call[i] else -1

    def price(spot: object, vol: object, days: object, rate: object, growth: object) -> object:
        t = t0 - days / 365  # type: ignore[operator]
        forward, width = spot * mpmath.exp(growth * t), vol * mpmath.sqrt(t)  # type: ignore[operator]
        d1 = mpmath.log(forward / strike) / width + width / 2
        return mpmath.exp(-rate * t) * sign * (  # type: ignore[operator]
            forward * mpmath.ncdf(sign * d1) - strike * mpmath.ncdf(sign * (d1 - width)))  # fmt: skip

    return price


@pytest.mark.parametrize("quantity", [1, 2, -3])
@pytest.mark.parametrize("contract", [CALL, PUT], ids=str)
def test_every_line_of_an_option_is_its_derivative_times_its_move(contract: Contract, quantity: int) -> None:
    before = gathered(contract)
    after = moved(before, 0.012, -1.5, 2.0, 0.2, -0.1)
    a = attribute(before, after, [quantity])
    price = price_of(before, 0)
    s, v, t = float(before.spot[0]), float(before.vol[0]), float(before.t[0])
    r, b = -math.log(before.discount[0]) / t, math.log(before.carry[0]) / t
    here = (s, v, 0, r, b)

    def slope(*orders: int) -> float:
        return float(mpmath.diff(price, here, orders))

    size = quantity * 100
    ds, dv = 0.012 * s, -0.015
    decay = -0.5 * v * v * s * s * slope(2, 0, 0, 0, 0) / 365  # carry-free: what the diffusion earns
    expected = {
        "delta": slope(1, 0, 0, 0, 0) * ds,
        "gamma": 0.5 * slope(2, 0, 0, 0, 0) * ds**2,
        "vega": slope(0, 1, 0, 0, 0) * dv,
        "theta": decay * 2,
        "carry": (slope(0, 0, 1, 0, 0) - decay) * 2,
        "rho": (slope(0, 0, 0, 1, 0) + slope(0, 0, 0, 0, 1)) * 0.002,  # the forward grows with the rate
        "dividend": -slope(0, 0, 0, 0, 1) * (0.002 + 0.001),
        "vanna": slope(1, 1, 0, 0, 0) * ds * dv,
        "volga": 0.5 * slope(0, 2, 0, 0, 0) * dv**2,
        "charm": slope(1, 0, 1, 0, 0) * ds * 2,
    }
    for name, value in expected.items():
        assert a.line(name)[0] == pytest.approx(size * value, rel=1e-6), name
    held = size * float(after.model[0] - before.model[0])
    assert a.actual[0] == pytest.approx(held)
    assert a.line("residual")[0] == pytest.approx(held - a.lines[0, :10].sum())
    assert abs(a.line("residual")[0]) < 0.03 * abs(size) * sum(abs(x) for x in expected.values())
    assert a.line("quote")[0] == a.line("trades")[0] == a.line("fees")[0] == 0.0
    assert a.missing == ()


def test_the_residual_is_of_third_order_on_randomly_moved_books() -> None:
    """Moves of price and volatility halve, time and rates quarter, as a diffusion has it: an eighth is left."""
    rng = np.random.default_rng(4)
    contracts = [
        option(float(k), right, e) for k in range(5300, 6800, 100) for right in "CP" for e in EXPIRIES[1:]
    ]  # fmt: skip
    before = gathered(*contracts)
    n, q = len(contracts), rng.choice([1, 2, -3], len(contracts))
    spot, points, rate, growth = (rng.normal(0, size, n) for size in (0.01, 1.0, 0.2, 0.1))
    left = []
    for h in (1.0, 0.5, 0.25):
        after = moved(before, spot * h, points * h, 1.0 * h * h, rate * h * h, growth * h * h)
        a = attribute(before, after, q)
        np.testing.assert_allclose(total(a), a.actual, atol=1e-6)
        left.append(float(np.sqrt(np.mean(a.line("residual") ** 2))))
    assert left[0] / left[1] == pytest.approx(8, rel=0.15)
    assert left[1] / left[2] == pytest.approx(8, rel=0.08)
    assert left[1] < 0.02 * float(np.sqrt(np.mean(a.actual**2)))


@given(
    st.lists(st.sampled_from([1.0, 2.0, -3.0, 0.0]), min_size=4, max_size=4),
    st.floats(-0.2, 0.2), st.floats(-5, 30), st.floats(0, 60), st.floats(-1, 1),
)  # fmt: skip
def test_the_lines_always_add_up_to_the_profit(
    q: list[float], spot: float, points: float, days: float, r: float
) -> None:
    before = gathered(CALL, PUT, ES, TSLA)
    fills = [Fill(PUT, -1, 12.5, 1.3), Fill(ES, 2, 6000.0, 4.5)]
    a = attribute(before, moved(before, spot, points, days, r), q, fills, spot)
    np.testing.assert_allclose(total(a), a.actual, atol=1e-5)
    assert a.missing == ()
    sums = a.book()
    assert sums["actual"] == pytest.approx(sum(sums[name] or 0.0 for name in LINES), abs=1e-5)


# ── linear contracts and betas ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("quantity", [1, 2, -3])
def test_futures_and_shares_have_delta_alone(quantity: int) -> None:
    before = gathered(ES, TSLA)
    a = attribute(before, moved(before, [0.01, -0.03], 5.0, 3.0), [quantity, quantity], spx_move=0.01)
    assert a.line("delta") == pytest.approx([quantity * 50 * 60.3, quantity * -12.0])
    np.testing.assert_array_equal(a.lines[:, 1:], np.zeros((2, len(LINES) - 1)))
    # beta 2 would have gained 2 % of 400: the rest is the share's own
    assert a.market_delta == pytest.approx([quantity * 50 * 60.3, quantity * 8.0])
    assert a.specific_delta == pytest.approx([0.0, quantity * -20.0], abs=1e-9)


def test_without_an_spx_move_the_market_part_is_unknown_and_the_lines_are_not() -> None:
    before = gathered(ES)
    a = attribute(before, moved(before, 0.01), [1])
    assert math.isnan(a.market_delta[0]) and math.isnan(a.specific_delta[0])
    assert a.book()["delta"] == pytest.approx(3015.0)


# ── trades and fees ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_new_and_closed_positions_have_their_own_lines_by_hand() -> None:
    before = gathered(PUT, TSLA, ES)
    after = moved(before, 0.01)
    old, new = float(before.model[0]), float(after.model[0])
    fills = [Fill(PUT, 2, old + 1.0, 1.3), Fill(TSLA, 100, 401.0, 1.0), Fill(TSLA, -100, 403.0, 1.0)]
    a = attribute(before, after, [-2, 0, 1], fills)
    # bought back at a point above yesterday's price: what the greeks say was earned later is given back by the trade
    assert a.actual[0] == pytest.approx(-2 * 100 * 1.0 - 1.3)
    assert a.line("trades")[0] == pytest.approx(200 * (new - old - 1.0))
    assert a.line("fees")[0] == -1.3
    # a round trip of a day is a trade alone
    assert a.actual[1] == pytest.approx(198.0)
    assert a.line("trades")[1] == pytest.approx(200.0)
    assert not a.lines[1, :12].any()
    np.testing.assert_allclose(total(a), a.actual)


def test_a_position_closed_without_a_last_price_still_has_its_cash_profit() -> None:
    before = gathered(PUT)
    blind = replace(moved(before, 0.01), price=np.array([math.nan]), vol=np.array([math.nan]))
    old = float(before.model[0])
    a = attribute(before, blind, [3], [Fill(PUT, -3, old + 2.0, 2.0)])
    assert a.actual[0] == pytest.approx(3 * 100 * 2.0 - 2.0)
    assert math.isnan(a.line("residual")[0]) and math.isnan(a.line("vega")[0])
    assert a.missing == (f"{PUT}: unknown volatility after, price after",)


def test_a_fee_not_told_yet_makes_the_profit_unknown_by_name() -> None:
    before = gathered(TSLA)
    a = attribute(before, moved(before, 0.01), [10], [Fill(TSLA, 1, 400.0, None)])
    assert a.book()["actual"] is None and a.book()["fees"] is None
    assert a.book()["delta"] == pytest.approx(40.0)
    assert a.missing == ("TSLA: unknown fee of a fill",)


# ── unknown, settled, mismatched ────────────────────────────────────────────────────────────────────────────────────
def test_an_unknown_position_is_named_and_spoils_only_its_own_underlying() -> None:
    blind = Contract("XYZ", CALL.sec_type, "XYZ", 100, EXPIRIES[1], 50.0, CALL.right)
    before = gathered(CALL, blind)
    a = attribute(before, moved(before, 0.01), [1, -2])
    assert a.missing == (
        f"{blind}: unknown spot before, volatility before, price before, spot after, volatility after, price after",
    )
    assert a.book()["delta"] is None and a.book()["trades"] == 0.0
    by_symbol = a.by_underlying()
    assert list(by_symbol) == ["SPX", "XYZ"]
    assert by_symbol["XYZ"]["actual"] is None
    assert by_symbol["SPX"]["actual"] == pytest.approx(float(a.actual[0]))
    assert attribute(before, moved(before, 0.01), [1, 0]).missing == ()


@pytest.mark.parametrize("quantity", [1, 2, -3])
def test_an_option_that_settled_in_between_lost_no_volatility(quantity: int) -> None:
    contract = option(5950.0, "C", EXPIRIES[0])
    view = market()
    later = replace(view, now=NOW + timedelta(days=12), spx=6010.0, surfaces={})
    a = attribute_book([Holding(contract, quantity)], view, later)
    assert a.line("vega")[0] == a.line("rho")[0] == a.line("volga")[0] == 0.0
    worth = float(terms_of([contract], view).price[0])
    assert a.actual[0] == pytest.approx(quantity * 100 * (60.0 - worth))
    assert total(a)[0] == pytest.approx(a.actual[0])


def test_terms_of_other_contracts_and_fills_without_a_row_are_refused() -> None:
    with pytest.raises(ValueError, match="same contracts in the same order"):
        attribute(gathered(CALL, PUT), gathered(PUT, CALL), [1, 1])
    with pytest.raises(ValueError, match="same contracts in the same order"):
        attribute(gathered(CALL), gathered(CALL), [1, 1])
    with pytest.raises(ValueError, match="a fill of TSLA has no row"):
        attribute(gathered(CALL), gathered(CALL), [1], [Fill(TSLA, 1, 400.0)])


# ── two views of the market ─────────────────────────────────────────────────────────────────────────────────────────
def test_a_book_between_two_views_has_one_row_per_contract_and_the_quote_on_its_own_line() -> None:
    deep = option(6500.0)  # in the money: the surface tells its volatility, so a wide quote is no volatility
    fair = float(terms_of([deep], market()).model[0])
    before = market(betas=BETAS, marks={deep.identity: mark(fair + 1.0)})
    after = replace(
        before, now=NOW + timedelta(days=1), spx=SPOT * 1.01, spots={**before.spots, "TSLA": 412.0},
        marks={deep.identity: mark(fair - 40.0)},
    )  # fmt: skip
    holdings = [Holding(deep, 1), Holding(TSLA, 10), Holding(deep, 1)]
    a = attribute_book(holdings, before, after, [Fill(PUT, -1, 20.0, 1.0)])
    assert a.contracts == (deep, TSLA, PUT)
    assert a.actual[0] == pytest.approx(2 * 100 * -41.0)
    gap = -40.0 + fair - float(terms_of([deep], after).model[0]) - 1.0
    assert a.line("quote")[0] == pytest.approx(200 * gap)
    assert a.market_delta[1] == pytest.approx(10 * 400 * 2 * 0.01)
    assert a.line("trades")[2] == pytest.approx(-100 * (float(terms_of([PUT], after).price[0]) - 20.0))
    assert not a.lines[2, :12].any()


def test_an_empty_book_earned_nothing() -> None:
    a = attribute_book([], market(), market())
    assert a.book()["actual"] == 0.0 and a.by_underlying() == {}
