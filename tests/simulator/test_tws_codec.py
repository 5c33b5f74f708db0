"""The codec against the real clients: what they encode is read to the end, what the venue lays out they decode."""

import contextlib
import math
import string
import struct
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ib_async import ComboLeg, Contract, LimitOrder, Order, PriceCondition, TagValue, TimeCondition
from ib_async.client import Client
from ib_async.contract import DeltaNeutralContract
from ib_async.decoder import Decoder
from ib_async.order import OrderComboLeg
from ibapi.decoder import Decoder as OfficialDecoder

from adapters.simulator import tws_order_replies as order_reply
from adapters.simulator import tws_replies as reply
from adapters.simulator import tws_requests as ask
from adapters.simulator.tws_order_replies import OrderLine, OrderState
from adapters.simulator.tws_order_wire import PlaceOrder, parse_place_order
from adapters.simulator.tws_reading import parse_request
from adapters.simulator.tws_wire import (
    UNSET,
    FieldReader,
    WireError,
    decode_payload,
    encode_frame,
    field_text,
    negotiate,
)
from adapters.simulator.types import MarginState, ModelGreeks, VenueBar, VenuePosition
from tests.tws_clients import OfficialClient

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
VERSIONS = (157, 158, 159, 160, 162, 163, 164, 166, 169, 170, 174, 176, 177, 178)
EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS)

texts = st.text(alphabet=string.ascii_letters + string.digits + " .-_", max_size=12)
prices = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)


class _Spoken:
    """ib_async's client without a socket: keeps the fields of what it would have sent."""

    def __init__(self, version: int) -> None:
        self.client = Client(SimpleNamespace())
        self.client.connState = Client.CONNECTED
        self.client._serverVersion = version
        self.messages: list[str] = []
        self.client.sendMsg = self.messages.append  # type: ignore[method-assign]

    @property
    def fields(self) -> list[str]:
        return decode_payload(self.messages[-1].encode())


class _Heard:
    """A wrapper that keeps what a decoder calls it with; its `problems` are what the decoder logged."""

    ib = SimpleNamespace(TimezoneTWS=None)
    defaultTimezone = UTC  # noqa: N815 - ib_async's name

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args: self.calls.append((name, args))


def heard_by_ib_async(version: int, fields: list[object]) -> tuple[str, tuple[Any, ...]]:
    wrapper = _Heard()
    decoder = Decoder(wrapper, version)
    message = decode_payload(encode_frame(fields)[4:])
    decoder.handlers[int(message[0])](message)  # not interpret(): that one swallows what goes wrong
    return wrapper.calls[-1]


def heard_by_ibapi(fields: list[object]) -> tuple[str, tuple[Any, ...]]:
    client = OfficialClient()
    decoder = OfficialDecoder(client, 157)
    decoder.interpret(tuple(encode_frame(fields)[4:].split(b"\0")[:-1]))
    (name,) = client.heard
    return name, client.heard[name][-1]


# ── frames and fields ────────────────────────────────────────────────────────────────────────────────────────────
@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1))
def test_any_text_survives_a_frame(fields: list[str]):
    frame = encode_frame(fields)
    assert struct.unpack(">I", frame[:4]) == (len(frame) - 4,)
    assert decode_payload(frame[4:]) == fields


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_double_survives_a_field_exactly(value: float):
    assert FieldReader([field_text(value)], "test").number("value") == value or abs(value) > 1.79769313486231e308


def test_a_value_the_venue_does_not_know_leaves_as_unset_and_a_flag_as_a_digit():
    assert [field_text(v) for v in (None, True, False, math.nan, 10.0, 0.05, math.inf)] == [
        "", "1", "0", UNSET, "10", "0.05", "Infinity",
    ]  # fmt: skip


def test_the_agreed_version_is_the_clients_newest_but_never_above_178():
    assert negotiate("v157..178") == (178, "")
    assert negotiate("v100..157") == (157, "")
    assert negotiate("v100..203 +PACEAPI") == (178, "+PACEAPI")
    assert negotiate("v163") == (163, "")
    assert negotiate("v201..203") == (178, "")  # it will see that the venue is older than it can speak
    for broken in ("v100..156", "157..178", "vx..y", "", "v178..157"):
        assert negotiate(broken) is None


def test_a_frame_that_is_not_fields_is_refused_by_name():
    with pytest.raises(WireError, match="NUL"):
        decode_payload(b"71\x002")
    with pytest.raises(WireError, match="reqMktData: ended before reqId"):
        parse_request(["1", "11"], 178)
    with pytest.raises(WireError, match="1 unread fields"):
        parse_request(["49", "1", "surprise"], 178)
    with pytest.raises(WireError, match="conId 'x' is not a number"):
        parse_request(["9", "8", "1", "x"], 178)
    with pytest.raises(WireError, match="message id"):
        parse_request(["hello"], 178)


def test_a_request_the_venue_does_not_serve_keeps_its_request_id():
    assert parse_request(["86", "12", "1"], 178) == ask.Unsupported("reqHistoricalNews", 12)
    assert parse_request(["80"], 178) == ask.Unsupported("reqFamilyCodes", -1)
    assert parse_request(["4711", "1"], 178) == ask.Unsupported("message 4711", -1)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(alphabet="0123456789.-aBA\0", max_size=4), max_size=60), st.sampled_from(VERSIONS))
def test_no_frame_can_do_worse_than_a_wire_error(rest: list[str], version: int):
    for message_id in ("1", "3", "4", "7", "9", "20", "62", "78", "99"):
        with contextlib.suppress(WireError):
            if message_id == "3":
                parse_place_order([message_id, *rest], version)
            else:
                parse_request([message_id, *rest], version)


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────
@EVERY_VERSION
def test_every_request_ib_async_sends_is_read_to_its_last_field(version: int):
    spoken = _Spoken(version)
    c = spoken.client
    option = Contract(secType="OPT", symbol="SPX", lastTradeDateOrContractMonth="20261218", strike=6000.0, right="C",
                      exchange="SMART", currency="USD", tradingClass="SPXW")  # fmt: skip
    legs = [ComboLeg(1, 1, "BUY", "SMART"), ComboLeg(2, 2, "SELL", "SMART")]
    bag = Contract(secType="BAG", symbol="SPX", exchange="SMART", comboLegs=legs)
    neutral = Contract(conId=5, deltaNeutralContract=DeltaNeutralContract(1, 0.5, 100.0))
    filters = SimpleNamespace(clientId=3, acctCode="A", time="", symbol="SPX", secType="OPT", exchange="", side="BUY")
    calls = [
        (lambda: c.startApi(), ask.StartApi(-1, "")),
        (lambda: c.reqMktData(4, bag, "100,106", False, False, []), None),
        (lambda: c.reqMktData(4, neutral, "", True, False, []), None),
        (lambda: c.cancelMktData(4), ask.Plain("cancel_market_data", 4)),
        (lambda: c.cancelOrder(9), ask.CancelOrder(9)),
        (lambda: c.reqContractDetails(3, option), None),
        (lambda: c.reqHistoricalData(3, bag, "", "1 D", "1 min", "TRADES", True, 2, True, []), None),
        (lambda: c.reqHeadTimeStamp(3, option, "TRADES", True, 1), None),
        (lambda: c.reqExecutions(3, filters), ask.Executions(3, 3, "A", "", "SPX", "OPT", "", "BUY")),
        (lambda: c.reqAccountUpdates(True, "A"), ask.AccountUpdates(True, "A")),
        (lambda: c.reqAccountUpdatesMulti(3, "A", "", False), ask.AccountMulti(3, "A", "", False)),
        (lambda: c.reqPositionsMulti(3, "A", ""), ask.AccountMulti(3, "A", "", True)),
        (lambda: c.reqAccountSummary(3, "All", "NetLiquidation, Cushion"),
         ask.AccountSummary(3, "All", ("NetLiquidation", "Cushion"))),
        (lambda: c.reqPnL(3, "A", ""), ask.Pnl(3, "A")),
        (lambda: c.reqPnLSingle(3, "A", "", 17), ask.Pnl(3, "A", 17)),
        (lambda: c.reqSecDefOptParams(3, "ES", "CME", "FUT", 17), ask.OptionParameters(3, "ES", "CME", "FUT", 17)),
        (lambda: c.reqMarketDataType(3), ask.MarketDataType(3)),
        (lambda: c.reqCompletedOrders(True), ask.CompletedOrders(True)),
        (lambda: c.reqMarketRule(26), ask.MarketRule(26)),
        (lambda: c.reqIds(1), ask.Plain("next_id")),
        (lambda: c.setServerLogLevel(5), ask.Plain("log_level")),
        (lambda: c.reqAutoOpenOrders(True), ask.Plain("auto_open_orders")),
        *((getattr(c, name), ask.Plain(kind)) for name, kind in (
            ("reqOpenOrders", "open_orders"), ("reqAllOpenOrders", "all_open_orders"), ("reqPositions", "positions"),
            ("cancelPositions", "cancel_positions"), ("reqCurrentTime", "current_time"),
            ("reqGlobalCancel", "global_cancel"), ("reqManagedAccts", "managed_accounts"))),
        *((lambda name=name: getattr(c, name)(8), ask.Plain(kind, 8)) for name, kind in (
            ("cancelHistoricalData", "cancel_history"), ("cancelAccountSummary", "cancel_summary"),
            ("cancelPositionsMulti", "cancel_account_multi"), ("cancelAccountUpdatesMulti", "cancel_account_multi"),
            ("cancelPnL", "cancel_pnl"), ("cancelPnLSingle", "cancel_pnl"), ("cancelHeadTimeStamp", "nothing"))),
    ]  # fmt: skip
    for call, expected in calls:
        call()
        request = parse_request(spoken.fields, version)
        assert expected is None or request == expected
    c.reqMktData(4, bag, "100,106", False, False, [])
    request = parse_request(spoken.fields, version)
    assert isinstance(request, ask.MarketDataRequest)
    assert [(leg.con_id, leg.ratio, leg.action) for leg in request.contract.legs] == [(1, 1, "BUY"), (2, 2, "SELL")]
    assert request.generic == ("100", "106") and not request.snapshot


@st.composite
def client_orders(draw: st.DrawFn) -> tuple[Contract, Order]:
    """An order of any shape ib_async can put on the wire, with a single instrument or a BAG."""
    order = LimitOrder(draw(st.sampled_from(["BUY", "SELL"])), draw(st.integers(1, 500)), draw(prices))
    order.orderType = draw(st.sampled_from(["LMT", "MKT", "STP LMT", "PEG BENCH", "PEG BEST", "PEG MID", "REL"]))
    order.tif, order.orderRef = draw(st.sampled_from(["DAY", "GTC", ""])), draw(texts)
    order.whatIf, order.transmit = draw(st.booleans()), draw(st.booleans())
    order.deltaNeutralOrderType = draw(st.sampled_from(["", "MKT"]))
    order.hedgeType = draw(st.sampled_from(["", "D"]))
    order.algoStrategy = draw(st.sampled_from(["", "Adaptive"]))
    order.algoParams = [TagValue(tag, "1") for tag in draw(st.lists(texts, max_size=3))]
    order.scalePriceIncrement = draw(st.sampled_from([0.5, 0.0]))
    order.competeAgainstBestOffset = draw(st.sampled_from([math.inf, 0.02]))
    if draw(st.booleans()):
        order.conditions = [PriceCondition(1, "a", True, 400.0, 17, "SMART", 0), TimeCondition(3, "o", True, "x")]
    contract = Contract(conId=draw(st.integers(1, 2**30)), secType="OPT", symbol="SPX", exchange="SMART")
    if draw(st.booleans()):
        contract.exchange = "IBKRATS"
    if draw(st.booleans()):
        contract.secType = "BAG"
        contract.comboLegs = [ComboLeg(n, n, "BUY", "SMART") for n in range(1, draw(st.integers(2, 5)))]
        order.orderComboLegs = [OrderComboLeg(draw(prices)) for _ in contract.comboLegs]
        order.smartComboRoutingParams = [TagValue("NonGuaranteed", "1")]
    if draw(st.booleans()):
        contract.deltaNeutralContract = DeltaNeutralContract(1, 0.5, 100.0)
    return contract, order


def placed(contract: Contract, order: Order, version: int) -> PlaceOrder:
    spoken = _Spoken(version)
    spoken.client.placeOrder(42, contract, order)
    return parse_place_order(spoken.fields, version)


@settings(max_examples=300, deadline=None)
@given(client_orders(), st.sampled_from(VERSIONS))
def test_any_order_is_read_to_its_last_field_and_echoed_as_it_was(stated: tuple[Contract, Order], version: int):
    contract, order = stated
    place = placed(contract, order, version)
    assert place.order_id == 42 and place.contract.con_id == contract.conId
    assert place.number("lmtPrice") == order.lmtPrice and place["orderRef"] == order.orderRef
    assert len(place.contract.legs) == len(contract.comboLegs)
    assert PlaceOrder.recall(place.kept()) == PlaceOrder.recall(PlaceOrder.recall(place.kept()).kept())
    line = OrderLine(place, place.contract, 7, 900_001)
    name, (order_id, echoed, back, state) = heard_by_ib_async(
        version, order_reply.open_order(version, line, OrderState("Submitted"))
    )
    assert (name, order_id, back.clientId, back.permId, state.status) == ("openOrder", 42, 7, 900_001, "Submitted")
    assert (back.action, back.totalQuantity, back.orderType) == (order.action, order.totalQuantity, order.orderType)
    assert (back.lmtPrice, back.tif, back.orderRef) == (order.lmtPrice, order.tif, order.orderRef)
    assert (back.whatIf, len(back.conditions)) == (order.whatIf, len(order.conditions))
    assert [leg.conId for leg in echoed.comboLegs] == [leg.conId for leg in contract.comboLegs]
    name, (_, done, state) = heard_by_ib_async(
        version, order_reply.completed_order(version, line, "Filled", 3.0, "20261120 12:00:00 US/Eastern", "Filled")
    )
    assert (done.permId, done.filledQuantity, state.status) == (900_001, 3.0, "Filled")
    assert (done.orderRef, state.completedTime) == (order.orderRef, "20261120 12:00:00 US/Eastern")


@settings(max_examples=150, deadline=None)
@given(client_orders())
def test_any_order_is_echoed_so_that_ibkrs_own_client_reads_it(stated: tuple[Contract, Order]):
    contract, order = stated
    order.orderType = "LMT"  # the 2019 client knows none of the newer peg types' fields
    line = OrderLine(placed(contract, order, 157), ask.WireContract(con_id=5, symbol="SPX", sec_type="OPT"), 7, 900_001)
    name, (order_id, _, back, state) = heard_by_ibapi(
        order_reply.open_order(157, line, OrderState("Submitted", commission=1.3, currency="USD"))
    )
    assert (name, order_id, back.permId, state.commission) == ("openOrder", 42, 900_001, 1.3)
    assert (back.lmtPrice, back.orderRef, back.usePriceMgmtAlgo) == (order.lmtPrice, order.orderRef, False)
    name, (_, done, state) = heard_by_ibapi(order_reply.completed_order(157, line, "Filled", 3.0, "then", "why"))
    assert (name, done.filledQuantity, state.completedTime, state.completedStatus) == (
        "completedOrder", 3.0, "then", "why",
    )  # fmt: skip


# ── replies ──────────────────────────────────────────────────────────────────────────────────────────────────────
CONTRACT = ask.WireContract(
    17, "SPX", "OPT", "20261218", 6000.0, "C", "100", "CBOE", "CBOE", "USD", "SPXW 6000C", "SPXW"
)


def detail_line() -> reply.DetailLine:
    return reply.DetailLine(
        CONTRACT, "SPXW", 0.05, "S&P 500 – Index", 1001, "SPX", "IND", "16:00:00", "US/Eastern", "20261120:0930-1600",
        "20261120:0930-1600", "SMART,CBOE", "LMT", "110,110", "", "", "", "20261218",
    )  # fmt: skip


@EVERY_VERSION
def test_contract_details_read_the_same_at_every_version(version: int):
    name, (req_id, details) = heard_by_ib_async(version, reply.contract_details(version, 3, detail_line()))
    assert (name, req_id, details.contract.conId, details.contract.strike) == ("contractDetails", 3, 17, 6000.0)
    assert (details.contract.lastTradeDateOrContractMonth, details.lastTradeTime) == ("20261218", "16:00:00")
    assert (details.marketRuleIds, details.realExpirationDate) == ("110,110", "20261218")
    assert (details.longName, details.tradingHours) == ("S&P 500 – Index", "20261120:0930-1600")
    assert (details.minTick, details.underConId) == (0.05, 1001)


@EVERY_VERSION
def test_an_execution_names_its_moment_in_a_zone_from_174_on(version: int):
    line = order_reply.ExecutionLine(
        42, 7, 900_001, CONTRACT, "e.1", NOON, "SIM1", "CBOE", "BOT", 2.0, 1.25, 2.0, 1.25, "ref"
    )
    at = reply.login_time(version, NOON)
    name, (req_id, contract, execution) = heard_by_ib_async(version, order_reply.execution(version, -1, line, at))
    assert (name, req_id, contract.conId, execution.shares) == ("execDetails", -1, 17, 2.0)
    assert (execution.orderRef, execution.side, execution.time) == ("ref", "BOT", NOON)
    assert at.endswith("US/Eastern") == (version >= 174)


def test_ibkrs_own_client_reads_every_other_reply():
    held = VenuePosition(17, -2.0, 500.0, None, None, None, 1.5)
    bar = VenueBar(NOON, 1.0, 2.0, 0.5, 1.5, 1000.0, 1.25, 42)
    margin = MarginState(1e6, 9e5, 1e5, 8e4, 5e5, 8e5, 8.2e5, 3.2e6, 6e5, 123.45, 10.0, 0.0)
    greeks = ModelGreeks(0.2, 60.0, 0.5, 0.001, 6.5, -1.9, 0.0, 6000.0)
    for fields, name in (
        (reply.error(157, 3, 200, "no – such"), "error"),
        (reply.managed_accounts(["A", "B"]), "managedAccounts"),
        (reply.next_valid_id(5), "nextValidId"),
        (reply.current_time(NOON), "currentTime"),
        (reply.account_value("NetLiquidation", "1.00", "USD", "A"), "updateAccountValue"),
        (reply.account_time(NOON), "updateAccountTime"),
        (reply.portfolio_value(CONTRACT, held, "A"), "updatePortfolio"),
        (reply.position(CONTRACT, -2.0, 500.0, "A"), "position"),
        (reply.position_multi(3, CONTRACT, -2.0, 500.0, "A"), "positionMulti"),
        (reply.account_multi(3, "A", "NetLiquidation", "1.00", "USD"), "accountUpdateMulti"),
        (reply.account_summary(3, "A", "NetLiquidation", "1.00", "USD"), "accountSummary"),
        (reply.pnl(3, margin), "pnl"),
        (reply.pnl_single(3, held, None), "pnlSingle"),
        (reply.ended(52, 3), "contractDetailsEnd"),
        (reply.ended(53), "openOrderEnd"),
        (reply.ended(54, text="A"), "accountDownloadEnd"),
        (reply.ended(57, 3), "tickSnapshotEnd"),
        (reply.ended(62), "positionEnd"),
        (reply.ended(64, 3), "accountSummaryEnd"),
        (reply.ended(72, 3), "positionMultiEnd"),
        (reply.ended(74, 3), "accountUpdateMultiEnd"),
        (reply.contract_details(157, 3, detail_line()), "contractDetails"),
        (reply.option_parameters_end(3), "securityDefinitionOptionParameterEnd"),
        (reply.market_rule(26, ((0.0, 0.01),)), "marketRule"),
        (reply.market_data_type(3, 1), "marketDataType"),
        (reply.tick_parameters(3, 0.01, "x", 3), "tickReqParams"),
        (reply.tick_size(3, 0, 12.0), "tickSize"),
        (reply.tick_generic(3, 49, 1.0), "tickGeneric"),
        (reply.tick_string(3, 45, "17"), "tickString"),
        (reply.tick_greeks(3, 13, greeks), "tickOptionComputation"),
        (reply.tick_greeks(3, 13, None), "tickOptionComputation"),
        (reply.bar_update(157, 3, bar, 1, False), "historicalDataUpdate"),
        (reply.head_timestamp(157, 3, NOON, 2), "headTimestamp"),
        (order_reply.commission_report("e", 0.65, "USD", None), "commissionReport"),
        ([102], "completedOrdersEnd"),
    ):  # fmt: skip
        assert heard_by_ibapi(fields)[0] == name


def test_an_uncomputed_greek_is_a_marker_both_clients_know():
    _, (_, kind, _, iv, delta, price, dividend, gamma, vega, theta, under) = heard_by_ibapi(
        reply.tick_greeks(3, 13, None)
    )
    assert kind == 13
    assert (iv, delta, price, dividend, gamma, vega, theta, under) == (None,) * 8


def test_a_bar_keeps_its_session_day_whatever_the_zone():
    midnight = datetime(2026, 11, 20, tzinfo=UTC)
    assert reply.bar_time(178, midnight, 1, daily=True) == "20261120"
    assert reply.bar_time(178, NOON, 2, daily=False) == str(int(NOON.timestamp()))
    assert reply.bar_time(178, NOON, 1, daily=False) == "20261120 12:00:00 US/Eastern"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20261120-17:00:00", NOON),
        ("20261120 12:00:00 US/Eastern", NOON),
        ("20261120 12:00:00", NOON),
        ("20261120  18:00:00 Europe/Berlin", NOON),
        ("", None),
        ("yesterday", None),
        ("20261120 12:00:00 Nowhere/Land", None),
    ],
)
def test_a_moment_is_read_in_the_zone_it_names(text: str, expected: datetime | None):
    assert reply.parse_moment(text) == expected
