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
    """One measurement. `goal` is in `unit`; `meets` is True when ours is at most the goal, None without a goal."""

    name: str
    ours: float
    unit: str
    goal: float | None = None
    peer: str | None = None
    peer_value: float | None = None
    worst_error: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if self.peer_value is None or self.ours == 0 else self.peer_value / self.ours

    @property
    def meets(self) -> bool | None:
        return None if self.goal is None else self.ours <= self.goal

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "ratio": self.ratio, "meets": self.meets}


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
    goal = f"  goal {row.goal:g} {'met' if row.meets else 'MISSED'}" if row.goal is not None else ""
    peer = f"  {row.peer} {row.peer_value:g} ({row.ratio:.1f}x)" if row.peer_value is not None and row.ratio else ""
    return f"{row.name:<58} {row.ours:>10.4g} {row.unit}{peer}{goal}"


def save(rows: list[Row]) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps([row.to_json() for row in rows], indent=1))
