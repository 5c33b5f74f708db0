"""What a profile allows in a regime, in currency: fractions of net liquidation times the scalers, or the fallbacks.

Limits are money and carry six decimals, so that exactly at the limit is the same number on both sides.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from models.quant.regime_rules import LOOSE_TO_TIGHT, Family, Profile, ProfileRules, Regime, RegimeLimits, Scalers

REDUCING = (Family.CLOSE, Family.ROLL, Family.FUTURE, Family.SHARES)


@dataclass(frozen=True)
class Limits:
    """One profile in one regime, in account currency unless said otherwise. None: not limited in this profile.

    `vega_floor` ≤ 0 holds against the measure named by `vega_measure` (per vol point); `delta_cap` against
    abs(spx_delta) per +1 % of SPX; `gamma_cap` ≥ 0 against short gamma, or both signs when `gamma_both`; the stress
    and VaR limits are losses as positive numbers; `vega_share` and `margin_max` are ratios. A non-empty `missing` says
    why nothing can be judged; `flagged` why the tightest known limits are in force.
    """

    profile: Profile
    regime: Regime
    nlv: float | None
    vega_measure: str
    theta_target: float | None
    vega_floor: float | None
    delta_cap: float | None
    gamma_cap: float | None
    gamma_both: bool
    stress_near: float | None
    stress_worst: float | None
    var_95: float | None
    vega_share: float | None
    short_notional: float | None
    defined_loss: float | None
    position_capital: float | None
    contracts: int | None
    margin_max: float
    daily_loss: float | None
    families: tuple[Family, ...]
    vix_scaler: float | None
    term_scaler: float | None
    flagged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        return not self.missing

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def unknown_limits(profile: Profile, rules: ProfileRules, regime: Regime) -> Limits:
    """Nothing can be said while net liquidation is unknown."""
    return Limits(
        profile, regime, None, rules.vega_measure, None, None, None, None, False, None, None, None, None, None, None,
        None, None, rules.margin_max, None, REDUCING, None, None, missing=("net liquidation is unknown",),
    )  # fmt: skip


def limits_of(
    profile: Profile,
    rules: ProfileRules,
    scalers: Scalers,
    regime: Regime,
    nlv: float,
    vix: float | None,
    term: float | None,
    without_recession: Regime | None = None,
) -> Limits:
    """Limits in currency for a known net liquidation; see `RegimeBook.limits`."""
    flagged = _flags(regime, vix, term)
    row = _row(rules, regime, without_recession)
    by_vix, by_term = scalers.of_vix(vix), scalers.of_term(term)
    scale = by_vix * by_term
    base = max(nlv, 0.0)
    theta, vega, delta, gamma = (row.theta_target * base, row.vega_floor * base, row.delta_cap * base, row.gamma * base)
    if nlv == 0 and row.fallback is not None:
        theta, vega, delta, gamma = row.fallback.theta, row.fallback.vega, row.fallback.delta, row.fallback.gamma
    return Limits(
        profile=profile,
        regime=regime,
        nlv=nlv,
        vega_measure=rules.vega_measure,
        theta_target=_money(theta),
        vega_floor=_money(vega * scale),
        delta_cap=_money(delta * scale),
        gamma_cap=_money(gamma * scale),
        gamma_both=row.gamma_cap is not None,
        stress_near=_money(row.stress_near, base),
        stress_worst=_money(row.stress_worst, base),
        var_95=_money(row.var_95, base),
        vega_share=row.vega_share,
        short_notional=_money(row.short_notional, base),
        defined_loss=_money(row.defined_loss, base),
        position_capital=_money(row.position_capital, base),
        contracts=row.contracts,
        margin_max=rules.margin_max,
        daily_loss=_money(rules.daily_loss, base),
        families=row.families,
        vix_scaler=by_vix,
        term_scaler=by_term,
        flagged=flagged,
    )


def _flags(regime: Regime, vix: float | None, term: float | None) -> tuple[str, ...]:
    unknown = [("the regime", regime is Regime.UNKNOWN), ("VIX", vix is None), ("VIX3M / VIX", term is None)]
    return tuple(f"{name} is unknown: the tightest known limits are in force" for name, missing in unknown if missing)


def _row(rules: ProfileRules, regime: Regime, without_recession: Regime | None) -> RegimeLimits:
    """The table to use: the regime's own; the tightest of all when unknown; of the two when recession tightened."""
    if regime is Regime.UNKNOWN:
        tightest = _tightest(rules.regimes.values())
        return RegimeLimits(**{**_fields(tightest), "families": REDUCING})
    if without_recession in (None, Regime.UNKNOWN, regime):
        return rules.regimes[regime]
    assert without_recession is not None
    if LOOSE_TO_TIGHT.index(without_recession) >= LOOSE_TO_TIGHT.index(regime):
        return rules.regimes[regime]
    own = rules.regimes[without_recession]
    both = _fields(_tightest((own, rules.regimes[regime])))
    return RegimeLimits(**{**both, "theta_target": own.theta_target, "families": rules.regimes[regime].families})


def _fields(row: RegimeLimits) -> dict[str, Any]:
    return {name: getattr(row, name) for name in RegimeLimits.__dataclass_fields__}


def _tightest(rows: Iterable[RegimeLimits]) -> RegimeLimits:
    """Number by number the smallest in size; the fallback and the families of the row with the smallest vega floor."""
    table = [_fields(row) for row in rows]
    first = min(table, key=lambda row: abs(row["vega_floor"]))
    merged = dict(first)
    for name, value in first.items():
        if isinstance(value, int | float):
            merged[name] = min((row[name] for row in table), key=abs)
    return RegimeLimits(**merged)


def _money(value: float | None, times: float = 1.0) -> float | None:
    return None if value is None else round(value * times, 6) + 0.0
