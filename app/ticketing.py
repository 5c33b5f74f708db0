"""What the Ticket page knows: what can be traded, the ticket as typed, its quotes, and what stands against it. Pure
beside one read of the memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from app import format as fmt
from database.store import Store
from models.calendar import CalendarError, is_open, next_session
from models.market import ChainRow, Quote
from models.quant.aftermath import closable
from models.quant.hand_ticket import HandTicket, TicketError, check_tick, read_ticket, strikes_of
from models.quant.naming import strategy_name
from models.quant.option import Contract, Right, SecType
from models.quant.overrides import Overrides, read_overrides
from models.quant.product import NEW_YORK, ticket_tick
from models.quant.regime_rules import Family
from models.quant.shapes import family_of
from models.quant.structure import Action, Leg, LegsError, QuoteSource, combo_price, contract_from_json

Strikes = Mapping[date, Mapping[Right, Sequence[float]]]


@dataclass(frozen=True)
class Instrument:
    """One class that a ticket can be in: options by expiry and right, or one future or share (`contract`)."""

    name: str
    symbol: str
    trading_class: str
    multiplier: float
    strikes: Strikes = field(default_factory=dict)
    contract: Contract | None = None

    def option(self, expiry: date, right: Right, strike: float) -> Contract:
        return Contract(self.symbol, SecType.OPTION, self.trading_class, self.multiplier, expiry, strike, right)


@dataclass(frozen=True)
class Desk:
    """One look for the page at machine time `at`: the account, what it may close, what is listed and overridden."""

    at: datetime
    desk_at: datetime
    account_id: str | None
    can_close: Mapping[str, float]
    instruments: Mapping[str, Instrument]
    overrides: Overrides
    spots: Mapping[str, float]


async def read_desk(store: Store, now: datetime) -> Desk:
    desk = await store.control.desk()
    account = desk.account_ids[0] if desk.account_ids else None
    positions = await store.book.positions(account) if account else []
    states = await store.market.states()
    linear = (await store.market.quotes(states)).values()
    desk_at = (await store.control.desk_clock(now)).at(now)
    held = [contract_from_json(row.contract_json) for row in positions]
    return Desk(
        at=now,
        desk_at=desk_at,
        account_id=account,
        can_close=await _can_close(store, account, {row.identity: row.quantity for row in positions}, now),
        instruments=instruments_of(
            await store.market.chains(), held, [contract_from_json(row.contract_json) for row in linear], desk_at
        ),
        overrides=read_overrides(await store.appetite.overrides(now)),
        spots={name: row.value for name, row in states.items() if row.value is not None},
    )


async def _can_close(store: Store, account: str | None, held: dict[str, float], now: datetime) -> Mapping[str, float]:
    try:
        return closable(held, [order.amounts for order in await store.orders.in_flight(account, now)])
    except LegsError:  # what an order in flight would close is unknown: nothing counts as a closing
        return {}


def instruments_of(
    chains: Sequence[ChainRow], held: Sequence[Contract], linear: Sequence[Contract], desk_at: datetime
) -> dict[str, Instrument]:
    """By name: the chains' classes with the book's own contracts in them, then futures and shares."""
    today = desk_at.astimezone(NEW_YORK).date()
    found = {f"{row.trading_class} options": _of_chain(row, today) for row in chains}
    for contract in held:
        if contract.is_option:
            name = f"{contract.trading_class} options"
            found[name] = _with_held(found.get(name), name, contract)
    for contract in (*linear, *held):
        if contract.sec_type in (SecType.FUTURE, SecType.STOCK):
            name = f"{contract} {'shares' if contract.sec_type is SecType.STOCK else 'future'}"
            found[name] = Instrument(
                name, contract.symbol, contract.trading_class, contract.multiplier, contract=contract
            )
    return {name: one for name, one in found.items() if one.contract is not None or one.strikes}


def _of_chain(row: ChainRow, today: date) -> Instrument:
    days = sorted(day for name in {*row.expirations, *row.listed} if (day := date.fromisoformat(name)) >= today)
    strikes = {day: {right: strikes_of(row, day, right) for right in Right} for day in days}
    known = {day: rights for day, rights in strikes.items() if any(rights.values())}
    return Instrument(f"{row.trading_class} options", row.symbol, row.trading_class, row.multiplier, known)


def _with_held(known: Instrument | None, name: str, contract: Contract) -> Instrument:
    assert contract.expiry is not None and contract.right is not None and contract.strike is not None
    one = known or Instrument(name, contract.symbol, contract.trading_class, contract.multiplier)
    rights = dict(one.strikes.get(contract.expiry, {}))
    rights[contract.right] = sorted({*rights.get(contract.right, ()), contract.strike})
    by_day = {**one.strikes, contract.expiry: rights}
    return replace(one, strikes={day: by_day[day] for day in sorted(by_day)})


def usual_expiry(days: Sequence[date], today: date, dte: int = 30) -> date:
    """The first day at least `dte` out, else the last there is."""
    return next((day for day in days if (day - today).days >= dte), days[-1])


def closest(strikes: Sequence[float], to: float | None) -> float:
    """The strike nearest to a level; the middle one where the level is unknown."""
    return strikes[len(strikes) // 2] if to is None else min(strikes, key=lambda strike: abs(strike - to))


# ── the ticket as it stands ──────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Draft:
    """The ticket as typed, with the newest quotes on its legs. `trouble` is what would be answered at once."""

    legs: tuple[Leg, ...]
    quantity: int
    limit_price: float | None
    name: str
    family: Family
    quotes: Mapping[str, Quote]
    trouble: str
    ticket: HandTicket | None

    @property
    def mid(self) -> float | None:
        return combo_price(self.legs)

    @property
    def natural(self) -> float | None:
        return combo_price(self.legs, "natural")

    @property
    def price(self) -> float | None:
        """What would be sent: the limit as typed, else what the market asks."""
        return self.natural if self.limit_price is None else self.limit_price

    @property
    def multiplier(self) -> float:
        return self.legs[0].contract.multiplier


def draft_of(
    desk: Desk, legs: Sequence[Leg], quantity: int | None, limit: float | None, quotes: Mapping[str, Quote]
) -> Draft:
    """The ticket judged as far as the memory reaches: form, ticks, hours and overrides; the rest asks the proposer."""
    quoted = tuple(_quoted(leg, quotes.get(leg.contract.identity)) for leg in legs)
    size = quantity or 0
    body = HandTicket(desk.account_id or "", quoted, size, limit).to_json()
    ticket, trouble = None, ""
    try:
        ticket = read_ticket(body)
        check_tick(ticket)
    except TicketError as error:
        trouble = _sentence(str(error))
    family = family_of(legs, max(size, 1), desk.can_close)
    trouble = trouble or _closed(legs, desk.desk_at) or _overridden(desk.overrides, family, legs, size)
    name = strategy_name(family, legs)
    return Draft(quoted, size, limit, name, family, quotes, trouble, None if trouble else ticket)


def _quoted(leg: Leg, quote: Quote | None) -> Leg:
    if quote is None:
        return leg
    sound = quote.bid is not None and quote.ask is not None and 0 <= quote.bid <= quote.ask
    mid = (quote.bid + quote.ask) / 2 if sound else None  # type: ignore[operator]
    return replace(
        leg, bid=quote.bid, ask=quote.ask, mid=mid, iv=quote.vendor_iv, source=QuoteSource(quote.source),
        quoted_at=quote.at,
    )  # fmt: skip


def _closed(legs: Sequence[Leg], desk_at: datetime) -> str:
    for leg in legs:
        try:
            if not is_open(leg.contract, desk_at, regular_only=True):
                opens = next_session(leg.contract, desk_at).start
                return f"{leg.contract.trading_class} is closed; it opens {fmt.eastern_day(opens)} ET. Send it then."
        except CalendarError as error:
            return f"The market's hours are unknown: {error}."
    return ""


def _overridden(overrides: Overrides, family: Family, legs: Sequence[Leg], quantity: int) -> str:
    """Only what no valuation could lift: whether a ticket reduces is the proposer's to say."""
    closes = family is Family.CLOSE
    left, reason = overrides.cut(quantity, family, legs[0].contract.symbol, closes, reduces=True)
    return f"Override: {reason}." if left == 0 and reason else ""


def standing_words(desk: Desk, draft: Draft) -> tuple[str, ...]:
    """The overrides that this ticket falls under, in words."""
    leave = desk.overrides.allowed(draft.family, draft.legs[0].contract.symbol)
    return (*(one.words for one in leave.standing), *([leave.unreadable] if leave.unreadable else []))


def tick_of(legs: Sequence[Leg], price: float | None) -> float:
    return ticket_tick([leg.contract for leg in legs], price or 0.0)


def signed_limit(size: float | None, credit: bool) -> float | None:
    """Typed as an amount and a word, debit positive inside."""
    return None if size is None else -size if credit else size


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


SIDES = {"Buy": Action.BUY, "Sell": Action.SELL}
RIGHTS = {"Put": Right.PUT, "Call": Right.CALL}
