"""A bound of what a ticket can add to a book's requirement, for a million tickets at once.

Two pairings side by side are a pairing of both, so book and ticket together never ask more than each alone: the bound
is the ticket's own requirement by its best pairing. That holds leg by leg only while nothing is netted. A leg that
closes is therefore taken out of the ticket first and charged apart:
- buying back a short asks nothing: every pairing of the book stays one without it, and none of them asks more;
- selling a held long asks what its partner would ask instead. In a spread that is a short of its right left naked, and
  as far as the long was deeper in the money, the difference of the strikes; or, without a short of its right there,
  the stretch in which it and shorts of the other right pay together; with shares, their own rate; lent on, the loan.
The dearest of these is charged, or the leg's naked requirement where that is more (it may sell more than is held).
Both initial and maintenance changes stay within the bound. Closings are few and bound loosely: ask them exactly.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.margin_book import FUTURES, Prepared, netted, root_of
from models.quant.margin_rules import CBOE, StrategyRules
from models.quant.margin_strategies import Held, naked
from models.quant.option import Contract
from models.quant.terms import Holding, MarketView
from models.quant.tickets import Tickets

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BoundTable:
    """N contracts as the bound sees them, per contract in currency; NaN is unknown.

    `facts` (N, 10), in the order of the kernel's columns: what may pair or is scanned together (a number per group) ·
    1 for a call · strike · expiry, seconds · contract size · naked requirement · value of an option · charges for
    buying and for selling where a leg pairs with nothing (shares, closings), NaN for the rest · initial over
    maintenance of what is scanned, 0 for the rest. `arrays` (N, 16) are profits of what is scanned.
    """

    facts: Floats
    arrays: Floats


def nothing_bound(count: int) -> BoundTable:
    """`count` contracts of which nothing is asked."""
    from models.quant.kernels import margin as columns

    return BoundTable(np.zeros((count, columns.FACTS)), np.zeros((count, 16)))


def bound_table(
    contracts: Sequence[Contract], holdings: Sequence[Holding], market: MarketView, rules: StrategyRules = CBOE
) -> BoundTable:
    """Facts of `contracts`, in their order, beside a book."""
    from models.quant.kernels import margin as columns

    prepared = Prepared(market, rules)
    book = {c: q for c, q in netted(holdings).items() if q}
    known = prepared.facts([*contracts, *book])
    together: dict[str, dict[Contract, Held]] = defaultdict(dict)
    for c, q in book.items():
        together[prepared.group_of(c)][c] = known[c].held.with_quantity(q)
    facts, arrays = prepared.columns(contracts), np.zeros((len(contracts), 16))
    for fact, array, c in zip(facts, arrays, contracts, strict=True):
        if c.sec_type in FUTURES:
            profits, root = known[c].array, rules.scans.get(root_of(c))
            array[:] = np.nan if profits is None else profits
            fact[columns.SCALED] = 1.0 if root is None else root[1].initial
            continue
        mates = together.get(prepared.group_of(c), {})
        fact[columns.BUYING], fact[columns.SELLING] = _charges(known[c].held, mates, rules)
    return BoundTable(facts, arrays)


def margin_bound(tickets: Tickets, table: BoundTable) -> Floats:
    """At most so much more per unit of each ticket (C,), currency; of q units at most q times as much. NaN unknown."""
    from models.quant.kernels import margin

    out = np.empty(len(tickets))
    legs, ratios = np.ascontiguousarray(tickets.legs), np.ascontiguousarray(tickets.ratios)
    margin.tickets(legs, ratios, table.facts, table.arrays, out)
    return out


def _charges(what: Held, mates: Mapping[Contract, Held], rules: StrategyRules) -> tuple[float, float]:
    """(buying, selling) one contract where it does not pair; NaN where it does."""
    mine = mates.get(what.contract)
    quantity = 0.0 if mine is None else mine.quantity
    if not what.contract.is_option:
        return _share_charges(what, quantity, mates, rules)
    buying = 0.0 if quantity < 0 and np.isfinite(what.price) else np.nan
    selling = max(naked(what, rules), _uncovering(what, mates, rules)) if quantity > 0 else np.nan
    return buying, selling


def _uncovering(long: Held, mates: Mapping[Contract, Held], rules: StrategyRules) -> float:
    """The most that one held long fewer can add."""
    worst = rules.loan * long.value if long.years > rules.loan_years else 0.0
    for other in mates.values():
        if not other.contract.is_option:
            rate = rules.shares.short_maintenance if other.quantity < 0 else rules.shares.long_maintenance
            protects = long.is_call == (other.quantity < 0) and other.contract.symbol == long.contract.symbol
            worst = max(worst, rate * other.spot * long.size if protects else 0.0)
        elif other.quantity < 0 and other.contract.symbol == long.contract.symbol and long.ends >= other.ends:
            deeper = (other.strike - long.strike if long.is_call else long.strike - other.strike) * long.size
            alone = naked(other, rules) if other.is_call == long.is_call else 0.0
            worst = max(worst, alone + max(deeper, 0.0))
    return worst


def _share_charges(
    what: Held, quantity: float, mates: Mapping[Contract, Held], rules: StrategyRules
) -> tuple[float, float]:
    """Shares ask their rate. One share fewer can break one covered or protected contract."""
    rates = rules.shares
    opening = max(rates.initial, rates.long_maintenance, rates.short_maintenance) * what.spot * what.size
    broken = 0.0
    for other in mates.values():
        if other.contract.is_option:
            tracker = rules.trackers.get(other.contract.symbol)
            per_unit = 1.0 if tracker is None or other.contract.symbol == what.contract.symbol else tracker.per_unit
            whole = opening * other.size * per_unit
            broken = max(broken, whole + (naked(other, rules) if other.quantity < 0 else 0.0))
    return (opening + broken if quantity < 0 else opening), (opening + broken if quantity > 0 else opening)
