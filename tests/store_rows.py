"""Rows as the desk writes them, for tests of the store: a put spread proposal, its check, an order, a quote."""

from datetime import date, datetime, timedelta
from typing import Any

from models.market import Quote
from models.order import Order
from models.proposed_trade import Check, ProposedTrade
from models.quant.option import Contract, Right, SecType
from models.quant.structure import Action, Leg, contract_to_json, legs_hash

ACCOUNT = "SIM1234567"


def put(strike: float) -> Contract:
    return Contract("SPX", SecType.OPTION, "SPXW", 100.0, date(2026, 12, 18), strike, Right.PUT)


def put_spread(high: float = 6000.0, low: float = 5900.0) -> tuple[Leg, ...]:
    return (Leg(put(high), Action.BUY), Leg(put(low), Action.SELL))


def proposal(now: datetime, **changes: Any) -> ProposedTrade:
    legs = changes.pop("legs", put_spread())
    values: dict[str, Any] = {
        "account_id": ACCOUNT,
        "strategy_name": "bear put spread",
        "legs_json": [leg.to_json() for leg in legs],
        "legs_hash": legs_hash(legs),
        "quantity": 2,
        "limit_price": 20.0,
        "worst_price": 20.5,
        "created_at": now,
        "expires_at": now + timedelta(minutes=5),
        "breach_set_id": "set-1",
        "walk": {"start": 20.0, "step": 0.1, "interval": 5, "max_age": 60},
    }
    return ProposedTrade(**{**values, **changes})


def check(now: datetime, proposed: int = 3) -> Check:
    return Check(
        account_id=ACCOUNT, at=now, regime="neutral_volatility", profile="desk", breaches=1, candidates=100,
        refused={"spread": 97}, proposed=proposed, seconds=0.5, sentence="one breach, three hedges",
        breach_set_id="set-1",
    )  # fmt: skip


def order(now: datetime, order_ref: str, status: str, **changes: Any) -> Order:
    legs = put_spread()
    values: dict[str, Any] = {
        "order_ref": order_ref,
        "account_id": ACCOUNT,
        "epoch": 1,
        "risk_family": "SPX",
        "legs_json": [leg.to_json() for leg in legs],
        "legs_hash": legs_hash(legs),
        "action": "BUY",
        "quantity": 3,
        "order_type": "LMT",
        "tif": "DAY",
        "status": status,
        "created_at": now,
    }
    return Order(**{**values, **changes})


def quote(strike: float, bid: float | None, ask: float | None, at: datetime, received_at: datetime) -> Quote:
    contract = put(strike)
    return Quote(
        identity=contract.identity, contract_json=contract_to_json(contract), bid=bid, ask=ask, source="real", at=at,
        received_at=received_at,
    )  # fmt: skip
