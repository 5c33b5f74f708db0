"""Elementary functions without branches, so that the loops around them become vector code: exp, log, scaled erfc.

Polynomials are Chebyshev expansions computed at sixty digits; each docstring gives the error measured against mpmath.
The ways of reduction are the classical ones (Cody and Waite, Software Manual for the Elementary Functions, 1980).
"""

import numpy as np

from models.quant.kernels.jit import inlined, part

SQRT_HALF = 0.7071067811865476
INV_SQRT_2PI = 0.3989422804014327
_LOG2E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
_ROUNDER = 6755399441055744.0  # 1.5·2⁵²: adding it leaves the nearest integer in the low bits
_ROUNDER_BITS = 0x4338000000000000
_ROOT_HALF_BITS = 0x3FE6A09E667F3BCD  # of √½: mantissas are taken from [√½, √2)


@part
def exp(x: float) -> float:
    """eˣ within 1 ulp; 0 from −708 down and for NaN, above 709 its largest value."""
    bounded = min(max(x, -708.0), 709.0)
    shifted = bounded * _LOG2E + _ROUNDER
    k = shifted - _ROUNDER
    r = (bounded - k * _LN2_HIGH) - k * _LN2_LOW
    p = 2.5114870219497476e-08
    p = p * r + 2.7632640675430235e-07
    p = p * r + 2.755722495611072e-06
    p = p * r + 2.480148547921643e-05
    p = p * r + 0.00019841269909219843
    p = p * r + 0.0013888888952318045
    p = p * r + 0.008333333333309526
    p = p * r + 0.04166666666648808
    p = p * r + 0.16666666666666702
    p = p * r + 0.5000000000000019
    p = p * r + 1.0
    p = p * r + 1.0
    scale = np.int64((np.float64(shifted).view(np.int64) - _ROUNDER_BITS + 1023) << 52)
    return p * scale.view(np.float64) if x > -708.0 else 0.0


@part
def log(x: float) -> float:
    """ln x within 1 ulp for normal positive x; anything finite, and meaningless, elsewhere."""
    bits = np.float64(x).view(np.int64)
    k = (bits - _ROOT_HALF_BITS) >> 52
    mantissa = np.int64(bits - (k << 52)).view(np.float64)
    exponent = np.int64(k + _ROUNDER_BITS).view(np.float64) - _ROUNDER
    f = mantissa - 1.0
    s = f / (2.0 + f)
    u = s * s
    p = 0.14617093237558204
    p = p * u + 0.15331664799306263
    p = p * u + 0.1818289100504977
    p = p * u + 0.2222221110612709
    p = p * u + 0.28571428626173057
    p = p * u + 0.39999999999899005
    p = p * u + 0.666666666666667
    return exponent * _LN2_HIGH + (f - (s * (f - u * p) - exponent * _LN2_LOW))


@part
def _erfcx_series(t: float) -> float:
    """(1 + 2x)·erfcx(x) at t = (x − 3.5)/(x + 3.5): even and odd powers apart, so that two chains run at once."""
    u = t * t
    odd = 6.9218472424089395e-09
    even = 9.974108937015176e-10
    odd = odd * u - 7.964393647370803e-08
    even = even * u - 9.400597527840396e-09
    odd = odd * u + 5.776043883970019e-07
    even = even * u - 4.2033418093875594e-08
    odd = odd * u - 3.7926480612187637e-06
    even = even * u + 2.3264484905380665e-06
    odd = odd * u + 2.42478383463427e-05
    even = even * u - 4.2781267582158006e-05
    odd = odd * u - 0.00012150735579328694
    even = even * u + 0.0005643841044907852
    odd = odd * u - 0.00030226912344206617
    even = even * u - 0.004215019844978531
    odd = odd * u + 0.019099331128772476
    even = even * u - 0.04882332583523347
    odd = odd * u + 0.08798315380941167
    even = even * u - 0.11508959815975195
    odd = odd * u + 0.09751909515384956
    even = even * u - 0.010555596332228639
    odd = odd * u - 0.1400091801376261
    even = even * u + 1.2423492448711544
    return odd * t + even


@part
def erfcx(x: float) -> float:
    """e^{x²}·erfc(x) for x ≥ 0, relative error below 2e-15 (Shepherd and Laframboise, Math. Comp. 36, 1981)."""
    wide, over = x + 3.5, 1.0 + 2.0 * x
    per = 1.0 / (wide * over)
    return _erfcx_series(1.0 - 7.0 * (over * per)) * (wide * per)


@inlined
def erfcx_pair(x: float, y: float) -> tuple[float, float]:
    """erfcx of both for one division, which costs as much as ten multiplications."""
    wide_x, over_x, wide_y, over_y = x + 3.5, 1.0 + 2.0 * x, y + 3.5, 1.0 + 2.0 * y
    both_x, both_y = wide_x * over_x, wide_y * over_y
    per = 1.0 / (both_x * both_y)
    per_x, per_y = both_y * per, both_x * per
    found_x = _erfcx_series(1.0 - 7.0 * (over_x * per_x)) * (wide_x * per_x)
    return found_x, _erfcx_series(1.0 - 7.0 * (over_y * per_y)) * (wide_y * per_y)


@part
def _brief_series(t: float) -> float:
    """(1 + 2x)·erfcx(x) at t = (x − 3)/(x + 3), relative error below 1e-11."""
    u = t * t
    odd = 1.6976457639476411e-06
    even = -1.196096815054115e-07
    odd = odd * u - 1.7423401642777755e-05
    even = even * u + 4.280483022090398e-06
    odd = odd * u + 0.00012279549725389025
    even = even * u - 0.00010470633587194883
    odd = odd * u - 0.0007786682476646558
    even = even * u + 0.001888505333876565
    odd = odd * u + 0.0025290530107445735
    even = even * u - 0.023770472039728083
    odd = odd * u + 0.0683080801016495
    even = even * u - 0.11927366842664026
    odd = odd * u + 0.12964515499401721
    even = even * u - 0.047562294126531325
    odd = odd * u - 0.13562110604826236
    even = even * u + 1.2530080582680247
    return odd * t + even


@inlined
def erfcx_pair_brief(x: float, y: float) -> tuple[float, float]:
    """`erfcx_pair` to eleven digits, where a scenario's cell or an exercise boundary needs no more."""
    wide_x, over_x, wide_y, over_y = x + 3.0, 1.0 + 2.0 * x, y + 3.0, 1.0 + 2.0 * y
    both_x, both_y = wide_x * over_x, wide_y * over_y
    per = 1.0 / (both_x * both_y)
    per_x, per_y = both_y * per, both_x * per
    found_x = _brief_series(1.0 - 6.0 * (over_x * per_x)) * (wide_x * per_x)
    return found_x, _brief_series(1.0 - 6.0 * (over_y * per_y)) * (wide_y * per_y)


@part
def tail(x: float) -> float:
    """N(−|x|), the normal distribution's tail."""
    z = abs(x)
    return 0.5 * exp(-0.5 * z * z) * erfcx(z * SQRT_HALF)


@part
def ndtr(x: float) -> float:
    """N(x), the normal distribution function, with full relative accuracy in the left tail."""
    p = tail(x)
    return p if x < 0.0 else 1.0 - p
