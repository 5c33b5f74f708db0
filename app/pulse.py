"""One look at the desk: everything the shell and the first lines of a page need, read together and then frozen."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from database.store import Store
from models.appetite import BreachRow
from models.book import PORTFOLIO, AccountSnapshot, PortfolioGreeks
from models.clock import DeskClock
from models.control import Alert, DeskRow, Heartbeat, LockRow, Switch, SwitchName
from models.market import MarketState
from models.order import Order
from models.proposed_trade import ProposedTrade

FIRST_HOURS = 2
"""How far back the first look at the day goes; from then on the cockpit remembers what it saw."""
SPARK_POINTS, LINE_POINTS = 60, 400


@dataclass(frozen=True)
class Pulse:
    """The desk at machine time `at` (and desk time `desk_at`); `latency` is how many seconds the read took."""

    at: datetime
    desk_at: datetime
    latency: float
    desk: DeskRow
    switches: Mapping[str, Switch]
    heartbeats: tuple[Heartbeat, ...]
    alerts: tuple[Alert, ...]
    locks: tuple[LockRow, ...]
    account: AccountSnapshot | None
    greeks: tuple[PortfolioGreeks, ...]
    pending: tuple[ProposedTrade, ...]
    working: tuple[Order, ...]
    market: Mapping[str, MarketState]
    breaches: tuple[BreachRow, ...] = ()

    @property
    def account_id(self) -> str | None:
        return self.desk.account_ids[0] if self.desk.account_ids else None

    @property
    def portfolio(self) -> PortfolioGreeks | None:
        return next((row for row in self.greeks if row.contract == PORTFOLIO), None)

    @property
    def positions(self) -> tuple[PortfolioGreeks, ...]:
        return tuple(row for row in self.greeks if row.contract != PORTFOLIO)

    @property
    def exposure(self) -> Mapping[str, Any]:
        """The PORTFOLIO row's document: `exposure`, `limits`, `use`, `regime`, `profile`; empty when unknown."""
        row = self.portfolio
        return (row.exposure or {}) if row else {}

    @property
    def halted(self) -> bool:
        return is_on(self.switches.get(SwitchName.HALT))

    @property
    def paused(self) -> bool:
        return is_on(self.switches.get(SwitchName.PAUSE))

    @property
    def open_cards(self) -> tuple[ProposedTrade, ...]:
        """Pending, in time and not asleep."""
        return tuple(p for p in self.pending if p.snoozed_until is None or p.snoozed_until <= self.at)


def is_on(switch: Switch | None) -> bool:
    """Anything but the word off is on, and so is a switch that cannot be read: doubt halts."""
    return switch is None or switch.value != "off"


async def read_pulse(store: Store, now: datetime) -> Pulse:
    """Read the desk. Raises DatabaseError; nothing in it is guessed."""
    began = time.perf_counter()
    control = store.control
    desk = await control.desk()
    account_id = desk.account_ids[0] if desk.account_ids else None
    switches, heartbeats, alerts, locks, account, greeks, pending, working, market, breaches = await asyncio.gather(
        control.switches(),
        control.heartbeats(),
        control.alerts(),
        control.locks(account_id),
        store.book.latest_account(account_id),
        store.book.latest_greeks(account_id),
        store.proposals.pending(account_id, now, snoozed=True),
        store.orders.working(account_id),
        store.market.states(),
        store.appetite.open_breaches(account_id),
    )
    return Pulse(
        at=now,
        desk_at=_desk_time(desk, now),
        latency=time.perf_counter() - began,
        desk=desk,
        switches=switches,
        heartbeats=tuple(heartbeats),
        alerts=tuple(alerts),
        locks=tuple(locks),
        account=account,
        greeks=tuple(greeks),
        pending=tuple(pending),
        working=tuple(working),
        market=market,
        breaches=tuple(breaches),
    )


def _desk_time(desk: DeskRow, now: datetime) -> datetime:
    if desk.clock_machine_at is None or desk.clock_desk_at is None:
        return now
    return DeskClock(desk.clock_machine_at, desk.clock_desk_at, desk.clock_rate).at(now)


Points = tuple[tuple[datetime, float], ...]


@dataclass(frozen=True)
class History:
    """The day so far, thinned: (desk time, value) per measure, oldest first; `until` is the machine time it reaches."""

    lines: Mapping[str, Points] = field(default_factory=dict)
    until: datetime | None = None

    def values(self, name: str) -> tuple[float, ...]:
        """At most SPARK_POINTS values, the newest among them."""
        line = self.lines.get(name, ())
        if len(line) <= SPARK_POINTS:
            return tuple(value for _, value in line)
        step = (len(line) - 1) / (SPARK_POINTS - 1)
        return tuple(line[round(i * step)][1] for i in range(SPARK_POINTS))


_ACCOUNT_LINES = ("net_liquidation", "day_pnl", "excess_liquidity")
_GREEK_LINES = ("spx_delta", "theta", "vega_weighted", "gamma")


async def read_history(store: Store, now: datetime, known: History) -> History:
    """`known` continued to `now`: only what was written since is read, the first time the last FIRST_HOURS."""
    desk = await store.control.desk()
    if not desk.account_ids:
        return known
    account, since = desk.account_ids[0], known.until or now - timedelta(hours=FIRST_HOURS)
    accounts, greeks = await asyncio.gather(
        store.book.account_history(account, since), store.book.portfolio_history(account, since)
    )
    fresh = {name: _points(accounts, name, since) for name in _ACCOUNT_LINES}
    fresh |= {name: _points(greeks, name, since) for name in _GREEK_LINES}
    lines = {name: _thinned((*known.lines.get(name, ()), *points)) for name, points in fresh.items()}
    return History(lines, max([since, *(row.at for row in (*accounts, *greeks))]))


def _points(rows: Sequence[Any], name: str, since: datetime) -> Points:
    return tuple(
        (row.desk_at, float(value)) for row in rows if row.at > since and (value := getattr(row, name)) is not None
    )


def _thinned(line: Points) -> Points:
    """Every second of the older points is dropped when there are too many; the newest stays."""
    while len(line) > LINE_POINTS:
        line = (*line[:-1][::2], line[-1])
    return line
