"""The market as the desk last saw it: quotes, chains, fitted surfaces, dividends, the watch list of indices, bars."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.columns import UtcDateTime, id_type, json_type


class Quote(SQLModel, table=True):
    """Latest per contract. `at` is desk time of the market fact, `received_at` machine time; NULL is unknown."""

    __tablename__ = "quotes"

    identity: str = Field(primary_key=True)
    contract_json: dict[str, Any] = Field(sa_type=json_type())
    con_id: int | None = Field(default=None, sa_type=id_type())
    bid: float | None = None
    ask: float | None = None
    bid_size: float | None = None
    ask_size: float | None = None
    last: float | None = None
    close: float | None = None
    source: str = "unknown"
    vendor_iv: float | None = None
    vendor_delta: float | None = None
    vendor_gamma: float | None = None
    vendor_vega: float | None = None
    vendor_theta: float | None = None
    under_price: float | None = None
    halted: bool = False
    open_interest: float | None = None
    """Contracts open as of the last clearing; brokers tell it once a day, many not at all."""
    at: datetime = Field(sa_type=UtcDateTime)
    received_at: datetime = Field(sa_type=UtcDateTime)


class GreekSnapshot(SQLModel, table=True):
    """History of option greeks, vendor's and our own, tagged by source; append only, hearing one twice adds nothing."""

    __tablename__ = "greek_snapshots"
    __table_args__ = (UniqueConstraint("identity", "at", "source"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    identity: str
    at: datetime = Field(sa_type=UtcDateTime)
    source: str
    price: float | None = None
    under_price: float | None = None
    iv: float | None = None
    delta: float | None = None
    gamma: float | None = None
    vega: float | None = None
    theta: float | None = None


class ChainRow(SQLModel, table=True):
    """What is listed on an underlying in one class; `strikes` are the union over `expirations`."""

    __tablename__ = "chains"
    __table_args__ = (UniqueConstraint("symbol", "trading_class"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    symbol: str
    trading_class: str
    exchange: str
    multiplier: float
    expirations: list[str] = Field(sa_type=json_type())
    strikes: list[float] = Field(sa_type=json_type())
    listed: dict[str, dict[str, list[float]]] = Field(default_factory=dict, sa_type=json_type())
    """What really exists, where it is known: expiration → C or P → strikes."""
    at: datetime = Field(sa_type=UtcDateTime)


class SurfaceRow(SQLModel, table=True):
    """Latest fitted surface per underlying; `surface_json` is models.quant.surface.Surface.to_json()."""

    __tablename__ = "surfaces"

    symbol: str = Field(primary_key=True)
    snapshot_id: str
    surface_json: dict[str, Any] = Field(sa_type=json_type())
    quotes_used: int
    fit_error: float | None = None
    """Root mean square distance of the fitted to the quoted volatility, as a fraction (0.001 = .1 vol point)."""
    at: datetime = Field(sa_type=UtcDateTime)
    received_at: datetime = Field(sa_type=UtcDateTime)


class SurfaceMisses(SQLModel, table=True):
    """How far one day's modelled prices were from the real quotes that came later, counted by size.

    Each list counts misses per bin of `models.quant.surface_misses.EDGES`: in price points, in vol points, and in
    half-spreads of the real quote.
    """

    __tablename__ = "surface_misses"

    symbol: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    """The exchange's day."""
    points: list[int] = Field(sa_type=json_type())
    vol_points: list[int] = Field(sa_type=json_type())
    half_spreads: list[int] = Field(sa_type=json_type())
    since: datetime = Field(sa_type=UtcDateTime)
    at: datetime = Field(sa_type=UtcDateTime)
    """First and last counted, desk time."""


class DividendRow(SQLModel, table=True):
    """A cash dividend to come, per share. What its source says next replaces what it said before."""

    __tablename__ = "dividends"

    symbol: str = Field(primary_key=True)
    ex_date: date = Field(primary_key=True)
    amount: float
    source: str
    at: datetime = Field(sa_type=UtcDateTime)
    """When it was told, desk time."""


class MarketState(SQLModel, table=True):
    """Latest of one named number: VIX, VIX3M, VVIX, SPX, RECESSION, or `beta:AAPL`; with where it came from."""

    __tablename__ = "market_states"

    name: str = Field(primary_key=True)
    value: float | None = None
    previous_close: float | None = None
    source: str
    flag: str | None = None
    at: datetime = Field(sa_type=UtcDateTime)
    received_at: datetime = Field(sa_type=UtcDateTime)


class MarketStateHistory(SQLModel, table=True):
    """Append-only history of the above, thinned to one row a minute; feeds sparklines and closes."""

    __tablename__ = "market_state_history"
    __table_args__ = (Index("ix_market_state_history_name_at", "name", "at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    name: str
    value: float
    at: datetime = Field(sa_type=UtcDateTime)


class Subscription(SQLModel, table=True):
    """A wish for live quotes; the streams process alone turns wishes into lines. One row per contract and purpose."""

    __tablename__ = "subscriptions"
    __table_args__ = (UniqueConstraint("identity", "purpose"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    identity: str
    contract_json: dict[str, Any] = Field(sa_type=json_type())
    purpose: str
    """held, proposal, market or sample: the line budget is kept per purpose."""
    wanted_by: str
    until: datetime = Field(sa_type=UtcDateTime)


class Bar(SQLModel, table=True):
    """One price bar, unique per symbol, timeframe and start."""

    __tablename__ = "bars"
    __table_args__ = (UniqueConstraint("symbol", "timeframe", "at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    symbol: str
    timeframe: str
    at: datetime = Field(sa_type=UtcDateTime)
    open: float
    high: float
    low: float
    close: float
    volume: float | None = None
