"""One proposer pass over the whole recorded SPX chain: price, generate, screen and weigh, without what-ifs."""

import csv
import gzip
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from agents.proposer_engine import KEPT, Account, ProposerEngine, listed
from bridge.outlook import REGIMES_FILE, Outlook
from models.market import ChainRow
from models.quant.fitted import fitted_mids
from models.quant.option import Contract, Right, SecType, parse_osi
from models.quant.proposing import propose
from models.quant.regime import Profile, load_regimes
from models.quant.structure import QuoteSource
from models.quant.surface import OptionQuote, fit_surface
from models.quant.terms import Holding, Mark, MarketView
from models.quant.vectors import vectorise
from tests.benchmarks.report import Row, median_seconds
from tests.conftest import RECORDED
from tests.test_main_job import BOOK, CASH, CHAIN

NOW = datetime(2026, 8, 21, 19, 45, tzinfo=UTC)
SPOT = 7674.37
FRONT = date(2026, 9, 18)


def recorded_quotes(path: Path) -> list[OptionQuote]:
    quotes = []
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            cls, expiry, right, strike = parse_osi(row["option"])
            if expiry > NOW.date():
                contract = Contract("SPX", SecType.OPTION, cls, 100, expiry, strike, right)
                quotes.append(OptionQuote(contract, float(row["bid"]) or None, float(row["ask"]) or None))
    return quotes


def held() -> tuple[Holding, ...]:
    rows = []
    for line in BOOK:
        quantity, symbol = float(str(line["quantity"])), str(line["symbol"])
        if line["sec_type"] == "OPT":
            expiry, right = date.fromisoformat(str(line["expiry"])), Right(str(line["right"]))
            contract = Contract(
                symbol, SecType.OPTION, str(line["trading_class"]), 100, expiry, float(str(line["strike"])), right
            )
        elif line["sec_type"] == "FUT":
            contract = Contract(symbol, SecType.FUTURE, symbol, 50, FRONT)
        else:
            contract = Contract(symbol, SecType.STOCK, symbol)
        rows.append(Holding(contract, quantity))
    return tuple(rows)


def measure() -> list[Row]:
    path = RECORDED / CHAIN
    if not path.exists():
        print(f"no recorded chain at {path}: nothing measured")
        return []
    quotes = recorded_quotes(path)
    started = time.perf_counter()
    surface = fit_surface("SPX", SPOT, NOW, quotes)
    fit = time.perf_counter() - started
    marks = {
        q.contract.identity: Mark((q.bid + q.ask) / 2, QuoteSource.REAL, NOW) for q in quotes if q.bid and q.ask
    }  # fmt: skip
    book = held()
    linear = (Contract("SPY", SecType.STOCK, "SPY"), Contract("ES", SecType.FUTURE, "ES", 50, FRONT),
              Contract("MES", SecType.FUTURE, "MES", 5, FRONT))  # fmt: skip
    prices = {"SPY": SPOT / 10, "ES": SPOT, "MES": SPOT}
    marks |= {c.identity: Mark(prices[c.symbol], QuoteSource.REAL, NOW) for c in linear}
    view = MarketView(
        now=NOW, spx=SPOT, spots={"SPX": SPOT, **prices},
        marks={c.identity: marks[c.identity] for c in (*linear, *(h.contract for h in book))},
        surfaces={"SPX": surface}, betas={}, rate=0.04,
    )  # fmt: skip
    appetite = load_regimes(REGIMES_FILE.read_text(), REGIMES_FILE.name)
    reading = appetite.detect(14.9, 18.3, 87.0, None)
    outlook = Outlook(view, appetite, Profile.DESK, reading, reading.regime, 14.9, 18.3 / 14.9, None)
    account = Account("SIM0000001", book, (), float(CASH), 0.6 * CASH, 0.4 * CASH)
    classes: dict[str, dict[str, dict[str, list[float]]]] = {}
    for quote in quotes:
        c = quote.contract
        rights = classes.setdefault(c.trading_class, {}).setdefault(str(c.expiry), {"C": [], "P": []})
        rights[str(c.right)].append(float(c.strike or 0))
    rows = [ChainRow(symbol="SPX", trading_class=cls, exchange="CBOE", multiplier=100, expirations=sorted(days),
                     strikes=[], listed=days, at=NOW) for cls, days in classes.items()]  # fmt: skip
    options = [c for row in rows for c in listed(row, appetite.hedges, SPOT, NOW)]
    engine = ProposerEngine(account, outlook)
    contracts = tuple(dict.fromkeys((*account.contracts, *linear, *options)))
    sides = {q.contract.identity: (q.bid, q.ask) for q in quotes if q.bid and q.ask}
    vectors = vectorise(contracts, view, sides)
    scene = replace(engine.scene(vectors), fitted=fitted_mids(contracts, view))
    found = propose(scene, keep=KEPT)
    assert found.ranked, found.sentence
    seconds = median_seconds(lambda: propose(scene, keep=KEPT))
    whole = median_seconds(lambda: engine.propose([*linear, *options]), runs=3)
    print(f"{len(options):,} options in the window, {found.looked_at:,} candidates, {found.sentence}")
    return [
        Row(f"{found.looked_at:,} candidates sized, gated and the best 200 valued exactly", seconds, "s", goal=1.0),
        Row("of that, a million candidates", 1e6 * seconds / found.looked_at, "s", goal=1.0),
        Row("proposer pass over the recorded chain, pricing included, no what-ifs", whole, "s", goal=2.0),
        Row("surface fit of the whole recorded chain", fit, "s"),
    ]
