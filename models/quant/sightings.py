"""Real quotes kept after their line moved on: brought to the spot of now, and trusted the less the older they are.

Between two looks a strike keeps its volatility at equal moneyness. What that may miss by is added to the quote's own
width: the level of volatility drifts with time, and a moved spot slides along the skew. European classes only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from models.quant.option import Right
from models.quant.pricing import DAYS_PER_YEAR, forward_price
from models.quant.surface import OptionQuote, Slice, tick_of

Floats = NDArray[np.float64]
_DAY = 86400.0
_TINY = 1e-12


@dataclass(frozen=True)
class Wear:
    """How a quote ages: `drift` is the volatility of volatility, annual; `tilt` what a smile of one year slopes by, in
    volatility per unit of log-moneyness, a shorter one as 1/√t. Volatility moves in `seconds` of open market a year.
    """

    drift: float = 1.0
    tilt: float = 0.3
    seconds: float = 252 * 6.5 * 3600
    ticks: float = 0.5  # by which any price may be rounded


WEAR = Wear()


@dataclass(frozen=True)
class Sighting:
    """A real two-sided quote of a listed option, with the spot and the desk time it was seen at."""

    quote: OptionQuote
    spot: float
    at: datetime

    @property
    def strike(self) -> float:
        assert self.quote.contract.strike is not None
        return self.quote.contract.strike

    @property
    def sides(self) -> tuple[float, float]:
        assert self.quote.bid is not None and self.quote.ask is not None
        return self.quote.bid, self.quote.ask


def is_two_sided(quote: OptionQuote) -> bool:
    return quote.bid is not None and quote.ask is not None and 0 < quote.bid <= quote.ask


def vega(piece: Slice, strikes: Floats) -> Floats:
    """Price points per unit of volatility (1.00) at absolute strikes; 0 so far out that the smile has no variance."""
    k = np.log(strikes / piece.forward)
    with np.errstate(invalid="ignore"):
        root = np.sqrt(piece.total_variance(k))
        d1 = -k / root + 0.5 * root
        density = np.exp(-0.5 * d1 * d1) / math.sqrt(2 * math.pi)
    out: Floats = np.nan_to_num(piece.discount * piece.forward * math.sqrt(piece.t_years) * density, nan=0.0)
    return out


def worn(seen: Sequence[Sighting], piece: Slice, spot: float, now: datetime, wear: Wear = WEAR) -> Floats:
    """(N,) volatility (fraction) by which the market may have moved away from each quote since it was seen."""
    level = float(piece.iv([piece.forward])[0])
    drifted = wear.drift * level * np.sqrt(_ages(seen, now) / wear.seconds)
    slid = wear.tilt * np.abs(np.log(spot / _spots(seen))) / math.sqrt(piece.t_years)
    out: Floats = np.hypot(drifted, slid)
    return out


def errors(seen: Sequence[Sighting], piece: Slice, spot: float, now: datetime, wear: Wear = WEAR) -> Floats:
    """(N,) within how much volatility (fraction) each sighting tells the smile of `piece` now."""
    bid, ask = np.array([one.sides for one in seen]).reshape(-1, 2).T
    half = 0.5 * (ask - bid) + wear.ticks * tick_of(piece.trading_class)
    width = half / np.maximum(vega(piece, _strikes(seen)), _TINY)
    out: Floats = np.hypot(width, worn(seen, piece, spot, now, wear))
    return out


def carried(
    seen: Sequence[Sighting], piece: Slice, spot: float, now: datetime, wear: Wear = WEAR
) -> tuple[OptionQuote, ...]:
    """The quotes as they would stand now, widened by what they have worn; those left without a bid are gone.

    `piece` is the smile of their expiry at `spot` and `now`: each price moves as the price at its volatility does.
    """
    strikes, before = _strikes(seen), _spots(seen)
    call = np.array([one.quote.contract.right is Right.CALL for one in seen], dtype=bool)
    k_now, k_then = np.log(strikes / piece.forward), np.log(strikes / (piece.forward * before / spot))
    older = 1.0 + _ages(seen, now) / (_DAY * DAYS_PER_YEAR * piece.t_years)
    with np.errstate(invalid="ignore"):
        root_now = np.sqrt(piece.total_variance(k_now))
        root_then = np.sqrt(piece.total_variance(k_then) * older)
        price_now = forward_price(piece.forward, strikes, root_now, call)
        price_then = forward_price(piece.forward * before / spot, strikes, root_then, call)
    moved = piece.discount * (price_now - price_then)
    wider = worn(seen, piece, spot, now, wear) * vega(piece, strikes)
    bid, ask = np.array([one.sides for one in seen]).reshape(-1, 2).T
    low, high = bid + moved - wider, ask + moved + wider
    return tuple(
        OptionQuote(one.quote.contract, float(low[i]), float(high[i])) for i, one in enumerate(seen) if low[i] > 0
    )


def _strikes(seen: Sequence[Sighting]) -> Floats:
    return np.array([one.strike for one in seen], dtype=np.float64)


def _spots(seen: Sequence[Sighting]) -> Floats:
    return np.array([one.spot for one in seen], dtype=np.float64)


def _ages(seen: Sequence[Sighting], now: datetime) -> Floats:
    """Seconds since each was seen."""
    return np.array([max((now - one.at).total_seconds(), 0.0) for one in seen], dtype=np.float64)
