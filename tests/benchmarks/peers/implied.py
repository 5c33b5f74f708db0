"""Implied volatility of many European options: annual fractions, NaN where a contestant finds none."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers import ours
from tests.benchmarks.peers.entry import Entry, Inputs, Prepare, first

LOOPED = 4000
COLUMNS = ("price", "spot", "strike", "t", "rate", "dividend_yield")
Floats = NDArray[np.float64]


def _vol(out: Any) -> dict[str, Floats]:
    return {"vol": np.asarray(out, dtype=np.float64).reshape(-1)}


def _on_forward(x: Inputs) -> tuple[Floats, Floats]:
    """(undiscounted price, forward) for libraries that take Black's formula."""
    return x["price"] * np.exp(x["rate"] * x["t"]), x["spot"] * np.exp((x["rate"] - x["dividend_yield"]) * x["t"])


def _by_side(x: Inputs, solve: Callable[[NDArray[np.intp], bool], Callable[[], Any]]) -> Entry:
    """For libraries that take one right per call: two calls over rows split beforehand."""
    sides = [(np.flatnonzero(x["is_call"] == call), call) for call in (True, False)]
    work = [solve(rows, call) for rows, call in sides]

    def answers(out: Any) -> dict[str, Floats]:
        vol = np.full(x["strike"].size, np.nan)
        for (rows, _), found in zip(sides, out, strict=True):
            vol[rows] = found
        return _vol(vol)

    return Entry(lambda: [call() for call in work], answers, x["strike"].size)


def pyvolr(x: Inputs) -> Entry:
    from pyvolr import bs

    columns = [x[name] for name in COLUMNS]
    flag = np.where(x["is_call"], 1, -1).astype(np.int8)
    return Entry(lambda: bs.implied_vol(columns[0], flag, *columns[1:], on_error="ignore"), _vol, flag.size)


def _fast_vollib(backend: str) -> Prepare:
    def prepare(x: Inputs) -> Entry:
        import fast_vollib

        p, s, k, t, r, q = (x[name] for name in COLUMNS)
        flag = np.where(x["is_call"], "c", "p")
        options = {"model": "black_scholes_merton", "return_as": "numpy", "backend": backend, "on_error": "ignore"}
        return Entry(lambda: fast_vollib.fast_implied_volatility(p, s, k, t, r, flag, q, **options), _vol, flag.size)

    return prepare


def fast_vollib_jackel(x: Inputs) -> Entry:
    from fast_vollib.jackel import jackel_iv_black

    price, forward = _on_forward(x)
    return Entry(
        lambda: jackel_iv_black(price, forward, x["strike"], x["t"], x["is_call"]), _vol, price.size
    )  # fmt: skip


def iv_engine(x: Inputs) -> Entry:
    from iv_engine.batch import implied_volatilities

    price, forward = _on_forward(x)

    def solve(rows: NDArray[np.intp], call: bool) -> Callable[[], Any]:
        columns = [c[rows] for c in (price, forward, x["strike"], x["t"])]
        return lambda: implied_volatilities(*columns, call, parallel=False)

    return _by_side(x, solve)


def lbriv(x: Inputs) -> Entry:
    """It takes one strike a call: prices and forwards in units of the strike, and total volatility."""
    from lbriv import vectorized_implied_vol

    price, forward = _on_forward(x)

    def solve(rows: NDArray[np.intp], call: bool) -> Callable[[], Any]:
        p, f, root = price[rows] / x["strike"][rows], forward[rows] / x["strike"][rows], np.sqrt(x["t"][rows])
        return lambda: vectorized_implied_vol(p, f, 1.0, 1 if call else -1) / root

    return _by_side(x, solve)


def polars_vol(x: Inputs) -> Entry:
    import polars as pl
    from polars_vol import implied_vol

    names = ("price", "strike", "spot", "t", "rate", "is_call")
    spot = x["spot"] * np.exp(-x["dividend_yield"] * x["t"])
    frame = pl.DataFrame({**{name: x[name] for name in names}, "spot": spot})
    return Entry(lambda: frame.select(implied_vol(*names, method="halley")),
                 lambda out: _vol(out.to_series().to_numpy()), spot.size)  # fmt: skip


def py_vollib_vectorized(x: Inputs) -> Entry:
    from py_vollib_vectorized import vectorized_implied_volatility

    p, s, k, t, r, q = (x[name] for name in COLUMNS)
    flag = np.where(x["is_call"], "c", "p")
    options = {"model": "black_scholes_merton", "return_as": "numpy", "on_error": "ignore"}
    return Entry(lambda: vectorized_implied_volatility(p, s, k, t, r, flag, q, **options), _vol, flag.size)


def financepy(x: Inputs) -> Entry:
    from financepy.models.black_scholes_analytic import implied_volatility
    from financepy.utils.global_types import OptionTypes

    x = first(x, LOOPED)
    p, s, k, t, r, q = (x[name].tolist() for name in COLUMNS)
    kinds = [(OptionTypes.EUROPEAN_CALL if call else OptionTypes.EUROPEAN_PUT).value for call in x["is_call"]]
    rows = list(zip(s, t, k, r, q, p, kinds, strict=True))
    return Entry(lambda: [implied_volatility(*row) for row in rows], _vol, len(rows))


def quantlib(x: Inputs) -> Entry:
    import QuantLib as ql  # noqa: N813  # as its documentation writes it

    x = first(x, LOOPED)
    price, forward = _on_forward(x)
    kinds = [ql.Option.Call if call else ql.Option.Put for call in x["is_call"]]
    rows = list(zip(kinds, x["strike"].tolist(), forward.tolist(), price.tolist(), strict=True))

    def solved(kind: int, strike: float, f: float, p: float) -> float:
        try:
            return float(ql.blackFormulaImpliedStdDev(kind, strike, f, p, 1.0, 0.0, 0.2, 1e-12, 100))
        except (RuntimeError, TypeError):
            return float("nan")

    return Entry(lambda: [solved(*row) for row in rows], lambda out: _vol(np.array(out) / np.sqrt(x["t"])), len(rows))


def py_vollib(x: Inputs) -> Entry:
    from py_vollib.black_scholes_merton.implied_volatility import implied_volatility

    x = first(x, LOOPED // 8)
    p, s, k, t, r, q = (x[name].tolist() for name in COLUMNS)
    rows = list(zip(p, s, k, t, r, q, np.where(x["is_call"], "c", "p").tolist(), strict=True))

    def solved(*row: Any) -> float:
        try:
            return float(implied_volatility(*row))
        except Exception:  # noqa: BLE001  # its own classes for below and above the bounds
            return float("nan")

    return Entry(lambda: [solved(*row) for row in rows], _vol, len(rows))


CONTESTANTS: dict[str, Prepare] = {
    "ours": ours.implied,
    "lbriv": lbriv,
    "iv-engine": iv_engine,
    "pyvolr": pyvolr,
    "fast-vollib": _fast_vollib("numpy"),
    "fast-vollib on numba": _fast_vollib("numba"),
    "fast-vollib Jäckel": fast_vollib_jackel,
    "polars-vol": polars_vol,
    "py_vollib_vectorized": py_vollib_vectorized,
    "QuantLib": quantlib,
    "financepy": financepy,
    "py_vollib": py_vollib,
}
