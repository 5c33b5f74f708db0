"""How likely each price of the underlying is at one moment, as its options price it, and what a trade then earns.

The measure is the risk-neutral one: what the market charges for, not what it will do.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.option import Right
from models.quant.payoff import FLAT, Carry, Outcome, Part, first_expiry, lives_on, worth
from models.quant.pricing import forward_price

Floats = NDArray[np.float64]
Volatility = float | Callable[[Floats], Floats]
"""One annual volatility for all strikes, or a smile: volatilities at an array of absolute strikes."""
_BUMP = 1e-4
_REACH = 10.0
_STEPS = 4000


@dataclass(frozen=True)
class Terminal:
    """The underlying `years` from now: its forward and its volatility. NaN anywhere makes every answer NaN.

    A forward that is not above zero has no lognormal distribution: NaN.
    """

    forward: float
    years: float
    vol: Volatility

    def deviation(self, levels: Floats) -> Floats:
        """vol × √years at absolute levels."""
        vol = self.vol(levels) if callable(self.vol) else np.full(levels.shape, self.vol)
        out: Floats = np.asarray(vol, dtype=np.float64) * math.sqrt(max(self.years, 0.0))
        return out

    def below(self, levels: ArrayLike) -> Floats:
        """P(underlying < level): 0 at and below zero, 1 at infinity.

        1 + dC/dK of the undiscounted call along the smile: N(−d2) + φ(d2)·ds/dk with s = vol·√years, k = ln(level)
        (Breeden & Litzenberger, 1978; Gatheral, The Volatility Surface, chapter 1). Without time the forward is
        certain. A smile with arbitrage is held within 0 and 1.
        """
        from scipy.special import ndtr

        x = np.atleast_1d(np.asarray(levels, dtype=np.float64))
        out = np.where(x > 0, 1.0, 0.0)
        inner = (x > 0) & np.isfinite(x)
        k = x[inner]
        s = self.deviation(k)
        with np.errstate(all="ignore"):
            d2 = np.log(self.forward / k) / s - 0.5 * s
            density = np.exp(-0.5 * d2 * d2) / math.sqrt(2.0 * math.pi)
            smooth = np.clip(ndtr(-d2) + density * self._slope(k), 0.0, 1.0)
            out[inner] = np.where(s == 0, (self.forward < k) * 1.0, smooth)
        out[np.isnan(x)] = math.nan
        if not (self.forward > 0 and self.years >= 0):
            out[:] = math.nan
        return out.reshape(np.shape(levels))

    def _slope(self, k: Floats) -> Floats:
        """ds/d ln(level) by a five-point difference."""
        if not callable(self.vol):
            return np.zeros(k.shape)
        up, down, up2, down2 = (self.deviation(k * math.exp(n * _BUMP)) for n in (1, -1, 2, -2))
        return (8.0 * (up - down) - (up2 - down2)) / (12.0 * _BUMP)

    def between(self, low: float, high: float) -> float:
        """P(low < underlying < high)."""
        ends = self.below([low, high])
        return float(ends[1] - ends[0])


def probability_of_profit(result: Outcome, terminal: Terminal) -> float | None:
    """Chance that the trade has a profit at its first expiry; `terminal` is that moment. None where it is unknown."""
    if result.max_profit is None:
        return None
    total = sum(terminal.between(low, high) for low, high in result.gains)
    # without a volatility there is no chance of anything, not even of a profit everywhere
    return total if math.isfinite(total) and _known(terminal) else None


def expected_profit(
    parts: Sequence[Part],
    cost: float,
    terminal: Terminal,
    carry: Carry = FLAT,
) -> float | None:
    """Mean profit in currency at the first expiry under the same measure; None where it is unknown.

    Options that expire then are their undiscounted prices, exactly; those that live on are integrated over the
    distribution (relative error below 1e-8). `cost` is what was paid (debit positive), without interest on it.
    """
    if not _known(terminal):
        return None
    later = lives_on(parts)
    total = sum(_mean(part, terminal) for part in parts if part not in later) - cost
    if later:
        total += _integrated(later, parts, terminal, carry)
    return total if math.isfinite(total) else None


def _known(terminal: Terminal) -> bool:
    return math.isfinite(float(terminal.below([terminal.forward])[0])) if terminal.forward > 0 else False


def _mean(part: Part, terminal: Terminal) -> float:
    c = part.contract
    if not c.is_option or c.strike is None:
        return part.size * terminal.forward
    if c.strike <= 0:  # the lognormal underlying never gets there
        return part.size * max(terminal.forward - c.strike, 0.0) if c.right is Right.CALL else 0.0
    s = terminal.deviation(np.array([c.strike]))
    return part.size * float(forward_price(terminal.forward, c.strike, s, c.right is Right.CALL)[0])


def _integrated(later: Sequence[Part], parts: Sequence[Part], terminal: Terminal, carry: Carry) -> float:
    s = float(terminal.deviation(np.array([terminal.forward]))[0])
    width = max(_REACH * s, 1e-9)
    levels = terminal.forward * np.exp(np.linspace(-width, width, _STEPS + 1))
    below = np.maximum.accumulate(terminal.below(levels))
    value = worth(later, levels, first_expiry(parts), carry)

    def trapezoids(step: int) -> float:
        v = value[::step]
        return float(np.diff(below[::step]) @ (0.5 * (v[1:] + v[:-1])))

    return (4.0 * trapezoids(1) - trapezoids(2)) / 3.0  # Richardson: the error falls with the fourth power of the step


def probability_of_touch(spot: float, level: float, years: float, vol: float, growth: float = 0.0) -> float:
    """Approximate chance that the underlying touches `level` before `years` are over; NaN where an input is unknown.

    Exact for one constant volatility, constant growth (rate − dividend yield, annual) and continuous watching by the
    reflection principle (Shreve, Stochastic Calculus for Finance II, 7.2); smiles and gaps make it an approximation.
    """
    from scipy.special import ndtr

    if not (spot > 0 and level > 0 and years >= 0 and vol >= 0 and math.isfinite(growth)):
        return math.nan
    if level == spot:
        return 1.0
    away = math.log(level / spot)
    s, drift = vol * math.sqrt(years), (growth - 0.5 * vol * vol) * years
    if s == 0:
        return float(math.copysign(1.0, away) * growth * years >= abs(away))
    side = math.copysign(1.0, away)
    mirrored = math.exp(min(2.0 * drift * away / (s * s), 700.0)) * ndtr(-side * (away + drift) / s)
    return float(min(ndtr(-side * (away - drift) / s) + mirrored, 1.0))
