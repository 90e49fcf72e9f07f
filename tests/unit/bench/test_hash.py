"""``bench hash``: every way to PDQ has the same bits, what differs is found before anything is timed."""

from __future__ import annotations

import importlib.util
import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hashmatch.bench import ceiling, goals, hash_goals, hash_pays, hash_pictures, hash_plots, hash_report, hash_stages
from hashmatch.bench.goals import TIMES
from hashmatch.bench.hash_compare import Outcome, compare, difference, systems_of
from hashmatch.bench.hash_pictures import Sample, from_folder, generated
from hashmatch.bench.hash_run import bits, goal_row, run
from hashmatch.bench.hash_systems import FAMILIES, Answer, HashSystem, Source, by_c
from hashmatch.bench.systems import Skipped
from hashmatch.bench.timing import Effort, Timing
from hashmatch.cli.bench_hash import FIELDS, cases, parse_sizes
from hashmatch.errors import BadInput, IntegrityError
from hashmatch.hashing.patterns import KINDS, picture
from hashmatch.kernels.pdq import pdq, pdq_exact
from hashmatch.limits import SCREEN_BITS

TINY = Effort(rounds=3, round_s=0.0005)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return generated(160, 120, seed=1)[:3]


@pytest.fixture(scope="module")
def systems() -> list[HashSystem]:
    return systems_of(FAMILIES)[0]


# --- pictures ----------------------------------------------------------------------------------------------------


def test_generated_pictures_follow_from_the_seed_and_are_worth_hashing(samples: list[Sample]) -> None:
    again, other = generated(160, 120, seed=1), generated(160, 120, seed=2)
    assert [sample.jpeg for sample in again[:3]] == [sample.jpeg for sample in samples]
    assert other[0].jpeg == samples[1].jpeg != samples[0].jpeg
    assert samples[0].pixels.shape == (120, 160, 3)
    assert min(pdq(sample.pixels).quality for sample in samples) >= 80
    assert repr(samples[0]) == f"<Sample 160x120, {len(samples[0].jpeg)} bytes>"


def test_large_pictures_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_pictures, "PIXELS_AT_ONCE", 70_000)
    assert [len(generated(width, 100, seed=1)) for width in (65, 100, 200, 900)] == [10, 7, 3, 2]


def test_photos_are_the_whole_jpegs_of_a_folder(tmp_path: Path, samples: list[Sample]) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.JPG").write_bytes(samples[1].jpeg)
    (tmp_path / "a.jpeg").write_bytes(samples[0].jpeg)
    (tmp_path / "cut.jpg").write_bytes(samples[2].jpeg[:-500])
    (tmp_path / "text.txt").write_text("no picture")
    assert [sample.jpeg for sample in from_folder(tmp_path)] == [samples[0].jpeg, samples[1].jpeg]


def test_a_folder_without_photos_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"^no whole JPEG file \(\.jpg, \.jpeg\) lies below {tmp_path}$"):
        from_folder(tmp_path)


# --- C -----------------------------------------------------------------------------------------------------------


def c_exact() -> HashSystem:
    try:
        (system,) = by_c()
    except Skipped as reason:
        pytest.skip(str(reason))
    return system


def answer_of_c(system: HashSystem, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Answer:
    sample = generated(65, 65, 1)[0]
    assert system.read is not None
    return system.read(system.ask(Sample(sample.jpeg, pixels, sample.picture)))


SIZES = [(5, 5), (5, 200), (200, 7), (15, 16), (17, 31), (65, 64), (127, 129), (128, 128), (300, 511), (513, 640)]


@pytest.mark.parametrize("flags", ["-march=native", "-march=x86-64-v3", "-march=x86-64-v2"])
def test_c_has_the_exact_kernels_bits(flags: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if flags != "-march=native":
        if platform.machine() != "x86_64":
            pytest.skip("not x86-64")
        monkeypatch.setenv("CEILING_CFLAGS", flags)
        c_exact()
        library = ceiling._library.__wrapped__()
        monkeypatch.setattr(ceiling, "_library", lambda: library)
    system = c_exact()
    for number, (height, width) in enumerate(SIZES):
        for kind in KINDS:
            pixels = picture(kind, height, width, 3, size=number + 3)
            expected = pdq_exact(pixels)
            found = answer_of_c(system, pixels)
            assert found.hashes == tuple(row.tobytes().hex() for row in expected.hashes), (kind, height, width)
            assert found.quality == expected.quality, (kind, height, width)


# --- equality ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", list(Source))
def test_everything_that_promises_pdq_agrees_and_is_timed(
    source: Source, samples: list[Sample], systems: list[HashSystem]
) -> None:
    outcome = compare("160x120", source, samples, systems, TINY)
    assert {"ours", "pdqhash_dihedral"} <= set(outcome.same_bits)
    said = outcome.as_json()
    rates, ratios = said["images_per_second"], said["ratio_vs"]
    assert isinstance(rates, dict)
    assert isinstance(ratios, dict)
    assert set(rates) == set(ratios) == {system.name for system in systems if system.source is source}
    assert ratios["ours"] == 1
    assert ratios["imagehash_phash"] == pytest.approx(rates["ours"] / rates["imagehash_phash"])
    assert "imagehash_phash" not in outcome.same_bits
    assert set(FIELDS) == {*said, "samples", "goals", "skipped", "machine"} - {"samples"}
    assert ("decode" if source is Source.JPEG else "transform") in outcome.stages
    assert 0 <= outcome.exact_share <= 1


def test_one_bit_ends_the_comparison(samples: list[Sample]) -> None:
    def wrong(sample: Sample) -> Answer:
        found = [int(row.tobytes().hex(), 16) for row in pdq(sample.pixels).hashes]
        found[3] ^= 1 << 77
        return Answer(tuple(f"{value:064x}" for value in found), None)

    systems, _ = systems_of(["ours"])
    impostor = HashSystem("impostor", Source.PIXELS, wrong, lambda answer: answer)
    with pytest.raises(IntegrityError, match=r"^tiny, picture 0: ours and impostor differ: 1 bits of rot270$"):
        compare("tiny", Source.PIXELS, samples, [*systems, impostor], TINY)


def test_screening_is_near_and_held_to_it(samples: list[Sample]) -> None:
    large = generated(2052, 2049, seed=1)[:2]
    (system,) = [system for system in systems_of(["ours"])[0] if system.slack_bits]
    row = compare("large", Source.JPEG, large, [system], TINY).as_json()
    assert row["same_bits"] == []
    assert isinstance(row["most_bits"], dict)
    assert 0 <= row["most_bits"]["ours_screen"] <= SCREEN_BITS["pdq"] == system.slack_bits
    assert bits(row, "ours_screen") == f"within {row['most_bits']['ours_screen']}"
    assert bits(row, "ours") == "another hash"
    other = replace(system, ask=lambda _: system.ask(samples[1]))
    with pytest.raises(IntegrityError, match=r"^large: ours_screen is \d{2,3} bits off, and promises 12$"):
        compare("large", Source.JPEG, large[:1], [other], TINY)


def test_answers_are_compared_in_what_both_say() -> None:
    one, eight = Answer(("00" * 32,), None), Answer(("00" * 32, "ff" * 32), 50)
    assert difference(one, eight) is None
    assert difference(eight, Answer(eight.hashes, 51)) == "quality 50 and 51"
    assert difference(eight, Answer(("00" * 32, "f7" * 32), 50)) == "32 bits of rot90"


def test_the_parts_of_the_exact_kernel_make_the_whole(samples: list[Sample]) -> None:
    for sample in samples:
        block = hash_stages._block(hash_stages.exact_grid(sample.pixels))
        np.testing.assert_array_equal(hash_stages._bits(block), pdq_exact(sample.pixels).hashes)


def test_missing_peers_are_skipped_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("importlib.import_module", missing)
    systems, skipped = systems_of(["ours", "pdqhash", "threatexchange", "perception"])
    assert {system.name for system in systems} == {"ours", "ours_exact", "ours_screen", "ours_with_pillow"}
    assert skipped["pdqhash"] == "pip install pdqhash (No module named 'pdqhash')"
    assert skipped["threatexchange"].startswith("pip install threatexchange (")
    with pytest.raises(BadInput, match=r"^no such system: pdq; there are ours, pdqhash, "):
        systems_of(["pdq"])


# --- goals, plots, arguments -------------------------------------------------------------------------------------


def outcome(case: str, source: Source, **us: float) -> Outcome:
    timings = {name: Timing(took, took, took, 3, 1, 1.0) for name, took in us.items()}
    return Outcome(case, source, 2, timings, ("ours",), {}, {}, 0.0)


def test_goals_are_held_against_the_row_of_their_size() -> None:
    row = outcome("512x512", Source.PIXELS, ours=60, ours_exact=500, pdqhash_dihedral=3300, c_exact=400)
    results = {row.name: row.as_json()}
    checked = goals.check(results, hash_goals.GOALS["512x512 pixels"])
    assert [(round(goal.measured or 0, 2), goal.met) for goal in checked] == [(55, True), (6.6, False), (1.25, False)]
    assert goal_row(checked[2]) == {
        "what": "512x512, exact kernel by our own C",
        "goal": f"≤ 1.15{TIMES}",
        "measured": 1.25,
        "met": False,
        "beside": {},
    }
    alone = goals.check({}, hash_goals.GOALS["4000x3000 jpeg"])
    assert [(goal.measured, goal.met) for goal in alone] == [(None, None)] * 2


def test_a_goal_stands_beside_what_the_machine_allows() -> None:
    """100 times as fast as 1,000 µs are 10 µs: reading alone takes 4 or 15 of them."""
    for reading, said in (
        (4.0, "**missed**"),
        (15.0, "**missed**: out of reach of this machine: reading the pixels takes 150 %"),
    ):
        row = outcome("4000x3000", Source.PIXELS, ours=20, pdqhash_dihedral=1000)
        row = replace(row, stages={hash_stages.READING: Timing(reading, reading, reading, 3, 1, 1.0)})
        guarded = goals.check({row.name: row.as_json()}, hash_goals.GOALS["4000x3000 pixels"])[0]
        assert (guarded.measured, guarded.met) == (50, False)
        assert guarded.beside == {hash_goals.READ: 10 * reading, hash_goals.OF_OURS: 5 * reading}
        assert hash_report._state(goal_row(guarded)).startswith(said)
    assert hash_report._state({"met": True, "beside": {hash_goals.READ: 150.0}}) == "met"


def test_what_nobody_gets_around_is_timed_beside(samples: list[Sample]) -> None:
    ceilings = {way.name: way for way in hash_stages.stages(samples, Source.PIXELS) if "ceiling" in way.name}
    for way in ceilings.values():
        assert way.step == len(samples)
        way.run(0, len(samples))
    c_exact()
    assert f"stage {hash_stages.READING}" in ceilings
    flat = np.ascontiguousarray(samples[0].pixels).reshape(-1)
    everything = np.bitwise_xor.reduce(flat.view(np.uint64))
    assert ceiling.load().ceiling_stream(flat.ctypes.data, len(flat) // 8) == everything


def test_screening_is_held_against_a_peer_and_not_against_ours() -> None:
    row = outcome("4000x3000", Source.JPEG, ours=50, ours_screen=20, threatexchange=600)
    checked = goals.check({row.name: row.as_json()}, hash_goals.GOALS["4000x3000 jpeg"])
    assert [(goal.measured, goal.met) for goal in checked] == [(12, False), (30, True)]


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_the_plot_names_every_system(tmp_path: Path) -> None:
    rows = [
        outcome("512x512", Source.PIXELS, ours=60, c_exact=400, pdqhash=3300, imagehash_phash=900).as_json(),
        outcome("photos", Source.JPEG, ours=900).as_json(),
    ]
    drawn = hash_plots.draw(rows, tmp_path / "plots").read_text(encoding="utf-8")
    for text in ("pdqhash", "imagehash_phash", "c_exact", "512x512, from pixels", "photos, from jpeg", "16,667"):
        assert text in drawn


def test_sizes_are_parsed() -> None:
    assert parse_sizes("512x512, 1024x768") == [(512, 512), (1024, 768)]
    assert parse_sizes("") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("512", r"^a size is written like 1024x768, not '512'$"),
        ("64x64", r"^64x64 is not measured; sides of at least 65 and at most 50,000,000 pixels are$"),
        ("9000x9000", r"^9000x9000 is not measured; sides of at least 65 and at most 50,000,000 pixels are$"),
    ],
)
def test_other_sizes_are_refused(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse_sizes(text)


def test_something_must_be_measured() -> None:
    with pytest.raises(BadInput, match=r"^there is nothing to measure: give --sizes, --photos or both$"):
        next(cases([], None, 1))


# --- the page ----------------------------------------------------------------------------------------------------

FOUND = {
    "photos": 2, "files": 1_200, "screened": 1_000, "seed": 7, "second_looks": 0.0625,
    "differences": {"pdq": {
        "pictures": 990, "mean_bits": 1.5, "most_bits": 8, "most_quality": 1, "histogram": {"0": 900, "8": 90},
    }},
    "verdicts": {"no_match": 1_150, "match": 50},
}  # fmt: skip


def test_the_page_says_what_was_measured_and_what_was_missed(samples: list[Sample]) -> None:
    rows = run([("160x120", samples)], ["ours"], TINY)
    assert [(row["case"], row["source"], row["goals"]) for row in rows] == [
        ("160x120", "pixels", []), ("160x120", "jpeg", []),
    ]  # fmt: skip
    rows[0]["goals"] = [{"what": "a goal", "goal": f"≥ 50{TIMES}", "measured": 41.234, "met": False}]
    page = hash_report.page(rows, FOUND)
    assert f"| a goal | ≥ 50{TIMES} | 41.23 | **missed** |" in page
    assert "## 160x120, from JPEG files" in page
    assert "| `pdq` | 990 | 1.50 | 8 | 12 | 0 bits: 900, 8 bits: 90 |" in page
    assert "1,200 files of 2 photos, 1,000 of which were screened" in page
    assert "50 match, 1,150 no_match. 6.2 % of the screened" in page
    assert "--fidelity 1200 --seed 7" in page
    assert "Screening: how far" not in hash_report.page(rows, None)


def test_what_screening_saves_and_costs_is_measured_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_pays, "SIZES", ((640, 520),))
    monkeypatch.setattr(hash_pays, "ENTRIES", (2_000,))
    monkeypatch.setattr(hash_pays, "ROUNDS", 1)
    found = hash_pays.measure(1)
    assert [row["size"] for row in found["hash"]] == ["640x520"]
    assert [(row["entries"], row["distance"]) for row in found["search"]] == [
        (2_000, "matches only"),
        (2_000, "with the review band"),
    ]
    assert all(row[f"{name}_ms"] > 0 for rows in found.values() for row in rows for name in ("exact", "screen"))
    said = hash_report._pays(
        {
            "hash": [{"size": "4000x3000", "exact_ms": 28.2, "screen_ms": 8.5}],
            "search": [{"entries": 100_000, "distance": "matches only", "exact_ms": 0.037, "screen_ms": 0.716}],
        }
    )
    assert "| 4000x3000 | 28.2 | 8.50 | - 19.7 |" in said
    assert "| 100,000 | matches only | 0.04 | 0.72 | + 0.68 |" in said
