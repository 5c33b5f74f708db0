"""The whole-number search against another solver, against trying everything, and what it says when it is cut short."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from models.quant.kernels import branching
from models.quant.kernels.jit import kernel
from models.quant.kernels.simplex import BRANCHED, FREE, WHOLE

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
CLOSE = 1e-6


@kernel("Tuple((f8,f8,i8))(i8[::1],i8[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8[::1],f8,i8,f8[::1])")
def least(
    first: Whole, places: Whole, entries: Floats, low: Floats, row_kinds: Floats,
    cost: Floats, most: Floats, kinds: Floats, close: float, limit: int, x: Floats,
) -> tuple[float, float, int]:  # fmt: skip
    return branching.least((first, places, entries, low, row_kinds), cost, most, kinds, close, limit, x)


def drawn(seed: int, widest: int) -> tuple[Floats, Floats, Floats, Floats]:
    """(matrix, low, cost, most) with dear and gainful columns, where everything taken in full is allowed."""
    draw = np.random.default_rng(seed)
    m, n = int(draw.integers(2, 12)), int(draw.integers(3, widest + 1))
    matrix = draw.integers(-3, 10, (m, n)) * (draw.random((m, n)) < 0.6).astype(np.float64)
    most = draw.integers(1, 5, n).astype(np.float64)
    low = np.floor(np.minimum(matrix @ most, np.maximum(matrix, 0.0) @ most * draw.random(m)))
    return matrix, low, draw.uniform(-1.0, 9.0, n), most


def solved(
    programme: tuple[Floats, Floats, Floats, Floats], whole: NDArray[np.bool_], limit: int = 100_000
) -> tuple[float, float, Floats]:
    """(value, how low it could be, x), from everything taken in full."""
    matrix, low, cost, most = programme
    x = most.copy()
    rows = np.full(len(low), WHOLE if whole.all() else FREE)
    found, under, _ = least(*by_row(matrix), low, rows, cost, most, np.where(whole, BRANCHED, FREE), CLOSE, limit, x)
    return found, under, x


def by_row(matrix: Floats) -> tuple[Whole, Whole, Floats]:
    """(first entry of each row and the end, columns, entries) of what is not 0."""
    rows, columns = np.nonzero(matrix)
    return np.searchsorted(rows, np.arange(len(matrix) + 1)), columns.copy(), matrix[rows, columns]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(40))
def test_the_least_is_that_of_another_solver(seed: int, share: float) -> None:
    programme = matrix, low, cost, most = drawn(seed, 30)
    whole = np.random.default_rng(seed).random(len(cost)) < share
    other = milp(
        cost, integrality=whole, bounds=Bounds(0.0, most), constraints=LinearConstraint(matrix, low, np.inf),
        options={"mip_rel_gap": 0.0},
    )  # fmt: skip
    found, under, x = solved(programme, whole)
    assert found == pytest.approx(other.fun, abs=1e-5)
    assert under == pytest.approx(found, abs=CLOSE)
    assert cost @ x == pytest.approx(found, abs=1e-6)
    assert (matrix @ x >= low - 1e-6).all()
    assert ((x >= -1e-9) & (x <= most + 1e-9)).all()
    assert x[whole] == pytest.approx(np.rint(x[whole]), abs=1e-6)


@pytest.mark.parametrize("seed", range(500, 530))
def test_the_least_is_that_of_trying_everything(seed: int) -> None:
    programme = matrix, low, cost, most = drawn(seed, 5)
    every = np.array(list(product(*(range(int(u) + 1) for u in most))), dtype=np.float64)
    best = (every @ cost)[(every @ matrix.T >= low - 1e-9).all(axis=1)].min()
    assert solved(programme, np.ones(len(cost), dtype=bool))[0] == pytest.approx(best, abs=2e-6)


@pytest.mark.parametrize("limit", [0, 1, 3, 10])
def test_a_search_cut_short_never_claims_too_much(limit: int) -> None:
    for seed in range(40):
        programme = matrix, low, cost, _ = drawn(seed, 30)
        whole = np.ones(len(cost), dtype=bool)
        best = solved(programme, whole)[0]
        found, under, x = solved(programme, whole, limit)
        assert under <= best + 1e-6 <= found + 2e-6
        assert (matrix @ x >= low - 1e-6).all()
        assert cost @ x == pytest.approx(found, abs=1e-6)


def test_what_is_allowed_at_the_start_may_be_the_least() -> None:
    matrix, low = np.array([[1.0, 1.0]]), np.array([3.0])
    cost, most = np.array([1.0, 2.0]), np.array([2.0, 1.0])
    assert solved((matrix, low, cost, most), np.ones(2, dtype=bool))[:2] == pytest.approx((4.0, 4.0), abs=CLOSE)


def test_a_column_without_a_bound_may_be_taken_without_one() -> None:
    x = np.array([50.0])
    found, _, _ = least(
        *by_row(np.array([[2.0]])), np.array([7.0]), np.array([FREE]), np.ones(1), np.array([np.inf]),
        np.array([BRANCHED]), CLOSE, 100, x,
    )  # fmt: skip
    assert (found, x[0]) == pytest.approx((4.0, 4.0))
