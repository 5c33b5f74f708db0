"""The desk's own entry of every race: the one place here that knows the names in `models.quant`."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers.entry import Answers, Entry, Inputs, NotBuilt

TERMS = ("spot", "strike", "t", "vol", "rate", "dividend_yield", "is_call")
FIRST_ORDER = ("price", "delta", "gamma", "vega", "theta", "rho")


def _columns(x: Inputs, names: tuple[str, ...] = TERMS) -> list[NDArray[Any]]:
    return [x[name] for name in names]


def pricing(x: Inputs) -> Entry:
    from models.quant import pricing as room

    call = getattr(room, "bsm_first", room.bsm)
    columns = _columns(x)
    return Entry(
        lambda: call(*columns), lambda out: {name: getattr(out, name) for name in FIRST_ORDER}, x["spot"].size
    )  # fmt: skip


def implied(x: Inputs) -> Entry:
    from models.quant.implied import implied_vol

    columns = _columns(x, ("price", "spot", "strike", "t", "rate", "dividend_yield", "is_call"))
    return Entry(lambda: implied_vol(*columns), lambda out: {"vol": out}, x["spot"].size)


def american(accuracy: str) -> Any:
    def prepare(x: Inputs) -> Entry:
        try:
            from models.quant.american import american_price
        except ImportError as reason:
            raise NotBuilt("models.quant.american.american_price") from reason
        columns = _columns(x)
        return Entry(
            lambda: american_price(*columns, accuracy=accuracy), lambda out: {"price": np.asarray(out)}, x["spot"].size
        )

    return prepare


def matrix(x: Inputs) -> Entry:
    """Sums of the book over spots × vols × dates; `singles` are those of one position each, for checking."""
    from models.quant.pricing import bsm_price
    from models.quant.scenario import revalue
    from models.quant.terms import Terms

    n = x["strike"].size
    one, unknown = np.ones(n), np.full(n, np.nan)
    spot, strike, t, vol, rate, dividend, call = _columns(x)
    now = bsm_price(spot, strike, t, vol, rate, dividend, call)
    book = Terms(
        contracts=tuple(range(n)), is_option=np.ones(n, bool), is_call=call, multiplier=one, spot=spot * one, beta=one,
        betas=(), strike=strike, t=t, dte=30.0 * one, carry=np.exp((rate - dividend) * t), discount=np.exp(-rate * t),
        vol=vol, price=now, model=now, bid=unknown, ask=unknown, source=np.full(n, "model"),
    )  # type: ignore[arg-type]  # fmt: skip
    moves, points, days = x["moves"], x["points"], x["days"]
    shape = (moves.size, points.size)
    cells = (np.repeat(moves, points.size), np.tile(points, moves.size))

    def sums(terms: Any, quantity: NDArray[np.float64]) -> NDArray[np.float64]:
        columns = [(quantity @ revalue(terms, *cells, float(day))).reshape(shape) for day in days]
        return np.stack(columns, axis=-1) + quantity @ terms.model

    def alone(row: int) -> Any:
        arrays = {k: v[[row]] for k, v in book.__dict__.items() if isinstance(v, np.ndarray)}
        return replace(book, contracts=book.contracts[row : row + 1], **arrays)

    def answers(total: Any) -> Answers:
        return {"total": total, "singles": np.array([sums(alone(row), np.ones(1)) for row in x["checked"]])}

    return Entry(lambda: sums(book, x["quantity"]), answers, n)


def american_matrix(x: Inputs) -> Entry:
    raise NotBuilt("a scenario matrix of American options")


def warm() -> None:
    """First use of every kernel, as a process's start does it."""
    from models.quant.implied import implied_vol
    from models.quant.pricing import bsm

    bsm(100.0, 100.0, 1.0, 0.2, 0.0, 0.0, True)
    implied_vol(8.0, 100.0, 100.0, 1.0, 0.0, 0.0, True)
