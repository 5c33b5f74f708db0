"""American prices against published tables, a tree of our own and the same scheme refined."""

import csv
from pathlib import Path

import numpy as np
import pytest

from models.quant.american import FAST, FINE, Accuracy, american_price, scheme
from models.quant.pricing import bsm_price
from tests.quant import plain
from tests.quant.american_terms import REFINED, Terms, extreme, ordinary

CLOSE = {FAST: 1e-5, FINE: 1e-6}
"""Of spot."""


def rows(recorded: Path, name: str) -> list[dict[str, str]]:
    with (recorded / "vectors" / name).open() as file:
        return list(csv.DictReader(file))


def terms(table: list[dict[str, str]], t: list[float]) -> Terms:
    columns = (np.array([float(row[name]) for row in table]) for name in ("spot", "strike", "vol", "r", "q"))
    spot, strike, vol, rate, dividend_yield = columns
    calls = np.array([row["type"] == "call" for row in table])
    return Terms(spot, strike, np.array(t), vol, rate, dividend_yield, calls)


@pytest.mark.recorded
@pytest.mark.parametrize("accuracy", [FAST, FINE])
def test_haugs_and_jus_contracts_within_our_error_of_their_exact_values(recorded: Path, accuracy: Accuracy) -> None:
    """The table's exact values are computed at whole days of a year of 360."""
    table = rows(recorded, "american_haug_ju.csv")
    assert len(table) > 90
    a = terms(table, [round(float(row["t"]) * 360) / 360 for row in table])
    exact = np.array([float(row["highprec_qdfp"]) for row in table])
    assert np.max(np.abs(american_price(*a, accuracy) - exact) / a.spot) < CLOSE[accuracy]


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("name", "within"), [("juValues", 0.08), ("testBaroneAdesiWhaleyValues", 0.04), ("testBjerksundStenslandValues", 5)]
)
def test_the_printed_prices_are_approximations_of_ours(recorded: Path, name: str, within: float) -> None:
    """Ju's and Barone-Adesi and Whaley's lie about the exact value; Bjerksund and Stensland's is a lower bound, far
    below at the 1000 % of volatility that one of their rows has."""
    table = [row for row in rows(recorded, "american_haug_ju.csv") if row["table"] == name]
    a = terms(table, [float(row["t"]) for row in table])
    above = american_price(*a) - np.array([float(row["price"]) for row in table])
    assert np.abs(above).max() < within
    assert np.median(np.abs(above)) < 0.007
    if name == "testBjerksundStenslandValues":
        assert above.min() > -1e-4


@pytest.mark.recorded
@pytest.mark.parametrize(("accuracy", "within"), [(FAST, 1e-5), (FINE, 1e-6), (REFINED, 5e-8)])
def test_andersens_lakes_and_offengendens_premium(recorded: Path, accuracy: Accuracy, within: float) -> None:
    """Their own premia are known to the digits in which their two equations agree: the tolerance of the table."""
    table = rows(recorded, "american_alo_premium.csv")
    a = terms(table, [float(row["days"]) / 365 for row in table])
    premium = american_price(*a, accuracy) - bsm_price(*a)
    published, theirs = (np.array([float(row[name]) for row in table]) for name in ("value", "abs_tol"))
    assert np.all(np.abs(premium - published) <= theirs + within * a.spot)


def test_it_is_what_a_tree_finds() -> None:
    """Leisen and Reimer's, extrapolated from 401 and 803 steps: 4e-5 of spot at worst, a millionth in the mean."""
    a = ordinary(20261125, 300)
    error = np.abs(american_price(*a) - plain.american(*a)) / 100
    assert error.max() < 1e-4
    assert error.mean() < 2e-6


@pytest.mark.parametrize("accuracy", [FAST, FINE])
def test_three_thousand_contracts_keep_the_promised_error(accuracy: Accuracy) -> None:
    a = ordinary(7, 3000)
    error = np.abs(american_price(*a, accuracy) - american_price(*a, REFINED)) / a.spot
    assert error.max() < CLOSE[accuracy]


@pytest.mark.parametrize("accuracy", [FAST, FINE])
def test_no_extreme_escapes_the_promise(accuracy: Accuracy) -> None:
    """An hour and ten years, vol 2 and 300 %, rates vanishing, equal, negative: measured by the larger of both."""
    a = extreme(20261125, 3000)
    ours = american_price(*a, accuracy)
    assert np.isfinite(ours).all()
    error = np.abs(ours - american_price(*a, REFINED)) / np.maximum(a.spot, a.strike)
    assert error.max() < CLOSE[accuracy]


def test_extremes_are_what_the_tree_finds_too() -> None:
    """So that the scheme is not only near itself: where the tree's own steps are fine enough to tell."""
    a = extreme(11, 400)
    a = a.where((a.vol * np.sqrt(a.t) < 2) & (np.abs(a.rate - a.dividend_yield) * np.sqrt(a.t) < 3 * a.vol))
    error = np.abs(american_price(*a) - plain.american(*a)) / np.maximum(a.spot, a.strike)
    assert error.max() < 3e-4
    assert np.quantile(error, 0.9) < 2e-5


def test_one_boundary_serves_every_shorter_time_and_every_spot() -> None:
    """As a scenario uses it: solved once for the whole time, read at a part of it."""
    from models.quant.kernels import reprice_american

    a = ordinary(3, 400)
    shares, moves = np.array([1.0, 0.9, 0.5, 0.2, 0.05, 0.01, 0.001, 0.0]), np.linspace(-0.3, 0.3, 7)
    out, left = np.empty((a.t.size, shares.size, moves.size)), np.ascontiguousarray(shares[:, None] * a.t)
    ones = np.ones(a.t.size)
    reprice_american.american_each(
        scheme(FAST), a.spot, ones, a.strike, a.t, a.rate, a.dividend_yield, a.vol, ones, a.is_call, left, moves,
        np.zeros(moves.size), out,
    )  # fmt: skip
    strike, vol, rate, yields, calls = (x[:, None] for x in (a.strike, a.vol, a.rate, a.dividend_yield, a.is_call))
    for d in range(shares.size):
        there = a.spot[:, None] * (1 + moves)
        alone = american_price(there, strike, left[d][:, None], vol, rate, yields, calls, REFINED)
        assert np.max(np.abs(out[:, d] - alone) / a.spot[:, None]) < 2e-5, shares[d]
