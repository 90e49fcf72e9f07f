"""The asynchronous client's calls about hash sets.

Theory of operation
-------------------
:class:`AsyncHashSets` is the half of the client that fills sets, reads them, decides about their entries and votes on
them; the other half (``aio``) has the connection and says how calls are made.

What this module deliberately does not do: it opens no channel.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from hashmatch.client.aio_calls import AsyncCalls
from hashmatch.client.transport import AsyncItems, async_each, async_heard
from hashmatch.client.wire import Outgoing, wall
from hashmatch.model import Entry, Event, HarmDomain, HashSet, ImportResult, Opinion, SetChanges, SetMode
from hashmatch.report.changes import set_changes_from_proto
from hashmatch.report.opinions import event_from_proto, opinion_to_proto
from hashmatch.report.proto import (
    entry_from_proto,
    entry_to_proto,
    hash_set_from_proto,
    hash_set_to_proto,
    import_result_from_proto,
)
from hashmatch.v1 import hashset_pb2

IMPORT_MESSAGE_ENTRIES: Final = 1_000
IMPORT_MESSAGE_BYTES: Final = 1 << 20
"""An import's messages are closed at either: large enough to be cheap, small enough to overlap with storing."""


class AsyncHashSets(AsyncCalls):
    """The calls of HashSetService."""

    async def create_hash_set(
        self,
        name: str,
        domain: HarmDomain,
        *,
        owner: str = "",
        source: str = "",
        jurisdiction: str = "",
        terms: str = "",
        description: str = "",
        mode: SetMode = SetMode.ENFORCED,
        timeout_s: float | None = None,
    ) -> HashSet:
        """Add an empty set.

        Raises
        ------
        SetExists
            There is one of that name.
        BadInput
            The name is not valid.
        ServiceUnavailable, DeadlineExceeded
            It is not known whether the set was added.

        """
        wanted = HashSet("", name, domain, owner, source, jurisdiction, terms, description, mode)
        request = hashset_pb2.CreateHashSetRequest(hash_set=hash_set_to_proto(wanted))
        return hash_set_from_proto(await self._once(self._services.hash_sets.CreateHashSet, request, timeout_s))

    async def hash_sets(self, *, timeout_s: float | None = None) -> list[HashSet]:
        """Every set, in name order. Raises ServiceUnavailable, DeadlineExceeded."""
        request = hashset_pb2.ListHashSetsRequest()
        response = await self._repeatable(self._services.hash_sets.ListHashSets, request, timeout_s)
        return [hash_set_from_proto(item) for item in response.hash_sets]

    async def hash_set(self, name: str, *, timeout_s: float | None = None) -> HashSet:
        """One set. Raises SetNotFound, ServiceUnavailable, DeadlineExceeded."""
        request = hashset_pb2.GetHashSetRequest(name=name)
        return hash_set_from_proto(await self._repeatable(self._services.hash_sets.GetHashSet, request, timeout_s))

    async def import_entries(
        self, name: str, entries: AsyncItems[Entry], *, timeout_s: float | None = None
    ) -> ImportResult:
        """Add or replace entries in one transaction, searchable when this returns.

        Parameters
        ----------
        name : str
            The set, which must exist.
        entries : iterable of Entry
            Read once and never held at once. What it raises is raised here, and nothing was imported.
        timeout_s : float, optional
            For the whole import; none by default.

        Returns
        -------
        ImportResult
            Entries that were refused are listed with position and reason; the others were imported.

        Raises
        ------
        SetNotFound, ServiceUnavailable, DeadlineExceeded, ImportAborted
            Nothing was imported, except that after losing the connection at the very end it is not known.

        """
        outgoing = Outgoing()
        requests = _import_requests(name, entries, outgoing)
        self._calls += 1
        with wall(self._target, outgoing):
            call = self._services.hash_sets.ImportEntries(requests, timeout=timeout_s)
            response = await async_heard(call, outgoing)
        return import_result_from_proto(response)

    async def export_entries(self, name: str, *, timeout_s: float | None = None) -> AsyncGenerator[Entry, None]:
        """Every entry of a set, withdrawn ones included, in entry_id order, as of one version.

        Raises
        ------
        SetNotFound, ServiceUnavailable, DeadlineExceeded
            After an error the export is not complete.

        """
        call = self._services.hash_sets.ExportEntries(hashset_pb2.ExportEntriesRequest(name=name), timeout=timeout_s)
        self._calls += 1
        try:
            with wall(self._target):
                async for response in call:
                    for entry in response.entries:
                        yield entry_from_proto(entry)
        finally:
            call.cancel()

    async def follow(
        self, name: str, *, set_id: str = "", since: int = 0, timeout_s: float | None = None
    ) -> AsyncGenerator[SetChanges, None]:
        """Follow a set: what changed in it after a sequence, oldest first, up to now. For keeping a copy of it.

        Parameters
        ----------
        name : str
            The set.
        set_id, since : str, int
            ``hash_set.set_id`` and ``sequence`` of the last changes that were taken in; everything by default, and
            wherever they are not of this set, as ``from_beginning`` says.
        timeout_s : float, optional
            For the whole call; none by default.

        Raises
        ------
        SetNotFound, ServiceUnavailable, DeadlineExceeded
            After an error, go on from the last ``sequence``.

        """
        request = hashset_pb2.FollowHashSetRequest(name=name, set_id=set_id, since=since)
        call = self._services.hash_sets.FollowHashSet(request, timeout=timeout_s)
        self._calls += 1
        try:
            with wall(self._target):
                async for response in call:
                    yield set_changes_from_proto(response)
        finally:
            call.cancel()

    async def withdraw_entry(
        self, name: str, entry_id: str, *, reason: str, actor: str, timeout_s: float | None = None
    ) -> HashSet:
        """Stop an entry from matching, before this returns; reason and actor are kept with it.

        Raises
        ------
        SetNotFound, EntryNotFound, BadInput
            Nothing was changed.
        ServiceUnavailable, DeadlineExceeded
            It is not known whether the entry was withdrawn; doing it again is harmless.

        """
        request = hashset_pb2.WithdrawEntryRequest(set_name=name, entry_id=entry_id, reason=reason, actor=actor)
        return hash_set_from_proto(await self._once(self._services.hash_sets.WithdrawEntry, request, timeout_s))

    async def dispute_entry(
        self, name: str, entry_id: str, *, reason: str, actor: str, timeout_s: float | None = None
    ) -> HashSet:
        """Let an entry's hits be possible matches at most, before this returns. Raises as :meth:`withdraw_entry`."""
        request = hashset_pb2.DisputeEntryRequest(set_name=name, entry_id=entry_id, reason=reason, actor=actor)
        return hash_set_from_proto(await self._once(self._services.hash_sets.DisputeEntry, request, timeout_s))

    async def reinstate_entry(
        self, name: str, entry_id: str, *, reason: str, actor: str, timeout_s: float | None = None
    ) -> HashSet:
        """Take a dispute, quarantine or withdrawal back, before this returns. Raises as :meth:`withdraw_entry`."""
        request = hashset_pb2.ReinstateEntryRequest(set_name=name, entry_id=entry_id, reason=reason, actor=actor)
        return hash_set_from_proto(await self._once(self._services.hash_sets.ReinstateEntry, request, timeout_s))

    async def vote_entry(
        self, name: str, entry_id: str, opinion: Opinion, *, actor: str, timeout_s: float | None = None
    ) -> HashSet:
        """Record what a party thinks of an entry; it moves nothing by itself. Raises as :meth:`withdraw_entry`."""
        request = hashset_pb2.VoteEntryRequest(
            set_name=name, entry_id=entry_id, opinion=opinion_to_proto(opinion), actor=actor
        )
        return hash_set_from_proto(await self._once(self._services.hash_sets.VoteEntry, request, timeout_s))

    async def entry(self, name: str, entry_id: str, *, timeout_s: float | None = None) -> Entry:
        """One entry with the opinions that hold.

        Raises
        ------
        SetNotFound, EntryNotFound, ServiceUnavailable, DeadlineExceeded
            There is none, or the service could not answer.

        """
        request = hashset_pb2.GetEntryRequest(set_name=name, entry_id=entry_id)
        return entry_from_proto(await self._repeatable(self._services.hash_sets.GetEntry, request, timeout_s))

    async def history(
        self, name: str, entry_id: str | None = None, *, timeout_s: float | None = None
    ) -> tuple[Event, ...]:
        """Who decided and thought what of an entry, or of the set itself, oldest first. Raises as :meth:`entry`."""
        request = hashset_pb2.GetHistoryRequest(set_name=name, entry_id=entry_id or "")
        response = await self._repeatable(self._services.hash_sets.GetHistory, request, timeout_s)
        return tuple(event_from_proto(event) for event in response.events)


async def _import_requests(
    name: str, entries: AsyncItems[Entry], outgoing: Outgoing
) -> AsyncIterator[hashset_pb2.ImportEntriesRequest]:
    message = hashset_pb2.ImportEntriesRequest(set_name=name)
    size_bytes = 0
    with outgoing.watched():
        async for entry in async_each(entries):
            converted = entry_to_proto(entry)
            message.entries.append(converted)
            size_bytes += converted.ByteSize()
            if len(message.entries) >= IMPORT_MESSAGE_ENTRIES or size_bytes >= IMPORT_MESSAGE_BYTES:
                yield message
                message = hashset_pb2.ImportEntriesRequest()
                size_bytes = 0
    message.last = True
    yield message
