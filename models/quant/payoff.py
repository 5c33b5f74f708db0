"""What a trade pays when its first option expires: profit across the underlying, break-evens, largest profit and loss.

Legs of one expiry give straight lines between strikes and exact answers; legs that live on keep their volatility and
the time they have left, and the answers are solved to a stated tolerance.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.option import Contract, Right, SecType
from models.quant.pricing import bsm_price
from models.quant.product import expiry_instant, is_spx_family, years_to
from models.quant.profit_line import ProfitLine
from models.quant.structure import Leg

Floats = NDArray[np.float64]
REACH = 8.0
"""How many standard deviations beyond the outer strikes such legs are searched; the time value is nothing beyond."""
_STEPS = 800


@dataclass(frozen=True)
class Part:
    """A signed quantity of one contract; `iv` (annual fraction, None unknown) is asked only of what lives on."""

    contract: Contract
    quantity: float
    iv: float | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.quantity):
            raise ValueError(f"quantity {self.quantity} of {self.contract} is not a number; leave the leg out")

    @property
    def size(self) -> float:
        """Currency per 1.00 of the contract's price."""
        return self.quantity * self.contract.multiplier


@dataclass(frozen=True)
class Carry:
    """Annual continuous rates that value what lives on; an option on a future is carried by neither but discounted."""

    rate: float = 0.0
    dividend_yield: float = 0.0


FLAT = Carry()


@dataclass(frozen=True)
class Outcome:
    """The trade at its first expiry. Money in account currency for all the parts, profit positive.

    `break_evens` are the underlying's prices where profit turns to or from nothing, ascending. `gains` are the open
    intervals with a profit, ±inf where they do not end. `max_profit` is +inf and `max_loss` −inf where unlimited;
    `max_loss` is signed: −500 loses 500, above 0 nothing can be lost. `slopes` are currency per 1.00 of the underlying
    below the lowest and above the highest strike. `exact`: all options expire together (or there is none). None in
    `max_profit` and `max_loss` is unknown, and `why` says what is missing.
    """

    break_evens: tuple[float, ...] = ()
    gains: tuple[tuple[float, float], ...] = ()
    max_profit: float | None = None
    max_loss: float | None = None
    slopes: tuple[float, float] = (math.nan, math.nan)
    exact: bool = True
    why: str = ""


def parts_of(legs: Sequence[Leg], quantity: float = 1) -> tuple[Part, ...]:
    """`quantity` combo units of a ticket's legs."""
    return tuple(Part(leg.contract, leg.signed_ratio * quantity, leg.iv) for leg in legs)


def first_expiry(parts: Iterable[Part]) -> datetime | None:
    """The settlement minute of the option that expires first; None without options."""
    return min((expiry_instant(p.contract) for p in parts if p.contract.is_option), default=None)


def lives_on(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Options left after the first expiry."""
    held = tuple(parts)
    first = first_expiry(held)
    return tuple(p for p in held if p.contract.is_option and expiry_instant(p.contract) != first)


def lowest_price(contract: Contract) -> float:
    """0 for shares, indices and futures on them; −inf for other futures (CL closed at −37.63 on 2020-04-20)."""
    on_future = contract.sec_type in (SecType.FUTURE, SecType.FUTURE_OPTION)
    return -math.inf if on_future and not is_spx_family(contract) else 0.0


def worth(parts: Sequence[Part], spots: ArrayLike, at: datetime | None, carry: Carry = FLAT) -> Floats:
    """Currency value of the parts at moment `at` with the underlying at each of `spots`; NaN for an unknown volatility.

    Expired options have their intrinsic value, the others Black-Scholes-Merton at their own `iv`, American ones valued
    as European. Where the underlying or the strike is not above zero the value is that of the certain forward.
    """
    grid = np.asarray(spots, dtype=np.float64)
    total = np.zeros(grid.shape)
    for part in parts:
        total = total + part.size * _value(part, grid, at, carry)
    return total


def _value(part: Part, grid: Floats, at: datetime | None, carry: Carry) -> Floats:
    c = part.contract
    if not c.is_option or c.strike is None or at is None:
        return grid
    call, years = c.right is Right.CALL, years_to(expiry_instant(c), at)
    rate, income = carry.rate, carry.rate if c.sec_type is SecType.FUTURE_OPTION else carry.dividend_yield
    if years == 0:
        return _certain(grid, c.strike, call)
    discount, growth = math.exp(-rate * years), math.exp((rate - income) * years)
    certain = discount * _certain(grid * growth, c.strike, call)
    vol = math.nan if part.iv is None else part.iv
    usual = bsm_price(np.where(grid > 0, grid, 1.0), max(c.strike, 1e-300), years, vol, rate, income, call)
    return np.where((grid > 0) & (c.strike > 0) | math.isnan(vol), usual, certain)


def _certain(forward: Floats, strike: float, call: bool) -> Floats:
    return np.maximum(forward - strike if call else strike - forward, 0.0)


def outcome(parts: Sequence[Part], cost: float, carry: Carry = FLAT) -> Outcome:
    """What `parts`, bought together for `cost` (currency for all of them, debit positive), do at their first expiry.

    Exact where all options expire together. Else solved by `profit_line`: break-evens and the places of the extremes to
    1e-9 of the price, within REACH standard deviations of the outer strikes. Raises ValueError for no parts, parts on
    different underlyings, or a cost that is not a number.
    """
    _check(parts, cost)
    later = lives_on(parts)
    unknown = next((p.contract for p in later if p.iv is None or not math.isfinite(p.iv)), None)
    if unknown is not None:
        return Outcome(exact=False, why=f"the volatility of {unknown}, which lives on, is unknown")
    first = first_expiry(parts)

    def profit(spots: Floats) -> Floats:
        return worth(parts, spots, first, carry) - cost

    floor = lowest_price(parts[0].contract)
    nodes = _searched(parts, later, first, floor) if later else _corners(parts, floor)
    line = ProfitLine(nodes, profit(nodes), floor, *_slopes(parts), profit if later else None)
    edges = line.break_evens()
    return Outcome(edges, line.gains(edges), line.most(), line.least(), (line.left, line.right), exact=not later)


def _check(parts: Sequence[Part], cost: float) -> None:
    if not parts:
        raise ValueError("no parts: a payoff needs at least one contract")
    symbols = sorted({p.contract.symbol for p in parts})
    if len(symbols) > 1:
        raise ValueError(f"parts on {' and '.join(symbols)}: a payoff has one underlying; ask for each alone")
    if not math.isfinite(cost):
        raise ValueError(f"cost {cost} is not a number; without a price there is no payoff")


def _slopes(parts: Sequence[Part]) -> tuple[float, float]:
    """Below and above every strike; what lives on counts as if exercised: carry decides no limit."""
    linear = sum(p.size for p in parts if not p.contract.is_option)
    puts = sum(p.size for p in parts if p.contract.right is Right.PUT)
    calls = sum(p.size for p in parts if p.contract.right is Right.CALL)
    rounding = 1e-12 * sum(abs(p.size) for p in parts)
    left, right = (slope if abs(slope) > rounding else 0.0 for slope in (linear - puts, linear + calls))
    return left, right


def _corners(parts: Sequence[Part], floor: float) -> Floats:
    strikes = {p.contract.strike for p in parts if p.contract.strike is not None}
    return np.array(sorted(k for k in {0.0, *strikes} if k >= floor))


def _searched(parts: Sequence[Part], later: Sequence[Part], first: datetime | None, floor: float) -> Floats:
    """Strikes and a geometric grid around them, fine against the standard deviation of what lives on."""
    corners = _corners(parts, floor)
    assert first is not None
    deviation = max((p.iv or 0.0) * math.sqrt(years_to(expiry_instant(p.contract), first)) for p in later)
    reach = math.exp(min(max(REACH * deviation, math.log(2.0)), 20.0))
    strikes = np.array([k for k in corners if k > 0])
    if not strikes.size:
        return corners
    return np.unique(np.concatenate((corners, np.geomspace(strikes[0] / reach, strikes[-1] * reach, _STEPS))))
