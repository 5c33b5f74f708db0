"""Why this one: the parts of a proposal's rank, each a named number, and how far it is from the optimum."""

from html import escape

from app import format as fmt
from models.proposed_trade import ProposedTrade


def reasons_line(proposal: ProposedTrade) -> str:
    """Cure, cost, carry, margin, stress, distance from the optimum; a ticket that cures nothing shows what it knows."""
    scores = proposal.scores or {}
    cost, change, after = (scores.get(name) or {} for name in ("cost", "change", "after"))
    named = (("half_spread", "spread"), ("theta", "theta"), ("margin", "interest"), ("fees", "fees"))
    known = [(fmt.known(cost.get(key)), word) for key, word in named]
    largest = sorted(((value, word) for value, word in known if value), reverse=True)[:2]
    parts = " · ".join(f"{word} {fmt.money(value)}" for value, word in largest)
    cells = (
        ("Cure", _cure(fmt.known(scores.get("cure")), bool(scores.get("full"))), "of what is over"),
        ("Cost", fmt.money(fmt.known(cost.get("total"))), parts),
        ("Carry", fmt.money(fmt.known(change.get("theta")), sign=True), "theta a day, more or less"),
        ("Margin", fmt.money(fmt.known(change.get("margin")), sign=True), f"maintenance, {proposal.margin_source}"),
        ("Stress", fmt.money(fmt.known(after.get("stress_worst"))), "worst cell's loss after it"),
        ("Optimum", _gap(proposal.optimum_gap), "over the least possible"),
    )
    body = "".join(
        f'<div><small>{escape(name)}</small><b class="n-num">{escape(value)}</b><small>{escape(note)}</small></div>'
        for name, value, note in cells
    )
    return f'<div class="n-prices">{body}</div>'


def _cure(cure: float | None, full: bool) -> str:
    """Where no limit is passed there is nothing to cure: that is not the same as curing all."""
    if cure is None or cure <= 0:
        return fmt.UNKNOWN if cure is None else "nothing"
    return "all" if full else fmt.percent(cure)


def _gap(gap: float | None) -> str:
    if gap is None:
        return fmt.UNKNOWN
    return "none cheaper" if gap <= 0 else f"{fmt.percent(gap)} at most"
