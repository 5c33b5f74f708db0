"""What happens at expiry: index options and futures settle in cash, share options in shares, the rest is worthless."""

from datetime import datetime

from adapters.simulator.account import Account, apply_fill
from adapters.simulator.columns import Floats
from adapters.simulator.market import Market
from adapters.simulator.types import Instrument
from models.quant.option import Contract, Right, SecType
from models.quant.product import Settlement, expiry_instant, product_of

EXERCISE_FROM = 0.01  # the clearing house exercises by itself from this much in the money


def settle_expired(account: Account, now: datetime) -> list[str]:
    """Settle every held contract whose settlement minute has passed; returns one sentence for each."""
    told = []
    for con_id, holding in list(account.ledger.holdings.items()):
        item = account.market.universe[con_id]
        if holding.quantity and item.contract.expiry is not None and now >= expiry_instant(item.contract):
            told.append(_settle(account, item, holding.quantity))
    return told


def _settle(account: Account, item: Instrument, quantity: float) -> str:
    contract, market = item.contract, account.market
    values = settlement_values(market, contract)
    if contract.sec_type is SecType.FUTURE:
        value = market.price_of("CL" if contract.symbol == "CL" else "SPX", values)
    else:
        value = _exercise_value(contract, market.price_of(contract.symbol, values))
    shares = market.find(symbol=contract.symbol, sec_type=SecType.STOCK.value)
    physical = contract.is_option and shares and value >= EXERCISE_FROM
    _close(account, item, quantity, 0.0 if physical else value)
    if not physical:
        return f"{contract} settled at {value:.2f}"
    assert contract.strike is not None
    count = quantity * contract.multiplier * (1 if contract.right is Right.CALL else -1)
    apply_fill(account.ledger, shares[0], count, contract.strike, 0.0)
    word = "exercised" if quantity > 0 else "assigned"
    return f"{contract} {word}: {count:+g} {contract.symbol} at {contract.strike:g}"


def settlement_values(market: Market, contract: Contract) -> Floats | None:
    """The values (a row of the history) an expired contract settles at: its day's open (AM) or close (PM).

    None means the present ones: the day is not over yet, or the venue has no record of it.
    """
    morning = product_of(contract).settlement is Settlement.AM
    if contract.expiry == market.today.day:
        return market.today.open if morning else market.today.close
    past = next((day for day in reversed(market.history.since) if day.day == contract.expiry), None)
    return None if past is None else (past.open if morning else past.close)


def _close(account: Account, item: Instrument, quantity: float, price: float) -> None:
    realized = apply_fill(account.ledger, item, -quantity, price, 0.0)
    account.ledger.realized_today += realized or 0.0


def _exercise_value(contract: Contract, spot: float) -> float:
    assert contract.strike is not None
    return max(spot - contract.strike if contract.right is Right.CALL else contract.strike - spot, 0.0)
