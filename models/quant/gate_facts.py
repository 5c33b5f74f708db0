"""What the gates may know, and how they answer: frozen facts in, verdicts out. The questions are in `gates`."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.quant.overrides import Overrides
from models.quant.regime_rules import Family, GateRules
from models.quant.room import TicketRoom
from models.quant.structure import QuoteSource


class Stage(StrEnum):
    PROPOSAL = "proposal"  # the proposer, before anything is shown
    CARD = "card"  # the open card: may it be approved?
    CROSSING = "crossing"  # the bridge, under its claim


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105 - an outcome, not a password
    CUT = "cut"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Verdict:
    """One gate's answer. `cut_to` is the quantity that would pass, only with CUT."""

    gate: str
    outcome: Outcome
    reason: str
    cut_to: int | None = None

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASS


@dataclass(frozen=True)
class QuoteFact:
    """A leg's quote in price points; sizes and open interest in contracts or shares, None unknown.

    `at` is desk time; `fitted` the surface's price, None when there is none; `ratio` how many one combo trades.
    """

    name: str
    bid: float | None
    ask: float | None
    at: datetime | None
    source: QuoteSource
    fitted: float | None = None
    halted: bool = False
    bid_size: float | None = None
    ask_size: float | None = None
    open_interest: float | None = None
    ratio: int = 1
    is_option: bool = True


@dataclass(frozen=True)
class WhatIfFact:
    """The broker's preview, or our estimate (`estimated`). Changes in currency, after − before; `at` machine time."""

    at: datetime | None
    init_margin_change: float | None
    maint_margin_change: float | None
    equity_change: float | None
    failure: str | None = None
    estimated: bool = False

    @property
    def capital_impact(self) -> float | None:
        """Change of initial margin minus change of equity with loan; None when either is unknown."""
        if self.init_margin_change is None or self.equity_change is None:
            return None
        return self.init_margin_change - self.equity_change


@dataclass(frozen=True)
class ApprovalFact:
    """The signed statement as checked by the caller: `signature_valid` None when it could not be checked."""

    signature_valid: bool | None
    good_until: datetime
    epoch: int


@dataclass(frozen=True, kw_only=True)
class GateFacts:
    """Everything the gates may know; whatever is left out is unknown, and unknown never passes.

    machine_now dates approvals and what-ifs, desk_now dates quotes. Prices are debit positive per combo unit:
    `mid_now` and `mid_proposed` are combo mids, `natural_now` is what crossing the market costs now. `halt` and `pause`
    are the switches' values ("on", "off"), None when unreadable. `room` counts orders in flight at their worst; who has
    none (the card) may say what it knows of the ticket in `closes` and `reduces`.
    """

    stage: Stage
    rules: GateRules
    machine_now: datetime
    desk_now: datetime
    # who and where
    mode: str = ""
    database_mode: str | None = None
    account_id: str = ""
    connected_account: str | None = None
    trading_enabled: bool = False
    # the decision
    origin: str = ""
    status: str = ""
    expires_at: datetime | None = None
    approval: ApprovalFact | None = None
    epoch: int | None = None
    # the ticket
    family: str = ""
    """The risk family that locks and unknown orders block: SPX for the SPX family, else the underlying."""
    underlying: str = ""
    """The symbol that overrides name: SPX for SPX and SPXW, MES for MES."""
    shape: Family | None = None
    """The family told from legs and book (`shapes.family_of`); None falls under every strategy's override."""
    quantity: int = 0
    asked: int | None = None
    """The size before overrides cut it, so that nothing is cut twice; None: `quantity` is it."""
    limit_price: float | None = None
    worst_price: float | None = None
    tick: float = 0.0
    quotes: tuple[QuoteFact, ...] = ()
    mid_now: float | None = None
    mid_proposed: float | None = None
    natural_now: float | None = None
    market_open: bool | None = None
    # the desk
    halt: str | None = None
    halt_file: bool = False
    pause: str | None = None
    overrides: Overrides | None = None
    locked_families: frozenset[str] | None = None
    unknown_families: frozenset[str] | None = None
    # the book after it
    room: TicketRoom | None = None
    closes: bool | None = None
    reduces: bool | None = None
    what_if: WhatIfFact | None = None
    available_funds: float | None = None
    margin_used: float | None = None
    nlv: float | None = None
    margin_max: float = 0.0
