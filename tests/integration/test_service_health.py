"""Health by the standard protocol, the drain, and reflection."""

from __future__ import annotations

import asyncio
import builtins
import logging
import socket
from types import ModuleType
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hashmatch.client import AsyncClient, RetryPolicy
from hashmatch.config import ServerConfig
from hashmatch.errors import BadConfig, ServiceUnavailable
from hashmatch.model import Verdict
from hashmatch.service.endpoint import Endpoint
from hashmatch.service.health import READINESS
from tests.support.clock import ticking_clock
from tests.support.ports import FakeHasher
from tests.support.service import Scene, collect, loopback, serving, until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def accepts_connections(target: str) -> bool:
    """Whether anybody listens there."""
    host, _, port = target.rpartition(":")
    try:
        socket.create_connection((host, int(port))).close()
    except ConnectionRefusedError:
        return False
    return True


async def asked(stub: Any, service: str) -> int:
    response = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    return int(response.status)


async def test_readiness_follows_the_checks_and_liveness_does_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hashmatch.service")
    async with serving() as scene, grpc.aio.insecure_channel(scene.target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert [await asked(stub, name) for name in ("", READINESS)] == [SERVING, SERVING]
        scene.healthy = False
        async with asyncio.timeout(300):
            watch = stub.Watch(health_pb2.HealthCheckRequest(service=READINESS))
            async for response in watch:
                if response.status == NOT_SERVING:
                    break
        assert [await asked(stub, name) for name in ("", "hashmatch.v1.HashSetService")] == [SERVING, SERVING]
        scene.healthy = True
        async with asyncio.timeout(300):
            async for response in watch:
                if response.status == SERVING:
                    break
        watch.cancel()
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("readiness")]
    assert told == ["readiness: ready", "readiness: not ready: fake", "readiness: ready"]


async def test_a_service_that_health_does_not_know_is_not_found() -> None:
    async with serving() as scene, grpc.aio.insecure_channel(scene.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asked(health_pb2_grpc.HealthStub(channel), "hashmatch.v2.Other")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


NOT_READY = r"was not ready within 600 s: it answers but is not ready"


async def test_wait_ready_waits_for_readiness_and_says_what_it_saw() -> None:
    async with serving(Scene(healthy=False)) as scene, AsyncClient(scene.target) as client:
        with ticking_clock(step_s=100), pytest.raises(ServiceUnavailable, match=NOT_READY):
            await client.wait_ready(600)
        waiting = asyncio.create_task(client.wait_ready(300))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        scene.healthy = True
        await waiting


async def test_a_drain_lets_accepted_calls_finish_and_refuses_new_ones() -> None:
    release = asyncio.Event()
    async with serving(Scene(hasher=FakeHasher(held=release))) as scene, AsyncClient(scene.target) as client:
        asking = [asyncio.create_task(client.detect(b"image")) for _ in range(20)]
        await until(lambda: scene.hasher.running == 20)
        assert scene.endpoint is not None
        draining = asyncio.create_task(scene.endpoint.drain())
        await until(lambda: not accepts_connections(scene.target))
        async with AsyncClient(scene.target, retry=RetryPolicy(attempts=1)) as late:
            with pytest.raises(ServiceUnavailable):
                await late.detect(b"image")
        assert not draining.done()
        release.set()
        reports = await asyncio.gather(*asking)
        await draining
    assert [report.verdict for report in reports] == [Verdict.NO_MATCH] * 20


async def test_a_drain_says_not_serving_to_watchers_and_does_not_wait_for_them() -> None:
    release = asyncio.Event()
    async with (
        serving(Scene(hasher=FakeHasher(held=release))) as scene,
        grpc.aio.insecure_channel(scene.target) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=READINESS))
        assert (await watch.read()).status == SERVING
        async with AsyncClient(scene.target) as client:
            asking = asyncio.create_task(client.detect(b"image"))
            await until(lambda: scene.hasher.running)
            assert scene.endpoint is not None
            draining = asyncio.create_task(scene.endpoint.drain())
            assert (await watch.read()).status == NOT_SERVING
            release.set()
            await asking
            async with asyncio.timeout(300):
                await draining


async def test_a_drain_ends_with_its_time() -> None:
    scene = Scene(loopback(drain_s=0), FakeHasher(held=asyncio.Event()))
    async with serving(scene), AsyncClient(scene.target) as client:
        asking = asyncio.create_task(client.detect(b"image"))
        await until(lambda: scene.hasher.running)
        assert scene.endpoint is not None
        async with asyncio.timeout(300):
            await scene.endpoint.drain()
        with pytest.raises(ServiceUnavailable):
            await asking
    assert scene.hasher.cancelled == 1


async def test_a_drain_in_a_hurry_cancels_at_once() -> None:
    scene = Scene(loopback(drain_s=600), FakeHasher(held=asyncio.Event()))
    async with serving(scene), AsyncClient(scene.target) as client:
        asking = asyncio.create_task(client.detect(b"image"))
        await until(lambda: scene.hasher.running)
        hurry = asyncio.Event()
        assert scene.endpoint is not None
        draining = asyncio.create_task(scene.endpoint.drain(hurry))
        await asyncio.sleep(0.1)
        assert not draining.done()
        hurry.set()
        async with asyncio.timeout(300):
            await draining
        with pytest.raises(ServiceUnavailable):
            await asking


async def listed(channel: grpc.aio.Channel) -> list[bytes]:
    reflect: Any = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    return await collect(reflect(iter([b"\x3a\x01*"])))  # list_services = "*"


async def test_reflection_is_off_unless_configured() -> None:
    async with serving() as scene, grpc.aio.insecure_channel(scene.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="UNIMPLEMENTED"):
            await listed(channel)
    scene = Scene(loopback(reflection=True))
    async with serving(scene), grpc.aio.insecure_channel(scene.target) as channel:
        (answer,) = await listed(channel)
    assert b"hashmatch.v1.DetectionService" in answer


async def test_reflection_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_reflection(name: str, *args: Any, **kwargs: Any) -> ModuleType:
        if name.startswith("grpc_reflection"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_reflection)
    with pytest.raises(BadConfig, match=r"install hashmatch\[reflection\]") as caught:
        async with serving(Scene(loopback(reflection=True))):
            pytest.fail("it started")
    assert caught.value.field == "server.reflection"


async def test_a_second_server_on_the_same_port_is_refused() -> None:
    async with serving() as scene:
        second = Endpoint(ServerConfig(listen=scene.target))
        with pytest.raises(
            BadConfig, match=f"cannot listen on {scene.target}; is another server running there"
        ) as caught:
            second.bind()
        await second.abort()
    assert caught.value.field == "server.listen"
