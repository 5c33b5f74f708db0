"""What the book does when the market moves: the stress grid, free scenario matrices, histories and payoff curves.

Spot moves are moves of SPX and reach an underlying through its beta; volatility moves are points of the 30-day
volatility and reach an expiry scaled by √(30 / max(DTE, 7)). Volatility is sticky at the strike. Everything is a full
repricing, never a Taylor series.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.pricing import DAYS_PER_YEAR
from models.quant.product import expiry_instant
from models.quant.structure import Leg
from models.quant.terms import Holding, MarketView, Terms, terms_of

Floats = NDArray[np.float64]

STRESS_SPOTS = (-0.20, -0.15, -0.10, -0.07, -0.05, -0.03, -0.01, 0.0, 0.01, 0.03, 0.05, 0.07, 0.10)
STRESS_VOLS = (-3.0, 0.0, 5.0, 10.0, 15.0, 25.0, 40.0)
STRESS_CELLS: tuple[tuple[float, float], ...] = tuple((s, v) for s in STRESS_SPOTS for v in STRESS_VOLS)
NEAR_CELLS = np.array([s >= -0.10 and v <= 15.0 for s, v in STRESS_CELLS], dtype=bool)
"""Cells of the near limit: spot not below −10 %, 30-day vol not above +15 points."""

_LOWEST_VOL = 0.01
_LOWEST_SPOT = 0.01  # a high beta times a crash leaves one per cent of the price, not a negative one
_LEAST_TIME = 1e-9  # years, a thirtieth of a second: rounding of dates, not time value
_BLOCK_CELLS = 16384


def stress_vectors(terms: Terms) -> Floats:
    """Profit per one long contract in currency, shape (N, 91), cells in the order of STRESS_CELLS. NaN unknown."""
    return revalue(terms, [s for s, _ in STRESS_CELLS], [v for _, v in STRESS_CELLS])


def revalue(terms: Terms, spot_moves: ArrayLike, vol_points: ArrayLike, days: float = 0.0) -> Floats:
    """Profit per one long contract for joint moves of SPX (fraction) and 30-day vol (points), shape (N, len(moves)).

    `days` calendar days pass first. Profit is model against model, so a wide quote is no profit. Linear contracts earn
    beta × move × price × multiplier.
    """
    moves, points = np.atleast_1d(np.asarray(spot_moves, float)), np.atleast_1d(np.asarray(vol_points, float))
    n, cells = len(terms.contracts), moves.size
    out = np.empty((n, cells))
    step = max(1, _BLOCK_CELLS // cells)
    with np.errstate(all="ignore"):
        for i in range(0, n, step):
            rows = slice(i, i + step)
            out[rows] = _revalue_block(terms, rows, moves, points, days)
    return out


def _revalue_block(terms: Terms, rows: slice, moves: Floats, points: Floats, days: float) -> Floats:
    from scipy.special import ndtr

    multiplier, spot = terms.multiplier[rows, None], terms.spot[rows, None]
    factor = np.maximum(1.0 + terms.beta[rows, None] * moves, _LOWEST_SPOT)
    linear = spot * (factor - 1.0)
    strike, t, vol = terms.strike[rows, None], terms.t[rows, None], terms.vol[rows, None]
    left = t - days / DAYS_PER_YEAR
    left = np.where(left > _LEAST_TIME, left, np.where(np.isnan(left), np.nan, 0.0))
    share = np.where(t > 0, left / np.where(t > 0, t, 1.0), 0.0)
    forward = spot * factor * terms.carry[rows, None] ** share
    discount = terms.discount[rows, None] ** share
    shifted = np.maximum(vol + points * terms.vol_unit[rows, None], np.minimum(vol, _LOWEST_VOL))
    deviation = shifted * np.sqrt(left)
    # without time left a vanishing deviation gives the intrinsic value through the same formula
    deviation = np.maximum(deviation, 1e-12)
    d1 = np.log(forward / strike) / deviation + 0.5 * deviation
    sign = np.where(terms.is_call[rows, None], 1.0, -1.0)
    price = discount * sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - deviation)))
    option = price - terms.model[rows, None]
    return multiplier * np.where(terms.is_option[rows, None], option, linear)


def scenario_pnl(
    holdings: Sequence[Holding],
    market: MarketView,
    spots: Sequence[float],
    vols: Sequence[float],
    days: Sequence[float] = (0.0,),
) -> Floats:
    """Profit of the book in currency, shape (spots, vols, days): SPX moves (fractions), 30-day vol points, days on.

    NaN everywhere when a held contract cannot be priced. Expired contracts settle at their intrinsic value.
    """
    terms, quantity = _book(holdings, market)
    moves = [(s, v) for s in spots for v in vols]
    columns = [
        quantity @ revalue(terms, [s for s, _ in moves], [v for _, v in moves], day) if quantity.size else
        np.zeros(len(moves))
        for day in days
    ]  # fmt: skip
    return np.stack(columns, axis=-1).reshape(len(spots), len(vols), len(days))


def history_pnl(terms: Terms, spx_vix_history: ArrayLike) -> Floats:
    """Profit per one long contract on each past day, shape (N, D): full repricing under that day's SPX and VIX moves.

    `spx_vix_history` has shape (D, 2): SPX simple return as a fraction, VIX change in points, close to close.
    """
    days = np.asarray(spx_vix_history, dtype=np.float64)
    if days.ndim != 2 or days.shape[1] != 2:
        raise ValueError(f"spx_vix_history has shape {days.shape}; it must be (days, 2): SPX return, VIX change")
    return revalue(terms, days[:, 0], days[:, 1])


@dataclass(frozen=True)
class Payoff:
    """One structure's profit against its underlying's price, both in arrays of the same length; currency."""

    spots: Floats
    now: Floats
    expiry: Floats


def payoff(trade: Sequence[Holding] | Sequence[Leg], market: MarketView, spots: ArrayLike) -> Payoff:
    """`payoff_now` and `payoff_expiry` in one."""
    grid = np.asarray(spots, dtype=np.float64)
    return Payoff(grid, payoff_now(trade, market, grid), payoff_expiry(trade, market, grid))


def payoff_now(trade: Sequence[Holding] | Sequence[Leg], market: MarketView, spots: ArrayLike) -> Floats:
    """Profit in currency from the present marks if the underlying stood at `spots` (absolute prices) this moment.

    One underlying: each contract's own spot moves by the same per cent. Legs count per one combo unit.
    """
    return _payoff(trade, market, spots, at_expiry=False)


def payoff_expiry(trade: Sequence[Holding] | Sequence[Leg], market: MarketView, spots: ArrayLike) -> Floats:
    """Profit in currency from the present marks with the underlying at `spots` when the first option expires.

    Later expiries keep the volatility of their strike and the time they then have left.
    """
    return _payoff(trade, market, spots, at_expiry=True)


def _payoff(trade: Sequence[Holding] | Sequence[Leg], market: MarketView, spots: ArrayLike, at_expiry: bool) -> Floats:
    holdings = [Holding(x.contract, x.signed_ratio) if isinstance(x, Leg) else x for x in trade]
    grid = np.asarray(spots, dtype=np.float64)
    if not holdings:
        return np.zeros(grid.shape)
    terms, quantity = _book(holdings, market)
    reference = terms.spot[int(np.argmax(terms.is_option))]
    days = 0.0
    if at_expiry:
        ends = [expiry_instant(c) for c in terms.contracts if c.is_option]
        days = max((min(ends) - market.now) / timedelta(days=1), 0.0) if ends else 0.0
    alone = Terms(**{**terms.__dict__, "beta": np.ones(len(holdings))})
    profit = revalue(alone, grid / reference - 1.0, np.zeros(grid.size), days)
    # from the marks, not from the model: what the book would show
    gap = np.where(terms.is_option, terms.multiplier * (terms.model - terms.price), 0.0)
    out: Floats = quantity @ (profit + gap[:, None])
    return out


def _book(holdings: Sequence[Holding], market: MarketView) -> tuple[Terms, Floats]:
    held = [h for h in holdings if h.quantity]
    return terms_of([h.contract for h in held], market), np.array([h.quantity for h in held], dtype=np.float64)
