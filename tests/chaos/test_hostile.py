"""Strangers that send half, too much, compressed, or nothing for long, and go away: honest callers do not notice."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import grpc
import grpc.aio
import numpy as np
import pytest

from hashmatch.client import AsyncClient
from hashmatch.v1 import detection_pb2, detection_pb2_grpc, types_pb2
from tests.chaos.history import History, Oracle, quantile_ms
from tests.chaos.load import ONCE, Callers, begun, calling, photos
from tests.chaos.serving import Served, Setup, served, status_kib, until
from tests.chaos.sizes import Sizes
from tests.fuzz.test_decode import SEEDS
from tests.support import http2, images

AGE_S, GRACE_S = 1, 3
PER_CONNECTION = 1_000
"""Streams that are reset on one connection before another is opened."""
AT_ONCE = 50
"""Calls in flight on one connection, of the 64 that a service allows."""

SETUP = Setup(server="max_message_bytes = 1048576", more="[decode]\nmax_bytes = 524288")
AGEING = Setup(server=f"connection_age_s = {AGE_S}\nconnection_grace_s = {GRACE_S}")
"""Other tests make thousands of calls on one connection, which on some machine takes longer than that."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("hostile"), SETUP) as running:
        yield running


@contextlib.contextmanager
def held(connections: list[socket.socket]) -> Iterator[None]:
    """Close them in the end."""
    try:
        yield
    finally:
        for connection in connections:
            connection.close()


async def test_half_open_and_half_sent_calls_hold_up_nobody(
    tmp_path: Path, sizes: Sizes, noted: Callable[..., None]
) -> None:
    with served(tmp_path, AGEING) as service:
        await beside_strangers(service, sizes, noted)


async def beside_strangers(service: Served, sizes: Sizes, noted: Callable[..., None]) -> None:
    """Open half of everything beside two honest callers, until the service has closed it all."""
    pictures, oracle, quiet, history = photos(4), Oracle(), History(), History()
    host, _, port = service.target.rpartition(":")
    async with AsyncClient(service.target) as client:
        await begun(client, oracle, {"e0": pictures[0].value})

        def ask(callers: Callers, number: int) -> asyncio.Future[None]:
            return asyncio.ensure_future(callers.images(client, pictures, number))

        async with calling(quiet, 2, ask):
            await asyncio.sleep(sizes.quiet_s)
        half_sent = [http2.half_a_request(service.target) for _ in range(8)]
        half_open = [socket.create_connection((host, int(port))) for _ in range(min(200, sizes.half_open))]
        bad, refused = [*half_sent, *half_open], 0
        with held(bad):
            async with calling(history, 2, ask):
                for _ in range(sizes.half_open - len(half_open)):
                    try:
                        bad.append(socket.create_connection((host, int(port)), timeout=1))
                    except OSError:
                        refused += 1
                began = time.monotonic()
                await asyncio.to_thread(until, lambda: all(http2.closed(connection) for connection in bad))
                gone_s = time.monotonic() - began
                await asyncio.sleep(max(0.0, sizes.slow_s - gone_s))
        await client.wait_ready(300)
    wrong = quiet.wrong(oracle) + history.wrong(oracle)
    noted(
        "slowloris", half_open=len(bad) - len(half_sent), half_sent=len(half_sent), refused=refused,
        all_gone_after_s=round(gone_s, 1), age_and_grace_s=AGE_S + GRACE_S, calls=len(history.calls),
        not_ok=dict(history.not_ok()), wrong=len(wrong), p99_ms=round(quantile_ms(history.ok(), 0.99), 1),
        p99_quiet_ms=round(quantile_ms(quiet.ok(), 0.99), 1),
    )  # fmt: skip
    assert wrong == []
    assert not history.not_ok()
    assert not quiet.not_ok()


def reset_at_once(target: str, count: int) -> Counter[str]:
    """Open streams and reset each at once, as many as fit; count those that the service refused."""
    fields, came = http2.request_fields(target.rpartition(":")[0]), Counter[str]()
    for first in range(0, count, PER_CONNECTION):
        with http2.connected(target) as connection, contextlib.suppress(ConnectionError):
            sent = b"".join(
                http2.frame(http2.HEADERS, http2.END_HEADERS, stream, fields) + http2.reset(stream)
                for stream in range(1, 2 * min(PER_CONNECTION, count - first), 2)
            )
            came["refused"] += http2.round_trip(connection, sent).count(http2.RST_STREAM)
    return came


def begun_and_cancelled(target: str, count: int) -> Counter[str]:
    """Make calls, wait until the service has them, and cancel all that are not answered; count what came of them."""
    fields, came = http2.request_fields(target.rpartition(":")[0], path=http2.DETECT_HASHES), Counter[str]()
    value = detection_pb2.HashedItem(hashes=[types_pb2.Hash(algorithm="md5", value=bytes(16))])
    body = detection_pb2.DetectHashesRequest(items=[value] * 20).SerializeToString()
    message = b"\x00" + len(body).to_bytes(4) + body
    for first in range(0, count, PER_CONNECTION):
        with http2.connected(target) as connection:
            streams = list(range(1, 2 * min(PER_CONNECTION, count - first), 2))
            for at in range(0, len(streams), AT_ONCE):
                batch = streams[at : at + AT_ONCE]
                calls = (
                    http2.frame(http2.HEADERS, http2.END_HEADERS, stream, fields)
                    + http2.frame(http2.DATA, http2.END_STREAM, stream, message)
                    for stream in batch
                )
                kinds = http2.round_trip(connection, b"".join(calls))
                came["refused"] += kinds.count(http2.RST_STREAM)
                came["answered"] += kinds.count(http2.HEADERS) // 2  # a head and a trailer
                http2.round_trip(connection, b"".join(map(http2.reset, batch)))
    return came


@pytest.mark.parametrize("name", ["rapid_reset", "cancelled"])
async def test_calls_that_are_cancelled_cost_no_memory(
    service: Served, sizes: Sizes, noted: Callable[..., None], name: str
) -> None:
    count, ask = {
        "rapid_reset": (sizes.resets, reset_at_once),
        "cancelled": (sizes.cancelled, begun_and_cancelled),
    }[name]
    async with AsyncClient(service.target) as client:
        await client.wait_ready(300)
        await asyncio.to_thread(ask, service.target, 2_000)
        rss, came = [status_kib(service.pid, "VmRSS")], Counter[str]()
        began = time.monotonic()
        for _ in range(10):
            came += await asyncio.to_thread(ask, service.target, count // 10)
            rss.append(status_kib(service.pid, "VmRSS"))
        took_s = time.monotonic() - began
        answered = time.monotonic()
        report = await client.detect(b"no picture", timeout_s=300)
        next_ms = 1_000 * (time.monotonic() - answered)
    slope = np.polyfit(np.arange(len(rss)) * count / 10, rss, 1)[0]
    noted(
        name, calls=count, answered=came["answered"], refused=came["refused"],
        per_s=round(count / took_s), rss_mib=[round(kib / 1024, 1) for kib in rss],
        rss_bytes_per_call=round(float(slope) * 1024, 2), growth_percent=round(100 * (rss[-1] / rss[0] - 1), 2),
        next_call_ms=round(next_ms, 1),
    )  # fmt: skip
    assert report.reason == "unsupported_format"
    assert rss[-1] - rss[0] < 64 << 10
    assert name != "cancelled" or not came["refused"], "every one of the calls had begun"


async def test_what_is_too_much_is_a_status_and_takes_no_memory(service: Served, noted: Callable[..., None]) -> None:
    outcomes: Counter[str] = Counter()
    async with grpc.aio.insecure_channel(service.target) as channel:
        stub = detection_pb2_grpc.DetectionServiceStub(channel)
        await stub.Detect(detection_pb2.DetectRequest(image=b"no picture"), wait_for_ready=True)
        before = status_kib(service.pid, "VmHWM")
        bomb = gzip.compress(detection_pb2.DetectRequest(image=bytes(64 << 20)).SerializeToString())
        for _ in range(5):
            connection = http2.request_head(service.target, (b"grpc-encoding", b"gzip"))
            with held([connection]), contextlib.suppress(ConnectionError):
                message = b"\x01" + len(bomb).to_bytes(4) + bomb
                for start in range(0, len(message), 16_384):
                    connection.sendall(http2.frame(http2.DATA, 0, 1, message[start : start + 16_384]))
                connection.settimeout(300)
                answer = b""
                while b"larger than max" not in answer and (part := connection.recv(65_536)):
                    answer += part
                outcomes["bomb refused"] += b"Decompressed message larger than max" in answer
        for name, request, metadata in (
            ("oversize", detection_pb2.DetectRequest(image=bytes(2 << 20)), ()),
            ("metadata", detection_pb2.DetectRequest(), (("x-large", "y" * 20_000),)),
        ):
            for _ in range(5):
                async with grpc.aio.insecure_channel(service.target) as fresh:
                    asking = detection_pb2_grpc.DetectionServiceStub(fresh).Detect(request, metadata=metadata)
                    with pytest.raises(grpc.aio.AioRpcError) as caught:
                        await asking
                outcomes[f"{name} {caught.value.code().name}"] += 1
        grown = status_kib(service.pid, "VmHWM") - before
    noted("too_much", outcomes=dict(outcomes), peak_growth_mib=round(grown / 1024, 1))
    refused = {
        f"{what} {status}" for what in ("oversize", "metadata") for status in ("RESOURCE_EXHAUSTED", "UNAVAILABLE")
    }
    assert set(outcomes) <= {"bomb refused", *refused}, "UNAVAILABLE where the service hung up before it had said why"
    assert (outcomes["bomb refused"], outcomes.total()) == (5, 15), outcomes
    assert grown < 16 << 10
    assert service.process.poll() is None


def damaged(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield pictures of every format, each damaged in another way."""
    rng, ways, seeds = np.random.default_rng(3), list(images.mutations().values()), list(SEEDS.values())
    for number in range(count):
        one, other = (seeds[int(rng.integers(len(seeds)))] for _ in range(2))
        yield str(number), ways[number % len(ways)](rng, one, other)


async def test_damaged_pictures_kill_no_worker(tmp_path: Path, sizes: Sizes, noted: Callable[..., None]) -> None:
    with served(tmp_path, Setup(sandbox="recycle_after = 1000000")) as service:
        async with AsyncClient(service.target, retry=ONCE) as client:
            await client.wait_ready(300)
            outcomes: Counter[str] = Counter()
            pending: dict[str, float] = {}
            times: list[float] = []

            async def items() -> AsyncIterator[tuple[str, bytes]]:
                for item_id, file in damaged(sizes.mutated):
                    pending[item_id] = time.monotonic()
                    yield item_id, file

            began = time.monotonic()
            async for answer in client.detect_stream(items()):
                times.append(time.monotonic() - pending.pop(answer.item_id))
                report = answer.report
                outcomes["error" if report is None else report.reason or "looked at"] += 1
            took_s = time.monotonic() - began
            status = await client.status()
            rss = max(status_kib(pid, "VmHWM") for pid in service.workers())
    times.sort()
    noted(
        "mutated", pictures=sizes.mutated, per_s=round(sizes.mutated / took_s), outcomes=dict(outcomes.most_common()),
        workers_lost=status.workers.restarts, p999_ms=round(1_000 * times[int(0.999 * len(times))], 1),
        longest_ms=round(1_000 * times[-1], 1), worker_peak_mib=round(rss / 1024),
    )  # fmt: skip
    assert pending == {}
    assert outcomes.total() == sizes.mutated
    assert {"error", "crashed", "timeout"}.isdisjoint(outcomes)
    assert status.workers.restarts == 0
    assert len(outcomes) > 2
