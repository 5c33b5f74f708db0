"""Futures and their options by a scan of sixteen scenarios, as SPAN did: the worst of price, volatility and a day.

An approximation and labelled so: CME asks by SPAN 2 since October 2024, whose parameters move daily. Charges between
months, between families and the minimum for short options are left out.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.quant.margin_rules import SCAN_STEPS, Scan
from models.quant.repricing import values_at
from models.quant.terms import Terms

Floats = NDArray[np.float64]

_LEAST = 1e-6  # of a price: an option's underlying does not fall through zero in a scan
SCANNED = "futures by a 16-scenario scan, an approximation: CME uses SPAN 2 since October 2024"


def risk_arrays(terms: Terms, scan: Scan) -> Floats:
    """Profit of one long contract per scenario (N, 16), currency, the share that counts already taken. NaN unknown."""
    price, vol, counted = (np.array(column) for column in zip(*SCAN_STEPS, strict=True))
    move = price * scan.price
    spots = np.maximum(terms.spot[:, None] + move, _LEAST)
    vols = terms.vol[:, None]
    now = values_at(terms, terms.spot[:, None], vols)
    then = values_at(terms, spots, vols * (1.0 + vol * scan.vol), scan.days)
    profit: Floats = np.where(terms.is_option[:, None], then - now, move)
    out: Floats = terms.multiplier[:, None] * counted * profit
    return out


def scan_risk(arrays: ArrayLike, quantities: ArrayLike) -> float:
    """The largest loss of signed `quantities` (N) over the scenarios of `arrays` (N, 16), currency, at least 0."""
    profit = np.asarray(quantities, dtype=np.float64) @ np.asarray(arrays, dtype=np.float64)
    return max(-float(profit.min()), 0.0)
