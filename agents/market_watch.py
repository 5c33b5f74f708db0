"""Watches the named numbers everything else leans on: VIX, VIX3M, VVIX, SPX, and the betas of what the book holds.

A number the broker does not give is written as unknown with its reason, never as zero and never as yesterday's.
"""

import asyncio
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from adapters.base import CashDividends, PriceBar, Tick
from agents.desk import Desk
from agents.feed import Feed
from agents.holdings import held_contracts
from agents.runner import Report
from agents.subscriptions import MARKET
from models.calendar import is_over
from models.market import Bar, DividendRow, MarketState
from models.quant.beta import UNAVAILABLE, beta_of
from models.quant.option import Contract, SecType
from models.quant.product import NEW_YORK, Hours, is_spx_family

INDICES = tuple(Contract(name, SecType.INDEX, name) for name in ("SPX", "VIX", "VIX3M", "VVIX"))
SHARES = (Contract("SPY", SecType.STOCK, "SPY"),)
HEDGE_FUTURES = ("MES", "ES")
BROKER = "broker"  # who told a dividend
FIRST_LOOK = 5.0  # seconds the first numbers may take before they are called unknown


PAST_YEARS, PAST_AGAIN = "3 Y", timedelta(hours=6)  # days of every index: for the value at risk and the regime


class Watched:
    """The contracts watched, the futures among them resolved once; the dividends already written, by symbol; and when
    the past days were last read: the moment (machine time) and the day whose close was among them."""

    def __init__(self) -> None:
        self.contracts: tuple[Contract, ...] = ()
        self.told: dict[str, tuple[DividendRow, ...]] = {}
        self.looks = 0
        self.past_at: datetime | None = None
        self.closed: date | None = None


async def work(desk: Desk) -> Report:
    """One look: states written, and a sentence with the numbers."""
    feed = await desk.feed()
    watched = desk.keep(Watched)
    if not watched.contracts:
        watched.contracts = INDICES + SHARES + await _front_futures(feed)
    await feed.want(MARKET, watched.contracts)
    await _wait_for_numbers(feed)
    machine, now = desk.machine_now(), feed.data.clock.at(desk.machine_now())
    states = [_state(c, feed.tick(c), now, machine) for c in watched.contracts]
    states += _betas(await held_contracts(desk.store), now, machine)
    await desk.store.market.write_states(states)
    await _keep_dividends(desk, feed, watched, now)
    watched.looks += 1
    if watched.looks > 1 or all(s.value is not None for s in states):  # the present first: the broker paces history
        await _keep_past(desk, feed, watched, now)
    said = ", ".join(f"{s.name} {s.value:.2f}" for s in states if s.value is not None and s.name in _SAID)
    missing = [s.name for s in states if s.value is None]
    sentence = (said or "no numbers yet") + (f"; unknown: {', '.join(missing)}" if missing else "")
    return Report(sentence, rows=len(states), detail={"unknown": missing})


_SAID = frozenset(c.symbol for c in INDICES)


async def _keep_dividends(desk: Desk, feed: Feed, watched: Watched, now: datetime) -> None:
    """The next dividend of every streamed share, written when the broker says something new."""
    for contract in feed.lines:
        told = feed.data.dividends(contract) if contract.sec_type is SecType.STOCK else None
        if told is None:
            continue
        rows = dividend_rows(contract.symbol, told, now)
        if contract.symbol not in watched.told or _said(rows) != _said(watched.told[contract.symbol]):
            today = now.astimezone(NEW_YORK).date()
            await desk.store.market.write_dividends(contract.symbol, BROKER, rows, today)
            watched.told[contract.symbol] = rows


def dividend_rows(symbol: str, told: CashDividends, now: datetime) -> tuple[DividendRow, ...]:
    """What is known to come: a day without an amount, or an amount without a day, is no dividend to price with."""
    if told.next_ex is None or told.next_amount is None or told.next_amount <= 0:
        return ()
    return (DividendRow(symbol=symbol, ex_date=told.next_ex, amount=told.next_amount, source=BROKER, at=now),)


def _said(rows: Iterable[DividendRow]) -> list[tuple[date, float]]:
    return [(row.ex_date, row.amount) for row in rows]


async def _keep_past(desk: Desk, feed: Feed, watched: Watched, now: datetime) -> None:
    """Daily bars of the indices, a few times a day and once after the close; what the broker does not give now is
    asked for later."""
    machine, today = desk.machine_now(), now.astimezone(NEW_YORK).date()
    closed = today if is_over(today, now, Hours.CBOE_INDEX) else None
    if watched.past_at and machine - watched.past_at < PAST_AGAIN and watched.closed == closed:
        return
    watched.past_at, watched.closed = machine, closed
    for contract in INDICES:
        answer = await feed.data.bars(contract, PAST_YEARS, "1 day")
        await desk.store.market.add_bars([_bar_row(contract.symbol, bar) for bar in answer.data or ()])


def _bar_row(symbol: str, bar: PriceBar) -> Bar:
    return Bar(
        symbol=symbol, timeframe="1D", at=bar.at, open=bar.open, high=bar.high, low=bar.low, close=bar.close,
        volume=bar.volume,
    )  # fmt: skip


async def _front_futures(feed: Feed) -> tuple[Contract, ...]:
    """The nearest listed month of each hedge future; a root the broker does not list is simply not watched."""
    answers = [await feed.data.futures(root) for root in HEDGE_FUTURES]
    return tuple(answer.data[0] for answer in answers if answer.data)


async def _wait_for_numbers(feed: Feed) -> None:
    give_up = asyncio.get_running_loop().time() + FIRST_LOOK
    feed.pump()
    while asyncio.get_running_loop().time() < give_up:
        if all(price_of(feed.tick(c)) is not None for c in INDICES):
            return
        await asyncio.sleep(0.1)
        feed.pump()


def price_of(tick: Tick | None) -> float | None:
    """What an index or share is worth now: last trade for an index, middle of the market for what is quoted."""
    if tick is None:
        return None
    quoted = tick.bid is not None and tick.ask is not None and 0 < tick.bid <= tick.ask
    middle = (tick.bid + tick.ask) / 2 if quoted and tick.bid is not None and tick.ask is not None else None
    if tick.contract.sec_type is SecType.INDEX:
        return tick.last if tick.last is not None else middle
    return middle if middle is not None else tick.last


def _state(contract: Contract, tick: Tick | None, now: datetime, machine: datetime) -> MarketState:
    value = price_of(tick)
    name = contract.symbol if contract.sec_type is not SecType.FUTURE else contract.identity
    return MarketState(
        name=name,
        value=value,
        previous_close=tick.close if tick else None,
        source=tick.source.value if tick else "unknown",
        flag=None if value is not None else "the broker has not quoted it",
        at=tick.at if tick and value is not None else now,
        received_at=machine,
    )


def _betas(held: Iterable[Contract], now: datetime, machine: datetime) -> list[MarketState]:
    """One row per held underlying outside the SPX family; where a beta came from is part of the number."""
    symbols = sorted({c.symbol for c in held if not is_spx_family(c)})
    rows = []
    for symbol in symbols:
        beta = beta_of(symbol, {})
        flag = "from the static table" if not beta.flagged else UNAVAILABLE
        rows.append(
            MarketState(
                name=f"beta:{symbol}", value=beta.value, source=beta.source, flag=flag, at=now, received_at=machine
            )
        )
    return rows


if __name__ == "__main__":
    import sys

    from agents.command import agent_command

    sys.exit(agent_command("market_watch"))
