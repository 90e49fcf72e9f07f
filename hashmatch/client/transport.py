"""The few things that differ between the asynchronous and the synchronous client beyond ``async`` and ``await``.

``aio.py`` uses the names that begin with ``Async``; ``generate.py`` maps each to its twin below it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2_grpc

from hashmatch.client.access import Access, Keyed
from hashmatch.client.wire import CHANNEL_OPTIONS, Outgoing
from hashmatch.v1 import detection_pb2_grpc, hashset_pb2_grpc, hotline_pb2_grpc, report_pb2_grpc, status_pb2_grpc

if TYPE_CHECKING:
    from hashmatch.v1.detection_pb2_grpc import DetectionServiceAsyncStub
    from hashmatch.v1.hashset_pb2_grpc import HashSetServiceAsyncStub
    from hashmatch.v1.hotline_pb2_grpc import HotlineServiceAsyncStub
    from hashmatch.v1.report_pb2_grpc import ReportServiceAsyncStub
    from hashmatch.v1.status_pb2_grpc import StatusServiceAsyncStub

_T = TypeVar("_T")

Options = Sequence[tuple[str, Any]]
AsyncItems = AsyncIterable[_T] | Iterable[_T]
Items = Iterable[_T]

async_sleep = asyncio.sleep
sleep = time.sleep


@dataclass(frozen=True, slots=True)
class AsyncServices:
    """A channel and what can be called over it."""

    channel: grpc.aio.Channel
    detection: DetectionServiceAsyncStub
    hash_sets: HashSetServiceAsyncStub
    hotline: HotlineServiceAsyncStub
    reports: ReportServiceAsyncStub
    status: StatusServiceAsyncStub
    health: Any

    @classmethod
    def connect(cls, target: str, options: Options, access: Access) -> Self:
        """Make the channel; it connects with the first call. Raises BadInput where that would give a key away."""
        access.check(target)
        every = [*CHANNEL_OPTIONS, *access.options(), *options]
        channel = (
            grpc.aio.secure_channel(target, access.credentials(), options=every)
            if access.encrypted
            else grpc.aio.insecure_channel(target, options=every)
        )
        keyed: Any = Keyed(channel, access.metadata())
        return cls(
            channel,
            detection_pb2_grpc.DetectionServiceStub(keyed),
            hashset_pb2_grpc.HashSetServiceStub(keyed),
            hotline_pb2_grpc.HotlineServiceStub(keyed),
            report_pb2_grpc.ReportServiceStub(keyed),
            status_pb2_grpc.StatusServiceStub(keyed),
            health_pb2_grpc.HealthStub(channel),  # open to all
        )


@dataclass(frozen=True, slots=True)
class Services:
    """A channel and what can be called over it."""

    channel: grpc.Channel
    detection: detection_pb2_grpc.DetectionServiceStub
    hash_sets: hashset_pb2_grpc.HashSetServiceStub
    hotline: hotline_pb2_grpc.HotlineServiceStub
    reports: report_pb2_grpc.ReportServiceStub
    status: status_pb2_grpc.StatusServiceStub
    health: Any

    @classmethod
    def connect(cls, target: str, options: Options, access: Access) -> Self:
        """Make the channel; it connects with the first call. Raises BadInput where that would give a key away."""
        access.check(target)
        every = [*CHANNEL_OPTIONS, *access.options(), *options]
        channel = (
            grpc.secure_channel(target, access.credentials(), options=every)
            if access.encrypted
            else grpc.insecure_channel(target, options=every)
        )
        keyed: Any = Keyed(channel, access.metadata())
        return cls(
            channel,
            detection_pb2_grpc.DetectionServiceStub(keyed),
            hashset_pb2_grpc.HashSetServiceStub(keyed),
            hotline_pb2_grpc.HotlineServiceStub(keyed),
            report_pb2_grpc.ReportServiceStub(keyed),
            status_pb2_grpc.StatusServiceStub(keyed),
            health_pb2_grpc.HealthStub(channel),  # open to all
        )


def async_heard(call: _T, outgoing: Outgoing) -> _T:
    """Have ``outgoing`` told of the end of a call that sends a stream; return the call."""
    made: Any = call  # gRPC's stubs differ in what they say that calls are
    made.add_done_callback(outgoing.ended)
    return call


def heard(call: _T, outgoing: Outgoing) -> _T:
    """Return the call, or the answer where it is one: of synchronous calls gRPC forgets nothing."""
    del outgoing
    return call


async def async_each(items: AsyncItems[_T]) -> AsyncIterator[_T]:
    """Iterate over either kind of iterable."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def each(items: Items[_T]) -> Iterator[_T]:
    """Iterate over an iterable."""
    yield from items
