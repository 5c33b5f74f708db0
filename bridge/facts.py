"""The facts a crossing is judged by, read afresh under the claim: one GateFacts, nothing assumed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from adapters.base import Broker
from bridge.account import snapshot_of
from bridge.claims import Claim
from bridge.outlook import Observatory, Outlook, applied_before, mid_of
from database.orders import InFlight
from database.store import Store
from models.book import AccountSnapshot, Position
from models.calendar import CalendarError, is_open
from models.control import Switch, SwitchName
from models.market import Quote
from models.order import WhatIf
from models.proposed_trade import asked_of
from models.quant.aftermath import closable, legs_room
from models.quant.breach import smallest_hedge_lot
from models.quant.candidate import Scene
from models.quant.fitted import fitted_mids
from models.quant.gates import ApprovalFact, GateFacts, QuoteFact, Stage, WhatIfFact
from models.quant.lifecycle import Instruction
from models.quant.option import Contract
from models.quant.portfolio import exposure_from
from models.quant.product import product_of
from models.quant.room import TicketRoom
from models.quant.shapes import family_of
from models.quant.structure import Leg, combo_price, contract_from_json, legs_from_json
from models.quant.vectors import vectorise
from models.quote_facts import quote_fact
from models.settings import Settings

ACCOUNT_LIFE = timedelta(seconds=60)
"""An older account snapshot is not knowledge of funds."""

HALT_FILE = "HALT"


def halt_file(var_dir: Path) -> bool:
    """Whether somebody put a HALT file into the desk's folder; an unreadable folder halts too."""
    try:
        return (var_dir / HALT_FILE).exists()
    except OSError:
        return True


@dataclass(frozen=True)
class Ticket:
    """What is to leave: legs with their quotes of now, the price, and who signed for it."""

    claim: Claim
    legs: tuple[Leg, ...]
    quotes: dict[str, Quote]

    @property
    def priced(self) -> tuple[Leg, ...]:
        """The legs at their present quotes; unknown sides stay None."""
        out = []
        for leg in self.legs:
            quote = self.quotes.get(leg.contract.identity)
            bid, ask = (quote.bid, quote.ask) if quote else (None, None)
            out.append(Leg(leg.contract, leg.action, leg.ratio, leg.con_id, bid, ask, mid_of(quote)))
        return tuple(out)


class FactFinder:
    """Reads everything the gates may know about one ticket."""

    def __init__(self, store: Store, broker: Broker, settings: Settings) -> None:
        self._store = store
        self._broker = broker
        self._settings = settings
        self._observatory = Observatory(store, settings)

    async def gather(self, claim: Claim, own_ref: str, what_if: WhatIf | None, machine: datetime) -> GateFacts:
        """The facts at machine time `machine`; the order `own_ref` itself is not counted among those in flight."""
        store, account = self._store, claim.approval.account_id
        desk_now = self._broker.clock.at(machine)
        desk = await store.control.desk()
        switches = await store.control.switches()
        # In this order: a fill that comes between the two reads counts twice, the other way round it would not at all.
        flying = [f for f in await store.orders.in_flight(account, machine) if f.order_ref != own_ref]
        positions = await store.book.positions(account)
        held = [contract_from_json(row.contract_json) for row in positions]
        contracts = list(dict.fromkeys([*held, *(leg.contract for leg in claim.legs), *contracts_of(flying)]))
        before = applied_before(await store.book.latest_greeks(account))
        outlook = await self._observatory.look(contracts, desk_now, machine, before)
        quotes = await store.market.quotes(leg.contract.identity for leg in claim.legs)
        ticket = Ticket(claim, claim.legs, quotes)
        money = await self._money(account, machine)
        locks = await store.control.locks(account)
        working = await store.orders.working(account)
        accounts = await self._own_accounts(desk.account_ids)
        limits = outlook.limits(_float(money.net_liquidation) if money else None)
        approval, proposal = claim.approval, claim.proposal
        assert proposal is not None and claim.order is not None
        legs, tick = claim.legs, product_of(claim.legs[0].contract).combo_tick
        if len(legs) == 1:
            tick = product_of(legs[0].contract).tick(approval.limit_price)
        return GateFacts(
            stage=Stage.CROSSING,
            rules=outlook.appetite.gates,
            machine_now=machine,
            desk_now=desk_now,
            mode=self._settings.mode.value,
            database_mode=desk.mode,
            account_id=account,
            connected_account=account if account in accounts else (accounts[0] if accounts else None),
            trading_enabled=self._settings.trading_enabled,
            origin=proposal.origin,
            status=proposal.status,
            expires_at=proposal.expires_at,
            approval=ApprovalFact(
                approval.statement().verify(store.key, approval.signature), approval.good_until, approval.epoch
            ),
            epoch=desk.epoch,
            family=claim.order.risk_family,
            underlying=legs[0].contract.symbol,
            shape=family_of(
                legs,
                approval.quantity,
                closable({row.identity: row.quantity for row in positions}, [order.amounts for order in flying]),
            ),
            quantity=approval.quantity,
            asked=asked_of(proposal),
            limit_price=approval.limit_price,
            worst_price=approval.worst_price,
            tick=tick,
            quotes=self._quote_facts(ticket, outlook),
            mid_now=combo_price(ticket.priced, "mid"),
            mid_proposed=combo_price(legs, "mid"),
            natural_now=combo_price(ticket.priced, "natural"),
            market_open=all_open([leg.contract for leg in legs], desk_now),
            halt=_value(switches, SwitchName.HALT),
            halt_file=halt_file(self._settings.var_dir),
            pause=_value(switches, SwitchName.PAUSE),
            overrides=outlook.overrides,
            locked_families=frozenset(lock.family for lock in locks),
            unknown_families=frozenset(o.risk_family for o in working if o.status == Instruction.UNKNOWN),
            room=self._room(ticket, positions, flying, outlook, money),
            what_if=what_if_fact(what_if),
            available_funds=_float(money.available_funds) if money else None,
            margin_used=_float(money.maintenance_margin) if money else None,
            nlv=_float(money.net_liquidation) if money else None,
            margin_max=limits.margin_max,
        )

    async def _money(self, account: str, machine: datetime) -> AccountSnapshot | None:
        """The account's last snapshot; after an outage, before the first valuation, the broker's word of now."""
        row = await self._store.book.latest_account(account)
        if row is not None and machine - row.at <= ACCOUNT_LIFE:
            return row
        answer = await self._broker.account_values(account)
        return None if answer.data is None else snapshot_of(answer.data, machine, self._broker.clock.at(machine))

    async def _own_accounts(self, bound: Sequence[str]) -> tuple[str, ...]:
        """What the login offers and this desk may trade: its own accounts, and IB_ACCOUNT alone when that is set."""
        offered, only = (await self._broker.accounts()).data or (), self._settings.ib_account
        return tuple(name for name in offered if name in bound and only in ("", name))

    def _quote_facts(self, ticket: Ticket, outlook: Outlook) -> tuple[QuoteFact, ...]:
        contracts = [leg.contract for leg in ticket.legs]
        models = fitted_mids(contracts, outlook.view).tolist()
        return tuple(
            quote_fact(
                leg.contract,
                ticket.quotes.get(leg.contract.identity),
                leg.ratio,
                model if np.isfinite(model) else None,
            )
            for leg, model in zip(ticket.legs, models, strict=True)
        )

    def _room(
        self,
        ticket: Ticket,
        positions: Sequence[Position],
        flying: Sequence[InFlight],
        outlook: Outlook,
        money: AccountSnapshot | None,
    ) -> TicketRoom | None:
        """The room under every cap, with orders in flight at their worst; None when the limits are unknown."""
        nlv, margin = (_float(money.net_liquidation), _float(money.maintenance_margin)) if money else (None, None)
        held = {row.identity: row.quantity for row in positions}
        contracts = [contract_from_json(row.contract_json) for row in positions]
        everything = [*contracts, *(leg.contract for leg in ticket.legs), *contracts_of(flying)]
        vectors = vectorise(list(dict.fromkeys(everything)), outlook.view, spx_vix_history=outlook.history)
        scene = Scene(
            vectors=vectors,
            exposure=exposure_from(vectors, vectors.quantities(held), nlv, margin),
            limits=outlook.limits(nlv),
            hedges=outlook.appetite.hedges,
            gates=outlook.appetite.gates,
            spx=outlook.view.spx,
            held=held,
            in_flight=tuple(order.amounts for order in flying),
            smallest_lot=smallest_hedge_lot(outlook.view.spx),
        )
        return legs_room(scene, ticket.legs, ticket.claim.approval.quantity)


def contracts_of(flying: Sequence[InFlight]) -> list[Contract]:
    return [leg.contract for order in flying for leg in legs_from_json(order.legs_json)]


def all_open(contracts: Sequence[Contract], desk_now: datetime) -> bool | None:
    """Whether every leg trades in its regular session; None when no calendar can tell."""
    try:
        return all(is_open(contract, desk_now, regular_only=True) for contract in contracts)
    except CalendarError:
        return None


def what_if_fact(row: WhatIf | None) -> WhatIfFact | None:
    if row is None:
        return None
    return WhatIfFact(
        at=row.at,
        init_margin_change=_float(row.init_margin_change),
        maint_margin_change=_float(row.maint_margin_change),
        equity_change=_float(row.equity_change),
        failure=row.failure,
    )


def _value(switches: dict[str, Switch], name: str) -> str | None:
    row = switches.get(name)
    return row.value if row else None


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
