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
    """A person's exception, with a reason and perhaps an end; it can only tighten (`models.quant.overrides`)."""

    __tablename__ = "overrides"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    subject: str
    """`SPX`, `SPX family`, `SPX / short_strangle` or `any / short_strangle`."""
    rule: str
    """none, close_only, reduce_only or multiplier."""
    value: str
    """The multiplier as written, such as 0.5; empty for the other rules."""
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
