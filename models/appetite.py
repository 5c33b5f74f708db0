"""How much risk the person wants: limits in versions, overrides, the universe, and the breaches seen."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from models.columns import UtcDateTime, id_type, json_type


class LimitsVersion(SQLModel, table=True):
    """One version of the limits, append only; the newest is in force. `body` is the TOML's content as JSON."""

    __tablename__ = "limits"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    profile: str
    body: dict[str, Any] = Field(sa_type=json_type())
    by: str
    reason: str
    at: datetime = Field(sa_type=UtcDateTime)


class Override(SQLModel, table=True):
    """A person's exception for one measure or symbol, with an end and a reason; it can only tighten."""

    __tablename__ = "overrides"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    subject: str
    rule: str
    value: str
    by: str
    reason: str
    at: datetime = Field(sa_type=UtcDateTime)
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class UniverseRow(SQLModel, table=True):
    """An underlying the desk watches; `hedge` marks the benchmark allowlist."""

    __tablename__ = "universe"

    symbol: str = Field(primary_key=True)
    sec_type: str
    hedge: bool = False
    watch: bool = True
    static_beta: float | None = None


class BreachRow(SQLModel, table=True):
    """A limit passed: since when, how far, until when."""

    __tablename__ = "breaches"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    account_id: str = Field(index=True)
    kind: str
    value: float
    limit: float
    distance: float
    use: float | None = None
    regime: str
    profile: str
    is_cap: bool = True
    since: datetime = Field(sa_type=UtcDateTime)
    last_seen: datetime = Field(sa_type=UtcDateTime)
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)
