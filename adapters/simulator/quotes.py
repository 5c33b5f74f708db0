"""Top of book from model values: spreads, sizes, volumes and closes, on the real tick grids.

The model price always lies inside bid and ask, and bid and ask lie on the grid outside it: rounding can then never
create an arbitrage that anybody could trade.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from adapters.simulator.columns import Floats, OptionColumns, Valued, hash_unit, tick_ceil, tick_floor, tick_size
from adapters.simulator.dynamics import Factors
from adapters.simulator.types import ModelGreeks, VenueQuote

# Half a spread = a share of vega, of price, and a floor; fitted by eye to the recorded SPX and SPY chains.
VEGA_SHARE = 0.025
PRICE_SHARE = 0.0025
HALF_FLOOR = 0.015
DEEP_SHARE = 0.002  # of the exercise value: deep options are quoted wide
TURNOVER = 0.12  # of open interest traded in a day
SESSION_LENGTH = 23400.0


def option_quotes(
    columns: OptionColumns, rows: NDArray[np.int64], factors: Factors, close: Factors, session_share: float
) -> list[VenueQuote]:
    """Quotes of synthetic rows now; `close` is the market at the previous close, `session_share` 0–1 of the day."""
    from models.quant.pricing import bsm

    now = columns.value(rows, factors)
    vega = bsm(now.spot, columns.strike[rows], now.t, now.iv, now.rate, now.dividend, columns.is_call[rows]).vega
    bid, ask = spread(columns, rows, now, vega)
    before = columns.value(rows, close).price
    at = datetime.fromtimestamp(factors.at, UTC)
    ticks = columns.index_ticks[rows]
    mid = (bid + ask) / 2
    last = np.minimum(np.maximum(tick_floor(mid + tick_size(mid, ticks) / 2, ticks), tick_size(mid, ticks)), ask)
    sizes = _sizes(columns, rows, now, factors.at)
    interest = open_interest(columns, rows, now)
    volume = np.floor(interest * TURNOVER * session_share * hash_unit(columns.con_ids[rows], 5))
    closing = np.maximum(tick_ceil(before, ticks), tick_size(before, ticks))
    return [
        VenueQuote(
            float(bid[i]), float(ask[i]), float(sizes[0][i]) if bid[i] > 0 else 0.0, float(sizes[1][i]),
            float(last[i]), float(1 + sizes[0][i] // 20), float(volume[i]), None, None, None, float(closing[i]),
            at, factors.halted, float(interest[i]),
        )
        for i in range(len(rows))
    ]  # fmt: skip


def spread(columns: OptionColumns, rows: NDArray[np.int64], now: Valued, vega: Floats) -> tuple[Floats, Floats]:
    """Bid and ask on the grid around the model price."""
    strike, call, ticks = columns.strike[rows], columns.is_call[rows], columns.index_ticks[rows]
    exercise = np.maximum(np.where(call, now.spot - strike, strike - now.spot), 0.0)
    half = HALF_FLOOR + VEGA_SHARE * vega + PRICE_SHARE * now.price + DEEP_SHARE * exercise
    half = half * (0.8 + 0.4 * hash_unit(columns.con_ids[rows], 3))
    bid = np.maximum(tick_floor(now.price - half, ticks), 0.0)
    ask = tick_ceil(now.price + half, ticks)
    return bid, np.maximum(ask, bid + tick_size(bid, ticks))


def open_interest(columns: OptionColumns, rows: NDArray[np.int64], now: Valued) -> Floats:
    """Larger at the money, on round strikes and out of the money; repeatable per contract."""
    distance = np.log(columns.strike[rows] / now.spot) / np.maximum(np.sqrt(now.t) * 0.25, 0.01)
    round_strike = np.where(columns.strike[rows] % np.where(columns.index_ticks[rows], 100.0, 10.0) == 0, 2.5, 1.0)
    body = 4000 * np.exp(-0.5 * np.minimum(distance * distance, 40)) + 60
    return np.asarray(np.floor(body * round_strike * (0.2 + hash_unit(columns.con_ids[rows], 11))))


def _sizes(columns: OptionColumns, rows: NDArray[np.int64], now: Valued, at: float) -> tuple[Floats, Floats]:
    minute = int(at // 60)
    scale = np.where(columns.index_ticks[rows], 60.0, 180.0)
    ids = columns.con_ids[rows]
    return (
        np.floor(5 + scale * hash_unit(ids, minute % 9973)),
        np.floor(5 + scale * hash_unit(ids, minute % 9973 + 17)),
    )


def model_greeks(columns: OptionColumns, rows: NDArray[np.int64], factors: Factors) -> list[ModelGreeks | None]:
    """Greeks of rows now; None where the model knows no volatility."""
    from models.quant.pricing import bsm

    now = columns.value(rows, factors)
    g = bsm(now.spot, columns.strike[rows], now.t, now.iv, now.rate, now.dividend, columns.is_call[rows])
    dividend = now.spot * -np.expm1(-now.dividend * now.t)
    known = np.isfinite(now.price) & np.isfinite(g.delta) & ~columns.unknown_iv[rows]
    return [
        ModelGreeks(
            float(now.iv[i]), float(now.price[i]), float(g.delta[i]), float(g.gamma[i]), float(g.vega[i]),
            float(g.theta[i]), float(dividend[i]), float(now.spot[i]),
        )
        if known[i]
        else None
        for i in range(len(rows))
    ]  # fmt: skip


def outright_quote(
    price: float, tick: float, half_ticks: int, size: float, day: Sequence[float | None], at: datetime, halted: bool,
    volume: float | None,
) -> VenueQuote:  # fmt: skip
    """A share's or a future's quote around its price; `day` is (open, high, low, previous close)."""
    step = tick * half_ticks
    bid = round(float(np.floor(price / tick + 1e-9)) * tick - (step - tick), 4)
    ask = round(bid + (2 * half_ticks - 1) * tick, 4)
    last = round(round(price / tick) * tick, 4)
    return VenueQuote(bid, ask, size, size + 1, min(max(last, bid), ask), 1.0, volume, *day, at, halted)


def index_quote(price: float, day: Sequence[float | None], at: datetime, halted: bool) -> VenueQuote:
    """An index has a value and no market: bid and ask are unknown."""
    return VenueQuote(None, None, None, None, round(price, 2), None, None, *day, at, halted)
