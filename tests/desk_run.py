"""A whole desk in its own processes and its own folder, for end-to-end tests and benchmarks."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(ask: Callable[[], T | None], seconds: float, what: str, every: float = 0.1) -> T:
    """The first truthy answer of `ask`; AssertionError saying what was waited for when the deadline passes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(every)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")


@dataclass
class DeskRun:
    """Starts the staff and the cockpit as a person would, each in its own process group, and stops all of them.

    `folder` becomes DESK_VAR; `env` adds variables. Nothing of the caller's own environment that configures a desk
    leaks in.
    """

    folder: Path
    database_url: str = ""
    env: dict[str, str] = field(default_factory=dict)
    port: int = 0
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        from models.settings import VARIABLES

        kept = {key: value for key, value in os.environ.items() if key not in VARIABLES}
        mine = {"DESK_VAR": str(self.folder), "OPENBLAS_NUM_THREADS": "1", "DESK_STAFF": "external"}
        if self.database_url:
            mine["DATABASE_URL"] = self.database_url
        return {**kept, **mine, **self.env}

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        log = (self.folder / f"{name}.log").open("wb")
        process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        log.close()
        self.processes[name] = process
        return process

    def start_staff(self) -> None:
        self.start("staff", sys.executable, "-m", "agents")

    def start_cockpit(self) -> None:
        self.port = free_port()
        self.start(
            "cockpit", sys.executable, "-m", "streamlit", "run", "app/main.py", "--server.port", str(self.port),
            "--server.headless", "true",
        )  # fmt: skip
        eventually(self._healthy, 30, "the cockpit's health page")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def venue(self) -> dict[str, object] | None:
        path = self.folder / "venue.json"
        try:
            return dict(json.loads(path.read_text()))
        except (OSError, ValueError):
            return None

    def stop(self) -> None:
        for process in self.processes.values():
            _end(process)
        venue = self.venue()
        if venue and isinstance(venue.get("pid"), int):
            _kill(int(str(venue["pid"])))

    def __enter__(self) -> "DeskRun":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=5)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
