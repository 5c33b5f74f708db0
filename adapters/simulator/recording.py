"""A market opened from recorded chains: exactly the recorded quotes while it stands, sticky strikes when it is moved.

Spot, rate, carry and the volatility indices come out of the quotes themselves: forwards by put-call parity, VIX by the
strip of out-of-the-money options.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from adapters.simulator.chain import ChainFileError, ChainRow, ChainSnapshot, underlying_closes
from adapters.simulator.columns import Floats, OptionColumns, tick_ceil, tick_floor
from adapters.simulator.dynamics import Factors
from adapters.simulator.names import INDEX, RATE, SPY_RATIO
from adapters.simulator.surface import VIX3M_YEARS, VIX_YEARS, level_of, vix_of
from adapters.simulator.types import VenueQuote
from adapters.simulator.universe import Listing, Universe, register_options
from models.quant.option import Contract, Right, SecType
from models.quant.product import expiry_instant, years_to

NEAREST = 15  # strikes around the forward that vote on it
SOONEST = 5  # nearest expiries that vote on the spot
SlotKey = tuple[str, str, date]  # symbol, class, expiry
Pairs = dict[float, dict[Right, ChainRow]]


class Recording:
    """The recorded rows of one session with what they imply. Built once; `fill` lays it into option columns."""

    def __init__(self, chains: Sequence[ChainSnapshot], at: datetime) -> None:
        if not chains or {c.symbol for c in chains} - {"SPX", "SPY"}:
            names = ", ".join(f"{c.path} ({c.symbol})" for c in chains) or "none"
            raise ChainFileError(f"a market opens from a chain of SPX, SPY or both; got {names}")
        self.at = at
        self.session = chains[0].session
        self.symbols = frozenset(c.symbol for c in chains)
        self.rows: dict[str, ChainRow] = {}
        self._slots: dict[SlotKey, Pairs] = defaultdict(lambda: defaultdict(dict))
        for chain in chains:
            for row in chain.rows:
                contract = _contract(chain.symbol, row)
                self.rows[f"{SecType.OPTION}:{contract.identity}"] = row
                self._slots[chain.symbol, row.trading_class, row.expiry][row.strike][row.right] = row
        self.rate = self._rate()
        self.forwards = {key: f for key in self._slots if (f := self._forward(key)) is not None}
        self._fits = {symbol: self._fit(symbol, chains) for symbol in self.symbols}
        closes = underlying_closes(chains[0].path, self.session)
        self._set_spots(closes)
        self._set_volatility()

    # ── what the quotes imply ──────────────────────────────────────────────────────────────────────────────────
    def years(self, key: SlotKey) -> float:
        symbol, cls, expiry = key
        return years_to(expiry_instant(Contract(symbol, SecType.OPTION, cls, 100, expiry, 1.0, Right.CALL)), self.at)

    def _differences(self, key: SlotKey) -> tuple[Floats, Floats]:
        """Strikes and call mid minus put mid where both are known."""
        found = []
        for strike, pair in self._slots[key].items():
            call, put = pair.get(Right.CALL), pair.get(Right.PUT)
            if call and put and call.bid and put.bid and call.mid is not None and put.mid is not None:
                found.append((strike, call.mid - put.mid))
        found.sort()
        return np.array([k for k, _ in found]), np.array([d for _, d in found])

    def _rate(self) -> float:
        """Median of the rates that the slope of C − P against strike implies; the demo's rate without enough pairs."""
        rates = []
        for key in self._slots:
            years = self.years(key)
            strikes, gap = self._differences(key)
            if not 0.15 < years < 1.5 or len(strikes) < NEAREST:
                continue
            centre = strikes[np.argmin(np.abs(gap))]
            near = np.abs(strikes / centre - 1) < 0.1
            if near.sum() >= NEAREST:
                slope = float(np.polyfit(strikes[near], gap[near], 1)[0])
                rates.append(-math.log(max(-slope, 1e-3)) / years)
        rate = float(np.median(rates)) if rates else RATE
        return rate if -0.02 < rate < 0.15 else RATE

    def _forward(self, key: SlotKey) -> float | None:
        strikes, gap = self._differences(key)
        years = self.years(key)
        if len(strikes) < 3 or years <= 0:
            return None
        nearest = np.argsort(np.abs(gap))[:NEAREST]
        return float(np.median(strikes[nearest] + gap[nearest] * math.exp(self.rate * years)))

    def _fit(self, symbol: str, chains: Sequence[ChainSnapshot]) -> tuple[float, float]:
        """(spot, carry per year): the carry of half a year of forwards, and the spot the nearest of them imply.

        Dividends fall on days, not evenly: a line through all forwards misses the spot by what lies ahead.
        """
        points = [(self.years(k), math.log(f)) for k, f in self.forwards.items() if k[0] == symbol]
        near = [p for p in points if 1 / 365 < p[0] < 0.6] or points
        if not near:
            path = next(c.path for c in chains if c.symbol == symbol)
            raise ChainFileError(f"chain file {path}: no expiry quotes calls and puts at the same strikes; no spot")
        t, y = np.array([p[0] for p in near]), np.array([p[1] for p in near])
        if len(near) < 3:
            carry = self.rate - INDEX.dividend
            return float(np.exp(np.median(y - carry * t))), carry
        carry = float(np.polyfit(t, y, 1)[0])
        soonest = np.argsort(t)[:SOONEST]
        return float(np.exp(np.median(y[soonest] - carry * t[soonest]))), carry

    def _set_spots(self, closes: Mapping[str, float]) -> None:
        ratio = closes["SPY"] / closes["SPX"] if {"SPX", "SPY"} <= closes.keys() else SPY_RATIO
        if self.symbols == {"SPX", "SPY"}:
            self.spot = self._fits["SPX"][0]
            self.spy_ratio = self._fits["SPY"][0] / self.spot
        elif "SPX" in self.symbols:
            self.spot, self.spy_ratio = self._fits["SPX"][0], ratio
        else:
            self.spot, self.spy_ratio = self._fits["SPY"][0] / ratio, ratio
        self.carry = self._fits["SPX" if "SPX" in self.symbols else "SPY"][1]

    def _set_volatility(self) -> None:
        symbol = "SPX" if "SPX" in self.symbols else "SPY"
        strips = sorted(
            (self.years(key), v * self.years(key)) for key in self.forwards
            if key[0] == symbol and key[1] != "SPX" and 7 / 365 < self.years(key) < 1 and (v := self._strip(key))
        )  # fmt: skip
        if not strips:
            self.vix, self.vix3m_basis = 16.5, 0.0
            return
        t, total = np.array([s[0] for s in strips]), np.array([s[1] for s in strips])
        index = [100 * math.sqrt(float(np.interp(years, t, total)) / years) for years in (VIX_YEARS, VIX3M_YEARS)]
        self.vix = index[0]
        self.vix3m_basis = index[1] - vix_of(INDEX.smile, level_of(INDEX.smile, index[0]), VIX3M_YEARS)

    def _strip(self, key: SlotKey) -> float | None:
        """Annual variance of the out-of-the-money strip (Cboe VIX white paper, formula 1); None with too few."""
        forward, years = self.forwards[key], self.years(key)
        quotes = []
        for strike, pair in sorted(self._slots[key].items()):
            row = pair.get(Right.CALL if strike >= forward else Right.PUT)
            if row is not None and row.bid and row.mid is not None:
                quotes.append((strike, row.mid))
        if len(quotes) < NEAREST:
            return None
        k, price = np.array([q[0] for q in quotes]), np.array([q[1] for q in quotes])
        width = np.gradient(k)
        below = k[k <= forward]
        centre = below[-1] if len(below) else k[0]
        strip = 2 * math.exp(self.rate * years) * float(np.sum(width / k**2 * price)) / years
        return strip - (forward / centre - 1) ** 2 / years

    # ── the market it opens ────────────────────────────────────────────────────────────────────────────────────
    def register(self, universe: Universe) -> None:
        """List every recorded contract; the underlyings must be registered already."""
        for (symbol, cls, expiry), pairs in self._slots.items():
            register_options(universe, Listing(cls, symbol, {expiry: tuple(sorted(pairs))}))

    def fill(self, columns: OptionColumns, universe: Universe) -> None:
        """Mark recorded rows and give them their own volatility and carry."""
        count = len(columns.con_ids)
        self._bid, self._ask = np.full(count, np.nan), np.full(count, np.nan)
        self._record: list[ChainRow | None] = [None] * count
        forward = np.full(count, np.nan)
        for row, con_id in enumerate(columns.con_ids.tolist()):
            contract = universe[con_id].contract
            if contract.symbol == "SPY":
                columns.scale[row] = self.spy_ratio
            record = self.rows.get(f"{SecType.OPTION}:{contract.identity}")
            if record is None or contract.expiry is None:
                continue
            self._record[row] = record
            columns.recorded[row] = True
            self._bid[row] = np.nan if record.bid is None else record.bid
            self._ask[row] = np.nan if record.ask is None else record.ask
            columns.rate[row] = self.rate
            forward[row] = self.forwards.get((contract.symbol, contract.trading_class, contract.expiry), np.nan)
        self._fill_volatility(columns, forward)

    def _fill_volatility(self, columns: OptionColumns, forward: Floats) -> None:
        from models.quant.implied import implied_vol_forward

        rows = np.flatnonzero(columns.recorded)
        t = columns.years(rows, self.at.timestamp())
        spot = self.spot * columns.scale[rows]
        carried = spot * np.exp(self.carry * t)
        ahead = np.where(np.isfinite(forward[rows]), forward[rows], carried)
        with np.errstate(all="ignore"):
            columns.carry_yield[rows] = np.where(t > 0, self.rate - np.log(ahead / spot) / np.where(t > 0, t, 1), 0.0)
        mid = (self._bid[rows] + self._ask[rows]) / 2
        live = t > 0
        iv = np.full(len(rows), np.nan)
        with np.errstate(all="ignore"):
            iv[live] = implied_vol_forward(
                mid[live], ahead[live], columns.strike[rows][live], t[live], np.exp(-self.rate * t[live]),
                columns.is_call[rows][live],
            )  # fmt: skip
        columns.own_iv[rows] = iv
        self._borrow(columns, rows)
        columns.unknown_iv[rows] = [record is None or record.iv is None for record in (self._record[r] for r in rows)]

    def _borrow(self, columns: OptionColumns, rows: NDArray[np.int64]) -> None:
        """In-the-money rows, and those whose price says nothing, take the volatility of the out-of-the-money strip.

        Deep options are quoted so wide that their mid says little about volatility.
        """
        groups: dict[tuple[float, bool], list[int]] = defaultdict(list)
        for row in rows.tolist():
            groups[columns.settles[row], bool(columns.scale[row] == 1.0)].append(row)
        for members in groups.values():
            ids = np.array(members)
            known = np.isfinite(columns.own_iv[ids])
            outside = columns.is_call[ids] == (columns.strike[ids] >= self.spot * columns.scale[ids])
            strip = ids[known & outside] if (known & outside).any() else ids[known]
            if not len(strip):
                continue
            order = strip[np.argsort(columns.strike[strip], kind="stable")]
            rest = np.setdiff1d(ids, strip)
            columns.own_iv[rest] = np.interp(columns.strike[rest], columns.strike[order], columns.own_iv[order])

    def moved(self, factors: Factors) -> bool:
        """Has the market been told to move since the record?"""
        return factors.points != 0.0 or abs(factors.index / self.spot - 1) > 1e-12

    def quotes(self, columns: OptionColumns, rows: NDArray[np.int64], factors: Factors) -> list[VenueQuote]:
        """Recorded quotes, or their sticky-strike revaluation with the recorded spread once the market moved."""
        bid, ask = self._bid[rows], self._ask[rows]
        if self.moved(factors):
            bid, ask = self._revalued(columns, rows, factors, bid, ask)
        at = datetime.fromtimestamp(factors.at, UTC)
        return [
            self._quote(self._record[row], bid[i], ask[i], at, factors.halted)
            for i, row in enumerate(rows.tolist())
        ]  # fmt: skip

    def _revalued(
        self, columns: OptionColumns, rows: NDArray[np.int64], factors: Factors, bid: Floats, ask: Floats
    ) -> tuple[Floats, Floats]:
        before = Factors(0, self.at.timestamp(), factors.spots * self.spot / factors.index, factors.level, factors.rest)
        change = columns.value(rows, factors).price - columns.value(rows, before).price
        ticks = columns.index_ticks[rows]
        change = np.where(np.isfinite(change), change, np.nan)
        with np.errstate(invalid="ignore"):
            new_bid = np.maximum(tick_floor(bid + change, ticks), 0.0)
            floor = np.where(ticks, 0.05, 0.01)
            return new_bid, np.maximum(tick_ceil(ask + change, ticks), new_bid + floor)

    def _quote(self, row: ChainRow | None, bid: float, ask: float, at: datetime, halted: bool) -> VenueQuote:
        assert row is not None
        return VenueQuote(
            _known(bid), _known(ask), row.bid_size, row.ask_size, row.last, None, row.volume, row.open, row.high,
            row.low, row.close, at, halted, row.open_interest,
        )  # fmt: skip


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _contract(symbol: str, row: ChainRow) -> Contract:
    return Contract(symbol, SecType.OPTION, row.trading_class, 100, row.expiry, row.strike, row.right)
