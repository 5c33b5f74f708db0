"""Column types that lose nothing on SQLite or Postgres: aware UTC, exact money, JSON documents, wide ids.

SQLite's driver returns naive datetimes and rounds NUMERIC through floats; both are refused here rather than mended
later (measured: 123456789012345678.123456 came back as …680.000000).
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, Numeric
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

MONEY_PRECISION, MONEY_SCALE = 20, 6
_UNIT = Decimal(1).scaleb(-MONEY_SCALE)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC moment; a naive one is refused with ValueError."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value.isoformat()} in a UTC column; pass an aware one")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def __repr__(self) -> str:
        return "UtcDateTime()"


class Money(TypeDecorator[Decimal]):
    """Exact currency: NUMERIC(20,6) on Postgres, an integer of millionths on SQLite. Refuses NaN and infinity."""

    impl = Numeric(MONEY_PRECISION, MONEY_SCALE)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(MONEY_PRECISION, MONEY_SCALE))

    def process_bind_param(self, value: Decimal | float | int | None, dialect: Dialect) -> Decimal | int | None:
        if value is None:
            return None
        exact = value if isinstance(value, Decimal) else Decimal(str(value))
        if not exact.is_finite():
            raise ValueError(f"money must be finite, got {value}")
        exact = exact.quantize(_UNIT)
        return int(exact.scaleb(MONEY_SCALE)) if dialect.name == "sqlite" else exact

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return Decimal(int(value)).scaleb(-MONEY_SCALE)
        return Decimal(value)

    def __repr__(self) -> str:
        return "Money()"


def json_type() -> TypeEngine[Any]:
    """JSONB on Postgres, JSON on SQLite. Reassign to change: in-place mutation is not saved."""
    return JSON().with_variant(JSONB(), "postgresql")


def id_type() -> TypeEngine[Any]:
    """A 64-bit identity that SQLite also counts up by itself."""
    return BigInteger().with_variant(Integer(), "sqlite")
