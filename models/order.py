"""Orders and what became of them: the intent, every event, every fill, and the journal that says why.

Lifecycle of the instruction: intended → refused | sent | unknown … (models.quant.lifecycle). An intent is a row
before anything leaves; `order_ref` is random and unique and the only link that survives every failure.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.columns import Money, UtcDateTime, id_type, json_type


class Order(SQLModel, table=True):
    """One instruction to the broker. Prices debit positive for BUY of the combo."""

    __tablename__ = "orders"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    order_ref: str = Field(unique=True)
    proposal_id: int | None = Field(default=None, index=True, sa_type=id_type())
    approval_id: int | None = Field(default=None, unique=True, sa_type=id_type())
    account_id: str = Field(index=True)
    epoch: int
    risk_family: str = Field(index=True)
    """What an unknown outcome blocks: SPX for the SPX family, else the underlying."""
    legs_json: list[dict[str, Any]] = Field(sa_type=json_type())
    legs_hash: str
    action: str
    quantity: int
    order_type: str
    limit_price: float | None = None
    worst_price: float | None = None
    tif: str
    revision: int = 0
    status: str = Field(index=True)
    filled: float = 0.0
    average_price: float | None = None
    perm_id: int | None = Field(default=None, sa_type=id_type())
    broker_order_id: int | None = None
    reason: str = ""
    mid_at_approval: float | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    acked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    done_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reconciled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class OrderEvent(SQLModel, table=True):
    """One line of an order's time line; append only."""

    __tablename__ = "order_events"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    order_ref: str = Field(index=True)
    at: datetime = Field(sa_type=UtcDateTime)
    event: str
    from_status: str | None = None
    to_status: str | None = None
    text: str = ""
    detail: dict[str, Any] | None = Field(default=None, sa_type=json_type())


class Execution(SQLModel, table=True):
    """One leg fill; unique per account and exec id, so that hearing it twice changes nothing."""

    __tablename__ = "executions"
    __table_args__ = (UniqueConstraint("account_id", "exec_id"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    account_id: str
    exec_id: str
    revision: int = 0
    order_ref: str = Field(default="", index=True)
    identity: str = Field(index=True)
    contract_json: dict[str, Any] = Field(sa_type=json_type())
    con_id: int = Field(sa_type=id_type())
    side: str
    quantity: float
    price: float
    commission: Decimal | None = Field(default=None, sa_type=Money)
    realized_pnl: Decimal | None = Field(default=None, sa_type=Money)
    at: datetime = Field(sa_type=UtcDateTime)
    recorded_at: datetime = Field(sa_type=UtcDateTime)


class WhatIf(SQLModel, table=True):
    """A broker's margin preview, kept with when it was asked; NULL where the broker left a number unset."""

    __tablename__ = "what_ifs"
    __table_args__ = (Index("ix_what_ifs_hash_at", "legs_hash", "at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    account_id: str
    proposal_id: int | None = Field(default=None, index=True, sa_type=id_type())
    legs_hash: str
    quantity: int
    init_margin_before: Decimal | None = Field(default=None, sa_type=Money)
    init_margin_change: Decimal | None = Field(default=None, sa_type=Money)
    init_margin_after: Decimal | None = Field(default=None, sa_type=Money)
    maint_margin_before: Decimal | None = Field(default=None, sa_type=Money)
    maint_margin_change: Decimal | None = Field(default=None, sa_type=Money)
    maint_margin_after: Decimal | None = Field(default=None, sa_type=Money)
    equity_before: Decimal | None = Field(default=None, sa_type=Money)
    equity_change: Decimal | None = Field(default=None, sa_type=Money)
    equity_after: Decimal | None = Field(default=None, sa_type=Money)
    commission: Decimal | None = Field(default=None, sa_type=Money)
    warning: str = ""
    failure: str | None = None
    at: datetime = Field(sa_type=UtcDateTime)


class TradeJournal(SQLModel, table=True):
    """Why a trade was made and what it did: the book's greeks before and after the fill, in the limits' units."""

    __tablename__ = "trade_journal"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    order_ref: str = Field(unique=True)
    proposal_id: int | None = Field(default=None, index=True, sa_type=id_type())
    account_id: str
    at: datetime = Field(sa_type=UtcDateTime)
    strategy_name: str = ""
    why: str = ""
    greeks_before: dict[str, Any] = Field(sa_type=json_type())
    greeks_after: dict[str, Any] | None = Field(default=None, sa_type=json_type())
    breaches_before: list[dict[str, Any]] = Field(default_factory=list, sa_type=json_type())
    breaches_after: list[dict[str, Any]] | None = Field(default=None, sa_type=json_type())
    average_price: float | None = None
    slippage: float | None = None
    """Fill against the mid at approval, per combo unit; positive is worse for the desk."""
    commission: Decimal | None = Field(default=None, sa_type=Money)
    note: str = ""
