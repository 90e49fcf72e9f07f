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
from hashmatch.index.multi import Call
from hashmatch.index.plan import Plan, is_indexed, plan
from hashmatch.index.search import hamming_search
from hashmatch.index.strategy import HammingSearch, RowFilter
from hashmatch.index.tables import Tables, build_tables
from hashmatch.kernels import multi_index


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
        most = min(self.max_hits, len(self.codes))
        call = Call(self.codes.view(np.uint64), tables, planned, capacity=1, max_rows=most)
        result = (
            np.empty((len(queries), most), np.int64),
            np.empty(len(queries), np.int64),
            np.empty(len(queries), np.int64),
        )
        room = (call.room["heaps"], call.room["held"], call.room["cut"])
        _one_by_one()(queries, call.words, self._every_row.block.words, *room, *result)
        return result


def heaps_found(result: Any, queries: int) -> Found:
    """Pairs of heaps filled by a kernel or by its twin in C."""
    heaps, held, cut = result
    items = heaps[np.arange(heaps.shape[1]) < held[:, None]]
    query = np.repeat(np.arange(queries), held)
    return Found(query, items & multi_index.ROW_MASK, items >> multi_index.ROW_BITS, bool(cut.any()))


@functools.cache
def _one_by_one() -> Any:
    """Compile the loop; not cached on disk, where a change of the kernel would go unnoticed."""
    search = multi_index.search

    @numba.njit(nogil=True)
    def loop(queries, call, counting, heaps, held, cut, all_heaps, all_held, all_cut):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, PLR0917
        for q in range(queries.shape[0]):
            search(queries[q : q + 1], call, counting)
            all_held[q], all_cut[q] = held[0], cut[0]
            for n in range(held[0]):
                all_heaps[q, n] = heaps[0, n]

    return loop
