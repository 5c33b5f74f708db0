"""INSERT … ON CONFLICT in the dialect at hand: one way to write "the latest per key" on both databases."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Insert, Table, and_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import SQLModel


def table_of(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


def values_of(row: SQLModel, without: Iterable[str] = ("id",)) -> dict[str, Any]:
    """A row as column values; the identity column is left to the database."""
    return {c.name: getattr(row, c.name) for c in table_of(type(row)).columns if c.name not in set(without)}


def upsert(
    dialect: str,
    model: type[SQLModel],
    keys: Sequence[str],
    keep: Sequence[str] = (),
    newer: str | None = None,
    where: ColumnElement[bool] | None = None,
) -> Insert:
    """INSERT that on a conflict over `keys` takes the new values, except for the columns in `keep`.

    With `newer`, an older value of that column never replaces a newer one (a replayed batch changes nothing); with
    `where` only a stored row for which it holds is replaced.
    """
    statement = _insert(dialect, model)
    skip = {*keys, *keep, "id"}
    fresh = {c.name: statement.excluded[c.name] for c in table_of(model).columns if c.name not in skip}
    if newer:
        later = statement.excluded[newer] >= table_of(model).c[newer]
        where = later if where is None else and_(where, later)
    result: Insert = statement.on_conflict_do_update(index_elements=list(keys), set_=fresh, where=where)
    return result


def insert_once(dialect: str, model: type[SQLModel], keys: Sequence[str]) -> Insert:
    """INSERT that does nothing when a row with these keys is there already."""
    result: Insert = _insert(dialect, model).on_conflict_do_nothing(index_elements=list(keys))
    return result


def conditional(
    dialect: str, model: type[SQLModel], keys: Sequence[str], fresh: dict[str, Any], where: ColumnElement[bool]
) -> Insert:
    """INSERT that on a conflict sets `fresh`, but only where the condition holds on the stored row."""
    result: Insert = _insert(dialect, model).on_conflict_do_update(index_elements=list(keys), set_=fresh, where=where)
    return result


def _insert(dialect: str, model: type[SQLModel]) -> Any:
    return (postgresql if dialect == "postgresql" else sqlite).insert(table_of(model))
