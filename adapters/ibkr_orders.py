"""Orders, fills and margin previews between the desk's words and ib_async's; pure translation, no socket.

Everything leaves as BUY of the combo at a debit-positive limit; a combo to be sold leaves as BUY of its reverse.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import ib_async

from adapters.base import ContractMismatch, Fill, MarginImpact, NewOrder, PlacedOrder, WireStatus
from adapters.ibkr_socket import from_ib, number, route, to_ib
from models.quant.option import Contract
from models.quant.structure import Action, Leg, reversed_legs

REFUSALS = frozenset({
    103, 104, 106, 107, 109, 110, 111, 113, 116, 117, 118, 119, 121, 122, 125, 126, 129, 131, 132, 133, 134, 136, 140,
    141, 144, 145, 146, 147, 148, 151, 152, 154, 156, 157, 159, 160, 161, 163, 164, 166, 167, 168, 200, 201, 203, 309,
    311, 312, 313, 314, 315, 320, 321, 322, 328, 330, 334, 335, 336, 337, 338, 339, 340, 341, 342, 343, 344, 345, 346,
    347, 348, 349, 350, 351, 352, 353, 355, 356, 357, 358, 359, 360, 361, 362, 363, 364, 368, 372, 377, 378, 379, 380,
    382, 383, 385, 387, 388, 389, 391, 392, 393, 394, 395, 397, 398, 400, 401, 402, 403, 405, 406, 407, 408, 409, 411,
    412, 413, 414, 415, 416, 417, 418, 422, 423, 424, 427, 428, 429, 430, 431, 433, 434, 435, 436, 437, 438, 439, 440,
    441, 442, 443, 444, 445, 446, 447, 448, 460, 461, 463, 10005, 10006, 10013, 10043, 10052, 10239, 10243, 10268,
})  # fmt: skip
"""Codes that definitely refuse a NEW order (IBKR's message list). Any other code on an order proves nothing."""

CANCELLED_CODE = 202
"""The broker's own word that an order ended by cancel; the only code whose "Cancelled" is believed unasked."""

SEVERED = frozenset({1100, 2110})
"""TWS or the gateway lost the broker: it still takes orders, and nobody knows when they leave it."""
RESTORED = frozenset({1101, 1102})

_STATUS = {
    "PendingSubmit": WireStatus.WORKING,
    "ApiPending": WireStatus.WORKING,
    "PreSubmitted": WireStatus.WORKING,
    "Submitted": WireStatus.WORKING,
    "PendingCancel": WireStatus.WORKING,
    "ValidationError": WireStatus.WORKING,
    "ApiUpdate": WireStatus.WORKING,
    "Filled": WireStatus.FILLED,
    "Cancelled": WireStatus.CANCELLED,
    "ApiCancelled": WireStatus.CANCELLED,
    "Inactive": WireStatus.REJECTED,
}


def combo(legs: Sequence[Leg]) -> ib_async.Contract:
    """The contract of a ticket: the leg's own when it is one, else a BAG. Raises ContractMismatch without conIds."""
    for leg in legs:
        if leg.con_id is None:
            raise ContractMismatch(f"{leg.contract}: no conId; the leg must be qualified before it is sent")
    if len(legs) == 1:
        return to_ib(legs[0].contract, legs[0].con_id)
    return ib_async.Contract(
        secType="BAG",
        symbol=legs[0].contract.symbol,
        exchange=route(legs[0].contract),
        currency="USD",
        comboLegs=[
            ib_async.ComboLeg(conId=leg.con_id or 0, ratio=leg.ratio, action=leg.action.value,
                              exchange=route(leg.contract))
            for leg in legs
        ],
    )  # fmt: skip


def wire_order(order: NewOrder) -> tuple[ib_async.Contract, ib_async.Order]:
    """What goes to `placeOrder`: time-in-force, account and reference always set, the price already on the tick."""
    legs, limit = order.legs, order.limit_price
    if order.action is Action.SELL:
        legs, limit = reversed_legs(legs), None if limit is None else -limit
    side = Action.BUY
    if len(legs) == 1:
        side = legs[0].action
        limit = None if limit is None else side.sign * limit
    if order.order_type == "LMT" and limit is None:
        raise ValueError("a limit order needs its limit")
    raw = ib_async.Order(
        action=side.value,
        totalQuantity=order.quantity,
        orderType=order.order_type,
        tif=order.tif,
        account=order.account_id,
        orderRef=order.order_ref,
        outsideRth=order.outside_rth,
        transmit=True,
    )
    if limit is not None and order.order_type == "LMT":
        raw.lmtPrice = limit
    return combo(legs), raw


def wire_limit(raw: ib_async.Order, contract: ib_async.Contract, debit: float) -> float:
    """A debit-positive price of the ticket in the orientation in which its wire order stands."""
    return -debit if contract.secType != "BAG" and raw.action == "SELL" else debit


def placed(trade: ib_async.Trade, still_open: bool = False, text: str = "") -> PlacedOrder:
    """An order as the broker holds it. `still_open`: it came from the list of open orders, which outranks a status
    that ib_async set by itself after an error code."""
    order, status = trade.order, trade.orderStatus
    filled = number(status.filled) or number(order.filledQuantity) or 0.0
    word = _STATUS.get(status.status, WireStatus.UNKNOWN)
    if still_open and word in (WireStatus.CANCELLED, WireStatus.REJECTED, WireStatus.UNKNOWN):
        word = WireStatus.WORKING
    if word is WireStatus.WORKING and filled > 0:
        word = WireStatus.PART_FILLED
    total = number(order.totalQuantity) or 0.0
    if word is WireStatus.FILLED and filled == 0:
        filled = total  # a completed order comes home without its counts
    limit = number(order.lmtPrice) if order.orderType == "LMT" else None
    sign = -1.0 if trade.contract.secType != "BAG" and order.action == "SELL" else 1.0
    average = number(status.avgFillPrice, 0.0)
    return PlacedOrder(
        order_ref=order.orderRef,
        account_id=order.account,
        status=word,
        filled=filled,
        remaining=max(total - filled, 0.0) if not status.remaining else float(status.remaining),
        average_price=None if average is None else sign * average,
        limit_price=None if limit is None else sign * limit,
        perm_id=order.permId or status.permId or None,
        order_id=order.orderId or None,
        text=text or _last_words(trade),
    )


def _last_words(trade: ib_async.Trade) -> str:
    for entry in reversed(trade.log):
        if entry.errorCode:
            return str(entry.message)
    return ""


def fill_of(raw: ib_async.Fill, sent: Mapping[int, Contract] | None = None) -> Fill | None:
    """One leg execution; None for the summary line of a combo. An unarrived commission report is unknown, not 0.

    `sent` names by conId what this session has sent: for those ib_async hands back the contract of our own request,
    which says less than the broker's. Raises ValueError for a contract that cannot be read.
    """
    if raw.contract.secType == "BAG":
        return None
    told = raw.commissionReport if raw.commissionReport.execId else None
    execution = raw.execution
    return Fill(
        exec_id=execution.execId,
        order_ref=execution.orderRef,
        account_id=execution.acctNumber,
        contract=(sent or {}).get(raw.contract.conId) or from_ib(raw.contract),
        con_id=raw.contract.conId,
        side=Action.BUY if execution.side.upper() in ("BOT", "BUY") else Action.SELL,
        quantity=float(execution.shares),
        price=float(execution.price),
        commission=number(told.commission) if told else None,
        # ib_async writes an unset realised profit as 0.0, so a zero tells nothing.
        realized_pnl=number(told.realizedPNL, 0.0) if told else None,
        at=_aware(execution.time),
        perm_id=execution.permId or None,
    )


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def margin_impact(state: ib_async.OrderState, at: datetime) -> MarginImpact:
    """A what-if's numbers; whatever the broker left unset is None."""
    commission = number(state.commission)
    return MarginImpact(
        init_margin_before=number(state.initMarginBefore),
        init_margin_change=number(state.initMarginChange),
        init_margin_after=number(state.initMarginAfter),
        maint_margin_before=number(state.maintMarginBefore),
        maint_margin_change=number(state.maintMarginChange),
        maint_margin_after=number(state.maintMarginAfter),
        equity_before=number(state.equityWithLoanBefore),
        equity_change=number(state.equityWithLoanChange),
        equity_after=number(state.equityWithLoanAfter),
        commission=commission if commission is not None else number(state.maxCommission),
        warning=state.warningText,
        at=at,
    )
