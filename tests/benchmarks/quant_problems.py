"""The seeded inputs of the arithmetic's races, as BENCH.md words them; expiries are whole days, as QuantLib's are."""

import numpy as np
from numpy.typing import NDArray

Problem = dict[str, NDArray[np.float64]]
RATE, DIVIDEND_YIELD = 0.04, 0.013


def europeans(count: int, seed: int = 1) -> Problem:
    """Spot 400–6000, K/S 0.7–1.3, 1 day–2 years, vol 8–120 %, r 4 %, q 1.3 %, half puts."""
    draw = np.random.default_rng(seed)
    spot = draw.uniform(400.0, 6000.0, count)
    days = draw.integers(1, 731, count)
    return {
        "spot": spot, "strike": spot * draw.uniform(0.7, 1.3, count), "t": days / 365.0,
        "vol": draw.uniform(0.08, 1.2, count), "rate": np.full(count, RATE),
        "dividend_yield": np.full(count, DIVIDEND_YIELD), "is_call": np.arange(count) % 2 == 0,
    }  # fmt: skip


def plain_prices(x: Problem) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(price, time value, condition) by the textbook formula on the out-of-the-money side, plus intrinsic value.

    `condition`: relative change of the volatility per relative change of price, discounted forward and strike.
    """
    from scipy.special import ndtr

    a, b = x["spot"] * np.exp(-x["dividend_yield"] * x["t"]), x["strike"] * np.exp(-x["rate"] * x["t"])
    deviation = x["vol"] * np.sqrt(x["t"])
    d1 = np.log(a / b) / deviation + 0.5 * deviation
    d2 = d1 - deviation
    up = a <= b
    sign = np.where(up, 1.0, -1.0)
    value = sign * (a * ndtr(sign * d1) - b * ndtr(sign * d2))
    price = value + np.where(x["is_call"] == up, 0.0, np.abs(a - b))
    own = np.where(x["is_call"], 1.0, -1.0)
    elasticity = deviation * a * np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
    with np.errstate(all="ignore"):
        condition = (price + a * ndtr(own * d1) + b * ndtr(own * d2)) / elasticity
    return price, value, condition


def tradeable(count: int, seed: int = 2) -> Problem:
    """Options of `europeans` whose price is at least half a tick, with time value a market could show, and `price`."""
    x = europeans(3 * count, seed)
    price, value, condition = plain_prices(x)
    good = np.flatnonzero((price >= 0.025) & (value >= 1e-6 * x["spot"]) & (condition <= 450.0))[:count]
    assert good.size == count
    return {name: column[good] for name, column in {**x, "price": price}.items()}


def americans(count: int, seed: int = 3) -> Problem:
    """r −1–10 %, q 0–8 %, vol 8–80 %, 1 day–2 years, K/S 0.7–1.3, half puts; then the classical grid of puts on 40."""
    draw = np.random.default_rng(seed)
    grid = np.array(
        [(k, d, v) for k in (35.0, 40.0, 45.0) for d in (30, 122, 213) for v in (0.2, 0.3, 0.4)]
    )  # fmt: skip
    free = count - len(grid)
    spot = np.r_[draw.uniform(20.0, 700.0, free), np.full(len(grid), 40.0)]
    days = np.r_[draw.integers(1, 731, free), grid[:, 1]]
    return {
        "spot": spot, "strike": np.r_[spot[:free] * draw.uniform(0.7, 1.3, free), grid[:, 0]], "days": days,
        "t": days / 365.0, "vol": np.r_[draw.uniform(0.08, 0.8, free), grid[:, 2]],
        "rate": np.r_[draw.uniform(-0.01, 0.10, free), np.full(len(grid), 0.0488)],
        "dividend_yield": np.r_[draw.uniform(0.0, 0.08, free), np.zeros(len(grid))],
        "is_call": np.r_[np.arange(free) % 2 == 0, np.zeros(len(grid), bool)],
    }  # fmt: skip


def book(positions: int, seed: int = 4, checked: int = 12) -> Problem:
    """Positions on one underlying and the grid: 21 spots ±20 %, 9 vols −5…+15 points, 5 dates up to two weeks on."""
    draw = np.random.default_rng(seed)
    spot = np.full(positions, 5000.0)
    return {
        "spot": spot, "strike": spot * draw.uniform(0.7, 1.3, positions),
        "t": draw.integers(15, 731, positions) / 365.0, "vol": draw.uniform(0.08, 0.8, positions),
        "rate": np.full(positions, RATE), "dividend_yield": np.full(positions, DIVIDEND_YIELD),
        "is_call": np.arange(positions) % 2 == 0, "quantity": draw.integers(-10, 11, positions).astype(float),
        "moves": np.linspace(-0.2, 0.2, 21), "points": np.linspace(-5.0, 15.0, 9),
        "days": np.array([0.0, 1.0, 3.0, 7.0, 14.0]), "checked": np.arange(checked),
    }  # fmt: skip
