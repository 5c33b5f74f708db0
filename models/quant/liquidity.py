"""Is there a market to enter and to leave by: what a leg's quote shows of size, and how many contracts are open."""

from collections.abc import Sequence

from models.quant.gate_facts import QuoteFact
from models.quant.regime_rules import GateRules


def thin_side(rules: GateRules, quotes: Sequence[QuoteFact], quantity: int) -> str | tuple[int, str] | None:
    """None where the smaller side of every leg's market shows the floor, and its share of what the ticket trades of it.

    Else why not, with the quantity that would fit where one would. An unknown size fits nothing.
    """
    short: list[tuple[int, str]] = []
    for q in quotes:
        if q.bid_size is None or q.ask_size is None:
            return f"the size of the market of {q.name} is unknown"
        shown, traded = min(q.bid_size, q.ask_size), quantity * q.ratio
        needed = max(rules.size_floor, rules.size_share * traded)
        if shown + 1e-9 < needed:
            most = int(shown / (rules.size_share * q.ratio) + 1e-9) if shown >= rules.size_floor else 0
            short.append((most, f"{q.name} shows {shown:g} at its thinner side, under {needed:g} for {traded} of it"))
    if not short:
        return None
    most, words = min(short)
    return (most, words) if most > 0 else words


def few_open(rules: GateRules, quotes: Sequence[QuoteFact]) -> str | None:
    """Why too few contracts are open in an option; unknown counts only where the rules require to know.

    A feed that never tells open interest would else leave nothing to trade. Shares and futures have none to ask of.
    """
    for q in quotes:
        if not q.is_option:
            continue
        if q.open_interest is None:
            if rules.open_interest_required:
                return f"the open interest of {q.name} is unknown"
        elif q.open_interest < rules.open_interest_floor:
            return f"{q.name} has {q.open_interest:g} contracts open, under {rules.open_interest_floor:g}"
    return None
