"""What is only watched: theta shares, gamma close to expiry, clusters of short strikes, against sums done by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from models.quant.breach import NOT_CAPS, BreachKind, LimitUse
from models.quant.cautions import cautions, gamma_near_expiry, strike_clusters, theta_by_strategy
from models.quant.option import Contract, Right, SecType
from models.quant.portfolio import PositionGreeks
from models.quant.regime import Regime
from tests.quant.proposer_scene import book_of_rules

BOOK = book_of_rules()
NOW = datetime(2026, 8, 21, 15, 0, tzinfo=UTC)
NEAR, FAR, FARTHER = date(2026, 8, 26), date(2026, 9, 18), date(2026, 10, 16)
LIMITS = BOOK.limits("desk", Regime.NEUTRAL, 1e6, 18, 1.0)


def held(
    strike: float,
    quantity: float,
    expiry: date = FAR,
    right: Right = Right.PUT,
    symbol: str = "SPX",
    theta: float | None = 0.0,
    gamma: float | None = 0.0,
    spot: float | None = 6000.0,
) -> PositionGreeks:
    contract = Contract(symbol, SecType.OPTION, symbol, 100, expiry, strike, right)
    return PositionGreeks(contract, quantity, 1.0, 0.2, spot, 1.0, "definition", 0.0, gamma, 0.0, 0.0, theta, 0.0,
                          "real", ())  # fmt: skip


def only(lines: list[LimitUse]) -> LimitUse:
    (line,) = lines
    return line


def test_the_theta_of_one_strategy_is_a_share_of_what_the_book_earns() -> None:
    book = [
        held(5600, -4, theta=300.0), held(5400, 4, theta=-100.0),  # one strategy: +200
        held(6300, -2, FARTHER, Right.CALL, theta=300.0), held(6000, 1, NEAR, theta=-900.0),
    ]  # fmt: skip
    first, second = theta_by_strategy(book, 0.30)
    assert (first.subject, first.value) == ("SPX 16 Oct 26", pytest.approx(0.6))
    assert (second.subject, second.value, second.breached) == ("SPX 18 Sep 26", pytest.approx(0.4), True)
    assert second.distance == pytest.approx(0.10) and second.use == pytest.approx(4 / 3)
    assert second.words == "SPX 18 Sep 26 (bull put spread) earns 40 % of the theta that the book earns."


def test_exactly_thirty_per_cent_of_the_theta_is_no_warning_and_the_largest_earner_is_always_shown() -> None:
    days = [date(2026, 9, d) for d in (4, 11, 18, 25)]
    book = [held(5600, -1, day, theta=theta) for day, theta in zip(days, (30.0, 30.0, 30.0, 10.0), strict=True)]
    assert only(theta_by_strategy(book, 0.30)[:1]).breached is False
    assert len(theta_by_strategy(book, 0.30)) == 1
    assert theta_by_strategy([held(5600, 1, theta=-50.0)], 0.30) == [], "a book that earns nothing has no share"


def test_gamma_of_the_last_week_is_held_against_its_part_of_the_gamma_limit() -> None:
    assert LIMITS.gamma_cap == 3500
    line = only(
        gamma_near_expiry([held(5900, -2, NEAR, gamma=-2100.0), held(5900, -9, gamma=-900.0)], LIMITS, 0.5, NOW)
    )
    assert (line.value, line.limit, line.distance, line.breached) == (-2100.0, -1750.0, 350.0, True)
    assert line.words == "Gamma of 0–7 days is 60 % of the gamma limit."
    assert only(gamma_near_expiry([held(5900, -2, NEAR, gamma=-1750.0)], LIMITS, 0.5, NOW)).breached is False
    assert only(gamma_near_expiry([held(5900, 2, NEAR, gamma=9000.0)], LIMITS, 0.5, NOW)).breached is False
    classic = BOOK.limits("classic", Regime.NEUTRAL, 1e6, 18, 1.0)
    assert only(gamma_near_expiry([held(5900, 2, NEAR, gamma=900.0)], classic, 0.5, NOW)).breached is True
    assert gamma_near_expiry([held(5900, -9, gamma=-900.0)], LIMITS, 0.5, NOW) == []


def test_short_strikes_close_together_are_one_cluster_and_longs_beside_them_count_against_it() -> None:
    watch = BOOK.watch
    apart = [held(5600, -2), held(5700, -2)]  # 1.7 % of spot from each other
    together = [held(5600, -2), held(5640, -2, FARTHER)]
    assert only(strike_clusters(apart, 1e6, watch)).value == 2 * 100 * 6000
    line = only(strike_clusters(together, 1e6, watch))
    assert (line.value, line.limit, line.breached, line.distance) == (2_400_000.0, 2_000_000.0, True, 400_000.0)
    assert line.words == "Short strikes of SPX between 93.3 % and 94.0 % of spot carry $2,400,000."
    covered = only(strike_clusters([*together, held(5590, 2)], 1e6, watch))
    assert covered.value == 1_200_000.0, "a long of the same side and expiry within the band"
    assert only(strike_clusters([*together, held(5590, 2, NEAR)], 1e6, watch)).value == 2_400_000.0, "it ends before"


def test_the_family_is_one_cluster_and_calls_stand_beside_puts() -> None:
    spy = held(563, -20, symbol="SPY", spot=600.0)
    line = only(strike_clusters([held(5600, -2), spy, held(5610, -1, right=Right.CALL)], 1e6, BOOK.watch))
    assert (line.subject, line.value) == ("SPX", 3 * 600_000.0 + 20 * 60_000.0)


def test_what_is_unknown_stays_unknown_and_an_empty_book_has_no_lines() -> None:
    book = [held(5600, -2, NEAR, theta=None, gamma=None, spot=None)]
    lines = cautions(book, LIMITS, 0.30, BOOK.watch, NOW)
    assert [(line.value, line.breached) for line in lines] == [(None, None)] * 3
    assert cautions([], LIMITS, 0.30, BOOK.watch, NOW) == ()


def test_a_warning_is_never_a_cap() -> None:
    book = [held(5900, -9, NEAR, theta=900.0, gamma=-9000.0)]
    lines = cautions(book, LIMITS, 0.30, BOOK.watch, NOW)
    assert {line.kind for line in lines} == {BreachKind.THETA_SHARE, BreachKind.NEAR_GAMMA, BreachKind.STRIKE_CLUSTER}
    assert all(line.breached and line.warns and not line.is_cap and line.kind in NOT_CAPS for line in lines)
    unknown_money = cautions(book, replace(LIMITS, nlv=None, gamma_cap=None), 0.30, BOOK.watch, NOW)
    assert {line.kind: line.breached for line in unknown_money} == {
        BreachKind.THETA_SHARE: True, BreachKind.STRIKE_CLUSTER: None,
    }  # fmt: skip
