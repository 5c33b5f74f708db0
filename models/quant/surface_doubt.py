"""Where a fitted surface is least certain, and which contracts to quote next so that it grows certain soonest.

Volatility is taken as a Gaussian process about the fitted smile, over moneyness in standard deviations and the
logarithm of time (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapter 2): the doubt of a
region is its posterior deviation given every quote and how well it is still known, in price points. What is far from a
quote, was quoted long ago or before the spot moved, or lies in an expiry without quotes of its own, is in doubt. The
next quote is taken where doubt is greatest and then counts as known (MacKay, Information-based objectives, 1992).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.quant.sightings import vega
from models.quant.surface import Slice

Floats = NDArray[np.float64]
_WIDTH = 0.25
REGIONS = np.arange(-7.0, 3.0 + _WIDTH, _WIDTH)  # middles of the strike regions, in standard deviations of the forward


@dataclass(frozen=True)
class Traits:
    """How smiles vary, as data: fitted by eye on the recorded SPX chains, where half or twice changes little."""

    amplitude: float = 0.01  # volatility (fraction) at the money that the smile may be off by where nothing is quoted
    wing: float = 2.0  # standard deviations at which it may be off by twice as much
    reach: float = 0.8  # standard deviations over which one quote speaks for its neighbours
    expiry_reach: float = 0.3  # of ln t: over which one expiry speaks for the next
    own: float = 0.3  # share of the variance that an expiry has for itself
    quote_points: float = 0.1  # half-spread expected of a quote not yet seen, price points
    quote_floor: float = 0.0003  # volatility below which no quote is known


TRAITS = Traits()


@dataclass(frozen=True)
class Quoted:
    """One fitted expiry: the strikes that can be quoted, ascending, and within how much volatility (fraction) the quote
    of each is known now; infinite where it has none."""

    piece: Slice
    strikes: Floats
    error: Floats


@dataclass(frozen=True)
class Pick:
    """A strike to quote: which of the expiries given, and the middle of its region."""

    expiry: int
    strike: float
    z: float


@dataclass(frozen=True)
class Doubt:
    """One row per region that has a strike: its expiry, its middle z, its vega (points per 1.00 of volatility), and the
    posterior covariance of volatility (fractions squared)."""

    expiry: NDArray[np.int64]
    z: Floats
    vega: Floats
    covariance: Floats

    @property
    def vol(self) -> Floats:
        """Posterior deviation of each region's volatility, as a fraction."""
        out: Floats = np.sqrt(np.maximum(np.diag(self.covariance), 0.0))
        return out

    @property
    def points(self) -> Floats:
        """The same in price points: what a modelled mid there may be off by, one standard deviation."""
        return self.vega * self.vol

    def quoted(self, row: int, error: float) -> "Doubt":
        """The doubt left once a region is quoted to within `error` of volatility."""
        c = self.covariance
        left = c - np.outer(c[:, row], c[row]) / (c[row, row] + error * error)
        return Doubt(self.expiry, self.z, self.vega, left)


def doubt_of(expiries: Sequence[Quoted], traits: Traits = TRAITS) -> Doubt:
    """The doubt of every region of these expiries that has a strike to quote."""
    rows = [row for i, one in enumerate(expiries) for row in _regions(i, one)]
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    expiry, z, log_t, weight, known = table.T
    prior = _prior(expiry, z, log_t, traits)
    seen = np.flatnonzero(known > 0)
    noisy = prior[np.ix_(seen, seen)] + np.diag(1.0 / known[seen])
    covariance = prior - prior[:, seen] @ np.linalg.solve(noisy, prior[seen]) if seen.size else prior
    return Doubt(expiry.astype(np.int64), z, weight, covariance)


def choose(
    expiries: Sequence[Quoted],
    count: int,
    first: int | None = None,
    share: int = 0,
    most: int = 4,
    traits: Traits = TRAITS,
) -> tuple[Pick, ...]:
    """`count` strikes at most to quote next, the greatest doubt first, in at most `most` expiries.

    The expiry `first` gets at least `share` of them, whatever the doubt elsewhere. A region's strike is the one known
    least, of those the nearest to its middle; no strike is chosen twice.
    """
    doubt = doubt_of(expiries, traits)
    regions = [_region_of(one) for one in expiries]
    free: dict[int, list[float]] = {}
    left = np.ones(doubt.z.size, dtype=bool)
    chosen: list[Pick] = []
    while len(chosen) < count:
        allowed = left & _allowed(doubt, chosen, first if len(chosen) < share else None, most)
        if not allowed.any():
            allowed = left & _allowed(doubt, chosen, None, most)
        if not allowed.any():
            break
        row = int(np.argmax(np.where(allowed, doubt.points, -1.0)))
        expiry, z = int(doubt.expiry[row]), float(doubt.z[row])
        if row not in free:
            free[row] = _strikes_in(expiries[expiry], regions[expiry], z)
        chosen.append(Pick(expiry, free[row].pop(0), z))
        left[row] = bool(free[row])
        doubt = doubt.quoted(row, max(traits.quote_floor, traits.quote_points / max(float(doubt.vega[row]), 1e-12)))
    return tuple(chosen)


def _allowed(doubt: Doubt, chosen: Sequence[Pick], first: int | None, most: int) -> NDArray[np.bool_]:
    """The regions whose turn it is: those of `first`, else of the expiries begun once there are `most` of them."""
    if first is not None:
        return np.asarray(doubt.expiry == first)
    begun = {pick.expiry for pick in chosen}
    return np.isin(doubt.expiry, list(begun)) if len(begun) >= most else np.ones(doubt.z.size, dtype=bool)


def moneyness(piece: Slice, strikes: Floats) -> Floats:
    """ln(strike / forward) in standard deviations at the money."""
    deviation = float(piece.iv([piece.forward])[0]) * math.sqrt(piece.t_years)
    out: Floats = np.log(strikes / piece.forward) / deviation
    return out


def _region_of(one: Quoted) -> NDArray[np.int64]:
    """Each strike's place in REGIONS; −1 beyond them."""
    z = moneyness(one.piece, one.strikes)
    place = np.rint((z - REGIONS[0]) / _WIDTH).astype(np.int64)
    return np.where((place >= 0) & (place < REGIONS.size), place, -1)


def _regions(index: int, one: Quoted) -> list[tuple[float, ...]]:
    """(expiry, z, ln t, vega, precision) of every region with a strike; precision is 1/error², quotes added up."""
    place, weight, precision = _region_of(one), vega(one.piece, one.strikes), 1.0 / np.square(one.error)
    log_t = math.log(one.piece.t_years)
    return [
        (float(index), float(REGIONS[i]), log_t, float(weight[inside].mean()), float(precision[inside].sum()))
        for i in np.unique(place[place >= 0]).tolist()
        for inside in [place == i]
    ]


def _prior(expiry: Floats, z: Floats, log_t: Floats, traits: Traits) -> Floats:
    """Matérn 3/2 over moneyness, exponential over ln t beside a part that each expiry has for itself; wider in the
    wings."""
    apart = math.sqrt(3.0) * np.abs(z[:, None] - z[None, :]) / traits.reach
    shape = (1.0 + apart) * np.exp(-apart)
    between = np.exp(-np.abs(log_t[:, None] - log_t[None, :]) / traits.expiry_reach)
    same = expiry[:, None] == expiry[None, :]
    size = traits.amplitude * (1.0 + (z / traits.wing) ** 2)
    out: Floats = np.outer(size, size) * shape * ((1.0 - traits.own) * between + traits.own * same)
    return out


def _strikes_in(one: Quoted, place: NDArray[np.int64], middle: float) -> list[float]:
    """The strikes of a region, the least known first, of those the nearest to its middle."""
    inside = np.flatnonzero(place == np.searchsorted(REGIONS, middle))
    off = np.abs(moneyness(one.piece, one.strikes[inside]) - middle)
    return [float(k) for k in one.strikes[inside][np.lexsort((off, -one.error[inside]))]]
