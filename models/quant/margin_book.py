"""A book prepared for margin: its contracts' facts once, then one requirement for each group that may pair up.

A group is an underlying's options and shares (with an index, the fund that tracks it) or a family of futures. Groups
ask independently of each other, so a trade re-asks only those it touches.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from models.quant.margin_pairing import Chosen, Pairing, pair
from models.quant.margin_rules import StrategyRules
from models.quant.margin_scan import risk_arrays, scan_risk
from models.quant.margin_strategies import PENNY, Asked, Held, Shares, naked, strategies
from models.quant.option import Contract, SecType
from models.quant.product import expiry_instant
from models.quant.strategies import recognised
from models.quant.terms import Holding, MarketView, terms_of

Floats = NDArray[np.float64]
Quantities = Mapping[int, float]  # signed, by the place of a contract among those known
FUTURES = (SecType.FUTURE, SecType.FUTURE_OPTION)
_NOTHING = Asked(0.0, 0.0)


@dataclass(frozen=True)
class MarginLine:
    """One part of a requirement, in currency: what it is, the signed lots it is made of and their market value.

    Where the cheapest pairing for maintenance differs from the initial one, each has its own lines and asks 0 in the
    other. A negative number is lent: on options with more than nine months to run.
    """

    what: str
    initial: float
    maintenance: float
    value: float = 0.0
    symbol: str = ""
    lots: tuple[tuple[Contract, float], ...] = ()


@dataclass(frozen=True)
class Group:
    """What one group asks; `missing` names what is unknown and then there are no lines.

    `gap`: by how much of itself a requirement could still be lower, where the search was cut short.
    """

    asked: Asked = _NOTHING
    missing: tuple[str, ...] = ()
    scanned: bool = False
    gap: float = 0.0
    itemised: Callable[[], Iterable[MarginLine]] = tuple

    @cached_property
    def lines(self) -> tuple[MarginLine, ...]:
        """Written when first looked at: most groups are only asked for their sum."""
        return tuple(self.itemised())


@dataclass(frozen=True)
class Facts:
    """One contract at the market: as Held, and for what is scanned its sixteen profits and its value."""

    held: Held
    array: Floats | None = None


class Prepared:
    """Facts are looked up once per contract and kept for the life of this object: one market, one house."""

    def __init__(self, market: MarketView, rules: StrategyRules) -> None:
        from models.quant.kernels import margin as columns

        self.market, self.rules = market, rules
        self._columns = columns
        self._places: dict[Contract, int] = {}
        self._known: list[Facts] = []
        self._names: list[str] = []
        self._mates: dict[object, int] = {}
        self._table = np.zeros((0, columns.FACTS))
        self._asked: dict[frozenset[tuple[int, float]], Group] = {}

    def group_of(self, contract: Contract) -> str:
        """The name of the group a contract belongs to."""
        if contract.sec_type in FUTURES:
            root = root_of(contract)
            return f"{self.rules.scans[root][0] if root in self.rules.scans else root} futures"
        tracker = self.rules.trackers.get(contract.symbol)
        return tracker.symbol if tracker is not None else contract.symbol

    def split(self, holdings: Iterable[Holding]) -> dict[str, dict[int, float]]:
        """Net quantities by group; what is flat is gone."""
        groups: dict[str, dict[int, float]] = defaultdict(dict)
        for place, quantity in self._placed(holdings):
            mine = groups[self._names[place]]
            mine[place] = mine.get(place, 0.0) + quantity
        return {name: kept for name, group in groups.items() if (kept := {p: q for p, q in group.items() if q})}

    def joined(self, groups: Mapping[str, Quantities], added: Iterable[Holding]) -> dict[str, dict[int, float]]:
        """The groups that `added` touches as they are when it has joined; a flat one is empty."""
        touched: dict[str, dict[int, float]] = {}
        for place, quantity in self._placed(added):
            name = self._names[place]
            if name not in touched:
                touched[name] = dict(groups.get(name, {}))
            left = touched[name].pop(place, 0.0) + quantity
            if left:
                touched[name][place] = left
        return touched

    def ask(self, quantities: Quantities) -> Group:
        """The requirement of one group."""
        key = frozenset(quantities.items())
        if key not in self._asked:
            self._asked[key] = self._ask(quantities)
        return self._asked[key]

    def facts(self, contracts: Iterable[Contract]) -> dict[Contract, Facts]:
        wanted = list(dict.fromkeys(contracts))
        self.learn(wanted)
        return {c: self._known[self._places[c]] for c in wanted}

    def columns(self, contracts: Sequence[Contract]) -> Floats:
        """What the kernels read of each contract (N, FACTS); the charges of a book and what is scanned are not here."""
        self.learn(contracts)
        return self._table[[self._places[c] for c in contracts]]

    def learn(self, contracts: Iterable[Contract]) -> None:
        """Share and option prices as they are marked; futures are scanned within their family. Best many at once."""
        fresh = [c for c in dict.fromkeys(contracts) if c not in self._places]
        rows = [self._table]
        for root, members in _by_root(fresh).items():
            terms = terms_of(members, self.market)
            arrays = None
            if root is not None and root in self.rules.scans:
                arrays = risk_arrays(terms, self.rules.scans[root][1])
            for i, contract in enumerate(members):
                ends = expiry_instant(contract).timestamp() if contract.expiry else 0.0
                held = Held(contract, 0.0, float(terms.spot[i]), float(terms.price[i]), ends, float(terms.t[i]))
                self._places[contract] = len(self._known)
                self._known.append(Facts(held, None if arrays is None else arrays[i]))
                self._names.append(self.group_of(contract))
                rows.append(self._row(held))
        self._table = np.vstack(rows)

    def _row(self, held: Held) -> Floats:
        columns, row = self._columns, np.full((1, self._columns.FACTS), np.nan)
        contract = held.contract
        mates = self.group_of(contract) if contract.sec_type in FUTURES else (contract.symbol, contract.multiplier)
        row[0, columns.GROUP] = self._mates.setdefault(mates, len(self._mates))
        row[0, columns.CALL], row[0, columns.STRIKE] = held.is_call, held.strike
        row[0, columns.ENDS], row[0, columns.SIZE] = held.ends, held.size
        row[0, columns.VALUE], row[0, columns.SCALED] = held.value if contract.is_option else 0.0, 0.0
        if contract.sec_type is SecType.OPTION:
            row[0, columns.ALONE] = naked(held, self.rules)
        return row

    def _placed(self, holdings: Iterable[Holding]) -> list[tuple[int, float]]:
        listed = [(h.contract, h.quantity) for h in holdings]
        for contract, quantity in listed:
            if not math.isfinite(quantity):
                raise ValueError(f"quantity {quantity} of {contract} is not a number; leave it out or look it up")
        if any(contract not in self._places for contract, _ in listed):
            self.learn(contract for contract, _ in listed)
        return [(self._places[contract], quantity) for contract, quantity in listed]

    def _ask(self, quantities: Quantities) -> Group:
        if not quantities:
            return Group()
        contracts = {p: self._known[p].held.contract for p in quantities}
        if any(c.sec_type in FUTURES for c in contracts.values()):
            return _scan([self._known[p] for p in quantities], list(quantities.values()), self.rules)
        shares = [p for p, c in contracts.items() if not c.is_option]
        options = [p for p in quantities if p not in shares]
        held = [self._known[p].held.with_quantity(quantities[p]) for p in shares]
        blind = [p for p in options if self._blind(p, quantities[p])] + [
            p for p, h in zip(shares, held, strict=True) if not (math.isfinite(h.price) and math.isfinite(h.spot))
        ]
        if blind:
            return Group(missing=tuple(f"{contracts[p]}: no price" for p in blind))
        if len(held) == 1:
            return self._pairing(options, quantities, _beside(held[0], self.rules))
        mates: dict[float, list[int]] = defaultdict(list)
        for p in options:
            mates[self._table[p, self._columns.GROUP]].append(p)
        # shares of two kinds in one group: neither is taken as cover
        apart = [_alone(_beside(h, self.rules), self.rules) for h in held]
        return _together([*(self._pairing(mine, quantities, None) for mine in mates.values()), *apart])

    def _blind(self, place: int, quantity: float) -> bool:
        row = self._table[place]
        return bool(np.isnan(row[self._columns.VALUE if quantity > 0 else self._columns.ALONE]))

    def _pairing(self, places: Sequence[int], quantities: Quantities, shares: Shares | None) -> Group:
        """Initial and maintenance each by its own cheapest pairing; they can differ only where shares are hedged."""
        signed = np.array([quantities[p] for p in places], dtype=np.float64)

        def options() -> list[Held]:
            return [self._known[p].held.with_quantity(quantities[p]) for p in places]

        others = strategies(options(), shares, self.rules) if shares is not None or self.rules.loan > 0 else []
        ask = partial(pair, self._table[places], signed, others, shares, self.rules)
        initial = ask("initial")
        maintenance = initial if shares is None else ask("maintenance")
        return Group(
            Asked(initial.asked, maintenance.asked),
            gap=max(initial.gap, maintenance.gap),
            itemised=lambda: _lines(options(), shares, self.rules, initial, maintenance),
        )


def netted(holdings: Iterable[Holding]) -> dict[Contract, float]:
    """One signed quantity per contract."""
    total: dict[Contract, float] = {}
    for h in holdings:
        total[h.contract] = total.get(h.contract, 0.0) + h.quantity
    return total


def root_of(contract: Contract) -> str:
    return contract.trading_class if contract.sec_type is SecType.FUTURE else contract.symbol


def _by_root(contracts: Sequence[Contract]) -> dict[str | None, list[Contract]]:
    found: dict[str | None, list[Contract]] = defaultdict(list)
    for c in contracts:
        found[root_of(c) if c.sec_type in FUTURES else None].append(c)
    return found


def _scan(facts: Sequence[Facts], quantity: Sequence[float], rules: StrategyRules) -> Group:
    """Risk less the options' own value, which the account's equity does not hold; never less than nothing."""
    roots = {root_of(f.held.contract) for f in facts}
    unlisted = sorted(root for root in roots if root not in rules.scans)
    if unlisted:
        return Group(missing=tuple(f"{root}: no futures margin in the table" for root in unlisted))
    arrays = [f.array for f in facts if f.array is not None]
    blind = [f.held.contract for f, a in zip(facts, arrays, strict=True) if not np.isfinite(a).all()]
    if blind:
        return Group(missing=tuple(f"{c}: no price or volatility to scan" for c in blind))
    family, scan = rules.scans[min(roots)]
    risk = scan_risk(np.array(arrays), quantity)
    lots = tuple((f.held.contract, q) for f, q in zip(facts, quantity, strict=True))
    value = math.fsum(q * f.held.value for f, q in zip(facts, quantity, strict=True) if f.held.contract.is_option)
    asked = Asked(scan.initial * max(risk - value, 0.0), max(risk - value, 0.0))
    line = MarginLine(f"{family} futures and options, scanned", asked.initial, asked.maintenance, value, family, lots)
    return Group(asked, scanned=True, itemised=lambda: (line,))


def _together(parts: Sequence[Group]) -> Group:
    asked = Asked(math.fsum(p.asked.initial for p in parts), math.fsum(p.asked.maintenance for p in parts))
    gap = max((part.gap for part in parts), default=0.0)
    return Group(asked, gap=gap, itemised=lambda: (line for part in parts for line in part.lines))


def _alone(shares: Shares, rules: StrategyRules) -> Group:
    rates, count = shares.rates(rules.shares), abs(shares.count)
    asked = Asked(rates.initial * count, rates.maintenance * count)
    return Group(asked, itemised=lambda: _share_line(shares, count, count, rules))


def _beside(h: Held, rules: StrategyRules) -> Shares:
    tracked = {symbol: t.per_unit for symbol, t in rules.trackers.items() if t.symbol == h.contract.symbol}
    return Shares(h.contract, h.quantity * h.size, h.spot, {h.contract.symbol: 1.0, **tracked})


def _lines(
    options: Sequence[Held], shares: Shares | None, rules: StrategyRules, initial: Pairing, maintenance: Pairing
) -> list[MarginLine]:
    chosen, other = (p.chosen(options, rules) for p in (initial, maintenance))
    first, second = ({(c.what, c.legs): c.asked for c in side} for side in (chosen, other))
    lines = [
        _line(*key, options, Asked(first.get(key, 0.0), second.get(key, 0.0)))
        for key in dict.fromkeys((*first, *second))
    ]
    lines += _loose(options, chosen)
    if shares is not None:
        lines += _share_line(shares, _left(shares, chosen), _left(shares, other), rules)
    return lines


def _left(shares: Shares, chosen: Sequence[Chosen]) -> float:
    return abs(shares.count) - math.fsum(c.shares for c in chosen)


def _line(what: str, legs: tuple[tuple[int, float], ...], options: Sequence[Held], asked: Asked) -> MarginLine:
    lots = tuple((options[i].contract, n) for i, n in legs)
    symbol = lots[0][0].symbol
    value = math.fsum(n * options[i].value for i, n in legs)
    if what == "spread":
        short = next(c for c, n in lots if n < 0)
        what = f"{(recognised(lots) or 'spreads').lower()} {short.expiry:%d %b %y}"
    return MarginLine(f"{symbol} {what}", asked.initial, asked.maintenance, value, symbol, lots)


def _loose(options: Sequence[Held], chosen: Sequence[Chosen]) -> list[MarginLine]:
    """Long options that cover nothing: paid in full."""
    left = {i: o.quantity for i, o in enumerate(options) if o.quantity > 0}
    for c in chosen:
        for i, n in c.legs:
            if n > 0:
                left[i] -= n
    loose = {i: n for i, n in left.items() if n > PENNY}
    found: list[MarginLine] = []
    for symbol in sorted({options[i].contract.symbol for i in loose}):
        mine = {i: n for i, n in loose.items() if options[i].contract.symbol == symbol}
        value = math.fsum(n * options[i].value for i, n in mine.items())
        lots = tuple((options[i].contract, n) for i, n in mine.items())
        found.append(MarginLine(f"{symbol} long, paid in full", 0.0, 0.0, value, symbol, lots))
    return found


def _share_line(shares: Shares, initial: float, maintenance: float, rules: StrategyRules) -> list[MarginLine]:
    if initial <= PENNY and maintenance <= PENNY:
        return []
    symbol, rates = shares.contract.symbol, shares.rates(rules.shares)
    lots = ((shares.contract, shares.count / shares.contract.multiplier),)
    return [MarginLine(f"{symbol} shares", rates.initial * initial, rates.maintenance * maintenance, 0.0, symbol, lots)]
