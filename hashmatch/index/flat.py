"""Compare a query with every code: FAISS kernels on the column as it lies in the file.

Theory of operation
-------------------
``hamming_range_search`` and ``hammings_knn_hc`` are the functions that ``faiss.IndexBinaryFlat`` calls. They take
pointers, so a memory-mapped column is searched in place: no copy, no index object that could be asked to add or remove
(which aborts or crashes on mapped storage). See docs/adr/0005-segments.md for the traps of the alternatives.

Two things are easy to get wrong and are pinned by tests. FAISS's range is strict, ours is inclusive: the radius passed
on is ``max_distance + 1``. And FAISS spreads one call over all cores with OpenMP, which costs tenfold under concurrent
load; OpenMP's thread count belongs to the *calling thread*, so it is set on every call, not once at import.

What this module deliberately does not do: no index structure. Time is proportional to rows times queries, about 1 ms
per query for a million 256-bit codes.
"""

from __future__ import annotations

from dataclasses import replace

import faiss
import numpy as np

from hashmatch.index.columns import Bytes
from hashmatch.index.strategy import RowFilter, RowHits

MAX_CANDIDATES = 1 << 20
"""Bound on queries times rows in one call, so that a list that holds one hash a million times costs 0.2 GB, not 4."""


class FlatSearch:
    """Scan all rows of one column.

    Parameters
    ----------
    codes : uint8, shape (n, bytes), C order, read-only ok
        Not copied; any number of bytes per code.

    """

    __slots__ = ("_codes",)

    def __init__(self, codes: Bytes) -> None:
        self._codes = codes

    def __repr__(self) -> str:
        rows, size_bytes = self._codes.shape
        return f"<FlatSearch {rows} rows of {8 * size_bytes} bits>"

    def range(self, queries: Bytes, max_distance: int, rows: RowFilter, max_rows: int) -> RowHits:
        """Of the rows that count within ``max_distance`` bits, inclusive, return the ``max_rows`` nearest per query."""
        if not len(self._codes) or not len(queries) or max_distance < 0:
            return RowHits.none()
        step = max(1, MAX_CANDIDATES // len(self._codes))
        parts = []
        for start in range(0, len(queries), step):
            hits = self._within(queries[start : start + step], max_distance).counting(rows, max_rows)
            parts.append(replace(hits, query=hits.query + start))
        return RowHits.join(parts)

    def _within(self, queries: Bytes, max_distance: int) -> RowHits:
        n, size_bytes = self._codes.shape
        m = len(queries)
        strict_radius = min(max_distance, 8 * size_bytes) + 1
        queries = np.ascontiguousarray(queries)
        result = faiss.RangeSearchResult(m)
        faiss.omp_set_num_threads(1)
        faiss.hamming_range_search(  # type: ignore[attr-defined]  # a star import that mypy cannot see
            faiss.swig_ptr(queries), faiss.swig_ptr(self._codes), m, n, strict_radius, size_bytes, result
        )
        limits = faiss.rev_swig_ptr(result.lims, m + 1).astype(np.int64)
        found = int(limits[-1])
        if not found:
            return RowHits.none()
        return RowHits(
            np.repeat(np.arange(m, dtype=np.int64), np.diff(limits)),
            faiss.rev_swig_ptr(result.labels, found).copy(),
            faiss.rev_swig_ptr(result.distances, found).astype(np.int64),
        )

    def nearest(self, queries: Bytes, k: int) -> RowHits:
        """Return the ``min(k, rows)`` nearest rows of each query; of equally distant rows the lower ones."""
        m, k = len(queries), min(k, len(self._codes))
        if not m or k < 1:
            return RowHits.none()
        faiss.omp_set_num_threads(1)
        distances, rows = faiss.knn_hamming(np.ascontiguousarray(queries), self._codes, k)
        return RowHits(np.repeat(np.arange(m, dtype=np.int64), k), rows.ravel(), distances.ravel().astype(np.int64))
