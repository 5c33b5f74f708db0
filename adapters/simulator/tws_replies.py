"""Everything the venue answers except orders, laid out for the agreed version. Pure functions from values to fields.

An unknown number leaves as `UNSET` where the message must carry a number, never as zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from adapters.simulator.tws_order_replies import Fields, short_contract
from adapters.simulator.tws_requests import WireContract
from adapters.simulator.tws_wire import UNSET, Since, plain_text
from adapters.simulator.types import ChainClass, MarginState, ModelGreeks, VenueBar, VenuePosition

ZONE = "US/Eastern"
_ZONE = ZoneInfo(ZONE)
NOT_COMPUTED = (-1, -2, -1, -1, -2, -2, -2, -1)
"""IBKR's markers in a computation tick: iv, delta, price, dividend, gamma, vega, theta, underlying."""


def _known(value: float | None) -> object:
    return UNSET if value is None else value


# ── times ────────────────────────────────────────────────────────────────────────────────────────────────────────
def login_time(version: int, at: datetime) -> str:
    """A moment: with its zone since 174; before, in the zone TWS logged in with, which is the machine's own."""
    if version >= Since.TIMEZONES:
        return f"{at.astimezone(_ZONE):%Y%m%d %H:%M:%S} {ZONE}"
    return f"{at.astimezone():%Y%m%d  %H:%M:%S}"


def bar_time(version: int, at: datetime, date_format: int, daily: bool) -> str:
    """A bar's date: its session day for daily bars (at midnight UTC), else epoch seconds (format 2) or text."""
    if daily:
        return f"{at:%Y%m%d}"
    return str(int(at.timestamp())) if date_format == 2 else login_time(version, at)


def parse_moment(text: str) -> datetime | None:
    """A client's `YYYYMMDD[- ]HH:MM:SS[ zone]`; `-` means UTC, no zone the exchange's. None when it is none."""
    words = text.replace("-", " ", 1).split() if "-" in text[:9] else text.split()
    if not words:
        return None
    utc = "-" in text[:9]
    try:
        zone = ZoneInfo(words[2]) if len(words) > 2 else (UTC if utc else _ZONE)
        clock = words[1] if len(words) > 1 else "00:00:00"
        return datetime.strptime(f"{words[0]} {clock}", "%Y%m%d %H:%M:%S").replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, KeyError):
        return None


# ── session ──────────────────────────────────────────────────────────────────────────────────────────────────────
def hello(version: int, at: datetime) -> Fields:
    return [version, f"{at.astimezone(_ZONE):%Y%m%d %H:%M:%S %Z}"]


def managed_accounts(accounts: Sequence[str]) -> Fields:
    return [15, 1, ",".join(accounts)]


def next_valid_id(order_id: int) -> Fields:
    return [9, 1, order_id]


def current_time(at: datetime) -> Fields:
    return [49, 1, int(at.timestamp())]


def error(version: int, req_id: int, code: int, text: str) -> Fields:
    """error (4): req_id -1 belongs to no request."""
    fields: Fields = [4, 2, req_id, code, plain_text(text)]
    return [*fields, ""] if version >= Since.ADVANCED_REJECT else fields


# ── account ──────────────────────────────────────────────────────────────────────────────────────────────────────
def account_value(tag: str, value: str, currency: str, account: str) -> Fields:
    return [6, 2, tag, value, currency, account]


def account_time(at: datetime) -> Fields:
    return [8, 1, f"{at.astimezone(_ZONE):%H:%M}"]


def portfolio_value(contract: WireContract, held: VenuePosition, account: str) -> Fields:
    c = contract
    fields: Fields = [7, 8, c.con_id, c.symbol, c.sec_type, c.expiry, c.strike, c.right, c.multiplier]
    fields += [c.primary_exchange, c.currency, c.local_symbol, c.trading_class, held.quantity]
    fields += [_known(held.market_price), _known(held.market_value), held.average_cost]
    return [*fields, _known(held.unrealized_pnl), held.realized_pnl, account]


def position(contract: WireContract, quantity: float, average_cost: float, account: str) -> Fields:
    return [61, 3, account, *short_contract(contract, ""), quantity, average_cost]


def position_multi(req_id: int, contract: WireContract, quantity: float, average_cost: float, account: str) -> Fields:
    return [71, 1, req_id, account, *short_contract(contract, ""), quantity, average_cost, ""]


def account_multi(req_id: int, account: str, tag: str, value: str, currency: str) -> Fields:
    return [73, 1, req_id, account, "", tag, value, currency]


def account_summary(req_id: int, account: str, tag: str, value: str, currency: str) -> Fields:
    return [63, 1, req_id, account, tag, value, currency]


def pnl(req_id: int, margin: MarginState) -> Fields:
    return [94, req_id, _known(margin.day_pnl), _known(margin.unrealized_pnl), _known(margin.realized_pnl)]


def pnl_single(req_id: int, held: VenuePosition, day_pnl: float | None) -> Fields:
    money = (day_pnl, held.unrealized_pnl, held.realized_pnl, held.market_value)
    return [95, req_id, held.quantity, *(_known(value) for value in money)]


def ended(message_id: int, req_id: int | None = None, text: str | None = None) -> Fields:
    """The versioned end-of-list messages: 52 details, 53 open orders, 54 account, 55, 57, 62, 64, 72, 74."""
    return [message_id, 1, *([] if req_id is None else [req_id]), *([] if text is None else [text])]


# ── contracts ────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class DetailLine:
    """What contract details say beside the contract itself."""

    contract: WireContract
    market_name: str
    min_tick: float
    long_name: str
    under_con_id: int
    under_symbol: str
    under_sec_type: str
    last_trade_time: str  # HH:MM:SS, empty when it does not expire
    zone: str
    trading_hours: str
    liquid_hours: str
    valid_exchanges: str
    order_types: str
    market_rule_ids: str
    stock_type: str
    industry: str
    category: str
    real_expiry: str
    contract_month: str = ""


def contract_details(version: int, req_id: int, line: DetailLine) -> Fields:
    """contractData (10). Until 163 with its own version and the retired size multiplier."""
    c, sized = line.contract, version >= Since.SIZE_RULES
    # Clients before the size rules split the date at blanks only.
    last = (("-" if sized else " ").join((c.expiry, line.last_trade_time, line.zone))) if c.expiry else ""
    fields: Fields = [10, *([] if sized else [8]), req_id, c.symbol, c.sec_type, last, c.strike, c.right, c.exchange]
    fields += [c.currency, c.local_symbol, line.market_name, c.trading_class, c.con_id, line.min_tick]
    fields += [*([] if sized else [1]), c.multiplier, line.order_types, line.valid_exchanges, 1, line.under_con_id]
    fields += [plain_text(line.long_name), c.primary_exchange, line.contract_month, line.industry, line.category, ""]
    fields += [line.zone, line.trading_hours, line.liquid_hours, "", 0, 0, 1, line.under_symbol, line.under_sec_type]
    fields += [line.market_rule_ids, line.real_expiry, line.stock_type]
    if version == Since.FRACTIONAL_SIZE:
        return [*fields, 1]
    return [*fields, 1, 1, 1] if sized else fields


def option_parameters(req_id: int, chain: ChainClass) -> Fields:
    fields: Fields = [75, req_id, chain.exchange, chain.under_con_id, chain.trading_class, chain.multiplier]
    return [*fields, len(chain.expirations), *chain.expirations, len(chain.strikes), *chain.strikes]


def option_parameters_end(req_id: int) -> Fields:
    return [76, req_id]


def market_rule(rule_id: int, steps: Sequence[tuple[float, float]]) -> Fields:
    """marketRule (93): (from price, increment) ascending."""
    return [93, rule_id, len(steps), *(value for step in steps for value in step)]


# ── market data ──────────────────────────────────────────────────────────────────────────────────────────────────
def market_data_type(req_id: int, kind: int) -> Fields:
    return [58, 1, req_id, kind]


def tick_parameters(req_id: int, min_tick: float, exchange: str, permissions: int) -> Fields:
    return [81, req_id, min_tick, exchange, permissions]


def tick_price(req_id: int, kind: int, price: float, size: float) -> Fields:
    return [1, 6, req_id, kind, price, size, 0]


def tick_size(req_id: int, kind: int, size: float) -> Fields:
    return [2, 6, req_id, kind, size]


def tick_generic(req_id: int, kind: int, value: float) -> Fields:
    return [45, 6, req_id, kind, value]


def tick_string(req_id: int, kind: int, text: str) -> Fields:
    return [46, 6, req_id, kind, text]


def tick_greeks(req_id: int, kind: int, model: ModelGreeks | None) -> Fields:
    """tickOptionComputation (21); None sends the "not computed" markers."""
    if model is None:
        return [21, req_id, kind, 0, *NOT_COMPUTED]
    first = (model.iv, model.delta, model.price, model.pv_dividend)
    return [21, req_id, kind, 0, *first, model.gamma, model.vega, model.theta, model.under_price]


# ── history ──────────────────────────────────────────────────────────────────────────────────────────────────────
def bars(version: int, req_id: int, found: Sequence[VenueBar], date_format: int, daily: bool) -> Fields:
    """historicalData (17) with its start and end."""
    ends = [login_time(version, bar.at) for bar in (*found[:1], *found[-1:])] or ["", ""]
    fields: Fields = [17, req_id, ends[0], ends[-1], len(found)]
    for bar in found:
        fields += [bar_time(version, bar.at, date_format, daily), bar.open, bar.high, bar.low, bar.close]
        fields += [round(bar.volume), bar.wap, bar.count]
    return fields


def bar_update(version: int, req_id: int, bar: VenueBar, date_format: int, daily: bool) -> Fields:
    """historicalDataUpdate (90): another order than 17 (close before high)."""
    fields: Fields = [90, req_id, bar.count, bar_time(version, bar.at, date_format, daily), bar.open, bar.close]
    return [*fields, bar.high, bar.low, bar.wap, round(bar.volume)]


def head_timestamp(version: int, req_id: int, at: datetime, date_format: int) -> Fields:
    return [88, req_id, bar_time(version, at, date_format, daily=False)]
