"""The exact valuation of one ticket: legs with prices, the book after it, its cost, its cure, and what the gates say.

What screening solved with linear rows is judged here again on the whole exposure, with notional, shares and margin.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from models.quant.aftermath import outlooks
from models.quant.breach import Breach, BreachKind, detect_breaches, measure_use, money, name_of, percent, worsened
from models.quant.candidate import MEASURES, Candidate, MarginEffect, Scene, Unfit
from models.quant.gates import GateFacts, Stage, WhatIfFact, ask_gates
from models.quant.naming import doing, strategy_name
from models.quant.outlay import Prices, prices_of
from models.quant.portfolio import Exposure, Holding
from models.quant.regime_rules import Family
from models.quant.room import DELTA, GAMMA, STRESS, VEGA
from models.quant.scoring import (
    Cost,
    Floats,
    delta_reduction,
    efficiency_score,
    margin_cost,
    theta_given_up,
    vega_reduction,
)
from models.quant.structure import Leg
from models.quant.ticket_prices import leg_of, terms_of
from models.quant.tickets import FAMILIES, Tickets, ticket_block


@dataclass(frozen=True)
class _Ticket:
    """The one ticket being weighed: rows of the vectors, signed ratios, and the trade's quantities by identity."""

    family: Family
    rows: NDArray[np.int64]
    ratios: NDArray[np.int64]
    quantity: int
    closes: bool
    legs: tuple[Leg, ...]
    added: Mapping[str, float]

    @property
    def amounts(self) -> Floats:
        return (self.ratios * self.quantity).astype(np.float64)


def weigh(scene: Scene, tickets: Tickets, row: int, quantity: int, prices: Prices) -> Candidate:
    """The candidate of one ticket of `tickets`; raises Unfit with the reason in words."""
    used = tickets.legs[row] >= 0
    rows, ratios = tickets.legs[row][used], tickets.ratios[row][used]
    legs = tuple(leg_of(scene, int(i), int(r)) for i, r in zip(rows, ratios, strict=True))
    added = {scene.vectors.contracts[i].identity: float(r * quantity) for i, r in zip(rows, ratios, strict=True)}
    family = FAMILIES[int(tickets.family[row])]
    ticket = _Ticket(family, rows, ratios, quantity, bool(tickets.closes[row]), legs, added)
    after = _stands(scene, added)
    effect = _margin(scene, added)
    return _assemble(scene, ticket, after, effect, prices)


def judge(scene: Scene, legs: Sequence[Leg], quantity: int, family: Family, closes: bool) -> Candidate:
    """The exact valuation of a given trade, whether or not it cures anything: its margin gates are in `checks`.

    `scene.vectors` must hold the legs' contracts. Raises Unfit with the reason in words: an unknown input, a cap whose
    breach it would create or deepen, or legs that cannot be one ticket.
    """
    unlisted = [str(leg.contract) for leg in legs if leg.contract.identity not in scene.vectors.index]
    if unlisted:
        raise Unfit("an input is unknown", f"{unlisted[0]} has no price here")
    rows = [np.array([scene.vectors.index[leg.contract.identity]]) for leg in legs]
    ticket = ticket_block(family, rows, [leg.signed_ratio for leg in legs], closes=closes)
    return weigh(scene, ticket, 0, quantity, prices_of(scene))


def _stands(scene: Scene, added: Mapping[str, float]) -> Exposure:
    """The book with `added`, nothing else filled. No cap may be created or deepened, neither then nor with everything
    in flight filled (row by row it was screened); raises Unfit."""
    looks = [(scene.exposure, _mock_after(scene, added))] if scene.mock else outlooks(scene, added)
    for before, after in looks:
        worse = worsened(before, after, scene.limits, scene.smallest_lot)
        if worse:
            name = name_of(worse[0].kind, worse[0].value, scene.limits, worse[0].subject)
            raise Unfit(f"would break or deepen {name[0].lower()}{name[1:]}", f"after the trade: {worse[0].words}")
    after = looks[0][1]
    needed = ("spx_delta", "gamma", "vega_weighted", *(() if scene.mock else ("stress_worst",)))
    unknown = [name for name in needed if getattr(after, name) is None]
    if unknown:
        raise Unfit("an input is unknown", f"{unknown[0].replace('_', ' ')} after the trade is unknown")
    return after


def _mock_after(scene: Scene, added: Mapping[str, float]) -> Exposure:
    """A mock's aggregate vector plus the candidate: it has no stress grid and no notional."""
    v, e = scene.vectors, scene.exposure
    q = v.quantities(dict(added))
    rows = np.flatnonzero(q)

    def plus(name: str) -> float | None:
        was, total = getattr(e, name), float(q[rows] @ getattr(v, name)[rows])
        return None if was is None or not math.isfinite(total) else was + total

    return replace(
        e,
        spx_delta=plus("spx_delta"),
        gamma=plus("gamma"),
        vega=plus("vega"),
        vega_weighted=plus("vega_weighted"),
        theta=plus("theta"),
    )


def _margin(scene: Scene, added: Mapping[str, float]) -> MarginEffect | None:
    if scene.margin_of is None:
        return None
    by_identity = scene.vectors.index
    return scene.margin_of([Holding(scene.vectors.contracts[by_identity[i]], n) for i, n in added.items()])


def _assemble(scene: Scene, ticket: _Ticket, after: Exposure, effect: MarginEffect | None, prices: Prices) -> Candidate:
    before = scene.exposure
    terms = terms_of(scene, ticket.legs, ticket.rows, ticket.ratios, ticket.quantity)
    impact = capital_impact(effect, _premium(ticket.legs, terms.net_premium))
    cost = _cost(scene, ticket, prices, effect)
    hard = _hard(scene)
    vega, delta = reductions(scene, before, after)
    was, now = _measured(before, before.margin_used), _measured(after, before.margin_used)
    candidate = Candidate(
        family=ticket.family,
        strategy_name=strategy_name(ticket.family, ticket.legs),
        legs=ticket.legs,
        quantity=ticket.quantity,
        closes=ticket.closes,
        full=False,
        cure=0.0,
        cured=(),
        remaining=(),
        cost=cost,
        before=was,
        change={name: _difference(now[name], was[name]) for name in MEASURES},
        after=now,
        outcome=after,
        worst_cell=after.worst_cell,
        fitted=terms.fitted,
        fitted_mid=terms.fitted_mid,
        mid=terms.mid,
        natural=terms.natural,
        limit_price=terms.limit,
        worst_price=terms.worst,
        tick=terms.tick,
        net_premium=terms.net_premium,
        margin=effect,
        capital_impact=impact,
        efficiency_score=efficiency_score(
            vega, delta, effect.initial if effect else None, len(ticket.legs), scene.hedges.fee_option
        ),
        delta_reduction=delta,
        vega_reduction=vega,
        vector=_direction(scene, ticket, prices),
        checks=(),
        words=_sentence(scene, ticket, cost, hard, after),
    )
    return with_margin(candidate, effect, scene)


Broken = dict[tuple[BreachKind, str], Breach]


def _broken(scene: Scene, exposure: Exposure) -> Broken:
    return {(b.kind, b.subject): b for b in detect_breaches(exposure, scene.limits, scene.smallest_lot)}


def _hard(scene: Scene) -> Broken:
    """The breaches a cure is counted on: the caps; a target only where no cap is broken."""
    broken = _broken(scene, scene.exposure)
    return {key: b for key, b in broken.items() if b.is_cap} or broken


def _judged(candidate: Candidate, after: Exposure, scene: Scene) -> Candidate:
    """The candidate with what it cures when the book stands at `after`."""
    broken, hard, left = _broken(scene, scene.exposure), _hard(scene), _broken(scene, after)
    return replace(
        candidate,
        full=not any(key in hard or (b.is_cap and key not in broken) for key, b in left.items()),
        cure=sum(b.severity - (left[key].severity if key in left else 0.0) for key, b in hard.items()),
        cured=tuple(dict.fromkeys(kind.value for kind, subject in hard if (kind, subject) not in left)),
        remaining=tuple(dict.fromkeys(kind.value for kind, subject in hard if (kind, subject) in left)),
    )


def reductions(scene: Scene, before: Exposure, after: Exposure) -> tuple[float, float]:
    """(vega in currency per vol point, delta in SPX-share equivalents) reduced, counted only toward the limit."""
    limits = scene.limits
    name = limits.vega_measure
    v0, v1, floor = getattr(before, name), getattr(after, name), limits.vega_floor
    vega = 0.0 if None in (v0, v1, floor) else vega_reduction(v0, v1, floor or 0.0)
    d0, d1, cap = before.spx_delta, after.spx_delta, limits.delta_cap
    if d0 is None or d1 is None or cap is None or not scene.spx:
        return vega, 0.0
    return vega, delta_reduction(d0, d1, cap, scene.spx)


def capital_impact(effect: MarginEffect | None, premium: float) -> float | None:
    """Δ initial margin − Δ equity with loan; an estimate without equity loses the premium paid. None: unknown.

    `premium` is of options alone, credit positive: a future costs nothing, and shares are equity as the cash was.
    """
    if effect is None or effect.initial is None:
        return None
    equity = premium if effect.equity is None and effect.source == "estimate" else effect.equity
    return None if equity is None else effect.initial - equity


def _premium(legs: Sequence[Leg], net_premium: float) -> float:
    """What a ticket pays or brings for options; the legs of one ticket are all options or all linear."""
    return net_premium if legs[0].contract.is_option else 0.0


def with_margin(candidate: Candidate, effect: MarginEffect | None, scene: Scene) -> Candidate:
    """The candidate with a margin effect of the whole trade (the broker's what-if, or an estimate): capital impact,
    score, cost, what is cured, and the capital and margin gates follow from it. Without one they stay unknown and
    unjudged, and margin counts as it was.
    """
    impact = capital_impact(effect, _premium(candidate.legs, candidate.net_premium))
    checks = [v for v in candidate.checks if v.gate not in ("capital", "margin")]
    if effect is not None and not scene.mock:
        facts = _margin_facts(scene, candidate.quantity, effect, impact)
        checks += [v for v in ask_gates(facts) if v.gate in ("capital", "margin")]
    initial = effect.initial if effect else None
    used = _plus(scene.exposure.margin_used, effect)
    after = candidate.outcome if used is None else replace(candidate.outcome, margin_used=used)
    return replace(
        _judged(candidate, after, scene),
        margin=effect,
        capital_impact=impact,
        checks=tuple(checks),
        efficiency_score=efficiency_score(
            candidate.vega_reduction, candidate.delta_reduction, initial, len(candidate.legs), scene.hedges.fee_option
        ),
        cost=replace(candidate.cost, margin=margin_cost(effect.maintenance if effect else None, scene.hedges)),
        change={**candidate.change, "margin": effect.maintenance if effect else None},
        after={**candidate.after, "margin": used},
    )


def _margin_facts(scene: Scene, quantity: int, effect: MarginEffect, impact: float | None) -> GateFacts:
    equity = None if impact is None or effect.initial is None else effect.initial - impact
    preview = WhatIfFact(None, effect.initial, effect.maintenance, equity, estimated=effect.source != "broker")
    return GateFacts(
        stage=Stage.PROPOSAL,
        rules=scene.gates,
        machine_now=_NO_TIME,
        desk_now=_NO_TIME,
        quantity=quantity,
        what_if=preview,
        available_funds=scene.available_funds,
        margin_used=scene.exposure.margin_used,
        nlv=scene.exposure.nlv,
        margin_max=scene.limits.margin_max,
    )


_NO_TIME = datetime.min.replace(tzinfo=UTC)  # the capital and margin gates look at no clock at this stage


def _plus(used: float | None, effect: MarginEffect | None) -> float | None:
    if used is None or effect is None or effect.maintenance is None:
        return None
    return used + effect.maintenance


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _measured(exposure: Exposure, margin_used: float | None) -> dict[str, float | None]:
    return {name: margin_used if name == "margin" else getattr(exposure, name) for name in MEASURES}


def _cost(scene: Scene, ticket: _Ticket, prices: Prices, effect: MarginEffect | None) -> Cost:
    q = ticket.amounts
    half = np.where(q > 0, prices.buying[ticket.rows], prices.selling[ticket.rows])
    theta = np.array([q @ prices.theta[ticket.rows]])
    return Cost(
        half_spread=float(np.abs(q) @ half),
        fees=float(np.abs(q) @ prices.fee[ticket.rows]),
        theta=float(theta_given_up(theta, scene.hedges)[0]),
        margin=margin_cost(effect.maintenance if effect else None, scene.hedges),
    )


def _direction(scene: Scene, ticket: _Ticket, prices: Prices) -> tuple[float, ...]:
    """(delta, gamma, vega, profit in the book's worst cell) of the trade, each in units of its limit."""
    total = ticket.amounts @ prices.measures[ticket.rows]
    limits = scene.limits
    base = max(limits.nlv or 0.0, 1.0)
    stress = scene.exposure.stress
    cell = float(total[STRESS][int(np.argmin(stress))]) if stress else 0.0
    sizes = (limits.delta_cap, limits.gamma_cap, abs(limits.vega_floor or 0.0), limits.stress_worst)
    numbers = (float(total[DELTA]), float(total[GAMMA]), float(total[VEGA]), cell)
    return tuple(number / (size or base) for number, size in zip(numbers, sizes, strict=True))


def _sentence(scene: Scene, ticket: _Ticket, cost: Cost, hard: Broken, after: Exposure) -> str:
    """`Short gamma is 116 % of its limit. Closing 1 of 5 … brings it to 93 % for $212.`"""
    bars = {(u.kind, u.subject): u for u in measure_use(after, scene.limits, scene.smallest_lot)}
    does = doing(ticket.family, ticket.legs, ticket.quantity, scene.held)
    results: list[str] = []
    for key, breach in hard.items():
        bar = bars.get(key)
        if len(results) == 2 or (bar is not None and bar.value == breach.value):
            continue
        name = name_of(key[0], breach.value, scene.limits, key[1])
        name = name[0].lower() + name[1:]
        to = (
            percent(bar.use)
            if bar is not None and bar.use is not None
            else money(bar.value)
            if bar and bar.value
            else "$0"
        )
        results.append(f"{name} to {to}")
    moved = [b.words for key, b in hard.items() if key not in bars or bars[key].value != b.value]
    broken = " ".join(moved[:2])
    return f"{broken} {does} brings {' and '.join(results)} for {money(cost.total)}."
