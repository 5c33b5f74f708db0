"""A trade the desk proposes, and the signed word that lets it cross.

Lifecycle of the decision: Pending → Approved | Rejected | Superseded | Expired (models.quant.lifecycle).
"""

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from models.columns import Money, UtcDateTime, id_type, json_type


class ProposalStatus(StrEnum):
    PENDING = "Pending"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    SUPERSEDED = "Superseded"
    EXPIRED = "Expired"


class Origin(StrEnum):
    """Who thought of it. MOCK rows can never be approved."""

    HEDGE = "hedge"
    MANAGE = "manage"
    IDEA = "idea"
    HAND = "hand"
    MOCK = "mock"


class MarginSource(StrEnum):
    BROKER = "broker"
    ESTIMATE = "estimate"
    UNKNOWN = "unknown"


class ProposedTrade(SQLModel, table=True):
    """One ticket awaiting a decision. Prices are debit positive, `net_premium` credit positive, NULL is unknown."""

    __tablename__ = "proposed_trades"
    __table_args__ = (Index("ix_proposed_trades_account_status", "account_id", "status"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    account_id: str
    strategy_name: str
    legs_json: list[dict[str, Any]] = Field(sa_type=json_type())
    legs_hash: str
    quantity: int
    limit_price: float
    worst_price: float
    walk: dict[str, Any] | None = Field(default=None, sa_type=json_type())
    net_premium: Decimal | None = Field(default=None, sa_type=Money)
    init_margin_impact: Decimal | None = Field(default=None, sa_type=Money)
    maint_margin_impact: Decimal | None = Field(default=None, sa_type=Money)
    margin_impact: Decimal | None = Field(default=None, sa_type=Money)
    margin_source: str = MarginSource.UNKNOWN
    efficiency_score: float | None = None
    delta_reduction: float | None = None
    vega_reduction: float | None = None
    status: str = Field(default=ProposalStatus.PENDING, index=True)
    origin: str = Origin.HEDGE
    justification: str = ""
    breach_set_id: str | None = Field(default=None, index=True)
    snapshot_id: str | None = None
    regime: str | None = None
    profile: str | None = None
    optimum_gap: float | None = None
    scores: dict[str, Any] | None = Field(default=None, sa_type=json_type())
    """Numbers the card shows: `rank`, `cost`, `cure`, `before`/`change`/`after` per measure, `checks`, `worst_cell`,
    `asked` (the size before overrides cut it), `manage` (what a rule of management found: its `title` and facts)."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    snoozed_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    decided_by: str | None = None
    decision_reason: str | None = None


def asked_of(proposal: ProposedTrade) -> int:
    """The size that was found or typed, before overrides cut it to the proposal's quantity."""
    said = (proposal.scores or {}).get("asked")
    return said if isinstance(said, int) and not isinstance(said, bool) else proposal.quantity


def origin_words(proposal: ProposedTrade) -> str:
    """Who thought of it and, of a management proposal, why: `hedge`, `manage: 21 days left`."""
    said = (proposal.scores or {}).get("manage")
    title = said.get("title") if isinstance(said, dict) else None
    return f"{proposal.origin}: {title}" if title else str(proposal.origin)


@dataclass(frozen=True)
class ApprovalStatement:
    """What a person signs: everything the bridge may do for them, and until when (machine time)."""

    proposal_id: int
    legs_hash: str
    action: str
    quantity: int
    limit_price: float
    worst_price: float
    walk: dict[str, Any] | None
    account_id: str
    mode: str
    epoch: int
    decided_by: str
    decided_at: datetime
    good_until: datetime

    def canonical(self) -> bytes:
        """One spelling for one statement: sorted keys, decimal strings, ISO moments."""
        body = {key: _plain(value) for key, value in asdict(self).items()}
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()

    def sign(self, key: bytes) -> str:
        return hmac.new(key, self.canonical(), hashlib.sha256).hexdigest()

    def verify(self, key: bytes, signature: str) -> bool:
        return hmac.compare_digest(self.sign(key), signature)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        return repr(float(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in sorted(value.items())}
    return str(value)


class Approval(SQLModel, table=True):
    """A signed statement; append only. One per proposal: the unique column is the exactly-once of the decision."""

    __tablename__ = "approvals"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    proposal_id: int = Field(unique=True, sa_type=id_type())
    account_id: str
    mode: str
    epoch: int
    legs_hash: str
    action: str
    quantity: int
    limit_price: float
    worst_price: float
    walk: dict[str, Any] | None = Field(default=None, sa_type=json_type())
    decided_by: str
    decided_at: datetime = Field(sa_type=UtcDateTime)
    good_until: datetime = Field(sa_type=UtcDateTime)
    signature: str
    claimed_by: str | None = None
    claimed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    refused_reason: str | None = None

    def statement(self) -> ApprovalStatement:
        return ApprovalStatement(
            proposal_id=self.proposal_id,
            legs_hash=self.legs_hash,
            action=self.action,
            quantity=self.quantity,
            limit_price=self.limit_price,
            worst_price=self.worst_price,
            walk=self.walk,
            account_id=self.account_id,
            mode=self.mode,
            epoch=self.epoch,
            decided_by=self.decided_by,
            decided_at=self.decided_at,
            good_until=self.good_until,
        )


class Check(SQLModel, table=True):
    """One completed proposer pass: what was looked at, what was refused and why. Empty inboxes quote it."""

    __tablename__ = "checks"

    id: int | None = Field(default=None, primary_key=True, sa_type=id_type())
    account_id: str = Field(index=True)
    at: datetime = Field(sa_type=UtcDateTime)
    desk_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    regime: str
    profile: str
    breaches: int
    candidates: int
    refused: dict[str, Any] = Field(default_factory=dict, sa_type=json_type())
    """Reason → count, plus `example`: the best refused candidate with its reason in words."""
    proposed: int
    seconds: float
    sentence: str
    breach_set_id: str | None = None
