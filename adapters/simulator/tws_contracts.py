"""Contracts between the wire and the venue: which instrument a client means, and what is said about it."""

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from adapters.simulator import tws_replies as reply
from adapters.simulator.tws_link import Link
from adapters.simulator.tws_requests import ContractDetails, MarketRule, OptionParameters, WireContract
from adapters.simulator.types import Instrument, RejectedByVenue
from models.quant.option import SecType

if TYPE_CHECKING:
    from adapters.simulator.market import Market
    from adapters.simulator.venue import Venue

NOT_FOUND = "No security definition has been found for the request"
ORDER_TYPES = "ACTIVETIM,AD,ADJUST,ALERT,ALLOC,COND,DAY,DEACT,GTC,GTD,HID,IOC,LMT,MKT,STP,STPLMT,WHATIF"
BAG_CON_ID = 28812380
PAGE = 200
"""Details sent between two looks at whether the client keeps reading."""


def wire_contract(item: Instrument, exchange: str = "") -> WireContract:
    """An instrument as the wire states it, on the exchange the client named or its own."""
    c = item.contract
    return WireContract(
        con_id=item.con_id,
        symbol=c.symbol,
        sec_type=c.sec_type.value,
        expiry=f"{item.listed_day:%Y%m%d}" if item.listed_day else "",
        strike=c.strike or 0.0,
        right=c.right.value if c.right else "",
        multiplier="" if c.sec_type in (SecType.STOCK, SecType.INDEX) else f"{c.multiplier:g}",
        exchange=exchange or item.exchange,
        primary_exchange=item.primary_exchange,
        currency=item.currency,
        local_symbol=item.local_symbol,
        trading_class=c.trading_class,
    )


def matches(market: "Market", asked: WireContract) -> list[Instrument]:
    """Instruments that fit a client's description. A conId settles it; the exchange must still fit."""
    if asked.con_id:
        found = market.find(con_id=asked.con_id)
        return [item for item in found if _on_exchange(item, asked.exchange)]
    expiry = asked.expiry.split()[0] if asked.expiry.strip() else ""
    if (asked.sec_type and asked.sec_type not in set(SecType)) or not _is_expiry(expiry):
        return []
    filters = {
        "symbol": asked.symbol,
        "sec_type": asked.sec_type,
        "expiry": expiry,
        "strike": asked.strike,
        "right": asked.right if asked.right not in ("?", "0") else "",
        "trading_class": asked.trading_class,
        "local_symbol": asked.local_symbol,
        "currency": asked.currency,
    }
    found = market.find(**filters)
    return [item for item in found if _on_exchange(item, asked.exchange) and _multiplied(item, asked.multiplier)]


def _on_exchange(item: Instrument, exchange: str) -> bool:
    if not exchange or exchange in ("SMART", item.exchange, item.primary_exchange):
        return True
    return exchange in valid_exchanges(item).split(",")


def _is_expiry(text: str) -> bool:
    """Empty, YYYYMM or a day that exists as YYYYMMDD."""
    if len(text) == 8 and text.isascii() and text.isdecimal():
        try:
            date.fromisoformat(text)
        except ValueError:
            return False
        return True
    return not text or (len(text) == 6 and text.isascii() and text.isdecimal())


def _multiplied(item: Instrument, text: str) -> bool:
    if not text:
        return True
    try:
        return float(text) == item.contract.multiplier
    except ValueError:
        return False


def listed(market: "Market", con_id: int) -> Instrument:
    """The instrument of a number the venue itself handed out; raises RejectedByVenue(200) when it is none."""
    item = market.instrument(con_id)
    if item is None:
        raise RejectedByVenue(200, f"{NOT_FOUND}: {con_id}")
    return item


def valid_exchanges(item: Instrument) -> str:
    kind = item.contract.sec_type
    if kind in (SecType.FUTURE, SecType.FUTURE_OPTION, SecType.INDEX):
        return item.exchange
    names = ["SMART", item.primary_exchange, "CBOE" if kind is SecType.OPTION else "ARCA"]
    return ",".join(dict.fromkeys(name for name in names if name))


def resolve(market: "Market", asked: WireContract) -> Instrument:
    """The one instrument a client means; raises RejectedByVenue(200) for none or several."""
    found = matches(market, asked) if asked.con_id or asked.symbol or asked.local_symbol else []
    if not found:
        raise RejectedByVenue(200, NOT_FOUND)
    if len(found) > 1:
        raise RejectedByVenue(200, f"The contract description specified for {asked.symbol} is ambiguous.")
    return found[0]


def resolve_bag(market: "Market", asked: WireContract) -> WireContract:
    """A BAG with its legs checked; raises RejectedByVenue(200 or 321) naming what is wrong."""
    if not asked.legs:
        raise RejectedByVenue(321, "Error validating request: a BAG needs combo legs")
    for leg in asked.legs:
        if market.instrument(leg.con_id) is None:
            raise RejectedByVenue(200, f"{NOT_FOUND}: combo leg {leg.con_id}")
        if leg.ratio < 1 or leg.action not in ("BUY", "SELL", "SSHORT"):
            raise RejectedByVenue(321, f"Error validating request: combo leg {leg.con_id} has no ratio or side")
    return replace(asked, con_id=asked.con_id or BAG_CON_ID, currency=asked.currency or "USD")


def legs_text(contract: WireContract) -> str:
    """`conId|ratio` per leg, sold legs negative, as TWS describes a combo."""
    return ",".join(f"{leg.con_id}|{leg.ratio if leg.action == 'BUY' else -leg.ratio}" for leg in contract.legs)


class ContractDesk:
    """Answers what is listed: details, option chains, price increments."""

    def __init__(self, link: Link, venue: "Venue") -> None:
        self._link = link
        self._market = venue.market

    def details(self, request: ContractDetails) -> None:
        asked = request.contract
        if request.sec_id_type or not (asked.con_id or asked.symbol or asked.local_symbol):
            self._link.error(request.req_id, 321, "Error validating request: a symbol or a conId is needed")
            return
        found = matches(self._market, asked)
        if not found:
            self._link.error(request.req_id, 200, NOT_FOUND)
            return
        self._link.spawn(self._send_details(request, found))

    async def _send_details(self, request: ContractDetails, found: list[Instrument]) -> None:
        for n, item in enumerate(found):
            if n % PAGE == PAGE - 1:
                await self._link.drain()
            line = self._detail_line(item, request.contract.exchange)
            self._link.send(reply.contract_details(self._link.version, request.req_id, line))
        self._link.send(reply.ended(52, request.req_id))

    def _detail_line(self, item: Instrument, exchange: str) -> reply.DetailLine:
        facts = self._market.details(item.con_id)
        contract = wire_contract(item, exchange)
        under = self._market.instrument(item.under_con_id) if item.under_con_id else None
        exchanges = valid_exchanges(item)
        return reply.DetailLine(
            contract=contract,
            market_name=item.contract.trading_class,
            min_tick=item.min_tick,
            long_name=item.long_name,
            under_con_id=item.under_con_id,
            under_symbol=under.contract.symbol if under else "",
            under_sec_type=under.contract.sec_type.value if under else "",
            last_trade_time=facts.last_trade_time if contract.expiry else "",
            zone=facts.time_zone,
            trading_hours=facts.trading_hours,
            liquid_hours=facts.liquid_hours,
            valid_exchanges=exchanges,
            order_types=ORDER_TYPES,
            market_rule_ids=",".join([str(item.market_rule_id)] * (exchanges.count(",") + 1)),
            stock_type=item.stock_type,
            industry=item.industry,
            category="",
            real_expiry=f"{item.contract.expiry:%Y%m%d}" if item.contract.expiry else "",
            contract_month=item.contract_month,
        )

    def option_parameters(self, request: OptionParameters) -> None:
        chains = self._market.chains(request.symbol, request.con_id, request.sec_type, request.fut_exchange)
        for chain in chains:
            self._link.send(reply.option_parameters(request.req_id, chain))
        self._link.send(reply.option_parameters_end(request.req_id))

    def market_rule(self, request: MarketRule) -> None:
        steps = self._market.market_rule(request.rule_id)
        if not steps:
            self._link.error(-1, 321, f"Error validating request: market rule {request.rule_id} is unknown")
            return
        self._link.send(reply.market_rule(request.rule_id, steps))
