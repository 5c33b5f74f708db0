"""American puts by their early-exercise boundary: QD+ start, collocation on √τ, an integral for the premium.

Everything is per unit of strike. The boundary is kept as h(τ) = ln(X/B(τ)) ≥ 0, X = min(1, r/q), at Chebyshev points of
√τ; h² is interpolated, so one boundary serves every spot and every shorter time. Integrals over past boundary run in
the angle θ of u = τ·sin²θ, in which both ends are smooth.
Sources: Andersen, Lake and Offengenden, High Performance American Option Pricing, 2016 (boundary equations A and B);
Li, Analytical approximations for the critical stock prices, 2010 (QD+).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.quant.kernels.jit import inlined, part
from models.quant.kernels.special import INV_SQRT_2PI, SQRT_HALF, erfcx_pair_brief, exp, log

Floats = NDArray[np.float64]


class Scheme(NamedTuple):
    """Points and weights, the same for every option: n boundary nodes, n·l pairs of node and angle, p end angles.

    `nodes` (n,) are √(τ/T) ascending to 1. `pairs` (4, n·l) and `ends` (4, p) hold past time u/T, time left (τ − u)/T,
    its root, and the weight du; a pair's node is its place modulo n. `basis` (n, n·l) and `reach` (n, p) interpolate
    from the nodes to √(u/T) of each. `starts` QD+ steps, then `rounds` of the fixed point.
    """

    nodes: Floats
    pairs: Floats
    basis: Floats
    ends: Floats
    reach: Floats
    starts: int
    rounds: int


class Room(NamedTuple):
    """Working memory of one thread: `h` (n,), `work` (9, n·l), `past` (p,), `parts` (3, p)."""

    h: Floats
    work: Floats
    past: Floats
    parts: Floats


@part
def room_for(scheme: Scheme) -> Room:
    n, p = scheme.nodes.size, scheme.ends.shape[1]
    return Room(np.empty(n), np.empty((9, scheme.pairs.shape[1])), np.empty(p), np.empty((3, p)))


@inlined
def two_sides(d: float, e: float) -> tuple[float, float, float, float]:
    """(Φ(d), Φ(e), φ(d), φ(e))."""
    bell_d, bell_e = exp(-0.5 * d * d), exp(-0.5 * e * e)
    scaled_d, scaled_e = erfcx_pair_brief(abs(d) * SQRT_HALF, abs(e) * SQRT_HALF)
    tail_d, tail_e = 0.5 * bell_d * scaled_d, 0.5 * bell_e * scaled_e
    return (
        tail_d if d < 0.0 else 1.0 - tail_d,
        tail_e if e < 0.0 else 1.0 - tail_e,
        INV_SQRT_2PI * bell_d,
        INV_SQRT_2PI * bell_e,
    )


@part
def first_boundary(
    nodes: Floats, tau: float, vol: float, r: float, q: float, steps: int, h: Floats, w: Floats
) -> float:
    """QD+ values of h at the nodes (τ = tau·nodes²); returns ln X. `r` > 0; `w` is room for 3 rows of nodes."""
    log_x = 0.0 if q <= r else np.log(r / q)
    top = np.exp(log_x)
    per_var = 2.0 / (vol * vol)
    omega, m = (r - q) * per_var, r * per_var
    never = -0.5 * (omega - 1.0 + np.sqrt((omega - 1.0) ** 2 + 4.0 * m))
    least = never / (never - 1.0)  # of the perpetual put
    bs, gones, wides, whole = w[0], w[1], w[2], vol * np.sqrt(tau)
    for i in range(nodes.size):
        t = tau * nodes[i] * nodes[i]
        # Barone-Adesi and Whaley's first value
        bs[i] = least + (top - least) * exp(min(((r - q) * t - 2.0 * whole * nodes[i]) / (1.0 - least), 0.0))
        gones[i] = r * t * (1.0 - 0.5 * r * t) if r * t < 1e-5 else 1.0 - exp(-r * t)
        wides[i] = np.sqrt((omega - 1.0) ** 2 + 4.0 * m / gones[i])
    for _ in range(steps):
        for i in range(nodes.size):
            b, gone, wide = bs[i], gones[i], wides[i]
            t = tau * nodes[i] * nodes[i]
            dev = whole * nodes[i]
            discount, growth = 1.0 - gone, exp(-q * t)
            d = (log(b) + (r - q) * t) / dev - 0.5 * dev
            n2, n1, _, bell = two_sides(-d, -d - dev)
            left = 1.0 - b - discount * n2 + b * growth * n1
            dense = growth * bell / dev
            theta = r * discount * n2 - q * b * growth * n1 - 0.5 * b * dense * vol * vol
            theta_slope = dense * (q - r - 0.5 * vol * vol * (1.0 - (d + dev) / dev)) - q * growth * n1
            # Li's equation times what is left of the exercise value: no pole, and Newton's steps do not stray
            slope = discount * m / wide * (1.0 / gone - m / (gone * gone * wide * wide)) - 0.5 * (omega - 1.0 + wide)
            value = (1.0 - growth * n1) * b + slope * left - m / (wide * r) * theta
            change = (1.0 - growth * n1) * (1.0 - slope) + dense - m / (wide * r) * theta_slope
            bs[i] = min(max(b - value / change, least), top)
    for i in range(nodes.size):
        h[i] = max(log_x - log(bs[i]), 0.0)
    return log_x


@part
def _prepare(pairs: Floats, tau: float, vol: float, r: float, q: float, kept: Floats) -> None:
    """What the boundary equations need at each pair and no iteration changes: deviation, drift, both weights."""
    past, left, root, weight = pairs[0], pairs[1], pairs[2], pairs[3]
    devs, drifts, rates, yields = kept[0], kept[1], kept[2], kept[3]
    whole = vol * np.sqrt(tau)
    for k in range(past.size):
        devs[k] = whole * root[k]
        drifts[k] = (r - q) * tau * left[k]
        rates[k] = r * tau * weight[k] * exp(r * tau * past[k])
        yields[k] = q * tau * weight[k] * exp(q * tau * past[k])


@part
def spread(h: Floats, basis: Floats, out: Floats) -> None:
    """h² interpolated from the nodes to the pairs."""
    for k in range(out.size):
        out[k] = 0.0
    for i in range(0, h.size, 4):  # four rows at a time: the sums are read and written a quarter as often
        first, second, third, fourth = basis[i], basis[i + 1], basis[i + 2], basis[i + 3]
        s1, s2, s3, s4 = h[i] * h[i], h[i + 1] * h[i + 1], h[i + 2] * h[i + 2], h[i + 3] * h[i + 3]
        for k in range(out.size):
            out[k] += s1 * first[k] + s2 * second[k] + s3 * third[k] + s4 * fourth[k]


@part
def _integrands(kept: Floats, h: Floats, past: Floats, found: Floats) -> None:
    """Integrands of N, D and of their slopes at each pair; a pair's node is its place modulo the nodes."""
    n = h.size
    for j in range(past.size // n):
        for i in range(n):
            past[j * n + i] = np.sqrt(max(past[j * n + i], 0.0)) - h[i]
    devs, drifts, rates, yields = kept[0], kept[1], kept[2], kept[3]
    above, below, above_slope, below_slope = found[0], found[1], found[2], found[3]
    for k in range(past.size):
        dev = devs[k]
        per = 1.0 / dev
        d = (past[k] + drifts[k]) * per - 0.5 * dev
        n2, n1, bell2, bell1 = two_sides(d, d + dev)
        above[k] = rates[k] * n2
        below[k] = yields[k] * n1
        above_slope[k] = rates[k] * bell2 * per
        below_slope[k] = yields[k] * bell1 * per


@part
def _improve(
    nodes: Floats, tau: float, vol: float, r: float, q: float, log_x: float, mix: float, found: Floats, h: Floats
) -> None:
    """One fixed-point step at every node: equation A plus `mix`·σ√τ of equation B, numerator and denominator each."""
    n = nodes.size
    above, below, above_slope, below_slope = found[0], found[1], found[2], found[3]
    for j in range(n, above.size, n):
        for i in range(n):
            above[i] += above[j + i]
            below[i] += below[j + i]
            above_slope[i] += above_slope[j + i]
            below_slope[i] += below_slope[j + i]
    whole = vol * np.sqrt(tau)
    for i in range(n):
        t, dev = tau * nodes[i] * nodes[i], whole * nodes[i]
        d = (log_x - h[i] + (r - q) * t) / dev - 0.5 * dev
        n2, n1, bell2, bell1 = two_sides(d, d + dev)
        share = mix * dev
        top = n2 + above[i] + share * (bell2 / dev + above_slope[i])
        under = (n1 + below[i]) * (1.0 + share) + share * (bell1 / dev + below_slope[i])
        new = max(log_x + (r - q) * t - log(top / under), 0.0)
        h[i] = new if (top > 0.0) & (under > 0.0) else h[i]


@part
def boundary(scheme: Scheme, room: Room, tau: float, vol: float, r: float, q: float) -> float:
    """Fill `room.h` with the boundary up to time tau and return ln X. Needs tau, vol and r above zero."""
    nodes, h, work = scheme.nodes, room.h, room.work
    log_x = first_boundary(nodes, tau, vol, r, q, scheme.starts, h, work[5:9])
    kept, past, found = work[:4], work[4], work[5:9]
    _prepare(scheme.pairs, tau, vol, r, q, kept)
    m = 2.0 * max(r, r - q) / (vol * vol)
    # B closes in faster; alone it is unsteady at short times, and where drift outweighs diffusion
    mix = min(20.0, 50.0 / (m * m))
    for _ in range(scheme.rounds):
        spread(h, scheme.basis, past)
        _integrands(kept, h, past, found)
        _improve(nodes, tau, vol, r, q, log_x, mix, found, h)
    return log_x
