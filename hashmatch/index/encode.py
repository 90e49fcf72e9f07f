"""Changes to columns: turn a batch of catalog changes into arrays, with as little Python per entry as possible.

Theory of operation
-------------------
The encoder gives sets, algorithms, views and distinct notes small ordinals, in order of first appearance, and
remembers them over all batches of one segment or one delta. :meth:`Encoder.encode` does everything that can fail, and
changes nothing but these tables; ordinals given out by a batch that failed are merely unused. Whoever calls it may
therefore encode all there is first and commit afterwards, without a half-way state.

What this module deliberately does not do: no withdrawn entry gets a row. What a change makes invalid elsewhere is the
caller's business.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hashmatch.errors import BadHash, UnknownAlgorithm
from hashmatch.index.columns import Bytes, Keys, Ordinals, Texts
from hashmatch.index.layout import SetState
from hashmatch.index.part import STATUSES, Notes
from hashmatch.model import Algorithm, Change, Entry, EntryHash, EntryStatus, HashSet

BATCH_CHANGES = 65_536
"""Changes encoded at once: large enough that numpy's cost per call vanishes, about 60 MB of Python objects."""

MAX_ALGORITHMS = 256
"""Algorithm ordinals are stored in one byte."""

MAX_VIEWS = 256
"""So are those of views, the empty name among them: ``transformations`` lists 168 others."""

_STATUS_CODES = {status: code for code, status in enumerate(STATUSES)}


class SetTable:
    """Sets by ordinal. A set keeps its ordinal; its state only moves to later versions."""

    __slots__ = ("_ordinals", "_states")

    def __init__(self, states: Iterable[SetState] = ()) -> None:
        self._states = list(states)
        self._ordinals = {state.set_id: ordinal for ordinal, state in enumerate(self._states)}

    def observe(self, hash_set: HashSet) -> None:
        """Take note of a set's state."""
        state = SetState.of(hash_set)
        ordinal = self._ordinals.setdefault(state.set_id, len(self._states))
        if ordinal == len(self._states):
            self._states.append(state)
        elif state.version >= self._states[ordinal].version:
            self._states[ordinal] = state

    def ordinal(self, set_id: str) -> int:
        """Ordinal of a set that was observed."""
        return self._ordinals[set_id]

    def states(self) -> tuple[SetState, ...]:
        """Every set, by ordinal."""
        return tuple(self._states)


@dataclass(frozen=True, slots=True)
class SpaceBatch:
    """New rows of one space; ``owners`` count from the first entry of the batch, ``most`` is of any one of them."""

    codes: Bytes
    owners: Ordinals
    algorithms: Bytes
    views: Bytes
    most: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The entries of one batch that are not withdrawn, as columns (shapes as in ``EntryTable``)."""

    sets: Ordinals
    statuses: Bytes
    notes: Ordinals
    sequences: Keys
    ids: Texts
    spaces: Mapping[str, SpaceBatch]

    def __len__(self) -> int:
        return len(self.sets)


class Encoder:
    """Encodes batches for one segment or one delta.

    Parameters
    ----------
    algorithms
        The algorithm table.
    sets
        Sets that have their ordinals already.

    """

    def __init__(self, algorithms: Mapping[str, Algorithm], sets: Iterable[SetState] = ()) -> None:
        self._table = algorithms
        self._algorithm_ordinals: dict[str, int] = {}
        self._view_ordinals = {"": 0}
        self._note_ordinals: dict[Notes, int] = {}
        self.sets = SetTable(sets)
        self.note_texts: list[str] = []
        """Distinct notes by ordinal; only ever appended to."""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Names of the algorithms by ordinal."""
        return tuple(self._algorithm_ordinals)

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views by ordinal; the first is empty, for pictures as they are."""
        return tuple(self._view_ordinals)

    def observe(self, changes: Sequence[Change]) -> None:
        """Take note of the sets that ``changes`` mention, each at its latest mention."""
        for hash_set in {change.hash_set.set_id: change.hash_set for change in changes}.values():
            self.sets.observe(hash_set)

    def encode(self, changes: Sequence[Change]) -> Batch:
        """Columns of the entries in ``changes`` that are not withdrawn; :meth:`observe` comes first.

        Raises
        ------
        UnknownAlgorithm
            An entry has a value of an algorithm that is not installed.
        BadHash
            An entry has a value of the wrong length, or there are more than ``MAX_VIEWS`` views.

        """
        kept = [
            (change.hash_set, change.entry, change.sequence)
            for change in changes
            if change.entry is not None and change.entry.status is not EntryStatus.WITHDRAWN
        ]
        n = len(kept)
        entries = [entry for _, entry, _ in kept]
        set_ordinals = map(self.sets.ordinal, [hash_set.set_id for hash_set, _, _ in kept])
        status_codes = map(_STATUS_CODES.__getitem__, [entry.status for entry in entries])
        return Batch(
            sets=np.fromiter(set_ordinals, dtype=np.uint32, count=n),
            statuses=np.fromiter(status_codes, dtype=np.uint8, count=n),
            notes=self._notes([Notes.of(entry, hash_set.terms) for hash_set, entry, _ in kept]),
            sequences=np.fromiter((sequence for _, _, sequence in kept), dtype=np.uint64, count=n),
            ids=Texts.of([entry.entry_id for entry in entries]),
            spaces=self._spaces(entries),
        )

    def _notes(self, notes: Sequence[Notes]) -> Ordinals:
        for item in dict.fromkeys(notes):
            if item not in self._note_ordinals:
                self._note_ordinals[item] = len(self.note_texts)
                self.note_texts.append(item.text)
        return np.fromiter(map(self._note_ordinals.__getitem__, notes), dtype=np.uint32, count=len(notes))

    def _spaces(self, entries: Sequence[Entry]) -> dict[str, SpaceBatch]:
        hashes = [value for entry in entries for value in entry.hashes]
        counts = np.fromiter(map(len, [entry.hashes for entry in entries]), dtype=np.int64, count=len(entries))
        owners = np.repeat(np.arange(len(entries), dtype=np.uint32), counts)
        names = [value.algorithm for value in hashes]
        values = [value.value for value in hashes]
        for name in dict.fromkeys(names):
            if name not in self._algorithm_ordinals:
                self._admit(name)
        ordinals = np.fromiter(map(self._algorithm_ordinals.__getitem__, names), dtype=np.uint8, count=len(names))
        views = self._views([value.view for value in hashes])
        rows_of: dict[str, npt.NDArray[np.bool_]] = {}
        for name, ordinal in self._algorithm_ordinals.items():
            mine = ordinals == ordinal
            space = self._table[name].space
            rows_of[space] = rows_of[space] | mine if space in rows_of else mine
        spaces = {}
        for space, mine in rows_of.items():
            if mine.any():
                codes = self._codes(itertools.compress(values, mine), itertools.compress(hashes, mine))
                most = int(np.bincount(owners[mine]).max())
                spaces[space] = SpaceBatch(codes, owners[mine], ordinals[mine], views[mine], most)
        return spaces

    def _views(self, names: Sequence[str]) -> Bytes:
        """Ordinals of the views of some values."""
        for name in dict.fromkeys(names):
            if name not in self._view_ordinals:
                if len(self._view_ordinals) == MAX_VIEWS:
                    raise BadHash(f"{name!r} is one view too many; an index holds {MAX_VIEWS}", field="view")
                self._view_ordinals[name] = len(self._view_ordinals)
        return np.fromiter(map(self._view_ordinals.__getitem__, names), dtype=np.uint8, count=len(names))

    def _admit(self, name: str) -> None:
        """Give an algorithm its ordinal."""
        if name not in self._table:
            raise UnknownAlgorithm(
                f"the catalog holds values of {name!r}, and no algorithm of that name is installed; "
                "install the plug-in that they were made with",
                field="algorithm",
            )
        if len(self._algorithm_ordinals) == MAX_ALGORITHMS:
            raise UnknownAlgorithm(f"{name!r} is one algorithm too many; an index holds {MAX_ALGORITHMS}")
        self._algorithm_ordinals[name] = len(self._algorithm_ordinals)

    def _codes(self, values: Iterator[bytes], hashes: Iterator[EntryHash]) -> Bytes:
        """Lay the values of one space end to end, after checking that they are of one length."""
        row = next(hashes)
        size_bytes = self._table[row.algorithm].size_bytes
        taken = list(values)
        lengths = set(map(len, taken))
        if lengths != {size_bytes}:
            wrong = min(lengths - {size_bytes})
            raise BadHash(
                f"the catalog holds a {row.algorithm} value of {wrong} bytes, expected {size_bytes}; "
                "export the set, correct it and import it again",
                field="value",
            )
        return np.frombuffer(b"".join(taken), dtype=np.uint8).reshape(-1, size_bytes)
