"""hashmatch's own index over a list of codes, as the bench holds it: the one place that knows how the engine is called.

Theory of operation
-------------------
:class:`Column` builds the tables when they are first asked for, and is shared by everything that reads them: our own
systems, and the C ceiling, which gets their addresses. :meth:`Column.ask` is the engine's public call.
:meth:`Column.ask_each` answers one query after the other inside compiled code, sharing nothing between them: what the
search costs without Python's price for a call.

What this module deliberately does not do: it measures only the build.
"""

from __future__ import annotations

import functools
import time
from typing import Any

import numba
import numpy as np

from hashmatch.bench.answers import Found
from hashmatch.index.columns import Bytes
from hashmatch.index.plan import Plan, is_indexed, plan
from hashmatch.index.search import hamming_search
from hashmatch.index.strategy import HammingSearch, RowFilter
from hashmatch.index.tables import Tables, build_tables, scatter_table
from hashmatch.kernels import chunks, multi_index

PASSED = 4096
"""Items of the kernel's scratch array, as in the engine."""


class Column:
    """A list and, once somebody asks, the tables over it.

    Parameters
    ----------
    codes : uint8, shape (n, 32), C order, 8-byte aligned
    max_hits
        The nearest so many are reported.

    """

    def __init__(self, codes: Bytes, max_hits: int) -> None:
        self.codes = codes
        self.max_hits = max_hits
        self.build_s = 0.0
        self._every_row = RowFilter(
            owners=np.zeros(len(codes), dtype=np.uint32),
            sets=np.zeros(1, dtype=np.uint32),
            dead=np.zeros(0, dtype=np.uint32),
            allowed=np.zeros(0, dtype=np.uint8),
        )

    def __repr__(self) -> str:
        return f"<Column {len(self.codes)} codes, nearest {self.max_hits}>"

    @functools.cached_property
    def tables(self) -> Tables | None:
        """The tables; None for a list that the engine only scans."""
        if not is_indexed(*self.codes.shape):
            return None
        begin = time.perf_counter()
        tables = build_tables(self.codes)
        self.build_s = time.perf_counter() - begin
        return tables

    def memory(self) -> dict[str, int]:
        """Bytes of each part of the index."""
        parts = {"codes": self.codes.nbytes}
        if self.tables is not None:
            parts |= {name: getattr(self.tables, name).nbytes for name in ("offsets", "filters", "rows")}
        return parts | {"all": sum(parts.values())}

    @functools.cached_property
    def _search(self) -> HammingSearch:
        return hamming_search(self.codes, self.tables)

    def plan(self, radius: int) -> Plan | None:
        """How the radius is searched; None for by a scan."""
        if self.tables is None:
            return None
        rows, size_bytes = self.codes.shape
        return plan(8 * size_bytes, self.tables.key_bits, rows, radius)

    def ask(self, queries: Bytes, radius: int) -> object:
        """Call the engine."""
        return self._search.range(queries, radius, self._every_row, self.max_hits)

    def found(self, result: Any, queries: int) -> Found:
        """Pairs of what :meth:`ask` returned."""
        del queries
        return Found(result.query, result.row, result.distance, result.cut)

    def ask_each(self, queries: Bytes, radius: int) -> object:
        """Answer one query after the other inside compiled code; ``plan(radius)`` must not be None."""
        planned, tables = self.plan(radius), self.tables
        assert planned is not None  # noqa: S101 - the caller asked
        assert tables is not None  # noqa: S101
        count, chunk_count, most = len(queries), len(planned.thresholds), min(self.max_hits, len(self.codes))
        words, every = self.codes.view(np.uint64), self._every_row
        prepared = (
            np.empty((1, words.shape[1]), dtype=np.uint64),
            np.empty((chunk_count, 1), dtype=np.uint16),
            np.empty((chunk_count, 1), dtype=np.uint16),
        )
        best = (np.empty((count, most), np.int64), np.empty(count, np.int64), np.empty(count, np.int64))
        scratch = (np.empty(4 * len(planned.masks), np.uint64), np.empty(PASSED, np.int64), np.empty(2, np.int64))
        _one_by_one()(
            queries,
            queries.view(np.uint64),
            prepared,
            (words, scatter_table(8 * self.codes.shape[1])),
            (tables.offsets, tables.filters, tables.rows),
            (planned.thresholds, planned.masks, planned.ends),
            (tables.key_bits, planned.radius, planned.budget),
            (every.owners, every.sets, every.dead, every.allowed),
            best,
            scratch,
            np.empty((3, most), dtype=np.int64),
        )
        return best


def heaps_found(result: Any, queries: int) -> Found:
    """Pairs of heaps filled by a kernel or by its twin in C."""
    heaps, held, cut = result
    items = heaps[np.arange(heaps.shape[1]) < held[:, None]]
    query = np.repeat(np.arange(queries), held)
    return Found(query, items & multi_index.ROW_MASK, items >> multi_index.ROW_BITS, bool(cut.any()))


@functools.cache
def _one_by_one() -> Any:
    """Compile the loop; not cached on disk, where a change of the kernel would go unnoticed."""
    prepare, search = chunks.prepare, multi_index.search

    @numba.njit(nogil=True)
    def loop(codes, words, prepared, column, tables, probing, limits, counting, best, scratch, found):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, PLR0917
        permuted, keys, following = prepared
        heaps, held, cut = best
        for q in range(codes.shape[0]):
            one = slice(q, q + 1)
            prepare(codes[one], column[1], limits[0], permuted, keys, following)
            search(
                (words[one], keys, following), column, tables, probing, limits[1], limits[2], counting,
                (heaps[one], held[one], cut[one]), scratch, found,
            )  # fmt: skip

    return loop
