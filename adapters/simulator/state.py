"""The venue's memory on disk: one JSON file that is either the old state or the new one, never something between.

Positions and orders are kept by contract, not by number, so that a state outlives a change in what is listed.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from adapters.simulator.account import Holding, Ledger
from adapters.simulator.dynamics import Factors, Push
from adapters.simulator.history import Day, History, Today
from adapters.simulator.types import Instrument, OrderStatus, Ticket, TicketLeg, VenueFill, VenueOrder
from adapters.simulator.universe import BAG_CON_ID, Universe, register_future
from models.quant.option import Contract, Right, SecType
from models.quant.structure import Action

VERSION = 1


class StateError(ValueError):
    """A state file cannot be used; the message names it and the remedy."""


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` durably: temp file beside it, fsync, rename, fsync of the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_state(path: Path) -> dict[str, Any] | None:
    """The state's JSON; None when there is none. Raises StateError for one that is not ours."""
    if not path.exists():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StateError(f"state file {path} cannot be read ({error}); move it away to start afresh") from error
    if not isinstance(raw, dict) or raw.get("version") != VERSION:
        found = raw.get("version") if isinstance(raw, dict) else None
        raise StateError(f"state file {path} is of version {found}, this venue writes {VERSION}; move it away")
    return raw


# ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────
def contract_to_json(contract: Contract) -> dict[str, Any]:
    return {
        "symbol": contract.symbol, "sec_type": contract.sec_type.value, "trading_class": contract.trading_class,
        "multiplier": contract.multiplier, "expiry": contract.expiry.isoformat() if contract.expiry else None,
        "strike": contract.strike, "right": contract.right.value if contract.right else None,
    }  # fmt: skip


def contract_from_json(raw: Mapping[str, Any]) -> Contract:
    return Contract(
        raw["symbol"], SecType(raw["sec_type"]), raw["trading_class"], raw["multiplier"],
        date.fromisoformat(raw["expiry"]) if raw["expiry"] else None, raw["strike"],
        Right(raw["right"]) if raw["right"] else None,
    )  # fmt: skip


def factors_to_json(f: Factors) -> dict[str, Any]:
    return {
        "seed": f.seed, "at": f.at, "spots": f.spots.tolist(), "level": f.level, "rest": f.rest,
        "vvix_excess": f.vvix_excess, "push": asdict(f.push) if f.push else None, "halted": f.halted,
        "points": f.points, "fixed": f.fixed,
    }  # fmt: skip


def factors_from_json(raw: Mapping[str, Any]) -> Factors:
    push = raw["push"]
    return Factors(
        raw["seed"], raw["at"], np.array(raw["spots"]), raw["level"], raw["rest"], raw["vvix_excess"],
        Push(**push) if push else None, raw["halted"], raw["points"], 0, raw["fixed"],
    )  # fmt: skip


def _day_to_json(day: Day) -> dict[str, Any]:
    return {"day": day.day.isoformat(), **{n: getattr(day, n).tolist() for n in ("open", "high", "low", "close")}}


def history_to_json(h: History) -> dict[str, Any]:
    return {
        "anchor_day": h.anchor_day.isoformat(), "anchor": h.anchor.tolist(), "since": [_day_to_json(d) for d in h.since]
    }  # fmt: skip


def history_from_json(seed: int, raw: Mapping[str, Any]) -> History:
    history = History(seed, date.fromisoformat(raw["anchor_day"]), np.array(raw["anchor"]))
    for day in raw["since"]:
        parts = [np.array(day[n]) for n in ("open", "high", "low", "close")]
        history.since.append(Day(date.fromisoformat(day["day"]), *parts))
    return history


def today_to_json(today: Today) -> dict[str, Any]:
    return {
        "day": today.day.isoformat(), "open": today.open.tolist(), "high": today.high.tolist(),
        "low": today.low.tolist(), "close": None if today.close is None else today.close.tolist(),
        "samples": [[at, [round(float(v), 6) for v in row]] for at, row in today.samples],
    }  # fmt: skip


def today_from_json(raw: Mapping[str, Any]) -> Today:
    found = Today(date.fromisoformat(raw["day"]), *(np.array(raw[n]) for n in ("open", "high", "low")))
    found.close = None if raw["close"] is None else np.array(raw["close"])
    found.samples = [(at, np.array(row)) for at, row in raw["samples"]]
    return found


class Names:
    """Numbers to contracts and back, so that what is stored does not depend on con_ids."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe

    def contract(self, con_id: int) -> dict[str, Any] | None:
        return None if con_id in (0, BAG_CON_ID) else contract_to_json(self.universe[con_id].contract)

    def number(self, raw: Mapping[str, Any] | None, bag: bool = False) -> int:
        if raw is None:
            return BAG_CON_ID if bag else 0
        return register_again(self.universe, contract_from_json(raw)).con_id


def register_again(universe: Universe, contract: Contract) -> Instrument:
    """The instrument of a contract that was listed once; listed again if need be (expired, or off today's ladder)."""
    known = universe.of(contract)
    if known is not None:
        return known
    if contract.sec_type is SecType.FUTURE and contract.expiry is not None:
        return register_future(universe, contract.symbol, contract.expiry)
    kind = SecType.INDEX if contract.symbol == "SPX" else SecType.STOCK
    under = universe.find(symbol=contract.symbol, sec_type=kind) if contract.is_option else []
    exchange = "CBOE" if contract.is_option and kind is SecType.INDEX else "SMART"
    long_name = under[0].long_name if under else contract.symbol
    local = contract.identity
    return universe.register(contract, local, long_name, exchange, exchange, under[0].con_id if under else 0)


def ledger_to_json(ledger: Ledger, names: Names) -> dict[str, Any]:
    return {
        "cash": ledger.cash, "realized_today": ledger.realized_today, "day_start": ledger.day_start,
        "day": ledger.day.isoformat() if ledger.day else None,
        "holdings": [{"contract": names.contract(c), **asdict(h)} for c, h in ledger.holdings.items()],
    }  # fmt: skip


def ledger_from_json(raw: Mapping[str, Any], names: Names) -> Ledger:
    holdings = {}
    for item in raw["holdings"]:
        values = {k: v for k, v in item.items() if k != "contract"}
        holdings[names.number(item["contract"])] = Holding(**values)
    day = date.fromisoformat(raw["day"]) if raw["day"] else None
    return Ledger(raw["cash"], holdings, raw["realized_today"], day, raw["day_start"])


def order_to_json(order: VenueOrder, names: Names) -> dict[str, Any]:
    plain = (f.name for f in fields(Ticket) if f.name not in ("legs", "con_id", "action"))
    ticket = {name: getattr(order.ticket, name) for name in plain}
    ticket["action"] = order.ticket.action.value
    ticket["contract"] = names.contract(order.ticket.con_id)
    ticket["legs"] = [
        {"contract": names.contract(leg.con_id), "ratio": leg.ratio, "action": leg.action, "exchange": leg.exchange}
        for leg in order.ticket.legs
    ]
    return {
        "perm_id": order.perm_id, "client_id": order.client_id, "order_id": order.order_id, "ticket": ticket,
        "status": order.status.value, "filled": order.filled, "average": order.average, "last_price": order.last_price,
        "placed_at": _stamp(order.placed_at), "done_at": _stamp(order.done_at), "why_held": order.why_held,
        "reject_code": order.reject_code, "reject_text": order.reject_text, "wire": order.wire,
    }  # fmt: skip


def order_from_json(raw: Mapping[str, Any], names: Names) -> VenueOrder:
    ticket = dict(raw["ticket"])
    legs = tuple(
        TicketLeg(names.number(leg["contract"]), leg["ratio"], Action(leg["action"]), leg["exchange"])
        for leg in ticket.pop("legs")
    )
    contract = ticket.pop("contract")
    ticket["action"] = Action(ticket["action"])
    return VenueOrder(
        raw["perm_id"], raw["client_id"], raw["order_id"],
        Ticket(con_id=names.number(contract), legs=legs, **ticket),
        OrderStatus(raw["status"]), raw["filled"], raw["average"], raw["last_price"], _moment(raw["placed_at"]),
        _moment(raw["done_at"]), raw["why_held"], raw["reject_code"], raw["reject_text"], wire=raw["wire"],
    )  # fmt: skip


def fill_to_json(fill: VenueFill, names: Names) -> dict[str, Any]:
    plain = {f.name: getattr(fill, f.name) for f in fields(VenueFill) if f.name not in ("con_id", "at", "side")}
    return {**plain, "side": fill.side.value, "at": _stamp(fill.at), "contract": names.contract(fill.con_id)}


def fill_from_json(raw: Mapping[str, Any], names: Names) -> VenueFill:
    plain = {k: v for k, v in raw.items() if k not in ("contract", "at", "side")}
    at = datetime.fromisoformat(raw["at"]).astimezone(UTC)
    con_id = names.number(raw["contract"], bag=raw["is_bag"])
    return VenueFill(con_id=con_id, at=at, side=Action(raw["side"]), **plain)


def _stamp(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _moment(raw: str | None) -> datetime | None:
    return datetime.fromisoformat(raw).astimezone(UTC) if raw else None
