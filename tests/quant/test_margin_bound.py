"""The fast bound: never below the exact change whatever the book holds, and exact where a ticket stands alone."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.quant.kernels.jit import kernel
from models.quant.kernels.margin import pair_bound
from models.quant.margin import MarginBook, estimate_margin
from models.quant.margin_bound import bound_table, margin_bound
from models.quant.margin_rules import CBOE, IBKR, StrategyRules
from models.quant.option import Contract, Right, SecType
from models.quant.regime_rules import Family
from models.quant.terms import Holding
from models.quant.tickets import WIDEST, Tickets, ticket_block
from tests.quant.quant_market import EXPIRIES, SPOT, future, mark, market, option, stock

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
STRIKES = (5700.0, 5900.0, 6000.0, 6100.0, 6300.0)
OPTIONS = [option(k, r, e) for e in EXPIRIES[:2] for k in STRIKES for r in "CP"]
FAR = option(6000.0, "C", EXPIRIES[3].replace(year=2027))  # lent on
SHARES = [stock("SPY"), future("ES", 50), future("MES", 5)]
ON_FUTURE = [
    Contract("ES", SecType.FUTURE_OPTION, "EW1", 50, EXPIRIES[1], k, Right(r)) for k in (5800.0, 6100.0) for r in "CP"
]
CHAIN = [*OPTIONS, FAR, *SHARES, *ON_FUTURE]


def worth(c: Contract) -> float:
    """Intrinsic value of what it moves with, and a time value."""
    assert c.strike is not None
    away = (6030.0 if c.symbol == "ES" else SPOT) - c.strike
    return max(away if c.right is Right.CALL else -away, 0.0) + 40.0 * math.exp(-abs(away) / 250.0)


VIEW = market(surfaces={}, marks={c.identity: mark(worth(c)) for c in [*OPTIONS, FAR, *ON_FUTURE]})
count = st.sampled_from([-3, -2, -1, 1, 2, 3])


def one(rows: list[int], ratios: list[int]) -> Tickets:
    return ticket_block(Family.CLOSE, [np.array([row]) for row in rows], ratios)


def bound(book: list[Holding], rows: list[int], ratios: list[int], rules: StrategyRules = CBOE) -> float:
    return float(margin_bound(one(rows, ratios), bound_table(CHAIN, book, VIEW, rules))[0])


@given(
    st.dictionaries(st.sampled_from(range(len(CHAIN))), count, max_size=7),
    st.dictionaries(st.sampled_from(range(len(CHAIN))), count, min_size=1, max_size=WIDEST),
    st.integers(1, 3),
    st.sampled_from([CBOE, IBKR]),
)
@settings(max_examples=100, deadline=None)
def test_the_exact_change_never_exceeds_the_bound(
    held: dict[int, int], ticket: dict[int, int], quantity: int, rules: StrategyRules
) -> None:
    lot = {row: 1000 if CHAIN[row].sec_type is SecType.STOCK else 1 for row in range(len(CHAIN))}
    book = [Holding(CHAIN[row], q * lot[row]) for row, q in held.items()]
    change = MarginBook(book, VIEW, rules).change([Holding(CHAIN[row], q * quantity) for row, q in ticket.items()])
    most = quantity * bound(book, list(ticket), list(ticket.values()), rules)
    assert change.initial is not None and change.maintenance is not None
    assert max(change.initial, change.maintenance) <= most + 0.02


@given(st.dictionaries(st.sampled_from(range(10)), count, min_size=1, max_size=WIDEST))
@settings(max_examples=150, deadline=None)
def test_a_ticket_of_one_expiry_beside_nothing_is_bound_exactly(ticket: dict[int, int]) -> None:
    alone = estimate_margin([Holding(OPTIONS[row], q) for row, q in ticket.items()], VIEW).initial
    assert bound([], list(ticket), list(ticket.values())) == pytest.approx(alone, abs=0.01)


@kernel("void(i8[:,::1],i8[:,::1],f8[:,::1],f8[:,::1],f8[::1])")
def pairs(legs: Whole, ratios: Whole, facts: Floats, arrays: Floats, out: Floats) -> None:
    for c in range(len(out)):
        out[c] = pair_bound(legs[c, 0], ratios[c, 0], legs[c, 1], ratios[c, 1], facts, arrays)


@pytest.mark.parametrize("seed", range(20))
def test_two_legs_have_the_same_bound_as_a_pair_and_in_a_wider_table(seed: int) -> None:
    draw = np.random.default_rng(seed)
    blind = Contract("XYZ", SecType.OPTION, "XYZ", 100, EXPIRIES[1], 45.0, Right.PUT)
    book = [Holding(CHAIN[row], float(draw.choice([-3, -1, 2]))) for row in draw.choice(len(CHAIN), 6, replace=False)]
    table = bound_table([*CHAIN, blind], book, VIEW, CBOE if seed % 2 else IBKR)
    n = len(CHAIN) + 1
    legs = np.array([(i, j) for i in range(n) for j in range(n) if i != j])
    ratios = draw.choice([-3, -2, -1, 0, 1, 2, 3], legs.shape)
    found = np.empty(len(legs))
    pairs(legs, ratios, table.facts, table.arrays, found)
    for width in (2, 6):
        wide = np.full((2, len(legs), width), -1)
        wide[1] = 0
        wide[:, :, :2] = legs, ratios
        family, most, closes = np.zeros(len(legs), np.int64), np.ones(len(legs), np.int64), np.zeros(len(legs), bool)
        general = margin_bound(Tickets(wide[0], wide[1], family, most, closes), table)
        np.testing.assert_allclose(found, general, rtol=1e-14, atol=1e-9)


@pytest.mark.parametrize(
    ("legs", "wanted"),
    [
        ([("C", 6100, 1, -1), ("C", 6300, 1, 1)], 20_000),
        ([("C", 6100, 1, 1), ("C", 6300, 1, -1)], 0),
        ([("P", 5700, 1, 1), ("P", 5900, 1, -1), ("C", 6100, 1, -1), ("C", 6300, 1, 1)], 20_000),
        ([("P", 5900, 1, 2), ("P", 6000, 1, -1)], 10_000),
        ([("C", 6000, 0, -1), ("C", 6000, 1, 1)], 0),
    ],
)
def test_tickets_by_hand(legs: list[tuple[str, float, int, int]], wanted: float) -> None:
    contracts = [option(float(strike), right, EXPIRIES[expiry]) for right, strike, expiry, _ in legs]
    assert bound([], [CHAIN.index(c) for c in contracts], [n for *_, n in legs]) == pytest.approx(wanted)


def test_where_shorts_of_two_expiries_meet_the_bound_is_one_but_not_the_least() -> None:
    legs = [(option(5900.0, "P", EXPIRIES[1]), -1), (option(6000.0, "P", EXPIRIES[0]), -1)]
    legs.append((option(5700.0, "P", EXPIRIES[1]), 2))
    exact = estimate_margin([Holding(c, n) for c, n in legs], VIEW).initial
    assert exact == pytest.approx(20_000 + 30_000)
    assert bound([], [CHAIN.index(c) for c, _ in legs], [n for _, n in legs]) >= exact


def test_closings_and_what_opens_beside_them() -> None:
    put, wing = CHAIN.index(option(5900.0)), CHAIN.index(option(5700.0))
    short = [Holding(CHAIN[put], -2)]
    assert bound(short, [put], [1]) == 0.0
    naked = bound([], [put], [-1])
    assert bound(short, [put], [-1]) == pytest.approx(naked)
    spread = [*short, Holding(CHAIN[wing], 2)]
    assert bound(spread, [wing], [-1]) >= naked  # its short is left alone
    # a future is net with what is held, which the bound leaves aside
    es = CHAIN.index(future("ES", 50))
    assert bound([Holding(CHAIN[es], -1)], [es], [1]) == pytest.approx(24_200)


def test_unknown_prices_give_no_bound() -> None:
    blind = Contract("XYZ", SecType.OPTION, "XYZ", 100, EXPIRIES[1], 45.0, Right.PUT)
    table = bound_table([blind, *CHAIN], [], VIEW)
    legs = [one([0], [-1]), one([0], [1]), one([1, 0], [1, -1]), one([1], [-1])]
    found = [float(margin_bound(t, table)[0]) for t in legs]
    assert np.isnan(found[:3]).all()
    assert math.isfinite(found[3])


def test_legs_of_two_underlyings_or_sizes_do_not_cover_each_other() -> None:
    xsp = [option(600.0, "P", EXPIRIES[1], "XSP", "XSP"), option(590.0, "P", EXPIRIES[1], "XSP", "XSP")]
    view = market(marks={**VIEW.marks, **{c.identity: mark(2.0) for c in xsp}}, surfaces={})
    table = bound_table([*xsp, *CHAIN], [], view)
    long = 2 + CHAIN.index(option(5700.0))
    apart = float(margin_bound(one([0, long], [-1, 1]), table)[0])
    assert apart == pytest.approx(float(margin_bound(one([0], [-1]), table)[0]))
    assert float(margin_bound(one([0, 1], [-1, 1]), table)[0]) == pytest.approx(1000)
