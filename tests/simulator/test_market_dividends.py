"""Cash dividends of the venue's shares: quarterly, deterministic, and none where the name pays nothing."""

from datetime import date, timedelta

import pytest

from adapters.simulator.dividends import dividends_of
from adapters.simulator.names import SHARES
from models import calendar


def test_spy_goes_ex_on_the_third_friday_of_the_quarter() -> None:
    told = dividends_of("SPY", date(2026, 8, 21))
    assert told is not None
    assert told.next_ex == date(2026, 9, 18) and 1.0 < told.next_amount < 3.0
    assert told.a_year == pytest.approx(4 * told.next_amount, abs=0.01)
    assert dividends_of("SPY", date(2026, 9, 17)) == told
    after = dividends_of("SPY", date(2026, 9, 18))
    assert after is not None and after.next_ex == date(2026, 12, 18), "on the day itself it has gone ex"


@pytest.mark.parametrize("share", SHARES, ids=lambda share: share.symbol)
def test_every_payer_pays_four_times_a_year_on_trading_days(share) -> None:
    day, seen = date(2026, 1, 2), set()
    while day < date(2027, 1, 1):
        told = dividends_of(share.symbol, day)
        if share.dividend == 0:
            assert told is None
            return
        assert told is not None and told.next_ex > day and calendar.is_trading_day(told.next_ex)
        seen.add(told.next_ex)
        day += timedelta(days=7)
    assert 4 <= len(seen) <= 5
