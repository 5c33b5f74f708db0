"""Who gets the source's quote lines: the budget per purpose, and what spans the smile of an expiry.

Pure: wishes and chains in, contracts out. The streams process alone turns the answer into subscriptions.
"""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from models.quant.option import Contract, Right, SecType
from models.quant.product import PRODUCTS, dte, settlement_minute, years_to

MARKET, HELD, PROPOSAL, SAMPLE = "market", "held", "proposal", "sample"


SPARE = 10  # of a source's lines, left for snapshots: each takes one too


@dataclass(frozen=True)
class Budget:
    """Lines per purpose, of a source that streams a hundred at once."""

    total: int = 90
    market: int = 10
    held: int = 50
    proposal: int = 40
    sample: int = 35

    def of(self, purpose: str) -> int:
        return int(getattr(self, purpose))

    @staticmethod
    def within(lines: int | None) -> "Budget":
        """The budget on a source that carries so many lines; None: whole chains, and nobody has to share."""
        if lines is None:
            return Budget(*[sys.maxsize] * len(fields(Budget)))
        return Budget(total=min(Budget.total, max(lines - SPARE, 0)))


ORDER = (MARKET, PROPOSAL, HELD, SAMPLE)  # whom the lines serve first when they do not reach for all


def allot(wishes: Mapping[str, Sequence[Contract]], turn: int, budget: Budget | None = None) -> tuple[Contract, ...]:
    """The contracts to stream now, at most `budget.total`, each once; held overflow rotates with `turn`.

    A contract already granted to an earlier purpose costs the later one nothing.
    """
    budget = budget or Budget()
    granted: dict[Contract, None] = {}
    for purpose in ORDER:
        fresh = [c for c in dict.fromkeys(wishes.get(purpose, ())) if c not in granted]
        room = min(budget.of(purpose), budget.total - len(granted))
        granted.update(dict.fromkeys(_rotate(fresh, room, turn) if purpose == HELD else fresh[:room]))
    return tuple(granted)


def _rotate(contracts: list[Contract], room: int, turn: int) -> list[Contract]:
    """A window of `room` that moves by its own width each turn, so that everybody is quoted in turn."""
    if len(contracts) <= room or room <= 0:
        return contracts[: max(room, 0)]
    start = (turn * room) % len(contracts)
    return (contracts + contracts)[start : start + room]


# ── the chain sample ─────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Listing:
    """What is listed in one class of an underlying: strikes are the union over expirations."""

    symbol: str
    trading_class: str
    multiplier: float
    expirations: tuple[date, ...]
    strikes: tuple[float, ...]


@dataclass(frozen=True)
class SampledExpiry:
    """One expiry of one class with the contracts that show its smile: pairs at the money, wings on both sides."""

    trading_class: str
    expiry: date
    contracts: tuple[Contract, ...]


PAIRS = 3  # call and put at the same strike nearest the money: put-call parity gives the forward
PUT_WING = (0.5, 1.0, 1.5, 2.0, 2.6, 3.3, 4.0)  # standard deviations below the money
CALL_WING = (0.5, 1.0, 1.5, 2.1)  # and above
LINES_PER_EXPIRY = 2 * PAIRS + len(PUT_WING) + len(CALL_WING)
ROUNDNESS = (100.0, 50.0, 25.0, 10.0, 5.0)  # round strikes are listed in every expiry, odd ones in few


def sample_expiries(
    listings: Sequence[Listing],
    now: datetime,
    held: Iterable[tuple[str, date]] = (),
    most: int = 40,
    window: tuple[int, int] = (30, 60),
) -> tuple[tuple[str, date], ...]:
    """Which (class, expiry) to sample, the outermost first and then ever finer, so that a surface spans at once.

    The window's expiries, one neighbour beyond each end (a surface answers only inside what it has seen), and the
    expiries of held contracts; at most `most`, evenly thinned.
    """  # fmt: skip
    alive = sorted(_alive(listings, now))
    inside = [point for point in alive if window[0] <= dte(point[2], now) <= window[1]]
    if not inside:
        inside = alive[:most]
    before = [point for point in alive if inside and point < inside[0]][-1:]
    after = [point for point in alive if inside and point > inside[-1]][:1]
    wanted = set(held)
    extra = [point for point in alive if (point[1], point[2]) in wanted and point not in before + inside + after]
    thinned = _thin(before + inside + after, max(most - len(extra[: most // 2]), 2))
    points = sorted(set(thinned + extra[: most // 2]))
    return tuple((cls, expiry) for _, cls, expiry in _outermost_first(points))


def expiries_between(
    listings: Sequence[Listing], now: datetime, window: tuple[int, int] = (30, 60)
) -> tuple[tuple[str, date], ...]:
    """Every (class, expiry) of the window, nearest first."""
    return tuple(
        (cls, expiry) for _, cls, expiry in sorted(_alive(listings, now)) if window[0] <= dte(expiry, now) <= window[1]
    )


def _alive(listings: Sequence[Listing], now: datetime) -> Iterable[tuple[datetime, str, date]]:
    for listing in listings:
        product = PRODUCTS.get((listing.trading_class, SecType.OPTION))
        for expiry in listing.expirations:
            instant = settlement_minute(expiry, product.settlement if product else None)
            if instant > now:
                yield instant, listing.trading_class, expiry


def _thin(points: list[tuple[datetime, str, date]], most: int) -> list[tuple[datetime, str, date]]:
    if len(points) <= most:
        return points
    step = (len(points) - 1) / (most - 1)
    return [points[round(i * step)] for i in range(most)]


def _outermost_first(points: list[tuple[datetime, str, date]]) -> list[tuple[datetime, str, date]]:
    """Ends, then the middle of every gap, breadth first."""
    if len(points) <= 2:
        return points
    order, gaps = [0, len(points) - 1], [(0, len(points) - 1)]
    while gaps:
        low, high = gaps.pop(0)
        middle = (low + high) // 2
        if middle in (low, high):
            continue
        order.append(middle)
        gaps += [(low, middle), (middle, high)]
    return [points[i] for i in order]


def sample_contracts(
    listing: Listing, expiry: date, spot: float, vol: float, now: datetime, unlisted: frozenset[str] = frozenset()
) -> tuple[Contract, ...]:
    """About seventeen contracts that show the smile of one expiry: near-money pairs first, then both wings."""
    product = PRODUCTS.get((listing.trading_class, SecType.OPTION))
    t = years_to(settlement_minute(expiry, product.settlement if product else None), now)
    deviation = vol * math.sqrt(max(t, 1 / 365))

    def contract(strike: float, right: Right) -> Contract:
        return Contract(
            listing.symbol, SecType.OPTION, listing.trading_class, listing.multiplier, expiry, strike, right
        )

    def listed(strike: float, right: Right) -> bool:
        return contract(strike, right).identity not in unlisted

    both = [k for k in listing.strikes if listed(k, Right.CALL) and listed(k, Right.PUT)]
    width = spot * deviation / 4
    at_money = _nearest(both, [spot, spot - width, spot + width], width)
    picked = [contract(k, right) for k in at_money for right in (Right.CALL, Right.PUT)]
    for right, sign, wing in ((Right.PUT, -1, PUT_WING), (Right.CALL, 1, CALL_WING)):
        targets = [spot * math.exp(sign * z * deviation) for z in wing]
        side = [k for k in listing.strikes if (k - spot) * sign > 0 and k not in at_money and listed(k, right)]
        picked += [contract(k, right) for k in _nearest(side, targets, width)]
    return tuple(dict.fromkeys(picked))


def _nearest(strikes: Sequence[float], targets: Sequence[float], width: float) -> list[float]:
    """For each target the roundest strike within a third of `width`, else simply the nearest; each strike once."""
    chosen: dict[float, None] = {}
    for target in targets:
        free = [k for k in strikes if k not in chosen]
        if not free:
            break
        near = [k for k in free if abs(k - target) <= width / 3] or [min(free, key=lambda k: abs(k - target))]
        chosen[min(near, key=lambda k: (_roundness(k), abs(k - target)))] = None
    return list(chosen)


def _roundness(strike: float) -> int:
    return next((i for i, step in enumerate(ROUNDNESS) if strike % step == 0), len(ROUNDNESS))
