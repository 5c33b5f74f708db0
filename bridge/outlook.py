"""The market and the appetite as the store knows them now: what valuation prices on and what the gates judge by.

Nothing stale is handed on as fresh: an old quote is no mark, an old surface no surface, and both stay unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from database.store import Store
from models.appetite import LimitsVersion
from models.market import Bar, MarketState, Quote
from models.quant.beta import UNAVAILABLE, Beta
from models.quant.limits import Limits
from models.quant.option import Contract, SecType
from models.quant.regime import Close, RegimeBook, RegimeFileError, RegimeReading, load_regimes, regimes_from
from models.quant.regime_rules import Profile, Regime
from models.quant.structure import QuoteSource, contract_from_json
from models.quant.surface import Surface
from models.quant.terms import Mark, MarketView
from models.settings import Settings

QUOTE_LIFE = timedelta(seconds=120)
SURFACE_LIFE = timedelta(minutes=5)
STATE_LIFE = timedelta(minutes=2)
"""Machine time since it was received; older is not knowledge."""

REGIMES_NAME = "models/risk_regimes.toml"
REGIMES_FILE = Path(__file__).resolve().parent.parent / REGIMES_NAME
VAR_DAYS = 500


@dataclass(frozen=True)
class Outlook:
    """One moment's market, regime and appetite."""

    view: MarketView
    appetite: RegimeBook
    profile: Profile
    reading: RegimeReading
    regime: Regime
    vix: float | None
    term: float | None
    history: tuple[tuple[float, float], ...] | None
    """(SPX return, VIX change in points) per past day, for the VaR; None while there are no bars."""

    def limits(self, nlv: float | None) -> Limits:
        return self.appetite.limits(self.profile, self.regime, nlv, self.vix, self.term, self.reading.without_recession)


class Observatory:
    """Builds outlooks; what changes rarely (regime file, surfaces, past days) is kept until it changes."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._book: tuple[int | None, RegimeBook] | None = None
        self._surfaces: dict[str, tuple[str, Surface]] = {}
        self._past: tuple[datetime, tuple[tuple[float, float], ...] | None, tuple[Close, ...]] | None = None

    async def look(
        self, contracts: Iterable[Contract], desk_now: datetime, machine: datetime, previous: Regime | None
    ) -> Outlook:
        """The outlook on `contracts` at desk time `desk_now`; `previous` is the regime applied last.

        Raises RegimeFileError when the appetite cannot be read.
        """
        wanted = {name for contract in contracts for name in (contract.identity, contract.symbol)}
        version = await self._store.appetite.limits_in_force()
        appetite = self._book_of(version)
        states = {
            name: row for name, row in (await self._store.market.states()).items()
            if machine - row.received_at <= STATE_LIFE
        }  # fmt: skip
        quotes = await self._store.market.quotes(wanted)
        fresh = {identity: quote for identity, quote in quotes.items() if machine - quote.received_at <= QUOTE_LIFE}
        view = market_view(states, fresh, await self._fitted(machine), desk_now)
        past, closes = await self._history(machine)
        vix, vix3m = _state(states, "VIX"), _state(states, "VIX3M")
        reading = appetite.detect(vix, vix3m, _state(states, "VVIX"), _state(states, "RECESSION"))
        return Outlook(
            view=view,
            appetite=appetite,
            profile=Profile(version.profile if version else self._settings.risk_profile),
            reading=reading,
            regime=appetite.applied(previous, reading, closes),
            vix=vix,
            term=vix3m / vix if vix and vix3m else None,
            history=past,
        )

    async def appetite(self) -> RegimeBook:
        """The limits in force: the newest version, or the file. Raises RegimeFileError naming it and the key."""
        return self._book_of(await self._store.appetite.limits_in_force())

    def _book_of(self, version: LimitsVersion | None) -> RegimeBook:
        key = version.id if version else None
        if self._book is None or self._book[0] != key:
            if version is None:
                book = load_regimes(read_regimes(), REGIMES_NAME)
            else:
                book = regimes_from(version.body, f"limits version {version.id}")
            self._book = (key, book)
        return self._book[1]

    async def _fitted(self, machine: datetime) -> dict[str, Surface]:
        found = {}
        for symbol, row in (await self._store.market.surfaces()).items():
            if machine - row.received_at > SURFACE_LIFE:
                continue
            kept = self._surfaces.get(symbol)
            if kept is None or kept[0] != row.snapshot_id:
                kept = (row.snapshot_id, Surface.from_json(row.surface_json))
                self._surfaces[symbol] = kept
            found[symbol] = kept[1]
        return found

    async def _history(self, machine: datetime) -> tuple[tuple[tuple[float, float], ...] | None, tuple[Close, ...]]:
        if self._past is None or machine - self._past[0] > timedelta(minutes=10) or self._past[1] is None:
            bars = {name: await self._store.market.bars(name, "1D", VAR_DAYS + 1) for name in ("SPX", "VIX", "VIX3M")}
            self._past = (machine, joint_days(bars["SPX"], bars["VIX"]), closes_of(bars["VIX"], bars["VIX3M"]))
        return self._past[1], self._past[2]


def read_regimes() -> str:
    """The appetite file's text; raises RegimeFileError when it is gone or unreadable."""
    try:
        return REGIMES_FILE.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RegimeFileError(REGIMES_NAME, "", f"cannot be read ({error}); restore the file") from error


def market_view(
    states: Mapping[str, MarketState], quotes: Mapping[str, Quote], surfaces: Mapping[str, Surface], desk_now: datetime
) -> MarketView:
    """Marks are the middle of two-sided quotes; spots the named numbers, else what options say of their underlying."""
    marks: dict[str, Mark] = {}
    spots: dict[str, float] = {}
    for identity, quote in quotes.items():
        contract = contract_from_json(quote.contract_json)
        price = mid_of(quote)
        if price is None and contract.sec_type is SecType.INDEX:
            price = quote.last
        if price is not None:
            marks[identity] = Mark(price, QuoteSource(quote.source), quote.at)
            if contract.sec_type in (SecType.STOCK, SecType.INDEX):
                spots[contract.symbol] = price
            elif contract.sec_type is SecType.FUTURE:
                spots.setdefault(contract.symbol, price)
        if contract.is_option and quote.under_price is not None:
            spots.setdefault(contract.symbol, quote.under_price)
    spots.update({name: row.value for name, row in states.items() if row.value is not None and ":" not in name})
    betas = {
        name.removeprefix("beta:"): Beta(row.value, row.source, flagged=row.flag == UNAVAILABLE)
        for name, row in states.items()
        if name.startswith("beta:") and row.value is not None
    }
    spx = spots.get("SPX")
    return MarketView(now=desk_now, spx=spx, spots=spots, marks=marks, surfaces=surfaces, betas=betas)


def mid_of(quote: Quote | None) -> float | None:
    """The middle of a two-sided market that is not crossed."""
    if quote is None or quote.bid is None or quote.ask is None or not 0 <= quote.bid <= quote.ask or quote.ask <= 0:
        return None
    return (quote.bid + quote.ask) / 2


def joint_days(spx: Sequence[Bar], vix: Sequence[Bar]) -> tuple[tuple[float, float], ...] | None:
    """(SPX return, VIX change in points) between days that both have; None without any."""
    levels = {bar.at.date(): bar.close for bar in vix}
    both = [(bar.close, levels[bar.at.date()]) for bar in spx if bar.at.date() in levels]
    days = tuple((s1 / s0 - 1.0, v1 - v0) for (s0, v0), (s1, v1) in pairwise(both) if s0 > 0)
    return days or None


def closes_of(vix: Sequence[Bar], vix3m: Sequence[Bar]) -> tuple[Close, ...]:
    """Daily closes of both indices, newest last."""
    longer = {bar.at.date(): bar.close for bar in vix3m}
    return tuple(Close(bar.close, longer[bar.at.date()]) for bar in vix if bar.at.date() in longer)


def _state(states: Mapping[str, MarketState], name: str) -> float | None:
    row = states.get(name)
    return row.value if row else None
