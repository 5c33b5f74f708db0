"""The form of a typed ticket: what is read back as it was written, and that whatever else comes is refused by field."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.market import ChainRow
from models.quant.hand_ticket import (
    HandTicket,
    TicketError,
    check_listed,
    check_size,
    check_tick,
    nearest,
    read_ticket,
    strikes_of,
)
from models.quant.option import Contract, Right, SecType
from models.quant.structure import Action, Leg
from tests.quant.proposer_scene import MES, NOW, SPY, book_of_rules, option

HIGH, LOW = option(6000.0, 33, "P"), option(5900.0, 33, "P")
SPREAD = HandTicket("SIM1", (Leg(HIGH, Action.BUY), Leg(LOW, Action.SELL, 2)), 3, 12.35)
CHAIN = ChainRow(
    symbol="SPX", trading_class="SPXW", exchange="SMART", multiplier=100, expirations=["2026-09-23", "2026-09-30"],
    strikes=[5900.0, 6000.0], listed={"2026-09-23": {"P": [6000.0, 5900.0], "C": []}}, at=NOW,
)  # fmt: skip


@pytest.mark.parametrize(
    "ticket",
    [SPREAD, HandTicket("S", (Leg(MES, Action.SELL),), 1, None), HandTicket("S", (Leg(SPY, Action.BUY),), 9, 1.0)],
)  # fmt: skip
def test_a_ticket_is_read_back_as_it_was_written(ticket: HandTicket) -> None:
    assert read_ticket(ticket.to_json()) == ticket


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_whatever_stands_in_a_field_is_read_or_refused_by_name_and_never_anything_else(data: st.DataObject) -> None:
    body: dict[str, Any] = SPREAD.to_json()
    where = data.draw(st.sampled_from(["top", "leg"]))
    part = body if where == "top" else body["legs"][0]
    part[data.draw(st.sampled_from(sorted(part)))] = data.draw(JSON)
    try:
        ticket = read_ticket(body)
    except TicketError as error:
        assert str(error).startswith(f"{error.field}: ") and error.field
    else:
        assert ticket.quantity >= 1 and 1 <= len(ticket.legs) <= 6


@given(JSON)
def test_what_is_no_ticket_at_all_is_refused(raw: Any) -> None:
    with pytest.raises(TicketError):
        read_ticket(raw)


@pytest.mark.parametrize(
    ("contract", "words"),
    [(option(5950.0, 33, "P"), "leg 1, strike: there is no SPXW 23 Sep 26 5950 put; near it: 5900 and 6000"),
     (option(6000.0, 33, "C"), "leg 1, expiry: SPXW lists none on 23 Sep 26"),
     (option(6000.0, 35, "P"), "near it: 23 Sep 26 and 30 Sep 26"),
     (option(6000.0, 33, "P", "XSP"), "leg 1, class: XSP 23 Sep 26 6000 put is not listed here"),
     (Contract("SPX", SecType.OPTION, "SPXW", 10, HIGH.expiry, 6000.0, Right.PUT), "multiplier: 10 is not SPXW's 100"),
     (Contract("SPY", SecType.STOCK, "SPY", 10), "multiplier: 10 is not that of SPY"),
     (MES, "leg 1, class: MES Sep 26")],
)  # fmt: skip
def test_what_is_not_listed_is_refused_with_what_is_near_it(contract: Contract, words: str) -> None:
    with pytest.raises(TicketError) as refused:
        check_listed(contract, "leg 1", [CHAIN], {SPY.identity: SPY})
    assert words in str(refused.value)


def test_what_is_listed_or_held_passes() -> None:
    for contract in (HIGH, option(6000.0, 40, "C"), SPY, option(7.0, 33, "P", "ABC")):
        check_listed(contract, "leg 1", [CHAIN], {one.identity: one for one in (SPY, option(7.0, 33, "P", "ABC"))})
    assert strikes_of(CHAIN, date(2026, 9, 23), Right.PUT) == [5900.0, 6000.0]
    assert strikes_of(CHAIN, date(2026, 9, 30), Right.CALL) == [5900.0, 6000.0], "the union where the day is unknown"
    assert strikes_of(CHAIN, date(2026, 9, 23), Right.CALL) == []
    assert nearest([1, 3], 0) == (1,) and nearest([1, 3], 4) == (3,) and nearest([], 4) == ()


@pytest.mark.parametrize(
    ("legs", "limit", "good"),
    [((Leg(HIGH, Action.BUY),), 2.95, True), ((Leg(HIGH, Action.BUY),), 3.05, False), (SPREAD.legs, 3.05, True),
     (SPREAD.legs, -1.85, True), (SPREAD.legs, -1.83, False), (SPREAD.legs, None, True),
     ((Leg(MES, Action.BUY),), 6400.1, False)],
)  # fmt: skip
def test_a_limit_stands_on_its_tick(legs: tuple[Leg, ...], limit: float | None, good: bool) -> None:
    ticket = HandTicket("S", legs, 1, limit)
    if good:
        check_tick(ticket)
        return
    with pytest.raises(TicketError, match=r"^limit: .* is between two ticks of .*; type .* or "):
        check_tick(ticket)


def test_a_ticket_larger_than_any_may_be_is_refused() -> None:
    rules = book_of_rules().hedges
    check_size(HandTicket("S", (Leg(SPY, Action.BUY),), rules.max_shares, None), rules)
    check_size(HandTicket("S", SPREAD.legs, rules.max_quantity, None), rules)
    with pytest.raises(TicketError, match="501 is over 500"):
        check_size(HandTicket("S", SPREAD.legs, 501, None), rules)
