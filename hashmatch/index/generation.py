"""A generation: one immutable state of everything that can be found, and the search over it.

Theory of operation
-------------------
A generation is a snapshot (the segment), what came since (the delta), which of their entries no longer count (the
tombstones) and the state of the sets. Nothing in it changes, so a search that pinned one answers from exactly that
state, however many others are published meanwhile. Its name is its position in the catalog's change feed: two processes
that say the same name have the same contents, whichever snapshot each of them began with and whichever machine it runs
on, and names only grow.

A search asks the strategies of both layers for the nearest rows that count, enough of them for ``max_hits`` entries
even where an entry has several values, keeps per query and entry the nearest value, and only then cuts to ``max_hits``:
no filter and no bound can cost recall.

What this module deliberately does not do: it does not publish, lock or count generations; that is ``live.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.errors import BadHash, BadInput, SetNotFound, UnknownAlgorithm
from hashmatch.index.columns import Bytes, Ordinals
from hashmatch.index.layout import SetState
from hashmatch.index.part import Part
from hashmatch.index.segment import Segment
from hashmatch.index.strategy import RowFilter
from hashmatch.model import Algorithm, EntryRef, Found, Query, SearchResult, SetMode

_Mask = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Layer:
    """A part and the entries of it that no longer count; ``dead`` : uint32, ascending."""

    part: Part
    dead: Ordinals

    def values(self) -> dict[str, int]:
        """Count the values that can match, per algorithm. O(rows) when there are tombstones."""
        is_dead = np.zeros(len(self.part.entries), dtype=np.bool_)
        is_dead[self.dead] = True
        counts: dict[str, int] = {}
        for rows in self.part.spaces.values():
            alive = rows.algorithms[~is_dead[rows.owners]] if len(self.dead) else rows.algorithms
            for ordinal, count in enumerate(np.bincount(alive)):
                if count:
                    name = self.part.algorithms[ordinal]
                    counts[name] = counts.get(name, 0) + int(count)
        return counts


@dataclass(frozen=True, slots=True)
class Generation:
    """One state of the index.

    ``segment`` is the snapshot; ``layers`` are its part and the delta's, each with its tombstones; ``sets`` by ordinal;
    ``sequence`` is the position in the change feed. ``rows`` counts the rows of each space by ordinal of the set, those
    of tombstones among them.
    """

    segment: Segment
    layers: tuple[Layer, Layer]
    sets: tuple[SetState, ...]
    sequence: int
    rows: Mapping[str, _Ints]

    @property
    def name(self) -> str:
        """The text that answers carry."""
        return str(self.sequence)

    def set_names(self) -> frozenset[str]:
        """Names of all sets, with or without entries."""
        return frozenset(state.name for state in self.sets)

    def modes(self) -> dict[str, SetMode]:
        """Modes of all sets by name, as the catalog has them."""
        return {state.name: state.mode for state in self.sets}

    def spaces(self) -> frozenset[str]:
        """Comparison spaces that hold a value; one whose last value was withdrawn counts until the next snapshot."""
        return frozenset().union(*(layer.part.spaces for layer in self.layers))

    def row_count(self, space: str, sets: frozenset[str] | None) -> int:
        """Rows of a space in these sets; None for all. Tombstones count until the next snapshot."""
        counts = self.rows.get(space)
        if counts is None:
            return 0
        return sum(
            count
            for state, count in zip(self.sets, counts.tolist(), strict=False)
            if sets is None or state.name in sets
        )

    def values(self) -> dict[str, int]:
        """Values that can match, per algorithm."""
        counts: dict[str, int] = {}
        for layer in self.layers:
            for name, count in layer.values().items():
                counts[name] = counts.get(name, 0) + count
        return counts


_NAME = re.compile(r"\d{1,19}", re.ASCII)
_OLD_NAME = re.compile(r"\d{1,19}\.\d{1,19}", re.ASCII)
"""Reports of before 2026-11-27 named a snapshot and the changes since, which says nothing of the feed."""


def position_of(name: str) -> int | None:
    """Return the position in the change feed that a generation's name means; None where it says nothing of it.

    Raises
    ------
    BadInput
        No generation has such a name.

    """
    if _NAME.fullmatch(name):
        return int(name)
    if _OLD_NAME.fullmatch(name):
        return None
    raise BadInput("since: not the name of a generation, as a report gives it: digits, e.g. 30517", field="since")


def newer(generation: Generation, sequence: int) -> Generation:
    """Return the state in which only entries count that changed after ``sequence``; O(entries).

    What else it says of itself stays: its name, its sets, how many values there are.
    """
    layers = []
    for layer in generation.layers:
        old = np.flatnonzero(layer.part.entries.sequences <= sequence).astype(np.uint32)
        layers.append(Layer(layer.part, np.union1d(layer.dead, old)))
    return replace(generation, layers=(layers[0], layers[1]))


def rows_by_set(sets: Ordinals, owners: Ordinals) -> _Ints:
    """Count rows by ordinal of the set of the entry that owns them; ``sets`` : uint32, shape (entries,)."""
    return np.bincount(sets[owners])


def added(counts: _Ints, more: _Ints) -> _Ints:
    """Return the sum of two counts by ordinal, of which either may be the longer."""
    total = np.zeros(max(len(counts), len(more)), dtype=np.int64)
    total[: len(counts)] += counts
    total[: len(more)] += more
    return total


@dataclass(frozen=True, slots=True)
class _Group:
    """Queries that are asked together; ``numbers`` : int64, shape (m,), ``codes`` : uint8, shape (m, bytes)."""

    space: str
    max_distance: int
    numbers: _Ints
    codes: Bytes


@dataclass(frozen=True, slots=True)
class _Hits:
    """Candidates of one pass, as columns of equal length; ``layer`` indexes ``Generation.layers``."""

    query: _Ints
    distance: _Ints
    layer: _Ints
    owner: _Ints
    row: _Ints

    def take(self, chosen: npt.NDArray[np.intp] | _Mask) -> _Hits:
        return _Hits(
            self.query[chosen], self.distance[chosen], self.layer[chosen], self.owner[chosen], self.row[chosen]
        )

    @classmethod
    def join(cls, parts: Sequence[_Hits]) -> _Hits:
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))


Filters = dict[tuple[int, str, frozenset[str] | None], RowFilter]
"""Which rows of a generation count, by layer, comparison space and the sets that are searched."""
_FILTERS_KEPT: Final = 256

_NO_HITS = _Hits(*(np.empty(0, dtype=np.int64) for _ in _Hits.__slots__))


def search(
    generation: Generation,
    queries: Sequence[Query],
    algorithms: Mapping[str, Algorithm],
    *,
    sets: frozenset[str] | None,
    max_hits: int,
    filters: Filters | None = None,
) -> SearchResult:
    """Find everything within reach; see :meth:`LiveIndex.search`, which documents the parameters.

    ``filters`` are those of searches of this very generation, which add to it: making one takes longer than a query.
    """
    groups = _grouped(queries, algorithms)
    if sets is not None:
        _check_served(generation, sets)
    kept = {} if filters is None else filters
    found: list[Found] = []
    truncated = False

    def counting(ordinal: int, space: str) -> RowFilter:
        made = kept.get((ordinal, space, sets))
        if made is None:
            if len(kept) >= _FILTERS_KEPT:
                kept.clear()
            made = kept[ordinal, space, sets] = _filter(generation, ordinal, space, sets)
        return made

    refs: dict[tuple[int, int], EntryRef] = {}
    for group in groups:
        hits, cut = _candidates(generation, group, counting, max_hits)
        truncated |= cut
        if not len(hits.query):  # as of most pictures, and there is nothing to put in order
            continue
        nearest = _nearest_values(hits)
        within = _rank_in_query(nearest) < max_hits
        truncated |= not bool(within.all())
        found += _found(generation, group.space, nearest.take(within), refs)
    found.sort(key=lambda item: (item.distance, item.entry.set_name, item.entry.entry_id, item.query))
    return SearchResult(generation.name, tuple(found), truncated)


def _grouped(queries: Sequence[Query], algorithms: Mapping[str, Algorithm]) -> list[_Group]:
    members: dict[tuple[str, int], list[int]] = {}
    for number, query in enumerate(queries):
        row = algorithms.get(query.algorithm)
        if row is None:
            raise UnknownAlgorithm(
                f"no algorithm {query.algorithm!r} is installed; there are {', '.join(algorithms)}", field="algorithm"
            )
        if len(query.value) != row.size_bytes:
            raise BadHash(
                f"a {row.name} value has {row.size_bytes} bytes, the query's has {len(query.value)}", field="value"
            )
        members.setdefault((row.space, query.max_distance), []).append(number)
    groups = []
    for (space, max_distance), numbers in members.items():
        joined = b"".join(queries[number].value for number in numbers)
        codes = np.frombuffer(joined, dtype=np.uint8).reshape(len(numbers), -1)
        groups.append(_Group(space, max_distance, np.array(numbers, dtype=np.int64), codes))
    return groups


def _check_served(generation: Generation, sets: frozenset[str]) -> None:
    unknown = sorted(sets - generation.set_names())
    if unknown:
        raise SetNotFound(
            f"no hash set named {unknown[0]!r} is being served; `hashmatch hashset list` shows those that are",
            field="sets",
        )


def _filter(generation: Generation, ordinal: int, space: str, sets: frozenset[str] | None) -> RowFilter:
    """Return which rows of a space count, in one of the layers."""
    layer = generation.layers[ordinal]
    names = [] if sets is None else [state.name in sets for state in generation.sets]
    allowed = np.array(names, dtype=np.uint8)
    return RowFilter(layer.part.spaces[space].owners, layer.part.entries.sets, layer.dead, allowed)


def _candidates(
    generation: Generation, group: _Group, counting: Callable[[int, str], RowFilter], max_hits: int
) -> tuple[_Hits, bool]:
    """Nearest rows that count, of both layers, at least ``max_hits`` entries of each; and whether any were left out."""
    parts, cut = list[_Hits](), False
    for ordinal, layer in enumerate(generation.layers):
        rows = layer.part.spaces.get(group.space)
        if rows is None:
            continue
        hits = rows.within(group.codes, group.max_distance, counting(ordinal, group.space), max_hits * rows.most)
        cut |= hits.cut
        if len(hits):
            parts.append(
                _Hits(
                    query=group.numbers[hits.query],
                    distance=hits.distance,
                    layer=np.full(len(hits), ordinal, dtype=np.int64),
                    owner=rows.owners[hits.row].astype(np.int64),
                    row=hits.row,
                )
            )
    return _Hits.join(parts) if parts else _NO_HITS, cut


def _nearest_values(hits: _Hits) -> _Hits:
    """Of the values of one entry within reach of one query, keep the nearest; of equally near ones the first."""
    ordered = hits.take(np.lexsort((hits.row, hits.distance, hits.owner, hits.layer, hits.query)))
    first = np.ones(len(ordered.query), dtype=np.bool_)
    first[1:] = (
        (ordered.query[1:] != ordered.query[:-1])
        | (ordered.layer[1:] != ordered.layer[:-1])
        | (ordered.owner[1:] != ordered.owner[:-1])
    )
    return ordered.take(first)


def _rank_in_query(hits: _Hits) -> _Ints:
    """Return each hit's place, from 0, among its query's hits, nearest first; ``hits`` are sorted by query."""
    order = np.lexsort((hits.distance, hits.query))
    queries = hits.query[order]
    starts = np.searchsorted(queries, queries, side="left")
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order)) - starts
    return ranks


def _found(generation: Generation, space: str, hits: _Hits, refs: dict[tuple[int, int], EntryRef]) -> Iterator[Found]:
    """Turn rows into what callers see; ``refs`` remembers entries already described."""
    columns = (hits.query, hits.distance, hits.layer, hits.owner, hits.row)
    for query, distance, layer, owner, row in zip(*(column.tolist() for column in columns), strict=True):
        part = generation.layers[layer].part
        ref = refs.get((layer, owner))
        if ref is None:
            ref = refs[layer, owner] = _reference(generation, part, owner)
        rows = part.spaces[space]
        algorithm, view = part.algorithms[int(rows.algorithms[row])], part.views[int(rows.views[row])]
        yield Found(query, distance, algorithm, ref, view)


def _reference(generation: Generation, part: Part, owner: int) -> EntryRef:
    entries = part.entries
    notes = entries.notes_of(owner)
    state = generation.sets[int(entries.sets[owner])]
    return EntryRef(
        set_id=state.set_id,
        set_name=state.name,
        set_version=state.version,
        domain=state.domain,
        mode=state.mode,
        entry_id=entries.ids[owner],
        status=entries.status_of(owner),
        labels=notes.labels,
        terms=notes.terms,
        agree=notes.agree,
        disagree=notes.disagree,
    )
