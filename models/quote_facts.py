"""A stored quote as the gates look at it: one reading for the proposer, the card and the bridge."""

from models.market import Quote
from models.quant.gate_facts import QuoteFact
from models.quant.option import Contract
from models.quant.structure import QuoteSource


def quote_fact(
    contract: Contract, quote: Quote | None, ratio: int = 1, fitted: float | None = None, name: str | None = None
) -> QuoteFact:
    """The quote of a leg that trades `ratio` per combo; without a quote everything but its name is unknown."""
    called = name or str(contract)
    if quote is None:
        return QuoteFact(called, None, None, None, QuoteSource.UNKNOWN, ratio=ratio, is_option=contract.is_option)
    return QuoteFact(
        name=called,
        bid=quote.bid,
        ask=quote.ask,
        at=quote.at,
        source=QuoteSource(quote.source),
        fitted=fitted,
        halted=quote.halted,
        bid_size=quote.bid_size,
        ask_size=quote.ask_size,
        open_interest=quote.open_interest,
        ratio=ratio,
        is_option=contract.is_option,
    )
