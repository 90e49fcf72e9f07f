"""The caller that costs little, against a real service and against a server that refuses what it has not begun."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
from collections.abc import AsyncIterator

import pytest

from hashmatch.bench import frames, serving_parties, wire
from hashmatch.bench.serving_parties import Callers
from hashmatch.bench.wire import Wire
from hashmatch.errors import ServiceUnavailable
from hashmatch.v1 import detection_pb2, types_pb2
from tests.support.service import Scene, loopback, serving

METHOD = "/hashmatch.bench.Echo/Detect"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return what lists every connection that is opened."""
    made: list[object] = []

    class Counted(wire._Connection):
        def __init__(self, blocks: tuple[bytes, bytes]) -> None:
            super().__init__(blocks)
            made.append(self)

    monkeypatch.setattr(wire, "_Connection", Counted)
    return made


@contextlib.asynccontextmanager
async def called(target: str, method: str = serving_parties.DETECT_HASHES, connections: int = 1) -> AsyncIterator[Wire]:
    """Call a method until the block ends."""
    calls = Wire(target, method, connections, deadline_s=300)
    try:
        yield calls
    finally:
        await calls.close()


def request(number: int) -> detection_pb2.DetectHashesRequest:
    """Return a request that is like no other."""
    value = types_pb2.Hash(algorithm="md5", value=number.to_bytes(16))
    return detection_pb2.DetectHashesRequest(
        items=[detection_pb2.HashedItem(hashes=[value], request_id=f"of {number}")]
    )


async def ask(calls: Wire, number: int) -> None:
    """Make a call, and see that the answer is to this one."""
    answer = await calls.call(number, serving_parties.looking_up(request(number)))
    assert answer.message is not None
    (report,) = detection_pb2.DetectHashesResponse.FromString(answer.message).reports
    assert report.request_id == f"of {number}"


async def test_each_call_gets_its_own_answer_however_many_there_are_at_a_time(opened: list[object]) -> None:
    scene = Scene(loopback(max_concurrent_streams=4))
    async with serving(scene), called(scene.target, connections=2) as calls:
        await asyncio.gather(*(ask(calls, number) for number in range(100)))
    assert len(opened) == 2


async def test_images_larger_than_every_window_arrive_whole() -> None:
    images = [bytes([number]) * (1_000_000 + number) for number in range(8)]
    async with serving() as scene, Callers(scene.target, 2) as callers:
        outcomes = await asyncio.gather(
            *(callers.detect(number, serving_parties.asking(image)) for number, image in enumerate(images))
        )
        again = await callers.report(images[3])
    digests = [hashlib.sha256(image).digest() for image in images]
    reports = [detection_pb2.DetectResponse.FromString(answer).report for answer in callers.answers]
    assert outcomes == ["ok"] * 8
    assert sorted(report.digests.sha256 for report in reports) == sorted(digests)
    assert again.digests.sha256 == digests[3]
    assert [sorted(stages) for stages in callers.stages_us()] == [sorted(again.elapsed_us)] * 8


async def test_a_refusal_is_an_outcome_and_says_when_to_come_back() -> None:
    async with serving(Scene(full=True)) as scene, Callers(scene.target, 1) as callers:
        assert await callers.detect(0, serving_parties.asking(b"image")) == "RESOURCE_EXHAUSTED"
        assert await callers.look_up(0, serving_parties.looking_up(request(1))) == "RESOURCE_EXHAUSTED"
        assert await callers.echo(0, b"") == "UNIMPLEMENTED"
        with pytest.raises(ServiceUnavailable, match=r"an image was not answered: .*there is no room"):
            await callers.report(b"image")
    assert callers.hints == 2


async def test_a_connection_that_the_service_closes_is_followed_by_another(opened: list[object]) -> None:
    scene = Scene(loopback(connection_age_s=1, connection_grace_s=10))
    async with serving(scene), called(scene.target) as calls:
        for number in itertools.count():
            await ask(calls, number)
            if len(opened) > 1:
                break
    assert len(opened) == 2


async def test_a_connection_that_was_lost_takes_no_call_and_is_followed_by_another(opened: list[object]) -> None:
    async with serving() as scene, called(scene.target) as calls:
        await ask(calls, 1)
        (lost,) = opened
        assert isinstance(lost, wire._Connection)
        await lost.close()
        with pytest.raises(ServiceUnavailable, match="the service hung up before it was asked anything"):
            await lost.call(serving_parties.looking_up(request(2)))
        await ask(calls, 3)
    assert len(opened) == 2


async def test_who_is_not_there_or_hangs_up_is_said() -> None:
    async with serving() as scene, called(scene.target) as calls:
        await ask(calls, 1)
    async with called(scene.target) as calls:
        with pytest.raises(ServiceUnavailable, match="cannot be reached: "):
            await ask(calls, 2)
    async with scripted([b""]) as target, called(target) as calls:
        with pytest.raises(ServiceUnavailable, match="the service hung up: "):
            await ask(calls, 3)


ANSWER = frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x88") + frames.frame(
    frames.DATA, 0, 1, frames.body_of(b"answer")
)
TRAILERS = frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, b"")
UNBEGUN = {
    "a reset of what was not begun": frames.frame(frames.RST_STREAM, 0, 1, frames.REFUSED_STREAM.to_bytes(4)),
    "a farewell that leaves it out": frames.frame(frames.GOAWAY, 0, 0, bytes(8)),
}


@contextlib.asynccontextmanager
async def scripted(said: list[bytes]) -> AsyncIterator[str]:
    """Serve connections, each of which says something when the first message has come, and then ends."""
    left = list(said)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = bytearray()
        await reader.readexactly(len(frames.PREFACE))
        writer.write(frames.settings({}))
        while not any(frame.kind == frames.DATA for frame in frames.taken(received)):
            received += await reader.read(65_536)
        writer.write(left.pop(0))
        if not writer.is_closing() and left:
            await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        yield f"{host}:{port}"


@pytest.mark.parametrize("said", sorted(UNBEGUN))
async def test_what_the_service_has_not_begun_is_asked_again(said: str, opened: list[object]) -> None:
    farewell = frames.frame(frames.GOAWAY, 0, 0, bytes(8))
    async with scripted([UNBEGUN[said] + farewell, ANSWER + TRAILERS]) as target, called(target, METHOD) as calls:
        answer = await calls.call(0, frames.body_of(b"question"))
    assert (answer.message, answer.trailers) == (b"answer", b"")
    assert len(opened) == 2


async def test_a_reset_of_what_was_begun_is_a_failure() -> None:
    reset = frames.frame(frames.RST_STREAM, 0, 1, (2).to_bytes(4))
    async with scripted([reset, b""]) as target, called(target, METHOD) as calls:
        with pytest.raises(ServiceUnavailable, match="a call was reset with code 2"):
            await calls.call(0, frames.body_of(b"question"))
