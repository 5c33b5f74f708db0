"""Which short options are covered, by what, and what the covered ones can lose at most.

For the limits on what is short, which are asked thousands of times and without prices; the pairing that asks the least
margin is `margin_pairing`. A short call is covered by a long call that does not expire first, or by shares; a short put
by a long put, or by short shares. Each long covers once; the cheapest covers are taken first. What stays uncovered is
naked.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from models.quant.option import Contract, Right
from models.quant.product import expiry_instant

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lot:
    """A signed quantity of one contract with the row it came from."""

    contract: Contract
    quantity: float
    row: int


@dataclass(frozen=True)
class Spread:
    """Shorts of one expiry with the longs that cover them. `risk`: the most its options can owe at expiry, currency."""

    lots: tuple[Lot, ...]
    risk: float


@dataclass(frozen=True)
class Covered:
    """One underlying's options: spreads, naked shorts, shorts covered by shares, longs that cover nothing (loose)."""

    symbol: str
    spreads: tuple[Spread, ...] = ()
    naked: tuple[Lot, ...] = ()
    by_shares: tuple[Lot, ...] = ()
    loose: tuple[Lot, ...] = ()


@dataclass
class _Open:
    lot: Lot
    left: float
    ends: datetime = field(compare=False)


def cover(lots: Sequence[Lot]) -> tuple[Covered, ...]:
    """Sort out the options among `lots`, underlying by underlying; shares among them cover, futures do not."""
    by_symbol: dict[str, list[Lot]] = defaultdict(list)
    for lot in lots:
        if lot.quantity:
            by_symbol[lot.contract.symbol].append(lot)
    return tuple(_cover_one(symbol, group) for symbol, group in sorted(by_symbol.items()))


def _cover_one(symbol: str, lots: list[Lot]) -> Covered:
    options = [lot for lot in lots if lot.contract.is_option]
    shares = sum(lot.quantity * lot.contract.multiplier for lot in lots if lot.contract.expiry is None)
    spreads: dict[datetime, list[Lot]] = defaultdict(list)
    naked: list[Lot] = []
    by_shares: list[Lot] = []
    loose: list[Lot] = []
    for right in Right:
        shorts = [_open(lot) for lot in options if lot.quantity < 0 and lot.contract.right is right]
        longs = [_open(lot) for lot in options if lot.quantity > 0 and lot.contract.right is right]
        for short, long, quantity in _match(shorts, longs, right):
            spreads[short.ends] += [
                Lot(short.lot.contract, -quantity, short.lot.row),
                Lot(long.lot.contract, quantity, long.lot.row),
            ]
        available = max(shares if right is Right.CALL else -shares, 0.0)
        for short in shorts:
            held = min(short.left, available // short.lot.contract.multiplier)
            available -= held * short.lot.contract.multiplier
            by_shares += _rest(short, held)
            naked += _rest(short, short.left - held)
        loose += [Lot(x.lot.contract, x.left, x.lot.row) for x in longs if x.left > 0]
    packed = tuple(Spread(tuple(group), _risk(group)) for _, group in sorted(spreads.items()))
    return Covered(symbol, packed, tuple(naked), tuple(by_shares), tuple(loose))


def _open(lot: Lot) -> _Open:
    return _Open(lot, abs(lot.quantity), expiry_instant(lot.contract))


def _rest(short: _Open, quantity: float) -> list[Lot]:
    return [Lot(short.lot.contract, -quantity, short.lot.row)] if quantity > 0 else []


def _match(shorts: list[_Open], longs: list[_Open], right: Right) -> list[tuple[_Open, _Open, float]]:
    """Cheapest cover first; among equals the nearest expiry and strike, so that far longs stay free."""
    if not shorts or not longs:
        return []
    sign = 1.0 if right is Right.CALL else -1.0
    (k, ends, size), (long_k, long_ends, long_size) = (_facts(side) for side in (shorts, longs))
    gap = sign * (long_k - k[:, None])
    later = long_ends - ends[:, None]
    allowed = (later >= 0) & (long_size == size[:, None])
    i, j = np.nonzero(allowed)
    order = np.lexsort((j, i, np.abs(gap[i, j]), later[i, j], np.maximum(gap[i, j], 0.0)))
    found = []
    for place in order:
        short, long = shorts[i[place]], longs[j[place]]
        quantity = min(short.left, long.left)
        if quantity > 0:
            short.left -= quantity
            long.left -= quantity
            found.append((short, long, quantity))
    return found


def _facts(side: list[_Open]) -> tuple[Floats, Floats, Floats]:
    """Strikes, ends (seconds) and multipliers."""
    strikes = np.array([x.lot.contract.strike or 0.0 for x in side])
    ends = np.array([x.ends.timestamp() for x in side])
    return strikes, ends, np.array([x.lot.contract.multiplier for x in side])


def _risk(lots: Sequence[Lot]) -> float:
    """−min over the underlying's price of what the options pay at expiry; the payoff bends only at strikes."""
    strikes = np.array([lot.contract.strike or 0.0 for lot in lots])
    size = np.array([lot.quantity * lot.contract.multiplier for lot in lots])
    call = np.array([lot.contract.right is Right.CALL for lot in lots])
    points = np.concatenate(([0.0], np.unique(strikes), [2.0 * float(strikes.max())]))
    intrinsic = np.where(call[:, None], points - strikes[:, None], strikes[:, None] - points)
    return max(-float((size @ np.maximum(intrinsic, 0.0)).min()), 0.0)
