"""The sections of what a running service tells of itself: metrics and traces."""

from __future__ import annotations

from dataclasses import dataclass

from hashmatch.limits import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """Metrics for Prometheus (docs/guide/operations.md)."""

    listen: str = setting("", "host:port of the page /metrics, e.g. 127.0.0.1:9464; empty: none. It knows no callers")
    allow_remote: bool = setting(
        default=False, why="listen beyond this machine although anybody there can read the page: set names, callers' "
        "names and traffic; for private networks",
    )  # fmt: skip
    max_sets: int = setting(
        100, "set names that become labels; further ones count as `other`. Each costs five series here and in "
        "Prometheus", unit="names", at_least=0, at_most=10_000,
    )  # fmt: skip
    max_callers: int = setting(
        100, "callers' names that become labels; further ones count as `other`",
        unit="names", at_least=0, at_most=10_000,
    )  # fmt: skip
    poll_s: int = setting(
        15, "how often the catalog and the outbox are counted for the page, which itself asks no database; as often as "
        "Prometheus reads it", unit="s", at_least=1, at_most=3_600,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingConfig:
    """Traces for OpenTelemetry; needs the extra `otel`."""

    endpoint: str = setting(
        "", "http://host:port or https://host:port of a collector that takes OTLP over gRPC; empty: no traces"
    )
    ratio: float = setting(
        0.01, "of the calls that bring no trace of their own; a caller's trace is continued where it is sampled",
        unit="0..1", at_least=0, at_most=1,
    )  # fmt: skip
