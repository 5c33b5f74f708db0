"""`python -m bridge.main`: every way not to start is one sentence and its own exit code."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.simulator.tws_server import serve_tws
from adapters.simulator.venue import VenueConfig, open_venue
from bridge.main import main
from models.settings import VARIABLES


@pytest.fixture(autouse=True)
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESK_VAR", str(tmp_path / "var"))
    yield monkeypatch


@pytest.fixture
def venue_port() -> Iterator[int]:
    """A venue on a thread of its own: the command runs its own loop."""
    ready, over = threading.Event(), asyncio.Event()
    found: dict[str, object] = {}

    async def live() -> None:
        venue = open_venue(VenueConfig(seed=7, speed=0.0), datetime(2026, 11, 18, 16, 0, tzinfo=UTC))
        server = await serve_tws(venue)
        running = asyncio.create_task(venue.run())
        found.update(port=server.port, loop=asyncio.get_running_loop())
        ready.set()
        await over.wait()
        await server.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=(live(),))
    thread.start()
    assert ready.wait(30)
    yield int(str(found["port"]))
    found["loop"].call_soon_threadsafe(over.set)  # type: ignore[attr-defined]
    thread.join(10)


def test_one_pass_against_the_venue_says_what_it_did(
    desk: pytest.MonkeyPatch, venue_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.setenv("IB_PORT", str(venue_port))
    assert main(["--run-once"]) == 0
    assert "reconciled with 1 account(s), 0 difference(s)" in capsys.readouterr().out


def test_a_broker_that_is_not_there(desk: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    desk.setenv("IB_PORT", "1")
    assert main(["--run-once"]) == 3
    assert "is TWS, the gateway or the venue running" in capsys.readouterr().err


def test_a_wrong_account(desk: pytest.MonkeyPatch, venue_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    desk.setenv("IB_PORT", str(venue_port))
    desk.setenv("DESK_MODE", "PAPER")
    desk.setenv("IB_ACCOUNT", "DU1234567")
    assert main(["--run-once"]) == 4
    said = capsys.readouterr().err
    assert "wrong account: IB_ACCOUNT D***4567 is not offered" in said
    assert "DU1234567" not in said


def test_a_database_of_another_mode(
    desk: pytest.MonkeyPatch, venue_port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/var/one.db")
    desk.setenv("IB_PORT", str(venue_port))
    assert main(["--run-once"]) == 0
    desk.setenv("DESK_MODE", "PAPER")
    desk.setenv("IB_ACCOUNT", "DU1234567")
    assert main(["--run-once"]) == 4
    assert "DEMO" in capsys.readouterr().err


def test_a_wrong_variable(desk: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    desk.setenv("IB_PORT", "ninety")
    assert main([]) == 2
    assert "IB_PORT" in capsys.readouterr().err
