"""Beta to the S&P 500: one by definition inside the SPX family, else the best known source, else 1.0 and flagged."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.quant.option import Contract
from models.quant.product import PRODUCTS, is_spx_family

BY_DEFINITION = "by definition"
STATIC = "static table"
UNAVAILABLE = "beta unavailable"


@dataclass(frozen=True)
class Beta:
    """Percent move of the underlying per percent of SPX; `flagged` means nobody knows it and 1.0 stands in."""

    value: float
    source: str
    flagged: bool = False


SPX_FAMILY = frozenset(p.symbol for p in PRODUCTS.values() if p.in_spx_family)

# Rounded five-year monthly betas of liquid names: a last resort below tastytrade, IBKR and Yahoo.
_STATIC = {
    "AAPL": 1.2, "MSFT": 1.0, "NVDA": 1.8, "AMZN": 1.3, "GOOGL": 1.1, "META": 1.2, "TSLA": 2.1, "JPM": 1.1,
    "XOM": 0.7, "JNJ": 0.5, "PG": 0.5, "KO": 0.5, "WMT": 0.7, "AMD": 1.8, "NFLX": 1.4, "BAC": 1.3, "UNH": 0.5,
    "QQQ": 1.15, "IWM": 1.15, "DIA": 0.95,
}  # fmt: skip


def beta_of(what: Contract | str, known: Mapping[str, Beta]) -> Beta:
    """The beta of a contract or symbol; `known` maps symbols to what the market watch found."""
    family = what in SPX_FAMILY if isinstance(what, str) else is_spx_family(what) or what.symbol in SPX_FAMILY
    if family:
        return Beta(1.0, BY_DEFINITION)
    symbol = what if isinstance(what, str) else what.symbol
    found = known.get(symbol)
    if found is not None and not found.flagged:
        return found
    if symbol in _STATIC:
        return Beta(_STATIC[symbol], STATIC)
    return Beta(1.0, UNAVAILABLE, flagged=True)
