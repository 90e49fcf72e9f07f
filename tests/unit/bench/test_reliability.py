"""The page of what the chaos suite saw: figures where it ran, a word where it did not, and a row for every goal."""

from __future__ import annotations

import json
from pathlib import Path

from hashmatch.bench import reliability

RUN = {"when": "2026-11-28T10:00+00:00", "machine": "2 cores"}
POISON = {
    "minutes": 10.0,
    "sent": 200, "others": 100, "others_ok": 99, "workers_lost_first": 2, "workers_lost_later": 0, "refused": 198,
}  # fmt: skip


def lines(folder: Path, **seen: object) -> list[str]:
    path = folder / "chaos.json"
    path.write_text(json.dumps({"run": RUN, "seen": seen}), encoding="utf-8")
    return list(reliability.page(path))


def test_a_row_has_the_figures_of_its_scenario(tmp_path: Path) -> None:
    (row,) = [line for line in lines(tmp_path, poison=POISON) if line.startswith("| R7 |")]
    assert "2 workers lost, then 198 of 200 refused and 0 lost; 99 of 100 others answered (CHAOS_MINUTES=10)" in row
    assert row.endswith("| `make chaos` |")


def test_what_was_not_run_is_said(tmp_path: Path) -> None:
    (row,) = [line for line in lines(tmp_path) if line.startswith("| R7 |")]
    assert "| not run here |" in row


def test_every_goal_has_a_row(tmp_path: Path) -> None:
    found = {line.split("|")[1].strip() for line in lines(tmp_path) if line.startswith("| R")}
    assert found == {f"R{number}" for number in range(1, 24)}


def test_changes_that_were_refused_are_counted_and_named() -> None:
    assert reliability.shown(["CatalogUnavailable"] * 3) == "3 refused (CatalogUnavailable)"
    assert reliability.shown([]) == "none refused"
    assert reliability.shown([1.5]) == [1.5]


def test_every_test_that_is_named_is_there() -> None:
    root = Path(__file__).resolve().parents[3]
    assert [name for row in reliability.ROWS for name in row.again.split() if not (root / name).is_file()] == []
