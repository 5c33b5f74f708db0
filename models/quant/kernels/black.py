"""Black's formula, price and all greeks in one pass: one shared exponential, two scaled complementary error functions.

The out-of-the-money side is priced without cancellation and the other adds the intrinsic value (Jäckel, Let's Be
Rational, 2015, section 2).
"""

import numpy as np
from numpy.typing import NDArray

from models.quant.kernels.jit import inlined, kernel
from models.quant.kernels.special import INV_SQRT_2PI, SQRT_HALF, erfcx_pair, exp, log

Floats = NDArray[np.float64]
_PER_DAY = 1.0 / 365.0
_TINY = 1e-300
_FAR = 1e8  # standard deviations; infinity would turn the rational argument of erfcx into NaN


@inlined
def otm_price(h: float, dev: float, over: bool, a: float, b: float) -> tuple[float, float, float, float]:
    """(out-of-the-money price, d1, a·N(−|d1|), b·N(−|d2|)) of discounted forward `a` against discounted strike `b`.

    `h` = |ln(a/b)|/dev standard deviations from the money, `over`: a > b.
    """
    inner, outer = h - 0.5 * dev, h + 0.5 * dev
    e_inner, e_outer = erfcx_pair(abs(inner) * SQRT_HALF, outer * SQRT_HALF)
    d1 = outer if over else -inner
    bell = exp(-0.5 * d1 * d1)
    half = 0.5 * a * bell  # half of a·e^{−d1²/2} = b·e^{−d2²/2}
    otm = half * (e_inner - e_outer) if inner >= 0.0 else min(a, b) - half * (e_inner + e_outer)
    return otm, d1, half * (e_outer if over else e_inner), half * (e_inner if over else e_outer)


@kernel("void(f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],b1[::1],b1,f8[:,::1])")
def greeks(
    spot: Floats,
    strike: Floats,
    years: Floats,
    vols: Floats,
    rates: Floats,
    yields: Floats,
    calls: NDArray[np.bool_],
    on_future: bool,
    out: Floats,
) -> None:
    """Fill `out` (10, n) in the field order of `pricing.Greeks`. A row with a senseless input becomes NaN."""
    for i in range(calls.size):
        s, k, t, v, r, q, call = spot[i], strike[i], years[i], vols[i], rates[i], yields[i], calls[i]
        known = s + k + t + v + r + q
        fine = (s > 0.0) & (k > 0.0) & (t >= 0.0) & (v >= 0.0) & (known - known == 0.0)
        unknown = 0.0 if fine else np.nan
        sign = 1.0 if call else -1.0
        root = np.sqrt(t)
        dev = v * root
        live = dev > 0.0
        wide = max(dev, _TINY)
        per_both = 1.0 / (wide * s)
        per_dev, per_spot = s * per_both, wide * per_both
        growth, discount = exp(-q * t), exp(-r * t)
        a, b = s * growth, k * discount
        x = log(s / k) + (r - q) * t
        otm, d1, tail1, tail2 = otm_price(min(abs(x) * per_dev, _FAR), dev, x > 0.0, a, b)
        d2 = d1 - dev
        price = otm + max(sign * (a - b), 0.0) + unknown
        stock = sign * (tail1 if (d1 < 0.0) == call else a - tail1) + unknown
        bond = sign * (tail2 if (d2 < 0.0) == call else b - tail2) + unknown
        delta = stock * per_spot
        # without time or volatility the forward is certain and nothing is left of the density
        density = (INV_SQRT_2PI * exp(-0.5 * d1 * d1) if live else 0.0) + unknown
        per_root = v * per_dev if live else 0.0
        per_vol = root * per_dev if live else 0.0
        vega = a * density * root
        drift = (r - q) * per_dev - 0.5 * d2 * per_root * per_root if live else 0.0
        out[0, i] = price
        out[1, i] = delta
        out[2, i] = growth * density * per_both
        out[3, i] = 0.01 * vega
        out[4, i] = -0.5 * a * density * v * per_root * _PER_DAY
        out[5, i] = (r * price if on_future else q * stock - r * bond) * _PER_DAY
        out[6, i] = 0.01 * (-t * price if on_future else t * bond)
        out[7, i] = -0.01 * growth * density * d2 * per_vol
        out[8, i] = 1e-4 * vega * d1 * d2 * per_vol
        out[9, i] = (q * delta - growth * density * drift) * _PER_DAY


@kernel("void(f8[::1],f8[::1],f8[::1],b1[::1],f8[::1])")
def forward_prices(forward: Floats, strike: Floats, deviation: Floats, calls: NDArray[np.bool_], out: Floats) -> None:
    """Undiscounted prices for `deviation` = vol·√t ≥ 0; NaN where forward or strike are not positive."""
    for i in range(calls.size):
        f, k, dev = forward[i], strike[i], deviation[i]
        known = f + k + dev
        unknown = 0.0 if (f > 0.0) & (k > 0.0) & (dev >= 0.0) & (known - known == 0.0) else np.nan
        x = log(f / k)
        otm, _, _, _ = otm_price(min(abs(x) / max(dev, _TINY), _FAR), dev, x > 0.0, f, k)
        out[i] = otm + max(f - k if calls[i] else k - f, 0.0) + unknown
