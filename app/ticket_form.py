"""The form of a typed ticket: its fields, what they start with, and the ticket they hold. Everything typed lives in the
session under `ticket-` and `leg-` keys, so it survives another page, a refusal and a refresh.
"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app import format as fmt
from app import look
from app.ticketing import RIGHTS, SIDES, Desk, Instrument, closest, signed_limit, tick_of, usual_expiry
from models.quant.option import Right
from models.quant.product import NEW_YORK
from models.quant.structure import MAX_LEGS, MAX_RATIO, Leg

USUAL_LEGS = 4
"""Rows offered at once; more are asked for, because not every broker takes them in one ticket."""
NEXT_STRIKE = 0.03
"""How far below the leg before it a new leg starts, as a share of the strike."""
COLUMNS = [5, 3, 7, 5, 5, 2]
state: Any = st.session_state


def form(desk: Desk) -> None:
    """Draw every field; afterwards `typed_legs` and `typed_terms` hold what they say."""
    st.html(look.heading("Ticket", "one class, up to six legs; it goes to the inbox, never to the market"))
    names = list(desk.instruments)
    _settle("ticket-class", names, names[0])
    st.selectbox("Class", names, key="ticket-class", persist_state="session", width=260)
    one = _chosen(desk)
    with st.container(key="ticket-form"):
        if one.contract is not None:
            _choice("Side", "ticket-side", list(SIDES), "Buy")
        else:
            _rows(desk, one)
        _terms(desk)


def typed_legs(desk: Desk) -> list[Leg]:
    """The legs as the fields say now; for a callback too, which runs before they are drawn again."""
    one = _chosen(desk)
    if one.contract is not None:
        return [Leg(one.contract, SIDES[state["ticket-side"]])]
    return [_typed_leg(one, row) for row in _numbers()]


def typed_terms() -> tuple[int | None, float | None]:
    """Quantity, and the limit debit positive; None where a field is empty."""
    credit = state.get("ticket-limit-word") == "credit"
    return state.get("ticket-quantity"), signed_limit(state.get("ticket-limit"), credit)


def _chosen(desk: Desk) -> Instrument:
    return desk.instruments[state["ticket-class"]]


def _numbers() -> list[int]:
    rows: list[int] = state.setdefault("ticket-rows", [0])
    return rows


def _typed_leg(one: Instrument, row: int) -> Leg:
    side, ratio, day, word, strike = (
        state[f"leg-{row}-{name}"] for name in ("side", "ratio", "day", "right", "strike")
    )
    return Leg(one.option(day, RIGHTS[word], strike), SIDES[side], ratio)


# ── legs ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def _rows(desk: Desk, one: Instrument) -> None:
    rows, before = _numbers(), None
    for place, row in enumerate(rows):
        _leg(desk, one, place, row, before)
        before = _typed_leg(one, row)
    with st.container(horizontal=True, gap="small"):
        full = len(rows) >= (MAX_LEGS if state.get("ticket-wide") else USUAL_LEGS)
        st.button("Add a leg", key="add-leg", on_click=_add, disabled=full, shortcut="A")
        if len(rows) >= USUAL_LEGS and not state.get("ticket-wide"):
            help_ = "IBKR takes six legs in one ticket, tastytrade four."
            st.button("Up to six legs", key="wide", type="tertiary", on_click=_widen, help=help_)
        st.button("Clear", key="clear-ticket", type="tertiary", on_click=_clear)


def _leg(desk: Desk, one: Instrument, place: int, row: int, before: Leg | None) -> None:
    """One row; a new one starts beside the row above it, on the other side."""
    today = desk.desk_at.astimezone(NEW_YORK).date()
    boxes = st.columns(COLUMNS, gap="xsmall", vertical_alignment="bottom")
    with boxes[0]:
        _choice("Side", f"leg-{row}-side", list(SIDES), "Buy" if place % 2 == 0 else "Sell", place)
    with boxes[1]:
        _pick("Ratio", f"leg-{row}-ratio", list(range(1, MAX_RATIO + 1)), 1, place)
    days = list(one.strikes)
    usual = before.contract.expiry if before and before.contract.expiry in days else usual_expiry(days, today)
    with boxes[2]:
        day = _pick(
            "Expiry", f"leg-{row}-day", days, usual, place, lambda day: f"{day:%d %b %y} · {(day - today).days} d"
        )
    rights = [word for word, right in RIGHTS.items() if one.strikes[day].get(right)]
    usual_right = "Call" if before is not None and before.contract.right is Right.CALL else "Put"
    with boxes[3]:
        word = _choice("Right", f"leg-{row}-right", rights, usual_right if usual_right in rights else rights[0], place)
    strikes = list(one.strikes[day][RIGHTS[word]])
    with boxes[4]:
        _pick("Strike", f"leg-{row}-strike", strikes, closest(strikes, _start(desk, one, before)), place, _strike)
    boxes[5].button(
        "✕", key=f"drop-{row}", type="tertiary", on_click=_drop, args=(row,), disabled=len(_numbers()) == 1,
        help=f"Take leg {place + 1} off",
    )  # fmt: skip


def _strike(strike: float) -> str:
    return fmt.number(strike, 0 if strike == int(strike) else 2)


def _start(desk: Desk, one: Instrument, before: Leg | None) -> float | None:
    if before is None or before.contract.strike is None:
        return desk.spots.get(one.symbol)
    return before.contract.strike * (1 - NEXT_STRIKE)


def _add() -> None:
    state["ticket-rows"] = [*_numbers(), max(_numbers()) + 1]


def _drop(row: int) -> None:
    state["ticket-rows"] = [one for one in _numbers() if one != row]


def _widen() -> None:
    state["ticket-wide"] = True


def _clear() -> None:
    for key in [key for key in state if str(key).startswith(("leg-", "ticket-"))]:
        del state[key]


# ── size and price ───────────────────────────────────────────────────────────────────────────────────────────────
def _terms(desk: Desk) -> None:
    tick = tick_of(typed_legs(desk), state.get("ticket-limit"))
    state.setdefault("ticket-quantity", 1)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.number_input("Quantity", min_value=1, step=1, key="ticket-quantity", persist_state="session", width=130)
        st.number_input(
            "Limit, per unit", min_value=0.0, value=None, step=tick, format="%.2f", key="ticket-limit",
            persist_state="session", width=180, placeholder="natural",
        )  # fmt: skip
        _choice("Limit is a", "ticket-limit-word", ["debit", "credit"], "debit")


# ── fields ───────────────────────────────────────────────────────────────────────────────────────────────────────
def _settle(key: str, options: Sequence[Any], usual: Any) -> None:
    """A field holds one of its options: what was chosen while that is listed, else what is usual."""
    if state.get(key) not in options:
        state[key] = usual


def _label(word: str, place: int) -> str:
    """Said to a screen reader in every row, shown above the first."""
    return word if place == 0 else f"{word} of leg {place + 1}"


def _choice(word: str, key: str, options: Sequence[str], usual: str, place: int = 0) -> str:
    _settle(key, options, usual)
    show: Any = "visible" if place == 0 else "collapsed"
    chosen = st.segmented_control(
        _label(word, place), options, key=key, required=True, persist_state="session", label_visibility=show
    )
    return str(chosen or usual)


def _pick(word: str, key: str, options: Sequence[Any], usual: Any, place: int, spelled: Any = str) -> Any:
    _settle(key, options, usual)
    show: Any = "visible" if place == 0 else "collapsed"
    return st.selectbox(
        _label(word, place), options, key=key, persist_state="session", label_visibility=show, format_func=spelled
    )
