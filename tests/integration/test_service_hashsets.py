"""HashSetService and StatusService over a real connection."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc.aio import _call as grpc_call

from hashmatch.client import AsyncClient, RetryPolicy
from hashmatch.client import aio_sets as client_module
from hashmatch.client.wire import error_from_rpc
from hashmatch.errors import BadInput, CatalogUnavailable, DeadlineExceeded, EntryNotFound, SetExists, SetNotFound
from hashmatch.model import Entry, EntryHash, EntryStatus, HarmDomain, Opinion, Rejected, SetMode, Stance
from hashmatch.report.proto import entry_to_proto
from hashmatch.v1 import hashset_pb2, hashset_pb2_grpc, types_pb2
from tests.support.service import STATUS, Scene, collect, loopback, serving, until


def entry(number: int) -> Entry:
    part = EntryHash("pdq", (number + 1).to_bytes(32), 90, "crop-left-3")
    return Entry(f"e{number:05}", (EntryHash("md5", number.to_bytes(16)), part))


async def entries(count: int) -> AsyncIterator[Entry]:
    for number in range(count):
        yield entry(number)


async def test_a_set_is_created_with_all_its_details_and_found_again() -> None:
    details: dict[str, Any] = {"owner": "o", "source": "s", "jurisdiction": "NL", "terms": "t", "description": "d"}
    async with serving() as scene, AsyncClient(scene.target) as client:
        created = await client.create_hash_set("list-b", HarmDomain.WILDLIFE, mode=SetMode.SHADOW, **details)
        await client.create_hash_set("list-a", HarmDomain.OTHER)
        assert await client.hash_set("list-b") == created
        assert [item.name for item in await client.hash_sets()] == ["list-a", "list-b"]
    assert {name: getattr(created, name) for name in details} == details
    assert (created.domain, created.mode) == (HarmDomain.WILDLIFE, SetMode.SHADOW)
    assert scene.published == 2


async def test_the_second_set_of_a_name_is_refused() -> None:
    async with serving() as scene, AsyncClient(scene.target) as client:
        await client.create_hash_set("a", HarmDomain.OTHER)
        with pytest.raises(SetExists, match="a hash set 'a' exists already") as caught:
            await client.create_hash_set("a", HarmDomain.OTHER)
    assert caught.value.field == "hash_set.name"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "a"}, "hash_set.harm_domain"),
        ({"name": "a", "harm_domain": 99}, "hash_set.harm_domain"),
        ({"harm_domain": types_pb2.HARM_DOMAIN_OTHER}, "hash_set.name"),
        ({"name": "a", "harm_domain": types_pb2.HARM_DOMAIN_OTHER, "mode": 9}, "hash_set.mode"),
    ],
)
async def test_a_set_that_is_not_valid_is_refused_by_field(fields: dict[str, Any], field: str) -> None:
    request = hashset_pb2.CreateHashSetRequest(hash_set=hashset_pb2.HashSet(**fields))
    async with serving() as scene, grpc.aio.insecure_channel(scene.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await hashset_pb2_grpc.HashSetServiceStub(channel).CreateHashSet(request)
    error = error_from_rpc(caught.value, scene.target)
    assert (type(error), error.field) == (BadInput, field)


async def test_an_import_is_published_before_it_is_answered_and_exports_as_it_came() -> None:
    count = 2 * client_module.IMPORT_MESSAGE_ENTRIES + 7
    async with serving() as scene, AsyncClient(scene.target) as client:
        await client.create_hash_set("a", HarmDomain.OTHER)
        result = await client.import_entries("a", entries(count))
        assert scene.published == 2
        exported = await collect(client.export_entries("a"))
    assert (result.added, result.rejected, result.hash_set.entries) == (count, 0, count)
    assert exported == [entry(number) for number in range(count)]
    assert scene.catalog.streams[-1].closed


async def test_refused_entries_are_told_by_their_position_in_the_stream() -> None:
    rows = [entry(0), Entry("none", ()), entry(2)]
    async with serving() as scene, AsyncClient(scene.target) as client:
        await client.create_hash_set("a", HarmDomain.OTHER)
        result = await client.import_entries("a", rows)
    assert (result.added, result.rejected) == (2, 1)
    assert result.rejections == (Rejected(1, "hashes", "an entry has at least one hash"),)


async def test_an_entry_from_a_newer_peer_is_a_rejected_row() -> None:
    unknown: Any = 77
    newer = hashset_pb2.Entry(entry_id="x", status=unknown)
    async with serving() as scene, grpc.aio.insecure_channel(scene.target) as channel:
        scene.catalog.create_set("a", HarmDomain.OTHER)
        stub = hashset_pb2_grpc.HashSetServiceStub(channel)
        response = await stub.ImportEntries(
            iter([hashset_pb2.ImportEntriesRequest(set_name="a", entries=[newer], last=True)])
        )
    assert (response.rejected, response.rejections[0].field) == (1, "status")
    assert response.rejections[0].reason.startswith("status: 77 is not one of ENTRY_STATUS_ACTIVE")


@pytest.mark.parametrize("count", [0, 10_000])
async def test_an_import_into_a_set_that_does_not_exist_is_refused_and_not_read_on(count: int) -> None:
    async with serving() as scene, AsyncClient(scene.target) as client:
        with pytest.raises(SetNotFound, match="no hash set 'a'") as caught:
            await client.import_entries("a", entries(count))
    assert caught.value.field == "set_name"


@pytest.mark.parametrize("behind", [True, False])
async def test_a_refusal_is_heard_while_a_message_is_on_its_way(
    monkeypatch: pytest.MonkeyPatch, *, behind: bool
) -> None:
    """Writing fails in gRPC once the service has ended the call, and that failure then stands for the status.

    It comes before the status, which replaces it, or behind it and replaces that: here at the worst moment for either.
    """
    mixin = vars(grpc_call)["_StreamRequestMixin"]
    written, failed = list[int](), list[int]()

    async def write(call: Any, request: bytes) -> None:
        if written and behind:
            call.add_done_callback(fail)
        elif written:
            fail(call)
        written.append(1)
        await original(call, request)

    def fail(call: Any) -> None:
        if not failed:
            failed.append(1)
            call._cython_call.set_internal_error("Failed grpc_call_start_batch: 8")

    original = mixin._write
    monkeypatch.setattr(mixin, "_write", write)
    async with serving() as scene, AsyncClient(scene.target) as client:
        with pytest.raises(SetNotFound, match="no hash set 'a'"):
            await client.import_entries("a", entries(10_000))
    assert failed == [1]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "set_name: the first message of an import names the set"),
        ([""], "set_name: the first message of an import names the set"),
        (["a", "b"], "set_name: only the first message of an import names the set"),
    ],
)
async def test_the_set_is_named_by_the_first_message_and_no_other(names: list[str], message: str) -> None:
    async with serving() as scene, grpc.aio.insecure_channel(scene.target) as channel:
        scene.catalog.create_set("a", HarmDomain.OTHER)
        stub = hashset_pb2_grpc.HashSetServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ImportEntries(iter([hashset_pb2.ImportEntriesRequest(set_name=name) for name in names]))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, message)
    assert scene.catalog.stored["a"].version == 1


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ([False], "last: the import ended without a message that sets it; nothing was imported"),
        ([False, False], "last: the import ended without a message that sets it; nothing was imported"),
        ([True, False], "last: a message came after the last one of the import"),
        ([True, True], "last: a message came after the last one of the import"),
    ],
)
async def test_a_stream_that_is_broken_off_imports_nothing(last: list[bool], message: str) -> None:
    requests = [
        hashset_pb2.ImportEntriesRequest(
            set_name="" if number else "a", entries=[entry_to_proto(entry(number))], last=flag
        )
        for number, flag in enumerate(last)
    ]
    async with serving() as scene, grpc.aio.insecure_channel(scene.target) as channel:
        scene.catalog.create_set("a", HarmDomain.OTHER)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await hashset_pb2_grpc.HashSetServiceStub(channel).ImportEntries(iter(requests))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, message)
    assert scene.catalog.contents["a"] == {}


async def test_a_stream_that_the_caller_breaks_imports_nothing() -> None:
    class Unreadable(Exception):
        pass

    async def broken() -> AsyncIterator[Entry]:
        for number in range(5_000):
            yield entry(number)
        raise Unreadable

    async with serving() as scene, AsyncClient(scene.target) as client:
        await client.create_hash_set("a", HarmDomain.OTHER)
        with pytest.raises(Unreadable):
            await client.import_entries("a", broken())
        await until(lambda: scene.endpoint is not None and ": 0 active" in repr(scene.endpoint))
        assert scene.catalog.contents["a"] == {}
        assert (await client.import_entries("a", entries(3))).added == 3


async def test_an_import_that_is_cancelled_midway_imports_nothing() -> None:
    async def endless() -> AsyncIterator[Entry]:
        number = 0
        while True:
            yield entry(number)
            number += 1
            if number % 1_000 == 0:
                await asyncio.sleep(0.01)

    async with serving() as scene, AsyncClient(scene.target) as client:
        await client.create_hash_set("a", HarmDomain.OTHER)
        importing = asyncio.create_task(client.import_entries("a", endless()))
        await until(scene.catalog.importing.is_set)
        importing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await importing
        await until(lambda: ": 0 active" in repr(scene.endpoint))
        assert (await client.hash_set("a")).version == 1


async def test_an_import_that_falls_silent_is_ended_and_imports_nothing() -> None:
    async def silent() -> AsyncIterator[Entry]:
        for number in range(client_module.IMPORT_MESSAGE_ENTRIES):
            yield entry(number)
        await asyncio.Event().wait()

    scene = Scene(loopback(import_idle_s=1))
    async with serving(scene), AsyncClient(scene.target) as client:
        await client.create_hash_set("a", HarmDomain.OTHER)
        with pytest.raises(DeadlineExceeded, match=r"no entries came for 1 s \(server.import_idle_s\)"):
            await client.import_entries("a", silent())
        assert (await client.hash_set("a")).version == 1


async def test_leaving_an_export_early_closes_the_catalogs_stream() -> None:
    async with serving() as scene, AsyncClient(scene.target) as client:
        await client.create_hash_set("a", HarmDomain.OTHER)
        scene.catalog.import_entries("a", map(entry, range(20_000)))
        export = client.export_entries("a")
        assert await anext(export) == entry(0)
        await export.aclose()
        await until(lambda: scene.catalog.streams[-1].closed)


async def test_the_first_message_of_an_export_describes_the_set_and_batches_are_bounded() -> None:
    async with serving() as scene, grpc.aio.insecure_channel(scene.target) as channel:
        scene.catalog.create_set("a", HarmDomain.OTHER)
        stub = hashset_pb2_grpc.HashSetServiceStub(channel)
        empty = await collect(stub.ExportEntries(hashset_pb2.ExportEntriesRequest(name="a")))
        scene.catalog.import_entries("a", [entry(number) for number in range(2_000)])
        full = await collect(stub.ExportEntries(hashset_pb2.ExportEntriesRequest(name="a")))
    assert [(message.hash_set.name, len(message.entries)) for message in empty] == [("a", 0)]
    assert [(message.hash_set.name, message.hash_set.version, len(message.entries)) for message in full] == [
        ("a", 2, 1_000),
        ("", 0, 1_000),
        ("", 0, 0),
    ]


async def test_a_withdrawal_is_published_before_it_is_answered() -> None:
    async with serving() as scene, AsyncClient(scene.target) as client:
        await client.create_hash_set("a", HarmDomain.OTHER)
        await client.import_entries("a", entries(2))
        published = scene.published
        changed = await client.withdraw_entry("a", "e00001", reason="not what it seemed", actor="desk")
        assert scene.published == published + 1
    assert (changed.entries, changed.withdrawn) == (1, 1)
    assert scene.catalog.contents["a"]["e00001"].status is EntryStatus.WITHDRAWN


async def test_a_withdrawal_names_what_is_missing() -> None:
    async with serving() as scene, AsyncClient(scene.target) as client:
        with pytest.raises(SetNotFound) as no_set:
            await client.withdraw_entry("a", "e1", reason="r", actor="a")
        await client.create_hash_set("a", HarmDomain.OTHER)
        with pytest.raises(EntryNotFound) as no_entry:
            await client.withdraw_entry("a", "e1", reason="r", actor="a")
        with pytest.raises(BadInput) as no_reason:
            await client.withdraw_entry("a", "e1", reason="", actor="a")
    assert [caught.value.field for caught in (no_set, no_entry, no_reason)] == ["set_name", "entry_id", "reason"]


async def test_disputes_votes_and_their_history_are_published_before_they_are_answered() -> None:
    moment = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    opinion = Opinion("police.example", Stance.DISAGREE, "another picture", moment, "pdq")
    async with serving() as scene, AsyncClient(scene.target) as client:
        await client.create_hash_set("a", HarmDomain.OTHER)
        await client.import_entries("a", entries(2))
        published = scene.published
        await client.dispute_entry("a", "e00001", reason="objection", actor="desk")
        assert (await client.entry("a", "e00001")).status is EntryStatus.DISPUTED
        await client.vote_entry("a", "e00001", opinion, actor="desk")
        await client.reinstate_entry("a", "e00001", reason="settled", actor="desk")
        assert scene.published == published + 3
        found = await client.entry("a", "e00001")
        events = await client.history("a", "e00001")
        assert await client.history("a") == ()
    assert (found.status, found.status_reason, found.opinions) == (EntryStatus.ACTIVE, "settled", (opinion,))
    assert [(event.actor, event.reason, event.before, event.after, event.who) for event in events] == [
        ("desk", "objection", "active", "disputed", ""),
        ("desk", "another picture", "", "disagree", "police.example"),
        ("desk", "settled", "disputed", "active", ""),
    ]


async def test_a_vote_names_the_field_at_fault() -> None:
    opinion = hashset_pb2.Opinion(who="o", reason="r")
    request = hashset_pb2.VoteEntryRequest(set_name="a", entry_id="e", opinion=opinion, actor="desk")
    async with serving() as scene, grpc.aio.insecure_channel(scene.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await hashset_pb2_grpc.HashSetServiceStub(channel).VoteEntry(request)
        async with AsyncClient(scene.target) as client:
            with pytest.raises(SetNotFound) as no_set:
                await client.vote_entry("a", "e", Opinion("o", Stance.AGREE, "r"), actor="desk")
    error = error_from_rpc(caught.value, scene.target)
    assert (type(error), error.field, no_set.value.field) == (BadInput, "opinion.stance", "set_name")


async def test_a_catalog_that_is_out_of_reach_is_unavailable_and_reads_are_tried_again() -> None:
    locked: list[Exception] = [CatalogUnavailable("locked") for _ in range(4)]
    prompt = RetryPolicy(attempts=4, first_wait_s=0.001)
    async with serving() as scene, AsyncClient(scene.target, retry=prompt) as client:
        scene.catalog.next_errors = locked[:3]
        assert await client.hash_sets() == []
        assert scene.catalog.next_errors == []
        assert repr(client).endswith("1 calls, 3 retries>")
        scene.catalog.next_errors = list(locked)
        with pytest.raises(CatalogUnavailable, match="locked"):
            await client.hash_sets()
        assert scene.catalog.next_errors == []
        scene.catalog.next_errors = locked[:2]
        with pytest.raises(CatalogUnavailable, match="locked"):
            await client.create_hash_set("a", HarmDomain.OTHER)
        assert len(scene.catalog.next_errors) == 1
    assert scene.catalog.stored == {}


async def test_the_status_comes_over_whole() -> None:
    async with serving() as scene, AsyncClient(scene.target) as client:
        assert await client.status() == STATUS
