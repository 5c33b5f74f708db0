"""The rules of management about short strikes: tested, near at expiry, or called away for a dividend."""

from collections.abc import Sequence
from datetime import date, timedelta

from models.quant.exit_findings import Answer, Days, Finding, Rule, Unknown, Urgency, count
from models.quant.exit_tests import is_called_away, is_ex_eve, is_near, is_tested, room_to
from models.quant.manage_rules import ManageRules
from models.quant.option import Contract, Right, SecType
from models.quant.pricing import DAYS_PER_YEAR
from models.quant.product import NEW_YORK, Style, product_of
from models.quant.terms import MarketView
from models.quant.trades import Trade

_MINUTE = timedelta(minutes=1)  # what a float of years may lose of a moment


def tested(trade: Trade, _market: MarketView, rules: ManageRules, _days: Days) -> Answer:
    if not (rules.tested.on and trade.sells_premium):
        return None
    touched: list[tuple[float, float, Contract]] = []
    for short in trade.shorts:
        spot, delta = trade.sights[short].spot, trade.sights[short].delta
        if spot is None:
            return _unknown_spot(short)
        room = _room(short, spot)
        if is_tested(room, delta, rules.tested.delta):
            touched.append((room, spot, short))
    if not touched:
        return None
    room, spot, worst = min(touched, key=lambda one: (one[0], one[2].identity))
    delta = trade.sights[worst].delta
    facts = {"spot": spot, "strike": worst.strike or 0.0}
    if delta is not None:
        facts["delta"] = delta
    reached = "has reached" if room <= 0 else f"is {room:,.2f} points from"
    moves = "its delta is unknown" if delta is None else f"delta {abs(delta):.2f}"
    return Finding(
        Rule.TESTED,
        Urgency.SOON,
        f"{_strike(worst)} tested",
        f"{worst.symbol} at {spot:,.2f} {reached} its short {_strike(worst)}, {moves}; the tested side is closed.",
        facts,
        -room / spot if delta is None else abs(delta),
        _side(trade, [short for _, _, short in touched]),
    )


def near_expiry(trade: Trade, _market: MarketView, rules: ManageRules, days: Days) -> Answer:
    rule = rules.near_expiry
    soon = [c for c in trade.shorts if c.identity in days.left and days.left[c.identity] <= rule.sessions[-1]]
    if not (rule.on and soon):
        return None
    close: list[tuple[float, float | None, Contract]] = []
    for short in soon:
        spot, sigma = trade.sights[short].spot, trade.sights[short].sigma
        if spot is None:
            return _unknown_spot(short)
        room = _room(short, spot)
        near = is_near(room, sigma, rule.sigmas)
        if near is None:
            return Unknown(f"the volatility of {short} is unknown, so how near it is before its expiry is not judged")
        if near:
            close.append((room, sigma, short))
    if not close:
        return None
    room, sigma, worst = min(close, key=lambda one: (one[0], one[2].identity))
    left = days.left[worst.identity]
    away = room / sigma if sigma else 0.0
    facts = {"sessions": float(left), "room": room}
    if sigma is not None:
        facts["sigma"] = sigma
    where = f"{away:.1f}σ away" if room > 0 else "through its strike"
    deviation = "" if sigma is None else f", where one standard deviation is {sigma:,.2f}"
    distance = f"{room:,.2f} points away" if room > 0 else f"{-room:,.2f} points through it"
    return Finding(
        Rule.NEAR_EXPIRY,
        Urgency.NOW if left <= rule.sessions[0] else Urgency.SOON,
        f"T−{left}, {where}",
        f"its short {_strike(worst)} trades {_last(left)} with {worst.symbol} {distance}{deviation}.",
        facts,
        away,
        _side(trade, [short for _, _, short in close]),
    )


def ex_date(trade: Trade, market: MarketView, rules: ManageRules, days: Days) -> Answer:
    calls = [short for short in trade.shorts if _exercised_for_dividends(short)]
    if not (rules.ex_date.on and calls):
        return None
    taken: list[tuple[float, float, Contract]] = []
    for call in calls:
        price, spot = trade.sights[call].price, trade.sights[call].spot
        if spot is None:
            return _unknown_spot(call)
        room = _room(call, spot)
        if room >= 0:
            continue
        dividend = _dividend_tomorrow(market, call.symbol, days)
        if dividend is None:
            return Unknown(f"the dividends of {call.symbol} are unknown, so {call} is not judged for an early exercise")
        if not dividend:
            continue
        if price is None:
            return Unknown(f"the price of {call} is unknown on the eve of an ex-date")
        if is_called_away(price + room, dividend, room):
            taken.append((price + room, dividend, call))
    if not taken:
        return None
    extrinsic, dividend, worst = min(taken, key=lambda one: (one[0], one[2].identity))
    return Finding(
        Rule.EX_DATE,
        Urgency.NOW,
        "ex-dividend next session",
        f"{worst.symbol} goes ex ${dividend:,.2f} on {days.next_session:%a %d %b} and its short {_strike(worst)} is "
        f"worth ${max(extrinsic, 0.0):,.2f} above exercise: it may be called away tonight.",
        {"extrinsic": extrinsic, "dividend": dividend, "strike": worst.strike or 0.0},
        extrinsic / dividend,
        _side(trade, [call for _, _, call in taken]),
    )


def _exercised_for_dividends(contract: Contract) -> bool:
    american = product_of(contract).style is Style.AMERICAN
    return american and contract.right is Right.CALL and contract.sec_type is SecType.OPTION


def _dividend_tomorrow(market: MarketView, symbol: str, days: Days) -> float | None:
    """Per share, by the open of the next session; 0 when none is due, None when nothing is known of the symbol."""
    told = market.dividends.get(symbol)
    if told is None:
        return None
    return sum(one.amount for one in told if is_ex_eve(_ex_day(market, one.years), days.today, days.next_session))


def _ex_day(market: MarketView, years: float) -> date:
    moment = market.now + timedelta(days=years * DAYS_PER_YEAR) + _MINUTE
    return moment.astimezone(NEW_YORK).date()


def _room(short: Contract, spot: float) -> float:
    assert short.strike is not None and short.right is not None
    return room_to(short.strike, short.right, spot)


def _side(trade: Trade, shorts: Sequence[Contract]) -> tuple[Contract, ...]:
    """These shorts and, of the same right and expiry, what they were sold with."""
    sides = {(short.right, short.expiry) for short in shorts}
    return tuple(contract for contract, _ in trade.group.legs if (contract.right, contract.expiry) in sides)


def _unknown_spot(short: Contract) -> Unknown:
    return Unknown(f"the price of {short.symbol} is unknown, so its short {_strike(short)} is not judged")


def _strike(contract: Contract) -> str:
    return f"{contract.strike:g} {'call' if contract.right is Right.CALL else 'put'}"


def _last(left: int) -> str:
    return "today for the last time" if left == 0 else f"for {count(left, 'more session')}"
