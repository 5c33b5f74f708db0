"""What the book holds as whole trades: strangles, condors and verticals found again among single positions.

A broker lists contracts, a trade is managed whole. Each held option belongs to exactly one group: a structure of one
class and one expiry, a calendar, or a contract that stands alone. Where two readings are possible the one that names
more legs wins; shares and futures belong to no group.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from models.quant.option import Contract, Right
from models.quant.strategies import recognised, structure_name

Held = dict[Contract, int]
Piece = tuple[tuple[Contract, int], ...]
"""Contracts with signed ratios, long positive, in order of their identities."""


@dataclass(frozen=True)
class Group:
    """`quantity` units of `legs`: signed ratios in lowest terms, long positive, as held (not as they would be closed).

    `name` is the field's (`Short strangle`).
    """

    name: str
    legs: Piece
    quantity: int

    @property
    def amounts(self) -> Held:
        """Signed contracts held."""
        return {contract: ratio * self.quantity for contract, ratio in self.legs}

    @property
    def one_expiry(self) -> bool:
        return len({contract.expiry for contract, _ in self.legs}) == 1

    def __str__(self) -> str:
        """`Short strangle ×2 in SPXW 18 Sep 26 5600 put and 18 Sep 26 6400 call`."""
        names = [str(contract) for contract, _ in self.legs]
        first = self.legs[0][0].trading_class
        rest = [name.removeprefix(f"{first} ") for name in names[1:]]
        return f"{self.name} ×{self.quantity} in {' and '.join((names[0], *rest))}"


def groups_of(amounts: Iterable[tuple[Contract, float]]) -> tuple[Group, ...]:
    """The groups of the options among signed `amounts`; the same whatever their order. Part contracts are left out."""
    classes: dict[tuple[str, str, str, float], Held] = defaultdict(lambda: defaultdict(int))
    for contract, quantity in amounts:
        if contract.is_option:
            key = (contract.symbol, contract.trading_class, contract.sec_type.value, contract.multiplier)
            classes[key][contract] += int(quantity)
    found = [group for _, held in sorted(classes.items()) for group in _of_one_class(_without_nothing(held))]
    return tuple(sorted(found, key=lambda group: [(_day(c), c.identity) for c, _ in group.legs]))


def _of_one_class(held: Held) -> list[Group]:
    """Structures of three legs and more first, then calendars, then pairs, then what can be paired in part."""
    groups, rest = [], held
    for wanted in (3, 2):
        if wanted == 2:
            calendars, rest = _calendars(rest)
            groups += calendars
        for mine in _by_expiry(rest).values():
            if len(mine) >= wanted and recognised(mine.items()) is not None:
                groups.append(_group(mine))
                rest = {contract: n for contract, n in rest.items() if contract not in mine}
    for mine in _by_expiry(rest).values():
        groups += _in_part(mine)
    return groups


def _by_expiry(held: Held) -> dict[object, Held]:
    found: dict[object, Held] = defaultdict(dict)
    for contract, quantity in held.items():
        found[contract.expiry][contract] = quantity
    return dict(found)


def _calendars(held: Held) -> tuple[list[Group], Held]:
    """A short and a later long of the same right and strike, as many of one as of the other."""
    rest, groups = dict(held), []
    nearest = sorted(held, key=lambda contract: (_day(contract), contract.identity))
    for short in (contract for contract in nearest if held[contract] < 0):
        same = (
            c for c in nearest
            if rest.get(c) == -held[short] and (c.right, c.strike) == (short.right, short.strike)
            and _day(c) > _day(short)
        )  # fmt: skip
        long = next(same, None)
        if long is not None:
            groups.append(_group({short: rest.pop(short), long: rest.pop(long)}))
    return groups, rest


def _day(contract: Contract) -> int:
    return contract.expiry.toordinal() if contract.expiry else 0


def _in_part(held: Held) -> list[Group]:
    """One expiry that no name fits whole: verticals, then what was sold on either side, naked or not, together.

    What was bought stays alone: a short call beside a long put is not taken for one trade.
    """
    pieces = _pieces(held)
    sold = [piece for piece in sorted(pieces, key=_names) if _is_sold(piece)]
    puts, calls = ([piece for piece in sold if piece[0][0].right is right] for right in (Right.PUT, Right.CALL))
    fitting = [(put, call) for put in puts for call in calls if recognised((*put, *call)) is not None]
    groups = []
    for put, call in sorted(fitting, key=lambda pair: _preference(pieces, *pair)):
        both = min(pieces[put], pieces[call])
        if both:
            groups.append(_group({contract: ratio * both for contract, ratio in (*put, *call)}))
            pieces[put] -= both
            pieces[call] -= both
    return groups + [_group({c: r * n for c, r in piece}) for piece, n in pieces.items() if n]


def _pieces(held: Held) -> dict[Piece, int]:
    """Verticals, as many of one leg as of the other first and then the nearest strikes, and the rest single; how many.

    Not by the cheapest cover, as margin does: that would take the long of one trade for the short of another.
    """
    left = dict(held)
    pairs = [(s, b) for s in held for b in held if held[s] < 0 < held[b] and s.right is b.right]
    found: dict[Piece, int] = {}
    for short, long in sorted(pairs, key=lambda pair: _likeness(held, *pair)):
        both = min(-left[short], left[long])
        if both:
            found[_piece({short: -1, long: 1})] = both
            left[short] += both
            left[long] -= both
    return found | {((c, 1 if n > 0 else -1),): abs(n) for c, n in left.items() if n}


def _likeness(held: Held, short: Contract, long: Contract) -> tuple[object, ...]:
    gap = abs((short.strike or 0.0) - (long.strike or 0.0))
    return held[short] != -held[long], gap, short.identity, long.identity


def _is_sold(piece: Piece) -> bool:
    """A naked short, or a vertical whose short is the dearer leg: the higher put, the lower call."""
    ratios = dict(piece)
    dearer = max(ratios, key=lambda c: (c.strike or 0.0) * (1 if c.right is Right.PUT else -1))
    return ratios[dearer] < 0


def _preference(pieces: Mapping[Piece, int], put: Piece, call: Piece) -> tuple[object, ...]:
    """Vertical with vertical and naked with naked, then as many of one as of the other, then the nearer strikes."""
    gap = abs((call[0][0].strike or 0.0) - (put[0][0].strike or 0.0))
    return len(put) != len(call), abs(pieces[put] - pieces[call]), gap, _names(put), _names(call)


def _names(piece: Piece) -> tuple[str, ...]:
    return tuple(contract.identity for contract, _ in piece)


def _piece(ratios: Mapping[Contract, int]) -> Piece:
    return tuple(sorted(ratios.items(), key=lambda leg: leg[0].identity))


def _group(held: Held) -> Group:
    quantity = math.gcd(*held.values())
    return Group(structure_name(held.items()), _piece({c: n // quantity for c, n in held.items()}), quantity)


def _without_nothing(held: Held) -> Held:
    return {contract: quantity for contract, quantity in held.items() if quantity}
