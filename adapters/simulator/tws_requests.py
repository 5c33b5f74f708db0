"""What a TWS client may ask, as typed values. How each is read from its fields stands in tws_reading."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WireLeg:
    con_id: int
    ratio: int
    action: str
    exchange: str
    extra: tuple[str, ...] = ("0", "0", "", "-1")  # openClose, shortSaleSlot, designatedLocation, exemptCode


@dataclass(frozen=True)
class WireContract:
    """A contract as a client states it: any part may be missing; `legs` only for a BAG."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    expiry: str = ""  # YYYYMM or YYYYMMDD
    strike: float = 0.0
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""
    legs: tuple[WireLeg, ...] = ()

    @property
    def is_bag(self) -> bool:
        return self.sec_type == "BAG"


@dataclass(frozen=True)
class StartApi:
    client_id: int
    capabilities: str


@dataclass(frozen=True)
class Plain:
    """A request that carries nothing the venue needs beyond its kind, or one number."""

    kind: str
    req_id: int = -1


@dataclass(frozen=True)
class Unsupported:
    """Known to TWS, not served here. `req_id` is -1 where the message carries none."""

    name: str
    req_id: int


@dataclass(frozen=True)
class AccountUpdates:
    subscribe: bool
    account: str


@dataclass(frozen=True)
class AccountMulti:
    req_id: int
    account: str
    model: str
    positions: bool


@dataclass(frozen=True)
class AccountSummary:
    req_id: int
    group: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Pnl:
    """P&L of the account, or of one position when `con_id` is not None."""

    req_id: int
    account: str
    con_id: int | None = None


@dataclass(frozen=True)
class Executions:
    req_id: int
    client_id: int
    account: str
    time: str
    symbol: str
    sec_type: str
    exchange: str
    side: str


@dataclass(frozen=True)
class ContractDetails:
    req_id: int
    contract: WireContract
    include_expired: bool
    sec_id_type: str
    sec_id: str


@dataclass(frozen=True)
class OptionParameters:
    req_id: int
    symbol: str
    fut_exchange: str
    sec_type: str
    con_id: int


@dataclass(frozen=True)
class MarketDataType:
    kind: int  # 1 live, 2 frozen, 3 delayed, 4 delayed frozen


@dataclass(frozen=True)
class MarketDataRequest:
    req_id: int
    contract: WireContract
    generic: tuple[str, ...]
    snapshot: bool
    regulatory: bool


@dataclass(frozen=True)
class HistoricalRequest:
    req_id: int
    contract: WireContract
    end: str
    bar_size: str
    duration: str
    use_rth: bool
    what: str
    date_format: int
    keep_up_to_date: bool


@dataclass(frozen=True)
class HeadTimestamp:
    req_id: int
    contract: WireContract
    what: str
    use_rth: bool
    date_format: int


@dataclass(frozen=True)
class CancelOrder:
    order_id: int


@dataclass(frozen=True)
class CompletedOrders:
    api_only: bool


@dataclass(frozen=True)
class MarketRule:
    rule_id: int
