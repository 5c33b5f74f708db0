"""Order placement as it arrives: every field of placeOrder read to the end, for the agreed version.

The venue acts on few of them; the rest is kept as text under IBKR's own names because open and completed orders must
echo it to whoever asks, also after a restart (`PlaceOrder.kept` / `PlaceOrder.recall`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.simulator.tws_reading import read_contract
from adapters.simulator.tws_requests import WireContract, WireLeg
from adapters.simulator.tws_wire import FieldReader, Since, WireError, field_names, is_unset

HEAD = field_names(
    "action totalQuantity orderType lmtPrice auxPrice tif ocaGroup account openClose origin orderRef transmit parentId "
    "blockOrder sweepToFill displaySize triggerMethod outsideRth hidden"
)
ADVISER = field_names("discretionaryAmt goodAfterTime goodTillDate faGroup faMethod faPercentage")
MIDDLE = field_names(
    "modelCode shortSaleSlot designatedLocation exemptCode ocaType rule80A settlingFirm allOrNone minQty percentOffset "
    "eTradeOnly firmQuoteOnly nbboPriceCap auctionStrategy startingPrice stockRefPrice delta stockRangeLower "
    "stockRangeUpper overridePercentageConstraints volatility volatilityType deltaNeutralOrderType deltaNeutralAuxPrice"
)
DELTA_NEUTRAL = field_names(
    "deltaNeutralConId deltaNeutralSettlingFirm deltaNeutralClearingAccount deltaNeutralClearingIntent "
    "deltaNeutralOpenClose deltaNeutralShortSale deltaNeutralShortSaleSlot deltaNeutralDesignatedLocation"
)
SCALE_HEAD = field_names(
    "continuousUpdate referencePriceType trailStopPrice trailingPercent scaleInitLevelSize scaleSubsLevelSize "
    "scalePriceIncrement"
)
SCALE = field_names(
    "scalePriceAdjustValue scalePriceAdjustInterval scaleProfitOffset scaleAutoReset scaleInitPosition "
    "scaleInitFillQty scaleRandomPercent"
)
SCALE_TAIL = field_names("scaleTable activeStartTime activeStopTime hedgeType")
CLEARING = field_names("optOutSmartRouting clearingAccount clearingIntent notHeld")
NEUTRAL_CONTRACT = field_names("dncConId dncDelta dncPrice")
FLAGS = field_names("algoId whatIf orderMiscOptions solicited randomizeSize randomizePrice")
BENCHMARK = field_names(
    "referenceContractId isPeggedChangeAmountDecrease peggedChangeAmount referenceChangeAmount referenceExchangeId"
)
TAIL = field_names(
    "adjustedOrderType triggerPrice lmtPriceOffset adjustedStopPrice adjustedStopLimitPrice adjustedTrailingAmount "
    "adjustableTrailingUnit extOperator softDollarName softDollarValue cashQty mifid2DecisionMaker mifid2DecisionAlgo "
    "mifid2ExecutionTrader mifid2ExecutionAlgo dontUseAutoPriceForHedge isOmsContainer discretionaryUpToLimitPrice "
    "usePriceMgmtAlgo"
)
GATED_TAIL = (
    (Since.DURATION, "duration"),
    (Since.POST_TO_ATS, "postToAts"),
    (Since.AUTO_CANCEL_PARENT, "autoCancelParent"),
    (Since.ADVANCED_REJECT, "advancedErrorOverride"),
    (Since.MANUAL_ORDER_TIME, "manualOrderTime"),
)
PEG_BENCH, PEG_BEST, PEG_MID = ("PEG BENCH", "PEGBENCH"), ("PEG BEST", "PEGBEST"), ("PEG MID", "PEGMID")
CONDITION_WIDTH = {1: 6, 3: 3, 4: 3, 5: 4, 6: 5, 7: 5}
"""Fields after a condition's type: price, time, margin, execution, volume, percent change."""


def is_positive(text: str) -> bool:
    """Whether a scalar's text is a number above zero (what makes the scale block follow)."""
    try:
        return bool(text) and float(text) > 0
    except ValueError as error:
        raise WireError(f"placeOrder: {text!r} is not a number") from error


@dataclass(frozen=True)
class PlaceOrder:
    """One placeOrder. `fields` holds every scalar as text under IBKR's name, "" where the client left it unset."""

    order_id: int
    contract: WireContract
    fields: Mapping[str, str]
    leg_prices: tuple[str, ...] = ()
    smart_params: tuple[tuple[str, str], ...] = ()
    algo_params: tuple[tuple[str, str], ...] = ()
    conditions: tuple[tuple[str, ...], ...] = field(default=())

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "")

    def number(self, name: str) -> float | None:
        """A scalar as a double, None when unset. Raises WireError naming it when it is not a number."""
        text = self[name]
        if not text:
            return None
        try:
            value = float(text)
        except ValueError as error:
            raise WireError(f"placeOrder: {name} {text!r} is not a number") from error
        if not math.isfinite(value):
            raise WireError(f"placeOrder: {name} {text!r} is not finite")
        return value

    def flag(self, name: str) -> bool:
        return self[name] in ("1", "true")

    def kept(self) -> dict[str, object]:
        """As plain JSON values, for the venue's own record of the order."""
        contract = {k: v for k, v in vars(self.contract).items() if k != "legs"}
        legs = [[leg.con_id, leg.ratio, leg.action, leg.exchange, *leg.extra] for leg in self.contract.legs]
        return {
            "order_id": self.order_id,
            "contract": contract,
            "legs": legs,
            "fields": {name: text for name, text in self.fields.items() if text},
            "leg_prices": list(self.leg_prices),
            "smart_params": [list(pair) for pair in self.smart_params],
            "algo_params": [list(pair) for pair in self.algo_params],
            "conditions": [list(condition) for condition in self.conditions],
        }

    @staticmethod
    def recall(kept: Mapping[str, Any]) -> "PlaceOrder":
        """The inverse of `kept`."""
        legs = tuple(WireLeg(leg[0], leg[1], leg[2], leg[3], tuple(leg[4:])) for leg in kept["legs"])
        return PlaceOrder(
            order_id=kept["order_id"],
            contract=WireContract(**kept["contract"], legs=legs),
            fields=dict(kept["fields"]),
            leg_prices=tuple(kept["leg_prices"]),
            smart_params=tuple((tag, value) for tag, value in kept["smart_params"]),
            algo_params=tuple((tag, value) for tag, value in kept["algo_params"]),
            conditions=tuple(tuple(condition) for condition in kept["conditions"]),
        )


class _Reading:
    """placeOrder half read: the cursor and the scalars so far."""

    def __init__(self, reader: FieldReader) -> None:
        self.r = reader
        self.fields: dict[str, str] = {}

    def take(self, names: list[str]) -> None:
        for name in names:
            text = self.r.text(name)
            self.fields[name] = "" if is_unset(text) else text

    def legs(self) -> tuple[WireLeg, ...]:
        return tuple(
            WireLeg(
                self.r.integer("leg conId"),
                self.r.integer("leg ratio"),
                self.r.text("leg action"),
                self.r.text("leg exchange"),
                tuple(self.r.text(f"leg {name}") for name in ("openClose", "slot", "location", "exemptCode")),
            )
            for _ in range(self.r.count("comboLegs"))
        )

    def conditions(self) -> tuple[tuple[str, ...], ...]:
        found = []
        for _ in range(self.r.count("conditions")):
            kind = self.r.integer("condition type")
            if kind not in CONDITION_WIDTH:
                raise WireError(f"placeOrder: condition type {kind} is unknown")
            found.append((str(kind), *(self.r.text("condition field") for _ in range(CONDITION_WIDTH[kind]))))
        if found:
            self.take(["conditionsIgnoreRth", "conditionsCancelOrder"])
        return tuple(found)

    def algorithm(self) -> tuple[tuple[str, str], ...]:
        self.take(["algoStrategy"])
        return self.r.tags("algoParams") if self.fields["algoStrategy"] else ()

    def scale_and_hedge(self) -> None:
        self.take(SCALE_HEAD)
        if is_positive(self.fields["scalePriceIncrement"]):
            self.take(SCALE)
        self.take(SCALE_TAIL)
        if self.fields["hedgeType"]:
            self.take(["hedgeParam"])

    def clearing(self) -> None:
        self.take(CLEARING)
        if self.r.flag("deltaNeutralContract"):
            self.take(NEUTRAL_CONTRACT)

    def tail(self, version: int, exchange: str) -> None:
        self.take(TAIL)
        self.take([name for since, name in GATED_TAIL if version >= since])
        if version < Since.PEG_OFFSETS:
            return
        if exchange == "IBKRATS":
            self.take(["minTradeQty"])
        kind = self.fields["orderType"]
        if kind in PEG_BEST:
            self.take(["minCompeteSize", "competeAgainstBestOffset"])
            if self.fields["competeAgainstBestOffset"] in ("Infinite", "Infinity"):
                self.take(["midOffsetAtWhole", "midOffsetAtHalf"])
        elif kind in PEG_MID:
            self.take(["midOffsetAtWhole", "midOffsetAtHalf"])


def parse_place_order(fields: list[str], version: int) -> PlaceOrder:
    """Read a placeOrder frame to its last field. Raises WireError that names the field."""
    reading = _Reading(FieldReader(fields[1:], "placeOrder"))
    r = reading.r
    order_id, contract = r.integer("orderId"), read_contract(r)
    reading.take(["secIdType", "secId"])
    reading.take(HEAD)
    leg_prices: tuple[str, ...] = ()
    smart_params: tuple[tuple[str, str], ...] = ()
    if contract.is_bag:
        contract = replace(contract, legs=reading.legs())
        leg_prices = tuple(
            "" if is_unset(text) else text for text in (r.text("leg price") for _ in range(r.count("orderComboLegs")))
        )
        smart_params = r.tags("smartComboRoutingParams")
    r.skip(1, "sharesAllocation")
    reading.take(ADVISER)
    if version < Since.NO_FA_PROFILE:
        reading.take(["faProfile"])
    reading.take(MIDDLE)
    if reading.fields["deltaNeutralOrderType"]:
        reading.take(DELTA_NEUTRAL)
    reading.scale_and_hedge()
    reading.clearing()
    algo_params = reading.algorithm()
    reading.take(FLAGS)
    if reading.fields["orderType"] in PEG_BENCH:
        reading.take(BENCHMARK)
    conditions = reading.conditions()
    reading.tail(version, contract.exchange)
    r.done()
    return PlaceOrder(order_id, contract, reading.fields, leg_prices, smart_params, algo_params, conditions)
