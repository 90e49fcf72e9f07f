"""The asynchronous client.

Theory of operation
-------------------
One method for each thing the service does, with the model's types in and out. A client is opened by ``async with``; it
holds one channel, which connects when first used and again after the connection was lost. Every failure is one of
``hashmatch.errors`` (``wire`` maps them). Calls that change nothing are tried again within their deadline as ``retry``
says; what changes something never is, because nobody could tell whether it had happened, unless an idempotency key
keeps it from happening twice. ``aio_sets`` has the calls about sets, ``aio_reports`` those about reports,
``aio_hotline`` that about reported URLs.

The synchronous client is generated from this file: what differs beyond ``async`` and ``await`` is in ``transport``.

What this module deliberately does not do: it computes no hash and loads nothing that does.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc
from grpc_health.v1 import health_pb2

from hashmatch.client.access import NOBODY, Access
from hashmatch.client.aio_hotline import AsyncHotline
from hashmatch.client.aio_reports import AsyncReports
from hashmatch.client.aio_sets import AsyncHashSets
from hashmatch.client.convert import hashed_to_proto, stream_answer
from hashmatch.client.results import HashedImage, StreamAnswer
from hashmatch.client.retry import RetryPolicy
from hashmatch.client.transport import AsyncItems, AsyncServices, Options, async_each, async_heard, async_sleep
from hashmatch.client.wire import Outgoing, error_from_rpc, wall
from hashmatch.errors import DeadlineExceeded, ServiceUnavailable
from hashmatch.model import MatchReport, RescanAnswer
from hashmatch.report.proto import report_from_proto
from hashmatch.report.rescan import rescan_from_proto
from hashmatch.report.status import ServiceStatus, status_from_proto
from hashmatch.v1 import detection_pb2, status_pb2

DEFAULT_TIMEOUT_S: Final = 30.0
"""For one answer; three times the longest that the service's default gives to decoding one image."""

_DETECTION: Final = "hashmatch.v1.DetectionService"
_READY_POLL_S: Final = 0.1
_Response = TypeVar("_Response")


class AsyncClient(AsyncHashSets, AsyncReports, AsyncHotline):
    """A client of one hashmatch service.

    Parameters
    ----------
    target : str
        Where it listens: ``host:port`` or ``unix:/path``.
    timeout_s : float
        For one answer, retries included; each call may set its own. Streams have no deadline unless given one.
    retry : RetryPolicy
        For calls that change nothing.
    access : Access
        What the client shows (key, certificate) and by which roots it knows the service.
    options : sequence of (str, value)
        gRPC channel options, on top of ``wire.CHANNEL_OPTIONS``.

    Examples
    --------
    >>> async with AsyncClient("127.0.0.1:50051") as client:  # doctest: +SKIP
    ...     report = await client.detect(image)

    """

    def __init__(
        self,
        target: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  frozen
        access: Access = NOBODY,
        options: Options = (),
    ) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._retry = retry
        self._access = access
        self._options = tuple(options)
        self._open: AsyncServices | None = None
        self._closed = False
        self._calls = 0
        self._retries = 0

    def __repr__(self) -> str:
        state = "closed" if self._closed else "new" if self._open is None else "open"
        return f"<{type(self).__name__} {self._target}: {state}, {self._calls} calls, {self._retries} retries>"

    async def __aenter__(self) -> Self:
        self._open = AsyncServices.connect(self._target, self._options, self._access)
        self._closed = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel; calls still running are cancelled. Safe to call twice."""
        services, self._open = self._open, None
        self._closed = True
        if services is not None:
            await services.channel.close()

    # --- detection -----------------------------------------------------------------------------------------------

    async def detect(
        self,
        image: bytes,
        *,
        request_id: str | None = None,
        sets: Iterable[str] | None = None,
        timeout_s: float | None = None,
    ) -> MatchReport:
        """Ask about one image.

        Parameters
        ----------
        image : bytes
            The file as uploaded.
        request_id : str, optional
            The caller's own id, at most 128 characters; the service makes one otherwise.
        sets : iterable of str, optional
            Names of the sets to search; all by default.
        timeout_s : float, optional
            Instead of the client's.

        Returns
        -------
        MatchReport
            An image that could not be looked at is an answer: ``not_checked`` with the reason.

        Raises
        ------
        SetNotFound, Overloaded, DeadlineExceeded, IndexNotLoaded, ServiceUnavailable, BadInput
            The service could not answer.

        """
        request = detection_pb2.DetectRequest(image=image, request_id=request_id or "", sets=sets or ())
        response = await self._repeatable(self._services.detection.Detect, request, timeout_s)
        return report_from_proto(response.report)

    async def detect_stream(
        self,
        items: AsyncItems[tuple[str, bytes]],
        *,
        sets: Iterable[str] | None = None,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[StreamAnswer, None]:
        """Ask about many images over one call; answers come as they are ready, in any order.

        At most ``server.stream_window`` images are on their way at a time, so ``items`` may be endless. Leaving the
        iteration early cancels the call.

        Parameters
        ----------
        items : iterable of (item_id, image)
            ``item_id`` comes back with the answer. What the iterable raises is raised here.
        sets, timeout_s
            As for :meth:`detect`; the timeout is for the whole stream, none by default.

        Raises
        ------
        ServiceUnavailable, DeadlineExceeded, BadInput
            The stream broke. What befell a single item is in its answer.

        """
        outgoing = Outgoing()
        requests = _detect_requests(items, tuple(sets or ()), outgoing)
        call = self._services.detection.DetectStream(requests, timeout=timeout_s)
        self._calls += 1
        try:
            with wall(self._target, outgoing):
                async for response in async_heard(call, outgoing):
                    yield stream_answer(response)
        finally:
            call.cancel()

    async def detect_hashes(
        self, items: Sequence[HashedImage], *, sets: Iterable[str] | None = None, timeout_s: float | None = None
    ) -> list[MatchReport]:
        """Ask about hashes computed on this side; reports come in the order of ``items``.

        Raises
        ------
        BadInput, BadHash, UnknownAlgorithm
            An item is not valid (``field`` says which), or there are more hashes than ``server.max_batch``.
        SetNotFound, DeadlineExceeded, IndexNotLoaded, ServiceUnavailable
            The service could not answer.

        """
        request = detection_pb2.DetectHashesRequest(items=map(hashed_to_proto, items), sets=sets or ())
        response = await self._repeatable(self._services.detection.DetectHashes, request, timeout_s)
        return [report_from_proto(report) for report in response.reports]

    async def rescan(
        self,
        batches: AsyncItems[Sequence[HashedImage]],
        *,
        since: str,
        sets: Iterable[str] | None = None,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[RescanAnswer, None]:
        """Ask which of the hashes that were kept match entries that changed since a generation.

        ``batches`` may be endless; each is answered, in order, before many more are read. ``since`` is the generation
        of the last look, as reports name it; ``sets`` and ``timeout_s`` as for :meth:`detect_stream`.

        Raises
        ------
        BadInput, SetNotFound, IndexNotLoaded, ServiceUnavailable, DeadlineExceeded
            The stream broke: ``since`` names no generation, or a batch has more hashes than ``server.max_batch``.

        """
        outgoing = Outgoing()
        call = self._services.detection.Rescan(
            _rescan_requests(batches, since, tuple(sets or ()), outgoing), timeout=timeout_s
        )
        self._calls += 1
        try:
            with wall(self._target, outgoing):
                async for response in async_heard(call, outgoing):
                    yield rescan_from_proto(response)
        finally:
            call.cancel()

    # --- the service itself --------------------------------------------------------------------------------------

    async def status(self, *, timeout_s: float | None = None) -> ServiceStatus:
        """Return what the service serves, by what, and how well confined. Raises as :meth:`hash_sets`."""
        request = status_pb2.GetStatusRequest()
        return status_from_proto(await self._repeatable(self._services.status.GetStatus, request, timeout_s))

    async def wait_ready(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Return once the service can answer ``detect``: index loaded, workers alive.

        Raises
        ------
        ServiceUnavailable
            It was not ready within ``timeout_s``; the message says what it was instead.

        """
        deadline = time.monotonic() + timeout_s
        request = health_pb2.HealthCheckRequest(service=_DETECTION)
        seen = ""
        while True:
            try:
                response = await self._services.health.Check(request, timeout=max(0.0, deadline - time.monotonic()))
                if response.status == health_pb2.HealthCheckResponse.SERVING:
                    return
                seen = "it answers but is not ready"
            except grpc.RpcError as failure:
                error = error_from_rpc(failure, self._target)
                if not seen or not isinstance(error, DeadlineExceeded):  # that the last look was cut off says nothing
                    seen = error.message
            if time.monotonic() + _READY_POLL_S >= deadline:
                raise ServiceUnavailable(f"{self._target} was not ready within {timeout_s:g} s: {seen}")
            await async_sleep(_READY_POLL_S)

    # --- how calls are made --------------------------------------------------------------------------------------

    @property
    def _services(self) -> AsyncServices:
        if self._open is None:
            state = "closed" if self._closed else "not open"
            raise ServiceUnavailable(f"this client is {state}; use it inside `async with AsyncClient(...) as client:`")
        return self._open

    async def _once(
        self, method: Callable[..., Awaitable[_Response]], request: Any, timeout_s: float | None
    ) -> _Response:
        """Call, and never again."""
        self._calls += 1
        with wall(self._target):
            return await method(request, timeout=self._timeout_s if timeout_s is None else timeout_s)

    async def _repeatable(
        self, method: Callable[..., Awaitable[_Response]], request: Any, timeout_s: float | None
    ) -> _Response:
        """Call, and again while the policy says so and the deadline allows."""
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        self._calls += 1
        attempt = 1
        while True:
            try:
                return await method(request, timeout=max(0.0, deadline - time.monotonic()))
            except grpc.RpcError as failure:
                error = error_from_rpc(failure, self._target)
                wait_s = self._retry.wait_s(error, attempt, deadline - time.monotonic())
                if wait_s is None:
                    raise error from failure
            await async_sleep(wait_s)
            attempt += 1
            self._retries += 1


async def _detect_requests(
    items: AsyncItems[tuple[str, bytes]], sets: tuple[str, ...], outgoing: Outgoing
) -> AsyncIterator[detection_pb2.DetectStreamRequest]:
    with outgoing.watched():
        async for item_id, image in async_each(items):
            request = detection_pb2.DetectRequest(image=image, sets=sets)
            yield detection_pb2.DetectStreamRequest(item_id=item_id, request=request)


async def _rescan_requests(
    batches: AsyncItems[Sequence[HashedImage]], since: str, sets: tuple[str, ...], outgoing: Outgoing
) -> AsyncIterator[detection_pb2.RescanRequest]:
    with outgoing.watched():
        yield detection_pb2.RescanRequest(since=since, sets=sets)
        async for batch in async_each(batches):
            yield detection_pb2.RescanRequest(items=map(hashed_to_proto, batch))
