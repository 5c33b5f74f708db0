"""Finding the machine's venue, or starting it: one per var folder, written down in a locked `var/venue.json`.

Whoever needs the demo's broker calls `attach_or_start`. A venue that already runs is used as it is when it has the
same seed, chain and starting book; a different one is never stopped behind anybody's back: that is an error which
names the difference and the remedy. Speed and scenario may differ: they change while it runs.
"""

import contextlib
import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.settings import Settings

HOST = "127.0.0.1"
START_SECONDS = 90.0  # a venue on a whole recorded chain opens in a few; a busy machine may take longer
ANSWER_SECONDS = 5.0
LINGER_SECONDS = 60.0  # a venue nobody uses any more ends itself; its state file remembers
DEFAULT_SPEED = 1.0
ROOT = Path(__file__).resolve().parents[2]


class LaunchError(RuntimeError):
    """The venue cannot be found or started; the message says why and what to do."""


@dataclass(frozen=True)
class VenueAddress:
    """Where the venue listens."""

    host: str
    port: int
    account: str
    pid: int


def attach_or_start(settings: Settings, var_dir: Path) -> VenueAddress:
    """The running venue of this var folder, started first if need be. Blocks; raises LaunchError."""
    var_dir = var_dir.resolve()
    var_dir.mkdir(parents=True, exist_ok=True)
    with _locked(var_dir / "venue.lock"):
        note = var_dir / "venue.json"
        known = _read_note(note)
        if known is not None and _alive(known):
            _refuse_different(known, settings)
            return _address(known)
        found = _start(settings, var_dir)
        _write_note(note, {**found.__dict__, "asked": _asked(settings)})
        return found


def _asked(settings: Settings) -> dict[str, Any]:
    return {"seed": settings.venue_seed, "chain": settings.venue_chain, "book": settings.venue_book}


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One starter at a time; the others wait and then attach."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _read_note(path: Path) -> dict[str, Any] | None:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return {"host": str(raw["host"]), "port": int(raw["port"]), "account": str(raw["account"]),
                "pid": int(raw["pid"]), "asked": dict(raw["asked"])}  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no note, or half of one: the port decides nothing then, a venue is started


def _write_note(path: Path, note: Mapping[str, Any]) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(note), encoding="utf-8")
    part.replace(path)


def _address(note: Mapping[str, Any]) -> VenueAddress:
    return VenueAddress(note["host"], note["port"], note["account"], note["pid"])


def _alive(note: Mapping[str, Any]) -> bool:
    """Does the process live and does its port answer the TWS handshake? A port alone may belong to anybody."""
    try:
        os.kill(note["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return shakes_hands(note["host"], note["port"])


def shakes_hands(host: str, port: int) -> bool:
    """Greets as a TWS client does and waits for the server's version; True when one answers."""
    version = b"v157..178"
    try:
        with socket.create_connection((host, port), timeout=ANSWER_SECONDS) as link:
            link.settimeout(ANSWER_SECONDS)
            link.sendall(b"API\0" + len(version).to_bytes(4, "big") + version)
            answer = link.recv(256)
    except OSError:
        return False
    return len(answer) > 4 and answer[4:7].isdigit()


def _refuse_different(note: Mapping[str, Any], settings: Settings) -> None:
    theirs = note["asked"]
    different = [
        f"{name} {theirs.get(name)!r} (you ask for {mine!r})"
        for name, mine in _asked(settings).items()
        if theirs.get(name) != mine
    ]
    if different:
        raise LaunchError(
            f"a venue with another market already runs here (process {note['pid']}, port {note['port']}): "
            f"{', '.join(different)}. Stop it (kill {note['pid']}) or set DESK_VAR to another folder"
        )


def command(settings: Settings, var_dir: Path) -> list[str]:
    """The venue's command line. A recorded chain stands still unless VENUE_SPEED says something else than 1."""
    name = "venue.state.json" if not settings.venue_chain else f"venue.{_stem(settings.venue_chain)}.state.json"
    line = [sys.executable, "-m", "adapters.simulator", "--port", str(settings.ib_port)]
    line += ["--state", str(var_dir / name), "--seed", str(settings.venue_seed), "--linger", f"{LINGER_SECONDS:g}"]
    if settings.venue_chain:
        paths = (Path(part.strip()) for part in settings.venue_chain.split(","))
        line += ["--chain", ",".join(str(path.resolve()) for path in paths)]
    if not settings.venue_chain or settings.venue_speed != DEFAULT_SPEED:
        line += ["--speed", f"{settings.venue_speed:g}"]
    if settings.venue_scenario:
        line += ["--scenario", settings.venue_scenario]
    if settings.venue_book:
        line += ["--book", str(Path(settings.venue_book).resolve())]
    return line


def _stem(chain: str) -> str:
    """A chain's name for its state file, so that two recorded sessions do not share one."""
    paths = [Path(part.strip()) for part in chain.split(",")]
    return "-".join(f"{path.parent.name}-{path.name.split('.')[0]}" for path in paths)


def _start(settings: Settings, var_dir: Path) -> VenueAddress:
    """Start a detached venue and wait for its ready line."""
    log = var_dir / "venue.log"
    out = var_dir / "venue.out"
    with log.open("ab") as errors, out.open("wb") as answers:
        begun = log.stat().st_size
        process = subprocess.Popen(  # noqa: S603 — our own module with our own settings
            command(settings, var_dir), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=answers, stderr=errors,
            start_new_session=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        ready = _ready_line(out)
        if ready is not None:
            return VenueAddress(HOST, ready[0], ready[1], process.pid)
        if process.poll() is not None:
            words = log.read_bytes()[begun:].decode(errors="replace").strip().splitlines()
            raise LaunchError(words[-1] if words else f"the venue ended with status {process.returncode}; see {log}")
        select.select([], [], [], 0.05)
    process.terminate()
    raise LaunchError(f"the venue was not ready after {START_SECONDS:g} s; see {log}")


def _ready_line(out: Path) -> tuple[int, str] | None:
    for line in out.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:2] == ["ready", "tws"] and len(words) == 5:
            return int(words[2].rsplit(":", 1)[1]), words[4]
    return None
