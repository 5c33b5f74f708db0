"""What an open proposal rests on, and why it may not be approved now, in words.

The gates are the desk's own (models.quant.gates), the same functions the proposer and the bridge ask; the card asks
those whose facts the memory holds, the bridge asks every one again under its claim.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from app import format as fmt
from app.rulebook import rulebook
from app.wording import contract_words, legs_or_reason
from database.store import Store
from models.book import AccountSnapshot
from models.calendar import CalendarError, is_open, next_session
from models.control import LockRow, Switch, SwitchName
from models.market import Quote
from models.order import Order, WhatIf
from models.proposed_trade import Approval, Origin, ProposalStatus, ProposedTrade, asked_of
from models.quant.aftermath import closable
from models.quant.gates import GateFacts, Outcome, Stage, Verdict, WhatIfFact, ask_gates
from models.quant.overrides import Overrides, read_overrides
from models.quant.product import is_spx_family, product_of
from models.quant.regime import GateRules
from models.quant.regime_rules import Family
from models.quant.shapes import family_of as shape_in
from models.quant.structure import Leg, LegsError, QuoteSource, combo_price, legs_hash
from models.quote_facts import quote_fact

HALT_FILE = "HALT"


@dataclass(frozen=True)
class Card:
    """Everything one open proposal rests on, read at machine time `at` (desk time `desk_at`)."""

    at: datetime
    desk_at: datetime
    proposal: ProposedTrade
    legs: tuple[Leg, ...]
    """With the newest quotes in place of those of the proposal; empty when legs_json is not legs."""
    legs_trouble: str
    quotes: Mapping[str, Quote]
    what_if: WhatIf | None
    halt: Switch | None
    halt_file: bool
    pause: Switch | None
    locks: tuple[LockRow, ...]
    unknown: tuple[Order, ...]
    account: AccountSnapshot | None
    rules: GateRules
    overrides: Overrides
    shape: Family
    """What kind of ticket its legs are beside the book as it is now."""
    approval: Approval | None = None
    order: Order | None = None
    """What the approved proposal became, once the bridge has claimed it."""

    @property
    def price_now(self) -> float | None:
        """Mid per combo unit, debit positive, from the newest quotes; None when a leg has none."""
        return combo_price(self.legs) if self.legs else None

    @property
    def price_then(self) -> float | None:
        legs, _ = legs_or_reason(self.proposal.legs_json)
        return combo_price(legs) if legs else None

    @property
    def natural(self) -> float | None:
        return combo_price(self.legs, "natural") if self.legs else None

    @property
    def quote_age(self) -> float | None:
        """Seconds of desk time since the oldest leg's quote."""
        ages = [(self.desk_at - quote.at).total_seconds() for quote in self.quotes.values()]
        return max(0.0, *ages) if ages and len(ages) == len(self.legs) else None

    @property
    def what_if_age(self) -> float | None:
        return (self.at - self.what_if.at).total_seconds() if self.what_if else None

    @property
    def spot(self) -> float | None:
        """The underlying as the legs' own quotes saw it."""
        return next((q.under_price for q in self.quotes.values() if fmt.known(q.under_price) is not None), None)


async def read_card(store: Store, proposal_id: int, now: datetime) -> Card | None:
    """The card of a proposal; None when there is no such proposal."""
    proposal = await store.proposals.get(proposal_id)
    if proposal is None:
        return None
    legs, trouble = legs_or_reason(proposal.legs_json)
    if legs and legs_hash(legs) != proposal.legs_hash:
        legs, trouble = (), "they are not the legs that were proposed: the row was changed since"
    quotes = await store.market.quotes([leg.contract.identity for leg in legs]) if legs else {}
    switches = await store.control.switches()
    working = await store.orders.working(proposal.account_id)
    decided = proposal.status == ProposalStatus.APPROVED
    return Card(
        at=now,
        desk_at=(await store.control.desk_clock(now)).at(now),
        proposal=proposal,
        legs=tuple(_freshened(leg, quotes.get(leg.contract.identity)) for leg in legs),
        legs_trouble=trouble,
        quotes=quotes,
        what_if=await store.orders.what_if_for(proposal_id),
        halt=switches.get(SwitchName.HALT),
        halt_file=(store.var_dir / HALT_FILE).exists(),
        pause=switches.get(SwitchName.PAUSE),
        locks=tuple(await store.control.locks(proposal.account_id)),
        unknown=tuple(order for order in working if order.status == "unknown"),
        account=await store.book.latest_account(proposal.account_id),
        rules=(await rulebook(store)).gates,
        overrides=read_overrides(await store.appetite.overrides(now)),
        shape=await _shape(store, proposal, legs, now),
        approval=await store.proposals.approval_of(proposal_id) if decided else None,
        order=await store.orders.of_proposal(proposal_id) if decided else None,
    )


async def _shape(store: Store, proposal: ProposedTrade, legs: tuple[Leg, ...], now: datetime) -> Family:
    if not legs:
        return Family.COMBINATION
    held = {row.identity: row.quantity for row in await store.book.positions(proposal.account_id)}
    try:
        flying = [order.amounts for order in await store.orders.in_flight(proposal.account_id, now)]
    except LegsError:  # what an order beside it would close is unknown: then nothing counts as a closing
        held, flying = {}, []
    return shape_in(legs, proposal.quantity, closable(held, flying))


def _freshened(leg: Leg, quote: Quote | None) -> Leg:
    if quote is None:
        return replace(leg, bid=None, ask=None, mid=None, source=QuoteSource.UNKNOWN, quoted_at=None)
    sound = quote.bid is not None and quote.ask is not None and 0 <= quote.bid <= quote.ask
    mid = (quote.bid + quote.ask) / 2 if sound else None  # type: ignore[operator]
    return replace(
        leg,
        bid=quote.bid,
        ask=quote.ask,
        mid=mid,
        iv=quote.vendor_iv if leg.iv is None else leg.iv,
        source=QuoteSource(quote.source),
        quoted_at=quote.at,
    )


# ── may it be approved now? ──────────────────────────────────────────────────────────────────────────────────────
ASKED = (
    "override",
    "lock",
    "unknown orders",
    "quotes",
    "quote age",
    "spread",
    "size",
    "open interest",
    "drift",
    "price collar",
    "margin preview",
    "capital",
)
"""The gates the card puts to the memory beside those it words itself. Limits after the trade and margin need the whole
book valued with orders in flight: the proposer asked them, the bridge asks them again."""


def blocks(card: Card) -> tuple[str, ...]:
    """Why Approve is not offered now, in words, gravest first; empty when it is."""
    final = _never(card)
    if final:
        return final
    own = (_halted(card), _paused(card), _refused_then(card), _hours(card))
    return (*(reason for reason in own if reason), *(_words(verdict, card) for verdict in verdicts(card)))


FOLLOWS = {"size": "quotes", "drift": "quotes", "price collar": "quotes", "capital": "margin preview"}
"""What cannot be known while another gate fails is not listed beside it."""


def verdicts(card: Card) -> tuple[Verdict, ...]:
    """The gates that do not pass now, causes only."""
    asked = (verdict for verdict in ask_gates(_facts(card)) if verdict.gate in ASKED)
    failed = [verdict for verdict in asked if verdict.outcome is not Outcome.PASS]
    names = {verdict.gate for verdict in failed}
    return tuple(verdict for verdict in failed if FOLLOWS.get(verdict.gate) not in names)


def _facts(card: Card) -> GateFacts:
    p, preview = card.proposal, card.what_if
    product = product_of(card.legs[0].contract)
    return GateFacts(
        stage=Stage.CARD,
        rules=card.rules,
        machine_now=card.at,
        desk_now=card.desk_at,
        origin=p.origin,
        status=p.status,
        expires_at=p.expires_at,
        family=family_of(card),
        underlying=card.legs[0].contract.symbol,
        shape=card.shape,
        quantity=p.quantity,
        asked=asked_of(p),
        limit_price=p.limit_price,
        worst_price=p.worst_price,
        tick=product.tick(p.limit_price) if len(card.legs) == 1 else product.combo_tick,
        quotes=tuple(
            quote_fact(
                leg.contract, card.quotes.get(leg.contract.identity), leg.ratio, name=contract_words(leg.contract)
            )
            for leg in card.legs
        ),
        mid_now=card.price_now,
        mid_proposed=card.price_then,
        natural_now=card.natural,
        overrides=card.overrides,
        closes=card.shape is Family.CLOSE,
        reduces=card.shape is Family.CLOSE or not raises_risk(p),
        locked_families=frozenset(lock.family for lock in card.locks),
        unknown_families=frozenset(order.risk_family for order in card.unknown),
        what_if=_what_if_fact(preview) if preview else None,
        available_funds=fmt.known(card.account.available_funds) if card.account else None,
    )


def family_of(card: Card) -> str:
    contract = card.legs[0].contract
    return "SPX" if is_spx_family(contract) else contract.symbol


def _what_if_fact(row: WhatIf) -> WhatIfFact:
    return WhatIfFact(
        at=row.at,
        init_margin_change=fmt.known(row.init_margin_change),
        maint_margin_change=fmt.known(row.maint_margin_change),
        equity_change=fmt.known(row.equity_change),
        failure=row.failure,
    )


def _words(verdict: Verdict, card: Card) -> str:
    if verdict.gate == "margin preview":
        if card.what_if is None:
            return "Waiting for the broker's margin preview; the desk has asked for it."
        if not card.what_if.failure:
            return (
                f"The margin preview is {fmt.age(card.what_if_age)} old (30 s allowed); a new one has been asked for."
            )
    text = f"{verdict.reason[0].upper()}{verdict.reason[1:]}." if verdict.reason else f"{verdict.gate}."
    return f"{text} The next check prices it anew." if verdict.gate == "drift" else text


def _never(card: Card) -> tuple[str, ...]:
    """Reasons no waiting will cure."""
    p = card.proposal
    if p.status != ProposalStatus.PENDING:
        who = f" by {p.decided_by}" if p.decided_by else ""
        why = f": {p.decision_reason}" if p.decision_reason else ""
        return (f"Already {p.status.lower()}{who} at {fmt.eastern(p.decided_at)} ET{why}.",)
    if p.origin == Origin.MOCK:
        return ("This answers a made-up breach (MOCK_BREACH); a mock proposal can never be approved.",)
    if p.expires_at <= card.at:
        return (f"It expired {fmt.age((card.at - p.expires_at).total_seconds())} ago; the next check writes new ones.",)
    if card.legs_trouble:
        return (f"Its legs cannot be read: {card.legs_trouble}. Nothing can be sent.",)
    return ()


def _halted(card: Card) -> str:
    if card.halt_file:
        return f"A file {HALT_FILE} in the desk's folder halts it; remove the file to go on."
    if card.halt is not None and card.halt.value == "off":
        return ""
    if card.halt is None:
        return "The HALT switch cannot be read, so the desk counts as halted."
    reason = f": {card.halt.reason}" if card.halt.reason else ""
    return f"HALT is on since {fmt.eastern(card.halt.set_at)} ET, set by {card.halt.set_by}{reason}. Release it first."


def _paused(card: Card) -> str:
    on = card.pause is None or card.pause.value != "off"
    return (
        "New risk is paused and this trade raises a risk; only reducing trades go."
        if on and raises_risk(card.proposal)
        else ""
    )


def _refused_then(card: Card) -> str:
    failed = [check for check in checks_of(card.proposal) if check.outcome == "refuse"]
    return f"A check refuses it: {failed[0].name}: {failed[0].reason}." if failed else ""


def _hours(card: Card) -> str:
    for leg in card.legs:
        try:
            if not is_open(leg.contract, card.desk_at, regular_only=True):
                opens = next_session(leg.contract, card.desk_at).start
                return f"{leg.contract.trading_class} is closed; it opens {fmt.eastern_day(opens)} ET."
        except CalendarError as error:
            return f"The market's hours are unknown: {error}."
    return ""


@dataclass(frozen=True)
class CheckLine:
    """One gate as the proposer found it: outcome pass, cut or refuse."""

    name: str
    outcome: str
    reason: str


def checks_of(proposal: ProposedTrade) -> tuple[CheckLine, ...]:
    rows = (proposal.scores or {}).get("checks") or ()
    return tuple(
        CheckLine(str(row.get("name", "?")), str(row.get("outcome", "?")), str(row.get("reason") or "")) for row in rows
    )


RISKS = {"spx_delta": "size", "gamma": "short", "vega_weighted": "short", "stress_worst": "size", "margin": "value"}


def raises_risk(proposal: ProposedTrade) -> bool:
    """Does any capped measure end further out than it began? Unknown counts as yes."""
    scores = proposal.scores or {}
    before, after = scores.get("before") or {}, scores.get("after") or {}
    for key, how in RISKS.items():
        was, will = fmt.known(before.get(key)), fmt.known(after.get(key))
        if was is None and will is None and key in ("margin", "stress_worst"):
            continue
        if was is None or will is None or _amount(will, how) > _amount(was, how) * (1 + 1e-6) + 1e-6:
            return True
    return not before


def _amount(value: float, how: str) -> float:
    if how == "size":
        return abs(value)
    return max(-value, 0.0) if how == "short" else value


def needs_two_steps(proposal: ProposedTrade, real_money: bool) -> bool:
    """One click where risk falls or the money is not real; two where live risk rises."""
    return real_money and raises_risk(proposal)
