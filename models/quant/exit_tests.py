"""The questions behind the rules of management, functions of plain numbers. Exactly at a number counts as reached.

Money in currency for the whole trade, profit positive; prices per share or point; deltas of one contract, either sign.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np

from models.quant.option import Right
from models.quant.payoff import Part, first_expiry, outcome, worth

ROUNDING = 1e-9
"""Of the number compared with: what arithmetic may lose, not what a market moves."""
_FAR = 10.0  # times the highest strike: beyond every bend of the payoff


def reaches(value: float, bound: float) -> bool:
    return value >= bound - ROUNDING * max(1.0, abs(bound))


def profit_is_taken(profit: float, most: float, share: float) -> bool:
    """At least `share` of the most the trade can earn; nothing where it can earn nothing."""
    return most > 0 and reaches(profit, share * most)


def loss_is_reached(profit: float, credit: float, multiple: float) -> bool:
    """A loss of at least `multiple` times the credit received; nothing where the trade was paid for."""
    return credit > 0 and reaches(-profit, multiple * credit)


def days_are_few(days: int, most: int) -> bool:
    return 0 <= days <= most


def room_to(strike: float, right: Right, spot: float) -> float:
    """Points the underlying may still move before a short of this strike is touched; not above zero once it is."""
    return strike - spot if right is Right.CALL else spot - strike


def is_tested(room: float, delta: float | None, least: float) -> bool:
    """Touched, or with a delta of at least `least`; an unknown delta tests nothing by itself."""
    return room <= 0 or (delta is not None and reaches(abs(delta), least))


def is_near(room: float, sigma: float | None, sigmas: float) -> bool | None:
    """Touched, or at most `sigmas` times `sigma` (points to the last trade) away; None where that is unknown."""
    if room <= 0:
        return True
    return None if sigma is None else reaches(sigmas * sigma, room)


def is_called_away(extrinsic: float, dividend: float, room: float) -> bool:
    """In the money and worth less above exercise than the dividend: the holder gains by exercising tonight."""
    return room < 0 and extrinsic < dividend - ROUNDING


def is_ex_eve(ex_day: date, today: date, next_session: date) -> bool:
    """The share goes ex after today and by the next session's open."""
    return today < ex_day <= next_session


def sells_premium(parts: Sequence[Part]) -> bool:
    """Options of one expiry that gain by staying quiet: at expiry they pay nothing far below and far above, and lose
    somewhere. Strangles, condors, sold verticals and ratio spreads do; whatever was bought, and reversals, do not.
    """
    strikes = sorted({part.contract.strike or 0.0 for part in parts})
    values = worth(parts, [0.0, *strikes, _FAR * strikes[-1]], first_expiry(parts))
    nothing = ROUNDING * max(1.0, float(np.abs(values).max()))
    return bool(values[0] <= nothing and values[-1] <= nothing and values.min() < -nothing)


def most_earned(parts: Sequence[Part], credit: float) -> float:
    """The most that options of one expiry, sold together for `credit`, can earn at expiry; inf where unlimited."""
    most = outcome(parts, -credit).max_profit
    assert most is not None  # only what outlives the first expiry makes it unknown
    return most
