"""Searching so that what decides nothing cannot crowd out what does.

Theory of operation
-------------------
An index answers with the nearest entries only, ``max_hits`` of each query. Where it cut its answer short, entries of
shadow and allow sets, or quarantined ones, may stand in front of one that would give a verdict. So the sets that decide
are searched once more by themselves, and where quarantined entries are among what is found there, further than before.

Who asks at one time shares a search (:func:`search_each`): to begin one costs as much as several queries. A query's
answer does not depend on what else is asked, so each gets what it would get alone; one that met as many entries as are
kept may have met more, and is searched for again, alone.

What this module deliberately does not do: it weighs nothing; the policy does.
"""

from __future__ import annotations

import bisect
import collections
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from hashmatch.config import PolicyConfig
from hashmatch.matching.modes import enforced
from hashmatch.model import EntryStatus, Found, Query, SearchResult, SetMode

MORE: Final = 8
"""How many times more is asked for where quarantined entries are in the way: three turns see 51,200 of them."""


class Searches(Protocol):
    """Finds known hashes, from one whole generation."""

    def search(self, queries: Sequence[Query], *, sets: frozenset[str] | None, max_hits: int) -> SearchResult:
        """Return what is within reach, nearest first, ``max_hits`` entries per query at most. Raises IndexNotLoaded."""


@dataclasses.dataclass(frozen=True, slots=True)
class Scope:
    """Where to look and how many to keep: ``sets`` None means all of ``modes``, which names every set."""

    sets: frozenset[str] | None
    modes: Mapping[str, SetMode]
    max_hits: int


def search(index: Searches, queries: Sequence[Query], scope: Scope, policy: PolicyConfig) -> SearchResult:
    """Find what is within reach; what decides is cut short only by what decides.

    Raises
    ------
    IndexNotLoaded
        There is nothing to search yet.

    """
    result = index.search(queries, sets=scope.sets, max_hits=scope.max_hits)
    if not result.truncated:
        return result
    names = scope.modes.keys() if scope.sets is None else scope.sets
    deciding = frozenset(name for name in names if enforced(name, scope.modes[name], policy))
    if len(deciding) == len(names) and not _quarantined(result):
        return result
    max_hits = scope.max_hits
    while True:
        rest = index.search(queries, sets=deciding, max_hits=max_hits)
        if not (rest.truncated and _quarantined(rest)):
            return dataclasses.replace(rest, found=rest.found + result.found, truncated=True)
        max_hits *= MORE


def search_each(
    index: Searches, asked: Sequence[Sequence[Query]], scope: Scope, policy: PolicyConfig
) -> list[SearchResult]:
    """Find what is within reach of the queries of each who asks, as :func:`search` does; results come in their order.

    Raises
    ------
    IndexNotLoaded
        There is nothing to search yet.

    """
    if len(asked) == 1:
        return [search(index, asked[0], scope, policy)]
    begins = list(itertools.accumulate((len(queries) for queries in asked), initial=0))
    result = index.search(list(itertools.chain.from_iterable(asked)), sets=scope.sets, max_hits=scope.max_hits)
    met = by_asker(result.found, begins)
    again = crowded(met, scope.max_hits) if result.truncated else frozenset[int]()
    return [
        search(index, queries, scope, policy)
        if number in again
        else SearchResult(result.generation, tuple(met.get(number, ())), truncated=False)
        for number, queries in enumerate(asked)
    ]


def by_asker(found: Sequence[Found], begins: Sequence[int]) -> dict[int, list[Found]]:
    """Return what each who asks met, in the order of ``found``, its queries numbered from its own first.

    ``begins`` says where the queries of each begin, and where the last ones end.
    """
    met: dict[int, list[Found]] = {}
    for item in found:
        number = bisect.bisect_right(begins, item.query) - 1  # who asks nothing begins where the next one does
        met.setdefault(number, []).append(dataclasses.replace(item, query=item.query - begins[number]))
    return met


def crowded(met: Mapping[int, Sequence[Found]], max_hits: int) -> frozenset[int]:
    """Return who has a query that met as many entries as are kept of it."""
    return frozenset(
        number
        for number, found in met.items()
        if max(collections.Counter(item.query for item in found).values()) >= max_hits
    )


def _quarantined(result: SearchResult) -> bool:
    return any(found.entry.status is EntryStatus.QUARANTINED for found in result.found)
