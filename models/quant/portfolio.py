"""The book in the desk's numbers (DOMAIN.md section 1): greeks per position and the exposure that the limits judge.

Unknown is not zero: one held contract without a price or volatility makes every sum it belongs to unknown, by name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.margin import short_risk
from models.quant.option import Contract, SecType
from models.quant.product import dte
from models.quant.scenario import NEAR_CELLS, STRESS_CELLS
from models.quant.tail import expected_shortfall, value_at_risk, whole_days
from models.quant.terms import Holding, Mark, MarketView
from models.quant.vectors import SPX_GROUP, ContractVectors, group_of, vectorise

__all__ = [
    "SPX_GROUP", "ContractVectors", "Exposure", "Holding", "Mark", "MarketView", "PositionGreeks", "by_expiry",
    "by_underlying", "expose", "exposure_from", "group_of", "position_greeks", "vectorise",
]  # fmt: skip

Floats = NDArray[np.float64]
VAR_LEVEL = 0.95
SHORTFALL_LEVEL = 0.975
FEWEST_DAYS = 100
BUCKETS = ("0–7", "8–30", "31–60", "61+")
_CONTRACTS = frozenset({SecType.OPTION, SecType.FUTURE_OPTION, SecType.FUTURE})


@dataclass(frozen=True)
class PositionGreeks:
    """One position in currency (contract number × quantity); None is unknown and `missing` says why.

    `mark` and `spot` per share as quoted, `iv` a fraction, `source` of the mark (structure.QuoteSource's value).
    """

    contract: Contract
    quantity: float
    mark: float | None
    iv: float | None
    spot: float | None
    beta: float
    beta_source: str
    spx_delta: float | None
    gamma: float | None
    vega: float | None
    vega_weighted: float | None
    theta: float | None
    market_value: float | None
    source: str
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Exposure:
    """Everything a limit looks at, in currency; None is unknown and `missing` names what is unknown and why.

    spx_delta per +1 % SPX · gamma of it per further +1 % · vega, vega_weighted per vol point · theta per day ·
    margin_used: maintenance margin · stress_near, stress_worst: the worst loss, positive (0: no cell loses) ·
    worst_cell: (spot move, vol points) of the worst · var_95 and shortfall_975: one day, positive losses ·
    vega_shares: |weighted vega| per underlying group over the sum (group SPX is its whole family) ·
    short_notional: spot × multiplier of short options without a covering long · defined_loss: the largest maximum
    loss of one defined-risk position · contracts: options and futures, long and short, each counted.
    """

    nlv: float | None
    spx_delta: float | None
    gamma: float | None
    vega: float | None
    vega_weighted: float | None
    theta: float | None
    margin_used: float | None
    stress_near: float | None
    stress_worst: float | None
    worst_cell: tuple[float, float] | None
    var_95: float | None
    vega_shares: dict[str, float]
    short_notional: float | None
    defined_loss: float | None
    missing: tuple[str, ...] = ()
    shortfall_975: float | None = None
    market_value: float | None = None
    contracts: float | None = None
    stress: tuple[float, ...] | None = field(default=None, repr=False)
    """Profit in every cell of scenario.STRESS_CELLS."""


def position_greeks(holdings: Sequence[Holding], market: MarketView) -> tuple[PositionGreeks, ...]:
    """Each holding in currency, in the order given."""
    if not holdings:
        return ()
    vectors = vectorise([h.contract for h in holdings], market)
    return tuple(_position(h, vectors, i) for i, h in enumerate(holdings))


def _position(h: Holding, v: ContractVectors, i: int) -> PositionGreeks:
    def scaled(column: Floats) -> float | None:
        return _or_none(float(column[i]) * h.quantity)

    return PositionGreeks(
        contract=h.contract,
        quantity=h.quantity,
        mark=_or_none(float(v.value[i] / v.multiplier[i])),
        iv=_or_none(float(v.iv[i])),
        spot=_or_none(float(v.spot[i])),
        beta=float(v.beta[i]),
        beta_source=v.beta_source[i],
        spx_delta=scaled(v.spx_delta),
        gamma=scaled(v.gamma),
        vega=scaled(v.vega),
        vega_weighted=scaled(v.vega_weighted),
        theta=scaled(v.theta),
        market_value=scaled(v.value),
        source=str(v.source[i]),
        missing=tuple(_missing_of(v, i)),
    )


def expose(
    holdings: Sequence[Holding],
    market: MarketView,
    nlv: float | None,
    maintenance_margin: float | None,
    spx_vix_history: ArrayLike | None = None,
) -> Exposure:
    """The whole book's exposure; `spx_vix_history` (days × 2: SPX return, VIX change in points) None → VaR unknown."""
    held = [h for h in holdings if h.quantity]
    vectors = vectorise([h.contract for h in held], market, spx_vix_history=spx_vix_history)
    return exposure_from(vectors, [h.quantity for h in held], nlv, maintenance_margin)


def exposure_from(
    vectors: ContractVectors, quantities: ArrayLike, nlv: float | None, maintenance_margin: float | None
) -> Exposure:
    """The exposure of signed `quantities` (N) of the contracts of `vectors`; rows with quantity 0 may be unknown."""
    q = np.asarray(quantities, dtype=np.float64)
    held = np.flatnonzero(q)
    v, q = (vectors if held.size == len(vectors) else vectors.take(held)), q[held]
    missing = [reason for i in range(len(v)) for reason in _missing_of(v, i)]
    stress = q @ v.stress if held.size else np.zeros(len(STRESS_CELLS))
    stress_known = bool(np.isfinite(stress).all())
    near, worst, cell = _worst(stress) if stress_known else (None, None, None)
    var, shortfall = _tail(q, v.history)
    risk = short_risk([Holding(c, float(n)) for c, n in zip(v.contracts, q, strict=True)], v.spot, v.value)
    if nlv is None:
        missing.append("net liquidation value unknown")
    if maintenance_margin is None:
        missing.append("maintenance margin unknown")
    if var is None:
        missing.append("value at risk unknown: no history of SPX and VIX days")
    return Exposure(
        nlv=nlv,
        spx_delta=_sum(q, v.spx_delta),
        gamma=_sum(q, v.gamma),
        vega=_sum(q, v.vega),
        vega_weighted=_sum(q, v.vega_weighted),
        theta=_sum(q, v.theta),
        margin_used=maintenance_margin,
        stress_near=near,
        stress_worst=worst,
        worst_cell=cell,
        var_95=var,
        vega_shares=_shares(q, v),
        short_notional=risk.naked_notional,
        defined_loss=risk.defined_loss,
        missing=tuple(missing),
        shortfall_975=shortfall,
        market_value=_sum(q, v.value),
        contracts=math.fsum(abs(n) for c, n in zip(v.contracts, q, strict=True) if c.sec_type in _CONTRACTS),
        stress=tuple(float(x) for x in stress) if stress_known else None,
    )


def by_expiry(positions: Sequence[PositionGreeks], now: datetime) -> dict[str, dict[str, float | None]]:
    """Vega, weighted vega, gamma and theta per bucket of BUCKETS (days to expiry); None when a member is unknown.

    Contracts without an option's expiry (shares, futures) have none of these and belong to no bucket.
    """
    named = [(_bucket(dte(p.contract.expiry, now)), p) for p in positions if p.contract.is_option and p.contract.expiry]
    return {bucket: _totals([p for b, p in named if b == bucket]) for bucket in BUCKETS}


def by_underlying(positions: Sequence[PositionGreeks]) -> dict[str, dict[str, float | None]]:
    """Delta, vega, weighted vega, gamma and theta per underlying symbol, in order of the symbols."""
    symbols = sorted({p.contract.symbol for p in positions})
    return {s: _totals([p for p in positions if p.contract.symbol == s]) for s in symbols}


def vol_adjusted_delta(spx_delta: float | None, vega_weighted: float | None, coefficient: float = 1.4) -> float | None:
    """spx_delta − coefficient × weighted vega: what +1 % means when volatility falls as SPX rises."""
    return None if spx_delta is None or vega_weighted is None else spx_delta - coefficient * vega_weighted


def _bucket(days: int) -> str:
    return BUCKETS[int(np.searchsorted([7, 30, 60], days))]


_SUMMED = ("spx_delta", "gamma", "vega", "vega_weighted", "theta", "market_value")


def _totals(positions: Sequence[PositionGreeks]) -> dict[str, float | None]:
    out: dict[str, float | None] = {}
    for name in _SUMMED:
        values = [getattr(p, name) for p in positions]
        out[name] = None if any(x is None for x in values) else math.fsum(values)
    return out


def _missing_of(v: ContractVectors, i: int) -> list[str]:
    c = v.contracts[i]
    if not math.isfinite(v.spot[i]):
        return [f"{c}: price of {c.symbol} unknown"]
    if not c.is_option:
        return []
    if v.spot[i] <= 0:
        return [f"{c}: its underlying is at or below zero, where Black's formula has no price"]
    if not math.isfinite(v.iv[i]):
        return [f"{c}: no volatility, neither from a quote nor from the surface"]
    if not math.isfinite(v.value[i]):
        return [f"{c}: no price"]
    return []


def _worst(stress: Floats) -> tuple[float, float, tuple[float, float]]:
    i = int(np.argmin(stress))
    return max(-float(stress[NEAR_CELLS].min()), 0.0), max(-float(stress[i]), 0.0), STRESS_CELLS[i]


def _tail(q: Floats, history: Floats | None) -> tuple[float | None, float | None]:
    """(VaR 95 %, expected shortfall 97.5 %) as positive losses over the days; None without enough known days."""
    if history is None or history.shape[1] < FEWEST_DAYS:
        return None, None
    profit = q @ history
    var = value_at_risk(profit, VAR_LEVEL)
    shortfall = expected_shortfall(profit, whole_days(SHORTFALL_LEVEL, profit.size))
    return (max(var, 0.0), max(shortfall, 0.0)) if math.isfinite(var) else (None, None)


def _shares(q: Floats, v: ContractVectors) -> dict[str, float]:
    """|Σ weighted vega| per group over the sum of these; empty when any is unknown or there is no vega."""
    vega = q * v.vega_weighted
    if not np.isfinite(vega).all():
        return {}
    sums: Mapping[str, float] = {str(g): abs(float(vega[v.group == g].sum())) for g in np.unique(v.group)}
    total = sum(sums.values())
    return {g: x / total for g, x in sums.items() if x > 0} if total > 0 else {}


def _sum(q: Floats, column: Floats) -> float | None:
    return _or_none(float(q @ column)) if q.size else 0.0


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
