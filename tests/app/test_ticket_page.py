"""The Ticket page over a seeded store: what it says of a ticket as it is typed, how it is sent, and what comes back."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import decide
from app.ticketing import Desk, draft_of, instruments_of, read_desk, signed_limit
from database.store import Store
from models.appetite import Override
from models.clock import DeskClock
from models.control import Request, RequestKind
from models.quant.option import Contract, Right
from models.quant.structure import Action, Leg
from tests.app.seed import ACCOUNT, DESK_NOON, EXPIRY, chain, option, seed
from tests.app.test_pages import Memory, button, memory, opened, words
from tests.desk_run import eventually

__all__ = ["memory"]  # the fixture, used by name


def spread(app: AppTest, low: float = 6300.0) -> AppTest:
    """A put spread from the money down: the second leg is added and its strike chosen."""
    button(app, "add-leg").click().run()
    app.selectbox(key="leg-1-strike").set_value(low).run()
    return app


async def sent(store: Store, now: datetime) -> list[Request]:
    return await store.control.claim_requests("trade_proposer", "test", now, (RequestKind.HAND_TICKET,))


def answer(memory: Memory, result: dict[str, Any] | None = None, failure: str | None = None) -> Request:
    """The proposer's part: claim the one ticket and answer it."""

    async def work(store: Store, now: datetime) -> Request:
        (request,) = await sent(store, now)
        assert request.id is not None
        await store.control.answer(request.id, result=result, failure=failure)
        return request

    return memory.do(work)  # type: ignore[return-value]


async def overridden(store: Store, now: datetime, rule: str, value: str = "") -> None:
    row = Override(subject="SPX family", rule=rule, value=value, by="pat", reason="before the Fed", at=now)
    await store.appetite.set_override(row)


# ── what it says while it is typed ───────────────────────────────────────────────────────────────────────────────
def test_a_ticket_starts_at_the_money_a_month_out_and_says_what_it_is(memory: Memory) -> None:
    memory.do(seed)
    app = opened("ticket")
    said = words(app)
    for part in ("Long put × 1", "Buy 1 SPXW 30 Sep 26 6,450 put", "debit", "Payoff", "real", "spot 6,451"):
        assert part in said, part
    assert app.get("plotly_chart")
    assert not button(app, "send-ticket").disabled


def test_a_second_leg_makes_it_a_spread_with_its_price_and_its_largest_loss(memory: Memory) -> None:
    memory.do(seed)
    app = spread(opened("ticket"))
    app.number_input(key="ticket-quantity").set_value(4).run()
    said = words(app)
    for part in ("Bear put spread × 4", "Sell 4 SPXW 30 Sep 26 6,300 put", "52.80 debit", "largest loss −$21,120"):
        assert part in said, part


def test_a_leg_without_a_quote_is_unknown_and_never_nothing(memory: Memory) -> None:
    memory.do(seed)
    app = spread(opened("ticket"), 5600.0)
    said = words(app)
    assert "no quote yet" in said and "No payoff picture" in said and "n/a" in said
    wished = memory.do(lambda store, now: store.market.subscriptions(now))
    assert option("SPXW", EXPIRY, 5600.0, Right.PUT).identity in {row.identity for row in wished}  # type: ignore[attr-defined]


def test_what_cannot_be_sent_says_the_field_and_the_remedy_beside_the_button(memory: Memory) -> None:
    memory.do(seed)
    app = spread(opened("ticket"), 6450.0)
    assert "Leg 2: it is the contract of leg 1" in words(app) and button(app, "send-ticket").disabled
    app.selectbox(key="leg-1-strike").set_value(6300.0).run()
    app.number_input(key="ticket-limit").set_value(50.03).run()
    assert "between two ticks of 0.05; type 50.00 or 50.05" in words(app) and button(app, "send-ticket").disabled
    app.number_input(key="ticket-limit").set_value(None).run()
    for leg in ("leg-0-ratio", "leg-1-ratio"):
        app.selectbox(key=leg).set_value(2).run()
    assert "Ratios: all of them divide by 2; type 1 and 1 and 2 times the quantity" in words(app)


def test_four_rows_are_offered_and_six_when_asked_for(memory: Memory) -> None:
    memory.do(seed)
    app = opened("ticket")
    for _ in range(3):
        button(app, "add-leg").click().run()
    assert button(app, "add-leg").disabled
    button(app, "wide").click().run()
    for _ in range(2):
        button(app, "add-leg").click().run()
    assert button(app, "add-leg").disabled and app.selectbox(key="leg-5-strike")
    button(app, "drop-2").click().run()
    assert [one.key for one in app.selectbox if one.key and one.key.endswith("strike")] == [
        f"leg-{row}-strike" for row in (0, 1, 3, 4, 5)
    ]
    button(app, "clear-ticket").click().run()
    assert "Long put × 1" in words(app)


def test_futures_and_shares_are_one_leg(memory: Memory) -> None:
    memory.do(seed)
    app = opened("ticket")
    app.selectbox(key="ticket-class").set_value("ES Sep 26 future").run()
    assert "Buy ES × 1" in words(app)


def test_closing_what_is_held_is_called_that(memory: Memory) -> None:
    memory.do(seed)
    app = opened("ticket")
    app.selectbox(key="leg-0-strike").set_value(6100.0).run()
    assert "Close short put × 1" in words(app)


def test_a_closed_market_and_a_tight_override_are_said_and_stop_the_button(memory: Memory) -> None:
    async def by_night(store: Store, now: datetime) -> None:
        await seed(store, now)
        await store.control.set_clock(DeskClock(now, DESK_NOON.replace(hour=22), 0.0))

    memory.do(by_night)
    app = opened("ticket")
    assert "SPXW is closed; it opens Mon 24 Aug 09:30 ET" in words(app) and button(app, "send-ticket").disabled

    async def by_day(store: Store, now: datetime) -> None:
        await store.control.set_clock(DeskClock(now, DESK_NOON, 0.0))
        await overridden(store, now, "close_only")

    memory.do(by_day)
    assert "only what closes a holding may trade (pat: before the Fed)" in words(app.run())
    assert button(app, "send-ticket").disabled


# ── sending it ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_ticket_is_sent_as_typed_and_its_answer_leads_to_the_inbox(memory: Memory) -> None:
    memory.do(seed)
    app = spread(opened("ticket"))
    app.number_input(key="ticket-limit").set_value(50.0).run()
    button(app, "send-ticket").click().run()
    assert "Ticket 1 is waiting for the proposer" in words(app) and button(app, "send-ticket").disabled
    request = answer(memory, result={"said": "Proposal 4 is in the inbox: Bear put spread × 1.", "proposal_id": 4})
    assert request.by == "trader" and request.payload["account_id"] == ACCOUNT
    assert (request.payload["quantity"], request.payload["limit_price"]) == (1, 50.0)
    assert [(leg["action"], leg["strike"]) for leg in request.payload["legs"]] == [("BUY", 6450.0), ("SELL", 6300.0)]
    assert "Proposal 4 is in the inbox" in words(app.run())
    assert "Open the inbox" in [one.label for one in app.button]


def test_a_refusal_is_shown_with_the_form_as_it_was_left(memory: Memory) -> None:
    memory.do(seed)
    app = spread(opened("ticket"))
    app.number_input(key="ticket-quantity").set_value(40).run()
    button(app, "send-ticket").click().run()
    answer(memory, failure="limits after the trade: Delta would be $900 over its limit; 7 would fit, type no more")
    said = words(app.run())
    assert "Ticket 1 was not proposed" in said and "7 would fit, type no more" in said and "as you left it" in said
    assert app.number_input(key="ticket-quantity").value == 40 and app.selectbox(key="leg-1-strike").value == 6300.0
    assert not button(app, "send-ticket").disabled


def test_what_was_typed_survives_another_page(memory: Memory) -> None:
    memory.do(seed)
    app = spread(opened("ticket"))
    app.number_input(key="ticket-quantity").set_value(3).run()
    app.switch_page("screens/desk.py").run()
    app.switch_page("screens/ticket.py").run()
    assert "Bear put spread × 3" in words(app)


def test_a_second_press_while_one_is_judged_sends_nothing(memory: Memory) -> None:
    memory.do(seed)
    app = opened("ticket")
    send = button(app, "send-ticket")
    send.click().run()
    send.click().run()
    assert len(memory.do(sent)) == 1  # type: ignore[arg-type]


def test_when_nobody_answers_the_page_says_who_should_have(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "TICKET_ANSWERED_WITHIN", timedelta(0))
    memory.do(seed)
    app = opened("ticket")
    button(app, "send-ticket").click().run()
    eventually(lambda: "Nobody answered ticket 1 in time" in words(app.run()), 10, "the deadline")
    assert "The trade proposer is ok: 2 breaches" in words(app)


# ── the pure part ────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_desk_lists_the_chain_the_book_and_what_is_quoted(store: Store, now: datetime) -> None:
    await seed(store, now)
    desk = await read_desk(store, now)
    names = list(desk.instruments)
    assert names[0] == "SPXW options" and {"AAPL options", "AAPL shares", "ES Sep 26 future"} <= set(names)
    held = desk.instruments["AAPL options"].strikes
    assert list(held.values()) == [{Right.PUT: [220.0], Right.CALL: [245.0]}]


def test_days_that_are_over_are_not_offered(now: datetime) -> None:
    after = DESK_NOON.replace(month=9, day=1)
    days = instruments_of([chain(now)], [], [], after)["SPXW options"].strikes
    assert min(days) > after.date()


def test_a_credit_is_typed_as_an_amount_and_a_word() -> None:
    assert signed_limit(1.85, credit=True) == -1.85 and signed_limit(1.85, credit=False) == 1.85
    assert signed_limit(None, credit=True) is None


async def test_a_draft_of_an_empty_desk_names_what_is_missing(store: Store, now: datetime) -> None:
    desk: Desk = await read_desk(store, now)
    draft = draft_of(desk, [Leg(contract_of_the_money(), Action.BUY)], None, None, {})
    assert draft.ticket is None and draft.trouble.startswith("Account: it is not named")


def contract_of_the_money() -> Contract:
    return option("SPXW", EXPIRY, 6450.0, Right.PUT)
