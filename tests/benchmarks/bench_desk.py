"""The whole desk from a cold start: how soon the first proposal is on screen, and what all processes weigh together."""

import tempfile
import time
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.benchmarks.report import Row
from tests.conftest import CHROMIUM, CHROMIUM_FLAGS
from tests.desk_run import DeskRun


def megabytes(folder: Path) -> float:
    """Proportional set size of every process that carries this desk's DESK_VAR in its environment."""
    total = 0
    marker = f"DESK_VAR={folder}".encode()
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and marker in (process / "environ").read_bytes().split(b"\0"):
                lines = (process / "smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:
            continue
    return total / 1024


def measure() -> list[Row]:
    if not CHROMIUM.exists():
        print(f"no browser at {CHROMIUM}: nothing measured")
        return []
    with (
        tempfile.TemporaryDirectory(prefix="desk-bench-", ignore_cleanup_errors=True) as name,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(CHROMIUM_FLAGS))
        folder = Path(name) / "var"
        with DeskRun(folder) as run:
            started = time.perf_counter()
            run.start_staff()
            run.start_cockpit()
            page = browser.new_page()
            page.goto(f"{run.url}/proposals")
            expect(page.get_by_role("button", name="Approve")).to_be_visible(timeout=120_000)
            first = time.perf_counter() - started
            weight = megabytes(folder)
        browser.close()
    return [
        Row("start to the first proposal on screen", first, "s", goal=60.0),
        Row("all processes of the desk, proportional set size", weight, "MB", goal=1500.0),
    ]
