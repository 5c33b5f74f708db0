"""American options with continuous yield: price, greeks and implied volatility by their exercise boundary.

Two schemes, errors in parts of the larger of spot and strike: FAST 2e-6 and FINE 3e-7 from a day to two years at 8 to
80 % of volatility and rates of either sign; 2e-5 and 1e-6 from an hour to ten years at 2 to 300 %. Measured against
QuantLib in `tests/benchmarks`. Terms with two boundaries (for a put, yield < rate < 0) are refused as NaN.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from models.quant.columns import Floats, columns
from models.quant.pricing import Greeks


@dataclass(frozen=True)
class Accuracy:
    """How finely the boundary is resolved: nodes, angles per node, angles of the premium, QD+ steps, rounds."""

    nodes: int
    angles: int
    ends: int
    starts: int
    rounds: int


FAST = Accuracy(8, 8, 16, 2, 4)
FINE = Accuracy(16, 12, 24, 2, 6)
_CROWDED = 0.7  # a spot near the boundary feels the first moments most: a tenth of the error of even angles


def american(
    spot: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
    accuracy: Accuracy = FINE,
) -> Greeks:
    """Price and greeks in the units of `pricing.bsm`, whose inputs these are; where exercise is due delta is ±1 and
    every other greek 0. NaN: an unknown or senseless input, or two exercise boundaries.
    """
    return _greeks((spot, strike, t, vol, rate, dividend_yield), is_call, accuracy, on_future=False)


def american_on_future(
    forward: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    is_call: ArrayLike,
    accuracy: Accuracy = FINE,
) -> Greeks:
    """`american` on a future: delta and gamma per 1.00 of the future; rho with the future held where it is."""
    return _greeks((forward, strike, t, vol, rate, rate), is_call, accuracy, on_future=True)


def american_price(
    spot: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
    accuracy: Accuracy = FINE,
) -> Floats:
    """The price of `american` alone."""
    from models.quant.kernels import exercise

    shape, inputs, calls = columns((spot, strike, t, vol, rate, dividend_yield), is_call)
    out = np.empty(calls.size)
    exercise.prices(scheme(accuracy), *inputs, calls, out)
    return out.reshape(shape)


def american_implied_vol(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike,
    is_call: ArrayLike,
    accuracy: Accuracy = FINE,
) -> Floats:
    """Annual volatility fraction at which `american_price` is `price`.

    NaN where the price holds no information: not above what the option is worth without volatility (its exercise value
    at the best moment), beyond any volatility up to 20, no time left, an unknown input, or two exercise boundaries.
    """
    from models.quant.kernels import american_implied

    shape, inputs, calls = columns((price, spot, strike, t, rate, dividend_yield), is_call)
    out = np.empty(calls.size)
    american_implied.volatilities(scheme(accuracy), *inputs, calls, out)
    return out.reshape(shape)


def _greeks(numbers: tuple[ArrayLike, ...], is_call: ArrayLike, accuracy: Accuracy, on_future: bool) -> Greeks:
    from models.quant.kernels import exercise

    shape, inputs, calls = columns(numbers, is_call)
    out = np.empty((10, calls.size))
    exercise.greeks(scheme(accuracy), *inputs, calls, on_future, out)
    return Greeks(*out.reshape(10, *shape))


@cache
def scheme(accuracy: Accuracy):  # type: ignore[no-untyped-def]  # the type lives where numba does
    """The points and weights of `kernels.american.Scheme` for an accuracy."""
    from models.quant.kernels.american import Scheme

    n = accuracy.nodes
    points = 0.5 * (1.0 - np.cos(np.pi * np.arange(n + 1) / n))
    nodes = points[1:]
    sine, cosine, weight = _angles(accuracy.angles)
    end_sine, end_cosine, end_weight = _angles(accuracy.ends, _CROWDED)
    places, left = np.outer(sine, nodes).ravel(), np.outer(cosine, nodes).ravel()
    weights = np.outer(2.0 * sine * cosine * weight, nodes**2).ravel()
    return Scheme(
        nodes.copy(),
        np.stack([places**2, left**2, left, weights]),
        _basis(points, places),
        np.stack([end_sine**2, end_cosine**2, end_cosine, 2.0 * end_sine * end_cosine * end_weight]),
        _basis(points, end_sine),
        accuracy.starts,
        accuracy.rounds,
    )


def _angles(count: int, crowded: float = 0.0) -> tuple[Floats, Floats, Floats]:
    """(sin θ, cos θ, weight) of Gauss and Legendre's points on 0 < θ < π/2, drawn towards π/2 by `crowded` (0 to 1)."""
    place, weight = np.polynomial.legendre.leggauss(count)
    share = 0.5 * (place + 1.0)
    left = 0.5 * np.pi * share * (1.0 - crowded + crowded * share)
    stretch = 0.5 * np.pi * (1.0 - crowded + 2.0 * crowded * share)
    return np.cos(left), np.sin(left), 0.5 * weight * stretch


def _basis(points: Floats, places: Floats) -> Floats:
    """(n, places): Lagrange's basis on Chebyshev's points, without the first, where what is interpolated vanishes.

    Source: Berrut and Trefethen, Barycentric Lagrange Interpolation, 2004.
    """
    weight = (-1.0) ** np.arange(points.size)
    weight[[0, -1]] *= 0.5
    gap = places[:, None] - points
    hit = np.abs(gap) < 1e-15
    share = weight / np.where(hit, 1e-300, gap)
    return np.ascontiguousarray((share / share.sum(axis=1, keepdims=True))[:, 1:].T)
