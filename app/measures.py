"""The six numbers of the desk and their limits: value, unit, use, and what a proposal would make of them. Pure.

`use` is a fraction of the limit as the desk's own breach detection counts it; unknown stays unknown with its reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app import format as fmt
from app.pulse import Pulse


@dataclass(frozen=True)
class Measure:
    """One limited number. `key` is its name in exposures and scores, `kind` its name among breaches and uses."""

    key: str
    kind: str
    name: str
    unit: str
    floor: bool = False
    """True when the limit stands below zero: only negative values use it."""
    is_cap: bool = True
    digits: int = 0
    ratio: bool = False
    """True when value and limit are fractions shown as per cent."""
    formula: str = ""
    """What is summed, for whoever hovers over the number."""


MEASURES: tuple[Measure, ...] = (
    Measure(
        "spx_delta",
        "delta",
        "BW delta",
        "$ per +1 % SPX",
        formula="Σ delta · quantity · multiplier · beta · price · 1 %",
    ),
    Measure(
        "gamma",
        "gamma",
        "Gamma",
        "Δ$ per 1 %",
        floor=True,
        formula="Σ gamma · quantity · multiplier · (beta · price · 1 %)²",
    ),
    Measure(
        "vega_weighted",
        "vega",
        "Vega",
        "$ per vol pt, weighted",
        floor=True,
        formula="Σ vega · quantity · multiplier · √(30 / max(days to expiry, 7))",
    ),
    Measure(
        "theta",
        "theta",
        "Theta",
        "$ per day",
        is_cap=False,
        formula="Σ theta · quantity · multiplier, per calendar day",
    ),
    Measure(
        "margin",
        "margin",
        "Margin used",
        "of net liq",
        ratio=True,
        digits=1,
        formula="maintenance margin / net liquidation",
    ),
    Measure(
        "stress_worst",
        "stress_worst",
        "Worst stress",
        "$ loss",
        formula="the worst of 91 cells: spot −20…+10 % × volatility −3…+40",
    ),
)
BY_KEY = {measure.key: measure for measure in MEASURES}
BY_KIND = {measure.kind: measure for measure in MEASURES}


@dataclass(frozen=True)
class Use:
    """A measure against its limit. `use` None: not limited or unknown, `why` says which."""

    measure: Measure
    value: float | None
    limit: float | None
    use: float | None
    why: str = ""

    @property
    def breached(self) -> bool:
        return self.measure.is_cap and self.use is not None and self.use > 1

    def words(self) -> str:
        if self.use is None:
            return f"{self.measure.name}: {self.why or 'n/a'}"
        return f"{self.measure.name} is at {fmt.percent(self.use)} of its limit"


def value_text(measure: Measure, value: float | None, *, sign: bool = True) -> str:
    if measure.ratio:
        return fmt.percent(value, measure.digits)
    return fmt.money(value, measure.digits, sign=sign and measure.key != "stress_worst")


def uses_of(exposure: Mapping[str, Any]) -> dict[str, Use]:
    """Measure key → its use, from the PORTFOLIO row's document; every measure has an entry."""
    rows = {row.get("kind"): row for row in exposure.get("use") or ()}
    values = exposure.get("exposure") or {}
    missing = "; ".join(values.get("missing") or ()) or "no valuation yet"
    found: dict[str, Use] = {}
    for measure in MEASURES:
        row = rows.get(measure.kind) or {}
        value = fmt.known(row.get("value"))
        limit, use = fmt.known(row.get("limit")), fmt.known(row.get("use"))
        why = "" if use is not None else (missing if value is None else "not limited in this profile")
        found[measure.key] = Use(measure, value, limit, use, why)
    return found


def after_value(measure: Measure, raw: Any, nlv: float | None) -> float | None:
    """A score's number in the unit of its limit: margin as a share of net liquidation, all else as it is."""
    value = fmt.known(raw)
    if value is None:
        return None
    if measure.ratio:
        return value / nlv if nlv else None
    return value


def use_after(use: Use, value: float | None) -> float | None:
    """What the use would be with the measure at `value` and the limit as it is; None when either is unknown.

    Counted as models.quant.breach counts: only a short position uses a floor below zero, a zero limit has no share.
    """
    limit = use.limit
    if value is None or not limit:
        return None
    if limit < 0:
        return max(value / limit, 0.0)
    if use.measure.floor or use.measure.key == "spx_delta":
        return abs(value) / limit
    return value / limit


@dataclass(frozen=True)
class Kpi:
    """One of the six numbers of the shell. `age` in seconds; `old` when it is past its allowance."""

    name: str
    unit: str
    text: str
    under: str
    age: float | None
    old: bool
    use: float | None
    is_cap: bool = True
    tone: float | None = None
    line: str = ""
    why: str = ""
    formula: str = ""


OLD_AFTER = 30.0
"""Seconds after which account and greeks are dimmed: the bridge writes both every few seconds."""


def kpis(pulse: Pulse) -> tuple[Kpi, ...]:
    """Net liq, BW delta, theta, vega, gamma, excess liquidity, in this order, whether known or not."""
    uses = uses_of(pulse.exposure)
    greek_age = fmt.seconds_between(pulse.portfolio.at if pulse.portfolio else None, pulse.at)
    greeks = [_greek_kpi(uses[key], greek_age) for key in ("spx_delta", "theta", "vega_weighted", "gamma")]
    return (_net_liq(pulse), *greeks, _excess(pulse, uses["margin"]))


def _account_age(pulse: Pulse) -> float | None:
    return fmt.seconds_between(pulse.account.at if pulse.account else None, pulse.at)


def _is_old(age: float | None) -> bool:
    return age is not None and age > OLD_AFTER


def _net_liq(pulse: Pulse) -> Kpi:
    account, age = pulse.account, _account_age(pulse)
    day = fmt.known(account.day_pnl) if account else None
    limit = fmt.known((pulse.exposure.get("limits") or {}).get("daily_loss"))
    use = max(-day, 0.0) / limit if day is not None and limit else None
    return Kpi(
        name="Net liq",
        unit="$",
        text=fmt.money(account.net_liquidation if account else None),
        under=f"day {fmt.money(day, sign=True)}",
        age=age,
        old=_is_old(age),
        use=use,
        tone=day,
        line="net_liquidation",
        formula="the broker's net liquidation; its bar is today's loss against the daily loss that sets pause",
        why="" if account else "the bridge has not reported the account yet",
    )


def _greek_kpi(use: Use, age: float | None) -> Kpi:
    measure = use.measure
    limit = (
        "no limit known"
        if use.limit is None
        else f"{'limit' if measure.is_cap else 'target'} {value_text(measure, use.limit, sign=False)}"
    )
    return Kpi(
        name=measure.name,
        unit=measure.unit,
        text=value_text(measure, use.value),
        under=limit,
        age=age,
        old=_is_old(age),
        use=use.use,
        is_cap=measure.is_cap,
        line=measure.key,
        why=use.why,
        formula=measure.formula,
    )


def _excess(pulse: Pulse, margin: Use) -> Kpi:
    account, age = pulse.account, _account_age(pulse)
    excess = fmt.known(account.excess_liquidity) if account else None
    nlv = fmt.known(account.net_liquidation) if account else None
    share = excess / nlv if excess is not None and nlv else None
    return Kpi(
        name="Excess liquidity",
        unit="% of net liq",
        text=fmt.percent(share, 1),
        under=f"{fmt.money(excess)} · margin {value_text(margin.measure, margin.value)}",
        age=age,
        old=_is_old(age),
        use=margin.use,
        line="excess_liquidity",
        formula="excess liquidity / net liquidation; its bar is margin used",
        why="" if account else "the bridge has not reported the account yet",
    )


def oldest(pulse: Pulse) -> tuple[str, float] | None:
    """The oldest of what the desk decides on, and its age in seconds: account, greeks, SPX, VIX."""
    ages: list[tuple[str, datetime]] = []
    if pulse.account:
        ages.append(("account", pulse.account.at))
    if pulse.portfolio:
        ages.append(("greeks", pulse.portfolio.at))
    ages += [(name, pulse.market[name].received_at) for name in ("SPX", "VIX") if name in pulse.market]
    if not ages:
        return None
    name, at = min(ages, key=lambda pair: pair[1])
    return name, max((pulse.at - at).total_seconds(), 0.0)
