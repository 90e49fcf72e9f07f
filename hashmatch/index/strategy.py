"""What a search over one column of codes looks like, whoever does the work.

Theory of operation
-------------------
A column of perceptual codes is searched by Hamming distance, a column of digests by equality. Several strategies can
answer the same question over the same bytes; ``search.py`` chooses one per column, and every one runs the contract
suite in tests/contract/test_search.py against the naive twin in tests/oracle/search.py.

Which rows count (tombstones, sets that the caller may see) is part of the question: a strategy asks it of the few rows
within reach, before it keeps the nearest, so no filter can cost recall.

What this module deliberately does not do: strategies know rows and who owns them, not what an entry or a set is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hashmatch.index.columns import Bytes, Ordinals
from hashmatch.kernels._block import Block
from hashmatch.kernels.multi_index import COUNTING


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows of a column count.

    ``owners`` : uint32, shape (n,), entry of each row. ``sets`` : uint32, shape (entries,), set of each entry.
    ``dead`` : uint32, shape (tombstones,), ascending, entries that no longer count. ``allowed`` : uint8, shape (sets,),
    1 for those that the caller may see, or shape (0,) when all are.
    """

    owners: Ordinals
    sets: Ordinals
    dead: Ordinals
    allowed: Bytes
    _block: Block | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def block(self) -> Block:
        """Addresses of the arrays, for the kernels; made when first asked for, since few strategies ask."""
        made = self._block
        if made is None:
            made = Block(COUNTING, owners=self.owners, sets=self.sets, dead=self.dead, allowed=self.allowed)
            object.__setattr__(self, "_block", made)
        return made

    def keeps(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of ``rows`` count."""
        owners = self.owners[rows]
        kept = np.ones(len(rows), dtype=np.bool_)
        if len(self.dead):
            places = np.minimum(np.searchsorted(self.dead, owners), len(self.dead) - 1)
            kept = self.dead[places] != owners
        if len(self.allowed):
            kept &= self.allowed[self.sets[owners]] != 0
        return kept


@dataclass(frozen=True, slots=True)
class RowHits:
    """Rows within reach of queries, one per (query, row), in no promised order.

    ``query`` : int64, shape (h,), index of the query. ``row`` : int64, shape (h,), row of the column. ``distance`` :
    int64, shape (h,), in bits. ``cut`` : bool, whether a query had more rows within reach than were asked for.
    """

    query: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    distance: npt.NDArray[np.int64]
    cut: bool = False

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def none(cls) -> RowHits:
        """Nothing found."""
        return _NOTHING

    @classmethod
    def join(cls, parts: Sequence[RowHits]) -> RowHits:
        """Put the hits of different queries together."""
        if not parts:
            return cls.none()
        return cls(
            np.concatenate([part.query for part in parts]),
            np.concatenate([part.row for part in parts]),
            np.concatenate([part.distance for part in parts]),
            any(part.cut for part in parts),
        )

    def counting(self, rows: RowFilter, max_rows: int) -> RowHits:
        """Of the rows that count, keep the ``max_rows`` nearest of each query; of equally near ones the lower."""
        kept = rows.keeps(self.row)
        query, row, distance = self.query[kept], self.row[kept], self.distance[kept]
        if len(query) <= max_rows:
            return RowHits(query, row, distance, self.cut)
        order = np.lexsort((row, distance, query))
        query, row, distance = query[order], row[order], distance[order]
        near = np.arange(len(query)) - np.searchsorted(query, query, side="left") < max_rows
        return RowHits(query[near], row[near], distance[near], self.cut or not bool(near.all()))


_NO_ROWS = np.empty(0, dtype=np.int64)
_NOTHING = RowHits(_NO_ROWS, _NO_ROWS, _NO_ROWS)


class HammingSearch(Protocol):
    """Search by Hamming distance. Thread-safe; releases the GIL for the scan."""

    def range(self, queries: Bytes, max_distance: int, rows: RowFilter, max_rows: int) -> RowHits:
        """Of the rows that count within ``max_distance`` bits, inclusive, return the ``max_rows`` nearest per query.

        ``queries`` : uint8, shape (m, bytes), C order, read-only ok. Of equally near rows the lower ones are kept. A
        negative distance finds nothing.
        """

    def nearest(self, queries: Bytes, k: int) -> RowHits:
        """Return the ``min(k, rows)`` nearest rows of each query; of equally distant rows the lower ones."""


class DigestSearch(Protocol):
    """Search by equality. Thread-safe."""

    def equal(self, queries: Bytes, rows: RowFilter, max_rows: int) -> RowHits:
        """Return the first ``max_rows`` rows that count and equal each query, at distance 0.

        ``queries`` : uint8, shape (m, bytes).
        """
