"""The cheapest pairing against every pairing there is, against the greedy one, and by the laws it must obey."""

import math
from collections.abc import Sequence
from functools import partial
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, milp

from models.quant.covering import Lot, cover
from models.quant.margin import MarginBook, estimate_margin, naked_requirement
from models.quant.margin_book import netted
from models.quant.margin_rules import BROAD, IBKR
from models.quant.option import Contract, Right
from models.quant.terms import Holding
from tests.quant.quant_market import EXPIRIES, SPOT, mark, market, option

STRIKES = (5600.0, 5800.0, 5900.0, 6000.0, 6100.0, 6200.0, 6500.0)
CHAIN = [option(k, r, e) for e in EXPIRIES[:3] for k in STRIKES for r in "CP"]
VIEW = market(
    surfaces={},
    marks={
        c.identity: mark(
            max(SPOT - c.strike if c.right is Right.CALL else c.strike - SPOT, 0.0)  # type: ignore[operator]
            + (20.0 + 15.0 * i) * math.exp(-abs(c.strike - SPOT) / 250.0)  # type: ignore[operator]
        )
        for i, e in enumerate(EXPIRIES[:3])
        for c in CHAIN
        if c.expiry == e
    },
)


def price(c: Contract) -> float:
    return VIEW.marks[c.identity].price


def alone(c: Contract) -> float:
    assert c.strike is not None
    return 100 * naked_requirement(SPOT, c.strike, price(c), c.right is Right.CALL, BROAD)


def asked(book: Sequence[Holding]) -> float:
    initial = estimate_margin(book, VIEW, IBKR).initial
    assert initial is not None
    return initial


def payoff(c: Contract, at: float) -> float:
    assert c.strike is not None
    return 100 * max(at - c.strike if c.right is Right.CALL else c.strike - at, 0.0)


def spread_cost(shorts: Sequence[Contract], longs: Sequence[Contract]) -> float:
    """The most that can be owed at any price of a fine grid; infinite where longs are short in number."""
    for right in Right:
        if sum(c.right is right for c in shorts) > sum(c.right is right for c in longs):
            return math.inf
    grid = [0.0, *range(5500, 6600, 50), 20_000.0]
    return max(0.0, *(sum(payoff(c, s) for c in shorts) - sum(payoff(c, s) for c in longs) for s in grid))


def naked_cost(shorts: Sequence[Contract]) -> float:
    """Every matching of calls with puts."""
    calls = [c for c in shorts if c.right is Right.CALL]
    puts = [c for c in shorts if c.right is Right.PUT]
    few, many = sorted((calls, puts), key=len)
    best = math.inf
    for order in permutations(many, len(few)):
        for together in product((False, True), repeat=len(few)):
            total = sum(alone(c) for c in shorts)
            for a, b, paired in zip(few, order, together, strict=True):
                if paired:
                    larger, smaller = (a, b) if alone(a) >= alone(b) else (b, a)
                    total += alone(larger) + 100 * price(smaller) - alone(a) - alone(b)
            best = min(best, total)
    return best


def least(shorts: Sequence[Contract], longs: Sequence[Contract]) -> float:
    """Each short naked or in its expiry's spread, each long in one spread it outlives or loose: all of them."""
    ends = sorted({c.expiry for c in shorts})  # type: ignore[type-var]
    choices = [[None, *(e for e in ends if e <= c.expiry)] for c in longs]  # type: ignore[operator]
    best = math.inf
    for inside in product((False, True), repeat=len(shorts)):
        bare = naked_cost([c for c, i in zip(shorts, inside, strict=True) if not i])
        for places in product(*choices):
            total = bare
            for end in ends:
                mine = [c for c, i in zip(shorts, inside, strict=True) if i and c.expiry == end]
                if mine:
                    total += spread_cost(mine, [c for c, p in zip(longs, places, strict=True) if p == end])
            best = min(best, total)
    return best


quantities = st.sampled_from([-3, -2, -1, 1, 2, 3])
legs = st.lists(st.tuples(st.sampled_from(CHAIN), quantities), min_size=1, max_size=6, unique_by=lambda leg: leg[0])


def held(book: Sequence[tuple[Contract, int]]) -> list[Holding]:
    return [Holding(c, q) for c, q in book]


@given(legs.filter(lambda book: sum(abs(q) for _, q in book) <= 8 and sum(-min(q, 0) for _, q in book) <= 4))
@settings(max_examples=60, deadline=None)
def test_no_pairing_asks_less(book: list[tuple[Contract, int]]) -> None:
    shorts = [c for c, q in book for _ in range(-q)]
    longs = [c for c, q in book for _ in range(q)]
    assert asked(held(book)) == pytest.approx(least(shorts, longs), abs=0.01)


def greedy(book: Sequence[Holding]) -> float:
    """The pairing of `covering` and naked lots by the dearest first: what the desk asked before."""
    total = 0.0
    for group in cover([Lot(h.contract, h.quantity, i) for i, h in enumerate(book)]):
        total += sum(s.risk for s in group.spreads)
        units = [lot.contract for lot in group.naked for _ in range(round(-lot.quantity))]
        calls = sorted((c for c in units if c.right is Right.CALL), key=alone, reverse=True)
        puts = sorted((c for c in units if c.right is Right.PUT), key=alone, reverse=True)
        for a, b in zip(calls, puts, strict=False):
            larger, smaller = (a, b) if alone(a) >= alone(b) else (b, a)
            total += alone(larger) + 100 * price(smaller)
        total += sum(alone(c) for c in (*calls[len(puts) :], *puts[len(calls) :]))
    return total


@given(legs)
@settings(max_examples=80, deadline=None)
def test_the_greedy_pairing_never_asks_less(book: list[tuple[Contract, int]]) -> None:
    assert asked(held(book)) <= greedy(held(book)) + 0.01


@given(legs, legs)
@settings(max_examples=60, deadline=None)
def test_two_books_side_by_side_never_ask_more_than_apart(
    a: list[tuple[Contract, int]], b: list[tuple[Contract, int]]
) -> None:
    one, other = dict(a), {c: q for c, q in b if dict(a).get(c, q) * q > 0}  # nothing is netted away
    both = [Holding(c, one.get(c, 0) + other.get(c, 0)) for c in {**one, **other}]
    assert asked(both) <= asked(held(a)) + asked(held(list(other.items()))) + 0.01


@given(legs, st.sampled_from(CHAIN), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_buying_back_a_short_or_buying_a_long_never_asks_more(
    book: list[tuple[Contract, int]], more: Contract, count: int
) -> None:
    now = dict(book)
    if now.get(more, 0) < 0:
        count = min(count, -now[more])
    after = {**now, more: now.get(more, 0) + count}
    assert asked(held(list(after.items()))) <= asked(held(book)) + 0.01


@given(legs, st.integers(2, 4))
@settings(max_examples=40, deadline=None)
def test_a_multiple_of_a_book_asks_at_most_the_multiple(book: list[tuple[Contract, int]], times: int) -> None:
    assert asked([Holding(c, q * times) for c, q in book]) <= times * asked(held(book)) + 0.01


def test_the_order_of_the_legs_does_not_matter() -> None:
    book = [
        Holding(option(5800.0), -2), Holding(option(5600.0), 1), Holding(option(5900.0), 1),
        Holding(option(6200.0, "C"), -1), Holding(option(6500.0, "C"), 1),
    ]  # fmt: skip
    amounts = {asked([book[i] for i in order]) for order in permutations(range(5), 5)}
    assert max(amounts) - min(amounts) < 0.01


def test_a_short_that_could_be_covered_is_left_naked_where_that_asks_less() -> None:
    """A far cover asks 50 000 beside the put's 92 000; uncovered, the straddle asks 92 000 and the call's 2 000."""
    call, wing, put = option(6000.0, "C"), option(6500.0, "C"), option(6000.0)
    view = market(marks={call.identity: mark(20.0), put.identity: mark(20.0), wing.identity: mark(1.0)})
    for n in (1, 2, 3):
        e = estimate_margin([Holding(call, -n), Holding(wing, n), Holding(put, -n)], view)
        assert e.initial == pytest.approx(n * 94_000)
        assert {line.what for line in e.lines} == {"SPX naked straddle", "SPX long, paid in full"}


def test_longs_go_where_they_save_most() -> None:
    """The late long fits both shorts, the early one only the early short: each takes its own."""
    early, late = EXPIRIES[1], EXPIRIES[2]
    book = [
        Holding(option(5900.0, "P", early), -1),
        Holding(option(5900.0, "P", late), -1),
        Holding(option(5900.0, "P", late), 1),
        Holding(option(5800.0, "P", early), 1),
    ]
    netted = [book[0], book[3], Holding(option(5800.0, "P", late), -1), Holding(option(5900.0, "P", late), 1)]
    assert asked(book) == pytest.approx(10_000)  # the late pair is flat
    assert asked(netted) == pytest.approx(10_000)


def test_a_search_without_time_leaves_every_short_alone_and_the_method_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import models.quant.margin_pairing as pairing

    book = [Holding(option(5700.0), -2), Holding(option(5600.0), 2)]
    best = estimate_margin(book, market())
    monkeypatch.setattr(pairing, "_NODES", 0)
    alone = estimate_margin(book, market())
    naked = estimate_margin(book[:1], market())
    assert best.initial is not None and alone.initial is not None
    assert alone.initial == pytest.approx(naked.initial)
    assert alone.initial > best.initial
    assert "cut short" in alone.method
    assert "cut short" not in best.method


def other_solver(book: Sequence[Holding]) -> float:
    """HiGHS on every pair of a naked call with a naked put, and on a spread's loss at every hundred points."""
    shorts = [h for h in book if h.quantity < 0]
    longs = [h for h in book if h.quantity > 0]
    if not shorts:
        return 0.0
    calls, puts = ([h for h in shorts if h.contract.right is r] for r in (Right.CALL, Right.PUT))
    ends = sorted({h.contract.expiry for h in shorts})  # type: ignore[type-var]
    fits = [(h, e) for h in longs for e in ends if h.contract.expiry >= e]  # type: ignore[operator]
    pairs = list(product(calls, puts))
    cost = [alone(h.contract) for h in shorts]
    for call, put in pairs:
        larger, smaller = (call, put) if alone(call.contract) >= alone(put.contract) else (put, call)
        cost.append(alone(larger.contract) + 100 * price(smaller.contract))
    cost += [0.0] * len(fits) + [1.0] * len(ends)
    rows, low = [], []

    def row(legs: dict[int, Sequence[float]], extra: int | None, least: float) -> None:
        """`legs`: by holding, its weight in a naked, a strangle or a spread."""
        taken = [legs.get(id(h), (0.0, 0.0))[0] for h in shorts]
        taken += [legs.get(id(c), (0.0, 0.0))[0] + legs.get(id(p), (0.0, 0.0))[0] for c, p in pairs]
        taken += [legs[id(h)][1] if id(h) in legs and (extra is None or ends[extra] == e) else 0.0 for h, e in fits]
        rows.append([*taken, *(float(extra == k) for k in range(len(ends)))])
        low.append(least)

    for h in book:
        row({id(h): (-1.0, -1.0)}, None, -abs(h.quantity))
    for k, end in enumerate(ends):
        mine = [h for h in shorts if h.contract.expiry == end]
        for weigh in [*(partial(payoff, at=float(s)) for s in (0, *range(5500, 6700, 100), 20_000))]:
            legs = {id(h): (weigh(h.contract),) * 2 for h in (*mine, *longs)}
            row(legs, k, -sum(h.quantity * weigh(h.contract) for h in mine))
        for right in Right:
            legs = {id(h): (float(h.contract.right is right),) * 2 for h in (*mine, *longs)}
            row(legs, k, -sum(h.quantity for h in mine if h.contract.right is right))
            rows[-1][-len(ends) :] = [0.0] * len(ends)
    answer = milp(
        cost, integrality=[1] * (len(cost) - len(ends)) + [0] * len(ends), options={"mip_rel_gap": 0.0},
        constraints=LinearConstraint(np.array(rows), np.array(low), np.inf),
    )  # fmt: skip
    return float(answer.fun)


@pytest.mark.parametrize("seed", range(12))
def test_a_large_book_asks_what_another_solver_finds_by_another_programme(seed: int) -> None:
    draw = np.random.default_rng(seed)
    picked = draw.choice(len(CHAIN), int(draw.integers(12, 31)), replace=False)
    book = [Holding(CHAIN[i], float(draw.choice([-4, -3, -2, -1, 1, 2, 3, 4]))) for i in picked]
    assert asked(book) == pytest.approx(other_solver(book), abs=0.05)


def tickets(draw: np.random.Generator, book: Sequence[Holding]) -> dict[str, list[Holding]]:
    """One of each kind beside `book`: what it holds is bought back or sold, wholly or in part, and new legs open."""
    shorts, longs = ([h for h in book if (h.quantity < 0) is short] for short in (True, False))
    short, long = (group[int(draw.integers(len(group)))] for group in (shorts, longs))
    right = str(draw.choice(["C", "P"]))
    low, middle, high = (float(k) for k in sorted(draw.choice(STRIKES, 3, replace=False)))
    near, far = (EXPIRIES[i] for i in sorted(draw.choice(3, 2, replace=False)))
    ratio = [Holding(option(middle, right, near), 1), Holding(option(high, right, near), -2)]
    wide = [
        Holding(option(k, r, near), n) for k, r, n in
        ((5600.0, "P", 1), (5800.0, "P", -2), (5900.0, "P", 1), (6100.0, "C", 1), (6200.0, "C", -2), (6500.0, "C", 1))
    ]  # fmt: skip
    return {
        "closing": [Holding(short.contract, -short.quantity)],
        "closing in part": [Holding(short.contract, 1)],
        "selling a long in part": [Holding(long.contract, -1)],
        "crossing over": [Holding(long.contract, -long.quantity - 1)],
        "vertical": [Holding(option(low, right, near), 1), Holding(option(high, right, near), -1)],
        "calendar": [Holding(option(middle, right, near), -1), Holding(option(middle, right, far), 1)],
        "ratio spread": ratio,
        "closing beside an opening": [Holding(short.contract, 1), *ratio],
        "six legs": wide,
    }


@pytest.mark.parametrize("seed", range(30))
def test_what_a_ticket_changes_is_what_another_solver_finds_for_the_book_with_and_without_it(seed: int) -> None:
    draw = np.random.default_rng(1000 + seed)
    picked = draw.choice(len(CHAIN), int(draw.integers(6, 15)), replace=False)
    signs = [-1, 1, *draw.choice([-1, 1], len(picked) - 2)]
    book = [Holding(CHAIN[i], float(sign * draw.integers(1, 4))) for i, sign in zip(picked, signs, strict=True)]
    before, asked_of = other_solver(book), tickets(draw, book)
    for kind, change in zip(asked_of, MarginBook(book, VIEW, IBKR).changes(list(asked_of.values())), strict=True):
        after = [Holding(c, q) for c, q in netted([*book, *asked_of[kind]]).items() if q]
        assert change.initial == pytest.approx(other_solver(after) - before, abs=0.05), kind
        assert math.fsum(line.initial for line in change.lines) == pytest.approx(asked(after)), kind
        assert "cut short" not in change.method


@given(legs, st.sampled_from([0.25, 0.7, 1.3]))
@settings(max_examples=40, deadline=None)
def test_odd_lots_ask_at_most_their_part_of_whole_ones(book: list[tuple[Contract, int]], part: float) -> None:
    assert asked([Holding(c, q * part) for c, q in book]) <= part * asked(held(book)) + 0.01
