"""How the tables in the code are compared with those in a database, and written down as a revision.

Batch mode on both dialects, and revisions are generated against Postgres: measured to be the only way that one
script runs clean on both.
"""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.autogenerate.api import AutogenContext
from alembic.migration import MigrationContext
from sqlalchemy import JSON, BigInteger, Connection
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

import models.appetite
import models.book
import models.control
import models.market
import models.order
import models.proposed_trade
import models.scorecard  # noqa: F401 – importing the nouns registers their tables
from models.columns import Money, UtcDateTime


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | bool:
    """Our column types by their names in models.columns, so that a revision keeps their meaning."""
    if kind != "type":
        return False
    spelled = _spelled(item)
    if spelled is None:
        return False
    if spelled.startswith("columns."):
        autogen.imports.add("from models import columns")
    return spelled


def _spelled(item: Any) -> str | None:
    if isinstance(item, UtcDateTime | Money):
        return f"columns.{item!r}"
    if isinstance(item, AutoString):
        return "sa.String()"
    if isinstance(item, JSON):
        return "columns.json_type()"
    if isinstance(item, BigInteger):
        return "columns.id_type()"
    return None


OPTIONS: dict[str, Any] = {
    "target_metadata": SQLModel.metadata,
    "render_as_batch": True,
    "compare_type": True,
    "transactional_ddl": True,
    "render_item": render_item,
}


def differences(connection: Connection) -> list[Any]:
    """What the tables in the code have that the database has not, and the other way round; empty when equal."""
    context = MigrationContext.configure(connection, opts=OPTIONS)
    return list(compare_metadata(context, SQLModel.metadata))
