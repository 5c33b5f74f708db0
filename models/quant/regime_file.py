"""Reads the appetite from its TOML and refuses whatever it does not understand, with the file and the key.

The schema is the frozen types of `regime_rules`; here are the strict reading, the order of limits, and the warnings
about a profile that contradicts itself.
"""

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, TypeVar

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
)

VERSION = 1
STRESS_VOL_POINTS = 15.0  # the near stress cell's volatility move, DOMAIN.md section 2
R = TypeVar("R")


class RegimeFileError(ValueError):
    """The appetite cannot be read. The process refuses to start and shows the file, the key and the remedy."""

    def __init__(self, source: str, key: str, problem: str) -> None:
        super().__init__(f"{source}: {key}: {problem}" if key else f"{source}: {problem}")
        self.source = source
        self.key = key


@dataclass(frozen=True)
class Rules:
    """Everything the file says, validated."""

    detection: Detection
    scalers: Scalers
    profiles: dict[Profile, ProfileRules]
    gates: GateRules
    hedges: HedgeRules
    warnings: tuple[str, ...]


def read_rules(text: str, source: str) -> dict[str, Any]:
    """The TOML as a mapping; raises RegimeFileError when it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RegimeFileError(source, "", f"is not TOML: {error}; correct it or restore the file") from error


def rules_from(raw: Mapping[str, Any], source: str) -> Rules:
    """Validated rules; raises RegimeFileError naming the source and the key."""
    page = _Page(source)
    page.keys(raw, "", {"version", "detection", "scalers", "profiles", "gates", "hedges"})
    if raw["version"] != VERSION:
        page.refuse("version", f"is {raw['version']!r}; this desk reads version {VERSION}")
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
    warnings = tuple(
        w for name, rules in profiles.items() for w in inconsistencies(name, rules, detection, scalers)
    )  # fmt: skip
    return Rules(detection, scalers, profiles, gates, hedges, warnings)


@dataclass(frozen=True)
class _Page:
    """The source being read, so that every refusal can name it."""

    source: str

    def refuse(self, key: str, problem: str) -> None:
        raise RegimeFileError(self.source, key, problem)

    def mapping(self, raw: Any, key: str) -> Mapping[str, Any]:
        if not isinstance(raw, Mapping):
            raise RegimeFileError(self.source, key, f"must be a table, not {type(raw).__name__}")
        return raw

    def keys(
        self, raw: Mapping[str, Any], path: str, required: set[str], optional: frozenset[str] = frozenset()
    ) -> None:
        for name in raw:
            if name not in required | optional:
                self.refuse(_join(path, name), f"unknown key; known are {', '.join(sorted(required | optional))}")
        for name in sorted(required):
            if name not in raw:
                self.refuse(_join(path, name), "missing key; add it or restore the file")

    def table(self, cls: type[R], raw: Any, path: str, given: Mapping[str, Any] | None = None) -> R:
        """One frozen type from one table, every key checked by the type's own metadata; `given` are read already."""
        body = self.mapping(raw, path)
        specs = {spec.name: spec for spec in fields(cls) if spec.name not in (given or {})}  # type: ignore[arg-type]
        required = {name for name, spec in specs.items() if spec.default is MISSING}
        self.keys(body, path, required, frozenset(specs))
        values = {name: self.value(specs[name], value, _join(path, name)) for name, value in body.items()}
        return cls(**values, **(given or {}))

    def value(self, spec: "Field[Any]", raw: Any, key: str) -> Any:
        kind = spec.metadata.get("kind")
        if kind is not None:
            return _KINDS[kind](self, spec, raw, key)
        options = spec.metadata.get("options")
        if options is not None:
            if raw not in options:
                self.refuse(key, f"{raw!r} is not one of {', '.join(options)}")
            return raw
        return self.number(spec, raw, key)

    def number(self, spec: "Field[Any]", raw: Any, key: str) -> float:
        whole = spec.type in (int, int | None)
        if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
            raise RegimeFileError(self.source, key, f"{raw!r} is not a number")
        if whole and raw != int(raw):
            self.refuse(key, f"{raw!r} is not a whole number")
        low, high = spec.metadata.get("low"), spec.metadata.get("high")
        if low is not None and raw < low:
            self.refuse(key, f"{raw!r} has the wrong sign or size: it must be at least {low:g}")
        if high is not None and raw > high:
            self.refuse(key, f"{raw!r} has the wrong sign or size: it must be at most {high:g}")
        return int(raw) if whole else float(raw)

    def sequence(self, raw: Any, key: str) -> list[Any]:
        if not isinstance(raw, list | tuple) or not raw:
            raise RegimeFileError(self.source, key, "must be a list that is not empty")
        return list(raw)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _families(page: _Page, _spec: "Field[Any]", raw: Any, key: str) -> tuple[Family, ...]:
    known = {family.value for family in Family}
    for name in page.sequence(raw, key):
        if name not in known:
            page.refuse(key, f"{name!r} is not a family; known are {', '.join(sorted(known))}")
    return tuple(Family(name) for name in raw)


def _names(page: _Page, _spec: "Field[Any]", raw: Any, key: str) -> tuple[str, ...]:
    if not all(isinstance(name, str) and name for name in page.sequence(raw, key)):
        page.refuse(key, "must be a list of names")
    return tuple(raw)


def _numbers(page: _Page, spec: "Field[Any]", raw: Any, key: str) -> tuple[float, ...]:
    numbers = tuple(page.number(spec, value, key) for value in page.sequence(raw, key))
    if list(numbers) != sorted(set(numbers)):
        page.refuse(key, "must be ascending, each number once")
    return numbers


def _flag(page: _Page, _spec: "Field[Any]", raw: Any, key: str) -> bool:
    if not isinstance(raw, bool):
        page.refuse(key, f"{raw!r} is neither true nor false")
    return bool(raw)


def _fallback(page: _Page, _spec: "Field[Any]", raw: Any, key: str) -> Fallback:
    return page.table(Fallback, raw, key)


_KINDS: dict[str, Callable[[_Page, "Field[Any]", Any, str], Any]] = {
    "flag": _flag, "families": _families, "names": _names, "numbers": _numbers, "fallback": _fallback,
}  # fmt: skip


def _check_detection(page: _Page, rules: Detection) -> None:
    if not rules.low_vix < rules.high_vix < rules.crisis_vix:
        page.refuse("detection.high_vix", "the bands are out of order: low_vix < high_vix < crisis_vix must hold")


def _scalers(page: _Page, raw: Any) -> Scalers:
    body = page.mapping(raw, "scalers")
    page.keys(body, "scalers", {"vix", "term"})
    vix, term = (_steps(page, body[name], f"scalers.{name}") for name in ("vix", "term"))
    if [f for _, f in vix] != sorted((f for _, f in vix), reverse=True):
        page.refuse("scalers.vix", "factors are out of order: a higher VIX must not loosen the caps")
    if [f for _, f in term] != sorted(f for _, f in term):
        page.refuse("scalers.term", "factors are out of order: a flatter term structure must not loosen the caps")
    return Scalers(vix, term)


def _steps(page: _Page, raw: Any, key: str) -> tuple[tuple[float, float], ...]:
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


def _profile(page: _Page, raw: Any, path: str) -> ProfileRules:
    body = page.mapping(raw, path)
    names = {regime.value for regime in LOOSE_TO_TIGHT}
    for name in sorted(names - set(body)):
        page.refuse(_join(path, name), "missing key; add it or restore the file")
    regimes = {r: page.table(RegimeLimits, body[r.value], _join(path, r.value)) for r in LOOSE_TO_TIGHT}
    own = {key: value for key, value in body.items() if key not in names}
    rules = page.table(ProfileRules, own, path, {"regimes": regimes})
    for regime, row in regimes.items():
        _check_row(page, row, _join(path, regime.value))
    _check_order(page, regimes, path)
    return rules


def _check_row(page: _Page, row: RegimeLimits, path: str) -> None:
    if (row.gamma_floor is None) == (row.gamma_cap is None):
        page.refuse(
            _join(path, "gamma_floor"), "exactly one of gamma_floor (short only) and gamma_cap (both) is needed"
        )
    if row.stress_near is not None and row.stress_worst is not None and row.stress_near > row.stress_worst:
        page.refuse(_join(path, "stress_near"), "is above stress_worst: limits are out of order")


_FALLING = ("delta_cap", "stress_near", "stress_worst", "var_95", "vega_share", "short_notional", "position_capital",
            "contracts")  # fmt: skip
_CRISIS_LEAST = (*_FALLING, "vega_floor", "gamma", "defined_loss")


def _check_order(page: _Page, regimes: Mapping[Regime, RegimeLimits], path: str) -> None:
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


def inconsistencies(profile: Profile, rules: ProfileRules, detection: Detection, scalers: Scalers) -> list[str]:
    """What a profile promises and cannot keep, in words.

    A theta target is out of reach when even at the top of the regime's VIX band ½·gamma·VIX²/365 under the scaled gamma
    cap earns less (gamma per 1 % squared, VIX in points: a delta-neutral book is paid its expected gamma loss).
    A vega floor contradicts the stress limit when 15 vol points alone lose more than it; without a stress limit far
    short puts pass every line.
    """
    found: list[str] = []
    tops = {Regime.LOW: detection.low_vix, Regime.NEUTRAL: detection.high_vix, Regime.HIGH: detection.crisis_vix}
    for regime, top in tops.items():
        row = rules.regimes[regime]
        earned = 0.5 * row.gamma * scalers.of_vix(top - 1e-9) * top**2 / 365
        if row.theta_target > earned:
            found.append(
                f"profile {profile}, {regime.words}: the theta target {row.theta_target:.3%} a day is out of reach, "
                f"the gamma limit earns at most {earned:.3%} at VIX {top:g}"
            )
        loss = abs(row.vega_floor) * STRESS_VOL_POINTS
        if row.stress_near is None:
            found.append(
                f"profile {profile}, {regime.words}: no stress limit, and the vega floor alone allows a loss of "
                f"{loss:.0%} of net liquidation for +{STRESS_VOL_POINTS:g} vol points"
            )
        elif loss > row.stress_near + 1e-12:
            found.append(
                f"profile {profile}, {regime.words}: the vega floor allows a loss of {loss:.0%} for "
                f"+{STRESS_VOL_POINTS:g} vol points, above the stress limit {row.stress_near:.0%}"
            )
    return found
