"""American options on a stock with known cash dividends: finite differences in the logarithm of the escrowed spot.

Crank and Nicolson steps, smoothed by implicit ones after expiry and every ex-date (Rannacher, 1984); where to exercise
is found by policy iteration, so one region, two or none are all the same to it.
"""

import math

import numba
import numpy as np

from models.quant.kernels.exercise import COLUMN, TABLE, Floats
from models.quant.kernels.jit import kernel, part

_REACH = 6.0  # standard deviations to each side
_SMOOTH = 4
_POLICIES = 30
_TIE = 1e-12


@part
def _sweep(right: Floats, held: Floats, floor: Floats, step: Floats, above: Floats, found: Floats) -> None:
    """Thomas' algorithm where a policy stands: held nodes obey the equation, the others are worth their floor."""
    n = floor.size
    above[0], found[0] = 0.0, floor[0]
    for i in range(1, n - 1):
        below, self_, over, target = -step[0], 1.0 - step[1], -step[2], right[i]
        if held[i] == 0.0:
            below, self_, over, target = 0.0, 1.0, 0.0, floor[i]
        scale = self_ - below * above[i - 1]
        above[i] = over / scale
        found[i] = (target - below * found[i - 1]) / scale
    found[n - 1] = floor[n - 1]
    for i in range(n - 2, 0, -1):
        found[i] -= above[i] * found[i + 1]


@part
def _judge(right: Floats, held: Floats, floor: Floats, step: Floats, found: Floats) -> bool:
    """Let go what is worth less held than exercised, take back what is worth more; True when nothing changed."""
    settled = True
    for i in range(1, floor.size - 1):
        worth = found[i]
        if held[i] == 0.0:
            worth = right[i] + step[0] * found[i - 1] + step[1] * found[i] + step[2] * found[i + 1]
        keep = 1.0 if worth >= floor[i] - _TIE * (2.0 * held[i] - 1.0) else 0.0
        if keep != held[i]:
            held[i], settled = keep, False
    return settled


@part
def _back(value: Floats, floor: Floats, step: Floats, share: float, room: Floats) -> None:
    """One step back in time: V − share·L(V) = V + (1 − share)·L(V) before, V ≥ floor. `step` is L on the neighbours."""
    right, held, above, found = room[0], room[1], room[2], room[3]
    for i in range(1, value.size - 1):
        moved = step[0] * value[i - 1] + step[1] * value[i] + step[2] * value[i + 1]
        right[i] = value[i] + (1.0 - share) * moved
        held[i] = 1.0
    implicit = share * step
    for _ in range(_POLICIES):
        _sweep(right, held, floor, implicit, above, found)
        if _judge(right, held, floor, implicit, found):
            break
    for i in range(value.size):
        value[i] = max(found[i], floor[i])


@part
def _exercised(nodes: Floats, cash: float, strike: float, call: bool, out: Floats) -> None:
    for i in range(nodes.size):
        gain = nodes[i] + cash - strike
        out[i] = max(gain if call else -gain, 0.0)


@part
def _cash_after(when: Floats, amount: Floats, t: float, r: float, end: float) -> float:
    """Worth at t of the dividends that go ex after t and up to the end."""
    total = 0.0
    for j in range(when.size):
        if t < when[j] <= end:
            total += amount[j] * math.exp(-r * (when[j] - t))
    return total


@kernel(
    numba.types.UniTuple(numba.float64, 4)(
        *((numba.float64,) * 6), numba.bool_, COLUMN, COLUMN, numba.int64, numba.int64, TABLE
    )
)
def price(
    s: float, k: float, t: float, vol: float, r: float, q: float, call: bool,
    when: Floats, amount: Floats, points: int, steps: int, room: Floats,
) -> tuple[float, float, float, float]:  # fmt: skip
    """(price, delta, gamma, speed) at spot `s`; `when` ascending years to the ex-dates before `t`, `amount` per share.

    `room` has shape (7, 2·points + 1). NaN where the dividends are worth more than the spot.
    """
    rest = s - _cash_after(when, amount, 0.0, r, t)
    if not rest > 0.0:
        return np.nan, np.nan, np.nan, np.nan
    nodes, value, floor = room[4], room[5], room[6]
    width = (_REACH * vol * math.sqrt(t) + abs(math.log(rest / k)) * 0.5) / points
    for i in range(nodes.size):
        nodes[i] = rest * math.exp(width * (i - points))
    _exercised(nodes, 0.0, k, call, value)
    drift, spread = 0.5 * (r - q - 0.5 * vol * vol) / width, 0.5 * vol * vol / (width * width)
    end = t
    for j in range(when.size, -1, -1):
        begin = when[j - 1] if j > 0 else 0.0
        count = max(math.ceil(steps * (end - begin) / t), 2 * _SMOOTH)
        dt = (end - begin) / count
        operator = dt * np.array([spread - drift, -2.0 * spread - r, spread + drift])
        for step in range(count):
            now = end - (step + 1) * dt
            _exercised(nodes, _cash_after(when, amount, now, r, t), k, call, floor)
            if step < _SMOOTH:  # two implicit half steps in place of a mixed one
                for _ in range(2):
                    _back(value, floor, 0.5 * operator, 1.0, room)
            else:
                _back(value, floor, operator, 0.5, room)
        if j > 0:  # the last moment with the dividend
            _exercised(nodes, _cash_after(when, amount, begin, r, t) + amount[j - 1], k, call, floor)
            for i in range(nodes.size):
                value[i] = max(value[i], floor[i])
        end = begin
    m = points
    first = (value[m + 1] - value[m - 1]) / (2.0 * width)
    second = (value[m + 1] - 2.0 * value[m] + value[m - 1]) / (width * width)
    third = (value[m + 2] - 2.0 * value[m + 1] + 2.0 * value[m - 1] - value[m - 2]) / (2.0 * width**3)
    gamma = (second - first) / (rest * rest)
    return value[m], first / rest, gamma, (third - 3.0 * second + 2.0 * first) / rest**3
