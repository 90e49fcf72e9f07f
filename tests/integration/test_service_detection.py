"""DetectionService over a real connection: every method, every way an item can go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2

from hashmatch.client import AsyncClient, HashedImage, RetryPolicy
from hashmatch.errors import (
    BadHash,
    BadInput,
    DeadlineExceeded,
    IndexNotLoaded,
    Overloaded,
    SandboxUnavailable,
    SetNotFound,
    UnknownAlgorithm,
)
from hashmatch.model import EntryHash, HashOptions, Picture, Refusal, Verdict
from hashmatch.v1 import detection_pb2, detection_pb2_grpc
from tests.support.ports import PDQ_ZERO, FakeHasher, FakeIndex, entry_ref
from tests.support.service import Scene, collect, loopback, serving, until

ONCE = RetryPolicy(attempts=1)
KNOWN = FakeIndex([("pdq", PDQ_ZERO, entry_ref("e1"))])


async def images(count: int) -> AsyncIterator[tuple[str, bytes]]:
    for number in range(count):
        yield f"item-{number}", b"image"


async def test_an_image_is_answered_with_a_report_that_names_the_entry() -> None:
    async with serving(Scene(index=KNOWN)) as scene, AsyncClient(scene.target) as client:
        report = await client.detect(b"image", request_id="upload 7", sets=["hotline"])
    assert (report.verdict, report.request_id) == (Verdict.MATCH, "upload 7")
    assert [(hit.entry.entry_id, hit.distance) for hit in report.hits] == [("e1", 0)]


async def test_an_image_without_a_request_id_gets_the_id_of_the_call() -> None:
    async with serving() as scene, AsyncClient(scene.target) as client:
        first, second = await client.detect(b"image"), await client.detect(b"image")
    assert len(first.request_id) == len(second.request_id) == 16
    assert first.request_id != second.request_id


async def test_an_image_that_cannot_be_looked_at_is_an_answer() -> None:
    hasher = FakeHasher(Picture(refusal=Refusal.EMPTY, detail="the file has no bytes"))
    async with serving(Scene(hasher=hasher)) as scene, AsyncClient(scene.target) as client:
        report = await client.detect(b"")
    assert (report.verdict, report.reason, report.detail) == (
        Verdict.NOT_CHECKED,
        Refusal.EMPTY,
        "the file has no bytes",
    )


@pytest.mark.parametrize(
    ("request_id", "message"),
    [
        ("x" * 129, "request_id: 129 characters are too many; at most 128"),
        ("a\nb", "request_id: only printable characters are allowed"),
    ],
)
async def test_a_request_id_that_would_garble_a_log_is_refused(request_id: str, message: str) -> None:
    async with serving() as scene, AsyncClient(scene.target) as client:
        with pytest.raises(BadInput) as caught:
            await client.detect(b"image", request_id=request_id)
    assert (caught.value.message, caught.value.field) == (message, "request_id")


async def test_a_set_that_is_not_served_is_not_found() -> None:
    async with serving() as scene, AsyncClient(scene.target) as client:
        with pytest.raises(SetNotFound) as caught:
            await client.detect(b"image", sets=["other"])
    assert (caught.value.message, caught.value.field) == ("no hash set named 'other' is being served", "sets")


async def test_without_an_index_nothing_is_called_no_match() -> None:
    async with serving(Scene(index=FakeIndex(loaded=False))) as scene, AsyncClient(scene.target, retry=ONCE) as client:
        with pytest.raises(IndexNotLoaded):
            await client.detect(b"image")


async def test_the_errors_of_a_call_carry_reason_call_id_field_and_retry_hint() -> None:
    hasher = FakeHasher(error=Overloaded("all 2 workers are busy", retry_after_s=1.5))
    async with serving(Scene(hasher=hasher)) as scene, grpc.aio.insecure_channel(scene.target) as channel:
        stub = detection_pb2_grpc.DetectionServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Detect(detection_pb2.DetectRequest(image=b"image"))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    rich = status_pb2.Status.FromString(dict(caught.value.trailing_metadata())["grpc-status-details-bin"])
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert rich.details[0].Unpack(info)
    assert rich.details[1].Unpack(retry)
    assert (info.reason, info.domain, list(info.metadata)) == ("OVERLOADED", "hashmatch", ["call_id"])
    assert retry.retry_delay.ToMilliseconds() == 1_500
    assert rich.message == caught.value.details() == "all 2 workers are busy"


async def test_a_defect_is_internal_and_tells_nothing_but_the_call_id() -> None:
    hasher = FakeHasher(error=ValueError("the image is 'canary'"))
    async with serving(Scene(hasher=hasher)) as scene, grpc.aio.insecure_channel(scene.target) as channel:
        stub = detection_pb2_grpc.DetectionServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Detect(detection_pb2.DetectRequest(image=b"image"))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "canary" not in str(caught.value)
    assert str(caught.value.details()).startswith("internal error; the service's log has more under call ")


# --- deadlines and cancellation ----------------------------------------------------------------------------------


async def test_a_deadline_stops_the_work() -> None:
    async with serving(Scene(hasher=FakeHasher(held=asyncio.Event()))) as scene, AsyncClient(scene.target) as client:
        while not scene.hasher.options:  # a machine that stalls may not have connected by the first deadline
            with pytest.raises(DeadlineExceeded):
                await client.detect(b"image", timeout_s=0.1)
        await until(lambda: not scene.hasher.running)
    assert scene.hasher.cancelled == len(scene.hasher.options)


async def test_cancelling_a_call_stops_the_work() -> None:
    async with serving(Scene(hasher=FakeHasher(held=asyncio.Event()))) as scene, AsyncClient(scene.target) as client:
        asking = asyncio.create_task(client.detect(b"image"))
        await until(lambda: scene.hasher.running)
        asking.cancel()
        await until(lambda: scene.hasher.cancelled)
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_leaving_a_stream_cancels_everything_in_flight() -> None:
    scene = Scene(loopback(stream_window=3), FakeHasher(held=asyncio.Event()))
    async with serving(scene), AsyncClient(scene.target) as client:
        stream = client.detect_stream(images(100))
        waiting = asyncio.ensure_future(anext(stream))
        await until(lambda: scene.hasher.running == 3)
        waiting.cancel()
        await until(lambda: scene.hasher.cancelled == 3)
    assert scene.hasher.running == 0


# --- streams -----------------------------------------------------------------------------------------------------


async def test_a_stream_answers_every_item_once() -> None:
    async with serving(Scene(index=KNOWN)) as scene, AsyncClient(scene.target) as client:
        answers = await collect(client.detect_stream(images(50), sets=["hotline"]))
    assert sorted(answer.item_id for answer in answers) == sorted(f"item-{number}" for number in range(50))
    assert {answer.unwrap().verdict for answer in answers} == {Verdict.MATCH}
    assert len({answer.unwrap().request_id for answer in answers}) == 50


async def test_a_stream_never_holds_more_than_its_window() -> None:
    release = asyncio.Event()
    scene = Scene(loopback(stream_window=4), FakeHasher(held=release))
    async with serving(scene), AsyncClient(scene.target) as client:
        collecting = asyncio.create_task(collect(client.detect_stream(images(60))))
        await until(lambda: scene.hasher.running == 4)
        await asyncio.sleep(0.1)  # in which a fifth would be begun
        assert scene.hasher.running == 4
        release.set()
        assert len(await collecting) == 60
    assert scene.hasher.most_running == 4


async def test_a_caller_that_reads_no_answers_is_held_back() -> None:
    scene = Scene(loopback(stream_window=2))
    taken = 0

    async def large_items() -> AsyncIterator[tuple[str, bytes]]:
        nonlocal taken
        for number in range(1_000):
            taken += 1
            yield f"{number:0128}", bytes(1 << 16)

    async with serving(scene), AsyncClient(scene.target) as client:
        stream = client.detect_stream(large_items())
        await anext(stream)
        await asyncio.sleep(0.3)
        hashed = len(scene.hasher.options)
        await stream.aclose()
    assert hashed < 1_000
    assert taken < 1_000


class PickyHasher(FakeHasher):
    """Fails on one image."""

    async def hash(self, image: bytes, options: HashOptions, *, deadline_s: float | None = None) -> Picture:
        """Fail on b"bad", else answer as scripted."""
        if image == b"bad":
            raise SandboxUnavailable("no worker")
        return await super().hash(image, options, deadline_s=deadline_s)


async def test_an_item_that_fails_does_not_end_the_stream() -> None:
    async with serving(Scene(hasher=PickyHasher())) as scene, AsyncClient(scene.target) as client:
        answers = await collect(client.detect_stream([("1", b"good"), ("2", b"bad"), ("3", b"good")]))
    by_id = {answer.item_id: answer for answer in answers}
    assert by_id["1"].unwrap().verdict is by_id["3"].unwrap().verdict is Verdict.NO_MATCH
    with pytest.raises(SandboxUnavailable, match="no worker"):
        by_id["2"].unwrap()


async def test_a_defect_in_one_item_is_told_as_internal_and_the_stream_goes_on() -> None:
    hasher = FakeHasher(error=KeyError("canary"))
    async with serving(Scene(hasher=hasher)) as scene, AsyncClient(scene.target) as client:
        answers = await collect(client.detect_stream(images(3)))
    assert len(answers) == 3
    assert all("internal error" in str(answer.error) and "canary" not in str(answer.error) for answer in answers)


async def test_an_item_id_that_cannot_be_echoed_ends_the_stream() -> None:
    async with serving() as scene, AsyncClient(scene.target) as client:
        with pytest.raises(BadInput, match="item_id: 129 characters are too many; at most 128"):
            await collect(client.detect_stream([("x" * 129, b"image")]))


async def test_what_the_callers_own_iterator_raises_comes_back_to_the_caller() -> None:
    class Unreadable(Exception):
        pass

    async def broken() -> AsyncIterator[tuple[str, bytes]]:
        yield "a", b"image"
        raise Unreadable

    async with serving() as scene, AsyncClient(scene.target) as client:
        with pytest.raises(Unreadable):
            await collect(client.detect_stream(broken()))


# --- hashes ------------------------------------------------------------------------------------------------------


async def test_hashes_are_answered_in_order() -> None:
    items = [
        HashedImage((EntryHash("pdq", PDQ_ZERO, 100),), "first"),
        HashedImage((EntryHash("pdq", b"\xff" * 32, 100),), "second"),
        HashedImage((), "third"),
    ]
    async with serving(Scene(index=KNOWN)) as scene, AsyncClient(scene.target) as client:
        reports = await client.detect_hashes(items)
    assert [(report.request_id, report.verdict) for report in reports] == [
        ("first", Verdict.MATCH),
        ("second", Verdict.NO_MATCH),
        ("third", Verdict.NOT_CHECKED),
    ]


async def test_a_value_of_the_wrong_length_is_named_by_its_path() -> None:
    good, bad = EntryHash("pdq", PDQ_ZERO), EntryHash("pdq", b"short")
    async with serving() as scene, AsyncClient(scene.target) as client:
        with pytest.raises(BadHash) as caught:
            await client.detect_hashes([HashedImage((good,))] * 3 + [HashedImage((bad,))])
    assert caught.value.field == "items[3].hashes[0].value"
    assert "a pdq value has 32 bytes, got 5" in caught.value.message


async def test_an_unknown_algorithm_is_named_by_its_path() -> None:
    async with serving() as scene, AsyncClient(scene.target) as client:
        with pytest.raises(UnknownAlgorithm) as caught:
            await client.detect_hashes([HashedImage((EntryHash("neuralhash", bytes(12)),))])
    assert caught.value.field == "items[0].hashes[0].algorithm"


async def test_a_batch_over_the_limit_is_refused_with_both_counts() -> None:
    scene = Scene(loopback(max_batch=10))
    two = HashedImage((EntryHash("pdq", PDQ_ZERO), EntryHash("md5", bytes(16))))
    async with serving(scene), AsyncClient(scene.target) as client:
        assert len(await client.detect_hashes([two] * 5)) == 5
        with pytest.raises(BadInput) as caught:
            await client.detect_hashes([two] * 6)
        assert len(await client.detect_hashes([HashedImage(())] * 10)) == 10
    assert caught.value.field == "items"
    assert caught.value.message == (
        "items: 6 items with 12 hashes are more than one call may carry (server.max_batch = 10); split the batch"
    )
