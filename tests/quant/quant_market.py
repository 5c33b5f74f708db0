"""A small market whose every number is known, for the tests of surface, portfolio, scenario and margin."""

from datetime import UTC, date, datetime

import numpy as np

from models.quant.option import Contract, Right, SecType
from models.quant.pricing import bsm_price
from models.quant.product import expiry_instant, years_to
from models.quant.structure import QuoteSource
from models.quant.surface import OptionQuote, Surface, fit_surface
from models.quant.terms import Mark, MarketView

NOW = datetime(2026, 9, 1, 15, 0, tzinfo=UTC)
SPOT, RATE, DIVIDEND = 6000.0, 0.04, 0.013
EXPIRIES = (date(2026, 9, 11), date(2026, 10, 2), date(2026, 10, 16), date(2026, 11, 20))


def option(
    strike: float, right: str = "P", expiry: date = EXPIRIES[1], trading_class: str = "SPXW", symbol: str = "SPX"
) -> Contract:
    return Contract(symbol, SecType.OPTION, trading_class, 100, expiry, strike, Right(right))


def stock(symbol: str) -> Contract:
    return Contract(symbol, SecType.STOCK, symbol)


def future(root: str, multiplier: float, expiry: date = date(2026, 12, 18)) -> Contract:
    return Contract(root, SecType.FUTURE, root, multiplier, expiry)


def smile(strike: np.ndarray, t: float) -> np.ndarray:
    """A skewed smile that is a raw SVI itself: what the fit must find again."""
    k = np.log(np.asarray(strike, float) / (SPOT * np.exp((RATE - DIVIDEND) * t)))
    y = k - 0.02
    return np.sqrt((0.0002 + 0.028 * t + 0.08 * np.sqrt(t) * (-0.55 * y + np.sqrt(y * y + 0.03**2 + 0.1 * t * t))) / t)


def quoted(expiry: date, strikes: np.ndarray, half: float = 0.0) -> list[OptionQuote]:
    out = []
    for strike in strikes:
        for right in Right:
            c = option(float(strike), right.value, expiry)
            t = years_to(expiry_instant(c), NOW)
            price = float(bsm_price(SPOT, strike, t, smile(strike, t), RATE, DIVIDEND, right is Right.CALL))
            out.append(OptionQuote(c, price - half, price + half))
    return out


def surface(half: float = 0.0) -> Surface:
    strikes = np.arange(4800.0, 6801.0, 50.0)
    quotes = [q for expiry in EXPIRIES for q in quoted(expiry, strikes, half) if q.bid and q.bid > 0.05]
    return fit_surface("SPX", SPOT, NOW, quotes)


def market(**changes: object) -> MarketView:
    facts: dict[str, object] = {
        "now": NOW,
        "spx": SPOT,
        "spots": {"SPY": 600.0, "AAPL": 200.0, "ES": 6030.0, "TSLA": 400.0},
        "marks": {},
        "surfaces": {"SPX": surface()},
        "betas": {},
        "rate": RATE,
    }
    return MarketView(**{**facts, **changes})  # type: ignore[arg-type]


def mark(price: float) -> Mark:
    return Mark(price, QuoteSource.REAL, NOW)
