"""The search against trying: sizes ticket by ticket, and the best of every pair against a walk that skips nothing."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.quant.aftermath import scene_room
from models.quant.board import board_of
from models.quant.candidate import Scene
from models.quant.kernels import layout
from models.quant.outlay import prices_of
from models.quant.pair_space import VERTICALS, best_pairs
from models.quant.regime import Regime
from models.quant.regime_rules import Family
from models.quant.room import Room
from models.quant.screening import size
from models.quant.search_table import Table, table_of
from models.quant.tickets import FAMILIES, join, tickets_of
from tests.quant.plain_sizing import plain_size
from tests.quant.proposer_scene import MES, chain, option, scene_of, short_strangles

SMALL = chain(days=(33, 40, 47), step=100.0)
BOOKS = {
    "short volatility": (short_strangles(10, days=40), Regime.NEUTRAL),
    "short puts in crisis": ({option(5600, 40, "P"): -3.0, option(6400, 47, "C"): 2.0}, Regime.CRISIS),
    "long delta": ({MES: 60.0, option(6000, 33, "C"): 1.0}, Regime.HIGH),
    "calendar spread": ({option(6000, 33, "P"): -40.0, option(6000, 47, "P"): 30.0}, Regime.HIGH),
}


@cache
def asked(name: str) -> tuple[Scene, Room, Table]:
    held, regime = BOOKS[name]
    scene = scene_of(
        held, regime=regime, contracts=SMALL, vix={Regime.CRISIS: 40.0, Regime.HIGH: 24.0}.get(regime, 18.0)
    )
    room = scene_room(scene)
    return scene, room, table_of(prices_of(scene), room, scene.hedges)


def test_every_book_here_has_something_to_cure() -> None:
    assert all((room.excess > 0).any() for _, room, _ in map(asked, BOOKS))


WORTH = [int(row) for row in board_of(asked("long delta")[0].vectors, {}, asked("long delta")[0].hedges).rows]
legs_of_a_ticket = st.dictionaries(
    st.sampled_from(WORTH), st.sampled_from([-3, -2, -1, 1, 2, 3]), min_size=1, max_size=6
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(BOOKS)), legs_of_a_ticket)
def test_the_size_of_a_ticket_is_what_trying_finds(name: str, legs: dict[int, int]) -> None:
    scene, room, table = asked(name)
    common = math.gcd(*legs.values())
    rows, ratios = list(legs), [ratio // common for ratio in legs.values()]
    prices, lots = prices_of(scene), scene.hedges.max_quantity
    ticket = tickets_of(np.array([rows]), np.array([ratios]), np.array([FAMILIES.index(Family.CUSTOM)]))
    terms = table.rows.terms.copy()
    terms[layout.CAPITAL] = np.inf
    free = replace(table, rows=table.rows._replace(terms=terms))
    found = size(ticket, free)
    plain = plain_size(rows, ratios, prices, room, scene.hedges, lots)
    if not plain.quantity:
        assert not len(found)
        return
    assert len(found) == 1
    assert (int(found.quantity[0]), bool(found.full[0])) == (plain.quantity, plain.full)
    assert found.cure[0] == pytest.approx(plain.cure, rel=1e-6, abs=1e-6)
    unit = sum(abs(r) * (prices.buying if r > 0 else prices.selling)[i] + abs(r) * prices.fee[i]
               for i, r in zip(rows, ratios, strict=True))  # fmt: skip
    theta = max(-sum(r * prices.theta[i] for i, r in zip(rows, ratios, strict=True)), 0.0)
    assert found.cost[0] == pytest.approx(plain.quantity * (unit + scene.hedges.cost_days * theta))


@pytest.mark.parametrize("name", BOOKS)
def test_no_vertical_that_the_walk_skips_is_better_than_those_it_keeps(name: str) -> None:
    scene, _, table = asked(name)
    board = board_of(scene.vectors, {}, scene.hedges)
    everything = []
    for call, shapes in VERTICALS.items():
        for shape in shapes:
            rows = [
                (a, b) for a in board.rows for b in board.rows
                if board.group[a] == board.group[b] and board.is_call[a] == call and board.strike[a] < board.strike[b]
            ]  # fmt: skip
            family = np.full(len(rows), FAMILIES.index(shape.family))
            everything.append(tickets_of(np.array(rows), np.array([shape.ratios] * len(rows)), family))
    families = (Family.DEBIT_SPREAD, Family.CREDIT_SPREAD, Family.BACKSPREAD)
    whole, kept = size(join(everything), table), best_pairs(board, table, families)
    found = size(kept.tickets, table)
    assert kept.looked_at == sum(map(len, everything))
    assert kept.counts.sum() == kept.looked_at
    for family in map(FAMILIES.index, families):
        fulls = [np.sort((s.cost / s.cure)[(s.tickets.family == family) & s.full]) for s in (whole, found)]
        assert fulls[1] == pytest.approx(fulls[0][: len(fulls[1])])
        assert len(fulls[1]) == min(len(fulls[0]), 64)
        if not len(fulls[0]):
            part = [np.sort((s.cost / s.cure)[(s.tickets.family == family) & ~s.full]) for s in (whole, found)]
            assert part[1] == pytest.approx(part[0][: len(part[1])])
            assert len(part[1]) == min(len(part[0]), 64)


def test_a_contract_with_an_unknown_number_is_in_no_ticket_that_is_kept() -> None:
    scene, room, _ = asked("short volatility")
    v = scene.vectors
    theta = v.theta.copy()
    theta[: len(v) // 2] = np.nan
    blind = replace(scene, vectors=replace(v, theta=theta))
    table = table_of(prices_of(blind), room, scene.hedges)
    board = board_of(blind.vectors, {}, scene.hedges)
    found = best_pairs(board, table, Family)
    assert len(found.tickets)
    assert np.isfinite(theta[found.tickets.legs[:, :2]]).all()
    odd = tickets_of(np.array([[0, len(v) - 5]]), np.array([[1, -1]]), np.array([FAMILIES.index(Family.CUSTOM)]))
    assert not len(size(odd, table))
