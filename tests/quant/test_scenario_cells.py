"""Every cell of a scenario against the contract priced again on its own, for a book of everything the desk may hold."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from models.quant.american import american, american_on_future, american_price
from models.quant.beta import Beta
from models.quant.option import Contract, Right, SecType
from models.quant.pricing import black76, bsm
from models.quant.scenario import STRESS_CELLS, matrix_pnl, revalue, scenario_pnl, stress_vectors
from models.quant.terms import Holding, MarketView, Terms, terms_of
from models.quant.vectors import contract_greeks, vectorise
from tests.quant import plain
from tests.quant.american_terms import REFINED
from tests.quant.quant_market import NOW, future, mark, market, option, stock

SPOTS, VOLS, DAYS = (-0.20, -0.05, 0.0, 0.02, 0.10), (-3.0, 0.0, 15.0), (0.0, 7.0, 30.0, 400.0)
NEAR, QUARTER = date(2026, 10, 2), date(2026, 12, 18)


def spy(strike: float, right: str) -> Contract:
    return option(strike, right, NEAR, "SPY", "SPY")


def on_es(strike: float, right: str, trading_class: str = "ES", expiry: date = QUARTER) -> Contract:
    return Contract("ES", SecType.FUTURE_OPTION, trading_class, 50, expiry, strike, Right(right))


PRICED = {
    option(5700.0): 41.0, option(6200.0, "C"): 38.0, option(6000.0, "P", QUARTER, "SPX"): 190.0,
    spy(570.0, "P"): 4.4, spy(640.0, "P"): 41.5, spy(600.0, "C"): 13.0,
    on_es(5800.0, "P"): 120.0, on_es(6300.0, "C"): 95.0, on_es(5900.0, "P", "EW1", NEAR): 60.0,
    option(380.0, "P", NEAR, "TSLA", "TSLA"): 14.0,
}  # fmt: skip
LINEAR = [future("ES", 50), future("MES", 5), stock("SPY"), stock("TSLA"), stock("KO")]
QUANTITIES = [1.0, -2.0, 3.0, 1.0, -3.0, 2.0, -1.0, 2.0, 1.0, -2.0, 1.0, -2.0, -300.0, 100.0, 50.0]


def view(**changes: object) -> MarketView:
    marks = {c.identity: mark(price) for c, price in PRICED.items()}
    spots = {"SPY": 600.0, "TSLA": 400.0, "KO": 70.0, "ES": 6030.0, "MES": 6030.0}
    betas = {"TSLA": Beta(2.0, "IBKR"), "KO": Beta(-0.1, "IBKR")}
    return market(**{"marks": marks, "spots": spots, "betas": betas, "surfaces": {}, **changes})


@pytest.fixture(scope="module")
def terms() -> Terms:
    return terms_of([*PRICED, *LINEAR], view())


def alone(terms: Terms, i: int, spot: float, points: float, days: float) -> float:
    """Profit of one contract in one cell: the textbook for European, the refined boundary for American options."""
    s, beta, k = terms.spot[i], terms.beta[i], terms.strike[i]
    factor = max(1 + beta * spot, 0.01)
    if not terms.is_option[i]:
        return float(abs(s) * (factor - 1) * terms.multiplier[i])
    t, vol, r, q, call = (x[i] for x in (terms.t, terms.vol, terms.rate, terms.dividend_yield, terms.is_call))
    change = 0.01 * points * np.sqrt(30 / max(terms.dte[i], 7))

    def price(*inputs: float) -> float:
        if terms.is_american[i]:
            return float(american_price(*inputs, REFINED))
        return float(plain.bsm(*inputs)["price"])

    now, then = plain.repriced(price, s, k, t, vol, r, q, call, [(1.0, 0.0, 0.0), (factor, change, days)])
    return float((then - now) * terms.multiplier[i])


def allowed(terms: Terms, i: int) -> float:
    """A European cell to eleven digits, an American one to 2e-5 of spot."""
    return float(terms.multiplier[i] * terms.spot[i] * (2e-5 if terms.is_american[i] else 1e-10))


def test_the_book_holds_what_it_says(terms: Terms) -> None:
    assert np.isfinite(terms.price).all()
    assert np.isfinite(terms.vol[terms.is_option]).all()
    american_rows = [c.trading_class for c, early in zip(terms.contracts, terms.is_american, strict=True) if early]
    assert american_rows == ["SPY", "SPY", "SPY", "ES", "ES", "TSLA"]
    assert terms.on_future.sum() == 3


@pytest.mark.parametrize("days", [0.0, 7.0, 30.0, 400.0])
def test_every_cell_of_every_contract_is_that_contract_priced_again(terms: Terms, days: float) -> None:
    spots, points = (list(x) for x in zip(*[(s, v) for v in VOLS for s in SPOTS], strict=True))
    profit = revalue(terms, spots, points, days)
    assert profit.shape == (len(terms.contracts), len(spots))
    for i in range(len(terms.contracts)):
        expected = [alone(terms, i, s, v, days) for s, v in zip(spots, points, strict=True)]
        np.testing.assert_allclose(profit[i], expected, atol=allowed(terms, i), err_msg=str(terms.contracts[i]))


def test_the_matrix_is_the_sum_of_its_contracts_in_the_order_spot_vol_day(terms: Terms) -> None:
    matrix = matrix_pnl(terms, QUANTITIES, SPOTS, VOLS, DAYS)
    assert matrix.shape == (len(SPOTS), len(VOLS), len(DAYS))
    for a, spot in enumerate(SPOTS):
        for b, points in enumerate(VOLS):
            for c, days in enumerate(DAYS):
                whole = float(np.array(QUANTITIES) @ revalue(terms, [spot], [points], days)[:, 0])
                assert matrix[a, b, c] == pytest.approx(whole, abs=0.05), (spot, points, days)


@pytest.mark.parametrize("quantity", [1, 2, -3])
@pytest.mark.parametrize("contract", [option(5700.0), spy(640.0, "P"), on_es(6300.0, "C"), stock("TSLA")])
def test_a_position_is_a_multiple_of_its_contract(contract: Contract, quantity: int) -> None:
    one = scenario_pnl([Holding(contract, 1)], view(), SPOTS, VOLS, DAYS)
    many = scenario_pnl([Holding(contract, quantity)], view(), SPOTS, VOLS, DAYS)
    np.testing.assert_allclose(many, quantity * one, rtol=1e-9, atol=1e-7)


def test_american_cells_that_share_a_boundary_are_those_of_a_boundary_each(terms: Terms) -> None:
    rows = np.flatnonzero(terms.is_american)
    spots = np.linspace(-0.35, 0.35, 21)
    for days in (0.0, 10.0, 25.0, 30.9):
        profit = revalue(terms, spots, np.zeros(21), days)[rows] / terms.multiplier[rows, None]
        for row, i in enumerate(rows):
            moved = terms.spot[i] * np.maximum(1 + terms.beta[i] * spots, 0.01)
            left = max(terms.t[i] - days / 365, 0.0)
            rest = (terms.vol[i], terms.rate[i], terms.dividend_yield[i], terms.is_call[i], REFINED)
            there = american_price(moved, terms.strike[i], left, *rest)
            now = american_price(terms.spot[i], terms.strike[i], terms.t[i], *rest)
            assert np.max(np.abs(profit[row] - (there - now))) / terms.spot[i] < 1e-5


def test_days_past_expiry_leave_what_exercise_pays(terms: Terms) -> None:
    profit = revalue(terms, [-0.10], [0.0], 400.0)[:, 0]
    for i in np.flatnonzero(terms.is_option):
        s = terms.spot[i] * (1 - 0.10 * terms.beta[i])
        paid = max(s - terms.strike[i] if terms.is_call[i] else terms.strike[i] - s, 0.0)
        assert profit[i] == pytest.approx(terms.multiplier[i] * (paid - terms.model[i]), abs=allowed(terms, i))


def test_the_stress_grid_is_a_revaluation_in_its_cells(terms: Terms) -> None:
    cells = np.array(STRESS_CELLS)
    np.testing.assert_array_equal(stress_vectors(terms), revalue(terms, cells[:, 0], cells[:, 1]))


def test_an_unknown_cell_is_unknown_and_its_neighbours_are_not(terms: Terms) -> None:
    profit = revalue(terms, [0.0, np.nan, 0.1, 0.1], [0.0, 0.0, np.nan, 5.0])
    np.testing.assert_array_equal(np.isnan(profit), np.tile([False, True, True, False], (len(terms.contracts), 1)))
    matrix = matrix_pnl(terms, QUANTITIES, [0.0, np.nan], [0.0, 5.0], [0.0, np.nan])
    assert np.isfinite(matrix[0, :, 0]).all()
    assert np.isnan(matrix[1]).all()
    assert np.isnan(matrix[:, :, 1]).all()


@pytest.mark.parametrize("field", ["spot", "strike", "t", "vol", "beta", "discount", "carry"])
def test_an_unknown_term_makes_its_own_row_unknown_and_any_book_that_holds_it(terms: Terms, field: str) -> None:
    for i in (0, 3, 6):  # a European, an American, an American on a future
        column = getattr(terms, field).copy()
        column[i] = np.nan
        blind = replace(terms, **{field: column})
        unknown = np.isnan(revalue(blind, [0.0, 0.1], [0.0, 0.0])).all(axis=1)
        np.testing.assert_array_equal(np.flatnonzero(unknown), [i])
        assert np.isnan(matrix_pnl(blind, QUANTITIES, SPOTS, VOLS, DAYS)).all()


def test_no_cells_and_no_contracts_are_empty(terms: Terms) -> None:
    assert revalue(terms, [], []).shape == (len(terms.contracts), 0)
    assert revalue(terms_of([], view()), [0.0, 0.1], [0.0, 0.0]).shape == (0, 2)
    np.testing.assert_array_equal(scenario_pnl([], view(), [0.0], [0.0], [0.0, 1.0]), np.zeros((1, 1, 2)))


def test_greeks_of_each_kind_are_those_of_its_own_model(terms: Terms) -> None:
    g = contract_greeks(terms)
    for i, contract in enumerate(terms.contracts):
        s, k, t, v, r, q = (
            x[i] for x in (terms.spot, terms.strike, terms.t, terms.vol, terms.rate, terms.dividend_yield)
        )
        call = terms.is_call[i]
        if contract.sec_type is SecType.FUTURE_OPTION:
            expected = (american_on_future if terms.is_american[i] else black76)(s, k, t, v, r, call)
        elif contract.is_option:
            expected = (american if terms.is_american[i] else bsm)(s, k, t, v, r, q, call)
        else:
            expected = None
        for name in plain.NAMES:
            linear = {"price": s, "delta": 1.0}.get(name, 0.0)
            truth = linear if expected is None else float(getattr(expected, name))
            assert getattr(g, name)[i] == pytest.approx(truth, rel=1e-12, abs=1e-15), (contract, name)


def test_an_option_at_its_settlement_minute_has_its_intrinsic_value_and_delta() -> None:
    late = view(now=NOW.replace(year=2027))
    for contract, delta in ((option(6200.0), -1.0), (option(5700.0), 0.0), (spy(640.0, "P"), -1.0)):
        settled = terms_of([contract], replace(late, marks={}))
        g = contract_greeks(settled)
        assert float(g.delta[0]) == pytest.approx(delta, abs=1e-9)
        assert float(g.gamma[0]) == float(g.vega[0]) == float(g.theta[0]) == 0.0


def test_vectors_are_greeks_in_currency(terms: Terms) -> None:
    v, g = vectorise([*PRICED, *LINEAR], view()), contract_greeks(terms)
    per_percent = terms.beta * terms.spot * 0.01
    np.testing.assert_allclose(v.spx_delta, terms.multiplier * g.delta * per_percent, rtol=1e-12)
    np.testing.assert_allclose(v.gamma, terms.multiplier * g.gamma * per_percent**2, rtol=1e-12)
    # the grid's small moves are those vectors' first and second order
    small = revalue(terms, [-0.001, 0.001], [0.0, 0.0])
    first = (small[:, 1] - small[:, 0]) / 0.2
    np.testing.assert_allclose(first, v.spx_delta, rtol=2e-3, atol=2.0)
