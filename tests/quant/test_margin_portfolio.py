"""Portfolio margin against the exchange's printed examples to 1 %, and by hand: points, least charges, offsets."""

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models.quant.margin import estimate_margin
from models.quant.margin_houses import HIGH_CAP, IBKR_LIKE, OCC, SINGLE
from models.quant.margin_portfolio import PortfolioMargin, portfolio_margin, portfolio_trade
from models.quant.option import Contract, Right, SecType
from models.quant.pricing import bsm_price
from models.quant.terms import Holding, MarketView, terms_of
from tests.quant.quant_market import future, mark, market, option, stock

LEG = re.compile(r"([+-]\d+) (call|put|shares)(?: K=([\d.]+))?(?: px=([\d.]+))?(?: dte=(\d+))?")
CLOSE, RATE = datetime(2007, 2, 23, 21, 0, tzinfo=UTC), 0.0525  # the federal funds rate of the day
YIELD = 0.019
EXPIRY, SPX = date(2007, 4, 20), 1451.19


def asked(margin: PortfolioMargin) -> float:
    assert margin.maintenance is not None, margin.missing
    return margin.maintenance


@pytest.mark.recorded
def test_the_boards_equity_examples_of_2007(recorded: Path) -> None:
    """Volatility from each printed price; IBM paid no dividend before April, as put-call parity of the page agrees."""
    with (recorded / "vectors" / "margin_cboe_2007.csv").open() as file:
        for row in csv.DictReader(file):
            book, marks = [], {}
            for sign, what, strike, price, dte in LEG.findall(row["legs"]):
                contract = stock("IBM")
                if what != "shares":
                    expiry = CLOSE.date() + timedelta(days=int(dte))
                    contract = Contract(
                        "IBM", SecType.OPTION, "IBM", 100, expiry, float(strike), Right(what[0].upper())
                    )
                book.append(Holding(contract, float(sign)))
                marks[contract.identity] = mark(float(price))
            view = MarketView(CLOSE, None, {"IBM": float(row["spot"])}, marks, rate=RATE)
            wanted = float(row["portfolio_margin_requirement"])
            assert asked(portfolio_margin(book, view)) == pytest.approx(wanted, rel=0.002), row["case"]


# The index half of the same page (studylib.net/doc/11615061), not among the vectors: 100 SPX options, 100 000 SPDRs at
# 145.30; legs are (count, right or S for shares, strike, price).
INDEX = [
    ("short call", [(-100, "C", 1460, 21.66)], 2_088_685, 654_514),
    ("short put", [(-100, "P", 1460, 22.55)], 2_176_785, 948_203),
    ("covered call", [(100_000, "S", 0, 145.30), (-100, "C", 1460, 21.66)], 7_048_400, 948_342),
    ("protective put", [(100_000, "S", 0, 145.30), (100, "P", 1450, 18.72)], 7_452_200, 272_402),
    ("synthetic long", [(100, "C", 1460, 21.66), (-100, "P", 1460, 22.55)], 2_393_385, 1_162_261),
    ("risk reversal", [(100, "P", 1450, 18.72), (-100, "C", 1500, 5.96)], 1_875_885, 625_592),
    ("collar", [(100_000, "S", 0, 145.30), (100, "P", 1450, 18.72), (-100, "C", 1500, 5.96)], 7_392_600, 212_909),
    ("vertical", [(100, "C", 1450, 27.57), (-100, "C", 1500, 5.96)], 216_100, 210_984),
    ("long straddle", [(100, "P", 1450, 18.72), (100, "C", 1450, 27.56)], 462_800, 7_500),
]


@pytest.mark.parametrize(("name", "legs", "strategy", "portfolio"), INDEX, ids=[x[0] for x in INDEX])
def test_the_boards_index_examples_of_2007(
    name: str, legs: list[tuple[int, str, float, float]], strategy: float, portfolio: float
) -> None:
    """At the yield of the index in early 2007; with it every example comes to a quarter of a per cent."""
    years = 56 / 365
    forward = SPX * np.exp((RATE - YIELD) * years)
    surface = SimpleNamespace(
        spot=SPX,
        forward=lambda contract: forward,
        discount=lambda contract: float(np.exp(-RATE * years)),
        iv=lambda contract, strikes: np.full(len(strikes), np.nan),
    )
    book, marks, premium = [], {}, 0.0
    for count, what, strike, price in legs:
        contract = stock("SPY")
        if what != "S":
            contract = Contract("SPX", SecType.OPTION, "SPX", 100, EXPIRY, strike, Right(what))
            premium += 100 * count * price
        book.append(Holding(contract, count))
        marks[contract.identity] = mark(price)
    view = MarketView(CLOSE, SPX, {}, marks, {"SPX": surface}, rate=RATE)  # type: ignore[dict-item]
    estimate = estimate_margin(book, view)
    assert estimate.initial is not None
    assert estimate.initial + premium == pytest.approx(strategy, abs=1)
    assert asked(portfolio_margin(book, view)) == pytest.approx(portfolio, rel=0.003)


def test_a_class_is_looked_at_in_five_equal_steps_each_way() -> None:
    assert HIGH_CAP.points == pytest.approx((-0.08, -0.064, -0.048, -0.032, -0.016, 0.012, 0.024, 0.036, 0.048, 0.06))
    assert SINGLE.points[0] == -0.15
    assert len(SINGLE.points) == 10


@pytest.mark.parametrize("n", [1, 2, -3])
def test_shares_ask_their_class_and_single_names_fifteen_per_cent(n: int) -> None:
    assert asked(portfolio_margin([Holding(stock("AAPL"), n)], market())) == pytest.approx(abs(n) * 200 * 0.15)
    down = asked(portfolio_margin([Holding(stock("SPY"), n)], market()))
    assert down == pytest.approx(abs(n) * 600 * (0.08 if n > 0 else 0.06))
    strict = portfolio_margin([Holding(stock("AAPL"), n)], market(), IBKR_LIKE)
    assert strict.maintenance == pytest.approx(abs(n) * 200 * (0.25 if n > 0 else 0.30))
    assert strict.initial == pytest.approx(1.1 * strict.maintenance)
    assert "IBKR-like" in strict.method


def test_a_geared_fund_moves_by_its_multiple_within_its_index() -> None:
    view = market(spots={"SSO": 100.0, "SDS": 30.0, "SPY": 600.0})
    assert asked(portfolio_margin([Holding(stock("SSO"), 10)], view)) == pytest.approx(1000 * 0.16)
    assert asked(portfolio_margin([Holding(stock("SDS"), 10)], view)) == pytest.approx(300 * 0.12)
    hedged = portfolio_margin([Holding(stock("SSO"), 60), Holding(stock("SPY"), -20)], view)
    assert asked(hedged) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("n", [1, 2, -3])
def test_every_option_contract_asks_at_least_three_eighths(n: int) -> None:
    far = option(4800.0)
    margin = portfolio_margin([Holding(far, n)], market(marks={far.identity: mark(0.05)}))
    assert margin.products[0].classes[0].least == pytest.approx(37.5 * abs(n))
    assert asked(margin) >= 37.5 * abs(n)
    flat = portfolio_margin([Holding(far, n), Holding(replace(far, trading_class="SPX"), -n)], market())
    assert asked(flat) >= 75 * abs(n)


def test_the_index_its_tenth_and_its_fund_are_one_class() -> None:
    book = [Holding(stock("SPY"), 1000), Holding(option(6000.0, "C"), -1), Holding(option(6000.0), 1)]
    conversion = portfolio_margin(book, market())
    assert asked(conversion) < 0.01 * 600_000
    (product,) = conversion.products
    assert [c.name for c in product.classes] == ["S&P 500"]


def test_between_classes_of_a_product_part_of_a_gain_counts() -> None:
    view = market(spots={"SPY": 600.0, "DIA": 400.0, "QQQ": 500.0})
    book = [Holding(stock("SPY"), 100), Holding(stock("DIA"), -150)]  # 60 000 against 60 000
    assert asked(portfolio_margin(book, view)) == pytest.approx(60_000 * 0.08 * (1 - 0.9))
    assert asked(portfolio_margin(book, view, IBKR_LIKE)) == pytest.approx(60_000 * (0.08 + 0.06))
    apart = portfolio_margin([book[0], Holding(stock("QQQ"), -120)], view)
    assert asked(apart) == pytest.approx(60_000 * (0.08 + 0.10))


def test_american_options_are_priced_as_american() -> None:
    put = Contract("AAPL", SecType.OPTION, "AAPL", 100, date(2027, 6, 18), 230.0, Right.PUT)
    view = market(marks={put.identity: mark(34.0)}, surfaces={})
    american = asked(portfolio_margin([Holding(put, -1)], view))
    assert american == pytest.approx(100 * (230 - 170 - 34), rel=0.002)  # exercised at once at −15 %
    terms = terms_of([put], view)
    moved = 0.85 * terms.spot
    european = bsm_price(moved, terms.strike, terms.t, terms.vol, terms.rate, terms.dividend_yield, terms.is_call)
    assert 100 * float(european[0] - 34) < 0.95 * american


def test_futures_stand_apart_and_are_scanned() -> None:
    margin = portfolio_margin([Holding(stock("SPY"), 100), Holding(future("ES", 50), -1)], market())
    assert margin.maintenance == pytest.approx(60_000 * 0.08 + 22_000)
    assert [line.what for line in margin.scanned] == ["ES futures and options, scanned"]


@pytest.mark.parametrize("book", [lambda: [Holding(option(5700.0), -2)], list])
def test_a_trade_shows_before_and_after(book: Callable[[], list[Holding]]) -> None:
    wing = option(5600.0)
    trade = portfolio_trade(book(), [Holding(wing, 2)], market())
    assert trade.before == portfolio_margin(book(), market())
    assert trade.after == portfolio_margin([*book(), Holding(wing, 2)], market())
    assert trade.maintenance == pytest.approx(asked(trade.after) - asked(trade.before))
    assert trade.maintenance == trade.initial  # the exchange's own house asks no more initially


def test_what_cannot_be_priced_is_unknown_by_name() -> None:
    blind = Contract("XYZ", SecType.OPTION, "XYZ", 100, date(2027, 6, 18), 230.0, Right.PUT)
    margin = portfolio_margin([Holding(blind, 1), Holding(stock("SPY"), 1)], market())
    assert (margin.initial, margin.maintenance) == (None, None)
    assert "XYZ" in margin.missing[0]
    assert portfolio_trade([Holding(blind, 1)], [Holding(stock("SPY"), 1)], market()).maintenance is None


def test_an_empty_account_asks_nothing() -> None:
    assert portfolio_margin([], market(), OCC).maintenance == 0.0
