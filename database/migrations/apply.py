"""Bringing a database to this version when it is opened: one process at a time, in one transaction, or not at all.

A newer database, one of another mode, or one that is not a desk's is refused before anything is touched.
"""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

from database.audit import FIRST
from database.engine import Engines, unavailable
from database.errors import DatabaseError, NewerDatabase, UnreadableDatabase, UnusableFolder, WrongDesk
from database.upsert import insert_once, values_of
from models.control import AuditHead, DeskRow, Switch, SwitchName

VERSION_TABLE = "alembic_version"
MIGRATION_LOCK = 0x6E696D626C65  # "nimble": the advisory lock under which one process migrates
FIRST_SWITCHES = (SwitchName.HALT, SwitchName.PAUSE)


def script_config() -> Config:
    """Alembic's configuration, built in code; there is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def head_revision() -> str:
    """The version this desk writes."""
    head = ScriptDirectory.from_config(script_config()).get_current_head()
    assert head is not None
    return head


async def prepare(engines: Engines, mode: str, now: datetime) -> None:
    """Check, migrate and seed. Raises DatabaseError; safe when several processes open at first start."""
    _check_place(engines)
    async with _one_at_a_time(engines):
        try:
            async with engines.durable.begin() as connection:
                if engines.dialect == "postgresql":
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
                await connection.run_sync(_migrate, mode, now)
        except DatabaseError:
            raise
        except (OSError, SQLAlchemyError) as error:
            raise _in_words(engines, error) from error


def _check_place(engines: Engines) -> None:
    path = engines.path
    if path is None:
        return
    if path.is_dir():
        raise UnreadableDatabase(f"{path} is a folder; DATABASE_URL must name a file in it")
    if not path.parent.is_dir():
        raise UnreadableDatabase(f"the folder {path.parent} does not exist; make it or correct DATABASE_URL")


@asynccontextmanager
async def _one_at_a_time(engines: Engines) -> AsyncIterator[None]:
    # SQLite cannot switch to WAL while another process does the same: a lock file beside it makes them queue.
    path = engines.path
    if path is None:
        yield
        return
    try:
        file = path.with_name(path.name + ".lock").open("a")
    except OSError as error:
        raise UnusableFolder(
            f"{path.parent} cannot be written ({error}); make it writable or correct DATABASE_URL"
        ) from error
    with file:
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield


def _migrate(connection: Connection, mode: str, now: datetime) -> None:
    names = set(inspect(connection).get_table_names())
    head = head_revision()
    if VERSION_TABLE in names:
        present = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
        _refuse_newer(present)
        if DeskRow.__tablename__ in names:
            _refuse_other_mode(connection, mode)
    elif names:
        some = ", ".join(sorted(names)[:3])
        raise UnreadableDatabase(f"the database holds tables of something else ({some}…); give the desk an empty one")
    else:
        present = None
    if present != head:
        config = script_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    _seed(connection, mode, now)


def _refuse_newer(present: Any) -> None:
    if present is None:
        return
    known = {script.revision for script in ScriptDirectory.from_config(script_config()).walk_revisions()}
    if present not in known:
        raise NewerDatabase(
            f"the database was written by a newer desk (version {present}, this one knows {head_revision()}); "
            "update the desk, or point DATABASE_URL at another database"
        )


def _refuse_other_mode(connection: Connection, mode: str) -> None:
    stored = connection.execute(text("SELECT mode FROM desk WHERE id = 1")).scalar()
    if stored is not None and stored != mode:
        raise WrongDesk(
            f"the database belongs to a {stored} desk, this one is {mode}; "
            f"set DESK_MODE={stored} or give {mode} its own DATABASE_URL"
        )


def _seed(connection: Connection, mode: str, now: datetime) -> None:
    rows: list[tuple[SQLModel, list[str]]] = [
        (DeskRow(id=1, mode=mode, created_at=now), ["id"]),
        (AuditHead(id=1, digest=FIRST), ["id"]),
        *((Switch(name=name, value="off", set_by="desk", reason="first start", set_at=now), ["name"])
          for name in FIRST_SWITCHES),
    ]  # fmt: skip
    for row, keys in rows:
        statement = insert_once(connection.dialect.name, type(row), keys)
        connection.execute(statement, values_of(row, without=()))


def _in_words(engines: Engines, error: Exception) -> DatabaseError:
    cause = str(getattr(error, "orig", None) or error).strip()
    if "not a database" in cause:
        return UnreadableDatabase(f"{engines.path} is not a database; move it away or correct DATABASE_URL")
    if "malformed" in cause:
        return UnreadableDatabase(f"{engines.path} is damaged ({cause}); restore a backup")
    name = engines.url.database
    if f'database "{name}" does not exist' in cause:
        return UnreadableDatabase(f'there is no database "{name}" on this server; make it with: createdb {name}')
    place = engines.path or f"{engines.url.host or 'the local socket'}:{engines.url.port or 5432}"
    found = unavailable(error)
    return type(found)(f"{found} ({place}); start it or correct DATABASE_URL")
