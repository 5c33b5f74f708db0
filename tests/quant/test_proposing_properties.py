"""What holds for every proposal, whatever the book: drawn by seed on a made-up chain, each answer valued again here."""

import random
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from math import gcd

import numpy as np
import pytest

from models.quant.aftermath import scene_room
from models.quant.board import board_of
from models.quant.breach import detect_breaches, worsened
from models.quant.candidate import Scene
from models.quant.candidates import generate
from models.quant.option import Contract, Right
from models.quant.outlay import prices_of
from models.quant.pair_space import best_pairs
from models.quant.portfolio import Exposure, exposure_from
from models.quant.proposing import Candidate, propose, top_three
from models.quant.regime import Family, Profile, Regime
from models.quant.scoring import too_alike
from models.quant.screening import size
from models.quant.search_table import table_of
from models.quant.tickets import FAMILIES, join
from tests.quant.proposer_scene import MES, SPX, chain, scene_of, vectors_of

SMALL = chain(days=(31, 38, 45, 59), step=100.0)
OPTIONS = [c for c in SMALL if c.is_option and 4800 <= (c.strike or 0) <= 6800]
VIX = {Regime.LOW: 13.0, Regime.NEUTRAL: 18.0, Regime.HIGH: 26.0, Regime.CRISIS: 38.0}
BOOKS = 1000
PARTS = 20  # tests that share them, so that a failure names its seeds


def drawn_book(rng: random.Random) -> dict[Contract, float]:
    """Mostly short out of the money, some of it covered, now and then a calendar or a future."""
    held: dict[Contract, float] = {}
    for _ in range(rng.randint(1, 5)):
        one = rng.choice([c for c in OPTIONS if ((c.strike or 0) < SPX) == (c.right is Right.PUT)])
        quantity = float(rng.randint(1, 8))
        held[one] = held.get(one, 0.0) - quantity
        if rng.random() < 0.4:
            cover = rng.choice([c for c in OPTIONS if c.right is one.right and c != one])
            held[cover] = held.get(cover, 0.0) + quantity
    if rng.random() < 0.3:
        held[MES] = float(rng.randint(-20, 20))
    return {c: q for c, q in held.items() if q}


def drawn_scene(seed: int) -> Scene:
    rng = random.Random(seed)
    regime = rng.choice(list(VIX))
    profile = Profile.CLASSIC if rng.random() < 0.25 else Profile.DESK
    nlv = float(rng.choice([300_000, 1_000_000, 3_000_000]))
    return scene_of(drawn_book(rng), nlv=nlv, vix=VIX[regime], regime=regime, profile=profile, contracts=SMALL)


def after(scene: Scene, candidate: Candidate) -> Exposure:
    amounts = dict(scene.held)
    for leg in candidate.legs:
        name = leg.contract.identity
        amounts[name] = amounts.get(name, 0.0) + leg.signed_ratio * candidate.quantity
    return exposure_from(
        scene.vectors, scene.vectors.quantities(amounts), scene.exposure.nlv, scene.exposure.margin_used
    )


def caps(scene: Scene, exposure: Exposure) -> dict[tuple[str, str], float]:
    found = detect_breaches(exposure, scene.limits, scene.smallest_lot)
    return {(b.kind.value, b.subject): b.severity for b in found if b.is_cap}


def check_candidate(scene: Scene, candidate: Candidate) -> None:
    now, then = caps(scene, scene.exposure), caps(scene, after(scene, candidate))
    assert not worsened(scene.exposure, after(scene, candidate), scene.limits, scene.smallest_lot)
    assert candidate.full == (not then)
    assert candidate.cure == pytest.approx(sum(now.values()) - sum(then.get(k, 0.0) for k in now), abs=1e-6)
    assert candidate.cure > 0
    assert candidate.cost.total >= 0
    assert candidate.quantity >= 1
    assert len({leg.contract.trading_class for leg in candidate.legs}) == 1
    assert len(candidate.legs) <= 4
    assert max(leg.ratio for leg in candidate.legs) <= 3
    assert gcd(*(leg.ratio for leg in candidate.legs)) == 1


def check_signs(scene: Scene, candidate: Candidate) -> None:
    """The change is the legs' own, and a spread leans as its name says."""
    for name in ("spx_delta", "vega", "vega_weighted", "gamma", "theta"):
        column = getattr(scene.vectors, name)
        legs = sum(
            column[scene.vectors.index[leg.contract.identity]] * leg.signed_ratio * candidate.quantity
            for leg in candidate.legs
        )
        assert candidate.change[name] == pytest.approx(legs, rel=1e-6, abs=1e-6)
    delta = candidate.change["spx_delta"] or 0.0
    if candidate.strategy_name.startswith("Bear"):
        assert delta < 0
    if candidate.strategy_name.startswith("Bull"):
        assert delta > 0


@pytest.mark.parametrize("part", range(PARTS))
def test_every_hedge_of_every_book_stands_up_to_being_valued_again(part: int) -> None:
    for seed in range(part, BOOKS, PARTS):
        scene = drawn_scene(seed)
        found = propose(scene)
        if not caps(scene, scene.exposure):
            assert not found.ranked, seed
            continue
        for candidate in found.ranked[:6]:
            check_candidate(scene, candidate)
            check_signs(scene, candidate)
            allowed = (*scene.limits.families, Family.CLOSE, Family.ROLL, Family.FUTURE, Family.SHARES)
            assert candidate.family in allowed, seed
        top = top_three(found.ranked, scene)
        for one, other in combinations(top, 2):
            alike = too_alike(one.vector, other.vector, scene.hedges.different_cosine)
            assert one.family is not other.family or not alike, seed


def answers(scene: Scene) -> list[tuple[object, ...]]:
    return [
        (c.family, tuple((leg.contract, leg.signed_ratio) for leg in c.legs), c.quantity, pytest.approx(c.cost.total))
        for c in propose(scene).ranked
    ]


@pytest.mark.parametrize("seed", range(12))
def test_the_order_of_positions_and_of_the_chain_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    held = drawn_book(rng)
    shuffled = dict(rng.sample(list(held.items()), len(held)))
    ordered, mixed = scene_of(held, contracts=SMALL), scene_of(shuffled, contracts=tuple(rng.sample(SMALL, len(SMALL))))
    first, second = answers(ordered), answers(mixed)
    assert [a[-1] for a in first] == [a[-1] for a in second]
    assert {a[0] for a in first} == {a[0] for a in second}


def layouts(scene: Scene, held: Mapping[str, float]):
    board = board_of(scene.vectors, held, scene.hedges)
    room, prices = scene_room(scene), prices_of(scene)
    table = table_of(prices, room, scene.hedges)
    pairs = best_pairs(board, table, Family)
    return join([generate(board, scene.hedges, [Family.LONG_OPTION, Family.BUTTERFLY, Family.FUTURE]), pairs.tickets])


@pytest.mark.parametrize("seed", range(20))
def test_twice_the_book_and_twice_the_money_need_twice_the_units_up_to_rounding(seed: int) -> None:
    held = drawn_book(random.Random(seed))
    rules = scene_of({}, contracts=SMALL).hedges
    freely = replace(rules, max_quantity=10**6, max_shares=10**6, cure_to=1.0)

    def sized(times: float):
        base = scene_of({c: times * q for c, q in held.items()}, nlv=times * 1e6, contracts=SMALL,
                        margin_used=times * 2e5)  # fmt: skip
        scene = replace(base, hedges=freely, smallest_lot=0.0, limits=replace(base.limits, contracts=None))
        table = table_of(prices_of(scene), scene_room(scene), freely)
        return scene, size(layouts(once, {}), table)

    once = replace(scene_of(held, contracts=SMALL), hedges=freely, smallest_lot=0.0)
    if not caps(once, once.exposure):
        return
    (_, one), (_, two) = sized(1.0), sized(2.0)
    units = {row.tobytes(): q for row, q, full in zip(_keys(one), one.quantity, one.full, strict=True) if full}
    compared = 0
    for key, q, full in zip(_keys(two), two.quantity, two.full, strict=True):
        if full and key.tobytes() in units:
            assert 2 * units[key.tobytes()] - 1 <= q <= 2 * units[key.tobytes()]
            compared += 1
    assert compared or not units


def _keys(sized) -> np.ndarray:
    return np.hstack([sized.tickets.legs, sized.tickets.ratios])


POISONS = {
    "far above the surface": lambda mid: (1.5 * mid, 1.52 * mid),
    "far below the surface": lambda mid: (0.5 * mid, 0.52 * mid),
    "wide": lambda mid: (0.7 * mid, 1.3 * mid),
    "crossed": lambda mid: (1.3 * mid, 0.9 * mid),
    "worth nothing": lambda _: (0.0, 0.0),
}


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("seed", range(8))
def test_a_poisoned_quote_never_makes_the_list(poison: str, seed: int) -> None:
    rng = random.Random(seed)
    held = drawn_book(rng)
    fair = vectors_of(SMALL)
    prices = fair.value / fair.multiplier
    bad = {c.identity: POISONS[poison](prices[i]) for i, c in enumerate(SMALL) if c.is_option and rng.random() < 0.3}
    scene = scene_of(held, contracts=SMALL, bid_ask=bad, fitted=prices)
    clean = scene_of(held, contracts=SMALL)
    scene = replace(scene, exposure=clean.exposure)
    for candidate in propose(scene).ranked:
        opened = {leg.contract.identity for leg in candidate.legs} - set(scene.held)
        assert not opened & set(bad), candidate.words


@pytest.mark.parametrize("seed", range(20))
def test_a_chain_with_holes_still_gives_hedges_that_stand(seed: int) -> None:
    rng = random.Random(seed)
    held = drawn_book(rng)
    torn = tuple(c for c in SMALL if rng.random() < 0.5 or not c.is_option)
    scene = scene_of(held, contracts=torn)
    for candidate in propose(scene).ranked[:6]:
        check_candidate(scene, candidate)


@pytest.mark.parametrize("seed", range(40))
def test_a_calendar_is_counted_by_its_weighted_vega(seed: int) -> None:
    """Selling the near and buying the far is long vega, but not long weighted vega by as much: only that counts."""
    rng = random.Random(seed)
    scene = scene_of(drawn_book(rng), contracts=SMALL, vix=18.0)
    tight = replace(scene, limits=replace(scene.limits, vega_floor=(scene.exposure.vega_weighted or 0.0) / 2))
    for candidate in propose(tight).ranked:
        if "vega" in candidate.cured:
            assert (candidate.after["vega_weighted"] or 0.0) >= (tight.limits.vega_floor or 0.0) - 1e-6
            assert (candidate.change["vega_weighted"] or 0.0) > 0


def test_cheap_naked_tails_never_pass_the_stress_grid() -> None:
    """Far puts sold bring theta for little vega and delta; the grid's far corner is what they cost."""
    scene = drawn_scene(3)
    v = scene.vectors
    far = [i for i, c in enumerate(v.contracts) if c.is_option and c.right is Right.PUT and (c.strike or 0) <= 4600]
    sold = np.array([[i, -1, -1, -1, -1, -1] for i in far])
    tickets = generate(board_of(v, {}, scene.hedges), scene.hedges, [Family.LONG_OPTION])
    short = replace(tickets, legs=sold, ratios=np.sign(sold) * -1 * (sold == sold[:, :1]),
                    family=np.full(len(far), FAMILIES.index(Family.CUSTOM)), most=np.full(len(far), 2**31 - 1),
                    closes=np.zeros(len(far), dtype=bool))  # fmt: skip
    room = scene_room(scene)
    sized = size(short, table_of(prices_of(scene), room, scene.hedges))
    for row in range(len(sized)):
        grid = v.stress[sized.tickets.legs[row, 0]] * sized.tickets.ratios[row, 0] * sized.quantity[row]
        worst = (np.asarray(scene.exposure.stress) + grid).min()
        assert -worst <= max(scene.limits.stress_worst or 0.0, scene.exposure.stress_worst or 0.0) + 1.0
