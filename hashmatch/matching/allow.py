"""What was reviewed and found not harmful: which hits it suppresses, and which it may not. Pure.

Theory of operation
-------------------
An allow set is as dangerous as it is useful: whoever gets an entry into it, or a picture near an entry of it, is not
found any more. So an entry of it says no more than what a person saw when reviewing:

* **The file.** A digest that equals one in an allow set means that these very bytes were reviewed. All hits by
  *nearness* are suppressed, for any frame and view. A hit by digest is not: two lists contradict each other about the
  same bytes, which a person must look at (*conflict*).
* **The picture.** A hash of a frame as it is, in any orientation, within ``allow_distance`` of an entry means that this
  frame is nearly the reviewed one. Only hits on that frame, in that space of hashes, *farther* than the allowed entry
  are suppressed. Nearer ones stand, equally near ones conflict, hits by digest stand. A hit of a view (a cell, a
  trimmed rectangle, transparent parts on black) is suppressed only if the same view is nearer to the same allowed
  entry: the reviewed picture with a known one pasted into it, or hidden under it, must not pass. Neither counts a
  page-like frame (``max_flat_percent``): others of its layout are as near.

Which digests count says ``allow_distance`` of their algorithm: by default SHA-256 alone. Two files of one MD5 or SHA-1
can be made by whoever makes both, and the harmless one would be brought to review.

An allowed entry that is disputed or quarantined suppresses nothing, and one reviewed for one harm says nothing of
another: an allow set counts for sets of its own domain, one of the domain ``other`` for all.

What this module deliberately does not do: it never says "no match" of anything that could not be looked at, it changes
no hit that decides nothing anyway, and it makes no verdict worse.

Source: docs/explain/allow.md; docs/adr/0013-allow-sets.md.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hashmatch.config import PolicyConfig
from hashmatch.hashing.algorithms import algorithm
from hashmatch.limits import AlgorithmPolicy
from hashmatch.matching.modes import allows
from hashmatch.model import EntryRef, EntryStatus, Found, HarmDomain, Query
from hashmatch.transformations import kind_of

TRANSFORMATION_OF_DIGESTS = "bytes"
"""What a report names as the transformation of a digest: it is the file that matched, not a view of the picture."""

_NEVER = AlgorithmPolicy()


class Effect(enum.Enum):
    """What an allowed entry does to a hit."""

    NONE = enum.auto()
    """The hit stands."""
    SUPPRESSES = enum.auto()
    """The hit decides nothing."""
    CONTRADICTS = enum.auto()
    """The hit is as strong as the allowed entry: a person should look."""


@dataclass(frozen=True, slots=True)
class _Near:
    """An allowed entry near a frame as it is; ``views`` is how near it is to views of that frame, by query."""

    distance: int
    entry: EntryRef
    views: dict[int, int] = field(default_factory=dict)


class Allowed:
    """What the allow sets say of one picture.

    Parameters
    ----------
    found
        Everything within reach, of all sets.
    queries
        What was asked.
    policy
        Modes of the sets, and ``allow_distance`` of the algorithms.

    """

    def __init__(self, found: Sequence[Found], queries: Sequence[Query], policy: PolicyConfig) -> None:
        self._policy = policy
        self._files: list[EntryRef] = []
        self._near: dict[tuple[int, str], dict[tuple[str, str], _Near]] = {}
        views = []
        for item in found:
            query = queries[item.query]
            if not allows(item.entry, policy):
                continue
            if kind_of(query.transformation):
                views.append((item, query))
            elif self.counts(item, query):
                self._note(item, query)
        for item, query in views:
            near = self._near.get(_frame(query), {}).get(_name(item.entry))
            if near is not None:
                near.views[item.query] = item.distance

    def counts(self, found: Found, query: Query) -> bool:
        """Whether this entry of an allow set suppresses anything, found by this query."""
        if found.entry.status is not EntryStatus.ACTIVE or kind_of(query.transformation):
            return False
        if query.flat is not None and query.flat > self._policy.max_flat_percent:
            return False
        row = self._policy.algorithms.get(query.algorithm, _NEVER)
        return found.distance <= min(row.allow_distance, row.match_distance)

    def effect(self, found: Found, query: Query) -> tuple[Effect, EntryRef | None]:
        """Return what becomes of a hit of an enforced set, and by which allowed entry."""
        file = next((entry for entry in self._files if _speaks_for(entry, found.entry)), None)
        if file is not None:
            return Effect.CONTRADICTS if _is_digest(query) else Effect.SUPPRESSES, file
        if _is_digest(query):
            return Effect.NONE, None
        contradicting = None
        for distance, entry in self._reviewed(found, query):
            if distance < found.distance:
                return Effect.SUPPRESSES, entry
            if distance == found.distance and contradicting is None:
                contradicting = entry
        return Effect.NONE if contradicting is None else Effect.CONTRADICTS, contradicting

    def _note(self, item: Found, query: Query) -> None:
        """Keep a reviewed file, or how near a frame comes to a reviewed one at best."""
        if _is_digest(query):
            self._files.append(item.entry)
            return
        entries = self._near.setdefault(_frame(query), {})
        before = entries.get(_name(item.entry))
        if before is None or item.distance < before.distance:
            entries[_name(item.entry)] = _Near(item.distance, item.entry)

    def _reviewed(self, found: Found, query: Query) -> Iterator[tuple[int, EntryRef]]:
        """Yield the allowed entries that a hit by nearness is held against, with the distance that counts."""
        is_view = bool(kind_of(query.transformation))
        for near in self._near.get(_frame(query), {}).values():
            distance = near.views.get(found.query) if is_view else near.distance
            if distance is not None and _speaks_for(near.entry, found.entry):
                yield distance, near.entry


def _is_digest(query: Query) -> bool:
    return query.transformation == TRANSFORMATION_OF_DIGESTS


def _frame(query: Query) -> tuple[int, str]:
    """Return what a hash is of, as far as distances may be held against each other: the frame, and the space."""
    return query.frame, algorithm(query.algorithm).space


def _name(entry: EntryRef) -> tuple[str, str]:
    return entry.set_id, entry.entry_id


def _speaks_for(allowed: EntryRef, listed: EntryRef) -> bool:
    """Whether a review for one set's harm says anything of an entry of another set."""
    return allowed.domain in {HarmDomain.OTHER, listed.domain}
