"""What was found, whether it is what there is to find, and how much of it.

Theory of operation
-------------------
The truth is a flat scan's answer. An exact system must give every pair of query and row within the radius, once, with
its distance; one that is limited to the nearest so many must give those, equal distances in row order, and say that it
left some out. A system that only knows the k nearest is given the benefit of the doubt: what lies outside the radius is
not held against it, what it leaves out lowers its recall.

What this module deliberately does not do: it searches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Found:
    """Pairs of query and row, in any order.

    ``query``, ``row``, ``distance`` : int64, shape (pairs,). ``cut``: whether more was within reach of a query, for
    systems that limit what they report.
    """

    query: Numbers
    row: Numbers
    distance: Numbers
    cut: bool = False

    def __len__(self) -> int:
        return len(self.row)

    def where(self, kept: npt.NDArray[Any]) -> Found:
        """Pick pairs, by a mask or by their places."""
        return Found(self.query[kept], self.row[kept], self.distance[kept], self.cut)

    def ordered(self) -> Found:
        """Sort by query, distance, row."""
        return self.where(np.lexsort((self.row, self.distance, self.query)))

    def nearest(self, queries: int, limit: int) -> Found:
        """Keep the ``limit`` nearest of each of ``queries`` queries, and note whether one had more."""
        ordered = self.ordered()
        per_query = np.bincount(ordered.query, minlength=queries)
        starts = np.cumsum(per_query) - per_query
        kept = np.arange(len(ordered)) - starts[ordered.query] < limit
        return replace(ordered.where(kept), cut=bool((per_query > limit).any()))

    def within(self, radius: int) -> Found:
        """Keep what is within ``radius``, inclusive, and not a placeholder for "nothing" (row -1)."""
        return self.where((self.distance <= radius) & (self.row >= 0))


def recall(truth: Found, found: Found) -> float:
    """Share of the true pairs that were found, 1 when there are none."""
    if not len(truth):
        return 1.0
    pairs = np.intersect1d(_keys(truth), _keys(found), assume_unique=False)
    return len(pairs) / len(truth)


def difference(truth: Found, found: Found, limit: int | None, queries: int) -> str | None:
    """Say how an exact system's answer departs from the truth; None when it does not.

    ``limit`` is the most that the system reports per query; None for no limit.
    """
    expected = truth.ordered() if limit is None else truth.nearest(queries, limit)
    given = found.ordered()
    if len(given) != len(expected):
        return f"{len(given)} pairs instead of {len(expected)}"
    for what in ("query", "row", "distance"):
        wrong = np.flatnonzero(getattr(given, what) != getattr(expected, what))
        if len(wrong):
            at = int(wrong[0])
            pair = f"query {expected.query[at]}, row {expected.row[at]}, distance {expected.distance[at]}"
            return f"{len(wrong)} pairs with another {what}, first: {pair}"
    if found.cut != expected.cut:
        return f"it says that it left {'something' if found.cut else 'nothing'} out, which is wrong"
    return None


def _keys(found: Found) -> Numbers:
    return found.query << 40 | found.row
