"""What a contestant hands to the clock."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Inputs = Mapping[str, NDArray[Any]]
Answers = dict[str, NDArray[np.float64]]
Prepare = Callable[[Inputs], "Entry"]


@dataclass(frozen=True)
class Entry:
    """`work` is timed; `answers` turns what it returned into the problem's units, untimed.

    `count`: how many items one call of `work` does, the first ones of the inputs where it is not all of them.
    `once`: too slow to repeat, a reference and no contestant.
    """

    work: Callable[[], Any]
    answers: Callable[[Any], Answers]
    count: int
    once: bool = False


class NotBuilt(Exception):
    """The desk has no such function yet."""


def first(inputs: Inputs, count: int) -> dict[str, NDArray[Any]]:
    """The same problem cut to its first `count` items, for contestants that loop in Python."""
    size = inputs["strike"].size
    return {name: column[:count] if column.shape == (size,) else column for name, column in inputs.items()}
