"""Limit bars as a block: name and unit at the left, the bar, value and use at the right, and the after-trade mark on
the same bar. The signature of this desk. On the home page every line also says how far it is from its limit, and since
when a passed one has been passed.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from app import format as fmt
from app import look
from app.measures import BY_KIND, MEASURES, Use, after_value, use_after, uses_of, value_text
from models.appetite import BreachRow
from models.quant.breach import BreachKind, Unit, breach_key

NAMES: dict[str, tuple[str, str]] = {
    BreachKind.STRESS_NEAR: ("Near stress", "$ loss"),
    BreachKind.VAR: ("One-day VaR", "$, 95 %"),
    BreachKind.VEGA_SHARE: ("Vega share", "of the total"),
    BreachKind.SHORT_NOTIONAL: ("Short notional", "$"),
    BreachKind.DEFINED_LOSS: ("Defined loss", "$, the largest"),
    BreachKind.EXCESS_LIQUIDITY: ("Excess after −10 %", "$, and +15 vol pts"),
    BreachKind.CONTRACTS: ("Contracts", "in all"),
    BreachKind.THETA_SHARE: ("Theta share", "of what is earned"),
    BreachKind.NEAR_GAMMA: ("Gamma of 0–7 days", "Δ$ per 1 %"),
    BreachKind.STRIKE_CLUSTER: ("Strike cluster", "$ short notional"),
}
"""What a line beside the six measures is called, and its unit."""


class Since:
    """How long each line has been passed, from the memory's open breaches; `now` is machine time."""

    def __init__(self, breaches: Iterable[BreachRow], now: datetime) -> None:
        self._rows = {row.kind: row for row in breaches}
        self._now = now

    def words(self, row: Mapping[str, Any]) -> str:
        found = self._rows.get(breach_key(BreachKind(row["kind"]), str(row.get("subject") or "")))
        return "" if found is None else fmt.age(fmt.seconds_between(found.since, self._now))


def limit_lines(exposure: Mapping[str, Any], since: Since) -> str:
    """The book against every limit: value and limit, use, distance, since when; the six measures first."""
    rows = [row for row in exposure.get("use") or () if not row.get("warns") and row.get("kind") in set(BreachKind)]
    six = {measure.kind: place for place, measure in enumerate(MEASURES)}
    if not rows:
        return _block(_row(use, None, None) for use in uses_of(exposure).values())
    return _lines(sorted(rows, key=lambda row: six.get(str(row["kind"]), len(six))), since)


def caution_lines(exposure: Mapping[str, Any], since: Since) -> str:
    """The lines that are only watched; empty when the book has none."""
    rows = [row for row in exposure.get("use") or () if row.get("warns") and row.get("kind") in set(BreachKind)]
    return _lines(rows, since) if rows else ""


def _lines(rows: Sequence[Mapping[str, Any]], since: Since) -> str:
    head = ("", "", "value / limit", "use", "distance", "since")
    cells = "".join(f'<span class="n-lhead">{word}</span>' for word in head)
    return f'<div class="n-limits n-limits-full">{cells}{"".join(_line(row, since) for row in rows)}</div>'


def _line(row: Mapping[str, Any], since: Since) -> str:
    kind, use, is_cap = str(row["kind"]), fmt.known(row.get("use")), bool(row.get("is_cap", True))
    measure, words = BY_KIND.get(kind), str(row.get("words") or "")
    name, unit = (measure.name, measure.unit) if measure else NAMES[kind]
    unit = unit if is_cap or row.get("warns") else f"{unit}, target"
    unit = " · ".join(part for part in (str(row.get("subject") or ""), unit) if part)
    value, limit = (_text(row, fmt.known(row.get(key))) for key in ("value", "limit"))
    return (
        f'<span class="n-name" title="{escape(words)}">{escape(name)}'
        f"<small>{escape(unit)}</small></span>{look.bar(use, is_cap=is_cap, words=words or name)}"
        f'<span class="n-val"><b>{value}</b> / {limit}</span><span class="n-use">{_use_word(use, is_cap)}</span>'
        f'<span class="n-val">{_distance(row)}</span><span class="n-val">{since.words(row)}</span>'
    )


def _text(row: Mapping[str, Any], value: float | None) -> str:
    measure, unit = BY_KIND.get(str(row["kind"])), row.get("unit")
    if measure is not None:
        return value_text(measure, value, sign=False)
    if unit == Unit.COUNT:
        return fmt.number(value)
    return fmt.percent(value) if unit == Unit.RATIO else fmt.large_money(value)


def _distance(row: Mapping[str, Any]) -> str:
    """How far past the line, or how much is left to it."""
    distance, breached = fmt.known(row.get("distance")), row.get("breached")
    if distance is None or breached is None:
        return fmt.UNKNOWN
    amount = _text(row, abs(distance))
    if row["kind"] == BreachKind.THETA:
        return f"{amount} {'short' if distance < 0 else 'more'}"
    if not breached:
        return f"{amount} left"
    return f'<b class="{"n-over" if row.get("is_cap", True) else "n-warn"}">{amount} over</b>'


def proposal_bars(exposure: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Six bars: use before the trade, and the mark where the trade would put it, against the limits in force now."""
    uses = uses_of(exposure)
    nlv = fmt.known((exposure.get("exposure") or {}).get("nlv"))
    rows = []
    for measure in MEASURES:
        now = uses[measure.key]
        was, will = (
            after_value(measure, before.get(measure.key), nlv),
            after_value(measure, after.get(measure.key), nlv),
        )
        shown = Use(measure, was, now.limit, use_after(now, was), now.why) if was is not None else now
        rows.append(_row(shown, will, use_after(now, will)))
    return _block(rows)


def _block(rows: Iterable[str]) -> str:
    return f'<div class="n-limits">{"".join(rows)}</div>'


def _row(use: Use, will: float | None, will_use: float | None) -> str:
    measure = use.measure
    values, used = value_text(measure, use.value), _use_word(use.use, measure.is_cap)
    words = use.words()
    if will is not None:
        values += f" → <b>{value_text(measure, will)}</b>"
        used += f" → {_use_word(will_use, measure.is_cap)}"
        words += f"; after the trade {fmt.percent(will_use)}"
    if use.value is None and use.why:
        values = f'{fmt.UNKNOWN} <span class="n-mute">{escape(use.why[:60])}</span>'
    bar = look.bar(use.use, will_use, is_cap=measure.is_cap, words=words)
    unit = measure.unit if measure.is_cap else f"{measure.unit}, target"
    return (
        f'<span class="n-name" title="{escape(measure.formula)}">{escape(measure.name)}'
        f"<small>{escape(unit)}</small></span>"
        f'{bar}<span class="n-val">{values}</span><span class="n-use">{used}</span>'
    )


def _use_word(use: float | None, is_cap: bool) -> str:
    if use is None:
        return fmt.UNKNOWN
    tone = "" if not is_cap or use < look.AMBER_FROM else "n-warn" if use <= look.RED_ABOVE else "n-over"
    text = fmt.percent(use) if use < 10 else "over 1,000 %"
    return f'<b class="{tone}">{text}</b>' if tone else f"<b>{text}</b>"
