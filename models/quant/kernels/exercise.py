"""What an American option is worth once its boundary is known, and the kernels that price, differentiate and invert it.

A call is a put with spot and strike, rate and yield exchanged (McDonald and Schroder, 1998). The premium of early
exercise is Kim's integral (1990) over the boundary; its slopes in the spot are integrals of the same kind.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from models.quant.kernels.american import Room, Scheme, boundary, room_for, spread, two_sides
from models.quant.kernels.jit import kernel, part
from models.quant.kernels.special import exp, log

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
LEAST_DEV = 1e-5  # below it the path is certain to within a double's reach of the price
LEAST_RATE = 1e-10  # exercise that pays no interest but saves a negative yield: the limit of a vanishing rate
_PER_DAY = 1.0 / 365.0
_NUDGE = 1e-4
_VOL_BUMP, _RATE_BUMP = 1e-3, 1e-4
_SHIFTS = 7
_ROUNDING = 1e-12  # of the larger of spot and strike
SINGLE, NEVER, DOUBLE = 0, 1, 2
_PLANE = np.empty((1, 1))
SCHEME = numba.typeof(Scheme(np.empty(1), _PLANE, _PLANE, _PLANE, _PLANE, 1, 1))
COLUMN, FLAGS, TABLE = numba.float64[::1], numba.bool_[::1], numba.float64[:, ::1]
INPUTS = (COLUMN,) * 6


@part
def exercise_kind(r: float, q: float) -> int:
    """For a put: one boundary, never exercised early, or two boundaries (q < r < 0; Andersen and Lake, 2021)."""
    if r > 0.0 or (r == 0.0 and q < 0.0):
        return SINGLE
    return DOUBLE if q < r else NEVER


@part
def european(m: float, tau: float, vol: float, r: float, q: float) -> tuple[float, float, float]:
    """(value, slope, curvature) of the European put of strike 1 at spot m."""
    dev = vol * np.sqrt(tau)
    growth, discount = exp(-q * tau), exp(-r * tau)
    d2 = (log(m) + (r - q) * tau) / dev - 0.5 * dev
    n2, n1, _, bell1 = two_sides(-d2, -d2 - dev)
    return discount * n2 - m * growth * n1, -growth * n1, growth * bell1 / (m * dev)


@part
def certain(m: float, tau: float, r: float, q: float) -> float:
    """The American put of strike 1 without volatility: the best moment of a path that is known."""
    best = max(1.0 - m, exp(-r * tau) - m * exp(-q * tau), 0.0)
    if r != q and r * q > 0.0:
        t = np.log(r / (q * m)) / (r - q)
        if 0.0 < t < tau:
            best = max(best, exp(-r * t) - m * exp(-q * t))
    return best


@part
def premium(
    scheme: Scheme, room: Room, log_x: float, m: float, tau: float, vol: float, r: float, q: float
) -> tuple[float, float, float]:
    """(premium, slope, curvature) of early exercise at spot m; `room.past` holds h at the end angles."""
    left, root, weight = scheme.ends[1], scheme.ends[2], scheme.ends[3]
    worth, slopes, bends, past = room.parts[0], room.parts[1], room.parts[2], room.past
    far, whole = np.log(m) - log_x, vol * np.sqrt(tau)
    for j in range(past.size):
        dev, dt = whole * root[j], tau * left[j]
        per = 1.0 / dev
        d2 = (far + past[j] + (r - q) * dt) * per - 0.5 * dev
        d1 = d2 + dev
        n2, n1, bell2, bell1 = two_sides(-d2, -d1)
        cash = r * tau * weight[j] * exp(-r * dt)
        stock = q * tau * weight[j] * exp(-q * dt)
        worth[j] = cash * n2 - stock * m * n1
        slopes[j] = -cash * bell2 * per / m - stock * (n1 - bell1 * per)
        bends[j] = (cash * bell2 * (d2 * per + 1.0) / m + stock * bell1 * (1.0 - d1 * per)) * per / m
    value, slope, bend = 0.0, 0.0, 0.0
    for j in range(past.size):
        value += worth[j]
        slope += slopes[j]
        bend += bends[j]
    return value, slope, bend


@part
def place(scheme: Scheme, room: Room) -> None:
    """Interpolate the boundary in `room.h` to the end angles."""
    spread(room.h, scheme.reach, room.past)
    for j in range(room.past.size):
        room.past[j] = np.sqrt(max(room.past[j], 0.0))


@part
def put(
    scheme: Scheme, room: Room, log_x: float, log_b: float, m: float, tau: float, vol: float, r: float, q: float
) -> tuple[float, float, float]:
    """(value, slope, curvature) of the American put of strike 1; below the boundary e^log_b it is exercised."""
    if np.log(m) <= log_b:
        return 1.0 - m, -1.0, 0.0
    value, slope, bend = european(m, tau, vol, r, q)
    more, more_slope, more_bend = premium(scheme, room, log_x, m, tau, vol, r, q)
    return max(value + more, 1.0 - m), slope + more_slope, bend + more_bend


@part
def solved(
    scheme: Scheme, room: Room, m: float, tau: float, vol: float, r: float, q: float
) -> tuple[float, float, float]:
    """`put` from its terms alone, whatever kind of exercise they call for; NaN where there are two boundaries."""
    kind = exercise_kind(r, q)
    if not vol * np.sqrt(tau) > LEAST_DEV:
        move = 1e-6 * m
        up, down = certain(m + move, tau, r, q), certain(m - move, tau, r, q)
        return certain(m, tau, r, q), (up - down) / (2.0 * move), 0.0
    if kind == DOUBLE:
        return np.nan, np.nan, np.nan
    if kind == NEVER:
        return european(m, tau, vol, r, q)
    rate = max(r, LEAST_RATE)
    log_x = boundary(scheme, room, tau, vol, rate, q)
    place(scheme, room)
    return put(scheme, room, log_x, log_x - room.h[room.h.size - 1], m, tau, vol, rate, q)


@part
def contract(
    scheme: Scheme, room: Room, s: float, k: float, t: float, v: float, r: float, q: float, call: bool
) -> tuple[float, float, float]:
    """(price, delta, gamma) of a put or, exchanged, of a call."""
    if call:
        m = k / s
        value, slope, bend = solved(scheme, room, m, t, v, q, r)
        return s * value, value - m * slope, m * m * bend / s
    value, slope, bend = solved(scheme, room, s / k, t, v, r, q)
    return k * value, slope, bend / k


@part
def senseless(s: float, k: float, t: float, v: float, r: float, q: float) -> bool:
    known = s + k + t + v + r + q
    return not (s > 0.0 and k > 0.0 and t >= 0.0 and v >= 0.0 and known - known == 0.0)


@part
def _slope(up: float, here: float, down: float, bump: float) -> float:
    """A central difference, or the one-sided one next to terms with two boundaries."""
    if up != up:
        return (here - down) / bump
    if down != down:
        return (up - here) / bump
    return 0.5 * (up - down) / bump


@kernel(numba.void(SCHEME, *INPUTS, FLAGS, COLUMN))
def prices(
    scheme: Scheme, spot: Floats, strike: Floats, years: Floats, vols: Floats, rates: Floats, yields: Floats,
    calls: Flags, out: Floats,
) -> None:  # fmt: skip
    """American prices; a row with a senseless input, or with two boundaries, becomes NaN."""
    room = room_for(scheme)
    for i in range(calls.size):
        s, k, t, v, r, q = spot[i], strike[i], years[i], vols[i], rates[i], yields[i]
        out[i] = np.nan if senseless(s, k, t, v, r, q) else contract(scheme, room, s, k, t, v, r, q, calls[i])[0]


@kernel(numba.void(SCHEME, *INPUTS, FLAGS, numba.bool_, TABLE))
def greeks(
    scheme: Scheme, spot: Floats, strike: Floats, years: Floats, vols: Floats, rates: Floats, yields: Floats,
    calls: Flags, on_future: bool, out: Floats,
) -> None:  # fmt: skip
    """Fill `out` (10, n) in the field order of `pricing.Greeks`.

    Delta and gamma are integrals; theta, carry and charm follow from the equation that the price obeys while it is
    held; vega, rho, vanna and volga are differences of whole solutions.
    """
    room, found = room_for(scheme), np.empty((3, _SHIFTS))
    price, delta, gamma = found[0], found[1], found[2]
    for i in range(calls.size):
        s, k, t, v, r, q, call = spot[i], strike[i], years[i], vols[i], rates[i], yields[i], calls[i]
        if senseless(s, k, t, v, r, q):
            out[:, i] = np.nan
            continue
        width, bump = _NUDGE * s, min(_VOL_BUMP, 0.1 * v)
        for j in range(_SHIFTS):  # as it is, then spot, volatility and rate up and down
            way = 0.0 if j == 0 else 1.0 if j % 2 == 1 else -1.0
            ds, dv = way * width if j in (1, 2) else 0.0, way * bump if j in (3, 4) else 0.0
            dr = way * _RATE_BUMP if j in (5, 6) else 0.0
            dq = dr if on_future else 0.0
            found[:, j] = contract(scheme, room, s + ds, k, t, v + dv, r + dr, q + dq, call)
        out[:, i] = 0.0 if price[0] == price[0] else np.nan
        out[0, i], out[1, i] = price[0], delta[0]
        if not price[0] - (s - k if call else k - s) > _ROUNDING * max(s, k):
            continue  # exercised: what is left moves with the spot alone
        # across the boundary there is no curvature to compare with
        speed = (gamma[1] - gamma[2]) / (2.0 * width) if gamma[1] > 0.0 and gamma[2] > 0.0 else 0.0
        per = 1.0 / bump if bump > 0.0 else 0.0
        out[2, i] = gamma[0]
        out[3, i] = 0.01 * 0.5 * (price[3] - price[4]) * per
        out[4, i] = -0.5 * v * v * s * s * gamma[0] * _PER_DAY
        out[5, i] = (r * price[0] - (r - q) * s * delta[0]) * _PER_DAY
        out[6, i] = 0.01 * _slope(price[5], price[0], price[6], _RATE_BUMP)
        out[7, i] = 0.01 * 0.5 * (delta[3] - delta[4]) * per
        out[8, i] = 1e-4 * (price[3] - 2.0 * price[0] + price[4]) * per * per
        whole = q * delta[0] - (r - q + v * v) * s * gamma[0] - 0.5 * v * v * s * s * speed
        out[9, i] = whole * _PER_DAY
