"""What a proposed trade is worth across spots, for the picture: at its first expiry and today. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from models.quant.payoff import Carry, first_expiry, outcome, parts_of, worth
from models.quant.product import expiry_instant, years_to
from models.quant.structure import Leg, combo_price

POINTS = 161
REACH = 3.0
"""How many standard deviations to expiry the picture shows to each side, within 8 and 30 per cent."""
CARRY = Carry(rate=0.04)
"""Carry of the "today" line and of legs that outlive the first expiry. The line is anchored at the present mid, so this
bends it only far from spot; limits never use it (they come from the bridge's valuation)."""


@dataclass(frozen=True)
class Payoff:
    """Profit in account currency over `spots`. `max_loss` is signed; ±inf is unlimited, None unknown, with `why`."""

    spots: tuple[float, ...]
    expiry: tuple[float, ...] | None
    now: tuple[float, ...] | None
    break_evens: tuple[float, ...]
    max_loss: float | None
    max_gain: float | None
    sigma: float | None
    why: str = ""


def payoff_of(legs: Sequence[Leg], quantity: int, multiplier: float, price: float, spot: float, at: datetime) -> Payoff:
    """The trade bought at `price` per unit (debit positive), with the underlying at `spot`, at desk time `at`."""
    parts, cost = parts_of(legs, quantity), price * quantity * multiplier
    sigma = _sigma(legs, spot, at)
    reach = min(max(REACH * (sigma or spot * 0.05) / spot, 0.08), 0.30)
    spots = np.linspace(spot * (1 - reach), spot * (1 + reach), POINTS)
    result = outcome(parts, cost, CARRY)
    why = result.why
    if not result.exact and not why:
        why = "at the first expiry: the later legs keep their volatility and the time they have left"
    return Payoff(
        spots=_known(spots),
        expiry=None if result.max_profit is None else _known(worth(parts, spots, first_expiry(parts), CARRY) - cost),
        now=_today(legs, spots, spot, cost, quantity, multiplier, at),
        break_evens=tuple(level for level in result.break_evens if spots[0] <= level <= spots[-1]),
        max_loss=result.max_loss,
        max_gain=result.max_profit,
        sigma=sigma,
        why=why,
    )


def _known(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def _sigma(legs: Sequence[Leg], spot: float, at: datetime) -> float | None:
    """One standard deviation to the nearest expiry from the legs' own volatilities."""
    ivs = [(leg.iv, years_to(expiry_instant(leg.contract), at)) for leg in legs if leg.contract.is_option and leg.iv]
    if not ivs:
        return None
    iv, years = min(ivs, key=lambda pair: pair[1])
    return spot * float(iv) * math.sqrt(max(years, 1 / 365))


def _today(
    legs: Sequence[Leg], spots: np.ndarray, spot: float, cost: float, quantity: int, multiplier: float, at: datetime
) -> tuple[float, ...] | None:
    """Profit today across spots at each leg's own volatility (sticky strike), anchored so that at `spot` it is the
    present mid less the price; None when a volatility or a mid is unknown."""
    mid = combo_price(legs)
    if mid is None:
        return None
    total = worth(parts_of(legs, quantity), [*spots, spot], at, CARRY)
    if not np.isfinite(total).all():
        return None
    return _known(total[:-1] - total[-1] + mid * quantity * multiplier - cost)
