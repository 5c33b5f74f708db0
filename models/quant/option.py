"""What can be held: options, futures, shares and indices as values, and the one name each is known by.

Identity is the desk's own: the OSI symbol for options, class and month for futures. A broker's conId is a
translation of it and never the name.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property


class Right(StrEnum):
    CALL = "C"
    PUT = "P"


class SecType(StrEnum):
    """Security types, spelled as the broker spells them."""

    STOCK = "STK"
    INDEX = "IND"
    FUTURE = "FUT"
    OPTION = "OPT"
    FUTURE_OPTION = "FOP"

    @property
    def is_option(self) -> bool:
        return self in (SecType.OPTION, SecType.FUTURE_OPTION)


@dataclass(frozen=True)
class Contract:
    """One thing that can be quoted or held.

    `symbol` is the underlying's root (SPX, SPY, ES, AAPL); `trading_class` tells SPXW from SPX.
    `strike` is in the units of the underlying; `multiplier` is currency per 1.00 of price.
    Expiry is the exchange's last-trade or settlement date as printed in the symbol.
    """

    symbol: str
    sec_type: SecType
    trading_class: str
    multiplier: float = 1.0
    expiry: date | None = None
    strike: float | None = None
    right: Right | None = None

    def __post_init__(self) -> None:
        if self.sec_type.is_option and (self.expiry is None or self.strike is None or self.right is None):
            raise ValueError(f"option {self.symbol}: expiry, strike and right are all required")
        if self.sec_type is SecType.FUTURE and self.expiry is None:
            raise ValueError(f"future {self.symbol}: expiry is required")

    @cached_property
    def identity(self) -> str:
        """The desk's name: `SPXW  260918P06000000`, `ES 202612`, `EW3 202609 20260918 P 6000`, `SPY`."""
        if self.sec_type is SecType.OPTION:
            assert self.expiry and self.right and self.strike is not None
            return f"{self.trading_class:<6}{self.expiry:%y%m%d}{self.right}{round(self.strike * 1000):08d}"
        if self.sec_type is SecType.FUTURE:
            assert self.expiry
            return f"{self.trading_class} {self.expiry:%Y%m}"
        if self.sec_type is SecType.FUTURE_OPTION:
            assert self.expiry
            return f"{self.trading_class} {self.expiry:%Y%m} {self.expiry:%Y%m%d} {self.right} {self.strike:g}"
        return self.symbol

    @property
    def is_option(self) -> bool:
        return self.sec_type.is_option

    def __str__(self) -> str:
        """In plain words, as a page prints it: `SPXW 18 Sep 26 6000 put`."""
        if self.is_option and self.expiry:
            side = "call" if self.right is Right.CALL else "put"
            return f"{self.trading_class} {self.expiry:%d %b %y} {self.strike:g} {side}"
        if self.expiry:
            return f"{self.trading_class} {self.expiry:%b %y}"
        return self.symbol


def parse_osi(osi: str) -> tuple[str, date, Right, float]:
    """Split an OSI symbol into (class, expiry, right, strike); raises ValueError that names the symbol."""
    text = osi.strip()
    tail = text[-15:]
    root = text[:-15].strip()
    try:
        expiry = date(2000 + int(tail[:2]), int(tail[2:4]), int(tail[4:6]))
        return root, expiry, Right(tail[6]), int(tail[7:]) / 1000
    except (ValueError, IndexError) as error:
        raise ValueError(f"{osi!r} is not an OSI option symbol (class, yymmdd, C or P, strike x 1000)") from error
