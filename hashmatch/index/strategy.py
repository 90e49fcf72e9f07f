"""What a search over one column of codes looks like, whoever does the work.

Theory of operation
-------------------
A column of perceptual codes is searched by Hamming distance, a column of digests by equality. Several strategies can
answer the same question over the same bytes; ``search.py`` chooses one per column, and every one runs the contract
suite in tests/contract/test_search.py against the naive twin in tests/oracle/search.py.

What this module deliberately does not do: strategies know rows, not entries, sets or tombstones. Filtering happens on
the few rows they return.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hashmatch.index.columns import Bytes


@dataclass(frozen=True, slots=True)
class RowHits:
    """Rows within reach of queries, one per (query, row), in no promised order.

    ``query`` : int64, shape (h,), index of the query.
    ``row`` : int64, shape (h,), row of the column.
    ``distance`` : int64, shape (h,), in bits.
    """

    query: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    distance: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def none(cls) -> RowHits:
        """Nothing found."""
        empty = np.empty(0, dtype=np.int64)
        return cls(empty, empty, empty)


class HammingSearch(Protocol):
    """Search by Hamming distance. Thread-safe; releases the GIL for the scan."""

    def range(self, queries: Bytes, max_distance: int) -> RowHits:
        """Every row within ``max_distance`` bits, inclusive, of each query.

        ``queries`` : uint8, shape (m, bytes), C order, read-only ok. A negative distance finds nothing.
        """

    def nearest(self, queries: Bytes, k: int) -> RowHits:
        """Return the ``min(k, rows)`` nearest rows of each query; of equally distant rows the lower ones."""


class DigestSearch(Protocol):
    """Search by equality. Thread-safe."""

    def equal(self, queries: Bytes) -> RowHits:
        """Every row equal to each query, at distance 0; ``queries`` : uint8, shape (m, bytes)."""
