"""On the embedded default the cockpit brings its own staff: one child process that leaves when this one does.

The child is started once per server, and only when nobody else's staff is alive; its standard input is a pipe of
ours, so that even a killed cockpit takes it along. What it says goes to `staff.log` in the desk's own folder.
"""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from app.cockpit import ROOT, Cockpit, machine_now
from database.errors import DatabaseError
from models.control import STAFF_LEASE, Heartbeat, Lease
from models.settings import Staff

COMMAND = (sys.executable, "-m", "agents", "--while-stdin")
ALIVE_WITHIN = 20.0
"""Seconds within which a staff's last word still proves it alive."""
COURTESY = 3.0
"""Seconds a staff that was started beside us (`make run` does) gets to show itself before we bring our own."""
LEASES = (STAFF_LEASE, "bridge", "streams", "trade_proposer")


def staff_is_alive(heartbeats: Iterable[Heartbeat], leases: Iterable[Lease | None], now: datetime) -> bool:
    """Somebody holds a lease that has not run out, or spoke a moment ago without saying goodbye."""
    spoke = any(beat.state != "stopped" and (now - beat.at).total_seconds() < ALIVE_WITHIN for beat in heartbeats)
    return spoke or any(lease is not None and lease.until > now for lease in leases)


@dataclass
class StaffProcess:
    """The child, if we started one. `start` is safe to call from every session at once."""

    var_dir: Path
    command: Sequence[str] = COMMAND
    considered: bool = False
    """Whether a page has already asked for it; asking twice starts nothing."""
    _child: subprocess.Popen[bytes] | None = None
    _begins: int = 0
    """Where in the log the present child's words begin."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> bool:
        """Start it unless it runs; True when this call did."""
        with self._lock:
            if self.running:
                return False
            self.var_dir.mkdir(parents=True, exist_ok=True)
            with self.log_path.open("ab") as log:
                self._begins = log.tell()
                self._child = self._spawn(log)
            return True

    def _spawn(self, log: BinaryIO) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and a literal module name
            list(self.command), cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
        )

    @property
    def log_path(self) -> Path:
        return self.var_dir / "staff.log"

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def ended_with(self) -> int | None:
        """The exit code of a child of ours that has left; None while it runs or when we never started one."""
        return self._child.poll() if self._child is not None else None

    def last_words(self, lines: int = 3) -> str:
        """The end of what it said, for the page that says it died."""
        if not self.log_path.exists():
            return ""
        said = self.log_path.read_bytes()[self._begins :].decode(errors="replace")
        return "\n".join(said.splitlines()[-lines:])

    def stop(self, patience: float = 20.0) -> None:
        """Close the pipe, which asks it to leave; end it if it does not."""
        with self._lock:
            child, self._child = self._child, None
        if child is None:
            return
        if child.stdin:
            child.stdin.close()
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@st.cache_resource(show_spinner=False, on_release=lambda staff: staff.stop())
def _staff_of(var_dir: str) -> StaffProcess:
    return StaffProcess(Path(var_dir))


def staff_of(cockpit: Cockpit) -> StaffProcess:
    return _staff_of(str(cockpit.settings.var_dir.resolve()))


def ensure_staff(cockpit: Cockpit) -> None:
    """Called when a page opens: starts the staff on the embedded default when nobody else's is at work.

    A child of ours that has ended is not started again here (its supervisor restarts what can be restarted): the
    operations page says how it ended and offers to start it.
    """
    if cockpit.settings.staff is not Staff.EMBEDDED:
        return
    staff = staff_of(cockpit)
    if staff.considered:
        return
    staff.considered = True
    waiting = threading.Timer(COURTESY, _start_if_nobody_works, (cockpit, staff))
    waiting.daemon = True
    waiting.start()


def _start_if_nobody_works(cockpit: Cockpit, staff: StaffProcess) -> None:
    try:
        if not others_at_work(cockpit):
            staff.start()
    except DatabaseError as error:
        staff.considered = False  # the next page that opens tries again
        logging.getLogger("nimble.cockpit").warning("whether a staff is at work cannot be read: %s", error)


def others_at_work(cockpit: Cockpit) -> bool:
    now = machine_now()

    async def leases(store: object) -> list[Lease | None]:
        return [await cockpit.store.control.lease(job) for job in LEASES]

    heartbeats = cockpit.ask(lambda store: store.control.heartbeats())
    return staff_is_alive(heartbeats, cockpit.ask(leases), now)
