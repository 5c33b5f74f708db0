"""The broker's word on margin: what-ifs asked through the bridge, with a deadline, for the best hedges."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from agents.proposer_engine import in_words
from models.control import RequestKind, RequestStatus
from models.order import WhatIf
from models.quant.gates import refusal
from models.quant.proposing import Candidate, MarginEffect, Scene, top_three, with_margin
from models.quant.structure import legs_hash

if TYPE_CHECKING:
    from agents.desk import Desk

BY = "trade_proposer"
MOST_ROUNDS = 3  # each of at most three what-ifs, which the bridge asks side by side


async def previewed(
    desk: "Desk", account_id: str, candidates: Sequence[Candidate], scene: Scene
) -> tuple[tuple[Candidate, ...], list[tuple[str, str]]]:
    """The top three with the broker's margin, and (who, why) it refused; where it gives none the estimate stands."""
    pool, judged, refused = list(candidates), set[str](), list[tuple[str, str]]()
    for _ in range(MOST_ROUNDS):
        asking = [c for c in top_three(pool, scene) if key_of(c) not in judged]
        if not asking:
            break
        effects = await asyncio.gather(*(what_if(desk, account_id, candidate) for candidate in asking))
        for candidate, effect in zip(asking, effects, strict=True):
            judged.add(key_of(candidate))
            both = replace(effect, estimate=candidate.margin) if effect else None
            answered = with_margin(candidate, both, scene) if both else candidate
            pool = [answered if key_of(one) == key_of(candidate) else one for one in pool]
            reason = refusal(answered.checks)
            if reason:
                refused.append((in_words(candidate), reason))
                pool = [one for one in pool if key_of(one) != key_of(candidate)]
    return top_three([c for c in pool if key_of(c) in judged], scene), refused


def key_of(candidate: Candidate) -> str:
    return f"{legs_hash(candidate.legs)} × {candidate.quantity}"


async def what_if(desk: "Desk", account_id: str, candidate: Candidate) -> MarginEffect | None:
    """The broker's margin effect of the whole trade; None when it gave none in time or left a number out."""
    row = await preview(desk, account_id, candidate)
    if row is None or row.failure is not None or row.init_margin_change is None or row.equity_change is None:
        return None
    maintenance = row.maint_margin_change
    return MarginEffect(
        initial=float(row.init_margin_change),
        maintenance=None if maintenance is None else float(maintenance),
        equity=float(row.equity_change),
        source="broker",
        at=row.at,
    )


async def preview(desk: "Desk", account_id: str, candidate: Candidate) -> WhatIf | None:
    """Ask the bridge and read what it recorded since; None when nobody answered before the deadline."""
    control, asked = desk.store.control, desk.machine_now()
    deadline = asked + timedelta(seconds=2 * desk.settings.what_if_deadline)  # what an open card asks may be before it
    payload = {
        "account_id": account_id,
        "legs": [leg.to_json() for leg in candidate.legs],
        "quantity": candidate.quantity,
        "limit_price": candidate.limit_price,
    }
    number = await control.ask(RequestKind.WHAT_IF, payload, BY, asked, deadline)
    if (await control.await_answer(number, deadline)).status != RequestStatus.DONE:
        return None
    row = await desk.store.orders.latest_what_if(legs_hash(candidate.legs), candidate.quantity)
    return row if row is not None and row.at >= asked else None


async def margins_under(desk: "Desk", ids: Sequence[int], chosen: Sequence[Candidate]) -> None:
    """Keep each preview under its proposal's number too, so that its card opens with it."""
    for number, candidate in zip(ids, chosen, strict=True):
        row = await desk.store.orders.latest_what_if(legs_hash(candidate.legs), candidate.quantity)
        if row is not None and row.proposal_id is None and candidate.margin and candidate.margin.source == "broker":
            await desk.store.orders.add_what_if(WhatIf(**{**row.model_dump(exclude={"id"}), "proposal_id": number}))
