"""What is held and what is on its way, read from the store as the arithmetic wants it."""

from typing import TYPE_CHECKING

from models.quant.option import Contract
from models.quant.structure import Action, contract_from_json, legs_from_json
from models.quant.terms import Holding

if TYPE_CHECKING:
    from datetime import datetime

    from database.store import Store


async def held_contracts(store: "Store") -> tuple[Contract, ...]:
    """Every contract in our book or the broker's, of any account, each once."""
    ours, theirs = await store.book.positions(), await store.book.broker_positions()
    held = [(r.identity, r.contract_json) for r in ours] + [(r.identity, r.contract_json) for r in theirs if r.quantity]
    return tuple(contract_from_json(raw) for raw in dict(held).values())


async def book_holdings(store: "Store", account_id: str) -> tuple[Holding, ...]:
    """Our positions in one account."""
    rows = await store.book.positions(account_id)
    return tuple(Holding(contract_from_json(r.contract_json), r.quantity, r.average_cost) for r in rows)


async def orders_in_flight(store: "Store", account_id: str, now: "datetime") -> tuple[tuple[Holding, ...], ...]:
    """Each approved, working or unknown order as the holdings it would add when filled whole.

    Raises LegsError when an order's legs are not legs: nothing may be proposed beside an order nobody understands.
    """
    orders = []
    for order in await store.orders.in_flight(account_id, now):
        sign = Action(order.action).sign * order.quantity
        legs = legs_from_json(order.legs_json)
        orders.append(tuple(Holding(leg.contract, leg.signed_ratio * sign) for leg in legs))
    return tuple(orders)
