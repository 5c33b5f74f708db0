"""How the processes meet: the desk's identity, switches, leases, heartbeats, locks, requests, alerts and the audit."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel

from models.columns import UtcDateTime, id_type, json_type


class DeskRow(SQLModel, table=True):
    """One row, written at first open: one database is one mode, its accounts, its venue and its epoch."""

    __tablename__ = "desk"

    id: int = Field(default=1, primary_key=True)
    mode: str
    account_ids: list[str] = Field(default_factory=list, sa_type=json_type())
    venue_id: str | None = None
    epoch: int = 1
    created_at: datetime = Field(sa_type=UtcDateTime)
    clock_machine_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    clock_desk_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    clock_rate: float = 1.0


class SwitchName(StrEnum):
    """Desk-wide switches. Agents have their own, named `agent:<name>` with go, pause or stop."""

    HALT = "halt"  # on | off
    PAUSE = "pause"  # on | off: no new risk, reducing trades still go


class Switch(SQLModel, table=True):
    """A persisted switch. `acknowledged_at` is when the bridge first acted on this setting (machine time)."""

    __tablename__ = "switches"

    name: str = Field(primary_key=True)
    value: str
    set_by: str
    reason: str = ""
    set_at: datetime = Field(sa_type=UtcDateTime)
    acknowledged_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


STAFF_LEASE = "staff"
"""Held while a staff makes itself ready, before its agents hold leases of their own."""


class Lease(SQLModel, table=True):
    """Who may do a job, until when (machine time); the claim row of leader election on both databases."""

    __tablename__ = "leases"

    job: str = Field(primary_key=True)
    holder: str
    slot: int = 0
    until: datetime = Field(sa_type=UtcDateTime)


class Heartbeat(SQLModel, table=True):
    """Last word of each agent: the sentence of its last pass, or the error that ended it."""

    __tablename__ = "heartbeats"

    agent: str = Field(primary_key=True)
    state: str
    """ok, failed, paused, stopped or starting."""
    sentence: str
    at: datetime = Field(sa_type=UtcDateTime)
    next_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    seconds: float | None = None
    rows: int | None = None
    host: str = ""
    pid: int = 0
    detail: dict[str, Any] | None = Field(default=None, sa_type=json_type())


class LockRow(SQLModel, table=True):
    """A risk family that may take no new risk until somebody or something explains; freed, never deleted."""

    __tablename__ = "locks"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    account_id: str
    family: str = Field(index=True)
    reason: str
    since: datetime = Field(sa_type=UtcDateTime)
    freed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    freed_because: str | None = None


class RequestKind(StrEnum):
    """The only things a cockpit or thinker may ask the bridge or an agent for."""

    WHAT_IF = "what_if"
    RUN_NOW = "run_now"
    CANCEL = "cancel"
    REPLACE = "replace"
    FLATTEN = "flatten"
    DOCTOR = "doctor"
    TEST_NOTIFICATION = "test_notification"
    HAND_TICKET = "hand_ticket"


class RequestStatus(StrEnum):
    ASKED = "asked"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"


class Request(SQLModel, table=True):
    """An ask with a deadline (machine time), claimed once, answered in `result`."""

    __tablename__ = "requests"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    kind: str = Field(index=True)
    target: str = "bridge"
    """Who answers: bridge, or an agent's name for run_now and hand_ticket."""
    payload: dict[str, Any] = Field(sa_type=json_type())
    by: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    deadline: datetime = Field(sa_type=UtcDateTime)
    claimed_by: str | None = None
    claimed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    status: str = Field(default=RequestStatus.ASKED, index=True)
    result: dict[str, Any] | None = Field(default=None, sa_type=json_type())
    signature: str = ""


class Alert(SQLModel, table=True):
    """One cause, one row: counted, acknowledged, silenced. state pending, firing, recovering or normal."""

    __tablename__ = "alerts"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    cause: str = Field(unique=True)
    severity: str
    state: str
    title: str
    body: str = ""
    source: str = ""
    count: int = 1
    first_seen: datetime = Field(sa_type=UtcDateTime)
    last_seen: datetime = Field(sa_type=UtcDateTime)
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    silenced_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ApiLog(SQLModel, table=True):
    """One exchange with a counterparty: what was asked, how long it took, how it ended. Never a secret, ids masked."""

    __tablename__ = "api_logs"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    at: datetime = Field(index=True, sa_type=UtcDateTime)
    counterparty: str
    call: str
    outcome: str
    code: int | None = None
    text: str = ""
    milliseconds: float | None = None


class AuditEntry(SQLModel, table=True):
    """A link of the keyed hash chain: who did what when. `digest` = HMAC(previous digest + this entry)."""

    __tablename__ = "audit_log"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    at: datetime = Field(sa_type=UtcDateTime)
    who: str
    what: str
    subject: str
    detail: dict[str, Any] = Field(default_factory=dict, sa_type=json_type())
    previous: str
    digest: str = Field(unique=True)


class AuditHead(SQLModel, table=True):
    """The one row that is locked to append to the chain; it says how long the chain is and where it ends."""

    __tablename__ = "audit_head"

    id: int = Field(default=1, primary_key=True)
    entries: int = 0
    digest: str
