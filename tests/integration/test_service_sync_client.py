"""The synchronous client against a real endpoint: the same answers and errors as the asynchronous one."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from hashmatch.client import Client, HashedImage, RetryPolicy
from hashmatch.errors import (
    DeadlineExceeded,
    Overloaded,
    ServiceUnavailable,
    SetExists,
    SetNotFound,
)
from hashmatch.model import Entry, EntryHash, HarmDomain, Opinion, Stance, Verdict
from tests.support.clock import ticking_clock
from tests.support.ports import PDQ_ZERO, FakeHasher, FakeIndex, entry_ref
from tests.support.service import STATUS, Scene, serving, until

_T = TypeVar("_T")
KNOWN = FakeIndex([("pdq", PDQ_ZERO, entry_ref("e1"))])


async def with_client(scene: Scene, use: Callable[[Client], _T], *, retry: RetryPolicy | None = None) -> _T:
    """Serve ``scene`` and run ``use`` with a client in a thread."""

    def run() -> _T:
        with Client(scene.target, retry=retry or RetryPolicy()) as client:
            return use(client)

    async with serving(scene):
        return await asyncio.to_thread(run)


def entries(count: int) -> Iterator[Entry]:
    for number in range(count):
        yield Entry(f"e{number:05}", (EntryHash("md5", number.to_bytes(16)),))


async def test_it_detects_in_every_way() -> None:
    def use(client: Client) -> None:
        client.wait_ready()
        assert client.detect(b"image", sets=["hotline"]).verdict is Verdict.MATCH
        answers = list(client.detect_stream((str(number), b"image") for number in range(20)))
        assert {answer.unwrap().verdict for answer in answers} == {Verdict.MATCH}
        assert len({answer.item_id for answer in answers}) == 20
        (report,) = client.detect_hashes([HashedImage((EntryHash("pdq", PDQ_ZERO, 100),), "mine")])
        assert (report.request_id, report.verdict) == ("mine", Verdict.MATCH)
        assert client.status() == STATUS
        assert "5 calls, 0 retries" not in repr(client)

    await with_client(Scene(index=KNOWN), use)


async def test_it_curates() -> None:
    def use(client: Client) -> None:
        created = client.create_hash_set("a", HarmDomain.OTHER)
        with pytest.raises(SetExists):
            client.create_hash_set("a", HarmDomain.OTHER)
        assert client.hash_set("a") == created
        assert client.import_entries("a", entries(2_500)).added == 2_500
        assert list(client.export_entries("a")) == list(entries(2_500))
        assert client.withdraw_entry("a", "e00000", reason="r", actor="a").withdrawn == 1
        client.vote_entry("a", "e00000", Opinion("o", Stance.AGREE, "r"), actor="a")
        assert client.entry("a", "e00000").opinions == (Opinion("o", Stance.AGREE, "r"),)
        assert [event.after for event in client.history("a", "e00000")] == ["withdrawn", "agree"]
        assert [item.name for item in client.hash_sets()] == ["a"]
        with pytest.raises(SetNotFound):
            list(client.export_entries("b"))

    await with_client(Scene(), use)


async def test_what_the_callers_iterator_raises_comes_back_and_nothing_is_imported() -> None:
    scene = Scene()

    def broken() -> Iterator[Entry]:
        yield from entries(5_000)
        raise ZeroDivisionError

    def use(client: Client) -> None:
        client.create_hash_set("a", HarmDomain.OTHER)
        with pytest.raises(ZeroDivisionError):
            client.import_entries("a", broken())
        assert client.hash_set("a").version == 1
        with pytest.raises(ZeroDivisionError):
            list(client.detect_stream(("x", bytes(1 // 0)) for _ in range(1)))

    await with_client(scene, use)


async def test_overload_is_tried_again_after_the_hint() -> None:
    scene = Scene(hasher=FakeHasher(error=Overloaded("busy", retry_after_s=0.1)))

    def use(client: Client) -> float:
        started = time.monotonic()
        with pytest.raises(Overloaded, match="busy") as caught:
            client.detect(b"image")
        assert caught.value.retry_after_s == 0.1
        assert repr(client).endswith("1 calls, 2 retries>")
        return time.monotonic() - started

    assert await with_client(scene, use, retry=RetryPolicy(attempts=3, first_wait_s=0.01)) >= 0.2
    assert len(scene.hasher.options) == 3


async def test_a_deadline_is_a_deadline() -> None:
    scene = Scene(hasher=FakeHasher(delay_s=60))

    def use(client: Client) -> None:
        with pytest.raises(DeadlineExceeded):
            client.detect(b"image", timeout_s=0.1)
        with pytest.raises(DeadlineExceeded):
            [answer.unwrap() for answer in client.detect_stream([("a", b"image")], timeout_s=0.1)]

    await with_client(scene, use)
    assert scene.hasher.running == 0


async def test_leaving_a_stream_cancels_its_work() -> None:
    scene = Scene()

    def use(client: Client) -> None:
        stream = client.detect_stream((str(number), b"image") for number in itertools.count())
        next(stream)
        stream.close()

    async with serving(scene):
        with Client(scene.target) as client:
            await asyncio.to_thread(use, client)
            await until(lambda: ": 0 active" in repr(scene.endpoint))
            assert scene.hasher.running == 0


async def test_nobody_there_is_told_with_the_address() -> None:
    def use() -> None:
        with Client("127.0.0.1:1", retry=RetryPolicy(attempts=2, first_wait_s=0.01)) as client:
            with pytest.raises(ServiceUnavailable, match=r"no hashmatch service answers at 127\.0\.0\.1:1"):
                client.detect(b"image", timeout_s=60)
            gone = r"127\.0\.0\.1:1 was not ready within 600 s: no hashmatch service answers"
            with ticking_clock(step_s=100), pytest.raises(ServiceUnavailable, match=gone):
                client.wait_ready(600)

    await asyncio.to_thread(use)
