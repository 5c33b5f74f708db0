"""Tickets typed by the person, on a real store: proposed when they break nothing, else answered in words."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.base import Tick
from agents import greeks_streamer, hand_tickets, market_watch, trade_proposer
from agents.desk import Desk
from agents.runner import Rota, hire
from agents.schedule import duty_of
from models.appetite import Override
from models.calendar import next_session
from models.clock import DeskClock
from models.control import Request, RequestKind, RequestStatus
from models.proposed_trade import Origin, ProposedTrade
from models.quant.hand_ticket import HandTicket
from models.quant.option import Contract, SecType
from models.quant.product import Hours
from models.quant.structure import Action, Leg, contract_to_json
from tests.agents.scripted_market import OptionMarket
from tests.agents.test_trade_proposer import ACCOUNT, Bridge, account_is, bridge, hold, put, streams

__all__ = ["bridge", "streams"]  # fixtures, used by name


class OpenMarket(OptionMarket):
    """The scripted market an hour into the next regular session, whenever the test runs."""

    def __init__(self) -> None:
        super().__init__()
        machine = datetime.now(UTC)
        self.started = DeskClock(machine, next_session(Hours.CBOE_INDEX, machine).start + timedelta(hours=1), 1.0)
        self.silent: set[str] = set()

    @property
    def clock(self) -> DeskClock:
        return self.started

    def tick_of(self, contract: Contract) -> Tick | None:
        tick = super().tick_of(contract)
        if tick is None or contract.identity in self.silent:
            return None
        return replace(tick, at=self.clock.at(datetime.now(UTC)))


@pytest.fixture
def market(desk: Desk) -> OpenMarket:
    data = OpenMarket()

    async def open_data(_settings: object) -> OpenMarket:
        return data

    desk.open_data = open_data
    return data


def buy(contract: Contract, ratio: int = 1) -> Leg:
    return Leg(contract, Action.BUY, ratio)


def sell(contract: Contract, ratio: int = 1) -> Leg:
    return Leg(contract, Action.SELL, ratio)


async def typed(desk: Desk, payload: Any) -> int:
    body = payload.to_json() if isinstance(payload, HandTicket) else payload
    now = datetime.now(UTC)
    deadline = now + timedelta(seconds=60)
    return await desk.store.control.ask(RequestKind.HAND_TICKET, body, "pat", now, deadline, target="trade_proposer")


async def answered(desk: Desk, payload: Any) -> Request:
    number = await typed(desk, payload)
    assert await hand_tickets.answer_waiting(desk) == 1
    return await desk.store.control.request(number)


async def proposed(desk: Desk, request: Request) -> ProposedTrade:
    assert request.status == RequestStatus.DONE, request.result
    assert request.result is not None
    row = await desk.store.proposals.get(request.result["proposal_id"])
    assert row is not None
    return row


async def overridden(desk: Desk, rule: str, value: str = "", subject: str = "SPX") -> None:
    row = Override(subject=subject, rule=rule, value=value, by="pat", reason="before the Fed", at=datetime.now(UTC))
    await desk.store.appetite.set_override(row)


def spread(market: OptionMarket) -> tuple[Leg, Leg]:
    return buy(put(market, 6300.0)), sell(put(market, 6100.0))


# ── it goes into the inbox ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("streams")
async def test_a_typed_spread_becomes_a_hand_proposal_on_real_quotes_with_the_brokers_margin(
    desk: Desk, market: OpenMarket, bridge: Bridge
) -> None:
    await hold(desk, {put(market, 6100.0): 2.0})
    row = await proposed(desk, await answered(desk, HandTicket(ACCOUNT, spread(market), 2, None)))
    assert (row.origin, row.strategy_name, row.quantity) == (Origin.HAND, "Bear put spread", 2)
    assert row.expires_at - row.created_at == timedelta(minutes=15)
    assert row.margin_source == "broker" and row.legs_hash in bridge.asked
    assert all(leg["source"] == "real" and leg["con_id"] and leg["quoted_at"] for leg in row.legs_json)
    assert "Typed by pat" in row.justification and "delta" in row.justification and "$" in row.justification
    assert row.scores is not None and row.scores["asked"] == 2 and row.scores["after"]["spx_delta"] is not None
    assert {"override", "limits after the trade", "spread", "capital"} <= {c["name"] for c in row.scores["checks"]}
    assert row.id is not None and await desk.store.orders.what_if_for(row.id) is not None
    wished = await desk.store.market.subscriptions(datetime.now(UTC) + timedelta(minutes=10))
    assert {leg["identity"] for leg in row.legs_json} <= {one.identity for one in wished}


@pytest.mark.usefixtures("streams", "bridge")
async def test_a_hedge_check_leaves_hand_tickets_alone(desk: Desk, market: OpenMarket) -> None:
    await hold(desk, {put(market, 6100.0): -20.0, put(market, 5600.0): 10.0})
    row = await proposed(desk, await answered(desk, HandTicket(ACCOUNT, (buy(put(market, 6100.0)),), 1, None)))
    await account_is(desk, 1_000_000)
    await trade_proposer.work(desk)
    again = await desk.store.proposals.get(row.id or 0)
    assert again is not None and again.status == "Pending"


@pytest.mark.usefixtures("streams", "bridge")
async def test_the_persons_own_limit_is_the_worst_price_too(desk: Desk, market: OpenMarket) -> None:
    await hold(desk, {})
    row = await proposed(desk, await answered(desk, HandTicket(ACCOUNT, spread(market), 1, 10.05)))
    assert (row.limit_price, row.worst_price) == (10.05, 10.05)


@pytest.mark.usefixtures("streams")
async def test_without_the_brokers_word_the_estimate_stands_and_says_so(
    desk: Desk, market: OpenMarket, bridge: Bridge
) -> None:
    bridge.initial = None
    await hold(desk, {})
    request = await answered(desk, HandTicket(ACCOUNT, spread(market), 1, None))
    row = await proposed(desk, request)
    assert row.margin_source in ("estimate", "unknown")
    assert request.result is not None and "estimated margin" in request.result["said"]


@pytest.mark.usefixtures("streams", "bridge")
async def test_a_multiplier_cuts_the_typed_size_and_says_from_what(desk: Desk, market: OpenMarket) -> None:
    await hold(desk, {})
    await overridden(desk, "multiplier", "0.5")
    request = await answered(desk, HandTicket(ACCOUNT, spread(market), 3, None))
    row = await proposed(desk, request)
    assert row.quantity == 1 and row.scores is not None and row.scores["asked"] == 3
    assert (
        "cut it from 3" in row.justification and request.result is not None and "cut from 3" in request.result["said"]
    )


@pytest.mark.usefixtures("streams", "bridge")
async def test_a_closing_passes_where_only_closings_may(desk: Desk, market: OpenMarket) -> None:
    short = put(market, 6100.0)
    await hold(desk, {short: -3.0})
    await overridden(desk, "close_only")
    row = await proposed(desk, await answered(desk, HandTicket(ACCOUNT, (buy(short),), 3, None)))
    assert row.strategy_name == "Close short put"
    refused = await answered(desk, HandTicket(ACCOUNT, (buy(short),), 4, None))
    assert "only what closes a holding" in (refused.result or {})["failure"]


# ── it is refused in words ───────────────────────────────────────────────────────────────────────────────────────
def changed(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda body: {**body, **fields}


def leg_changed(place: int, **fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(body: dict[str, Any]) -> dict[str, Any]:
        legs = [dict(leg) for leg in body["legs"]]
        legs[place] |= {"identity": None, **fields}
        return {**body, "legs": legs}

    return change


BAD = [
    (lambda body: [body], "ticket: it is list"),
    (changed(account_id=""), "account: it is not named"),
    (changed(account_id="SIM99"), "account: it is not one of this desk's"),
    (changed(legs=[]), "legs: there are none"),
    (lambda body: {**body, "legs": body["legs"] * 4}, "legs: 8 are too many; one ticket takes 6"),
    (lambda body: {**body, "legs": body["legs"] * 2}, "leg 3: it is the contract of leg 1"),
    (changed(quantity=0), "quantity: 0 is not a whole number; type 1 or more"),
    (changed(quantity=1.5), "quantity: 1.5"),
    (changed(quantity="2"), "quantity: '2'"),
    (changed(quantity=501), "quantity: 501 is over 500"),
    (changed(limit_price="cheap"), "limit: 'cheap' is not a price"),
    (changed(limit_price=float("inf")), "limit: 'inf' is not a price"),
    (changed(limit_price=10.03), "limit: 10.03 is between two ticks of 0.05; type 10.00 or 10.05"),
    (changed(limit_price=400.0), "limit: 400.00 is far through the market, which asks"),
    (leg_changed(1, ratio=4), "leg 2, ratio: 4 is not a whole number from 1 to 3"),
    (leg_changed(1, action="HOLD"), "leg 2, side: 'HOLD' is none of BUY, SELL"),
    (leg_changed(0, right="X"), "leg 1, right: 'X' is none of C, P"),
    (leg_changed(0, strike=None), "leg 1, strike: None is not a number above 0"),
    (leg_changed(0, strike=6301.0), "leg 1, strike: there is no SPXW"),
    (leg_changed(0, expiry="soon"), "leg 1, expiry: 'soon' is no date"),
    (leg_changed(0, expiry="2031-01-03"), "leg 1, expiry: SPXW lists none on 03 Jan 31"),
    (leg_changed(0, multiplier=10.0), "leg 1, multiplier: 10 is not SPXW's 100"),
    (leg_changed(0, trading_class=" "), "leg 1, class: ' ' names no underlying"),
    (leg_changed(1, trading_class="SPX"), "leg 2, class: SPX beside SPXW"),
    (leg_changed(1, sec_type="STK"), "leg 2, kind: options and their underlying are two tickets"),
    (leg_changed(1, sec_type="CAT"), "leg 2, kind: 'CAT' is none of"),
    (lambda body: {**body, "legs": [{**leg, "ratio": 2} for leg in body["legs"]]}, "ratios: all of them divide by 2"),
    (lambda body: {**body, "legs": [contract_to_json(Contract("ZZZ", SecType.STOCK, "ZZZ"))
                                    | {"action": "BUY", "ratio": 1}]}, "leg 1, class: ZZZ is not listed here"),
]  # fmt: skip


@pytest.mark.usefixtures("streams", "bridge")
async def test_every_bad_input_is_answered_with_the_field_and_the_remedy(desk: Desk, market: OpenMarket) -> None:
    await hold(desk, {})
    good = HandTicket(ACCOUNT, spread(market), 1, None).to_json()
    for spoil, words in BAD:
        request = await answered(desk, spoil(good))
        assert request.status == RequestStatus.FAILED, words
        assert words in (request.result or {})["failure"], f"{words!r} is not in {request.result}"
    assert await desk.store.proposals.pending(ACCOUNT, datetime.now(UTC)) == []


@pytest.mark.usefixtures("streams", "bridge")
async def test_a_ticket_that_would_break_a_cap_is_refused_with_the_size_that_would_not(
    desk: Desk, market: OpenMarket
) -> None:
    await hold(desk, {})
    few = await answered(desk, HandTicket(ACCOUNT, (sell(put(market, 6300.0)),), 8, None))
    words = (few.result or {})["failure"]
    assert "would be $" in words and "over its limit" in words and "would fit, type no more" in words
    many = await answered(desk, HandTicket(ACCOUNT, (sell(put(market, 6300.0)),), 400, None))
    assert "Short option notional is 3200 % of its limit" in (many.result or {})["failure"]


@pytest.mark.usefixtures("streams", "bridge")
async def test_a_leg_without_a_quote_is_named(desk: Desk, market: OpenMarket) -> None:
    await hold(desk, {})
    dead = put(market, 3500.0)
    market.silent.add(dead.identity)
    request = await answered(desk, HandTicket(ACCOUNT, (buy(put(market, 6300.0)), sell(dead)), 1, None))
    assert request.result is not None and f"no two-sided quote came for {dead}" in request.result["failure"]


@pytest.mark.usefixtures("streams", "bridge")
async def test_a_closed_market_says_when_it_opens(desk: Desk, market: OpenMarket) -> None:
    await hold(desk, {})
    night = next_session(Hours.CBOE_INDEX, datetime.now(UTC)).start - timedelta(hours=2)
    market.started = DeskClock(datetime.now(UTC), night, 1.0)
    await desk.store.control.set_clock(market.started)
    request = await answered(desk, HandTicket(ACCOUNT, spread(market), 1, None))
    assert request.result is not None and "leg 1, class: SPXW is closed; it opens" in request.result["failure"]


@pytest.mark.usefixtures("streams", "bridge")
async def test_an_override_refuses_with_its_reason(desk: Desk, market: OpenMarket) -> None:
    await hold(desk, {})
    await overridden(desk, "none", subject="any / debit_spread")
    request = await answered(desk, HandTicket(ACCOUNT, spread(market), 1, None))
    assert request.result is not None and "pat: before the Fed" in request.result["failure"]


@pytest.mark.usefixtures("streams")
async def test_a_margin_beyond_the_funds_refuses(desk: Desk, market: OpenMarket, bridge: Bridge) -> None:
    bridge.initial = 900_000.0
    await hold(desk, {})
    request = await answered(desk, HandTicket(ACCOUNT, spread(market), 1, None))
    assert request.result is not None and "capital" in request.result["failure"]


# ── when it is answered ──────────────────────────────────────────────────────────────────────────────────────────
async def test_a_ticket_is_a_reason_to_run_at_once_and_the_runner_leaves_it_to_the_proposer(desk: Desk) -> None:
    before = await trade_proposer.watch(desk)
    number = await typed(desk, {})
    assert await trade_proposer.watch(desk) - before == {("hand ticket", number)}
    rota = Rota(desk, [hire(duty_of("trade_proposer"), desk)])
    await rota._look_for(rota.agents[0])
    assert (await desk.store.control.request(number)).status == RequestStatus.ASKED
    with pytest.raises(trade_proposer.CheckIncomplete):
        await trade_proposer.work(desk)
    request = await desk.store.control.request(number)
    assert request.status == RequestStatus.FAILED, "answered though the check itself could not be made"


@pytest.fixture
async def ending(desk: Desk, market: OpenMarket) -> AsyncIterator[asyncio.Task[int]]:
    """A pass that waits for quotes which never come."""
    await market_watch.work(desk)
    for _ in range(3):
        await greeks_streamer.work(desk)
    await hold(desk, {})
    await typed(desk, HandTicket(ACCOUNT, spread(market), 1, None))
    task = asyncio.create_task(hand_tickets.answer_waiting(desk))
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_pass_that_is_ended_answers_what_it_had_claimed(desk: Desk, ending: asyncio.Task[int]) -> None:
    changes = desk.store.changes()
    while not await desk.store.market.subscriptions(datetime.now(UTC)):
        await changes.wait(1.0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    request = await desk.store.control.request(1)
    assert request.result == {"failure": hand_tickets.ENDED_EARLY}
