"""The two lifecycles: the arrows of DOMAIN.md section 6 and no others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.order import Order
from models.proposed_trade import ProposalStatus
from models.quant.lifecycle import (
    DECISION,
    DONE,
    IN_FLIGHT,
    INSTRUCTION,
    SENTENCES,
    Decision,
    DecisionEvent,
    IllegalStep,
    Instruction,
    InstructionEvent,
    advance,
    events_from,
    hear,
)

S, E = Instruction, InstructionEvent
DOMAIN = {
    S.INTENDED: {S.REFUSED, S.SENT, S.UNKNOWN},
    S.SENT: {S.WORKING, S.REJECTED, S.UNKNOWN},
    S.WORKING: {S.PART_FILLED, S.FILLED, S.CANCELLED, S.UNKNOWN, S.CANCEL_REQUESTED, S.REPLACE_REQUESTED},
    S.UNKNOWN: {S.WORKING, S.PART_FILLED, S.FILLED, S.CANCELLED, S.REJECTED, S.ABANDONED},
}


@pytest.mark.parametrize("state", DOMAIN)
def test_an_instruction_goes_where_the_domain_says_and_nowhere_else(state):
    assert set(INSTRUCTION[state].values()) - {state} == DOMAIN[state]


def test_a_pending_decision_goes_to_one_of_four_ends():
    assert set(DECISION[Decision.PENDING].values()) == set(Decision) - {Decision.PENDING}


@pytest.mark.parametrize("state", [s for s in Decision if s is not Decision.PENDING])
@pytest.mark.parametrize("event", DecisionEvent)
def test_a_decision_once_made_stays(state, event):
    with pytest.raises(IllegalStep):
        advance(state, event)


def test_every_state_has_a_sentence_and_a_row():
    assert set(SENTENCES) == set(Decision) | set(Instruction)
    assert set(DECISION) == set(Decision)
    assert set(INSTRUCTION) == set(Instruction)
    assert {s.value for s in Decision} == {s.value for s in ProposalStatus}
    assert "status" in Order.model_fields


def test_every_state_is_done_or_in_flight():
    assert (DONE & set(Instruction)) | IN_FLIGHT == set(Instruction)
    assert not DONE & IN_FLIGHT


@given(st.lists(st.sampled_from(E), max_size=25))
def test_no_illegal_path_exists_and_done_states_absorb(events):
    state = S.INTENDED
    for event in events:
        try:
            after = advance(state, event)
        except IllegalStep as error:
            assert event not in INSTRUCTION[state]
            assert state.value in str(error)
            continue
        assert INSTRUCTION[state][event] is after
        if state in DONE:
            assert after is state
            assert event in (E.LATE_FILL, E.CORRECT)
        state = after


@given(st.lists(st.sampled_from(E), max_size=25))
def test_an_order_that_was_never_sent_is_never_filled(events):
    state, left = S.INTENDED, False
    for event in events:
        try:
            after = advance(state, event)
        except IllegalStep:
            continue
        left = left or event in (E.SEND, E.LOSE)
        assert left or after in (S.INTENDED, S.REFUSED)
        state = after


def test_an_intent_of_another_life_is_unknown_and_can_never_be_sent():
    assert advance(S.INTENDED, E.LOSE) is S.UNKNOWN
    with pytest.raises(IllegalStep):
        advance(S.UNKNOWN, E.SEND)


@pytest.mark.parametrize("state", [S.CANCELLED, S.FILLED, S.REJECTED, S.ABANDONED])
def test_late_fills_and_corrections_are_legal_after_the_end(state):
    assert advance(state, E.LATE_FILL) is state
    assert advance(state, E.CORRECT) is state
    assert hear(state, E.FILL) == (state,)


def test_a_word_that_implies_an_unheard_one_passes_through_it():
    assert hear(S.SENT, E.FILL) == (S.WORKING, S.FILLED)
    assert hear(S.SENT, E.CANCEL) == (S.WORKING, S.CANCELLED)
    assert hear(S.SENT, E.REJECT) == (S.REJECTED,)
    assert hear(S.WORKING, E.REJECT) == (S.CANCELLED,)
    assert hear(S.UNKNOWN, E.ABSENT) == (S.CANCELLED,)


@given(st.sampled_from(S), st.sampled_from(E))
def test_what_is_heard_only_ever_takes_arrows_of_the_table(state, event):
    try:
        path = hear(state, event)
    except IllegalStep:
        return
    for before, after in zip((state, *path), path, strict=False):
        assert after in INSTRUCTION[before].values()


@pytest.mark.parametrize("event", InstructionEvent)
def test_an_event_of_the_other_table_is_illegal(event):
    with pytest.raises(IllegalStep):
        advance(Decision.PENDING, event)


def test_the_expected_move_comes_first():
    assert events_from(S.INTENDED)[0] is E.SEND
    assert events_from(S.WORKING)[0] is E.FILL
    assert events_from(Decision.PENDING)[0] is DecisionEvent.APPROVE
