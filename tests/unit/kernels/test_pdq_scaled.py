"""PDQ of a picture decoded at a fraction of its size: the samples of the whole one, and nearly its hash."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from hashmatch.errors import BadInput
from hashmatch.kernels import pdq as kernels
from hashmatch.kernels.pdq import pdq, pdq_from_grey, pdq_nearest512, pdq_nearest512_from_grey
from tests.oracle import pdq as twin
from tests.oracle.pdq_pictures import clouds

Pixels = npt.NDArray[np.uint8]


def distance(left: Pixels, right: Pixels) -> int:
    return int(np.bitwise_count(left ^ right).sum())


@pytest.mark.parametrize("halvings", range(4))
@pytest.mark.parametrize(
    ("height", "width"), [(512, 512), (700, 300), (64, 64), (5, 9), (129, 257), (40, 1500), (1031, 130)]
)
def test_samples_of_equal_blocks_are_those_of_the_whole_picture(height: int, width: int, halvings: int) -> None:
    block = 1 << halvings
    shape = -(-height // block), -(-width // block)
    small = np.random.default_rng(height).integers(0, 256, shape, dtype=np.uint8)
    whole = np.repeat(np.repeat(small, block, axis=0), block, axis=1)[:height, :width]
    expected = twin.decimate(twin.smooth(twin.luma_double(whole)))
    assert np.abs(kernels._scaled_samples(small, (height, width), (height, width), halvings) - expected).max() < 0.005


@pytest.mark.parametrize("halvings", range(4))
@pytest.mark.parametrize(("height", "width"), [(513, 513), (700, 300), (1040, 5), (1031, 2048)])
def test_samples_of_equal_blocks_are_those_of_the_picked_pixels(height: int, width: int, halvings: int) -> None:
    block = 1 << halvings
    shape = -(-height // block), -(-width // block)
    small = np.random.default_rng(height).integers(0, 256, shape, dtype=np.uint8)
    whole = np.repeat(np.repeat(small, block, axis=0), block, axis=1)[:height, :width]
    expected = twin.decimate(twin.smooth(twin.luma_single(twin.nearest512(whole))))
    assert np.abs(kernels._scaled_samples(small, (height, width), (512, 512), halvings) - expected).max() < 0.005


def test_unscaled_grey_is_either_dialect() -> None:
    pixels = clouds(np.random.default_rng(3), (300, 620))[:, :, 0].copy()
    assert distance(pdq_nearest512_from_grey(pixels, 300, 620).hashes, pdq_nearest512(pixels).hashes) == 0
    small = pixels[:, :512]
    assert distance(pdq_nearest512_from_grey(small, 300, 512).hashes, pdq(small).hashes) == 0


def test_unscaled_grey_is_pdq() -> None:
    pixels = clouds(np.random.default_rng(3), (300, 420))[:, :, 0].copy()
    assert distance(pdq_from_grey(pixels, 300, 420).hashes, pdq(pixels).hashes) == 0


@pytest.mark.parametrize("scale", [2, 4])
def test_a_scaled_jpeg_is_within_six_bits(scale: int) -> None:
    for seed in range(1, 5):
        picture = clouds(np.random.default_rng(seed), (1033, 1530))
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=90)
        whole = pdq(np.asarray(Image.open(buffer)))
        jpeg = Image.open(buffer)
        jpeg.draft("L", (picture.shape[1] // scale, picture.shape[0] // scale))
        small = np.asarray(jpeg)
        assert small.shape == (-(-1033 // scale), -(-1530 // scale))
        screened = pdq_from_grey(small, 1033, 1530)
        assert distance(screened.hashes[0], whole.hashes[0]) <= 6
        assert abs(screened.quality - whole.quality) <= 5


@pytest.mark.skipif("HASHMATCH_EXTRA_DATA" not in os.environ, reason="HASHMATCH_EXTRA_DATA is not set")
def test_photos_are_within_six_bits() -> None:
    distances = []
    for path in sorted((Path(os.environ["HASHMATCH_EXTRA_DATA"]) / "photos" / "camera_photos").glob("*.jpg")):
        with Image.open(path) as jpeg:
            width, height = jpeg.size
            scale = next((n for n in (8, 4, 2) if min(height, width) >= 256 * n), 1)
            whole = pdq(np.asarray(jpeg.convert("RGB")))
        with Image.open(path) as jpeg:
            jpeg.draft("L", (width // scale, height // scale))
            small = np.asarray(jpeg.convert("L"))
        if whole.quality >= 50:
            distances.append(distance(pdq_from_grey(small, height, width).hashes[0], whole.hashes[0]))
    assert len(distances) > 10
    assert max(distances) <= 6


@pytest.mark.parametrize("shape", [(100, 100), (50, 51), (50, 50, 3), (12, 12)])
def test_a_picture_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        BadInput, match=r"is no grey picture of 100 x 102 pixels scaled by 1, 1/2, 1/4 or 1/8; scale by"
    ):
        pdq_from_grey(np.zeros(shape, np.uint8), 102, 100)


def test_shorter_than_five_pixels_is_zero() -> None:
    result = pdq_from_grey(np.full((2, 50), 9, np.uint8), 4, 100)
    assert not result.hashes.any()
    assert result.quality == 0
