"""Recorded option chains: read and checked, written from the present market, in the columns Cboe's snapshots have.

What the record does not know stays unknown: 0 bid with 0 ask is no quote, a size, iv, last price or close of 0 is none.
"""

import csv
import gzip
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from models.quant.option import Right, parse_osi
from models.quant.product import NEW_YORK

REQUIRED = (
    "session_date", "ticker", "expiry", "right", "strike", "option", "bid", "bid_size", "ask", "ask_size",
    "last_trade_price", "volume", "open_interest", "iv", "prev_day_close",
)  # fmt: skip
OPTIONAL = (
    "delta", "gamma", "theta", "vega", "rho", "theo", "open", "high", "low", "change", "percent_change",
    "last_trade_time",
)  # fmt: skip
HEADER = (
    "session_date", "ticker", "expiry", "right", "strike", "option", "bid", "bid_size", "ask", "ask_size",
    "last_trade_price", "volume", "open_interest", "iv", "delta", "gamma", "theta", "vega", "rho", "theo", "open",
    "high", "low", "prev_day_close", "change", "percent_change", "last_trade_time",
)  # fmt: skip
UNDERLYINGS_FILE = "cboe_underlying.csv"


class ChainFileError(ValueError):
    """A chain file cannot be used; the message names the file, the columns or the row, and the remedy."""


@dataclass(frozen=True)
class ChainRow:
    """One recorded option. None is unknown."""

    trading_class: str
    expiry: date
    right: Right
    strike: float
    bid: float | None
    ask: float | None
    bid_size: float | None
    ask_size: float | None
    last: float | None
    volume: float | None
    open_interest: float | None
    iv: float | None
    close: float | None
    open: float | None = None
    high: float | None = None
    low: float | None = None

    @property
    def mid(self) -> float | None:
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2


@dataclass(frozen=True)
class ChainSnapshot:
    """One underlying's chain of one session."""

    path: Path
    session: date
    symbol: str
    rows: tuple[ChainRow, ...]


def read_chains(paths: Iterable[Path]) -> tuple[ChainSnapshot, ...]:
    """Read several files of one session; raises ChainFileError when they disagree on it or repeat an underlying."""
    found = tuple(read_chain(path) for path in paths)
    if len({c.session for c in found}) > 1:
        days = ", ".join(f"{c.path} ({c.session})" for c in found)
        raise ChainFileError(f"chain files of different sessions cannot be one market: {days}")
    if len({c.symbol for c in found}) != len(found):
        raise ChainFileError(f"two chain files of one underlying: {', '.join(str(c.path) for c in found)}")
    return found


def read_chain(path: Path) -> ChainSnapshot:
    """Read one .csv or .csv.gz; raises ChainFileError naming what is wrong and where."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        reader = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
        header = next(reader, [])
    except FileNotFoundError as error:
        raise ChainFileError(f"chain file {path} does not exist") from error
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ChainFileError(f"chain file {path} cannot be read: {error}") from error
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise ChainFileError(
            f"chain file {path}: missing column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            "a file written by --record has them all"
        )
    places = {name: i for i, name in enumerate(header)}
    rows, sessions, tickers = [], set(), set()
    for line, cells in enumerate(reader, start=2):
        if not cells:
            continue
        try:
            rows.append(_row(cells, places))
            sessions.add(cells[places["session_date"]])
            tickers.add(cells[places["ticker"]].lstrip("_"))
        except (ValueError, IndexError) as error:
            raise ChainFileError(f"chain file {path}, line {line}: {error}") from error
    if not rows:
        raise ChainFileError(f"chain file {path} holds no options")
    if len(sessions) != 1 or len(tickers) != 1:
        raise ChainFileError(
            f"chain file {path} mixes sessions or underlyings: {sorted(sessions)[:3]}, {sorted(tickers)[:3]}"
        )
    try:
        session = date.fromisoformat(sessions.pop())
    except ValueError as error:
        raise ChainFileError(f"chain file {path}: session_date: {error}") from error
    return ChainSnapshot(path, session, tickers.pop(), tuple(rows))


def _row(cells: Sequence[str], places: dict[str, int]) -> ChainRow:
    def number(name: str) -> float:
        text = cells[places[name]] if name in places else ""
        try:
            value = float(text) if text else 0.0
        except ValueError:
            raise ValueError(f"column {name}: {text!r} is not a number") from None
        if not math.isfinite(value):
            raise ValueError(f"column {name}: {text!r} is not a number")
        return value

    def known(name: str) -> float | None:
        return number(name) or None

    cls, expiry, right, strike = parse_osi(cells[places["option"]])
    bid, ask = number("bid"), number("ask")
    if bid < 0 or ask < 0 or (ask and bid > ask):
        raise ValueError(f"bid {bid:g} and ask {ask:g} are no market")
    quoted = ask > 0
    return ChainRow(
        cls, expiry, right, strike,
        bid if quoted else bid or None, ask or None, known("bid_size"), known("ask_size"), known("last_trade_price"),
        number("volume"), number("open_interest"), known("iv"), known("prev_day_close"),
        known("open"), known("high"), known("low"),
    )  # fmt: skip


def underlying_closes(path: Path, session: date) -> dict[str, float]:
    """Closes of `session` from the underlyings file in the chain's folder or the one above; empty without one."""
    for folder in (path.parent, path.parent.parent):
        file = folder / UNDERLYINGS_FILE
        if file.is_file():
            with file.open(newline="", encoding="utf-8") as handle:
                rows = [r for r in csv.DictReader(handle) if r.get("session_date") == session.isoformat()]
            return {r["ticker"].lstrip("_"): float(r["current_price"]) for r in rows if r.get("current_price")}
    return {}


@dataclass(frozen=True)
class RecordLine:
    """One option to be written: its row and the model's view of it."""

    row: ChainRow
    greeks: tuple[float, float, float, float] | None  # delta, gamma, theta, vega
    theo: float | None


def write_chain(path: Path, session: date, symbol: str, lines: Iterable[RecordLine], at: datetime) -> int:
    """Write a chain in the recorded format (gzip when the name ends in .gz); returns the rows written.

    The file appears whole or not at all.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    ticker = f"_{symbol}" if symbol == "SPX" else symbol
    stamp = at.astimezone(NEW_YORK).replace(tzinfo=None).isoformat(timespec="seconds")
    count = 0
    for line in sorted(lines, key=lambda item: _order(item.row)):
        writer.writerow(_cells(session, ticker, line, stamp))
        count += 1
    data = text.getvalue().encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    part.replace(path)
    return count


def _order(row: ChainRow) -> tuple[date, str, float, str]:
    return row.expiry, row.trading_class, row.strike, row.right.value


def _cells(session: date, ticker: str, line: RecordLine, stamp: str) -> list[str]:
    r = line.row
    delta, gamma, theta, vega = line.greeks or (0.0, 0.0, 0.0, 0.0)
    change = r.last - r.close if r.last is not None and r.close is not None else 0.0
    percent = 100 * change / r.close if r.close else 0.0
    osi = f"{r.trading_class}{r.expiry:%y%m%d}{r.right}{round(r.strike * 1000):08d}"
    numbers = (
        r.bid, r.bid_size, r.ask, r.ask_size, r.last, r.volume, r.open_interest, r.iv, round(delta, 4),
        round(gamma, 6), round(theta, 4), round(vega, 4), 0.0, line.theo, r.open, r.high, r.low, r.close,
        round(change, 4), round(percent, 4),
    )  # fmt: skip
    return [
        session.isoformat(), ticker, r.expiry.isoformat(), r.right.value, f"{r.strike:.3f}", osi,
        *(repr(float(n)) if n is not None else "0.0" for n in numbers), stamp,
    ]  # fmt: skip
