"""What exists at each expiry is asked once; nothing listed is an answer, no answer is none."""

from collections.abc import Sequence
from datetime import date

import pytest

from adapters.base import Answer, ChainListing
from agents.desk import Desk
from agents.listings import Listings
from models.quant.option import Contract
from tests.agents.scripted_market import ScriptedMarketData

DAYS = tuple(date(2027, 1, day) for day in (4, 5, 6))
POINTS = tuple(("SPXW", day) for day in DAYS)
CHAIN = ChainListing("SPX", "SPXW", "SMART", 100.0, tuple(day.isoformat() for day in DAYS), (5000.0, 5100.0))


class MoodyMarket(ScriptedMarketData):
    """Fails for the first expiry and lists nothing for the second."""

    def __init__(self) -> None:
        super().__init__({}, [CHAIN], [])
        self.asked: list[date] = []

    async def listed(self, symbol: str, trading_class: str, expiry: date) -> Answer[tuple[Contract, ...]]:
        self.asked.append(expiry)
        if expiry == DAYS[0]:
            return Answer.fail("no answer within 20 s")
        return Answer.of(()) if expiry == DAYS[1] else await super().listed(symbol, trading_class, expiry)


async def learnt(desk: Desk, market: MoodyMarket, turns: int) -> Listings:
    listings = Listings("SPX")
    await listings.refresh(desk, market)
    for _ in range(turns):
        wanted: Sequence[tuple[str, date]] = [point] if (point := listings.unknown(POINTS)) else []
        await listings.learn(desk, market, wanted)
    return listings


async def test_an_expiry_that_never_answers_does_not_keep_the_others_waiting(desk: Desk) -> None:
    market = MoodyMarket()
    listings = await learnt(desk, market, 5)
    assert set(listings.exact) == set(POINTS[1:])
    assert market.asked == [DAYS[0], DAYS[1], DAYS[2], DAYS[0], DAYS[0]]


@pytest.mark.parametrize(("point", "strikes"), [(0, (5000.0, 5100.0)), (1, ()), (2, (5000.0, 5100.0))])
async def test_nothing_listed_is_known_and_unanswered_falls_back_to_the_union(
    desk: Desk, point: int, strikes: tuple[float, ...]
) -> None:
    listings = await learnt(desk, MoodyMarket(), 4)
    assert listings.at(POINTS[point]).strikes == strikes


async def test_the_store_keeps_only_what_was_really_answered(desk: Desk) -> None:
    await learnt(desk, MoodyMarket(), 4)
    (row,) = await desk.store.market.chains("SPX")
    assert row.listed == {
        DAYS[1].isoformat(): {"C": [], "P": []},
        DAYS[2].isoformat(): {"C": [5000.0, 5100.0], "P": [5000.0, 5100.0]},
    }
