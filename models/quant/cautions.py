"""What the desk only warns of: one strategy that earns most of the theta, gamma close to expiry, short strikes that lie
close together. Past such a line nothing is refused, nobody is alerted and nothing turns red.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from models.quant.breach import BreachKind, LimitUse, Unit, money, percent
from models.quant.limits import Limits
from models.quant.option import Contract
from models.quant.portfolio import BUCKETS, PositionGreeks, by_expiry
from models.quant.regime_rules import WatchRules
from models.quant.strategies import recognised
from models.quant.vectors import group_of


def cautions(
    positions: Sequence[PositionGreeks], limits: Limits, theta_share: float, watch: WatchRules, now: datetime
) -> tuple[LimitUse, ...]:
    """The lines that are only watched, over or not; `theta_share` is the profile's, `now` is desk time."""
    return (
        *theta_by_strategy(positions, theta_share),
        *gamma_near_expiry(positions, limits, watch.near_gamma_share, now),
        *strike_clusters(positions, limits.nlv, watch),
    )


def theta_by_strategy(positions: Sequence[PositionGreeks], most: float) -> list[LimitUse]:
    """The share of each strategy (one underlying's options of one expiry) in the theta that the book earns.

    The largest earner, and every other above `most`; nothing when the book earns no theta.
    """
    if any(p.theta is None for p in positions):
        return [_line(BreachKind.THETA_SHARE, Unit.RATIO, None, most, "The theta of some position is unknown.")]
    groups: dict[str, list[PositionGreeks]] = defaultdict(list)
    for p in positions:
        if p.contract.is_option and p.contract.expiry is not None:
            groups[f"{p.contract.symbol} {p.contract.expiry:%d %b %y}"].append(p)
    earned = {name: theta for name, group in groups.items() if (theta := sum(p.theta or 0.0 for p in group)) > 0}
    whole = sum(earned.values())
    shares = sorted(((theta / whole, name) for name, theta in earned.items()), reverse=True)
    return [
        _line(BreachKind.THETA_SHARE, Unit.RATIO, share, most,
              f"{_named(name, groups[name])} earns {percent(share)} of the theta that the book earns.", name)
        for place, (share, name) in enumerate(shares)
        if place == 0 or share > most
    ]  # fmt: skip


def _named(subject: str, group: Sequence[PositionGreeks]) -> str:
    name = recognised((p.contract, p.quantity) for p in group)
    return subject if name is None else f"{subject} ({name.lower()})"


def gamma_near_expiry(
    positions: Sequence[PositionGreeks], limits: Limits, share: float, now: datetime
) -> list[LimitUse]:
    """Gamma of options of 0–7 days against its share of the gamma limit; nothing while there is no such option."""
    near = BUCKETS[0]
    gamma, cap = by_expiry(positions, now)[near]["gamma"], limits.gamma_cap
    if gamma == 0.0 or cap is None:
        return []
    if gamma is None:
        words = f"Gamma of {near} days is unknown."
        return [_line(BreachKind.NEAR_GAMMA, Unit.PER_PERCENT_SQUARED, None, -cap * share, words)]
    allowed = cap * share
    size = abs(gamma) if limits.gamma_both else max(-gamma, 0.0)
    words = f"Gamma of {near} days is {percent(size / cap) if cap else money(gamma)} of the gamma limit."
    shown = allowed if gamma > 0 and limits.gamma_both else -allowed
    return [_line(BreachKind.NEAR_GAMMA, Unit.PER_PERCENT_SQUARED, gamma, shown, words, size=size)]


def strike_clusters(positions: Sequence[PositionGreeks], nlv: float | None, watch: WatchRules) -> list[LimitUse]:
    """Per family of underlyings the band of strikes, `cluster_width` of spot wide, with the most short notional.

    Notional is spot × multiplier × contracts; longs of the same side and expiry in it, or no further
    than its width beside it, count against it.
    """
    families: dict[str, list[PositionGreeks]] = defaultdict(list)
    for p in positions:
        if p.contract.is_option:
            families[group_of(p.contract)].append(p)
    found: list[LimitUse] = []
    limit = None if nlv is None else watch.cluster_notional * max(nlv, 0.0)
    for family, held in sorted(families.items()):
        if not any(p.quantity < 0 for p in held):
            continue
        if any(not p.spot or p.spot <= 0 for p in held):
            words = f"Short strikes of {family}: the price of an underlying is unknown."
            found.append(_line(BreachKind.STRIKE_CLUSTER, Unit.CURRENCY, None, limit, words, family))
            continue
        notional, low, high = _densest(held, watch.cluster_width)
        band = f"at {low * 100:.1f} %" if low == high else f"between {low * 100:.1f} % and {high * 100:.1f} %"
        words = f"Short strikes of {family} {band} of spot carry {money(notional)}."
        found.append(_line(BreachKind.STRIKE_CLUSTER, Unit.CURRENCY, notional, limit, words, family))
    return found


def _densest(held: Iterable[PositionGreeks], width: float) -> tuple[float, float, float]:
    """(short notional, lowest, highest strike as shares of spot) of the densest band."""
    places = sorted(
        ((_moneyness(p), (p.contract.right, p.contract.expiry), p.quantity * p.contract.multiplier * (p.spot or 0.0))
         for p in held),
        key=lambda place: place[0],
    )  # fmt: skip
    strikes = [moneyness for moneyness, _, _ in places]
    best = (0.0, 0.0, 0.0)
    for low in dict.fromkeys(strike for strike, _, notional in places if notional < 0):
        high = low + width + 1e-12
        sums: dict[object, float] = defaultdict(float)
        for strike, side, notional in places[bisect_left(strikes, low - width) : bisect_right(strikes, high + width)]:
            if notional > 0 or low <= strike <= high:
                sums[side] += notional
        short = sum(-total for total in sums.values() if total < 0)
        if short > best[0]:
            best = (short, low, max(s for s, _, notional in places if notional < 0 and s <= high))
    return best


def _moneyness(p: PositionGreeks) -> float:
    contract: Contract = p.contract
    return (contract.strike or 0.0) / (p.spot or 1.0)


def _line(
    kind: BreachKind,
    unit: Unit,
    value: float | None,
    limit: float | None,
    words: str,
    subject: str = "",
    size: float | None = None,
) -> LimitUse:
    """`size` is what counts towards the limit where it is not the value itself."""
    if value is None or limit is None:
        return LimitUse(kind, unit, value, limit, None, None, False, words, subject, None, warns=True)
    counted, most = value if size is None else size, abs(limit)
    use = counted / most if most else None
    return LimitUse(kind, unit, value, limit, use, counted > most + 1e-9, False, words, subject, counted - most, True)
