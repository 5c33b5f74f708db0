"""Takes away proposals whose price ran off: past the gate's tolerance nobody may approve them any more, so they expire
with that reason, sleeping ones too, and while a hedge was among them the proposer is asked for new ones.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from agents.desk import Desk
from bridge.outlook import QUOTE_LIFE, Observatory, mid_of
from models.control import RequestKind
from models.market import Quote
from models.proposed_trade import Origin, ProposedTrade
from models.quant.gates import drifted
from models.quant.product import ticket_tick
from models.quant.regime_rules import GateRules
from models.quant.structure import Leg, LegsError, QuoteSource, combo_price, legs_from_json

NAME = "closing_bell"
PROPOSER = "trade_proposer"
ASK_FOR = timedelta(seconds=60)  # how long the proposer has to take the wish; its next check follows anyway


async def expire_drifted(desk: Desk) -> int:
    """How many expired. A price that is unknown now has not drifted; a mock has no market to drift in."""
    store, now = desk.store, desk.machine_now()
    waiting = [row for row in await store.proposals.pending(None, now, snoozed=True) if row.origin != Origin.MOCK]
    tickets = [(row, legs) for row in waiting if (legs := _legs_of(row))]
    if not tickets:
        return 0
    rules = (await Observatory(store, desk.settings).appetite()).gates
    names = {leg.contract.identity for _, legs in tickets for leg in legs}
    quotes = {name: q for name, q in (await store.market.quotes(names)).items() if _is_fresh(q, now)}
    judged = [(row.id, why_drifted(legs, row.limit_price, quotes, rules)) for row, legs in tickets]
    reasons = {id: why for id, why in judged if id is not None and why is not None}
    expired = await store.proposals.expire_because(reasons, now) if reasons else []
    if any(row.id in expired and row.origin == Origin.HEDGE for row in waiting):
        await store.control.ask(RequestKind.RUN_NOW, {}, NAME, now, now + ASK_FOR, target=PROPOSER)
    return len(expired)


def why_drifted(legs: tuple[Leg, ...], limit_price: float, quotes: Mapping[str, Quote], rules: GateRules) -> str | None:
    """The price at the proposal against the present one, in words when it is past the gate's tolerance."""
    proposed = combo_price(legs, "mid")
    now = combo_price([replace(leg, mid=mid_of(quotes.get(leg.contract.identity))) for leg in legs], "mid")
    if proposed is None or now is None:
        return None
    return drifted(rules, ticket_tick([leg.contract for leg in legs], limit_price), proposed, now)


def _is_fresh(quote: Quote, now: datetime) -> bool:
    return quote.source == QuoteSource.REAL and now - quote.received_at <= QUOTE_LIFE


def _legs_of(row: ProposedTrade) -> tuple[Leg, ...] | None:
    try:
        return legs_from_json(row.legs_json)
    except LegsError:  # a row that cannot be read can never be sent; its page says so
        return None
