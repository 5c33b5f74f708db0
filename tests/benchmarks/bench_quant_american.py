"""2000 American options against QuantLib's engines; errors are fractions of spot against its tanh-sinh scheme."""

import numpy as np

from tests.benchmarks.quant_problems import americans
from tests.benchmarks.race import race, rows
from tests.benchmarks.report import Row

COUNT = 2000
PEERS = ("QuantLib QdFp fast", "QuantLib QdFp", "QuantLib Barone-Adesi-Whaley", "QuantLib Bjerksund-Stensland", "pybaw")
GOALS = {"ours": ("fast", 8.0, 1e-5), "ours, fine": ("fine", 25.0, 1e-6)}  # µs, most error
SAME = {"ours": 2e-5, "ours, fine": 2e-6}


def measure() -> list[Row]:
    x = americans(COUNT)
    found = race("american", x, (*PEERS, "reference"), tuple(GOALS))
    if "reference" not in found:
        return [row for entry in GOALS for row in rows(f"American option, {entry}", "µs", 1e6, found, {}, 0.0,
                                                       Row("", 0.0, "", GOALS[entry][1]), entry)]  # fmt: skip
    truth = found["reference"].answers["price"]
    errors = {}
    for name, run in found.items():
        off = np.abs(run.answers["price"] - truth) / x["spot"]
        unknown = int(np.sum(np.isnan(off)))
        if unknown:
            print(f"{name}: no answer for {unknown} of {COUNT}")
        errors[name] = float("nan") if unknown and name.startswith("ours") else float(np.nanmax(off))
        print(f"{name}: {1e6 * run.each:.2f} µs, {errors[name]:.1e} of spot at worst")
    table = []
    for entry, (words, goal, most) in GOALS.items():
        headline = Row("", 0.0, "", goal=goal, most_error=most)
        table += rows(f"American option, {words}", "µs", 1e6, found, errors, SAME[entry], headline, entry)
    return table
