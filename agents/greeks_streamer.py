"""Streams the market into the store: held contracts, legs of proposals, and a sample of the chain that rotates.

One pass is one turn of the sample: its lines are quoted, the smiles of its expiries are fitted, and the surface is
assembled anew from the freshest smile of every expiry, each carried along with the spot. What a source without a limit
carries is streamed whole.
"""

import asyncio
import math
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from adapters.base import Tick
from agents.chain_sample import ChainSample
from agents.desk import Desk
from agents.feed import Feed
from agents.holdings import held_contracts
from agents.listings import Listings
from agents.market_watch import price_of
from agents.model_check import ModelCheck
from agents.runner import Report
from agents.subscriptions import HELD, PROPOSAL, SAMPLE, SampledExpiry, expiries_between, sample_expiries
from bridge.outlook import Observatory
from models.market import GreekSnapshot, Quote, SurfaceRow
from models.quant.option import Contract, SecType
from models.quant.product import is_spx_family
from models.quant.structure import QuoteSource, contract_from_json, contract_to_json
from models.quant.surface import OptionQuote, Surface
from models.quant.terms import MarketView, terms_of
from models.quant.vectors import contract_greeks

SAMPLED = "SPX"
TURN_SECONDS = 2.0  # the longest one turn of the sample may wait for its quotes
BATCH_SECONDS = 0.5  # quotes reach the store in batches of this length
ENOUGH = 0.85  # of a turn's lines quoted: no need to wait for the rest
CONFIRM_AFTER = timedelta(seconds=2)  # an unchanged quote of a live line is confirmed this often
SNAPSHOT_EVERY = timedelta(minutes=1)
INDEX = Contract(SAMPLED, SecType.INDEX, SAMPLED)


@dataclass
class Streams:
    """What the streamer remembers between its turns."""

    sample: ChainSample
    listings: Listings = field(default_factory=lambda: Listings(SAMPLED))
    check: ModelCheck = field(default_factory=ModelCheck)
    surface: Surface | None = None
    snapshot_at: datetime | None = None
    rows: int = 0
    superseded: int = 0


class Memory:
    """The streams of the feed at hand: another source may carry another number of lines."""

    def __init__(self) -> None:
        self.streams: Streams | None = None

    def of(self, feed: Feed) -> Streams:
        lines = None if feed.data.lines is None else feed.budget.sample
        if self.streams is None or self.streams.sample.lines != lines:
            self.streams = Streams(ChainSample(SAMPLED, lines))
        return self.streams


async def work(desk: Desk) -> Report:
    """One turn: lines set, quotes written, smiles fitted, surface and clock kept."""
    feed = await desk.feed()
    streams = desk.keep(Memory).of(feed)
    streams.rows = streams.superseded = 0
    started = asyncio.get_running_loop().time()
    await desk.store.control.set_clock(feed.data.clock)
    held = await held_contracts(desk.store)
    await streams.listings.refresh(desk, feed.data)
    spot = await _spot(feed)
    sample = await _next_sample(desk, feed, streams, spot, held) if spot is not None else ()
    await feed.want(HELD, (INDEX, *_with_underlyings(held)))
    await feed.want(PROPOSAL, await _wished(desk))
    await feed.want(SAMPLE, [c for expiry in sample for c in expiry.contracts])
    turn_began = desk.machine_now()
    lines = await feed.apply()
    await _stream(desk, feed, streams, sample, turn_began)
    fitted = await _fit(desk, feed, streams, sample, turn_began)
    await _keep_history(desk, feed, streams, held)
    seconds = max(asyncio.get_running_loop().time() - started, 1e-9)
    return _report(streams, len(lines), len(held), fitted, seconds)


def _report(streams: Streams, lines: int, held: int, fitted: int, seconds: float) -> Report:
    slices = len(streams.surface.slices) if streams.surface else 0
    rate = streams.rows / seconds
    detail = {
        "lines": lines, "held": held, "rows_per_second": round(rate, 1), "superseded": streams.superseded,
        "slices": slices, "planned": len(streams.sample.plan), "fitted": fitted,
    }  # fmt: skip
    planned = len(streams.sample.plan)
    sentence = f"{lines} lines, {rate:.0f} rows/s; {SAMPLED} surface from {slices} of {planned} expiries"
    return Report(sentence, rows=streams.rows, detail=detail)


# ── what to stream ───────────────────────────────────────────────────────────────────────────────────────────────
async def _spot(feed: Feed) -> float | None:
    """The index level; market watch subscribes it, but the streamer must not depend on that having happened."""
    feed.pump()
    known = price_of(feed.tick(INDEX))
    if known is not None:
        return known
    answer = await feed.data.snapshot([INDEX], TURN_SECONDS)
    return price_of(answer.data[0]) if answer.data else None


async def _next_sample(
    desk: Desk, feed: Feed, streams: Streams, spot: float, held: Sequence[Contract]
) -> tuple[SampledExpiry, ...]:
    """What this turn quotes of the chain; the plan moves with time, listing and book."""
    machine = desk.machine_now()
    now, listings, sample = feed.data.clock.at(machine), streams.listings, streams.sample
    known = tuple(listings.classes.values())
    ours = {(c.trading_class, c.expiry) for c in held if c.symbol == SAMPLED and c.is_option and c.expiry}
    opened = sample.begin_turn(sample_expiries(known, now, ours), machine)
    between = listings.unknown(expiries_between(known, now))  # the window's other expiries, one more each turn
    await listings.learn(desk, feed.data, (*opened, *([between] if between else [])))
    # Off the loop, as the fit below: what is in doubt takes some tens of milliseconds to say.
    return await asyncio.to_thread(sample.contracts, opened, listings.at, spot, now, machine, frozenset(feed.unlisted))


def _with_underlyings(held: Iterable[Contract]) -> tuple[Contract, ...]:
    """What is held, and the shares under held options: a delta needs the price of what it is a delta of."""
    held = tuple(held)
    shares = {
        Contract(c.symbol, SecType.STOCK, c.symbol): None
        for c in held
        if c.sec_type is SecType.OPTION and (not is_spx_family(c) or c.symbol == "SPY")
    }
    return (*shares, *held)


async def _wished(desk: Desk) -> tuple[Contract, ...]:
    """Contracts others asked the streams for, newest wish last to lose its line."""
    rows = await desk.store.market.subscriptions(desk.machine_now())
    return tuple(contract_from_json(row.contract_json) for row in reversed(rows))


# ── streaming ────────────────────────────────────────────────────────────────────────────────────────────────────
async def _stream(desk: Desk, feed: Feed, streams: Streams, sample: Sequence[SampledExpiry], began: datetime) -> None:
    """Write batches of quotes until the sample has answered or its turn is over."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + TURN_SECONDS
    contracts = [c for expiry in sample for c in expiry.contracts]
    while True:
        batch_ends = min(loop.time() + BATCH_SECONDS, ends)
        while loop.time() < batch_ends:
            await asyncio.sleep(0.05)
            feed.pump()
        await _write_quotes(desk, feed, streams)
        if loop.time() >= ends or (contracts and _answered(feed, contracts, began) >= ENOUGH * len(contracts)):
            return


def _answered(feed: Feed, contracts: Sequence[Contract], began: datetime) -> int:
    seen = (feed.latest.get(c.identity) for c in contracts)
    return sum(1 for s in seen if s and s.received >= began and s.tick.bid is not None and s.tick.ask is not None)


async def _write_quotes(desk: Desk, feed: Feed, streams: Streams) -> None:
    machine = desk.machine_now()
    ticks = feed.drain() + feed.unchanged(feed.data.clock.at(machine), CONFIRM_AFTER)
    newest = {tick.contract.identity: tick for tick in ticks}
    streams.superseded += feed.superseded()
    streams.rows += len(newest)
    await desk.store.market.upsert_quotes([quote_row(tick, machine) for tick in newest.values()])


def quote_row(tick: Tick, received_at: datetime) -> Quote:
    return Quote(
        identity=tick.contract.identity,
        contract_json=contract_to_json(tick.contract),
        con_id=tick.con_id,
        bid=tick.bid,
        ask=tick.ask,
        bid_size=tick.bid_size,
        ask_size=tick.ask_size,
        last=tick.last,
        close=tick.close,
        source=tick.source.value,
        vendor_iv=tick.vendor_iv,
        vendor_delta=tick.vendor_delta,
        vendor_gamma=tick.vendor_gamma,
        vendor_vega=tick.vendor_vega,
        vendor_theta=tick.vendor_theta,
        under_price=tick.under_price,
        halted=tick.halted,
        open_interest=tick.open_interest,
        at=tick.at,
        received_at=received_at,
    )


# ── the surface ──────────────────────────────────────────────────────────────────────────────────────────────────
async def _fit(desk: Desk, feed: Feed, streams: Streams, sample: Sequence[SampledExpiry], began: datetime) -> int:
    """Fit the smiles of this turn and write the surface they make with the others; answers how many were fitted."""
    machine, spot = desk.machine_now(), price_of(feed.tick(INDEX))
    if spot is None or not sample:
        return 0
    now, chain = feed.data.clock.at(machine), streams.sample
    quotes = list(_heard(feed, began))
    await _check(desk, streams, [q for q, source in quotes if source is QuoteSource.REAL], spot, now, machine)
    chain.saw((quote for quote, _ in quotes), spot, now, machine)
    points = [(expiry.trading_class, expiry.expiry) for expiry in sample]
    # Off the loop: a fit of a few milliseconds per expiry would hold up the ticks of everybody else.
    fitted = await asyncio.to_thread(chain.fit, points, spot, now, machine)
    surface = chain.surface(spot, now, machine)
    if surface is not None:
        streams.surface = surface
        await desk.store.market.write_surface(surface_row(surface, machine))
    return fitted


def _heard(feed: Feed, began: datetime) -> Iterable[tuple[OptionQuote, QuoteSource]]:
    """What every line on the sampled chain said since then, whoever asked for it."""
    for contract in feed.lines:
        seen = feed.latest.get(contract.identity)
        fresh = seen is not None and seen.received >= began and not seen.tick.halted
        if seen and fresh and contract.is_option and contract.symbol == SAMPLED:
            yield OptionQuote(contract, seen.tick.bid, seen.tick.ask), seen.tick.source


async def _check(
    desk: Desk, streams: Streams, real: Sequence[OptionQuote], spot: float, now: datetime, machine: datetime
) -> None:
    """What the surface said, against what the market now says, where nothing else was known before."""
    modelled = [quote for quote in real if streams.sample.is_modelled(quote.contract)]
    before = streams.sample.surface(spot, now, machine)
    if modelled and before is not None:
        await streams.check.count(desk, before, modelled, spot)


def surface_row(surface: Surface, machine: datetime) -> SurfaceRow:
    return SurfaceRow(
        symbol=surface.symbol,
        snapshot_id=uuid.uuid4().hex,
        surface_json=surface.to_json(),
        quotes_used=surface.quotes_used,
        fit_error=surface.fit_error,
        at=surface.at,
        received_at=machine,
    )


# ── history ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def _keep_history(desk: Desk, feed: Feed, streams: Streams, held: Iterable[Contract]) -> None:
    """Once a minute the greeks of what is held, the vendor's and our own side by side, each under its name."""
    machine = desk.machine_now()
    if streams.snapshot_at and machine - streams.snapshot_at < SNAPSHOT_EVERY:
        return
    streams.snapshot_at = machine
    options = [contract for contract in held if contract.is_option]
    ticks = [tick for tick in map(feed.tick, options) if tick is not None and tick.vendor_iv is not None]
    theirs = [
        GreekSnapshot(
            identity=t.contract.identity, at=t.at, source="vendor", price=price_of(t), under_price=t.under_price,
            iv=t.vendor_iv, delta=t.vendor_delta, gamma=t.vendor_gamma, vega=t.vendor_vega, theta=t.vendor_theta,
        )
        for t in ticks
    ]  # fmt: skip
    outlook = await Observatory(desk.store, desk.settings).look(options, feed.data.clock.at(machine), machine, None)
    ours = own_greeks(options, outlook.view)
    await desk.store.market.add_greek_snapshots(theirs + ours)
    await desk.store.market.forget_wishes(machine)


def own_greeks(options: Sequence[Contract], view: MarketView) -> list[GreekSnapshot]:
    """Per contract before multiplier, units of DOMAIN.md section 1; a contract without a volatility has no row."""
    terms = terms_of(options, view)
    greeks = contract_greeks(terms)
    return [
        GreekSnapshot(
            identity=contract.identity, at=view.now, source="own", price=float(terms.price[i]),
            under_price=float(terms.spot[i]), iv=float(terms.vol[i]), delta=float(greeks.delta[i]),
            gamma=float(greeks.gamma[i]), vega=float(greeks.vega[i]), theta=float(greeks.theta[i]),
        )
        for i, contract in enumerate(options)
        if all(math.isfinite(x) for x in (terms.price[i], greeks.delta[i], greeks.theta[i]))
    ]  # fmt: skip


if __name__ == "__main__":
    import sys

    from agents.command import agent_command

    sys.exit(agent_command("greeks_streamer"))
