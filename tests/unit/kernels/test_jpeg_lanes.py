"""Each vector function of the JPEG decoder in a kernel against the same function in NumPy, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from hashmatch.kernels import _jpeg_lanes as lanes
from hashmatch.kernels._jit import group, int32, int64, kernel, readonly, uint8, uint64, void, writable
from hashmatch.kernels._jpeg_codes import LARGEST_SUM, NATURAL

Pixels = lanes.Pixels


@kernel(uint64, readonly(uint8), int64)
def word(data: Pixels, at: int) -> np.uint64:
    return lanes.big_word(data, at)


@kernel(int64, readonly(uint8), int64, writable(uint8), int64)
def copied(data: Pixels, at: int, out: Pixels, to: int) -> int:
    return lanes.copied(data, at, out, to)


@kernel(void, writable(int32), int64, writable(uint8, 2), int64, int64)
def inverse(coefficients: lanes.Whole, count: int, out: Pixels, row: int, column: int) -> None:
    lanes.inverse_cosine(coefficients, count, out, row, column)


@kernel(void, *[readonly(uint8, 2)] * 3, group(int64, int64, int64), group(int64, int64), int64, writable(uint8), int64)
def coloured(  # noqa: PLR0917  (kernels take positions)
    luma: Pixels, blue: Pixels, red: Pixels, rows: tuple[int, int, int], places: tuple[int, int],
    fine: int, out: Pixels, to: int,
) -> None:  # fmt: skip
    lanes.colours(luma, blue, red, rows, places, fine, out, to)


def test_bytes_are_loaded_and_copied_up_to_a_marker() -> None:
    data = np.random.default_rng(1).integers(0, 255, 90, dtype=np.uint8)
    assert int(word(data, 3)) == int(lanes.big_word(data, 3)) == int.from_bytes(data[3:11].tobytes(), "big")
    for at in (None, 0, 7, 31):
        marked = data.copy()
        if at is not None:
            marked[[10 + at, 60]] = lanes.MARK
        fast, slow = np.zeros((2, 90), np.uint8)
        wanted = lanes.PIXELS if at is None else at
        assert copied(marked, 10, fast, 20) == lanes.copied(marked, 10, slow, 20) == wanted
        assert np.array_equal(fast, slow)
        assert np.array_equal(fast[20:52], marked[10:42])


@pytest.mark.parametrize(("kinds", "count"), [(1, 1), (1, 64), (3, 10), (10, 10), (11, 11), (5, 64), (64, 64)])
def test_blocks_are_transformed_alike(kinds: int, count: int) -> None:
    rng = np.random.default_rng(kinds)
    for _ in range(200):
        coefficients = np.zeros(64, np.int32)
        some = NATURAL[rng.choice(count, kinds, replace=False)]
        coefficients[some] = rng.integers(-LARGEST_SUM // kinds, LARGEST_SUM // kinds + 1, kinds)
        other = coefficients.copy()
        fast, slow = np.full((2, 20, 30), 7, np.uint8)
        inverse(coefficients, count, fast, 9, 11)
        lanes.inverse_cosine(other, count, slow, 9, 11)
        assert np.array_equal(fast, slow)
        assert not coefficients.any()
        assert not other.any()
        fast[9:17, 11:19] = 7
        assert (fast == 7).all(), "nothing was written beside the block"


@pytest.mark.parametrize("fine", [0, 1, lanes.NOT_HALVED])
def test_colours_are_enlarged_and_converted_alike(fine: int) -> None:
    rng = np.random.default_rng(fine)
    for edge in (0, 128, 255):
        luma, blue, red = rng.integers(0, 256, (3, 3, 70), dtype=np.uint8)
        blue[1, :20] = edge
        red[:, 15:40] = 255 - edge
        fast, slow = np.zeros((2, 200), np.uint8)
        rows = (2, 1, 0 if fine == 0 else 1)
        coloured(luma, blue, red, rows, (5, 9), fine, fast, 50)
        lanes.colours(luma, blue, red, rows, (5, 9), fine, slow, 50)
        assert np.array_equal(fast, slow)
        assert not fast[:50].any()
        assert not fast[146:].any()
