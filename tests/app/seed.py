"""Fills an empty store with a plausible morning at the desk, so that pages can be seen and tested without a staff.

`python -m tests.app.seed URL VAR_DIR [--positions N]` writes it for a browser to look at. The desk's clock is moved to
a Friday in regular hours, as the venue does; everything is seeded, nothing is measured.
"""

import argparse
import asyncio
import math
import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from database.store import Store, open_store
from models.appetite import BreachRow
from models.book import PORTFOLIO, AccountSnapshot, BrokerPositionRow, PortfolioGreeks, Position
from models.clock import DeskClock
from models.control import ApiLog, Heartbeat, LockRow
from models.market import ChainRow, MarketState, Quote
from models.order import Execution, Order, OrderEvent, TradeJournal, WhatIf
from models.proposed_trade import Check, MarginSource, Origin, ProposedTrade
from models.quant.option import Contract, Right, SecType
from models.quant.pricing import bsm
from models.quant.product import expiry_instant, years_to
from models.quant.structure import Action, Leg, QuoteSource, combo_price, legs_hash, net_premium

ACCOUNT = "SIM0004711"
DESK_NOON = datetime(2026, 8, 21, 14, 42, 7, tzinfo=UTC)
SPOT = 6451.25
NLV = 1_000_000.0
EXPIRY = date(2026, 9, 30)


def option(cls: str, expiry: date, strike: float, right: Right, symbol: str = "SPX") -> Contract:
    return Contract(symbol, SecType.OPTION, cls, 100, expiry, strike, right)


def volatility(contract: Contract) -> float:
    assert contract.strike is not None
    spot = SPOT if contract.symbol == "SPX" else 231.4
    return 0.165 - 0.55 * math.log(contract.strike / spot)


def quote_of(contract: Contract, now: datetime) -> tuple[Quote, dict[str, float]]:
    spot = SPOT if contract.symbol == "SPX" else 231.4
    assert contract.strike is not None
    years = years_to(expiry_instant(contract), DESK_NOON)
    iv = volatility(contract)
    g = bsm(spot, contract.strike, years, iv, 0.04, 0.013, contract.right is Right.CALL)
    mid = round(float(g.price) / 0.1) * 0.1
    width = max(0.1, round(mid * 0.02, 1))
    row = Quote(
        identity=contract.identity,
        contract_json=Leg(contract, Action.BUY).to_json(),
        con_id=700000 + round(contract.strike),
        bid=round(mid - width / 2, 2),
        ask=round(mid + width / 2, 2),
        bid_size=40,
        ask_size=35,
        open_interest=1200,
        source="real",
        vendor_iv=iv,
        vendor_delta=float(g.delta),
        under_price=spot,
        at=DESK_NOON,
        received_at=now - timedelta(seconds=1),
    )
    greeks = {name: float(getattr(g, name)) for name in ("delta", "gamma", "vega", "theta")}
    return row, {**greeks, "iv": iv, "mid": mid}


def leg_of(contract: Contract, action: Action, now: datetime, ratio: int = 1) -> Leg:
    row, g = quote_of(contract, now)
    assert row.bid is not None and row.ask is not None
    return Leg(
        contract,
        action,
        ratio,
        row.con_id,
        row.bid,
        row.ask,
        (row.bid + row.ask) / 2,
        g["iv"],
        g["delta"],
        g["gamma"],
        g["vega"],
        g["theta"],
        QuoteSource.REAL,
        DESK_NOON,
    )


BOOK: tuple[tuple[Contract, float], ...] = (
    (option("SPXW", date(2026, 9, 18), 6000, Right.PUT), -6),
    (option("SPXW", date(2026, 9, 18), 5700, Right.PUT), 6),
    (option("SPXW", date(2026, 9, 30), 6100, Right.PUT), -8),
    (option("SPXW", date(2026, 9, 30), 6750, Right.CALL), -8),
    (option("SPXW", date(2026, 8, 21), 6400, Right.PUT), -2),
    (option("SPX", date(2026, 10, 16), 5900, Right.PUT), -4),
    (option("SPX", date(2026, 10, 16), 6900, Right.CALL), -4),
    (option("SPXW", date(2026, 8, 28), 6300, Right.PUT), -5),
    (option("SPXW", date(2026, 8, 28), 6200, Right.PUT), 5),
    (option("AAPL", date(2026, 9, 18), 220, Right.PUT, "AAPL"), -10),
    (option("AAPL", date(2026, 9, 18), 245, Right.CALL, "AAPL"), -10),
    (Contract("ES", SecType.FUTURE, "ES", 50, date(2026, 9, 18)), 1),
    (Contract("AAPL", SecType.STOCK, "AAPL", 1), 300),
    (option("NVDA", date(2026, 9, 18), 190, Right.PUT, "NVDA"), -3),
)


def big_book(count: int) -> list[tuple[Contract, float]]:
    rng = random.Random(7)
    found = dict(BOOK)
    while len(found) < count:
        days = rng.choice((date(2026, 9, 18), date(2026, 9, 30), date(2026, 10, 16), date(2026, 8, 28)))
        strike = 5500 + 5 * rng.randrange(0, 320)
        found[option("SPXW", days, float(strike), rng.choice(list(Right)))] = float(rng.choice((-3, -2, -1, 1, 2)))
    return list(found.items())[:count]


def use(
    kind: str,
    unit: str,
    value: float | None,
    limit: float | None,
    words: str,
    is_cap: bool = True,
    subject: str = "",
    warns: bool = False,
) -> dict[str, Any]:
    signed = kind in ("vega", "theta")
    distance = None if value is None or limit is None else value - limit if signed else abs(value) - abs(limit)
    share = None if value is None or not limit else (max(value / limit, 0.0) if limit < 0 else abs(value) / limit)
    breached = None if share is None else (share > 1 if is_cap or warns else share < 1)
    return {
        "kind": kind,
        "unit": unit,
        "value": value,
        "limit": limit,
        "use": share,
        "breached": breached,
        "is_cap": is_cap,
        "words": words,
        "subject": subject,
        "distance": distance,
        "warns": warns,
    }


EXPOSURE: dict[str, Any] = {
    "exposure": {
        "nlv": NLV,
        "spx_delta": 9480.0,
        "gamma": -2710.0,
        "vega": -11820.0,
        "vega_weighted": -9360.0,
        "theta": 512.0,
        "margin_used": 411_200.0,
        "stress_near": 96_400.0,
        "stress_worst": 214_300.0,
        "worst_cell": [-0.2, 40.0],
        "var_95": 15_900.0,
        "vega_shares": {"SPX": 0.94, "AAPL": 0.06},
        "missing": ["NVDA put: no surface, no quote"],
    },
    "limits": {"daily_loss": 30_000.0, "delta_cap": 8000.0, "vega_floor": -8000.0, "gamma_cap": 3500.0},
    "use": [
        use("vega", "$ per vol point", -9360.0, -8000.0, "Short weighted vega is 117 % of its limit."),
        use("delta", "$ per +1 % SPX", 9480.0, 8000.0, "Delta is 118 % of its limit."),
        use("gamma", "$ per +1 % SPX, twice", -2710.0, -3500.0, "Short gamma is 77 % of its limit."),
        use("theta", "$ per day", 512.0, 600.0, "Theta earns $512 a day of its $600 target.", is_cap=False),
        use("stress_near", "$", 96_400.0, 120_000.0, "The near stress loss is 80 % of its limit."),
        use("stress_worst", "$", 214_300.0, 250_000.0, "The worst stress loss is 86 % of its limit."),
        use("var_95", "$", 15_900.0, 20_000.0, "One-day value at risk is 80 % of its limit."),
        use("short_notional", "$", 5_400_000.0, 8_000_000.0, "Short option notional is 68 % of its limit."),
        use("defined_loss", "$", 18_600.0, 50_000.0, "The largest defined loss is 37 % of its limit."),
        use("margin", "ratio", 0.4112, 0.8, "Margin used is 51 % of its limit."),
        {
            **use("excess_liquidity", "$", 492_400.0, 0.0, "Excess liquidity after −10 % and +15 points is $492,400."),
            "use": 0.16,
            "breached": False,
        },
        use("vega_share", "ratio", 0.06, 0.6, "The vega share of AAPL is 10 % of its limit.", subject="AAPL"),
        use("theta_share", "ratio", 0.47, 0.3, "SPX 30 Sep 26 (short strangle) earns 47 % of the theta that the book "
            "earns.", False, "SPX 30 Sep 26", warns=True),
        use("near_gamma", "$ per +1 % SPX, twice", -1190.0, -1750.0, "Gamma of 0–7 days is 34 % of the gamma limit.",
            False, warns=True),
        use("strike_cluster", "$", 3_870_000.0, 2_000_000.0, "Short strikes of SPX between 92.3 % and 93.0 % of spot "
            "carry $3,870,000.", False, "SPX", warns=True),
    ],
    "regime": "neutral_volatility",
    "profile": "desk",
    "partial": True,
    "notes": ["recession is unknown: its clause is skipped"],
    "warnings": [],
}  # fmt: skip

BEFORE = {
    "spx_delta": 9480.0,
    "vega_weighted": -9360.0,
    "gamma": -2710.0,
    "theta": 512.0,
    "margin": 411_200.0,
    "stress_worst": 214_300.0,
}
CHECKS = (
    ("spread", "pass", "0.60 wide, 0.94 allowed"),
    ("size", "pass", "35 shown, 10 needed"),
    ("quote age", "pass", "1.2 s"),
    ("limits after trade", "pass", "no cap created or deepened"),
    ("capital", "pass", "4 % of available funds"),
    ("events", "cut", "CPI on Wednesday: size cut to 5"),
)


def proposals(now: datetime) -> list[ProposedTrade]:
    vertical = (
        leg_of(option("SPXW", EXPIRY, 6350, Right.PUT), Action.BUY, now),
        leg_of(option("SPXW", EXPIRY, 6150, Right.PUT), Action.SELL, now),
    )
    long_put = (leg_of(option("SPXW", EXPIRY, 6200, Right.PUT), Action.BUY, now),)
    fly = (
        leg_of(option("SPXW", EXPIRY, 6300, Right.PUT), Action.BUY, now),
        leg_of(option("SPXW", EXPIRY, 6100, Right.PUT), Action.SELL, now, 2),
        leg_of(option("SPXW", EXPIRY, 5900, Right.PUT), Action.BUY, now),
    )
    rows = (
        (
            "Bear put spread",
            vertical,
            5,
            {
                "spx_delta": -3180.0,
                "vega_weighted": 2140.0,
                "gamma": 210.0,
                "theta": -96.0,
                "margin": -6_400.0,
                "stress_worst": -61_000.0,
            },
        ),
        (
            "Long put",
            long_put,
            4,
            {
                "spx_delta": -2240.0,
                "vega_weighted": 2890.0,
                "gamma": 390.0,
                "theta": -188.0,
                "margin": -11_900.0,
                "stress_worst": -104_000.0,
            },
        ),
        (
            "Put butterfly",
            fly,
            6,
            {
                "spx_delta": -1620.0,
                "vega_weighted": -140.0,
                "gamma": -60.0,
                "theta": 22.0,
                "margin": 2_100.0,
                "stress_worst": 3_100.0,
            },
        ),
    )
    return [_proposal(now, rank, *row) for rank, row in enumerate(rows, 1)]


def _proposal(
    now: datetime, rank: int, name: str, legs: tuple[Leg, ...], quantity: int, change: dict[str, float]
) -> ProposedTrade:
    mid = combo_price(legs)
    assert mid is not None
    limit = round(mid / 0.05) * 0.05
    after = {key: BEFORE[key] + change[key] for key in BEFORE}
    return ProposedTrade(
        account_id=ACCOUNT,
        strategy_name=name,
        legs_json=[leg.to_json() for leg in legs],
        legs_hash=legs_hash(legs),
        quantity=quantity,
        limit_price=round(limit, 2),
        worst_price=round(limit * 1.05 + 0.05, 2),
        net_premium=Decimal(str(round(net_premium(limit, quantity, 100), 2))),
        init_margin_impact=Decimal(str(change["margin"])),
        maint_margin_impact=Decimal(str(change["margin"])),
        margin_impact=Decimal(str(change["margin"] + 900)),
        margin_source=MarginSource.BROKER,
        efficiency_score=0.41 - rank * 0.07,
        origin=Origin.HEDGE,
        justification=(
            "Short weighted vega is 117 % and delta 118 % of their limits. Buying 5 of the 6350/6150 put spreads for "
            "30 Sep brings delta to 79 % and vega to 90 % for $1,240 of half-spread and fees and takes $61,000 off the "
            "worst stress cell. Cheapest full cure of 2,318 candidates."
        ),
        breach_set_id="b-20260821-1",
        snapshot_id="s-4417",
        regime="neutral_volatility",
        profile="desk",
        scores={
            "rank": rank,
            "cost": {
                "half_spread": 905.0 + 310 * rank,
                "fees": 35.0,
                "theta": 300.0,
                "margin": 0.0,
                "total": 1240.0 + 310 * rank,
            },
            "cure": 1.0 if rank < 3 else 0.6,
            "full": rank < 3,
            "before": BEFORE,
            "change": change,
            "margins": {"estimate": {"initial": change["margin"] + 310.0, "maintenance": change["margin"] + 210.0}},
            "after": after,
            "checks": [{"name": n, "outcome": o, "reason": r} for n, o, r in CHECKS],
            "worst_cell": [-0.2, 40.0],
            "commission": 6.5 * quantity / 5,
            "fitted_mid": round(mid - 0.05, 2),
            "natural": combo_price(legs, "natural"),
        },
        created_at=now - timedelta(seconds=38),
        expires_at=now + timedelta(minutes=20),
    )


async def seed(store: Store, now: datetime, positions: int = 0) -> None:
    """The whole afternoon. `positions` above the dozen of the book adds that many generated options."""
    book = big_book(positions) if positions else list(BOOK)
    await store.control.bind_desk([ACCOUNT], "venue-7")
    await store.control.set_clock(DeskClock(now, DESK_NOON, 0.0))  # it stands still: quotes do not age
    await _market(store, now, book)
    await _account(store, now)
    await _positions(store, now, book)
    await _breaches(store, now)
    await _staff(store, now)
    await _orders(store, now)
    check = Check(
        account_id=ACCOUNT,
        at=now - timedelta(seconds=38),
        desk_at=DESK_NOON,
        regime="neutral_volatility",
        profile="desk",
        breaches=2,
        candidates=2318,
        refused={"spread too wide": 861, "would deepen a cap": 402, "quote stale": 118},
        proposed=3,
        seconds=1.4,
        sentence="2 breaches, 2,318 candidates, 3 proposed",
        breach_set_id="b-20260821-1",
    )
    rows = proposals(now)
    ids = await store.proposals.replace_pending(ACCOUNT, Origin.HEDGE, rows, check, now)
    for number, row in zip(ids, rows, strict=True):
        await preview(store, number, row, now)


async def _breaches(store: Store, now: datetime) -> None:
    since = {"vega": 12, "delta": 3, "theta": 190, "theta_share SPX 30 Sep 26": 2900, "strike_cluster SPX": 47}
    for minutes in sorted(set(since.values()), reverse=True):
        at = now - timedelta(minutes=minutes)
        seen = [
            BreachRow(
                account_id=ACCOUNT,
                kind=f"{row['kind']} {row['subject']}".strip(),
                value=row["value"],
                limit=row["limit"],
                distance=row["distance"],
                use=row["use"],
                regime="neutral_volatility",
                profile="desk",
                is_cap=row["is_cap"],
                since=at,
                last_seen=at,
            )
            for row in EXPOSURE["use"]
            if since.get(f"{row['kind']} {row['subject']}".strip(), 0) >= minutes
        ]
        await store.appetite.record_breaches(ACCOUNT, seen, at)


async def preview(store: Store, number: int, row: ProposedTrade, now: datetime) -> None:
    """A fresh margin preview for a proposal, as the bridge would have written it."""
    change = row.init_margin_impact or Decimal(0)
    await store.orders.add_what_if(
        WhatIf(
            account_id=ACCOUNT,
            proposal_id=number,
            legs_hash=row.legs_hash,
            quantity=row.quantity,
            init_margin_before=Decimal(418_900),
            init_margin_change=change,
            init_margin_after=Decimal(418_900) + change,
            maint_margin_before=Decimal(411_200),
            maint_margin_change=change,
            maint_margin_after=Decimal(411_200) + change,
            equity_before=Decimal(1_000_000),
            equity_change=Decimal(-900),
            equity_after=Decimal(999_100),
            commission=Decimal("6.50"),
            at=now - timedelta(seconds=2),
        )
    )


async def _market(store: Store, now: datetime, book: list[tuple[Contract, float]]) -> None:
    heard = now - timedelta(seconds=1)
    await store.market.write_states(
        [
            MarketState(name=name, value=value, previous_close=before, source="venue", at=DESK_NOON, received_at=heard)
            for name, value, before in (
                ("SPX", SPOT, 6479.9),
                ("VIX", 18.42, 17.1),
                ("VIX3M", 19.87, 19.3),
                ("VVIX", 96.2, 93.0),
            )
        ]
    )
    held = [contract for contract, _ in book if contract.is_option and contract.symbol != "NVDA"]
    legs = [option("SPXW", EXPIRY, strike, Right.PUT) for strike in (6350, 6150, 6200, 6300, 6100, 5900)]
    around = [option("SPXW", EXPIRY, strike, right) for strike in (6300, 6450, 6600) for right in Right]
    await store.market.upsert_quotes([quote_of(contract, now)[0] for contract in {*held, *legs, *around}])
    await store.market.write_chains([chain(now)])


def chain(now: datetime) -> ChainRow:
    """SPXW as listed: every five points near the money, the same on each of a few days."""
    days, strikes = (date(2026, 8, 28), date(2026, 9, 18), EXPIRY, date(2026, 10, 16)), [*range(5500, 7255, 5)]
    listed = {day.isoformat(): {right.value: [float(k) for k in strikes] for right in Right} for day in days}
    return ChainRow(
        symbol="SPX", trading_class="SPXW", exchange="SMART", multiplier=100, expirations=list(listed),
        strikes=[float(k) for k in strikes], listed=listed, at=now,
    )  # fmt: skip


async def _account(store: Store, now: datetime) -> None:
    rng = random.Random(3)
    day = -1200.0
    for minutes in range(240, -1, -4):
        day += rng.gauss(18, 420)
        at = now - timedelta(minutes=minutes, seconds=2)
        nlv = Decimal(str(round(NLV - 4200 + day, 2)))
        await store.book.write_account(
            AccountSnapshot(
                account_id=ACCOUNT,
                at=at,
                desk_at=DESK_NOON - timedelta(minutes=minutes),
                net_liquidation=nlv,
                equity_with_loan=nlv,
                initial_margin=Decimal(418_900),
                maintenance_margin=Decimal(411_200),
                available_funds=nlv - 418_900,
                excess_liquidity=nlv - 411_200,
                buying_power=(nlv - 418_900) * 4,
                cash=Decimal(640_000),
                day_pnl=Decimal(str(round(day, 2))),
                unrealized_pnl=Decimal("-3812.40"),
                realized_pnl=Decimal("905.10"),
            )
        )
        row = PortfolioGreeks(
            snapshot_id=f"h-{minutes}",
            account_id=ACCOUNT,
            contract=PORTFOLIO,
            at=at,
            desk_at=DESK_NOON - timedelta(minutes=minutes),
            spx_delta=9480 - minutes * 14 + rng.gauss(0, 300),
            gamma=-2710 + minutes * 3 + rng.gauss(0, 60),
            vega=-11820.0,
            vega_weighted=-9360 + minutes * 9 + rng.gauss(0, 120),
            theta=512 + rng.gauss(0, 9),
            source="real",
            exposure=EXPOSURE,
        )
        await store.book.write_greeks([row])


async def _positions(store: Store, now: datetime, book: list[tuple[Contract, float]]) -> None:
    at = now - timedelta(seconds=2)
    rows = [
        PortfolioGreeks(
            snapshot_id="s-4417",
            account_id=ACCOUNT,
            contract=PORTFOLIO,
            at=at,
            desk_at=DESK_NOON,
            spot=SPOT,
            spx_delta=9480.0,
            gamma=-2710.0,
            vega=-11820.0,
            vega_weighted=-9360.0,
            theta=512.0,
            market_value=-61_400.0,
            source="real",
            missing=["NVDA put: no surface, no quote"],
            exposure=EXPOSURE,
        )
    ]
    for contract, quantity in book:
        rows.append(_position_greeks(contract, quantity, at, now))
    await store.book.write_greeks(rows)
    async with store.writing() as session:
        for contract, quantity in book:
            session.add(
                Position(
                    account_id=ACCOUNT,
                    identity=contract.identity,
                    contract_json=Leg(contract, Action.BUY).to_json(),
                    baseline=quantity,
                    quantity=quantity,
                    average_cost=41.2,
                    baseline_at=now,
                    updated_at=now,
                )
            )
    await store.book.replace_broker_positions(
        ACCOUNT,
        [
            BrokerPositionRow(
                account_id=ACCOUNT,
                identity=c.identity,
                contract_json=Leg(c, Action.BUY).to_json(),
                con_id=9_000_000 + i,
                quantity=q,
                average_cost=41.2,
                market_price=None,
                at=now,
            )
            for i, (c, q) in enumerate(book)
        ],
        now,
    )


def _position_greeks(contract: Contract, quantity: float, at: datetime, now: datetime) -> PortfolioGreeks:
    blank: dict[str, Any] = {
        "snapshot_id": "s-4417",
        "account_id": ACCOUNT,
        "contract": contract.identity,
        "at": at,
        "desk_at": DESK_NOON,
        "quantity": quantity,
    }
    if contract.symbol == "NVDA":
        return PortfolioGreeks(
            **blank, source="unknown", missing=["no quote and no surface: price and volatility unknown"]
        )
    if not contract.is_option:
        mark = SPOT if contract.symbol == "ES" else 231.4
        notional = quantity * contract.multiplier * mark
        return PortfolioGreeks(
            **blank,
            mark=mark,
            spot=mark,
            beta=1.0 if contract.symbol == "ES" else 1.21,
            beta_source="static",
            spx_delta=notional * 0.01,
            gamma=0.0,
            vega=0.0,
            vega_weighted=0.0,
            theta=0.0,
            market_value=notional,
            source="real",
        )
    _, g = quote_of(contract, now)
    spot = SPOT if contract.symbol == "SPX" else 231.4
    size, days = quantity * contract.multiplier, max((contract.expiry - DESK_NOON.date()).days, 7)  # type: ignore[operator]
    return PortfolioGreeks(
        **blank,
        mark=g["mid"],
        iv=g["iv"],
        spot=spot,
        beta=1.0,
        beta_source="SPX family",
        spx_delta=g["delta"] * size * spot * 0.01,
        gamma=g["gamma"] * size * (spot * 0.01) ** 2,
        vega=g["vega"] * size,
        vega_weighted=g["vega"] * size * math.sqrt(30 / days),
        theta=g["theta"] * size,
        market_value=g["mid"] * size,
        source="real" if contract.symbol == "SPX" else "modelled",
    )


async def _staff(store: Store, now: datetime) -> None:
    for agent, sentence, every, state in (
        ("ibkr_bridge", "account and 14 positions current, 1 order working, nothing waits", 1, "ok"),
        ("greeks_streamer", "86 of 90 lines, SPX surface from 61 quotes, fit .12 vol points", 1, "ok"),
        ("market_watch", "VIX 18.42, VIX3M 19.87, VVIX 96.20, SPX 6,451.25", 3, "ok"),
        ("trade_proposer", "2 breaches, 2,318 candidates, 3 proposed in 1.4 s", 300, "ok"),
        ("closing_bell", "nothing due", 60, "ok"),
    ):
        at = now - timedelta(seconds=1)
        beat = Heartbeat(
            agent=agent,
            state=state,
            sentence=sentence,
            at=at,
            next_at=at + timedelta(seconds=max(every, 600)),
            seconds=0.2,
            rows=12,
            host="desk",
            pid=4711,
        )
        await store.control.beat(beat)
    await store.control.raise_alert(
        "breach:delta",
        "yellow",
        "Delta breach above 110 % on two checks",
        "118 % of its limit since 10:31 ET",
        "trade_proposer",
        now,
    )
    for i, (call, outcome, code, text) in enumerate(
        (
            ("reqAccountUpdates", "ok", None, "account SIM***4711"),
            ("whatIfOrder", "ok", None, "bear put spread ×5"),
            ("placeOrder", "ok", None, "ref 9f31c2…"),
            ("reqMktData", "error", 101, "Max number of tickers has been reached"),
            ("whatIfOrder", "ok", None, "long put ×4"),
        )
    ):
        await store.control.log_call(
            ApiLog(
                at=now - timedelta(seconds=60 - 9 * i),
                counterparty="ibkr",
                call=call,
                outcome=outcome,
                code=code,
                text=text,
                milliseconds=12.5 + 7 * i,
            )
        )


@dataclass(frozen=True)
class SeededOrder:
    ref: str
    status: str
    filled: float
    reason: str
    minutes: int


ORDERS = (
    SeededOrder("9f31c2aa41e04b7dd21c7be0a9113f01", "working", 2, "", 1),
    SeededOrder("0b7722d08c1f4e6f8c7be1d24be9c6d2", "filled", 4, "", 96),
    SeededOrder("7c40ffe1b2a94c0d9d5f27d1a0f6be33", "rejected", 0, "201 Order rejected - reason: margin", 131),
    SeededOrder("55aa90137e6c4b1f8f2d9ce017d4aa44", "cancelled", 0, "cancelled by trader", 180),
)


async def _orders(store: Store, now: datetime) -> None:
    legs = proposals(now)[0].legs_json
    async with store.writing() as session:
        for i, one in enumerate(ORDERS):
            at = now - timedelta(minutes=one.minutes)
            session.add(
                Order(
                    order_ref=one.ref,
                    proposal_id=None,
                    account_id=ACCOUNT,
                    epoch=1,
                    risk_family="SPX",
                    legs_json=legs,
                    legs_hash="h",
                    action="BUY",
                    quantity=4,
                    order_type="LMT",
                    limit_price=31.2,
                    worst_price=32.8,
                    tif="DAY",
                    status=one.status,
                    filled=one.filled,
                    average_price=31.15 if one.filled else None,
                    perm_id=88 + i,
                    broker_order_id=100 + i,
                    reason=one.reason,
                    mid_at_approval=31.05,
                    created_at=at,
                    sent_at=at,
                    acked_at=at,
                    done_at=None if one.status == "working" else at + timedelta(seconds=4),
                )
            )
            for second, event, was, to, text in (
                (0.00, "intend", None, "intended", "approved by trader, claimed by the bridge"),
                (0.08, "send", "intended", "sent", "limit 31.20 debit, worst 32.80"),
                (0.19, "acknowledge", "sent", "working", "permId 88"),
                (3.90, "end", "working", one.status, one.reason or "4 of 4 at 31.15"),
            ):
                if one.status == "working" and event == "end":
                    continue
                session.add(
                    OrderEvent(
                        order_ref=one.ref,
                        at=at + timedelta(seconds=second),
                        event=event,
                        from_status=was,
                        to_status=to,
                        text=text,
                    )
                )
        for i, leg in enumerate(legs):
            session.add(
                Execution(
                    account_id=ACCOUNT,
                    exec_id=f"0001.{i}",
                    order_ref=ORDERS[1].ref,
                    identity=leg["identity"],
                    contract_json=leg,
                    con_id=1,
                    side=leg["action"],
                    quantity=4,
                    price=leg["mid"],
                    commission=Decimal("2.60"),
                    at=now - timedelta(minutes=96),
                    recorded_at=now - timedelta(minutes=96),
                )
            )
        session.add(
            TradeJournal(
                order_ref=ORDERS[1].ref,
                account_id=ACCOUNT,
                at=now - timedelta(minutes=96),
                strategy_name="Bear put spread",
                why="delta was 124 % of its limit",
                greeks_before=BEFORE,
                greeks_after=None,
                average_price=31.15,
                slippage=0.10,
                commission=Decimal("5.20"),
            )
        )


async def lock_a_family(store: Store, now: datetime) -> None:
    async with store.writing() as session:
        session.add(
            LockRow(
                account_id=ACCOUNT, family="SPX", reason="ours −6, theirs −5 of SPXW 18 Sep 26 6,000 put", since=now
            )
        )


async def _main(url: str, var_dir: Path, positions: int) -> None:
    from tests.app.seed_journal import follow

    now = datetime.now(UTC)
    store = await open_store(url, mode="DEMO", var_dir=var_dir, now=now)
    await seed(store, now, positions)
    await follow(store, now)
    await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("var_dir", type=Path)
    parser.add_argument("--positions", type=int, default=0)
    given = parser.parse_args()
    asyncio.run(_main(given.url, given.var_dir, given.positions))
