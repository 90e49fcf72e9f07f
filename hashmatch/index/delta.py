"""The delta: what was added, replaced or withdrawn since the snapshot.

Theory of operation
-------------------
A :class:`Delta` belongs to one writer. :meth:`Delta.apply` takes changes in; :meth:`Delta.generation` publishes the
state as an immutable value made of views. An entry that changes gets a new row and its old row, in the segment or in
the delta, becomes a tombstone; an entry that is withdrawn only becomes a tombstone. Applying is two steps: everything
is encoded and looked up first, which may fail; then it is committed, which may not. A failed apply leaves no trace.

One entry costs about 500 bytes until the next snapshot. Publishing costs one view per column, whatever the size; a
tombstone costs a copy of the list of tombstones, 4 bytes each.

What this module deliberately does not do: it never changes a row, and it decides nothing about when to compact.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hashmatch.errors import RollbackRefused
from hashmatch.index.columns import Growing, GrowingTexts, Ordinals, Texts, keys_of
from hashmatch.index.encode import BATCH_CHANGES, Batch, Encoder, SetTable, SpaceBatch
from hashmatch.index.generation import Generation, Layer, added, rows_by_set
from hashmatch.index.part import DigestRows, EntryTable, Part, PerceptualRows, SpaceRows
from hashmatch.index.search import digest_search, hamming_search
from hashmatch.index.segment import Segment
from hashmatch.model import Algorithm, Change, EntryStatus


class _Name(NamedTuple):
    set_id: str
    entry_id: str


@dataclass(frozen=True, slots=True)
class _Staged:
    """One encoded batch: rows of ``kept`` in order, names that end, and the segment's rows that no longer count."""

    batch: Batch
    kept: list[_Name]
    ended: list[_Name]
    dead_in_segment: Ordinals


class _GrowingSpace:
    """The delta's rows of one space."""

    __slots__ = ("_algorithms", "_codes", "_keys", "_keys_of", "_most", "_owners", "_views")

    def __init__(self, row: Algorithm) -> None:
        self._codes = Growing("|u1", row.size_bytes)
        self._owners = Growing("<u4")
        self._algorithms, self._views = Growing("|u1"), Growing("|u1")
        self._keys = Growing("<u8") if row.kind.by_equality else None
        self._keys_of = keys_of(row.kind)
        self._most = 0

    def append(self, rows: SpaceBatch, first_owner: int) -> None:
        self._codes.append(rows.codes)
        self._owners.append(rows.owners + np.uint32(first_owner))
        self._algorithms.append(rows.algorithms)
        self._views.append(rows.views)
        self._most = max(self._most, rows.most)
        if self._keys is not None:
            self._keys.append(self._keys_of(rows.codes))

    def view(self) -> SpaceRows:
        codes = self._codes.view()
        of_rows = self._owners.view(), self._algorithms.view(), self._views.view()
        if self._keys is None:
            return PerceptualRows(hamming_search(codes), *of_rows, self._most)
        digests = digest_search(codes, self._keys.view(), self._keys_of, is_sorted=False)
        return DigestRows(digests, *of_rows, self._most)


class Delta:
    """What came after one segment. One thread at a time.

    Parameters
    ----------
    segment
        The snapshot that the changes apply to.
    algorithms
        The algorithm table.

    """

    def __init__(self, segment: Segment, algorithms: Mapping[str, Algorithm]) -> None:
        self._segment = segment
        self._space_rows = {row.space: row for row in algorithms.values()}
        self._encoder = Encoder(algorithms, segment.sets)
        self._sets, self._statuses, self._notes = Growing("<u4"), Growing("|u1"), Growing("<u4")
        self._sequences = Growing("<u8")
        self._ids, self._note_texts = GrowingTexts(), GrowingTexts()
        self._spaces: dict[str, _GrowingSpace] = {}
        self._rows = {
            space: rows_by_set(segment.part.entries.sets, rows.owners) for space, rows in segment.part.spaces.items()
        }
        self._row_of: dict[_Name, int] = {}
        self._dead_in_segment: Ordinals = np.empty(0, dtype=np.uint32)
        self._dead: Ordinals = np.empty(0, dtype=np.uint32)
        self.sequence = segment.sequence

    def __repr__(self) -> str:
        return f"<Delta of {len(self._sets)} rows at sequence {self.sequence} over {self._segment!r}>"

    def apply(self, changes: Iterable[Change]) -> int:
        """Take in ``changes``, all or none; return how many there were.

        Raises
        ------
        RollbackRefused
            A change is not newer than what the delta contains.
        UnknownAlgorithm, BadHash
            See :meth:`Encoder.encode`.

        """
        source = iter(changes)
        staged: list[_Staged] = []
        sequence, count = self.sequence, 0
        sets_before = self._encoder.sets.states()
        try:
            while batch := list(itertools.islice(source, BATCH_CHANGES)):
                sequence = self._ascending(batch, sequence)
                staged.append(self._stage(batch))
                count += len(batch)
        except BaseException:
            self._encoder.sets = SetTable(sets_before)
            raise
        for stage in staged:
            self._commit(stage)
        self.sequence = sequence
        return count

    def generation(self) -> Generation:
        """Return the state as an immutable value."""
        part = Part(
            entries=EntryTable(
                self._sets.view(),
                self._statuses.view(),
                self._notes.view(),
                self._sequences.view(),
                self._ids.view(),
                self._note_texts.view(),
            ),
            spaces={name: space.view() for name, space in self._spaces.items()},
            algorithms=self._encoder.algorithms,
            views=self._encoder.views,
        )
        layers = (Layer(self._segment.part, self._dead_in_segment), Layer(part, self._dead))
        return Generation(self._segment, layers, self._encoder.sets.states(), self.sequence, dict(self._rows))

    def _ascending(self, batch: list[Change], last: int) -> int:
        """Check that the feed moves forward; changes of one transaction may share a sequence."""
        for change in batch:
            if change.sequence < last or change.sequence <= self.sequence:
                held = max(last, self.sequence)
                raise RollbackRefused(f"a change at sequence {change.sequence} came after sequence {held} was applied")
            last = change.sequence
        return last

    def _stage(self, batch: list[Change]) -> _Staged:
        self._encoder.observe(batch)
        latest = {
            _Name(change.hash_set.set_id, change.entry.entry_id): change for change in batch if change.entry is not None
        }
        kept: list[_Name] = []
        ended: list[_Name] = []
        for name, change in latest.items():
            withdrawn = change.entry is not None and change.entry.status is EntryStatus.WITHDRAWN
            (ended if withdrawn else kept).append(name)
        sets = np.fromiter((self._encoder.sets.ordinal(name.set_id) for name in latest), np.uint32, len(latest))
        dead = self._segment.find(sets, Texts.of([name.entry_id for name in latest]))
        return _Staged(self._encoder.encode(list(latest.values())), kept, ended, dead)

    def _commit(self, stage: _Staged) -> None:
        first, batch = len(self._sets), stage.batch
        dead = [row for name in stage.ended if (row := self._row_of.pop(name, None)) is not None]
        for row, name in enumerate(stage.kept, first):
            before = self._row_of.get(name)
            if before is not None:
                dead.append(before)
            self._row_of[name] = row
        self._note_texts.append(Texts.of(self._encoder.note_texts[len(self._note_texts) :]))
        self._sets.append(batch.sets)
        self._statuses.append(batch.statuses)
        self._notes.append(batch.notes)
        self._sequences.append(batch.sequences)
        self._ids.append(batch.ids)
        for space, rows in batch.spaces.items():
            if space not in self._spaces:
                self._spaces[space] = _GrowingSpace(self._space_rows[space])
            self._spaces[space].append(rows, first)
            mine = rows_by_set(batch.sets, rows.owners)
            self._rows[space] = added(self._rows[space], mine) if space in self._rows else mine
        if dead:
            self._dead = np.union1d(self._dead, np.array(dead, dtype=np.uint32))
        if len(stage.dead_in_segment):
            self._dead_in_segment = np.union1d(self._dead_in_segment, stage.dead_in_segment)
