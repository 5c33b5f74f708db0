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

    `group` may pair or is scanned together · `alone` naked requirement · `value` of an option · `buying`, `selling`
    charges for legs that pair with nothing (shares, closings), NaN for the rest · `arrays` (N, 16) profits of what is
    scanned and `scaled` its initial over maintenance, 0 for the rest.
    """

    group: NDArray[np.int64]
    call: NDArray[np.bool_]
    strike: Floats
    ends: Floats
    size: Floats
    alone: Floats
    value: Floats
    buying: Floats
    selling: Floats
    arrays: Floats
    scaled: Floats


def bound_table(
    contracts: Sequence[Contract], holdings: Sequence[Holding], market: MarketView, rules: StrategyRules = CBOE
) -> BoundTable:
    """Facts of `contracts`, in their order, beside a book."""
    prepared = Prepared(market, rules)
    book = {c: q for c, q in netted(holdings).items() if q}
    facts = prepared.facts([*contracts, *book])
    held = {c: facts[c].held.with_quantity(q) for c, q in book.items()}
    n = len(contracts)
    keys: dict[object, int] = {}
    group = [keys.setdefault(_key(prepared, c), len(keys)) for c in contracts]
    numbers = np.full((8, n), np.nan)
    strike, ends, size, alone, value, buying, selling, scaled = numbers
    arrays = np.zeros((n, 16))
    scaled[:] = 0.0
    for i, c in enumerate(contracts):
        mine = facts[c]
        strike[i], ends[i], size[i] = mine.held.strike, mine.held.ends, mine.held.size
        value[i] = mine.held.value if c.is_option else 0.0
        if c.sec_type in FUTURES:
            arrays[i] = np.nan if mine.array is None else mine.array
            root = rules.scans.get(root_of(c))
            scaled[i] = 1.0 if root is None else root[1].initial
            continue
        alone[i] = naked(mine.held, rules) if c.is_option else np.nan
        mates = {k: h for k, h in held.items() if prepared.group_of(k) == prepared.group_of(c)}
        buying[i], selling[i] = _charges(mine.held, mates, rules)
    call = np.array([facts[c].held.is_call for c in contracts], dtype=bool)
    return BoundTable(
        np.array(group, dtype=np.int64), call, strike, ends, size, alone, value, buying, selling, arrays, scaled
    )


def margin_bound(tickets: Tickets, table: BoundTable) -> Floats:
    """At most so much more per unit of each ticket (C,), currency; of q units at most q times as much. NaN unknown."""
    from models.quant.kernels import margin

    out = np.empty(len(tickets))
    margin.tickets(
        np.ascontiguousarray(tickets.legs), np.ascontiguousarray(tickets.ratios),
        table.group, table.call, table.strike, table.ends, table.size, table.alone, table.value,
        table.buying, table.selling, table.arrays, table.scaled, out,
    )  # fmt: skip
    return out


def _key(prepared: Prepared, contract: Contract) -> object:
    if contract.sec_type in FUTURES:
        return prepared.group_of(contract)
    return contract.symbol, contract.multiplier


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
