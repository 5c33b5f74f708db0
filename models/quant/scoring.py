"""What a hedge costs, what it cures, and which of two is better.

Cost and cure are in the limits' terms; the efficiency score is stored and shown and used for the alert rule, never for
rank, because a hedge without margin scores thousands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.option import SecType
from models.quant.portfolio import ContractVectors
from models.quant.regime_rules import HedgeRules
from models.quant.tickets import Tickets

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cost:
    """What a hedge costs, in currency for the whole trade, each part ≥ 0. A debit paid is an asset and not in here."""

    half_spread: float
    fees: float
    theta: float
    margin: float | None

    @property
    def total(self) -> float:
        """The sum; a margin part that is unknown is left out here and said beside it."""
        return self.half_spread + self.fees + self.theta + (self.margin or 0.0)


def efficiency_score(
    vega_reduction: float,
    delta_reduction: float,
    init_margin_impact: float | None,
    legs: int,
    fee_per_leg: float = 0.65,
) -> float | None:
    """(|vega_reduction| + 10 × |delta_reduction|) / (max(init_margin_impact, 1) + legs × fee_per_leg); None when the
    margin is unknown. Vega in currency per vol point, delta in SPX-share equivalents (DOMAIN.md section 4).
    """
    if init_margin_impact is None:
        return None
    return (abs(vega_reduction) + 10 * abs(delta_reduction)) / (max(init_margin_impact, 1.0) + legs * fee_per_leg)


def vega_reduction(before: float, after: float, floor: float) -> float:
    """How much of the vega below its floor went away; counted only toward the limit, so never past it."""
    return max(min(after, floor) - min(before, floor), 0.0)


def delta_reduction(before: float, after: float, cap: float, spx: float) -> float:
    """How much of abs(spx_delta) above its cap went away, in SPX-share equivalents; counted only toward the limit."""
    return max(max(abs(before), cap) - max(abs(after), cap), 0.0) / (0.01 * spx)


def half_spreads(vectors: ContractVectors, fitted: Floats, rules: HedgeRules) -> tuple[Floats, Floats]:
    """(buying, selling) cost of one contract against its fitted value, currency (N,), never below zero.

    Where no two-sided quote is known a modelled half-spread stands in; re-quoting replaces it before anything is shown.
    """
    floor = rules.modelled_half_spread_floor * vectors.multiplier
    guess = np.where(vectors.is_option, np.maximum(rules.modelled_half_spread * np.abs(vectors.value), floor), 0.0)
    quoted = np.isfinite(vectors.bid) & np.isfinite(vectors.ask)
    mid = np.where(np.isfinite(fitted), fitted * vectors.multiplier, vectors.value)
    buying = np.where(quoted, np.maximum(vectors.ask - mid, 0.0), guess)
    selling = np.where(quoted, np.maximum(mid - vectors.bid, 0.0), guess)
    return buying, selling


def fees(vectors: ContractVectors, rules: HedgeRules) -> Floats:
    """Commission per contract or share in currency (N,)."""
    kinds = [c.sec_type for c in vectors.contracts]
    by_kind = {SecType.FUTURE: rules.fee_future, SecType.STOCK: rules.fee_share}
    return np.array([by_kind.get(kind, rules.fee_option) for kind in kinds], dtype=np.float64)


def trading_cost(tickets: Tickets, buying: Floats, selling: Floats, fee: Floats) -> Floats:
    """Half-spreads plus fees of one unit of each ticket, currency (C,)."""
    total = np.zeros(len(tickets))
    for column in range(tickets.legs.shape[1]):
        rows, ratio = tickets.legs[:, column], tickets.ratios[:, column]
        used = rows >= 0
        side = np.where(ratio > 0, buying[rows], selling[rows])
        total += np.where(used, np.abs(ratio) * (side + fee[rows]), 0.0)
    return total


def theta_given_up(theta: Floats, rules: HedgeRules) -> Floats:
    """Currency given up over the cost horizon by `theta` per day; theta gained is no negative cost."""
    return rules.cost_days * np.maximum(-theta, 0.0)


def margin_cost(maintenance_change: float | None, rules: HedgeRules) -> float | None:
    """Interest on a margin rise over the cost horizon; None when the rise is unknown."""
    if maintenance_change is None:
        return None
    return rules.cost_days / 365 * max(maintenance_change, 0.0) * rules.margin_rate


def order_by_merit(full: NDArray[np.bool_], cost: Floats, cure: Floats, worst: Floats) -> NDArray[np.int64]:
    """Best first (C,): full cures, then cost per unit of cure, ties by the better worst stress cell."""
    with np.errstate(divide="ignore", invalid="ignore"):
        price = np.where(cure > 0, cost / cure, np.inf)
    return np.lexsort((-worst, np.round(price, 6), ~full))


def too_alike(one: Sequence[float], other: Sequence[float], cosine: float) -> bool:
    """True when two vectors point the same way: cosine at or above `cosine`."""
    a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return size == 0 or float(a @ b) / size >= cosine
