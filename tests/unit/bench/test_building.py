"""How long the tables take is measured beside our C, whose tables are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hashmatch.bench import building, ceiling, codes, goals, report
from hashmatch.bench.column import Column
from hashmatch.bench.systems import Skipped
from hashmatch.errors import IntegrityError
from hashmatch.index.columns import Bytes
from hashmatch.index.tables import Tables, build_tables


@pytest.mark.parametrize("rows", [2_048, 2_049, 5_000, 140_000])
@pytest.mark.parametrize("distribution", ["uniform", "identical", "ball"])
def test_the_tables_in_c_are_ours(rows: int, distribution: str) -> None:
    entries = codes.entries_of(distribution, rows, 1)
    try:
        built = ceiling.build(entries)
    except Skipped as reason:
        pytest.skip(str(reason))
    ours = build_tables(entries)
    for part in ("offsets", "filters", "rows"):
        assert np.array_equal(getattr(built, part), getattr(ours, part))


def without_c(entries: Bytes) -> Tables:
    del entries
    raise Skipped("there is no C compiler 'cc'")


def test_without_a_compiler_the_rest_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceiling, "build", without_c)
    said = building.compare(Column(codes.entries_of("uniform", 2_048, 1), 10), rounds=1)
    seconds, cpu = said["seconds"], said["cpu_seconds"]
    assert isinstance(seconds, dict)
    assert isinstance(cpu, dict)
    assert set(seconds) == set(cpu) == {"ours", "writing"}
    assert seconds["writing"] > 0
    assert said["entries"] == 2_048
    assert said["skipped"] == "there is no C compiler 'cc'"


def test_a_list_without_tables_has_no_times() -> None:
    assert building.compare(Column(codes.entries_of("uniform", 2_047, 1), 10)) == {"entries": 2_047}


def test_wrong_tables_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(entries: Bytes) -> Tables:
        built = build_tables(entries)
        built.rows[3, 5] += np.uint32(1)
        return built

    monkeypatch.setattr(ceiling, "build", wrong)
    with pytest.raises(IntegrityError, match="the rows that the C ceiling built are not those of the kernels"):
        building.compare(Column(codes.entries_of("uniform", 2_048, 1), 10))


def test_the_page_and_the_goal_show_milliseconds_beside_the_bound() -> None:
    seconds = {"ours": 0.2, "c": 0.21, "writing": 0.02}
    results: dict[str, dict[str, Any]] = {
        "size_1000000": {"build_s": {"ours": 0.25}},
        "build_1000000": {"entries": 1_000_000, "seconds": seconds, "cpu_seconds": {"ours": 0.1, "writing": 0.01}},
    }
    assert "| 1,000,000 | 200 (100) | 210 (\N{EN DASH}) | 20.0 (10.0) |" in report._building(results)
    (goal,) = [row for row in goals.check(results) if row.goal.what == "build the tables of 1 M"]
    assert goal.met
    assert goal.beside == {"median": 0.2, "our C": 0.21, "writing the tables alone": 0.02}
