"""What a client asks of the account: positions, money, profit and loss, and their updates while it listens."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adapters.simulator import tws_replies as reply
from adapters.simulator.tws_contracts import listed, wire_contract
from adapters.simulator.tws_limits import Rules
from adapters.simulator.tws_link import Link
from adapters.simulator.tws_order_replies import Fields
from adapters.simulator.tws_requests import AccountMulti, AccountSummary, AccountUpdates, Pnl
from adapters.simulator.types import Instrument, VenuePosition

if TYPE_CHECKING:
    from adapters.simulator.venue import Venue

SUMMARIES = 2  # IBKR lets one client hold two summary subscriptions


@dataclass
class _Stream:
    """A standing subscription: what was last sent under each name, so that only changes leave."""

    request: object
    sent: dict[str, Fields] = field(default_factory=dict)

    def changed(self, name: str, fields: Fields) -> bool:
        if self.sent.get(name) == fields:
            return False
        self.sent[name] = fields
        return True


class AccountDesk:
    """Positions, account values and P&L of the one account, for one client."""

    def __init__(self, link: Link, venue: "Venue", rules: Rules) -> None:
        self._link = link
        self._venue = venue
        self._rules = rules
        self._updates: _Stream | None = None
        self._positions: _Stream | None = None
        self._multi: dict[int, _Stream] = {}
        self._summaries: dict[int, _Stream] = {}
        self._pnl: dict[int, _Stream] = {}
        self._money_at = 0.0
        self._pnl_at = 0.0
        self._filled = False

    def _owns(self, req_id: int, account: str) -> bool:
        """Whether `account` is this venue's (empty or All means it); else the client is told."""
        if account in ("", "All", self._venue.account_id):
            return True
        self._link.error(req_id, 321, "Error validating request: invalid account code")
        return False

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────
    def updates(self, request: AccountUpdates) -> None:
        if not self._owns(-1, request.account):
            return
        self._updates = _Stream(request) if request.subscribe else None
        if request.subscribe:
            self._send_updates(complete=True)
            self._link.send(reply.ended(54, text=self._venue.account_id))

    def positions(self) -> None:
        self._positions = _Stream(None)
        self._send_positions()
        self._link.send(reply.ended(62))

    def cancel_positions(self) -> None:
        self._positions = None

    def multi(self, request: AccountMulti) -> None:
        if not self._owns(request.req_id, request.account):
            return
        self._multi[request.req_id] = _Stream(request)
        self._send_multi(request.req_id)
        self._link.send(reply.ended(72 if request.positions else 74, request.req_id))

    def cancel_multi(self, req_id: int) -> None:
        self._multi.pop(req_id, None)

    def summary(self, request: AccountSummary) -> None:
        if len(self._summaries) >= SUMMARIES and request.req_id not in self._summaries:
            text = "Error processing request: Maximum number of account summary requests exceeded"
            self._link.error(request.req_id, 322, text)
            return
        if not self._owns(request.req_id, request.group):
            return
        self._summaries[request.req_id] = _Stream(request)
        self._send_summary(request.req_id)
        self._link.send(reply.ended(64, request.req_id))

    def cancel_summary(self, req_id: int) -> None:
        self._summaries.pop(req_id, None)

    def pnl(self, request: Pnl) -> None:
        if not self._owns(request.req_id, request.account):
            return
        if request.con_id is not None and self._held(request.con_id) is None:
            self._link.error(request.req_id, 321, f"Error validating request: no position in {request.con_id}")
            return
        self._pnl[request.req_id] = _Stream(request)
        self._send_pnl(request.req_id)

    def cancel_pnl(self, req_id: int) -> None:
        self._pnl.pop(req_id, None)

    # ── pushes ───────────────────────────────────────────────────────────────────────────────────────────────────
    def beat(self, now: float) -> None:
        """Send what changed, when its turn has come."""
        if now - self._pnl_at >= self._rules.pnl_seconds:
            self._pnl_at = now
            for req_id in list(self._pnl):
                self._send_pnl(req_id)
        if now - self._money_at >= self._rules.account_seconds:
            self._money_at = now
            self._send_money()

    def filled(self) -> None:
        """A position changed: told once the venue has booked everything that belongs to this moment."""
        if not self._filled:
            self._filled = True
            asyncio.get_running_loop().call_soon(self._tell_filled)

    def _tell_filled(self) -> None:
        self._filled = False
        self._send_money()

    def _send_money(self) -> None:
        self._send_positions()  # expiry changes positions without a fill
        self._send_updates(complete=False)
        for req_id in list(self._multi):
            self._send_multi(req_id)
        for req_id in list(self._summaries):
            self._send_summary(req_id)

    def _push(self, stream: _Stream, name: str, fields: Fields) -> bool:
        changed = stream.changed(name, fields)
        if changed:
            self._link.send(fields)
        return changed

    def _send_updates(self, *, complete: bool) -> None:
        stream = self._updates
        if stream is None:
            return
        account, moved = self._venue.account_id, complete
        for tag, value, currency in self._venue.account.values():
            moved |= self._push(stream, f"{tag} {currency}", reply.account_value(tag, value, currency, account))
        held_now = {held.con_id: held for held in self._venue.account.positions()}
        gone = {int(name.split()[1]) for name in stream.sent if name.startswith("position ")} - set(held_now)
        for con_id in gone:  # closed: IBKR keeps telling it, as zero
            held_now[con_id] = VenuePosition(con_id, 0.0, 0.0, None, 0.0, 0.0, 0.0)
        for con_id, held in held_now.items():
            contract = wire_contract(self._instrument(held))
            moved |= self._push(stream, f"position {con_id}", reply.portfolio_value(contract, held, account))
        if moved:
            self._link.send(reply.account_time(self._venue.clock.now()))

    def _send_positions(self) -> None:
        stream = self._positions
        if stream is None:
            return
        held_now = {held.con_id: held for held in self._venue.account.positions()}
        for name in list(stream.sent):
            if int(name) not in held_now:  # closed: told once as zero
                contract = wire_contract(listed(self._venue.market, int(name)))
                self._link.send(reply.position(contract, 0.0, 0.0, self._venue.account_id))
                del stream.sent[name]
        for con_id, held in held_now.items():
            contract = wire_contract(self._instrument(held))
            fields = reply.position(contract, held.quantity, held.average_cost, self._venue.account_id)
            self._push(stream, str(con_id), fields)

    def _send_multi(self, req_id: int) -> None:
        stream, account = self._multi[req_id], self._venue.account_id
        assert isinstance(stream.request, AccountMulti)
        if stream.request.positions:
            for held in self._venue.account.positions():
                contract = wire_contract(self._instrument(held))
                fields = reply.position_multi(req_id, contract, held.quantity, held.average_cost, account)
                self._push(stream, str(held.con_id), fields)
            return
        for tag, value, currency in self._venue.account.values():
            fields = reply.account_multi(req_id, account, tag, value, currency)
            self._push(stream, f"{tag} {currency}", fields)

    def _send_summary(self, req_id: int) -> None:
        stream = self._summaries[req_id]
        assert isinstance(stream.request, AccountSummary)
        tags = set(stream.request.tags)
        everything = any(tag == "All" or tag.startswith("$LEDGER") for tag in tags)
        for tag, value, currency in self._venue.account.values():
            if everything or tag in tags:
                fields = reply.account_summary(req_id, self._venue.account_id, tag, value, currency)
                self._push(stream, f"{tag} {currency}", fields)

    def _send_pnl(self, req_id: int) -> None:
        stream = self._pnl[req_id]
        assert isinstance(stream.request, Pnl)
        con_id = stream.request.con_id
        if con_id is None:
            self._push(stream, "pnl", reply.pnl(req_id, self._venue.account.margin()))
            return
        held = self._held(con_id)
        if held is None:
            held = VenuePosition(con_id, 0.0, 0.0, None, 0.0, 0.0, 0.0)
        # A position's own day P&L is not kept by the venue's account: it leaves as unset.
        self._push(stream, "pnl", reply.pnl_single(req_id, held, None))

    def _held(self, con_id: int) -> VenuePosition | None:
        return next((held for held in self._venue.account.positions() if held.con_id == con_id), None)

    def _instrument(self, held: VenuePosition) -> Instrument:
        return listed(self._venue.market, held.con_id)
