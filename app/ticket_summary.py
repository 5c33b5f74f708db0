"""What a typed ticket is and does, drawn from the newest quotes in the memory: name, price, legs with age, payoff."""

from html import escape

import streamlit as st

from app import charts, look
from app import format as fmt
from app.payoff import Payoff, payoff_of
from app.ticketing import Desk, Draft
from app.wording import leg_words, strike_ruler
from models.market import Quote
from models.quant.structure import Leg, net_premium

NO_PICTURE = "It needs a quote of every leg and the underlying's price; the streams have been asked for them."


def summary(desk: Desk, draft: Draft) -> None:
    st.html(look.heading(f"{draft.name} × {draft.quantity}", str(draft.family).replace("_", " ")))
    st.html(_price_line(draft))
    st.html(look.table(("Leg", "Bid", "Ask", "Source", "Age"), [_leg_row(desk, leg, draft) for leg in draft.legs]))
    spot = _spot(desk, draft)
    st.html(strike_ruler(draft.legs, draft.quantity, spot) or "&nbsp;")  # futures and shares have no strikes
    shape = _payoff(desk, draft, spot)
    if shape is None:
        st.html(look.empty("No payoff picture.", NO_PICTURE))
        return
    st.html(look.heading("Payoff", _extremes(shape)))
    figure = charts.payoff(
        shape.spots, shape.expiry, shape.now, spot=spot, sigma=shape.sigma, break_evens=shape.break_evens
    )
    words = f"Profit of {draft.name} across the underlying, today and at expiry"
    st.plotly_chart(figure, key="ticket-payoff", theme=None, config=charts.CONFIG, alt=words)


def _spot(desk: Desk, draft: Draft) -> float | None:
    seen = (fmt.known(quote.under_price) for quote in draft.quotes.values())
    return next((price for price in seen if price is not None), desk.spots.get(draft.legs[0].contract.symbol))


def _payoff(desk: Desk, draft: Draft, spot: float | None) -> Payoff | None:
    """At the limit typed, else at what the market asks; None while a price it needs is unknown."""
    price = draft.price
    if price is None or spot is None or draft.quantity < 1 or not draft.legs[0].contract.is_option:
        return None
    return payoff_of(draft.legs, draft.quantity, draft.multiplier, price, spot, desk.desk_at)


def _extremes(shape: Payoff) -> str:
    if shape.max_loss is None or shape.max_gain is None:
        return shape.why
    loss, gain = (
        "unlimited" if abs(value) == float("inf") else fmt.money(value, sign=True)
        for value in (shape.max_loss, shape.max_gain)
    )
    return f"largest loss {loss}, largest gain {gain}{f'; {shape.why}' if shape.why else ''}"


def _price_line(draft: Draft) -> str:
    premium = None if draft.price is None else net_premium(draft.price, draft.quantity, draft.multiplier)
    typed = draft.limit_price is not None
    cells = (
        ("Now, mid", fmt.debit_or_credit(draft.mid), "per unit"),
        ("Natural", fmt.debit_or_credit(draft.natural), "crossing the spread"),
        ("Limit", fmt.debit_or_credit(draft.price), "as typed" if typed else "what the market asks"),
        ("Premium", fmt.money(premium, sign=True), "whole trade, credit +"),
    )
    return look.prices(cells, "n-ticket-prices")


def _leg_row(desk: Desk, leg: Leg, draft: Draft) -> tuple[str, ...]:
    words, quote = escape(leg_words(leg, draft.quantity)), _quote(leg, draft)
    if quote is None:
        return words, fmt.UNKNOWN, fmt.UNKNOWN, "no quote yet", fmt.UNKNOWN
    age = fmt.age(fmt.seconds_between(quote.at, desk.desk_at))
    return words, fmt.price(quote.bid), fmt.price(quote.ask), escape(quote.source), age


def _quote(leg: Leg, draft: Draft) -> Quote | None:
    return draft.quotes.get(leg.contract.identity)
