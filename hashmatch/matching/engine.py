"""The use case: hash → search → decide. The one place that knows the order.

Theory of operation
-------------------
:class:`Engine` takes two ports. A :class:`Hasher` turns a stranger's bytes into hashes somewhere safe; an
:class:`Index` finds known hashes on one generation. Digests are computed here, of large images in a thread while the
hasher works: they need no decoding, and a known file is recognised even when its picture cannot be decoded.

Only algorithms that may decide *and* occur in a list are computed. Should a list bring a new algorithm while a picture
is being hashed, the picture is hashed again, so that the generation a report names was searched with everything that
it holds.

Most copies are what they seem, so the cheap views come first. Only what matches nothing with them is hashed again with
all views, where the policy says so; that costs a second decoding. The first look asks for matches alone, since the wide
reach of the review band is the dearest part of a search, and whatever does not match comes to the second.

Most uploads are near nothing. Where ``decode.fidelity`` allows it, the first look may be at approximate hashes, which
settle only that (``screening``). Anything else is looked at again, exactly, and what the first look saw is forgotten.

What a picture asks is searched for at once where that is soon done (:func:`at_once_s`), and otherwise in a thread,
together with what others ask meanwhile (``lookups``). Nobody is refused there: whoever asks has waited for the hasher
already, which lets no more through than it has workers for.

What this module deliberately does not do: it names no backend, stores nothing, logs nothing, and holds no image longer
than the call.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import math
import os
import uuid
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from hashmatch.config import PolicyConfig
from hashmatch.errors import DeadlineExceeded, SetNotFound
from hashmatch.hashing import algorithms
from hashmatch.hashing.digests import digest
from hashmatch.matching import policy as rules
from hashmatch.matching import screening
from hashmatch.matching.given import HashedItem, check_hashes
from hashmatch.matching.lookups import Lookups
from hashmatch.matching.policy import Evidence
from hashmatch.matching.rescan import Newer, Rescan
from hashmatch.matching.searching import Scope, search_each
from hashmatch.matching.stopwatch import Stopwatch
from hashmatch.matching.together import Lists, Together
from hashmatch.model import (
    Digests,
    EntryHash,
    Fidelity,
    HashOptions,
    MatchReport,
    Picture,
    Query,
    SearchResult,
    Verdict,
    Views,
)

_QUALITY_ALGORITHM = "pdq"
"""Always computed: its quality gates every other perceptual hash."""
_DIGESTED_AT_ONCE_BYTES = 256 << 10
"""0.7 ms of the event loop at most. In a thread it takes the loop longer, to wake it, to be woken, and to pass the
interpreter back and forth: a service on two cores answered a tenth less images of 148 kB."""
_FEW_CORES = 2
"""So few that hashing keeps them busy: a search in a thread takes turns with the event loop. On more both run."""
_SEARCHED_AT_ONCE_S = 0.5e-3
"""A picture's queries take 0.3 to 0.5 ms against a hundred thousand entries, and 0.8 against a million. With twice as
much a service on two cores answered no more, and refused half as soon under twice its load."""
_WAKING_S = 0.15e-3
"""What waking a thread costs the event loop: a search that takes no longer belongs there whatever is free."""
_OUR_OWN = "pdq-canonical"
"""Computed by nobody else, and of no use to whoever keeps hashes."""


class Hasher(Protocol):
    """Turns an untrusted image into hashes. Refusals are values; only overload and unavailability are errors."""

    async def hash(self, image: bytes, options: HashOptions, *, deadline_s: float | None = None) -> Picture:
        """Hash one image. Cancelling stops the work."""


class Index(Lists, Protocol):
    """Finds known hashes. Every method answers from one whole generation."""

    def newer(self, since: str) -> Newer:
        """Return a view of the entries that changed after a generation. Raises IndexNotLoaded, BadInput."""

    def algorithms(self) -> frozenset[str]:
        """Names of the algorithms that could find something: every one whose space holds a value."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One uploaded image. ``sets`` None means all; ``deadline_s`` is the caller's patience in seconds from now."""

    image: bytes
    request_id: str = ""
    sets: frozenset[str] | None = None
    deadline_s: float | None = None

    def __repr__(self) -> str:
        """Never show the image: a repr may end up in a log."""
        return f"Submission({len(self.image)} bytes, request_id={self.request_id!r}, sets={self.sets})"


class Engine:
    """Answers requests. Safe for any number of concurrent calls."""

    def __init__(
        self,
        hasher: Hasher,
        index: Index,
        policy: PolicyConfig,
        *,
        max_hits: int,
        fidelity: Fidelity = Fidelity.EXACT,
        queue_ms: int = 2_000,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._hasher = hasher
        self._index = index
        self._policy = policy
        self._matches_only = rules.without_review(policy)
        self._max_hits = max_hits
        self._fidelity = fidelity
        self._now = now
        self._deciding = rules.deciding_algorithms(policy)
        self._perceptual = frozenset(algorithms.perceptual_names())
        self._view_algorithms = algorithms.views_algorithms(policy.views)
        together = Together(index, policy, max_hits=max_hits, now=now)
        self._lookups = Lookups(together.answer, queue_ms)
        self._searches = Lookups(self._search, math.inf, at_once_s=at_once_s(len(os.sched_getaffinity(0))), alone=True)

    async def detect(self, submission: Submission) -> MatchReport:
        """Hash, search, decide.

        Raises
        ------
        DeadlineExceeded
            ``submission.deadline_s`` passed; the work was stopped.
        Overloaded
            All workers are busy and the queue is full.
        IndexNotLoaded
            There is nothing to search yet; never answered as "no match".
        SetNotFound
            A name in ``submission.sets`` is not a set of the current generation.

        """
        try:
            async with asyncio.timeout(submission.deadline_s):
                return await self._detect(submission)
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"no answer within the caller's deadline of {submission.deadline_s:.3f} s; the work was stopped"
            ) from error

    async def detect_hashes(self, items: Sequence[HashedItem], sets: frozenset[str] | None = None) -> list[MatchReport]:
        """Search and decide for hashes that the caller computed; reports come in the order of ``items``.

        Raises
        ------
        BadInput
            A value has the wrong length, or the algorithm is unknown; ``field`` names the item and the hash.
        Overloaded
            So many lookups wait already that these would wait for longer than ``queue_ms``.
        IndexNotLoaded, SetNotFound
            As for :meth:`detect`.

        """
        self._check_sets(sets)
        for number, item in enumerate(items):
            check_hashes(item, f"items[{number}]")
        return await self._lookups.run(items, sets)

    def check_room_for_hashes(self) -> None:
        """Refuse hashes that nobody has read yet and that would wait for too long. Raises Overloaded."""
        self._lookups.check_room()

    def served_sets(self) -> Collection[str]:
        """Return the names of the sets of the current generation; raises IndexNotLoaded."""
        return self._index.modes().keys()

    def rescan(self, since: str, sets: frozenset[str] | None = None) -> Rescan:
        """Begin to hold kept hashes against what is new since a generation; its ``answer`` blocks.

        Raises
        ------
        BadInput
            ``since`` is no name of a generation.
        IndexNotLoaded, SetNotFound
            As for :meth:`detect`.

        """
        self._check_sets(sets)
        newer = self._index.newer(since)
        return Rescan(newer, self._index, self._policy, sets=sets, max_hits=self._max_hits, now=self._now)

    async def _detect(self, submission: Submission) -> MatchReport:
        watch = Stopwatch()
        self._check_sets(submission.sets)
        digesting = _digesting(submission.image)
        level: Views = Views.CHEAP if self._policy.views is Views.FULL else self._policy.views
        fidelity, seen = self._fidelity, Picture()
        while True:
            watch.start("sandbox")
            computed = self._wanted()
            views = level if self._views_may_find() else Views.NONE
            options = HashOptions(algorithms=computed, views=views, fidelity=fidelity)
            picture = await self._hasher.hash(submission.image, options, deadline_s=watch.left_s(submission.deadline_s))
            seen = _both(seen, picture)
            digests = await digesting
            last = level is self._policy.views or views is Views.NONE
            policy = self._policy if last else self._matches_only
            values = self._index.values(submission.sets)
            screened = _screened(seen)
            queries = rules.queries_for_digests(digests, policy)
            queries += (screening if screened else rules).queries_for(seen.hashes, policy, values)
            watch.start("search")
            (result,) = await self._searches.run([queries], submission.sets, len(queries))
            watch.start("policy")
            evidence = Evidence(
                queries=queries,
                found=result.found,
                media=seen.media,
                quality=rules.picture_quality(seen),
                refusal=seen.refusal,
                detail=seen.detail,
                values=values,
            )
            decision = rules.decide(evidence, policy, max_hits=self._max_hits)
            if picture.refusal is None and not self._wanted() <= computed:
                continue
            if screened and not screening.settles(seen.hashes, result.found, self._policy):
                fidelity = Fidelity.EXACT
                continue
            if last or picture.refusal is not None or decision.verdict is Verdict.MATCH:
                break
            level, fidelity = self._policy.views, Fidelity.EXACT
        stages = {"queue": seen.queue_us, "decode": seen.decode_us, "hash": seen.hash_us}
        return rules.reported(
            decision,
            request_id=submission.request_id or uuid.uuid4().hex,
            generation=result.generation,
            created_at=self._now(),
            quality=evidence.quality,
            truncated=result.truncated,
            digests=digests,
            media=seen.media,
            elapsed_us=stages | watch.stop(),
            hashes=_as_it_is(seen),
        )

    def _wanted(self) -> frozenset[str]:
        """Perceptual algorithms that may decide and occur in a list, and the one that tells the quality."""
        return (self._deciding & self._index.algorithms() & self._perceptual) | {_QUALITY_ALGORITHM}

    def _views_may_find(self) -> bool:
        """Whether the hashes of views may decide and could be near a value in a list."""
        return bool(self._view_algorithms & self._deciding & self._index.algorithms())

    def _search(self, asked: Sequence[tuple[Query, ...]], sets: frozenset[str] | None) -> list[SearchResult]:
        """Search for what each picture asks; what decides nothing does not crowd out what does."""
        return search_each(self._index, asked, Scope(sets, self._index.modes(), self._max_hits), self._policy)

    def _check_sets(self, sets: frozenset[str] | None) -> None:
        unknown = sorted(sets - self._index.modes().keys()) if sets else []
        if unknown:
            raise SetNotFound(f"no hash set named {unknown[0]!r} is being served", field="sets")


def at_once_s(cores: int) -> float:
    """Return the seconds that a picture's search may take of the event loop where there are so many cores."""
    return _SEARCHED_AT_ONCE_S if cores <= _FEW_CORES else _WAKING_S


def _both(before: Picture, after: Picture) -> Picture:
    """Join two looks at one picture: the later one counts, the times add up.

    What the first look saw is kept where the second one, which works harder, did not come to an end; but never what it
    saw approximately.
    """
    kept = Picture() if _screened(before) else before
    return dataclasses.replace(
        after,
        media=after.media or kept.media,
        hashes=after.hashes or kept.hashes,
        queue_us=before.queue_us + after.queue_us,
        decode_us=before.decode_us + after.decode_us,
        hash_us=before.hash_us + after.hash_us,
    )


def _as_it_is(picture: Picture) -> tuple[EntryHash, ...]:
    """Return the exact hashes of the first frame that others compute too, nothing undone."""
    if _screened(picture):
        return ()
    return tuple(
        EntryHash(item.algorithm, item.value, item.quality)
        for item in picture.hashes
        if item.transformation == "orig" and item.frame == 0 and item.algorithm != _OUR_OWN
    )


def _digesting(image: bytes) -> Awaitable[Digests]:
    """Begin to digest an image: beside its hashing, or at once where waking a thread takes longer than that."""
    loop = asyncio.get_running_loop()
    if len(image) > _DIGESTED_AT_ONCE_BYTES:
        return loop.run_in_executor(None, digest, image)
    digests = loop.create_future()
    digests.set_result(digest(image))
    return digests


def _screened(picture: Picture) -> bool:
    """Whether the hashes are approximate."""
    return picture.media is not None and picture.media.fidelity is Fidelity.SCREEN
