"""What one contract adds to every limit and what trading it costs: the columns that tickets are summed from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.aftermath import closable, columns_of
from models.quant.candidate import Scene
from models.quant.margin_bound import BoundTable
from models.quant.option import SecType
from models.quant.scoring import fees, half_spreads
from models.quant.structure import QuoteSource

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Prices:
    """Per contract in currency (N,), but `measures` (N, WIDTH). `notional` is spot × multiplier of an option, `held`
    the quantity that may still be closed; buying and selling are half-spreads."""

    measures: Floats
    value: Floats
    theta: Floats
    buying: Floats
    selling: Floats
    fee: Floats
    notional: Floats
    held: Floats
    strike: Floats
    is_call: NDArray[np.bool_]
    is_share: NDArray[np.bool_]


def prices_of(scene: Scene) -> Prices:
    """The columns of the scene's contracts; what orders in flight already close is no longer held."""
    v = scene.vectors
    buying, selling = half_spreads(v, fitted_points(scene), scene.hedges)
    can_close = closable(scene.held, scene.in_flight)
    return Prices(
        measures=columns_of(scene),
        value=v.value,
        theta=v.theta,
        buying=buying,
        selling=selling,
        fee=fees(v, scene.hedges),
        notional=np.where(v.is_option, v.spot * v.multiplier, 0.0),
        held=np.array([can_close.get(c.identity, 0.0) for c in v.contracts]),
        strike=np.nan_to_num(v.strike, nan=0.0),
        is_call=v.is_call,
        is_share=np.array([c.sec_type is SecType.STOCK for c in v.contracts], dtype=bool),
    )


def fitted_points(scene: Scene) -> Floats:
    """Surface prices in points (N,): as given, else the modelled rows' own values; NaN elsewhere."""
    if scene.fitted is not None:
        return scene.fitted
    v = scene.vectors
    modelled = v.is_option & (v.source == QuoteSource.MODELLED.value)
    return np.where(modelled, v.value / v.multiplier, np.nan)


def fair_quotes(scene: Scene) -> NDArray[np.bool_]:
    """False (N,) where a real market is crossed, wider, or its middle further from the surface than the gates let pass;
    a contract without a market of its own is not judged here."""
    v = scene.vectors
    m, mid = v.multiplier, (v.bid + v.ask) / (2 * v.multiplier)
    rules, fitted = scene.gates, fitted_points(scene)
    wide = (v.ask - v.bid) / m > np.maximum(rules.spread_floor, rules.spread_fraction * np.abs(mid)) + 1e-9
    off = np.abs(mid - fitted) > np.maximum(rules.surface_floor, rules.surface_fraction * np.abs(fitted)) + 1e-9
    unfair: NDArray[np.bool_] = v.is_option & (wide | off | (v.ask < v.bid))
    return ~unfair


@dataclass(frozen=True)
class MarginTerms:
    """What a ticket may add to margin: `bounds` of each contract (None: nothing is known of margin), the capital it may
    take of available funds, and the margin left under its limit; infinite where unknown, for the exact gates to judge.
    """

    bounds: BoundTable | None = None
    capital: float = np.inf
    margin: float = np.inf


NO_MARGIN = MarginTerms()
"""Nothing is known of margin, and nothing limited by it."""


def terms_of_margin(scene: Scene) -> MarginTerms:
    """As the capital and margin gates will ask them."""
    if scene.bounds is None or scene.mock:
        return MarginTerms(scene.bounds)
    funds, used, limits = scene.available_funds, scene.exposure.margin_used, scene.limits
    capital = np.inf if funds is None else scene.gates.capital_share * max(funds, 0.0)
    left = np.inf if used is None or limits.nlv is None else max(limits.margin_max * limits.nlv - used, 0.0)
    return MarginTerms(scene.bounds, capital, left)
