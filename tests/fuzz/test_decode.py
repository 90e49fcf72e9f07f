"""Whatever the bytes are, the answer is a Picture: hashes, or a refusal with a sentence; never an exception.

Seeded mutations of generated pictures: the same every time, a few thousand in all. A run with other seeds is
``FUZZ_SEED=7 pytest tests/fuzz``.
"""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageFile

from hashmatch.config import DecodeConfig
from hashmatch.hashing import compute
from hashmatch.hashing.gates import FORMATS
from hashmatch.model import HashOptions, Picture, Refusal
from tests.support import images

SEED = int(os.environ.get("FUZZ_SEED", "1"))
ROUNDS = 60
CONFIG = DecodeConfig(max_pixels=2_000_000)  # small, so that a flipped size costs no time
OPTIONS = HashOptions(algorithms=frozenset({"pdq"}), dihedral=False)
ANSWERS = frozenset(
    {
        Refusal.EMPTY,
        Refusal.TOO_LARGE,
        Refusal.TOO_SMALL,
        Refusal.UNSUPPORTED_FORMAT,
        Refusal.CORRUPT,
        Refusal.BOMB,
    }
)


def seeds() -> dict[str, bytes]:
    """Small files of every format, some in modes and with structures of their own."""
    photo = images.photo(size=(48, 40))
    scenes = [images.photo(seed, (40, 32)) for seed in range(3)]
    files = {name: images.encoded(photo, name, **images.FORMAT_OPTIONS[name]) for name in FORMATS if name != "ICO"}
    files["ICO"] = images.encoded(photo, "ICO", sizes=[(40, 40)], bitmap_format="bmp")
    files |= {f"animated {name}": images.animation(name, scenes) for name in ("GIF", "PNG", "WEBP", "AVIF", "TIFF")}
    files["progressive JPEG"] = images.encoded(photo, "JPEG", progressive=True, exif=images.orientation_exif(6))
    files["CMYK JPEG"] = images.encoded(photo.convert("CMYK"), "JPEG")
    files["palette PNG"] = images.encoded(photo.quantize(16), "PNG", exif=images.orientation_exif(8))
    files["lossless WEBP"] = images.encoded(photo, "WEBP", lossless=True)
    files["raw TIFF"] = images.encoded(photo, "TIFF", exif=images.orientation_exif(5))
    files["big TIFF"] = images.encoded(photo, "TIFF", big_tiff=True)
    files["1-bit fax TIFF"] = images.encoded(photo.convert("1"), "TIFF", compression="group4")
    return files


SEEDS = seeds()


def check(answer: Picture) -> Picture:
    """Assert what holds for every answer."""
    if answer.refusal is None:
        assert answer.hashes
        assert answer.media is not None
        assert answer.media.frames_hashed == len(answer.hashes)
        assert 1 <= answer.media.frames_hashed <= answer.media.frames <= CONFIG.max_frames_seen
        assert all(len(found.value) == 32 for found in answer.hashes)
        assert all(found.quality is not None and 0 <= found.quality <= 100 for found in answer.hashes)
    else:
        assert answer.refusal in ANSWERS
        assert answer.detail
        assert "\n" not in answer.detail
        assert not answer.hashes
        assert answer.media is None
    assert (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS) == SETTINGS
    return answer


SETTINGS = (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)


@pytest.mark.parametrize("damage", images.mutations())
@pytest.mark.parametrize("name", SEEDS)
def test_every_damaged_file_gets_an_answer(name: str, damage: str) -> None:
    rng = np.random.default_rng([SEED, list(SEEDS).index(name), list(images.mutations()).index(damage)])
    mutate = images.mutations()[damage]
    others = list(SEEDS.values())
    outcomes: Counter[str] = Counter()
    for _ in range(ROUNDS):
        data = mutate(rng, SEEDS[name], others[int(rng.integers(len(others)))])
        answer = check(compute.hash_picture(data, CONFIG, OPTIONS))
        outcomes[answer.refusal or "hashed"] += 1
    if damage in {"flip", "header value"}:
        assert outcomes["hashed"] or name == "lossless WEBP", outcomes


def test_random_bytes_behind_every_magic_get_an_answer() -> None:
    rng = np.random.default_rng(SEED)
    for data in SEEDS.values():
        for length in (0, 1, 16, 300, 5000):
            check(compute.hash_picture(data[:16] + rng.bytes(length), CONFIG, OPTIONS))


@pytest.mark.parametrize("name", SEEDS)
def test_the_same_damaged_bytes_always_get_the_same_answer(name: str) -> None:
    rng = np.random.default_rng(SEED)
    flip = images.mutations()["flip"]
    damaged = [flip(rng, SEEDS[name], b"") for _ in range(5)]
    first = [compute.hash_picture(data, CONFIG, OPTIONS) for data in damaged]
    for data, answer in zip(reversed(damaged), reversed(first), strict=True):
        again = compute.hash_picture(data, CONFIG, OPTIONS)
        assert (again.hashes, again.media, again.refusal, again.detail) == (
            answer.hashes,
            answer.media,
            answer.refusal,
            answer.detail,
        )
