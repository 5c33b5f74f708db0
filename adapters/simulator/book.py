"""The starting book: positions found by what they should be (days to expiry, delta, moneyness), bought at the mid.

The demo's own book is short volatility with a long tilt, so that the desk profile's limits on weighted vega and delta
are breached on the first look; a JSON file replaces it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from adapters.simulator.account import Account, Holding
from adapters.simulator.market import Market
from adapters.simulator.types import Instrument
from models.quant.option import Right, SecType
from models.quant.product import NEW_YORK

FIELDS = frozenset({
    "symbol", "sec_type", "trading_class", "expiry", "dte", "right", "strike", "delta", "moneyness", "quantity",
    "average_price",
})  # fmt: skip


OPTIONAL_NUMBERS = ("strike", "delta", "moneyness", "average_price")


class BookError(ValueError):
    """A book file cannot be used; the message names the file, the line and the field."""


@dataclass(frozen=True)
class BookLine:
    """One wanted position. Options: `expiry` or `dte`, and one of `strike`, `delta` (absolute) or `moneyness` (K/S)."""

    symbol: str
    sec_type: SecType
    quantity: float
    trading_class: str = ""
    expiry: date | None = None
    dte: int | None = None
    right: Right | None = None
    strike: float | None = None
    delta: float | None = None
    moneyness: float | None = None
    average_price: float | None = None


DEMO_CASH = 1_500_000.0

_OPT, _STK, _FUT = SecType.OPTION, SecType.STOCK, SecType.FUTURE
_C, _P = Right.CALL, Right.PUT
DEMO_BOOK: tuple[BookLine, ...] = (
    BookLine("SPX", _OPT, -3, dte=150, right=_C, delta=0.45),
    BookLine("SPX", _OPT, -2, dte=150, right=_C, delta=0.38),
    BookLine("SPX", _OPT, -3, dte=150, right=_P, delta=0.45),
    BookLine("SPX", _OPT, -3, dte=150, right=_P, delta=0.38),
    BookLine("SPX", _OPT, 2, dte=31, right=_C, delta=0.08),
    BookLine("SPX", _OPT, 3, dte=31, right=_P, delta=0.10),
    BookLine("SPX", _OPT, 4, dte=31, right=_P, delta=0.05),
    BookLine("SPY", _OPT, -6, "SPY", dte=31, right=_P, delta=0.25),
    BookLine("SPY", _OPT, 6, "SPY", dte=31, right=_P, delta=0.15),
    BookLine("MES", _FUT, 6),
    BookLine("SPY", _STK, 150),
    BookLine("AAPL", _STK, 300),
    BookLine("MSFT", _STK, 100),
    BookLine("NVDA", _STK, 200),
    BookLine("JPM", _STK, 200),
    BookLine("AAPL", _OPT, -3, "AAPL", dte=31, right=_C, delta=0.25),
)


def read_book(path: Path) -> tuple[tuple[BookLine, ...], float]:
    """(lines, cash) of a JSON list, or of {"cash": …, "positions": […]}; raises BookError."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BookError(f"book file {path} does not exist") from error
    except (OSError, ValueError) as error:
        raise BookError(f"book file {path} is not JSON: {error}") from error
    cash = DEMO_CASH
    if isinstance(raw, dict):
        cash, raw = float(raw.get("cash", DEMO_CASH)), raw.get("positions")
    if not isinstance(raw, list):
        raise BookError(f"book file {path}: expected a list of positions")
    return tuple(_line(path, i, item) for i, item in enumerate(raw, start=1)), cash


def _line(path: Path, number: int, raw: Any) -> BookLine:
    where = f"book file {path}, position {number}"
    if not isinstance(raw, Mapping):
        raise BookError(f"{where}: expected an object with symbol, sec_type and quantity")
    unknown = set(raw) - FIELDS
    if unknown:
        raise BookError(f"{where}: unknown field {', '.join(sorted(unknown))}; known are {', '.join(sorted(FIELDS))}")
    try:
        return BookLine(
            str(raw["symbol"]), SecType(raw["sec_type"]), _number(raw["quantity"]), str(raw.get("trading_class", "")),
            date.fromisoformat(raw["expiry"]) if raw.get("expiry") else None, raw.get("dte"),
            Right(raw["right"]) if raw.get("right") else None,
            *(None if raw.get(n) is None else _number(raw[n]) for n in OPTIONAL_NUMBERS),
        )  # fmt: skip
    except KeyError as error:
        raise BookError(f"{where}: field {error.args[0]} is missing") from error
    except (ValueError, TypeError) as error:
        raise BookError(f"{where}: {error}") from error


def _number(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise ValueError(f"{raw!r} is not a number")
    return float(raw)


def open_book(account: Account, lines: Sequence[BookLine], cash: float) -> None:
    """Put the lines into an empty account at their present marks; `cash` is what the account is worth then."""
    ledger = account.ledger
    ledger.cash = cash
    for line in lines:
        item = find_line(account.market, line)
        price = line.average_price if line.average_price is not None else account.price(item)
        if price is None:
            raise BookError(f"{item.local_symbol.strip()} has no price to open a position at; give average_price")
        holding = ledger.holdings.setdefault(item.con_id, Holding())
        holding.quantity += line.quantity
        holding.average_cost = price * item.contract.multiplier
        if item.contract.sec_type is not SecType.FUTURE:
            ledger.cash -= line.quantity * holding.average_cost


def find_line(market: Market, line: BookLine) -> Instrument:
    """The listed instrument nearest to what the line describes; raises BookError when nothing fits."""
    found = market.find(symbol=line.symbol, sec_type=line.sec_type.value, trading_class=line.trading_class)
    if not found:
        raise BookError(f"nothing is listed for {line.symbol} {line.sec_type} {line.trading_class}".rstrip())
    if line.sec_type is SecType.FUTURE:
        return _at_expiry(market, line, found)[0]
    if line.sec_type is not SecType.OPTION:
        return found[0]
    if line.right is None:
        raise BookError(f"{line.symbol} option: right is missing")
    candidates = [i for i in _at_expiry(market, line, found) if i.contract.right is line.right]
    return _at_strike(market, line, candidates)


def _at_expiry(market: Market, line: BookLine, found: list[Instrument]) -> list[Instrument]:
    expiries = sorted({i.contract.expiry for i in found if i.contract.expiry is not None})
    if line.expiry is not None:
        chosen = line.expiry
        if chosen not in expiries:
            raise BookError(f"{line.symbol} {line.trading_class}: expiry {chosen} is not listed")
    elif line.dte is not None:
        today = market.now.astimezone(NEW_YORK).date()
        wanted = line.dte
        chosen = min(expiries, key=lambda e: abs((e - today).days - wanted))
    else:
        chosen = expiries[0]
    return [i for i in found if i.contract.expiry == chosen]


def _at_strike(market: Market, line: BookLine, found: list[Instrument]) -> Instrument:
    if line.strike is not None:
        exact = [i for i in found if i.contract.strike == line.strike]
        if not exact:
            raise BookError(f"{line.symbol} {line.trading_class}: strike {line.strike:g} is not listed")
        return exact[0]
    if line.moneyness is not None:
        wanted = line.moneyness * market.price_of(line.symbol)
        return min(found, key=lambda i: abs((i.contract.strike or 0.0) - wanted))
    if line.delta is None:
        raise BookError(f"{line.symbol} option: give strike, delta or moneyness")
    target = abs(line.delta)
    ids = [i.con_id for i in found]
    looked = zip(found, market.models(ids), market.quotes(ids), strict=True)
    known = [(abs(abs(m.delta) - target), i.con_id, i) for i, m, q in looked if m and q and q.mid is not None]
    if not known:
        raise BookError(f"{line.symbol} {line.trading_class}: no option has a known delta and quote")
    return min(known)[2]
