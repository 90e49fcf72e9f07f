"""Every metric, as a table: name, kind, labels, what it means, and where its values come from; pure.

Theory of operation
-------------------
A :class:`View` is what a process knows of itself at one moment. :data:`FAMILIES` says how each metric is read from it,
and :func:`metrics` does so for all, in Prometheus's types; docs/reference/metrics.md is written from the same table.
Names follow Prometheus's conventions: base units, ``_total`` on what only grows.

What this module deliberately does not do: it counts nothing, and a label is never a text of a caller's.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.metrics_core import Metric

from hashmatch.report.status import AuditStatus, Latency, ServiceStatus
from hashmatch.telemetry.tally import BOUNDS_US, Counts, Labels


@dataclass(frozen=True, slots=True)
class View:
    """What a process knows of itself: what it counted, its status, calls being served, and conditions of readiness."""

    counts: Counts
    status: ServiceStatus
    active: int = 0
    ready: Mapping[str, bool] = field(default_factory=dict)


class Kind(enum.StrEnum):
    """Prometheus's type of a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


Numbers = Callable[[View], Mapping[Labels, float]]
Latencies = Callable[[View], Mapping[Labels, Latency]]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. ``numbers`` are its values by labels; of a histogram ``latencies`` are."""

    name: str
    kind: Kind
    help: str
    labels: Labels = ()
    numbers: Numbers = lambda _: {}
    latencies: Latencies = lambda _: {}


def _counter(name: str, text: str, labels: Labels, numbers: Numbers) -> Family:
    return Family(name, Kind.COUNTER, text, labels, numbers)


def _gauge(name: str, text: str, number: Callable[[View], float]) -> Family:
    return Family(name, Kind.GAUGE, text, (), lambda view: {(): number(view)})


def _gauges(name: str, text: str, label: str, numbers: Callable[[View], Mapping[str, float]]) -> Family:
    return Family(name, Kind.GAUGE, text, (label,), lambda view: {(key,): n for key, n in numbers(view).items()})


def _histogram(name: str, text: str, labels: Labels, latencies: Latencies) -> Family:
    return Family(name, Kind.HISTOGRAM, text, labels, latencies=latencies)


def _audit(number: Callable[[AuditStatus], float]) -> Numbers:
    """Values of the audit log; none where nothing is recorded."""
    return lambda view: {} if view.status.audit is None else {(): number(view.status.audit)}


_CALLS: Final = (
    _counter(
        "hashmatch_requests_total", "Calls that ended, by gRPC status; CANCELLED where the caller left",
        ("method", "status"), lambda view: view.counts.calls,
    ),
    _counter(
        "hashmatch_request_errors_total", "Calls that failed, by the name of the error",
        ("method", "reason"), lambda view: view.counts.errors,
    ),
    _gauge("hashmatch_requests_in_flight", "Calls being served, without health watches", lambda view: view.active),
    _histogram(
        "hashmatch_request_duration_seconds", "Time of a call, from first header to answer; no streams of answers",
        ("method",), lambda view: view.counts.durations,
    ),
    _counter(
        "hashmatch_stream_items_total", "Items of streams that go on whatever becomes of an item, where it failed",
        ("stream", "status"), lambda view: view.counts.items,
    ),
    _counter(
        "hashmatch_caller_requests_total", "Calls that ended, by caller; `other` beyond metrics.max_callers",
        ("caller", "status"), lambda view: view.counts.callers,
    ),
    _counter(
        "hashmatch_quota_refusals_total", "Calls that the caller's quota refused",
        ("caller",), lambda view: view.counts.refused,
    ),
)  # fmt: skip

_ANSWERS: Final = (
    _histogram(
        "hashmatch_stage_duration_seconds",
        "Time of an answer by stage: of an image, queue, decode and hash within sandbox, search, policy and total; of "
        "a batch of hashes, search, policy and total over all of them",
        ("kind", "stage"), lambda view: view.counts.stages,
    ),
    _counter(
        "hashmatch_verdicts_total", "Answers, for images and for hashes",
        ("kind", "verdict"), lambda view: view.counts.verdicts,
    ),
    _counter(
        "hashmatch_set_matches_total",
        "Answers in which entries of a set had hits of a verdict; `other` beyond metrics.max_sets",
        ("set", "verdict"), lambda view: view.counts.matches,
    ),
    _counter(
        "hashmatch_flood_quarantines_total", "Entries that the flood guard of this process put into quarantine",
        ("set",), lambda view: view.counts.quarantines,
    ),
    _gauge(
        "hashmatch_quarantined_entries", "Entries in the flood guard's quarantine, of the latest thousand",
        lambda view: len(view.status.quarantined),
    ),
)  # fmt: skip

_WORKERS: Final = (
    _gauge("hashmatch_workers", "Confined workers that are alive", lambda view: view.status.workers.workers),
    _gauge("hashmatch_workers_busy", "Confined workers with an image", lambda view: view.status.workers.busy),
    _gauge("hashmatch_queue_images", "Images that wait for a worker", lambda view: view.status.workers.queued),
    _counter(
        "hashmatch_images_total", "Images handed to workers", (), lambda view: {(): view.status.workers.images}
    ),
    _counter(
        "hashmatch_worker_restarts_total", "Workers lost to a fault: a deadline, a crash, a reply that is not valid",
        (), lambda view: {(): view.status.workers.restarts},
    ),
    _gauge(
        "hashmatch_quarantined_images", "Images that are refused now because workers died on them",
        lambda view: view.status.workers.quarantined,
    ),
    _counter(
        "hashmatch_quarantine_refusals_total", "Images that were refused because workers had died on them",
        (), lambda view: {(): view.status.workers.quarantine_refusals},
    ),
    _gauge(
        "hashmatch_confined", "1 where all protections are in force and the self-test passed",
        lambda view: view.status.workers.confined,
    ),
    _gauges(
        "hashmatch_protection_active", "1 where one protection of the workers is in force", "protection",
        lambda view: {item.name: item.active for item in view.status.workers.protections},
    ),
)  # fmt: skip

_INDEX: Final = (
    _gauge(
        "hashmatch_index_sequence", "Position in the catalog's change feed that the generation contains",
        lambda view: view.status.index.sequence,
    ),
    _gauges(
        "hashmatch_index_values", "Hash values that can match", "algorithm", lambda view: view.status.index.values
    ),
    _gauge(
        "hashmatch_index_delta_entries", "Entries added since the snapshot",
        lambda view: view.status.index.delta_entries,
    ),
    _gauge(
        "hashmatch_index_tombstones", "Entries withdrawn since the snapshot", lambda view: view.status.index.tombstones
    ),
    _gauge(
        "hashmatch_index_behind_changes", "Changes known to be committed and not served",
        lambda view: view.status.follower.behind,
    ),
    _gauge(
        "hashmatch_index_lag_seconds", "Time since the index was last known to hold everything",
        lambda view: view.status.follower.lag_ms / 1e3,
    ),
    _gauge(
        "hashmatch_catalog_unreachable", "1 while the catalog's changes cannot be followed",
        lambda view: bool(view.status.follower.error),
    ),
    _gauge("hashmatch_catalog_sets", "Hash sets, as last counted", lambda view: view.status.hash_sets),
    _gauge("hashmatch_catalog_entries", "Entries not withdrawn, as last counted", lambda view: view.status.entries),
)  # fmt: skip

_RECORDS: Final = (
    Family(
        "hashmatch_outbox_deliveries", Kind.GAUGE, "Deliveries neither delivered nor cancelled, as last counted, of "
        "all processes of the catalog", ("outlet", "state"),
        lambda view: {(item.outlet, item.state): item.count for item in view.status.outbox},
    ),
    _counter(
        "hashmatch_deliveries_total", "Tries to deliver, by what came of them: delivered, postponed, dead, unsure, or "
        "waiting for a file", ("outlet", "outcome"), lambda view: view.counts.deliveries,
    ),
    Family(
        "hashmatch_audit_sequence", Kind.GAUGE, "Number of the last audit record on the disk", (),
        _audit(lambda audit: audit.seq),
    ),
    Family(
        "hashmatch_audit_queued_records", Kind.GAUGE, "Audit records that wait to be written", (),
        _audit(lambda audit: audit.queued),
    ),
    Family(
        "hashmatch_audit_lost_records_total", Kind.COUNTER, "Audit records that found no room", (),
        _audit(lambda audit: audit.lost),
    ),
    Family(
        "hashmatch_audit_trouble", Kind.GAUGE, "1 while the audit log cannot be written", (),
        _audit(lambda audit: bool(audit.trouble)),
    ),
    _counter(
        "hashmatch_hotline_checked_total", "Addresses, and images of them, that were checked, by outcome",
        ("what", "outcome"), lambda view: view.counts.checked,
    ),
)  # fmt: skip

_SERVICE: Final = (
    _gauges("hashmatch_ready", "1 where a condition of readiness holds", "condition", lambda view: view.ready),
    Family(
        "hashmatch_build_info", Kind.GAUGE, "Always 1", ("version",), lambda view: {(view.status.version,): 1}
    ),
)  # fmt: skip

FAMILIES: Final = (*_SERVICE, *_CALLS, *_ANSWERS, *_WORKERS, *_INDEX, *_RECORDS)
"""Every metric of ours, in the order of the page."""

PROCESS: Final = (
    Family("process_resident_memory_bytes", Kind.GAUGE, "Resident memory of the process, its workers not included"),
    Family("process_virtual_memory_bytes", Kind.GAUGE, "Virtual memory; mapped segments count in full"),
    Family("process_cpu_seconds_total", Kind.COUNTER, "Processor time of the process, user and system"),
    Family("process_open_fds", Kind.GAUGE, "Open files and sockets"),
    Family("process_max_fds", Kind.GAUGE, "Open files and sockets that are allowed"),
    Family("process_start_time_seconds", Kind.GAUGE, "When the process started, seconds since 1970"),
)
"""What Prometheus's own collector tells of the process."""


def metrics(view: View) -> Iterator[Metric]:
    """Yield every metric with its values, those without values included."""
    for family in FAMILIES:
        metric = Metric(family.name.removesuffix("_total"), family.help, family.kind)
        for labels, number in sorted(family.numbers(view).items()):
            metric.add_sample(family.name, _named(family, labels), float(number))
        for labels, latency in sorted(family.latencies(view).items()):
            _add_histogram(metric, _named(family, labels), latency)
        yield metric


def _named(family: Family, labels: Iterable[str]) -> dict[str, str]:
    return dict(zip(family.labels, labels, strict=True))


def _add_histogram(metric: Metric, labels: Mapping[str, str], latency: Latency) -> None:
    bounds = [*(str(bound / 1e6) for bound in BOUNDS_US), "+Inf"]
    for bound, count in zip(bounds, itertools.accumulate(latency.counts), strict=True):
        metric.add_sample(f"{metric.name}_bucket", {**labels, "le": bound}, count)
    metric.add_sample(f"{metric.name}_count", dict(labels), sum(latency.counts))
    metric.add_sample(f"{metric.name}_sum", dict(labels), latency.sum_us / 1e6)
