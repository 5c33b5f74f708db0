"""Option books that pass their limits, drawn by seed on the recorded chains: what the proposer must put right.

The chain is the recorded one with its real markets, the surface is fitted to it, and the book is one that a seller of
options would hold, scaled until its fullest cap is passed by a drawn amount.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import numpy as np
from numpy.random import Generator

from models.quant.breach import BreachKind, detect_breaches, measure_use, smallest_hedge_lot
from models.quant.candidate import MarginEffect, Scene
from models.quant.fitted import fitted_mids
from models.quant.limits import Limits
from models.quant.margin import MarginBook
from models.quant.margin_rules import IBKR
from models.quant.option import Contract, Right, SecType
from models.quant.portfolio import ContractVectors, Exposure, Holding, exposure_from
from models.quant.product import dte
from models.quant.regime import Profile, Regime, RegimeBook, load_regimes
from models.quant.structure import QuoteSource
from models.quant.terms import Mark, MarketView
from models.quant.vectors import vectorise
from tests.quant.recorded_chains import DAYS, RATE, chain, close_of, surface, underlying

APPETITE = Path(__file__).parents[2] / "models" / "risk_regimes.toml"
REACH = (0.6, 1.25)  # strikes as shares of spot
BOOK_DAYS = (10, 75)  # days to expiry of what a book holds
SYMBOLS = ("SPX", "SPX", "SPX", "SPX", "SPY")
VIX = {Regime.LOW: 13.0, Regime.NEUTRAL: 18.0, Regime.HIGH: 26.0, Regime.CRISIS: 38.0, Regime.UNKNOWN: None}
TERM = {Regime.LOW: 1.15, Regime.NEUTRAL: 1.02, Regime.HIGH: 0.97, Regime.CRISIS: 0.92, Regime.UNKNOWN: None}
REGIMES = (Regime.NEUTRAL, Regime.NEUTRAL, Regime.LOW, Regime.LOW, Regime.HIGH, Regime.HIGH, Regime.CRISIS)
USES = (1.08, 2.0)  # how full the fullest cap of a book stands
MARGIN_USE = 1.2  # of its cap at most: a broker would have sold the rest
FRONT = date(2026, 9, 18)
LINEAR = (
    Contract("SPY", SecType.STOCK, "SPY"),
    Contract("ES", SecType.FUTURE, "ES", 50, FRONT),
    Contract("MES", SecType.FUTURE, "MES", 5, FRONT),
)
Lots = dict[Contract, float]


@dataclass(frozen=True)
class Market:
    """One recorded afternoon: the view, every option within reach priced on its real market, and the surface's word."""

    symbol: str
    spot: float
    view: MarketView
    vectors: ContractVectors
    fitted: np.ndarray


@cache
def appetite() -> RegimeBook:
    return load_regimes(APPETITE.read_text(), APPETITE.name)


@cache
def recorded_market(folder: Path, symbol: str, day: date) -> Market:
    """The chain of `symbol` and the linear benchmarks; the index level gives the futures their price."""
    spx = underlying(folder, "SPX", day)["close"]
    spot = underlying(folder, symbol, day)["close"]
    now = close_of(day)
    prices = {"SPY": spot if symbol == "SPY" else spx / 10, "ES": spx, "MES": spx}
    view = MarketView(
        now=now, spx=spx, spots=prices, surfaces={symbol: surface(folder, symbol, day)}, rate=RATE,
        marks={c.identity: Mark(prices[c.symbol], QuoteSource.REAL, now) for c in LINEAR},
    )  # fmt: skip
    quotes = [
        q for q in chain(folder, symbol, day)
        if BOOK_DAYS[0] <= dte(q.contract.expiry, now) <= BOOK_DAYS[1]
        and REACH[0] * spot <= (q.contract.strike or 0) <= REACH[1] * spot
    ]  # fmt: skip
    contracts = (*LINEAR, *(q.contract for q in quotes))
    sides = {q.contract.identity: (q.bid, q.ask) for q in quotes}
    return Market(symbol, spot, view, vectorise(contracts, view, sides), fitted_mids(contracts, view))


def seeded_market(folder: Path, seed: int) -> Market:
    return recorded_market(folder, SYMBOLS[seed % len(SYMBOLS)], DAYS[(seed // len(SYMBOLS)) % len(DAYS)])


def seeded_scene(folder: Path, seed: int) -> Scene:
    """A book in breach of at least one cap; the same for the same seed. `folder` holds the recorded market data."""
    rng, market = np.random.default_rng(seed), seeded_market(folder, seed)
    nlv = float(round(10 ** rng.uniform(math.log10(250e3), math.log10(5e6)), -3))
    limits = _limits(rng, nlv)
    lot = smallest_hedge_lot(market.view.spx)
    while True:
        lots = _book(rng, market)
        held = _sized(lots, rng, market, limits, lot)
        exposure = _exposure(market, held, nlv)
        if any(breach.is_cap for breach in detect_breaches(exposure, limits, lot)):
            return _scene(market, held, exposure, limits, lot)


def _limits(rng: Generator, nlv: float) -> Limits:
    profile = Profile.CLASSIC if rng.random() < 0.3 else Profile.DESK
    regime = Regime.UNKNOWN if rng.random() < 0.06 else REGIMES[int(rng.integers(len(REGIMES)))]
    return appetite().limits(profile, regime, nlv, VIX[regime], TERM[regime])


def _scene(market: Market, held: Lots, exposure: Exposure, limits: Limits, lot: float) -> Scene:
    """Only the window's options and what is held, as the desk's own pass sees them."""
    hedges, v = appetite().hedges, market.vectors
    mine = np.array([c in held for c in v.contracts])
    rows = np.flatnonzero(mine | ~v.is_option | ((v.dte >= hedges.dte_min) & (v.dte <= hedges.dte_max)))
    book = MarginBook([Holding(c, n) for c, n in held.items()], market.view, IBKR)

    def margin_of(added: Sequence[Holding]) -> MarginEffect | None:
        change = book.change(added)
        return None if change.initial is None else MarginEffect(change.initial, change.maintenance)

    return Scene(
        vectors=v.take(rows),
        exposure=exposure,
        limits=limits,
        hedges=hedges,
        gates=appetite().gates,
        spx=market.view.spx,
        held={c.identity: n for c, n in held.items()},
        smallest_lot=lot,
        available_funds=max(0.25 * (limits.nlv or 0.0), (limits.nlv or 0.0) - (exposure.margin_used or 0.0)),
        margin_of=margin_of,
        fitted=market.fitted[rows],
    )


def _exposure(market: Market, held: Lots, nlv: float) -> Exposure:
    margin = MarginBook([Holding(c, n) for c, n in held.items()], market.view, IBKR).estimate().maintenance
    return exposure_from(market.vectors, _quantities(market, held), nlv, margin)


def _quantities(market: Market, held: Lots) -> np.ndarray:
    return market.vectors.quantities({c.identity: n for c, n in held.items()})


def _sized(lots: Lots, rng: Generator, market: Market, limits: Limits, lot: float) -> Lots:
    """Scaled until the fullest cap stands at a drawn use; in whole lots. A zero cap is passed at any size."""
    uses = {bar.kind: bar.use or 0.0 for bar in measure_use(_exposure(market, lots, limits.nlv or 0.0), limits, lot)}
    uses.pop(BreachKind.THETA)
    fullest, margin = max(uses.values()), uses[BreachKind.MARGIN]
    scale = rng.uniform(*USES) / fullest if fullest > 0 else 1.0
    if margin > 0:
        scale = min(scale, MARGIN_USE / margin)
    return {c: float(np.sign(q) * max(round(abs(q) * scale), 1)) for c, q in lots.items()}


# ── what a seller of options holds ──────────────────────────────────────────────────────────────────────────────
def _book(rng: Generator, market: Market) -> Lots:
    """One to three structures together, sometimes with futures beside them."""
    lots: Lots = {}
    names = list(STRUCTURES)
    for name in rng.choice(names, size=int(rng.integers(1, 4)), replace=False):
        weight = float(rng.integers(1, 6))
        for contract, quantity in STRUCTURES[str(name)](rng, market).items():
            lots[contract] = lots.get(contract, 0.0) + weight * quantity
    if rng.random() < 0.3:
        lots[LINEAR[int(rng.integers(1, 3))]] = float(rng.choice([-1, 1]) * rng.integers(1, 4))
    return {c: n for c, n in lots.items() if n}


def _expiry(rng: Generator, market: Market, low: int = 10, high: int = 60) -> date:
    days = sorted({c.expiry for c in market.vectors.contracts if c.is_option and c.expiry})
    today = market.view.now.date()
    near = [d for d in days if today + timedelta(days=low) <= d <= today + timedelta(days=high)]
    return near[int(rng.integers(len(near)))]


def _at(market: Market, expiry: date, right: Right, moneyness: float) -> Contract:
    """The listed, priced option of that expiry whose strike is nearest to moneyness × spot; the first class by name."""
    v, target = market.vectors, moneyness * market.spot
    there = [
        c for i, c in enumerate(v.contracts)
        if c.expiry == expiry and c.right is right and v.known[i] and v.bid[i] > 0
    ]  # fmt: skip
    return min(there, key=lambda c: (abs((c.strike or 0) - target), c.trading_class))


def _short_strangle(rng: Generator, market: Market) -> Lots:
    day = _expiry(rng, market)
    put = _at(market, day, Right.PUT, rng.uniform(0.90, 0.97))
    call = _at(market, day, Right.CALL, rng.uniform(1.02, 1.06))
    return {put: -1.0, call: -float(rng.integers(0, 2))}


def _iron_condor(rng: Generator, market: Market) -> Lots:
    day, wing = _expiry(rng, market), rng.uniform(0.01, 0.03)
    put, call = rng.uniform(0.92, 0.97), rng.uniform(1.02, 1.05)
    return {
        _at(market, day, Right.PUT, put - wing): 2.0,
        _at(market, day, Right.PUT, put): -2.0,
        _at(market, day, Right.CALL, call): -2.0,
        _at(market, day, Right.CALL, call + wing): 2.0,
    }


def _calendar(rng: Generator, market: Market) -> Lots:
    """Short the near, long the far; or the other way round."""
    near, far = _expiry(rng, market, 10, 30), _expiry(rng, market, 35, 75)
    right, where = Right(str(rng.choice(["C", "P"]))), rng.uniform(0.95, 1.03)
    sign = float(rng.choice([1, -1]))
    return {_at(market, near, right, where): -sign, _at(market, far, right, where): sign}


def _ratio_spread(rng: Generator, market: Market) -> Lots:
    """Long one, short two further out, on the puts' side mostly."""
    day, puts = _expiry(rng, market), rng.random() < 0.7
    right, away = (Right.PUT, -1.0) if puts else (Right.CALL, 1.0)
    first = rng.uniform(0.01, 0.04)
    near = _at(market, day, right, 1 + away * first)
    return {near: 1.0, _at(market, day, right, 1 + away * (first + rng.uniform(0.02, 0.05))): -2.0}


def _naked_puts(rng: Generator, market: Market) -> Lots:
    return {_at(market, _expiry(rng, market), Right.PUT, rng.uniform(0.85, 0.96)): -2.0}


def _put_spread(rng: Generator, market: Market) -> Lots:
    day, high = _expiry(rng, market), rng.uniform(0.94, 0.99)
    low = _at(market, day, Right.PUT, high - rng.uniform(0.01, 0.04))
    return {_at(market, day, Right.PUT, high): -2.0, low: 2.0}


STRUCTURES: dict[str, Callable[[Generator, Market], Lots]] = {
    "short strangle": _short_strangle,
    "iron condor": _iron_condor,
    "calendar": _calendar,
    "ratio spread": _ratio_spread,
    "naked puts": _naked_puts,
    "put credit spread": _put_spread,
}
