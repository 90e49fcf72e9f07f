"""Spans: their names, their order, whose trace they continue, and nothing of content."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hashmatch.config import TracingConfig
from hashmatch.telemetry.otel import OtelTracer

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
DETECT = "/hashmatch.v1.DetectionService/Detect"

Traced = Callable[[float], tuple[OtelTracer, InMemorySpanExporter]]


@pytest.fixture
def traced() -> Iterator[Traced]:
    """Make tracers whose spans stay in memory."""
    made: list[OtelTracer] = []

    def make(ratio: float) -> tuple[OtelTracer, InMemorySpanExporter]:
        exporter = InMemorySpanExporter()
        tracer = OtelTracer(TracingConfig(ratio=ratio), "1.0", SimpleSpanProcessor(exporter))
        made.append(tracer)
        return tracer, exporter

    yield make
    for tracer in made:
        tracer.close()


def call(tracer: OtelTracer, parent: str = "", status: str = "OK", reason: str = "", **stages: int) -> None:
    """Make one call in a context of its own, as a task has."""

    def inside() -> None:
        span = tracer.begin(DETECT, "abc", parent)
        if stages:
            tracer.stages(stages)
        span.end(status, reason)

    contextvars.copy_context().run(inside)


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """Return what was exported."""
    return {span.name: span for span in exporter.get_finished_spans()}


def nanoseconds(span: ReadableSpan) -> tuple[int, int]:
    """Return when a span began and ended."""
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time, span.end_time


def ids(span: ReadableSpan) -> tuple[int, int]:
    """Return the ids of a span and of its trace."""
    context = span.get_span_context()
    assert context is not None
    return context.span_id, context.trace_id


def parent_id(span: ReadableSpan) -> int:
    """Return the id of the span above."""
    assert span.parent is not None
    return span.parent.span_id


def test_a_call_and_its_stages(traced: Traced) -> None:
    tracer, exporter = traced(1.0)
    call(tracer, queue=10, decode=700, hash=200, sandbox=1_000, search=50, policy=5, total=1_060)
    spans = by_name(exporter)
    assert list(spans) == [
        "sandbox", "queue", "decode", "hash", "search", "policy", "hashmatch.v1.DetectionService/Detect",
    ]  # fmt: skip
    root = spans["hashmatch.v1.DetectionService/Detect"]
    assert root.attributes == {
        "rpc.system": "grpc",
        "rpc.service": "hashmatch.v1.DetectionService",
        "rpc.method": "Detect",
        "hashmatch.call_id": "abc",
        "rpc.response.status_code": "OK",
    }
    assert root.parent is None
    for name in ("sandbox", "search", "policy"):
        assert parent_id(spans[name]) == ids(root)[0]
    for name in ("queue", "decode", "hash"):
        assert parent_id(spans[name]) == ids(spans["sandbox"])[0]
    took_us = {name: (nanoseconds(span)[1] - nanoseconds(span)[0]) // 1_000 for name, span in spans.items()}
    assert {name: took_us[name] for name in ("queue", "decode", "sandbox", "policy")} == {
        "queue": 10, "decode": 700, "sandbox": 1_000, "policy": 5,
    }  # fmt: skip
    assert nanoseconds(spans["search"])[0] == nanoseconds(spans["sandbox"])[1]
    assert nanoseconds(spans["decode"])[0] == nanoseconds(spans["queue"])[1]
    assert not spans["sandbox"].attributes


def test_a_callers_trace_is_continued(traced: Traced) -> None:
    tracer, exporter = traced(0.0)
    call(tracer, SAMPLED)
    (span,) = exporter.get_finished_spans()
    assert f"{ids(span)[1]:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{parent_id(span):016x}" == "b7ad6b7169203331"


@pytest.mark.parametrize("parent", ["", UNSAMPLED, "nonsense", "00-0-0-01", "\x00" * 100])
def test_nothing_is_traced_that_was_not_sampled(traced: Traced, parent: str) -> None:
    tracer, exporter = traced(0.0)
    call(tracer, parent, sandbox=1_000)
    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize(
    ("status", "error"),
    [("INTERNAL", True), ("UNAVAILABLE", True), ("INVALID_ARGUMENT", False), ("CANCELLED", False)],
)
def test_a_failure_is_an_error_where_it_is_ours(traced: Traced, status: str, *, error: bool) -> None:
    tracer, exporter = traced(1.0)
    call(tracer, status=status, reason="SomeError")
    (span,) = exporter.get_finished_spans()
    assert span.status.is_ok is not error
    assert span.attributes is not None
    assert (span.attributes["error.type"], span.attributes["rpc.response.status_code"]) == ("SomeError", status)
    assert span.events == ()


def test_stages_outside_of_a_call_are_nobodys(traced: Traced) -> None:
    tracer, exporter = traced(1.0)
    contextvars.Context().run(tracer.stages, {"search": 5})
    assert exporter.get_finished_spans() == ()
    assert repr(tracer) == "<OtelTracer to a processor>"
