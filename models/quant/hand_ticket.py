"""A ticket that the person types: read from its raw form and checked field by field, before any market is asked.

Every refusal names the field as the page spells it, what is wrong with it in numbers, and what to type instead.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from models.quant.option import Contract, Right, SecType
from models.quant.product import Toward, round_to_tick, ticket_tick
from models.quant.regime_rules import HedgeRules
from models.quant.structure import MAX_LEGS, MAX_RATIO, Action, Leg, contract_from_json


class TicketError(ValueError):
    """A field of a typed ticket that cannot be; the message reads `field: what is wrong; what to type`."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(f"{field}: {words}")
        self.field = field


@dataclass(frozen=True)
class HandTicket:
    """A well-formed ticket. `limit_price` is debit positive per combo unit; None takes what the market asks."""

    account_id: str
    legs: tuple[Leg, ...]
    quantity: int
    limit_price: float | None

    @property
    def contracts(self) -> tuple[Contract, ...]:
        return tuple(leg.contract for leg in self.legs)

    def to_json(self) -> dict[str, Any]:
        """What `read_ticket` reads back."""
        legs = [leg.to_json() for leg in self.legs]
        return {"account_id": self.account_id, "legs": legs, "quantity": self.quantity, "limit_price": self.limit_price}


def read_ticket(raw: Any) -> HandTicket:
    """The ticket of its JSON; raises TicketError."""
    if not isinstance(raw, dict):
        raise TicketError("ticket", f"it is {type(raw).__name__}, not an object; type it on the Ticket page")
    account = raw.get("account_id")
    if not isinstance(account, str) or not account:
        raise TicketError("account", "it is not named; wait until the bridge has reached the broker")
    legs = raw.get("legs")
    if not isinstance(legs, list) or not legs:
        raise TicketError("legs", "there are none; add one")
    if len(legs) > MAX_LEGS:
        raise TicketError("legs", f"{len(legs)} are too many; one ticket takes {MAX_LEGS}, make two of it")
    ticket = HandTicket(
        account,
        tuple(_leg(one, f"leg {place}") for place, one in enumerate(legs, 1)),
        _quantity(raw.get("quantity")),
        _limit(raw.get("limit_price")),
    )
    _check_together(ticket.legs)
    return ticket


def _leg(raw: Any, where: str) -> Leg:
    if not isinstance(raw, dict):
        raise TicketError(where, f"it is {type(raw).__name__}, not a leg; choose its contract")
    sec_type = _one_of(SecType, raw.get("sec_type"), f"{where}, kind")
    for name in ("symbol", "trading_class"):
        if not isinstance(raw.get(name), str) or not raw[name].strip():
            raise TicketError(f"{where}, class", f"{raw.get(name)!r} names no underlying; choose one of the list")
    if sec_type.is_option:
        _one_of(Right, raw.get("right"), f"{where}, right")
        _positive(raw.get("strike"), f"{where}, strike")
    if sec_type.is_option or sec_type is SecType.FUTURE:
        _date(raw.get("expiry"), f"{where}, expiry")
    _positive(raw.get("multiplier"), f"{where}, multiplier")
    try:
        contract = contract_from_json(raw)
    except (KeyError, ValueError, TypeError) as error:
        raise TicketError(where, f"its contract cannot be read ({error}); choose it anew") from error
    return Leg(contract, _one_of(Action, raw.get("action"), f"{where}, side"), _ratio(raw.get("ratio"), where))


def _one_of(kind: Any, value: Any, where: str) -> Any:
    if value not in tuple(kind):
        raise TicketError(where, f"{value!r} is none of {', '.join(kind)}; choose one")
    return kind(value)


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def _positive(value: Any, where: str) -> None:
    number = _number(value)
    if number is None or number <= 0:
        raise TicketError(where, f"{value!r} is not a number above 0; choose one that is listed")


def _date(value: Any, where: str) -> None:
    try:
        date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise TicketError(where, f"{value!r} is no date; choose one that is listed") from error


def _ratio(value: Any, where: str) -> int:
    number = _number(value)
    if number is None or number != int(number) or not 1 <= number <= MAX_RATIO:
        raise TicketError(f"{where}, ratio", f"{value!r} is not a whole number from 1 to {MAX_RATIO}")
    return int(number)


def _quantity(value: Any) -> int:
    number = _number(value)
    if number is None or number != int(number) or number < 1:
        raise TicketError("quantity", f"{value!r} is not a whole number; type 1 or more")
    return int(number)


def _limit(value: Any) -> float | None:
    if value is None:
        return None
    number = _number(value)
    if number is None:
        raise TicketError("limit", f"{value!r} is not a price; leave it empty to take what the market asks")
    return number


def _check_together(legs: Sequence[Leg]) -> None:
    """What only the legs together can get wrong: twins, several classes, shares beside options, a common divisor."""
    seen: dict[str, int] = {}
    for place, leg in enumerate(legs, 1):
        first = seen.setdefault(leg.contract.identity, place)
        if first != place:
            raise TicketError(f"leg {place}", f"it is the contract of leg {first}; put both into one ratio")
        if leg.contract.trading_class != legs[0].contract.trading_class:
            mine, other = leg.contract.trading_class, legs[0].contract.trading_class
            raise TicketError(f"leg {place}, class", f"{mine} beside {other}; one ticket is one class, make two of it")
        if leg.contract.sec_type is not legs[0].contract.sec_type:
            raise TicketError(
                f"leg {place}, kind", "options and their underlying are two tickets; send one after another"
            )
    if len(legs) > 1 and not legs[0].contract.is_option:
        raise TicketError("legs", "futures and shares go one leg at a time; send one ticket each")
    common = math.gcd(*(leg.ratio for leg in legs))
    if common > 1:
        fixed = " and ".join(str(leg.ratio // common) for leg in legs)
        raise TicketError("ratios", f"all of them divide by {common}; type {fixed} and {common} times the quantity")


def check_size(ticket: HandTicket, rules: HedgeRules) -> None:
    """Raises TicketError when one ticket would be larger than the rules let any be."""
    shares = ticket.legs[0].contract.sec_type is SecType.STOCK
    most = rules.max_shares if shares else rules.max_quantity
    if ticket.quantity > most:
        raise TicketError("quantity", f"{ticket.quantity:,} is over {most:,}, the most of one ticket; type less")


# ── is it listed? ────────────────────────────────────────────────────────────────────────────────────────────────
class Listed(Protocol):
    """One class of a chain, as the memory keeps it."""

    trading_class: str
    symbol: str
    multiplier: float
    expirations: list[str]
    strikes: list[float]
    listed: dict[str, dict[str, list[float]]]


def check_listed(contract: Contract, where: str, chains: Sequence[Listed], also: Mapping[str, Contract]) -> None:
    """Raises TicketError unless the contract is in a chain or, by identity, in `also` (held, futures and shares)."""
    if contract in also.values():
        return
    if contract.identity in also:
        raise TicketError(f"{where}, multiplier", f"{contract.multiplier:g} is not that of {contract}; choose it anew")
    mine = [row for row in chains if (row.symbol, row.trading_class) == (contract.symbol, contract.trading_class)]
    if not mine or not contract.is_option or contract.expiry is None or contract.right is None:
        known = ", ".join(sorted({row.trading_class for row in chains})) or "none yet"
        words = f"{contract} is not listed here; choose one of the chains that are known: {known}"
        raise TicketError(f"{where}, class", words)
    row = mine[0]
    if contract.multiplier != row.multiplier:
        words = f"{contract.multiplier:g} is not {contract.trading_class}'s {row.multiplier:g}; choose it anew"
        raise TicketError(f"{where}, multiplier", words)
    strikes = strikes_of(row, contract.expiry, contract.right)
    if not strikes:
        near = nearest(sorted(map(date.fromisoformat, row.expirations)), contract.expiry)
        say = " and ".join(f"{day:%d %b %y}" for day in near) or "none is known"
        raise TicketError(
            f"{where}, expiry", f"{contract.trading_class} lists none on {contract.expiry:%d %b %y}; near it: {say}"
        )
    if contract.strike not in strikes:
        say = " and ".join(f"{strike:g}" for strike in nearest(strikes, contract.strike))
        raise TicketError(f"{where}, strike", f"there is no {contract}; near it: {say}")


def strikes_of(row: Listed, expiry: date, right: Right) -> list[float]:
    """Strikes that exist on a day, ascending: as listed where that is known, else the class's union; empty if none."""
    day = expiry.isoformat()
    if day in row.listed:
        return sorted(row.listed[day].get(right.value, []))
    return sorted(row.strikes) if day in row.expirations else []


def nearest(ascending: Sequence[Any], value: Any) -> tuple[Any, ...]:
    """The neighbours of a value that is not there: one below, one above."""
    below = [one for one in ascending if one < value][-1:]
    return (*below, *[one for one in ascending if one > value][:1])


# ── is the limit sane? ───────────────────────────────────────────────────────────────────────────────────────────
def check_tick(ticket: HandTicket) -> None:
    """Raises TicketError when the limit is between two ticks, naming both."""
    limit = ticket.limit_price
    if limit is None:
        return
    tick = ticket_tick(ticket.contracts, limit)
    low, high = (round_to_tick(limit, tick, way) for way in (Toward.DOWN, Toward.UP))
    if high - low > 1e-9:
        raise TicketError("limit", f"{limit:g} is between two ticks of {tick:g}; type {low:.2f} or {high:.2f}")
