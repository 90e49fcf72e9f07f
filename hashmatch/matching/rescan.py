"""Which of the hashes that somebody kept match entries that are new: the look in the other direction.

Theory of operation
-------------------
A platform keeps the hashes of what it was asked about, and the generation of its last look. A :class:`Rescan` holds
them against the entries that changed since: added, replaced, disputed, reinstated. What is found is weighed by the same
policy, at the same distances, as an upload would be; allow sets speak as ever, old entries of them too. Of a picture
that meets no new entry nothing is said, but that it was looked at. An item that is not valid is a result with a reason.

Each batch is answered from the generation that is current then, so that a withdrawal counts at once however long a
rescan takes. What is new follows from one number in the index: no catalog is asked, and memory does not depend on how
many hashes come by.

What this module deliberately does not do: it does not look at changes of a set's mode. Whoever enforces a set that was
in shadow rescans that set from the beginning, generation 0.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from hashmatch.config import PolicyConfig
from hashmatch.errors import BadInput
from hashmatch.hashing.algorithms import digest_names
from hashmatch.matching import policy as rules
from hashmatch.matching.given import HashedItem, check_hashes, quality_of
from hashmatch.matching.modes import allows, mode_of
from hashmatch.matching.policy import Evidence
from hashmatch.matching.searching import Scope, Searches, search
from hashmatch.model import Found, MatchReport, Query, Rejected, RescanAnswer, SetMode


class Newer(Searches, Protocol):
    """Finds hashes of entries that are new since some generation."""

    everything: bool
    """Nothing is known of that generation, so all entries count as new."""


class Index(Searches, Protocol):
    """What a rescan needs of the whole index besides."""

    def modes(self) -> Mapping[str, SetMode]:
        """Modes of the sets in the current generation, by name."""

    def values(self, sets: frozenset[str] | None) -> Mapping[str, int]:
        """Count the values in these sets that a query of each algorithm could hit."""


@dataclass(frozen=True, slots=True)
class _Item:
    """One valid item; ``queries`` begin at ``first`` among those of its batch."""

    item: HashedItem
    queries: tuple[Query, ...]
    first: int


class Rescan:
    """One rescan. One thread at a time.

    Parameters
    ----------
    newer, index
        What is new, and everything.
    policy
        As for uploads.
    sets
        Names of the sets to search; None for all.
    max_hits
        In one report.
    now
        The time of a report.

    """

    def __init__(
        self,
        newer: Newer,
        index: Index,
        policy: PolicyConfig,
        *,
        sets: frozenset[str] | None,
        max_hits: int,
        now: Callable[[], dt.datetime],
    ) -> None:
        self._newer = newer
        self._index = index
        self._policy = policy
        self._sets = sets
        self._max_hits = max_hits
        self._now = now
        self._digests = frozenset(digest_names())
        self._position = 0

    def __repr__(self) -> str:
        return f"<Rescan of {self._newer!r}: {self._position} items>"

    def answer(self, items: Sequence[HashedItem]) -> RescanAnswer:
        """Look at the next items; blocks.

        Raises
        ------
        IndexNotLoaded
            There is nothing to search yet.
        SetNotFound
            A name in ``sets`` is not a set of the current generation.

        """
        rejected, checked = list[Rejected](), list[_Item]()
        asked: list[Query] = []
        values = self._index.values(self._sets)
        for position, item in enumerate(items, self._position):
            try:
                check_hashes(item, "item")
            except BadInput as error:
                rejected.append(Rejected(position, error.field or "", error.message))
                continue
            queries = rules.queries_for_given(item.hashes, self._policy, self._digests, values)
            checked.append(_Item(item, queries, len(asked)))
            asked += queries
        self._position += len(items)
        modes = self._index.modes()
        result = search(self._newer, asked, Scope(self._sets, modes, self._max_hits), self._policy)
        found: dict[int, list[Found]] = {}
        for hit in result.found:
            found.setdefault(hit.query, []).append(hit)
        reports = []
        for one in checked:
            mine = [
                replace(hit, query=number)
                for number in range(len(one.queries))
                for hit in found.get(one.first + number, ())
            ]
            if any(not allows(hit.entry, self._policy) for hit in mine):
                mine += self._allowed(one.queries, modes)
                report = self._report(one, tuple(mine), values, result.generation)
                reports.append(replace(report, truncated=result.truncated))
        return RescanAnswer(
            result.generation, self._newer.everything, len(checked), tuple(reports), tuple(rejected)
        )  # fmt: skip

    def _allowed(self, queries: Sequence[Query], modes: Mapping[str, SetMode]) -> Sequence[Found]:
        """Return what the allow sets hold within reach, whenever it came."""
        names = frozenset(
            name
            for name, mode in modes.items()
            if mode_of(name, mode, self._policy) is SetMode.ALLOW and (self._sets is None or name in self._sets)
        )
        return self._index.search(queries, sets=names, max_hits=self._max_hits).found if names else ()

    def _report(
        self, one: _Item, found: tuple[Found, ...], values: Mapping[str, int], generation: str
    ) -> MatchReport:  # fmt: skip
        quality = quality_of(one.item)
        evidence = Evidence(queries=one.queries, found=found, quality=quality, values=values)
        decision = rules.decide(evidence, self._policy, max_hits=self._max_hits)
        return rules.reported(
            decision,
            request_id=one.item.request_id,
            generation=generation,
            created_at=self._now(),
            quality=quality,
        )
