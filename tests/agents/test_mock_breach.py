"""MOCK_BREACH from an empty environment: offline, exit 0, one to three rows that nobody can approve; DEMO only."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from database.errors import DecisionRefused
from database.store import open_store
from models.settings import VARIABLES

ROOT = Path(__file__).resolve().parents[2]


def propose_once(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        [sys.executable, "-m", "agents.trade_proposer", "--run-once"], cwd=ROOT, capture_output=True, text=True,
        timeout=90, check=False, env={**kept, "DESK_VAR": str(folder), **env},
    )  # fmt: skip


async def test_it_writes_one_to_three_rows_offline_and_prints_why(tmp_path: Path) -> None:
    done = propose_once(tmp_path, MOCK_BREACH="TRUE")
    assert done.returncode == 0, done.stderr
    assert "vega is" in done.stdout and "SPXW" in done.stdout
    assert not (tmp_path / "venue.json").exists(), "it must not start a venue"
    now = datetime.now(UTC)
    store = await open_store(f"sqlite:///{tmp_path}/demo.db", mode="DEMO", var_dir=tmp_path, now=now)
    try:
        rows = await store.proposals.pending(None, now)
        assert 1 <= len(rows) <= 3
        assert {row.origin for row in rows} == {"mock"} and {row.status for row in rows} == {"Pending"}
        assert all(leg["source"] == "modelled" for row in rows for leg in row.legs_json)
        assert all(row.vega_reduction and row.vega_reduction > 0 for row in rows)
        check = await store.proposals.last_check()
        assert check is not None and check.breaches == 1 and check.proposed == len(rows)
        row = rows[0]
        assert row.id is not None
        with pytest.raises(DecisionRefused):
            await store.proposals.approve(
                row.id, row.legs_hash, row.quantity, row.limit_price, row.worst_price, "pat", now
            )
    finally:
        await store.close()


async def test_a_second_check_supersedes_the_first(tmp_path: Path) -> None:
    for _ in range(2):
        assert propose_once(tmp_path, MOCK_BREACH="1", RISK_PROFILE="classic").returncode == 0
    now = datetime.now(UTC)
    store = await open_store(f"sqlite:///{tmp_path}/demo.db", mode="DEMO", var_dir=tmp_path, now=now)
    try:
        rows = await store.proposals.recent()
        assert {row.status for row in rows} == {"Pending", "Superseded"}
        assert 1 <= len(await store.proposals.pending(None, now)) <= 3
        assert len(await store.proposals.checks()) == 2
    finally:
        await store.close()


@pytest.mark.parametrize(("mode", "account"), [("PAPER", "DU1234567"), ("LIVE", "U1234567")])
def test_outside_demo_it_is_refused_by_name(tmp_path: Path, mode: str, account: str) -> None:
    done = propose_once(tmp_path, MOCK_BREACH="YES", DESK_MODE=mode, IB_ACCOUNT=account, IB_PORT="7497")
    assert done.returncode == 2
    assert "MOCK_BREACH" in done.stderr and "Traceback" not in done.stderr and account not in done.stderr


def test_a_broker_that_is_not_there_is_one_line_and_a_code(tmp_path: Path) -> None:
    done = propose_once(tmp_path, DESK_MODE="PAPER", IB_ACCOUNT="DU1234567", IB_PORT="1")
    assert done.returncode == 2
    assert "127.0.0.1:1" in done.stderr and "Traceback" not in done.stderr and "DU1234567" not in done.stderr
