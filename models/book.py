"""The book: what we hold by our own account, what the broker says, what it is worth and how it would move."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.columns import Money, UtcDateTime, id_type, json_type

PORTFOLIO = "PORTFOLIO"


class Position(SQLModel, table=True):
    """Ours: the adopted baseline plus our executions. quantity signed."""

    __tablename__ = "positions"
    __table_args__ = (UniqueConstraint("account_id", "identity"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    account_id: str
    identity: str
    contract_json: dict[str, Any] = Field(sa_type=json_type())
    con_id: int | None = Field(default=None, sa_type=id_type())
    baseline: float = 0.0
    """Quantity adopted from the broker; executions recorded after `baseline_at` are added to it."""
    quantity: float
    average_cost: float | None = None
    baseline_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class BrokerPositionRow(SQLModel, table=True):
    """Theirs, beside ours: the last full answer of the broker."""

    __tablename__ = "broker_positions"
    __table_args__ = (UniqueConstraint("account_id", "identity"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    account_id: str
    identity: str
    contract_json: dict[str, Any] = Field(sa_type=json_type())
    con_id: int = Field(sa_type=id_type())
    quantity: float
    average_cost: float
    market_price: float | None = None
    at: datetime = Field(sa_type=UtcDateTime)


class AccountSnapshot(SQLModel, table=True):
    """Account money at a moment; NULL where the broker did not say."""

    __tablename__ = "account_snapshots"
    __table_args__ = (Index("ix_account_snapshots_account_at", "account_id", "at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    account_id: str
    at: datetime = Field(sa_type=UtcDateTime)
    desk_at: datetime = Field(sa_type=UtcDateTime)
    net_liquidation: Decimal | None = Field(default=None, sa_type=Money)
    equity_with_loan: Decimal | None = Field(default=None, sa_type=Money)
    initial_margin: Decimal | None = Field(default=None, sa_type=Money)
    maintenance_margin: Decimal | None = Field(default=None, sa_type=Money)
    available_funds: Decimal | None = Field(default=None, sa_type=Money)
    excess_liquidity: Decimal | None = Field(default=None, sa_type=Money)
    buying_power: Decimal | None = Field(default=None, sa_type=Money)
    cash: Decimal | None = Field(default=None, sa_type=Money)
    day_pnl: Decimal | None = Field(default=None, sa_type=Money)
    unrealized_pnl: Decimal | None = Field(default=None, sa_type=Money)
    realized_pnl: Decimal | None = Field(default=None, sa_type=Money)


class PortfolioGreeks(SQLModel, table=True):
    """Position greeks in currency (DOMAIN.md section 1), one row per position and one named PORTFOLIO, per snapshot.

    NULL is unknown: a position without a price or volatility makes its numbers and the portfolio's sum NULL.
    """

    __tablename__ = "portfolio_greeks"
    __table_args__ = (Index("ix_portfolio_greeks_account_contract_at", "account_id", "contract", "at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    snapshot_id: str = Field(index=True)
    account_id: str
    contract: str
    """PORTFOLIO or the position's identity."""
    at: datetime = Field(sa_type=UtcDateTime)
    desk_at: datetime = Field(sa_type=UtcDateTime)
    quantity: float | None = None
    mark: float | None = None
    iv: float | None = None
    spot: float | None = None
    beta: float | None = None
    beta_source: str | None = None
    spx_delta: float | None = None
    gamma: float | None = None
    vega: float | None = None
    vega_weighted: float | None = None
    theta: float | None = None
    market_value: float | None = None
    source: str = "unknown"
    """Where the mark came from: real, delayed, modelled or unknown."""
    missing: list[str] = Field(default_factory=list, sa_type=json_type())
    """What is unknown and why, in words."""
    exposure: dict[str, Any] | None = Field(default=None, sa_type=json_type())
    """On the PORTFOLIO row: stress cells, VaR, shares, margin use, regime, limits and use."""
