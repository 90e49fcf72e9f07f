"""Goals are met, missed or open by the figures alone; the page and the command show all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from hashmatch.bench import robustness_goals, robustness_plots, robustness_report
from hashmatch.bench.goals import Checked
from hashmatch.bench.robustness_goals import LAYOUT, PRODUCT
from hashmatch.cli.main import main

DEMO = Path(__file__).resolve().parents[3] / "hashsets" / "demo" / "photos"


def row(recall: float, n: int = 10, review: float = 1.0) -> dict[str, Any]:
    return {"n": n, "recall": recall, "recall_review": review, "mean_distance": 4.0}


def results(
    recalls: Mapping[str, float] = MappingProxyType({}), *, queries: int = 100_000, false_matches: int = 0
) -> dict[str, Any]:
    foreign = {
        "queries": queries, "query_hashes": 3 * queries, "comparisons": 9, "false_matches": false_matches,
        "false_matches_review": 0, "nearest_foreign": 90, "nearest_pairs": [[90, "a.jpg", "mirror", "b.jpg"]],
        "histogram": {"90": 1, "128": 8},
    }  # fmt: skip
    negatives = {"pairs": 1000, "matches": 2, "matches_review": 3, "nearest": 30, "nearest_pair": ["x", "y"]}
    return {
        "photos": 10, "seed": 1, "side_px": 640, "entries": 1_000_000, "match_distance": 31, "review_distance": 40,
        "transforms": {name: {"group": "g", "levels": {"full": row(value)}} for name, value in recalls.items()},
        "foreign": {"full": foreign},
        "hard_negatives": {PRODUCT: {"full": negatives | {"matches": 0}}, LAYOUT: {"full": negatives}},
        "cost": {"full": dict.fromkeys(("hashes", "decode_ms", "hash_ms", "search_ms", "search_review_ms"), 2.0)},
        "skipped": {"flat.png": "too flat"},
    }  # fmt: skip


def goal(text: str, given: dict[str, Any]) -> Checked:
    (found,) = [checked for checked in robustness_goals.check(given) if checked.goal.what == text]
    return found


def test_a_goal_on_several_alterations_counts_pictures() -> None:
    given = results({"crop_1%": 1.0, "crop_2%": 0.5})
    given["transforms"]["crop_1%"]["levels"]["full"]["n"] = 30
    said = goal("crop of at most 2 %", given)
    assert said.measured == pytest.approx(87.5)
    assert said.met is False
    assert said.beside == {"worst `crop_2%`": 50.0}


def test_a_goal_is_open_when_an_alteration_is_missing() -> None:
    said = goal("crop of at most 2 %", results({"crop_1%": 1.0}))
    assert (said.measured, said.met) == (None, None)


def test_no_false_match_means_something_only_in_enough_queries() -> None:
    name = "false matches in 100,000 queries"
    assert goal(name, results()).met is True
    assert goal(name, results(queries=99_999)).met is None
    assert goal(name, results(queries=10, false_matches=1)).met is False


def test_two_shots_of_one_scene_are_named_beside_the_goal_they_miss() -> None:
    record = results()
    negatives = record["hard_negatives"][PRODUCT]["full"]
    assert "one scene" not in robustness_report.page(record)
    negatives |= {"pairs": 672, "matches": 2, "matches_one_scene": 2}
    missed = goal(f"hard negatives that match: {PRODUCT}", record)
    assert (missed.met, missed.beside["of which two shots of one scene"]) == (False, 2)
    said = " ".join(robustness_report.page(record).split())
    assert "2 of the matches at level `full` are of a pair that is no other photo of another thing" in said
    assert "While the pair is among 672 and 0 may match, the goal is out of reach." in said


def test_hard_negatives_and_cost() -> None:
    assert goal(f"hard negatives that match: {PRODUCT}", results()).met is True
    missed = goal(f"hard negatives that match: {LAYOUT}", results())
    assert missed.measured == pytest.approx(0.2)
    assert missed.met is False
    assert goal("all views of a decoded 1024x768 picture", results()).met is True
    assert goal("search of all views, 1 M entries", results()).met is False
    assert goal("search of all views, 1 M entries", results() | {"entries": 5}).met is None


def test_the_page_shows_everything() -> None:
    page = robustness_report.page(results({"phone_any": 0.995}))
    assert "| phone screenshot, random | ≥ 97 % | 99.5 % | yes |" in page
    assert "| `phone_any` | g | 99.5 | 100.0 | 4.00 |" in page
    assert "| `full` | 90 | a.jpg | `mirror` | b.jpg |" in page
    assert f"| {LAYOUT} | `full` | 1,000 | 2 | 3 | 30.0 | x / y |" in page
    assert "* flat.png: too flat" in page
    assert "With 10 photos one miss costs 10.0 %" in " ".join(page.split())


def test_plots_are_drawn_alike_from_the_same_results(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need hashmatch[bench]")
    given = results({"phone_any": 0.995, "mirror": 1.0})
    drawn = robustness_plots.draw(given, tmp_path / "plots")
    assert [path.name for path in drawn] == ["recall.svg", "distances.svg"]
    before = [path.read_bytes() for path in drawn]
    assert before == [path.read_bytes() for path in robustness_plots.draw(given, tmp_path / "plots")]
    assert b"phone_any" in before[0]


def test_the_command_on_the_demo_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "out" / "RESULTS.md"
    arguments = ["--photos", str(DEMO), "--limit", "3", "--transforms", "jpeg_30,mirror,border_any", "--side", "512"]
    small = ["--levels", "plain,none", "--entries", "1000", "--jobs", "1", "--results", str(page)]
    assert main(["bench", "robustness", *arguments, *small, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    recall = {
        name: [said["levels"][level]["recall"] for level in ("plain", "none")]
        for name, said in printed["transforms"].items()
    }
    assert recall == {"jpeg_30": [1.0, 1.0], "mirror": [0.0, 1.0], "border_any": [0.0, 0.0]}
    assert printed["foreign"]["none"]["false_matches"] == 0
    assert printed["hard_negatives"][LAYOUT]["none"]["pairs"] > 500
    assert json.loads(page.with_suffix(".json").read_text(encoding="utf-8")) == printed
    assert page.read_text(encoding="utf-8").startswith("# Robustness: results\n")


def test_the_command_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "robustness", "--photos", str(DEMO), "--levels", "utmost"]) == 2
    assert "there is no level 'utmost'; there are plain, none, cheap, full" in capsys.readouterr().err
