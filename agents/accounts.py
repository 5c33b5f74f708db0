"""One account as a pass begins: what it holds, what is on its way, and its money while that is known."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from agents.holdings import book_holdings, orders_in_flight
from agents.proposer_engine import Account
from agents.runner import NotYet

if TYPE_CHECKING:
    from agents.desk import Desk

ACCOUNT_LIFE = timedelta(seconds=60)  # machine time; older money is not known money


class CheckIncomplete(NotYet):
    """Something a check needs is unknown. Nothing is superseded; the heartbeat says what, and its arrival wakes us."""


async def read_account(desk: "Desk", account_id: str, machine: datetime) -> Account:
    money = await desk.store.book.latest_account(account_id)
    if money is None or machine - money.at > ACCOUNT_LIFE:
        raise CheckIncomplete("the account's money is unknown; the bridge has not written it lately")

    def number(name: str) -> float | None:
        value = getattr(money, name)
        return None if value is None else float(value)

    return Account(
        account_id,
        await book_holdings(desk.store, account_id),
        await orders_in_flight(desk.store, account_id, machine),
        number("net_liquidation"),
        number("maintenance_margin"),
        number("available_funds"),
    )
