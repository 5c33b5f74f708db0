"""Keeps count of how far modelled prices were from the real quotes that came later, day by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from agents.desk import Desk
from models.market import SurfaceMisses
from models.quant.fitted import distances
from models.quant.product import NEW_YORK
from models.quant.surface import OptionQuote, Surface
from models.quant.surface_misses import add_counts, count_misses
from models.quant.terms import MarketView


@dataclass
class ModelCheck:
    """The day's count so far, read once from the store."""

    row: SurfaceMisses | None = None

    async def count(self, desk: Desk, surface: Surface, quotes: Sequence[OptionQuote], spot: float) -> int:
        """Count real two-sided quotes of contracts that only the surface had priced; `surface` is of desk time now."""
        view = MarketView(surface.at, spot, {surface.symbol: spot}, surfaces={surface.symbol: surface})
        bid, ask = (np.array([q.bid for q in quotes], dtype=float), np.array([q.ask for q in quotes], dtype=float))
        off = distances([quote.contract for quote in quotes], view, bid, ask)
        fresh = [count_misses(sizes) for sizes in (off.points, off.vol_points, off.half_spreads)]
        if not sum(fresh[0]):
            return 0
        kept = await self._of_today(desk, surface.symbol, surface.at)
        points, vol_points, half_spreads = fresh
        self.row = SurfaceMisses(
            symbol=surface.symbol,
            day=kept.day if kept else _day(surface.at),
            points=add_counts(kept.points, points) if kept else points,
            vol_points=add_counts(kept.vol_points, vol_points) if kept else vol_points,
            half_spreads=add_counts(kept.half_spreads, half_spreads) if kept else half_spreads,
            since=kept.since if kept else surface.at,
            at=surface.at,
        )
        await desk.store.market.write_misses(self.row)
        return sum(fresh[0])

    async def _of_today(self, desk: Desk, symbol: str, now: datetime) -> SurfaceMisses | None:
        if self.row is None or (self.row.symbol, self.row.day) != (symbol, _day(now)):
            self.row = await desk.store.market.misses(symbol, _day(now))
        return self.row


def _day(now: datetime) -> date:
    return now.astimezone(NEW_YORK).date()
