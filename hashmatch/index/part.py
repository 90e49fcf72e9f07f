"""A part: the read-only columns that a segment and a delta have in common.

Theory of operation
-------------------
An entry is a row of :class:`EntryTable`, addressed by its ordinal. A value of an entry is a row of the
:class:`SpaceRows` of its comparison space: the code itself, the ordinal of the entry that owns it, which algorithm made
it (two PDQ dialects share one space) and of which view of the original. A segment holds these as mapped columns, a
delta as views of growing ones; whoever searches cannot tell the difference.

What this module deliberately does not do: it does not know which rows are tombstones, nor what a set is called.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from hashmatch.index.columns import Bytes, Keys, Ordinals, Texts
from hashmatch.index.strategy import DigestSearch, HammingSearch, RowFilter, RowHits
from hashmatch.model import EntryStatus, Label

STATUSES = (EntryStatus.ACTIVE, EntryStatus.DISPUTED, EntryStatus.QUARANTINED)
"""Statuses by their code in a column. Withdrawn entries have no row."""


@dataclass(frozen=True, slots=True)
class PerceptualRows:
    """The values of one perceptual space.

    ``owners`` : uint32, shape (n,), ordinal of the entry.
    ``algorithms`` : uint8, shape (n,), index into ``Part.algorithms``.
    ``views`` : uint8, shape (n,), index into ``Part.views``.
    ``most`` is the largest number of values that one entry has here.
    """

    search: HammingSearch
    owners: Ordinals
    algorithms: Bytes
    views: Bytes
    most: int

    def within(self, queries: Bytes, max_distance: int, rows: RowFilter, max_rows: int) -> RowHits:
        """Rows that count within ``max_distance`` bits, inclusive, the ``max_rows`` nearest of each query."""
        return self.search.range(queries, max_distance, rows, max_rows)


@dataclass(frozen=True, slots=True)
class DigestRows:
    """The values of one digest space; columns as in :class:`PerceptualRows`."""

    search: DigestSearch
    owners: Ordinals
    algorithms: Bytes
    views: Bytes
    most: int

    def within(self, queries: Bytes, max_distance: int, rows: RowFilter, max_rows: int) -> RowHits:
        """Rows that count and equal each query. Digests have no distance: no ``max_distance`` widens the search."""
        return self.search.equal(queries, rows, max_rows) if max_distance >= 0 else RowHits.none()


SpaceRows = PerceptualRows | DigestRows


@dataclass(frozen=True, slots=True)
class EntryTable:
    """What a hit says of its entry.

    ``sets`` : uint32, shape (n,), ordinal of the set.
    ``statuses`` : uint8, shape (n,), index into :data:`STATUSES`.
    ``label_lists`` : uint32, shape (n,), index into ``labels``.
    ``sequences`` : uint64, shape (n,), position in the change feed of the entry's latest change.
    ``ids`` : n texts.
    ``labels`` : distinct lists of labels, each a JSON array of ``[scheme, version, value]``.
    """

    sets: Ordinals
    statuses: Bytes
    label_lists: Ordinals
    sequences: Keys
    ids: Texts
    labels: Texts

    def __len__(self) -> int:
        return len(self.sets)

    def status_of(self, ordinal: int) -> EntryStatus:
        """Where the entry stands."""
        return STATUSES[int(self.statuses[ordinal])]

    def labels_of(self, ordinal: int) -> tuple[Label, ...]:
        """Classifications of the entry, as the list gave them."""
        return tuple(Label(*parts) for parts in json.loads(self.labels[int(self.label_lists[ordinal])]))


def labels_text(labels: tuple[Label, ...]) -> str:
    """Return the text form of one list of labels."""
    parts = [(label.scheme, label.version, label.value) for label in labels]
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Part:
    """Columns that can be searched; ``spaces`` by name of the comparison space, the names by ordinal."""

    entries: EntryTable
    spaces: Mapping[str, SpaceRows]
    algorithms: tuple[str, ...]
    views: tuple[str, ...]
