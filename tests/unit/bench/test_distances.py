"""The bound on chance hits is what the committed measurement says, and a small one does not contradict it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hashmatch.bench import distances_plots, distances_report
from hashmatch.bench.distances import (
    BANDS,
    BODY,
    CLASSES,
    EDGES,
    Distances,
    Study,
    factors,
    fit,
    measure,
    sources_below,
    with_edge,
)
from hashmatch.bench.robustness import distances
from hashmatch.bench.robustness_overlays import scene
from hashmatch.cli.bench_distances import FIELDS
from hashmatch.errors import BadInput
from hashmatch.kernels.pdq import pdq
from hashmatch.matching import chance
from hashmatch.matching.chance import GUESS, PICTURE, expected, factor
from tests.repo import tree

RECORD: Mapping[str, Any] = json.loads(
    (tree.ROOT / "native_bench" / "distances" / "distances.json").read_text(encoding="utf-8")
)
KINDS_OF = {"picture": "", "guess": "trim"}
DEMO = tree.ROOT / "hashsets" / "demo" / "photos"


def within(row: Mapping[str, Any], distance: int) -> float:
    """Share of measured pairs within a distance."""
    return float(sum(count for at, count in row["histogram"].items() if int(at) <= distance) / row["pairs"])


@pytest.mark.parametrize(("name", "constant"), [("picture", PICTURE), ("guess", GUESS)])
def test_the_bounds_are_those_that_were_measured(name: str, constant: chance.Tail) -> None:
    fitted = fit(RECORD["classes"][name])
    assert constant.threshold == fitted.threshold
    assert constant.share == pytest.approx(fitted.share, rel=0.01)
    assert constant.decades_per_bit == pytest.approx(fitted.decades_per_bit, rel=0.01)


def test_the_factors_of_quality_are_those_that_were_measured() -> None:
    measured = factors(RECORD["bands"])
    assert RECORD["quality"] == {str(least): times for least, times in measured.items()}
    for least, times in chance.QUALITY:
        assert times == pytest.approx(measured[least], abs=0.006)


@pytest.mark.parametrize("name", CLASSES)
def test_no_measured_share_exceeds_the_bound(name: str) -> None:
    row, kind = RECORD["classes"][name], KINDS_OF[name]
    for distance in range(row["nearest"], 128):
        assert within(row, distance) <= expected(kind, 100, distance, 1), distance


def test_a_small_measurement_does_not_contradict_the_constants() -> None:
    """Every pair of the demo's photos, in all orientations: nothing else than what the constants were made of."""
    found = [pdq(np.asarray(Image.open(path).convert("RGB"))) for path in sorted(DEMO.glob("*.jpg"))]
    assert len(found) >= 6
    pairs = itertools.combinations(found, 2)
    every = np.concatenate([distances(one.hashes, other.hashes[:1]).ravel() for one, other in pairs])
    assert abs(every.mean() - RECORD["classes"]["picture"]["mean"]) < 1.5
    assert abs(every.std() - RECORD["classes"]["picture"]["deviation"]) < 1.5
    assert (every <= BODY).mean() <= expected("", 100, BODY, 1) + 3 / len(every)
    assert every.min() > 70


def test_a_fit_finds_the_slope_of_a_tail_that_was_made_up() -> None:
    """Half as many pairs with every two bits less: 0.15 decades per bit."""
    histogram = {str(at): 2 ** ((at - 60) // 2) for at in range(60, 90, 2)}
    row = {"pairs": 10**9, "histogram": histogram, "photo_pairs": {str(at): 10**8 for at in range(60, 101, 2)}}
    row["photo_pairs"] |= {str(at): 0 for at in range(60, 88, 2)}  # type: ignore[operator]
    tail = fit(row)
    assert tail.threshold == 88
    assert tail.share == pytest.approx(32767 / 10**9, rel=1e-3)
    assert tail.decades_per_bit == pytest.approx(0.1505, rel=2e-3)


def test_a_bound_never_passes_below_what_was_measured() -> None:
    """A lone pair far below the others makes the line flatter, so that it passes above."""
    histogram = {"60": 1, "86": 1000, "88": 10**5}
    photo_pairs = {str(at): 1 if at < 86 else 10**4 for at in range(60, 101, 2)}
    tail = fit({"pairs": 10**9, "histogram": histogram, "photo_pairs": photo_pairs})
    assert tail.threshold == 86
    assert tail.within(60) == pytest.approx(1e-9)


def test_fewer_pairs_of_photos_make_a_more_careful_bound() -> None:
    row = dict(RECORD["classes"]["guess"])
    sure = fit(row)
    row["photo_pairs"] = {at: min(count, 100) for at, count in row["photo_pairs"].items()}
    unsure = fit(row)
    assert unsure.share > sure.share
    assert unsure.decades_per_bit < sure.decades_per_bit
    row["photo_pairs"] = dict.fromkeys(row["photo_pairs"], 3)
    with pytest.raises(BadInput, match="only 3 pairs of photos came within 100 bits; a tail is fitted to 100"):
        fit(row)


def test_distances_are_counted_per_pair_of_hashes_and_of_photos() -> None:
    table = Distances(3)
    table.add(0, np.array([1, 2]), np.array([[90, 100], [88, 120]]))
    table.add(1, np.array([0]), np.array([[94]]))
    said = table.as_json()
    assert (said["pairs"], said["nearest"], said["histogram"]) == (
        5, 88, {"88": 1, "90": 1, "94": 1, "100": 1, "120": 1},
    )  # fmt: skip
    assert [table.photo_pairs(distance) for distance in (87, 88, 99, 100)] == [0, 1, 1, 2]
    assert said["mean"] == pytest.approx((90 + 100 + 88 + 120 + 94) / 5, abs=1e-3)


def test_edges_are_tried_for_those_that_reach_furthest() -> None:
    rows = with_edge(55).algorithms
    assert {name: row.possible_distance for name, row in rows.items() if name.startswith("pdq")} == {
        "pdq": 55, "pdq-nearest512": 40, "pdq-canonical": 40,
    }  # fmt: skip
    assert {row.possible_distance_max for row in rows.values()} == {-1}


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    made: list[Path] = []
    for source in ("one", "two"):
        where = tmp_path / source
        where.mkdir()
        for at in range(2):
            seed = 10 * len(made) + at
            scene((200, 150), np.random.default_rng(seed)).save(where / f"{at}.png")
        made.append(where)
    return made


def test_photos_of_different_directories_are_compared_and_those_of_one_apart(
    sources: list[Path], tmp_path: Path
) -> None:
    study = Study(sources_below(sources, None), ("jpeg_90", "crop_5%"))
    measured = measure(study)
    assert measured.sources == {"one": 2, "two": 2}
    whole = measured.kinds[""].as_json()["pairs"]
    assert whole > 0
    assert measured.same_source.as_json()["pairs"] == whole // 2
    assert sum(table.as_json()["pairs"] for table in measured.bands.values()) >= sum(
        table.as_json()["pairs"] for table in measured.classes.values()
    )
    assert list(measured.recall["jpeg_90"]) == list(EDGES)
    assert set(measured.recall["jpeg_90"].values()) == {1.0}
    said = distances_report.record(study, measured, 100)
    assert said["tails"] == {}
    assert set(said["skipped"]) == {"picture", "guess"}
    assert [row[0] for row in distances_report.rows(said)][:2] == ["whole", "invert"]
    assert len(distances_report.remarks(said)) == 2
    pytest.importorskip("matplotlib", reason="matplotlib draws the plots")
    assert all(key in FIELDS or any(f"`{key}`" in text for text in FIELDS.values()) for key in said)
    drawn = distances_plots.draw(said, tmp_path / "plots")
    assert [path.name for path in drawn] == ["unrelated.svg", "edge.svg"]
    assert all(path.stat().st_size > 1000 for path in drawn)


def test_one_directory_has_no_unrelated_photos(sources: list[Path]) -> None:
    with pytest.raises(BadInput, match="name at least two directories with --photos"):
        sources_below(sources[:1], None)


def test_the_committed_edges_follow_from_the_bounds() -> None:
    for name, tail in (("picture", PICTURE), ("guess", GUESS)):
        edges = distances_report.edges(tail, RECORD["review_false_rate"])
        assert edges == RECORD["edges"][name]
        assert list(edges["full"].values()) == sorted(edges["full"].values(), reverse=True)


def test_bands_begin_where_the_record_has_them() -> None:
    assert [int(least) for least in RECORD["bands"]] == list(BANDS)
    assert factor(100) <= factor(55)
