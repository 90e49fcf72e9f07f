"""The tables of a column: every row, sorted once per chunk of 16 bits.

Theory of operation
-------------------
The codes' bits are reordered once; then one chunk after the other is cut from them and sorted into its table, in memory
(:func:`build_tables`) or through one table's worth of it (:func:`chunk_tables`), which is how a segment is written.

What this module deliberately does not do: it searches nothing (``multi.py``) and writes no file (``build.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hashmatch.index.columns import Bytes, Keys, Ordinals
from hashmatch.index.plan import WORD_BYTES, key_bits_for, table_shapes
from hashmatch.kernels import chunks

_SCATTER: dict[int, Keys] = {}


@dataclass(frozen=True, slots=True)
class Tables:
    """What :func:`hashmatch.kernels.chunks.build_chunk` wrote for every chunk.

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
    """Builds the table of one chunk after another; holds the reordered codes and room to sort, 44 bytes per PDQ row."""

    def __init__(self, codes: Bytes) -> None:
        n, size_bytes = codes.shape
        self._key_bits = key_bits_for(n)
        self._permuted = np.empty((n, size_bytes // WORD_BYTES), dtype=np.uint64)
        chunks.permute(codes, scatter_table(8 * size_bytes), self._permuted)
        self._cut = (np.empty(n, dtype=np.uint16), np.empty(n, dtype=np.uint16))
        self._sorting = (np.empty(n, dtype=np.uint16), np.empty(n, dtype=np.uint16), np.empty(n, dtype=np.uint32))

    def build(self, chunk: int, offsets: Ordinals, filters: npt.NDArray[np.uint16], rows: Ordinals) -> None:
        """Write the table of ``chunk`` into the three arrays, each of one dimension."""
        keys, words = self._cut
        sorting_keys, sorting_words, sorting_rows = self._sorting
        chunks.cut(self._permuted, chunk, self._key_bits, keys, words)
        chunks.build_chunk(
            keys, words, self._key_bits, sorting_keys, sorting_words, sorting_rows, offsets, filters, rows
        )


def _empty_tables(codes: Bytes, count: int) -> Tables:
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
    codes : uint8, shape (n, bytes), C order, read-only ok
        bytes a multiple of 8; n < 2 ** 32.

    """
    builder, table = _Builder(codes), _empty_tables(codes, 1)
    for chunk in range(table_shapes(*codes.shape).offsets[0]):
        builder.build(chunk, table.offsets[0], table.filters[0], table.rows[0])
        yield table


def build_tables(codes: Bytes) -> Tables:
    """Build the tables of a column in memory; see :func:`chunk_tables`."""
    builder, tables = _Builder(codes), _empty_tables(codes, table_shapes(*codes.shape).offsets[0])
    for chunk in range(len(tables.offsets)):
        builder.build(chunk, tables.offsets[chunk], tables.filters[chunk], tables.rows[chunk])
    return tables


def scatter_table(bits: int) -> Keys:
    """Return the table that reorders the bits of codes of this length; made once."""
    if bits not in _SCATTER:
        _SCATTER[bits] = chunks.scatter_table(bits)
    return _SCATTER[bits]
