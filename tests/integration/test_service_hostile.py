"""What strangers may send: too much, too slowly, compressed, cut off, or no protocol buffer at all.

The figures behind these tests are in docs/adr/0006-grpc-aio.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from hashmatch.client import AsyncClient, RetryPolicy
from hashmatch.errors import BadInput, ServiceUnavailable
from hashmatch.service.guard import Guard
from hashmatch.service.holding import HeldTask
from hashmatch.v1 import detection_pb2, detection_pb2_grpc
from tests.support.clock import ticking_clock
from tests.support.http2 import (
    DATA,
    DETECT,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    closed,
    connected,
    frame,
    half_a_request,
    request_fields,
    request_head,
    reset,
    round_trip,
)
from tests.support.service import Scene, collect, loopback, serving, until

MESSAGE_BYTES = 1 << 20
SMALL = loopback(max_message_bytes=MESSAGE_BYTES)


def read_until(connection: socket.socket, text: bytes) -> bytes:
    """Return what the server sent up to ``text``, or up to its silence."""
    connection.settimeout(300)
    received = b""
    with contextlib.suppress(TimeoutError):
        while text not in received and (part := connection.recv(4_096)):
            received += part
    return received


def peak_bytes(*, reset: bool = False) -> int:
    """Return the most memory this process ever had, or has had since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


async def test_a_message_over_the_limit_is_refused_on_its_length() -> None:
    async with serving(Scene(SMALL)) as scene, AsyncClient(scene.target) as client:
        await client.detect(bytes(MESSAGE_BYTES - 100))
        with pytest.raises(BadInput, match="RESOURCE_EXHAUSTED"):
            await client.detect(bytes(MESSAGE_BYTES + 1))
    assert len(scene.hasher.options) == 1


async def test_a_gzip_bomb_is_refused() -> None:
    async with serving(Scene(SMALL)) as scene, grpc.aio.insecure_channel(scene.target) as channel:
        stub = detection_pb2_grpc.DetectionServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Detect(detection_pb2.DetectRequest(image=bytes(8 << 20)), compression=grpc.Compression.Gzip)
        await stub.Detect(detection_pb2.DetectRequest(image=b"image"), compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(scene.hasher.options) == 1


async def test_a_gzip_bomb_is_not_unpacked_beyond_the_limit() -> None:
    bomb_bytes = 32 << 20
    packed = gzip.compress(bytes(bomb_bytes))
    assert len(packed) < 40_000
    async with serving(Scene(SMALL)) as scene, AsyncClient(scene.target) as client:
        await client.detect(bytes(MESSAGE_BYTES - 100))
        before = peak_bytes(reset=True)
        connection = request_head(scene.target, (b"grpc-encoding", b"gzip"))
        message = b"\x01" + len(packed).to_bytes(4) + packed
        for start in range(0, len(message), 16_384):
            connection.sendall(frame(0, 0, 1, message[start : start + 16_384]))
        answer = await asyncio.to_thread(read_until, connection, b"larger than max")
        grown = peak_bytes() - before
        connection.close()
    assert b"Decompressed message larger than max" in answer
    assert len(scene.hasher.options) == 1
    assert grown < 16 << 20


async def test_bytes_that_are_no_protocol_buffer_are_an_invalid_argument() -> None:
    async with serving() as scene, grpc.aio.insecure_channel(scene.target) as channel:
        unary: Any = channel.unary_unary(DETECT)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary(b"\xff\xff\xff canary")
        stream: Any = channel.stream_stream("/hashmatch.v1.DetectionService/DetectStream")
        with pytest.raises(grpc.aio.AioRpcError) as in_stream:
            await collect(stream(iter([b"\xff\xff\xff canary"])))
    assert caught.value.code() is in_stream.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == in_stream.value.details()
    assert str(caught.value.details()).startswith("the message is not the protocol buffer that this method takes")


async def test_an_unknown_method_is_unimplemented() -> None:
    async with serving() as scene, grpc.aio.insecure_channel(scene.target) as channel:
        delete: Any = channel.unary_unary("/hashmatch.v1.DetectionService/Delete")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await delete(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_half_sent_requests_block_nobody() -> None:
    async with serving() as scene, AsyncClient(scene.target) as client:
        await client.detect(b"image")
        connections = [half_a_request(scene.target) for _ in range(32)]
        await until(lambda: ": 32 active" in repr(scene.endpoint))
        for _ in range(20):
            await client.detect(b"image")
        await until(lambda: ": 32 active" in repr(scene.endpoint))
        for connection in connections:
            connection.close()
        await until(lambda: ": 0 active" in repr(scene.endpoint))


@pytest.mark.parametrize("admitted", ["at once", "when it is read"])
async def test_a_call_that_is_over_before_it_was_looked_at_is_not_torn_from_grpc(
    admitted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, cancelled = list[int](), list[bool]()
    count, cancel = Guard._count, HeldTask.cancel

    def count_and_note(guard: Guard) -> None:
        count(guard)
        counted.append(guard.active)

    def cancel_and_note(task: HeldTask[object], msg: object = None) -> bool:
        cancelled.append(task.held)
        return cancel(task, msg)

    monkeypatch.setattr(Guard, "_count", count_and_note)
    monkeypatch.setattr(HeldTask, "cancel", cancel_and_note)
    if admitted == "when it is read":
        monkeypatch.setattr("hashmatch.service.admission.Admission._known_by", lambda *_: None)
    async with serving() as scene, AsyncClient(scene.target) as client:
        await client.detect(b"image")
        counted.clear()
        fields = request_fields(scene.target.rpartition(":")[0])
        call = frame(HEADERS, END_HEADERS, 1, fields)
        call += frame(DATA, END_STREAM, 1, bytes(5)) + reset(1)
        for number in range(8):
            with contextlib.closing(connected(scene.target)) as connection:
                round_trip(connection, call)  # the loop stands still: gRPC has all of the call before Python has any
            await until(lambda: len(counted) > number and ": 0 active" in repr(scene.endpoint))  # noqa: B023
    assert cancelled == [True] * 8
    assert len(scene.hasher.options) == 1


async def test_a_half_sent_request_ends_with_its_connections_age(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    count = Guard._count

    def count_and_note(guard: Guard) -> None:
        count(guard)
        counted.append(guard.active)

    monkeypatch.setattr(Guard, "_count", count_and_note)
    async with serving(Scene(loopback(connection_age_s=1, connection_grace_s=1))) as scene:
        while not counted:  # on a stalled machine a connection may be too old before its request is there
            with contextlib.closing(half_a_request(scene.target)) as connection:
                await until(lambda: counted or closed(connection))
                await until(lambda: ": 0 active" in repr(scene.endpoint))
    assert counted == [1]


async def test_silent_connections_beyond_the_limit_are_refused_and_honest_callers_come_back() -> None:
    async with serving(Scene(loopback(max_connections=4, handshake_timeout_ms=500))) as scene:
        host, _, port = scene.target.rpartition(":")
        silent = [socket.create_connection((host, int(port))) for _ in range(8)]
        patient = RetryPolicy(attempts=10_000, longest_wait_s=0.2)
        async with AsyncClient(scene.target, retry=patient, timeout_s=100) as client:
            await client.detect(b"image")
        for connection in silent:
            connection.close()
    assert len(scene.hasher.options) == 1


async def test_metadata_over_the_limit_is_refused() -> None:
    async with serving() as scene, grpc.aio.insecure_channel(scene.target) as channel:
        stub = detection_pb2_grpc.DetectionServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Detect(detection_pb2.DetectRequest(), metadata=(("x-large", "y" * 20_000),))
        await stub.Detect(detection_pb2.DetectRequest(image=b"image"))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_an_error_text_made_of_input_stays_below_what_trailers_carry() -> None:
    async with serving() as scene, AsyncClient(scene.target) as client:
        with pytest.raises(Exception, match="no hash set named") as caught:
            await client.detect(b"image", sets=["ü" * 100_000])
    assert len(str(caught.value).encode()) <= 800
    assert str(caught.value).endswith("...")


async def test_after_the_server_has_gone_the_client_says_where_nobody_answers() -> None:
    async with serving() as scene:
        target = scene.target
    async with AsyncClient(target, retry=RetryPolicy(attempts=2)) as client:
        with pytest.raises(ServiceUnavailable, match=f"no hashmatch service answers at {target}"):
            await client.detect(b"image", timeout_s=60)
        gone = rf"{target} was not ready within 600 s: no hashmatch service"
        with ticking_clock(step_s=100), pytest.raises(ServiceUnavailable, match=gone):
            await client.wait_ready(600)
        assert repr(client) == f"<AsyncClient {target}: open, 1 calls, 1 retries>"
