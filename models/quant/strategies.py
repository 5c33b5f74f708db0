"""What the field calls a set of legs: one literal table of structures, read with sides, strikes and expiries in order.

Any mix of options, shares and futures on one underlying is looked up, as a ticket's legs or as whole holdings; what no
row describes is called what it is: `Custom: 5 legs`.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from functools import cache

from models.quant.option import Contract, Right, SecType
from models.quant.product import expiry_instant

Amounts = Iterable[tuple[Contract, float]]
"""Contracts with signed quantities (long positive): per combo unit, or whole holdings."""

TABLE: tuple[tuple[str, str, str], ...] = (
    # (legs, name, name of the same legs with every side turned round)
    # A leg is side, ratio unless 1, C call · P put · X either, the same in all legs · U share or future, then the
    # strike's rank from 1 (lowest), and a, b … for the nearest and the later expiry where there is more than one.
    ("+X1", "Long {right}", "Short {right}"),
    ("+U", "Long {thing}", "Short {thing}"),
    ("+Ua -Ub", "Long {thing} calendar", "Short {thing} calendar"),  # exchanges buy the near, sell the far
    # verticals
    ("+C1 -C2", "Bull call spread", "Bear call spread"),
    ("+P1 -P2", "Bull put spread", "Bear put spread"),
    ("+C1 -P1 -C2 +P2", "Long box", "Short box"),
    # more of one strike than of the other
    ("-C1 +2C2", "Call backspread 1x2", "Call ratio spread 1x2"),
    ("-C1 +3C2", "Call backspread 1x3", "Call ratio spread 1x3"),
    ("-2C1 +3C2", "Call backspread 2x3", "Call ratio spread 2x3"),
    ("-P2 +2P1", "Put backspread 1x2", "Put ratio spread 1x2"),
    ("-P2 +3P1", "Put backspread 1x3", "Put ratio spread 1x3"),
    ("-2P2 +3P1", "Put backspread 2x3", "Put ratio spread 2x3"),
    ("+C1 -C2 -C3", "Long call ladder", "Short call ladder"),
    ("+P3 -P2 -P1", "Long put ladder", "Short put ladder"),
    # straddles and their kin
    ("+C1 +P1", "Long straddle", "Short straddle"),
    ("+P1 +C2", "Long strangle", "Short strangle"),
    ("+C1 +P2", "Long guts", "Short guts"),
    ("+C1 +2P1", "Long strip", "Short strip"),
    ("+2C1 +P1", "Long strap", "Short strap"),
    ("+2P1 +C2", "Long ratio strangle", "Short ratio strangle"),
    ("+P1 +2C2", "Long ratio strangle", "Short ratio strangle"),
    # wings: "broken-wing" where one side risks more than the other
    ("+X1 -2X2 +X3", "Long {wing}{right} butterfly", "Short {wing}{right} butterfly"),
    ("+X1 -X2 -X3 +X4", "Long {wing}{right} condor", "Short {wing}{right} condor"),
    ("+P1 -P2 -C2 +C3", "{wing}iron butterfly", "Reverse {wing}iron butterfly"),
    ("+P1 -P2 -C3 +C4", "{wing}iron condor", "Reverse {wing}iron condor"),
    ("+X1 -3X2 +2X3", "Long {wing}{right} Christmas tree", "Short {wing}{right} Christmas tree"),
    ("+2X1 -3X2 +X3", "Long {wing}{right} Christmas tree", "Short {wing}{right} Christmas tree"),
    # lizards are sold; bought, they say so
    ("-P1 -C2 +C3", "Jade lizard", "Long jade lizard"),
    ("+P1 -P2 -C3", "Reverse jade lizard", "Long reverse jade lizard"),
    ("-P1 -C1 +C2", "Big lizard", "Long big lizard"),
    ("+P1 -P2 -C2", "Reverse big lizard", "Long reverse big lizard"),
    # direction out of a call and a put
    ("-P1 +C1", "Synthetic long", "Synthetic short"),
    ("-P2 +C1", "Split-strike synthetic long", "Split-strike synthetic short"),
    ("-P1 +C2", "Long risk reversal", "Short risk reversal"),
    ("-P1 +C2 -C3", "Long bull seagull", "Short bull seagull"),
    ("-P1 +P2 -C3", "Long bear seagull", "Short bear seagull"),
    # with the underlying
    ("+U -C1", "Covered call", "Protective call"),
    ("-U -P1", "Covered put", "Protective put"),
    ("+U -C1 +P1", "Conversion", "Reversal"),
    ("+U +P1 -C2", "Collar", "Reverse collar"),
    ("+U -P1 +P2 -C3", "Put spread collar", "Reverse put spread collar"),
    ("+U -P1 +P2", "Protective put spread", "Reverse protective put spread"),
    ("+U -P1 -C1", "Covered straddle", "Reverse covered straddle"),
    ("+U -P1 -C2", "Covered strangle", "Reverse covered strangle"),
    ("+U -2C1", "Ratio call write", "Synthetic long straddle"),
    ("-U -2P1", "Ratio put write", "Synthetic long straddle"),
    # across expiries: the later leg gives the side
    ("-X1a +X1b", "Long {right} calendar", "Short {right} calendar"),
    ("-X1a +X2b", "Long {right} diagonal", "Short {right} diagonal"),
    ("-X2a +X1b", "Long {right} diagonal", "Short {right} diagonal"),
    *(
        (
            f"-{sold}X{near}a +{bought}X{far}b",
            f"Long {{right}} diagonal {sold}x{bought}",
            f"Short {{right}} diagonal {sold}x{bought}",
        )
        for sold, bought in ((1, 2), (2, 3))
        for near, far in ((1, 2), (2, 1))
    ),
    ("-C1a -P1a +C1b +P1b", "Long straddle calendar", "Short straddle calendar"),
    ("-P1a -C2a +P1b +C2b", "Long double calendar", "Short double calendar"),
    ("-X1a -X2a +X1b +X2b", "Long double {right} calendar", "Short double {right} calendar"),
    ("-P2a -C3a +P1b +C4b", "Long double diagonal", "Short double diagonal"),
    ("-P2a -C2a +P1b +C3b", "Long double diagonal", "Short double diagonal"),
    ("-C1a +P1a +C1b -P1b", "Long jelly roll", "Short jelly roll"),
)
ASTRIDE: tuple[tuple[str, str], ...] = (
    # names that also ask for the spot between the two strikes: the later leg in the money, the near one out of it
    ("-C2a +C1b", "Poor man's covered call"),
    ("-P1a +P2b", "Poor man's covered put"),
)


def structure_name(amounts: Amounts, spot: float | None = None) -> str:
    """The name of `amounts`, whatever the order and the common size; `Custom: N legs`, and `Flat` for nothing left.

    Shares and futures are counted in the options' size (100 shares cover one call). `spot` is needed only to tell a
    poor man's covered call from another diagonal. Raises ValueError for a quantity that is not a number.
    """
    held = _netted(amounts)
    if not held:
        return "Flat"
    return recognised(held.items(), spot) or f"Custom: {len(held)} leg{'s' if len(held) > 1 else ''}"


def recognised(amounts: Amounts, spot: float | None = None) -> str | None:
    """`structure_name`, or None where no row of the table describes the legs."""
    held = _netted(amounts)
    if not 0 < len(held) <= max(map(len, _names())) or len({contract.symbol for contract in held}) > 1:
        return None
    ratios = _in_lowest_terms(held)
    shape = _shape(ratios)
    strikes = [c.strike for c in ratios if c.strike is not None]
    name = _names().get(shape)
    if spot is not None and strikes and min(strikes) < spot < max(strikes):
        name = _names_astride().get(shape, name)
    if name is None:
        return None
    said = name.format(wing="broken-wing " if _lopsided(ratios) else "", thing=_thing(ratios))
    return said[0].upper() + said[1:]


def _netted(amounts: Amounts) -> dict[Contract, float]:
    total: dict[Contract, float] = defaultdict(float)
    for contract, quantity in amounts:
        if not math.isfinite(quantity):
            raise ValueError(f"quantity {quantity} of {contract} is not a number; leave the leg out or look it up")
        total[contract] += quantity
    return {contract: quantity for contract, quantity in total.items() if quantity}


def _in_lowest_terms(held: Mapping[Contract, float]) -> dict[Contract, int]:
    """Signed integers without a common divisor, proportional to units of the underlying (quantity × multiplier)."""
    exact = {c: Fraction(str(quantity)) * Fraction(str(c.multiplier)) for c, quantity in held.items()}
    whole = math.lcm(*(share.denominator for share in exact.values()))
    counts = {contract: int(share * whole) for contract, share in exact.items()}
    common = math.gcd(*counts.values())
    return {contract: count // common for contract, count in counts.items()}


Token = tuple[int, str, int, int]
"""Signed ratio, kind (C, P or U), rank of strike and of expiry; rank 0: does not apply."""


def _shape(ratios: Mapping[Contract, int]) -> frozenset[Token]:
    options = [c for c in ratios if c.is_option]
    linear = [c for c in ratios if not c.is_option]
    strikes = sorted({c.strike or 0.0 for c in options})
    expiry, month = _ranks(options), _ranks(linear)
    return frozenset(
        (n, str(c.right), strikes.index(c.strike or 0.0) + 1, expiry[c]) if c.is_option else (n, "U", 0, month[c])
        for c, n in ratios.items()
    )


def _ranks(contracts: Iterable[Contract]) -> dict[Contract, int]:
    """Place of each expiry from 1; 0 where there is only one, or none."""
    ends: dict[Contract, datetime | None] = {c: expiry_instant(c) if c.expiry else None for c in contracts}
    order = sorted({end for end in ends.values() if end is not None})
    return {c: order.index(end) + 1 if end is not None and len(order) > 1 else 0 for c, end in ends.items()}


def _lopsided(ratios: Mapping[Contract, int]) -> bool:
    """Does the payoff end higher beyond the highest strike than below the lowest? It does by −Σ ratio × strike."""
    return not math.isclose(sum(n * (c.strike or 0.0) for c, n in ratios.items()), 0.0, abs_tol=1e-9)


def _thing(ratios: Mapping[Contract, int]) -> str:
    linear = next((c for c in ratios if not c.is_option), None)
    if linear is None:
        return ""
    return f"{linear.trading_class} shares" if linear.sec_type is SecType.STOCK else linear.trading_class


def _token(leg: str) -> Token:
    """`-2C1a` as (−2, C, 1, 1)."""
    sign = 1 if leg[0] == "+" else -1
    count, rest = (int(leg[1]), leg[2:]) if leg[1].isdigit() else (1, leg[1:])
    kind, digits, letters = rest[0], rest[1:].rstrip("ab"), rest[1:].lstrip("0123456789")
    return sign * count, kind, int(digits or 0), ord(letters) - ord("a") + 1 if letters else 0


def _tokens(legs: str, right: Right) -> frozenset[Token]:
    return frozenset(_token(leg.replace("X", right)) for leg in legs.split())


def _turned(shape: frozenset[Token]) -> frozenset[Token]:
    return frozenset((-ratio, kind, strike, expiry) for ratio, kind, strike, expiry in shape)


@cache
def _names() -> dict[frozenset[Token], str]:
    """Every shape of the table, both ways round, with calls and with puts."""
    names: dict[frozenset[Token], str] = {}
    for legs, name, reverse in TABLE:
        for right, word in ((Right.CALL, "call"), (Right.PUT, "put")):
            shape = _tokens(legs, right)
            names[shape] = name.replace("{right}", word)
            names[_turned(shape)] = reverse.replace("{right}", word)
    return names


@cache
def _names_astride() -> dict[frozenset[Token], str]:
    return {_tokens(legs, Right.CALL): name for legs, name in ASTRIDE}
