"""The slow, obvious twin of everything in ``hashmatch.index``: dictionaries and bit strings, nothing shared with it.

A column is a list of ``bytes``; an index is a dictionary from (set, entry id) to what is known of the entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hashmatch.model import Algorithm, AlgorithmKind, Change, Entry, EntryStatus, HashSet, Query


def distance(a: bytes, b: bytes) -> int:
    """Bits in which two values differ."""
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def within(queries: Sequence[bytes], column: Sequence[bytes], max_distance: int) -> set[tuple[int, int, int]]:
    """``(query, row, distance)`` of every row within ``max_distance``, inclusive."""
    return {
        (q, row, distance(query, code))
        for q, query in enumerate(queries)
        for row, code in enumerate(column)
        if distance(query, code) <= max_distance
    }


def nearest(queries: Sequence[bytes], column: Sequence[bytes], k: int) -> set[tuple[int, int, int]]:
    """``(query, row, distance)`` of the k nearest rows of each query; of equally distant rows the lower ones."""
    chosen = set()
    for q, query in enumerate(queries):
        ranked = sorted((distance(query, code), row) for row, code in enumerate(column))
        chosen |= {(q, row, bits) for bits, row in ranked[:k]}
    return chosen


Answer = tuple[int, int, str, str, str, EntryStatus, int, str, str]
"""Query number, distance, algorithm, set name, entry id, entry status, set version, set mode, view."""


@dataclass(slots=True)
class NaiveIndex:
    """The live index as a dictionary."""

    algorithms: Mapping[str, Algorithm]
    sets: dict[str, HashSet]
    entries: dict[tuple[str, str], Entry]

    def apply(self, changes: Iterable[Change]) -> None:
        """Take over the state that each change tells."""
        for change in changes:
            self.sets[change.hash_set.set_id] = change.hash_set
            if change.entry is not None:
                self.entries[change.hash_set.set_id, change.entry.entry_id] = change.entry

    def search(self, queries: Sequence[Query], sets: frozenset[str] | None) -> list[Answer]:
        """Everything within reach, nearest first; per query and entry the nearest value."""
        answers = []
        for number, query in enumerate(queries):
            for (set_id, entry_id), entry in self.entries.items():
                owner = self.sets[set_id]
                if entry.status is EntryStatus.WITHDRAWN or (sets is not None and owner.name not in sets):
                    continue
                reached = self._reached(query, entry)
                if reached:
                    bits, _, algorithm, view = min(reached)
                    about = (owner.name, entry_id, entry.status, owner.version, owner.mode.value, view)
                    answers.append((number, bits, algorithm, *about))
        return sorted(answers, key=lambda a: (a[1], a[3], a[4], a[0]))

    def _reached(self, query: Query, entry: Entry) -> list[tuple[int, int, str, str]]:
        asked = self.algorithms[query.algorithm]
        allowed = query.max_distance if asked.kind is AlgorithmKind.PERCEPTUAL else min(query.max_distance, 0)
        return [
            (distance(query.value, value.value), position, value.algorithm, value.view)
            for position, value in enumerate(entry.hashes)
            if self.algorithms[value.algorithm].space == asked.space and distance(query.value, value.value) <= allowed
        ]
