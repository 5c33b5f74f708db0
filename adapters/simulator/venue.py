"""The venue as one thing: clock, market, exchange and account together, opened from a state file or afresh.

`await venue.run()` keeps it moving; every change of an order or a position is on disk before anybody is told. A venue
opened without a state file forgets when it ends.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from adapters.simulator import state
from adapters.simulator.account import Account, Ledger, account_id_of
from adapters.simulator.book import DEMO_BOOK, DEMO_CASH, BookError, open_book, read_book
from adapters.simulator.chain import ChainFileError, read_chains
from adapters.simulator.clock import VenueClock, opening_time
from adapters.simulator.control import obey
from adapters.simulator.dynamics import Factors, opening_factors
from adapters.simulator.exchange import Exchange
from adapters.simulator.history import History
from adapters.simulator.market import Market
from adapters.simulator.names import INDEX, NAMES
from adapters.simulator.recording import Recording
from adapters.simulator.scenarios import ScenarioError, scenario_of
from adapters.simulator.settlement import settle_expired
from adapters.simulator.surface import level_of
from adapters.simulator.universe import Universe, register_underlyings
from models import calendar
from models.quant.product import NEW_YORK

log = logging.getLogger(__name__)

PULSE_SECONDS = 0.25  # machine time between two steps of an idle venue
SAVE_SECONDS = 10.0  # machine time between two saves while nothing but prices moves
BEFORE_CLOSE = timedelta(minutes=15)  # where a recorded session opens: 15:45 New York on an ordinary day


@dataclass(frozen=True)
class VenueConfig:
    """How a venue is opened. `speed` None: 1, or standing still over a recorded chain."""

    seed: int = 7
    state: Path | None = None
    chains: tuple[Path, ...] = ()
    speed: float | None = None
    scenario: str = ""
    book: Path | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What a state file belongs to: the same seed and the same recorded chains."""
        return {"seed": self.seed, "chains": [path.name for path in self.chains]}


class Venue:
    """A running venue. Made by `open_venue`; faces read `clock`, `account_id`, `market`, `exchange`, `account`."""

    def __init__(
        self, config: VenueConfig, clock: VenueClock, market: Market, account: Account, exchange: Exchange
    ) -> None:
        self.config = config
        self.clock = clock
        self.market = market
        self.account = account
        self.exchange = exchange
        self.drop_clients: Callable[[], None] = lambda: None  # a face with connections puts its own here
        self.stop_requested = False
        self._saved_at = time.monotonic()
        self._wake = asyncio.Event()
        self._names = state.Names(market.universe)
        exchange.on_change = self.save
        exchange.on_activity = self._wake.set

    @property
    def account_id(self) -> str:
        return self.account.account_id

    # ── moving ─────────────────────────────────────────────────────────────────────────────────────────────────
    def advance(self) -> None:
        """Bring market, account and orders to the clock's now."""
        now = self.clock.now()
        self.market.standing = self.clock.speed == 0
        self.market.advance(now)
        settled = settle_expired(self.account, now)
        for sentence in settled:
            log.info("%s", sentence)
        self.account.begin_day(self.market.today.day)
        if settled:
            self.save()
        self.exchange.step()

    async def run(self) -> None:
        """Step until cancelled or told to stop; wakes at once when an order arrives."""
        while not self.stop_requested:
            self.advance()
            self._obey_file()
            if time.monotonic() - self._saved_at > SAVE_SECONDS:
                self.save()
            self._wake.clear()
            try:
                async with asyncio.timeout(PULSE_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def request_stop(self) -> None:
        """Let `run` return after the present step."""
        self.stop_requested = True
        self._wake.set()

    # ── commands ───────────────────────────────────────────────────────────────────────────────────────────────
    def control(self, command: Mapping[str, Any]) -> str:
        """Obey one command (see `control.COMMANDS`) and say what was done; raises ControlError."""
        answer = obey(self, command)
        self.save()
        self._wake.set()
        return answer

    @property
    def control_file(self) -> Path | None:
        """Where a command may be dropped as JSON: beside the state file, `<name>.control.json`."""
        path = self.config.state
        return None if path is None else path.with_suffix(".control.json")

    def _obey_file(self) -> None:
        path = self.control_file
        if path is None or not path.exists():
            return
        try:
            answer = {"done": self.control(json.loads(path.read_text(encoding="utf-8")))}
        except ValueError as error:
            answer = {"refused": str(error)}
        path.unlink(missing_ok=True)
        state.write_atomically(path.with_suffix(".answer.json"), json.dumps(answer))
        log.info("control: %s", answer)

    # ── remembering ────────────────────────────────────────────────────────────────────────────────────────────
    def save(self) -> None:
        """Put everything on disk; does nothing without a state file."""
        self._saved_at = time.monotonic()
        if self.config.state is not None:
            state.write_atomically(self.config.state, json.dumps(self.snapshot()))

    def snapshot(self) -> dict[str, Any]:
        names = self._names
        return {
            "version": state.VERSION,
            "identity": self.config.identity,
            "account_id": self.account_id,
            "scenario": self.config.scenario.strip().lower(),
            "clock": self.clock.now().isoformat(),
            "factors": state.factors_to_json(self.market.factors),
            "history": state.history_to_json(self.market.history),
            "today": state.today_to_json(self.market.today),
            "ledger": state.ledger_to_json(self.account.ledger, names),
            "orders": [state.order_to_json(o, names) for o in self.exchange.orders()],
            "fills": [state.fill_to_json(f, names) for f in self.exchange.fills()],
            "counters": self.exchange.counters(),
        }


def open_venue(config: VenueConfig, machine_now: datetime | None = None) -> Venue:
    """Open from the state file, or afresh with the starting book.

    Raises ChainFileError, BookError, StateError or ScenarioError, each naming the file or word and the remedy.
    """
    raw = state.read_state(config.state) if config.state else None
    try:
        return _opened(config, raw, machine_now or datetime.now(UTC))
    except (BookError, ChainFileError, ScenarioError, state.StateError):
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        if raw is None:
            raise
        raise state.StateError(
            f"state file {config.state} does not hold what a venue writes ({type(error).__name__}: {error}); "
            "move it away to start afresh"
        ) from error


def _opened(config: VenueConfig, raw: Mapping[str, Any] | None, machine_now: datetime) -> Venue:
    scenario = scenario_of(config.scenario) if config.scenario else None
    _refuse_other(config, raw)
    chains = read_chains(config.chains)
    universe = Universe()
    register_underlyings(universe)
    recording = None
    if chains:
        recording = Recording(chains, _recorded_moment(chains[0].session))
        recording.register(universe)
    clock = _clock(config, raw, recording, machine_now)
    market = _market(config, raw, recording, universe, clock)
    name = config.state.stem if config.state else ""
    account_id = raw["account_id"] if raw else account_id_of(config.seed, name + "".join(p.name for p in config.chains))
    account = Account(account_id, market, Ledger(0.0))
    exchange = Exchange(market, account, clock.now)
    venue = Venue(config, clock, market, account, exchange)
    if raw:
        _restore(venue, raw)
    else:
        lines, cash = read_book(config.book) if config.book else (DEMO_BOOK, DEMO_CASH)
        open_book(account, lines, cash)
    market.standing = clock.speed == 0
    before = raw.get("scenario", "") if raw else ""
    if scenario is not None and scenario.name != before and not (recording and scenario.name == "calm"):
        market.command(scenario)  # a restart does not let the same thing happen twice
    venue.advance()
    venue.save()
    return venue


def _refuse_other(config: VenueConfig, raw: Mapping[str, Any] | None) -> None:
    if raw is not None and raw["identity"] != config.identity:
        theirs = raw["identity"]
        recorded = f" and chain {', '.join(theirs['chains'])}" if theirs["chains"] else " and no chain"
        raise state.StateError(
            f"state file {config.state} belongs to a venue with seed {theirs['seed']}{recorded}; "
            "start with those, or name another --state"
        )


def _recorded_moment(session: Any) -> datetime:
    span = calendar.regular_session(session)
    if span is None:
        raise state.StateError(f"the recorded session {session} is no trading day")
    return span.end - BEFORE_CLOSE


def _clock(
    config: VenueConfig, raw: Mapping[str, Any] | None, recording: Recording | None, machine_now: datetime
) -> VenueClock:
    persisted = datetime.fromisoformat(raw["clock"]) if raw else None
    if recording is None:
        return VenueClock(opening_time(machine_now, persisted), 1.0 if config.speed is None else config.speed)
    start = max(recording.at, persisted) if persisted else recording.at
    return VenueClock(start, 0.0 if config.speed is None else config.speed)


def _market(
    config: VenueConfig, raw: Mapping[str, Any] | None, recording: Recording | None, universe: Universe,
    clock: VenueClock,
) -> Market:  # fmt: skip
    now = clock.now()
    if raw:
        factors = state.factors_from_json(raw["factors"])
        history = state.history_from_json(config.seed, raw["history"])
        market = Market(universe, factors, history, now, state.today_from_json(raw["today"]), recording)
    else:
        factors = _recorded_factors(config.seed, recording) if recording else opening_factors(config.seed, now)
        anchor_day = calendar.previous_trading_day(calendar.latest_session_day(now))
        history = History(config.seed, anchor_day, _first_close(config.seed, factors))
        market = Market(universe, factors, history, now, None, recording)
    market.relist(now.astimezone(NEW_YORK).date())
    return market


def _recorded_factors(seed: int, recording: Recording) -> Factors:
    """Everything the record does not hold stands where the demo has it; what it holds is taken from it."""
    level = level_of(INDEX.smile, recording.vix)
    spots = np.array([name.spot for name in NAMES])
    spots[0] = recording.spot
    return Factors(seed, recording.at.timestamp(), spots, level, level, fixed=True)


def _first_close(seed: int, factors: Factors) -> np.ndarray:
    """The close before the first session: a third of a day's move away from where the venue opens."""
    noise = np.random.default_rng([seed, 2]).standard_normal(len(NAMES) + 1)
    betas = np.array([name.beta for name in NAMES])
    own = np.array([name.own_vol for name in NAMES])
    own[0] = 0.0
    index = 0.003 * noise[0]
    spots = factors.spots * np.exp(betas * index + 0.02 * own * noise[:-1])
    return np.append(spots, factors.level * np.exp(-16 * index * 0.5))


def _restore(venue: Venue, raw: Mapping[str, Any]) -> None:
    names = state.Names(venue.market.universe)
    venue.account.ledger = state.ledger_from_json(raw["ledger"], names)
    orders = [state.order_from_json(o, names) for o in raw["orders"]]
    fills = [state.fill_from_json(f, names) for f in raw["fills"]]
    venue.market.forget_columns()
    venue.exchange.restore(orders, fills, tuple(raw["counters"]))
