"""Orders at the exchange: what fills and at what price, what waits, what is refused and with which of IBKR's codes."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from adapters.simulator.exchange import Exchange
from adapters.simulator.tickets import COMBO_TIGHTNESS
from adapters.simulator.types import (
    FillStyle,
    Instrument,
    OrderEvent,
    OrderStatus,
    RejectedByVenue,
    VenueFill,
    VenueOrder,
)
from adapters.simulator.venue import Venue
from models.quant.product import Toward, round_to_tick
from models.quant.structure import Action
from tests.still_venue import (
    Hand,
    combo,
    fill_now,
    fresh_trading,
    future,
    held,
    later,
    option,
    still,
    stock,
    ticket,
    to_time,
)

Desk = tuple[Venue, Exchange, list[OrderEvent], Hand]


@pytest.fixture(scope="module")
def opened() -> Venue:
    return still()


@pytest.fixture
def desk(opened: Venue) -> Desk:
    return (opened, *fresh_trading(opened))


def sides(venue: Venue, item: Instrument) -> tuple[float, float]:
    quote = venue.market.quote(item.con_id)
    assert quote is not None and quote.bid is not None and quote.ask is not None
    return quote.bid, quote.ask


def legs_of(fills: list[VenueFill]) -> list[VenueFill]:
    return [f for f in fills if not f.is_bag]


# ── single instruments ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("quantity", [1, 2])
@pytest.mark.parametrize("action", ["BUY", "SELL"])
def test_a_marketable_limit_fills_at_the_quote_and_no_better(desk: Desk, action: str, quantity: int) -> None:
    venue, exchange, told, _ = desk
    item = option(venue, 7200, "P")
    bid, ask = sides(venue, item)
    limit = round_to_tick(ask + 1, 0.1) if action == "BUY" else round_to_tick(bid - 1, 0.1)
    order = exchange.place(11, 1, ticket(item, action, quantity, limit))
    assert order.status is OrderStatus.SUBMITTED and not told
    exchange.step()
    assert order.status is OrderStatus.FILLED and order.average == (ask if action == "BUY" else bid)
    assert held(venue) == {item.con_id: quantity if action == "BUY" else -quantity}
    assert [e.fill.commission for e in told if e.fill] == [pytest.approx(0.65 * quantity)]


def test_a_limit_inside_the_spread_waits_and_then_fills_at_its_own_price() -> None:
    venue = still()
    exchange, _, _ = fresh_trading(venue)
    item = option(venue, 7200, "P")
    bid, ask = sides(venue, item)
    inside = round_to_tick((bid + ask) / 2, 0.1)
    order = fill_now(exchange, ticket(item, "BUY", 1, inside))
    assert order.status is OrderStatus.SUBMITTED and not held(venue)
    venue.control({"move": {"spot_pct": 1.0}})
    exchange.step()
    assert order.status is OrderStatus.FILLED
    assert order.average == inside > sides(venue, item)[1]


def test_a_market_order_takes_the_quote(desk: Desk) -> None:
    venue, exchange, _, _ = desk
    item = future(venue)
    order = fill_now(exchange, ticket(item, "SELL", 2))
    assert order.average == sides(venue, item)[0]
    assert [f.commission for f in order.fills] == [4.5]


def test_an_order_larger_than_the_shown_size_fills_in_parts(desk: Desk) -> None:
    venue, exchange, _, hand = desk
    item = option(venue, 7200, "P")
    quote = venue.market.quote(item.con_id)
    assert quote is not None and quote.ask is not None and quote.ask_size
    order = fill_now(exchange, ticket(item, "BUY", quote.ask_size + 3, quote.ask))
    assert (order.filled, order.status) == (quote.ask_size, OrderStatus.SUBMITTED)
    exchange.step()
    assert order.filled == quote.ask_size, "what was taken is not there twice"
    hand.at += 1.5
    exchange.step()
    assert order.status is OrderStatus.FILLED and [f.quantity for f in order.fills] == [quote.ask_size, 3]
    assert [f.cumulative for f in order.fills] == [quote.ask_size, quote.ask_size + 3]
    assert order.average == quote.ask, "the rest is no worse: the order never rested"


def test_immediate_or_cancel_leaves_nothing_behind(desk: Desk) -> None:
    venue, exchange, told, _ = desk
    item = option(venue, 7200, "P")
    bid, _ = sides(venue, item)
    order = fill_now(exchange, ticket(item, "BUY", 1, bid, tif="IOC"))
    assert order.status is OrderStatus.CANCELLED and told[-1].error_code == 202


def test_a_stop_waits_for_its_trigger() -> None:
    venue = still()
    exchange, _, _ = fresh_trading(venue)
    item = stock(venue)
    bid, _ = sides(venue, item)
    order = fill_now(exchange, ticket(item, "SELL", 10, order_type="STP", aux=round(bid - 5, 2)))
    assert order.status is OrderStatus.SUBMITTED and not order.fills
    venue.control({"move": {"spot_pct": -1.0}})
    exchange.step()
    assert order.status is OrderStatus.FILLED and order.average == sides(venue, item)[0]


# ── combos ───────────────────────────────────────────────────────────────────────────────────────────────────────
def spread(venue: Venue) -> list[tuple[Instrument, str, int]]:
    return [(option(venue, 7200, "P"), "BUY", 1), (option(venue, 7000, "P"), "SELL", 1)]


def natural(venue: Venue, legs: list[tuple[Instrument, str, int]]) -> tuple[float, float]:
    """(what selling brings, what buying costs) leg by leg."""
    cost = gain = 0.0
    for item, side, ratio in legs:
        bid, ask = sides(venue, item)
        cost += ratio * (ask if side == "BUY" else -bid)
        gain += ratio * (bid if side == "BUY" else -ask)
    return gain, cost


def test_a_combo_trades_inside_its_legs_by_the_documented_share_and_no_further(desk: Desk) -> None:
    venue, exchange, _, _ = desk
    legs = spread(venue)
    gain, cost = natural(venue, legs)
    offer = round_to_tick(round((gain + cost) / 2 + (cost - gain) / 2 * (1 - COMBO_TIGHTNESS), 6), 0.05, Toward.UP)
    waiting = fill_now(exchange, combo(legs, 1, round(offer - 0.05, 2)))
    assert waiting.status is OrderStatus.SUBMITTED
    order = fill_now(exchange, combo(legs, 1, offer))
    assert order.status is OrderStatus.FILLED and order.average == offer < cost


@pytest.mark.parametrize("quantity", [1, 2])
@pytest.mark.parametrize("action", ["BUY", "SELL"])
def test_a_combos_legs_move_positions_and_its_own_print_does_not(desk: Desk, action: str, quantity: int) -> None:
    venue, exchange, told, _ = desk
    legs = [(option(venue, 7200, "P"), "BUY", 1), (option(venue, 7000, "P"), "SELL", 2)]
    gain, cost = natural(venue, legs)
    order = fill_now(exchange, combo(legs, quantity, None, action))
    assert order.average == pytest.approx(cost if action == "BUY" else gain)
    sign = quantity if action == "BUY" else -quantity
    assert held(venue) == {legs[0][0].con_id: sign, legs[1][0].con_id: -2 * sign}
    bag = [f for f in order.fills if f.is_bag]
    assert len(bag) == 1 and bag[0].side is Action(action) and bag[0].commission == 0.0
    parts = legs_of(order.fills)
    paid = sum(f.side.sign * f.quantity * f.price for f in parts)
    assert paid == pytest.approx(order.average * sign)
    assert [f.commission for f in parts] == [pytest.approx(0.65 * quantity), pytest.approx(1.30 * quantity)]
    assert len({f.exec_id for f in order.fills}) == 3
    assert [e.fill.con_id for e in told if e.fill] == [f.con_id for f in order.fills]


def test_a_credit_is_a_negative_limit_when_bought(desk: Desk) -> None:
    venue, exchange, _, _ = desk
    legs = [(i, "SELL" if s == "BUY" else "BUY", r) for i, s, r in spread(venue)]
    _, cost = natural(venue, legs)
    order = fill_now(exchange, combo(legs, 1, round_to_tick(cost, 0.05)))
    assert order.status is OrderStatus.FILLED and order.average < 0


def test_a_leg_without_a_quote_fills_nothing() -> None:
    venue = still()
    exchange, _, _ = fresh_trading(venue)
    order = exchange.place(11, 1, combo(spread(venue), 1, 500.0))
    venue.control({"scenario": "halted"})
    exchange.step()
    assert order.status is OrderStatus.SUBMITTED and not order.fills


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────
def refused(exchange: Exchange, wanted: object, order_id: int = 1) -> RejectedByVenue:
    with pytest.raises(RejectedByVenue) as caught:
        exchange.place(11, order_id, wanted)  # type: ignore[arg-type]
    assert not exchange.orders()
    return caught.value


def test_what_is_refused_has_ibkrs_code(desk: Desk) -> None:
    venue, exchange, _, _ = desk
    put = option(venue, 7200, "P")
    base = ticket(put, "BUY", 1, 50.0)
    index = venue.market.find(symbol="SPX", sec_type="IND")[0]
    cases = [
        (replace(base, con_id=12345), 200),
        (replace(base, limit=50.03), 110),
        (replace(base, order_type="TRAIL"), 387),
        (replace(base, tif="OPG"), 201),
        (replace(base, quantity=1.5), 434),
        (replace(base, quantity=0), 434),
        (replace(base, account="U1234567"), 321),
        (replace(base, limit=None), 321),
        (replace(base, limit=float("nan")), 321),
        (replace(base, order_type="STP", aux=None), 321),
        (replace(base, limit=-1.0), 201),
        (ticket(index, "BUY", 1), 201),
        (combo([(put, "BUY", 1), (put, "SELL", 1)], 1, 1.0), 201),
        (combo([(put, "BUY", 1), (stock(venue), "SELL", 1)], 1, 1.0), 201),
        (combo(spread(venue), 1, 10.03), 110),
    ]
    for wanted, code in cases:
        assert refused(exchange, wanted).code == code, wanted


def test_seven_legs_are_too_many(desk: Desk) -> None:
    venue, exchange, _, _ = desk
    strikes = (6800, 6900, 7000, 7100, 7200, 7300, 7400)
    legs = [(option(venue, k, "P"), "BUY", 1) for k in strikes]
    assert "6 legs" in refused(exchange, combo(legs, 1, 1.0)).text


def test_an_order_the_account_cannot_carry_is_rejected_with_201(desk: Desk) -> None:
    venue, exchange, _, _ = desk
    put = option(venue, 7400, "P")
    bid, _ = sides(venue, put)
    refusal = refused(exchange, ticket(put, "SELL", 40, bid))
    assert refusal.code == 201 and "INITIAL MARGIN" in refusal.text


def test_a_closing_order_is_never_refused_for_margin(desk: Desk) -> None:
    venue, exchange, _, _ = desk
    put = option(venue, 7400, "P")
    fill_now(exchange, ticket(put, "SELL", 5, sides(venue, put)[0]))
    venue.account.ledger.cash = 1_000.0
    order = fill_now(exchange, ticket(put, "BUY", 5, sides(venue, put)[1]))
    assert order.status is OrderStatus.FILLED and not held(venue)


def test_an_expired_contract_no_longer_trades() -> None:
    venue = still()
    exchange, _, _ = fresh_trading(venue)
    today = option(venue, 7500, "C", expiry=date(2026, 11, 20))
    to_time(venue, datetime(2026, 11, 20, 21, 5, tzinfo=UTC))
    assert refused(exchange, ticket(today, "BUY", 1, 5.0)).code == 201


# ── modify and cancel ────────────────────────────────────────────────────────────────────────────────────────────
def test_the_same_id_again_modifies_in_place(desk: Desk) -> None:
    venue, exchange, told, _ = desk
    item = option(venue, 7200, "P")
    bid, ask = sides(venue, item)
    order = fill_now(exchange, ticket(item, "BUY", 2, bid))
    again = exchange.place(11, order.order_id, ticket(item, "BUY", 2, ask))
    assert again is order and told[-1].order is order
    exchange.step()
    assert order.status is OrderStatus.FILLED and order.average == ask and len(exchange.orders()) == 1


def test_a_modify_must_be_of_the_same_order_and_of_a_live_one(desk: Desk) -> None:
    venue, exchange, _, _ = desk
    item, other = option(venue, 7200, "P"), option(venue, 7000, "P")
    bid, ask = sides(venue, item)
    fill_now(exchange, ticket(item, "BUY", 2, bid))
    for wanted, code in ((ticket(other, "BUY", 2, bid), 105), (ticket(item, "SELL", 2, bid), 105),
                         (ticket(item, "BUY", 2, bid + 0.03), 110)):  # fmt: skip
        with pytest.raises(RejectedByVenue) as caught:
            exchange.place(11, 1, wanted)
        assert caught.value.code == code
    filled = fill_now(exchange, ticket(item, "BUY", 1, ask))
    with pytest.raises(RejectedByVenue) as caught:
        exchange.place(11, filled.order_id, ticket(item, "BUY", 1, ask))
    assert caught.value.code == 104
    exchange.cancel(11, 1)
    with pytest.raises(RejectedByVenue) as caught:
        exchange.place(11, 1, ticket(item, "BUY", 2, bid))
    assert caught.value.code == 103


def test_cancel_tells_202_and_a_second_cancel_10148(desk: Desk) -> None:
    venue, exchange, told, _ = desk
    item = option(venue, 7200, "P")
    bid, ask = sides(venue, item)
    order = fill_now(exchange, ticket(item, "BUY", 1, bid))
    exchange.cancel(11, order.order_id)
    assert order.status is OrderStatus.CANCELLED and told[-1].error_code == 202
    filled = fill_now(exchange, ticket(item, "BUY", 1, ask))
    for order_id, code in ((order.order_id, 10148), (filled.order_id, 161), (77, 10147)):
        with pytest.raises(RejectedByVenue) as caught:
            exchange.cancel(11, order_id)
        assert caught.value.code == code


def test_two_clients_may_use_the_same_number(desk: Desk) -> None:
    venue, exchange, _, _ = desk
    item = option(venue, 7200, "P")
    bid, _ = sides(venue, item)
    mine, theirs = (
        exchange.place(11, 1, ticket(item, "BUY", 1, bid)),
        exchange.place(12, 1, ticket(item, "BUY", 1, bid)),
    )
    assert mine is not theirs and exchange.next_order_id(11) == 2 and exchange.next_order_id(13) == 1
    exchange.cancel_all()
    assert not exchange.open_orders()


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_after_hours_an_order_is_queued_with_399_and_leaves_at_the_opening() -> None:
    venue = still()
    exchange, _, _ = fresh_trading(venue)
    to_time(venue, datetime(2026, 11, 20, 22, 30, tzinfo=UTC))
    item = option(venue, 7200, "P")
    order = exchange.place(11, 1, ticket(item, "BUY", 1, sides(venue, item)[1] + 200))
    assert order.status is OrderStatus.PRE_SUBMITTED
    warning = exchange.warning(order)
    assert warning is not None and warning[0] == 399 and "2026-11-23" in warning[1]
    venue.exchange.step()
    assert not order.fills
    to_time(venue, datetime(2026, 11, 23, 15, 0, tzinfo=UTC))
    assert order.status is OrderStatus.FILLED and exchange.warning(order) is None


def test_a_day_order_ends_with_its_day_and_a_gtc_order_does_not() -> None:
    venue = still()
    exchange, _, _ = fresh_trading(venue)
    item = option(venue, 6500, "P")
    low = 0.05
    day = exchange.place(11, 1, ticket(item, "BUY", 1, low))
    kept = exchange.place(11, 2, ticket(item, "BUY", 1, low, tif="GTC"))
    exchange.step()
    later(venue, hours=5)
    assert day.status is OrderStatus.CANCELLED and not kept.status.is_done
    to_time(venue, datetime(2026, 11, 23, 16, 0, tzinfo=UTC))
    assert kept.status is OrderStatus.SUBMITTED


def test_outside_regular_hours_only_orders_that_say_so_trade() -> None:
    venue = still()
    exchange, _, _ = fresh_trading(venue)
    to_time(venue, datetime(2026, 11, 20, 21, 30, tzinfo=UTC))  # 16:30 New York: curb
    item = option(venue, 7200, "P")
    ask = sides(venue, item)[1]
    plain = fill_now(exchange, ticket(item, "BUY", 1, ask))
    asked = fill_now(exchange, ticket(item, "BUY", 1, ask, outside_rth=True))
    assert (plain.status, asked.status) == (OrderStatus.PRE_SUBMITTED, OrderStatus.FILLED)


# ── families ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_bracket_is_sent_with_its_last_part_and_its_children_wait_for_the_entry(desk: Desk) -> None:
    venue, exchange, _, _ = desk
    spy = stock(venue)
    bid, ask = sides(venue, spy)
    entry = exchange.place(11, 1, ticket(spy, "BUY", 10, ask, transmit=False))
    exchange.step()
    assert entry.status is OrderStatus.PRE_SUBMITTED and entry.why_held == "transmit" and not entry.fills
    target = ticket(spy, "SELL", 10, round(ask + 9, 2), parent_id=1, oca_group="b", transmit=False)
    stop = ticket(spy, "SELL", 10, order_type="STP", aux=round(bid - 9, 2), parent_id=1, oca_group="b")
    profit = exchange.place(11, 2, target)
    loss = exchange.place(11, 3, stop)
    assert profit.why_held in ("transmit", "child")
    exchange.step()
    exchange.step()
    assert entry.status is OrderStatus.FILLED
    assert (profit.status, loss.status) == (OrderStatus.SUBMITTED, OrderStatus.SUBMITTED)
    exchange.place(11, 2, replace(target, limit=bid, transmit=True))
    exchange.step()
    assert profit.status is OrderStatus.FILLED and loss.status is OrderStatus.CANCELLED and not held(venue)


def test_cancelling_the_entry_cancels_its_children(desk: Desk) -> None:
    venue, exchange, _, _ = desk
    spy = stock(venue)
    entry = exchange.place(11, 1, ticket(spy, "BUY", 10, 1.0))
    child = exchange.place(11, 2, ticket(spy, "SELL", 10, 2000.0, parent_id=1))
    exchange.cancel(11, 1)
    assert entry.status is child.status is OrderStatus.CANCELLED


# ── behaviours on demand ─────────────────────────────────────────────────────────────────────────────────────────
def test_fill_behaviours_on_demand(desk: Desk) -> None:
    venue, exchange, _, hand = desk
    item = option(venue, 7200, "P")
    bid, _ = sides(venue, item)
    for style in FillStyle:
        exchange.set_fill_style(style, order_ref=style.value)

    def place(style: FillStyle, quantity: int = 4) -> VenueOrder:
        return fill_now(exchange, ticket(item, "BUY", quantity, bid, order_ref=style.value))

    now, slow, half, never = (
        place(s) for s in (FillStyle.IMMEDIATE, FillStyle.DELAYED, FillStyle.PARTIAL, FillStyle.NEVER)
    )
    assert [o.filled for o in (now, slow, half, never)] == [4, 0, 2, 0]  # type: ignore[attr-defined]
    exchange.step()
    hand.at += 5
    exchange.step()
    assert [o.filled for o in (now, slow, half, never)] == [4, 4, 4, 0]  # type: ignore[attr-defined]
    with pytest.raises(RejectedByVenue) as caught:
        place(FillStyle.REJECT)
    assert caught.value.code == 201
    assert exchange.style_of("somebody else") is FillStyle.NORMAL


def test_every_change_is_kept_before_anybody_is_told(desk: Desk) -> None:
    venue, exchange, _, _ = desk
    order_of_things: list[str] = []
    exchange.on_change = lambda: order_of_things.append("kept")
    exchange.listen(lambda event: order_of_things.append("told"))
    item = option(venue, 7200, "P")
    exchange.place(11, 1, ticket(item, "BUY", 1, sides(venue, item)[1]))
    assert order_of_things == ["kept"]
    exchange.step()
    assert order_of_things == ["kept", "kept", "told"]


def test_old_finished_orders_are_forgotten_and_live_ones_never(desk: Desk) -> None:
    venue, exchange, _, _ = desk
    item = option(venue, 7200, "P")
    live = exchange.place(11, 1, ticket(item, "BUY", 1, 1.0))
    exchange.set_fill_style(FillStyle.IMMEDIATE, "quick")
    for order_id in range(2, 520):
        exchange.place(11, order_id, ticket(item, "BUY", 1, 1.0, order_ref="quick"))
        exchange.step()
    assert live in exchange.orders() and len(exchange.orders()) <= 503
    assert {f.perm_id for f in exchange.fills()} <= {o.perm_id for o in exchange.orders()}
