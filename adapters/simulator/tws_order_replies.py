"""Orders as they leave: open, completed and executed orders, laid out for the agreed version."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from adapters.simulator.tws_order_wire import (
    BENCHMARK,
    DELTA_NEUTRAL,
    NEUTRAL_CONTRACT,
    PEG_BENCH,
    SCALE,
    PlaceOrder,
    is_positive,
)
from adapters.simulator.tws_requests import WireContract
from adapters.simulator.tws_wire import UNSET, Since, field_names, plain_text

Fields = list[object]

_HEAD = field_names("action totalQuantity orderType lmtPrice auxPrice tif ocaGroup account openClose origin orderRef")
_HOURS = field_names("outsideRth hidden discretionaryAmt goodAfterTime")
_ADVISER = field_names("faGroup faMethod faPercentage")
_OPEN_MIDDLE = field_names(
    "modelCode goodTillDate rule80A percentOffset settlingFirm shortSaleSlot designatedLocation exemptCode "
    "auctionStrategy startingPrice stockRefPrice delta stockRangeLower stockRangeUpper displaySize blockOrder "
    "sweepToFill allOrNone minQty ocaType eTradeOnly firmQuoteOnly nbboPriceCap parentId triggerMethod volatility "
    "volatilityType"
)
_COMPLETED_MIDDLE = field_names(
    "modelCode goodTillDate rule80A percentOffset settlingFirm shortSaleSlot designatedLocation exemptCode "
    "startingPrice stockRefPrice delta stockRangeLower stockRangeUpper displaySize sweepToFill allOrNone minQty "
    "ocaType triggerMethod volatility volatilityType"
)
_ADJUSTED = field_names(
    "adjustedOrderType triggerPrice trailStopPrice lmtPriceOffset adjustedStopPrice adjustedStopLimitPrice "
    "adjustedTrailingAmount adjustableTrailingUnit"
)
_MARGINS = field_names(
    "init_before maintenance_before equity_before init_change maintenance_change equity_change init_after "
    "maintenance_after equity_after"
)


@dataclass(frozen=True)
class OrderState:
    """What the venue says of an order beside the order itself; margins are text, UNSET where it says nothing."""

    status: str
    margins: tuple[object, ...] = field(default=(UNSET,) * len(_MARGINS))
    commission: float | None = None
    min_commission: float | None = None
    max_commission: float | None = None
    currency: str = ""
    warning: str = ""


@dataclass(frozen=True)
class OrderLine:
    """An order as the venue echoes it: the client's own fields, the resolved contract and the venue's ids."""

    place: PlaceOrder
    contract: WireContract
    client_id: int
    perm_id: int
    legs_text: str = ""

    def pick(self, names: Iterable[str]) -> Fields:
        return [_echo(self.place[name]) for name in names]


def _echo(text: str) -> str:
    return "Infinity" if text == "Infinite" else text


def short_contract(contract: WireContract, exchange: str | None = None) -> Fields:
    """The eleven fields replies state a contract with (no primary exchange)."""
    return [
        contract.con_id,
        contract.symbol,
        contract.sec_type,
        contract.expiry,
        contract.strike,
        contract.right,
        contract.multiplier,
        contract.exchange if exchange is None else exchange,
        contract.currency,
        contract.local_symbol,
        contract.trading_class,
    ]


def _pairs(tags: Sequence[tuple[str, str]]) -> Fields:
    return [len(tags), *(text for pair in tags for text in pair)]


def _combo(line: OrderLine) -> Fields:
    legs = line.contract.legs
    fields: Fields = [line.legs_text, len(legs)]
    for leg in legs:
        fields += [leg.con_id, leg.ratio, leg.action, leg.exchange, *leg.extra]
    fields += [len(line.place.leg_prices), *line.place.leg_prices]
    return fields + _pairs(line.place.smart_params)


def _scale(line: OrderLine) -> Fields:
    fields = line.pick(["scaleInitLevelSize", "scaleSubsLevelSize", "scalePriceIncrement"])
    if is_positive(line.place["scalePriceIncrement"]):
        fields += line.pick(SCALE)
    hedge = line.place["hedgeType"]
    return [*fields, hedge, *([line.place["hedgeParam"]] if hedge else [])]


def _neutral_contract(line: OrderLine) -> Fields:
    if not line.place["dncConId"]:
        return [0]
    return [1, *line.pick(NEUTRAL_CONTRACT)]


def _algorithm(line: OrderLine) -> Fields:
    strategy = line.place["algoStrategy"]
    return [strategy, *(_pairs(line.place.algo_params) if strategy else [])]


def _conditions(line: OrderLine) -> Fields:
    found = line.place.conditions
    fields: Fields = [len(found), *(text for condition in found for text in condition)]
    return fields + (line.pick(["conditionsIgnoreRth", "conditionsCancelOrder"]) if found else [])


def _benchmark(line: OrderLine) -> Fields:
    return line.pick(BENCHMARK) if line.place["orderType"] in PEG_BENCH else []


def _delta_neutral(line: OrderLine, block: Sequence[str]) -> Fields:
    """TWS writes the literal "None" for an order without a hedge order, which makes its whole block follow."""
    if line.place["deltaNeutralOrderType"]:
        return line.pick(["deltaNeutralOrderType", "deltaNeutralAuxPrice", *block])
    empty = {"deltaNeutralConId": 0, "deltaNeutralOpenClose": "?", "deltaNeutralShortSale": 0}
    empty["deltaNeutralShortSaleSlot"] = 0
    return ["None", "", *(empty.get(name, "") for name in block)]


def _faces(version: int, line: OrderLine) -> Fields:
    return line.pick(_ADVISER) + (line.pick(["faProfile"]) if version < Since.NO_FA_PROFILE else [])


def _offsets(version: int, line: OrderLine) -> Fields:
    names = field_names("minTradeQty minCompeteSize competeAgainstBestOffset midOffsetAtWhole midOffsetAtHalf")
    return line.pick(names) if version >= Since.PEG_OFFSETS else []


def open_order(version: int, line: OrderLine, state: OrderState) -> Fields:
    """openOrder (5)."""
    fields: Fields = [5, line.place.order_id, *short_contract(line.contract), *line.pick(_HEAD)]
    fields += [line.client_id, line.perm_id, *line.pick(_HOURS), "", *_faces(version, line)]
    fields += line.pick(_OPEN_MIDDLE) + _delta_neutral(line, DELTA_NEUTRAL)
    fields += line.pick(["continuousUpdate", "referencePriceType", "trailStopPrice", "trailingPercent"])
    fields += ["", "", *_combo(line), *_scale(line)]  # basis points and their type: never set by this venue
    fields += line.pick(["optOutSmartRouting", "clearingAccount"])
    fields += [line.place["clearingIntent"] or "IB", line.place["notHeld"], *_neutral_contract(line)]
    fields += [*_algorithm(line), *line.pick(["solicited", "whatIf"]), state.status, *state.margins]
    fields += [state.commission, state.min_commission, state.max_commission, state.currency, plain_text(state.warning)]
    fields += line.pick(["randomizeSize", "randomizePrice"]) + _benchmark(line) + _conditions(line)
    fields += line.pick(_ADJUSTED) + line.pick(["softDollarName", "softDollarValue"]) + [""]
    fields += line.pick(["cashQty", "dontUseAutoPriceForHedge", "isOmsContainer", "discretionaryUpToLimitPrice"])
    fields += line.pick(["usePriceMgmtAlgo"])
    for since, name in (
        (Since.DURATION, "duration"),
        (Since.POST_TO_ATS, "postToAts"),
        (Since.AUTO_CANCEL_PARENT, "autoCancelParent"),
    ):
        fields += line.pick([name]) if version >= since else []
    return fields + _offsets(version, line)


def completed_order(version: int, line: OrderLine, status: str, filled: float, at: str, words: str) -> Fields:
    """completedOrder (101): no order id and no client id; the reference is the only link home."""
    fields: Fields = [101, *short_contract(line.contract), *line.pick(_HEAD), line.perm_id, *line.pick(_HOURS)]
    fields += _faces(version, line) + line.pick(_COMPLETED_MIDDLE)
    short = [name for name in DELTA_NEUTRAL if name.endswith(("ConId", "Sale", "Slot", "Location"))]
    fields += _delta_neutral(line, short)
    fields += line.pick(["continuousUpdate", "referencePriceType", "trailStopPrice", "trailingPercent"])
    fields += [*_combo(line), *_scale(line), line.place["clearingAccount"], line.place["clearingIntent"] or "IB"]
    fields += [line.place["notHeld"], *_neutral_contract(line), *_algorithm(line), line.place["solicited"], status]
    fields += line.pick(["randomizeSize", "randomizePrice"]) + _benchmark(line) + _conditions(line)
    fields += line.pick(["trailStopPrice", "lmtPriceOffset", "cashQty", "dontUseAutoPriceForHedge", "isOmsContainer"])
    fields += ["", filled, 0, line.place["autoCancelParent"], "", 0, 0, 0, at, words]
    return fields + _offsets(version, line)


def order_status(
    line: OrderLine, status: str, filled: float, remaining: float, average: float, last: float, why_held: str = ""
) -> Fields:
    """orderStatus (3)."""
    parent = line.place["parentId"] or 0
    ids: Fields = [line.perm_id, parent, last, line.client_id, why_held, 0]
    return [3, line.place.order_id, status, filled, remaining, average, *ids]


@dataclass(frozen=True)
class ExecutionLine:
    """One execution of one contract; `side` BOT or SLD."""

    order_id: int
    client_id: int
    perm_id: int
    contract: WireContract
    exec_id: str
    at: datetime
    account: str
    exchange: str
    side: str
    shares: float
    price: float
    cumulative: float
    average: float
    order_ref: str


def execution(version: int, req_id: int, line: ExecutionLine, at: str) -> Fields:
    """execDetails (11); req_id -1 for a live execution. `at` is the time as `login_time` prints it."""
    fields: Fields = [11, req_id, line.order_id, *short_contract(line.contract), line.exec_id, at, line.account]
    fields += [line.exchange, line.side, line.shares, line.price, line.perm_id, line.client_id, 0, line.cumulative]
    fields += [line.average, line.order_ref, "", "", "", 1]  # no economic value rule, no model; liquidity 1 = added
    return [*fields, 0] if version >= Since.PRICE_REVISION else fields


def commission_report(exec_id: str, commission: float, currency: str, realized: float | None) -> Fields:
    """commissionReport (59): an unknown realised P&L and the yield are UNSET."""
    return [59, 1, exec_id, commission, currency, UNSET if realized is None else realized, UNSET, ""]


def what_if_state(
    before: Sequence[float], after: Sequence[float], commission: float, currency: str, warning: str, unset: bool = False
) -> OrderState:
    """A what-if's answer from (initial, maintenance, equity) before and after; the change is after minus before.

    `unset`: the initial margin alone is known; the broker's marker stands for the rest.
    """
    change = [round(b - a, 6) for a, b in zip(before, after, strict=True)]
    text: tuple[object, ...] = tuple(f"{value:.2f}" for value in (*before, *change, *after))
    if unset:
        known = tuple(value if name.startswith("init") else UNSET for name, value in zip(_MARGINS, text, strict=True))
        return OrderState("PreSubmitted", known, currency=currency, warning=warning)
    return OrderState("PreSubmitted", text, commission, None, None, currency, warning)
