"""Search through tables of 16-bit chunks: exact, and by orders of magnitude faster than comparing every code.

Theory of operation
-------------------
``tables.py`` sorts the rows once per chunk; :class:`MultiIndexSearch` asks these tables with the plan for the radius at
hand, or lets the flat strategy answer where the plan says that a scan is cheaper: small columns, wide radii, k-NN.
The kernels read the codes where FAISS reads them, in the mapped file; the tables are columns of the same file.

A call needs room for its probes and for its result. The room belongs to the calling thread and is used again, with the
plan and the addresses of the tables written into it: the next call for the same distance looks it up, enters the kernel
with three arguments, and allocates nothing unless something is found.

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
from hashmatch.kernels import multi_index
from hashmatch.kernels._block import Block

_PASSED: Final = 4_096
"""Rows that passed a filter and wait to be measured together; 32 kB."""
_PLANS_KEPT: Final = 8
"""Distances that a thread keeps room for; a policy asks for two or three."""
Planner = Callable[[int, int, int, int], Plan | None]


class Call:
    """A plan for one column with room to carry it out, used again by a thread for every call of the same kind.

    ``words`` is the kernel's block of addresses, ``room`` the arrays that they lead to.
    """

    __slots__ = ("capacity", "room", "words")

    def __init__(self, codes: Keys, tables: Tables, chosen: Plan, *, capacity: int, max_rows: int) -> None:
        m, words = len(chosen.thresholds), codes.shape[1]
        self.capacity = capacity
        block = Block(
            multi_index.CALL,
            codes=codes,
            scatter=scatter_table(64 * words),
            offsets=tables.offsets,
            filters=tables.filters,
            rows=tables.rows,
            thresholds=chosen.thresholds,
            masks=chosen.masks,
            ends=chosen.ends,
            limits=np.array([chosen.radius, chosen.budget, tables.key_bits], dtype=np.int64),
            asked=np.empty((capacity, words), dtype=np.uint64),
            permuted=np.empty(words, dtype=np.uint64),
            keys=np.empty((capacity, m), dtype=np.uint16),
            halves=np.empty((capacity, m), dtype=np.uint16),
            heaps=np.empty((capacity, max_rows), dtype=np.int64),
            held=np.empty(capacity, dtype=np.int64),
            cut=np.empty(capacity, dtype=np.int64),
            buckets=np.empty(2 * len(chosen.masks), dtype=np.uint64),
            passed=np.empty(_PASSED, dtype=np.int64),
            spent=np.empty(capacity + 1, dtype=np.int64),
            found=np.empty((3, capacity * max_rows), dtype=np.int64),
        )
        self.words, self.room = block.words, block.arrays

    def answer(self, total: int) -> RowHits:
        """Copy the first ``total`` hits out of the room that the next call will use."""
        found = self.room["found"][:, :total].copy()
        return RowHits(found[0], found[1], found[2], bool(self.room["spent"][-1]))


class _Calls(threading.local):
    """A thread's calls, by distance and number of rows."""

    def __init__(self) -> None:
        self.made: dict[tuple[int, int], Call] = {}


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

    __slots__ = ("_calls", "_choose", "_codes", "_flat", "_tables")

    def __init__(self, codes: Bytes, tables: Tables, *, choose: Planner = plan) -> None:
        self._choose = choose
        self._codes = codes
        self._tables = tables
        self._calls = _Calls()
        self._flat = FlatSearch(codes)

    def __repr__(self) -> str:
        rows, size_bytes = self._codes.shape
        return f"<MultiIndexSearch {rows} rows of {8 * size_bytes} bits, {self._tables.key_bits}-bit keys>"

    def range(self, queries: Bytes, max_distance: int, rows: RowFilter, max_rows: int) -> RowHits:
        """Of the rows that count within ``max_distance`` bits, inclusive, return the ``max_rows`` nearest per query."""
        if not queries.flags.c_contiguous:
            queries = np.ascontiguousarray(queries)
        call = self._calls.made.get((max_distance, max_rows))
        if call is None or call.capacity < len(queries):
            call = self._prepared(len(queries), max_distance, max_rows)
            if call is None:
                return self._flat.range(queries, max_distance, rows, max_rows)
        total = multi_index.search(queries, call.words, rows.block.words)
        return call.answer(total) if total else RowHits.none()

    def nearest(self, queries: Bytes, k: int) -> RowHits:
        """Return the ``min(k, rows)`` nearest rows of each query; of equally distant rows the lower ones."""
        return self._flat.nearest(queries, k)

    def _prepared(self, count: int, max_distance: int, max_rows: int) -> Call | None:
        """Make room for ``count`` queries or more; None where a scan is better, or where there is nothing to find."""
        n, bits = len(self._codes), 8 * self._codes.shape[1]
        if not count or max_distance < 0 or max_rows < 1:
            return None
        chosen = self._choose(bits, self._tables.key_bits, n, min(max_distance, bits))
        if chosen is None:
            return None
        made = self._calls.made
        if len(made) >= _PLANS_KEPT:
            made.clear()
        call = Call(self._codes.view(np.uint64), self._tables, chosen, capacity=count, max_rows=min(max_rows, n))
        made[max_distance, max_rows] = call
        return call
