"""The least that a trade in one underlying's options can add to a book's requirement, as cuts linear in the contracts.

By duality: give every contract a price as a short and one, no lower, as a long. Where each legal strategy asks at least
the prices of its shorts less those of its longs, the whole book does (`margin_pairing` tells what is legal):
- a spread has at least as many longs as shorts, right by right, and asks the most it can lose at any price: so what
  contracts pay at any one price of the underlying, plus a constant for one right, is never too much; and as no long of
  it expires first, neither is this of only those that last until some day;
- a naked short asks its own requirement, and a strangle no less than either of its sides alone: so as shorts those of
  one right are priced at that at most, and those of the other at nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.margin import MarginBook
from models.quant.margin_book import Prepared, netted
from models.quant.margin_rules import CBOE, StrategyRules
from models.quant.margin_strategies import Held, naked
from models.quant.option import Contract
from models.quant.terms import Holding, MarketView

Floats = NDArray[np.float64]
MOVES = (0.85, 1.15, 0.90, 1.10, 0.0, 2.0, 0.95, 1.05, 1.0, 0.80, 1.20)  # the underlying, over its price now
CONSTANTS = (
    0.0,
    0.1,
    0.2,
    0.3,
    0.4,
    0.5,
    0.55,
    0.6,
    0.65,
    0.7,
    0.8,
    0.9,
    1.0,
)  # of the greatest surcharge on a naked short
KEPT = 6  # cuts of each right and constant: those that see most of what the book asks
LASTING = (0.6, 0.8)  # of it, for those that last until each day, at no price of the underlying


Cut = tuple[bool, float, float | None, float]
"""A right, how long a contract must last, a price of the underlying, and the constant's share of the surcharge."""


@dataclass(frozen=True)
class MarginFloor:
    """C cuts over N contracts, currency per contract: `short` and `long` (C, N), NaN for what is of another underlying.

    `before` is what the underlying's options ask now, `asked` (C,) what each cut says they ask; `held` (N,) signed.
    """

    short: Floats
    long: Floats
    asked: Floats
    before: float
    held: Floats

    def of(self, amounts: Floats) -> float:
        """A trade of `amounts` (N,) adds at least this; −inf where there is no cut or it is of another underlying."""
        rows = np.flatnonzero(amounts)
        held = self.held[rows]
        after = held + amounts[rows]
        rise = self.short[:, rows] @ (np.maximum(-after, 0.0) - np.maximum(-held, 0.0))
        rise -= self.long[:, rows] @ (np.maximum(after, 0.0) - np.maximum(held, 0.0))
        return float(np.nan_to_num(self.asked + rise - self.before, nan=-np.inf).max(initial=-np.inf))

    def added(self, rows: NDArray[np.int64], signs: Floats) -> Floats:
        """What buying (sign 1) or selling (−1) one of each row adds in each cut (C, J), as far as it does not cross
        from short to long or back."""
        held = self.held[rows]
        as_short = np.where(signs > 0, held < 0, held <= 0)
        added: Floats = -signs * np.where(as_short, self.short[:, rows], self.long[:, rows])
        return added


def margin_floor(
    contracts: Sequence[Contract],
    symbol: str,
    holdings: Sequence[Holding],
    market: MarketView,
    rules: StrategyRules = CBOE,
) -> MarginFloor | None:
    """Cuts for trades in options of `symbol` among `contracts`; None where shares pair with them, options are lent on,
    their sizes differ, or a price is missing. Initial and maintenance are the same number then.
    """
    prepared = Prepared(market, rules)
    book = {c: q for c, q in netted(holdings).items() if q}
    mine = [c for c in dict.fromkeys((*contracts, *book)) if c.is_option and c.symbol == symbol]
    if not mine or any(not c.is_option and prepared.group_of(c) == prepared.group_of(mine[0]) for c in book):
        return None
    facts = {c: known.held for c, known in prepared.facts(mine).items()}
    priced = {c: h for c, h in facts.items() if np.isfinite(h.price) and np.isfinite(h.spot)}
    own = {c: q for c, q in book.items() if c in facts}
    before = MarginBook([Holding(c, q) for c, q in own.items()], market, rules).estimate().maintenance
    lent = rules.loan > 0 and any(h.years > rules.loan_years for h in priced.values())
    if before is None or lent or len({h.size for h in priced.values()}) != 1 or any(c not in priced for c in own):
        return None
    place = {c: i for i, c in enumerate(priced)}
    held = np.array([own.get(c, 0.0) for c in priced])
    short, long = (np.array(table) for table in zip(*_prices(list(priced.values()), held, rules), strict=True))
    rows = np.array([place.get(c, -1) for c in contracts], dtype=np.int64)
    asked = short @ np.maximum(-held, 0.0) - long @ np.maximum(held, 0.0)
    short, long = (np.where(rows >= 0, table[:, rows], np.nan) for table in (short, long))
    return MarginFloor(short, long, asked, before, np.where(rows >= 0, held[rows], 0.0))


def _prices(options: Sequence[Held], held: Floats, rules: StrategyRules) -> Iterator[tuple[Floats, Floats]]:
    """(as a short, as a long), currency per contract (N,): of all prices those that see most of the book, for each
    right and constant."""
    spot, size = options[0].spot, options[0].size
    every, days = _Facts.of(options, rules), np.unique([o.ends for o in options])
    few = every.take(np.flatnonzero(held))
    short_of, long_of = np.maximum(-held[held != 0], 0.0), np.maximum(held[held != 0], 0.0)
    surcharge = float((every.alone - every.value).max())
    points = list(
        dict.fromkeys((*(o.strike for o, q in zip(options, held, strict=True) if q), *(m * spot for m in MOVES)))
    )
    chosen: list[Cut] = [
        (right, float(day), None, share) for right in (False, True) for day in days for share in LASTING
    ]
    for right in (False, True):
        for share in CONSTANTS:
            cuts: list[Cut] = [
                (right, float(day), at, share) for at in points for day in (days if len(few.strike) else days[:1])
            ]
            seen = []
            for cut in cuts:
                short, long = few.priced(*cut, surcharge)
                seen.append(short @ short_of - long @ long_of)
            chosen += [cuts[i] for i in np.argsort(-np.array(seen), kind="stable")[:KEPT]]
    for cut in dict.fromkeys(chosen):
        short, long = every.priced(*cut, surcharge)
        yield size * short, size * long


@dataclass(frozen=True)
class _Facts:
    """Of N options: what each asks alone, per share."""

    strike: Floats
    call: NDArray[np.bool_]
    ends: Floats
    value: Floats
    alone: Floats

    @classmethod
    def of(cls, options: Sequence[Held], rules: StrategyRules) -> "_Facts":
        return cls(
            np.array([o.strike for o in options]),
            np.array([o.is_call for o in options], dtype=bool),
            np.array([o.ends for o in options]),
            np.array([o.price for o in options]),
            np.array([naked(o, rules) / o.size for o in options]),
        )

    def take(self, rows: NDArray[np.int64]) -> "_Facts":
        return _Facts(self.strike[rows], self.call[rows], self.ends[rows], self.value[rows], self.alone[rows])

    def priced(
        self, right: bool, day: float, at: float | None, share: float, surcharge: float
    ) -> tuple[Floats, Floats]:
        """(as a short, as a long) per share: what lasts until `day` pays `at` that price of the underlying, and a
        share of the surcharge for those of one right; the others are worth nothing as shorts."""
        side = self.call == right
        pays = 0.0 if at is None else np.maximum(np.where(self.call, at - self.strike, self.strike - at), 0.0)
        long = np.where(self.ends >= day, pays + np.where(side, share * surcharge, 0.0), 0.0)
        return np.where(side, np.minimum(long, np.maximum(self.alone, 0.0)), 0.0), long
