"""`python -m database.migrations POSTGRES_URL NAME "what changes"` writes the next revision.

The URL is an empty Postgres database; it is brought to the present head and the tables in the code are compared
with it.
"""

import asyncio
import sys

from alembic import command
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from database.engine import driver_url
from database.migrations.apply import script_config


async def write_revision(url: str, name: str, message: str) -> None:
    """Upgrade the database at `url` and write versions/NAME.py with what the code has beyond it."""
    engine = create_async_engine(driver_url(url))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
        async with engine.begin() as connection:
            await connection.run_sync(_write, name, message)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = script_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _write(connection: Connection, name: str, message: str) -> None:
    config = script_config()
    config.set_main_option("file_template", "%%(rev)s")
    config.attributes["connection"] = connection
    command.revision(config, message=message, autogenerate=True, rev_id=name)


def main() -> int:
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)  # noqa: T201 – this is a command
        return 2
    asyncio.run(write_revision(*sys.argv[1:]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
