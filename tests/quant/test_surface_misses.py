"""Counts of misses by size tell their median and tail."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.quant.surface_misses import EDGES, add_counts, count_misses, within


def test_there_is_nothing_to_say_without_a_count() -> None:
    assert within(count_misses([]), 0.5) is None
    assert sum(count_misses([np.nan, np.nan])) == 0


def test_signs_do_not_matter_and_a_perfect_price_is_counted() -> None:
    assert count_misses([-0.2, 0.2]) == count_misses([0.2, 0.2])
    assert sum(count_misses([0.0])) == 1 and within(count_misses([0.0]), 1.0) <= EDGES[1]  # type: ignore[operator]


def test_what_is_beyond_every_edge_is_counted_at_the_last() -> None:
    assert within(count_misses([1e9]), 0.5) == EDGES[-1]


@given(st.lists(st.floats(0.002, 500.0), min_size=1, max_size=200), st.sampled_from([0.05, 0.5, 0.95, 1.0]))
def test_a_share_is_told_to_within_a_bin(sizes: list[float], share: float) -> None:
    told = within(count_misses(sizes), share)
    exact = float(np.quantile(sizes, share, method="inverted_cdf"))
    assert told == pytest.approx(exact, rel=0.16)


@given(st.lists(st.floats(0, 100), max_size=50), st.lists(st.floats(0, 100), max_size=50))
def test_counts_add_up(a: list[float], b: list[float]) -> None:
    assert add_counts(count_misses(a), count_misses(b)) == count_misses([*a, *b])
