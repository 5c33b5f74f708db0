"""The main job on real input: a recorded chain, a breach, one click, one order, and a cure the venue confirms."""

import asyncio
import csv
import gzip
import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from ib_async import IB
from playwright.sync_api import Browser, Page, expect

from database.store import Store, open_store
from models.order import TradeJournal
from models.quant.lifecycle import Instruction
from tests.desk_run import DeskRun, eventually

pytestmark = [pytest.mark.browser, pytest.mark.recorded, pytest.mark.timeout(300)]

CHAIN = "options/cboe_spx/2026-08-21.csv.gz"
NEW_YORK = ZoneInfo("America/New_York")
RATE = 0.04
DEC, MAR, SEP, OCT = "2026-12-18", "2027-03-19", "2026-09-30", "2026-10-16"
CASH = 3_000_000
# Twenty positions: short long-dated strangles under a few long wings, shares and a future; too short volatility and
# too short the market for three million under the desk profile.
OPTIONS = (
    ("SPX", DEC, "P", 7600, -5), ("SPX", DEC, "P", 7500, -1), ("SPX", DEC, "P", 7400, -1), ("SPX", DEC, "C", 7700, -6),
    ("SPX", DEC, "C", 7800, -3), ("SPX", DEC, "C", 7900, -1), ("SPX", MAR, "P", 7500, -4), ("SPX", MAR, "P", 7300, -1),
    ("SPX", MAR, "C", 7800, -6), ("SPX", MAR, "C", 8000, -2), ("SPXW", SEP, "P", 7100, 1), ("SPXW", SEP, "P", 7000, 1),
    ("SPXW", SEP, "P", 6900, 1), ("SPXW", SEP, "P", 6700, 1), ("SPXW", OCT, "P", 6800, 1), ("SPXW", SEP, "C", 8000, 1),
    ("SPXW", SEP, "C", 8100, 7), ("SPXW", OCT, "C", 8200, 1),
)  # fmt: skip
BOOK = [
    *({"symbol": "SPX", "sec_type": "OPT", "trading_class": cls, "expiry": day, "right": right, "strike": strike,
       "quantity": quantity} for cls, day, right, strike, quantity in OPTIONS),
    {"symbol": "SPY", "sec_type": "STK", "quantity": 569},
    {"symbol": "ES", "sec_type": "FUT", "quantity": -1},
]  # fmt: skip


# ── the reference: the venue's own positions and the recorded quotes, priced by Black's formula written out again ────
@dataclass(frozen=True)
class Risk:
    """Currency: per vol point weighted by √(30/max(DTE, 7)), and per +1 % of SPX."""

    vega_weighted: float
    spx_delta: float


@dataclass(frozen=True)
class Held:
    symbol: str
    sec_type: str
    trading_class: str
    expiry: str
    strike: float
    right: str
    quantity: float
    multiplier: float


def normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def black(forward: float, strike: float, years: float, vol: float, call: bool) -> float:
    d1 = math.log(forward / strike) / (vol * math.sqrt(years)) + vol * math.sqrt(years) / 2
    d2 = d1 - vol * math.sqrt(years)
    sign = 1 if call else -1
    return sign * (forward * normal(sign * d1) - strike * normal(sign * d2))


def implied(price: float, forward: float, strike: float, years: float, call: bool) -> float:
    low, high = 1e-3, 3.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if black(forward, strike, years, middle, call) < price else (low, middle)
    return (low + high) / 2


class Chain:
    """Recorded mids by (class, expiry); the forward of each expiry by put-call parity at the money."""

    def __init__(self, path: Path) -> None:
        self.mids: dict[tuple[str, str], dict[tuple[float, str], float]] = {}
        with gzip.open(path, "rt") as file:
            for row in csv.DictReader(file):
                bid, ask = float(row["bid"]), float(row["ask"])
                if bid > 0 and ask > 0:
                    key = (row["option"][:-15], row["expiry"])
                    self.mids.setdefault(key, {})[float(row["strike"]), row["right"]] = (bid + ask) / 2

    def forward(self, key: tuple[str, str], years: float) -> float:
        mids, grow = self.mids[key], math.exp(RATE * years)
        pairs = [(k, grow * (mids[k, "C"] - mids[k, "P"])) for k, right in mids if right == "C" and (k, "P") in mids]
        nearest = sorted(pairs, key=lambda pair: abs(pair[1]))[:9]
        return float(np.median([strike + gap for strike, gap in nearest]))

    def risk(self, held: list[Held], spot: float, prices: dict[str, float], now: datetime) -> Risk:
        vega = delta = 0.0
        for one in held:
            if one.sec_type != "OPT":
                delta += one.quantity * one.multiplier * prices[one.symbol] * 0.01
                continue
            day = date.fromisoformat(one.expiry)
            settled = time(9, 30) if one.trading_class == "SPX" else time(16, 0)
            years = (datetime.combine(day, settled, NEW_YORK) - now).total_seconds() / (365 * 86400)
            key = (one.trading_class, one.expiry)
            forward, call = self.forward(key, years), one.right == "C"
            outside = "C" if one.strike >= forward else "P"  # the out-of-the-money side carries the volatility
            price = self.mids[key].get((one.strike, outside), math.nan) * math.exp(RATE * years)
            vol = implied(price, forward, one.strike, years, outside == "C")
            d1 = math.log(forward / one.strike) / (vol * math.sqrt(years)) + vol * math.sqrt(years) / 2
            discount, density = math.exp(-RATE * years), math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
            size = one.quantity * one.multiplier
            days = (day - now.astimezone(NEW_YORK).date()).days
            weight = math.sqrt(30 / max(days, 7))
            vega += weight * size * discount * forward * density * math.sqrt(years) * 0.01
            share = discount * forward / spot * (normal(d1) if call else normal(d1) - 1)
            delta += size * share * spot * 0.01
        return Risk(vega, delta)


# ── what the venue says of itself, through a client of its own ───────────────────────────────────────────────────────
@dataclass(frozen=True)
class VenueWord:
    held: list[Held]
    nlv: float
    references: list[str]
    executions: list[str]
    spot: float
    prices: dict[str, float]
    vix: float
    vix3m: float
    now: datetime


async def ask_venue(port: int) -> VenueWord:
    ib = IB()
    await ib.connectAsync("127.0.0.1", port, clientId=77, timeout=20, raiseSyncErrors=True)
    try:
        from ib_async import Contract, Index, Stock

        positions = ib.positions()
        future = [p.contract for p in positions if p.contract.secType == "FUT"]
        wanted = [Index("SPX", "CBOE"), Index("VIX", "CBOE"), Index("VIX3M", "CBOE"), Stock("SPY", "SMART", "USD"),
                  *(Contract(conId=c.conId, exchange="CME") for c in future)]  # fmt: skip
        await ib.qualifyContractsAsync(*wanted)
        tickers = await ib.reqTickersAsync(*wanted)
        last = {t.contract.symbol: t.marketPrice() for t in tickers if t.contract}
        completed = await ib.reqCompletedOrdersAsync(False)
        open_now = await ib.reqAllOpenOrdersAsync()
        net = [v for v in await ib.accountSummaryAsync() if v.tag == "NetLiquidation"]
        return VenueWord(
            [held_of(p) for p in positions],
            float(net[0].value),
            [trade.order.orderRef for trade in (*completed, *open_now)],
            [fill.execution.orderRef for fill in ib.fills() if fill.contract.secType != "BAG"],
            last["SPX"],
            {"SPY": last["SPY"], "ES": last["ES"]},
            last["VIX"],
            last["VIX3M"],
            await ib.reqCurrentTimeAsync(),
        )
    finally:
        ib.disconnect()


def held_of(position: Any) -> Held:
    c = position.contract
    day = c.localSymbol.strip()[-15:-9]  # the settlement date: IBKR lists AM options under their eve
    expiry = f"20{day[:2]}-{day[2:4]}-{day[4:6]}" if c.secType == "OPT" else ""
    return Held(c.symbol, c.secType, c.tradingClass, expiry, c.strike, c.right[:1], position.position,
                float(c.multiplier or 1))  # fmt: skip


def limits_of(word: VenueWord) -> Risk:
    """The desk profile's floor and cap by DOMAIN.md section 2, in the regime the venue's own indices say."""
    assert word.vix < 20, "the recorded day was calm; the scalers below are its own"
    term = word.vix3m / word.vix
    scale = 1.10 if term >= 1.10 else 1.0
    low = word.vix < 15 and term > 1.10
    return Risk((-0.006 if low else -0.008) * word.nlv * scale, (0.010 if low else 0.008) * word.nlv * scale)


def apart(work: Any) -> Any:
    """Run a coroutine in a thread of its own: Playwright keeps a loop in this one."""
    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(lambda: asyncio.run(work)).result()


@dataclass
class RealDesk:
    run: DeskRun

    def store(self, question: Any) -> Any:
        async def ask() -> Any:
            store = await open_store(self.run.database_url, mode="DEMO", var_dir=self.run.folder, now=datetime.now(UTC))
            try:
                return await question(store)
            finally:
                await store.close()

        return apart(ask())

    def venue(self) -> VenueWord:
        place = self.run.venue()
        assert place is not None, "no venue was started"
        word: VenueWord = apart(ask_venue(int(str(place["port"]))))
        return word


@pytest.fixture
def real_desk(recorded: Path, tmp_path: Path, empty_url: str) -> Any:
    book = tmp_path / "book.json"
    book.write_text(json.dumps({"cash": CASH, "positions": BOOK}))
    env = {"VENUE_CHAIN": str(recorded / CHAIN), "VENUE_BOOK": str(book), "VENUE_SPEED": "1"}
    with DeskRun(tmp_path / "var", empty_url, env) as run:
        yield RealDesk(run)


async def finished_journal(store: Store) -> TradeJournal | None:
    rows = await store.orders.journal(5)
    return rows[0] if rows and rows[0].greeks_after else None


def open_proposals(page: Page, desk: RealDesk) -> None:
    page.goto(f"{desk.run.url}/proposals")
    expect(page.get_by_role("button", name="Approve")).to_be_enabled(timeout=60_000)


def test_one_click_crosses_one_order_and_the_breach_is_cured(
    recorded: Path, real_desk: RealDesk, chromium: Browser
) -> None:
    desk, chain = real_desk, Chain(recorded / CHAIN)
    desk.run.start_staff()
    desk.run.start_cockpit()
    eventually(lambda: desk.store(lambda s: s.proposals.last_check(None)), 90, f"a check\n{desk.run.log('staff')}", 1)

    before = desk.venue()
    limits, risk = limits_of(before), chain.risk(before.held, before.spot, before.prices, before.now)
    assert len(before.held) == 20
    assert risk.vega_weighted < limits.vega_weighted, "the book must begin below its vega floor"
    assert abs(risk.spx_delta) > limits.spx_delta, "the book must begin above its delta cap"
    assert before.references == []

    page = chromium.new_context(viewport={"width": 1440, "height": 900}).new_page()
    open_proposals(page, desk)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("filled").first).to_be_visible(timeout=60_000)
    page.context.close()

    journal = eventually(lambda: desk.store(finished_journal), 60, f"the journal\n{desk.run.log('staff')}", 0.5)
    approved_at = desk.store(lambda s: s.proposals.get(journal.proposal_id)).decided_at

    async def later_check(store: Store) -> Any:
        check = await store.proposals.last_check(None)
        return check if check is not None and check.at > approved_at else None

    eventually(lambda: desk.store(later_check), 60, f"the next pass\n{desk.run.log('staff')}", 0.5)

    after = desk.venue()
    limits, risk = limits_of(after), chain.risk(after.held, after.spot, after.prices, after.now)
    assert risk.vega_weighted >= limits.vega_weighted
    assert abs(risk.spx_delta) <= limits.spx_delta

    [order] = desk.store(lambda s: s.orders.recent(10))
    assert order.status == Instruction.FILLED
    assert after.references == [order.order_ref]
    assert set(after.executions) == {order.order_ref}
    assert journal.order_ref == order.order_ref
    assert journal.greeks_before["vega_weighted"] < journal.greeks_after["vega_weighted"]
    broken = {row.kind for row in desk.store(lambda s: s.appetite.open_breaches()) if row.is_cap}
    assert not broken & {"vega", "delta"}
