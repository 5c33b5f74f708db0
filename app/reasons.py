"""Why this one: the parts of a proposal's rank, each a named number, and how far it is from the optimum."""

from html import escape

from app import format as fmt
from models.proposed_trade import ProposedTrade


def reasons_line(proposal: ProposedTrade) -> str:
    """Cure, cost, carry, margin, stress, distance from the optimum; a ticket that cures nothing shows what it knows."""
    scores = proposal.scores or {}
    cost, change, after = (scores.get(name) or {} for name in ("cost", "change", "after"))
    full = scores.get("full")
    spread, fees, theta, interest = (fmt.known(cost.get(n)) for n in ("half_spread", "fees", "theta", "margin"))
    parts = f"spread {fmt.money(spread)} · fees {fmt.money(fees)} · theta {fmt.money(theta)}"
    if interest:
        parts += f" · interest {fmt.money(interest)}"
    cells = (
        ("Cure", "all" if full else fmt.percent(fmt.known(scores.get("cure"))), "of what is over its limit, in limits"),
        ("Cost", fmt.money(fmt.known(cost.get("total"))), parts),
        ("Carry", fmt.money(fmt.known(change.get("theta")), sign=True), "theta a day, more or less"),
        ("Margin", fmt.money(fmt.known(change.get("margin")), sign=True), f"maintenance, {proposal.margin_source}"),
        ("Stress", fmt.money(fmt.known(after.get("stress_worst"))), "worst cell's loss after it"),
        ("Optimum", _gap(proposal.optimum_gap), "dearer than anything could be"),
    )
    body = "".join(
        f'<div><small>{escape(name)}</small><b class="n-num">{escape(value)}</b><small>{escape(note)}</small></div>'
        for name, value, note in cells
    )
    return f'<div class="n-prices">{body}</div>'


def _gap(gap: float | None) -> str:
    if gap is None:
        return fmt.UNKNOWN
    return "none cheaper" if gap <= 0 else f"{fmt.percent(gap)} at most"
