"""The kernels under the views, against twins that are slow and obviously right."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from hashmatch.kernels import views
from hashmatch.kernels.pdq import pdq
from hashmatch.kernels.views import Rectangle
from hashmatch.kernels.views_bits import hash_all, hash_samples
from hashmatch.kernels.views_rectangles import rectangles
from hashmatch.kernels.views_turns import turned
from tests.support import images

FINE = 64
"""Slices of a pixel in the twin of the tents."""


def tents(begin: float, end: float, pixels: int) -> npt.NDArray[np.float64]:
    """Weights of each pixel under each of 64 tents, by adding up thin slices; shape (64, pixels)."""
    at = (np.arange(pixels * FINE) + 0.5) / FINE
    half = (end - begin) / 128
    centres = begin + (2 * np.arange(64)[:, None] + 1) * half
    heights = np.maximum(0.0, 1 - abs(at - centres) / half)
    weights: npt.NDArray[np.float64] = heights.reshape(64, pixels, FINE).sum(axis=2)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


@pytest.mark.parametrize(
    ("size", "part"),
    [
        ((100, 80), Rectangle(0.0, 0.0, 100.0, 80.0)),
        ((131, 67), Rectangle(10.5, 3.25, 90.75, 60.0)),
        ((200, 300), Rectangle(100.0, 0.0, 200.0, 300.0)),
    ],
)
def test_samples_are_sums_under_tents(size: tuple[int, int], part: Rectangle) -> None:
    luma = np.asarray(images.photo(2, size).convert("L"), dtype=np.float32)
    expected = tents(part.top, part.bottom, size[1]) @ luma @ tents(part.left, part.right, size[0]).T
    assert np.abs(views.sample(luma, part) - expected).max() < 0.6


@pytest.mark.parametrize("size", [(5, 7), (300, 200), (767, 768), (1300, 1023), (2000, 17)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_shrinking_takes_means_of_blocks(size: tuple[int, int], mode: str) -> None:
    pixels = np.asarray(images.photo(4, size).convert(mode))
    shrunk = views.shrink(pixels)
    luma = pixels if mode == "L" else pixels @ np.array([0.299, 0.587, 0.114])
    factor_x, factor_y = shrunk.factors
    assert shrunk.whole == (0.0, 0.0, size[0] / factor_x, size[1] / factor_y)
    for y, x in ((0, 0), (-1, -1), (0, -1), (shrunk.luma.shape[0] // 2, shrunk.luma.shape[1] // 3)):
        row, column = y % shrunk.luma.shape[0], x % shrunk.luma.shape[1]
        block = luma[row * factor_y : (row + 1) * factor_y, column * factor_x : (column + 1) * factor_x]
        assert shrunk.luma[y, x] == pytest.approx(block.mean(), abs=0.01)


def test_turning_samples_what_a_turned_picture_shows() -> None:
    picture = images.photo(6, (512, 384))
    askew = picture.rotate(7, Image.Resampling.BICUBIC)
    bent, plain = (views.coarse(views.shrink(np.asarray(shown))) for shown in (askew, picture))
    back, straight = turned(bent, bent.whole, [-7])[0], turned(plain, plain.whole, [0])[0]
    middle = (slice(12, 52), slice(12, 52))
    assert np.abs(back[middle] - straight[middle]).mean() < 3
    wrong = turned(bent, bent.whole, [7])[0]
    assert np.abs(wrong[middle] - straight[middle]).mean() > 10


@pytest.mark.parametrize("seed", range(5))
def test_samples_hash_as_pdq_hashes_a_picture_of_that_size(seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64)).astype(np.uint8)
    expected = pdq(pixels)
    found = hash_samples(pixels.astype(np.float32))
    assert np.unpackbits(found.hashes ^ expected.hashes).sum() <= 4
    assert abs(found.quality - expected.quality) <= 1
    upright, _ = hash_all(pixels.astype(np.float32)[None], np.ones(1, np.int64))
    assert upright[0, 0].tobytes() == found.hashes[0].tobytes()


@pytest.mark.parametrize("box", [(40, 30, 360, 270), (0, 60, 400, 260), (90, 0, 310, 300), (200, 120, 330, 250)])
def test_the_place_of_a_picture_on_a_page_is_among_the_rectangles(box: tuple[int, int, int, int]) -> None:
    page = Image.new("L", (400, 300), 225)
    left, top, right, bottom = box
    page.paste(images.photo(8, (right - left, bottom - top)).convert("L"), box[:2])
    found = rectangles(np.asarray(page, dtype=np.float32), 12)
    assert min(np.abs(row[:4] - np.array(box)).max() for row in found) <= 1
    assert len(found) <= 12


def test_rectangles_lie_in_the_picture_are_large_enough_and_not_all_of_it() -> None:
    for seed in range(10):
        luma = np.asarray(images.photo(seed, (300, 220)).convert("L"), dtype=np.float32)
        for left, top, right, bottom, strength in rectangles(luma, 12):
            assert 0 <= left < right <= 300
            assert 0 <= top < bottom <= 220
            assert right - left >= 60
            assert bottom - top >= 44
            assert right - left < 299 or bottom - top < 219
            assert strength > 0


def test_a_flat_picture_has_no_rectangles() -> None:
    assert rectangles(np.full((50, 60), 128, np.float32), 12).shape == (0, 5)
