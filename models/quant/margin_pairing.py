"""The cheapest legal pairing of one underlying's options and shares, found as a programme over whole contracts.

Legal are the named strategies of `margin_strategies` and spreads: shorts of one expiry with at least as many longs of
their right (same underlying and size, none expiring first), asked for the most they can lose at any price, from
intrinsic values at every strike (Cboe rule 10.3 in its form since 2012, release 34-67752; stricter in that shorts of
two expiries never share one loss, and an extra long may stay, as it adds no risk). All spreads of one short expiry may
be taken together without asking more, since the largest loss of a sum is at most the sum of the largest
losses: so one spread for each short expiry is enough, and its largest loss is linear in the contracts put into it.
Verticals, calendars, diagonals, butterflies, condors, iron condors and boxes are all cases of it. What remains is
`margin_programme`, solved with a proof that nothing asks less (a search that was cut short says by how much it may be
off). An assignment would do for verticals, but not where call and put sides share one loss.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.quant.margin_programme import Spread, programme, spreads
from models.quant.margin_rules import StrategyRules
from models.quant.margin_strategies import BESIDE, NAKED, PENNY, Held, Shares, Strategy, ranked, strangle, strategies

Floats = NDArray[np.float64]
Side = Literal["initial", "maintenance"]
_PROVEN = 0.01  # currency: nearer than that is as good as the least


@dataclass(frozen=True)
class Chosen:
    """`legs`: (place in the group, signed contracts). `asked` in currency for all of them; `shares` taken, absolute."""

    what: str
    legs: tuple[tuple[int, float], ...]
    asked: float
    shares: float = 0.0


@dataclass(frozen=True)
class Pairing:
    """What was chosen. `gap`: by how much of itself the requirement could still be lower; 0 is proven the least.

    Whatever is in no strategy asks nothing (long options) or, of shares, their own rate.
    """

    chosen: tuple[Chosen, ...]
    gap: float = 0.0


def pair(options: Sequence[Held], shares: Shares | None, rules: StrategyRules, side: Side) -> Pairing:
    """The pairing with the least requirement of `side`."""
    ranks = ranked(options, rules)
    named = strategies(options, ranks, shares, rules)
    pairs = spreads(options)
    if not pairs and all(s.what != BESIDE and not s.shares for s in named):
        return Pairing(tuple(_take(s, options, side, abs(options[s.legs[0][0]].quantity)) for s in named))
    rate = 0.0 if shares is None else getattr(shares.rates(rules.shares), side)
    free = 0.0 if shares is None else abs(shares.count)
    asked = [getattr(s.asked, side) - rate * s.shares for s in named]
    whole = programme(options, named, asked, ranks, pairs, free)
    start = np.zeros(whole.cost.size)
    start[: len(named)] = [abs(options[s.legs[0][0]].quantity) if s.what == NAKED else 0.0 for s in named]
    counts, least = whole.least(start)
    alone = [_take(s, options, side, n) for s, n in _units(options, named, counts, ranks, rules)]
    chosen = (*alone, *_chosen_spreads(options, named, pairs, counts))
    extra = math.fsum(c.asked - rate * c.shares for c in chosen)
    return Pairing(chosen, (extra - least) / abs(extra + rate * free) if extra - least > _PROVEN else 0.0)


def _take(strategy: Strategy, options: Sequence[Held], side: Side, count: float) -> Chosen:
    signed = tuple((i, float(np.copysign(n * count, options[i].quantity))) for i, n in strategy.legs)
    return Chosen(strategy.what, signed, getattr(strategy.asked, side) * count, strategy.shares * count)


def _units(
    options: Sequence[Held],
    named: Sequence[Strategy],
    counts: Floats,
    ranks: Sequence[Sequence[int]],
    rules: StrategyRules,
) -> Iterator[tuple[Strategy, float]]:
    """What was taken of each named strategy, and those that stand beside others as strangles with them."""
    taken = [(s, float(n)) for s, n in zip(named, counts, strict=False) if n > PENNY]
    naked = {s.legs[0][0]: n for s, n in taken if s.what == NAKED}
    beside = {s.legs[0][0]: n for s, n in taken if s.what == BESIDE}
    for rank in ranks:
        for i in (i for i in rank if i in beside):
            for j in (j for j in rank[: rank.index(i)] if j in naked and options[j].is_call != options[i].is_call):
                n = min(beside[i], naked[j])
                if n > PENNY:
                    beside[i] -= n
                    naked[j] -= n
                    yield strangle(options, j, i, rules), n
    for s, n in taken:
        if s.what != BESIDE:
            left = naked[s.legs[0][0]] if s.what == NAKED else n
            if left > PENNY:
                yield s, left


def _chosen_spreads(
    options: Sequence[Held], named: Sequence[Strategy], pairs: Sequence[Spread], counts: Floats
) -> Iterator[Chosen]:
    rest = np.array([-min(o.quantity, 0.0) for o in options])
    for strategy, n in zip(named, counts, strict=False):
        for i, per_unit in strategy.legs:
            rest[i] -= per_unit * n if options[i].quantity < 0 else 0.0
    first = len(named)
    for spread in pairs:
        amounts = np.zeros(len(options))
        amounts[spread.longs] = counts[first : first + len(spread.longs)]
        amounts[spread.shorts] = -rest[spread.shorts]
        first += len(spread.longs)
        if (amounts < -PENNY).any():
            legs = tuple((int(i), float(amounts[i])) for i in np.flatnonzero(np.abs(amounts) > PENNY))
            yield Chosen("spread", legs, max(-float((spread.pays @ amounts).min()), 0.0))
