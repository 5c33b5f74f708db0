"""The scan of futures and their options: its scenarios, a published array, and that it says it is an approximation."""

import csv
import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from models.quant.margin import estimate_margin
from models.quant.margin_rules import SCAN_STEPS, SCANS
from models.quant.margin_scan import risk_arrays, scan_risk
from models.quant.option import Contract, Right, SecType
from models.quant.pricing import black76
from models.quant.product import expiry_instant, years_to
from models.quant.terms import Holding, terms_of
from tests.quant.quant_market import NOW, RATE, future, mark, market

MONTH = date(2026, 9, 18)
FUTURE_PROFIT = [
    0,
    0,
    3330,
    3330,
    -3330,
    -3330,
    6670,
    6670,
    -6670,
    -6670,
    10_000,
    10_000,
    -10_000,
    -10_000,
    7000,
    -7000,
]


def es(strike: float, right: str = "P", trading_class: str = "EW3") -> Contract:
    return Contract("ES", SecType.FUTURE_OPTION, trading_class, 50, MONTH, strike, Right(right))


@pytest.mark.recorded
def test_a_published_array_gives_the_published_requirements(recorded: Path) -> None:
    with (recorded / "vectors" / "margin_worked_examples.csv").open() as file:
        row = next(r for r in csv.DictReader(file) if r["class"] == "FOP")
    call = [float(x) for x in re.findall(r"[+-]\d+", row["source"] + row["convention"])]
    assert len(call) == 16
    assert scan_risk([call], [1]) == float(row["margin_requirement"]) == 3990
    assert scan_risk([call], [-2]) == 2 * 8060
    # the covered write of the same page: long the future (range 10 000), short the call
    assert scan_risk([FUTURE_PROFIT, call], [1, -1]) == 6620


def test_the_scenarios_are_the_sixteen_of_span() -> None:
    moves = [(round(p * 3), v) for p, v, counted in SCAN_STEPS if counted == 1.0]
    assert moves == [(p, v) for p in (0, 1, -1, 2, -2, 3, -3) for v in (1, -1)]
    assert SCAN_STEPS[14:] == ((2.0, 0.0, 0.35), (-2.0, 0.0, 0.35))
    scan = SCANS["ES"][1]
    terms = terms_of([future("ES", 50), future("MES", 5)], market())
    assert risk_arrays(terms, scan)[0, 10] == pytest.approx(50 * scan.price)
    assert risk_arrays(terms, scan)[1] == pytest.approx(risk_arrays(terms, scan)[0] / 10)
    assert np.array(FUTURE_PROFIT) == pytest.approx(risk_arrays(terms, scan)[0] * 10_000 / (50 * scan.price), abs=5)


@pytest.mark.parametrize("strike", [5400.0, 5800.0, 6030.0, 6400.0])
@pytest.mark.parametrize("right", ["C", "P"])
def test_each_profit_is_a_repricing_a_day_later(strike: float, right: str) -> None:
    contract, scan = es(strike, right), SCANS["ES"][1]
    view = market(marks={contract.identity: mark(max((6030 - strike) * (1 if right == "C" else -1), 0) + 30)})
    terms = terms_of([contract], view)
    array, t = risk_arrays(terms, scan)[0], years_to(expiry_instant(contract), NOW)
    for profit, (price, vol, counted) in zip(array, SCAN_STEPS, strict=True):
        spot, iv = 6030 + price * scan.price, float(terms.vol[0]) * (1 + vol * scan.vol)
        then = black76(spot, strike, t - 1 / 365, iv, RATE, right == "C").price
        now = black76(6030, strike, t, terms.vol[0], RATE, right == "C").price
        assert profit == pytest.approx(50 * counted * float(then - now), abs=1e-6)


def test_an_estimate_with_futures_says_it_is_an_approximation() -> None:
    assert "SPAN 2 since October 2024" in estimate_margin([Holding(future("ES", 50), 1)], market()).method
    assert "SPAN" not in estimate_margin([Holding(Contract("SPY", SecType.STOCK, "SPY"), 1)], market()).method


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_short_option_asks_its_scan_and_its_value_a_long_one_nothing(n: int) -> None:
    put = es(5800.0)
    view = market(marks={put.identity: mark(20.0)})
    array = risk_arrays(terms_of([put], view), SCANS["ES"][1])
    short = estimate_margin([Holding(put, -n)], view)
    assert short.maintenance == pytest.approx(n * (array.max() + 1000))
    assert short.initial == pytest.approx(1.1 * n * (array.max() + 1000))
    assert estimate_margin([Holding(put, n)], view).initial == 0.0


def test_a_future_and_its_micro_are_one_family_and_hedge_its_options() -> None:
    put = es(5800.0)
    view = market(marks={put.identity: mark(20.0)})
    flat = estimate_margin([Holding(future("ES", 50), 1), Holding(future("MES", 5), -10)], view)
    assert flat.initial == pytest.approx(0.0, abs=1e-6)
    alone = estimate_margin([Holding(put, -1)], view).initial
    hedged = estimate_margin([Holding(put, -1), Holding(future("MES", 5), -3)], view).initial
    assert alone is not None and hedged is not None and hedged < alone


def test_the_quarterly_option_is_american_and_dearer_to_be_short_of_deep_in_the_money() -> None:
    deep, scan = 7400.0, SCANS["ES"][1]
    view = market(marks={es(deep).identity: mark(1371.0), es(deep, "P", "ES").identity: mark(1371.0)})
    american = risk_arrays(terms_of([es(deep, "P", "ES")], view), scan)[0]
    assert american[12] == pytest.approx(50 * 440, rel=0.01)  # point for point


def test_without_a_volatility_the_scan_is_unknown() -> None:
    e = estimate_margin([Holding(es(5800.0), -1)], market(surfaces={}))
    assert e.initial is None
    assert "EW3" in e.missing[0]
