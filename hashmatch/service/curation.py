"""Changes to hash sets: in the catalog first, in every search before the caller is told.

Theory of operation
-------------------
The catalog blocks, so each of its calls runs in a thread, and never in the threads that searches use: short calls in a
small pool, every import and export in a thread of its own, because those last as long as their caller likes.

An import is one transaction fed by a caller's stream, two different paces joined by a :class:`_Feed`: the event loop
puts batches into a bounded queue, the import's thread takes rows out of it. Whatever ends the stream early (the caller
went away, sent nonsense, or fell silent for ``idle_s``) is raised inside the thread's iterator, so the catalog rolls
back by the same path as for any other error, and nothing was imported.

What was changed is recorded by the ``auditor``, and where nothing can be recorded, and must be, nothing is changed.

``publish`` makes the change visible to searches. It is awaited before the result is returned: who has been told that an
entry is withdrawn gets no hit from it any more.

What this module deliberately does not do: it knows no gRPC, and it does not decide what a valid entry is; the catalog
does.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import queue
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from hashmatch.errors import DeadlineExceeded, ImportAborted
from hashmatch.model import (
    Change,
    Entry,
    Event,
    HarmDomain,
    HashSet,
    ImportResult,
    Opinion,
    Rejected,
    SetChanges,
    SetMode,
)
from hashmatch.service.auditor import SILENT, Auditor
from hashmatch.service.following import SetFeed

EXPORT_BATCH: Final = 1_000
"""Entries fetched from the catalog at a time, and the most in one message of an export."""

_BATCHES_AHEAD: Final = 4
"""Batches of an import that may wait for the writer; each is at most one gRPC message."""

_SHORT_CALLS: Final = 4
"""Threads for calls that take milliseconds."""

_STREAMS: Final = 8
"""Imports and exports at once; more wait for their turn."""

_T = TypeVar("_T")


class Rows(Protocol):
    """Entries of one moment, holding a read transaction until closed."""

    def __iter__(self) -> Iterator[Entry]:
        """Return the entries not yet taken."""

    def close(self) -> None:
        """Give the transaction back. Safe to call twice."""


class Changes(Protocol):
    """A change feed of one moment, holding a read transaction until closed."""

    def __iter__(self) -> Iterator[Change]:
        """Return the changes not yet taken."""

    def close(self) -> None:
        """Give the transaction back. Safe to call twice."""


class Catalog(Protocol):
    """The part of the catalog that curation uses."""

    def create_set(
        self,
        name: str,
        domain: HarmDomain,
        *,
        owner: str,
        source: str,
        jurisdiction: str,
        terms: str,
        description: str,
        mode: SetMode,
    ) -> HashSet:
        """Add an empty set. Raises SetExists, BadInput."""

    def sets(self) -> Sequence[HashSet]:
        """Every set, in name order."""

    def get_set(self, name: str) -> HashSet:
        """One set. Raises SetNotFound."""

    def import_entries(self, name: str, rows: Iterable[Entry | Rejected]) -> ImportResult:
        """Add or replace in one transaction; what ``rows`` raises rolls it back and is raised again."""

    def entries(self, name: str) -> Rows:
        """Every entry, in entry_id order, as of one version."""

    def sequence(self) -> int:
        """Return the number of the latest change."""

    def changes(self, since: int) -> Changes:
        """Latest state of all that changed after ``since``, oldest change first, as of one moment."""

    def get_entry(self, name: str, entry_id: str) -> Entry:
        """One entry. Raises SetNotFound, EntryNotFound."""

    def withdraw(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Stop an entry from matching. Raises SetNotFound, EntryNotFound, BadInput."""

    def dispute(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Let an entry match for review only. Raises SetNotFound, EntryNotFound, BadInput."""

    def reinstate(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Let an entry match again. Raises SetNotFound, EntryNotFound, BadInput."""

    def vote(self, name: str, entry_id: str, opinion: Opinion, *, actor: str) -> HashSet:
        """Record an opinion. Raises SetNotFound, EntryNotFound, BadInput."""

    def history(self, name: str, entry_id: str | None = None) -> tuple[Event, ...]:
        """Events of an entry, or of the set itself. Raises SetNotFound, EntryNotFound."""


class Curator:
    """Hash sets for many concurrent callers. Use as an async context manager: closing waits for the threads."""

    def __init__(
        self, catalog: Catalog, publish: Callable[[], Awaitable[Any]], *, idle_s: float, auditor: Auditor = SILENT
    ) -> None:
        self._catalog = catalog
        self._auditor = auditor
        self._publish = publish
        self._idle_s = idle_s
        self._short = ThreadPoolExecutor(_SHORT_CALLS, "hashmatch-catalog")
        self._streams = asyncio.Semaphore(_STREAMS)
        self._open = 0

    def __repr__(self) -> str:
        return f"<Curator: {self._open} imports and exports>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._short.shutdown)

    async def refresh(self) -> None:
        """Bring every committed change of the catalog into the index."""
        await self._publish()

    async def create(self, wanted: HashSet) -> HashSet:
        """Add an empty set; what the catalog assigns is ignored in ``wanted``. Raises SetExists, BadInput."""
        create = functools.partial(
            self._catalog.create_set,
            wanted.name,
            wanted.domain,
            owner=wanted.owner,
            source=wanted.source,
            jurisdiction=wanted.jurisdiction,
            terms=wanted.terms,
            description=wanted.description,
            mode=wanted.mode,
        )
        created = await self._change(create)
        about = {"set": created.name, "set_id": created.set_id, "domain": created.domain.value}
        self._auditor.event("set.created", {**about, "mode": created.mode.value})
        return created

    async def sets(self) -> Sequence[HashSet]:
        """Every set, in name order."""
        return await self._call(self._catalog.sets)

    async def get(self, name: str) -> HashSet:
        """One set. Raises SetNotFound."""
        return await self._call(self._catalog.get_set, name)

    async def withdraw(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Stop an entry from matching, before returning. Raises SetNotFound, EntryNotFound, BadInput."""
        decide = functools.partial(self._catalog.withdraw, name, entry_id, reason=reason, actor=actor)
        return await self._decide("entry.withdrawn", entry_id, decide)

    async def dispute(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Let an entry match for review only, before returning. Raises SetNotFound, EntryNotFound, BadInput."""
        decide = functools.partial(self._catalog.dispute, name, entry_id, reason=reason, actor=actor)
        return await self._decide("entry.disputed", entry_id, decide)

    async def reinstate(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Let an entry match again, before returning. Raises SetNotFound, EntryNotFound, BadInput."""
        decide = functools.partial(self._catalog.reinstate, name, entry_id, reason=reason, actor=actor)
        return await self._decide("entry.reinstated", entry_id, decide)

    async def vote(self, name: str, entry_id: str, opinion: Opinion, *, actor: str) -> HashSet:
        """Record an opinion, in reports before returning. Raises SetNotFound, EntryNotFound, BadInput."""
        decide = functools.partial(self._catalog.vote, name, entry_id, opinion, actor=actor)
        return await self._decide("entry.voted", entry_id, decide)

    async def entry(self, name: str, entry_id: str) -> Entry:
        """One entry. Raises SetNotFound, EntryNotFound."""
        return await self._call(self._catalog.get_entry, name, entry_id)

    async def history(self, name: str, entry_id: str | None) -> tuple[Event, ...]:
        """Events of an entry, or of the set itself, oldest first. Raises SetNotFound, EntryNotFound."""
        return await self._call(self._catalog.history, name, entry_id)

    async def import_entries(self, name: str, batches: AsyncIterator[Iterable[Entry | Rejected]]) -> ImportResult:
        """Add or replace the entries of ``batches`` in one transaction, visible to searches when this returns.

        Raises
        ------
        SetNotFound
            The stream is then hardly read.
        DeadlineExceeded
            No batch came for ``idle_s``.
        HashmatchError
            Whatever ``batches`` raises. In all cases nothing was imported.

        """
        self._auditor.admit()
        async with self._thread() as in_thread:
            feed = _Feed(asyncio.get_running_loop(), self._idle_s)
            feeding = asyncio.create_task(feed.fill(batches))
            feeding.add_done_callback(feed.end)
            try:
                result: ImportResult = await in_thread(self._catalog.import_entries, name, feed.rows())
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
        await self._publish()
        hash_set = result.hash_set
        about = {"set": hash_set.name, "set_id": hash_set.set_id, "set_version": hash_set.version}
        counts = {"added": result.added, "updated": result.updated, "rejected": result.rejected}
        self._auditor.event("set.imported", {**about, **counts})
        return result

    async def export(self, name: str) -> AsyncGenerator[tuple[HashSet, Sequence[Entry]], None]:
        """Every entry in batches of at most EXPORT_BATCH, each with the set at that version. Raises SetNotFound.

        An empty set gives one empty batch.
        """
        async with self._thread() as in_thread:
            hash_set, rows = await in_thread(self._pinned, name)
            try:
                while True:
                    batch = await in_thread(_take, rows)
                    yield hash_set, batch
                    if len(batch) < EXPORT_BATCH:
                        return
            finally:
                await in_thread(rows.close)

    async def follow(self, name: str, *, set_id: str, since: int) -> AsyncGenerator[SetChanges, None]:
        """Yield the changes to a set after ``since``, up to now; all of them where that is not of this set.

        Raises
        ------
        SetNotFound
            There is no such set.

        """
        async with self._thread() as in_thread:
            hash_set: HashSet = await in_thread(self._catalog.get_set, name)
            ours = hash_set.set_id == set_id and since <= await in_thread(self._catalog.sequence)
            changes: Changes = await in_thread(self._catalog.changes, since if ours else 0)
            feed = SetFeed(iter(changes), hash_set, since if ours else 0)
            try:
                while True:
                    batch = await in_thread(feed.take)
                    yield batch
                    if batch.complete:
                        return
            finally:
                await in_thread(changes.close)

    def _pinned(self, name: str) -> tuple[HashSet, Rows]:
        """Return a set and its entries of the same version."""
        while True:
            before = self._catalog.get_set(name)
            rows = self._catalog.entries(name)
            if self._catalog.get_set(name).version == before.version:
                return before, rows
            rows.close()

    async def _decide(self, kind: str, entry_id: str, decide: Callable[[], HashSet]) -> HashSet:
        """Run a call that changes an entry, make the change visible to searches, and record it."""
        changed = await self._change(decide)
        about = {"set": changed.name, "set_version": changed.version}
        self._auditor.entry(kind, changed.set_id, entry_id, about)
        return changed

    async def _change(self, decide: Callable[[], HashSet]) -> HashSet:
        """Run a call that changes the catalog, and make the change visible to searches."""
        self._auditor.admit()
        changed = await self._call(decide)
        await self._publish()
        return changed

    async def _call(self, function: Callable[..., _T], *args: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._short, function, *args)

    @contextlib.asynccontextmanager
    async def _thread(self) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
        """Give one import or export its thread; what is called in it runs in order, even after a cancellation."""
        async with self._streams:
            self._open += 1
            thread = ThreadPoolExecutor(1, "hashmatch-catalog-stream")
            try:
                yield functools.partial(asyncio.get_running_loop().run_in_executor, thread)
            finally:
                self._open -= 1
                thread.shutdown(wait=False)


class _Feed:
    """Rows for a thread, filled from the event loop; both ends block rather than pile up."""

    def __init__(self, loop: asyncio.AbstractEventLoop, idle_s: float) -> None:
        self._loop = loop
        self._idle_s = idle_s
        self._room = asyncio.Semaphore(_BATCHES_AHEAD)
        self._batches: queue.SimpleQueue[Iterable[Entry | Rejected] | BaseException | None] = queue.SimpleQueue()

    async def fill(self, batches: AsyncIterator[Iterable[Entry | Rejected]]) -> None:
        """Take from ``batches`` until they end. Raises DeadlineExceeded when none comes for ``idle_s``."""
        while True:
            await self._room.acquire()
            try:
                async with asyncio.timeout(self._idle_s):
                    batch = await anext(batches, None)
            except TimeoutError as error:
                raise DeadlineExceeded(
                    f"no entries came for {self._idle_s:g} s (server.import_idle_s); nothing was imported"
                ) from error
            if batch is None:
                return
            self._batches.put(batch)

    def end(self, filling: asyncio.Task[None]) -> None:
        """Tell the thread how ``filling`` ended: with the stream's end, an error, or a caller who went away."""
        self._batches.put(ImportAborted() if filling.cancelled() else filling.exception())

    def rows(self) -> Iterator[Entry | Rejected]:
        """Every row, in the thread that asks. Raises what ended the stream early."""
        while True:
            batch = self._batches.get()
            if batch is None:
                return
            if isinstance(batch, BaseException):
                raise batch
            self._loop.call_soon_threadsafe(self._room.release)
            yield from batch


def _take(rows: Rows) -> list[Entry]:
    return list(itertools.islice(rows, EXPORT_BATCH))
