"""The streams' one market-data connection: everybody's wishes become one set of lines, every tick is seen once.

Market watch and streamer share it; whoever pumps first, nothing is lost to the other.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from adapters.base import Answer, MarketData, NotConnected, SessionState, Tick
from agents.subscriptions import MARKET, SAMPLE, Budget, allot
from models.quant.option import Contract

SILENCE = timedelta(seconds=3)  # no tick on any line for this long: nothing may be called unchanged any more
FORGOTTEN = timedelta(minutes=3)  # lines and no tick for this long: a farm blip may have left them dead, open anew


@dataclass(frozen=True)
class Seen:
    """A tick and the machine time it came in."""

    tick: Tick
    received: datetime


class Feed:
    """Wishes in, ticks out, over one MarketData connection that never carries an order."""

    def __init__(self, data: MarketData, machine_now: Callable[[], datetime], budget: Budget | None = None) -> None:
        self.data = data
        self.budget = budget or Budget.within(data.lines)
        self.latest: dict[str, Seen] = {}
        self.lines: tuple[Contract, ...] = ()
        self.unlisted: set[str] = set()
        self.last_tick_at: datetime | None = None
        self.machine_now = machine_now
        self._wishes: dict[str, tuple[Contract, ...]] = {}
        self._fresh: dict[str, Tick] = {}
        self._superseded = 0
        self._turn = 0
        self._applying = asyncio.Lock()
        self._opened = machine_now()

    @property
    def alive(self) -> bool:
        """The session stands, and is not so silent that the broker must have forgotten our lines."""
        quiet_since = self.last_tick_at or self._opened
        silent = bool(self.lines) and self.machine_now() - quiet_since > FORGOTTEN
        return self.data.state is SessionState.READY and not silent

    async def close(self) -> None:
        await self.data.close()

    # ── lines ──
    async def want(self, purpose: str, contracts: Sequence[Contract]) -> None:
        """Replace what this purpose wishes for; takes effect at the next `apply`."""
        self._wishes[purpose] = tuple(contracts)
        if purpose == MARKET and self.lines == ():
            await self.apply()

    async def apply(self) -> tuple[Contract, ...]:
        """Make the lines what the wishes and the budget allow; answers the contracts really streaming."""
        async with self._applying:
            target = allot(self._without_unlisted(), self._turn, self.budget)
            self._turn += 1
            if set(target) == set(self.lines):
                return self.lines
            answer: Answer[tuple[Contract, ...]] = await self.data.subscribe(target)
            if answer.failed:
                raise NotConnected(f"the broker took no subscriptions: {answer.failure}")
            self.lines = answer.data or ()
            streaming = {c.identity for c in self.lines}
            self.unlisted |= {c.identity for c in target if c.identity not in streaming}
            return self.lines

    def _without_unlisted(self) -> dict[str, list[Contract]]:
        """A sampled strike that this expiry does not list is not asked for twice; a held one always is."""
        return {
            purpose: [c for c in wish if purpose != SAMPLE or c.identity not in self.unlisted]
            for purpose, wish in self._wishes.items()
        }

    # ── ticks ──
    def pump(self) -> int:
        """Take what the connection has; answers how many contracts changed."""
        received = self.machine_now()
        ticks = self.data.ticks()
        for tick in map(self._with_open_interest, ticks):
            self.latest[tick.contract.identity] = Seen(tick, received)
            self._superseded += tick.contract.identity in self._fresh
            self._fresh[tick.contract.identity] = tick
        if ticks:
            self.last_tick_at = received
        return len(ticks)

    def _with_open_interest(self, tick: Tick) -> Tick:
        """Open interest changes once a day and comes after the first prices: what was told once still stands."""
        known = self.latest.get(tick.contract.identity)
        if tick.open_interest is not None or known is None:
            return tick
        return replace(tick, open_interest=known.tick.open_interest)

    def drain(self) -> list[Tick]:
        """The ticks not yet drained, newest per contract."""
        ticks, self._fresh = list(self._fresh.values()), {}
        return ticks

    def superseded(self) -> int:
        """How many ticks a newer one of the same contract replaced before anybody drained them, since last asked."""
        count, self._superseded = self._superseded, 0
        return count

    def unchanged(self, desk_now: datetime, older_than: timedelta) -> list[Tick]:
        """Live lines whose quote has not moved for a while: still the quote, so confirmed as of `desk_now`.

        A broker sends changes only. Nothing is confirmed when the whole feed went silent or the line is halted.
        """
        now = self.machine_now()
        if self.last_tick_at is None or now - self.last_tick_at > SILENCE or not self.alive:
            return []
        confirmed = []
        for contract in self.lines:
            seen = self.latest.get(contract.identity)
            if seen and not seen.tick.halted and now - seen.received >= older_than:
                tick = replace(seen.tick, at=max(desk_now, seen.tick.at))
                self.latest[contract.identity] = Seen(tick, now)
                confirmed.append(tick)
        return confirmed

    def tick(self, contract: Contract) -> Tick | None:
        seen = self.latest.get(contract.identity)
        return seen.tick if seen else None
