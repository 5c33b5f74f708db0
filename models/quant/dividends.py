"""Known cash dividends: the spot without those that fall before expiry, and American options that live over them.

The escrowed model (Merton, 1973; Hull, Options, Futures and Other Derivatives, chapter 15.12): the stock is a certain
stream of dividends and a risky rest, and the option is written on the rest. Volatility is that of the rest, so it is
to be implied and used in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from models.quant.columns import Floats, columns
from models.quant.pricing import DAYS_PER_YEAR, Greeks

_POINTS, _STEPS = 400, 200


@dataclass(frozen=True)
class Dividend:
    """`years` from now to the moment the share goes ex (ACT/365); `amount` per share in currency, not negative."""

    years: float
    amount: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.years) and np.isfinite(self.amount) and self.amount >= 0):
            raise ValueError(f"{self}: years and amount must be finite and the amount not negative; leave it out")


def escrowed(spot: ArrayLike, t: ArrayLike, rate: ArrayLike, dividends: Sequence[Dividend]) -> Floats:
    """Spot less the present value of dividends that go ex after now and up to expiry `t` (years); broadcasts.

    Hand it to `pricing.bsm` or `implied.implied_vol` with a dividend yield of 0 (or one for what is not known in
    cash). NaN where the dividends are worth more than the spot: such terms are refused, not priced.
    """
    price, years, r = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (spot, t, rate)))
    out = price.astype(np.float64)
    for one in dividends:
        if one.years > 0:
            out = out - np.where(one.years <= years, one.amount * np.exp(-r * one.years), 0.0)
    return np.where(out > 0, out, np.nan)


def implied_yield(spot: ArrayLike, t: ArrayLike, rate: ArrayLike, dividends: Sequence[Dividend]) -> Floats:
    """The continuous yield that grows `spot` to the forward which these dividends leave; 0 at t = 0.

    With it `american.american` is quick; the price of waiting is then spread over the life of the option instead of
    standing at the ex-dates (`american_with_dividends`).
    """
    rest = escrowed(spot, t, rate, dividends)
    years = np.asarray(t, dtype=np.float64)
    with np.errstate(all="ignore"):
        return np.where(years > 0, -np.log(rest / np.asarray(spot, dtype=np.float64)) / years, 0.0)


def american_with_dividends(
    spot: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividends: Sequence[Dividend],
    is_call: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
) -> Greeks:
    """American price and greeks with the dividends at their ex-dates, in the units of `pricing.bsm`; inputs broadcast.

    About 1e-5 of spot and five milliseconds a price, seven prices to the greeks: for the few contracts that live over
    an ex-date; a call is exercised on its eve. `dividend_yield` is for what is not known in cash. NaN for an unknown
    input, no time or volatility, or dividends worth more than the spot. Against Roll, Geske and Whaley's formula (Haug,
    chapter 9.2) to its printed digits.
    """
    shape, inputs, calls = columns((spot, strike, t, vol, rate, dividend_yield), is_call)
    out = np.full((10, calls.size), np.nan)
    for i, row in enumerate(zip(*inputs, strict=True)):
        s, k, years, v, _, _ = row
        if np.isfinite(row).all() and min(s, k, years, v) > 0:
            out[:, i] = _on_grid(tuple(float(x) for x in row), bool(calls[i]), dividends)
    return Greeks(*out.reshape(10, *shape))


def _on_grid(terms: tuple[float, ...], call: bool, dividends: Sequence[Dividend]) -> list[float]:
    from models.quant.kernels import grid

    s, k, t, vol, r, q = terms
    within = sorted((d.years, d.amount) for d in dividends if 0 < d.years < t)
    when, amount = (np.array([pair[i] for pair in within], dtype=np.float64) for i in (0, 1))
    room = np.empty((7, 2 * _POINTS + 1))

    def price(dv: float = 0.0, dr: float = 0.0) -> tuple[float, float, float, float]:
        found: tuple[float, float, float, float] = grid.price(
            s, k, t, vol + dv, r + dr, q, call, when, amount, _POINTS, _STEPS, room
        )
        return found

    value, delta, gamma, speed = price()
    dv, dr = 0.02 * vol, 1e-3
    (high, high_delta, *_), (low, low_delta, *_) = price(dv=dv), price(dv=-dv)
    dear, cheap = price(dr=dr)[0], price(dr=-dr)[0]
    rest = float(escrowed(s, t, r, dividends))
    held = abs(value - max(s - k if call else k - s, 0.0)) > 1e-9 * s
    return [
        value, delta, gamma,
        0.01 * (high - low) / (2.0 * dv),
        -0.5 * vol * vol * rest * rest * gamma / DAYS_PER_YEAR,
        # the escrowed part grows at the rate and takes as much from the rest while the spot stands
        (r * value - (r * s - q * rest) * delta) / DAYS_PER_YEAR if held else 0.0,
        0.01 * (dear - cheap) / (2.0 * dr),
        0.01 * (high_delta - low_delta) / (2.0 * dv),
        1e-4 * (high - 2.0 * value + low) / (dv * dv),
        (q * delta - (r * s - q * rest + vol * vol * rest) * gamma - 0.5 * vol * vol * rest * rest * speed)
        / DAYS_PER_YEAR if held else 0.0,
    ]  # fmt: skip
