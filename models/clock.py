"""Desk time from machine time: the broker's clock in DEMO, UTC elsewhere.

Desk time dates quotes, expiry and market hours; machine time dates leases, heartbeats and audit rows.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class DeskClock:
    """Anchored at one moment: desk time = desk_at + rate x (machine now - machine_at). rate 0 stands still."""

    machine_at: datetime
    desk_at: datetime
    rate: float = 1.0

    def at(self, machine_now: datetime) -> datetime:
        return self.desk_at + (machine_now - self.machine_at) * self.rate

    @staticmethod
    def utc(machine_now: datetime) -> "DeskClock":
        return DeskClock(machine_now, machine_now, 1.0)

    def drift_seconds(self, machine_now: datetime) -> float:
        """How far desk time is from UTC; over 2 s alarms in PAPER and LIVE."""
        return (self.at(machine_now) - machine_now).total_seconds()
