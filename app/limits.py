"""Limit bars as a block: name and unit at the left, the bar, value and use at the right, and the after-trade mark on
the same bar. The signature of this desk.
"""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from app import format as fmt
from app import look
from app.measures import BY_KIND, MEASURES, Use, after_value, use_after, uses_of, value_text


def exposure_bars(exposure: Mapping[str, Any]) -> str:
    """The book against its limits as it stands: the six measures, then whatever else the profile limits."""
    six = [_row(use, None, None) for use in uses_of(exposure).values()]
    others = [row for row in exposure.get("use") or () if row.get("kind") not in BY_KIND]
    return _block([*six, *(_other(row) for row in others)])


OTHERS = {
    "stress_near": "Near stress",
    "var_95": "One-day VaR 95 %",
    "vega_share": "Vega share",
    "short_notional": "Short notional",
    "defined_loss": "Defined loss",
    "excess_liquidity": "Excess after −10 %",
}


def _other(row: Mapping[str, Any]) -> str:
    """A limit beside the six, as the valuation wrote it."""
    use, value, is_cap = fmt.known(row.get("use")), fmt.known(row.get("value")), bool(row.get("is_cap", True))
    kind, subject, ratio = str(row.get("kind")), str(row.get("subject") or ""), row.get("unit") == "ratio"
    name = f"{OTHERS.get(kind, kind.replace('_', ' '))} {subject}".strip()
    text = fmt.percent(value) if ratio else fmt.money(value)
    bar = look.bar(use, is_cap=is_cap, words=str(row.get("words") or name))
    unit = "of the total" if ratio else "$"
    return (
        f'<span class="n-name" title="{escape(str(row.get("words") or ""))}">{escape(name)}<small>{unit}</small></span>'
        f'{bar}<span class="n-val">{text}</span><span class="n-use">{_use_word(use, is_cap)}</span>'
    )


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
