"""Reads the appetite from its TOML and refuses whatever it does not understand, with the file and the key.

The schema is the frozen types of `regime_rules`, `strict_toml` reads it; here are the order of limits and the warnings
about a profile that contradicts itself.
"""

from collections.abc import Mapping
from dataclasses import Field, dataclass
from typing import Any

from models.quant.manage_rules import ManageRules
from models.quant.regime_rules import (
    LOOSE_TO_TIGHT,
    Detection,
    Fallback,
    Family,
    GateRules,
    HedgeRules,
    Profile,
    ProfileRules,
    Regime,
    RegimeLimits,
    Scalers,
    WatchRules,
)
from models.quant.strict_toml import FileError, Kind, Page, join, read_toml

VERSION = 1
STRESS_VOL_POINTS = 15.0  # the near stress cell's volatility move, DOMAIN.md section 2


class RegimeFileError(FileError):
    """The appetite cannot be read. The process refuses to start and shows the file, the key and the remedy."""


@dataclass(frozen=True)
class Rules:
    """Everything the file says, validated."""

    detection: Detection
    scalers: Scalers
    profiles: dict[Profile, ProfileRules]
    gates: GateRules
    hedges: HedgeRules
    watch: WatchRules
    manage: ManageRules
    warnings: dict[Profile, tuple[str, ...]]


def read_rules(text: str, source: str) -> dict[str, Any]:
    """The TOML as a mapping; raises RegimeFileError when it is not TOML."""
    return read_toml(text, source, RegimeFileError)


def rules_from(raw: Mapping[str, Any], source: str) -> Rules:
    """Validated rules; raises RegimeFileError naming the source and the key."""
    page = Page(source, RegimeFileError, _KINDS)
    page.keys(raw, "", {"version", "detection", "scalers", "profiles", "gates", "hedges", "watch", "manage"})
    page.version(raw, VERSION)
    detection = page.table(Detection, raw["detection"], "detection")
    _check_detection(page, detection)
    scalers = _scalers(page, raw["scalers"])
    tables = page.mapping(raw["profiles"], "profiles")
    page.keys(tables, "profiles", {profile.value for profile in Profile})
    profiles = {p: _profile(page, tables[p.value], f"profiles.{p.value}") for p in Profile}
    gates = page.table(GateRules, raw["gates"], "gates")
    hedges = page.table(HedgeRules, raw["hedges"], "hedges")
    if hedges.dte_min > hedges.dte_max:
        page.refuse("hedges.dte_min", f"{hedges.dte_min} is above dte_max {hedges.dte_max}")
    watch = page.table(WatchRules, raw["watch"], "watch")
    manage = page.table(ManageRules, raw["manage"], "manage")
    if manage.gap.usual > manage.gap.severe:
        page.refuse("manage.gap.usual", f"{manage.gap.usual:g} is above severe {manage.gap.severe:g}")
    warnings = {p: inconsistencies(rules, detection, scalers, watch) for p, rules in profiles.items()}
    return Rules(detection, scalers, profiles, gates, hedges, watch, manage, warnings)


def _families(page: Page, _spec: "Field[Any]", raw: Any, key: str) -> tuple[Family, ...]:
    known = {family.value for family in Family}
    for name in page.sequence(raw, key):
        if name not in known:
            page.refuse(key, f"{name!r} is not a family; known are {', '.join(sorted(known))}")
    return tuple(Family(name) for name in raw)


def _fallback(page: Page, _spec: "Field[Any]", raw: Any, key: str) -> Fallback:
    return page.table(Fallback, raw, key)


_KINDS: dict[str, Kind] = {"families": _families, "fallback": _fallback}


def _check_detection(page: Page, rules: Detection) -> None:
    if not rules.low_vix < rules.high_vix < rules.crisis_vix:
        page.refuse("detection.high_vix", "the bands are out of order: low_vix < high_vix < crisis_vix must hold")


def _scalers(page: Page, raw: Any) -> Scalers:
    body = page.mapping(raw, "scalers")
    page.keys(body, "scalers", {"vix", "term"})
    vix, term = (_steps(page, body[name], f"scalers.{name}") for name in ("vix", "term"))
    if [f for _, f in vix] != sorted((f for _, f in vix), reverse=True):
        page.refuse("scalers.vix", "factors are out of order: a higher VIX must not loosen the caps")
    if [f for _, f in term] != sorted(f for _, f in term):
        page.refuse("scalers.term", "factors are out of order: a flatter term structure must not loosen the caps")
    return Scalers(vix, term)


def _steps(page: Page, raw: Any, key: str) -> tuple[tuple[float, float], ...]:
    steps: list[tuple[float, float]] = []
    for item in page.sequence(raw, key):
        good = isinstance(item, list | tuple) and len(item) == 2
        if not good or any(isinstance(x, bool) or not isinstance(x, int | float) or not x >= 0 for x in item):
            page.refuse(key, f"{item!r} is not a step of two numbers, [at or above, factor], neither negative")
        steps.append((float(item[0]), float(item[1])))
    starts = [start for start, _ in steps]
    if starts[0] != 0 or starts != sorted(set(starts)):
        page.refuse(key, "steps are out of order: they begin at 0 and ascend")
    return tuple(steps)


def _profile(page: Page, raw: Any, path: str) -> ProfileRules:
    body = page.mapping(raw, path)
    names = {regime.value for regime in LOOSE_TO_TIGHT}
    for name in sorted(names - set(body)):
        page.refuse(join(path, name), "missing key; add it or restore the file")
    regimes = {r: page.table(RegimeLimits, body[r.value], join(path, r.value)) for r in LOOSE_TO_TIGHT}
    own = {key: value for key, value in body.items() if key not in names}
    rules = page.table(ProfileRules, own, path, {"regimes": regimes})
    for regime, row in regimes.items():
        _check_row(page, row, join(path, regime.value))
    _check_order(page, regimes, path)
    return rules


def _check_row(page: Page, row: RegimeLimits, path: str) -> None:
    if (row.gamma_floor is None) == (row.gamma_cap is None):
        page.refuse(join(path, "gamma_floor"), "exactly one of gamma_floor (short only) and gamma_cap (both) is needed")
    if row.stress_near is not None and row.stress_worst is not None and row.stress_near > row.stress_worst:
        page.refuse(join(path, "stress_near"), "is above stress_worst: limits are out of order")


_FALLING = ("delta_cap", "stress_near", "stress_worst", "var_95", "vega_share", "short_notional", "position_capital",
            "contracts")  # fmt: skip
_CRISIS_LEAST = (*_FALLING, "vega_floor", "gamma", "defined_loss")


def _check_order(page: Page, regimes: Mapping[Regime, RegimeLimits], path: str) -> None:
    """No limit may appear in some regimes only; none may be loosest in a crisis; most must fall from low to crisis."""
    for name in _CRISIS_LEAST:
        values = [getattr(regimes[regime], name) for regime in LOOSE_TO_TIGHT]
        if None in values:
            if any(value is not None for value in values):
                absent = LOOSE_TO_TIGHT[values.index(None)]
                page.refuse(f"{path}.{absent}.{name}", "missing key: the other regimes have it; add it")
            continue
        sizes = [abs(value) for value in values]
        key = f"{path}.{Regime.CRISIS}.{'gamma_floor' if name == 'gamma' else name}"
        if sizes[-1] > min(sizes):
            page.refuse(key, "limits are out of order: a crisis must not allow more than another regime")
        if name in _FALLING and sizes != sorted(sizes, reverse=True):
            page.refuse(f"{path}.*.{name}", "limits are out of order: they must not rise from low to crisis")


def inconsistencies(
    profile: ProfileRules, detection: Detection, scalers: Scalers, watch: WatchRules
) -> tuple[str, ...]:
    """What a profile promises and cannot keep, regime by regime, in words with the numbers.

    A theta target is out of reach when even at the top of the regime's VIX band ½·gamma·VIX²/365 under the scaled gamma
    cap earns less (gamma per 1 % squared, VIX in points: a delta-neutral book is paid its expected gamma loss).
    A vega floor contradicts the daily loss when an ordinary bad day of VIX alone loses more, and the stress limit when
    15 vol points do; without a stress limit far short puts pass every line.
    """
    found: list[str] = []
    tops = {Regime.LOW: detection.low_vix, Regime.NEUTRAL: detection.high_vix, Regime.HIGH: detection.crisis_vix}
    for regime, top in tops.items():
        row = profile.regimes[regime]
        said = _theta_out_of_reach(row, top, scalers), _day_too_costly(row, profile, watch), _shock_too_costly(row)
        found += [f"{regime.words}: {words}" for words in said if words]
    return tuple(found)


def _theta_out_of_reach(row: RegimeLimits, top: float, scalers: Scalers) -> str | None:
    earned = 0.5 * row.gamma * scalers.of_vix(top - 1e-9) * top**2 / 365
    if row.theta_target <= earned:
        return None
    return (
        f"the theta target {row.theta_target:.3%} a day is out of reach, the gamma limit earns at most {earned:.3%} at "
        f"VIX {top:g}"
    )


def _day_too_costly(row: RegimeLimits, profile: ProfileRules, watch: WatchRules) -> str | None:
    loss = abs(row.vega_floor) * watch.ordinary_day
    if loss <= profile.daily_loss + 1e-12:
        return None
    return (
        f"the vega floor allows a loss of {loss:.0%} of net liquidation on an ordinary bad day of "
        f"+{watch.ordinary_day:g} vol points, the desk pauses at {profile.daily_loss:.0%}"
    )


def _shock_too_costly(row: RegimeLimits) -> str | None:
    loss = abs(row.vega_floor) * STRESS_VOL_POINTS
    words = f"allows a loss of {loss:.0%} of net liquidation for +{STRESS_VOL_POINTS:g} vol points"
    if row.stress_near is None:
        return f"no stress limit, so far short puts pass every line; the vega floor alone {words}"
    if loss > row.stress_near + 1e-12:
        return f"the vega floor {words}, above the stress limit {row.stress_near:.0%}"
    return None
