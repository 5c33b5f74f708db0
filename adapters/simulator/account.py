"""The account: cash, positions at average cost, margin and P&L, and what an order would do to them.

Equity with loan is cash and share value plus the open profit of futures; long options are not in it and need no
margin, short ones are in the margin with their price: premium paid shows as lost equity, as IBKR reports it. A
position whose price the venue does not know is carried at its last known mark, or at cost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from adapters.simulator.margin import requirement
from adapters.simulator.market import Market
from adapters.simulator.tickets import check, executions_of
from adapters.simulator.types import (
    Instrument,
    MarginState,
    Ticket,
    VenuePosition,
    VenueWhatIf,
)
from models.quant.option import Contract, SecType
from models.quant.structure import Action

FEES: Mapping[SecType, float] = {SecType.OPTION: 0.65, SecType.FUTURE: 2.25, SecType.FUTURE_OPTION: 2.25}
SHARE_FEE, LEAST_SHARE_FEE = 0.005, 1.00
EPSILON = 1e-9


@dataclass
class Holding:
    """A position: signed quantity, cost per contract (multiplier and fees in), the day's and all realised profit."""

    quantity: float = 0.0
    average_cost: float = 0.0
    realized: float = 0.0
    mark: float | None = None  # last known price per share or point


@dataclass
class Ledger:
    """All that the account must remember. Keys of `holdings` are con_ids."""

    cash: float
    holdings: dict[int, Holding] = field(default_factory=dict)
    realized_today: float = 0.0
    day: date | None = None
    day_start: float | None = None  # net liquidation when the session began


def commission(contract: Contract, quantity: float) -> float:
    """The venue's fee for one execution, account currency."""
    if contract.sec_type is SecType.STOCK:
        return max(LEAST_SHARE_FEE, SHARE_FEE * abs(quantity))
    return FEES.get(contract.sec_type, 0.0) * abs(quantity)


class Account:
    """One margin account over the market's prices."""

    def __init__(self, account_id: str, market: Market, ledger: Ledger) -> None:
        self.account_id = account_id
        self.market = market
        self.ledger = ledger

    # ── prices ─────────────────────────────────────────────────────────────────────────────────────────────────
    def price(self, item: Instrument) -> float | None:
        """Mid, else last (an index), else the model; None when nothing is known."""
        quote = self.market.quote(item.con_id)
        if quote is not None and quote.mid is not None:
            return quote.mid
        if quote is not None and item.contract.sec_type is SecType.INDEX:
            return quote.last
        model = self.market.model(item.con_id)
        return model.price if model else None

    def mark(self, con_id: int, holding: Holding) -> float:
        """The price a position is carried at: known now, else last known, else its cost."""
        item = self.market.universe[con_id]
        price = self.price(item)
        if price is not None:
            holding.mark = price
        if holding.mark is not None:
            return holding.mark
        return holding.average_cost / item.contract.multiplier

    # ── positions ──────────────────────────────────────────────────────────────────────────────────────────────
    def positions(self) -> list[VenuePosition]:
        """Open positions and those closed today (quantity 0 with realised profit)."""
        self.market.quotes(list(self.ledger.holdings))
        return [self._position(con_id, h) for con_id, h in self.ledger.holdings.items()]

    def position(self, con_id: int) -> VenuePosition | None:
        holding = self.ledger.holdings.get(con_id)
        return None if holding is None else self._position(con_id, holding)

    def _position(self, con_id: int, holding: Holding) -> VenuePosition:
        item = self.market.universe[con_id]
        price = self.price(item)
        multiplier = item.contract.multiplier
        value = None if price is None else price * multiplier * holding.quantity
        open_profit = None if value is None else value - holding.average_cost * holding.quantity
        return VenuePosition(
            con_id, holding.quantity, holding.average_cost, price, value, open_profit, holding.realized
        )

    # ── money ──────────────────────────────────────────────────────────────────────────────────────────────────
    def margin(self) -> MarginState:
        """The account's money now."""
        return self._state(self.ledger)

    def _state(self, ledger: Ledger) -> MarginState:
        self.market.quotes(list(ledger.holdings))
        options = shares = futures = gross = open_profit = 0.0
        held = []
        for con_id, holding in ledger.holdings.items():
            contract = self.market.universe[con_id].contract
            value = self.mark(con_id, holding) * contract.multiplier * holding.quantity
            profit = value - holding.average_cost * holding.quantity
            open_profit += profit
            if contract.is_option:
                options += value
            elif contract.sec_type is SecType.FUTURE:
                futures += profit
            else:
                shares += value
            gross += abs(value) if contract.sec_type is not SecType.FUTURE else 0.0
            held.append((contract, holding.quantity))
        equity = ledger.cash + shares + futures
        net = equity + options
        marks = {self.market.universe[c].contract.identity: h.mark for c, h in ledger.holdings.items()}
        asked = requirement(held, lambda c: marks.get(c.identity) or 0.0, self.market.price_of)
        start = ledger.day_start if ledger.day_start is not None else net
        available = equity - asked.initial
        return MarginState(
            net, equity, asked.initial, asked.maintenance, ledger.cash, available, equity - asked.maintenance,
            max(available, 0.0) * 4, gross, net - start, open_profit, ledger.realized_today,
        )  # fmt: skip

    def begin_day(self, day: date) -> None:
        """Start a session: its profit counts from the net liquidation now."""
        if self.ledger.day != day:
            self.ledger.day = day
            self.ledger.realized_today = 0.0
            self.ledger.holdings = {c: h for c, h in self.ledger.holdings.items() if abs(h.quantity) > EPSILON}
            for holding in self.ledger.holdings.values():
                holding.realized = 0.0
            self.ledger.day_start = None
            self.ledger.day_start = self.margin().net_liquidation

    def values(self) -> list[tuple[str, str, str]]:
        """(tag, value, currency) lines of an account update."""
        m = self.margin()
        money = {
            "NetLiquidation": m.net_liquidation, "EquityWithLoanValue": m.equity_with_loan,
            "InitMarginReq": m.initial_margin, "MaintMarginReq": m.maintenance_margin,
            "FullInitMarginReq": m.initial_margin, "FullMaintMarginReq": m.maintenance_margin,
            "TotalCashValue": m.cash, "SettledCash": m.cash, "AvailableFunds": m.available_funds,
            "ExcessLiquidity": m.excess_liquidity, "BuyingPower": m.buying_power,
            "GrossPositionValue": m.gross_position_value, "UnrealizedPnL": m.unrealized_pnl,
            "RealizedPnL": m.realized_pnl, "CashBalance": m.cash,
        }  # fmt: skip
        lines = [(tag, f"{value:.2f}", "USD") for tag, value in money.items()]
        cushion = m.excess_liquidity / m.net_liquidation if m.net_liquidation > 0 else 0.0
        return [
            ("AccountType", "INDIVIDUAL", ""),
            ("AccountReady", "true", ""),
            ("Cushion", f"{cushion:.6f}", ""),
            *lines,
        ]

    # ── changes ────────────────────────────────────────────────────────────────────────────────────────────────
    def book(self, item: Instrument, side: Action, quantity: float, price: float, fee: float) -> float | None:
        """Apply one leg execution; returns the realised profit of what it closed, None when it only opened."""
        realized = apply_fill(self.ledger, item, side.sign * quantity, price, fee)
        if realized is not None:
            self.ledger.realized_today += realized
        return realized

    def what_if(self, ticket: Ticket) -> VenueWhatIf:
        """Money before and after the whole ticket; nothing is kept. Raises RejectedByVenue as placing it would."""
        legs = check(ticket, self.market, self.account_id, self.market.now)
        return self.effect_of(executions_of(ticket, legs, self.market))

    def effect_of(self, fills: Sequence[tuple[Instrument, float, float]]) -> VenueWhatIf:
        """Money before and after the given (instrument, signed quantity, price) executions; nothing is booked."""
        trial = copy_ledger(self.ledger)
        fees = 0.0
        for item, quantity, price in fills:
            fee = commission(item.contract, quantity)
            fees += fee
            apply_fill(trial, item, quantity, price, fee)
        before, after = self.margin(), self._state(trial)
        short = after.available_funds < 0 and after.available_funds < before.available_funds - fees
        return VenueWhatIf(before, after, fees, insufficient(after) if short else "")


def insufficient(after: MarginState) -> str:
    """IBKR's words for an order the account cannot carry."""
    return (
        "YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH LOAN VALUE "
        f"[{after.equity_with_loan:.2f} USD] MUST EXCEED THE INITIAL MARGIN [{after.initial_margin:.2f} USD]"
    )


def copy_ledger(ledger: Ledger) -> Ledger:
    return replace(ledger, holdings={c: replace(h) for c, h in ledger.holdings.items()})


def apply_fill(ledger: Ledger, item: Instrument, signed: float, price: float, fee: float) -> float | None:
    """Move cash and the position by one execution; returns realised profit net of the fee, None when nothing closed.

    Opening fees are part of the cost, as IBKR keeps it. Futures move no cash until they are closed.
    """
    holding = ledger.holdings.setdefault(item.con_id, Holding())
    multiplier = item.contract.multiplier
    unit = price * multiplier
    closing = min(abs(signed), abs(holding.quantity)) if signed * holding.quantity < 0 else 0.0
    opening = abs(signed) - closing
    share = fee / abs(signed)
    realized = None
    direction = 1.0 if holding.quantity > 0 else -1.0
    if closing > 0:
        realized = (unit - holding.average_cost) * closing * direction - share * closing
        holding.realized += realized
    if item.contract.sec_type is SecType.FUTURE:
        # cost carries the opening fee, so cash meets it only when the profit is realised
        ledger.cash += realized or 0.0
    else:
        ledger.cash -= signed * unit + fee
    holding.quantity = _clean(holding.quantity + (-direction * closing if closing else 0.0))
    if opening > 0:
        sign = 1.0 if signed > 0 else -1.0
        cost = unit + sign * share
        total = holding.average_cost * abs(holding.quantity) + cost * opening
        holding.average_cost = total / (abs(holding.quantity) + opening)
        holding.quantity = _clean(holding.quantity + sign * opening)
    if holding.quantity == 0.0:
        holding.average_cost = 0.0
    return realized


def _clean(value: float) -> float:
    return 0.0 if abs(value) < EPSILON else value


def account_id_of(seed: int, name: str = "") -> str:
    """SIM and seven digits, the same for the same seed and state name."""
    mixed = (seed * 2654435761 + sum(ord(c) * (i + 1) * 7919 for i, c in enumerate(name)) + 1_000_003) % 9_000_000
    return f"SIM{mixed + 1_000_000}"
