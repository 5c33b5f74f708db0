"""Every gate a ticket must pass, as one list of named questions about one frozen set of facts.

The proposer, the card and the bridge ask the same functions; the stage says which questions apply. A fact that is
missing is never a pass. Every refusal is a sentence with the numbers in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.quant.breach import money, percent
from models.quant.gate_facts import ApprovalFact, GateFacts, Outcome, QuoteFact, Stage, Verdict, WhatIfFact
from models.quant.liquidity import few_open, thin_side
from models.quant.regime_rules import Family, GateRules
from models.quant.structure import QuoteSource

__all__ = [
    "GATES", "ApprovalFact", "Gate", "GateFacts", "Outcome", "QuoteFact", "Stage", "Verdict", "WhatIfFact",
    "allowed_quantity", "ask_gates", "drifted", "most_drift", "off_surface", "refusal", "widest_spread",
]  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """A named question; `ask` answers None for pass, a reason to refuse, or (n, reason) to cut the quantity to n."""

    name: str
    stages: frozenset[Stage]
    ask: Callable[[GateFacts], str | tuple[int, str] | None]


def ask_gates(facts: GateFacts) -> tuple[Verdict, ...]:
    """The answer of every gate that applies at the facts' stage, in the list's order."""
    return tuple(_verdict(gate, facts) for gate in GATES if facts.stage in gate.stages)


def refusal(verdicts: Sequence[Verdict]) -> str | None:
    """The first reason not to go on as asked (a refusal before a cut), or None when everything passed."""
    for outcome in (Outcome.REFUSE, Outcome.CUT):
        for verdict in verdicts:
            if verdict.outcome is outcome:
                return f"{verdict.gate}: {verdict.reason}"
    return None


def allowed_quantity(verdicts: Sequence[Verdict], quantity: int) -> int:
    """How many of `quantity` may go: 0 when any gate refuses, else the smallest cut."""
    if any(verdict.outcome is Outcome.REFUSE for verdict in verdicts):
        return 0
    return min([quantity, *(v.cut_to for v in verdicts if v.cut_to is not None)])


def _verdict(gate: Gate, facts: GateFacts) -> Verdict:
    answer = gate.ask(facts)
    if answer is None:
        return Verdict(gate.name, Outcome.PASS, "")
    if isinstance(answer, str):
        return Verdict(gate.name, Outcome.REFUSE, answer)
    return Verdict(gate.name, Outcome.CUT, answer[1], answer[0])


# ── who may trade at all ────────────────────────────────────────────────────────────────────────────────────────
_PREFIX = {"DEMO": ("SIM",), "PAPER": ("D",)}


def mock_never(facts: GateFacts) -> str | None:
    return "a mock row can never be approved or crossed" if facts.origin == "mock" else None


def interlock(facts: GateFacts) -> str | None:
    """Mode, database, account and trading switch agree; in LIVE trading must be enabled on purpose."""
    if facts.database_mode != facts.mode:
        return f"the database belongs to mode {facts.database_mode or 'unknown'}, the desk runs in {facts.mode}"
    account = facts.connected_account
    if account is None or account != facts.account_id:
        return "the connected account is not the account of the ticket" if account else "no account is connected"
    upper = account.upper()
    if facts.mode == "LIVE":
        if upper.startswith(("D", "SIM")):
            return "LIVE is connected to a paper or simulated account"
        if not facts.trading_enabled:
            return "trading is not enabled; set TRADING_ENABLED=true to trade live"
    elif not upper.startswith(_PREFIX.get(facts.mode, ())):
        return f"the connected account is not a {facts.mode} account"
    return None


def decision(facts: GateFacts) -> str | None:
    """Pending on the card; approved at the crossing."""
    wanted = "Approved" if facts.stage is Stage.CROSSING else "Pending"
    if facts.status == wanted:
        return None
    if facts.stage is Stage.CROSSING:
        return f"the proposal is {facts.status}, not Approved"
    return f"already decided: it is {facts.status}"


def expiry(facts: GateFacts) -> str | None:
    if facts.expires_at is None:
        return "when the proposal expires is unknown"
    late = (facts.machine_now - facts.expires_at).total_seconds()
    return f"the proposal expired {late:.0f} s ago" if late >= 0 else None


def approval(facts: GateFacts) -> str | None:
    """A valid signature, still good, of this epoch."""
    said = facts.approval
    if said is None:
        return "there is no approval"
    if said.signature_valid is not True:
        return "the approval's signature " + (
            "is not valid" if said.signature_valid is False else "could not be checked"
        )
    if said.epoch != facts.epoch:
        return f"the approval is of epoch {said.epoch}; the desk is in epoch {facts.epoch}"
    late = (facts.machine_now - said.good_until).total_seconds()
    return f"the approval ended {late:.0f} s ago" if late >= 0 else None


# ── the desk's brakes ───────────────────────────────────────────────────────────────────────────────────────────
def halt(facts: GateFacts) -> str | None:
    if facts.halt_file:
        return "halted: the file var/HALT exists"
    if facts.halt == "off":
        return None
    return "halted" if facts.halt == "on" else "halted: the halt switch cannot be read"


def pause(facts: GateFacts) -> str | None:
    """Under pause only reducing trades go."""
    if facts.pause == "off" or _reduces(facts):
        return None
    return ("paused" if facts.pause == "on" else "the pause switch cannot be read") + ": only reducing trades may go"


def _reduces(facts: GateFacts) -> bool:
    return facts.room.reduces(facts.quantity) if facts.room is not None else facts.reduces is True


def _closes(facts: GateFacts) -> bool:
    return facts.room.closes if facts.room is not None else facts.closes is True


def override(facts: GateFacts) -> str | tuple[int, str] | None:
    """What the person allows less of: nothing, closings, reductions, or a share of the size that was found."""
    if facts.overrides is None:
        return None if _reduces(facts) else "the overrides cannot be read: only reducing trades may go"
    asked = facts.quantity if facts.asked is None else max(facts.asked, facts.quantity)
    most, reason = facts.overrides.cut(
        asked, facts.shape or Family.CUSTOM, facts.underlying, _closes(facts), _reduces(facts)
    )
    if reason is None or most >= facts.quantity:
        return None
    return (most, reason) if most > 0 else reason


def lock(facts: GateFacts) -> str | None:
    if facts.locked_families is None:
        return "the locks cannot be read"
    if facts.family in facts.locked_families:
        return f"{facts.family} is locked: the book and the broker differ"
    return None


def unknown_orders(facts: GateFacts) -> str | None:
    if facts.unknown_families is None:
        return "whether an order's outcome is unknown cannot be read"
    if facts.family in facts.unknown_families:
        return f"an order in {facts.family} has an unknown outcome; nothing new until it is resolved"
    return None


def hours(facts: GateFacts) -> str | None:
    if facts.market_open is None:
        return "the market's hours are unknown"
    return None if facts.market_open else "the market is closed"


# ── prices ──────────────────────────────────────────────────────────────────────────────────────────────────────
def quote_complete(facts: GateFacts) -> str | None:
    """Every leg has a real two-sided quote that is neither crossed nor halted."""
    if not facts.quotes:
        return "there are no quotes"
    for q in facts.quotes:
        if q.halted:
            return f"{q.name} is halted"
        if q.source is not QuoteSource.REAL:
            return f"the quote of {q.name} is {q.source.value}, not real"
        if q.bid is None or q.ask is None:
            return f"the quote of {q.name} is one-sided"
        if q.ask < q.bid:
            return f"the quote of {q.name} is crossed: {q.bid:g} bid, {q.ask:g} asked"
    return None


def quote_age(facts: GateFacts) -> str | None:
    for q in facts.quotes:
        if q.at is None:
            return f"the age of the quote of {q.name} is unknown"
        age = (facts.desk_now - q.at).total_seconds()
        if age > facts.rules.quote_age:
            return f"the quote of {q.name} is {age:.1f} s old, over {facts.rules.quote_age:g} s"
        if age < -facts.rules.quote_age:  # two clocks disagree: such a quote would look fresh for ever
            return f"the quote of {q.name} is dated {-age:.1f} s in the future"
    return None


def spread(facts: GateFacts) -> str | None:
    """A leg's market may not be wider than the floor or the fraction of its mid, whichever is more."""
    for q in facts.quotes:
        if q.bid is None or q.ask is None:
            continue  # quote_complete refuses it
        widest = widest_spread(facts.rules, (q.bid + q.ask) / 2)
        if q.ask - q.bid > widest + 1e-9:
            return f"{q.name} is {q.ask - q.bid:.2f} wide, over {widest:.2f}"
    return None


def widest_spread(rules: GateRules, mid: float) -> float:
    return max(rules.spread_floor, rules.spread_fraction * abs(mid))


def size(facts: GateFacts) -> str | tuple[int, str] | None:
    return thin_side(facts.rules, facts.quotes, facts.quantity)


def open_interest(facts: GateFacts) -> str | None:
    """A closing leaves, and may always."""
    return None if _closes(facts) else few_open(facts.rules, facts.quotes)


def off_surface(rules: GateRules, mid: float, fitted: float | None) -> bool:
    """True when a quote's mid is further from the fitted price than the gate allows (price points)."""
    return (
        fitted is not None and abs(mid - fitted) > max(rules.surface_floor, rules.surface_fraction * abs(fitted)) + 1e-9
    )


def surface_distance(facts: GateFacts) -> str | None:
    for q in facts.quotes:
        if q.bid is None or q.ask is None:
            continue
        mid = (q.bid + q.ask) / 2
        if off_surface(facts.rules, mid, q.fitted):
            return f"{q.name} is quoted at {mid:.2f}, the surface says {q.fitted:.2f}"
    return None


def drift(facts: GateFacts) -> str | None:
    """The price may have moved against nobody's knowledge: at most two ticks or 5 % since it was proposed."""
    if facts.mid_now is None or facts.mid_proposed is None:
        return "the price now or the price proposed is unknown"
    return drifted(facts.rules, facts.tick, facts.mid_proposed, facts.mid_now)


def drifted(rules: GateRules, tick: float, proposed: float, now: float) -> str | None:
    """Why a combo's mid (price points) is too far from the one proposed, None while it is not."""
    most, moved = most_drift(rules, tick, proposed), abs(now - proposed)
    return (
        f"the price moved {moved:.2f} from {proposed:.2f} to {now:.2f}, over {most:.2f}"
        if moved > most + 1e-9
        else None
    )


def most_drift(rules: GateRules, tick: float, price: float) -> float:
    return max(rules.drift_ticks * tick, rules.drift_fraction * abs(price))


def collar(facts: GateFacts) -> str | None:
    """The limit is within the worst price signed, and not so far through the market that a fill would be a gift."""
    if facts.limit_price is None or facts.worst_price is None:
        return "the limit or the worst price is unknown"
    if facts.limit_price > facts.worst_price + 1e-9:
        return f"the limit {facts.limit_price:.2f} is beyond the worst price {facts.worst_price:.2f}"
    if facts.natural_now is None:
        return "what the market asks now is unknown"
    most = facts.natural_now + most_drift(facts.rules, facts.tick, facts.natural_now)
    if facts.limit_price > most + 1e-9:
        return f"the limit {facts.limit_price:.2f} is far through the market, which asks {facts.natural_now:.2f}"
    return None


# ── the book after the trade ────────────────────────────────────────────────────────────────────────────────────
def limits_after(facts: GateFacts) -> str | tuple[int, str] | None:
    """No cap's breach is created or deepened, with every order in flight at its worst."""
    room = facts.room
    if room is None:
        return "the limits after the trade are unknown"
    most = 0 if room.also else room.most(facts.quantity)
    if most >= facts.quantity:
        return None
    return (most, room.words(facts.quantity)) if most > 0 else room.words(facts.quantity)


def what_if_fresh(facts: GateFacts) -> str | None:
    preview = facts.what_if
    if preview is None:
        return "there is no margin preview"
    if preview.failure:
        return f"the margin preview failed: {preview.failure}"
    if preview.estimated and facts.stage is not Stage.PROPOSAL:
        return "the margin is our estimate; the broker's preview is needed"
    if facts.stage is Stage.PROPOSAL:
        return None
    if preview.at is None:
        return "the age of the margin preview is unknown"
    most = facts.rules.what_if_age if facts.stage is Stage.CARD else facts.rules.what_if_age_crossing
    age = (facts.machine_now - preview.at).total_seconds()
    return f"the margin preview is {age:.0f} s old, over {most:g} s" if age > most else None


def capital(facts: GateFacts) -> str | tuple[int, str] | None:
    """Capital impact within its share of available funds; a trade that frees capital always passes."""
    impact = facts.what_if.capital_impact if facts.what_if else None
    if impact is None:
        return "the capital impact is unknown"
    if impact <= 0:
        return None
    if facts.available_funds is None:
        return "available funds are unknown"
    most = facts.rules.capital_share * max(facts.available_funds, 0.0)
    if impact <= most + 1e-6:
        return None
    share = percent(facts.rules.capital_share)
    words = f"capital impact {money(impact)} is over {share} of available funds, {money(most)}"
    fits = int(facts.quantity * most / impact + 1e-9)
    return (fits, words) if fits > 0 else words


def margin(facts: GateFacts) -> str | None:
    """While margin use is over its limit nothing may raise it; nothing may raise it over its limit."""
    preview = facts.what_if
    if preview is None or preview.init_margin_change is None:
        return "the margin change is unknown"
    if preview.init_margin_change <= 0 and (preview.maint_margin_change or 0.0) <= 0:
        return None
    if facts.margin_used is None or facts.nlv is None or facts.nlv <= 0:
        return "margin used or net liquidation is unknown and the trade raises margin"
    before = facts.margin_used / facts.nlv
    after = (facts.margin_used + max(preview.init_margin_change, preview.maint_margin_change or 0.0)) / facts.nlv
    if before > facts.margin_max:
        limit = percent(facts.margin_max)
        return f"margin used is {percent(before)} of net liquidation, over {limit}; nothing may raise it"
    if after > facts.margin_max + 1e-9:
        return f"margin used would be {percent(after)} of net liquidation, over {percent(facts.margin_max)}"
    return None


_ALL = frozenset(Stage)
_DECIDED = frozenset({Stage.CARD, Stage.CROSSING})
_CARD = frozenset({Stage.CARD})
_CROSSING = frozenset({Stage.CROSSING})

GATES: tuple[Gate, ...] = (
    Gate("mock", _DECIDED, mock_never),
    Gate("interlock", _DECIDED, interlock),
    Gate("decision", _DECIDED, decision),
    Gate("expiry", _CARD, expiry),
    Gate("approval", _CROSSING, approval),
    Gate("halt", _DECIDED, halt),
    Gate("pause", _DECIDED, pause),
    Gate("override", _ALL, override),
    Gate("lock", _DECIDED, lock),
    Gate("unknown orders", _DECIDED, unknown_orders),
    Gate("market hours", _DECIDED, hours),
    Gate("quotes", _ALL, quote_complete),
    Gate("quote age", _ALL, quote_age),
    Gate("spread", _ALL, spread),
    Gate("size", _ALL, size),
    Gate("open interest", _ALL, open_interest),
    Gate("surface", _ALL, surface_distance),
    Gate("drift", _DECIDED, drift),
    Gate("price collar", _DECIDED, collar),
    Gate("limits after the trade", _ALL, limits_after),
    Gate("margin preview", _ALL, what_if_fresh),
    Gate("capital", _ALL, capital),
    Gate("margin", _ALL, margin),
)
