"""Views: copies are found, strangers are not, flat parts say so, and the reply holds them all."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hashmatch.config import DecodeConfig, PolicyConfig
from hashmatch.hashing import algorithms, views
from hashmatch.hashing.compute import FRAMES_WITH_VIEWS, hash_picture
from hashmatch.kernels.pdq import pdq
from hashmatch.matching.policy import queries_for
from hashmatch.model import ComputedHash, HashOptions, Views
from hashmatch.sandbox.protocol import MAX_HASHES, Codec, Request, RequestKind
from hashmatch.transformations import KINDS, ORIENTATIONS, TRANSFORMATIONS, kind_of
from tests.support import images
from tests.support.copies import COPIES

DEMO = Path(__file__).parents[3] / "hashsets" / "demo" / "photos"
MATCH_DISTANCE = PolicyConfig().algorithms["pdq"].match_distance
LEAST_QUALITY = PolicyConfig().min_image_quality
STRANGERS_BEYOND = 57
"""The nearest that two unrelated photographs ever came in 3e10 comparisons is 58 (docs/explain/thresholds.md)."""

MOST_VIEWS = 4 * 8 + 8 * 2 + 8 * 2 + 4 * 2 + 8 + 8 * 2 + 6 * 2 + 11 + 5 * 2 + 4 * 8 + 8
"""Of one frame: trimmed, negative, tilted, cells, turned back, trimmed then, extended, mended, askew, on black."""


@functools.cache
def originals() -> tuple[tuple[Image.Image, int], ...]:
    """Return made-up and real photographs with their PDQ values."""
    made = [images.photo(seed, (320 + 40 * (seed % 5), 240 + 30 * (seed % 3))) for seed in range(1, 25)]
    real = [Image.open(path).convert("RGB") for path in sorted(DEMO.glob("*.jpg"))]
    return tuple((picture, number(pdq(np.asarray(picture)).hashes[0].tobytes())) for picture in made + real)


def number(value: bytes) -> int:
    return int.from_bytes(value)


def usable(picture: Image.Image) -> list[ComputedHash]:
    found = views.views(np.asarray(picture), 0, thorough=True)
    return [item for item in found if item.quality is not None and item.quality >= LEAST_QUALITY]


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found_and_strangers_are_not(name: str) -> None:
    found, nearest_stranger = 0, 256
    for position, (picture, _) in enumerate(originals()):
        seen = [number(item.value) for item in usable(COPIES[name](picture))]
        nearest = [min((value ^ known).bit_count() for value in seen) for _, known in originals()]
        found += nearest.pop(position) <= MATCH_DISTANCE
        nearest_stranger = min(nearest_stranger, *nearest)
    assert len(originals()) == 32
    assert found >= 32
    assert nearest_stranger > STRANGERS_BEYOND


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_phase_free_hash_hardly_depends_on_the_resolution(seed: int) -> None:
    whole = images.photo(seed, (1000, 760))
    small = whole.resize((250, 190), Image.Resampling.LANCZOS)
    values = [number(views.canonical(np.asarray(picture)).hashes[0].tobytes()) for picture in (whole, small)]
    assert (values[0] ^ values[1]).bit_count() <= 6
    assert (values[0] ^ number(pdq(np.asarray(whole)).hashes[0].tobytes())).bit_count() <= 14


def test_the_negatives_hash_is_the_complement() -> None:
    found = {item.transformation: number(item.value) for item in usable(images.photo(3))}
    assert all(found[turn] ^ found[f"invert+{turn}"] == (1 << 256) - 1 for turn in ORIENTATIONS)


def test_what_is_transparent_is_looked_at_on_black_too() -> None:
    picture, known = originals()[0]
    hidden = Image.new("RGB", picture.size, "white")
    hidden.putalpha(picture.convert("L"))
    data = images.encoded(hidden, "PNG", exif=images.orientation_exif(2))
    answer = hash_picture(data, DecodeConfig(), HashOptions(frozenset({"pdq"}), views=Views.FULL))
    nearest = min(queries_for(answer.hashes, PolicyConfig()), key=lambda q: (number(q.value) ^ known).bit_count())
    assert (number(nearest.value) ^ known).bit_count() <= MATCH_DISTANCE
    assert nearest.transformation == "black+flipy"


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_no_view_of_a_flat_picture_asks_for_anything(shade: int) -> None:
    data = images.encoded(Image.new("RGB", (300, 200), (shade, shade, shade)), "PNG")
    answer = hash_picture(data, DecodeConfig(), HashOptions(frozenset({"pdq"}), views=Views.FULL))
    assert len(answer.hashes) > len(ORIENTATIONS)
    assert queries_for(answer.hashes, PolicyConfig()) == ()


def test_a_flat_part_of_a_busy_picture_asks_for_nothing() -> None:
    page = Image.new("RGB", (640, 480), "white")
    page.paste(images.photo(5, (320, 480)), (0, 0))
    flat = next(item for item in views.views(np.asarray(page), 0, thorough=True) if item.transformation == "cell-right")
    assert flat.quality == 0
    assert queries_for([ComputedHash("pdq", bytes(32), 100), flat], PolicyConfig())[1:] == ()


@settings(max_examples=60, deadline=None)
@given(st.integers(5, 300), st.integers(5, 300), st.integers(0, 2**32 - 1), st.booleans())
def test_any_picture_of_any_size_has_views_with_known_names(
    width: int,
    height: int,
    seed: int,
    coarse: bool,  # noqa: FBT001 - hypothesis passes it by name
) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    if coarse:
        pixels = np.ascontiguousarray(np.repeat(pixels[:, :1], width, axis=1))
    names = [item.transformation for item in views.views(pixels, 0, thorough=True)]
    assert len(set(names)) == len(names)
    assert set(names) <= set(TRANSFORMATIONS)


def test_the_largest_answer_fits_the_reply_and_comes_back() -> None:
    decode = DecodeConfig(max_frames_hashed=32)
    frames = [images.photo(seed, (64, 64)) for seed in range(40)]
    for frame in frames:
        frame.putalpha(frame.convert("L").point(lambda value: 255 - value // 2))
    options = HashOptions(views=Views.FULL)
    answer = hash_picture(images.animation("WEBP", frames, lossless=True), decode, options)
    assert answer.media is not None
    assert answer.media.frames_hashed == 32
    assert len(answer.hashes) <= 32 * 20 + FRAMES_WITH_VIEWS * 16 + MOST_VIEWS <= MAX_HASHES
    codec, request = Codec(tuple(algorithms.searchable().values())), Request(RequestKind.HASH, 1, options=options)
    assert codec.decode_reply(codec.encode_reply(1, answer), request).hashes == answer.hashes
    thorough = {kind_of(item.transformation) for item in answer.hashes if item.frame == 0}
    assert thorough == {"", *KINDS} - {"quad"}  # for which 64 pixels are too few
    assert {kind_of(item.transformation) for item in answer.hashes if item.frame > 0} == {"", "invert"}


def test_views_are_asked_for_by_level_and_the_phase_free_hash_by_name() -> None:
    data = images.encoded(images.photo(), "PNG")

    def kinds(names: frozenset[str], level: Views) -> set[tuple[str, str]]:
        answer = hash_picture(data, DecodeConfig(), HashOptions(names, views=level))
        assert len({(item.algorithm, item.transformation) for item in answer.hashes}) == len(answer.hashes)
        return {(item.algorithm, kind_of(item.transformation)) for item in answer.hashes}

    canonical = frozenset({"pdq-canonical"})
    assert kinds(frozenset({"pdq"}), Views.NONE) == {("pdq", "")}
    assert kinds(canonical, Views.NONE) == {("pdq-canonical", "")}
    assert kinds(canonical, Views.CHEAP) == {("pdq-canonical", ""), ("pdq-canonical", "invert")}
    assert "pdq-canonical" not in {name for name, _ in kinds(frozenset(), Views.NONE)}


def test_no_list_may_hold_the_phase_free_hash() -> None:
    assert "pdq-canonical" not in algorithms.table()
    assert "pdq-canonical" not in algorithms.perceptual_names()
    assert algorithms.searchable()["pdq-canonical"].space == algorithms.table()["pdq"].space
