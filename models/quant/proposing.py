"""From a breach to the best three hedges: generate, screen, weigh, rank; and the same again on real quotes.

`propose` looks at the whole modelled chain; `requote` judges what it found on the legs' real quotes; `with_margin` puts
the broker's what-if in; `top_three` picks alternatives that differ. All of it is pure: one Scene in, one answer out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from models.quant.aftermath import closable, columns_of, legs_room, scene_room
from models.quant.breach import Breach, BreachKind, detect_breaches
from models.quant.candidate import Candidate, MarginEffect, MarginOf, Scene, Unfit
from models.quant.candidates import generate
from models.quant.gates import GateFacts, QuoteFact, Stage, Verdict, ask_gates, refusal
from models.quant.limits import REDUCING
from models.quant.option import SecType
from models.quant.regime_rules import Family, Regime
from models.quant.room import STRESS, Room
from models.quant.scoring import fees, half_spreads, order_by_merit, too_alike
from models.quant.screening import Prices, Refusals, Sized, screen, size
from models.quant.structure import Action
from models.quant.tickets import FAMILIES, Tickets, ticket_block
from models.quant.weighing import fitted_points, weigh, with_margin

__all__ = [
    "Candidate", "MarginEffect", "MarginOf", "Proposals", "Refusals", "Scene", "legs_room", "propose", "rank",
    "requote", "top_three", "with_margin",
]  # fmt: skip

TRIES = 60  # exact valuations at most in one pass
PER_FAMILY = 3  # kept of one family before re-quoting
FAILURES = 8  # of one family in a row of merit: its next ones fail for the same reason


@dataclass(frozen=True)
class Proposals:
    """One pass: the breaches it answers, the hedges best first, and what was refused. `looked_at` counts tickets."""

    breaches: tuple[Breach, ...]
    ranked: tuple[Candidate, ...]
    refusals: Refusals
    looked_at: int
    sentence: str

    @property
    def top(self) -> tuple[Candidate, ...]:
        return self.ranked[:3]


def propose(scene: Scene, keep: int = 12) -> Proposals:
    """The best hedges of everything that could be traded, on the scene's prices, at most `keep`, best first.

    Caps are cured; a theta shortfall alone is answered with premium only where the rules say so. Nothing is proposed
    while the limits are unknown.
    """
    refusals = Refusals()
    breaches = detect_breaches(scene.exposure, scene.limits, scene.smallest_lot)
    if not scene.limits.known:
        return Proposals((), (), refusals, 0, f"Nothing proposed: {', '.join(scene.limits.missing)}.")
    room = _room_to_cure(scene, breaches)
    if room is None:
        return Proposals(breaches, (), refusals, 0, _nothing_to_do(breaches))
    prices = _prices_of(scene)
    tickets = generate(scene.vectors, closable(scene.held, scene.in_flight), scene.hedges, _families(scene))
    found = screen(tickets, prices, room, scene.hedges, refusals, _close_share(breaches, room))
    ranked = _weigh_best(scene, found, prices, refusals, keep)
    return Proposals(breaches, ranked, refusals, len(tickets), _verdict(breaches, ranked, len(tickets), refusals))


def requote(scene: Scene, candidate: Candidate, quotes: Mapping[str, QuoteFact], desk_now: datetime) -> Candidate | str:
    """The candidate judged again on real quotes: sized, priced and gated anew, or the reason why it is refused.

    `scene.vectors` must carry the real quotes of the legs; `quotes` are the same quotes as facts, by identity.
    """
    index = scene.vectors.index
    missing = [leg.contract for leg in candidate.legs if leg.contract.identity not in index]
    if missing:
        return f"{missing[0]} is no longer in the chain"
    facts = tuple(
        replace(quotes[leg.contract.identity], fitted=fit)
        for leg, fit in zip(candidate.legs, candidate.fitted, strict=True)
        if leg.contract.identity in quotes
    )
    if len(facts) < len(candidate.legs):
        return "a leg has no quote"
    gates = ask_gates(
        GateFacts(
            stage=Stage.PROPOSAL, rules=scene.gates, machine_now=desk_now, desk_now=desk_now, quotes=facts,
            quantity=candidate.quantity,
        )
    )  # fmt: skip
    asked = tuple(v for v in gates if v.gate in ("quotes", "quote age", "spread", "surface"))
    reason = refusal(asked)
    if reason:
        return reason
    return _again(scene, candidate, asked)


def _again(scene: Scene, candidate: Candidate, asked: tuple[Verdict, ...]) -> Candidate | str:
    breaches = detect_breaches(scene.exposure, scene.limits, scene.smallest_lot)
    room = _room_to_cure(scene, breaches)
    if room is None:
        return "there is no breach left to cure"
    refusals = Refusals()
    prices = _prices_of(scene)
    share = _close_share(breaches, room)
    sized = size(_ticket_of(scene, candidate), prices, room, scene.hedges, refusals, share)
    if not len(sized.tickets):
        return next(iter(refusals.counts), "it helps no breach any more")
    try:
        found = weigh(scene, sized.tickets, 0, int(sized.quantity[0]), prices)
    except Unfit as reason:
        return str(reason)
    blocked = refusal(found.checks) or ("it helps no breach any more" if found.cure <= 0 else None)
    return blocked or replace(found, fitted=candidate.fitted, checks=(*asked, *found.checks))


def top_three(candidates: Sequence[Candidate], scene: Scene, count: int = 3) -> tuple[Candidate, ...]:
    """The best that differ: another family, or a cosine of (delta, gamma, vega, stress) below the rule's."""
    chosen: list[Candidate] = []
    for candidate in rank(candidates):
        alike = (
            one for one in chosen
            if one.family is candidate.family and too_alike(one.vector, candidate.vector, scene.hedges.different_cosine)
        )  # fmt: skip
        if next(alike, None) is None:
            chosen.append(candidate)
        if len(chosen) == count:
            break
    return tuple(replace(candidate, rank=place) for place, candidate in enumerate(chosen, 1))


def rank(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Full cures first, then cost per unit of cure, ties by the smaller worst stress loss."""
    if not candidates:
        return ()
    order = order_by_merit(
        np.array([c.full for c in candidates]),
        np.array([c.cost.total for c in candidates]),
        np.array([c.cure for c in candidates]),
        np.array([-(c.after["stress_worst"] or 0.0) for c in candidates]),
    )
    return tuple(replace(candidates[i], rank=place) for place, i in enumerate(order, 1))


# ── the steps of a pass ─────────────────────────────────────────────────────────────────────────────────────────
def _room_to_cure(scene: Scene, breaches: Sequence[Breach]) -> Room | None:
    """The room when there is something to cure: a broken cap, or a theta shortfall alone outside an unknown regime."""
    if any(b.is_cap for b in breaches):
        return scene_room(scene)
    short = any(b.kind is BreachKind.THETA for b in breaches)
    answered = short and scene.hedges.answer_theta and scene.limits.regime is not Regime.UNKNOWN
    return scene_room(scene, theta_too=True) if answered else None


def _close_share(breaches: Sequence[Breach], room: Room) -> float:
    """The largest part of its value by which a cap without a row in the room is over its limit; 0 when none is."""
    over = [abs(b.distance / b.value) for b in breaches if b.is_cap and b.kind not in room.kinds and b.value]
    return max(over, default=0.0)


def _families(scene: Scene) -> tuple[Family, ...]:
    return REDUCING if scene.limits.regime is Regime.UNKNOWN else scene.limits.families


def _prices_of(scene: Scene) -> Prices:
    v = scene.vectors
    buying, selling = half_spreads(v, fitted_points(scene), scene.hedges)
    can_close = closable(scene.held, scene.in_flight)
    return Prices(
        measures=columns_of(v, scene.limits),
        value=v.value,
        theta=v.theta,
        buying=buying,
        selling=selling,
        fee=fees(v, scene.hedges),
        notional=np.where(v.is_option, v.spot * v.multiplier, 0.0),
        held=np.array([can_close.get(c.identity, 0.0) for c in v.contracts]),
        is_call=v.is_call,
        is_share=np.array([c.sec_type is SecType.STOCK for c in v.contracts], dtype=bool),
    )


def _weigh_best(scene: Scene, found: Sized, prices: Prices, refusals: Refusals, keep: int) -> tuple[Candidate, ...]:
    """Exact valuation of the best, in order of merit, a few of each family, until `keep` stand."""
    kept: list[Candidate] = []
    per_family: Counter[int] = Counter()
    failed: Counter[int] = Counter()
    merit = _merit(scene, found, prices)
    closing = found.tickets.family[merit] == FAMILIES.index(Family.CLOSE)
    # closings first: giving back what the book holds is always an alternative, whatever else is cheaper
    for row in (*merit[closing], *merit[~closing]):
        code = int(found.tickets.family[row])
        if len(kept) == keep or per_family.total() + failed.total() == TRIES:
            break
        if per_family[code] >= PER_FAMILY or failed[code] >= FAILURES:
            continue
        try:
            candidate = weigh(scene, found.tickets, int(row), int(found.quantity[row]), prices)
        except Unfit as unfit:
            _refuse(refusals, scene, found, int(row), unfit.reason, str(unfit))
            failed[code] += 1
            continue
        blocked = refusal(candidate.checks)
        if blocked:
            _refuse(refusals, scene, found, int(row), blocked.split(":")[0], blocked)
            failed[code] += 1
            continue
        if candidate.cure <= 0:
            refusals.add("would not make the breaches smaller")
            failed[code] += 1
            continue
        kept.append(candidate)
        per_family[code] += 1
    return rank(kept)


def _refuse(refusals: Refusals, scene: Scene, found: Sized, row: int, reason: str, words: str) -> None:
    """Counts it, and keeps the first, which is the best refused one, as the example."""
    refusals.add(reason)
    if refusals.example is None:
        family = FAMILIES[int(found.tickets.family[row])].value.replace("_", " ")
        legs = [scene.vectors.contracts[i] for i in found.tickets.legs[row] if i >= 0]
        refusals.example = f"{family} × {found.quantity[row]:.0f} on {', '.join(map(str, legs))}: {words}"


def _merit(scene: Scene, found: Sized, prices: Prices) -> NDArray[np.int64]:
    """Best first, with the worst cell of the book after each as the tie-break; the same price twice is kept once."""
    if not len(found.tickets):
        return np.zeros(0, dtype=np.int64)
    if scene.exposure.stress is None:
        worst = np.zeros(len(found.tickets))
    else:
        grid = found.tickets.add_up(prices.measures[:, STRESS]) * found.quantity[:, None]
        worst = (np.asarray(scene.exposure.stress)[None, :] + grid).min(axis=1)
    return order_by_merit(found.full, found.cost, found.cure, worst)


def _ticket_of(scene: Scene, candidate: Candidate) -> Tickets:
    """The candidate's legs as a ticket on the rows of the scene's vectors."""
    rows = [np.array([scene.vectors.index[leg.contract.identity]]) for leg in candidate.legs]
    ratios = [leg.signed_ratio for leg in candidate.legs]
    most = None
    if candidate.closes or candidate.family is Family.ROLL:
        can = closable(scene.held, scene.in_flight)
        limits = [
            abs(can.get(leg.contract.identity, 0.0)) // leg.ratio
            for leg in candidate.legs
            if candidate.closes or leg.action is Action.BUY
        ]
        most = np.array([min(limits)], dtype=np.int64)
    return ticket_block(candidate.family, rows, ratios, most, candidate.closes)


def _nothing_to_do(breaches: Sequence[Breach]) -> str:
    if breaches:
        return "Only the theta target is missed; no limit is broken and nothing is proposed."
    return "No limit is broken; nothing to propose."


def _verdict(breaches: Sequence[Breach], ranked: Sequence[Candidate], looked_at: int, refusals: Refusals) -> str:
    count = f"{len(breaches)} breach{'es' if len(breaches) != 1 else ''}"
    if ranked:
        full = sum(candidate.full for candidate in ranked)
        return f"{count}: {len(ranked)} hedges of {looked_at:,} tickets stand, {full} of them cure everything."
    why = ", ".join(f"{n:,} {reason}" for reason, n in refusals.counts.most_common(3)) or "none could be built"
    return f"{count}: no feasible hedge found among {looked_at:,} tickets ({why})."
