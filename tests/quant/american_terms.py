"""Random terms for the tests of American options: seeded, sorted by how they are exercised."""

from typing import NamedTuple

import numpy as np

from models.quant.american import Accuracy

REFINED = Accuracy(24, 24, 40, 4, 20)
Floats = np.ndarray


class Terms(NamedTuple):
    """Columns in the order of `american`; the spot is 100."""

    spot: Floats
    strike: Floats
    t: Floats
    vol: Floats
    rate: Floats
    dividend_yield: Floats
    is_call: Floats

    def where(self, chosen: Floats) -> "Terms":
        return Terms(*(column[chosen] for column in self))


def two_boundaries(a: Terms) -> Floats:
    """Where exercise is due neither near nor far: yield < rate < 0 for a put, rate < yield < 0 for a call."""
    r, q = np.where(a.is_call, a.dividend_yield, a.rate), np.where(a.is_call, a.rate, a.dividend_yield)
    found: Floats = (q < r) & (r < 0)
    return found


def ordinary(seed: int, count: int) -> Terms:
    """Rates −1 to 12 %, yields −1 to 10 %, vol 8 to 90 %, a day to three years, one boundary or none."""
    rng = np.random.default_rng(seed)
    a = Terms(
        np.full(count, 100.0), 100 * np.exp(rng.uniform(-0.35, 0.35, count)), rng.uniform(1 / 365, 3, count),
        rng.uniform(0.08, 0.9, count), rng.uniform(-0.01, 0.12, count), rng.uniform(-0.01, 0.1, count),
        rng.random(count) < 0.5,
    )  # fmt: skip
    return a.where(~two_boundaries(a))


def extreme(seed: int, count: int) -> Terms:
    """An hour to ten years, vol 2 to 300 %, rates and yields from none to 20 %, tiny, equal and negative ones too."""
    rng = np.random.default_rng(seed)

    def even_in_log(low: float, high: float) -> Floats:
        return np.exp(rng.uniform(np.log(low), np.log(high), count))

    t, v = even_in_log(1 / 8760, 10.0), even_in_log(0.02, 3.0)
    r, q = even_in_log(1e-7, 0.2), even_in_log(1e-7, 0.2)
    kind = rng.integers(0, 8, count)
    r = np.select([kind == 0, kind == 1, kind == 2], [0.0, -0.5 * r, 1e-3 * r], r)
    q = np.select([kind == 3, kind == 4, kind == 5, kind == 6], [0.0, -0.5 * q, r, r * (1 + 1e-6)], q)
    k = 100 * np.exp(rng.uniform(-3, 3, count) * np.minimum(v * np.sqrt(t), 1.0))
    a = Terms(np.full(count, 100.0), k, t, v, r, q, rng.random(count) < 0.5)
    return a.where(~two_boundaries(a))
