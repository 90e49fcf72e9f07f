"""The live index: which generation is being searched, and how the next one takes its place.

Theory of operation
-------------------
The index is always in one of three states, and :data:`TRANSITIONS` lists everything that may happen:

=============  =========  ============  ==================================================================
state          event      next          effect
=============  =========  ============  ==================================================================
EMPTY          LOAD       SERVING       a verified segment, and the changes since, are searched from now on
SERVING        APPLY      SERVING       a new generation: rows added, tombstones set
SERVING        COMPACT    COMPACTING    somebody builds the next snapshot; nothing changes for anybody
SERVING        LOAD       SERVING       a newer snapshot, made by another process, takes over
COMPACTING     APPLY      COMPACTING    as in SERVING; the next snapshot gets these changes when it is loaded
COMPACTING     LOAD       SERVING       the next snapshot takes over
COMPACTING     ABANDON    SERVING       the build failed; the current generation stays
=============  =========  ============  ==================================================================

What is not in the table is refused. One lock keeps writers apart; searches take no lock: they read one reference, which
pins a generation for as long as they need it, and a writer replaces that reference with one assignment.

A snapshot never takes over alone. :meth:`LiveIndex.load` gets the changes since the snapshot with it, applies them
before anybody can see it, and refuses the swap when the result would be behind what is being served. So a withdrawal
that came during the build, of an entry that is in the new snapshot, is in force before and after.

What this module deliberately does not do: it reads no catalog and no directory; ``publish.py`` does. There is no
searching while EMPTY: "no index" is an error, never "no match".
"""

from __future__ import annotations

import enum
import threading
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hashmatch.errors import HashmatchError, IndexNotLoaded, RollbackRefused, SegmentCorrupt
from hashmatch.hashing import algorithms as installed
from hashmatch.index import generation as generations
from hashmatch.index.delta import Delta
from hashmatch.index.generation import Generation
from hashmatch.index.segment import Segment
from hashmatch.model import Algorithm, Change, Query, SearchResult, SetMode


class State(enum.StrEnum):
    """What the index is doing."""

    EMPTY = "empty"
    SERVING = "serving"
    COMPACTING = "compacting"


class Event(enum.StrEnum):
    """What may happen to it."""

    LOAD = "load"
    APPLY = "apply"
    COMPACT = "compact"
    ABANDON = "abandon"


TRANSITIONS: Mapping[tuple[State, Event], State] = types.MappingProxyType(
    {
        (State.EMPTY, Event.LOAD): State.SERVING,
        (State.SERVING, Event.APPLY): State.SERVING,
        (State.SERVING, Event.COMPACT): State.COMPACTING,
        (State.SERVING, Event.LOAD): State.SERVING,
        (State.COMPACTING, Event.APPLY): State.COMPACTING,
        (State.COMPACTING, Event.LOAD): State.SERVING,
        (State.COMPACTING, Event.ABANDON): State.SERVING,
    }
)


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The index at one moment.

    ``values`` counts hash values that can match, per algorithm. ``delta_entries`` counts entries that live in the
    delta, ``tombstones`` the rows of snapshot and delta that no longer count.
    """

    state: State
    generation: str = ""
    snapshot: int = 0
    sequence: int = 0
    values: Mapping[str, int] = field(default_factory=dict)
    delta_entries: int = 0
    tombstones: int = 0
    segment_bytes: int = 0


class Newer:
    """What is new in an index since one of its generations, and stays up to date. One thread at a time.

    Every search answers from the generation that is current then: what was withdrawn meanwhile is gone, what was added
    is there.

    Attributes
    ----------
    everything
        Nothing is known of that generation: it is of another catalog, or its name is of before they were positions. All
        entries count as new.

    """

    def __init__(
        self, current: Callable[[], Generation], algorithms: Mapping[str, Algorithm], position: int | None
    ) -> None:
        self._current = current
        self._algorithms = algorithms
        self._position = position
        self._seen: Generation | None = None
        self._narrowed: Generation | None = None
        self.everything = position is None

    def __repr__(self) -> str:
        return f"<Newer than {'nothing known' if self.everything else self._position}>"

    def search(self, queries: Sequence[Query], *, sets: frozenset[str] | None, max_hits: int) -> SearchResult:
        """Find every new entry within reach of each query; as :meth:`LiveIndex.search`, which see for the rest."""
        current = self._current()
        if self._position is not None:
            if self._narrowed is None or self._seen is not current:
                self._seen, self._narrowed = current, generations.newer(current, self._position)
            current = self._narrowed
        return generations.search(current, queries, self._algorithms, sets=sets, max_hits=max_hits)


_CHOICES_KEPT: Final = 256
"""Choices of sets for which the length of the lists is kept."""


class _Derived:
    """What was made of a generation, which never changes; two threads that make it at once make the same.

    ``within`` is what :meth:`LiveIndex.values` says, by the sets asked of; ``filters`` say which rows count.
    """

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.within: dict[frozenset[str] | None, Mapping[str, int]] = {}
        self.filters: generations.Filters = {}
        self._values: Mapping[str, int] | None = None

    def values(self) -> Mapping[str, int]:
        """Return the values that can match, per algorithm; the first time O(rows)."""
        values = self._values
        if values is None:
            values = self._values = self.generation.values()
        return values


class LiveIndex:
    """The index that everybody searches.

    Parameters
    ----------
    algorithms
        What may be asked for; None for everything installed.

    """

    def __init__(self, algorithms: Mapping[str, Algorithm] | None = None) -> None:
        self._algorithms = installed.searchable() if algorithms is None else algorithms
        self._writing = threading.Lock()
        self._state = State.EMPTY
        self._delta: Delta | None = None
        self._generation: Generation | None = None
        self._derived: _Derived | None = None

    def __repr__(self) -> str:
        current = self._generation
        return f"<LiveIndex {self._state}{f' {current.name}' if current else ''}>"

    # --- readers: no lock -----------------------------------------------------------------------------------------

    def search(self, queries: Sequence[Query], *, sets: frozenset[str] | None, max_hits: int) -> SearchResult:
        """Find every entry within reach of each query, on one generation.

        Parameters
        ----------
        queries
            Any algorithms; each is compared within its algorithm's space, up to its own ``max_distance`` inclusive.
        sets
            Names of the sets to search; None for all, an empty set for none.
        max_hits
            At most so many entries *per query*, the nearest; among equally distant ones the older. The bound is per
            query so that one query's crowd cannot push out another's only hit.

        Returns
        -------
        SearchResult
            Ordered by distance, set name, entry id, query. An entry occurs once per query that it is within reach of,
            with its nearest value. ``truncated`` is True when any query had more.

        Raises
        ------
        IndexNotLoaded
            There is nothing to search yet.
        UnknownAlgorithm, BadHash
            A query's algorithm is not installed, or its value has the wrong length.
        SetNotFound
            A name in ``sets`` is not a set of this generation.

        """
        current = self._pinned()
        filters = self._derived_from(current).filters
        return generations.search(current, queries, self._algorithms, sets=sets, max_hits=max_hits, filters=filters)

    def newer(self, since: str) -> Newer:
        """Return a view of the entries that changed after a generation, by its name; see :class:`Newer`.

        Raises
        ------
        IndexNotLoaded
            There is nothing to search yet.
        BadInput
            ``since`` is no name of a generation.

        """
        current = self._pinned()
        position = generations.position_of(since)
        if position is not None and position > current.sequence:
            position = None
        return Newer(self._pinned, self._algorithms, position)

    def modes(self) -> dict[str, SetMode]:
        """Modes of the sets in the current generation, by name. Raises IndexNotLoaded."""
        return self._pinned().modes()

    def algorithms(self) -> frozenset[str]:
        """Names of the algorithms whose space holds a value, so that a query could find something.

        Raises IndexNotLoaded.
        """
        spaces = self._pinned().spaces()
        return frozenset(row.name for row in self._algorithms.values() if row.space in spaces)

    def values(self, sets: frozenset[str] | None) -> Mapping[str, int]:
        """Count what a query of each algorithm may hit in these sets (None for all): every value of its space.

        Withdrawn values count until the next snapshot. Raises IndexNotLoaded.
        """
        made = self._derived_from(self._pinned())
        found = made.within.get(sets)
        if found is None:
            current = made.generation
            found = {row.name: current.row_count(row.space, sets) for row in self._algorithms.values()}
            if len(made.within) >= _CHOICES_KEPT:
                made.within.clear()
            made.within[sets] = found
        return found

    def status(self) -> IndexStatus:
        """Describe the index; never raises."""
        current = self._generation
        if current is None:
            return IndexStatus(self._state)
        segment, delta = current.layers
        return IndexStatus(
            state=self._state,
            generation=current.name,
            snapshot=current.segment.generation,
            sequence=current.sequence,
            values=self._derived_from(current).values(),
            delta_entries=len(delta.part.entries) - len(delta.dead),
            tombstones=len(segment.dead) + len(delta.dead),
            segment_bytes=current.segment.size_bytes,
        )

    def _pinned(self) -> Generation:
        current = self._generation
        if current is None:
            raise IndexNotLoaded
        return current

    def _derived_from(self, current: Generation) -> _Derived:
        made = self._derived
        if made is None or made.generation is not current:
            made = self._derived = _Derived(current)
        return made

    @property
    def state(self) -> State:
        """What the index is doing."""
        return self._state

    @property
    def snapshot(self) -> int:
        """Number of the snapshot being served; 0 while EMPTY."""
        current = self._generation
        return 0 if current is None else current.segment.generation

    @property
    def sequence(self) -> int:
        """Position in the change feed that is being served; 0 while EMPTY."""
        current = self._generation
        return 0 if current is None else current.sequence

    @property
    def held(self) -> int:
        """Rows and tombstones since the snapshot: what a compaction would clear away."""
        current = self._generation
        if current is None:
            return 0
        segment, delta = current.layers
        return len(segment.dead) + len(delta.part.entries)

    # --- writers: one at a time -----------------------------------------------------------------------------------

    def load(self, segment: Segment, changes: Iterable[Change] = ()) -> None:
        """Serve ``segment`` with ``changes`` applied, in one swap.

        Parameters
        ----------
        segment
            Verified; newer than the snapshot being served.
        changes
            Everything in the feed after ``segment.sequence``.

        Raises
        ------
        RollbackRefused
            The segment is not newer, or the result would lack changes that are being served.
        SegmentCorrupt
            The segment was built with other algorithms than those installed.
        UnknownAlgorithm, BadHash
            See :meth:`apply`.

        """
        with self._writing:
            following = self._next(Event.LOAD)
            self._check_algorithms(segment)
            if segment.generation <= self.snapshot:
                raise RollbackRefused(f"snapshot {segment.generation} is not newer than {self.snapshot}, being served")
            delta = Delta(segment, self._algorithms)
            delta.apply(changes)
            if delta.sequence < self.sequence:
                raise RollbackRefused(
                    f"snapshot {segment.generation} with the changes after it reaches sequence {delta.sequence}, "
                    f"and sequence {self.sequence} is being served"
                )
            self._delta, self._generation = delta, delta.generation()
            self._state = following

    def apply(self, changes: Iterable[Change]) -> int:
        """Add, replace and withdraw, all in one swap; return how many changes there were.

        Raises
        ------
        IndexNotLoaded
            There is nothing to change yet.
        RollbackRefused
            A change is not newer than what is being served; nothing was applied.
        UnknownAlgorithm, BadHash
            A value cannot be indexed; nothing was applied.

        """
        with self._writing:
            following = self._next(Event.APPLY)
            if self._delta is None:
                raise IndexNotLoaded
            count = self._delta.apply(changes)
            if count:
                self._generation = self._delta.generation()
            self._state = following
            return count

    def begin_compaction(self) -> None:
        """Somebody starts to build the next snapshot. Raises IndexNotLoaded, or HashmatchError when one is built."""
        with self._writing:
            self._state = self._next(Event.COMPACT)

    def abandon_compaction(self) -> None:
        """Record that the next snapshot will not come. Raises HashmatchError when none is being built."""
        with self._writing:
            self._state = self._next(Event.ABANDON)

    def _next(self, event: Event) -> State:
        following = TRANSITIONS.get((self._state, event))
        if following is None:
            if self._state is State.EMPTY:
                raise IndexNotLoaded
            raise HashmatchError(f"{event} is not possible while the index is {self._state}")
        return following

    def _check_algorithms(self, segment: Segment) -> None:
        """Make sure that names, spaces and widths mean now what they meant when the segment was built."""
        rows = {row.space: row for row in self._algorithms.values()}
        for space in segment.spaces:
            row = rows.get(space.name)
            if row is None or (row.kind, row.size_bytes) != (space.kind, space.size_bytes):
                raise SegmentCorrupt(
                    f"{segment.path.name}: its {space.name!r} values are {space.kind} of {space.size_bytes} bytes, "
                    "which is not what the installed algorithms make"
                )
