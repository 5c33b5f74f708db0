"""The venue as a process: its ready line, its refusals, and how the desk finds or starts the one of its folder."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.simulator.launch import LaunchError, attach_or_start, command, shakes_hands
from models.settings import Settings
from tests.conftest import ROOT


@contextmanager
def venue_process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "adapters.simulator", *arguments], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ready(process: subprocess.Popen[str]) -> tuple[int, str]:
    assert process.stdout is not None
    line = process.stdout.readline()
    words = line.split()
    assert words[:2] == ["ready", "tws"] and words[3] == "account", line
    host, port = words[2].split(":")
    assert host == "127.0.0.1"
    return int(port), words[4]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "adapters.simulator", *arguments], cwd=ROOT, text=True, capture_output=True, timeout=90
    )  # fmt: skip


def eventually(ask: object, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not ask():  # type: ignore[operator]
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def test_it_says_when_it_is_ready_and_survives_a_kill(tmp_path: Path) -> None:
    state = str(tmp_path / "state.json")
    with venue_process("--port", "0", "--state", state, "--seed", "3") as first:
        port, account = ready(first)
        assert account.startswith("SIM") and shakes_hands("127.0.0.1", port)
        first.send_signal(signal.SIGKILL)
        first.wait(30)
    kept = json.loads(Path(state).read_text())
    with venue_process("--port", "0", "--state", state, "--seed", "3") as second:
        assert ready(second)[1] == account == kept["account_id"]
        second.send_signal(signal.SIGTERM)
        assert second.wait(30) == 0


def test_it_lingers_only_as_long_as_it_was_told() -> None:
    with venue_process("--port", "0", "--linger", "0.3") as process:
        ready(process)
        assert process.wait(30) == 0


def test_a_port_in_use_is_said_with_status_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--port", str(port))
    assert done.returncode == 2 and f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert "Traceback" not in done.stderr and not done.stdout


def test_two_venues_never_share_a_state(tmp_path: Path) -> None:
    state = str(tmp_path / "state.json")
    with venue_process("--port", "0", "--state", state) as first:
        ready(first)
        done = run("--port", "0", "--state", state)
    assert done.returncode == 2 and "another venue already runs on state file" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--chain", "{}/short.csv"], "short.csv: missing columns ticker, expiry"),
        (["--chain", "{}/none.csv"], "none.csv does not exist"),
        (["--book", "{}/short.csv"], "is not JSON"),
        (["--scenario", "boom"], "no scenario 'boom'; there are calm"),
        (["--state", "{}/half.json"], "half.json cannot be read"),
        (["--state", "{}/hollow.json"], "hollow.json does not hold what a venue writes"),
        (["--state", "{}/short.csv/state.json"], "cannot be written"),
        (["--speed", "-1"], "is not a speed"),
        (["--port", "70000"], "is not a port"),
        (["--seed", "-4"], "is not a seed"),
    ],
)
def test_what_it_cannot_do_is_said_in_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "short.csv").write_text("session_date,bid\n2026-11-20,1\n")
    (tmp_path / "half.json").write_text('{"version": 1, "seed"')
    (tmp_path / "hollow.json").write_text('{"version": 1, "account_id": 3}')
    done = run("--port", "0", *(a.format(tmp_path) for a in arguments))
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr


def test_recording_alone_writes_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv.gz"
    done = run("--record", str(path))
    assert done.returncode == 0 and "recorded" in done.stdout and path.stat().st_size > 100_000
    with venue_process("--port", "0", "--chain", str(path)) as process:
        ready(process)


# ── attach or start ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for note in tmp_path.rglob("venue.json"):
        pid = int(json.loads(note.read_text())["pid"])
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            continue


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_many_who_need_the_venue_get_one(var: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: attach_or_start(Settings(), var), range(4)))
    assert len(set(found)) == 1
    assert shakes_hands(found[0].host, found[0].port)
    assert json.loads((var / "venue.json").read_text())["account"] == found[0].account
    with pytest.raises(LaunchError, match=r"seed 7 \(you ask for 8\).*DESK_VAR"):
        attach_or_start(Settings(venue_seed=8), var)
    os.kill(found[0].pid, signal.SIGKILL)
    os.waitpid(found[0].pid, 0)
    again = attach_or_start(Settings(), var)
    assert again.account == found[0].account and again.pid != found[0].pid


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_note_that_lies_is_not_believed(var: Path) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        note = {"host": "127.0.0.1", "port": 1, "account": "SIM1", "pid": os.getpid(), "asked": {}}
        (var / "venue.json").write_text(json.dumps(note))
        found = attach_or_start(Settings(), var)
    assert found.port != 1 and shakes_hands(found.host, found.port)


def test_why_it_could_not_start_is_said(var: Path) -> None:
    with pytest.raises(LaunchError, match="no scenario 'boom'"):
        attach_or_start(Settings(venue_scenario="boom"), var)
    with pytest.raises(LaunchError, match=r"nowhere\.csv does not exist"):
        attach_or_start(Settings(venue_chain="nowhere.csv"), var)


def test_a_recorded_chain_stands_still_unless_told_otherwise(tmp_path: Path) -> None:
    assert "--speed" not in command(Settings(venue_chain="a.csv"), tmp_path)
    line = command(Settings(venue_chain="x/a.csv, y/b.csv", venue_speed=5), tmp_path)
    assert line[line.index("--speed") + 1] == "5"
    assert line[line.index("--chain") + 1] == f"{Path('x/a.csv').resolve()},{Path('y/b.csv').resolve()}"
    states = {command(Settings(venue_chain=c), tmp_path)[6] for c in ("", "x/a.csv", "y/a.csv")}
    assert len(states) == 3


def test_nobody_answers_on_a_silent_port() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert not shakes_hands("127.0.0.1", port)
