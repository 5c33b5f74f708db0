"""From a breach to three scored hedges: one completed check per account, its proposals and reasons in one transaction.

`python -m agents.trade_proposer --run-once` makes one check and prints what it proposed and why, or why nothing; with
MOCK_BREACH=TRUE it does so offline, on a made-up chain, with proposals that can never be approved.
"""

import asyncio
import sys
import uuid
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agents import hand_tickets
from agents.accounts import CheckIncomplete, read_account
from agents.borrowed import lent_staff, what_is_missing
from agents.command import agent_command, one_pass
from agents.desk import Desk
from agents.hedge_quotes import fresh_quotes, keep_quoted, legs_of, recent_quotes, with_quotes, within_lines
from agents.hedge_rows import Refused, proposal_row, sentence_of, table, with_caveat
from agents.management import manage
from agents.margin_previews import margins_under, previewed
from agents.mock_check import check_mock
from agents.notices import Outcome, far_over, tell
from agents.proposer_engine import Account, CandidateGenerator, ProposerEngine, RiskRegimeLoader
from agents.runner import Report
from bridge.outlook import Outlook
from models.market import Quote
from models.proposed_trade import Check, Origin
from models.quant.breach import Breach, breach_key
from models.quant.option import Contract
from models.quant.portfolio import Exposure
from models.quant.proposing import Candidate, Proposals, Refusals, top_three

NAME = "trade_proposer"
PROPOSAL_LIFE = timedelta(minutes=15)
MOST_LOOKS = 3  # a book that changes under the look (a fill, an approval) is looked at again
READY_SINCE = timedelta(minutes=2)
AT_ONCE, MOST_ROUNDS, WANTED = 12, 3, 3  # hedges quoted for real together, how often, and how many are proposed
JUDGED_BY = ("spx_delta", "gamma", "vega_weighted", "stress_worst")  # without these no after-trade truth can be told


@dataclass
class Memory:
    """What is remembered between checks: the caps each account's last check answered and which of their episodes (a
    cap that heals for a moment and breaks again is not news), who stood far over a limit, whether the last check
    completed, the proposals whose orders were in flight, and how many have ended since."""

    answered: dict[str, frozenset[str]] = field(default_factory=dict)
    episodes: dict[tuple[str, str], int | None] = field(default_factory=dict)
    far_over: dict[str, frozenset[str]] = field(default_factory=dict)
    complete: bool = False
    flying: frozenset[int | None] = frozenset()
    ended: int = 0


@dataclass(frozen=True)
class Hedges:
    """What one check settled on, and whom the real market or the broker refused (reason → each in words)."""

    chosen: tuple[Candidate, ...]
    refused: Refused


@dataclass(frozen=True)
class Finding:
    """Everything one look found out, before anything is written. `began` is machine time, `desk_at` desk time."""

    account: Account
    outlook: Outlook
    breaches: tuple[Breach, ...]
    cured_in_flight: bool
    proposals: Proposals
    hedges: Hedges
    sentence: str
    began: datetime
    desk_at: datetime
    seconds: float


async def work(desk: Desk) -> Report:
    """One check of every account."""
    if desk.settings.mock_breach:
        return await check_mock(desk, PROPOSAL_LIFE)
    await hand_tickets.answer_waiting(desk)
    memory = desk.keep(Memory)
    accounts = (await desk.store.control.desk()).account_ids
    if not accounts:
        raise CheckIncomplete("no account is known yet; the bridge has not reached the broker")
    try:
        sentences = [await check(desk, account_id, memory) for account_id in accounts]
    except CheckIncomplete:
        memory.complete = False
        raise
    memory.complete = True
    return Report(" ".join(sentences), rows=len(sentences))


async def watch(desk: Desk) -> frozenset[object]:
    """The reasons to check before the interval is over: a breach that the last check has not answered, another book, an
    order that ended, or what the last check had to do without has arrived. An approval alone is none: the bridge has
    the machine to itself then."""
    if desk.settings.mock_breach:
        return frozenset()
    memory, store = desk.keep(Memory), desk.store
    reasons: set[object] = set()
    for row in await store.appetite.open_breaches():
        if row.kind in memory.answered.get(row.account_id, ()):
            memory.episodes[row.account_id, row.kind] = row.id
        elif row.is_cap and memory.episodes.get((row.account_id, row.kind)) != row.id:
            reasons.add(("breach", row.account_id, row.kind))
    book = frozenset((row.account_id, row.identity, row.quantity) for row in await store.book.positions())
    flying = frozenset(order.proposal_id for order in await store.orders.in_flight(None, desk.machine_now()))
    memory.ended += len(memory.flying - flying)
    memory.flying = flying
    reasons |= {("book", book), ("ended", memory.ended), *await hand_tickets.waiting(desk)}
    if not memory.complete:
        reasons.add(("missing", await what_is_missing(desk, desk.machine_now() - READY_SINCE)))
    return frozenset(reasons)


async def check(desk: Desk, account_id: str, memory: Memory) -> str:
    """One account's completed check, as a sentence; raises CheckIncomplete when its book or the market is unknown."""
    for _ in range(MOST_LOOKS):
        finding = await look(desk, account_id)
        account = await read_account(desk, account_id, desk.machine_now())
        if (account.held, account.in_flight) == (finding.account.held, finding.account.in_flight):
            sentence = await record(desk, finding, memory)
            return f"{sentence} {await manage(desk, finding.account, finding.outlook)}".rstrip()
    raise CheckIncomplete("the book kept changing during the check; it is looked at again in a moment")


async def look(desk: Desk, account_id: str) -> Finding:
    """Read, price, propose and judge; nothing is written but wishes for quotes."""
    began, now, started = desk.machine_now(), await desk.now(), asyncio.get_running_loop().time()
    loader, generator = RiskRegimeLoader(desk.store, desk.settings), CandidateGenerator(desk.store)
    account = await read_account(desk, account_id, began)
    hedge_rules = (await loader.load(account, (), now, began)).appetite.hedges
    linear = await generator.linear(hedge_rules)
    outlook = await loader.load(account, linear, now, began)
    engine = ProposerEngine(account, outlook)
    breaches = engine.detector.detect(known_exposure(engine))
    cured = engine.detector.cured_in_flight(breaches)
    proposals, hedges = Proposals(breaches, (), Refusals(), 0, ""), Hedges((), {})
    if not cured:
        tradable = (*linear, *await generator.options(hedge_rules, outlook.view.spx, now))
        # In a thread: a second or two of arithmetic would stop every heartbeat of the thinkers.
        proposals = await asyncio.to_thread(engine.propose, tradable, await recent_quotes(desk, began))
        hedges = await settle_on(desk, engine, loader, proposals)
    sentence = sentence_of(breaches, hedges.chosen, proposals.looked_at, hedges.refused, cured)
    sentence = with_caveat(sentence, outlook)
    seconds = asyncio.get_running_loop().time() - started
    return Finding(account, outlook, breaches, cured, proposals, hedges, sentence, began, now, seconds)


async def record(desk: Desk, found: Finding, memory: Memory) -> str:
    """The check and its proposals in one transaction; then who must be told."""
    account_id, regime, profile = found.account.account_id, found.outlook.regime, found.outlook.profile.value
    set_id, created = uuid.uuid4().hex, desk.machine_now()
    expires = created + PROPOSAL_LIFE
    chosen, surface = found.hedges.chosen, await desk.store.market.surface("SPX")
    rows = [proposal_row(c, account_id, Origin.HEDGE, set_id, created, expires) for c in chosen]
    for row in rows:
        row.regime, row.profile, row.snapshot_id = regime.value, profile, surface.snapshot_id if surface else None
        row.justification = with_caveat(row.justification, found.outlook)
    done = Check(
        account_id=account_id,
        at=found.began,
        desk_at=found.desk_at,
        regime=regime.value,
        profile=profile,
        breaches=sum(breach.is_cap for breach in found.breaches),
        candidates=found.proposals.looked_at,
        refused=refusals_of(found.proposals, found.hedges),
        proposed=len(rows),
        seconds=found.seconds,
        sentence=found.sentence,
        breach_set_id=set_id,
    )
    ids = await desk.store.proposals.replace_pending(account_id, Origin.HEDGE, rows, done, created)
    await margins_under(desk, ids, chosen)
    await keep_quoted(desk, f"{NAME}:{account_id}", chosen, expires)
    best = max((c.efficiency_score for c in chosen if c.efficiency_score is not None), default=None)
    before = memory.far_over.get(account_id, frozenset())
    far = memory.far_over[account_id] = far_over(found.breaches, found.outlook.appetite.watch.far_over)
    memory.answered[account_id] = frozenset(
        breach_key(breach.kind, breach.subject) for breach in found.breaches if breach.is_cap
    )
    breaches = () if found.cured_in_flight else found.breaches
    await tell(desk, Outcome(account_id, regime, breaches, best, len(rows), found.sentence, far, before))
    return found.sentence


def known_exposure(engine: ProposerEngine) -> Exposure:
    """The book's exposure; raises CheckIncomplete naming what a limit cannot be judged without."""
    limits, exposure = engine.detector.limits, engine.detector.exposure()
    unknown = [name.replace("_", " ") for name in JUDGED_BY if getattr(exposure, name) is None]
    if limits.missing or unknown:
        raise CheckIncomplete("; ".join((*limits.missing, *(exposure.missing or unknown))[:4]))
    return exposure


async def settle_on(desk: Desk, engine: ProposerEngine, loader: RiskRegimeLoader, found: Proposals) -> Hedges:
    """As many at a time as there are lines, on real quotes, until three that differ stand; then the broker's margin."""
    waiting, kept, legs = list(found.ranked), list[Candidate](), dict[Contract, None]()
    quotes, scene, reasons = dict[str, Quote](), None, Refused()
    for _ in range(MOST_ROUNDS):
        batch = within_lines(waiting[:AT_ONCE])
        if not batch or (scene is not None and len(top_three(kept, scene)) == WANTED):
            break
        waiting = [candidate for candidate in waiting if candidate not in batch]
        legs |= dict.fromkeys(legs_of(batch))
        quotes |= await fresh_quotes(desk, legs_of(batch), f"{NAME}:{engine.account.account_id}")
        now = await desk.now()
        outlook = await loader.load(engine.account, legs, now, desk.machine_now())
        scene = engine.rescene(legs, outlook, quotes)
        judged = await asyncio.to_thread(engine.judge, scene, batch, quotes, now)
        kept += [with_quotes(candidate, quotes) for candidate in judged.candidates]
        for name, why in judged.refused.items():
            reasons.setdefault(f"on real quotes: {why.split(':')[0]}", []).append(f"{name}: {why}")
    if scene is None:
        return Hedges((), reasons)
    chosen, refused = await previewed(desk, engine.account.account_id, kept, scene)
    for name, why in refused:
        reasons.setdefault("not with the broker's margin", []).append(f"{name}: {why}")
    return Hedges(chosen, reasons)


def refusals_of(found: Proposals, hedges: Hedges) -> dict[str, object]:
    """Reason → count over the whole chain and over what was quoted for real, with the best refused in words."""
    counts = Counter(found.refusals.counts)
    for reason, names in hedges.refused.items():
        counts[reason] += len(names)
    example = next((names[0] for names in hedges.refused.values() if names), found.refusals.example)
    return {**dict(counts.most_common()), **({"example": example} if example else {})}


# ── by hand ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def run_once(desk: Desk) -> int:
    """One check with whatever staff lives, or lent for it, then the table; 0 when the check completed."""
    began = desk.machine_now()
    async with AsyncExitStack() as stack:
        if not desk.settings.mock_breach:
            await stack.enter_async_context(lent_staff(desk))
        code = await one_pass(NAME, desk)
    for record in reversed(await desk.store.proposals.checks(8)):
        if record.at >= began:
            pending = await desk.store.proposals.pending(record.account_id, desk.machine_now())
            mine = [row for row in pending if row.breach_set_id == record.breach_set_id]
            exits = [row for row in pending if row.origin == Origin.MANAGE]
            sys.stdout.write("\n" + table(record, [*mine, *exits]))
    return code


if __name__ == "__main__":
    sys.exit(agent_command(NAME, once=run_once))
