"""Which of many hashes are near each other: groups, and stars inside them.

Theory of operation
-------------------
Two rows are *near* when they differ in at most ``max_distance`` bits. A *group* is a connected component of that: no
pair of near rows is ever apart, and in exchange a chain may bring rows together that are far from each other. So each
group is cut into *stars*: the first row that is in none becomes a representative, and every other row belongs to the
nearest representative, which is within ``max_distance``; any two rows of a star are within twice that. The caller says
by the order of the rows who represents.

Pairs come from the index's own search, exact at every size: tables from :data:`hashmatch.index.plan.LEAST_ROWS` on, a
scan below. A row with more neighbours than :data:`_MOST` is measured against all rows once more, so that no list of
near-duplicates costs recall. Memory: the tables (100 bytes a row) and one batch of pairs.

What this module deliberately does not do: it knows no picture and no host.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.index.columns import Bytes
from hashmatch.index.plan import is_indexed
from hashmatch.index.search import hamming_search
from hashmatch.index.strategy import RowFilter
from hashmatch.index.tables import build_tables

Rows = npt.NDArray[np.int64]

_BATCH: Final = 256
"""Queries of one search."""

_MOST: Final = 1_024
"""Neighbours that a search returns; 6 MB of room for a batch."""

_BLOCK: Final = 1 << 16
"""Rows that are measured at once, where one is measured against all: 2 MB of differences."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """Where each row belongs.

    ``group`` : int64, shape (n,), the lowest row of its group. ``star`` : int64, shape (n,), the row that represents
    it; its own where it represents. ``distance`` : int64, shape (n,), bits from that.
    """

    group: Rows
    star: Rows
    distance: Rows


def grouped(codes: Bytes, max_distance: int) -> Grouped:
    """Group rows by distance.

    Parameters
    ----------
    codes : uint8, shape (n, bytes), C order, 8-byte aligned
        bytes a multiple of 8. Of equal rows none is left out. An earlier row represents rather than a later one.
    max_distance : int
        Bits, inclusive.

    """
    group = _components(codes, max_distance)
    rows = np.arange(len(codes), dtype=np.int64)
    star, distance = rows.copy(), np.zeros(len(codes), dtype=np.int64)
    order = np.argsort(group, kind="stable")
    ends = np.flatnonzero(np.diff(group[order])) + 1
    for members in np.split(order, ends):
        if len(members) > 1:
            star[members], distance[members] = _stars(codes, members, max_distance)
    return Grouped(group, star, distance)


def distances(codes: Bytes, row: int, among: Rows | None = None) -> Rows:
    """Return the bits in which a row differs from all, or from those named."""
    words = codes.view(np.uint64)
    total = len(words) if among is None else len(among)
    measured = np.empty(total, dtype=np.int64)
    for begin in range(0, total, _BLOCK):
        part = words[begin : begin + _BLOCK] if among is None else words[among[begin : begin + _BLOCK]]
        measured[begin : begin + _BLOCK] = np.bitwise_count(part ^ words[row]).sum(axis=1)
    return measured


def _components(codes: Bytes, max_distance: int) -> Rows:
    """Return the lowest row of each row's component; the forest's roots are always the lowest rows of their trees."""
    parent = np.arange(len(codes), dtype=np.int64)
    for first, second in _pairs(codes, max_distance):
        roots_a, roots_b = _roots(parent, first), _roots(parent, second)
        apart = roots_a != roots_b
        for a, b in zip(roots_a[apart].tolist(), roots_b[apart].tolist(), strict=True):
            _join(parent, a, b)
    return _roots(parent, np.arange(len(codes), dtype=np.int64))


def _roots(parent: Rows, rows: Rows) -> Rows:
    """Follow many rows to their roots at once."""
    found = parent[rows]
    while True:
        above = parent[found]
        if np.array_equal(above, found):
            parent[rows] = found
            return found
        found = above


def _join(parent: Rows, a: int, b: int) -> None:
    a, b = _root(parent, a), _root(parent, b)
    if a != b:
        parent[max(a, b)] = min(a, b)


def _root(parent: Rows, row: int) -> int:
    while (above := int(parent[row])) != row:
        parent[row] = parent[above]
        row = above
    return row


def _pairs(codes: Bytes, max_distance: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield every pair of near rows at least once, a batch at a time."""
    if len(codes) < 2:  # noqa: PLR2004 - a pair is two
        return
    tables = build_tables(codes) if is_indexed(*codes.shape) else None
    search = hamming_search(codes, tables)
    every_row = RowFilter(
        owners=np.zeros(len(codes), dtype=np.uint32),
        sets=np.zeros(1, dtype=np.uint32),
        dead=np.zeros(0, dtype=np.uint32),
        allowed=np.zeros(0, dtype=np.uint8),
    )
    most = min(_MOST, len(codes))
    for begin in range(0, len(codes), _BATCH):
        hits = search.range(codes[begin : begin + _BATCH], max_distance, every_row, most)
        yield hits.query + begin, hits.row
        if hits.cut:
            for query in np.flatnonzero(np.bincount(hits.query) == most).tolist():
                near = np.flatnonzero(distances(codes, begin + query) <= max_distance)
                yield np.full(len(near), begin + query, dtype=np.int64), near


def _stars(codes: Bytes, members: Rows, max_distance: int) -> tuple[Rows, Rows]:
    """Cut one group, whose rows ascend, into stars."""
    star = np.full(len(members), -1, dtype=np.int64)
    nearest = np.full(len(members), np.iinfo(np.int64).max, dtype=np.int64)
    for place, row in enumerate(members.tolist()):
        if star[place] >= 0:
            continue
        measured = distances(codes, row, members)
        nearer = (measured <= max_distance) & (measured < nearest)
        star[nearer], nearest[nearer] = row, measured[nearer]
    return star, nearest
