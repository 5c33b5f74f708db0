"""The two lifecycles of the desk as literal tables: a decision (the person's) and an instruction (the broker's).

`advance(state, event)` is the only way from one state to the next; an arrow that is not in the table is IllegalStep.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar, cast


class IllegalStep(ValueError):
    """An event that the table does not allow from this state. The row stays as it is and the attempt is journalled."""

    def __init__(self, state: StrEnum, event: StrEnum) -> None:
        super().__init__(f"{event.value} is not possible from {state.value}: {SENTENCES[state]}")
        self.state = state
        self.event = event


# ── the decision ────────────────────────────────────────────────────────────────────────────────────────────────
class Decision(StrEnum):
    """Spelled as `proposed_trades.status` stores it."""

    PENDING = "Pending"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    SUPERSEDED = "Superseded"
    EXPIRED = "Expired"


class DecisionEvent(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    SUPERSEDE = "supersede"
    EXPIRE = "expire"


DECISION: Mapping[Decision, Mapping[DecisionEvent, Decision]] = {
    Decision.PENDING: {
        DecisionEvent.APPROVE: Decision.APPROVED,
        DecisionEvent.REJECT: Decision.REJECTED,
        DecisionEvent.SUPERSEDE: Decision.SUPERSEDED,
        DecisionEvent.EXPIRE: Decision.EXPIRED,
    },
    Decision.APPROVED: {},
    Decision.REJECTED: {},
    Decision.SUPERSEDED: {},
    Decision.EXPIRED: {},
}


# ── the instruction ─────────────────────────────────────────────────────────────────────────────────────────────
class Instruction(StrEnum):
    """Spelled as `orders.status` stores it."""

    INTENDED = "intended"
    REFUSED = "refused"
    SENT = "sent"
    WORKING = "working"
    PART_FILLED = "part_filled"
    CANCEL_REQUESTED = "cancel_requested"
    REPLACE_REQUESTED = "replace_requested"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    ABANDONED = "abandoned_by_person"


class InstructionEvent(StrEnum):
    """What can be heard of an instruction. The same events resolve an unknown: they are then the evidence."""

    REFUSE = "refuse"  # a gate said no before anything left
    SEND = "send"
    ACKNOWLEDGE = "acknowledge"  # the broker holds it
    PART_FILL = "part_fill"
    FILL = "fill"
    ASK_CANCEL = "ask_cancel"
    ASK_REPLACE = "ask_replace"
    RESUME = "resume"  # a modify or cancel was answered, either way, and the order works on
    CANCEL = "cancel"  # the end is confirmed, whoever asked
    REJECT = "reject"
    LOSE = "lose"  # no certain word; also recovery finding an intent of another life
    ABSENT = "absent"  # proven never to have reached the broker; a fill would still be heard
    ABANDON = "abandon"  # the person gives the search up; the reference stays watched
    LATE_FILL = "late_fill"
    CORRECT = "correct"  # a revised execution


_E, _I = InstructionEvent, Instruction

INSTRUCTION: Mapping[Instruction, Mapping[InstructionEvent, Instruction]] = {
    _I.INTENDED: {_E.SEND: _I.SENT, _E.REFUSE: _I.REFUSED, _E.LOSE: _I.UNKNOWN},
    _I.SENT: {_E.ACKNOWLEDGE: _I.WORKING, _E.REJECT: _I.REJECTED, _E.LOSE: _I.UNKNOWN},
    _I.WORKING: {
        _E.FILL: _I.FILLED, _E.PART_FILL: _I.PART_FILLED, _E.CANCEL: _I.CANCELLED, _E.LOSE: _I.UNKNOWN,
        _E.ASK_CANCEL: _I.CANCEL_REQUESTED, _E.ASK_REPLACE: _I.REPLACE_REQUESTED, _E.ACKNOWLEDGE: _I.WORKING,
        _E.CORRECT: _I.WORKING,
    },
    _I.PART_FILLED: {
        _E.FILL: _I.FILLED, _E.PART_FILL: _I.PART_FILLED, _E.CANCEL: _I.CANCELLED, _E.LOSE: _I.UNKNOWN,
        _E.ASK_CANCEL: _I.CANCEL_REQUESTED, _E.ASK_REPLACE: _I.REPLACE_REQUESTED, _E.ACKNOWLEDGE: _I.PART_FILLED,
        _E.CORRECT: _I.PART_FILLED,
    },
    _I.CANCEL_REQUESTED: {
        _E.CANCEL: _I.CANCELLED, _E.FILL: _I.FILLED, _E.RESUME: _I.WORKING, _E.LOSE: _I.UNKNOWN,
        _E.PART_FILL: _I.CANCEL_REQUESTED, _E.ACKNOWLEDGE: _I.CANCEL_REQUESTED, _E.ASK_CANCEL: _I.CANCEL_REQUESTED,
        _E.CORRECT: _I.CANCEL_REQUESTED,
    },
    _I.REPLACE_REQUESTED: {
        _E.RESUME: _I.WORKING, _E.FILL: _I.FILLED, _E.CANCEL: _I.CANCELLED, _E.LOSE: _I.UNKNOWN,
        _E.ASK_CANCEL: _I.CANCEL_REQUESTED, _E.PART_FILL: _I.REPLACE_REQUESTED,
        _E.ACKNOWLEDGE: _I.REPLACE_REQUESTED, _E.CORRECT: _I.REPLACE_REQUESTED,
    },
    _I.UNKNOWN: {
        _E.ACKNOWLEDGE: _I.WORKING, _E.PART_FILL: _I.PART_FILLED, _E.FILL: _I.FILLED, _E.CANCEL: _I.CANCELLED,
        _E.REJECT: _I.REJECTED, _E.ABSENT: _I.CANCELLED, _E.ABANDON: _I.ABANDONED, _E.LOSE: _I.UNKNOWN,
    },
    _I.CANCELLED: {_E.LATE_FILL: _I.CANCELLED, _E.CORRECT: _I.CANCELLED},
    _I.FILLED: {_E.LATE_FILL: _I.FILLED, _E.CORRECT: _I.FILLED},
    _I.REJECTED: {_E.LATE_FILL: _I.REJECTED, _E.CORRECT: _I.REJECTED},
    _I.ABANDONED: {_E.LATE_FILL: _I.ABANDONED, _E.CORRECT: _I.ABANDONED},
    _I.REFUSED: {},
}  # fmt: skip


# ── one function, and the words ─────────────────────────────────────────────────────────────────────────────────
S = TypeVar("S", Decision, Instruction)
Event = DecisionEvent | InstructionEvent


def advance(state: S, event: Event) -> S:
    """The state after `event`; raises IllegalStep when the table has no such arrow (nor the other table's)."""
    table = cast(Mapping[S, Mapping[Event, S]], DECISION if isinstance(state, Decision) else INSTRUCTION)
    try:
        # both enums are strings and share words (reject): an event of the other table must not slip through
        if isinstance(event, DecisionEvent) is not isinstance(state, Decision):
            raise KeyError(event)
        return table[state][event]
    except KeyError:
        raise IllegalStep(state, event) from None


def hear(state: Instruction, event: InstructionEvent) -> tuple[Instruction, ...]:
    """The states passed through when the broker's word implies an earlier one that was never heard.

    A fill or a cancel of a sent order says that the broker held it; a refusal of an order it held is its end; a fill
    after the end is a late fill. Everything else is one `advance`. Raises IllegalStep like it.
    """
    implied = {InstructionEvent.FILL, InstructionEvent.PART_FILL, InstructionEvent.CANCEL}
    if state is Instruction.SENT and event in implied:
        return Instruction.WORKING, advance(Instruction.WORKING, event)
    if event is InstructionEvent.REJECT and state in _HELD:
        event = InstructionEvent.CANCEL
    if state in DONE and event in (InstructionEvent.FILL, InstructionEvent.PART_FILL):
        event = InstructionEvent.LATE_FILL
    return (advance(state, event),)


_HELD = (Instruction.WORKING, Instruction.PART_FILLED, Instruction.CANCEL_REQUESTED, Instruction.REPLACE_REQUESTED)


def events_from(state: Decision | Instruction) -> tuple[Event, ...]:
    """What may happen next, in the table's order: the expected move first."""
    table = cast(Mapping[StrEnum, Mapping[Event, StrEnum]], DECISION if isinstance(state, Decision) else INSTRUCTION)
    return tuple(table[state])


DONE: frozenset[StrEnum] = frozenset({
    Decision.APPROVED, Decision.REJECTED, Decision.SUPERSEDED, Decision.EXPIRED,
    _I.REFUSED, _I.FILLED, _I.CANCELLED, _I.REJECTED, _I.ABANDONED,
})  # fmt: skip
"""States that nothing leaves again; late fills and corrections are booked without moving them."""

IN_FLIGHT: frozenset[Instruction] = frozenset({
    _I.INTENDED, _I.SENT, _I.WORKING, _I.PART_FILLED, _I.CANCEL_REQUESTED, _I.REPLACE_REQUESTED, _I.UNKNOWN,
})  # fmt: skip
"""States that may still move the book; limits count them at their worst."""

SENTENCES: Mapping[StrEnum, str] = {
    Decision.PENDING: "The proposal waits for a person.",
    Decision.APPROVED: "A person signed it; the bridge may cross it until its approval ends.",
    Decision.REJECTED: "A person said no, with a reason.",
    Decision.SUPERSEDED: "A newer check or an approved sibling took its place.",
    Decision.EXPIRED: "Nobody decided in time.",
    _I.INTENDED: "Written down with its reference; nothing has left the desk.",
    _I.REFUSED: "A gate refused it; nothing left the desk.",
    _I.SENT: "Sent once; the broker has not answered yet.",
    _I.WORKING: "The broker holds it and works it.",
    _I.PART_FILLED: "Part of it is filled; the rest works.",
    _I.CANCEL_REQUESTED: "A cancel was asked for; until it is confirmed the order may still fill.",
    _I.REPLACE_REQUESTED: "A new price was asked for; until it is confirmed either price may fill.",
    _I.FILLED: "All of it is filled.",
    _I.CANCELLED: "The broker confirmed its end; a fill that was under way may still arrive.",
    _I.REJECTED: "The broker refused it in its own words.",
    _I.UNKNOWN: "Nobody knows whether the broker has it; new risk in its family is blocked until there is evidence.",
    _I.ABANDONED: "A person gave the search up; its reference stays watched.",
}
