"""The cheapest legal pairing of one underlying's options and shares, found as a programme over whole contracts.

Legal are the named strategies of `margin_strategies` and spreads: shorts of one expiry with at least as many longs of
their right (same underlying and size, none expiring first), asked for the most they can lose at any price, from
intrinsic values at every strike (Cboe rule 10.3 in its form since 2012, release 34-67752; stricter in that shorts of
two expiries never share one loss, and an extra long may stay, as it adds no risk). All spreads of one short expiry may
be taken together without asking more, since the largest loss of a sum is at most the sum of the largest
losses: so one spread for each short expiry is enough, and its largest loss is linear in the contracts put into it.
Verticals, calendars, diagonals, butterflies, condors, iron condors and boxes are all cases of it. What remains is the
programme of `kernels.pairing`, solved with a proof that nothing asks less (a search that was cut short says by how much
it may be off). An assignment would do for verticals, but not where call and put sides share one loss.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.quant.margin_rules import StrategyRules
from models.quant.margin_strategies import NAKED, PENNY, Held, Shares, Strategy, naked, strangle

Floats = NDArray[np.float64]
Side = Literal["initial", "maintenance"]
_PROVEN = 0.01  # currency: nearer than that is as good as the least
_NODES = 5000  # of the search, some fifty microseconds each: a structured book of sixty legs needs about a hundred


@dataclass(frozen=True)
class Chosen:
    """`legs`: (place in the group, signed contracts). `asked` in currency for all of them; `shares` taken, absolute."""

    what: str
    legs: tuple[tuple[int, float], ...]
    asked: float
    shares: float = 0.0


@dataclass(frozen=True)
class Pairing:
    """What `side` asks, all shares counted. `gap`: by how much of itself it could still be lower; 0 is proven the
    least. Whatever is in no strategy asks nothing (long options) or, of shares, their own rate.

    As counted, n options and `others` strategies: `alone` (n) and `beside` a dearer one (n), `units` of the others,
    `longs` (B, n) in each spread and the `spread` (n) of each short, -1 for none; `order` is that of the shorts.
    """

    side: Side
    asked: float
    gap: float
    others: Sequence[Strategy]
    order: NDArray[np.int64]
    alone: Floats
    beside: Floats
    units: Floats
    longs: Floats
    spread: NDArray[np.int64]

    def chosen(self, options: Sequence[Held], rules: StrategyRules) -> tuple[Chosen, ...]:
        """In words and contracts; `options` are those that were paired."""
        named = [*self._naked(options, rules), *((s, n) for s, n in zip(self.others, self.units, strict=True))]
        taken = tuple(_take(s, options, self.side, float(n)) for s, n in named if n > PENNY)
        return (*taken, *self._spreads(options))

    def _naked(self, options: Sequence[Held], rules: StrategyRules) -> Iterator[tuple[Strategy, float]]:
        """Those that stand beside others as strangles with them, and what is then left of these."""
        alone, beside = self.alone.copy(), self.beside.copy()
        for p, i in enumerate(self.order):
            for j in self.order[:p] if beside[i] > PENNY else ():
                n = min(beside[i], alone[j])
                if n > PENNY and options[i].may_be_strangle_with(options[j]):
                    beside[i] -= n
                    alone[j] -= n
                    yield strangle(options, int(j), int(i), rules), n
        for i in self.order:
            yield Strategy.alone(NAKED, int(i), naked(options[i], rules)), alone[i]

    def _spreads(self, options: Sequence[Held]) -> Iterator[Chosen]:
        left = np.array([-min(o.quantity, 0.0) for o in options]) - self.alone - self.beside
        for strategy, n in zip(self.others, self.units, strict=True):
            for i, per_unit in strategy.legs:
                left[i] -= per_unit * n if options[i].quantity < 0 else 0.0
        for b, longs in enumerate(self.longs):
            amounts = longs - np.where(self.spread == b, left, 0.0)
            if (amounts < -PENNY).any():
                legs = [(int(i), float(amounts[i])) for i in np.flatnonzero(np.abs(amounts) > PENNY)]
                yield Chosen("spread", tuple(legs), _largest_loss([(options[i], n) for i, n in legs]))


def pair(
    facts: Floats, quantity: Floats, others: Sequence[Strategy], shares: Shares | None, rules: StrategyRules, side: Side
) -> Pairing:
    """The pairing with the least requirement of `side`; `facts` (n, 7 or more) as the kernel reads them, `quantity` (n)
    signed, `others` as named by `margin_strategies.strategies`.
    """
    from models.quant.kernels import margin as columns
    from models.quant.kernels.pairing import cheapest

    n, k = len(quantity), len(others)
    order = np.lexsort((-facts[:, columns.CALL], -facts[:, columns.ALONE], facts[:, columns.GROUP]))
    order = order[quantity[order] < 0.0]
    rate = 0.0 if shares is None else getattr(shares.rates(rules.shares), side)
    free = 0.0 if shares is None else abs(shares.count)
    legs = np.full((k, 2), -1)
    for row, strategy in zip(legs, others, strict=True):
        row[: len(strategy.legs)] = [i for i, _ in strategy.legs]
    costs = np.array([getattr(s.asked, side) - rate * s.shares for s in others], dtype=np.float64)
    taken = np.array([s.shares for s in others], dtype=np.float64)
    x, spread = np.zeros(2 * n + k + order.size * (n + 1)), np.full(n, -1)
    extra, least = 0.0, 0.0
    if order.size or k:
        extra, least, _ = cheapest(facts, quantity, order, legs, costs, taken, free, _NODES, x, spread)
    asked, spreads = extra + rate * free, int(spread.max(initial=-1)) + 1
    return Pairing(
        side, asked, (extra - least) / abs(asked) if extra - least > _PROVEN else 0.0, others, order,
        x[:n], x[n : 2 * n], x[2 * n : 2 * n + k],
        x[2 * n + k : 2 * n + k + spreads * n].reshape(spreads, n), spread,
    )  # fmt: skip


def _take(strategy: Strategy, options: Sequence[Held], side: Side, count: float) -> Chosen:
    signed = tuple((i, float(np.copysign(n * count, options[i].quantity))) for i, n in strategy.legs)
    return Chosen(strategy.what, signed, getattr(strategy.asked, side) * count, strategy.shares * count)


def _largest_loss(legs: Sequence[tuple[Held, float]]) -> float:
    """At zero or a strike: with as many longs as shorts it does not grow at the far end."""
    prices = [0.0, *(h.strike for h, _ in legs)]
    return max(0.0, *(-sum(n * h.payoff(price) for h, n in legs) for price in prices))
