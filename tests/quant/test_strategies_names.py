"""What structures are called: the field's names from legs and from whole holdings, in any order, both ways round."""

import csv
import re
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.quant.naming import doing, strategy_name
from models.quant.option import Contract, Right, SecType
from models.quant.regime_rules import Family
from models.quant.strategies import ASTRIDE, TABLE, recognised, structure_name
from models.quant.structure import Action, Leg

NEAR, FAR = date(2026, 10, 2), date(2026, 11, 20)
SHARES = Contract("XYZ", SecType.STOCK, "XYZ")


def option(strike: float, right: str, expiry: date = NEAR) -> Contract:
    return Contract("XYZ", SecType.OPTION, "XYZ", 100, expiry, strike, Right(right))


def future(root: str, month: int) -> Contract:
    return Contract(root, SecType.FUTURE, root, 50, date(2026, month, 18))


def legs_of(words: str) -> list[tuple[Contract, float]]:
    """`+1P90 -2C100 +1C110b +100U`: b is the later expiry, U the share."""
    out: list[tuple[Contract, float]] = []
    for word in words.split():
        found = re.fullmatch(r"([+-]\d+)(?:U|([CP])(\d+(?:\.\d+)?)(b?))", word)
        assert found, word
        count, right, strike, later = found.groups()
        contract = option(float(strike), right, FAR if later else NEAR) if right else SHARES
        out.append((contract, float(count)))
    return out


@pytest.mark.parametrize(
    ("legs", "name", "turned"),
    [
        ("+1C100", "Long call", "Short call"),
        ("+1P100", "Long put", "Short put"),
        ("+100U", "Long XYZ shares", "Short XYZ shares"),
        ("+1C100 -1C110", "Bull call spread", "Bear call spread"),
        ("+1P100 -1P110", "Bull put spread", "Bear put spread"),
        ("+1C100 +1P100", "Long straddle", "Short straddle"),
        ("+1C110 +1P90", "Long strangle", "Short strangle"),
        ("+1C90 +1P110", "Long guts", "Short guts"),
        ("+1P90 -1P100 -1C100 +1C110", "Iron butterfly", "Reverse iron butterfly"),
        ("+1P90 -1P100 -1C100 +1C120", "Broken-wing iron butterfly", "Reverse broken-wing iron butterfly"),
        ("+1P85 -1P95 -1C105 +1C115", "Iron condor", "Reverse iron condor"),
        ("+1P80 -1P95 -1C105 +1C115", "Broken-wing iron condor", "Reverse broken-wing iron condor"),
        ("+1C90 -2C100 +1C110", "Long call butterfly", "Short call butterfly"),
        ("+1P90 -2P100 +1P110", "Long put butterfly", "Short put butterfly"),
        ("+1P80 -2P100 +1P110", "Long broken-wing put butterfly", "Short broken-wing put butterfly"),
        ("+1C90 -1C95 -1C105 +1C110", "Long call condor", "Short call condor"),
        ("+1P90 -1P95 -1P105 +1P110", "Long put condor", "Short put condor"),
        ("+1C90 -1C95 -1C105 +1C120", "Long broken-wing call condor", "Short broken-wing call condor"),
        ("-1C100 +2C110", "Call backspread 1x2", "Call ratio spread 1x2"),
        ("-1C100 +3C110", "Call backspread 1x3", "Call ratio spread 1x3"),
        ("-1P100 +2P90", "Put backspread 1x2", "Put ratio spread 1x2"),
        ("-2P100 +3P90", "Put backspread 2x3", "Put ratio spread 2x3"),
        ("+1C100 -1C105 -1C110", "Long call ladder", "Short call ladder"),
        ("+1P100 -1P95 -1P90", "Long put ladder", "Short put ladder"),
        ("-1C100 +1C100b", "Long call calendar", "Short call calendar"),
        ("-1P100 +1P100b", "Long put calendar", "Short put calendar"),
        ("-1C105 +1C100b", "Long call diagonal", "Short call diagonal"),
        ("-1P105 +1P100b", "Long put diagonal", "Short put diagonal"),
        ("-1P90 -1C110 +1P90b +1C110b", "Long double calendar", "Short double calendar"),
        ("-1P90 -1P110 +1P90b +1P110b", "Long double put calendar", "Short double put calendar"),
        ("-1P100 -1C100 +1P100b +1C100b", "Long straddle calendar", "Short straddle calendar"),
        ("-1P95 -1C105 +1P90b +1C110b", "Long double diagonal", "Short double diagonal"),
        ("-1C100 +1P100 +1C100b -1P100b", "Long jelly roll", "Short jelly roll"),
        ("+1C90 -1P90 -1C110 +1P110", "Long box", "Short box"),
        ("+100U +1P100 -1C100", "Conversion", "Reversal"),
        ("+100U +1P95 -1C105", "Collar", "Reverse collar"),
        ("+100U +1P95 -1P90 -1C105", "Put spread collar", "Reverse put spread collar"),
        ("+100U -1C105", "Covered call", "Protective call"),
        ("-100U -1P95", "Covered put", "Protective put"),
        ("+100U -1P95 -1C105", "Covered strangle", "Reverse covered strangle"),
        ("+100U -2C105", "Ratio call write", "Synthetic long straddle"),
        ("-1P90 +1C110", "Long risk reversal", "Short risk reversal"),
        ("-1P100 +1C100", "Synthetic long", "Synthetic short"),
        ("-1P95 -1C105 +1C110", "Jade lizard", "Long jade lizard"),
        ("+1P90 -1P95 -1C105", "Reverse jade lizard", "Long reverse jade lizard"),
        ("-1P100 -1C100 +1C110", "Big lizard", "Long big lizard"),
        ("+1C100 -3C110 +2C115", "Long call Christmas tree", "Short call Christmas tree"),
        ("+2P85 -3P90 +1P100", "Long put Christmas tree", "Short put Christmas tree"),
        ("+1C100 -3C110 +2C120", "Long broken-wing call Christmas tree", "Short broken-wing call Christmas tree"),
        ("-1P90 +1C100 -1C110", "Long bull seagull", "Short bull seagull"),
        ("-1P90 +1P100 -1C110", "Long bear seagull", "Short bear seagull"),
        ("+1C100 +2P100", "Long strip", "Short strip"),
        ("+2C100 +1P100", "Long strap", "Short strap"),
        ("+1C1 +1C2 +1C3 +1C4 +1C5", "Custom: 5 legs", "Custom: 5 legs"),
        ("+2C100 -1C110", "Custom: 2 legs", "Custom: 2 legs"),
    ],
)
@pytest.mark.parametrize("quantity", [1, 2, 7])
def test_a_structure_has_the_fields_name_both_ways_round(legs: str, name: str, turned: str, quantity: int) -> None:
    amounts = [(contract, n * quantity) for contract, n in legs_of(legs)]
    assert structure_name(amounts) == name
    assert structure_name([(contract, -n) for contract, n in amounts]) == turned


def from_table(pattern: str, right: str, wide: float = 0.0) -> list[tuple[Contract, float]]:
    """Contracts that a row of the table describes, built from its words alone."""
    out: list[tuple[Contract, float]] = []
    for leg in pattern.replace("X", right).split():
        found = re.fullmatch(r"([+-])(\d?)([CPU])(\d*)([ab]?)", leg)
        assert found, leg
        sign, count, kind, rank, letter = found.groups()
        n = float(f"{sign}{count or 1}")
        if kind == "U" and letter:
            out.append((future("ES", 9 if letter == "a" else 12), n))
        elif kind == "U":
            out.append((SHARES, 100 * n))
        else:
            strike = 100 + 10 * int(rank) + wide * (int(rank) == 1)
            out.append((option(strike, kind, FAR if letter == "b" else NEAR), n))
    return out


ROWS = [(*row, right) for row in TABLE for right in ("C", "P")]


@given(
    st.sampled_from(ROWS), st.sampled_from([1, 2, 3, 40]), st.randoms(use_true_random=False), st.sampled_from([0, -3])
)
def test_every_row_is_found_in_any_order_and_turns_with_its_sides(row, quantity, random, wide) -> None:
    pattern, name, turned, right = row
    amounts = [(contract, n * quantity) for contract, n in from_table(pattern, right, wide)]
    random.shuffle(amounts)
    ways = []
    for sign, words in ((1, name), (-1, turned)):
        found = recognised([(contract, sign * n) for contract, n in amounts])
        assert found is not None
        thing = "XYZ shares" if "Ua" not in pattern else "ES"
        plain = words.format(right="call" if right == "C" else "put", wing="", thing=thing)
        assert found.lower().replace("broken-wing ", "") == plain.lower()
        ways.append(found)
    assert ways[0] != ways[1]


def test_no_shape_has_two_names() -> None:
    seen: dict[frozenset[tuple[str, Fraction]], str] = {}
    for pattern, name, turned, right in ROWS:
        amounts = from_table(pattern, right)
        for sign, words in ((1, name), (-1, turned)):
            shape = frozenset((c.identity, Fraction(sign * n)) for c, n in amounts)
            said = words.replace("{right}", right)
            assert seen.setdefault(shape, said) == said, pattern


def test_a_diagonal_astride_the_spot_is_a_poor_mans_covered_call() -> None:
    (call, call_name), (put, put_name) = ASTRIDE
    assert structure_name(from_table(call, "C"), spot=115.0) == call_name == "Poor man's covered call"
    assert structure_name(from_table(put, "P"), spot=115.0) == put_name
    assert structure_name(from_table(call, "C"), spot=125.0) == "Long call diagonal"
    assert structure_name(from_table(call, "C")) == "Long call diagonal"


def test_shares_count_in_the_size_of_the_options() -> None:
    call = option(105, "C")
    assert structure_name([(SHARES, 300), (call, -3)]) == "Covered call"
    assert structure_name([(SHARES, 100.5), (call, -1)]) == "Custom: 2 legs"
    assert structure_name([(SHARES, 200), (call, -1)]) == "Custom: 2 legs"


def test_futures_cover_options_on_them_one_for_one() -> None:
    es = future("ES", 12)
    call = Contract("ES", SecType.FUTURE_OPTION, "EW3", 50, date(2026, 10, 16), 6000, Right.CALL)
    assert structure_name([(es, -3)]) == "Short ES"
    assert structure_name([(es, 2), (call, -2)]) == "Covered call"
    assert structure_name([(es, 1), (future("ES", 9), -1)]) == "Short ES calendar"


def test_what_is_held_twice_is_netted_and_nothing_left_is_flat() -> None:
    call = option(105, "C")
    assert structure_name([(call, 2), (call, -1)]) == "Long call"
    assert structure_name([(call, 2), (call, -2)]) == "Flat"
    assert structure_name([]) == "Flat"


def test_two_underlyings_are_no_structure() -> None:
    other = Contract("ABC", SecType.OPTION, "ABC", 100, NEAR, 100, Right.CALL)
    assert structure_name([(option(100, "C"), 1), (other, -1)]) == "Custom: 2 legs"


def test_a_quantity_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="quantity nan of XYZ"):
        structure_name([(option(100, "C"), float("nan"))])


PUBLISHED = {
    "covered_call": "Covered call",
    "covered_put": "Covered put",
    "iron_condor": "Iron condor",
    "long_call_condor": "Long call condor",
    "long_put_condor": "Long put condor",
    "shares": "Long XYZ shares",
    "straddle_broad": "Short straddle",
    "short strangle": "Short strangle",
    "diagonal_spread": "Long call diagonal",
    "iron condor x10 SPY": "Iron condor",
    "long call butterfly x4": "Long call butterfly",
    "call_credit_spread_itm": "Bear call spread",
    "put_credit_spread_itm": "Bull put spread",
    "covered call IBM": "Covered call",
    "protective put IBM": "Protective put",
    "synthetic long IBM": "Synthetic long",
    "risk reversal IBM": "Short risk reversal",
    "collar IBM": "Collar",
    "long vertical call IBM": "Bull call spread",
    "long straddle IBM": "Long straddle",
}


def test_published_examples_are_named_as_their_authors_do(recorded: Path) -> None:
    named = {}
    for file in ("margin_worked_examples.csv", "margin_cboe_2007.csv"):
        with (recorded / "vectors" / file).open() as rows:
            for row in csv.DictReader(rows):
                if row["case"] in PUBLISHED:
                    named[row["case"]] = structure_name([read(leg) for leg in row["legs"].split(";")])
    assert named == PUBLISHED


def read(leg: str) -> tuple[Contract, float]:
    n, kind, *facts = leg.split()
    numbers = dict(fact.split("=") for fact in facts)
    if kind == "shares":
        return SHARES, float(n)
    expiry = NEAR + timedelta(days=int(numbers.get("dte", 0)))
    return option(float(numbers["K"]), kind[0].upper(), expiry), float(n)


# ── tickets ──────────────────────────────────────────────────────────────────────────────────────────────────────
def ticket(words: str) -> list[Leg]:
    return [Leg(c, Action.BUY if n > 0 else Action.SELL, int(abs(n))) for c, n in legs_of(words)]


@pytest.mark.parametrize(
    ("family", "legs", "name"),
    [
        (Family.DEBIT_SPREAD, "+1P110 -1P100", "Bear put spread"),
        (Family.CREDIT_SPREAD, "+1P100 -1P110", "Bull put spread"),
        (Family.BACKSPREAD, "-1P110 +2P100", "Put backspread 1x2"),
        (Family.BUTTERFLY, "-1C90 +2C100 -1C110", "Short call butterfly"),
        (Family.IRON_CONDOR, "+1P80 -1P90 -1C110 +1C120", "Iron condor"),
        (Family.REVERSE_CONDOR, "-1P80 +1P90 +1C110 -1C120", "Reverse iron condor"),
        (Family.CALENDAR, "-1P100 +1P100b", "Long put calendar"),
        (Family.CLOSE, "+1P90 +1C110", "Close short strangle"),
        (Family.CLOSE, "-1P90", "Close long put"),
        (Family.CLOSE, "+1P100 -1P110", "Close bear put spread"),
        (Family.CLOSE, "-1P80 +1P90 +1C110 -1C120", "Close iron condor"),
        (Family.CLOSE, "+1C1 +1C2 +1C3", "Close 3 legs"),
        (Family.ROLL, "+2P100 -1P95b", "Roll short put"),
        (Family.ROLL, "+1C100 -1C105b", "Roll short call"),
    ],
)
def test_a_ticket_is_its_structure_with_the_action_around_it(family: Family, legs: str, name: str) -> None:
    assert strategy_name(family, ticket(legs)) == name


def test_futures_and_shares_are_bought_and_sold_and_their_holdings_closed() -> None:
    sell = [Leg(future("MES", 12), Action.SELL)]
    assert strategy_name(Family.FUTURE, sell) == "Sell MES"
    assert strategy_name(Family.CLOSE, sell) == "Close long MES"
    assert strategy_name(Family.SHARES, [Leg(SHARES, Action.BUY)]) == "Buy XYZ"


def test_a_sentence_says_what_is_done_and_how_much_of_what_is_held() -> None:
    legs = ticket("+1P90")
    assert doing(Family.CLOSE, legs, 2, {legs[0].contract.identity: -5.0}) == "Closing 2 of 5 XYZ 02 Oct 26 90 put"
    words = doing(Family.DEBIT_SPREAD, ticket("+1P110 -1P100"), 3, {})
    assert words == "Bear put spread × 3: buy 3 XYZ 02 Oct 26 110 put, sell 3 XYZ 02 Oct 26 100 put"
