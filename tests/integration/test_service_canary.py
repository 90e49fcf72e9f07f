"""No image byte, hash, URL or caller's id reaches a log, a metric or a span, whatever goes wrong in whichever layer.

A canary goes in wherever callers put content, every layer is made to fail with the canary in the error's text, and all
logs are caught at DEBUG level, gRPC's and asyncio's included, as text and as JSON. What is counted is looked through as
Prometheus would read it, and every call is traced into memory. A positive control shows that the catch works.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hashmatch.client import AsyncClient, RetryPolicy
from hashmatch.config import Config, TracingConfig
from hashmatch.errors import BadConfig, CatalogCorrupt, HashmatchError, Overloaded, SegmentCorrupt
from hashmatch.model import HarmDomain, Picture, Refusal
from hashmatch.service.server import serve
from hashmatch.service.watching import Watch
from hashmatch.telemetry.families import View
from hashmatch.telemetry.logs import JsonFormatter
from hashmatch.telemetry.otel import OtelTracer
from hashmatch.telemetry.page import rendered
from hashmatch.telemetry.tally import Tally
from hashmatch.v1 import detection_pb2
from tests.support.canary import CANARY, HASH, IMAGE, URL, call_everything, leaks
from tests.support.ports import FakeHasher
from tests.support.service import STATUS, Scene, serving, until


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything logged so far, as a handler with a traceback formatter would write it."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "asyncio")

    def text() -> str:
        plain, as_json = logging.Formatter("%(name)s %(levelname)s %(message)s"), JsonFormatter()
        lines = [form(record) for form in (plain.format, as_json.format) for record in caplog.records]
        return "\n".join(lines)

    return text


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Return where every span of :func:`observed` ends up."""
    exporter = InMemorySpanExporter()
    yield exporter
    exporter.clear()


def observed(spans: InMemorySpanExporter, **given: Any) -> Scene:
    """Return a scene whose calls are all traced."""
    tracer = OtelTracer(TracingConfig(ratio=1.0), "0", SimpleSpanProcessor(spans))
    return Scene(watch=Watch(Tally(), tracer), **given)


def told(scene: Scene, spans: InMemorySpanExporter) -> str:
    """Return everything that was counted and traced."""
    page, _ = rendered(View(scene.watch.tally.copy(), dataclasses.replace(STATUS, traffic=scene.watch.tally.traffic())))
    return "\n".join([page.decode(), *(span.to_json() for span in spans.get_finished_spans())])


async def raw_nonsense(target: str) -> None:
    """Send the canary where a protocol buffer should be."""
    async with grpc.aio.insecure_channel(target) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary("/hashmatch.v1.DetectionService/Detect")(IMAGE)  # type: ignore[arg-type]


async def cancelled(client: AsyncClient, scene: Scene) -> None:
    """Go away in the middle of a call."""
    scene.hasher.held = asyncio.Event()
    asking = asyncio.create_task(client.detect(IMAGE, request_id=URL))
    await until(lambda: scene.hasher.running)
    asking.cancel()
    await until(lambda: not scene.hasher.running)
    scene.hasher.held = None


async def nonsense_about_traces(target: str) -> None:
    """Send the canary where a trace should be continued."""
    headers = (("traceparent", f"00-{CANARY}-{CANARY}-01"), ("tracestate", f"a={CANARY}"), ("baggage", f"a={CANARY}"))
    async with grpc.aio.insecure_channel(target) as channel:
        ask: Any = channel.unary_unary("/hashmatch.v1.DetectionService/Detect")
        await ask(detection_pb2.DetectRequest(image=IMAGE).SerializeToString(), metadata=headers)
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(f"/{CANARY}/{CANARY}")(IMAGE)  # type: ignore[arg-type]


async def test_nothing_that_callers_send_is_logged_counted_or_traced(
    logged: Callable[[], str], spans: InMemorySpanExporter
) -> None:
    async with serving(observed(spans)) as scene, AsyncClient(scene.target) as client:
        ended = await call_everything(client)
        await raw_nonsense(scene.target)
        await nonsense_about_traces(scene.target)
        await cancelled(client, scene)
    found = told(scene, spans)
    assert 'hashmatch_requests_total{method="unknown",status="UNIMPLEMENTED"} 1.0' in found
    assert 'hashmatch_requests_total{method="/hashmatch.v1.DetectionService/Detect",status="CANCELLED"}' in found
    assert len(spans.get_finished_spans()) > 20
    assert leaks(found) == []
    assert {"OK", "BadInput", "SetNotFound", "BadHash", "UnknownAlgorithm", "EntryNotFound"} <= set(ended)
    assert leaks(logged()) == []
    assert "/hashmatch.v1.DetectionService/Detect: OK after" in logged()


@pytest.mark.parametrize(
    "error",
    [
        ValueError(URL, IMAGE, HASH),
        KeyError(IMAGE),
        HashmatchError(URL),
        SegmentCorrupt(f"{HASH.hex} in {URL}", field=CANARY),
        CatalogCorrupt(URL),
        Overloaded(URL),
        MemoryError(IMAGE),
        ExceptionGroup(URL, [ValueError(IMAGE)]),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("layer", ["hasher", "catalog", "publish", "index"])
async def test_nothing_that_an_error_says_is_logged(
    logged: Callable[[], str],
    spans: InMemorySpanExporter,
    layer: str,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = observed(spans)

    def fail(*_: object, **__: object) -> None:
        raise error

    async def fail_later(*_: object, **__: object) -> None:
        raise error

    if layer == "hasher":
        scene.hasher.error = error
    elif layer == "catalog":
        scene.catalog.create_set(CANARY, HarmDomain.OTHER)
        scene.catalog.error = error
    elif layer == "index":
        monkeypatch.setattr(scene.index, "search", fail)
    else:
        monkeypatch.setattr(scene, "publish", fail_later)
    async with serving(scene), AsyncClient(scene.target, retry=RetryPolicy(attempts=1)) as client:
        ended = await call_everything(client)
    name = type(error).__name__ if isinstance(error, HashmatchError) else "HashmatchError"
    assert name in ended or (layer == "hasher" and "OK" in ended)
    assert leaks(logged()) == []
    assert leaks(told(scene, spans)) == []


async def test_a_defect_is_logged_with_its_place_and_the_call_that_the_caller_was_told(
    logged: Callable[[], str],
) -> None:
    hasher = FakeHasher(error=ValueError(URL))
    async with serving(Scene(hasher=hasher)) as scene, AsyncClient(scene.target) as client:
        with pytest.raises(HashmatchError) as caught:
            await client.detect(IMAGE)
    call = caught.value.message.rpartition(" ")[2]
    (line,) = [line for line in logged().splitlines() if " ERROR " in line]
    assert line.startswith(
        "hashmatch.service ERROR /hashmatch.v1.DetectionService/Detect: ValueError at tests/support/ports.py:"
    )
    assert line.endswith(f" (call {call})")
    assert "hashmatch/matching/engine.py:" in line
    (as_json,) = [json.loads(line) for line in logged().splitlines() if '"ERROR"' in line]
    assert {name: as_json[name] for name in ("call", "method", "status", "reason", "caller")} == {
        "call": call,
        "method": "/hashmatch.v1.DetectionService/Detect",
        "status": "INTERNAL",
        "reason": "HASHMATCH_ERROR",
        "caller": "local",
    }


async def test_the_positive_control_is_caught(logged: Callable[[], str]) -> None:
    logging.getLogger("hashmatch.service").debug("request %r", IMAGE)
    logging.getLogger("grpc").error("hash %s", HASH.hex)
    assert len(leaks(logged())) == 4  # each as text and as JSON


async def test_the_positive_control_is_caught_on_the_page_and_in_a_span(spans: InMemorySpanExporter) -> None:
    scene = observed(spans)
    scene.watch.begin(f"/{CANARY}/Detect", "", "", timed=True).end()
    assert len(leaks(told(scene, spans))) > 1


async def test_a_refusals_detail_goes_to_the_caller_and_to_no_log(logged: Callable[[], str]) -> None:
    hasher = FakeHasher(Picture(refusal=Refusal.CORRUPT, detail=f"at {CANARY}"))
    async with serving(Scene(hasher=hasher)) as scene, AsyncClient(scene.target) as client:
        assert (await client.detect(IMAGE)).detail == f"at {CANARY}"
    assert leaks(logged()) == []


async def test_a_server_does_not_start_while_grpc_traces_payloads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(os.environ, "GRPC_TRACE", "all")
    data_dir = tmp_path / "data"
    with pytest.raises(BadConfig, match=r"GRPC_TRACE is set to 'all'; .* unset it") as caught:
        await serve(Config(), data_dir)
    assert caught.value.field == "GRPC_TRACE"
    assert not data_dir.exists()
