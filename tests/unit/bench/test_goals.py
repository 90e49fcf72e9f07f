"""Goals are met, missed or open, by the figures and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from hashmatch.bench import goals
from hashmatch.bench.goals import GOALS, Goal, at, check, quotient, scaled


def size(entries: int, **us: float) -> dict[str, Any]:
    own = us["ours"]
    return {
        "entries": entries,
        "us_per_query": us,
        "ratio_vs": {name: took / own for name, took in us.items()},
        "bytes_per_entry": {"ours": 132.0},
        "build_s": {"ours": 0.5},
        "bounds": {"probe_us": 2.5},
    }


def results(entries: int = 1_000_000) -> dict[str, Any]:
    million = size(entries, ours=10.0, ours_loop=6.0, c_probe_loop=5.0, faiss_flat=999.0, faiss_multihash=1_350.0)
    return {
        f"size_{entries}": million,
        "radii": {"radii": [million | {"radius": 45}]},
        "views": {"entries": entries, "us_per_query": {"ours_batch120": 7.5}},
        "threads": {"entries": entries, "queries_per_s": {"ours_batch120": [100.0, 189.0], "ours": [10.0, 12.0]}},
        "live": {"entries": entries, "open_ms": 3.0, "add_visible_ms": {"p99": 11.0}},
    }


def named(text: str, given: dict[str, Any]) -> goals.Checked:
    (row,) = [row for row in check(given) if row.goal.what == text]
    return row


@pytest.mark.parametrize(
    ("what", "measured", "met"),
    [
        ("1 M entries, one query, against FAISS flat", 99.9, False),
        ("1 M entries, one query, against the peer's MultiHash", 135.0, True),
        ("1 M entries, one query", 10.0, True),
        ("120 views of one image as one batch, 1 M", 0.9, True),
        ("radius 45, 1 M, against FAISS flat", 99.9, True),
        ("Numba against our C, loops over single queries, 1 M", 1.2, False),
        ("two threads, each an image's views per call", 1.89, False),
        ("added entry seen, 99th percentile", 11.0, False),
        ("open a segment of 1 M", 3.0, True),
        ("10 M entries, one query", None, None),
        ("radius 60, 1 M, against FAISS flat", None, None),
    ],
)
def test_a_goal_is_held_against_its_figure(what: str, measured: float | None, met: bool | None) -> None:  # noqa: FBT001
    row = named(what, results())
    assert row.measured == (None if measured is None else pytest.approx(measured))
    assert row.met is met


def test_what_bears_on_a_goal_stands_beside_it() -> None:
    assert named("1 M entries, one query", results()).beside == {
        "compiled loop": 6.0, "C loop": 5.0, "memory bound": 2.5,
    }  # fmt: skip


def test_a_smaller_run_leaves_every_goal_open() -> None:
    assert {row.met for row in check(results(10_000))} == {None}
    assert {row.met for row in check({})} == {None}


def test_goals_say_their_bound_as_people_do() -> None:
    assert Goal("x", 150, " bytes", at("x")).text() == "≤ 150 bytes"
    assert Goal("x", 1.9, "x", at("x"), at_least=True).text() == "≥ 1.9x"
    assert len({goal.what for goal in GOALS}) == len(GOALS)


def test_figures_that_are_missing_stay_missing() -> None:
    assert scaled(at("a"), 2)({}) is None
    assert quotient(at("a"), at("b"))({"a": 1.0, "b": 0.0}) is None  # type: ignore[dict-item]
    assert quotient(at("a"), at("b"))({"a": 1.0, "b": 4.0}) == 0.25  # type: ignore[dict-item]
