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
from typing import NamedTuple, Self

from hashmatch.index.columns import Bytes, Keys, Ordinals, Texts
from hashmatch.index.strategy import DigestSearch, HammingSearch, RowFilter, RowHits
from hashmatch.model import Entry, EntryStatus, Label, Stance

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


class Notes(NamedTuple):
    """What reports repeat of an entry and nobody searches for; most entries of a list share theirs.

    ``labels`` are its classifications, as the list gave them, ``terms`` its own or those of its set; ``agree`` and
    ``disagree`` count the opinions that hold.
    """

    labels: tuple[Label, ...] = ()
    terms: str = ""
    agree: int = 0
    disagree: int = 0

    @property
    def text(self) -> str:
        """JSON: an array of the labels, each ``[scheme, version, value]``, and of the other fields."""
        labels = [(label.scheme, label.version, label.value) for label in self.labels]
        return json.dumps([labels, *self[1:]], ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def of(cls, entry: Entry, terms_of_set: str) -> Self:
        """Return the notes of an entry of the catalog."""
        agree = sum(item.stance is Stance.AGREE for item in entry.opinions) if entry.opinions else 0
        terms = entry.provenance.terms or terms_of_set
        return cls(entry.labels, terms, agree, len(entry.opinions) - agree)

    @classmethod
    def of_text(cls, text: str) -> Self:
        """Inverse of :attr:`text`."""
        labels, *others = json.loads(text)
        return cls(tuple(Label(*parts) for parts in labels), *others)


@dataclass(frozen=True, slots=True)
class EntryTable:
    """What a hit says of its entry.

    ``sets`` : uint32, shape (n,), ordinal of the set.
    ``statuses`` : uint8, shape (n,), index into :data:`STATUSES`.
    ``notes`` : uint32, shape (n,), index into ``note_texts``.
    ``sequences`` : uint64, shape (n,), position in the change feed of the entry's latest change.
    ``ids`` : n texts.
    ``note_texts`` : distinct notes, as ``Notes.text`` writes them.
    """

    sets: Ordinals
    statuses: Bytes
    notes: Ordinals
    sequences: Keys
    ids: Texts
    note_texts: Texts

    def __len__(self) -> int:
        return len(self.sets)

    def status_of(self, ordinal: int) -> EntryStatus:
        """Where the entry stands."""
        return STATUSES[int(self.statuses[ordinal])]

    def notes_of(self, ordinal: int) -> Notes:
        """Return what reports repeat of the entry."""
        return Notes.of_text(self.note_texts[int(self.notes[ordinal])])


@dataclass(frozen=True, slots=True)
class Part:
    """Columns that can be searched; ``spaces`` by name of the comparison space, the names by ordinal."""

    entries: EntryTable
    spaces: Mapping[str, SpaceRows]
    algorithms: tuple[str, ...]
    views: tuple[str, ...]
