"""Price and five greeks of many European options, in the desk's units; `decay` is theta with carry."""

from typing import Any

import numpy as np

from tests.benchmarks.peers import ours
from tests.benchmarks.peers.entry import Answers, Entry, Inputs, Prepare, first

LOOPED = 4000  # options given to a library that prices one at a time
COLUMNS = ("spot", "strike", "t", "vol", "rate", "dividend_yield")
GREEKS = ("price", "delta", "gamma", "vega", "decay", "rho")


def _letters(x: Inputs) -> Any:
    return np.where(x["is_call"], "c", "p")


def _annual(price: Any, delta: Any, gamma: Any, vega: Any, theta: Any, rho: Any) -> Answers:
    """From derivatives per 1.00 of volatility and rate and per year."""
    return {
        "price": np.asarray(price), "delta": np.asarray(delta), "gamma": np.asarray(gamma),
        "vega": 0.01 * np.asarray(vega), "decay": np.asarray(theta) / 365.0, "rho": 0.01 * np.asarray(rho),
    }  # fmt: skip


def pyvolr(x: Inputs) -> Entry:
    from pyvolr import bs

    s, k, t, v, r, q = (x[name] for name in COLUMNS)
    flag = np.where(x["is_call"], 1, -1).astype(np.int8)

    def answers(out: Any) -> Answers:
        price, g = out
        return _annual(price, g["delta"], g["gamma"], g["vega"], g["theta"], g["rho"])

    return Entry(lambda: (bs.price(flag, s, k, t, r, v, q), bs.greeks(flag, s, k, t, r, v, q)), answers, s.size)


def _fast_vollib(backend: str) -> Prepare:
    def prepare(x: Inputs) -> Entry:
        import fast_vollib

        s, k, t, v, r, q = (x[name] for name in COLUMNS)
        flag = _letters(x)

        def work() -> Any:
            price = fast_vollib.fast_black_scholes_merton(flag, s, k, t, r, v, q, return_as="numpy", backend=backend)
            greeks = fast_vollib.get_all_greeks(
                flag, s, k, t, r, v, q, model="black_scholes_merton", return_as="dict", backend=backend
            )
            return price, greeks

        return Entry(work, lambda out: _daily(*out), s.size)

    return prepare


def _daily(price: Any, greeks: Any) -> Answers:
    """The vollib family's units are the desk's; its theta includes carry."""
    renamed = {("decay" if name == "theta" else name): np.asarray(greeks[name], dtype=float) for name in greeks}
    return {"price": np.asarray(price, dtype=float), **renamed}


def py_vollib_vectorized(x: Inputs) -> Entry:
    from py_vollib_vectorized import get_all_greeks, vectorized_black_scholes_merton

    s, k, t, v, r, q = (x[name] for name in COLUMNS)
    flag = _letters(x)

    def work() -> Any:
        price = vectorized_black_scholes_merton(flag, s, k, t, r, v, q, return_as="numpy")
        return price, get_all_greeks(flag, s, k, t, r, v, q, model="black_scholes_merton", return_as="dict")

    return Entry(work, lambda out: _daily(*out), s.size)


def financepy(x: Inputs) -> Entry:
    from financepy.models import black_scholes_analytic as bsa
    from financepy.utils.global_types import OptionTypes

    s, k, t, v, r, q = (x[name] for name in COLUMNS)
    kind = np.where(x["is_call"], OptionTypes.EUROPEAN_CALL.value, OptionTypes.EUROPEAN_PUT.value).astype(np.int64)
    calls = (bsa.european_value, bsa.delta, bsa.gamma, bsa.vega, bsa.theta, bsa.rho)
    return Entry(lambda: [f(s, t, k, r, q, v, kind) for f in calls], lambda out: _annual(*out), s.size)


def polars_vol(x: Inputs) -> Entry:
    """It knows no dividend yield: the spot less its dividends stands in, and the chain rule is added untimed."""
    import polars as pl
    from polars_vol import black_scholes_with_greeks

    growth = np.exp(-x["dividend_yield"] * x["t"])
    names = ("strike", "spot", "vol", "t", "rate", "is_call")
    frame = pl.DataFrame({**{name: x[name] for name in names}, "spot": x["spot"] * growth})

    def answers(out: Any) -> Answers:
        table = out.unnest(out.columns[0])
        price, d, g, v, th, rho = (
            table[name].to_numpy() for name in ("model_price", "delta", "gamma", "vega", "theta", "rho")
        )
        lost = x["dividend_yield"] * x["spot"] * growth * d
        return _annual(price, d * growth, g * growth * growth, v, th + lost, rho)

    return Entry(lambda: frame.select(black_scholes_with_greeks(*names)), answers, x["spot"].size)


def quantlib(x: Inputs) -> Entry:
    import QuantLib as ql  # noqa: N813  # as its documentation writes it

    x = first(x, LOOPED)
    s, k, t, v, r, q = (x[name] for name in COLUMNS)
    forward, deviation, discount = s * np.exp((r - q) * t), v * np.sqrt(t), np.exp(-r * t)
    kinds = [ql.Option.Call if call else ql.Option.Put for call in x["is_call"]]
    payoffs = [ql.PlainVanillaPayoff(kind, strike) for kind, strike in zip(kinds, k.tolist(), strict=True)]
    rows = list(zip(payoffs, *(c.tolist() for c in (forward, deviation, discount, s, t)), strict=True))

    def work() -> Any:
        out = []
        for payoff, f, dev, d, spot, years in rows:
            c = ql.BlackCalculator(payoff, f, dev, d)
            out.append((c.value(), c.delta(spot), c.gamma(spot), c.vega(years), c.theta(spot, years), c.rho(years)))
        return out

    return Entry(work, lambda out: _annual(*np.array(out).T), len(rows))


def py_vollib(x: Inputs) -> Entry:
    from py_vollib.black_scholes_merton import black_scholes_merton
    from py_vollib.black_scholes_merton.greeks import analytical as g

    x = first(x, LOOPED // 8)
    s, k, t, v, r, q = (x[name].tolist() for name in COLUMNS)
    rows = list(zip(_letters(x).tolist(), s, k, t, r, v, q, strict=True))
    calls = (black_scholes_merton, g.delta, g.gamma, g.vega, g.theta, g.rho)

    def answers(out: Any) -> Answers:
        return dict(zip(GREEKS, np.array(out).reshape(len(calls), -1), strict=True))

    return Entry(lambda: [f(*row) for f in calls for row in rows], answers, len(rows))


CONTESTANTS: dict[str, Prepare] = {
    "ours": ours.pricing,
    "pyvolr": pyvolr,
    "fast-vollib": _fast_vollib("numpy"),
    "fast-vollib on numba": _fast_vollib("numba"),
    "polars-vol": polars_vol,
    "financepy": financepy,
    "py_vollib_vectorized": py_vollib_vectorized,
    "QuantLib": quantlib,
    "py_vollib": py_vollib,
}
