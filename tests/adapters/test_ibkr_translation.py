"""The broker's spelling and ours: unset numbers, contracts, orders, the clock cut to seconds. No socket."""

from datetime import UTC, date, datetime, timedelta

import ib_async
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.base import ContractMismatch, NewOrder, WireStatus
from adapters.connect import account_check
from adapters.ibkr_market import tick_of
from adapters.ibkr_ordering import doubtful
from adapters.ibkr_orders import fill_of, margin_impact, placed, wire_limit, wire_order
from adapters.ibkr_socket import ClockFit, from_ib, names, number, to_ib
from models.quant.option import Contract, Right, SecType
from models.quant.structure import Action, Leg, QuoteSource
from models.settings import Mode, Settings

SPXW = Contract("SPX", SecType.OPTION, "SPXW", 100.0, date(2026, 12, 18), 6000.0, Right.PUT)
SPX_AM = Contract("SPX", SecType.OPTION, "SPX", 100.0, date(2026, 12, 18), 6000.0, Right.CALL)
ES = Contract("ES", SecType.FUTURE, "ES", 50.0, date(2026, 12, 18))
CONTRACTS = (
    SPXW,
    SPX_AM,
    ES,
    Contract("ES", SecType.FUTURE_OPTION, "EW3", 50.0, date(2026, 12, 18), 6000.0, Right.PUT),
    Contract("SPY", SecType.STOCK, "SPY"),
    Contract("VIX", SecType.INDEX, "VIX"),
)


@pytest.mark.parametrize(
    "raw",
    ["", None, "nan", float("nan"), float("inf"), "1.7976931348623157E308", "1.7976931348623157e308",
     1.7976931348623157e308, "-1.7976931348623157E+308", "not a number", "Infinite"],
)  # fmt: skip
def test_an_unset_number_is_unknown(raw: object) -> None:
    assert number(raw) is None


@pytest.mark.parametrize(
    ("raw", "unset", "is_"),
    [("2000.0", (), 2000.0), (-1, (-1.0,), None), (-1, (), -1.0), (-2.0, (-2.0,), None), ("0", (), 0.0),
     (0.0, (0.0,), None)],
)  # fmt: skip
def test_a_sentinel_is_unknown_only_where_it_is_one(raw: object, unset: tuple[float, ...], is_: float | None) -> None:
    assert number(raw, *unset) == is_


@given(st.floats(-1e9, 1e9))
def test_any_ordinary_number_comes_through_unchanged(value: float) -> None:
    assert number(str(value)) == value


@pytest.mark.parametrize("contract", CONTRACTS, ids=str)
def test_a_contract_goes_out_and_comes_home_as_itself(contract: Contract) -> None:
    raw = to_ib(contract, 77)
    assert contract.expiry is None or raw.lastTradeDateOrContractMonth
    raw.lastTradeDateOrContractMonth = f"{contract.expiry:%Y%m%d}" if contract.expiry else ""
    raw.localSymbol = contract.identity if contract.sec_type is SecType.OPTION else ""
    assert from_ib(raw) == contract
    assert names(raw, contract)


def test_an_am_option_is_known_by_its_symbol_not_by_its_last_trading_day() -> None:
    raw = to_ib(SPX_AM, 5)
    assert raw.lastTradeDateOrContractMonth == "202612"
    raw.lastTradeDateOrContractMonth, raw.localSymbol = "20261217", "SPX   261218C06000000"
    assert from_ib(raw) == SPX_AM
    assert not names(raw, SPXW)


def _order(legs: tuple[Leg, ...], limit: float, action: Action = Action.BUY) -> NewOrder:
    return NewOrder("ref", "SIM1", legs, action, 3, "LMT", limit, "DAY")


def test_a_combo_leaves_as_buy_at_its_debit_with_everything_named() -> None:
    legs = (Leg(SPXW, Action.BUY, 1, 1), Leg(SPX_AM, Action.SELL, 2, 2))
    contract, raw = wire_order(_order(legs, -1.25))
    assert contract.secType == "BAG"
    assert [(leg.conId, leg.ratio, leg.action) for leg in contract.comboLegs] == [(1, 1, "BUY"), (2, 2, "SELL")]
    assert (raw.action, raw.lmtPrice, raw.tif, raw.account, raw.orderRef) == ("BUY", -1.25, "DAY", "SIM1", "ref")


def test_a_combo_to_sell_leaves_as_buy_of_its_reverse() -> None:
    legs = (Leg(SPXW, Action.BUY, 1, 1), Leg(SPX_AM, Action.SELL, 1, 2))
    contract, raw = wire_order(_order(legs, 2.0, Action.SELL))
    assert [leg.action for leg in contract.comboLegs] == ["SELL", "BUY"]
    assert (raw.action, raw.lmtPrice) == ("BUY", -2.0)


@pytest.mark.parametrize(("action", "limit", "side", "price"), [(Action.BUY, 5.0, "BUY", 5.0),
                                                                (Action.SELL, -5.0, "SELL", 5.0)])  # fmt: skip
def test_one_leg_leaves_as_itself_and_its_price_turns_with_its_side(
    action: Action, limit: float, side: str, price: float
) -> None:
    contract, raw = wire_order(_order((Leg(SPXW, action, 1, 9),), limit))
    assert (contract.conId, contract.secType, raw.action, raw.lmtPrice) == (9, "OPT", side, price)
    assert wire_limit(raw, contract, limit) == price
    trade = ib_async.Trade(contract, raw, ib_async.OrderStatus(status="Submitted", remaining=3))
    assert placed(trade).limit_price == limit


def test_a_leg_without_a_con_id_is_never_sent() -> None:
    with pytest.raises(ContractMismatch, match="qualified"):
        wire_order(_order((Leg(SPXW, Action.BUY),), 5.0))


@pytest.mark.parametrize(
    ("status", "filled", "still_open", "said"),
    [("Submitted", 0, False, WireStatus.WORKING), ("PreSubmitted", 1, False, WireStatus.PART_FILLED),
     ("Filled", 3, False, WireStatus.FILLED), ("Cancelled", 0, False, WireStatus.CANCELLED),
     ("Cancelled", 0, True, WireStatus.WORKING), ("Inactive", 0, False, WireStatus.REJECTED),
     ("ApiCancelled", 0, False, WireStatus.CANCELLED), ("Nonsense", 0, False, WireStatus.UNKNOWN)],
)  # fmt: skip
def test_a_status_is_said_in_the_desks_words(status: str, filled: float, still_open: bool, said: WireStatus) -> None:
    _, raw = wire_order(_order((Leg(SPXW, Action.BUY, 1, 9),), 5.0))
    trade = ib_async.Trade(
        to_ib(SPXW, 9), raw, ib_async.OrderStatus(status=status, filled=filled, remaining=3 - filled)
    )
    assert placed(trade, still_open).status is said


def test_a_combos_summary_fill_is_no_fill_and_a_missing_commission_is_unknown() -> None:
    bag = ib_async.Contract(secType="BAG", symbol="SPX")
    told = ib_async.Execution(
        execId="a.b.01.01", side="SLD", shares=2, price=5.0, time=datetime(2026, 11, 20, tzinfo=UTC)
    )
    assert fill_of(ib_async.Fill(bag, told, ib_async.CommissionReport(), told.time)) is None
    raw = to_ib(SPXW, 9)
    fill = fill_of(ib_async.Fill(raw, told, ib_async.CommissionReport(), told.time))
    assert fill is not None
    assert (fill.side, fill.commission, fill.realized_pnl) == (Action.SELL, None, None)


def test_what_a_preview_leaves_unset_is_unknown() -> None:
    unset = "1.7976931348623157E308"
    state = ib_async.OrderState(initMarginBefore=unset, initMarginChange="2000.0", initMarginAfter="", commission=0.65)
    impact = margin_impact(state, datetime(2026, 11, 20, tzinfo=UTC))
    assert (impact.init_margin_before, impact.init_margin_change, impact.init_margin_after) == (None, 2000.0, None)
    assert impact.capital_impact is None  # the equity change is unknown
    assert impact.commission == 0.65


def test_a_tick_without_a_market_has_no_prices_and_no_minus_two_greeks() -> None:
    ticker = ib_async.Ticker(contract=to_ib(SPXW, 9), bid=-1, ask=0.0, askSize=0, bidSize=0, last=float("nan"))
    ticker.modelGreeks = ib_async.OptionComputation(0, 0.2, 0.5, 10.0, 0.0, None, -2.0, -2.0, 6000.0)
    tick = tick_of(SPXW, 9, ticker, datetime(2026, 11, 20, tzinfo=UTC))
    assert (tick.bid, tick.ask, tick.last) == (None, None, None)
    assert (tick.vendor_vega, tick.vendor_theta, tick.vendor_iv) == (None, None, 0.2)
    ticker.marketDataType = 3
    assert tick_of(SPXW, 9, ticker, datetime(2026, 11, 20, tzinfo=UTC)).source is QuoteSource.DELAYED


# ── the clock ────────────────────────────────────────────────────────────────────────────────────────────────────
START, VENUE = datetime(2026, 11, 20, 17, 0, 0, 400_000, UTC), datetime(2026, 11, 18, 15, 30, 0, 0, UTC)


@pytest.mark.parametrize("rate", [0.0, 1.0, 10.0])
def test_the_brokers_clock_is_found_within_a_second_from_whole_seconds(rate: float) -> None:
    fit = ClockFit(rate)
    for k in range(20):
        passed = timedelta(seconds=7.3 * k)
        fit.hear((VENUE + passed * rate).replace(microsecond=0), START + passed)
    now = START + timedelta(seconds=200)
    assert abs((fit.clock(now).at(now) - (VENUE + timedelta(seconds=200) * rate)).total_seconds()) <= 0.6


def test_a_clock_that_stands_still_is_noticed_although_another_speed_was_expected() -> None:
    fit = ClockFit(1.0)
    for k in range(4):
        fit.hear(VENUE, START + timedelta(seconds=7.3 * k))
    now = START + timedelta(seconds=40)
    assert fit.rate == 0.0
    assert abs((fit.clock(now).at(now) - VENUE).total_seconds()) <= 1.0


# ── the interlock ────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("mode", "wanted", "offered", "refused"),
    [(Mode.DEMO, "", ("SIM1234567",), False), (Mode.DEMO, "", ("DU1234567",), True), (Mode.DEMO, "", (), True),
     (Mode.PAPER, "DU1234567", ("DU1234567",), False), (Mode.PAPER, "U1234567", ("U1234567",), True),
     (Mode.PAPER, "DU1234567", ("DU7654321",), True), (Mode.LIVE, "U1234567", ("U1234567",), False),
     (Mode.LIVE, "DU1234567", ("DU1234567",), True), (Mode.LIVE, "U1234567", ("SIM1234567",), True)],
)  # fmt: skip
def test_only_accounts_of_the_mode_are_used(mode: Mode, wanted: str, offered: tuple[str, ...], refused: bool) -> None:
    reason = account_check(Settings(mode=mode, ib_account=wanted))(offered)
    assert (reason is not None) == refused
    assert not any(account in (reason or "") for account in offered)  # ids are masked


@pytest.mark.parametrize(
    ("status", "code", "proves"),
    [("Submitted", 0, True), ("Filled", 0, True), ("Cancelled", 202, True), ("Cancelled", 10349, False),
     ("Cancelled", 201, False), ("Inactive", 201, True), ("Inactive", 0, False), ("Inactive", 399, False)],
)  # fmt: skip
def test_a_status_that_a_code_made_and_a_bare_inactive_prove_nothing(status: str, code: int, proves: bool) -> None:
    trade = ib_async.Trade(ib_async.Contract(), ib_async.Order(), ib_async.OrderStatus(status=status))
    trade.log.append(ib_async.TradeLogEntry(datetime.now(UTC), status, "words", code))
    assert doubtful(trade) is not proves
