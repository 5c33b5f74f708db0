"""A whole SPX chain in the window as vectors, and books that break limits on it, for the proposer's tests."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np

from models.quant.breach import smallest_hedge_lot
from models.quant.candidate import Scene
from models.quant.option import Contract, Right, SecType
from models.quant.portfolio import ContractVectors, Exposure, exposure_from
from models.quant.pricing import black76
from models.quant.regime import Profile, Regime, RegimeBook, load_regimes
from models.quant.scenario import STRESS_CELLS

SPX = 6000.0
TODAY = date(2026, 8, 21)
NOW = datetime(2026, 8, 21, 15, 0, tzinfo=UTC)
TOML = Path(__file__).parents[2] / "models" / "risk_regimes.toml"


@cache
def book_of_rules() -> RegimeBook:
    return load_regimes(TOML.read_text(), "models/risk_regimes.toml")


def option(strike: float, days: int, right: str, cls: str = "SPXW") -> Contract:
    symbol = "SPX" if cls.startswith("SPX") else cls
    return Contract(symbol, SecType.OPTION, cls, 100, TODAY + timedelta(days=days), strike, Right(right))


MES = Contract("MES", SecType.FUTURE, "MES", 5, date(2026, 9, 18))
ES = Contract("ES", SecType.FUTURE, "ES", 50, date(2026, 9, 18))
SPY = Contract("SPY", SecType.STOCK, "SPY", 1)


@cache
def chain(days: tuple[int, ...] = (30, 33, 37, 40, 44, 47, 51, 54, 58), step: float = 25.0) -> tuple[Contract, ...]:
    strikes = np.arange(4000.0, 7500.0, step)
    options = [option(float(k), d, r) for d in days for k in strikes for r in "PC"]
    return (*options, MES, ES, SPY)


def volatility(strike: np.ndarray, days: np.ndarray) -> np.ndarray:
    """A skewed smile: 16 % at the money, dearer below."""
    x = np.log(strike / SPX) / np.sqrt(np.maximum(days, 1) / 365)
    return np.clip(0.16 - 0.09 * x + 0.04 * x**2, 0.08, 0.9)


def vectors_of(
    contracts: tuple[Contract, ...], bid_ask: Mapping[str, tuple[float, float]] | None = None
) -> ContractVectors:
    """Vectors priced here, independently of the desk's pricing of a book: black76 on a flat forward."""
    is_option = np.array([c.is_option for c in contracts])
    strike = np.array([c.strike or np.nan for c in contracts])
    spot = np.array([600.0 if c.symbol == "SPY" else SPX for c in contracts])
    days = np.array([(c.expiry - TODAY).days if c.expiry else np.nan for c in contracts], dtype=float)
    m = np.array([c.multiplier for c in contracts], dtype=float)
    call = np.array([c.right is Right.CALL for c in contracts])
    vol, t = volatility(strike, days), days / 365
    g = black76(spot, strike, t, vol, 0.0, call)
    weight = np.sqrt(30 / np.maximum(days, 7))
    price = np.where(is_option, g.price, spot)
    stress = np.empty((len(contracts), len(STRESS_CELLS)))
    for i, (move, points) in enumerate(STRESS_CELLS):
        then = black76(spot * (1 + move), strike, t, np.maximum(vol + points / 100 * weight, 0.01), 0.0, call).price
        stress[:, i] = m * np.where(is_option, then - g.price, spot * move)
    per = spot * 0.01
    quotes = bid_ask or {}
    pairs = np.array([quotes.get(c.identity, (np.nan, np.nan)) for c in contracts])
    quoted = np.isfinite(pairs).all(axis=1)
    price = np.where(quoted, pairs.mean(axis=1), price)
    return ContractVectors(
        contracts=contracts,
        value=m * price,
        bid=m * pairs[:, 0],
        ask=m * pairs[:, 1],
        spx_delta=m * np.where(is_option, g.delta, 1.0) * per,
        gamma=m * np.where(is_option, g.gamma, 0.0) * per**2,
        vega=m * np.where(is_option, g.vega, 0.0),
        vega_weighted=m * np.where(is_option, g.vega * weight, 0.0),
        theta=m * np.where(is_option, g.theta, 0.0),
        stress=stress,
        multiplier=m,
        iv=vol,
        dte=days,
        spot=spot,
        beta=np.ones(len(contracts)),
        strike=strike,
        is_option=is_option,
        is_call=call,
        source=np.where(quoted, "real", np.where(is_option, "modelled", "real")),
        beta_source=("definition",) * len(contracts),
    )


def scene_of(
    held: Mapping[Contract, float],
    nlv: float = 1_000_000.0,
    vix: float = 18.0,
    regime: Regime = Regime.NEUTRAL,
    profile: Profile = Profile.DESK,
    margin_used: float = 200_000.0,
    contracts: tuple[Contract, ...] | None = None,
    bid_ask: Mapping[str, tuple[float, float]] | None = None,
    **more: object,
) -> Scene:
    everything = tuple(dict.fromkeys((*(contracts if contracts is not None else chain()), *held)))
    vectors = vectors_of(everything, bid_ask)
    amounts = {c.identity: q for c, q in held.items()}
    exposure: Exposure = exposure_from(vectors, vectors.quantities(amounts), nlv, margin_used)
    rules = book_of_rules()
    return Scene(
        vectors=vectors,
        exposure=exposure,
        limits=rules.limits(profile, regime, nlv, vix, 1.0),
        hedges=rules.hedges,
        gates=rules.gates,
        spx=SPX,
        held=amounts,
        smallest_lot=smallest_hedge_lot(SPX),
        **more,  # type: ignore[arg-type]
    )


def short_strangles(pairs: int = 10, days: int = 44) -> dict[Contract, float]:
    """A book short of volatility and gamma with more puts than calls, so that delta leans long too."""
    return {option(5600, days, "P"): -2.0 * pairs, option(6400, days, "C"): -1.0 * pairs}
