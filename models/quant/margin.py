"""A first margin estimate by strategies: Reg T / Cboe rule 10.3 for options and shares, a table for futures.

It stands in where the broker's what-if is not at hand and says so. Longs are paid in full and carry no requirement;
a spread's requirement is the most it can owe; a naked short's is its value plus a share of the underlying.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.covering import Covered, Lot, cover
from models.quant.option import Right, SecType
from models.quant.terms import Holding, MarketView, terms_of

Floats = NDArray[np.float64]

ESTIMATE = "estimate: strategy-based"


@dataclass(frozen=True)
class Rule:
    """Share of the underlying for a naked short option; both shares are multiplied by an ETF's leverage."""

    share: float
    least: float
    leverage: float = 1.0


@dataclass(frozen=True)
class FutureMargin:
    """Currency per contract."""

    initial: float
    maintenance: float


BROAD = Rule(0.15, 0.10)
NARROW = Rule(0.20, 0.10)
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("SPX", "XSP", "SPY", "NDX", "QQQ", "RUT", "IWM", "DJX", "DIA", "OEX", "XEO", "VOO", "IVV"), BROAD),
    **dict.fromkeys(("SSO", "QLD", "SDS", "QID"), Rule(0.15, 0.10, 2.0)),
    **dict.fromkeys(("UPRO", "SPXU", "SPXL", "SPXS", "TQQQ", "SQQQ"), Rule(0.15, 0.10, 3.0)),
}
"""By underlying; whatever is not named is an equity or a narrow index (20 %)."""

# Of the size the exchange asks in calm times; the exchange's own scan (SPAN 2) moves daily and is not reproduced.
FUTURES: Mapping[str, FutureMargin] = {
    "ES": FutureMargin(24_200.0, 22_000.0),
    "MES": FutureMargin(2_420.0, 2_200.0),
    "CL": FutureMargin(6_600.0, 6_000.0),
}
SHARES_INITIAL = 0.50
SHARES_MAINTENANCE = {True: 0.25, False: 0.30}  # long, short


@dataclass(frozen=True)
class MarginLine:
    """One part of an estimate, in currency; `value` is its options' market value, long positive."""

    what: str
    initial: float
    maintenance: float
    value: float = 0.0


@dataclass(frozen=True)
class MarginEstimate:
    """Requirement in currency; None when a price it depends on is unknown (`missing` says which).

    The account's equity is taken to hold the options' market value, as the broker counts it: opening a trade takes
    `initial` plus the premium paid, or less the premium received.
    """

    initial: float | None
    maintenance: float | None
    method: str = ESTIMATE
    lines: tuple[MarginLine, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShortRisk:
    """`naked_notional`: spot × multiplier of uncovered shorts. `defined_loss`: the most any one expiry's covered shorts
    of one underlying can still lose from the present marks. Currency; None is unknown.
    """

    naked_notional: float | None
    defined_loss: float | None


def rule_of(symbol: str) -> Rule:
    return RULES.get(symbol, NARROW)


def naked_requirement(spot: float, strike: float, price: float, is_call: bool, rule: Rule) -> float:
    """Per share: price + max(share × spot − out-of-the-money amount, least × (spot for a call, strike for a put))."""
    otm = max(strike - spot if is_call else spot - strike, 0.0)
    base = spot if is_call else strike
    return price + max(rule.share * rule.leverage * spot - otm, rule.least * rule.leverage * base)


def estimate_margin(holdings: Sequence[Holding], market: MarketView) -> MarginEstimate:
    """The requirement of a book. Options and shares per underlying, futures net per root."""
    held = [h for h in holdings if h.quantity]
    terms = terms_of([h.contract for h in held], market)
    lots = [Lot(h.contract, h.quantity, i) for i, h in enumerate(held)]
    blind = [str(lot.contract) for lot in lots if _needs_price(lot) and not _priced(lot, terms.spot, terms.price)]
    if blind:
        return MarginEstimate(None, None, missing=tuple(f"{name}: no price" for name in blind))
    lines: list[MarginLine] = []
    for group in cover(lots):
        lines += _option_lines(group, terms.spot, terms.price)
    lines += _share_lines(lots, terms.spot)
    futures, unknown = _future_lines(lots)
    if unknown:
        return MarginEstimate(None, None, missing=tuple(f"{root}: no futures margin in the table" for root in unknown))
    lines += futures
    return MarginEstimate(
        math.fsum(x.initial for x in lines), math.fsum(x.maintenance for x in lines), lines=tuple(lines)
    )


def margin_change(holdings: Sequence[Holding], added: Sequence[Holding], market: MarketView) -> MarginEstimate:
    """After minus before of the estimate when `added` joins the book; None where either is unknown."""
    total: dict[str, Holding] = {}
    for h in (*holdings, *added):
        known = total.get(h.contract.identity)
        total[h.contract.identity] = Holding(h.contract, h.quantity + (known.quantity if known else 0.0))
    before, after = estimate_margin(holdings, market), estimate_margin(list(total.values()), market)
    return MarginEstimate(
        _minus(after.initial, before.initial),
        _minus(after.maintenance, before.maintenance),
        missing=tuple(dict.fromkeys((*before.missing, *after.missing))),
    )


def short_risk(holdings: Sequence[Holding], spots: ArrayLike, values: ArrayLike | None = None) -> ShortRisk:
    """Naked notional and the largest defined loss of a book; `spots` and `values` (currency per contract) per holding.

    Without `values` a spread's loss is counted before the premium it brought.
    """
    spot = np.asarray(spots, dtype=np.float64)
    value = np.zeros(spot.size) if values is None else np.asarray(values, dtype=np.float64)
    groups = cover([Lot(h.contract, h.quantity, i) for i, h in enumerate(holdings)])
    notional = math.fsum(
        -lot.quantity * lot.contract.multiplier * spot[lot.row] for group in groups for lot in group.naked
    )
    losses = [
        max(spread.risk + math.fsum(lot.quantity * value[lot.row] for lot in spread.lots), 0.0)
        for group in groups
        for spread in group.spreads
    ]
    known = all(math.isfinite(x) for x in losses)
    return ShortRisk(notional if math.isfinite(notional) else None, (max(losses) if losses else 0.0) if known else None)


def _needs_price(lot: Lot) -> bool:
    return lot.contract.sec_type is not SecType.FUTURE


def _priced(lot: Lot, spot: Floats, price: Floats) -> bool:
    return bool(np.isfinite(price[lot.row]) and (lot.quantity > 0 or np.isfinite(spot[lot.row])))


def _option_lines(group: Covered, spot: Floats, price: Floats) -> list[MarginLine]:
    lines = [
        MarginLine(f"{group.symbol} spreads", spread.risk, spread.risk, _value(spread.lots, price))
        for spread in group.spreads
    ]
    if group.naked:
        required = _naked(group.naked, spot, price)
        lines.append(MarginLine(f"{group.symbol} naked", required, required, _value(group.naked, price)))
    for lots, what in ((group.by_shares, "covered by shares"), (group.loose, "long, paid in full")):
        if lots:
            lines.append(MarginLine(f"{group.symbol} {what}", 0.0, 0.0, _value(lots, price)))
    return lines


def _value(lots: Sequence[Lot], price: Floats) -> float:
    return math.fsum(lot.quantity * lot.contract.multiplier * float(price[lot.row]) for lot in lots)


def _naked(lots: Sequence[Lot], spot: Floats, price: Floats) -> float:
    """Calls and puts against each other as short strangles: the greater side, and the other side's value.

    Contracts of the larger side beyond the smaller's number stand alone; dear ones are paired first.
    """
    sides: dict[Right, list[tuple[float, float, float]]] = {Right.CALL: [], Right.PUT: []}
    for lot in lots:
        c = lot.contract
        assert c.right is not None and c.strike is not None
        s, p = float(spot[lot.row]), float(price[lot.row])
        if c.sec_type is SecType.FUTURE_OPTION:
            per_share = _future_option(c.symbol, s, c.strike, p, c.right is Right.CALL, c.multiplier)
        else:
            per_share = naked_requirement(s, c.strike, p, c.right is Right.CALL, rule_of(c.symbol))
        sides[c.right].append((per_share * c.multiplier, p * c.multiplier, -lot.quantity))
    calls, puts = (sorted(sides[right], reverse=True) for right in (Right.CALL, Right.PUT))
    total = 0.0
    while calls and puts:
        (a, value_a, n), (b, value_b, m) = calls[0], puts[0]
        pairs = min(n, m)
        total += pairs * (a + value_b if a >= b else b + value_a)
        calls, puts = _used(calls, pairs), _used(puts, pairs)
    return total + math.fsum(required * n for required, _, n in (*calls, *puts))


def _used(side: list[tuple[float, float, float]], quantity: float) -> list[tuple[float, float, float]]:
    required, value, n = side[0]
    return side[1:] if n <= quantity else [(required, value, n - quantity), *side[1:]]


def _future_option(symbol: str, spot: float, strike: float, price: float, is_call: bool, multiplier: float) -> float:
    """Value + the future's margin less half the out-of-the-money amount, at least half of it: the rule before SPAN."""
    margin = FUTURES.get(symbol)
    if margin is None:
        return math.nan
    otm = max(strike - spot if is_call else spot - strike, 0.0)
    return price + max(margin.initial / multiplier - 0.5 * otm, 0.5 * margin.initial / multiplier)


def _share_lines(lots: Sequence[Lot], spot: Floats) -> list[MarginLine]:
    lines = []
    for lot in lots:
        if lot.contract.sec_type is SecType.STOCK:
            value = abs(lot.quantity) * lot.contract.multiplier * float(spot[lot.row])
            lines.append(
                MarginLine(
                    f"{lot.contract.symbol} shares",
                    SHARES_INITIAL * value,
                    SHARES_MAINTENANCE[lot.quantity > 0] * value,
                )
            )
    return lines


def _future_lines(lots: Sequence[Lot]) -> tuple[list[MarginLine], list[str]]:
    net: dict[str, float] = {}
    for lot in lots:
        if lot.contract.sec_type is SecType.FUTURE:
            root = lot.contract.trading_class
            net[root] = net.get(root, 0.0) + lot.quantity
    roots = {lot.contract.symbol for lot in lots if lot.contract.sec_type is SecType.FUTURE_OPTION and lot.quantity < 0}
    unknown = sorted(root for root in {*net, *roots} if root not in FUTURES)
    lines = [
        MarginLine(f"{root} futures", abs(n) * FUTURES[root].initial, abs(n) * FUTURES[root].maintenance)
        for root, n in sorted(net.items())
        if root in FUTURES
    ]
    return lines, unknown


def _minus(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before
