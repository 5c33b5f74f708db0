"""Which regime the market is in, which one the desk applies, and what that allows in currency.

Detection has no memory; the applied regime tightens at once and loosens only after closes well inside the band.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.quant.limits import Limits, limits_of, unknown_limits
from models.quant.manage_rules import ManageRules
from models.quant.regime_file import RegimeFileError, read_rules, rules_from
from models.quant.regime_rules import (
    LOOSE_TO_TIGHT,
    Detection,
    Family,
    GateRules,
    HedgeRules,
    Profile,
    ProfileRules,
    Regime,
    Scalers,
    WatchRules,
)

__all__ = [
    "Close", "Detection", "Family", "GateRules", "HedgeRules", "Limits", "Profile", "Regime", "RegimeBook",
    "RegimeFileError", "RegimeReading", "applied", "detect", "load_regimes", "regimes_from", "tighter",
]  # fmt: skip


@dataclass(frozen=True)
class RegimeReading:
    """The regime of one moment. `partial`: an optional input was missing and its clause was skipped.

    `without_recession` is the regime that VIX, VVIX and term structure alone give; when it is looser than `regime`,
    recession tightens the caps and leaves the theta target where it was.
    """

    regime: Regime
    without_recession: Regime
    partial: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Close:
    """One day's close of the volatility indices, in points; vvix may be unknown."""

    vix: float
    vix3m: float
    vvix: float | None = None


def detect(
    vix: float | None, vix3m: float | None, vvix: float | None, recession: float | None, rules: Detection
) -> RegimeReading:
    """The regime by DOMAIN.md section 2: points for the indices, probability for recession; comparisons are strict.

    VIX and VIX3M are required (missing or not positive → unknown); VVIX and recession are optional.
    """
    missing = [name for name, value in (("VIX", vix), ("VIX3M", vix3m)) if value is None or not value > 0]
    if missing or vix is None or vix3m is None:
        notes = tuple(f"{name} is unknown" for name in missing)
        return RegimeReading(Regime.UNKNOWN, Regime.UNKNOWN, partial=True, notes=notes)
    base = _by_volatility(vix, vix3m / vix, vvix, rules)
    notes = tuple(
        f"{name} is unknown: its clause is skipped"
        for name, v in (("VVIX", vvix), ("recession", recession))
        if v is None
    )
    regime = base
    if recession is not None and recession > rules.high_recession:
        regime = tighter(base, Regime.HIGH)
        notes += (f"recession probability {recession:.0%} tightens the caps",)
    return RegimeReading(regime, base, vvix is None or recession is None, notes)


def _by_volatility(vix: float, term: float, vvix: float | None, rules: Detection, shift: float = 0.0) -> Regime:
    """`shift` points are added to VIX for the level clauses only: how the closes of `applied` are held to the band."""
    level = vix + shift
    if level > rules.crisis_vix or (vvix is not None and vvix > rules.crisis_vvix):
        return Regime.CRISIS
    if level > rules.high_vix:
        return Regime.HIGH
    if level < rules.low_vix and term > rules.low_term:
        return Regime.LOW
    return Regime.NEUTRAL


def tighter(one: Regime, other: Regime) -> Regime:
    """The tighter of two known regimes."""
    return max(one, other, key=LOOSE_TO_TIGHT.index)


def applied(previous: Regime | None, reading: RegimeReading, closes: Sequence[Close], rules: Detection) -> Regime:
    """The regime the desk applies. `previous` is the last known applied one; `closes` are daily, newest last.

    Tightens at once. Loosens only as far as the last `loosen_closes` closes, each `loosen_points` VIX points inside
    the band, allow. Unknown now is unknown; with no known previous regime the reading is taken as it is.
    """
    now = reading.regime
    if now is Regime.UNKNOWN or previous is None or previous is Regime.UNKNOWN:
        return now
    if LOOSE_TO_TIGHT.index(now) >= LOOSE_TO_TIGHT.index(previous):
        return now
    last = closes[len(closes) - rules.loosen_closes :] if len(closes) >= rules.loosen_closes else ()
    if not last:
        return previous
    held: Regime = now
    for close in last:
        held = tighter(held, _by_volatility(close.vix, close.vix3m / close.vix, close.vvix, rules, rules.loosen_points))
    return held if LOOSE_TO_TIGHT.index(held) < LOOSE_TO_TIGHT.index(previous) else previous


@dataclass(frozen=True)
class RegimeBook:
    """The validated appetite: what `risk_regimes.toml`, or a later version of it, says.

    `warnings` are what each profile promises and cannot keep, in words.
    """

    source_name: str
    detection: Detection
    scalers: Scalers
    profiles: Mapping[Profile, ProfileRules]
    gates: GateRules
    hedges: HedgeRules
    watch: WatchRules
    manage: ManageRules
    warnings: Mapping[Profile, tuple[str, ...]] = field(default_factory=dict)

    def detect(
        self, vix: float | None, vix3m: float | None, vvix: float | None = None, recession: float | None = None
    ) -> RegimeReading:
        return detect(vix, vix3m, vvix, recession, self.detection)

    def applied(self, previous: Regime | None, reading: RegimeReading, closes: Sequence[Close] = ()) -> Regime:
        return applied(previous, reading, closes, self.detection)

    def limits(
        self,
        profile: Profile | str,
        regime: Regime,
        nlv: float | None,
        vix: float | None,
        term: float | None,
        without_recession: Regime | None = None,
    ) -> Limits:
        """Limits in currency. `term` = VIX3M / VIX. NLV None → every limit unknown; unknown regime, VIX or term → the
        tightest known, flagged. With `without_recession` looser than `regime` only the caps follow `regime`.
        """
        chosen = Profile(profile)
        if nlv is None:
            return unknown_limits(chosen, self.profiles[chosen], regime)
        return limits_of(chosen, self.profiles[chosen], self.scalers, regime, nlv, vix, term, without_recession)


def load_regimes(text: str, source_name: str) -> RegimeBook:
    """The book from TOML text; raises RegimeFileError naming the source and the key."""
    return regimes_from(read_rules(text, source_name), source_name)


def regimes_from(raw: Mapping[str, Any], source_name: str) -> RegimeBook:
    """The book from the TOML's content as a mapping (a row of `limits`); raises RegimeFileError likewise."""
    rules = rules_from(raw, source_name)
    return RegimeBook(
        source_name,
        rules.detection,
        rules.scalers,
        rules.profiles,
        rules.gates,
        rules.hedges,
        rules.watch,
        rules.manage,
        rules.warnings,
    )
