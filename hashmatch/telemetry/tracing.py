"""Traces as the service sees them: a span for each call, and spans of its stages.

Theory of operation
-------------------
The guard begins a span and ends it; whoever has an answer tells its stages. ``telemetry.otel`` does something with
that where traces are configured; :data:`SILENT` does nothing, so that nobody has to ask.

What this module deliberately does not do: it knows no library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

TRACEPARENT: Final = "traceparent"
"""Key of the metadata in which a caller names the span that it calls from (W3C Trace Context)."""


class Span(Protocol):
    """A call, from its first header to its last byte."""

    def end(self, status: str, reason: str) -> None:
        """End it, with gRPC's status and the name of the error, if there was one."""


class Tracer(Protocol):
    """Where spans go."""

    def begin(self, method: str, call: str, untrusted_parent: str) -> Span:
        """Begin the span of a call; whatever the current task does from now on is part of it."""

    def stages(self, elapsed_us: Mapping[str, int]) -> None:
        """Tell the stages of work that has just ended."""


class _SilentSpan:
    def end(self, status: str, reason: str) -> None:
        """Do nothing."""


class _Silent:
    _span: Final = _SilentSpan()

    def begin(self, method: str, call: str, untrusted_parent: str) -> Span:
        """Begin nothing."""
        del method, call, untrusted_parent
        return self._span

    def stages(self, elapsed_us: Mapping[str, int]) -> None:
        """Do nothing."""


SILENT: Final[Tracer] = _Silent()
