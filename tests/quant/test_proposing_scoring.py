"""Scores, sizes and rooms against numbers from outside the code and against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.quant.breach import BreachKind
from models.quant.candidate import MarginEffect
from models.quant.regime import Regime
from models.quant.room import DELTA, GAMMA, STRESS, VEGA, WIDTH, room_of, ticket_room
from models.quant.scoring import (
    delta_reduction,
    efficiency_score,
    margin_cost,
    order_by_merit,
    too_alike,
    vega_reduction,
)
from models.quant.structure import Action, Leg
from models.quant.weighing import _premium, capital_impact
from tests.quant.proposer_scene import book_of_rules
from tests.quant.quant_market import future, option, stock

RULES = book_of_rules()


def test_the_efficiency_score_is_the_vector_of_the_domain():
    assert round(efficiency_score(50, 5, 1500, 2) or 0, 4) == 0.0666


def test_an_unknown_margin_has_no_score_and_a_margin_free_hedge_a_finite_one():
    assert efficiency_score(50, 5, None, 2) is None
    assert efficiency_score(50, 5, -4000, 2) == pytest.approx(100 / 2.3)


@pytest.mark.parametrize(
    ("before", "after", "reduced"),
    [(-8000, -6000, 2000), (-8000, -3000, 3200), (-8000, -9000, 0), (-4000, -1000, 0), (-8000, 500, 3200)],
)
def test_vega_is_reduced_only_toward_its_floor(before, after, reduced):
    assert vega_reduction(before, after, -4800) == reduced


@pytest.mark.parametrize(
    ("before", "after", "shares"), [(1500, 1300, 200 / 60), (1500, -1500, 0), (-1500, 0, 300 / 60), (900, 0, 0)]
)
def test_delta_is_reduced_only_toward_its_cap_and_counted_in_spx_shares(before, after, shares):
    assert delta_reduction(before, after, 1200, 6000) == pytest.approx(shares)


def test_full_cures_rank_before_cheap_partial_ones_and_ties_by_the_worst_cell():
    full = np.array([False, True, True, True])
    cost, cure = np.array([1.0, 90.0, 80.0, 80.0]), np.array([1.0, 1.0, 1.0, 1.0])
    worst = np.array([0.0, 0.0, -500.0, -100.0])
    assert list(order_by_merit(full, cost, cure, worst)) == [3, 2, 1, 0]


def test_two_hedges_of_one_direction_are_alike_whatever_their_size():
    assert too_alike((1, 2, 3, 4), (2, 4, 6, 8), 0.95)
    assert not too_alike((1, 0, 0, 0), (0, 1, 0, 0), 0.95)


def test_margin_costs_interest_for_five_days_and_unknown_stays_unknown():
    assert margin_cost(73_000.0, RULES.hedges) == pytest.approx(5 / 365 * 73_000 * 0.06)
    assert margin_cost(-5.0, RULES.hedges) == 0
    assert margin_cost(None, RULES.hedges) is None


# ── the room ────────────────────────────────────────────────────────────────────────────────────────────────────
LIMITS = RULES.limits("desk", Regime.NEUTRAL, 1e6, 18.0, 1.0)
number = st.floats(-20_000, 20_000).map(lambda x: round(x, 2))


def measures(delta=0.0, gamma=0.0, vega=0.0, shock=0.0):
    total = np.zeros(WIDTH)
    total[[DELTA, GAMMA, VEGA]] = delta, gamma, vega
    total[STRESS] = shock
    return total


def harmed(before, after, limits=LIMITS, lot=0.0):
    """Brute force of the rule: no cap created or deepened, no side of delta traded for the other."""
    cap = max(limits.delta_cap, lot / 2)

    def excess(m):
        loss = max(-m[STRESS].min(), 0)
        return (
            max(m[DELTA] - cap, 0), max(-m[DELTA] - cap, 0), max(-m[GAMMA] - limits.gamma_cap, 0),
            max(limits.vega_floor - m[VEGA], 0), max(loss - limits.stress_near, 0), max(loss - limits.stress_worst, 0),
        )  # fmt: skip

    return any(b > a + 1e-4 for a, b in zip(excess(before), excess(after), strict=True))


@given(number, number, number, number, number, number)
def test_the_most_that_harms_nothing_is_what_brute_force_finds(delta, gamma, vega, by_delta, by_gamma, by_vega):
    before, unit = measures(delta, gamma, vega), measures(by_delta, by_gamma, by_vega)
    most = ticket_room(room_of(before, LIMITS, 0.0), unit).most(12)
    allowed = next((n - 1 for n in range(1, 13) if harmed(before, before + n * unit)), 12)
    edge = [harmed(before, before + n * unit) for n in range(most + 1)]
    assert most == allowed or not any(edge)


def test_orders_in_flight_count_at_their_worst_on_either_side():
    filled = measures(delta=5000.0)
    room = room_of(measures(), LIMITS, 0.0, [filled])
    assert ticket_room(room, measures(delta=1000.0)).most(20) == 3
    assert ticket_room(room, measures(delta=-1000.0)).most(20) == 8


def test_an_unknown_book_lets_only_reducing_pass_and_an_unknown_ticket_nothing():
    unknown = measures()
    unknown[VEGA] = np.nan
    room = room_of(unknown, LIMITS, 0.0)
    assert ticket_room(room, measures(vega=-1.0)).most(5) == 0
    assert ticket_room(room, measures(vega=1.0)).most(5) == 5
    assert ticket_room(room_of(measures(), LIMITS, 0.0), unknown).most(5) == 0


def test_a_loss_in_one_cell_counts_for_its_limit_only():
    far, near = measures(), measures()
    far[STRESS.start] = -100_000.0  # spot −20 %, vol −3
    near[STRESS.start + 7 * 7 + 1] = -100_000.0  # spot unchanged, vol unchanged
    room = room_of(measures(), LIMITS, 0.0)
    assert ticket_room(room, far).most(9) == 2
    assert ticket_room(room, near).most(9) == 1


def test_excess_liquidity_after_the_shock_must_stay():
    room = room_of(measures(), LIMITS, 0.0, margin=950_000.0)
    shock = measures(shock=-10_000.0)
    assert ticket_room(room, shock).most(20) == 5
    assert BreachKind.EXCESS_LIQUIDITY in room.kinds


@pytest.mark.parametrize("side", [1, -1])
def test_the_capital_of_a_future_or_of_shares_is_its_margin_alone(side: int) -> None:
    action = Action.BUY if side > 0 else Action.SELL
    estimate = MarginEffect(2_420.0, 2_200.0, source="estimate")
    for contract in (future("MES", 5), stock("SPY")):
        assert capital_impact(estimate, _premium((Leg(contract, action),), -side * 30_000.0)) == 2_420.0
    assert capital_impact(estimate, _premium((Leg(option(5800.0), action),), -side * 500.0)) == 2_420.0 + side * 500.0
