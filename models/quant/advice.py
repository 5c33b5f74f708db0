"""What a proposal has been worth since it was made, whoever decided what: profit, decay, and the breach it would cure.

Every proposal is a ticket of frozen facts, filled in thought at its limit price (or in truth, at its fill). Marks are
middles, so the spread paid to enter is in the profit from the first minute; what leaving would cost is not.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.quant.breach import BreachKind, detect_breaches, measure_use
from models.quant.limits import Limits
from models.quant.option import Contract, Right, SecType
from models.quant.portfolio import SPX_GROUP, ContractVectors, Exposure, exposure_from
from models.quant.product import expiry_instant, product_of
from models.quant.structure import Leg, QuoteSource, multiplier_of

Floats = NDArray[np.float64]
DAY_SECONDS = 86400.0
_WEAKEST_FIRST = (QuoteSource.UNKNOWN, QuoteSource.MODELLED, QuoteSource.DELAYED, QuoteSource.REAL)


@dataclass(frozen=True)
class AdviceRules:
    """How long advice is followed, how often it is valued, and when a number of it may be called a finding.

    `follow_days`: calendar days after which a ticket that still lives is judged. `update_minutes`: between two looks at
    today. `quiet_minutes`: a breach that returns sooner was never over. `settle_minutes`: how far from the settlement
    minute a level may be seen; `settle_wait_days`: how long a settlement may stay unknown before the end is told
    without it. `judged_after`: closes a line must have seen before it counts. `widest`: half the width of the 95 %
    interval of a hit rate above which nothing is claimed.
    """

    follow_days: int = 60
    update_minutes: float = 5.0
    quiet_minutes: float = 30.0
    settle_minutes: float = 10.0
    settle_wait_days: int = 5
    judged_after: int = 1
    widest: float = 0.25


RULES = AdviceRules()


@dataclass(frozen=True)
class Advice:
    """One followed ticket. Prices per combo unit, debit positive; money in currency for the whole ticket.

    `entry` is the fill where `filled`, else the limit price; `mid` the fitted middle at the proposal, else the quoted
    one. `theta` per calendar day at the proposal; `cost` is what the proposal said it costs. `kinds` are the limits it
    answered; `promised` is the excess it took away, in units of them. None is unknown.
    """

    legs: tuple[Leg, ...]
    quantity: int
    entry: float
    filled: bool
    mid: float | None
    fees: float | None
    theta: float | None
    cost: float | None
    kinds: tuple[str, ...]
    promised: float | None

    @property
    def money_per_point(self) -> float:
        return self.quantity * multiplier_of(self.legs)

    @property
    def spread_paid(self) -> float | None:
        """Entry against the middle at the proposal, currency; negative where it was better."""
        return None if self.mid is None else (self.entry - self.mid) * self.money_per_point

    @property
    def entry_cost(self) -> float | None:
        """Spread and fees: what entering cost, or would have."""
        return _plus(self.spread_paid, self.fees)


def advice_of(
    legs: Sequence[Leg],
    quantity: int,
    limit_price: float,
    scores: Mapping[str, Any] | None,
    fill: "Fill | None" = None,
) -> Advice:
    """The frozen facts of a proposal as stored; of a filled one its own units, price and commission.

    Raises LegsError when the legs cannot be one ticket.
    """
    told = scores or {}
    cost, change = told.get("cost"), told.get("change") or {}
    parts: Mapping[str, Any] = cost if isinstance(cost, Mapping) else {"total": cost, "fees": told.get("commission")}
    fitted = number(told.get("fitted_mid"))
    advice = Advice(
        legs=tuple(legs),
        quantity=quantity,
        entry=limit_price,
        filled=False,
        mid=number(told.get("mid")) if fitted is None else fitted,
        fees=number(parts.get("fees")),
        theta=number(change.get("theta")),
        cost=number(parts.get("total")),
        kinds=tuple(dict.fromkeys((*(told.get("cured") or ()), *(told.get("remaining") or ())))),
        promised=number(told.get("cure")),
    )
    multiplier_of(advice.legs)
    return advice if fill is None else _as_filled(advice, fill)


@dataclass(frozen=True)
class Fill:
    """What an approved proposal became: units filled, price per unit (debit positive), commission (None unknown)."""

    quantity: int
    price: float
    fees: float | None


def _as_filled(advice: Advice, fill: Fill) -> Advice:
    share = fill.quantity / advice.quantity
    return replace(
        advice,
        quantity=fill.quantity,
        entry=fill.price,
        filled=True,
        fees=_scaled(advice.fees, share) if fill.fees is None else fill.fees,
        theta=_scaled(advice.theta, share),
        cost=_scaled(advice.cost, share),
        promised=_scaled(advice.promised, share),
    )


# ── today ────────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Worth:
    """A ticket at one moment, whole and in currency: `value` is positive for an asset, `theta` per calendar day.

    `source` is the weakest mark's; None is unknown and `missing` names each leg without a price.
    """

    value: float | None
    theta: float | None
    source: str
    missing: tuple[str, ...] = ()


def expired(contract: Contract, now: datetime) -> bool:
    return contract.expiry is not None and expiry_instant(contract) <= now


def lives(legs: Sequence[Leg], now: datetime) -> tuple[Contract, ...]:
    """The contracts of the legs that have not settled yet."""
    return tuple(leg.contract for leg in legs if not expired(leg.contract, now))


def settlement_price(contract: Contract, level: float) -> float:
    """Points a contract ends at when its underlying settles at `level`: intrinsic, or the level itself."""
    if not contract.is_option:
        return level
    assert contract.strike is not None
    return max(level - contract.strike if contract.right is Right.CALL else contract.strike - level, 0.0)


def settles_with(contract: Contract) -> tuple[str, float]:
    """(name of the level that settles it, factor on it): what is settled in cash against SPX, else its own underlying.

    Options on a future end in the future, those on SPY in shares: both at their underlying's own price.
    """
    ratio = product_of(contract).spx_ratio
    delivered = contract.sec_type in (SecType.FUTURE_OPTION, SecType.STOCK) or contract.symbol == "SPY"
    return (contract.symbol, 1.0) if delivered or ratio is None else (SPX_GROUP, ratio)


def level_at(points: Sequence[tuple[datetime, float]], instant: datetime, rules: AdviceRules = RULES) -> float | None:
    """The level seen nearest to the settlement minute; None when none was seen close enough to be it."""
    near = [(abs((at - instant).total_seconds()), level) for at, level in points]
    distance, level = min(near, default=(math.inf, math.nan))
    return level if distance <= rules.settle_minutes * 60.0 else None


@dataclass(frozen=True)
class LegMark:
    """One contract's price in points and its theta (points per day, NaN unknown), and where they came from."""

    price: float
    theta: float
    source: QuoteSource


def marks_of(market: ContractVectors) -> dict[str, LegMark]:
    """Every row of `market` as a mark, by identity."""
    return {
        contract.identity: LegMark(
            float(market.value[i] / market.multiplier[i]),
            float(market.theta[i] / market.multiplier[i]),
            QuoteSource(str(market.source[i])),
        )
        for i, contract in enumerate(market.contracts)
    }


UNMARKED = LegMark(math.nan, math.nan, QuoteSource.UNKNOWN)


def worth(advice: Advice, marks: Mapping[str, LegMark], settled: Mapping[str, float], now: datetime) -> Worth:
    """The ticket at `marks`; a leg past its settlement minute has its settled price (points) or none, and no theta."""
    value, theta, missing, sources = 0.0, 0.0, [], [QuoteSource.REAL]
    for leg in advice.legs:
        over, contract = expired(leg.contract, now), leg.contract
        mark = marks.get(contract.identity, UNMARKED)
        if over:
            mark = LegMark(settled.get(contract.identity, math.nan), 0.0, QuoteSource.REAL)
        if not math.isfinite(mark.price):
            missing.append(f"no {'settlement' if over else 'price'} of {contract}")
        size = leg.signed_ratio * advice.quantity * contract.multiplier
        value, theta = value + size * mark.price, theta + size * mark.theta
        sources.append(mark.source)
    weakest = QuoteSource.UNKNOWN if missing else min(sources, key=_WEAKEST_FIRST.index)
    return Worth(_known(value), _known(theta), weakest.value, tuple(missing))


def profit(advice: Advice, value: float | None, price: float | None) -> float | None:
    """Currency since the proposal had the whole ticket been filled at `price` per unit, fees paid; None unknown."""
    if value is None or price is None or advice.fees is None:
        return None
    return value - price * advice.money_per_point - advice.fees


def decayed(before: tuple[datetime, float], now: tuple[datetime, float]) -> float:
    """Value lost to time between two moments, from the theta (currency per day) at each: positive costs."""
    days = (now[0] - before[0]).total_seconds() / DAY_SECONDS
    return -days * (before[1] + now[1]) / 2.0


# ── the breach ───────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class BookNow:
    """One account's book on the same market as the tickets: signed quantities (N,) of its rows, money and limits."""

    market: ContractVectors
    quantities: Floats
    nlv: float | None
    maintenance: float | None
    limits: Limits
    smallest_lot: float

    def exposure(self, added: Floats | None = None, margin: float | None = 0.0) -> Exposure:
        """With `added` quantities and a change of maintenance margin (None unknown)."""
        held = self.quantities if added is None else self.quantities + added
        return exposure_from(self.market, held, self.nlv, _plus(self.maintenance, margin))

    def excess(self, exposure: Exposure, kinds: Sequence[str]) -> float | None:
        """How far over the limits of `kinds`, each in units of its limit, summed; None when any is unknown."""
        if not self.limits.known:
            return None
        uses = measure_use(exposure, self.limits, self.smallest_lot)
        shares_unknown = BreachKind.VEGA_SHARE in kinds and exposure.vega_weighted is None
        if shares_unknown or any(use.breached is None for use in uses if use.kind in kinds):
            return None
        broken = detect_breaches(exposure, self.limits, self.smallest_lot)
        return math.fsum(breach.severity for breach in broken if breach.kind in kinds)


@dataclass(frozen=True)
class Cure:
    """The breach answered, today, in units of its limits: without the ticket, and with it. None is unknown."""

    without: float | None
    left: float | None

    @property
    def taken(self) -> float | None:
        return None if self.without is None or self.left is None else self.without - self.left

    def kept(self, promised: float | None) -> float | None:
        """Share of what it promised, as far as it is still needed; None when unknown or when nothing is left to cure.

        Below zero it would deepen the breach.
        """
        if self.taken is None or promised is None or not self.without or promised <= 0:
            return None
        return self.taken / min(promised, self.without)


NOTHING_ANSWERED = Cure(None, None)


def cure(advice: Advice, book: BookNow, now: datetime, margin_change: float | None = None) -> Cure:
    """What the ticket takes off the breach it answered, the rest of the book staying as it is.

    The book holds a filled one: it is compared with the book less the ticket. `margin_change` is the maintenance margin
    that the ticket adds to the book it is not in, needed only where margin was answered.
    """
    if not advice.kinds:
        return NOTHING_ANSWERED
    ticket = book.market.quantities(_alive(advice, now))
    margin = margin_change if BreachKind.MARGIN in advice.kinds else 0.0
    as_is = book.excess(book.exposure(), advice.kinds)
    if advice.filled:
        less = None if margin is None else -margin
        return Cure(book.excess(book.exposure(-ticket, less), advice.kinds), as_is)
    return Cure(as_is, book.excess(book.exposure(ticket, margin), advice.kinds))


def _alive(advice: Advice, now: datetime) -> dict[str, float]:
    return {
        leg.contract.identity: float(leg.signed_ratio * advice.quantity)
        for leg in advice.legs
        if not expired(leg.contract, now)
    }


def episode_end(
    spells: Sequence[tuple[datetime, datetime | None]], began: datetime, now: datetime, rules: AdviceRules = RULES
) -> tuple[bool, datetime | None]:
    """(known, end) of the breach that stood at `began`, from (since, until) spells of its kinds; end None: it stands.

    A breach back within the quiet time is the same one, and before that time is over its end is not told.
    """
    quiet = rules.quiet_minutes * 60.0
    standing = [s for s in spells if s[0] <= began and (s[1] is None or s[1] >= began)]
    if not standing:
        return False, None
    until: datetime | None = began
    for since, end in sorted(spells, key=lambda spell: spell[0]):
        if until is None or (since - until).total_seconds() > quiet:
            break
        if end is None or end > until:
            until = end
    over = until is not None and (now - until).total_seconds() > quiet
    return True, until if over else None


# ── unknowns ─────────────────────────────────────────────────────────────────────────────────────────────────────
def number(raw: Any) -> float | None:
    """A finite number as stored, or None."""
    if raw is None or isinstance(raw, bool | str) or not isinstance(raw, int | float):
        return None
    return _known(float(raw))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _plus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _scaled(value: float | None, share: float) -> float | None:
    return None if value is None else value * share
