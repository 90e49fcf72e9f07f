"""``native_bench/hashing.py --fidelity``: bits are counted, verdicts compared, and one that differs ends the run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hashmatch.bench import hash_fidelity
from hashmatch.bench.hash_fidelity import OPTIONS, Difference, Pair, measure
from hashmatch.config import DecodeConfig
from hashmatch.errors import BadInput, IntegrityError
from hashmatch.hashing.compute import hash_picture
from hashmatch.limits import SCREEN_BITS
from hashmatch.model import Fidelity
from tests.support import images

ALL = DecodeConfig(screen_side_px=512)
SCREEN = dataclasses.replace(OPTIONS, fidelity=Fidelity.SCREEN)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed in (1, 2):
        picture = images.photo(seed, (720, 560))
        (tmp_path / f"{seed}.jpg").write_bytes(images.encoded(picture, "JPEG", quality=92))
    return tmp_path


def pair(seed: int, other: int) -> Pair:
    """Return the exact hashes of one picture and the approximate ones of another."""
    files = [images.encoded(images.photo(number, (720, 560)), "JPEG") for number in (seed, other)]
    return Pair(hash_picture(files[0], ALL, OPTIONS), hash_picture(files[1], ALL, SCREEN))


def test_every_file_is_hashed_both_ways_and_judged_alike(photos: Path) -> None:
    found = measure([photos], 8, seed=3)
    assert (found["photos"], found["files"], found["seed"]) == (2, 8, 3)
    assert 1 <= found["screened"] <= 8
    assert sum(found["verdicts"].values()) == 8
    assert set(found["differences"]) == set(SCREEN_BITS)
    for name, row in found["differences"].items():
        assert row["pictures"] == sum(row["histogram"].values()) <= found["screened"]
        assert row["most_bits"] == max(map(int, row["histogram"])) <= SCREEN_BITS[name]
    assert measure([photos], 8, seed=3) == found


def test_a_report_that_depends_on_screening_ends_the_run(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = pair(1, 9)  # known exactly, and far from everything as screened
    monkeypatch.setattr(hash_fidelity, "hashed", lambda *_: [wrong])
    with pytest.raises(IntegrityError, match=r"^the report with screening is another one: .*NO_MATCH.* instead of "):
        measure([photos], 2, seed=1)


def test_a_folder_without_pictures_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="lies below"):
        measure([tmp_path], 2, seed=1)


def test_differences_are_summed_up() -> None:
    row = Difference()
    row.bits.update({0: 6, 2: 3, 8: 1})
    row.quality.update({0: 9, 2: 1})
    assert row.as_json() == {
        "pictures": 10, "mean_bits": 1.4, "most_bits": 8, "most_quality": 2, "histogram": {"0": 6, "2": 3, "8": 1},
    }  # fmt: skip
