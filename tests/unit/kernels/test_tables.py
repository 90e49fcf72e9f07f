"""Building the tables: equal to the twin on every shape of list, and the parts that the kernels are made of."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from hashmatch.index.plan import key_bits_for
from hashmatch.index.tables import Tables, build_tables, chunk_tables
from hashmatch.kernels import chunks, tables
from hashmatch.kernels._jit import kernel, readonly, uint64, void, writable
from hashmatch.kernels._lines import LINE_WORDS, exchange_bits, write_past
from tests.oracle import tables as naive

Codes = npt.NDArray[np.uint8]


def uniform(rows: int, size_bytes: int) -> Codes:
    return np.random.default_rng(rows).integers(0, 256, (rows, size_bytes), dtype=np.uint8)


def identical(rows: int, size_bytes: int) -> Codes:
    return np.tile(uniform(1, size_bytes), (rows, 1))


def ordered(rows: int, size_bytes: int) -> Codes:
    codes = uniform(rows, size_bytes)
    return np.ascontiguousarray(codes[np.lexsort(codes.T)])


def few(rows: int, size_bytes: int) -> Codes:
    """Five codes, each many times."""
    return uniform(5, size_bytes)[np.random.default_rng(rows).integers(0, 5, rows)]


def late_crowd(rows: int, size_bytes: int) -> Codes:
    """Three quarters of the rows nearly all ones: the last group of every chunk is larger than all before it."""
    codes = uniform(rows, size_bytes)
    codes[rows // 4 :] |= np.roll(codes, 1, axis=1)[rows // 4 :] | np.roll(codes, 3, axis=1)[rows // 4 :]
    codes[rows // 4 :] |= np.uint8(0xFE)
    return codes


def assert_equal_to_twin(codes: Codes, built: Tables) -> None:
    order, key_bits = chunks.permutation(8 * codes.shape[1]), key_bits_for(len(codes))
    assert built.key_bits == key_bits
    assert len(built.offsets) == codes.shape[1] // 2
    for number, (offsets, words, rows) in enumerate(naive.tables(codes, order, key_bits)):
        assert np.array_equal(built.offsets[number], offsets)
        assert np.array_equal(built.filters[number, : len(codes)], words)
        assert np.array_equal(built.rows[number, : len(codes)], rows)
        assert not built.filters[number, len(codes) :].any()
        assert not built.rows[number, len(codes) :].any()


@pytest.mark.parametrize("make", [uniform, identical, ordered, few, late_crowd])
@pytest.mark.parametrize("size_bytes", [8, 32, 64])
def test_tables_are_those_of_the_twin(make: Callable[[int, int], Codes], size_bytes: int) -> None:
    for rows in (0, 1, 2, 33, 511, 512, 513, 2049):
        codes = make(rows, size_bytes)
        assert_equal_to_twin(codes, build_tables(codes))


@pytest.mark.parametrize("make", [uniform, identical, late_crowd])
def test_tables_with_the_longest_keys_are_those_of_the_twin(make: Callable[[int, int], Codes]) -> None:
    codes = make(2**19 + 17, 8)
    assert key_bits_for(len(codes)) == chunks.CHUNK_BITS
    assert_equal_to_twin(codes, build_tables(codes))


def test_one_table_after_the_other_is_the_same_as_all_at_once() -> None:
    codes = uniform(3000, 32)
    codes.flags.writeable = False
    whole = build_tables(codes)
    for number, table in enumerate(chunk_tables(codes)):
        for name in ("offsets", "filters", "rows"):
            assert np.array_equal(getattr(table, name)[0], getattr(whole, name)[number])


def test_building_takes_forty_bytes_per_pdq_row() -> None:
    codes = uniform(40_000, 32)
    table = next(chunk_tables(codes))
    tracemalloc.start()
    for _ in chunk_tables(codes):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    scratch = peak - table.size_bytes
    assert 40 * len(codes) < scratch < 40 * len(codes) + 400_000


def test_columns_hold_the_chunks_of_the_reordered_codes() -> None:
    codes = uniform(700, 32)
    order = chunks.permutation(256)
    columns = np.empty((16, 2 * tables.BLOCK_ROWS), dtype=np.uint16)
    lines = np.empty(256 * LINE_WORDS, dtype=np.uint64)
    tables.cut_columns(codes.view(np.uint64), np.arange(256), order, lines, columns.view(np.uint64))
    bits = np.unpackbits(codes, axis=1, bitorder="little")[:, order]
    for chunk, column in enumerate(columns):
        assert np.array_equal(column[:700], naive.number(bits[:, 16 * chunk : 16 * chunk + 16]))


def test_groups_begin_at_whole_lines_and_keep_the_order_of_rows() -> None:
    column = np.array([0x0301, 0x0302, 0x0001, 0x0300, 0x0002], dtype=np.uint16)
    following = np.arange(10, 15, dtype=np.uint16)
    begins, ends = np.empty(256, dtype=np.uint64), np.empty(256, dtype=np.uint64)
    buffers = np.empty(tables.BUFFER_WORDS * 256, dtype=np.uint64)
    packed = np.empty(5 + tables.BUFFER_WORDS * 256, dtype=np.uint64)
    tables.group_rows(column, following, 16, begins, ends, buffers, packed)
    assert begins[:5].tolist() == [0, 32, 32, 32, 64]
    assert ends[:5].tolist() == [2, 32, 32, 35, 64]
    found = [packed[int(begin) : int(end)] for begin, end in ((0, 2), (32, 35))]
    assert [[int(item) & 0xFFFF for item in group] for group in found] == [[1, 2], [1, 2, 0]]
    assert [[int(item) >> 16 & 0xFFFF for item in group] for group in found] == [[12, 14], [10, 11, 13]]
    assert [[int(item) >> 32 for item in group] for group in found] == [[2, 4], [0, 1, 3]]


@kernel(void, writable(uint64), uint64, uint64, uint64, uint64)
def exchange(array: npt.NDArray[np.uint64], low: int, high: int, shift: int, mask: int) -> None:
    exchange_bits(array, low, high, shift, mask)


@kernel(void, writable(uint64), uint64, readonly(uint64), uint64)
def copy(target: npt.NDArray[np.uint64], to: int, source: npt.NDArray[np.uint64], start: int) -> None:
    write_past(target, to, source, start)


def test_bits_are_exchanged_between_eight_pairs_of_words() -> None:
    words = np.random.default_rng(1).integers(0, 2**63, 20, dtype=np.uint64)
    expected = words.copy()
    shift, mask = 8, 0x00FF_00FF_00FF_00FF
    for word in range(8):
        low, high = int(words[1 + word]), int(words[11 + word])
        expected[1 + word] = low & mask | (high & mask) << shift
        expected[11 + word] = high & ~mask & 2**64 - 1 | low >> shift & mask
    exchange(words, 1, 11, shift, mask)
    assert np.array_equal(words, expected)


@pytest.mark.parametrize("to", [0, 3, 8])
def test_eight_words_are_written_wherever_a_line_begins(to: int) -> None:
    source, target = np.arange(100, 120, dtype=np.uint64), np.zeros(16, dtype=np.uint64)
    copy(target, to, source, 5)
    assert target.tolist() == [0] * to + list(range(105, 113)) + [0] * (8 - to)
