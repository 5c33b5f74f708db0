"""The limits of a profile as a table: one line per limit, one column per regime, and what is in force now in money."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from app import format as fmt
from app import look
from models.quant.regime_rules import LOOSE_TO_TIGHT, ProfileRules, Regime, RegimeLimits


def _percent(value: float) -> str:
    return f"{f'{value * 100:g}'.replace('-', fmt.MINUS)} %"


def _times(value: float) -> str:
    return f"{value:g} ×"


def _count(value: float) -> str:
    return fmt.number(value)


@dataclass(frozen=True)
class Line:
    """One limit: its name, the key of the profile, the key among the limits in force, how both are spelled."""

    name: str
    key: str
    applied: str
    spelled: Callable[[float], str] = _percent
    money: bool = True


LINES = (
    Line("Theta target, per day", "theta_target", "theta_target"),
    Line("Vega floor, per vol point", "vega_floor", "vega_floor"),
    Line("Delta cap, per +1 % SPX", "delta_cap", "delta_cap"),
    Line("Gamma limit, per +1 % twice", "gamma", "gamma_cap"),
    Line("Near stress, −10 % / +15", "stress_near", "stress_near"),
    Line("Worst stress cell", "stress_worst", "stress_worst"),
    Line("One-day VaR 95 %", "var_95", "var_95"),
    Line("Vega share of one underlying", "vega_share", "vega_share", money=False),
    Line("Short notional", "short_notional", "short_notional", _times),
    Line("Loss of one defined risk", "defined_loss", "defined_loss"),
    Line("Capital of one position", "position_capital", "position_capital"),
    Line("Contracts", "contracts", "contracts", _count, money=False),
)


def limits_table(rules: ProfileRules, regime: Regime, applied: Mapping[str, Any]) -> str:
    """`applied`: the limits the book was last judged by (`Limits.to_json`), scaled and in money; empty when unknown."""
    head = ["Limit", *(_column(one, regime) for one in LOOSE_TO_TIGHT), "In force, $"]
    rows = [
        (
            escape(line.name),
            *(_cell(line, rules.regimes[one], one is regime) for one in LOOSE_TO_TIGHT),
            _now(line, applied),
        )
        for line in LINES
        if any(getattr(rules.regimes[one], line.key) is not None for one in LOOSE_TO_TIGHT)
    ]
    rows.append(
        (
            "Margin used at most",
            *[_percent(rules.margin_max)] * len(LOOSE_TO_TIGHT),
            fmt.percent(fmt.known(applied.get("margin_max"))),
        )
    )
    rows.append(
        (
            "Loss of a day that pauses",
            *[_percent(rules.daily_loss)] * len(LOOSE_TO_TIGHT),
            fmt.money(applied.get("daily_loss")),
        )
    )
    return look.table(head, rows)


def _column(one: Regime, now: Regime) -> str:
    words = one.words.replace(" volatility", "").capitalize()
    return f'<b class="n-gain">● {words}</b>' if one is now else words


def _cell(line: Line, row: RegimeLimits, is_now: bool) -> str:
    value = getattr(row, line.key)
    words = "not limited" if value is None else line.spelled(float(value))
    return f"<b>{escape(words)}</b>" if is_now else escape(words)


def _now(line: Line, applied: Mapping[str, Any]) -> str:
    value = fmt.known(applied.get(line.applied))
    if value is None:
        return fmt.UNKNOWN
    return fmt.money(value) if line.money else line.spelled(value)


def allowed_words(rules: ProfileRules, regime: Regime) -> str:
    """Which strategies the regime of now leaves, in one line."""
    if regime is Regime.UNKNOWN:
        return "The regime is unknown: only what reduces is proposed, against the tightest of these limits."
    names = ", ".join(family.replace("_", " ") for family in rules.regimes[regime].families)
    return f"Searched for in {regime.words}: {names}. Vega, delta and gamma are scaled by VIX and its term structure."
