"""Portfolio margin's parameters as data, one frozen row per house: how far each class moves, what offsets what.

Ranges and the least charge follow Cboe rule 10.4 (release 34-46576; Regulatory Circular of 15 December 2006): ten
points over −8/+6 % for high-capitalisation broad indices, ±10 % for other broad ones, ±15 % for the rest. An offset
between classes that no source at hand states is 0: gains elsewhere do not count.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Moves:
    """Largest fall and rise of the underlying, fractions; five equal steps each way."""

    down: float
    up: float

    @property
    def points(self) -> tuple[float, ...]:
        steps = range(1, 6)
        return (*(self.down * i / 5 for i in reversed(steps)), *(self.up * i / 5 for i in steps))


HIGH_CAP, OTHER_BROAD, SINGLE = Moves(-0.08, 0.06), Moves(-0.10, 0.10), Moves(-0.15, 0.15)


@dataclass(frozen=True)
class Underlying:
    """`name` of the class group: all of it moves together and gains count in full. `product`: the group of classes
    within which part of a gain counts. `leverage` multiplies the moves (negative for inverse funds).
    """

    name: str
    moves: Moves
    product: str = ""
    leverage: float = 1.0


_HIGH, _OTHER = "high-capitalisation indices", "other broad indices"
_SP500 = Underlying("S&P 500", HIGH_CAP, _HIGH)
_NDX, _RUT = Underlying("Nasdaq 100", OTHER_BROAD, _OTHER), Underlying("Russell 2000", OTHER_BROAD, _OTHER)
_DOW, _OEX = Underlying("Dow Jones", HIGH_CAP, _HIGH), Underlying("S&P 100", HIGH_CAP, _HIGH)


def _geared(what: Underlying, leverage: float) -> Underlying:
    return replace(what, leverage=leverage)


UNDERLYINGS: Mapping[str, Underlying] = {
    **dict.fromkeys(("SPX", "XSP", "SPY", "VOO", "IVV"), _SP500),
    **dict.fromkeys(("NDX", "QQQ"), _NDX),
    **dict.fromkeys(("RUT", "IWM"), _RUT),
    **dict.fromkeys(("DJX", "DIA"), _DOW),
    **dict.fromkeys(("OEX", "XEO"), _OEX),
    "SSO": _geared(_SP500, 2.0), "SDS": _geared(_SP500, -2.0), "UPRO": _geared(_SP500, 3.0),
    "SPXL": _geared(_SP500, 3.0), "SPXU": _geared(_SP500, -3.0), "SPXS": _geared(_SP500, -3.0),
    "QLD": _geared(_NDX, 2.0), "QID": _geared(_NDX, -2.0), "TQQQ": _geared(_NDX, 3.0), "SQQQ": _geared(_NDX, -3.0),
}  # fmt: skip
"""By symbol; whatever is not named is a class of its own with the house's single-name moves and no offset."""


@dataclass(frozen=True)
class House:
    """`least` in points: charged × multiplier for every option contract, long or short. `offsets`: share of a class's
    gain that counts against losses of the same product group. `initial` over maintenance.
    """

    name: str
    single: Moves = SINGLE
    least: float = 0.375
    initial: float = 1.0
    underlyings: Mapping[str, Underlying] = field(default_factory=lambda: UNDERLYINGS)
    offsets: Mapping[str, float] = field(default_factory=lambda: {_HIGH: 0.90})

    def of(self, symbol: str) -> Underlying:
        return self.underlyings.get(symbol) or Underlying(symbol, self.single)


OCC = House("OCC/TIMS")
"""The exchange's minimum. 90 % within high-capitalisation indices: rule 15c3-1a's offset, to be checked by the user."""

IBKR_LIKE = House("IBKR-like", single=Moves(-0.25, 0.30), initial=1.10, offsets={})
"""A stricter house: its published default test of a single name, a tenth more initially, no offsets between classes.
Not the broker's own figures.
"""
