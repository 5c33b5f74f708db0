"""The rules of management on whole books: which trade they end, which of its legs, how many, and in what words."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.quant.dividends import Dividend
from models.quant.manage_rules import ManageRules
from models.quant.management import Days, Exit, Managed, Rule, Urgency, is_news, manage_book
from models.quant.option import Contract, Right, SecType
from models.quant.pricing import black76
from models.quant.product import NEW_YORK, expiry_instant, years_to
from models.quant.structure import Action, QuoteSource
from models.quant.terms import Holding, Mark, MarketView
from tests.quant.proposer_scene import NOW, TODAY, book_of_rules, option

RULES = book_of_rules().manage
VOL = 0.16


def p(strike: float, days: int = 30) -> Contract:
    return option(strike, days, "P")


def c(strike: float, days: int = 30) -> Contract:
    return option(strike, days, "C")


def spy(strike: float, days: int = 30, right: str = "C") -> Contract:
    return Contract("SPY", SecType.OPTION, "SPY", 100, TODAY + timedelta(days=days), strike, Right(right))


def only(*rules: Rule) -> ManageRules:
    """Every other rule switched off."""
    off = {rule.value: replace(getattr(RULES, rule.value), on=False) for rule in Rule if rule not in rules}
    return replace(RULES, **off)


def fair(contract: Contract, spot: float, now: datetime = NOW) -> float:
    t = years_to(expiry_instant(contract), now)
    return float(black76(spot, contract.strike or 0.0, t, VOL, 0.0, contract.right is Right.CALL).price)


def market(prices: Mapping[Contract, float], spx: float = 6000.0, now: datetime = NOW, **more: object) -> MarketView:
    marks = {contract.identity: Mark(price, QuoteSource.REAL, now) for contract, price in prices.items()}
    given_ = {"spots": {"SPY": spx / 10}, "rate": 0.0, **more}
    return MarketView(now=now, spx=spx, marks=marks, **given_)  # type: ignore[arg-type]


def days(left: Mapping[Contract, int] | None = None, now: datetime = NOW) -> Days:
    today = now.astimezone(NEW_YORK).date()
    return Days(today, today + timedelta(days=3), {k.identity: n for k, n in (left or {}).items()})


def book(held: Mapping[Contract, tuple[float, float | None]]) -> list[Holding]:
    """contract → (signed quantity, average price received or paid per share)"""
    return [Holding(k, q, None if cost is None else cost * k.multiplier) for k, (q, cost) in held.items()]


def managed(
    held: Mapping[Contract, tuple[float, float | None]], prices: Mapping[Contract, float], rules: ManageRules = RULES,
    spx: float = 6000.0, left: Mapping[Contract, int] | None = None, **more: object,
) -> Managed:  # fmt: skip
    return manage_book(book(held), market(prices, spx, **more), rules, days(left))


def closing(exit_: Exit) -> dict[Contract, int]:
    return {leg.contract: leg.signed_ratio * exit_.quantity for leg in exit_.legs}


# ── profit and loss are of the trade ─────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize(("put_price", "taken"), [(1.0, True), (1.01, False), (0.5, True)])
def test_a_strangles_half_profit_is_half_of_both_credits(units: int, put_price: float, taken: bool) -> None:
    put, call = p(5600), c(6400)
    # 3.00 + 5.00 received; at 1.00 + 3.00 half of it is earned, though the call alone stands at 40 %
    found = managed({put: (-units, 3.0), call: (-units, 5.0)}, {put: put_price, call: 3.0}, only(Rule.PROFIT))
    assert bool(found.exits) is taken and not found.unjudged
    if taken:
        (exit_,) = found.exits
        assert closing(exit_) == {put: units, call: units} and exit_.quantity == units
        assert exit_.facts["most"] == pytest.approx(800.0 * units) and exit_.urgency is Urgency.CALM
        assert "$" in exit_.words and "Short strangle" in exit_.words and "most earned" in exit_.title


@pytest.mark.parametrize(("price", "lost"), [(9.0, True), (8.99, False)])
@pytest.mark.parametrize("contract", [p(5600), c(6400)])
def test_a_loss_of_twice_the_credit_is_a_price_of_three_credits(contract: Contract, price: float, lost: bool) -> None:
    found = managed({contract: (-2, 3.0)}, {contract: price}, only(Rule.LOSS))
    assert bool(found.exits) is lost
    if lost:
        (exit_,) = found.exits
        assert exit_.facts == pytest.approx({"loss": 1200.0, "credit": 600.0, "multiple": 2.0})
        assert "2.0× the $600 received" in exit_.words and closing(exit_) == {contract: 2}


def test_a_sold_vertical_is_judged_by_its_net_credit() -> None:
    short, long = p(5600), p(5500)
    found = managed({short: (-3, 10.0), long: (3, 6.0)}, {short: 5.0, long: 3.0}, only(Rule.PROFIT))
    (exit_,) = found.exits
    assert exit_.facts == pytest.approx({"profit": 600.0, "most": 1200.0, "share": 0.5})
    assert {(leg.contract, leg.action) for leg in exit_.legs} == {(short, Action.BUY), (long, Action.SELL)}


def test_what_was_bought_is_left_alone_by_the_rules_of_short_premium() -> None:
    held = {p(5600): (1, 10.0), p(5500, 9): (-1, 6.0), p(5600, 9): (1, 9.0)}
    assert managed(held, {p(5600): 1.0, p(5500, 9): 0.1, p(5600, 9): 0.2}).exits == ()


def test_a_calendar_at_its_strike_is_not_tested() -> None:
    near, far = p(6000, 15), p(6000, 45)
    found = managed({near: (-2, 50.0), far: (2, 80.0)}, {near: 20.0, far: 60.0}, spx=5990.0)
    assert found.exits == ()


@pytest.mark.parametrize(("expiry", "closed"), [(22, False), (21, True), (20, True)])
def test_short_premium_is_closed_at_21_days_left(expiry: int, closed: bool) -> None:
    put = p(5000, expiry)
    found = managed({put: (-1, 30.0)}, {put: 20.0}, only(Rule.DAYS_LEFT))
    assert bool(found.exits) is closed
    if closed:
        assert found.exits[0].title == f"{expiry} days left"
        assert "it has earned $1,000 on $3,000 received" in found.exits[0].words


def test_days_left_needs_no_cost_and_says_that_the_profit_is_unknown() -> None:
    put = p(5000, 21)
    (exit_,) = managed({put: (-1, None)}, {put: 20.0}, only(Rule.DAYS_LEFT)).exits
    assert "what it has earned is unknown" in exit_.words and closing(exit_) == {put: 1}


# ── short strikes ────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize(("spx", "side"), [(5800.0, "P"), (5799.0, "P"), (6000.0, ""), (6200.0, "C"), (6201.0, "C")])
def test_only_the_tested_side_of_a_condor_is_closed(spx: float, side: str, units: int) -> None:
    condor = {p(5700): 1, p(5800): -1, c(6200): -1, c(6300): 1}
    held = {contract: (units * n, 20.0) for contract, n in condor.items()}
    found = managed(held, {k: fair(k, spx) for k in condor}, only(Rule.TESTED), spx=spx)
    assert {leg.contract.right for exit_ in found.exits for leg in exit_.legs} == set(side)
    for exit_ in found.exits:
        assert closing(exit_) == {k: -units * n for k, n in condor.items() if k.right == side}
        assert "tested" in exit_.title and exit_.urgency is Urgency.SOON


def test_the_two_puts_of_a_ratio_strangle_are_two_contracts_of_one_leg() -> None:
    held = {p(6000): (-4.0, 80.0), c(6400): (-2.0, 5.0)}
    (exit_,) = managed(held, {p(6000): 90.0, c(6400): 4.0}, only(Rule.TESTED), spx=5990.0).exits
    assert [leg.ratio for leg in exit_.legs] == [1] and exit_.quantity == 4


@pytest.mark.parametrize(
    ("sessions", "strike", "found", "urgency"),
    [
        (6, 5950, False, None),
        (5, 5950, True, Urgency.SOON),
        (2, 5950, True, Urgency.SOON),
        (1, 5950, True, Urgency.NOW),
        (0, 5950, True, Urgency.NOW),
        (1, 5000, False, None),  # far away
        (1, 6100, True, Urgency.NOW),  # through it
    ],
)
def test_a_short_within_one_deviation_is_cared_for_from_five_sessions_on(
    sessions: int, strike: float, found: bool, urgency: Urgency | None
) -> None:
    put = p(strike, 7)
    answer = managed({put: (-1, 10.0)}, {put: fair(put, 6000.0)}, only(Rule.NEAR_EXPIRY), left={put: sessions})
    assert [exit_.urgency for exit_ in answer.exits] == ([urgency] if found else [])
    assert all(exit_.title.startswith(f"T−{sessions}") for exit_ in answer.exits)


def test_expiry_care_also_sees_the_short_leg_of_what_was_bought() -> None:
    held = {c(6000, 7): (1, 60.0), c(6050, 7): (-1, 40.0)}
    (exit_,) = managed(held, {k: fair(k, 6010.0) for k in held}, spx=6010.0, left=dict.fromkeys(held, 1)).exits
    assert exit_.rule is Rule.NEAR_EXPIRY and closing(exit_) == {c(6000, 7): -1, c(6050, 7): 1}


def test_of_a_calendar_only_the_expiring_leg_is_closed() -> None:
    near, far = p(6000, 7), p(6000, 30)
    held = {near: (-2.0, 40.0), far: (2.0, 80.0)}
    (exit_,) = managed(held, {k: fair(k, 6000.0) for k in held}, left={near: 1}).exits
    assert closing(exit_) == {near: 2}


def eve(price: float, spot: float = 600.0, strike: float = 590.0, ex_days: float = 3.0, right: str = "C") -> Managed:
    call = spy(strike, right=right)
    ex = datetime(2026, 8, 21, 13, 30, tzinfo=UTC) + timedelta(days=ex_days)
    dividends = {"SPY": [Dividend((ex - NOW).total_seconds() / (365 * 86400), 1.75)]}
    return managed({call: (-2, 20.0)}, {call: price}, only(Rule.EX_DATE), spx=spot * 10, dividends=dividends)


@pytest.mark.parametrize(("price", "advised"), [(11.74, True), (11.75, False), (9.90, True), (15.0, False)])
def test_a_short_call_worth_less_above_exercise_than_the_dividend_is_closed_on_the_eve(
    price: float, advised: bool
) -> None:
    found = eve(price)
    assert bool(found.exits) is advised and not found.unjudged
    if advised:
        (exit_,) = found.exits
        assert exit_.urgency is Urgency.NOW and closing(exit_) == {spy(590): 2}
        assert exit_.facts["dividend"] == 1.75 and "$1.75 on Mon 24 Aug" in exit_.words


def test_no_other_day_no_put_no_call_out_of_the_money_and_no_european_is_called_away() -> None:
    assert not eve(11.0, ex_days=0).exits, "today is too late"
    assert not eve(11.0, ex_days=4).exits, "two sessions ahead"
    assert not eve(1.0, strike=610.0).exits, "out of the money"
    assert not eve(11.0, strike=610.0, right="P").exits
    call = c(5900)
    due = {"SPX": [Dividend(2.9 / 365, 20.0)]}
    assert not managed({call: (-1, 90.0)}, {call: 101.0}, only(Rule.EX_DATE), dividends=due).exits


def test_unknown_dividends_are_said_where_a_call_could_be_called() -> None:
    call = spy(590)
    found = managed({call: (-1, 20.0)}, {call: 11.0}, only(Rule.EX_DATE))
    assert not found.exits and "dividends of SPY are unknown" in found.unjudged[0].words
    assert managed({call: (-1, 20.0)}, {call: 11.0}, only(Rule.EX_DATE), dividends={"SPY": []}) == Managed((), ())


# ── unknowns, switches and order ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("cost", [None, 0.0, float("nan"), -3.0])
def test_an_unknown_cost_advises_nothing_on_money_and_is_named(cost: float | None) -> None:
    found = managed({p(5600): (-1, cost)}, {p(5600): 0.05}, only(Rule.PROFIT, Rule.LOSS))
    assert not found.exits
    (note,) = found.unjudged
    assert "what was received for SPXW 20 Sep 26 5600 put is unknown" in note.words
    assert note.contracts == (p(5600),)


def test_an_unknown_price_or_underlying_advises_nothing_and_is_named() -> None:
    found = managed({p(5600): (-1, 3.0)}, {}, only(Rule.PROFIT))
    assert not found.exits and "the price of SPXW 20 Sep 26 5600 put is unknown" in found.unjudged[0].words
    nowhere = Contract("ZZZ", SecType.OPTION, "ZZZ", 100, TODAY + timedelta(days=7), 50.0, Right.PUT)
    found = managed({nowhere: (-1, 3.0)}, {nowhere: 2.0}, only(Rule.TESTED, Rule.NEAR_EXPIRY), left={nowhere: 1})
    assert not found.exits and "the price of ZZZ is unknown" in found.unjudged[0].words


def test_a_rule_that_is_off_advises_nothing() -> None:
    put = p(6000, 7)
    held, prices = {put: (-1, 10.0)}, {put: 40.0}
    gravest = managed(held, prices, left={put: 1}, spx=5990.0).exits[0]
    assert {gravest.rule, *gravest.also} == {Rule.NEAR_EXPIRY, Rule.LOSS, Rule.TESTED, Rule.DAYS_LEFT}
    assert managed(held, prices, only(), left={put: 1}, spx=5990.0) == Managed((), ())


def test_the_gravest_rule_decides_and_the_others_are_said_beside_it() -> None:
    put = p(5600, 15)
    (exit_,) = managed({put: (-1, 10.0)}, {put: 2.0}).exits
    assert exit_.rule is Rule.DAYS_LEFT and exit_.also == (Rule.PROFIT,)
    assert "Also: 80 % of its most earned." in exit_.words


def test_what_has_settled_is_not_managed() -> None:
    put = p(6000, 0)
    late = datetime(2026, 8, 21, 20, 30, tzinfo=UTC)
    answer = manage_book(book({put: (-1, 10.0)}), market({put: 0.0}, now=late), RULES, days({put: 0}, late))
    assert answer == Managed((), ())


def test_an_exit_is_news_when_its_size_its_rules_or_its_measure_changed() -> None:
    put = p(5600)
    (exit_,) = managed({put: (-2, 10.0)}, {put: 4.0}, only(Rule.PROFIT)).exits
    assert exit_.measure == pytest.approx(0.6)
    assert not is_news(exit_, 0.6, 2, (), 0.25) and not is_news(exit_, 0.5, 2, (), 0.25)
    assert is_news(exit_, 0.3, 2, (), 0.25) and is_news(exit_, 0.6, 1, (), 0.25)
    more = replace(exit_, also=(Rule.DAYS_LEFT,))
    assert is_news(more, 0.6, 2, (), 0.25) and not is_news(more, 0.6, 2, ("days_left",), 0.25)


# ── for every book ───────────────────────────────────────────────────────────────────────────────────────────────
CONTRACTS = [option(k, d, r) for d in (5, 20, 40) for k in (5700, 5800, 6000, 6200, 6300) for r in "PC"]
CONTRACTS += [spy(strike, right=right) for strike in (590.0, 600.0, 610.0) for right in "PC"]
BOOKS = st.dictionaries(
    st.sampled_from(CONTRACTS),
    st.tuples(st.integers(-4, 4).filter(bool), st.one_of(st.none(), st.floats(0.05, 200.0))),
    max_size=9,
)


def of_any(held: Mapping[Contract, tuple[int, float | None]], spx: float) -> tuple[list[Holding], MarketView, Days]:
    prices = {k: fair(k, spx / 10 if k.symbol == "SPY" else spx) for k in held}
    due = {"SPY": [Dividend(2.9 / 365, 1.75)]}
    near = {k: 3 for k in held if k.expiry == TODAY + timedelta(days=5)}
    return book(held), market(prices, spx, dividends=due), days(near)


@settings(max_examples=60)
@given(BOOKS, st.sampled_from([5600.0, 5800.0, 6000.0, 6250.0]))
def test_exits_only_ever_close_and_never_more_than_is_held(
    held: dict[Contract, tuple[int, float | None]], spx: float
) -> None:
    holdings, view, when = of_any(held, spx)
    total: Counter[Contract] = Counter()
    for exit_ in manage_book(holdings, view, RULES, when).exits:
        assert exit_.quantity >= 1 and exit_.words and len(exit_.facts) >= 2
        total.update(closing(exit_))
    for contract, amount in total.items():
        quantity = held[contract][0]
        assert amount * quantity < 0 and abs(amount) <= abs(quantity)


@settings(max_examples=40)
@given(BOOKS, st.sampled_from([5800.0, 6000.0]), st.randoms(use_true_random=False))
def test_the_order_of_positions_changes_nothing(  # type: ignore[no-untyped-def]
    held: dict[Contract, tuple[int, float | None]], spx: float, random
) -> None:
    holdings, view, when = of_any(held, spx)
    shuffled = list(holdings)
    random.shuffle(shuffled)
    assert manage_book(shuffled, view, RULES, when) == manage_book(holdings, view, RULES, when)
