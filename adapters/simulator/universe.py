"""The register of everything listed: instruments with stable numbers, searchable the way clients ask.

A con_id is a hash of the contract's identity, so the same contract carries the same number in every run; the rare
collision steps to the next free number in listing order.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from adapters.simulator import listing
from adapters.simulator.names import FUTURES_LISTED, LAYOUTS, NAMES, SHARES, VOLATILITY_INDICES, Name
from adapters.simulator.types import ChainClass, Instrument
from models import calendar
from models.quant.option import Contract, Right, SecType
from models.quant.product import PRODUCTS, product_of

# IBKR market rules as (from price, increment); the ids are the venue's own names for them.
MARKET_RULES: Mapping[int, tuple[tuple[float, float], ...]] = {
    26: ((0.0, 0.01),),
    67: ((0.0, 0.25),),
    110: ((0.0, 0.05), (3.0, 0.10)),
}
BAG_CON_ID = 28812380  # IBKR's number for a combo


def rule_of(contract: Contract) -> int:
    ticks = product_of(contract).ticks
    return next(rule for rule, steps in MARKET_RULES.items() if steps == ticks)


@dataclass(frozen=True)
class Listing:
    """What to register for one option class: expiry → strikes. `spot` is only the money the ladder was built on."""

    trading_class: str
    symbol: str
    ladder: Mapping[date, tuple[float, ...]]


class Universe:
    """Registered instruments. Nothing is ever removed, so that a position's number stays good after expiry."""

    def __init__(self) -> None:
        self._by_id: dict[int, Instrument] = {}
        self._by_identity: dict[str, Instrument] = {}
        self._shelves: dict[tuple[str, SecType], list[Instrument]] = defaultdict(list)
        self._by_expiry: dict[tuple[str, SecType, date], list[Instrument]] = defaultdict(list)
        self._by_listed: dict[tuple[str, SecType, date], list[Instrument]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._by_id)

    def register(self, contract: Contract, local_symbol: str, long_name: str, exchange: str, primary: str,
                 under_con_id: int = 0, stock_type: str = "", industry: str = "",
                 month: str = "") -> Instrument:  # fmt: skip
        """Add a contract, or return the instrument it already is."""
        key = f"{contract.sec_type}:{contract.identity}"
        known = self._by_identity.get(key)
        if known is not None:
            return known
        rule = rule_of(contract)
        item = Instrument(
            self._free_number(key), contract, local_symbol, long_name, exchange, primary, "USD",
            MARKET_RULES[rule][0][1], under_con_id, rule, stock_type, industry,
            calendar.last_trade_day(contract), month,
        )  # fmt: skip
        self._by_id[item.con_id] = item
        self._by_identity[key] = item
        self._shelves[contract.symbol, contract.sec_type].append(item)
        if contract.expiry is not None:
            self._by_expiry[contract.symbol, contract.sec_type, contract.expiry].append(item)
        if item.listed_day is not None:
            self._by_listed[contract.symbol, contract.sec_type, item.listed_day].append(item)
        return item

    def _free_number(self, key: str) -> int:
        number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "big") % 0x7FF00000 + 1000
        while number in self._by_id or number == BAG_CON_ID:
            number += 1
        return number

    def __getitem__(self, con_id: int) -> Instrument:
        return self._by_id[con_id]

    def get(self, con_id: int) -> Instrument | None:
        return self._by_id.get(con_id)

    def of(self, contract: Contract) -> Instrument | None:
        """The instrument of a contract, by identity."""
        return self._by_identity.get(f"{contract.sec_type}:{contract.identity}")

    def all(self) -> Iterable[Instrument]:
        return self._by_id.values()

    def options(self, symbol: str) -> list[Instrument]:
        return self._shelves.get((symbol, SecType.OPTION), [])

    def symbols_with_options(self) -> list[str]:
        return [symbol for symbol, kind in self._shelves if kind is SecType.OPTION]

    def find(self, **filters: object) -> list[Instrument]:
        """Instruments matching every given filter; empty ones ("", 0, None) do not filter.

        Filters: con_id, symbol, sec_type, trading_class, expiry, strike, right ("C"/"CALL"/"P"/"PUT"), multiplier,
        local_symbol, exchange, currency. An expiry given as a date is the settlement date; as text it is what clients
        state, the last trading day "YYYYMMDD" or the contract month "YYYYMM". Unknown filter names raise TypeError.
        """
        wanted = {name: value for name, value in filters.items() if value not in ("", 0, None, 0.0)}
        unknown = set(wanted) - {"con_id", *_TESTS}
        if unknown:
            raise TypeError(f"no such filter: {', '.join(sorted(unknown))}")
        con_id = wanted.pop("con_id", None)
        if con_id is not None:
            item = self._by_id.get(int(str(con_id)))
            return [item] if item else []
        return [item for item in self._candidates(wanted) if all(_TESTS[n](item, v) for n, v in wanted.items())]

    def _candidates(self, wanted: Mapping[str, object]) -> Iterable[Instrument]:
        symbol, kind, expiry = wanted.get("symbol"), wanted.get("sec_type"), _as_date(wanted.get("expiry"))
        if symbol is None:
            return list(self._by_id.values())
        kinds = [SecType(str(kind))] if kind in set(SecType) else list(SecType)
        if kind is not None and kind not in set(SecType):
            return []
        if expiry is not None:
            shelf = self._by_expiry if isinstance(wanted.get("expiry"), date) else self._by_listed
            return [item for k in kinds for item in shelf.get((str(symbol), k, expiry), [])]
        return [item for k in kinds for item in self._shelves.get((str(symbol), k), [])]

    def chains(self, symbol: str, today: date) -> list[ChainClass]:
        """One line per option class of an underlying, living expiries only; strikes are the union over expiries.

        Expirations are last trading days, as the broker lists them: AM-settled ones stand under their eve.
        """
        found: dict[str, tuple[set[str], set[float]]] = defaultdict(lambda: (set(), set()))
        for item in self.options(symbol):
            c, day = item.contract, item.listed_day
            if day is not None and day >= today and c.strike is not None:
                expiries, strikes = found[c.trading_class]
                expiries.add(f"{day:%Y%m%d}")
                strikes.add(c.strike)
        sample = {item.contract.trading_class: item for item in self.options(symbol)}
        return [
            ChainClass(
                exchange, sample[cls].under_con_id, cls, f"{sample[cls].contract.multiplier:g}",
                tuple(sorted(expiries)), tuple(sorted(strikes)),
            )
            for cls, (expiries, strikes) in sorted(found.items())
            for exchange in ("SMART", "CBOE")
        ]  # fmt: skip


def _as_date(raw: object) -> date | None:
    if isinstance(raw, date):
        return raw
    text = str(raw or "")
    return date.fromisoformat(text) if len(text) in (8, 10) else None


def _expiry_matches(item: Instrument, raw: object) -> bool:
    if isinstance(raw, date):
        return item.contract.expiry == raw
    text = str(raw).replace("-", "")
    if len(text) == len("YYYYMM"):
        return item.contract_month == text
    return item.listed_day is not None and f"{item.listed_day:%Y%m%d}" == text


_TESTS = {
    "symbol": lambda item, v: item.contract.symbol == v,
    "sec_type": lambda item, v: item.contract.sec_type == v,
    "trading_class": lambda item, v: item.contract.trading_class == v,
    "expiry": _expiry_matches,
    "strike": lambda item, v: item.contract.strike is not None and abs(item.contract.strike - float(v)) < 1e-9,
    "right": lambda item, v: item.contract.right is not None and item.contract.right.value == str(v)[:1].upper(),
    "multiplier": lambda item, v: item.contract.multiplier == float(v),
    "local_symbol": lambda item, v: item.local_symbol.replace(" ", "") == str(v).replace(" ", ""),
    "exchange": lambda item, v: v in ("SMART", item.exchange, item.primary_exchange),
    "currency": lambda item, v: item.currency == v,
}


def register_underlyings(universe: Universe) -> None:
    """Indices, the ETF and the shares: what never expires."""
    index = NAMES[0]
    universe.register(_plain(index.symbol, SecType.INDEX), "SPX", index.long_name, "CBOE", "CBOE")
    for symbol, long_name in VOLATILITY_INDICES:
        universe.register(_plain(symbol, SecType.INDEX), symbol, long_name, "CBOE", "CBOE")
    spy = _plain("SPY", SecType.STOCK)
    universe.register(spy, "SPY", "SS SPDR S&P 500 ETF TRUST-US", "SMART", "ARCA", 0, "ETF")
    for name in SHARES:
        universe.register(
            _plain(name.symbol, SecType.STOCK), name.symbol, name.long_name, "SMART", name.primary_exchange,
            0, "COMMON", name.industry,
        )  # fmt: skip


def register_futures(universe: Universe, today: date) -> None:
    for root in ("ES", "MES"):
        for expiry in listing.equity_future_expiries(today, FUTURES_LISTED[root]):
            register_future(universe, root, expiry)
    for expiry in listing.crude_expiries(today, FUTURES_LISTED["CL"]):
        register_future(universe, "CL", expiry)


FUTURE_NAMES = {"ES": "E-mini S&P 500", "MES": "Micro E-mini S&P 500", "CL": "Light Sweet Crude Oil"}


def register_future(universe: Universe, root: str, expiry: date) -> Instrument:
    """One future by its last trading day: crude's contract month is the month after it."""
    product = PRODUCTS[root, SecType.FUTURE]
    month = listing.crude_month(expiry) if root == "CL" else expiry
    contract = Contract(root, SecType.FUTURE, root, product.multiplier, expiry)
    return universe.register(
        contract, listing.future_symbol(root, month), FUTURE_NAMES[root], product.exchange, product.exchange,
        month=f"{month:%Y%m}",
    )  # fmt: skip


def register_options(universe: Universe, item: Listing) -> None:
    """Every strike and right of a listing; the underlying must be registered already."""
    kind = SecType.INDEX if item.symbol == "SPX" else SecType.STOCK
    under = universe.find(symbol=item.symbol, sec_type=kind)[0]
    exchange = "CBOE" if kind is SecType.INDEX else "SMART"
    for expiry, ladder in item.ladder.items():
        for strike in ladder:
            for right in Right:
                contract = Contract(item.symbol, SecType.OPTION, item.trading_class, 100.0, expiry, strike, right)
                universe.register(contract, contract.identity, under.long_name, exchange, exchange, under.con_id)


def demo_listings(today: date, spots: Mapping[str, float]) -> list[Listing]:
    """The demo's option classes on `today`, laddered around the given spots."""
    return [
        Listing(
            layout.trading_class,
            layout.symbol,
            dict.fromkeys(listing.option_expiries(layout, today), listing.strikes(layout.bands, spots[layout.symbol])),
        )
        for layout in LAYOUTS
    ]


def name_of(symbol: str) -> Name | None:
    """The independent name that drives a symbol: SPY, ES and MES are driven by SPX."""
    driver = "SPX" if symbol in ("SPY", "ES", "MES") else symbol
    return next((name for name in NAMES if name.symbol == driver), None)


def _plain(symbol: str, kind: SecType) -> Contract:
    return Contract(symbol, kind, symbol)
