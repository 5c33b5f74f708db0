"""Implied volatility of 100 000 options against every peer, and of extreme prices that still determine one."""

import numpy as np

from tests.benchmarks import quant_exact as exact
from tests.benchmarks.quant_problems import tradeable
from tests.benchmarks.race import race, rows
from tests.benchmarks.report import Row

COUNT, SAMPLE, EXTREMES = 100_000, 2000, 4000
PEERS = (
    "lbriv", "iv-engine", "fast-vollib Jäckel", "pyvolr", "polars-vol", "fast-vollib on numba", "py_vollib_vectorized",
    "fast-vollib", "QuantLib", "financepy", "py_vollib",
)  # fmt: skip
ON_EXTREMES = ("lbriv", "iv-engine", "fast-vollib Jäckel", "pyvolr")
SAME = 1e-6
GOOD = 1e-10


def worst(vol: np.ndarray, truth: np.ndarray) -> float:
    """Worst relative error; NaN where an answer is missing."""
    return float(np.max(np.abs(vol / truth - 1.0)))


def tradeable_rows() -> list[Row]:
    x = tradeable(COUNT)
    sample = np.arange(0, COUNT, COUNT // SAMPLE)
    truth = x["vol"].copy()
    truth[sample] = exact.implied(x, sample)
    found = race("implied", x, PEERS)
    # the drawn volatility and the rounded price's differ by a few 1e-14: the rest is only counted
    errors = {name: worst(run.answers["vol"][: run.count], truth[: run.count]) for name, run in found.items()}
    if "ours" in found:
        vol = found["ours"].answers["vol"]
        bad = int(np.sum(~(np.abs(vol / truth - 1.0) <= GOOD)))
        print(f"ours: {bad} of {COUNT:,} missing or worse than {GOOD:g}")
        errors["ours"] = worst(vol[sample], truth[sample]) if not bad else errors["ours"]
    goals = Row("", 0.0, "", goal=60.0, least_ratio=5.0, most_error=GOOD)
    return rows("implied volatility", "ns", 1e9, found, errors, SAME, goals)


def extreme_rows() -> list[Row]:
    x = exact.extremes(EXTREMES)
    found = race("implied", x, ON_EXTREMES)
    missing = {name: int(np.sum(~np.isfinite(run.answers["vol"]))) for name, run in found.items()}
    error = {name: np.abs(run.answers["vol"] / x["truth"] - 1.0) for name, run in found.items()}
    wrong = {name: int(np.sum(e > GOOD)) for name, e in error.items()}
    most = {name: float(np.nanmax(e)) for name, e in error.items()}
    title = f"implied volatility of {EXTREMES} extreme prices"
    table = rows(title, "ns", 1e9, found, most, np.inf, Row("", 0.0, ""))[:1]
    counts = (("not found", missing), (f"worse than {GOOD:g}", wrong))
    for words, tally in counts if "ours" in found else ():
        table.append(Row(f"{title}, {words}", tally["ours"], "rows", 0.0, worst_error=most["ours"]))
        table += [
            Row(f"{title}, {words}: {name}", tally["ours"], "rows", None, name, tally[name], most["ours"], most[name])
            for name in found if name != "ours"
        ]  # fmt: skip
    return table


def measure() -> list[Row]:
    return tradeable_rows() + extreme_rows()
