"""Named stresses: what a day or a month of the past would do to the book of today.

The days are data (`stresses.toml`); each is one joint move of SPX and 30-day volatility, priced like the stress grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.option import Contract
from models.quant.scenario import revalue
from models.quant.strict_toml import FileError, Page, read_toml
from models.quant.terms import Holding, MarketView, Terms, terms_of

Floats = NDArray[np.float64]
VERSION = 1


class StressFileError(FileError):
    """The named stresses cannot be read. The process refuses to start and shows the file, the key and the remedy."""


@dataclass(frozen=True)
class NamedStress:
    """One move of the market between the closes of two dates.

    spx_move: simple return of SPX, a fraction · vol_points: change of the 30-day volatility in points, as `vol_index`
    told it · sentence: what happened · source: from which closes.
    """

    name: str = field(metadata={"kind": "text"})
    since: date = field(metadata={"kind": "date"})
    until: date = field(metadata={"kind": "date"})
    spx_move: float = field(metadata={"low": -0.99, "high": 1.0})
    vol_points: float = field(metadata={"low": -100.0, "high": 200.0})
    vol_index: str = field(metadata={"options": ("VIX", "VXO")})
    sentence: str = field(metadata={"kind": "text"})
    source: str = field(metadata={"kind": "text"})

    @property
    def days(self) -> int:
        """Calendar days between the two closes."""
        return (self.until - self.since).days


def load_stresses(text: str, source: str) -> tuple[NamedStress, ...]:
    """The named stresses of a TOML text, in its order; raises StressFileError naming `source` and the key."""
    raw = read_toml(text, source, StressFileError)
    page = Page(source, StressFileError)
    page.keys(raw, "", {"version", "stress"})
    page.version(raw, VERSION)
    rows = page.sequence(raw["stress"], "stress")
    found = tuple(page.table(NamedStress, row, f"stress.{i}") for i, row in enumerate(rows, 1))
    for i, one in enumerate(found, 1):
        if not one.since < one.until:
            page.refuse(f"stress.{i}.until", f"{one.until} is not after since, {one.since}")
        if one.name in {other.name for other in found[: i - 1]}:
            page.refuse(f"stress.{i}.name", f"{one.name!r} appears twice; every stress needs its own name")
    return found


@dataclass(frozen=True)
class StressTable:
    """Profit in currency of N positions in S stresses, shape (N, S); NaN is unknown."""

    stresses: tuple[NamedStress, ...]
    contracts: tuple[Contract, ...]
    contributions: Floats

    @property
    def total(self) -> Floats:
        """Profit of the whole book per stress, shape (S,); NaN where a position is unknown."""
        out: Floats = self.contributions.sum(axis=0)
        return out

    @property
    def missing(self) -> tuple[str, ...]:
        """The positions that make the total unknown, by name."""
        unknown = np.flatnonzero(~np.isfinite(self.contributions).all(axis=1))
        return tuple(f"{self.contracts[i]}: cannot be priced in a stress" for i in unknown)


def stress_book(holdings: Sequence[Holding], market: MarketView, stresses: Sequence[NamedStress]) -> StressTable:
    """The book through every stress: full repricing at the moved spot and volatility after the stress's days.

    Spot moves reach an underlying through its beta, volatility moves an expiry scaled by √(30 / max(DTE, 7)); options
    that expire within the days are worth their intrinsic value.
    """
    held = [h for h in holdings if h.quantity]
    terms = terms_of([h.contract for h in held], market)
    return stress_positions(terms, [h.quantity for h in held], stresses)


def stress_positions(terms: Terms, quantities: ArrayLike, stresses: Sequence[NamedStress]) -> StressTable:
    """`stress_book` for terms already gathered; `quantities` (N) signed, rows with quantity 0 may be unknown."""
    q = np.asarray(quantities, dtype=np.float64)
    held = q != 0
    profit = np.zeros((q.size, len(stresses)))
    for days in sorted({s.days for s in stresses}):
        columns = [i for i, s in enumerate(stresses) if s.days == days]
        moves, points = ([getattr(stresses[i], name) for i in columns] for name in ("spx_move", "vol_points"))
        profit[:, columns] = revalue(terms, moves, points, days)
    profit[held] *= q[held, None]
    profit[~held] = 0.0
    return StressTable(tuple(stresses), terms.contracts, profit)
