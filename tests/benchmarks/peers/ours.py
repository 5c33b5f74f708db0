"""The desk's own entry of every race: the one place here that knows the names in `models.quant`."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers.entry import Answers, Entry, Inputs

TERMS = ("spot", "strike", "t", "vol", "rate", "dividend_yield", "is_call")
FIRST_ORDER = ("price", "delta", "gamma", "vega", "theta", "rho")


def _columns(x: Inputs, names: tuple[str, ...] = TERMS) -> list[NDArray[Any]]:
    return [x[name] for name in names]


def pricing(x: Inputs) -> Entry:
    from models.quant.pricing import bsm

    columns = _columns(x)
    return Entry(
        lambda: bsm(*columns), lambda out: {name: getattr(out, name) for name in FIRST_ORDER}, x["spot"].size
    )  # fmt: skip


def implied(x: Inputs) -> Entry:
    from models.quant.implied import implied_vol

    columns = _columns(x, ("price", "spot", "strike", "t", "rate", "dividend_yield", "is_call"))
    return Entry(lambda: implied_vol(*columns), lambda out: {"vol": out}, x["spot"].size)


def american(words: str) -> Any:
    def prepare(x: Inputs) -> Entry:
        from models.quant import american as room

        accuracy = {"fast": room.FAST, "fine": room.FINE}[words]
        columns = _columns(x)
        return Entry(
            lambda: room.american_price(*columns, accuracy=accuracy), lambda out: {"price": out}, x["spot"].size
        )  # fmt: skip

    return prepare


def matrix(x: Inputs) -> Entry:
    return _matrix(x, early=False)


def american_matrix(x: Inputs) -> Entry:
    return _matrix(x, early=True)


def _matrix(x: Inputs, early: bool) -> Entry:
    """Sums of the book over spots × vols × dates; `singles` are those of one position each, for checking."""
    from models.quant.option import Contract, SecType
    from models.quant.scenario import matrix_pnl
    from models.quant.terms import Terms, model_price

    n = x["strike"].size
    one, unknown = np.ones(n), np.full(n, np.nan)
    spot, strike, t, vol, rate, dividend, call = _columns(x)
    nobody = Contract("X", SecType.STOCK, "X")
    book = Terms(
        contracts=(nobody,) * n, is_option=np.ones(n, bool), is_call=call, is_american=np.full(n, early),
        multiplier=one, spot=spot * one, beta=one, betas=(), strike=strike, t=t, dte=30.0 * one,
        carry=np.exp((rate - dividend) * t), discount=np.exp(-rate * t), vol=vol, price=unknown, model=unknown,
        bid=unknown, ask=unknown, source=np.full(n, "model"),
    )  # fmt: skip
    book = replace(book, model=model_price(book))
    axes = (x["moves"], x["points"], x["days"])

    def sums(terms: Any, quantity: NDArray[np.float64]) -> NDArray[np.float64]:
        return matrix_pnl(terms, quantity, *axes) + quantity @ terms.model

    def alone(row: int) -> Any:
        columns = {f.name: getattr(book, f.name) for f in fields(book)}
        arrays = {name: column[[row]] for name, column in columns.items() if isinstance(column, np.ndarray)}
        return replace(book, contracts=book.contracts[row : row + 1], **arrays)

    def answers(total: Any) -> Answers:
        return {"total": total, "singles": np.array([sums(alone(row), np.ones(1)) for row in x["checked"]])}

    return Entry(lambda: sums(book, x["quantity"]), answers, n)


def warm() -> None:
    from models.quant.warming import warm

    warm()
