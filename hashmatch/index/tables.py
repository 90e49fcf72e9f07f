"""The tables of a column: every row, sorted once per chunk of 16 bits.

Theory of operation
-------------------
The codes are cut into columns once, one for each chunk; then one column after the other is sorted into its table, in
memory (:func:`build_tables`) or through one table's worth of it (:func:`chunk_tables`), as a segment is written.

What this module deliberately does not do: it searches nothing (``multi.py``) and writes no file (``build.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hashmatch.index.columns import Bytes, Keys, Ordinals
from hashmatch.index.plan import key_bits_for, table_shapes
from hashmatch.kernels import chunks, tables
from hashmatch.kernels._lines import LINE_WORDS
from hashmatch.kernels.chunks import CHUNK_BITS, permutation

_SCATTER: dict[int, Keys] = {}


@dataclass(frozen=True, slots=True)
class Tables:
    """What :func:`hashmatch.kernels.tables.sort_groups` wrote for every chunk.

    ``offsets`` : uint32, shape (m, 2 ** key_bits + 1). ``filters`` : uint16, shape (m, n + PAD). ``rows`` : uint32,
    shape (m, n + PAD). Read-only ok.
    """

    offsets: Ordinals
    filters: npt.NDArray[np.uint16]
    rows: Ordinals

    @property
    def key_bits(self) -> int:
        """Bits of a chunk that choose the bucket."""
        return int(self.offsets.shape[1] - 1).bit_length() - 1

    @property
    def size_bytes(self) -> int:
        """Memory of all three."""
        return self.offsets.nbytes + self.filters.nbytes + self.rows.nbytes


class _Builder:
    """Builds one table after the other; holds the codes in columns and room to sort: 40 bytes per PDQ row in all."""

    def __init__(self, codes: Bytes) -> None:
        n, size_bytes = codes.shape
        self._key_bits = key_bits_for(n)
        blocks = -(-n // tables.BLOCK_ROWS)
        columns = np.empty((8 * size_bytes // CHUNK_BITS, blocks * tables.BLOCK_ROWS), dtype=np.uint16)
        tables.cut_columns(
            codes.view(np.uint64),
            np.arange(8 * size_bytes),
            permutation(8 * size_bytes),
            np.empty(8 * size_bytes * LINE_WORDS, dtype=np.uint64),
            columns.view(np.uint64),
        )
        self._columns = columns[:, :n]
        groups = min(tables.GROUPS, 2**self._key_bits)
        self._bounds = np.empty(groups, dtype=np.uint64), np.empty(groups, dtype=np.uint64)
        room = groups * tables.BUFFER_WORDS
        self._buffers, self._packed = whole_lines(room), whole_lines(n + room)
        self._places = np.empty(2**self._key_bits // groups, dtype=np.uint64)

    def build(self, chunk: int, offsets: Ordinals, filters: npt.NDArray[np.uint16], rows: Ordinals) -> None:
        """Write the table of ``chunk`` into the three arrays, each of one dimension."""
        column, following = self._columns[chunk], self._columns[(chunk + 1) % len(self._columns)]
        tables.group_rows(column, following, self._key_bits, *self._bounds, self._buffers, self._packed)
        tables.sort_groups(self._packed, *self._bounds, self._places, offsets, filters, rows)


def whole_lines(words: int) -> Keys:
    """Return so many words, uninitialized, the first of which begins a cache line."""
    room = np.empty(words + LINE_WORDS - 1, dtype=np.uint64)
    skipped = -room.ctypes.data // room.itemsize % LINE_WORDS
    return room[skipped : skipped + words]


def empty_tables(codes: Bytes, count: int) -> Tables:
    """Return arrays for the tables of ``count`` chunks."""
    shapes = table_shapes(*codes.shape)
    return Tables(
        np.empty((count, shapes.offsets[1]), dtype=np.uint32),
        np.empty((count, shapes.filters[1]), dtype=np.uint16),
        np.empty((count, shapes.rows[1]), dtype=np.uint32),
    )


def chunk_tables(codes: Bytes) -> Iterator[Tables]:
    """Build the tables of a column one chunk at a time, each with a first dimension of 1; the arrays are used again.

    Parameters
    ----------
    codes : uint8, shape (n, bytes), C order, 8-byte aligned, read-only ok
        bytes a multiple of 8; n < 2 ** 32.

    """
    builder, table = _Builder(codes), empty_tables(codes, 1)
    for chunk in range(table_shapes(*codes.shape).offsets[0]):
        builder.build(chunk, table.offsets[0], table.filters[0], table.rows[0])
        yield table


def build_tables(codes: Bytes) -> Tables:
    """Build the tables of a column in memory; see :func:`chunk_tables`."""
    builder, built = _Builder(codes), empty_tables(codes, table_shapes(*codes.shape).offsets[0])
    for chunk in range(len(built.offsets)):
        builder.build(chunk, built.offsets[chunk], built.filters[chunk], built.rows[chunk])
    return built


def scatter_table(bits: int) -> Keys:
    """Return the table that reorders the bits of codes of this length; made once."""
    if bits not in _SCATTER:
        _SCATTER[bits] = chunks.scatter_table(bits)
    return _SCATTER[bits]
