"""Strangers: the same from the same seed, judged by what they are not made of, and resumed where they stopped."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hashmatch.bench import robustness_run, robustness_strangers
from hashmatch.bench.robustness import Trial, photos_below
from hashmatch.bench.robustness_overlays import scene
from hashmatch.bench.robustness_strangers import KINDS, Chunk, Known, Plan, known, run, stranger
from hashmatch.errors import BadInput

PLAN = Plan(queries=14, entries=50, seed=4)


@pytest.fixture
def photos(tmp_path: Path) -> list[tuple[str, Path]]:
    for at in range(3):
        scene((240, 180), np.random.default_rng(at)).save(tmp_path / f"{at}.png")
    return photos_below([tmp_path])


@pytest.fixture
def photographs(photos: list[tuple[str, Path]]) -> Known:
    return known(photos, 300)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness_strangers, "CHUNK", 4)


def without(said: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in said.items() if key not in keys}


@pytest.mark.usefixtures("photos")
def test_flat_and_broken_photos_are_not_known(tmp_path: Path) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "flat.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    found = known(photos_below([tmp_path]), 300)
    assert [Path(name).name for name in found.names] == ["0.png", "1.png", "2.png"]
    assert found.hashes.shape == (3, 32)
    with pytest.raises(BadInput, match="none of the 1 photos can be listed"):
        known([("flat", tmp_path / "flat.png")], 300)


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_a_stranger_follows_from_its_number(photographs: Known, number: int) -> None:
    kind, own, data = stranger(photographs, 4, number)
    assert (kind, own, data) == stranger(photographs, 4, number)
    assert data != stranger(photographs, 4, number + len(KINDS))[2]
    assert kind == list(KINDS)[number]
    assert bool(own) == (kind in {"part", "page", "collage", "askew"})


@pytest.mark.usefixtures("small_chunks")
def test_strangers_match_nothing_but_what_they_are_made_of(photographs: Known) -> None:
    said = run(photographs, PLAN)
    assert (said["queries"], said["entries"], said["photos"], said["false_matches"]) == (14, 50, 3, 0)
    assert said["kinds"] == dict.fromkeys(KINDS, 2)
    assert said["nearest_foreign"] > 31
    assert said["comparisons"] == sum(said["histogram"].values()) > said["query_hashes"]


@pytest.mark.usefixtures("small_chunks")
def test_a_planted_twin_is_a_false_match(photographs: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(known: Known, _rng: np.random.Generator, own: set[int]) -> Image.Image:
        own.add(0)
        return known.pictures[0]

    monkeypatch.setattr(robustness_strangers, "KINDS", {"whole": whole})
    twins = dataclasses.replace(photographs, hashes=photographs.hashes[[0, 0, 2]])
    said = run(twins, Plan(queries=2, entries=3, seed=1))
    assert said["false_matches"] == 2
    distance, kind, number, name = said["false"][0]
    assert (distance <= 10, kind, number, name) == (True, "whole", 0, photographs.names[1])
    assert run(photographs, Plan(queries=2, entries=3, seed=1))["false_matches"] == 0


@pytest.mark.usefixtures("small_chunks")
def test_a_run_that_was_stopped_goes_on(photographs: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "seen.jsonl"
    expected = run(photographs, PLAN, file=file)
    whole = file.read_text()
    assert len(whole.splitlines()) == 1 + 4
    file.write_text("".join(whole.splitlines(keepends=True)[:3]) + whole.splitlines()[3][:20])
    judged, judge = list[int](), robustness_strangers._judged

    def noted(number: int) -> Chunk:
        judged.append(number)
        return judge(number)

    monkeypatch.setattr(robustness_strangers, "_judged", noted)
    assert run(photographs, PLAN, file=file) == expected
    assert judged == [2, 3]
    assert file.read_text() == whole
    assert run(photographs, PLAN, file=file) == expected
    assert judged == [2, 3]


def test_the_file_of_another_run_is_refused(photographs: Known, tmp_path: Path) -> None:
    file = tmp_path / "seen.jsonl"
    file.write_text(json.dumps({"run": "another", "queries": 14}) + "\n")
    with pytest.raises(
        BadInput, match=r"seen\.jsonl is of another run, with other photos, views or numbers: remove it"
    ):
        run(photographs, PLAN, file=file)
    with pytest.raises(BadInput, match=r"cannot use .*: Is a directory"):
        run(photographs, PLAN, file=tmp_path)


def test_a_run_says_first_what_it_will_cost(photos: list[tuple[str, Path]]) -> None:
    trial = Trial(photos, ("mirror", "jpeg_10"), ("plain", "full"), side_px=200, jobs=2)
    said = robustness_run.forecast(trial, 1_000)
    assert said.startswith("3 photos, 2 alterations, levels plain, full; 1,000 strangers: about ")
    assert said.endswith(" min in 2 processes, and some for the rest")
    assert "strangers" not in robustness_run.forecast(trial, 0)
