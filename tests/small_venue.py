"""A venue of a dozen instruments that stands still: what the TWS face is tested against, without a market's arithmetic.

Same API as `adapters.simulator.venue.Venue`. Prices move only when a test moves them; orders fill when they cross.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from adapters.simulator.types import (
    ChainClass,
    FillStyle,
    Instrument,
    MarginState,
    ModelGreeks,
    OrderEvent,
    OrderStatus,
    RejectedByVenue,
    Ticket,
    VenueBar,
    VenueFill,
    VenueOrder,
    VenuePosition,
    VenueQuote,
    VenueWhatIf,
)
from models.quant.option import Contract, Right, SecType
from models.quant.structure import Action

ACCOUNT = "SIM1234567"
NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
SPX, SPY, ES = 1001, 1002, 1003
EXPIRIES = (date(2026, 12, 18), date(2027, 1, 15))
STRIKES = (5900.0, 5950.0, 6000.0, 6050.0, 6100.0)


def option_id(strike: float, right: str, expiry: date = EXPIRIES[0]) -> int:
    """The conId of an SPXW option of the small venue."""
    return 2000 + EXPIRIES.index(expiry) * 100 + STRIKES.index(strike) * 10 + (right == "P")


@dataclass(frozen=True)
class SmallDetails:
    time_zone: str = "US/Eastern"
    trading_hours: str = "20261120:0930-20261120:1600"
    liquid_hours: str = "20261120:0930-20261120:1600"
    last_trade_time: str = "16:00:00"


class SmallClock:
    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at


class SmallMarket:
    """Quotes by conId; a missing one is None, as a venue that does not know."""

    def __init__(self) -> None:
        self.items: dict[int, Instrument] = {}
        self.prices: dict[int, tuple[float | None, float | None]] = {}
        self.halted = False
        self.no_model: set[int] = set()
        self._add(SPX, Contract("SPX", SecType.INDEX, "SPX"), "SPX", "S&P 500 Stock Index", "CBOE", (6000.0, 6000.0))
        self._add(SPY, Contract("SPY", SecType.STOCK, "SPY"), "SPY", "SPDR S&P 500 – Trust", "SMART", (599.99, 600.01))
        es = Contract("ES", SecType.FUTURE, "ES", 50.0, date(2026, 12, 18))
        self._add(ES, es, "ESZ6", "E-mini S&P 500", "CME", (6010.0, 6010.25))
        for expiry in EXPIRIES:
            for strike in STRIKES:
                for right in Right:
                    contract = Contract("SPX", SecType.OPTION, "SPXW", 100.0, expiry, strike, right)
                    away = (6000.0 - strike) * (1 if right is Right.CALL else -1)
                    mid = round(max(away, 0.0) + 60.0 - abs(away) / 5, 1)
                    con_id = option_id(strike, right, expiry)
                    name = contract.identity
                    self._add(con_id, contract, name, "S&P 500 Stock Index", "CBOE", (mid - 0.2, mid + 0.2))

    def _add(
        self, con_id: int, contract: Contract, local: str, name: str, exchange: str, price: tuple[float, float]
    ) -> None:
        under = SPX if contract.is_option else 0
        primary = "ARCA" if contract.sec_type is SecType.STOCK else exchange
        tick = 0.05 if contract.is_option else 0.01
        rule = 110 if contract.is_option else 26
        self.items[con_id] = Instrument(
            con_id, contract, local, name, exchange, primary, "USD", tick, under, rule, "ETF" if con_id == SPY else ""
        )
        self.prices[con_id] = price

    def instrument(self, con_id: int) -> Instrument | None:
        return self.items.get(con_id)

    def find(self, **filters: object) -> list[Instrument]:
        found = list(self.items.values())
        for name, value in filters.items():
            if value in ("", 0, 0.0, None):
                continue
            found = [item for item in found if self._fits(item, name, value)]
        return found

    def _fits(self, item: Instrument, name: str, value: object) -> bool:
        c = item.contract
        facts = {
            "con_id": item.con_id,
            "symbol": c.symbol,
            "sec_type": c.sec_type.value,
            "strike": c.strike,
            "right": c.right.value if c.right else None,
            "trading_class": c.trading_class,
            "local_symbol": item.local_symbol,
            "currency": item.currency,
        }
        if name == "expiry":
            return c.expiry is not None and f"{c.expiry:%Y%m%d}".startswith(str(value))
        if name == "right":
            return facts["right"] == str(value)[:1]
        return facts[name] == value

    def chains(self, symbol: str, under_con_id: int, sec_type: str, fut_exchange: str) -> list[ChainClass]:
        if symbol != "SPX":
            return []
        days = tuple(f"{day:%Y%m%d}" for day in EXPIRIES)
        return [ChainClass(exchange, SPX, "SPXW", "100", days, STRIKES) for exchange in ("SMART", "CBOE")]

    def quote(self, con_id: int) -> VenueQuote | None:
        if con_id not in self.prices:
            return None
        bid, ask = self.prices[con_id]
        last = None if bid is None or ask is None else (bid + ask) / 2
        sides = (None, None, None, None) if con_id == SPX else (bid, ask, 10.0, 12.0)
        return VenueQuote(*sides, last, 1.0, 100.0, 1.0, 2.0, 0.5, 1.5, NOON, self.halted, 4321.0)

    def quotes(self, con_ids: Sequence[int]) -> list[VenueQuote | None]:
        return [self.quote(con_id) for con_id in con_ids]

    def model(self, con_id: int) -> ModelGreeks | None:
        item = self.items[con_id]
        if not item.contract.is_option or con_id in self.no_model:
            return None
        return ModelGreeks(0.18, 60.0, 0.5, 0.0012, 6.5, -1.9, 0.0, 6000.0)

    def bars(
        self, con_id: int, end: datetime, duration_s: float, bar_s: float, what: str, use_rth: bool
    ) -> list[VenueBar]:
        if con_id == ES:
            return []
        start = end if bar_s < 86400 else datetime.combine(end.date(), datetime.min.time(), UTC)
        times = [start - timedelta(seconds=bar_s * k) for k in range(5, 0, -1)]
        return [VenueBar(at, 1.0, 2.0, 0.5, 1.5 + self.prices[con_id][0], 1000.0, 1.25, 42) for at in times]

    def details(self, con_id: int) -> SmallDetails:
        return SmallDetails()

    def market_rule(self, rule_id: int) -> tuple[tuple[float, float], ...]:
        return {26: ((0.0, 0.01),), 110: ((0.0, 0.05), (3.0, 0.1))}.get(rule_id, ())


class SmallAccount:
    def __init__(self, market: SmallMarket) -> None:
        self._market = market
        self.held: dict[int, float] = {SPY: 100.0, option_id(6000.0, "C"): -2.0}
        self.waiting = 0
        self.most_at_once = 0

    def positions(self) -> list[VenuePosition]:
        found = []
        for con_id, quantity in self.held.items():
            quote = self._market.quote(con_id)
            price = quote.mid if quote else None
            value = None if price is None else price * quantity
            found.append(VenuePosition(con_id, quantity, 500.0, price, value, None if value is None else 5.0, 0.0))
        return found

    def margin(self) -> MarginState:
        return MarginState(1e6, 9e5, 1e5, 8e4, 5e5, 8e5, 8.2e5, 3.2e6, 6e5, 123.45, 10.0, 0.0)

    def what_if(self, ticket: Ticket) -> VenueWhatIf:
        before = self.margin()
        after = replace(before, initial_margin=before.initial_margin + 2000 * ticket.quantity)
        return VenueWhatIf(before, after, 0.65 * ticket.quantity, "")

    def values(self) -> list[tuple[str, str, str]]:
        return [("NetLiquidation", "1000000.00", "USD"), ("BuyingPower", "3200000.00", "USD"),
                ("AccountType", "INDIVIDUAL", "")]  # fmt: skip


class SmallExchange:
    """Orders that fill at the touch when they cross; styles as a test sets them."""

    def __init__(self, market: SmallMarket, account: SmallAccount) -> None:
        self._market = market
        self._account = account
        self.fill_style = FillStyle.NORMAL
        self.fill_delay = 0.1
        self._orders: dict[tuple[int, int], VenueOrder] = {}
        self._fills: list[VenueFill] = []
        self._listeners: list[Callable[[OrderEvent], None]] = []

    def listen(self, callback: Callable[[OrderEvent], None]) -> None:
        self._listeners.append(callback)

    def unlisten(self, callback: Callable[[OrderEvent], None]) -> None:
        self._listeners.remove(callback)

    def style_of(self, order_ref: str) -> FillStyle:
        return self.fill_style

    def order(self, perm_id: int) -> VenueOrder | None:
        return next((order for order in self._orders.values() if order.perm_id == perm_id), None)

    def warning(self, order: VenueOrder) -> tuple[int, str] | None:
        return None

    def cancel_all(self) -> None:
        for (client_id, order_id), order in list(self._orders.items()):
            if not order.status.is_done:
                self.cancel(client_id, order_id)

    def orders(self) -> list[VenueOrder]:
        return list(self._orders.values())

    def fills(self) -> list[VenueFill]:
        return list(self._fills)

    def next_order_id(self, client_id: int) -> int:
        return max((order_id for client, order_id in self._orders if client == client_id), default=0) + 1

    def _emit(self, order: VenueOrder, fill: VenueFill | None = None, code: int = 0, text: str = "") -> None:
        for callback in list(self._listeners):
            callback(OrderEvent(order, fill, code, text))

    def place(self, client_id: int, order_id: int, ticket: Ticket) -> VenueOrder:
        if self.fill_style is FillStyle.REJECT:
            raise RejectedByVenue(201, "no buying power")
        if ticket.limit is not None and round(ticket.limit * 100) % 5:
            raise RejectedByVenue(110, "The price does not conform to the minimum price variation for this contract.")
        known = self._orders.get((client_id, order_id))
        if known is not None and known.status.is_done:
            raise RejectedByVenue(104, "Cannot modify a filled order.")
        if known is not None:
            known.ticket = ticket
            order = known
        else:
            number = 900_000 + len(self._orders)
            order = VenueOrder(number, client_id, order_id, ticket, OrderStatus.SUBMITTED, placed_at=NOON)
            self._orders[client_id, order_id] = order
        self._emit(order)
        self.match(order)
        return order

    def cancel(self, client_id: int, order_id: int) -> None:
        order = self._orders.get((client_id, order_id))
        if order is None or order.status.is_done:
            raise RejectedByVenue(10147, f"OrderId {order_id} that needs to be cancelled is not found.")
        order.status, order.done_at = OrderStatus.CANCELLED, NOON
        self._emit(order)

    def match(self, order: VenueOrder) -> None:
        ticket = order.ticket
        price = self._price(ticket)
        crosses = ticket.limit is None or (
            ticket.limit >= price if ticket.action is Action.BUY else ticket.limit <= price
        )
        if self.fill_style is FillStyle.NEVER or not crosses:
            return
        if self.fill_style is FillStyle.PARTIAL and not order.filled:
            self.fill(order, ticket.quantity // 2)
        else:
            self.fill(order, order.remaining)

    def _price(self, ticket: Ticket) -> float:
        legs: Sequence[tuple[int, int]] = [(leg.con_id, leg.ratio * leg.action.sign) for leg in ticket.legs] or [
            (ticket.con_id, 1)
        ]
        total = 0.0
        for con_id, ratio in legs:
            quote = self._market.quote(con_id)
            assert quote and quote.bid is not None and quote.ask is not None
            total += ratio * (quote.ask if ratio * ticket.action.sign > 0 else quote.bid)
        return round(total, 2)

    def fill(self, order: VenueOrder, quantity: float) -> None:
        """Fill some of an order at the touch: a BAG's summary first, then every leg."""
        ticket = order.ticket
        price = self._price(ticket)
        order.filled += quantity
        order.average = order.last_price = price
        if order.filled >= ticket.quantity:
            order.status, order.done_at = OrderStatus.FILLED, NOON
        parts = [(0 if ticket.legs else ticket.con_id, bool(ticket.legs), ticket.action, quantity, price)]
        for leg in ticket.legs:
            side = leg.action if ticket.action is Action.BUY else leg.action.opposite
            quote = self._market.quote(leg.con_id)
            assert quote and quote.mid is not None
            parts.append((leg.con_id, False, side, quantity * leg.ratio, quote.mid))
        for con_id, is_bag, side, size, at in parts:
            fill = VenueFill(
                f"0000e0d5.{order.perm_id:08x}.{len(self._fills):02d}.01", order.perm_id, order.order_id,
                order.client_id, con_id, is_bag, ticket.account, NOON, side, size, at, order.filled, price,
                ticket.order_ref, 0.0 if is_bag else 0.65 * size, None,
            )  # fmt: skip
            self._fills.append(fill)
            order.fills.append(fill)
            if not is_bag:
                self._account.held[con_id] = self._account.held.get(con_id, 0.0) + side.sign * size
            self._emit(order, fill)


@dataclass
class SmallVenue:
    account_id: str = ACCOUNT
    clock: SmallClock = field(default_factory=SmallClock)
    market: SmallMarket = field(default_factory=SmallMarket)
    account: SmallAccount = field(init=False)
    exchange: SmallExchange = field(init=False)

    def __post_init__(self) -> None:
        self.account = SmallAccount(self.market)
        self.exchange = SmallExchange(self.market, self.account)
