"""The proposal card: the trade in plain words, its limits before and after, its payoff, its price and its checks."""

import math
from collections.abc import Mapping
from decimal import Decimal
from html import escape
from typing import Any

import streamlit as st

from app import blocking, charts, limits, look
from app import format as fmt
from app.blocking import Card, CheckLine
from app.grids import order_chip
from app.measures import MEASURES, after_value, value_text
from app.payoff import Payoff, payoff_of
from app.pulse import Pulse
from app.wording import leg_words, strike_ruler
from models.book import AccountSnapshot
from models.proposed_trade import ProposedTrade, origin_words
from models.quant.structure import Leg, LegsError, multiplier_of


def head(card: Card) -> str:
    """Title, chips and the legs."""
    p = card.proposal
    scores = p.scores or {}
    left = fmt.countdown(p.expires_at - card.at)
    chips = [look.chip(origin_words(p)), look.chip(left if left == "expired" else f"{left} left", "accent")]
    if scores.get("rank"):
        chips.insert(0, look.chip(f"rank {scores['rank']}"))
    if p.regime:
        chips.append(look.chip(str(p.regime).replace("_", " ")))
    score = "" if p.efficiency_score is None else f" · efficiency {fmt.number(p.efficiency_score, 3)}"
    source = f" from snapshot {p.snapshot_id[:8]}" if p.snapshot_id else ""
    age = fmt.age(fmt.seconds_between(p.created_at, card.at))
    legs = "".join(f"<div>{escape(leg_words(leg, p.quantity))}{_leg_quote(leg, card)}</div>" for leg in card.legs)
    return (
        f'<div><span class="n-title">{escape(p.strategy_name)} ×{p.quantity}</span> &nbsp;{"".join(chips)}'
        f'</div><div class="n-sub">#{p.id} · written {age} ago{escape(source)}{score}</div>'
        f'<div class="n-legs">{legs}</div>'
    )


def _leg_quote(leg: Leg, card: Card) -> str:
    """Both sides as the memory has them now, with their volatility, where they came from, and how old they are."""
    if leg.bid is None or leg.ask is None:
        return ' <span class="n-num n-mute">no quote</span>'
    iv = f" · iv {fmt.percent(leg.iv, 1)}" if leg.iv is not None else ""
    said = fmt.sourced(leg.source.value, fmt.seconds_between(leg.quoted_at, card.desk_at))
    return f' <span class="n-num n-mute">{fmt.price(leg.bid)} / {fmt.price(leg.ask)}{iv} · {escape(said)}</span>'


def afterwards(card: Card) -> str:
    """The fate of a decided proposal in one line: signed, taken by the bridge, and what its order is now."""
    p, order, approval = card.proposal, card.order, card.approval
    if order is not None:
        at = f" at {fmt.price(order.average_price)}" if order.average_price is not None else ""
        reason = f" · {order.reason}" if order.reason else ""
        words = f"Order {order.order_ref[:10]}: {order.filled:g} of {order.quantity} filled{at}{reason}"
        return _fate(order_chip(order.status), words)
    if approval is None:
        return _fate(look.chip(p.status.lower()), p.decision_reason or "")
    words = f"Signed; the bridge may take it until {fmt.eastern(approval.good_until)} ET."
    if approval.refused_reason:
        words = f"The bridge refused it: {approval.refused_reason}"
    elif approval.good_until < card.at:
        words = "Nobody took it in time; the approval is void and nothing was sent."
    return _fate(look.chip("approved", "accent"), words)


def _fate(chip: str, words: str) -> str:
    return f'<div class="n-fate">{chip}<span>{escape(words)}</span></div>'


def price_line(card: Card) -> str:
    """Price now against proposed and worst, per unit; commission; the money of the whole trade."""
    p = card.proposal
    commission = card.what_if.commission if card.what_if else None
    source = "broker" if commission is not None else "estimate"
    if commission is None:
        estimate = fmt.known((p.scores or {}).get("commission"))
        commission = None if estimate is None else Decimal(str(round(estimate, 2)))
    age = f"{fmt.age(card.quote_age)} old" if card.quote_age is not None else "no quote"
    cells = (
        ("Now, mid", fmt.debit_or_credit(card.price_now), age),
        ("Natural", fmt.debit_or_credit(card.natural), "crossing the spread"),
        ("Limit", fmt.debit_or_credit(p.limit_price), "what would be sent"),
        ("Worst", fmt.debit_or_credit(p.worst_price), "never past this"),
        ("Premium", fmt.money(p.net_premium, sign=True), "whole trade, credit +"),
        ("Commission", fmt.money(commission, 2), source),
    )
    return look.prices(cells)


def ruler(card: Card) -> str:
    return strike_ruler(card.legs, card.proposal.quantity, card.spot)


def payoff(card: Card) -> Payoff | None:
    """None when the spot or the legs are unknown."""
    if not card.legs or card.spot is None:
        return None
    try:
        multiplier = multiplier_of(card.legs)
    except LegsError:
        return None
    price = card.proposal.limit_price
    return payoff_of(card.legs, card.proposal.quantity, multiplier, price, card.spot, card.desk_at)


def draw_payoff(card: Card, shape: Payoff | None) -> None:
    if shape is None:
        st.html(look.empty("No payoff picture.", "The underlying's price is unknown until a leg is quoted."))
        return
    st.plotly_chart(
        charts.payoff(
            shape.spots,
            shape.expiry,
            shape.now,
            spot=card.spot,
            sigma=shape.sigma,
            break_evens=shape.break_evens,
        ),
        key=f"payoff-{card.proposal.id}",
        theme=None,
        config=charts.CONFIG,
        alt=f"Profit of {card.proposal.strategy_name} across the underlying, today and at expiry",
    )
    if shape.why:
        st.html(f'<span class="n-sub">{escape(shape.why)}</span>')


def bars(card: Card, pulse: Pulse) -> str:
    scores = card.proposal.scores or {}
    return limits.proposal_bars(pulse.exposure, scores.get("before") or {}, scores.get("after") or {})


# ── before, change, after ────────────────────────────────────────────────────────────────────────────────────────
Row = tuple[str, str, str, str]


def change_table(card: Card, account: AccountSnapshot | None, shape: Payoff | None) -> str:
    rows = [*_margin_rows(card, account), *_risk_rows(card), *_loss_rows(card, shape)]
    return look.table(("", "Before", "Change", "After"), [tuple(_cell(cell) for cell in row) for row in rows])


def _cell(text: str) -> str:
    return escape(text)


def _margin_rows(card: Card, account: AccountSnapshot | None) -> list[Row]:
    """From the broker's preview while there is one, else the proposal's own figures marked with their source."""
    w = card.what_if
    if w is not None and not w.failure:
        after = _less(w.equity_after, w.maint_margin_after)
        before = _less(w.equity_before, w.maint_margin_before)
        said = f"(broker, {fmt.age(fmt.seconds_between(w.at, card.at))} ago)"
        return [
            (f"Initial margin {said}", *_three(w.init_margin_before, w.init_margin_change, w.init_margin_after)),
            (f"Maintenance margin {said}", *_three(w.maint_margin_before, w.maint_margin_change, w.maint_margin_after)),
            *_estimate_rows(card.proposal),
            ("Excess liquidity", *_three(before, _less(after, before), after)),
        ]
    p, source = card.proposal, f"({card.proposal.margin_source})"
    return [
        (f"Initial margin {source}", *_from(account.initial_margin if account else None, p.init_margin_impact)),
        (
            f"Maintenance margin {source}",
            *_from(account.maintenance_margin if account else None, p.maint_margin_impact),
        ),
    ]


def _estimate_rows(p: ProposedTrade) -> list[Row]:
    """Our own figures beside the broker's, where the proposal kept them."""
    mine = ((p.scores or {}).get("margins") or {}).get("estimate")
    if not mine:
        return []
    initial, maintenance = (fmt.money(fmt.known(mine.get(name)), sign=True) for name in ("initial", "maintenance"))
    return [("Our estimate then: initial, maintenance", "", f"{initial}, {maintenance}", "")]


def _from(before: Decimal | None, change: Decimal | None) -> tuple[str, str, str]:
    after = before + change if before is not None and change is not None else None
    return _three(before, change, after)


def _three(before: Decimal | None, change: Decimal | None, after: Decimal | None) -> tuple[str, str, str]:
    return fmt.money(before), fmt.money(change, sign=True), fmt.money(after)


def _less(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    return a - b if a is not None and b is not None else None


def _risk_rows(card: Card) -> list[Row]:
    scores = card.proposal.scores or {}
    before, change, after = (scores.get(part) or {} for part in ("before", "change", "after"))
    return [_risk_row(measure, before, change, after) for measure in MEASURES if measure.key != "margin"]


def _risk_row(measure: Any, before: Mapping[str, Any], change: Mapping[str, Any], after: Mapping[str, Any]) -> Row:
    was, will = (after_value(measure, part.get(measure.key), None) for part in (before, after))
    moved = fmt.known(change.get(measure.key)) if was is None or will is None else will - was
    name = f"{measure.name} ({measure.unit})"
    return name, value_text(measure, was), fmt.money(moved, sign=True), value_text(measure, will)


def _loss_rows(card: Card, shape: Payoff | None) -> list[Row]:
    if shape is None or shape.expiry is None:
        return [("Largest loss of the trade", fmt.UNKNOWN, "", "")]
    loss, gain = (
        fmt.money(value) if value is None or math.isfinite(value) else "unlimited"
        for value in (shape.max_loss, shape.max_gain)
    )
    what = "Trade at the first expiry, modelled" if shape.why else "Trade at expiry"
    return [(f"{what}: largest loss, gain", loss, "", gain)]


def checks(card: Card) -> str:
    lines = blocking.checks_of(card.proposal)
    if not lines:
        return look.empty(
            "No checks are recorded.", "The proposer writes them with each proposal; the bridge asks all again."
        )
    return f'<div class="n-checks">{"".join(_check(line) for line in lines)}</div>'


def _check(line: CheckLine) -> str:
    css = {"pass": "n-ok", "refuse": "n-bad"}.get(line.outcome, "n-cut")
    return f'<div class="{css}">{escape(line.name)} <small>{escape(line.reason)}</small></div>'


def rationale(proposal: ProposedTrade) -> str:
    return f'<p class="n-why">{escape(proposal.justification or "No rationale was written.")}</p>'
