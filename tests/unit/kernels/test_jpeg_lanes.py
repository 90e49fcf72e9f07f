"""Each vector function of the JPEG decoder in a kernel against the same function in NumPy, bit for bit."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hashmatch.kernels import _jpeg_lanes as lanes
from hashmatch.kernels import _jpeg_tables as tables
from hashmatch.kernels._jit import group, int32, int64, kernel, readonly, uint8, uint64, void, writable
from hashmatch.kernels._jpeg_codes import LARGEST_SUM, NATURAL, next_marker
from hashmatch.kernels._jpeg_cosine import Whole, inverse_cosines

Pixels = lanes.Pixels


@kernel(uint64, readonly(uint8), int64)
def word(data: Pixels, at: int) -> np.uint64:
    return lanes.big_word(data, at)


@kernel(int64, readonly(uint8), int64)
def unmarked(data: Pixels, at: int) -> int:
    return lanes.unmarked(data, at)


@kernel(int64, readonly(uint8), int64, writable(uint8), int64)
def copied(data: Pixels, at: int, out: Pixels, to: int) -> int:
    return lanes.copied(data, at, out, to)


@kernel(
    *(int64, writable(int32), int64, readonly(int32, 2), int64, int64, writable(uint8, 3), group(int64, int64)),
)
def inverse(  # noqa: PLR0917  (kernels take positions)
    coefficients: Whole, place: int, quantisers: Whole, kind: int, count: int,
    out: Pixels, to: tuple[int, int],
) -> int:  # fmt: skip
    return inverse_cosines(coefficients, place, quantisers, kind, count, out, to)


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
        assert unmarked(marked, 10) == lanes.unmarked(marked, 10) == wanted
        assert copied(marked, 10, fast, 20) == lanes.copied(marked, 10, slow, 20) == wanted
        assert np.array_equal(fast, slow)
        assert np.array_equal(fast[20:52], marked[10:42])


@pytest.mark.parametrize(("kinds", "count"), [(1, 1), (1, 64), (3, 10), (10, 10), (11, 11), (5, 64), (64, 64)])
def test_blocks_are_transformed_alike(kinds: int, count: int) -> None:
    rng = np.random.default_rng(kinds)
    for _ in range(200):
        coefficients, quantisers = np.zeros((10, 2, 8), np.int32), rng.integers(0, 256, (3, 8, 2, 8), dtype=np.int32)
        for half in range(2):
            rows, columns = np.divmod(NATURAL[rng.choice(count, kinds, replace=False)], 8)
            most = LARGEST_SUM // kinds // np.maximum(quantisers[2, rows, half, columns], 1)
            coefficients[1 + rows, half, columns] = rng.integers(-most, most + 1)
        other, magnitude = coefficients.copy(), np.abs(coefficients[1:9] * quantisers[2]).sum(axis=(0, 2)).max()
        fast, slow = np.full((2, 2, 20, 30), 7, np.uint8)
        to = (9 * 30 + 11, 20 * 30 + 3 * 30 + 2)
        factors = quantisers.reshape(3, -1)
        assert inverse(coefficients.reshape(-1), 16, factors, 2, count, fast, to) == magnitude
        assert inverse_cosines(other.reshape(-1), 16, factors, 2, count, slow, to) == magnitude
        assert np.array_equal(fast, slow)
        assert not coefficients.any()
        assert not other.any()
        fast[0, 9:17, 11:19] = fast[1, 3:11, 2:10] = 7
        assert (fast == 7).all(), "nothing was written beside the blocks"


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


def test_a_pair_of_codes_is_what_two_single_ones_are() -> None:
    """Of every eleven bits: the places and values that the table of single codes has, as far as it knows the bits."""
    table, pairs = np.zeros(tables.TABLE, np.int32), np.zeros(1 << tables.PAIR_LOOK, np.int64)
    lengths = np.array([0, 2, 1, 2, 3, 1, 2, 4, *[0] * 8], np.uint8)
    symbols = np.array(
        [0x01, 0x02, 0x00, 0x11, 0x03, 0x12, 0xF0, 0x21, 0x04, 0x05, 0x31, 0x41, 0x0A, 0xF1, 0x81], np.uint8
    )
    assert tables.fill_table(lengths, np.pad(symbols, (0, 241)), True, table)  # noqa: FBT003  (kernels take positions)
    tables.fill_pairs(table, pairs)
    seen = set()
    for bits, item in enumerate(pairs.tolist()):
        values: list[tuple[int, int]] = []
        last, used, ends = 0, 0, False
        while len(values) < 3 and not ends:
            single = int(table[(bits << used & 0x7FF) >> (tables.PAIR_LOOK - tables.LOOK)])
            ends = single >> 8 & 127 == tables.END_OF_BLOCK
            if not single or single & tables.PARTIAL or used + (single & 255) > tables.PAIR_LOOK:
                ends = False
                break
            if len(values) == 2 and not ends:
                break
            used += single & 255
            if not ends:
                last += single >> 8 & 127
                values.append((last, single >> 16))
        seen.add((len(values), ends))
        if not used:
            assert item == tables.NO_PAIR
            continue
        assert (item & 255, item >> 20 & 63, bool(item & tables.PAIR_ENDS)) == (used, last, ends)
        written = [(item >> 8 & 63, (item >> 32 & 0xFFFF ^ 0x8000) - 0x8000), (item >> 14 & 63, item >> 48)]
        wanted = values or [(1, 0)]  # a zero that is there anyway
        assert written == [wanted[0], wanted[-1]]
    assert seen == {(0, False), (0, True), (1, False), (1, True), (2, False), (2, True)}


def test_the_next_marker_is_the_one_that_a_pattern_finds() -> None:
    pattern = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
    rng = np.random.default_rng(1)
    bytes_ = np.array([0xFF, 0x00, 0xD0, 0xD7, 0xD8, 0xD9, 0xCF, 0x0A], np.uint8)
    for length in (*range(40), 63, 64, 65, 200):
        for share in (0.4, 0.02):
            data = rng.choice(bytes_, length, p=[share, *[(1 - share) / 7] * 7])
            for at in (0, length // 2, length):
                found = pattern.search(data.tobytes(), at)
                assert next_marker(data, at) == (found.end() if found else -1)
