"""The cockpit's server time: each page with 300 positions, and one tick of the shell, on SQLite."""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from models.settings import VARIABLES
from tests.benchmarks.report import Row

ROOT = Path(__file__).resolve().parents[2]
POSITIONS, RUNS = 300, 9
PAGES = ("desk", "proposals", "book", "orders", "ops")


@contextmanager
def _seeded() -> Iterator[None]:
    from tests.app.seed import _main

    kept = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/demo.db"
        for name in VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(DATABASE_URL=url, DESK_VAR=folder, DESK_STAFF="external")
        asyncio.run(_main(url, Path(folder), POSITIONS))
        try:
            yield
        finally:
            import streamlit as st

            st.cache_resource.clear()
            os.environ.clear()
            os.environ.update(kept)


def measure() -> Iterator[Row]:
    from streamlit.testing.v1 import AppTest

    from app import cockpit

    with _seeded():
        for page in PAGES:
            app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=60).run()
            if page != "desk":
                app.switch_page(f"screens/{page}.py").run()
            yield Row(f"cockpit: {page} with {POSITIONS} positions, shell included", _median(app.run), "ms", 300)
        desk = cockpit.open_cockpit()
        yield Row(f"cockpit: one look at the desk with {POSITIONS} positions", _median(desk.pulse), "ms", 100)


def _median(work: Callable[[], object]) -> float:
    """Median of milliseconds; every run reads the memory anew."""
    from app import cockpit

    taken = []
    for _run in range(RUNS):
        cockpit.open_cockpit()._pulse.forget()
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)
