"""The margin bound of a million four-leg tickets beside a book, and the exact pairing of the best two hundred."""

import time
from collections.abc import Iterator

import numpy as np

from models.quant.margin import MarginBook
from models.quant.margin_bound import bound_table, margin_bound
from models.quant.margin_rules import IBKR
from models.quant.regime_rules import Family
from models.quant.terms import Holding
from models.quant.tickets import Tickets
from tests.benchmarks.report import Row, median_seconds
from tests.quant.quant_market import EXPIRIES, market, option

TICKETS, EXACT = 1_000_000, 200
STRIKES = np.arange(5200.0, 6800.0, 25.0)
CHAIN = [option(float(k), right, e) for e in EXPIRIES for right in "CP" for k in STRIKES]


def drawn(count: int) -> Tickets:
    """Four different legs of the chain each, one contract bought or sold of every one."""
    draw = np.random.default_rng(6)
    start = draw.integers(0, len(CHAIN), count)
    legs = (start[:, None] + np.cumsum(draw.integers(1, len(CHAIN) // 4, (count, 4)), axis=1)) % len(CHAIN)
    ratios = draw.choice([-1, 1], (count, 4)).astype(np.int64)
    family = np.full(count, tuple(Family).index(Family.IRON_CONDOR))
    return Tickets(legs, ratios, family, np.full(count, 100), np.zeros(count, dtype=bool))


def held() -> list[Holding]:
    """Eight iron condors, six strangles and four calendars over the four expiries: fifty-two legs."""
    draw = np.random.default_rng(7)
    legs: list[tuple[float, str, int, int]] = []  # strike, right, expiry, quantity
    for i in range(8):
        put, call, width = (25.0 * draw.integers(*range_) for range_ in ((212, 232), (248, 264), (2, 5)))
        n = int(draw.integers(1, 5))
        legs += [(put, "P", i % 4, -n), (put - width, "P", i % 4, n), (call, "C", i % 4, -n),
                 (call + width, "C", i % 4, n)]  # fmt: skip
    for i in range(6):
        n = int(draw.integers(1, 3))
        legs += [(25.0 * draw.integers(210, 230), "P", i % 4, -n), (25.0 * draw.integers(250, 268), "C", i % 4, -n)]
    for i in range(4):
        strike = 25.0 * draw.integers(232, 248)
        legs += [(strike, "C", i % 3, -1), (strike, "C", 3, 1)]
    return [Holding(option(k, right, EXPIRIES[e]), float(q)) for k, right, e, q in legs]


def measure() -> Iterator[Row]:
    view, book, tickets = market(), held(), drawn(TICKETS)
    table = bound_table(CHAIN, book, view, IBKR)
    bound = margin_bound(tickets, table)
    seconds = median_seconds(lambda: margin_bound(tickets, table))
    yield Row(f"margin bound of {TICKETS:,} four-leg tickets", seconds, "s", goal=1.0)
    best = np.argsort(bound, kind="stable")[:EXACT]
    trades = [
        [Holding(CHAIN[row], float(q)) for row, q in zip(tickets.legs[i], tickets.ratios[i], strict=True)] for i in best
    ]
    MarginBook(book[:10], view, IBKR).changes(trades[:1])  # the kernels are loaded
    for legs, goal in ((book[:10], 0.1), (book, 0.4)):
        known = MarginBook(legs, view, IBKR)
        started = time.perf_counter()
        found = known.changes(trades)
        taken = time.perf_counter() - started
        yield Row(f"exact margin of the best {EXACT} beside {len(legs)} legs", taken, "s", goal=goal)
    exact = [change.initial for change in found]
    short = sum("cut short" in change.method for change in found)
    above = sum(1 for i, change in zip(best, exact, strict=True) if change is None or change > bound[i] + 0.02)
    yield Row("of them not proven to be the least", short, "tickets", goal=0.0)
    yield Row("tickets whose exact margin is above the bound", above, "tickets", goal=0.0)
