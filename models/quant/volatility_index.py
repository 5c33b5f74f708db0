"""The 30-day volatility index of a chain as Cboe computes the VIX: a strip of out-of-the-money mids, no model.

Source: Cboe, VIX Volatility Index Mathematics Methodology (white paper), formula 1 and its rules for zero bids.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from models.quant.option import Right
from models.quant.pricing import DAYS_PER_YEAR
from models.quant.product import settlement_minute, years_to
from models.quant.surface import OptionQuote, settlement_of

Floats = NDArray[np.float64]
_FRIDAY = 4


@dataclass(frozen=True)
class Strip:
    """One expiry's variance (annual) and what it rests on."""

    trading_class: str
    expiry: date
    t_years: float
    forward: float
    variance: float
    strikes: int


def volatility_index(
    quotes: Sequence[OptionQuote], at: datetime, rate: float, days: float = 30.0, reach: tuple[float, float] = (23, 37)
) -> float | None:
    """In points (16.5); None where no two Friday expiries within `reach` (days) bracket `days`.

    `rate` (annual, continuous) stands for the bond yields of the white paper.
    """
    strips = [s for s in strips_of(quotes, at, rate, reach) if s.variance > 0]
    early = [s for s in strips if s.t_years * DAYS_PER_YEAR <= days]
    late = [s for s in strips if s.t_years * DAYS_PER_YEAR > days]
    if not early or not late:
        return None
    near, far = early[-1], late[0]
    goal = days / DAYS_PER_YEAR
    share = (far.t_years - goal) / (far.t_years - near.t_years)
    total = share * near.t_years * near.variance + (1.0 - share) * far.t_years * far.variance
    return 100.0 * math.sqrt(total / goal)


def strips_of(
    quotes: Sequence[OptionQuote], at: datetime, rate: float, reach: tuple[float, float] = (23, 37)
) -> list[Strip]:
    """The strips of the Friday expiries from reach[0] to reach[1] days away, in order of time.

    Of two classes on one date the one that settles first: the white paper's third Fridays are the morning's.
    """
    groups: dict[tuple[date, str], list[OptionQuote]] = {}
    for quote in quotes:
        expiry = quote.contract.expiry
        if expiry is not None and expiry.weekday() == _FRIDAY:
            groups.setdefault((expiry, quote.contract.trading_class), []).append(quote)
    found: dict[date, Strip] = {}
    for (expiry, trading_class), rows in groups.items():
        t = years_to(settlement_minute(expiry, settlement_of(trading_class)), at)
        if reach[0] <= t * DAYS_PER_YEAR <= reach[1] and (expiry not in found or t < found[expiry].t_years):
            strip = strip_of(rows, t, rate)
            if strip is not None:
                found[expiry] = strip
    return [found[expiry] for expiry in sorted(found)]


def strip_of(quotes: Sequence[OptionQuote], t: float, rate: float) -> Strip | None:
    """The variance of one expiry's quotes with `t` years left; None without a strike that quotes both sides.

    Walking out from the money a zero bid is left out, and after two in a row nothing farther counts.
    """
    strikes, calls, puts, call_bids, put_bids = _columns(quotes)
    gap = np.abs(calls - puts)
    if not np.isfinite(gap).any():
        return None
    growth = math.exp(rate * t)
    middle = int(np.nanargmin(gap))
    forward = float(strikes[middle] + growth * (calls[middle] - puts[middle]))
    below = np.flatnonzero(strikes <= forward)
    if not below.size:
        return None
    centre = int(below[-1])
    down = [centre - 1 - i for i in _walk(put_bids[:centre][::-1])]
    up = [centre + 1 + i for i in _walk(call_bids[centre + 1 :])]
    rows = np.array(sorted([*down, centre, *up]))
    price = np.where(rows < centre, puts[rows], calls[rows])
    price[rows == centre] = 0.5 * (calls[centre] + puts[centre])
    known = np.isfinite(price)
    k, price = strikes[rows][known], price[known]
    if k.size < 2:
        return None
    variance = 2.0 / t * growth * float(np.sum(_widths(k) / k**2 * price))
    variance -= (forward / strikes[centre] - 1.0) ** 2 / t
    first = quotes[0].contract
    assert first.expiry is not None
    return Strip(first.trading_class, first.expiry, t, forward, variance, int(k.size))


def _columns(quotes: Sequence[OptionQuote]) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """(strikes ascending, call mids, put mids, call bids, put bids); a mid needs both sides, an absent bid is 0."""
    table: dict[float, list[float]] = {}
    for quote in quotes:
        c = quote.contract
        if c.strike is None:
            continue
        row = table.setdefault(c.strike, [math.nan, math.nan, 0.0, 0.0])
        side = 0 if c.right is Right.CALL else 1
        bid = quote.bid if quote.bid is not None and quote.bid > 0 else 0.0
        row[2 + side] = bid
        if bid > 0 and quote.ask is not None and quote.ask >= bid:
            row[side] = 0.5 * (bid + quote.ask)
    strikes = np.array(sorted(table))
    calls, puts, call_bids, put_bids = np.array([table[k] for k in strikes]).reshape(-1, 4).T
    return strikes, calls, puts, call_bids, put_bids


def _walk(bids: Floats) -> list[int]:
    """Which of the strikes met on the way out count."""
    kept: list[int] = []
    misses = 0
    for i, bid in enumerate(bids.tolist()):
        misses = 0 if bid > 0 else misses + 1
        if misses == 2:
            break
        if bid > 0:
            kept.append(i)
    return kept


def _widths(k: Floats) -> Floats:
    """Half the distance between the neighbours; at both ends the distance to the only one."""
    steps = np.diff(k)
    out: Floats = np.r_[steps[0], 0.5 * (steps[1:] + steps[:-1]), steps[-1]]
    return out
