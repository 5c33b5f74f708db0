"""The book after a trade, as the gates want it: from a scene and a ticket's legs to the room that is left.

The cockpit and the bridge ask `legs_room` with the book, the orders in flight and the ticket; the proposer asks
`scene_room` once and judges every ticket against it.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from models.quant.breach import BreachKind, worsened
from models.quant.candidate import Scene
from models.quant.limits import Limits
from models.quant.portfolio import ContractVectors, Exposure, exposure_from
from models.quant.room import STRESS, WIDTH, Floats, Room, TicketRoom, room_of, ticket_room
from models.quant.structure import Leg


def columns_of(scene: Scene) -> Floats:
    """Measures per one contract long (N, WIDTH): spx_delta, gamma, vega as the profile has it, theta, stress, tail."""
    v = scene.vectors
    vega = v.vega_weighted if scene.limits.vega_measure == "vega_weighted" else v.vega
    return np.column_stack([v.spx_delta, v.gamma, vega, v.theta, v.stress, _tail(scene)])


TAIL_DAYS = 5
"""Days about the one whose loss is the value at risk: alone it would be an accident of that day."""


def _tail(scene: Scene) -> Floats:
    """Mean profit (N,) of the days about the book's value at risk; 0 where past days are not asked."""
    history = scene.vectors.history
    if history is None or scene.exposure.var_95 is None:
        return np.zeros(len(scene.vectors))
    held = scene.vectors.quantities(dict(scene.held))
    rows = np.flatnonzero(held)
    profit = held[rows] @ history[rows]
    days = np.argsort(np.abs(profit + scene.exposure.var_95), kind="stable")[:TAIL_DAYS]
    mean: Floats = history[:, days].mean(axis=1)
    return mean


def book_measures(exposure: Exposure, limits: Limits) -> Floats:
    """The same measures of the whole book (WIDTH,); NaN where the exposure does not know."""
    vega = exposure.vega_weighted if limits.vega_measure == "vega_weighted" else exposure.vega
    greeks = [np.nan if x is None else x for x in (exposure.spx_delta, exposure.gamma, vega, exposure.theta)]
    stress = exposure.stress if exposure.stress is not None else [np.nan] * (STRESS.stop - STRESS.start)
    tail = np.nan if exposure.var_95 is None else -exposure.var_95
    return np.array([*greeks, *stress, tail], dtype=np.float64)


def add_up(amounts: Mapping[str, float], vectors: ContractVectors, columns: Floats) -> Floats:
    """Measures (WIDTH,) of signed quantities by identity; a contract without a row makes them unknown."""
    total = np.zeros(WIDTH)
    for identity, amount in amounts.items():
        row = vectors.index.get(identity)
        if amount:
            total = total + (amount * columns[row] if row is not None else np.nan)
    return total


def scene_room(scene: Scene, theta_too: bool = False, tail_too: bool = False) -> Room:
    """Room of the scene's book with its orders in flight at their worst; raises ValueError when limits are unknown."""
    columns = columns_of(scene)
    flights = [add_up(order, scene.vectors, columns) for order in scene.in_flight]
    return room_of(
        book_measures(scene.exposure, scene.limits),
        scene.limits,
        scene.smallest_lot,
        flights,
        None if scene.mock else scene.exposure.margin_used,
        with_stress=not scene.mock,
        with_theta=theta_too,
        short_notional=None if scene.mock else scene.exposure.short_notional,
        contracts=None if scene.mock else scene.exposure.contracts,
        with_tail=tail_too,
    )


def closable(held: Mapping[str, float], in_flight: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What may still be closed: each holding less what orders in flight already close of it, never past zero."""
    left = dict(held)
    for order in in_flight:
        for identity, amount in order.items():
            quantity = left.get(identity, 0.0)
            if quantity * amount < 0:
                left[identity] = quantity + np.sign(amount) * min(abs(amount), abs(quantity))
    return {identity: quantity for identity, quantity in left.items() if quantity}


def only_closes(legs: Sequence[Leg], quantity: int, can_close: Mapping[str, float]) -> bool:
    """True when every leg reduces a holding and none goes past zero."""
    for leg in legs:
        have = can_close.get(leg.contract.identity, 0.0)
        amount = leg.signed_ratio * quantity
        if have * amount >= 0 or abs(amount) > abs(have) + 1e-9:
            return False
    return True


def legs_room(scene: Scene, legs: Sequence[Leg], quantity: int) -> TicketRoom | None:
    """The limits gate's fact for a ticket of `quantity` units; None when the limits themselves are unknown.

    `scene.vectors` must hold the book's, the in-flight and the ticket's contracts. Notional, shares, VaR and defined
    loss are judged exactly at `quantity`, with nothing in flight filled and with everything filled.
    """
    if not scene.limits.known:
        return None
    columns = columns_of(scene)
    unit = add_up({leg.contract.identity: float(leg.signed_ratio) for leg in legs}, scene.vectors, columns)
    closes = only_closes(legs, quantity, closable(scene.held, scene.in_flight))
    whole = {leg.contract.identity: float(leg.signed_ratio * quantity) for leg in legs}
    also = tuple(dict.fromkeys(words for words in nonlinear_harm(scene, whole)))
    return ticket_room(scene_room(scene), unit, closes, also)


_LINEAR = (
    BreachKind.VEGA, BreachKind.DELTA, BreachKind.GAMMA, BreachKind.STRESS_NEAR, BreachKind.STRESS_WORST,
    BreachKind.EXCESS_LIQUIDITY,
)  # fmt: skip


def nonlinear_harm(scene: Scene, added: Mapping[str, float]) -> list[str]:
    """In words, the caps without a linear row that `added` would create or deepen a breach of."""
    if scene.mock or any(identity not in scene.vectors.index for identity in added):
        return []
    return [
        f"after the trade: {breach.words}"
        for before, after in outlooks(scene, added)
        for breach in worsened(before, after, scene.limits, scene.smallest_lot)
        if breach.kind not in _LINEAR
    ]


def outlooks(scene: Scene, added: Mapping[str, float]) -> list[tuple[Exposure, Exposure]]:
    """(before, after) of the whole exposure with nothing in flight filled, and with everything filled."""
    bases: list[Mapping[str, float]] = [scene.held]
    if scene.in_flight:
        bases.append(_sum([scene.held, *scene.in_flight]))
    found = []
    for place, base in enumerate(bases):
        before = scene.exposure if place == 0 else _exposure(scene, base)
        found.append((before, _exposure(scene, _sum([base, added]))))
    return found


def _sum(books: Sequence[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for book in books:
        for identity, amount in book.items():
            total[identity] = total.get(identity, 0.0) + amount
    return total


def _exposure(scene: Scene, amounts: Mapping[str, float]) -> Exposure:
    quantities = scene.vectors.quantities(dict(amounts))
    return exposure_from(scene.vectors, quantities, scene.exposure.nlv, scene.exposure.margin_used)
