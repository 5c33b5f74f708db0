"""A typed ticket beside the book: the same gates as any hedge, but it need not cure anything, only break nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from models.quant.aftermath import closable, legs_room
from models.quant.breach import money
from models.quant.candidate import Candidate, Scene, Unfit
from models.quant.gates import GateFacts, Outcome, QuoteFact, Stage, Verdict, ask_gates, most_drift
from models.quant.hand_ticket import HandTicket, TicketError
from models.quant.naming import legs_in_words
from models.quant.overrides import Overrides
from models.quant.regime_rules import Family, Regime
from models.quant.room import TicketRoom
from models.quant.shapes import family_of
from models.quant.structure import Leg
from models.quant.weighing import judge

FOR_THE_BROKER = ("margin preview", "capital", "margin")
"""The gates of a proposal that wait for the broker's preview; all others are asked at once."""


def weigh_typed(scene: Scene, ticket: HandTicket, quotes: Mapping[str, QuoteFact], desk_now: datetime) -> Candidate:
    """The ticket as a candidate on its legs' real quotes (by identity), cut to what overrides leave of it.

    Raises Unfit in words when a gate refuses it, TicketError when it is the limit that was typed.
    """
    family = family_of(ticket.legs, ticket.quantity, closable(scene.held, scene.in_flight))
    room = _room(scene, ticket.legs, ticket.quantity)
    quantity = _left(scene.overrides, ticket, family, room)
    if quantity < ticket.quantity:
        room = _room(scene, ticket.legs, quantity)
    if scene.limits.regime is Regime.UNKNOWN and not room.reduces(quantity):
        words = "the regime is unknown, so only what reduces risk may trade; wait for VIX and VIX3M, or close instead"
        raise Unfit("the regime is unknown", words)
    checks = _gates(scene, ticket, quantity, family, room, quotes, desk_now)
    refuse_failed(checks)
    found = judge(scene, ticket.legs, quantity, family, family is Family.CLOSE)
    found = replace(found, checks=(*checks, *found.checks), asked=ticket.quantity)
    return found if ticket.limit_price is None else _at_limit(found, ticket.limit_price, scene)


def refuse_failed(checks: Sequence[Verdict]) -> None:
    """Raises Unfit with the first refusal, or with the size that the first cut would let through."""
    for verdict in sorted(checks, key=lambda one: one.outcome is Outcome.CUT):
        if verdict.outcome is Outcome.REFUSE:
            raise Unfit(verdict.gate, f"{verdict.gate}: {verdict.reason}")
        if verdict.outcome is Outcome.CUT:
            raise Unfit(verdict.gate, f"{verdict.gate}: {verdict.reason}; {verdict.cut_to} would fit, type no more")


def _room(scene: Scene, legs: Sequence[Leg], quantity: int) -> TicketRoom:
    room = legs_room(scene, legs, quantity)
    if room is None:
        raise Unfit("an input is unknown", f"the limits are unknown: {', '.join(scene.limits.missing)}")
    return room


def _left(overrides: Overrides, ticket: HandTicket, family: Family, room: TicketRoom) -> int:
    symbol = ticket.legs[0].contract.symbol
    most, reason = overrides.cut(ticket.quantity, family, symbol, room.closes, room.reduces(ticket.quantity))
    if most == 0:
        raise Unfit("override", f"override: {reason}")
    return most


def _gates(
    scene: Scene, ticket: HandTicket, quantity: int, family: Family, room: TicketRoom,
    quotes: Mapping[str, QuoteFact], desk_now: datetime,
) -> tuple[Verdict, ...]:  # fmt: skip
    facts = GateFacts(
        stage=Stage.PROPOSAL,
        rules=scene.gates,
        machine_now=desk_now,  # no gate asked here dates anything by the machine's clock
        desk_now=desk_now,
        quotes=tuple(_fitted(scene, leg, quotes) for leg in ticket.legs if leg.contract.identity in quotes),
        underlying=ticket.legs[0].contract.symbol,
        shape=family,
        quantity=quantity,
        asked=ticket.quantity,
        overrides=scene.overrides,
        room=room,
    )
    missing = [leg.contract for leg in ticket.legs if leg.contract.identity not in quotes]
    if missing:
        raise Unfit("quotes", f"quotes: {missing[0]} has no quote")
    return tuple(verdict for verdict in ask_gates(facts) if verdict.gate not in FOR_THE_BROKER)


def _fitted(scene: Scene, leg: Leg, quotes: Mapping[str, QuoteFact]) -> QuoteFact:
    fact = replace(quotes[leg.contract.identity], ratio=leg.ratio)
    if scene.fitted is None:
        return fact
    point = float(scene.fitted[scene.vectors.index[leg.contract.identity]])
    return replace(fact, fitted=point if point == point else None)


def _at_limit(found: Candidate, limit: float, scene: Scene) -> Candidate:
    """The person's own limit is also the worst price: nobody signs past what was typed."""
    most = found.natural + most_drift(scene.gates, found.tick, found.natural)
    if limit > most + 1e-9:
        words = f"{limit:.2f} is far through the market, which asks {found.natural:.2f}; type {most:.2f} or less"
        raise TicketError("limit", f"{words} (a credit is below 0)")
    return replace(found, limit_price=limit, worst_price=limit)


SHOWN = (("spx_delta", "delta"), ("vega_weighted", "weighted vega"), ("stress_worst", "worst stress loss"))


def in_plain_numbers(found: Candidate, by: str) -> str:
    """What was typed, what it costs and what it does to the book: the justification of a hand ticket."""
    does = f"Typed by {by}: {legs_in_words(found.legs, found.quantity)}, at {_price(found.limit_price)}"
    mid = f" with the mid at {_price(found.mid)}" if found.mid is not None else ""
    moved = [f"{name} {_side(found.before, key)} → {_side(found.after, key)}" for key, name in SHOWN]
    margin = found.margin
    source = margin.source if margin and margin.maintenance is not None else "unknown"
    change = "n/a" if margin is None or margin.maintenance is None else _signed(margin.maintenance)
    cut = f" Overrides cut it from {found.asked}." if found.asked and found.asked > found.quantity else ""
    return (
        f"{does}{mid}, for {money(found.cost.total)} of spread, fees, theta and margin. "
        f"Brings {', '.join(moved)}; maintenance margin {change} ({source}). "
        f"No cap's breach is created or deepened.{cut}"
    )


def _price(value: float | None) -> str:
    if value is None:
        return "n/a"
    return f"{abs(value):.2f} {'debit' if value > 0 else 'credit' if value < 0 else 'even'}"


def _side(part: Mapping[str, float | None], key: str) -> str:
    value = part.get(key)
    return "n/a" if value is None else money(value)


def _signed(value: float) -> str:
    return f"+{money(value)}" if value > 0 else money(value)
