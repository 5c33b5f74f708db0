"""The bridge's pure parts: what explains a difference, what a closing is, when the broker may be away."""

from datetime import UTC, date, datetime

import pytest

from bridge.settling import Difference, explain
from bridge.watchdog import expected_outage
from database.orders import InFlight
from models.quant.aftermath import closable, only_closes
from models.quant.option import Contract, Right, SecType
from models.quant.structure import Action, Leg

NOW = datetime(2026, 12, 19, 15, 0, tzinfo=UTC)
SPX = Contract("SPX", SecType.OPTION, "SPXW", 100.0, date(2026, 12, 18), 6000.0, Right.PUT)
CALL = Contract("SPY", SecType.OPTION, "SPY", 100.0, date(2026, 12, 31), 600.0, Right.CALL)
PUT = Contract("SPY", SecType.OPTION, "SPY", 100.0, date(2026, 12, 31), 600.0, Right.PUT)
SHARES = Contract("SPY", SecType.STOCK, "SPY")


def test_an_option_past_its_settlement_has_expired_and_before_it_has_not() -> None:
    gone = Difference(SPX, -3.0, 0.0)
    assert explain([gone], NOW) == {gone: "expired or settled in cash"}
    assert explain([gone], datetime(2026, 12, 18, 20, 59, tzinfo=UTC)) == {}
    assert explain([Difference(SPX, -3.0, -1.0)], NOW) == {}


@pytest.mark.parametrize(
    ("contract", "ours", "shares"),
    [(CALL, -2.0, -200.0), (CALL, 2.0, 200.0), (PUT, -2.0, 200.0), (PUT, 2.0, -200.0)],
)
def test_options_that_went_with_exactly_their_shares_were_exercised(
    contract: Contract, ours: float, shares: float
) -> None:
    options, stock = Difference(contract, ours, 0.0), Difference(SHARES, 50.0, 50.0 + shares)
    assert set(explain([options, stock], NOW)) == {options, stock}
    off_by_one = Difference(SHARES, 50.0, 51.0 + shares)
    assert explain([options, off_by_one], NOW) == {}


def test_european_options_deliver_no_shares() -> None:
    later = Contract("SPX", SecType.OPTION, "SPXW", 100.0, date(2026, 12, 31), 6000.0, Right.PUT)
    assert explain([Difference(later, -1.0, 0.0), Difference(SHARES, 0.0, 100.0)], NOW) == {}


def _flying(action: Action, quantity: float) -> InFlight:
    return InFlight([Leg(CALL, action).to_json()], "BUY", quantity, "working", None, "ref", NOW)


@pytest.mark.parametrize(
    ("held", "unit", "quantity", "flying", "closing"),
    [(5.0, -1.0, 5, None, True), (5.0, -1.0, 6, None, False), (5.0, 1.0, 1, None, False), (-5.0, 1.0, 5, None, True),
     (5.0, -1.0, 3, _flying(Action.SELL, 3), False), (5.0, -1.0, 2, _flying(Action.SELL, 3), True),
     (5.0, -1.0, 5, _flying(Action.BUY, 3), True), (0.0, -1.0, 1, None, False)],
)  # fmt: skip
def test_a_closing_never_exceeds_what_is_held_less_what_is_being_closed(
    held: float, unit: float, quantity: int, flying: InFlight | None, closing: bool
) -> None:
    ways = [flying.amounts] if flying else []
    leg = Leg(CALL, Action.BUY if unit > 0 else Action.SELL)
    assert only_closes([leg], quantity, closable({CALL.identity: held}, ways)) is closing


@pytest.mark.parametrize(
    ("at", "expected"),
    [(datetime(2026, 11, 18, 16, tzinfo=UTC), False), (datetime(2026, 11, 18, 4, 45, tzinfo=UTC), True),
     (datetime(2026, 11, 22, 6, 10, tzinfo=UTC), True), (datetime(2026, 11, 22, 7, 0, tzinfo=UTC), False)],
)  # fmt: skip
def test_the_nightly_reset_and_the_weekly_login_are_expected(at: datetime, expected: bool) -> None:
    assert expected_outage(at) is expected
