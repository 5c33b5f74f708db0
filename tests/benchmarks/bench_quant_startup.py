"""What a fresh process pays: the import of `models.quant`, which compiles nothing, and the first use of kernels."""

import statistics
import subprocess
import sys

from tests.benchmarks.report import Row

RUNS = 5
IMPORT = """
import importlib, pkgutil, sys, time
started = time.perf_counter()
import models.quant
for module in pkgutil.iter_modules(models.quant.__path__, "models.quant."):
    importlib.import_module(module.name)
taken = time.perf_counter() - started
compiled = [name for name in sys.modules if name.startswith(("models.quant.kernels.", "numba.core.dispatcher"))]
print(taken, len(compiled), "scipy" in sys.modules)
"""
WARM = """
import time
from tests.benchmarks.peers import ours
import models.quant.pricing
started = time.perf_counter()
ours.warm()
print(time.perf_counter() - started)
"""


def fresh(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def measure() -> list[Row]:
    imports = [fresh(IMPORT) for _ in range(RUNS + 1)][1:]
    warm = [float(fresh(WARM)[0]) for _ in range(RUNS + 1)][1:]
    if imports[0][2] == "True":
        print("scipy came with the import")
    return [
        Row("import of every module of models.quant", statistics.median(float(r[0]) for r in imports), "s", goal=0.4),
        Row("kernel modules loaded by that import", max(int(r[1]) for r in imports), "modules", goal=0.0),
        Row("first use of the cached kernels in a fresh process", statistics.median(warm), "s"),
    ]
