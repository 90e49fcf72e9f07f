"""Handlers of HashSetService: translate, call, translate.

An entry that cannot be translated is a rejected row with its position and reason, not the end of an import; a stream
that breaks is the end of it, and nothing was imported (``curation``).
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from hashmatch.errors import BadInput, HashmatchError
from hashmatch.identity import actor
from hashmatch.model import Entry, Rejected
from hashmatch.report.changes import set_changes_to_proto
from hashmatch.report.opinions import event_to_proto, opinion_from_proto
from hashmatch.report.proto import (
    entry_from_proto,
    entry_to_proto,
    hash_set_from_proto,
    hash_set_to_proto,
    import_result_to_proto,
)
from hashmatch.service.curation import Curator
from hashmatch.service.purview import own_set, own_sets
from hashmatch.v1 import hashset_pb2, hashset_pb2_grpc


class HashSetHandlers(hashset_pb2_grpc.HashSetServiceServicer):
    """Create, list, show, import, export; decide about entries and vote on them."""

    def __init__(self, curator: Curator) -> None:
        self._curator = curator

    async def CreateHashSet(  # noqa: N802  gRPC's name
        self,
        request: hashset_pb2.CreateHashSetRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> hashset_pb2.HashSet:
        """Add an empty set."""
        with _fields("hash_set."):
            wanted = hash_set_from_proto(request.hash_set)
            own_set(wanted.name, "name")
            created = await self._curator.create(wanted)
        return hash_set_to_proto(created)

    async def ListHashSets(  # noqa: N802  gRPC's name
        self,
        request: hashset_pb2.ListHashSetsRequest,  # noqa: ARG002  gRPC's signature
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> hashset_pb2.ListHashSetsResponse:
        """Every set that is the caller's, in name order."""
        hash_sets = own_sets(await self._curator.sets())
        return hashset_pb2.ListHashSetsResponse(hash_sets=[hash_set_to_proto(item) for item in hash_sets])

    async def GetHashSet(  # noqa: N802  gRPC's name
        self,
        request: hashset_pb2.GetHashSetRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> hashset_pb2.HashSet:
        """One set by name."""
        return hash_set_to_proto(await self._curator.get(own_set(request.name, "name")))

    async def ImportEntries(  # noqa: N802  gRPC's name
        self,
        request_iterator: Any,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> hashset_pb2.ImportEntriesResponse:
        """Add or replace the stream's entries in one transaction."""
        requests = aiter(request_iterator)
        first = await anext(requests, None)
        if first is None or not first.set_name:
            raise BadInput("set_name: the first message of an import names the set", field="set_name")
        with _fields(name="set_name"):
            result = await self._curator.import_entries(own_set(first.set_name), _batches(first, requests))
        return import_result_to_proto(result)

    async def ExportEntries(  # noqa: N802  gRPC's name
        self,
        request: hashset_pb2.ExportEntriesRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> AsyncIterator[hashset_pb2.ExportEntriesResponse]:
        """Send the entries in batches, the first together with the set."""
        described = False
        async with contextlib.aclosing(self._curator.export(own_set(request.name, "name"))) as batches:
            async for hash_set, entries in batches:
                yield hashset_pb2.ExportEntriesResponse(
                    hash_set=None if described else hash_set_to_proto(hash_set),
                    entries=[entry_to_proto(entry) for entry in entries],
                )
                described = True

    async def FollowHashSet(  # noqa: N802  gRPC's name
        self,
        request: hashset_pb2.FollowHashSetRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> AsyncIterator[hashset_pb2.FollowHashSetResponse]:
        """Send what changed since, up to now."""
        following = self._curator.follow(own_set(request.name, "name"), set_id=request.set_id, since=request.since)
        async with contextlib.aclosing(following) as batches:
            async for changes in batches:
                yield set_changes_to_proto(changes)

    async def WithdrawEntry(  # noqa: N802  gRPC's name
        self,
        request: hashset_pb2.WithdrawEntryRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> hashset_pb2.HashSet:
        """Stop an entry from matching before the call returns."""
        with _fields(name="set_name"):
            changed = await self._curator.withdraw(
                own_set(request.set_name), request.entry_id, reason=request.reason, actor=actor(request.actor)
            )
        return hash_set_to_proto(changed)

    async def DisputeEntry(  # noqa: N802  gRPC's name
        self,
        request: hashset_pb2.DisputeEntryRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> hashset_pb2.HashSet:
        """Let an entry's hits be possible matches at most, before the call returns."""
        with _fields(name="set_name"):
            changed = await self._curator.dispute(
                own_set(request.set_name), request.entry_id, reason=request.reason, actor=actor(request.actor)
            )
        return hash_set_to_proto(changed)

    async def ReinstateEntry(  # noqa: N802  gRPC's name
        self,
        request: hashset_pb2.ReinstateEntryRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> hashset_pb2.HashSet:
        """Let an entry match again, before the call returns."""
        with _fields(name="set_name"):
            changed = await self._curator.reinstate(
                own_set(request.set_name), request.entry_id, reason=request.reason, actor=actor(request.actor)
            )
        return hash_set_to_proto(changed)

    async def VoteEntry(  # noqa: N802  gRPC's name
        self,
        request: hashset_pb2.VoteEntryRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> hashset_pb2.HashSet:
        """Record an opinion."""
        with _fields(name="set_name", who="opinion.who", algorithm="opinion.algorithm", at="opinion.at"):
            opinion = opinion_from_proto(request.opinion)
            changed = await self._curator.vote(
                own_set(request.set_name), request.entry_id, opinion, actor=actor(request.actor)
            )
        return hash_set_to_proto(changed)

    async def GetEntry(  # noqa: N802  gRPC's name
        self,
        request: hashset_pb2.GetEntryRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> hashset_pb2.Entry:
        """One entry, with the opinions that hold."""
        with _fields(name="set_name"):
            return entry_to_proto(await self._curator.entry(own_set(request.set_name), request.entry_id))

    async def GetHistory(  # noqa: N802  gRPC's name
        self,
        request: hashset_pb2.GetHistoryRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> hashset_pb2.GetHistoryResponse:
        """Return what was decided and thought of an entry, or of the set itself."""
        with _fields(name="set_name"):
            events = await self._curator.history(own_set(request.set_name), request.entry_id or None)
        return hashset_pb2.GetHistoryResponse(events=[event_to_proto(event) for event in events])


async def _batches(
    first: hashset_pb2.ImportEntriesRequest, requests: AsyncIterator[hashset_pb2.ImportEntriesRequest]
) -> AsyncIterator[Iterable[Entry | Rejected]]:
    """Rows of each message, translated by the thread that takes them: a full message is seconds of work.

    Raises
    ------
    BadInput
        The stream ended without a last message. A caller who went away may look just so: gRPC ends the iterator and
        cancels the handler in either order (docs/adr/0006-grpc-aio.md).

    """
    yield _rows(first, 0)
    position, complete = len(first.entries), first.last
    async for message in requests:
        if complete:
            raise BadInput("last: a message came after the last one of the import", field="last")
        if message.set_name:
            raise BadInput("set_name: only the first message of an import names the set", field="set_name")
        yield _rows(message, position)
        position += len(message.entries)
        complete = message.last
    if not complete:
        raise BadInput("last: the import ended without a message that sets it; nothing was imported", field="last")


def _rows(message: hashset_pb2.ImportEntriesRequest, position: int) -> Iterator[Entry | Rejected]:
    for number, untrusted_entry in enumerate(message.entries, position):
        try:
            yield dataclasses.replace(entry_from_proto(untrusted_entry), position=number)
        except BadInput as error:
            yield Rejected(number, error.field or "", error.message)


@contextlib.contextmanager
def _fields(prefix: str = "", **on_the_wire: str) -> Iterator[None]:
    """Name the fields at fault as the caller wrote them."""
    try:
        yield
    except HashmatchError as error:
        if error.field is not None:
            error.field = prefix + on_the_wire.get(error.field, error.field)
        raise
