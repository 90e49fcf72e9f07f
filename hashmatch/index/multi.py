"""Search through tables of 16-bit chunks: exact, and by orders of magnitude faster than comparing every code.

Theory of operation
-------------------
``tables.py`` sorts the rows once per chunk; :class:`MultiIndexSearch` asks these tables with the plan for the radius at
hand, or lets the flat strategy answer where the plan says that a scan is cheaper: small columns, wide radii, k-NN.
The kernels read the codes where FAISS reads them, in the mapped file; the tables are columns of the same file.

A call needs scratch space for its probes, and arrays for its result. The scratch belongs to the calling thread and is
used again, so a search allocates nothing that grows with the list.

What this module deliberately does not do: it plans nothing (``plan.py``) and measures nothing (``kernels``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import numpy as np

from hashmatch.index.columns import Bytes, Keys
from hashmatch.index.flat import FlatSearch
from hashmatch.index.plan import Plan, plan
from hashmatch.index.strategy import RowFilter, RowHits
from hashmatch.index.tables import Tables, scatter_table
from hashmatch.kernels import chunks, multi_index

_PASSED: Final = 4_096
"""Rows that passed a filter and wait to be measured together; 32 kB."""
Planner = Callable[[int, int, int, int], Plan | None]


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
