"""Server time of every cockpit page over a book of 300 positions, in Streamlit's own test runner."""

import asyncio
import os
import tempfile
from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.app.seed import _main
from tests.benchmarks.report import Row, median_seconds
from tests.desk_run import ROOT

PAGES = ("desk", "proposals", "book", "orders", "ops")
POSITIONS = 300


def measure() -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="desk-bench-", ignore_cleanup_errors=True) as name:
        url = f"sqlite:///{name}/demo.db"
        asyncio.run(_main(url, Path(name), POSITIONS))
        os.environ |= {"DATABASE_URL": url, "DESK_VAR": name, "DESK_STAFF": "external"}
        app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=60).run()
        for page in PAGES:
            app.switch_page(f"screens/{page}.py")

            def draw() -> None:
                app.run()
                assert not app.exception, app.exception

            rows.append(
                Row(f"server time of {page} with {POSITIONS} positions", 1000 * median_seconds(draw), "ms", goal=300.0)
            )
    return rows
