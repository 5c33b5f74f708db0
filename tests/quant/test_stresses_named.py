"""The named stresses say what the recorded closes say, and reprice the book in full."""

import csv
import gzip
import io
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from models.quant.beta import Beta
from models.quant.option import Contract
from models.quant.pricing import bsm_price
from models.quant.product import expiry_instant, years_to
from models.quant.stresses import NamedStress, StressFileError, load_stresses, stress_book, stress_positions
from models.quant.terms import Holding, terms_of
from tests.quant.quant_market import EXPIRIES, NOW, SPOT, future, market, option, stock

NAME = "models/stresses.toml"
TEXT = (Path(__file__).parents[2] / NAME).read_text(encoding="utf-8")
STRESSES = load_stresses(TEXT, NAME)
BY_NAME = {s.name: s for s in STRESSES}
ONE = """version = 1
[[stress]]
name = "a day"
since = 2020-03-13
until = 2020-03-16
spx_move = -0.12
vol_points = 24.86
vol_index = "VIX"
sentence = "One day."
source = "closes"
"""


def test_the_five_days_of_the_desk_are_there_with_their_calendar_days() -> None:
    assert {s.name: s.days for s in STRESSES} == {
        "1987-10-19": 3, "2008-10": 27, "2018-02-05": 3, "2020-03": 26, "2024-08-05": 3,
    }  # fmt: skip


def test_black_monday_is_as_cboe_tells_it() -> None:
    crash = BY_NAME["1987-10-19"]
    assert crash.spx_move == pytest.approx(224.84 / 282.70 - 1, abs=5e-5)
    assert crash.vol_points == pytest.approx(150.19 - 36.37)
    assert crash.vol_index == "VXO"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("version = 1", "version = 2", "version: is 2; this desk reads version 1"),
        ("version = 1", "version = ", "is not TOML"),
        ('sentence = "One day."', 'sentence = " "', "stress.1.sentence: ' ' is not a text"),
        ('source = "closes"', 'sources = "closes"', "stress.1.sources: unknown key"),
        ('source = "closes"', "", "stress.1.source: missing key"),
        ("spx_move = -0.12", "spx_move = -12", "stress.1.spx_move: -12 has the wrong sign or size"),
        ("spx_move = -0.12", 'spx_move = "-0.12"', "stress.1.spx_move: '-0.12' is not a number"),
        ('"VIX"', '"VVIX"', "stress.1.vol_index: 'VVIX' is not one of VIX, VXO"),
        ("2020-03-16", "2020-03-13", "stress.1.until: 2020-03-13 is not after since, 2020-03-13"),
        ("2020-03-16", '"2020-03-16"', "stress.1.until: '2020-03-16' is not a date"),
        ("2020-03-16", "2020-03-16T16:00:00", "stress.1.until: .* is not a date"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_its_name_and_key(old: str, new: str, words: str) -> None:
    with pytest.raises(StressFileError, match=f"mine.toml: {words}"):
        load_stresses(ONE.replace(old, new), "mine.toml")


def test_a_name_may_appear_once() -> None:
    again = ONE + ONE.removeprefix("version = 1\n")
    with pytest.raises(StressFileError, match=r"stress\.2\.name: 'a day' appears twice"):
        load_stresses(again, "mine.toml")


# ── against the recorded closes ─────────────────────────────────────────────────────────────────────────────────────
def rows(path: Path) -> list[dict[str, str]]:
    if path.suffix == ".gz":
        with gzip.open(path) as raw:
            return list(csv.DictReader(io.TextIOWrapper(raw)))
    with path.open() as plain:
        return list(csv.DictReader(plain))


@pytest.fixture(scope="module")
def closes(recorded: Path) -> dict[str, dict[date, float]]:
    daily = recorded / "daily"
    spy = rows(daily / "SPY_1993_2026.csv.gz")
    return {
        "VIX": {date.fromisoformat(r["DATE"]): float(r["CLOSE"]) for r in rows(daily / "vix_daily.csv")},
        "SPY": {date.fromisoformat(r["Date"][:10]): float(r["Close"]) for r in spy},
        "dividends": {date.fromisoformat(r["Date"][:10]): float(r["Dividends"]) for r in spy},
        "ES": {date.fromisoformat(r["Date"][:10]): float(r["Close"]) for r in rows(daily / "ES_F_2000_2026.csv.gz")},
    }


@pytest.mark.recorded
@pytest.mark.parametrize("name", [s.name for s in STRESSES if s.vol_index == "VIX"])
def test_the_moves_are_those_of_the_recorded_closes(closes: dict[str, dict[date, float]], name: str) -> None:
    one = BY_NAME[name]
    spy, vix, es = closes["SPY"], closes["VIX"], closes["ES"]
    assert one.spx_move == pytest.approx(spy[one.until] / spy[one.since] - 1, abs=5e-5)
    assert one.vol_points == pytest.approx(vix[one.until] - vix[one.since], abs=5e-3)
    assert f"{vix[one.since]:.2f} to {vix[one.until]:.2f}" in one.source
    # the file's closes are adjusted: without an ex-date in between their ratio is the price's
    assert not any(paid for day, paid in closes["dividends"].items() if one.since < day <= one.until)
    # the future closes up to a quarter of an hour later, on some of these days a whole per cent away
    assert one.spx_move == pytest.approx(es[one.until] / es[one.since] - 1, abs=0.015)


@pytest.mark.recorded
def test_the_two_months_run_from_where_they_say_to_the_peak_of_volatility(
    closes: dict[str, dict[date, float]],
) -> None:
    spy, vix = closes["SPY"], closes["VIX"]
    lehman, pandemic = BY_NAME["2008-10"], BY_NAME["2020-03"]
    october = [day for day in vix if (day.year, day.month) == (2008, 10)]
    assert lehman.since == max(day for day in spy if day < min(october))
    assert lehman.until == max(october, key=vix.__getitem__) == min(october, key=spy.__getitem__)
    assert pandemic.since == max((day for day in spy if day <= pandemic.until), key=spy.__getitem__)
    assert pandemic.until == max(vix, key=vix.__getitem__)


# ── the book in a stress ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("quantity", [1, 2, -3])
@pytest.mark.parametrize(("strike", "right"), [(6100.0, "C"), (5400.0, "P")])
def test_an_option_in_a_stress_is_the_option_priced_again(strike: float, right: str, quantity: int) -> None:
    view, c = market(), option(strike, right, EXPIRIES[2])
    terms = terms_of([c], view)
    t, surface = years_to(expiry_instant(c), NOW), view.surfaces["SPX"]
    rate = -np.log(surface.discount(c)) / t  # type: ignore[arg-type]
    q = rate - np.log(surface.forward(c) / SPOT) / t  # type: ignore[operator]
    table = stress_book([Holding(c, quantity)], view, STRESSES)
    base = float(bsm_price(SPOT, strike, t, terms.vol[0], rate, q, right == "C"))
    for one, profit in zip(STRESSES, table.total, strict=True):
        vol = terms.vol[0] + one.vol_points / 100 * np.sqrt(30 / 45)
        there = bsm_price(SPOT * (1 + one.spx_move), strike, t - one.days / 365, vol, rate, q, right == "C")
        assert profit == pytest.approx(quantity * 100 * (float(there) - base), rel=1e-9, abs=1e-5)


@pytest.mark.parametrize("quantity", [1, 2, -3])
def test_an_option_that_expires_within_the_month_is_left_with_its_intrinsic_value(quantity: int) -> None:
    put = option(5700.0, "P", EXPIRIES[0])  # ten days; the month lasts 27
    view = market()
    value = float(terms_of([put], view).model[0])
    (profit,) = stress_book([Holding(put, quantity)], view, [BY_NAME["2008-10"]]).total
    assert profit == pytest.approx(quantity * 100 * (5700 - SPOT * (1 - 0.2762) - value), abs=1e-6)


def test_shares_and_futures_move_by_beta_and_contributions_add_up() -> None:
    view = market(betas={"TSLA": Beta(2.0, "IBKR")})
    holdings = [Holding(stock("TSLA"), -50), Holding(future("ES", 50), 2), Holding(option(5700.0), -3)]
    table = stress_book(holdings, view, STRESSES)
    assert table.contributions.shape == (3, 5)
    for i, one in enumerate(STRESSES):
        assert table.contributions[0, i] == pytest.approx(-50 * 400 * 2 * one.spx_move)
        assert table.contributions[1, i] == pytest.approx(2 * 50 * 6030 * one.spx_move)
    np.testing.assert_allclose(table.total, table.contributions.sum(axis=0))
    assert (table.contributions[2] < 0).all()
    assert table.missing == ()


def test_a_position_that_cannot_be_priced_makes_the_total_unknown_by_name() -> None:
    blind = Contract("XYZ", option(1.0).sec_type, "XYZ", 100, EXPIRIES[1], 50.0, option(1.0).right)
    table = stress_book([Holding(blind, 1), Holding(stock("SPY"), 10)], market(), STRESSES)
    assert np.isnan(table.total).all()
    assert np.isfinite(table.contributions[1]).all()
    assert table.missing == (f"{blind}: cannot be priced in a stress",)
    terms = terms_of([blind, stock("SPY")], market())
    without = stress_positions(terms, [0, 10], STRESSES)
    assert np.isfinite(without.total).all() and without.missing == ()


def test_an_empty_book_loses_nothing() -> None:
    np.testing.assert_array_equal(stress_book([], market(), STRESSES).total, np.zeros(5))


def test_a_quiet_stress_of_no_days_changes_nothing() -> None:
    still = NamedStress("still", date(2026, 9, 1), date(2026, 9, 1), 0.0, 0.0, "VIX", "Nothing.", "none")
    table = stress_book([Holding(option(6000.0, "C"), 2)], market(), [still])
    np.testing.assert_allclose(table.total, 0.0, atol=1e-5)
