"""500 positions × 21 spots × 9 vols × 5 dates repriced in full and summed: European and American."""

from typing import Any

import numpy as np

from tests.benchmarks.peers.matrix import flattened
from tests.benchmarks.quant_problems import book, plain_prices
from tests.benchmarks.race import Run, race, rows
from tests.benchmarks.report import Row

POSITIONS = 500
PEERS = ("fast-vollib on numba", "polars-vol", "pyvolr", "fast-vollib", "py_vollib_vectorized", "QuantLib")
SAME = 1e-9  # of spot: sums of a book need no more, and A&S tails have less


def of_spot(
    found: dict[str, Run], x: dict[str, Any], singles: np.ndarray, total: np.ndarray | None
) -> dict[str, float]:
    """Worst error of a checked position's cells and of the book's sums per contract held, as a fraction of spot."""
    out = {}
    spot, held = x["spot"][0], np.sum(np.abs(x["quantity"]))
    for name, run in found.items():
        mine = run.answers["singles"]
        error = float(np.max(np.abs(mine - singles[: len(mine)]))) / spot
        if total is not None and "total" in run.answers:
            error = max(error, float(np.max(np.abs(run.answers["total"] - total))) / (spot * held))
        out[name] = error
    return out


def european() -> list[Row]:
    x = book(POSITIONS)
    flat = flattened(x)
    cells = plain_prices(flat)[0].reshape(tuple(flat["shape"]))
    found = race("matrix", x, PEERS)
    errors = of_spot(found, x, cells[x["checked"]], np.tensordot(x["quantity"], cells, 1))
    headline = Row("", 0.0, "", goal=4.0, least_ratio=10.0, most_error=1e-10)
    return rows("European scenario matrix", "ms", 1e3 * POSITIONS, found, errors, SAME, headline)


def american() -> list[Row]:
    x = book(POSITIONS)
    found = race("american_matrix", x, ("QuantLib QdFp fast", "reference"))
    errors = of_spot(found, x, found["reference"].answers["singles"], None) if "reference" in found else {}
    for name, error in errors.items():
        print(f"{name}: {1e3 * POSITIONS * found[name].each:.0f} ms, {error:.1e} of spot at worst")
    headline = Row("", 0.0, "", goal=350.0, most_error=2e-5)
    return rows("American scenario matrix", "ms", 1e3 * POSITIONS, found, errors, 2e-5, headline)


def measure() -> list[Row]:
    return european() + american()
