"""One measurement as a row, and the file the rows go to."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path("var/bench.json")


@dataclass(frozen=True)
class Row:
    """One measurement in `unit`, the peer's in the same, and what is asked of it.

    `goal`: ours is at most this; `least_ratio`: the peer takes at least this many times ours; `most_error`: our worst
    error is at most this. Errors are whatever the name says; `peer_error` is the peer's.
    """

    name: str
    ours: float
    unit: str
    goal: float | None = None
    peer: str | None = None
    peer_value: float | None = None
    worst_error: float | None = None
    peer_error: float | None = None
    least_ratio: float | None = None
    most_error: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if self.peer_value is None or self.ours == 0 else self.peer_value / self.ours

    @property
    def judged(self) -> dict[str, bool | None]:
        """Each thing asked, in words, and whether it holds; None where what it is measured by is missing."""
        ratio, error = self.ratio, self.worst_error
        found: dict[str, bool | None] = {}
        if self.goal is not None:
            found[f"≤ {self.goal:g} {self.unit}"] = self.ours <= self.goal
        if self.least_ratio is not None:
            found[f"≥ {self.least_ratio:g}×"] = None if ratio is None else ratio >= self.least_ratio
        if self.most_error is not None:
            found[f"error ≤ {self.most_error:g}"] = None if error is None else error <= self.most_error
        return found

    @property
    def meets(self) -> bool | None:
        """False when anything asked fails, None when nothing is asked or something could not be judged."""
        answers = list(self.judged.values())
        if False in answers:
            return False
        return None if None in answers or not answers else True

    def to_json(self) -> dict[str, object]:
        """JSON knows no NaN: an unknown number is null."""
        fields = {**asdict(self), "ratio": self.ratio, "meets": self.meets}
        return {name: None if isinstance(v, float) and v != v else v for name, v in fields.items()}


def median_seconds(work: Callable[[], object], runs: int = 5) -> float:
    """Median wall time of `runs` calls after one warm-up."""
    work()
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def show(row: Row) -> str:
    peer = error = ""
    if row.peer_value is not None:
        ratio = "" if row.ratio is None else f" ({row.ratio:.1f}×)"
        peer = f"  {row.peer} {row.peer_value:.4g}{ratio}"
    if row.worst_error is not None:
        error = f"  error {row.worst_error:.1e}"
    if row.peer_error is not None:
        error += f", theirs {row.peer_error:.1e}"
    words = {True: "met", False: "MISSED", None: "not judged"}
    goals = "".join(f"  {asked} {words[holds]}" for asked, holds in row.judged.items())
    return f"{row.name:<66} {row.ours:>9.4g} {row.unit}{peer}{error}{goals}"


def save(rows: list[Row]) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps([row.to_json() for row in rows], indent=1))
