"""The protocols behind which the outside world stands, the errors it can raise, and the three answers to a query.

A query's answer is data, empty or failed. Empty is a fact ("the account holds nothing"); failed is not knowledge.
Nobody may turn failed into empty.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Generic, Protocol, TypeVar, runtime_checkable

from models.clock import DeskClock
from models.quant.option import Contract
from models.quant.structure import Action, Leg, QuoteSource

T = TypeVar("T")


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Answer(Generic[T]):
    """The answer to a query. Exactly one of three: `data` (non-empty), empty, or `failure` with its reason."""

    data: T | None = None
    failure: str | None = None

    @property
    def failed(self) -> bool:
        return self.failure is not None

    @property
    def empty(self) -> bool:
        return self.failure is None and not self.data

    @staticmethod
    def of(data: T) -> "Answer[T]":
        return Answer(data=data)

    @staticmethod
    def fail(reason: str) -> "Answer[T]":
        return Answer(failure=reason)


# ── errors: each docstring says what the desk does when it sees one ───────────────────────────────────────────────
class AdapterError(Exception):
    """Root of everything the outside can do wrong. The runner writes it into the heartbeat and goes on."""


class NotConnected(AdapterError):
    """No session. Readers show "unknown", senders do not send; the watchdog reconnects."""


class ConfigurationError(AdapterError):
    """A setting is wrong or unsafe. The process refuses to start and names the variable and the remedy."""


class DeadlineExceeded(AdapterError):
    """The other side did not answer in time. For a query: failed. For a submit: the order is unknown."""


class BrokerRefused(AdapterError):
    """The broker said no, in its own words. The instruction becomes rejected with this text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class UnknownOutcome(AdapterError):
    """Sent, and nothing certain came back. The instruction becomes unknown and blocks its risk family."""


class ContractMismatch(AdapterError):
    """A stored conId no longer names the leg's identity. The ticket is refused; a person looks."""


# ── broker ───────────────────────────────────────────────────────────────────────────────────────────────────────
class SessionState(StrEnum):
    CONNECTING = "connecting"
    SYNCING = "syncing"
    READY = "ready"
    DEGRADED = "degraded"
    NIGHTLY_RESET = "nightly reset"
    LOGGED_OUT = "logged out"


@dataclass(frozen=True)
class AccountValues:
    """One account's money in its base currency; None where the broker did not say."""

    account_id: str
    at: datetime
    net_liquidation: float | None
    equity_with_loan: float | None
    initial_margin: float | None
    maintenance_margin: float | None
    available_funds: float | None
    excess_liquidity: float | None
    buying_power: float | None
    cash: float | None
    day_pnl: float | None
    unrealized_pnl: float | None
    realized_pnl: float | None


@dataclass(frozen=True)
class BrokerPosition:
    """A position as the broker states it. quantity signed; average_cost per contract, multiplier included."""

    account_id: str
    contract: Contract
    con_id: int
    quantity: float
    average_cost: float
    market_price: float | None = None


@dataclass(frozen=True)
class MarginImpact:
    """A what-if's answer; changes are after minus before, None where the broker left it unset."""

    init_margin_before: float | None
    init_margin_change: float | None
    init_margin_after: float | None
    maint_margin_before: float | None
    maint_margin_change: float | None
    maint_margin_after: float | None
    equity_before: float | None
    equity_change: float | None
    equity_after: float | None
    commission: float | None
    warning: str
    at: datetime

    @property
    def capital_impact(self) -> float | None:
        """Change of initial margin minus change of equity with loan; None when either is unknown."""
        if self.init_margin_change is None or self.equity_change is None:
            return None
        return self.init_margin_change - self.equity_change


@dataclass(frozen=True)
class NewOrder:
    """An order about to leave. Everything the wire needs and nothing decided later. limit is debit positive (BUY)."""

    order_ref: str
    account_id: str
    legs: tuple[Leg, ...]  # con_id set on every leg; one leg = a plain order
    action: Action
    quantity: int
    order_type: str  # LMT or MKT
    limit_price: float | None
    tif: str
    outside_rth: bool = False


class WireStatus(StrEnum):
    """What the broker says of an order, in the desk's words."""

    WORKING = "working"
    PART_FILLED = "part_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PlacedOrder:
    """An order as the broker holds it; found again by `order_ref`, the only link that survives everything."""

    order_ref: str
    account_id: str
    status: WireStatus
    filled: float
    remaining: float
    average_price: float | None
    limit_price: float | None
    perm_id: int | None
    order_id: int | None
    text: str = ""


@dataclass(frozen=True)
class Fill:
    """One leg execution (BAG summary fills never leave the adapter). quantity positive, side says which way."""

    exec_id: str
    order_ref: str
    account_id: str
    contract: Contract
    con_id: int
    side: Action
    quantity: float
    price: float
    commission: float | None
    realized_pnl: float | None
    at: datetime
    perm_id: int | None


@dataclass(frozen=True)
class OrderUpdate:
    """Pushed by the broker: an order changed, a fill arrived, or a commission completed a fill already told."""

    order: PlacedOrder | None = None
    fill: Fill | None = None


@runtime_checkable
class Pricer(Protocol):
    """What a thinker may hold: what-ifs and contract translation, no submit."""

    async def qualify(self, contracts: Sequence[Contract]) -> Answer[dict[Contract, int]]:
        """conId per contract; a contract the broker does not know is absent from the dict."""

    async def simulate_margin_impact(
        self, account_id: str, legs: Sequence[Leg], quantity: int = 1, limit_price: float | None = None
    ) -> Answer[MarginImpact]:
        """The broker's what-if for BUY of the combo, with a deadline of its own; an unset number is None."""


@runtime_checkable
class Broker(Pricer, Protocol):
    """A brokerage account over one road. Queries answer data, empty or failed; a submit is never retried."""

    @property
    def state(self) -> SessionState: ...

    @property
    def clock(self) -> DeskClock: ...

    @property
    def drift_seconds(self) -> float:
        """How far the broker's own clock is from UTC; over 2 s alarms in PAPER and LIVE."""

    async def connect(self) -> None:
        """Open and sync every connection; raises NotConnected with the reason and the remedy."""

    async def close(self) -> None: ...

    async def accounts(self) -> Answer[tuple[str, ...]]: ...

    async def account_values(self, account_id: str) -> Answer[AccountValues]: ...

    async def positions(self, account_id: str) -> Answer[tuple[BrokerPosition, ...]]: ...

    async def submit(self, order: NewOrder) -> PlacedOrder:
        """Send once. Returns the acknowledged order; raises BrokerRefused, or UnknownOutcome if nothing is certain."""

    async def replace(self, order_ref: str, limit_price: float) -> PlacedOrder:
        """Modify the working order in place, same reference; raises BrokerRefused or UnknownOutcome."""

    async def cancel(self, order_ref: str) -> None:
        """Ask for the cancel of one order; the end comes as an update. Raises BrokerRefused or UnknownOutcome."""

    async def open_orders(self) -> Answer[tuple[PlacedOrder, ...]]: ...

    async def completed_orders(self) -> Answer[tuple[PlacedOrder, ...]]: ...

    async def executions(self) -> Answer[tuple[Fill, ...]]:
        """Today's executions of the session's accounts (IBKR reaches back one day)."""

    def updates(self) -> AsyncIterator[OrderUpdate]:
        """Order updates from now on; ends when the session is lost."""


# ── market data ──────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Tick:
    """The latest of one contract; None is unknown. Vendor greeks are kept apart from our own."""

    contract: Contract
    con_id: int
    at: datetime  # desk time of the last change
    bid: float | None = None
    ask: float | None = None
    bid_size: float | None = None
    ask_size: float | None = None
    last: float | None = None
    close: float | None = None
    volume: float | None = None
    source: QuoteSource = QuoteSource.UNKNOWN
    vendor_iv: float | None = None
    vendor_delta: float | None = None
    vendor_gamma: float | None = None
    vendor_vega: float | None = None
    vendor_theta: float | None = None
    under_price: float | None = None
    halted: bool = False
    open_interest: float | None = None  # contracts open as of the last clearing


@dataclass(frozen=True)
class CashDividends:
    """What a broker knows of an underlying's dividends, per share; None unknown. `next_amount` goes ex on `next_ex`."""

    past_year: float | None
    next_year: float | None
    next_ex: date | None
    next_amount: float | None


@dataclass(frozen=True)
class ChainListing:
    """What is listed on an underlying in one class: strikes are the union, not every pair exists."""

    symbol: str
    trading_class: str
    exchange: str
    multiplier: float
    expirations: tuple[str, ...]  # ISO dates
    strikes: tuple[float, ...]


@dataclass(frozen=True)
class PriceBar:
    at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float | None


@runtime_checkable
class MarketData(Protocol):
    """Quotes, chains and bars over one connection that never carries an order."""

    @property
    def state(self) -> SessionState: ...

    @property
    def clock(self) -> DeskClock: ...

    @property
    def lines(self) -> int | None:
        """How many contracts it can stream at once; None: whole chains."""

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def qualify(self, contracts: Sequence[Contract]) -> Answer[dict[Contract, int]]: ...

    async def chain(self, symbol: str) -> Answer[tuple[ChainListing, ...]]: ...

    async def listed(self, symbol: str, trading_class: str, expiry: date) -> Answer[tuple[Contract, ...]]:
        """Every option of one expiry that exists; a chain's strikes are only the union over its expirations."""

    async def futures(self, symbol: str) -> Answer[tuple[Contract, ...]]:
        """Listed futures of a root, nearest first."""

    async def subscribe(self, contracts: Sequence[Contract]) -> Answer[tuple[Contract, ...]]:
        """Make exactly these the streamed lines (adds and drops); answers the contracts really streaming."""

    def ticks(self) -> Sequence[Tick]:
        """The latest tick of every contract that changed since the last call."""

    async def snapshot(self, contracts: Sequence[Contract], patience: float = 11.0) -> Answer[tuple[Tick, ...]]:
        """One look at each, beside the streams; those that did not answer within `patience` seconds are absent."""

    async def bars(self, contract: Contract, duration: str, size: str) -> Answer[tuple[PriceBar, ...]]: ...

    def dividends(self, contract: Contract) -> CashDividends | None:
        """What was told of a streamed share's dividends; None while nothing was."""


# ── notices ──────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Notice:
    severity: str  # red, yellow, info
    title: str
    body: str
    cause: str = ""
    tags: tuple[str, ...] = field(default_factory=tuple)


@runtime_checkable
class Notifier(Protocol):
    async def send_alert(self, notice: Notice) -> Answer[str]: ...
