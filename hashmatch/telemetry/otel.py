"""Traces for OpenTelemetry; the only module that imports it.

Theory of operation
-------------------
A call's span continues the trace that its caller names in ``traceparent``, where that is sampled, or begins one for
``tracing.ratio`` of the others. Its stages are told when the answer is there, as durations that add up over the looks
at one picture; their spans are laid end to end, so that the last one ends when the work did: :data:`LAYOUT` says what
lies within what. Spans are sent by a thread of the library's, in batches, and dropped when nobody takes them.

Attributes name the method, the status, the reason and the call's id. A caller's ``tracestate`` and ``baggage`` are
texts of the caller's: they are neither read nor passed on.

What this module deliberately does not do: it reads no request and no answer, and installs nothing globally.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hashmatch.sections import TracingConfig
from hashmatch.telemetry.tracing import TRACEPARENT, Span

LAYOUT: Final = (("sandbox", ("queue", "decode", "hash")), ("search", ()), ("policy", ()))
"""Stages in their order, each with those that lie within it."""

OURS: Final = frozenset({"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS", "UNIMPLEMENTED", "DEADLINE_EXCEEDED"})
"""Statuses that make a server's span an error; the others are the caller's (OpenTelemetry's conventions for gRPC)."""

_propagator: Final = TraceContextTextMapPropagator()
_current: ContextVar[trace.Span | None] = ContextVar("hashmatch_span", default=None)


class OtelTracer:
    """Spans for an exporter.

    Parameters
    ----------
    config : TracingConfig
        Share of calls, and where spans go.
    version : str
        Of the service.
    processor : SpanProcessor, optional
        Takes spans instead of sending them to ``config.endpoint``.

    """

    def __init__(self, config: TracingConfig, version: str, processor: SpanProcessor | None = None) -> None:
        self._endpoint = config.endpoint
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(config.ratio)),
            resource=Resource.create({"service.name": "hashmatch", "service.version": version}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor or BatchSpanProcessor(_exporter(config.endpoint)))
        self._tracer = self._provider.get_tracer("hashmatch", version)

    def __repr__(self) -> str:
        return f"<OtelTracer to {self._endpoint or 'a processor'}>"

    def begin(self, method: str, call: str, untrusted_parent: str) -> Span:
        """Begin the span of a call."""
        context = _propagator.extract({TRACEPARENT: untrusted_parent}) if untrusted_parent else None
        service, _, name = method.strip("/").partition("/")
        span = self._tracer.start_span(
            f"{service}/{name}",
            context=context,
            kind=trace.SpanKind.SERVER,
            attributes={
                "rpc.system": "grpc",
                "rpc.service": service,
                "rpc.method": name,
                "hashmatch.call_id": call,
            },
        )
        _current.set(span)
        return _Begun(span)

    def stages(self, elapsed_us: Mapping[str, int]) -> None:
        """Add the spans of stages that have just ended."""
        span = _current.get()
        if span is None or not span.is_recording():
            return
        outer = sum(elapsed_us.get(stage, 0) for stage, _ in LAYOUT)
        at_ns = time.time_ns() - 1_000 * outer
        for stage, inner in LAYOUT:
            if stage not in elapsed_us:
                continue
            own = self._stage(span, stage, at_ns, elapsed_us[stage])
            within_ns = at_ns
            for part in inner:
                self._stage(own, part, within_ns, elapsed_us.get(part, 0))
                within_ns += 1_000 * elapsed_us.get(part, 0)
            at_ns += 1_000 * elapsed_us[stage]

    def close(self) -> None:
        """Send what is waiting, for some seconds at most; blocks."""
        self._provider.shutdown()

    def _stage(self, above: trace.Span, name: str, start_ns: int, took_us: int) -> trace.Span:
        span = self._tracer.start_span(name, trace.set_span_in_context(above), start_time=start_ns)
        span.end(start_ns + 1_000 * took_us)
        return span


class _Begun:
    """The span of one call."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def __repr__(self) -> str:
        return f"<_Begun: {self._span.get_span_context().span_id:016x}>"

    def end(self, status: str, reason: str) -> None:
        """End it."""
        self._span.set_attribute("rpc.response.status_code", status)
        if reason:
            self._span.set_attribute("error.type", reason)
        if status in OURS:
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


def _exporter(endpoint: str) -> SpanExporter:
    return OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"))
