"""Writing the present market down as a recorded chain, so that anyone can open it again."""

from pathlib import Path

from adapters.simulator.chain import ChainFileError, ChainRow, RecordLine, write_chain
from adapters.simulator.market import Market
from adapters.simulator.types import Instrument, ModelGreeks, VenueQuote
from models import calendar

RECORDABLE = ("SPX", "SPY")


def record_market(market: Market, path: Path, symbol: str = "") -> int:
    """Write the chain of `symbol` (default: taken from the file's name, else SPX); returns the options written."""
    wanted = symbol or next((s for s in RECORDABLE if s in path.name.upper()), "SPX")
    items = [i for i in market.find(symbol=wanted, sec_type="OPT") if i.contract.strike]
    if not items:
        raise ChainFileError(f"nothing is listed for {wanted}: no chain to record in {path}")
    ids = [i.con_id for i in items]
    quotes = market.quotes(ids)
    models = market.models(ids)
    lines = [_line(i, q, m) for i, q, m in zip(items, quotes, models, strict=True)]
    return write_chain(path, calendar.latest_session_day(market.now), wanted, lines, market.now)


def _line(item: Instrument, quote: VenueQuote | None, model: ModelGreeks | None) -> RecordLine:
    c = item.contract
    assert c.expiry is not None and c.right is not None and c.strike is not None
    q = quote
    row = ChainRow(
        c.trading_class, c.expiry, c.right, c.strike,
        *((q.bid, q.ask, q.bid_size, q.ask_size, q.last, q.volume, q.open_interest) if q else (None,) * 7),
        round(model.iv, 4) if model else None, q.close if q else None, *((q.open, q.high, q.low) if q else (None,) * 3),
    )  # fmt: skip
    greeks = (model.delta, model.gamma, model.theta, model.vega) if model else None
    return RecordLine(row, greeks, round(model.price, 4) if model else None)
