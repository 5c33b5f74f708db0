"""The desk's appetite as frozen values: what makes a regime, what a profile tolerates, what a gate and a hedge allow.

Every number comes from `risk_regimes.toml` or a later version of it; `regime_file` reads it, `regime` applies it.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Regime(StrEnum):
    CRISIS = "crisis_mode"
    HIGH = "high_volatility"
    NEUTRAL = "neutral_volatility"
    LOW = "low_volatility"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        return {"crisis_mode": "crisis", "unknown": "unknown regime"}.get(self.value, self.value.replace("_", " "))


LOOSE_TO_TIGHT = (Regime.LOW, Regime.NEUTRAL, Regime.HIGH, Regime.CRISIS)


class Profile(StrEnum):
    DESK = "desk"
    CLASSIC = "classic"


class Family(StrEnum):
    """Kinds of ticket. The first four never need the regime's leave when they only reduce."""

    CLOSE = "close"
    ROLL = "roll"
    FUTURE = "future"
    SHARES = "shares"
    LONG_OPTION = "long_option"
    DEBIT_SPREAD = "debit_spread"
    CREDIT_SPREAD = "credit_spread"
    CALENDAR = "calendar"
    DIAGONAL = "diagonal"
    BACKSPREAD = "backspread"
    BUTTERFLY = "butterfly"
    IRON_CONDOR = "iron_condor"
    REVERSE_CONDOR = "reverse_condor"
    LONG_STRANGLE = "long_strangle"
    SHORT_STRANGLE = "short_strangle"
    JADE_LIZARD = "jade_lizard"
    COMBINATION = "combination"  # three or four legs without a name of their own
    CUSTOM = "custom"  # typed by the person: judged by what it does, never by its shape
    OPTIMAL = "optimal"  # found by the whole programme: it obeys the shapes that the regime allows


def _at_least(low: float, **more: Any) -> Any:
    return field(metadata={"low": low, **more})


def _at_most(high: float) -> Any:
    return field(metadata={"high": high})


def _maybe(low: float | None = None, high: float | None = None) -> Any:
    """An optional key of one sign: not limited in this profile when it is absent."""
    return field(default=None, metadata={"low": low, "high": high})


@dataclass(frozen=True, kw_only=True)
class Detection:
    """Thresholds of section 2, compared strictly; VIX points, recession a probability, term a ratio."""

    crisis_vix: float = _at_least(0)
    crisis_vvix: float = _at_least(0)
    high_vix: float = _at_least(0)
    high_recession: float = field(metadata={"low": 0, "high": 1})
    low_vix: float = _at_least(0)
    low_term: float = _at_least(0)
    loosen_closes: int = _at_least(1)
    loosen_points: float = _at_least(0)


@dataclass(frozen=True)
class Scalers:
    """Steps (at or above, factor), ascending; they multiply the caps on vega, delta and gamma."""

    vix: tuple[tuple[float, float], ...]
    term: tuple[tuple[float, float], ...]

    def of_vix(self, vix: float | None) -> float:
        return _step(self.vix, vix)

    def of_term(self, term: float | None) -> float:
        return _step(self.term, term)


def _step(steps: tuple[tuple[float, float], ...], value: float | None) -> float:
    """The factor of the highest step reached; an unknown value gets the tightest factor there is."""
    if value is None:
        return min(factor for _, factor in steps)
    reached = [factor for start, factor in steps if value >= start]
    return reached[-1] if reached else steps[0][1]


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """Absolute limits in currency, for a net liquidation of exactly 0."""

    theta: float = _at_least(0)
    vega: float = _at_most(0)
    delta: float = _at_least(0)
    gamma: float = _at_least(0)


@dataclass(frozen=True, kw_only=True)
class RegimeLimits:
    """One profile in one regime, as fractions of net liquidation. None: not limited in this profile.

    Exactly one of `gamma_floor` (negative: only short gamma is limited) and `gamma_cap` (both signs are) is given.
    """

    theta_target: float = _at_least(0)
    vega_floor: float = _at_most(0)
    delta_cap: float = _at_least(0)
    families: tuple[Family, ...] = field(metadata={"kind": "families"})
    gamma_floor: float | None = _maybe(high=0)
    gamma_cap: float | None = _maybe(low=0)
    stress_near: float | None = _maybe(low=0)
    stress_worst: float | None = _maybe(low=0)
    var_95: float | None = _maybe(low=0)
    vega_share: float | None = _maybe(low=0, high=1)
    short_notional: float | None = _maybe(low=0)
    defined_loss: float | None = _maybe(low=0)
    position_capital: float | None = _maybe(low=0)
    contracts: int | None = _maybe(low=0)
    fallback: Fallback | None = field(default=None, metadata={"kind": "fallback"})

    @property
    def gamma(self) -> float:
        """Size of the gamma limit as a positive fraction."""
        return abs(self.gamma_floor if self.gamma_floor is not None else self.gamma_cap or 0.0)


@dataclass(frozen=True, kw_only=True)
class ProfileRules:
    """One profile: what it measures vega by, what holds in every regime, and its four tables."""

    vega_measure: str = field(metadata={"options": ("vega", "vega_weighted")})
    margin_max: float = _at_least(0)
    daily_loss: float = _at_least(0)
    strategy_theta_share: float = field(metadata={"low": 0, "high": 1})
    regimes: dict[Regime, RegimeLimits] = field(metadata={"kind": "regimes"})


@dataclass(frozen=True, kw_only=True)
class WatchRules:
    """What the watch over the limits tells and when: seconds, shares, VIX points, multiples of net liquidation."""

    heal_seconds: float = _at_least(0)
    far_over: float = _at_least(1)
    ordinary_day: float = _at_least(0)
    near_gamma_share: float = _at_least(0)
    cluster_width: float = _at_least(0)
    cluster_notional: float = _at_least(0)


@dataclass(frozen=True, kw_only=True)
class GateRules:
    """Defaults of the gates: ages in seconds, fractions of a price, price points, contracts."""

    quote_age: float = _at_least(0)
    drift_ticks: float = _at_least(0)
    drift_fraction: float = _at_least(0)
    spread_floor: float = _at_least(0)
    spread_fraction: float = _at_least(0)
    size_floor: float = _at_least(0)
    size_share: float = _at_least(0)
    open_interest_floor: float = _at_least(0)
    open_interest_required: bool = field(metadata={"kind": "flag"})
    surface_floor: float = _at_least(0)
    surface_fraction: float = _at_least(0)
    what_if_age: float = _at_least(0)
    what_if_age_crossing: float = _at_least(0)
    capital_share: float = _at_least(0)


@dataclass(frozen=True, kw_only=True)
class HedgeRules:
    """What the proposer may build and what it costs; fees in currency, widths and distances as fractions of spot."""

    benchmarks: tuple[str, ...] = field(metadata={"kind": "names"})
    dte_min: int = _at_least(0)
    dte_max: int = _at_least(0)
    widths: tuple[float, ...] = _at_least(0, kind="numbers")
    distances: tuple[float, ...] = _at_least(0, kind="numbers")
    calendar_days: tuple[float, ...] = _at_least(0, kind="numbers")
    least_price: float = _at_least(0)
    cure_to: float = field(metadata={"low": 0, "high": 1})
    answer_theta: bool = field(metadata={"kind": "flag"})
    max_quantity: int = _at_least(1)
    max_shares: int = _at_least(1)
    fee_option: float = _at_least(0)
    fee_future: float = _at_least(0)
    fee_share: float = _at_least(0)
    modelled_half_spread: float = _at_least(0)
    modelled_half_spread_floor: float = _at_least(0)
    cost_days: float = _at_least(0)
    margin_rate: float = _at_least(0)
    different_cosine: float = field(metadata={"low": -1, "high": 1})
    worst_ticks: float = _at_least(0)
    optimum_seconds: float = _at_least(0)
    optimum_near: float = _at_least(0)
    optimum_margin: float = field(metadata={"low": 0, "high": 1})
