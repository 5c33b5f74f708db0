"""`python -m tests.benchmarks [name …]`: runs each bench_*.py whose name begins so, or all, into var/bench.json."""

import importlib
import sys
from pathlib import Path

from tests.benchmarks.report import Row, save, show


def main(wanted: list[str]) -> int:
    rows: list[Row] = []
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        name = path.stem.removeprefix("bench_")
        if wanted and not name.startswith(tuple(wanted)):
            continue
        print(f"── {name}", flush=True)
        for row in importlib.import_module(f"tests.benchmarks.{path.stem}").measure():
            rows.append(row)
            print(show(row), flush=True)
    save(rows)
    return 0 if all(row.meets is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
