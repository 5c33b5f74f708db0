"""The optimum: equal to full enumeration where that can be done, obedient to every rule, honest about its proof."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from models.quant.aftermath import scene_room
from models.quant.candidate import Candidate, Scene, Unfit
from models.quant.gates import refusal
from models.quant.linear_hedges import cures, linear_hedges
from models.quant.optimum import Optimum, lands_inside, optimum
from models.quant.optimum_problem import programmes
from models.quant.option import Contract
from models.quant.outlay import prices_of
from models.quant.regime import Profile, Regime
from models.quant.regime_rules import Family
from models.quant.structure import Action, Leg
from models.quant.weighing import judge
from tests.quant.proposer_scene import ES, MES, chain, option, scene_of, short_strangles

FEW = tuple(option(strike, 44, right) for strike, right in ((5600, "P"), (5800, "P"), (6200, "C"), (6400, "C")))
LATER = option(5700, 58, "P")


def endless() -> float:
    return 1e9


def last(scene: Scene, seconds: float = 1e9, near: float = 0.0) -> Optimum:
    """The final answer after so many turns' worth of pretended seconds: one a look."""
    remaining = iter(np.arange(seconds, -1.0, -1.0)) if seconds < 1e6 else itertools.repeat(1e9)
    found = None
    for found in optimum(scene, [], lambda: next(remaining, 0.0), near=near):  # noqa: B007 - the last one
        pass
    assert found is not None
    return found


def small_scene(nlv: float, regime: Regime, **more: object) -> Scene:
    contracts = (*FEW, LATER)
    return scene_of(short_strangles(2), nlv=nlv, regime=regime, contracts=contracts, **more)  # type: ignore[arg-type]


def covered(scene: Scene, trade: Mapping[Contract, int]) -> bool:
    """Every opened short has a long of its right that does not expire first, or a short bought back."""
    for right in {c.right for c in trade}:
        mine = {c: n for c, n in trade.items() if c.right is right}
        back = sum(n for c, n in mine.items() if n > 0 > scene.held.get(c.identity, 0.0))
        opened = {
            c: n for c, n in mine.items()
            if not (n > 0 > scene.held.get(c.identity, 0.0)) and not (n < 0 < scene.held.get(c.identity, 0.0))
        }  # fmt: skip
        for day in {c.expiry for c, n in opened.items() if n < 0 and c.expiry}:
            if back + sum(n for c, n in opened.items() if c.expiry and c.expiry >= day) < 0:
                return False
    return True


def ticket(scene: Scene, trade: Mapping[Contract, int]) -> Candidate | None:
    """The exact valuation of a trade that stands and lands inside; None otherwise."""
    quantity = math.gcd(*trade.values())
    held = {c: scene.held.get(c.identity, 0.0) for c in trade}
    if any(h * n < 0 and abs(n) > abs(h) for (c, n), h in zip(trade.items(), held.values(), strict=True)):
        return None
    closes = all(h * n < 0 for n, h in zip(trade.values(), held.values(), strict=True))
    legs = [Leg(c, Action.BUY if n > 0 else Action.SELL, abs(n) // quantity) for c, n in trade.items()]
    if any(leg.ratio > 3 for leg in legs):
        return None
    try:
        hedge = judge(scene, legs, quantity, Family.CLOSE if closes else Family.OPTIMAL, closes)
    except Unfit:
        return None
    stands = cures(hedge) and refusal(hedge.checks) is None and lands_inside(scene, hedge)
    return hedge if stands and (closes or _within_capital(scene, hedge)) else None


def _within_capital(scene: Scene, hedge: Candidate) -> bool:
    cap = scene.limits.position_capital
    return cap is None or hedge.debit <= cap + 1e-6


def enumerated(scene: Scene, most: int) -> float:
    """The least cost of any allowed ticket of up to `most` contracts a leg: the cheapest first, until one stands.

    Only what no row of the room refuses is valued; without margin the cost is a sum over the legs.
    """
    contracts = [c for c in scene.vectors.contracts if c.is_option]
    numbers = np.array(list(itertools.product(range(-most, most + 1), repeat=len(contracts))))
    prices, room = prices_of(scene), scene_room(scene)
    moving = np.abs(room.weights).sum(axis=0) > 0
    left = room.left[moving] + numbers @ (prices.measures[: len(contracts)] @ room.weights[:, moving])
    aim = np.where(room.left < 0, (1 - scene.hedges.cure_to) * room.limit_size, 0.0)[moving]
    fits = np.flatnonzero((left >= aim - 1e-6).all(axis=1))
    side = np.where(numbers > 0, prices.buying[: len(contracts)], prices.selling[: len(contracts)])
    theta = numbers @ prices.theta[: len(contracts)]
    cost = (np.abs(numbers) * (side + prices.fee[: len(contracts)])).sum(axis=1)
    cost = cost + scene.hedges.cost_days * np.maximum(-theta, 0.0)
    bare = {Family.SHORT_STRANGLE, Family.JADE_LIZARD} & set(scene.limits.families)
    for i in fits[np.argsort(cost[fits])]:
        trade = {c: int(n) for c, n in zip(contracts, numbers[i], strict=True) if n}
        if trade and (bare or covered(scene, trade)):
            hedge = ticket(scene, trade)
            if hedge is not None:
                return hedge.cost.total
    return math.inf


@pytest.mark.parametrize(
    ("nlv", "regime"), [(300_000.0, Regime.HIGH), (400_000.0, Regime.LOW), (250_000.0, Regime.NEUTRAL)]
)
def test_the_proven_optimum_is_the_cheapest_of_all_tickets(nlv: float, regime: Regime) -> None:
    scene = small_scene(nlv, regime)
    scene = replace(scene, hedges=replace(scene.hedges, max_quantity=1))
    found = last(scene)
    cheapest = min(enumerated(scene, 3), *(h.cost.total for h in linear_hedges(scene)), math.inf)
    if cheapest == math.inf:
        assert found.hedge is None
    else:
        assert found.hedge is not None
        assert found.hedge.cost.total == pytest.approx(cheapest)
    assert found.bound <= cheapest + 1e-6


@pytest.fixture(scope="module")
def scene() -> Scene:
    return scene_of(short_strangles(6), nlv=900_000.0, contracts=(*chain((30, 44, 58), 100.0), MES, ES))


@pytest.fixture(scope="module")
def found(scene: Scene) -> Optimum:
    return last(scene, 150, 0.1)


def test_it_is_one_ticket_of_one_class_with_few_legs_and_small_ratios(scene: Scene, found: Optimum) -> None:
    hedge = found.hedge
    assert hedge is not None
    assert 1 <= len(hedge.legs) <= 6
    assert len({leg.contract.trading_class for leg in hedge.legs}) == 1
    assert len({leg.contract.identity for leg in hedge.legs}) == len(hedge.legs)
    assert all(1 <= leg.ratio <= 3 for leg in hedge.legs)
    assert math.gcd(*(leg.ratio for leg in hedge.legs)) == 1


def test_it_cures_everything_worsens_nothing_and_passes_every_gate(scene: Scene, found: Optimum) -> None:
    hedge = found.hedge
    assert hedge is not None and cures(hedge) and lands_inside(scene, hedge)
    assert refusal(hedge.checks) is None
    again = judge(scene, hedge.legs, hedge.quantity, hedge.family, hedge.closes)
    assert again.cost.total == pytest.approx(hedge.cost.total)


def test_the_bound_is_below_the_optimum_and_tells_how_far_others_are(scene: Scene, found: Optimum) -> None:
    hedge = found.hedge
    assert hedge is not None and found.gap is not None
    assert 0 < found.bound <= hedge.cost.total + 1e-6
    assert found.distance(scene, hedge) == pytest.approx(found.gap)
    dear = replace(hedge, cost=replace(hedge.cost, fees=hedge.cost.fees + found.bound))
    assert found.distance(scene, dear) == pytest.approx(found.gap + 1)
    assert found.distance(scene, replace(hedge, remaining=("vega",))) is None, "in part is no cure"


def test_more_time_never_gives_a_dearer_ticket_or_a_lower_bound(scene: Scene, found: Optimum) -> None:
    short = last(scene, 8, 0.1)
    assert short.bound <= found.bound + 1e-6
    if short.hedge is not None:
        assert found.hedge is not None and found.hedge.cost.total <= short.hedge.cost.total + 1e-6


def test_without_time_the_bound_of_the_relaxation_stands(scene: Scene) -> None:
    none = last(scene, 0)
    assert none.hedge is None or none.hedge.family in (Family.FUTURE, Family.SHARES, Family.CLOSE)
    assert 0 < none.bound < math.inf


def test_no_cheap_naked_tail_passes_the_stress_grid(found: Optimum, scene: Scene) -> None:
    hedge = found.hedge
    assert hedge is not None and scene.limits.stress_worst is not None
    assert hedge.outcome.stress_worst is not None
    assert hedge.outcome.stress_worst <= max(scene.limits.stress_worst, scene.exposure.stress_worst or 0.0) + 1e-6


def test_while_the_regime_is_unknown_nothing_opens() -> None:
    scene = scene_of(short_strangles(4), nlv=900_000.0, regime=Regime.UNKNOWN, contracts=chain((44, 58), 100.0))
    assert {programme.closes for programme in programmes(scene)} == {True}
    hedge = last(scene, 40).hedge
    assert hedge is None or hedge.closes or hedge.family in (Family.FUTURE, Family.SHARES)


def test_in_crisis_of_the_classic_profile_an_opened_short_needs_one_bought_back() -> None:
    scene = scene_of(
        short_strangles(2),
        nlv=900_000.0,
        regime=Regime.CRISIS,
        profile=Profile.CLASSIC,
        contracts=chain((44, 58), 200.0),
    )
    hedge = last(scene, 40).hedge
    if hedge is not None and not hedge.closes:
        sold = sum(leg.ratio for leg in hedge.legs if leg.action is Action.SELL)
        back = sum(
            leg.ratio for leg in hedge.legs
            if leg.action is Action.BUY and scene.held.get(leg.contract.identity, 0.0) < 0
        )  # fmt: skip
        assert sold <= back


def test_unknown_and_unfair_contracts_are_no_legs() -> None:
    contracts = chain((44,), 100.0)
    wide = {c.identity: (1.0, 90.0) for c in contracts if c.is_option and c.strike == 5800.0}
    scene = scene_of(short_strangles(4), nlv=900_000.0, contracts=contracts, bid_ask=wide)
    blind = scene.vectors.vega_weighted.copy()
    dark = [i for i, c in enumerate(contracts) if c.strike == 6100.0]
    blind[dark] = np.nan
    scene = replace(scene, vectors=replace(scene.vectors, vega_weighted=blind))
    rows = {row for programme in programmes(scene) for row in programme.rows}
    strikes = {scene.vectors.contracts[row].strike for row in rows}
    assert strikes and not {5800.0, 6100.0} & strikes


def test_a_book_that_no_ticket_can_cure_is_proven_so() -> None:
    scene = scene_of(short_strangles(20), nlv=100_000.0, regime=Regime.UNKNOWN, contracts=FEW)
    scene = replace(scene, held={}, hedges=replace(scene.hedges, benchmarks=("XSP",)))
    found = last(scene)
    assert found.hedge is None and found.bound == math.inf
    assert "proven" in found.words


def test_where_no_line_measures_what_is_broken_there_is_no_yardstick() -> None:
    scene = scene_of(
        {option(5600, 44, "P"): -1.0}, nlv=2_000_000.0, margin_used=1_900_000.0, contracts=chain((44,), 200.0)
    )
    found = last(scene, 5)
    assert not found.measurable and found.gap is None
    assert "no yardstick" in found.words
