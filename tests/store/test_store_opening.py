"""Opening the memory: made, migrated, checked; refused with a remedy; safe when everybody starts at once."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from database.engine import Sessions, open_engines
from database.errors import (
    DatabaseError,
    DatabaseUnavailable,
    KeyFileError,
    NewerDatabase,
    NotDurable,
    UnreadableDatabase,
    WrongDesk,
)
from database.keys import approval_key
from database.migrations import apply
from database.migrations.compare import differences
from database.store import Store, open_store

ROOT = Path(__file__).resolve().parents[2]


async def opened(url: str, tmp_path: Path, now: datetime, mode: str = "DEMO") -> Store:
    return await open_store(url, mode=mode, var_dir=tmp_path / "var", now=now)


async def run_sql(url: str, statement: str) -> None:
    engines = open_engines(url)
    async with engines.durable.begin() as connection:
        await connection.execute(text(statement))
    await engines.close()


async def test_the_first_open_makes_the_desk_and_the_second_finds_it(
    empty_url: str, tmp_path: Path, now: datetime
) -> None:
    first = await opened(empty_url, tmp_path, now)
    desk = await first.control.desk()
    switches = await first.control.switches()
    await first.close()
    second = await opened(empty_url, tmp_path, now.replace(year=now.year + 1))
    again = await second.control.desk()
    await second.close()
    assert (desk.mode, desk.epoch, desk.created_at) == ("DEMO", 1, now)
    assert again == desk
    assert {name: row.value for name, row in switches.items()} == {"halt": "off", "pause": "off"}


async def test_the_migrated_tables_are_exactly_those_in_the_code(empty_url: str, tmp_path: Path, now: datetime) -> None:
    store = await opened(empty_url, tmp_path, now)
    async with store.reading() as session:
        connection = await session.connection()
        assert await connection.run_sync(differences) == []
    await store.close()


async def test_every_revision_can_be_taken_back_and_applied_again(
    empty_url: str, tmp_path: Path, now: datetime
) -> None:
    store = await opened(empty_url, tmp_path, now)
    await store.close()
    engines = open_engines(empty_url)

    def down(connection: object) -> None:
        config = apply.script_config()
        config.attributes["connection"] = connection
        apply.command.downgrade(config, "base")

    async with engines.durable.begin() as connection:
        await connection.run_sync(down)
        left = await connection.run_sync(lambda c: set(inspect(c).get_table_names()))
    await engines.close()
    assert left == {apply.VERSION_TABLE}
    store = await opened(empty_url, tmp_path, now)
    async with store.reading() as session:
        assert await (await session.connection()).run_sync(differences) == []
    await store.close()


async def test_a_migration_that_fails_halfway_leaves_nothing_behind(
    empty_url: str, tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk went away")

    with monkeypatch.context() as patch:
        patch.setattr(apply, "_seed", fail)
        with pytest.raises(DatabaseUnavailable, match="the disk went away"):
            await opened(empty_url, tmp_path, now)
    engines = open_engines(empty_url)
    async with engines.reader.connect() as connection:
        assert await connection.run_sync(lambda c: inspect(c).get_table_names()) == []
    await engines.close()
    store = await opened(empty_url, tmp_path, now)
    await store.close()


async def test_a_database_of_a_newer_desk_is_refused_by_name(empty_url: str, tmp_path: Path, now: datetime) -> None:
    store = await opened(empty_url, tmp_path, now)
    await store.close()
    await run_sql(empty_url, "UPDATE alembic_version SET version_num = 'v9999_the_future'")
    with pytest.raises(NewerDatabase, match=r"v9999_the_future.*update the desk"):
        await opened(empty_url, tmp_path, now)


async def test_a_database_of_another_mode_is_refused_with_the_way_out(
    empty_url: str, tmp_path: Path, now: datetime
) -> None:
    store = await opened(empty_url, tmp_path, now, mode="PAPER")
    await store.close()
    with pytest.raises(WrongDesk, match=r"belongs to a PAPER desk.*DESK_MODE=PAPER"):
        await opened(empty_url, tmp_path, now)


async def test_a_database_of_another_program_is_left_alone(empty_url: str, tmp_path: Path, now: datetime) -> None:
    await run_sql(empty_url, "CREATE TABLE recipes (id INTEGER)")
    with pytest.raises(UnreadableDatabase, match="recipes"):
        await opened(empty_url, tmp_path, now)


async def test_one_database_is_one_account_and_one_venue(store: Store) -> None:
    await store.control.bind_desk(["SIM1234567"], "venue-7")
    await store.control.bind_desk(["SIM1234567"], "venue-7")
    with pytest.raises(WrongDesk, match=r"S\*\*\*4567.*S\*\*\*9999"):
        await store.control.bind_desk(["SIM7659999"], "venue-7")
    with pytest.raises(WrongDesk, match="venue-8"):
        await store.control.bind_desk(["SIM1234567"], "venue-8")
    desk = await store.control.desk()
    assert (desk.account_ids, desk.venue_id) == (["SIM1234567"], "venue-7")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://x/y", "begins with 'mysql'"),
        ("not a url", "not a URL"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///{tmp}/nowhere/desk.db", "does not exist; make it"),
        ("sqlite:///{tmp}", "is a folder"),
        ("postgresql://nobody:hunter2@127.0.0.1:1/desk", r"127.0.0.1:1\); start it"),
    ],
)
async def test_a_place_that_cannot_be_a_database_is_named_with_its_remedy(
    url: str, words: str, tmp_path: Path, now: datetime
) -> None:
    with pytest.raises(DatabaseError, match=words) as caught:
        await opened(url.format(tmp=tmp_path), tmp_path, now)
    assert "hunter2" not in str(caught.value)


async def test_a_file_that_is_no_database_is_not_overwritten(tmp_path: Path, now: datetime) -> None:
    path = tmp_path / "desk.db"
    path.write_bytes(b"a shopping list, nothing else" * 200)
    with pytest.raises(UnreadableDatabase, match="is not a database"):
        await opened(f"sqlite:///{path}", tmp_path, now)
    assert path.read_bytes().startswith(b"a shopping list")


@pytest.mark.postgres
async def test_a_missing_postgres_database_says_how_to_make_it(
    postgres_url: str, tmp_path: Path, now: datetime
) -> None:
    with pytest.raises(UnreadableDatabase, match="createdb no_such_desk"):
        await opened(postgres_url.rsplit("/", 1)[0] + "/no_such_desk", tmp_path, now)


async def test_durable_commits_are_read_back_and_a_lax_writer_is_refused(store: Store) -> None:
    async with store.writing(durable=True) as session:
        question = "PRAGMA synchronous" if store.dialect == "sqlite" else "SHOW synchronous_commit"
        assert str((await session.execute(text(question))).scalar_one()) in ("2", "on")
    lax = Sessions(replace(store._engines, durable=store._engines.writer), committed=lambda: None)
    with pytest.raises(NotDurable, match="the durable writer answers"):
        await lax.check_durable()


def test_the_key_is_private_stable_and_refused_when_others_may_read_it(tmp_path: Path) -> None:
    key = approval_key(tmp_path)
    path = tmp_path / "approval.key"
    assert len(key) == 32
    assert approval_key(tmp_path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        approval_key(tmp_path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(KeyFileError, match="hexadecimal"):
        approval_key(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["approval.key"]


OPENER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from database.store import open_store

async def main():
    now = datetime.now(UTC)
    store = await open_store(sys.argv[1], mode="DEMO", var_dir=Path(sys.argv[2]), now=now)
    await store.control.audit("test", "open", sys.argv[3], {}, now)
    print(store.key.hex(), (await store.control.desk()).created_at.isoformat(), store.changes() is not None)
    await store.close()

asyncio.run(main())
"""


def test_four_processes_may_open_an_empty_database_at_once(empty_url: str, tmp_path: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", OPENER, empty_url, str(tmp_path / "var"), f"child {n}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={"PATH": os.environ["PATH"]},
        )
        for n in range(4)
    ]  # fmt: skip
    answers = [child.communicate(timeout=60) for child in children]
    assert [(child.returncode, err) for child, (_, err) in zip(children, answers, strict=True)] == [(0, "")] * 4
    assert len({out for out, _ in answers}) == 1

    async def check() -> None:
        now = datetime.now().astimezone()
        store = await opened(empty_url, tmp_path, now)
        assert await store.control.verify_audit() is None
        assert len(await store.control.audit_tail(10)) == 4
        await store.close()

    asyncio.run(check())


async def test_a_first_start_leaves_a_write_ahead_log(tmp_path: Path, now: datetime) -> None:
    store = await opened(f"sqlite:///{tmp_path}/desk.db", tmp_path, now)
    with sqlite3.connect(tmp_path / "desk.db") as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()
    await store.close()
