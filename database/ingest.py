"""The hot path: whole batches in one prepared statement, safe to hear twice."""

from collections.abc import Sequence

from sqlalchemy import Insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from database.upsert import insert_once, upsert, values_of


async def upsert_many(
    session: AsyncSession, rows: Sequence[SQLModel], keys: Sequence[str], newer: str | None = None
) -> None:
    """Latest per key; with `newer`, a stored row with a later value of that column stays."""
    await _many(session, upsert(_dialect(session), type(rows[0]), keys, newer=newer), rows)


async def add_once(session: AsyncSession, rows: Sequence[SQLModel], keys: Sequence[str]) -> None:
    """Append; rows whose keys are there already are left as they are."""
    await _many(session, insert_once(_dialect(session), type(rows[0]), keys), rows)


async def _many(session: AsyncSession, statement: Insert, rows: Sequence[SQLModel]) -> None:
    # Core on the connection: the ORM would take every parameter apart again.
    connection = await session.connection()
    await connection.execute(statement, [values_of(row) for row in rows])


def _dialect(session: AsyncSession) -> str:
    return session.get_bind().dialect.name
