"""A European book's value over spots × vols × dates: every cell a full repricing, summed over the positions.

Libraries get the flattened columns ready made; their sums are one matrix product.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers import ours
from tests.benchmarks.peers.entry import Entry, Inputs, Prepare

Floats = NDArray[np.float64]
LOOPED = 50  # positions given to a library that prices one option at a time


def flattened(x: Inputs, positions: int | None = None) -> dict[str, NDArray[Any]]:
    """One row per position, spot, vol and date, in that order; `shape` is theirs."""
    rows = slice(0, positions)
    n, moves, points, days = x["strike"][rows].size, x["moves"], x["points"], x["days"]
    shape = (n, moves.size, points.size, days.size)

    def spread(column: Floats, axis: int) -> Floats:
        return column.reshape([-1 if i == axis else 1 for i in range(4)])

    def flat(column: Any) -> Any:
        return np.ascontiguousarray(np.broadcast_to(column, shape)).ravel()

    held = {name: spread(x[name][rows], 0) for name in ("spot", "strike", "t", "vol", "rate", "dividend_yield")}
    return {
        "spot": flat(held["spot"] * (1.0 + spread(moves, 1))), "strike": flat(held["strike"]),
        "vol": flat(held["vol"] + 0.01 * spread(points, 2)), "t": flat(held["t"] - spread(days, 3) / 365.0),
        "rate": flat(held["rate"]), "dividend_yield": flat(held["dividend_yield"]),
        "is_call": flat(spread(x["is_call"][rows], 0)), "shape": np.array(shape),
    }  # fmt: skip


def book(x: Inputs, prices: Callable[[Inputs], Callable[[], Any]], positions: int | None = None) -> Entry:
    """`prices` makes a call that prices the flattened rows; the book's sums are added to what is timed."""
    flat = flattened(x, positions)
    shape = tuple(flat["shape"])
    price, quantity = prices(flat), x["quantity"][: shape[0]]

    def work() -> Any:
        cells = np.asarray(price(), dtype=np.float64).reshape(shape[0], -1)
        return cells, quantity @ cells

    def answers(out: Any) -> dict[str, Floats]:
        cells, total = out
        found = {"singles": cells.reshape(shape)[[row for row in x["checked"] if row < shape[0]]]}
        return found if positions else {**found, "total": total.reshape(shape[1:])}

    return Entry(work, answers, shape[0])


def pyvolr(flat: Inputs) -> Callable[[], Any]:
    from pyvolr import bs

    s, k, t, r, v, q = (flat[name] for name in ("spot", "strike", "t", "rate", "vol", "dividend_yield"))
    flag = np.where(flat["is_call"], 1, -1).astype(np.int8)
    return lambda: bs.price(flag, s, k, t, r, v, q)


def _vollib(backend: str | None) -> Callable[[Inputs], Callable[[], Any]]:
    def prices(flat: Inputs) -> Callable[[], Any]:
        s, k, t, r, v, q = (flat[name] for name in ("spot", "strike", "t", "rate", "vol", "dividend_yield"))
        flag = np.where(flat["is_call"], "c", "p")
        if backend is None:
            from py_vollib_vectorized import vectorized_black_scholes_merton

            return lambda: vectorized_black_scholes_merton(flag, s, k, t, r, v, q, return_as="numpy")
        from fast_vollib import fast_black_scholes_merton

        return lambda: fast_black_scholes_merton(flag, s, k, t, r, v, q, return_as="numpy", backend=backend)

    return prices


def polars_vol(flat: Inputs) -> Callable[[], Any]:
    import polars as pl
    from polars_vol import black_scholes

    names = ("strike", "spot", "vol", "t", "rate", "is_call")
    spot = flat["spot"] * np.exp(-flat["dividend_yield"] * flat["t"])
    frame = pl.DataFrame({**{name: flat[name] for name in names}, "spot": spot})
    return lambda: frame.select(black_scholes(*names)).to_series().to_numpy()


def quantlib(flat: Inputs) -> Callable[[], Any]:
    import QuantLib as ql  # noqa: N813  # as its documentation writes it

    forward = flat["spot"] * np.exp((flat["rate"] - flat["dividend_yield"]) * flat["t"])
    columns = (flat["strike"], forward, flat["vol"] * np.sqrt(flat["t"]), np.exp(-flat["rate"] * flat["t"]))
    kinds = [ql.Option.Call if call else ql.Option.Put for call in flat["is_call"]]
    rows = list(zip(kinds, *(c.tolist() for c in columns), strict=True))
    return lambda: [ql.blackFormula(*row) for row in rows]


CONTESTANTS: dict[str, Prepare] = {
    "ours": ours.matrix,
    "pyvolr": lambda x: book(x, pyvolr),
    "fast-vollib": lambda x: book(x, _vollib("numpy")),
    "fast-vollib on numba": lambda x: book(x, _vollib("numba")),
    "polars-vol": lambda x: book(x, polars_vol),
    "py_vollib_vectorized": lambda x: book(x, _vollib(None)),
    "QuantLib": lambda x: book(x, quantlib, LOOPED),
}
