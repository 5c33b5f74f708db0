"""What a benchmark's row says of its goals, and that every named peer has an entry. Nothing is timed here."""

import importlib
from dataclasses import replace

import pytest

from tests.benchmarks.report import Row, show

ROW = Row("pricing", 12.0, "ns", goal=15.0, peer="a peer", peer_value=132.0, worst_error=1e-12, least_ratio=10.0,
          most_error=1e-11)  # fmt: skip


def test_a_row_meets_when_time_ratio_and_error_all_do() -> None:
    assert ROW.ratio == pytest.approx(11.0)
    assert ROW.meets is True


@pytest.mark.parametrize(
    "changes", [{"ours": 16.0, "peer_value": 1000.0}, {"peer_value": 119.0}, {"worst_error": 2e-11},
                {"worst_error": float("nan")}]
)  # fmt: skip
def test_one_missed_goal_misses_the_row(changes: dict[str, float]) -> None:
    missed = replace(ROW, **changes)
    assert missed.meets is False
    assert show(missed).count("MISSED") == 1


def test_a_goal_without_its_peer_or_error_is_not_judged() -> None:
    assert replace(ROW, peer=None, peer_value=None).meets is None
    assert replace(ROW, worst_error=None).meets is None
    assert replace(ROW, ours=16.0, worst_error=None).meets is False
    assert Row("no goal", 1.0, "s").meets is None


def test_a_row_in_the_file_has_the_agreed_names_and_no_nan() -> None:
    stored = replace(ROW, worst_error=float("nan")).to_json()
    agreed = {"name", "ours", "unit", "peer", "peer_value", "ratio", "goal", "meets", "worst_error"}
    assert agreed <= stored.keys()
    assert stored["worst_error"] is None
    assert stored["ratio"] == pytest.approx(11.0)


def test_nothing_found_wrong_meets_a_goal_of_none() -> None:
    assert Row("wrong answers", 0, "rows", goal=0.0, peer="a peer", peer_value=1).meets is True


@pytest.mark.parametrize("problem", ["pricing", "implied", "american", "matrix"])
def test_every_peer_that_is_raced_has_an_entry(problem: str) -> None:
    raced = importlib.import_module(f"tests.benchmarks.bench_quant_{problem}").PEERS
    entries = importlib.import_module(f"tests.benchmarks.peers.{problem}").CONTESTANTS
    assert set(raced) <= set(entries)
