"""What is held: by underlying, then position by position with its greeks; what could not be priced stands on top."""

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from app import format as fmt
from app import grids, look
from app.cockpit import Cockpit, cockpit_or_stop, live
from app.pulse import Pulse
from app.wording import contract_or_none
from models.book import Position
from models.quant.structure import QuoteSource


def body() -> None:
    cockpit = cockpit_or_stop()
    pulse = cockpit.pulse()
    positions = cockpit.ask(lambda store: store.book.positions(pulse.account_id))
    records = grids.book_rows(pulse.positions, positions, pulse.desk_at, _priced_at(cockpit, pulse, positions))
    age = fmt.age(fmt.seconds_between(pulse.portfolio.at, pulse.at)) if pulse.portfolio else "no valuation"
    st.html(
        look.heading("Book", f"{fmt.plural(len(records), 'position')} · valued {age} ago · own greeks, in currency")
    )
    if not records:
        st.html(_why_empty(pulse))
        return
    unknown = [record for record in records if record["Why unknown"]]
    if unknown:
        names = "; ".join(f"{record['Contract']}: {record['Why unknown']}" for record in unknown[:6])
        st.html(
            look.trouble(
                f"{fmt.plural(len(unknown), 'position')} could not be valued",
                names,
                "Sums that need them are n/a. A quote or a surface for the underlying makes them known again.",
            )
        )
    st.html(look.heading("By underlying", "a sum with an unknown part is n/a"))
    st.html(grids.underlying_table(grids.by_underlying(records)))
    _positions(records, pulse)


def _priced_at(cockpit: Cockpit, pulse: Pulse, positions: Sequence[Position]) -> dict[str, datetime]:
    """When each mark was made: a modelled one with its surface, any other with its quote."""
    modelled = {row.contract for row in pulse.positions if row.source == QuoteSource.MODELLED}
    quoted = [row.contract for row in pulse.positions if row.contract not in modelled]
    surfaces = cockpit.ask(lambda store: store.market.surfaces()) if modelled else {}
    found = {name: quote.at for name, quote in cockpit.ask(lambda store: store.market.quotes(quoted)).items()}
    for held in positions:
        contract = contract_or_none(held.contract_json)
        if held.identity in modelled and contract is not None and contract.symbol in surfaces:
            found[held.identity] = surfaces[contract.symbol].at
    return found


def _why_empty(pulse: Pulse) -> str:
    if pulse.account_id is None:
        return look.empty(
            "No account yet.", "The bridge has not connected to the broker; the Bridge light and Ops say why."
        )
    if pulse.portfolio is None:
        return look.empty(
            "No positions.", "The bridge has not reported the book yet; it does so within seconds of connecting."
        )
    return look.empty("The book is flat.", "The broker reports no position in this account, and ours agrees.")


def _positions(records: list[dict[str, object]], pulse: Pulse) -> None:
    title, tools = st.columns([8, 4], vertical_alignment="bottom")
    title.html(look.heading("Positions", "unknown first, then by underlying and expiry"))
    frame = grids.book_frame(records)
    with tools, st.container(horizontal=True, horizontal_alignment="right"):
        wanted = st.pills(
            "Underlying",
            sorted({str(r["Underlying"]) for r in records})[:6],
            key="book-underlying",
            label_visibility="collapsed",
        )
        name = f"book-{pulse.desk_at:%Y%m%d-%H%M%S}.csv"
        st.download_button("CSV", frame.to_csv(index=False), file_name=name, mime="text/csv", on_click="ignore")
    shown = frame if wanted is None else frame[frame["Underlying"] == wanted]
    st.dataframe(
        shown,
        hide_index=True,
        column_config=grids.book_columns(),
        height=min(38 + 30 * len(shown), 620),
        row_height=30,
        placeholder=fmt.UNKNOWN,
        key="book-table",
        alt="Positions with their greeks",
    )


live(body, "Book")
