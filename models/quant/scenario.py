"""What contracts and books do when the market moves: the stress grid, free scenario matrices and past days.

Spot moves are moves of SPX and reach an underlying through its beta; volatility moves are points of the 30-day
volatility and reach an expiry scaled by √(30 / max(DTE, 7)). Volatility is sticky at the strike. Everything is a full
repricing, American options by their exercise boundary, never a Taylor series.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.american import FAST, scheme
from models.quant.floors import LEAST_FACTOR
from models.quant.pricing import DAYS_PER_YEAR
from models.quant.terms import Holding, MarketView, Terms, terms_of

Floats = NDArray[np.float64]

STRESS_SPOTS = (-0.20, -0.15, -0.10, -0.07, -0.05, -0.03, -0.01, 0.0, 0.01, 0.03, 0.05, 0.07, 0.10)
STRESS_VOLS = (-3.0, 0.0, 5.0, 10.0, 15.0, 25.0, 40.0)
STRESS_CELLS: tuple[tuple[float, float], ...] = tuple((s, v) for s in STRESS_SPOTS for v in STRESS_VOLS)
NEAR_CELLS = np.array([s >= -0.10 and v <= 15.0 for s, v in STRESS_CELLS], dtype=bool)
"""Cells of the near limit: spot not below −10 %, 30-day vol not above +15 points."""
SHOCK_CELL = STRESS_CELLS.index((-0.10, 15.0))
"""The cell −10 % / +15 points, after which excess liquidity must not be negative."""

_LEAST_TIME = 1e-9  # years, a thirtieth of a second: rounding of dates, not time value
_LANES = 8  # cells that the processor reprices at once; a row is filled up to a multiple


def stress_vectors(terms: Terms) -> Floats:
    """Profit per one long contract in currency, shape (N, 91), cells in the order of STRESS_CELLS. NaN unknown."""
    return revalue(terms, [s for s, _ in STRESS_CELLS], [v for _, v in STRESS_CELLS])


def revalue(terms: Terms, spot_moves: ArrayLike, vol_points: ArrayLike, days: float = 0.0) -> Floats:
    """Profit per one long contract for joint moves of SPX (fraction) and 30-day vol (points), shape (N, len(moves)).

    `days` calendar days pass first. Profit is model against model, so a wide quote is no profit. Linear contracts earn
    beta × move × |price| × multiplier: a future below zero still falls when the market does.
    """
    cells = Cells(spot_moves, vol_points)
    left = time_left(terms, [days])
    out = np.empty((len(terms.contracts), cells.size))
    with np.errstate(all="ignore"):
        linear = np.flatnonzero(~terms.is_option)
        out[linear] = _linear(terms, linear, cells)
        european = np.flatnonzero(terms.is_option & ~terms.is_american)
        if european.size:
            prices = _european(terms, european, cells, left)
            out[european] = prices[:, 0, : cells.size] - terms.model[european, None]
        american = np.flatnonzero(terms.is_american)
        if american.size:
            out[american] = _american(terms, american, cells, left)[:, 0]
        out[:, cells.unknown] = np.nan
        return out * terms.multiplier[:, None]


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
    terms, quantity = book_terms(holdings, market)
    return matrix_pnl(terms, quantity, spots, vols, days)


def matrix_pnl(
    terms: Terms, quantity: ArrayLike, spots: Sequence[float], vols: Sequence[float], days: Sequence[float]
) -> Floats:
    """`scenario_pnl` of signed quantities (N,) of gathered terms."""
    cells = Cells([s for _ in vols for s in spots], [v for v in vols for _ in spots])
    weight = np.asarray(quantity, dtype=np.float64) * terms.multiplier
    left = time_left(terms, days)
    total = np.zeros((len(days), cells.padded))
    with np.errstate(all="ignore"):
        linear = np.flatnonzero(~terms.is_option)
        total[:, : cells.size] += weight[linear] @ _linear(terms, linear, cells)
        european = np.flatnonzero(terms.is_option & ~terms.is_american)
        if european.size:
            _european_sum(terms, european, cells, left, weight, total)
            total -= weight[european] @ terms.model[european]
        american = np.flatnonzero(terms.is_american)
        if american.size:
            profit = _american(terms, american, cells, left)
            total[:, : cells.size] += np.tensordot(weight[american], profit, 1)
    total[:, cells.unknown.nonzero()[0]] = np.nan
    return total[:, : cells.size].reshape(len(days), len(vols), len(spots)).transpose(2, 1, 0)


def history_pnl(terms: Terms, spx_vix_history: ArrayLike) -> Floats:
    """Profit per one long contract on each past day, shape (N, D): full repricing under that day's SPX and VIX moves.

    `spx_vix_history` has shape (D, 2): SPX simple return as a fraction, VIX change in points, close to close.
    """
    days = np.asarray(spx_vix_history, dtype=np.float64)
    if days.ndim != 2 or days.shape[1] != 2:
        raise ValueError(f"spx_vix_history has shape {days.shape}; it must be (days, 2): SPX return, VIX change")
    return revalue(terms, days[:, 0], days[:, 1])


class Cells:
    """Joint moves of SPX (fractions) and 30-day vol (points), repeated at the end up to whole lanes."""

    def __init__(self, moves: ArrayLike, points: ArrayLike) -> None:
        first, second = (np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (moves, points))
        self.size = max(first.size, second.size)
        self.padded = -(-self.size // _LANES) * _LANES
        self.unknown = ~np.isfinite(first + second)
        self.moves, self.points = (np.resize(x, self.padded) if x.size else x for x in (first, second))


def book_terms(holdings: Sequence[Holding], market: MarketView) -> tuple[Terms, Floats]:
    """The terms of what is held, and the quantities."""
    held = [h for h in holdings if h.quantity]
    return terms_of([h.contract for h in held], market), np.array([h.quantity for h in held], dtype=np.float64)


def time_left(terms: Terms, days: Sequence[float]) -> Floats:
    """Years to go (D, N) after `days` (D,) calendar days; 0 once settled, NaN unknown."""
    left = terms.t - np.asarray(days, dtype=np.float64)[:, None] / DAYS_PER_YEAR
    return np.where(left > _LEAST_TIME, left, np.where(np.isnan(left), np.nan, 0.0))


def _linear(terms: Terms, rows: NDArray[np.intp], cells: Cells) -> Floats:
    """Profit (rows, C) per share or point."""
    factor = np.maximum(1.0 + terms.beta[rows, None] * cells.moves[: cells.size], LEAST_FACTOR)
    return np.abs(terms.spot[rows, None]) * (factor - 1.0)


def _columns(terms: Terms, rows: NDArray[np.intp]) -> tuple[Floats, ...]:
    unit = terms.vol_unit
    return tuple(
        x[rows] for x in (terms.spot, terms.beta, terms.strike, terms.t, terms.carry, terms.discount, terms.vol, unit)
    )


def _european(terms: Terms, rows: NDArray[np.intp], cells: Cells, left: Floats) -> Floats:
    """Prices (rows, D, padded cells)."""
    from models.quant.kernels import reprice

    out = np.empty((rows.size, left.shape[0], cells.padded))
    ahead = np.ascontiguousarray(left[:, rows])
    reprice.european_each(*_columns(terms, rows), terms.is_call[rows], ahead, cells.moves, cells.points, out)
    return out


def _european_sum(
    terms: Terms, rows: NDArray[np.intp], cells: Cells, left: Floats, weight: Floats, total: Floats
) -> None:
    from models.quant.kernels import reprice

    ahead = np.ascontiguousarray(left[:, rows])
    reprice.european_sum(
        *_columns(terms, rows), terms.is_call[rows], ahead, weight[rows], cells.moves, cells.points, total
    )


def _american(terms: Terms, rows: NDArray[np.intp], cells: Cells, left: Floats) -> Floats:
    """Profit (rows, D, C) per share, against the price that the same boundary gives now."""
    from models.quant.kernels import reprice_american

    spot, beta, strike, years, _, _, vol, unit = _columns(terms, rows)
    inputs = (spot, beta, strike, years, terms.rate[rows], terms.dividend_yield[rows], vol, unit, terms.is_call[rows])
    now, nothing = np.empty((rows.size, 1, 1)), np.zeros(1)
    reprice_american.american_each(scheme(FAST), *inputs, years[None, :].copy(), nothing, nothing, now)
    out = np.empty((rows.size, left.shape[0], cells.size))
    moves, points = cells.moves[: cells.size], cells.points[: cells.size]
    order = np.lexsort((moves, points))  # cells of one volatility share a boundary
    ahead = np.ascontiguousarray(left[:, rows])
    reprice_american.american_each(scheme(FAST), *inputs, ahead, moves[order], points[order], out)
    profit = np.empty_like(out)
    profit[:, :, order] = out - now
    return profit
