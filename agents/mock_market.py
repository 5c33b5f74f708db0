"""A chain made up for MOCK_BREACH: no venue, no broker, one smile over weekly SPX expiries, everything marked modelled.

What is priced on it is an exercise; its proposals carry the origin mock and can never be approved.
"""

import math
from datetime import date, datetime, timedelta

from models.quant.option import Contract, Right, SecType
from models.quant.product import NEW_YORK, Settlement, settlement_minute, years_to
from models.quant.smile import Svi
from models.quant.surface import Slice, Surface
from models.quant.terms import MarketView

SPOT = 6000.0  # a round level; the exercise is about greeks, not about where the index happens to be
STEP, REACH = 25.0, (0.65, 1.20)  # listed strikes: every 25 points from -35 % to +20 %
RATE, GROWTH = 0.04, 0.03  # annual, continuous: discounting, and the forward (rate less dividends)
WEEKS = 11  # of Friday expiries: the whole window and one beyond each end
# Variance per year over log-moneyness: 16 % at the money, about 24 % ten percent below it, as an index skew is.
SKEW = Svi(a=-0.004, b=0.296, rho=-0.6, m=0.0, sigma=0.1)


def mock_market(now: datetime) -> tuple[MarketView, tuple[Contract, ...]]:
    """The view to price on and the contracts listed, at desk time `now`."""
    expiries = _fridays(now)
    slices = tuple(_slice(expiry, now) for expiry in expiries)
    view = MarketView(
        now=now, spx=SPOT, spots={"SPX": SPOT}, surfaces={"SPX": Surface("SPX", now, SPOT, slices)}, rate=RATE
    )
    low, high = (round(SPOT * reach / STEP) for reach in REACH)
    contracts = tuple(
        Contract("SPX", SecType.OPTION, "SPXW", 100.0, expiry, step * STEP, right)
        for expiry in expiries
        for step in range(low, high + 1)
        for right in Right
    )
    return view, contracts


def _fridays(now: datetime) -> list[date]:
    today = now.astimezone(NEW_YORK).date()
    first = today + timedelta(days=(4 - today.weekday()) % 7 or 7)
    return [first + timedelta(weeks=week) for week in range(WEEKS)]


def _slice(expiry: date, now: datetime) -> Slice:
    t = years_to(settlement_minute(expiry, Settlement.PM), now)
    svi = Svi(a=SKEW.a * t, b=SKEW.b * t, rho=SKEW.rho, m=SKEW.m, sigma=SKEW.sigma)
    return Slice(
        trading_class="SPXW",
        expiry=expiry,
        t_years=t,
        forward=SPOT * math.exp(GROWTH * t),
        discount=math.exp(-RATE * t),
        svi=svi,
        fit_error=0.0,
        quotes=0,
        pairs=0,
        lowest=SPOT * REACH[0],
        highest=SPOT * REACH[1],
    )
