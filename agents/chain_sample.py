"""The sampled chain of one underlying: what to quote next, what was seen, and the surface fitted to all of it.

An expiry is opened with the contracts that span its smile; from then on lines go where the surface is least certain,
every expiry is looked at again in turn, and what was seen keeps its say as long as it tells anything.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np

from agents.subscriptions import Listing, SampledExpiry, sample_contracts
from models.quant.option import Contract, Right, SecType
from models.quant.product import settlement_minute, years_to
from models.quant.sightings import Sighting, carried, errors, is_two_sided
from models.quant.surface import OptionQuote, Slice, Surface, fit_surface, settlement_of
from models.quant.surface_doubt import Quoted, choose

Point = tuple[str, date]
"""One expiry of one class."""
Place = tuple[str, date | None, float | None, Right | None]

OPENED_PER_TURN = 2  # expiries: two times seventeen lines fit the sample's thirty-five
SHARE = 6  # lines that the expiry looked at longest ago gets, whatever is in doubt elsewhere
EXPIRIES_PER_TURN = 4  # that the doubtful lines of one turn may touch: each is fitted anew
PAIRED = 0.6  # standard deviations: nearer the money call and put are quoted together, for the forward
SMILE_LIFE = timedelta(minutes=3)  # machine time: an older smile is no part of the surface any more
SIGHTING_LIFE = timedelta(minutes=5)  # machine time: an older quote tells the smile nothing, and is asked for as new
FIRST_VOLATILITY = 0.18  # places the wings of the very first sample only; every later one uses the fitted surface


@dataclass(frozen=True)
class Smile:
    """A fitted slice, the spot it was fitted at, and when (machine time)."""

    slice: Slice
    spot: float
    at: datetime


@dataclass
class ChainSample:
    """What the sampling of one underlying remembers between its turns. `lines` a turn; None: the whole chain."""

    symbol: str
    lines: int | None
    plan: tuple[Point, ...] = ()
    turn: int = 0
    looked_at: dict[Point, int] = field(default_factory=dict)
    smiles: dict[Point, Smile] = field(default_factory=dict)
    sightings: dict[Contract, tuple[Sighting, datetime]] = field(default_factory=dict)
    """With the machine time each was received."""
    asked: dict[Contract, datetime] = field(default_factory=dict)
    """When each contract last had a line (machine time): one that stayed silent is not asked again at once."""

    # ── what to quote next ───────────────────────────────────────────────────────────────────────────────────────
    def begin_turn(self, plan: Sequence[Point], machine: datetime) -> tuple[Point, ...]:
        """The expiries to open this turn; forgets what has grown too old and what is no longer planned."""
        self.plan, self.turn = tuple(plan), self.turn + 1
        self.smiles = {p: s for p, s in self.smiles.items() if p in plan and machine - s.at <= SMILE_LIFE}
        young = machine - SIGHTING_LIFE
        self.sightings = {c: pair for c, pair in self.sightings.items() if pair[1] > young}
        self.asked = {c: at for c, at in self.asked.items() if at > young}
        if self.lines is None:
            return self.plan
        new = [point for point in self.plan if point not in self.looked_at]
        return tuple(new[:OPENED_PER_TURN]) or tuple(p for p in (self._longest_ago(),) if p and p not in self.smiles)

    def contracts(
        self,
        opened: Sequence[Point],
        listing_of: Callable[[Point], Listing],
        spot: float,
        now: datetime,
        machine: datetime,
        unlisted: frozenset[str] = frozenset(),
    ) -> tuple[SampledExpiry, ...]:
        """What to quote this turn: the span of each opened expiry, then the doubtful; with no limit everything."""
        if self.lines is None:
            found = {p: [c for c in _all_of(listing_of(p), p) if c.identity not in unlisted] for p in opened}
        else:
            found = {
                p: list(sample_contracts(listing_of(p), p[1], spot, self._volatility(p), now, unlisted)) for p in opened
            }
            room = self.lines - sum(map(len, found.values()))
            for contract in self._doubtful(room, listing_of, spot, now, opened):
                found.setdefault((contract.trading_class, _day(contract)), []).append(contract)
        for point, contracts in found.items():
            self.looked_at[point] = self.turn
            self.asked.update((c, machine) for c in contracts)
        return tuple(SampledExpiry(*point, tuple(contracts)) for point, contracts in found.items())

    def _longest_ago(self) -> Point | None:
        return min(self.plan, key=lambda point: self.looked_at.get(point, -1), default=None)

    def _doubtful(
        self, room: int, listing_of: Callable[[Point], Listing], spot: float, now: datetime, opened: Sequence[Point]
    ) -> list[Contract]:
        """At most `room` contracts where the surface is least certain, pairs near the money."""
        pieces = {p: s for p in self.plan if p not in opened and (s := self._now(p, spot, now)) is not None}
        silent = {_place(c) for c in self.asked if c not in self.sightings}
        known = [
            self._quoted(p, piece, _usable(listing_of(p), p, piece, silent), spot, now) for p, piece in pieces.items()
        ]
        points, oldest = list(pieces), self._longest_ago()
        first = points.index(oldest) if oldest in pieces else None
        picked: list[Contract] = []
        for pick in choose(known, room, first, SHARE, EXPIRIES_PER_TURN):
            point = points[pick.expiry]
            rights = _rights(pick.strike, pieces[point], abs(pick.z) < PAIRED)
            fresh = [_option(listing_of(point), point, pick.strike, right) for right in rights]
            picked += fresh[: room - len(picked)]
        return picked

    def _quoted(self, point: Point, piece: Slice, strikes: Sequence[float], spot: float, now: datetime) -> Quoted:
        """The strikes with how well each one's quote is still known; call and put of a strike tell one volatility."""
        seen = self._seen(point)
        best: dict[float, float] = {}
        for one, error in zip(seen, errors(seen, piece, spot, now) if seen else (), strict=True):
            best[one.strike] = min(best.get(one.strike, np.inf), float(error))
        known = np.array([best.get(k, np.inf) for k in strikes], dtype=np.float64)
        return Quoted(piece, np.array(strikes, dtype=np.float64), known)

    def _volatility(self, point: Point) -> float:
        """Volatility at the money, to place the wings."""
        known = self.smiles.get(point) or next(iter(self.smiles.values()), None)
        if known is None:
            return FIRST_VOLATILITY
        at_money = float(known.slice.iv([known.slice.forward])[0])
        return at_money if 0.03 < at_money < 3 else FIRST_VOLATILITY

    # ── what was seen ────────────────────────────────────────────────────────────────────────────────────────────
    def saw(self, quotes: Iterable[OptionQuote], spot: float, now: datetime, machine: datetime) -> None:
        """Keep the two-sided ones as the market of desk time `now`."""
        for quote in quotes:
            if is_two_sided(quote):
                self.sightings[quote.contract] = (Sighting(quote, spot, now), machine)

    def _seen(self, point: Point) -> list[Sighting]:
        return [pair[0] for c, pair in self.sightings.items() if (c.trading_class, c.expiry) == point]

    def is_modelled(self, contract: Contract) -> bool:
        """No quote of its own has a say in the surface: what the desk calls its price is the surface's word alone."""
        return contract not in self.sightings

    # ── the surface ──────────────────────────────────────────────────────────────────────────────────────────────
    def fit(self, points: Iterable[Point], spot: float, now: datetime, machine: datetime) -> int:
        """Fit the smiles of these expiries to all that was seen of them; answers how many. A few milliseconds each."""
        quotes = [quote for point in points for quote in self._quotes_now(point, spot, now)]
        fitted = fit_surface(self.symbol, spot, now, quotes).slices if quotes else ()
        for piece in fitted:
            self.smiles[piece.trading_class, piece.expiry] = Smile(piece, spot, machine)
        return len(fitted)

    def _quotes_now(self, point: Point, spot: float, now: datetime) -> Sequence[OptionQuote]:
        seen, piece = self._seen(point), self._now(point, spot, now)
        return carried(seen, piece, spot, now) if piece and seen else [one.quote for one in seen]

    def _now(self, point: Point, spot: float, now: datetime) -> Slice | None:
        smile = self.smiles.get(point)
        return aged(smile, spot, now) if smile else None

    def surface(self, spot: float, now: datetime, machine: datetime) -> Surface | None:
        """One surface from smiles of different moments: volatilities stay where they were in moneyness."""
        young = [smile for smile in self.smiles.values() if machine - smile.at <= SMILE_LIFE]
        slices = [piece for smile in young if (piece := aged(smile, spot, now)) is not None]
        if not slices:
            return None
        in_time = tuple(sorted(slices, key=lambda piece: (piece.t_years, piece.trading_class)))
        return Surface(self.symbol, now, spot, in_time)


def aged(smile: Smile, spot: float, now: datetime) -> Slice | None:
    """A smile at another spot and a later time; None once it has settled."""
    piece = smile.slice
    t = years_to(settlement_minute(piece.expiry, settlement_of(piece.trading_class)), now)
    if t <= 0:
        return None
    return piece.aged(t, piece.forward * spot / smile.spot)


def _rights(strike: float, piece: Slice, paired: bool) -> tuple[Right, ...]:
    """The out-of-the-money side first."""
    outside = Right.CALL if strike >= piece.forward else Right.PUT
    return (outside, *(right for right in Right if right is not outside)) if paired else (outside,)


def _usable(listing: Listing, point: Point, piece: Slice, silent: set[Place]) -> list[float]:
    """Strikes whose out-of-the-money side may be asked for."""
    return [k for k in listing.strikes if (*point, k, _rights(k, piece, paired=False)[0]) not in silent]


def _all_of(listing: Listing, point: Point) -> Iterable[Contract]:
    return (_option(listing, point, strike, right) for strike in listing.strikes for right in Right)


def _option(listing: Listing, point: Point, strike: float, right: Right) -> Contract:
    return Contract(listing.symbol, SecType.OPTION, point[0], listing.multiplier, point[1], strike, right)


def _place(contract: Contract) -> Place:
    return contract.trading_class, contract.expiry, contract.strike, contract.right


def _day(contract: Contract) -> date:
    assert contract.expiry is not None
    return contract.expiry
