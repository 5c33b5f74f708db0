"""Every command on every kind of bad input: one line that names the thing and the remedy, a status other than 0, and
what was there before is there after."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from dotenv import dotenv_values

import agents.__main__ as staff
import bridge.main as bridge
from agents.command import agent_command
from agents.trade_proposer import run_once
from bridge import outlook
from models.settings import VARIABLES, read_settings
from tests.conftest import ROOT

COMMANDS: dict[str, Callable[[], int]] = {
    "staff": lambda: staff.main([]),
    "proposer": lambda: agent_command("trade_proposer", ["--run-once"], run_once),
    "bridge": lambda: bridge.main(["--run-once"]),
}


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest) -> Callable[[], int]:
    return COMMANDS[request.param]


@pytest.fixture(autouse=True)
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An empty environment in an empty folder; a broker's port nobody listens on, should a command get that far."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESK_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("IB_PORT", "1")
    return monkeypatch


Captured = pytest.CaptureFixture[str]


def refused(command: Callable[[], int], said: Captured, *words: str) -> None:
    assert command() != 0
    lines = said.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert all(re.search(word, lines[0]) for word in words), lines[0]


def a_database(folder: Path) -> Path:
    """One that a desk in DEMO has opened before."""
    assert COMMANDS["bridge"]() == 3  # no broker; the memory is made before that
    return folder / "var" / "demo.db"


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("IB_PORT", "abc", "not a number; correct it in .env"),
        ("DESK_MODE", "FOO", "DEMO, PAPER, LIVE; correct it"),
        ("LOG_LEVEL", "loud", "DEBUG, INFO, WARNING, ERROR; correct it"),
        ("TRADING_ENABLED", "maybe", "write one of them"),
        ("DATABASE_URL", "mysql://host/desk", "use sqlite:///"),
        ("IB_HOST", "10.0.0.1", "set DESK_MODE=PAPER"),
        ("IB_API_MODE", "PORTAL", "set IB_API_MODE=SOCKET"),
    ],
)
def test_a_wrong_variable(
    command: Callable[[], int], desk: pytest.MonkeyPatch, capsys: Captured, name: str, value: str, remedy: str
) -> None:
    desk.setenv(name, value)
    refused(command, capsys, name, remedy)


def test_a_database_of_a_newer_desk_is_left_as_it_is(
    command: Callable[[], int], tmp_path: Path, capsys: Captured
) -> None:
    path = a_database(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    capsys.readouterr()
    refused(command, capsys, "newer desk .version 9999", "update the desk, or point DATABASE_URL")
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
    connection.close()


def test_a_database_of_another_mode(
    command: Callable[[], int], desk: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    desk.setenv("DATABASE_URL", f"sqlite:///{a_database(tmp_path)}")
    desk.setenv("DESK_MODE", "PAPER")
    desk.setenv("IB_ACCOUNT", "DU1234567")
    capsys.readouterr()
    refused(command, capsys, "belongs to a DEMO desk", "set DESK_MODE=DEMO or give PAPER its own")


def test_a_file_that_is_no_database_is_left_as_it_is(
    command: Callable[[], int], tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "var" / "demo.db"
    path.parent.mkdir()
    path.write_bytes(b"a diary, not a database\n" * 200)
    refused(command, capsys, "demo.db is not a database", "move it away")
    assert path.read_bytes() == b"a diary, not a database\n" * 200


def test_a_corrupt_approval_key_is_not_replaced(command: Callable[[], int], tmp_path: Path, capsys: Captured) -> None:
    key = tmp_path / "var" / "approval.key"
    key.parent.mkdir()
    key.write_text("nonsense")
    key.chmod(0o600)
    refused(command, capsys, "approval.key is not hexadecimal", "move it away")
    assert key.read_text() == "nonsense"


def test_a_folder_that_cannot_be_made(
    command: Callable[[], int], desk: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "var").write_text("a file in its place")
    refused(command, capsys, "var cannot be made", "set DESK_VAR")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text.replace("delta_cap", "delta_kap", 1), "delta_kap: unknown key; known are"),
        (lambda text: re.sub(r"vega_floor.*\n", "\n", text, count=1), "vega_floor: missing key; add it"),
        (lambda text: text.replace("vega_floor = -", "vega_floor = ", 1), "vega_floor: .* wrong sign .*at most 0"),
        (lambda text: text + "\n[[[", "is not TOML.*; correct it"),
        (None, "cannot be read.*; restore the file"),
    ],
    ids=["unknown", "missing", "sign", "toml", "gone"],
)
@pytest.mark.parametrize("name", ["staff", "proposer"])
def test_limits_that_cannot_be_read(
    desk: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: Captured,
    name: str,
    spoil: Callable[[str], str] | None,
    words: str,
) -> None:
    path = tmp_path / "risk_regimes.toml"
    if spoil is not None:
        path.write_text(spoil(outlook.REGIMES_FILE.read_text()))
    desk.setattr(outlook, "REGIMES_FILE", path)
    refused(COMMANDS[name], capsys, r"models/risk_regimes\.toml", words)


def test_the_example_environment_is_readable_with_every_variable_uncommented(tmp_path: Path) -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    path = tmp_path / ".env"
    path.write_text("\n".join(re.sub(r"^#(?=[A-Z_]+=)", "", line) for line in lines))
    values = {name: value or "" for name, value in dotenv_values(path).items()}
    assert set(values) == set(VARIABLES)
    assert read_settings(values).database_url == "sqlite:///var/demo.db"
