"""How each request is read from its fields for the agreed version.

`parse_request` reads to the last field: anything left over is an error, never ignored. Requests the venue does not
serve come back as `Unsupported`, so that the session can answer instead of leaving a client waiting.
"""

from collections.abc import Callable
from dataclasses import replace

from adapters.simulator.tws_requests import (
    AccountMulti,
    AccountSummary,
    AccountUpdates,
    CancelOrder,
    CompletedOrders,
    ContractDetails,
    Executions,
    HeadTimestamp,
    HistoricalRequest,
    MarketDataRequest,
    MarketDataType,
    MarketRule,
    OptionParameters,
    Plain,
    Pnl,
    StartApi,
    Unsupported,
    WireContract,
    WireLeg,
)
from adapters.simulator.tws_wire import FieldReader, Since, WireError


def read_contract(r: FieldReader) -> WireContract:
    """The twelve fields every request states a contract with."""
    return WireContract(
        con_id=r.integer("conId"),
        symbol=r.text("symbol"),
        sec_type=r.text("secType"),
        expiry=r.text("lastTradeDate"),
        strike=r.number("strike") or 0.0,
        right=r.text("right"),
        multiplier=r.text("multiplier"),
        exchange=r.text("exchange"),
        primary_exchange=r.text("primaryExchange"),
        currency=r.text("currency"),
        local_symbol=r.text("localSymbol"),
        trading_class=r.text("tradingClass"),
    )


def read_short_legs(r: FieldReader) -> tuple[WireLeg, ...]:
    """A BAG's legs as market data and history state them: conId, ratio, action, exchange."""
    return tuple(
        WireLeg(r.integer("leg conId"), r.integer("leg ratio"), r.text("leg action"), r.text("leg exchange"))
        for _ in range(r.count("comboLegs"))
    )


def _with_legs(contract: WireContract, r: FieldReader) -> WireContract:
    return replace(contract, legs=read_short_legs(r)) if contract.is_bag else contract


def _start_api(r: FieldReader, _: int) -> StartApi:
    r.skip(1, "version")
    return StartApi(r.integer("clientId"), r.text("optionalCapabilities"))


def _market_data(r: FieldReader, _: int) -> MarketDataRequest:
    r.skip(1, "version")
    req_id = r.integer("reqId")
    contract = _with_legs(read_contract(r), r)
    if r.flag("deltaNeutral"):
        r.skip(3, "deltaNeutral contract")
    generic = tuple(part.strip() for part in r.text("genericTicks").split(",") if part.strip())
    request = MarketDataRequest(req_id, contract, generic, r.flag("snapshot"), r.flag("regulatorySnapshot"))
    r.skip(1, "options")
    return request


def _contract_details(r: FieldReader, version: int) -> ContractDetails:
    r.skip(1, "version")
    request = ContractDetails(
        r.integer("reqId"), read_contract(r), r.flag("includeExpired"), r.text("secIdType"), r.text("secId")
    )
    if version >= Since.BOND_ISSUER:
        r.skip(1, "issuerId")
    return request


def _history(r: FieldReader, _: int) -> HistoricalRequest:
    req_id, contract = r.integer("reqId"), read_contract(r)
    r.skip(1, "includeExpired")
    end, bar_size, duration = r.text("endDateTime"), r.text("barSize"), r.text("duration")
    use_rth, what, date_format = r.flag("useRTH"), r.text("whatToShow"), r.integer("formatDate")
    contract = _with_legs(contract, r)
    keep = r.flag("keepUpToDate")
    r.skip(1, "chartOptions")
    return HistoricalRequest(req_id, contract, end, bar_size, duration, use_rth, what, date_format, keep)


def _head_timestamp(r: FieldReader, _: int) -> HeadTimestamp:
    req_id, contract = r.integer("reqId"), read_contract(r)
    r.skip(1, "includeExpired")
    use_rth, what = r.flag("useRTH"), r.text("whatToShow")
    return HeadTimestamp(req_id, contract, what, use_rth, r.integer("formatDate"))


def _executions(r: FieldReader, _: int) -> Executions:
    r.skip(1, "version")
    return Executions(
        r.integer("reqId"),
        r.integer("clientId"),
        *(r.text(name) for name in ("account", "time", "symbol", "secType", "exchange", "side")),
    )


def _account_updates(r: FieldReader, _: int) -> AccountUpdates:
    r.skip(1, "version")
    return AccountUpdates(r.flag("subscribe"), r.text("account"))


def _account_multi(r: FieldReader, _: int) -> AccountMulti:
    r.skip(1, "version")
    request = AccountMulti(r.integer("reqId"), r.text("account"), r.text("modelCode"), False)
    r.skip(1, "ledgerAndNLV")
    return request


def _positions_multi(r: FieldReader, _: int) -> AccountMulti:
    r.skip(1, "version")
    return AccountMulti(r.integer("reqId"), r.text("account"), r.text("modelCode"), True)


def _summary(r: FieldReader, _: int) -> AccountSummary:
    r.skip(1, "version")
    req_id, group = r.integer("reqId"), r.text("group")
    return AccountSummary(req_id, group, tuple(tag.strip() for tag in r.text("tags").split(",") if tag.strip()))


def _pnl(r: FieldReader, _: int) -> Pnl:
    request = Pnl(r.integer("reqId"), r.text("account"))
    r.skip(1, "modelCode")
    return request


def _pnl_single(r: FieldReader, _: int) -> Pnl:
    req_id, account = r.integer("reqId"), r.text("account")
    r.skip(1, "modelCode")
    return Pnl(req_id, account, r.integer("conId"))


def _option_parameters(r: FieldReader, _: int) -> OptionParameters:
    return OptionParameters(
        r.integer("reqId"), r.text("symbol"), r.text("futFopExchange"), r.text("secType"), r.integer("conId")
    )


def _cancel_order(r: FieldReader, version: int) -> CancelOrder:
    r.skip(1, "version")
    request = CancelOrder(r.integer("orderId"))
    if version >= Since.MANUAL_ORDER_TIME:
        r.skip(1, "manualOrderCancelTime")
    return request


def _market_data_type(r: FieldReader, _: int) -> MarketDataType:
    r.skip(1, "version")
    return MarketDataType(r.integer("marketDataType"))


Parser = Callable[[FieldReader, int], object]


def _plain(kind: str, *, versioned: bool = True, numbered: bool = False, extra: int = 0) -> Parser:
    def parse(r: FieldReader, _: int) -> Plain:
        r.skip(1 if versioned else 0, "version")
        request = Plain(kind, r.integer("reqId") if numbered else -1)
        r.skip(extra, "unused")
        return request

    return parse


PARSERS: dict[int, tuple[str, Parser]] = {
    1: ("reqMktData", _market_data),
    2: ("cancelMktData", _plain("cancel_market_data", numbered=True)),
    4: ("cancelOrder", _cancel_order),
    5: ("reqOpenOrders", _plain("open_orders")),
    6: ("reqAccountUpdates", _account_updates),
    7: ("reqExecutions", _executions),
    8: ("reqIds", _plain("next_id", extra=1)),
    9: ("reqContractDetails", _contract_details),
    14: ("setServerLogLevel", _plain("log_level", extra=1)),
    15: ("reqAutoOpenOrders", _plain("auto_open_orders", extra=1)),
    16: ("reqAllOpenOrders", _plain("all_open_orders")),
    17: ("reqManagedAccts", _plain("managed_accounts")),
    20: ("reqHistoricalData", _history),
    25: ("cancelHistoricalData", _plain("cancel_history", numbered=True)),
    49: ("reqCurrentTime", _plain("current_time")),
    58: ("reqGlobalCancel", _plain("global_cancel")),
    59: ("reqMarketDataType", _market_data_type),
    61: ("reqPositions", _plain("positions")),
    62: ("reqAccountSummary", _summary),
    63: ("cancelAccountSummary", _plain("cancel_summary", numbered=True)),
    64: ("cancelPositions", _plain("cancel_positions")),
    71: ("startApi", _start_api),
    74: ("reqPositionsMulti", _positions_multi),
    75: ("cancelPositionsMulti", _plain("cancel_account_multi", numbered=True)),
    76: ("reqAccountUpdatesMulti", _account_multi),
    77: ("cancelAccountUpdatesMulti", _plain("cancel_account_multi", numbered=True)),
    78: ("reqSecDefOptParams", _option_parameters),
    87: ("reqHeadTimestamp", _head_timestamp),
    90: ("cancelHeadTimestamp", _plain("nothing", versioned=False, numbered=True)),
    91: ("reqMarketRule", lambda r, _: MarketRule(r.integer("marketRuleId"))),
    92: ("reqPnL", _pnl),
    93: ("cancelPnL", _plain("cancel_pnl", versioned=False, numbered=True)),
    94: ("reqPnLSingle", _pnl_single),
    95: ("cancelPnLSingle", _plain("cancel_pnl", versioned=False, numbered=True)),
    99: ("reqCompletedOrders", lambda r, _: CompletedOrders(r.flag("apiOnly"))),
}

UNSUPPORTED: dict[int, tuple[str, int | None]] = {
    10: ("reqMktDepth", 2),
    12: ("reqNewsBulletins", None),
    18: ("requestFA", None),
    19: ("replaceFA", None),
    21: ("exerciseOptions", 2),
    22: ("reqScannerSubscription", 1),
    24: ("reqScannerParameters", None),
    50: ("reqRealTimeBars", 2),
    52: ("reqFundamentalData", 2),
    54: ("calculateImpliedVolatility", 2),
    55: ("calculateOptionPrice", 2),
    65: ("verifyRequest", None),
    66: ("verifyMessage", None),
    67: ("queryDisplayGroups", 2),
    68: ("subscribeToGroupEvents", 2),
    69: ("updateDisplayGroup", 2),
    72: ("verifyAndAuthRequest", None),
    73: ("verifyAndAuthMessage", None),
    79: ("reqSoftDollarTiers", 1),
    80: ("reqFamilyCodes", None),
    81: ("reqMatchingSymbols", 1),
    82: ("reqMktDepthExchanges", None),
    83: ("reqSmartComponents", 1),
    84: ("reqNewsArticle", 1),
    85: ("reqNewsProviders", None),
    86: ("reqHistoricalNews", 1),
    88: ("reqHistogramData", 1),
    96: ("reqHistoricalTicks", 1),
    97: ("reqTickByTickData", 1),
    100: ("reqWshMetaData", 1),
    102: ("reqWshEventData", 1),
    104: ("reqUserInfo", 1),
}
"""Message id → name and where its request id stands (None: it carries none)."""

SILENT = {11, 13, 23, 51, 53, 56, 57, 70, 89, 98, 101, 103}
"""Cancels of what the venue does not serve: there is nothing to stop, and TWS answers a cancel with silence."""


def parse_request(fields: list[str], version: int) -> object:
    """The request in a frame's fields. Raises WireError naming the message. placeOrder is in tws_order_wire."""
    message_id = _message_id(fields)
    if message_id in SILENT:
        return Plain("nothing")
    if message_id in UNSUPPORTED:
        name, at = UNSUPPORTED[message_id]
        return Unsupported(name, _request_id(fields, at))
    if message_id not in PARSERS:
        return Unsupported(f"message {message_id}", -1)
    name, parse = PARSERS[message_id]
    reader = FieldReader(fields[1:], name)
    request = parse(reader, version)
    reader.done()
    return request


def _message_id(fields: list[str]) -> int:
    try:
        return int(fields[0])
    except (ValueError, IndexError) as error:
        raise WireError(f"message id {fields[:1]!r} is not a number") from error


def _request_id(fields: list[str], at: int | None) -> int:
    text = fields[at] if at is not None and at < len(fields) else ""
    return int(text) if text.lstrip("-").isdecimal() else -1


def request_id_of(fields: list[str]) -> int:
    """The request or order id a broken message most likely carried, so that its error reaches the right caller."""
    first = fields[0] if fields else ""
    if first in ("3", "20", "78", "87", "90", "91", "92", "93", "94", "95"):
        return _request_id(fields, 1)
    return _request_id(fields, 2) if first in ("1", "2", "4", "7", "9", "25", "62", "63", "74", "76") else -1
