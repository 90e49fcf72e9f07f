"""Recall, false matches and hard negatives are counted right, on sets where everybody can see what is right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hashmatch.bench import robustness, robustness_negatives
from hashmatch.bench.robustness import Foreign, Outcome, Tally, Trial, photos_below, run
from hashmatch.bench.robustness_negatives import Count, Family, cost, judge, layouts, products
from hashmatch.bench.robustness_overlays import page, scene
from hashmatch.bench.robustness_upload import MATCH_DISTANCE, Seen
from hashmatch.errors import BadInput

SIZE = (200, 150)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    where = tmp_path / "photos"
    where.mkdir()
    for at in range(3):
        scene(SIZE, np.random.default_rng(at)).save(where / f"{at}.png")
    return where


def trial(where: Path, *alterations: str, levels: tuple[str, ...] = ("plain", "none"), jobs: int = 1) -> Trial:
    return Trial(photos_below([where]), alterations, levels, entries=100, jobs=jobs)


def test_what_each_level_undoes(photos: Path) -> None:
    outcome = run(trial(photos, "jpeg_90", "mirror", "invert", levels=("plain", "none", "cheap")))
    recall = {key: (tally.found, len(tally.hashes)) for key, tally in outcome.tallies.items()}
    assert {key: found for key, (found, count) in recall.items() if count == 3} == {
        ("jpeg_90", "plain"): 3, ("jpeg_90", "none"): 3, ("jpeg_90", "cheap"): 3,
        ("mirror", "plain"): 0, ("mirror", "none"): 3, ("mirror", "cheap"): 3,
        ("invert", "plain"): 0, ("invert", "none"): 0, ("invert", "cheap"): 3,
    }  # fmt: skip
    assert {tuple(tally.hashes) for (_, level), tally in outcome.tallies.items() if level == "plain"} == {(1, 1, 1)}
    assert {tuple(tally.hashes) for (_, level), tally in outcome.tallies.items() if level == "none"} == {(16, 16, 16)}


def test_crops_are_found_in_a_list_with_parts_of_the_originals(photos: Path) -> None:
    outcome = run(trial(photos, "crop_15%", "crop_top_10%", "mirror", levels=("full", "enrolled")))
    found = {key: tally.found for key, tally in outcome.tallies.items()}
    assert [found[name, "enrolled"] for name in ("crop_15%", "crop_top_10%", "mirror")] == [3, 3, 3]
    assert [found[name, "full"] for name in ("crop_15%", "crop_top_10%", "mirror")] == [0, 0, 3]
    assert outcome.foreign["enrolled"].false_matches == 0
    assert outcome.foreign["enrolled"].hashes == outcome.foreign["full"].hashes


def test_pages_of_one_layout_are_for_review_only() -> None:
    pages = [(str(at), page(3, np.random.default_rng(at))) for at in range(3)]
    said = judge([Family("pages", pages)], ("none", "cheap"))["pages"]
    assert said["none"]["matches"] == said["cheap"]["matches_review"] == 6
    assert said["cheap"]["matches"] == 0


def test_what_is_printed(photos: Path) -> None:
    record = run(trial(photos, "mirror")).as_json()
    assert (record["photos"], record["entries"], record["skipped"]) == (3, 100, {})
    said = record["transforms"]["mirror"]
    assert said["group"] == "turn"
    assert (said["levels"]["plain"]["recall"], said["levels"]["none"]["recall"]) == (0.0, 1.0)
    assert said["levels"]["plain"]["mean_distance"] > MATCH_DISTANCE > said["levels"]["none"]["mean_distance"]
    foreign = record["foreign"]["none"]
    assert (foreign["queries"], foreign["query_hashes"], foreign["comparisons"]) == (3, 48, 96)
    assert foreign["false_matches"] == 0
    assert foreign["nearest_foreign"] > MATCH_DISTANCE
    assert sum(foreign["histogram"].values()) == 96


def test_a_planted_duplicate_is_a_false_match(photos: Path) -> None:
    with Image.open(photos / "1.png") as opened:
        opened.save(photos / "same.jpg", quality=95)
    outcome = run(trial(photos, "jpeg_90"))
    foreign = outcome.foreign["none"]
    assert (foreign.queries, foreign.false_matches) == (4, 2)
    distance, photo, alteration, other = foreign.nearest[0]
    assert distance <= 8
    assert (alteration, {photo, other}) == ("jpeg_90", {"photos/1.png", "photos/same.jpg"})
    assert outcome.tallies["jpeg_90", "none"].found == 4


def without_times(outcome: Outcome) -> dict[tuple[str, str], tuple[object, ...]]:
    return {key: (row.found, row.found_review, row.own, row.hashes) for key, row in outcome.tallies.items()}


def test_processes_change_nothing(photos: Path) -> None:
    names = ("rotate_any_5", "noise_30", "phone_any")
    assert without_times(run(trial(photos, *names))) == without_times(run(trial(photos, *names, jobs=2)))


def test_an_alteration_gives_the_same_whatever_else_is_run(photos: Path) -> None:
    alone, among = run(trial(photos, "border_any")), run(trial(photos, "caption_any", "border_any"))
    assert alone.tallies["border_any", "none"].own == among.tallies["border_any", "none"].own


def test_what_cannot_be_listed_is_left_out_with_the_reason(photos: Path) -> None:
    Image.new("RGB", SIZE, (90, 90, 90)).save(photos / "flat.png")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    outcome = run(trial(photos, "jpeg_90", levels=("plain",)))
    assert outcome.photos == 3
    assert outcome.skipped == {
        "photos/flat.png": "too flat for a list (quality 0)",
        "photos/broken.jpg": "cannot be read (UnidentifiedImageError)",
    }


def test_nothing_to_list_is_an_error(tmp_path: Path) -> None:
    Image.new("RGB", SIZE).save(tmp_path / "flat.png")
    with pytest.raises(BadInput, match=r"none of the 1 photos can be listed: .*flat.png.*quality 0"):
        run(trial(tmp_path, "jpeg_90"))


def test_photos_are_dealt_from_each_directory_in_turn(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/2.jpg", "a/deep/3.png", "b/1.webp", "b/readme.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = [name for name, _ in photos_below([tmp_path / "a", tmp_path / "b"])]
    assert names == ["a/1.jpg", "b/1.webp", "a/2.jpg", "a/deep/3.png"]
    assert len(photos_below([tmp_path], 2)) == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"no picture \(\.jpeg, \.jpg, \.png, \.webp\) lies below .*empty"):
        photos_below([tmp_path / "empty"])


def test_the_original_is_upright_and_reduced(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (400, 200)).save(tmp_path / "turned.jpg", exif=exif)
    assert robustness.original(tmp_path / "turned.jpg", 100).size == (50, 100)


def test_shares_medians_and_counts() -> None:
    tally = Tally(found=1, found_review=2, refused=1, own=[4, 6, 80], hashes=[16, 16, 16, 0], decode_us=[1000] * 4,
                  hash_us=[100, 200, 300, 400], search_us=[50.0])  # fmt: skip
    said = tally.as_json()
    assert (said["n"], said["recall"], said["recall_review"], said["refused"]) == (4, 0.25, 0.5, 1)
    assert (said["mean_distance"], said["median_distance"], said["hashes_per_query"]) == (30.0, 6, 12.0)
    assert (said["decode_ms"], said["hash_ms"], said["search_ms"]) == (1.0, 0.25, 0.05)
    assert Tally().as_json()["recall"] is None


def test_the_nearest_pairs_are_kept() -> None:
    foreign = Foreign()
    for distance in range(40, 0, -2):
        foreign.note(distance, "photo", "jpeg_10", "other")
    assert [pair[0] for pair in foreign.nearest] == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]


def test_distances_are_bits() -> None:
    codes = np.zeros((3, 32), dtype=np.uint8)
    codes[1, 0], codes[2, 31] = 0b111, 0xFF
    assert robustness.distances(codes[:2], codes).tolist() == [[0, 3, 8], [3, 0, 11]]


def test_a_view_reaches_as_far_as_its_kind_and_no_further() -> None:
    hashes = np.zeros((2, 32), dtype=np.uint8)
    seen = Seen(0, "", "full", hashes, np.array([31, 10]), np.array([40, 10]), 0, 0, refused=False)
    count = Count()
    count.add(seen, np.array([[0, 50, 35], [50, 11, 10]]), 0, ["itself", "far", "near"])
    assert (count.pairs, count.matches, count.matches_review) == (2, 1, 1)
    assert (count.nearest, count.nearest_pair) == (10, ("itself", "near"))
    assert count.matches_one_scene == 0


def test_two_shots_of_one_scene_count_as_a_match_and_are_told_apart() -> None:
    (pair,) = robustness_negatives.ONE_SCENE
    seen = Seen(0, "", "full", np.zeros((1, 32), np.uint8), np.array([31]), np.array([40]), 0, 0, refused=False)
    count = Count()
    count.add(seen, np.array([[0, 31, 31, 32]]), 0, [*sorted(pair), "another", "far"])
    assert (count.pairs, count.matches, count.matches_one_scene) == (3, 2, 1)


def member(seed: int) -> tuple[str, Image.Image]:
    return f"scene {seed}", scene(SIZE, np.random.default_rng(seed))


def test_hard_negatives_that_match_are_counted_in_both_directions() -> None:
    pictures = [member(1), member(2), ("copy of 1", member(1)[1]), ("flat", Image.new("RGB", SIZE))]
    families = [Family("planted", pictures), Family("innocent", [member(seed) for seed in (3, 4)])]
    counted = judge([*families, Family("single", [member(5)])], ("plain", "none"))
    planted, innocent = counted["planted"]["none"], counted["innocent"]["none"]
    assert (planted["pairs"], planted["matches"]) == (6, 2)
    assert planted["nearest"] < 8
    assert planted["nearest_pair"] == ("scene 1", "copy of 1")
    assert (innocent["pairs"], innocent["matches"]) == (2, 0)
    assert "single" not in counted


def test_families(tmp_path: Path) -> None:
    for name in ("tea/1.png", "tea/2.png", "rice/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        member(1)[1].save(tmp_path / name)
    found = [[name for name, _ in family.pictures] for family in products(tmp_path, 100)]
    assert found == [["rice/1.png"], ["tea/1.png", "tea/2.png"]]
    drawn = list(layouts(1, count=2, pages=3))
    assert [len(family.pictures) for family in drawn] == [3, 3]
    assert drawn[0].pictures[0][1].tobytes() == next(layouts(1, count=1)).pictures[0][1].tobytes()


def test_cost_has_every_stage(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hashmatch.bench.robustness_negatives.COST_ROUNDS", 2)
    said: Callable[[str], dict[str, float]] = cost([photos / "1.png"], ("plain", "none"), 1_000, 1).__getitem__
    assert (said("plain")["hashes"], said("none")["hashes"]) == (1, 16)
    assert all(said("none")[key] > 0 for key in ("decode_ms", "hash_ms", "search_ms", "search_review_ms"))
