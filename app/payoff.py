"""What a proposed trade is worth across spots: at expiry from its legs alone, today from its volatilities. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from models.quant.option import Contract, Right
from models.quant.pricing import bsm
from models.quant.product import expiry_instant, years_to
from models.quant.structure import Leg, combo_price, expiry_profit

POINTS = 161
REACH = 3.0
"""How many standard deviations to expiry the picture shows to each side, within 8 and 30 per cent."""
RATE = 0.04
"""Carry of the "today" line. The line is anchored at the present mid, so this bends it only far from spot; limits
never use it (they come from the bridge's valuation)."""


@dataclass(frozen=True)
class Payoff:
    """Profit in account currency over `spots`. None where it cannot be said, with `why`."""

    spots: tuple[float, ...]
    expiry: tuple[float, ...] | None
    now: tuple[float, ...] | None
    break_evens: tuple[float, ...]
    max_loss: float | None
    max_gain: float | None
    sigma: float | None
    why: str = ""


def common_expiry(legs: Sequence[Leg]) -> bool:
    """Do all options of the trade settle at one moment? Only then has it one expiry profit."""
    options = [leg.contract for leg in legs if leg.contract.is_option]
    return bool(options) and len({expiry_instant(contract) for contract in options}) == 1


def payoff_of(legs: Sequence[Leg], quantity: int, multiplier: float, price: float, spot: float, at: datetime) -> Payoff:
    """The trade bought at `price` per unit (debit positive), with the underlying at `spot`, at desk time `at`."""
    sigma = _sigma(legs, spot, at)
    reach = min(max(REACH * (sigma or spot * 0.05) / spot, 0.08), 0.30)
    spots = tuple(float(s) for s in np.linspace(spot * (1 - reach), spot * (1 + reach), POINTS))
    units = quantity * multiplier
    expiry, worst, best, edges, why = None, None, None, (), ""
    if common_expiry(legs) or not any(leg.contract.is_option for leg in legs):
        expiry = tuple(expiry_profit(legs, s, price) * units for s in spots)
        worst, best = extremes(legs, price, units)
        edges = break_evens(spots, expiry)
    else:
        why = "the legs expire on different days: there is no one expiry line"
    return Payoff(spots, expiry, _today(legs, spots, spot, price, units, at), edges, worst, best, sigma, why)


def extremes(legs: Sequence[Leg], price: float, units: float) -> tuple[float | None, float | None]:
    """(largest loss, largest gain) at expiry in currency, signed; None is unlimited."""
    corners = [0.0, *(leg.contract.strike for leg in legs if leg.contract.strike is not None)]
    values = [expiry_profit(legs, s, price) * units for s in corners]
    slope = sum(leg.signed_ratio for leg in legs if leg.contract.right is Right.CALL or not leg.contract.is_option)
    return (None if slope < 0 else min(values)), (None if slope > 0 else max(values))


def break_evens(spots: Sequence[float], values: Sequence[float]) -> tuple[float, ...]:
    """Where the line crosses nothing, interpolated; at most four."""
    found = []
    for i in range(len(spots) - 1):
        a, b = values[i], values[i + 1]
        if a * b < 0:
            found.append(spots[i] + (spots[i + 1] - spots[i]) * a / (a - b))
    return tuple(found[:4])


def _sigma(legs: Sequence[Leg], spot: float, at: datetime) -> float | None:
    """One standard deviation to the nearest expiry from the legs' own volatilities."""
    ivs = [(leg.iv, years_to(expiry_instant(leg.contract), at)) for leg in legs if leg.contract.is_option and leg.iv]
    if not ivs:
        return None
    iv, years = min(ivs, key=lambda pair: pair[1])
    return spot * float(iv) * math.sqrt(max(years, 1 / 365))


def _today(
    legs: Sequence[Leg], spots: Sequence[float], spot: float, price: float, units: float, at: datetime
) -> tuple[float, ...] | None:
    """Profit today across spots at each leg's own volatility (sticky strike), anchored so that at `spot` it is the
    present mid less the price; None when a volatility or a mid is unknown."""
    mid = combo_price(legs)
    if mid is None:
        return None
    grid = np.asarray([*spots, spot])
    total = np.zeros(len(grid))
    for leg in legs:
        value = _leg_today(leg.contract, leg.iv, grid, at)
        if value is None:
            return None
        total = total + leg.signed_ratio * value
    return tuple(float(v) for v in (total[:-1] - total[-1] + mid - price) * units)


def _leg_today(contract: Contract, iv: float | None, grid: np.ndarray, at: datetime) -> np.ndarray | None:
    if not contract.is_option:
        return grid
    if iv is None or contract.strike is None:
        return None
    years = years_to(expiry_instant(contract), at)
    return bsm(grid, contract.strike, years, iv, RATE, 0.0, contract.right is Right.CALL).price
