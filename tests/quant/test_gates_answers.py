"""Every gate: what it passes, what it refuses, and in which words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from models.quant.breach import BreachKind
from models.quant.gates import (
    GATES,
    ApprovalFact,
    GateFacts,
    Outcome,
    QuoteFact,
    Stage,
    WhatIfFact,
    allowed_quantity,
    ask_gates,
    refusal,
)
from models.quant.overrides import NO_OVERRIDES, Overrides, Rule, Standing, Subject
from models.quant.regime_rules import Family
from models.quant.room import TicketRoom
from models.quant.structure import QuoteSource
from tests.quant.proposer_scene import book_of_rules

NOW = datetime(2026, 8, 21, 15, 0, tzinfo=UTC)
BOOK = book_of_rules()
STRICT = replace(BOOK.gates, open_interest_required=True)
LIMITS = BOOK.limits("desk", BOOK.detect(18.0, 18.0, 90, 0.1).regime, 1e6, 18.0, 1.0)


def second(count: float) -> timedelta:
    return timedelta(seconds=count)


def room(left: float | None = 100.0, unit: float | None = -10.0, kind=BreachKind.VEGA, **more) -> TicketRoom:
    return TicketRoom((kind,), (left,), (unit,), LIMITS, **more)


def quote(**more) -> QuoteFact:
    facts = {"name": "SPXW 6000 put", "bid": 50.0, "ask": 51.0, "at": NOW - second(1), "source": QuoteSource.REAL}
    facts |= {"bid_size": 40.0, "ask_size": 30.0, "open_interest": 500.0}
    return QuoteFact(**{**facts, "fitted": 50.4, **more})


GOOD = GateFacts(
    stage=Stage.CROSSING,
    rules=BOOK.gates,
    machine_now=NOW,
    desk_now=NOW,
    mode="DEMO",
    database_mode="DEMO",
    account_id="SIM12345",
    connected_account="SIM12345",
    trading_enabled=False,
    origin="hedge",
    status="Approved",
    expires_at=NOW + second(100),
    approval=ApprovalFact(True, NOW + second(30), 1),
    epoch=1,
    family="SPX",
    quantity=5,
    limit_price=51.0,
    worst_price=51.2,
    tick=0.1,
    quotes=(quote(),),
    mid_now=50.5,
    mid_proposed=50.5,
    natural_now=51.0,
    market_open=True,
    halt="off",
    halt_file=False,
    pause="off",
    underlying="SPX",
    shape=Family.CALENDAR,
    overrides=NO_OVERRIDES,
    locked_families=frozenset(),
    unknown_families=frozenset(),
    room=room(),
    what_if=WhatIfFact(NOW - second(2), 1000.0, 800.0, -100.0),
    available_funds=500_000.0,
    margin_used=200_000.0,
    nlv=1_000_000.0,
    margin_max=0.8,
)


def override(rule: Rule, factor: str = "1", strategy: Family | None = None) -> Overrides:
    return Overrides((Standing(Subject("SPX", strategy), rule, Fraction(factor), "pat", "before the Fed"),))


def verdict(gate: str, **changes):
    found = [v for v in ask_gates(replace(GOOD, **changes)) if v.gate == gate]
    assert found, f"gate {gate} was not asked"
    return found[0]


def test_a_good_ticket_passes_every_gate_at_every_stage():
    assert refusal(ask_gates(GOOD)) is None
    assert refusal(ask_gates(replace(GOOD, stage=Stage.CARD, status="Pending"))) is None
    assert refusal(ask_gates(replace(GOOD, stage=Stage.PROPOSAL))) is None


def test_facts_that_are_all_unknown_pass_no_gate():
    empty = GateFacts(stage=Stage.CROSSING, rules=BOOK.gates, machine_now=NOW, desk_now=NOW)
    answers = {v.gate: v.outcome for v in ask_gates(empty)}
    quiet = {"mock", "quote age", "spread", "size", "open interest", "surface"}
    # nothing to say without a quote; `quotes` refuses it
    assert all(outcome is Outcome.REFUSE for gate, outcome in answers.items() if gate not in quiet)


REFUSALS = [
    ("mock", {"origin": "mock"}, "never"),
    ("interlock", {"database_mode": "PAPER"}, "database belongs to mode PAPER"),
    ("interlock", {"database_mode": None}, "unknown"),
    ("interlock", {"connected_account": "SIM99999"}, "not the account"),
    ("interlock", {"connected_account": None}, "no account"),
    ("interlock", {"account_id": "U1", "connected_account": "U1"}, "not a DEMO account"),
    ("interlock", {"mode": "LIVE", "database_mode": "LIVE"}, "paper or simulated"),
    ("interlock", {"mode": "LIVE", "database_mode": "LIVE", "account_id": "U1", "connected_account": "U1"},
     "TRADING_ENABLED"),
    ("interlock", {"mode": "PAPER", "database_mode": "PAPER"}, "not a PAPER account"),
    ("decision", {"status": "Superseded"}, "Superseded"),
    ("approval", {"approval": None}, "no approval"),
    ("approval", {"approval": ApprovalFact(False, NOW + second(9), 1)}, "not valid"),
    ("approval", {"approval": ApprovalFact(None, NOW + second(9), 1)}, "could not be checked"),
    ("approval", {"approval": ApprovalFact(True, NOW, 1)}, "ended 0 s ago"),
    ("approval", {"approval": ApprovalFact(True, NOW + second(9), 2)}, "epoch 2"),
    ("halt", {"halt": "on"}, "halted"),
    ("halt", {"halt": None}, "cannot be read"),
    ("halt", {"halt": "maybe"}, "cannot be read"),
    ("halt", {"halt_file": True}, "var/HALT"),
    ("pause", {"pause": "on"}, "only reducing"),
    ("pause", {"pause": None}, "cannot be read"),
    ("override", {"overrides": None}, "cannot be read: only reducing"),
    ("override", {"overrides": Overrides(unreadable="override 7: rule 'half'")}, "override 7"),
    ("override", {"overrides": override(Rule.NONE)}, "not even a closing (pat: before the Fed)"),
    ("override", {"overrides": override(Rule.NONE), "room": room(closes=True)}, "not even a closing"),
    ("override", {"overrides": override(Rule.CLOSE_ONLY)}, "only what closes"),
    ("override", {"overrides": override(Rule.CLOSE_ONLY), "room": room(left=-50.0, unit=10.0)}, "only what closes"),
    ("override", {"overrides": override(Rule.REDUCE_ONLY)}, "only what reduces"),
    ("override", {"overrides": override(Rule.REDUCE_ONLY), "room": None}, "only what reduces"),
    ("override", {"overrides": override(Rule.MULTIPLIER, "1/10")}, "5 rounds down to nothing; 10 is the least"),
    ("override", {"overrides": override(Rule.NONE, strategy=Family.DIAGONAL), "shape": None}, "SPX / diagonal"),
    ("lock", {"locked_families": frozenset({"SPX"})}, "SPX is locked"),
    ("lock", {"locked_families": None}, "cannot be read"),
    ("unknown orders", {"unknown_families": frozenset({"SPX"})}, "unknown outcome"),
    ("market hours", {"market_open": False}, "closed"),
    ("market hours", {"market_open": None}, "unknown"),
    ("quotes", {"quotes": ()}, "no quotes"),
    ("quotes", {"quotes": (quote(bid=None),)}, "one-sided"),
    ("quotes", {"quotes": (quote(source=QuoteSource.MODELLED),)}, "modelled, not real"),
    ("quotes", {"quotes": (quote(source=QuoteSource.DELAYED),)}, "delayed, not real"),
    ("quotes", {"quotes": (quote(bid=52.0),)}, "crossed"),
    ("quotes", {"quotes": (quote(halted=True),)}, "halted"),
    ("quote age", {"quotes": (quote(at=NOW - second(5.1)),)}, "5.1 s old"),
    ("quote age", {"quotes": (quote(at=None),)}, "unknown"),
    ("quote age", {"quotes": (quote(at=NOW + second(5.1)),)}, "5.1 s in the future"),
    ("spread", {"quotes": (quote(bid=40.0, ask=45.0),)}, "5.00 wide"),
    ("spread", {"quotes": (quote(bid=0.4, ask=0.51),)}, "over 0.10"),
    ("size", {"quotes": (quote(bid_size=None),)}, "size of the market of SPXW 6000 put is unknown"),
    ("size", {"quotes": (quote(ask_size=0.5),)}, "shows 0.5 at its thinner side, under 1 for 5 of it"),
    ("open interest", {"quotes": (quote(open_interest=9.0),)}, "has 9 contracts open, under 10"),
    ("open interest", {"quotes": (quote(open_interest=None),), "rules": STRICT}, "open interest of SPXW 6000 put is"),
    ("surface", {"quotes": (quote(fitted=40.0),)}, "the surface says 40.00"),
    ("drift", {"mid_now": 53.1}, "moved 2.60"),
    ("drift", {"mid_proposed": None}, "unknown"),
    ("price collar", {"limit_price": 51.3}, "beyond the worst price"),
    ("price collar", {"natural_now": 40.0}, "through the market"),
    ("price collar", {"worst_price": None}, "unknown"),
    ("limits after the trade", {"room": None}, "unknown"),
    ("limits after the trade", {"room": room(left=5.0)}, "$45 over its limit"),
    ("limits after the trade", {"room": room(left=-20.0)}, "$20 over its limit and would be $70"),
    ("limits after the trade", {"room": room(unit=None)}, "unknown"),
    ("limits after the trade", {"room": room(left=None)}, "unknown and the trade would raise it"),
    ("limits after the trade", {"room": room(also=("notional is 120 % of its limit",))}, "notional"),
    ("margin preview", {"what_if": None}, "no margin preview"),
    ("margin preview", {"what_if": WhatIfFact(NOW - second(11), 1.0, 1.0, 0.0)}, "11 s old"),
    ("margin preview", {"what_if": WhatIfFact(None, 1.0, 1.0, 0.0)}, "age"),
    ("margin preview", {"what_if": WhatIfFact(NOW, 1.0, 1.0, 0.0, failure="timed out")}, "timed out"),
    ("margin preview", {"what_if": WhatIfFact(NOW, 1.0, 1.0, 0.0, estimated=True)}, "estimate"),
    ("capital", {"what_if": WhatIfFact(NOW, None, 1.0, 0.0)}, "unknown"),
    ("capital", {"what_if": WhatIfFact(NOW, 600_000.0, 1.0, 0.0)}, "20 % of available funds, $100,000"),
    ("capital", {"available_funds": None}, "unknown"),
    ("margin", {"margin_used": 850_000.0}, "nothing may raise it"),
    ("margin", {"margin_used": 799_500.0}, "would be"),
    ("margin", {"margin_used": None}, "unknown"),
    ("margin", {"what_if": WhatIfFact(NOW, None, None, None)}, "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("gate", "changes", "words"), REFUSALS)
def test_a_gate_refuses_in_words_with_the_numbers(gate, changes, words):
    answer = verdict(gate, **changes)
    assert answer.outcome is Outcome.REFUSE
    assert words in answer.reason


def test_an_expired_or_decided_card_is_blocked_and_its_what_if_may_be_half_a_minute_old():
    card = {"stage": Stage.CARD, "status": "Pending"}
    assert "expired 1 s ago" in verdict("expiry", **card, expires_at=NOW - second(1)).reason
    assert "already decided" in verdict("decision", **{**card, "status": "Approved"}).reason
    assert verdict("margin preview", **card, what_if=WhatIfFact(NOW - second(30), 1.0, 1.0, 0.0)).passed
    assert not verdict("margin preview", **card, what_if=WhatIfFact(NOW - second(31), 1.0, 1.0, 0.0)).passed


PASSES = [
    ("quote age", {"quotes": (quote(at=NOW - second(5)),)}),
    ("spread", {"quotes": (quote(bid=0.4, ask=0.5),)}),
    ("drift", {"mid_now": 50.5 + 50.5 * 0.05}),
    ("drift", {"mid_proposed": 0.1, "mid_now": 0.3}),
    ("surface", {"quotes": (quote(fitted=None),)}),
    ("pause", {"pause": "on", "room": room(left=-50.0, unit=10.0)}),
    ("pause", {"pause": "on", "room": room(closes=True)}),
    ("override", {"overrides": None, "room": room(closes=True)}),
    ("override", {"overrides": override(Rule.CLOSE_ONLY), "room": room(closes=True)}),
    ("override", {"overrides": override(Rule.CLOSE_ONLY), "room": None, "closes": True}),
    ("override", {"overrides": override(Rule.REDUCE_ONLY), "room": room(left=-50.0, unit=10.0)}),
    ("override", {"overrides": override(Rule.REDUCE_ONLY), "room": None, "reduces": True}),
    ("override", {"overrides": override(Rule.MULTIPLIER, "1/10"), "room": room(closes=True)}),
    ("override", {"overrides": override(Rule.MULTIPLIER, "1/2"), "asked": 10}),
    ("override", {"overrides": override(Rule.NONE, strategy=Family.DIAGONAL)}),
    ("override", {"overrides": override(Rule.NONE), "underlying": "SPY"}),
    ("limits after the trade", {"room": room(left=-50.0, unit=10.0)}),
    ("limits after the trade", {"room": room(left=None, unit=1.0)}),
    ("limits after the trade", {"room": room(left=50.0)}),
    ("capital", {"what_if": WhatIfFact(NOW, 100_000.0, 1.0, 0.0)}),
    ("capital", {"what_if": WhatIfFact(NOW, -5000.0, -1.0, 0.0), "available_funds": None}),
    ("margin", {"margin_used": 850_000.0, "what_if": WhatIfFact(NOW, -1.0, -1.0, 0.0)}),
    ("interlock", {"mode": "LIVE", "database_mode": "LIVE", "account_id": "U1", "connected_account": "U1",
                   "trading_enabled": True}),
    ("interlock", {"mode": "PAPER", "database_mode": "PAPER", "account_id": "DU1", "connected_account": "DU1"}),
]  # fmt: skip


@pytest.mark.parametrize(("gate", "changes"), PASSES)
def test_exactly_at_the_bound_or_reducing_passes(gate, changes):
    answer = verdict(gate, **changes)
    assert answer.passed, answer.reason


def test_a_thin_market_cuts_the_ticket_to_its_share_of_it():
    thin = (quote(bid_size=2.0), quote(name="SPXW 5900 put", ratio=2, bid_size=6.0))
    assert verdict("size", quantity=25, quotes=thin).cut_to == 20
    assert verdict("size", quantity=40, quotes=thin).cut_to == 20
    assert verdict("size", quantity=40, quotes=thin[1:]).cut_to == 30
    assert verdict("size", quantity=20, quotes=thin).passed


@pytest.mark.parametrize("rules", [BOOK.gates, STRICT])
def test_leaving_a_position_is_never_stopped_by_open_interest(rules):
    out = replace(room(left=-50.0, unit=10.0), closes=True)
    for interest in (None, 0.0):
        assert verdict("open interest", quotes=(quote(open_interest=interest),), room=out, rules=rules).passed


def test_a_feed_without_open_interest_leaves_the_desk_usable_and_shares_have_none():
    assert verdict("open interest", quotes=(quote(open_interest=None),)).passed
    share = quote(name="SPY", open_interest=None, is_option=False)
    assert verdict("open interest", quotes=(share,), rules=STRICT).passed


def test_too_many_are_cut_to_what_fits():
    limits = verdict("limits after the trade", room=room(left=35.0))
    assert (limits.outcome, limits.cut_to) == (Outcome.CUT, 3)
    capital = verdict("capital", what_if=WhatIfFact(NOW, 250_000.0, 1.0, 0.0))
    assert (capital.outcome, capital.cut_to) == (Outcome.CUT, 2)
    answers = ask_gates(replace(GOOD, room=room(left=35.0), what_if=WhatIfFact(NOW, 250_000.0, 1.0, 0.0)))
    assert allowed_quantity(answers, 5) == 2
    assert allowed_quantity(ask_gates(replace(GOOD, halt="on")), 5) == 0
    assert allowed_quantity(ask_gates(GOOD), 5) == 5


def test_a_multiplier_cuts_what_was_found_once_and_not_what_it_left():
    half = override(Rule.MULTIPLIER, "0.5")
    cut = verdict("override", overrides=half)
    assert (cut.outcome, cut.cut_to) == (Outcome.CUT, 2) and "2 of 5" in cut.reason
    assert verdict("override", overrides=half, quantity=2, asked=5).passed
    assert verdict("override", overrides=half, quantity=3, asked=5).cut_to == 2
    assert verdict("override", overrides=half, quantity=5, asked=1).cut_to == 2, "nobody asked for less than the ticket"
    tighter = override(Rule.MULTIPLIER, "0.2")
    assert verdict("override", overrides=tighter, quantity=2, asked=5).cut_to == 1


def test_a_refusal_comes_before_a_cut():
    answers = ask_gates(replace(GOOD, room=room(left=35.0), market_open=False))
    assert refusal(answers) == "market hours: the market is closed"


def test_under_pause_a_trade_that_harms_a_cap_is_not_reducing_even_when_it_closes():
    assert not verdict("pause", pause="on", room=room(left=5.0, closes=True)).passed


def test_curing_one_side_of_delta_may_not_break_the_other():
    sides = TicketRoom((BreachKind.DELTA,) * 2, (-100.0, 300.0), (50.0, -50.0), LIMITS)
    assert sides.most(6) == 6
    assert sides.most(7) == 6


def test_gate_names_are_unique():
    names = [gate.name for gate in GATES]
    assert len(set(names)) == len(names)
