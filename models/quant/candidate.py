"""What one pass looks at, and one weighed hedge: frozen values that the card, the store and the bridge can read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.quant.gates import Verdict
from models.quant.limits import Limits
from models.quant.margin_bound import BoundTable
from models.quant.overrides import NO_OVERRIDES, Overrides
from models.quant.portfolio import ContractVectors, Exposure, Holding
from models.quant.regime_rules import Family, GateRules, HedgeRules
from models.quant.scoring import Cost
from models.quant.structure import Leg

MEASURES = ("spx_delta", "vega", "vega_weighted", "gamma", "theta", "margin", "stress_near", "stress_worst")


@dataclass(frozen=True)
class MarginEffect:
    """What a whole trade does to margin, in currency, after minus before; None unknown. `source`: broker or estimate.

    `equity` is the change of equity with loan; an estimate that leaves it out is taken to lose the premium paid. The
    broker's figures carry when they were given (machine time) and what had been estimated before.
    """

    initial: float | None
    maintenance: float | None
    equity: float | None = None
    source: str = "estimate"
    at: datetime | None = None
    estimate: "MarginEffect | None" = None

    def figures(self) -> dict[str, Any]:
        """Both figures as the card shows them beside each other: source → numbers; a figure not known is absent."""
        mine = {
            "initial": self.initial,
            "maintenance": self.maintenance,
            "equity": self.equity,
            "at": self.at.isoformat() if self.at else None,
        }
        return {**(self.estimate.figures() if self.estimate else {}), self.source: mine}


MarginOf = Callable[[Sequence[Holding]], MarginEffect | None]
"""The margin effect of adding holdings to the book; must be pure. None: unknown."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything one pass may look at.

    `vectors` hold the chain, the futures and shares of the benchmarks, and every held and in-flight contract, once.
    `held` and `in_flight` are signed quantities by identity; `exposure` is the book's, from the same market.
    `fitted` (N,) are surface prices in points, NaN unknown; without it modelled rows stand for themselves.
    `overrides` only tighten: they cut a solved size or refuse its ticket.
    `bounds` are the contracts of `vectors`, in their order, as the margin bound sees them; None leaves margin to the
    exact valuation. `smallest_lot` is `breach.smallest_hedge_lot`. `mock`: the exposure is an aggregate vector without
    a stress grid.
    """

    vectors: ContractVectors
    exposure: Exposure
    limits: Limits
    hedges: HedgeRules
    gates: GateRules
    spx: float | None
    held: Mapping[str, float] = field(default_factory=dict)
    in_flight: tuple[Mapping[str, float], ...] = ()
    smallest_lot: float = 0.0
    available_funds: float | None = None
    margin_of: MarginOf | None = None
    bounds: BoundTable | None = None
    fitted: NDArray[np.float64] | None = None
    overrides: Overrides = NO_OVERRIDES
    mock: bool = False


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One weighed hedge. Prices debit positive per combo unit in points; `net_premium` credit positive in currency.

    `limit_price` crosses the market (the natural price), `worst_price` is as far as a signature goes; the order is a
    BUY of the combo whose legs carry their own sides. `before`, `change` and `after` hold MEASURES in currency, None
    unknown; `outcome` is the whole exposure after the trade, before any margin effect. `cure` sums the excess removed
    in units of each limit; `full`: every breached cap is cured. `vector` is (delta, gamma, vega, worst-cell profit) in
    units of their limits: what makes two hedges alike. `asked` is the size before overrides cut it, None: it is whole.
    """

    family: Family
    strategy_name: str
    legs: tuple[Leg, ...]
    quantity: int
    closes: bool
    full: bool
    cure: float
    cured: tuple[str, ...]
    remaining: tuple[str, ...]
    cost: Cost
    before: Mapping[str, float | None]
    change: Mapping[str, float | None]
    after: Mapping[str, float | None]
    outcome: Exposure
    worst_cell: tuple[float, float] | None
    fitted: tuple[float | None, ...]
    fitted_mid: float | None
    mid: float | None
    natural: float
    limit_price: float
    worst_price: float
    tick: float
    net_premium: float
    margin: MarginEffect | None
    capital_impact: float | None
    efficiency_score: float | None
    delta_reduction: float
    vega_reduction: float
    vector: tuple[float, ...]
    checks: tuple[Verdict, ...]
    words: str
    rank: int = 0
    asked: int | None = None

    @property
    def debit(self) -> float:
        """Premium paid in currency, 0 for a credit: an asset, shown apart from the cost."""
        return max(-self.net_premium, 0.0)

    @property
    def commission(self) -> float:
        return self.cost.fees

    def scores(self) -> dict[str, Any]:
        """What `proposed_trades.scores` keeps for the card."""
        return {
            "rank": self.rank,
            "asked": self.quantity if self.asked is None else self.asked,
            "cost": {**asdict(self.cost), "total": self.cost.total},
            "cure": self.cure,
            "full": self.full,
            "cured": list(self.cured),
            "remaining": list(self.remaining),
            "before": dict(self.before),
            "change": dict(self.change),
            "after": dict(self.after),
            "checks": [{"name": v.gate, "outcome": v.outcome.value, "reason": v.reason} for v in self.checks],
            "worst_cell": list(self.worst_cell) if self.worst_cell else None,
            "commission": self.commission,
            "debit": self.debit,
            "margins": self.margin.figures() if self.margin else {},
            "fitted_mid": self.fitted_mid,
            "mid": self.mid,
            "natural": self.natural,
            "tick": self.tick,
        }


class Unfit(ValueError):
    """A ticket that does not stand up to exact valuation; `reason` is what is counted, the message has the numbers."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason
