"""The formulas of the textbook in plain numpy and scipy, without the code of the desk: what kernels are tested against.

Units are those of `pricing.Greeks`. Slow and simple on purpose; every function takes arrays that broadcast.
"""

import math
from collections.abc import Callable, Iterable

import mpmath
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

Floats = NDArray[np.float64]
NAMES = ("price", "delta", "gamma", "vega", "theta", "carry", "rho", "vanna", "volga", "charm")


def bsm(
    s: ArrayLike, k: ArrayLike, t: ArrayLike, v: ArrayLike, r: ArrayLike, q: ArrayLike, call: ArrayLike
) -> dict[str, Floats]:
    """Haug, 2nd ed., chapters 1 and 2; needs time and volatility above zero."""
    s, k, t, v, r, q = (np.asarray(x, float) for x in (s, k, t, v, r, q))
    sign = np.where(call, 1.0, -1.0)
    root = np.sqrt(t)
    d1 = (np.log(s / k) + (r - q + 0.5 * v * v) * t) / (v * root)
    d2 = d1 - v * root
    bell = np.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
    grow, disc = np.exp(-q * t), np.exp(-r * t)
    n1, n2 = ndtr(sign * d1), ndtr(sign * d2)
    decay = -s * grow * bell * v / (2.0 * root)
    return {
        "price": sign * (s * grow * n1 - k * disc * n2),
        "delta": sign * grow * n1,
        "gamma": grow * bell / (s * v * root),
        "vega": s * grow * bell * root / 100,
        "theta": decay / 365,
        "carry": sign * (q * s * grow * n1 - r * k * disc * n2) / 365,
        "rho": sign * k * t * disc * n2 / 100,
        "vanna": -grow * bell * d2 / v / 100,
        "volga": s * grow * bell * root * d1 * d2 / v / 10_000,
        "charm": (sign * q * grow * n1 - grow * bell * (2 * (r - q) * t - d2 * v * root) / (2 * t * v * root)) / 365,
    }


def black76(f: ArrayLike, k: ArrayLike, t: ArrayLike, v: ArrayLike, r: ArrayLike, call: ArrayLike) -> dict[str, Floats]:
    """Black's formula: a spot that yields its own rate, and a rho that moves the discount alone."""
    out = bsm(f, k, t, v, r, r, call)
    out["rho"] = -np.asarray(t, float) * out["price"] / 100
    out["carry"] = np.asarray(r, float) * out["price"] / 365
    return out


def exact(s: float, k: float, t: float, v: float, r: float, q: float, call: bool, digits: int = 50) -> dict[str, float]:
    """`bsm` of one option at fifty digits."""
    with mpmath.workdps(digits):
        s, k, t, v, r, q = (mpmath.mpf(x) for x in (s, k, t, v, r, q))
        sign = 1 if call else -1
        root = mpmath.sqrt(t)
        d1 = (mpmath.log(s / k) + (r - q + v * v / 2) * t) / (v * root)
        d2 = d1 - v * root
        bell = mpmath.npdf(d1)
        grow, disc = mpmath.exp(-q * t), mpmath.exp(-r * t)
        n1, n2 = mpmath.ncdf(sign * d1), mpmath.ncdf(sign * d2)
        slide = (2 * (r - q) * t - d2 * v * root) / (2 * t * v * root)
        found = {
            "price": sign * (s * grow * n1 - k * disc * n2),
            "delta": sign * grow * n1,
            "gamma": grow * bell / (s * v * root),
            "vega": s * grow * bell * root / 100,
            "theta": -s * grow * bell * v / (2 * root) / 365,
            "carry": sign * (q * s * grow * n1 - r * k * disc * n2) / 365,
            "rho": sign * k * t * disc * n2 / 100,
            "vanna": -grow * bell * d2 / v / 100,
            "volga": s * grow * bell * root * d1 * d2 / v / 10_000,
            "charm": (sign * q * grow * n1 - grow * bell * slide) / 365,
        }
        return {name: float(value) for name, value in found.items()}


def exact_forward(f: float, k: float, deviation: float, call: bool) -> mpmath.mpf:
    """Undiscounted Black price at eighty digits."""
    with mpmath.workdps(80):
        f, k, dev = mpmath.mpf(f), mpmath.mpf(k), mpmath.mpf(deviation)
        sign = 1 if call else -1
        d1 = mpmath.log(f / k) / dev + dev / 2
        return sign * (f * mpmath.ncdf(sign * d1) - k * mpmath.ncdf(sign * (d1 - dev)))


def implied_vol(price: float, f: float, k: float, t: float, discount: float, call: bool) -> float:
    """Brent's search between .01 and 1000 per cent."""
    rate = -math.log(discount) / t

    def miss(v: float) -> float:
        return float(black76(f, k, t, v, rate, call)["price"]) - price

    return float(brentq(miss, 1e-4, 10.0, xtol=1e-14, rtol=1e-14))


def american(
    s: ArrayLike, k: ArrayLike, t: ArrayLike, v: ArrayLike, r: ArrayLike, q: ArrayLike, call: ArrayLike,
    steps: int = 401,
) -> Floats:  # fmt: skip
    """Leisen and Reimer's tree (1996), extrapolated from two sizes by Richardson."""
    inputs = [np.atleast_1d(x) for x in np.broadcast_arrays(s, k, t, v, r, q, call)]
    numbers = [np.asarray(x, float) for x in inputs[:6]]
    calls = np.asarray(inputs[6], bool)
    coarse, fine = (_tree(*numbers, calls, n) for n in (steps, 2 * steps + 1))
    return 2.0 * fine - coarse


def _tree(s: Floats, k: Floats, t: Floats, v: Floats, r: Floats, q: Floats, call: NDArray[np.bool_], n: int) -> Floats:
    sign = np.where(call, 1.0, -1.0)[:, None]
    root, dt = v * np.sqrt(t), t / n
    d1 = (np.log(s / k) + (r - q + 0.5 * v * v) * t) / root
    up_chance, up_share = _peizer_pratt(d1 - root, n), _peizer_pratt(d1, n)
    growth = np.exp((r - q) * dt)
    up, down = growth * up_share / up_chance, growth * (1.0 - up_share) / (1.0 - up_chance)
    places = np.arange(n + 1)
    spots = s[:, None] * np.exp(places * np.log(up)[:, None] + (n - places) * np.log(down)[:, None])
    values = np.maximum(sign * (spots - k[:, None]), 0.0)
    discount = np.exp(-r * dt)
    rise, fall = (discount * up_chance)[:, None], (discount * (1.0 - up_chance))[:, None]
    for _ in range(n):
        spots = spots[:, :-1] / down[:, None]
        values = np.maximum(rise * values[:, 1:] + fall * values[:, :-1], sign * (spots - k[:, None]))
    return values[:, 0]


def _peizer_pratt(z: Floats, n: int) -> Floats:
    share = z / (n + 1.0 / 3.0 + 0.1 / (n + 1.0))
    return 0.5 + np.sign(z) * 0.5 * np.sqrt(1.0 - np.exp(-share * share * (n + 1.0 / 6.0)))


def repriced(
    price: Callable[..., float], s: float, k: float, t: float, v: float, r: float, q: float, call: bool,
    cells: Iterable[tuple[float, float, float]], floor: float = 0.01,
) -> list[float]:  # fmt: skip
    """`price` of one option in cells of (spot factor, volatility change, days on): the loop that a scenario is."""
    out = []
    for factor, change, days in cells:
        left = t - days / 365.0
        vol = max(v + change, min(v, floor))
        if left <= 1e-9:
            out.append(max(s * factor - k if call else k - s * factor, 0.0))
        else:
            out.append(float(price(s * factor, k, left, vol, r, q, call)))
    return out


def bachelier(f: ArrayLike, k: ArrayLike, t: ArrayLike, v: ArrayLike, r: ArrayLike, call: ArrayLike) -> Floats:
    """Price in the normal model; Haug, 2nd ed., 1.3."""
    f, k, t, v, r = (np.asarray(x, float) for x in (f, k, t, v, r))
    sign, dev = np.where(call, 1.0, -1.0), v * np.sqrt(t)
    d = sign * (f - k) / dev
    found: Floats = np.exp(-r * t) * dev * (d * ndtr(d) + np.exp(-0.5 * d * d) / math.sqrt(2.0 * math.pi))
    return found
