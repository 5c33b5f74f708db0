"""A book's greeks in every cell of a scenario matrix: what it would have to hedge once the market has moved there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.american import FAST, scheme
from models.quant.floors import LEAST_FACTOR, LEAST_VOL
from models.quant.pricing import DAYS_PER_YEAR, bsm
from models.quant.scenario import Cells, book_terms, matrix_pnl, time_left
from models.quant.terms import Holding, MarketView, Terms

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
_BLOCK = 65_536  # cells priced at once: ten greeks of them fill a few megabytes


@dataclass(frozen=True)
class ScenarioMatrix:
    """Arrays (spots, vols, days) in currency, as `portfolio.Exposure` counts them; NaN is unknown.

    pnl · spx_delta per +1 % SPX from there · gamma of it per further +1 % · vega and vega_weighted per vol point ·
    theta per calendar day, carry-free.
    """

    pnl: Floats
    spx_delta: Floats
    gamma: Floats
    vega: Floats
    vega_weighted: Floats
    theta: Floats


def scenario_matrix(
    holdings: Sequence[Holding],
    market: MarketView,
    spots: Sequence[float],
    vols: Sequence[float],
    days: Sequence[float] = (0.0,),
) -> ScenarioMatrix:
    """`scenario.scenario_pnl` with the greeks of every cell. Weighted vega keeps today's weight of each expiry."""
    terms, quantity = book_terms(holdings, market)
    return matrix_of(terms, quantity, spots, vols, days)


def matrix_of(
    terms: Terms, quantity: ArrayLike, spots: Sequence[float], vols: Sequence[float], days: Sequence[float]
) -> ScenarioMatrix:
    """`scenario_matrix` of signed quantities (N,) of gathered terms."""
    held = np.asarray(quantity, dtype=np.float64)
    cells = Cells([s for _ in vols for s in spots], [v for v in vols for _ in spots])
    moves = cells.moves[: cells.size]
    total = np.zeros((5, len(days), cells.size))
    with np.errstate(all="ignore"):
        factor = np.maximum(1.0 + terms.beta[:, None] * moves, LEAST_FACTOR)
        for rows, greeks in _greeks(terms, cells, time_left(terms, days), factor):
            _add(total, terms, rows, held[rows] * terms.multiplier[rows], greeks, factor[rows])
    total[:, :, cells.unknown[: cells.size]] = np.nan
    shape = (5, len(days), len(vols), len(spots))
    return ScenarioMatrix(
        matrix_pnl(terms, held, spots, vols, days), *total.reshape(shape).transpose(0, 3, 2, 1)
    )  # fmt: skip


def _add(total: Floats, terms: Terms, rows: Rows, weight: Floats, greeks: Floats, factor: Floats) -> None:
    """Add `greeks` (4, rows, D, C) per share, theta per year, to the book's five in currency."""
    per_percent = terms.per_percent[rows, None] * factor
    delta, gamma, vega, theta = greeks
    total[0] += np.einsum("n,ndc,nc->dc", weight, delta, per_percent)
    total[1] += np.einsum("n,ndc,nc->dc", weight, gamma, per_percent**2)
    total[2] += np.einsum("n,ndc->dc", weight, vega)
    total[3] += np.einsum("n,ndc->dc", weight * np.where(terms.is_option[rows], terms.vega_weight[rows], 1.0), vega)
    total[4] += np.einsum("n,ndc->dc", weight, theta) / DAYS_PER_YEAR


def _greeks(terms: Terms, cells: Cells, left: Floats, factor: Floats) -> list[tuple[Rows, Floats]]:
    """(rows, greeks (4, rows, D, C)) of linear, European and American contracts."""
    found = []
    linear = np.flatnonzero(~terms.is_option)
    if linear.size:
        flat = np.zeros((4, linear.size, len(left), cells.size))
        flat[0] = 1.0
        flat[:, ~np.isfinite(terms.spot[linear])] = np.nan
        found.append((linear, flat))
    european = np.flatnonzero(terms.is_option & ~terms.is_american)
    step = max(1, _BLOCK // (len(left) * cells.size))
    for i in range(0, european.size, step):
        rows = european[i : i + step]
        found.append((rows, _european(terms, rows, cells, left, factor)))
    american = np.flatnonzero(terms.is_american)
    if american.size:
        found.append((american, _american(terms, american, cells, left)))
    return found


def _european(terms: Terms, rows: Rows, cells: Cells, left: Floats, factor: Floats) -> Floats:
    vol = terms.vol[rows, None]
    moved = np.maximum(vol + cells.points[: cells.size] * terms.vol_unit[rows, None], np.minimum(vol, LEAST_VOL))
    spot = (terms.spot[rows, None] * factor[rows])[:, None, :]
    strike, rate, yields, call = (
        x[rows, None, None] for x in (terms.strike, terms.rate, terms.dividend_yield, terms.is_call)
    )
    g = bsm(spot, strike, left[:, rows].T[:, :, None], moved[:, None, :], rate, yields, call)
    return np.stack([g.delta, g.gamma, g.vega, g.theta * DAYS_PER_YEAR])


def _american(terms: Terms, rows: Rows, cells: Cells, left: Floats) -> Floats:
    from models.quant.kernels import reprice_greeks

    moves, points = cells.moves[: cells.size], cells.points[: cells.size]
    order = np.lexsort((moves, points))  # cells of one volatility share a boundary
    out = np.empty((4, rows.size, len(left), cells.size))
    inputs = (terms.spot, terms.beta, terms.strike, terms.t, terms.rate, terms.dividend_yield, terms.vol,
              terms.vol_unit, terms.is_call)  # fmt: skip
    reprice_greeks.american_greeks(
        scheme(FAST), *(x[rows] for x in inputs), np.ascontiguousarray(left[:, rows]), moves[order], points[order], out
    )
    found = np.empty_like(out)
    found[:, :, :, order] = out
    return found
