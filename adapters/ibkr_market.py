"""Quotes, chains and bars over a TWS session that never carries an order. The lines streamed are exactly those asked.

Live data is asked for; where the broker says that it is not subscribed, delayed data is taken and marked delayed.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import ib_async
from ib_async.ib import StartupFetchNONE
from ib_async.objects import OptionChain

from adapters.base import Answer, CashDividends, ChainListing, NotConnected, PriceBar, SessionState, Tick
from adapters.ibkr_adapter import CLOCK_EVERY, Road
from adapters.ibkr_socket import ClockFit, Link, Qualifier, number, route, to_ib
from models.clock import DeskClock
from models.quant.option import Contract, Right, SecType
from models.quant.product import PRODUCTS, Settlement
from models.quant.structure import QuoteSource

NO_LINES_LEFT = 101
NOT_SUBSCRIBED = frozenset({354, 10089, 10090, 10091, 10168, 10186, 10197})
LIVE, DELAYED = 1, 3
LINES = 100
"""Streamed at once by a login without quote boosters; error 101 beyond."""
OPEN_INTEREST, DIVIDENDS = "101", "456"
"""Generic ticks asked beside the quote, of options and of shares."""
SUBSCRIBE_SETTLES = 0.15
"""Seconds in which the broker refuses a line that it will not stream."""


class IbkrMarketData:
    """See `adapters.base.MarketData` for what each method promises."""

    def __init__(self, road: Road, client_id: int) -> None:
        self._road = road
        self._link = Link(road.host, road.port, client_id, "quotes")
        self._qualifier = Qualifier(self._link, road.query_deadline)
        self._fit = ClockFit(road.clock_rate)
        self._state = SessionState.LOGGED_OUT
        self._lines: dict[str, tuple[Contract, ib_async.Contract, ib_async.Ticker]] = {}
        self._arrived: dict[int, datetime] = {}
        self._refused: dict[int, int] = {}
        self._clock_task: asyncio.Task[None] | None = None

    # ── session ──────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def state(self) -> SessionState:
        if self._state is SessionState.READY and not self._link.ready:
            return SessionState.DEGRADED
        return self._state

    @property
    def clock(self) -> DeskClock:
        now = datetime.now(UTC)
        return self._fit.clock(now) if self._road.follows_broker_clock else DeskClock.utc(now)

    @property
    def lines(self) -> int | None:
        return LINES

    @property
    def drift_seconds(self) -> float:
        now = datetime.now(UTC)
        return self._fit.clock(now).drift_seconds(now)

    async def connect(self) -> None:
        """Open the session; raises NotConnected. Lines do not survive a session: subscribe again."""
        self._link.close()
        self._state = SessionState.CONNECTING
        self._lines, self._arrived, self._refused = {}, {}, {}
        self._qualifier.forget()
        try:
            await self._link.open(StartupFetchNONE, self._road.connect_deadline)
            self._state = SessionState.SYNCING
            await self._sync_clock()
        except NotConnected:
            self._link.close()
            self._state = SessionState.LOGGED_OUT
            raise
        ib = self._link.ib
        ib.reqMarketDataType(LIVE)
        ib.pendingTickersEvent.connect(self._moved, keep_ref=True)
        ib.errorEvent.connect(self._error_told, keep_ref=True)
        await self._stop_clock()
        self._clock_task = asyncio.get_running_loop().create_task(self._keep_clock(ib))
        self._state = SessionState.READY

    async def close(self) -> None:
        self._link.close()
        self._state = SessionState.LOGGED_OUT
        await self._stop_clock()

    async def _stop_clock(self) -> None:
        task, self._clock_task = self._clock_task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _sync_clock(self) -> None:
        answer = await self._link.broker_second(self._road.query_deadline)
        if answer.data is None:
            raise NotConnected(f"the broker did not tell its time: {answer.failure}")
        self._fit.hear(answer.data, datetime.now(UTC))

    async def _keep_clock(self, ib: ib_async.IB) -> None:
        while ib.isConnected():
            await asyncio.sleep(CLOCK_EVERY)
            answer = await self._link.broker_second(self._road.query_deadline)
            if answer.data is not None:
                self._fit.hear(answer.data, datetime.now(UTC))

    # ── what is listed ───────────────────────────────────────────────────────────────────────────────────────────
    async def qualify(self, contracts: Sequence[Contract]) -> Answer[dict[Contract, int]]:
        return await self._qualifier.con_ids(list(contracts))

    async def chain(self, symbol: str) -> Answer[tuple[ChainListing, ...]]:
        """Every option class listed on a symbol; the broker lists each once per exchange, we keep one."""
        underlying = await self._underlying(symbol)
        if underlying.data is None:
            return Answer.fail(f"chain of {symbol}: {underlying.failure or 'the broker lists no such underlying'}")
        known = underlying.data
        futures = known.sec_type is SecType.FUTURE
        ids = await self._qualifier.con_ids([known])
        if ids.data is None or known not in ids.data:
            return Answer.fail(f"chain of {symbol}: {ids.failure or f'the broker does not know {known}'}")
        con_id = ids.data[known]
        answer = await self._link.ask(
            f"chain of {symbol}",
            lambda: self._link.ib.reqSecDefOptParamsAsync(
                symbol, route(known) if futures else "", known.sec_type.value, con_id
            ),
            max(self._road.query_deadline, 20.0),
        )
        if answer.failure is not None:
            return Answer.fail(answer.failure)
        return Answer.of(_listings(symbol, answer.data or []))

    async def listed(self, symbol: str, trading_class: str, expiry: date) -> Answer[tuple[Contract, ...]]:
        any_of = to_ib(Contract(symbol, SecType.OPTION, trading_class, 100.0, expiry, 1.0, Right.CALL))
        any_of.strike, any_of.right = 0.0, ""
        answer = await self._link.lookup(any_of, max(self._road.query_deadline, 20.0))
        if answer.failure is not None:
            return Answer.fail(f"{trading_class} {expiry}: {answer.failure}")
        found = self._qualifier.remember(answer.data or [])
        return Answer.of(tuple(contract for contract in found if contract.expiry == expiry))

    async def _underlying(self, symbol: str) -> Answer[Contract]:
        """What options on a symbol are written on: the index, the nearest future, or the share."""
        if (symbol, SecType.INDEX) in PRODUCTS:
            return Answer.of(Contract(symbol, SecType.INDEX, symbol))
        if (symbol, SecType.FUTURE) in PRODUCTS:
            listed = await self.futures(symbol)
            if listed.data:
                return Answer.of(listed.data[0])
            return Answer.fail(listed.failure or f"no futures of {symbol} are listed")
        return Answer.of(Contract(symbol, SecType.STOCK, symbol))

    async def futures(self, symbol: str) -> Answer[tuple[Contract, ...]]:
        product = PRODUCTS.get((symbol, SecType.FUTURE))
        raw = ib_async.Contract(
            secType="FUT", symbol=symbol, exchange=product.exchange if product else "", currency="USD"
        )
        answer = await self._link.lookup(raw, self._road.query_deadline)
        if answer.failure is not None:
            return Answer.fail(answer.failure)
        listed = self._qualifier.remember(answer.data or [])
        return Answer.of(tuple(sorted(listed, key=lambda contract: contract.expiry or date.max)))

    # ── streams ──────────────────────────────────────────────────────────────────────────────────────────────────
    async def subscribe(self, contracts: Sequence[Contract]) -> Answer[tuple[Contract, ...]]:
        """Exactly these lines from now on. Those that the broker refuses (error 101, unknown) are not in the answer."""
        ids = await self.qualify(contracts)
        if ids.failure is not None:
            return Answer.fail(ids.failure)
        if not self._link.ready:
            return Answer.fail("subscribe: the quotes connection is closed")
        ib = self._link.ib
        wanted = {contract.identity: contract for contract in contracts if contract in (ids.data or {})}
        for identity in [name for name in self._lines if name not in wanted]:
            _, raw, ticker = self._lines.pop(identity)
            self._arrived.pop(id(ticker), None)
            ib.cancelMktData(raw)
            ib.wrapper.tickers.pop(hash(raw), None)  # a dropped line must not answer a later one with old prices
        fresh = [identity for identity in wanted if identity not in self._lines]
        for identity in fresh:
            contract = wanted[identity]
            raw = to_ib(contract, (ids.data or {})[contract])
            self._lines[identity] = (contract, raw, ib.reqMktData(raw, _generic(contract)))
        if fresh:
            await asyncio.sleep(SUBSCRIBE_SETTLES)
            self._drop_refused()
        return Answer.of(tuple(contract for contract, _, _ in self._lines.values()))

    def _drop_refused(self) -> None:
        by_request = {ticker: request for ticker, request in self._link.ib.wrapper.ticker2ReqId["mktData"].items()}
        for identity, (_, raw, ticker) in list(self._lines.items()):
            if self._refused.get(by_request.get(ticker, -1)) in (NO_LINES_LEFT, 200):
                self._lines.pop(identity)
                self._link.ib.wrapper.endTicker(ticker, "mktData")
                self._link.ib.wrapper.tickers.pop(hash(raw), None)

    def _moved(self, tickers: set[ib_async.Ticker]) -> None:
        now = datetime.now(UTC)
        for ticker in tickers:
            self._arrived[id(ticker)] = now

    def _error_told(self, about: int, code: int, _text: str, _contract: Any) -> None:
        if about > 0:
            self._refused[about] = code
        if code in NOT_SUBSCRIBED and self._link.ready:
            self._link.ib.reqMarketDataType(DELAYED)

    def ticks(self) -> Sequence[Tick]:
        clock = self.clock
        changed = []
        for contract, raw, ticker in self._lines.values():
            arrived = self._arrived.pop(id(ticker), None)
            if arrived is not None:
                changed.append(tick_of(contract, raw.conId, ticker, clock.at(arrived)))
        return changed

    def dividends(self, contract: Contract) -> CashDividends | None:
        line = self._lines.get(contract.identity)
        told = line[2].dividends if line else None
        if told is None:
            return None
        day = told.nextDate.date() if isinstance(told.nextDate, datetime) else told.nextDate
        return CashDividends(number(told.past12Months), number(told.next12Months), day, number(told.nextAmount))

    async def snapshot(self, contracts: Sequence[Contract], patience: float = 11.0) -> Answer[tuple[Tick, ...]]:
        ids = await self.qualify(contracts)
        if ids.failure is not None:
            return Answer.fail(ids.failure)
        known = ids.data or {}

        async def one(contract: Contract) -> Tick | None:
            raw = to_ib(contract, known[contract])
            raw.comboLegsDescrip = "snapshot"  # another hash than the streamed line's, so the two share no ticker
            try:
                (ticker,) = await asyncio.wait_for(self._link.ib.reqTickersAsync(raw), patience)
            except (TimeoutError, ConnectionError, ib_async.wrapper.RequestError):
                return None
            return tick_of(contract, raw.conId, ticker, self.clock.at(datetime.now(UTC)))

        if not self._link.ready:
            return Answer.fail("snapshot: the quotes connection is closed")
        seen = await asyncio.gather(*(one(contract) for contract in contracts if contract in known))
        return Answer.of(tuple(tick for tick in seen if tick is not None))

    # ── history ──────────────────────────────────────────────────────────────────────────────────────────────────
    async def bars(self, contract: Contract, duration: str, size: str) -> Answer[tuple[PriceBar, ...]]:
        ids = await self.qualify([contract])
        con_id = (ids.data or {}).get(contract)
        if con_id is None:
            return Answer.fail(ids.failure or f"{contract}: the broker lists no such contract")
        raw = to_ib(contract, con_id)
        answer = await self._link.ask(
            f"bars of {contract}",
            lambda: self._link.ib.reqHistoricalDataAsync(raw, "", duration, size, "TRADES", True, 2, timeout=0),
            60.0,
        )
        if answer.failure is not None:
            return Answer.fail(answer.failure)
        return Answer.of(tuple(bar for bar in map(_bar, answer.data or []) if bar is not None))


def tick_of(contract: Contract, con_id: int, ticker: ib_async.Ticker, at: datetime) -> Tick:
    """A ticker in the desk's words: -1 and 0 sizes, NaN and -2 greeks become unknown."""
    signed = contract.sec_type is SecType.FUTURE and contract.symbol == "CL"  # crude has traded below zero
    no_price = () if signed else (-1.0,)
    model = ticker.modelGreeks
    source = {1: QuoteSource.REAL, 2: QuoteSource.DELAYED, 3: QuoteSource.DELAYED, 4: QuoteSource.DELAYED}.get(
        ticker.marketDataType, QuoteSource.UNKNOWN
    )
    return Tick(
        contract=contract,
        con_id=con_id,
        at=at,
        bid=_quoted(ticker.bid, ticker.bidSize, no_price),
        ask=_quoted(ticker.ask, ticker.askSize, no_price),
        bid_size=number(ticker.bidSize, 0.0, -1.0),
        ask_size=number(ticker.askSize, 0.0, -1.0),
        last=number(ticker.last, *no_price),
        close=number(ticker.close, *no_price),
        volume=number(ticker.volume, -1.0),
        source=source,
        vendor_iv=number(model.impliedVol, -1.0) if model else None,
        vendor_delta=number(model.delta, -2.0) if model else None,
        vendor_gamma=number(model.gamma, -2.0) if model else None,
        vendor_vega=number(model.vega, -2.0) if model else None,
        vendor_theta=number(model.theta, -2.0) if model else None,
        under_price=number(model.undPrice, -1.0) if model else None,
        halted=number(ticker.halted, -1.0, 0.0) is not None,
        open_interest=_open_interest(contract, ticker),
    )


def _generic(contract: Contract) -> str:
    """What to ask beside the quote; a kind of contract that has no such tick is refused with error 321."""
    if contract.is_option:
        return OPEN_INTEREST
    return DIVIDENDS if contract.sec_type is SecType.STOCK else ""


def _open_interest(contract: Contract, ticker: ib_async.Ticker) -> float | None:
    """Both rights have a tick; that of the other right says nothing of this contract."""
    if not contract.is_option:
        return None
    return number(ticker.callOpenInterest if contract.right is Right.CALL else ticker.putOpenInterest, -1.0)


def _quoted(price: Any, size: Any, no_price: tuple[float, ...]) -> float | None:
    """A side of the book: the broker shows an absent one as -1, or as 0 with no size."""
    value = number(price, *no_price)
    if value == 0 and number(size, 0.0, -1.0) is None:
        return None
    return value


def _listings(symbol: str, chains: Sequence[OptionChain]) -> tuple[ChainListing, ...]:
    best: dict[str, OptionChain] = {}
    for chain in chains:
        held = best.get(chain.tradingClass)
        if held is None or (chain.exchange == "SMART" and held.exchange != "SMART"):
            best[chain.tradingClass] = chain
    return tuple(
        ChainListing(
            symbol=symbol,
            trading_class=chain.tradingClass,
            exchange=chain.exchange,
            multiplier=number(chain.multiplier) or 100.0,
            expirations=tuple(sorted(_settles(chain.tradingClass, e).isoformat() for e in chain.expirations)),
            strikes=tuple(sorted(chain.strikes)),
        )
        for chain in best.values()
    )


def _settles(trading_class: str, listed: str) -> date:
    """The settlement date of a listed expiration: IBKR lists AM options under their last trading day, the eve."""
    day = datetime.strptime(listed, "%Y%m%d").replace(tzinfo=UTC).date()
    product = PRODUCTS.get((trading_class, SecType.OPTION))
    morning = product is not None and product.settlement is Settlement.AM
    return day + timedelta(days=1) if morning else day  # a Friday, or its Thursday where that is a holiday


def _bar(raw: ib_async.BarData) -> PriceBar | None:
    prices = [number(value) for value in (raw.open, raw.high, raw.low, raw.close)]
    if any(price is None for price in prices):
        return None
    at = raw.date
    if not isinstance(at, datetime):
        at = datetime(at.year, at.month, at.day, tzinfo=UTC)
    opened, high, low, close = (float(price) for price in prices if price is not None)
    return PriceBar(at.astimezone(UTC), opened, high, low, close, number(raw.volume, -1.0))
