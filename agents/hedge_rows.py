"""A check as the memory keeps it and as the screen prints it: the proposals, and the table in words."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from bridge.outlook import Outlook
from models.proposed_trade import Check, MarginSource, Origin, ProposedTrade, origin_words
from models.quant.breach import Breach
from models.quant.candidate import Candidate
from models.quant.regime_rules import Regime
from models.quant.structure import legs_hash

Refused = dict[str, list[str]]
"""Reason as counted → the refused, each in words with its own reason."""


def proposal_row(
    candidate: Candidate, account_id: str, origin: Origin, set_id: str | None, created: datetime, expires: datetime
) -> ProposedTrade:
    """One ticket; the money columns exact, the rest as weighed. Rows of one `set_id` are alternatives."""
    margin = candidate.margin
    source = MarginSource.UNKNOWN if margin is None or margin.initial is None else MarginSource(margin.source)
    return ProposedTrade(
        account_id=account_id,
        strategy_name=candidate.strategy_name,
        legs_json=[leg.to_json() for leg in candidate.legs],
        legs_hash=legs_hash(candidate.legs),
        quantity=candidate.quantity,
        limit_price=candidate.limit_price,
        worst_price=candidate.worst_price,
        net_premium=exact(candidate.net_premium),
        init_margin_impact=exact(margin.initial if margin else None),
        maint_margin_impact=exact(margin.maintenance if margin else None),
        margin_impact=exact(candidate.capital_impact),
        margin_source=source,
        efficiency_score=candidate.efficiency_score,
        delta_reduction=candidate.delta_reduction,
        vega_reduction=candidate.vega_reduction,
        origin=origin,
        justification=f"{candidate.words} {_what_is_left(candidate)}",
        breach_set_id=set_id,
        scores=candidate.scores(),
        created_at=created,
        expires_at=expires,
    )


def _what_is_left(candidate: Candidate) -> str:
    """Whether every breached cap is cured, and else which stay."""
    if candidate.full:
        return "Every limit is met then."
    names = " and ".join(name.replace("_", " ") for name in candidate.remaining)
    return f"Still over its limit then: {names}." if names else ""


def exact(value: float | None) -> Decimal | None:
    """Currency to the cent and beyond: six decimals, None stays unknown."""
    return None if value is None else Decimal(repr(value)).quantize(Decimal("0.000001"))


def sentence_of(
    breaches: Sequence[Breach],
    chosen: Sequence[Candidate],
    looked_at: int,
    refused: Refused,
    cured_in_flight: bool = False,
) -> str:
    """What the check found, in words."""
    caps = [breach for breach in breaches if breach.is_cap]
    if cured_in_flight:
        return f"{' '.join(breach.words for breach in caps)} What is in flight cures it; nothing more is proposed."
    if chosen:
        return f"{len(chosen)} of {looked_at:,} possible trades proposed. {chosen[0].words}"
    if not breaches:
        return "No limit is passed; nothing to hedge."
    words = " ".join(breach.words for breach in caps or breaches)
    if not caps:
        return f"No cap is passed. {words} Nothing proposed."
    example = next((words[0] for words in refused.values() if words), None)
    because = f" The best refused: {example}." if example else ""
    return f"{words} No feasible hedge found among {looked_at:,} possible trades.{because}"


def with_caveat(words: str, outlook: Outlook) -> str:
    """The words, and what the regime they lean on does not know: unknown allows only what reduces, partial is told."""
    notes = " and ".join(outlook.reading.notes)
    if outlook.regime is Regime.UNKNOWN:
        return f"{words} The regime is unknown ({notes}): only what reduces, against the tightest known limits."
    return f"{words} The regime is partial ({notes})." if outlook.reading.partial else words


def table(check: Check, rows: Sequence[ProposedTrade]) -> str:
    """The check as `--run-once` prints it."""
    lines = [
        f"Check of {check.at:%Y-%m-%d %H:%M:%S} UTC · regime {check.regime} · profile {check.profile} · "
        f"{check.breaches} breached caps · {check.candidates:,} trades looked at in {check.seconds:.1f} s",
        check.sentence,
    ]
    if rows:
        lines += ["", _line("#", "proposal", "qty", "limit", "worst", "premium", "init margin", "source", "score")]
        for place, row in enumerate(rows, 1):
            lines.append(
                _line(
                    str(place), row.strategy_name, str(row.quantity), f"{row.limit_price:.2f}",
                    f"{row.worst_price:.2f}", _money(row.net_premium), _money(row.init_margin_impact),
                    row.margin_source, "n/a" if row.efficiency_score is None else f"{row.efficiency_score:.4g}",
                )
            )  # fmt: skip
            lines += [f"    {leg['action']:<4} {leg['ratio']} × {leg['identity']}" for leg in row.legs_json]
            because = f"{origin_words(row)} · " if row.origin == Origin.MANAGE else ""
            lines.append(f"    {because}{row.justification}")
    refused = {reason: count for reason, count in check.refused.items() if reason != "example"}
    if refused:
        lines += ["", "Refused:"] + [f"  {count:>8,}  {reason}" for reason, count in refused.items()]
    if check.refused.get("example"):
        lines.append(f"  best refused: {check.refused['example']}")
    return "\n".join(lines) + "\n"


def _line(*cells: str) -> str:
    widths = (2, 24, 5, 9, 9, 12, 12, 9, 8)
    return "  ".join(
        f"{cell:<{w}}" if i < 2 else f"{cell:>{w}}" for i, (cell, w) in enumerate(zip(cells, widths, strict=True))
    )


def _money(value: Decimal | None) -> str:
    return "n/a" if value is None else f"{value:,.2f}"
