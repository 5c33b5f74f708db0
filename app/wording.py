"""Trades and prices in plain words: legs, strategies, the ruler of strikes, as a person would say them."""

from collections.abc import Sequence
from html import escape
from typing import Any

from app import format as fmt
from models.market import SurfaceMisses
from models.quant.option import Contract, Right, parse_osi
from models.quant.structure import Action, Leg, LegsError, contract_from_json, legs_from_json
from models.quant.surface_misses import within


def contract_words(contract: Contract) -> str:
    """`SPXW 18 Sep 26 6,000 put`, `ES Dec 26 future`, `SPY shares`."""
    if contract.is_option:
        assert contract.expiry and contract.strike is not None
        kind = "call" if contract.right is Right.CALL else "put"
        strike = fmt.number(contract.strike, 0 if contract.strike == int(contract.strike) else 2)
        return f"{contract.trading_class} {contract.expiry:%d %b %y} {strike} {kind}"
    if contract.expiry is not None:
        return f"{contract.trading_class} {contract.expiry:%b %y} future"
    return f"{contract.symbol} shares"


def identity_words(identity: str) -> str:
    """The same from an identity alone; what is not an OSI symbol is shown as it is."""
    try:
        root, expiry, right, strike = parse_osi(identity)
    except ValueError:
        return identity
    kind = "call" if right is Right.CALL else "put"
    return f"{root} {expiry:%d %b %y} {fmt.number(strike, 0 if strike == int(strike) else 2)} {kind}"


def leg_words(leg: Leg, quantity: int = 1) -> str:
    """`Buy 2 SPXW 18 Sep 26 6,000 put`."""
    verb = "Buy" if leg.action is Action.BUY else "Sell"
    return f"{verb} {leg.ratio * quantity} {contract_words(leg.contract)}"


def legs_or_reason(raw: Any) -> tuple[tuple[Leg, ...], str]:
    """The legs, or no legs and why they cannot be read."""
    try:
        return legs_from_json(raw), ""
    except LegsError as error:
        return (), str(error)


def legs_in_a_line(raw: Any) -> str:
    legs, reason = legs_or_reason(raw)
    return " · ".join(leg_words(leg) for leg in legs) if legs else f"unreadable legs: {reason}"


def contract_or_none(raw: Any) -> Contract | None:
    """The contract of a row's JSON; None when it is not one (the row is still shown, by its identity)."""
    try:
        return contract_from_json(raw)
    except (KeyError, ValueError, TypeError):
        return None


def strike_ruler(legs: Sequence[Leg], quantity: int, spot: float | None) -> str:
    """Strikes on a line, bought above it and sold below, the underlying marked; empty without options."""
    strikes = [leg.contract.strike for leg in legs if leg.contract.strike is not None]
    if not strikes:
        return ""
    marks = [*strikes, *([spot] if spot is not None else [])]
    low, high = min(marks), max(marks)
    room = (high - low) or high * 0.02
    low, high = low - room * 0.14, high + room * 0.14

    def at(value: float) -> float:
        return (value - low) / (high - low) * 100

    parts = [_ruler_mark(leg, quantity, at(leg.contract.strike)) for leg in legs if leg.contract.strike is not None]
    if spot is not None:
        parts.append(f'<i class="n-spot" style="left:{at(spot):.1f}%"><span>spot {fmt.number(spot)}</span></i>')
    label = ", ".join(leg_words(leg, quantity) for leg in legs)
    return f'<div class="n-ruler" role="img" aria-label="{escape(label)}">{"".join(parts)}</div>'


def _ruler_mark(leg: Leg, quantity: int, place: float) -> str:
    side, sign = ("n-bought", "+") if leg.action is Action.BUY else ("n-sold", fmt.MINUS)
    right = "C" if leg.contract.right is Right.CALL else "P"
    words = f"{sign}{leg.ratio * quantity} {leg.contract.strike:g}{right}"
    return f'<i class="{side}" style="left:{place:.1f}%"><span>{escape(words)}</span></i>'


def misses_in_words(day: SurfaceMisses) -> str:
    """`SPX: modelled prices were within .03 points (median), .12 (95 %) of the later real ones, n 240 since …`."""
    parts = (
        ("points", day.points, 2),
        ("vol points", day.vol_points, 2),
        ("half-spreads", day.half_spreads, 1),
    )
    sizes = ", ".join(
        f"{fmt.number(within(counts, 0.5), digits)} {unit} (median), {fmt.number(within(counts, 0.95), digits)} (95 %)"
        for unit, counts, digits in parts
    )
    counted = f"n {sum(day.points):,} since {fmt.eastern_day(day.since)} ET"
    return f"{day.symbol}: modelled prices were within {sizes} of the later real ones, {counted}"
