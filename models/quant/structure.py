"""A trade as legs: ratios, signs, prices per combo unit, and the hash that an approval signs.

Signs are said once here. Prices of a combo are **debit positive** (what the buyer of the combo pays);
`net_premium` of a whole trade is **credit positive** in account currency.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from models.quant.option import Contract, Right, SecType


class Action(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is Action.BUY else -1

    @property
    def opposite(self) -> "Action":
        return Action.SELL if self is Action.BUY else Action.BUY


class QuoteSource(StrEnum):
    """Where a price came from; only REAL may be crossed."""

    REAL = "real"
    DELAYED = "delayed"
    MODELLED = "modelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Leg:
    """One leg per combo unit. `ratio` is a positive integer; the side is `action`. Unknown market data is None."""

    contract: Contract
    action: Action
    ratio: int = 1
    con_id: int | None = None
    bid: float | None = None
    ask: float | None = None
    mid: float | None = None
    iv: float | None = None
    delta: float | None = None
    gamma: float | None = None
    vega: float | None = None
    theta: float | None = None
    source: QuoteSource = QuoteSource.UNKNOWN
    quoted_at: datetime | None = None

    @property
    def signed_ratio(self) -> int:
        return self.action.sign * self.ratio

    def to_json(self) -> dict[str, Any]:
        return {
            **contract_to_json(self.contract),
            "action": self.action.value,
            "ratio": self.ratio,
            "con_id": self.con_id,
            "bid": self.bid,
            "ask": self.ask,
            "mid": self.mid,
            "iv": self.iv,
            "delta": self.delta,
            "gamma": self.gamma,
            "vega": self.vega,
            "theta": self.theta,
            "source": self.source.value,
            "quoted_at": self.quoted_at.isoformat() if self.quoted_at else None,
        }


class LegsError(ValueError):
    """legs_json that is not legs; the message names the leg and the field. The row is shown, never crossed."""


def contract_to_json(contract: Contract) -> dict[str, Any]:
    """What `contract_from_json` reads back to an equal contract; the shape of every `contract_json` column."""
    return {
        "identity": contract.identity,
        "symbol": contract.symbol,
        "sec_type": contract.sec_type.value,
        "trading_class": contract.trading_class,
        "multiplier": contract.multiplier,
        "expiry": contract.expiry.isoformat() if contract.expiry else None,
        "strike": contract.strike,
        "right": contract.right.value if contract.right else None,
    }


def contract_from_json(raw: dict[str, Any]) -> Contract:
    """The contract of a JSON object with the keys `Leg.to_json` writes; raises KeyError, ValueError or TypeError."""
    expiry = raw.get("expiry")
    strike = raw.get("strike")
    right = raw.get("right")
    return Contract(
        symbol=str(raw["symbol"]),
        sec_type=SecType(raw["sec_type"]),
        trading_class=str(raw["trading_class"]),
        multiplier=_positive(raw["multiplier"], "multiplier"),
        expiry=date.fromisoformat(expiry) if expiry else None,
        strike=_finite(strike, "strike"),
        right=Right(right) if right else None,
    )


def leg_from_json(raw: Any, index: int = 0) -> Leg:
    if not isinstance(raw, dict):
        raise LegsError(f"leg {index + 1} is {type(raw).__name__}, not an object")
    try:
        contract = contract_from_json(raw)
        ratio = raw["ratio"]
        if not isinstance(ratio, int) or isinstance(ratio, bool) or not 1 <= ratio <= MAX_RATIO:
            raise ValueError(f"ratio {ratio!r} is not an integer from 1 to {MAX_RATIO}")
        if raw.get("identity", contract.identity) != contract.identity:
            raise ValueError(f"identity {raw['identity']!r} does not name {contract.identity!r}")
        quoted = raw.get("quoted_at")
        con_id = raw.get("con_id")
        numbers = {name: _finite(raw.get(name), name) for name in _NUMBERS}
        return Leg(
            contract=contract,
            action=Action(raw["action"]),
            ratio=ratio,
            con_id=int(con_id) if con_id is not None else None,
            source=QuoteSource(raw.get("source", "unknown")),
            quoted_at=datetime.fromisoformat(quoted) if quoted else None,
            **numbers,
        )
    except KeyError as error:
        raise LegsError(f"leg {index + 1}: field {error.args[0]} is missing") from error
    except (ValueError, TypeError) as error:
        raise LegsError(f"leg {index + 1}: {error}") from error


_NUMBERS = ("bid", "ask", "mid", "iv", "delta", "gamma", "vega", "theta")
MAX_RATIO = 3
MAX_LEGS = 6


def legs_from_json(raw: Any) -> tuple[Leg, ...]:
    """Legs from their JSON; raises LegsError naming the leg and field. At least one, at most six, gcd of ratios 1."""
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except json.JSONDecodeError as error:
            raise LegsError(f"legs_json is not JSON: {error}") from error
    if not isinstance(raw, list) or not 1 <= len(raw) <= MAX_LEGS:
        raise LegsError(f"legs_json must be a list of 1 to {MAX_LEGS} legs")
    legs = tuple(leg_from_json(item, i) for i, item in enumerate(raw))
    names = [leg.contract.identity for leg in legs]
    if len(set(names)) != len(names):
        raise LegsError("legs_json names one contract twice")
    if math.gcd(*(leg.ratio for leg in legs)) != 1:
        raise LegsError("leg ratios have a common divisor; put it into the quantity")
    return legs


def legs_hash(legs: Sequence[Leg]) -> str:
    """SHA-256 over the sorted (identity, action, ratio): what an approval signs, untouched by quotes and order."""
    rows = sorted((leg.contract.identity, leg.action.value, str(Decimal(leg.ratio))) for leg in legs)
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def combo_price(legs: Sequence[Leg], side: str = "mid") -> float | None:
    """Price per combo unit, debit positive: at the `mid`, the `natural` (worst) or the `best` side; None if unknown."""
    total = 0.0
    for leg in legs:
        buying = leg.action is Action.BUY
        quote = {
            "mid": leg.mid,
            "natural": leg.ask if buying else leg.bid,
            "best": leg.bid if buying else leg.ask,
        }[side]
        if quote is None:
            return None
        total += leg.signed_ratio * quote
    return total


def net_premium(price: float, quantity: int, multiplier: float) -> float:
    """Account currency for the whole trade, credit positive, from a debit-positive combo price."""
    return -price * quantity * multiplier


def multiplier_of(legs: Sequence[Leg]) -> float:
    """The one multiplier of a ticket; raises LegsError when legs differ (they cannot be one combo)."""
    sizes = {leg.contract.multiplier for leg in legs}
    if len(sizes) != 1:
        raise LegsError(f"legs have different multipliers {sorted(sizes)}; they cannot be one ticket")
    return sizes.pop()


def reversed_legs(legs: Sequence[Leg]) -> tuple[Leg, ...]:
    return tuple(replace(leg, action=leg.action.opposite) for leg in legs)


def _finite(value: Any, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} {value!r} is not a finite number")
    return float(value)


def _positive(value: Any, name: str) -> float:
    number = _finite(value, name)
    if number is None or number <= 0:
        raise ValueError(f"{name} {value!r} is not a positive number")
    return number
