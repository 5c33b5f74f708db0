"""`python -m tests.benchmarks.peers PROBLEM NAME FOLDER`: times one contestant on FOLDER/inputs.npz, in this process.

Writes FOLDER/NAME.npz: seconds of each run, items per run, how many processors it kept busy, and its answers.
"""

import importlib
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from tests.benchmarks.peers.entry import Entry, NotBuilt

LEAST_SAMPLE = 2e-3  # seconds; shorter work is repeated within one sample
ALL_SAMPLES = 0.6  # seconds spent on one contestant, unless five runs take longer
RUNS = (5, 41)


def timed(entry: Entry) -> tuple[list[float], float, object]:
    """(seconds of each run, processors kept busy, what the work returned)."""
    if not entry.once:
        entry.work()
    started = time.perf_counter()
    result = entry.work()
    one = time.perf_counter() - started
    if entry.once:
        return [one], 1.0, result
    loops = max(1, int(LEAST_SAMPLE / one))
    runs = int(np.clip(ALL_SAMPLES / (one * loops), *RUNS))
    taken = []
    busy, begun = time.process_time(), time.perf_counter()
    for _ in range(runs):
        started = time.perf_counter()
        for _ in range(loops):
            entry.work()
        taken.append((time.perf_counter() - started) / loops)
    share = (time.process_time() - busy) / (time.perf_counter() - begun)
    return taken, share, result


def main(problem: str, name: str, folder: Path) -> int:
    warnings.simplefilter("ignore")  # theirs to mend
    module = importlib.import_module(f"tests.benchmarks.peers.{problem}")
    with np.load(folder / "inputs.npz") as stored:
        inputs = {key: stored[key] for key in stored.files}
    try:
        entry = module.CONTESTANTS[name](inputs)
    except (ImportError, NotBuilt) as reason:
        print(f"{type(reason).__name__}: {reason}", file=sys.stderr)
        return 3
    seconds, share, result = timed(entry)
    answers = entry.answers(result)
    np.savez(folder / f"{name}.npz", seconds=seconds, count=entry.count, share=share, **answers)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
