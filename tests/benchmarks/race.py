"""Races of the desk's arithmetic against its peers: one process per contestant, ours before, between and after them.

Peers live in an environment of their own; one that is not there is named and left out, never made up.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.report import Row

PEERS = Path(".venv-bench/bin/python")
ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL", "NUMBA", "RAYON", "VECLIB")
} | {"POLARS_MAX_THREADS": "1"}  # fmt: skip
LIMIT = 300.0  # seconds one contestant may take
BUSY = 1.15  # processors; more is a contestant that did not keep to one

Inputs = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Run:
    """A contestant's seconds per run, how many items each run did, and its answers in the problem's units."""

    name: str
    seconds: tuple[float, ...]
    count: int
    answers: dict[str, NDArray[np.float64]]

    @property
    def each(self) -> float:
        """Median seconds per item."""
        return statistics.median(self.seconds) / self.count


def race(problem: str, inputs: Inputs, peers: Sequence[str] = (), entries: Sequence[str] = ("ours",)) -> dict[str, Run]:
    """Every contestant that could run, by name. Ours run again after each peer; their runs are put together."""
    with tempfile.TemporaryDirectory(prefix="desk-race-") as name:
        folder = Path(name)
        np.savez(folder / "inputs.npz", **inputs)
        found: dict[str, Run] = {}
        ready = [entry for entry in entries if _enter(found, problem, entry, sys.executable, folder)]
        for peer in peers if PEERS.exists() else ():
            _enter(found, problem, peer, str(PEERS), folder)
            for entry in ready:
                _enter(found, problem, entry, sys.executable, folder)
        if peers and not PEERS.exists():
            print(f"no peers at {PEERS}: `make bench` installs them")
        return found


def _enter(found: dict[str, Run], problem: str, name: str, python: str, folder: Path) -> bool:
    """Run one contestant and put it to `found`; False, with a line that says why, where it could not run."""
    command = [python, "-m", "tests.benchmarks.peers", problem, name, str(folder)]
    try:
        done = subprocess.run(
            command, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        print(f"{name} left out: not done after {LIMIT:.0f} s", flush=True)
        return False
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        print(f"{name} left out: {lines[-1]}", flush=True)
        return False
    with np.load(folder / f"{name}.npz") as stored:
        values = {key: stored[key] for key in stored.files}
    seconds, count, share = tuple(values.pop("seconds")), int(values.pop("count")), float(values.pop("share"))
    if share > BUSY:
        print(f"{name} kept {share:.1f} processors busy", flush=True)
    earlier = found.get(name)
    run = Run(name, seconds, count, values)
    found[name] = replace(run, seconds=earlier.seconds + seconds) if earlier else run
    return True


def rows(
    title: str, unit: str, scale: float, found: Mapping[str, Run], errors: Mapping[str, float], same: float,
    headline: Row, entry: str = "ours",
) -> list[Row]:  # fmt: skip
    """The headline against the quickest peer whose error is at most `same`, then one row for every peer.

    `scale`: units per second and item. `headline` carries the goals. Without ours there is no row.
    """
    if entry not in found:
        return []
    mine, worst = scale * found[entry].each, errors.get(entry)
    peers = sorted(
        (run for name, run in found.items() if not name.startswith("ours") and name != "reference"),
        key=lambda run: run.each,
    )
    fair = next((run for run in peers if errors.get(run.name, np.inf) <= same), None)
    top = replace(headline, name=title, ours=mine, unit=unit, worst_error=worst)
    if fair is not None:
        top = replace(top, peer=fair.name, peer_value=scale * fair.each, peer_error=errors[fair.name])
    table = [
        Row(f"{title}: {run.name}", mine, unit, None, run.name, scale * run.each, worst, errors.get(run.name))
        for run in peers
    ]
    return [top, *table]
