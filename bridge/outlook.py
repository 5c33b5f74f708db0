"""The market and the appetite as the store knows them now: what valuation prices on and what the gates judge by.

Nothing stale is handed on as fresh: an old quote is no mark, an old surface no surface, and both stay unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path

from database.store import Store
from models.appetite import LimitsVersion
from models.book import PortfolioGreeks
from models.calendar import is_over
from models.market import Bar, DividendRow, MarketState, Quote
from models.quant.beta import UNAVAILABLE, Beta
from models.quant.dividends import Dividend
from models.quant.limits import Limits
from models.quant.option import Contract, SecType
from models.quant.overrides import NO_OVERRIDES, Overrides, read_overrides
from models.quant.product import NEW_YORK, Hours, years_to
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
INDEX_HOURS = Hours.CBOE_INDEX
OPENS = time(9, 30)
"""New York time at which a share goes ex."""


@dataclass(frozen=True)
class Applied:
    """The last known regime that limits were taken from, and since when (desk time) it stands.

    It may loosen only by closes that came after; a moment without VIX is no reason to forget it.
    """

    regime: Regime
    since: datetime

    def to_json(self) -> dict[str, str]:
        return {"regime": self.regime.value, "since": self.since.isoformat()}


def applied_before(rows: Sequence[PortfolioGreeks]) -> Applied | None:
    """What the newest valuation (its PORTFOLIO row first) applied; None when none is known."""
    said = (rows[0].exposure or {}).get("applied") if rows else None
    return None if said is None else Applied(Regime(said["regime"]), datetime.fromisoformat(said["since"]))


@dataclass(frozen=True)
class Outlook:
    """One moment's market, regime and appetite, with the overrides in force then."""

    view: MarketView
    appetite: RegimeBook
    profile: Profile
    reading: RegimeReading
    regime: Regime
    vix: float | None
    term: float | None
    history: tuple[tuple[float, float], ...] | None
    """(SPX return, VIX change in points) per past day, for the VaR; None while there are no bars."""
    applied: Applied | None = None
    """`regime` for the next look to remember; the last known one while it is unknown."""
    overrides: Overrides = NO_OVERRIDES

    def limits(self, nlv: float | None) -> Limits:
        return self.appetite.limits(self.profile, self.regime, nlv, self.vix, self.term, self.reading.without_recession)


class Observatory:
    """Builds outlooks; what changes rarely (regime file, surfaces, past days) is kept until it changes."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._book: tuple[int | None, RegimeBook] | None = None
        self._surfaces: dict[str, tuple[str, Surface]] = {}
        self._past: tuple[datetime, tuple[tuple[float, float], ...] | None, Closes] | None = None

    async def look(
        self, contracts: Iterable[Contract], desk_now: datetime, machine: datetime, previous: Applied | None
    ) -> Outlook:
        """The outlook on `contracts` at desk time `desk_now`; `previous` is what was applied last.

        Raises RegimeFileError when the appetite cannot be read.
        """
        contracts = tuple(contracts)
        wanted = {name for contract in contracts for name in (contract.identity, contract.symbol)}
        version = await self._store.appetite.limits_in_force()
        appetite = self._book_of(version)
        states = {
            name: row for name, row in (await self._store.market.states()).items()
            if machine - row.received_at <= STATE_LIFE
        }  # fmt: skip
        quotes = await self._store.market.quotes(wanted)
        fresh = {identity: quote for identity, quote in quotes.items() if machine - quote.received_at <= QUOTE_LIFE}
        told = await self._store.market.dividends({contract.symbol for contract in contracts})
        view = replace(
            market_view(states, fresh, await self._fitted(machine), desk_now), dividends=to_come(told, desk_now)
        )
        past, closes = await self._history(machine, desk_now)
        vix, vix3m = _state(states, "VIX"), _state(states, "VIX3M")
        reading = appetite.detect(vix, vix3m, _state(states, "VVIX"), _state(states, "RECESSION"))
        before = previous.regime if previous else None
        since = [close for day, close in closes if previous is None or not is_over(day, previous.since, INDEX_HOURS)]
        regime = appetite.applied(before, reading, since)
        stays = regime is Regime.UNKNOWN or regime is before
        return Outlook(
            view=view,
            appetite=appetite,
            profile=Profile(version.profile if version else self._settings.risk_profile),
            reading=reading,
            regime=regime,
            vix=vix,
            term=vix3m / vix if vix and vix3m else None,
            history=past,
            applied=previous if stays else Applied(regime, desk_now),
            overrides=read_overrides(await self._store.appetite.overrides(machine)),
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

    async def _history(
        self, machine: datetime, desk_now: datetime
    ) -> tuple[tuple[tuple[float, float], ...] | None, "Closes"]:
        if self._past is None or machine - self._past[0] > timedelta(minutes=10) or self._past[1] is None:
            spx, vix, vix3m, vvix = [await self._days(name, desk_now) for name in ("SPX", "VIX", "VIX3M", "VVIX")]
            self._past = (machine, joint_days(spx, vix), closes_of(vix, vix3m, vvix))
        return self._past[1], self._past[2]

    async def _days(self, name: str, desk_now: datetime) -> list[Bar]:
        """Finished days, oldest first: the bar of a session in progress still moves and is no close."""
        bars = await self._store.market.bars(name, "1D", VAR_DAYS + 2)
        return [bar for bar in bars if is_over(bar.at.date(), desk_now, INDEX_HOURS)][-VAR_DAYS - 1 :]


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


def to_come(rows: Iterable[DividendRow], desk_now: datetime) -> dict[str, list[Dividend]]:
    """Dividends that still go ex, by symbol, in order of time."""
    found: dict[str, list[Dividend]] = {}
    for row in sorted(rows, key=lambda row: row.ex_date):
        years = years_to(datetime.combine(row.ex_date, OPENS, NEW_YORK), desk_now)
        if years > 0:
            found.setdefault(row.symbol, []).append(Dividend(years, row.amount))
    return found


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


Closes = tuple[tuple[date, Close], ...]


def closes_of(vix: Sequence[Bar], vix3m: Sequence[Bar], vvix: Sequence[Bar] = ()) -> Closes:
    """Daily closes that VIX and VIX3M both have, newest last; VVIX where it is known."""
    longer, of_vix = ({bar.at.date(): bar.close for bar in bars} for bars in (vix3m, vvix))
    days = [(bar.at.date(), bar.close) for bar in vix if bar.at.date() in longer]
    return tuple((day, Close(close, longer[day], of_vix.get(day))) for day, close in days)


def _state(states: Mapping[str, MarketState], name: str) -> float | None:
    row = states.get(name)
    return row.value if row else None
