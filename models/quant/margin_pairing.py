"""The cheapest legal pairing of one underlying's options and shares, found as an integer programme.

Legal are the named strategies of `margin_strategies` and spreads: shorts of one expiry with at least as many longs of
their right (same underlying and size, none expiring first), asked for the most they can lose at any price, from
intrinsic values at every strike (Cboe rule 10.3 in its form since 2012, release 34-67752; stricter in that shorts of
two expiries never share one loss, and an extra long may stay, as it adds no risk). All spreads of one short expiry may
be taken together without asking more, since the largest loss of a sum is at most the sum of the largest
losses: so one spread for each short expiry is enough, and its largest loss is linear in the contracts put into it.
Verticals, calendars, diagonals, butterflies, condors, iron condors and boxes are all cases of it. What remains is a
linear objective over whole contracts, solved to a zero gap by HiGHS (branch and bound with a proof of optimality; a
search that was cut short says by how much it may be off). An assignment would do for verticals, but not where call and
put sides share one loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.quant.margin_rules import StrategyRules
from models.quant.margin_strategies import PENNY, Held, Shares, Strategy, strategies

Floats = NDArray[np.float64]
Side = Literal["initial", "maintenance"]
_NODES = 2000  # of the search; a book of some sixty legs needs one, a wild one a thousand
_TIDY = 1e-5  # currency for each long in a spread: one that changes nothing stays outside


@dataclass(frozen=True)
class Chosen:
    """`legs`: (place in the group, signed contracts). `asked` in currency for all of them; `shares` taken, absolute."""

    what: str
    legs: tuple[tuple[int, float], ...]
    asked: float
    shares: float = 0.0


@dataclass(frozen=True)
class _Spread:
    """The shorts of one expiry and the longs that may stand with them, by place, and the prices that matter."""

    shorts: list[int]
    longs: list[int]
    pays: Floats  # (prices, all options): intrinsic value of one contract, currency
    rights: Floats  # (2, all options): 1 for a call, 1 for a put


@dataclass(frozen=True)
class Pairing:
    """What was chosen. `gap`: by how much of itself the requirement could still be lower; 0 is proven the least.

    Whatever is in no strategy asks nothing (long options) or, of shares, their own rate.
    """

    chosen: tuple[Chosen, ...]
    gap: float = 0.0


def pair(options: Sequence[Held], shares: Shares | None, rules: StrategyRules, side: Side) -> Pairing:
    """The pairing with the least requirement of `side`."""
    named = strategies(options, shares, rules)
    spreads = _spreads(options)
    if not spreads and all(len(s.legs) == 1 and not s.shares for s in named):
        return Pairing(tuple(_take(s, options, side, abs(options[s.legs[0][0]].quantity)) for s in named))
    solved = _solve(options, named, spreads, shares, rules, side)
    if solved is None:  # whatever the solver's trouble, standing alone is always legal, and never too little
        return Pairing(tuple(_take(s, options, side, abs(options[s.legs[0][0]].quantity)) for s in _alone(named)), 1.0)
    counts, gap = solved
    alone = [_take(s, options, side, float(n)) for s, n in zip(named, counts, strict=False) if n > PENNY]
    return Pairing((*alone, *_chosen_spreads(options, named, spreads, counts)), gap)


def _alone(named: Sequence[Strategy]) -> list[Strategy]:
    return [s for s in named if s.what == "naked"]


def _take(strategy: Strategy, options: Sequence[Held], side: Side, count: float) -> Chosen:
    signed = tuple((i, float(np.copysign(n * count, options[i].quantity))) for i, n in strategy.legs)
    return Chosen(strategy.what, signed, getattr(strategy.asked, side) * count, strategy.shares * count)


def _spreads(options: Sequence[Held]) -> list[_Spread]:
    found = []
    for symbol, size, ends in sorted({(o.contract.symbol, o.size, o.ends) for o in options if o.quantity < 0}):
        same = [i for i, o in enumerate(options) if o.contract.symbol == symbol and o.size == size]
        shorts = [i for i in same if options[i].quantity < 0 and options[i].ends == ends]
        longs = [i for i in same if options[i].quantity > 0 and options[i].ends >= ends]
        if {options[i].is_call for i in shorts} & {options[i].is_call for i in longs}:
            found.append(_Spread(shorts, longs, *_worst_prices(options, longs)))
    return found


def _worst_prices(options: Sequence[Held], longs: Sequence[int]) -> tuple[Floats, Floats]:
    """What each option pays where a spread may lose most, and which right it is.

    A payoff bends upwards only at strikes of its longs, and with enough longs it does not fall at the far end: its
    least value is at a long's strike or at zero.
    """
    strike, size = np.array([o.strike for o in options]), np.array([o.size for o in options])
    call = np.array([o.is_call for o in options])
    gap = np.unique([0.0, *strike[longs]])[:, None] - strike
    return np.maximum(np.where(call, gap, -gap), 0.0) * size, np.vstack([call, ~call]).astype(np.float64)


def _solve(
    options: Sequence[Held],
    named: Sequence[Strategy],
    spreads: Sequence[_Spread],
    shares: Shares | None,
    rules: StrategyRules,
    side: Side,
) -> tuple[Floats, float] | None:
    """Units of each named strategy, then contracts of each spread's longs, spread after spread; and the gap.

    None where the solver found nothing at all.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    held = np.array([abs(o.quantity) for o in options])
    # one per cent of the dearest contract: the solver's tolerances are absolute and its bounds tighter near one
    unit = 0.01 * max(o.strike * o.size for o in options)
    rate = 0.0 if shares is None else getattr(shares.rates(rules.shares), side)
    contracts = sum(len(spread.longs) for spread in spreads)
    cost = np.concatenate([
        np.array([getattr(s.asked, side) - rate * s.shares for s in named]) / unit,
        np.full(contracts, _TIDY / unit),
        np.ones(len(spreads)),
    ])  # fmt: skip
    whole = np.concatenate([np.full(len(named) + contracts, float(_whole(held))), np.zeros(len(spreads))])
    free = 0.0 if shares is None else abs(shares.count)
    matrix, low, high = _constraints(options, named, spreads, held, free, unit)
    # HiGHS's presolve now and then ends in an error on these programmes and saves no time: it is the second try
    for presolve in (False, True):
        answer = milp(
            cost,
            integrality=whole,
            bounds=Bounds(0.0, np.inf),
            constraints=LinearConstraint(matrix, low, high),
            options={"mip_rel_gap": 0.0, "node_limit": _NODES, "presolve": presolve},
        )
        if answer.x is not None:
            break
    else:
        return None
    counts: Floats = answer.x[: len(named) + contracts]
    proven = 0.0 if answer.status == 0 else float(answer.mip_gap)
    return (np.rint(counts) if _whole(held) else counts), proven


def _whole(held: Floats) -> bool:
    return bool((held == np.rint(held)).all())


def _constraints(
    options: Sequence[Held],
    named: Sequence[Strategy],
    spreads: Sequence[_Spread],
    held: Floats,
    shares: float,
    unit: float,
) -> tuple[Any, Floats, Floats]:
    """(matrix, low, high) over units of strategies, contracts of spreads' longs, and each spread's loss.

    Nothing is used twice, and a short that is in no strategy is in the spread of its expiry: there its loss is at
    least what is owed at every price, and of each right there are at least as many longs as shorts.
    """
    from scipy.sparse import block_array, block_diag, csr_array, vstack

    uses = csr_array(
        (
            [n for s in named for _, n in s.legs],
            ([i for s in named for i, _ in s.legs], [p for p, s in enumerate(named) for _ in s.legs]),
        ),
        shape=(len(options), len(named)),
    )
    members = [i for spread in spreads for i in spread.longs]
    joins = csr_array((np.ones(len(members)), (members, range(len(members)))), shape=(len(options), len(members)))
    taken = csr_array(np.array([[s.shares for s in named]]))
    spreadable = {i for spread in spreads for i in spread.shorts}
    fixed = [o.quantity < 0 and i not in spreadable for i, o in enumerate(options)]
    weights = [np.vstack([spread.pays / unit, spread.rights]) for spread in spreads]
    losses = [np.concatenate([np.ones(len(s.pays)), np.zeros(len(s.rights))])[:, None] for s in spreads]
    owed = [w[:, s.shorts] @ held[s.shorts] for w, s in zip(weights, spreads, strict=True)]
    blocks: list[list[Any]] = [[uses, joins if members else None, None], [taken, None, None]]
    if spreads:
        freed = vstack([csr_array(w[:, s.shorts]) @ uses[s.shorts] for w, s in zip(weights, spreads, strict=True)])
        longs = block_diag([csr_array(w[:, s.longs]) for w, s in zip(weights, spreads, strict=True)])
        blocks.append([freed, longs, block_diag([csr_array(x) for x in losses])])
    else:
        blocks = [row[:1] for row in blocks]
    low = np.concatenate([np.where(fixed, held, -np.inf), [-np.inf], *owed])
    high = np.concatenate([held, [shares], np.full(sum(len(x) for x in owed), np.inf)])
    return block_array(blocks, format="csr"), low, high


def _chosen_spreads(
    options: Sequence[Held], named: Sequence[Strategy], spreads: Sequence[_Spread], counts: Floats
) -> list[Chosen]:
    rest = np.array([-min(o.quantity, 0.0) for o in options])
    for strategy, n in zip(named, counts, strict=False):
        for i, per_unit in strategy.legs:
            rest[i] -= per_unit * n if options[i].quantity < 0 else 0.0
    found, first = [], len(named)
    for spread in spreads:
        longs = counts[first : first + len(spread.longs)]
        first += len(spread.longs)
        amounts = np.zeros(len(options))
        amounts[spread.longs] = longs
        amounts[spread.shorts] = -rest[spread.shorts]
        if (amounts < -PENNY).any():
            legs = tuple((int(i), float(amounts[i])) for i in np.flatnonzero(np.abs(amounts) > PENNY))
            found.append(Chosen("spread", legs, max(-float((spread.pays @ amounts).min()), 0.0)))
    return found
