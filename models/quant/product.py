"""The instruments of the desk as data: style, settlement, ticks, multipliers and who belongs to the SPX family.

One literal table; `product_of` answers for a trading class, and an unknown class is an American equity option
or a share. Ticks follow DOMAIN.md section 1a.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from models.quant.option import Contract, SecType

NEW_YORK = ZoneInfo("America/New_York")


class Style(StrEnum):
    EUROPEAN = "european"
    AMERICAN = "american"


class Settlement(StrEnum):
    AM = "AM"
    PM = "PM"


class Hours(StrEnum):
    """Which timetable applies; `models.calendar` holds the timetables."""

    EQUITY = "equity"
    CBOE_INDEX = "cboe_index"
    GLOBEX = "globex"


@dataclass(frozen=True)
class Product:
    """One trading class. `ticks` is ((from_price, tick), …) ascending; `combo_tick` applies to a combo's price."""

    trading_class: str
    symbol: str
    sec_type: SecType
    multiplier: float
    exchange: str
    style: Style | None
    settlement: Settlement | None
    ticks: tuple[tuple[float, float], ...]
    combo_tick: float
    hours: Hours
    section_1256: bool
    spx_ratio: float | None = None  # spot per SPX point for the SPX family (SPY .1), None outside it

    @property
    def in_spx_family(self) -> bool:
        return self.spx_ratio is not None

    def tick(self, price: float) -> float:
        """Smallest price step at `price` (absolute value is used: combos may be credits)."""
        step = self.ticks[0][1]
        for start, size in self.ticks:
            if abs(price) >= start:
                step = size
        return step


_INDEX_TICKS = ((0.0, 0.05), (3.0, 0.10))
_PENNY = ((0.0, 0.01),)
_ES_OPTION = ((0.0, 0.05), (5.0, 0.25))


def _index_option(cls: str, symbol: str, settlement: Settlement, ratio: float, penny: bool = False) -> Product:
    return Product(
        cls, symbol, SecType.OPTION, 100, "CBOE", Style.EUROPEAN, settlement,
        _PENNY if penny else _INDEX_TICKS, 0.01 if penny else 0.05, Hours.CBOE_INDEX, True, ratio,
    )  # fmt: skip


def _future(cls: str, multiplier: float, tick: float, exchange: str, ratio: float | None) -> Product:
    return Product(
        cls, cls, SecType.FUTURE, multiplier, exchange, None, None, ((0.0, tick),), tick, Hours.GLOBEX, True, ratio
    )


PRODUCTS: dict[tuple[str, SecType], Product] = {
    (p.trading_class, p.sec_type): p
    for p in (
        _index_option("SPX", "SPX", Settlement.AM, 1.0),
        _index_option("SPXW", "SPX", Settlement.PM, 1.0),
        _index_option("XSP", "XSP", Settlement.PM, 0.1, penny=True),
        Product("SPY", "SPY", SecType.OPTION, 100, "SMART", Style.AMERICAN, Settlement.PM, _PENNY, 0.01,
                Hours.EQUITY, False, 0.1),
        Product("SPY", "SPY", SecType.STOCK, 1, "SMART", None, None, _PENNY, 0.01, Hours.EQUITY, False, 0.1),
        _future("ES", 50, 0.25, "CME", 1.0),
        _future("MES", 5, 0.25, "CME", 1.0),
        _future("CL", 1000, 0.01, "NYMEX", None),
        *(Product(cls, "ES", SecType.FUTURE_OPTION, 50, "CME",
                  Style.AMERICAN if cls == "ES" else Style.EUROPEAN, Settlement.AM if cls == "ES" else Settlement.PM,
                  _ES_OPTION, 0.05, Hours.GLOBEX, True, 1.0)
          for cls in ("ES", "EW", *(f"EW{week}" for week in range(1, 6)),
                      *(f"E{week}{day}" for week in range(1, 6) for day in "ABCD"))),
        *(Product(cls, cls, SecType.INDEX, 1, "CBOE", None, None, _PENNY, 0.01, Hours.CBOE_INDEX, True,
                  {"SPX": 1.0, "XSP": 0.1}.get(cls))
          for cls in ("SPX", "XSP", "VIX", "VIX3M", "VVIX")),
    )
}  # fmt: skip


def product_of(contract: Contract) -> Product:
    """The product of a contract; a class outside the table is a US share or its American options."""
    known = PRODUCTS.get((contract.trading_class, contract.sec_type))
    if known is not None:
        return known
    option = contract.is_option
    return Product(
        contract.trading_class, contract.symbol, contract.sec_type, contract.multiplier, "SMART",
        Style.AMERICAN if option else None, Settlement.PM if option else None, _PENNY, 0.01, Hours.EQUITY, False,
    )  # fmt: skip


def ticket_tick(contracts: Sequence[Contract], price: float) -> float:
    """The tick of a ticket's price: the combo's for several legs, the contract's own at `price` for one."""
    product = product_of(contracts[0])
    return product.combo_tick if len(contracts) > 1 else product.tick(price)


def is_spx_family(contract: Contract) -> bool:
    return product_of(contract).in_spx_family


def expiry_instant(contract: Contract) -> datetime:
    """The settlement minute (aware UTC): 09:30 New York for AM settlement, 16:00 for PM, 16:00 for futures."""
    if contract.expiry is None:
        raise ValueError(f"{contract} has no expiry")
    return settlement_minute(contract.expiry, product_of(contract).settlement)


def settlement_minute(expiry: date, settlement: Settlement | None) -> datetime:
    at = time(9, 30) if settlement is Settlement.AM else time(16, 0)
    return datetime.combine(expiry, at, NEW_YORK).astimezone(UTC)


def years_to(instant: datetime, now: datetime) -> float:
    """Calendar years (365 days) from `now` to `instant`; 0 once passed."""
    return max((instant - now).total_seconds(), 0.0) / (365 * 86400)


def dte(expiry: date, now: datetime) -> int:
    """Whole calendar days to expiry on the New York calendar; negative once past."""
    return (expiry - now.astimezone(NEW_YORK).date()).days


class Toward(StrEnum):
    NEAREST = "nearest"
    DOWN = "down"
    UP = "up"


_ROUNDING = {Toward.NEAREST: ROUND_HALF_EVEN, Toward.DOWN: ROUND_FLOOR, Toward.UP: ROUND_CEILING}


def round_to_tick(price: float, tick: float, toward: Toward = Toward.NEAREST) -> float:
    """`price` on the tick grid. A buyer's bound rounds DOWN, a seller's UP: never past the approved worst price."""
    if not math.isfinite(price) or not tick > 0:
        raise ValueError(f"price {price} on tick {tick}: both must be finite and the tick positive")
    step = Decimal(str(tick))
    return float((Decimal(repr(price)) / step).quantize(Decimal(1), _ROUNDING[toward]) * step)
