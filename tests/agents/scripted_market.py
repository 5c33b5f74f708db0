"""Market data that a test scripts: prices by name, or one smile for a whole chain."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from adapters.base import Answer, CashDividends, ChainListing, NotConnected, PriceBar, SessionState, Tick
from models.clock import DeskClock
from models.quant.option import Contract, Right, SecType
from models.quant.pricing import black76
from models.quant.product import NEW_YORK, expiry_instant, years_to
from models.quant.structure import QuoteSource


class ScriptedMarketData:
    """MarketData of five minutes' work: it quotes whatever `price` says, at once, to whoever subscribed."""

    def __init__(
        self, prices: dict[str, Tick], chains: Sequence[ChainListing] = (), futures: Sequence[Contract] = ()
    ) -> None:
        self.prices = prices
        self.chains = tuple(chains)
        self.listed_futures = tuple(futures)
        self.state = SessionState.LOGGED_OUT
        self.subscribed: list[tuple[Contract, ...]] = []
        self.refuse_connection = False
        self.told_dividends: dict[str, CashDividends] = {}
        self._fresh: dict[str, Tick] = {}

    lines: int | None = 100

    @property
    def clock(self) -> DeskClock:
        return DeskClock.utc(datetime.now(UTC))

    async def connect(self) -> None:
        if self.refuse_connection:
            raise NotConnected("nobody listens there; start the venue")
        self.state = SessionState.READY

    async def close(self) -> None:
        self.state = SessionState.LOGGED_OUT

    async def qualify(self, contracts: Sequence[Contract]) -> Answer[dict[Contract, int]]:
        return Answer.of({c: abs(hash(c.identity)) for c in contracts})

    async def chain(self, symbol: str) -> Answer[tuple[ChainListing, ...]]:
        return Answer.of(tuple(c for c in self.chains if c.symbol == symbol))

    async def listed(self, symbol: str, trading_class: str, expiry: date) -> Answer[tuple[Contract, ...]]:
        strikes = (k for c in self.chains if c.trading_class == trading_class for k in c.strikes)
        both = [(k, right) for k in strikes for right in Right]
        return Answer.of(
            tuple(Contract(symbol, SecType.OPTION, trading_class, 100.0, expiry, k, right) for k, right in both)
        )

    async def futures(self, symbol: str) -> Answer[tuple[Contract, ...]]:
        return Answer.of(tuple(c for c in self.listed_futures if c.symbol == symbol))

    async def subscribe(self, contracts: Sequence[Contract]) -> Answer[tuple[Contract, ...]]:
        self.subscribed.append(tuple(contracts))
        self._fresh |= {t.contract.identity: t for c in contracts if (t := self.tick_of(c)) is not None}
        return Answer.of(tuple(contracts))

    def tick_of(self, contract: Contract) -> Tick | None:
        tick = self.prices.get(contract.identity)
        return replace(tick, at=datetime.now(UTC)) if tick else None

    def ticks(self) -> Sequence[Tick]:
        fresh, self._fresh = list(self._fresh.values()), {}
        return fresh

    async def snapshot(self, contracts: Sequence[Contract], patience: float = 11.0) -> Answer[tuple[Tick, ...]]:
        return Answer.of(tuple(t for c in contracts if (t := self.tick_of(c)) is not None))

    async def bars(self, contract: Contract, duration: str, size: str) -> Answer[tuple[PriceBar, ...]]:
        level = self.prices[contract.identity].last or 1.0
        days = (datetime.now(UTC) - timedelta(days=n) for n in (3, 2, 1))
        return Answer.of(tuple(PriceBar(day, level, level, level, level, None) for day in days))

    def dividends(self, contract: Contract) -> CashDividends | None:
        return self.told_dividends.get(contract.symbol)


# ── one smile for a whole chain ──────────────────────────────────────────────────────────────────────────────────
SPOT, RATE = 6400.0, 0.04


def smile(strike: float) -> float:
    return 0.16 - 0.35 * math.log(strike / SPOT)


def fridays(now: datetime, count: int = 14) -> tuple[date, ...]:
    today = now.astimezone(NEW_YORK).date()
    first = today + timedelta(days=(4 - today.weekday()) % 7 or 7)
    return tuple(first + timedelta(days=7 * i) for i in range(count))


def quoted(contract: Contract, price: float, half: float = 0.1, **more: object) -> Tick:
    return Tick(
        contract, 1, datetime.now(UTC), bid=max(price - half, 0.05), ask=price + half, source=QuoteSource.REAL,
        bid_size=50.0, ask_size=60.0, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def index(symbol: str, level: float, close: float | None = None) -> Tick:
    return Tick(
        Contract(symbol, SecType.INDEX, symbol), 1, datetime.now(UTC), last=level, close=close, source=QuoteSource.REAL
    )


class OptionMarket(ScriptedMarketData):
    """Quotes every SPXW option off one smile, and the indices."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        self.expiries = fridays(now)
        strikes = tuple(float(k) for k in range(3200, 9025, 25))
        chain = ChainListing("SPX", "SPXW", "SMART", 100.0, tuple(d.isoformat() for d in self.expiries), strikes)
        levels = {"SPX": SPOT, "VIX": 18.0, "VIX3M": 19.0, "VVIX": 95.0}
        es = Contract("MES", SecType.FUTURE, "MES", 5, now.date() + timedelta(days=40))
        prices = {s: index(s, level, level + 1) for s, level in levels.items()}
        prices["SPY"] = quoted(Contract("SPY", SecType.STOCK, "SPY"), 640.0, 0.01)
        prices[es.identity] = quoted(es, 6420.0, 0.25)
        super().__init__(prices, [chain], [es])

    def tick_of(self, contract: Contract) -> Tick | None:
        if contract.symbol != "SPX" or contract.strike is None:
            return super().tick_of(contract)
        now = datetime.now(UTC)
        t = years_to(expiry_instant(contract), now)
        g = black76(SPOT * math.exp(0.03 * t), contract.strike, t, smile(contract.strike), RATE, contract.right == "C")
        return quoted(contract, round(float(g.price), 2), vendor_iv=smile(contract.strike), vendor_delta=float(g.delta))
