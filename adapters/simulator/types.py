"""The venue's own nouns, shared by its market, exchange, account and every face it shows.

Nothing here knows a wire format: faces translate these values into TWS fields, Client Portal JSON or DXLink frames.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from models.quant.option import Contract
from models.quant.structure import Action


@dataclass(frozen=True)
class Instrument:
    """One listed thing. `con_id` is the venue's stable number for `contract` (same seed or file, same number)."""

    con_id: int
    contract: Contract
    local_symbol: str
    long_name: str
    exchange: str
    primary_exchange: str
    currency: str = "USD"
    min_tick: float = 0.01
    under_con_id: int = 0
    market_rule_id: int = 26
    stock_type: str = ""
    industry: str = ""
    last_day: date | None = None  # where it is not the expiry: AM-settled index options trade last on the eve
    month: str = ""  # YYYYMM where it is not the expiry's: crude stops in the month before

    @property
    def listed_day(self) -> date | None:
        """The last trading day, under which the broker lists it; None for what never expires."""
        return self.last_day or self.contract.expiry

    @property
    def contract_month(self) -> str:
        """YYYYMM, empty for what never expires."""
        return self.month or (f"{self.contract.expiry:%Y%m}" if self.contract.expiry else "")


@dataclass(frozen=True)
class VenueQuote:
    """Top of book now; None means the venue does not know, never zero."""

    bid: float | None
    ask: float | None
    bid_size: float | None
    ask_size: float | None
    last: float | None
    last_size: float | None
    volume: float | None
    open: float | None
    high: float | None
    low: float | None
    close: float | None  # previous session's
    at: datetime
    halted: bool = False
    open_interest: float | None = None

    @property
    def mid(self) -> float | None:
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2


@dataclass(frozen=True)
class ModelGreeks:
    """Model computation of an option, units of DOMAIN.md (vega per vol point, theta per calendar day)."""

    iv: float
    price: float
    delta: float
    gamma: float
    vega: float
    theta: float
    pv_dividend: float
    under_price: float


@dataclass(frozen=True)
class VenueBar:
    at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    wap: float
    count: int


@dataclass(frozen=True)
class ChainClass:
    """One line of an option-chain answer."""

    exchange: str
    under_con_id: int
    trading_class: str
    multiplier: str
    expirations: tuple[str, ...]  # YYYYMMDD
    strikes: tuple[float, ...]


@dataclass(frozen=True)
class TicketLeg:
    con_id: int
    ratio: int
    action: Action
    exchange: str = "SMART"


@dataclass(frozen=True)
class Ticket:
    """An order as a client states it. `legs` is empty for a single instrument, else a BAG's legs.

    For a BAG, BUY at a negative limit receives a credit: limit is debit positive for the buyer.
    """

    account: str
    action: Action
    quantity: float
    order_type: str  # LMT, MKT, STP, STP LMT
    tif: str  # DAY, GTC, IOC
    con_id: int = 0
    legs: tuple[TicketLeg, ...] = ()
    limit: float | None = None
    aux: float | None = None
    order_ref: str = ""
    transmit: bool = True
    parent_id: int = 0
    outside_rth: bool = False
    oca_group: str = ""
    good_till: str = ""


class OrderStatus(StrEnum):
    """IBKR's order statuses."""

    PENDING_SUBMIT = "PendingSubmit"
    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    PENDING_CANCEL = "PendingCancel"
    CANCELLED = "Cancelled"
    API_CANCELLED = "ApiCancelled"
    FILLED = "Filled"
    INACTIVE = "Inactive"

    @property
    def is_done(self) -> bool:
        return self in (OrderStatus.CANCELLED, OrderStatus.API_CANCELLED, OrderStatus.FILLED, OrderStatus.INACTIVE)


@dataclass(frozen=True)
class VenueFill:
    """One execution. A BAG prints one fill for the combo and one per leg; only legs move positions."""

    exec_id: str
    perm_id: int
    order_id: int
    client_id: int
    con_id: int
    is_bag: bool
    account: str
    at: datetime
    side: Action
    quantity: float
    price: float
    cumulative: float
    average: float
    order_ref: str
    commission: float
    realized_pnl: float | None
    exchange: str = "CBOE"


@dataclass
class VenueOrder:
    """An order the exchange holds. Keyed by perm_id; (client_id, order_id) is the client's own name for it."""

    perm_id: int
    client_id: int
    order_id: int
    ticket: Ticket
    status: OrderStatus
    filled: float = 0.0
    average: float = 0.0
    last_price: float = 0.0
    placed_at: datetime | None = None
    done_at: datetime | None = None
    why_held: str = ""
    reject_code: int = 0
    reject_text: str = ""
    fills: list[VenueFill] = field(default_factory=list)
    wire: dict[str, object] = field(default_factory=dict)  # what the face must echo (raw placeOrder fields)

    @property
    def remaining(self) -> float:
        return self.ticket.quantity - self.filled


@dataclass(frozen=True)
class VenuePosition:
    con_id: int
    quantity: float
    average_cost: float  # per contract, multiplier included, as IBKR gives avgCost
    market_price: float | None
    market_value: float | None
    unrealized_pnl: float | None
    realized_pnl: float


@dataclass(frozen=True)
class MarginState:
    """Account money. `unknown` inputs never count as zero: a position without a price makes its field None."""

    net_liquidation: float
    equity_with_loan: float
    initial_margin: float
    maintenance_margin: float
    cash: float
    available_funds: float
    excess_liquidity: float
    buying_power: float
    gross_position_value: float
    day_pnl: float
    unrealized_pnl: float
    realized_pnl: float


@dataclass(frozen=True)
class VenueWhatIf:
    before: MarginState
    after: MarginState
    commission: float
    warning: str = ""


class RejectedByVenue(Exception):
    """The venue refuses a request; `code` is IBKR's (200, 201, 110, 104, 135, 10147 …), the text says why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class FillStyle(StrEnum):
    """Fill behaviours on demand, set per venue or per order reference for tests."""

    NORMAL = "normal"  # match against the book
    IMMEDIATE = "immediate"  # fill at the limit at once
    DELAYED = "delayed"  # fill after `fill_delay` seconds
    PARTIAL = "partial"  # half now, the rest later
    NEVER = "never"
    REJECT = "reject"  # 201
    DROP_BEFORE_ACK = "drop_before_ack"  # connection closes, the order was never taken
    DROP_AFTER_ACK = "drop_after_ack"  # the order is taken, the connection closes before the ack leaves
    ANSWER_TWICE = "answer_twice"
    ANSWER_LATE = "answer_late"


@dataclass(frozen=True)
class OrderEvent:
    """What the exchange tells its listeners: the order now, with the fill that changed it (if one did)."""

    order: VenueOrder
    fill: VenueFill | None = None
    error_code: int = 0
    error_text: str = ""


Listener = Callable[[OrderEvent], None]
