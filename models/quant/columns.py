"""Inputs of any shape as the flat, contiguous float64 columns that kernels read, and their common shape."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Shape = tuple[int, ...]


def columns(numbers: Sequence[ArrayLike], flag: ArrayLike) -> tuple[Shape, list[Floats], Flags]:
    """(common shape, one float64 column per number, one bool column) of inputs that broadcast against each other.

    Columns are views where the input already fits; they are for reading. Raises ValueError when shapes do not match.
    """
    arrays = [np.asarray(x, dtype=np.float64) for x in numbers]
    flags = np.asarray(flag, dtype=np.bool_)
    shape = np.broadcast(*arrays, flags).shape
    return shape, [_column(x, shape) for x in arrays], _column(flags, shape)


def _column(array: NDArray, shape: Shape) -> NDArray:  # type: ignore[type-arg]
    if array.shape != shape:
        out = np.empty(shape, array.dtype)
        out[...] = array
        return out.reshape(-1)
    flat = array.reshape(-1)
    # a kernel is compiled for writeable memory alone, even where it only reads
    return flat if flat.flags.c_contiguous and flat.flags.writeable else flat.copy()
