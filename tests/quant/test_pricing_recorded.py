"""Published vectors (Haug, Hull) against our own prices and greeks."""

import csv
from pathlib import Path

import pytest

from models.quant.pricing import bsm, bsm_price

pytestmark = pytest.mark.recorded


def rows(recorded: Path, name: str) -> list[dict[str, str]]:
    with (recorded / "vectors" / name).open() as file:
        return list(csv.DictReader(file))


def arguments(row: dict[str, str]) -> tuple[float, float, float, float, float, float, bool]:
    numbers = (float(row[name]) for name in ("spot", "strike", "t", "vol", "r", "q"))
    return (*numbers, row["type"] == "call")  # type: ignore[return-value]


def test_haugs_prices_to_their_printed_digits(recorded: Path) -> None:
    table = rows(recorded, "european_haug_prices.csv")
    assert len(table) > 30
    for row in table:
        assert float(bsm_price(*arguments(row))) == pytest.approx(float(row["price"]), abs=float(row["abs_tol"])), row


def test_haugs_greeks_in_his_units(recorded: Path) -> None:
    for row in rows(recorded, "european_haug_greeks.csv"):
        spot, strike, t, vol, rate, dividend, call = arguments(row)
        g = bsm(spot, strike, t, vol, rate, dividend, call)
        whole_theta = float(g.theta + g.carry)
        dividend_rho = -t * spot * float(g.delta)
        found = {
            "delta": float(g.delta), "gamma": float(g.gamma), "vega": float(g.vega) * 100, "rho": float(g.rho) * 100,
            "theta": whole_theta * 365, "theta per day": whole_theta,
            "elasticity": float(g.delta) * spot / float(g.price),
            "dividendRho": dividend_rho,
        }[row["greek"]]  # fmt: skip
        # the source signs dividend rho of the put by its size
        assert found == pytest.approx(float(row["value"]), abs=float(row["abs_tol"])), row


def test_hulls_examples_to_fifteen_digits_of_their_mpmath_reference(recorded: Path) -> None:
    for row in rows(recorded, "european_hull_pyvollib_docs.csv"):
        g = bsm(*arguments(row))
        found = {
            "price": g.price, "delta": g.delta, "gamma": g.gamma, "vega": g.vega * 100, "rho": g.rho * 100,
            "theta": (g.theta + g.carry) * 365,
        }[row["quantity"]]  # fmt: skip
        assert float(found) == pytest.approx(float(row["mpmath_reference"]), rel=1e-12), row
