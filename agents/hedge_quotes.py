"""Real quotes for the legs of the best candidates: asked of the streams, waited for, and put on the legs."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from agents.subscriptions import PROPOSAL, Budget
from bridge.outlook import QUOTE_LIFE
from models.market import Quote
from models.quant.option import Contract
from models.quant.proposing import Candidate
from models.quant.structure import Leg

if TYPE_CHECKING:
    from agents.desk import Desk

QUOTED_WITHIN = 12.0  # seconds; a market that shows no two sides by then is none to hedge in
QUIET = 4.0  # seconds without another leg quoted, once the first were: the rest is not listed or not made
WISH_LIFE = timedelta(seconds=60)


def within_lines(candidates: Sequence[Candidate], most: int = Budget().proposal) -> tuple[Candidate, ...]:
    """The best candidates whose legs together fit the lines that proposals may take."""
    kept, legs = [], set[str]()
    for candidate in candidates:
        more = legs | {leg.contract.identity for leg in candidate.legs}
        if len(more) <= most:
            kept.append(candidate)
            legs = more
    return tuple(kept)


def legs_of(candidates: Iterable[Candidate]) -> tuple[Contract, ...]:
    return tuple(dict.fromkeys(leg.contract for candidate in candidates for leg in candidate.legs))


async def fresh_quotes(desk: "Desk", contracts: Sequence[Contract], by: str) -> dict[str, Quote]:
    """Quotes received after the asking, by identity; those that stayed silent or one-sided in time are absent."""
    asked = desk.machine_now()
    await desk.store.market.want(contracts, PROPOSAL, by, asked + WISH_LIFE)
    identities = [contract.identity for contract in contracts]
    changes, loop = desk.store.changes(), asyncio.get_running_loop()
    give_up = loop.time() + QUOTED_WITHIN
    known, quiet_at = 0, give_up
    while True:
        quotes = await desk.store.market.quotes(identities)
        fresh = {name: quote for name, quote in quotes.items() if quote.received_at >= asked and two_sided(quote)}
        if len(fresh) > known:
            known, quiet_at = len(fresh), loop.time() + QUIET
        if len(fresh) == len(identities) or loop.time() >= min(give_up, quiet_at):
            return fresh
        await changes.wait(0.5)


async def recent_quotes(desk: "Desk", machine: datetime) -> dict[str, Quote]:
    """Every two-sided quote that is still a fact, by identity: the search takes them before the surface's word."""
    quotes = await desk.store.market.quotes()
    return {
        name: quote
        for name, quote in quotes.items()
        if machine - quote.received_at <= QUOTE_LIFE and two_sided(quote) and not quote.halted
    }


def two_sided(quote: Quote) -> bool:
    return quote.bid is not None and quote.ask is not None


def with_quotes(candidate: Candidate, quotes: Mapping[str, Quote]) -> Candidate:
    """The candidate's legs with the broker's number and the moment of each quote, as the ticket will keep them."""

    def quoted(leg: Leg) -> Leg:
        quote = quotes.get(leg.contract.identity)
        return replace(leg, con_id=quote.con_id, quoted_at=quote.at) if quote else leg

    return replace(candidate, legs=tuple(quoted(leg) for leg in candidate.legs))


async def keep_quoted(desk: "Desk", by: str, chosen: Sequence[Candidate], until: datetime) -> None:
    """From now on only the legs of what is proposed are streamed for this asker, as long as it can be approved."""
    await desk.store.market.unwant(PROPOSAL, by)
    await desk.store.market.want(legs_of(chosen), PROPOSAL, by, until)
