"""The blotter: every order by state, the time line of the one that is open, executions, and what does not agree."""

from html import escape

import streamlit as st

from app import decide, grids, look
from app import format as fmt
from app.cockpit import Cockpit, cockpit_or_stop, live, machine_now
from app.pulse import Pulse
from app.wording import contract_or_none, contract_words, legs_in_a_line
from models.control import RequestKind
from models.order import Order

ENDED = ("filled", "cancelled", "rejected", "refused", "abandoned_by_person")


def body() -> None:
    cockpit = cockpit_or_stop()
    pulse = cockpit.pulse()
    _mismatches(cockpit, pulse)
    orders = cockpit.ask(lambda store: store.orders.recent(60))
    open_ones = [order for order in orders if order.status not in ENDED]
    ended = [order for order in orders if order.status in ENDED]
    st.html(look.heading("Blotter", f"{len(open_ones)} open · {len(ended)} ended · machine time, ET"))
    if not orders:
        st.html(
            look.empty(
                "No orders.", "An approved proposal becomes an order within a second; none has been approved yet."
            )
        )
    else:
        st.html(grids.orders_table([*open_ones, *ended]))
        _one(cockpit, [*open_ones, *ended])
    _executions(cockpit)


def _mismatches(cockpit: Cockpit, pulse: Pulse) -> None:
    """Locks, unknown orders and positions that differ from the broker's, in red until they are settled."""
    for lock in pulse.locks:
        st.html(
            look.trouble(
                f"{lock.family} is locked since {fmt.eastern(lock.since)} ET",
                lock.reason,
                "It frees itself when both books agree again; until then only reducing trades go.",
            )
        )
    for order in pulse.working:
        if order.status == "unknown":
            st.html(
                look.trouble(
                    f"Order {order.order_ref[:10]} is unknown",
                    order.reason or "the broker has not answered",
                    "It is never sent again. The resolver looks for its reference; new risk in its family waits.",
                )
            )
    differing = _differences(cockpit, pulse)
    if differing:
        head = ("Contract", "Ours", "Broker's", "Difference")
        st.html(look.heading("Positions that do not agree", "ours is adopted baseline plus executions"))
        st.html(look.table(head, differing))


def _differences(cockpit: Cockpit, pulse: Pulse) -> list[tuple[str, str, str, str]]:
    ours = {row.identity: row for row in cockpit.ask(lambda store: store.book.positions(pulse.account_id))}
    theirs = {row.identity: row for row in cockpit.ask(lambda store: store.book.broker_positions(pulse.account_id))}
    found = []
    for identity in dict.fromkeys([*ours, *theirs]):
        mine = ours[identity].quantity if identity in ours else 0.0
        other = theirs[identity].quantity if identity in theirs else 0.0
        if mine != other:
            contract = contract_or_none((ours.get(identity) or theirs[identity]).contract_json)
            name = contract_words(contract) if contract else identity
            red = f'<span class="n-loss">{fmt.quantity(mine - other)}</span>'
            found.append((escape(name), fmt.quantity(mine), fmt.quantity(other), red))
    return found


def _one(cockpit: Cockpit, orders: list[Order]) -> None:
    st.html(look.heading("Time line"))
    by_ref = {order.order_ref: order for order in orders}
    picked = st.selectbox(
        "Order",
        list(by_ref),
        format_func=lambda ref: (
            f"{by_ref[ref].status} · {by_ref[ref].quantity} × {legs_in_a_line(by_ref[ref].legs_json)} · {ref[:10]}"
        ),
        key="order-ref",
        label_visibility="collapsed",
    )
    if picked is None:
        return
    order = by_ref[picked]
    events = cockpit.ask(lambda store: store.orders.events(picked))
    line, deeds = st.columns([9, 3], gap="medium")
    with line:
        rows = "".join(
            f'<span class="n-num">{fmt.eastern(event.at)}.{event.at.microsecond // 1000:03d}</span>'
            f"{grids.order_chip(event.to_status or event.event)}<span>{escape(event.text or event.event)}</span>"
            for event in events
        )
        st.html(
            f'<div class="n-time">{rows}</div>' if rows else look.empty("No events.", "The bridge writes one per step.")
        )
    with deeds:
        approved = cockpit.ask(lambda store: store.proposals.get(order.proposal_id)) if order.proposal_id else None
        if approved is not None:
            st.html(
                f'<span class="n-sub">Proposal {approved.id}: approved by {escape(approved.decided_by or "n/a")} '
                f"at {fmt.eastern(approved.decided_at)} ET</span>"
            )
        st.html(
            f'<span class="n-sub">Broker id {order.broker_order_id or "n/a"} · permId {order.perm_id or "n/a"} · '
            f"revision {order.revision}</span>"
        )
        if order.status not in ENDED:
            st.button("Cancel this order", key="cancel", on_click=_cancel, args=(cockpit, picked))
        said = st.session_state.get(f"said:{picked}")
        if said is not None:
            st.html(f'<div class="n-said">{escape(said.sentence)}</div>')


def _cancel(cockpit: Cockpit, ref: str) -> None:
    payload = {"order_ref": ref}
    cockpit.act(lambda store: decide.ask_bridge(store, RequestKind.CANCEL, payload, cockpit.trader, machine_now()), ref)


def _executions(cockpit: Cockpit) -> None:
    rows = cockpit.ask(lambda store: store.orders.executions(limit=40))
    st.html(look.heading("Executions", "newest first; a combo fills leg by leg · the broker's time, ET"))
    if not rows:
        st.html(look.empty("No executions.", "Fills appear here leg by leg as the broker reports them."))
        return
    st.html(grids.executions_table(rows))


live(body, "Orders")
