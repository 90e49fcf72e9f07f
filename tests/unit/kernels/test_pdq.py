"""The public face of the PDQ kernels: shapes, strides, refusals, and the dialects' special cases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hashmatch.errors import BadInput
from hashmatch.hashing.patterns import KINDS, Pixels, picture
from hashmatch.kernels import _pdq_filter
from hashmatch.kernels.pdq import DIHEDRAL_NAMES, PdqHashes, pdq, pdq_nearest512
from tests.oracle import pdq as twin

Dialect = Callable[[Pixels], PdqHashes]
both_dialects = pytest.mark.parametrize("dialect", [pdq, pdq_nearest512])


def texts(result: PdqHashes) -> list[str]:
    return [row.tobytes().hex() for row in result.hashes]


def test_names_follow_the_reference() -> None:
    assert DIHEDRAL_NAMES == ("orig", "rot90", "rot180", "rot270", "flipx", "flipy", "flipplus", "flipminus")


@both_dialects
def test_result_is_eight_rows_of_bytes_and_an_int(dialect: Dialect) -> None:
    result = dialect(picture("cells", 100, 150, 3))
    assert result.hashes.shape == (8, 32)
    assert result.hashes.dtype == np.uint8
    assert type(result.quality) is int
    assert [int(np.unpackbits(row).sum()) for row in result.hashes] == [128] * 8


@both_dialects
@pytest.mark.parametrize("shape", [(4, 100), (100, 4), (1, 1), (4, 4, 3), (0, 0), (0, 9, 3), (600, 0, 3)])
def test_shorter_than_five_pixels_is_zero(dialect: Dialect, shape: tuple[int, ...]) -> None:
    result = dialect(np.full(shape, 77, np.uint8))
    assert texts(result) == ["0" * 64] * 8
    assert result.quality == 0


def test_nearest512_stretches_a_thin_picture_and_so_can_hash_it() -> None:
    thin = picture("cells", 4, 600, 3, size=2)
    assert pdq(thin).quality == 0
    assert pdq_nearest512(thin).quality > 0
    assert texts(pdq_nearest512(thin)) == twin.pdq_nearest512(thin)[0]


@both_dialects
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((9, 9), np.float32), "pixels must be a uint8 array, not float32; convert 16-bit and float pictures"),
        (np.zeros((9, 9, 3), np.uint16), "pixels must be a uint8 array, not uint16; convert"),
        ([[1, 2], [3, 4]], "pixels must be a uint8 array, not list; convert"),
        (np.zeros(9, np.uint8), r"pixels must have shape \(h, w\) or \(h, w, 3\), not \(9,\); drop alpha"),
        (np.zeros((9, 9, 4), np.uint8), r"not \(9, 9, 4\); drop alpha and other channels"),
        (np.zeros((9, 9, 1), np.uint8), r"not \(9, 9, 1\); drop alpha and other channels"),
        (np.zeros((2, 9, 9, 3), np.uint8), r"not \(2, 9, 9, 3\); drop alpha and other channels"),
    ],
)
def test_other_arrays_are_refused_with_what_to_do(dialect: Dialect, bad: Pixels, message: str) -> None:
    with pytest.raises(BadInput, match=f"^(.*){message}"):
        dialect(bad)


@both_dialects
@pytest.mark.parametrize("channels", [1, 3])
def test_strides_and_write_protection_do_not_matter(dialect: Dialect, channels: int) -> None:
    pixels = picture("cells", 130, 70, channels)
    expected = texts(dialect(pixels))
    protected = pixels.copy()
    protected.flags.writeable = False
    assert texts(dialect(protected)) == expected
    assert texts(dialect(np.frombuffer(pixels.tobytes(), np.uint8).reshape(pixels.shape))) == expected
    assert texts(dialect(np.asfortranarray(pixels))) == expected
    assert texts(dialect(np.repeat(pixels, 2, axis=1)[:, ::2])) == expected
    assert texts(dialect(pixels[::-1].copy()[::-1])) == expected


@both_dialects
def test_the_picture_is_not_changed(dialect: Dialect) -> None:
    pixels = picture("noise", 64, 64, 3)
    before = pixels.copy()
    dialect(pixels)
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_grey_is_three_equal_channels_for_pdq(kind: str) -> None:
    grey = picture(kind, 101, 140, 1)
    colour = np.stack([grey] * 3, axis=2)
    assert texts(pdq(grey)) == texts(pdq(colour))
    assert pdq(grey).quality == pdq(colour).quality


def test_grey_is_not_quite_three_equal_channels_for_nearest512() -> None:
    """0.299f + 0.587f + 0.114f is not 1, so equal channels do not sum to the grey value."""
    assert twin.luma_single(np.full((1, 1, 3), 15, np.uint8))[0, 0] != np.float32(15)
    grey = picture("mirrored", 101, 140, 1)
    colour = np.stack([grey] * 3, axis=2)
    assert texts(pdq_nearest512(grey)) == twin.pdq_nearest512(grey)[0]
    assert texts(pdq_nearest512(colour)) == twin.pdq_nearest512(colour)[0]
    assert texts(pdq_nearest512(grey)) != texts(pdq_nearest512(colour))


def test_the_dialects_agree_on_a_small_picture_without_ties() -> None:
    pixels = picture("cells", 300, 200, 3, size=13)
    assert texts(pdq(pixels)) == texts(pdq_nearest512(pixels))


@pytest.mark.parametrize(("height", "width"), [(513, 512), (512, 513), (700, 20), (20, 700)])
def test_one_long_side_is_enough_for_nearest512_to_resize(height: int, width: int) -> None:
    pixels = picture("cells", height, width, 3, size=5)
    small = twin.nearest512(pixels)
    assert small.shape == (512, 512, 3)
    assert texts(pdq_nearest512(pixels)) == texts(pdq_nearest512(small))


def test_threads_share_nothing() -> None:
    pictures = [picture("cells", 200 + 10 * n, 333, 3, size=7 + n) for n in range(6)]
    alone = [texts(pdq(pixels)) for pixels in pictures]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            assert [texts(result) for result in pool.map(pdq, pictures)] == alone


def test_luma_by_whole_thousandths_is_the_sum_in_float64_for_every_colour() -> None:
    """All 16,777,216 of them, row by row of the colour cube."""
    green, blue = np.meshgrid(np.arange(256.0), np.arange(256.0), indexing="ij")
    plane = np.stack([green, green, blue], axis=2).astype(np.uint8)
    out = np.empty(plane.shape[0] * plane.shape[1], np.float32)
    for red in range(256):
        plane[:, :, 0] = red
        _pdq_filter.luma(plane.reshape(-1), True, out)  # noqa: FBT003  (kernels take positions)
        expected = (np.float64(red) * 0.299 + green * 0.587 + blue * 0.114).astype(np.float32)
        assert np.array_equal(out, expected.reshape(-1))
