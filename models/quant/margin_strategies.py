"""The named strategies of the strategy-based rules, each with what it takes from the book and what it asks.

Naked shorts, short straddles and strangles, options covered by shares, shares protected by options, collars,
conversions and reversals, and long-dated options that are lent on. Spreads have no name here: `margin_pairing` takes
them whole, and lets a short beside a dearer naked one of the other right ask its value only: a strangle.
Shares count in full in the account's equity and options not at all; that is why a covered option in the money is asked
for what the shares may not be counted for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from models.quant.margin_rules import Rule, ShareRates, StrategyRules
from models.quant.option import Contract, Right

PENNY = 1e-9
NAKED = "naked"


@dataclass(frozen=True)
class Held:
    """A signed quantity of one contract with what its margin depends on: prices as quoted, seconds, years to expiry."""

    contract: Contract
    quantity: float
    spot: float
    price: float
    ends: float = 0.0
    years: float = 0.0

    def with_quantity(self, quantity: float) -> "Held":
        return replace(self, quantity=quantity)

    @property
    def is_call(self) -> bool:
        return self.contract.right is Right.CALL

    @property
    def strike(self) -> float:
        return self.contract.strike or 0.0

    @property
    def size(self) -> float:
        return self.contract.multiplier

    @property
    def value(self) -> float:
        """Currency of one contract."""
        return self.price * self.size

    @property
    def over(self) -> float:
        """Spot above the strike, at least 0."""
        return max(self.spot - self.strike, 0.0)

    @property
    def under(self) -> float:
        return max(self.strike - self.spot, 0.0)

    def payoff(self, price: float) -> float:
        """Intrinsic value of one contract, currency."""
        return max(price - self.strike if self.is_call else self.strike - price, 0.0) * self.size

    def may_be_strangle_with(self, other: "Held") -> bool:
        return _alike(self, other) and self.is_call != other.is_call


@dataclass(frozen=True)
class Asked:
    """A requirement in currency."""

    initial: float
    maintenance: float


@dataclass(frozen=True)
class Strategy:
    """One unit: `legs` are (place in the group, contracts), `shares` are taken from the group's shares (absolute)."""

    what: str
    legs: tuple[tuple[int, float], ...]
    asked: Asked
    shares: float = 0.0

    @staticmethod
    def alone(what: str, i: int, cost: float) -> "Strategy":
        """One contract, which asks the same at any time."""
        return Strategy(what, ((i, 1.0),), Asked(cost, cost))


@dataclass(frozen=True)
class Shares:
    """The shares that stand beside a group of options: signed count and price; `per_unit` of one unit of `symbol`."""

    contract: Contract
    count: float
    price: float
    per_unit: dict[str, float]

    def rates(self, rules: ShareRates) -> Asked:
        """Of one share that nothing protects."""
        maintenance = rules.long_maintenance if self.count > 0 else rules.short_maintenance
        return Asked(rules.initial * self.price, maintenance * self.price)


def naked_requirement(spot: float, strike: float, price: float, is_call: bool, rule: Rule) -> float:
    """Per share: price + max(share × spot − out-of-the-money amount, least × (spot for a call, strike for a put))."""
    otm = max(strike - spot if is_call else spot - strike, 0.0)
    base = spot if is_call else strike
    return price + max(rule.share * rule.leverage * spot - otm, rule.least * rule.leverage * base)


def naked(short: Held, rules: StrategyRules) -> float:
    """Currency per contract of an option that stands alone."""
    rule = rules.rule_of(short.contract.symbol)
    return naked_requirement(short.spot, short.strike, short.price, short.is_call, rule) * short.size


def strategies(options: Sequence[Held], shares: Shares | None, rules: StrategyRules) -> list[Strategy]:
    """Everything that could be made of a group but spreads, naked shorts and strangles, each once."""
    found = [
        Strategy.alone("lent on long options", i, -rules.loan * o.value)
        for i, o in enumerate(options)
        if o.quantity > 0 and rules.loan > 0 and o.years > rules.loan_years
    ]
    if shares is not None and abs(shares.count) > PENNY:
        found += _with_shares(options, shares, rules.shares)
    return found


def strangle(options: Sequence[Held], greater: int, beside: int, rules: StrategyRules) -> Strategy:
    """The greater side, and the other side's value."""
    what = "naked straddle" if options[greater].strike == options[beside].strike else "naked strangle"
    cost = naked(options[greater], rules) + options[beside].value
    return Strategy(what, ((greater, 1.0), (beside, 1.0)), Asked(cost, cost))


def _alike(a: Held, b: Held) -> bool:
    return a.contract.symbol == b.contract.symbol and a.size == b.size


def _with_shares(options: Sequence[Held], shares: Shares, rates: ShareRates) -> Iterator[Strategy]:
    for i, option in enumerate(options):
        per_unit = shares.per_unit.get(option.contract.symbol)
        if per_unit is None:
            continue
        count = option.size * per_unit
        if option.quantity < 0 and option.is_call == (shares.count > 0):
            yield _covered(option, i, shares, count, rates)
        elif option.quantity > 0 and option.is_call == (shares.count < 0) and per_unit == 1.0:
            yield _protected(option, i, shares, count, rates)
            yield from _locked(options, i, shares, count, rates)


def _covered(option: Held, i: int, shares: Shares, count: float, rates: ShareRates) -> Strategy:
    """Shares are worth no more than a short call's strike, short shares no less than a short put's.

    Initially a call asks for its value where that is more than the shares' own half (IBKR: max(call value, shares)).
    """
    whole = shares.rates(rates)
    if shares.count > 0:
        initial = max(whole.initial * count, option.value)
        maintenance = rates.long_maintenance * min(option.spot, option.strike) + option.over
        return Strategy("covered call", ((i, 1.0),), Asked(initial, maintenance * option.size), count)
    owed = option.under * option.size
    asked = Asked(whole.initial * count + owed, whole.maintenance * count + owed)
    return Strategy("covered put", ((i, 1.0),), asked, count)


def _protected(option: Held, i: int, shares: Shares, count: float, rates: ShareRates) -> Strategy:
    """The lesser of a tenth of the strike and what it is out of the money, and the shares' own rate."""
    whole = shares.rates(rates)
    away = option.under if option.is_call else option.over
    maintenance = min((rates.hedged * option.strike + away) * option.size, whole.maintenance * count)
    what = "shares with a protective call" if option.is_call else "shares with a protective put"
    return Strategy(what, ((i, 1.0),), Asked(whole.initial * count, maintenance), count)


def _locked(options: Sequence[Held], i: int, shares: Shares, count: float, rates: ShareRates) -> Iterator[Strategy]:
    """Collars and conversions (long shares, long put, short call), reversals (short shares, long call, short put)."""
    long = options[i]
    for j, short in enumerate(options):
        fits = short.quantity < 0 and short.is_call != long.is_call and _alike(short, long) and short.ends == long.ends
        if not fits or (short.strike != long.strike if long.is_call else short.strike < long.strike):
            continue
        covered = _covered(short, j, shares, count, rates)
        if short.strike == long.strike:
            what = "reversal" if long.is_call else "conversion"
            lock = rates.hedged * long.strike + (short.under if long.is_call else short.over)
        else:
            what = "collar"
            floor = rates.hedged * long.strike + long.over
            lock = min(floor, rates.long_maintenance * short.strike) + short.over
        asked = Asked(covered.asked.initial, min(lock * long.size, covered.asked.maintenance))
        yield Strategy(what, ((i, 1.0), (j, 1.0)), asked, count)
