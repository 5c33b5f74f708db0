"""Which limits are passed, by how much, and how full each one is: the numbers and the sentences of the limit bars.

Exactly at a limit is no breach. Caps are hard; theta is a target that is listed and never vetoes. Whatever depends on
an unknown number is unknown, never zero.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from models.quant.limits import Limits
from models.quant.portfolio import SPX_GROUP, Exposure
from models.quant.regime_rules import Regime
from models.quant.scenario import SHOCK_CELL

NEAR_NOTHING = 1e-6
"""Limits and exposures are money with six decimals; a smaller difference is arithmetic, not risk."""


class BreachKind(StrEnum):
    VEGA = "vega"
    DELTA = "delta"
    GAMMA = "gamma"
    THETA = "theta"
    MARGIN = "margin"
    STRESS_NEAR = "stress_near"
    STRESS_WORST = "stress_worst"
    VAR = "var_95"
    VEGA_SHARE = "vega_share"
    SHORT_NOTIONAL = "short_notional"
    DEFINED_LOSS = "defined_loss"
    EXCESS_LIQUIDITY = "excess_liquidity"
    CONTRACTS = "contracts"
    THETA_SHARE = "theta_share"
    NEAR_GAMMA = "near_gamma"
    STRIKE_CLUSTER = "strike_cluster"


WARNINGS = frozenset({BreachKind.THETA_SHARE, BreachKind.NEAR_GAMMA, BreachKind.STRIKE_CLUSTER})
"""Lines that are only watched: past one of them nothing is refused, nobody is alerted and nothing turns red."""
NOT_CAPS = WARNINGS | {BreachKind.THETA}


class Unit(StrEnum):
    PER_VOL_POINT = "$ per vol point"
    PER_PERCENT = "$ per +1 % SPX"
    PER_PERCENT_SQUARED = "$ per +1 % SPX, twice"
    PER_DAY = "$ per day"
    CURRENCY = "$"
    RATIO = "ratio"
    COUNT = "contracts"


@dataclass(frozen=True)
class Breach:
    """One limit passed. `value` and `limit` in the limit's unit; `distance` signed as DOMAIN.md section 3 states it.

    `use` is value / limit (1.16 = 116 %), None where the limit is zero. `severity` orders: abs(distance) / limit, by
    net liquidation where the limit is zero.
    """

    kind: BreachKind
    value: float
    limit: float
    distance: float
    use: float | None
    is_cap: bool
    words: str
    regime: Regime
    severity: float
    subject: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class LimitUse:
    """One limit bar. `value` None: unknown; `limit` None: unknown; `use` None: unknown or a limit of zero.

    `breached` None: unknown. A theta target counts as `is_cap` False: its bar is progress towards the target; so do the
    WARNINGS, which `warns` marks. `distance` as DOMAIN.md section 3 states it: how far past the limit, or below zero
    how far from it.
    """

    kind: BreachKind
    unit: Unit
    value: float | None
    limit: float | None
    use: float | None
    breached: bool | None
    is_cap: bool = True
    words: str = ""
    subject: str = ""
    distance: float | None = None
    warns: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def breach_key(kind: BreachKind, subject: str = "") -> str:
    """`vega`, `vega_share AAPL`: what a breach is called among the rows of the memory."""
    return f"{kind.value} {subject}".strip()


def only_warns(key: str) -> bool:
    """Whether a row of this name is a line that is only watched."""
    return key.partition(" ")[0] in WARNINGS


def smallest_hedge_lot(spx: float | None) -> float:
    """spx_delta of the smallest lot a hedge can trade, one MES (×5; an SPY lot of 100 is twice that); 0 if unknown."""
    return 0.0 if spx is None else 5 * spx * 0.01


def detect_breaches(exposure: Exposure, limits: Limits, smallest_lot: float = 0.0) -> tuple[Breach, ...]:
    """Every limit passed, ordered. `smallest_lot` is the spx_delta of the smallest hedge lot in currency per +1 %."""
    if not limits.known:
        return ()
    found = [_breach(measure, limits) for measure in _measures(exposure, limits, smallest_lot) if measure.breached]
    return order_breaches(found)


def order_breaches(breaches: Iterable[Breach]) -> tuple[Breach, ...]:
    """Crisis first, then by distance / limit; a zero limit by distance / net liquidation."""
    return tuple(sorted(breaches, key=lambda b: (b.regime is not Regime.CRISIS, -b.severity)))


def measure_use(exposure: Exposure, limits: Limits, smallest_lot: float = 0.0) -> tuple[LimitUse, ...]:
    """One bar per limit of the profile, the known and the unknown, in a fixed order."""
    return tuple(
        LimitUse(
            m.kind, m.unit, m.value, m.limit, m.use, m.breached, m.kind not in NOT_CAPS, _words(m, limits), m.subject,
            m.distance,
        )
        for m in _measures(exposure, limits, smallest_lot)
    )  # fmt: skip


def unknown_measures(exposure: Exposure, limits: Limits) -> tuple[str, ...]:
    """In words, which limits cannot be judged and why; empty when all can."""
    if not limits.known:
        return limits.missing
    unknown = [_NAMES[m.kind].lower() for m in _measures(exposure, limits, 0.0) if m.breached is None]
    reasons = tuple(exposure.missing)
    return (*(f"{name} is unknown" for name in dict.fromkeys(unknown)), *reasons) if unknown else ()


def worsened(before: Exposure, after: Exposure, limits: Limits, smallest_lot: float = 0.0) -> tuple[Breach, ...]:
    """The caps whose breach `after` creates or deepens compared with `before`. Theta never counts.

    Covering a naked short makes its loss a defined one; while short notional falls that is less risk, not a new breach.
    """
    covers = after.short_notional is not None and after.short_notional < (before.short_notional or 0.0) - NEAR_NOTHING
    earlier = {(b.kind, b.subject): abs(b.distance) for b in detect_breaches(before, limits, smallest_lot)}
    return tuple(
        b
        for b in detect_breaches(after, limits, smallest_lot)
        if b.is_cap
        and abs(b.distance) > earlier.get((b.kind, b.subject), 0.0) + NEAR_NOTHING
        and not (covers and b.kind is BreachKind.DEFINED_LOSS and (b.kind, b.subject) not in earlier)
    )


# ── the measures ────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class _Measure:
    kind: BreachKind
    unit: Unit
    value: float | None
    limit: float | None
    distance: float | None
    use: float | None
    breached: bool | None
    subject: str = ""


def _measures(exposure: Exposure, limits: Limits, lot: float) -> list[_Measure]:
    """Every limit of the profile against its number, in the order of the bars."""
    vega = exposure.vega_weighted if limits.vega_measure == "vega_weighted" else exposure.vega
    found = [
        _floor(vega, limits.vega_floor),
        _delta(exposure.spx_delta, limits.delta_cap, lot),
        _gamma(exposure.gamma, limits),
        _target(exposure, limits.theta_target),
    ]
    found += _upper(BreachKind.STRESS_NEAR, Unit.CURRENCY, exposure.stress_near, limits.stress_near, limits)
    found += _upper(BreachKind.STRESS_WORST, Unit.CURRENCY, exposure.stress_worst, limits.stress_worst, limits)
    found += _upper(BreachKind.VAR, Unit.CURRENCY, exposure.var_95, limits.var_95, limits)
    found += _upper(BreachKind.SHORT_NOTIONAL, Unit.CURRENCY, exposure.short_notional, limits.short_notional, limits)
    found += _upper(BreachKind.DEFINED_LOSS, Unit.CURRENCY, exposure.defined_loss, limits.defined_loss, limits)
    found += _upper(BreachKind.CONTRACTS, Unit.COUNT, exposure.contracts, limits.contracts, limits)
    found += [_margin(exposure, limits), _excess_liquidity(exposure, limits)]
    if limits.vega_share is not None:
        for subject, share in sorted((exposure.vega_shares or {}).items()):
            if subject == SPX_GROUP:
                continue  # one group, and exempt
            shared = _upper(BreachKind.VEGA_SHARE, Unit.RATIO, share, limits.vega_share, limits)
            found += [replace(measure, subject=subject) for measure in shared]
    return found


def _floor(vega: float | None, floor: float | None) -> _Measure:
    kind, unit = BreachKind.VEGA, Unit.PER_VOL_POINT
    if vega is None or floor is None:
        return _Measure(kind, unit, vega, floor, None, None, None)
    distance = -vega if floor == 0 else vega - floor
    return _Measure(kind, unit, vega, floor, distance, _ratio(max(-vega, 0.0), -floor), vega < floor - NEAR_NOTHING)


def _delta(delta: float | None, cap: float | None, lot: float) -> _Measure:
    kind, unit = BreachKind.DELTA, Unit.PER_PERCENT
    if delta is None or cap is None:
        return _Measure(kind, unit, delta, cap, None, None, None)
    breached = abs(delta) > max(cap, lot / 2) + NEAR_NOTHING
    return _Measure(kind, unit, delta, cap, abs(delta) - cap, _ratio(abs(delta), cap), breached)


def _gamma(gamma: float | None, limits: Limits) -> _Measure:
    kind, unit, cap = BreachKind.GAMMA, Unit.PER_PERCENT_SQUARED, limits.gamma_cap
    if gamma is None or cap is None:
        return _Measure(kind, unit, gamma, cap, None, None, None)
    size = abs(gamma) if limits.gamma_both else max(-gamma, 0.0)
    distance = abs(gamma) - cap if limits.gamma_both else -cap - gamma
    shown = cap if limits.gamma_both else -cap
    return _Measure(kind, unit, gamma, shown, distance, _ratio(size, cap), distance > NEAR_NOTHING)


def _target(exposure: Exposure, target: float | None) -> _Measure:
    """A shortfall is listed when there is a target; a book without any greek is empty and has none."""
    kind, unit, theta = BreachKind.THETA, Unit.PER_DAY, exposure.theta
    if theta is None or target is None:
        return _Measure(kind, unit, theta, target, None, None, None)
    empty = not any((theta, exposure.spx_delta, exposure.gamma, exposure.vega))
    short = target > 0 and theta < target - NEAR_NOTHING and not empty
    return _Measure(kind, unit, theta, target, theta - target, _ratio(theta, target), short)


def _upper(kind: BreachKind, unit: Unit, value: float | None, limit: float | None, limits: Limits) -> list[_Measure]:
    """A size against its cap; no bar where the profile has no such limit."""
    if limit is None:
        return []
    if value is None:
        return [_Measure(kind, unit, None, limit, None, None, None)]
    excess = value - limit
    return [_Measure(kind, unit, value, limit, excess, _ratio(value, limit), excess > NEAR_NOTHING)]


def _margin(exposure: Exposure, limits: Limits) -> _Measure:
    kind, unit = BreachKind.MARGIN, Unit.RATIO
    used, nlv = exposure.margin_used, limits.nlv
    if used is None or nlv is None or nlv <= 0:
        return _Measure(kind, unit, None, limits.margin_max, None, None, None)
    ratio = used / nlv
    excess = ratio - limits.margin_max
    return _Measure(kind, unit, ratio, limits.margin_max, excess, _ratio(ratio, limits.margin_max), excess > 1e-9)


def _excess_liquidity(exposure: Exposure, limits: Limits) -> _Measure:
    """What −10 % / +15 points would leave above maintenance margin; its use is the part of it that the shock takes."""
    kind, unit = BreachKind.EXCESS_LIQUIDITY, Unit.CURRENCY
    if exposure.stress is None or exposure.margin_used is None or limits.nlv is None:
        return _Measure(kind, unit, None, 0.0, None, None, None)
    now, shock = limits.nlv - exposure.margin_used, exposure.stress[SHOCK_CELL]
    use = max(-shock, 0.0) / now if now > 0 else None
    return _Measure(kind, unit, now + shock, 0.0, -(now + shock), use, now + shock < -NEAR_NOTHING)


def _ratio(value: float, limit: float) -> float | None:
    return None if limit == 0 else value / limit


# ── the words ───────────────────────────────────────────────────────────────────────────────────────────────────
_NAMES = {
    BreachKind.VEGA: "Short vega",
    BreachKind.DELTA: "Delta",
    BreachKind.GAMMA: "Short gamma",
    BreachKind.THETA: "Theta",
    BreachKind.MARGIN: "Margin used",
    BreachKind.STRESS_NEAR: "The near stress loss",
    BreachKind.STRESS_WORST: "The worst stress loss",
    BreachKind.VAR: "One-day value at risk",
    BreachKind.VEGA_SHARE: "The vega share",
    BreachKind.SHORT_NOTIONAL: "Short option notional",
    BreachKind.DEFINED_LOSS: "The largest defined loss",
    BreachKind.EXCESS_LIQUIDITY: "Excess liquidity after −10 % and +15 points",
    BreachKind.CONTRACTS: "The number of contracts",
}


def _breach(m: _Measure, limits: Limits) -> Breach:
    assert m.value is not None and m.limit is not None and m.distance is not None
    size = abs(m.limit) if m.limit != 0 else abs(limits.nlv or 0.0)
    severity = abs(m.distance) / size if size > 0 else float("inf")
    cap = m.kind not in NOT_CAPS
    return Breach(
        m.kind, m.value, m.limit, m.distance, m.use, cap, _words(m, limits), limits.regime, severity, m.subject
    )


def name_of(kind: BreachKind, value: float | None, limits: Limits, subject: str = "") -> str:
    """What the measure is called at `value`: `Short gamma`, `Weighted vega`, `The vega share of AAPL`."""
    if kind is BreachKind.VEGA:
        word = "weighted vega" if limits.vega_measure == "vega_weighted" else "vega"
        return f"Short {word}" if (value or 0) < 0 else word.capitalize()
    if kind is BreachKind.GAMMA:
        return "Short gamma" if (value or 0) < 0 else "Gamma"
    return f"{_NAMES[kind]} of {subject}" if subject else _NAMES[kind]


def _words(m: _Measure, limits: Limits) -> str:
    name = name_of(m.kind, m.value, limits, m.subject)
    if m.value is None:
        return f"{name} is unknown."
    if m.limit is None:
        return f"{name} is {_amount(m.value, m.unit)}; its limit is unknown."
    if m.kind is BreachKind.THETA:
        return _theta_words(m.value, m.limit)
    if m.kind is BreachKind.EXCESS_LIQUIDITY:
        taken = "" if m.use is None else f"; the shock takes {percent(m.use)} of it"
        return f"{name} is {money(m.value)}{taken}."
    if m.use is None:
        allowed = "" if not m.breached else f"; in {limits.regime.words} none is allowed"
        return f"{name} is {_amount(m.value, m.unit)}{allowed}."
    return f"{name} is {percent(m.use)} of its limit."


def _theta_words(value: float, target: float) -> str:
    if target == 0:
        return f"Theta earns {money(value)} a day; there is no target."
    return f"Theta earns {money(value)} a day of its {money(target)} target."


def percent(share: float) -> str:
    """`1.16` as `116 %`; just over a limit it never reads as 100 %."""
    if 1 < share < 1.005:
        return f"{share * 100:.2f} %" if share >= 1.0001 else "just over 100 %"
    return f"{share * 100:.0f} %"


def money(value: float) -> str:
    """`-1234.5` as `−$1,234`: whole currency, a real minus sign; cents below 10."""
    digits = 0 if abs(value) >= 10 or value == int(value) else 2
    return f"{'−' if value < 0 else ''}${abs(value):,.{digits}f}"


def _amount(value: float, unit: Unit) -> str:
    if unit is Unit.COUNT:
        return f"{value:,.0f}"
    text: Callable[[float], str] = percent if unit is Unit.RATIO else money
    return text(value)


# ── the mock breach ─────────────────────────────────────────────────────────────────────────────────────────────
MOCK_VIX, MOCK_TERM = 18.0, 1.0
MOCK_NOTE = "n/a (mock)"


def mock_exposure() -> Exposure:
    """The aggregate vector of MOCK_BREACH (DOMAIN.md section 3): one vega breach in either profile, no stress grid."""
    return Exposure(
        nlv=100_000.0,
        spx_delta=400.0,
        gamma=60.0,
        vega=-8000.0,
        vega_weighted=-8000.0,
        theta=150.0,
        margin_used=None,
        stress_near=None,
        stress_worst=None,
        worst_cell=None,
        var_95=None,
        vega_shares={},
        short_notional=None,
        defined_loss=None,
        missing=(f"stress {MOCK_NOTE}", f"margin {MOCK_NOTE}"),
    )
