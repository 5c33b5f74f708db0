"""The venue's market: everything listed, its quotes and greeks now, and its past, over one moving set of factors.

Quotes are computed when somebody asks, together with everything else that was asked for lately, and kept until the
market moves again.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

import numpy as np

from adapters.simulator import quotes
from adapters.simulator.bars import make_bars
from adapters.simulator.columns import NAME_INDEX, Floats, OptionColumns
from adapters.simulator.dynamics import NIGHT_SHARE, Factors
from adapters.simulator.history import History, Today, first_today
from adapters.simulator.names import CRUDE_CARRY, INDEX, RATE, SPY_RATIO
from adapters.simulator.recording import Recording
from adapters.simulator.scenarios import Scenario
from adapters.simulator.trading_hours import TradingFacts, trading_facts
from adapters.simulator.types import ChainClass, Instrument, ModelGreeks, VenueBar, VenueQuote
from adapters.simulator.universe import MARKET_RULES, Universe, demo_listings, register_futures, register_options
from models import calendar
from models.calendar import Span
from models.quant.option import SecType
from models.quant.product import NEW_YORK, Hours, expiry_instant, product_of, years_to

WATCH_LIMIT = 600  # contracts asked for lately, recomputed together after a move; the oldest are forgotten


class Market:
    """Instruments, quotes, greeks and bars. Prices move only in `advance`, `command` and `shift`."""

    def __init__(
        self, universe: Universe, factors: Factors, history: History, now: datetime,
        today: Today | None = None, recording: Recording | None = None,
    ) -> None:  # fmt: skip
        self.universe = universe
        self.factors = factors
        self.history = history
        self.recording = recording
        self.standing = False  # the clock stands: commanded moves happen at once
        day = calendar.latest_session_day(now)
        self.today = today or first_today(history, day, now, self.values())
        self._quotes: dict[int, VenueQuote | None] = {}
        self._models: dict[int, ModelGreeks | None] = {}
        self._watched: dict[int, None] = {}
        self._stamp = -1
        self._columns: OptionColumns | None = None

    # ── the register ───────────────────────────────────────────────────────────────────────────────────────────
    def instrument(self, con_id: int) -> Instrument | None:
        return self.universe.get(con_id)

    def find(self, **filters: object) -> list[Instrument]:
        """Instruments matching every given filter (see `Universe.find`), living ones only."""
        today = self.now.astimezone(NEW_YORK).date()
        found = self.universe.find(**filters)
        return [i for i in found if i.contract.expiry is None or i.contract.expiry >= today]

    def chains(
        self, symbol: str, under_con_id: int = 0, sec_type: str = "", fut_exchange: str = ""
    ) -> list[ChainClass]:
        """Option classes of an underlying; empty when it has none or the con_id names something else."""
        under = self.universe.get(under_con_id)
        if under_con_id and (under is None or under.contract.symbol != symbol):
            return []
        if fut_exchange or sec_type not in ("", SecType.INDEX, SecType.STOCK):
            return []
        return self.universe.chains(symbol, self.now.astimezone(NEW_YORK).date())

    def market_rule(self, rule_id: int) -> tuple[tuple[float, float], ...]:
        """(from price, increment) steps of a price rule; empty when there is no such rule."""
        return MARKET_RULES.get(rule_id, ())

    def details(self, con_id: int) -> TradingFacts:
        """Hours and last trade of an instrument; KeyError when there is no such number."""
        return trading_facts(self.universe[con_id], self.now)

    @property
    def now(self) -> datetime:
        """Venue time of the market's last step."""
        return datetime.fromtimestamp(self.factors.at, UTC)

    @property
    def version(self) -> int:
        """Grows whenever any price may have changed."""
        return self.factors.version

    @property
    def columns(self) -> OptionColumns:
        if self._columns is None:
            self._columns = OptionColumns([i for i in self.universe.all() if i.contract.is_option])
            if self.recording is not None:
                self.recording.fill(self._columns, self.universe)
        return self._columns

    # ── moving ─────────────────────────────────────────────────────────────────────────────────────────────────
    def advance(self, to: datetime) -> None:
        """Step to venue time `to`; a new session day closes the old one and lists its new expiries."""
        while self.now < to:
            until, share, regular = self._stretch(self.now, to)
            day = calendar.latest_session_day(self.now)
            if day != self.today.day:
                self._new_day(day)
            if share > 0:
                self.factors.advance(until, share)
            self.factors.at = max(self.factors.at, until.timestamp())
            if regular is not None:
                self.today.see(self.factors.at, self.values())
                if until >= regular.end:
                    self.today.close = self.values()

    def _stretch(self, at: datetime, to: datetime) -> tuple[datetime, float, Span | None]:
        """(how far the same variance holds, its share of a regular second, the regular stretch or None)."""
        regular = calendar.span_at(Hours.EQUITY, at)
        if regular is not None:
            return min(to, regular.end), 1.0, regular
        night = calendar.span_at(Hours.GLOBEX, at)
        opening = calendar.next_session(Hours.EQUITY, at).start
        if night is not None:
            return min(to, night.end, opening), NIGHT_SHARE, None
        return min(to, calendar.next_session(Hours.GLOBEX, at, regular_only=False).start, opening), 0.0, None

    def _new_day(self, day: date) -> None:
        values = self.values()
        self.history.since.append(self.today.finish(values))
        self.today = Today(day, values.copy(), values.copy(), values.copy())
        self.relist(day)

    def relist(self, day: date) -> None:
        """List what a new day brings; a recorded class keeps exactly what was recorded."""
        register_futures(self.universe, day)
        recorded = self.recording.symbols if self.recording else frozenset()
        before = len(self.universe)
        for listing in demo_listings(day, {s: self.price_of(s) for s in self.spot_symbols()}):
            if listing.symbol not in recorded:
                register_options(self.universe, listing)
        if len(self.universe) != before:
            self.forget_columns()

    def command(self, scenario: Scenario) -> None:
        self.factors.apply(scenario, self.standing)

    # ── values ─────────────────────────────────────────────────────────────────────────────────────────────────
    def values(self) -> Floats:
        """Every name's spot, then the index variance: a row of the history."""
        return np.append(self.factors.spots, self.factors.level)

    def spot_symbols(self) -> list[str]:
        return [*NAME_INDEX, "SPY"]

    def price_of(self, symbol: str, values: Floats | None = None) -> float:
        """The spot (or index level) of a symbol under the present or the given values."""
        row = self.values() if values is None else values
        if symbol in ("VIX", "VIX3M", "VVIX"):
            return self._volatility_index(symbol, float(row[-1]))
        if symbol == "SPY":
            return float(row[0]) * self.spy_ratio
        return float(row[NAME_INDEX.get(symbol, 0)])

    @property
    def spy_ratio(self) -> float:
        return self.recording.spy_ratio if self.recording else SPY_RATIO

    def _volatility_index(self, symbol: str, level: float) -> float:
        f = Factors(0, self.factors.at, self.factors.spots, level, level, self.factors.vvix_excess)
        basis = self.recording.vix3m_basis if self.recording else 0.0
        return {"VIX": f.vix, "VIX3M": f.vix3m + basis, "VVIX": f.vvix}[symbol]

    def future_price(self, item: Instrument, spot: float, at: datetime) -> float:
        """A future on its carry: index futures at rate less dividends, crude on its own curve."""
        years = years_to(expiry_instant(item.contract), at)
        carry = CRUDE_CARRY if item.contract.symbol == "CL" else RATE - INDEX.dividend
        if self.recording is not None and item.contract.symbol != "CL":
            carry = self.recording.carry
        return spot * float(np.exp(carry * years))

    # ── quotes ─────────────────────────────────────────────────────────────────────────────────────────────────
    def quote(self, con_id: int) -> VenueQuote | None:
        """The top of book of an instrument now; None when there is no such number."""
        return self.quotes([con_id])[0]

    def quotes(self, con_ids: Sequence[int]) -> list[VenueQuote | None]:
        """Quotes of many at once, in the order asked."""
        self._refresh(con_ids)
        return [self._quotes.get(con_id) for con_id in con_ids]

    def model(self, con_id: int) -> ModelGreeks | None:
        """Model greeks of an option; None for anything else and where its volatility is unknown."""
        return self.models([con_id])[0]

    def models(self, con_ids: Sequence[int]) -> list[ModelGreeks | None]:
        """Model greeks of many at once, in the order asked."""
        self._expire()
        if any(c not in self._models for c in con_ids):
            rows = self._rows([c for c in dict.fromkeys((*con_ids, *self._watched)) if c not in self._models])
            computed = quotes.model_greeks(self.columns, rows, self.factors) if len(rows) else []
            self._models.update(zip(self.columns.con_ids[rows].tolist(), computed, strict=True))
        return [self._models.get(con_id) for con_id in con_ids]

    def forget_columns(self) -> None:
        """Build the columns anew: something was registered."""
        self._columns = None
        self.factors.version += 1

    def _expire(self) -> None:
        if self._stamp != self.factors.version:
            self._stamp = self.factors.version
            self._quotes.clear()
            self._models.clear()

    def _refresh(self, con_ids: Sequence[int]) -> None:
        self._expire()
        if all(c in self._quotes for c in con_ids):
            return
        if len(con_ids) < WATCH_LIMIT:
            self._watch(con_ids)
        wanted = [c for c in dict.fromkeys((*con_ids, *self._watched)) if c not in self._quotes]
        self._quote_options(self._rows(wanted))
        for con_id in wanted:
            if con_id not in self._quotes:
                item = self.universe.get(con_id)
                self._quotes[con_id] = None if item is None else self._outright(item)

    def _watch(self, con_ids: Sequence[int]) -> None:
        for con_id in con_ids:
            self._watched.pop(con_id, None)
            self._watched[con_id] = None
        while len(self._watched) > WATCH_LIMIT:
            self._watched.pop(next(iter(self._watched)))

    def _rows(self, con_ids: Iterable[int]) -> np.ndarray:
        known = self.columns.row_of
        return np.array([known[c] for c in con_ids if c in known], dtype=np.int64)

    def _quote_options(self, rows: np.ndarray) -> None:
        if not len(rows):
            return
        recorded = self.columns.recorded[rows]
        free, fixed = rows[~recorded], rows[recorded]
        if len(free):
            share = min(max((self.now - _open_of(self.today.day)).total_seconds() / quotes.SESSION_LENGTH, 0.0), 1.0)
            found = quotes.option_quotes(self.columns, free, self.factors, self._closing_factors(), share)
            self._quotes.update(zip(self.columns.con_ids[free].tolist(), found, strict=True))
        if len(fixed) and self.recording is not None:
            found = self.recording.quotes(self.columns, fixed, self.factors)
            self._quotes.update(zip(self.columns.con_ids[fixed].tolist(), found, strict=True))

    def _closing_factors(self) -> Factors:
        before = self.history.previous_close()
        last = calendar.previous_trading_day(self.today.day)
        span = calendar.regular_session(last)
        at = span.end.timestamp() if span else self.factors.at
        return Factors(0, at, before[:-1], float(before[-1]), float(before[-1]))

    def _outright(self, item: Instrument) -> VenueQuote | None:
        symbol, kind = item.contract.symbol, item.contract.sec_type
        if item.contract.is_option:
            return None
        rows = (self.today.open, self.today.high, self.today.low, self.history.previous_close())
        if kind is SecType.FUTURE:
            price = self.future_price(item, self.price_of(symbol if symbol == "CL" else "SPX"), self.now)
            base = self.price_of(symbol if symbol == "CL" else "SPX")
            day = [self.price_of(symbol if symbol == "CL" else "SPX", r) * price / base for r in rows]
        else:
            price = self.price_of(symbol)
            day = [self.price_of(symbol, r) for r in rows]
        if symbol in ("VIX", "VIX3M", "VVIX"):
            day[1], day[2] = max(day[1], day[2], price), min(day[1], day[2], price)
        tick = product_of(item.contract).tick(price)
        bounds = [round(round(v / tick) * tick, 4) for v in day]
        if kind is SecType.INDEX:
            return quotes.index_quote(price, bounds, self.now, self.factors.halted)
        half, size = (1, 60.0) if kind is SecType.FUTURE or price < 500 else (3, 300.0)
        return quotes.outright_quote(price, tick, half, size, bounds, self.now, self.factors.halted, 1e6)

    # ── the past ───────────────────────────────────────────────────────────────────────────────────────────────
    def bars(
        self, con_id: int, end: datetime | None, duration_s: float, bar_s: float, what: str = "TRADES",
        use_rth: bool = True,
    ) -> list[VenueBar]:  # fmt: skip
        """Bars of `bar_s` seconds up to `end` (None: now), oldest first; empty for an unknown number.

        Only regular hours have a past here, so `use_rth` changes nothing. `what` TRADES, MIDPOINT, BID and ASK give the
        model's mid; other kinds raise ValueError.
        """
        if what not in ("TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST"):
            raise ValueError(f"no historical {what} here")
        item = self.universe.get(con_id)
        return [] if item is None else make_bars(self, item, end or self.now, duration_s, bar_s)


def _open_of(day: date) -> datetime:
    span = calendar.regular_session(day)
    return span.start if span else datetime.combine(day, datetime.min.time(), UTC)
