"""Price and five greeks of 100 000 European options, and of a book of 500 legs, against every peer."""

import numpy as np

from tests.benchmarks import quant_exact as exact
from tests.benchmarks.quant_problems import europeans
from tests.benchmarks.race import Run, race, rows
from tests.benchmarks.report import Row

COUNT, LEGS, SAMPLE = 100_000, 500, 2000
LOOPED = 500  # every contestant answers at least these
PEERS = (
    "fast-vollib on numba", "polars-vol", "pyvolr", "fast-vollib", "financepy", "py_vollib_vectorized", "QuantLib",
    "py_vollib",
)  # fmt: skip
ON_A_BOOK = ("fast-vollib on numba", "polars-vol", "pyvolr")
SAME = 1e-6
GREEKS = ("price", "delta", "gamma", "vega", "theta", "decay", "rho")


def errors(x: dict[str, np.ndarray], found: dict[str, Run]) -> dict[str, float]:
    """Ours: relative error down to 1e-290 on a spread sample; the peers': `visible_error` on the first rows."""
    sample = np.linspace(0, x["spot"].size - 1, min(SAMPLE, x["spot"].size)).astype(int)
    whole, start = exact.table(x, sample, GREEKS), exact.table(x, range(LOOPED), GREEKS)
    out = {}
    for name, run in found.items():
        if name == "ours":
            each = {g: exact.relative_error(v[sample], whole[g]) for g, v in run.answers.items()}
            print("relative error of ours:", ", ".join(f"{g} {e:.1e}" for g, e in each.items()))
        else:
            each = {g: exact.visible_error(v[:LOOPED], start[g]) for g, v in run.answers.items()}
        out[name] = max(each.values()) if not any(np.isnan(list(each.values()))) else float("nan")
    return out


def measure() -> list[Row]:
    x, legs = europeans(COUNT), europeans(LEGS)
    found = race("pricing", x, PEERS)
    goals = Row("", 0.0, "", goal=15.0, least_ratio=10.0, most_error=1e-11)
    table = rows("price + 5 greeks of a European option", "ns", 1e9, found, errors(x, found), SAME, goals)
    book = race("pricing", legs, ON_A_BOOK)
    goals = Row("", 0.0, "", goal=20.0)
    table += rows(f"price + 5 greeks of a {LEGS}-leg book", "µs", 1e6 * LEGS, book, errors(legs, book), SAME, goals)
    return table
