"""The recorded SPX and SPY chains as quotes, as the vendor's columns and as our surfaces, each read once."""

import csv
import gzip
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import numpy as np

from models.quant.option import Contract, Right, SecType, parse_osi
from models.quant.surface import OptionQuote, Surface, fit_surface

DAYS = (date(2026, 8, 13), date(2026, 8, 17), date(2026, 8, 19), date(2026, 8, 21))
RATE = 0.043
VENDOR = ("bid", "ask", "iv", "delta", "gamma", "vega", "theta", "rho", "theo")


@dataclass(frozen=True)
class Vendor:
    """The vendor's columns of one expiry, as recorded: zero means unknown."""

    strike: np.ndarray
    is_call: np.ndarray
    bid: np.ndarray
    ask: np.ndarray
    iv: np.ndarray
    delta: np.ndarray
    gamma: np.ndarray
    vega: np.ndarray
    theta: np.ndarray
    rho: np.ndarray
    theo: np.ndarray


def close_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 20, 0, tzinfo=UTC)


@cache
def underlying(folder: Path, symbol: str, day: date) -> dict[str, float]:
    """The day's close and iv30 (points) as the vendor gives them."""
    ticker = "_SPX" if symbol == "SPX" else symbol
    with (folder / "options" / "cboe_underlying.csv").open() as file:
        for row in csv.DictReader(file):
            if row["ticker"] == ticker and row["session_date"] == day.isoformat():
                return {"close": float(row["close"]), "iv30": float(row["iv30"])}
    raise LookupError(f"no {ticker} on {day}")


@cache
def rows(folder: Path, symbol: str, day: date) -> tuple[dict[str, str], ...]:
    with gzip.open(folder / "options" / f"cboe_{symbol.lower()}" / f"{day}.csv.gz", "rt") as file:
        return tuple(csv.DictReader(file))


@cache
def chain(folder: Path, symbol: str, day: date) -> tuple[OptionQuote, ...]:
    out = []
    for row in rows(folder, symbol, day):
        trading_class, expiry, right, strike = parse_osi(row["option"])
        contract = Contract(symbol, SecType.OPTION, trading_class, 100, expiry, strike, right)
        out.append(OptionQuote(contract, float(row["bid"]) or None, float(row["ask"]) or None))
    return tuple(out)


@cache
def by_expiry(folder: Path, symbol: str, day: date) -> dict[tuple[str, date], Vendor]:
    found: dict[tuple[str, date], list[list[float]]] = {}
    for row in rows(folder, symbol, day):
        trading_class, expiry, right, strike = parse_osi(row["option"])
        numbers = [strike, float(right is Right.CALL), *(float(row[name]) for name in VENDOR)]
        found.setdefault((trading_class, expiry), []).append(numbers)
    out = {}
    for key, table in found.items():
        strike, is_call, *columns = np.array(sorted(table)).T
        out[key] = Vendor(strike, is_call > 0, *columns)
    return out


@cache
def surface(folder: Path, symbol: str, day: date) -> Surface:
    """SPX tells its own discount; SPY borrows it."""
    curve = surface(folder, "SPX", day) if symbol == "SPY" else None
    spot = underlying(folder, symbol, day)["close"]
    return fit_surface(symbol, spot, close_of(day), chain(folder, symbol, day), RATE, curve)
