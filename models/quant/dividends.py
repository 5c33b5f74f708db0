"""Known cash dividends: what the spot is worth without those that fall before expiry.

The escrowed model (Merton, 1973; Hull, Options, Futures and Other Derivatives, chapter 15.12): the stock is a certain
stream of dividends and a risky rest, and the option is written on the rest. Volatility is that of the rest, so it is
to be implied and used in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from models.quant.columns import Floats


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

    It is what `american.american` takes: the price of waiting is then spread over the life of the option instead of
    standing at the ex-dates.
    """
    rest = escrowed(spot, t, rate, dividends)
    years = np.asarray(t, dtype=np.float64)
    with np.errstate(all="ignore"):
        return np.where(years > 0, -np.log(rest / np.asarray(spot, dtype=np.float64)) / years, 0.0)
