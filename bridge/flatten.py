"""Flatten in two steps: first the plan with a token, then, with the token and the same reason, proposals by hand.

It makes proposals and never orders: a person approves each. No closing size exceeds what is held less what is already
being closed, and nothing here runs from a timer.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bridge.life import Life
from bridge.outlook import mid_of
from database.orders import InFlight
from models.book import Position
from models.market import Quote
from models.proposed_trade import MarginSource, Origin, ProposedTrade
from models.quant.option import Contract
from models.quant.product import Toward, product_of, round_to_tick
from models.quant.structure import (
    Action,
    Leg,
    QuoteSource,
    combo_price,
    contract_from_json,
    legs_hash,
    net_premium,
)

GOOD_FOR = timedelta(minutes=5)
WORST_TICKS = 2
"""How far past the natural price a closing limit may go, in ticks."""


@dataclass(frozen=True)
class Closing:
    """One position to close: a single leg, its size, and its prices (debit positive); `why_not` when it cannot be."""

    leg: Leg
    quantity: int
    limit_price: float | None
    worst_price: float | None
    why_not: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "contract": str(self.leg.contract),
            "action": self.leg.action.value,
            "quantity": self.quantity,
            "limit_price": self.limit_price,
            "why_not": self.why_not,
        }


async def plan(life: Life, account: str) -> tuple[Closing, ...]:
    """What closing the whole account would take, from present quotes."""
    positions = await life.store.book.positions(account)
    flying = await life.store.orders.in_flight(account, life.now())
    quotes = await life.store.market.quotes(row.identity for row in positions)
    return closings(positions, flying, quotes)


def closings(
    positions: Sequence[Position], flying: Sequence[InFlight], quotes: dict[str, Quote]
) -> tuple[Closing, ...]:
    """One closing per position with something left to close; pure."""
    out = []
    for row in positions:
        contract = contract_from_json(row.contract_json)
        closing = [order.amounts.get(row.identity, 0.0) for order in flying]
        left = row.quantity + sum(amount for amount in closing if amount * row.quantity < 0)
        if left * row.quantity > 0 and abs(left) >= 1:
            out.append(_closing(row, contract, int(abs(left)), quotes.get(row.identity)))
    return tuple(out)


def _closing(row: Position, contract: Contract, quantity: int, quote: Quote | None) -> Closing:
    action = Action.SELL if row.quantity > 0 else Action.BUY
    leg = Leg(
        contract, action, 1, row.con_id, quote.bid if quote else None, quote.ask if quote else None, mid_of(quote),
        source=QuoteSource(quote.source) if quote else QuoteSource.UNKNOWN, quoted_at=quote.at if quote else None,
    )  # fmt: skip
    natural = combo_price((leg,), "natural")
    if natural is None or leg.mid is None:
        return Closing(leg, quantity, None, None, "there is no two-sided quote")
    tick = product_of(contract).tick(natural)
    limit = round_to_tick(natural, tick, Toward.UP)
    return Closing(leg, quantity, limit, round_to_tick(limit + WORST_TICKS * tick, tick, Toward.UP))


def token_of(key: bytes, account: str, reason: str, plan_: Sequence[Closing]) -> str:
    """What the second step must repeat: it names the account, the reason and the positions, not the prices."""
    body = [account, reason, [(c.leg.contract.identity, c.leg.action.value, c.quantity) for c in plan_]]
    return hmac.new(key, b"flatten" + json.dumps(body).encode(), hashlib.sha256).hexdigest()


async def propose(life: Life, account: str, reason: str, by: str, plan_: Sequence[Closing]) -> list[int]:
    """The second step: one hand proposal per closing that has a price."""
    now = life.now()
    rows = [_proposal(account, reason, by, closing, now) for closing in plan_ if closing.limit_price is not None]
    ids = [await life.store.proposals.add(row) for row in rows]
    subject = f"account with {len(ids)} proposals"
    await life.store.control.audit(by, "flatten", subject, {"reason": reason, "proposals": ids}, now)
    return ids


def _proposal(account: str, reason: str, by: str, closing: Closing, now: datetime) -> ProposedTrade:
    assert closing.limit_price is not None and closing.worst_price is not None
    legs = (closing.leg,)
    premium = net_premium(closing.limit_price, closing.quantity, closing.leg.contract.multiplier)
    return ProposedTrade(
        account_id=account,
        strategy_name=f"close {closing.leg.contract}",
        legs_json=[leg.to_json() for leg in legs],
        legs_hash=legs_hash(legs),
        quantity=closing.quantity,
        limit_price=closing.limit_price,
        worst_price=closing.worst_price,
        net_premium=Decimal(str(premium)),
        margin_source=MarginSource.UNKNOWN,
        origin=Origin.HAND,
        breach_set_id=f"flatten {closing.leg.contract.identity}",  # asked twice, approved once: the others are siblings
        justification=f"flatten asked by {by}: {reason}",
        created_at=now,
        expires_at=now + GOOD_FOR,
    )
