"""Every listed option as numpy columns, so that a whole screen of quotes is one vectorised computation.

A row knows what drives it (an independent name and a scale: SPY is a tenth of SPX), its smile, strike, settlement
second and tick grid. Recorded rows carry the volatility that their own mid implies and keep it when spot moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters.simulator.dynamics import Factors
from adapters.simulator.names import INDEX, NAMES, RATE, SPY_RATIO
from adapters.simulator.surface import LEAST_YEARS, total_variance
from adapters.simulator.types import Instrument
from adapters.simulator.universe import name_of
from models.quant.option import Right
from models.quant.product import expiry_instant

Floats = NDArray[np.float64]
YEAR_SECONDS = 365 * 86400.0
NAME_INDEX = {name.symbol: i for i, name in enumerate(NAMES)}
INDEX_RULE = 110


def hash_unit(con_ids: NDArray[np.int64], salt: int = 0) -> Floats:
    """A repeatable number in [0, 1) per instrument (Knuth's multiplicative hash)."""
    mixed = (con_ids.astype(np.uint64) + np.uint64(salt * 7919 + 1)) * np.uint64(2654435761)
    return np.asarray((mixed & np.uint64(0xFFFFFFFF)) / 2.0**32)


@dataclass(frozen=True)
class Valued:
    """Model values of some rows: price and iv, with what they were computed from. NaN is unknown."""

    price: Floats
    iv: Floats
    spot: Floats
    t: Floats
    rate: Floats
    dividend: Floats


class OptionColumns:
    """Columns over a fixed list of option instruments; rebuilt when the register grows."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        names = [name_of(i.contract.symbol) or INDEX for i in instruments]
        self.con_ids = np.array([i.con_id for i in instruments], dtype=np.int64)
        self.row_of = {int(con_id): row for row, con_id in enumerate(self.con_ids)}
        self.driver = np.array([NAME_INDEX[n.symbol] for n in names], dtype=np.int64)
        self.scale = np.array([SPY_RATIO if i.contract.symbol == "SPY" else 1.0 for i in instruments])
        self.strike = np.array([i.contract.strike for i in instruments], dtype=float)
        self.is_call = np.array([i.contract.right is Right.CALL for i in instruments], dtype=bool)
        self.american = np.array([i.contract.symbol != "SPX" for i in instruments], dtype=bool)
        self.index_ticks = np.array([i.market_rule_id == INDEX_RULE for i in instruments], dtype=bool)
        self.settles = _settlement_seconds(instruments)
        self.carry_yield = np.array([n.dividend for n in names])
        self.rate = np.full(len(names), RATE)
        self._far = np.array([n.smile.long_vol**2 for n in names])
        self._reversion = np.array([n.smile.reversion for n in names])
        self._rho = np.array([n.smile.rho for n in names])
        self._eta = np.array([n.smile.eta for n in names])
        self._follow = np.array([n.vol_follow for n in names])
        # recorded rows: own volatility, and the spot at which it was recorded
        self.recorded = np.zeros(len(names), dtype=bool)
        self.own_iv = np.full(len(names), np.nan)
        self.unknown_iv = np.zeros(len(names), dtype=bool)  # recorded without a volatility: no greeks are told

    def years(self, rows: NDArray[np.int64], at: float | Floats) -> Floats:
        return np.asarray(np.maximum((self.settles[rows] - at) / YEAR_SECONDS, 0.0))

    def spots(self, rows: NDArray[np.int64], factors: Factors) -> Floats:
        return np.asarray(factors.spots[self.driver[rows]] * self.scale[rows])

    def model_iv(self, rows: NDArray[np.int64], spot: Floats, level: float | Floats, t: Floats) -> Floats:
        """The surface's volatility for rows at given spots (scaled), index variance level and years."""
        relative = np.asarray(level, float) / INDEX.smile.long_vol**2
        far = self._far[rows]
        own = far * relative ** self._follow[rows]
        years = np.maximum(t, LEAST_YEARS)
        theta = far * years + (own - far) * -np.expm1(-self._reversion[rows] * years) / self._reversion[rows]
        forward = spot * np.exp((self.rate[rows] - self.carry_yield[rows]) * years)
        k = np.log(self.strike[rows] / forward)
        return np.asarray(np.sqrt(total_variance(theta, k, self._rho[rows], self._eta[rows]) / years))

    def value(self, rows: NDArray[np.int64], factors: Factors) -> Valued:
        """Prices of rows under the present factors."""
        spot = self.spots(rows, factors)
        t = self.years(rows, factors.at)
        iv = self.model_iv(rows, spot, factors.level, t)
        if self.recorded.any():
            iv = np.where(self.recorded[rows], np.maximum(self.own_iv[rows] + factors.points, 0.01), iv)
        return self.price_at(rows, spot, iv, t)

    def price_at(self, rows: NDArray[np.int64], spot: Floats, iv: Floats, t: Floats) -> Valued:
        """Prices of rows at given spots and volatilities; American rows are never below their exercise value."""
        from models.quant.pricing import bsm_price

        rate, dividend, strike, call = self.rate[rows], self.carry_yield[rows], self.strike[rows], self.is_call[rows]
        price = bsm_price(spot, strike, t, iv, rate, dividend, call)
        exercise = np.maximum(np.where(call, spot - strike, strike - spot), 0.0)
        price = np.where(self.american[rows] | (t <= 0), np.maximum(price, exercise), price)
        return Valued(price, iv, spot, t, rate, dividend)


def _settlement_seconds(instruments: Sequence[Instrument]) -> Floats:
    seen: dict[tuple[str, object], float] = {}
    out = np.empty(len(instruments))
    for row, item in enumerate(instruments):
        key = (item.contract.trading_class, item.contract.expiry)
        if key not in seen:
            seen[key] = expiry_instant(item.contract).timestamp()
        out[row] = seen[key]
    return out


def tick_floor(price: Floats, index_ticks: NDArray[np.bool_]) -> Floats:
    """The grid point at or below a price: .05 below 3 and .10 above for index options, .01 else."""
    size = tick_size(price, index_ticks)
    return np.round(np.floor(price / size + 1e-9) * size, 4)


def tick_ceil(price: Floats, index_ticks: NDArray[np.bool_]) -> Floats:
    size = tick_size(price, index_ticks)
    return np.round(np.ceil(price / size - 1e-9) * size, 4)


def tick_size(price: Floats, index_ticks: NDArray[np.bool_]) -> Floats:
    return np.asarray(np.where(index_ticks, np.where(price >= 3.0, 0.10, 0.05), 0.01))
