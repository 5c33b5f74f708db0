"""What the account and the book are worth now, and how they would move: written every few seconds and after each fill.

Greeks are our own, priced from the quotes and surfaces in the store; what cannot be priced stays unknown, by name.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from adapters.base import AccountValues, BrokerPosition, NotConnected
from bridge.account import brake_on_loss, snapshot_of
from bridge.journal import write_due
from bridge.life import Life
from bridge.outlook import Observatory, Outlook, applied_before
from bridge.reconcile import Reconciler
from database.audit import plain
from models.appetite import BreachRow
from models.book import PORTFOLIO, BrokerPositionRow, PortfolioGreeks
from models.quant.breach import Breach, LimitUse, breach_key, detect_breaches, measure_use, smallest_hedge_lot
from models.quant.cautions import cautions
from models.quant.limits import Limits
from models.quant.portfolio import Exposure, Holding, PositionGreeks, expose, position_greeks
from models.quant.structure import contract_from_json, contract_to_json

KEEP_POSITION_GREEKS = timedelta(hours=2)


@dataclass(frozen=True)
class Valued:
    """One account's book at one moment."""

    exposure: Exposure
    limits: Limits
    positions: tuple[PositionGreeks, ...]
    breaches: tuple[Breach, ...]
    uses: tuple[LimitUse, ...]
    """Every line, also those that only warn."""
    outlook: Outlook


class Valuation:
    """One per life; `pass_` values every account once."""

    def __init__(self, life: Life, reconciler: Reconciler) -> None:
        self._life = life
        self._reconciler = reconciler
        self._observatory = Observatory(life.store, life.settings)
        self._forgot_at: datetime | None = None

    async def pass_(self) -> str:
        """Account, positions, greeks, breaches and the journal; returns what it did in a sentence.

        Raises NotConnected when the broker did not answer, RegimeFileError when the limits cannot be read.
        """
        words = []
        for account in self._life.accounts:
            valued = await self._account(account)
            known = "known" if valued.exposure.spx_delta is not None else "partly unknown"
            words.append(f"{len(valued.positions)} positions, {known}, {len(valued.breaches)} breach(es)")
        await self._forget()
        return "valued " + "; ".join(words)

    async def _account(self, account: str) -> Valued:
        life = self._life
        values = await life.broker.account_values(account)
        theirs = await life.broker.positions(account)
        if values.data is None or theirs.failure is not None:
            raise NotConnected(values.failure or theirs.failure or "the broker did not tell the account")
        machine = life.now()
        desk_now = life.broker.clock.at(machine)
        await life.store.book.write_account(snapshot_of(values.data, machine, desk_now))
        await life.store.book.replace_broker_positions(
            account, [_row(position, machine) for position in theirs.data or ()], machine
        )
        await self._reconciler.compare(account, theirs.data or ())
        valued = await self._value(account, values.data, machine, desk_now)
        rows = _rows(account, valued, machine, desk_now)
        await life.store.book.write_greeks(rows)
        if valued.limits.known:
            seen = [_breach_row(account, use, valued.outlook, machine) for use in valued.uses if use.breached]
            heal = timedelta(seconds=valued.outlook.appetite.watch.heal_seconds)
            await life.store.appetite.record_breaches(account, seen, machine, heal)
        await brake_on_loss(life, values.data, valued.limits, desk_now)
        await write_due(life, account, rows[0], valued.breaches)
        return valued

    async def _value(self, account: str, money: AccountValues, machine: datetime, desk_now: datetime) -> Valued:
        store = self._life.store
        held = [
            Holding(contract_from_json(row.contract_json), row.quantity, row.average_cost)
            for row in await store.book.positions(account)
        ]
        before = applied_before(await store.book.latest_greeks(account))
        outlook = await self._observatory.look([holding.contract for holding in held], desk_now, machine, before)
        # many American options times many past days take a good part of a second: orders must not wait for them
        return await asyncio.to_thread(_valued, held, outlook, money)

    async def _forget(self) -> None:
        now = self._life.now()
        if self._forgot_at is None or now - self._forgot_at > KEEP_POSITION_GREEKS / 4:
            self._forgot_at = now
            await self._life.store.book.forget_position_greeks(now - KEEP_POSITION_GREEKS)


def _valued(held: list[Holding], outlook: Outlook, money: AccountValues) -> Valued:
    exposure = expose(held, outlook.view, money.net_liquidation, money.maintenance_margin, outlook.history)
    positions, limits = position_greeks(held, outlook.view), outlook.limits(money.net_liquidation)
    lot = smallest_hedge_lot(outlook.view.spx)
    theta_share = outlook.appetite.profiles[outlook.profile].strategy_theta_share
    watched = cautions(positions, limits, theta_share, outlook.appetite.watch, outlook.view.now)
    uses = (*measure_use(exposure, limits, lot), *watched)
    return Valued(exposure, limits, positions, detect_breaches(exposure, limits, lot), uses, outlook)


def _row(position: BrokerPosition, machine: datetime) -> BrokerPositionRow:
    return BrokerPositionRow(
        account_id=position.account_id,
        identity=position.contract.identity,
        contract_json=contract_to_json(position.contract),
        con_id=position.con_id,
        quantity=position.quantity,
        average_cost=position.average_cost,
        market_price=position.market_price,
        at=machine,
    )


def _rows(account: str, valued: Valued, machine: datetime, desk_now: datetime) -> list[PortfolioGreeks]:
    """One snapshot: the PORTFOLIO row first, then one per position."""
    snapshot = secrets.token_hex(8)
    exposure, outlook = valued.exposure, valued.outlook
    whole = PortfolioGreeks(
        snapshot_id=snapshot, account_id=account, contract=PORTFOLIO, at=machine, desk_at=desk_now,
        spot=outlook.view.spx, spx_delta=exposure.spx_delta, gamma=exposure.gamma, vega=exposure.vega,
        vega_weighted=exposure.vega_weighted, theta=exposure.theta, market_value=exposure.market_value,
        source=_weakest(valued.positions), missing=list(exposure.missing), exposure=exposure_json(valued),
    )  # fmt: skip
    parts = [
        PortfolioGreeks(
            snapshot_id=snapshot, account_id=account, contract=p.contract.identity, at=machine, desk_at=desk_now,
            quantity=p.quantity, mark=p.mark, iv=p.iv, spot=p.spot, beta=p.beta, beta_source=p.beta_source,
            spx_delta=p.spx_delta, gamma=p.gamma, vega=p.vega, vega_weighted=p.vega_weighted, theta=p.theta,
            market_value=p.market_value, source=p.source, missing=list(p.missing),
        )
        for p in valued.positions
    ]  # fmt: skip
    return [whole, *parts]


def exposure_json(valued: Valued) -> dict[str, Any]:
    """What pages and thinkers read: exposure, limits, use of each limit, regime, profile, breaches in words."""
    outlook = valued.outlook
    body: dict[str, Any] = plain(
        {
            "exposure": asdict(valued.exposure),
            "limits": valued.limits.to_json(),
            "use": [use.to_json() for use in valued.uses],
            "breaches": [breach.to_json() for breach in valued.breaches],
            "regime": outlook.regime.value,
            "profile": outlook.profile.value,
            "partial": outlook.reading.partial,
            "notes": outlook.reading.notes,
            "applied": outlook.applied.to_json() if outlook.applied else None,
            "warnings": outlook.appetite.warnings.get(outlook.profile, ()),
        }
    )
    return body


def _weakest(positions: Sequence[PositionGreeks]) -> str:
    """The worst source among the marks: a sum is as good as its weakest part."""
    for source in ("unknown", "modelled", "delayed"):
        if any(position.source == source for position in positions):
            return source
    return "real"


def _breach_row(account: str, line: LimitUse, outlook: Outlook, machine: datetime) -> BreachRow:
    """The row of a line that is passed: its numbers are known."""
    assert line.value is not None and line.limit is not None and line.distance is not None
    return BreachRow(
        account_id=account,
        kind=breach_key(line.kind, line.subject),
        value=line.value,
        limit=line.limit,
        distance=line.distance,
        use=line.use,
        regime=outlook.regime.value,
        profile=outlook.profile.value,
        is_cap=line.is_cap,
        since=machine,
        last_seen=machine,
    )
