"""What a service says of itself: the types, and their protocol buffers in both directions.

``hashmatch status`` prints these, the service fills them, the SDK returns them. The round trip is the identity.

What this module deliberately does not do: it measures nothing and judges nothing; readiness is ``service/health.py``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.timestamp_pb2 import Timestamp

from hashmatch.v1 import status_pb2


@dataclass(frozen=True, slots=True)
class Protection:
    """One protection of the decoding workers; ``detail`` is its version, or why it is not in force."""

    name: str
    active: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class WorkersStatus:
    """The confined processes. ``confined`` says that all protections are in force and the self-test passed.

    ``quarantined`` counts images that are refused now because workers died on them, ``quarantine_refusals`` how often
    one was since the start.
    """

    workers: int
    busy: int
    queued: int
    images: int
    restarts: int
    confined: bool
    protections: tuple[Protection, ...] = ()
    quarantined: int = 0
    quarantine_refusals: int = 0


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The index being served. ``values`` counts, per algorithm, the hash values that can match."""

    state: str
    generation: str = ""
    sequence: int = 0
    values: Mapping[str, int] = field(default_factory=dict)
    delta_entries: int = 0
    tombstones: int = 0


@dataclass(frozen=True, slots=True)
class QuarantinedEntry:
    """An entry that the flood guard put into quarantine: when, and why."""

    set_name: str
    entry_id: str
    at: dt.datetime
    reason: str


@dataclass(frozen=True, slots=True)
class FollowerStatus:
    """How the index follows the catalog.

    ``behind`` counts changes known to be committed and not served; ``lag_ms`` is the time since the index was last
    known to hold everything; ``announced`` says that changes are announced rather than polled for; ``error`` why the
    catalog cannot be followed.
    """

    behind: int = 0
    lag_ms: int = 0
    announced: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class AuditStatus:
    """The audit log that the service writes.

    ``ledger`` is its id, ``seq`` the number of the last record on the disk, ``head_seq`` that of the last signed head;
    ``queued`` records wait, ``lost`` ones found no room since the start; ``trouble`` says why nothing can be written.
    """

    ledger: str
    seq: int
    head_seq: int
    queued: int = 0
    lost: int = 0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Latency:
    """How often something took how long: ``counts`` per bucket, the last for what is over every bound."""

    counts: tuple[int, ...]
    sum_us: int


@dataclass(frozen=True, slots=True)
class CallCount:
    """Calls of one method that ended with one status."""

    method: str
    status: str
    count: int


@dataclass(frozen=True, slots=True)
class SetMatches:
    """Answers in which entries of one set had hits of one verdict."""

    set_name: str
    verdict: str
    count: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """What this process did since it started.

    ``bounds_us`` are the inclusive upper bounds of the buckets. ``stages`` are times of images: queue, decode and hash
    within sandbox, search, policy, and total. ``verdicts`` are of images and of hashes.
    """

    bounds_us: tuple[int, ...] = ()
    calls: tuple[CallCount, ...] = ()
    stages: Mapping[str, Latency] = field(default_factory=dict)
    matches: tuple[SetMatches, ...] = ()
    verdicts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutboxDepth:
    """Deliveries of one outlet that stand at one state."""

    outlet: str
    state: str
    count: int


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """Everything ``GetStatus`` answers.

    ``libraries`` are those whose version decides what a hash is. ``quarantined`` are entries that the flood guard put
    into quarantine and nobody has reinstated. ``audit`` is None where nothing is recorded. ``outbox`` has the
    deliveries that are neither delivered nor cancelled; ``failing`` the conditions of readiness that do not hold.
    """

    version: str
    libraries: Mapping[str, str]
    started_at: dt.datetime
    index: IndexStatus
    workers: WorkersStatus
    hash_sets: int = 0
    entries: int = 0
    quarantined: tuple[QuarantinedEntry, ...] = ()
    follower: FollowerStatus = FollowerStatus()
    audit: AuditStatus | None = None
    traffic: Traffic = Traffic()
    outbox: tuple[OutboxDepth, ...] = ()
    failing: tuple[str, ...] = ()


def status_to_proto(status: ServiceStatus) -> status_pb2.GetStatusResponse:
    """Return the whole status as it goes over the wire."""
    index, workers, follower = status.index, status.workers, status.follower
    return status_pb2.GetStatusResponse(
        version=status.version,
        libraries=dict(status.libraries),
        started_at=_stamp(status.started_at),
        index=status_pb2.IndexStatus(
            state=index.state,
            generation=index.generation,
            sequence=index.sequence,
            values=dict(index.values),
            delta_entries=index.delta_entries,
            tombstones=index.tombstones,
        ),
        workers=status_pb2.WorkerPoolStatus(
            workers=workers.workers,
            busy=workers.busy,
            queued=workers.queued,
            images=workers.images,
            restarts=workers.restarts,
            confined=workers.confined,
            protections=[
                status_pb2.Protection(name=item.name, active=item.active, detail=item.detail)
                for item in workers.protections
            ],
            quarantined=workers.quarantined,
            quarantine_refusals=workers.quarantine_refusals,
        ),
        hash_sets=status.hash_sets,
        entries=status.entries,
        quarantined=[
            status_pb2.QuarantinedEntry(
                set_name=item.set_name, entry_id=item.entry_id, at=_stamp(item.at), reason=item.reason
            )
            for item in status.quarantined
        ],
        follower=status_pb2.FollowerStatus(
            behind=follower.behind, lag_ms=follower.lag_ms, announced=follower.announced, error=follower.error
        ),
        audit=None if status.audit is None else status_pb2.AuditStatus(**dataclasses.asdict(status.audit)),
        traffic=_traffic_to_proto(status.traffic),
        outbox=[status_pb2.OutboxDepth(**dataclasses.asdict(item)) for item in status.outbox],
        failing=status.failing,
    )


def status_from_proto(message: status_pb2.GetStatusResponse) -> ServiceStatus:
    """Inverse of :func:`status_to_proto`."""
    index, workers, follower = message.index, message.workers, message.follower
    return ServiceStatus(
        version=message.version,
        libraries=dict(message.libraries),
        started_at=message.started_at.ToDatetime(tzinfo=dt.UTC),
        index=IndexStatus(
            state=index.state,
            generation=index.generation,
            sequence=index.sequence,
            values=dict(index.values),
            delta_entries=index.delta_entries,
            tombstones=index.tombstones,
        ),
        workers=WorkersStatus(
            workers=workers.workers,
            busy=workers.busy,
            queued=workers.queued,
            images=workers.images,
            restarts=workers.restarts,
            confined=workers.confined,
            protections=tuple(Protection(item.name, item.active, item.detail) for item in workers.protections),
            quarantined=workers.quarantined,
            quarantine_refusals=workers.quarantine_refusals,
        ),
        hash_sets=message.hash_sets,
        entries=message.entries,
        quarantined=tuple(
            QuarantinedEntry(item.set_name, item.entry_id, item.at.ToDatetime(tzinfo=dt.UTC), item.reason)
            for item in message.quarantined
        ),
        follower=FollowerStatus(follower.behind, follower.lag_ms, follower.announced, follower.error),
        audit=_audit_from_proto(message.audit) if message.HasField("audit") else None,
        traffic=_traffic_from_proto(message.traffic),
        outbox=tuple(OutboxDepth(item.outlet, item.state, item.count) for item in message.outbox),
        failing=tuple(message.failing),
    )


def _traffic_to_proto(traffic: Traffic) -> status_pb2.Traffic:
    return status_pb2.Traffic(
        bounds_us=traffic.bounds_us,
        calls=[status_pb2.CallCount(**dataclasses.asdict(item)) for item in traffic.calls],
        stages={
            name: status_pb2.Latency(counts=item.counts, sum_us=item.sum_us) for name, item in traffic.stages.items()
        },
        matches=[status_pb2.SetMatches(**dataclasses.asdict(item)) for item in traffic.matches],
        verdicts=traffic.verdicts,
    )


def _traffic_from_proto(traffic: status_pb2.Traffic) -> Traffic:
    return Traffic(
        bounds_us=tuple(traffic.bounds_us),
        calls=tuple(CallCount(item.method, item.status, item.count) for item in traffic.calls),
        stages={name: Latency(tuple(item.counts), item.sum_us) for name, item in traffic.stages.items()},
        matches=tuple(SetMatches(item.set_name, item.verdict, item.count) for item in traffic.matches),
        verdicts=dict(traffic.verdicts),
    )


def _audit_from_proto(audit: status_pb2.AuditStatus) -> AuditStatus:
    return AuditStatus(audit.ledger, audit.seq, audit.head_seq, audit.queued, audit.lost, audit.trouble)


def _stamp(moment: dt.datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
