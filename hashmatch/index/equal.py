"""Look up exact values, digests and opaque ones: binary search in a sorted column, or a scan of a short one.

Theory of operation
-------------------
Values are compared by equality and never by distance. A number is kept of each in a column of their own (``keys``): of
a digest its leading 8 bytes, of an opaque value, which need not begin with anything distinctive, one made of all of its
bytes. A segment's rows are sorted by key, so a query is one binary search and a comparison of the few rows that share
its key. The delta's rows are in order of arrival; there, all keys are compared: about 20 µs for 50,000 rows.

What this module deliberately does not do: it does not trust 64 bits. Equal keys are candidates, all bytes decide.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from hashmatch.index.columns import Bytes, Keys, KeysOf, leading_keys
from hashmatch.index.strategy import RowFilter, RowHits

_Rows = npt.NDArray[np.int64]


class SortedDigests:
    """Digests sorted by key.

    Parameters
    ----------
    codes : uint8, shape (n, bytes), read-only ok
    keys : uint64, shape (n,), ascending, read-only ok
        ``keys_of(codes)``.
    keys_of
        What makes the keys, of rows and of queries alike.

    """

    __slots__ = ("_codes", "_keys", "_keys_of")

    def __init__(self, codes: Bytes, keys: Keys, keys_of: KeysOf = leading_keys) -> None:
        self._codes = codes
        self._keys = keys
        self._keys_of = keys_of

    def __repr__(self) -> str:
        return f"<SortedDigests {len(self._keys)} rows>"

    def equal(self, queries: Bytes, rows: RowFilter, max_rows: int) -> RowHits:
        """Return the first ``max_rows`` rows that count and equal each query, at distance 0."""
        wanted = self._keys_of(queries)
        first = np.searchsorted(self._keys, wanted, side="left")
        last = np.searchsorted(self._keys, wanted, side="right")
        near = np.flatnonzero(last > first)
        found = _verified(self._codes, queries, ((int(q), np.arange(first[q], last[q])) for q in near))
        return found.counting(rows, max_rows)


class ScannedDigests:
    """Digests in any order.

    Parameters
    ----------
    codes : uint8, shape (n, bytes), read-only ok
    keys : uint64, shape (n,), read-only ok
        ``keys_of(codes)``.
    keys_of
        What makes the keys, of rows and of queries alike.

    """

    __slots__ = ("_codes", "_keys", "_keys_of")

    def __init__(self, codes: Bytes, keys: Keys, keys_of: KeysOf = leading_keys) -> None:
        self._codes = codes
        self._keys = keys
        self._keys_of = keys_of

    def __repr__(self) -> str:
        return f"<ScannedDigests {len(self._keys)} rows>"

    def equal(self, queries: Bytes, rows: RowFilter, max_rows: int) -> RowHits:
        """Return the first ``max_rows`` rows that count and equal each query, at distance 0."""
        wanted = self._keys_of(queries)
        candidates = ((q, np.flatnonzero(self._keys == key)) for q, key in enumerate(wanted))
        return _verified(self._codes, queries, candidates).counting(rows, max_rows)


def _verified(codes: Bytes, queries: Bytes, candidates: Iterator[tuple[int, _Rows]]) -> RowHits:
    """Keep the candidates that are equal in every byte."""
    numbers: list[_Rows] = []
    rows: list[_Rows] = []
    for query, near in candidates:
        if len(near):
            same = near[(codes[near] == queries[query]).all(axis=1)]
            rows.append(same)
            numbers.append(np.full(len(same), query, dtype=np.int64))
    if not rows:
        return RowHits.none()
    found = np.concatenate(rows)
    return RowHits(np.concatenate(numbers), found, np.zeros(len(found), dtype=np.int64))
