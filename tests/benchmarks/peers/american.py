"""Prices of American options by QuantLib's engines and the quick approximations; `reference` is the yardstick.

Option, process and engine are built beforehand; a run is `recalculate` on each, which leaves the engine alone to be
timed.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers import ours
from tests.benchmarks.peers.entry import Answers, Entry, Inputs, Prepare

COLUMNS = ("spot", "strike", "days", "vol", "rate", "dividend_yield", "is_call")


def options(x: Inputs, engine: Callable[[Any, Any], Any]) -> list[Any]:
    import QuantLib as ql  # noqa: N813  # as its documentation writes it

    today = ql.Date(1, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    count, calendar = ql.Actual365Fixed(), ql.NullCalendar()
    out = []
    for spot, strike, days, vol, rate, dividend, call in zip(*(x[name].tolist() for name in COLUMNS), strict=True):
        process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(ql.SimpleQuote(spot)),
            ql.YieldTermStructureHandle(ql.FlatForward(today, dividend, count)),
            ql.YieldTermStructureHandle(ql.FlatForward(today, rate, count)),
            ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, calendar, vol, count)),
        )
        payoff = ql.PlainVanillaPayoff(ql.Option.Call if call else ql.Option.Put, strike)
        option = ql.VanillaOption(payoff, ql.AmericanExercise(today, today + int(days)))
        option.setPricingEngine(engine(ql, process))
        out.append(option)
    return out


def recalculated(held: list[Any]) -> NDArray[np.float64]:
    out = np.full(len(held), np.nan)
    for i, option in enumerate(held):
        try:
            option.recalculate()
            out[i] = option.NPV()
        except RuntimeError:  # an approximation that knows no negative rates
            continue
    return out


def _prices(out: Any) -> Answers:
    return {"price": np.asarray(out, dtype=np.float64)}


def _engine(engine: Callable[[Any, Any], Any], once: bool = False) -> Prepare:
    def prepare(x: Inputs) -> Entry:
        held = options(x, engine)
        return Entry(lambda: recalculated(held), _prices, len(held), once)

    return prepare


def pybaw(x: Inputs) -> Entry:
    from pybaw import baw_price

    discount = np.exp(-x["rate"] * x["t"])
    forward = x["spot"] * np.exp((x["rate"] - x["dividend_yield"]) * x["t"])
    columns = (x["spot"], x["strike"], discount, forward, x["vol"] * np.sqrt(x["t"]))
    rows = list(zip(*(c.tolist() for c in columns), np.where(x["is_call"], "c", "p").tolist(), strict=True))
    return Entry(lambda: [baw_price(*row) for row in rows], _prices, len(rows))


def fast(ql: Any, process: Any) -> Any:
    return ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.fastScheme())


def accurate(ql: Any, process: Any) -> Any:
    return ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.accurateScheme())


def exact(ql: Any, process: Any) -> Any:
    """Tanh-sinh quadrature; a scheme twice as fine moves it by less than 4e-9 of spot."""
    return ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.highPrecisionScheme())


CONTESTANTS: dict[str, Prepare] = {
    "ours": ours.american("fast"),
    "ours, fine": ours.american("fine"),
    "QuantLib QdFp fast": _engine(fast),
    "QuantLib QdFp": _engine(accurate),
    "QuantLib Barone-Adesi-Whaley": _engine(lambda ql, p: ql.BaroneAdesiWhaleyApproximationEngine(p)),
    "QuantLib Bjerksund-Stensland": _engine(lambda ql, p: ql.BjerksundStenslandApproximationEngine(p)),
    "pybaw": pybaw,
    "reference": _engine(exact, once=True),
}
