"""From a breach to the best three hedges: generate, screen, weigh, rank; and the same again on real quotes.

`propose` looks at the whole modelled chain; `requote` judges what it found on the legs' real quotes; `with_margin` puts
the broker's what-if in; `top_three` picks alternatives that differ. All of it is pure: one Scene in, one answer out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from models.quant.aftermath import closable, legs_room, scene_room
from models.quant.board import board_of
from models.quant.breach import Breach, BreachKind, detect_breaches
from models.quant.candidate import Candidate, MarginEffect, MarginOf, Scene, Unfit
from models.quant.candidates import generate
from models.quant.choosing import choose, rank, weigh_allowed
from models.quant.gates import GateFacts, QuoteFact, Stage, Verdict, allowed_quantity, ask_gates, refusal
from models.quant.limits import REDUCING
from models.quant.outlay import fair_quotes, prices_of, terms_of_margin
from models.quant.permitted import OVERRIDDEN, permitted
from models.quant.regime_rules import Family, Regime
from models.quant.room import Room
from models.quant.scoring import too_alike
from models.quant.screening import Refusals, screen, size
from models.quant.search_table import table_of
from models.quant.structure import Action
from models.quant.tickets import Tickets, ticket_block
from models.quant.weighing import with_margin

__all__ = [
    "Candidate", "MarginEffect", "MarginOf", "Proposals", "Refusals", "Scene", "legs_room", "propose", "rank",
    "requote", "top_three", "with_margin",
]  # fmt: skip


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
    prices, reduces = prices_of(scene), any(b.is_cap for b in breaches)
    allowed = permitted(scene, _families(scene), reduces)
    refusals.add(OVERRIDDEN, allowed.stopped)
    table = table_of(prices, room, scene.hedges, terms_of_margin(scene))
    fair = fair_quotes(scene)
    refusals.add("contracts left out: their market is too wide or off the surface", int((~fair).sum()))
    can_close = closable(scene.held, scene.in_flight)
    board = board_of(scene.vectors, can_close, scene.hedges, fair & allowed.opens)
    singles = generate(board, scene.hedges, allowed.families)
    found = screen(singles, board, table, allowed.families, refusals, _close_share(breaches, room))
    ranked = choose(scene, found.sized, prices, refusals, keep, reduces, allowed.families)
    words = _verdict(breaches, ranked, found.looked_at, refusals)
    return Proposals(breaches, ranked, refusals, found.looked_at, words)


def requote(scene: Scene, candidate: Candidate, quotes: Mapping[str, QuoteFact], desk_now: datetime) -> Candidate | str:
    """The candidate judged again on real quotes: sized, priced and gated anew, or the reason why it is refused, its
    first words what it is counted under.

    `scene.vectors` must carry the real quotes of the legs; `quotes` are the same quotes as facts, by identity.
    """
    index = scene.vectors.index
    missing = [leg.contract for leg in candidate.legs if leg.contract.identity not in index]
    if missing:
        return f"no longer listed: {missing[0]}"
    facts = tuple(
        replace(quotes[leg.contract.identity], fitted=fit, ratio=leg.ratio)
        for leg, fit in zip(candidate.legs, candidate.fitted, strict=True)
        if leg.contract.identity in quotes
    )
    if len(facts) < len(candidate.legs):
        return "a leg has no quote"
    reason = refusal(_market_gates(scene, candidate, facts, 1, desk_now))
    return reason or _again(scene, candidate, facts, desk_now)


MARKET_GATES = ("quotes", "quote age", "spread", "size", "open interest", "surface")


def _market_gates(
    scene: Scene, candidate: Candidate, quotes: tuple[QuoteFact, ...], quantity: int, desk_now: datetime
) -> tuple[Verdict, ...]:
    gates = ask_gates(
        GateFacts(
            stage=Stage.PROPOSAL, rules=scene.gates, machine_now=desk_now, desk_now=desk_now, quotes=quotes,
            quantity=quantity, closes=candidate.closes,
        )
    )  # fmt: skip
    return tuple(verdict for verdict in gates if verdict.gate in MARKET_GATES)


def _again(scene: Scene, candidate: Candidate, quotes: tuple[QuoteFact, ...], desk_now: datetime) -> Candidate | str:
    breaches = detect_breaches(scene.exposure, scene.limits, scene.smallest_lot)
    room = _room_to_cure(scene, breaches)
    if room is None:
        return "there is no breach left to cure"
    refusals, prices = Refusals(), prices_of(scene)
    table = table_of(prices, room, scene.hedges, terms_of_margin(scene))
    sized = size(_ticket_of(scene, candidate), table, refusals, _close_share(breaches, room))
    if not len(sized):
        return next(iter(refusals.counts), HELPS_NO_MORE)
    asked = int(sized.quantity[0])
    checks = _market_gates(scene, candidate, quotes, asked, desk_now)
    sized = replace(sized, quantity=np.array([allowed_quantity(checks, asked)], dtype=np.float64))
    if sized.quantity[0] < 1:
        return refusal(checks) or HELPS_NO_MORE
    try:
        found = weigh_allowed(scene, sized, 0, prices, reduces=any(b.is_cap for b in breaches))
    except Unfit as unfit:
        return str(unfit)
    blocked = refusal(found.checks) or (HELPS_NO_MORE if found.cure <= 0 else None)
    return blocked or replace(found, fitted=candidate.fitted, checks=(*checks, *found.checks))


HELPS_NO_MORE = "it helps no breach any more"


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


# ── the steps of a pass ─────────────────────────────────────────────────────────────────────────────────────────
def _room_to_cure(scene: Scene, breaches: Sequence[Breach]) -> Room | None:
    """The room when there is something to cure: a broken cap, or a theta shortfall alone outside an unknown regime."""
    if any(b.is_cap for b in breaches):
        return scene_room(scene, tail_too=True)
    short = any(b.kind is BreachKind.THETA for b in breaches)
    answered = short and scene.hedges.answer_theta and scene.limits.regime is not Regime.UNKNOWN
    return scene_room(scene, theta_too=True, tail_too=True) if answered else None


def _close_share(breaches: Sequence[Breach], room: Room) -> float:
    """The largest part of its value by which a cap without a row in the room is over its limit; 0 when none is."""
    over = [abs(b.distance / b.value) for b in breaches if b.is_cap and b.kind not in room.kinds and b.value]
    return max(over, default=0.0)


def _families(scene: Scene) -> tuple[Family, ...]:
    return REDUCING if scene.limits.regime is Regime.UNKNOWN else scene.limits.families


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
