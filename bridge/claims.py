"""What a claim takes and what it leaves: the approval, the intent with its random reference, the book before it."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.order import Order
from models.proposed_trade import Approval, ProposedTrade
from models.quant.lifecycle import Instruction
from models.quant.option import Contract
from models.quant.product import Toward, is_spx_family, product_of, round_to_tick
from models.quant.structure import Leg

BRIDGE = "bridge"


def family_of(contract: Contract) -> str:
    """What an uncertainty about this contract blocks: SPX for the SPX family, else the underlying."""
    return "SPX" if is_spx_family(contract) else contract.symbol


@dataclass(frozen=True)
class Claim:
    """An approval taken by this life of the bridge: the intent it became, or why there is none."""

    approval: Approval
    proposal: ProposedTrade | None
    order: Order | None
    legs: tuple[Leg, ...] = ()
    refusal: str | None = None


@dataclass(frozen=True)
class Before:
    """The book at the claim, for the journal: greeks, open breaches, and the ticket's mid (debit positive)."""

    greeks: dict[str, Any]
    breaches: list[dict[str, Any]]
    mid: float | None


@dataclass(frozen=True)
class Step:
    """What a word of the broker did to an order: the row after it, and whether anything changed."""

    order: Order
    changed: bool
    illegal: str | None = None


def new_reference() -> str:
    """128 random bits: the one link between our row and the broker's order that survives every failure."""
    return secrets.token_hex(16)


def on_tick(legs: Sequence[Leg], limit: float) -> float:
    """A limit (debit positive) on the ticket's price grid, rounded towards the desk."""
    product = product_of(legs[0].contract)
    tick = product.combo_tick if len(legs) > 1 else product.tick(limit)
    return round_to_tick(limit, tick, Toward.DOWN)


def intent(approval: Approval, legs: tuple[Leg, ...], before: Before, order_ref: str, now: datetime) -> Order:
    """The complete order exactly as it will leave, written before anything does."""
    return Order(
        order_ref=order_ref,
        proposal_id=approval.proposal_id,
        approval_id=approval.id,
        account_id=approval.account_id,
        epoch=approval.epoch,
        risk_family=family_of(legs[0].contract),
        legs_json=[leg.to_json() for leg in legs],
        legs_hash=approval.legs_hash,
        action=approval.action,
        quantity=approval.quantity,
        order_type="LMT",
        limit_price=on_tick(legs, min(approval.limit_price, approval.worst_price)),
        worst_price=approval.worst_price,
        tif="DAY",
        status=Instruction.INTENDED,
        mid_at_approval=before.mid,
        created_at=now,
    )
