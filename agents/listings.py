"""What is listed on the sampled underlying: its classes and expirations, and expiry by expiry the strikes that exist.

The broker tells a chain as the union of strikes over expirations; half of those pairs do not exist. Each expiry's own
list is asked for once and kept beside the chain, so that nobody prices or proposes what cannot be traded.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from adapters.base import ChainListing, MarketData, NotConnected
from agents.desk import Desk
from agents.subscriptions import Listing
from models.market import ChainRow
from models.quant.option import Contract, Right

RELIST_AFTER = timedelta(minutes=30)  # machine time; the listing changes once a day at most

Point = tuple[str, date]
"""One expiry of one class."""


@dataclass
class Listings:
    """Classes by name, and what really exists at the points asked so far."""

    symbol: str
    classes: dict[str, Listing] = field(default_factory=dict)
    exchanges: dict[str, str] = field(default_factory=dict)
    exact: dict[Point, tuple[Contract, ...]] = field(default_factory=dict)
    failures: Counter[Point] = field(default_factory=Counter)
    read_at: datetime | None = None

    async def refresh(self, desk: Desk, data: MarketData) -> bool:
        """Read the chain again when it is old; True when it was read. Raises NotConnected in words."""
        machine = desk.machine_now()
        if self.read_at and machine - self.read_at < RELIST_AFTER:
            return False
        answer = await data.chain(self.symbol)
        if answer.failed:
            raise NotConnected(f"the broker did not give the {self.symbol} chain: {answer.failure}")
        if not answer.data:
            raise NotConnected(f"the broker lists no {self.symbol} options; check the market data permissions")
        self.classes = {c.trading_class: _listing(c) for c in answer.data}
        self.exchanges = {c.trading_class: c.exchange for c in answer.data}
        alive = {(cls, day) for cls, listing in self.classes.items() for day in listing.expirations}
        self.exact = {point: contracts for point, contracts in self.exact.items() if point in alive}
        self.read_at = machine
        await self._write(desk, data, self.classes)
        return True

    async def learn(self, desk: Desk, data: MarketData, points: Iterable[Point]) -> None:
        """Ask what exists at the points not known yet. An empty answer is a fact; one that failed is asked again."""
        changed = set()
        for cls, day in points:
            if (cls, day) in self.exact:
                continue
            answer = await data.listed(self.symbol, cls, day)
            if answer.failed:
                self.failures[cls, day] += 1
                continue
            self.exact[cls, day] = answer.data or ()
            changed.add(cls)
        await self._write(desk, data, changed)

    def unknown(self, points: Sequence[Point]) -> Point | None:
        """The first of the points not known yet; those that failed most often wait for the others."""
        return min((point for point in points if point not in self.exact), key=self.failures.__getitem__, default=None)

    def at(self, point: Point) -> Listing:
        """The class as it is listed at one expiry: strikes with both rights, else the union over expirations."""
        listing, known = self.classes[point[0]], self.exact.get(point)
        if known is None:
            return listing
        calls, puts = (_strikes(known, right) for right in Right)
        return replace(listing, strikes=tuple(sorted(calls & puts)))

    async def _write(self, desk: Desk, data: MarketData, classes: Iterable[str]) -> None:
        at = data.clock.at(desk.machine_now())
        await desk.store.market.write_chains([self._row(self.classes[cls], at) for cls in classes])

    def _row(self, listing: Listing, at: datetime) -> ChainRow:
        exact = {
            day.isoformat(): {right.value: sorted(_strikes(contracts, right)) for right in Right}
            for (cls, day), contracts in self.exact.items()
            if cls == listing.trading_class
        }
        return ChainRow(
            symbol=listing.symbol,
            trading_class=listing.trading_class,
            exchange=self.exchanges[listing.trading_class],
            multiplier=listing.multiplier,
            expirations=[day.isoformat() for day in listing.expirations],
            strikes=list(listing.strikes),
            listed=exact,
            at=at,
        )


def _listing(c: ChainListing) -> Listing:
    days = tuple(map(date.fromisoformat, c.expirations))
    return Listing(c.symbol, c.trading_class, c.multiplier, days, c.strikes)


def _strikes(contracts: Iterable[Contract], right: Right) -> set[float]:
    return {float(c.strike) for c in contracts if c.right is right and c.strike is not None}
