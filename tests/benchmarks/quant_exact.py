"""Fifty-digit answers for the races, textbook formulas written independently of the desk's."""

from collections.abc import Iterable

import mpmath
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DIGITS = 50
EPSILON = float(np.finfo(float).eps)
SMALLEST = 1e-290  # below this a double has lost digits; there the answer must only be as small
DETERMINED = 1e-11 / EPSILON  # a rounding of price, forward or strike moves the volatility by less than 1e-11
COLUMNS = ("spot", "strike", "t", "vol", "rate", "dividend_yield", "is_call")
_MINUTE = 1.0 / (365 * 24 * 60)


def greeks(s: float, k: float, t: float, v: float, r: float, q: float, call: bool) -> dict[str, mpmath.mpf]:
    """Price and greeks in the desk's units; `decay` is theta with carry; `slope` is vega per 1.00 × volatility.

    `condition`: relative change of the volatility per relative change of price, discounted forward and strike.
    """
    s, k, t, v, r, q = (mpmath.mpf(float(x)) for x in (s, k, t, v, r, q))
    sign = 1 if call else -1
    root = mpmath.sqrt(t)
    d1 = (mpmath.log(s / k) + (r - q + v * v / 2) * t) / (v * root)
    d2 = d1 - v * root
    grow, discount, density = mpmath.exp(-q * t), mpmath.exp(-r * t), mpmath.npdf(d1)
    n1, n2 = mpmath.ncdf(sign * d1), mpmath.ncdf(sign * d2)
    price = sign * (s * grow * n1 - k * discount * n2)
    vega = s * grow * density * root
    theta = -s * grow * density * v / (2 * root)
    slope = vega * v
    return {
        "price": price,
        "delta": sign * grow * n1,
        "gamma": grow * density / (s * v * root),
        "vega": vega / 100,
        "theta": theta / 365,
        "decay": (theta - sign * (r * k * discount * n2 - q * s * grow * n1)) / 365,
        "rho": sign * k * t * discount * n2 / 100,
        "slope": slope,
        "condition": (price + s * grow * n1 + k * discount * n2) / slope if slope else mpmath.inf,
    }


def table(x: dict[str, Floats], rows: Iterable[int], names: Iterable[str]) -> dict[str, Floats]:
    """`greeks` of some rows, rounded to doubles."""
    with mpmath.workdps(DIGITS):
        found = [greeks(*(x[name][row] for name in COLUMNS)) for row in rows]
        return {name: np.array([float(one[name]) for one in found]) for name in names}


def relative_error(ours: Floats, truth: Floats) -> float:
    """Worst relative error where a double holds the truth; NaN where ours is unknown or not as small as it."""
    visible = np.abs(truth) >= SMALLEST
    small_too = np.all(np.abs(ours[~visible]) <= 10 * SMALLEST)
    return float(np.max(np.abs(ours - truth)[visible] / np.abs(truth)[visible])) if small_too else float("nan")


def visible_error(theirs: Floats, truth: Floats) -> float:
    """Worst relative error, with values below a millionth of the largest measured against that millionth."""
    floor = 1e-6 * np.max(np.abs(truth))
    return float(np.max(np.abs(theirs - truth) / np.maximum(np.abs(truth), floor)))


def implied(x: dict[str, Floats], rows: Iterable[int]) -> Floats:
    """The exact volatility of `price` as rounded to a double: one Newton step at fifty digits from the drawn `vol`."""
    out = []
    with mpmath.workdps(DIGITS):
        for row in rows:
            exact = greeks(*(x[name][row] for name in COLUMNS))
            vol = mpmath.mpf(float(x["vol"][row]))
            out.append(float(vol * (1 + (mpmath.mpf(float(x["price"][row])) - exact["price"]) / exact["slope"])))
    return np.array(out)


def extremes(count: int, seed: int = 5) -> dict[str, Floats]:
    """Extreme options whose price still determines the volatility: far wings to 37 deviations, a minute to 30 years.

    Volatility ½ % to 500 %, prices down to 1e-290, both sides of the money, rates −5 to 15 %. `truth` is the exact
    volatility of the rounded price. A draw is kept where a rounding of its inputs moves the answer by less than 1e-11.
    """
    draw = np.random.default_rng(seed)
    kept: list[tuple[float, ...]] = []
    with mpmath.workdps(DIGITS):
        while len(kept) < count:
            t, v = (float(np.exp(draw.uniform(*np.log(ends)))) for ends in ((_MINUTE, 30.0), (0.005, 5.0)))
            r, q, away = draw.uniform(-0.05, 0.15), draw.uniform(-0.02, 0.10), draw.uniform(-37.0, 37.0)
            s = float(10 ** draw.uniform(-1.0, 5.0))
            call = bool((away > 0) != (draw.random() < 0.15))  # mostly out of the money
            k = float(s * np.exp((r - q) * t + np.clip(away * v * np.sqrt(t), -40.0, 40.0)))
            exact = greeks(s, k, t, v, r, q, call)
            if exact["condition"] > DETERMINED or exact["price"] < SMALLEST * max(1.0, s):
                continue
            price = float(exact["price"])
            truth = float(mpmath.mpf(v) * (1 + (mpmath.mpf(price) - exact["price"]) / exact["slope"]))
            kept.append((s, k, t, v, r, q, float(call), price, truth))
    x = dict(zip((*COLUMNS, "price", "truth"), np.array(kept).T, strict=True))
    return {**x, "is_call": x["is_call"] > 0.5}
