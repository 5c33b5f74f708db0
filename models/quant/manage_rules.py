"""When what is held should be closed, as frozen values: one type per rule, each with its own switch and numbers.

Every number comes from `[manage]` of `risk_regimes.toml`; `management` applies the rules, `gap` the last of them.
"""

from dataclasses import dataclass, field
from typing import Any


def _switch() -> Any:
    return field(metadata={"kind": "flag"})


def _number(low: float, high: float | None = None) -> Any:
    return field(metadata={"low": low, "high": high})


@dataclass(frozen=True, kw_only=True)
class ProfitRule:
    """Short premium that has earned at least `share` of the most it can."""

    on: bool = _switch()
    share: float = _number(0, 1)


@dataclass(frozen=True, kw_only=True)
class DaysRule:
    """Short premium with at most `dte` calendar days left."""

    on: bool = _switch()
    dte: int = _number(0)


@dataclass(frozen=True, kw_only=True)
class LossRule:
    """Short premium that has lost at least `credit_multiple` times the credit received."""

    on: bool = _switch()
    credit_multiple: float = _number(0)


@dataclass(frozen=True, kw_only=True)
class TestedRule:
    """The side of short premium whose short strike the underlying has touched, or whose delta is at least `delta`."""

    on: bool = _switch()
    delta: float = _number(0, 1)


@dataclass(frozen=True, kw_only=True)
class NearExpiryRule:
    """Any short within `sigmas` standard deviations of the underlying, or through it, with at most the last of
    `sessions` left; from the first of them on it is urgent and tells the person."""

    on: bool = _switch()
    sessions: tuple[float, ...] = field(metadata={"kind": "numbers", "low": 0})
    sigmas: float = _number(0)


@dataclass(frozen=True, kw_only=True)
class ExDateRule:
    """A short American call in the money whose extrinsic value is below the dividend, on the eve of the ex-date."""

    on: bool = _switch()


@dataclass(frozen=True, kw_only=True)
class GapRule:
    """The look over the night or the weekend, `minutes_before_close`: what a jump of SPX would cost by the next open.

    `usual` and `severe` are jumps either way as fractions, `vol_points` the moves of 30-day volatility beside them.
    """

    on: bool = _switch()
    minutes_before_close: float = _number(0)
    usual: float = _number(0, 1)
    severe: float = _number(0, 1)
    vol_points: tuple[float, ...] = field(metadata={"kind": "numbers"})


@dataclass(frozen=True, kw_only=True)
class ManageRules:
    """Every rule of management, how long a proposal of it lives, and by how much its measure must move to be news."""

    life_minutes: float = _number(0)
    material: float = _number(0)
    profit: ProfitRule = field(metadata={"kind": "table"})
    days_left: DaysRule = field(metadata={"kind": "table"})
    loss: LossRule = field(metadata={"kind": "table"})
    tested: TestedRule = field(metadata={"kind": "table"})
    near_expiry: NearExpiryRule = field(metadata={"kind": "table"})
    ex_date: ExDateRule = field(metadata={"kind": "table"})
    gap: GapRule = field(metadata={"kind": "table"})
