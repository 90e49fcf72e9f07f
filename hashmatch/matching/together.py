"""Answering for many items of given hashes with one search.

Theory of operation
-------------------
A search costs as much to begin as a query costs to answer, and so does making out what a hash may decide. Both are done
once for many items here. Queries of all items go to the index together, and what is found is given back to the item
whose query found it. What does not depend on the values of the hashes, only on their algorithms and qualities, is an
item's :class:`_Shape`: which of its hashes are asked, how far they reach, and what the answer is where nothing is
found. Shapes are kept as long as the lists do not change their lengths.

An item with a query that met as many entries as are kept may have met more. It is searched once more by itself, by
:func:`searching.search`, so that what decides nothing crowds out nothing, and no other item is told that it was cut.

All reports of one call say the same generation, time and stages: of the latter each has an equal share, so that their
sum is what the call took.

What this module deliberately does not do: it checks no hashes (``given``) and waits for nothing (``lookups``).
"""

from __future__ import annotations

import datetime as dt
import functools
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hashmatch.config import PolicyConfig
from hashmatch.hashing import algorithms
from hashmatch.matching import policy as rules
from hashmatch.matching.given import HashedItem, quality_of
from hashmatch.matching.policy import Decision, Evidence
from hashmatch.matching.searching import Scope, Searches, by_asker, crowded, search
from hashmatch.matching.stopwatch import Stopwatch
from hashmatch.model import EntryHash, Found, MatchReport, Query, SetMode

_SHAPES_KEPT: Final = 1_024
"""Shapes of one state of the lists; real callers have one or two, and whoever makes up more gets no memory for it."""
_STATES_KEPT: Final = 64
"""States of the lists, of which each choice of sets has its own."""
_PLACE_BYTES: Final = 4


class Lists(Searches, Protocol):
    """What the engine's index says of its lists."""

    def modes(self) -> Mapping[str, SetMode]:
        """Modes of the sets in the current generation, by name."""

    def values(self, sets: frozenset[str] | None) -> Mapping[str, int]:
        """Count the values in these sets that a query of each algorithm could hit."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is the same for all items whose hashes have the same algorithms and qualities.

    ``asked`` : for every hash that is asked, its place in the item, and the query but for its value.
    """

    asked: tuple[tuple[int, Query], ...]
    quality: int | None
    nothing: Decision


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is said of one item."""

    decision: Decision
    generation: str
    truncated: bool


class Together:
    """Answers for items. Blocks; any thread may call it."""

    def __init__(self, index: Lists, policy: PolicyConfig, *, max_hits: int, now: Callable[[], dt.datetime]) -> None:
        self._index = index
        self._policy = policy
        self._max_hits = max_hits
        self._now = now
        self._digests = frozenset(algorithms.digest_names())
        self._shapes = functools.lru_cache(_STATES_KEPT)(self._made_shapes)

    def answer(self, items: Sequence[HashedItem], sets: frozenset[str] | None) -> list[MatchReport]:
        """Search and decide for all items, whose hashes are valid; reports come in their order.

        Raises
        ------
        IndexNotLoaded
            There is nothing to search yet.
        SetNotFound
            A name in ``sets`` is not a set of the current generation.

        """
        watch = Stopwatch()
        values = self._index.values(sets)
        shapes = self._shapes(tuple(values.items()))
        shaped = [shapes[tuple([(given.algorithm, given.quality) for given in item.hashes])] for item in items]
        queries, begins = _asked(items, shaped)
        watch.start("search")
        result = self._index.search(queries, sets=sets, max_hits=self._max_hits)
        met = by_asker(result.found, begins)
        again = crowded(met, self._max_hits) if result.truncated else frozenset[int]()
        watch.start("policy")
        answers = []
        for number, shape in enumerate(shaped):
            found = met.get(number)
            if found is None:
                answers.append(_Answer(shape.nothing, result.generation, truncated=False))
                continue
            own = tuple(queries[begins[number] : begins[number + 1]])
            if number in again:
                answers.append(self._alone(own, shape, values, sets))
                continue
            decision = self._decide(own, tuple(found), shape, values)
            answers.append(_Answer(decision, result.generation, truncated=False))
        stages = {stage: round(took_us / max(1, len(items))) for stage, took_us in watch.stop().items()}
        now = self._now()
        return [
            rules.reported(
                answer.decision,
                request_id=item.request_id or uuid.uuid4().hex,
                generation=answer.generation,
                created_at=now,
                quality=shape.quality,
                truncated=answer.truncated,
                elapsed_us=stages,
                hashes=item.hashes,
            )
            for item, answer, shape in zip(items, answers, shaped, strict=True)
        ]

    def _alone(
        self, queries: tuple[Query, ...], shape: _Shape, values: Mapping[str, int], sets: frozenset[str] | None
    ) -> _Answer:
        """Answer for an item that met more than is kept, by a search of its own."""
        result = search(self._index, queries, Scope(sets, self._index.modes(), self._max_hits), self._policy)
        decision = self._decide(queries, result.found, shape, values)
        return _Answer(decision, result.generation, result.truncated)

    def _decide(
        self, queries: tuple[Query, ...], found: tuple[Found, ...], shape: _Shape, values: Mapping[str, int]
    ) -> Decision:
        evidence = Evidence(queries=queries, found=found, quality=shape.quality, values=values)
        return rules.decide(evidence, self._policy, max_hits=self._max_hits)

    def _made_shapes(self, values: tuple[tuple[str, int], ...]) -> _Shapes:
        return _Shapes(functools.partial(self._shape, dict(values)))

    def _shape(self, values: Mapping[str, int], kinds: tuple[tuple[str, int | None], ...]) -> _Shape:
        """Make the shape of items with these algorithms and qualities.

        The hashes that the policy is shown have their places for values, so that it says which ones it asks.
        """
        places = [
            EntryHash(name, place.to_bytes(_PLACE_BYTES, "big"), quality) for place, (name, quality) in enumerate(kinds)
        ]
        queries = rules.queries_for_given(places, self._policy, self._digests, values)
        quality = quality_of(HashedItem(tuple(places)))
        nothing = rules.decide(
            Evidence(queries=queries, found=(), quality=quality, values=values), self._policy, max_hits=self._max_hits
        )
        return _Shape(tuple((int.from_bytes(query.value, "big"), query) for query in queries), quality, nothing)


class _Shapes(dict[tuple[tuple[str, int | None], ...], _Shape]):
    """Shapes by algorithms and qualities, made when they are first asked for."""

    def __init__(self, make: Callable[[tuple[tuple[str, int | None], ...]], _Shape]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, kinds: tuple[tuple[str, int | None], ...]) -> _Shape:
        if len(self) >= _SHAPES_KEPT:
            self.clear()
        shape = self[kinds] = self._make(kinds)
        return shape


def _asked(items: Sequence[HashedItem], shaped: Sequence[_Shape]) -> tuple[list[Query], list[int]]:
    """Return the queries of all items, and where those of each begin and the last ones end."""
    queries, begins = list[Query](), [0]
    for item, shape in zip(items, shaped, strict=True):
        hashes = item.hashes
        for place, like in shape.asked:
            queries.append(
                Query(
                    like.algorithm, hashes[place].value, like.max_distance, like.transformation, like.frame,
                    like.quality, like.flat,
                )
            )  # fmt: skip
        begins.append(len(queries))
    return queries, begins
