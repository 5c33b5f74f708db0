"""Rows → tables: the frames of the book, the blotter and the logs, and the column formats that go with them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from app import format as fmt
from app import look
from app.wording import contract_or_none, contract_words, identity_words, legs_in_a_line
from models.book import PortfolioGreeks, Position
from models.control import ApiLog
from models.order import Execution, Order
from models.quant.product import dte

BOOK_COLUMNS = (
    "Underlying",
    "Contract",
    "Qty",
    "DTE",
    "Mark",
    "IV",
    "BW delta",
    "Gamma",
    "Vega w.",
    "Theta",
    "Value",
    "Source",
    "Why unknown",
)


def risk_of(row: PortfolioGreeks) -> float:
    """How much of the book's risk a row is: unknown sorts before everything known."""
    parts = [fmt.known(value) for value in (row.spx_delta, row.vega_weighted, row.gamma)]
    known = [abs(part) for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else float("inf")


def book_rows(
    greeks: Sequence[PortfolioGreeks],
    positions: Sequence[Position],
    desk_at: datetime,
    priced_at: Mapping[str, datetime] | None = None,
) -> list[dict[str, Any]]:
    """One record per position, unknown ones first, then by underlying and expiry; one without greeks is listed too.

    `priced_at`: desk time of what each mark came from, by identity.
    """
    told = priced_at or {}
    by_identity = {row.contract: row for row in greeks}
    held = {position.identity: position for position in positions}
    records = [
        _book_record(identity, by_identity.get(identity), held.get(identity), desk_at, told.get(identity))
        for identity in dict.fromkeys([*held, *by_identity])
    ]
    return sorted(
        records,
        key=lambda r: (not r["Why unknown"], r["Underlying"], r["DTE"] if r["DTE"] is not None else -1, r["Contract"]),
    )


def _book_record(
    identity: str, row: PortfolioGreeks | None, held: Position | None, desk_at: datetime, priced: datetime | None
) -> dict[str, Any]:
    contract = contract_or_none(held.contract_json) if held else None
    expiry = contract.expiry if contract else None
    why = "not valued yet" if row is None else "; ".join(row.missing)
    quantity = held.quantity if held else row.quantity if row else None
    return {
        "Underlying": contract.symbol if contract else identity[:6].strip(),
        "Contract": contract_words(contract) if contract else identity_words(identity),
        "Qty": quantity,
        "DTE": dte(expiry, desk_at) if expiry else None,
        "Mark": row.mark if row else None,
        "IV": row.iv * 100 if row and row.iv is not None else None,
        "BW delta": row.spx_delta if row else None,
        "Gamma": row.gamma if row else None,
        "Vega w.": row.vega_weighted if row else None,
        "Theta": row.theta if row else None,
        "Value": row.market_value if row else None,
        "Source": fmt.sourced(row.source if row else "unknown", fmt.seconds_between(priced, desk_at)),
        "Why unknown": why,
    }


def book_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(records, columns=list(BOOK_COLUMNS))


def book_columns() -> dict[str, Any]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "Underlying": text(width="small"),
        "Contract": text(width="medium"),
        "Qty": number(format="%+.0f", width="small"),
        "DTE": number(help="calendar days to expiry, New York", format="%d", width="small"),
        "Mark": number(help="per share or point", format="%.2f", width="small"),
        "IV": number("IV %", help="annual", format="%.1f", width="small"),
        "BW delta": number("BW Δ $/1 %", help="$ gained per +1 % of SPX, beta weighted", format="%,.0f"),
        "Gamma": number("Γ Δ$/1 %", help="change of BW delta per further +1 %", format="%,.0f"),
        "Vega w.": number("Vega $/pt", help="$ per vol point, weighted √(30 / max(DTE, 7))", format="%,.0f"),
        "Theta": number("Θ $/day", format="%,.0f"),
        "Value": number("Value $", format="%,.0f"),
        "Source": text(width="small", help="where the mark came from, and its age"),
        "Why unknown": text(width="medium"),
    }


def by_underlying(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Sums per underlying; a sum with an unknown part is unknown."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault(record["Underlying"], []).append(record)
    summed = []
    for symbol, rows in groups.items():
        sums = {name: _sum(row[name] for row in rows) for name in ("BW delta", "Gamma", "Vega w.", "Theta", "Value")}
        summed.append({"Underlying": symbol, "Positions": len(rows), **sums})
    return sorted(summed, key=lambda row: -abs(row["BW delta"]) if row["BW delta"] is not None else float("-inf"))


def _sum(values: Iterable[Any]) -> float | None:
    known = [fmt.known(value) for value in values]
    return None if None in known else sum(value for value in known if value is not None)


def underlying_table(groups: Sequence[Mapping[str, Any]]) -> str:
    head = ("Underlying", "Positions", "BW Δ $/1 %", "Γ Δ$/1 %", "Vega $/pt w.", "Θ $/day", "Value $")
    rows = [
        (
            f"<b>{escape(group['Underlying'])}</b>",
            str(group["Positions"]),
            *(
                fmt.number(group[name], sign=name != "Value")
                for name in ("BW delta", "Gamma", "Vega w.", "Theta", "Value")
            ),
        )
        for group in groups
    ]
    return look.table(head, rows)


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────
ORDER_TONES = {
    "intended": ("quiet", "built"),
    "sent": ("accent", "sent"),
    "working": ("gain", "working"),
    "part_filled": ("gain", "part filled"),
    "cancel_requested": ("accent", "cancelling"),
    "replace_requested": ("accent", "replacing"),
    "filled": ("filled", "filled"),
    "cancelled": ("quiet", "cancelled"),
    "rejected": ("over", "rejected"),
    "refused": ("over", "refused"),
    "unknown": ("over", "unknown"),
    "abandoned_by_person": ("warn", "abandoned"),
}
"""The language of TWS: grey built, light blue sent, green working, filled solid, rejected red with its reason."""


def order_chip(status: str) -> str:
    tone, word = ORDER_TONES.get(status, ("warn", status))
    return look.chip(word, tone)


def orders_table(orders: Sequence[Order]) -> str:
    head = ("State", "Order", "Filled", "Limit", "Average", "Slippage", "Sent ET", "Reason")
    return look.table(head, [_order_row(order) for order in orders], css="n-words")


def _order_row(order: Order) -> tuple[str, ...]:
    def mono(text: str) -> str:
        return f'<span class="n-num">{escape(text)}</span>'

    return (
        order_chip(order.status),
        f"{order.quantity} × {escape(legs_in_a_line(order.legs_json))}<br>"
        f'<span class="n-sub n-num">ref {escape(order.order_ref[:10])}</span>',
        mono(f"{order.filled:g} of {order.quantity}"),
        mono(fmt.debit_or_credit(order.limit_price)),
        mono(fmt.number(order.average_price, 2)),
        mono(slippage_words(order)),
        mono(fmt.eastern(order.sent_at)),
        escape(order.reason),
    )


def slippage_words(order: Order) -> str:
    """Fill against the mid at approval per unit; positive is worse for the desk."""
    if order.average_price is None or order.mid_at_approval is None:
        return fmt.UNKNOWN
    return fmt.number(order.average_price - order.mid_at_approval, 2, sign=True)


def executions_table(rows: Sequence[Execution]) -> str:
    body = [
        (
            fmt.eastern(row.at),
            escape(row.side),
            fmt.number(row.quantity),
            escape(identity_words(row.identity)),
            fmt.price(row.price),
            fmt.money(row.commission, 2),
            escape(row.order_ref[:10] or "not ours"),
        )
        for row in rows
    ]
    return look.table(("ET", "Side", "Qty", "Contract", "Price", "Commission", "Order"), body, css="n-words")


# ── logs ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def log_frame(rows: Sequence[ApiLog], wanted: str) -> pd.DataFrame:
    """The newest exchanges that contain the wanted word, whatever its case."""
    word = wanted.strip().lower()
    kept = [
        {
            "ET": fmt.eastern(row.at),
            "Counterparty": row.counterparty,
            "Call": row.call,
            "Outcome": row.outcome,
            "Code": row.code,
            "Text": row.text,
            "ms": None if row.milliseconds is None else round(row.milliseconds),
        }
        for row in rows
        if not word or word in f"{row.counterparty} {row.call} {row.outcome} {row.code} {row.text}".lower()
    ]
    return pd.DataFrame(kept, columns=["ET", "Counterparty", "Call", "Outcome", "Code", "Text", "ms"])
