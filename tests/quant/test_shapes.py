"""Families told from legs and book: what the search builds is recognised, closings and rolls come first."""

import numpy as np
import pytest

from models.quant.board import board_of
from models.quant.candidates import MAKERS, generate
from models.quant.regime_rules import Family
from models.quant.shapes import family_of, shape_of
from models.quant.structure import Action, Leg
from models.quant.tickets import FAMILIES
from tests.quant.proposer_scene import MES, SPY, book_of_rules, chain, option, vectors_of


@pytest.mark.parametrize("family", MAKERS, ids=str)
def test_every_ticket_that_the_search_builds_is_of_its_family(family: Family) -> None:
    contracts = chain(days=(33, 40, 47), step=25.0)
    rules = book_of_rules().hedges
    tickets = generate(board_of(vectors_of(contracts), {}, rules), rules, [family])
    assert len(tickets)
    for row in np.linspace(0, len(tickets) - 1, 40).astype(int):
        used = tickets.ratios[row] != 0
        legs = [
            Leg(contracts[i], Action.BUY if ratio > 0 else Action.SELL, abs(int(ratio)))
            for i, ratio in zip(tickets.legs[row][used], tickets.ratios[row][used], strict=True)
        ]
        assert family_of(legs, 1, {}) is FAMILIES[int(tickets.family[row])], [str(leg.contract) for leg in legs]


LOW, MID, HIGH = (option(strike, 33, "P") for strike in (5700.0, 5800.0, 5900.0))
LATER = option(5800.0, 47, "P")


def buy(contract, ratio: int = 1) -> Leg:
    return Leg(contract, Action.BUY, ratio)


def sell(contract, ratio: int = 1) -> Leg:
    return Leg(contract, Action.SELL, ratio)


@pytest.mark.parametrize(
    ("legs", "quantity", "held", "family"),
    [([buy(MID)], 2, {MID: -2.0}, Family.CLOSE), ([buy(MID)], 3, {MID: -2.0}, Family.LONG_OPTION),
     ([buy(MID), sell(LATER)], 2, {MID: -2.0}, Family.ROLL), ([buy(MID), sell(LATER)], 2, {}, Family.CALENDAR),
     ([buy(MID), sell(LATER)], 2, {MID: -2.0, LATER: 2.0}, Family.CLOSE),
     ([buy(MID), sell(LOW)], 1, {MID: -1.0}, Family.ROLL), ([buy(MID), sell(LOW)], 1, {}, Family.DEBIT_SPREAD),
     ([sell(MES)], 1, {MES: 2.0}, Family.CLOSE), ([sell(MES)], 1, {}, Family.FUTURE),
     ([buy(SPY)], 9, {}, Family.SHARES),
     ([sell(MID)], 1, {}, Family.SHORT_STRANGLE), ([buy(MID), sell(LOW, 2)], 1, {}, Family.SHORT_STRANGLE),
     ([sell(LOW), buy(MID, 3), sell(HIGH)], 1, {}, Family.COMBINATION)],
)  # fmt: skip
def test_the_book_decides_before_the_shape(legs, quantity, held, family) -> None:
    assert family_of(legs, quantity, {c.identity: q for c, q in held.items()}) is family


def test_a_short_leg_without_its_twin_is_a_bare_short_and_an_odd_one_has_no_name() -> None:
    call = option(6300.0, 33, "C")
    assert shape_of([sell(MID), sell(call)]) is Family.SHORT_STRANGLE
    assert shape_of([sell(MID), sell(call), buy(LOW)]) is Family.JADE_LIZARD
    assert shape_of([buy(HIGH), sell(MID), sell(call), buy(LATER)]) is Family.COMBINATION
