"""A ticket at the market: its legs with prices and greeks, and the prices of one unit, both bounds on the tick."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.candidate import Scene, Unfit
from models.quant.outlay import fitted_points
from models.quant.product import Toward, product_of, round_to_tick
from models.quant.structure import Action, Leg, QuoteSource


def leg_of(scene: Scene, row: int, ratio: int) -> Leg:
    """Per-contract prices and greeks in the units of DOMAIN.md section 1, from the currency columns."""
    v = scene.vectors
    m, per = float(v.multiplier[row]), float(v.beta[row] * abs(v.spot[row]) * 0.01)
    bid, ask = _known(v.bid[row] / m), _known(v.ask[row] / m)
    mid = (bid + ask) / 2 if bid is not None and ask is not None else _known(v.value[row] / m)
    option = bool(v.is_option[row])
    return Leg(
        contract=v.contracts[row],
        action=Action.BUY if ratio > 0 else Action.SELL,
        ratio=abs(ratio),
        bid=bid,
        ask=ask,
        mid=mid,
        iv=_known(v.iv[row]) if option else None,
        delta=_known(v.spx_delta[row] / (m * per)),
        gamma=_known(v.gamma[row] / (m * per**2)),
        vega=_known(v.vega[row] / m),
        theta=_known(v.theta[row] / m),
        source=QuoteSource(str(v.source[row])),
    )


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


@dataclass(frozen=True)
class Terms:
    """Prices of one combo unit, debit positive, in points; premium credit positive, in currency for the whole trade."""

    fitted: tuple[float | None, ...]
    fitted_mid: float | None
    mid: float | None
    natural: float
    limit: float
    worst: float
    tick: float
    net_premium: float


def terms_of(
    scene: Scene, legs: Sequence[Leg], rows: NDArray[np.int64], ratios: NDArray[np.int64], quantity: int
) -> Terms:
    """The natural price crosses every leg's market; modelled legs cross a modelled one. Both bounds are on the tick."""
    v = scene.vectors
    m = float(v.multiplier[rows[0]])
    if not np.allclose(v.multiplier[rows], m):
        raise Unfit("different multipliers", "the legs have different multipliers; they cannot be one ticket")
    fitted = fitted_points(scene)[rows]
    guess = np.maximum(scene.hedges.modelled_half_spread * np.abs(v.value), scene.hedges.modelled_half_spread_floor * m)
    guess = np.where(v.is_option, guess, 0.0)[rows] / m
    value, bid, ask = v.value[rows] / m, v.bid[rows] / m, v.ask[rows] / m
    side = np.where(
        ratios > 0, np.where(np.isfinite(ask), ask, value + guess), np.where(np.isfinite(bid), bid, value - guess)
    )
    natural = float(ratios @ side)
    mid = float(ratios @ value)
    product = product_of(legs[0].contract)
    tick = product.combo_tick if len(rows) > 1 else product.tick(natural)
    limit = round_to_tick(natural, tick, Toward.UP)
    return Terms(
        tuple(_known(float(x)) for x in fitted),
        _known(float(ratios @ fitted)),
        mid,
        natural,
        limit,
        round_to_tick(limit + scene.hedges.worst_ticks * tick, tick),
        tick,
        -mid * m * quantity,
    )
