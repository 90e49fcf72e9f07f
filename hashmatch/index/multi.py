"""Search through tables of 16-bit chunks: exact, and by orders of magnitude faster than comparing every code.

Theory of operation
-------------------
:func:`chunk_tables` sorts the rows once per chunk; :class:`MultiIndexSearch` asks them with the plan for the radius at
hand, or lets the flat strategy answer where the plan says that a scan is cheaper: small columns, wide radii, k-NN.
The kernels read the codes where FAISS reads them, in the mapped file; the tables are columns of the same file.

A call needs scratch space for its probes, and arrays for its result. The scratch belongs to the calling thread and is
used again, so a search allocates nothing that grows with the list.

What this module deliberately does not do: it plans nothing (``plan.py``) and measures nothing (``kernels``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.index.columns import Bytes, Keys, Ordinals
from hashmatch.index.flat import FlatSearch
from hashmatch.index.plan import WORD_BYTES, Plan, key_bits_for, plan, table_shapes
from hashmatch.index.strategy import RowFilter, RowHits
from hashmatch.kernels import chunks, multi_index

_PASSED: Final = 4_096
"""Rows that passed a filter and wait to be measured together; 32 kB."""
Planner = Callable[[int, int, int, int], Plan | None]
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


class _Scratch(threading.local):
    """Arrays that a thread uses again for calls of the same shape; what they are is said in the kernel."""

    def __init__(self) -> None:
        self._shape: tuple[int, int, int, int, int] | None = None

    def fit(self, count: int, words: int, max_rows: int, chosen: Plan) -> None:
        """Make the arrays for ``count`` queries of ``words`` 64-bit words."""
        m, probes = len(chosen.thresholds), len(chosen.masks)
        shape = (count, words, max_rows, m, probes)
        if shape == self._shape:
            return
        self._shape = shape
        self.permuted = np.empty((count, words), dtype=np.uint64)
        self.keys = np.empty((m, count), dtype=np.uint16)
        self.words = np.empty((m, count), dtype=np.uint16)
        self.best = (
            np.empty((count, max_rows), dtype=np.int64),
            np.empty(count, dtype=np.int64),
            np.empty(count, dtype=np.int64),
        )
        self.scratch = (
            np.empty(4 * probes, dtype=np.uint64),
            np.empty(_PASSED, dtype=np.int64),
            np.empty(count + 1, dtype=np.int64),
        )
        self.found = np.empty((3, count * max_rows), dtype=np.int64)


class MultiIndexSearch:
    """Ask the tables of one column.

    Parameters
    ----------
    codes : uint8, shape (n, bytes), C order, 8-byte aligned, read-only ok
        Not copied.
    tables
        Of these codes.
    choose
        Plans a search from (bits, key bits, rows, radius); None means: scan.

    """

    __slots__ = ("_choose", "_codes", "_column", "_flat", "_key_bits", "_scatter", "_scratch", "_tables", "_words")

    def __init__(self, codes: Bytes, tables: Tables, *, choose: Planner = plan) -> None:
        self._choose = choose
        self._codes = codes
        self._words: Keys = codes.view(np.uint64)
        self._tables = (tables.offsets, tables.filters, tables.rows)
        self._key_bits = tables.key_bits
        self._scatter = scatter_table(8 * codes.shape[1])
        self._column = (self._words, self._scatter)
        self._scratch = _Scratch()
        self._flat = FlatSearch(codes)

    def __repr__(self) -> str:
        rows, size_bytes = self._codes.shape
        return f"<MultiIndexSearch {rows} rows of {8 * size_bytes} bits, {self._key_bits}-bit keys>"

    def range(self, queries: Bytes, max_distance: int, rows: RowFilter, max_rows: int) -> RowHits:
        """Of the rows that count within ``max_distance`` bits, inclusive, return the ``max_rows`` nearest per query."""
        if not len(queries) or max_distance < 0:
            return RowHits.none()
        n, bits = len(self._codes), 8 * self._codes.shape[1]
        chosen = self._choose(bits, self._key_bits, n, min(max_distance, bits))
        if chosen is None:
            return self._flat.range(queries, max_distance, rows, max_rows)
        return self._through_tables(queries, chosen, rows, min(max_rows, n))

    def nearest(self, queries: Bytes, k: int) -> RowHits:
        """Return the ``min(k, rows)`` nearest rows of each query; of equally distant rows the lower ones."""
        return self._flat.nearest(queries, k)

    def _through_tables(self, queries: Bytes, chosen: Plan, rows: RowFilter, max_rows: int) -> RowHits:
        queries = np.ascontiguousarray(queries)
        own = self._scratch
        own.fit(len(queries), self._words.shape[1], max_rows, chosen)
        chunks.prepare(queries, self._scatter, self._key_bits, own.permuted, own.keys, own.words)
        total = multi_index.search(
            (queries.view(np.uint64), own.keys, own.words),
            self._column,
            self._tables,
            (chosen.thresholds, chosen.masks, chosen.ends),
            chosen.radius,
            chosen.budget,
            (rows.owners, rows.sets, rows.dead, rows.allowed),
            own.best,
            own.scratch,
            own.found,
        )
        if not total:
            return RowHits.none()
        query, row, distance = own.found[:, :total].copy()
        return RowHits(query, row, distance, bool(own.scratch[2][-1]))
