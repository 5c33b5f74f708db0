"""What the venue asks as margin: Reg T style strategy rules for options and shares, a fixed table for futures.

Rules (Cboe margin manual, chapter 10.3): a naked short option costs its price plus the larger of a share of the
underlying less what it is out of the money, and a tenth (of spot for calls, of strike for puts); a spread whose long
leg lives at least as long costs its width; of a short put side and a short call side only the larger is asked, plus
the other side's price when that is naked.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from models.quant.option import Contract, Right, SecType

FUTURES_INITIAL: Mapping[str, float] = {"ES": 24_000.0, "MES": 2_400.0, "CL": 7_500.0}  # per contract, as of 2026
MAINTENANCE_SHARE = 0.9  # futures maintenance as a share of initial
BROAD_SYMBOLS = frozenset({"SPX", "XSP", "SPY"})
BROAD_RATE, EQUITY_RATE, LEAST_RATE = 0.15, 0.20, 0.10
SHARE_INITIAL, SHARE_MAINTENANCE, SHORT_SHARE_MAINTENANCE = 0.50, 0.25, 0.30
EPSILON = 1e-9


@dataclass(frozen=True)
class Requirement:
    initial: float = 0.0
    maintenance: float = 0.0

    def __add__(self, other: "Requirement") -> "Requirement":
        return Requirement(self.initial + other.initial, self.maintenance + other.maintenance)


@dataclass(frozen=True)
class _Lot:
    """Some contracts of one option on one side, with what one of them costs alone."""

    contract: Contract
    count: float
    price: float


@dataclass(frozen=True)
class _Short:
    """A short (part) after pairing: what one costs, and the option's own value when it stayed naked."""

    count: float
    each: float
    naked_value: float


Prices = Callable[[Contract], float]


def requirement(
    holdings: Iterable[tuple[Contract, float]], price_of: Prices, spot_of: Callable[[str], float]
) -> Requirement:
    """Initial and maintenance margin of signed holdings; `price_of` per share or point, `spot_of` an underlying."""
    options: dict[str, list[tuple[Contract, float]]] = defaultdict(list)
    shares: dict[str, float] = defaultdict(float)
    futures: dict[str, float] = defaultdict(float)
    for contract, quantity in holdings:
        if contract.is_option:
            options[contract.symbol].append((contract, quantity))
        elif contract.sec_type is SecType.FUTURE:
            futures[contract.symbol] += quantity
        else:
            shares[contract.symbol] += quantity
    total = Requirement()
    for symbol, count in futures.items():
        asked = abs(count) * FUTURES_INITIAL.get(symbol, 0.0)
        total += Requirement(asked, asked * MAINTENANCE_SHARE)
    for symbol, count in shares.items():
        value = abs(count) * spot_of(symbol)
        keep = SHARE_MAINTENANCE if count > 0 else SHORT_SHARE_MAINTENANCE
        total += Requirement(value * SHARE_INITIAL, value * keep)
    for symbol, held in options.items():
        asked = _options(held, price_of, spot_of(symbol), shares.get(symbol, 0.0))
        total += Requirement(asked, asked)
    return total


def naked(contract: Contract, price: float, spot: float) -> float:
    """Currency one short contract costs alone."""
    assert contract.strike is not None
    call = contract.right is Right.CALL
    out = max(contract.strike - spot, 0.0) if call else max(spot - contract.strike, 0.0)
    rate = BROAD_RATE if contract.symbol in BROAD_SYMBOLS else EQUITY_RATE
    least = LEAST_RATE * (spot if call else contract.strike)
    return (price + max(rate * spot - out, least)) * contract.multiplier


def _options(held: list[tuple[Contract, float]], price_of: Prices, spot: float, shares: float) -> float:
    sides: dict[Right, list[_Short]] = {}
    for right in Right:
        mine = [(c, q) for c, q in held if c.right is right]
        shorts = [_Lot(c, -q, price_of(c)) for c, q in mine if q < -EPSILON]
        longs = [_Lot(c, q, 0.0) for c, q in mine if q > EPSILON]
        covered = shares / 100 if right is Right.CALL else -shares / 100
        sides[right] = _pair(shorts, longs, right, spot, max(covered, 0.0))
    return _larger_side(sides[Right.CALL], sides[Right.PUT])


def _pair(shorts: list[_Lot], longs: list[_Lot], right: Right, spot: float, covered: float) -> list[_Short]:
    """Cover shorts with shares, then with the longs that leave least to ask, dearest shorts first."""
    left = [[lot.contract, lot.count] for lot in longs]
    found = []
    for short in sorted(shorts, key=lambda lot: -naked(lot.contract, lot.price, spot)):
        alone = naked(short.contract, short.price, spot)
        count = short.count
        taken = min(covered, count)
        covered, count = covered - taken, count - taken
        widths = [(_width(short.contract, c, right), i) for i, (c, n) in enumerate(left) if n > EPSILON]
        for width, i in sorted((w, i) for w, i in widths if w is not None and w < alone):
            if count <= EPSILON:
                break
            used = min(count, left[i][1])
            left[i][1] -= used
            count -= used
            found.append(_Short(used, width, 0.0))
        if count > EPSILON:
            found.append(_Short(count, alone, short.price * short.contract.multiplier))
    return found


def _width(short: Contract, long: Contract, right: Right) -> float | None:
    """Most a spread can lose, in currency; None when the long leg dies first."""
    assert short.strike is not None and long.strike is not None and short.expiry and long.expiry
    if long.expiry < short.expiry:
        return None
    gap = long.strike - short.strike if right is Right.CALL else short.strike - long.strike
    return max(gap, 0.0) * short.multiplier


def _larger_side(calls: list[_Short], puts: list[_Short]) -> float:
    """Lots of the two sides against each other: the larger asks, plus the other's price when it is naked."""
    total = 0.0
    left = [[s, s.count] for s in sorted(puts, key=lambda s: -s.each)]
    for call in sorted(calls, key=lambda s: -s.each):
        count = call.count
        for slot in left:
            put, room = slot
            used = min(count, room)
            if used <= EPSILON:
                continue
            slot[1] -= used
            count -= used
            larger, smaller = (call, put) if call.each >= put.each else (put, call)
            total += used * (larger.each + smaller.naked_value)
        total += count * call.each
    return total + sum(count * put.each for put, count in left)
