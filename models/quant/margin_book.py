"""A book prepared for margin: its contracts' facts once, then one requirement for each group that may pair up.

A group is an underlying's options and shares (with an index, the fund that tracks it) or a family of futures. Groups
ask independently of each other, so a trade re-asks only those it touches.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.quant.margin_pairing import Chosen, Pairing, pair
from models.quant.margin_rules import StrategyRules
from models.quant.margin_scan import risk_arrays, scan_risk
from models.quant.margin_strategies import PENNY, Asked, Held, Shares
from models.quant.option import Contract, SecType
from models.quant.product import expiry_instant
from models.quant.strategies import recognised
from models.quant.terms import Holding, MarketView, terms_of

Floats = NDArray[np.float64]
Quantities = Mapping[Contract, float]
FUTURES = (SecType.FUTURE, SecType.FUTURE_OPTION)


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

    lines: tuple[MarginLine, ...] = ()
    missing: tuple[str, ...] = ()
    scanned: bool = False
    gap: float = 0.0


@dataclass(frozen=True)
class Facts:
    """One contract at the market: as Held, and for what is scanned its sixteen profits and its value."""

    held: Held
    array: Floats | None = None


@dataclass(frozen=True)
class Prepared:
    """Facts are looked up once per contract and kept for the life of this object: one market, one house."""

    market: MarketView
    rules: StrategyRules
    _known: dict[Contract, Facts] = field(default_factory=dict, repr=False)
    _asked: dict[tuple[tuple[Contract, float], ...], Group] = field(default_factory=dict, repr=False)

    def group_of(self, contract: Contract) -> str:
        """The name of the group a contract belongs to."""
        if contract.sec_type in FUTURES:
            root = root_of(contract)
            return f"{self.rules.scans[root][0] if root in self.rules.scans else root} futures"
        tracker = self.rules.trackers.get(contract.symbol)
        return tracker.symbol if tracker is not None else contract.symbol

    def split(self, quantities: Quantities) -> dict[str, dict[Contract, float]]:
        """Quantities by group; what is flat is gone."""
        groups: dict[str, dict[Contract, float]] = defaultdict(dict)
        for contract, quantity in quantities.items():
            if not math.isfinite(quantity):
                raise ValueError(f"quantity {quantity} of {contract} is not a number; leave it out or look it up")
            if quantity:
                groups[self.group_of(contract)][contract] = quantity
        return dict(groups)

    def ask(self, quantities: Quantities) -> Group:
        """The requirement of one group."""
        key = tuple(sorted(quantities.items(), key=lambda item: item[0].identity))
        if key not in self._asked:
            known = self.facts(quantities)
            facts = [Facts(known[c].held.with_quantity(q), known[c].array) for c, q in quantities.items()]
            scanned = any(c.sec_type in FUTURES for c in quantities)
            self._asked[key] = _scan(quantities, facts, self.rules) if scanned else _by_strategy(facts, self.rules)
        return self._asked[key]

    def facts(self, contracts: Iterable[Contract]) -> dict[Contract, Facts]:
        wanted = list(dict.fromkeys(contracts))
        fresh = [c for c in wanted if c not in self._known]
        if fresh:
            self._learn(fresh)
        return {c: self._known[c] for c in wanted}

    def _learn(self, contracts: Sequence[Contract]) -> None:
        """Share and option prices as they are marked; futures are scanned within their family."""
        for root, members in _by_root(contracts).items():
            terms = terms_of(members, self.market)
            arrays = None
            if root is not None and root in self.rules.scans:
                arrays = risk_arrays(terms, self.rules.scans[root][1])
            for i, contract in enumerate(members):
                ends = expiry_instant(contract).timestamp() if contract.expiry else 0.0
                held = Held(contract, 0.0, float(terms.spot[i]), float(terms.price[i]), ends, float(terms.t[i]))
                self._known[contract] = Facts(held, None if arrays is None else arrays[i])


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


def _scan(quantities: Quantities, facts: Sequence[Facts], rules: StrategyRules) -> Group:
    """Risk less the options' own value, which the account's equity does not hold; never less than nothing."""
    roots = {root_of(c) for c in quantities}
    unlisted = sorted(root for root in roots if root not in rules.scans)
    if unlisted:
        return Group(missing=tuple(f"{root}: no futures margin in the table" for root in unlisted))
    arrays = [f.array for f in facts if f.array is not None]
    blind = [f.held.contract for f, a in zip(facts, arrays, strict=True) if not np.isfinite(a).all()]
    if blind:
        return Group(missing=tuple(f"{c}: no price or volatility to scan" for c in blind))
    family, scan = rules.scans[min(roots)]
    quantity = [f.held.quantity for f in facts]
    risk = scan_risk(np.array(arrays), quantity)
    value = math.fsum(f.held.quantity * f.held.value for f in facts if f.held.contract.is_option)
    asked = max(risk - value, 0.0)
    line = MarginLine(
        f"{family} futures and options, scanned",
        scan.initial * asked,
        asked,
        value,
        family,
        tuple((f.held.contract, f.held.quantity) for f in facts),
    )
    return Group((line,), scanned=True)


def _by_strategy(facts: Sequence[Facts], rules: StrategyRules) -> Group:
    held = [f.held for f in facts]
    blind = [h for h in held if not _priced(h)]
    if blind:
        return Group(missing=tuple(f"{h.contract}: no price" for h in blind))
    shares = [h for h in held if h.contract.expiry is None]
    options = [h for h in held if h.contract.is_option]
    if len(shares) == 1:
        return _pairing(options, _beside(shares[0], rules), rules)
    symbols = sorted({h.contract.symbol for h in options})
    parts = [_pairing([h for h in options if h.contract.symbol == s], None, rules) for s in symbols]
    lines = [line for part in parts for line in part.lines]
    for h in shares:  # shares of two kinds in one group: neither is taken as cover
        lines += _share_line(_beside(h, rules), abs(h.quantity), abs(h.quantity), rules)
    return Group(tuple(lines), gap=max((part.gap for part in parts), default=0.0))


def _priced(h: Held) -> bool:
    return math.isfinite(h.price) and (h.quantity > 0 or math.isfinite(h.spot))


def _beside(h: Held, rules: StrategyRules) -> Shares:
    tracked = {symbol: t.per_unit for symbol, t in rules.trackers.items() if t.symbol == h.contract.symbol}
    return Shares(h.contract, h.quantity * h.size, h.spot, {h.contract.symbol: 1.0, **tracked})


def _pairing(options: Sequence[Held], shares: Shares | None, rules: StrategyRules) -> Group:
    """Initial and maintenance each by its own cheapest pairing; they can differ only where shares are hedged."""
    initial = pair(options, shares, rules, "initial")
    maintenance = initial if shares is None else pair(options, shares, rules, "maintenance")
    first = {(c.what, c.legs): c.asked for c in initial.chosen}
    second = {(c.what, c.legs): c.asked for c in maintenance.chosen}
    lines = [
        _line(*key, options, Asked(first.get(key, 0.0), second.get(key, 0.0)))
        for key in dict.fromkeys((*first, *second))
    ]
    lines += _loose(options, initial.chosen)
    if shares is not None:
        lines += _share_line(shares, _left(shares, initial), _left(shares, maintenance), rules)
    return Group(tuple(lines), gap=max(initial.gap, maintenance.gap))


def _left(shares: Shares, pairing: Pairing) -> float:
    return abs(shares.count) - math.fsum(c.shares for c in pairing.chosen)


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
