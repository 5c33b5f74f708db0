"""The proposer's pass on a whole chain: what it finds is re-valued here, independently of how it was found."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from math import gcd

import numpy as np
import pytest

from models.quant.aftermath import scene_room
from models.quant.board import board_of
from models.quant.breach import detect_breaches, mock_exposure, worsened
from models.quant.candidates import generate
from models.quant.gates import QuoteFact
from models.quant.outlay import prices_of
from models.quant.overrides import Overrides, Rule, Standing, subject_of
from models.quant.pair_space import best_pairs
from models.quant.portfolio import exposure_from
from models.quant.product import is_spx_family
from models.quant.proposing import MarginEffect, legs_room, propose, requote, top_three, with_margin
from models.quant.regime import Family, Profile, Regime
from models.quant.search_table import table_of
from models.quant.structure import Action, QuoteSource, legs_from_json
from models.quant.tickets import FAMILIES, join
from tests.quant.proposer_scene import ES, MES, NOW, SPX, book_of_rules, option, scene_of, short_strangles, vectors_of

BOTH = {
    option(5700, 47, "P"): -6.0,
    option(6300, 47, "C"): -2.0,
    option(5200, 47, "P"): 6.0,
    option(6800, 47, "C"): 2.0,
}
"""Short volatility and long delta: several caps break at once on half a million."""


@pytest.fixture(scope="module")
def scene():
    return scene_of(short_strangles(10))


@pytest.fixture(scope="module")
def found(scene):
    return propose(scene)


def breaches_of(scene, exposure=None):
    return detect_breaches(exposure or scene.exposure, scene.limits, scene.smallest_lot)


def everything(scene):
    """Every ticket laid out, and the best pairs of every family against limits that nothing reaches."""
    board = board_of(scene.vectors, scene.held, scene.hedges)
    far = {name: 1e12 for name in ("delta_cap", "stress_near", "stress_worst", "short_notional")}
    loose = replace(scene, limits=replace(scene.limits, **far, vega_floor=1e9, gamma_cap=1e12))
    rich = replace(loose, limits=replace(loose.limits, vega_floor=-1e12, theta_target=1e9))
    pairs = [
        best_pairs(board, table_of(prices_of(one), scene_room(one, theta_too=theta), scene.hedges), Family).tickets
        for one, theta in ((loose, False), (rich, True))
    ]
    return join([generate(board, scene.hedges, Family), *pairs])


def after(scene, candidate):
    amounts = dict(scene.held)
    for leg in candidate.legs:
        name = leg.contract.identity
        amounts[name] = amounts.get(name, 0.0) + leg.signed_ratio * candidate.quantity
    q = scene.vectors.quantities(amounts)
    return exposure_from(scene.vectors, q, scene.exposure.nlv, scene.exposure.margin_used)


def test_the_book_breaks_vega_and_delta_and_more(scene):
    assert {"vega", "delta", "gamma", "stress_near"} <= {b.kind.value for b in breaches_of(scene)}


def test_the_first_hedge_cures_every_breach_and_gives_back_what_the_book_holds(scene, found):
    best = found.ranked[0]
    assert best.full
    assert best.family is Family.CLOSE
    assert not [b for b in breaches_of(scene, after(scene, best)) if b.is_cap]


def test_no_hedge_creates_or_deepens_a_breach_and_each_makes_one_smaller(scene, found):
    assert found.ranked
    for candidate in found.ranked:
        exposure = after(scene, candidate)
        assert not worsened(scene.exposure, exposure, scene.limits, scene.smallest_lot)
        before = {b.kind: abs(b.distance) for b in breaches_of(scene)}
        now = {b.kind: abs(b.distance) for b in breaches_of(scene, exposure)}
        assert any(now.get(kind, 0.0) < distance - 1e-6 for kind, distance in before.items())
        assert candidate.full == (not [b for b in breaches_of(scene, exposure) if b.is_cap])


def test_the_greeks_of_a_candidate_are_those_of_its_legs(scene, found):
    for candidate in found.ranked:
        exposure = after(scene, candidate)
        for name in ("spx_delta", "vega_weighted", "gamma", "theta", "stress_worst"):
            assert candidate.after[name] == pytest.approx(getattr(exposure, name))
        assert candidate.change["spx_delta"] == pytest.approx(exposure.spx_delta - scene.exposure.spx_delta)


def test_a_ticket_is_one_class_with_small_ratios_and_survives_json(found):
    for candidate in found.ranked:
        assert len({leg.contract.trading_class for leg in candidate.legs}) == 1
        assert gcd(*(leg.ratio for leg in candidate.legs)) == 1
        assert candidate.quantity >= 1
        assert len(legs_from_json([leg.to_json() for leg in candidate.legs])) == len(candidate.legs)


def test_full_cures_come_first_then_the_cheapest_cure(found):
    keys = [(not c.full, round(c.cost.total / c.cure, 6)) for c in found.ranked]
    assert keys == sorted(keys)
    assert [c.rank for c in found.ranked] == list(range(1, len(found.ranked) + 1))


def test_a_closing_never_trades_more_than_is_held(scene, found):
    closings = [c for c in found.ranked if c.closes]
    assert closings
    for candidate in closings:
        for leg in candidate.legs:
            held = scene.held[leg.contract.identity]
            assert leg.signed_ratio * held < 0
            assert leg.ratio * candidate.quantity <= abs(held)


def test_the_top_three_differ(scene, found):
    top = top_three(found.ranked, scene)
    assert 1 <= len(top) <= 3
    assert len({c.family for c in top}) == len(top) or len(top) == 3


def test_every_refusal_is_counted_with_its_reason(found):
    assert found.refusals.counts["helps no breach"] > 0
    assert sum(found.refusals.counts.values()) < found.looked_at * 2
    assert f"{found.looked_at:,}" in found.sentence


def test_the_words_say_what_it_brings_and_what_it_costs(found):
    words = found.ranked[0].words
    assert words.startswith("The worst stress loss is ")
    assert "Closing 18 of 20 SPXW" in words
    assert " of its limit." in words
    assert words.endswith(".")


def test_vega_and_delta_broken_together_are_cured_by_one_ticket():
    """Only these two caps are looked at: the limits of everything else are lifted out of the way."""
    base = scene_of(BOTH, nlv=1_000_000.0)
    tight = replace(base.limits, vega_floor=-1500.0, delta_cap=900.0, stress_near=1e9, stress_worst=1e9,
                    gamma_cap=1e9, defined_loss=1e9, theta_target=0.0, position_capital=None)  # fmt: skip
    scene = replace(base, limits=tight)
    assert {b.kind.value for b in breaches_of(scene)} == {"vega", "delta"}
    found = propose(scene)
    assert found.ranked[0].full
    assert sum(c.full for c in found.ranked) >= 3
    assert len({c.family for c in found.ranked if c.full}) >= 2
    for candidate in found.ranked:
        assert not worsened(scene.exposure, after(scene, candidate), scene.limits, scene.smallest_lot)


def test_a_delta_breach_alone_is_cured_with_futures_for_almost_nothing():
    scene = scene_of({MES: 60.0})
    found = propose(scene)
    assert next(b.kind.value for b in found.breaches if b.is_cap) == "delta"
    assert {Family.FUTURE, Family.CLOSE} & {c.family for c in found.ranked[:3]}
    assert all(abs(c.after["spx_delta"]) <= scene.limits.delta_cap for c in found.ranked if c.full)


def test_a_book_inside_its_limits_gets_nothing_and_says_so():
    found = propose(scene_of({}))
    assert found.ranked == ()
    assert "nothing to propose" in found.sentence


def test_a_missed_theta_target_alone_is_answered_only_where_the_rules_say_so():
    quiet = scene_of({MES: 1.0})
    assert propose(quiet).ranked == ()
    found = propose(replace(quiet, hedges=replace(quiet.hedges, answer_theta=True)))
    assert found.ranked[0].full
    assert found.ranked[0].after["theta"] >= quiet.limits.theta_target


def test_unknown_limits_propose_nothing():
    scene = scene_of(short_strangles(10))
    unknown = book_of_rules().limits(Profile.DESK, Regime.NEUTRAL, None, 18.0, 1.0)
    assert propose(replace(scene, limits=unknown)).ranked == ()


def test_in_an_unknown_regime_only_reducing_tickets_are_proposed_against_the_tightest_limits():
    scene = scene_of(short_strangles(10))
    limits = book_of_rules().limits(Profile.DESK, Regime.UNKNOWN, 1e6, None, None)
    found = propose(replace(scene, limits=limits))
    assert found.ranked
    assert {c.family for c in found.ranked} <= {Family.CLOSE, Family.ROLL, Family.FUTURE, Family.SHARES}


def test_a_contract_with_an_unknown_number_is_never_a_leg(scene):
    hidden = option(5600, 44, "P").identity
    v = scene.vectors
    gamma = v.gamma.copy()
    gamma[[i for i, c in enumerate(v.contracts) if c.strike and c.strike % 50 == 0 and c.identity != hidden]] = np.nan
    blind = replace(v, gamma=gamma)
    tickets = everything(replace(scene, vectors=blind))
    legs = tickets.legs[tickets.legs >= 0]
    assert len(tickets)
    assert np.isfinite(gamma[legs]).all()


def test_only_benchmarks_in_the_window_open_anything(scene):
    early = tuple(option(k, d, "P") for k in (5800.0, 6000.0) for d in (29, 30, 60, 61))
    foreign = tuple(replace(c, symbol="AAPL", trading_class="AAPL") for c in early)
    v = vectors_of((*early, *foreign))
    tickets = generate(board_of(v, {}, scene.hedges), scene.hedges, [Family.LONG_OPTION])
    assert {int(v.dte[row]) for row in tickets.legs[:, 0]} == {30, 60}
    assert all(is_spx_family(v.contracts[row]) for row in tickets.legs[:, 0])


def test_every_family_can_be_built_on_a_real_chain_and_has_its_shape(scene):
    tickets = everything(scene)
    v = scene.vectors
    present = {FAMILIES[code] for code in np.unique(tickets.family)}
    assert present == set(Family) - {Family.CUSTOM, Family.OPTIMAL, Family.COMBINATION}
    bear = tickets.take(tickets.family == FAMILIES.index(Family.DEBIT_SPREAD))
    puts = bear.take(~v.is_call[bear.legs[:, 0]])
    assert (puts.add_up(v.spx_delta) < 0).all()
    bought = np.where(puts.ratios[:, 0] > 0, puts.legs[:, 0], puts.legs[:, 1])
    sold = np.where(puts.ratios[:, 0] > 0, puts.legs[:, 1], puts.legs[:, 0])
    assert (v.strike[bought] > v.strike[sold]).all()
    assert (np.abs(tickets.ratios) <= 3).all()
    several = [row[row >= 0] for row in tickets.legs[:: max(len(tickets) // 500, 1)]]
    assert all(len(set(row)) == len(row) for row in several)


def test_orders_in_flight_are_neither_closed_twice_nor_forgotten(scene):
    put, call = (c.identity for c in short_strangles(10))
    flight = {put: 18.0}
    found = propose(replace(scene, in_flight=(flight,)))
    assert found.ranked
    for candidate in found.ranked:
        closing = {leg.contract.identity: leg.ratio * candidate.quantity for leg in candidate.legs if candidate.closes}
        assert closing.get(put, 0) <= 2
        filled = {put: scene.held[put] + 18.0, call: scene.held[call]}
        for leg in candidate.legs:
            name = leg.contract.identity
            filled[name] = filled.get(name, 0.0) + leg.signed_ratio * candidate.quantity
        base = scene.vectors.quantities({put: scene.held[put] + 18.0, call: scene.held[call]})
        before = exposure_from(scene.vectors, base, 1e6, 2e5)
        then = exposure_from(scene.vectors, scene.vectors.quantities(filled), 1e6, 2e5)
        assert not worsened(before, then, scene.limits, scene.smallest_lot)


@pytest.mark.parametrize("profile", list(Profile))
def test_the_mock_breach_gets_one_to_three_hedges_without_a_stress_grid(profile):
    base = scene_of({})
    mock = mock_exposure()
    limits = book_of_rules().limits(profile, Regime.NEUTRAL, mock.nlv, 18.0, 1.0)
    scene = replace(base, exposure=mock, limits=limits, mock=True)
    found = propose(scene)
    top = top_three(found.ranked, scene)
    assert 1 <= len(top) <= 3
    for candidate in top:
        name = limits.vega_measure
        assert candidate.after[name] == pytest.approx(-8000 + (candidate.change[name] or 0))
        assert candidate.after[name] > -8000
        assert candidate.after["stress_worst"] is None
        assert abs(candidate.after["spx_delta"]) <= limits.delta_cap


def test_capital_over_its_share_of_funds_refuses_and_unknown_margin_stays_unknown(scene):
    dear = replace(scene, available_funds=10_000.0, margin_of=lambda _: MarginEffect(5e6, 5e6))
    found = propose(dear)
    assert found.ranked == ()
    assert found.refusals.counts["capital"] > 0
    assert "capital impact" in found.refusals.to_json()["example"]
    unknown = propose(scene).ranked[0]
    assert (unknown.capital_impact, unknown.efficiency_score) == (None, None)


def test_the_brokers_preview_replaces_the_estimate(scene, found):
    best = with_margin(found.ranked[0], MarginEffect(-90_000.0, -80_000.0, -500.0, "broker"),
                       replace(scene, available_funds=100_000.0))  # fmt: skip
    assert best.capital_impact == -89_500.0
    assert best.after["margin"] == 120_000.0
    assert best.efficiency_score > 0
    assert {v.gate for v in best.checks} == {"capital", "margin"}
    assert all(v.passed for v in best.checks)


# ── on real quotes ──────────────────────────────────────────────────────────────────────────────────────────────
def quotes_of(scene, candidate, half=0.2, **more):
    quotes = {}
    for leg in candidate.legs:
        facts = {"name": str(leg.contract), "bid": leg.mid - half, "ask": leg.mid + half, "at": NOW,
                 "bid_size": 50.0, "ask_size": 60.0, "open_interest": 500.0}  # fmt: skip
        quotes[leg.contract.identity] = QuoteFact(**{**facts, "source": QuoteSource.REAL, **more})
    return quotes


def quoted_scene(candidate, quotes):
    pairs = {name: (q.bid, q.ask) for name, q in quotes.items() if q.bid is not None and q.ask is not None}
    return scene_of(short_strangles(10), bid_ask=pairs)


def test_real_quotes_reprice_the_ticket_and_keep_it(scene, found):
    best = found.ranked[0]
    quotes = quotes_of(scene, best)
    again = requote(quoted_scene(best, quotes), best, quotes, NOW)
    assert not isinstance(again, str), again
    assert again.quantity == best.quantity
    assert all(leg.source is QuoteSource.REAL and leg.bid is not None for leg in again.legs)
    expected = sum(leg.signed_ratio * (leg.ask if leg.action is Action.BUY else leg.bid) for leg in again.legs)
    assert again.natural == pytest.approx(expected)
    assert again.natural <= again.limit_price + 1e-9 <= again.worst_price + 1e-9
    assert again.limit_price - again.natural < again.tick
    assert again.net_premium == pytest.approx(-again.mid * 100 * again.quantity)
    assert {v.gate for v in again.checks} == {"quotes", "quote age", "spread", "size", "open interest", "surface"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"at": NOW - timedelta(seconds=6)}, "6.0 s old"),
        ({"bid": None}, "one-sided"),
        ({"source": QuoteSource.DELAYED}, "delayed"),
        ({"half": 9.0}, "wide"),
        ({"bid_size": None}, "size"),
    ],
)
def test_a_quote_that_cannot_be_trusted_refuses_the_ticket(scene, found, change, words):
    best = found.ranked[0]
    quotes = quotes_of(scene, best, **change)
    answer = requote(quoted_scene(best, quotes), best, quotes, NOW)
    assert isinstance(answer, str)
    assert words in answer


def test_a_quote_far_from_the_surface_is_never_taken_at_face_value(scene, found):
    best = replace(found.ranked[0], fitted=tuple(leg.mid * 1.5 for leg in found.ranked[0].legs))
    quotes = quotes_of(scene, best)
    assert "the surface says" in requote(quoted_scene(best, quotes), best, quotes, NOW)


def test_a_leg_without_a_quote_refuses(scene, found):
    best = found.ranked[0]
    assert requote(scene, best, {}, NOW) == "a leg has no quote"


def test_when_the_breach_is_gone_the_requote_says_so(scene, found):
    best = found.ranked[0]
    quotes = quotes_of(scene, best)
    calm = replace(quoted_scene(best, quotes), exposure=scene_of({}).exposure)
    assert requote(calm, best, quotes, NOW) == "there is no breach left to cure"


# ── the limits gate's fact ──────────────────────────────────────────────────────────────────────────────────────
def test_the_room_of_a_good_hedge_lets_it_all_pass_as_reducing(scene, found):
    best = found.ranked[0]
    room = legs_room(scene, best.legs, best.quantity)
    assert room.most(best.quantity) == best.quantity
    assert room.closes
    assert room.reduces(best.quantity)


def test_the_room_refuses_what_deepens_and_says_why(scene):
    worse = [replace(leg, action=leg.action.opposite) for leg in propose(scene).ranked[0].legs]
    room = legs_room(scene, worse, 1)
    assert room.most(1) == 0
    assert not room.closes
    assert "limit" in room.words(1)


def test_futures_name_their_ticket_and_their_tick():
    scene = scene_of({ES: 5.0})
    future = next(c for c in propose(scene).ranked if c.family in (Family.FUTURE, Family.CLOSE))
    assert future.strategy_name in ("Sell ES", "Sell MES", "Close long ES")
    assert future.tick == 0.25
    assert future.natural == pytest.approx(-SPX)


# ── the person's overrides ──────────────────────────────────────────────────────────────────────────────────────
def overridden(scene, subject, rule, factor=Fraction(1)):
    standing = Standing(subject_of(subject), rule, factor, "me", "a test")
    return propose(replace(scene, overrides=Overrides((standing,))))


def test_an_override_takes_away_what_it_names_and_is_counted(scene):
    nothing = overridden(scene, "any", Rule.NONE)
    assert nothing.ranked == ()
    assert nothing.refusals.counts["override"] > 0
    closing = overridden(scene, "SPX", Rule.CLOSE_ONLY)
    assert closing.ranked
    assert all(c.closes or c.legs[0].contract.symbol != "SPX" for c in closing.ranked)
    assert overridden(scene, "any", Rule.REDUCE_ONLY).ranked


def test_a_multiplier_cuts_the_size_towards_zero_and_remembers_what_was_asked(scene, found):
    half = overridden(scene, "SPX", Rule.MULTIPLIER, Fraction(1, 2))
    cut = [c for c in half.ranked if not c.closes and c.legs[0].contract.symbol == "SPX"]
    assert cut
    assert all(c.quantity == c.asked // 2 for c in cut)
    assert all(c.quantity == c.asked for c in found.ranked)
